"""The history that a run writes to: one function for each way to find or make it."""
from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common import TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Checkpoint, Notes
from galaxy_api_scripts.datasets.references import DATA_SOURCES
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.together import ask_together

KEY_LENGTH = 10         # characters of a key that set a history's name apart
NAME_LENGTH = 255       # characters that Galaxy keeps of a name
NEW_FOR = 300           # seconds in which nobody else puts anything into a new history

# (server, history, `contents` or `invocations`) of what a history that this process has made does not have yet, and when it
# was made, in seconds of time.monotonic.
new_histories: dict[tuple[str, str, str], float] = {}


@dataclass
class TargetHistory:
    """The history that a command line names, with the checkpoint of the line's work."""

    id: str     # "" if it must still be made
    checkpoint: Checkpoint | None = None


def find_writable_history(galaxy: Galaxy, text: str, user: dict[str, Any] | None = None) -> dict[str, Any]:
    """The history with this id or exact name. Raises `GalaxyError` if it is deleted, or `user`, whose key this is, can't add
    to it; unless given, the user is asked for beside the history."""
    if user:
        history = galaxy.resolve("histories", text)
    else:
        user, history = ask_together(galaxy.current_user, lambda: galaxy.resolve("histories", text))
    return require_writable(galaxy, text, history, user)


