"""Invocations, the runs of workflows: how one begins, and how it ended."""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from common import STILL_RUNNING, TERMINAL_JOB_STATES, TRY_LATER, Galaxy, GalaxyError, report_error
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Notes
from galaxy_api_scripts.datasets.collections import element_datasets
from galaxy_api_scripts.datasets.download import DownloadItem
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, failure_reasons, first_failures
from galaxy_api_scripts.progress import progress_bar

SCHEDULED = {"scheduled", "completed"}      # all jobs are made; `completed` (26.1 on) says nothing about their success
FAILED_INVOCATION_STATES = {"failed", "cancelled"}
TERMINAL_INVOCATION_STATES = 15        # seconds without a move after which Galaxy makes no more jobs of a run of which one has failed
TRIES = 3           # invocations that are asked for where each answer is lost and Galaxy has begun none


# ------------------------------------------------------------------------------------------------------- how one begins

def submit_invocation(galaxy: Galaxy, workflow_id: str, data: dict[str, Any]) -> Any:
    """Galaxy's answer to an invocation of the workflow."""
    try:
        return galaxy.post(f"workflows/{workflow_id}/invocations", data)
    except GalaxyError as error:
        if error.status != 400 or data.get("history", "hist_id=").startswith("hist_id="):
            raise
        raise GalaxyError(f"{error}; Galaxy may have made the history {data['history']!r} all the same, an empty one",
                      status=error.status, err_msg=error.err_msg) from None


def submit_once(galaxy: Galaxy, workflow_id: str, data: dict[str, Any], record: Notes, patient: bool = True) -> str:
    """The id of the one invocation of the workflow in the history `data["history_id"]` for what the `record` is of. The
    workflow's id is a version's where `data` says `instance`.

    Where the answer to it was lost, or an earlier run was killed while it waited for it, Galaxy is looked at: it may have
    begun all the same. Where that became two, the oldest stays, and the others are cancelled. "" where that can't be told
    yet and the caller is not `patient`: ask again in some seconds.
    """
    while True:
        found = _find_submitted(galaxy, workflow_id, data, record, patient)
        if found is not None:
            return found
        tries = record.data.get("tries", 0) + 1
        if tries > TRIES:
            record.save(tries=None)
            raise GalaxyError(f"workflow {workflow_id}: {TRIES} times the answer to its run was lost, and Galaxy has begun "
                          "none; run the same line again", TRY_LATER)
        newest = next(_list_invocations(galaxy, workflow_id, data, limit=1), None)
        record.save(durably=True, known=[newest["id"]] if newest else [], asked=time.time(), tries=tries)
        try:
            made = str(submit_invocation(galaxy, workflow_id, data)["id"])
        except GalaxyError as error:
            if not error.lost:
                record.save(asked=None, tries=None)
                raise
            record.save(durably=True, asked=time.time())     # a proxy gives up while Galaxy is still at work on it
            continue
        record.save(durably=True, invocation=made, tries=None)
        return made


def _find_submitted(galaxy: Galaxy, workflow_id: str, data: dict[str, Any], record: Notes, patient: bool) -> str | None:
    """The invocation that was asked for before, None where there is none or was none asked for, "" for "not yet"."""
    if record.data.get("invocation"):
        return str(record.data["invocation"])
    if record.data.get("asked", 0) > time.time():       # the clock was put back
        record.save(asked=time.time())
    while "asked" in record.data:
        fresh = list(newer_invocations(galaxy, workflow_id, data, record.data["known"]))
        if fresh:
            cancel_duplicates(galaxy, fresh)
            record.save(durably=True, invocation=fresh[0]["id"], tries=None)
            return str(fresh[0]["id"])
        if time.time() - record.data["asked"] > SETTLE_SECONDS:
            record.save(asked=None)
            return None
        if not patient:
            return ""
        time.sleep(2)
    return None


def newer_invocations(galaxy: Galaxy, workflow_id: str, data: dict[str, Any], known: Container[str] = ()) -> list[dict[str, Any]]:
    """The workflow's invocations in a history that take what `data` says and that Galaxy has not given up, the oldest
    first; those that began after the one that is `known`."""
    fresh = itertools.takewhile(lambda one: one["id"] not in known, _list_invocations(galaxy, workflow_id, data))
    return [one for one in reversed(list(fresh)) if one["state"] not in FAILED_INVOCATION_STATES
            and ("inputs" not in data or _has_inputs(galaxy.get(f"invocations/{one['id']}"), data["inputs"]))]


def cancel_duplicates(galaxy: Galaxy, same: list[dict[str, Any]]) -> None:
    """Cancel all but the first of invocations for the same."""
    for one in same[1:]:
        galaxy.delete(f"invocations/{one['id']}")
        report_error(f"invocation {one['id']} was begun for the same as {same[0]['id']}, so it is cancelled")


def _list_invocations(galaxy: Galaxy, workflow_id: str, data: dict[str, Any], limit: int | None = None
                 ) -> Iterator[dict[str, Any]]:
    """The workflow's invocations in a history, the newest first."""
    return galaxy.pages("invocations", {"history_id": data["history_id"], "workflow_id": workflow_id, "sort_desc": "true",
                                        **({"instance": "true"} if data.get("instance") else {})}, limit)


