#!/usr/bin/env python3
"""Wait until datasets have ended, well or not, and say how.

Usage:
  dataset_wait.py [options] KEY URL DATASET...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  DATASET            the id of a history's dataset; hda:ID, which may be another user's; hdca:ID, a collection; ldda:ID or
                     lib:/LIBRARY/FOLDER/NAME, a library's dataset; - reads such words from standard input, one a line

Options:
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas: id, state (these two unless given), ref, name, hid, history_id,
                     misc_info
  -h, --help         show this help
  --version          show the version

Prints a line for each as soon as it has ended (value, jsonl, csv, tsv), with its ref in place of the id if it is not a
history's dataset. Exits with 0 only if all have ended well; with 1 if it, or each of them, failed, saying why on standard
error, 3 if some of several did, 4 when the time was up. A collection has ended when it is filled and all its datasets have.
Well is ok, empty (what older servers call an ok dataset without bytes), and deferred, whose bytes Galaxy fetches when they
are used. A paused dataset does not continue by itself, so it counts as ended, and not well; nor does one whose job was
deleted, though Galaxy leaves it in state new.
  dataset_wait.py --timeout=3600 - - bbd44e69cb8906b5 8155e4b4bf1581ff
"""
import sys
from collections import Counter

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
from galaxy_api_scripts.datasets.collections import element_datasets
from galaxy_api_scripts.datasets.lookup import fetch_refs, parse_refs
from galaxy_api_scripts.libraries.contents import resolve_library_paths
from galaxy_api_scripts.polling import STUCK_INTERVAL, combine_exit_codes, fetch_datasets, find_stuck, iter_terminal

FIELDS = ["id", "state", "name", "hid", "history_id", "misc_info", "ref"]
SUCCESS = ("ok", "empty", "deferred")


def main(argv=None):
    args = arguments(__doc__, argv)
    refs, timeout = parse_refs(args["DATASET"], "DATASET"), int_option(args, "--timeout")
    output = output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    codes, stuck, looks = [], {}, Counter()
    known = resolve_library_paths(galaxy, refs, codes)
    rows = iter_terminal(galaxy, known, timeout, codes, fetch=lambda unknown: fetch(galaxy, unknown, stuck, looks),
                         list_moving=lambda history: list_moving(galaxy, history, stuck),
                         non_terminal=NON_TERMINAL_DATASET_STATES, success=SUCCESS, describe_failure=describe_failure)
    name = "id" if all(ref.partition(":")[0] in (ref, "hda") for ref in refs) else "ref"
    show(rows, output["format"], output["fields"] or [name, "state"])
    return combine_exit_codes(codes, refs)


def fetch(galaxy, refs, stuck, looks):
    """Each of `refs` with its state, and with what `stuck` says of it; `looks` counts those at each collection."""
    for ref, thing in fetch_refs(galaxy, refs, FIELDS[:-1]):
        if isinstance(thing, GalaxyError):
            yield ref, thing
            continue
        reason = stuck.get(thing["id"], "") if thing["ref"].startswith("hda:") else ""
        if thing["ref"].startswith("hdca:") and thing["state"] in NON_TERMINAL_DATASET_STATES:
            looks[ref] += 1
            if looks[ref] % STUCK_INTERVAL == 0:
                reason = find_stuck_elements(galaxy, thing["id"])
        yield ref, {**dict.fromkeys(FIELDS), **thing, "stuck": reason}


def find_stuck_elements(galaxy, collection):
    """Why a collection's datasets that have not ended never will; "" if some may."""
    elements = element_datasets(galaxy.get(f"dataset_collections/{collection}")["elements"])
    ids = [dataset["id"] for _, dataset in elements if dataset["state"] in NON_TERMINAL_DATASET_STATES]
    moving = [dataset for _, dataset in fetch_datasets(galaxy, ids, ["history_id", "creating_job"])
              if not isinstance(dataset, GalaxyError)]
    stuck = find_stuck(galaxy, moving)
    return f"dataset {ids[0]}: {stuck[ids[0]]}" if ids and set(ids) <= set(stuck) else ""


def list_moving(galaxy, history, stuck):
    """The ids of a history's datasets that have not ended, by small requests however many it has. Those that never will are
    left out, and added to `stuck`."""
    only = {"history_content_type-eq": "dataset", "state-in": ",".join(NON_TERMINAL_DATASET_STATES)}
    try:
        moving = list(galaxy.pages("datasets", {"history_id": history, "q": list(only), "qv": list(only.values()),
                                                "keys": "id,history_id,creating_job"}))
        stuck.update(find_stuck(galaxy, moving))
    except GalaxyError as error:
        if error.status != 403:
            raise
        return []       # another user's history, of which only some datasets are shared
    return [dataset["id"] for dataset in moving if dataset["id"] not in stuck]


def describe_failure(thing):
    """What to say of a dataset or collection that has not ended well."""
    how = "is paused and won't go on by itself" if thing["state"] == "paused" else f"ended in state {thing['state']}"
    if thing["stuck"]:
        how = f"stays in state {thing['state']}"
    label = f"collection {thing['id']}" if thing["ref"].startswith("hdca:") else f"dataset {thing['id']}"
    return f"{label} ({thing['name']}) {how}: {thing['stuck'] or thing.get('misc_info') or 'Galaxy does not say why'}"


if __name__ == "__main__":
    sys.exit(run(main))
