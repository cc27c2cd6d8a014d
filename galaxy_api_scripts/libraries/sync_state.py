"""What earlier runs noted about a local tree and its datasets in a library, so that later runs need not compare them."""
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
    """A local file with the stamp it had when a dataset was seen to hold it."""

    path: str
    dataset: str        # its id; "" from the upload until it is seen to have arrived
    stamp: FileStamp
    sha256: str = ""    # "" until somebody computes it
    replaces: str = ""      # the dataset that this one replaces, for as long as that is still to be deleted


class SyncState:
    """The synced files of one tree by path, in an SQLite file that is up to date at every moment, even after a kill.
    `identity` names the tree and its destination. A damaged file is replaced by an empty one."""

    VERSION = 2

    def __init__(self, identity: Iterable[str], read_only: bool = False):
        name = hashlib.sha256(json.dumps(list(identity)).encode()).hexdigest()[:32]
        self.path, self.read_only = state_path("libraries", f"{name}.sqlite"), read_only
        self.files: dict[str, SyncedFile] = {}
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> SyncState:
        with self._explain_errors():
            if not self.read_only:
                state_folder("libraries")
                create_private(self.path)
            if not self.read_only or self.path.exists():
                try:
                    self._read()
                except sqlite3.OperationalError:    # no permission or no space: what is in the file may be good
                    self._close()
                    raise
                except sqlite3.DatabaseError:
                    self._start_over()
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def _read(self) -> None:
        self._database = sqlite3.connect(self.path)
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, self.VERSION):
            raise sqlite3.DatabaseError(f"of version {version}")
        if version == 0:
            with self._database:
                self._database.execute("CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, dataset TEXT, "
                                       "size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, sha256 TEXT, replaces TEXT)")
                self._database.execute(f"PRAGMA user_version = {self.VERSION}")
        for path, dataset, size, mtime_ns, ctime_ns, digest, replaces in self._database.execute("SELECT * FROM files"):
            self.files[path] = SyncedFile(path, dataset, FileStamp(size, mtime_ns, ctime_ns), digest, replaces)

    def _start_over(self) -> None:
        self._close()
        self.files.clear()
        if not self.read_only:
            self.path.unlink()
            create_private(self.path)
            self._read()

    def _close(self) -> None:
        if self._database:
            self._database.close()
            self._database = None

    def save(self, files: Iterable[SyncedFile]) -> None:
        """Save these files in one transaction: all of them, or none if the process is killed meanwhile."""
        changed = {file.path: file for file in files if file != self.files.get(file.path)}
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", [
            (file.path, file.dataset, file.stamp.size, file.stamp.mtime_ns, file.stamp.ctime_ns, file.sha256, file.replaces)
            for file in changed.values()])
        self.files.update(changed)

    def forget(self, paths: Iterable[str]) -> None:
        known = [path for path in paths if path in self.files]
        self._write("DELETE FROM files WHERE path = ?", [(path,) for path in known])
        for path in known:
            del self.files[path]

    def _write(self, statement: str, rows: list[tuple[str | int, ...]]) -> None:
        if rows and self._database and not self.read_only:
            with self._explain_errors(), self._database:
                self._database.executemany(statement, rows)

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise GalaxyError(f"{self.path}: progress can't be saved there: {reason}: set $XDG_STATE_HOME to another folder"
                              ) from None
