#!/usr/bin/env python3
"""Install a revision of a Tool Shed repository in Galaxy.

Usage:
  install_tool_shed_repositories.py [options] -u URL -a KEY -l URL -n NAME -o OWNER

Options:
  -u URL, --url=URL          the Tool Shed, such as https://toolshed.g2.bx.psu.edu
  -a KEY, --api=KEY          an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -l URL, --local=URL        the Galaxy server, or - to look it up
  -n NAME, --name=NAME       the repository
  -o OWNER, --owner=OWNER    its owner
  -r REV, --revision=REV     the revision, 12 hexadecimal digits; by default the latest. This lists all:
                             display.py anonymous 'URL/api/repositories/get_ordered_installable_revisions?name=N&owner=O'
  --panel-section-id=ID      put the tools into this existing section of the tool panel
  --panel-section-name=NAME  put the tools into the section of this name, created if missing
  --repository-deps          install the repositories that it depends on, too
  --tool-deps                install Tool Shed packages (from before Conda), too
  --dry-run                  show what would be done, change nothing
  --format=FORMAT            table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES             only these fields, separated by commas
  -h, --help                 show this help
  --version                  show the version

A revision that is installed already is left as it is, which is no error:
  install_tool_shed_repositories.py -u https://toolshed.g2.bx.psu.edu -a - -l - -n fastqc -o devteam --panel-section-name QC
"""
import sys

from common import Galaxy, arguments, output_options, parse_id, print_request, print_response, run, show
from galaxy_api_scripts.tools import toolshed

DEPENDENCIES = {"install_repository_dependencies": "--repository-deps", "install_tool_dependencies": "--tool-deps"}


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    output = output_options(args)
    revision = args["--revision"] and parse_id(args["--revision"], "--revision")
    repository = toolshed.Repository(args["--url"], args["--owner"], args["--name"])
    galaxy = Galaxy(args["--api"], args["--local"])
    section, new_section = args["--panel-section-id"], args["--panel-section-name"]

    toolshed.require_installable(galaxy, repository, "installing tools")
    revision = revision or repository.revisions()[-1]
    data = toolshed.installation_payload(galaxy, repository, revision, section)
    if new_section and not section:
        data["new_tool_panel_section_label"] = new_section
    data.update({name: True for name, option in DEPENDENCIES.items() if args[option]})
    record = toolshed.find_record(repository.records(galaxy), revision)
    if record and record["status"] == toolshed.INSTALLED:
        note = "; its tools stay where they are" if section or new_section else ""
        message = f"{repository}, revision {revision}, is installed already{note}"
        return show(record, **output, plain=lambda _: print_response({"status": "ok", "message": message}))
    if args["--dry-run"]:
        return print_request("POST", galaxy.url_for(toolshed.INSTALL_ROUTE), data, output["format"])
    show(toolshed.install_revision(galaxy, repository, data, record), **output, plain=print_response, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
