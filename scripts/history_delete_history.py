#!/usr/bin/env python3
"""Delete a history, for good if so told.

Usage:
  history_delete_history.py [options] KEY URL [PURGE]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the history's address, .../api/histories/ID, or its path from /api/ on
  PURGE            true: its datasets are removed from the disk too, and it can't be undeleted; false unless given

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -n, --dry-run    show what would be done, change nothing
  -h, --help       show this help
  --version        show the version

A history, and the disk space it takes:
  history_delete_history.py - /api/histories/f2db41e1fa331b3e true
"""
import sys

from common import GalaxyError, arguments, bool_option, delete, output_options, run

HINT = "its administrator can set allow_user_dataset_purge: true in galaxy.yml; without PURGE the history is deleted"


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    data = {} if args["PURGE"] is None else {"purge": bool_option(args["PURGE"], "PURGE")}
    try:
        delete(args["KEY"], args["URL"], data, route="histories/ID", dry_run=args["--dry-run"], **output_options(args))
    except GalaxyError as error:
        if error.status == 403 and "purging" in (error.err_msg or ""):
            raise GalaxyError(f"the server lets nobody purge: {HINT}", status=403) from None
        raise


if __name__ == "__main__":
    sys.exit(run(main))
