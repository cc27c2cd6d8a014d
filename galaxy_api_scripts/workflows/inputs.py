"""What a workflow's inputs are given: by the words of a command line, or what Galaxy has; read and checked.

Nothing is sent from here but questions. Everything that is wrong is collected, so that it can be told at once. Job files are
read in jobfiles.py, sheets of many runs in sheets.py.
"""
from __future__ import annotations

import copy
import difflib
import glob
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from common import USAGE, Galaxy, GalaxyError, bool_option, one_line, shorten
from galaxy_api_scripts.datasets.collections import COLLECTION_TYPES, ElementSource, arrange_elements
from galaxy_api_scripts.datasets.sources import URL_PATTERN, Source, expand_sources
from galaxy_api_scripts.libraries.contents import LibraryFolder, find_folders, find_library

REFERENCE_PATTERN = re.compile(r"(hda|hdca|ldda|ld|hid|lib):(.*)", re.DOTALL)
INPUT_KINDS = {"data_input": "dataset", "data_collection_input": "collection", "parameter_input": "parameter"}


# ----------------------------------------------------------------------------------------------------- what is asked for

@dataclass
class InputSpec:
    """An input of a workflow: what it is called, and what it takes."""

    index: str
    label: str
    uuid: str
    kind: str                   # dataset, collection or parameter
    settings: dict[str, Any]    # what its step says: format, collection_type, parameter_type, default, restrictions, ...

    @property
    def type(self) -> str:
        """Of a collection, such as list:paired, or of a parameter, such as integer; "" for any."""
        return str(self.settings.get("collection_type") or self.settings.get("parameter_type") or "")

    @property
    def name(self) -> str:
        """What messages call it."""
        return one_line(self.label) or self.index

    @property
    def required(self) -> bool:
        return not self.settings.get("optional") and self.settings.get("default") is None

    @property
    def choices(self) -> list[Any]:
        """The values that a parameter may have; [] where there is no such list."""
        given = self.settings.get("restrictions") or []
        return [one.get("value") if isinstance(one, dict) else one for one in given]


def input_specs(workflow: dict[str, Any]) -> dict[str, InputSpec]:
    """`{index: input}` of a workflow as `GET /api/workflows/ID` describes it."""
    inputs = {}
    for index, known in workflow["inputs"].items():
        step = workflow["steps"].get(index, {})
        inputs[index] = InputSpec(index, known.get("label") or "", known.get("uuid") or "",
                              INPUT_KINDS.get(step.get("type"), "dataset"), step.get("tool_inputs") or {})
    return inputs


# --------------------------------------------------------------------------------------------------------- what is given

@dataclass
class DatasetInput:
    """A dataset or collection that Galaxy has (`ref`), or a file or URL that is to become a dataset (`source`)."""

    place: str                                              # as it was typed
    ref: dict[str, str] = field(default_factory=dict)       # {"src": ..., "id": ...}
    source: Source | None = None
    name: str = ""
    dbkey: str = "?"
    tags: tuple[str, ...] = ()


@dataclass
class CollectionInput:
    """A collection that is to be made of elements, which have an identifier each."""

    type: str
    elements: list[tuple[str, DatasetInput | CollectionInput]]
    name: str = ""


InputValue = Any     # a Leaf, a Group, or a parameter's value


def iter_datasets(value: InputValue) -> Iterator[DatasetInput]:
    """All the datasets that a value is made of."""
    if isinstance(value, DatasetInput):
        yield value
    elif isinstance(value, CollectionInput):
        for _, element in value.elements:
            yield from iter_datasets(element)


def map_datasets(value: InputValue, act: Callable[[DatasetInput], DatasetInput]) -> InputValue:
    """The value with `act(leaf)` in the place of each of its datasets."""
    if isinstance(value, CollectionInput):
        return CollectionInput(value.type, [(name, map_datasets(element, act)) for name, element in value.elements], value.name)
    return act(value) if isinstance(value, DatasetInput) else value


