"""The jobs of a server, everybody's or one's own: those that fit some filters, page by page, and counts of them."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common import NON_TERMINAL_JOB_STATES, TERMINAL_JOB_STATES, USAGE, Galaxy, GalaxyError, did_you_mean
from galaxy_api_scripts.ages import format_age, parse_age
from galaxy_api_scripts.job_queue.times import parse_time, seconds_since

PAGE = 500          # the most that Galaxy 26.1 gives
MOST_PAGES = 500    # of jobs that have one time
# `stop` ends by itself as soon as its outputs are collected; a paused job waits for a person, and can still be cancelled.
WAITING_STATES = ("new", "resubmitted", "upload", "waiting", "queued")
OPEN_STATES = (*NON_TERMINAL_JOB_STATES, "paused")
ALL_STATES = (*NON_TERMINAL_JOB_STATES, *TERMINAL_JOB_STATES)
FIELDS = ["id", "state", "tool", "user", "destination", "age", "unchanged", "history_id"]
MORE_FIELDS = ["handler", "external_id", "exit_code", "create_time", "update_time", "command_line"]
COUNTED_FIELDS = ["state", "tool", "user", "destination", "history_id", "handler", "exit_code"]
# A job that ended so lately (seconds) may change once more while the list is read: its times are set in several steps.
SETTLING = 3600


@dataclass
class JobFilter:
    """Which jobs: those that fit all that is given. Ages are in seconds, and the least."""
    states: tuple[str, ...] = OPEN_STATES
    tools: tuple[str, ...] = ()
    user: str | None = None
    destination: str | None = None
    history: str | None = None
    older_than: int | None = None       # since the job was made
    unchanged: int | None = None        # since it changed last


def parse_filter(args: dict[str, Any], allowed: Iterable[str] = ALL_STATES) -> JobFilter:
    """The filter that the options of a command line describe; a usage error for what can't be one."""
    allowed = tuple(allowed)
    states = split_commas(args["--state"])
    for state in states if states != ("all",) else ():
        if state not in allowed:
            hint = did_you_mean(state, allowed)
            raise GalaxyError(f"--state: no state is called {state!r}: expected some of {', '.join(allowed)}{hint}", USAGE)
    return JobFilter((allowed if states == ("all",) else states) or OPEN_STATES, split_commas(args["--tool"]),
                     args["--user"], args["--destination"], args["--history"], parse_age(args, "--older-than"),
                     parse_age(args, "--unchanged"))


def split_commas(text: str | None) -> tuple[str, ...]:
    """The words of an option's value that are separated by commas."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def select_jobs(galaxy: Galaxy, wanted: JobFilter, now: datetime, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """The jobs that fit, what changed last first, as `describe_job` has them: everybody's for an administrator, else one's
    own. Only what changed `since` a time, if one is given. Raises `GalaxyError` at once if a filter needs a right that the
    key's user lacks, or names nothing."""
    user = galaxy.current_user()
    query = _make_query(galaxy, wanted, user, now)
    if since:
        query["date_range_min"] = since.isoformat(timespec="microseconds")
    tools = [_tool_pattern(tool) for tool in wanted.tools]

    def fits(job: dict[str, Any]) -> bool:
        return (job["state"] in wanted.states
                and (not tools or any(pattern.fullmatch(job["tool"] or "") for pattern in tools))
                and wanted.destination in (None, job["destination"])
                and all(least is None or (seconds is not None and seconds >= least) for least, seconds in (
                    (wanted.older_than, job["seconds"]), (wanted.unchanged, job["seconds_unchanged"]))))

    return (job for job in (describe_job(one, now, user) for one in _iter_jobs(galaxy, query)) if fits(job))


def describe_job(job: dict[str, Any], now: datetime, user: dict[str, Any]) -> dict[str, Any]:
    """A job of Galaxy's list with FIELDS and MORE_FIELDS, and its ages as `seconds` and `seconds_unchanged`."""
    if not isinstance(job["id"], str) or not isinstance(job["state"], str):
        raise GalaxyError("the answer of GET /api/jobs has an id or a state that is no text")
    age, unchanged = (seconds_since(parse_time(job[name]), now) for name in ("create_time", "update_time"))
    return {"id": job["id"], "state": job["state"], "tool": job["tool_id"],
            "user": job.get("user_email") if user.get("is_admin") else user.get("email"),
            "destination": job.get("job_runner_name"), "age": format_age(age),
            "unchanged": format_age(unchanged), "history_id": job.get("history_id"),
            **{name: job.get(name) for name in MORE_FIELDS}, "seconds": age, "seconds_unchanged": unchanged}


def count_jobs(jobs: Iterable[dict[str, Any]], fields: list[str]) -> list[dict[str, Any]]:
    """A row for each combination of `fields` that some jobs have, with their `count`, the largest first."""
    counts = Counter(tuple(job[name] for name in fields) for job in jobs)
    return [{**dict(zip(fields, values)), "count": count} for values, count in
            sorted(counts.items(), key=lambda pair: (-pair[1], [str(value) for value in pair[0]]))]


