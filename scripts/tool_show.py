#!/usr/bin/env python3
"""Show what a tool takes and makes.

Usage:
  tool_show.py [options] KEY URL TOOL

Arguments:
  KEY               your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL               the server, or - to look it up
  TOOL              the tool's id or exact name

Options:
  --tool-version=V  the version of the tool; the newest that the server has unless given
  --format=FORMAT   table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES    only these fields, separated by commas
  -h, --help        show this help
  --version         show the version

Inputs have the names that tool_run.py takes. An input in a repeat has the number of its repetition (operations_0|opcol,
operations_1|opcol); one below a choice exists only with the choice in the column when. Choices that depend on the data are
not shown. With --format or --fields only the inputs are printed; they also have the fields multiple, min, max and
datatypes.
  tool_show.py - - Grouping1
  tool_show.py --format=jsonl - - "Sort"
"""
import sys

from common import Galaxy, arguments, one_line, output_options, run, show
from galaxy_api_scripts.tools.catalog import INPUT_COLUMNS, find_tool, input_table, tool_input_rows


def main(argv=None):
    args = arguments(__doc__, argv)
    output = output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    tool = find_tool(galaxy, args["TOOL"], args["--tool-version"])
    rows = tool_input_rows(tool)
    if any(output.values()):
        if not output["fields"] and output["format"] not in ("json", "jsonl"):
            output["fields"] = INPUT_COLUMNS
        show(rows, **output)
        return
    print(f"{tool['id']}, {one_line(tool['name'])} {tool['version']}\n{one_line(tool.get('description') or '')}\n")
    print(input_table(rows))
    print()
    show([output_row(output) for output in tool["outputs"]], fields=["output", "makes", "label"])


def output_row(output):
    """A row about an output, for people."""
    kind = f"as {output['format_source']}" if output.get("format_source") else output.get("format") or "data"
    if output.get("output_collection") or "structure" in output:
        kind = f"collection ({(output.get('structure') or {}).get('collection_type') or 'as the input'})"
    return {"output": output["name"], "makes": kind, "label": one_line(output.get("label") or "")}


if __name__ == "__main__":
    sys.exit(run(main))
