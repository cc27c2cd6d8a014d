"""Data libraries: finding libraries and folders, and listing and creating folders."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from common import MOST_PAGES, NON_TERMINAL_DATASET_STATES, Galaxy, GalaxyError, report_error
from galaxy_api_scripts.datasets.references import ReferenceProblem

PAGE_SIZE = 500     # items of a folder; Galaxy 26.1 takes 2 s for so many, and sends 10 by default
# States of datasets whose bytes are not there and don't come by themselves.
LOST_STATES = ("error", "discarded", "paused")

BEING_MADE_ADVICE = "a later run compares it; delete it if its job was cancelled"

FolderPath = tuple[str, ...]      # names of nested folders; () is the folder to start from


@dataclass
class LibraryFolder:
    """A library folder: its id and its items, as `GET /api/folders/ID/contents` describes them."""

    id: str
    items: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._datasets: dict[str, list[dict[str, Any]]] = {}
        for item in self.items:
            if item["type"] == "file":
                self._datasets.setdefault(item["name"], []).append(item)

    def datasets(self, name: str) -> list[dict[str, Any]]:
        """The datasets called `name`."""
        return self._datasets.get(name, [])

    def complete_sizes(self, name: str) -> list[int]:
        """The sizes (bytes) of the complete datasets called `name`."""
        return [dataset["raw_size"] for dataset in self.datasets(name) if is_complete(dataset)]

    def being_made(self, name: str) -> list[str]:
        """The ids of the datasets called `name` that are not complete yet; those of cancelled jobs never are (26.1)."""
        return [dataset["id"] for dataset in self.datasets(name)
                if dataset["state"] in NON_TERMINAL_DATASET_STATES and not is_complete(dataset)]


def is_complete(dataset: dict[str, Any]) -> bool:
    """Whether all bytes of a library dataset are there, though Galaxy may still read its metadata."""
    return dataset["state"] == "setting_metadata" or dataset["state"] not in (*LOST_STATES, *NON_TERMINAL_DATASET_STATES)


@dataclass
class LibraryListing:
    """The ids of the datasets and of the folders at each path, with / between names, of a library or below a folder."""

    files: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[str, list[str]] = field(default_factory=dict)

    def below(self, folder: str) -> LibraryListing:
        """The part below the folder at that path, with paths relative to it."""
        start = f"{folder}/"
        return LibraryListing(*({path[len(start):]: ids for path, ids in ids_by_path.items() if path.startswith(start)}
                                for ids_by_path in (self.files, self.folders)))


def list_library(galaxy: Galaxy, library: str) -> LibraryListing:
    """List everything in a library that the key's user may see, by one request, without sizes and states.

    It takes a tenth of the time of `open_folder` for each folder (26.1, 2,000 datasets: 0.5 s; 1.3 s for a user who is no
    administrator, and who of the folders that only fetches filled sees those that they may add to).
    """
    listing = LibraryListing()
    for item in galaxy.get(f"libraries/{library}/contents", timeout=(10, 300)):     # seconds
        if item["name"] != "/":
            ids_by_path = listing.files if item["type"] == "file" else listing.folders
            ids_by_path.setdefault(item["name"][1:], []).append(item["id"])
    return listing


def single_id(ids: list[str], kind: str, name: str) -> str:
    """Return the only id, "" if there is none; raise an error, with the ids, if several `kind` are called `name`."""
    if len(ids) > 1:
        raise GalaxyError(f"{len(ids)} {kind} are named {name!r}: {', '.join(ids)}; rename or delete all but one")
    return ids[0] if ids else ""


def find_library(galaxy: Galaxy, name: str) -> dict[str, Any] | None:
    """Return the library called exactly `name`, None if there is none; raise `GalaxyError` if there are several."""
    libraries = [library for library in galaxy.get("libraries", {"deleted": "false"}) if library["name"] == name]
    single_id([library["id"] for library in libraries], "libraries", name)
    return libraries[0] if libraries else None


class FolderNotListed(GalaxyError):
    """Galaxy fails over a folder's contents."""


def open_folder(galaxy: Galaxy, folder: str, library: str = "") -> LibraryFolder:
    """Return the folder with that id and all its items. With `library`, raise `GalaxyError` if it is not in that library or
    the key's user may not add to it: Galaxy 26.1 itself lets everybody add to every folder through `/api/tools/fetch`."""
    items: dict[str, dict[str, Any]] = {}
    for offset in range(0, MOST_PAGES * PAGE_SIZE, PAGE_SIZE):
        try:
            answer = galaxy.get(f"folders/{folder}/contents", {"limit": PAGE_SIZE, "offset": offset})
        except GalaxyError as error:
            if error.status != 500:
                raise
            raise FolderNotListed(f"{error} (Galaxy 26.1 lists no folder without a description, as fetches leave them; this "
                                  f"gives it one: update.py KEY {galaxy.base}/api/folders/{folder} description=x)",
                                  status=500) from None
        about = answer["metadata"]
        if library and about["parent_library_id"] != library:
            raise GalaxyError(f"folder {folder} ({about['folder_name']}) is not in library {library}")
        if library and not about["can_add_library_item"]:
            raise GalaxyError(f"this key's user may not add to folder {folder} ({about['folder_name']}): the library's "
                              "managers and the server's administrator can permit it")
        # When subfolders fill a page, Galaxy 26.1 puts all datasets behind them, so some come twice.
        count = len(items)
        items.update((item["type"] + item["id"], item) for item in answer["folder_contents"])
        if offset + PAGE_SIZE >= about["total_rows"] or len(items) == count:
            return LibraryFolder(folder, list(items.values()))
    raise GalaxyError(f"folder {folder}: {len(items)} items, and no end of them")