def _make_query(galaxy: Galaxy, wanted: JobFilter, user: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What Galaxy can select by itself."""
    query: dict[str, Any] = {}
    if user.get("is_admin"):
        query["view"] = "admin_job_list"
    else:
        is_own = wanted.user in (None, *(user.get(name) for name in ("email", "username", "id")))
        for option, value in (("--user", None if is_own else wanted.user), ("--destination", wanted.destination)):
            if value is not None:
                galaxy.require_admin(f"{option}={value}")
    if set(wanted.states) < set(ALL_STATES):
        query["state"] = list(wanted.states)
    if wanted.tools:
        query["tool_id_like"] = [like for tool in wanted.tools for like in _tool_likes(tool)]
    if wanted.user is not None and user.get("is_admin"):
        query["user_id"] = _find_user(galaxy, wanted.user)["id"]
    if wanted.destination is not None and re.fullmatch(r"[\w.-]+", wanted.destination):
        query["search"] = f"runner:'{wanted.destination}'"
    if wanted.history is not None:
        history = galaxy.resolve("histories", wanted.history)
        # Galaxy 26.1 lists the jobs of any history that this user may see, and cancels them, too.
        if not user.get("is_admin") and history.get("user_id", user["id"]) != user["id"]:
            galaxy.require_admin(f"--history={wanted.history}, which is another user's,")
        query["history_id"] = history["id"]
    if wanted.unchanged is not None:
        query["date_range_max"] = (now - timedelta(seconds=wanted.unchanged)).isoformat(timespec="microseconds")
    return query


def _find_user(galaxy: Galaxy, text: str) -> dict[str, Any]:
    """The one user, deleted or not, whose e-mail address, name or id is `text`."""
    found = [user for deleted in ("false", "true") for user in galaxy.get("users", {"f_any": text, "deleted": deleted})
             if text in (user.get("email"), user.get("username"))]
    if not found and re.fullmatch("([0-9a-f]{16})+", text):
        found = [user for user in [galaxy.get_or_none(f"users/{text}")] if user]
    if len(found) == 1:
        return dict(found[0])
    ids = ", ".join(f"{user['id']} {user.get('email')}" for user in found)
    raise GalaxyError(f"--user={text}: {f'{len(found)} users are called so: {ids}' if found else 'there is no such user'}")


def _tool_pattern(tool: str) -> re.Pattern[str]:
    """Which ids of tools `tool` stands for: it, one of a Tool Shed whose own id it is, or those that fit its `*`."""
    some = ".*".join(re.escape(part) for part in tool.split("*"))
    return re.compile(some if "/" in tool else rf"({some}|.*/repos/[^/]+/[^/]+/{some}/[^/]*)")


def _tool_likes(tool: str) -> list[str]:
    """Patterns of SQL that fit at least these ids: `_` is any letter there."""
    like = tool.replace("%", "_").replace("*", "%")
    return [like] if "/" in tool else [like, f"%/{like}/%"]


def _iter_jobs(galaxy: Galaxy, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all jobs of Galaxy's list, each once, though they change, and so move to its beginning, while it is read: what
    moved is looked for at the end. Only the ids of those that may move are kept, so a list may have millions."""
    newest, kept = "", set[str]()
    for number, job in enumerate(_walk(galaxy, query)):
        changed = job["update_time"] or ""
        if not number:
            newest = changed
            recent = _earlier(newest, SETTLING)
        if job["state"] not in TERMINAL_JOB_STATES or changed >= recent:
            kept.add(job["id"])
        yield job
    if newest and number >= PAGE and "date_range_max" not in query:
        yield from (job for job in _walk(galaxy, {**query, "date_range_min": newest})
                    if job["id"] not in kept and str(job["create_time"]) <= newest)


def _earlier(text: str, seconds: int) -> str:
    time = parse_time(text or None)
    return (time - timedelta(seconds=seconds)).isoformat(timespec="microseconds") if time else ""


def _walk(galaxy: Galaxy, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield Galaxy's list by pages. Each begins at the time at which the one before ended, which has an index in Galaxy's
    database, so that the last page takes no longer than the first; an offset counts only what has the same time."""
    before, at_end, offset, size = "", set[str](), 0, PAGE
    while True:
        try:
            page = galaxy.get("jobs", {**query, "limit": size, **({"date_range_max": before} if before else {}),
                                       **({"offset": offset} if offset else {})})
        except GalaxyError as error:        # command lines of many files, which are in the list
            if "$GALAXY_MAX_JSON" not in str(error) or size < 4:
                raise
            size //= 4
            continue
        if not isinstance(page, list):
            raise GalaxyError(f"{galaxy.base}: the answer of GET /api/jobs is not a list")
        if before and page and str(page[0]["update_time"]) > before:
            raise GalaxyError(f"{galaxy.base}: GET /api/jobs does not keep to date_range_max, as Galaxy does")
        fresh = [job for job in page if job["id"] not in at_end]
        yield from fresh
        if len(page) < size or (offset and not fresh):
            return
        last = page[-1]["update_time"]
        if not last or offset > PAGE * MOST_PAGES:
            raise GalaxyError(f"{galaxy.base}: GET /api/jobs has no end")
        offset = offset + len(page) if last == before else 0
        at_end = (at_end if last == before else set()) | {job["id"] for job in page if job["update_time"] == last}
        before = last
