"""The values of a workflow's inputs: parsed from command lines, checked against what the workflow takes.

Nothing is changed in Galaxy from here. All problems are collected, so that a user can mend them at once. Job files are
parsed in job_file.py, sheets in batch/sheet_inputs.py.
"""
from __future__ import annotations

import copy
import glob
import os
import re
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from common import USAGE, Galaxy, GalaxyError, bool_option, did_you_mean, one_line, shorten
from galaxy_api_scripts.datasets.collections import ElementSource, arrange_elements, is_arrangeable, nest_elements
from galaxy_api_scripts.datasets.lanes import SEPARATE, join_lanes, without_index_reads
from galaxy_api_scripts.datasets.references import ReferenceProblem
from galaxy_api_scripts.datasets.sources import URL_PATTERN, Source, expand_sources
from galaxy_api_scripts.tools.values import parse_number
from galaxy_api_scripts.workflows.references import ReferenceResolver

REFERENCE_PATTERN = re.compile(r"(hda|hdca|ldda|ld|hid|lib):(.*)", re.DOTALL)
PATTERN_SECONDS = 1.0
INPUT_KINDS = {"data_input": "dataset", "data_collection_input": "collection", "parameter_input": "parameter"}


# ------------------------------------------------------------------------------------------------ what a workflow takes

@dataclass
class InputSpec:
    """An input of a workflow: its names and what it takes."""

    index: str
    label: str
    uuid: str
    kind: str                   # dataset, collection or parameter
    settings: dict[str, Any]    # its step's: format, collection_type, parameter_type, default, restrictions, ...
    name: str = ""              # what a line calls it, and messages too: its label, else its index, else its uuid

    def __post_init__(self) -> None:
        self.name = self.name or one_line(self.label) or self.index

    @property
    def type(self) -> str:
        """A collection's type, such as list:paired, the first one where it takes several, or a parameter's, such as integer;
        "" where any is taken."""
        return (self.collection_types or [str(self.settings.get("parameter_type") or "")])[0]

    @property
    def collection_types(self) -> list[str]:
        """The types of collections that it takes; [] where it takes any."""
        return [kind.strip() for kind in str(self.settings.get("collection_type") or "").split(",") if kind.strip()]

    @property
    def required(self) -> bool:
        return not self.settings.get("optional") and self.settings.get("default") is None

    @property
    def multiple(self) -> bool:
        """Whether it is a parameter that takes a list of values."""
        return bool(self.settings.get("multiple"))

    @property
    def choices(self) -> list[Any]:
        """The values that a parameter may have; [] where the workflow does not restrict them."""
        choices = self.settings.get("restrictions") or []
        return [choice.get("value") if isinstance(choice, dict) else choice for choice in choices]


def input_specs(workflow: dict[str, Any]) -> dict[str, InputSpec]:
    """`{index: InputSpec}` of a workflow as `GET /api/workflows/ID` describes it."""
    specs = {}
    labels = [about.get("label") for about in workflow["inputs"].values()]
    for index, about in workflow["inputs"].items():
        step, label, unique_id = workflow["steps"].get(index, {}), about.get("label") or "", about.get("uuid") or ""
        names = [name for name in (label, index) if name and name == one_line(name)
                 and [*labels, *workflow["inputs"]].count(name) == 1]
        specs[index] = InputSpec(index, label, unique_id, INPUT_KINDS.get(step.get("type"), "dataset"),
                                 step.get("tool_inputs") or {}, one_line([*names, unique_id][0]))
    return specs


# ------------------------------------------------------------------------------------------------------------ values

@dataclass
class DatasetInput:
    """A dataset or collection that Galaxy has (`ref`), or a file or URL to upload (`source`)."""

    place: str                                              # as the user typed it
    ref: dict[str, str] = field(default_factory=dict)       # {"src": ..., "id": ...}
    source: Source | None = None
    name: str = ""
    dbkey: str = "?"
    tags: tuple[str, ...] = ()
    collection_type: str = ""                               # of a collection that Galaxy has


