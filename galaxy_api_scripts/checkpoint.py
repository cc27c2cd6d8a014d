"""Checkpoints: what a run has begun, kept on this machine so that a later run resumes it and begins nothing twice.

Each is a small JSON file in the state folder, removed when its work has succeeded. If no file can be kept, everything works,
but nothing can be resumed.
"""
from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from common import TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.files import open_locked, state_folder

KEEP_SECONDS = 8 * 86400    # of a checkpoint; an upload session lives for 5 days (Galaxy 26.1)
SETTLE_SECONDS = 30         # after which Galaxy has surely done what a vanished client asked for; they are counted in the
                            # process that looks for it, since the clock may have been put back or forward meanwhile, but
                            # for `find_sent`, which counts from the time that is noted
MAX_REQUESTS = 3            # where each answer is lost and what was asked for does not appear


class Notes(Protocol):
    """The notes on one piece of work: a `Checkpoint`, or a sample of a ledger."""

    @property
    def data(self) -> dict[str, Any]:
        """All notes by name."""

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Note `changes`, a value for each name; None removes the name."""


def change_notes(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The notes `data` with `changes`, as `Notes.save` takes them."""
    return {name: value for name, value in {**data, **changes}.items() if value is not None}


class Checkpoint:
    """The notes `data` on one piece of work, which outlive this process; no other process has them meanwhile.

    `about` identifies the work on one server with one key; `label` is its name in messages. Raises `GalaxyError` (TRY_LATER)
    if another process works on it.
    """

    def __init__(self, galaxy: Galaxy, label: str, *about: Any):
        self.name = _name_of(galaxy, about)
        self.is_kept, self._file = False, -1        # whether the notes outlive this process
        self._lock = threading.Lock()       # a transfer's thread may still note what it did when all is closed
        self.data: dict[str, Any] = {}
        try:
            self.path = checkpoint_folder() / f"{self.name}.json"
            self._file = open_locked(self.path)
            os.fchmod(self._file, 0o600)        # whatever the umask
        except BlockingIOError:
            raise GalaxyError(f"{label}: another run is at work on it: let that end first", TRY_LATER) from None
        except OSError:
            return
        self.is_kept = True
        self.data = _parse(os.pread(self._file, 2**26, 0))

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Note `changes`, a value for each name; None removes the name. They survive the end of this process, with
        `durably` a power failure too."""
        self.data = change_notes(self.data, changes)
        with self._lock, contextlib.suppress(OSError):
            os.pwrite(self._file, json.dumps(self.data).encode() + b"\n", 0)
            if durably:
                os.fsync(self._file)

    def clear(self) -> None:
        """Remove all notes."""
        self.data.clear()
        self.save()

    def close(self) -> None:
        """Release the checkpoint to other processes; its notes stay."""
        with self._lock:
            if self._file >= 0:
                if not self.data:
                    self.path.unlink(missing_ok=True)
                os.close(self._file)
                self._file = -1

    def remove(self) -> None:
        """Remove the checkpoint, which may be closed: the work is done."""
        self.data.clear()
        with contextlib.suppress(OSError):
            if self._file >= 0:
                self.close()
            elif self.is_kept:
                self.path.unlink()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class MemoryNotes:
    """Notes on a piece of work that a later run finds in Galaxy by itself: they end with the process."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Note `changes`, a value for each name; None removes the name."""
        self.data = change_notes(self.data, changes)


def read_notes(galaxy: Galaxy, *about: Any) -> dict[str, Any]:
    """The notes of the `Checkpoint` of `about`, whoever works on it; {} if there is none."""
    with contextlib.suppress(OSError):
        return _parse((checkpoint_folder() / f"{_name_of(galaxy, about)}.json").read_bytes())
    return {}


def _name_of(galaxy: Galaxy, about: tuple[Any, ...]) -> str:
    key = hashlib.sha256((galaxy.key or "").encode()).hexdigest()
    return hashlib.sha256(json.dumps([galaxy.base, key, *about]).encode()).hexdigest()[:32]


def _parse(content: bytes) -> dict[str, Any]:
    line, _, _ = content.partition(b"\n")       # the rest may be of a longer line before
    with contextlib.suppress(ValueError):
        data = json.loads(line)
        return data if isinstance(data, dict) else {}
    return {}


def checkpoint_folder() -> Path:
    """The folder of checkpoints, made if need be and freed of expired ones. Raises OSError."""
    folder = state_folder("transfers")
    remove_expired(folder)
    return folder


@functools.cache
def remove_expired(folder: Path) -> None:
    """Remove, once a process, checkpoints so old that the server has forgotten their work."""
    for file in folder.glob("*.json"):
        with contextlib.suppress(OSError):
            if file.stat().st_mtime < time.time() - KEEP_SECONDS:
                file.unlink()


# -------------------------------------------------------------------------------------------------- a request sent once

def send_once(record: Notes, kind: str, label: str, *, find: Callable[[], str | None], send: Callable[[], str],
              prepare: Callable[[], dict[str, Any]], patient: bool = True) -> str:
    """Make one thing in Galaxy by one request and return its id, which `record` notes as `kind`.

    `send()` makes it and returns its id; before that, what `prepare()` returns is noted. If the answer was lost, now or in
    an earlier process that was killed, `find()` returns the id of what Galaxy has made, None for nothing, before it is sent
    again. Returns "" if this can't be told yet and the caller is not `patient`: call again in some seconds. `label` names
    the work in messages.
    """
    while True:
        made = find_sent(record, kind, find, patient)
        if made is not None:
            return made
        tries = record.data.get("tries", 0) + 1
        if tries > MAX_REQUESTS:
            record.save(tries=None)
            raise GalaxyError(f"{label}: the answer to its submission was lost {MAX_REQUESTS} times, and Galaxy has no "
                              f"{kind} of it; run the same line again", TRY_LATER)
        record.save(durably=True, **prepare(), asked=time.time(), tries=tries)
        try:
            made = send()
        except GalaxyError as error:
            if not error.lost:
                record.save(asked=None, tries=None)
                raise
            record.save(durably=True, asked=time.time())     # a proxy gives up while Galaxy is still working on it
            continue
        record.save(durably=True, tries=None, **{kind: made})
        return made


def find_sent(record: Notes, kind: str, find: Callable[[], str | None], patient: bool) -> str | None:
    """The id of what `send_once` made before; None if there is nothing, "" if it is too early to tell."""
    if record.data.get("asked", 0) > time.time():       # the clock was put back
        record.save(asked=time.time())
    while "asked" in record.data and not record.data.get(kind):
        made = find()
        if made:
            record.save(durably=True, tries=None, **{kind: made})
        elif time.time() - record.data["asked"] > SETTLE_SECONDS:
            record.save(asked=None)
        elif not patient:
            return ""
        else:
            time.sleep(2)
    return record.data.get(kind) or None
