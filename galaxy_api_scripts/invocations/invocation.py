"""Invocations, the runs of a workflow: submit each exactly once, wait for its jobs, find its outputs."""
from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from common import FAILED, STILL_RUNNING, TERMINAL_JOB_STATES, Galaxy, GalaxyError, report_error
from galaxy_api_scripts.checkpoint import Notes, send_once
from galaxy_api_scripts.datasets.collections import element_datasets
from galaxy_api_scripts.datasets.download_paths import DownloadItem
from galaxy_api_scripts.datasets.target_history import take_first
from galaxy_api_scripts.invocations.job_history import RERUNNABLE_STATES
from galaxy_api_scripts.invocations.jobs import (
    SUCCESS_STATES,
    failure_reasons,
    fetch_workflow_version,
    first_failures,
    list_steps,
    subworkflow_jobs,
)
from galaxy_api_scripts.invocations.replacements import (
    Replacement,
    count_replaced,
    find_replacements,
    replace_jobs,
    replace_outputs,
)
from galaxy_api_scripts.polling import fetch_datasets
from galaxy_api_scripts.progress import describe_counts

SCHEDULED_STATES = {"scheduled", "completed"}   # all jobs are made; `completed` (26.1 on) says nothing about their success
FAILED_INVOCATION_STATES = {"failed", "cancelled"}
OUTPUT_FIELDS = ["hid", "history_id", "state", "deleted", "purged", "extension", "file_size", "hashes", "misc_blurb"]
SCHEDULING_PATIENCE = 15    # seconds without a change after which Galaxy makes no more jobs where one has failed
sole_invocations = set[tuple[str, str]]()       # (server, id) of those that `submit_once` knows to have no duplicate
known_pauses: dict[tuple[str, str], dict[str, set[str]]] = {}       # {(server, id of a workflow's version): `_pause_steps`}


# ------------------------------------------------------------------------------------------------------------ submission

def submit_invocation(galaxy: Galaxy, workflow_id: str, data: dict[str, Any]) -> Any:
    """Invoke a workflow (`POST /api/workflows/ID/invocations`) and return Galaxy's answer."""
    try:
        return galaxy.post(f"workflows/{workflow_id}/invocations", data)
    except GalaxyError as error:
        if error.status != 400 or data.get("history", "hist_id=").startswith("hist_id="):
            raise
        raise GalaxyError(f"{error}; Galaxy may have created the history {data['history']!r} all the same, an empty one",
                          status=error.status, err_msg=error.err_msg) from None


def submit_once(galaxy: Galaxy, workflow_id: str, data: dict[str, Any], record: Notes, patient: bool = True) -> str:
    """Invoke a workflow exactly once in the history `data["history_id"]` and return the invocation's id. `record` notes the
    submission; with `instance` in `data`, `workflow_id` is a version's.

    For lost answers and `patient` see `send_once`. If there are two invocations then, keep the oldest and cancel the others.
    One whose answer came, to the first request in a history that this process has made, is among the `sole_invocations`.
    """
    is_first = False

    def prepare() -> dict[str, Any]:
        nonlocal is_first
        is_first = take_first(galaxy, data["history_id"], "invocations")
        newest = None if is_first else next(_list_invocations(galaxy, workflow_id, data, limit=1), None)
        return {"known": [newest["id"]] if newest else []}

    def find() -> str | None:
        candidates = newer_invocations(galaxy, workflow_id, data, record.data["known"])
        cancel_duplicates(galaxy, candidates)
        return str(candidates[0]["id"]) if candidates else None

    def send() -> str:
        made = str(submit_invocation(galaxy, workflow_id, data)["id"])
        if is_first:
            sole_invocations.add((galaxy.base, made))
        return made

    return send_once(record, "invocation", f"workflow {workflow_id}", find=find, send=send, prepare=prepare, patient=patient)


