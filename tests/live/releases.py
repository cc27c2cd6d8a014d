"""What the releases of Galaxy lack, and what the scripts do there: the one list, for the tests that are skipped on a release
(`@pytest.mark.needs(NAME)`) and for docs/releases.md.
"""
from typing import NamedTuple

NEWEST = "26.1"
SERIES = ["24.1", "24.2", "25.0", "25.1", "26.0", NEWEST]

# Why a test of the second Galaxy, `prefixed`, is skipped where the first one is as production has it.
NOT_IN_PRODUCTION = "it runs on a second Galaxy, under a prefix and with features switched off, the same as for 26.1"


class Lack(NamedTuple):
    """What servers before `since` lack. The `scripts` are `adapted`: they do their job in another way, told in `text`; or
    they do not do it there, and `text` tells the request that is refused, and what the user is told."""

    since: str
    feature: str
    scripts: tuple
    text: str
    adapted: bool = False


LACKS = {
}


def is_older(series, since):
    """Whether a release, such as 24.2, is before another."""
    return tuple(map(int, series.split("."))) < tuple(map(int, since.split(".")))
