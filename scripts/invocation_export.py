#!/usr/bin/env python3
"""Put a workflow's run into a file: as an RO-Crate, a BioCompute object, or Galaxy's own report on it.

Usage:
  invocation_export.py [options] KEY URL INVOCATION --to=FILE

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  INVOCATION         the run's id, as invocation_list.py shows it

Options:
  --to=FILE          the file to write
  --style=STYLE      rocrate (a zip archive), bco (JSON) or report (a PDF where FILE ends in .pdf, else Markdown); unless
                     given the ending of FILE says it: .zip, .json, .md or .pdf
  --hidden           an RO-Crate with the contents of hidden datasets, too
  --no-files         an RO-Crate with no contents of datasets at all
  --timeout=SECONDS  how long to wait for Galaxy to make it; as long as it takes unless given
  --force            put it in the place of a file of that name
  -h, --help         show this

Prints the file's path once it is there, whole. A run has to end first, but for a report. Galaxy's Markdown has places that
only Galaxy fills; invocation_report.py makes a page for anybody. What was broken off is gone on with by the same command,
within a day.
  invocation_export.py --to=run12.rocrate.zip - - 85a07f4bbdb2c898
"""
import json
import os
import sys
import time
import zipfile

from common import STILL_RUNNING, UNATTENDED, USAGE, Galaxy, GalaxyError, arguments, int_option, parse_id, run
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.http_download import download_file
from galaxy_api_scripts.files import check_writable
from galaxy_api_scripts.histories import ARCHIVE_LIFETIME, announce, kept_until_finished, resolve_archive_path
from galaxy_api_scripts.invocations.jobs import fetch_workflow_version, is_finished
from galaxy_api_scripts.invocations.report import write_report

# What Galaxy calls each kind of archive, and what is made by what the name of a file ends in.
KINDS = {"rocrate": "rocrate.zip", "bco": "bco.json"}
ENDINGS = {".zip": "rocrate", ".json": "bco", ".md": "report", ".pdf": "report"}


def main(argv=None):
    args = arguments(__doc__, argv)
    run_id, file, timeout = parse_id(args["INVOCATION"], "INVOCATION"), args["--to"], int_option(args, "--timeout")
    style, force = args["--style"] or ENDINGS.get(os.path.splitext(file)[1].lower()), args["--force"]
    if style not in (*KINDS, "report"):
        raise GalaxyError(f"--style={style}: there are {', '.join(KINDS)}, report" if style else
                      f"--to={file}: its name does not say what it shall be: give --style", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    about = galaxy.get(f"invocations/{run_id}")
    label = f"invocation {run_id}"
    path = resolve_archive_path(file, fetch_workflow_version(galaxy, about).get("name") or run_id, KINDS.get(style, "md"))
    check_writable(path, force)
    if style == "report":
        write_report(galaxy, run_id, str(path), force)
    elif not is_finished(galaxy, about):
        raise GalaxyError(f"{label} is {about['state']} and has not ended: export it when it has (invocation_wait.py)",
                      STILL_RUNNING)
    else:
        wish = {"model_store_format": KINDS[style], "include_files": not args["--no-files"],
                "include_hidden": args["--hidden"], "include_deleted": False}
        with Checkpoint(galaxy, label, "export", run_id, wish, os.path.abspath(path)) as record, kept_until_finished(record):
            route = prepared(galaxy, about, wish, record, timeout)
            download_file(galaxy, route, path, label=label, overwrite=force,
                          before_publish=lambda part, _: whole(part, style, label))
    print(path)


def prepared(galaxy, about, wish, record, timeout):
    """Let Galaxy make the archive that is wished, unless an earlier run did; the route to fetch it from once it is made."""
    note = record.data
    if note.get("changed") != about["update_time"] or note["asked"] < time.time() - ARCHIVE_LIFETIME or failed(galaxy, note):
        answer = galaxy.post(f"invocations/{about['id']}/prepare_store_download", wish)
        record.save(changed=about["update_time"], asked=time.time(), task=answer["task"]["id"],
                    route=f"short_term_storage/{answer['storage_request_id']}")
    announce("Galaxy makes the archive")
    for _ in galaxy.poll(timeout):
        if failed(galaxy, record.data):
            kind, inner = wish["model_store_format"], any(step.get("subworkflow_invocation_id") for step in about["steps"])
            hint = ": it can't of a run with subworkflows (26.1)" if inner and kind == KINDS["bco"] else ""
            raise GalaxyError(f"invocation {about['id']}: Galaxy could not make the {kind}{hint}")
        if galaxy.get(f"{record.data['route']}/ready"):
            return record.data["route"]
    raise GalaxyError(f"the archive is not made after {timeout:g} s: the same command goes on with it", STILL_RUNNING)


def failed(galaxy, note):
    """Whether Galaxy's task has failed; one that it has forgotten has not."""
    return galaxy.get_or_none(f"tasks/{note['task']}/state") == "FAILURE"


def whole(part, style, label):
    """Refuse a file that is not whole, or is not what it should be."""
    try:
        if style == "bco":
            good = isinstance(json.loads(part.read_bytes()), dict)
        else:
            with zipfile.ZipFile(part) as archive:
                good = "ro-crate-metadata.json" in archive.namelist() and not archive.testzip()
    except (ValueError, zipfile.BadZipFile) as error:
        raise GalaxyError(f"{label}: what came is broken: {error}") from None
    if not good:
        raise GalaxyError(f"{label}: what came is not the whole of it")


if __name__ == "__main__":
    sys.exit(run(main))
