#!/usr/bin/env python3
"""List the jobs that wait or run on a server, everybody's for an administrator, else your own; or count them.

Usage:
  job_list.py [options] KEY URL

Arguments:
  KEY                 your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                 the server, or - to look it up

Options:
  --state=STATES      only those in these states, separated by commas, such as running,error; or all;
                      without it those that have not ended, and the paused ones
  --tool=TOOLS        only those of these tools, separated by commas: an id, a Tool Shed's tool without its address, or *
                      for any text, as in fastqc,bwa*
  --user=USER         only those of this user: e-mail address, public name or id
  --destination=NAME  only those with this job runner, such as slurm; Galaxy tells no more about a destination
  --history=WHICH     only those in the history with this id or unique name
  --older-than=AGE    only those made so long ago, such as 90m, 12h or 1d12h; a number alone is in days
  --unchanged=AGE     only those that have not changed for so long; a running job changed last when it began to run
  --count=FIELDS      count them by these fields, separated by commas: state, tool, user, destination, history_id,
                      handler, exit_code
  --limit=N           at most N of them
  --format=FORMAT     table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES      only these fields, separated by commas: id, state, tool, user, destination, age,
                      unchanged, history_id (these unless given), handler, external_id (the job's id at the cluster),
                      exit_code, create_time, update_time, command_line
  -h, --help          show this help
  --version           show the version

What changed last comes first. Ages are by the server's clock, times in UTC. Galaxy tells destinations and handlers to
administrators only. job_cancel.py takes the same filters.
  job_list.py --state=running --unchanged=2d - -
Which tools' jobs have failed, and how often:
  job_list.py --state=error --count=tool - -
"""
import sys
from itertools import islice

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.job_queue.selection import (
    COUNTED_FIELDS,
    FIELDS,
    MORE_FIELDS,
    count_jobs,
    parse_filter,
    select_jobs,
    split_commas,
)
from galaxy_api_scripts.job_queue.times import fetch_server_time


def main(argv=None):
    args = arguments(__doc__, argv)
    wanted, counted, limit = parse_filter(args), parse_counted(args["--count"]), int_option(args, "--limit", 1)
    fields = [*counted, "count"] if counted else FIELDS
    output = output_options(args, fields if counted else [*fields, *MORE_FIELDS])
    galaxy = Galaxy(args["KEY"], args["URL"])

    jobs = islice(select_jobs(galaxy, wanted, fetch_server_time(galaxy)), limit)
    show(count_jobs(jobs, counted) if counted else jobs, output["format"], output["fields"] or fields)


def parse_counted(text):
    """The fields in `--count`."""
    fields = list(split_commas(text))
    unknown = [name for name in fields if name not in COUNTED_FIELDS]
    if unknown:
        raise GalaxyError(f"--count: there is no {', '.join(unknown)}: there are {', '.join(COUNTED_FIELDS)}", USAGE)
    return fields


if __name__ == "__main__":
    sys.exit(run(main))
