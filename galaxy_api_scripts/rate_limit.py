"""A limit on the bytes a second that all transfers of a process move together, up and down."""
from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from typing import Any

from common import USAGE, GalaxyError, shorten
from galaxy_api_scripts.sizes import parse_bytes
from galaxy_api_scripts.transfer_limit import require_not_stopped
from galaxy_api_scripts.transfers import transfers_option

BURST_SECONDS = 1.0     # what was not used of the rate in that time may be caught up, as after the answer to a request
SLICE_SECONDS = 0.1     # how long at least the limit lets a transfer wait for its next bytes, and at most if it is alone
MAX_SLICE = 64 * 2**10  # bytes; transfers take turns with slices, so these are of one size for all
PIECE_SECONDS = 30      # how long one request should last: proxies cut what takes a minute or five
STOP_SECONDS = 0.2      # how long a transfer that is to end may wait on

_this_thread = threading.local()        # the seconds `waited`


class RateLimit:
    """A token bucket of bytes that the transfers of all threads share; `rate` is in bytes a second, `sharing` the number of
    transfers that may share it. A transfer takes its turn for a slice, in the order in which they ask."""

    def __init__(self, rate: float = math.inf, sharing: int = 1):
        self.rate, self.sharing = rate, sharing
        self._lock = threading.Lock()
        self._free = time.monotonic()       # when all bytes that were taken so far may have gone over

    def slice_size(self, most: int) -> int:
        """How many bytes, `most` at most, to move before the next call of `take`."""
        return most if self.rate == math.inf else min(most, MAX_SLICE, max(int(self.rate * SLICE_SECONDS), 1))

    def piece_size(self, least: int, most: int) -> int:
        """How many bytes, from `least` to `most`, go over in one request that is to last no longer than PIECE_SECONDS."""
        return int(max(min(self.rate / self.sharing * PIECE_SECONDS, most), least))

    def take(self, size: int) -> None:
        """Wait until `size` more bytes may go over, or have gone. Raises `Stopped` within a transfer that is to end."""
        if self.rate == math.inf:
            return
        with self._lock:
            turn = max(self._free, time.monotonic() - BURST_SECONDS)
            self._free = turn + size / self.rate
        began = time.monotonic()
        while (left := turn - time.monotonic()) > 0:
            require_not_stopped()
            time.sleep(min(left, STOP_SECONDS))
        _this_thread.waited = waited_seconds() + time.monotonic() - began

    def slices(self, block: memoryview) -> Iterator[memoryview]:
        """The block in slices, each when its bytes may go over."""
        step = self.slice_size(len(block) or 1)
        for start in range(0, len(block), step):
            self.take(len(block[start:start + step]))
            yield block[start:start + step]


_current = RateLimit()


def current_rate_limit() -> RateLimit:
    """The limit of this process; without the option it is infinite."""
    return _current


def limit_rate(args: dict[str, Any]) -> None:
    """Let the transfers of this process, from now on, move together no more bytes a second than `--limit-rate` says."""
    global _current
    text = args["--limit-rate"]
    _current = RateLimit() if text is None else RateLimit(parse_rate(text), transfers_option(args))


def parse_rate(text: str) -> float:
    """Bytes a second, as `parse_bytes` reads them. A usage error for less than 1."""
    rate = parse_bytes(text) or 0
    if rate < 1:
        raise GalaxyError(f"--limit-rate={shorten(text, 40)}: expected bytes per second, 1 or more, such as 500K, 20M or 1G",
                          USAGE)
    return rate


def waited_seconds() -> float:
    """How long this thread's transfers have waited because of the limit, in all: time in which they could not move."""
    return float(getattr(_this_thread, "waited", 0))
