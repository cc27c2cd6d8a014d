"""Datasets, collections and libraries' datasets, looked up by references such as `hdca:ID`: Galaxy's ids carry no type."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from common import NON_TERMINAL_DATASET_STATES, TERMINAL_JOB_STATES, TRY_LATER, Galaxy, GalaxyError, parse_id, read_text
from galaxy_api_scripts import releases
from galaxy_api_scripts.datasets.collections import element_datasets
from galaxy_api_scripts.datasets.references import DATA_SOURCES, fetch_library_version
from galaxy_api_scripts.datasets.target_history import find_writable_history
from galaxy_api_scripts.polling import DEAD_JOB_STATES, IDS_PER_REQUEST, DatasetOrError, fetch_datasets
from galaxy_api_scripts.progress import describe_counts


def parse_refs(texts: list[str], name: str) -> list[str]:
    """The references in `texts`, the words of the argument `name`, each once, also lib:/LIBRARY/FOLDER/NAME; `-` reads
    standard input, one a line, to its end: what is done to these things may change the list that they come from."""
    refs = []
    for text in texts:
        lines = read_text("-").splitlines() if text == "-" else [text]
        for number, line in enumerate(lines, 1):
            ref, label = line.strip(), f"{name}, line {number} of standard input" if text == "-" else name
            src, sign, identity = ref.partition(":")
            if text == "-" and not ref or sign and src == "lib":
                refs += [ref] if ref else []
            elif sign and src in DATA_SOURCES:
                refs.append(f"{src}:{parse_id(identity, label)}")
            else:
                refs.append(parse_id(ref, label))
    return list(dict.fromkeys(refs))


def fetch_refs(galaxy: Galaxy, refs: list[str], fields: Iterable[str], own: bool = False
               ) -> Iterator[tuple[str, DatasetOrError]]:
    """Each of `refs` with what Galaxy has there, or with the `GalaxyError` that says why there is nothing.

    All have `ref`, `id`, `name` and `state`; datasets of histories these `fields` too, by one request for a hundred of them
    (`polling.fetch_datasets`, which also says what is refused).
    """
    fields = list(fields)
    for start in range(0, len(refs), IDS_PER_REQUEST):
        batch = refs[start:start + IDS_PER_REQUEST]
        ids = {ref: ref.removeprefix("hda:") for ref in batch if ref.partition(":")[0] in (ref, "hda")}
        datasets = dict(fetch_datasets(galaxy, list(dict.fromkeys(ids.values())), fields, own,
                                       untyped=[ref for ref in ids if not ref.startswith("hda:")]))
        for ref in batch:
            thing = datasets[ids[ref]] if ref in ids else _fetch_other(galaxy, ref, own)
            yield ref, {"ref": f"hda:{thing['id']}", **thing} if isinstance(thing, dict) else thing


def _fetch_other(galaxy: Galaxy, ref: str, own: bool) -> DatasetOrError:
    """A collection or a library's dataset with its `ref`, if the user may change it or it need not be `own`."""
    src, _, identity = ref.partition(":")
    try:
        if src != "hdca":
            thing = fetch_library_dataset(galaxy, src, identity)
            if own and thing.get("can_user_modify") is False:
                raise GalaxyError(f"{ref} ({thing['name']}): the library's managers have not permitted you to change it")
            return thing
        about = fetch_collection(galaxy, identity)
        if own:
            find_writable_history(galaxy, about["history_id"])
    except GalaxyError as error:
        if error.exit_code == TRY_LATER or error.status == 401:
            raise
        if error.status in (400, 404) or (error.status == 500 and src == "ld"):     # 26.1, of an unknown id
            return GalaxyError(f"{ref}: nothing has that id", status=error.status)
        return error
    state, why = collection_state(about)
    return {**about, "ref": ref, "state": state, "misc_info": why}


def fetch_collection(galaxy: Galaxy, identity: str) -> dict[str, Any]:
    """A collection as Galaxy describes it, without its elements if `element_states` needs none."""
    about = dict(galaxy.get(f"dataset_collections/{identity}", {"view": "collection"}))
    if "elements_states" not in about:      # Galaxy 25.0 and older
        about = dict(galaxy.get(f"dataset_collections/{identity}"))
    return about


