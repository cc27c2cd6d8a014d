#!/usr/bin/env python3
"""List the accounts of a server: who has one, how much each uses, and who has not done anything for a long time.

Usage:
  user_list.py [options] KEY URL

Arguments:
  KEY                  an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                  the server, or - to look it up

Options:
  --usage              also disk usage and quota: one request for each user, several at once
  --activity           also when they last did anything: one request for each user, and everybody's histories
  --inactive-for=AGE   only those who have not done anything for so long, such as 90d, with when they last did; a number
                       alone is in days
  --deleted            deleted accounts instead of the others, purged ones included
  --search=TEXT        only those with TEXT in their e-mail address or public name, in any capitals
  --limit=N            at most N of them
  --format=FORMAT      table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES       only these fields, separated by commas
  -h, --help           show this help
  --version            show the version

Fields: id, email, username, active, deleted, last_password_change; groups (one request for each group); purged, is_admin,
disk_usage and quota_bytes (in bytes), quota, quota_percent, as with --usage; last_activity. Naming a field in --fields
needs no other option.

last_activity is the last time that a user set the password, ran a job, or changed a history that is not deleted, in UTC. It
is not the last login, which Galaxy tells on its own pages only. From Galaxy 26.1 on accounts come by their addresses.
  user_list.py --usage --format=csv - - > accounts.csv
  user_list.py --inactive-for=365d --format=value --fields=email - -
"""
import sys

from common import UNATTENDED, Galaxy, arguments, int_option, output_options, run, show
from galaxy_api_scripts.accounts.directory import LIST_FIELDS
from galaxy_api_scripts.accounts.listing import GROUPS, LAST_ACTIVITY, USAGE_FIELDS, describe_accounts
from galaxy_api_scripts.ages import parse_age

FIELDS = ["id", "email", "username", "active", "deleted"]
WITH_USAGE = ["purged", "disk_usage", "quota", "quota_percent"]


def main(argv=None):
    args = arguments(__doc__, argv)
    idle, limit, deleted = parse_age(args, "--inactive-for", 1), int_option(args, "--limit", 1), args["--deleted"]
    output = output_options(args, [*LIST_FIELDS, *USAGE_FIELDS, LAST_ACTIVITY, GROUPS])
    has_activity = args["--activity"] or idle is not None
    fields = output["fields"] or FIELDS + WITH_USAGE * args["--usage"] + ["purged"] * (deleted and not args["--usage"]) + \
        [LAST_ACTIVITY] * has_activity
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    galaxy.require_admin("listing accounts")
    accounts = describe_accounts(galaxy, fields, deleted, args["--search"] or "", idle)
    rows = (one for one, _ in zip(accounts, range(limit))) if limit else accounts
    show(rows, output["format"], fields)


if __name__ == "__main__":
    sys.exit(run(main))
