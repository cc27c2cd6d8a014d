#!/usr/bin/env python3
"""List your workflows.

Usage:
  workflow_list.py [options] KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for the published ones
  URL              the server, or - to look it up

Options:
  --shared         also those that others have shared with you
  --published      also those that anybody has published
  --deleted        the deleted ones, and no others
  --search=TEXT    only those that Galaxy finds by TEXT: parts of the name, tags or owner's name, or only of one of these, as
                   name:rna, tag:rna or user:ann
  --limit=N        no more than N
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: any that Galaxy has, as create_time, annotations, hidden
  -h, --help       show this

The oldest come first.
  workflow_list.py --search=rna --fields=id,name - -
The ids of all that bear a tag, for another script:
  workflow_list.py --search=tag:nightly --format=value --fields=id - -
"""
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show

FIELDS = ["id", "name", "update_time", "steps", "tags", "owner", "published"]


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, (style, fields) = int_option(args, "--limit", 1), output_options(args).values()
    if args["--deleted"] and args["--shared"]:      # Galaxy refuses these two together
        raise GalaxyError("--deleted: the deleted workflows of others are not shown, so not with --shared", USAGE)
    only = {"show_shared": args["--shared"], "show_deleted": args["--deleted"], "sort_by": "create_time",
            "sort_desc": False, **({"show_published": True} if args["--published"] else {}),
            **({"search": args["--search"]} if args["--search"] else {})}
    galaxy = Galaxy(args["KEY"], args["URL"])

    if galaxy.key is not None:
        galaxy.current_user()       # a key that is nobody's would see an empty list
    listed = galaxy.pages("workflows", only, limit)
    show(({**workflow, "steps": workflow.get("number_of_steps")} for workflow in listed), style, fields or FIELDS)


if __name__ == "__main__":
    sys.exit(run(main))
