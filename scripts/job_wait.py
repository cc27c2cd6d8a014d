#!/usr/bin/env python3
"""Wait until jobs have ended, well or not, and say how.

Usage:
  job_wait.py [options] KEY URL JOB...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  JOB                a job's id; - reads ids from standard input, one a line

Options:
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas: id, state (these two unless given), tool_id, exit_code,
                     history_id, create_time, update_time
  -h, --help         show this help
  --version          show the version

Prints a line for each job as soon as it has ended (value, jsonl, csv, tsv). Exits with 0 only if all are ok or skipped; with
1 if it, or each of them, failed, saying why on standard error, 3 if some of several did, 4 when the time was up. A paused
job does not continue by itself, so it counts as ended, and not well. Jobs of one history take one small request a look.
  job_wait.py --timeout=3600 - - bbd44e69cb8906b5 8155e4b4bf1581ff
"""
import sys

from common import (
    NON_TERMINAL_JOB_STATES,
    TRY_LATER,
    UNATTENDED,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    run,
    show,
)
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, job_stderr, job_url
from galaxy_api_scripts.polling import combine_exit_codes, iter_terminal, parse_ids

FIELDS = ["id", "state", "tool_id", "exit_code", "history_id", "create_time", "update_time"]
LISTED = 10     # more jobs than this are asked for by the list of their history's, fewer one by one


def main(argv=None):
    args = arguments(__doc__, argv)
    ids, timeout = parse_ids(args["JOB"], "JOB"), int_option(args, "--timeout")
    output = output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    codes = []
    rows = iter_terminal(galaxy, ids, timeout, codes, fetch=lambda unknown: fetch_jobs(galaxy, unknown),
                         list_moving=lambda history: list_jobs(galaxy, history, state=list(NON_TERMINAL_JOB_STATES)),
                         non_terminal=NON_TERMINAL_JOB_STATES, success=SUCCESS_STATES,
                         describe_failure=lambda job: describe_failure(galaxy, job))
    show(rows, output["format"], output["fields"] or ["id", "state"])
    return combine_exit_codes(codes, ids)


def fetch_jobs(galaxy, ids):
    """Yield each of `ids` with its job, or the `GalaxyError` that says why there is none; many of a history by a request or
    two."""
    known, histories = {}, set()
    for job_id in ids:
        job = known.get(job_id.lower())
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


def list_jobs(galaxy, history, **only):
    """`{id: job}` of a history's jobs; {} if we may not list them."""
    try:
        return {job["id"]: job for job in galaxy.pages("jobs", {"history_id": history, **only})} if history else {}
    except GalaxyError as error:
        if error.status != 403:
            raise
        return {}       # another user's history, of which only this job is shared


def describe_failure(galaxy, job):
    """What to say of a job that has not ended well."""
    page = job_url(galaxy, job["id"])
    if job["state"] == "paused":
        return (f"job {job['id']} ({job['tool_id']}) is paused and won't go on by itself, mostly because one of its inputs "
                f"has failed; see {page}")
    lines = job_stderr(galaxy.get_or_none(f"jobs/{job['id']}", {"full": "true"}) or {}).splitlines()
    code = f", exit code {job['exit_code']}" if job.get("exit_code") is not None else ""
    return (f"job {job['id']} ({job['tool_id']}) ended in state {job['state']}{code}: "
            f"{lines[-1][:200] if lines else 'Galaxy does not say why'}; see {page}")


if __name__ == "__main__":
    sys.exit(run(main))
