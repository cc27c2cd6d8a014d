#!/usr/bin/env python3
"""Create or fill a data library from a YAML file that lists its contents and their sources.

Usage:
  fetch_to_library.py [options] -u URL -a KEY FILE

Arguments:
  FILE             a YAML or JSON file, - for standard input

Options:
  -u, --url=URL    the server, or - to look it up
  -a, --api=KEY    your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  --into           fill the library of that name, if there is one, with what it lacks
  -n, --dry-run    show what would be done, change nothing
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

The file has a destination and nested items, each with its source:
  destination: {type: library, name: Genomes, description: Where from}
  items:
  - name: a folder
    items:
    - {src: url, url: "https://example.org/yeast.fa.gz", name: yeast.fa.gz, ext: fasta.gz, info: R64}

The destination {type: library, name: ...} creates a new library in each run, even if one has that name, which standard
error then says, and takes an administrator's key; {type: library_folder, library_folder_id: ID}, here with the ID without
its F, fills an existing folder. The job belongs to a new history; when it has ended, the datasets are in the library.

With --into, the library of that name is filled instead, which takes the right to add to it; an administrator's key creates
it if there is none. A file that is there already, by its name and the hash that its item has, is not fetched again, so the
same line again does nothing. It waits for the job to end, and prints a row for each file that was fetched: action, path,
source. Files that were not fetched, or that are there with another hash, are reported; the exit status is then 3, or 1 if
that is so for every file.
  fetch_to_library.py -u - -a - genomes.yml
  fetch_to_library.py --into -u - -a - genomes.yml
"""
import contextlib
import json
import sys

from common import (
    DONE,
    FAILED,
    SOME_FAILED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    output_options,
    parse_id,
    print_request,
    read_text,
    report_error,
    require_active_folder,
    run,
    show,
)
from galaxy_api_scripts import releases
from galaxy_api_scripts.datasets.upload import post_fetch
from galaxy_api_scripts.libraries.contents import find_library, open_folder
from galaxy_api_scripts.libraries.fill import LibraryFill, list_steps
from galaxy_api_scripts.libraries.uploads import exclusive_run
from galaxy_api_scripts.yaml_files import load_yaml

LIBRARY_WORDS = ("name", "description", "synopsis")


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    target, output, dry_run = read_target(args["FILE"]), output_options(args), args["--dry-run"]
    destination = target["destination"]
    if args["--into"] and (destination["type"] != "library" or not isinstance(destination.get("name"), str)):
        raise GalaxyError("--into: is for a destination {type: library, name: NAME}", USAGE)
    galaxy = Galaxy(args["--api"], args["--url"])

    if args["--into"]:
        return fill(galaxy, target, dry_run, output)
    if dry_run:
        print_request("POST", galaxy.url_for("tools/fetch"), {"targets": [target]}, output["format"])
        return None
    require_permission(galaxy, destination)
    warn_of_others(galaxy, destination)
    if has_folders(target) and not releases.supports(galaxy, releases.FETCHED_FOLDERS):
        releases.warn_once(galaxy, "with Celery the job of a fetch that makes folders does not end there: if this one stays "
                           "running, make them first, and fetch into each")
    history = galaxy.post("histories", {"name": f"fetch_to_library.py {args['FILE']}"})["id"]
    try:
        answer = post_fetch(galaxy, history, [target])
    except GalaxyError as error:
        if not error.lost:      # else the history may have a job
            with contextlib.suppress(GalaxyError):
                galaxy.delete(f"histories/{history}")
        raise
    show(answer, **output, plain=lambda answer: print(json.dumps(answer)), changed=True)
    return None


def fill(galaxy, target, dry_run, output):
    """Fetch what the library of that name lacks, and print a row for each file; return the exit status."""
    items, destination = target.get("items", target.get("elements")), target["destination"]
    steps = files = list_steps(items)
    galaxy.current_user()
    library, errors = find_library(galaxy, destination["name"]), {}
    if not library:
        galaxy.require_admin("making a library")
    if not library and not dry_run:
        library = galaxy.post("libraries", {word: destination.get(word) or "" for word in LIBRARY_WORDS})
    with contextlib.ExitStack() as stack:
        if library:
            if not dry_run:
                stack.enter_context(exclusive_run(f"library {library['id']}"))
            filling = LibraryFill(galaxy, library, wait=not dry_run)
            steps, errors = filling.plan(steps), filling.errors
            if steps and not dry_run:
                steps = list(filling.apply(steps))
    if steps or output["format"]:
        show([step.row for step in steps], output["format"] or "value", output["fields"], changed=True)
    for path, why in errors.items():
        report_error(f"{path}: {why}")
    return DONE if not errors else SOME_FAILED if len(errors) < len(files) else FAILED


def warn_of_others(galaxy, destination):
    """Say if there is a library of the name that a new one gets."""
    if destination["type"] == "library":
        ids = []
        with contextlib.suppress(GalaxyError):      # which is no reason to make none
            libraries = galaxy.get("libraries", {"deleted": "false"})
            ids = [one["id"] for one in libraries if one["name"] == destination.get("name")]
        if ids:
            report_error(f"warning: a library is named {destination['name']!r} already ({', '.join(ids)}): this makes "
                         "another one of that name; --into fills the one that is there")


def has_folders(target):
    """Return whether a target has elements inside others, for which Galaxy makes folders."""
    members = target.get("elements") or target.get("items") or []
    return any(isinstance(one, dict) and one.keys() & {"elements", "items"} for one in members)


def require_permission(galaxy, destination):
    """Raise `GalaxyError` if this key's user may not fill the destination: Galaxy 26.1 lets everybody fill every folder."""
    if destination["type"] == "library":
        galaxy.require_admin("making a library")
    elif destination["type"] == "library_folder":
        folder = parse_id(f"F{destination.get('library_folder_id')}", "library_folder_id")
        library = galaxy.get(f"folders/{folder}")["parent_library_id"]
        open_folder(galaxy, require_active_folder(galaxy, library, folder), library)


def read_target(name):
    """Return the target that the file describes; raise a usage error if it describes none."""
    target = load_yaml(read_text(name), name)
    if not isinstance(target, dict):
        raise GalaxyError(f"{name}: expected a mapping with destination and items", USAGE)
    destination = target.get("destination")
    if not isinstance(destination, dict) or not destination.get("type"):
        raise GalaxyError(f"{name}: it has no destination with a type, such as {{type: library, name: NAME}}", USAGE)
    items = target.get("items", target.get("elements"))
    if not (isinstance(items, list) and items or target.get("elements_from")):
        raise GalaxyError(f"{name}: it has no list of items", USAGE)
    describe_folders(items)
    return json.loads(json.dumps(target, default=str))      # a date without quotes is a date to YAML


def describe_folders(items):
    """Give the folders among the items a description: Galaxy 26.1 does not show one without."""
    for item in items if isinstance(items, list) else []:
        inner = item.get("items", item.get("elements")) if isinstance(item, dict) else None
        if isinstance(inner, list):
            item.setdefault("description", "")
            describe_folders(inner)


if __name__ == "__main__":
    sys.exit(run(main))
