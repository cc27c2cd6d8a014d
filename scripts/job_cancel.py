#!/usr/bin/env python3
"""Cancel jobs that have not ended, by their ids or by the filters of job_list.py; an administrator cancels anybody's.

Usage:
  job_cancel.py [options] KEY URL [JOB...]

Arguments:
  KEY                 your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                 the server, or - to look it up
  JOB                 a job's id; - reads ids from standard input, one a line. Without any, at least one filter is needed

Options:
  --state=STATES      only those in these states, separated by commas, of those that have not ended: new, resubmitted,
                      upload, waiting, queued, running, stop, paused; or all
  --tool=TOOLS        only those of these tools, separated by commas: an id, a Tool Shed's tool without its address, or *
                      for any text, as in fastqc,bwa*
  --user=USER         only those of this user: e-mail address, public name or id
  --destination=NAME  only those with this job runner, such as slurm; Galaxy tells no more about a destination
  --history=WHICH     only those in the history with this id or unique name
  --older-than=AGE    only those made so long ago, such as 90m, 12h or 1d12h; a number alone is in days
  --unchanged=AGE     only those that have not changed for so long; a running job changed last when it began to run
  --message=TEXT      a message that Galaxy shows the user at the jobs' datasets
  --limit=N           at most N of them
  --timeout=SECONDS   stop waiting after this many seconds in all: for cancelled jobs to end  [default: 30]
  --format=FORMAT     table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES      only these fields, separated by commas: id, state, tool, user, action (these unless given),
                      destination, age, unchanged, history_id, handler, external_id
  -n, --dry-run       show what would be done, change nothing
  -h, --help          show this help
  --version           show the version

Prints a row for each job that it cancelled, with the state that it then has in Galaxy: deleted, or deleting while its
process has not ended; a job whose process had not begun may stay so for good. A fetch of files may become ok, but its
datasets are deleted all the same. A job that had ended is left alone, and named on standard error unless it was cancelled
before. What waits for the outputs of a cancelled job becomes paused. If some of several can't be cancelled, the exit status
is 3.
  job_cancel.py - - bbd44e69cb8906b5
  job_cancel.py --state=running --unchanged=7d --tool=bwa* --dry-run - -
"""
import sys
from itertools import chain, islice

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.job_queue.cancel import Cancellation, find_jobs
from galaxy_api_scripts.job_queue.selection import OPEN_STATES, parse_filter, select_jobs
from galaxy_api_scripts.job_queue.times import fetch_server_time
from galaxy_api_scripts.polling import combine_exit_codes, parse_ids

FILTERS = ["--state", "--tool", "--user", "--destination", "--history", "--older-than", "--unchanged"]
FIELDS = ["id", "state", "tool", "user", "action"]
MORE_FIELDS = ["destination", "age", "unchanged", "history_id", "handler", "external_id"]


def main(argv=None):
    args = arguments(__doc__, argv)
    wanted, limit = parse_filter(args, OPEN_STATES), int_option(args, "--limit", 1)
    output, message, dry_run = output_options(args, [*FIELDS, *MORE_FIELDS]), args["--message"], args["--dry-run"]
    timeout = int_option(args, "--timeout")
    filters = [option for option in FILTERS if args[option] is not None]
    if bool(args["JOB"]) == bool(filters):
        raise GalaxyError("expected JOB or a filter, and not both: no line cancels all jobs of a server unasked", USAGE)
    ids = parse_ids(args["JOB"], "JOB")
    galaxy = Galaxy(args["KEY"], args["URL"])

    now = fetch_server_time(galaxy)
    jobs = find_jobs(galaxy, ids, now) if args["JOB"] else select_jobs(galaxy, wanted, now)
    cancellation = Cancellation(galaxy, now, message, dry_run)
    rows = cancellation.run(islice(jobs, limit), timeout)
    first = list(islice(rows, 1))
    if first or output["format"] == "json":
        show(chain(first, rows), output["format"], output["fields"] or FIELDS)
    return combine_exit_codes(cancellation.codes, cancellation.tried)


if __name__ == "__main__":
    sys.exit(run(main))
