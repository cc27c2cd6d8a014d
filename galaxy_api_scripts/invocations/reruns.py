"""Failed jobs run again in place: Galaxy hands the outputs of the new job on to the jobs that were paused because of the
failed one (`rerun_remap_job_id` of POST /api/tools).

Galaxy 26.1 keeps no link from a failed job to the one that replaced it, and the step of a run that is not mapped over keeps
the failed one for good. But a rerun has the same tool, inputs and parameters, is newer, and lacks the mark that each job of
a workflow has (`__workflow_invocation_uuid__` among its parameters), so it is found by these.
"""
from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from common import TERMINAL_JOB_STATES, TRY_LATER, Galaxy, GalaxyError, report_error
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Notes
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, list_jobs, list_steps
from galaxy_api_scripts.polling import fetch_datasets

RERUNNABLE_STATES = ("error", "failed")
UPLOAD_TOOLS = ("__DATA_FETCH__", "upload1")
WORKFLOW_MARK = "__workflow_invocation_uuid__"      # a parameter that only the jobs of workflows have
MAX_SUBMISSIONS = 3         # where each answer is lost and no rerun appears


class JobHistory:
    """The jobs of one history: which one replaced which, and which are paused because of which. Each is asked for once."""

    def __init__(self, galaxy: Galaxy, history_id: str):
        self.galaxy = galaxy
        self.jobs = sorted(list_jobs(galaxy, history_id).values(), key=lambda job: str(job["create_time"]))
        self._details: dict[str, dict[str, Any]] = {}

    def details(self, job_id: str) -> dict[str, Any]:
        """A job as `GET /api/jobs/ID?full=true` describes it."""
        if job_id not in self._details:
            self._details[job_id] = self.galaxy.get(f"jobs/{job_id}", {"full": "true"})
        return self._details[job_id]

    def find_reruns(self, job_id: str) -> list[dict[str, Any]]:
        """The jobs that have run the failed one again, the oldest first."""
        failed = self.details(job_id)
        return [job for job in self.jobs
                if job["tool_id"] == failed["tool_id"] and str(job["create_time"]) > str(failed["create_time"])
                and WORKFLOW_MARK not in self.details(job["id"])["params"]
                and _identity(self.details(job["id"])) == _identity(failed)]

    def find_replacement(self, job_id: str) -> dict[str, Any] | None:
        """The job that stands for the failed one now: the first rerun that succeeded, else the last; None without any."""
        reruns = self.find_reruns(job_id)
        good = [job for job in reruns if job["state"] in SUCCESS_STATES]
        return next(iter([*good, *reruns[::-1]]), None)

    def find_paused(self, job_ids: Iterable[str]) -> dict[str, list[str]]:
        """`{job id: ids of the paused jobs that wait for its outputs, or for those of one that does}`."""
        paused = [self.details(job["id"]) for job in self.jobs if job["state"] == "paused"]
        waiting = {}
        for job_id in job_ids:
            outputs, found = _dataset_ids(self.details(job_id), "outputs"), dict[str, None]()
            while True:
                fresh = [job for job in paused if job["id"] not in found and outputs & _dataset_ids(job, "inputs")]
                if not fresh:
                    break
                for job in fresh:
                    found[job["id"]] = None
                    outputs |= _dataset_ids(job, "outputs")
            waiting[job_id] = list(found)
        return waiting

    def find_causes(self, job_id: str) -> list[str]:
        """The failed jobs that a paused one waits for."""
        failed = [job["id"] for job in self.jobs if job["state"] in RERUNNABLE_STATES]
        return [cause for cause, paused in self.find_paused(failed).items() if job_id in paused]

    def is_handed_on(self, job_id: str) -> bool:
        """Whether nothing is left that waits for a failed job or has an element of its making, as after a rerun in place."""
        return not self.details(job_id).get("output_collections") and not self.find_paused([job_id])[job_id]


def _identity(job: dict[str, Any]) -> list[Any]:
    """What a job and its rerun have in common: inputs and parameters, in a form that compares."""
    params = {name: _plain(value) for name, value in job["params"].items()
              if not name.startswith("__") and name != "chromInfo" and not name.endswith("__identifier__")}
    return [{name: (one["src"], one["id"]) for name, one in job["inputs"].items()}, params]


def _plain(value: Any) -> Any:
    """A parameter's value: Galaxy writes it as JSON, which does not always tell 1 from "1"."""
    if isinstance(value, str):
        try:
            loaded = json.loads(value)
        except ValueError:
            return value
        return _plain(loaded) if not isinstance(loaded, str) else loaded
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if not name.startswith("__")}
    return [_plain(one) for one in value] if isinstance(value, list) else str(value)


def _dataset_ids(job: dict[str, Any], which: str) -> set[str]:
    return {one["id"] for one in (job.get(which) or {}).values() if one["src"] == "hda"}


