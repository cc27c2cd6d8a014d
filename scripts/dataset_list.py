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
  --limit=N        no more than N
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: any that Galaxy has, as create_time, update_time, genome_build,
                   tags, misc_info, hashes, creating_job
  -h, --help       show this

Without more it lists what a person sees in the history, in its order: neither deleted nor hidden. file_size is in bytes.
Whether upper and lower case are the same to --like is up to the server's database.
  dataset_list.py --state=error --fields=id,name,misc_info - - "Run 12"
The ids of all FASTQ files, for another script:
  dataset_list.py --like=%.fastq.gz --format=value --fields=id - - "Run 12" | dataset_delete.py --dry-run - - -
"""
import sys

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, output_options, run, show
from galaxy_api_scripts.polling import DATASET_STATES

FIELDS = ["id", "hid", "name", "state", "extension", "file_size"]
ORDER = "hid-asc,create_time-asc"   # copies and conversions may share a hid, and pages want one order


def main(argv=None):
    args = arguments(__doc__, argv)
    limit, (style, fields) = int_option(args, "--limit", 1), output_options(args).values()
    only = {"history_content_type-eq": "dataset", "state-in": states(args["--state"]), "name-eq": args["--name"],
            "name-like": args["--like"], "deleted-eq": None if args["--deleted"] else "False",
            "visible-eq": None if args["--hidden"] else "True"}
    fields = fields or FIELDS + [name for name in ("deleted", "visible") if only[f"{name}-eq"] is None]
    galaxy = Galaxy(args["KEY"], args["URL"])

    history = galaxy.resolve("histories", args["HISTORY"])["id"]
    filters = {name: value for name, value in only.items() if value is not None}
    listed = galaxy.pages("datasets", {
        "history_id": history, "q": list(filters), "qv": list(filters.values()), "order": ORDER,
        "keys": ",".join([*FIELDS, "history_content_type", *fields])}, limit)
    # Of what we may not see, in somebody else's history, Galaxy tells no more than the name and state.
    show(({**dict.fromkeys(FIELDS), **dataset} for dataset in listed), style, fields)


def states(text):
    """The states in `--state`, for Galaxy, which does not say which there are."""
    names = None if text is None else [name.strip() for name in text.split(",")]
    for name in names or []:
        if name not in DATASET_STATES:
            raise GalaxyError(f"--state: there is no state {name!r}: there are {', '.join(DATASET_STATES)}", USAGE)
    return names and ",".join(names)


if __name__ == "__main__":
    sys.exit(run(main))
