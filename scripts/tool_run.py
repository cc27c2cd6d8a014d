#!/usr/bin/env python3
"""Run a tool.

Usage:
  tool_run.py [options] KEY URL HISTORY TOOL [NAME=VALUE...]

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            the history for the results: its id, its exact name, or new:NAME
  TOOL               the tool's id or exact name
  NAME=VALUE         an input, by the name that tool_show.py shows; NAME:=JSON for a value in JSON. Data are hda:ID (a
                     dataset), hdca:ID (a collection), ldda:ID, ld:ID (in a library) or hid:N (number N in the history)

Options:
  --tool-version=V   the version of the tool; the newest that the server has unless given
  --use-cached-jobs  take the results of an equal job that has run before, if there is one
  --wait             wait until the jobs have ended, and fail if one failed
  --timeout=SECONDS  stop waiting after this many seconds in all
  -n, --dry-run      show what would be done, change nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas  [default: id,src,hid,name,extension,state]
  -h, --help         show this help
  --version          show the version

A NAME may come several times where the tool takes a list. A collection for an input that takes one dataset is mapped over:
a job for each element. All inputs are checked before anything is sent; an error shows a table of the tool's inputs.
  tool_run.py --wait - - "Run 12" Filter1 input=hid:1 'cond=c3>=1' header_lines=1
One job that joins two datasets:
  tool_run.py - - new:Joined cat1 input1=hda:bbd44e69cb8906b5 'queries_0|input2=hda:36b061943fbb6555'
The field output is the output's name in the tool. With --wait the exit status is 1 if a job failed, and 4 if the time was
up first.
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
from galaxy_api_scripts.datasets.target_history import create_history_if_needed, find_writable_history
from galaxy_api_scripts.tools import request
from galaxy_api_scripts.tools.catalog import find_tool
from galaxy_api_scripts.tools.values import parse_tool_inputs

FIELDS = ["id", "src", "hid", "name", "extension", "state", "output"]


def main(argv=None):
    args = arguments(__doc__, argv)
    target, timeout, output = args["HISTORY"], int_option(args, "--timeout"), output_options(args, FIELDS)
    cached, values = args["--use-cached-jobs"], parse_tool_inputs(args["NAME=VALUE"])
    if not target.removeprefix("new:").strip():
        raise GalaxyError("HISTORY is empty: is a variable unset? It is a history's id, its name, or new:NAME", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED if args["--wait"] else ONE_SHOT)

    user = galaxy.current_user()
    history_id = "" if target.startswith("new:") else find_writable_history(galaxy, target, user)["id"]
    tool = find_tool(galaxy, args["TOOL"], args["--tool-version"])
    inputs = request.check_inputs(galaxy, tool, history_id or None, values)
    if args["--dry-run"]:
        data = request.run_payload(tool, history_id or target, inputs, cached)
        print_request("POST", galaxy.url_for("tools"), data, output["format"] if "json" in output["format"] else None)
        return
    with create_history_if_needed(galaxy, history_id or None, target) as history_id:
        answer = request.submit_tool(galaxy, request.run_payload(tool, history_id, inputs, cached))
    outputs = request.tool_outputs(answer)
    try:
        if args["--wait"]:
            problem = request.wait_for_tool(galaxy, answer, history_id, timeout)
            outputs = request.refresh_outputs(galaxy, outputs)
            if problem:
                raise problem
    finally:        # also after an interrupt: the jobs exist, and so do their outputs
        show(outputs, changed=True, **output)


if __name__ == "__main__":
    sys.exit(run(main))
