#!/usr/bin/env python3
"""Reset the metadata of all repositories that are installed in Galaxy from Tool Sheds.

Usage:
  reset_metadata_on_installed_repositories.py [options] -a KEY -u URL

Options:
  -a KEY, --api=KEY  an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -u URL, --url=URL  the Galaxy server, or - to look it up
  -n, --dry-run      show what would be done, change nothing
  -h, --help         show this help
  --version          show the version

Galaxy reads each repository's tools from its disk again. The exit status is 3 when it could not for some of them:
  reset_metadata_on_installed_repositories.py -a - -u -
"""
import json
import sys

from common import DONE, SOME_FAILED, Galaxy, arguments, print_response, report_error, run, show


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    galaxy = Galaxy(args["--api"], args["--url"])
    galaxy.require_admin("resetting metadata")
    if args["--dry-run"]:
        return show(galaxy.get("tool_shed_repositories"), fields=["id", "tool_shed", "owner", "name", "changeset_revision"])

    answer = galaxy.post("tool_shed_repositories/reset_metadata_on_installed_repositories", {})
    print_response(answer)
    failed = json.loads(answer)["unsuccessful_count"]       # Galaxy answers with JSON in a string
    return report_error(f"{failed} could not be reset: see the lines above", SOME_FAILED) if failed else DONE


if __name__ == "__main__":
    sys.exit(run(main))
