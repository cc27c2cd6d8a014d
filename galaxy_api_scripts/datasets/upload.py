"""Files and addresses to datasets of a history: sent, made by few jobs, looked at, and sent again where they did not arrive.

A run that was killed at any moment is gone on with by the next one that is asked for the same: what each file has come to is
noted in its record before and after every step.
"""
from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common import FAILED, NON_TERMINAL_DATASET_STATES, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import SETTLE_SECONDS, Checkpoint
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.datasets.target_history import NAME_LENGTH, TargetHistory, last_hid
from galaxy_api_scripts.datasets.tus import open_unchanged, send_file, upload_checkpoint
from galaxy_api_scripts.polling import wait_datasets
from galaxy_api_scripts.progress import STALL_TIMEOUT, progress_bar

BATCH = 50              # files a job, which Galaxy 26.1 is at work on while the next are sent: 100 in two are ready before
                        # 100 in one or in four
BATCH_BYTES = 2**30     # what is larger goes alone, so that jobs run beside each other


@dataclass
class UploadSettings:
    """What holds for all files of a call; `stall` is in seconds."""

    dbkey: str = "?"
    tags: list[str] = field(default_factory=list)
    hashed: bool = True
    stall: float = STALL_TIMEOUT


@dataclass
class Upload:
    """A source and what has become of it: the dataset as Galaxy describes it, or the `problem` that there is with it.

    A dataset is `guessed` by its name where nothing else tells yet that it is this source's: it may be somebody else's.
    """

    source: Source
    dataset: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    problem: str = ""
    exit_code: int = FAILED
    answer: Any = None
    guessed: bool = False
    record: Checkpoint | None = None

    def failed(self, why: object, exit_code: int = FAILED) -> Upload:
        """This one, with a problem."""
        self.problem, self.exit_code = str(why), exit_code
        return self


def finished_datasets(target: TargetHistory) -> dict[str, str]:
    """`{a source's path: its dataset's id}` if an earlier run for the same had succeeded when it was killed."""
    return dict(target.checkpoint.data.get("ended", {})) if target.checkpoint else {}


def upload_sources(galaxy: Galaxy, history: str, sources: list[Source], settings: UploadSettings, ended: dict[str, str] | None = None
           ) -> Iterator[Upload]:
    """Send the sources and let Galaxy make datasets of them, a job for each `BATCH` of them; hands on each as soon as Galaxy
    has taken it, or it is clear that it can't be sent. Those in `ended` have their dataset (see `TargetHistory`).

    Raises `GalaxyError` where the trouble is not one file's: then another run goes on. The records stay until `mark_done`.
    """
    with progress_bar(sum(source.size or 0 for source in sources), "all", None) if len(sources) > 1 else \
            contextlib.nullcontext() as total:
        for batch in fetch_batches(sources):
            yield from _upload_batch(galaxy, history, batch, settings, total, ended or {})


def upload_one(galaxy: Galaxy, history: str, source: Source, dbkey: str = "?") -> tuple[Upload, Any]:
    """Upload one file; returns it and Galaxy's answer, `{"outputs": [dataset], "jobs": [job], ...}`. Raises `GalaxyError`."""
    galaxy.get(f"histories/{history}")      # a wrong history is told before the bytes go
    [one] = upload_sources(galaxy, history, [source], UploadSettings(dbkey))
    if one.problem:
        raise GalaxyError(one.problem, one.exit_code)
    return one, one.answer or {"outputs": [galaxy.get(f"datasets/{one.dataset['id']}")], "jobs": []}


def post_fetch(galaxy: Galaxy, history: str, targets: list[dict[str, Any]], sessions: Iterable[dict[str, str]] = ()) -> Any:
    """Let Galaxy make datasets by one job (`POST /api/tools/fetch`); returns its answer.

    `targets` are `[{"destination": ..., "elements": [...]}]`; `sessions` those of the elements with `src: files`, in the
    elements' order. The job needs a history even if the destination is a library.
    """
    files = {f"files_{number}|file_data": session for number, session in enumerate(sessions)}
    return galaxy.post("tools/fetch", {"history_id": history, "targets": targets, **files})


