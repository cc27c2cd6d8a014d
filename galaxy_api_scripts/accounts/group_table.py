"""Groups as a table says: made, their members and roles changed to those of the table, others deleted on request."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from common import FAILED, Galaxy, GalaxyError, did_you_mean
from galaxy_api_scripts.accounts.directory import Directory
from galaxy_api_scripts.accounts.groups import (
    Group,
    add_member,
    add_role,
    create_group,
    delete_group,
    fetch_groups,
    read_group,
    remove_member,
    remove_role,
)
from galaxy_api_scripts.tables import Problems, Row

COLUMNS = {"group": ("name", "group name"), "users": ("user", "members", "member", "email", "e-mail", "emails"),
           "roles": ("role",)}
FIELDS = ["id", "name", "action", "added", "removed"]
CREATED, UNDELETED, CHANGED, DELETED = "created", "undeleted", "changed", "deleted"
PRIVATE = "private"     # a role of one user, named by the address


@dataclass(eq=False)
class WantedGroup:
    """A group of the table, by one row or several: its users and roles as they were typed, None for those that it leaves."""

    line: int
    name: str
    users: list[str] | None = None
    roles: list[str] | None = None
    members: dict[str, str] = field(default_factory=dict)       # {id: e-mail address}
    role_names: dict[str, str] = field(default_factory=dict)    # {id: name}


@dataclass(eq=False)
class GroupChange:
    """A group that differs from the `wanted` one (None: to be deleted). `add` and `remove` are ids by what they show."""

    group: Group
    wanted: WantedGroup | None
    add_users: dict[str, str] = field(default_factory=dict)
    remove_users: dict[str, str] = field(default_factory=dict)
    add_roles: dict[str, str] = field(default_factory=dict)
    remove_roles: dict[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """What is changed, by FIELDS."""
        return {"id": self.group.id or None, "name": self.group.name,
                "action": DELETED if not self.wanted else CHANGED if self.group.id else CREATED,
                "added": [*self.add_users.values(), *(f"role {name}" for name in self.add_roles.values())],
                "removed": [*self.remove_users.values(), *(f"role {name}" for name in self.remove_roles.values())]}


def parse_groups(rows: list[Row], problems: Problems) -> dict[str, WantedGroup]:
    """`{name: group}` of the rows of a table; those of one group add up."""
    groups: dict[str, WantedGroup] = {}
    for row in rows:
        name = row.cells["group"]
        if not name:
            problems.note(row.line, "there is no group's name")
            continue
        group = groups.setdefault(name, WantedGroup(row.line, name))
        for kind in ("users", "roles"):
            names, before = row.names(kind), getattr(group, kind)
            if names is not None and before is not None and not (names and before):
                problems.note(row.line, f"the group {name!r} has {kind} in one row, and - for none in another")
            elif names is not None:
                setattr(group, kind, list(dict.fromkeys([*(before or []), *names])))
    return groups


class GroupTable:
    """The groups that a table asks for, on one server. `inspect` first; `changes` are then those that differ."""

    def __init__(self, galaxy: Galaxy, wanted: dict[str, WantedGroup], problems: Problems, delete_others: bool = False):
        self.galaxy, self.wanted, self.problems, self.delete_others = galaxy, wanted, problems, delete_others

    def inspect(self) -> None:
        """Find groups, users and roles. Raises `GalaxyError` for all that is wrong with the table."""
        self.directory = Directory(self.galaxy)
        self.has_roles = any(one.roles is not None for one in self.wanted.values())
        self.groups = fetch_groups(self.galaxy, self.has_roles)
        roles = list(self.galaxy.pages("roles")) if self.has_roles else []
        for one in self.wanted.values():
            for text in one.users or ():
                self._find_user(one, text)
            for text in one.roles or ():
                self._find_role(one, text, roles)
        self.problems.raise_any(FAILED)

    def _find_user(self, one: WantedGroup, text: str) -> None:
        try:
            account = self.directory.find(text)
        except GalaxyError as error:
            self.problems.note(one.line, str(error))
            return
        if account["deleted"]:
            self.problems.note(one.line, f"the account of {text} is deleted: user_delete.py --undelete brings it back")
        one.members[account["id"]] = account["email"]

    def _find_role(self, one: WantedGroup, text: str, roles: list[dict[str, Any]]) -> None:
        found = [role for role in roles if text == role["id"] or (text == role["name"] and role["type"] != PRIVATE)]
        if len(found) == 1:
            one.role_names[found[0]["id"]] = found[0]["name"]
        else:
            near = did_you_mean(text, [role["name"] for role in roles if role["type"] != PRIVATE])
            ids = ", ".join(role["id"] for role in found)
            self.problems.note(one.line, f"{len(found)} roles are named {text!r}: {ids}; give the id of one" if found else
                                         f"there is no role {text!r}{near}")

    def changes(self) -> Iterator[GroupChange]:
        """The groups that are to be made, changed or deleted. Deleted accounts stay in their groups."""
        for one in self.wanted.values():
            change = self._compare(self.groups.get(one.name) or Group("", one.name), one)
            if not change.group.id or change.row()["added"] or change.row()["removed"]:
                yield change
        for name, group in self.groups.items():
            if self.delete_others and name not in self.wanted:
                yield GroupChange(group, None)

    def _compare(self, now: Group, one: WantedGroup) -> GroupChange:
        change = GroupChange(now, one)
        if one.users is not None:
            change.add_users = {which: email for which, email in one.members.items() if which not in now.members}
            change.remove_users = {which: email for which, email in now.members.items() if which not in one.members
                                   and not self.directory.accounts.get(which, {}).get("deleted")}
        if one.roles is not None:
            change.add_roles = {which: name for which, name in one.role_names.items() if which not in now.roles}
            change.remove_roles = {which: name for which, name in now.roles.items() if which not in one.role_names}
        return change

    def apply(self, change: GroupChange, row: dict[str, Any]) -> None:
        """Make a change, and read it back; a new group's id goes into the row. Raises `GalaxyError`."""
        galaxy, group = self.galaxy, change.group
        if not change.wanted:
            return delete_group(galaxy, group)
        if not group.id:
            group.id, is_new = create_group(galaxy, group.name, [*change.add_users], [*change.add_roles])
            row.update(id=group.id, action=CREATED if is_new else UNDELETED)
            change = self._compare(read_group(galaxy, group.id, group.name, self.has_roles), change.wanted)
        for act, ids in ((add_member, change.add_users), (remove_member, change.remove_users),
                         (add_role, change.add_roles), (remove_role, change.remove_roles)):
            for which in ids:
                act(galaxy, group.id, which)
        assert change.wanted
        left = self._compare(read_group(galaxy, group.id, group.name, self.has_roles), change.wanted).row()
        if left["added"] or left["removed"]:
            lacks, has = (", ".join(left[name]) or "nothing" for name in ("added", "removed"))
            raise GalaxyError(f"Galaxy has answered that it is changed, and it lacks {lacks} and has {has} too much")
        return None
