"""Ages of jobs, by the server's clock, and how people write them."""
from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from common import USAGE, Galaxy, GalaxyError

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_age(args: dict[str, Any], option: str) -> int | None:
    """The seconds in an option's value such as `90m`, `12h`, `7d` or `1d12h`; None if it was not given."""
    return None if args[option] is None else parse_duration(args[option], option)


def parse_duration(text: str, option: str) -> int:
    """The seconds in a text such as `90m`, `12h`, `7d` or `1d12h`."""
    if not re.fullmatch(r"([0-9]{1,6}[dhms])+", text.strip()):
        raise GalaxyError(f"{option}={text}: expected a time such as 90m, 12h, 7d or 1d12h", USAGE)
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"([0-9]+)([dhms])", text))


def format_duration(seconds: float | None) -> str | None:
    """Seconds as people write them, in two units at most (`3d4h`), which `parse_duration` reads; None for None."""
    if seconds is None:
        return None
    left, words = max(0, int(seconds)), list[str]()
    for unit, size in UNITS.items():
        if left >= size or words or size == 1:
            words.append(f"{left // size}{unit}" * (left >= size or not words))
            left %= size
        if len(words) == 2:
            break
    return "".join(words)


def parse_time(text: Any) -> datetime | None:
    """Galaxy's time, which is UTC and does not say so; None for null."""
    try:
        return None if text is None else datetime.fromisoformat(text.removesuffix("Z"))
    except (AttributeError, ValueError):
        raise GalaxyError(f"the answer of GET /api/jobs has {str(text)[:40]!r} for a time") from None


def fetch_server_time(galaxy: Galaxy) -> datetime:
    """The server's time (UTC, as Galaxy writes its times), so that a clock of ours that is wrong makes no job older; our own
    time if the server does not tell."""
    date = galaxy.request("GET", "version").headers.get("Date", "")
    try:
        now = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        now = datetime.now(timezone.utc)
    return now.astimezone(timezone.utc).replace(tzinfo=None)


def seconds_since(time: datetime | None, now: datetime) -> float | None:
    """The seconds from one of Galaxy's times until now, None for None; no less than 0, since `now` may lack its fraction."""
    return None if time is None else max(0.0, (now - time).total_seconds())
