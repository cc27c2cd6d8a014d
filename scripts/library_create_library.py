#!/usr/bin/env python3
"""Create a data library.

Usage:
  library_create_library.py [options] KEY URL NAME [DESCRIPTION] [SYNOPSIS]

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or its .../api/libraries, or - to look it up
  NAME             its name; Galaxy takes one that another library has, too
  DESCRIPTION      what is in it
  SYNOPSIS         more about it

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

A library whose id goes into a variable:
  library=$(library_create_library.py --format=value --fields=id - - "Sequencing 2026" "Runs of all instruments")
"""
import sys

from common import USAGE, GalaxyError, arguments, output_options, run, submit


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    if not args["NAME"].strip():
        raise GalaxyError("NAME is empty: is a variable unset?", USAGE)
    fields = {"name": args["NAME"], "description": args["DESCRIPTION"], "synopsis": args["SYNOPSIS"]}
    data = {name: value for name, value in fields.items() if value is not None}
    submit(args["KEY"], args["URL"], data, route="libraries", **output_options(args))


if __name__ == "__main__":
    sys.exit(run(main))
