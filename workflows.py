"""Runs of workflows: which input a step is, waiting until a run has really ended, and what failed in it."""
from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from common import JOB_ENDS, STILL_RUNNING, USAGE, Galaxy, Refused

GOOD = {"ok", "skipped"}
DATA_INPUTS = {"data_input", "data_collection_input"}
SCHEDULED = {"scheduled", "completed"}      # all jobs are made; `completed` (26.1 on) says nothing about their success
GIVEN_UP = {"failed", "cancelled"}


def input_index(workflow: dict[str, Any], step: str) -> str:
    """The index of the input that `step` names by index, label or uuid in `GET /api/workflows/ID`'s answer."""
    inputs = workflow["inputs"]
    fitting = [index for index, wanted in inputs.items() if step in (index, wanted.get("label"), wanted.get("uuid"))]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise Refused(f"{step!r} is the index of one input of workflow {workflow['name']!r} and the label of another: name "
                      f"it by its uuid, {' or '.join(str(inputs[index].get('uuid')) for index in fitting)}", USAGE)
    labels = [wanted["label"] for wanted in inputs.values() if wanted.get("label")]
    near = difflib.get_close_matches(step, labels, 1)
    there = ", ".join(_called(workflow, index) for index in inputs) or "none"
    meant = f"; did you mean {near[0]}?" if near else ""
    raise Refused(f"workflow {workflow['name']!r} has no input {step!r}: there are {there}{meant}", USAGE)


def chosen_inputs(workflow: dict[str, Any], datasets: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """`{index: {"src": ..., "id": ...}}`, as an invocation takes its inputs, from (step, src, id) for each dataset.

    Raises `Refused` for a step that is no input, one that is given twice, and a dataset that is missing.
    """
    inputs: dict[str, dict[str, str]] = {}
    for step, src, dataset in datasets:
        index = input_index(workflow, step)
        if index in inputs:
            raise Refused(f"input {_called(workflow, index)} is given twice", USAGE)
        if workflow["steps"].get(index, {}).get("type", "data_input") not in DATA_INPUTS:
            raise Refused(f"input {_called(workflow, index)} is a parameter and takes no dataset", USAGE)
        inputs[index] = {"src": src, "id": dataset}
    for index in workflow["inputs"]:
        step = workflow["steps"].get(index, {})
        asked = step.get("tool_inputs") or {}
        if index in inputs or asked.get("optional") or asked.get("default") is not None:
            continue
        if step.get("type") in DATA_INPUTS:
            raise Refused(f"input {_called(workflow, index)} is missing: {index}=hda=ID gives it a dataset", USAGE)
        if step.get("type") == "parameter_input":
            raise Refused(f"input {_called(workflow, index)} is a parameter without a default, which can't be given here",
                          USAGE)
    return inputs


def _called(workflow: dict[str, Any], index: str) -> str:
    """An input's index and label, for messages."""
    return f"{index} ({workflow['inputs'][index].get('label') or 'no label'})"


def wait(galaxy: Galaxy, invocation: str, timeout: float | None = None) -> dict[str, Any]:
    """The invocation once it has ended well: all jobs made, and each of them `ok` or `skipped`.

    Among what Galaxy says of it: `outputs` and `output_collections`, both `{label: {"src": ..., "id": ...}}`.

    Raises `Refused` with what failed, and with exit code STILL_RUNNING when `timeout` seconds are over. A look is one
    request of 100 bytes however many jobs there are, subworkflows' among them (`GET .../jobs_summary`).
    """
    states: dict[str, int] = {}
    for _ in galaxy.looks(timeout):
        summary = galaxy.get(f"invocations/{invocation}/jobs_summary")
        states = summary["states"]
        if set(states) - set(JOB_ENDS):
            continue
        about = galaxy.get(f"invocations/{invocation}")     # jobs at rest may be all jobs, or all that are made so far
        bad = {state: count for state, count in states.items() if state not in GOOD}
        if bad or about["state"] in GIVEN_UP or summary["populated_state"] == "failed":
            raise Refused(f"invocation {invocation} {_end(galaxy, about, bad)}")
        if about["state"] in SCHEDULED and summary["populated_state"] == "ok":
            # Jobs made between the two questions are in the summary only when it is asked for again.
            states = galaxy.get(f"invocations/{invocation}/jobs_summary")["states"]
            if not set(states) - GOOD:
                return about
    raise Refused(f"invocation {invocation} still runs after {timeout:g} s: {counted(states)}", STILL_RUNNING)


def counted(states: dict[str, int]) -> str:
    """Jobs by state in words, such as `3 ok, 1 error`."""
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no jobs yet"


def _end(galaxy: Galaxy, invocation: dict[str, Any], bad: dict[str, int]) -> str:
    """How an invocation ended badly: its state, why, the first job that failed."""
    reasons = [str(message.get("reason")) + (f" ({message['details']})" if message.get("details") else "")
               for message in invocation.get("messages") or []]
    state = invocation["state"]
    if not bad:
        return ": ".join([f"is {state}" if state in GIVEN_UP else "could not make all its jobs", *reasons])
    words = "; ".join([f"{'is cancelled' if state == 'cancelled' else 'failed'}: {counted(bad)}", *reasons])
    order = ["error", "failed", "deleted", "deleting", "stopped", "paused"]     # what failed first, not what waits for it
    worst = min(bad, key=lambda state: order.index(state) if state in order else len(order))
    job, step = _a_job(galaxy, invocation, worst)
    if not job:
        return words
    where = job["tool_id"]
    if step:
        where = f"step {step['order_index']} ({step.get('workflow_step_label') or where})"
    said = (job.get("tool_stderr") or job.get("stderr") or job.get("job_stderr") or "").strip().splitlines()
    code = f", exit code {job['exit_code']}" if job.get("exit_code") is not None else ""
    tail = f": {said[-1][:200]}" if said else ""
    return f"{words}; {where} is {job['state']}, job {job['id']}{code}{tail}"


def _a_job(galaxy: Galaxy, invocation: dict[str, Any], state: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job in `state` of the invocation or of a subworkflow's, and its step; empty where there is none."""
    for job in galaxy.pages("jobs", {"invocation_id": invocation["id"], "state": state}, limit=1):
        steps = [step for step in invocation.get("steps") or [] if step.get("job_id") == job["id"]]
        return galaxy.get(f"jobs/{job['id']}", {"full": "true"}), steps[0] if steps else {}
    for step in invocation.get("steps") or []:
        if step.get("subworkflow_invocation_id"):
            job, inner = _a_job(galaxy, galaxy.get(f"invocations/{step['subworkflow_invocation_id']}"), state)
            if job:
                return job, inner
    return {}, {}
