#!/usr/bin/env python3
"""Upload a file to a history, streamed and with its SHA-256, which Galaxy checks.

Usage:
  upload_to_history.py [options] KEY URL HISTORY_ID FILE [NAME=VALUE...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  HISTORY_ID       the history's id
  FILE             a file on this machine
  NAME=VALUE       filename=NAME in Galaxy, file_type=DATATYPE (auto unless given), dbkey=BUILD (taken as it is, also one
                   that the server does not know)

Options:
  --wait             until Galaxy has it in state ok, its bytes compared; else it is only on its way
  --timeout=SECONDS  how long to wait for that; as long as it takes unless given
  --format=FORMAT    print the new dataset on standard output: table, json, jsonl, csv, tsv, value or another tabulate
                     style
  --fields=NAMES     only these fields of it, separated by commas, as a table unless --format is given
  -q, --quiet        do not print Galaxy's answer on standard error, as this script always has
  -h, --help         show this

A FASTQ file of human reads, from cron:
  upload_to_history.py --quiet --wait - - f2db41e1fa331b3e s1_R1.fastq.gz file_type=fastqsanger.gz dbkey=hg38
"""
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
from galaxy_api_scripts.datasets.sources import parse_file
from galaxy_api_scripts.datasets.target_history import TargetHistory
from galaxy_api_scripts.datasets.upload import UploadSettings, mark_done, upload_one, verify_uploads

KNOWN = ("filename", "file_type", "dbkey")


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    history, file, settings = parse_id(args["HISTORY_ID"], "HISTORY_ID"), args["FILE"], parse_payload(args["NAME=VALUE"])
    style, fields = output_options(args).values()
    timeout = int_option(args, "--timeout")
    if not isinstance(settings, dict) or not all(isinstance(value, str) for value in settings.values()):
        raise GalaxyError(f"only strings here, as {', '.join(f'{name}=TEXT' for name in KNOWN)}", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    for unknown in sorted(set(settings) - set(KNOWN)):    # the old script took any name, so a line with one still works
        report_error(f"{unknown}= means nothing here: there are {', '.join(KNOWN)}")
    source = parse_file(file, settings.get("filename", ""), settings.get("file_type", "auto"))
    one, answer = upload_one(galaxy, history, source, settings.get("dbkey", "?"))
    if args["--wait"]:
        [one] = verify_uploads(galaxy, history, [one], UploadSettings(settings.get("dbkey", "?")), timeout)
        if one.problem:
            raise GalaxyError(one.problem, one.exit_code)
        answer["outputs"] = [galaxy.get(f"datasets/{one.dataset['id']}")]
    on_success(lambda: mark_done([one], TargetHistory(history)))
    if style or fields:
        show(answer["outputs"], style, fields, changed=True)
    elif not args["--quiet"]:
        eprint(str(answer))


if __name__ == "__main__":
    sys.exit(run(main))
