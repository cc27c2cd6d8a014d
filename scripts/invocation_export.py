#!/usr/bin/env python3
"""Export a workflow invocation to a file: an RO-Crate, a BioCompute object, or Galaxy's own report.

Usage:
  invocation_export.py [options] KEY URL INVOCATION --to=FILE

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  INVOCATION         the invocation's id, as invocation_list.py shows it

Options:
  --to=FILE          the file to write
  --style=STYLE      rocrate (a zip archive), bco (JSON) or report (PDF if FILE ends in .pdf, else Markdown); by default
                     what the ending of FILE says: .zip, .json, .md or .pdf
  --hidden           in an RO-Crate, the contents of hidden datasets too
  --no-files         in an RO-Crate, no contents of datasets
  --limit-rate=RATE  at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --timeout=SECONDS  stop waiting after this many seconds in all
  --force            overwrite an existing file
  -h, --help         show this help
  --version          show the version

Prints the file's path once the whole file is there. Only a report can be made before the invocation has ended.
Galaxy's Markdown has directives that only Galaxy expands; invocation_report.py makes a page for everybody. If the
export was interrupted, the same line within a day continues it.
  invocation_export.py --to=run12.rocrate.zip - - 85a07f4bbdb2c898
"""
import json
import os
import sys
import zipfile

from common import STILL_RUNNING, UNATTENDED, USAGE, Galaxy, GalaxyError, arguments, int_option, parse_id, run
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.histories import (
    download_archive,
    kept_until_finished,
    request_archive,
    request_export,
    require_nothing_before,
    resolve_archive_path,
)
from galaxy_api_scripts.invocations.jobs import fetch_workflow_version, is_finished
from galaxy_api_scripts.invocations.report import write_report
from galaxy_api_scripts.rate_limit import limit_rate

STORE_FORMATS = {"rocrate": "rocrate.zip", "bco": "bco.json"}      # the styles of `--style`, as Galaxy calls them
STYLES_BY_ENDING = {".zip": "rocrate", ".json": "bco", ".md": "report", ".pdf": "report"}


def main(argv=None):
    args = arguments(__doc__, argv)
    invocation_id, file, timeout = parse_id(args["INVOCATION"], "INVOCATION"), args["--to"], int_option(args, "--timeout")
    style, force = args["--style"] or STYLES_BY_ENDING.get(os.path.splitext(file)[1].lower()), args["--force"]
    if style not in (*STORE_FORMATS, "report"):
        raise GalaxyError(f"--style={style}: expected {', '.join(STORE_FORMATS)} or report" if style else
                          f"--to={file}: the name's ending does not tell the style: add --style", USAGE)
    limit_rate(args)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    invocation = galaxy.get(f"invocations/{invocation_id}")
    name = fetch_workflow_version(galaxy, invocation["workflow_id"]).get("name") or invocation_id
    path = resolve_archive_path(file, name, STORE_FORMATS.get(style, "md"), force, "--to")
    label = f"invocation {invocation_id}"
    if style == "report":
        write_report(galaxy, invocation_id, str(path), force)
    elif not is_finished(galaxy, invocation):
        raise GalaxyError(f"{label} is {invocation['state']} and has not ended: export it when it has (invocation_wait.py)",
                          STILL_RUNNING)
    else:
        wish = {"model_store_format": STORE_FORMATS[style], "include_files": not args["--no-files"],
                "include_hidden": args["--hidden"], "include_deleted": False}
        with Checkpoint(galaxy, label, "export", invocation_id, wish, os.path.abspath(path)) as checkpoint, \
                kept_until_finished(checkpoint):
            request_archive(galaxy, checkpoint, invocation["update_time"],
                            lambda: request_export(galaxy, f"invocations/{invocation_id}", wish))
            is_nested = any(step.get("subworkflow_invocation_id") for step in invocation["steps"])
            hint = ": it can't for an invocation with subworkflows (26.1)" if is_nested and style == "bco" else ""
            download_archive(galaxy, checkpoint.data, path, timeout, force, label, STORE_FORMATS[style],
                             lambda part: check_archive(part, style, label), hint)
    print(path)


def check_archive(part, style, label):
    """Refuse a file that is truncated or of another kind."""
    try:
        if style == "bco":
            is_complete = isinstance(json.loads(part.read_bytes()), dict)
        else:
            with zipfile.ZipFile(part) as archive:
                require_nothing_before(archive)
                is_complete = "ro-crate-metadata.json" in archive.namelist() and not archive.testzip()
    except (ValueError, zipfile.BadZipFile) as error:
        raise GalaxyError(f"{label}: the downloaded file is damaged: {error}") from None
    if not is_complete:
        raise GalaxyError(f"{label}: the downloaded file is not complete")


if __name__ == "__main__":
    sys.exit(run(main))
