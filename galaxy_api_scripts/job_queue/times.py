"""Times of jobs, by the server's clock."""
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.ages import parse_utc, server_time


def parse_time(text: Any) -> datetime | None:
    """Galaxy's time, which is UTC and does not say so; None for null."""
    try:
        return None if text is None else parse_utc(text).astimezone(timezone.utc).replace(tzinfo=None)
    except (AttributeError, ValueError):
        raise GalaxyError(f"the answer of GET /api/jobs has {str(text)[:40]!r} for a time") from None


def fetch_server_time(galaxy: Galaxy) -> datetime:
    """The server's time (UTC, as Galaxy writes its times), so that a clock of ours that is wrong makes no job older; our own
    time if the server does not tell."""
    now = server_time(galaxy.request("GET", "version")) or datetime.now(timezone.utc)
    return now.astimezone(timezone.utc).replace(tzinfo=None)


def seconds_since(time: datetime | None, now: datetime) -> float | None:
    """The seconds from one of Galaxy's times until now, None for None; no less than 0, since `now` may lack its fraction."""
    return None if time is None else max(0.0, (now - time).total_seconds())
