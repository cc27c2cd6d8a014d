#!/usr/bin/env python3
"""Run one tool.

Usage:
  tool_run.py [options] KEY URL HISTORY TOOL [NAME=VALUE...]

Arguments:
  KEY                  your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                  the server, or - to look it up
  HISTORY              where the results go: a history's id, its exact name, or new:NAME
  TOOL                 the tool's id or exact name
  NAME=VALUE           an input, by the name that tool_show.py shows; NAME:=JSON for a value in JSON. Data are hda:ID (a
                       dataset), hdca:ID (a collection), ldda:ID, ld:ID (in a library) or hid:N (number N of the history)

Options:
  --tool-version=V     this version of the tool; the newest that is there unless given
  --use-cached-jobs    take the results of a job that did the same before, where there is one
  --wait               wait until its jobs have ended, and say how
  --timeout=SECONDS    how long to wait; as long as it takes unless given
  -n, --dry-run        check everything, show what would be sent, send nothing
  --format=FORMAT      table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES       only these fields of the outputs, separated by commas, also output, its name in the tool
  -h, --help           show this

A NAME that comes several times is a list, where the tool takes one. A collection for an input that takes one dataset is
mapped over: a job for each element. What is wrong or missing is told with a table of the inputs, and nothing is sent.
  tool_run.py --wait - - "Run 12" Filter1 input=hid:1 'cond=c3>=1' header_lines=1
Collected by one job, from a dataset and the next:
  tool_run.py - - new:Joined cat1 input1=hda:bbd44e69cb8906b5 'queries_0|input2=hda:36b061943fbb6555'
With --wait the exit status is 1 when a job failed, and 4 when the time was up first.
"""
import sys

from common import (
    ONE_SHOT,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    print_request,
    run,
    show,
)
from galaxy_api_scripts.datasets.target_history import create_history_if_needed
from galaxy_api_scripts.tools import request

FIELDS = ["id", "src", "hid", "name", "extension", "state"]


def main(argv=None):
    args = arguments(__doc__, argv)
    where, timeout, (style, fields) = args["HISTORY"], int_option(
        args, "--timeout"), output_options(args, [*FIELDS, "output"]).values()
    given = request.parse_tool_inputs(args["NAME=VALUE"])
    if not where.removeprefix("new:").strip():
        raise GalaxyError("HISTORY: an id, a name or new:NAME is wanted: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED if args["--wait"] else ONE_SHOT)

    galaxy.current_user()
    history = None if where.startswith("new:") else galaxy.resolve("histories", where)
    if history and history.get("deleted"):
        raise GalaxyError(f"history {history['id']} ({history['name']}) is deleted: undelete it, or name another")
    tool = request.find_tool(galaxy, args["TOOL"], args["--tool-version"])
    inputs = request.ToolRequest(galaxy, tool, history and history["id"]).inputs(given)
    if args["--dry-run"]:
        data = request.run_payload(tool, history["id"] if history else where, inputs, args["--use-cached-jobs"])
        print_request("POST", galaxy.url_for("tools"), data, args["--format"] if "json" in args["--format"] else None)
        return
    with create_history_if_needed(galaxy, history and history["id"], where) as history_id:
        answer = request.submit_tool(galaxy, request.run_payload(tool, history_id, inputs, args["--use-cached-jobs"]))
    made = request.tool_outputs(answer)
    try:
        if args["--wait"]:
            problem = request.wait_for_tool(galaxy, answer, history_id, timeout)
            made = request.refresh_outputs(galaxy, made)
            if problem:
                raise problem
    finally:        # whatever comes, the jobs are there, and so are their outputs
        show(made, style, fields or FIELDS, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
