"""Bytes: a file up to a history, a dataset down to a folder, streamed and checked."""
from __future__ import annotations

import base64
import errno
import hashlib
import itertools
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import requests

from common import DATASET_MOVES, REFUSED, TRY_LATER, USAGE, Galaxy, Refused
from replies import MAYBE_DONE, PASSING

PIECE = 64 * 2**20      # bytes a request; larger ones are no faster (Galaxy 26.1 on loopback)
UPLOADS = "upload/resumable_upload/"    # TUS 1.0.0, Galaxy 22.01 and later
TUS = {"Tus-Resumable": "1.0.0"}


def upload(galaxy: Galaxy, history: str, path: str, *, name: str = "", ext: str = "auto", dbkey: str = "?") -> Any:
    """Send the file at `path` to the history with the id `history`; returns Galaxy's answer, `{"outputs": [dataset],
    "jobs": [job], ...}`.

    The bytes go as they are, with their SHA-256: where Galaxy stored others, the dataset ends in state `error`. Raises
    `Refused`, also where the file changes meanwhile; unless its `lost` is set, no dataset was made then.
    """
    with _regular_file(path) as file:
        galaxy.get(f"histories/{history}")      # a wrong history is told before the bytes go
        element, session = _send_whole(galaxy, file, path, name)
    element.update(ext=ext, dbkey=dbkey)
    return fetch(galaxy, history, [{"destination": {"type": "hdas"}, "elements": [element]}], [session])


def send(galaxy: Galaxy, path: str, name: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """Send the bytes of the file at `path`, which become a dataset by `fetch` only; returns the element and the session
    that it takes. Raises `Refused`, also where the file changes meanwhile."""
    with _regular_file(path) as file:
        return _send_whole(galaxy, file, path, name)


def fetch(galaxy: Galaxy, history: str, targets: list[dict[str, Any]], sessions: Iterable[dict[str, str]] = ()) -> Any:
    """Let Galaxy make datasets of what was sent (`POST /api/tools/fetch`), all by one job; returns its answer.

    `targets` are `[{"destination": ..., "elements": [...]}]`; `sessions` those of their elements with `src: files`, in
    the elements' order. A history is wanted for the job even where the destination is a library.
    """
    files = {f"files_{number}|file_data": session for number, session in enumerate(sessions)}
    return galaxy.post("tools/fetch", {"history_id": history, "targets": targets, **files})


def _send_whole(galaxy: Galaxy, file: BinaryIO, path: str, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    name = name or os.path.basename(path)
    before = os.fstat(file.fileno())
    session, digest = _send(galaxy, file, before.st_size, name)
    after = os.fstat(file.fileno())
    longer = file.read(1)       # a file of /proc says that it has no bytes
    if longer or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Refused(f"{path}: changed while it was sent, so no dataset was made: send it when it is complete")
    return {"src": "files", "name": name, "hashes": [{"hash_function": "SHA-256", "hash_value": digest}]}, \
        {"session_id": session, "name": name}


def wait_until_ok(galaxy: Galaxy, history: str, datasets: list[str], timeout: float | None = None) -> None:
    """Wait until these datasets of one history are `ok`, their bytes compared with the hashes that went with them.

    Raises `Refused` with Galaxy's reason where one ends otherwise, and when `timeout` seconds are over (STILL_RUNNING).
    """
    for dataset, state in galaxy.wait_datasets(history, datasets, timeout).items():
        if state != "ok":
            why = galaxy.get(f"datasets/{dataset}").get("misc_info") or "Galaxy does not say why"
            raise Refused(f"dataset {dataset} ended in state {state}: {why}")


def _regular_file(path: str) -> BinaryIO:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):     # a pipe has no size, and would arrive as an empty dataset
            raise Refused(f"{path}: not a file", USAGE)
        return open(path, "rb")
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", USAGE) from None


def _send(galaxy: Galaxy, file: BinaryIO, size: int, name: str) -> tuple[str, str]:
    """Send `size` bytes of `file`; returns the TUS session's id and the SHA-256 of what went."""
    told = {"filename": name, "filetype": "application/octet-stream"}     # HEAD answers 400 later where one is missing
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())
    try:
        made = galaxy.request("POST", UPLOADS, headers={**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata})
        # The address in Location carries the host that Galaxy believes it has, so only its last part is of use.
        session = made.headers.get("Location", "").rstrip("/").rsplit("/", 1)[-1]
        if not re.fullmatch(r"[\w-]+", session):
            raise Refused(f"{galaxy.base} named no upload session: does a proxy drop the Location header?")
        digest, sent = hashlib.sha256(), 0
        with progress(size, name) as bar:
            while sent < size:
                piece = _Piece(file, min(PIECE, size - sent), digest, bar)
                headers = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(sent)}
                galaxy.request("PATCH", UPLOADS + session, headers=headers, data=piece)
                sent += len(piece)
        arrived = galaxy.request("HEAD", UPLOADS + session, headers=TUS).headers.get("Upload-Offset")
    except Refused as error:
        code = TRY_LATER if error.lost or error.status in PASSING else error.exit_code
        why = str(error).removesuffix(f": {MAYBE_DONE}")     # no: there is no dataset without the fetch
        again = ", send it again" if code == TRY_LATER else ""
        raise Refused(f"{name}: no dataset was made{again}: {why}", code, status=error.status,
                      body=error.body, err_msg=error.err_msg) from error
    if arrived != str(size):        # Galaxy makes a dataset in state ok of half an upload, so it must not be asked to
        raise Refused(f"{name}: {arrived} of {size} bytes arrived, so no dataset was made: send it again", TRY_LATER)
    return session, digest.hexdigest()


