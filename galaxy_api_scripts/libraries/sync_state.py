"""What earlier runs noted about a tree and where its files went, so that a later run need not look again."""
from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from common import GalaxyError
from galaxy_api_scripts.files import create_private, state_folder, state_path
from galaxy_api_scripts.libraries.local_tree import FileStamp


@dataclass(frozen=True)
class SyncedFile:
    """That a dataset holds the file at `path`, as it was `seen` before.

    `dataset` is "" where the file was sent, and not seen to have arrived; `sha256` where nobody has worked it out. `old` is
    the dataset that it replaces while that is still to be deleted.
    """

    path: str
    dataset: str
    seen: FileStamp
    sha256: str = ""
    old: str = ""


class SyncState:
    """What was `held` by its path, in a file of SQLite, so that it outlives this process as soon as it is noted.

    `about` says which tree it is of and where that goes. The file is in $XDG_STATE_HOME (~/.local/state unless set); one
    that is damaged is begun anew. Where it is `fixed`, nothing is noted.
    """

    VERSION = 1

    def __init__(self, about: Iterable[str], fixed: bool = False):
        name = hashlib.sha256(json.dumps(list(about)).encode()).hexdigest()[:32]
        self.path, self.fixed = state_path("libraries", f"{name}.sqlite"), fixed
        self.held: dict[str, SyncedFile] = {}
        self._base: sqlite3.Connection | None = None

    def __enter__(self) -> SyncState:
        with self._told():
            if not self.fixed:
                state_folder("libraries")
                create_private(self.path)
            if not self.fixed or self.path.exists():
                try:
                    self._read()
                except sqlite3.OperationalError:    # no rights, or no room: what is in the file may be good
                    self._close()
                    raise
                except sqlite3.DatabaseError:
                    self._begin_anew()
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def _read(self) -> None:
        self._base = sqlite3.connect(self.path)
        version = self._base.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, self.VERSION):
            raise sqlite3.DatabaseError(f"of version {version}")
        if version == 0:
            with self._base:
                self._base.execute("CREATE TABLE IF NOT EXISTS held (path TEXT PRIMARY KEY, dataset TEXT, size INTEGER, "
                                   "mtime_ns INTEGER, ctime_ns INTEGER, sha256 TEXT, old TEXT)")
                self._base.execute(f"PRAGMA user_version = {self.VERSION}")
        for path, dataset, size, mtime_ns, ctime_ns, digest, old in self._base.execute("SELECT * FROM held"):
            self.held[path] = SyncedFile(path, dataset, FileStamp(size, mtime_ns, ctime_ns), digest, old)

    def _begin_anew(self) -> None:
        self._close()
        self.held.clear()
        if not self.fixed:
            self.path.unlink()
            self._read()

    def _close(self) -> None:
        if self._base:
            self._base.close()
            self._base = None

    def note(self, helds: Iterable[SyncedFile]) -> None:
        """Note all of these, or none where the process ends meanwhile."""
        new = {held.path: held for held in helds if held != self.held.get(held.path)}
        self._write("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?, ?)", [
            (one.path, one.dataset, one.seen.size, one.seen.mtime_ns, one.seen.ctime_ns, one.sha256, one.old)
            for one in new.values()])
        self.held.update(new)

    def forget(self, paths: Iterable[str]) -> None:
        """Forget what was noted about these paths."""
        known = [path for path in paths if path in self.held]
        self._write("DELETE FROM held WHERE path = ?", [(path,) for path in known])
        for path in known:
            del self.held[path]

    def _write(self, statement: str, rows: list[tuple[str | int, ...]]) -> None:
        if rows and self._base and not self.fixed:
            with self._told(), self._base:
                self._base.executemany(statement, rows)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise GalaxyError(f"{self.path}: what is done can't be noted there: {why}: $XDG_STATE_HOME sets another place"
                          ) from None
