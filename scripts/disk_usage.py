#!/usr/bin/env python3
"""Show what takes up the disk: by user, by history or by object store, the largest first.

Usage:
  disk_usage.py [options] KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up

Options:
  --by=WHAT        user, history or store  [default: user]
  --own            only your own, also with an administrator's key
  --limit=N        at most N of them
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: by user user, bytes, size, quota, quota_percent, id; by history
                   name, user, bytes, size, update_time, deleted, id; by store store, bytes, size, users
  -h, --help       show this help
  --version        show the version

An administrator's key shows everybody's, another key your own. By user: the bytes that Galaxy counts for the quota, one
request for each user. By history: what is not purged, also in deleted histories, but not in archived ones. By store: what
is in histories; a server with one disk has one row.
  disk_usage.py --limit=20 - -
  disk_usage.py --by=history --limit=50 --format=csv - -
"""
import sys

from common import UNATTENDED, USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.disk.usage import FIELDS, measure


def main(argv=None):
    args = arguments(__doc__, argv)
    by, limit = args["--by"], int_option(args, "--limit", 1)
    if by not in FIELDS:
        raise GalaxyError(f"--by={by}: expected one of {', '.join(FIELDS)}", USAGE)
    output = output_options(args, FIELDS[by])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    everybody = bool(galaxy.current_user().get("is_admin")) and not args["--own"]
    show(measure(galaxy, by, everybody, limit), output["format"], output["fields"] or FIELDS[by])


if __name__ == "__main__":
    sys.exit(run(main))
