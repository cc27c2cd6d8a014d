#!/usr/bin/env python3
"""Delete accounts, or bring deleted ones back, and say what they own.

Usage:
  user_delete.py [options] KEY URL USER...

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  USER             an e-mail address, exact public name or id; - for those in standard input, @FILE for those in a file: one
                   a line, or a table with a column id or email, as user_list.py --format=csv writes it

Options:
  --purge          for good: also redact name and address, and mark the user's histories and datasets as deleted
  --undelete       bring deleted accounts back; purged ones are lost
  --missing-ok     skip users who have no account, as after --purge; without it, one such user stops the run
  -n, --dry-run    show what would be done, change nothing
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

Prints a row for each account that was deleted, purged or brought back, with its disk usage in bytes, its histories and its
jobs that had not ended, which Galaxy cancels; nothing if all were so already. The account of KEY is refused. One that is not
found is refused too, before any is deleted. The data stay on disk until the server's clean-up removes them.
  user_delete.py -n - - ann@example.org
  user_list.py --inactive-for=730d --format=csv - - | user_delete.py --dry-run - - -
"""
import sys
from functools import partial

from common import UNATTENDED, USAGE, Galaxy, GalaxyError, arguments, output_options, run
from galaxy_api_scripts.accounts.deletion import add_property, delete_account, find_accounts, read_users, restore_account
from galaxy_api_scripts.outcome import Outcome

FIELDS = ["id", "email", "username", "action", "disk_usage", "histories", "active_jobs"]


def main(argv=None):
    args = arguments(__doc__, argv)
    users, purge, undelete, dry_run = read_users(args["USER"]), args["--purge"], args["--undelete"], args["--dry-run"]
    output = output_options(args, FIELDS)
    if purge and undelete:
        raise GalaxyError("--purge and --undelete exclude each other", USAGE)
    if any(not user.strip() for user in users):
        raise GalaxyError("USER is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    me = galaxy.require_admin("bringing back accounts" if undelete else "deleting accounts")
    accounts = find_accounts(galaxy, users, me["id"], args["--missing-ok"])
    if undelete:
        require_not_purged(accounts)
    todo = [one for one in accounts if (one["deleted"] if undelete else not one["deleted"] or (purge and not one["purged"]))]
    if todo:
        add_property(galaxy, todo)
    with Outcome(output, FIELDS, dry_run) as outcome:
        for one in todo:
            row = {**{name: one.get(name) for name in FIELDS},
                   "action": "undeleted" if undelete else "purged" if purge else "deleted"}
            outcome.change(one["email"], row, partial(restore_account, galaxy, one) if undelete else
                           partial(delete_account, galaxy, one, purge))
    return outcome.status(len(todo))


def require_not_purged(accounts):
    """Raise an error for accounts that can't be brought back."""
    lost = [one["id"] for one in accounts if one["purged"]]
    if lost:
        raise GalaxyError(f"--undelete: purged accounts can't be brought back: {', '.join(lost)}; nothing was changed")


if __name__ == "__main__":
    sys.exit(run(main))
