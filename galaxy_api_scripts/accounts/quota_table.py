"""Quotas as a table says: made, undeleted, changed to what the table has, others deleted on request."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from common import FAILED, Galaxy, GalaxyError, did_you_mean, shorten
from galaxy_api_scripts.accounts.directory import Directory
from galaxy_api_scripts.accounts.groups import Group
from galaxy_api_scripts.accounts.quotas import (
    DEFAULTS,
    UNLIMITED,
    Quota,
    change_quota,
    create_quota,
    delete_quota,
    fetch_quotas,
    parse_amount,
    read_quota,
)
from galaxy_api_scripts.releases import QUOTA_GROUPS, supports
from galaxy_api_scripts.tables import NOTHING, Problems, Row

COLUMNS = {"name": ("quota", "quota name"), "amount": ("size", "limit"), "operation": ("sign",),
           "default": ("default for", "default type"), "users": ("user", "members", "email", "e-mail", "emails"),
           "groups": ("group",), "description": (), "source": ("label", "source label", "quota source label")}
FIELDS = ["id", "name", "action", "amount", "operation", "default", "added", "removed"]
NO_DEFAULT = ("no", "none", NOTHING)
SIGNS = {"=": "=", "+": "+", "-": "-", "exact": "=", "add": "+", "subtract": "-"}       # Excel takes signs for formulas


@dataclass(eq=False)
class QuotaChange:
    """A quota that differs from what is `wanted`; `now` is None for one to be made, `wanted` for one to be deleted."""

    now: Quota | None
    wanted: Quota | None
    emails: dict[str, str] = field(default_factory=dict)        # of users, by their ids
    group_names: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The quota's name."""
        quota = self.wanted or self.now
        assert quota
        return quota.name

    def row(self) -> dict[str, Any]:
        """What is changed, by FIELDS; users and groups that get or lose it, the others as they are afterwards."""
        now, wanted = self.now or Quota("", 0), self.wanted
        shown = wanted or now
        action = "deleted" if not wanted else "created" if not self.now else "undeleted" if now.is_deleted else "changed"
        added, removed = [], []
        for kind, names in (("users", {**now.emails, **self.emails}), ("groups", {**now.group_names, **self.group_names})):
            before, after = getattr(now, kind), getattr(shown, kind)
            label = "group " if kind == "groups" else ""
            added += [label + names.get(one, one) for one in sorted(after - before)]
            removed += [label + names.get(one, one) for one in sorted(before - after)]
        return {"id": now.id or None, "name": self.name, "action": action, "amount": describe_amount(shown.bytes),
                "operation": shown.operation, "default": shown.default or None, "added": added, "removed": removed}


def describe_amount(number: int) -> str:
    """An amount as a table may have it: in the largest unit in which it is whole."""
    if number == UNLIMITED:
        return "unlimited"
    for power, unit in ((4, "T"), (3, "G"), (2, "M"), (1, "k")):
        for base, ending in ((1000, "B"), (1024, "iB")):
            if number and number % base ** power == 0:
                return f"{number // base ** power} {unit.upper() if ending == 'iB' else unit}{ending}"
    return f"{number} bytes"


