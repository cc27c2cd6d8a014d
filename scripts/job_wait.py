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

from common import UNATTENDED, Galaxy, arguments, int_option, output_options, run, show
from galaxy_api_scripts.invocations.jobs import iter_ended_jobs
from galaxy_api_scripts.polling import combine_exit_codes, parse_ids

FIELDS = ["id", "state", "tool_id", "exit_code", "history_id", "create_time", "update_time"]


def main(argv=None):
    args = arguments(__doc__, argv)
    ids, timeout = parse_ids(args["JOB"], "JOB"), int_option(args, "--timeout")
    output = output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    codes = []
    rows = iter_ended_jobs(galaxy, ids, timeout, codes)
    show(rows, output["format"], output["fields"] or ["id", "state"])
    return combine_exit_codes(codes, ids)


if __name__ == "__main__":
    sys.exit(run(main))
