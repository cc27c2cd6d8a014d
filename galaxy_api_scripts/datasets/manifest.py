"""The `manifest.tsv` of a folder of downloads, with a line for each dataset."""
from __future__ import annotations

import contextlib
import csv
import io
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from common import GalaxyError
from galaxy_api_scripts.datasets.download_paths import DownloadItem
from galaxy_api_scripts.files import write_atomic

MANIFEST = "manifest.tsv"
COLUMNS = ["ref", "name", "path", "size", "hash", "state", "hid", "history", "collection", "folder", "element"]
OLD_COLUMNS = ["id", *COLUMNS[1:6]]     # of manifests made before 2026-11-29
Key = tuple[str, str, str]              # of an item


class Manifest:
    """The `manifest.tsv` of a folder of downloads: `rows` by their items' keys.

    A row is added before its file gets its name, so that a killed run leaves no file that the next one does not know.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / MANIFEST
        self.rows: dict[Key, dict[str, str]] = {}
        self.has_old_rows = self.has_old_columns = False        # more than one row for some dataset
        self._mutex = threading.Lock()
        self._stat = _stat_of(self.path)
        with contextlib.suppress(FileNotFoundError), open(self.path, encoding="utf-8", errors="replace", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t")
            if reader.fieldnames not in (None, COLUMNS, OLD_COLUMNS):       # None: the disk was full before its first line
                raise GalaxyError(
                    f"{self.path}: not a manifest of downloads: move it away, or name another folder with --to")
            for row in reader:
                if None not in row and None not in row.values():     # a killed process may leave half a line
                    if os.path.isabs(row["path"]) or ".." in row["path"].split("/"):
                        raise GalaxyError(
                            f"{self.path}: {row['path']!r} is not in this folder: mend that line, or remove it")
                    row = {**dict.fromkeys(COLUMNS, ""), "ref": f"hda:{row.get('id')}", **row}
                    key = (row["ref"], row["collection"], row["element"])
                    self.has_old_rows |= key in self.rows
                    self.rows[key] = row
            self.has_old_columns = reader.fieldnames == OLD_COLUMNS

    def has_path(self, keys: Iterable[Key], path: str) -> bool:
        """Whether one of these rows has that path."""
        with self._mutex:
            return any(key in self.rows and self.rows[key]["path"] == path for key in keys)

    def give_up(self, keys: Iterable[Key], path: str) -> bool:
        """Remove those of these rows that have that path, because its file is replaced; returns whether there were any."""
        with self._mutex:
            old = [key for key in keys if key in self.rows and self.rows[key]["path"] == path]
            for key in old:
                del self.rows[key]
            self.has_old_rows |= bool(old)
        return bool(old)

    def has_changed(self) -> bool:
        """Whether another run has written to the file since it was read."""
        return self._stat != _stat_of(self.path)

    def has_file(self, item: DownloadItem) -> bool:
        """Whether the dataset's file exists with the right size."""
        row = self.rows.get(item.key)
        if not row or not row["path"] or not row["size"]:
            return False
        file, size = self.folder / row["path"], item.about.get("file_size")
        if size is None or (row["path"].endswith(".zip") and "zip" not in item.ext):
            size = int(row["size"])
        return file.is_file() and file.stat().st_size == int(row["size"]) == size

    def add(self, item: DownloadItem, path: str, size: int | str, digest: str, state: str) -> None:
        """Add a dataset's row, in place of an earlier one."""
        history = item.about.get("history_id") or item.history_ref.partition(":")[2]
        facts = (item.ref, item.about.get("name"), path, size, digest, state, item.about.get("hid") or "", history,
                 item.collection_ref, item.folder, "/".join(item.element))
        row = dict(zip(COLUMNS, (str(fact).replace("\r", " ") for fact in facts)))      # csv quotes no \r before Python 3.13
        with self._mutex:
            before = self.rows.get(item.key)
            if row == before:
                return
            self.has_old_rows |= before is not None
            self.rows[item.key] = row
            with open(self.path, "ab+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 1, 0))
                half_line = file.read() not in (b"", b"\n")      # of a run that was killed, or whose disk was full
                file.write((b"\n" if half_line else b"") + _format_rows([] if size else [COLUMNS], [row]))

    def carry_over(self) -> None:
        """Give a file that has the old columns the new ones; for who holds the folder's lock."""
        if self.has_old_columns:
            self._rewrite()
            self.has_old_columns = False

    def remove_old_rows(self) -> None:
        """Keep one row for each dataset in the file."""
        if self.has_old_rows:
            self._rewrite()

    def _rewrite(self) -> None:
        write_atomic(self.path, _format_rows([COLUMNS], self.rows.values()), overwrite=True)


def _stat_of(path: Path) -> tuple[int, ...]:
    with contextlib.suppress(FileNotFoundError):
        about = path.stat()
        return about.st_ino, about.st_size, about.st_mtime_ns
    return ()


def _format_rows(heading: list[list[str]], rows: Iterable[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([*heading, *([row[name] for name in COLUMNS] for row in rows)])
    return text.getvalue().encode(errors="replace")
