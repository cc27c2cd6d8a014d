"""Collections: the names of their elements, the form in which requests take them, and whether the elements arrived."""
from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from common import NON_TERMINAL_DATASET_STATES, STILL_RUNNING, TERMINAL_JOB_STATES, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Checkpoint
from galaxy_api_scripts.datasets.hashing import known_hashes
from galaxy_api_scripts.datasets.sources import URL_PATTERN, Source, mate_of, pair_reads, stem
from galaxy_api_scripts.datasets.target_history import last_hid
from galaxy_api_scripts.polling import DEAD_JOB_STATES, describe_timeout

COLLECTION_TYPES = ("list", "paired", "list:paired", "paired_or_unpaired", "list:paired_or_unpaired", "list:list",
                    "list:list:paired")     # those that users see named; more lists around them are arranged too
ARRANGED_TYPES = re.compile(r"list(:list)*(:paired|:paired_or_unpaired)?|paired|paired_or_unpaired")
MAX_NAME_LENGTH = 219       # characters of an element's identifiers together; with more, the job of Galaxy 26.1 fails
TIMEOUTS = (10, 600)        # seconds for a connection and an answer: 1,000 elements take Galaxy 26.1 up to 15

# Of an element, the outermost first: ("s1", "forward"); ("s1",) in a plain list.
Identifiers = tuple[str, ...]


@dataclass(frozen=True)
class ElementSource:
    """What becomes an element: a dataset of Galaxy's, or a source to upload."""

    name: str
    location: str                   # a path or URL, or the dataset's id
    source: Source | None = None    # None for a dataset

    @property
    def folder(self) -> str:
        """The folder of a file, of the first of several that are sent as one, of a dataset that is named by its path in one,
        or of a URL, without what follows ? or #."""
        if self.source and self.source.local_paths:
            return os.path.dirname(self.source.local_paths[0])
        path = self.location if self.source or "/" in self.location else self.name
        return (re.split("[?#]", path)[0] if URL_PATTERN.match(path) else path).rpartition("/")[0]

    @property
    def folders(self) -> list[str]:
        """The names of the folders on the way to it; a URL's server is none."""
        return [part for part in re.sub("^[^:/]+://[^/]*", "", self.folder).split("/") if part]


def is_arrangeable(collection_type: str) -> bool:
    """Whether files and datasets can be arranged as a collection of this type by their names and folders alone."""
    return bool(ARRANGED_TYPES.fullmatch(collection_type))


def arrange_elements(collection_type: str, parts: list[ElementSource]) -> dict[Identifiers, ElementSource]:
    """The elements of a collection whose type `is_arrangeable`, in their order.

    Names lose the extension that tells the datatype; `pair_reads` finds the pairs; of lists in a list, the outer ones are
    named by the folders that the parts are in. Two parts with one name, one without a mate in a type that takes pairs only,
    and a name that is too long are usage errors.
    """
    if not parts:
        raise GalaxyError("there is nothing to make a collection of", USAGE)
    inner = collection_type.split(":")
    depth = max(inner.count("list") - 1, 0)
    groups: dict[Identifiers, list[ElementSource]] = {}
    folder_of: dict[Identifiers, str] = {}
    for part in parts:
        folders = part.folders[len(part.folders) - depth:] if depth else []
        if len(folders) < depth:
            raise GalaxyError(f"{part.location}: is in no folder, which would name the outer element of a {collection_type}",
                              USAGE)
        folder = folder_of.setdefault(tuple(folders), part.folder) if depth and part.source else part.folder
        if folder != part.folder:
            raise GalaxyError(f"{folder} and {part.folder}: both would be {'/'.join(folders)!r} in the collection", USAGE)
        groups.setdefault(tuple(folders), []).append(part)
    elements = {(*folders, *identifiers): part for folders, group in groups.items()
                for identifiers, part in _arrange_group(":".join(inner[depth:]), group, bool(depth)).items()}
    for identifiers, part in elements.items():
        if len(":".join(identifiers)) > MAX_NAME_LENGTH:
            raise GalaxyError(f"{part.location}: too long a name for an element: Galaxy takes {MAX_NAME_LENGTH} characters",
                              USAGE)
    return elements


