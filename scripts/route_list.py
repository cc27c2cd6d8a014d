#!/usr/bin/env python3
"""Find what a server can do: list its operations by words, the best first.

Usage:
  route_list.py [options] KEY URL [WORD...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              the server, or - to look it up
  WORD             words for what you want to do, such as: share history; all operations if there are none

Options:
  --method=NAME    only GET, POST, PUT, DELETE, PATCH or HEAD
  --limit=N        at most N of them; 10 if there are words, unless given
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas  [default: method,path,summary]
  -h, --help       show this help
  --version        show the version

The server describes itself (/openapi.json). The description is kept in the state folder until the server's version changes;
what it leaves out, such as most of /api/tools, is told from our own table. Further fields are who and description.
route_show.py shows what one of the operations takes.
  route_list.py - - share history
  route_list.py --method=DELETE --fields=path,who - - quota
"""
import itertools
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.routes.openapi import METHODS, fetch_operations
from galaxy_api_scripts.routes.search import search

FIELDS = ["method", "path", "summary", "who", "description"]


def main(argv=None):
    args = arguments(__doc__, argv)
    words, limit, method = args["WORD"], int_option(args, "--limit", 1), (args["--method"] or "").upper()
    output = output_options(args, FIELDS)
    if method and method not in METHODS:
        raise GalaxyError(f"--method={method}: expected one of {', '.join(METHODS)}", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])

    found = (one for one in search(fetch_operations(galaxy), words) if method in ("", one.method))
    limit = limit or (10 if words else None)
    show([{name: getattr(one, name) for name in FIELDS} for one in itertools.islice(found, limit)], **output)


if __name__ == "__main__":
    sys.exit(run(main))
