"""Archives of whole histories: let Galaxy export one, check one by reading it to its end, let Galaxy import one.

An archive is a tar or zip file of history_attrs.txt, datasets_attrs.txt and the contents of datasets.
"""
from __future__ import annotations

import gzip
import json
import os
import re
import sys
import tarfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from common import (
    FAILED,
    MAY_HAVE_ACTED,
    NON_TERMINAL_DATASET_STATES,
    NON_TERMINAL_JOB_STATES,
    STILL_RUNNING,
    TRY_LATER,
    USAGE,
    Galaxy,
    GalaxyError,
    eprint,
)
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.http_download import download_file
from galaxy_api_scripts.datasets.local_file import open_file
from galaxy_api_scripts.datasets.multipart import FormFile, MultipartForm
from galaxy_api_scripts.files import check_writable, safe_name
from galaxy_api_scripts.polling import wait_jobs
from galaxy_api_scripts.progress import progress_bar

# The archives that Galaxy 26.1 both exports and imports, with the endings of their file names. Its bags fail.
ARCHIVE_TYPES = {"tgz": ".tgz", "tar.gz": ".gz", "tar": ".tar", "rocrate.zip": ".zip"}
ARCHIVE_LIFETIME = 86400      # seconds from the request on that Galaxy keeps an archive for download (26.1)
PREFIX, UNNAMED = "imported from archive: ", "unnamed imported history"     # Galaxy's names for imported histories
MAX_NAME = 255      # characters of such a name; Galaxy cuts off the rest
ANSWER_TIMEOUT = 300    # seconds, and one for each 20 MiB, that Galaxy may take to answer when it has the archive
# States in which an imported dataset stays for good. (setting_metadata is the one that passes.)
NEVER_OK = ("failed_metadata", *(state for state in NON_TERMINAL_DATASET_STATES if state != "setting_metadata"))
MAX_ATTRIBUTES = 2**28      # bytes of what describes a history; those of 100,000 datasets have about 2**27
BLOCK = 2**20


def announce(text: str) -> None:
    """Say on a terminal, and only there, what is being waited for."""
    if sys.stderr.isatty():
        eprint(text)


@contextmanager
def kept_until_finished(checkpoint: Checkpoint) -> Iterator[None]:
    """Clear `checkpoint` at the end, unless the work still runs or is to be tried again: then a later run resumes it."""
    try:
        yield
    except GalaxyError as error:
        if error.exit_code not in (STILL_RUNNING, TRY_LATER):
            checkpoint.clear()
        raise
    checkpoint.clear()


# -------------------------------------------------------------------------------------------------------------- export

def resolve_archive_path(text: str, name: str, kind: str, overwrite: bool, option: str) -> Path:
    """Return the path of the archive for `name`: `text`, the value of `option`, or a file in the folder `text`. Raises a
    `GalaxyError` as `check_writable` does."""
    path = Path(text)
    if text and path.is_dir():
        path /= safe_name(name, f".{kind}", without=kind)
    return check_writable("" if text in ("", "-") else path, overwrite, option)


def request_archive(galaxy: Galaxy, checkpoint: Checkpoint, changed: str, request: Callable[[], dict[str, Any]]) -> None:
    """Let `checkpoint` hold the notes on a requested archive of what was last `changed` at that time: those of an earlier
    run if nothing has changed and Galaxy still has that archive, else those that `request()` returns."""
    notes = checkpoint.data
    age = time.time() - notes.get("asked", 0)       # below 0 if the clock was put back
    if notes.get("changed") != changed or not 0 <= age <= ARCHIVE_LIFETIME or not _is_under_way(galaxy, notes):
        new_notes = request()
        checkpoint.clear()
        checkpoint.save(changed=changed, asked=time.time(), **new_notes)


def _is_under_way(galaxy: Galaxy, notes: dict[str, Any]) -> bool:
    """Whether Galaxy has made the requested archive or is making it. An archive is ready before its task has ended, well or
    not (26.1), so the task is asked first: otherwise one finished between the two requests would be taken for lost."""
    return "task" not in notes or not _has_ended(galaxy, notes) or bool(galaxy.get(f"{notes['route']}/ready"))


