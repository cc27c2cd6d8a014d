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

from bulk import found, status
from common import (
    DATASET_MOVES,
    REFUSED,
    STILL_RUNNING,
    UNATTENDED,
    Galaxy,
    Refused,
    arguments,
    complain,
    ids,
    output,
    run,
    show,
    whole_number,
)

FIELDS = ["id", "state", "name", "hid", "history_id", "misc_info"]
GOOD = ("ok", "empty", "deferred")


def main(argv=None):
    args = arguments(__doc__, argv)
    wanted, timeout = ids(args["DATASET"], "DATASET"), whole_number(args, "--timeout")
    style, fields = output(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    codes = []
    show(ended(galaxy, wanted, timeout, codes), style, fields or ["id", "state"])
    return status(codes, wanted)


def ended(galaxy, wanted, timeout, codes):
    """Each dataset once it has ended; an exit code is added to `codes` for one that did not end well."""
    unknown, moving = list(wanted), {}      # {id: the id of its history}
    for _ in galaxy.looks(timeout):
        still = {dataset for history in set(moving.values()) for dataset in on_the_move(galaxy, history)}
        unknown += [dataset for dataset in moving if dataset not in still]
        for dataset, about in found(galaxy, unknown, FIELDS):
            moving.pop(dataset, None)
            if isinstance(about, Refused):
                codes.append(complain(str(about), about.exit_code))
            elif about["state"] in DATASET_MOVES:
                moving[about["id"]] = about["history_id"]
            else:
                if about["state"] not in GOOD:
                    codes.append(complain(failure(about), REFUSED))
                yield about
        unknown = []
        if not moving:
            return
    few = ", ".join(list(moving)[:3]) + (", ..." if len(moving) > 3 else "")
    codes.append(complain(f"{len(moving)} of {len(wanted)} still running after {timeout} s: {few}", STILL_RUNNING))


def on_the_move(galaxy, history):
    """The ids of all datasets of a history that have not ended; a small request, however many datasets it has."""
    only = {"history_content_type-eq": "dataset", "state-in": ",".join(DATASET_MOVES)}
    try:
        return [dataset["id"] for dataset in galaxy.pages("datasets", {
            "history_id": history, "q": list(only), "qv": list(only.values()), "keys": "id"})]
    except Refused as error:
        if error.status != 403:
            raise
        return []       # somebody else's history, from which only the datasets are shared


def failure(about):
    """What to say of a dataset that has not ended well."""
    how = "is paused and won't go on by itself" if about["state"] == "paused" else f"ended in state {about['state']}"
    return f"dataset {about['id']} ({about['name']}) {how}: {about.get('misc_info') or 'Galaxy does not say why'}"


if __name__ == "__main__":
    sys.exit(run(main))
