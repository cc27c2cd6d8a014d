#!/usr/bin/env python3
"""Put a dataset of a data library into a history; its bytes are not copied.

Usage:
  import_library_dataset_to_history.py [options] KEY URL LIBRARY_FILE_ID

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the history's address, .../api/histories/HISTORY_ID/contents
  LIBRARY_FILE_ID  the dataset's id in the library: display.py --fields=id,name,type - /api/libraries/ID/contents

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

  import_library_dataset_to_history.py - /api/histories/2a56795cad3c7db3/contents c8c00aa41dc69085
"""
import sys

from common import arguments, output_options, parse_id, run, submit


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    data = {"source": "library", "content": parse_id(args["LIBRARY_FILE_ID"], "LIBRARY_FILE_ID")}
    submit(args["KEY"], args["URL"], data, route="histories/ID/contents", **output_options(args))


if __name__ == "__main__":
    sys.exit(run(main))
