"""The failed jobs of one command line, run again in place and waited for."""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from common import FAILED, STILL_RUNNING, TRY_LATER, Galaxy, GalaxyError, eprint, on_success, report_error
from galaxy_api_scripts.checkpoint import Checkpoint, read_notes
from galaxy_api_scripts.invocations.job_history import RERUNNABLE_STATES, JobHistory, is_running
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, iter_ended_jobs
from galaxy_api_scripts.invocations.reruns import (
    describe_job,
    find_submitted_rerun,
    plan_rerun,
    require_remapped,
    rerun_once,
)
from galaxy_api_scripts.polling import countdown

PURPOSE = "job_rerun"       # of the checkpoints


@dataclass
class JobRerun:
    """A failed job that runs again, or would."""

    job: dict[str, Any]
    paused: list[str]           # ids of the jobs that wait for it
    record: Checkpoint | None = None    # of what was sent, closed; None for what another process has sent
    rerun: str | None = None    # the new job's id
    state: str | None = None    # and its state
    has_ended: bool = False     # it and what waited for it

    def row(self) -> dict[str, Any]:
        """What is printed of it."""
        return {"job": self.job["id"], "id": self.rerun, "tool_id": self.job["tool_id"], "state": self.state,
                "paused": self.paused, "history_id": self.job["history_id"]}

    def jobs(self) -> list[str]:
        """The ids of the jobs to wait for: what waited for one that did not succeed stays paused."""
        return [str(self.rerun), *(self.paused if self.state in SUCCESS_STATES else [])]


