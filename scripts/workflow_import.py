#!/usr/bin/env python3
"""Import a workflow from a .ga or Format 2 file, a URL, or a path on the server.

Usage:
  workflow_import.py [options] KEY URL FILE

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  FILE             the workflow: a file on this machine, - for standard input, or an address (http, https), which this
                   machine fetches, without your key; an absolute path that does not exist here is a file on the server, and
                   needs an administrator's key

Options:
  --add_to_menu    also show it in the tool panel
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

Prints the new workflow only with --format or --fields, and on standard error the tools that the server lacks. Its id, for
workflow_execute.py:
  workflow_import.py --fields=id,name - - wet_days.ga
"""
import os
import re
import sys
from itertools import islice

from common import TRY_LATER, USAGE, Galaxy, GalaxyError, arguments, output_options, read_text, run, show
from galaxy_api_scripts.workflows.definition import import_payload, warn_missing_tools

LARGEST = 50    # MiB that are read from an address


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    file, output = args["FILE"], output_options(args)
    if not file:
        raise GalaxyError("FILE is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])

    if os.path.isabs(file) and not os.path.lexists(file):
        text, answer = "", import_from_server(galaxy, file)
    else:
        text = fetch_text(file) if re.match("https?://", file, re.IGNORECASE) else read_text(file)
        answer = galaxy.post("workflows", import_payload(text, "standard input" if file == "-" else file))
    if args["--add_to_menu"]:
        galaxy.put(f"workflows/{answer['id']}", {"show_in_tool_panel": True})
    show(answer, plain=lambda answer: None, changed=True, **output)
    warn_missing_tools(galaxy, answer["id"], text, file if os.path.isfile(file) else "")


def import_from_server(galaxy, path):
    """Galaxy's answer to the import of a file on the server."""
    try:
        return galaxy.post("workflows", {"from_path": path})
    except GalaxyError as error:
        if error.status == 403:
            raise GalaxyError(f"{path}: no such file on this machine, and importing a file on the server needs "
                              "an administrator's key") from None
        if error.status == 500:     # all that Galaxy 26.1 answers, whatever is wrong with the file
            raise GalaxyError(f"{path}: no such file on this machine, and Galaxy finds no workflow there on the server: "
                              f"{error}") from None
        raise


def fetch_text(url):
    """The text at an address. Your key does not go there: it is another server's as a rule."""
    site = Galaxy("anonymous", url.partition("?")[0])       # a key= in it is for that site, as it stands there
    try:
        answer = site.request("GET", url, allow_other_host=True, stream=True)
        content = b"".join(islice(answer.iter_content(2**20), LARGEST + 1))
    except GalaxyError as error:
        if error.status:
            raise GalaxyError(f"{url}: no workflow there: the answer is {error.status}", error.exit_code) from None
        raise
    except OSError:
        raise GalaxyError(f"{url}: the connection broke before the answer was whole", TRY_LATER) from None
    if len(content) > LARGEST * 2**20:
        raise GalaxyError(f"{url}: no workflow there: the answer is larger than {LARGEST} MiB")
    return read_text(url, content=content)


if __name__ == "__main__":
    sys.exit(run(main))
