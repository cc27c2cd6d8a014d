"""Bytes: a file up to Galaxy, and what Galaxy has down to a file; streamed, gone on with after a cut, and checked.

What makes datasets of the bytes that went up, many at once, is in uploads.py; what names the files that come down is in
downloads.py.
"""
from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import itertools
import os
import queue
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import requests

from common import FAILED, MAY_HAVE_ACTED, TRANSIENT_STATUSES, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.files import publish

MAX_PIECE = 512 * 2**20         # bytes a request at most: each costs Galaxy 26.1 some 10 ms; what came of one before a cut
                            # stays, unless a proxy gathers it first
MIN_PIECE = 64 * 2**10          # the smallest piece that is tried where larger ones don't go through
SMALL_FILE = 2**20               # a file of that size goes with the request that begins its upload
BLOCK_SIZE = 2**20               # bytes of a file read at a time: in smaller ones, hashing in a thread beside hides less
BUFFERS = 6                 # blocks of a file in memory, most of them waiting to be hashed
CHUNK = 64 * 2**10          # bytes of an answer read at a time: what came of one before a cut is lost
FLUSH = 32 * 2**20          # bytes that came until they are written through to the disk, beside the next ones
STALL_TIMEOUT = 600                 # seconds without any progress until a transfer is given up
FRESH_STARTS = 10           # uploads begun anew for one file until it is given up
FREEZE_SECONDS = 35                 # seconds: Galaxy 26.1 answers nobody for 30 where a piece comes while another is open
UPLOADS = "upload/resumable_upload/"    # TUS 1.0.0, Galaxy 22.01 and later
TUS = {"Tus-Resumable": "1.0.0"}


# ------------------------------------------------------------------------------------------------------------------- up

