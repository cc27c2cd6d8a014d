#!/usr/bin/env python3
"""List the datasets and collections of a history.

Usage:
  dataset_list.py [options] KEY URL HISTORY

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  HISTORY          the history's id, or its name, which no other of your histories may have

Options:
  --deleted        deleted ones too, and purged ones
  --hidden         hidden ones too, as those are that collections hold
  --state=STATES   only those in these states, separated by commas, such as error,paused
  --name=TEXT      only those of exactly this name
  --like=PATTERN   only those whose names are like PATTERN, where % stands for any text and _ for any character
  --limit=N        at most N of them
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

By default it lists the visible, undeleted ones, in the history's order. file_size is in bytes. ref, hda:ID or hdca:ID, is
what other scripts take: Galaxy's ids carry no type. Collections are left out with --state, and with --fields without ref.
Any field that Galaxy has can stand in --fields: create_time, genome_build, tags, misc_info, hashes, creating_job and more.
Whether upper and lower case are the same to --like is up to the server's database.
  dataset_list.py --state=error --fields=id,name,misc_info - - "Run 12"
All FASTQ files, and collections called like them, for another script:
  dataset_list.py --like=%.fastq.gz --format=value --fields=ref - - "Run 12" | dataset_delete.py --dry-run - - -
"""
import sys

from common import NON_TERMINAL_DATASET_STATES, USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show

FIELDS = ["ref", "hid", "name", "state", "extension", "file_size", "collection_type"]
ASKED = ["id", "hid", "name", "state", "extension", "file_size", "history_content_type", "collection_type",
         "populated_state", "elements_states"]
DATASET_STATES = (*NON_TERMINAL_DATASET_STATES, "ok", "empty", "error", "paused", "failed_metadata", "deferred", "discarded")
ORDER = "hid-asc,create_time-asc"   # copies and conversions may share a hid, and pages want one order


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, output = int_option(args, "--limit", 1), output_options(args)
    filters = {"state-in": parse_states(args["--state"]), "name-eq": args["--name"], "name-like": args["--like"],
               "deleted-eq": None if args["--deleted"] else "False", "visible-eq": None if args["--hidden"] else "True"}
    extra = [name for name in ("deleted", "visible") if filters[f"{name}-eq"] is None]
    is_table = output["format"] not in ("json", "jsonl", "csv", "tsv", "value")
    fields = output["fields"] or ([] if is_table else ["id"]) + FIELDS + extra
    if args["--state"] or "ref" not in fields:
        filters["history_content_type-eq"] = "dataset"
    galaxy = Galaxy(args["KEY"], args["URL"])

    history = galaxy.resolve("histories", args["HISTORY"])["id"]
    filters = {name: value for name, value in filters.items() if value is not None}
    datasets = galaxy.pages("datasets", {
        "history_id": history, "q": list(filters), "qv": list(filters.values()), "order": ORDER,
        "keys": ",".join(dict.fromkeys([*ASKED, *fields]))}, limit)
    show((describe(galaxy, thing) for thing in datasets), output["format"], fields)


def describe(galaxy, thing):
    """Return a dataset or collection with its ref and all fields."""
    # Of a dataset in somebody else's history that we may not see, Galaxy tells no more than the name and state.
    about = {**dict.fromkeys([*ASKED, *FIELDS]), **thing, "ref": f"hda:{thing['id']}"}
    if thing.get("history_content_type") == "dataset_collection":
        populated, known = thing.get("populated_state"), thing.get("elements_states")
        if known is None and populated == "ok":     # Galaxy 25.0 and older
            known = set(iter_states(galaxy.get(f"dataset_collections/{thing['id']}")["elements"]))
        states = [state for state in DATASET_STATES if state in (known or ())]
        about.update(ref=f"hdca:{thing['id']}", state=populated if populated != "ok" else ", ".join(states) or "ok")
    return about


def iter_states(elements):
    """Yield the states of the datasets in a collection, inner collections included."""
    for element in elements:
        inner = (element.get("object") or {}).get("elements")
        yield from [(element.get("object") or {}).get("state")] if inner is None else iter_states(inner)


def parse_states(text):
    """Return the states in `--state`, checked here because Galaxy does not say which there are."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in DATASET_STATES:
            raise GalaxyError(f"--state: there is no state {name!r}: expected some of {', '.join(DATASET_STATES)}", USAGE)
    return ",".join(names)


if __name__ == "__main__":
    sys.exit(run(main))
