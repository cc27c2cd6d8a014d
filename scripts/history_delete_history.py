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
    GalaxyError,
    arguments,
    bool_option,
    id_from_url,
    output_options,
    print_answer,
    print_request,
    run,
    show,
)

NO_PURGING = "its administrator can set allow_user_dataset_purge: true in galaxy.yml; without PURGE the history is deleted"


def main(argv=None):
    args = arguments(__doc__, argv)
    purge, (style, fields) = bool_option(args["PURGE"], "PURGE"), output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"])
    history = id_from_url(galaxy.url, "histories")

    data = {} if args["PURGE"] is None else {"purge": purge}
    if args["--dry-run"]:
        print_request("DELETE", galaxy.url, data, style)
        return
    try:
        answer = galaxy.delete(f"histories/{history}", data)
    except GalaxyError as error:
        if error.status == 403 and "purging" in (error.err_msg or ""):
            raise GalaxyError(f"the server lets nobody purge: {NO_PURGING}", status=403) from None
        raise
    show(answer, style, fields, plain=print_answer, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
