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

from common import arguments, run
from galaxy_api_scripts.workflows.execute import execute


def main(argv=None):
    execute(arguments(__doc__, argv, legacy=True), takes_parameters=True)


if __name__ == "__main__":
    sys.exit(run(main))
