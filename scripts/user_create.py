#!/usr/bin/env python3
"""Create the accounts that a table lists, each once, with their groups and quotas.

Usage:
  user_create.py [options] KEY URL TABLE

Arguments:
  KEY               an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL               the server, or - to look it up
  TABLE             a table with a heading (CSV or TSV, - for standard input) and the columns email, name, groups, quota

Options:
  --password-stdin  read the password of all new accounts from standard input, one line; without it each gets one that nobody
                    knows, until its owner asks Galaxy for another
  --keys=FILE       write the API keys of the table's accounts to FILE (CSV, mode 0600); those that are in it stay
  --create-groups   make groups that do not exist
  --undelete        bring back deleted accounts of these addresses
  --activate        let those accounts run jobs that wait for their owners to confirm the address (user_activation_on)
  -n, --dry-run     show what would be done, change nothing
  --format=FORMAT   table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES    only these fields, separated by commas
  -h, --help        show this help
  --version         show the version

Only email is required. name is the public name, by default made of the address. groups has names of groups, separated by
semicolons or commas; quota the names of quotas, or an amount such as 50 GB, which makes a quota of that name. An account
that exists stays as it is, but for its groups and quotas: those of the table are then all that it has, none for a hyphen,
and an empty cell leaves them. Capitals in addresses make no difference, as in Galaxy.

A table with a mistake is refused with the numbers of the lines before anything is changed. Prints a row for each account
made or changed, and nothing if all are as they should be. Run it again after an interruption: it does what is left.
Deleted accounts are reported, the others are done, and the exit status is 3.
  user_create.py -n - - course.csv
  user_create.py --create-groups --keys=course_keys.csv - - course.csv
"""
import sys

from common import (
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    output_options,
    run,
)
from galaxy_api_scripts.accounts.creation import COLUMNS, FIELDS, AccountTable, parse_people, save_keys
from galaxy_api_scripts.accounts.directory import MIN_PASSWORD
from galaxy_api_scripts.accounts.keys_file import KeysFile
from galaxy_api_scripts.outcome import Outcome
from galaxy_api_scripts.tables import read_rows


def main(argv=None):
    args = arguments(__doc__, argv)
    table, dry_run, output = args["TABLE"], args["--dry-run"], output_options(args, FIELDS)
    password = read_password(table) if args["--password-stdin"] else ""
    keys = KeysFile(args["--keys"]) if args["--keys"] else None
    rows, problems = read_rows(table, COLUMNS, ["email"])
    people = parse_people(rows, problems)
    problems.raise_any()
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    galaxy.require_admin("making accounts")
    accounts = AccountTable(galaxy, people, problems, password=password, undelete=args["--undelete"],
                            activate=args["--activate"], create_groups=args["--create-groups"], keys=keys)
    accounts.inspect()
    with Outcome(output, FIELDS, dry_run) as outcome:
        try:
            for step in accounts.steps():
                accounts.apply(step, dry_run)
            if not dry_run:
                accounts.verify()
        finally:
            try:
                if keys:
                    save_keys(keys, people)
            finally:
                outcome.rows = accounts.rows
    for one in people:
        if one.error:
            outcome.fail(f"line {one.line}: {one.email}", one.error)
    return outcome.status(len(people))


def read_password(table):
    """Return the first line of standard input."""
    if table == "-":
        raise GalaxyError("--password-stdin: TABLE is not standard input then", USAGE)
    password = (sys.stdin.readline() if sys.stdin else "").rstrip("\r\n")
    if len(password) < MIN_PASSWORD:
        raise GalaxyError(f"--password-stdin: Galaxy wants {MIN_PASSWORD} characters or more", USAGE)
    return password


if __name__ == "__main__":
    sys.exit(run(main))
