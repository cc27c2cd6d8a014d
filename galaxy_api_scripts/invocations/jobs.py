"""The steps and jobs of a run: what they are, how long they took, and which failed first."""
from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from common import TERMINAL_JOB_STATES, Galaxy, GalaxyError, one_line, redact
from galaxy_api_scripts.polling import fetch_datasets

SUCCESS_STATES = {"ok", "skipped"}
# How a job ends that is neither ok nor skipped, in the order in which one makes the next.
FAILED_JOB_STATES = ("error", "failed", "deleted", "deleting", "stopped", "paused")
GIVEN_UP = ("failed", "cancelling", "cancelled")     # runs that make no more jobs
INPUT_STEP_TYPES = ("data_input", "data_collection_input", "parameter_input")
# What the plugins cgroup and core of Galaxy's job metrics call the peak of memory, in bytes, and the times, in seconds.
MEMORY = ("memory.peak", "memory.memsw.max_usage_in_bytes", "memory.max_usage_in_bytes")
TIMES = {"runtime_seconds": "run_time", "start_epoch": "start", "end_epoch": "end"}
# From Galaxy 26.1's schema (CancelReason, FailureReason, WarningReason).
REASONS = {
    "user_request": "somebody cancelled it", "history_deleted": "its history {thing} was deleted",
    "cancelled_on_review": "somebody let it not go on", "dataset_failed": "dataset {thing} has failed",
    "collection_failed": "collection {thing} has failed", "job_failed": "job {thing} has failed",
    "output_not_found": "there is no output {thing}", "expression_evaluation_failed": "an expression has no value",
    "when_not_boolean": "its condition is neither true nor false", "unexpected_failure": "Galaxy failed unexpectedly",
    "workflow_parameter_invalid": "a parameter is not valid", "step_input_deleted": "its input {thing} is deleted",
    "workflow_output_not_found": "warning: the workflow's output {thing} was not made",
}
THINGS = ("hda_id", "hdca_id", "job_id", "history_id", "output_name")
NO_METRICS: dict[str, int | None] = {"run_time": None, "start": None, "end": None, "memory": None}
LINES, LETTERS = 20, 2000       # of a standard error, at its end


# ----------------------------------------------------------------------------------------------------------------- steps

def fetch_workflow_version(galaxy: Galaxy, invocation: dict[str, Any]) -> dict[str, Any]:
    """The version of the workflow that ran, as `GET /api/workflows/ID` tells; {} where we may not see it."""
    return galaxy.get_or_none(f"workflows/{invocation['workflow_id']}", {"instance": "true"}) or {}


