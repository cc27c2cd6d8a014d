"""The ledger of histories that expire: an SQLite file that says what was warned of, deleted and purged, and when.

One process at a time writes it. Each change is on the disk when its method returns, or not made at all.
"""
from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from common import TRY_LATER, USAGE, GalaxyError, one_line, redact
from galaxy_api_scripts.ages import parse_utc
from galaxy_api_scripts.disk import clock
from galaxy_api_scripts.disk.facts import HistoryFacts
from galaxy_api_scripts.files import create_private, hold_lock

APPLICATION_ID = int.from_bytes(b"gxex", "big")
SCHEMA = 1
# What a history's state says. CHOSEN: its owner's message may not be written yet. DELETING, PURGING, RESTORING: the request
# may have been sent. KEPT: it stays, for the reason that is noted. RESTORED: `--undo` brought it back.
CHOSEN, WARNED, DELETING, DELETED, PURGING, PURGED, KEPT, RESTORING, RESTORED = (
    "chosen", "warned", "deleting", "deleted", "purging", "purged", "kept", "restoring", "restored")
UNSETTLED = (DELETING, PURGING, RESTORING)
COLUMNS = ["id", "name", "owner_id", "owner", "size", "state", "update_time", "marks", "slug", "warning", "mail",
           "warned", "delete_on", "deleted", "asked", "ended", "reason"]
