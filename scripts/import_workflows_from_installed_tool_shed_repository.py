#!/usr/bin/env python3
"""Import the workflows of a Tool Shed repository that is installed in Galaxy.

Usage:
  import_workflows_from_installed_tool_shed_repository.py [options] -a KEY -u URL -l URL -n NAME -o OWNER -r REV

Options:
  -a KEY, --api=KEY        your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -u URL, --url=URL        the Tool Shed, such as https://toolshed.g2.bx.psu.edu
  -l URL, --local=URL      the Galaxy server, or - to look it up
  -n NAME, --name=NAME     the repository
  -o OWNER, --owner=OWNER  its owner
  -r REV, --revision=REV   the installed revision, 12 hexadecimal digits
  --dry-run                show what would be done, change nothing
  --format=FORMAT          table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES           only these fields, separated by commas
  -h, --help               show this help
  --version                show the version

The workflows become yours, as new copies each time, with the tools of that revision. Without workflows in the repository
nothing happens.
  import_workflows_from_installed_tool_shed_repository.py -a - -u https://toolshed.g2.bx.psu.edu -l - -n NAME -o OWNER -r REV
"""
import sys

from common import Galaxy, GalaxyError, arguments, output_options, parse_id, print_response, run, show
from galaxy_api_scripts.tools.toolshed import INSTALLED, Repository


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    revision, output = parse_id(args["--revision"], "--revision"), output_options(args)
    repository = Repository(args["--url"], args["--owner"], args["--name"])
    galaxy = Galaxy(args["--api"], args["--local"])

    status = repository.record(galaxy, revision)["status"]
    if status != INSTALLED:
        raise GalaxyError(f"{repository}, revision {revision}, is not installed in {galaxy.base}: its status is {status}")
    workflows = dict(repository.workflows(revision))
    if not workflows and not any(output.values()):      # the old script printed nothing then
        return
    if args["--dry-run"]:
        return show([{"path": path, "name": content["name"]} for path, content in workflows.items()], **output)
    answers = [dict(galaxy.post("workflows", {"workflow": content})) for content in workflows.values()]
    show(answers, **output, plain=print_response, changed=True)


if __name__ == "__main__":
    sys.exit(run(main))