class InputValues:
    """The values of a workflow's inputs, `{index: value}`, and the `problems` that there are with them, one line each.

    `history` is the one that the run goes to, where it is there already: `hid:N` is looked up in it.
    """

    def __init__(self, galaxy: Galaxy, workflow: dict[str, Any], history: str = ""):
        self.galaxy, self.workflow, self.history = galaxy, workflow, history
        self.specs = input_specs(workflow)
        self.values: dict[str, InputValue] = {}
        self.problems: list[str] = []
        self._datatypes: set[str] = set()       # all that Galaxy knows, once they are asked for
        self._folders: dict[tuple[str, ...], LibraryFolder | None] = {}    # of libraries
        # what was asked for; a text says what is wrong with it
        self._there: dict[tuple[str, str], DatasetInput | str] = {}

    def copy(self) -> InputValues:
        """One for another run of the same workflow, with the values and problems that there are by now. What is asked of
        Galaxy for one of the two is known to both."""
        other = copy.copy(self)
        other.values, other.problems = dict(self.values), list(self.problems)
        return other

    # ------------------------------------------------------------------------------------------------- from words

    def set_from_args(self, texts: list[str]) -> list[str]:
        """Take `INPUT=VALUE` words; several of one input are several values of it. The indexes of the inputs they name."""
        words: dict[str, list[str]] = {}
        for text in texts:
            index, value = self._split(text)
            if index:
                words.setdefault(index, []).append(value)
        for index, values in words.items():
            self.set_value(index, lambda one=self.specs[index], many=values: self.parse_value(one, many))
        return list(words)

    def _split(self, text: str) -> tuple[str, str]:
        """The index of the input that a word names, "" where it is none, and the value; a name may have = in it."""
        ends = [place for place, letter in enumerate(text) if letter == "="]
        if not ends:
            self.problems.append(f"{shorten(text, 60)!r} is not INPUT=VALUE")
            return "", ""
        for end in ends:
            fitting = self.find_indexes(text[:end])
            if len(fitting) == 1:
                return fitting[0], text[end + 1:]
            if fitting:
                self.problems.append(f"{text[:end]!r} is {len(fitting)} inputs, by index or label: name one by its uuid")
                return "", ""
        self.report_unknown(text[:ends[0]])
        return "", ""

    def find_indexes(self, name: str) -> list[str]:
        return [one.index for one in self.specs.values() if name in (one.index, one.label, one.uuid)]

    def report_unknown(self, name: str) -> None:
        near = difflib.get_close_matches(name, [one.label for one in self.specs.values() if one.label], 1)
        self.problems.append(f"there is no input {shorten(name, 60)!r}{f': did you mean {near[0]!r}?' if near else ''}")

    def set_value(self, index: str, value: Any) -> None:
        """Keep what `value()` returns, or note why it can't be had."""
        try:
            self.values[index] = value()
        except GalaxyError as error:
            if error.exit_code != USAGE and error.status not in (400, 403, 404):
                raise
            self.problems.append(f"input {self.specs[index].name}: {error}")

    def parse_value(self, one: InputSpec, words: list[str]) -> InputValue:
        """The value that an input's VALUEs stand for."""
        if one.kind == "parameter":
            if len(words) > 1 and not one.settings.get("multiple"):
                raise GalaxyError(f"given {len(words)} times, and it takes one value", USAGE)
            return parse_parameter(one, words if one.settings.get("multiple") else words[0])
        parts = [part for word in words for part in self.expand_word(word)]
        if not parts:
            raise GalaxyError(f"{', '.join(words)}: there is nothing in it", USAGE)
        collections = [part for part in parts if part.ref.get("src") == "hdca"]
        if collections and len(parts) > 1:
            raise GalaxyError(f"{collections[0].place} is a collection, and takes nothing beside it", USAGE)
        if collections:
            return self.check_collection(one, collections[0])
        single = len(parts) == 1 and not self._is_folder(words[0])
        if one.kind == "dataset" and single:
            return self.with_datatype(one, parts[0])
        kind = "list" if one.kind == "dataset" else one.type or "list"      # a list is mapped over
        if kind not in COLLECTION_TYPES:
            raise GalaxyError(f"it takes a collection of type {kind}, which hdca:ID or a job file can give", USAGE)
        arrangement = arrange_elements(kind, [ElementSource(leaf.name, leaf.place) for leaf in parts])
        placed = {names: self.with_datatype(one, next(leaf for leaf in parts if (leaf.name, leaf.place) == (part.name, part.place)))
                  for names, part in arrangement.items()}
        if kind != "list:paired":
            return CollectionInput(kind, [(names[-1], part) for names, part in placed.items()])
        samples: dict[str, CollectionInput] = {}
        for (sample, mate), part in placed.items():
            samples.setdefault(sample, CollectionInput("paired", [])).elements.append((mate, part))
        return CollectionInput(kind, list(samples.items()))

    @staticmethod
    def _is_folder(word: str) -> bool:
        return os.path.isdir(word) or (glob.has_magic(word) and not os.path.lexists(word) and not URL_PATTERN.match(word))

    def expand_word(self, word: str) -> list[DatasetInput]:
        """What one VALUE of a dataset or collection stands for."""
        if not word:
            raise GalaxyError("its value is empty: is a variable unset?", USAGE)
        reference = REFERENCE_PATTERN.fullmatch(word)
        if reference:
            return [self.resolve(word, reference[1], reference[2])]
        paths = [word]
        if glob.has_magic(word) and not os.path.lexists(word) and not URL_PATTERN.match(word):
            paths = sorted(glob.glob(word))
            if not paths:
                raise GalaxyError(f"{word}: no such file", USAGE)
        sources, complaints = expand_sources(paths, recursive=True)
        if complaints:
            raise GalaxyError(complaints[0], USAGE)
        return [DatasetInput(source.path, source=source, name=os.path.basename(source.name)) for source in sources]

    # ------------------------------------------------------------------------------------------------ what Galaxy has

    def resolve(self, place: str, src: str, name: str) -> DatasetInput:
        """What is in Galaxy already, asked for once, so that what is deleted or somebody else's is told."""
        if (place, src) not in self._there:
            try:
                self._there[place, src] = self._asked_for(place, src, name)
            except GalaxyError as error:
                if error.exit_code != USAGE and error.status not in (400, 403, 404):
                    raise
                self._there[place, src] = str(error)
        known = self._there[place, src]
        if isinstance(known, str):
            raise GalaxyError(known, USAGE)
        return replace(known, ref=dict(known.ref))      # which `fitting` and `typed` change

    def _asked_for(self, place: str, src: str, name: str) -> DatasetInput:
        if src == "lib":
            return self._in_library(place, name)
        if src == "hid":
            return self._numbered(place, name)
        if not re.fullmatch(r"[\w-]+", name):
            raise GalaxyError(f"{place}: no id", USAGE)
        try:
            if src == "hdca":
                about = self.galaxy.get(f"dataset_collections/{name}", {"view": "collection"})
            elif src == "ldda":     # Galaxy 26.1 tells of one only where it is kept
                about = {"name": name, **self.galaxy.get(f"datasets/{name}/storage", {"hda_ldda": "ldda"})}
            else:
                about = self.galaxy.get(f"libraries/datasets/{name}" if src == "ld" else f"datasets/{name}")
        except GalaxyError as error:
            if error.status in (400, 403, 404):
                why = "no id of anything there" if error.status == 400 else error.err_msg or error
                raise GalaxyError(f"{place}: {why}", USAGE) from None
            raise
        return self._usable(place, {"src": src, "id": name}, about)

    @staticmethod
    def _usable(place: str, ref: dict[str, str], about: dict[str, Any]) -> DatasetInput:
        state = about.get("populated_state") if ref["src"] == "hdca" else about.get("state")
        if about.get("deleted") or state in ("error", "discarded", "failed"):
            raise GalaxyError(f"{place}: is {'deleted' if about.get('deleted') else f'in state {state}'}", USAGE)
        leaf = DatasetInput(place, ref, name=about.get("name") or ref["id"])
        leaf.ref = {**ref, **({"type": about["collection_type"]} if about.get("collection_type") else {})}
        return leaf

    def _numbered(self, place: str, hid: str) -> DatasetInput:
        """The dataset or collection of that number in the history."""
        if not self.history:
            raise GalaxyError(f"{place}: a number wants a history that is there: --history=ID", USAGE)
        if not re.fullmatch("[1-9][0-9]{0,9}", hid):
            raise GalaxyError(f"{place}: no number of a history", USAGE)
        ask = {"q": "hid-eq", "qv": hid, "v": "dev"}
        there = [one for one in self.galaxy.pages(f"histories/{self.history}/contents", ask) if str(one["hid"]) == hid]
        alive = [one for one in there if not one.get("deleted")] or there
        if len(alive) != 1:
            raise GalaxyError(f"{place}: the history has {len(alive) or 'nothing'} of that number", USAGE)
        src = "hda" if alive[0]["history_content_type"] == "dataset" else "hdca"
        return self._usable(place, {"src": src, "id": alive[0]["id"]}, alive[0])

    def _in_library(self, place: str, path: str) -> DatasetInput:
        """The dataset of a library at `/LIBRARY/FOLDER/NAME`."""
        library, *folders, name = path.strip("/").split("/") if "/" in path.strip("/") else ("", "")
        if not library or not name:
            raise GalaxyError(f"{place}: lib:/LIBRARY/FOLDER/NAME is wanted", USAGE)
        where = (library, *folders)
        if where not in self._folders:
            about = find_library(self.galaxy, library)
            if not about:
                raise GalaxyError(f"{place}: there is no library {library!r}", USAGE)
            self._folders[where] = find_folders(self.galaxy, "", about["root_folder_id"],
                                               [tuple(folders)]).get(tuple(folders))
        there = self._folders[where]
        found = there.named(name) if there else []
        if len(found) != 1:
            raise GalaxyError(f"{place}: the library has {len(found) or 'nothing'} of that name", USAGE)
        return self._usable(place, {"src": "ld", "id": found[0]["id"]}, found[0])

    def check_collection(self, one: InputSpec, leaf: DatasetInput) -> DatasetInput:
        """A collection that Galaxy has, where it is what the input takes, or can be mapped over."""
        kind = leaf.ref.pop("type", "")
        wanted = one.type if one.kind == "collection" else ""
        if wanted and kind and not (kind == wanted or kind.endswith(f":{wanted}") or "paired_or_unpaired" in wanted
                                    or wanted.startswith("sample_sheet") or kind.startswith("sample_sheet")):
            raise GalaxyError(f"{leaf.place} is a collection of type {kind}, and it takes {wanted}", USAGE)
        return leaf

    def check_datatype(self, ext: str) -> None:
        """Refuse a datatype that this Galaxy has not; "" and "auto" are none."""
        if ext in ("", "auto"):
            return
        self._datatypes = self._datatypes or set(self.galaxy.get("datatypes", {"upload_only": "false"}))
        if ext not in self._datatypes:
            raise GalaxyError(f"filetype: {shorten(ext, 40)}: no datatype of this Galaxy", USAGE)

    @staticmethod
    def with_datatype(one: InputSpec, leaf: DatasetInput) -> DatasetInput:
        """The leaf with the one datatype that the input takes, where its name tells none."""
        leaf.ref.pop("type", None)
        formats = [name for name in one.settings.get("format") or [] if name != "data"]
        told = leaf.source.ext if leaf.source else ""
        if leaf.source and len(formats) == 1 and (told == "auto" or (told, formats[0]) == ("txt", "tabular")):
            leaf.source = replace(leaf.source, ext=formats[0])
        return leaf

    # ------------------------------------------------------------------------------------------------ what is missing

    def check_missing(self) -> None:
        """Note the inputs that must be given and are not."""
        for one in self.specs.values():
            if one.required and one.index not in self.values and \
                    not any(problem.startswith(f"input {one.name}:") for problem in self.problems):
                form = {"dataset": "a file, URL or hda:ID", "collection": "files, a folder or hdca:ID"}
                self.problems.append(f"input {one.name}: is missing: {one.name}=VALUE gives it "
                                     f"{form.get(one.kind) or f'its value ({one.type})'}")


