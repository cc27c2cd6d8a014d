#!/usr/bin/env python3
"""Wait until datasets have ended, well or not, and say how.

Usage:
  dataset_wait.py [options] KEY URL DATASET...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  DATASET            a dataset's id; - reads ids from standard input, one a line

Options:
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas: id, state (these two unless given), name, hid, history_id,
                     misc_info
  -h, --help         show this help
  --version          show the version

Prints a line for each dataset as soon as it has ended (value, jsonl, csv, tsv). Exits with 0 only if all have ended well;
with 1 if it, or each of them, failed, saying why on standard error, 3 if some of several did, 4 when the time was up.
Well is ok, empty (what older servers call an ok dataset without bytes), and deferred, whose bytes Galaxy fetches when they
are used. A paused dataset does not continue by itself, so it counts as ended, and not well.
  dataset_wait.py --timeout=3600 - - bbd44e69cb8906b5 8155e4b4bf1581ff
"""
import sys

from common import (
    NON_TERMINAL_DATASET_STATES,
    UNATTENDED,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    run,
    show,
)
from galaxy_api_scripts.polling import combine_exit_codes, fetch_datasets, iter_terminal, parse_ids

FIELDS = ["id", "state", "name", "hid", "history_id", "misc_info"]
SUCCESS = ("ok", "empty", "deferred")


def main(argv=None):
    args = arguments(__doc__, argv)
    ids, timeout = parse_ids(args["DATASET"], "DATASET"), int_option(args, "--timeout")
    output = output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    codes = []
    rows = iter_terminal(galaxy, ids, timeout, codes, fetch=lambda unknown: fetch_datasets(galaxy, unknown, FIELDS),
                         list_moving=lambda history: list_moving(galaxy, history), non_terminal=NON_TERMINAL_DATASET_STATES,
                         success=SUCCESS, describe_failure=describe_failure)
    show(rows, output["format"], output["fields"] or ["id", "state"])
    return combine_exit_codes(codes, ids)


def list_moving(galaxy, history):
    """The ids of a history's datasets that have not ended, by a small request however many it has."""
    only = {"history_content_type-eq": "dataset", "state-in": ",".join(NON_TERMINAL_DATASET_STATES)}
    try:
        return [dataset["id"] for dataset in galaxy.pages("datasets", {
            "history_id": history, "q": list(only), "qv": list(only.values()), "keys": "id"})]
    except GalaxyError as error:
        if error.status != 403:
            raise
        return []       # another user's history, of which only some datasets are shared


def describe_failure(dataset):
    """What to say of a dataset that has not ended well."""
    how = "is paused and won't go on by itself" if dataset["state"] == "paused" else f"ended in state {dataset['state']}"
    return f"dataset {dataset['id']} ({dataset['name']}) {how}: {dataset.get('misc_info') or 'Galaxy does not say why'}"


if __name__ == "__main__":
    sys.exit(run(main))
