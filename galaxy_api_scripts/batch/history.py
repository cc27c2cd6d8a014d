"""Histories that are created exactly once: recognised by their names, the one thing that Galaxy sets together with creating one."""
from __future__ import annotations

import secrets
import time
from typing import Any

from common import TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Notes

MARK_LENGTH = 10            # letters of a key that tell a name from all others
MAX_TITLE_LENGTH = 255      # letters of a name that Galaxy keeps


def name_with_key(title: str, key: str) -> str:
    """A name that ends with a key's first letters, so that no other history has it."""
    return f"{title[:MAX_TITLE_LENGTH - MARK_LENGTH - 3]} [{key[:MARK_LENGTH]}]"


def create_history_once(galaxy: Galaxy, name: str, notes: Notes, unique: bool = True) -> tuple[str, bool]:
    """The id of the history of that name, and whether it was created now. One that was requested and is not there may still
    appear; if there are two then, the oldest counts. If the name is not `unique`, other histories had it before.

    Sets `history_requested` and `older_histories` in the `notes`. Raises `GalaxyError` (TRY_LATER) if the answer was lost and it does not
    appear.
    """
    requested = notes.data.get("history_requested")
    requested = requested and min(requested, time.time())       # the clock may have been put back
    older = notes.data.get("older_histories", [])
    namesakes = _find(galaxy, name, older) if unique or requested else []
    while requested and not namesakes and time.time() < requested + SETTLE_SECONDS:
        time.sleep(2)
        namesakes = _find(galaxy, name, older)
    created = not namesakes
    if created:
        older = [] if unique else [history["id"] for history in _find(galaxy, name, [])]
        notes.save(durably=True, history_requested=time.time(), older_histories=older)
        try:
            galaxy.post("histories", {"name": name})
        except GalaxyError as error:
            if not error.lost:
                notes.save(history_requested=None)
                raise
        namesakes = _find(galaxy, name, older)
        if not namesakes:
            raise GalaxyError(f"history {name!r}: the answer to its creation was lost; run the same line again", TRY_LATER)
    for late in namesakes[1:]:
        if not late["count"]:
            galaxy.delete(f"histories/{late['id']}")
    return str(namesakes[0]["id"]), created


def _find(galaxy: Galaxy, name: str, older: list[str]) -> list[dict[str, Any]]:
    """The histories of that name that are not deleted, the oldest first, but for the `older` ones."""
    query = {"q": "name-eq", "qv": name, "order": "create_time-asc", "keys": "id,name,deleted,count"}
    return [history for history in galaxy.pages("histories", query)
            if history["name"] == name and not history.get("deleted") and history["id"] not in older]


def common_history(galaxy: Galaxy, ledger: Ledger, title: str) -> str:
    """The id of a history with that title for all samples of a ledger."""
    meta = ledger.meta
    if not meta.notes.history_mark:
        meta.save(durably=True, history_mark=secrets.token_hex(MARK_LENGTH // 2))
    known = meta.notes.histories.get(title)
    about = galaxy.get_or_none(f"histories/{known}") if known else None
    if not about or about.get("deleted", True):
        known, _ = create_history_once(galaxy, name_with_key(title, meta.notes.history_mark), meta)
        meta.save(durably=True, histories={**meta.notes.histories, title: known}, history_requested=None)
    return str(known)
