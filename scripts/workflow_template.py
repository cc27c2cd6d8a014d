#!/usr/bin/env python3
"""Write a job file to fill in: all inputs of a workflow, as YAML.

Usage:
  workflow_template.py [options] KEY URL WORKFLOW

Arguments:
  KEY         your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL         the server, or - to look it up
  WORKFLOW    the workflow's id or exact name

Options:
  --to=FILE   where to write it; - is standard output  [default: -]
  --force     put it in the place of a file of that name
  -h, --help  show this

The form is planemo's: what begins with todo_ is to be replaced, an element's lines are to be repeated for each that a
collection has, and what is optional may be deleted. An input without a label of its own is called by its index, or its uuid.
  workflow_template.py --to=job.yml - - "Wet days by month"
"""
import sys

from common import Galaxy, arguments, one_line, run
from galaxy_api_scripts.files import check_writable, write_output
from galaxy_api_scripts.workflows.definition import export_workflow, find_workflow, input_details

FILE = {"class": "File", "path": "todo_test_data_path.ext"}


def main(argv=None):
    import yaml
    args = arguments(__doc__, argv)
    to, force = args["--to"], args["--force"]
    if to != "-":
        check_writable(to, force)
    galaxy = Galaxy(args["KEY"], args["URL"])

    about = find_workflow(galaxy, args["WORKFLOW"])
    inputs = input_details(export_workflow(galaxy, about["id"]))
    names = [name for one in inputs for name in (one["label"], one["index"])]
    parts = [f"# {one_line(about['name'])}, workflow {about['id']} on {galaxy.base}\n"]
    for one in inputs:
        name = next((one[key] for key in ("label", "index") if one[key] and names.count(one[key]) == 1),
                    one["uuid"] or one["index"])
        entry = yaml.safe_dump({name: placeholder(one)}, sort_keys=False, allow_unicode=True, width=1000)
        parts.append("".join(f"# {one_line(line)}\n" for line in comments(one)) + entry)
    write_output("\n".join(parts) + ("" if inputs else "{}\n"), to, force)


def comments(one):
    """What to know of an input before one fills it in."""
    kind = f"{one['kind']} ({one['collection_type']})" if one["collection_type"] else one["kind"]
    if one["datatypes"]:
        kind += f" of datatype {' or '.join(one['datatypes'])}"
    if one["optional"]:
        kind += ", optional"
    return [kind, *([one["annotation"]] if one["annotation"] else []),
            *([f"choices: {', '.join(map(str, one['choices']))}"] if one["choices"] else [])]


def placeholder(one):
    """What stands for the input's value until it is filled in."""
    if one["kind"] == "dataset":
        return dict(FILE)
    if one["kind"] == "collection":
        kind = (one["collection_type"] or "list").split(",")[0].strip()     # it may take several
        return {"class": "Collection", "collection_type": kind, "elements": elements(kind)}
    return "todo_param_value" if one["default"] is None else one["default"]


def elements(kind):
    """The elements of a collection of the type `kind`: a pair has two, all else one that stands for any number."""
    outer, _, inner = kind.partition(":")
    names = ["forward", "reverse"] if outer.startswith("paired") else ["todo_element_name"]
    if inner:
        return [{"class": "Collection", "type": inner, "identifier": name, "elements": elements(inner)} for name in names]
    return [{"class": "File", "identifier": name, "path": FILE["path"]} for name in names]


if __name__ == "__main__":
    sys.exit(run(main))
