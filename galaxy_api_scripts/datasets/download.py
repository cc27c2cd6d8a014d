"""Download datasets, collections and histories into a folder: what belongs to them, the files' names, what is there already.

The folder's `manifest.tsv` has a line for each dataset, so that the next run fetches only what is missing or wrong.
"""
from __future__ import annotations

import contextlib
import csv
import io
import os
import queue
import string
import sys
import threading
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import (
    DONE,
    NON_TERMINAL_DATASET_STATES,
    SOME_FAILED,
    TRY_LATER,
    USAGE,
    Galaxy,
    GalaxyError,
    backoff,
    parse_id,
    report_error,
)
from galaxy_api_scripts.datasets.collections import element_datasets
from galaxy_api_scripts.datasets.hashing import best_hash, hash_file
from galaxy_api_scripts.datasets.http_download import ExpectedFile, UnexpectedArchive, download_file
from galaxy_api_scripts.datasets.sources import datatype_ending, guess_datatype
from galaxy_api_scripts.files import hold_lock, safe_ending, safe_name, write_atomic
from galaxy_api_scripts.progress import STALL_TIMEOUT, progress_bar

MANIFEST = "manifest.tsv"
COLUMNS = ["id", "name", "path", "size", "hash", "state"]
TEMPLATE_FIELDS = ["name", "ext", "id", "hid", "element", "collection", "history"]
HASH_TIMEOUT = 600      # seconds that Galaxy may take to hash a dataset


# ------------------------------------------------------------------------------------------------------ what to download

@dataclass
class DownloadItem:
    """A dataset to download, as Galaxy describes it, and where it belongs."""

    about: dict[str, Any]
    history: str = ""                   # its name
    collection: str = ""                # its name
    element: tuple[str, ...] = ()       # its element identifier, after those of the collections that it is in

    @property
    def id(self) -> str:
        return str(self.about["id"])

    @property
    def ext(self) -> str:
        return str(self.about.get("extension") or self.about.get("file_ext"))

    @property
    def label(self) -> str:
        """Its name in messages."""
        name = "/".join((self.collection, *self.element)) if self.element else self.about.get("name")
        return f"dataset {self.id} ({name})"


def resolve_items(galaxy: Galaxy, text: str) -> list[DownloadItem]:
    """The datasets that `text` names: `ID` or `hda:ID`; `hdca:ID` (all of the collection); `history:ID` or `history:NAME`
    (all that its page shows, those in collections too). Raises `GalaxyError`."""
    kind, sign, rest = text.partition(":")
    if sign and kind == "history":
        return _history_items(galaxy, rest)
    if sign and kind == "hdca":
        return _collection_items(galaxy.get(f"dataset_collections/{parse_id(rest, 'hdca:ID')}"))
    dataset = parse_id(rest if sign and kind == "hda" else text, "hda:ID")
    about = galaxy.get(f"datasets/{dataset}")
    if not isinstance(about, dict) or not isinstance(about.get("file_size", 0), int) or "id" not in about:
        raise GalaxyError(f"dataset {dataset}: {galaxy.base} answers with something else: is it a Galaxy?")
    return [DownloadItem(about)]


def _history_items(galaxy: Galaxy, text: str) -> list[DownloadItem]:
    history = galaxy.resolve("histories", text)
    ask = {"v": "dev", "keys": "id,hid,name,state,deleted,purged,extension,file_size,hashes",
           "q": ["deleted", "visible"], "qv": ["false", "true"]}
    items: list[DownloadItem] = []
    for content in galaxy.pages(f"histories/{history['id']}/contents", ask):
        if content["history_content_type"] == "dataset":
            items.append(DownloadItem(content, history["name"]))
        else:
            items += _collection_items(galaxy.get(f"dataset_collections/{content['id']}"), history["name"])
    return items


def _collection_items(collection: dict[str, Any], history: str = "") -> list[DownloadItem]:
    name, state = collection.get("name") or "", collection.get("populated_state")
    label = f"collection {collection['id']} ({name})"
    if collection.get("deleted"):
        raise GalaxyError(f"{label} is deleted, so nothing was fetched")
    if state == "new":
        raise GalaxyError(f"{label} is in state new, so nothing was fetched: fetch it when it is ok", TRY_LATER)
    if state not in ("ok", None):
        raise GalaxyError(f"{label} is in state {state}, so nothing was fetched")
    return [DownloadItem(dataset, history, name, element) for element, dataset in element_datasets(collection["elements"])
            if dataset]


# ------------------------------------------------------------------------------------------------------ the files' names

