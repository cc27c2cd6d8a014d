#!/usr/bin/env python3
"""Download a data library, or a folder of it, as folders on this machine; each file gets its name when it is complete.

Usage:
  library_download.py [options] KEY URL LIBRARY

Arguments:
  KEY                      your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                      the server, or - to look it up
  LIBRARY                  the library's id or exact name

Options:
  --path=PATH              only what is in that folder of the library, names separated by /
  --to=DIR                 the folder, made if it does not exist  [default: .]
  --transfers=N            transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --limit-rate=RATE        at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --verify                 compare files that are there already with Galaxy's hashes, too, which reads them
  --no-verify              keep what comes even if Galaxy's hash of it is another one
  --force                  replace files of the same name that this script did not download
  --stall-timeout=SECONDS  give up when nothing has moved for this many seconds  [default: 600]
  -n, --dry-run            show what would be done, change nothing
  -q, --quiet              no progress, only results and errors
  --format=FORMAT          table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES           only these fields, separated by commas
  -h, --help               show this help
  --version                show the version

Prints a row for each file that was fetched: action (download; replace if one was there), path, file_size in bytes, ref. The
same line again fetches only what is missing, has another size or is another dataset now, resumes where a killed run was, and
prints nothing if there is nothing to do. It deletes nothing: what is gone from the library stays in DIR.

Files have the names that they have in the library: a _ stands for each character that no file's name can have, and the
second of two with the same name gets its id, too. What comes is compared with Galaxy's size and hash of it, if it has one.
DIR/manifest.tsv lists the files. Datasets that are not ok are reported, the others are fetched, and the exit status is 3;
it is 75 if another run downloads into DIR.

Every night from cron; first, what it would do:
  library_download.py -n --path=runs/2026 --to=/data/runs - - "Sequencing core"
  library_download.py -q --path=runs/2026 --to=/data/runs - - "Sequencing core"
"""
import sys
from pathlib import Path

from common import (
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    require_active_folder,
    run,
    show,
)
from galaxy_api_scripts.datasets.download import DownloadFolder, download_items, exit_status
from galaxy_api_scripts.datasets.download_paths import OWN_PATH
from galaxy_api_scripts.files import prepare_folder
from galaxy_api_scripts.libraries.download import describe, iter_downloads, plan_downloads, scope_of
from galaxy_api_scripts.libraries.walk import find_folder, split_path
from galaxy_api_scripts.progress import date_lines, enable_bars
from galaxy_api_scripts.rate_limit import limit_rate
from galaxy_api_scripts.transfers import transfers_option

FIELDS = ["action", "path", "file_size", "ref"]


def main(argv=None):
    args = arguments(__doc__, argv)
    date_lines(args["--to"])
    name, names, to, dry_run = args["LIBRARY"], split_path(args["--path"]), args["--to"], args["--dry-run"]
    transfers, stall, output = transfers_option(args), int_option(args, "--stall-timeout", 1), output_options(args, FIELDS)
    limit_rate(args)
    if not name.strip():
        raise GalaxyError("LIBRARY is empty: is a variable unset?", USAGE)
    enable_bars(not args["--quiet"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    if galaxy.key:
        galaxy.current_user()
    library = galaxy.resolve("libraries", name)["id"]
    start = find_folder(galaxy, library, require_active_folder(galaxy, library), names)
    items = list(iter_downloads(galaxy, library, start))
    folder = DownloadFolder(galaxy, Path(to) if dry_run else prepare_folder(to), OWN_PATH, overwrite=args["--force"],
                            verify=args["--verify"], compare=not args["--no-verify"], stall=stall, renewed=scope_of(start))
    if dry_run:
        print_rows(plan_downloads(folder, items), output)
        return None
    return download(folder, items, transfers, output)


def download(folder, items, transfers, output):
    """Fetch what is not there, and print a row for each file that was; return the exit status."""
    rows, codes, is_streamed = [], [], output["format"] in (None, "value", "jsonl")

    def add(path):
        if path in folder.fetched:
            item, replaces = folder.fetched[path]
            row = describe(item, path, replaces)
            if is_streamed:
                print_rows([row], output)
            else:
                rows.append(row)
    try:
        paths = download_items(folder, items, transfers, codes, on_file=add)
    finally:
        if not is_streamed:
            print_rows(rows, output)
    return exit_status(paths, codes)


def print_rows(rows, output):
    show(rows, output["format"] or "value", output["fields"] or FIELDS, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