def _has_ended(galaxy: Galaxy, notes: dict[str, Any]) -> bool:
    """Whether Galaxy's task has ended; one that Galaxy has forgotten has not."""
    return galaxy.get_or_none(f"tasks/{notes['task']}/state") in ("SUCCESS", "FAILURE", "REVOKED")


def download_archive(galaxy: Galaxy, notes: dict[str, Any], path: Path, timeout: float | None, overwrite: bool,
                     label: str, kind: str, check: Callable[[Path], object], hint: str = "") -> None:
    """Wait until Galaxy has made the archive of `request_archive`'s `notes`, and write it to `path` unless `check` raises an
    error. `hint` is what to say if Galaxy could not make this `kind` of `label`."""
    announce("Galaxy makes the archive")
    failure = f"{label}: Galaxy could not make the {kind}{hint}"
    _wait_until_made(galaxy, notes, timeout, failure)
    try:
        download_file(galaxy, notes["route"], path, label=label, overwrite=overwrite,
                      before_publish=lambda part, _: check(part))
    except GalaxyError as error:
        if not error.status or error.exit_code != FAILED:
            raise
        # Of a task that failed Galaxy tells the reason where the archive would be.
        raise GalaxyError(f"{failure}: {error.err_msg or error}", status=error.status) from error


def _wait_until_made(galaxy: Galaxy, notes: dict[str, Any], timeout: float | None, failure: str) -> None:
    """Wait until an archive or the reason why there is none can be downloaded; `failure` is the message if neither can."""
    if "jobs" in notes:
        for job, state in wait_jobs(galaxy, notes["route"].split("/")[1], notes["jobs"], timeout).items():
            if state != "ok":
                raise GalaxyError(f"{failure}: {_explain_failure(galaxy, job)}")
        return
    for _ in galaxy.poll(timeout):
        has_ended = _has_ended(galaxy, notes)
        if galaxy.get(f"{notes['route']}/ready"):
            return
        if has_ended:       # its process was killed
            raise GalaxyError(failure)
    raise GalaxyError(f"Galaxy is still making the archive after {timeout:g} s: repeat the command to resume", STILL_RUNNING)


