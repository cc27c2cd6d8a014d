"""An invocation as one page of HTML: no script, nothing from elsewhere, readable without colour, on paper, on a phone.

`gather_report` collects what the page shows, in some requests for an invocation and not one for each job; `render` computes
what is drawn and fills `templates/report.html`.
"""
from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import TRY_LATER, USAGE, VERSION, Galaxy, GalaxyError, redact
from galaxy_api_scripts.datasets.collections import element_datasets
from galaxy_api_scripts.datasets.http_download import download_file
from galaxy_api_scripts.datasets.lookup import element_states, fetch_collection_or_none
from galaxy_api_scripts.files import write_output
from galaxy_api_scripts.invocations.jobs import (
    FAILED_JOB_STATES,
    INPUT_STEP_TYPES,
    describe_jobs,
    describe_step,
    failure_reasons,
    first_failures,
    history_name,
    is_finished,
    is_waiting_for_review,
    job_elements,
    job_url,
    name_of,
    step_totals,
)
from galaxy_api_scripts.invocations.page import (
    SIGNS,
    WAITING_SIGN,
    format_duration,
    format_time,
    load_template,
    make_ticks,
    parse_time,
    shorten_text,
    table,
)
from galaxy_api_scripts.invocations.replacements import load_run
from galaxy_api_scripts.polling import fetch_datasets
from galaxy_api_scripts.progress import describe_counts
from galaxy_api_scripts.releases import fetch_version
from galaxy_api_scripts.sizes import format_size

MAX_SINGLE_BARS = 50    # jobs of a step with a bar each; more share one
MAX_FAILURES = 10       # shown with their standard error
MAX_ELEMENTS = 50       # of a collection, shown by name
MAX_ASKED_ELEMENTS = 1000       # a larger collection is not asked for its elements: a kilobyte each
MAX_PARAMETER_STEPS, MAX_PARAMETERS, MAX_VALUE = 50, 100, 300       # steps, parameters of each, letters of each
FAILURE_WORDS = {"error": "failed", "failed": "failed", "paused": "is paused", "deleting": "is deleted",
                 "deleted": "is deleted", "stopped": "was stopped"}


def report_kind(path: str, option: str = "--to") -> str:
    """The kind of a report by its file's name: `.html`, `.md` or `.pdf`; a usage error for any other."""
    kind = Path(path).suffix.lower()
    if kind not in (".html", ".md", ".pdf"):
        raise GalaxyError(f"{option}={path}: a report is FILE.html, our page, or FILE.md or FILE.pdf, Galaxy's own", USAGE)
    if kind == ".html":
        load_template("report.html")        # so that a missing Jinja2 is an error before the run, not hours later
    return kind


def write_report(galaxy: Galaxy, invocation_id: str, path: str, overwrite: bool = False, option: str = "--to") -> None:
    """Write the report of an invocation: our page, or Galaxy's Markdown or PDF, by the file's name (`report_kind`)."""
    kind = report_kind(path, option)
    if kind == ".html":
        write_output(gather_report(galaxy, invocation_id), path, overwrite, option)
    elif kind == ".md":
        write_output(galaxy.get(f"invocations/{invocation_id}/report")["markdown"], path, overwrite, option)
    else:
        try:
            download_file(galaxy, f"invocations/{invocation_id}/report.pdf", Path(path),
                          label=f"invocation {invocation_id}", overwrite=overwrite)
        except GalaxyError as error:
            if error.status != 501:
                raise
            raise GalaxyError(f"{galaxy.base} makes no PDF, because its administrator has not installed weasyprint: take a "
                              "file that ends in .md or .html", status=501) from None


# ------------------------------------------------------------------------------------------------------------- gathering

def gather_report(galaxy: Galaxy, invocation_id: str) -> str:
    """The page of an invocation, as `invocation_report.py` writes it."""
    load_template("report.html")        # before anything is asked, see `report_kind`
    invocation, workflow, steps = load_run(galaxy, invocation_id)
    for step in steps:
        elements = job_elements(galaxy, step) if 1 < len(step["jobs"]) <= MAX_SINGLE_BARS else {}
        for job in step["jobs"]:
            job.update(element=elements.get(job["id"]), address=job_url(galaxy, job["id"]))
    base = redact(galaxy.base)
    stored = workflow.get("id")     # of the workflow, where the invocation has the id of its version
    return render({
        "workflow_version": workflow.get("version"), "galaxy": fetch_version(galaxy),
        "workflow_address": f"{base}/published/workflow?id={stored}" if stored else "",
        "changes": _changed_parameters(galaxy, invocation_id), "parameters": _step_parameters(galaxy, steps),
        "id": invocation["id"], "address": f"{base}/workflows/invocations/{invocation['id']}", "server": base,
        "workflow": name_of(workflow) or "A workflow",
        "history": history_name(galaxy, invocation["history_id"]),
        "history_address": f"{base}/histories/view?id={invocation['history_id']}", "state": invocation["state"],
        "is_finished": is_finished(galaxy, invocation), "create_time": invocation["create_time"],
        "update_time": invocation["update_time"], "messages": failure_reasons(invocation), "steps": steps,
        "failures": first_failures(galaxy, invocation, MAX_FAILURES, steps),
        "inputs": _describe_values(galaxy, base, list(_iter_inputs(invocation))),
        "outputs": _describe_values(galaxy, base, list(_iter_outputs(invocation))), "now": time.time()})


