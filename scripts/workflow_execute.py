#!/usr/bin/env python3
"""Run a workflow on datasets in Galaxy.

Usage:
  workflow_execute.py [options] KEY URL WORKFLOW_ID HISTORY [STEP=SRC=ID...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or its .../api/workflows, or - to look it up
  WORKFLOW_ID      the workflow's id
  HISTORY          the name of a new history for the results, or hist_id=ID for an existing one
  STEP=SRC=ID      a dataset for an input: STEP is its index, label, uuid or step id; SRC is hda, hdca (a collection), ldda
                   or ld (in a library)

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -n, --dry-run    show what would be done, change nothing
  -h, --help       show this help
  --version        show the version

Inputs are checked before anything is sent; an error shows a table of the workflow's inputs. Exits as soon as Galaxy has
accepted the run: invocation_wait.py waits for its end. Without --format and --fields, Galaxy's answer is
printed in the old script's form.
  workflow_execute.py --fields=id,history_id - - 85a07f4bbdb2c898 "Wet days" observations=hda=bbd44e69cb8906b5
"""
import sys

from common import Galaxy, arguments, output_options, parse_id, print_request, print_response, run, show
from galaxy_api_scripts.datasets.target_history import parse_legacy_history
from galaxy_api_scripts.invocations.invocation import submit_invocation
from galaxy_api_scripts.workflows.definition import load_workflow, parse_step_dataset, resolve_inputs


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    workflow_id, history = parse_id(args["WORKFLOW_ID"], "WORKFLOW_ID"), parse_legacy_history(args["HISTORY"])
    datasets = [parse_step_dataset(text) for text in args["STEP=SRC=ID"]]
    output = output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    workflow = load_workflow(galaxy, workflow_id, [step for step, _, _ in datasets])
    data = {"history": history, "inputs": resolve_inputs(workflow, datasets), "inputs_by": "step_index"}
    if args["--dry-run"]:
        print_request("POST", galaxy.url_for(f"workflows/{workflow_id}/invocations"), data, output["format"])
    else:
        show(submit_invocation(galaxy, workflow_id, data), plain=print_response, changed=True, **output)


if __name__ == "__main__":
    sys.exit(run(main))