def newer_invocations(galaxy: Galaxy, workflow_id: str, data: dict[str, Any],
                      known: Container[str] = ()) -> list[dict[str, Any]]:
    """The workflow's invocations in the history `data["history_id"]` that have the inputs of `data` and have not failed, the
    oldest first; only those newer than the first one whose id is `known`."""
    newer = itertools.takewhile(lambda invocation: invocation["id"] not in known,
                                _list_invocations(galaxy, workflow_id, data))
    return [invocation for invocation in reversed(list(newer)) if invocation["state"] not in FAILED_INVOCATION_STATES
            and ("inputs" not in data or _has_inputs(galaxy.get(f"invocations/{invocation['id']}"), data["inputs"]))]


def cancel_duplicates(galaxy: Galaxy, invocations: list[dict[str, Any]]) -> None:
    """Cancel all but the first of several invocations of the same, and report it."""
    for duplicate in invocations[1:]:
        galaxy.delete(f"invocations/{duplicate['id']}")
        report_error(f"invocation {duplicate['id']} duplicates {invocations[0]['id']}, so it was cancelled")


def _list_invocations(galaxy: Galaxy, workflow_id: str, data: dict[str, Any], limit: int | None = None
                      ) -> Iterator[dict[str, Any]]:
    """The workflow's invocations in a history, the newest first."""
    return galaxy.pages("invocations", {"history_id": data["history_id"], "workflow_id": workflow_id, "sort_desc": "true",
                                        **({"instance": "true"} if data.get("instance") else {})}, limit)


def _has_inputs(invocation: dict[str, Any], inputs: dict[str, Any]) -> bool:
    """Whether an invocation has these inputs, by index or label; another user's in the same history has others."""
    datasets = invocation.get("inputs") or {}
    ids = {name: dataset["id"] for index, dataset in datasets.items() for name in (index, dataset.get("label")) if name}
    values = [str(step["parameter_value"]) for step in (invocation.get("input_step_parameters") or {}).values()]
    expected = {name: value for name, value in inputs.items() if isinstance(value, dict)}
    return len(datasets) == len(expected) and all(     # a library dataset becomes a copy, which has an id of its own
        ids.get(name) == value["id"] or value["src"] in ("ld", "ldda") for name, value in expected.items()) and all(
        str(value) in values for value in inputs.values() if isinstance(value, (int, float, str)) and values)


# --------------------------------------------------------------------------------------------------------------- waiting

