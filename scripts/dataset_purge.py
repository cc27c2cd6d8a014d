#!/usr/bin/env python3
"""Purge datasets that are deleted already, so that the disk gets their space back.

Usage:
  dataset_purge.py [options] KEY URL

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up

Options:
  --all              everybody's datasets, which takes an administrator's key; without it only your own
  --history=WHICH    only those in the history with this id or unique name
  --older-than=AGE    only those that were deleted, or last changed, so long ago, such as 14d or 36h; a number alone is in
                     days
  --timeout=SECONDS  stop waiting after this many seconds in all; Galaxy goes on, the exit status is 4  [default: 600]
  -n, --dry-run      show what would be done, change nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES     only these fields, separated by commas: id, name, user, datasets, bytes, size, action
  -h, --help         show this help
  --version          show the version

Prints a row for each history, with how many datasets were purged and their bytes, and nothing if there was nothing to do. A
file that another history or a library shares stays on the disk until their copies are purged too. Datasets of deleted or
archived histories are left alone. What is purged can't be brought back.
  dataset_purge.py --older-than=14d - -
  dataset_purge.py --dry-run --all --older-than=60d - -
"""
import sys
import time
from datetime import timedelta

from common import (
    DONE,
    FAILED,
    SOME_FAILED,
    STILL_RUNNING,
    TRY_LATER,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.ages import parse_age
from galaxy_api_scripts.disk import clock
from galaxy_api_scripts.disk.facts import require_purging
from galaxy_api_scripts.disk.purging import (
    FIELDS,
    HISTORY_KEYS,
    iter_active_histories,
    iter_found,
    purge,
    wait_purged,
)


def main(argv=None):
    args = arguments(__doc__, argv)
    age, timeout, dry_run = parse_age(args, "--older-than"), int_option(args, "--timeout"), args["--dry-run"]
    everybody, which = args["--all"], args["--history"]
    if everybody and which:
        raise GalaxyError("--all and --history exclude each other", USAGE)
    output = output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    if everybody:
        galaxy.require_admin("--all")
    else:
        galaxy.current_user()
    require_purging(galaxy)
    before = None
    if age is not None:
        clock.require_same_time(galaxy)
        before = clock.format_time(clock.now() - timedelta(seconds=age))
    histories = iter_active_histories(galaxy, everybody) if which is None else one_history(galaxy, which)
    rows, errors = [], []
    try:
        status = purge_all(galaxy, iter_found(galaxy, histories, before, lambda *error: report(errors, *error)),
                           dry_run, timeout, rows, errors)
    finally:        # what was done is shown, whatever comes after it
        if rows or output["format"]:
            show(rows, output["format"], output["fields"] or FIELDS, changed=True)
    return status if not errors else SOME_FAILED if rows else FAILED


def report(errors, history, error):
    """Tell of an error of one history."""
    errors.append(report_error(f"{history}: {error}"))


def one_history(galaxy, text):
    """The history of this id or name, if it is one whose datasets may be purged."""
    history = galaxy.get(f"histories/{galaxy.resolve('histories', text)['id']}", {"keys": HISTORY_KEYS})
    if history["deleted"] or history["archived"]:
        state = "deleted" if history["deleted"] else "archived"
        raise GalaxyError(f"history {history['id']} ({history['name']}) is {state}, so its datasets are left alone")
    return iter([history])


def purge_all(galaxy, found, dry_run, timeout, rows, errors):
    """Purge what was `found`, history by history, wait for it, and return the exit status; fill `rows` and `errors`."""
    end, begun = time.monotonic() + timeout, []
    try:
        for one in found:
            if dry_run:
                rows.append(one.row("purged"))
                continue
            begun.append(one)
            try:
                errors += map(report_error, purge(galaxy, one))
            except GalaxyError as error:
                if error.exit_code == TRY_LATER:
                    raise
                report(errors, one.history["id"], error)
        while begun:
            left = wait_purged(galaxy, begun[0], max(end - time.monotonic(), 0))
            rows += rows_of(begun.pop(0), "purging" if left else "purged")
    finally:        # what was asked for and not waited for
        rows += [row for one in begun for row in rows_of(one, "purging")]
    return STILL_RUNNING if any(row["action"] == "purging" for row in rows) else DONE


def rows_of(found, action):
    """The row of a history, in a list; none if nothing of it was purged."""
    return [found.row(action)] if found.sizes else []


if __name__ == "__main__":
    sys.exit(run(main))
