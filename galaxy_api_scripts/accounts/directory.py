"""Who has an account: found by id, e-mail address or public name, and made once."""
from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from common import Galaxy, GalaxyError, did_you_mean, shorten
from galaxy_api_scripts.checkpoint import MemoryNotes, send_once

Account = dict[str, Any]        # the fields of LIST_FIELDS

LIST_FIELDS = ("id", "email", "username", "active", "deleted", "last_password_change")
# Galaxy's own rules (26.1): an address as HTML has it, with letters of any script; a public name of these letters.
_ATOM, _LABEL = r"[\w.!#$%&'*+/=?^`{|}~-]+", r"\w([\w-]{0,61}\w)?"
EMAIL = re.compile(rf"{_ATOM}@{_LABEL}(\.{_LABEL})*")
PUBLIC_NAME = re.compile(r"[a-z0-9._-]+")
MAX_LETTERS, MIN_PASSWORD = 255, 6


def list_accounts(galaxy: Galaxy, deleted: bool = False) -> Iterator[Account]:
    """Each account that is not deleted, or each that is, in the server's order: by e-mail address from 26.1 on."""
    for one in galaxy.pages("users/deleted" if deleted else "users"):
        yield {name: one.get(name) for name in LIST_FIELDS}


class Directory:
    """All accounts of a server, deleted ones too, as they were when this was made; `accounts` is `{id: account}`."""

    def __init__(self, galaxy: Galaxy):
        self.accounts = {one["id"]: one for deleted in (False, True) for one in list_accounts(galaxy, deleted)}
        self._by_email: dict[str, list[Account]] = {}
        self._by_name: dict[str, Account] = {}
        for one in self.accounts.values():
            self.add(one)

    def add(self, account: Account) -> None:
        """Add an account that was made since."""
        self.accounts[account["id"]] = account
        self._by_email.setdefault(str(account["email"]).casefold(), []).append(account)
        self._by_name[str(account["username"])] = account

    def with_email(self, email: str) -> list[Account]:
        """The account with this address; else all whose addresses differ in capitals only, the same ones to Galaxy."""
        found = self._by_email.get(email.casefold(), [])
        return [one for one in found if one["email"] == email] or list(found)

    def with_name(self, name: str) -> Account | None:
        """The account with this public name."""
        return self._by_name.get(name)

    def find(self, text: str) -> Account:
        """The one account with this id, e-mail address or public name. Raises `GalaxyError` for none (status 404) and for
        several."""
        found = [self.accounts[text]] if text in self.accounts else self.with_email(text)
        named = self.with_name(text)
        found = found or ([named] if named else [])
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(f"{one['id']} ({one['email']})" for one in found)
            raise GalaxyError(f"{len(found)} accounts have the address {text!r} in other capitals: {ids}; give one's id")
        known = (str(one[field]) for one in self.accounts.values() for field in ("email", "username"))
        near = did_you_mean(text, list(known))
        raise GalaxyError(f"no account has the id, e-mail address or public name {shorten(text, 80)!r}{near}", status=404)


def check_email(email: str) -> str:
    """What is wrong with an e-mail address in Galaxy's eyes, "" for nothing."""
    if not EMAIL.fullmatch(email):
        return f"{shorten(email, 80)!r} is not an e-mail address" if email else "there is no e-mail address"
    return f"the e-mail address has more than {MAX_LETTERS} letters" if len(email) > MAX_LETTERS else ""


def check_name(name: str) -> str:
    """What is wrong with a public name in Galaxy's eyes, "" for nothing."""
    if not PUBLIC_NAME.fullmatch(name):
        return f"the public name {shorten(name, 80)!r} may have small letters, digits, . _ and - only"
    return f"the public name has more than {MAX_LETTERS} letters" if len(name) > MAX_LETTERS else ""


def derive_name(email: str, is_taken: Callable[[str], Any]) -> str:
    """A public name made from an e-mail address, as Galaxy makes one; with a number if it is taken."""
    name = re.sub("[^a-z0-9._-]", "-", email.rpartition("@")[0].lower())[:MAX_LETTERS - 10]
    number = 1
    while is_taken(name if number == 1 else f"{name}-{number}"):
        number += 1
    return name if number == 1 else f"{name}-{number}"


def create_account(galaxy: Galaxy, email: str, name: str, password: str = "") -> str:
    """Make an account and return its id. Without `password` it gets one that nobody knows, until its owner resets it."""
    def find() -> str | None:
        return next((str(one["id"]) for one in galaxy.pages("users", {"f_email": email})
                     if one["email"].casefold() == email.casefold()), None)
    payload = {"email": email, "username": name, "password": password or secrets.token_urlsafe(32)}
    return post_once(galaxy, "users", payload, "account", email, find)


def undelete_account(galaxy: Galaxy, user_id: str) -> None:
    """Bring back a deleted account that is not purged."""
    act_or_look(lambda: galaxy.post(f"users/deleted/{user_id}/undelete"), lambda: galaxy.get_or_none(f"users/{user_id}"))


def post_once(galaxy: Galaxy, path: str, payload: Any, kind: str, label: str, find: Callable[[], str | None]) -> str:
    """Make one thing of a unique name by POST and return its id; where the answer is lost, `find()` looks for it first."""
    notes = MemoryNotes()

    def send() -> str:
        try:
            made = galaxy.post(path, payload)
        except GalaxyError as error:
            # What was sent before may have been served only while it was looked for: Galaxy refuses a second one.
            found = find() if notes.data["tries"] > 1 and not error.lost else None
            if not found:
                raise
            return found
        return str((made[0] if isinstance(made, list) else made)["id"])
    return send_once(notes, kind, label, find=find, send=send, prepare=dict)


def act_or_look(act: Callable[[], Any], is_done: Callable[[], Any]) -> None:
    """Do what Galaxy refuses a second time. If that fails it may be done all the same, by a request whose answer was lost:
    then `is_done()` is true, else the error is raised."""
    try:
        act()
    except GalaxyError:
        if not is_done():
            raise
