"""Failed jobs run again in place: Galaxy hands the outputs of the new job on to the jobs that were paused because of the
failed one (`rerun_remap_job_id` of POST /api/tools)."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from common import TRY_LATER, Galaxy, GalaxyError, report_error
from galaxy_api_scripts.checkpoint import Notes, find_sent, send_once
from galaxy_api_scripts.invocations.job_history import CANCELLED_JOB_STATES, RERUNNABLE_STATES, JobHistory, dataset_ids
from galaxy_api_scripts.polling import fetch_datasets

UPLOAD_TOOLS = ("__DATA_FETCH__", "upload1")


@dataclass
class RerunPlan:
    """What is needed to run a failed job again."""

    job: dict[str, Any]             # as `GET /api/jobs/ID?full=true` describes it
    request: dict[str, Any]         # for POST /api/tools
    paused: list[str]               # ids of the jobs that wait for it
    outputs: dict[str, list[Any]]   # {output's name: [whether the history shows it, its datatype]}
    earlier: list[str] = field(default_factory=list)    # ids of jobs that are equal to it and not its rerun in place


def describe_job(job: dict[str, Any]) -> str:
    """A job's name in messages."""
    return f"job {job['id']} ({job['tool_id']})"


def plan_rerun(galaxy: Galaxy, jobs: JobHistory, job_id: str, user_id: str) -> RerunPlan:
    """What is needed to run a failed job again, once all that a GET can tell says that it can be; else raises `GalaxyError`
    with the reason."""
    job = jobs.details(job_id)
    if job["tool_id"] in UPLOAD_TOOLS:
        raise GalaxyError(f"{describe_job(job)} is an upload, whose data Galaxy does not keep: upload it again")
    _require_failed(jobs, job)
    if job.get("user_id") not in (None, user_id):
        raise GalaxyError(f"{describe_job(job)} is another user's: only its owner can run it again in place")
    latest = jobs.find_replacement(job_id)
    if latest:
        hint = ": run that one again" if latest["state"] in RERUNNABLE_STATES else ""
        raise GalaxyError(f"{describe_job(job)} was run again before, as job {latest['id']} (state {latest['state']}){hint}")
    form = _fetch_form(galaxy, job)
    shown = _require_inputs(galaxy, job)
    request = {"history_id": job["history_id"], "tool_id": form["id"], "tool_version": form["version"],
               "input_format": "21.01", "inputs": {**form["state_inputs"], "rerun_remap_job_id": job_id}}
    if form.get("job_credentials_context"):
        request["credentials_context"] = form["job_credentials_context"]
    earlier = [equal["id"] for equal in jobs.find_equals(job_id)]
    return RerunPlan(job, request, jobs.find_paused([job_id])[job_id], shown, earlier)


def _require_failed(jobs: JobHistory, job: dict[str, Any]) -> None:
    state = job["state"]
    if state in RERUNNABLE_STATES:
        return
    if state == "paused":
        causes = jobs.find_causes(job["id"])
        why = f"it waits for {', '.join(f'job {cause}' for cause in causes)}: run that again" if causes else \
            "the history's page in Galaxy resumes it"
        raise GalaxyError(f"{describe_job(job)} has not failed but is paused: {why}")
    if state in CANCELLED_JOB_STATES:
        raise GalaxyError(f"{describe_job(job)} was cancelled (state {state}), and nothing waits for it any more")
    raise GalaxyError(f"{describe_job(job)} has not failed: its state is {state}")


def _fetch_form(galaxy: Galaxy, job: dict[str, Any]) -> dict[str, Any]:
    """The tool's form with the values that the job ran with (`GET /api/jobs/ID/build_for_rerun`)."""
    try:
        form: dict[str, Any] = galaxy.get(f"jobs/{job['id']}/build_for_rerun")
    except GalaxyError as error:
        if error.exit_code == TRY_LATER or error.status == 401:
            raise
        raise GalaxyError(f"{describe_job(job)} can't be run again: {error}", error.exit_code) from None
    if form.get("message"):     # Galaxy takes another version of the tool where the job's own is gone
        raise GalaxyError(f"{describe_job(job)} can't be run again as it was: {form['message']}")
    if form.get("errors"):
        problems = "; ".join(f"{name}: {problem}" for name, problem in form["errors"].items())
        raise GalaxyError(f"{describe_job(job)} can't be run again with its old values: {problems}")
    return form