# --------------------------------------------------------------------------------------------------------- parameters


def parse_parameter(one: InputSpec, value: Any) -> Any:
    """The value as the workflow wants it, from text or from a job file; a usage error where it is another kind."""
    if isinstance(value, list):
        if not one.settings.get("multiple"):
            raise GalaxyError("it takes one value, not a list", USAGE)
        return [parse_parameter(replace(one, settings={**one.settings, "multiple": False}), part) for part in value]
    if one.settings.get("multiple"):
        return [parse_parameter(replace(one, settings={**one.settings, "multiple": False}), value)]
    if isinstance(value, dict):
        raise GalaxyError(f"it is a parameter ({one.type}), and takes no file", USAGE)
    if isinstance(value, str):
        reject_placeholder(value)
    if isinstance(value, str) and REFERENCE_PATTERN.fullmatch(value) and one.type != "text":
        raise GalaxyError(f"it is a parameter ({one.type}), and takes no dataset", USAGE)
    made = _convert(one.type, value)
    if one.choices and made not in one.choices:
        raise GalaxyError(f"{value!r} is none of {', '.join(map(str, one.choices))}", USAGE)
    _check_validators(one, made)
    return made


def _convert(kind: str, value: Any) -> Any:
    text = str(value).strip()
    if kind == "integer" and not isinstance(value, bool) and re.fullmatch("[+-]?[0-9]{1,18}", text):
        return int(text)
    if kind == "float" and not isinstance(value, bool):
        try:
            return float(text)
        except ValueError:
            pass
    if kind == "boolean":
        return value if isinstance(value, bool) else bool_option(text, "its value")
    if kind in ("color", "colour") and re.fullmatch("#[0-9a-fA-F]{6}", text):
        return text
    if kind in ("integer", "float", "color", "colour"):
        form = "#rrggbb" if kind.startswith("colo") else f"{'an' if kind[0] == 'i' else 'a'} {kind}"
        raise GalaxyError(f"{shorten(text, 40)!r} is not {form}", USAGE)
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _check_validators(one: InputSpec, value: Any) -> None:
    """Refuse what the input's own validators would."""
    limits = [{**one.settings, "type": "in_range"}, *(one.settings.get("validators") or [])]
    for limit in limits:
        low, high = limit.get("min"), limit.get("max")
        if limit.get("type") == "in_range" and isinstance(value, (int, float)) and not isinstance(value, bool) and (
                (low is not None and value < float(low)) or (high is not None and value > float(high))):
            bounds = " to ".join(str(bound) for bound in (low, high) if bound is not None)
            raise GalaxyError(f"{value} is not within {bounds}", USAGE)


def reject_placeholder(text: str) -> None:
    """Refuse what planemo's templates, and ours, have where something is to be filled in."""
    if re.fullmatch("todo_(param_value|element_name|test_data_path.*)", text.rsplit("/", 1)[-1]):
        raise GalaxyError(f"{text} is a placeholder: fill it in", USAGE)