class InvocationPoller:
    """Tells from poll to poll whether an invocation has ended. Pass `last_summary` and `last_change` of another process's
    poller to resume its work.

    While jobs move, a poll is one request of 100 bytes, however many jobs and subworkflows there are
    (`GET .../jobs_summary`). Only when no job moves the invocation itself is asked for; while more jobs are made that
    happens once, unless the workflow has a pause, which somebody may have to resume. With `reruns`, a failed job that was
    run again counts as its rerun: the one that `reruns` names (`{failed job: its rerun}`), else the one that is found.
    """

    def __init__(self, galaxy: Galaxy, invocation_id: str, fail_fast: bool = False, last_summary: Any = None,
                 last_change: float = 0.0, reruns: Mapping[str, str] | None = None):
        self.galaxy, self.invocation_id, self.fail_fast, self.reruns = galaxy, invocation_id, fail_fast, reruns
        # Seconds since 1970; the clock may have been put back.
        self.last_summary, self.last_change = last_summary, min(last_change, time.time())
        self.pauses: dict[str, set[str]] | None = None      # of `_pause_steps`, once they were needed
        self.inner: Counter[str] = Counter()                # of `subworkflow_jobs`
        self.scheduled: dict[str, Any] | None = None        # of `look_ahead`; {} if the end is to be asked for all the same
        self.replacements: dict[str, Replacement] = {}                 # of `find_replacements`

    def check(self, summary: dict[str, Any]) -> dict[str, Any] | None:
        """The invocation once it has succeeded: all jobs are made, and each is `ok` or `skipped`. None while it runs.

        `summary` is the answer of `GET .../jobs_summary`. Raises `InvocationFailed` when a job has failed and no other can
        move any more, with `fail_fast` as soon as one has failed; `GalaxyError` when it waits for a review.
        """
        galaxy, path = self.galaxy, f"invocations/{self.invocation_id}"
        states = self._with_reruns(summary["states"])
        failed = _failed_states(states)
        if self.fail_fast and set(failed) - {"paused"}:     # after a failure, which Galaxy 25.1 tells only below
            raise InvocationFailed(galaxy, galaxy.get(path), failed, self.replacements)
        has_changed = summary != self.last_summary
        self.last_summary, self.last_change = summary, time.time() if has_changed else self.last_change
        if set(states) - set(TERMINAL_JOB_STATES):
            return None
        if summary["populated_state"] == "new":         # more jobs are made; where one failed, perhaps no more
            has_no_pause = self.pauses is not None and not any(self.pauses.values())
            if time.time() - self.last_change < SCHEDULING_PATIENCE if failed else (has_changed or has_no_pause):
                return None
        known = self.scheduled if summary["populated_state"] == "ok" and not failed else None
        invocation: dict[str, Any] = known or galaxy.get(path)      # these may be all its jobs, or all that are made so far
        self.inner = subworkflow_jobs(galaxy, invocation) if invocation["state"] in SCHEDULED_STATES else Counter()
        self.inner = Counter(self._with_reruns(self.inner, inner=True))
        failed = Counter(failed) + Counter(_failed_states(self.inner))
        if set(self.inner) - set(TERMINAL_JOB_STATES) and not (failed and self.fail_fast):
            return None
        if failed or invocation["state"] in FAILED_INVOCATION_STATES or summary["populated_state"] == "failed":
            raise InvocationFailed(galaxy, invocation, failed, self.replacements)
        if summary["populated_state"] == "new":
            self.pauses = _pause_steps(galaxy, invocation["workflow_id"]) if self.pauses is None else self.pauses
            _raise_if_paused(galaxy, invocation, self.pauses)
        if invocation["state"] not in SCHEDULED_STATES or summary["populated_state"] != "ok":
            return None
        # A summary whose populated_state is ok has all jobs, for Galaxy reads that state before it counts them; but a
        # subworkflow makes its own, and those that were made between the two requests are only in a new summary.
        if _has_subworkflow(invocation) and \
                set(self._with_reruns(galaxy.get(f"{path}/jobs_summary")["states"])) - SUCCESS_STATES:
            return None
        return replace_outputs(galaxy, invocation, self.replacements) if self.replacements else invocation

    def look_ahead(self) -> None:
        """Ask for the invocation while jobs still move, so that its end need not wait for that: once all jobs are made,
        only their states change, and the last summary tells those, and a cancellation."""
        if self.scheduled is None and self.reruns is None and self.last_summary["populated_state"] == "ok":
            invocation = self.galaxy.get(f"invocations/{self.invocation_id}")
            is_whole = invocation["state"] in SCHEDULED_STATES and not _has_subworkflow(invocation)
            self.scheduled = invocation if is_whole else {}

    def _with_reruns(self, states: dict[str, int], inner: bool = False) -> dict[str, int]:
        """The jobs by state, those that were run again in the states of their reruns; `inner` are those of subworkflows,
        where Galaxy counts them apart."""
        if self.reruns is None or not any(states.get(state) for state in RERUNNABLE_STATES):
            return states
        if not self.fail_fast and set(states) - set(TERMINAL_JOB_STATES):
            return states       # it is too early to ask
        invocation = self.galaxy.get(f"invocations/{self.invocation_id}")
        self.replacements = find_replacements(self.galaxy, invocation, self.reruns)
        is_apart = bool(self.inner) or inner
        return count_replaced(states, (one for one in self.replacements.values() if not is_apart or one.is_inner == inner))


