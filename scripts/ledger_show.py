#!/usr/bin/env python3
"""Show what has become of each sample or unit in a ledger; ask no server.

Usage:
  ledger_show.py [options] [--acknowledge=SAMPLE]... [--steps | --counts | --check | --report=PAGE] FILE

Arguments:
  FILE             the ledger of a batch or a watched folder

Options:
  --state=STATES   only those in these states, separated by commas, such as failed,running
  --name=NAME      only those of exactly this name
  --steps          their steps instead: when each began and ended, and how; one without an end is under way, or was when its
                   process was killed
  --counts         how many there are in each state instead
  --check          only what has failed and was neither mended nor acknowledged, and exit with 1 if there is any: for
                   monitoring
  --report=PAGE    write a page of HTML on all samples instead, and print its path; PAGE ends in .html
  --acknowledge=SAMPLE  note that the failure of this sample is known: --check is silent about it until another attempt
                   fails; may be repeated
  --limit=N        at most N of them
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

States are waiting, running, ok, failed, fetch pending (the run is ok; the next visit fetches its results, or shares its
history), superseded (its input or row was changed, and another sample took its place) and gone (no longer in the sheet or
folder). Stages and steps are detect, history, send, upload, submit, rerun, run, finish, deliver, share, move and notify.
Times are in UTC. More fields: key, place, seen, notes; of steps, key. It may be used while the ledger is written.
  ledger_show.py --state=failed --fields=name,failed_step,message batch.ledger
  ledger_show.py --steps --name=S12 batch.ledger
  ledger_show.py --check batch.ledger
  ledger_show.py --report=batch.html batch.ledger
Other programs read a ledger as an SQLite file with the tables units and steps:
  sqlite3 -readonly batch.ledger "select state, count(*) from units group by state"
"""
import itertools
import os
import sys

from common import DONE, FAILED, USAGE, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.batch.ledger import acknowledge
from galaxy_api_scripts.batch.ledger_reader import (
    SAMPLE_COLUMNS,
    SAMPLE_STATES,
    STEP_COLUMNS,
    count_states,
    read_failures,
    read_samples,
    read_steps,
)
from galaxy_api_scripts.batch.page import check_page_path, render_ledger
from galaxy_api_scripts.files import write_output

COUNT_FIELDS = ["state", "number"]
FIELDS = ["name", "state", "stage", "attempt", "history", "invocation", "failed_step", "message", "begun", "ended"]
CHECK_FIELDS = ["name", "state", "failed_step", "message", "ended"]
STEP_FIELDS = ["name", "attempt", "step", "begun", "ended", "outcome"]


def main(argv=None):
    args = arguments(__doc__, argv)
    path, limit, name = args["FILE"], int_option(args, "--limit", 1), args["--name"]
    if not path:
        raise GalaxyError("FILE is empty: is a variable unset?", USAGE)
    if args["--counts"]:
        known, fields = COUNT_FIELDS, COUNT_FIELDS
    elif args["--steps"]:
        known, fields = STEP_COLUMNS, STEP_FIELDS
    else:
        known, fields = [*SAMPLE_COLUMNS, "notes"], FIELDS
    output = output_options(args, known)
    states = parse_states(path, args["--state"])
    page = check_page_path(args["--report"], path) if args["--report"] else None

    if args["--acknowledge"]:
        acknowledge(path, args["--acknowledge"])
        if not args["--check"]:
            return DONE
    if args["--check"]:
        if os.path.isfile(path) and not os.path.getsize(path):
            raise GalaxyError(f"{path}: empty, so no ledger: was it lost?")
        failures = [row for row in read_failures(path, name) if not states or row["state"] in states]
        if failures:
            show(failures[:limit], output["format"], output["fields"] or CHECK_FIELDS)
        return FAILED if failures else DONE
    if page:
        write_output(render_ledger(path, page, states, name), page, overwrite=True, option="--report")
        print(page)
        return DONE
    if args["--counts"]:
        rows = iter([{"state": state, "number": number} for state, number in count_states(path, states, name).items()])
    else:
        rows = (read_steps if args["--steps"] else read_samples)(path, states, name)
    show(itertools.islice(rows, limit), output["format"], output["fields"] or fields)
    return DONE


def parse_states(path, text):
    """The states that `--state` names, of all that there can be or are in the ledger."""
    states = [] if text is None else [state.strip() for state in text.split(",")]
    known = dict.fromkeys([*SAMPLE_STATES, *count_states(path)]) if states else {}
    for state in states:
        if state not in known:
            raise GalaxyError(f"--state: there is no state {state!r}: there are {', '.join(known)}", USAGE)
    return states


if __name__ == "__main__":
    sys.exit(run(main))
