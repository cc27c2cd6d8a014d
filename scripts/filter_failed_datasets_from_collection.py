#!/usr/bin/env python3
"""Split a collection into what is ok and what is not.

Usage:
  filter_failed_datasets_from_collection.py [options] URL KEY HISTORY_NAME COLLECTION_HID

Arguments:
  URL                the server, or - to look it up
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  HISTORY_NAME       the history's name, which no other of your histories may have
  COLLECTION_HID     the collection's number in the history

Options:
  --wait             until the collection's datasets have ended; else those that still run are not ok
  --timeout=SECONDS  how long to wait; as long as it takes unless given
  --format=FORMAT    print both new collections: table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES     only these fields of them, separated by commas, as a table unless --format is given
  -h, --help         show this

Makes the lists NAME (ok) and NAME (not ok) of the same datasets; not ok is every state but ok, and an empty file. In a list
of pairs, a pair is ok when both of its datasets are. A second run makes neither of them again.
  filter_failed_datasets_from_collection.py --wait --fields=id,hid,name,element_count - - "Run 12" 48
"""
import sys

from common import (
    FAILED,
    NON_TERMINAL_DATASET_STATES,
    ONE_SHOT,
    STILL_RUNNING,
    UNATTENDED,
    Galaxy,
    GalaxyError,
    arguments,
    backoff,
    int_option,
    output_options,
    report_error,
    run,
    show,
)

LONG = (10, 600)    # seconds for a connection and for an answer: 1,000 elements take Galaxy 26.1 up to 15


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    hid, wait, timeout = int_option(args, "COLLECTION_HID", 1), args["--wait"], int_option(args, "--timeout")
    style, fields = output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"], UNATTENDED if wait else ONE_SHOT)

    history = galaxy.find("histories", args["HISTORY_NAME"])["id"]
    path = f"histories/{history}/contents/dataset_collections"
    collection_id = numbered(galaxy, history, hid)
    for _ in backoff(timeout) if wait else ():
        about = galaxy.get(f"{path}/{collection_id}", {"view": "collection"})
        if about["populated_state"] != "new" and not set(about["elements_states"]) & set(NON_TERMINAL_DATASET_STATES):
            break
    collection = galaxy.get(f"{path}/{collection_id}", timeout=LONG)
    running = [one for one in datasets(collection["elements"]) if one["state"] in NON_TERMINAL_DATASET_STATES]
    name, kind = collection["name"], collection["collection_type"]
    if not collection["populated"]:
        why = collection["populated_state_message"] or "Galaxy still fills it: --wait waits for that"
        raise GalaxyError(f"collection {name!r} is not complete: {why}",
                      STILL_RUNNING if collection["populated_state"] == "new" else FAILED)
    if running and wait:
        raise GalaxyError(f"{len(running)} datasets of collection {name!r} still run after {timeout} s", STILL_RUNNING)
    if kind.split(":")[0] != "list":
        raise GalaxyError(f"collection {name!r} is of the type {kind}: only a list can be split")
    if running:
        report_error(f"{len(running)} datasets of collection {name!r} still run, so they are not ok: --wait waits for them")
    made = []
    for title, elements in zip((f"{name} (ok)", f"{name} (not ok)"), split(collection["elements"], kind)):
        data = {"name": title, "collection_type": kind, "element_identifiers": elements, "copy_elements": False}
        made.append(there_already(galaxy, history, data) or galaxy.post(path, data))
    show(made, style, fields, plain=lambda made: None, changed=True)


def numbered(galaxy, history, hid):
    """The id of the collection with the number `hid` in the history."""
    there = galaxy.get(f"histories/{history}/contents", {"v": "dev", "q": "hid-eq", "qv": hid})
    same = [one["id"] for one in there if one["history_content_type"] == "dataset_collection" and not one["deleted"]]
    if len(same) != 1:
        what = f"{len(same)} collections" if same else "no collection" if there else "not there"
        raise GalaxyError(f"number {hid} of history {history} is {what}")
    return same[0]


def datasets(elements):
    """All the datasets of a collection's elements, those of inner collections too."""
    for element in elements:
        if element["element_type"] == "dataset_collection":
            yield from datasets(element["object"]["elements"])
        else:
            yield element["object"]


def split(elements, kind):
    """The elements of a list of the type `kind` that are ok, and those that are not, as a new collection takes them."""
    ok, not_ok = [], []
    for element in elements:
        if kind.startswith("list:list"):
            inner = kind.partition(":")[2]
            for part, half in zip((ok, not_ok), split(element["object"]["elements"], inner)):
                if half:
                    part.append(nested(element["element_identifier"], inner, half))
        else:
            good = all(one["state"] == "ok" and one["file_size"] and not one["deleted"] for one in datasets([element]))
            (ok if good else not_ok).append(as_given(element))
    return ok, not_ok


def as_given(element):
    """An element as a new collection takes it."""
    name, inside = element["element_identifier"], element["object"]
    if element["element_type"] == "dataset_collection":
        return nested(name, inside["collection_type"], [as_given(one) for one in inside["elements"]])
    return {"name": name, "src": element["element_type"], "id": inside["id"]}


def nested(name, kind, elements):
    return {"name": name, "src": "new_collection", "collection_type": kind, "element_identifiers": elements}


def there_already(galaxy, history, data):
    """The history's collection that an earlier run made of `data`, None where there is none of that name."""
    there = galaxy.get(f"histories/{history}/contents", {"v": "dev", "q": "name-eq", "qv": data["name"]})
    same = [one for one in there if one["history_content_type"] == "dataset_collection" and not one["deleted"]]
    for one in same:
        collection = galaxy.get(f"histories/{history}/contents/dataset_collections/{one['id']}", timeout=LONG)
        if [as_given(element) for element in collection["elements"]] == data["element_identifiers"]:
            return collection
    if same:
        raise GalaxyError(f"number {same[0]['hid']} of the history is named {data['name']!r} and has other elements: rename or "
                      "delete it first")
    return None


if __name__ == "__main__":
    sys.exit(run(main))
