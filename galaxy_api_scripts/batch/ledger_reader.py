"""Read a ledger while a batch may be writing it: its samples, their steps, and how many are in each state.

A ledger is an SQLite file, which other programs read too. Readers and the writer don't wait for each other.
"""
from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import TRY_LATER, GalaxyError, redact
from galaxy_api_scripts.batch.notes import SampleNotes, Stage

UNFINISHED_STATES = ["waiting", "running"]
FAILURE_STATES = ["failed", "fetch pending"]    # fetch pending: the run is ok, its results could not be downloaded yet
SAMPLE_STATES = [*UNFINISHED_STATES, "ok", *FAILURE_STATES, "superseded", "gone"]
SAMPLE_COLUMNS = ["key", "name", "state", "stage", "attempt", "place", "history", "invocation", "failed_step", "message",
                  "seen", "begun", "ended"]
STEP_COLUMNS = ["key", "name", "attempt", "step", "begun", "ended", "outcome"]

APPLICATION_ID = int.from_bytes(b"gxld", "big")     # PRAGMA application_id of a ledger
SCHEMA = 2          # PRAGMA user_version; schema 1 had no column stage, and other names for stages and notes
LOCK_TIMEOUT = 30   # seconds, for another program that has the file locked, such as `sqlite3` within a transaction
PAGE = 1000         # rows in memory at once
TEXT = "CAST(? AS TEXT)"    # a value as `encode` gives it: sqlite3 takes the name of a file that is not UTF-8 as bytes only


