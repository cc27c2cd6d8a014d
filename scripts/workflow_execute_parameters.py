#!/usr/bin/env python3
"""Run a workflow on datasets in Galaxy, with other values for its tools' parameters.

Usage:
  workflow_execute_parameters.py [options] KEY URL WORKFLOW_ID HISTORY [STEP=SRC=ID...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or its .../api/workflows, or - to look it up
  WORKFLOW_ID      the workflow's id
  HISTORY          the name of a new history for the results, or hist_id=ID for an existing one
  STEP=SRC=ID      a dataset for an input: STEP is its index, label, uuid or step id; SRC is hda, hdca (a collection), ldda
                   or ld (in a library); or param=TOOL=NAME=VALUE, a value for the parameter NAME: TOOL is a tool's id,
                   for all its steps, or the index, label, uuid or step id of one of them

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -n, --dry-run    show what would be done, change nothing
  -h, --help       show this help
  --version        show the version

Inputs and parameters are checked before anything is sent; an error shows a table of those that the workflow has. A NAME in a
group of others has the group's before it, as in operations_0|opcol. Without --format and --fields, Galaxy's answer is
printed in the old script's form.
  workflow_execute_parameters.py - - 85a07f4bbdb2c898 "Very wet days" 0=hda=bbd44e69cb8906b5 'param=Filter1=cond=c3>=20'
"""
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, output_options, parse_id, print_request, print_response, run, show
from galaxy_api_scripts.datasets.target_history import parse_legacy_history
from galaxy_api_scripts.invocations.invocation import submit_invocation
from galaxy_api_scripts.workflows.definition import (
    load_workflow,
    parse_step_dataset,
    resolve_inputs,
    resolve_parameters,
)


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    workflow_id, history = parse_id(args["WORKFLOW_ID"], "WORKFLOW_ID"), parse_legacy_history(args["HISTORY"])
    words = args["STEP=SRC=ID"]
    datasets = [parse_step_dataset(word) for word in words if not word.startswith("param=")]
    parameters = [parse_tool_parameter(word) for word in words if word.startswith("param=")]
    output = output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    workflow = load_workflow(galaxy, workflow_id, [step for step, _, _ in datasets + parameters])
    data = {"history": history, "inputs": resolve_inputs(workflow, datasets), "inputs_by": "step_index",
            "parameters": resolve_parameters(galaxy, workflow, parameters)}
    if args["--dry-run"]:
        print_request("POST", galaxy.url_for(f"workflows/{workflow_id}/invocations"), data, output["format"])
    else:
        show(submit_invocation(galaxy, workflow_id, data), plain=print_response, changed=True, **output)


def parse_tool_parameter(text):
    """TOOL, NAME and VALUE from `param=TOOL=NAME=VALUE`; VALUE may be empty, and have = in it."""
    parts = text.split("=", 3)[1:]
    if len(parts) != 3 or not all(parts[:2]):
        raise GalaxyError(f"{text!r} is not param=TOOL=NAME=VALUE", USAGE)
    return tuple(parts)


if __name__ == "__main__":
    sys.exit(run(main))
