#!/usr/bin/env python3
"""Cancel workflow invocations that have not ended.

Usage:
  invocation_cancel.py [options] KEY URL INVOCATION...

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  INVOCATION       an invocation's id; - reads ids from standard input, one a line

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES   only these fields, separated by commas  [default: id,state,done]
  -n, --dry-run    show what would be done, change nothing
  -h, --help       show this help
  --version        show the version

Prints a line for each: its id, its state in Galaxy afterwards, and what was done. Invocations that have ended are
left alone, because Galaxy would turn their state into cancelled. Galaxy stops the jobs within some seconds and then
turns cancelling into cancelled; the outputs of finished jobs stay. If some of several can't be cancelled, the exit
status is 3.
  invocation_cancel.py - - 85a07f4bbdb2c898
  invocation_list.py --history="Run 12" --state=new,ready --format=value --fields=id - - | invocation_cancel.py -n - - -
"""
import sys

from common import TRY_LATER, Galaxy, GalaxyError, arguments, output_options, report_error, run, show
from galaxy_api_scripts.invocations.jobs import is_finished
from galaxy_api_scripts.polling import combine_exit_codes, parse_ids

FIELDS = ["id", "state", "done"]
CANCELLED_STATES = ("cancelling", "cancelled")


def main(argv=None):
    args = arguments(__doc__, argv)
    ids, dry_run = parse_ids(args["INVOCATION"], "INVOCATION"), args["--dry-run"]
    output = output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"])

    codes = []
    show(cancel_all(galaxy, ids, dry_run, codes), **output)
    return combine_exit_codes(codes, ids)


def cancel_all(galaxy, ids, dry_run, codes):
    """Cancel these invocations; a row for each, or an exit code in `codes` for one that can't be cancelled."""
    for invocation_id in ids:
        try:
            yield cancel(galaxy, invocation_id, dry_run)
        except GalaxyError as error:
            if error.exit_code == TRY_LATER or error.status == 401:
                raise
            codes.append(report_error(f"invocation {invocation_id}: {error}", error.exit_code))


def cancel(galaxy, invocation_id, dry_run):
    """Cancel an invocation unless it has ended; its `id`, its `state`, and what was `done`."""
    path = f"invocations/{invocation_id}"
    invocation = galaxy.get(path)
    row = {"id": invocation_id, "state": invocation["state"]}
    if row["state"] in CANCELLED_STATES:
        return {**row, "done": "nothing: it is cancelled already"}
    if is_finished(galaxy, invocation):
        return {**row, "done": "nothing: it has ended"}
    if dry_run:
        return {**row, "done": "nothing: it would be cancelled"}
    galaxy.delete(path)
    state = galaxy.get(path)["state"]
    if state not in CANCELLED_STATES:
        raise GalaxyError(f"Galaxy accepted the request, but the invocation is {state}")
    return {"id": invocation_id, "state": state, "done": "cancelled"}


if __name__ == "__main__":
    sys.exit(run(main))