def parse_name_template(text: str | None) -> str:
    """`text` if it is a template of paths, such as `{collection}/{element}.{ext}`, else a usage error; "", the default
    template, for None."""
    if text is None:
        return ""
    try:
        parts = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
        fields = [field if not spec and not conversion else "" for field, spec, conversion in parts]
    except ValueError:
        fields = [""]
    if not fields or not {*fields} <= {*TEMPLATE_FIELDS}:
        known = ", ".join(f"{{{field}}}" for field in TEMPLATE_FIELDS)
        raise GalaxyError(f"--name={text}: expected a template with {known}", USAGE)
    return text


class UniquePaths:
    """Paths in a folder, of which no two are the same, not even where case makes no difference.

    `template` is one of `parse_name_template`; `paths` are in use already.
    """

    def __init__(self, template: str = "", paths: Iterable[str] = ()):
        self.template, self.files, self.folders = template, set[str](), set[str]()
        for path in paths:
            self._reserve(_fold(path))

    def path(self, item: DownloadItem) -> str:
        """An unused path for `item`: by the template, else from the names of its collection and element, or its own, with
        its datatype; with its id if that is in use."""
        identity = safe_name(item.id)[:40]
        marks = ["", f" ({identity})", *(f" ({identity}, {number})" for number in range(2, 1000))]
        for path in (self._fill_template(item, mark) for mark in marks):
            if not self.files.isdisjoint(_parents(_fold(path))):
                path = path.replace("/", " (folder)/", 1)
            folded = _fold(path)
            if folded not in self.files | self.folders and self.files.isdisjoint(_parents(folded)):
                self._reserve(folded)
                return path
        raise GalaxyError(f"{item.label}: every name for it is in use")

    def _reserve(self, folded: str) -> None:
        self.files.add(folded)
        self.folders.update(_parents(folded))

    def _fill_template(self, item: DownloadItem, mark: str) -> str:
        template = self.template or ("{collection}/{element}.{ext}" if item.element else "{name}.{ext}")
        name, hid = (str(item.about.get(field) or "") for field in ("name", "hid"))
        *outer, inner = item.element or (name,)
        ext = safe_ending(datatype_ending(inner) if guess_datatype(inner) == item.ext else item.ext)
        path = template.format(
            name=safe_name(name, without=ext), ext=ext, id=safe_name(item.id), hid=hid and safe_name(hid),
            element="/".join([*map(safe_name, outer), safe_name(inner, without=ext)]),
            collection=item.collection and safe_name(item.collection), history=item.history and safe_name(item.history))
        *folders, file = [part for part in path.split("/") if part] or ["dataset"]
        end = f".{ext}" if ext and file.endswith(f".{ext}") else ""
        return "/".join([*map(safe_name, folders), safe_name(file, mark + end, without=ext if end else "")])


def _fold(path: str) -> str:
    """What paths that a file system may take for the same have in common."""
    return unicodedata.normalize("NFC", path).casefold()


