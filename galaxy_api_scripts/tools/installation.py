"""Installing many Tool Shed repositories: each once, several at a time, whatever is lost, cut or killed on the way.

Galaxy answers an installation when it has ended, which may take longer than a proxy waits. So the answer is only one way to
learn of the end: where it is lost, now or in an earlier process, Galaxy's record of the repository is looked at until it has
ended, or is surely missing; only then is the request sent again.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Union

from common import (
    STILL_RUNNING,
    TRY_LATER,
    USAGE,
    Galaxy,
    GalaxyError,
    backoff,
    bool_option,
    int_option,
    report_error,
)
from galaxy_api_scripts.checkpoint import Checkpoint, find_sent, send_once
from galaxy_api_scripts.tools.install_plan import NEW, InstallPlan, Job
from galaxy_api_scripts.tools.installed import ENDED
from galaxy_api_scripts.tools.repository_list import DEPENDENCY_KEYS
from galaxy_api_scripts.tools.toolshed import (
    DEACTIVATED,
    ERROR,
    INSTALL_ROUTE,
    INSTALLED,
    UNINSTALLED,
    find_record,
    get_list,
    uninstall_record,
)
from galaxy_api_scripts.transfers import UP, TransferPool

MOST_AT_ONCE = 10       # each installation keeps one of Galaxy's threads busy for minutes
NEW_SECONDS = 60        # that a record may be new while nothing else is being installed: nobody installs it
DEPENDENCY_OPTIONS = dict(zip(DEPENDENCY_KEYS, ("--repository-deps", "--resolver-deps", "--tool-deps")))
LOAD_SECONDS = 180      # for each of Galaxy's web processes to load new tools, which takes long where there are thousands

Record = dict[str, Any]
Outcome = Union["list[Record]", GalaxyError]


class Installer:
    """Does jobs, `at_once` at a time, within `timeout` seconds in all. With `repair`, what is in state Error, or is being
    installed and has not moved for `stall` seconds, is installed again."""

    def __init__(self, galaxy: Galaxy, at_once: int = 1, timeout: float | None = None, stall: float = 3600,
                 repair: bool = False):
        self.galaxy, self.at_once, self.stall, self.repair = galaxy, at_once, stall, repair
        self.timeout, self.end = timeout, time.monotonic() + (float("inf") if timeout is None else timeout)

    def run(self, jobs: list[Job], installed: Iterable[str] = ()) -> Iterator[tuple[Job, Outcome]]:
        """Do the jobs; yields each as it ends, with Galaxy's records of what was installed for it, but for those whose ids
        were `installed` before, or with the error.

        Jobs that install what others may need too are done first, one after the other: Galaxy would install that twice. If
        Galaxy goes away, no other job is begun, and the error is raised.
        """
        known = set(installed)
        self.galaxy.deadline = min(self.galaxy.deadline, self.end)
        for needs_others in (True, False):
            some = [job for job in jobs if job.needs_others == needs_others]
            with TransferPool(1 if needs_others else min(self.at_once, len(some)) or 1, UP) as pool:
                for job, outcome in pool.run_each(self._install, some):
                    if isinstance(outcome, Exception) and not isinstance(outcome, GalaxyError):
                        raise outcome
                    if isinstance(outcome, GalaxyError):
                        if outcome.exit_code == TRY_LATER:
                            self.galaxy.request("GET", "version", patience=0)     # does Galaxy answer at all?
                        yield job, outcome
                        continue
                    fresh = [record for record in outcome if record["id"] not in known]
                    known.update(record["id"] for record in fresh)
                    yield job, fresh

    def missing_tools(self, jobs: Iterable[Job]) -> dict[str, Job]:
        """The tools of jobs that are done which Galaxy has not loaded, by id."""
        expected = {tool: job for job in jobs for tool in job.tools}
        for _ in backoff(LOAD_SECONDS if expected else 0, 0.5, 5):
            if expected:
                loaded = {tool["id"] for tool in get_list(self.galaxy, "tools", {"in_panel": "false"})}
                expected = {tool: job for tool, job in expected.items() if tool not in loaded}
            if not expected:
                break
        return expected

    def install_again(self, job: Job) -> list[Record]:
        """Uninstall what a job has installed, and install it once more."""
        record = self._look(job)
        if record and record["status"] == INSTALLED:
            self.uninstall(job, record)
        return self._install(job)

    # -------------------------------------------------------------------------------------------------------- one job

    def _install(self, job: Job) -> list[Record]:
        if time.monotonic() >= self.end:
            raise GalaxyError(f"{job}: not begun within {self.timeout:g} s", STILL_RUNNING)
        with Checkpoint(self.galaxy, str(job), INSTALL_ROUTE, job.repository.host, job.repository.query,
                        job.revision) as notes:
            notes.save(record=None)
            find_sent(notes, "record", lambda: self._find_begun(job), True)     # what a killed process has sent
            record = self._wait(job)
            if record and record["status"] == ERROR and not self.repair:
                notes.clear()
                raise job.failure(record)
            if record and record["status"] in (ERROR, DEACTIVATED):     # Galaxy would only activate it, without its tools
                self.uninstall(job, record)
            answer: list[Record] = []
            if not record or record["status"] != INSTALLED:
                notes.save(record=None)
                send_once(notes, "record", str(job), find=lambda: self._find_begun(job), send=self._sender(job, answer),
                          prepare=dict)
                record = self._wait(job)
            notes.clear()
        failed = [one for one in [record or {}, *answer] if one.get("status") != INSTALLED]
        if not record or failed:
            raise job.failure(failed[0])
        return [record, *(one for one in answer if one["id"] != record["id"])]

    def _sender(self, job: Job, answer: list[Record]) -> Callable[[], str]:
        """What sends the installation of a job, and returns the id of its record; all records go to `answer`."""
        def send() -> str:
            try:
                made = self.galaxy.post(INSTALL_ROUTE, job.data)
            except GalaxyError as error:
                begun = self._find_begun(job) if error.status == 400 else None
                if not begun:       # else another run was a moment earlier
                    raise
                return begun
            if isinstance(made, dict) and made.get("status") == "error":
                raise GalaxyError(f"{job} is not installed: {made.get('error')}")
            answer[:] = made if isinstance(made, list) else []
            record = find_record(answer, job.revision) or self._look(job)
            if not record:
                raise GalaxyError(f"{job}: Galaxy says that it has installed it, and has no record of it")
            return str(record["id"])
        return send

    def _look(self, job: Job) -> Record | None:
        return find_record(job.repository.records(self.galaxy), job.revision)

    def _find_begun(self, job: Job) -> str | None:
        """The id of the record of what Galaxy installs, or has installed; None where there is none, or it is not begun."""
        record = self._look(job)
        return str(record["id"]) if record and record["status"] not in (UNINSTALLED, DEACTIVATED) else None

    def uninstall(self, job: Job, record: Record) -> None:
        """Uninstall the job's revision, and make sure that it is."""
        job.repository.revisions()      # nothing is uninstalled while the Tool Shed does not answer
        uninstall_record(self.galaxy, record)

    def _wait(self, job: Job) -> Record | None:
        """Galaxy's record of a job once it does not move any more; None where there is none, or nobody installs it."""
        before, since = None, time.monotonic()
        for _ in backoff(None if self.timeout is None else max(self.end - time.monotonic(), 0)):
            record = self._look(job)
            if not record or record["status"] in ENDED:
                return record
            state = record["id"], record["status"], record["status"] == NEW and self._others_at_work()
            if state != before:
                before, since = state, time.monotonic()
            still = time.monotonic() - since
            if record["status"] == NEW and not state[-1] and still >= min(NEW_SECONDS, self.stall):
                return None
            if still >= self.stall:
                if self.repair:
                    return {**record, "status": ERROR}
                raise GalaxyError(f"{job}: its status has been {record['status']} for {self.stall:g} s; if Galaxy was "
                                  "stopped meanwhile, it stays so: --repair installs it again", STILL_RUNNING)
        raise GalaxyError(f"{job} is still being installed after {self.timeout:g} s", STILL_RUNNING)

    def _others_at_work(self) -> bool:
        """Whether Galaxy installs anything: what another one needs is new for as long as that takes."""
        return any(record["status"] not in (*ENDED, NEW) for record in get_list(self.galaxy, "tool_shed_repositories"))


