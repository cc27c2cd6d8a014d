#!/usr/bin/env python3
"""Upload a file to a history, streamed and with its SHA-256, which Galaxy checks.

Usage:
  upload_to_history.py [options] KEY URL HISTORY_ID FILE [NAME=VALUE...]

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY_ID         the history's id
  FILE               a file on this machine, or a pipe: /dev/stdin, <(zcat FILE)
  NAME=VALUE         filename=NAME in Galaxy, file_type=DATATYPE (auto unless given), dbkey=BUILD (passed on as it is, also
                     one that the server does not know)

Options:
  --wait             wait until Galaxy has it in state ok and its bytes are compared; else it is only on its way
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style; prints the dataset on standard output
  --fields=NAMES     only these fields, separated by commas; as a table unless --format is given
  -q, --quiet        no progress, only results and errors; not Galaxy's answer on standard error either
  -h, --help         show this help
  --version          show the version

Galaxy's answer goes to standard error, as it always has from this script. From cron:
  upload_to_history.py --quiet --wait - - f2db41e1fa331b3e s1_R1.fastq.gz file_type=fastqsanger.gz dbkey=hg38
"""
import os
import sys

from common import (
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    eprint,
    int_option,
    on_success,
    output_options,
    parse_id,
    parse_payload,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.datasets.sources import parse_file, replace_pipe
from galaxy_api_scripts.datasets.upload import UploadSettings, mark_done, upload_sources, verify_uploads
from galaxy_api_scripts.progress import enable_bars

KNOWN = ("filename", "file_type", "dbkey")


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    history, file, settings = parse_id(args["HISTORY_ID"], "HISTORY_ID"), args["FILE"], parse_payload(args["NAME=VALUE"])
    output, timeout, quiet = output_options(args), int_option(args, "--timeout"), args["--quiet"]
    if not isinstance(settings, dict) or not all(isinstance(value, str) for value in settings.values()):
        raise GalaxyError(f"only strings here, as {', '.join(f'{name}=TEXT' for name in KNOWN)}", USAGE)
    enable_bars(not quiet)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    for unknown in sorted(set(settings) - set(KNOWN)):    # the old script took any name, so a line with one still works
        report_error(f"{unknown}= means nothing here: there are {', '.join(KNOWN)}")
    dbkey = settings.get("dbkey", "?")
    with replace_pipe(file) as path:
        source = parse_file(path, settings.get("filename") or os.path.basename(file), settings.get("file_type", "auto"))
        galaxy.get(f"histories/{history}")      # a wrong history is refused before the bytes go
        [upload] = upload_sources(galaxy, history, [source], UploadSettings(dbkey))
        upload.require_success()
        answer = upload.answer or {"jobs": []}
        if args["--wait"]:
            [upload] = verify_uploads(galaxy, history, [upload], UploadSettings(dbkey), timeout)
            upload.require_success()
    if args["--wait"] or not upload.answer:
        answer["outputs"] = [galaxy.get(f"datasets/{upload.dataset['id']}")]
    on_success(lambda: mark_done([upload]))
    if output["format"] or output["fields"]:
        show(answer["outputs"], output["format"], output["fields"], changed=True)
    elif not quiet:
        eprint(str(answer))


if __name__ == "__main__":
    sys.exit(run(main))
