"""Downloads of a data library's folders, as folders on disk."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import Galaxy
from galaxy_api_scripts.datasets.download import DownloadFolder
from galaxy_api_scripts.datasets.download_paths import DownloadItem
from galaxy_api_scripts.datasets.lookup import fetch_library_dataset
from galaxy_api_scripts.libraries.walk import walk_folder


def scope_of(folder: str) -> str:
    """What stands in the manifest for all that was downloaded from a library's folder."""
    return f"folder:{folder}"


def iter_downloads(galaxy: Galaxy, library: str, folder: str) -> Iterator[DownloadItem]:
    """Yield each dataset below a library's folder, with its path from there."""
    for path, item in walk_folder(galaxy, library, folder):
        if item["type"] == "file":
            about: dict[str, Any] = {
                "id": item["ldda_id"], "library_dataset": item["id"], "name": item["name"], "state": item["state"],
                "extension": item.get("file_ext"), "file_size": item["raw_size"], "deleted": item.get("deleted"),
            } if "ldda_id" in item else fetch_library_dataset(galaxy, "ld", item["id"])
            yield DownloadItem(about, src="ldda", collection_ref=scope_of(folder), element=path)


def describe(item: DownloadItem, path: Path, replaces: bool) -> dict[str, Any]:
    """The row for a file that is fetched."""
    return {"action": "replace" if replaces else "download", "path": str(path), "file_size": item.about.get("file_size"),
            "ref": item.ref}


def plan_downloads(folder: DownloadFolder, items: list[DownloadItem]) -> Iterator[dict[str, Any]]:
    """Yield the rows for the files that would be fetched."""
    for item, path in folder.plan(items):
        file = folder.folder / path
        if item.about.get("state") == "ok" and not item.about.get("deleted") and not folder.is_there(item, file):
            yield describe(item, file, file.exists())
