#!/usr/bin/env python3
"""List the datasets of a history.

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

By default it lists the visible, undeleted datasets, in the history's order. file_size is in bytes.
Any field that Galaxy has can stand in --fields: create_time, genome_build, tags, misc_info, hashes, creating_job and more.
Whether upper and lower case are the same to --like is up to the server's database.
  dataset_list.py --state=error --fields=id,name,misc_info - - "Run 12"
The ids of all FASTQ files, for another script:
  dataset_list.py --like=%.fastq.gz --format=value --fields=id - - "Run 12" | dataset_delete.py --dry-run - - -
"""
import sys

from common import DATASET_STATES, USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show

FIELDS = ["id", "hid", "name", "state", "extension", "file_size"]
ORDER = "hid-asc,create_time-asc"   # copies and conversions may share a hid, and pages want one order


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, output = int_option(args, "--limit", 1), output_options(args)
    filters = {"history_content_type-eq": "dataset", "state-in": parse_states(args["--state"]), "name-eq": args["--name"],
               "name-like": args["--like"], "deleted-eq": None if args["--deleted"] else "False",
               "visible-eq": None if args["--hidden"] else "True"}
    extra = [name for name in ("deleted", "visible") if filters[f"{name}-eq"] is None]
    fields = output["fields"] or FIELDS + extra
    galaxy = Galaxy(args["KEY"], args["URL"])

    history = galaxy.resolve("histories", args["HISTORY"])["id"]
    filters = {name: value for name, value in filters.items() if value is not None}
    datasets = galaxy.pages("datasets", {
        "history_id": history, "q": list(filters), "qv": list(filters.values()), "order": ORDER,
        "keys": ",".join([*FIELDS, "history_content_type", *fields])}, limit)
    # Of a dataset in somebody else's history that we may not see, Galaxy tells no more than the name and state.
    show(({**dict.fromkeys(FIELDS), **dataset} for dataset in datasets), output["format"], fields)


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
