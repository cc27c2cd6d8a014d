#!/usr/bin/env python3
"""Put a dataset of a data library into a history; its bytes are not copied.

Usage:
  import_library_dataset_to_history.py [options] KEY URL LIBRARY_FILE_ID

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the history's address, .../api/histories/HISTORY_ID/contents
  LIBRARY_FILE_ID  the dataset's id in the library: display.py --fields=id,name,type - /api/libraries/ID/contents;
                   or ld:ID, ldda:ID, or lib:/LIBRARY/FOLDER/NAME

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

  import_library_dataset_to_history.py - /api/histories/2a56795cad3c7db3/contents c8c00aa41dc69085
"""
import sys

from common import Galaxy, GalaxyError, arguments, output_options, parse_id, run, submit


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    text, output = args["LIBRARY_FILE_ID"], output_options(args)
    if text.startswith(("ldda:", "lib:")):
        text = find_file(Galaxy(args["KEY"], args["URL"]), text)
    data = {"source": "library", "content": parse_id(text.removeprefix("ld:"), "LIBRARY_FILE_ID")}
    submit(args["KEY"], args["URL"], data, route="histories/ID/contents", **output)


def find_file(galaxy, ref):
    """Return the id that the library's dataset has in its folder, which is not that of its latest version (`ldda:ID`)."""
    from galaxy_api_scripts.datasets.lookup import fetch_library_dataset
    from galaxy_api_scripts.libraries.contents import resolve_library_paths
    if ref.startswith("lib:"):
        return resolve_library_paths(galaxy, [ref])[0]
    file = fetch_library_dataset(galaxy, "ldda", parse_id(ref[5:], "LIBRARY_FILE_ID"))["library_dataset"]
    if not file:
        raise GalaxyError(f"{ref}: Galaxy does not tell where in a library that is: give lib:/LIBRARY/FOLDER/NAME")
    return file


if __name__ == "__main__":
    sys.exit(run(main))
