#!/usr/bin/env python3
"""Change something: send Galaxy a PUT, or a PATCH, and show what it answers.

Usage:
  update.py [options] KEY URL [NAME=VALUE...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              an address of the API, or its path from /api/ on where the server can be looked up
  NAME=VALUE       a field of the payload, a string; NAME:=JSON is JSON, NAME:=@FILE a file's JSON, NAME@=FILE a
                   file's text to its last newline, @FILE alone the whole payload; FILE - is standard input

Options:
  --patch            send a PATCH, which changes only what it names, as a library's name needs it
  --check            first compare address and fields with the server's own description, and send nothing that
                     it lacks; GALAXY_CHECK=1 does so always
  --wait             wait until the task that the answer names is done
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES     only these fields, separated by commas
  -n, --dry-run      show what would be done, change nothing
  -h, --help         show this help
  --version          show the version

A history's new name, and its tags:
  update.py - https://usegalaxy.org/api/histories/ID name=done tags:='["rna", "paper"]'
"""
import sys

from common import arguments, guard_request, output_options, parse_payload, run, update


def main(argv=None):
    args = arguments(__doc__, argv)
    data = parse_payload(args["NAME=VALUE"])
    method = "PATCH" if args["--patch"] else "PUT"
    with guard_request(args, load_extras, method, data):
        update(args["KEY"], args["URL"], data, method=method, dry_run=args["--dry-run"], **output_options(args))


def load_extras():
    """Return the module that knows --check, --wait, refusals and doubtful answers; a plain line needs none of it."""
    from galaxy_api_scripts.routes import verbs
    return verbs


if __name__ == "__main__":
    sys.exit(run(main))
