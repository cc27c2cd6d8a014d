"""Purge datasets that are deleted already, so that their files go from the disk."""
from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.ages import parse_utc
from galaxy_api_scripts.disk.facts import iter_histories
from galaxy_api_scripts.sizes import format_size
from galaxy_api_scripts.together import do_each

FIELDS = ["id", "name", "user", "datasets", "bytes", "size", "action"]
HISTORY_KEYS = "id,name,username,deleted,purged,archived,contents_active"
CONTENTS = {"v": "dev", "q": ["deleted", "purged"], "qv": ["True", "False"],
            "keys": "id,update_time,deleted,purged,history_content_type,file_size"}
BATCH = 100     # datasets in a request


@dataclass
class Found:
    """The deleted datasets of one history that still take the disk: `sizes` in bytes by id."""

    history: dict[str, Any]
    sizes: dict[str, int] = field(default_factory=dict)

    def row(self, action: str) -> dict[str, Any]:
        """What was done, FIELDS."""
        total = sum(self.sizes.values())
        return {"id": self.history["id"], "name": self.history["name"], "user": self.history.get("username"),
                "datasets": len(self.sizes), "bytes": total, "size": format_size(total), "action": action}


def iter_found(galaxy: Galaxy, histories: Iterator[dict[str, Any]], before: str | None,
               on_error: Callable[[str, GalaxyError], object]) -> Iterator[Found]:
    """Yield, of each history that has any, the deleted datasets, last changed before `before`."""
    with_some = {one["id"]: one for one in histories if not one["purged"] and not one["archived"] and _has_deleted(one)}
    for history, outcome in do_each(functools.partial(find_deleted, galaxy, before), with_some.values()):
        if isinstance(outcome, GalaxyError):
            on_error(history["id"], outcome)
        elif outcome.sizes:
            yield outcome


def _has_deleted(history: dict[str, Any]) -> bool:
    """Whether there may be a deleted dataset in a history, purged or not."""
    counts = history.get("contents_active")
    return not isinstance(counts, dict) or counts.get("deleted") != 0


def iter_active_histories(galaxy: Galaxy, everybody: bool) -> Iterator[dict[str, Any]]:
    """Yield the histories whose deleted datasets may be purged. In a deleted history all waits for its own purge, and who
    brings it back finds it as it was."""
    return iter_histories(galaxy, everybody, keys=HISTORY_KEYS)


def find_deleted(galaxy: Galaxy, before: str | None, history: dict[str, Any]) -> Found:
    """The datasets of one history that are deleted and not purged. What Galaxy does not tell is left alone."""
    found = Found(history)
    for one in galaxy.pages(f"histories/{history['id']}/contents", CONTENTS):
        if one["history_content_type"] != "dataset":
            continue
        state, size = (one["deleted"], one["purged"]), one.get("file_size") or 0
        if not all(isinstance(word, bool) for word in state) or not isinstance(size, int):
            raise GalaxyError(f"dataset {one['id']}: Galaxy does not tell whether it is deleted, so it is left alone")
        if state == (True, False) and (before is None or parse_utc(one["update_time"]) < parse_utc(before)):
            found.sizes[one["id"]] = size
    return found


def purge(galaxy: Galaxy, found: Found) -> list[str]:
    """Purge them, and return Galaxy's messages on those that it refused, which are `found` no longer; nor are those, after
    an error, that may be as they were."""
    sizes, refused = found.sizes, list[str]()
    ids, found.sizes = iter(sizes), {}
    while batch := list(itertools.islice(ids, BATCH)):
        answer = galaxy.delete("datasets", {"datasets": [{"id": one, "src": "hda"} for one in batch], "purge": True})
        errors = {error["dataset"]["id"]: error["error_message"] for error in answer.get("errors") or []}
        refused += [f"dataset {one}: {message}" for one, message in errors.items()]
        if answer["success_count"] + len(errors) != len(batch):
            raise GalaxyError(f"history {found.history['id']}: Galaxy purged {answer['success_count']} of {len(batch)} "
                              "datasets, and does not say why")
        found.sizes.update({one: sizes[one] for one in batch if one not in errors})
    return refused


def wait_purged(galaxy: Galaxy, found: Found, timeout: float | None) -> int:
    """Wait until Galaxy has purged them, which its Celery worker may do later; how many are left after `timeout` seconds."""
    left = 0
    for _ in galaxy.poll(timeout):
        left = len(found.sizes.keys() & find_deleted(galaxy, None, found.history).sizes.keys())
        if not left:
            break
    return left
