#!/usr/bin/env python3
"""Delete something: send Galaxy a DELETE, and show what it answers.

Usage:
  delete.py [options] KEY URL [NAME=VALUE...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              an address of the API, or its path from /api/ on where the server can be looked up
  NAME=VALUE       a field of the payload, a string; NAME:=JSON is JSON, NAME:=@FILE a file's JSON, NAME@=FILE a
                   file's text to its last newline, @FILE alone the whole payload; FILE - is standard input

Options:
  --check            first compare address and fields with the server's own description, and send nothing that
                     it lacks; GALAXY_CHECK=1 does so always
  --wait             wait until the task that the answer names is done, as the purge of a history
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES     only these fields, separated by commas
  -n, --dry-run      show what would be done, change nothing
  -h, --help         show this help
  --version          show the version

A history, for good:
  delete.py - https://usegalaxy.org/api/histories/ID purge:=true
"""
import sys

from common import arguments, delete, guard_request, output_options, parse_payload, run


def main(argv=None):
    args = arguments(__doc__, argv)
    data = parse_payload(args["NAME=VALUE"])
    with guard_request(args, load_extras, "DELETE", data):
        delete(args["KEY"], args["URL"], data, dry_run=args["--dry-run"], **output_options(args))


def load_extras():
    """Return the module that knows --check, --wait, refusals and doubtful answers; a plain line needs none of it."""
    from galaxy_api_scripts.routes import verbs
    return verbs


if __name__ == "__main__":
    sys.exit(run(main))
