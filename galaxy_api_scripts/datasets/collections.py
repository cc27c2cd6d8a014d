"""Elements of collections: what they are called, how Galaxy takes them, and whether they arrived."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from common import NON_TERMINAL_DATASET_STATES, STILL_RUNNING, TERMINAL_JOB_STATES, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Checkpoint
from galaxy_api_scripts.datasets.sources import Source, pair_reads, stem
from galaxy_api_scripts.datasets.target_history import last_hid

COLLECTION_TYPES = ("list", "paired", "list:paired")
MAX_NAME_LENGTH = 219       # characters of an element's names together: over more, the job of Galaxy 26.1 fails
LONG = (10, 600)    # seconds for a connection and for an answer: 1,000 elements take Galaxy 26.1 up to 15

# what an element is called, the outermost first: ("s1", "forward"), ("s1",) in a plain list
Identifiers = tuple[str, ...]


@dataclass(frozen=True)
class ElementSource:
    """What is to be an element: a dataset, or a source of one."""

    name: str
    place: str                      # a path or URL, or the dataset's id
    source: Source | None = None    # None for a dataset that is there


def arrange_elements(kind: str, parts: list[ElementSource]) -> dict[Identifiers, ElementSource]:
    """The elements of a collection of the type `kind` (see `COLLECTION_TYPES`), in their order.

    Names lose the extension that tells the datatype; pairs are found as `sources.pairs` does. Two of one name, a part
    without a mate and a name that is too long are usage errors.
    """
    if not parts:
        raise GalaxyError("there is nothing to make a collection of", USAGE)
    elements: dict[Identifiers, ElementSource] = {}
    if kind == "list":
        elements = {(name,): part for name, part in _without_doubles((stem(part.name), part) for part in parts).items()}
    else:
        named = _without_doubles((part.name, part) for part in parts)
        found = pair_reads(list(named))
        if kind == "paired" and len(found) != 1:
            raise GalaxyError(
                f"--type=paired takes one pair, and here are {len(found)}: list:paired takes any number", USAGE)
        for sample, forward, reverse in found:
            outer = () if kind == "paired" else (sample,)
            elements.update({(*outer, "forward"): named[forward], (*outer, "reverse"): named[reverse]})
    for names, part in elements.items():
        if len(":".join(names)) > MAX_NAME_LENGTH:
            raise GalaxyError(
                f"{part.place}: too long a name for an element, of which {MAX_NAME_LENGTH} characters may be", USAGE)
    return elements


def _without_doubles(items: Iterable[tuple[str, ElementSource]]) -> dict[str, ElementSource]:
    named: dict[str, ElementSource] = {}
    for name, part in items:
        if named.setdefault(name, part) is not part:
            raise GalaxyError(f"{named[name].place} and {part.place}: both would be {name!r} in the collection", USAGE)
    return named


def nest_elements(leaves: dict[Identifiers, dict[str, Any]], inner: Callable[[list[Any]], dict[str, Any]]) -> list[dict[str, Any]]:
    """The elements as a request has them: `leaves` with their names, those of pairs inside what `inner` makes of the two."""
    outer: dict[Identifiers, list[Any]] = {}
    for names, leaf in leaves.items():
        outer.setdefault(names[:-1], []).append({**leaf, "name": names[-1]})
    return outer[()] if () in outer else [{"name": names[0], **inner(inside)} for names, inside in outer.items()]


def element_datasets(elements: list[dict[str, Any]], outer: Identifiers = ()) -> Iterator[tuple[Identifiers, dict[str, Any]]]:
    """The names and the dataset of each element of a collection, as Galaxy describes it, those of inner ones too."""
    for element in elements:
        names = (*outer, element["element_identifier"])
        if element["element_type"] == "dataset_collection":
            yield from element_datasets(element["object"]["elements"], names)
        else:
            yield names, element["object"]


def find_created_collection(galaxy: Galaxy, name: str, record: Checkpoint) -> dict[str, Any] | None:
    """The collection that an earlier run for the same has made, which was killed or did not learn of it; None where the
    `record` tells of none, or Galaxy has none."""
    data = record.data
    while "after" in data and not galaxy.get(f"histories/{data['history']}").get("deleted"):
        for thing in galaxy.pages(f"histories/{data['history']}/contents", {"v": "dev"}):
            if thing["history_content_type"] == "dataset_collection" and not thing["deleted"] and (
                    thing["id"] == data["collection"] if "collection" in data
                    else thing["hid"] > data["after"] and thing["name"] == name):
                return dict(thing)
        if "collection" in data or time.time() - data["when"] > SETTLE_SECONDS:
            return None
        time.sleep(2)
    return None


def create_collection_once(galaxy: Galaxy, history: str, name: str, record: Checkpoint, make: Callable[[], dict[str, Any]]
              ) -> dict[str, Any]:
    """The collection that `make` makes in the history; where its answer is lost, Galaxy is looked at."""
    record.save(durably=True, history=history, after=last_hid(galaxy, history), when=time.time(), collection=None)
    try:
        made = make()
    except GalaxyError as error:
        found = find_created_collection(galaxy, name, record) if error.lost else None
        if not found:
            if not error.lost:
                record.save(after=None)
            raise
        made = found
    record.save(durably=True, collection=made["id"])
    return made


def wait_until_filled(galaxy: Galaxy, made: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
    """The collection, with its elements, once the jobs that fill it and its datasets have ended.

    Raises `GalaxyError` with Galaxy's reason where it was not filled, and when `timeout` seconds are over (STILL_RUNNING).
    """
    states: set[str] = set()
    jobs = made.get("jobs") or ([made["job_source_id"]] if made.get("job_source_type") == "Job" else [])
    for _ in galaxy.poll(timeout):
        states = {galaxy.get(f"jobs/{job}")["state"] for job in jobs}     # a fetch has one
        if states <= set(TERMINAL_JOB_STATES):
            collection: dict[str, Any] = galaxy.get(
                f"histories/{made['history_id']}/contents/dataset_collections/{made['id']}", timeout=LONG)
            if not set(collection["elements_states"]) & set(NON_TERMINAL_DATASET_STATES):
                break
    else:
        raise GalaxyError(f"collection {made['id']} is still being filled after {timeout:g} s", STILL_RUNNING)
    if collection["populated_state"] != "ok":
        why = collection["populated_state_message"] or f"its job ended in state {', '.join(states)}"
        raise GalaxyError(f"collection {made['id']} was not filled: {why}")
    return collection


def collection_problems(galaxy: Galaxy, collection: dict[str, Any], elements: dict[Identifiers, ElementSource],
          leaves: dict[Identifiers, dict[str, Any]]) -> list[str]:
    """A line for each element that is not in the collection as it should; `leaves` are what Galaxy was given of each.

    In a collection, Galaxy 26.1 makes an empty dataset in state ok of bytes whose hash is not the one that was sent along,
    and shows that hash with it. So it is the size that tells, and the hash only that Galaxy has compared it.
    """
    there = dict(element_datasets(collection["elements"]))
    hashes: dict[str, list[str]] = {}
    if any(leaf.get("hashes") for leaf in leaves.values()):
        ask = {"history_id": collection["history_id"], "keys": "id,hashes", "q": "hid-ge", "qv": collection["hid"]}
        hashes = {one["id"]: [known["hash_value"] for known in one["hashes"]] for one in galaxy.pages("datasets", ask)
                  if "hashes" in one}       # that list has collections too
    lines = []
    for names, part in elements.items():
        about = there.get(names)
        sent = [known["hash_value"] for known in leaves[names].get("hashes", [])]
        problem = "Galaxy has no such element"
        if about and about["state"] not in ("ok", "empty"):
            why = galaxy.get(f"datasets/{about['id']}").get("misc_info") or "Galaxy does not say why"
            problem = f"dataset {about['id']} ended in state {about['state']}: {why}"
        elif about and part.source and part.source.size not in (None, about["file_size"]):
            problem = f"dataset {about['id']} has {about['file_size']} bytes, {part.source.size} were sent"
        elif about and hashes and not set(sent) <= set(hashes.get(about["id"], [])):      # older Galaxys list none
            problem = f"dataset {about['id']} has another SHA-256 than the bytes that were sent"
        elif about:
            continue
        lines.append(f"{part.place}: {'/'.join(names)}: {problem}")
    return lines