def require_writable(galaxy: Galaxy, text: str, history: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    """The history that was found for `text`. Raises `GalaxyError` if it is deleted, or `user` can't add to it."""
    label = f"history {history['id']} ({history['name']})"
    if not history["id"]:
        raise GalaxyError(f"{galaxy.base}: the answer for history {text!r} has no id")
    if history.get("deleted"):
        raise GalaxyError(f"{label} is deleted: undelete it, or name another")
    if history.get("user_id", user["id"]) != user["id"] and not user.get("is_admin"):
        raise GalaxyError(f"{label} is another user's: nothing can be added to it", status=403)
    return history


def create_history(galaxy: Galaxy, name: str) -> str:
    """The id of a new history. That there is nothing in it is remembered; see `take_first`."""
    history = str(galaxy.post("histories", {"name": name})["id"])
    for kind in ("contents", "invocations"):
        new_histories[galaxy.base, history, kind] = time.monotonic()
    return history


def take_first(galaxy: Galaxy, history: str, kind: str) -> bool:
    """Whether a history has no `contents`, or `invocations`, because this process has just made it and asks for the first
    time, which it does before it makes some: Galaxy need not be asked then."""
    return time.monotonic() - new_histories.pop((galaxy.base, history, kind), -NEW_FOR) < NEW_FOR


@contextlib.contextmanager
def open_target_history(galaxy: Galaxy, text: str, sources: list[Source], dry_run: bool = False, *marks: Any,
                        user: dict[str, Any] | None = None, existing: str = "") -> Iterator[TargetHistory]:
    """The history that a command line names by its id, its exact name, or new:NAME, with a checkpoint for the line's work.

    A new one is made, unless `dry_run`, or taken over from an earlier run for the same `sources` and `marks` that was killed
    or failed. `user` is whose key this is, and `existing` the id of a history that `require_writable` has checked, where the
    caller has asked. What that user may not do is refused here: Galaxy takes bytes from everybody and checks the key only
    later.
    """
    is_new = text.startswith("new:")
    if not text.removeprefix("new:").strip():
        raise GalaxyError("HISTORY is empty: expected an id or a name: is a variable unset?", USAGE)
    if is_new and not user:
        galaxy.current_user()
    existing = "" if is_new else existing or str(find_writable_history(galaxy, text, user)["id"])
    if dry_run:
        yield TargetHistory(existing)
        return
    files = [f"{source.path} {source.name}" for source in sources]
    with Checkpoint(galaxy, f"the work for {text}", "call", text, *files, *marks) as checkpoint:
        if is_new:
            earlier = checkpoint.data.get("history")
            if not earlier or galaxy.get(f"histories/{earlier}").get("deleted"):
                checkpoint.save(durably=True, history=create_history(galaxy, text[4:]))
        yield TargetHistory(checkpoint.data.get("history") or existing, checkpoint)


@contextlib.contextmanager
def create_history_if_needed(galaxy: Galaxy, history: str | None, text: str) -> Iterator[str]:
    """The id `history`; if it is empty, that of a new history named by `text`, new:NAME, which is deleted again if the block
    fails."""
    if history:
        yield history
        return
    new = create_history(galaxy, text.removeprefix("new:"))
    try:
        yield new
    except GalaxyError as error:
        if not error.lost:      # else Galaxy may be at work there
            with contextlib.suppress(GalaxyError):
                galaxy.delete(f"histories/{new}")
        raise


def create_history_once(galaxy: Galaxy, name: str, notes: Notes, unique: bool = True, is_unused: bool = False
                        ) -> tuple[str, bool]:
    """The id of the history named `name`, and whether it was made now.

    One that an earlier run asked for may still appear; if that makes two, the oldest counts and empty younger ones are
    deleted. A name that is not `unique` belongs to other histories from before too; that one `is_unused` was seen in a list,
    so it is only looked for once the history is made. The time of the request is noted as `history_requested`. A name is the
    only thing that Galaxy sets together with making a history (26.1).
    """
    asked, end = notes.data.get("history_requested"), time.monotonic() + SETTLE_SECONDS
    others = notes.data.get("older_histories", [])
    histories = _histories_named(galaxy, name, others) if asked or (unique and not is_unused) else []
    while asked and not histories and time.monotonic() < end:
        time.sleep(2)
        histories = _histories_named(galaxy, name, others)
    is_new = False
    if not histories:
        others = [] if unique else [history["id"] for history in _histories_named(galaxy, name, [])]
        notes.save(durably=True, history_requested=time.time(), older_histories=others)
        try:
            made = create_history(galaxy, name)
        except GalaxyError as error:
            if not error.lost:
                notes.save(history_requested=None)
                raise
            made = ""
        histories = _histories_named(galaxy, name, others)
        if not histories:
            raise GalaxyError(f"history {name!r}: Galaxy's answer was lost, so it may or may not exist: run the same line "
                              "again", TRY_LATER, lost=True)
        is_new = histories[0]["id"] == made if made else not is_unused
    for younger in histories[1:]:
        if not younger["count"]:
            galaxy.delete(f"histories/{younger['id']}")
    return str(histories[0]["id"]), is_new


def _histories_named(galaxy: Galaxy, name: str, others: list[str]) -> list[dict[str, Any]]:
    """The user's histories of that name that are not deleted, the oldest first, without the `others`."""
    ask = {"q": "name-eq", "qv": name, "order": "create_time-asc", "keys": "id,name,deleted,count"}
    return [history for history in galaxy.pages("histories", ask)
            if history["name"] == name and not history.get("deleted") and history["id"] not in others]


def name_with_key(name: str, key: str) -> str:
    """A history's name that ends in the beginning of `key`, so that no other history has it."""
    return f"{name[:NAME_LENGTH - KEY_LENGTH - 3]} [{key[:KEY_LENGTH]}]"


def shared_history(galaxy: Galaxy, notes: Notes, name: str) -> str:
    """The id of the one history called `name`, and a mark of the ledger, for all that the ledger's notes are about."""
    if not notes.data.get("history_mark"):
        notes.save(durably=True, history_mark=secrets.token_hex(KEY_LENGTH // 2))
    known = notes.data.get("histories", {})
    history = galaxy.get_or_none(f"histories/{known[name]}") if name in known else None
    if not history or history.get("deleted", True):
        known[name], _ = create_history_once(galaxy, name_with_key(name, notes.data["history_mark"]), notes)
        notes.save(durably=True, histories=known, history_requested=None)
    return str(known[name])


def parse_legacy_history(text: str) -> str:
    """HISTORY of workflow_execute.py as Galaxy takes it: a new history's name or hist_id=ID; none is a usage error."""
    if text.strip() in ("", "hist_id="):    # Galaxy would make a history of its own
        raise GalaxyError("HISTORY is empty: is a variable unset?", USAGE)
    if text.startswith("param=") or re.search(rf"=({'|'.join(DATA_SOURCES)})=", text):
        raise GalaxyError(f"HISTORY is missing before {text}: a new history's name, or hist_id=ID", USAGE)
    return text


def last_hid(galaxy: Galaxy, history: str) -> int:
    """The highest number (hid) of a history's contents, 0 if it is empty: what a request makes gets a higher one."""
    if take_first(galaxy, history, "contents"):
        return 0
    last = galaxy.get(f"histories/{history}/contents", {"v": "dev", "keys": "hid", "order": "hid-dsc", "limit": 1})
    return int(last[0]["hid"]) if last else 0
