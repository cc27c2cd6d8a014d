#!/usr/bin/env python3
"""Expire histories that nobody touches: warn their owners, delete them after a grace period, purge them after another.

Usage:
  history_expire.py [options] [--user=USER]... KEY URL LEDGER [HISTORY...]

Arguments:
  KEY                 an administrator's API key, with --own any user's, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                 the server, or - to look it up
  LEDGER              a file that records what was warned of, deleted and purged; --warn creates it
  HISTORY             with --undo: only these, by id or name

Options:
  --warn              warn the owners of the histories that the options choose, and note it
  --delete            delete those of which it warned at least --grace ago and not touched since
  --purge             purge those that were deleted here at least --purge-after ago and not touched since
  --undo              bring back what was deleted here and not purged: each HISTORY, or all
  --list              show what the ledger says, without asking Galaxy
  --older-than=AGE    warn: last changed so long ago, such as 180d or 36h; a number alone is in days  [default: 180d]
  --larger-than=SIZE  warn: only those of this size or more, such as 500M or 10G
  --user=USER         only those of this user: e-mail address, public name or id; with --warn, may be repeated
  --tag=TAG           warn: only those with this tag
  --grace=AGE         from the warning to the deletion  [default: 30d]
  --purge-after=AGE   from the deletion to the purge  [default: 30d]
  --keep-tag=TAGS     histories with one of these tags, separated by commas, stay  [default: keep]
  --except=FILE       what it names stays: one history's id, or one owner's e-mail address or public name, on each line
  --mails=FOLDER      warn: where messages to the owners are written, one file each; - for standard output
  --template=FILE     warn: the text of these messages, with $email, $server, $date, $count, $size, $histories, $tag
  --own               only your own histories, in a ledger of their own
  -n, --dry-run       show what would be done, change nothing
  --format=FORMAT     table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES      only these fields, separated by commas: id, name, owner, size, action, date, reason
  -h, --help          show this help
  --version           show the version

Prints a row for each history that was warned of, deleted, purged or brought back, or that is kept although it was warned
of, and nothing if there was nothing to do. A history stays if it is published, shared or archived, if it has a --keep-tag,
if --except names it or its owner, if it has no owner to warn, or if Galaxy does not tell these things. They are asked again
right before each deletion and each purge. What others have deleted is left alone. Messages are written, not sent: each file
is a mail for `sendmail -t`.
  history_expire.py --warn --older-than=180d --mails=/var/spool/warnings - - /var/lib/galaxy/expiry.db
  history_expire.py --delete --purge - - /var/lib/galaxy/expiry.db
  history_expire.py --undo - - /var/lib/galaxy/expiry.db f2db41e1fa331b3e
"""
import os
import sys
from datetime import timedelta

from common import (
    DONE,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    output_options,
    run,
    show,
)
from galaxy_api_scripts.ages import parse_age, parse_utc
from galaxy_api_scripts.disk import clock
from galaxy_api_scripts.disk.expiry import Expiry
from galaxy_api_scripts.disk.expiry_ledger import DELETED, FIELDS, WARNED, ExpiryLedger
from galaxy_api_scripts.disk.expiry_rules import Choice, KeepRules, fetch_owners, read_exceptions
from galaxy_api_scripts.disk.expiry_warning import Warnings
from galaxy_api_scripts.disk.facts import require_purging
from galaxy_api_scripts.disk.mails import Messages
from galaxy_api_scripts.outcome import Outcome
from galaxy_api_scripts.sizes import parse_size

STAGES = ("--warn", "--delete", "--purge", "--undo", "--list")
OF_WARN = ("--larger-than", "--user", "--tag", "--mails", "--template")


