#!/usr/bin/env python3
"""List the tools that a server has.

Usage:
  tool_list.py [options] KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              the server, or - to look it up

Options:
  --search=TEXT    only those that Galaxy's own search finds, the best first
  --section=NAME   only those in this section of the tool panel
  --all            those too that the panel does not show: older versions, converters, Galaxy's own
  --limit=N        no more than N
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: any that Galaxy has, as tool_shed_repository, labels, xrefs
  -h, --help       show this

tool_show.py says what one of them takes.
  tool_list.py --search="sort lines" - -
  tool_list.py --section="Text Manipulation" --fields=id,version - -
"""
import itertools
import sys

from common import Galaxy, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.tools import request

FIELDS = ["id", "name", "version", "section", "description"]


def main(argv=None):
    args = arguments(__doc__, argv)
    search, section, everything = args["--search"], args["--section"], args["--all"]
    limit, (style, fields) = int_option(args, "--limit", 1), output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    listed = list(request.list_all_tools(galaxy) if everything or search else request.list_panel_tools(galaxy))
    if search:
        known = {tool["id"]: tool for tool in listed}
        listed = [known[tool] for tool in galaxy.get("tools", {"q": search}) if tool in known]
    if section:
        there = dict.fromkeys(tool["section"] for tool in listed if tool["section"])
        if section not in there and not search:
            raise GalaxyError(f"--section: there is no section {section!r}: there are {', '.join(there)}")
        listed = [tool for tool in listed if tool["section"] == section]
    show(itertools.islice(listed, limit), style, fields or FIELDS)


if __name__ == "__main__":
    sys.exit(run(main))
