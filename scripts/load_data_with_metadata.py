#!/usr/bin/env python3
"""Link files that have a companion FILE.json into a data library, with what that says as their extended metadata.

Usage:
  load_data_with_metadata.py [options] KEY API_URL IN_FOLDER DATA_LIBRARY

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  API_URL          the server, or its .../api/, or - to look it up
  IN_FOLDER        a folder, without its sub-folders, or a single file; the server has it under the same path
  DATA_LIBRARY     the library's name; it is made where there is none of that name

Options:
  --uuid_field=FIELD  the field of FILE.json that holds the UUID which the dataset is to have
  -n, --dry-run       say what would be loaded, make and load nothing
  -h, --help          show this

The server reads the files itself, which takes allow_path_paste in its galaxy.yml. A file that is in the library already,
under its name and with its size, is left out, so this can run again. Galaxy 26.1 puts extended metadata in its database,
but has no address any more that shows them.
  load_data_with_metadata.py - - /data/chipseq "ChIP-seq" --uuid_field=uuid
"""
import os
import sys
import uuid

from common import USAGE, Galaxy, Refused, arguments, print_response, read_json, run
from libraries import Folder, library_named, need_path_paste, opened


def main(argv=None):
    args = arguments(__doc__, argv)
    name, dry = args["DATA_LIBRARY"], args["--dry-run"]
    loads = [(path, settings(path, args["--uuid_field"])) for path in with_companion(args["IN_FOLDER"])]
    if not name.strip():
        raise Refused("DATA_LIBRARY is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["API_URL"])

    need_path_paste(galaxy)
    library = library_named(galaxy, name)
    if not library and not dry:
        library = galaxy.post("libraries", {"name": name})
    folder = opened(galaxy, library["root_folder_id"], library["id"]) if library else Folder("")
    for path, data in loads:
        if folder.has(os.path.basename(path), os.path.getsize(path)):
            continue
        print("Loading", path, flush=True)
        if not dry:
            print_response(galaxy.post(f"libraries/{library['id']}/contents", {"folder_id": folder.id, **data}))


def with_companion(where):
    """The files in the folder `where`, or the one that it is, beside which there is a FILE.json."""
    if not os.path.exists(where):
        raise Refused(f"{where}: no such file or folder", USAGE)
    paths = sorted(os.path.join(where, name) for name in os.listdir(where)) if os.path.isdir(where) else [
        os.path.abspath(where)]
    return [path for path in paths if os.path.isfile(path) and os.path.exists(path + ".json")]


def settings(path, uuid_field):
    """What Galaxy is told of the file at `path`."""
    metadata = read_json(path + ".json")
    if not isinstance(metadata, dict):
        raise Refused(f"{path}.json: a JSON object is wanted", USAGE)
    data = {"create_type": "file", "file_type": "auto", "dbkey": "?", "upload_option": "upload_paths",
            "filesystem_paths": os.path.abspath(path), "link_data_only": "link_to_files", "extended_metadata": metadata}
    if uuid_field in metadata:
        try:
            data["uuid"] = str(uuid.UUID(metadata[uuid_field]))
        except (ValueError, AttributeError, TypeError):     # Galaxy would take it, and its job fail
            raise Refused(f"{path}.json: {uuid_field}: {metadata[uuid_field]!r} is no UUID", USAGE) from None
    return data


if __name__ == "__main__":
    sys.exit(run(main))
