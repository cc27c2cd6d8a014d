"""Download what Galaxy answers to a GET into a file: streamed, resumed after a cut or by a later process, checked."""
from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests
from urllib3.exceptions import HTTPError

from common import TRANSIENT_STATUSES, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.hashing import BLOCK_SIZE, StreamHash
from galaxy_api_scripts.files import open_parent, publish
from galaxy_api_scripts.progress import STALL_TIMEOUT, StallClock, progress_bar
from galaxy_api_scripts.rate_limit import current_rate_limit
from galaxy_api_scripts.transfer_limit import record_trouble, require_not_stopped

CHUNK_SIZE = 64 * 2**10     # bytes of an answer read at a time: what came of one before a cut is lost
PART_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)        # Windows has no O_NOFOLLOW
# Bytes of the pieces in which the rest of a file is asked for after a cut. Galaxy 26.1 does not see that nobody listens any
# more: it reads to the end of what was asked for, and many such ends take all of its time.
MIN_PIECE, MAX_PIECE = 8 * 2**20, 2**30
FLUSH_SIZE = 32 * 2**20     # bytes after which the system is told to write them to the disk, while the next ones arrive


@dataclass(frozen=True)
class ExpectedFile:
    """What is known of a file before it is downloaded; a hash is computed if `algorithm`, hashlib's name, is given."""

    size: int | None = None     # bytes; None: unknown
    algorithm: str = ""
    digest: str = ""            # hexadecimal; "": any
    may_be_zip: bool = True
    may_be_page: bool = True
    needs_length: bool = False      # of the answer: nobody else checks whether the file is whole


class UnexpectedArchive(GalaxyError):
    """Galaxy answers with a zip archive in place of the file alone."""


class OtherBytes(GalaxyError):
    """Other bytes came than those that Galaxy has hashed; `digest` is their hash."""

    def __init__(self, label: str, expected: ExpectedFile, digest: str):
        super().__init__(f"{label}: other bytes came than Galaxy has hashed ({expected.algorithm}: {digest}, not "
                         f"{expected.digest})")
        self.digest = digest


def download_file(galaxy: Galaxy, route: str, path: Path, *, label: str, root: Path | None = None,
                  expected: ExpectedFile = ExpectedFile(), overwrite: bool = False, stall: float = STALL_TIMEOUT,
                  total: Any = None, before_publish: Callable[[Path, str], Any] | None = None) -> str:
    """Stream what GET of `route` answers into the file `path`, which gets that name when it is complete; returns its hash.

    A download that was cut off resumes, in a later process too, if the server still has the same file (its `ETag`). `label`
    is its name in messages; `root` the folder that a `path` made of others' names must lie in; `total` the `progress_bar`
    of several files; `before_publish` is called with the complete file, which still has another name, and its hash. Raises
    `GalaxyError` if `path` exists and is not to be overwritten, if bytes are missing or differ, and after `stall` seconds
    without progress; `UnexpectedArchive`; OSError on a full disk.
    """
    exists = f"{label}: {path} is there already: move it away, or give --force"
    with open_parent(path, root) as folder:
        mode = _mode(path.name, folder)
        if mode and not overwrite:
            raise GalaxyError(exists)
        if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):   # root could replace a device
            raise GalaxyError(f"{label}: {path} is no file, so none is put in its place")
        with Checkpoint(galaxy, str(path), "download", route, os.path.abspath(path)) as checkpoint:
            part = f".{checkpoint.name}{'' if checkpoint.is_kept else os.getpid()}.part"

            def discard() -> None:
                with contextlib.suppress(OSError):
                    os.unlink(part, dir_fd=folder)
                checkpoint.clear()
            try:
                with open(os.open(part, PART_FLAGS, 0o666, dir_fd=folder), "a+b") as file, \
                        progress_bar(expected.size, path.name, total) as bar:
                    computed = _Download(galaxy, route, label, checkpoint, expected, stall).fetch_all(file, bar)
                if before_publish:
                    before_publish(path.with_name(part), computed)
                publish(part, path.name, overwrite, folder)
            except GalaxyError as error:
                if error.exit_code != TRY_LATER or not checkpoint.is_kept:
                    discard()
                raise
            except OSError as error:
                discard()
                if isinstance(error, FileExistsError):
                    raise GalaxyError(exists) from None
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise GalaxyError(f"{label}: {path}: {error.strerror or error}") from None
            discard()
            return computed


def write_to_stdout(galaxy: Galaxy, route: str, expected: ExpectedFile = ExpectedFile()) -> None:
    """Stream what GET of `route` answers to standard output, by one request. Raises `GalaxyError` as `download_file` does,
    with TRY_LATER if bytes are missing, and a usage error for a terminal, which would obey what is in a file."""
    if sys.stdout.isatty():
        raise GalaxyError("--to=- writes bytes as they are, and standard output is a terminal: add > FILE or a pipe", USAGE)
    offset = 0
    with galaxy.request("GET", route, stream=True, allow_other_host=True, headers={"Accept-Encoding": "identity"}) as answer:
        require_answer_of(expected, answer, "standard output")
        if answer.status_code == 206:
            raise GalaxyError(f"{answer.url}: the answer is a part alone (206), and all was asked for")
        body = Body(answer)
        try:
            while chunk := body.read(CHUNK_SIZE):
                sys.stdout.buffer.write(chunk)
                offset += len(chunk)
            broken = offset < body.size     # urllib3 1 does not tell a cut from an end
        except (requests.RequestException, HTTPError):
            broken = True
    sys.stdout.buffer.flush()
    if broken:
        raise GalaxyError(f"{answer.url}: the connection broke before the answer was whole ({offset} bytes came)", TRY_LATER)


