#!/usr/bin/env python3
"""Delete a history, for good if so told.

Usage:
  history_delete_history.py [options] KEY URL [PURGE]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the history's address, .../api/histories/ID, or its path from /api/ on
  PURGE            true: its datasets are removed from the disk too, and it can't be undeleted; false unless given

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style, in place of the old scripts' text
  --fields=NAMES   only these fields of the answer, separated by commas, as a table unless --format is given
  -n, --dry-run    show what would be sent, send nothing
  -h, --help       show this

A history, and the disk space it takes:
  history_delete_history.py - /api/histories/f2db41e1fa331b3e true
"""
import sys

from common import (
    Galaxy,
    Refused,
    arguments,
    id_in,
    output,
    print_answer,
    run,
    show,
    show_request,
    yes_or_no,
)

NO_PURGING = "its administrator can set allow_user_dataset_purge: true in galaxy.yml; without PURGE the history is deleted"


def main(argv=None):
    args = arguments(__doc__, argv)
    purge, (style, fields) = yes_or_no(args["PURGE"], "PURGE"), output(args)
    galaxy = Galaxy(args["KEY"], args["URL"])
    history = id_in(galaxy.url, "histories")

    data = {} if args["PURGE"] is None else {"purge": purge}
    if args["--dry-run"]:
        show_request("DELETE", galaxy.url, data, style)
        return
    try:
        answer = galaxy.delete(f"histories/{history}", data)
    except Refused as error:
        if error.status == 403 and "purging" in (error.err_msg or ""):
            raise Refused(f"the server lets nobody purge: {NO_PURGING}", status=403) from None
        raise
    show(answer, style, fields, plain=print_answer, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
