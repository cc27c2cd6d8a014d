#!/usr/bin/env python3
"""Check what a server and your key can do, a row for each subject: ok, warning or failure, and what to mend.

Usage:
  server_check.py [options] KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up

Options:
  --upload         also send one piece of an upload, as large as a browser's, and cancel it: shows whether a proxy
                   refuses it, or collects it before Galaxy sees a byte
  --run-job        also run a job, an upload of some bytes, in a history that is purged afterwards
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: check, status, found, mend
  -h, --help       show this help
  --version        show the version

Subjects are the address (a wrong prefix or scheme is told with the right one), the key, TLS, the clock, the version and
what it lacks, the proxy, uploads, Celery, imports by path, your quota, errors of tools, and whether jobs end. Only GET and
HEAD are sent, unless --upload or --run-job is given. An administrator's key sees more. The exit status is 0 if nothing
failed, 1 if something did, 75 if the server does not answer.
  server_check.py --upload --run-job - https://galaxy.example.org
"""
import sys

from common import DONE, FAILED, TRY_LATER, Galaxy, arguments, output_options, report_error, run, show
from galaxy_api_scripts.server.checks import check_server

FIELDS = ["check", "status", "found", "mend"]


def main(argv=None):
    args = arguments(__doc__, argv)
    upload, run_job, output = args["--upload"], args["--run-job"], output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"])

    errors = []
    show(check_server(galaxy, upload, run_job, errors), output["format"], output["fields"] or FIELDS)
    if not errors:
        return DONE
    code = TRY_LATER if all(error.exit_code == TRY_LATER for error in errors) else FAILED
    return report_error("; ".join(map(str, errors)), code)


if __name__ == "__main__":
    sys.exit(run(main))
