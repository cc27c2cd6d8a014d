"""References to data that Galaxy has, as command lines give them.

`hda:ID` is a history's dataset, and so is a bare ID; `hdca:ID` a collection; `ldda:ID` and `ld:ID` a library's dataset by
either of its two ids; `hid:N` what has that number in a history.
"""
from __future__ import annotations

import functools
import re
from typing import Any

from common import USAGE, Galaxy, GalaxyError, shorten

# What an input's data can be: a history's dataset, a collection, a library's dataset by either of its two ids.
MAX_TAG_LENGTH = 255
DATA_SOURCES = ("hda", "hdca", "ldda", "ld")
UNREADABLE_STATES = ("error", "discarded", "failed", "failed_metadata")


class ReferenceProblem(GalaxyError):
    """A reference to data that Galaxy does not show to this key's user, or that no job can read."""


def fetch_reference(galaxy: Galaxy, src: str, identity: str, history: str | None, label: str) -> tuple[str, dict[str, Any]]:
    """The kind of the data (one of `DATA_SOURCES`) that SRC:IDENTITY names, and Galaxy's description of it.

    `hid:N` counts in the history with the id `history`. Raises `ReferenceProblem`, whose message begins with `label`,
    where there is no such data, it is deleted, or its state is one of `UNREADABLE_STATES`.
    """
    if src == "hid":
        return _fetch_numbered(galaxy, identity, history, label)
    if not re.fullmatch(r"[\w-]+", identity, re.ASCII):
        raise ReferenceProblem(f"{label}: {identity!r} is not an id")
    path, query = {"hda": (f"datasets/{identity}", {}), "hdca": (f"dataset_collections/{identity}", {"view": "collection"}),
                   "ld": (f"libraries/datasets/{identity}", {})}.get(src, ("", {}))
    try:
        about = dict(galaxy.get(path, query)) if path else fetch_library_version(galaxy, identity)
    except GalaxyError as error:
        if error.status not in (400, 403, 404) and not (error.status == 500 and src == "ld"):   # 26.1, of an unknown id
            raise
        reason = "nothing has that id" if error.status in (400, 500) else error.err_msg or error
        raise ReferenceProblem(f"{label}: {reason}", status=error.status) from None
    return src, require_readable(about, label)


def require_datatype(galaxy: Galaxy, ext: str, label: str) -> None:
    """Raise a usage error for a datatype that no single file can have on this Galaxy; "" and "auto" name none."""
    if ext in ("", "auto"):
        return
    about = list_datatypes(galaxy).get(ext)
    if about is None:
        raise GalaxyError(f"{label}={shorten(ext)}: no datatype of {galaxy.base}: display.py - /api/datatypes shows them",
                          USAGE)
    if about.get("composite_files"):
        names = ", ".join(file["name"] for file in about["composite_files"])
        raise GalaxyError(f"{label}={ext}: a datatype of several files in one ({names}): composite_data names them in a job "
                          f"file, and dataset_upload.py --ext={ext} makes one dataset of its files", USAGE)


@functools.cache
def require_dbkey(galaxy: Galaxy, dbkey: str, label: str = "--dbkey") -> None:
    """Raise a usage error for a reference genome that this Galaxy does not have, nor the user as a custom build."""
    if dbkey == "?" or any(build[1] == dbkey for build in galaxy.get("genomes")):
        return
    builds = galaxy.get_or_none(f"users/{galaxy.current_user()['id']}/custom_builds") or []
    if all(build.get("id") != dbkey for build in builds):
        raise GalaxyError(f"{label}={shorten(dbkey)}: no reference genome of {galaxy.base}: display.py - /api/genomes shows "
                          "them", USAGE)


def parse_tag(text: str, label: str = "--tag") -> str:
    """The tag, unless Galaxy would refuse it or keep another one (a usage error): 26.1 drops spaces and tags that are too
    long, and makes two of one with a comma."""
    if not re.fullmatch(r"[^\s.:,]+(\.[^\s.:,]+)*(:[^\s,]+)?", text) or len(text) > MAX_TAG_LENGTH:
        raise GalaxyError(f"{label}={shorten(text)}: expected a word without spaces and commas, or NAME:VALUE", USAGE)
    return text


@functools.cache
def list_datatypes(galaxy: Galaxy) -> dict[str, dict[str, Any]]:
    """The server's datatypes by their extensions."""
    datatypes = galaxy.get("datatypes", {"upload_only": "false", "extension_only": "false"})
    return {datatype["extension"]: datatype for datatype in datatypes}


def fetch_library_version(galaxy: Galaxy, identity: str) -> dict[str, Any]:
    """The dataset that `ldda:ID` names; only its id and state where Galaxy 26.1 fails (500) to describe it, as it does of
    data that no history has."""
    path, query = f"datasets/{identity}", {"hda_ldda": "ldda"}
    try:
        return dict(galaxy.get(path, query, patience=0))
    except GalaxyError as error:
        if error.status in (400, 403, 404):
            raise
    return {"id": identity, "name": identity, "state": galaxy.get(f"{path}/storage", query)["dataset_state"]}


def _fetch_numbered(galaxy: Galaxy, hid: str, history: str | None, label: str) -> tuple[str, dict[str, Any]]:
    if not re.fullmatch("[1-9][0-9]{0,9}", hid):
        raise ReferenceProblem(f"{label}: {hid!r} is not a number in a history")
    pages = galaxy.pages(f"histories/{history}/contents", {"v": "dev", "q": "hid-eq", "qv": hid}) if history else []
    contents = [item for item in pages if str(item["hid"]) == hid]
    contents = [item for item in contents if not item.get("deleted")] or contents
    # A dataset that Galaxy converted has the number of its original, and is hidden.
    contents = [item for item in contents if item.get("visible", True)] or contents
    sources = ["hda" if item["history_content_type"] == "dataset" else "hdca" for item in contents]
    if len(contents) != 1:
        count = f"has {len(contents)} items" if contents else "has nothing"
        refs = ", ".join(f"{src}:{item['id']}" for src, item in zip(sources, contents))
        raise ReferenceProblem(f"{label}: the history {count} with that number{f': {refs}' if refs else ''}")
    return sources[0], require_readable(contents[0], label)


def require_readable(about: dict[str, Any], label: str) -> dict[str, Any]:
    """The description of a dataset or collection, unless no job can read what it describes (`ReferenceProblem`)."""
    state = "deleted" if about.get("deleted") or about.get("purged") else about.get("populated_state") or about.get("state")
    if state == "deleted" or state in UNREADABLE_STATES:
        raise ReferenceProblem(f"{label}: {about.get('name')!r} is {state if state == 'deleted' else f'in state {state}'}")
    return about
