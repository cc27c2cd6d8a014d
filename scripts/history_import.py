#!/usr/bin/env python3
"""Make a history from an archive of history_export.py, or of Galaxy's own export.

Usage:
  history_import.py [options] KEY URL FILE

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  FILE               the archive, or an address (https://...) from which the server gets it

Options:
  --name=NAME        the history's name; by default Galaxy's: "imported from archive: ..."
  --limit-rate=RATE  at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas  [default: id,name]
  -h, --help         show this help
  --version          show the version

Reads the archive to its end, sends it, and waits until the import has ended and all datasets are in the new history with
their names, states and sizes; if not, it exits with 1 and Galaxy's reason. If a run is interrupted while it waits, the same
command waits again and imports nothing twice. Sets the history's tags, which Galaxy forgets, and checks the datasets against
the archive; of an archive at an address only Galaxy knows what is in it.

An archive goes in one request. If that is too much for a proxy or for the connection, upload it as a dataset, which goes in
pieces, and let Galaxy import it from the dataset's address:
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
from galaxy_api_scripts.rate_limit import limit_rate


def main(argv=None):
    args = arguments(__doc__, argv)
    file, name, timeout = args["FILE"], args["--name"], int_option(args, "--timeout")
    output = output_options(args)
    limit_rate(args)
    if not file:
        raise GalaxyError("FILE is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    galaxy.current_user()

    is_address = re.match(r"[a-z][a-z0-9+.-]*://", file, re.IGNORECASE)
    archive = None if is_address else read_archive(Path(file))
    identity = [file] if is_address else [os.path.abspath(file), *archive.stamp]
    with Checkpoint(galaxy, file, "import", *identity) as checkpoint, kept_until_finished(checkpoint):
        if "job" not in checkpoint.data:
            checkpoint.save(job=start_import(galaxy, archive or file, checkpoint))
        history = wait_for_import(galaxy, checkpoint.data["job"], archive, timeout)
    changes = {**({"name": name} if name else {}), **({"tags": archive.tags} if archive and archive.tags else {})}
    if changes:
        galaxy.put(f"histories/{history['id']}", changes)
    show(galaxy.get(f"histories/{history['id']}"), **output, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
