#!/usr/bin/env python3
"""Link files that have a companion FILE.json into a data library, with its content as their extended metadata.

Usage:
  load_data_with_metadata.py [options] KEY API_URL IN_FOLDER DATA_LIBRARY

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  API_URL          the server, or its .../api/, or - to look it up
  IN_FOLDER        a folder, without its subfolders, or a single file; the server must see it under the same path
  DATA_LIBRARY     the library's name; it is created if there is none of that name

Options:
  --uuid_field=FIELD  the field of FILE.json that holds the dataset's UUID
  --timeout=SECONDS   stop waiting after this many seconds in all
  -n, --dry-run       show what would be done, change nothing
  -h, --help          show this help
  --version           show the version

The server reads the files itself, which takes allow_path_paste in its galaxy.yml. A file whose name and size a dataset in
the library has already is left out, so the command can be repeated; one run at a time for a library's name and account (a
second one exits with 75). It waits until Galaxy's jobs have ended, and exits with 3 if some files did not get in; their
failed datasets are deleted. Galaxy 26.1 stores extended metadata, but has no route any more that shows them.
  load_data_with_metadata.py - - /data/chipseq "ChIP-seq" --uuid_field=uuid
"""
import os
import sys
import uuid

from common import (
    DONE,
    NON_TERMINAL_DATASET_STATES,
    NON_TERMINAL_JOB_STATES,
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
from galaxy_api_scripts.libraries.contents import LibraryFolder, find_library, open_folder, require_path_paste
from galaxy_api_scripts.libraries.uploads import PAUSED_ADVICE, check_uploads, exclusive_run


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    name, dry_run, timeout = args["DATA_LIBRARY"], args["--dry-run"], int_option(args, "--timeout")
    payloads = {path: build_payload(path, args["--uuid_field"]) for path in list_files(args["IN_FOLDER"])}
    if not name.strip():
        raise GalaxyError("DATA_LIBRARY is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["API_URL"])

    require_path_paste(galaxy)
    with exclusive_run(f"the library {name!r}"):
        library = find_library(galaxy, name)
        if not library and not dry_run:
            library = galaxy.post("libraries", {"name": name})
        folder = open_folder(galaxy, library["root_folder_id"], library["id"]) if library else LibraryFolder("")
        absent = [path for path in payloads if os.path.getsize(path) not in folder.complete_sizes(os.path.basename(path))]
        moving = [path for path in absent if folder.being_made(os.path.basename(path))]
        missing = [path for path in absent if path not in moving]
        require_unpaused(folder, missing)
        for path in missing:
            print("Loading", path, flush=True)
            if not dry_run:
                payload = {"folder_id": folder.id, **payloads[path]}
                print_response(galaxy.post(f"libraries/{library['id']}/contents", payload))
        ended = [item for item in folder.items if item.get("state") not in NON_TERMINAL_DATASET_STATES]
        return DONE if dry_run or not absent else wait_and_check(galaxy, LibraryFolder(folder.id, ended), absent, timeout)


def require_unpaused(folder, paths):
    """Raise `GalaxyError` if a file has a paused dataset: a second one would only wait as well."""
    for path in paths:
        for dataset in folder.datasets(os.path.basename(path)):
            if dataset["state"] == "paused":
                raise GalaxyError(f"{path}: its dataset {dataset['id']} is paused: {PAUSED_ADVICE} that dataset "
                                  "(delete.py KEY .../api/libraries/datasets/ID)")


def wait_and_check(galaxy, folder, paths, timeout):
    """Wait until all datasets of these files have ended, report what did not get in, and return the exit status."""
    files = {os.path.basename(path): (path, os.path.getsize(path)) for path in paths}
    for _ in galaxy.poll(timeout):
        # Asked before the folder: a cancelled job leaves its dataset in the state that it was in (26.1).
        jobs = list(galaxy.pages("jobs", {"tool_id": "upload1", "state": list(NON_TERMINAL_JOB_STATES)}, limit=1))
        now = open_folder(galaxy, folder.id)
        states = {name: [dataset["state"] for dataset in now.datasets(name)] for name in files}
        unfinished = [name for name in files if not set(states[name]).isdisjoint(NON_TERMINAL_DATASET_STATES)]
        if not unfinished or not jobs:
            break
    else:
        report_error(f"{len(unfinished)} of {len(files)} files are still being loaded after {timeout} s")
    for name in unfinished if not jobs else ():
        report_error(f"{files[name][0]}: its job has ended without it: was it cancelled?")
        for dataset in now.datasets(name):
            if dataset["state"] in NON_TERMINAL_DATASET_STATES:
                galaxy.delete(f"libraries/datasets/{dataset['id']}")
    is_paused = any("paused" in states[name] for name in files)
    problems = check_uploads(galaxy, folder, {name: size for name, (_, size) in files.items() if name not in unfinished},
                             f"it is paused: {PAUSED_ADVICE} that dataset" if is_paused else "Galaxy does not say why")
    for name, problem in problems.items():
        report_error(f"{files[name][0]}: {problem}")
    return SOME_FAILED if problems or (unfinished and not jobs) else STILL_RUNNING if unfinished else DONE


def list_files(folder):
    """Return the files in `folder`, which may be a single file, that have a FILE.json next to them."""
    if not os.path.exists(folder):
        raise GalaxyError(f"{folder}: no such file or folder", USAGE)
    paths = sorted(os.path.join(folder, name) for name in os.listdir(folder)) if os.path.isdir(folder) else [
        os.path.abspath(folder)]
    return [path for path in paths if os.path.isfile(path) and os.path.exists(path + ".json")]


def build_payload(path, uuid_field):
    """Return the payload that loads the file at `path`, but for its folder_id."""
    path = os.path.abspath(path)
    if [path] != [line.strip() for line in path.splitlines()]:      # Galaxy reads it as a list of paths
        raise GalaxyError(f"{path!r}: Galaxy takes no newline in a path, nor blanks at its ends: rename it", USAGE)
    metadata = read_json(path + ".json")
    if not isinstance(metadata, dict):
        raise GalaxyError(f"{path}.json: expected a JSON object", USAGE)
    payload = {"create_type": "file", "file_type": "auto", "dbkey": "?", "upload_option": "upload_paths",
               "filesystem_paths": path, "link_data_only": "link_to_files", "extended_metadata": metadata}
    if uuid_field in metadata:
        try:
            payload["uuid"] = str(uuid.UUID(metadata[uuid_field]))
        except (ValueError, AttributeError, TypeError):     # Galaxy would take it, and its job fail
            raise GalaxyError(f"{path}.json: {uuid_field}: {metadata[uuid_field]!r} is not a UUID", USAGE) from None
    return payload


if __name__ == "__main__":
    sys.exit(run(main))
