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
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style, in place of the old scripts' text
  --fields=NAMES   only these fields of the invocation, separated by commas, as a table unless --format is given
  -n, --dry-run    show what would be sent, send nothing
  -h, --help       show this

Returns as soon as Galaxy has taken the run on; invocation_wait.py waits for its end.
  workflow_execute.py --fields=id,history_id - - 85a07f4bbdb2c898 "Wet days" observations=hda=bbd44e69cb8906b5
"""
import re
import sys

from common import USAGE, Galaxy, Refused, an_id, arguments, output, print_response, run, show, show_request
from workflows import chosen_inputs

SOURCES = ("hda", "hdca", "ldda", "ld")


def main(argv=None):
    args = arguments(__doc__, argv)
    workflow_id, history = an_id(args["WORKFLOW_ID"], "WORKFLOW_ID"), args["HISTORY"]
    style, fields = output(args)
    datasets = [dataset(text) for text in args["STEP=SRC=ID"]]
    if history in ("", "hist_id="):     # Galaxy would make a history of its own
        raise Refused("HISTORY is empty: is a variable unset?", USAGE)
    if re.search(r"=(hda|hdca|ldda|ld)=", history):
        raise Refused(f"HISTORY is missing before {history}: a new history's name, or hist_id=ID", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])

    workflow = galaxy.get(f"workflows/{workflow_id}")
    data = {"history": history, "inputs": chosen_inputs(workflow, datasets), "inputs_by": "step_index"}
    path = f"workflows/{workflow_id}/invocations"
    if args["--dry-run"]:
        show_request("POST", galaxy.address(path), data, style)
    else:
        show(galaxy.post(path, data), style, fields, plain=print_response, changed=True)


def dataset(text):
    """The three parts of `STEP=SRC=ID`."""
    parts = text.rsplit("=", 2)     # from the right: a label may have = in it
    if len(parts) != 3 or not all(parts) or parts[1] not in SOURCES:
        raise Refused(f"{text!r} is not STEP=SRC=ID with SRC one of {', '.join(SOURCES)}", USAGE)
    return parts


if __name__ == "__main__":
    sys.exit(run(main))
