"""Accounts with what one request a user tells: disk usage, quota, and when they last did anything."""
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.accounts.directory import Account, list_accounts
from galaxy_api_scripts.accounts.groups import fetch_groups
from galaxy_api_scripts.together import ask_each

USAGE_FIELDS = ("purged", "is_admin", "disk_usage", "quota", "quota_bytes", "quota_percent")
LAST_ACTIVITY = "last_activity"
GROUPS = "groups"
HISTORY_PAGE = 500


def describe_accounts(galaxy: Galaxy, fields: Collection[str], deleted: bool = False, text: str = "",
                      idle_seconds: int | None = None) -> Iterator[Account]:
    """The accounts with these `fields`, which cost requests only where they are named: one a user for those of USAGE_FIELDS
    and one for LAST_ACTIVITY, one a group for GROUPS. `text` is in their address or name, in any capitals; `idle_seconds`
    is for how long they have done nothing."""
    accounts: Iterator[Account] = (one for one in list_accounts(galaxy, deleted)
                                   if text.casefold() in f"{one['email']}\n{one['username']}".casefold())
    members = list_memberships(galaxy) if GROUPS in fields else {}
    has_usage, has_activity = not {*USAGE_FIELDS}.isdisjoint(fields), LAST_ACTIVITY in fields or idle_seconds is not None
    if not has_usage and not has_activity:
        for one in accounts:
            yield {**one, GROUPS: members.get(one["id"], [])}
        return
    limit = time_before(idle_seconds) if idle_seconds is not None else None
    if has_activity:
        accounts = add_history_changes(galaxy, accounts, limit)

    def ask(account: Account) -> Account:
        last = max(account.pop("times"), find_last_job(galaxy, account["id"])) if has_activity else ""
        is_listed = limit is None or last < limit
        about = describe_usage(galaxy, account) if has_usage and is_listed else {}
        return {**account, **about, LAST_ACTIVITY: last or None, GROUPS: members.get(account["id"], []), "": is_listed}

    yield from (one for one in ask_each(ask, accounts) if one.pop(""))


def describe_usage(galaxy: Galaxy, account: Account) -> dict[str, Any]:
    """An account's USAGE_FIELDS, bytes as integers, and whether it was deleted meanwhile. `quota` is Galaxy's text."""
    try:
        told = galaxy.get(f"users/{'deleted/' * bool(account['deleted'])}{account['id']}")
    except GalaxyError as error:
        told = galaxy.get_or_none(f"users/deleted/{account['id']}") if error.status in (400, 403, 404) else None
        if not told:
            raise
    return {**{name: told.get(name) for name in USAGE_FIELDS}, "disk_usage": int(told["total_disk_usage"]),
            "deleted": told["deleted"]}


def list_memberships(galaxy: Galaxy) -> dict[str, list[str]]:
    """`{id of a user: names of groups}`."""
    members: dict[str, list[str]] = {}
    for group in fetch_groups(galaxy).values():
        for user in group.members:
            members.setdefault(user, []).append(group.name)
    return members


def time_before(seconds: int) -> str:
    """The time so many seconds ago, as Galaxy writes times (UTC)."""
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def add_history_changes(galaxy: Galaxy, accounts: Iterable[Account], limit: str | None) -> Iterator[Account]:
    """Those of the accounts that changed neither password nor history since `limit`, all for None, with the last time of
    either as `times`. Galaxy tells no last login (26.1): it keeps it for its own pages."""
    accounts = [one for one in accounts if limit is None or (one["last_password_change"] or "") < limit]
    changes = last_history_changes(galaxy, {one["id"] for one in accounts})
    for one in accounts:
        one["times"] = max(one["last_password_change"] or "", changes.get(one["id"], ""))
        if limit is None or one["times"] < limit:
            yield one


def last_history_changes(galaxy: Galaxy, users: Collection[str]) -> dict[str, str]:
    """`{id: when}` a history of these users changed last; deleted ones don't count: others may have deleted them. Reads
    everybody's histories, the newest first, until it has seen one of each."""
    changes: dict[str, str] = {}
    missing, offset = {*users}, 0
    while missing:
        page = galaxy.get("histories", {"all": "true", "keys": "id,user_id,update_time", "order": "update_time-dsc",
                                        "limit": HISTORY_PAGE, "offset": offset})
        for one in page:
            changes.setdefault(one["user_id"], one["update_time"])
        missing -= changes.keys()
        offset += len(page)
        if len(page) < HISTORY_PAGE:
            break
    return changes


def find_last_job(galaxy: Galaxy, user: str) -> str:
    """When the newest of a user's jobs was created, "" if there is none."""
    jobs = galaxy.get("jobs", {"user_id": user, "limit": 1, "order_by": "create_time"})
    return str(jobs[0]["create_time"]) if jobs else ""