def require_answer_of(expected: ExpectedFile, answer: requests.Response, label: str) -> None:
    """Raise an error for an answer of status 200 that can't be the file, or whose end nobody can tell."""
    kind = answer.headers.get("Content-Type", "")
    if not expected.may_be_zip and "zip" in kind:
        raise UnexpectedArchive(f"{label}: Galaxy answers with an archive")
    if not expected.may_be_page and "text/html" in kind:
        raise GalaxyError(f"{answer.url}: the answer is a page: a proxy answers for Galaxy, see what it wants")
    if answer.status_code == 204:
        raise GalaxyError(f"{answer.url}: there is nothing (204)")
    coding = answer.headers.get("Content-Encoding", "").lower()
    if coding not in ("", "identity", "gzip"):
        raise GalaxyError(f"{answer.url}: the answer is packed by {coding}, and identity was asked for")
    is_chunked = answer.headers.get("Transfer-Encoding", "").lower() == "chunked"
    is_measured = is_chunked or answer.headers.get("Content-Length", "").isdecimal()
    if expected.needs_length and not is_measured:
        raise GalaxyError(f"{answer.url}: the answer does not say how long it is, so nobody can tell whether it is whole")


def _mode(name: str, folder: int) -> int:
    """The mode of what has that name in the folder with this descriptor, 0 if nothing has."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


class Body:
    """The bytes of an answer as they come. One that a proxy packed, unasked, is unpacked here: urllib3 takes a cut within
    the packed bytes for their end."""

    def __init__(self, answer: requests.Response):
        # `read1` hands over what has come; urllib3 1 has none, and waits for a whole chunk.
        self._read = getattr(answer.raw, "read1", answer.raw.read)
        self.is_packed = answer.headers.get("Content-Encoding", "").lower() == "gzip"
        self.member, self.is_begun, self.url = zlib.decompressobj(31), False, answer.url
        length = answer.headers.get("Content-Length", "")
        self.size = int(length) if length.isdecimal() and not self.is_packed else -1    # -1: unknown before the end

    def read(self, size: int) -> bytes:
        """The next bytes, made of at most `size` that came; b"" at the end. Raises `GalaxyError` for packed ones that are
        broken or, with TRY_LATER, end too early."""
        while chunk := self._read(size, decode_content=False):
            content = self.unpack(chunk) if self.is_packed else chunk
            if content:
                return bytes(content)
        if self.is_begun and not self.member.eof:
            raise GalaxyError(f"{self.url}: the connection broke before the packed answer was whole", TRY_LATER)
        return b""

    def unpack(self, chunk: bytes) -> bytes:
        content = b""
        while chunk.strip(b"\0") if self.member.eof else chunk:     # they may fill up the space behind a member
            if self.member.eof:
                self.member = zlib.decompressobj(31)
            self.is_begun = True
            try:
                content += self.member.decompress(chunk)
            except zlib.error:
                raise GalaxyError(f"{self.url}: the answer's compression is broken") from None
            chunk = self.member.unused_data
        return content


class _Download:
    """What a GET answers on its way into a file, by as many requests as it takes."""

    def __init__(self, galaxy: Galaxy, route: str, label: str, checkpoint: Checkpoint, expected: ExpectedFile, stall: float):
        self.galaxy, self.route, self.label = galaxy, route, label
        self.checkpoint, self.expected, self.clock = checkpoint, expected, StallClock(stall)
        self.piece_size = 0     # bytes to ask for at a time; 0: all the rest
        self.begin = self.end = 0       # what the last request has asked for, and what its answer holds

    def fetch_all(self, file: BinaryIO, bar: Any) -> str:
        """Fetch all bytes into `file`; returns their hash once they are those expected, and on the disk."""
        with StreamHash(self.expected.algorithm) as self.digest:
            self.file, self.bar = file, bar
            self.offset = self.furthest = file.seek(0, os.SEEK_END)     # bytes that are fetched again are no progress
            if self.checkpoint.data.get("etag"):
                self.bar.update(self.offset)
            else:
                self.start_over()
            while not self.fetch_rest():
                pass
            computed = self.digest.hexdigest()
        if self.expected.size not in (None, self.offset):
            raise GalaxyError(f"{self.label}: {self.offset} of {self.expected.size} bytes came")
        if self.expected.digest not in ("", computed):
            raise OtherBytes(self.label, self.expected, computed)
        if self.checkpoint.data.get("modified"):
            os.utime(file.fileno(), (time.time(), self.checkpoint.data["modified"]))
        getattr(os, "fdatasync", os.fsync)(file.fileno())       # macOS has no other
        return computed

    def fetch_rest(self) -> bool:
        """Fetch the missing bytes by one request, after a cut a piece of them; whether the file is then complete."""
        try:
            with self.request_rest() as answer:
                size = self.full_size(answer)
                if size is None:
                    raise GalaxyError(f"{self.galaxy.base} has another now, or can't go on where it was", TRY_LATER)
                self.hash_earlier_bytes()
                body, limit = Body(answer), current_rate_limit()
                while chunk := body.read(limit.slice_size(CHUNK_SIZE)):
                    self.store(chunk)
                    limit.take(len(chunk))
            if self.offset < self.end:      # urllib3 1 does not tell a cut from an end
                raise GalaxyError(f"{self.offset} of {size} bytes came", TRY_LATER)
            self.piece_size = min(2 * self.piece_size, MAX_PIECE)
            return self.offset >= size
        except UnexpectedArchive:
            raise
        except (requests.RequestException, HTTPError, GalaxyError) as error:
            self.recover(error)
            return False
        finally:
            self.file.flush()

    def store(self, chunk: bytes) -> None:
        """Write the next bytes. Raises `GalaxyError` if they are too many, or few in a long time."""
        if self.expected.size is not None and self.offset + len(chunk) > self.expected.size:
            raise GalaxyError(f"more than {self.expected.size} bytes came")
        self.file.write(chunk)
        self.digest.feed(self.offset, chunk)
        self.offset += len(chunk)
        if self.offset % FLUSH_SIZE < len(chunk):
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # begins to write, and returns at once
            require_not_stopped()       # here, so that what is nearly whole comes to its end
        self.bar.update(len(chunk))
        if self.offset > self.furthest:
            self.clock.record_progress(self.offset - self.furthest)
            self.furthest = self.offset
        if self.clock.seconds_left() <= 0:
            raise GalaxyError(f"hardly any bytes came in {self.clock.timeout:g} s ({self.offset} in all)", TRY_LATER)

    def request_rest(self) -> requests.Response:
        """Galaxy's answer from the first missing byte on."""
        self.begin, last = self.offset, self.offset + self.piece_size - 1 if self.piece_size else ""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={self.offset}-{last}"} if self.offset else {})}
        try:
            return self.galaxy.request("GET", self.route, stream=True, allow_other_host=True, headers=headers,
                                       patience=self.clock.patience_left())
        except GalaxyError as error:
            if error.status != 416 or not self.offset:
                raise
            self.start_over()       # the file has become shorter
            return self.request_rest()

    def full_size(self, answer: requests.Response) -> int | None:
        """How many bytes the file has in all, -1 if that is unknown; None if the rest in `answer` does not continue the
        bytes here, so that the file starts over."""
        require_answer_of(self.expected, answer, self.label)
        body = Body(answer)
        etag = "" if body.is_packed else answer.headers.get("ETag", "")     # the place in packed bytes is another one
        if answer.status_code == 206:
            content_range = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
            first, last, size = map(int, content_range.groups()) if content_range else (-1, -1, -1)
            is_same_file = etag and etag == self.checkpoint.data.get("etag")
            if is_same_file and first == self.offset <= last < size:
                self.end = last + 1
                if self.expected.size in (None, size):
                    return size
            self.start_over()
            return None
        self.start_over()
        self.checkpoint.save(durably=True, etag=etag, modified=_last_modified(answer))
        self.end = body.size
        return body.size

    def hash_earlier_bytes(self) -> None:
        """Hash the bytes that an earlier process fetched."""
        if self.digest.enabled and self.digest.position < self.offset:
            while block := os.pread(self.file.fileno(), BLOCK_SIZE, self.digest.position):
                require_not_stopped()
                self.digest.feed(self.digest.position, block)

    def start_over(self) -> None:
        """Drop the bytes here and begin with the first one."""
        self.file.truncate(0)
        self.bar.update(-self.bar.n)
        self.offset = 0
        self.digest.restart()

    def recover(self, error: Exception) -> None:
        """Wait before the next try, or raise `error` if another try is of no use."""
        transient = not isinstance(error, GalaxyError) or error.exit_code == TRY_LATER or error.status in TRANSIENT_STATUSES
        record_trouble(error)
        if transient and self.clock.patience_left() > 0:
            self.piece_size = min(max(self.offset - self.begin, MIN_PIECE), MAX_PIECE)
            self.clock.failures += 1
            self.clock.back_off()
        elif isinstance(error, GalaxyError):
            raise GalaxyError(f"{self.label}: {error}", error.exit_code, status=error.status, body=error.body,
                              err_msg=error.err_msg) from error
        else:
            raise GalaxyError(f"{self.label}: the connection broke before the answer was whole ({self.offset} bytes came): "
                              "fetch it again, and it resumes there", TRY_LATER) from error


def _last_modified(answer: requests.Response) -> float | None:
    """When the answer's file was last modified, in seconds since 1970."""
    from email.utils import parsedate_to_datetime
    try:
        return parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
