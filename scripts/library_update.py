#!/usr/bin/env python3
"""Rename, describe or move a data library's folders and datasets, or rename and describe the library itself.

Usage:
  library_update.py [options] KEY URL LIBRARY

Arguments:
  KEY                 your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                 the server, or - to look it up
  LIBRARY             the library's id or exact name

Options:
  --path=PATH         a folder or dataset of the library, names separated by /, or its id; without it the library itself
  --name=NAME         its new name
  --description=TEXT  its description
  --synopsis=TEXT     the library's synopsis
  --move-to=FOLDER    the folder of the library to move it to, names separated by /, made if missing; / for the root folder
  -n, --dry-run       show what would be done, change nothing
  --format=FORMAT     table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES      only these fields, separated by commas
  -h, --help          show this help
  --version           show the version

Prints a row for each change: action (rename, describe, move), path, kind, id, before and after; each is read back from
Galaxy. The same line again changes nothing, and prints nothing. A name that something else in that folder
has, or another library, is refused.

Galaxy has no request to move things. So a dataset is copied to its new folder, without its bytes; name, type, tags,
description and permissions are compared with the old one's, and only then the old one is deleted. It has a new id and
another ref, its date is today's, and what histories have of it stays. A folder is made again in its new place, with its
permissions, and all that is in it moves there, for which an administrator's key is needed. After an interruption, the same
line continues. An item that can't be moved is reported, the others are moved, and the exit status is 3; it is 75 if another
run moves things there.
  library_update.py --name="Run 12" --synopsis="Sequenced in March" - - "Run 11"
  library_update.py --path=incoming/a.fastq.gz --move-to=runs/12 - - Core
  library_update.py -n --path=runs/12 --move-to=archive/2026 - - Core
"""
import contextlib
import sys

from common import (
    DONE,
    FAILED,
    SOME_FAILED,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    output_options,
    report_error,
    require_active_folder,
    run,
    show,
)
from galaxy_api_scripts.libraries.contents import find_library
from galaxy_api_scripts.libraries.moves import LibraryMoves, checkpoint_of
from galaxy_api_scripts.libraries.permissions import DATASET, FOLDER, LIBRARY, Item, list_contents
from galaxy_api_scripts.libraries.update import change_texts, compare_texts, fetch_item, require_modifiable
from galaxy_api_scripts.libraries.walk import split_path

FIELDS = ["action", "path", "kind", "id", "before", "after"]


def main(argv=None):
    args = arguments(__doc__, argv)
    name, path, dry_run = args["LIBRARY"], args["--path"], args["--dry-run"]
    wanted = {word: args[f"--{word}"] for word in ("name", "description", "synopsis") if args[f"--{word}"] is not None}
    target, output = None if args["--move-to"] is None else split_path(args["--move-to"]), output_options(args, FIELDS)
    if not name.strip():
        raise GalaxyError("LIBRARY is empty: is a variable unset?", USAGE)
    if not wanted and target is None:
        raise GalaxyError("what is to change? --name, --description, --synopsis and --move-to say so", USAGE)
    if target is not None and (path is None or {".", ".."}.intersection(target)):
        raise GalaxyError(f"--move-to={args['--move-to']}: " + (
            "of what? --path says so" if path is None else "expected names of folders, separated by /"), USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    is_admin = bool(galaxy.current_user().get("is_admin"))
    library = find(galaxy, name, wanted.get("name") if path is None else None)
    root = Item(FOLDER, require_active_folder(galaxy, library["id"]), "/")
    items = [] if path is None else [root, *list_contents(galaxy, library["id"], root, is_admin)]
    item = Item(LIBRARY, library["id"], library["name"]) if path is None else \
        find_item(items, path, wanted.get("name"), target, library["name"])
    if item == root:
        raise GalaxyError("--path: the root folder has its library's name, and stays where it is: leave --path out", USAGE)
    with contextlib.ExitStack() as stack:
        notes = stack.enter_context(checkpoint_of(galaxy, library["id"])) if target is not None and not dry_run else None
        return change(LibraryMoves(galaxy, library["id"], items, notes), item, wanted, target, dry_run, output)


def find(galaxy, text, new_name):
    """Return the library that is `text`, or that an earlier run has given its new name."""
    try:
        return galaxy.resolve("libraries", text)
    except GalaxyError:
        library = find_library(galaxy, new_name) if new_name else None
        if not library:
            raise
        return library


def find_item(items, path, name, target, library):
    """Return the item at a path, or with that id; where there is none, that which an earlier run has renamed or moved."""
    *folder, own = split_path(path) or [""]
    places = [(*folder, own), (*folder, name or own)]
    if target is not None:
        places += [(*target, own), (*target, name or own)]
    for place in places:
        matches = [item for item in items if item.path == "/" + "/".join(place) or item.id == path]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise GalaxyError(f"library {library!r} has {len(matches)} items at {path!r}: "
                              f"{', '.join(f'{one.kind} {one.id}' for one in matches)}; give the id of one")
    raise GalaxyError(f"library {library!r} has nothing at {path!r} that this key's user may see")


def change(moves, item, wanted, target, dry_run, output):
    """Make the changes that are not made yet, print a row for each, and return the exit status."""
    galaxy, about = moves.galaxy, fetch_item(moves.galaxy, item)
    texts = compare_texts(item, about, wanted)
    if texts:
        require_modifiable(galaxy, item, about)
    if "name" in texts:
        require_free_name(galaxy, item, texts["name"][1], moves)
    renamed = {**about, "name": wanted.get("name", about["name"])}
    is_there = target is None or item.path == "/" + "/".join((*target, item.path.rpartition("/")[2]))
    plan = [] if is_there else moves.plan(item, renamed, target)
    rows = []
    try:
        if texts and not dry_run:
            about = change_texts(galaxy, item, texts)
        rows += [{"action": "rename" if name == "name" else "describe", "path": item.path, "kind": item.kind, "id": item.id,
                  "before": before, "after": after} for name, (before, after) in texts.items()]
        if plan and not dry_run:
            plan[0].about = about
        for row in (move.row for move in plan) if dry_run else moves.apply(plan):
            rows.append(row)
        if target is not None and not (dry_run or moves.failure):
            moves.tidy()
    finally:
        if rows or output["format"]:
            show(rows, output["format"], output["fields"] or FIELDS, changed=True)
    for one, error in moves.errors.items():
        report_error(f"{one} ({one.id}): {str(error).removeprefix(f'{one} ({one.id}): ')}")
    if moves.failure:
        raise moves.failure
    return DONE if not moves.errors else SOME_FAILED if rows else FAILED


def require_free_name(galaxy, item, name, moves):
    """Raise `GalaxyError` if something else of its kind has that name beside an item."""
    if item.kind == LIBRARY:
        other = find_library(galaxy, name)
        others = [other["id"]] if other else []
    else:
        place = "/".join((item.path.rpartition("/")[0], name))
        others = [one.id for one in moves.items if one.path == place and one.kind == item.kind]
    if others:
        kind = {LIBRARY: "library", FOLDER: "folder", DATASET: "dataset"}[item.kind]
        raise GalaxyError(f"--name={name}: another {kind} has that name: {', '.join(others)}")


if __name__ == "__main__":
    sys.exit(run(main))
