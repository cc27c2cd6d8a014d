"""How many requests may be under way at once, in all threads together: as many as were asked for, fewer while the server has
too much to do.

A request takes a place for as long as it lasts; a transfer, such as a file's upload, takes one for all of its requests. A
place that is free goes to a request first, and a transfer gives its own up for one between two of its requests.
"""
from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from common import shared_session

BATCH_FILES, MOST_FILES = 50, 500       # of a batch of transfers; of all that were begun: a process may have 1,024 open
OVERLOADED = {429, 503, 504}    # statuses by which a server, or a proxy before it, says that it has too much to do

# Of each thread: the `limit` of its requests; whether it `has_place` for all of them, in a transfer; the
# `stop_condition()` of its work; the `deadline` of its requests; the seconds that its transfers have `paused`.
_this_thread = threading.local()


class Stopped(Exception):
    """Raised within the work of a thread because of another one's trouble; its checkpoint stays."""


class TransferLimit:
    """Places for requests: `most`, and fewer after trouble.

    A 429, a 503 or a time-out halves their number, once for all requests that were under way then; as many good answers as
    may be under way at once raise it by one (additive increase, multiplicative decrease). Transfers of one kind, up or down,
    leave `spare` places to what else there is, but one may always be at work.
    """

    def __init__(self, most: int, spare: int = 0):
        self.most, self.allowed, self.spare = most, most, spare
        self.busy, self.transfers = 0, Counter[str]()       # places that are taken; transfers at work, by kind
        self.waiting, self.paused = 0, 0    # requests that wait for a place; transfers that wait in their middle
        self._good = self.halvings = 0      # good answers since `allowed` changed
        self._open_files = self._beginning = 0      # of batches of transfers that were begun, in all threads; such batches
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Let all requests of this thread take a place each, until the block ends."""
        for prefix, adapter in list(shared_session().adapters.items()):
            if not isinstance(adapter, _PacedAdapter):
                shared_session().mount(prefix, _PacedAdapter(adapter))
        outer, _this_thread.limit = current_limit(), self
        try:
            yield
        finally:
            _this_thread.limit = outer

    @contextlib.contextmanager
    def transfer(self, kind: str = "") -> Iterator[None]:
        """Take one place for all requests of the block, as soon as no other transfer comes first. Raises `Stopped`."""
        with self._changed:
            self._wait_for(lambda: not self.paused and self._has_room() and
                           self.transfers[kind] < max(self.allowed - self.spare, 1))
            self.busy += 1
            self.transfers[kind] += 1
        _this_thread.has_place = True
        try:
            yield
        finally:
            _this_thread.has_place = False
            with self._changed:
                self.busy -= 1
                self.transfers[kind] -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def request(self, may_pause: bool = True) -> Iterator[int]:
        """Take a place for one request, unless its transfer has one: that only pauses first if others need its place, and it
        `may_pause`. Yields what `record` takes. Raises `Stopped`."""
        require_not_stopped()
        has_place = getattr(_this_thread, "has_place", False)
        with self._changed:
            if not has_place:
                self._take_place()
            elif may_pause and self.busy > self.allowed - self.waiting:
                self._pause()
            begun = self.halvings
        try:
            yield begun
        finally:
            if not has_place:
                with self._changed:
                    self.busy -= 1
                    self._changed.notify_all()

    def record(self, is_good: bool, begun: int) -> None:
        """Note how a request ended: with a good answer, or because the server has too much to do. `begun` is what `request`
        gave: what began before the number was halved says nothing about the half."""
        with self._changed:
            if begun != self.halvings:
                return
            self._good += 1
            if not is_good:
                self.allowed, self._good, self.halvings = max(self.allowed // 2, 1), 0, self.halvings + 1
            elif self._good >= self.allowed and self.allowed < self.most:
                self.allowed, self._good = self.allowed + 1, 0
                self._changed.notify_all()

    def count_open(self, change: int) -> int:
        """How many files of begun batches are open, once so many more are."""
        with self._changed:
            self._open_files += change
            self._changed.notify_all()
            return self._open_files

    @contextlib.contextmanager
    def beginning(self) -> Iterator[None]:
        """Begin a batch in the block, where `count_open` counts it, once there is room for its files. Raises `Stopped`."""
        with self._changed:
            self._wait_for(lambda: self._open_files + (self._beginning + 1) * BATCH_FILES <= MOST_FILES)
            self._beginning += 1
        try:
            yield
        finally:
            with self._changed:
                self._beginning -= 1
                self._changed.notify_all()

    def wake(self) -> None:
        """Let those that wait see that they are to stop."""
        with self._changed:
            self._changed.notify_all()

    def _has_room(self) -> bool:
        """Whether a transfer may be at work beside the requests that wait."""
        return self.busy < self.allowed - self.waiting

    def _take_place(self) -> None:
        self.waiting += 1
        self._changed.notify_all()
        try:
            self._wait_for(lambda: self.busy < self.allowed)
            self.busy += 1
        finally:
            self.waiting -= 1
            self._changed.notify_all()

    def _pause(self) -> None:
        began = time.monotonic()
        self.busy, self.paused = self.busy - 1, self.paused + 1
        self._changed.notify_all()
        try:
            self._wait_for(self._has_room)
        finally:
            self.busy, self.paused = self.busy + 1, self.paused - 1
            self._changed.notify_all()
            _this_thread.paused = paused_seconds() + time.monotonic() - began

    def _wait_for(self, is_ready: Callable[[], bool]) -> None:
        while not self._changed.wait_for(lambda: is_stopped() or is_ready(), _seconds_left()):
            pass
        require_not_stopped()


def current_limit() -> TransferLimit | None:
    """The limit of this thread's requests; None where there is no more than one request at a time."""
    limit: TransferLimit | None = getattr(_this_thread, "limit", None)
    return limit