def find_folders(galaxy: Galaxy, library: str, start: str, paths: Iterable[FolderPath]) -> dict[FolderPath, LibraryFolder]:
    """Return those folders that exist at `paths` below the folder `start`, with those on the way to them, by one request for
    each 500 items of each. Raises `GalaxyError` as `open_folder` does, and if two folders have the same path."""
    folders: dict[FolderPath, LibraryFolder] = {(): open_folder(galaxy, start, library)}
    prefixes = {path[:length] for path in paths for length in range(1, len(path) + 1)}
    for path in sorted(prefixes, key=len):
        parent = folders.get(path[:-1])
        folder = single_id([item["id"] for item in parent.items if item["type"] == "folder" and item["name"] == path[-1]],
                           "folders", "/".join(path)) if parent else ""
        if folder:
            folders[path] = open_folder(galaxy, folder, library)
    return folders


def find_library_dataset(galaxy: Galaxy, path: str, label: str, folders: dict[FolderPath, LibraryFolder | None]
                         ) -> dict[str, Any]:
    """Return the dataset at /LIBRARY/FOLDER/NAME; raise `ReferenceProblem` for none, or several. `folders` keeps the folders
    that were asked for."""
    library, *names, name = path.strip("/").split("/") if "/" in path.strip("/") else ("", "")
    if not library or not name:
        raise ReferenceProblem(f"{label}: expected lib:/LIBRARY/FOLDER/NAME")
    where = (library, *names)
    if where not in folders:
        about = find_library(galaxy, library)
        if not about:
            raise ReferenceProblem(f"{label}: there is no library {library!r}")
        try:
            folders[where] = find_folders(galaxy, "", about["root_folder_id"], [tuple(names)]).get(tuple(names))
        except FolderNotListed:
            folders[where] = _folder_of_listing(list_library(galaxy, about["id"]), names)
    folder = folders[where]
    datasets = folder.datasets(name) if folder else []
    if len(datasets) != 1:
        raise ReferenceProblem(f"{label}: the library has {len(datasets) or 'nothing'} with that name")
    return datasets[0] if "state" in datasets[0] else dict(galaxy.get(f"libraries/datasets/{datasets[0]['id']}"))


def _folder_of_listing(listing: LibraryListing, names: list[str]) -> LibraryFolder:
    """Return the folder at a path as far as the library's listing tells: its datasets, without sizes and states."""
    return LibraryFolder("", [{"type": "file", "id": dataset, "name": path.rpartition("/")[2]}
                              for path, datasets in listing.files.items() if path.rpartition("/")[0] == "/".join(names)
                              for dataset in datasets])


def resolve_library_paths(galaxy: Galaxy, refs: list[str], codes: list[int] | None = None) -> list[str]:
    """Return `refs` with `ld:ID` in place of lib:/LIBRARY/FOLDER/NAME; where there is none, raise `GalaxyError`, or report
    it and add the exit code to `codes`, if given."""
    folders: dict[FolderPath, LibraryFolder | None] = {}
    resolved = []
    for ref in refs:
        try:
            if ref.startswith("lib:"):
                ref = f"ld:{find_library_dataset(galaxy, ref[4:], ref, folders)['id']}"
            resolved.append(ref)
        except ReferenceProblem as error:
            if codes is None:
                raise
            codes.append(report_error(str(error)))
    return resolved


def ensure_folder(galaxy: Galaxy, folders: dict[FolderPath, LibraryFolder], path: FolderPath) -> LibraryFolder:
    """Return the folder at `path`; create it, and those above it, if missing from `folders`, and add it there."""
    if path not in folders:
        parent = ensure_folder(galaxy, folders, path[:-1])
        folders[path] = LibraryFolder(galaxy.post(f"folders/{parent.id}", {"name": path[-1], "description": ""})["id"])
    return folders[path]


def require_path_paste(galaxy: Galaxy, alternative: str = "") -> None:
    """Raise `GalaxyError`, ending in `alternative`, unless this key may have the server read its own files by path."""
    galaxy.require_admin("naming paths on the server", alternative)
    if not galaxy.get("configuration").get("allow_library_path_paste"):
        raise GalaxyError("the server takes no paths: its administrator can set allow_path_paste: true in galaxy.yml"
                          f"{alternative}")
