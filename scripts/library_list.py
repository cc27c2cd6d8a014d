#!/usr/bin/env python3
"""List the data libraries, or what is in one.

Usage:
  library_list.py [options] KEY URL [LIBRARY]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  LIBRARY          the library's id or exact name, to list what is in it

Options:
  --path=PATH      what is in that folder of LIBRARY, names separated by /; by default in its root folder
  -r, --recursive  what is in the folders there, too
  --deleted        the libraries that are deleted, which administrators see
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

It lists what this key's user may see. public is whether everybody may; can_user_add, can_user_modify and can_user_manage are
whether this user may, of an administrator always. Of what is in a library, ref (ldda:ID) is what other scripts take;
file_size is in bytes; a dataset is public if everybody whom the library lets in may read it.
  library_list.py --format=value --fields=name - -
  library_list.py -r --path=runs/2026 - - "Sequencing core"
library_download.py fetches all that is in a folder.
"""
import sys

from common import DONE, USAGE, Galaxy, GalaxyError, arguments, output_options, require_active_folder, run, show
from galaxy_api_scripts.libraries.walk import find_folder, split_path, walk_folder

LIBRARY_COLUMNS = ["id", "name", "public", "can_user_add", "can_user_modify", "can_user_manage", "description"]
CONTENT_COLUMNS = ["path", "kind", "id", "ref", "state", "extension", "file_size", "public"]


def main(argv=None):
    args = arguments(__doc__, argv)
    name, path, recursive, deleted = args["LIBRARY"], args["--path"], args["--recursive"], args["--deleted"]
    if name is not None and not name.strip():
        raise GalaxyError("LIBRARY is empty: is a variable unset?", USAGE)
    if name is None and (recursive or path is not None):
        raise GalaxyError(f"{'--recursive' if recursive else '--path'}: of which LIBRARY?", USAGE)
    if name and deleted:
        raise GalaxyError("--deleted lists libraries, so it takes no LIBRARY", USAGE)
    output = output_options(args, CONTENT_COLUMNS if name else ())
    galaxy = Galaxy(args["KEY"], args["URL"])

    if galaxy.key:
        galaxy.current_user()
    if name is None:
        libraries = galaxy.get("libraries", {"deleted": str(deleted).lower()})
        libraries = sorted(libraries, key=lambda library: (library["name"].casefold(), library["id"]))
        rows = ({**dict.fromkeys(LIBRARY_COLUMNS), **library} for library in libraries)
        show(rows, output["format"], output["fields"] or LIBRARY_COLUMNS)
        return DONE
    library = galaxy.resolve("libraries", name)["id"]
    root = require_active_folder(galaxy, library)
    names = split_path(path)
    folder = find_folder(galaxy, library, root, names)
    rows = (describe(*one) for one in walk_folder(galaxy, library, folder, names, recursive))
    show(rows, output["format"], output["fields"] or CONTENT_COLUMNS)
    return DONE


def describe(path, item):
    """Return the row for an item; of one that only the library's list has, neither size nor state is known."""
    is_file, ldda = item["type"] == "file", item.get("ldda_id")
    return {"path": "/".join(path), "kind": "dataset" if is_file else "folder", "id": item["id"],
            "ref": (f"ldda:{ldda}" if ldda else f"ld:{item['id']}") if is_file else None, "state": item.get("state"),
            "extension": item.get("file_ext"), "file_size": item.get("raw_size"), "public": item.get("is_unrestricted")}


if __name__ == "__main__":
    sys.exit(run(main))
