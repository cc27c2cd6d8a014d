"""What a workflow's inputs name of a server: data by reference, and library datasets by path."""
from __future__ import annotations

from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.datasets.references import ReferenceProblem, fetch_reference, require_readable
from galaxy_api_scripts.libraries.contents import LibraryFolder, find_library_dataset


class ReferenceResolver:
    """Looks data up in Galaxy, each reference once: a thousand rows of a sheet may name one genome.

    `history` is the id of the one that `hid:N` counts in; "" where the run gets a new one.
    """

    def __init__(self, galaxy: Galaxy, history: str = ""):
        self.galaxy, self.history = galaxy, history
        self._folders: dict[tuple[str, ...], LibraryFolder | None] = {}
        self._results: dict[tuple[str, str, str], tuple[str, dict[str, Any]] | str] = {}     # a text is the problem

    def resolve(self, label: str, src: str, identity: str) -> tuple[str, dict[str, Any]]:
        """The data's kind and description, as `fetch_reference` returns them. `src` may also be `lib`: then `identity` is
        /LIBRARY/FOLDER/NAME. Raises `ReferenceProblem`, in each call, where the data can't be used."""
        if (label, src, identity) not in self._results:
            try:
                self._results[label, src, identity] = self._fetch(label, src, identity)
            except GalaxyError as error:
                if not isinstance(error, ReferenceProblem) and error.status not in (400, 403, 404):
                    raise
                self._results[label, src, identity] = str(error)
        result = self._results[label, src, identity]
        if isinstance(result, str):
            raise ReferenceProblem(result)
        return result

    def _fetch(self, label: str, src: str, identity: str) -> tuple[str, dict[str, Any]]:
        if src == "lib":
            return "ld", require_readable(find_library_dataset(self.galaxy, identity, label, self._folders), label)
        if src == "hid" and not self.history:
            raise ReferenceProblem(f"{label}: hid:N needs an existing history: --history=ID")
        return fetch_reference(self.galaxy, src, identity, self.history, label)
