#!/usr/bin/env python3
"""Import a workflow from a .ga file on this machine.

Usage:
  workflow_import.py [options] KEY URL FILE

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  FILE             the workflow; - for standard input

Options:
  --add_to_menu    list it in the tool panel too
  --format=FORMAT  print the new workflow: table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields of it, separated by commas, as a table unless --format is given
  -h, --help       show this

Prints nothing unless asked to, as it always has. Its id, for workflow_execute.py:
  workflow_import.py --fields=id,name - - wet_days.ga
"""
import sys

from common import USAGE, Galaxy, Refused, arguments, output, read_json, run, show


def main(argv=None):
    args = arguments(__doc__, argv)
    file, in_menu, (style, fields) = args["FILE"], args["--add_to_menu"], output(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    workflow = read_json(file)
    if not isinstance(workflow, dict) or "steps" not in workflow:
        raise Refused(f"{file}: not a .ga file: it has no steps", USAGE)
    workflow.setdefault("annotation", "")       # without one Galaxy 26.1 answers 500 and says nothing more
    answer = galaxy.post("workflows", {"workflow": workflow})
    if in_menu:
        galaxy.put(f"workflows/{answer['id']}", {"show_in_tool_panel": True})
    show(answer, style, fields, plain=lambda answer: None, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
