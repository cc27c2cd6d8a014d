"""Ages as people write them (`90m`, `12h`, `7d`, `1d12h`; a number alone is in days), and times as servers write them."""
from __future__ import annotations

import contextlib
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from common import USAGE, GalaxyError, shorten

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
MOST_DAYS = 36_500      # a year before 1000 has three digits in texts of times, which sort after all others


def parse_age(args: dict[str, Any], option: str, least: int = 0) -> int | None:
    """The seconds in the value of `option`, None where it was not given; a usage error for any other text, and for less than
    `least` seconds."""
    return None if args[option] is None else parse_duration(args[option], option, least)


def parse_duration(text: str, option: str, least: int = 0) -> int:
    """The seconds in a text; a usage error that names `option` for one that is no duration, is shorter than `least`,
    or longer than a century."""
    if re.fullmatch("[0-9]{1,9}", text):
        seconds = int(text) * UNITS["d"]
    elif re.fullmatch("([0-9]{1,9}[dhms])+", text):
        seconds = sum(int(number) * UNITS[unit] for number, unit in re.findall("([0-9]+)([dhms])", text))
    else:
        raise GalaxyError(f"{option}={shorten(text, 40)}: expected a time such as 90m, 12h, 7d or 1d12h; a number alone is "
                          "in days", USAGE)
    if seconds < least:
        raise GalaxyError(f"{option}={text}: expected {format_age(least)} or more", USAGE)
    if seconds > MOST_DAYS * UNITS["d"]:
        raise GalaxyError(f"{option}={text}: expected {MOST_DAYS} days at most", USAGE)
    return seconds


def format_age(seconds: float | None) -> str | None:
    """Seconds as `parse_duration` reads them, in two units at most: `3d4h`; None for None."""
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


def parse_utc(text: str) -> datetime:
    """A time as Galaxy writes it: in UTC, which it does not say, with or without fractions of seconds. Raises ValueError."""
    moment = datetime.fromisoformat(text.removesuffix("Z"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def server_time(answer: requests.Response) -> datetime | None:
    """The time that the header Date of an answer tells; None without one."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        told = parsedate_to_datetime(answer.headers.get("Date", ""))
        return told if told.tzinfo else told.replace(tzinfo=timezone.utc)
    return None
