#!/usr/bin/env python3
"""Write a list of the tools that are installed from Tool Sheds, which tool_install.py takes.

Usage:
  tool_installed.py [options] KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up

Options:
  --to=FILE        write the list there, whole or not at all; by default on standard output
  --force          overwrite an existing file
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style; without it and --fields YAML
  --fields=NAMES   only these fields, separated by commas: owner, name, revision, section, id, tool_shed
  -h, --help       show this help
  --version        show the version

The list has each repository's owner, name, revisions, Tool Shed, and the section of the tool panel that has its tools, as
ephemeris reads it. To have the same tools on another server:
  tool_installed.py - - > tools.yml
  tool_install.py @other - tools.yml
"""
import sys

from common import DONE, USAGE, Galaxy, GalaxyError, arguments, output_options, run, show
from galaxy_api_scripts.files import write_output
from galaxy_api_scripts.tools.installed import Installed, key_of
from galaxy_api_scripts.tools.repository_list import dump_list

FIELDS = ["owner", "name", "revision", "section", "id", "tool_shed"]


def main(argv=None):
    args = arguments(__doc__, argv)
    to, output = args["--to"], output_options(args, FIELDS)
    if to and any(output.values()):
        raise GalaxyError("--to writes YAML, so it takes neither --format nor --fields", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])

    galaxy.current_user()
    installed = Installed(galaxy)
    sections = installed.sections()
    records = [record for records in installed.repositories.values() for record in records]

    def section_of(record):
        return sections.get((*key_of(record), record["changeset_revision"]), "")

    if any(output.values()):
        show([{**dict.fromkeys(FIELDS), **record, "revision": record["changeset_revision"],
               "section": section_of(record) or None} for record in records],
             output["format"], output["fields"] or FIELDS)
    else:
        write_output(dump_list(records, section_of, installed.sheds), to or "-", args["--force"])
    return DONE


if __name__ == "__main__":
    sys.exit(run(main))