def fetch_collection_or_none(galaxy: Galaxy, identity: str) -> dict[str, Any] | None:
    """The same; None where this key may not see it."""
    try:
        return fetch_collection(galaxy, identity)
    except GalaxyError as error:
        if error.status not in (400, 403, 404):
            raise
        return None


def element_states(about: dict[str, Any]) -> Counter[str]:
    """How many elements of a collection are in each state."""
    known = about.get("elements_states")
    return Counter(known if known is not None else (
        dataset["state"] for _, dataset in element_datasets(about.get("elements") or [])))


def collection_state(about: dict[str, Any]) -> tuple[str, str]:
    """The state of a collection as that of a dataset, and why: "failed" if jobs have ended without filling it, the first of
    the states in which its datasets still move, "error" if some are neither ok nor empty, else "ok"."""
    states = element_states(about)
    moving = [state for state in NON_TERMINAL_DATASET_STATES if state in states]
    jobs = {state: count for state, count in (about.get("job_state_summary") or {}).items() if count and state != "all_jobs"}
    populated = about.get("populated_state") or "ok"
    if "new" in (populated, *moving) and jobs.keys() <= set(TERMINAL_JOB_STATES) and jobs.keys() & DEAD_JOB_STATES:
        return "failed", f"its jobs have ended without filling it: {describe_counts(jobs)}"
    if populated != "ok":
        return populated, about.get("populated_state_message") or ""
    good = {"ok", "empty", "deferred", "skipped"}
    return moving[0] if moving else "ok" if states.keys() <= good else "error", describe_counts(states)


def fetch_library_dataset(galaxy: Galaxy, src: str, identity: str) -> dict[str, Any]:
    """The dataset `ldda:IDENTITY` or `ld:IDENTITY` of a library in the fields of a history's, as far as Galaxy tells them;
    `library_dataset` is its other id, which only deletion takes."""
    try:
        about = dict(galaxy.get(f"libraries/datasets/{identity}", patience=0))
    except GalaxyError as error:
        if src == "ld" or error.status not in (400, 403, 404, 500):     # 500: of an unknown id (26.1)
            raise
        about = {}
    if src == "ldda" and about.get("ldda_id") != identity:      # it is another one's id
        about = {"ldda_id": identity, **fetch_library_version(galaxy, identity), "id": None}
    ldda, hashes = about["ldda_id"], fetch_library_hashes(galaxy, about["ldda_id"])
    size = _library_size(galaxy, ldda, about["id"]) if about.get("state") == "ok" and not about.get("deleted") else None
    return {**about, "ref": f"ldda:{ldda}", "id": ldda, "library_dataset": about["id"], "extension": about.get("file_ext"),
            "file_size": size, "hashes": hashes, "genome_build": about.get("genome_build"),
            "name": about.get("name") or ldda}


def fetch_library_hashes(galaxy: Galaxy, ldda: str) -> list[dict[str, Any]]:
    """The hashes that Galaxy has of a library's dataset: of 26.1's answers about one only this has any."""
    return list((galaxy.get_or_none(f"datasets/{ldda}/storage", {"hda_ldda": "ldda"}) or {}).get("hashes") or [])


def library_route(galaxy: Galaxy, ldda: str, library_dataset: str | None) -> str:
    """The address of the bytes of a library's dataset, of which these are the ids."""
    if library_dataset and not releases.supports(galaxy, releases.LIBRARY_DISPLAY, ask=False):
        return f"libraries/datasets/download/uncompressed?ld_ids={library_dataset}"
    return f"datasets/{ldda}/display?hda_ldda=ldda&raw=true"


def _library_size(galaxy: Galaxy, ldda: str, library_dataset: str | None) -> int | None:
    """How many bytes a library's dataset has; None if Galaxy does not tell."""
    for _ in range(2):
        route = library_route(galaxy, ldda, library_dataset)
        method = "HEAD" if route.startswith("datasets/") else "GET"     # the other route knows no HEAD
        try:
            with galaxy.request(method, route, stream=True, patience=0) as answer:
                length = answer.headers.get("Content-Length", "")
                return int(length) if length.isdecimal() else None
        except GalaxyError as error:
            if error.status != 500 or not releases.learn_lacking(galaxy, releases.LIBRARY_DISPLAY):
                break
    return None
