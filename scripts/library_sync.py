#!/usr/bin/env python3
"""Make a folder of a data library equal to a folder on this machine: upload what is new, replace what has changed.

Usage:
  library_sync.py [options] KEY URL LIBRARY FOLDER

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  LIBRARY            a library's id or exact name
  FOLDER             a folder on this machine

Options:
  --to=PATH          the folder in the library, names separated by /, made where it is missing; the library itself unless
                     given
  --delete           delete what is in the library's folder and not in FOLDER, which is only counted without it
  --verify           compare contents, too: reads all files
  -n, --dry-run      show as a table what would be done, change nothing
  -q, --quiet        print nothing about what was done
  --timeout=SECONDS  how long to wait for Galaxy to take files in; as long as it takes unless given
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style; a line for each thing done unless given
  --fields=NAMES     only these of action, path, size and why, separated by commas
  -h, --help         show this

A file is replaced when it has another size than the last run noted; or another time, and then another SHA-256. The new
dataset is compared with the file first, and only then is the old one deleted, which the library's managers can undo.

Left alone are hidden files, what is being written (*.part, *.partial, *.filepart, *.tmp, *.crdownload, *~), links out of
FOLDER and links to folders; and what the library has under such names. What can't be read and what does not arrive is told
on standard error, all else is done, and the exit status is 3. With --delete, a FOLDER without files is refused: its disk may
not be mounted.

What is where is noted on this machine (in $XDG_STATE_HOME, or ~/.local/state), so that a run that finds nothing new asks
Galaxy for one list. Without those notes a file counts as there when a dataset has its name and size.

Every night from cron, one run at a time (else 75); first, to see what it would do:
  library_sync.py --dry-run --delete --to=runs/2026 - - "Sequencing core" /data/runs
  library_sync.py -q --delete --to=runs/2026 - - "Sequencing core" /data/runs
"""
import os
import sys

from common import (
    DONE,
    SOME_FAILED,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.libraries.contents import exclusive_run, folder_in_use
from galaxy_api_scripts.libraries.local_tree import scan_tree
from galaxy_api_scripts.libraries.sync import KEEP, LibrarySync
from galaxy_api_scripts.libraries.sync_state import SyncState

FIELDS = ["action", "path", "size", "why"]


def main(argv=None):
    args = arguments(__doc__, argv)
    name, root, target = args["LIBRARY"], args["FOLDER"], path_of(args["--to"])
    dry, delete, quiet = args["--dry-run"], args["--delete"], args["--quiet"]
    timeout, (style, fields) = int_option(args, "--timeout"), output_options(args).values()
    if not name.strip() or not root:
        raise GalaxyError(f"{'FOLDER' if name.strip() else 'LIBRARY'} is empty: is a variable unset?", USAGE)
    if not {*fields} <= {*FIELDS}:
        raise GalaxyError(f"--fields={args['--fields']}: there are {', '.join(FIELDS)}", USAGE)
    disk = scan_tree(os.path.abspath(root))
    if delete and not disk.files:
        raise GalaxyError(f"{root}: there is no file in it, and --delete would delete all that the library's folder has: is its "
                      "disk mounted? If you mean it, delete that folder in Galaxy")
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    user, library = galaxy.current_user()["id"], galaxy.resolve("libraries", name)["id"]
    with exclusive_run(f"library {library}"), SyncState([galaxy.base, user, library, target, disk.root], fixed=dry) as record:
        mirror = LibrarySync(galaxy, library, folder_in_use(galaxy, library), target, disk, record)
        steps = mirror.plan(args["--verify"], delete, timeout)
        told = rows(steps if dry else mirror.apply(steps, timeout))
        if quiet:
            list(told)
        elif dry or style or fields:
            show(told, style, fields or FIELDS)
        else:
            show(({**row, "path": printable(row["path"])} for row in told), "value")
    for path, why in mirror.bad.items():
        report_error(f"{printable(path)}: {why}")
    if mirror.trouble:
        raise mirror.trouble
    return SOME_FAILED if mirror.bad else DONE


def path_of(text):
    """The path that --to names, without needless slashes; "" for the library itself."""
    names = [name for name in (text or "").split("/") if name]
    if text is not None and (not text.strip() or {".", ".."}.intersection(names)):
        raise GalaxyError(f"--to={text}: names of folders are wanted, separated by /" if text.strip() else
                      "--to is empty: is a variable unset?", USAGE)
    return "/".join(names)


def rows(steps):
    """A row for each step, but one for all files that are kept."""
    kept = []
    for step in steps:
        if step.action == KEEP:
            kept.append(step.size)
        else:
            yield step.row
    if kept:
        yield {"action": KEEP, "path": "", "size": sum(kept), "why": f"{len(kept)} as they are"}


def printable(path):
    """`path` on one line."""
    return path if path.isprintable() else repr(path)


if __name__ == "__main__":
    sys.exit(run(main))
