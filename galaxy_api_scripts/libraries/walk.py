"""What is in a data library, folder by folder."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.libraries.contents import (
    FolderNotListed,
    FolderPath,
    LibraryListing,
    find_folders,
    list_library,
    open_folder,
)


def split_path(text: str | None) -> FolderPath:
    """The names in a path such as `/runs/2026/`."""
    return tuple(part for part in (text or "").split("/") if part)


def find_folder(galaxy: Galaxy, library: str, root: str, names: FolderPath, option: str = "--path") -> str:
    """The id of the folder at the path of `names`, the value of `option`; `GalaxyError` for none and for several."""
    if not names:
        return root
    try:
        folder = find_folders(galaxy, "", root, [names]).get(names)
        ids = [folder.id] if folder else []
    except FolderNotListed:
        ids = list_library(galaxy, library).folders.get("/".join(names), [])
    if len(ids) != 1:
        raise GalaxyError(f"{option}: {len(ids) or 'no'} folders {'/'.join(names)!r} are in the library")
    return ids[0]


def walk_folder(galaxy: Galaxy, library: str, folder: str, path: FolderPath = (), recursive: bool = True
                ) -> Iterator[tuple[FolderPath, dict[str, Any]]]:
    """Yield the path of each item of a folder, and if `recursive` of those below, and Galaxy's description of it: `type`,
    `id` and `name` alone where Galaxy fails to list the folder. `path` is that of the folder."""
    try:
        items = open_folder(galaxy, folder).items
    except FolderNotListed:
        yield from _walk_listing(list_library(galaxy, library), path, recursive)
        return
    for item in sorted(items, key=lambda item: (item["name"], item["id"])):
        inner = (*path, item["name"])
        yield inner, item
        if recursive and item["type"] != "file":
            yield from walk_folder(galaxy, library, item["id"], inner)


def _walk_listing(listing: LibraryListing, start: FolderPath, recursive: bool
                  ) -> Iterator[tuple[FolderPath, dict[str, Any]]]:
    """The items below `start` that the library's list has, which tells neither sizes nor states."""
    for kind, ids_by_path in (("folder", listing.folders), ("file", listing.files)):
        for text, ids in ids_by_path.items():
            path = tuple(text.split("/"))
            if path[:len(start)] == start and len(path) > len(start) and (recursive or len(path) == len(start) + 1):
                yield from ((path, {"type": kind, "id": one, "name": path[-1]}) for one in ids)