def is_stopped() -> bool:
    """Whether this thread's work is to end."""
    return stop_condition()() or _seconds_left() == 0


def require_not_stopped() -> None:
    """Raise `Stopped` in a thread whose work is to end."""
    if is_stopped():
        raise Stopped


def stop_when(condition: Callable[[], bool]) -> None:
    """Let this thread's work end once `condition()` is true."""
    _this_thread.stop_condition = condition


@contextlib.contextmanager
def stopped_at(deadline: float | None) -> Iterator[None]:
    """Let this thread's requests, and its waits for a place, end with `Stopped` at `deadline` (by time.monotonic())."""
    _this_thread.deadline = deadline
    try:
        yield
    finally:
        _this_thread.deadline = None


def _seconds_left() -> float | None:
    deadline: float | None = getattr(_this_thread, "deadline", None)
    return None if deadline is None else max(deadline - time.monotonic(), 0)


def stop_condition() -> Callable[[], bool]:
    """What `stop_when` was called with in this thread, for one that does a part of its work."""
    condition: Callable[[], bool] = getattr(_this_thread, "stop_condition", lambda: False)
    return condition


def paused_seconds() -> float:
    """How long this thread's transfers have waited for their turn, in all: time in which they could make no progress."""
    return float(getattr(_this_thread, "paused", 0))


def timed_out(error: BaseException | None) -> bool:
    """Whether a request failed because the server was silent for too long."""
    return isinstance(error, requests.Timeout) or "timed out" in str(error)


def record_trouble(error: Exception) -> None:
    """Note within a transfer that an answer did not come to its end, if the server was silent for too long."""
    limit = current_limit()
    if limit and isinstance(error, (requests.RequestException, HTTPError)) and timed_out(error):
        limit.record(False, limit.halvings)


class _PacedAdapter(requests.adapters.BaseAdapter):
    """Hands each try of a request on to `adapter`, when there is a place for it, and notes how it ended."""

    def __init__(self, adapter: requests.adapters.BaseAdapter):
        super().__init__()
        self.adapter = adapter

    def send(self, request: requests.PreparedRequest, *rest: Any, **options: Any) -> requests.Response:
        limit = current_limit()
        if not limit:
            return self.adapter.send(request, *rest, **options)
        # A HEAD asks what arrived before a cut: later the server may be another one, which tells less than it has stored.
        with limit.request(may_pause=request.method != "HEAD") as begun:
            try:
                response = self.adapter.send(request, *rest, **options)
            except requests.RequestException as error:
                if timed_out(error):
                    limit.record(False, begun)
                raise
        if response.status_code < 400 or response.status_code in OVERLOADED:
            limit.record(response.status_code < 400, begun)
        return response

    def close(self) -> None:
        self.adapter.close()
