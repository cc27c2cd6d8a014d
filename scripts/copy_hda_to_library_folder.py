#!/usr/bin/env python3
"""Put a dataset of a history into a library folder; its bytes are not copied.

Usage:
  copy_hda_to_library_folder.py [options] BASE KEY HDA_ID LIBRARY_ID FOLDER_ID [MESSAGE]

Arguments:
  BASE             the server, with or without http:// before it, or - to look it up
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  HDA_ID           the dataset's id in its history, or hda:ID
  LIBRARY_ID       the library's id
  FOLDER_ID        the folder's id, which begins with F; that of a library's top is its root_folder_id:
                   display.py --fields=name,root_folder_id - /api/libraries
  MESSAGE          words that go with it

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

  copy_hda_to_library_folder.py - - bbd44e69cb8906b5 f597429621d6eb2b F2f94e8ae9edff68a "Reviewed by Ada"
"""
import sys

from common import Galaxy, arguments, output_options, parse_id, require_active_folder, run, submit


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    dataset, library = parse_id(args["HDA_ID"].removeprefix("hda:"), "HDA_ID"), parse_id(args["LIBRARY_ID"], "LIBRARY_ID")
    folder, message = parse_id(args["FOLDER_ID"], "FOLDER_ID", is_folder=True), args["MESSAGE"]
    base = args["BASE"]
    galaxy = Galaxy(args["KEY"], base if "://" in base or base.startswith(("-", "/")) else f"http://{base}")
    require_active_folder(galaxy, library, folder)

    data = {"folder_id": folder, "create_type": "file", "from_hda_id": dataset}
    if message:
        data["ldda_message"] = message
    submit(args["KEY"], f"{galaxy.base}/api/libraries/{library}/contents", data, route="libraries/ID/contents",
           **output_options(args))


if __name__ == "__main__":
    sys.exit(run(main))