def read_samples(path: str | Path, states: Iterable[str] = (), name: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the samples in one of these states, or all; of this name, or any: `{column: value}` each (SAMPLE_COLUMNS) with
    `notes` (a dict), the oldest first, PAGE of them in memory. Raises `GalaxyError`."""
    for row in _read(path, "SELECT rowid AS number, * FROM units WHERE rowid > ?", "rowid", states, name):
        row.setdefault("stage", None)       # schema 1
        failed_step = row["failed_step"]
        yield {**row, "failed_step": failed_step and Stage.parse(failed_step),
               "notes": SampleNotes.from_json(row["notes"]).present()}


def read_failures(path: str | Path, name: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield, as `read_samples` does, what has failed and was neither mended nor acknowledged (`ledger.acknowledge`)."""
    with _open_for_reading(Path(path)) as database:
        known = {(row["unit"], row["attempt"]) for row in database.execute("SELECT * FROM acknowledged")} \
            if database and has_table(database, "acknowledged") else set()
    yield from (row for row in read_samples(path, FAILURE_STATES, name) if (row["key"], row["attempt"]) not in known)


def read_steps(path: str | Path, states: Iterable[str] = (), name: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the steps of such samples in the order in which they began, `{column: value}` each (STEP_COLUMNS)."""
    query = ("SELECT steps.id AS number, key, name, steps.attempt, step, steps.begun, steps.ended, outcome "
             "FROM steps CROSS JOIN units ON units.key = steps.unit WHERE steps.id > ?")
    for row in _read(path, query, "steps.id", states, name):
        yield {**row, "step": Stage.parse(row["step"])}


def read_facts(path: str | Path) -> dict[str, dict[str, Any]]:
    """`{sample's key: what facts.py has noted on it}`; {} where nothing was."""
    with _open_for_reading(Path(path)) as database:
        return {row["unit"]: json.loads(row["content"]) for row in database.execute("SELECT unit, content FROM facts")} \
            if database and has_table(database, "facts") else {}


def read_about(path: str | Path) -> dict[str, str]:
    """What the ledger is for: `server`, `user`, `folder`, when it was `made` ..., as far as it says."""
    with _open_for_reading(Path(path)) as database:
        return {row["name"]: row["value"] for row in database.execute("SELECT name, value FROM meta")} if database else {}


def count_states(path: str | Path, states: Iterable[str] = (), name: str | None = None) -> dict[str, int]:
    """`{state: number of such samples}`."""
    condition, values = _condition(states, name)
    query = f"SELECT state, count(*) FROM units WHERE 1{condition} GROUP BY state"
    with _open_for_reading(Path(path)) as database:
        return {state: number for state, number in database.execute(query, values)} if database else {}  # noqa: C416, rows


def read_lanes(path: str | Path) -> str | None:
    """The note `lanes` of a ledger, "" of one that was begun before there was such a note; None before its first sample."""
    if not os.path.exists(path):
        return None
    with _open_for_reading(Path(path)) as database:
        if not database:
            return None
        notes = database.execute("SELECT value FROM meta WHERE name = 'notes'").fetchone()
        lanes = str(json.loads(notes[0] if notes else "{}").get("lanes") or "")
        begun = database.execute("SELECT 1 FROM units LIMIT 1").fetchone()
    return lanes if begun else None


def _read(path: str | Path, query: str, order: str, states: Iterable[str], name: str | None) -> Iterator[dict[str, Any]]:
    condition, values = _condition(states, name)
    query = f"{query}{condition} ORDER BY {order} LIMIT {PAGE}"
    with _open_for_reading(Path(path)) as database:
        last, length = 0, PAGE
        while database and length == PAGE:      # page by page, so that a slow reader holds no lock between them
            page = [dict(row) for row in database.execute(query, (last, *values))]
            length = len(page)
            for row in page:
                last = row.pop("number")
                yield row


def _condition(states: Iterable[str], name: str | None) -> tuple[str, list[Any]]:
    chosen = list(states)
    # + keeps SQLite from the index, with which it would sort all of them for every page.
    condition = f" AND +units.state IN ({', '.join('?' * len(chosen))})" if chosen else ""
    if name is None:
        return condition, chosen
    return f"{condition} AND units.name = {TEXT}", [*chosen, encode(redact(name))]


@contextmanager
def _open_for_reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The database, to be read only; None if nothing is in it yet."""
    path = Path(os.path.realpath(path))
    with translate_errors(path, opening=True):
        reject_special_file(path)
        path.stat()
        if not os.access(path, os.R_OK):    # not by opening it: a writer in this process would lose its locks
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        database = connect(f"{path.as_uri()}?mode=ro")
        try:
            try:
                schema = read_schema(database, path)
            except sqlite3.OperationalError as error:
                # In a read-only folder SQLite can't create FILE-shm. Without a log it needs none.
                if "unable to open" not in str(error):
                    raise
                database.close()
                log = path.with_name(f"{path.name}-wal")
                if log.exists() and log.stat().st_size:
                    raise GalaxyError(f"{path}: its last writer was killed: copy it with {log.name} to a folder that can be "
                                      "written to, and read it there") from None
                database = connect(f"{path.as_uri()}?immutable=1")
                schema = read_schema(database, path)
            yield database if schema else None
        finally:
            database.close()


# ------------------------------------------------------------------------------------------- shared with the writer

def connect(place: str) -> sqlite3.Connection:
    """A connection to a path or URI that commits each statement by itself until BEGIN."""
    database = sqlite3.connect(place, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False,
                               uri=place.startswith("file:"))
    database.row_factory = sqlite3.Row
    database.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    return database


def read_schema(database: sqlite3.Connection, path: Path) -> int:
    """The version of the ledger's schema; 0 of an empty file. Raises `GalaxyError` if it is no ledger, or a newer one."""
    application, schema, content = (database.execute(query).fetchone()[0] for query in (
        "PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master"))
    if (application, schema, content) == (0, 0, 0):
        return 0
    if application != APPLICATION_ID:
        raise GalaxyError(f"{path}: a database, but no ledger: name another file")
    if schema > SCHEMA:
        raise GalaxyError(f"{path}: a ledger of schema {schema}, written by newer scripts: these read up to schema {SCHEMA}")
    return int(schema)


def has_table(database: sqlite3.Connection, name: str) -> bool:
    """Whether the ledger has a table that its first row makes: `acknowledged` (failures) or `facts`."""
    return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone())


def encode(value: str) -> bytes:
    """A text for a `TEXT` parameter: the bytes of a file's name as they are, whatever their encoding."""
    try:
        return value.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return value.encode(errors="backslashreplace")


def reject_special_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise GalaxyError(f"{path}: not a file")


@contextmanager
def translate_errors(path: Path, opening: bool = False) -> Iterator[None]:
    """Raise SQLite's errors as `GalaxyError`s of one line, and the system's too while the file is `opening`."""
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
