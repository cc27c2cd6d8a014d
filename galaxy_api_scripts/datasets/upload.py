"""Upload files and URLs to a history: sent, made into datasets by few jobs, verified, and sent again if they did not arrive.

A run that was killed at any moment is resumed by the next one for the same sources: each source's checkpoint notes every
step before and after it.
"""
from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from common import FAILED, MAY_HAVE_ACTED, NON_TERMINAL_DATASET_STATES, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts import releases
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Checkpoint
from galaxy_api_scripts.datasets.composite import composite_identity, composite_problem, send_components
from galaxy_api_scripts.datasets.hashing import hash_files, known_hashes
from galaxy_api_scripts.datasets.local_file import LocalFile, require_joinable
from galaxy_api_scripts.datasets.sources import DATATYPES, Source
from galaxy_api_scripts.datasets.target_history import NAME_LENGTH, last_hid
from galaxy_api_scripts.datasets.tus import Session, send_file, upload_checkpoint
from galaxy_api_scripts.polling import wait_datasets, wait_described
from galaxy_api_scripts.progress import STALL_TIMEOUT, progress_bar, state_progress
from galaxy_api_scripts.transfers import UP, TransferPool

FILES_PER_JOB = 50      # Galaxy 26.1 works on them while the next are sent: 100 files in two jobs are ready before 100 in
                        # one or in four
BYTES_PER_JOB = 2**30   # a larger file has a job of its own, so that jobs run at the same time
VERIFY_FIELDS = ["hid", "name", "state", "deleted", "extension", "file_size", "hashes", "misc_info"]
DURABLE_SIZE = 2**20    # bytes; the notes on larger files survive a power failure


@dataclass
class UploadSettings:
    """What holds for all files of a call; `stall` is how many seconds may pass without progress, `transfers` how many files
    are sent at once."""

    dbkey: str = "?"
    tags: list[str] = field(default_factory=list)
    hashed: bool = True
    stall: float = STALL_TIMEOUT
    transfers: int = 1


@dataclass
class Upload:
    """A source and its dataset as Galaxy describes it, or the `problem` with it.

    The dataset is a guess (`is_guess`) if nothing but its name tells yet that it is this source's: it may be another's.
    """

    source: Source
    dataset: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    problem: str = ""
    exit_code: int = FAILED
    answer: Any = None          # Galaxy's, to the fetch
    is_guess: bool = False
    is_unverified: bool = False     # the problem is that Galaxy does not tell whether it is as it should be
    checkpoint: Checkpoint | None = None

    @property
    def notes(self) -> dict[str, Any]:
        return self.checkpoint.data if self.checkpoint else {}

    def note(self, **facts: Any) -> None:
        if self.checkpoint:
            self.checkpoint.save(durably=(self.source.size or 0) > DURABLE_SIZE, **facts)

    def fail(self, problem: object, exit_code: int = FAILED) -> None:
        self.problem, self.exit_code = str(problem), exit_code

    def require_success(self) -> None:
        """Raise the upload's problem, if there is one, as `GalaxyError`."""
        if self.problem:
            raise GalaxyError(self.problem, self.exit_code)


def upload_sources(galaxy: Galaxy, history: str, sources: list[Source], settings: UploadSettings,
                   finished: dict[str, str] | None = None) -> Iterator[Upload]:
    """Send the sources and let Galaxy make datasets of them, a job for each batch; yields each as soon as Galaxy has taken
    it, or it is clear that it can't be sent. `finished` is `{a source's path: its dataset's id}`, noted by `mark_succeeded`
    in a run that was killed before its end.

    Raises `GalaxyError` if the trouble is not one file's: another run then resumes. Checkpoints stay until `mark_done`.
    """
    total_size = sum(source.size or 0 for source in sources)
    with progress_bar(total_size, "all") if len(sources) > 1 else contextlib.nullcontext() as total, \
            contextlib.ExitStack() as files, TransferPool(min(settings.transfers, len(sources) or 1), UP) as pool:
        def send(upload: Upload) -> tuple[dict[str, Any], list[dict[str, str]]] | None:
            try:
                return _send(galaxy, upload, settings, total)
            except GalaxyError as error:
                if error.status or error.exit_code == TRY_LATER:    # not this file's fault
                    raise
                upload.fail(error, error.exit_code)
                return None

        batches = _open_batches(galaxy, history, sources, finished or {}, files, total)
        for batch, results in pool.run(batches, send, lambda upload: upload.source.size or 0):
            with batch.files:
                sent, accepted = _waiting(batch), [result for result in results if result]
                if sent:
                    elements = [_element(upload, element, settings) for upload, (element, _) in zip(sent, accepted)]
                    _create_datasets(galaxy, history, elements, [one for _, own in accepted for one in own], sent)
                yield from batch


