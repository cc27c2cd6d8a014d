#!/usr/bin/env python3
"""Delete a workflow.

Usage:
  workflow_delete.py [options] KEY URL [PURGE]

Arguments:
  KEY            your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL            the workflow's address, .../api/workflows/ID, or its path from /api/ on
  PURGE          true or false, sent as ever; Galaxy 26.1 keeps a deleted workflow either way

Options:
  -n, --dry-run  show what would be done, change nothing
  -h, --help     show this help
  --version      show the version

Galaxy answers with nothing; the workflow is no longer listed, and its runs stay.
  workflow_delete.py - /api/workflows/f2db41e1fa331b3e
"""
import sys

from common import arguments, bool_option, delete, run


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    data = {} if args["PURGE"] is None else {"purge": bool_option(args["PURGE"], "PURGE")}
    delete(args["KEY"], args["URL"], data, route="workflows/ID", dry_run=args["--dry-run"])


if __name__ == "__main__":
    sys.exit(run(main))
