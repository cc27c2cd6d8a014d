#!/usr/bin/env python3
"""Wait until jobs have ended, good or bad, and say how.

Usage:
  job_wait.py [options] KEY URL JOB...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  JOB                a job's id; - reads ids from standard input, one a line

Options:
  --timeout=SECONDS  how long to wait; as long as it takes unless given
  --format=FORMAT    value, jsonl, table, json, csv, tsv or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas, of id, state, tool_id, exit_code, history_id, create_time,
                     update_time; id and state unless given
  -h, --help         show this

Prints a line for each job as soon as it has ended (value, jsonl, csv, tsv). Exits with 0 only if all are ok or skipped;
with 1 when it, or each of them, failed, saying why on standard error, 3 when some of several did, 4 when the time was up. A
paused job won't go on by itself, so it counts as one that has ended, and not well. Jobs of one history take one small
request a look.
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
    parse_ids,
    run,
    show,
)
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, job_stderr, job_url
from galaxy_api_scripts.polling import combine_exit_codes, iter_terminal

FIELDS = ["id", "state", "tool_id", "exit_code", "history_id", "create_time", "update_time"]
FEW = 10        # jobs are asked for one by one, more by the list of their history's


def main(argv=None):
    args = arguments(__doc__, argv)
    wanted, timeout = parse_ids(args["JOB"], "JOB"), int_option(args, "--timeout")
    style, fields = output_options(args, FIELDS).values()
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    codes = []
    rows = iter_terminal(galaxy, wanted, timeout, codes, look=lambda unknown: found(galaxy, unknown),
                       moving=lambda history: listed(galaxy, history, state=list(NON_TERMINAL_JOB_STATES)),
            moves=NON_TERMINAL_JOB_STATES, good=SUCCESS_STATES,
                       failure=lambda job: failure(galaxy, job))
    show(rows, style, fields or ["id", "state"])
    return combine_exit_codes(codes, wanted)


def found(galaxy, jobs):
    """Each of `jobs` with what Galaxy says of it, or with why it says nothing; many of a history by a request or two."""
    known, histories = {}, set()
    for job in jobs:
        about = known.get(job.lower())
        if not about:
            try:
                about = galaxy.get(f"jobs/{job}")
            except GalaxyError as error:
                if error.exit_code == TRY_LATER or error.status == 401:
                    raise
                about = GalaxyError(f"job {job}: {error}", error.exit_code)
            else:
                if len(jobs) > FEW and about["history_id"] not in histories:
                    histories.add(about["history_id"])
                    known.update(listed(galaxy, about["history_id"]))
        yield job, about


def listed(galaxy, history, **only):
    """`{id: job}` of a history's jobs; {} where we may not have that list."""
    try:
        return {job["id"]: job for job in galaxy.pages("jobs", {"history_id": history, **only})} if history else {}
    except GalaxyError as error:
        if error.status != 403:
            raise
        return {}       # somebody else's history, of which only this job may be seen


def failure(galaxy, job):
    """What to say of a job that has not ended well."""
    if job["state"] == "paused":
        return (f"job {job['id']} ({job['tool_id']}) is paused and won't go on by itself, mostly because what it takes has "
                f"failed; see {job_url(galaxy, job['id'])}")
    said = job_stderr(galaxy.get_or_none(f"jobs/{job['id']}", {"full": "true"}) or {}).splitlines()
    code = f", exit code {job['exit_code']}" if job.get("exit_code") is not None else ""
    return (f"job {job['id']} ({job['tool_id']}) ended in state {job['state']}{code}: "
            f"{said[-1][:200] if said else 'Galaxy does not say why'}; see {job_url(galaxy, job['id'])}")


if __name__ == "__main__":
    sys.exit(run(main))
