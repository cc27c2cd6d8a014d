#!/usr/bin/env python3
"""Uninstall tools that were installed from Tool Sheds.

Usage:
  tool_uninstall.py [options] KEY URL LIST...

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  LIST             OWNER/NAME, OWNER/NAME/REVISION, or a YAML file as tool_install.py has it, - for standard input

Options:
  --all-revisions  all revisions of a repository that is named without one; otherwise it must have only one
  -n, --dry-run    show what would be done, change nothing
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES   only these fields, separated by commas: action, owner, name, revision, section (these unless given),
                   status, id, tool_shed
  -h, --help       show this help
  --version        show the version

The tools of a repository leave the tool panel, its files the disk. Results stay; a workflow that names such a tool can't run
any more. Prints a line for each revision as soon as it is uninstalled, and nothing for one that is uninstalled already. A
repository of the command line that Galaxy has never had is an error; one of a list is not. One that is being installed is
told, and the exit status is 75 (3 if others were uninstalled).
  tool_uninstall.py --dry-run --all-revisions - - devteam/fastqc
  tool_uninstall.py - - devteam/fastqc/2c64fded1286
"""
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, output_options, report_error, run
from galaxy_api_scripts.polling import combine_exit_codes
from galaxy_api_scripts.tools.installed import Installed, key_of, print_found, uninstall_each, uninstall_row
from galaxy_api_scripts.tools.repository_list import read_targets
from galaxy_api_scripts.tools.toolshed import DEACTIVATED, ERROR, INSTALLED

COLUMNS = ["action", "owner", "name", "revision", "section"]
FIELDS = [*COLUMNS, "status", "id", "tool_shed"]


def main(argv=None):
    args = arguments(__doc__, argv)
    words, all_revisions, output = args["LIST"], args["--all-revisions"], output_options(args, FIELDS)
    targets, dry_run = read_targets(words, "LIST"), args["--dry-run"]
    for target in targets:
        if target.tool:
            raise GalaxyError(f"LIST: {target.where}: tools are uninstalled with their whole repository: give its name, "
                              f"{target}, or {target}/REVISION", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])

    galaxy.require_admin("uninstalling tools")
    installed = Installed(galaxy, (INSTALLED, DEACTIVATED, ERROR))
    installed.require_known(targets, words, is_gone_known=True)
    records, unsettled = choose_records(installed, targets, all_revisions), list(installed.unsettled(targets))
    sections = installed.sections() if records else {}
    codes = [report_error(str(error), error.exit_code) for error in unsettled]
    rows = (uninstall_row(record, sections.get((*key_of(record), record["changeset_revision"])))
            for record in (records if dry_run else uninstall_each(galaxy, records, codes)))
    print_found(rows, output, COLUMNS)
    return combine_exit_codes(codes, [record["id"] for record in records] + [""] * len(unsettled))


def choose_records(installed, targets, all_revisions):
    """Return Galaxy's records of what the targets name. Raises an error if one is ambiguous."""
    chosen = {}
    for target in targets:
        found = [record for records in installed.select([target]).values() for record in records]
        if len(found) > 1 and not target.revision and not all_revisions:
            revisions = ", ".join(record["changeset_revision"] for record in found)
            raise GalaxyError(f"{target} is installed in {len(found)} revisions, {revisions}: name one, as "
                              f"{target}/REVISION, or give --all-revisions")
        chosen.update((record["id"], record) for record in found)
    return list(chosen.values())


if __name__ == "__main__":
    sys.exit(run(main))
