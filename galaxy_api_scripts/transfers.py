"""Transfers side by side: as many at once as were asked for, fewer while the server has too much to do.

The main thread opens batches of transfers and finishes them, in their order; threads do the transfers. All requests to the
server together, the main thread's own too, are never more at once than were asked for.
"""
from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import requests
from urllib3.exceptions import HTTPError

from common import USAGE, Answer, GalaxyError, int_option, shared_session

MOST_TRANSFERS = 100    # each has three files open, of the 1,024 that a process may have on most systems
OPEN_FILES = 150        # files of begun batches, each with an open checkpoint; another batch is begun while there are fewer
OVERLOADED = {429, 503, 504}    # statuses by which a server, or a proxy before it, says that it has too much to do
T = TypeVar("T")
B = TypeVar("B", bound="Sequence[Any]")
R = TypeVar("R")

_this_thread = threading.local()        # its `limit`, and the seconds `paused`, where it is a transfer's


def transfers_option(args: dict[str, Any]) -> int:
    """The number that `--transfers` gives, or its older name `--parallel`; a usage error outside 1 to MOST_TRANSFERS."""
    number = 1
    for option in ("--transfers", "--parallel"):
        number = (int_option(args, option, 1) if option in args else None) or number
        if number > MOST_TRANSFERS:
            raise GalaxyError(f"{option}={number}: expected an integer, 1 or more, {MOST_TRANSFERS} at most", USAGE)
    return number


class Stopped(Exception):
    """Raised within a transfer because of another one's trouble; its checkpoint stays."""


class TransferLimit:
    """How many transfers may be at work at once: `most`, and fewer after trouble.

    A 429, a 503 or a time-out halves the number, once for all requests that were under way then; as many good answers as
    may be under way at once raise it by one (additive increase, multiplicative decrease). A transfer that is one too many
    pauses before its next request.
    """

    def __init__(self, most: int):
        self.most = self.allowed = most
        self.busy = self.paused = 0     # transfers at work; those that wait in their middle
        self.is_urgent = False          # the main thread has, or will have, a request of its own to send
        self.is_stopped = False
        self._good = self.halvings = 0     # good answers since `allowed` changed
        self._changed, self._owner = threading.Condition(), threading.get_ident()

    def acquire(self) -> None:
        """Wait until another transfer may begin, and begin it."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_stopped or (self._has_room() and not self.paused))
            self.busy += 1

    def release(self, is_urgent: bool = False) -> None:
        """End a transfer. If it `is_urgent`, what follows is the main thread's to do, and no other takes the place."""
        with self._changed:
            self.busy -= 1
            self.is_urgent |= is_urgent
            self._changed.notify_all()

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Take the place of a transfer, for requests of the main thread's own: the next one that is free, or that a transfer
        gives up before its next request."""
        with self._changed:
            self.is_urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.busy < self.allowed)
            self.busy, self.is_urgent = self.busy + 1, False
            self._changed.notify_all()
        _this_thread.limit = self
        try:
            yield
        finally:
            _this_thread.limit = None
            self.release()

    def yield_turn(self) -> None:
        """Let others begin where the main thread has nothing to send."""
        with self._changed:
            self.is_urgent = False
            self._changed.notify_all()

    def stop(self) -> None:
        """Let no other transfer begin, and those at work end with `Stopped` at their next request."""
        with self._changed:
            self.is_stopped = True
            self._changed.notify_all()

    def begin_request(self, may_pause: bool = True) -> int:
        """Wait, within a transfer that `may_pause`, until it may send its next request. Returns what `record` takes."""
        with self._changed:
            if threading.get_ident() != self._owner:
                if may_pause and not self.is_stopped and self.busy > self._room():
                    self._pause()
                if self.is_stopped:
                    raise Stopped
            return self.halvings

    def record(self, is_good: bool, begun: int) -> None:
        """Note how a request ended: with a good answer, or because the server has too much to do. `begun` is what
        `begin_request` returned: what began before the number was halved says nothing about the half."""
        with self._changed:
            if begun != self.halvings:
                return
            self._good += 1
            if not is_good:
                self.allowed, self._good, self.halvings = max(self.allowed // 2, 1), 0, self.halvings + 1
            elif self._good >= self.allowed and self.allowed < self.most:
                self.allowed, self._good = self.allowed + 1, 0
                self._changed.notify_all()

    def _room(self) -> int:
        """How many transfers may be at work, the main thread's request left out."""
        return self.allowed - self.is_urgent

    def _has_room(self) -> bool:
        return self.busy < self._room()

    def _pause(self) -> None:
        began = time.monotonic()
        self.busy, self.paused = self.busy - 1, self.paused + 1
        self._changed.notify_all()
        self._changed.wait_for(lambda: self.is_stopped or self._has_room())
        self.busy, self.paused = self.busy + 1, self.paused - 1
        self._changed.notify_all()
        _this_thread.paused = paused_seconds() + time.monotonic() - began


def paused_seconds() -> float:
    """How long this thread's transfers have waited for their turn, in all: time in which they could make no progress."""
    return float(getattr(_this_thread, "paused", 0))


def current_limit() -> TransferLimit | None:
    """The limit of the transfer that this thread is at work on; None in any other thread."""
    limit: TransferLimit | None = getattr(_this_thread, "limit", None)
    return limit


def require_not_stopped() -> None:
    """Raise `Stopped` within a transfer that is to end."""
    limit = current_limit()
    if limit and limit.is_stopped and threading.get_ident() != limit._owner:
        raise Stopped


def timed_out(error: BaseException | None) -> bool:
    """Whether a request failed because the server was silent for too long."""
    return isinstance(error, requests.Timeout) or "timed out" in str(error)


