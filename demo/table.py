#!/usr/bin/env python3
"""Show a tab-separated file without a heading as a table.

Usage:
  table.py [options] FILE HEADING...

Arguments:
  FILE        the file
  HEADING     the columns' names

Options:
  -h, --help  show this
"""
import csv
import sys

from common import arguments, run, show


def main(argv=None):
    args = arguments(__doc__, argv)
    with open(args["FILE"], newline="") as file:
        show([dict(zip(args["HEADING"], row)) for row in csv.reader(file, delimiter="\t")])


if __name__ == "__main__":
    sys.exit(run(main))
