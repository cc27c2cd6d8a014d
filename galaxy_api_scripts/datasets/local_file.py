"""What an upload reads: a local file, or several that are sent one after the other and arrive as one, without a copy."""
from __future__ import annotations

import contextlib
import os
import stat
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from io import FileIO

from common import USAGE, GalaxyError
from galaxy_api_scripts.datasets.sources import Source

HEAD_SIZE = 2**16           # bytes at the beginning of a file that tell what it is
WHOLE_SIZE = 2**20          # bytes; a gzip file up to that size is decompressed to see whether it is whole
GZIP_MAGIC = b"\x1f\x8b"
BLOCK_SIZE = 2**16          # bytes at most of a block of BGZF
BLOCK_MAGIC = b"\x1f\x8b\x08\x04"       # of a block of BGZF, whose extra field BC tells the block's size

# Datatypes of lines, or records, of which one file after the other is a file of the same kind. Others begin with a heading.
JOINABLE = {"fasta", "fasta.gz", "csfasta", "txt", "tabular", "tabular.gz", "bed", "interval", "gff", "gff3", "gff3.gz",
            "gtf", "gtf.gz", "gz", "auto", *(f"fastq{kind}{ending}" for kind in ("sanger", "illumina", "solexa", "cssanger")
                                             for ending in ("", ".gz"))}


def open_file(path: str) -> FileIO:
    """The regular file at `path`, open for reading; a usage error if there is none."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):     # a pipe has no size, and would arrive as an empty dataset
            raise GalaxyError(f"{path}: not a file", USAGE)
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise GalaxyError(f"{path}: {error.strerror}", USAGE) from None


class LocalFile:
    """The files at `paths`, read as one: each begins where the one before it ends. One of them is open at a time.

    Raises a usage error if one can't be read, and `GalaxyError` in any method if one is no longer as it was.
    """

    def __init__(self, paths: Sequence[str]):
        self.paths = tuple(paths)
        self._file, self._number, self._position = open_file(self.paths[0]), 0, 0
        try:
            self.stats = [os.fstat(self._file.fileno())]
            for path in self.paths[1:]:
                with open_file(path) as file:
                    self.stats.append(os.fstat(file.fileno()))
        except BaseException:
            self._file.close()
            raise
        self._starts = [sum(about.st_size for about in self.stats[:number]) for number in range(len(self.stats))]
        self.size = self._starts[-1] + self.stats[-1].st_size

    @property
    def name(self) -> str:
        """The path of the file that is being read, for messages."""
        return self.paths[self._number]

    @property
    def stamp(self) -> list[tuple[str, int, int]]:
        """What tells whether it is as it was before: (absolute path, bytes, time of the last change in ns) of each file."""
        return [(os.path.abspath(path), about.st_size, about.st_mtime_ns) for path, about in zip(self.paths, self.stats)]

    def seek(self, offset: int) -> None:
        """Let the next byte that is read be that at `offset` of the whole."""
        self._position = offset

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer, at most to the end of a file; returns the number of bytes, 0 at the end of the whole."""
        number = bisect_right(self._starts, self._position) - 1
        offset = self._position - self._starts[number]
        if number != self._number:
            self._open(number)
        self._file.seek(offset)
        size = self._file.readinto(buffer[:max(self.stats[number].st_size - offset, 0)]) or 0
        self._position += size
        return size

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only if the whole, or a file that has become shorter, ends before."""
        buffer, filled = memoryview(bytearray(size)), 0
        while filled < size and (got := self.readinto(buffer[filled:])):
            filled += got
        return bytes(buffer[:filled])

    def _open(self, number: int) -> None:
        """Open the file of that number in place of the one that is open."""
        try:
            file = open_file(self.paths[number])
        except GalaxyError:
            raise self._changed(self.paths[number]) from None
        self._file.close()
        self._file, self._number = file, number
        if not _is_same(os.fstat(file.fileno()), self.stats[number]):
            raise self._changed(self.paths[number])

    def require_unchanged(self) -> None:
        """Raise `GalaxyError` if a file is not as it was at the opening, or no longer the one of that name."""
        for path, before in zip(self.paths, self.stats):
            with contextlib.suppress(OSError, GalaxyError), open_file(path) as file:    # not a pipe, whose opening waits
                file.seek(before.st_size)
                if not file.read(1) and _is_same(os.fstat(file.fileno()), before):      # those of /proc are longer
                    continue
            raise self._changed(path)

    def _changed(self, path: str) -> GalaxyError:
        return GalaxyError(f"{path}: changed while it was sent, so no dataset was made: send it when it is complete")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> LocalFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _is_same(now: os.stat_result, before: os.stat_result) -> bool:
    return (now.st_ino, now.st_dev, now.st_size, now.st_mtime_ns) == (
        before.st_ino, before.st_dev, before.st_size, before.st_mtime_ns)


# ------------------------------------------------------------------------------------------ what can be put together

def require_joinable(source: Source) -> None:
    """Raise a usage error if a source's parts, one after the other, would not be a file of their kind: they are gzip files,
    each whole as far as its beginning and end tell, or plain text, each with a newline at its end."""
    kinds = {}
    if len(source.parts) < 2:
        return
    if source.ext not in JOINABLE:
        raise GalaxyError(f"{source.path}: files of datatype {source.ext} can't be put together: that is for gzip files and "
                          "plain text without a heading, such as FASTQ", USAGE)
    for path in source.parts:
        try:
            kinds[path], problem = _inspect(path)
        except OSError as error:
            raise GalaxyError(f"{path}: {error.strerror}", USAGE) from None
        if problem:
            raise GalaxyError(f"{path} {problem}, so it can't be put together with the others of {source.name}", USAGE)
    if len(set(kinds.values())) > 1:
        first = source.parts[0]
        other = next(path for path, kind in kinds.items() if kind != kinds[first])
        raise GalaxyError(f"{first} is {kinds[first]}, and {other} {kinds[other]}, so they can't be put together", USAGE)


def _inspect(path: str) -> tuple[str, str]:
    """What kind of file it is, and what speaks against another one after it; little of a large one is read."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(WHOLE_SIZE if size <= WHOLE_SIZE else HEAD_SIZE)
        file.seek(max(size - 2 * BLOCK_SIZE, 0))
        tail = file.read(2 * BLOCK_SIZE)
    if not head:
        return "empty", "is empty"
    if not head.startswith(GZIP_MAGIC):
        problem = "is neither gzip nor plain text" if b"\0" in head else "" if tail.endswith(b"\n") else (
            "does not end with a newline")
        return "plain text", problem
    text, problem = _decompress(head, whole=size == len(head))
    if b"\0" in text or text.startswith(b"BAM\1"):
        problem = "holds no plain text"
    elif not problem and size > len(head):
        problem = _problem_at_end(head, tail)
    return "gzip", problem


