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
    Refused,
    an_id,
    arguments,
    at_end,
    complain,
    output,
    payload,
    run,
    say,
    show,
    whole_number,
)
from sources import typed_file
from uploads import Destination, Settings, checked, done, upload_one

KNOWN = ("filename", "file_type", "dbkey")


def main(argv=None):
    args = arguments(__doc__, argv)
    history, file, settings = an_id(args["HISTORY_ID"], "HISTORY_ID"), args["FILE"], payload(args["NAME=VALUE"])
    style, fields = output(args)
    timeout = whole_number(args, "--timeout")
    if not isinstance(settings, dict) or not all(isinstance(value, str) for value in settings.values()):
        raise Refused(f"only strings here, as {', '.join(f'{name}=TEXT' for name in KNOWN)}", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    for unknown in sorted(set(settings) - set(KNOWN)):    # the old script took any name, so a line with one still works
        complain(f"{unknown}= means nothing here: there are {', '.join(KNOWN)}")
    source = typed_file(file, settings.get("filename", ""), settings.get("file_type", "auto"))
    one, answer = upload_one(galaxy, history, source, settings.get("dbkey", "?"))
    if args["--wait"]:
        [one] = checked(galaxy, history, [one], Settings(settings.get("dbkey", "?")), timeout)
        if one.problem:
            raise Refused(one.problem, one.exit_code)
        answer["outputs"] = [galaxy.get(f"datasets/{one.dataset['id']}")]
    at_end(lambda: done([one], Destination(history)))
    if style or fields:
        show(answer["outputs"], style, fields, changed=True)
    elif not args["--quiet"]:
        say(str(answer))


if __name__ == "__main__":
    sys.exit(run(main))