class QuotaTable:
    """The quotas that a table asks for, on one server. `inspect` first; `changes` are then those that differ."""

    def __init__(self, galaxy: Galaxy, rows: list[Row], problems: Problems, delete_others: bool = False):
        self.galaxy, self.rows, self.problems, self.delete_others = galaxy, rows, problems, delete_others
        self.wanted: dict[str, Quota] = {}
        self.defaults: dict[tuple[str, str], Row] = {}      # {(of whom, source): the row that says so}
        self.emails: dict[str, str] = {}
        self.group_names: dict[str, str] = {}

    def inspect(self) -> None:
        """Find quotas, users and groups. Raises `GalaxyError` for all that is wrong with the table."""
        self.now, broken = fetch_quotas(self.galaxy, {row.cells["name"] for row in self.rows})
        has_users, has_groups = (any(row.cells[column] for row in self.rows) for column in ("users", "groups"))
        self.directory = Directory(self.galaxy) if has_users else None
        self.groups = {one["name"]: Group(one["id"], one["name"]) for one in self.galaxy.get("groups")} if has_groups else {}
        lines: dict[str, int] = {}
        for row in self.rows:
            name = row.cells["name"]
            if not name or lines.setdefault(name, row.line) != row.line:
                self.problems.note(row.line, f"the quota {shorten(name, 60)!r} is in line {lines[name]} too" if name else
                                             "there is no quota's name")
            elif name in broken:
                self.problems.note(row.line, broken[name])
            else:
                self.wanted[name] = self._parse(row, self.now.get(name))
        for name, quota in list(self.wanted.items()):
            # A default that another row takes is this one's no more: there is one for each kind of user.
            taker = self.defaults.get((quota.default, quota.source))
            if taker and taker.cells["name"] != name:
                self.wanted[name] = quota = replace(quota, default="")
            if quota.default and quota.bytes == UNLIMITED:
                self.problems.note(lines[name], "an unlimited default quota is one of -1 bytes to Galaxy, which pauses the "
                                   f"jobs of all {quota.default} users: without a default there is no limit")
        for name, quota in self.now.items():
            if self.delete_others and name not in self.wanted and quota.default and not quota.is_deleted and \
                    (quota.default, quota.source) not in self.defaults:
                self.problems.note(1, f"the quota {name!r} is not in the table, and is the default for {quota.default} "
                                      "users: name another default, or give it a row with default no")
        for name in broken if self.delete_others else ():
            self.problems.note(1, broken[name])
        self.problems.raise_any(FAILED)

    # ------------------------------------------------------------------------------------------------------ reading a row

    def _parse(self, row: Row, now: Quota | None) -> Quota:
        """What a row wants of a quota; cells that are empty leave what is there."""
        cells, name = row.cells, row.cells["name"]
        description = name if cells["description"] == NOTHING else cells["description"]     # Galaxy wants one
        source = "" if cells["source"] == NOTHING else cells["source"]
        quota = replace(now, description=description or now.description) if now else Quota(
            name, 0, description=description, source=source)
        if cells["source"] and source != quota.source:
            self.problems.note(row.line, f"the quota {name!r} is for {quota.source or 'disks without a label'}, and Galaxy "
                                         "can't change that: make one of another name")
        quota = self._parse_default(row, self._parse_amount(row, quota, is_new=not now))
        users, groups = self._find_users(row, quota), self._find_groups(row)
        if quota.default:
            if users or groups:
                self.problems.note(row.line, f"a default quota is for all {quota.default} users, so it takes none by name")
            users = groups = frozenset()
        return replace(quota, users=quota.users if users is None else users,
                       groups=quota.groups if groups is None else groups)

    def _parse_amount(self, row: Row, quota: Quota, is_new: bool) -> Quota:
        text, sign = row.cells["amount"], row.cells["operation"]
        amount, operation = parse_amount(self.galaxy, text), SIGNS.get(sign.lower(), quota.operation)
        if text and amount is None:
            self.problems.note(row.line, f"the amount {shorten(text, 60)!r} is none: expected one as 50 GB, or unlimited")
        elif is_new and not text:
            near = did_you_mean(quota.name, [name for name in self.now if name not in self.wanted])
            self.problems.note(row.line, f"there is no quota {quota.name!r} yet, and a new one needs an amount{near}")
        if sign and sign.lower() not in SIGNS:
            self.problems.note(row.line, f"the operation {shorten(sign, 60)!r} is none: expected {', '.join(SIGNS)}")
        quota = replace(quota, bytes=quota.bytes if amount is None else amount, operation=operation)
        if quota.bytes == UNLIMITED and operation != "=":
            self.problems.note(row.line, "the operation of an unlimited quota is =")
        return quota

    def _parse_default(self, row: Row, quota: Quota) -> Quota:
        text = row.cells["default"].lower()
        if text and text not in (*DEFAULTS, *NO_DEFAULT):
            self.problems.note(row.line, f"the default {shorten(text, 60)!r} is none: expected {', '.join(DEFAULTS)} or no")
        if text in DEFAULTS:
            other = self.defaults.setdefault((text, quota.source), row)
            if other is not row:
                self.problems.note(row.line, f"the default for {text} users is in line {other.line} too")
        quota = replace(quota, default=text if text in DEFAULTS else "" if text else quota.default)
        if quota.default and quota.operation != "=":
            self.problems.note(row.line, "the operation of a default quota is =")
        return quota

    def _find_users(self, row: Row, quota: Quota) -> frozenset[str] | None:
        """The ids of the users in a row; deleted accounts stay under their quotas."""
        names = row.names("users")
        found = [one for one in quota.users if self.directory and self.directory.accounts.get(one, {}).get("deleted")]
        for text in names or ():
            assert self.directory
            try:
                account = self.directory.find(text)
            except GalaxyError as error:
                self.problems.note(row.line, str(error))
                continue
            if account["deleted"]:
                self.problems.note(row.line, f"the account of {text} is deleted: user_delete.py --undelete brings it back")
            self.emails[account["id"]] = account["email"]
            found.append(account["id"])
        return None if names is None else frozenset(found)

    def _find_groups(self, row: Row) -> frozenset[str] | None:
        names = row.names("groups")
        found = []
        if names and not supports(self.galaxy, QUOTA_GROUPS):
            self.problems.note(row.line, "this Galaxy is older than 26.1, and fails over each quota that has groups: name "
                                         "their users")
        for name in names or ():
            if name in self.groups:
                self.group_names[self.groups[name].id] = name
                found.append(self.groups[name].id)
            else:
                self.problems.note(row.line, f"there is no group {name!r}{did_you_mean(name, self.groups)}")
        return None if names is None else frozenset(found)

    # ---------------------------------------------------------------------------------------------------------- doing it

    def changes(self) -> Iterator[QuotaChange]:
        """The quotas that are to be made, undeleted, changed or deleted."""
        for name, wanted in self.wanted.items():
            now = self.now.get(name)
            if not now or now.is_deleted or now != wanted:
                yield QuotaChange(now, replace(wanted, is_deleted=False), self.emails, self.group_names)
        for name, now in self.now.items():
            if self.delete_others and name not in self.wanted and not now.is_deleted:
                yield QuotaChange(now, None)

    def apply(self, change: QuotaChange, row: dict[str, Any]) -> None:
        """Make a change, and read it back; a new quota's id goes into the row. Raises `GalaxyError`."""
        if not change.wanted:
            assert change.now
            delete_quota(self.galaxy, change.now)
        elif not change.now:
            row["id"] = create_quota(self.galaxy, change.wanted).id
        else:       # another row may have taken its default meanwhile
            now = change.now if change.now.is_deleted else read_quota(self.galaxy, change.now.id)
            change_quota(self.galaxy, now, change.wanted)
