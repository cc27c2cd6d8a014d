"""Accounts from a table: made or undeleted, put into groups and under quotas, each once; a later run does what is left."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from common import FAILED, TRY_LATER, Galaxy, GalaxyError, did_you_mean, shorten
from galaxy_api_scripts.accounts.directory import (
    LIST_FIELDS,
    Account,
    Directory,
    check_email,
    check_name,
    create_account,
    derive_name,
    list_accounts,
    undelete_account,
)
from galaxy_api_scripts.accounts.groups import Group, add_member, create_group, fetch_groups, read_group, remove_member
from galaxy_api_scripts.accounts.keys_file import KeysFile
from galaxy_api_scripts.accounts.quotas import Quota, change_quota, create_quota, fetch_quotas, parse_amount
from galaxy_api_scripts.tables import Problems, Row

COLUMNS = {"email": ("e-mail", "mail", "e-mail address", "address"), "name": ("username", "public name", "user", "login"),
           "groups": ("group",), "quota": ("quotas",)}
FIELDS = ["id", "email", "name", "action", "added", "removed"]
CREATED, UNDELETED, CHANGED, ACTIVE = "created", "undeleted", "changed", "active"


@dataclass(eq=False)
class Person:
    """A row of the table: what it asks for, the account, and what becomes of it. None for groups and quotas leaves them."""

    line: int
    email: str
    name: str
    groups: list[str] | None
    quotas: list[str] | None
    account: Account | None = None
    action: str = ""
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    error: GalaxyError | None = None

    @property
    def id(self) -> str:
        """The account's id, "" before it is made."""
        return str(self.account["id"]) if self.account else ""

    def row(self) -> dict[str, Any]:
        """What was done, by FIELDS."""
        return {"id": self.id or None, "email": self.email, "name": self.name, "action": self.action or CHANGED,
                "added": self.added, "removed": self.removed}


@dataclass
class Step:
    """One change in Galaxy, and what it is to `people`: an action, or something that they have from now on or no longer."""

    act: Callable[[list[Person]], None]
    people: list[Person]
    action: str = ""
    added: str = ""
    removed: str = ""
    made: dict[str, Any] | None = None      # the row of a group or quota that is made

    def record(self, people: list[Person]) -> None:
        """Note with the people that the change was made."""
        for one in people if self.made is None else ():
            one.action = self.action or one.action
            one.added += [self.added] * bool(self.added)
            one.removed += [self.removed] * bool(self.removed)


def parse_people(rows: list[Row], problems: Problems) -> list[Person]:
    """What the rows of a table say; what is wrong with them by themselves goes to the problems."""
    people, emails, names = [], dict[str, int](), dict[str, int]()
    for row in rows:
        email, name = row.cells["email"], row.cells["name"]
        for problem in filter(None, (check_email(email), check_name(name) if name else "")):
            problems.note(row.line, problem)
        for what, value, lines in (("e-mail address", email.casefold(), emails), ("public name", name, names)):
            if value and lines.setdefault(value, row.line) != row.line:
                problems.note(row.line, f"the {what} {shorten(value, 80)} is in line {lines[value]} too")
        people.append(Person(row.line, email, name, row.names("groups"), row.names("quota")))
    return people


