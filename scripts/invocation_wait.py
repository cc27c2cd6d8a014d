#!/usr/bin/env python3
"""Wait until all jobs of a workflow invocation have ended, and tell whether they succeeded.

Usage:
  invocation_wait.py [options] KEY URL INVOCATION

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  INVOCATION         the invocation's id, as workflow_execute.py shows it

Options:
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas  [default: label,src,id]
  -q, --quiet        no progress, only results and errors
  -h, --help         show this help
  --version          show the version

Exits with 0 only if every job is ok or skipped, and prints the invocation's labelled outputs; with 1 if a job failed,
naming the first; with 4 if it still runs after the timeout.
  invocation_wait.py --timeout=3600 - - 85a07f4bbdb2c898
"""
import sys

from common import UNATTENDED, Galaxy, arguments, int_option, output_options, parse_id, run, show
from galaxy_api_scripts.invocations.invocation import invocation_outputs, wait_for_invocation
from galaxy_api_scripts.progress import date_lines, enable_bars, state_progress

FIELDS = ["label", "src", "id"]


def main(argv=None):
    args = arguments(__doc__, argv)
    date_lines(f"invocation {args['INVOCATION']}")
    invocation_id, timeout = parse_id(args["INVOCATION"], "INVOCATION"), int_option(args, "--timeout")
    output = output_options(args, FIELDS)
    enable_bars(not args["--quiet"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    with state_progress("jobs") as on_progress:
        invocation = wait_for_invocation(galaxy, invocation_id, timeout, on_progress=on_progress, reruns={})
    show([{"label": label, "src": made["src"], "id": made["id"]} for label, made in invocation_outputs(invocation).items()],
         **output)


if __name__ == "__main__":
    sys.exit(run(main))
