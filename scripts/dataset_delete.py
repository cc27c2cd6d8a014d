#!/usr/bin/env python3
"""Delete datasets, for good if so told.

Usage:
  dataset_delete.py [options] KEY URL DATASET...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  DATASET            a dataset's id; - reads ids from standard input, one a line

Options:
  --purge            from the disk too, unless a copy keeps the bytes; that can't be undone. Galaxy does so in its own time,
                     which is waited for
  --timeout=SECONDS  how long to wait for that  [default: 3600]
  -n, --dry-run      show what would be deleted, delete nothing
  --format=FORMAT    value, jsonl, table, json, csv, tsv or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas, of id, name, file_size, hid, history_id, state, deleted,
                     purged; id, name and file_size (bytes) unless given
  -h, --help         show this

Prints a line for each dataset as soon as it is deleted (value, jsonl, csv, tsv), also where it was before. One that can't
be is told on standard error, the others are deleted, and the exit status is 3. It is 4 when Galaxy has not purged all in
time. Standard input is read to its end before anything is deleted.
  dataset_delete.py --purge - - bbd44e69cb8906b5
What failed in a history, to look at first; without --dry-run it goes:
  dataset_list.py --state=error --format=value --fields=id - - "Run 12" | dataset_delete.py --dry-run - - -
"""
import sys

from common import (
    FAILED,
    STILL_RUNNING,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    parse_ids,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.polling import BATCH, combine_exit_codes, fetch_datasets, in_batches

FIELDS = ["id", "name", "file_size", "hid", "history_id", "state", "deleted", "purged"]


def main(argv=None):
    args = arguments(__doc__, argv)
    wanted, purge, dry_run = parse_ids(args["DATASET"], "DATASET"), args["--purge"], args["--dry-run"]
    timeout, (style, fields) = int_option(args, "--timeout"), output_options(args, FIELDS).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    # Where workers purge, Galaxy takes such an order without a word even if it lets nobody purge.
    if purge and not galaxy.get("configuration").get("allow_user_dataset_purge", True):
        raise GalaxyError("the server lets nobody purge: its administrator can set allow_user_dataset_purge: true in "
                      "galaxy.yml; without --purge the datasets are deleted")
    codes = []
    show(deleted(galaxy, wanted, purge, dry_run, timeout, codes), style, fields or FIELDS[:3])
    return combine_exit_codes(codes, wanted)


def deleted(galaxy, wanted, purge, dry_run, timeout, codes):
    """Each dataset once it is deleted; an exit code is added to `codes` for one that can't be."""
    done, purging = {"deleted": True, "purged": purge}, {}
    for start in range(0, len(wanted), BATCH):
        there = {}
        for _, about in fetch_datasets(galaxy, wanted[start:start + BATCH], FIELDS, own=True):
            if isinstance(about, GalaxyError):
                codes.append(report_error(str(about), about.exit_code))
            elif dry_run or about["purged"] or (about["deleted"] and not purge):
                yield about
            else:
                there[about["id"]] = about
        for part, answer in in_batches(lambda part: delete(galaxy, part, purge), list(there)):
            errors = refusals(part, answer)
            for dataset in part:
                if dataset in errors:
                    codes.append(report_error(f"dataset {dataset} ({there[dataset]['name']}): {errors[dataset]}", FAILED))
                elif purge:
                    purging[dataset] = {**there[dataset], **done}
                else:
                    yield {**there[dataset], **done}
    for _ in galaxy.poll(timeout) if purging else ():
        for dataset, about in fetch_datasets(galaxy, list(purging), ["purged"]):
            if isinstance(about, GalaxyError) or about["purged"]:
                yield purging.pop(dataset)
        if not purging:
            return
    if purging:
        codes.append(report_error(f"{len(purging)} of {len(wanted)} not purged after {timeout} s; Galaxy has the order, and "
                              "will see to it in its own time", STILL_RUNNING))


def delete(galaxy, part, purge):
    """One request for many datasets; what it can't delete is in the answer."""
    return galaxy.delete("datasets", {"datasets": [{"id": dataset, "src": "hda"} for dataset in part], "purge": purge})


def refusals(part, answer):
    """`{id: why}` of those that a request has not deleted."""
    if isinstance(answer, GalaxyError):
        return {part[0]: answer}
    words = {error["dataset"]["id"]: error["error_message"] for error in answer["errors"] or []}
    return {dataset: f"{said}: is its history archived or purged?" if "immutable" in said else said
            for dataset, said in words.items()}


if __name__ == "__main__":
    sys.exit(run(main))
