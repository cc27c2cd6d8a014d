#!/usr/bin/env python3
"""List your runs of workflows, the newest first.

Usage:
  invocation_list.py [options] KEY URL

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up

Options:
  --workflow=WHICH   only runs of the workflow of this id or name, which no other of your workflows may have
  --history=WHICH    only runs in the history of this id or name
  --state=STATES     only those in these states, separated by commas, such as new,ready,failed
  --since=DAYS       only those that began in the last DAYS days
  --nested           those of subworkflows too, each a row of its own
  --limit=N          no more than N
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas: also workflow_id, history_id, uuid
  -h, --help         show this

States are new, requires_materialization, ready, scheduled, completed, failed, cancelling and cancelled. Scheduled says that
all jobs are made, completed that all have ended, good or bad: invocation_show.py tells which. Times are in UTC. An
administrator sees everybody's runs.
  invocation_list.py --since=7 --limit=20 - -
The ids of all that still make jobs in a history, for another script:
  invocation_list.py --history="Run 12" --state=new,ready --format=value --fields=id - - | invocation_cancel.py - - -
"""
import sys
from datetime import datetime, timedelta, timezone

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.invocations.jobs import display_name

FIELDS = ["id", "workflow", "history", "state", "create_time", "update_time"]
# From Galaxy 26.1's schema (InvocationState).
ACTIVE = ["new", "ready"]
STATES = [*ACTIVE, "requires_materialization", "scheduled", "completed", "failed", "cancelling", "cancelled"]


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, days, states = int_option(args, "--limit", 1), int_option(args, "--since", 1), wanted(args["--state"])
    style, fields = output_options(args).values()
    only = {"sort_by": None, "sort_desc": None}     # by ids, the newest first: times may be the same
    galaxy = Galaxy(args["KEY"], args["URL"])

    galaxy.current_user()       # without one Galaxy's list is an empty one
    if args["--workflow"] is not None:
        only["workflow_id"] = galaxy.resolve("workflows", args["--workflow"])["id"]
    if args["--history"] is not None:
        only["history_id"] = galaxy.resolve("histories", args["--history"])["id"]
    if not args["--nested"]:
        only["include_nested_invocations"] = "false"
    if states and set(states) <= set(ACTIVE):
        only["include_terminal"] = "false"
    show(rows(galaxy, only, states, days, limit, fields or FIELDS), style, fields or FIELDS)


def wanted(text):
    """The states in `--state`; None where it was not given."""
    names = None if text is None else [name.strip() for name in text.split(",")]
    for name in names or []:
        if name not in STATES:
            raise GalaxyError(f"--state: there is no state {name!r}: there are {', '.join(STATES)}", USAGE)
    return names


def rows(galaxy, only, states, days, limit, fields):
    """The runs, the newest first, with the names of their workflows and histories where these are among the fields."""
    oldest = (datetime.now(timezone.utc) - timedelta(days=days)).isoformat()[:19] if days else ""
    names, given = {}, 0
    for one in galaxy.pages("invocations", only, None if states else limit):
        if one["create_time"] < oldest or given == limit:
            return
        if states and one["state"] not in states:
            continue
        for noun, path in (("workflow", "workflows"), ("history", "histories")):
            which = (path, one[f"{noun}_id"])
            if noun in fields and which not in names:
                names[which] = display_name(galaxy, *which)
        given += 1
        yield {**one, "workflow": names.get(("workflows", one["workflow_id"])),
               "history": names.get(("histories", one["history_id"]))}


if __name__ == "__main__":
    sys.exit(run(main))
