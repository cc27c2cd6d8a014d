"""Answers of status 200 that say that nothing was done, or less than was asked, or something else (Galaxy 26.1).

`RULES` is the table: methods, a pattern for the end of the path, and the function that judges the answer. It returns what to
say and the exit code, None for a good answer. common.py's DOUBTFUL has to let a request through for a rule to see it.
"""
from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from common import FAILED, SOME_FAILED, Answer, GalaxyError, shorten

FLAGS = ("deleted", "visible", "published", "importable", "archived")
TRUE, FALSE = ("true", "yes", "on", "1", "t", "y"), ("false", "no", "off", "0", "f", "n")      # Galaxy's words
MOST_TOLD = 3       # of what failed
ID_FIELDS = ("items", "datasets", "ids", "item_ids", "notification_ids")        # of a payload for many things
COUNTS = ("success_count", "updated_count", "success_item_count")
DONE_FIELDS = ("jobs", "outputs", "reloaded", "successful")     # of what was done beside what failed
ROLES = ("access", "manage", "modify", "add")       # how the fields for ids of roles begin, and those of the answer


class Change(NamedTuple):
    """A request, with its payload, and its answer."""

    method: str
    path: str
    query: dict[str, str]
    data: Any
    answer: Any

    def given(self, name: str) -> Any:
        """The value of a field of the payload, or else of a parameter of the address."""
        inside = self.data.get(name) if isinstance(self.data, dict) else None
        return self.query.get(name) if inside is None else inside

    def is_asked(self, name: str) -> bool:
        """Whether it is asked for with true."""
        return str(self.given(name)).lower() in TRUE

    def field(self, name: str) -> Any:
        """The value of a field of the answer."""
        return self.answer.get(name) if isinstance(self.answer, dict) else None


def check_answer(method: str, address: str, data: Any, answer: Any) -> None:
    """Raise an error if the answer to a request that changes something says that it was not done, or not as asked."""
    parts = urlsplit(address)
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    change = Change(method, parts.path.rstrip("/"), query, data, answer)
    for methods, end, rule in RULES:
        if method in methods and re.search(f"/{end}$", change.path) and (told := rule(change)):
            text, code = told
            raise GalaxyError(f"{Answer.latest.line}: {text}", code)


Told = tuple[str, int]      # what to say, and the exit code


def not_shared(change: Change) -> Told | None:
    """Users that don't exist; datasets that the users may not see. Without `extra` the other users were added."""
    errors, extra = change.field("errors") or [], change.field("extra") or {}
    blocked = [thing.get("name") for kind in ("can_change", "cannot_change") for thing in extra.get(kind) or []]
    if not errors and (extra.get("can_share", True) or not extra):
        return None
    if blocked and not errors:
        errors = [f"{count(blocked, 'dataset')} can't be seen by them ({few(blocked)}): share_option= settles that, with "
                  "make_accessible_to_shared, make_public or no_changes"]
    added = not extra and len(change.given("user_ids") or []) > len(errors)
    return (f"not shared with all: {few(errors)}", SOME_FAILED) if added else (f"not shared: {few(errors)}", FAILED)


def errors_of_many(change: Change) -> Told | None:
    """What failed of many things."""
    errors = change.field("errors") or change.field("failed")
    if not isinstance(errors, list) or not errors:
        return None
    done = any(change.field(name) for name in (*COUNTS, *DONE_FIELDS))
    told = few([one.get("error_message") or one.get("error") or one.get("message") or one if isinstance(one, dict) else one
                for one in errors])
    return f"{'not all was' if done else 'nothing was'} done: {told}", SOME_FAILED if done else FAILED


def fewer_than_asked(change: Change) -> Told | None:
    """Galaxy leaves out, unsaid, what is in another history, or is not there."""
    things = next((value for name in ID_FIELDS if isinstance(value := change.given(name), list)), [])
    asked = {json.dumps(one, sort_keys=True) for one in things}
    counts = [change.field(name) for name in COUNTS if isinstance(change.field(name), int)]
    number = len(change.answer) if isinstance(change.answer, list) else counts[0] if counts else len(asked)
    if number >= len(asked):
        return None
    return (f"{number} of {len(asked)} done: Galaxy leaves out, without a word, what is not there, or is in another history",
            SOME_FAILED if number else FAILED)


def not_in_this_history(change: Change) -> Told | None:
    """Galaxy answers {} for a dataset of another history; for a collection that is a success."""
    if change.answer != {} or "dataset_collection" in str(change.given("type")):
        return None
    return "nothing was changed: the history of this address has no such dataset", FAILED


def answer_is_false(change: Change) -> Told | None:
    return ("nothing was done: Galaxy answers false", FAILED) if change.answer is False else None


def job_not_cancelled(change: Change) -> Told | None:
    return ("nothing was cancelled: the job had ended", FAILED) if change.answer is False else None


def invocation_not_cancelled(change: Change) -> Told | None:
    """Galaxy answers with the invocation as it is, also when it had ended."""
    state = change.field("state")
    is_cancelled = not state or state in ("cancelling", "cancelled")
    return None if is_cancelled else (f"nothing was cancelled: the invocation is {state}", FAILED)


def tag_not_there(change: Change) -> Told | None:
    """Galaxy answers true for a tag that it removed, and with an empty body for one that there is not."""
    is_done = change.answer is not None
    return None if is_done else (f"nothing was removed: there is no tag {change.path.rpartition('/')[2]}", FAILED)


