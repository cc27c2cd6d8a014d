#!/usr/bin/env python3
"""Show a workflow's inputs and steps, and which of its tools the server lacks.

Usage:
  workflow_show.py [options] KEY URL WORKFLOW

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  WORKFLOW         the workflow's id, exact name or page's address

Options:
  --steps          only the steps
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

A run names an input by its label, or by its index where it has no label. What the workflow leaves for run time is an
input too: a tool's parameter as STEP:NAME, and NAME of each ${NAME} in an output's new name. The column from shows which
steps feed a step. Below the steps are the tools that the server lacks, and those that it has in another version: a run takes
that version, but not of a tool from a Tool Shed. With --format or --fields only the inputs are printed, or with --steps only
the steps. Inputs also have the fields annotation and uuid; columns are a sample sheet's, fields a record's. Steps also have
state (the tool's settings), type and annotation.
  workflow_show.py - - "Wet days by month"
  workflow_show.py --steps --format=jsonl --fields=label,tool,version,state - - 85a07f4bbdb2c898
"""
import shutil
import sys

from common import Galaxy, arguments, one_line, output_options, run, show
from galaxy_api_scripts.workflows.definition import (
    editor_view,
    export_workflow,
    step_details,
    tool_problems,
    tool_table,
)
from galaxy_api_scripts.workflows.lookup import find_workflow
from galaxy_api_scripts.workflows.parameters import describe_inputs

INPUTS = ["index", "label", "kind", "collection_type", "datatypes", "optional", "default", "choices", "multiple", "range",
          "pattern", "fields", "columns"]
SHOWN_INPUTS = ["index", "label", "takes", "optional", "default", "choices", "range", "pattern"]
STEPS = ["index", "label", "tool", "version", "from", "when", "outputs"]


def main(argv=None):
    args = arguments(__doc__, argv)
    steps_only, output = args["--steps"], output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    about = find_workflow(galaxy, args["WORKFLOW"])
    workflow, editor = export_workflow(galaxy, about["id"]), editor_view(galaxy, about["id"])
    inputs, steps = describe_inputs(galaxy, workflow, editor), step_details(workflow)
    if steps_only or any(output.values()):
        rows, columns = (steps, STEPS) if steps_only else (inputs, INPUTS)
        if output["format"] not in ("json", "jsonl"):
            rows, output["fields"] = [*map(with_words, rows)], output["fields"] or columns
        show(rows, **output)
        return
    print(f"{one_line(about['name'])}, {about['id']}{', deleted' if about.get('deleted') else ''}")
    for row in inputs:
        types = [row["collection_type"], *row["datatypes"]]
        row["takes"] = row["kind"] + (f" ({', '.join(filter(None, types))})" if any(types) else "") + (
            ", several" if row["multiple"] else "") + (
            f" with {', '.join(with_words(row)[name] for name in ('fields', 'columns') if row[name])}"
            if row["fields"] or row["columns"] else "")
    for rows, columns in ((inputs, SHOWN_INPUTS), (steps, STEPS)):
        print()
        print_fitting([*map(with_words, rows)], columns)
    rows = tool_problems(galaxy, about["id"], workflow, editor)
    if not rows:
        print("\nThe server has all its tools.")
    for is_missing, heading in ((True, "It can't run: the server lacks"), (False, "It runs other versions of")):
        some = [row for row in rows if row["is_missing"] == is_missing]
        if some:
            print("", f"{heading}:", tool_table(some), sep="\n")


def with_words(row):
    """The row with words in place of lists and of truth values."""
    def word(each):
        if isinstance(each, dict) and each.get("name"):     # a record's field, a sample sheet's column
            return f"{each['name']} ({each.get('type', 'File')}{', optional' if each.get('optional') is True else ''})"
        return str(each)

    return {name: ("yes" if value else "no") if name in ("optional", "multiple") else
            ", ".join(map(word, value)) if isinstance(value, list) else value for name, value in row.items()}


def print_fitting(rows, columns):
    """Print a table of the columns that have something in them, on a terminal as wide as that: the longest cells are cut."""
    columns = [name for name in columns if any(row[name] not in (None, "") for row in rows)]
    cells = [{name: "" if row[name] is None else one_line(str(row[name])) for name in columns} for row in rows]
    widths = {name: max(len(name) + 2, *(len(row[name]) for row in cells)) for name in columns}
    width = max(shutil.get_terminal_size().columns, sum(len(name) + 4 for name in columns)) if sys.stdout.isatty() else None
    while width and sum(widths.values()) + 2 * len(columns) > width:
        widths[max(columns, key=lambda name: widths[name] - len(name))] -= 1
    show([{name: text if len(text) <= widths[name] else text[:widths[name] - 1] + "\u2026" for name, text in row.items()}
          for row in cells], fields=columns)


if __name__ == "__main__":
    sys.exit(run(main))
