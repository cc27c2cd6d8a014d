"""Filling a data library that exists with what a fetch's target lists: only with what is not there yet."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.datasets.hashing import known_hashes
from galaxy_api_scripts.datasets.lookup import fetch_library_hashes
from galaxy_api_scripts.libraries.contents import (
    LOST_STATES,
    FolderPath,
    LibraryFolder,
    ensure_folder,
    find_folders,
    open_folder,
)
from galaxy_api_scripts.libraries.uploads import LibraryUploads, find_arrivals

HASH_KEYS = ("MD5", "SHA-1", "SHA-256", "SHA-512")      # of an element, beside its list of hashes


@dataclass
class FillStep:
    """A file that is to be in a folder of the library."""

    path: FolderPath        # of the folder
    element: dict[str, Any]

    @property
    def row(self) -> dict[str, Any]:
        source = self.element.get("url") or self.element.get("path") or self.element.get("src")
        return {"action": "fetch", "path": "/" + "/".join((*self.path, self.element["name"])), "source": source}


def iter_files(items: Any, path: FolderPath = ()) -> Iterator[tuple[FolderPath, dict[str, Any]]]:
    """Yield the elements of a target that are files, each with the path of its folder; a usage error for others."""
    if not isinstance(items, list):
        raise GalaxyError("--into: expected a list of items, which can be compared with what is there", USAGE)
    for item in items:
        inner = item.get("items", item.get("elements")) if isinstance(item, dict) else None
        name = (item.get("name") or _name_of_source(item)) if isinstance(item, dict) else ""
        if not name or "elements_from" in item:
            raise GalaxyError(f"--into: neither a file with a name nor a folder of such, to be compared: {item!r}", USAGE)
        if not isinstance(name, str):
            raise GalaxyError(f"--into: name: {name!r} is no text to YAML: write it in quotes", USAGE)
        if isinstance(inner, list):
            yield from iter_files(inner, (*path, name))
        else:
            yield path, {**item, "name": name}


def list_steps(items: Any) -> list[FillStep]:
    """The steps for all files of a target; a usage error for two of one path, which could not be told apart later."""
    steps: dict[str, FillStep] = {}
    for path, element in iter_files(items):
        step = FillStep(path, element)
        if steps.setdefault(step.row["path"], step) is not step:
            raise GalaxyError(f"--into: two items are {step.row['path']}", USAGE)
    return list(steps.values())


def _name_of_source(item: dict[str, Any]) -> str:
    return unquote(urlsplit(str(item.get("url") or item.get("path") or "")).path).rsplit("/", 1)[-1]


def hashes_of(element: dict[str, Any]) -> dict[str, str]:
    """The hashes that an element names, as `known_hashes` returns them."""
    named = [{"hash_function": name, "hash_value": element[name]} for name in HASH_KEYS if element.get(name)]
    return known_hashes({"hashes": [*(element.get("hashes") or []), *named]})


class LibraryFill:
    """The files of a target that an existing library lacks: `plan`, then `apply`. What can't be fetched is in `errors`, by
    path."""

    def __init__(self, galaxy: Galaxy, library: dict[str, Any], wait: bool):
        """`wait` until the jobs of earlier runs have ended, so that what they fetch is there."""
        self.galaxy, self.library = galaxy, library
        self.uploads = LibraryUploads(galaxy, library["id"])
        if wait:
            self.uploads.wait(self.uploads.unfinished_jobs(), None)
        self.folders: dict[FolderPath, LibraryFolder] = {}
        self.errors: dict[str, str] = {}

    def plan(self, steps: list[FillStep]) -> list[FillStep]:
        """Those steps whose files are not there: no dataset in the folder has their name and, if they name one, their hash.
        Raises `GalaxyError` if the key's user may not add to one of the folders."""
        paths = {step.path for step in steps}
        self.folders = find_folders(self.galaxy, self.library["id"], self.library["root_folder_id"], paths)
        for path in paths & self.folders.keys() - {()}:
            open_folder(self.galaxy, self.folders[path].id, self.library["id"])     # or an error
        return [step for step in steps if self._is_missing(step)]

    def _is_missing(self, step: FillStep) -> bool:
        folder = self.folders.get(step.path)
        datasets = folder.datasets(step.element["name"]) if folder else []
        there = [one for one in datasets if one["state"] not in LOST_STATES]
        expected = hashes_of(step.element)
        for dataset in there if expected else ():
            known = known_hashes({"hashes": fetch_library_hashes(self.galaxy, dataset["ldda_id"])})
            other = [name for name in expected if name in known and known[name] != expected[name].lower()]
            if other:
                self.errors[step.row["path"]] = f"{dataset['id']} has that name and another {other[0]}: rename or delete it"
                return False
        return not there

    def apply(self, steps: list[FillStep]) -> Iterator[FillStep]:
        """Let one job fetch the files, wait for its end, and yield the steps of those that arrived."""
        by_folder: dict[FolderPath, list[FillStep]] = {}
        for step in steps:
            ensure_folder(self.galaxy, self.folders, step.path)
            by_folder.setdefault(step.path, []).append(step)
        self.uploads.fetch([(self.folders[step.path], step.element, None) for step in steps])
        self.uploads.wait(self.uploads.jobs, None)
        for path, its_steps in by_folder.items():
            _, problems = find_arrivals(self.galaxy, self.folders[path], [step.element["name"] for step in its_steps],
                                        self.uploads.default_reason)
            self.errors.update((step.row["path"], problems[step.element["name"]]) for step in its_steps
                               if step.element["name"] in problems)
            yield from (step for step in its_steps if step.element["name"] not in problems)