@dataclass
class CollectionInput:
    """A collection to create, of elements with an identifier each. `extras` are more fields of its request: a record's
    `fields`, a sample sheet's `column_definitions` and `rows`."""

    type: str
    elements: list[tuple[str, DatasetInput | CollectionInput]]
    name: str = ""
    extras: dict[str, Any] = field(default_factory=dict)


InputValue = Any     # a DatasetInput, a CollectionInput, or a parameter's value


def iter_datasets(value: InputValue) -> Iterator[DatasetInput]:
    """Each dataset in a value, however deep it is in a collection."""
    if isinstance(value, DatasetInput):
        yield value
    elif isinstance(value, CollectionInput):
        for _, element in value.elements:
            yield from iter_datasets(element)


def map_datasets(value: InputValue, act: Callable[[DatasetInput], DatasetInput]) -> InputValue:
    """A copy of the value with `act(dataset)` in place of each of its datasets."""
    if isinstance(value, CollectionInput):
        elements = [(name, map_datasets(element, act)) for name, element in value.elements]
        return CollectionInput(value.type, elements, value.name, value.extras)
    return act(value) if isinstance(value, DatasetInput) else value


class InputValues:
    """The values of a workflow's inputs, `{index: value}`, and the `problems` with them, a line each.

    `history` is the id of the history that the run goes to, where that exists: `hid:N` counts in it.
    """

    def __init__(self, galaxy: Galaxy, workflow: dict[str, Any], history: str = ""):
        self.specs = input_specs(workflow)
        self.values: dict[str, InputValue] = {}
        self.problems: list[str] = []
        self.faulty: set[str] = set()       # indexes of those that have a problem
        self.resolver = ReferenceResolver(galaxy, history)
        self.lanes = SEPARATE

    def copy(self) -> InputValues:
        """A copy for another run of the workflow, with the present values and problems. What Galaxy answers to either is
        known to both."""
        other = copy.copy(self)
        other.values, other.problems, other.faulty = dict(self.values), list(self.problems), set(self.faulty)
        return other

    def set_from_args(self, words: list[str]) -> list[str]:
        """Set the values that `INPUT=VALUE` words give, several of one input together. Returns the inputs' indexes."""
        texts: dict[str, list[str]] = {}
        for word in words:
            index, text = self._split(word)
            if index:
                texts.setdefault(index, []).append(text)
        for index in texts:
            self.set_value(index, partial(self.parse_value, self.specs[index], texts[index]))
        return list(texts)

    def _split(self, word: str) -> tuple[str, str]:
        """The index of the input that a word names, "" where there is no such, and the text; a name may have = in it."""
        ends = [place for place, letter in enumerate(word) if letter == "="]
        if not ends:
            self.problems.append(f"{shorten(word, 60)!r} is not INPUT=VALUE")
            return "", ""
        for end in ends:
            indexes = self.find_indexes(word[:end])
            if len(indexes) == 1:
                return indexes[0], word[end + 1:]
            if indexes:
                self.problems.append(ambiguous_input(word[:end], len(indexes)))
                return "", ""
        self.report_unknown(word[:ends[0]])
        return "", ""

    def find_indexes(self, name: str) -> list[str]:
        """The indexes of the inputs whose index, label or uuid is `name`."""
        return [spec.index for spec in self.specs.values() if name in (spec.index, spec.label, spec.uuid)]

    def report_unknown(self, name: str) -> None:
        """Note that there is no input of that name, with the nearest label."""
        near = did_you_mean(name, [spec.label for spec in self.specs.values() if spec.label])
        self.problems.append(f"there is no input {shorten(name, 60)!r}{near}")

    def set_value(self, index: str, parse: Callable[[], InputValue]) -> None:
        """Set the input to what `parse()` returns, or note why that fails."""
        try:
            self.values[index] = parse()
        except GalaxyError as error:
            if not isinstance(error, ReferenceProblem) and error.exit_code != USAGE and error.status not in (400, 403, 404):
                raise
            self.faulty.add(index)
            self.problems.append(f"input {self.specs[index].name}: {error}")

    def check_missing(self) -> None:
        """Note the inputs that are `missing`."""
        self.problems += [problem for _, problem in self.missing()]

    def missing(self) -> Iterator[tuple[InputSpec, str]]:
        """The inputs that are required and have neither a value nor a problem, each with what to say of it."""
        for spec in self.specs.values():
            if spec.required and spec.index not in self.values and spec.index not in self.faulty:
                form = {"dataset": "a file, URL or hda:ID", "collection": "files, a folder or hdca:ID"}
                if spec.kind == "collection" and spec.type and not is_arrangeable(spec.type):
                    form["collection"] = f"a collection of type {spec.type}, as hdca:ID"
                yield spec, (f"input {spec.name}: is missing: {shlex.quote(spec.name + '=VALUE')} gives it "
                             f"{form.get(spec.kind) or f'its value ({spec.type})'}")

    # ------------------------------------------------------------------------------------------------- parsing one value

    def parse_value(self, spec: InputSpec, texts: list[str]) -> InputValue:
        """The value that an input's VALUEs stand for; `GalaxyError` (USAGE) or `ReferenceProblem` where there is none."""
        if spec.kind == "parameter":
            if len(texts) > 1 and not spec.multiple:
                raise GalaxyError(f"takes one value, not {len(texts)}", USAGE)
            return parse_parameter(spec, texts if spec.multiple else texts[0])
        datasets = [dataset for text in texts for dataset in self.expand_word(text)]
        if not datasets:
            raise GalaxyError(f"{', '.join(texts)}: there is nothing in it", USAGE)
        collections = [dataset for dataset in datasets if dataset.ref.get("src") == "hdca"]
        if collections and len(datasets) > 1:
            raise GalaxyError(f"{collections[0].place} is a collection, so it must be the only value", USAGE)
        if collections:
            return check_collection(spec, collections[0])
        datasets = [with_datatype(spec, dataset) for dataset in self._put_together(spec, datasets)]
        if spec.kind == "dataset" and len(datasets) == 1 and not _stands_for_several(texts[0]):
            return datasets[0]
        kind = "list" if spec.kind == "dataset" else spec.type or "list"      # a list is mapped over
        if not is_arrangeable(kind):
            raise GalaxyError(f"expected a collection of type {kind}: give it as hdca:ID, or in a job file", USAGE)
        return arrange_datasets(kind, datasets)

    def _put_together(self, spec: InputSpec, datasets: list[DatasetInput]) -> list[DatasetInput]:
        """The datasets with one in place of files that are its lanes; without index reads, where the input takes pairs."""
        sources = [dataset.source for dataset in datasets if dataset.source]
        if len(datasets) < 2 or not any(self.lanes.split(source.name)[0] for source in sources):
            return datasets
        if "paired" in spec.type:
            sources = without_index_reads(sources)
        joined = join_lanes(sources, self.lanes)
        return [*(DatasetInput(source.path, source=source, name=os.path.basename(source.name)) for source in joined),
                *(dataset for dataset in datasets if not dataset.source)]

    def expand_word(self, text: str) -> list[DatasetInput]:
        """The datasets that one VALUE of a dataset or collection stands for."""
        if not text:
            raise GalaxyError("its value is empty: is a variable unset?", USAGE)
        reference = REFERENCE_PATTERN.fullmatch(text)
        if reference:
            return [self.resolve(text, reference[1], reference[2])]
        paths = [text]
        if _is_pattern(text):
            paths = sorted(glob.glob(text))
            if not paths:
                raise GalaxyError(f"{text}: no such file", USAGE)
        sources, complaints = expand_sources(paths, recursive=True)
        if complaints:
            raise GalaxyError(complaints[0], USAGE)
        return [DatasetInput(source.path, source=source, name=os.path.basename(source.name)) for source in sources]

    def resolve(self, label: str, src: str, identity: str) -> DatasetInput:
        """The data that Galaxy has as SRC:IDENTITY; `ReferenceProblem`, which begins with `label`, if it can't be used."""
        kind, about = self.resolver.resolve(label, src, identity)
        ref = {"src": kind, "id": str(about["id"]) if src in ("hid", "lib") else identity}
        collection_type = about.get("collection_type") or ""
        return DatasetInput(label, ref, name=about.get("name") or ref["id"], collection_type=collection_type)


