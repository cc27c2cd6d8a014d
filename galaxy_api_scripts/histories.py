"""Whole histories as archives: made by Galaxy, read to their end here, taken in by Galaxy.

An archive is a tar or zip file with history_attrs.txt, datasets_attrs.txt and the contents of datasets in it.
"""
from __future__ import annotations

import gzip
import json
import os
import re
import secrets
import sys
import tarfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from common import (
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
from galaxy_api_scripts.datasets.download import clip_filename, safe_name
from galaxy_api_scripts.datasets.tus import open_unchanged
from galaxy_api_scripts.progress import progress_bar

# What Galaxy 26.1 can make of a history, and make a history of, by what the names of such files end in. Its bags fail.
ARCHIVE_TYPES = {"tgz": ".tgz", "tar.gz": ".gz", "tar": ".tar", "rocrate.zip": ".zip"}
ARCHIVE_LIFETIME = 86400      # seconds that Galaxy keeps an archive for its download, from the request on (26.1)
PREFIX, UNNAMED = "imported from archive: ", "unnamed imported history"     # what Galaxy calls an imported history
LONGEST = 255       # characters of such a name; Galaxy cuts off the others
LOST = 300          # seconds, and one for 20 MiB, that Galaxy may take to answer when it has got an archive
NEVER_OK = ("failed_metadata", *(state for state in NON_TERMINAL_DATASET_STATES if state != "setting_metadata"))  # once imported
BLOCK = 2**20
AT_ONCE = "an archive goes in one request; --help tells how it goes in pieces"


def announce(text: str) -> None:
    """Say what is waited for, on a terminal only."""
    if sys.stderr.isatty():
        eprint(text)


@contextmanager
def kept_until_finished(record: Checkpoint) -> Iterator[None]:
    """Keep what `record` notes where this run stops before the thing itself has ended."""
    try:
        yield
    except GalaxyError as error:
        if error.exit_code not in (STILL_RUNNING, TRY_LATER):
            record.clear()
        raise
    record.clear()


# ------------------------------------------------------------------------------------------------------ made by Galaxy

def archive_path(text: str, name: str, kind: str) -> Path:
    """Where the archive of the history called `name` goes: the file `text`, or a file in the folder `text`."""
    path = Path(text)
    if path.is_dir():
        path /= clip_filename(f"{safe_name(name, kind)}.{kind}", kind)
    if text in ("", "-") or not os.access(path.parent, os.W_OK):
        raise GalaxyError(f"FILE: {text!r} is neither a folder nor a name in one, or nothing can be written there", USAGE)
    return path


def prepare_export(galaxy: Galaxy, history: dict[str, Any], wish: dict[str, Any], record: Checkpoint, timeout: float | None) -> str:
    """Let Galaxy make an archive of the history; returns the route to fetch it from once it is made.

    `wish` is what `POST .../prepare_store_download` takes. What an earlier run asked for, as `record` notes, is gone on
    with where Galaxy has it and the history has not changed since.
    """
    here, changed = f"histories/{history['id']}", history["update_time"]
    if record.data.get("changed") != changed or record.data["asked"] < time.time() - ARCHIVE_LIFETIME or \
            not _under_way(galaxy, here, record.data):
        moving = galaxy.pages(f"{here}/contents", {"v": "dev", "q": ["state-in", "deleted-eq"], "qv": [
            ",".join(NON_TERMINAL_DATASET_STATES), "False"]}, limit=3)
        names = [f"{one['hid']} {one['name']}" for one in moving] or _metadata_jobs(galaxy, history)
        if names:       # an archive of them brings them in their states for ever (26.1, measured)
            raise GalaxyError(f"the history is still being made ({', '.join(names)}): export it when that has ended")
        celery = galaxy.get("configuration", {"keys": "enable_celery_tasks"}).get("enable_celery_tasks")
        asked = (_ask if celery else _ask_an_old_server)(galaxy, history["id"], wish)
        record.clear()
        record.save(changed=changed, asked=time.time(), **asked)
    route, jobs = str(record.data["route"]), record.data.get("jobs")
    announce("Galaxy makes the archive")
    if jobs:
        for job, state in galaxy.wait_jobs(history["id"], jobs, timeout).items():
            if state != "ok":
                raise GalaxyError(f"Galaxy could not make the archive: {_why(galaxy, job)}")
        return route
    for _ in galaxy.poll(timeout):
        if galaxy.get(f"{route}/ready"):
            return route
    raise GalaxyError(f"the archive is not made after {timeout:g} s: the same command goes on with it", STILL_RUNNING)


def _ask(galaxy: Galaxy, history: str, wish: dict[str, Any]) -> dict[str, Any]:
    answer = galaxy.post(f"histories/{history}/prepare_store_download", wish)
    return {"route": f"short_term_storage/{answer['storage_request_id']}", "task": answer["task"]["id"]}


def _under_way(galaxy: Galaxy, here: str, asked: dict[str, Any]) -> bool:
    """Whether Galaxy has the archive that it was asked for, or is making it.

    Galaxy declares an archive ready before it stops calling it in preparation, so it is asked in the opposite order: asked
    the other way round, one that was made between the two requests would be taken for lost.
    """
    if "task" not in asked:
        return True
    exports = galaxy.get(f"{here}/exports", headers={"Accept": "application/vnd.galaxy.task.export+json"})
    return any(export["task_uuid"] == asked["task"] and export["preparing"] for export in exports) or \
        bool(galaxy.get(f"{asked['route']}/ready"))


def _ask_an_old_server(galaxy: Galaxy, history: str, wish: dict[str, Any]) -> dict[str, Any]:
    """As `_ask`, where there is no Celery: a job makes the archive.

    The answer describes the export before this one where there is one, and the list of exports has ids that nothing
    takes (26.1), so the new ones are looked for.
    """
    kind = wish["model_store_format"]
    if kind not in ("tgz", "tar.gz", "tar") or not wish["include_files"]:
        raise GalaxyError("this server has no Celery: it makes archives of the kinds tgz and tar, with files")
    exports = f"histories/{history}/exports"

    def known() -> tuple[list[str], list[str]]:
        jobs = galaxy.pages("jobs", {"history_id": history, "tool_id": "__EXPORT_HISTORY__"})
        return [export["download_url"] for export in galaxy.get(exports)], [job["id"] for job in jobs]

    before = known()
    galaxy.put(exports, {"force": True, "gzip": kind != "tar", "include_hidden": wish["include_hidden"],
                         "include_deleted": wish["include_deleted"]})
    urls, jobs = ([one for one in now if one not in then] for now, then in zip(known(), before))
    if not urls or not jobs:
        raise GalaxyError(f"{galaxy.base} has not begun to make an archive, and does not say why")
    return {"route": f"{exports}/{urls[0].rsplit('/', 1)[-1]}", "jobs": jobs}


def _metadata_jobs(galaxy: Galaxy, history: dict[str, Any]) -> list[str]:
    """Something, as long as Galaxy sets the metadata of datasets of the history. Their state is setting_metadata then, but
    a list of contents can't be asked for that (26.1)."""
    asked = {"history_id": history["id"], "tool_id": "__SET_METADATA__", "state": list(NON_TERMINAL_JOB_STATES)}
    return [f"metadata by job {job['id']}" for job in galaxy.pages("jobs", asked, limit=1)]


def _why(galaxy: Galaxy, job: str) -> str:
    """What Galaxy has to say about a job that failed: the last line of its errors that is one of its own."""
    about = galaxy.get(f"jobs/{job}", {"full": "true"})
    lines = re.findall(r"^[^\s-].*", about.get("stderr") or about.get("tool_stderr") or "", re.MULTILINE)
    return f"job {job} is {about['state']}: {lines[-1].strip(' :') if lines else 'Galaxy does not say why'}"


# ----------------------------------------------------------------------------------------------------- read to its end

@dataclass
class Archive:
    """A whole archive at `path`, its bytes and time of change in `stamp`.

    `name` is what Galaxy will call its history; `datasets` count those whose contents are in it, by name, state and bytes.
    """

    path: Path
    stamp: tuple[int, int]
    ending: str
    name: str
    tags: list[str]
    datasets: Counter[tuple[str, str, int]]


def read_archive(path: Path, label: str = "") -> Archive:
    """Read the archive to its end; refused where it is broken or no history's, or lacks contents that it tells of.

    Galaxy 26.1 takes in a tgz with a wrong checksum, and one without all of the contents, and calls both `ok`.
    """
    label = label or str(path)
    try:
        with open_unchanged(str(path)) as file:
            return _read(file, path)
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise GalaxyError(f"{label}: not the whole archive of a history: {error}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise GalaxyError(f"{label}: not the archive of a history: {error}") from None
    except OSError as error:
        raise GalaxyError(f"{label}: {error.strerror or error}", USAGE) from None


def _read(file: BinaryIO, path: Path) -> Archive:
    stamp, magic = _stamp(file), file.read(4)
    file.seek(0)
    ending = "zip" if magic == b"PK\3\4" else "tar.gz" if magic.startswith(b"\x1f\x8b") else "tar"
    sizes: dict[str, int] = {}
    texts: dict[str, bytes] = {}
    with progress_bar(stamp[0], f"reading {path.name}") as bar:
        for name, member in _zip(file) if ending == "zip" else _tar(file, ending):
            sizes[name] = 0
            if name.endswith(("history_attrs.txt", "datasets_attrs.txt")):
                texts[name] = b""
            while block := member.read(BLOCK):
                sizes[name] += len(block)
                if name in texts:
                    texts[name] += block
                bar.update(file.tell() - bar.n)
    tops = [name for name in texts if name.endswith("history_attrs.txt")]
    if not tops:
        raise ValueError("there is no history_attrs.txt in it")
    top = min(tops, key=len).removesuffix("history_attrs.txt")      # in a bag the history is in a folder
    about = [one for one in json.loads(texts[f"{top}datasets_attrs.txt"]) if one.get("file_name")]
    lacking = [str(one["name"]) for one in about if f"{top}{one['file_name']}" not in sizes]
    if lacking:
        raise ValueError(f"contents of {len(lacking)} of its {len(about)} datasets are not in it: {', '.join(lacking[:3])}")
    datasets = Counter((str(one["name"]), str(one.get("state", "ok")), sizes[f"{top}{one['file_name']}"]) for one in about)
    history = json.loads(texts[f"{top}history_attrs.txt"])
    name = (PREFIX + history["name"])[:LONGEST] if history["name"] else UNNAMED
    return Archive(path, stamp, ending, name, history.get("tags") or [], datasets)


def _stamp(file: BinaryIO) -> tuple[int, int]:
    about = os.fstat(file.fileno())
    return about.st_size, about.st_mtime_ns


def _zip(file: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as archive:
        for about in archive.infolist():
            with archive.open(about) as member:
                yield about.filename, member


def _tar(file: BinaryIO, ending: str) -> Iterator[tuple[str, IO[bytes]]]:
    unpacked: Any = gzip.GzipFile(fileobj=file) if ending == "tar.gz" else file
    with tarfile.open(fileobj=unpacked, mode="r|") as archive:
        for about in archive:
            member = archive.extractfile(about) if about.isreg() else None
            if member:
                yield about.name.removeprefix("./"), member
    while unpacked.read(BLOCK):     # the checksum of a tgz is behind its end
        pass
    if ending == "tar":
        file.seek(max(os.fstat(file.fileno()).st_size - 1024, 0))
        if file.read() != bytes(1024):
            raise EOFError("its end is missing")


# ---------------------------------------------------------------------------------------------------- taken in by Galaxy

def start_import(galaxy: Galaxy, archive: Archive | str) -> str:
    """Send the archive, or tell Galaxy at which address it is; returns the id of the job that imports it.

    It goes in one request, since what is sent to Galaxy's resumable uploads can only become datasets (26.1).
    """
    before = {job["id"] for job in _imports(galaxy)}
    if isinstance(archive, str):
        return str(galaxy.post("histories", {"archive_type": "url", "archive_source": archive})["id"])
    with progress_bar(archive.stamp[0], archive.path.name) as bar:
        form = _Form(archive, bar)
        try:
            answer = galaxy.request("POST", "histories", data=form, headers={
                "Content-Type": f"multipart/form-data; boundary={form.mark}"})
            return str(answer.json()["id"])
        except GalaxyError as error:
            if error.status == 413 or (error.lost and not form.sent):
                why = str(error).removesuffix(f": {MAY_HAVE_ACTED}")    # no: half a form is nothing
                code = TRY_LATER if error.lost else error.exit_code
                raise GalaxyError(f"nothing was imported: {why}: {AT_ONCE}", code) from error
            if not error.lost:
                raise
            # Galaxy stores the archive before it answers; a proxy may wait less long for that.
            for _ in galaxy.poll(LOST + archive.stamp[0] / (20 * 2**20)):
                fresh = [str(job["id"]) for job in _imports(galaxy) if job["id"] not in before]
                if len(fresh) == 1:
                    return fresh[0]
            raise


class _Form:
    """The form with the archive in it, read from the disk while it is sent; from its beginning where it is sent again."""

    def __init__(self, archive: Archive, bar: Any):
        self.archive, self.bar, self.mark, self.sent = archive, bar, secrets.token_hex(16), False
        self.head = (f'--{self.mark}\r\nContent-Disposition: form-data; name="archive_file"; '
                     f'filename="archive.{archive.ending}"\r\nContent-Type: application/octet-stream\r\n\r\n').encode()
        self.tail = f"\r\n--{self.mark}--\r\n".encode()

    def __len__(self) -> int:
        return len(self.head) + self.archive.stamp[0] + len(self.tail)

    def __iter__(self) -> Iterator[bytes]:
        self.bar.update(-self.bar.n)
        with open(self.archive.path, "rb") as file:
            yield self.head
            while block := file.read(BLOCK):
                yield block
                self.bar.update(len(block))
            if _stamp(file) != self.archive.stamp:
                raise GalaxyError(f"{self.archive.path}: changed while it was sent, so nothing is imported")
        yield self.tail
        self.sent = True


def _imports(galaxy: Galaxy) -> Iterator[dict[str, Any]]:
    """The user's imports, failed ones too."""
    return galaxy.pages("jobs", {"tool_id": "__IMPORT_HISTORY__"})


def wait_for_import(galaxy: Galaxy, job: str, archive: Archive | None, timeout: float | None) -> dict[str, Any]:
    """The new history (`id`, `name`), once the job has ended well and all datasets are there as the archive has them.

    Raises `GalaxyError` where that is not so. Of an archive at an address only what Galaxy says of the datasets is known.
    """
    history: dict[str, Any] = {}
    announce("Galaxy imports the archive")
    for _ in galaxy.poll(timeout):
        if not history:
            about = galaxy.get(f"jobs/{job}")
            if about["state"] in NON_TERMINAL_JOB_STATES:
                continue
            history = _made_by(galaxy, about, archive)
        # After the job Galaxy goes on with the metadata of some datasets, as BAM.
        if not _metadata_jobs(galaxy, history):
            break
    else:
        raise GalaxyError(f"job {job} is not done with the import after {timeout:g} s: the same command waits for it again",
                      STILL_RUNNING)
    wrong = _missing(galaxy, history, archive) if archive else [
        f"{one['name']} ({one['state']})" for one in _datasets(galaxy, history) if one["state"] in NEVER_OK]
    if wrong:
        raise GalaxyError(f"history {history['id']} ({history['name']}) was made, but {len(wrong)} of the archive's datasets "
                      f"did not come right: {', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}")
    return history


def _made_by(galaxy: Galaxy, job: dict[str, Any], archive: Archive | None) -> dict[str, Any]:
    """The history that an import has made. Galaxy does not tell it: of those of its name that were made while the job ran,
    it is the last one that holds what the archive does."""
    made = galaxy.pages("histories", {"q": "create_time-ge", "qv": job["create_time"], "keys": "id,name,create_time"})
    same = [one for one in made if one["create_time"] <= job["update_time"] and (
        one["name"] == archive.name if archive else one["name"] == UNNAMED or one["name"].startswith(PREFIX))]
    same.reverse()
    if job["state"] != "ok":
        left = f"; history {same[0]['id']} is left of it, which is not whole" if same else ""
        raise GalaxyError(f"the import failed: {_why(galaxy, job['id'])}{left}")
    if not same:
        raise GalaxyError(
            f"job {job['id']} has done the import, but its history is not there: was it deleted or renamed since?")
    if archive and len(same) > 1:
        return next((one for one in same if not _missing(galaxy, one, archive)), same[0])
    return dict(same[0])


def _missing(galaxy: Galaxy, history: dict[str, Any], archive: Archive) -> list[str]:
    """The datasets of the archive that are not in the history with their names, states and sizes, in words."""
    there = Counter((one["name"], one["state"].replace("setting_metadata", "ok"), one["file_size"] or 0)
                    for one in _datasets(galaxy, history) if one["state"] not in NEVER_OK)
    return [f"{name} ({state}, {size} bytes)" for name, state, size in (archive.datasets - there).elements()]


def _datasets(galaxy: Galaxy, history: dict[str, Any]) -> Iterator[dict[str, Any]]:
    contents = galaxy.pages(f"histories/{history['id']}/contents", {"v": "dev", "keys": "name,state,file_size"})
    return (one for one in contents if one["history_content_type"] == "dataset")