class AccountTable:
    """The accounts that a table asks for, on one server. `inspect` first; `steps` are then what is to be done, in order."""

    def __init__(self, galaxy: Galaxy, people: list[Person], problems: Problems, *, password: str = "",
                 undelete: bool = False, activate: bool = False, create_groups: bool = False, keys: KeysFile | None = None):
        self.galaxy, self.people, self.problems, self.keys = galaxy, people, problems, keys
        self.password, self.undelete, self.activate, self.create_groups = password, undelete, activate, create_groups
        self.groups: dict[str, Group] = {}
        self.quotas: dict[str, Quota] = {}
        self.broken: dict[str, str] = {}        # quotas that can't be read
        self.made: list[dict[str, Any]] = []        # rows of groups and quotas

    def inspect(self) -> None:
        """Find the accounts, groups and quotas. Raises `GalaxyError` for all that is wrong with the table."""
        self.directory = Directory(self.galaxy)
        if any(one.groups is not None for one in self.people):
            self.groups = fetch_groups(self.galaxy)
        if any(one.quotas is not None for one in self.people):
            self.quotas, self.broken = fetch_quotas(self.galaxy, {name for one in self.people for name in one.quotas or ()})
        names = {one.name for one in self.people}
        for one in self.people:
            self._find_account(one, names)
            for name in one.groups or ():
                self._check_group(one, name)
            for name in one.quotas or ():
                self._check_quota(one, name)
        self.problems.raise_any(FAILED)

    def _find_account(self, one: Person, names: set[str]) -> None:
        found = self.directory.with_email(one.email)
        if len(found) > 1:
            others = ", ".join(account["email"] for account in found)
            self.problems.note(one.line, f"{len(found)} accounts have the address {one.email} in other capitals: write it "
                                         f"as one of {others}")
        elif found:
            [one.account] = found
            one.name = found[0]["username"] or ""
            if found[0]["deleted"] and not self.undelete:
                one.error = GalaxyError(f"the account {one.id} of this address is deleted: --undelete brings it back")
        elif not one.name:
            one.name = derive_name(one.email, lambda name: name in names or self.directory.with_name(name))
            names.add(one.name)
        elif owner := self.directory.with_name(one.name):
            self.problems.note(one.line, f"the public name {one.name} is taken by {owner['email']}"
                                         + ", whose account is deleted" * bool(owner["deleted"]))

    def _check_group(self, one: Person, name: str) -> None:
        if name not in self.groups and self.create_groups:
            self.groups[name] = Group("", name)
        elif name not in self.groups:
            near = did_you_mean(name, self.groups) or ": --create-groups makes it"
            self.problems.note(one.line, f"there is no group {name!r}{near}")

    def _check_quota(self, one: Person, name: str) -> None:
        quota = self.quotas.get(name)
        if name in self.broken:
            self.problems.note(one.line, self.broken[name])
        elif not quota:
            amount = parse_amount(self.galaxy, name)
            if amount is None:
                near = did_you_mean(name, self.quotas)
                self.problems.note(one.line, f"there is no quota {name!r}, nor is that an amount such as 50 GB{near}")
            else:
                self.quotas[name] = Quota(name, amount)
        elif quota.default or quota.is_deleted:
            state = "the default one, which is for everybody" if quota.default else "deleted: quota_set.py brings it back"
            self.problems.note(one.line, f"the quota {name!r} is {state}")

    # ------------------------------------------------------------------------------------------------- what is to be done

    def steps(self) -> Iterator[Step]:
        """The changes, in an order in which each finds what it needs; one that was made is in none of a later run."""
        people = [one for one in self.people if not one.error]
        for group in self.groups.values():
            if not group.id:
                made = {"name": group.name, "action": "group created"}
                yield Step(partial(self._make_group, group, made),
                           [one for one in people if group.name in (one.groups or ())], made=made)
        for quota in list(self.quotas.values()):
            if not quota.id:
                yield Step(partial(self._make_quota, quota), [one for one in people if quota.name in (one.quotas or ())],
                           made={"name": quota.name, "action": "quota created"})
        for one in people:
            if not one.account:
                yield Step(self._create, [one], action=CREATED)
            elif one.account["deleted"]:
                yield Step(self._undelete, [one], action=UNDELETED)
            if self.activate and one.account and not one.account["active"]:
                yield Step(self._activate, [one], added=ACTIVE)
        for group in self.groups.values():
            for one in people:
                if one.groups is not None and group.name in one.groups and one.id not in group.members:
                    yield Step(partial(self._add_member, group), [one], added=f"group {group.name}")
                if one.groups is not None and group.name not in one.groups and one.id in group.members:
                    yield Step(partial(self._remove_member, group), [one], removed=f"group {group.name}")
        for name in list(self.quotas):
            yield from self._quota_steps(name, [one for one in people if one.quotas is not None])
        for one in people:
            if self.keys and (one.action == CREATED or one.email not in self.keys):
                yield Step(self._write_key, [one], added="key")

    def _quota_steps(self, name: str, people: list[Person]) -> Iterator[Step]:
        users = self.quotas[name].users
        added = [one for one in people if name in (one.quotas or ()) and one.id not in users]
        removed = [one for one in people if name not in (one.quotas or ()) and one.id in users]
        if added:
            yield Step(partial(self._add_to_quota, name), added, added=f"quota {name}")
        if removed:
            yield Step(partial(self._take_from_quota, name), removed, removed=f"quota {name}")

    # --------------------------------------------------------------------------------------------------------- doing it

    def apply(self, step: Step, dry_run: bool) -> None:
        """Make a change, unless in a dry run, and note it. What Galaxy refuses is noted with the people whose change it is;
        raises what concerns the server (TRY_LATER)."""
        people = [one for one in step.people if not one.error]
        if not people:
            return
        try:
            if not dry_run:
                step.act(people)
        except GalaxyError as error:
            if error.exit_code == TRY_LATER:
                raise
            for one in people:
                one.error = error
            return
        step.record(people)
        if step.made:
            self.made.append({**dict.fromkeys(FIELDS), **step.made})

    def verify(self) -> None:
        """Read back the accounts and groups, and note with the people what Galaxy has not done."""
        made = [one for one in self.people if (one.action or ACTIVE in one.added) and not one.error]
        there = {account["id"]: account["active"] for account in list_accounts(self.galaxy)} if made else {}
        for one in made:
            lacks = "there" if one.id not in there else ACTIVE if self.activate and not there[one.id] else ""
            if lacks:
                one.error = GalaxyError(f"Galaxy has answered that it is done, and the account is not {lacks}")
                one.added = [what for what in one.added if what != ACTIVE] if lacks == ACTIVE else []
                one.action = one.action if lacks == ACTIVE else ""
        for name, group in sorted(self.groups.items()):
            label = f"group {name}"
            changed = [one for one in self.people if label in one.added + one.removed and not one.error]
            members = read_group(self.galaxy, group.id, name).members if changed else {}
            for one in changed:
                if (label in one.added) != (one.id in members):
                    (one.added if label in one.added else one.removed).remove(label)
                    state = "in" if one.id in members else "not in"
                    one.error = GalaxyError(f"Galaxy has answered that it is done, and the account is {state} the {label!r}")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What was done, as far as it was."""
        return self.made + [one.row() for one in self.people if one.action or one.added or one.removed]

    def _make_group(self, group: Group, made: dict[str, Any], people: list[Person]) -> None:
        group.id, is_new = create_group(self.galaxy, group.name, [], [])
        made["action"] = "group created" if is_new else "group undeleted"
        group.members = read_group(self.galaxy, group.id, group.name).members       # of one that was deleted

    def _make_quota(self, quota: Quota, people: list[Person]) -> None:
        self.quotas[quota.name] = create_quota(self.galaxy, quota)

    def _create(self, people: list[Person]) -> None:
        [one] = people
        if self.keys:
            self.keys.drop(one.email)       # that of an account that was purged
        made = create_account(self.galaxy, one.email, one.name, self.password)
        one.account = {**dict.fromkeys(LIST_FIELDS), "id": made, "email": one.email, "username": one.name, "deleted": False,
                       "active": True}
        if self.activate:       # whether it is active by itself is told by the list of all accounts alone
            self._activate(people)

    def _undelete(self, people: list[Person]) -> None:
        [one] = people
        assert one.account
        undelete_account(self.galaxy, one.id)
        one.account["deleted"] = False

    def _activate(self, people: list[Person]) -> None:
        self.galaxy.put(f"users/{people[0].id}", {"active": True})

    def _add_member(self, group: Group, people: list[Person]) -> None:
        add_member(self.galaxy, group.id, people[0].id)

    def _remove_member(self, group: Group, people: list[Person]) -> None:
        remove_member(self.galaxy, group.id, people[0].id)

    def _add_to_quota(self, name: str, people: list[Person]) -> None:
        quota = self.quotas[name]
        self.quotas[name] = change_quota(self.galaxy, quota, replace(quota, users=quota.users | {one.id for one in people}))

    def _take_from_quota(self, name: str, people: list[Person]) -> None:
        quota = self.quotas[name]
        self.quotas[name] = change_quota(self.galaxy, quota, replace(quota, users=quota.users - {one.id for one in people}))

    def _write_key(self, people: list[Person]) -> None:
        assert self.keys
        self.keys.add(people[0].email, self.galaxy.get(f"users/{people[0].id}/api_key"))


def save_keys(keys: KeysFile, people: list[Person]) -> None:
    """Write the keys. Raises `GalaxyError` if the disk is full: then those that are not in the file were given to nobody."""
    try:
        keys.save()
    except GalaxyError:
        for one in people:
            if one.email.casefold() in keys.unsaved:
                one.added = [what for what in one.added if what != "key"]
        raise