def not_deleted(change: Change) -> Told | None:
    """`deleted` and `purged` as they are afterwards, unless that comes later (202)."""
    undelete = change.is_asked("undelete")
    if Answer.latest.status == 202:
        return None
    if change.field("deleted") is undelete:
        return f"it is {'still' if undelete else 'not'} deleted", FAILED
    is_kept = change.is_asked("purge") and change.field("purged") is False
    return ("it is deleted, but not purged as asked", FAILED) if is_kept else None


def flags_not_set(change: Change) -> Told | None:
    """A flag that Galaxy does not set there, or not for that thing; datasets brought back without their contents."""
    answers = change.answer if isinstance(change.answer, list) else [change.answer]
    things = [one for one in answers if isinstance(one, dict)]
    asked = {name: change.is_asked(name) for name in FLAGS if str(change.given(name)).lower() in TRUE + FALSE}
    told = [f"{name} is {str(one[name]).lower()} as before" for one in things for name, value in asked.items()
            if one.get(name) is (not value)]
    told += ["it is purged, and its contents don't come back" for one in things
             if asked.get("deleted") is False and one.get("purged") is True]
    return (f"not done: {few(told)}", SOME_FAILED if len(told) < len(things) else FAILED) if told else None


def purge_ignored(change: Change) -> Told | None:
    """Galaxy reads no `purge` there."""
    if not change.is_asked("purge"):
        return None
    kind = change.path.split("/")[-2]
    other = f": create.py - /api/{kind}/ID/purge does that" if kind in ("roles", "groups") else ": Galaxy has no purge of it"
    return f"it is deleted, but not purged{other}", FAILED


def elements_not_purged(change: Change) -> Told | None:
    """Without `recursive` Galaxy leaves the datasets of a collection as they are."""
    is_collection = "/dataset_collections/" in change.path or change.given("type") == "dataset_collection"
    if not is_collection or not change.is_asked("purge") or change.is_asked("recursive"):
        return None
    return "the collection is deleted, its datasets are not, nor purged: recursive:=true does that to them", FAILED


def roles_not_set(change: Change) -> Told | None:
    """Roles that were asked for and are not among those of the answer: of a misspelt field, or none that Galaxy takes."""
    for name in change.data if isinstance(change.data, dict) else ():
        kind = re.sub(r"_ids(\[\])?$", "", name)
        asked = change.data[name] if isinstance(change.data[name], list) else str(change.data[name] or "").split(",")
        missing = [str(role) for role in asked if role and str(role) not in set_roles(change, kind)] if kind in ROLES else []
        if missing:
            return (f"{count(missing, 'role')} of {name} {'is' if len(missing) == 1 else 'are'} not set ({few(missing)}): "
                    f"the answer shows what holds now, and {kind}_ids[] is the field", FAILED)
    return None


def set_roles(change: Change, kind: str) -> list[str]:
    """The ids of the roles that may do something, by the answer: its lists hold pairs of a name and an id."""
    answer = change.answer if isinstance(change.answer, dict) else {}
    return [str(role[-1]) for name, roles in answer.items() if name.startswith(kind) and isinstance(roles, list)
            for role in roles if isinstance(role, list) and role]


def library_without_action(change: Change) -> Told | None:
    """The old form of the request, which knows other fields, and takes all roles away that they don't name."""
    fields = [*change.data] if isinstance(change.data, dict) else []
    if not change.field("model_class") or change.given("action") or any(name.startswith("LIBRARY_") for name in fields):
        return None
    return (f"{few(fields)} did nothing, and everybody may see the library now: without action=set_permissions Galaxy takes "
            "LIBRARY_ACCESS_in and its like alone, and removes all roles that these don't name: library_permissions.py sets "
            "roles, and reads them back", FAILED)


def report_not_sent(change: Change) -> Told | None:
    """Galaxy's `messages` are pairs of a text and its kind, of which `danger` is a failure."""
    failed = [text for text, kind in change.field("messages") or [] if kind == "danger"]
    return (f"not reported: {few(failed)}", FAILED) if failed else None


SHARED = "(histories|workflows|pages|visualizations)"
RULES: list[tuple[tuple[str, ...], str, Callable[[Change], Told | None]]] = [
    (("PUT",), rf"{SHARED}/\w+/share_with_users", not_shared),
    (("PUT", "PATCH"), r".*", flags_not_set),
    (("DELETE",), r"jobs/\w+", job_not_cancelled),
    (("DELETE",), r"(invocations|usage)/\w+", invocation_not_cancelled),
    (("DELETE",), r"tags/[^/]+", tag_not_there),
    (("DELETE",), r"(histories|libraries|folders|datasets|users|contents(/\w+s)?)/\w+", not_deleted),
    (("DELETE",), r"(workflows|pages|visualizations|roles|groups|folders|libraries|libraries/datasets)/\w+", purge_ignored),
    (("DELETE",), r"contents(/\w+s)?/\w+", elements_not_purged),
    (("PUT",), r"histories/\w+/contents(/datasets)?/\w+", not_in_this_history),
    (("POST", "PUT"), r"libraries/\w+/permissions", library_without_action),
    (("POST", "PUT"), r"permissions", roles_not_set),
    (("POST",), r"jobs/\w+/error", report_not_sent),
    (("POST", "PUT", "DELETE", "PATCH"), r".*", errors_of_many),
    (("PUT", "DELETE"), r".*", fewer_than_asked),
    (("DELETE", "PUT"), r".*", answer_is_false),
]


def few(things: list[Any]) -> str:
    """The first of things in words."""
    words = [shorten(str(thing)).rstrip(".") for thing in things[:MOST_TOLD]]
    return "; ".join(words) + f" and {len(things) - MOST_TOLD} more" * (len(things) > MOST_TOLD)


def count(things: list[Any], name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"
