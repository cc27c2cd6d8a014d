#!/usr/bin/env python3
"""Show one of a server's operations: what it does, what it takes, what comes back, and the line to type.

Usage:
  route_show.py [options] KEY URL METHOD PATH

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              the server, or - to look it up
  METHOD           GET, POST, PUT, DELETE, PATCH or HEAD
  PATH             as route_list.py shows it, or an address with ids in it

Options:
  --inside=FIELD   the fields inside this field of the body, such as targets or targets.elements
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

A field NAME.INNER is one inside NAME. Who may send it is told as far as it is known; `users` may for what is theirs, or is
shared with them. With --inside, --format or --fields only the fields are printed, as field, in, type, required, default,
choices and about.
  route_show.py - - PUT '/api/histories/{history_id}/share_with_users'
  route_show.py --inside=targets - - POST tools/fetch
"""
import re
import sys

from common import Galaxy, arguments, output_options, run, show
from galaxy_api_scripts.routes.fields import FIELD_COLUMNS, answer_rows, command_line, field_rows, inner_rows
from galaxy_api_scripts.routes.openapi import api_path, fetch_operations, find_operation


def main(argv=None):
    args = arguments(__doc__, argv)
    method, inside, output = args["METHOD"].upper(), args["--inside"], output_options(args, FIELD_COLUMNS)
    galaxy = Galaxy(args["KEY"], args["URL"])

    path = api_path(galaxy, args["PATH"])
    operation = find_operation(fetch_operations(galaxy), method, path)
    rows = inner_rows(operation, inside) if inside else field_rows(operation)
    if inside or any(output.values()):
        show(rows if output["format"] in ("json", "jsonl") else list(map(for_people, rows)), **output)
        return
    print(f"{operation.method} {operation.path}\n{operation.summary}")
    if operation.description not in ("", operation.summary):
        print(f"\n{operation.description}")
    print(f"\nWho may: {operation.who}\n")
    if rows:
        show_filled(map(for_people, rows))
        print()
    kind, answer = answer_rows(operation)
    print(f"Comes back: {kind}")
    if answer:
        print()
        show_filled(answer)
    print(f"\n{command_line(operation, path) or f'None of the verbs sends {method}.'}")


def for_people(row):
    """A row with words in place of JSON."""
    default = row["default"]
    return {**row, "required": "yes" if row["required"] else "", "choices": ", ".join(map(str, row["choices"])),
            "default": None if default in (None, [], {}) else default}


def show_filled(rows):
    """Print a table of rows, with the first sentence on each field, and without columns that are empty."""
    rows = [{**row, "about": re.split(r"(?<=\w\w)[.:] ", row["about"])[0]} for row in rows]
    show(rows, fields=[name for name in rows[0] if any(row[name] not in ("", None) for row in rows)])


if __name__ == "__main__":
    sys.exit(run(main))
