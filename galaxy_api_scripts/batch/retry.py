"""Try a failed sample again in place: only its failed jobs run again, in the invocation that it has.

Each rerun is noted before it is sent, so that a process killed meanwhile neither loses nor doubles one.
"""
from __future__ import annotations

from typing import Any

from common import TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.batch.ledger import Sample
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.checkpoint import change_notes
from galaxy_api_scripts.invocations.job_history import CANCELLED_JOB_STATES, RERUNNABLE_STATES, JobHistory, is_running
from galaxy_api_scripts.invocations.jobs import GIVEN_UP_STATES, list_steps
from galaxy_api_scripts.invocations.reruns import (
    RerunPlan,
    find_submitted_rerun,
    plan_rerun,
    require_remapped,
    rerun_once,
)

WANTED, SENT = "wanted", "sent"     # values of `SampleNotes.rerun`


class NotInPlace(GalaxyError):
    """Failed jobs can't run again in place, so the sample needs a new invocation."""


class JobNotes:
    """The notes on the rerun of one job, among those on its sample. It can be passed as `checkpoint.Notes`."""

    def __init__(self, sample: Sample, job_id: str):
        self.sample, self.job_id = sample, job_id

    @property
    def data(self) -> dict[str, Any]:
        """The notes by name."""
        return dict(self.sample.notes.reruns.get(self.job_id) or {})

    def save(self, durably: bool = False, **changes: Any) -> None:
        """Note `changes`, a value for each name; None removes the name."""
        self.sample.save(durably, reruns={**self.sample.notes.reruns, self.job_id: change_notes(self.data, changes)})


def sent_reruns(sample: Sample) -> dict[str, str]:
    """`{failed job: its rerun}` of what this attempt has sent."""
    return {job: notes["rerun"] for job, notes in sample.notes.reruns.items() if notes.get("rerun")}


def failed_in_jobs(sample: Sample) -> bool:
    """Whether nothing but jobs of its invocation has failed, as far as the ledger tells."""
    return bool(sample.state == "failed" and sample.invocation and sample.failed_step
                and sample.failed_step not in {stage.value for stage in Stage})


def rerun_in_place(galaxy: Galaxy, sample: Sample, may_begin: bool) -> bool:
    """Run the failed jobs of a sample's invocation again, in several calls: until `SampleNotes.rerun` is SENT. Returns
    False where that can't be done and a new run `may_begin`: the step in the ledger has the reason."""
    try:
        _rerun_failed_jobs(galaxy, sample)
    except NotInPlace:
        if not may_begin:
            raise
        return False
    return True


def _rerun_failed_jobs(galaxy: Galaxy, sample: Sample) -> None:
    """Send what can be sent now. Raises `NotInPlace` before anything is sent if one of the jobs can't run again."""
    with sample.step(Stage.RERUN):
        invocation = galaxy.get(f"invocations/{sample.invocation}")
        if invocation["state"] in GIVEN_UP_STATES:
            raise NotInPlace(f"invocation {invocation['id']} is {invocation['state']}, so Galaxy makes no more jobs of it")
        all_jobs = [job for step in list_steps(galaxy, invocation) for job in step["jobs"]]
        failed = [job["id"] for job in all_jobs if job["state"] in RERUNNABLE_STATES]
        _require_mendable(all_jobs)
        try:
            plans = _plan(galaxy, sample, JobHistory(galaxy, invocation["history_id"]), failed)
            if plans is None:
                return
            for plan in plans:
                taken = sent_reruns(sample).values()
                if not rerun_once(galaxy, plan, JobNotes(sample, plan.job["id"]), patient=False, taken=taken):
                    return
            jobs = JobHistory(galaxy, invocation["history_id"])
            for job_id, rerun in sent_reruns(sample).items():
                require_remapped(jobs, job_id, rerun)
        except GalaxyError as error:
            if error.exit_code == TRY_LATER or error.status == 401 or error.lost:
                raise
            raise NotInPlace(str(error)) from None
        sample.save(durably=True, rerun=SENT)


def _require_mendable(jobs: list[dict[str, Any]]) -> None:
    """Raise `NotInPlace` for a job of an invocation that no rerun helps: one that was cancelled, or is paused though none of
    these jobs has failed or runs."""
    may_resume = any(job["state"] in RERUNNABLE_STATES or is_running(job) for job in jobs)
    for job in jobs:
        if job["state"] in CANCELLED_JOB_STATES or (job["state"] == "paused" and not may_resume):
            raise NotInPlace(f"job {job['id']} is {job['state']}, and no job that can run again changes that")


def _plan(galaxy: Galaxy, sample: Sample, jobs: JobHistory, failed: list[str]) -> list[RerunPlan] | None:
    """The plans for what is to be sent yet; None if it is too early to tell what was sent before."""
    user, plans = galaxy.current_user()["id"], []
    for job_id in list(sample.notes.reruns):
        if find_submitted_rerun(galaxy, jobs.details(job_id), JobNotes(sample, job_id), patient=False) == "":
            return None
    done = sent_reruns(sample)
    for job_id in failed:
        replacement = jobs.find_replacement(job_id)
        latest = replacement["id"] if replacement else job_id
        state = jobs.details(latest)["state"]
        if not done.keys() & {job_id, latest} and state in RERUNNABLE_STATES:
            plans.append(plan_rerun(galaxy, jobs, latest, user))
    return plans
