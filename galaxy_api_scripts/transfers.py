"""Work side by side: threads that do what the main thread, or another one, hands out; transfers of files in batches.

The thread that hands out work also finishes it. A limit says how many requests are under way at once, see transfer_limit.py.
"""
from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from common import USAGE, Answer, GalaxyError, int_option
from galaxy_api_scripts.transfer_limit import (
    Stopped,
    TransferLimit,
    current_limit,
    require_not_stopped,
    stop_condition,
    stop_when,
)

MOST_TRANSFERS = 100    # each has three files open, of the 1,024 that a process may have on most systems
OPEN_FILES = 150        # files of begun batches, each with an open checkpoint: while a limit's transfers have more, each of
                        # its pools begins one batch at a time
UP, DOWN = "up", "down"     # kinds of transfers
T = TypeVar("T")
B = TypeVar("B", bound="Sequence[Any]")
R = TypeVar("R")


def transfers_option(args: dict[str, Any]) -> int:
    """The number that `--transfers` gives, or its older name `--parallel`; a usage error outside 1 to MOST_TRANSFERS."""
    number = 1
    for option in ("--transfers", "--parallel"):
        number = (int_option(args, option, 1) if option in args else None) or number
        if number > MOST_TRANSFERS:
            raise GalaxyError(f"{option}={number}: expected an integer, 1 or more, {MOST_TRANSFERS} at most", USAGE)
    return number


class Task:
    """Work on `item`, in the batch that it belongs to, and its outcome: a result, or what was raised; the last `request` of
    its thread by then."""

    def __init__(self, item: Any, batch: _Batch | None = None):
        self.item, self.batch, self.request = item, batch, ""
        self.outcome: Any = None


