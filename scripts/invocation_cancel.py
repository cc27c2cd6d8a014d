#!/usr/bin/env python3
"""Cancel runs of workflows that have not ended.

Usage:
  invocation_cancel.py [options] KEY URL INVOCATION...

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  INVOCATION       a run's id; - reads ids from standard input, one a line

Options:
  --format=FORMAT  value, jsonl, table, json, csv, tsv or another tabulate style  [default: value]
  --fields=NAMES   only these fields, separated by commas, of id, state, done
  -n, --dry-run    say what would be done, cancel nothing
  -h, --help       show this

Prints a line for each: its id, the state that Galaxy then says that it is in, and what was done. One that has ended is left
alone, or Galaxy would call it cancelled afterwards. Cancelling becomes cancelled when Galaxy has stopped the jobs, some
seconds later; what jobs have made stays. If some of several can't be cancelled, the exit status is 3.
  invocation_cancel.py - - 85a07f4bbdb2c898
  invocation_list.py --history="Run 12" --state=new,ready --format=value --fields=id - - | invocation_cancel.py -n - - -
"""
import sys

from common import TRY_LATER, Galaxy, GalaxyError, arguments, output_options, parse_ids, report_error, run, show
from galaxy_api_scripts.invocations.jobs import is_finished
from galaxy_api_scripts.polling import combine_exit_codes

FIELDS = ["id", "state", "done"]
STOPPING = ("cancelling", "cancelled")


def main(argv=None):
    args = arguments(__doc__, argv)
    wanted, dry = parse_ids(args["INVOCATION"], "INVOCATION"), args["--dry-run"]
    style, fields = output_options(args, FIELDS).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    codes = []
    show(cancelled(galaxy, wanted, dry, codes), style, fields or FIELDS)
    return combine_exit_codes(codes, wanted)


def cancelled(galaxy, wanted, dry, codes):
    """Each run with what was done to it; an exit code is added to `codes` for one that can't be cancelled."""
    for invocation in wanted:
        try:
            yield cancel(galaxy, invocation, dry)
        except GalaxyError as error:
            if error.exit_code == TRY_LATER or error.status == 401:
                raise
            codes.append(report_error(f"invocation {invocation}: {error}", error.exit_code))


def cancel(galaxy, invocation, dry):
    """Cancel one run unless it has ended; its `id`, `state` and what was `done`."""
    path = f"invocations/{invocation}"
    about = galaxy.get(path)
    state = about["state"]
    if state in STOPPING:
        return {"id": invocation, "state": state, "done": "nothing: it is cancelled already"}
    if is_finished(galaxy, about):
        return {"id": invocation, "state": state, "done": "nothing: it has ended"}
    if dry:
        return {"id": invocation, "state": state, "done": "nothing: it would be cancelled"}
    galaxy.delete(path)
    state = galaxy.get(path)["state"]
    if state not in STOPPING:
        raise GalaxyError(f"Galaxy has taken the request, but the run is {state}")
    return {"id": invocation, "state": state, "done": "cancelled"}


if __name__ == "__main__":
    sys.exit(run(main))
