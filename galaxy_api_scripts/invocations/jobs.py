"""The steps and jobs of an invocation: what they are, how long they took, which failed first."""
from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from common import NON_TERMINAL_JOB_STATES, TERMINAL_JOB_STATES, TRY_LATER, Galaxy, GalaxyError, one_line, redact
from galaxy_api_scripts import releases
from galaxy_api_scripts.polling import fetch_datasets, iter_terminal
from galaxy_api_scripts.progress import describe_counts

SUCCESS_STATES = {"ok", "skipped"}
# The other ends of a job, causes before their effects: a job that fails pauses those that take its output.
FAILED_JOB_STATES = ("error", "failed", "deleted", "deleting", "stopped", "paused")
GIVEN_UP_STATES = ("failed", "cancelling", "cancelled")     # of invocations that make no more jobs
INPUT_STEP_TYPES = ("data_input", "data_collection_input", "parameter_input")
# Names in Galaxy's job metrics: the peak of memory (plugin cgroup, bytes) and the times (plugin core, seconds).
MEMORY_METRICS = ("memory.peak", "memory.memsw.max_usage_in_bytes", "memory.max_usage_in_bytes")
TIME_METRICS = {"runtime_seconds": "run_time", "start_epoch": "start", "end_epoch": "end"}
NO_METRICS: dict[str, int | None] = {"run_time": None, "start": None, "end": None, "memory": None}
# From Galaxy 26.1's schema (CancelReason, FailureReason, WarningReason).
REASONS = {
    "user_request": "a user cancelled it", "history_deleted": "its history {thing} was deleted",
    "cancelled_on_review": "a reviewer stopped it", "dataset_failed": "dataset {thing} has failed",
    "collection_failed": "collection {thing} has failed", "job_failed": "job {thing} has failed",
    "output_not_found": "output {thing} does not exist", "expression_evaluation_failed": "an expression has no value",
    "when_not_boolean": "its condition is neither true nor false", "unexpected_failure": "Galaxy failed unexpectedly",
    "workflow_parameter_invalid": "a parameter is not valid", "step_input_deleted": "its input {thing} is deleted",
    "workflow_output_not_found": "warning: the workflow's output {thing} was not made",
}
REASON_SUBJECTS = ("hda_id", "hdca_id", "job_id", "history_id", "output_name")
TAIL_LINES, TAIL_LETTERS = 20, 2000
LISTED = 10     # more jobs than this are asked for by the list of their history's, fewer one by one


# ----------------------------------------------------------------------------------------------------------------- steps

def fetch_workflow_version(galaxy: Galaxy, workflow_id: str) -> dict[str, Any]:
    """The version of a workflow that an invocation ran (its `workflow_id`), with its name, and steps by index; {} where this
    key may not see it."""
    try:
        return galaxy.get_or_none(f"workflows/{workflow_id}", {"instance": "true"}) or {}
    except GalaxyError as error:
        if error.status != 500:     # Galaxy 26.1's answer where a step is a pick_value
            raise
        return galaxy.get_or_none(f"workflows/{workflow_id}/download", {"instance": "true", "style": "ga"}) or {}


def name_of(about: dict[str, Any]) -> str | None:
    """The name of what Galaxy describes; None where this key may not see it ({})."""
    if about and not isinstance(about["name"], str):
        raise GalaxyError(f"{getattr(about, 'request', '')}: the answer has no name that is a text")
    return about["name"] if about else None