def _has_subworkflow(invocation: dict[str, Any]) -> bool:
    return any(step.get("subworkflow_invocation_id") for step in invocation.get("steps") or [])


def _failed_states(states: dict[str, int]) -> dict[str, int]:
    return {state: count for state, count in states.items()
            if state in TERMINAL_JOB_STATES and state not in SUCCESS_STATES}


def wait_for_invocation(galaxy: Galaxy, invocation_id: str, timeout: float | None = None, fail_fast: bool = False,
                        on_progress: Callable[[dict[str, int]], Any] | None = None,
                        reruns: Mapping[str, str] | None = None, look_ahead: bool = False) -> dict[str, Any]:
    """Wait until an invocation has succeeded and return it, as `GET /api/invocations/ID` describes it.

    For `reruns` and `look_ahead` see `InvocationPoller`. Raises what its `check` raises, and `GalaxyError` (STILL_RUNNING,
    or FAILED if a job has failed while others run) after `timeout` seconds, or when the time of a wait around this one is up
    (`Galaxy.poll`). `on_progress(counts)` is called at each poll with the number of jobs by state.
    """
    poller, counts, begin = InvocationPoller(galaxy, invocation_id, fail_fast, reruns=reruns), {}, time.monotonic()
    for _ in galaxy.poll(timeout):
        summary = galaxy.get(f"invocations/{invocation_id}/jobs_summary")
        counts = summary["states"]
        if on_progress:
            on_progress(counts)
        try:
            invocation = poller.check(summary)
        finally:
            if on_progress and poller.inner:
                on_progress(dict(Counter(counts) + poller.inner))
        if invocation:
            return invocation
        if look_ahead:
            poller.look_ahead()
    raise GalaxyError(f"invocation {invocation_id} still runs after {time.monotonic() - begin:.0f} s: "
                      f"{describe_counts(counts) or 'no jobs yet'}",
                      FAILED if set(counts) & set(TERMINAL_JOB_STATES) - SUCCESS_STATES else STILL_RUNNING)


class InvocationFailed(GalaxyError):
    """An invocation has failed: `invocation` as Galaxy describes it, `first_failure` one of `first_failures` or None."""

    def __init__(self, galaxy: Galaxy, invocation: dict[str, Any], failed: dict[str, int],
                 replacements: dict[str, Replacement] | None = None):
        self.invocation = invocation
        steps = replace_jobs(list_steps(galaxy, invocation), replacements) if failed and replacements else None
        self.first_failure = next(iter(first_failures(galaxy, invocation, 1, steps)), None) if failed else None
        super().__init__(f"invocation {invocation['id']} {_failure_message(invocation, failed, self.first_failure)}")


def _failure_message(invocation: dict[str, Any], failed: dict[str, int], job: dict[str, Any] | None) -> str:
    """How an invocation has failed: its state, the reasons, the first job that failed."""
    state, reasons = invocation["state"], failure_reasons(invocation)
    if not failed:
        return ": ".join([f"is {state}" if state in FAILED_INVOCATION_STATES else "could not make all its jobs", *reasons])
    message = "; ".join([f"{'is cancelled' if state == 'cancelled' else 'failed'}: {describe_counts(failed)}", *reasons])
    if not job:
        return message
    details = [] if job["label"].endswith(job["tool"]) else [f"tool {job['tool']} {job['version']}".strip()]
    details += [f"element {job['element']}"] if job["element"] else []
    place = ", ".join([f"step {job['step']} ({job['label']})", *details]) + ("," if details else "")
    code = f", exit code {job['exit_code']}" if job["exit_code"] is not None else ""
    last_line = "".join(f": {line[:200]}" for line in job["stderr"].splitlines()[-1:])
    return f"{message}; {place} is {job['state']}, job {job['job']}{code}{last_line}; see {job['address']}"


