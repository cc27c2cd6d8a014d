"""Cancel jobs, several at once, and read back what became of each."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Union

from common import DONE, FAILED, TRY_LATER, Galaxy, GalaxyError, report_error
from galaxy_api_scripts.job_queue.selection import OPEN_STATES, JobFilter, describe_job, select_jobs
from galaxy_api_scripts.together import ask_together

BATCH = 100
CANCELLED, CANCELLED_STATES = "cancelled", ("deleting", "deleted")
JobOrError = Union["dict[str, Any]", GalaxyError]


def find_jobs(galaxy: Galaxy, ids: list[str], now: datetime) -> Iterator[JobOrError]:
    """Yield each of these jobs as `describe_job` has it, or the `GalaxyError` that says why it is not ours to cancel."""
    user = galaxy.current_user()
    emails: dict[str, Any] = {user["id"]: user.get("email")}

    def owner_of(history: str | None) -> Any:
        return (galaxy.get_or_none(f"histories/{history}") or {}).get("user_id") if history else None

    def find(job_id: str) -> JobOrError:
        try:
            job = galaxy.get(f"jobs/{job_id}")
        except GalaxyError as error:
            if error.exit_code == TRY_LATER or error.status == 401:
                raise
            return GalaxyError(f"job {job_id}: {error}", error.exit_code)
        owner = job.get("user_id") or owner_of(job.get("history_id"))      # Galaxy 24.1 does not tell it
        # Galaxy 26.1 lets everybody who may see a job cancel it, as those of a history that is shared.
        if owner not in emails and not user.get("is_admin"):
            return GalaxyError(f"job {job_id} is another user's: an administrator's key can cancel it")
        if owner and owner not in emails:
            emails[owner] = (galaxy.get_or_none(f"users/{owner}") or {}).get("email")
        return {**describe_job(job, now, user), "user": emails.get(owner)}

    for start in range(0, len(ids), BATCH):
        yield from _do_together(find, ids[start:start + BATCH])


class Cancellation:
    """Cancels jobs, or in a `dry_run` says which; `message` is what Galaxy then shows their users.

    `tried` has a name for each job, `codes` the exit code of each that could not be cancelled. `now` is the server's time
    at the beginning.
    """

    def __init__(self, galaxy: Galaxy, now: datetime, message: str | None = None, dry_run: bool = False):
        self.galaxy, self.now, self.message, self.dry_run = galaxy, now, message, dry_run
        self.codes: list[int] = []
        self.tried: list[str] = []

    def run(self, jobs: Iterable[JobOrError], timeout: float | None) -> Iterator[dict[str, Any]]:
        """Yield each job that was cancelled, with its new state and `action`. One that had ended is reported.

        Those that are `deleting` come at the end, as soon as they are no more, or after `timeout` seconds: Galaxy 26.1
        leaves some so for good, and a fetch that a Celery worker runs may become `ok`, though its outputs are deleted.
        """
        jobs, deleting = iter(jobs), dict[str, dict[str, Any]]()
        while batch := list(islice(jobs, BATCH)):
            outcomes = _do_together(self._cancel, batch)
            for job, outcome in zip(batch, outcomes):
                self.tried.append("" if isinstance(job, GalaxyError) else job["id"])
                if not isinstance(outcome, GalaxyError):
                    if outcome["action"] and outcome["state"] == "deleting":
                        deleting[outcome["id"]] = outcome
                    elif outcome["action"]:
                        yield outcome
                    elif outcome["state"] not in CANCELLED_STATES:
                        report_error(f"job {outcome['id']} had ended: {outcome['state']}", DONE)
                elif not _is_fatal(outcome):
                    self.codes.append(report_error(str(outcome), outcome.exit_code))
            fatal = next((outcome for outcome in outcomes if isinstance(outcome, GalaxyError) and _is_fatal(outcome)), None)
            if fatal:
                yield from deleting.values()
                raise fatal
        yield from self._wait_until_deleted(deleting, timeout)

    def _cancel(self, job: JobOrError) -> JobOrError:
        """The job with its state in Galaxy afterwards and the `action`, "" for one that had ended."""
        # Galaxy 26.1 would take the outputs of one that is skipped, stopped or failed, too.
        if isinstance(job, GalaxyError) or job["state"] not in OPEN_STATES:
            return job if isinstance(job, GalaxyError) else {**job, "action": ""}
        if self.dry_run:
            return {**job, "action": CANCELLED}
        path = f"jobs/{job['id']}"
        try:
            self.galaxy.delete(path, self.message and {"message": self.message})
            state = self.galaxy.get(path)["state"]
        except GalaxyError as error:
            return GalaxyError(f"job {job['id']}: {error}", error.exit_code, status=error.status)
        if state in OPEN_STATES:
            return GalaxyError(f"job {job['id']}: Galaxy answered the request, and the job is {state}", FAILED)
        return {**job, "state": state, "action": CANCELLED if state in CANCELLED_STATES else ""}

    def _wait_until_deleted(self, deleting: dict[str, dict[str, Any]], timeout: float | None) -> Iterator[dict[str, Any]]:
        """Yield these jobs as they leave the state `deleting`, and the others at the end. A look is one list of these."""
        try:
            for _ in self.galaxy.poll(timeout) if deleting else ():
                left = {job["id"] for job in select_jobs(self.galaxy, JobFilter(("deleting",)), self.now, since=self.now)}
                for job_id in [job_id for job_id in deleting if job_id not in left]:
                    state = self.galaxy.get(f"jobs/{job_id}")["state"]
                    if state != "deleting":
                        yield {**deleting.pop(job_id), "state": state}
                if not deleting:
                    return
        except GalaxyError as error:
            problem = f"what became of {len(deleting)} jobs that are cancelled is not known: {error}"
            self.codes.append(report_error(problem, error.exit_code))
        yield from deleting.values()


def _is_fatal(error: GalaxyError) -> bool:
    """Whether an error is of the server or the key, so that the next job would have it, too."""
    return error.exit_code == TRY_LATER or error.status == 401


def _do_together(act: Callable[[Any], JobOrError], things: Iterable[Any]) -> list[JobOrError]:
    """What `act` returns for each of these, several at a time; each in a tuple, since an error as a result is raised."""
    return [outcome for outcome, in ask_together(*(lambda thing=thing: (act(thing),) for thing in things))]
