"""Datasets, collections and histories to a folder: what belongs to them, the files' names, what is there already.

What is in a folder of downloads stands in its `manifest.tsv`, a line for each dataset, so that the next run fetches only
what is missing or wrong.
"""
from __future__ import annotations

import contextlib
import csv
import io
import os
import queue
import re
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
from galaxy_api_scripts.files import hold_lock, write_atomic
from galaxy_api_scripts.progress import STALL_TIMEOUT, progress_bar

MANIFEST = "manifest.tsv"
COLUMNS = ["id", "name", "path", "size", "hash", "state"]
FIELDS = ["name", "ext", "id", "hid", "element", "collection", "history"]       # of a template of names
KINDS = ("hda", "hdca", "history")
HASHING = 600       # seconds that Galaxy may take to hash a dataset


# --------------------------------------------------------------------------------------------------- what is to be fetched

@dataclass
class DownloadItem:
    """A dataset that is wanted, as Galaxy describes it, and where it belongs."""

    about: dict[str, Any]
    history: str = ""                   # names, as those below
    collection: str = ""
    element: tuple[str, ...] = ()       # its element identifier, behind those of the collections that it is in

    @property
    def id(self) -> str:
        return str(self.about["id"])

    @property
    def ext(self) -> str:
        return str(self.about.get("extension") or self.about.get("file_ext"))

    @property
    def label(self) -> str:
        """What messages call it."""
        where = "/".join((self.collection, *self.element)) if self.element else self.about.get("name")
        return f"dataset {self.id} ({where})"


def resolve_items(galaxy: Galaxy, text: str, kind: str) -> list[DownloadItem]:
    """The datasets that `text` names: `hda:ID`, `hdca:ID` (all that are in the collection), `history:ID` or `history:NAME`
    (all that a person sees there, collections too); an id alone is of a `kind` (`hda`, `hdca`)."""
    prefix, sign, rest = text.partition(":")
    if sign and prefix in KINDS:
        kind, text = prefix, rest
    if kind == "history":
        return _of_history(galaxy, text)
    thing = parse_id(text, f"{kind}:ID")
    if kind == "hdca":
        return _of_collection(galaxy.get(f"dataset_collections/{thing}"))
    about = galaxy.get(f"datasets/{thing}")
    if not isinstance(about, dict) or not isinstance(about.get("file_size", 0), int) or "id" not in about:
        raise GalaxyError(f"dataset {thing}: {galaxy.base} answers with something else: is it a Galaxy?")
    return [DownloadItem(about)]


def _of_history(galaxy: Galaxy, text: str) -> list[DownloadItem]:
    about = galaxy.resolve("histories", text)
    ask = {"v": "dev", "keys": "id,hid,name,state,deleted,purged,extension,file_size,hashes",
           "q": ["deleted", "visible"], "qv": ["false", "true"]}
    found: list[DownloadItem] = []
    for thing in galaxy.pages(f"histories/{about['id']}/contents", ask):
        if thing["history_content_type"] == "dataset":
            found.append(DownloadItem(thing, about["name"]))
        else:
            found += _of_collection(galaxy.get(f"dataset_collections/{thing['id']}"), about["name"])
    return found


def _of_collection(about: dict[str, Any], history: str = "") -> list[DownloadItem]:
    name = about.get("name") or ""
    if about.get("deleted"):
        raise GalaxyError(f"collection {about['id']} ({name}) is deleted, so nothing was fetched")
    if about.get("populated_state") not in ("ok", None):
        later = about["populated_state"] == "new"
        raise GalaxyError(f"collection {about['id']} ({name}) is in state {about['populated_state']}, so nothing was fetched"
                      f"{': fetch it when it is ok' if later else ''}", TRY_LATER if later else 1)

    return [DownloadItem(dataset, history, name, names) for names, dataset in element_datasets(about["elements"]) if dataset]


# -------------------------------------------------------------------------------------------------------- the files' names

def parse_name_template(text: str | None) -> str:
    """`text` where it is a template of names, such as `{collection}/{element}.{ext}`; a usage error where it is none. "" is
    the usual one."""
    if text is None:
        return ""
    try:
        parts = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
        fields = [field if not spec and not conversion else "" for field, spec, conversion in parts]
    except ValueError:
        fields = [""]
    unknown = [field for field in fields if field not in FIELDS]
    if unknown or not fields:
        raise GalaxyError(f"--name={text}: a template with {', '.join(f'{{{field}}}' for field in FIELDS)} is wanted", USAGE)
    return text


