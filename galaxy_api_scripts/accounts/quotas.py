"""Quotas: read whole, changed to what a table has, read back: Galaxy also answers 200 to changes that it does not make."""
from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.accounts.directory import act_or_look, post_once
from galaxy_api_scripts.releases import DECIMAL_SIZES, QUOTA_GROUPS, supports
from galaxy_api_scripts.together import ask_each

UNLIMITED = -1          # in bytes, as Galaxy has it
MOST_BYTES = 2**63 - 1  # that its database holds
DEFAULTS = ("registered", "unregistered")
AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(?:([kmgtpe])(i?)b?|b|bytes?)", re.IGNORECASE)


@dataclass(frozen=True)
class Quota:
    """A quota: `bytes`, and whose they are by their ids, or whose `default` it is ("" for nobody's)."""

    name: str
    bytes: int
    operation: str = "="
    description: str = ""
    source: str = ""            # the label of the disks that it is for, "" for those without
    default: str = ""
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    id: str = ""
    is_deleted: bool = False
    emails: dict[str, str] = field(default_factory=dict, compare=False)         # of its users, by their ids
    group_names: dict[str, str] = field(default_factory=dict, compare=False)


def parse_amount(galaxy: Galaxy, text: str) -> int | None:
    """The bytes that an amount such as `50 GB` means to this server, UNLIMITED for `unlimited`. GB is 10^9 bytes from Galaxy
    26.1 on, 2^30 before; GiB is 2^30. None for what is no amount, such as a number without a unit, or beyond MOST_BYTES."""
    if text.lower() in ("unlimited", "no limit"):
        return UNLIMITED
    match = AMOUNT.fullmatch(text)
    if not match:
        return None
    number, unit, binary = match.groups()
    power = " kmgtpe".index((unit or " ").lower())
    base = 1024 if binary or (power and not supports(galaxy, DECIMAL_SIZES)) else 1000
    amount = int(float(number) * base ** power)
    return amount if amount <= MOST_BYTES else None


def fetch_quotas(galaxy: Galaxy, names: Collection[str] = ()) -> tuple[dict[str, Quota], dict[str, str]]:
    """`{name: quota}` of all quotas, and of the deleted ones with these `names`, by a request for each; `{name: problem}` of
    those over which Galaxy fails (500), as over one whose group was purged (26.1).

    `quotas?deleted=true` lists no deleted ones, `quotas/deleted` does.
    """
    listed = [(one["name"], one["id"], False) for one in galaxy.get("quotas")]
    if names:
        listed += [(one["name"], one["id"], True) for one in galaxy.get("quotas/deleted") if one["name"] in names]

    def read(about: tuple[str, str, bool]) -> Quota | str:
        name, which, is_deleted = about
        try:
            return read_quota(galaxy, which, is_deleted)
        except GalaxyError as error:
            if error.status != 500:
                raise
        if not supports(galaxy, QUOTA_GROUPS):
            return f"this Galaxy fails over the quota {name!r}, as those before 26.1 do over each that has groups"
        line = f"create.py KEY /api/quotas/{which}/purge" if is_deleted else f"delete.py KEY /api/quotas/{which} purge:=true"
        return f"Galaxy fails over the quota {name!r}, perhaps because a group of it was purged: {line} takes its groups off"
    found = {about[0]: quota for about, quota in zip(listed, ask_each(read, listed))}
    return ({name: one for name, one in found.items() if isinstance(one, Quota)},
            {name: one for name, one in found.items() if isinstance(one, str)})


def read_quota(galaxy: Galaxy, quota_id: str, is_deleted: bool = False) -> Quota:
    """A quota as Galaxy has it."""
    told = galaxy.get(f"quotas/{'deleted/' * is_deleted}{quota_id}")
    users, groups = ({one[kind]["id"]: one[kind] for one in told[f"{kind}s"]} for kind in ("user", "group"))
    source, default = told.get("quota_source_label") or "", told["default"][0]["type"] if told["default"] else ""
    return Quota(told["name"], told["bytes"], told["operation"], told["description"] or "", source, default,
                 frozenset(users), frozenset(groups), quota_id, is_deleted,
                 {one: str(about.get("email")) for one, about in users.items()},
                 {one: str(about.get("name")) for one, about in groups.items()})


