#!/usr/bin/env python3
"""A recipe: measure a dataset, and run one of two workflows on it, as the result says.

Usage:
  recipe_branch.py [options] KEY URL HISTORY DATASET FEW MANY

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            the id or exact name of the history that the results go to
  DATASET            the id of a text dataset in that history
  FEW, MANY          the workflows, by id or exact name, for a text with few and with many lines; each takes one dataset

Options:
  --lines=N          more lines than this are many  [default: 100]
  --timeout=SECONDS  stop waiting after this many seconds in all
  -h, --help         show this help
  --version          show the version

Copy it and change it: another tool that measures, another question, more workflows to choose from.
  recipe_branch.py --lines=1000 - - "Run 12" bbd44e69cb8906b5 "Small genome" "Large genome"
"""
import sys

from common import UNATTENDED, Galaxy, arguments, int_option, run, show
from galaxy_api_scripts.invocations.invocation import submit_invocation, wait_for_invocation
from galaxy_api_scripts.polling import countdown
from galaxy_api_scripts.tools.request import read_dataset_text, run_tool
from galaxy_api_scripts.workflows.definition import input_rows, load_workflow, resolve_inputs
from galaxy_api_scripts.workflows.lookup import find_workflow


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, timeout = int_option(args, "--lines"), int_option(args, "--timeout")
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    history = galaxy.resolve("histories", args["HISTORY"])["id"]
    workflows = {name: find_workflow(galaxy, args[name])["id"] for name in ("FEW", "MANY")}     # both, before anything runs
    left = countdown(timeout)

    # Measure. tool_show.py - - wc_gnu shows the tool's inputs.
    [output] = run_tool(galaxy, history, "wc_gnu", {
        "input1": f"hda:{args['DATASET']}", "options": ["lines"], "include_header": False}, left())
    lines = int(read_dataset_text(galaxy, output["id"]))

    # Decide, and run the workflow that was chosen.
    workflow = load_workflow(galaxy, workflows["MANY" if lines > limit else "FEW"])
    data = [row["index"] for row in input_rows(workflow) if row["takes"].startswith("dataset")]
    inputs = resolve_inputs(workflow, [(index, "hda", args["DATASET"]) for index in data])
    invocation = submit_invocation(galaxy, workflow["id"], {
        "history": f"hist_id={history}", "inputs": inputs, "inputs_by": "step_index"})
    outputs = wait_for_invocation(galaxy, invocation["id"], left())["outputs"]
    show([{"lines": lines, "workflow": workflow["name"], "label": label, "id": output["id"]}
          for label, output in outputs.items()], fields=["lines", "workflow", "label", "id"])


if __name__ == "__main__":
    sys.exit(run(main))
