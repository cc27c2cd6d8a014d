#!/usr/bin/env python3
"""Delete datasets; with --purge for good.

Usage:
  dataset_delete.py [options] KEY URL DATASET...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  DATASET            a dataset's id; - reads ids from standard input, one a line

Options:
  --purge            remove the bytes from the disk too, unless a copy keeps them, and wait until Galaxy has done so; this
                     can't be undone
  --timeout=SECONDS  stop waiting after this many seconds in all  [default: 3600]
  -n, --dry-run      show what would be done, change nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas: id, name, file_size (bytes; these three unless given), hid,
                     history_id, state, deleted, purged
  -h, --help         show this help
  --version          show the version

Prints a line for each dataset as soon as it is deleted (value, jsonl, csv, tsv), or if it was deleted before. One that
can't be deleted is reported on standard error, the others are deleted, and the exit status is 3. It is 4 when Galaxy has
not purged all in time. Standard input is read to its end before anything is deleted.
  dataset_delete.py --purge - - bbd44e69cb8906b5
Look at what failed in a history; without --dry-run it is deleted:
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
    report_error,
    run,
    show,
)
from galaxy_api_scripts.polling import IDS_PER_REQUEST, combine_exit_codes, fetch_datasets, in_batches, parse_ids

FIELDS = ["id", "name", "file_size", "hid", "history_id", "state", "deleted", "purged"]


def main(argv=None):
    args = arguments(__doc__, argv)
    ids, purge, dry_run = parse_ids(args["DATASET"], "DATASET"), args["--purge"], args["--dry-run"]
    timeout, output = int_option(args, "--timeout"), output_options(args, FIELDS)
    galaxy = Galaxy(args["KEY"], args["URL"])

    # Where Celery workers purge, Galaxy accepts the order even if it lets nobody purge.
    if purge and not galaxy.get("configuration").get("allow_user_dataset_purge", True):
        raise GalaxyError("the server lets nobody purge: its administrator can set allow_user_dataset_purge: true in "
                          "galaxy.yml; without --purge the datasets are deleted")
    codes = []
    rows = delete_datasets(galaxy, ids, purge, dry_run, timeout, codes)
    show(rows, output["format"], output["fields"] or FIELDS[:3])
    return combine_exit_codes(codes, ids)


def delete_datasets(galaxy, ids, purge, dry_run, timeout, codes):
    """Yield each dataset once it is deleted; the exit code of one that can't be deleted is added to `codes`."""
    changes, purging = {"deleted": True, "purged": purge}, {}
    for start in range(0, len(ids), IDS_PER_REQUEST):
        datasets = {}
        for _, dataset in fetch_datasets(galaxy, ids[start:start + IDS_PER_REQUEST], FIELDS, own=True):
            if isinstance(dataset, GalaxyError):
                codes.append(report_error(str(dataset), dataset.exit_code))
            elif dry_run or dataset["purged"] or (dataset["deleted"] and not purge):
                yield dataset
            else:
                datasets[dataset["id"]] = dataset
        for batch, answer in in_batches(lambda batch: delete_batch(galaxy, batch, purge), list(datasets)):
            errors = list_errors(batch, answer)
            for dataset_id in batch:
                if dataset_id in errors:
                    label = f"dataset {dataset_id} ({datasets[dataset_id]['name']})"
                    codes.append(report_error(f"{label}: {errors[dataset_id]}", FAILED))
                elif purge:
                    purging[dataset_id] = {**datasets[dataset_id], **changes}
                else:
                    yield {**datasets[dataset_id], **changes}
    for _ in galaxy.poll(timeout) if purging else ():
        for dataset_id, dataset in fetch_datasets(galaxy, list(purging), ["purged"]):
            if isinstance(dataset, GalaxyError) or dataset["purged"]:
                yield purging.pop(dataset_id)
        if not purging:
            return
    if purging:
        codes.append(report_error(f"{len(purging)} of {len(ids)} not purged after {timeout} s; Galaxy has the order, and "
                                  "purges them in its own time", STILL_RUNNING))


def delete_batch(galaxy, batch, purge):
    """Delete many datasets by one request; its answer lists those that it could not delete."""
    datasets = [{"id": dataset_id, "src": "hda"} for dataset_id in batch]
    return galaxy.delete("datasets", {"datasets": datasets, "purge": purge})


def list_errors(batch, answer):
    """`{id: why}` of the datasets that a request has not deleted."""
    if isinstance(answer, GalaxyError):
        return {batch[0]: answer}
    messages = {error["dataset"]["id"]: error["error_message"] for error in answer["errors"] or []}
    return {dataset_id: f"{message}: is its history archived or purged?" if "immutable" in message else message
            for dataset_id, message in messages.items()}


if __name__ == "__main__":
    sys.exit(run(main))