def post_fetch(galaxy: Galaxy, history: str, targets: list[dict[str, Any]], sessions: Iterable[dict[str, str]] = ()) -> Any:
    """Let Galaxy make datasets by one job (`POST /api/tools/fetch`); returns its answer.

    `targets` are `[{"destination": ..., "elements": [...]}]`; `sessions` those of the elements with `src: files`, in the
    elements' order. The job needs a history even if the destination is a library.
    """
    sessions = list(sessions)
    files = {f"files_{number}|file_data": session for number, session in enumerate(sessions)}
    has_hashes, datatypes = releases.supports(galaxy, releases.FETCH_HASHES, ask=False), set[str]()
    while True:     # a refused request has made nothing
        targets = _with_known_datatypes(galaxy, targets, datatypes) if datatypes else targets
        payload: dict[str, Any] = {"history_id": history, "targets": targets, **files}
        if not has_hashes:
            payload.update(targets=_with_md5(galaxy, targets, iter(sessions)), validate_hashes=True)
        try:
            answer = galaxy.post("tools/fetch", payload)
            break
        except GalaxyError as error:
            refusal = (error.body or "") if error.status == 400 else ""
            if has_hashes and "hashes" in refusal and releases.learn_lacking(galaxy, releases.FETCH_HASHES):
                has_hashes = False
            elif not datatypes and (unknown := re.search("extension '(.*)' unknown", refusal)) and \
                    unknown[1] in DATATYPES.values():
                datatypes = {"auto", *galaxy.get("datatypes", {"upload_only": "false"})}
            else:
                raise
    if not isinstance(answer, dict):
        raise GalaxyError(f"POST {galaxy.url_for('tools/fetch')}: the answer has no jobs: {MAY_HAVE_ACTED}", lost=True)
    return answer


def _with_known_datatypes(galaxy: Galaxy, elements: list[dict[str, Any]], datatypes: set[str]) -> list[dict[str, Any]]:
    """Targets, or elements, with `auto` for each datatype of newer servers that this one does not have."""
    known = []
    for element in elements:
        element = dict(element)
        if element.get("ext", "auto") not in datatypes:
            releases.warn_once(galaxy, f"it has no datatype {element['ext']}, and makes its own guess at those files")
            element["ext"] = "auto"
        if "elements" in element:
            element["elements"] = _with_known_datatypes(galaxy, element["elements"], datatypes)
        known.append(element)
    return known


def _with_md5(galaxy: Galaxy, elements: list[dict[str, Any]], sessions: Iterator[dict[str, str]]) -> list[dict[str, Any]]:
    """Targets, or elements, as Galaxy 24.1 takes them: with the MD5 of each file in place of `hashes`."""
    older = []
    for element in elements:
        element = dict(element)
        hashes = {entry["hash_function"]: entry["hash_value"] for entry in element.pop("hashes", [])}
        for _ in (item for item in (element.get("composite") or {}).get("elements") or [] if item["src"] == "files"):
            next(sessions)
        session = next(sessions) if element.get("src") == "files" else None
        if hashes and session and "MD5" not in hashes:
            hashes["MD5"] = hash_files(session.paths, "md5") if isinstance(session, Session) else ""
        if hashes.get("MD5"):
            element["MD5"] = hashes["MD5"]
        elif hashes:
            releases.warn_once(galaxy, "it compares what it fetches from an address with an MD5 only, so not with the other "
                               "hash that was given for it")
        if "elements" in element:
            element["elements"] = _with_md5(galaxy, element["elements"], sessions)
        older.append(element)
    return older


def fetch_batches(files: Iterable[Any], max_bytes: int = BYTES_PER_JOB) -> Iterator[list[Any]]:
    """The files, or anything else with a `size` (bytes or None), in lists for one job each; a large one is alone."""
    batch: list[Any] = []
    for file in files:
        size = sum(other.size or 0 for other in [*batch, file])
        if batch and (len(batch) == FILES_PER_JOB or size > max_bytes):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def mark_succeeded(uploads: list[Upload], checkpoint: Checkpoint) -> None:
    """Note in one place that all uploads succeeded, so that a process killed during clean-up resumes as finished."""
    if len(uploads) > 1:
        checkpoint.save(ended={upload.source.path: upload.dataset["id"] for upload in uploads})


def mark_done(uploads: Iterable[Upload], whole: Checkpoint | None = None) -> None:
    """Remove all checkpoints, once the user has seen the success: a later run uploads again."""
    for checkpoint in (*(upload.checkpoint for upload in uploads), whole):
        if checkpoint:
            checkpoint.remove()