class Workers:
    """At most `size` threads, each begun when there is work for it. They end with the process, so that Ctrl-C waits for
    none; after an error, leaving the `with` block waits until each has come to its next request.

    All requests meanwhile, those of the thread that hands out the work too, obey one `limit`.
    """

    def __init__(self, size: int, limit: TransferLimit):
        self.size, self.limit, self.is_stopped = size, limit, False
        self._waiting: queue.SimpleQueue[tuple[Task, Callable[[Any], Any]] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._outer_is_stopped = stop_condition()
        self._stack = contextlib.ExitStack()

    def submit(self, task: Task, work: Callable[[Any], Any]) -> None:
        """Let a thread do `work(task.item)`."""
        self._waiting.put((task, work))
        if len(self._threads) < self.size:
            self._threads.append(threading.Thread(target=self._serve, name="transfer", daemon=True))
            self._threads[-1].start()

    def next_ended(self, timeout: float | None = None) -> Task | None:
        """The next task that ends; None if there is none within `timeout` seconds."""
        try:
            task = self._ended.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(task.outcome, BaseException) and not isinstance(task.outcome, GalaxyError):
            Answer.latest.line = task.request or Answer.latest.line     # for the message, if it is raised here
        return task

    def stop(self) -> None:
        """Let no other task begin, and those at work end with `Stopped` at their next request."""
        self.is_stopped = True
        self.limit.wake()

    def close(self, wait: bool = False) -> None:
        """Let the threads end; with `wait`, return once they have."""
        self.stop()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _serve(self) -> None:
        stop_when(lambda: self.is_stopped or self._outer_is_stopped())
        with self.limit.active():
            while entry := self._waiting.get():
                task, work = entry
                try:
                    require_not_stopped()
                    task.outcome = self._perform(work, task.item)
                except BaseException as error:
                    task.outcome = error
                task.request = Answer.latest.line
                self._ended.put(task)

    def _perform(self, work: Callable[[Any], R], item: Any) -> R:
        return work(item)

    def __enter__(self: W) -> W:
        self._stack.enter_context(self.limit.active())
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with self._stack:
            self.close(wait=kind is None or issubclass(kind, Exception))


W = TypeVar("W", bound=Workers)


class _Batch:
    def __init__(self, about: Any, items: Sequence[Any]):
        self.about, self.tasks = about, [Task(item, self) for item in items]
        self.left = len(items)      # transfers whose end was not seen yet


class TransferPool(Workers):
    """Transfers of one kind, `UP` or `DOWN`, at most `at_once`; within other work side by side they obey its limit. One at a
    time is done without a thread."""

    def __init__(self, at_once: int, kind: str):
        super().__init__(at_once, current_limit() or TransferLimit(at_once))
        self.kind, self.is_alone = kind, not current_limit() and at_once == 1

    def run(self, batches: Iterable[tuple[B, Sequence[T]]], work: Callable[[T], R], size: Callable[[T], int]
            ) -> Iterator[tuple[B, list[R]]]:
        """Do `work` for each item of each `(batch, items)`; yields each batch, in their order, with the items' results, once
        it has them all. Those of the next batches are at work meanwhile; within a batch the one of the largest `size` begins
        first.

        What `work` raises stops the others and is raised here.
        """
        if self.size == 1:
            for about, items in self._begin_each(iter(batches)):
                try:
                    yield about, [self._perform(work, item) for item in items]
                finally:
                    self.limit.count_open(-len(about))
            return
        opened = deque[_Batch]()
        try:
            yield from self._run_batches(self._begin_each(iter(batches)), opened, work, size)
        finally:
            self.limit.count_open(-sum(len(batch.about) for batch in opened))

    def _begin_each(self, batches: Iterator[tuple[B, Sequence[T]]]) -> Iterator[tuple[B, Sequence[T]]]:
        """The batches, each when there is room for the files that it opens, which are then counted."""
        while True:
            with self.limit.beginning():
                following = next(batches, None)
                if not following:
                    return
                self.limit.count_open(len(following[0]))
            yield following

    def _run_batches(self, rest: Iterator[tuple[B, Sequence[T]]], opened: deque[_Batch], work: Callable[[T], R],
                     size: Callable[[T], int]) -> Iterator[tuple[B, list[R]]]:
        error: BaseException | None = None
        while True:
            while not error and self._waiting.qsize() < self.size and \
                    (not opened or self.limit.count_open(0) < OPEN_FILES) and (following := next(rest, None)):
                opened.append(_Batch(*following))
                for task in sorted(opened[-1].tasks, key=lambda task: -size(task.item)):
                    self.submit(task, work)
            if not opened:
                return
            if opened[0].left:
                ended = self.next_ended()
                assert ended and ended.batch
                ended.batch.left -= 1
                if isinstance(ended.outcome, BaseException) and not error:
                    error = ended.outcome       # the first: others end with `Stopped`
                    self.stop()
                continue
            batch = opened[0]
            if error and any(isinstance(task.outcome, BaseException) for task in batch.tasks):
                raise error
            yield batch.about, [task.outcome for task in batch.tasks]
            opened.popleft()
            self.limit.count_open(-len(batch.about))

    def run_each(self, work: Callable[[Any], R], items: list[Any]) -> Iterator[tuple[Any, R | Exception]]:
        """Each item and the result, `work(item)`, or what that raised, as they end; once it is stopped, no other begins."""
        if self.size == 1:
            for task in map(Task, items):
                if self.is_stopped:
                    return
                try:
                    task.outcome = self._perform(work, task.item)
                except Exception as error:
                    task.outcome = error
                self._ended.put(task)
                yield from self._next_result()
            return
        for item in items:
            self.submit(Task(item), work)
        for _ in items:
            yield from self._next_result()

    def _next_result(self) -> Iterator[tuple[Any, Any]]:
        """The item and the outcome of the next transfer that ends; nothing where it was stopped, unless all is."""
        ended = self.next_ended()
        assert ended
        if isinstance(ended.outcome, Stopped):
            require_not_stopped()
        elif isinstance(ended.outcome, BaseException) and not isinstance(ended.outcome, Exception):
            raise ended.outcome
        else:
            yield ended.item, ended.outcome

    def _perform(self, work: Callable[[Any], R], item: Any) -> R:
        with contextlib.nullcontext() if self.is_alone else self.limit.transfer(self.kind):
            return work(item)

    def __enter__(self) -> TransferPool:
        return self if self.is_alone else super().__enter__()
