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
  --search=TEXT    only those that Galaxy finds by TEXT: part of the name, a tag or the owner's name, or of one of these, as
                   in name:rna, tag:rna or user:ann
  --limit=N        at most N of them
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas  [default: id,name,update_time,steps,tags,owner,published]
  -h, --help       show this help
  --version        show the version

The oldest come first. Galaxy has more fields, such as create_time, annotations and hidden.
  workflow_list.py --search=rna --fields=id,name - -
The ids of all workflows with a tag, for another script:
  workflow_list.py --search=tag:nightly --format=value --fields=id - -
"""
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, output = int_option(args, "--limit", 1), output_options(args)
    if args["--deleted"] and args["--shared"]:
        raise GalaxyError("--deleted can't be combined with --shared: Galaxy shows no deleted workflows of others", USAGE)
    query = {"show_shared": args["--shared"], "show_deleted": args["--deleted"], "sort_by": "create_time",
             "sort_desc": False, **({"show_published": True} if args["--published"] else {}),
             **({"search": args["--search"]} if args["--search"] else {})}
    galaxy = Galaxy(args["KEY"], args["URL"])

    if galaxy.key is not None:
        galaxy.current_user()       # Galaxy answers an invalid key with an empty list
    workflows = galaxy.pages("workflows", query, limit)
    rows = ({**workflow, "steps": workflow.get("number_of_steps")} for workflow in workflows)
    show(rows, **output)


if __name__ == "__main__":
    sys.exit(run(main))