def _pause_steps(galaxy: Galaxy, workflow_id: str) -> dict[str, set[str]]:
    """`{id of a workflow's version: indices of its pauses}` of a workflow and its subworkflows; no version ever changes."""
    if (galaxy.base, workflow_id) in known_pauses:
        return known_pauses[galaxy.base, workflow_id]
    steps = fetch_workflow_version(galaxy, workflow_id).get("steps") or {}
    pauses = {workflow_id: {index for index, step in steps.items() if step["type"] == "pause"}}
    for step in steps.values():
        if step["type"] == "subworkflow" and step.get("workflow_id"):
            pauses.update(_pause_steps(galaxy, step["workflow_id"]))
    known_pauses[galaxy.base, workflow_id] = pauses
    return pauses


def _raise_if_paused(galaxy: Galaxy, invocation: dict[str, Any], pauses: dict[str, set[str]]) -> None:
    """Raise `GalaxyError` if an invocation, or one of its subworkflows, has come to a pause that somebody has to resume."""
    if invocation["state"] in SCHEDULED_STATES or not any(pauses.values()):
        return
    for step in invocation.get("steps") or []:
        subworkflow = step.get("subworkflow_invocation_id")
        if subworkflow:
            _raise_if_paused(galaxy, galaxy.get(f"invocations/{subworkflow}"), pauses)
        elif str(step["order_index"]) in pauses.get(invocation["workflow_id"], ()) and step.get("state") == "scheduled" \
                and step.get("action") is None:
            path = f"invocations/{invocation['id']}"
            name = f"step {step['order_index']} ({step.get('workflow_step_label') or 'pause'})"
            raise GalaxyError(f"invocation {invocation['id']} is waiting for a review of {name}: "
                              f"{galaxy.base}/workflows/{path}, or update.py - /api/{path}/steps/{step['id']} action:=true")


# --------------------------------------------------------------------------------------------------------------- outputs

def parse_labels(text: str | None) -> list[str]:
    """The labels of outputs in an option's value, which separates them by commas; [] where it was not given."""
    return [label for label in (text or "").split(",") if label]


def invocation_outputs(invocation: dict[str, Any], labels: Iterable[str] = ()) -> dict[str, dict[str, str]]:
    """`{label: {"src": ..., "id": ...}}` of an invocation's outputs, or only those with these `labels` that exist."""
    outputs = {**invocation["outputs"], **invocation["output_collections"]}
    return {label: outputs[label] for label in labels or outputs if label in outputs}


def output_datasets(galaxy: Galaxy, outputs: dict[str, dict[str, str]]) -> dict[str, list[DownloadItem]]:
    """The datasets of these `invocation_outputs` by label, named `LABEL`, in collections `LABEL/ELEMENT`; without the
    placeholders of skipped steps."""
    items: dict[str, list[DownloadItem]] = {}
    ids = list(dict.fromkeys(output["id"] for output in outputs.values() if output["src"] == "hda"))
    many = dict(fetch_datasets(galaxy, ids, OUTPUT_FIELDS)) if len(ids) > 1 else {}
    for label, output in outputs.items():
        if output["src"] == "hda":
            about = many.get(output["id"]) or galaxy.get(f"datasets/{output['id']}")
            if isinstance(about, GalaxyError):
                raise about
            members = [DownloadItem({**about, "name": label})]
        else:
            elements = galaxy.get(f"dataset_collections/{output['id']}")["elements"]
            members = [DownloadItem(dataset, collection=label, collection_ref=f"hdca:{output['id']}", element=names)
                       for names, dataset in element_datasets(elements)]
        items[label] = [item for item in members if not is_skipped(item.about)]
    return items


def is_skipped(dataset: dict[str, Any]) -> bool:
    """Whether a dataset is the placeholder that Galaxy 26.1 makes for a step whose condition was false."""
    return dataset.get("misc_blurb") == "skipped"
