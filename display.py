#!/usr/bin/env python3
"""Show what Galaxy answers to GET.

Usage:
  display.py [options] KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              an address of the API, or its path from /api/ on where the server can be looked up

Options:
  --all            every page of a list: Galaxy ends some lists early without saying so
  --limit=N        at most N of them
  --check          first compare address and fields with the server's own description, and send nothing that
                   it lacks; GALAXY_CHECK=1 does so always
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

The names of all your histories, with the ids that other commands want:
  display.py --all --fields=id,name - https://usegalaxy.org/api/histories
"""
import contextlib
import os
import sys

from common import GalaxyError, arguments, display, int_option, output_options, run


def main(argv=None):
    args = arguments(__doc__, argv)
    limit = int_option(args, "--limit", least=1)
    request = args["KEY"], args["URL"], "GET"
    if args["--check"] or os.environ.get("GALAXY_CHECK") == "1":
        from galaxy_api_scripts.routes.check import check_request
        check_request(*request)
    try:
        display(args["KEY"], args["URL"], all_pages=args["--all"], limit=limit, **output_options(args))
    except GalaxyError as error:
        if error.status in (400, 404):
            with contextlib.suppress(ImportError):      # it says no more where the package is missing
                from galaxy_api_scripts.routes.check import explain_refusal
                explain_refusal(error, *request)
        raise


if __name__ == "__main__":
    sys.exit(run(main))
