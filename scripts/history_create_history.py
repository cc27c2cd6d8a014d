#!/usr/bin/env python3
"""Create a history.

Usage:
  history_create_history.py [options] KEY URL [NAME]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or its .../api/histories, or - to look it up
  NAME             its name; Galaxy's own choice unless given

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

A history whose id goes into a variable:
  history=$(history_create_history.py --format=value --fields=id - - "Run 12")
"""
import sys

from common import arguments, output_options, run, submit


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    data = {} if args["NAME"] is None else {"name": args["NAME"]}
    submit(args["KEY"], args["URL"], data, route="histories", **output_options(args))


if __name__ == "__main__":
    sys.exit(run(main))
