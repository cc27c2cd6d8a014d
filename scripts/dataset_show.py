#!/usr/bin/env python3
"""Show what matters of datasets: state, size, hashes, and why one failed.

Usage:
  dataset_show.py [options] KEY URL DATASET...

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  DATASET          a dataset's id; - reads ids from standard input, one a line

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: also others that Galaxy has, as tags, uuid, peek
  -h, --help       show this

A single dataset's table has a line for each field, and its JSON is no list; the table of several has fewer fields.
file_size is in bytes, hashes are those of the bytes that Galaxy knows, misc_info is Galaxy's word on it. Of one in state
error there are also its job's exit_code and the end of its stderr. If some of several can't be shown, the exit status is 3.
  dataset_show.py - - bbd44e69cb8906b5
  dataset_show.py --format=value --fields=hashes - - bbd44e69cb8906b5
"""
import sys

from common import Galaxy, GalaxyError, arguments, output_options, parse_ids, report_error, run, show
from galaxy_api_scripts.polling import combine_exit_codes, fetch_datasets

FIELDS = ["id", "hid", "name", "history_id", "state", "misc_info", "extension", "dbkey", "file_size", "hashes",
          "create_time", "update_time", "deleted", "purged", "visible", "creating_job", "exit_code", "stderr"]
BRIEF = ["id", "hid", "name", "history_id", "state", "extension", "dbkey", "file_size", "misc_info"]
OURS = ("dbkey", "exit_code", "stderr")     # fields that are no dataset's in Galaxy
MOST = 2000     # letters of the standard error
NO_JOB = {"exit_code": None, "stderr": None}


def main(argv=None):
    args = arguments(__doc__, argv)
    wanted, (style, fields) = parse_ids(args["DATASET"], "DATASET"), output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    codes, several = [], len(wanted) != 1
    rows = described(galaxy, wanted, dict.fromkeys([*FIELDS, *fields]), codes)
    everything = style in ("json", "jsonl", "csv", "tsv", "value") or not several
    fields = fields or (FIELDS if everything else BRIEF)
    answer = rows if several else next(rows, None)
    if answer:
        show(answer, style, fields, upright=True)
    return combine_exit_codes(codes, wanted)


def described(galaxy, wanted, fields, codes):
    """What there is in the `fields` of each dataset; of one that there is none of, an exit code is added to `codes`."""
    keys = [field for field in fields if field not in OURS] + ["genome_build"]
    jobs = {}
    for _, dataset in fetch_datasets(galaxy, wanted, keys):
        if isinstance(dataset, GalaxyError):
            codes.append(report_error(str(dataset), dataset.exit_code))
            continue
        job = dataset.get("creating_job")
        if dataset["state"] != "error":
            job = None
        elif job not in jobs:
            jobs[job] = job_of(galaxy, job)
        hashes = {one["hash_function"]: one["hash_value"] for one in dataset.get("hashes") or []
                  if not one["extra_files_path"]}
        ours = {"dbkey": dataset.get("genome_build"), "hashes": hashes, **jobs.get(job, NO_JOB)}
        yield {**dict.fromkeys(FIELDS), **dataset, **ours}


def job_of(galaxy, job):
    """The exit code and the end of the standard error of a job, as far as we may see it."""
    try:
        about = galaxy.get(f"jobs/{job}", {"full": "true"}) if job else {}
    except GalaxyError as error:
        if error.status is None:
            raise
        return NO_JOB
    return {"exit_code": about.get("exit_code"), "stderr": (about.get("stderr") or "").strip()[-MOST:]}


if __name__ == "__main__":
    sys.exit(run(main))
