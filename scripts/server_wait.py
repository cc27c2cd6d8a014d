#!/usr/bin/env python3
"""Wait until a server is up: it answers, knows the key, and a job that is sent to it ends well.

Usage:
  server_wait.py [options] KEY URL

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up

Options:
  --no-job           do not run a job, only wait for answers
  --timeout=SECONDS  stop waiting after this many seconds in all  [default: 600]
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas: url, version, user, job, seconds
  -h, --help         show this help
  --version          show the version

The job uploads some bytes to a history of its own, which is purged afterwards. A key that the server does not know, a
certificate that does not verify or a job that fails ends the wait at once, with status 1. When the time is up the status is
75 if the server does not answer, and 4 if the job has not ended. After a restart, in a script:
  server_wait.py --timeout=900 - https://galaxy.example.org && echo "Galaxy is back"
"""
import sys
from contextlib import nullcontext

from common import Galaxy, arguments, eprint, int_option, output_options, run, show
from galaxy_api_scripts.server.trial_job import TrialHistory, wait_for_server

FIELDS = ["url", "version", "user", "job", "seconds"]


def main(argv=None):
    args = arguments(__doc__, argv)
    timeout, output = int_option(args, "--timeout"), output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=0)

    with nullcontext() if args["--no-job"] else TrialHistory(galaxy) as trial:
        answer = wait_for_server(galaxy, timeout, trial, tell_once())
    show(answer, output["format"], output["fields"] or FIELDS, upright=True)


def tell_once():
    """A function that prints what it is told on a terminal, but not twice in a row."""
    told = [""]

    def tell(text):
        if text != told[0] and sys.stderr.isatty():
            eprint(f"waiting: {text}")
        told[0] = text
    return tell


if __name__ == "__main__":
    sys.exit(run(main))
