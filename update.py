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
  --patch          send a PATCH, which changes only what it names, as a library's name needs it
  --check          first compare address and fields with the server's own description, and send nothing that
                   it lacks; GALAXY_CHECK=1 does so always
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -n, --dry-run    show what would be done, change nothing
  -h, --help       show this help
  --version        show the version

A history's new name, and its tags:
  update.py - https://usegalaxy.org/api/histories/ID name=done tags:='["rna", "paper"]'
"""
import contextlib
import os
import sys

from common import GalaxyError, arguments, output_options, parse_payload, run, update


def main(argv=None):
    args = arguments(__doc__, argv)
    data = parse_payload(args["NAME=VALUE"])
    method = "PATCH" if args["--patch"] else "PUT"
    request = args["KEY"], args["URL"], method, data
    if args["--check"] or os.environ.get("GALAXY_CHECK") == "1":
        from galaxy_api_scripts.routes.check import check_request
        check_request(*request)
    try:
        update(args["KEY"], args["URL"], data, method=method, dry_run=args["--dry-run"], **output_options(args))
    except GalaxyError as error:
        if error.status in (400, 404):
            with contextlib.suppress(ImportError):      # it says no more where the package is missing
                from galaxy_api_scripts.routes.check import explain_refusal
                explain_refusal(error, *request)
        raise


if __name__ == "__main__":
    sys.exit(run(main))
