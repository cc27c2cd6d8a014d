"""Histories that are made once, known by their names: the one thing that Galaxy sets together with making one."""
from __future__ import annotations

import secrets
import time
from typing import Any

from common import TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Notes

KEY_PATTERN = 10       # letters of a key that tell a name from all others
NAME_PATTERN = 255      # letters that Galaxy keeps of a name


def name_with_key(title: str, key: str) -> str:
    """A name with a key's mark at its end, which no other history has."""
    return f"{title[:NAME_PATTERN - KEY_PATTERN - 3]} [{key[:KEY_PATTERN]}]"


def create_history_once(galaxy: Galaxy, name: str, notes: Notes, alone: bool = True) -> tuple[str, bool]:
    """The id of the history of that name, and whether it was made now. One that was asked for and is not there may yet come;
    where that makes two, the oldest is it. A name that is not `alone` other histories have too, from before.

    `asked_history` is in the `notes` from then on.
    """
    asked = notes.data.get("asked_history")
    asked = asked and min(asked, time.time())       # the clock may have been put back
    before = notes.data.get("histories_before", [])
    there = _named(galaxy, name, before) if alone or asked else []
    while asked and not there and time.time() < asked + SETTLE_SECONDS:
        time.sleep(2)
        there = _named(galaxy, name, before)
    made = not there
    if made:
        before = [] if alone else [one["id"] for one in _named(galaxy, name, [])]
        notes.save(durably=True, asked_history=time.time(), histories_before=before)
        try:
            galaxy.post("histories", {"name": name})
        except GalaxyError as error:
            if not error.lost:
                notes.save(asked_history=None)
                raise
        there = _named(galaxy, name, before)
        if not there:
            raise GalaxyError(f"history {name!r}: the answer to its making was lost; run the same line again", TRY_LATER)
    for late in there[1:]:
        if not late["count"]:
            galaxy.delete(f"histories/{late['id']}")
    return str(there[0]["id"]), made


def _named(galaxy: Galaxy, name: str, before: list[str]) -> list[dict[str, Any]]:
    """The histories of that name that are not deleted, the oldest first, but for those from before."""
    ask = {"q": "name-eq", "qv": name, "order": "create_time-asc", "keys": "id,name,deleted,count"}
    return [one for one in galaxy.pages("histories", ask)
            if one["name"] == name and not one.get("deleted") and one["id"] not in before]


def common_history(galaxy: Galaxy, ledger: Ledger, title: str) -> str:
    """The id of a history with that title for all units of a ledger."""
    notes = ledger.notes
    if not notes.data.get("mark"):
        notes.save(durably=True, mark=secrets.token_hex(KEY_PATTERN // 2))
    known = notes.data.get("histories", {})
    about = galaxy.get_or_none(f"histories/{known[title]}") if title in known else None
    if not about or about.get("deleted", True):
        history, _ = create_history_once(galaxy, name_with_key(title, notes.data["mark"]), notes)
        notes.save(durably=True, histories={**known, title: history}, asked_history=None)
    return str(notes.data["histories"][title])
