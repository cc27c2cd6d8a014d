#!/usr/bin/env python3
"""Run a workflow on datasets that Galaxy has.

Usage:
  workflow_execute.py [options] KEY URL WORKFLOW_ID HISTORY [STEP=SRC=ID...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or its .../api/workflows, or - to look it up
  WORKFLOW_ID      the workflow's id
  HISTORY          the name of a new history for the results, or hist_id=ID for one that is there
  STEP=SRC=ID      a dataset for an input: STEP its index, label or uuid; SRC hda, hdca (a collection), ldda or ld (of a
                   library)

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another style of tabulate's, in place of the old scripts' text
  --fields=NAMES   only these fields of the invocation, separated by commas, as a table unless told otherwise
  -n, --dry-run    show what would be sent, send nothing
  -h, --help       show this

Returns as soon as Galaxy has taken the run on; invocation_wait.py waits for its end.
  workflow_execute.py --fields=id,history_id - - 85a07f4bbdb2c898 "Wet days" observations=hda=bbd44e69cb8906b5
"""
import sys

from common import USAGE, Galaxy, Refused, arguments, names, print_response, run, show
from workflows import input_index

SOURCES = ("hda", "hdca", "ldda", "ld")


def main(argv=None):
    args = arguments(__doc__, argv)
    workflow_id, history = args["WORKFLOW_ID"], args["HISTORY"]
    style, fields = args["--format"], names(args["--fields"])
    datasets = [dataset(text) for text in args["STEP=SRC=ID"]]
    galaxy = Galaxy(args["KEY"], args["URL"])

    workflow = galaxy.get(f"workflows/{workflow_id}")
    inputs = {input_index(workflow, step): {"src": src, "id": id} for step, src, id in datasets}
    data = {"history": history, "inputs": inputs, "inputs_by": "step_index"}
    path = f"workflows/{workflow_id}/invocations"
    if args["--dry-run"]:
        show({"method": "POST", "url": galaxy.address(path), "payload": data}, style or "json", fields)
        return
    show(galaxy.post(path, data), style, fields, plain=print_response)


def dataset(text):
    """`STEP=SRC=ID` in its three parts; a label may have `=` in it."""
    parts = text.rsplit("=", 2)
    if len(parts) != 3 or not all(parts) or parts[1] not in SOURCES:
        raise Refused(f"{text!r} is not STEP=SRC=ID with SRC one of {', '.join(SOURCES)}", USAGE)
    return parts


if __name__ == "__main__":
    sys.exit(run(main))
