#!/usr/bin/env python3
"""Export a workflow as a file that Galaxy imports, or as a diagram of its steps.

Usage:
  workflow_export.py [options] KEY URL WORKFLOW

Arguments:
  KEY            your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL            the server, or - to look it up
  WORKFLOW       the workflow's id, exact name or page's address

Options:
  --to=FILE      the file to write; - is standard output  [default: -]
  --style=STYLE  ga (JSON), format2 (YAML), or a diagram: mermaid or text; unless given, as FILE ends (.ga, .json, .yml,
                 .yaml, .mmd, .mermaid, .txt), ga on standard output
  --force        overwrite an existing file
  -h, --help     show this help
  --version      show the version

In the text diagram, o is an input and * a step; its output runs down its column to the steps that read it.
  workflow_export.py --to=wet_days.ga - - "Wet days by month"
  workflow_export.py --style=text - - 85a07f4bbdb2c898
Every night, into a repository:
  cd /data/workflows && workflow_export.py --force --to=rna.gxwf.yml - - "RNA-Seq" && git commit -qam "rna"
"""
import json
import os
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, run
from galaxy_api_scripts.files import check_writable, write_output
from galaxy_api_scripts.workflows.definition import export_workflow
from galaxy_api_scripts.workflows.diagram import mermaid_diagram, text_diagram
from galaxy_api_scripts.workflows.lookup import find_workflow

STYLES = {"ga": (".ga", ".json"), "format2": (".yml", ".yaml"), "mermaid": (".mmd", ".mermaid"), "text": (".txt",)}


def main(argv=None):
    args = arguments(__doc__, argv)
    to, force = args["--to"], args["--force"]
    style = args["--style"] or style_of(to)
    if style not in STYLES:
        raise GalaxyError(f"--style={style}: expected one of {', '.join(STYLES)}", USAGE)
    if to != "-":
        check_writable(to, force)
    galaxy = Galaxy(args["KEY"], args["URL"])

    workflow_id = find_workflow(galaxy, args["WORKFLOW"])["id"]
    if style in ("ga", "format2"):
        answer = galaxy.request("GET", f"workflows/{workflow_id}/download", params={"style": style})
        text = answer.content.decode().rstrip() + "\n"
        if not is_workflow(text, style):
            raise GalaxyError(f"GET {answer.url}: the answer is not a workflow")
    else:
        draw = mermaid_diagram if style == "mermaid" else text_diagram
        text = draw(export_workflow(galaxy, workflow_id))
    write_output(text, to, force)


def is_workflow(text, style):
    if style != "ga":
        return "GalaxyWorkflow" in text
    try:
        return isinstance(json.loads(text)["steps"], dict)
    except (LookupError, RecursionError, TypeError, ValueError):
        return False


def style_of(to):
    """The style that a file's ending stands for."""
    if to == "-":
        return "ga"
    ending = os.path.splitext(to)[1].lower()
    for style, endings in STYLES.items():
        if ending in endings:
            return style
    raise GalaxyError(f"--to={to}: its ending names no style: give --style, one of {', '.join(STYLES)}", USAGE)


if __name__ == "__main__":
    sys.exit(run(main))
