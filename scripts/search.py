#!/usr/bin/env python3
"""Search your histories, datasets, workflows and more by queries that look like SQL.

Usage:
  search.py [options] BASE KEY [QUERY...]

Arguments:
  BASE             the server, or - to look it up
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  QUERY            select FIELDS from DOMAIN [where FIELD='VALUE' [and FIELD='VALUE']...]; by default some samples

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  -h, --help       show this help
  --version        show the version

FIELDS are names separated by commas, or * for all that Galaxy lists. DOMAIN is one of history, hda (datasets), hdca
(collections), ldda (datasets of libraries), library, workflow, invocation, job, tool. The operators are =, != and like, in
which % matches any text and _ any character; there is no or. Deleted things are left out unless the query compares deleted
or purged. An unknown field is noticed only when the domain has members.
  search.py --format=table - - "select id, name from hda where state='error' and name like '%.bam'"
"""
import sys

from common import Galaxy, arguments, output_options, run, show
from galaxy_api_scripts.search import parse_query, run_query

SAMPLES = [
    "select name, id, file_size from hda",
    "select name from hda",
    "select name, model_class from ldda",
    "select * from history",
    "select * from tool",
    "select * from workflow",
    "select id, name from history where name='Unnamed history'",
    "select * from history where name='Unnamed history'",
]


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    style = output_options({**args, "--fields": None})["format"]
    queries = [parse_query(text) for text in args["QUERY"] or SAMPLES]
    galaxy = Galaxy(args["KEY"], args["BASE"])

    if galaxy.key:      # Galaxy answers an unknown key with empty lists
        galaxy.current_user()
    for query in queries:
        if style:
            show(run_query(galaxy, query), style, query.fields)
        else:
            print(query.text)
            print({"results": list(run_query(galaxy, query))}, flush=True)


if __name__ == "__main__":
    sys.exit(run(main))
