#!/usr/bin/env python3
"""Make a data library, or fill one, from a YAML file that says what comes from where.

Usage:
  fetch_to_library.py [options] -u URL -a KEY FILE

Arguments:
  FILE             a YAML or JSON file, - for standard input

Options:
  -u, --url=URL    the server, or - to look it up
  -a, --api=KEY    your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -n, --dry-run    show what would be sent, send nothing
  --format=FORMAT  print the answer as table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields of the answer, separated by commas, as a table unless --format is given
  -h, --help       show this

The file has a destination, and nested items, each with its source:
  destination: {type: library, name: Genomes, description: Where from}
  items:
  - name: a folder
    items:
    - {src: url, url: "https://example.org/yeast.fa.gz", name: yeast.fa.gz, ext: fasta.gz, info: R64}

The destination {type: library, name: ...} makes a new library at each run, even where one has that name, and takes an
administrator's key; {type: library_folder, library_folder_id: ID}, the ID without its F, unlike in the other scripts, fills
a folder that is there. A new history is made, which the job belongs to; what was fetched is in the library when that has
ended.
  fetch_to_library.py -u - -a - genomes.yml
"""
import json
import sys
from contextlib import suppress

from common import USAGE, Galaxy, GalaxyError, arguments, output_options, parse_id, print_request, read_text, run, show
from galaxy_api_scripts.datasets.upload import post_fetch
from galaxy_api_scripts.libraries.contents import folder_in_use, open_folder


def main(argv=None):
    args = arguments(__doc__, argv)
    target, (style, fields) = described(args["FILE"]), output_options(args).values()
    galaxy = Galaxy(args["--api"], args["--url"])

    if args["--dry-run"]:
        print_request("POST", galaxy.url_for("tools/fetch"), {"targets": [target]}, style)
        return
    check_allowed(galaxy, target["destination"])
    history = galaxy.post("histories", {"name": f"fetch_to_library.py {args['FILE']}"})["id"]
    try:
        answer = post_fetch(galaxy, history, [target])
    except GalaxyError as error:
        if not error.lost:      # else its job may be at work there
            with suppress(GalaxyError):
                galaxy.delete(f"histories/{history}")
        raise
    show(answer, style, fields, plain=lambda answer: print(json.dumps(answer)), changed=True)


def check_allowed(galaxy, destination):
    """Refuse a destination that is not for this key's user: Galaxy 26.1 lets everybody fill every library folder."""
    if destination["type"] == "library":
        galaxy.require_admin("making a library")
    elif destination["type"] == "library_folder":
        folder = parse_id(f"F{destination.get('library_folder_id')}", "library_folder_id")
        library = galaxy.get(f"folders/{folder}")["parent_library_id"]
        open_folder(galaxy, folder_in_use(galaxy, library, folder), library)


def described(name):
    """What the file says, once it is certain that it is a description of this kind."""
    import yaml
    try:
        target = yaml.safe_load(read_text(name))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise GalaxyError(f"{name}: not YAML{f', line {mark.line + 1}' if mark else ''}", USAGE) from None
    if not isinstance(target, dict):
        raise GalaxyError(f"{name}: a mapping with destination and items is wanted", USAGE)
    destination = target.get("destination")
    if not isinstance(destination, dict) or not destination.get("type"):
        raise GalaxyError(f"{name}: no destination in it with a type, such as {{type: library, name: NAME}}", USAGE)
    items = target.get("items", target.get("elements"))
    if not (isinstance(items, list) and items or target.get("elements_from")):
        raise GalaxyError(f"{name}: no list of items in it", USAGE)
    return json.loads(json.dumps(target, default=str))      # a date without quotes is a date to YAML


if __name__ == "__main__":
    sys.exit(run(main))