def _has_inputs(invocation: dict[str, Any], inputs: dict[str, Any]) -> bool:
    """Whether an invocation has been given these inputs, by index or label: somebody else's in that history has not."""
    given = invocation.get("inputs") or {}
    there = {name: one["id"] for index, one in given.items() for name in (index, one.get("label")) if name}
    mine = {name: one for name, one in inputs.items() if isinstance(one, dict)}
    told = [str(one["parameter_value"]) for one in (invocation.get("input_step_parameters") or {}).values()]
    return len(given) == len(mine) and all(     # of what is in a library a copy is made, with an id of its own
        there.get(name) == one["id"] or one["src"] in ("ld", "ldda") for name, one in mine.items()) and all(
        str(one) in told for one in inputs.values() if isinstance(one, (int, float, str)) and told)


# -------------------------------------------------------------------------------------------------------- how it ended

class InvocationPoller:
    """What tells from looks at an invocation whether it has ended; `before` and `since` are those of another process.

    A look is one request of 100 bytes however many jobs there are, subworkflows' among them (`GET .../jobs_summary`); only
    where all jobs rest, the invocation is asked for too: once while more are made, unless a person may have to act.
    """

    def __init__(self, galaxy: Galaxy, invocation: str, fail_fast: bool = False, before: Any = None, since: float = 0.0):
        self.galaxy, self.invocation, self.fail_fast = galaxy, invocation, fail_fast
        self.before, self.since = before, since         # the last summary, and since when nothing has moved (seconds)
        self.pauses: dict[str, set[str]] | None = None  # see `_pause_steps`, once that is asked for

    def ended(self, summary: dict[str, Any]) -> dict[str, Any] | None:
        """The invocation where it has ended well: all jobs made, and each of them `ok` or `is_skipped`; None while it runs.

        Raises `InvocationFailed` with what failed, as soon as one job has where it is to `fail_fast`, else when no job can move any
        more; `GalaxyError` where it waits for a person.
        """
        galaxy, path, states = self.galaxy, f"invocations/{self.invocation}", summary["states"]
        bad = {state: count for state, count in states.items() if state in TERMINAL_JOB_STATES and state not in SUCCESS_STATES}
        if bad and self.fail_fast:
            raise InvocationFailed(galaxy, galaxy.get(path), bad)
        moved = summary != self.before
        self.before, self.since = summary, time.time() if moved else self.since
        if set(states) - set(TERMINAL_JOB_STATES):
            return None
        if summary["populated_state"] == "new":         # more jobs are made; where one failed, perhaps no more
            nothing_to_review = self.pauses is not None and not any(self.pauses.values())
            if time.time() - self.since < TERMINAL_INVOCATION_STATES if bad else (moved or nothing_to_review):
                return None
        about: dict[str, Any] = galaxy.get(path)    # jobs at rest may be all jobs, or all that are made so far
        if bad or about["state"] in FAILED_INVOCATION_STATES or summary["populated_state"] == "failed":
            raise InvocationFailed(galaxy, about, bad)
        if summary["populated_state"] == "new":
            self.pauses = _pause_steps(galaxy, about["workflow_id"]) if self.pauses is None else self.pauses
            _raise_if_paused(galaxy, about, self.pauses)
        if about["state"] not in SCHEDULED or summary["populated_state"] != "ok":
            return None
        # Jobs made between the two questions are in the summary only when it is asked for again.
        return about if not set(galaxy.get(f"{path}/jobs_summary")["states"]) - SUCCESS_STATES else None


def wait_for_invocation(galaxy: Galaxy, invocation: str, timeout: float | None = None, fail_fast: bool = False,
         on_progress: Callable[[dict[str, int]], Any] | None = None) -> dict[str, Any]:
    """The invocation once it has ended well, see `InvocationPoller`, which also says what is raised where it has not.

    Among what Galaxy says of it: `invocation_outputs` and `output_collections`, both `{label: {"src": ..., "id": ...}}`. `GalaxyError`
    (STILL_RUNNING) when `timeout` seconds are over. With each look, `told` the jobs by state.
    """
    watch, states = InvocationPoller(galaxy, invocation, fail_fast), {}
    for _ in galaxy.poll(timeout):
        summary = galaxy.get(f"invocations/{invocation}/jobs_summary")
        states = summary["states"]
        if on_progress:
            on_progress(states)
        about = watch.ended(summary)
        if about:
            return about
    raise GalaxyError(f"invocation {invocation} still runs after {timeout:g} s: {describe_counts(states)}", STILL_RUNNING)


class InvocationFailed(GalaxyError):
    """An invocation that has ended badly: `invocation`, as Galaxy describes it, and its first of `jobs.failures`, if any."""

    def __init__(self, galaxy: Galaxy, invocation: dict[str, Any], bad: dict[str, int]):
        self.invocation = invocation
        self.first = next(iter(first_failures(galaxy, invocation, most=1)), None) if bad else None
        super().__init__(f"invocation {invocation['id']} {_failure_message(invocation, bad, self.first)}")


