#!/usr/bin/env python3
"""Install a repository of a Tool Shed in Galaxy, its latest revision or a given one.

Usage:
  install_tool_shed_repositories.py [options] -u URL -a KEY -l URL -n NAME -o OWNER

Options:
  -u URL, --url=URL          the Tool Shed, such as https://toolshed.g2.bx.psu.edu
  -a KEY, --api=KEY          an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -l URL, --local=URL        the Galaxy server, or - to look it up
  -n NAME, --name=NAME       the repository
  -o OWNER, --owner=OWNER    whose it is
  -r REV, --revision=REV     the revision, 12 hexadecimal digits; the latest unless given. There are those that this shows:
                             display.py anonymous 'URL/api/repositories/get_ordered_installable_revisions?name=N&owner=O'
  --panel-section-id=ID      into this section of the tool panel, which is there
  --panel-section-name=NAME  into the section of this name, made if there is none
  --repository-deps          the repositories that it depends on, too
  --tool-deps                Tool Shed packages, from before Conda, too
  --format=FORMAT            table, json, jsonl, csv, tsv, value or another tabulate style, in place of the old scripts' text
  --fields=NAMES             only these fields of the repository, separated by commas
  --dry-run                  show what would be sent, install nothing
  -h, --help                 show this

What is installed already is left as it is, and that is no error:
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
    style, fields = output_options(args).values()
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
    known = find_installed(galaxy, repository, data["changeset_revision"])
    if known:
        stay = "; its tools stay where they are" if section or new_section else ""
        message = f"{repository}, revision {data['changeset_revision']}, is installed already{stay}"
        return show(known, style, fields, plain=lambda _: print_response({"status": "ok", "message": message}))
    if args["--dry-run"]:
        return print_request("POST", galaxy.url_for(INSTALL_ROUTE), data, style)
    show(install_revision(galaxy, repository, data), style, fields, plain=print_response, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
