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

from common import arguments, run
from galaxy_api_scripts.workflows.execute import execute


def main(argv=None):
    execute(arguments(__doc__, argv, legacy=True))


if __name__ == "__main__":
    sys.exit(run(main))