def _arrange_group(collection_type: str, parts: list[ElementSource], is_inner: bool) -> dict[Identifiers, ElementSource]:
    """The elements of a list, of a pair, or of a list of pairs, some of them single in `paired_or_unpaired`. Names of those
    that are `inner` are without their folders."""
    named = [(part.name.rpartition("/")[2] if is_inner else part.name, part) for part in parts]
    if collection_type == "list":
        return {(name,): part for name, part in _by_unique_name((stem(name), part) for name, part in named).items()}
    by_name = _by_unique_name(named)
    single = _find_single(by_name) if collection_type.endswith("paired_or_unpaired") else {}
    pairs = pair_reads([name for name in by_name if name not in single])
    if not collection_type.startswith("list") and len(pairs) + len(single) != 1:
        raise GalaxyError(f"--type={collection_type} takes one pair, and here are {len(pairs) + len(single)}: "
                          f"list:{collection_type} takes any number", USAGE)
    twice = [sample for sample, count in Counter([*(pair[0] for pair in pairs), *single.values()]).items() if count > 1]
    if twice:
        raise GalaxyError(f"two samples would be {twice[0]!r} in the collection", USAGE)
    elements: dict[Identifiers, ElementSource] = {}
    samples = {name: (pair[0], {"forward": pair[1], "reverse": pair[2]}) for pair in pairs for name in pair[1:]}
    for name in by_name:        # in their order
        sample, mates = samples.get(name) or (single[name], {"unpaired": name})
        outer = (sample,) if collection_type.startswith("list") else ()
        elements.update({(*outer, mate): by_name[file] for mate, file in mates.items()})
    return elements


def _find_single(names: Iterable[str]) -> dict[str, str]:
    """`{name: sample}` of those without a mate; that of reverse reads is a usage error, since forward ones are missing."""
    single, known = {}, list(names)
    for name in known:
        sample, mate, is_forward = mate_of(name)
        if mate and mate not in known and not is_forward:
            raise GalaxyError(f"not in pairs: {name} (there is no {mate})", USAGE)
        if not mate or mate not in known:
            single[name] = sample or stem(name)
    return single


def _by_unique_name(items: Iterable[tuple[str, ElementSource]]) -> dict[str, ElementSource]:
    by_name: dict[str, ElementSource] = {}
    for name, part in items:
        if by_name.setdefault(name, part) is not part:
            raise GalaxyError(f"{by_name[name].location} and {part.location}: both would be {name!r} in the collection",
                              USAGE)
    return by_name


def nest_elements(leaves: dict[Identifiers, Any], collection_type: str, wrap: Callable[[str, list[Any]], Any],
                  name_leaf: Callable[[str, Any], Any] = lambda name, leaf: {**leaf, "name": name},
                  name_inner: Callable[[str, Any], Any] = lambda name, inner: {"name": name, **inner}) -> list[Any]:
    """The elements as a request takes them: named `leaves`, those of an inner collection in what `wrap` makes of type and
    elements."""
    inner_type, groups = collection_type.partition(":")[2], dict[str, dict[Identifiers, Any]]()
    for identifiers, leaf in leaves.items():
        groups.setdefault(identifiers[0], {})[identifiers[1:]] = leaf
    return [name_leaf(name, group[()]) if () in group else
            name_inner(name, wrap(inner_type, nest_elements(group, inner_type, wrap, name_leaf, name_inner)))
            for name, group in groups.items()]


def element_datasets(elements: list[dict[str, Any]], outer: Identifiers = ()
                     ) -> Iterator[tuple[Identifiers, dict[str, Any]]]:
    """The identifiers and dataset of each element of a collection as Galaxy describes it, inner collections included."""
    for element in elements:
        identifiers = (*outer, element["element_identifier"])
        if element["element_type"] == "dataset_collection":
            yield from element_datasets(element["object"]["elements"], identifiers)
        else:
            yield identifiers, element["object"]


def find_created_collection(galaxy: Galaxy, name: str, checkpoint: Checkpoint) -> dict[str, Any] | None:
    """The collection that an earlier run made which was killed or lost Galaxy's answer; None if the checkpoint tells of
    none, or Galaxy has none."""
    notes, end = checkpoint.data, time.monotonic() + SETTLE_SECONDS
    while "after" in notes and not galaxy.get(f"histories/{notes['history']}").get("deleted"):
        for content in galaxy.pages(f"histories/{notes['history']}/contents", {"v": "dev"}):
            if content["history_content_type"] == "dataset_collection" and not content["deleted"] and (
                    content["id"] == notes["collection"] if "collection" in notes
                    else content["hid"] > notes["after"] and content["name"] == name):
                return dict(content)
        if "collection" in notes or time.monotonic() > end:
            return None
        time.sleep(2)
    return None


