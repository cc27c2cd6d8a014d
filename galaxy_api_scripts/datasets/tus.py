"""Upload a file's bytes by TUS 1.0.0 sessions: streamed, hashed, resumed after a cut or by a later process.

Galaxy makes a dataset of a session only when `upload.post_fetch` asks for one. The client is our own: tuspy brings 15
packages and 260 ms of start-up, has no timeout, and recognises a file to resume by its first 64 KiB and size, so that it
joined two different files in a test.
"""
from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import requests

from common import BROKEN, MAY_HAVE_ACTED, TRANSIENT_STATUSES, TRY_LATER, Galaxy, GalaxyError, classify_failure
from galaxy_api_scripts import releases
from galaxy_api_scripts.checkpoint import Checkpoint, Notes
from galaxy_api_scripts.datasets.hashing import BLOCK_SIZE, BUFFER_COUNT, StreamHash, hash_entry
from galaxy_api_scripts.datasets.local_file import LocalFile
from galaxy_api_scripts.progress import STALL_TIMEOUT, StallClock, printable_name, progress_bar
from galaxy_api_scripts.rate_limit import current_rate_limit
from galaxy_api_scripts.transfer_limit import require_not_stopped, timed_out

MAX_PIECE = 512 * 2**20     # bytes a request: each costs Galaxy 26.1 some 10 ms; what arrived before a cut stays,
                            # unless a proxy collects a request first
MIN_PIECE = 64 * 2**10      # bytes of the smallest piece that is tried when larger ones don't get through
SMALL_FILE = 2**20          # bytes; a file up to that size travels in the request that creates its session
LARGE_FILE = 2**30          # bytes; before such a one is sent, the server is asked which hashes it takes
MAX_SESSIONS = 10           # sessions created for one file before its upload is given up
FREEZE_SECONDS = 35         # Galaxy 26.1 answers nobody for 30 seconds if a piece comes while another is open
DRAIN_PAUSES = (0.2, 0.4, 0.8, 1.6)     # seconds between questions for what has arrived, while it is nothing
RESTART_SECONDS = 10        # Galaxy takes longer to start, so a server that answers by then has only lost a connection
ROUTE = "upload/resumable_upload/"      # Galaxy 22.01 and later
VERSION_HEADER = {"Tus-Resumable": "1.0.0"}
PIECE_HEADER = {"Content-Type": "application/offset+octet-stream"}
# Galaxy up to 25.1 hangs up after each answer of status 204 here without saying so: another request that was on its way on
# that connection, to make a folder perhaps, would be lost.
LAST_HEADER = {"Connection": "close"}


