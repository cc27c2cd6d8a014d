"""What a run has begun, kept on this machine so that a later run goes on with it and begins nothing twice.

Each thing under way has a small file of JSON below $XDG_STATE_HOME (~/.local/state unless set), which is removed when the
thing has ended well. Where no file can be kept, all works as well, but nothing is gone on with.
"""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from common import TRY_LATER, Galaxy, GalaxyError

KEEP_DAYS = 8 * 86400    # seconds; an upload session lives for 5 days (Galaxy 26.1)

_old_removed = False


class Notes(Protocol):
    """What is noted of one thing under way: a `Checkpoint` here, or a unit of a ledger."""

    @property
    def data(self) -> dict[str, Any]:
        """All that is noted."""

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Note `changes`, a value for each name, None to forget it."""


class Checkpoint:
    """The notes `data` on one thing that is under way, which outlive this process; no other process has them meanwhile.

    `about` says which thing, for one server and one key; `what` is what messages call it. Raises `GalaxyError` (TRY_LATER)
    where another process is at work on it.
    """

    def __init__(self, galaxy: Galaxy, what: str, *about: Any):
        who = hashlib.sha256((galaxy.key or "").encode()).hexdigest()
        name = hashlib.sha256(json.dumps([galaxy.base, who, *about]).encode()).hexdigest()[:32]
        self.name, self._file = name, -1
        self.data: dict[str, Any] = {}
        try:
            self.path = checkpoint_folder() / f"{name}.json"
            self._file = _locked(self.path)
        except BlockingIOError:
            raise GalaxyError(f"{what}: another run is at work on it: let that end first", TRY_LATER) from None
        except OSError:
            return
        line, _, _ = os.pread(self._file, 2**26, 0).partition(b"\n")    # behind it there may be the rest of a longer one
        with contextlib.suppress(ValueError):
            data = json.loads(line)
            self.data = data if isinstance(data, dict) else {}

    @property
    def kept(self) -> bool:
        """Whether it outlives this process."""
        return self._file >= 0

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Note `changes`, a value for each name, None to forget it, so that they outlive this process; `durably`: and a
        power failure."""
        self.data = {name: value for name, value in {**self.data, **changes}.items() if value is not None}
        with contextlib.suppress(OSError):
            os.pwrite(self._file, json.dumps(self.data).encode() + b"\n", 0)
            if durably:
                os.fsync(self._file)

    def clear(self) -> None:
        """Forget what was noted."""
        self.data.clear()
        self.save()

    def close(self) -> None:
        """Let others have it; what was noted stays."""
        if self._file >= 0:
            if not self.data:
                self._unlink()
            os.close(self._file)
            self._file = -1

    def remove(self) -> None:
        """The thing has ended: forget it."""
        self.data.clear()
        self._unlink()
        self.close()

    def _unlink(self) -> None:
        with contextlib.suppress(OSError, AttributeError):      # there is no path where none can be kept
            self.path.unlink()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


SETTLE_SECONDS = 30      # seconds after which Galaxy has surely done what a client that is gone has asked for


def last_hid(galaxy: Galaxy, history: str) -> int:
    """How far the numbers of a history's contents go: what a request makes comes behind that."""
    last = galaxy.get(f"histories/{history}/contents", {"v": "dev", "keys": "hid", "order": "hid-dsc", "limit": 1})
    return int(last[0]["hid"]) if last else 0


def _locked(path: Path) -> int:
    """The file `path`, locked; BlockingIOError where another process has it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_nlink:
                return file
        except OSError:
            os.close(file)
            raise
        os.close(file)      # its last owner removed it a moment ago


def checkpoint_folder() -> Path:
    """The folder of records, made where it is not there; OSError where it can't be."""
    global _old_removed
    path = state_folder() / "transfers"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _old_removed:
        _old_removed = True
        _remove_old(path)
    return path


def state_folder() -> Path:
    """Where the scripts keep what outlives them, by the XDG Base Directory Specification; it may not be there yet."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return Path(state if os.path.isabs(state) else os.path.expanduser("~/.local/state")) / "galaxy-api-scripts"


def _remove_old(path: Path) -> None:
    """Remove records so old that the server has forgotten their things."""
    for file in path.glob("*.json"):
        with contextlib.suppress(OSError):
            if file.stat().st_mtime < time.time() - KEEP_DAYS:
                file.unlink()
