"""Which sample is which, and how one begins again.

A sample is identified by its name, its purpose (what is to be run, see `RunRequest.purpose`) and the contents of its files;
a change in any of them makes a new one.
"""
from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from common import Galaxy
from galaxy_api_scripts.batch.ledger import Ledger, Sample
from galaxy_api_scripts.batch.ledger_reader import FAILURE_STATES
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.batch.retry import WANTED, failed_in_jobs
from galaxy_api_scripts.batch.shared_uploads import is_usable
from galaxy_api_scripts.datasets.hashing import hash_files
from galaxy_api_scripts.datasets.target_history import KEY_LENGTH, NAME_LENGTH, name_with_key
from galaxy_api_scripts.files import safe_name
from galaxy_api_scripts.workflows.run import RunRequest

MAX_FOLDER_BYTES = 255      # what file systems take


def find_or_add(ledger: Ledger, name: str, request: RunRequest, purpose: Any = None, place: str = "", title: str = "",
                unique_title: bool = True) -> Sample:
    """The sample of that name for that request: the one in the ledger, or a new one. See `BatchRunner.submit`."""
    purpose = stable_hash(name, portable_purpose(request) if purpose is None else purpose)
    files = {path: [*stat, ""] for path, stat in request.files.items()}
    parts = {path: paths for source in request.sources for path, paths in source.files.items()}
    namesakes = ledger.samples_named(name)
    known = next((sample for sample in reversed(namesakes)
                  if sample.notes.purpose == purpose and _has_files(sample, files, parts)), None)
    supersede((sample for sample in namesakes if sample is not known), place)
    if known:
        if known.state == "superseded":     # its old input is back
            known.save(state="failed")
        if not known.notes.folder:
            known.save(folder=_choose_folder(ledger, name, known.key, namesakes))
        return known
    key = stable_hash(purpose, files)
    title = title or f"{name} - {request.workflow['name']}"
    return ledger.add(key, name, place=place, workflow=request.workflow["id"], purpose=purpose, files=files,
                      title=name_with_key(title, key) if unique_title else title[:NAME_LENGTH],
                      unique_title=unique_title, folder=_choose_folder(ledger, name, key, namesakes))


def supersede(samples: Iterable[Sample], place: str) -> None:
    """Close those that have failed of these samples of one name, if what stands at `place` now has taken their place."""
    for sample in samples:
        if sample.state in FAILURE_STATES and _row(sample.place) == _row(place):
            # Where nothing was downloaded, the folder is free.
            never_fetched = sample.state == "failed" and sample.failed_step != Stage.DELIVER and not sample.notes.results
            sample.save(state="superseded", folder=None if never_fetched else sample.notes.folder)


def _row(place: str | None) -> str:
    """Where a name stands for one thing only: a sheet, however its path was typed, or a place in a watched folder."""
    sheet = re.fullmatch(r"(?:.*/)?([^/]+), line [0-9]+", place or "", re.DOTALL)
    return sheet[1] if sheet else place or ""


def _has_files(sample: Sample, files: dict[str, list[Any]], parts: dict[str, tuple[str, ...]]) -> bool:
    """Whether these are the sample's files, by path, size and time, or else by content, which is in the `parts` of each; if
    so, it takes over their paths."""
    known = sample.notes.files
    if known == files:
        return True
    if sample.state == "waiting" and not (sample.notes.inputs or sample.invocation):
        sample.save(files=files)        # nothing was uploaded yet
        return True
    # Paired in the order of their names: their folder may have been moved.
    before, after = (sorted(content, key=lambda path: (os.path.basename(path), path)) for content in (known, files))
    if [known[path][0] for path in before] != [files[path][0] for path in after]:
        return False
    for old, new in zip(before, after):
        if [old, *known[old][:2]] != [new, *files[new][:2]] and (
                not known[old][2] or hash_files(parts[new], "SHA-256") != known[old][2]):
            return False
    hashes = {new: known[old][2] for old, new in zip(before, after)}
    files = {path: [*stat[:2], hashes[path]] for path, stat in files.items()}
    if files != known:
        sample.save(files=files)
    return True