def fetch_batches(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """The sources in lists for one job each."""
    batch: list[Source] = []
    for source in sources:
        if batch and (len(batch) == BATCH or sum(one.size or 0 for one in batch) + (source.size or 0) > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(source)
    if batch:
        yield batch


def mark_succeeded(uploads: list[Upload], where: TargetHistory) -> None:
    """All has ended well: note it in one place, so that who is killed while it is forgotten is gone on with whole."""
    if where.checkpoint and len(uploads) > 1:
        where.checkpoint.save(ended={one.source.path: one.dataset["id"] for one in uploads})


def mark_done(uploads: Iterable[Upload], where: TargetHistory) -> None:
    """The user knows that all has ended well: a later run begins anew."""
    for record in (*(one.record for one in uploads), where.checkpoint):
        if record:
            record.remove()


def _upload_batch(galaxy: Galaxy, history: str, batch: list[Source], settings: UploadSettings, total: Any, ended: dict[str, str]
                  ) -> Iterator[Upload]:
    with contextlib.ExitStack() as stack:
        begun = [_resume_notes(galaxy, history, source, stack) for source in batch]
        for one in begun:
            if one.source.path in ended:
                _note(one, dataset=ended[one.source.path])
        _adopt_datasets(galaxy, history, [one for one in begun if one.record and one.record.data])
        elements, sessions, sent = [], [], []
        for one in begun:
            if one.dataset or one.problem:
                if total is not None:
                    total.update(one.source.size or 0)
                continue
            try:
                element, session = _element(galaxy, one, settings, total)
            except GalaxyError as error:
                if error.status or error.exit_code == TRY_LATER:    # not this file's fault
                    raise
                one.failed(error, error.exit_code)
                continue
            elements.append({**element, "ext": one.source.ext, "dbkey": settings.dbkey,
                             **({"tags": settings.tags} if settings.tags else {})})
            sessions += [session] if session else []
            sent.append(one)
        if sent:
            _create_datasets(galaxy, history, elements, sessions, sent)
        yield from begun


def _resume_notes(galaxy: Galaxy, history: str, source: Source, stack: contextlib.ExitStack) -> Upload:
    """What an earlier run that was killed has noted of the source, which no other run has now."""
    one = Upload(source)
    try:
        if source.is_url:
            one.record = Checkpoint(galaxy, source.path, "upload", source.path, source.name, history)
        else:
            with open_unchanged(source.path) as file:
                one.record = upload_checkpoint(galaxy, file, source.path, f"{history} {source.name}")
        stack.callback(one.record.close)
    except GalaxyError as error:
        if error.exit_code == TRY_LATER:
            raise
        one.failed(error)
    return one


def _element(galaxy: Galaxy, one: Upload, settings: UploadSettings, total: Any) -> tuple[dict[str, Any], dict[str, str] | None]:
    """What a fetch takes of a source: for a file the bytes are sent first."""
    assert one.record
    if one.source.is_url:
        return {"src": "url", "url": one.source.path, "name": one.source.name}, None
    with open_unchanged(one.source.path) as file:
        element, session = send_file(galaxy, file, one.source.name, one.record, hashed=settings.hashed,
                                     stall=settings.stall, total=total)
    one.sha256 = element["hashes"][0]["hash_value"] if settings.hashed else ""
    return element, session


def _create_datasets(galaxy: Galaxy, history: str, elements: list[dict[str, Any]], sessions: list[dict[str, str]],
          sent: list[Upload]) -> None:
    """Let Galaxy make datasets of what was sent; where its answer is lost, look for them."""
    after = last_hid(galaxy, history)
    for one in sent:
        _note(one, after=after, when=time.time(), sha256=one.sha256)
    try:
        answer = post_fetch(galaxy, history, [{"destination": {"type": "hdas"}, "elements": elements}], sessions)
        made = answer.get("outputs") if isinstance(answer, dict) else None
        if not isinstance(made, list) or not all(isinstance(one, dict) and one.get("id") for one in made):
            raise GalaxyError("Galaxy has taken what was sent, and does not say what it makes of it", lost=True)
    except GalaxyError as error:
        if not error.lost:
            if error.status is None or 400 <= error.status < 500:       # else Galaxy may have done it all the same
                for one in sent:
                    _note(one, after=None)
            raise
        for one in sent:
            _note(one, when=time.time())        # a proxy gives up while Galaxy is still at work on it
        _adopt_datasets(galaxy, history, sent)
        if all(one.dataset for one in sent):
            return
        raise GalaxyError(f"{error}; run it again, and it looks for what was done", TRY_LATER) from error
    if len(made) != len(sent):
        raise GalaxyError(f"Galaxy has taken {len(made)} of {len(sent)} files: look into history {history}")
    for one, dataset in zip(sent, made):
        one.dataset, one.answer = dataset, answer
        _note(one, dataset=dataset["id"])


def _note(one: Upload, **facts: Any) -> None:
    if one.record:
        one.record.save(durably=(one.source.size or 0) > BATCH_BYTES // 1024, **facts)


def _adopt_datasets(galaxy: Galaxy, history: str, begun: list[Upload]) -> None:
    """Find the datasets that Galaxy was asked for by a run that did not learn what became of it.

    They came after what the history then held, with the names that were asked for. Those in state `error` are deleted: the
    file is sent again.
    """
    asked = [one for one in begun if _data(one).keys() & {"dataset", "after"}]
    taken: set[str] = set()
    while asked:
        held = history_datasets(galaxy, history)
        for one in asked:
            found = next((made for made in held if made["id"] not in taken and _is_from(made, one)), None)
            if not found:
                continue
            taken.add(found["id"])
            if found["state"] == "error":
                discard_dataset(galaxy, found["id"])
                _forget(one)
            else:
                one.guessed = "dataset" not in _data(
                    one) and found["state"] in NON_TERMINAL_DATASET_STATES    # it has no hash yet
                one.dataset, one.sha256 = found, str(_data(one).get("sha256") or "")
                if not one.guessed:
                    _note(one, dataset=found["id"])
        asked = [one for one in asked if not one.dataset and _data(one)]
        late = [one for one in asked if "dataset" in _data(one) or time.time() - _data(one).get("when", 0) > SETTLE_SECONDS]
        for one in late:
            _note(one, dataset=None, after=None)
        asked = [one for one in asked if one not in late]
        if asked:
            time.sleep(2)


def _data(one: Upload) -> dict[str, Any]:
    return one.record.data if one.record else {}


def _forget(one: Upload) -> None:
    if one.record:
        one.record.clear()


def _is_from(made: dict[str, Any], one: Upload) -> bool:
    data = _data(one)
    if made["deleted"]:
        return False
    if data.get("dataset"):
        return bool(made["id"] == data["dataset"])
    if made["hid"] <= data["after"] or made["name"] != one.source.name[:NAME_LENGTH]:
        return False
    if made["state"] in NON_TERMINAL_DATASET_STATES or "hashes" not in made or not data.get("sha256"):
        return True
    return data["sha256"] in [known["hash_value"] for known in made["hashes"]]      # else somebody else's of that name


def history_datasets(galaxy: Galaxy, history: str) -> list[dict[str, Any]]:
    """All datasets of the history, deleted ones too, each with what there is to compare; a request for 500."""
    ask = {"v": "dev", "keys": "id,hid,name,state,deleted,extension,file_size,hashes,misc_info"}
    return [thing for thing in galaxy.pages(f"histories/{history}/contents", ask)
            if thing["history_content_type"] == "dataset"]


def discard_dataset(galaxy: Galaxy, dataset: str) -> None:
    """Delete a dataset that did not arrive, for good where the server lets its users do so: with Celery, Galaxy 26.1 purges
    it only when a worker comes to that, and until then it would look as if it were there."""
    galaxy.delete(f"datasets/{dataset}")
    try:
        galaxy.delete(f"datasets/{dataset}", {"purge": True})
    except GalaxyError as error:
        if error.status != 403:
            raise


def verify_uploads(galaxy: Galaxy, history: str, uploads: list[Upload], settings: UploadSettings, timeout: float | None = None
            ) -> Iterator[Upload]:
    """Wait until Galaxy has the uploads, compare size and hash, and send again, once, what did not arrive; hands on each
    with its dataset as it is then, or with its problem.

    Raises `GalaxyError` (STILL_RUNNING) when `timeout` seconds are over.
    """
    wrong = []
    for one in _wait_until_ended(galaxy, history, uploads, timeout):
        if one.problem and one.dataset and not one.dataset["deleted"]:      # what its owner deleted stays so
            wrong.append(one)
        else:
            yield one
    if not wrong:
        return
    for one in wrong:
        if not one.guessed:
            discard_dataset(galaxy, one.dataset["id"])
        if one.record:
            one.record.remove()
    first = {one.source: one.problem for one in wrong}
    again = list(upload_sources(galaxy, history, [one.source for one in wrong], settings))
    for one in _wait_until_ended(galaxy, history, again, timeout):
        if one.problem:
            one.problem += "" if one.problem == first[one.source] else f" (before: {first[one.source]})"
        yield one


def _wait_until_ended(galaxy: Galaxy, history: str, uploads: list[Upload], timeout: float | None) -> list[Upload]:
    """The uploads once all have ended, well or with a problem."""
    ids = [one.dataset["id"] for one in uploads if not one.problem]
    with progress_bar(len(ids), "waiting for Galaxy", unit="") as bar:
        states = wait_datasets(galaxy, history, ids, timeout, lambda counts: bar.update(counts["ended"] - bar.n)) if ids else {}
    held = {made["id"]: made for made in history_datasets(galaxy, history)} if ids else {}
    for one in uploads:
        if not one.problem:
            one.dataset = {**one.dataset, **held[one.dataset["id"]], "state": states[one.dataset["id"]]}
            problem = upload_problem(one)
            if problem:
                one.failed(problem)
    return uploads


def upload_problem(one: Upload) -> str:
    """What is wrong with an upload that has ended; "" where its bytes are in Galaxy."""
    about, source = one.dataset, one.source
    name = f"{source.path}: dataset {about['id']}"
    if about["deleted"]:
        return f"{name} was deleted meanwhile"
    if about["state"] != "ok":
        return f"{name} ended in state {about['state']}: {about.get('misc_info') or 'Galaxy does not say why'}"
    hashed = one.sha256 and "hashes" in about       # older Galaxys list none
    if hashed and one.sha256 not in [made["hash_value"] for made in about["hashes"]]:
        return f"{name} has another SHA-256 than was sent"
    if not hashed and source.size is not None and about["file_size"] != source.size:
        return f"{name} has {about['file_size']} bytes, {source.size} were sent"
    return ""


def find_existing(galaxy: Galaxy, history: str, sources: list[Source], wait: bool, timeout: float | None = None) -> set[Source]:
    """Those of the sources that the history has already: each takes a dataset of the same name and size, or one of the same
    name that is just being made, unless these are to be waited for first. An address has no size, so its name is enough."""
    held = [made for made in history_datasets(galaxy, history) if not made["deleted"]]
    names = {source.name[:NAME_LENGTH] for source in sources}
    moving = [made for made in held if made["state"] in NON_TERMINAL_DATASET_STATES and made["name"] in names]
    if moving and wait:
        wait_datasets(galaxy, history, [made["id"] for made in moving], timeout)
        held = [made for made in history_datasets(galaxy, history) if not made["deleted"]]
    there, free = set(), [made for made in held if made["state"] == "ok" or made["state"] in NON_TERMINAL_DATASET_STATES]
    by_name: dict[str, list[dict[str, Any]]] = {}
    for made in free:
        by_name.setdefault(made["name"], []).append(made)
    for source in sources:
        same = by_name.get(source.name[:NAME_LENGTH], [])
        fits = next((made for made in same if made["state"] != "ok" or source.size in (None, made["file_size"])), None)
        if fits:
            same.remove(fits)
            there.add(source)
    return there