def arrange_datasets(kind: str, datasets: list[DatasetInput]) -> CollectionInput:
    """The datasets as a collection of the type `kind`; see `arrange_elements`."""
    parts = [ElementSource(dataset.name, dataset.place, dataset.source) for dataset in datasets]
    arrangement = arrange_elements(kind, parts)
    by_name = {(dataset.name, dataset.place): dataset for dataset in reversed(datasets)}
    placed = {names: by_name[element.name, element.location] for names, element in arrangement.items()}
    return CollectionInput(kind, nest_elements(placed, kind, CollectionInput, lambda name, dataset: (name, dataset),
                                               lambda name, inner: (name, inner)))


def ambiguous_input(name: str, count: int) -> str:
    """The problem with a name that several inputs have."""
    return f"{name!r} is {count} inputs, by index or label: name one by its uuid"


def absolute_word(folder: str, word: str) -> str:
    """A VALUE with a path that is relative to `folder` made absolute."""
    if REFERENCE_PATTERN.fullmatch(word) or URL_PATTERN.match(word):
        return word
    path = os.path.join(folder, os.path.expanduser(word))
    if glob.has_magic(folder) and not os.path.isabs(word) and not os.path.lexists(path):
        return os.path.join(glob.escape(folder), word)
    return path


def _is_pattern(text: str) -> bool:
    return glob.has_magic(text) and not os.path.lexists(text) and not URL_PATTERN.match(text)


