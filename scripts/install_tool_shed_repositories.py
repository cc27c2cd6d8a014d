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
from galaxy_api_scripts.tools.toolshed import (
    INSTALL_ROUTE,
    Repository,
    find_installed,
    install_payload,
    install_revision,
    require_registered,
    require_section,
)


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    output = output_options(args)
    revision = args["--revision"] and parse_id(args["--revision"], "--revision")
    repository = Repository(args["--url"], args["--owner"], args["--name"])
    galaxy = Galaxy(args["--api"], args["--local"])
    section, new_section = args["--panel-section-id"], args["--panel-section-name"]

    galaxy.require_admin("installing tools")
    require_registered(galaxy, repository)
    data = install_payload(repository, revision or repository.revisions()[-1])
    if section:
        require_section(galaxy, section)
        data["tool_panel_section_id"] = section
    elif new_section:
        data["new_tool_panel_section_label"] = new_section
    if args["--repository-deps"]:
        data["install_repository_dependencies"] = True
    if args["--tool-deps"]:
        data["install_tool_dependencies"] = True
    installed = find_installed(galaxy, repository, data["changeset_revision"])
    if installed:
        note = "; its tools stay where they are" if section or new_section else ""
        message = f"{repository}, revision {data['changeset_revision']}, is installed already{note}"
        return show(installed, **output, plain=lambda _: print_response({"status": "ok", "message": message}))
    if args["--dry-run"]:
        return print_request("POST", galaxy.url_for(INSTALL_ROUTE), data, output["format"])
    show(install_revision(galaxy, repository, data), **output, plain=print_response, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
