#!/usr/bin/env python3
"""Write a page of HTML on a workflow's run: its time line, what failed and why, its inputs and outputs.

Usage:
  invocation_report.py [options] KEY URL INVOCATION --to=FILE

Arguments:
  KEY          your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL          the server, or - to look it up
  INVOCATION   the run's id, as invocation_list.py shows it

Options:
  --to=FILE    the page to write, - for standard output
  --force      put it in the place of a file of that name
  -h, --help   show this

The page is one file that asks for nothing from elsewhere, so it can be mailed, kept and printed; its links lead to Galaxy.
Prints the file's path. A run that still goes on can be reported on, too.
  invocation_report.py --to=run12.html - - 85a07f4bbdb2c898
"""
import sys

from common import Galaxy, arguments, parse_id, run
from galaxy_api_scripts.files import check_writable, write_output
from galaxy_api_scripts.invocations.report import gather_report


def main(argv=None):
    args = arguments(__doc__, argv)
    run_id, to, force = parse_id(args["INVOCATION"], "INVOCATION"), args["--to"], args["--force"]
    if to != "-":
        check_writable(to, force)
    galaxy = Galaxy(args["KEY"], args["URL"])

    write_output(gather_report(galaxy, run_id), to, force)
    if to != "-":
        print(to)


if __name__ == "__main__":
    sys.exit(run(main))
