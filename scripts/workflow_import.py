#!/usr/bin/env python3
"""Import a workflow from a .ga or Format 2 file, a URL, or a path on the server.

Usage:
  workflow_import.py [options] KEY URL FILE

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  FILE             the workflow: a file on this machine, - for standard input, or an address (http, https), which this
                   machine fetches, without your key; an absolute path that is not on this machine is the server's, and
                   needs an administrator's key

Options:
  --add_to_menu    list it in the tool panel too
  --format=FORMAT  print the new workflow: table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields of it, separated by commas, as a table unless --format is given
  -h, --help       show this

Prints nothing unless asked to, as it always has; tools that the server lacks are named on standard error. Its id, for
workflow_execute.py:
  workflow_import.py --fields=id,name - - wet_days.ga
"""
import os
import re
import sys
from itertools import islice

from common import TRY_LATER, USAGE, Galaxy, GalaxyError, arguments, decode_text, output_options, read_text, run, show
from galaxy_api_scripts.workflows.definition import import_payload, warn_missing_tools

LARGEST = 50    # MiB of a workflow at an address


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    file, in_menu, (style, fields) = args["FILE"], args["--add_to_menu"], output_options(args).values()
    if not file:
        raise GalaxyError("FILE is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])

    if os.path.isabs(file) and not os.path.lexists(file):
        answer = imported_on_the_server(galaxy, file)
    else:
        text = fetched(file) if re.match("https?://", file, re.IGNORECASE) else read_text(file)
        answer = galaxy.post("workflows", import_payload(text, "standard input" if file == "-" else file))
    if in_menu:
        galaxy.put(f"workflows/{answer['id']}", {"show_in_tool_panel": True})
    show(answer, style, fields, plain=lambda answer: None, changed=True)
    warn_missing_tools(galaxy, answer["id"])


def imported_on_the_server(galaxy, path):
    """Galaxy's answer to the import of a file of its own machine."""
    try:
        return galaxy.post("workflows", {"from_path": path})
    except GalaxyError as error:
        if error.status == 403:
            raise GalaxyError(f"{path}: no such file on this machine, and importing one of the server's needs an "
                          "administrator's key") from None
        if error.status == 500:     # whatever is wrong with the file, Galaxy 26.1 says no more
            raise GalaxyError(f"{path}: no such file on this machine, and Galaxy finds no workflow there on the server's: "
                          f"{error}") from None
        raise


def fetched(url):
    """The text at an address, which is another server's as a rule, so it is asked as nobody."""
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
    return decode_text(content, url)


if __name__ == "__main__":
    sys.exit(run(main))
