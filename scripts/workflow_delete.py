#!/usr/bin/env python3
"""Delete a workflow.

Usage:
  workflow_delete.py [options] KEY URL [PURGE]

Arguments:
  KEY            your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL            the workflow's address, .../api/workflows/ID, or its path from /api/ on
  PURGE          true or false, sent as ever; Galaxy 26.1 keeps a deleted workflow either way

Options:
  -n, --dry-run  show what would be sent, send nothing
  -h, --help     show this

Galaxy answers with nothing; the workflow is no longer listed, and its runs stay.
  workflow_delete.py - /api/workflows/f2db41e1fa331b3e
"""
import sys

from common import Galaxy, arguments, bool_option, id_from_url, print_answer, print_request, run


def main(argv=None):
    args = arguments(__doc__, argv)
    purge = bool_option(args["PURGE"], "PURGE")
    galaxy = Galaxy(args["KEY"], args["URL"])
    workflow = id_from_url(galaxy.url, "workflows")

    data = {} if args["PURGE"] is None else {"purge": purge}
    if args["--dry-run"]:
        print_request("DELETE", galaxy.url, data)
    else:
        print_answer(galaxy.delete(f"workflows/{workflow}", data))


if __name__ == "__main__":
    sys.exit(run(main))
