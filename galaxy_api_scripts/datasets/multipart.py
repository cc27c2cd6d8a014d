"""Multipart forms with files (RFC 7578), read from the disk as they are sent."""
from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import USAGE, GalaxyError
from galaxy_api_scripts.datasets.local_file import open_file
from galaxy_api_scripts.progress import progress_bar
from galaxy_api_scripts.rate_limit import current_rate_limit

BLOCK = 2**20       # bytes that are in memory at once


@dataclass(frozen=True)
class FormFile:
    """A file of a form: the field's `name`, its `path`, its `filename` for the server, and its `stamp` when it was looked
    at, size (bytes) and modification time (ns)."""

    name: str
    path: Path
    filename: str
    stamp: tuple[int, int]

    @classmethod
    def of(cls, name: str, path: Path) -> FormFile:
        """The file at `path` as it is now. Raises OSError."""
        about = os.stat(path)
        return cls(name, path, path.name, (about.st_size, about.st_mtime_ns))

    def blocks(self) -> Iterator[bytes]:
        """Its bytes. Raises `GalaxyError` before the end if it is no longer what it was."""
        with open(self.path, "rb") as file:
            left = self.stamp[0]
            while left and (block := file.read(min(BLOCK, left))):      # no more than was announced
                left -= len(block)
                yield block
            about = os.fstat(file.fileno())
            is_there = os.path.exists(self.path) and os.path.samestat(os.stat(self.path), about)
            if left or not is_there or (about.st_size, about.st_mtime_ns) != self.stamp:
                raise GalaxyError(f"{self.path}: changed while it was sent, so nothing is imported")


class MultipartForm:
    """A request's body of `fields`, texts or values of JSON, and `files`, whose bytes `bar` counts, by default one of its
    own. It is read from its beginning if it is sent again."""

    def __init__(self, fields: Mapping[str, Any], files: Sequence[FormFile], bar: Any = None):
        self.files, self.bar, self.boundary, self.is_sent = files, bar, secrets.token_hex(16), False
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        self.fields = b"".join(self._head(name) + text.encode() + b"\r\n" for name, text in texts.items())
        self.heads = [self._head(file.name, file.filename) for file in files]
        self.tail = f"--{self.boundary}--\r\n".encode()

    @property
    def request_options(self) -> dict[str, Any]:
        """What `Galaxy.request` takes."""
        return {"data": self, "headers": {"Content-Type": f"multipart/form-data; boundary={self.boundary}"}}

    def _head(self, name: str, filename: str | None = None) -> bytes:
        names = [("name", name), *([] if filename is None else [("filename", filename)])]
        told = "; ".join(["form-data", *(f'{key}="{_quoted(value)}"' for key, value in names)])
        kind = "" if filename is None else "\r\nContent-Type: application/octet-stream"
        return f"--{self.boundary}\r\nContent-Disposition: {told}{kind}\r\n\r\n".encode()

    def __len__(self) -> int:
        return len(self.fields) + sum(map(len, self.heads)) + sum(file.stamp[0] + 2 for file in self.files) + len(self.tail)

    def __iter__(self) -> Iterator[bytes | memoryview]:
        size, label = sum(file.stamp[0] for file in self.files), self.files[0].path.name
        with contextlib.nullcontext(self.bar) if self.bar else progress_bar(size, label) as bar:
            bar.update(-bar.n)
            yield self.fields
            for head, file in zip(self.heads, self.files):
                yield head
                for block in file.blocks():
                    for part in current_rate_limit().slices(memoryview(block)):
                        yield part
                        bar.update(len(part))
                yield b"\r\n"
            yield self.tail
        self.is_sent = True


def make_form(fields: Any, words: list[str], option: str) -> MultipartForm:
    """The form of an object's `fields` and of files, each NAME=PATH, as `option` gives them. Raises a usage error."""
    if not isinstance(fields, dict):
        raise GalaxyError(f"{option}: a form takes NAME=VALUE beside it, not @FILE alone", USAGE)
    files = []
    for word in words:
        name, _, path = word.partition("=")
        if not name or not path:
            raise GalaxyError(f"{option}={word}: expected NAME=PATH", USAGE)
        with open_file(path):       # which also tells what is no file
            files.append(FormFile.of(name, Path(path)))
    return MultipartForm(fields, files)


def _quoted(text: str) -> str:
    """A name in a head, as browsers write it."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
