#!/usr/bin/env python3
"""A recipe: look at a result, and run one workflow or another on it.

Usage:
  recipe_branch.py [options] KEY URL HISTORY DATASET FEW MANY

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            the id or exact name of the history that the results go to
  DATASET            the id of a text in it
  FEW, MANY          the workflows, by id or exact name, for a text of few and of many lines; each takes one dataset

Options:
  --lines=N          many lines are more than that  [default: 100]
  --timeout=SECONDS  how long to wait for each of the two runs; as long as it takes unless given
  -h, --help         show this

To be copied and changed: another tool that measures, another question, more workflows to choose from.
  recipe_branch.py --lines=1000 - - "Run 12" bbd44e69cb8906b5 "Small genome" "Large genome"
"""
import sys

from common import UNATTENDED, Galaxy, arguments, int_option, run, show
from galaxy_api_scripts.invocations.invocation import submit_invocation, wait_for_invocation
from galaxy_api_scripts.tools import request
from galaxy_api_scripts.workflows.definition import find_workflow, load_workflow, resolve_inputs


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, timeout = int_option(args, "--lines"), int_option(args, "--timeout")
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    history = galaxy.resolve("histories", args["HISTORY"])["id"]
    choice = {name: find_workflow(galaxy, args[name])["id"] for name in ("FEW", "MANY")}     # both, before anything runs

    # The tool that measures, and what it says. Its name and its inputs: tool_show.py - - wc_gnu
    [made] = request.run_tool(galaxy, history, "wc_gnu", {
        "input1": f"hda:{args['DATASET']}", "options": ["lines"], "include_header": False}, timeout)
    lines = int(request.read_dataset_text(galaxy, made["id"]))

    # The question, and the workflow that is the answer.
    workflow = load_workflow(galaxy, choice["MANY" if lines > limit else "FEW"])
    inputs = resolve_inputs(workflow, [(index, "hda", args["DATASET"]) for index in workflow["inputs"]])
    begun = submit_invocation(galaxy, workflow["id"], {
                              "history": f"hist_id={history}", "inputs": inputs, "inputs_by": "step_index"})
    results = wait_for_invocation(galaxy, begun["id"], timeout)["outputs"]
    show([{"lines": lines, "workflow": workflow["name"], "label": label, "id": one["id"]}
          for label, one in results.items()], fields=["lines", "workflow", "label", "id"])


if __name__ == "__main__":
    sys.exit(run(main))
