#!/usr/bin/env python3
"""Split a list in a history into two new ones: the datasets that are ok, and the others.

Usage:
  filter_failed_datasets_from_collection.py [options] URL KEY HISTORY_NAME COLLECTION_HID

Arguments:
  URL                the server, or - to look it up
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  HISTORY_NAME       the history's name, which no other of your histories may have
  COLLECTION_HID     the collection's hid, its number in the history

Options:
  --wait             wait until the collection's datasets have ended; without it unfinished ones are not ok
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES     only these fields, separated by commas
  -h, --help         show this help
  --version          show the version

Creates the lists NAME (ok) and NAME (not ok) of the same datasets; not ok are all states but ok, and empty files. In a list
of pairs, a pair is ok if both of its datasets are. A second run creates neither again. With --format or --fields it prints
both.
  filter_failed_datasets_from_collection.py --wait --fields=id,hid,name,element_count - - "Run 12" 48
"""
import sys

from common import (
    FAILED,
    NON_TERMINAL_DATASET_STATES,
    ONE_SHOT,
    STILL_RUNNING,
    TERMINAL_JOB_STATES,
    UNATTENDED,
    Galaxy,
    GalaxyError,
    arguments,
    backoff,
    int_option,
    output_options,
    report_error,
    require_made,
    run,
    show,
)

LONG_TIMEOUT = (10, 600)    # seconds for the connection and for the answer: 1,000 elements take Galaxy 26.1 up to 15


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    hid, wait, timeout = int_option(args, "COLLECTION_HID", 1), args["--wait"], int_option(args, "--timeout")
    output = output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"], UNATTENDED if wait else ONE_SHOT)

    history = galaxy.find("histories", args["HISTORY_NAME"])["id"]
    path = f"histories/{history}/contents/dataset_collections"
    collection_id = find_collection(galaxy, history, hid)
    never = False
    for _ in backoff(timeout) if wait else ():
        about = galaxy.get(f"{path}/{collection_id}", {"view": "collection"})
        never, states = has_lost_jobs(about), about.get("elements_states")
        if states is None:      # Galaxy 25.0 and older
            whole = galaxy.get(f"{path}/{collection_id}", timeout=LONG_TIMEOUT)
            states = [dataset["state"] for dataset in iter_datasets(whole["elements"])]
        if never or (about["populated_state"] != "new" and set(states).isdisjoint(NON_TERMINAL_DATASET_STATES)):
            break
    collection = galaxy.get(f"{path}/{collection_id}", timeout=LONG_TIMEOUT)
    unfinished = [dataset for dataset in iter_datasets(collection["elements"])
                  if dataset["state"] in NON_TERMINAL_DATASET_STATES]
    name, kind = collection["name"], collection["collection_type"]
    if not collection["populated"]:
        reason = collection["populated_state_message"] or "Galaxy is still filling it: --wait waits for that"
        raise GalaxyError(f"collection {name!r} is not complete: {'its jobs have ended without it' if never else reason}",
                          STILL_RUNNING if collection["populated_state"] == "new" and not never else FAILED)
    if unfinished and wait and not never:
        raise GalaxyError(f"{len(unfinished)} datasets of collection {name!r} are unfinished after {timeout} s",
                          STILL_RUNNING)
    if kind.split(":")[0] != "list":
        raise GalaxyError(f"collection {name!r} is of the type {kind}: only a list can be split")
    if unfinished:
        why = "their jobs have ended without them" if never else "--wait waits for them"
        report_error(f"{len(unfinished)} datasets of collection {name!r} are unfinished, so they are not ok: {why}")
    collections = []
    for new_name, elements in zip((f"{name} (ok)", f"{name} (not ok)"), split(collection["elements"], kind)):
        payload = {"name": new_name, "collection_type": kind, "element_identifiers": elements, "copy_elements": False}
        collections.append(find_equal_collection(galaxy, history, payload) or
                           require_made(galaxy.post(path, payload), needs_id=True))
    show(collections, **output, plain=lambda _: None, changed=True)


def has_lost_jobs(about):
    """Whether all jobs of a collection have ended and some not well: what they have not made is never made."""
    jobs = {state for state, count in (about.get("job_state_summary") or {}).items() if count and state != "all_jobs"}
    return bool(jobs - {"ok", "skipped", "paused"}) and jobs <= set(TERMINAL_JOB_STATES)


def find_collection(galaxy, history, hid):
    """Return the id of the history's collection with that hid."""
    contents = galaxy.get(f"histories/{history}/contents", {"v": "dev", "q": "hid-eq", "qv": hid})
    ids = [item["id"] for item in contents if item["history_content_type"] == "dataset_collection" and not item["deleted"]]
    if len(ids) != 1:
        count = f"{len(ids)} collections" if ids else "no collection" if contents else "nothing"
        raise GalaxyError(f"history {history} has {count} with the hid {hid}")
    return ids[0]


def iter_datasets(elements):
    """Yield the datasets of a collection's elements, including those of inner collections."""
    for element in elements:
        if element["element_type"] == "dataset_collection":
            yield from iter_datasets(element["object"]["elements"])
        else:
            yield element["object"]


def split(elements, kind):
    """Return the elements of a list of the type `kind` that are ok, and the others, as identifiers for a new collection."""
    ok, not_ok = [], []
    for element in elements:
        if kind.startswith("list:list"):
            inner_kind = kind.partition(":")[2]
            for part, inner_part in zip((ok, not_ok), split(element["object"]["elements"], inner_kind)):
                if inner_part:
                    part.append(new_collection(element["element_identifier"], inner_kind, inner_part))
        else:
            is_ok = all(dataset["state"] == "ok" and dataset["file_size"] and not dataset["deleted"]
                        for dataset in iter_datasets([element]))
            (ok if is_ok else not_ok).append(as_identifier(element))
    return ok, not_ok


def as_identifier(element):
    """Return an element as an identifier for a new collection."""
    name, content = element["element_identifier"], element["object"]
    if element["element_type"] == "dataset_collection":
        return new_collection(name, content["collection_type"], [as_identifier(inner) for inner in content["elements"]])
    return {"name": name, "src": element["element_type"], "id": content["id"]}


def new_collection(name, kind, identifiers):
    return {"name": name, "src": "new_collection", "collection_type": kind, "element_identifiers": identifiers}


def find_equal_collection(galaxy, history, payload):
    """Return the collection that an earlier run created with the same payload, None if none has that name."""
    contents = galaxy.get(f"histories/{history}/contents", {"v": "dev", "q": "name-eq", "qv": payload["name"]})
    namesakes = [item for item in contents if item["history_content_type"] == "dataset_collection" and not item["deleted"]]
    for item in namesakes:
        collection = galaxy.get(f"histories/{history}/contents/dataset_collections/{item['id']}", timeout=LONG_TIMEOUT)
        if [as_identifier(element) for element in collection["elements"]] == payload["element_identifiers"]:
            return collection
    if namesakes:
        raise GalaxyError(f"the history has a collection {payload['name']!r} with other elements, hid "
                          f"{namesakes[0]['hid']}: rename or delete it first")
    return None


if __name__ == "__main__":
    sys.exit(run(main))
