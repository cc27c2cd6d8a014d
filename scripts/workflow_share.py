#!/usr/bin/env python3
"""Share a workflow with users, with those who have its link, or with everybody, and make sure that it is so.

Usage:
  workflow_share.py [options] KEY URL WORKFLOW WITH...

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  WORKFLOW         your workflow: an id, an exact name, or its page's address
  WITH             a user's e-mail address, link (for all who have its address) or everybody (it is published)

Options:
  --stop           stop sharing it with these (without its link it is not published either)
  -n, --dry-run    show what would be done, change nothing
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: id, name, users, link, published, address
  -h, --help       show this help
  --version        show the version

Those with whom the workflow is already shared stay. Prints how it is shared now, as read back from Galaxy, with the address
to hand over. Exits with 0 only if it is shared as asked, and with 3 if that holds for some of WITH only.
  workflow_share.py - - "Variant calling" pi@example.org
  workflow_share.py --format=value --fields=address - - "Variant calling" link
"""
import sys

from common import DONE, Galaxy, GalaxyError, arguments, output_options, run, show
from galaxy_api_scripts.sharing import WorkflowSharing, parse_audience
from galaxy_api_scripts.workflows.lookup import find_workflow

FIELDS = ["id", "name", "users", "link", "published", "address"]


def main(argv=None):
    args = arguments(__doc__, argv)
    audience, stop, dry_run = parse_audience(args["WITH"]), args["--stop"], args["--dry-run"]
    output = output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"])

    galaxy.current_user()
    workflow = find_workflow(galaxy, args["WORKFLOW"])
    if workflow.get("deleted"):
        raise GalaxyError(f"workflow {workflow['id']} ({workflow['name']}) is deleted: undelete it in Galaxy, or name "
                          "another")
    sharing = WorkflowSharing(galaxy, workflow["id"])
    row = sharing.preview(audience, stop)
    if not dry_run:
        (sharing.stop if stop else sharing.share)(audience)
        row = sharing.row
    show(row, output["format"], output["fields"] or FIELDS, changed=not dry_run, upright=True)
    return DONE


if __name__ == "__main__":
    sys.exit(run(main))