def record_trouble(error: Exception) -> None:
    """Note within a transfer that an answer did not come to its end, if the server was silent for too long."""
    limit = current_limit()
    if limit and isinstance(error, (requests.RequestException, HTTPError)) and timed_out(error):
        limit.record(False, limit.halvings)


class _PacedAdapter(requests.adapters.BaseAdapter):
    """Hands each try of a request on to `adapter`, when its transfer may send it, and notes how it ended."""

    def __init__(self, adapter: requests.adapters.BaseAdapter):
        super().__init__()
        self.adapter = adapter

    def send(self, request: requests.PreparedRequest, *rest: Any, **options: Any) -> requests.Response:
        limit = current_limit()
        if not limit:
            return self.adapter.send(request, *rest, **options)
        # A HEAD asks what arrived before a cut: later the server may be another one, which tells less than it has stored.
        begun = limit.begin_request(may_pause=request.method != "HEAD")
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


class _Task:
    """A transfer of `item`, in the batch that it belongs to, and its outcome: a result, or what was raised."""

    def __init__(self, item: Any, batch: _Batch | None = None):
        self.item, self.batch, self.request = item, batch, ""
        self.outcome: Any = None


class _Batch:
    def __init__(self, about: Any, items: Sequence[Any]):
        self.about, self.tasks = about, [_Task(item, self) for item in items]
        self.unfinished = self.left = len(items)        # transfers; those whose end the main thread has not seen


class TransferPool:
    """Transfers in threads, as many at once as the `limit` allows. The threads end with the process, so that Ctrl-C waits
    for none; after an error, leaving the `with` block waits until each has come to its next request."""

    def __init__(self, limit: int | TransferLimit):
        self.limit = TransferLimit(limit) if isinstance(limit, int) else limit
        self._waiting: queue.SimpleQueue[tuple[_Task, Callable[[Any], Any]] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def submit(self, task: _Task, work: Callable[[Any], Any]) -> None:
        """Let a thread do `work(task.item)`."""
        if not self._threads:
            for prefix, adapter in list(shared_session().adapters.items()):
                if not isinstance(adapter, _PacedAdapter):
                    shared_session().mount(prefix, _PacedAdapter(adapter))
        self._waiting.put((task, work))
        if len(self._threads) < self.limit.most:
            self._threads.append(threading.Thread(target=self._serve, name="transfer", daemon=True))
            self._threads[-1].start()

    def next_ended(self) -> _Task:
        """Wait for the next transfer that ends."""
        self.limit.yield_turn()
        task = self._ended.get()
        if isinstance(task.outcome, BaseException) and not isinstance(task.outcome, GalaxyError):
            Answer.latest.line = task.request or Answer.latest.line     # for the message, if it is raised here
        return task

    def run(self, batches: Iterable[tuple[B, Sequence[T]]], work: Callable[[T], R], size: Callable[[T], int]
            ) -> Iterator[tuple[B, list[R]]]:
        """Do `work` for each item of each `(batch, items)`; yields each batch, in their order, with the items' results, once
        it has them all. Those of the next batches are at work meanwhile; within a batch the one of the largest `size` begins
        first.

        What `work` raises stops the others and is raised here. One transfer at a time is done in the main thread.
        """
        if self.limit.most == 1:
            for about, items in batches:
                yield about, [work(item) for item in items]
            return
        rest, opened = iter(batches), deque[_Batch]()
        error: BaseException | None = None
        while True:
            while not error and self._waiting.qsize() < self.limit.most and \
                    sum(len(batch.about) for batch in opened) < OPEN_FILES and (following := next(rest, None)):
                opened.append(_Batch(*following))
                for task in sorted(opened[-1].tasks, key=lambda task: -size(task.item)):
                    self.submit(task, work)
            if not opened:
                return
            if opened[0].left:
                ended = self.next_ended()
                if ended.batch:
                    ended.batch.left -= 1
                if isinstance(ended.outcome, BaseException) and not error:
                    error = ended.outcome       # the first: others end with `Stopped`
                    self.limit.stop()
                continue
            batch = opened.popleft()
            if error and any(isinstance(task.outcome, BaseException) for task in batch.tasks):
                raise error
            yield batch.about, [task.outcome for task in batch.tasks]

    def _serve(self) -> None:
        _this_thread.limit = self.limit
        while entry := self._waiting.get():
            task, work = entry
            self.limit.acquire()
            try:
                require_not_stopped()
                task.outcome = work(task.item)
            except BaseException as error:
                task.outcome, task.request = error, Answer.latest.line
            failed = isinstance(task.outcome, BaseException)
            with self._lock:
                if task.batch:
                    task.batch.unfinished -= 1
                is_last = bool(task.batch and not task.batch.unfinished)
            self.limit.release(is_urgent=failed or is_last)
            self._ended.put(task)

    def close(self, wait: bool = False) -> None:
        """Let the threads end, and `wait` for that if told so."""
        self.limit.stop()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def __enter__(self) -> TransferPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.close(wait=kind is None or issubclass(kind, Exception))


def run_parallel(work: Callable[[Any], R], tasks: list[Any], limit: TransferLimit) -> Iterator[tuple[Any, R | Exception]]:
    """The first member and the result, `work(task)`, or what that raised, of each of `tasks`, as they end; once the `limit`
    is stopped, no other is begun."""
    pool = TransferPool(limit)
    try:
        for task in tasks:
            pool.submit(_Task(task), work)
        for _ in tasks:
            ended = pool.next_ended()
            if not isinstance(ended.outcome, Stopped):
                yield ended.item[0], ended.outcome
    finally:
        pool.close()