def main(argv=None):
    args = arguments(__doc__, argv)
    check_options(args)
    age, grace, purge_after = (parse_age(args, f"--{name}") for name in ("older-than", "grace", "purge-after"))
    size = parse_size(args["--larger-than"] or "0", "--larger-than")
    tags = tuple(tag.strip() for tag in args["--keep-tag"].split(",") if tag.strip())
    rules, everybody = KeepRules(tags, read_exceptions(args["--except"])), not args["--own"]
    output, dry_run = output_options(args, FIELDS), args["--dry-run"]
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    if args["--list"]:
        require_ledger(args["LEDGER"])
        with ExpiryLedger(args["LEDGER"], dry_run=True) as ledger:
            show(sorted(list_noted(ledger, purge_after), key=by_owner), output["format"], output["fields"] or FIELDS)
        return DONE
    user = galaxy.require_admin("expiring everybody's histories", "; --own is for your own") if everybody else \
        galaxy.current_user()
    messages = Messages(args["--mails"], args["--template"], galaxy.base, tags[0] if tags else "", dry_run) \
        if args["--warn"] else None
    if not args["--warn"]:
        require_ledger(args["LEDGER"])
    if args["--purge"]:
        require_purging(galaxy)
    clock.require_same_time(galaxy)
    whose = "everybody's histories" if everybody else f"the histories of {user['email']}"
    with Outcome(output, FIELDS, dry_run) as outcome, \
            ExpiryLedger(args["LEDGER"], dry_run, server=galaxy.base, content=whose) as ledger:
        owners = fetch_owners(galaxy, everybody)
        if everybody:
            owners.require_known(rules.exceptions)
        only = frozenset(owners.find(one) for one in args["--user"])
        expiry = Expiry(galaxy, ledger, rules, owners, outcome.fail)
        try:
            outcome.rows += expiry.settle()
            if args["--undo"]:
                outcome.rows += expiry.undo(args["HISTORY"])
            if args["--delete"]:
                outcome.rows += expiry.delete(grace)
            if args["--purge"]:
                outcome.rows += expiry.purge(purge_after)
            if messages:
                choice = Choice(clock.now() - timedelta(seconds=age), size, only, args["--tag"])
                warnings = Warnings(galaxy, ledger, rules, owners, everybody, outcome.fail)
                outcome.rows += warnings.warn(choice, grace, messages)
        finally:
            outcome.rows.sort(key=by_owner)
    return outcome.status()


def check_options(args):
    """Raise a usage error for options that do not go together."""
    stages = [name for name in STAGES if args[name]]
    if not stages:
        raise GalaxyError(f"expected one of {', '.join(STAGES)}, or the first three together", USAGE)
    if len(stages) > 1 and (args["--undo"] or args["--list"]):
        raise GalaxyError("--undo and --list stand alone", USAGE)
    if args["HISTORY"] and not args["--undo"]:
        raise GalaxyError("HISTORY is for --undo: --user, --tag and the like choose what to warn of", USAGE)
    for name in OF_WARN:
        if args[name] and not args["--warn"]:
            raise GalaxyError(f"{name} is for --warn", USAGE)
    if args["--warn"] and not args["--mails"]:
        raise GalaxyError("--warn needs --mails=FOLDER, where messages to the owners are written, or --mails=-", USAGE)


def require_ledger(path):
    """Raise a usage error where there is no ledger: without one nothing was warned of or deleted."""
    if not os.path.exists(path):
        raise GalaxyError(f"{path}: there is no such ledger; --warn creates it" if path else
                          "LEDGER is empty: is a variable unset?", USAGE)


def list_noted(ledger, purge_after):
    """Yield a row for each history in the ledger, with the date from which on it will be deleted or purged."""
    for row in ledger.rows():
        date = row["delete_on"] if row["state"] == WARNED else ""
        if row["state"] == DELETED:
            date = clock.format_time(parse_utc(row["deleted"]) + timedelta(seconds=purge_after))
        yield {"id": row["id"], "name": row["name"], "owner": row["owner"], "size": row["size"], "action": row["state"],
               "date": date[:10], "reason": row["reason"] or ""}


def by_owner(row):
    """The order of rows."""
    return str(row["owner"]), str(row["name"]), row["id"]


if __name__ == "__main__":
    sys.exit(run(main))
