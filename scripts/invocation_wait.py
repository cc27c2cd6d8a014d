#!/usr/bin/env python3
"""Wait until a workflow's run has really ended, and say how.

Usage:
  invocation_wait.py [options] KEY URL INVOCATION

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  INVOCATION         the run's id, as workflow_execute.py shows it

Options:
  --timeout=SECONDS  how long to wait; as long as it takes unless given
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields of the outputs, separated by commas
  -q, --quiet        print no outputs
  -h, --help         show this

Exits with 0 only when every job is ok or skipped, and prints the run's labelled outputs; with 1 when one failed, naming
it; with 4 when the time was up.
  invocation_wait.py --timeout=3600 - - 85a07f4bbdb2c898
"""
import sys

from common import UNATTENDED, Galaxy, arguments, int_option, output_options, parse_id, run, show
from galaxy_api_scripts.invocations.invocation import wait_for_invocation


def main(argv=None):
    args = arguments(__doc__, argv)
    run_id, timeout = parse_id(args["INVOCATION"], "INVOCATION"), int_option(args, "--timeout")
    style, fields = output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    invocation = wait_for_invocation(galaxy, run_id, timeout)
    if not args["--quiet"]:
        outputs = {**invocation["outputs"], **invocation["output_collections"]}
        show([{"label": label, "src": made["src"], "id": made["id"]} for label, made in outputs.items()], style, fields)


if __name__ == "__main__":
    sys.exit(run(main))
