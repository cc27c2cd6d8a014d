#!/usr/bin/env python3
"""Search your things in Galaxy by queries that look like SQL.

Usage:
  search.py [options] BASE KEY [QUERY...]

Arguments:
  BASE             the server, or - to look it up
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  QUERY            select FIELDS from DOMAIN [where FIELD='VALUE' [and FIELD='VALUE']...]; without any, some samples

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style, in place of the old script's text
  -h, --help       show this

FIELDS are names separated by commas, or * for all that Galaxy lists. DOMAIN is one of history, hda (datasets), hdca
(collections), ldda (datasets of libraries), library, workflow, invocation, job, tool. Beside = there are != and like,
where % stands for any text and _ for any character; there is no or. What is deleted is left out, unless the query compares
deleted or purged. A field that there is not is told once something is found.
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
    style, _ = output_options({**args, "--fields": None}).values()
    queries = [parse_query(text) for text in args["QUERY"] or SAMPLES]
    galaxy = Galaxy(args["KEY"], args["BASE"])

    if galaxy.key:      # an empty list is what Galaxy answers to a key that it does not know
        galaxy.current_user()
    for query in queries:
        if style:
            show(run_query(galaxy, query), style, query.fields)
        else:
            print(query.text)
            print({"results": list(run_query(galaxy, query))}, flush=True)


if __name__ == "__main__":
    sys.exit(run(main))
