#!/usr/bin/env python3
"""Upload a file to a history, streamed and with its SHA-256, which Galaxy checks.

Usage:
  upload_to_history.py [options] KEY URL HISTORY_ID FILE [NAME=VALUE...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  HISTORY_ID       the history's id
  FILE             a file on this machine
  NAME=VALUE       filename=NAME in Galaxy, file_type=DATATYPE (auto unless given), dbkey=BUILD

Options:
  --format=FORMAT  print Galaxy's new dataset on standard output: table, json, jsonl, csv, tsv, value, ...
  --fields=NAMES   only these fields of it, separated by commas
  -q, --quiet      do not print Galaxy's answer on standard error, as this script always has
  -h, --help       show this

A FASTQ file of human reads, from cron:
  upload_to_history.py --quiet - - f2db41e1fa331b3e s1_R1.fastq.gz file_type=fastqsanger.gz dbkey=hg38
"""
import sys

from common import Galaxy, arguments, names, payload, run, show
from transfer import upload

KNOWN = ("filename", "file_type", "dbkey")


def main(argv=None):
    args = arguments(__doc__, argv)
    history, file, settings = args["HISTORY_ID"], args["FILE"], payload(args["NAME=VALUE"])
    style, fields = args["--format"], names(args["--fields"])
    galaxy = Galaxy(args["KEY"], args["URL"])

    for unknown in sorted(set(settings) - set(KNOWN)):    # the old script took any name, so a line with one still works
        print(f"upload_to_history.py: {unknown}= means nothing here: there are {', '.join(KNOWN)}", file=sys.stderr)
    answer = upload(galaxy, history, file, name=settings.get("filename", ""), ext=settings.get("file_type", "auto"),
                    dbkey=settings.get("dbkey", "?"))
    if style or fields:
        show(answer["outputs"], style, fields)
    elif not args["--quiet"]:
        print(answer, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run(main))
