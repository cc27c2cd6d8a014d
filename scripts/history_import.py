#!/usr/bin/env python3
"""Make a history from an archive of history_export.py, or of Galaxy's own export.

Usage:
  history_import.py [options] KEY URL FILE

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  FILE               the archive, or an address (https://...) where the server finds it

Options:
  --name=NAME        the history's name; as Galaxy calls it unless given, "imported from archive: ..."
  --timeout=SECONDS  how long to wait for Galaxy to import it; as long as it takes unless given
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     these fields of the new history, separated by commas, in place of its id and name
  -h, --help         show this

Reads the archive to its end first, then sends it, and waits until the import has really ended and all datasets are in the
new history with their names, states and sizes; exits with 1 where that fails, with Galaxy's words. The same command after a
run that was broken off while it waited goes on waiting, and imports nothing twice. The history's tags are set again, which
Galaxy forgets; not of an archive at an address, of which Galaxy alone knows what is in it.

An archive goes in one request. Where that is too much for a proxy or for the line, let it become a dataset first, which
goes in pieces, and then let Galaxy import it from that dataset's address:
  dataset_upload.py --wait --format=value --fields=id - - new:Archives run12.tgz
  history_import.py - - https://galaxy.example.org/api/datasets/DATASET_ID/display
"""
import os
import re
import sys
from pathlib import Path

from common import UNATTENDED, USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.histories import kept_until_finished, read_archive, start_import, wait_for_import


def main(argv=None):
    args = arguments(__doc__, argv)
    file, name, timeout = args["FILE"], args["--name"], int_option(args, "--timeout")
    style, fields = output_options(args).values()
    if not file:
        raise GalaxyError("FILE is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    galaxy.current_user()

    address = re.match(r"[a-z][a-z0-9+.-]*://", file, re.IGNORECASE)
    archive = None if address else read_archive(Path(file))
    what = [file] if address else [os.path.abspath(file), *archive.stamp]
    with Checkpoint(galaxy, file, "import", *what) as record, kept_until_finished(record):
        if "job" not in record.data:
            record.save(job=start_import(galaxy, archive or file))
        history = wait_for_import(galaxy, record.data["job"], archive, timeout)
    changes = {**({"name": name} if name else {}), **({"tags": archive.tags} if archive and archive.tags else {})}
    if changes:
        galaxy.put(f"histories/{history['id']}", changes)
    show(galaxy.get(f"histories/{history['id']}"), style, fields or ["id", "name"], changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
