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
    STILL_RUNNING,
    TRY_LATER,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    run,
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
from galaxy_api_scripts.outcome import Outcome


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
    with Outcome(output, FIELDS, dry_run) as outcome:
        is_done = purge_all(galaxy, iter_found(galaxy, histories, before, outcome.fail), timeout, outcome)
    return outcome.status() or (DONE if is_done else STILL_RUNNING)


def one_history(galaxy, text):
    """The history of this id or name, if it is one whose datasets may be purged."""
    history = galaxy.get(f"histories/{galaxy.resolve('histories', text)['id']}", {"keys": HISTORY_KEYS})
    if history["deleted"] or history["archived"]:
        state = "deleted" if history["deleted"] else "archived"
        raise GalaxyError(f"history {history['id']} ({history['name']}) is {state}, so its datasets are left alone")
    return iter([history])


def purge_all(galaxy, found, timeout, outcome):
    """Purge what was `found`, history by history, and wait for it; return whether Galaxy has purged all of it by then."""
    end, begun = time.monotonic() + timeout, []
    try:
        for one in found:
            if outcome.dry_run:
                outcome.rows.append(one.row("purged"))
                continue
            begun.append(one)
            try:
                for message in purge(galaxy, one):
                    outcome.fail(one.history["id"], message)
            except GalaxyError as error:
                if error.exit_code == TRY_LATER:
                    raise
                outcome.fail(one.history["id"], error)
        while begun:
            left = wait_purged(galaxy, begun[0], max(end - time.monotonic(), 0))
            outcome.rows += rows_of(begun.pop(0), "purging" if left else "purged")
    finally:        # what was asked for and not waited for
        outcome.rows += [row for one in begun for row in rows_of(one, "purging")]
    return all(row["action"] == "purged" for row in outcome.rows)


def rows_of(found, action):
    """The row of a history, in a list; none if nothing of it was purged."""
    return [found.row(action)] if found.sizes else []


if __name__ == "__main__":
    sys.exit(run(main))
