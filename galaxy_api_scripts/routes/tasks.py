"""Wait for what Galaxy does behind an answer: its tasks (Celery's), and files that they make (short-term storage)."""
from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from common import STILL_RUNNING, TRY_LATER, USAGE, Answer, Galaxy, GalaxyError, shorten

FAILURES = ("FAILURE", "REVOKED")       # a task that Galaxy does not know is PENDING
ADDRESS = re.compile(r"/api/(tasks/(?P<task>[\w-]+)/(state|result)|(?P<stored>short_term_storage/[\w-]+)(/ready)?)/?")

DATASET = re.compile(r"/(datasets|contents)/\w+/?$")


def wait_for_answer(galaxy: Galaxy, answer: Any, timeout: float | None, needs_file: bool = False, purged: str = "") -> str:
    """Wait for the tasks and the file that an answer announces; returns the file's route, "" if there is none. The purge of
    a dataset, at the address `purged`, is announced by status 202 alone. Raises `GalaxyError` if a task has failed, with
    STILL_RUNNING after `timeout` seconds, and if nothing is announced."""
    tasks, stored = [*find_tasks(answer)], announced(answer)[0]
    if needs_file and not stored:
        raise GalaxyError("it is done, but the answer names no file that Galaxy makes, so --to has none to take")
    if answer is None and Answer.latest.status == 204:
        return ""       # it has ended already, as on a server without Celery
    if DATASET.search(urlsplit(purged).path) and Answer.latest.status == 202:
        wait_for_purge(galaxy, purged, timeout)
        return ""
    if not tasks and not stored:
        raise GalaxyError("it is done, but the answer names no task to wait for: job_wait.py, dataset_wait.py and "
                          "invocation_wait.py wait for other things")
    if any(task.get("ignored") for task in tasks):
        raise GalaxyError(f"it is begun, but Galaxy keeps no record of task {tasks[0]['id']}, so there is nothing to "
                          "wait for: look at what it is to change")
    wait(galaxy, [task["id"] for task in tasks], stored, timeout)
    return stored


def wait_for_purge(galaxy: Galaxy, address: str, timeout: float | None) -> None:
    """Wait until the dataset at an address is purged, which some servers let nobody do: then its task fails."""
    if galaxy.get("configuration", {"keys": "allow_user_dataset_purge"}).get("allow_user_dataset_purge") is False:
        raise GalaxyError("it is not purged: this server lets nobody purge datasets (allow_user_dataset_purge)")
    for _ in galaxy.poll(timeout):
        if galaxy.get(address.partition("?")[0]).get("purged"):
            return
    raise GalaxyError(f"not purged after {timeout:g} s: the server does that later", STILL_RUNNING)


def wait_for_address(galaxy: Galaxy, timeout: float | None) -> None:
    """Wait for the task, or the file, that the address of `galaxy` is of; otherwise as `wait_for_answer`."""
    match = ADDRESS.fullmatch(urlsplit(galaxy.url).path.removeprefix(urlsplit(galaxy.base).path))
    if not match:
        raise GalaxyError("--wait: expected /api/tasks/ID/state or /api/short_term_storage/ID as URL", USAGE)
    wait(galaxy, [match["task"]] if match["task"] else [], match["stored"] or "", timeout)


def find_tasks(answer: Any) -> Iterator[dict[str, Any]]:
    """Yield the tasks in an answer: itself, in its fields (`task`, `purge_task`), in those of a list's members."""
    if isinstance(answer, list):
        for member in answer:
            yield from find_tasks(member)
    elif isinstance(answer, dict) and {"id", "ignored", "queue"} <= answer.keys():
        require_id(answer["id"])
        yield answer
    elif isinstance(answer, dict):
        for name in ("task", "purge_task"):
            yield from find_tasks(answer.get(name))


def require_id(value: Any) -> str:
    """Raise an error for an id of a task or a file that is none, as it becomes a part of an address."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w-]+", value):
        raise GalaxyError(f"it is begun, but {shorten(str(value))!r} is no id of what to wait for")
    return value


def line_that_waits(stored: str, tasks: Iterable[str]) -> str:
    """The command that waits for a file or a task, and sends nothing again."""
    return f"display.py --wait {f'--to=FILE - /api/{stored}' if stored else f'- /api/tasks/{[*tasks][0]}/state'}"


@contextlib.contextmanager
def hint_for_later(answer: Any) -> Iterator[None]:
    """Add to an error that says `try again` that this would send the request once more, and what to do instead."""
    try:
        yield
    except GalaxyError as error:
        if error.exit_code == TRY_LATER:
            stored, tasks = announced(answer)
            later = f": {line_that_waits(stored, tasks)} waits on" if stored or tasks else ""
            error.args = (f"{error} (the request itself was answered, don't send it again{later})",)
        raise


def announced(answer: Any) -> tuple[str, list[str]]:
    """The route of the file and the ids of the tasks that an answer announces."""
    stored = answer.get("storage_request_id") if isinstance(answer, dict) else None
    return f"short_term_storage/{require_id(stored)}" if stored else "", [task["id"] for task in find_tasks(answer)]


def wait(galaxy: Galaxy, tasks: list[str], stored: str, timeout: float | None) -> None:
    """Wait until all tasks have succeeded, or the file at the route `stored` is there, which is before its task ends."""
    state = "PENDING"
    for _ in galaxy.poll(timeout):
        if stored and galaxy.get(f"{stored}/ready"):
            return require_stored(galaxy, stored)
        states = [(task, galaxy.get(f"tasks/{task}/state")) for task in tasks]
        for task, state in states:
            if state in FAILURES:
                about = galaxy.get_or_none(f"tasks/{task}/result")
                reason = about.get("result") if isinstance(about, dict) else about
                raise GalaxyError(f"task {task} has failed ({state}): {reason or 'Galaxy does not say why'}")
        tasks = [task for task, state in states if state != "SUCCESS"]
        if states and not tasks:
            return require_stored(galaxy, stored) if stored else None
        state = next((state for _, state in states), "not ready")
    raise GalaxyError(f"not done after {timeout:g} s ({shorten(str(state))}): {line_that_waits(stored, tasks)} waits on",
                      STILL_RUNNING)


def require_stored(galaxy: Galaxy, stored: str) -> None:
    """Raise an error if, in the file's place, there is the reason why it could not be made."""
    try:
        galaxy.request("GET", stored, stream=True).close()
    except GalaxyError as error:
        if not error.status:
            raise
        raise GalaxyError(f"Galaxy could not make the file: {error.err_msg or error}", error.exit_code) from error
