#!/usr/bin/env python3
"""Make a folder of a data library equal to a folder on this machine: upload new files, replace changed ones.

Usage:
  library_sync.py [options] KEY URL LIBRARY FOLDER

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  LIBRARY            the library's id or exact name
  FOLDER             a folder on this machine

Options:
  --to=PATH          the folder in the library, names separated by /, created if missing; by default the root folder
  --delete           delete what is in the library's folder and not in FOLDER; without it that is only counted
  --verify           compare the contents of all files, too, which reads them
  --transfers=N      transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --limit-rate=RATE  at most this many bytes a second, all transfers together: 500K, 20M, 1G
  -n, --dry-run      show what would be done, change nothing
  -q, --quiet        no progress, only results and errors
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES     only these fields, separated by commas
  -h, --help         show this help
  --version          show the version

Prints a row for each action: action, path, size and why. With --quiet there is none for what is kept or left alone, so a
run with nothing to do prints no row.

A file is replaced if its size differs from what the last run noted, or if its times do and then its SHA-256. The new
dataset is compared with the file first, and only then is the old one deleted, which the library's managers can undo.

Left alone are hidden files, files being written (*.part, *.partial, *.filepart, *.tmp, *.crdownload, *~), links out of
FOLDER and links to folders, and what the library has under such names. If a file can't be read or does not arrive, an error
says so, the others are done, and the exit status is 3; it is 4 if nothing else is left than what others are uploading under
the same name. With --delete, a FOLDER without files is refused: its disk may not be mounted.

Each run notes on this machine (in $XDG_STATE_HOME, or ~/.local/state) which dataset holds which file, so a run with nothing
to do asks Galaxy for one list. Without these notes a dataset with a file's name and size counts as equal to it.

Every night from cron, one run at a time (a second one exits with 75); first, what it would do:
  library_sync.py --dry-run --delete --to=runs/2026 - - "Sequencing core" /data/runs
  library_sync.py -q --delete --to=runs/2026 - - "Sequencing core" /data/runs
"""
import os
import sys

from common import (
    DONE,
    SOME_FAILED,
    STILL_RUNNING,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    report_error,
    require_active_folder,
    run,
    show,
)
from galaxy_api_scripts.libraries.contents import BEING_MADE_ADVICE
from galaxy_api_scripts.libraries.local_tree import scan_tree
from galaxy_api_scripts.libraries.sync import LibrarySync
from galaxy_api_scripts.libraries.sync_plan import KEEP, LEAVE
from galaxy_api_scripts.libraries.sync_state import SyncState
from galaxy_api_scripts.libraries.uploads import exclusive_run
from galaxy_api_scripts.progress import date_lines, enable_bars, printable_name
from galaxy_api_scripts.rate_limit import limit_rate
from galaxy_api_scripts.transfers import transfers_option

FIELDS = ["action", "path", "size", "why"]


def main(argv=None):
    args = arguments(__doc__, argv)
    date_lines(args["FOLDER"])
    name, folder, target = args["LIBRARY"], args["FOLDER"], parse_target(args["--to"])
    verify, delete, dry_run, quiet = args["--verify"], args["--delete"], args["--dry-run"], args["--quiet"]
    timeout, output, transfers = int_option(args, "--timeout"), output_options(args, FIELDS), transfers_option(args)
    limit_rate(args)
    if not name.strip() or not folder:
        raise GalaxyError(f"{'FOLDER' if name.strip() else 'LIBRARY'} is empty: is a variable unset?", USAGE)
    tree = scan_tree(os.path.abspath(folder))
    if delete and not tree.files:
        raise GalaxyError(f"{folder}: it has no files, and --delete would delete everything in the library's folder: is its "
                          "disk mounted? If you mean it, delete that folder in Galaxy")
    enable_bars(not quiet)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    user, library = galaxy.current_user()["id"], galaxy.resolve("libraries", name)["id"]
    with exclusive_run(f"library {library}"), \
            SyncState([galaxy.base, user, library, target, tree.root], read_only=dry_run) as state:
        sync = LibrarySync(galaxy, library, require_active_folder(galaxy, library), target, tree, state, transfers)
        steps = sync.plan(verify, delete, timeout)
        rows = summarize(steps if dry_run else sync.apply(steps, timeout), quiet)
        if dry_run or any(output.values()):
            show(rows, output["format"], output["fields"] or FIELDS)
        else:
            show(({**row, "path": printable_name(row["path"])} for row in rows), "value")
    for path, why in sync.errors.items():
        report_error(f"{printable_name(path)}: {why}")
    if sync.failure and not (sync.errors and sync.failure.exit_code == STILL_RUNNING):      # a failure counts more
        raise sync.failure
    if sync.failure:
        report_error(str(sync.failure))
    waiting = [step for step in steps if step.waits and not dry_run]
    for step in waiting:
        report_error(f"{printable_name(step.path)}: {step.why}: {BEING_MADE_ADVICE}")
    return SOME_FAILED if sync.errors else STILL_RUNNING if waiting else DONE


def parse_target(text):
    """Return the path that --to names without needless slashes, "" for the root folder."""
    names = [name for name in (text or "").split("/") if name]
    if {".", ".."}.intersection(names):
        raise GalaxyError(f"--to={text}: expected names of folders, separated by /", USAGE)
    return "/".join(names)


def summarize(steps, quiet):
    """Yield a row for each step, and a single one for all files that are kept; if `quiet`, only for steps that change
    something."""
    kept_sizes = []
    for step in steps:
        if step.action == KEEP:
            kept_sizes.append(step.size)
        elif step.action != LEAVE or not quiet:
            yield step.row
    if kept_sizes and not quiet:
        yield {"action": KEEP, "path": "", "size": sum(kept_sizes), "why": f"{len(kept_sizes)} unchanged"}


if __name__ == "__main__":
    sys.exit(run(main))
