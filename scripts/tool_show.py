#!/usr/bin/env python3
"""Show what a tool takes and makes.

Usage:
  tool_show.py [options] KEY URL TOOL

Arguments:
  KEY                 your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL                 the server, or - to look it up
  TOOL                the tool's id or exact name

Options:
  --tool-version=V    this version of it; the newest that is there unless given
  --format=FORMAT     table, json, jsonl, csv, tsv, value or another tabulate style, of the inputs alone
  --fields=NAMES      only these fields of the inputs, separated by commas, also multiple, min, max and datatypes; as a table
                      unless --format is given
  -h, --help          show this

Inputs are named as tool_run.py takes them: that of a repeat has its number (operations_0|opcol, operations_1|opcol), one
below a choice is there only when that is as it says. No choices are shown where they depend on the data.
  tool_show.py - - Grouping1
  tool_show.py --format=jsonl - - "Sort"
"""
import sys

from common import Galaxy, arguments, one_line, output_options, run, show
from galaxy_api_scripts.tools import request


def main(argv=None):
    args = arguments(__doc__, argv)
    style, fields = output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    tool = request.find_tool(galaxy, args["TOOL"], args["--tool-version"])
    rows = request.tool_input_rows(tool)
    if style or fields:
        show(rows, style, fields or ([] if style in ("json", "jsonl") else request.INPUT_COLUMNS))
        return
    print(f"{tool['id']}, {tool['name']} {tool['version']}\n{one_line(tool.get('description') or '')}\n")
    print(request.input_table(rows))
    print()
    show([made(one) for one in tool["outputs"]], fields=["output", "makes", "label"])


def made(one):
    """An output as people read it."""
    kind = f"as {one['format_source']}" if one.get("format_source") else one.get("format") or "data"
    if one.get("output_collection") or "structure" in one:
        kind = f"collection ({(one.get('structure') or {}).get('collection_type') or 'as the input'})"
    return {"output": one["name"], "makes": kind, "label": one_line(one.get("label") or "")}


if __name__ == "__main__":
    sys.exit(run(main))
