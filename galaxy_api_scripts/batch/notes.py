"""What a ledger knows of a sample besides its state: the stage it has reached, and the facts that the next process resumes
it from.

Ledgers of schema 1 held other names; `Stage.parse` and `from_json` read these too, so a reader needs no migration.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, TypeVar

from common import redact_all


class Stage(str, Enum):
    """What is done for a sample, in this order: the columns `stage` and `failed_step` and the table of steps hold the
    values."""

    DETECT = "detect"       # a watched folder takes it: its files are complete
    HISTORY = "history"     # find or create its history
    SEND = "send"           # send its files
    UPLOAD = "upload"       # wait until Galaxy has made datasets of them, and compare these with the files
    SUBMIT = "submit"       # submit its invocation, exactly once
    RERUN = "rerun"         # run the failed jobs of an earlier attempt's invocation again, in place
    RUN = "run"             # poll the invocation
    FINISH = "finish"       # cancel duplicates of the invocation
    DELIVER = "deliver"     # download its results
    SHARE = "share"         # share its history
    MOVE = "move"           # a watched folder moves its files away
    NOTIFY = "notify"       # and runs the user's command

    @classmethod
    def parse(cls, text: str) -> str:
        """The stage's value, where `text` is what schema 1 called it; else `text`, which may be a step of the workflow."""
        return _STAGES_OF_SCHEMA_1.get(text, text)

    __str__ = str.__str__


_STAGES_OF_SCHEMA_1 = {
    "files seen": "detect", "history made": "history", "sent": "send", "uploaded": "upload", "submitted": "submit",
    "watched": "run", "finished": "finish", "delivered": "deliver", "moved": "move", "told": "notify"}
_FIELDS_OF_SCHEMA_1 = {
    "marked": "unique_title", "own": "own_history", "asked_history": "history_requested",
    "histories_before": "older_histories", "sent": "sent_at", "making": "making_since", "sent_again": "resends",
    "tried": "earlier_runs", "looked": "last_poll", "stamp": "fingerprint", "mark": "history_mark",
    "shared": "shared_uploads", "seen": "arrivals"}

NotesT = TypeVar("NotesT", bound="BaseNotes")


@dataclass(frozen=True)
class BaseNotes:
    """Notes that are kept as JSON: only what differs from its default, and no secrets."""

    @classmethod
    def from_json(cls: type[NotesT], text: str) -> NotesT:
        """The notes in a column's text, of any schema."""
        known = {one.name for one in fields(cls)}
        loaded = {_FIELDS_OF_SCHEMA_1.get(name, name): value for name, value in json.loads(text).items()}
        return cls(**{name: value for name, value in loaded.items() if name in known})

    def to_json(self) -> str:
        return json.dumps(self.present())

    def present(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        default = type(self)()
        return {one.name: getattr(self, one.name) for one in fields(self)
                if getattr(self, one.name) != getattr(default, one.name)}

    def update(self: NotesT, changes: Mapping[str, Any]) -> NotesT:
        """These notes with `changes`, where None resets a field to its default; TypeError for a name that is no field."""
        default = type(self)()
        return replace(self, **{name: getattr(default, name, None) if value is None else redact_all(value)
                                for name, value in changes.items()})


@dataclass(frozen=True)
class SampleNotes(BaseNotes):
    """What is noted on one sample. Times are in seconds since 1970."""

    purpose: str = ""               # digest of its name and of what is to be run, but for its files' contents
    files: dict[str, list[Any]] = field(default_factory=dict)   # uploaded: {path: [bytes, mtime in ns, SHA-256 or ""]}
    workflow: str = ""              # id, by which a process that no longer has the sample's row finds its invocation
    title: str = ""                 # its history's name
    unique_title: bool = False      # the title ends with the sample's key, so that no other history can have it
    folder: str = ""                # the name of its folder of results, which no other sample of the ledger has

    history_requested: float | None = None      # when: where the answer was lost, the history is looked up by its name
    older_histories: list[str] = field(default_factory=list)    # ids of those that had this title before that
    own_history: bool = False       # it holds nothing but this sample: every invocation of its workflow there is its own

    sent_at: float | None = None        # when its files were sent for the first time
    making_since: float | None = None   # since when Galaxy has been making datasets of them
    resends: int = 0                    # how often they were sent again, because Galaxy had lost the job that does that
    inputs: dict[str, Any] | None = None    # as the invocation takes them, by index, once Galaxy has the datasets

    asked: float | None = None          # when its invocation was requested; this and the two below: see `submit_once`
    known: list[str] | None = None      # the id of the newest invocation in the history before that, if there was one
    tries: int = 0                      # how often it was requested without an answer
    earlier_runs: list[str] = field(default_factory=list)       # ids of its invocations in earlier attempts
    restarts: int = 0                   # how often it was run again because Galaxy's restart had killed a job
    last_poll: list[Any] | None = None  # [jobs_summary, since when it is like that]
    rerun: str = ""                     # "wanted" or "sent": its failed jobs are run again in place, see `batch.retry`
    reruns: dict[str, dict[str, Any]] = field(default_factory=dict)     # {failed job: what is noted on its rerun}
    shared_with: list[str] = field(default_factory=list)     # with whom its history was shared
    results: str | None = None          # the folder where its results are, once they are downloaded
    notified: str = ""                  # the message with which the user's command was run while its results are pending
    reported: bool = False              # whether its failure was in the exit status of a visit

    fingerprint: str = ""               # of a watched folder: that of the `IncomingUnit` that it was made of
    moving: dict[str, Any] | None = None    # and the `IncomingUnit` that is being moved away, by `dataclasses.asdict`


@dataclass(frozen=True)
class LedgerNotes(BaseNotes):
    """What is noted on a ledger as a whole."""

    history_mark: str = ""              # letters that end the names of the histories that all its samples share
    histories: dict[str, str] = field(default_factory=dict)     # {title: id} of these
    history_requested: float | None = None      # when the last of them was; this and the next: see `SampleNotes`
    older_histories: list[str] = field(default_factory=list)
    # Files that several samples take, {file: {"id": its dataset, "sha256": ...}}: see `SharedUploads`
    shared_uploads: dict[str, dict[str, str]] = field(default_factory=dict)
    arrivals: dict[str, list[Any]] = field(default_factory=dict)    # in a watched folder: {place: [fingerprint, since when]}
    lanes: str = ""                     # how lanes are put together, as `Lanes.describe` writes it
    skipped: list[str] = field(default_factory=list)        # lines about what is left alone in a watched folder, told once
