"""The file with the API keys of accounts: CSV, for its owner alone (0600), added to by later runs."""
from __future__ import annotations

import csv
import io
from pathlib import Path

from common import USAGE, GalaxyError, read_text, register_secret
from galaxy_api_scripts.files import check_writable, write_atomic

HEADING = ["email", "key"]
SAVED_EACH = 50     # keys; Galaxy gives the others again


class KeysFile:
    """The keys in the file `path`, the value of `--keys`, which may not exist yet. Raises `GalaxyError` (USAGE) for one that
    others may read, that is no such file, or that can't be written."""

    def __init__(self, path: str):
        if path == "-":
            raise GalaxyError("--keys=-: keys go to a file, not to standard output", USAGE)
        self.path = check_writable(path, overwrite=True, option="--keys")
        self._keys = self._read()
        self.unsaved: set[str] = set()      # addresses in small letters

    def _read(self) -> dict[str, tuple[str, str]]:
        """`{address in small letters: (as it is written, key)}`."""
        if not self.path.exists():
            return {}
        rows = list(csv.reader(io.StringIO(read_text(str(self.path), is_private=True))))
        if rows and rows[0] != HEADING or any(len(row) not in (0, 2) for row in rows):
            raise GalaxyError(f"--keys={self.path}: it is there already, and no file of keys (CSV with email,key)", USAGE)
        for row in filter(None, rows[1:]):
            register_secret(row[1])
        return {row[0].casefold(): (row[0], row[1]) for row in rows[1:] if row}

    def __contains__(self, email: str) -> bool:
        return email.casefold() in self._keys

    def drop(self, email: str) -> None:
        """Take out the key of an account that is there no longer, before another one gets its address."""
        if email in self:
            self._write(without=email.casefold())

    def add(self, email: str, key: str) -> None:
        """Add an account's key; raises `GalaxyError` for what is none."""
        if not isinstance(key, str) or not key.isalnum():
            raise GalaxyError(f"{email}: Galaxy's answer is no API key")
        register_secret(key)
        self._keys[email.casefold()] = email, key
        self.unsaved.add(email.casefold())
        if len(self.unsaved) >= SAVED_EACH:
            self.save()

    def save(self) -> None:
        """Write what was added. Raises `GalaxyError` if the disk is full."""
        if self.unsaved:
            self._write()

    def _write(self, without: str = "") -> None:
        self._keys = {**self._read(), **self._keys}     # another run may have added some
        self._keys.pop(without, None)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADING, *self._keys.values()])
        try:
            write_atomic(Path(self.path), text.getvalue().encode(), overwrite=True, mode=0o600)
        except OSError as error:
            raise GalaxyError(f"--keys={self.path}: {error.strerror}") from None
        self.unsaved.clear()