def create_quota(galaxy: Galaxy, quota: Quota) -> Quota:
    """Make a quota; returns it as Galaxy has it."""
    payload = {"name": quota.name, "description": quota.description or quota.name, "amount": _amount(quota),
               "operation": quota.operation, "default": quota.default or "no", "in_users": sorted(quota.users),
               "in_groups": sorted(quota.groups), **({"quota_source_label": quota.source} if quota.source else {})}

    def find() -> str | None:
        return next((str(one["id"]) for one in galaxy.get("quotas") if one["name"] == quota.name), None)
    made = post_once(galaxy, "quotas", payload, "quota", quota.name, find)
    return _require_equal(read_quota(galaxy, made), replace(quota, id=made, description=quota.description or quota.name))


def change_quota(galaxy: Galaxy, now: Quota, wanted: Quota) -> Quota:
    """Change a quota from what it is `now` to the `wanted` one, undeleted first if need be; returns it as Galaxy has it."""
    if now.is_deleted:
        now = undelete_quota(galaxy, now)
    wanted = replace(wanted, id=now.id, is_deleted=False)
    changes: dict[str, Any] = {}
    if wanted.description != now.description:       # which is ignored without the name
        changes.update(name=wanted.name, description=wanted.description)
    if (wanted.bytes, wanted.operation) != (now.bytes, now.operation):      # neither alone takes effect
        changes.update(amount=_amount(wanted), operation=wanted.operation)
    if wanted.default != now.default:
        changes["default"] = wanted.default or "no"
    if not wanted.default and (wanted.users, wanted.groups) != (now.users, now.groups):
        # Both, even where one has changed: 24.1 drops those that are not named.
        changes.update(in_users=sorted(wanted.users), in_groups=sorted(wanted.groups))
    if not changes:
        return now
    galaxy.put(f"quotas/{now.id}", changes)
    now = read_quota(galaxy, now.id)
    if not wanted.users and not wanted.groups and (now.users or now.groups):
        # Galaxy 24.1 answers 200, and keeps the last ones. Only purging takes them off, which leaves the quota itself.
        delete_quota(galaxy, now, purge=True)
        now = undelete_quota(galaxy, now)
    return _require_equal(now, wanted)


def delete_quota(galaxy: Galaxy, quota: Quota, purge: bool = False) -> None:
    """Delete a quota, which is no default; it can be undeleted, without users and groups after a `purge`."""
    act_or_look(lambda: galaxy.delete(f"quotas/{quota.id}", {"purge": True} if purge else None),
                lambda: galaxy.get_or_none(f"quotas/deleted/{quota.id}"))
    if not galaxy.get_or_none(f"quotas/deleted/{quota.id}"):
        raise GalaxyError("Galaxy has answered that it is deleted, and it is still there")


def undelete_quota(galaxy: Galaxy, quota: Quota) -> Quota:
    """Undelete a quota; returns it as Galaxy has it."""
    act_or_look(lambda: galaxy.post(f"quotas/deleted/{quota.id}/undelete"), lambda: galaxy.get_or_none(f"quotas/{quota.id}"))
    return read_quota(galaxy, quota.id)


def _amount(quota: Quota) -> str:
    return "unlimited" if quota.bytes == UNLIMITED else str(quota.bytes)


def _require_equal(now: Quota, wanted: Quota) -> Quota:
    """The quota as it is now; an error where that is not what was asked for."""
    other = [name for name in ("bytes", "operation", "description", "source", "default", "users", "groups")
             if getattr(now, name) != getattr(wanted, name)]
    if other:
        raise GalaxyError(f"quota {wanted.name!r}: Galaxy has answered that it is changed, but has another value for "
                          f"{', '.join(other)}: look at it with display.py KEY /api/quotas/{now.id}")
    return now
