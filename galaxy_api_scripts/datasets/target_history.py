"""The history that a run writes to."""
from __future__ import annotations

from common import Galaxy


def last_hid(galaxy: Galaxy, history: str) -> int:
    """The highest number (hid) of a history's contents, 0 if it is empty: what a request makes gets a higher one."""
    last = galaxy.get(f"histories/{history}/contents", {"v": "dev", "keys": "hid", "order": "hid-dsc", "limit": 1})
    return int(last[0]["hid"]) if last else 0
