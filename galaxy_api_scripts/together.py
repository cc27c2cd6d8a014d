"""Requests side by side, where none of them needs another's answer: far away each costs its round trip."""
from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from common import Answer

AT_ONCE = 4         # requests, unless `limit_requests` says otherwise

_more_threads = threading.Semaphore(AT_ONCE - 1)


def limit_requests(most: int) -> int:
    """Let `ask_together` have at most `most` requests under way at once, nested calls of it included; returns `most`."""
    global _more_threads
    _more_threads = threading.Semaphore(most - 1)
    return most


def ask_together(*calls: Callable[[], Any]) -> list[Any]:
    """The results of the `calls`, which only read, in their order; the first is made in the caller's thread. If some raise,
    all are waited for, and the first one's error is raised here. Threads end with the process: Ctrl-C waits for none."""
    free, waiting = _more_threads, deque(enumerate(calls))
    outcomes: list[Any] = [None] * len(calls)
    errors: dict[int, BaseException] = {}
    lines = [Answer.latest.line] * len(calls)

    def make(number: int, call: Callable[[], Any], is_own: bool) -> None:
        try:
            outcomes[number] = call()
        except BaseException as error:
            errors[number] = error
            if is_own and not isinstance(error, Exception):     # Ctrl-C, or a signal's
                raise
        lines[number] = Answer.latest.line

    def make_rest(is_own: bool = False) -> None:
        while waiting:
            with contextlib.suppress(IndexError):       # another thread took it
                make(*waiting.popleft(), is_own)

    def serve() -> None:
        try:
            make_rest()
        finally:
            free.release()

    first, threads = waiting.popleft(), list[threading.Thread]()
    while len(threads) < len(calls) - 1 and free.acquire(blocking=False):
        threads.append(threading.Thread(target=serve, name="ask", daemon=True))
        threads[-1].start()
    make(*first, is_own=True)
    make_rest(is_own=True)
    for thread in threads:
        thread.join()
    Answer.latest.line = lines[min(errors, default=-1)]     # for the message of an error here, or over the results
    if errors:
        raise errors[min(errors)]
    return outcomes
