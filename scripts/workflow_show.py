#!/usr/bin/env python3
"""Show what a workflow takes, its steps, and which of its tools the server lacks.

Usage:
  workflow_show.py [options] KEY URL WORKFLOW

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  WORKFLOW         the workflow's id or exact name

Options:
  --steps          only the steps, of which --fields also knows state (the tool's settings), type and annotation
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style, of the inputs alone
  --fields=NAMES   only these fields of the inputs, separated by commas, also annotation and uuid; as a table unless --format
                   is given
  -h, --help       show this

An input is named to a run by its label, or its index where it has none. from says which steps feed a step. Below them are
the tools that the server lacks, and those that it has in another version only, in which they run, unless they are of a Tool
Shed.
  workflow_show.py - - "Wet days by month"
  workflow_show.py --steps --format=jsonl --fields=label,tool,version,state - - 85a07f4bbdb2c898
"""
import sys

from common import Galaxy, arguments, output_options, run, show
from galaxy_api_scripts.workflows.definition import (
    export_workflow,
    find_workflow,
    input_details,
    step_details,
    tool_problems,
)

INPUTS = ["index", "label", "kind", "collection_type", "datatypes", "optional", "default", "choices"]
STEPS = ["index", "label", "tool", "version", "from", "when", "outputs"]


def main(argv=None):
    args = arguments(__doc__, argv)
    steps, (style, fields) = args["--steps"], output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    about = find_workflow(galaxy, args["WORKFLOW"])
    workflow = export_workflow(galaxy, about["id"])
    if steps or style or fields:
        everything = style in ("json", "jsonl") and not fields
        rows = step_details(workflow) if steps else input_details(workflow)
        rows = rows if style in ("json", "jsonl") else map(for_people, rows)
        show(rows, style, fields or ([] if everything else STEPS if steps else INPUTS))
        return
    print(f"{about['name']}, {about['id']}{', deleted' if about.get('deleted') else ''}")
    for rows, columns in ((input_details(workflow), INPUTS), (step_details(workflow), STEPS)):
        print()
        show(map(for_people, rows), fields=columns)
    missing, replaced = tool_problems(galaxy, about["id"], workflow)
    if not missing and not replaced:
        print("\nThe server has all its tools.")
    for heading, names in (("It can't run, for the server lacks:", missing), ("It runs other versions of:", replaced)):
        if names:
            print("", heading, *(f"  {name}" for name in names), sep="\n")



def for_people(row):
    """A row whose lists are words."""
    words = {True: "yes", False: "no"}
    return {name: words[value] if isinstance(value, bool) and name == "optional" else
            ", ".join(map(str, value)) if isinstance(value, list) else value for name, value in row.items()}


if __name__ == "__main__":
    sys.exit(run(main))
