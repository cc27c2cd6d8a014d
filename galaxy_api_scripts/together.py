"""Requests side by side, where none of them needs another's answer: far away each costs its round trip."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common import Answer
from galaxy_api_scripts.transfer_limit import TransferLimit, current_limit
from galaxy_api_scripts.transfers import Task, Workers

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
