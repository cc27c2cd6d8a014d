#!/usr/bin/env python3
"""Put a whole history into an archive, from which history_import.py makes it again, here or on another server.

Usage:
  history_export.py [options] KEY URL HISTORY FILE

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            the history's id or exact name
  FILE               the archive to write; in a folder that is there it gets the history's name

Options:
  --archive=KIND     tgz, tar.gz, tar or rocrate.zip; as the name of FILE says, else tgz, unless given
  --hidden           with the contents of hidden datasets, too; without it only of those that are in collections
  --deleted          with the contents of deleted datasets, too, as far as they were not purged
  --no-files         with no contents at all
  --timeout=SECONDS  how long to wait for Galaxy to make the archive; as long as it takes unless given
  --force            put the archive in the place of a file of that name
  -h, --help         show this

Prints the archive's path once it is there and was read to its end, checksums and all. Datasets whose contents are not in it
arrive as deleted ones. A run that was broken off is gone on with by the same command, within a day and unless the history
has changed since (annotations apart, which Galaxy counts as no change); its archive stays on the server for that day.

Every Sunday from cron:
  history_export.py --hidden --force - - "Run 12" /backup/run12.tgz
"""
import os
import sys

from common import UNATTENDED, USAGE, Galaxy, GalaxyError, arguments, int_option, run
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.http_download import download_file
from galaxy_api_scripts.histories import ARCHIVE_TYPES, archive_path, kept_until_finished, prepare_export, read_archive


def main(argv=None):
    args = arguments(__doc__, argv)
    file, force, timeout = args["FILE"], args["--force"], int_option(args, "--timeout")
    kind = args["--archive"] or next((kind for kind, ending in ARCHIVE_TYPES.items() if file.endswith(ending)), "tgz")
    if kind not in ARCHIVE_TYPES:
        raise GalaxyError(f"--archive={kind}: there are {', '.join(ARCHIVE_TYPES)}", USAGE)
    wish = {"model_store_format": kind, "include_files": not args["--no-files"],
            "include_hidden": args["--hidden"], "include_deleted": args["--deleted"]}
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    history = galaxy.resolve("histories", args["HISTORY"])
    label = f"history {history['id']} ({history['name']})"
    if history["purged"]:
        raise GalaxyError(f"{label} was purged: nothing is left of it")
    path = archive_path(file, history["name"], kind)
    if os.path.lexists(path) and not force:
        raise GalaxyError(f"{label}: {path} is there already: move it away, or give --force")
    with Checkpoint(galaxy, label, "export", history["id"], wish, os.path.abspath(path)) as record, kept_until_finished(record):
        route = prepare_export(galaxy, history, wish, record, timeout)
        download_file(galaxy, route, path, label=label, overwrite=force, before_publish=lambda part, _: read_archive(part, label))
    print(path)


if __name__ == "__main__":
    sys.exit(run(main))
