#!/usr/bin/env python3
"""Run failed jobs again in place, so that the jobs that were paused because of them go on.

Usage:
  job_rerun.py [options] KEY URL [JOB...]

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  JOB                a failed job's id, as invocation_show.py --jobs shows it; - reads ids from standard input, one a line

Options:
  --invocation=ID    all failed jobs of this invocation and its subworkflows
  --history=HISTORY  all failed jobs of this history: an id, or an exact name
  --no-wait          exit as soon as Galaxy has accepted the jobs
  --timeout=SECONDS  stop waiting after this many seconds in all
  -n, --dry-run      show what would be done, change nothing: which would run again, and which jobs wait for each
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas: job, id, tool_id, state, paused, history_id
                     [default: job,id,tool_id,state,paused]
  -h, --help         show this help
  --version          show the version

A job runs again with the same tool, inputs and parameters. Galaxy puts its outputs in the place of the failed ones: as
elements of collections, and as inputs of the jobs that wait. Each row has the failed job, the id of the new one, its state
once it has ended, and the jobs that waited (paused), which are waited for too. A job that can't be run again is named with
the reason, and the others run. Exits with 0 only if all have ended well; with 1 if none has, 3 if some have, 4 when the time
was up. After a kill, the same line again continues, and runs nothing twice.
  job_rerun.py --dry-run --invocation=85a07f4bbdb2c898 - -
  job_rerun.py - - bbd44e69cb8906b5
"""
from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from common import (
    DONE,
    FAILED,
    STILL_RUNNING,
    TERMINAL_JOB_STATES,
    TRY_LATER,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    eprint,
    int_option,
    on_success,
    output_options,
    parse_id,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.target_history import find_writable_history
from galaxy_api_scripts.invocations.jobs import GIVEN_UP_STATES, SUCCESS_STATES, iter_ended_jobs, list_steps
from galaxy_api_scripts.invocations.reruns import (
    RERUNNABLE_STATES,
    JobHistory,
    RerunPlan,
    describe_job,
    find_submitted_rerun,
    is_moving,
    plan_rerun,
    require_handed_on,
    rerun_once,
)
from galaxy_api_scripts.polling import combine_exit_codes, countdown, parse_ids

FIELDS = ["job", "id", "tool_id", "state", "paused", "history_id"]


def main(argv=None):
    args = arguments(__doc__, argv)
    ids, timeout = parse_ids(args["JOB"], "JOB"), int_option(args, "--timeout")
    output, dry_run = output_options(args, FIELDS), args["--dry-run"]
    if bool(args["JOB"]) + (args["--invocation"] is not None) + (args["--history"] is not None) != 1:
        raise GalaxyError("expected ids of jobs, or --invocation=ID, or --history=HISTORY", USAGE)
    invocation_id = args["--invocation"] and parse_id(args["--invocation"], "--invocation")
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    user = galaxy.current_user()

    with Reruns(galaxy, user["id"], dry_run) as reruns:
        if invocation_id:
            ids = reruns.failed_of(*jobs_of_invocation(galaxy, invocation_id))
        elif args["--history"]:
            ids = reruns.failed_of(find_writable_history(galaxy, args["--history"], user)["id"])
        for job_id in ids:
            reruns.plan(job_id, is_named=bool(args["JOB"]))
        if not ids and sys.stderr.isatty():
            eprint("no job has failed: nothing to do")
        if not dry_run:
            reruns.submit()
        rows = reruns.wait(timeout) if not (dry_run or args["--no-wait"]) else (entry.row() for entry in reruns.entries)
        if reruns.entries or output["format"] == "json":
            show(rows, output["format"], output["fields"])
        reruns.forget(args["--no-wait"])
    return combine_exit_codes(reruns.codes, ids) if ids else DONE


def jobs_of_invocation(galaxy, invocation_id):
    """The history of an invocation, and its jobs; refuse one that would stay incomplete."""
    invocation = galaxy.get(f"invocations/{invocation_id}")
    if invocation["state"] in GIVEN_UP_STATES:
        raise GalaxyError(f"invocation {invocation_id} is {invocation['state']}, so Galaxy makes no more jobs of it, "
                          f"whichever run again: invocation_rerun.py - - {invocation_id} runs all of it again")
    return invocation["history_id"], [job["id"] for step in list_steps(galaxy, invocation) for job in step["jobs"]]


@dataclass
class Entry:
    """A failed job that runs again, or would."""

    job: dict[str, Any]
    paused: list[str]           # ids of the jobs that wait for it
    plan: RerunPlan | None = None
    record: Checkpoint | None = None       # of what is sent; None for what another process has sent
    rerun: str | None = None       # the new job's id
    state: str | None = None       # and its state

    def row(self):
        return {"job": self.job["id"], "id": self.rerun, "tool_id": self.job["tool_id"], "state": self.state,
                "paused": self.paused, "history_id": self.job["history_id"]}


class Reruns:
    """The failed jobs of one command line; `codes` are the exit codes of those that did not end well."""

    def __init__(self, galaxy, user_id, dry_run):
        self.galaxy, self.user_id, self.dry_run = galaxy, user_id, dry_run
        self.entries, self.codes, self.histories, self.stack = [], [], {}, ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stack.close()

    def jobs_in(self, history_id):
        if history_id not in self.histories:
            self.histories[history_id] = JobHistory(self.galaxy, history_id)
        return self.histories[history_id]

    def failed_of(self, history_id, only=None):
        """The ids of the failed jobs of a history, or of `only` some of them, that no rerun has mended."""
        jobs, failed = self.jobs_in(history_id), {}
        for job in jobs.jobs:
            if job["state"] in RERUNNABLE_STATES and (only is None or job["id"] in only):
                replacement = jobs.find_replacement(job["id"]) if jobs.find_reruns(job["id"]) else None
                latest = replacement if replacement and jobs.is_handed_on(job["id"]) else job
                if latest["state"] in RERUNNABLE_STATES or is_moving(latest):
                    failed[latest["id"]] = None
        return list(failed)

    def plan(self, job_id, is_named):
        """Plan to run a job again, or go on with what was begun; report one that can't be."""
        try:
            job = self.galaxy.get(f"jobs/{job_id}", {"full": "true"})
            if job["state"] not in RERUNNABLE_STATES and not is_named:      # a rerun that another process has begun
                self.entries.append(Entry(job, [], rerun=job["id"], state=job["state"]))
                return
            jobs = self.jobs_in(job["history_id"])
            record = None if self.dry_run else self.stack.enter_context(
                Checkpoint(self.galaxy, describe_job(job), "job_rerun", job["id"]))
            begun = record and find_submitted_rerun(self.galaxy, job, record, patient=True)
            if begun:
                self.entries.append(Entry(job, record.data.get("paused") or [], record=record, rerun=begun))
                return
            plan = plan_rerun(self.galaxy, jobs, job["id"], self.user_id)
            self.entries.append(Entry(job, plan.paused, plan, record, state=job["state"] if self.dry_run else None))
        except GalaxyError as error:
            self.refuse(error)

    def refuse(self, error):
        if error.exit_code == TRY_LATER or error.status == 401:
            raise error
        self.codes.append(report_error(str(error), error.exit_code))

    def submit(self):
        """Send what is planned, then make sure that Galaxy has put the new jobs in the place of the failed ones."""
        for entry in list(self.entries):
            if entry.plan:
                try:
                    entry.rerun, entry.state = rerun_once(self.galaxy, entry.plan, entry.record), "new"
                except GalaxyError as error:
                    self.refuse(error)
                    self.entries.remove(entry)
        self.histories.clear()
        for entry in self.entries:
            if entry.record:
                try:
                    require_handed_on(self.jobs_in(entry.job["history_id"]), entry.job["id"], entry.rerun)
                except GalaxyError as error:
                    self.refuse(error)
                    entry.paused = []

    def wait(self, timeout):
        """Yield the row of each rerun once it and what waited for it have ended."""
        left, ended = countdown(timeout), {}
        waiting = {entry.rerun: entry for entry in self.entries}

        def jobs_of(entry):
            return [entry.rerun, *(entry.paused if entry.state in SUCCESS_STATES else [])]

        def are_over():
            for rerun, entry in list(waiting.items()):
                if rerun in ended:
                    entry.state = ended[rerun]
                if all(job in ended for job in jobs_of(entry)):
                    del waiting[rerun]
                    if any(ended[job] not in SUCCESS_STATES for job in jobs_of(entry)):
                        self.codes.append(FAILED)
                    yield entry.row()

        for _ in range(2):      # the new jobs, then those that waited for the good ones
            ids = list(dict.fromkeys(job for entry in waiting.values() for job in jobs_of(entry) if job not in ended))
            for job in iter_ended_jobs(self.galaxy, ids, left(), []) if ids else ():
                ended[job["id"]] = job["state"]
                yield from are_over()
        for entry in waiting.values():      # the time was up, or Galaxy shows one of them no more
            self.codes.append(STILL_RUNNING)
            yield entry.row()

    def forget(self, also_moving):
        """Remove the records of what has ended, or of all, once the output is written."""
        for entry in self.entries:
            if entry.record and (also_moving or entry.state in TERMINAL_JOB_STATES):
                on_success(entry.record.remove)


if __name__ == "__main__":
    sys.exit(run(main))
