#!/usr/bin/env python3
"""Repair a repository installed from a Tool Shed: uninstall a revision and install it again.

Usage:
  repair_tool_shed_repository.py [options] -u URL -a KEY -l URL -n NAME -o OWNER -r REV

Options:
  -u URL, --url=URL        the Tool Shed, such as https://toolshed.g2.bx.psu.edu
  -a KEY, --api=KEY        an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -l URL, --local=URL      the Galaxy server, or - to look it up
  -n NAME, --name=NAME     the repository
  -o OWNER, --owner=OWNER  its owner
  -r REV, --revision=REV   the installed revision, 12 hexadecimal digits
  --panel-section-id=ID    put the tools into this section of the tool panel; by default they stay in theirs
  --dry-run                show what would be done, change nothing
  --format=FORMAT          table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES           only these fields, separated by commas
  -h, --help               show this help
  --version                show the version

For a repository whose files are lost, that is in state Error, or whose tools Galaxy no longer loads. Of tools that it no
longer loads Galaxy does not tell the section: without --panel-section-id they end up outside of all sections.
  repair_tool_shed_repository.py -u https://toolshed.g2.bx.psu.edu -a - -l - -n fastqc -o devteam -r 2c64fded1286
"""
import sys

from common import Galaxy, arguments, output_options, parse_id, print_request, print_response, run, show
from galaxy_api_scripts.tools import toolshed


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    revision, output = parse_id(args["--revision"], "--revision"), output_options(args)
    repository = toolshed.Repository(args["--url"], args["--owner"], args["--name"])
    galaxy = Galaxy(args["--api"], args["--local"])

    toolshed.require_installable(galaxy, repository, "repairing a repository")
    record = repository.record(galaxy, revision)
    section = args["--panel-section-id"] or toolshed.find_panel_section(galaxy, record)
    data = toolshed.installation_payload(galaxy, repository, revision, section)
    if args["--dry-run"]:
        return print_request("POST", galaxy.url_for(toolshed.INSTALL_ROUTE), data, output["format"])
    answer = toolshed.install_revision(galaxy, repository, data, record, is_repair=True)
    show(answer, **output, plain=print_response, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
