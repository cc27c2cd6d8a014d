"""Who and what takes the disk, as Galaxy counts it: by user, by history, by object store."""
from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.disk.facts import iter_histories
from galaxy_api_scripts.sizes import format_size
from galaxy_api_scripts.together import ask_each

Row = dict[str, Any]
FIELDS = {"user": ["user", "bytes", "size", "quota", "quota_percent", "id"],
          "history": ["name", "user", "bytes", "size", "update_time", "deleted", "id"],
          "store": ["store", "bytes", "size", "users"]}
HISTORY_KEYS = "id,name,user_id,username,size,update_time,deleted,purged"
ONLY_STORE = "default"      # Galaxy names none where there is one disk


def measure(galaxy: Galaxy, by: str, everybody: bool, limit: int | None) -> Iterator[Row]:
    """Yield rows of FIELDS, the largest first, `limit` of them, which are all that is kept in memory, as small as can be.
    Raises `GalaxyError`, also for a user who has gone since the list was made."""
    names = [name for name in FIELDS[by] if name != "size"]
    count, users = names.index("bytes"), dict[str, str]()      # each user's name once
    rows = (tuple(users.setdefault(row[name], row[name]) if name == "user" else row[name] for name in names)
            for row in {"user": by_user, "history": by_history, "store": by_store}[by](galaxy, everybody))

    def order(row: tuple[Any, ...]) -> Any:
        return -row[count], str(row[0]), str(row[-1])

    chosen = sorted(rows, key=order) if limit is None else heapq.nsmallest(limit, rows, key=order)
    chosen.reverse()
    while chosen:
        row: Row = dict(zip(names, chosen.pop()))
        yield {name: format_size(row["bytes"]) if name == "size" else row[name] for name in FIELDS[by]}


def iter_users(galaxy: Galaxy, everybody: bool) -> Iterator[Row]:
    """Yield everybody's account, or the key's own."""
    yield from galaxy.pages("users") if everybody else [galaxy.current_user()]


def by_user(galaxy: Galaxy, everybody: bool) -> Iterator[Row]:
    """A row for each user: what counts for the quota. Galaxy tells it of one user at a time (26.1)."""
    for user, about in _ask_of_each(galaxy, everybody, "{}"):
        count = _bytes(about, f"users/{user['id']}")
        yield {"user": user.get("email") or user.get("username"), "bytes": count,
               "quota": about.get("quota"), "quota_percent": about.get("quota_percent"), "id": user["id"]}


def by_history(galaxy: Galaxy, everybody: bool) -> Iterator[Row]:
    """A row for each history that is not purged: all of its datasets that are not, so that a dataset counts in each history
    that it was copied to. Archived ones are not among them."""
    for about in iter_histories(galaxy, everybody, {"q": "deleted", "qv": "None"}, HISTORY_KEYS):
        if not about.get("purged"):
            count = about["size"]
            yield {"name": about["name"], "user": about.get("username"), "bytes": count,
                   "update_time": about["update_time"], "deleted": about["deleted"], "id": about["id"]}


def by_store(galaxy: Galaxy, everybody: bool) -> Iterator[Row]:
    """A row for each object store: what is in histories, without what libraries have too."""
    totals, users = dict[str, int](), dict[str, int]()
    for user, about in _ask_of_each(galaxy, everybody, "{}/objectstore_usage"):
        for store in about:
            count = _bytes(store, f"users/{user['id']}/objectstore_usage")
            totals[store["object_store_id"]] = totals.get(store["object_store_id"], 0) + count
            users[store["object_store_id"]] = users.get(store["object_store_id"], 0) + (count > 0)
    if not totals:
        counts = [row["bytes"] for row in by_user(galaxy, everybody)]
        totals, users = {ONLY_STORE: sum(counts)}, {ONLY_STORE: sum(count > 0 for count in counts)}
    for name, count in totals.items():
        yield {"store": name, "bytes": count, "users": users[name]}


def _ask_of_each(galaxy: Galaxy, everybody: bool, path: str) -> Iterator[tuple[Row, Any]]:
    """Each user with the answer of `users/` and `path`."""
    yield from ask_each(lambda user: (user, galaxy.get(f"users/{path.format(user['id'])}")), iter_users(galaxy, everybody))


def _bytes(answer: Any, path: str) -> int:
    count = answer.get("total_disk_usage") if isinstance(answer, dict) else None
    if not isinstance(count, (int, float)) or isinstance(count, bool):
        raise GalaxyError(f"{path}: the answer has no total_disk_usage")
    return int(count)