class _Batch(list[Upload]):
    """The uploads for one job, whose checkpoints are open until it is closed."""

    def __init__(self, galaxy: Galaxy, history: str, sources: list[Source], files: contextlib.ExitStack):
        self.files = files.enter_context(contextlib.ExitStack())
        super().__init__(_open_upload(galaxy, history, source, self.files) for source in sources)


def _open_batches(galaxy: Galaxy, history: str, sources: list[Source], finished: dict[str, str],
                  files: contextlib.ExitStack, total: Any) -> Iterator[tuple[_Batch, list[Upload]]]:
    """Each batch with those of its uploads whose bytes are to be sent."""
    for some in fetch_batches(sources):
        batch = _Batch(galaxy, history, some, files)
        for upload in batch:
            if upload.source.path in finished:
                upload.note(dataset=finished[upload.source.path])
        if any(upload.notes.keys() & {"dataset", "after"} for upload in batch):
            _adopt_datasets(galaxy, history, batch)
        waiting = _waiting(batch)
        if total is not None:
            total.update(sum(upload.source.size or 0 for upload in batch) - sum(one.source.size or 0 for one in waiting))
        yield batch, waiting


def _waiting(batch: list[Upload]) -> list[Upload]:
    """Those that Galaxy has not got yet, and that nothing is wrong with."""
    return [upload for upload in batch if not upload.dataset and not upload.problem]


def _element(upload: Upload, element: dict[str, Any], settings: UploadSettings) -> dict[str, Any]:
    """The element for a fetch of what `_send` returned."""
    source = upload.source
    return {**element, "ext": source.ext, "dbkey": settings.dbkey,
            **({"tags": settings.tags} if settings.tags else {}),
            **({"deferred": True} if source.deferred else {}),
            **({"auto_decompress": True} if source.decompress else {})}


def _open_upload(galaxy: Galaxy, history: str, source: Source, stack: contextlib.ExitStack) -> Upload:
    upload = Upload(source)
    try:
        if source.is_url or source.components:
            upload.checkpoint = Checkpoint(galaxy, source.path, "upload", source.path, source.name, history,
                                           *(["deferred"] if source.deferred else []), *composite_identity(source))
        else:
            require_joinable(source)
            with LocalFile(source.local_paths) as file:
                upload.checkpoint = upload_checkpoint(galaxy, file, source.path, f"{history} {source.name}")
        stack.callback(upload.checkpoint.close)
    except GalaxyError as error:
        if error.exit_code == TRY_LATER:
            raise
        upload.fail(error)
    return upload


