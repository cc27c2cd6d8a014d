"""Facts on histories, of many in few requests: what decides whether one may go."""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.ages import server_time

KEYS = "id,name,user_id,username,update_time,deleted,purged,archived,published,importable,slug,tags,annotation,size"
KINDS: dict[str, type | tuple[type, ...]] = {
    "id": str, "name": (str, type(None)), "user_id": (str, type(None)), "update_time": str, "size": int, "tags": list,
    **dict.fromkeys(("deleted", "purged", "archived", "published", "importable"), bool)}
A_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")


@dataclass(frozen=True)
class HistoryFacts:
    """One history as Galaxy has it now. `slug` is a part of its link's address: Galaxy makes one when a history is first
    shared or published (24.1 to 26.1, managers/sharable.py), None says that it never was; "?" where Galaxy does not tell.
    `marks` changes with its tags and annotation, which leave `update_time` as it is; Galaxy shows an annotation to the user
    alone who wrote it (26.1)."""

    id: str
    name: str
    owner_id: str | None
    username: str
    update_time: str
    size: int
    tags: tuple[str, ...]
    deleted: bool
    purged: bool
    archived: bool
    published: bool
    importable: bool
    slug: str | None
    marks: str


def parse_facts(answer: Any) -> HistoryFacts:
    """The facts in an answer; raise `GalaxyError` where one is missing or has another form, so that nothing is guessed."""
    odd = [name for name, kind in KINDS.items() if not isinstance(answer, dict) or name not in answer
           or not isinstance(answer[name], kind) or (kind is int and isinstance(answer[name], bool))]
    if not odd and not A_TIME.fullmatch(answer["update_time"]):
        odd = ["update_time"]
    if odd:
        which = answer.get("id") if isinstance(answer, dict) else None
        raise GalaxyError(f"history {which or '?'}: Galaxy does not tell its {', '.join(odd)}, so it is kept")
    slug, marks = answer.get("slug", "?"), json.dumps([sorted(map(str, answer["tags"])), answer.get("annotation") or ""])
    return HistoryFacts(answer["id"], answer["name"] or "", answer["user_id"], str(answer.get("username") or ""),
                        answer["update_time"], answer["size"], tuple(map(str, answer["tags"])), answer["deleted"],
                        answer["purged"], answer["archived"], answer["published"], answer["importable"],
                        slug if slug is None or (isinstance(slug, str) and slug) else "?",
                        hashlib.sha256(marks.encode()).hexdigest()[:16])


def iter_histories(galaxy: Galaxy, everybody: bool, params: dict[str, Any] | None = None, keys: str = KEYS) -> Iterator[Any]:
    """Yield the key's user's histories, or `everybody`'s, as Galaxy's answers, page by page. Deleted ones come where
    `params` says so (`q=deleted`); archived ones never do, of others Galaxy lists none (26.1)."""
    yield from galaxy.pages("histories", {**({"all": "true"} if everybody else {}), "keys": keys, **(params or {})})


def fetch_facts(galaxy: Galaxy, history_id: str) -> tuple[HistoryFacts, datetime | None]:
    """The facts on one history, deleted or not, and the server's own time. Raises `GalaxyError`, with `status` 400 or 404
    where there is no such history."""
    answer = galaxy.request("GET", f"histories/{history_id}", params={"keys": KEYS})
    try:
        facts = parse_facts(answer.json())
    except ValueError:
        raise GalaxyError(f"history {history_id}: Galaxy's answer is not JSON, so it is kept") from None
    if facts.id != history_id:
        raise GalaxyError(f"history {history_id}: Galaxy's answer is about {facts.id}, so it is kept")
    return facts, server_time(answer)


def sharing_reason(galaxy: Galaxy, history_id: str) -> str:
    """How a history that is not deleted is shared, "" for not at all. Raises `GalaxyError` where Galaxy does not tell."""
    answer = galaxy.get(f"histories/{history_id}/sharing")
    if not isinstance(answer, dict) or not isinstance(answer.get("users_shared_with"), list) or not all(
            isinstance(answer.get(name), bool) for name in ("published", "importable")):
        raise GalaxyError(f"history {history_id}: Galaxy does not tell with whom it is shared, so it is kept")
    users = len(answer["users_shared_with"])
    return _public_reason(answer["published"], answer["importable"]) or (
        f"shared with {users} user{'s' * (users > 1)}" if users else "")


def public_reason(facts: HistoryFacts) -> str:
    """Why a history is everybody's: it is published, or has a link; "" if it is not."""
    return _public_reason(facts.published, facts.importable)


def _public_reason(published: bool, importable: bool) -> str:
    return "published" if published else "shared by its link" if importable else ""


def require_purging(galaxy: Galaxy) -> None:
    """Raise `GalaxyError` where the server lets nobody purge, administrators included."""
    if galaxy.get("configuration").get("allow_user_dataset_purge") is False:
        raise GalaxyError(f"{galaxy.base} lets nobody purge: its administrator can set allow_user_dataset_purge: true in "
                          "galaxy.yml; nothing was done")
