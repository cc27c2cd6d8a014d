#!/usr/bin/env python3
"""List the installed tools of which their Tool Shed has a newer revision.

Usage:
  tool_outdated.py [options] KEY URL [LIST...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  LIST             only these: a YAML file as tool_install.py has it, or OWNER/NAME; by default all that are installed

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: owner, name, installed, latest, tool_shed
  -h, --help       show this help
  --version        show the version

installed is the newest of the revisions that are installed, latest the one that the Tool Shed would install now. Prints
nothing if all are the latest. tool_update.py installs them.
  tool_outdated.py - -
  tool_outdated.py --format=value --fields=owner,name - - tools.yml
"""
import sys

from common import DONE, FAILED, SOME_FAILED, Galaxy, GalaxyError, arguments, output_options, report_error, run
from galaxy_api_scripts.tools.installed import Installed, print_found
from galaxy_api_scripts.tools.repository_list import read_targets

FIELDS = ["owner", "name", "installed", "latest", "tool_shed"]


def main(argv=None):
    args = arguments(__doc__, argv)
    words, output = args["LIST"], output_options(args, FIELDS)
    targets = read_targets(words, "LIST")
    galaxy = Galaxy(args["KEY"], args["URL"])

    galaxy.current_user()
    installed = Installed(galaxy)
    installed.require_known(targets, words)
    keys = installed.select(targets) if words else installed.repositories
    rows, failures = [], 0
    for (host, owner, name), outcome in installed.outdated(keys):
        if isinstance(outcome, GalaxyError):
            failures += bool(report_error(f"{owner}/{name}: {outcome}"))
        elif outcome["installed"] != outcome["latest"]:
            rows.append({"owner": owner, "name": name, **outcome, "tool_shed": host})
    print_found(sorted(rows, key=lambda row: (row["owner"], row["name"])), output, FIELDS)
    return DONE if not failures else FAILED if failures == len(keys) else SOME_FAILED


if __name__ == "__main__":
    sys.exit(run(main))