# ------------------------------------------------------------------------------------------------------ to run one again

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
    reruns = jobs.find_reruns(job_id)
    if reruns and jobs.is_handed_on(job_id):
        latest = jobs.find_replacement(job_id) or reruns[-1]
        hint = ": run that one again" if latest["state"] in RERUNNABLE_STATES else ""
        raise GalaxyError(f"{describe_job(job)} was run again before, as job {latest['id']} (state {latest['state']}){hint}")
    form = _fetch_form(galaxy, job)
    shown = _require_inputs(galaxy, job)
    request = {"history_id": job["history_id"], "tool_id": form["id"], "tool_version": form["version"],
               "input_format": "21.01", "inputs": {**form["state_inputs"], "rerun_remap_job_id": job_id}}
    if form.get("job_credentials_context"):
        request["credentials_context"] = form["job_credentials_context"]
    return RerunPlan(job, request, jobs.find_paused([job_id])[job_id], shown, [rerun["id"] for rerun in reruns])


def _require_failed(jobs: JobHistory, job: dict[str, Any]) -> None:
    state = job["state"]
    if state in RERUNNABLE_STATES:
        return
    if state == "paused":
        causes = jobs.find_causes(job["id"])
        why = f"it waits for {', '.join(f'job {cause}' for cause in causes)}: run that again" if causes else \
            "the history's page in Galaxy resumes it"
        raise GalaxyError(f"{describe_job(job)} has not failed but is paused: {why}")
    if state in ("deleted", "deleting", "stopped"):
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
    inputs, outputs = _dataset_ids(job, "inputs"), {
        one["id"]: name for name, one in (job.get("outputs") or {}).items() if one["src"] == "hda"}
    looks = {}
    for dataset_id, dataset in fetch_datasets(galaxy, [*inputs, *outputs],
                                              ["name", "state", "deleted", "purged", "visible", "extension"]):
        if dataset_id in outputs:
            if isinstance(dataset, dict):
                looks[outputs[dataset_id]] = [bool(dataset.get("visible")), dataset.get("extension")]
            continue
        if isinstance(dataset, GalaxyError):
            raise GalaxyError(f"{describe_job(job)} can't be run again: its input {dataset_id} is gone: {dataset}")
        problem = next((word for word in ("purged", "deleted") if dataset.get(word)), "")
        if dataset["state"] in ("error", "discarded", "failed_metadata"):
            problem = problem or f"in state {dataset['state']}"
        if problem:
            raise GalaxyError(f"{describe_job(job)} can't be run again: its input {dataset.get('name')!r} ({dataset_id}) is "
                              f"{problem}")
    return looks


def rerun_once(galaxy: Galaxy, plan: RerunPlan, record: Notes, patient: bool = True) -> str:
    """Run a failed job again exactly once and return the new job's id. `record` notes the submission.

    If the answer was lost, now or in an earlier process that was killed, the new job is looked up before Galaxy is asked
    again. Returns "" if this can't be told yet and the caller is not `patient`: call again in some seconds.
    """
    while True:
        rerun = find_submitted_rerun(galaxy, plan.job, record, patient)
        if rerun is not None:
            return rerun
        tries = record.data.get("tries", 0) + 1
        if tries > MAX_SUBMISSIONS:
            record.save(tries=None)
            raise GalaxyError(f"{describe_job(plan.job)}: the answer was lost {MAX_SUBMISSIONS} times, and Galaxy has no "
                              "rerun of it; run the same line again", TRY_LATER)
        record.save(durably=True, asked=time.time(), known=plan.earlier, outputs=plan.outputs, paused=plan.paused,
                    tries=tries)
        try:
            answer = galaxy.post("tools", plan.request)
        except GalaxyError as error:
            if not error.lost:
                record.save(asked=None, tries=None)
                raise GalaxyError(f"{describe_job(plan.job)} can't be run again: {error}", error.exit_code,
                                  status=error.status) from None
            record.save(durably=True, asked=time.time())     # a proxy gives up while Galaxy is still working on it
            continue
        made = [str(job["id"]) for job in answer.get("jobs") or []]
        if not made:
            record.save(asked=None, tries=None)
            raise GalaxyError(f"{describe_job(plan.job)} was not run again: {answer.get('errors') or 'Galaxy made no job'}")
        record.save(durably=True, rerun=made[0], tries=None)


def find_submitted_rerun(galaxy: Galaxy, job: dict[str, Any], record: Notes, patient: bool) -> str | None:
    """The id of the job that was submitted before; None if there is none, "" if it is too early to tell."""
    if record.data.get("asked", 0) > time.time():       # the clock was put back
        record.save(asked=time.time())
    while "asked" in record.data and not record.data.get("rerun"):
        known = record.data.get("known") or []
        candidates = [rerun["id"] for rerun in JobHistory(galaxy, job["history_id"]).find_reruns(job["id"])
                      if rerun["id"] not in known]
        if candidates:      # the first one has what waited; another one would be of a request that came late
            record.save(durably=True, rerun=candidates[0], tries=None)
        elif time.time() - record.data["asked"] > SETTLE_SECONDS:
            record.save(asked=None)
            return None
        elif not patient:
            return ""
        else:
            time.sleep(2)
    if not record.data.get("rerun"):
        return None
    rerun = str(record.data["rerun"])
    _show_outputs(galaxy, rerun, record.data.get("outputs") or {})
    return rerun


