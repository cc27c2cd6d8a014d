#!/usr/bin/env python3
"""Show what Galaxy answers to GET.

Usage:
  display.py [options] KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              an address of the API, or its path from /api/ on where the server can be looked up

Options:
  --all            every page of a list: Galaxy ends some lists early without saying so
  --limit=N        the first N members of a list
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas, as a table unless --format is given
  -h, --help       show this

The names of all your histories, with the ids that other commands want:
  display.py --all --fields=id,name - https://usegalaxy.org/api/histories
"""
import sys

from common import Galaxy, arguments, int_option, output_options, print_members, run, show


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, (style, fields) = int_option(args, "--limit", least=1), output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    paged = args["--all"] or limit
    answer = galaxy.pages(galaxy.url, limit=limit) if paged else galaxy.get(galaxy.url)
    show(answer, style, fields, plain=print_members)


if __name__ == "__main__":
    sys.exit(run(main))
