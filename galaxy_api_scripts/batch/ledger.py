"""What became of each unit of work, a sample or a folder, and of each step of it, in a file that outlives every run.

It is a file of SQLite, which other programs read too, such as `sqlite3 FILE "select name, state from units"`. One process at
a time writes it, any number read it meanwhile. While it is written, SQLite keeps FILE-wal and FILE-shm beside it, which
belong to it; once its writer has ended, FILE alone is whole.
"""
from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from common import TRY_LATER, USAGE, GalaxyError, one_line, redact
from galaxy_api_scripts.files import create_private, open_locked, state_folder, state_path

UNFINISHED_STATES = ["waiting", "running"]
SAMPLE_STATES = [*UNFINISHED_STATES, "ok", "failed", "gone"]
SAMPLE_COLUMNS = ["key", "name", "state", "attempt", "place", "history", "invocation", "failed_step", "message", "seen", "begun",
           "ended"]
STEP_COLUMNS = ["key", "name", "attempt", "step", "begun", "ended", "outcome"]

APPLICATION = int.from_bytes(b"gxld", "big")    # what PRAGMA application_id says of a ledger
SCHEMA = 1                                      # and PRAGMA user_version
PATIENCE = 30       # seconds, for another program that has the file locked, as `sqlite3` in the midst of a change
PAGE = 1000         # rows that a reader has in memory

