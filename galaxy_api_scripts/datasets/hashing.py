"""Hash files, and hash a transfer's bytes in a thread while more of them travel."""
from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HASHES = {"SHA-256": "sha256", "SHA-512": "sha512", "SHA-1": "sha1", "MD5": "md5"}     # Galaxy's names: hashlib's names
BLOCK_SIZE = 2**20      # bytes of a file read at a time; smaller blocks hide less of the hashing behind the transfer
BUFFER_COUNT = 6        # blocks of a file in memory, most of them waiting to be hashed


def hash_file(path: str | Path, algorithm: str) -> str:
    """The hash of a file's bytes, hexadecimal; `algorithm` is hashlib's name. Raises OSError."""
    return hash_files([path], algorithm)


def hash_files(paths: Iterable[str | Path], algorithm: str) -> str:
    """The hash of the bytes of several files, one after the other; see `hash_file`."""
    digest = hashlib.new(algorithm, usedforsecurity=False)     # a system in FIPS mode refuses MD5 without that
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(BLOCK_SIZE):
                digest.update(block)
    return digest.hexdigest()


def hash_entry(algorithm: str, value: str) -> dict[str, str]:
    """A hash as Galaxy writes it; `algorithm` is hashlib's name."""
    return {"hash_function": next(name for name, ours in HASHES.items() if ours == algorithm), "hash_value": value}


def known_hashes(dataset: dict[str, Any]) -> dict[str, str]:
    """`{hashlib's name: value}` of the hashes that Galaxy lists for a dataset's own bytes, the best first."""
    known = {entry["hash_function"]: entry["hash_value"] for entry in dataset.get("hashes") or []
             if not entry.get("extra_files_path")}
    return {name: known[galaxys].lower() for galaxys, name in HASHES.items() if galaxys in known}


def best_hash(dataset: dict[str, Any]) -> tuple[str, str] | None:
    """hashlib's name and the value of the best hash that Galaxy knows of a dataset's own bytes; None if it knows none."""
    return next(iter(known_hashes(dataset).items()), None)


class StreamHash:
    """The hash of a stream of bytes, computed in a thread of its own: hashlib lets other threads run meanwhile.

    `algorithms` are hashlib's names; "" computes nothing.
    """

    def __init__(self, *algorithms: str):
        self.algorithms = [name for name in algorithms if name]
        self.enabled = bool(self.algorithms)
        self._start()

    def _start(self) -> None:
        self.position = 0       # bytes taken in so far
        if self.enabled:
            self._hashes = [hashlib.new(name, usedforsecurity=False) for name in self.algorithms]
            self._blocks: queue.Queue[bytes | memoryview] = queue.Queue(BUFFER_COUNT - 3)
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while block := self._blocks.get():
            for known in self._hashes:
                known.update(block)
            self._blocks.task_done()

    def feed(self, start: int, block: bytes | memoryview) -> None:
        """Take in the bytes at offset `start`; bytes that were taken in before are skipped.

        On return all blocks but the last `BUFFER_COUNT` - 1 have been hashed, so their memory may be reused.
        """
        if self.enabled and start + len(block) > self.position:
            self._blocks.put(block[self.position - start:] if start < self.position else block)
            self.position = start + len(block)

    def settle(self) -> None:
        """Wait until every block that was taken in is hashed. Call it before bytes are read again into reused memory:
        `feed` skips those, so it does not wait for them."""
        if self.enabled:
            self._blocks.join()

    def restart(self) -> None:
        """Forget all bytes that were taken in."""
        if self.enabled and self.position:
            self.close()
            self._start()

    def hexdigest(self, number: int = 0) -> str:
        """The hash of all bytes that were taken in, by the algorithm of that number; "" if none is computed."""
        self.close()
        return self._hashes[number].hexdigest() if self.enabled else ""

    def close(self) -> None:
        """End the thread."""
        if self.enabled and self._thread.is_alive():
            self._blocks.put(b"")
            self._thread.join()

    def __enter__(self) -> StreamHash:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