def upload_file(galaxy: Galaxy, path: str, name: str = "", *, to: str = "", hashed: bool = True, stall: float = STALL_TIMEOUT,
         total: Any = None, keep: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """Send the bytes of the file at `path`, which become a dataset by `post_fetch` only; returns the element and the session
    that it takes.

    An upload that was killed is gone on with, also by a later process, where `to` is the same: a word for where it goes.
    The element has the SHA-256 unless it is not to be `hashed`: where Galaxy then stores other bytes, the dataset ends in
    state `error`. `total` is a bar of `progress_bar` for all of several files. With `keep` its record stays, so that a later
    process has nothing left to send, until `forget_upload`. Raises `GalaxyError`, also where the file changes meanwhile, and when
    nothing has moved for `stall` seconds (TRY_LATER).
    """
    with open_unchanged(path) as file, upload_checkpoint(galaxy, file, path, to) as record:
        sent = send_source(galaxy, file, name or os.path.basename(path), record, hashed=hashed, stall=stall, total=total)
        if not keep:
            record.clear()
        return sent


def forget_upload(galaxy: Galaxy, path: str, to: str = "") -> None:
    """A dataset was made of what was sent: a later `upload_file` begins anew."""
    with contextlib.suppress(GalaxyError), open_unchanged(path) as file, upload_checkpoint(galaxy, file, path, to) as record:
        record.clear()


def post_fetch(galaxy: Galaxy, history: str, targets: list[dict[str, Any]], sessions: Iterable[dict[str, str]] = ()) -> Any:
    """Let Galaxy make datasets of what was sent (`POST /api/tools/fetch`), all by one job; returns its answer.

    `targets` are `[{"destination": ..., "elements": [...]}]`; `sessions` those of their elements with `src: files`, in
    the elements' order. A history is wanted for the job even where the destination is a library.
    """
    files = {f"files_{number}|file_data": session for number, session in enumerate(sessions)}
    return galaxy.post("tools/fetch", {"history_id": history, "targets": targets, **files})


def open_unchanged(path: str) -> FileIO:
    """The regular file at `path`, open for reading; a usage error where there is none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):     # a pipe has no size, and would arrive as an empty dataset
            raise GalaxyError(f"{path}: not a file", USAGE)
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise GalaxyError(f"{path}: {error.strerror}", USAGE) from None


def upload_checkpoint(galaxy: Galaxy, file: FileIO, path: str, to: str) -> Checkpoint:
    """The record of a file on its way to somewhere; another one when the file has changed."""
    about = os.fstat(file.fileno())
    return Checkpoint(galaxy, path, "upload", os.path.abspath(path), about.st_size, about.st_mtime_ns, to)


def send_source(galaxy: Galaxy, file: FileIO, name: str, record: Checkpoint, *, hashed: bool = True, stall: float = STALL_TIMEOUT,
              total: Any = None) -> tuple[dict[str, Any], dict[str, str]]:
    """As `upload_file`, for an open file and the record of it, which then still has the `session`."""
    before = os.fstat(file.fileno())
    with progress_bar(before.st_size, name, total) as bar, _Digest("sha256" if hashed else "") as digest:
        try:
            session = _Upload(galaxy, file, before.st_size, name, record, digest, bar, stall).session_of_all()
        except GalaxyError as error:
            if _differs(file, before):
                raise _changed(file) from error
            code = TRY_LATER if error.lost or error.status in TRANSIENT_STATUSES else error.exit_code
            why = str(error).removesuffix(f": {MAY_HAVE_ACTED}")     # no: there is no dataset without the fetch
            again = ", send it again" if code == TRY_LATER else ""
            raise GalaxyError(f"{one_name(name)}: no dataset was made{again}: {why}", code, status=error.status,
                          body=error.body, err_msg=error.err_msg) from error
        longer = file.seek(before.st_size) and file.read(1) if before.st_size else file.read(1)
        if longer or _differs(file, before):    # a file of /proc says that it has no bytes
            raise _changed(file)
        hashes = [{"hash_function": "SHA-256", "hash_value": digest.hexdigest()}] if hashed else []
    return {"src": "files", "name": name, **({"hashes": hashes} if hashed else {})}, {"session_id": session, "name": name}


def one_name(name: str) -> str:
    """A file's or dataset's name as messages show it, on one line."""
    return name if name.isprintable() else repr(name)


def _differs(file: FileIO, before: os.stat_result) -> bool:
    after = os.fstat(file.fileno())
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def _changed(file: FileIO) -> GalaxyError:
    return GalaxyError(f"{file.name}: changed while it was sent, so no dataset was made: send it when it is complete")


class _Upload:
    """A file on its way up by TUS sessions, one after the other where one is lost.

    Whatever happens to a piece, the server is asked how far it has come; pieces become smaller where they don't go
    through. A server that went away in the middle of a piece may have stored more bytes than it tells (Galaxy 26.1), so
    the file is then begun anew.
    """

    def __init__(self, galaxy: Galaxy, file: FileIO, size: int, name: str, record: Checkpoint, digest: _Digest, bar: Any,
                 stall: float):
        self.galaxy, self.file, self.size, self.name, self.record = galaxy, file, size, name, record
        self.digest, self.bar, self.stall = digest, bar, stall
        # Used in turn: to allocate each block anew costs as much as to read it.
        self.buffers = itertools.cycle([memoryview(bytearray(min(BLOCK_SIZE, size or 1))) for _ in range(BUFFERS)])
        self.session, self.at = "", 0                       # "": none yet
        self.piece, self.most, self.whole = MAX_PIECE, MAX_PIECE, 0     # the last: pieces that went through one after the other
        self.troubles, self.fresh = 0, 0                    # troubles since the last progress; sessions begun
        self.moved = time.monotonic()

    def session_of_all(self) -> str:
        """The id of a session that has all the file's bytes."""
        self.resume()
        while not self.session or self.at < self.size:
            try:
                if self.session:
                    self.send_piece()
                else:
                    self.begin()
            except GalaxyError as error:
                self.mend(error)
        self.hash_up_to(self.size)
        return self.session

    def resume(self) -> None:
        """Go on with the session that the record knows, if the server still does."""
        session = str(self.record.data.get("session", ""))
        if re.fullmatch(r"[\w-]+", session):
            self.session = session
            at = self.offset()
            if at is None or at > self.size:
                self.session = ""
            else:
                self.progressed(at)

    def begin(self) -> None:
        """Begin a session, with all the bytes where they are few."""
        if self.fresh == FRESH_STARTS:
            raise GalaxyError(f"{self.galaxy.base} lost the upload {FRESH_STARTS} times", TRY_LATER)
        told = {"filename": self.name, "filetype": "application/octet-stream"}  # HEAD answers 400 later where one is missing
        metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())
        few = min(self.size, self.most) if self.size <= SMALL_FILE else 0
        headers = {**TUS, "Upload-Length": str(self.size), "Upload-Metadata": metadata}
        body = {"data": _Piece(self, 0, few), "headers": {**headers, **BYTES}} if few else {"headers": headers}
        answer = self.galaxy.request("POST", UPLOADS, patience=self.left(), **body)
        # The address in Location carries the host that Galaxy believes it has, so only its last part is of use.
        session = answer.headers.get("Location", "").rstrip("/").rsplit("/", 1)[-1]
        if not re.fullmatch(r"[\w-]+", session):
            raise GalaxyError(f"{self.galaxy.base} named no upload session: does a proxy drop the Location header?")
        self.session, self.at, self.fresh = session, 0, self.fresh + 1
        if self.size > SMALL_FILE:
            self.record.save(durably=True, session=session)
        if few:
            self.arrived(answer, 0, few)

    def send_piece(self) -> None:
        """Send the next piece."""
        self.hash_up_to(self.at)
        size = min(self.piece, self.size - self.at)
        headers = {**TUS, **BYTES, "Upload-Offset": str(self.at)}
        answer = self.galaxy.request("PATCH", UPLOADS + self.session, headers=headers, data=_Piece(self, self.at, size),
                                     patience=self.left())
        self.arrived(answer, self.at, size)
        self.whole += 1
        if self.whole >= 4 and self.piece < self.most:
            self.piece, self.whole = min(self.piece * 2, self.most), 0

    def arrived(self, answer: requests.Response, start: int, size: int) -> None:
        """Take note of how far the server has come, by its answer to `size` bytes from `start` on, else by asking it."""
        said = answer.headers.get("Upload-Offset", "")
        at: int | None = int(said) if said.isdecimal() else start + size if start + size < self.size else self.offset()
        if at != start + size:      # Galaxy makes a dataset in state ok of half an upload, so none must be taken for whole
            raise GalaxyError(f"{self.galaxy.base} has {at} bytes where {start + size} were sent", TRY_LATER)
        self.progressed(at)

    def progressed(self, at: int) -> None:
        """The server has the first `at` bytes."""
        if at > self.at:
            self.moved, self.troubles = time.monotonic(), 0
        self.at = at
        self.bar.update(at - self.bar.n)

    def left(self) -> float:
        """Seconds until no progress has been made for too long."""
        return max(self.stall - (time.monotonic() - self.moved), 0)

    def mend(self, error: GalaxyError) -> None:
        """Go on after `error`, or raise it where that is of no use."""
        late, broken = _too_late(error), error.lost or error.exit_code == TRY_LATER
        if not self.session and error.status == 404:
            raise GalaxyError(f"{error} (Galaxy takes resumable uploads since 22.01)", status=404) from error
        if self.left() <= 0 or (not self.session and self.fresh == FRESH_STARTS):
            raise error
        self.troubles += 1
        self.whole, before = 0, self.piece
        if error.status == 413 and self.piece > MIN_PIECE:      # a proxy's limit, which stays
            self.piece = self.most = max(min(self.piece, self.size or MIN_PIECE) // 2, MIN_PIECE)
        elif error.status in (404, 410):                    # the session has expired
            self.anew()
            return
        elif broken or error.status in TRANSIENT_STATUSES or error.status in (409, 500):
            if self.troubles > 1:
                self.piece = max(self.piece // 2, MIN_PIECE)
        else:
            raise error
        if late and self.session:
            time.sleep(min(FREEZE_SECONDS, self.left()))
        elif self.piece == before and self.troubles > 1:        # a smaller one is tried at once
            time.sleep(min(2.0 ** (self.troubles - 2), 30, self.left()))
        if not self.session:
            return
        at = self.offset()
        if at is None or at > self.size:
            self.anew()
        else:
            self.progressed(at)

    def offset(self) -> int | None:
        """How many bytes of the session the server has; None where it does not know the session, or may be wrong."""
        for patience in (0, self.left()):
            try:
                answer = self.galaxy.request("HEAD", UPLOADS + self.session, headers=TUS, patience=patience)
            except GalaxyError as error:
                if error.status in (400, 404, 410):
                    return None
                if error.exit_code != TRY_LATER or patience:
                    raise
            else:
                said = answer.headers.get("Upload-Offset", "")
                return int(said) if said.isdecimal() and not patience else None
        return None

    def anew(self) -> None:
        """Give the session up."""
        with contextlib.suppress(GalaxyError):      # it would lie there for five days
            self.galaxy.request("DELETE", UPLOADS + self.session, headers=TUS, patience=0)
        self.session = ""
        self.progressed(0)
        self.record.save(session="")

    def hash_up_to(self, end: int) -> None:
        """Hash the bytes before `end` that this process has not sent itself."""
        for start in range(self.digest.done, end, BLOCK_SIZE) if self.digest.wanted else ():
            self.file.seek(start)
            self.digest.feed(start, self.file.read(min(BLOCK_SIZE, end - start)))


BYTES = {"Content-Type": "application/offset+octet-stream"}


def _too_late(error: GalaxyError) -> bool:
    """Whether a request failed because the server was silent for too long."""
    return isinstance(error.__cause__, requests.Timeout) or "timed out" in str(error.__cause__)


class _Piece:
    """`size` bytes of an upload's file from `start` on, as a request's body, which may be sent more than once."""

    def __init__(self, upload: _Upload, start: int, size: int):
        self.upload, self.start, self.size = upload, start, size

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[memoryview]:
        file, bar, at, end = self.upload.file, self.upload.bar, self.start, self.start + self.size
        file.seek(at)
        self.upload.digest.settle()
        while at < end:
            buffer = next(self.upload.buffers)
            size = file.readinto(buffer[:end - at])
            if not size:
                raise GalaxyError(f"{file.name}: became shorter while it was sent")
            self.upload.digest.feed(at, buffer[:size])
            at += size
            yield buffer[:size]
            bar.update(at - bar.n)


class _Digest:
    """A hash of bytes in their order, worked out beside their transfer: hashlib lets other threads run meanwhile.

    `kind` is hashlib's name of it, "" for none.
    """

    def __init__(self, kind: str):
        self.kind, self.wanted = kind, bool(kind)
        self._begin()

    def _begin(self) -> None:
        self.done = 0
        if self.wanted:
            self._hash = hashlib.new(self.kind)
            self._blocks: queue.Queue[bytes | memoryview] = queue.Queue(BUFFERS - 3)
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while block := self._blocks.get():
            self._hash.update(block)
            self._blocks.task_done()

    def feed(self, start: int, block: bytes | memoryview) -> None:
        """Take in the bytes that stand at `start`; those that were taken in before change nothing.

        When this returns, the last but `BUFFERS` - 1 blocks, and all before, are not wanted any more.
        """
        if self.wanted and start + len(block) > self.done:
            self._blocks.put(block[self.done - start:] if start < self.done else block)
            self.done = start + len(block)

    def settle(self) -> None:
        """Wait until none of the blocks that were taken in is wanted any more. What is taken in for the second time makes
        nobody wait, so this comes before bytes are read again."""
        if self.wanted:
            self._blocks.join()

    def restart(self) -> None:
        """Forget all that was taken in."""
        if self.wanted and self.done:
            self.close()
            self._begin()

    def hexdigest(self) -> str:
        """The hash of all that was taken in, "" where none is wanted."""
        self.close()
        return self._hash.hexdigest() if self.wanted else ""

    def close(self) -> None:
        """Let the thread end."""
        if self.wanted and self._thread.is_alive():
            self._blocks.put(b"")
            self._thread.join()

    def __enter__(self) -> _Digest:
        return self

    def __exit__(self, *what: Any) -> None:
        self.close()


# ----------------------------------------------------------------------------------------------------------------- down

def download_file(galaxy: Galaxy, route: str, path: Path, *, label: str, params: Any = None, size: int | None = None,
            checksum: tuple[str, str] | None = None, overwrite: bool = False, stall: float = STALL_TIMEOUT,
            total: Any = None, arriving: Callable[[Path, str], Any] | None = None, packed: bool = True) -> str:
    """Stream what GET of `route` answers to the file `path`, which has that name only once all the bytes are there;
    returns the hash of them where there is a `checksum`, a kind as hashlib calls it and the hash expected ("": any).

    What was begun before, also by a process that was killed, is gone on with if the server still has the same (its
    `ETag`). `size` is how many bytes are expected, where that is known; `label` is what messages call it; `arriving` is
    called with the whole file, which still has another name, and its hash just before it gets its name. Where the answer is
    a zip archive and must not be (`packed`), it is `Packed`. Raises `GalaxyError` where the file is there already and not to be
    overwritten, where bytes are missing or wrong, and when nothing has moved for `stall` seconds; OSError where the disk
    is full.
    """
    there = f"{label}: {path} is there already: move it away, or give --force"
    if os.path.lexists(path) and not overwrite:
        raise GalaxyError(there)
    if path.exists() and not path.is_file() and not path.is_dir():      # root could put a file in a device's place
        raise GalaxyError(f"{label}: {path} is no file, so none is put in its place")
    kind, expected = checksum or ("", "")
    with Checkpoint(galaxy, str(path), "download", route, params, os.path.abspath(path)) as record:
        part = path.with_name(f".{record.name}{'' if record.kept else os.getpid()}.part")
        try:
            with open(part, "ab") as file, progress_bar(size, path.name, total) as bar, _Digest(kind) as digest, \
                    _Disk(file) as disk:
                download = _Download(galaxy, route, params, file, label, record, digest, disk, bar, stall, packed)
                got, came = download.all_bytes(size), digest.hexdigest()
            if size is not None and got != size:
                raise GalaxyError(f"{label}: {got} of {size} bytes came", FAILED)
            if expected and came != expected:
                raise GalaxyError(
                    f"{label}: other bytes came than Galaxy has hashed ({kind}: {came}, not {expected})", FAILED)
            if record.data.get("modified"):
                os.utime(part, (time.time(), record.data["modified"]))
            if arriving:
                arriving(part, came)
            if overwrite:
                os.replace(part, path)
            else:
                publish(part, path)
        except FileExistsError:
            _forget(part, record)
            raise GalaxyError(there) from None
        except GalaxyError as error:
            if error.exit_code != TRY_LATER or not record.kept:
                _forget(part, record)
            raise
        except OSError as error:
            _forget(part, record)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise GalaxyError(f"{label}: {path}: {error.strerror or error}") from None
        _forget(part, record)
        return came


def _forget(part: Path, record: Checkpoint) -> None:
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
    record.clear()


class Packed(GalaxyError):
    """An archive came where the file alone was wanted."""


class _Disk:
    """Writes a file's bytes through to the disk, those that came before while more come: to do it all in the end takes a
    fast link's time once more. When it is left without an exception, all are there; an OSError where they are not."""

    def __init__(self, file: BinaryIO):
        self.file, self.new = file, 0       # bytes that came since it was last begun
        self.error: OSError | None = None
        self.due: queue.Queue[bool] = queue.Queue(1)
        self.thread = threading.Thread(target=self._work, daemon=True)

    def came(self, size: int) -> None:
        """`size` more bytes were written to the file."""
        self.new += size
        if self.new >= FLUSH and self.due.empty():
            if not self.thread.is_alive():
                self.thread.start()
            self.due.put(True)
            self.new = 0

    def _work(self) -> None:
        while self.due.get():
            self._sync()

    def _sync(self) -> None:
        try:
            getattr(os, "fdatasync", os.fsync)(self.file.fileno())      # macOS has no other
        except OSError as error:
            self.error = self.error or error    # the system tells each failure once only

    def __enter__(self) -> _Disk:
        return self

    def __exit__(self, kind: Any, *what: Any) -> None:
        if self.thread.is_alive():
            self.due.put(False)
            self.thread.join()
        if not kind:
            self.file.flush()
            self._sync()
            if self.error:
                raise self.error


class _Download:
    """What a GET answers on its way into a file, by as many requests as it takes."""

    def __init__(self, galaxy: Galaxy, route: str, params: Any, file: BinaryIO, label: str, record: Checkpoint, digest: _Digest,
                 disk: _Disk, bar: Any, stall: float, packed: bool):
        self.galaxy, self.route, self.params, self.file, self.label = galaxy, route, params, file, label
        self.disk, self.packed = disk, packed
        self.record, self.digest, self.bar, self.stall = record, digest, bar, stall
        self.at, self.troubles, self.moved = file.seek(0, os.SEEK_END), 0, time.monotonic()
        self.furthest = self.at     # bytes that are fetched once more are no progress

    def all_bytes(self, size: int | None) -> int:
        """Fetch all the bytes, `size` of them where that is known; how many came."""
        if self.record.data.get("etag"):
            self.bar.update(self.at)
        else:
            self.start_over()
        while not self.fetch_rest(size):
            pass
        return self.at

    def fetch_rest(self, size: int | None) -> bool:
        """Fetch what is missing, by one request; whether all is there then."""
        try:
            with self.answer() as answer:
                whole = self.whole(answer, size)
                if whole is None:
                    raise GalaxyError(f"{self.galaxy.base} has another now, or can't go on where it was", TRY_LATER)
                self.hash_what_is_there()
                for block in answer.iter_content(CHUNK):
                    self.file.write(block)
                    self.disk.came(len(block))
                    self.digest.feed(self.at, block)
                    self.at += len(block)
                    self.bar.update(len(block))
            if self.at < whole:         # urllib3 1 does not tell a cut from an end
                raise GalaxyError(f"{self.at} of {whole} bytes came", TRY_LATER)
            return True
        except Packed:
            raise
        except (requests.RequestException, GalaxyError) as error:
            if self.at > self.furthest:
                self.moved, self.troubles, self.furthest = time.monotonic(), 0, self.at
            self.mend(error)
            return False
        finally:
            self.file.flush()

    def answer(self) -> requests.Response:
        """Galaxy's answer from the first byte on that is missing."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={self.at}-"} if self.at else {})}
        try:
            return self.galaxy.request("GET", self.route, params=self.params, stream=True, allow_other_host=True, headers=headers,
                                       patience=self.left())
        except GalaxyError as error:
            if error.status != 416 or not self.at:
                raise
            self.start_over()       # it has become shorter
            return self.answer()

    def whole(self, answer: requests.Response, size: int | None) -> int | None:
        """How many bytes there are in all, -1 where that can't be known; None where the rest in `answer` does not belong to
        what is there, so that all has to be fetched anew."""
        if not self.packed and "zip" in answer.headers.get("Content-Type", ""):
            raise Packed(f"{self.label}: Galaxy answers with an archive")
        etag = answer.headers.get("ETag", "")
        if answer.status_code == 206:
            said = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            same = said and int(said[1]) == self.at and etag and etag == self.record.data.get("etag")
            if said and same and size in (None, int(said[2])):
                return int(said[2])
            self.start_over()
            return None
        self.start_over()
        self.record.save(durably=True, etag=etag, modified=_modified(answer))
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else -1

    def hash_what_is_there(self) -> None:
        """Hash the bytes that an earlier process has fetched."""
        if self.digest.wanted and self.digest.done < self.at:
            with open(self.file.name, "rb") as file:
                file.seek(self.digest.done)
                for block in iter(lambda: file.read(BLOCK_SIZE), b""):
                    self.digest.feed(self.digest.done, block)

    def start_over(self) -> None:
        """Begin with the first byte."""
        self.file.truncate(0)
        self.bar.update(-self.bar.n)
        self.at = 0
        self.digest.restart()

    def left(self) -> float:
        """Seconds until no progress has been made for too long."""
        return max(self.stall - (time.monotonic() - self.moved), 0)

    def mend(self, error: Exception) -> None:
        """Wait before the next try, or raise `error` where that is of no use."""
        passing = not isinstance(error, GalaxyError) or error.exit_code == TRY_LATER or error.status in TRANSIENT_STATUSES
        if passing and self.left() > 0:
            self.troubles += 1
            time.sleep(min(2.0 ** (self.troubles - 2), 30, self.left()) if self.troubles > 1 else 0)
        elif isinstance(error, GalaxyError):
            raise GalaxyError(f"{self.label}: {error}", error.exit_code, status=error.status, body=error.body,
                          err_msg=error.err_msg) from error
        else:
            raise GalaxyError(f"{self.label}: the connection broke before the answer was whole ({self.at} bytes came): fetch it "
                          "again, and it goes on from there", TRY_LATER) from error


def _modified(answer: requests.Response) -> float | None:
    """When what was answered was last modified, in seconds since 1970."""
    from email.utils import parsedate_to_datetime
    try:
        return parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


# ----------------------------------------------------------------------------------------------------------------- bars

class _NoBar:
    """The progress that nobody looks at: `n` bytes."""

    n = 0

    def update(self, size: int) -> None:
        self.n += size


class _Both:
    """A bar for one of many, whose steps count in the bar for all, too."""

    def __init__(self, bar: Any, total: Any):
        self.bar, self.total = bar, total

    @property
    def n(self) -> int:
        return int(self.bar.n)

    def update(self, size: int) -> None:
        self.bar.update(size)
        self.total.update(size)


@contextmanager
def progress_bar(size: int | None, name: str, total: Any = None, unit: str = "B") -> Iterator[Any]:
    """A bar of bytes, or of what `unit` says, on a terminal, nothing elsewhere; it has `n` and `update(bytes)`. `total` is
    a bar for all of many."""
    if sys.stderr is None or not sys.stderr.isatty():
        bar: Any = _NoBar()
        yield _Both(bar, total) if total is not None else bar
        return
    from tqdm import tqdm
    with tqdm(total=size, desc=one_name(name)[:40], unit=unit, unit_scale=unit == "B", unit_divisor=1024,
              leave=False, file=sys.stderr) as bar:
        yield _Both(bar, total) if total is not None else bar