def _decompress(content: bytes, whole: bool) -> tuple[bytes, str]:
    """The first text in a gzip file of which this is the beginning, or the whole, and what is wrong with it."""
    text = last = b""
    members = 0
    try:
        while content and (whole or not text):
            member = zlib.decompressobj(31)
            while not member.eof and (whole or not text):
                piece = member.decompress(content, HEAD_SIZE)
                content = member.unused_data if member.eof else member.unconsumed_tail
                text, last = text or piece, piece[-1:] or last
                if not (piece or content or member.eof):
                    return text, "is a gzip file that ends too early" if whole else ""
            members += 1
    except zlib.error:
        return text, "is a gzip file with something else behind it" if members else "is a damaged gzip file"
    return text, "" if not whole or last in (b"\n", b"") else "does not end with a newline"


def _problem_at_end(head: bytes, tail: bytes) -> str:
    """What is wrong with a large gzip file's end: of BGZF, no block ends there, or the last one with text in it does not end
    with a newline; of others, that a copy that stopped left zeros."""
    too_early = "is a gzip file that ends too early"
    if not head.startswith(BLOCK_MAGIC) or head[12:14] != b"BC":
        return "" if any(tail[-8:]) else too_early
    end, text = len(tail), b""
    while not text:
        start = tail.rfind(BLOCK_MAGIC, 0, end)
        while start >= 0 and not (tail[start + 12:start + 14] == b"BC" and
                                  start + int.from_bytes(tail[start + 16:start + 18], "little") + 1 == end):
            start = tail.rfind(BLOCK_MAGIC, 0, start + 3)
        if start < 0:
            return too_early if end == len(tail) else ""
        text, problem = _decompress(tail[start:end], whole=True)
        if problem:
            return problem
        end = start
    return ""
