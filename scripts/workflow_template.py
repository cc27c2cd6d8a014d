#!/usr/bin/env python3
"""Write a job file to fill in, with all inputs of a workflow (YAML).

Usage:
  workflow_template.py [options] KEY URL WORKFLOW

Arguments:
  KEY         your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL         the server, or - to look it up
  WORKFLOW    the workflow's id, exact name or page's address

Options:
  --to=FILE   the file to write; - is standard output  [default: -]
  --force     overwrite an existing file
  -h, --help  show this help
  --version   show the version

The form is planemo's. Replace what begins with todo_, repeat an element's lines for each element of a collection, and delete
optional inputs that you don't need. An input without a label of its own has its index, or its uuid, as its name.
  workflow_template.py --to=job.yml - - "Wet days by month"
"""
import sys

from common import Galaxy, arguments, one_line, redact, run
from galaxy_api_scripts.datasets.composite import composite_files
from galaxy_api_scripts.files import check_writable, write_output
from galaxy_api_scripts.workflows.definition import editor_view, export_workflow
from galaxy_api_scripts.workflows.lookup import find_workflow
from galaxy_api_scripts.workflows.parameters import describe_inputs

FILE = {"class": "File", "path": "todo_test_data_path.ext"}


def main(argv=None):
    args = arguments(__doc__, argv)
    import yaml  # before anything is asked, but not for --help
    to, force = args["--to"], args["--force"]
    if to != "-":
        check_writable(to, force)
    galaxy = Galaxy(args["KEY"], args["URL"])

    about = find_workflow(galaxy, args["WORKFLOW"])
    content, editor = export_workflow(galaxy, about["id"]), editor_view(galaxy, about["id"])
    inputs = describe_inputs(galaxy, content, editor)
    names = [name for details in inputs for name in (details["label"], details["index"])]
    parts = [f"# {one_line(about['name'])}, workflow {about['id']} on {redact(galaxy.base)}\n"]
    for details in inputs:
        name = next((details[key] for key in ("label", "index") if details[key] and names.count(details[key]) == 1),
                    details["uuid"] or details["index"])
        slots = [composite_files(galaxy, ext) for ext in details["datatypes"]]
        files = [file for file, _ in slots[0]] if all(slots) and slots else []
        entry = yaml.safe_dump({name: placeholder(details, files)}, sort_keys=False, allow_unicode=True, width=1000)
        parts.append("".join(f"# {one_line(line)}\n" for line in comments(details)) + entry)
    write_output("\n".join(parts) + ("" if inputs else "{}\n"), to, force)


def comments(details):
    """The lines above an input's placeholder: its kind and types, annotation and choices."""
    kind = f"{details['kind']} ({details['collection_type']})" if details["collection_type"] else details["kind"]
    if details["datatypes"]:
        kind += f" of datatype {' or '.join(details['datatypes'])}"
    if details["optional"]:
        kind += ", optional"
    if details["multiple"]:
        kind += ", several values"
    columns = ", ".join(f"{column.get('name')} ({column.get('type')}{', optional' if column.get('optional') else ''})"
                        for column in details["columns"])
    single = (details["collection_type"] or "").endswith("paired_or_unpaired")
    return [kind, *([details["annotation"]] if details["annotation"] else []), *([f"rows: {columns}"] if columns else []),
            *(["reads without mates are one element, unpaired"] if single else []),
            *([f"choices: {', '.join(map(str, details['choices']))}"] if details["choices"] else []),
            *(f"{name}: {details[name]}" for name in ("range", "pattern") if details[name])]


def placeholder(details, files=()):
    """The value of an input that is not filled in yet; `files` are those of the composite datatype that it takes."""
    if details["kind"] == "dataset":
        default = details["default"]
        if isinstance(default, dict) and default.get("class") == "File":      # goes back in as it is
            return {name: default[name] for name in ("class", "location", "filetype", "ext") if default.get(name)}
        return {"class": "File", "filetype": details["datatypes"][0], "composite_data": [
            f"todo_test_data_path.{file}" for file in files]} if files else dict(FILE)
    if details["kind"] == "collection":
        kind = (details["collection_type"] or "list").split(",")[0].strip()     # an input may take several types
        value = {"class": "Collection", "collection_type": kind, "elements": elements(kind, details["fields"])}
        if details["columns"]:
            value["rows"] = {"todo_element_name": ["todo_param_value" for _ in details["columns"]]}
        return value
    default = "todo_param_value" if details["default"] is None else details["default"]
    return [default] if details["multiple"] and not isinstance(default, list) else default


def elements(kind, fields):
    """The elements of a collection of the type `kind`: a record's fields, two of a pair, else one that stands for any
    number."""
    outer, _, inner = kind.partition(":")
    names = ["forward", "reverse"] if outer.startswith("paired") else ["todo_element_name"]
    if outer == "record" and fields:
        names = [field["name"] for field in fields]
    if inner:
        return [{"class": "Collection", "type": inner, "identifier": name, "elements": elements(inner, fields)}
                for name in names]
    return [{"class": "File", "identifier": name, "path": FILE["path"]} for name in names]


if __name__ == "__main__":
    sys.exit(run(main))
