#!/usr/bin/env python3
"""Import a workflow from a .ga or Format 2 file, and print what Galaxy answers.

Usage:
  workflow_import_from_file_rpark.py [options] KEY URL FILE

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or its .../api/workflows/import, or - to look it up
  FILE             the workflow on this machine; - for standard input

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

Tools that the server lacks are named on standard error. workflow_import.py takes addresses and the server's own paths too.
  workflow_import_from_file_rpark.py - http://localhost:8080/api/workflows/import wet_days.ga
"""
import os
import sys

from common import Galaxy, arguments, output_options, print_response, read_text, run, show
from galaxy_api_scripts.workflows.definition import import_payload, warn_missing_tools


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    file, output = args["FILE"], output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    text = read_text(file)
    answer = galaxy.post("workflows", import_payload(text, "standard input" if file == "-" else file))
    show(answer, plain=print_response, changed=True, **output)
    warn_missing_tools(galaxy, answer["id"], text, file if os.path.isfile(file) else "")


if __name__ == "__main__":
    sys.exit(run(main))