def list_steps(galaxy: Galaxy, invocation: dict[str, Any], workflow: dict[str, Any] | None = None,
               known: dict[str, dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Every step of an invocation in the workflow's order, the steps of a subworkflow right after its own step.

    Each is `{"step": "1.2", "label": "tidy: column", "kind": "tool", "tool", "version", "state", "jobs", "action",
    "given_up", "collections"}`. Indices and labels start with those of the enclosing steps. `kind` is one of
    INPUT_STEP_TYPES, tool, subworkflow or pause, "" where this key may not see the workflow. `action` is true once somebody
    resumed a pause, `given_up` where the invocation makes no more jobs. `collections` are the ids of the output collections
    of a mapped-over step. A job is `{"id", "tool", "version", "state", "create_time", "update_time", "exit_code"}`.

    Takes two requests for each (sub)workflow, however many jobs there are; one less if `workflow`, the answer of
    `fetch_workflow_version`, is passed, and for each that `known`, `{id of a version: that answer}`, holds by now.
    """
    known = {} if known is None else known
    detailed = fetch_detailed(galaxy, invocation["id"])
    if workflow is not None:
        known = {**known, detailed["workflow_id"]: workflow}
    return list_detailed_steps(galaxy, detailed, known)


def fetch_detailed(galaxy: Galaxy, invocation_id: str) -> dict[str, Any]:
    """An invocation with the jobs of its steps."""
    return dict(galaxy.get(f"invocations/{invocation_id}", {"step_details": "true"}))


def list_detailed_steps(galaxy: Galaxy, invocation: dict[str, Any], known: dict[str, dict[str, Any]]
                        ) -> list[dict[str, Any]]:
    """`list_steps` of an answer of `fetch_detailed`; what is asked for of workflows stays in `known`."""
    return list(_iter_steps(galaxy, invocation, known, "", ""))


def _iter_steps(galaxy: Galaxy, invocation: dict[str, Any], known: dict[str, dict[str, Any]], index_prefix: str,
                label_prefix: str) -> Iterator[dict[str, Any]]:
    if invocation["workflow_id"] not in known:
        known[invocation["workflow_id"]] = fetch_workflow_version(galaxy, invocation["workflow_id"])
    definitions = known[invocation["workflow_id"]].get("steps") or {}
    for step in invocation["steps"]:
        definition = definitions.get(str(step["order_index"])) or {}
        version, subworkflow = definition.get("tool_version"), step.get("subworkflow_invocation_id")
        jobs = [{"id": job["id"], "tool": job["tool_id"], "version": job.get("tool_version") or version or "",
                 "state": job["state"], "create_time": job["create_time"], "update_time": job["update_time"],
                 "exit_code": job.get("exit_code")} for job in step.get("jobs") or []]
        jobs.sort(key=lambda job: str(job["create_time"]))
        tool = jobs[0]["tool"] if jobs else definition.get("tool_id") or ""
        index = f"{index_prefix}{step['order_index']}"
        label = label_prefix + str(step.get("workflow_step_label") or tool or f"step {step['order_index']}")
        is_mapped = step.get("implicit_collection_jobs_id") or len(jobs) > 1
        collections = [output["id"] for output in (step.get("output_collections") or {}).values()]
        yield {"step": index, "label": label,
               "kind": definition.get("type") or ("subworkflow" if subworkflow else "tool" if jobs else ""),
               "tool": tool, "version": version or "", "state": step["state"], "action": step.get("action"),
               "given_up": invocation["state"] in GIVEN_UP_STATES, "jobs": jobs,
               "collections": collections if is_mapped else []}
        if subworkflow:
            yield from _iter_steps(galaxy, fetch_detailed(galaxy, subworkflow), known, f"{index}.", f"{label}: ")


def describe_jobs(jobs: Iterable[dict[str, Any]]) -> str:
    """Jobs by state in words, such as `3 ok, 1 error`."""
    return describe_counts(Counter(job["state"] for job in jobs))


def describe_step(step: dict[str, Any]) -> str:
    """The progress of a step in words: its jobs by state, else what can be said of one without jobs."""
    if step["jobs"]:
        return describe_jobs(step["jobs"])
    if is_waiting_for_review(step):
        return "waiting for review"
    if step["state"] != "scheduled":
        return "not started"
    if step["kind"] == "pause":
        return "resumed" if step["action"] else "never resumed"
    return "no jobs" if step["kind"] == "tool" else ""


def step_totals(step: dict[str, Any]) -> tuple[int | None, int | None]:
    """The run time of a step's jobs together (seconds) and the largest memory of one (bytes); None where not measured."""
    run_times, memory = ([job[name] for job in step["jobs"] if job.get(name) is not None] for name in ("run_time", "memory"))
    return sum(run_times) if run_times else None, max(memory, default=None)


def is_waiting_for_review(step: dict[str, Any]) -> bool:
    """Whether a step is a pause that somebody has to resume."""
    return step["kind"] == "pause" and step["state"] == "scheduled" and not step["action"] and not step["given_up"]


def is_finished(galaxy: Galaxy, invocation: dict[str, Any]) -> bool:
    """Whether nothing of an invocation can move any more. One that has failed may still have jobs running."""
    if invocation["state"] in ("scheduled", "failed"):
        summary = galaxy.get(f"invocations/{invocation['id']}/jobs_summary")
        states = {*summary["states"], *subworkflow_jobs(galaxy, invocation)}
        return summary["populated_state"] in ("ok", "failed") and not states - set(TERMINAL_JOB_STATES)
    return invocation["state"] in ("completed", "cancelled")


def subworkflow_jobs(galaxy: Galaxy, invocation: dict[str, Any]) -> Counter[str]:
    """How many jobs of an invocation's subworkflows are in each state, where `GET .../jobs_summary` of the invocation leaves
    them out (Galaxy 25.1 and older); one that is still making jobs counts as a new job."""
    states: Counter[str] = Counter()
    inner = [step["subworkflow_invocation_id"] for step in invocation.get("steps") or []
             if step.get("subworkflow_invocation_id")]
    if inner and not releases.supports(galaxy, releases.SUBWORKFLOW_JOBS):
        for one in inner:
            summary = galaxy.get(f"invocations/{one}/jobs_summary")
            states.update({**summary["states"], **({"new": 1} if summary["populated_state"] == "new" else {})})
            states.update(subworkflow_jobs(galaxy, galaxy.get(f"invocations/{one}")))
    return states


def failure_reasons(invocation: dict[str, Any]) -> list[str]:
    """Galaxy's messages on why an invocation did not succeed, in plain words."""
    reasons = []
    for message in invocation.get("messages") or []:
        words = REASONS.get(str(message.get("reason")), str(message.get("reason")))
        step, source = message.get("workflow_step_id"), message.get("dependent_workflow_step_id")
        subject = next((str(message[name]) for name in REASON_SUBJECTS if message.get(name)), "")
        reasons.append((f"step {step}: " if step is not None else "") + " ".join(words.format(thing=subject).split())
                       + (f", an output of step {source}" if source is not None else "")
                       + (f" ({message['details']})" if message.get("details") else ""))
    return reasons


def job_elements(galaxy: Galaxy, step: dict[str, Any]) -> dict[str, str]:
    """`{job id: element identifier}` of the jobs of a mapped-over step, as far as Galaxy can tell; the identifiers of
    nested collections are joined by `/`.

    Galaxy 26.1 has no route from a job to its element (`|__identifier__` is not among its params), so the identifiers come
    from the step's output collection: two requests, and one more for each hundred jobs.
    """
    identifiers = _output_identifiers(galaxy, step)
    elements: dict[str, str] = {}
    for dataset_id, dataset in fetch_datasets(galaxy, list(identifiers), ["creating_job"]):
        if not isinstance(dataset, GalaxyError) and dataset.get("creating_job"):
            elements.setdefault(dataset["creating_job"], identifiers[dataset_id])
    return elements


def _output_identifiers(galaxy: Galaxy, step: dict[str, Any]) -> dict[str, str]:
    """`{dataset id: element identifier}` in the first output collection of a mapped-over step that has any."""
    for collection_id in step["collections"]:
        collection = galaxy.get_or_none(f"dataset_collections/{collection_id}",
                                        {"instance_type": "history", "view": "element-reference"}) or {}
        identifiers = dict(_iter_leaves(collection.get("elements") or [], ""))
        if identifiers:
            return identifiers
    return {}


def _iter_leaves(elements: list[dict[str, Any]], prefix: str) -> Iterator[tuple[str, str]]:
    for element in elements:
        identifier, member = prefix + str(element["element_identifier"]), element.get("object") or {}
        if element.get("element_type") == "dataset_collection":
            yield from _iter_leaves(member.get("elements") or [], f"{identifier}/")
        elif member.get("id"):
            yield member["id"], identifier


# --------------------------------------------------------------------------------------------------------------- metrics

def job_metrics(galaxy: Galaxy, invocation_id: str, jobs: list[str]) -> dict[str, dict[str, int | None]]:
    """`{job id: {"run_time", "start", "end", "memory"}}` in seconds, seconds since 1970 and bytes, None for what the server
    does not measure; one request for all `jobs` of an invocation and its subworkflows, but of Galaxy 24.1 one for each."""
    metrics: dict[str, list[dict[str, Any]]] = {}
    try:
        answer = galaxy.get(f"invocations/{invocation_id}/metrics")
    except GalaxyError as error:
        if error.status not in (400, 403, 404):
            raise
        if error.status == 404 and releases.learn_lacking(galaxy, releases.INVOCATION_METRICS):
            return {job: metrics_of_job(galaxy, job) for job in jobs}
        answer = []
    for metric in answer:
        metrics.setdefault(metric["job_id"], []).append(metric)
    return {job: _parse_metrics(of_job) for job, of_job in metrics.items()}


def metrics_of_job(galaxy: Galaxy, job_id: str) -> dict[str, int | None]:
    """`{"run_time", "start", "end", "memory"}` of one job, in the units of `job_metrics`."""
    return _parse_metrics(galaxy.get_or_none(f"jobs/{job_id}/metrics") or [])


def _parse_metrics(metrics: list[dict[str, Any]]) -> dict[str, int | None]:
    values = dict(NO_METRICS)
    for metric in metrics:
        with contextlib.suppress(ValueError, TypeError):
            amount = round(float(metric["raw_value"]))
            if metric["plugin"] == "core" and metric["name"] in TIME_METRICS:
                values[TIME_METRICS[metric["name"]]] = amount
            elif metric["plugin"] == "cgroup" and metric["name"] in MEMORY_METRICS:
                values["memory"] = max(amount, values["memory"] or 0)
    return values


# -------------------------------------------------------------------------------------------------------------- failures

def first_failures(galaxy: Galaxy, invocation: dict[str, Any], limit: int = 5,
                   steps: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The first failures of an invocation, `limit` of them: jobs in error before the jobs that are paused because of these.

    Each is `{"step", "label", "tool", "version", "element", "state", "exit_code", "stderr", "job", "address"}`: `element`
    is the identifier that a mapped-over job worked on, `stderr` the end of its standard error, `address` its page in Galaxy.
    Pass `steps`, the result of `list_steps`, to save these requests.
    """
    failed = [(step, job) for step in (list_steps(galaxy, invocation) if steps is None else steps) for job in step["jobs"]
              if job["state"] in FAILED_JOB_STATES]
    failed.sort(key=lambda pair: (FAILED_JOB_STATES.index(pair[1]["state"]), str(pair[1]["update_time"])))
    identifiers: dict[str, dict[str, str]] = {}
    failures = []
    for step, job in failed[:limit]:
        details = galaxy.get_or_none(f"jobs/{job['id']}", {"full": "true"}) or {}
        if step["step"] not in identifiers:
            identifiers[step["step"]] = _output_identifiers(galaxy, step)
        elements = [identifiers[step["step"]][output["id"]] for output in (details.get("outputs") or {}).values()
                    if output["id"] in identifiers[step["step"]]]
        failures.append({
            "step": step["step"], "label": step["label"], "tool": job["tool"],
            "version": details.get("tool_version") or job["version"], "element": elements[0] if elements else None,
            "state": job["state"], "exit_code": job["exit_code"],
            "stderr": job_stderr(details) or _output_message(galaxy, details), "job": job["id"],
            "address": job_url(galaxy, job["id"])})
    return failures


def job_stderr(job: dict[str, Any]) -> str:
    """The last lines of the tool's standard error, else of the job script's, in a job of `GET /api/jobs/ID?full=true`;
    Galaxy's own messages if both are empty."""
    text = next((job[name] for name in ("tool_stderr", "job_stderr", "stderr") if (job.get(name) or "").strip()), "")
    if not text and job.get("state") in FAILED_JOB_STATES:
        text = "\n".join(str(message["desc"]) for message in job.get("job_messages") or [] if message.get("desc"))
    return tail(text)


def _output_message(galaxy: Galaxy, job: dict[str, Any]) -> str:
    """Galaxy's message on the first output of a job: all there is of a job that was killed with Galaxy (26.1)."""
    outputs = [output["id"] for output in (job.get("outputs") or {}).values() if output.get("src") == "hda"]
    dataset = galaxy.get_or_none(f"datasets/{outputs[0]}") if outputs else None
    return tail(one_line((dataset or {}).get("misc_info") or ""))


def tail(text: str | None) -> str:
    """The last TAIL_LINES lines of a text, and of these the last TAIL_LETTERS letters."""
    return "\n".join((text or "").strip().splitlines()[-TAIL_LINES:])[-TAIL_LETTERS:]


def job_url(galaxy: Galaxy, job_id: str) -> str:
    """The address of a job's page in Galaxy."""
    return redact(f"{galaxy.base}/jobs/{job_id}/view")


def history_name(galaxy: Galaxy, history_id: str) -> str | None:
    """The history's name; None where this key may not see it."""
    name = name_of(galaxy.get_or_none(f"histories/{history_id}", {"keys": "name"}) or {})
    return None if name is None else str(name)


# ---------------------------------------------------------------------------------------------------------- many by id

def iter_ended_jobs(galaxy: Galaxy, ids: list[str], timeout: float | None, codes: list[int]) -> Iterator[dict[str, Any]]:
    """Yield each of these jobs as soon as it has ended, well or badly; see `polling.iter_terminal` for `codes`."""
    return iter_terminal(galaxy, ids, timeout, codes, fetch=lambda unknown: fetch_jobs(galaxy, unknown),
                         list_moving=lambda history: list_jobs(galaxy, history, state=list(NON_TERMINAL_JOB_STATES)),
                         non_terminal=NON_TERMINAL_JOB_STATES, success=SUCCESS_STATES,
                         describe_failure=lambda job: describe_job_failure(galaxy, job))


def fetch_jobs(galaxy: Galaxy, ids: list[str]) -> Iterator[tuple[str, dict[str, Any] | GalaxyError]]:
    """Yield each of `ids` with its job, or the `GalaxyError` that says why there is none; many of a history by a request or
    two."""
    known: dict[str, dict[str, Any]] = {}
    histories = set()
    for job_id in ids:
        job: Any = known.get(job_id.lower())
        if not job:
            try:
                job = galaxy.get(f"jobs/{job_id}")
            except GalaxyError as error:
                if error.exit_code == TRY_LATER or error.status == 401:
                    raise
                job = GalaxyError(f"job {job_id}: {error}", error.exit_code)
            else:
                if len(ids) > LISTED and job["history_id"] not in histories:
                    histories.add(job["history_id"])
                    known.update(list_jobs(galaxy, job["history_id"]))
        yield job_id, job


def list_jobs(galaxy: Galaxy, history: str | None, **only: Any) -> dict[str, dict[str, Any]]:
    """`{id: job}` of a history's jobs; {} if we may not list them."""
    try:
        return {job["id"]: job for job in galaxy.pages("jobs", {"history_id": history, **only})} if history else {}
    except GalaxyError as error:
        if error.status != 403:
            raise
        return {}       # another user's history, of which only this job is shared


def describe_job_failure(galaxy: Galaxy, job: dict[str, Any]) -> str:
    """What to say of a job that has not ended well."""
    page = job_url(galaxy, job["id"])
    if job["state"] == "paused":
        return (f"job {job['id']} ({job['tool_id']}) is paused and won't go on by itself, mostly because one of its inputs "
                f"has failed; see {page}")
    lines = job_stderr(galaxy.get_or_none(f"jobs/{job['id']}", {"full": "true"}) or {}).splitlines()
    code = f", exit code {job['exit_code']}" if job.get("exit_code") is not None else ""
    return (f"job {job['id']} ({job['tool_id']}) ended in state {job['state']}{code}: "
            f"{lines[-1][:200] if lines else 'Galaxy does not say why'}; see {page}")