class UniquePaths:
    """Paths in a folder, of which no two are the same, also where capitals make no difference."""

    def __init__(self, pattern: str = "", given: Iterable[str] = ()):
        self.pattern, self.taken, self.folders = pattern, set[str](), set[str]()
        for path in given:
            self._take(_folded(path))

    def path(self, item: DownloadItem) -> str:
        """A path for an item that no other has: as the pattern says, else the names of its collection and element or its
        own, with its datatype; with its id where that is taken."""
        marks = ["", f" ({item.id})", *(f" ({item.id}, {number})" for number in range(2, 1000))]
        for path in (self._with(item, mark) for mark in marks):
            if not self.taken.isdisjoint(_above(_folded(path))):
                path = path.replace("/", " (folder)/", 1)
            folded = _folded(path)
            if folded not in self.taken | self.folders and self.taken.isdisjoint(_above(folded)):
                self._take(folded)
                return path
        raise GalaxyError(f"{item.label}: no name is free for it")

    def _take(self, folded: str) -> None:
        self.taken.add(folded)
        self.folders.update(_above(folded))

    def _with(self, item: DownloadItem, mark: str) -> str:
        pattern = self.pattern or ("{collection}/{element}.{ext}" if item.element else "{name}.{ext}")
        called = item.element[-1] if item.element else str(item.about.get("name"))
        ext = datatype_ending(called) if guess_datatype(called) == item.ext else safe_extension(item.ext)
        own = safe_name(str(item.about.get("name") or ""), ext)
        element = "/".join(safe_name(part, ext if last else "") for last, part in _last(item.element))
        filled = pattern.format(name=own, ext=ext, id=item.id, hid=item.about.get("hid") or "", element=element or own,
                                collection=safe_name(item.collection) if item.collection else "",
                                history=safe_name(item.history) if item.history else "")
        parts = [part for part in filled.split("/") if part] or ["dataset"]
        return "/".join(clip_filename(part, ext, mark) if last else clip_filename(part) for last, part in _last(parts))


def _folded(path: str) -> str:
    """What is the same for paths that some file system takes for one."""
    return unicodedata.normalize("NFC", path).casefold()


def _above(path: str) -> list[str]:
    """The folders that a path is in."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _last(parts: Iterable[str]) -> list[tuple[bool, str]]:
    parts = list(parts)
    return [(number == len(parts), part) for number, part in enumerate(parts, 1)]


def safe_name(name: str, ext: str = "") -> str:
    """`name` without `.ext` at its end, fit for any folder: no path, nothing hidden, nothing that a terminal obeys."""
    stem = re.sub(r"[/\\\x00-\x1f\x7f-\x9f]", "_", name).strip()
    stem = stem.removesuffix(f".{ext}") if ext else stem
    if stem.startswith("."):
        stem = "_" + stem[1:]
    return stem.encode(errors="replace").decode() or "dataset"


def safe_extension(ext: str) -> str:
    """A datatype that is fit for the end of a file's name."""
    return re.sub(r"[^\w.+-]|\.(?=\.)", "_", ext, flags=re.ASCII)[:40]


def clip_filename(part: str, ext: str = "", mark: str = "") -> str:
    """One name of a path, of 255 bytes at most, with `mark` before the datatype at its end; never hidden, never `..`."""
    end = f".{ext}" if ext and part.endswith(f".{ext}") else ""
    stem = part.removesuffix(end) if end else part
    stem = "_" + stem[1:] if stem.startswith(".") else stem
    return stem.encode()[:255 - len((mark + end).encode())].decode(errors="ignore") + mark + end


# ------------------------------------------------------------------------------------------------------------ the manifest

