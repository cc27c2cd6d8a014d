"""Wait for what Galaxy does behind an answer: its tasks (Celery's), and files that they make (short-term storage)."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from common import STILL_RUNNING, USAGE, Answer, Galaxy, GalaxyError

FAILURES = ("FAILURE", "REVOKED")       # a task that Galaxy does not know is PENDING
ADDRESS = re.compile(r"/api/(tasks/(?P<task>[\w-]+)/(state|result)|(?P<stored>short_term_storage/[\w-]+)(/ready)?)/?")

DATASET = re.compile(r"/(datasets|contents)/\w+/?$")


def wait_for_answer(galaxy: Galaxy, answer: Any, timeout: float | None, needs_file: bool = False, purged: str = "") -> str:
    """Wait for the tasks and the file that an answer announces; returns the file's route, "" if there is none. The purge of
    a dataset, at the address `purged`, is announced by status 202 alone. Raises `GalaxyError` if a task has failed, with
    STILL_RUNNING after `timeout` seconds, and if nothing is announced."""
    tasks, stored = [*find_tasks(answer)], ""
    if isinstance(answer, dict) and answer.get("storage_request_id"):
        stored = f"short_term_storage/{answer['storage_request_id']}"
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
        yield answer
    elif isinstance(answer, dict):
        for name in ("task", "purge_task"):
            yield from find_tasks(answer.get(name))


def wait(galaxy: Galaxy, tasks: list[str], stored: str, timeout: float | None) -> None:
    """Wait until all tasks have succeeded, or the file at the route `stored` is there, which is before its task ends."""
    state = "PENDING"
    for _ in galaxy.poll(timeout):
        if stored and galaxy.get(f"{stored}/ready"):
            return require_stored(galaxy, stored)
        states = [(task, galaxy.get(f"tasks/{task}/state")) for task in tasks]
        for task, state in states:
            if state in FAILURES:
                about = galaxy.get_or_none(f"tasks/{task}/result") or {}
                raise GalaxyError(f"task {task} has failed ({state}): {about.get('result') or 'Galaxy does not say why'}")
        tasks = [task for task, state in states if state != "SUCCESS"]
        if states and not tasks:
            return require_stored(galaxy, stored) if stored else None
        state = next((state for _, state in states), "not ready")
    later = f"--to=FILE - /api/{stored}" if stored else f"- /api/tasks/{tasks[0]}/state"
    raise GalaxyError(f"not done after {timeout:g} s ({state}): display.py --wait {later} waits on", STILL_RUNNING)


def require_stored(galaxy: Galaxy, stored: str) -> None:
    """Raise an error if, in the file's place, there is the reason why it could not be made."""
    try:
        galaxy.request("GET", stored, stream=True).close()
    except GalaxyError as error:
        if not error.status:
            raise
        raise GalaxyError(f"Galaxy could not make the file: {error.err_msg or error}", error.exit_code) from error