def _parents(path: str) -> list[str]:
    """The folders that a path is in."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


# ---------------------------------------------------------------------------------------------------------- the manifest

class Manifest:
    """The `manifest.tsv` of a folder of downloads: `rows` are `{dataset's id: row}`.

    A row is added before its file gets its name, so that a killed run leaves no file that the next one does not know.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / MANIFEST
        self.rows: dict[str, dict[str, str]] = {}
        self.has_old_rows = False       # more than one for some dataset
        self._mutex = threading.Lock()
        with contextlib.suppress(FileNotFoundError), open(self.path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t")
            if reader.fieldnames not in (None, COLUMNS):        # None: the disk was full before its first line
                raise GalaxyError(
                    f"{self.path}: not a manifest of downloads: move it away, or name another folder with --to")
            for row in reader:
                if None not in row and None not in row.values():     # a killed process may leave half a line
                    if os.path.isabs(row["path"]) or ".." in row["path"].split("/"):
                        raise GalaxyError(
                            f"{self.path}: {row['path']!r} is not in this folder: mend that line, or remove it")
                    self.has_old_rows |= row["id"] in self.rows
                    self.rows[row["id"]] = row

    def has_file(self, item: DownloadItem) -> bool:
        """Whether the dataset's file exists with the right size."""
        row = self.rows.get(item.id)
        if not row or not row["path"] or not row["size"]:
            return False
        file = self.folder / row["path"]
        size = item.about.get("file_size") if not row["path"].endswith(".zip") or "zip" in item.ext else int(row["size"])
        return file.is_file() and file.stat().st_size == int(row["size"]) == size

    def add(self, item: DownloadItem, path: str, size: int | str, digest: str, state: str) -> None:
        """Add a dataset's row, in place of an earlier one."""
        name = str(item.about.get("name")).replace("\r", " ")       # csv does not quote it before Python 3.13
        row = dict(zip(COLUMNS, (item.id, name, path, str(size), digest, state)))
        with self._mutex, _manifest_lock(self.folder):
            before = self.rows.get(item.id)
            if row == before:
                return
            self.has_old_rows |= before is not None
            self.rows[item.id] = row
            with open(self.path, "ab+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 1, 0))
                half_line = file.read() not in (b"", b"\n")      # of a run that was killed, or whose disk was full
                file.write((b"\n" if half_line else b"") + _format_rows([] if size else [COLUMNS], [row]))

    def remove_old_rows(self) -> None:
        """Keep one row for each dataset in the file."""
        if self.has_old_rows:
            with self._mutex, _manifest_lock(self.folder):
                rows = Manifest(self.folder).rows       # another run may have added some
                write_atomic(self.path, _format_rows([COLUMNS], rows.values()), overwrite=True)


def _format_rows(heading: list[list[str]], rows: Iterable[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([*heading, *([row[name] for name in COLUMNS] for row in rows)])
    return text.getvalue().encode(errors="replace")


@contextlib.contextmanager
def _manifest_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder's manifest after any process that writes it now; nothing on a file system without locks."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(hold_lock(folder, on_wait=lambda: None))
        yield


# ----------------------------------------------------------------------------------------------------------- downloading

class DownloadFolder:
    """A folder of downloads, with its manifest.

    `overwrite` replaces files that the manifest does not know; `verify` compares the bytes with Galaxy's hash of them;
    `stall` is how many seconds may pass without progress.
    """

    def __init__(self, galaxy: Galaxy, folder: Path, template: str = "", overwrite: bool = False, verify: bool = False,
                 stall: float = STALL_TIMEOUT):
        self.galaxy, self.folder, self.overwrite, self.verify, self.stall = galaxy, folder, overwrite, verify, stall
        self.manifest = Manifest(folder)
        self.paths = UniquePaths(template, [MANIFEST, *(row["path"] for row in self.manifest.rows.values() if row["path"])])

    def download(self, items: list[DownloadItem], parallel: int, total: Any = None
                 ) -> Iterator[tuple[DownloadItem, Path | Exception]]:
        """Fetch the items, `parallel` at once; yields each as soon as it is done, with its path, or the `GalaxyError` or
        OSError that says why there is none."""
        paths = [(item, self._choose_path(item)) for item in items]
        yield from run_parallel(lambda pair: self._fetch(pair[0], pair[1], total), paths, parallel)
        self.manifest.remove_old_rows()

    def _choose_path(self, item: DownloadItem) -> str:
        row = self.manifest.rows.get(item.id)
        return row["path"] if row and row["path"] else self.paths.path(item)

    def _fetch(self, item: DownloadItem, path: str, total: Any) -> Path:
        """Fetch one dataset, unless its file is there as it should be."""
        about, file, state = item.about, self.folder / path, str(item.about.get("state"))
        is_deleted = about.get("deleted") or about.get("purged")
        if state != "ok" or is_deleted:
            later = ": fetch it when it is ok" if state in NON_TERMINAL_DATASET_STATES else ""
            if not file.exists():
                self.manifest.add(item, "", about.get("file_size") or 0, "", "deleted" if is_deleted else state)
            raise GalaxyError(f"{item.label} is {'deleted' if is_deleted else f'in state {state}'}, not ok, so nothing was "
                              f"fetched{later}")
        has_file = self.manifest.has_file(item)
        algorithm, digest = self._galaxys_hash(item) if self.verify else ("", "")
        if has_file and (not self.verify or hash_file(file, algorithm) == digest):
            if total is not None:
                total.update(about.get("file_size") or 0)
            return file
        is_ours = item.id in self.manifest.rows and self.manifest.rows[item.id]["path"] == path
        file.parent.mkdir(parents=True, exist_ok=True)
        overwrite, size = self.overwrite or is_ours, about.get("file_size")
        try:
            self._receive(item, path, ExpectedFile(size, algorithm, digest, may_be_zip="zip" in item.ext), overwrite, total)
        except UnexpectedArchive:
            if self.galaxy.get(f"datasets/{item.id}/extra_files"):
                path += "" if path.endswith(".zip") else ".zip"
                file = self.folder / path
                self._receive(item, path, ExpectedFile(), overwrite, total, packed=True)
            else:       # Galaxy packs what may have companion files, unless it is asked for `raw` (26.1, measured)
                self._receive(item, path, ExpectedFile(size, algorithm, digest), overwrite, total, raw=True)
        return file

    def _receive(self, item: DownloadItem, path: str, expected: ExpectedFile, overwrite: bool, total: Any, *,
                 raw: bool = False, packed: bool = False) -> None:
        """Download a dataset's file, or with `packed` an archive of it and its companions, and note it in the manifest."""
        def note_in_manifest(part: Path, computed: str) -> None:
            if packed and (not zipfile.is_zipfile(part) or zipfile.ZipFile(part).testzip()):
                raise GalaxyError(f"{item.label}: the archive of it is broken: fetch it again", TRY_LATER)
            known = (expected.algorithm, computed) if computed else None if packed else best_hash(item.about)
            self.manifest.add(item, path, part.stat().st_size, ":".join(known) if known else "", "ok")

        before = self.manifest.rows.get(item.id)
        try:
            # Without `to_ext` old servers answer with a rendered page for some datatypes.
            download_file(self.galaxy, f"datasets/{item.id}/display", self.folder / path, label=item.label,
                          params={"to_ext": item.ext, **({"raw": "true"} if raw else {})}, expected=expected,
                          overwrite=overwrite, stall=self.stall, total=total, before_publish=note_in_manifest)
        except GalaxyError:
            if self.manifest.rows.get(item.id) is not before:       # a file that is not ours took the name meanwhile
                self.manifest.add(item, "", item.about.get("file_size") or 0, "", "ok")
            raise

    def _galaxys_hash(self, item: DownloadItem) -> tuple[str, str]:
        """Galaxy's hash of the dataset, which it is asked to compute if it has none."""
        known = best_hash(item.about if "hashes" in item.about else self.galaxy.get(f"datasets/{item.id}"))
        if known:
            return known
        self.galaxy.put(f"datasets/{item.id}/hash", {"hash_function": "SHA-256"})
        for _ in backoff(HASH_TIMEOUT):
            known = best_hash(self.galaxy.get(f"datasets/{item.id}"))
            if known:
                return known
        raise GalaxyError(f"{item.label}: Galaxy has no hash to compare with and made none in {HASH_TIMEOUT} s: without "
                          "--verify its size is compared", TRY_LATER)


def run_parallel(work: Callable[[Any], Path], tasks: list[Any], parallel: int) -> Iterator[tuple[Any, Path | Exception]]:
    """The first member and the result, `work(task)`, of each of `tasks`, `parallel` at once, as they end.

    The threads end with the process, so that Ctrl-C waits for none.
    """
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run_waiting() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                task = waiting.get_nowait()
                try:
                    ended.put((task[0], work(task)))
                except Exception as error:
                    ended.put((task[0], error))

    for task in tasks:
        waiting.put(task)
    for _ in range(min(parallel, len(tasks))):
        threading.Thread(target=run_waiting, daemon=True).start()
    for _ in tasks:
        yield ended.get()


def download_all(folder: DownloadFolder, texts: list[str], parallel: int) -> int:
    """Download all that `texts` name (see `resolve_items`), print the paths, report what failed; returns the exit status."""
    items: dict[str, DownloadItem] = {}
    codes: list[int] = []
    for text in texts:
        try:
            for item in resolve_items(folder.galaxy, text):
                items.setdefault(item.id, item)
        except GalaxyError as error:
            if error.exit_code == USAGE:
                raise
            _raise_if_hopeless(folder.galaxy, error, len(texts) - 1)
            codes.append(report_error(str(error), error.exit_code))
    paths = download_items(folder, list(items.values()), parallel, codes)
    if not codes:
        return DONE
    return SOME_FAILED if paths else codes[0]


def download_items(folder: DownloadFolder, items: list[DownloadItem], parallel: int, codes: list[int],
                   on_file: Callable[[Path], Any] = print) -> dict[str, Path]:
    """Download the items; returns `{id: path}`. `on_file` is called with each path as soon as its file is there; a
    failure is reported and its exit code added to `codes`. Raises `GalaxyError` where all others would fail as well."""
    size = sum(item.about.get("file_size") or 0 for item in items)
    paths: dict[str, Path] = {}
    with progress_bar(size, "all") if len(items) > 1 else contextlib.nullcontext() as total:
        for item, path in folder.download(items, parallel, total):
            if isinstance(path, GalaxyError):
                _raise_if_hopeless(folder.galaxy, path, len(items) - len(paths) - len(codes) - 1)
                codes.append(report_error(str(path), path.exit_code))
            elif isinstance(path, OSError):
                codes.append(report_error(f"{item.label}: {path.filename or folder.folder}: {path.strerror or path}"))
            elif isinstance(path, Exception):
                raise path
            else:
                paths[item.id] = path
                on_file(path)
                sys.stdout.flush()
    return paths


def _raise_if_hopeless(galaxy: Galaxy, error: GalaxyError, others: int) -> None:
    """Raise `error` if so many `others` would fail as well, each after its time limit: the server is away, or refuses the
    key. It may also be one dataset's own: a server takes it from a store of its own."""
    if error.status != 401:
        if error.exit_code != TRY_LATER:
            return
        try:
            galaxy.request("GET", "version", patience=0)
            return
        except GalaxyError as now:
            if now.exit_code != TRY_LATER:
                return
    rest = f"; {others} more {'is' if others == 1 else 'are'} not fetched either" if others > 0 else ""
    raise GalaxyError(f"{error}{rest}", error.exit_code, status=error.status) from error