def dependency_options(args: dict[str, Any]) -> dict[str, bool]:
    """The dependencies that a command line chooses, by their names in a list."""
    return {key: bool_option(args[name], name) for key, name in DEPENDENCY_OPTIONS.items() if args[name] is not None}


def at_once_option(args: dict[str, Any]) -> int:
    """The number that `--at-once` gives; a usage error outside 1 to MOST_AT_ONCE."""
    number = int_option(args, "--at-once", 1) or 1
    if number > MOST_AT_ONCE:
        raise GalaxyError(f"--at-once={number}: expected an integer, 1 or more, {MOST_AT_ONCE} at most", USAGE)
    return number


def install_jobs(installer: Installer, plan: InstallPlan, codes: list[int]) -> Iterator[tuple[Job, Record]]:
    """Yield each job with Galaxy's record of it, and of what it needed, once that is installed; those that are done to their
    end are then in `plan.done`. One that can't be installed is reported, and its exit code added to `codes`.

    At last Galaxy is asked for the tools of all: side by side, its installations can lose one another's lines in its file of
    tools (26.1, read in its source), and it calls them installed all the same. Those are installed again, one by one.
    """
    for job, outcome in installer.run(plan.jobs, plan.installed):
        if isinstance(outcome, GalaxyError):
            codes.append(report_error(str(outcome), outcome.exit_code))
        else:
            plan.done.append(job)
            yield from ((job, record) for record in outcome)
    missing = installer.missing_tools(plan.done)
    again = list({str(job): job for job in missing.values()}.values()) if installer.at_once > 1 else []
    for job in again:
        try:
            installer.install_again(job)
        except GalaxyError as error:
            codes.append(report_error(str(error), error.exit_code))
    for tool, job in (installer.missing_tools(again) if again else missing).items():
        plan.done = [one for one in plan.done if one is not job]
        codes.append(report_error(f"{job} is installed, but Galaxy has not loaded its tool {tool}: Galaxy's log says why"))
