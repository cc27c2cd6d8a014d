"""The paths of downloaded datasets in their folder, made of what a server calls them."""
from __future__ import annotations

import itertools
import re
import string
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from common import USAGE, GalaxyError
from galaxy_api_scripts.datasets.sources import datatype_ending, guess_datatype
from galaxy_api_scripts.files import safe_ending, safe_name

UNSPECIFIC = ("binary", "data", "txt")      # datatypes that Galaxy gives to files of formats that it does not know
OWN_PATH = "{path}"     # a template: an element's names as they are
TEMPLATE_FIELDS = ["name", "ext", "id", "hid", "element", "collection", "history"]


@dataclass
class DownloadItem:
    """A dataset to download, as Galaxy describes it, and where it belongs."""

    about: dict[str, Any]
    history: str = ""                   # its name
    history_ref: str = ""               # history:ID
    collection: str = ""                # its name
    collection_ref: str = ""            # hdca:ID
    element: tuple[str, ...] = ()       # its element identifier, after those of the collections that it is in
    src: str = "hda"                    # or ldda
    folder: str = ""                    # the name that stands for its collection in paths

    @property
    def id(self) -> str:
        return str(self.about["id"])

    @property
    def ref(self) -> str:
        return f"{self.src}:{self.id}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others: a dataset may be several elements, of several collections too."""
        return self.ref, self.collection_ref, "/".join(self.element).replace("\r", " ")

    @property
    def ext(self) -> str:
        return str(self.about.get("extension") or self.about.get("file_ext"))

    @property
    def label(self) -> str:
        """Its name in messages."""
        name = "/".join((self.collection, *self.element)) if self.element else self.about.get("name")
        return f"dataset {self.id} ({name})"


def parse_name_template(text: str | None) -> str:
    """`text` if it is a template of paths, such as `{collection}/{element}.{ext}`, else a usage error; "", the default
    template, for None."""
    if text is None:
        return ""
    try:
        parts = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
        fields = [field if not spec and not conversion else "" for field, spec, conversion in parts]
    except ValueError:
        fields = [""]
    if not fields or not {*fields} <= {*TEMPLATE_FIELDS}:
        known = ", ".join(f"{{{field}}}" for field in TEMPLATE_FIELDS)
        raise GalaxyError(f"--name={text}: expected a template with {known}", USAGE)
    return text


class UniquePaths:
    """Paths in a folder, of which no two are the same, not even where case makes no difference.

    `template` is one of `parse_name_template`, or `OWN_PATH`; `paths` are in use already, and `folders` are the names that
    stand for collections, `{reference: name}`. What two collections or histories of one name hold is kept apart.
    """

    def __init__(self, template: str = "", paths: Iterable[str] = (), folders: dict[str, str] | None = None):
        self.template, self.files, self.folders = template, set[str](), set[str]()
        self._owners = {("", _fold(name)): owner for owner, name in (folders or {}).items()}   # of names by what they are in
        for path in paths:
            self._reserve(_fold(path))

    def folder(self, scope: str, owner: str, name: str) -> str:
        """The name of the folder for `owner`, which no other thing in `scope` has; "" for no `owner`."""
        if not owner:
            return ""
        mark = f" ({safe_name(owner.partition(':')[2])[:40]})" if owner.startswith(("hdca:", "history:")) else ""
        for end in itertools.chain(["", mark], (f"{mark} ({number})" for number in range(2, 10000))):
            folder = safe_name(name, end)
            if self._owners.setdefault((scope, _fold(folder)), owner) == owner:
                return folder
        raise GalaxyError(f"{name}: every name for its folder is in use")

    def folders_of(self, item: DownloadItem) -> tuple[str, str, list[str]]:
        """The names of the folders for an item's history and collection, and for the elements that its own is in."""
        scope = item.collection_ref or item.collection
        collection = self.folder("", "" if self.template == OWN_PATH else scope, item.collection)
        outer = []
        for name in item.element[:-1]:
            outer.append(self.folder(scope, name or "/", name))
            scope = f"{scope}/{name}\0"
        return self.folder("history", item.history_ref or item.history, item.history), collection, outer

    def path(self, item: DownloadItem) -> str:
        """An unused path for `item`: by the template, else from the names of its collection and element, or its own, with
        its datatype; with its id if that is in use."""
        identity = safe_name(item.id)[:40]
        marks = itertools.chain(["", f" ({identity})"], (f" ({identity}, {number})" for number in range(2, 10000)))
        for mark in marks:
            *folders, file = self._fill_template(item, mark)
            path = "/".join([*folders, file])
            if not self.files.isdisjoint(_parents(_fold(path))):
                path = "/".join([safe_name(folders[0], " (folder)"), *folders[1:], file])
            folded = _fold(path)
            if folded not in self.files and folded not in self.folders and self.files.isdisjoint(_parents(folded)):
                self._reserve(folded)
                return path
        raise GalaxyError(f"{item.label}: every name for it is in use")

    def _reserve(self, folded: str) -> None:
        self.files.add(folded)
        self.folders.update(_parents(folded))

    def _fill_template(self, item: DownloadItem, mark: str) -> list[str]:
        template = self.template or ("{collection}/{element}.{ext}" if item.element else "{name}.{ext}")
        name, hid = (str(item.about.get(field) or "") for field in ("name", "hid"))
        inner = item.element[-1] if item.element else name
        ext = safe_ending(_own_ending(inner) if self.template == OWN_PATH else _ending(inner, item.ext))
        history, collection, outer = self.folders_of(item)
        path = template.format(name=safe_name(name, without=ext), ext=ext, id=safe_name(item.id), hid=hid and safe_name(hid),
                               element="/".join([*outer, safe_name(inner, without=ext)]), collection=collection,
                               history=history, path="/".join([*outer, safe_name(inner)]))
        *folders, file = [part for part in path.split("/") if part] or ["dataset"]
        end = f".{ext}" if ext and file.endswith(f".{ext}") else ""
        return [*map(safe_name, folders), safe_name(file, mark + end, without=ext if end else "")]


def _ending(name: str, ext: str) -> str:
    """The end of the file's name for a dataset `name` of the datatype `ext`: the name's own, where that says as much."""
    guess = guess_datatype(name)
    return _own_ending(name) if guess == ext or guess == "auto" and ext in UNSPECIFIC and _own_ending(name) else ext


def _own_ending(name: str) -> str:
    """The end of a file's name that says what it is, "" if it has none."""
    if guess_datatype(name) != "auto":
        return datatype_ending(name)
    own = re.search(r"[^./]\.([a-z]\w{0,9})$", name, re.ASCII | re.IGNORECASE)
    return own[1] if own else ""


def _fold(path: str) -> str:
    """What paths that a file system may take for the same have in common."""
    return unicodedata.normalize("NFC", path).casefold()


def _parents(path: str) -> list[str]:
    """The folders that a path is in."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]