def _pause_steps(galaxy: Galaxy, workflow_id: str) -> dict[str, set[str]]:
    """The indices of the steps of kind pause, by the ids of the workflow's version and its subworkflows' ones."""
    steps = (galaxy.get_or_none(f"workflows/{workflow_id}", {"instance": "true"}) or {}).get("steps") or {}
    found = {workflow_id: {index for index, step in steps.items() if step["type"] == "pause"}}
    for step in steps.values():
        if step["type"] == "subworkflow" and step.get("workflow_id"):
            found.update(_pause_steps(galaxy, step["workflow_id"]))
    return found


def _raise_if_paused(galaxy: Galaxy, invocation: dict[str, Any], pauses: dict[str, set[str]]) -> None:
    """Refuse an invocation that has come to a step of kind pause, which goes on when a person says so, in a subworkflow
    too."""
    if invocation["state"] in SCHEDULED or not any(pauses.values()):
        return
    for step in invocation.get("steps") or []:
        inner = step.get("subworkflow_invocation_id")
        if inner:
            _raise_if_paused(galaxy, galaxy.get(f"invocations/{inner}"), pauses)
        elif str(step["order_index"]) in pauses.get(invocation["workflow_id"], ()) and step.get("state") == "scheduled" \
                and step.get("action") is None:
            run, label = invocation["id"], step.get("workflow_step_label") or "pause"
            raise GalaxyError(f"invocation {run} waits for somebody to review step {step['order_index']} ({label}): "
                          f"{galaxy.base}/workflows/invocations/{run}, or "
                          f"update.py - /api/invocations/{run}/steps/{step['id']} action:=true")


@contextmanager
def job_progress(last: dict[str, int]) -> Iterator[Callable[[dict[str, int]], None]]:
    """What `wait_for_invocation` tells the jobs by state to, so that a terminal shows them; they stay in `last`."""
    with progress_bar(0, "jobs", unit="") as bar:
        def tell(states: dict[str, int]) -> None:
            last.clear()
            last.update(states)
            if hasattr(bar, "set_postfix_str"):
                bar.total = sum(states.values())
                bar.set_postfix_str(describe_counts(states), refresh=False)
            bar.update(sum(count for state, count in states.items() if state in TERMINAL_JOB_STATES) - bar.n)
        yield tell


# ------------------------------------------------------------------------------------------------------- its results

def invocation_outputs(invocation: dict[str, Any], labels: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """`{label: {"src": ..., "id": ...}}` of an invocation's outputs, or those of these labels that it has made."""
    made = {**invocation["outputs"], **invocation["output_collections"]}
    return {label: made[label] for label in labels or made if label in made}


def output_datasets(galaxy: Galaxy, chosen: dict[str, dict[str, str]]) -> dict[str, list[DownloadItem]]:
    """The datasets that these `invocation_outputs` are, for each label: `LABEL/ELEMENT` in collections, `LABEL` alone else. What a
    skipped step left is none."""
    found: dict[str, list[DownloadItem]] = {}
    for label, made in chosen.items():
        if made["src"] == "hda":
            items = [DownloadItem({**galaxy.get(f"datasets/{made['id']}"), "name": label})]
        else:
            elements = galaxy.get(f"dataset_collections/{made['id']}")["elements"]
            items = [DownloadItem(dataset, collection=label, element=names) for names, dataset in element_datasets(elements)]
        found[label] = [item for item in items if not is_skipped(item.about)]
    return found


def is_skipped(dataset: dict[str, Any]) -> bool:
    """Whether the dataset is what Galaxy 26.1 leaves of a step whose condition was false."""
    return dataset.get("misc_blurb") == "skipped"


def describe_counts(states: dict[str, int]) -> str:
    """Jobs by state in words, such as `3 ok, 1 error`."""
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no jobs yet"


def _failure_message(invocation: dict[str, Any], bad: dict[str, int], job: dict[str, Any] | None) -> str:
    """How an invocation ended badly: its state, why, the first job that failed."""
    state = invocation["state"]
    if not bad:
        return ": ".join([f"is {state}" if state in FAILED_INVOCATION_STATES else "could not make all its jobs", *failure_reasons(invocation)])
    words = "; ".join(
        [f"{'is cancelled' if state == 'cancelled' else 'failed'}: {describe_counts(bad)}", *failure_reasons(invocation)])
    if not job:
        return words
    more = [] if job["label"].endswith(job["tool"]) else [f"tool {job['tool']} {job['version']}".strip()]
    more += [f"element {job['element']}"] if job["element"] else []
    where = ", ".join([f"step {job['step']} ({job['label']})", *more]) + ("," if more else "")
    said = job["stderr"].splitlines()
    code = f", exit code {job['exit_code']}" if job["exit_code"] is not None else ""
    tail = f": {said[-1][:200]}" if said else ""
    return f"{words}; {where} is {job['state']}, job {job['job']}{code}{tail}; see {job['address']}"
