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
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style, in place of the old scripts' text
  --fields=NAMES   only these fields of the answer, separated by commas, as a table unless --format is given
  -h, --help       show this

A library whose id goes into a variable:
  library=$(library_create_library.py --format=value --fields=id - - "Sequencing 2026" "Runs of all instruments")
"""
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, output_options, print_response, run, show


def main(argv=None):
    args = arguments(__doc__, argv)
    given = {name: args[name.upper()] for name in ("name", "description", "synopsis")}
    style, fields = output_options(args).values()
    if not given["name"].strip():
        raise GalaxyError("NAME is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])
    if galaxy.url.rstrip("/").removeprefix(galaxy.base) not in ("", "/api", "/api/libraries"):
        raise GalaxyError(f"URL is {galaxy.base}/api/libraries here", USAGE)

    answer = galaxy.post("libraries", {name: value for name, value in given.items() if value is not None})
    show(answer, style, fields, plain=print_response, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
