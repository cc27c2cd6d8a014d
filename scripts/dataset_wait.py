#!/usr/bin/env python3
"""Wait until datasets have ended, good or bad, and say how.

Usage:
  dataset_wait.py [options] KEY URL DATASET...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  DATASET            a dataset's id; - reads ids from standard input, one a line

Options:
  --timeout=SECONDS  how long to wait; as long as it takes unless given
  --format=FORMAT    value, jsonl, table, json, csv, tsv or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas, of id, state, name, hid, history_id, misc_info; id and state
                     unless given
  -h, --help         show this

Prints a line for each dataset as soon as it has ended (value, jsonl, csv, tsv). Exits with 0 only if all have ended well;
with 1 when it, or each of them, failed, saying why on standard error, 3 when some of several did, 4 when the time was up.
Well is ok, empty (what older servers call one of no bytes that is ok), and deferred, whose bytes Galaxy fetches once they
are used. A paused dataset won't go on by itself, so it counts as one that has ended, and not well.
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
    parse_ids,
    run,
    show,
)
from galaxy_api_scripts.polling import combine_exit_codes, fetch_datasets, iter_terminal

FIELDS = ["id", "state", "name", "hid", "history_id", "misc_info"]
GOOD = ("ok", "empty", "deferred")


def main(argv=None):
    args = arguments(__doc__, argv)
    wanted, timeout = parse_ids(args["DATASET"], "DATASET"), int_option(args, "--timeout")
    style, fields = output_options(args, FIELDS).values()
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    codes = []
    rows = iter_terminal(galaxy, wanted, timeout, codes, look=lambda unknown: fetch_datasets(galaxy, unknown, FIELDS),
                       moving=lambda history: on_the_move(galaxy, history), moves=NON_TERMINAL_DATASET_STATES, good=GOOD, failure=failure)
    show(rows, style, fields or ["id", "state"])
    return combine_exit_codes(codes, wanted)


def on_the_move(galaxy, history):
    """The ids of all datasets of a history that have not ended; a small request, however many datasets it has."""
    only = {"history_content_type-eq": "dataset", "state-in": ",".join(NON_TERMINAL_DATASET_STATES)}
    try:
        return [dataset["id"] for dataset in galaxy.pages("datasets", {
            "history_id": history, "q": list(only), "qv": list(only.values()), "keys": "id"})]
    except GalaxyError as error:
        if error.status != 403:
            raise
        return []       # somebody else's history, from which only the datasets are shared


def failure(about):
    """What to say of a dataset that has not ended well."""
    how = "is paused and won't go on by itself" if about["state"] == "paused" else f"ended in state {about['state']}"
    return f"dataset {about['id']} ({about['name']}) {how}: {about.get('misc_info') or 'Galaxy does not say why'}"


if __name__ == "__main__":
    sys.exit(run(main))
