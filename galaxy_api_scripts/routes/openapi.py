"""The operations of a server: what its own document says (`/openapi.json`), kept for each server until its version changes,
and our own table of those that the document lacks."""
from __future__ import annotations

import contextlib
import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from common import USAGE, Galaxy, GalaxyError, did_you_mean, one_line
from galaxy_api_scripts.files import state_folder, state_path, write_atomic
from galaxy_api_scripts.releases import fetch_version
from galaxy_api_scripts.routes.undocumented import load_table, own_operations

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD")
NOT_DESCRIBED = "undocumented"      # the tag of what Galaxy's document only names
ROOTS = "api|ga4gh|context|oauth2_callback"     # the first names of its addresses
# An id in an address that was typed: one of Galaxy's, a number, a UUID.
ID = r"F?[0-9a-f]{16,}|\d+|[0-9a-f]{8}-[0-9a-f-]{27}"


class UnknownAddress(GalaxyError):
    """There is no operation with that method and address."""


@dataclass(frozen=True, eq=False)
class Operation:
    """A method and a path, such as `/api/histories/{history_id}`; `about` is the document's object on it, `schemas` are
    those that it may refer to."""

    method: str
    path: str
    about: dict[str, Any]
    schemas: dict[str, Any]

    @property
    def description(self) -> str:
        return plain_text(self.about.get("description"))

    @property
    def summary(self) -> str:
        return plain_text(self.about.get("summary")) or self.description.partition("\n")[0]

    @property
    def who(self) -> str:
        """Who may send it, as far as is known: `users`, `administrators`, `anybody`, or in more words."""
        if "x-who" in self.about:
            return str(self.about["x-who"])
        if f"{self.method} {self.path}" in load_table("administrators.yml"):
            return "administrators"
        return "anybody" if self.about.get("security") == [] else "users"

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        """What fits its addresses, with a group for each parameter. A tool's id may have slashes."""
        path = re.sub(r"(?<=^/api/tools/)\{id\}", "{tool_id}", self.path.rstrip("/"))
        parts = re.split(r"(\{\w+\})", path)
        return re.compile("".join({"{tool_id}": "(.+)"}.get(part, "([^/]+)") if part[:1] == "{" else re.escape(part)
                                  for part in parts))


def plain_text(text: object) -> str:
    """A text of the document without its marks."""
    return re.sub(r"\*\*|``?|(?<!\w)_(?=\w)|(?<=\w)_(?!\w)", "", str(text or "")).strip()


def fetch_operations(galaxy: Galaxy) -> list[Operation]:
    """All operations of the server. Raises `GalaxyError`."""
    version, kept = fetch_version(galaxy), read_kept(galaxy)
    if kept and version and kept.get("version") == version and addresses_path(galaxy).exists():
        with contextlib.suppress(AttributeError, KeyError, TypeError):      # it is not what was kept: asked for again
            return list_operations(kept["document"])
    try:
        document = galaxy.get(f"{galaxy.base}/openapi.json")
    except GalaxyError as error:
        if error.status != 404:
            raise
        raise GalaxyError(f"{galaxy.base}/openapi.json is not there, by which Galaxy describes what it can do: is "
                          f"{galaxy.base} a Galaxy, and does a proxy before it pass that address on?", status=404) from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise GalaxyError(f"{galaxy.base}/openapi.json describes no operations")
    operations = list_operations(document)
    with contextlib.suppress(OSError):      # where nothing can be kept, it is asked for again
        state_folder("routes")
        write_atomic(kept_path(galaxy), json.dumps({"version": version, "document": document}).encode(), True, 0o600)
        write_atomic(addresses_path(galaxy), list_addresses(galaxy, operations).encode(), True, 0o600)
    return operations


def list_addresses(galaxy: Galaxy, operations: list[Operation]) -> str:
    """The server's address, without a password, and a line for each operation: what the shells' completion reads."""
    parts = urlsplit(galaxy.base)
    lines = sorted("\t".join([one.method, one.path, one_line(one.summary)]) for one in operations)
    return "\n".join([parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), *lines, ""])


def kept_path(galaxy: Galaxy) -> Path:
    """The file for a server's document."""
    parts = urlsplit(galaxy.base)
    return state_path("routes", quote(f"{parts.netloc.rpartition('@')[2]}{parts.path}", safe="") + ".json")


def addresses_path(galaxy: Galaxy) -> Path:
    """The file for its `list_addresses`."""
    return kept_path(galaxy).with_suffix(".addresses")


def read_kept(galaxy: Galaxy) -> dict[str, Any] | None:
    """A server's document as it was kept (`document`), with the server's `version` then; None if there is none."""
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(kept_path(galaxy).read_bytes())
        if isinstance(kept, dict) and isinstance(kept.get("document"), dict):
            return kept
    return None


def list_operations(document: dict[str, Any]) -> list[Operation]:
    """The operations of a document and of our own table, which also completes what the document says."""
    schemas = (document.get("components") or {}).get("schemas") or {}
    merged: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            if method.upper() in METHODS:
                key, is_described = (method.upper(), shape(path)), NOT_DESCRIBED not in about.get("tags", ())
                if is_described or key not in merged:       # some are there twice
                    merged[key] = path, about if is_described else {}
    for method, path, own in own_operations(schemas):
        if "summary" not in own and (method, shape(path)) not in merged:
            continue        # an older server, which has nothing there to be completed
        described_path, described = merged.get((method, shape(path)), (path, {}))
        texts = [text for text in (described.get("description"), own.get("description")) if text]
        merged[method, shape(path)] = (path if "summary" in own else described_path,
                                       {**described, **own, "description": "\n\n".join(texts)})
    return [Operation(method, path, about, schemas) for (method, _), (path, about) in merged.items()]


def shape(path: str) -> str:
    """The path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def fill(path: str, ids: list[str]) -> str:
    """The path with these ids for its parameters, or as it is if it has not as many."""
    left = iter(ids)
    return re.sub(r"\{\w+\}", lambda _: next(left), path) if path.count("{") == len(ids) else path


def find_operation(operations: list[Operation], method: str, path: str) -> Operation:
    """The operation that serves `path`, an address as it is typed or as the document writes it. Raises
    `UnknownAddress`, and a usage error for what is no method."""
    if method not in METHODS:
        raise GalaxyError(f"METHOD: {method!r} is none: there are {', '.join(METHODS)}", USAGE)
    fitting = [one for one in operations if shape(one.path) == shape(path)] or [
        one for one in operations if one.pattern.fullmatch(path)]
    if not fitting:
        ids = [name for name in path.split("/") if re.fullmatch(ID, name)]
        near = did_you_mean(path, dict.fromkeys(fill(one.path, ids) for one in operations if one.method == method))
        raise UnknownAddress(f"no operation has the address {path}{near or ': route_list.py finds them by words'}")
    same = [one for one in fitting if one.method == method]     # of several the one with the longest names of its own
    if not same:
        raise UnknownAddress(f"{path} has no {method}: there are {', '.join(one.method for one in fitting)}")
    return max(same, key=lambda one: len(re.sub(r"\{\w+\}", "", one.path)))


def api_path(galaxy: Galaxy, text: str) -> str:
    """The path that was typed, as the document writes it: without the server's address and prefix, from `/api` on."""
    path = text if text.startswith("/") else urlsplit(text).path if "://" in text else f"/{text}"
    path = path.partition("?")[0].rstrip("/")
    prefix = urlsplit(galaxy.base).path
    path = path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
    return path if re.match(f"/({ROOTS})(/|$)", path) else f"/api{path}"
