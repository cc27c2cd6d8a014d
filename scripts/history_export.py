#!/usr/bin/env python3
"""Download a whole history as an archive, from which history_import.py makes it again, here or on another server.

Usage:
  history_export.py [options] KEY URL HISTORY FILE

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            the history's id or exact name
  FILE               the archive to write, or an existing folder, where it gets the history's name

Options:
  --archive=KIND     tgz, tar.gz, tar or rocrate.zip; by default what the name of FILE says, else tgz
  --hidden           include the contents of hidden datasets; without it only of those that are in collections
  --deleted          include the contents of deleted datasets that are not purged
  --no-files         include no contents at all
  --limit-rate=RATE  at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --timeout=SECONDS  stop waiting after this many seconds in all
  --force            overwrite an existing file
  -h, --help         show this help
  --version          show the version

Reads the archive to its end, checksums included, before it gets its name, and then prints its path. Datasets without their
contents are imported as deleted ones. If a run is interrupted, the same command resumes it within a day, unless the history
has changed since (but for annotations, which Galaxy does not count as a change); the archive stays on the server that long.

Every Sunday from cron:
  history_export.py --hidden --force - - "Run 12" /backup/run12.tgz
"""
import os
import sys

from common import TRY_LATER, UNATTENDED, USAGE, Galaxy, GalaxyError, arguments, int_option, run
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.histories import (
    ARCHIVE_TYPES,
    CutArchive,
    download_archive,
    kept_until_finished,
    read_archive,
    request_archive,
    request_history_export,
    resolve_archive_path,
)
from galaxy_api_scripts.rate_limit import limit_rate


def main(argv=None):
    args = arguments(__doc__, argv)
    file, force, timeout = args["FILE"], args["--force"], int_option(args, "--timeout")
    kind = args["--archive"] or next((kind for kind, ending in ARCHIVE_TYPES.items() if file.endswith(ending)), "tgz")
    if kind not in ARCHIVE_TYPES:
        raise GalaxyError(f"--archive={kind}: expected one of {', '.join(ARCHIVE_TYPES)}", USAGE)
    payload = {"model_store_format": kind, "include_files": not args["--no-files"],
               "include_hidden": args["--hidden"], "include_deleted": args["--deleted"]}
    limit_rate(args)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    history = galaxy.resolve("histories", args["HISTORY"])
    label = f"history {history['id']} ({history['name']})"
    if history["purged"]:
        raise GalaxyError(f"{label} is purged: nothing is left of it")
    path = resolve_archive_path(file, history["name"], kind, force, "FILE")
    try:
        with Checkpoint(galaxy, label, "export", history["id"], payload, os.path.abspath(path)) as checkpoint, \
                kept_until_finished(checkpoint):
            request_archive(galaxy, checkpoint, history["update_time"],
                            lambda: request_history_export(galaxy, history, payload))
            download_archive(galaxy, checkpoint.data, path, timeout, force, label, kind,
                             lambda part: read_archive(part, label))
    except CutArchive as error:
        error.exit_code = TRY_LATER     # nothing is kept of it: the next run has another one made
        raise
    print(path)


if __name__ == "__main__":
    sys.exit(run(main))
