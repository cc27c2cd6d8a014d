"""Uploads into libraries: batched into few jobs, found again by a later run, and checked when they have arrived."""
from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any

from common import NON_TERMINAL_JOB_STATES, Galaxy, GalaxyError
from galaxy_api_scripts.datasets.upload import post_fetch
from galaxy_api_scripts.files import hold_lock, state_folder
from galaxy_api_scripts.libraries.contents import LibraryFolder, is_complete, open_folder
from galaxy_api_scripts.polling import wait_jobs

BATCH_BYTES = 256 * 2**20   # what a killed run may have sent in vain
# What to do about a paused job or dataset, whose name follows; a fetch that is resumed stays `new` (26.1).
PAUSED_ADVICE = "most often the quota of this key's user is used up; make room, then delete"


class LibraryUploads:
    """Uploads into one library, by jobs in a history of a fixed name, where a later run finds them. Galaxy lists a dataset
    in its folder when the job has ended."""

    def __init__(self, galaxy: Galaxy, library: str):
        self.galaxy, self.history_name = galaxy, f"Uploads to library {library}"
        self.default_reason = f"Galaxy does not say why; its job is in the history {self.history_name!r}"
        histories = galaxy.pages("histories", {"q": "name-eq", "qv": self.history_name})    # the oldest first
        self.history = next((str(one["id"]) for one in histories if one["name"] == self.history_name), "")
        self.jobs: list[str] = []

    def unfinished_jobs(self) -> list[str]:
        """The ids of the jobs, of earlier runs too, that have not ended. Raises `GalaxyError` if some are paused: more jobs
        would only wait as well, with the same files."""
        params = {"history_id": self.history, "state": [*NON_TERMINAL_JOB_STATES, "paused"]}
        jobs = list(self.galaxy.pages("jobs", params)) if self.history else []
        paused = [str(job["id"]) for job in jobs if job["state"] == "paused"]
        if paused:
            raise GalaxyError(f"the history {self.history_name!r} has paused jobs ({', '.join(paused[:3])}"
                              f"{', ...' if len(paused) > 3 else ''}): {PAUSED_ADVICE} them (delete.py KEY .../api/jobs/ID)")
        return [str(job["id"]) for job in jobs]

    def fetch(self, files: list[tuple[LibraryFolder, dict[str, Any], dict[str, str] | None]]) -> None:
        """Let one job add these files to the library: for each its folder, and the element and session that
        `tus.upload_file` returns. Its id is appended to `jobs`."""
        self.history = self.history or str(self.galaxy.post("histories", {"name": self.history_name})["id"])
        files = sorted(files, key=lambda file: file[0].id)
        targets = [{"destination": {"type": "library_folder", "library_folder_id": folder.removeprefix("F")},
                    "elements": [element for _, element, _ in group]}
                   for folder, group in itertools.groupby(files, key=lambda file: file[0].id)]
        answer = post_fetch(self.galaxy, self.history, targets, [session for _, _, session in files if session])
        self.jobs += [str(job["id"]) for job in answer["jobs"]]

    def wait(self, jobs: list[str], timeout: float | None) -> None:
        """Wait until these jobs have ended, whether they failed or not: the folders show that."""
        if jobs and "paused" in wait_jobs(self.galaxy, self.history, jobs, timeout).values():
            self.default_reason = f"its job is paused in the history {self.history_name!r}: {PAUSED_ADVICE} that job"


def find_arrivals(galaxy: Galaxy, before: LibraryFolder, names: Collection[str], default_reason: str
                  ) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return `{name: dataset}` for those uploaded files that are in the folder exactly once, `{name: problem}` for the rest.

    `before` is the folder as it was before the upload. The problem is Galaxy's own message, else `default_reason`. Failed
    datasets are deleted, so that nightly runs don't pile them up.
    """
    now, old_ids = open_folder(galaxy, before.id), {item["id"] for item in before.items if item["type"] == "file"}
    messages = _delete_failed(galaxy, now, names, old_ids)
    arrived, problems = {}, {}
    for name in names:
        new = [dataset for dataset in now.datasets(name) if dataset["id"] not in old_ids and is_complete(dataset)]
        if len(new) == 1:
            arrived[name] = new[0]
        elif new:
            ids = ", ".join(dataset["id"] for dataset in new)
            problems[name] = f"{len(new)} datasets of this name were added: {ids}: another account or machine uploads it, " \
                "too; delete all but one"
        else:
            reasons = messages.get(name) or messages.get("Unnamed dataset") or [default_reason]
            problems[name] = f"Galaxy did not keep it: {'; '.join(dict.fromkeys(reasons))}"
    return arrived, problems


def check_uploads(galaxy: Galaxy, before: LibraryFolder, sizes: dict[str, int], default_reason: str) -> dict[str, str]:
    """Return `{name: problem}` for those of the uploaded files, `{name: size in bytes}`, that `find_arrivals` does not find
    with their size."""
    arrived, problems = find_arrivals(galaxy, before, sizes, default_reason)
    for name, dataset in arrived.items():
        if dataset["raw_size"] != sizes[name]:
            problems[name] = size_mismatch_message(dataset["raw_size"], sizes[name])
    return problems


def size_mismatch_message(size: int, expected: int) -> str:
    return f"arrived with {size} bytes, {expected} were expected: it changed meanwhile"


def _delete_failed(galaxy: Galaxy, now: LibraryFolder, names: Collection[str], old_ids: set[str]) -> dict[str, list[str]]:
    """Delete the datasets called one of `names` that are in state `error`; return Galaxy's messages about them by name."""
    messages: dict[str, list[str]] = {}
    for item in now.items:
        # Galaxy 26.1 forgets the name of a file whose content it refuses.
        if item["type"] == "file" and item["state"] == "error" and (
                item["name"] in names or item["name"] == "Unnamed dataset" and item["id"] not in old_ids):
            about_it = messages.setdefault(item["name"], [])
            about_it.append(str(item.get("message")).strip())
            try:
                galaxy.delete(f"libraries/datasets/{item['id']}")
            except GalaxyError as error:        # whoever may add may not always delete
                about_it.append(f"its failed dataset can't be deleted: {error}")
    return messages


def exclusive_run(subject: str) -> AbstractContextManager[int]:
    """Hold this account's lock on `subject`. Raises `GalaxyError`: TRY_LATER if another process holds it."""
    try:
        folder = state_folder("locks")
    except OSError as error:
        raise GalaxyError(f"{error.filename}: no lock can be kept there: {error.strerror}: set $XDG_STATE_HOME to "
                          "another folder") from None
    return hold_lock(folder / f"{hashlib.sha256(subject.encode()).hexdigest()[:16]}.lock", subject)
