#!/usr/bin/env python3
"""List your workflow invocations, the newest first.

Usage:
  invocation_list.py [options] KEY URL

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up

Options:
  --workflow=WHICH   only those of the workflow with this id or unique name
  --history=WHICH    only those in the history with this id or unique name
  --state=STATES     only those in these states, separated by commas, such as new,ready,failed
  --since=AGE        only those made no longer ago, such as 7d or 12h; a number alone is in days
  --nested           also those of subworkflows, each in a row of its own
  --limit=N          at most N of them
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas
                     [default: id,workflow,history,state,create_time,update_time]
  -h, --help         show this help
  --version          show the version

Other fields are workflow_id, history_id and uuid. Times are in UTC. States are new, requires_materialization, ready,
scheduled, completed, failed, cancelling and cancelled: scheduled means that all jobs are made, completed that all
have ended, well or badly; invocation_show.py tells which. Administrators see everybody's invocations.
  invocation_list.py --since=7d --limit=20 - -
Cancel all invocations in a history that still make jobs:
  invocation_list.py --history="Run 12" --state=new,ready --format=value --fields=id - - | invocation_cancel.py - - -
"""
import sys
from datetime import datetime, timedelta, timezone

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show

# From Galaxy 26.1's schema (InvocationState).
ACTIVE_STATES = ["new", "ready"]
STATES = [*ACTIVE_STATES, "requires_materialization", "scheduled", "completed", "failed", "cancelling", "cancelled"]


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, age, states = int_option(args, "--limit", 1), parse_since(args), parse_states(args["--state"])
    output = output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    query: dict[str, object] = {"sort_by": None, "sort_desc": None}       # by ids, the newest first: times may be the same
    galaxy.current_user()       # to an unknown key Galaxy answers with an empty list
    if args["--workflow"] is not None:
        # 500: Galaxy 26.1 lists a workflow with a pick_value, and fails to show it.
        query["workflow_id"] = galaxy.resolve("workflows", args["--workflow"], absent=(400, 404, 500))["id"]
    if args["--history"] is not None:
        query["history_id"] = galaxy.resolve("histories", args["--history"])["id"]
    if not args["--nested"]:
        query["include_nested_invocations"] = "false"
    if states and set(states) <= set(ACTIVE_STATES):
        query["include_terminal"] = "false"
    show(iter_rows(galaxy, query, states, age, limit, output["fields"]), **output)


def parse_since(args):
    """The seconds in `--since`; None without that option, which alone needs the package."""
    if args["--since"] is None:
        return None
    from galaxy_api_scripts.ages import parse_age
    return parse_age(args, "--since", 1)


def parse_states(text):
    """The states in `--state`; None without that option."""
    states = None if text is None else [name.strip() for name in text.split(",")]
    for state in states or []:
        if state not in STATES:
            raise GalaxyError(f"--state: no state is called {state!r}: expected some of {', '.join(STATES)}", USAGE)
    return states


def iter_rows(galaxy, query, states, age, limit, fields):
    """A row for each invocation, with the names of its workflow and history if these are among the fields."""
    oldest = (datetime.now(timezone.utc) - timedelta(seconds=age)).isoformat()[:19] if age else ""
    names, count = {}, 0
    for invocation in galaxy.pages("invocations", query, None if states else limit):
        if invocation["create_time"] < oldest or count == limit:
            return
        if states and invocation["state"] not in states:
            continue
        row = dict(invocation)
        for noun, route, params in (("workflow", f"workflows/{row['workflow_id']}", {"instance": "true"}),
                                    ("history", f"histories/{row['history_id']}", {"keys": "name"})):
            if noun in fields and route not in names:
                names[route] = fetch_name(galaxy, route, params)
            row[noun] = names.get(route)
        count += 1
        yield row


def fetch_name(galaxy, route, params):
    """The name of what is at the route; None where this key may not see it. Galaxy 26.1 fails to show a workflow with a step
    of type pick_value, and exports it."""
    try:
        return (galaxy.get_or_none(route, params) or {}).get("name")
    except GalaxyError as error:
        if error.status != 500:
            raise
        return (galaxy.get_or_none(f"{route}/download", {**params, "style": "ga"}) or {}).get("name")


if __name__ == "__main__":
    sys.exit(run(main))
