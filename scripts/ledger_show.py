#!/usr/bin/env python3
"""Show what became of each sample or folder, as a ledger has it.

Usage:
  ledger_show.py [options] [--steps | --counts] FILE

Arguments:
  FILE             the ledger that a batch or a watched folder keeps

Options:
  --state=STATES   only those in these states, separated by commas, such as failed,running
  --name=NAME      only those of exactly this name
  --steps          their steps instead: when each was begun, when it ended and how; a step without an end is under way, or
                   was when its run was killed
  --counts         only how many there are in each state
  --limit=N        no more than N
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: also key, place, seen, notes; key of steps
  -h, --help       show this

States are waiting, running, ok, failed and gone. Times are in UTC. It asks no server, changes nothing, and may be used while
a run is at work on the ledger.
  ledger_show.py --state=failed --fields=name,failed_step,message batch.ledger
  ledger_show.py --steps --name=S12 batch.ledger
Other programs read it as a file of SQLite, with the tables units and steps:
  sqlite3 -readonly batch.ledger "select state, count(*) from units group by state"
"""
import itertools
import sys

from common import USAGE, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.batch import ledger_reader

FIELDS = ["name", "state", "stage", "attempt", "history", "invocation", "failed_step", "message", "begun", "ended"]
STEP_FIELDS = ["name", "attempt", "step", "begun", "ended", "outcome"]


def main(argv=None):
    args = arguments(__doc__, argv)
    file, limit, name = args["FILE"], int_option(args, "--limit", 1), args["--name"]
    if not file:
        raise GalaxyError("FILE is empty: is a variable unset?", USAGE)
    if args["--counts"]:
        known, fields = ["state", "number"], ["state", "number"]
    elif args["--steps"]:
        known, fields = ledger_reader.STEP_COLUMNS, STEP_FIELDS
    else:
        known, fields = [*ledger_reader.SAMPLE_COLUMNS, "notes"], FIELDS
    style, chosen = output_options(args, known).values()
    only = wanted(file, args["--state"]), name

    if args["--counts"]:
        rows = ({"state": state, "number": number} for state, number in ledger_reader.count_states(file, *only).items())
    else:
        rows = (ledger_reader.read_steps if args["--steps"] else ledger_reader.read_samples)(file, *only)
    show(itertools.islice(rows, limit), style, chosen or fields)


def wanted(file, text):
    """The states in `--state`, all that there can be or are."""
    names = [] if text is None else [name.strip() for name in text.split(",")]
    there = dict.fromkeys([*ledger_reader.SAMPLE_STATES, *ledger_reader.count_states(file)]) if names else {}
    for name in names:
        if name not in there:
            raise GalaxyError(f"--state: there is no state {name!r}: there are {', '.join(there)}", USAGE)
    return names


if __name__ == "__main__":
    sys.exit(run(main))