def _changed_parameters(galaxy: Galaxy, invocation_id: str) -> list[dict[str, Any]]:
    """A row for each value that this run had in place of the workflow's own: `{"step", "name", "value"}`. [] of Galaxy 24.1,
    which does not tell."""
    try:
        request = galaxy.get_or_none(f"invocations/{invocation_id}/request") or {}
    except GalaxyError as error:
        if error.exit_code == TRY_LATER or error.status == 401:
            raise
        request = {}        # 26.1 has an error 400 or 500 for some older runs
    rows = [{"step": step, "name": name, "value": value} for step, values in (request.get("parameters") or {}).items()
            if isinstance(values, dict) for name, value in values.items()]
    return rows + [{"step": "", "name": f"${{{name}}}", "value": value}
                   for name, value in (request.get("replacement_params") or {}).items()]


def _step_parameters(galaxy: Galaxy, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each step ran with, `{"step", "label", "values"}`: of a mapped-over step its first job. A value is `{"text",
    "depth", "value"}`, as Galaxy shows it on the job's page."""
    rows = []
    for step in [step for step in steps if step["jobs"]][:MAX_PARAMETER_STEPS]:
        try:
            shown = galaxy.get_or_none(f"jobs/{step['jobs'][0]['id']}/parameters_display") or {}
        except GalaxyError as error:
            if error.exit_code == TRY_LATER or error.status == 401:
                raise
            shown = {}      # an error 500 if the tool is gone, for one: the page has the rest
        values = [{"text": one.get("text") or "", "depth": min(max(int(one.get("depth") or 1), 1), 6) - 1,
                   "value": _parameter_words(one.get("value"))} for one in shown.get("parameters") or []]
        if values:
            rows.append({"step": step["step"], "label": step["label"], "values": values[:MAX_PARAMETERS],
                         "more": max(len(values) - MAX_PARAMETERS, 0)})
    return rows


def _parameter_words(value: Any) -> str:
    """A parameter's value as a text: of datasets their names."""
    if isinstance(value, list):
        return ", ".join(_parameter_words(one) for one in value)
    if isinstance(value, dict):
        hid = f"{value['hid']}: " if value.get("hid") else ""
        value = f"{hid}{value['name']}" if value.get("name") else value.get("id") or json.dumps(value)
    return "" if value is None else shorten_text(value, MAX_VALUE)


def _iter_inputs(invocation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for index, dataset in (invocation.get("inputs") or {}).items():
        yield {"label": dataset.get("label") or f"step {index}", **dataset}
    for label, parameter in (invocation.get("input_step_parameters") or {}).items():
        yield {"label": parameter.get("label") or label, "src": "parameter", "value": parameter.get("parameter_value")}


def _iter_outputs(invocation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for label, output in {**(invocation.get("outputs") or {}), **(invocation.get("output_collections") or {})}.items():
        yield {**output, "label": label}
    for label, value in (invocation.get("output_values") or {}).items():
        yield {"label": label, "src": "parameter", "value": value}


def _describe_values(galaxy: Galaxy, base: str, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A table's row for each input or output, as far as this key may see it: `label`, `name`, `what`, `state`, `address`."""
    ids = [value["id"] for value in values if value["src"] == "hda"]
    datasets = dict(fetch_datasets(galaxy, ids, ["name", "state", "extension", "file_size", "deleted", "purged"]))
    rows = []
    for value in values:
        row: dict[str, Any] = {"label": value["label"], "name": None, "what": value["src"], "state": "", "address": "",
                               "elements": [], "more": 0}
        if value["src"] == "parameter":
            row.update(name=str(value["value"]))
        elif value["src"] == "hda":
            dataset = datasets.get(value["id"])
            row.update(name=value["id"], what="dataset", address=f"{base}/datasets/{value['id']}")
            if dataset is not None and not isinstance(dataset, GalaxyError):
                removal = next((word for word in ("purged", "deleted") if dataset.get(word)), "")
                row.update(name=dataset.get("name"), state=", ".join(filter(None, [str(dataset.get("state")), removal])),
                           what=f"{dataset.get('extension')}, {format_size(dataset.get('file_size'))}")
        elif value["src"] == "hdca":
            collection = fetch_collection_or_none(galaxy, value["id"]) or {}
            if "elements" not in collection and 0 < (collection.get("element_count") or 0) <= MAX_ASKED_ELEMENTS:
                collection = {**(galaxy.get_or_none(f"dataset_collections/{value['id']}") or {}), **collection}
            row.update(name=collection.get("name") or value["id"], address=f"{base}/collection/{value['id']}/edit",
                       what=f"{collection.get('collection_type', 'collection')} of {collection.get('element_count', '?')}",
                       state="deleted" if collection.get("deleted") else describe_counts(element_states(collection)),
                       **_describe_elements(base, collection))
        rows.append(row)
    return rows


def _describe_elements(base: str, collection: dict[str, Any]) -> dict[str, Any]:
    """The first `elements` of a collection, `{"name", "address", "what"}`, and how many `more` there are."""
    datasets = list(element_datasets(collection.get("elements") or []))
    return {"more": max(len(datasets) - MAX_ELEMENTS, 0), "elements": [{
        "name": "/".join(map(str, identifiers)), "address": f"{base}/datasets/{dataset['id']}",
        "what": ", ".join([str(dataset.get("file_ext")), format_size(dataset.get("file_size")),
                           *([] if dataset.get("state") == "ok" else [str(dataset.get("state"))])])}
        for identifiers, dataset in datasets[:MAX_ELEMENTS] if dataset.get("id")]}


# ------------------------------------------------------------------------------------------------------------- rendering

def render(run: dict[str, Any]) -> str:
    """The page of what `gather_report` has gathered."""
    jobs = [job for step in run["steps"] for job in step["jobs"]]
    failed = sum(job["state"] in FAILED_JOB_STATES for job in jobs)
    begin, end = _time_span(run, jobs)
    finished, verdict = run["is_finished"], _verdict(run, failed)
    for failure in run["failures"]:
        failure.update(tool=f"{failure['tool']} {failure['version'] or ''}".strip(),
                       end=FAILURE_WORDS.get(failure["state"], f"ended in state {failure['state']}"), sign=_sign([failure]))
    return str(load_template("report.html").render(
        workflow=run["workflow"], verdict=verdict, messages=run["messages"], failures=run["failures"],
        more_failures=failed - len(run["failures"]), version=VERSION, made=format_time(run["now"]),
        facts=[("History", run["history"], run["history_address"]), ("Server", run["server"], run["server"]),
               ("Invocation", run["id"], run["address"]), *_workflow_fact(run), ("Galaxy", run["galaxy"] or "unknown", ""),
               ("Jobs", describe_jobs(jobs) or "none", ""),
               ("Began", format_time(begin), ""), ("Ended" if finished else "Last change", format_time(end), ""),
               ("Took" if finished else "So far", format_duration(end - begin), "")],
        timeline=_timeline(run["steps"], begin, end if finished else max(end, run["now"])),
        changes=table({"step": "Step", "name": "Parameter", "value": "Value"}, run["changes"]), parameters=run["parameters"],
        steps=table({"step": "Step", "label": "Label", "tool": "Tool", "jobs": "Jobs", "run_time": "Run time",
                      "memory": "Memory"},
                     [_step_row(step) for step in run["steps"] if step["kind"] not in INPUT_STEP_TYPES]),
        **{f"{noun}s": table({"label": noun.capitalize(), "name": "Name", "what": "What", "state": "State"},
                              run[f"{noun}s"]) for noun in ("input", "output")}))


def _workflow_fact(run: dict[str, Any]) -> list[tuple[str, str, str]]:
    version = "" if run["workflow_version"] is None else f", version {run['workflow_version']}"
    return [("Workflow", f"{run['workflow']}{version}", run["workflow_address"])] if run["workflow_address"] else []


def _verdict(run: dict[str, Any], failed: int) -> dict[str, str]:
    """The state of a run in a line for people: `words`, the `sign` before them, and the `kind` of their colour."""
    jobs = f"{failed} job{'s' if failed > 1 else ''}"
    if run["state"] in ("cancelled", "cancelling"):
        words, state = run["state"].capitalize(), "deleted"
    elif failed:
        words, state = f"{'Failed:' if run['is_finished'] else 'Still under way;'} {jobs} did not end well", "error"
    elif run["state"] == "failed":
        words, state = "Failed", "error"
    elif run["is_finished"]:
        words, state = "Ended well", "ok"
    elif any(is_waiting_for_review(step) for step in run["steps"]):
        words, state = "Waiting for review", "paused"
    else:
        words, state = "Still under way", "running"
    kind = "error" if failed or run["state"] == "failed" else "ok" if state == "ok" else "other"
    return {"words": words, "sign": SIGNS[state], "kind": kind}


def _time_span(run: dict[str, Any], jobs: list[dict[str, Any]]) -> tuple[float, float]:
    """When a run began, and the last change known of it. Its jobs may be older: Galaxy can reuse another run's job."""
    begin = parse_time(run["create_time"])
    changes = [parse_time(job["update_time"]) for job in jobs]
    if not run["is_finished"] or not jobs:
        changes.append(parse_time(run["update_time"]))
    return begin, max(begin, *changes)


def _timeline(steps: list[dict[str, Any]], begin: float, end: float) -> dict[str, Any]:
    """The marks of the time line and a row for each step with jobs; where they are not many, with a row for each job."""
    span = max(end - begin, 1)
    rows = []
    for step in steps:
        jobs, members = step["jobs"], []
        if 1 < len(jobs) <= MAX_SINGLE_BARS:
            members = [{**_timeline_row([job], begin, span, end), "label": job["element"] or job["id"],
                        "address": job["address"]} for job in jobs]
        if jobs:
            has_failed = any(job["state"] in FAILED_JOB_STATES for job in jobs)
            rows.append({**_timeline_row(jobs, begin, span, end), "step": step["step"], "label": step["label"],
                         "jobs": members, "is_open": has_failed or len(jobs) <= 8})
    return {**make_ticks(span), "rows": rows}


def _timeline_row(jobs: list[dict[str, Any]], begin: float, span: float, end: float) -> dict[str, Any]:
    """The bars of one job, or of several together, and a thin line before them while they waited; in percent of the span."""
    times = [job_times(job, end) for job in jobs]
    created, start, stop = (min(max((moment - begin) / span * 100, 0), 100) for moment in (
        min(time[0] for time in times), min(time[1] for time in times), max(time[2] for time in times)))
    kinds = Counter(job["state"] if job["state"] in ("ok", "paused") else
                    "error" if job["state"] in FAILED_JOB_STATES else "other" for job in jobs)
    shares = {kind: max(kinds[kind] / len(jobs), .3) for kind in ("ok", "other", "paused", "error") if kinds[kind]}
    bars, top = [], 0.0
    for kind, share in shares.items():      # one above the other, as thick as they are many, but thick enough to be seen
        height = share / sum(shares.values()) * 100
        bars.append({"kind": kind, "top": top, "height": height})
        top += height
    run_times = [job["run_time"] for job in jobs if job.get("run_time") is not None]
    words = [jobs[0]["state"] if len(jobs) == 1 else describe_jobs(jobs)]
    if run_times:
        shortest, longest = format_duration(min(run_times)), format_duration(max(run_times))
        words.append(f"{shortest} to {longest}" if min(run_times) != max(run_times) else
                     f"{shortest} each" if len(jobs) > 1 else shortest)
    return {"wait": {"left": created, "width": max(start - created, 0)}, "left": min(start, 99.2),
            "width": max(stop - start, 0.8), "bars": bars, "sign": _sign(jobs), "words": ", ".join(words), "address": ""}


def job_times(job: dict[str, Any], end: float) -> tuple[float, float, float]:
    """When a job was created, started and ended, in seconds since 1970. The last two are the server's measurements, in whole
    seconds of the clock of the machine that ran it, or else the time of its last change in Galaxy."""
    created, changed = parse_time(job["create_time"]), parse_time(job["update_time"])
    if job.get("start") is not None and job.get("end") is not None:
        return created, max(job["start"], created), max(job["end"], job["start"], created)
    if job["state"] in ("ok", "error", "failed"):
        return created, created, changed
    return created, changed, end if job["state"] == "running" else changed


def _sign(jobs: list[dict[str, Any]]) -> str:
    """The shape of the worst state."""
    states = [job["state"] for job in jobs]
    if set(states) - {*SIGNS}:
        return WAITING_SIGN
    return SIGNS[next((state for state in (*FAILED_JOB_STATES, "running") if state in states),
                      states[0] if len(set(states)) == 1 else "ok")]


def _step_row(step: dict[str, Any]) -> dict[str, Any]:
    jobs, (run_time, memory) = step["jobs"], step_totals(step)
    return {"step": step["step"], "label": step["label"],
            "tool": f"{step['tool']} {step['version']}" if step["tool"] else step["kind"],
            "sign": _sign(jobs) if len(jobs) == 1 else "",
            "jobs": jobs[0]["state"] if len(jobs) == 1 else describe_step(step),
            "run_time": "" if run_time is None else format_duration(run_time),
            "memory": "" if memory is None else format_size(memory)}
