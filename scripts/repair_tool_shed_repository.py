#!/usr/bin/env python3
"""Repair a repository that was installed from a Tool Shed: uninstall that revision, and install it again.

Usage:
  repair_tool_shed_repository.py [options] -u URL -a KEY -l URL -n NAME -o OWNER -r REV

Options:
  -u URL, --url=URL        the Tool Shed that it is from
  -a KEY, --api=KEY        an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -l URL, --local=URL      the Galaxy server, or - to look it up
  -n NAME, --name=NAME     the repository
  -o OWNER, --owner=OWNER  whose it is
  -r REV, --revision=REV   the installed revision, 12 hexadecimal digits
  --panel-section-id=ID    the section of the tool panel for its tools; unless given, the one that they are in
  --format=FORMAT          table, json, jsonl, csv, tsv, value or another tabulate style, in place of the old scripts' text
  --fields=NAMES           only these fields of the repository, separated by commas
  --dry-run                show the request that would install it again, change nothing
  -h, --help               show this

For one whose files were lost, that is in state Error, or whose tools Galaxy no longer loads. Galaxy does not say in which
section tools were that it no longer loads; without --panel-section-id they come back outside of all sections.
  repair_tool_shed_repository.py -u https://toolshed.g2.bx.psu.edu -a - -l - -n fastqc -o devteam -r 2c64fded1286
"""
import sys

from common import Galaxy, arguments, output_options, parse_id, print_request, print_response, run, show
from galaxy_api_scripts.tools.toolshed import (
    INSTALL_ROUTE,
    Repository,
    find_panel_section,
    install_payload,
    reinstall_revision,
    require_registered,
    require_section,
)


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    revision, (style, fields) = parse_id(args["--revision"], "--revision"), output_options(args).values()
    repository = Repository(args["--url"], args["--owner"], args["--name"])
    galaxy = Galaxy(args["--api"], args["--local"])

    galaxy.require_admin("repairing a repository")
    require_registered(galaxy, repository)
    known = repository.record(galaxy, revision)
    data = install_payload(repository, revision)
    section = args["--panel-section-id"]
    if section:
        require_section(galaxy, section)
    section = section or find_panel_section(galaxy, known)
    if section:
        data["tool_panel_section_id"] = section
    if args["--dry-run"]:
        return print_request("POST", galaxy.url_for(INSTALL_ROUTE), data, style)
    show(reinstall_revision(galaxy, repository, revision, data), style, fields, plain=print_response, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
