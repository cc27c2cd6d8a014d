#!/usr/bin/env python3
"""Set disk quotas as a table says: how much, and for whom.

Usage:
  quota_set.py [options] KEY URL TABLE

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  TABLE            a table with a heading (CSV or TSV, - for standard input) and the columns name, amount, operation,
                   default, users, groups, description, source

Options:
  --delete-others  delete the quotas that are not in TABLE
  -n, --dry-run    show what would be done, change nothing
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

Only name is required, and for a new quota amount: 50 GB, 1.5 TB, 200 GiB or unlimited. GB means what it means to the
server: 10^9 bytes from Galaxy 26.1 on, 2^30 before. operation is = (exact), + (add) or - (subtract). default is registered
or unregistered (all of these users, and then no users and groups), or no. users has e-mail addresses, public names or ids,
groups (from Galaxy 26.1 on) has names, separated by semicolons or commas. source is the label of the disks that it is for.
An empty cell leaves what is there, a hyphen means none. A deleted quota of the table is undeleted.

A table with a mistake is refused with the numbers of the lines before anything is changed. Prints a row for each quota that
was made, changed or deleted, as read back from Galaxy, and nothing if all are as they should be.
  quota_set.py -n - - quotas.csv
"""
import sys
from functools import partial

from common import UNATTENDED, Galaxy, arguments, output_options, run
from galaxy_api_scripts.accounts.quota_table import COLUMNS, FIELDS, QuotaTable
from galaxy_api_scripts.outcome import Outcome
from galaxy_api_scripts.tables import read_rows


def main(argv=None):
    args = arguments(__doc__, argv)
    dry_run, delete_others, output = args["--dry-run"], args["--delete-others"], output_options(args, FIELDS)
    rows, problems = read_rows(args["TABLE"], COLUMNS, ["name"])
    problems.raise_any()
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    galaxy.require_admin("changing quotas")
    quotas = QuotaTable(galaxy, rows, problems, delete_others)
    quotas.inspect()
    changes = list(quotas.changes())
    with Outcome(output, FIELDS, dry_run) as outcome:
        for change in changes:
            row = change.row()
            outcome.change(f"quota {change.name!r}", row, partial(quotas.apply, change, row))
    return outcome.status(len(changes))


if __name__ == "__main__":
    sys.exit(run(main))
