#!/usr/bin/env python3
"""Write a page of HTML about a workflow invocation: its time line, what failed and why, its inputs and outputs.

Usage:
  invocation_report.py [options] KEY URL INVOCATION --to=FILE

Arguments:
  KEY          your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL          the server, or - to look it up
  INVOCATION   the invocation's id, as invocation_list.py shows it

Options:
  --to=FILE    the page to write, - for standard output
  --force      overwrite an existing file
  -h, --help   show this help
  --version    show the version

The page is one file that loads nothing from elsewhere, so it can be mailed, kept and printed; its links lead to
Galaxy. Prints the file's path. Invocations that still run can be reported on, too.
  invocation_report.py --to=run12.html - - 85a07f4bbdb2c898
"""
import sys

from common import Galaxy, arguments, parse_id, run
from galaxy_api_scripts.files import check_writable, write_output
from galaxy_api_scripts.invocations.report import gather_report


def main(argv=None):
    args = arguments(__doc__, argv)
    invocation_id, path, force = parse_id(args["INVOCATION"], "INVOCATION"), args["--to"], args["--force"]
    if path != "-":
        check_writable(path, force)
    galaxy = Galaxy(args["KEY"], args["URL"])

    write_output(gather_report(galaxy, invocation_id), path, force)
    if path != "-":
        print(path)


if __name__ == "__main__":
    sys.exit(run(main))