def create_collection_once(galaxy: Galaxy, history: str, name: str, checkpoint: Checkpoint,
                           create: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The collection that `create()` makes in the history; if its answer is lost, the collection is looked for."""
    checkpoint.save(durably=True, history=history, after=last_hid(galaxy, history), collection=None)
    try:
        collection = create()
        if not isinstance(collection, dict) or not collection.get("id"):
            raise GalaxyError("Galaxy has taken the request for a collection, and does not say what it made", lost=True)
    except GalaxyError as error:
        found = find_created_collection(galaxy, name, checkpoint) if error.lost else None
        if not found:
            if not error.lost:
                checkpoint.save(after=None)
            raise
        collection = found
    checkpoint.save(durably=True, collection=collection["id"])
    return collection


def wait_until_filled(galaxy: Galaxy, created: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
    """The collection with its elements, once the jobs that fill it and its datasets have ended.

    Raises `GalaxyError` with Galaxy's reason if it was not filled, and after `timeout` seconds (STILL_RUNNING).
    """
    label = f"collection {created['id']}"
    job_states: set[str] = set()
    jobs = created.get("jobs") or ([created["job_source_id"]] if created.get("job_source_type") == "Job" else [])
    for _ in galaxy.poll(timeout):
        job_states = {galaxy.get(f"jobs/{job}")["state"] for job in jobs}     # a fetch has one
        if job_states <= set(TERMINAL_JOB_STATES):
            collection: dict[str, Any] = galaxy.get(
                f"histories/{created['history_id']}/contents/dataset_collections/{created['id']}", timeout=TIMEOUTS)
            states = {dataset["state"] for _, dataset in element_datasets(collection["elements"])}
            if states.isdisjoint(NON_TERMINAL_DATASET_STATES) or job_states & DEAD_JOB_STATES:
                break
    else:
        raise GalaxyError(f"{label} is still being filled{describe_timeout(timeout)}", STILL_RUNNING)
    if collection["populated_state"] != "ok":
        why = collection["populated_state_message"] or f"its job ended in state {', '.join(job_states)}"
        raise GalaxyError(f"{label} was not filled: {why}")
    return collection


def collection_problems(galaxy: Galaxy, collection: dict[str, Any], elements: dict[Identifiers, ElementSource],
                        leaves: dict[Identifiers, dict[str, Any]]) -> list[str]:
    """A line for each element that is not in the collection as it should be; `leaves` are what Galaxy was given.

    Of bytes whose hash is not the one that was sent along, Galaxy 26.1 makes an empty dataset in state ok in a collection,
    and shows that hash with it. So the size tells, and the hash only that Galaxy has compared it.
    """
    datasets = dict(element_datasets(collection["elements"]))
    hashes: dict[str, dict[str, str]] = {}
    if any(leaf.get("hashes") for leaf in leaves.values()):
        ask = {"history_id": collection["history_id"], "keys": "id,hashes", "q": "hid-ge", "qv": collection["hid"]}
        hashes = {content["id"]: known_hashes(content)
                  for content in galaxy.pages("datasets", ask) if "hashes" in content}      # that list has collections too
    lines = []
    for identifiers, part in elements.items():
        dataset = datasets.get(identifiers)
        known = hashes.get(dataset["id"], {}) if dataset else {}
        sent = known_hashes(leaves[identifiers]).get("sha256")
        problem = "Galaxy has no such element"
        good = ("ok", "empty", *(["deferred"] if part.source and part.source.deferred else []))
        if dataset and dataset["state"] not in good:
            why = galaxy.get(f"datasets/{dataset['id']}").get("misc_info") or "Galaxy does not say why"
            problem = f"dataset {dataset['id']} ended in state {dataset['state']}: {why}"
        elif dataset and part.source and part.source.size not in (None, dataset["file_size"]):
            problem = f"dataset {dataset['id']} has {dataset['file_size']} bytes, {part.source.size} were sent"
        elif dataset and hashes and sent and known.keys() != {"md5"} and sent != known.get("sha256"):   # md5: 24.1
            problem = f"dataset {dataset['id']} has another SHA-256 than the bytes that were sent"
        elif dataset:
            continue
        lines.append(f"{part.location}: {'/'.join(identifiers)}: {problem}")
    return lines
