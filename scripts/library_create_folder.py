#!/usr/bin/env python3
"""Create a folder in a data library.

Usage:
  library_create_folder.py [options] KEY URL FOLDER_ID NAME [DESCRIPTION]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the library's address, .../api/libraries/LIBRARY_ID/contents
  FOLDER_ID        the id of the folder to put it into, which begins with F; that of a library's top is its
                   root_folder_id: display.py --fields=name,root_folder_id - /api/libraries
  NAME             its name; Galaxy takes one that another folder has, too
  DESCRIPTION      what is in it

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

  library_create_folder.py - /api/libraries/f597429621d6eb2b/contents F2f94e8ae9edff68a "Run 12" "Paired, 2x150"
"""
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, output_options, parse_id, require_active_folder, run, submit


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    folder, name, description = parse_id(args["FOLDER_ID"], "FOLDER_ID", is_folder=True), args["NAME"], args["DESCRIPTION"]
    output = output_options(args)
    if not name.strip():
        raise GalaxyError("NAME is empty: is a variable unset?", USAGE)
    require_active_folder(Galaxy(args["KEY"], args["URL"]), folder=folder)

    if description is None and not any(output.values()):
        print("Unable to set description; using empty description in its place", flush=True)
    data = {"folder_id": folder, "name": name, "create_type": "folder", "description": description or ""}
    submit(args["KEY"], args["URL"], data, route="libraries/ID/contents", **output)


if __name__ == "__main__":
    sys.exit(run(main))