def _stands_for_several(text: str) -> bool:
    """Whether a VALUE may stand for several files, and so for a list even where it stands for one now."""
    return os.path.isdir(text) or _is_pattern(text)


def check_collection(spec: InputSpec, collection: DatasetInput) -> DatasetInput:
    """The collection that Galaxy has, unless the input neither takes it nor can be mapped over it."""
    kind, expected = collection.collection_type, spec.collection_types if spec.kind == "collection" else []
    if expected and kind and not kind.startswith("sample_sheet") and not any(
            kind == each or kind.endswith(f":{each}") or "paired_or_unpaired" in each or each.startswith("sample_sheet")
            for each in expected):
        raise GalaxyError(f"{collection.place} is a collection of type {kind}, and the input takes {' or '.join(expected)}",
                          USAGE)
    return collection


def with_datatype(spec: InputSpec, dataset: DatasetInput) -> DatasetInput:
    """The dataset with the one datatype that the input takes, where the file's name does not tell its datatype."""
    formats = [ext for ext in spec.settings.get("format") or [] if ext != "data"]
    guess = dataset.source.ext if dataset.source else ""
    if dataset.source and len(formats) == 1 and (guess == "auto" or (guess, formats[0]) == ("txt", "tabular")):
        return replace(dataset, source=replace(dataset.source, ext=formats[0]))
    return dataset


# --------------------------------------------------------------------------------------------------------- parameters

def parse_parameter(spec: InputSpec, value: Any) -> Any:
    """The value in the parameter's type, from a text or a job file's value; `GalaxyError` (USAGE) where it does not fit."""
    if isinstance(value, list) and not spec.multiple:
        raise GalaxyError("takes one value, not a list", USAGE)
    if spec.multiple:
        single = replace(spec, settings={**spec.settings, "multiple": False})
        parts = [part for each in (value if isinstance(value, list) else [value]) for part in split_choices(spec, each)]
        return [parse_parameter(single, part) for part in parts]
    if isinstance(value, dict):
        raise GalaxyError(f"is a parameter ({spec.type}) and takes a value, not a file", USAGE)
    if isinstance(value, str):
        reject_placeholder(value)
    if isinstance(value, str) and REFERENCE_PATTERN.fullmatch(value) and spec.type != "text":
        raise GalaxyError(f"is a parameter ({spec.type}) and takes a value, not a dataset", USAGE)
    converted = _convert(spec.type, str(value))
    if spec.choices and converted not in spec.choices:
        raise GalaxyError(f"{converted!r} is not one of {', '.join(map(str, spec.choices))}", USAGE)
    for validator in [{**spec.settings, "type": "in_range"}, *(spec.settings.get("validators") or [])]:
        _validate(validator, converted)
    return converted


