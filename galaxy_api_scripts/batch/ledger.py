"""The ledger of a batch or a watched folder: a file with the state of each sample and each step of it.

One process at a time writes it, any number read it meanwhile: see ledger_reader.py. While it is open, SQLite's FILE-wal and
FILE-shm belong to it; once the writer has closed it, FILE alone is complete.
"""
from __future__ import annotations

import contextlib
import errno
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from common import TRY_LATER, USAGE, GalaxyError, one_line, redact, report_error
from galaxy_api_scripts.batch.ledger_reader import (
    APPLICATION_ID,
    FAILURE_STATES,
    SAMPLE_COLUMNS,
    SCHEMA,
    TEXT,
    UNFINISHED_STATES,
    connect,
    encode,
    read_schema,
    reject_special_file,
    translate_errors,
)
from galaxy_api_scripts.batch.notes import LedgerNotes, SampleNotes, Stage
from galaxy_api_scripts.files import create_private, open_locked, state_folder, state_path

TABLES = [
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE units (key TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
        place TEXT, history TEXT, invocation TEXT, failed_step TEXT, message TEXT, seen TEXT, begun TEXT, ended TEXT,
        notes TEXT NOT NULL DEFAULT '{}', stage TEXT)""",
    "CREATE INDEX units_by_state ON units (state)",
    "CREATE INDEX units_by_name ON units (name)",
    """CREATE TABLE steps (id INTEGER PRIMARY KEY, unit TEXT NOT NULL REFERENCES units (key), attempt INTEGER NOT NULL,
        step TEXT NOT NULL, begun TEXT NOT NULL, ended TEXT, outcome TEXT)""",
    "CREATE INDEX steps_by_unit ON steps (unit)",
]


def ledger_path(text: str | None, default: Path) -> Path:
    """The path that `--ledger` names (`text`), or `default` without that option."""
    if text is None and default.parent.is_dir() and not os.access(default.parent, os.W_OK):
        raise GalaxyError(f"{default}: the folder is read-only, so the ledger can't be there: --ledger=FILE names another "
                          "place", USAGE)
    return default if text is None else Path(text)


def utc_now() -> str:
    """The time in UTC (ISO 8601, seconds)."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Ledger:
    """All samples of one batch or watched folder, in the file `path`, which is created if need be. It can be passed as
    `checkpoint.Notes`: those on the whole.

    `about` says what it is for, such as `server=URL`, and is kept in it; `is_same_server(ledger)` is asked about another URL
    than the one in it. Raises `GalaxyError`, in any method: (TRY_LATER)
    while another process writes it, (USAGE) if it is for something else, and if it is no ledger or can't be written. Each
    change is on the disk when its method returns, or not made at all. Threads may share it. No secret gets into it.
    """

    def __init__(self, path: str | Path, is_same_server: Callable[[Ledger], bool] | None = None, **about: str):
        self.path = Path(os.path.realpath(path))    # a link to it is the same ledger, with the same lock
        self.notes = LedgerNotes()
        # One object a row, so that none is out of date.
        self._samples: WeakValueDictionary[str, Sample] = WeakValueDictionary()
        self._mutex = threading.RLock()
        with contextlib.ExitStack() as stack, translate_errors(self.path, opening=True):
            reject_special_file(self.path)
            private = state_path() in Path(path).parents
            if private:
                state_folder(*Path(path).parent.relative_to(state_path()).parts)
            stack.enter_context(_locked(self.path))
            if private:
                create_private(self.path)
            if self.path.exists() and not os.access(self.path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._database = connect(str(self.path))
            stack.callback(self._database.close)
            schema = read_schema(self._database, self.path)
            with contextlib.suppress(sqlite3.OperationalError):     # else SQLite's older kind of journal does as well here
                self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            with self.together():
                if schema < SCHEMA:
                    self._migrate() if schema else self._create()
                self._load_notes()
                self._check(about, is_same_server)
            self._stack = stack.pop_all()

    def _create(self) -> None:
        for statement in TABLES:
            self._database.execute(statement)
        self._database.executemany("INSERT INTO meta VALUES (?, ?)", [
            ("schema", str(SCHEMA)), ("made", utc_now()), ("notes", "{}")])
        self._database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._database.execute(f"PRAGMA user_version = {SCHEMA}")

    def _migrate(self) -> None:
        """Bring a ledger of schema 1 to this one, all within the transaction that is open."""
        self._database.execute("ALTER TABLE units ADD COLUMN stage TEXT")
        for stage in (row[0] for row in self.rows("SELECT DISTINCT step FROM steps UNION SELECT failed_step FROM units")):
            if stage and Stage.parse(stage) != stage:
                self._database.execute("UPDATE steps SET step = ? WHERE step = ?", (Stage.parse(stage), stage))
                self._database.execute("UPDATE units SET failed_step = ? WHERE failed_step = ?", (Stage.parse(stage), stage))
        self._database.execute("UPDATE units SET stage = (SELECT step FROM steps WHERE unit = key ORDER BY id DESC LIMIT 1)")
        for table, key, column, kind in (("units", "key", "notes", SampleNotes), ("meta", "name", "value", LedgerNotes)):
            only = " WHERE name = 'notes'" if table == "meta" else ""
            for row in self.rows(f"SELECT {key}, {column} FROM {table}{only}"):
                self._database.execute(f"UPDATE {table} SET {column} = {TEXT} WHERE {key} = {TEXT}",
                                       (encode(kind.from_json(row[column]).to_json()), encode(row[key])))
        self._database.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (str(SCHEMA),))
        self._database.execute(f"PRAGMA user_version = {SCHEMA}")

    def _check(self, about: dict[str, str], is_same_server: Callable[[Ledger], bool] | None) -> None:
        """Raise `GalaxyError` if this ledger is for something else than `about`; keep what it does not say yet."""
        known = {row["name"]: row["value"] for row in self.rows("SELECT name, value FROM meta")}
        for name, value in ((name, redact(str(value))) for name, value in about.items()):
            if known.get(name) == value:
                continue
            if name in known and not (name == "server" and is_same_server and is_same_server(self)):
                hint = ", and none of its histories was found there: --same-server says that it is the same server under " \
                    "another address; else name" if name == "server" and is_same_server else ":"
                raise GalaxyError(f"{self.path}: is the ledger of {name}={known[name]}, not {value}{hint} another "
                                  "--ledger=FILE", USAGE)
            if name in known:
                report_error(f"{self.path}: {value} is the same server as {known[name]}, so the ledger notes it from now on")
            self._database.execute(f"INSERT OR REPLACE INTO meta VALUES ({TEXT}, {TEXT})",
                                   (encode(redact(name)), encode(value)))

    def add(self, key: str, name: str, **facts: Any) -> Sample:
        """A new sample, in state `waiting`; `key`, which is no secret, is its own for ever. `facts`: see `Sample.save`."""
        with self.together():
            self.write(f"INSERT INTO units (key, name, state, attempt, seen) VALUES ({TEXT}, {TEXT}, 'waiting', 0, ?)",
                       encode(key), encode(redact(name)), utc_now())
            sample = self._select("key", encode(key))[0]
            if facts:
                sample.save(**facts)
        return sample

    def sample(self, key: str) -> Sample | None:
        """The sample with this key."""
        return next(iter(self._select("key", encode(key))), None)

    def samples(self, *states: str) -> list[Sample]:
        """The samples in one of these states, or all, in the order in which they were added."""
        return self._select("state", *map(encode, states)) if states else self._objects("SELECT * FROM units ORDER BY rowid")

    def samples_named(self, name: str) -> list[Sample]:
        """All samples of this name, the oldest first."""
        return self._select("name", encode(redact(name)))

    def _select(self, column: str, *values: bytes) -> list[Sample]:
        texts = ", ".join([TEXT] * len(values))
        return self._objects(f"SELECT * FROM units WHERE {column} IN ({texts}) ORDER BY rowid", *values)

    def _objects(self, query: str, *values: bytes) -> list[Sample]:
        with self._mutex:
            return [self._samples.get(row["key"]) or self._samples.setdefault(row["key"], Sample(self, row))
                    for row in self.rows(query, *values)]

    @property
    def data(self) -> dict[str, Any]:
        """The notes on the whole ledger that are set."""
        return self.notes.present()

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Change fields of `LedgerNotes`, None resets one; `durably` or not, they outlive a power failure."""
        with self.together():
            notes = self.notes.update(changes)
            self.write("UPDATE meta SET value = ? WHERE name = 'notes'", notes.to_json())
            self.notes = notes

    def _load_notes(self) -> None:
        for row in self.rows("SELECT value FROM meta WHERE name = 'notes'"):
            self.notes = LedgerNotes.from_json(row["value"])

    @contextmanager
    def together(self) -> Iterator[None]:
        """A transaction: all changes within go to the disk at once, or none if an exception ends it."""
        with self._mutex, translate_errors(self.path):
            if self._database.in_transaction:
                yield
                return
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield
                self._database.execute("COMMIT")
            finally:
                if self._database.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._database.execute("ROLLBACK")
                        self._reload()

    def _reload(self) -> None:
        """Have all objects say again what is in the file."""
        for key, sample in list(self._samples.items()):
            row = self._database.execute(f"SELECT * FROM units WHERE key = {TEXT}", (encode(key),)).fetchone()
            if row:
                sample.load(row)
            else:
                del self._samples[key]
        self._load_notes()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._mutex, translate_errors(self.path):
            return self._database.execute(query, values).fetchall()

    def write(self, statement: str, *values: Any) -> int:
        """Execute one statement that changes the ledger; the new row's id, of an INSERT."""
        with self.together():
            return self._database.execute(statement, values).lastrowid or 0

    @property
    def changes(self) -> int:
        """How many rows this process has changed so far."""
        return self._database.total_changes

    def tidy(self) -> None:
        """Move what is in the write-ahead log into the file, as far as no reader is in the way."""
        with self._mutex, contextlib.suppress(sqlite3.Error):
            if not self._database.in_transaction:
                self._database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Let other processes write it. FILE alone is complete then, and can be read in a read-only folder."""
        with self._mutex, self._stack, contextlib.suppress(sqlite3.Error):     # what fails here, the next process does
            self._database.execute("PRAGMA busy_timeout = 200")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._database.execute("PRAGMA journal_mode = DELETE")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Sample:
    """One sample of a ledger: its columns and `notes`, as they are in the file. It can be passed as `checkpoint.Notes`."""

    key: str
    name: str
    state: str              # one of SAMPLE_STATES
    stage: str | None       # the `Stage` that it has reached
    attempt: int            # how often it was begun
    place: str | None       # where its files or its row are, or where the files were moved
    history: str | None
    invocation: str | None
    failed_step: str | None     # a `Stage`, or the step of the workflow that failed
    message: str | None
    seen: str               # these three: in UTC (ISO 8601, seconds)
    begun: str | None
    ended: str | None
    notes: SampleNotes

    def __init__(self, ledger: Ledger, row: sqlite3.Row):
        self.ledger = ledger
        self.load(row)

    def load(self, row: sqlite3.Row) -> None:
        """Take over the columns of its row."""
        for name in SAMPLE_COLUMNS:
            setattr(self, name, row[name])
        self.notes = SampleNotes.from_json(row["notes"])

    @property
    def data(self) -> dict[str, Any]:
        """The columns and notes that are set."""
        columns = {name: getattr(self, name) for name in SAMPLE_COLUMNS}
        return {**self.notes.present(), **{name: value for name, value in columns.items() if value is not None}}

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Change columns and fields of `SampleNotes`, None resets one; `durably` or not, they outlive a power failure.

        A `state` brings its time with it, unless that is among the changes: running sets `begun`, and each one but
        UNFINISHED_STATES sets `ended`.
        """
        state = changes.get("state")
        finished = state is not None and state not in UNFINISHED_STATES
        if state == "running" and self.state != "running":
            changes = {"begun": utc_now(), "ended": None, **changes}
        elif finished:
            changes = {"ended": utc_now(), "reported": None, **changes}
        values = {name: _column_value(name, changes.pop(name)) for name in SAMPLE_COLUMNS[1:] if name in changes}
        key = encode(self.key)
        with self.ledger.together():
            values["notes"] = encode(self.notes.update(changes).to_json())
            self.ledger.write(f"UPDATE units SET {', '.join(f'{name} = {TEXT}' for name in values)} WHERE key = {TEXT}",
                              *values.values(), key)
            self.load(self.ledger.rows(f"SELECT * FROM units WHERE key = {TEXT}", key)[0])
        if finished:
            self.ledger.tidy()

    def reach(self, stage: Stage) -> None:
        """Save the stage, if it is a new one."""
        if self.stage != stage.value:
            self.save(stage=stage.value)

    @contextmanager
    def step(self, stage: Stage) -> Iterator[None]:
        """A step of this attempt: saved before it is taken, and at its end, with `ok` or the error's text."""
        with self.ledger.together():
            self.reach(stage)
            number = self.ledger.write(f"INSERT INTO steps (unit, attempt, step, begun) VALUES ({TEXT}, ?, ?, ?)",
                                       encode(self.key), self.attempt, stage.value, utc_now())
        end = "UPDATE steps SET ended = ?, outcome = CAST(? AS TEXT) WHERE id = ?"
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(GalaxyError):      # of the two errors the first one matters
                self.ledger.write(end, utc_now(), encode(one_line(redact(describe_error(error)))), number)
            raise
        self.ledger.write(end, utc_now(), "ok", number)


def _column_value(name: str, value: Any) -> bytes | int | None:
    """A column's value, without secrets; what people read in a table is one line."""
    if value is None or isinstance(value, int):
        return value
    text = redact(str(value))
    return encode(one_line(text) if name in ("failed_step", "message") else text)


def describe_error(error: BaseException) -> str:
    """An exception, for a message or as the outcome of a step."""
    if isinstance(error, GalaxyError):
        return str(error)
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
    return "interrupted" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}".removesuffix(": ")