def _show_outputs(galaxy: Galaxy, rerun: str, looks: dict[str, list[Any]]) -> None:
    """Let the history show a rerun's outputs as it showed the failed job's: Galaxy 26.1 hides both. Warn of a datatype that
    a step sets, which Galaxy forgets where the step is mapped over."""
    outputs = galaxy.get(f"jobs/{rerun}", {"full": "true"}).get("outputs") or {} if looks else {}
    datasets = dict(fetch_datasets(galaxy, [one["id"] for one in outputs.values()], ["visible", "extension", "state"]))
    for name, (is_visible, extension) in looks.items():
        dataset = datasets.get(outputs[name]["id"]) if name in outputs else None
        if not isinstance(dataset, dict):
            continue
        if is_visible and not dataset.get("visible"):
            galaxy.put(f"datasets/{dataset['id']}", {"visible": True})
        if dataset["state"] == "new" and dataset.get("extension") != extension:
            report_error(f"warning: dataset {dataset['id']} is {dataset.get('extension')}, the failed one was {extension}: "
                         "Galaxy does not change the datatypes of a collection's elements again")


def require_handed_on(jobs: JobHistory, job_id: str, rerun: str) -> None:
    """Raise `GalaxyError` unless Galaxy has put the rerun in the failed job's place: it answers 200 where it could not
    (26.1). `jobs` are those of after the rerun's submission."""
    paused = jobs.find_paused([job_id])[job_id]
    if paused or jobs.details(job_id).get("output_collections"):
        what = f"job {paused[0]} stays paused" if paused else "a collection keeps the failed element"
        raise GalaxyError(f"{describe_job(jobs.details(job_id))} runs again as job {rerun}, but Galaxy did not put that in "
                          f"its place: {what}")


# ----------------------------------------------------------------------------------------------- what reruns do for a run

@dataclass(frozen=True)
class Mended:
    """A failed job of an invocation that was run again."""

    state: str              # the failed job's
    rerun: dict[str, Any]   # the job in its place
    is_inner: bool          # whether it is of a subworkflow


def find_mended(galaxy: Galaxy, invocation: dict[str, Any]) -> dict[str, Mended]:
    """The failed jobs of an invocation that were run again, by id. Those of a mapped-over step are not among them: the step
    has the new jobs in their place."""
    failed = {job["id"]: (job, "." in step["step"]) for step in list_steps(galaxy, invocation) for job in step["jobs"]
              if job["state"] in RERUNNABLE_STATES}
    if not failed:
        return {}
    jobs = JobHistory(galaxy, invocation["history_id"])
    mended = {}
    for job_id, (job, is_inner) in failed.items():
        rerun = jobs.find_replacement(job_id)
        if rerun:
            mended[job_id] = Mended(job["state"], rerun, is_inner)
    return mended


def count_mended(states: dict[str, int], mended: Iterable[Mended]) -> dict[str, int]:
    """The jobs by state, each that was run again in the state of its rerun."""
    counts = Counter(states)
    for one in mended:
        counts[one.state] -= 1
        counts[one.rerun["state"]] += 1
    return dict(+counts)


def replace_jobs(steps: list[dict[str, Any]], mended: dict[str, Mended]) -> list[dict[str, Any]]:
    """The steps of `list_steps`, each job that was run again replaced by its rerun."""
    return [{**step, "jobs": [{**job, **{name: value for name, value in mended[job["id"]].rerun.items() if name in job}}
                              if job["id"] in mended else job for job in step["jobs"]]} for step in steps]


def replace_outputs(galaxy: Galaxy, invocation: dict[str, Any], mended: dict[str, Mended]) -> dict[str, Any]:
    """The invocation, its outputs those of the reruns where the failed jobs' are gone."""
    new = {}
    for job_id, one in mended.items():
        before, now = (galaxy.get(f"jobs/{which}", {"full": "true"}) for which in (job_id, one.rerun["id"]))
        new.update({dataset["id"]: (now.get("outputs") or {}).get(name, dataset)["id"]
                    for name, dataset in (before.get("outputs") or {}).items()})
    outputs = {label: {**output, "id": new.get(output["id"], output["id"])} if output["src"] == "hda" else output
               for label, output in invocation["outputs"].items()}
    return {**invocation, "outputs": outputs}


def is_moving(job: dict[str, Any]) -> bool:
    """Whether a job has not ended."""
    return job["state"] not in TERMINAL_JOB_STATES
