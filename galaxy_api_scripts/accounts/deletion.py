"""Accounts deleted, purged or brought back, and what they own."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.accounts.directory import Account, Directory, undelete_account
from galaxy_api_scripts.accounts.listing import describe_usage
from galaxy_api_scripts.tables import Problems, has_content, read_table_lines, split_table
from galaxy_api_scripts.together import ask_each

ID_COLUMNS = ("id", "email")        # of a table that lists accounts, the surest first
HISTORY_PAGE, MOST_HISTORIES = 500, 50_000
ACTIVE_JOBS = ("new", "resubmitted", "upload", "waiting", "queued", "running", "paused", "stop")


def read_users(words: Iterable[str]) -> list[str]:
    """The users that words name, each once: `-` stands for those in standard input, `@FILE` for those in a file, one a line
    or in a table with a column id or email. Raises `GalaxyError` (USAGE)."""
    users: dict[str, None] = {}
    for word in words:
        name = "-" if word == "-" else word[1:] if word.startswith("@") else ""
        users.update(dict.fromkeys(_read_list(name) if name else [word]))
    return list(users)


def _read_list(name: str) -> list[str]:
    lines = read_table_lines(name)
    if not any(map(has_content, lines)):
        return []
    table = split_table(name, lines, 0, ID_COLUMNS)
    columns = [column.lower() for column in table.columns]
    places = [columns.index(column) for column in ID_COLUMNS if column in columns]
    if not places:
        return [line.strip() for line in lines if has_content(line)]
    users, problems = list[str](), Problems(name)
    for line, cells in table.rows:
        found = next((cells[place] for place in places if len(cells) > place and cells[place]), "")
        users += [found] * bool(found)
        if not found:
            problems.note(line, f"there is no {' and no '.join(columns[place] for place in places)}")
    problems.raise_any()
    return users


def find_accounts(galaxy: Galaxy, users: Iterable[str], own_id: str, missing_ok: bool = False) -> list[Account]:
    """The accounts that ids, e-mail addresses and public names name, each once, with the fields of `describe_usage`. Raises
    `GalaxyError` for the account `own_id`, and for what names none, unless they may be missing, or several."""
    directory, problems = Directory(galaxy), list[str]()
    found: dict[str, Account] = {}
    for user in users:
        try:
            account = directory.find(user)
        except GalaxyError as error:
            if not (missing_ok and error.status == 404):
                problems.append(str(error))
            continue
        if account["id"] == own_id:
            problems.append(f"{user!r} is the account of this key itself")
        found[account["id"]] = account
    if problems:
        what = problems[0] if len(problems) == 1 else f"{len(problems)} accounts can't be taken"
        raise GalaxyError(f"{what}: nothing was changed", table="\n".join(problems) if len(problems) > 1 else "")
    accounts = list(found.values())
    for one, usage in zip(accounts, ask_each(lambda account: describe_usage(galaxy, account), accounts)):
        one.update(usage)
    return accounts


def add_property(galaxy: Galaxy, accounts: list[Account]) -> None:
    """Add to the accounts how many `histories` and `active_jobs` they have. Galaxy counts nobody's histories, so all are
    read; where there are very many, the numbers are None."""
    counts, number = Counter[str](), 0
    for offset in range(0, MOST_HISTORIES, HISTORY_PAGE):
        page = galaxy.get("histories", {"all": "true", "keys": "id,user_id", "order": "create_time-asc", "offset": offset,
                                        "limit": HISTORY_PAGE})
        counts.update(one["user_id"] for one in page)
        number += len(page)
        if len(page) < HISTORY_PAGE:
            break

    def count_jobs(account: Account) -> int:
        return len(galaxy.get("jobs", {"user_id": account["id"], "state": ACTIVE_JOBS, "limit": 500}))
    for one, jobs in zip(accounts, ask_each(count_jobs, accounts)):
        one.update(active_jobs=jobs, histories=counts[one["id"]] if number < MOST_HISTORIES else None)


def delete_account(galaxy: Galaxy, account: Account, purge: bool) -> None:
    """Delete an account, which can be brought back; with `purge` also redact and purge it, which is for good."""
    if not account["deleted"]:
        galaxy.delete(f"users/{account['id']}")
    if purge:       # Galaxy purges deleted accounts only
        galaxy.delete(f"users/{account['id']}?purge=true")
    told: dict[str, Any] = galaxy.get(f"users/deleted/{account['id']}")
    if not told["deleted"] or (purge and not told["purged"]):
        raise GalaxyError("Galaxy has answered that it is done, but the account is as before")


def restore_account(galaxy: Galaxy, account: Account) -> None:
    """Bring back a deleted account that is not purged."""
    undelete_account(galaxy, account["id"])
    if galaxy.get(f"users/{account['id']}")["deleted"]:
        raise GalaxyError("Galaxy has answered that it is done, but the account is as before")