def upload_file(galaxy: Galaxy, path: str, destination: str = "", keep: bool = False, parts: Sequence[str] = (),
                **options: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Do what `send_file` does with `options`, for the file at `path`, or for `parts` one after the other; a later process
    resumes it if the word `destination` is the same. With `keep` the checkpoint stays until `forget_upload`, so that this
    one has nothing left to send."""
    with LocalFile(parts or [path]) as file, upload_checkpoint(galaxy, file, path, destination) as checkpoint:
        element, session = send_file(galaxy, file, os.path.basename(path), checkpoint, **options)
        if not keep:
            checkpoint.clear()
        return element, session


def forget_upload(galaxy: Galaxy, path: str, destination: str = "", parts: Sequence[str] = ()) -> None:
    """Forget the session that `upload_file` kept, once a dataset was made of it: it serves for one only."""
    with contextlib.suppress(GalaxyError), LocalFile(parts or [path]) as file, \
            upload_checkpoint(galaxy, file, path, destination) as checkpoint:
        checkpoint.clear()


def upload_checkpoint(galaxy: Galaxy, file: LocalFile, label: str, destination: str) -> Checkpoint:
    """The checkpoint of a file on its way to one destination, called `label` in messages; a file that has changed, or one
    of its parts, has a new one."""
    stamp: list[Any] = [*file.stamp[0]] if len(file.stamp) == 1 else [file.stamp]
    return Checkpoint(galaxy, label, "upload", *stamp, destination)


def send_file(galaxy: Galaxy, file: LocalFile, name: str, checkpoint: Notes, *, hashed: bool = True,
              stall: float = STALL_TIMEOUT, total: Any = None) -> tuple[dict[str, Any], dict[str, str]]:
    """Send the bytes of an open file; returns the element and the session that `upload.post_fetch` takes.

    An upload that was cut off resumes, in a later process too, by its `checkpoint`. Unless `hashed` is false the element
    holds the SHA-256, and the MD5 for a server that takes no other: if Galaxy then stores other bytes, the dataset ends in
    state `error`. `total` is the `progress_bar` of several files. Raises `GalaxyError`, also if the file changes meanwhile,
    and after `stall` seconds without progress (TRY_LATER).
    """
    algorithms = ["sha256"] * hashed
    if hashed and not releases.supports(galaxy, releases.FETCH_HASHES, ask=file.size > LARGE_FILE):
        algorithms.append("md5")
    with progress_bar(file.size, name, total) as bar, StreamHash(*algorithms) as digest:
        try:
            session = _Upload(galaxy, file, file.size, name, checkpoint, digest, bar, stall).complete_session()
        except GalaxyError as error:
            file.require_unchanged()
            code = TRY_LATER if error.lost or error.status in TRANSIENT_STATUSES else error.exit_code
            why = str(error).removesuffix(f": {MAY_HAVE_ACTED}")     # it may not: there is no dataset without `post_fetch`
            again = ", send it again" if code == TRY_LATER else ""
            raise GalaxyError(f"{printable_name(name)}: no dataset was made{again}: {why}", code, status=error.status,
                              body=error.body, err_msg=error.err_msg) from error
        file.require_unchanged()
        hashes = [hash_entry(algorithm, digest.hexdigest(number)) for number, algorithm in enumerate(algorithms)]
    return {"src": "files", "name": name, **({"hashes": hashes} if hashed else {})}, Session(session, name, file.paths)


class Session(dict[str, str]):
    """An upload's session as a fetch takes it, and the `paths` of its file, or of its parts."""

    def __init__(self, session: str, name: str, paths: Sequence[str]):
        super().__init__(session_id=session, name=name)
        self.paths = paths


class _Upload:
    """A file on its way to Galaxy, in one TUS session, or in several one after the other if sessions are lost.

    After any trouble the server is asked how many bytes it has; pieces shrink when they don't get through. A server that
    went away in the middle of a piece may have stored more bytes than it says (Galaxy 26.1), so the file then starts over,
    as it does after a 502, by which a proxy says that it lost the process of Galaxy that it passed the piece to.
    """

    def __init__(self, galaxy: Galaxy, file: LocalFile, size: int, name: str, checkpoint: Notes, digest: StreamHash,
                 bar: Any, stall: float):
        self.galaxy, self.file, self.size, self.name, self.checkpoint = galaxy, file, size, name, checkpoint
        self.digest, self.bar, self.clock = digest, bar, StallClock(stall)
        # Used in turn: to allocate each block costs as much as to read it.
        self.buffers = itertools.cycle([memoryview(bytearray(min(BLOCK_SIZE, size or 1))) for _ in range(BUFFER_COUNT)])
        self.session, self.offset = "", 0       # "": none yet; the bytes that the server has
        self.sessions_created = 0
        self.piece_size = self.largest_piece = current_rate_limit().piece_size(MIN_PIECE, MAX_PIECE)
        self.pieces_in_a_row = 0                # pieces that got through without trouble

    def complete_session(self) -> str:
        """Send all bytes; returns the id of the session that holds them."""
        self.resume()
        while not self.session or self.offset < self.size:
            try:
                if self.session:
                    self.send_piece()
                else:
                    self.create_session()
            except GalaxyError as error:
                self.recover(error)
        self.hash_up_to(self.size)
        return self.session

    def resume(self) -> None:
        """Take up the checkpoint's session, if the server still has it."""
        session = str(self.checkpoint.data.get("session", ""))
        if re.fullmatch(r"[\w-]+", session):
            self.session = session
            offset = self.ask_offset()
            if offset is None or offset > self.size:
                self.session = ""
            else:
                self.record_offset(offset)

    def create_session(self) -> None:
        """Create a session; a small file's bytes travel in the same request, unless the server drops them there."""
        if self.sessions_created == MAX_SESSIONS:
            raise GalaxyError(f"{self.galaxy.base} lost the upload {MAX_SESSIONS} times", TRY_LATER)
        facts = {"filename": self.name, "filetype": "application/octet-stream"}     # without both, HEAD is a 400 (26.1)
        metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in facts.items())
        together = self.size <= SMALL_FILE and releases.supports(self.galaxy, releases.FIRST_BYTES, ask=False)
        first = min(self.size, self.largest_piece) if together else 0
        headers = {**VERSION_HEADER, "Upload-Length": str(self.size), "Upload-Metadata": metadata}
        body = {"data": _Piece(self, 0, first), "headers": {**headers, **PIECE_HEADER}} if first else {"headers": headers}
        answer = self.galaxy.request("POST", ROUTE, patience=self.clock.patience_left(), **body)
        # The address in Location has the host that Galaxy believes to be its own, so only its last part is of use.
        session = answer.headers.get("Location", "").rstrip("/").rsplit("/", 1)[-1]
        if not re.fullmatch(r"[\w-]+", session):
            raise GalaxyError(f"{self.galaxy.base} named no upload session: does a proxy drop the Location header?")
        self.session, self.offset, self.sessions_created = session, 0, self.sessions_created + 1
        if self.size > min(SMALL_FILE, self.largest_piece):
            self.checkpoint.save(durably=True, session=session)
        if first and ("Upload-Offset" in answer.headers or self.ask_offset() != 0
                      or not releases.learn_lacking(self.galaxy, releases.FIRST_BYTES)):
            self.confirm(answer, first)

    def send_piece(self) -> None:
        """Send the next piece."""
        self.hash_up_to(self.offset)
        size = min(self.piece_size, self.size - self.offset)
        headers = {**VERSION_HEADER, **PIECE_HEADER, **LAST_HEADER, "Upload-Offset": str(self.offset)}
        answer = self.galaxy.request("PATCH", ROUTE + self.session, headers=headers, data=_Piece(self, self.offset, size),
                                     patience=self.clock.patience_left())
        self.confirm(answer, self.offset + size)
        self.pieces_in_a_row += 1
        if self.pieces_in_a_row >= 4 and self.piece_size < self.largest_piece:
            self.piece_size, self.pieces_in_a_row = min(self.piece_size * 2, self.largest_piece), 0

    def confirm(self, answer: requests.Response, end: int) -> None:
        """Check that the server has the bytes before `end`: by its answer to a piece, else by asking it."""
        header = answer.headers.get("Upload-Offset", "")
        offset: int | None = int(header) if header.isdecimal() else end if end < self.size else self.ask_offset()
        if offset != end:       # Galaxy makes a dataset in state ok of half an upload, so none must pass for whole
            raise GalaxyError(f"{self.galaxy.base} has {offset} bytes where {end} were sent", TRY_LATER)
        self.record_offset(offset)

    def record_offset(self, offset: int) -> None:
        """Note that the server has the first `offset` bytes."""
        if offset > self.offset:
            self.clock.record_progress()
        self.offset = offset
        self.bar.update(offset - self.bar.n)

    def recover(self, error: GalaxyError) -> None:
        """Prepare the next try after `error`, or raise it if another try is of no use."""
        if not self.session and error.status == 404:
            raise GalaxyError(f"{error} (Galaxy takes resumable uploads since 22.01)", status=404) from error
        is_too_large = error.status == 413 and self.piece_size > MIN_PIECE      # of a proxy's limit, which stays
        patience = self.clock.seconds_left() if is_too_large else self.clock.patience_left()
        if patience <= 0 or (not self.session and self.sessions_created == MAX_SESSIONS):
            raise error
        self.clock.failures += 1
        self.pieces_in_a_row, previous_size = 0, self.piece_size
        if is_too_large:
            self.piece_size = self.largest_piece = max(min(self.piece_size, self.size or MIN_PIECE) // 2, MIN_PIECE)
        elif error.status in (404, 410):                    # the session has expired
            self.abandon_session()
            return
        elif error.status == 502 and self.session:
            # One of several processes of Galaxy was stopped in the middle of the piece; another answers as if nothing was.
            self.clock.back_off()
            self.abandon_session()
            return
        elif error.lost or error.exit_code == TRY_LATER or error.status in TRANSIENT_STATUSES or error.status in (409, 500):
            if self.clock.failures > 1:
                self.piece_size = max(min(self.piece_size, self.size - self.offset) // 2, MIN_PIECE)
        else:
            raise error
        if timed_out(error.__cause__) and self.session:
            self.clock.wait(FREEZE_SECONDS)
        elif self.piece_size == previous_size:      # a smaller one is tried at once
            self.clock.back_off()
        if not self.session:
            return
        offset = self.ask_settled_offset()
        if offset is None or offset > self.size:
            self.abandon_session()
        else:
            self.record_offset(offset)

    def ask_settled_offset(self) -> int | None:
        """The offset, once the server has stored what arrived of a piece before a cut: Galaxy 26.1 tells that only at the
        piece's end, and answers nobody for 30 seconds if another comes before."""
        for pause in DRAIN_PAUSES:
            offset = self.ask_offset()
            if offset != self.offset:
                return offset
            self.clock.wait(pause)
        return self.ask_offset()

    def ask_offset(self) -> int | None:
        """How many bytes of the session the server has; None if it does not know the session, or may be wrong."""
        began, was_away = time.monotonic(), False
        while True:
            patience = self.clock.patience_left() if was_away else 0
            try:
                answer = self.galaxy.request("HEAD", ROUTE + self.session, headers=VERSION_HEADER, patience=patience)
            except GalaxyError as error:
                if error.status in (400, 404, 410):
                    return None
                if error.exit_code != TRY_LATER or was_away or self.clock.patience_left() <= 0:
                    raise
                was_away = not _is_cut(error) or time.monotonic() - began > RESTART_SECONDS
                self.clock.wait(0 if was_away else DRAIN_PAUSES[0])
            else:       # a server that was away in between may have stored more than it says
                header = answer.headers.get("Upload-Offset", "")
                return int(header) if header.isdecimal() and not was_away else None

    def abandon_session(self) -> None:
        """Delete the session, which would stay for five days, and start over."""
        with contextlib.suppress(GalaxyError):
            self.galaxy.request("DELETE", ROUTE + self.session, headers={**VERSION_HEADER, **LAST_HEADER}, patience=0)
        self.session = ""
        self.record_offset(0)
        self.checkpoint.save(session="")

    def hash_up_to(self, end: int) -> None:
        """Hash the bytes before `end` that this process has not sent itself."""
        for start in range(self.digest.position, end, BLOCK_SIZE) if self.digest.enabled else ():
            require_not_stopped()
            self.file.seek(start)
            self.digest.feed(start, self.file.read(min(BLOCK_SIZE, end - start)))


def _is_cut(error: GalaxyError) -> bool:
    """Whether a connection broke in the middle of a request; one that was refused, or an answer that did not come in time,
    may mean that the server is being restarted."""
    cause = error.__cause__
    return isinstance(cause, Exception) and classify_failure(cause)[1] == BROKEN and not timed_out(cause)


class _Piece:
    """`size` bytes of an upload's file from `start` on, as a request body that may be sent more than once."""

    def __init__(self, upload: _Upload, start: int, size: int):
        self.upload, self.start, self.size = upload, start, size

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[memoryview]:
        file, bar, offset, end = self.upload.file, self.upload.bar, self.start, self.start + self.size
        file.seek(offset)
        self.upload.digest.settle()
        while offset < end:
            require_not_stopped()
            buffer = next(self.upload.buffers)
            size = file.readinto(buffer[:end - offset])
            if not size:
                raise GalaxyError(f"{file.name}: became shorter while it was sent")
            self.upload.digest.feed(offset, buffer[:size])
            for part in current_rate_limit().slices(buffer[:size]):
                yield part
                offset += len(part)
                bar.update(offset - bar.n)
