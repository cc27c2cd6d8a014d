"""Download datasets, collections and histories into a folder: what belongs to them, the files' names, what is there already.

The folder's `manifest.tsv` has a line for each dataset, so that the next run fetches only what is missing or wrong.
"""
from __future__ import annotations

import contextlib
import sys
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from common import (
    DONE,
    FAILED,
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
from galaxy_api_scripts.datasets.download_paths import DownloadItem, UniquePaths
from galaxy_api_scripts.datasets.hashing import best_hash, hash_file
from galaxy_api_scripts.datasets.http_download import ExpectedFile, OtherBytes, UnexpectedArchive, download_file
from galaxy_api_scripts.datasets.lookup import collection_state, fetch_library_hashes, fetch_refs, library_route, parse_refs
from galaxy_api_scripts.datasets.manifest import MANIFEST, Key, Manifest
from galaxy_api_scripts.files import hold_lock
from galaxy_api_scripts.polling import DatasetOrError, fetch_datasets, find_stuck
from galaxy_api_scripts.progress import STALL_TIMEOUT, progress_bar
from galaxy_api_scripts.transfers import DOWN, TransferPool

FIELDS = ["id", "hid", "name", "history_id", "state", "deleted", "purged", "extension", "file_size", "hashes",
          "creating_job"]
HASH_TIMEOUT = 600      # seconds that Galaxy may take to hash a dataset
# Galaxy 26.1 does not encode the path in X-Accel-Redirect, which nginx decodes; a store's own files have plain names.
NO_FILE_FOR_PROXY = (
    "404 Not Found: the proxy before Galaxy hands out the files, and does not find this one: its disk is away, or its path "
    "has a %, a ? or a letter beyond ASCII, as a linked file's may: Galaxy's administrator finds it in nginx's error log")


# ------------------------------------------------------------------------------------------------------ what to download

def resolve_items(galaxy: Galaxy, text: str, datasets: Mapping[str, DatasetOrError] = MappingProxyType({})
                  ) -> Sequence[DownloadItem | GalaxyError]:
    """The datasets that `text` names: a reference of `parse_refs`; `hdca:ID` stands for all of the collection, `history:ID`
    or `history:NAME` for all that its page shows, those in collections too, and for its collections that are not complete
    an error. `datasets` are those that `_fetch_many` found. Raises `GalaxyError`."""
    kind, sign, rest = text.partition(":")
    if sign and kind == "history":
        return _history_items(galaxy, rest)
    if sign and kind == "hdca":
        return _collection_items(galaxy.get(f"dataset_collections/{parse_id(rest, 'hdca:ID')}"))
    [ref] = parse_refs([text], "SOURCE")
    about = datasets.get(ref) or next(fetch_refs(galaxy, [ref], FIELDS))[1]
    if isinstance(about, GalaxyError):
        raise about
    if not isinstance(about.get("file_size") or 0, int):
        raise GalaxyError(f"{ref}: {galaxy.base} answers with something else: is it a Galaxy?")
    return [DownloadItem(about, src=about["ref"].partition(":")[0])]


def _fetch_many(galaxy: Galaxy, texts: list[str]) -> dict[str, DatasetOrError]:
    """The datasets of histories that are among `texts` by their ids, by few requests however many they are; {} if these
    fail, and each is to be asked for by itself."""
    refs = parse_refs([text for text in texts if text.partition(":")[0] in (text, "hda") and text != "-"], "SOURCE")
    try:
        return dict(fetch_refs(galaxy, refs, FIELDS)) if len(refs) > 1 else {}
    except GalaxyError as error:
        if _is_hopeless(galaxy, error):
            raise _error_for_all(error, len(texts) - 1) from error
        return {}


def _history_items(galaxy: Galaxy, text: str) -> list[DownloadItem | GalaxyError]:
    history = galaxy.resolve("histories", text)
    ask = {"v": "dev", "keys": ",".join(FIELDS), "q": ["deleted", "visible"], "qv": ["false", "true"]}
    items: list[DownloadItem | GalaxyError] = []
    for content in galaxy.pages(f"histories/{history['id']}/contents", ask):
        if content["history_content_type"] == "dataset":
            items.append(DownloadItem(content))
        else:
            collection = galaxy.get(f"dataset_collections/{content['id']}")
            try:
                items += _collection_items(collection)
            except GalaxyError as error:
                items.append(error)
    for item in items:
        if isinstance(item, DownloadItem):
            item.history, item.history_ref = history["name"], f"history:{history['id']}"
    return items


def _collection_items(collection: dict[str, Any]) -> list[DownloadItem]:
    name, populated = collection.get("name") or "", collection.get("populated_state")
    label, (state, why) = f"collection {collection['id']} ({name})", collection_state(collection)
    if collection.get("deleted"):
        raise GalaxyError(f"{label} is deleted, so nothing was fetched")
    if populated == state == "new":
        raise GalaxyError(f"{label} is in state new, so nothing was fetched: fetch it when it is ok", TRY_LATER)
    if populated not in ("ok", None):
        raise GalaxyError(f"{label} is in state {state}, so nothing was fetched{f': {why}' if why else ''}")
    return [DownloadItem(dataset, collection=name, collection_ref=f"hdca:{collection['id']}", element=element)
            for element, dataset in element_datasets(collection["elements"]) if dataset]


# ----------------------------------------------------------------------------------------------------------- downloading

class DownloadFolder:
    """A folder of downloads, with its manifest.

    `overwrite` replaces files that the manifest does not know. Unless not to `compare`, what comes is compared with Galaxy's
    hash of it, if there is one; with `verify` Galaxy computes a missing one, and files that are there are compared too.
    `stall` is how many seconds may pass without progress. If another run fetches into the folder, `on_wait` is called, and
    its end waited for; without it that is an error. Where the folder is `renewed`, the datasets of a later attempt take the
    names of those that were downloaded before, and their places in the manifest; of one collection if that is named.
    `fetched` are the files that this run has fetched: for each its item, and whether it replaces one.
    """

    def __init__(self, galaxy: Galaxy, folder: Path, template: str = "", overwrite: bool = False, verify: bool = False,
                 compare: bool = True, stall: float = STALL_TIMEOUT, on_wait: Callable[[], object] | None = None,
                 renewed: bool | str = False):
        self.galaxy, self.folder, self.template, self.overwrite = galaxy, folder, template, overwrite
        self.verify, self.compare, self.stall, self.on_wait = verify, compare, stall, on_wait
        self.renewed, self.earlier = renewed, set[Key]()     # rows whose names are free
        self.fetched: dict[Path, tuple[DownloadItem, bool]] = {}
        self.manifest = Manifest(folder)
        self.pool: TransferPool | None = None       # of the downloads under way

    def download(self, items: list[DownloadItem], transfers: int, total: Any = None
                 ) -> Iterator[tuple[DownloadItem, Path | Exception]]:
        """Fetch the items, `transfers` at once; yields each as soon as it is done, with its path, or the `GalaxyError` or
        OSError that says why there is none. Raises `GalaxyError` (TRY_LATER) if another run has the folder."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):      # of a file system without locks
                stack.enter_context(hold_lock(self.folder, on_wait=self.on_wait))
            if self.manifest.has_changed():
                self.manifest = Manifest(self.folder)
            self.manifest.carry_over()
            _fetch_hashes(self.galaxy, items)
            tasks = self.plan(items)
            with TransferPool(min(transfers, len(tasks) or 1), DOWN) as self.pool:
                for (item, _), result in self.pool.run_each(
                        lambda task: self._fetch_again_if_different(task[0], task[1], total), tasks):
                    yield item, result
            self.manifest.remove_old_rows()

    def plan(self, items: list[DownloadItem]) -> list[tuple[DownloadItem, str]]:
        """The path in the folder of each item: the manifest's, or an unused one."""
        rows = self.manifest.rows
        if self.renewed:
            known = {item.key for item in items}
            self.earlier = {key for key in rows if key not in known and self.renewed in (True, key[1])}
            rows = {key: row for key, row in rows.items() if key not in self.earlier}
        self.paths = UniquePaths(self.template, [MANIFEST, *(row["path"] for row in rows.values() if row["path"])],
                                 {row["collection"]: row["folder"] for row in rows.values() if row["collection"]})
        tasks = []
        for item in items:
            _, item.folder, _ = self.paths.folders_of(item)     # of all, so that later runs find the same
            row = rows.get(item.key)
            tasks.append((item, row["path"] if row and row["path"] else self.paths.path(item)))
        return tasks

    def stop(self) -> None:
        """Let no other download begin."""
        if self.pool:
            self.pool.stop()

    def _fetch_again_if_different(self, item: DownloadItem, path: str, total: Any) -> Path:
        """Fetch one dataset, a second time if a bit may have flipped on its way."""
        try:
            return self._fetch(item, path, total)
        except OtherBytes as first:
            try:
                return self._fetch(item, path, total)
            except OtherBytes as error:
                if error.digest != first.digest:
                    raise
                raise GalaxyError(f"{error}; the same came twice: Galaxy changed it after it hashed it (as to_posix_lines "
                                  "does) or its disk did: dataset_download.py --no-verify takes it as it is") from None

    def _fetch(self, item: DownloadItem, path: str, total: Any) -> Path:
        """Fetch one dataset, unless its file is there as it should be."""
        about, file, state = item.about, self.folder / path, str(item.about.get("state"))
        is_deleted = about.get("deleted") or about.get("purged")
        if state != "ok" or is_deleted:
            if not file.exists():
                self.manifest.add(item, "", about.get("file_size") or 0, "", "deleted" if is_deleted else state)
            problem = f"{item.label} is {'deleted' if is_deleted else f'in state {state}'}, not ok, so nothing was fetched"
            if is_deleted or state not in NON_TERMINAL_DATASET_STATES:
                raise GalaxyError(problem)
            if item.src == "hda" and "creating_job" not in about:
                about = self.galaxy.get_or_none(f"datasets/{item.id}") or about
            reason = find_stuck(self.galaxy, [about]).get(item.id)
            raise GalaxyError(f"{problem}: {reason or 'fetch it when it is ok'}", FAILED if reason else TRY_LATER)
        if self.is_there(item, file):
            if total is not None:
                total.update(about.get("file_size") or 0)
            return file
        algorithm, digest = self._fetch_hash(item)
        is_ours = self.manifest.has_path({item.key, *self.earlier}, path)
        digest = digest if self.compare else ""
        overwrite, size = self.overwrite or is_ours, about.get("file_size")
        try:
            self._receive(item, path, ExpectedFile(size, algorithm, digest, may_be_zip="zip" in item.ext), overwrite, total)
        except UnexpectedArchive:
            if self.galaxy.get(f"datasets/{item.id}/extra_files"):
                path += "" if path.endswith(".zip") else ".zip"
                file = self.folder / path
                self._receive(item, path, ExpectedFile(algorithm="sha256"), overwrite, total, packed=True)
            else:       # Galaxy packs what may have companion files, unless it is asked for `raw` (26.1, measured)
                self._receive(item, path, ExpectedFile(size, algorithm, digest), overwrite, total, raw=True)
        return file

    def _receive(self, item: DownloadItem, path: str, expected: ExpectedFile, overwrite: bool, total: Any, *,
                 raw: bool = False, packed: bool = False) -> None:
        """Download a dataset's file, or with `packed` an archive of it and its companions, and note it in the manifest."""
        def note_in_manifest(part: Path, computed: str) -> None:
            is_there = (self.folder / path).exists()
            if packed and not _is_whole_archive(part):
                raise GalaxyError(f"{item.label}: the archive of it is broken: fetch it again", TRY_LATER)
            if self.manifest.give_up(self.earlier, path):
                (self.folder / path).unlink(missing_ok=True)    # a process killed here leaves no wrong file
            self.manifest.add(item, path, part.stat().st_size, f"{expected.algorithm}:{computed}", "ok")
            self.fetched[self.folder / path] = item, is_there

        # Without `to_ext` old servers answer with a rendered page for some datatypes; with it, 26.1 fails for libraries'.
        params = {"to_ext": item.ext, **({"raw": "true"} if raw else {})}
        route = f"datasets/{quote(item.id, safe='')}/display?{urlencode(params)}"
        if item.src == "ldda":
            route = library_route(self.galaxy, item.id, item.about.get("library_dataset"))
        before = self.manifest.rows.get(item.key)
        try:
            download_file(self.galaxy, route, self.folder / path, label=item.label, root=self.folder, expected=expected,
                          overwrite=overwrite, stall=self.stall, total=total, before_publish=note_in_manifest)
        except GalaxyError as error:
            if self.manifest.rows.get(item.key) is not before:      # a file that is not ours took the name meanwhile
                self.manifest.add(item, "", item.about.get("file_size") or 0, "", "ok")
            if error.status == 404 and "<html" in (error.body or "").lower():        # Galaxy's own is JSON
                raise GalaxyError(f"{item.label}: {NO_FILE_FOR_PROXY}", status=404) from None
            raise

    def is_there(self, item: DownloadItem, file: Path) -> bool:
        """Whether a dataset's file is there as it should be: with its size, and if we are to verify with its hash."""
        if not self.manifest.has_file(item) or not self.verify:
            return self.manifest.has_file(item)
        algorithm, digest = self._fetch_hash(item)
        if not digest:      # of a library's dataset: what the file had when it came
            algorithm, _, digest = self.manifest.rows[item.key]["hash"].partition(":")
        return hash_file(file, algorithm or "sha256") == digest

    def _fetch_hash(self, item: DownloadItem) -> tuple[str, str]:
        """hashlib's name and the value of Galaxy's hash of a dataset, made now if we are to verify; "" for none."""
        if item.src == "ldda" and "hashes" not in item.about:      # as a folder lists it
            item.about["hashes"] = fetch_library_hashes(self.galaxy, item.id)
        known = best_hash(item.about)
        if known or not self.verify or item.src == "ldda":
            return known or ("sha256", "")
        self.galaxy.put(f"datasets/{item.id}/hash", {"hash_function": "SHA-256"})
        for _ in backoff(HASH_TIMEOUT):
            known = best_hash(self.galaxy.get(f"datasets/{item.id}"))
            if known:
                return known
        raise GalaxyError(f"{item.label}: Galaxy has no hash to compare with and made none in {HASH_TIMEOUT} s: without "
                          "--verify its size is compared", TRY_LATER)


def _is_whole_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return False


def _fetch_hashes(galaxy: Galaxy, items: list[DownloadItem]) -> None:
    """Ask for the hashes of collections' datasets: the description of an element does not tell them."""
    missing: dict[str, list[DownloadItem]] = {}
    for item in items:
        if item.element and item.src == "hda" and "hashes" not in item.about:
            missing.setdefault(item.id, []).append(item)
    for dataset_id, dataset in fetch_datasets(galaxy, list(missing), ["hashes"]):
        if isinstance(dataset, dict):
            for item in missing[dataset_id]:
                item.about["hashes"] = dataset.get("hashes") or []


def download_all(folder: DownloadFolder, texts: list[str], transfers: int, codes: list[int]) -> int:
    """Download all that `texts` name (see `resolve_items`), print the paths, report what failed, and add its exit codes to
    `codes`; returns the exit status."""
    items: dict[tuple[str, str, str], DownloadItem] = {}
    datasets = _fetch_many(folder.galaxy, texts)
    for text in texts:
        try:
            for item in resolve_items(folder.galaxy, text, datasets):
                if isinstance(item, GalaxyError):
                    codes.append(report_error(str(item), item.exit_code))
                else:
                    items.setdefault(item.key, item)
        except GalaxyError as error:
            if error.exit_code == USAGE:
                raise
            if _is_hopeless(folder.galaxy, error):
                raise _error_for_all(error, len(texts) - 1) from error
            codes.append(report_error(str(error), error.exit_code))
    paths = download_items(folder, list(items.values()), transfers, codes)
    return exit_status(paths, codes)


def exit_status(paths: Collection[object], codes: list[int]) -> int:
    """The exit status of downloads of which `paths` are there, and others failed with these exit codes."""
    if not codes:
        return DONE
    return SOME_FAILED if paths or len(set(codes)) > 1 else codes[0]


def download_items(folder: DownloadFolder, items: list[DownloadItem], transfers: int, codes: list[int],
                   on_file: Callable[[Path], Any] = print) -> dict[str, Path]:
    """Download the items; returns `{id: path}`. `on_file` is called with each path as soon as its file is there; a
    failure is reported and its exit code added to `codes`. Raises `GalaxyError` if all others would fail as well."""
    size = sum(item.about.get("file_size") or 0 for item in items)
    paths: dict[str, Path] = {}
    hopeless: GalaxyError | None = None
    before = len(codes)
    with progress_bar(size, "all") if len(items) > 1 else contextlib.nullcontext() as total:
        for item, path in folder.download(items, transfers, total):
            if isinstance(path, GalaxyError):
                if hopeless is None:
                    hopeless = path if _is_hopeless(folder.galaxy, path) else None
                if hopeless:
                    folder.stop()
                else:
                    codes.append(report_error(str(path), path.exit_code))
            elif isinstance(path, OSError):
                codes.append(report_error(f"{item.label}: {path.filename or folder.folder}: {path.strerror or path}"))
            elif isinstance(path, Exception):
                raise path
            else:
                paths[item.id] = path
                on_file(path)
                sys.stdout.flush()
    if hopeless:
        raise _error_for_all(hopeless, len(items) - len(paths) - (len(codes) - before) - 1)
    return paths


def _is_hopeless(galaxy: Galaxy, error: GalaxyError) -> bool:
    """Whether all other downloads would end with this error too, each after its time limit: the server is away, or refuses
    the key. It may also be one dataset's own, which the server takes from a store that is away."""
    if error.exit_code != TRY_LATER:
        return error.status == 401
    try:
        galaxy.request("GET", "version", patience=0)
    except GalaxyError as now:
        return now.exit_code == TRY_LATER
    return False


def _error_for_all(error: GalaxyError, others: int) -> GalaxyError:
    """The error for one download and so many others."""
    rest = f"; {others} more {'is' if others == 1 else 'are'} not fetched either" if others > 0 else ""
    return GalaxyError(f"{error}{rest}", error.exit_code, status=error.status)
