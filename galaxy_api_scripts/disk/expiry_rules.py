"""Which histories are to be warned of, and which stay whatever happens."""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common import USAGE, Galaxy, GalaxyError, did_you_mean, read_text, shorten
from galaxy_api_scripts.ages import parse_utc
from galaxy_api_scripts.disk.facts import HistoryFacts, public_reason

HISTORY_ID = re.compile("([0-9a-f]{16})+")


class Owners:
    """The accounts whose histories these are: `emails` and `usernames` by id. Accounts that were deleted are not among
    them: nobody could be warned."""

    def __init__(self, users: Iterable[Any]):
        self.emails: dict[str, str] = {}
        self.usernames: dict[str, str] = {}
        for user in users:
            if isinstance(user.get("email"), str) and "@" in user["email"] and not user.get("deleted"):
                self.emails[user["id"]], self.usernames[user["id"]] = user["email"], str(user.get("username") or "")

    def find(self, text: str, option: str = "--user") -> str:
        """The id of the user with this id, e-mail address or username; a usage error if there is none."""
        for known in (self.emails, self.usernames):
            for user_id, name in known.items():
                if text in (user_id, name) or text.casefold() == name.casefold():
                    return user_id
        raise GalaxyError(f"{option}: no user is {text!r}{did_you_mean(text, list(self.emails.values()))}", USAGE)

    def require_known(self, exceptions: Iterable[str], option: str = "--except") -> None:
        """Raise a usage error for an exception that is no user's, nor looks like a history's id: it would except nothing."""
        known = {name.casefold() for names in (self.emails, self.usernames) for name in names.values()}
        for text in sorted({*exceptions} - known):
            if not HISTORY_ID.fullmatch(text):
                raise GalaxyError(f"{option}: {shorten(text, 80)!r} is no history's id and no user's e-mail address or "
                                  f"public name{did_you_mean(text, known)}; nothing was done", USAGE)


def fetch_owners(galaxy: Galaxy, everybody: bool) -> Owners:
    """Everybody's account, or that of the key alone. Raises `GalaxyError` for a list without the key's own user."""
    user = galaxy.current_user()
    owners = Owners(galaxy.pages("users") if everybody else [user])
    if user["id"] not in owners.emails:
        raise GalaxyError(f"{galaxy.base}/api/users: the list lacks {user.get('email')}, so it is not that of all users")
    return owners


@dataclass(frozen=True)
class Choice:
    """The histories to be warned of: last changed before `before`, of more than `larger_than` bytes, of one of these
    `owners` (ids; none: of anybody), with this `tag`."""

    before: datetime
    larger_than: int = 0
    owners: frozenset[str] = frozenset()
    tag: str | None = None

    def fits(self, facts: HistoryFacts) -> bool:
        return (parse_utc(facts.update_time) < self.before and facts.size >= self.larger_than
                and (not self.owners or facts.owner_id in self.owners)
                and (self.tag is None or has_tag(facts.tags, self.tag)))


@dataclass(frozen=True)
class KeepRules:
    """What stays for good: histories with one of these tags, and those whose id, owner's e-mail address or username is
    among the exceptions; with those that are published, shared or archived."""

    tags: tuple[str, ...]
    exceptions: frozenset[str] = frozenset()

    def reason(self, facts: HistoryFacts, email: str | None) -> str:
        """Why a history stays, "" if by these rules it need not. With whom it is shared is another question."""
        if facts.owner_id is None or not email:
            return "nobody to warn: it has no owner with an account"
        tag = next((tag for tag in self.tags if has_tag(facts.tags, tag)), None)
        excepted = self.exceptions & {facts.id, email.casefold(), facts.username.casefold()}
        return public_reason(facts) or ("archived" if facts.archived else f"has the tag {tag}" if tag
                                        else "excepted" if excepted else "")


def has_tag(tags: Iterable[str], tag: str) -> bool:
    """Whether `tag` is among the tags, alone or with a value (`keep:2027`), with # or without, in any case."""
    wanted = _plain(tag)
    return any(one == wanted or one.startswith((f"{wanted}:", f"{wanted}.")) for one in map(_plain, tags))


def _plain(tag: str) -> str:
    text = tag.strip().casefold()
    return text.removeprefix("#").removeprefix("name:")


def read_exceptions(file: str | None) -> frozenset[str]:
    """The ids, e-mail addresses and usernames in a file, one a line, without comments (# behind a space); none without a
    file. A usage error where it can't be read: then nothing is done."""
    lines = read_text(file).splitlines() if file else []
    return frozenset(text.casefold() for line in lines if (text := re.split(r"(?:^|\s)#", line)[0].strip()))
