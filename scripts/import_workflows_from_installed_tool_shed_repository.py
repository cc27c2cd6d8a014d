#!/usr/bin/env python3
"""Import the workflows of a Tool Shed repository that is installed in Galaxy.

Usage:
  import_workflows_from_installed_tool_shed_repository.py [options] -a KEY -u URL -l URL -n NAME -o OWNER -r REV

Options:
  -a KEY, --api=KEY        your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -u URL, --url=URL        the Tool Shed that the repository is from
  -l URL, --local=URL      the Galaxy server, or - to look it up
  -n NAME, --name=NAME     the repository
  -o OWNER, --owner=OWNER  whose it is
  -r REV, --revision=REV   the installed revision, 12 hexadecimal digits
  --format=FORMAT          table, json, jsonl, csv, tsv, value or another tabulate style, in place of the old scripts' text
  --fields=NAMES           only these fields of the workflows, separated by commas
  --dry-run                list the workflows, import nothing
  -h, --help               show this

They become yours, a new copy each time, with the tools of that revision; where it holds none, nothing is done:
  import_workflows_from_installed_tool_shed_repository.py -a - -u https://toolshed.g2.bx.psu.edu -l - -n NAME -o OWNER -r REV
"""
import sys

from common import Galaxy, GalaxyError, arguments, output_options, parse_id, print_response, run, show
from galaxy_api_scripts.tools.toolshed import INSTALLED, Repository


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    revision, (style, fields) = parse_id(args["--revision"], "--revision"), output_options(args).values()
    repository = Repository(args["--url"], args["--owner"], args["--name"])
    galaxy = Galaxy(args["--api"], args["--local"])

    status = repository.record(galaxy, revision)["status"]
    if status != INSTALLED:
        raise GalaxyError(f"{repository}, revision {revision}, is not installed in {galaxy.base} but {status}")
    workflows = dict(repository.workflows(revision))
    if not workflows and not style and not fields:      # as ever
        return
    if args["--dry-run"]:
        return show([{"path": path, "name": content["name"]} for path, content in workflows.items()], style, fields)
    answers = [galaxy.post("workflows", {"workflow": content}) for content in workflows.values()]
    show(answers, style, fields, plain=print_response, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