def list_steps(galaxy: Galaxy, invocation: dict[str, Any], workflow: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Every step of an invocation, in the workflow's order, a subworkflow's behind the step that it is.

    Each is `{"step": "1.2", "label": "tidy: column", "kind": "tool", "tool", "version", "state", "jobs", "action",
    "given_up", "collections"}`: the indices and labels of the steps that it is in come first; `kind` is one of INPUTS, tool,
    subworkflow or pause, as the workflow says, empty where we may not see that; `action` is true where somebody let a pause
    go on, `given_up` where the run will not; `collections` are the ids of those that a mapped-over step has made. Each job
    is `{"id", "tool", "version", "state", "create_time", "update_time", "exit_code"}`.

    However many jobs there are, a (sub)workflow takes two requests, one where its `workflow` is given (`fetch_workflow_version`).
    """
    return list(_list_steps(galaxy, invocation["id"], workflow, "", ""))


def _list_steps(galaxy: Galaxy, invocation: str, workflow: dict[str, Any] | None, index: str,
           label: str) -> Iterator[dict[str, Any]]:
    about = galaxy.get(f"invocations/{invocation}", {"step_details": "true"})
    defined = (fetch_workflow_version(galaxy, about) if workflow is None else workflow).get("steps") or {}
    for step in about["steps"]:
        definition = defined.get(str(step["order_index"])) or {}
        version, inner = definition.get("tool_version"), step.get("subworkflow_invocation_id")
        jobs = [{"id": job["id"], "tool": job["tool_id"], "version": job.get("tool_version") or version or "",
                 "state": job["state"], "create_time": job["create_time"], "update_time": job["update_time"],
                 "exit_code": job.get("exit_code")} for job in step.get("jobs") or []]
        jobs.sort(key=lambda job: str(job["create_time"]))
        tool = jobs[0]["tool"] if jobs else definition.get("tool_id") or ""
        own = step.get("workflow_step_label") or tool or f"step {step['order_index']}"
        mapped = step.get("implicit_collection_jobs_id") or len(jobs) > 1
        made = [one["id"] for one in (step.get("output_collections") or {}).values()]
        yield {"step": f"{index}{step['order_index']}", "label": f"{label}{own}",
               "kind": definition.get("type") or ("subworkflow" if inner else "tool" if jobs else ""),
               "tool": tool, "version": version or "", "state": step["state"], "action": step.get("action"),
               "given_up": about["state"] in GIVEN_UP, "jobs": jobs, "collections": made if mapped else []}
        if inner:
            yield from _list_steps(galaxy, inner, None, f"{index}{step['order_index']}.", f"{label}{own}: ")


def count_jobs(jobs: Iterable[dict[str, Any]]) -> str:
    """Jobs by state in words, such as `3 ok, 1 error`."""
    states = Counter(job["state"] for job in jobs)
    return ", ".join(f"{count} {state}" for state, count in states.most_common())


def describe_step(step: dict[str, Any]) -> str:
    """How it stands with a step: its jobs by state, else what there is to say of one without jobs."""
    if step["jobs"]:
        return count_jobs(step["jobs"])
    if step["kind"] == "pause" and step["state"] == "scheduled":
        return "gone on with" if step["action"] else "was never gone on with" if step["given_up"] else "waits for a person"
    if step["state"] != "scheduled":
        return "not begun"
    return "no jobs" if step["kind"] == "tool" else ""


def is_finished(galaxy: Galaxy, invocation: dict[str, Any]) -> bool:
    """Whether nothing of a run will move any more; where Galaxy has given up, jobs that were made before may still run."""
    if invocation["state"] in ("scheduled", "failed"):
        summary = galaxy.get(f"invocations/{invocation['id']}/jobs_summary")
        return summary["populated_state"] in ("ok", "failed") and not set(summary["states"]) - set(TERMINAL_JOB_STATES)
    return invocation["state"] in ("completed", "cancelled")


def failure_reasons(invocation: dict[str, Any]) -> list[str]:
    """What Galaxy says of why a run did not succeed, in plain words."""
    told = []
    for message in invocation.get("messages") or []:
        words = REASONS.get(str(message.get("reason")), str(message.get("reason")))
        step, maker = message.get("workflow_step_id"), message.get("dependent_workflow_step_id")
        thing = next((str(message[name]) for name in THINGS if message.get(name)), "")
        told.append((f"step {step}: " if step is not None else "") + " ".join(words.format(thing=thing).split())
                    + (f", which step {maker} was to make" if maker is not None else "")
                    + (f" ({message['details']})" if message.get("details") else ""))
    return told


def job_elements(galaxy: Galaxy, step: dict[str, Any]) -> dict[str, str]:
    """`{job's id: identifier}` of the collection's element that each job of a mapped-over step has worked on, where Galaxy
    can tell: identifiers of nested collections are joined by /.

    Galaxy 26.1 says it nowhere of a job (`|__identifier__` is not among its params), so it is taken from the collection
    that the step has made, in two requests, and one more for each hundred jobs.
    """
    datasets = _output_identifiers(galaxy, step)
    named: dict[str, str] = {}
    for dataset, about in fetch_datasets(galaxy, list(datasets), ["creating_job"]):
        if not isinstance(about, GalaxyError) and about.get("creating_job"):
            named.setdefault(about["creating_job"], datasets[dataset])
    return named


def _output_identifiers(galaxy: Galaxy, step: dict[str, Any]) -> dict[str, str]:
    """`{dataset's id: identifier}` of what a mapped-over step has made."""
    for collection in step["collections"]:
        made = galaxy.get_or_none(f"dataset_collections/{collection}",
                                  {"instance_type": "history", "view": "element-reference"}) or {}
        datasets = dict(_iter_leaves(made.get("elements") or [], ""))
        if datasets:
            return datasets
    return {}


def _iter_leaves(members: list[dict[str, Any]], path: str) -> Iterator[tuple[str, str]]:
    for member in members:
        name, thing = path + str(member["element_identifier"]), member.get("object") or {}
        if member.get("element_type") == "dataset_collection":
            yield from _iter_leaves(thing.get("elements") or [], f"{name}/")
        elif thing.get("id"):
            yield thing["id"], name


# -------------------------------------------------------------------------------------------------------------- measured

def job_metrics(galaxy: Galaxy, invocation: str) -> dict[str, dict[str, int | None]]:
    """`{job's id: {"run_time", "start", "end", "memory"}}`, in seconds, seconds since 1970 and bytes, None for what the
    server has not measured; by one request for all jobs of the run and of its subworkflows."""
    jobs: dict[str, list[dict[str, Any]]] = {}
    for metric in galaxy.get_or_none(f"invocations/{invocation}/metrics") or []:
        jobs.setdefault(metric["job_id"], []).append(metric)
    return {job: _parse_metrics(metrics) for job, metrics in jobs.items()}


def metrics_of_job(galaxy: Galaxy, job: str) -> dict[str, int | None]:
    """`{"run_time", "start", "end", "memory"}` of one job, as `job_metrics` tells them."""
    return _parse_metrics(galaxy.get_or_none(f"jobs/{job}/metrics") or [])


def _parse_metrics(metrics: list[dict[str, Any]]) -> dict[str, int | None]:
    values = dict(NO_METRICS)
    for metric in metrics:
        with contextlib.suppress(ValueError, TypeError):
            amount = round(float(metric["raw_value"]))
            if metric["plugin"] == "core" and metric["name"] in TIMES:
                values[TIMES[metric["name"]]] = amount
            elif metric["plugin"] == "cgroup" and metric["name"] in MEMORY:
                values["memory"] = max(amount, values["memory"] or 0)
    return values


# -------------------------------------------------------------------------------------------------------------- failures

def first_failures(galaxy: Galaxy, invocation: dict[str, Any], most: int = 5,
             known: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """What failed first in an invocation, `most` of it: jobs that ended in error before those that wait for these.

    Each is `{"step", "label", "tool", "version", "element", "state", "exit_code", "stderr", "job", "address"}`: `element` is
    what the job worked on where its step is mapped over a collection; `stderr` the end of its standard error; `address`
    where a person can look at it. `known` are the invocation's `list_steps`, where they are at hand.
    """
    bad = [(step, job) for step in (list_steps(galaxy, invocation) if known is None else known) for job in step["jobs"]
           if job["state"] in FAILED_JOB_STATES]
    bad.sort(key=lambda pair: (FAILED_JOB_STATES.index(pair[1]["state"]), str(pair[1]["update_time"])))
    identifiers: dict[str, dict[str, str]] = {}
    told = []
    for step, job in bad[:most]:
        about = galaxy.get_or_none(f"jobs/{job['id']}", {"full": "true"}) or {}
        if step["step"] not in identifiers:
            identifiers[step["step"]] = _output_identifiers(galaxy, step)
        made = [one["id"] for one in (about.get("outputs") or {}).values() if one["id"] in identifiers[step["step"]]]
        told.append({"step": step["step"], "label": step["label"], "tool": job["tool"],
                     "version": about.get("tool_version") or job["version"],
                     "element": identifiers[step["step"]][made[0]] if made else None, "state": job["state"],
                     "exit_code": job["exit_code"], "stderr": job_stderr(about) or _output_message(galaxy, about),
                     "job": job["id"],
                     "address": job_url(galaxy, job["id"])})
    return told


def job_stderr(job: dict[str, Any]) -> str:
    """The last lines of the standard error of a job's tool, else of what ran the tool, as `GET /api/jobs/ID?full=true`
    tells them; what Galaxy says itself where there is neither."""
    said = next((job[name] for name in ("tool_stderr", "job_stderr", "stderr") if (job.get(name) or "").strip()), "")
    if not said and job.get("state") in FAILED_JOB_STATES:
        said = "\n".join(str(message["desc"]) for message in job.get("job_messages") or [] if message.get("desc"))
    return tail(said)


def _output_message(galaxy: Galaxy, job: dict[str, Any]) -> str:
    """What Galaxy says of the first dataset that a job was to make: of a job that was killed with Galaxy it is all there
    is (26.1)."""
    made = [one["id"] for one in (job.get("outputs") or {}).values() if one.get("src") == "hda"]
    about = galaxy.get_or_none(f"datasets/{made[0]}") if made else None
    return tail(one_line((about or {}).get("misc_info") or ""))


def tail(text: str | None) -> str:
    """The last of many lines, or of many letters."""
    return "\n".join((text or "").strip().splitlines()[-LINES:])[-LETTERS:]


def job_url(galaxy: Galaxy, job: str) -> str:
    """Where a person can look at a job in Galaxy."""
    return redact(f"{galaxy.base}/jobs/{job}/view")


# ----------------------------------------------------------------------------------------------------------------- names

def display_name(galaxy: Galaxy, path: str, thing: str) -> str | None:
    """The name of a history or of the workflow that a run's `workflow_id` means; None where we may not see it."""
    params = {"instance": "true"} if path == "workflows" else {"keys": "name"}
    about = galaxy.get_or_none(f"{path}/{thing}", params)
    return about.get("name") if about else None