class Manifest:
    """What is in a folder of downloads, as its `manifest.tsv` says: `rows` are `{dataset's id: row}`.

    A row is added before the file gets its name, so that a run that is killed leaves no file that the next does not know.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / MANIFEST
        self.rows: dict[str, dict[str, str]] = {}
        self.doubled = False
        self._one = threading.Lock()
        with contextlib.suppress(FileNotFoundError), open(self.path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t")
            if reader.fieldnames not in (None, COLUMNS):        # None: the disk was full before its first line
                raise GalaxyError(
                    f"{self.path}: not a manifest of downloads: move it away, or name another folder with --to")
            for row in reader:
                if None not in row and None not in row.values():     # the line of a killed process may be half
                    if os.path.isabs(row["path"]) or ".." in row["path"].split("/"):
                        raise GalaxyError(
                            f"{self.path}: {row['path']!r} is not in this folder: mend that line, or remove it")
                    self.doubled |= row["id"] in self.rows
                    self.rows[row["id"]] = row

    def there(self, item: DownloadItem) -> bool:
        """Whether the dataset's file is there with the size that it should have."""
        row = self.rows.get(item.id)
        if not row or not row["path"] or not row["size"]:
            return False
        file = self.folder / row["path"]
        size = item.about.get("file_size") if not row["path"].endswith(".zip") or "zip" in item.ext else int(row["size"])
        return file.is_file() and file.stat().st_size == int(row["size"]) == size

    def add(self, item: DownloadItem, path: str, size: int | str, digest: str, state: str) -> None:
        """Add a dataset's row; an earlier one does not count any more."""
        name = str(item.about.get("name")).replace("\r", " ")       # csv leaves it bare before Python 3.13, as a line's end
        row = dict(zip(COLUMNS, (item.id, name, path, str(size), digest, state)))
        with self._one, _locked(self.folder):
            before = self.rows.get(item.id)
            if row == before:
                return
            self.doubled |= before is not None
            self.rows[item.id] = row
            with open(self.path, "ab+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 1, 0))
                half = file.read() not in (b"", b"\n")      # a line of a run that was killed, or whose disk was full
                text = ("\n" if half else "") + _lines([] if size else [COLUMNS], [row])
                file.write(text.encode(errors="replace"))

    def tidy(self) -> None:
        """Keep one row for each dataset in the file."""
        if not self.doubled:
            return
        with self._one, _locked(self.folder):
            rows = Manifest(self.folder).rows       # another run may have added some
            write_atomic(self.path, _lines([COLUMNS], rows.values()).encode(errors="replace"), overwrite=True)


def _lines(heading: list[list[str]], rows: Iterable[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([*heading, *([row[name] for name in COLUMNS] for row in rows)])
    return text.getvalue()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder's manifest, if the file system has locks, after any process that writes it now."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(hold_lock(folder, on_wait=lambda: None))
        yield


# ------------------------------------------------------------------------------------------------------------ fetching them

class DownloadFolder:
    """A folder that datasets are downloaded into, with its manifest.

    `overwrite` puts datasets in the place of files that the manifest does not know; `verify` compares the bytes with the
    hash that Galaxy has of them; `stall` is how many seconds may pass without progress.
    """

    def __init__(self, galaxy: Galaxy, folder: Path, pattern: str = "", overwrite: bool = False, verify: bool = False,
                 stall: float = STALL_TIMEOUT):
        self.galaxy, self.folder, self.overwrite, self.verify, self.stall = galaxy, folder, overwrite, verify, stall
        self.manifest = Manifest(folder)
        self.names = UniquePaths(pattern, [MANIFEST, *(row["path"] for row in self.manifest.rows.values() if row["path"])])

    def download(self, wanted: list[DownloadItem], parallel: int, total: Any = None) -> Iterator[tuple[DownloadItem, Path | Exception]]:
        """Fetch the items, `parallel` of them at once, and hand on each with its path as soon as it is there, or with the
        `GalaxyError` or OSError that says why it is not."""
        paths = [(item, self._path(item)) for item in wanted]
        yield from _each(lambda one: self._fetch(one[0], one[1], total), paths, parallel)
        self.manifest.tidy()

    def _path(self, item: DownloadItem) -> str:
        row = self.manifest.rows.get(item.id)
        return row["path"] if row and row["path"] else self.names.path(item)

    def _fetch(self, item: DownloadItem, path: str, total: Any) -> Path:
        """Fetch one dataset, unless it is there as it should be."""
        about, file = item.about, self.folder / path
        if about.get("state") != "ok" or about.get("deleted") or about.get("purged"):
            gone = "deleted" if about.get("deleted") or about.get("purged") else f"in state {about.get('state')}"
            later = ": fetch it when it is ok" if about.get("state") in NON_TERMINAL_DATASET_STATES else ""
            if not file.exists():
                self.manifest.add(item, "", about.get("file_size") or 0, "", gone.removeprefix("in state "))
            raise GalaxyError(f"{item.label} is {gone}, not ok, so nothing was fetched{later}")
        known = self.manifest.there(item)
        algorithm, digest = self._hash(item) if self.verify else ("", "")
        if known and (not self.verify or hash_file(file, algorithm) == digest):
            if total is not None:
                total.update(about.get("file_size") or 0)
            return file
        ours = item.id in self.manifest.rows and self.manifest.rows[item.id]["path"] == path
        file.parent.mkdir(parents=True, exist_ok=True)
        overwrite, size = self.overwrite or ours, about.get("file_size")
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
            if self.manifest.rows.get(item.id) is not before:       # another file got the name meanwhile: that is not ours
                self.manifest.add(item, "", item.about.get("file_size") or 0, "", "ok")
            raise

    def _hash(self, item: DownloadItem) -> tuple[str, str]:
        """A hash that Galaxy has of the dataset; it is asked to make one where it has none."""
        about = item.about if "hashes" in item.about else self.galaxy.get(f"datasets/{item.id}")
        found = best_hash(about)
        if not found:
            self.galaxy.put(f"datasets/{item.id}/hash", {"hash_function": "SHA-256"})
            for _ in backoff(HASHING):
                found = best_hash(self.galaxy.get(f"datasets/{item.id}"))
                if found:
                    break
            else:
                raise GalaxyError(f"{item.label}: Galaxy has no hash to compare with and made none in {HASHING} s: without "
                              "--verify its size is compared", TRY_LATER)
        return found


def _each(act: Callable[[Any], Path], things: list[Any], parallel: int) -> Iterator[tuple[Any, Path | Exception]]:
    """`act` on the first member of each of `things`, `parallel` at once, in the order in which they end.

    The threads are of the kind that ends with the process, so that nobody waits for them after Ctrl-C.
    """
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                thing = waiting.get_nowait()
                try:
                    ended.put((thing[0], act(thing)))
                except Exception as error:
                    ended.put((thing[0], error))

    for thing in things:
        waiting.put(thing)
    for _ in range(min(parallel, len(things))):
        threading.Thread(target=work, daemon=True).start()
    for _ in things:
        yield ended.get()


def prepare_folder(text: str, option: str = "--to") -> Path:
    """The folder that a command line names with `option`, made where it is not there."""
    folder = Path(text)
    if folder.exists() and not folder.is_dir():
        raise GalaxyError(f"{option}={text}: not a folder", USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise GalaxyError(f"{option}={text}: not a folder that can be written to", USAGE)
    return folder


def download_all(folder: DownloadFolder, texts: list[str], kind: str, parallel: int, quiet: bool) -> int:
    """Download all that `texts` name (see `resolve_items`), print the paths, say what could not be fetched; the exit status."""
    wanted: dict[str, DownloadItem] = {}
    codes = []
    for text in texts:
        try:
            for item in resolve_items(folder.galaxy, text, kind):
                wanted.setdefault(item.id, item)
        except GalaxyError as error:
            if error.exit_code == USAGE or error.status == 401:
                raise
            codes.append(report_error(str(error), error.exit_code))
    fetched = download_items(folder, list(wanted.values()), parallel, codes, (lambda path: None) if quiet else print)
    if not codes:
        return DONE
    return SOME_FAILED if fetched else codes[0]


def download_items(folder: DownloadFolder, wanted: list[DownloadItem], parallel: int, codes: list[int], on_progress: Callable[..., Any] = print
                ) -> dict[str, Path]:
    """Download the items; `{id: path}`, each path `told` as soon as it is there. What could not be fetched is said, and its
    exit code added to `codes`."""
    all_bytes = sum(item.about.get("file_size") or 0 for item in wanted)
    fetched: dict[str, Path] = {}
    with progress_bar(all_bytes, "all") if len(wanted) > 1 else contextlib.nullcontext() as total:
        for item, path in folder.download(wanted, parallel, total):
            if isinstance(path, GalaxyError):
                codes.append(report_error(str(path), path.exit_code))
            elif isinstance(path, OSError):
                codes.append(report_error(f"{item.label}: {path.strerror or path}"))
            elif isinstance(path, Exception):
                raise path
            else:
                fetched[item.id] = path
                on_progress(path)
                sys.stdout.flush()
    return fetched