def request_history_export(galaxy: Galaxy, history: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    """Let Galaxy make an archive of the history; return the notes on it. `payload` is that of `prepare_store_download`."""
    unfinished = galaxy.pages(f"histories/{history['id']}/contents", {"v": "dev", "q": ["state-in", "deleted-eq"], "qv": [
        ",".join(NON_TERMINAL_DATASET_STATES), "False"]}, limit=3)
    names = [f"{dataset['hid']} {dataset['name']}" for dataset in unfinished] or _list_metadata_jobs(galaxy, history)
    if names:       # imported from an archive they stay in their states for ever (26.1, measured)
        raise GalaxyError(f"datasets of the history are unfinished ({', '.join(names)}): export it when they have ended")
    has_celery = galaxy.get("configuration", {"keys": "enable_celery_tasks"}).get("enable_celery_tasks")
    return (request_export if has_celery else request_export_job)(galaxy, f"histories/{history['id']}", payload)


def request_export(galaxy: Galaxy, route: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Let a task make an archive of the history or invocation at `route`; return the notes on it."""
    answer = galaxy.post(f"{route}/prepare_store_download", payload)
    return {"route": f"short_term_storage/{answer['storage_request_id']}", "task": answer["task"]["id"]}


def request_export_job(galaxy: Galaxy, route: str, payload: dict[str, Any]) -> dict[str, Any]:
    """As `request_export`, on a server without Celery: a job makes the archive. Galaxy's answer describes the previous
    export, if any, and the ids in its list are of no use (26.1), so the new export and job are found by comparison."""
    kind = payload["model_store_format"]
    if kind not in ("tgz", "tar.gz", "tar") or not payload["include_files"]:
        raise GalaxyError("this server has no Celery, so it makes archives of the kinds tgz and tar only, and with contents")
    exports, history = f"{route}/exports", route.removeprefix("histories/")

    def list_known() -> tuple[list[str], list[str]]:
        jobs = galaxy.pages("jobs", {"history_id": history, "tool_id": "__EXPORT_HISTORY__"})
        return [export["download_url"] for export in galaxy.get(exports)], [job["id"] for job in jobs]

    before = list_known()
    galaxy.put(exports, {"force": True, "gzip": kind != "tar", "include_hidden": payload["include_hidden"],
                         "include_deleted": payload["include_deleted"]})
    urls, jobs = ([one for one in new if one not in old] for new, old in zip(list_known(), before))
    if not urls or not jobs:
        raise GalaxyError(f"{galaxy.base} has not started to make an archive, and does not say why")
    return {"route": f"{exports}/{urls[0].rsplit('/', 1)[-1]}", "jobs": jobs}


def _list_metadata_jobs(galaxy: Galaxy, history: dict[str, Any]) -> list[str]:
    """The label of one job, if any, that sets the metadata of a dataset of the history. The dataset is in state
    setting_metadata then, by which contents can't be filtered (26.1)."""
    params = {"history_id": history["id"], "tool_id": "__SET_METADATA__", "state": list(NON_TERMINAL_JOB_STATES)}
    return [f"metadata by job {job['id']}" for job in galaxy.pages("jobs", params, limit=1)]


def _explain_failure(galaxy: Galaxy, job: str) -> str:
    """Galaxy's reason for a failed job: the last line of its errors that is neither indented nor a list item."""
    about = galaxy.get(f"jobs/{job}", {"full": "true"})
    lines = re.findall(r"^[^\s-].*", about.get("stderr") or about.get("tool_stderr") or "", re.MULTILINE)
    return f"job {job} is {about['state']}: {lines[-1].strip(' :') if lines else 'Galaxy does not say why'}"


# --------------------------------------------------------------------------------------------------------------- check

@dataclass
class Archive:
    """A complete archive."""

    path: Path
    stamp: tuple[int, int]      # size (bytes) and modification time (ns)
    ending: str
    name: str       # that Galaxy gives the imported history
    tags: list[str]
    datasets: Counter[tuple[str, str, int]]     # those with contents, by name, state and size (bytes)


class CutArchive(GalaxyError):
    """An archive that ends too early."""


def read_archive(path: Path, label: str = "") -> Archive:
    """Read an archive to its end. Raises `GalaxyError` if it is damaged, is no history's, or lacks contents that it lists:
    Galaxy 26.1 imports one with a wrong checksum, and one without some of the contents, and calls both `ok`."""
    label = label or str(path)
    try:
        with open_file(str(path)) as file:
            return _read(file, path)
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        kind = CutArchive if isinstance(error, EOFError) or "unexpected end" in str(error) else GalaxyError
        raise kind(f"{label}: not the whole archive of a history: {error}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise GalaxyError(f"{label}: not the archive of a history: {error}") from None
    except OSError as error:
        raise GalaxyError(f"{label}: {error.strerror or error}", USAGE) from None


def _read(file: BinaryIO, path: Path) -> Archive:
    stamp, magic = _stamp(file), file.read(4)
    file.seek(0)
    ending = "zip" if magic == b"PK\3\4" else "tar.gz" if magic.startswith(b"\x1f\x8b") else "tar"
    sizes: dict[str, int] = {}
    texts: dict[str, bytearray] = {}
    with progress_bar(stamp[0], f"reading {path.name}") as bar:
        for name, member in _iter_zip(file) if ending == "zip" else _iter_tar(file, ending):
            sizes[name] = 0
            if name.endswith(("history_attrs.txt", "datasets_attrs.txt")):
                texts[name] = bytearray()
            while block := member.read(BLOCK):
                sizes[name] += len(block)
                if name in texts:
                    texts[name] += block
                    if len(texts[name]) > MAX_ATTRIBUTES:
                        raise ValueError(f"its {os.path.basename(name)} has more than {MAX_ATTRIBUTES // 2**20} MiB")
                bar.update(file.tell() - bar.n)
    candidates = [name for name in texts if name.endswith("history_attrs.txt")]
    if not candidates:
        raise ValueError("it has no history_attrs.txt")
    top = min(candidates, key=len).removesuffix("history_attrs.txt")      # in a bag the history is in a folder
    listed = [dataset for dataset in json.loads(texts[f"{top}datasets_attrs.txt"]) if dataset.get("file_name")]
    missing = [str(dataset["name"]) for dataset in listed if f"{top}{dataset['file_name']}" not in sizes]
    if missing:
        raise ValueError(f"it lacks the contents of {len(missing)} of its {len(listed)} datasets: {', '.join(missing[:3])}")
    datasets = Counter((str(dataset["name"]), str(dataset.get("state", "ok")), sizes[f"{top}{dataset['file_name']}"])
                       for dataset in listed)
    history = json.loads(texts[f"{top}history_attrs.txt"])
    name = (PREFIX + history["name"])[:MAX_NAME] if history["name"] else UNNAMED
    return Archive(path, stamp, ending, name, history.get("tags") or [], datasets)


def _stamp(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def require_nothing_before(archive: zipfile.ZipFile) -> None:
    """Raise BadZipFile for an archive that bytes stand before, which zipfile skips: one that came twice, say."""
    if min((info.header_offset for info in archive.infolist()), default=0):
        raise zipfile.BadZipFile("bytes before its first member")


def _iter_zip(file: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as archive:
        require_nothing_before(archive)
        for info in archive.infolist():
            with archive.open(info) as member:
                yield info.filename, member


def _iter_tar(file: BinaryIO, ending: str) -> Iterator[tuple[str, IO[bytes]]]:
    unpacked: Any = gzip.GzipFile(fileobj=file) if ending == "tar.gz" else file
    with tarfile.open(fileobj=unpacked, mode="r|") as archive:
        for info in archive:
            member = archive.extractfile(info) if info.isreg() else None
            if member:
                yield info.name.removeprefix("./"), member
    while unpacked.read(BLOCK):     # the checksum of a tgz is behind its end
        pass
    if ending == "tar":
        file.seek(max(os.fstat(file.fileno()).st_size - 1024, 0))
        if file.read() != bytes(1024):
            raise EOFError("its end is missing")


# -------------------------------------------------------------------------------------------------------------- import

def start_import(galaxy: Galaxy, archive: Archive | str, checkpoint: Checkpoint) -> str:
    """Send an archive to Galaxy, or the address of one; return the id of the job that imports it. It goes in one request,
    because Galaxy makes only datasets of resumable uploads (26.1). The job of an earlier run that did not learn its id is
    the only one that is not in `checkpoint` as older."""
    if isinstance(archive, str):
        return str(galaxy.post("histories", {"archive_type": "url", "archive_source": archive})["id"])

    def list_new() -> list[str]:
        older = checkpoint.data.get("older_jobs", [])
        return [str(job["id"]) for job in _list_import_jobs(galaxy) if job["id"] not in older]

    jobs = list_new()
    if "older_jobs" in checkpoint.data and len(jobs) == 1:
        return jobs[0]
    checkpoint.save(older_jobs=[*checkpoint.data.get("older_jobs", []), *jobs])
    with progress_bar(archive.stamp[0], archive.path.name) as bar:
        file = FormFile("archive_file", archive.path, f"archive.{archive.ending}", archive.stamp)
        form = MultipartForm({}, [file], bar)
        try:
            answer = galaxy.request("POST", "histories", **form.request_options)
            return str(answer.json()["id"])
        except GalaxyError as error:
            if error.status == 413 or (error.lost and not form.is_sent):
                checkpoint.clear()
                reason = str(error).removesuffix(f": {MAY_HAVE_ACTED}")    # no: Galaxy does nothing with half a form
                raise GalaxyError(f"nothing was imported: {reason}: an archive goes in one request; --help says how to "
                                  "send one in pieces", TRY_LATER if error.lost else error.exit_code) from error
            if not error.lost:
                checkpoint.clear()      # nothing arrived, so no later job is this run's
                raise
            # Galaxy stores the archive before it answers; a proxy may not wait that long.
            for _ in galaxy.poll(ANSWER_TIMEOUT + archive.stamp[0] / (20 * 2**20)):
                if len(jobs := list_new()) == 1:
                    return jobs[0]
            raise


def _list_import_jobs(galaxy: Galaxy) -> Iterator[dict[str, Any]]:
    """The user's import jobs, failed ones too."""
    return galaxy.pages("jobs", {"tool_id": "__IMPORT_HISTORY__"})


def wait_for_import(galaxy: Galaxy, job: str, archive: Archive | None, timeout: float | None) -> dict[str, Any]:
    """Return the new history (`id`, `name`) when the job has ended and all datasets are as in the archive; without
    `archive`, which is then at an address, only their states are checked. Raises `GalaxyError` if the job or that fails."""
    history: dict[str, Any] = {}
    announce("Galaxy imports the archive")
    for _ in galaxy.poll(timeout):
        if not history:
            about = galaxy.get(f"jobs/{job}")
            if about["state"] in NON_TERMINAL_JOB_STATES:
                continue
            history = _find_imported(galaxy, about, archive)
        # After the job has ended Galaxy still sets the metadata of some datasets, such as BAM.
        if not _list_metadata_jobs(galaxy, history):
            break
    else:
        raise GalaxyError(f"job {job} is still importing after {timeout:g} s: repeat the command to wait again",
                          STILL_RUNNING)
    wrong = _list_missing(galaxy, history, archive) if archive else [
        f"{one['name']} ({one['state']})" for one in _list_datasets(galaxy, history) if one["state"] in NEVER_OK]
    if wrong:
        raise GalaxyError(f"history {history['id']} ({history['name']}) was created, but {len(wrong)} of the archive's "
                          f"datasets are missing or wrong in it: {', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}")
    return history


def _find_imported(galaxy: Galaxy, job: dict[str, Any], archive: Archive | None) -> dict[str, Any]:
    """Return the history that an import job has created. Galaxy does not tell which it is: the latest one of the name that
    was created while the job ran, and that holds what the archive does."""
    histories = galaxy.pages("histories", {"q": "create_time-ge", "qv": job["create_time"], "keys": "id,name,create_time"})
    candidates = [history for history in histories if history["create_time"] <= job["update_time"] and (
        history["name"] == archive.name if archive else history["name"] == UNNAMED or history["name"].startswith(PREFIX))]
    candidates.reverse()
    if job["state"] != "ok":
        rest = f"; it has left the incomplete history {candidates[0]['id']}" if candidates else ""
        raise GalaxyError(f"the import failed: {_explain_failure(galaxy, job['id'])}{rest}")
    if not candidates:
        raise GalaxyError(f"job {job['id']} has done the import, but its history does not exist: was it deleted or renamed "
                          "since?")
    if archive and len(candidates) > 1:
        return next((history for history in candidates if not _list_missing(galaxy, history, archive)), candidates[0])
    return dict(candidates[0])


def _list_missing(galaxy: Galaxy, history: dict[str, Any], archive: Archive) -> list[str]:
    """Labels of the archive's datasets that are not in the history with the same name, state and size."""
    present = Counter((dataset["name"], dataset["state"].replace("setting_metadata", "ok"), dataset["file_size"] or 0)
                      for dataset in _list_datasets(galaxy, history) if dataset["state"] not in NEVER_OK)
    return [f"{name} ({state}, {size} bytes)" for name, state, size in (archive.datasets - present).elements()]


def _list_datasets(galaxy: Galaxy, history: dict[str, Any]) -> Iterator[dict[str, Any]]:
    contents = galaxy.pages(f"histories/{history['id']}/contents", {"v": "dev", "keys": "name,state,file_size"})
    return (item for item in contents if item["history_content_type"] == "dataset")