def _choose_folder(ledger: Ledger, name: str, key: str, namesakes: list[Sample]) -> str:
    """The name of a folder for the sample with that key, which no other sample has: its own, or NAME.2 and so on."""
    used = {other.notes.folder for other in namesakes}
    number = next(number for number in itertools.count(1) if (f"{name}.{number}" if number > 1 else name) not in used)
    folder = f"{name}.{number}" if number > 1 else name
    others = ledger.samples_named(folder if number > 1 else name.rpartition(".")[0])
    taken = any(other.notes.folder == folder for other in others)
    if safe_name(folder) == folder and len(folder.encode()) <= MAX_FOLDER_BYTES and not taken:
        return folder
    return safe_name(name, f" [{key[:KEY_LENGTH]}]")


def portable_purpose(request: RunRequest) -> Any:
    """A request's purpose, with files by their names where these are unambiguous, whatever their folders."""
    names = {path: " + ".join(map(os.path.basename, paths)) for source in request.sources
             for path, paths in source.files.items()}
    counts = Counter(names.values())
    names = {path: name for path, name in names.items() if counts[name] == 1}

    def shorten_paths(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: names.get(inner, inner) if key == "upload" else shorten_paths(inner)
                    for key, inner in value.items()}
        return [shorten_paths(inner) for inner in value] if isinstance(value, list) else value

    return shorten_paths(request.purpose)


def stable_hash(*values: Any) -> str:
    """A digest of values of JSON, the same in every process."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


# ------------------------------------------------------------------------------------------------------ to begin again

def begin_again(galaxy: Galaxy, sample: Sample, in_place: bool = False) -> None:
    """Let a sample begin again at the stage where it failed: a new run takes the last one's inputs if they are usable. With
    `in_place`, where only jobs have failed, these run again in the same invocation."""
    restart: dict[str, Any] = {"state": "waiting", "stage": None, "failed_step": None, "message": None, "ended": None}
    may_still_run = sample.failed_step == Stage.RUN and galaxy.get_or_none(f"invocations/{sample.invocation}")
    if sample.failed_step in (Stage.DELIVER, Stage.SHARE) or may_still_run:
        sample.save(**restart)
        return
    if in_place and failed_in_jobs(sample) and not _has_lost_history(galaxy, sample):
        sample.save(**restart, attempt=sample.attempt + 1, rerun=WANTED, reruns=None, last_poll=None)
        return
    begin_new_run(galaxy, sample, **restart)


def begin_new_run(galaxy: Galaxy, sample: Sample, **changes: Any) -> None:
    """Let a sample have another invocation, with the last one's inputs if they are usable."""
    if _has_lost_history(galaxy, sample):
        sample.save(history=None, inputs=None, history_requested=None)
    inputs = sample.notes.inputs or {}
    usable = all(is_usable(galaxy, value) for value in inputs.values() if isinstance(value, dict))
    sample.save(**{**new_attempt(sample), "inputs": inputs if inputs and usable else None, "results": None, **changes})


def _has_lost_history(galaxy: Galaxy, sample: Sample) -> bool:
    return bool(sample.history and (galaxy.get_or_none(f"histories/{sample.history}") or {}).get("deleted", True))


def new_attempt(sample: Sample) -> dict[str, Any]:
    """The changes that let a sample have another invocation, which its last one is not taken for."""
    earlier_runs = [*sample.notes.earlier_runs, *([sample.invocation] if sample.invocation else [])]
    return {"attempt": sample.attempt + 1, "invocation": None, "earlier_runs": earlier_runs, "asked": None,
            "last_poll": None, "rerun": None, "reruns": None, "shared_with": None}


def give_up(sample: Sample) -> None:
    """Give up a sample that was not begun and that the sheet or folder no longer has."""
    sample.save(state="gone", message="not begun, and no longer in the sheet or folder")
