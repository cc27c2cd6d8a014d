"""What a Galaxy server can do, by its release: 24.1 and later are served.

Since when a server can do a thing stands in `SINCE`. A server that is newer than these is taken for the newest. One that
hides its release, or says something odd, is taken for one that can, until its own answer shows that it can't
(`learn_lacking`).
"""
from __future__ import annotations

import re
import threading
from typing import Any
from weakref import WeakKeyDictionary

from common import FAILED, TRY_LATER, Galaxy, GalaxyError, one_line, report_error

Release = tuple[int, int]

# What is asked for by name: the release that has it first, and what it is in words.
FETCH_HASHES, FIRST_BYTES = "hashes in a fetch", "bytes in the request that creates an upload's session"
LIBRARY_DISPLAY, ON_COMPLETE = "display of a library's dataset", "on_complete of an invocation"
INVOCATION_METRICS, INVOCATION_REQUEST = "metrics of an invocation", "request of an invocation"
SAMPLE_SHEETS, FETCHED_FOLDERS = "records and sample sheets", "folders of a library made by a fetch"
SUBWORKFLOW_JOBS, SINGLE_READS = "jobs of subworkflows in an invocation's summary", "collections of pairs and single reads"
DECIMAL_SIZES, QUOTA_GROUPS = "decimal sizes", "quotas of groups"
SINCE: dict[str, Release] = {
    FETCH_HASHES: (24, 2),      # before it an element takes `MD5`, and compares it if the request says `validate_hashes`
    INVOCATION_METRICS: (24, 2),    # before it each job is asked for its own
    INVOCATION_REQUEST: (24, 2),    # before it nothing tells which parameters a run had
    LIBRARY_DISPLAY: (25, 0),   # before it an error 500; another route gives the bytes
    SINGLE_READS: (25, 0),      # before it no collection is `paired_or_unpaired`
    SAMPLE_SHEETS: (25, 1),     # before it there are no such collections
    FETCHED_FOLDERS: (26, 0),   # before it Celery's worker fails over them, and the job stays `running`
    FIRST_BYTES: (26, 0),       # before it they are dropped, and the session has none
    SUBWORKFLOW_JOBS: (26, 0),  # before it each subworkflow is asked for its own
    ON_COMPLETE: (26, 0),       # before it the field is ignored
    QUOTA_GROUPS: (26, 1),      # before it a quota that has groups is an error 500 when it is read
    DECIMAL_SIZES: (26, 1),     # before it a quota of 1 GB is one of 2^30 bytes
}
# What an old server ignores without a word, so that one of an unknown release is not trusted with it.
SILENT = {ON_COMPLETE, SUBWORKFLOW_JOBS}

_releases: WeakKeyDictionary[Galaxy, Release | None] = WeakKeyDictionary()
_versions: WeakKeyDictionary[Galaxy, str] = WeakKeyDictionary()
_lacking: WeakKeyDictionary[Galaxy, set[str]] = WeakKeyDictionary()
_told: WeakKeyDictionary[Galaxy, set[str]] = WeakKeyDictionary()
_lock = threading.Lock()       # of `_told`


def fetch_release(galaxy: Galaxy) -> Release | None:
    """The server's release, such as (25, 0), asked of it once (`GET /api/version`); None if it does not tell."""
    if galaxy not in _releases:
        _releases[galaxy] = parse_release(fetch_version(galaxy))
    return _releases[galaxy]


def parse_release(version: str) -> Release | None:
    """The release of a version such as `26.1.1`; None for one that names none."""
    numbers = re.match(r"(\d{2})\.(\d{1,2})\b", version)
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def fetch_version(galaxy: Galaxy) -> str:
    """The server's version as it tells it, such as `26.1.1`, asked of it once; "" if it does not tell."""
    if galaxy not in _versions:
        try:
            answer = galaxy.get("version")
        except GalaxyError as error:
            if error.exit_code == TRY_LATER:
                raise
            answer = None
        _versions[galaxy] = join_version(answer)
    return _versions[galaxy]


def join_version(answer: Any) -> str:
    """The version in an answer to `GET /api/version`, such as `26.1.1`; "" if it does not tell."""
    parts = [answer.get(f"version_{part}") for part in ("major", "minor")] if isinstance(answer, dict) else []
    return ".".join(str(part) for part in parts if part not in (None, ""))


def supports(galaxy: Galaxy, feature: str, ask: bool = True) -> bool:
    """Whether the server has a feature of `SINCE`. Unless to `ask`, True where nothing that was asked before says otherwise:
    for what shows by itself in the answer, and has to cost a new server no request."""
    if feature in _lacking.get(galaxy, ()):
        return False
    release = fetch_release(galaxy) if ask else _releases.get(galaxy)
    return release >= SINCE[feature] if release else feature not in SILENT


def learn_lacking(galaxy: Galaxy, feature: str) -> bool:
    """Whether the server lacks a feature, as its answer to a request suggests; True, and remembered, unless it is of a
    release that has it."""
    release = fetch_release(galaxy)
    if release and release >= SINCE[feature]:
        return False
    _lacking.setdefault(galaxy, set()).add(feature)
    return True


def require(galaxy: Galaxy, feature: str, task: str, otherwise: str) -> None:
    """Raise `GalaxyError` if the server lacks a feature that `task` needs; `otherwise` is what to do in its place."""
    if not supports(galaxy, feature):
        raise GalaxyError(f"{task} needs Galaxy {describe(SINCE[feature])} or later, and {galaxy.base} is "
                          f"{describe(fetch_release(galaxy))}: {otherwise}", FAILED)


def require_collection_type(galaxy: Galaxy, kind: str) -> None:
    """Raise `GalaxyError` if the server knows no collections of the type `kind`."""
    parts = kind.split(":")
    for feature, names in ((SAMPLE_SHEETS, {"record", "sample_sheet"}), (SINGLE_READS, {"paired_or_unpaired"})):
        if names & {*parts}:
            require(galaxy, feature, f"a collection of type {kind}", "make a list there")


def warn_once(galaxy: Galaxy, text: str) -> None:
    """Say once what this server's release makes weaker than a newer one's."""
    with _lock:
        is_new = text not in _told.setdefault(galaxy, set())
        _told[galaxy].add(text)
    if is_new:
        report_error(f"warning: {galaxy.base} is Galaxy {describe(fetch_release(galaxy))}: {one_line(text)}")


def describe(release: Release | None) -> str:
    """A release as people write it."""
    return "{}.{}".format(*release) if release else "of an unknown release"