def split_choices(spec: InputSpec, value: Any) -> list[Any]:
    """The values in a text that commas separate, where the input has choices, and none of them is that text."""
    if not isinstance(value, str) or "," not in value or not spec.choices or value in spec.choices:
        return [value]
    return [part.strip() for part in value.split(",")]


def _convert(kind: str, text: str) -> Any:
    """The text as Galaxy takes a value of this type; texts are sent as they stand."""
    word = text.strip()
    if kind in ("integer", "float") and (number := parse_number(kind, word)) is not None:
        return number
    if kind == "boolean":
        return bool_option(text, "its value")
    if kind in ("color", "colour") and re.fullmatch("#[0-9a-fA-F]{6}", word):
        return word
    if kind in ("integer", "float", "color", "colour"):
        form = "#rrggbb" if kind.startswith("colo") else f"{'an' if kind[0] == 'i' else 'a'} {kind}"
        raise GalaxyError(f"{shorten(text, 40)!r} is not {form}", USAGE)
    return text


def _validate(validator: dict[str, Any], value: Any) -> None:
    """Raise `GalaxyError` (USAGE) for a value that one of Galaxy's validators of a workflow's inputs refuses (26.1)."""
    kind, is_text = validator.get("type"), isinstance(value, str)
    text = repr(shorten(value, 40)) if is_text else value
    if kind == "regex" and is_text and matches_in_time(validator["expression"], value) is bool(validator.get("negate")):
        wish = validator.get("message") or f"its pattern is {validator['expression']}"
        raise GalaxyError(f"{text} does not fit: {wish}", USAGE)
    low, high = (None if validator.get(name) is None else float(validator[name]) for name in ("min", "max"))
    measured = len(value) if kind == "length" and is_text else value
    if (kind == "length" and is_text or kind == "in_range" and type(value) in (int, float)) and (
            (low is not None and measured < low) or (high is not None and measured > high)):
        bounds = " to ".join(str(validator[name]) for name in ("min", "max") if validator.get(name) is not None)
        raise GalaxyError(f"{text} has {measured} characters, not {bounds}" if is_text else f"{text} is not within {bounds}",
                          USAGE)


def matches_in_time(pattern: str, text: str) -> bool | None:
    """Whether a server's pattern fits the beginning of `text`; None where that takes longer than PATTERN_SECONDS, as it may
    for ever with some patterns, or where it is no pattern: Galaxy itself decides then."""
    def stop(*_: object) -> None:
        raise TimeoutError

    # Python's matching looks for signals now and then; a handler can be set in the main thread only, and not on Windows.
    is_timed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not is_timed and len(text) > 20:
        return None
    handler = signal.signal(signal.SIGALRM, stop) if is_timed else None
    try:
        if is_timed:
            signal.setitimer(signal.ITIMER_REAL, PATTERN_SECONDS)
        return bool(re.match(pattern, text))
    except (re.error, RecursionError, TimeoutError):
        return None
    finally:
        if is_timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)


def reject_placeholder(text: str) -> None:
    """Raise `GalaxyError` (USAGE) for a placeholder of planemo's templates, and ours, that nobody has filled in."""
    if re.fullmatch("todo_(param_value|element_name|test_data_path.*)", text.rsplit("/", 1)[-1]):
        raise GalaxyError(f"{text} is a placeholder: fill it in", USAGE)