class JobReruns:
    """The failed jobs of one command line; `codes` are the exit codes of those that did not end well.

    A job's checkpoint is open only while it is sent, so that any number of jobs needs one open file.
    """

    def __init__(self, galaxy: Galaxy, user_id: str, dry_run: bool):
        self.galaxy, self.user_id, self.dry_run = galaxy, user_id, dry_run
        self.entries: list[JobRerun] = []
        self.codes: list[int] = []
        self.histories: dict[str, JobHistory] = {}

    def find_failed(self, history_id: str, only: Iterable[dict[str, Any]] | None = None) -> list[str]:
        """The ids of the failed jobs of a history, or of `only` some of its jobs, that no rerun has replaced, or whose
        reruns an earlier process has left before all that waited for them had ended. Where there is none, report what has
        not ended."""
        jobs, failed = self._jobs_in(history_id), dict[str, None]()
        chosen = jobs.jobs if only is None else list(only)
        wanted = {job["id"] for job in chosen}
        hidden = [job["id"] for job in chosen if job["state"] in RERUNNABLE_STATES and job["id"] not in jobs.ids]
        if hidden:
            raise GalaxyError(f"the jobs of history {history_id} can't be listed, and job {hidden[0]} of it has failed: "
                              "only the history's owner can run it again in place")
        continued: set[str] = set()      # the jobs whose reruns are told with them
        for job in jobs.jobs:
            if job["state"] not in RERUNNABLE_STATES or job["id"] in continued:
                continue
            replacement = jobs.find_replacement(job["id"])
            # A mapped-over step has the new job in the failed one's place.
            if not wanted & {job["id"], replacement["id"] if replacement else ""}:
                continue
            if replacement is None or self._was_sent(job["id"]):
                failed[job["id"]] = None
                continued |= {replacement["id"]} if replacement else set()
            elif replacement["state"] in RERUNNABLE_STATES:
                failed[replacement["id"]] = None
            elif is_running(replacement) or jobs.find_resumed(job["id"], replacement):
                failed[job["id"]] = None
                continued.add(replacement["id"])
        if not failed:
            self._report_unfinished(chosen)
        return list(failed)

    def run(self, job_id: str, is_named: bool) -> None:
        """Run a job again, or go on with what was begun; report one that can't be."""
        try:
            job = self.galaxy.get(f"jobs/{job_id}", {"full": "true"})
            if self.dry_run:
                self.entries.append(self._continue(job, is_named) or self._plan(job))
                return
            with Checkpoint(self.galaxy, describe_job(job), PURPOSE, job["id"]) as record:
                self.entries.append(self._resume(job, record) or self._continue(job, is_named) or self._send(job, record))
        except GalaxyError as error:
            self._refuse(error)

    def check_remapped(self) -> None:
        """Report each failed job that Galaxy has not put the new one in the place of."""
        self.histories.clear()
        for entry in self.entries:
            if entry.record:
                try:
                    require_remapped(self._jobs_in(entry.job["history_id"]), entry.job["id"], str(entry.rerun))
                except GalaxyError as error:
                    self._refuse(error)
                    entry.paused = []

    def wait(self, timeout: float | None) -> Iterator[dict[str, Any]]:
        """Yield the row of each rerun once it and what waited for it have ended."""
        left, states, asked = countdown(timeout), dict[str, str](), set[str]()
        for _ in range(2):      # the new jobs, then those that waited for the good ones
            ids = list(dict.fromkeys(job for entry in self.entries if not entry.has_ended for job in entry.jobs()
                                     if job not in asked))
            asked |= set(ids)
            yield from self._iter_finished(ids, left, states)
        for entry in self.entries:      # the time was up, or Galaxy shows one of them no more
            if not entry.has_ended:
                self.codes.append(STILL_RUNNING)
                yield entry.row()

    def remove_records(self, keep_running: bool) -> None:
        """Remove the records of all, or of what has ended, once the output is written."""
        for entry in self.entries:
            if entry.record and (entry.has_ended or not keep_running):
                on_success(entry.record.remove)

    # ----------------------------------------------------------------------------------------------------------- one job

    def _resume(self, job: dict[str, Any], record: Checkpoint) -> JobRerun | None:
        begun = find_submitted_rerun(self.galaxy, job, record, patient=True)
        return JobRerun(job, record.data.get("paused") or [], record, begun) if begun else None

    def _continue(self, job: dict[str, Any], is_named: bool) -> JobRerun | None:
        """What another process has begun, unless the job is named: then it is refused."""
        jobs = self._jobs_in(job["history_id"])
        replacement = None if is_named else jobs.find_replacement(job["id"])
        if replacement is None:
            return None
        return JobRerun(job, jobs.find_resumed(job["id"], replacement), None, replacement["id"], replacement["state"])

    def _plan(self, job: dict[str, Any]) -> JobRerun:
        plan = plan_rerun(self.galaxy, self._jobs_in(job["history_id"]), job["id"], self.user_id)
        return JobRerun(job, plan.paused, state=job["state"])

    def _send(self, job: dict[str, Any], record: Checkpoint) -> JobRerun:
        plan = plan_rerun(self.galaxy, self._jobs_in(job["history_id"]), job["id"], self.user_id)
        taken = [entry.rerun for entry in self.entries if entry.rerun]
        rerun = rerun_once(self.galaxy, plan, record, taken=taken)
        return JobRerun(job, plan.paused, record, rerun, "new")

    # ----------------------------------------------------------------------------------------------------------- helpers

    def _jobs_in(self, history_id: str) -> JobHistory:
        if history_id not in self.histories:
            self.histories[history_id] = JobHistory(self.galaxy, history_id)
        return self.histories[history_id]

    def _was_sent(self, job_id: str) -> bool:
        return not self.dry_run and "asked" in read_notes(self.galaxy, PURPOSE, job_id)

    def _report_unfinished(self, jobs: list[dict[str, Any]]) -> None:
        running = sum(is_running(job) for job in jobs)
        paused = [job["id"] for job in jobs if job["state"] == "paused"]
        if running:
            eprint(f"no job has failed, and {running} of {len(jobs)} still run: ask again when they have ended")
            self.codes.append(STILL_RUNNING)
        elif paused:
            self.codes.append(report_error(
                f"no job has failed here, and what the paused ones wait for ({len(paused)}) was made elsewhere: "
                f"job_show.py - - {paused[0]} says what it is"))
        elif sys.stderr.isatty():
            eprint("no job has failed: nothing to do")

    def _refuse(self, error: GalaxyError) -> None:
        if error.exit_code == TRY_LATER or error.status == 401:
            raise error
        self.codes.append(report_error(str(error), error.exit_code))

    def _iter_finished(self, ids: list[str], left: Callable[[], int | None], states: dict[str, str]
                       ) -> Iterator[dict[str, Any]]:
        """Wait for jobs, note their `states`, and yield the row of each entry that is over."""
        for job in iter_ended_jobs(self.galaxy, ids, left(), []) if ids else ():
            states[job["id"]] = job["state"]
            for entry in self.entries:
                if entry.has_ended or entry.rerun not in states:
                    continue
                entry.state = states[entry.rerun]
                if all(one in states for one in entry.jobs()):
                    entry.has_ended = True
                    if any(states[one] not in SUCCESS_STATES for one in entry.jobs()):
                        self.codes.append(FAILED)
                    yield entry.row()