def acknowledge(path: str | Path, names: list[str]) -> None:
    """Note that a person knows of the failures of the samples with these names, until one fails in another attempt.

    It needs no lock: SQLite lets it write between two changes of a process that works on the ledger. Raises `GalaxyError`
    (USAGE) if none of that name has failed.
    """
    states = ", ".join(f"'{state}'" for state in FAILURE_STATES)
    with translate_errors(Path(path), opening=True):
        os.stat(path)
        reject_special_file(Path(path))
        with contextlib.closing(connect(os.path.realpath(path))) as database:
            if not read_schema(database, Path(path)):
                raise GalaxyError(f"{path}: nothing is in it", USAGE)
            database.execute("BEGIN IMMEDIATE")
            database.execute("CREATE TABLE IF NOT EXISTS acknowledged (unit TEXT NOT NULL, attempt INTEGER NOT NULL, "
                             "seen TEXT NOT NULL, PRIMARY KEY (unit, attempt))")
            for name in names:
                failed = f"FROM units WHERE name = {TEXT} AND state IN ({states})"
                if not database.execute(f"SELECT 1 {failed}", (encode(redact(name)),)).fetchone():
                    raise GalaxyError(f"--acknowledge={name}: no sample of that name has failed", USAGE)
                database.execute(f"INSERT OR IGNORE INTO acknowledged SELECT key, attempt, ? {failed}",
                                 (utc_now(), encode(redact(name))))
            database.execute("COMMIT")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The lock of the ledger at `path`, which the kernel lets go of however its process ends: that of the file FILE.lock,
    because SQLite's own locks on FILE are lost when any descriptor of it is closed."""
    lock = path.with_name(f"{path.name}.lock")
    reject_special_file(lock)
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