class _Piece:
    """The next `size` bytes of a file as a request's body, counted and hashed as they go."""

    def __init__(self, file: BinaryIO, size: int, digest: Any, bar: Any):
        self.file, self.size, self.left, self.digest, self.bar = file, size, size, digest, bar

    def __len__(self) -> int:
        return self.size

    def read(self, size: int = -1) -> bytes:
        block = self.file.read(self.left if size < 0 else min(size, self.left))
        if self.left and not block:
            raise Refused(f"{self.file.name}: became shorter while it was sent")
        self.left -= len(block)
        self.digest.update(block)
        self.bar.update(len(block))
        return block


def download(galaxy: Galaxy, dataset: str, folder: Path, taken: set[str], overwrite: bool = False) -> Path:
    """Fetch the dataset with the id `dataset` into `folder` under its own name; returns the path.

    The bytes get that name only when all have come. `taken` are the names already given in this run. Raises `Refused`
    where the dataset is not `ok`, the file is there already or bytes are missing, and OSError where the disk is full.
    """
    about = galaxy.get(f"datasets/{dataset}")
    if not isinstance(about, dict) or not isinstance(about.get("file_size", 0), int):
        raise Refused(f"dataset {dataset}: {galaxy.base} answers with something else: is it a Galaxy?")
    label = f"dataset {dataset} ({about.get('name')})"
    if about.get("state") != "ok" or about.get("deleted") or about.get("purged"):
        gone = "deleted" if about.get("deleted") or about.get("purged") else f"in state {about.get('state')}"
        later = ": fetch it when it is ok" if about.get("state") in DATASET_MOVES else ""
        raise Refused(f"{label} is {gone}, not ok, so nothing was fetched{later}")
    path = folder / _free_name(str(about.get("name")), str(about.get("extension")), dataset, taken)
    part = folder / f".{dataset}.{secrets.token_hex(4)}.part"
    try:
        if path.exists() and not overwrite:
            raise FileExistsError
        _fetch(galaxy, about, part, dataset, label)
        if overwrite:
            os.replace(part, path)
        else:
            _name(part, path)
    except FileExistsError:
        raise Refused(f"{label}: {path} is there already: move it away, or give --force") from None
    except requests.RequestException:
        raise Refused(f"{label}: the connection broke before the answer was whole: fetch it again", TRY_LATER) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Refused(f"{label}: {path}: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    taken.add(path.name)
    return path


def _fetch(galaxy: Galaxy, about: dict[str, Any], part: Path, dataset: str, label: str) -> None:
    """The dataset's bytes in the new file `part`, all of them; messages call it `label`."""
    size = about.get("file_size")
    with _bytes(galaxy, dataset, str(about.get("extension")), label) as answer, open(part, "xb") as file, \
            progress(size or 0, str(about.get("name"))) as bar:
        for block in answer.iter_content(2**20):
            file.write(block)
            bar.update(len(block))
        file.flush()
        os.fsync(file.fileno())
    came = part.stat().st_size
    if came != size:
        later = isinstance(size, int) and came < size
        raise Refused(f"{label}: {came} of {size} bytes came{': fetch it again' if later else ''}",
                      TRY_LATER if later else REFUSED)


def _bytes(galaxy: Galaxy, dataset: str, ext: str, label: str) -> requests.Response:
    """Galaxy's answer with the dataset's own bytes.

    Without `to_ext` old servers answer with a rendered page for some datatypes. With it Galaxy packs those that can have
    companion files, html among them, into a zip archive, unless it is asked for `raw` (26.1, measured).
    """
    ask: dict[str, Any] = {"params": {"to_ext": ext}, "stream": True, "anywhere": True,
                           "headers": {"Accept-Encoding": "identity"}}
    answer = galaxy.request("GET", f"datasets/{dataset}/display", **ask)
    if "zip" not in answer.headers.get("Content-Type", "") or "zip" in ext:
        return answer
    answer.close()
    if galaxy.get(f"datasets/{dataset}/extra_files"):
        raise Refused(f"{label}: it has companion files beside its own bytes, which this script does not fetch yet")
    ask["params"]["raw"] = "true"
    return galaxy.request("GET", f"datasets/{dataset}/display", **ask)


def _free_name(name: str, ext: str, dataset: str, taken: set[str]) -> str:
    """A file name that this run has not given yet: the dataset's own, or with its id."""
    marks = itertools.chain(["", f" ({dataset})"], (f" ({dataset}, {number})" for number in itertools.count(2)))
    return next(found for found in (file_name(name, ext, mark) for mark in marks) if found not in taken)


def _name(part: Path, path: Path) -> None:
    """Give the file `part` the name `path`, unless something has it, even if that came a moment ago."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:     # a file system without links
        if path.exists():
            raise FileExistsError from None
        os.replace(part, path)


def file_name(name: str, ext: str, mark: str = "") -> str:
    """`name`, `mark` and the datatype's extension, fit for any folder: no path, nothing hidden, 255 bytes at most."""
    ext = re.sub(r"[^\w.+-]|\.(?=\.)", "_", ext, flags=re.ASCII)[:40]
    stem = re.sub(r"[/\\\x00-\x1f\x7f-\x9f]", "_", name).strip().removesuffix(f".{ext}")
    if stem.startswith("."):
        stem = "_" + stem[1:]
    end = f"{mark}.{ext}"
    return (stem or "dataset").encode(errors="replace")[:255 - len(end.encode())].decode(errors="ignore") + end


@contextmanager
def progress(size: int, name: str) -> Iterator[Any]:
    """A bar on a terminal, nothing elsewhere; it has `update(bytes)`."""
    from tqdm import tqdm
    with tqdm(total=size, desc=name[:40], unit="B", unit_scale=True, unit_divisor=1024, disable=None, leave=False,
              file=sys.stderr) as bar:
        yield bar
