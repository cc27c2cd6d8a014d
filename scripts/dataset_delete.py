#!/usr/bin/env python3
"""Delete datasets and collections; with --purge for good.

Usage:
  dataset_delete.py [options] KEY URL DATASET...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  DATASET            the id of a history's dataset, or hda:ID; hdca:ID, a collection; ldda:ID or lib:/LIBRARY/FOLDER/NAME, a
                     library's dataset; - reads such words from standard input, one a line

Options:
  --recursive        delete the datasets in collections too, which stay without it
  --purge            remove the bytes from the disk too, unless a copy keeps them, and wait until Galaxy has done so; this
                     can't be undone
  --timeout=SECONDS  stop waiting after this many seconds in all  [default: 3600]
  -n, --dry-run      show what would be done, change nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas: id, name, file_size (bytes; these three unless given), ref, hid,
                     history_id, state, deleted, purged
  -h, --help         show this help
  --version          show the version

Prints a line for each as soon as it is deleted (value, jsonl, csv, tsv), or if it was deleted before, with its ref in place
of the id if something is not a history's dataset; on a terminal it says before what it deletes. One that can't be deleted
is reported on standard error, the others are deleted, and the exit status is 3. It is 4 when Galaxy has not purged all in
time. Standard input is read to its end before anything is deleted. An id that is another user's dataset is refused.
  dataset_delete.py --purge - - bbd44e69cb8906b5
Look at what failed in a history; without --dry-run it is deleted:
  dataset_list.py --state=error --format=value --fields=ref - - "Run 12" | dataset_delete.py --dry-run - - -
"""
import sys

from common import (
    FAILED,
    STILL_RUNNING,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    eprint,
    int_option,
    one_line,
    output_options,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.datasets.collections import element_datasets
from galaxy_api_scripts.datasets.lookup import fetch_refs, parse_refs
from galaxy_api_scripts.libraries.contents import resolve_library_paths
from galaxy_api_scripts.polling import IDS_PER_REQUEST, combine_exit_codes, fetch_datasets, in_batches

FIELDS = ["id", "name", "file_size", "hid", "history_id", "state", "deleted", "purged", "ref"]


def main(argv=None):
    args = arguments(__doc__, argv)
    refs, purge, dry_run = parse_refs(args["DATASET"], "DATASET"), args["--purge"], args["--dry-run"]
    timeout, output = int_option(args, "--timeout"), output_options(args, FIELDS)
    kinds = {ref.partition(":")[0] if ":" in ref else "hda" for ref in refs}
    if purge and (kinds - {"hda", "hdca"} or ("hdca" in kinds and not args["--recursive"])):
        raise GalaxyError("--purge is for the datasets of histories, and for collections with --recursive", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"])

    # Where Celery workers purge, Galaxy accepts the order even if it lets nobody purge.
    if purge and not galaxy.get("configuration").get("allow_user_dataset_purge", True):
        raise GalaxyError("the server lets nobody purge: its administrator can set allow_user_dataset_purge: true in "
                          "galaxy.yml; without --purge the datasets are deleted")
    codes = []
    known = resolve_library_paths(galaxy, refs, codes)
    unknown = [""] * len(codes)
    if args["--recursive"]:
        known = list(dict.fromkeys(inner for ref in known for inner in with_elements(galaxy, ref)))
    rows = delete_datasets(galaxy, known, purge, dry_run, timeout, codes)
    show(rows, output["format"], output["fields"] or ["id" if kinds <= {"hda"} else "ref", "name", "file_size"])
    return combine_exit_codes(codes, [*known, *unknown])


def with_elements(galaxy, ref):
    """`ref`, after those of the datasets in it if it is a collection."""
    collection = galaxy.get_or_none(f"dataset_collections/{ref[5:]}") if ref.startswith("hdca:") else None
    elements = element_datasets(collection["elements"]) if collection else []
    return [*(f"hda:{dataset['id']}" for _, dataset in elements), ref]


def delete_datasets(galaxy, refs, purge, dry_run, timeout, codes):
    """Yield each dataset once it is deleted; the exit code of one that can't be deleted is added to `codes`."""
    changes, purging = {"deleted": True, "purged": purge}, {}
    for start in range(0, len(refs), IDS_PER_REQUEST):
        datasets, others = {}, []
        for _, thing in fetch_refs(galaxy, refs[start:start + IDS_PER_REQUEST], FIELDS[:-1], own=True):
            if isinstance(thing, GalaxyError):
                codes.append(report_error(str(thing), thing.exit_code))
                continue
            thing, is_dataset = {**dict.fromkeys(FIELDS), **thing}, thing["ref"].startswith("hda:")
            if dry_run or thing["purged" if purge and is_dataset else "deleted"] is True:
                yield thing
                continue
            if sys.stderr.isatty():
                history = f", number {thing['hid']} of history {thing['history_id']}" if thing["history_id"] else ""
                eprint(f"deleting {thing['ref']}: {one_line(str(thing['name']))}{history}")
            if is_dataset:
                datasets[thing["id"]] = thing
            else:
                others.append(thing)
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
        for thing in others:
            try:
                delete_other(galaxy, thing)
                yield {**thing, "deleted": True}
            except GalaxyError as error:
                codes.append(report_error(f"{thing['ref']} ({thing['name']}): {error}", error.exit_code))
    for _ in galaxy.poll(timeout) if purging else ():
        for dataset_id, dataset in fetch_datasets(galaxy, list(purging), ["purged"]):
            if isinstance(dataset, GalaxyError):
                label = f"dataset {dataset_id} ({purging.pop(dataset_id)['name']}): is it purged?"
                codes.append(report_error(f"{label} {dataset}", dataset.exit_code))
            elif dataset["purged"] is True:
                yield purging.pop(dataset_id)
        if not purging:
            return
    if purging:
        codes.append(report_error(f"{len(purging)} of {len(refs)} not purged after {timeout} s; Galaxy has the order, and "
                                  "purges them in its own time", STILL_RUNNING))


def delete_batch(galaxy, batch, purge):
    """Delete many datasets by one request; its answer lists those that it could not delete."""
    datasets = [{"id": dataset_id, "src": "hda"} for dataset_id in batch]
    return galaxy.delete("datasets", {"datasets": datasets, "purge": purge})


def delete_other(galaxy, thing):
    """Delete a collection, or a library's dataset."""
    if thing["ref"].startswith("hdca:"):
        galaxy.delete(f"histories/{thing['history_id']}/contents/dataset_collections/{thing['id']}")
    elif thing["library_dataset"]:
        galaxy.delete(f"libraries/datasets/{thing['library_dataset']}")
    else:
        raise GalaxyError("Galaxy deletes it by its other id only: ld:ID, or lib:/LIBRARY/FOLDER/NAME")


def list_errors(batch, answer):
    """`{id: why}` of the datasets that a request has not deleted."""
    if isinstance(answer, GalaxyError):
        return {batch[0]: answer}
    messages = {error["dataset"]["id"]: error["error_message"] for error in answer["errors"] or []}
    return {dataset_id: f"{message}: is its history archived or purged?" if "immutable" in message else message
            for dataset_id, message in messages.items()}


if __name__ == "__main__":
    sys.exit(run(main))
