"""Requests side by side, where none of them needs another's answer: far away each costs its round trip."""
from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from common import TRY_LATER, Answer, GalaxyError
from galaxy_api_scripts.transfer_limit import TransferLimit, current_limit
from galaxy_api_scripts.transfers import Task, Workers

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8     # requests of `ask_each`
_most = 4       # requests at once, unless `limit_requests` says otherwise


def limit_requests(most: int) -> int:
    """Let `ask_together` have at most `most` requests under way at once, nested calls of it included; returns `most`."""
    global _most
    _most = most
    return most


def ask_together(*calls: Callable[[], Any]) -> list[Any]:
    """The results of the `calls`, which only read, in their order; the first is made in the caller's thread. If some raise,
    all are waited for, and the first one's error is raised here. Ctrl-C waits for none."""
    limit = current_limit() or TransferLimit(_most)
    if limit.most == 1:
        return [call() for call in calls]
    first, *others = tasks = [Task(call) for call in calls]
    with Workers(len(others), limit) as workers:
        for task in others:
            workers.submit(task, lambda call: call())
        try:
            first.outcome = first.item()
        except Exception as error:
            first.outcome = error
        first.request = Answer.latest.line
        for _ in others:
            workers.next_ended()
    last = next((task for task in tasks if isinstance(task.outcome, BaseException)), tasks[-1])
    Answer.latest.line = last.request       # for the message of an error here, or over the results
    if isinstance(last.outcome, BaseException):
        raise last.outcome
    return [task.outcome for task in tasks]


def ask_each(call: Callable[[T], R], items: Iterable[T], most: int = AT_ONCE) -> Iterator[R]:
    """`call(item)`, which only reads, for each of many `items`, in their order: at most `most` at once, and few ahead of the
    one that is yielded, whose error is raised here. Ctrl-C waits for none."""
    limit, waiting, ended = current_limit() or TransferLimit(most), deque[Task](), set[Task]()
    tasks = map(Task, items)
    with Workers(min(most, limit.most), limit) as workers:
        while True:
            while len(waiting) < 2 * most and (following := next(tasks, None)):
                waiting.append(following)
                workers.submit(following, call)
            if not waiting:
                return
            while waiting[0] not in ended:
                task = workers.next_ended()
                assert task
                ended.add(task)
            first = waiting.popleft()
            ended.remove(first)
            Answer.latest.line = first.request or Answer.latest.line
            if isinstance(first.outcome, BaseException):
                raise first.outcome
            yield first.outcome


def do_each(work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R | GalaxyError]]:
    """Each of many `items`, in their order, with `work(item)`, or with the `GalaxyError` that it raised: some at once, as
    `ask_together` has them. After another error, and where the server can't be reached (TRY_LATER), no other begins, and
    those that have ended come before it is raised."""
    if _most == 1:
        yield from map(functools.partial(_attempt, work), items)
        return
    ended: dict[int, tuple[T, R | GalaxyError]] = {}

    def attempt(numbered: tuple[int, T]) -> int:
        number, item = numbered
        ended[number] = _attempt(work, item)
        return number

    try:
        for number in ask_each(attempt, enumerate(items), _most):
            yield ended.pop(number)
    except (Exception, KeyboardInterrupt, SystemExit):
        yield from (ended[number] for number in sorted([*ended]))
        raise


def _attempt(work: Callable[[T], R], item: T) -> tuple[T, R | GalaxyError]:
    try:
        return item, work(item)
    except GalaxyError as error:
        if error.exit_code == TRY_LATER:
            raise
        return item, error