TABLES = [
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE units (key TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
        place TEXT, history TEXT, invocation TEXT, failed_step TEXT, message TEXT, seen TEXT, begun TEXT, ended TEXT,
        notes TEXT NOT NULL DEFAULT '{}')""",
    "CREATE INDEX units_by_state ON units (state)",
    "CREATE INDEX units_by_name ON units (name)",
    """CREATE TABLE steps (id INTEGER PRIMARY KEY, unit TEXT NOT NULL REFERENCES units (key), attempt INTEGER NOT NULL,
        step TEXT NOT NULL, begun TEXT NOT NULL, ended TEXT, outcome TEXT)""",
    "CREATE INDEX steps_by_unit ON steps (unit)",
]


def ledger_path(text: str | None, otherwise: Path) -> Path:
    """The ledger's path: what `--ledger` says, `text`, or `otherwise` where it was not given."""
    if text is not None and not text.strip():
        raise GalaxyError("--ledger is empty: is a variable unset?", USAGE)
    if text is None and otherwise.parent.is_dir() and not os.access(otherwise.parent, os.W_OK):
        raise GalaxyError(f"{otherwise}: the ledger can not be written there: --ledger=FILE names another place",
                      USAGE)
    return otherwise if text is None else Path(text)


def utc_now() -> str:
    """The time in UTC (ISO 8601, seconds)."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# --------------------------------------------------------------------------------------------------- for its one writer

class Ledger:
    """All units of work of one batch or watched folder, in the file `path`, which is made where it is not there.

    `about` says what it is for, as `server=URL`, and is noted in it. Raises `GalaxyError`: (TRY_LATER) where another process
    writes it, (USAGE) where it is for something else, and where it is no ledger or can't be written, in any method. Each
    change is on the disk when its method returns, or not made at all. Threads may share it. No key gets into it.
    """

    def __init__(self, path: str | Path, **about: str):
        self.path = Path(os.path.realpath(path))    # a link to it is the same ledger, with the same lock
        self.notes = LedgerMeta(self)
        self._mutex = threading.RLock()
        with contextlib.ExitStack() as opened, _sqlite_message(self.path, opening=True):
            _refuse_special_file(self.path)
            ours = state_path() in Path(path).parents
            if ours:
                state_folder(*Path(path).parent.relative_to(state_path()).parts)
            opened.enter_context(_locked(self.path))
            if ours:
                create_private(self.path)
            if self.path.exists() and not os.access(self.path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._base = _connected(str(self.path))
            opened.callback(self._base.close)
            fresh = not _schema(self._base, self.path)      # older ones than SCHEMA, once there are any, are migrated here
            with contextlib.suppress(sqlite3.OperationalError):     # else its journal is SQLite's older one, as good here
                self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            with self.together():
                if fresh:
                    self._make()
                self._check(about)
            self._opened = opened.pop_all()

    def _make(self) -> None:
        for statement in TABLES:
            self._base.execute(statement)
        self._base.executemany("INSERT INTO meta VALUES (?, ?)", [(
            "schema", str(SCHEMA)), ("made", utc_now()), ("notes", "{}")])
        self._base.execute(f"PRAGMA application_id = {APPLICATION}")
        self._base.execute(f"PRAGMA user_version = {SCHEMA}")

    def _check(self, about: dict[str, str]) -> None:
        """Refuse where this ledger is not for what `about` says; what it has not said yet is noted."""
        known = dict(self._all("SELECT name, value FROM meta"))
        for name, value in about.items():
            wanted = redact(str(value))
            if known.get(name, wanted) != wanted:
                raise GalaxyError(f"{self.path}: is the ledger of {name}={known[name]}, not {wanted}: another --ledger=FILE",
                              USAGE)
            if name not in known:
                self._base.execute(f"INSERT INTO meta VALUES ({TEXT}, {TEXT})", (_text(name), _text(value)))

    def add(self, key: str, name: str, **facts: Any) -> Sample:
        """A new unit, state `waiting`; `key`, which has no secret in it, is its own for ever. `facts` as `Unit.save` has
        them."""
        with self.together():
            self._write("INSERT INTO units (key, name, state, attempt, seen) "
                        f"VALUES ({TEXT}, {TEXT}, 'waiting', 0, ?)", _raw(key), _text(name), utc_now())
            unit = Sample(self, key)
            if facts:
                unit.save(**facts)
        return unit

    def unit(self, key: str) -> Sample | None:
        """The unit with this key."""
        return Sample(self, key) if self._all(f"SELECT 1 FROM units WHERE key = {TEXT}", _raw(key)) else None

    def units(self, *states: str) -> Iterator[Sample]:
        """The units that are in one of these states now, or all, in the order in which they were added."""
        only = f" WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        keys = self._all(f"SELECT key FROM units{only} ORDER BY rowid", *states)
        return (Sample(self, key) for key, in keys)

    def named(self, name: str) -> list[Sample]:
        """All units of this name, the oldest first."""
        keys = self._all(f"SELECT key FROM units WHERE name = {TEXT} ORDER BY rowid", _text(name))
        return [Sample(self, key) for key, in keys]

    def counts(self) -> dict[str, int]:
        """`{state: number of units}`."""
        return dict(self._all("SELECT state, count(*) FROM units GROUP BY state"))

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is changed within goes to the disk all at once: all of it, or none where an error ends it."""
        with self._mutex, _sqlite_message(self.path):
            if self._base.in_transaction:
                yield
                return
            try:
                self._base.execute("BEGIN IMMEDIATE")
                yield
                self._base.execute("COMMIT")
            finally:
                if self._base.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._base.execute("ROLLBACK")

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._mutex, _sqlite_message(self.path):
            return [tuple(row) for row in self._base.execute(query, values)]

    def _row(self, query: str, *values: Any) -> dict[str, Any]:
        with self._mutex, _sqlite_message(self.path):
            return dict(self._base.execute(query, values).fetchone())

    def _write(self, statement: str, *values: Any) -> int:
        """Do it, at once; the new row's id, of an INSERT."""
        with self.together():
            return self._base.execute(statement, values).lastrowid or 0

    def _tidy(self) -> None:
        """Put what is in the write-ahead log into the file, as far as no reader is in the way."""
        with self._mutex, contextlib.suppress(sqlite3.Error):
            if not self._base.in_transaction:
                self._base.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Let others write it. The file alone is whole then, and can be read in a folder that can't be written to."""
        with self._mutex, self._opened, contextlib.suppress(sqlite3.Error):     # what fails here, the next run does
            self._base.execute("PRAGMA busy_timeout = 200")
            self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._base.execute("PRAGMA journal_mode = DELETE")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class LedgerMeta:
    """What is noted on a whole ledger: `data`. It is taken wherever a `records.Record` is."""

    kept = True

    def __init__(self, ledger: Ledger):
        self.ledger = ledger

    @property
    def data(self) -> dict[str, Any]:
        """All that is noted."""
        return dict(json.loads(self.ledger._row("SELECT value FROM meta WHERE name = 'notes'")["value"]))

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Note `changes`, a value for each name, None to forget it; `durably` or not, they outlive a power failure."""
        with self.ledger.together():
            self.ledger._write("UPDATE meta SET value = ? WHERE name = 'notes'", _json(self.data, changes))

    def clear(self) -> None:
        """Forget what was noted."""
        self.save(False, **dict.fromkeys(self.data))

    def remove(self) -> None:
        """The thing has ended: forget what was noted."""
        self.clear()

    def close(self) -> None:
        """Nothing: it is the ledger that is closed."""


class Sample(LedgerMeta):
    """One unit of work; its columns (COLUMNS) are its attributes, as they are in the file now."""

    key: str
    name: str
    state: str
    attempt: int            # how often it was begun
    place: str | None       # where it is, or where its results go
    history: str | None
    invocation: str | None
    failed_step: str | None
    message: str | None
    seen: str               # these three: in UTC (ISO 8601, seconds)
    begun: str | None
    ended: str | None

    def __init__(self, ledger: Ledger, key: str):
        super().__init__(ledger)
        self.key = key

    def __getattr__(self, name: str) -> Any:
        if name not in SAMPLE_COLUMNS or name == "key":
            raise AttributeError(f"a unit has no {name}")
        return self._columns()[name]

    def _columns(self) -> dict[str, Any]:
        return self.ledger._row(f"SELECT * FROM units WHERE key = {TEXT}", _raw(self.key))

    @property
    def data(self) -> dict[str, Any]:
        """All that is noted: the columns that are set, and more."""
        columns = self._columns()
        notes = json.loads(columns.pop("notes"))
        return {**notes, **{name: value for name, value in columns.items() if value is not None}}

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Note `changes`, a value for each name, None to forget it; what is no column goes to the notes (JSON).

        A `state` brings its time with it, unless that is among the changes too: running sets `begun`, and one that is an
        end, as all are but those in MOVES, `ended`.
        """
        state = changes.get("state")
        ended = state is not None and state not in UNFINISHED_STATES
        with self.ledger.together():
            before = self._columns()
            if state == "running" and before["state"] != "running":
                changes = {"begun": utc_now(), "ended": None, **changes}
            elif ended:
                changes = {"ended": utc_now(), **changes}
            columns = {name: changes.pop(name) for name in SAMPLE_COLUMNS[1:] if name in changes}
            values: dict[str, Any] = {"notes": _json(json.loads(before["notes"]), changes)}
            for name, value in columns.items():
                values[name] = _one_line(value) if name in ("failed_step", "message") else _text(value)
            self.ledger._write(f"UPDATE units SET {', '.join(f'{name} = {TEXT}' for name in values)} WHERE key = {TEXT}",
                               *values.values(), _raw(self.key))
        if ended:
            self.ledger._tidy()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step of this attempt: noted before it is taken, and when it has ended, with `ok` or the error's text."""
        number = self.ledger._write(f"INSERT INTO steps (unit, attempt, step, begun) VALUES ({TEXT}, ?, {TEXT}, ?)",
                                    _raw(self.key), self.attempt, _one_line(name), utc_now())
        end = "UPDATE steps SET ended = ?, outcome = CAST(? AS TEXT) WHERE id = ?"
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(GalaxyError):      # of the two errors the first one matters
                self.ledger._write(end, utc_now(), _one_line(_step_result(error)), number)
            raise
        self.ledger._write(end, utc_now(), "ok", number)

    def clear(self) -> None:
        """Forget what came of it, for a fresh attempt: its notes, history, invocation, failed_step and message."""
        notes = json.loads(self._columns()["notes"])
        self.save(False, **dict.fromkeys([*notes, "history", "invocation", "failed_step", "message"]))

    def remove(self) -> None:
        """It has ended: forget its notes; the columns stay, for people."""
        self.save(False, **dict.fromkeys(json.loads(self._columns()["notes"])))


# A value as it comes, also where it is the name of a file that is not UTF-8, which sqlite3 takes as bytes only.
TEXT = "CAST(? AS TEXT)"


def _raw(value: str) -> bytes:
    try:
        return value.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return value.encode(errors="backslashreplace")


def _text(value: Any) -> bytes | int | None:
    """A column's value, without keys."""
    return value if value is None or isinstance(value, int) else _raw(redact(str(value)))


def _one_line(value: Any) -> bytes | None:
    return None if value is None else _raw(one_line(redact(str(value))))


def _json(before: dict[str, Any], changes: dict[str, Any]) -> str:
    """What is noted once `changes` are, without keys."""
    return json.dumps({name: value for name, value in {**before, **_without_keys(changes)}.items() if value is not None})


def _without_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_keys(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_keys(one) for one in value]
    return redact(value) if isinstance(value, str) else value


def _step_result(error: BaseException) -> str:
    """What ended a step, in words."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, GalaxyError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The lock of the ledger at `path`, which the kernel lets go of however its process ends: that of the file FILE.lock,
    because SQLite's own locks on FILE are lost when any descriptor of it is closed."""
    lock = path.with_name(f"{path.name}.lock")
    _refuse_special_file(lock)
    try:
        descriptor = open_locked(lock)
    except BlockingIOError:
        raise GalaxyError(f"{path}: {_lock_holder(lock)} is at work on it", TRY_LATER) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {utc_now()}\n".encode(), 0)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()
    finally:
        os.close(descriptor)


def _lock_holder(lock: Path) -> str:
    """Which run holds `lock`, for a message: it writes that a moment after it has the lock."""
    for _ in range(20):
        with contextlib.suppress(OSError):
            holder = re.match(r"([0-9]+) ([0-9-]+)T([0-9:]+)Z\n", lock.read_text("utf-8", "replace"))
            if holder:
                return "run {} (since {} {} UTC)".format(*holder.groups())
        time.sleep(0.01)
    return "another run"


# ----------------------------------------------------------------------------------------------------- for its readers

def read_samples(path: str | Path, states: Iterable[str] = (), name: str | None = None) -> Iterator[dict[str, Any]]:
    """The units, `{column: value}` each with their `notes` as well, in the order in which they were added: those in one of
    these states or all, of this name or any. A thousand at a time are in memory.

    A reader waits for nobody and nobody for it, and it changes nothing. Raises `GalaxyError`.
    """
    return _read(path, "SELECT rowid AS number, * FROM units WHERE rowid > ?", "rowid", states, name)


def read_steps(path: str | Path, states: Iterable[str] = (), name: str | None = None) -> Iterator[dict[str, Any]]:
    """The steps of such units, `{column: value}` each (STEP_COLUMNS), in the order in which they were begun."""
    return _read(path, "SELECT steps.id AS number, key, name, steps.attempt, step, steps.begun, steps.ended, outcome "
                       "FROM steps CROSS JOIN units ON units.key = steps.unit WHERE steps.id > ?", "steps.id", states, name)


def count_states(path: str | Path, states: Iterable[str] = (), name: str | None = None) -> dict[str, int]:
    """`{state: number of such units}`."""
    only, values = _where(states, name)
    query = f"SELECT state, count(*) FROM units WHERE 1{only} GROUP BY state"
    with _reading(Path(path)) as base:
        return {state: number for state, number in base.execute(query, values)} if base else {}  # noqa: C416, rows


def _read(path: str | Path, query: str, order: str, states: Iterable[str], name: str | None) -> Iterator[dict[str, Any]]:
    only, values = _where(states, name)
    with _reading(Path(path)) as base:
        last, found = 0, PAGE
        while base and found == PAGE:       # page by page, so that whoever reads slowly locks nothing meanwhile
            page = [dict(row) for row in base.execute(f"{query}{only} ORDER BY {order} LIMIT {PAGE}", (last, *values))]
            found = len(page)
            for row in page:
                last = row.pop("number")
                if "notes" in row:
                    row["notes"] = json.loads(row["notes"])
                yield row


def _where(states: Iterable[str], name: str | None) -> tuple[str, list[Any]]:
    chosen = list(states)
    # + keeps SQLite from the index, with which it would sort all of them for every page.
    only = f" AND +units.state IN ({', '.join('?' * len(chosen))})" if chosen else ""
    return only + (f" AND units.name = {TEXT}" if name is not None else ""), chosen + ([] if name is None else [_text(name)])


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The ledger, to be read only; None where nothing is in it yet."""
    path = Path(os.path.realpath(path))
    with _sqlite_message(path, opening=True):
        _refuse_special_file(path)
        path.stat()
        if not os.access(path, os.R_OK):    # not by opening it: a writer in this process would lose its locks
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        base = _connected(f"{path.as_uri()}?mode=ro")
        try:
            try:
                made = _schema(base, path)
            except sqlite3.OperationalError as error:
                # SQLite can't make FILE-shm in a folder that can't be written to. Where there is no log, none is wanted.
                if "unable to open" not in str(error):
                    raise
                base.close()
                log = path.with_name(f"{path.name}-wal")
                if log.exists() and log.stat().st_size:
                    raise GalaxyError(f"{path}: its last writer was killed: copy it with {log.name} to a folder that can be "
                                  "written to, and read it there") from None
                base = _connected(f"{path.as_uri()}?immutable=1")
                made = _schema(base, path)
            yield base if made else None
        finally:
            base.close()


# ------------------------------------------------------------------------------------------------------------- for both

def _connected(place: str) -> sqlite3.Connection:
    """A connection to the path or URI, in which each statement is on its own until BEGIN."""
    base = sqlite3.connect(place, timeout=PATIENCE, isolation_level=None, check_same_thread=False,
                           uri=place.startswith("file:"))
    base.row_factory = sqlite3.Row
    base.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    return base


def _schema(base: sqlite3.Connection, path: Path) -> int:
    """The version of the ledger's schema; 0 where there is nothing in the file yet, as where its maker was killed. `GalaxyError`
    where it is none that this code knows."""
    application, schema, content = (base.execute(query).fetchone()[0] for query in (
        "PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master"))
    if (application, schema, content) == (0, 0, 0):
        return 0
    if application != APPLICATION:
        raise GalaxyError(f"{path}: a database, but no ledger: name another file")
    if schema > SCHEMA:
        raise GalaxyError(f"{path}: a ledger of schema {schema}, which newer scripts have made: these know {SCHEMA}")
    return int(schema)


def _refuse_special_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise GalaxyError(f"{path}: not a file")


@contextmanager
def _sqlite_message(path: Path, opening: bool = False) -> Iterator[None]:
    """What SQLite has against it, and where it is `opening` the system, as one line."""
    try:
        yield
    except sqlite3.Error as error:
        why = str(error)
        if "locked" in why:
            raise GalaxyError(f"{path}: another program has it locked: let that end first", TRY_LATER) from None
        if "not a database" in why:
            raise GalaxyError(f"{path}: is no ledger: name another file") from None
        if "malformed" in why:
            raise GalaxyError(f"{path}: damaged ({why}): move it and its -wal away, and put a copy in its place") from None
        raise GalaxyError(f"{path}: {why}") from None
    except OSError as error:
        if not opening:
            raise
        raise GalaxyError(f"{error.filename or path}: {error.strerror}") from None