def _send(galaxy: Galaxy, upload: Upload, settings: UploadSettings, total: Any
          ) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The source as a fetch takes it, and the sessions of its files, whose bytes are sent first."""
    assert upload.checkpoint
    source = upload.source
    if source.components:
        return send_components(galaxy, source, upload.checkpoint, settings.stall)
    if source.is_url:
        hashes = [{"hash_function": function, "hash_value": value} for function, value in source.hashes]
        return {"src": "url", "url": source.path, "name": source.name, **({"hashes": hashes} if hashes else {})}, []
    with LocalFile(source.local_paths) as file:
        element, session = send_file(galaxy, file, source.name, upload.checkpoint, hashed=settings.hashed,
                                     stall=settings.stall, total=total)
    upload.sha256 = element["hashes"][0]["hash_value"] if settings.hashed else ""
    return element, [session]


def _create_datasets(galaxy: Galaxy, history: str, elements: list[dict[str, Any]], sessions: list[dict[str, str]],
                     sent: list[Upload]) -> None:
    """Let Galaxy make datasets of what was sent; if its answer is lost, look for them."""
    after = last_hid(galaxy, history)
    for upload in sent:
        upload.note(after=after, sha256=upload.sha256)
    try:
        answer = post_fetch(galaxy, history, [{"destination": {"type": "hdas"}, "elements": elements}], sessions)
        datasets = answer.get("outputs") if isinstance(answer, dict) else None
        if not isinstance(datasets, list) or not all(isinstance(made, dict) and made.get("id") for made in datasets):
            raise GalaxyError("Galaxy has taken what was sent, and does not say what it makes of it", lost=True)
    except GalaxyError as error:
        if not error.lost:
            if error.status is None or 400 <= error.status < 500:       # else Galaxy may have acted all the same
                for upload in sent:
                    upload.note(after=None)
            raise
        _adopt_datasets(galaxy, history, sent)      # a proxy gives up while Galaxy still works on the request
        if all(upload.dataset for upload in sent):
            return
        raise GalaxyError(f"{error}; run it again, and it looks for what was done", TRY_LATER, lost=True) from error
    if len(datasets) != len(sent):
        raise GalaxyError(f"Galaxy has taken {len(datasets)} of {len(sent)} files: look into history {history}")
    for upload, dataset in zip(sent, datasets):
        upload.dataset, upload.answer = dataset, answer
        upload.note(dataset=dataset["id"])


def _adopt_datasets(galaxy: Galaxy, history: str, uploads: list[Upload]) -> None:
    """Find the datasets that a run asked Galaxy for without learning what became of them.

    They have higher numbers than what the history held before, and the names that were asked for. Those in state `error` are
    deleted: the file is sent again.
    """
    missing = [upload for upload in uploads if upload.notes.keys() & {"dataset", "after"}]
    adopted, end = set[str](), time.monotonic() + SETTLE_SECONDS
    while missing:
        datasets = history_datasets(galaxy, history)
        for upload in missing:
            dataset = next((dataset for dataset in datasets
                            if dataset["id"] not in adopted and _matches(dataset, upload)), None)
            if not dataset:
                continue
            adopted.add(dataset["id"])
            if dataset["state"] == "error":
                discard_dataset(galaxy, dataset["id"])
                if upload.checkpoint:
                    upload.checkpoint.clear()
            else:       # while its state is not terminal, it has no hash yet
                upload.is_guess = "dataset" not in upload.notes and dataset["state"] in NON_TERMINAL_DATASET_STATES
                upload.dataset, upload.sha256 = dataset, str(upload.notes.get("sha256") or "")
                if not upload.is_guess:
                    upload.note(dataset=dataset["id"])
        missing = [upload for upload in missing if not upload.dataset and upload.notes]
        too_late = [upload for upload in missing if "dataset" in upload.notes or time.monotonic() > end]
        for upload in too_late:
            upload.note(dataset=None, after=None)
        missing = [upload for upload in missing if upload not in too_late]
        if missing:
            time.sleep(2)


def _matches(dataset: dict[str, Any], upload: Upload) -> bool:
    """Whether a history's dataset may be the one that an upload's notes tell of."""
    notes = upload.notes
    if dataset["deleted"]:
        return False
    if notes.get("dataset"):
        return bool(dataset["id"] == notes["dataset"])
    if dataset["hid"] <= notes["after"] or dataset["name"] != upload.source.name[:NAME_LENGTH]:
        return False
    if dataset["state"] in NON_TERMINAL_DATASET_STATES or "hashes" not in dataset or not notes.get("sha256"):
        return True
    known = known_hashes(dataset)       # if it is not ours, it is somebody else's of that name
    if "sha256" in known or "md5" not in known or upload.source.is_url:
        return bool(known.get("sha256") == notes["sha256"])
    return known["md5"] == hash_files(upload.source.local_paths, "md5")        # of 24.1, see `post_fetch`


def history_datasets(galaxy: Galaxy, history: str, deleted: bool = True) -> list[dict[str, Any]]:
    """All datasets of the history, unless not `deleted` ones, with the fields that tell whether they arrived."""
    ask = {"v": "dev", "keys": ",".join(["id", *VERIFY_FIELDS])}
    return [content for content in galaxy.pages(f"histories/{history}/contents", ask)
            if content["history_content_type"] == "dataset" and (deleted or not content["deleted"])]


def discard_dataset(galaxy: Galaxy, dataset: str) -> None:
    """Delete a dataset that did not arrive, for good if the server lets its users do so.

    With Celery, Galaxy 26.1 marks a purged one as deleted only when a worker comes to it, so it is deleted first.
    """
    galaxy.delete(f"datasets/{dataset}")
    try:
        galaxy.delete(f"datasets/{dataset}", {"purge": True})
    except GalaxyError as error:
        if error.status != 403:
            raise


def verify_uploads(galaxy: Galaxy, history: str, uploads: list[Upload], settings: UploadSettings,
                   timeout: float | None = None) -> Iterator[Upload]:
    """Wait until Galaxy has the uploads, compare size and hash, and send once more what did not arrive; yields each with its
    dataset as it is then, or with its problem.

    Raises `GalaxyError` (STILL_RUNNING) after `timeout` seconds of waiting in all.
    """
    end = None if timeout is None else time.monotonic() + timeout
    failed = []
    for upload in _wait_until_terminal(galaxy, history, uploads, timeout):
        # What its owner deleted stays deleted. What is paused waits for a person, and so would its second copy. What Galaxy
        # does not describe may be as it should be.
        if upload.problem and upload.dataset and not upload.is_unverified and not upload.dataset["deleted"] and \
                upload.dataset["state"] != "paused":
            failed.append(upload)
        else:
            yield upload
    if not failed:
        return
    for upload in failed:
        if not upload.is_guess:
            discard_dataset(galaxy, upload.dataset["id"])
        if upload.checkpoint:
            upload.checkpoint.remove()
    first_problems = {upload.source: upload.problem.replace(upload.dataset["id"], "") for upload in failed}
    again = list(upload_sources(galaxy, history, [upload.source for upload in failed], settings))
    for upload in _wait_until_terminal(galaxy, history, again, None if end is None else max(0.0, end - time.monotonic())):
        before = first_problems[upload.source]
        if upload.problem and upload.problem.replace(str(upload.dataset.get("id")), "") != before:
            upload.problem += f" (before: {before})"
        yield upload


def _wait_until_terminal(galaxy: Galaxy, history: str, uploads: list[Upload], timeout: float | None) -> list[Upload]:
    """The uploads once all their datasets have ended, well or with a problem."""
    ids = [upload.dataset["id"] for upload in uploads if not upload.problem]
    if not ids:
        return uploads
    with state_progress("waiting for Galaxy") as on_progress:
        datasets = wait_described(galaxy, history, ids, VERIFY_FIELDS, timeout, on_progress)
    if any(upload_problem(upload, datasets[upload.dataset["id"]]) for upload in uploads if not upload.problem):
        now = {dataset["id"]: dataset for dataset in history_datasets(galaxy, history)}     # a hash may come a moment later
        datasets = {one: {**now[one], "state": dataset["state"]} for one, dataset in datasets.items()}
    for upload in uploads:
        if not upload.problem:
            dataset_id = upload.dataset["id"]
            upload.dataset = {**upload.dataset, **datasets[dataset_id]}
            upload.problem = upload_problem(upload)
            if upload.source.components and not upload.problem:
                try:
                    upload.problem = composite_problem(galaxy, dataset_id, upload.source)
                except GalaxyError as error:
                    if error.status is None:
                        raise
                    upload.is_unverified = True
                    upload.fail(f"{upload.source.path}: dataset {dataset_id} is ok, but the sizes of its files could not be "
                                f"compared: {error}")
    return uploads


def upload_problem(upload: Upload, about: Mapping[str, Any] = MappingProxyType({})) -> str:
    """What is wrong with an upload whose dataset has ended; "" if its bytes are in Galaxy. `about` is what is newer than
    `upload.dataset`."""
    dataset, size = {**upload.dataset, **about}, upload.source.size
    label = f"{upload.source.path}: dataset {dataset['id']}"
    if dataset["deleted"]:
        return f"{label} was deleted meanwhile"
    if dataset["state"] == "deferred" and upload.source.deferred:
        return ""
    if dataset["state"] != "ok":
        return f"{label} ended in state {dataset['state']}: {dataset.get('misc_info') or 'Galaxy does not say why'}"
    known = known_hashes(dataset)
    if upload.sha256 and known.keys() != {"md5"} and "hashes" in dataset:   # 24.1 has compared the MD5, and keeps only that
        return "" if upload.sha256 == known.get("sha256") else f"{label} has another SHA-256 than was sent"
    if size not in (None, dataset["file_size"]) and not upload.source.decompress:
        return f"{label} has {dataset['file_size']} bytes, {size} were sent"
    return ""


def find_existing(galaxy: Galaxy, history: str, sources: list[Source], wait: bool, timeout: float | None = None
                  ) -> set[Source]:
    """Those of the sources that the history has already: each takes a dataset of the same name and size, or one of the same
    name that is still being made, unless these are to be waited for first. A URL has no size, so its name is enough."""
    names = {source.name[:NAME_LENGTH] for source in sources}
    datasets = history_datasets(galaxy, history, deleted=False)
    moving = [dataset["id"] for dataset in datasets
              if dataset["state"] in NON_TERMINAL_DATASET_STATES and dataset["name"] in names]
    if moving and wait:
        wait_datasets(galaxy, history, moving, timeout)
        datasets = history_datasets(galaxy, history, deleted=False)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for dataset in datasets:
        by_name.setdefault(dataset["name"], []).append(dataset)
    existing = set()
    for source in sources:
        candidates = by_name.get(source.name[:NAME_LENGTH], [])
        for dataset in candidates:
            if dataset["state"] in NON_TERMINAL_DATASET_STATES or (
                    dataset["state"] == "ok" and source.size in (None, dataset["file_size"])):
                candidates.remove(dataset)
                existing.add(source)
                break
    return existing