def _require_inputs(galaxy: Galaxy, job: dict[str, Any]) -> dict[str, list[Any]]:
    """Raise `GalaxyError` if an input of the job is gone or has failed; return the `outputs` of its `RerunPlan`."""
    inputs, outputs = dataset_ids(job, "inputs"), {
        one["id"]: name for name, one in (job.get("outputs") or {}).items() if one["src"] == "hda"}
    settings = {}
    for dataset_id, dataset in fetch_datasets(galaxy, [*inputs, *outputs],
                                              ["name", "state", "deleted", "purged", "visible", "extension"]):
        if dataset_id in outputs:
            if isinstance(dataset, dict):
                settings[outputs[dataset_id]] = [bool(dataset.get("visible")), dataset.get("extension")]
            continue
        if isinstance(dataset, GalaxyError):
            raise GalaxyError(f"{describe_job(job)} can't be run again: its input {dataset_id} is gone: {dataset}")
        problem = next((word for word in ("purged", "deleted") if dataset.get(word)), "")
        if dataset["state"] in ("error", "discarded", "failed_metadata"):
            problem = problem or f"in state {dataset['state']}"
        if problem:
            raise GalaxyError(f"{describe_job(job)} can't be run again: its input {dataset.get('name')!r} ({dataset_id}) is "
                              f"{problem}")
    return settings


def rerun_once(galaxy: Galaxy, plan: RerunPlan, record: Notes, patient: bool = True, taken: Iterable[str] = ()) -> str:
    """Run a failed job again exactly once and return the new job's id. `record` notes the submission; for lost answers and
    `patient` see `send_once`. `taken` are the ids of the reruns of other jobs, which may be equal."""
    def send() -> str:
        try:
            answer = galaxy.post("tools", plan.request)
        except GalaxyError as error:
            raise GalaxyError(f"{describe_job(plan.job)} can't be run again: {error}", error.exit_code,
                              status=error.status, lost=error.lost) from None
        if not answer.get("jobs"):
            raise GalaxyError(f"{describe_job(plan.job)} was not run again: {answer.get('errors') or 'Galaxy made no job'}")
        return str(answer["jobs"][0]["id"])

    notes = {"known": [*plan.earlier, *taken], "outputs": plan.outputs, "paused": plan.paused}
    rerun = send_once(record, "rerun", describe_job(plan.job), find=lambda: _find_rerun(galaxy, plan.job, record), send=send,
                      prepare=lambda: notes, patient=patient)
    if rerun:
        _show_outputs(galaxy, rerun, record.data.get("outputs") or {})
    return rerun


def find_submitted_rerun(galaxy: Galaxy, job: dict[str, Any], record: Notes, patient: bool) -> str | None:
    """The id of the job that was submitted before; None if there is none, "" if it is too early to tell."""
    rerun = find_sent(record, "rerun", lambda: _find_rerun(galaxy, job, record), patient)
    if rerun:
        _show_outputs(galaxy, rerun, record.data.get("outputs") or {})
    return rerun


def _find_rerun(galaxy: Galaxy, job: dict[str, Any], record: Notes) -> str | None:
    """The first rerun that was not `known` before: it has what waited; another one would be of a request that came late."""
    equals = [equal["id"] for equal in JobHistory(galaxy, job["history_id"]).find_equals(job["id"])]
    return next((equal for equal in equals if equal not in record.data.get("known", [])), None)


def _show_outputs(galaxy: Galaxy, rerun: str, settings: dict[str, list[Any]]) -> None:
    """Let the history show a rerun's outputs as it showed the failed job's: Galaxy 26.1 hides both. Warn of a datatype that
    a step sets, which Galaxy forgets where the step is mapped over."""
    outputs = galaxy.get(f"jobs/{rerun}", {"full": "true"}).get("outputs") or {} if settings else {}
    datasets = dict(fetch_datasets(galaxy, [one["id"] for one in outputs.values()], ["visible", "extension", "state"]))
    for name, (is_visible, extension) in settings.items():
        dataset = datasets.get(outputs[name]["id"]) if name in outputs else None
        if not isinstance(dataset, dict):
            continue
        if is_visible and not dataset.get("visible"):
            galaxy.put(f"datasets/{dataset['id']}", {"visible": True})
        if dataset["state"] == "new" and dataset.get("extension") != extension:
            report_error(f"warning: dataset {dataset['id']} is {dataset.get('extension')}, the failed one was {extension}: "
                         "Galaxy does not change the datatypes of a collection's elements again")


def require_remapped(jobs: JobHistory, job_id: str, rerun: str) -> None:
    """Raise `GalaxyError` unless Galaxy has put the rerun in the failed job's place: it answers 200 where it could not
    (26.1). `jobs` are those of after the rerun's submission."""
    paused = jobs.find_paused([job_id])[job_id]
    if paused or jobs.details(job_id).get("output_collections"):
        what = f"job {paused[0]} stays paused" if paused else "a collection keeps the failed element"
        raise GalaxyError(f"{describe_job(jobs.details(job_id))} runs again as job {rerun}, but Galaxy did not put that in "
                          f"its place: {what}")
