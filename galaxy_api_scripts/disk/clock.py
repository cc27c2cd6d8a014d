"""The time by which histories expire: this machine's, if it agrees with the server's."""
from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

from common import Galaxy, GalaxyError
from galaxy_api_scripts.ages import server_time

MOST_APART = timedelta(hours=1)     # of the two clocks


def now() -> datetime:
    """The time in UTC. All of this package asks here for it, so that a test can move it."""
    return datetime.fromtimestamp(int(time.time()), timezone.utc)


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