TABLES = [
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE histories (id TEXT PRIMARY KEY, name TEXT, owner_id TEXT, owner TEXT, size INTEGER, state TEXT NOT NULL,
        update_time TEXT, marks TEXT, slug TEXT, warning INTEGER, mail TEXT, warned TEXT, delete_on TEXT, deleted TEXT,
        asked TEXT, ended TEXT, reason TEXT)""",
    "CREATE INDEX histories_by_state ON histories (state)",
    "CREATE TABLE steps (number INTEGER PRIMARY KEY, time TEXT NOT NULL, history TEXT NOT NULL, step TEXT NOT NULL, "
    "reason TEXT)",
]
FIELDS = ["id", "name", "owner", "size", "action", "date", "reason"]
Row = dict[str, Any]        # what is noted of a history (COLUMNS), or what was done to it (FIELDS)
TOUCHED = "touched since"
SLIP = timedelta(minutes=1)     # by which a clock that is kept right may be set back


class ExpiryLedger:
    """The histories of one server that are, or were, about to expire, in the file `path`, which is made if need be.

    `about` says what it is for, such as `server=URL`, and is kept in it. With `dry_run` it is a copy in memory of what is in
    the file, which stays as it is. Raises `GalaxyError`: (TRY_LATER) while another process has it, (USAGE) if it is for
    something else, and where the clock was put back since its last entry.
    """

    def __init__(self, path: str, dry_run: bool = False, **about: str):
        self.path, self.dry_run = Path(os.path.realpath(path)), dry_run
        self._mutex = threading.RLock()
        with contextlib.ExitStack() as stack, _translated(self.path):
            if not self.path.parent.is_dir() or (self.path.exists() and not self.path.is_file()):
                raise GalaxyError(f"{path}: not a file's name in a folder", USAGE)
            if dry_run:
                self._database = _copy_in_memory(self.path)
            else:
                lock = self.path.with_name(f"{self.path.name}.lock")
                stack.enter_context(hold_lock(lock, str(path)))
                create_private(self.path)
                self._database = _connect(str(self.path))
            stack.callback(self._database.close)
            with self._transaction():
                self._open(about)
            self.now()
            self._stack = stack.pop_all()

    def _open(self, about: dict[str, str]) -> None:
        application, content = (self._database.execute(query).fetchone()[0] for query in (
            "PRAGMA application_id", "SELECT count(*) FROM sqlite_master"))
        if not content:
            for statement in [*TABLES, f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {SCHEMA}"]:
                self._database.execute(statement)
            self._database.execute("INSERT INTO meta VALUES ('name', ?)", (secrets.token_hex(4),))
        elif application != APPLICATION_ID:
            raise GalaxyError(f"{self.path}: is no ledger of histories that expire: name another file", USAGE)
        [version] = self._database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise GalaxyError(f"{self.path}: a ledger of schema {version}, written by newer scripts: these read {SCHEMA}")
        [damage] = self._database.execute("PRAGMA integrity_check(1)").fetchone()
        if damage != "ok":
            raise GalaxyError(f"{self.path}: the ledger is damaged ({one_line(damage)}): take it from a backup")
        known = {row["name"]: row["value"] for row in self._database.execute("SELECT name, value FROM meta")}
        for name, value in ((name, redact(value)) for name, value in about.items()):
            if known.get(name, value) != value:
                raise GalaxyError(f"{self.path}: is the ledger of {name} {known[name]}, not {value}: name another file",
                                  USAGE)
            self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._mutex, _translated(self.path):
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")

    def now(self) -> str:
        """The time. Raises `GalaxyError` where the clock says an earlier one than the last entry: it was put back, and
        periods would be counted wrong."""
        with self._mutex:
            time, last = clock.format_time(clock.now()), self._meta("last") or ""
        if last and parse_utc(time) < parse_utc(last) - SLIP:
            raise GalaxyError(f"this machine's clock says {time}, but the last entry of {self.path} is of {last}: the clock "
                              "was put back, or ran ahead then: nothing is done before that time")
        return max(time, last)

    def later(self, seconds: int) -> str:
        """The time so many seconds from now on, before now if they are negative."""
        return clock.format_time(parse_utc(self.now()) + timedelta(seconds=seconds))

    @property
    def name(self) -> str:
        """What tells this ledger from others, in the names of messages."""
        with self._mutex:
            return self._meta("name") or ""

    def _meta(self, name: str) -> str | None:
        row = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row and str(row[0])

    def note(self, ids: Iterable[str], step: str, why: str = "", **columns: Any) -> None:
        """Note a `step` of some histories, and `why`, with what changes in their `columns`, all of it or nothing."""
        time, why = self.now(), one_line(redact(why))
        change = ", ".join(f"{name} = ?" for name in columns)
        with self._transaction():
            for history in ids:
                self._database.execute("INSERT OR IGNORE INTO histories (id, state) VALUES (?, '')", (history,))
                if columns:
                    self._database.execute(f"UPDATE histories SET {change} WHERE id = ?", (*columns.values(), history))
                self._database.execute("INSERT INTO steps (time, history, step, reason) VALUES (?, ?, ?, ?)",
                                       (time, history, step, why or None))
            self._database.execute("INSERT OR REPLACE INTO meta VALUES ('last', ?)", (time,))

    def note_chosen(self, rows: list[Row]) -> None:
        """Note histories that are to be warned of; each row has COLUMNS, what it lacks is emptied."""
        time = self.now()
        with self._transaction():
            for row in rows:
                self._database.execute(f"INSERT OR REPLACE INTO histories ({', '.join(COLUMNS)}) VALUES "
                                       f"({', '.join('?' * len(COLUMNS))})",
                                       [CHOSEN if name == "state" else row.get(name) for name in COLUMNS])
            self._database.execute("INSERT OR REPLACE INTO meta VALUES ('last', ?)", (time,))

    def note_mails(self, paths: dict[str, str | None]) -> None:
        """Note the files of the messages, by owner, that are about to be written."""
        with self._transaction():
            self._database.executemany("UPDATE histories SET mail = ? WHERE owner = ? AND state = 'chosen'",
                                       [(path, owner) for owner, path in paths.items()])

    def drop_chosen(self, ids: list[str]) -> None:
        """Forget that histories were chosen: their owner's message was not written."""
        with self._transaction():
            self._database.executemany("DELETE FROM histories WHERE id = ? AND state = 'chosen'", [(one,) for one in ids])

    def next_warning(self) -> int:
        """The number of a new round of warnings."""
        with self._transaction():
            number = int(self._meta("warnings") or 0) + 1
            self._database.execute("INSERT OR REPLACE INTO meta VALUES ('warnings', ?)", (str(number),))
        return number

    def find(self, history: str) -> Row | None:
        """What is noted of a history; None for nothing."""
        with self._mutex, _translated(self.path):
            row = self._database.execute("SELECT * FROM histories WHERE id = ?", (history,)).fetchone()
        return dict(row) if row else None

    def ids(self, *states: str, condition: str = "1", values: Iterable[Any] = ()) -> list[str]:
        """The ids of the histories in these states (all without one), in order of their owners."""
        query = f"SELECT id FROM histories WHERE ({condition})" + (
            f" AND state IN ({', '.join('?' * len(states))})" if states else "") + " ORDER BY owner, name, id"
        with self._mutex, _translated(self.path):
            return [str(row[0]) for row in self._database.execute(query, (*values, *states))]

    def rows(self, *states: str, condition: str = "1", values: Iterable[Any] = ()) -> Iterator[Row]:
        """What is noted of each such history, as it is when its turn comes."""
        for history in self.ids(*states, condition=condition, values=values):
            if row := self.find(history):
                yield row

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> ExpiryLedger:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def describe(noted: Row, action: str, facts: HistoryFacts | None = None, date: str = "", reason: str = "") -> Row:
    """The row (FIELDS) that tells what was done to a history: of what is `noted`, or the newer `facts`."""
    return {"id": noted["id"], "name": facts.name if facts else noted["name"], "owner": noted["owner"],
            "size": facts.size if facts else noted["size"], "action": action, "date": date[:10], "reason": reason}


def is_touched(noted: Row, facts: HistoryFacts) -> bool:
    """Whether a history is another one than what was noted of it."""
    return (noted["update_time"], noted["marks"]) != (facts.update_time, facts.marks)


def _connect(place: str, synchronous: str = "FULL") -> sqlite3.Connection:
    database = sqlite3.connect(place, timeout=30, isolation_level=None, check_same_thread=False,
                               uri=place.startswith("file:"))
    with contextlib.ExitStack() as stack:
        stack.callback(database.close)
        database.row_factory = sqlite3.Row
        database.execute(f"PRAGMA synchronous = {synchronous}")
        stack.pop_all()
    return database


def _copy_in_memory(path: Path) -> sqlite3.Connection:
    with contextlib.ExitStack() as stack:
        copy = stack.enter_context(contextlib.closing(_connect(":memory:")))
        if path.exists() and path.stat().st_size:
            _back_up(path, copy)
        stack.pop_all()
    return copy


def _back_up(path: Path, copy: sqlite3.Connection) -> None:
    try:
        with contextlib.closing(_connect(f"{path.as_uri()}?mode=ro")) as database:
            database.backup(copy)
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            raise
        # A run was killed while it wrote. What it left is taken back in a copy, for nobody writes the ledger now.
        with tempfile.TemporaryDirectory() as folder:
            for end in ("", "-journal"):
                shutil.copyfile(f"{path}{end}", f"{folder}/ledger{end}")
            with contextlib.closing(_connect(f"{folder}/ledger")) as database:
                database.backup(copy)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Raise SQLite's and the system's errors as `GalaxyError`s of one line."""
    try:
        yield
    except sqlite3.Error as error:
        locked = "locked" in str(error)
        raise GalaxyError(f"{path}: {'another program has it locked' if locked else error}",
                          TRY_LATER if locked else 1) from None
    except OSError as error:
        raise GalaxyError(f"{error.filename or path}: {error.strerror or error}") from None
