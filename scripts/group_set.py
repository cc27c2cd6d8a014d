#!/usr/bin/env python3
"""Set groups of users as a table says: who is in them, and which roles they have.

Usage:
  group_set.py [options] KEY URL TABLE

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  TABLE            a table with a heading (CSV or TSV, - for standard input) and the columns group, users, roles

Options:
  --delete-others  delete the groups that are not in TABLE, which keep their names
  -n, --dry-run    show what would be done, change nothing
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

Only group is required. users has e-mail addresses, public names or ids, separated by semicolons or commas; roles has names
or ids of roles. A group may have several rows, which add up, so that a row for each user is fine. Afterwards a group has the
users and roles of the table and no others, none for a cell with a hyphen; if all of its cells in a column are empty, they
stay. Deleted accounts stay in their groups.

A table with a mistake is refused with the numbers of the lines before anything is changed. Prints a row for each group that
was made, changed or deleted, as read back from Galaxy, and nothing if all are as they should be.
  group_set.py -n - - groups.csv
"""
import sys
from functools import partial

from common import UNATTENDED, Galaxy, arguments, output_options, run
from galaxy_api_scripts.accounts.group_table import COLUMNS, FIELDS, GroupTable, parse_groups
from galaxy_api_scripts.outcome import Outcome
from galaxy_api_scripts.tables import read_rows


def main(argv=None):
    args = arguments(__doc__, argv)
    dry_run, delete_others, output = args["--dry-run"], args["--delete-others"], output_options(args, FIELDS)
    rows, problems = read_rows(args["TABLE"], COLUMNS, ["group"])
    wanted = parse_groups(rows, problems)
    problems.raise_any()
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    galaxy.require_admin("changing groups")
    groups = GroupTable(galaxy, wanted, problems, delete_others)
    groups.inspect()
    changes = list(groups.changes())
    with Outcome(output, FIELDS, dry_run) as outcome:
        for change in changes:
            row = change.row()
            outcome.change(f"group {change.group.name!r}", row, partial(groups.apply, change, row))
    return outcome.status(len(changes))


if __name__ == "__main__":
    sys.exit(run(main))
