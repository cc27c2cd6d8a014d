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
  --timeout=SECONDS   how long to wait for Galaxy's jobs; as long as it takes unless given
  -n, --dry-run       say what would be loaded, make and load nothing
  -h, --help          show this

The server reads the files itself, which takes allow_path_paste in its galaxy.yml. A file that is in the library already,
under its name and with its size, is left out, so this can run again; one run at a time for a library's name and account
(else 75). It ends when Galaxy's jobs have ended: with 3 when some files did not get in, whose failed datasets are deleted.
Galaxy 26.1 puts extended metadata in its database, but has no address any more that shows them.
  load_data_with_metadata.py - - /data/chipseq "ChIP-seq" --uuid_field=uuid
"""
import os
import sys
import uuid

from common import (
    DONE,
    NON_TERMINAL_DATASET_STATES,
    SOME_FAILED,
    STILL_RUNNING,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    print_response,
    read_json,
    report_error,
    run,
)
from galaxy_api_scripts.libraries.contents import (
    PAUSED_ADVICE,
    LibraryFolder,
    exclusive_run,
    find_library,
    open_folder,
    require_path_paste,
    upload_problems,
)


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    name, dry, timeout = args["DATA_LIBRARY"], args["--dry-run"], int_option(args, "--timeout")
    loads = [(path, settings(path, args["--uuid_field"])) for path in with_companion(args["IN_FOLDER"])]
    if not name.strip():
        raise GalaxyError("DATA_LIBRARY is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["API_URL"])

    require_path_paste(galaxy)
    with exclusive_run(f"the library {name!r}"):
        library = find_library(galaxy, name)
        if not library and not dry:
            library = galaxy.post("libraries", {"name": name})
        folder = open_folder(galaxy, library["root_folder_id"], library["id"]) if library else LibraryFolder("")
        wanted = {path: data for path, data in loads if not folder.has(os.path.basename(path), os.path.getsize(path))}
        check_paused(folder, wanted)
        for path, data in wanted.items():
            print("Loading", path, flush=True)
            if not dry:
                print_response(galaxy.post(f"libraries/{library['id']}/contents", {"folder_id": folder.id, **data}))
        return DONE if dry or not wanted else ended(galaxy, folder, wanted, timeout)


def check_paused(folder, paths):
    """Refuse to load a second time what waits for a person."""
    for path in paths:
        for dataset in folder.named(os.path.basename(path)):
            if dataset["state"] == "paused":
                raise GalaxyError(f"{path}: its dataset {dataset['id']} is paused: {PAUSED_ADVICE} that dataset "
                              "(delete.py KEY .../api/libraries/datasets/ID)")


def ended(galaxy, folder, paths, timeout):
    """The exit status, once no dataset of these files moves any more; what did not get in is told."""
    files = {os.path.basename(path): (path, os.path.getsize(path)) for path in paths}
    for _ in galaxy.poll(timeout):
        now = open_folder(galaxy, folder.id)
        moving = [name for name in files if any(one["state"] in NON_TERMINAL_DATASET_STATES for one in now.named(name))]
        if not moving:
            break
    else:
        raise GalaxyError(f"{len(moving)} of {len(files)} files are still being loaded after {timeout} s", STILL_RUNNING)
    paused = any(one["state"] == "paused" for name in files for one in now.named(name))
    failed = upload_problems(galaxy, folder, [(name, size) for name, (_, size) in files.items()],
                   f"it is paused: {PAUSED_ADVICE} that dataset" if paused else "Galaxy does not say why")
    for name, what in failed.items():
        report_error(f"{files[name][0]}: {what}")
    return SOME_FAILED if failed else DONE


def with_companion(where):
    """The files in the folder `where`, or the one that it is, beside which there is a FILE.json."""
    if not os.path.exists(where):
        raise GalaxyError(f"{where}: no such file or folder", USAGE)
    paths = sorted(os.path.join(where, name) for name in os.listdir(where)) if os.path.isdir(where) else [
        os.path.abspath(where)]
    return [path for path in paths if os.path.isfile(path) and os.path.exists(path + ".json")]


def settings(path, uuid_field):
    """What Galaxy is told of the file at `path`."""
    path = os.path.abspath(path)
    if [path] != [line.strip() for line in path.splitlines()]:      # Galaxy reads it as a list of paths
        raise GalaxyError(f"{path!r}: Galaxy takes no newline in a path, nor blanks at its ends: rename it", USAGE)
    metadata = read_json(path + ".json")
    if not isinstance(metadata, dict):
        raise GalaxyError(f"{path}.json: a JSON object is wanted", USAGE)
    data = {"create_type": "file", "file_type": "auto", "dbkey": "?", "upload_option": "upload_paths",
            "filesystem_paths": path, "link_data_only": "link_to_files", "extended_metadata": metadata}
    if uuid_field in metadata:
        try:
            data["uuid"] = str(uuid.UUID(metadata[uuid_field]))
        except (ValueError, AttributeError, TypeError):     # Galaxy would take it, and its job fail
            raise GalaxyError(f"{path}.json: {uuid_field}: {metadata[uuid_field]!r} is no UUID", USAGE) from None
    return data


if __name__ == "__main__":
    sys.exit(run(main))
