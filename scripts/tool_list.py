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
  --all            also those that the panel does not show: older versions, converters, Galaxy's own
  --limit=N        at most N of them
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas  [default: id,name,version,section,description]
  -h, --help       show this help
  --version        show the version

Galaxy has more fields, such as tool_shed_repository, labels and xrefs. tool_show.py shows what one of the tools takes.
  tool_list.py --search="sort lines" - -
  tool_list.py --section="Text Manipulation" --fields=id,version - -
"""
import itertools
import sys

from common import Galaxy, GalaxyError, arguments, int_option, output_options, run, show


def main(argv=None):
    args = arguments(__doc__, argv)
    search, section, limit = args["--search"], args["--section"], int_option(args, "--limit", 1)
    output = output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    in_panel = not args["--all"] and not search
    tools = list_tools(galaxy.get("tools", {"in_panel": "true" if in_panel else "false"}))
    if search:
        by_id = {tool["id"]: tool for tool in tools}
        tools = [by_id[tool_id] for tool_id in galaxy.get("tools", {"q": search}) if tool_id in by_id]
    if section:
        sections = dict.fromkeys(tool["section"] for tool in tools if tool["section"])
        if section not in sections and not search:
            raise GalaxyError(f"--section: there is no section {section!r}: there are {', '.join(sections)}")
        tools = [tool for tool in tools if tool["section"] == section]
    show(itertools.islice(tools, limit), **output)


def list_tools(parts):
    """The tools of Galaxy's answer, which has them in sections of the panel or one by one, with `section`."""
    if not isinstance(parts, list):
        raise GalaxyError("Galaxy's answer is no list of tools")
    tools = [tool for part in parts for tool in part.get("elems", [part])]
    if tools and not any("version" in tool for tool in tools):
        raise GalaxyError("Galaxy's answer has no tools")
    # Labels and workflows of the panel have no version.
    return [{**tool, "section": tool.get("panel_section_name")} for tool in tools if "version" in tool]


if __name__ == "__main__":
    sys.exit(run(main))
