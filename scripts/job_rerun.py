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
elements of collections, and as inputs of the jobs that wait. In each row, `id` is the new job, `state` its final state;
`paused` lists the jobs that were waiting for it. The script waits for both. A job that can't be run again is named with
the reason, and the others run. Exits with 0 only if all have ended well; with 1 if none has, 3 if some have, 4 when the time
was up, or while jobs run and none has failed yet. After a kill, the same line again continues, and runs nothing twice.
  job_rerun.py --dry-run --invocation=85a07f4bbdb2c898 - -
  job_rerun.py - - bbd44e69cb8906b5
"""
import sys

from common import (
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    parse_id,
    run,
    show,
)
from galaxy_api_scripts.datasets.target_history import find_writable_history
from galaxy_api_scripts.invocations.job_reruns import JobReruns
from galaxy_api_scripts.invocations.jobs import GIVEN_UP_STATES, list_steps
from galaxy_api_scripts.polling import combine_exit_codes, parse_ids

FIELDS = ["job", "id", "tool_id", "state", "paused", "history_id"]


def main(argv=None):
    args = arguments(__doc__, argv)
    ids, timeout = parse_ids(args["JOB"], "JOB"), int_option(args, "--timeout")
    output, dry_run, no_wait = output_options(args, FIELDS), args["--dry-run"], args["--no-wait"]
    if bool(args["JOB"]) + (args["--invocation"] is not None) + (args["--history"] is not None) != 1:
        raise GalaxyError("expected ids of jobs, or --invocation=ID, or --history=HISTORY", USAGE)
    invocation_id = args["--invocation"] and parse_id(args["--invocation"], "--invocation")
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    user = galaxy.current_user()

    reruns = JobReruns(galaxy, user["id"], dry_run)
    if invocation_id:
        ids = reruns.find_failed(*jobs_of_invocation(galaxy, invocation_id))
    elif args["--history"]:
        ids = reruns.find_failed(find_writable_history(galaxy, args["--history"], user)["id"])
    for job_id in ids:
        reruns.run(job_id, is_named=bool(args["JOB"]))
    reruns.check_remapped()
    rows = (entry.row() for entry in reruns.entries) if dry_run or no_wait else reruns.wait(timeout)
    if reruns.entries or output["format"] == "json":
        show(rows, output["format"], output["fields"])
    reruns.remove_records(keep_running=not no_wait)
    return combine_exit_codes(reruns.codes, ids)


def jobs_of_invocation(galaxy, invocation_id):
    """The history of an invocation, and its jobs; refuse one that would stay incomplete."""
    invocation = galaxy.get(f"invocations/{invocation_id}")
    if invocation["state"] in GIVEN_UP_STATES:
        raise GalaxyError(f"invocation {invocation_id} is {invocation['state']}, so Galaxy makes no more jobs of it, "
                          f"whichever run again: invocation_rerun.py - - {invocation_id} runs all of it again")
    return invocation["history_id"], [job for step in list_steps(galaxy, invocation) for job in step["jobs"]]


if __name__ == "__main__":
    sys.exit(run(main))
