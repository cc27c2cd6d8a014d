"""The time by which histories expire: this machine's, if it agrees with the server's."""
from __future__ import annotations

import contextlib
import time
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from common import USAGE, Galaxy, GalaxyError, int_option

MOST_APART = timedelta(hours=1)     # of the two clocks
MOST_DAYS = 36_500      # of an age or a period: a year before 1000 has three digits in texts of times, which sort last


def days_option(args: dict[str, Any], option: str, least: int = 0) -> int | None:
    """The value of `option` as a number of days, None where it was not given; a usage error for more than a century."""
    days = int_option(args, option, least)
    if days is not None and days > MOST_DAYS:
        raise GalaxyError(f"{option}={days}: expected {MOST_DAYS} days at most", USAGE)
    return days


def now() -> datetime:
    """The time in UTC. All of this package asks here for it, so that a test can move it."""
    return datetime.fromtimestamp(int(time.time()), timezone.utc)


def server_time(answer: requests.Response) -> datetime | None:
    """The time that the header Date of an answer tells; None without one."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        told = parsedate_to_datetime(answer.headers.get("Date", ""))
        return told if told.tzinfo else told.replace(tzinfo=timezone.utc)
    return None


def require_same_time(galaxy: Galaxy) -> None:
    """Raise `GalaxyError` where the server's clock and this one are so far apart that one of them is wrong: a clock that is
    a year ahead would let all histories expire."""
    told = server_time(galaxy.request("GET", "version"))
    if told and abs(told - now()) > MOST_APART:
        raise GalaxyError(f"this machine's clock says {format_time(now())} and that of {galaxy.base} {format_time(told)}: "
                          "set the wrong one first, nothing was done")


def format_time(moment: datetime) -> str:
    """A time as text (ISO 8601, UTC, seconds), which sorts as times do."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """A time as Galaxy writes it, or `format_time`: in UTC, with or without fractions of a second. Raises ValueError."""
    moment = datetime.fromisoformat(text.removesuffix("Z"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
