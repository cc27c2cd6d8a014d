#!/usr/bin/env python3
"""Show what matters of datasets: state, size, hashes, and why one failed.

Usage:
  dataset_show.py [options] KEY URL DATASET...

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  DATASET          the id of a history's dataset; hda:ID, which may be another user's; hdca:ID, a collection; ldda:ID or
                   lib:/LIBRARY/FOLDER/NAME, a library's dataset; - reads such words from standard input, one a line

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas; Galaxy's other ones too, such as tags, uuid, peek
  -h, --help       show this help
  --version        show the version

The table of a single dataset has a line for each field, its JSON is an object; the table of several has fewer fields.
file_size is in bytes; hashes are those that Galaxy knows of the bytes; misc_info is Galaxy's message about it. A dataset in
state error also has its job's exit_code and the end of its stderr. A collection's misc_info counts its datasets by state.
Exits with 3 if some of several can't be shown.
  dataset_show.py - - bbd44e69cb8906b5
  dataset_show.py --format=value --fields=hashes - - bbd44e69cb8906b5
"""
import sys

from common import Galaxy, GalaxyError, arguments, output_options, report_error, run, show
from galaxy_api_scripts.datasets.lookup import fetch_refs, parse_refs
from galaxy_api_scripts.invocations.jobs import job_stderr
from galaxy_api_scripts.libraries.contents import resolve_library_paths
from galaxy_api_scripts.polling import combine_exit_codes

FIELDS = ["id", "hid", "name", "history_id", "state", "misc_info", "extension", "dbkey", "file_size", "hashes",
          "create_time", "update_time", "deleted", "purged", "visible", "creating_job", "exit_code", "stderr", "ref"]
TABLE_FIELDS = ["id", "hid", "name", "history_id", "state", "extension", "dbkey", "file_size", "misc_info"]
ADDED_FIELDS = ("dbkey", "exit_code", "stderr", "ref")      # which Galaxy's datasets don't have
COLLECTION_FIELDS = ["ref", "hid", "name", "history_id", "state", "misc_info", "collection_type", "element_count"]


def main(argv=None):
    args = arguments(__doc__, argv)
    refs, output = parse_refs(args["DATASET"], "DATASET"), output_options(args)
    style, fields = output["format"], output["fields"]
    galaxy = Galaxy(args["KEY"], args["URL"])

    codes, is_single = [], len(refs) == 1
    rows = describe_datasets(galaxy, resolve_library_paths(galaxy, refs, codes), dict.fromkeys([*FIELDS, *fields]), codes)
    kinds = {ref.partition(":")[0] if ":" in ref else "hda" for ref in refs}
    default = FIELDS if is_single or style in ("json", "jsonl", "csv", "tsv", "value") else TABLE_FIELDS
    if kinds == {"hdca"}:
        default = COLLECTION_FIELDS
    elif kinds != {"hda"} and default is TABLE_FIELDS:
        default = ["ref", *TABLE_FIELDS[1:]]
    answer = next(rows, None) if is_single else rows
    if answer:
        show(answer, style, fields or default, upright=True)
    return combine_exit_codes(codes, refs)


def describe_datasets(galaxy, refs, fields, codes):
    """Yield each dataset with these `fields`; the exit code of one that can't be shown is added to `codes`."""
    keys = [field for field in fields if field not in ADDED_FIELDS] + ["genome_build"]
    jobs = {}
    for _, dataset in fetch_refs(galaxy, refs, keys):
        if isinstance(dataset, GalaxyError):
            codes.append(report_error(str(dataset), dataset.exit_code))
            continue
        job = dataset.get("creating_job") if dataset["state"] == "error" else None
        if job not in jobs:
            about = galaxy.get_or_none(f"jobs/{job}", {"full": "true"}) if job else None
            jobs[job] = {"exit_code": about and about.get("exit_code"), "stderr": about and job_stderr(about)}
        hashes = {entry["hash_function"]: entry["hash_value"] for entry in dataset.get("hashes") or []
                  if not entry["extra_files_path"]}
        yield {**dict.fromkeys(FIELDS), **dataset, "dbkey": dataset.get("genome_build"), "hashes": hashes, **jobs[job]}


if __name__ == "__main__":
    sys.exit(run(main))
