"""Sheets of many runs: what each of their rows, or all of them together, give a workflow.

What is wrong is collected, each with its row and column, so that all of it can be told at once. How sheets are written is
known to samples.py.
"""
from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.batch import sample_sheet
from galaxy_api_scripts.batch.sample_sheet import FASTQ, SampleSheet, SheetRow, describe_cell
from galaxy_api_scripts.datasets.sources import URL_PATTERN
from galaxy_api_scripts.workflows.inputs import (
    REFERENCE_PATTERN,
    CollectionInput,
    DatasetInput,
    InputSpec,
    InputValue,
    InputValues,
    with_datatype,
)

Elements = list[tuple[str, "DatasetInput | CollectionInput"]]        # elements of a collection


class SheetInputs(SampleSheet):
    """A sheet whose rows are given to a workflow. Each use of it adds to its `problems`, and all are known at its end."""

    # ----------------------------------------------------------------------------------------------------- the runs

    def given(self, galaxy: Galaxy, workflow: dict[str, Any], mapping: dict[str, str] | None = None,
              constants: Iterable[str] = (), history: str = "") -> Iterator[tuple[SheetRow, InputValues]]:
        """Each row, and what it gives the workflow (as `workflows.load` has it); all problems are known after the last.

        `mapping` is `{column: label}`, where "" leaves the column out; `constants` are `INPUT=VALUE` words for all rows;
        `history` is the id of the one that `hid:N` is looked up in.
        """
        base, targets = self._begun(InputValues(galaxy, workflow, history), mapping or {}, constants)
        for row in self.rows:
            given = base.copy()
            for index, columns in targets.items():
                value = self._value(given, row, index, columns)
                if value is not None:
                    given.values[index] = value
            before = len(given.problems)
            given.check_missing()
            for problem in given.problems[before:]:
                for index, columns in targets.items():
                    if problem.startswith(f"input {given.specs[index].name}: "):
                        self.note(row, columns[0], f"is empty, and input {given.specs[index].name} must be given")
            yield row, given

    def as_one(self, galaxy: Galaxy, workflow: dict[str, Any], mapping: dict[str, str] | None = None,
               constants: Iterable[str] = (), history: str = "") -> InputValues:
        """What all rows give to one run: a collection of each column of data, with an element for each sample; `given` says
        the rest. Parameters are the same in all rows."""
        given, targets = self._begun(InputValues(galaxy, workflow, history), mapping or {}, constants)
        for index, columns in targets.items():
            parameter = given.specs[index].kind == "parameter"
            value = self._the_same(given, index, columns[0]) if parameter else self._collected(given, index, columns)
            if value is not None:
                given.values[index] = value
        before = len(given.problems)
        given.check_missing()
        for problem in given.problems[before:]:
            self.note(None, "", problem, self.line)
        return given

    def _refuse(self, given: InputValues, index: str, row: SheetRow, column: str, problem: str) -> None:
        """Note what is wrong with a row, and keep it with what is given."""
        given.problems.append(f"input {given.specs[index].name}: {problem}")
        self.note(row, column, problem)

    def _the_same(self, given: InputValues, index: str, column: str) -> InputValue:
        first = self.rows[0]
        for row in self.rows:
            if row.cells[column] != first.cells[column]:
                self._refuse(given, index, row, column, f"{describe_cell(row, column)}, and {describe_cell(first, column)} in line "
                                                        f"{first.line}: it is a parameter, of which one run takes one value")
                return None
        return self._value(given, first, index, [column])

    def _collected(self, given: InputValues, index: str, columns: list[str]) -> CollectionInput | None:
        """A collection with the elements that each row gives; None where all cells are empty."""
        units: Elements = []
        met: set[str] = set()
        empty = [row for row in self.rows if not any(any(row.cells[column]) for column in columns)]
        for row in empty if len(empty) < len(self.rows) else []:
            self._refuse(given, index, row, columns[0], "is empty, and each sample is to be an element of the collection")
        for row in self.rows:
            for name, unit in self._units(given, row, index, columns):
                if name in met:
                    self._refuse(given, index, row, columns[0], f"a second element would be {name!r}: rename a sample")
                met.add(name)
                units.append((name, unit))
        if not units:
            return None
        first = units[0][1]
        return CollectionInput(f"list:{first.type}" if isinstance(first, CollectionInput) else "list", units)

    def _units(self, given: InputValues, row: SheetRow, index: str, columns: list[str]) -> Elements:
        """The elements that a row gives to a collection of all rows."""
        value = self._value(given, row, index, columns, several=True)
        if value is None:
            return []
        if isinstance(value, DatasetInput) and value.ref.get("src") == "hdca":
            self._refuse(given, index, row, columns[0], f"{value.place} is a collection, and can't be an element of another")
            return []
        listed = isinstance(value, CollectionInput) and value.type.startswith("list")
        inside = [one for _, one in value.elements] if listed else [value]
        return list(zip(_names(row.sample, len(inside)), inside))

    # ------------------------------------------------------------------------------------- which column is which input

    def _begun(self, base: InputValues, mapping: dict[str, str], constants: Iterable[str]) -> tuple[InputValues, dict[str, list[str]]]:
        """`base` with the constants, and the columns of each input, by its index; what holds for all rows is noted."""
        constant = base.set_from_args(list(constants))
        for problem in base.problems:
            self.note(None, "", problem)
        targets = self._targets(base, mapping, constant)
        others = base.copy()
        others.values.update(dict.fromkeys(targets))
        before = len(others.problems)
        others.check_missing()
        for problem in others.problems[before:]:
            base.problems.append(problem)
            self.note(None, "", f"{problem}; a column of that name gives each row its own", self.line)
        return base, targets

    def _targets(self, base: InputValues, mapping: dict[str, str], constant: list[str]) -> dict[str, list[str]]:
        targets: dict[str, list[str]] = {}
        left = []
        for column in mapping:
            if column not in self.columns:
                self._wrong(base, column, f"there is no such column{_nearest(column, self.columns)}; there are "
                                          f"{', '.join(self.columns)}")
        for column in self.columns:
            fitting = base.find_indexes(mapping.get(column, column)) if mapping.get(column, column) else []
            if column in mapping:
                if mapping[column] and not fitting:
                    base.report_unknown(mapping[column])
                    self.note(None, column, base.problems[-1], self.line)
            elif column in self.spare or column in self.reserved:       # a text may be wanted that is the sample's name
                fitting = [index for index in fitting if base.specs[index].kind == "parameter"
                           and column in self.reserved]
            elif not fitting and column in FASTQ:
                left += [column] if any(any(row.cells[column]) for row in self.rows) else []
            elif not fitting:
                labels = [one.name for one in base.specs.values()]
                self._wrong(base, column, f"fits no input{_nearest(column, labels)}; --map={column}=LABEL names one, "
                                          f"--map={column}= leaves it out; the inputs are {', '.join(labels) or 'none'}")
            if len(fitting) > 1:
                self._wrong(base, column, f"is {len(fitting)} inputs, by index or label: --map={column}=UUID names one")
            elif fitting and fitting[0] in constant:
                self._wrong(base, column, f"input {base.specs[fitting[0]].name} is given for all rows too")
            elif fitting:
                targets.setdefault(fitting[0], []).append(column)
        index = self._reads_go_to(base, sorted(left), {*targets, *constant}) if left else ""
        if index:
            targets[index] = sorted(left)
        for index, columns in list(targets.items()):
            targets[index] = columns = self._in_order(base.specs[index], columns, mapping)
            why = _reads_mismatch(base.specs[index], columns)
            if why:
                self._wrong(base, ", ".join(columns), f"input {base.specs[index].name}: {why}")
                del targets[index]
        return targets

    def _wrong(self, base: InputValues, column: str, problem: str) -> None:
        """Note what is wrong with a column, for all rows."""
        base.problems.append(f"{problem} (column {column})")
        self.note(None, column, problem, self.line)

    def _reads_go_to(self, base: InputValues, left: list[str], taken: set[str]) -> str:
        """The one input that FASTQ columns can go to; "" where there is no such, which is noted."""
        free = [one for one in base.specs.values() if one.kind != "parameter" and one.index not in taken]
        fitting = [one.index for one in free if one.kind == "collection"]
        if not fitting and "fastq_2" not in left:
            fitting = [one.index for one in free]
        if len(fitting) == 1 and left[0] == "fastq_1":
            return fitting[0]
        words = " ".join(f"--map={column}=LABEL" for column in left)
        pairs = " (one label for both makes pairs)" if len(left) > 1 else ""
        there = ", ".join(f"{one.name} ({one.type or one.kind})" for one in free)
        self._wrong(base, left[0], f"which input is it for? {words} says it{pairs}; there are {there or 'none'}")
        return ""

    def _in_order(self, one: InputSpec, columns: list[str], mapping: dict[str, str]) -> list[str]:
        """The columns of an input, those of forward reads first: as they are mapped, but for fastq_1 and fastq_2."""
        order = FASTQ + list(mapping)
        columns = sorted(columns, key=lambda column: order.index(column) if column in order else len(order))
        pairs_only = one.kind == "collection" and one.type in ("paired", "list:paired")
        without_mates = len(columns) == 2 and not any(any(row.cells[columns[1]]) for row in self.rows)
        return columns[:1] if without_mates and not pairs_only else columns

    # ------------------------------------------------------------------------------------------- what a row gives

    def _value(self, given: InputValues, row: SheetRow, index: str, columns: list[str], several: bool = False) -> InputValue:
        """What a row gives to an input; None where its cells are empty, or wrong, which is noted."""
        one = given.specs[index]
        if not any(any(row.cells[column]) for column in columns):
            return None
        if len(columns) == 1 and (one.kind == "parameter" or columns[0] not in FASTQ):
            words = [word if one.kind == "parameter" else self._placed(word) for word in row.cells[columns[0]] if word]
            return self._taken(given, row, columns[0], index, partial(given.parse_value, one, words))
        before = len(given.problems)
        files = [[self._taken(given, row, column, index, partial(self._file, given, one, word)) if word else None
                  for word in row.cells[column]] for column in columns]
        if len(given.problems) > before:
            return None
        arrange = partial(_arrange_reads, one, row.sample, columns, files, several)
        return self._taken(given, row, ", ".join(columns), index, arrange)

    def _taken(self, given: InputValues, row: SheetRow, column: str, index: str, value: Callable[[], InputValue]) -> InputValue:
        """What `value()` returns; None where that is refused, which is noted."""
        before = len(given.problems)
        given.set_value(index, value)
        for problem in given.problems[before:]:
            self.note(row, column, problem.removeprefix(f"input {given.specs[index].name}: "))
        return given.values.pop(index, None)

    def _file(self, given: InputValues, one: InputSpec, word: str) -> DatasetInput:
        parts = given.expand_word(self._placed(word))
        if len(parts) != 1 or parts[0].ref.get("src") == "hdca":
            raise GalaxyError(f"{word}: one file is wanted", USAGE)
        return with_datatype(one, parts[0])

    def _placed(self, word: str) -> str:
        """A cell's word, with a path that is relative to the sheet made whole."""
        if REFERENCE_PATTERN.fullmatch(word) or URL_PATTERN.match(word):
            return word
        path = os.path.join(self.folder, os.path.expanduser(word))
        if glob.has_magic(self.folder) and not os.path.isabs(word) and not os.path.lexists(path):
            return os.path.join(glob.escape(self.folder), word)
        return path


def read_sheet(name: str, fastq: str | None = None) -> SheetInputs:
    """The sheet in the file `name`; see `samples.fill`."""
    if not name:
        raise GalaxyError("the sheet's name is empty: is a variable unset?", USAGE)
    sheet = SheetInputs(name)
    sample_sheet.load_sheet(sheet, fastq)
    return sheet


def parse_column_map(texts: Iterable[str]) -> dict[str, str]:
    """`{column: label}` of `COLUMN=LABEL` words; a usage error where one is not that, or names a column again."""
    mapping: dict[str, str] = {}
    for text in texts:
        column, sign, label = text.partition("=")
        if not column or not sign:
            raise GalaxyError(f"--map={text}: COLUMN=LABEL is wanted, or COLUMN= to leave it out", USAGE)
        if column in mapping:
            raise GalaxyError(f"--map={text}: column {column} is mapped to {mapping[column]!r} already", USAGE)
        mapping[column] = label
    return mapping


def _nearest(name: str, there: list[str]) -> str:
    near = difflib.get_close_matches(name, there, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _names(sample: str, many: int) -> list[str]:
    """What the elements of a sample are called."""
    return [sample] if many == 1 else [f"{sample}_{number}" for number in range(1, many + 1)]


def _reads_mismatch(one: InputSpec, columns: list[str]) -> str:
    """Why FASTQ columns, or two of forward and reverse reads, can't go to an input; "" where they can."""
    if len(columns) > 2 or (len(columns) == 2 and one.kind != "collection"):
        return f"it takes one {'value' if one.kind == 'parameter' else 'dataset'}, and {len(columns)} columns go to it"
    if one.kind != "collection" or (len(columns) == 1 and columns[0] not in FASTQ):
        return ""
    if len(columns) == 1 and one.type in ("paired", "list:paired"):
        return f"it takes pairs ({one.type}), and there are no reverse reads"
    if one.type in ("", "paired", "list:paired") or one.type in ("paired_or_unpaired", "list:paired_or_unpaired"):
        return ""
    if one.type == "list" and len(columns) == 1:
        return ""
    return f"it takes a collection of type {one.type}, {'not pairs' if len(columns) == 2 else 'which hdca:ID can give'}"


def _arrange_reads(one: InputSpec, sample: str, columns: list[str], files: list[list[DatasetInput | None]], several: bool) -> InputValue:
    """The files of a sample as an input takes them: those of several lanes are a list, and so are those of one where a list
    is wanted. Where one pair is, they are refused unless there may be `several`."""
    there = [leaf for column in files for leaf in column if leaf]
    places = [leaf.source.path if leaf.source else leaf.ref["id"] for leaf in there]
    twice = next((place for place in places if places.count(place) > 1), "")
    if twice:
        raise GalaxyError(f"{twice}: is there twice", USAGE)
    either = one.type.endswith("paired_or_unpaired")
    units: list[DatasetInput | CollectionInput] = []
    for forward, reverse in zip(files[0], files[1] if len(files) == 2 else [None] * len(files[0])):
        if not forward:
            raise GalaxyError(f"{columns[0]} is empty in one of the sample's rows", USAGE)
        if either and not reverse:
            units.append(CollectionInput("paired_or_unpaired", [("unpaired", forward)]))
        elif len(columns) == 1:
            units.append(forward)
        elif not reverse:
            raise GalaxyError(f"{columns[1]} is empty, and pairs are wanted", USAGE)
        else:
            units.append(CollectionInput("paired_or_unpaired" if either else "paired",
                         [("forward", forward), ("reverse", reverse)]))
    alone = one.kind == "dataset" or one.type in ("paired", "paired_or_unpaired")
    if alone and len(units) == 1:
        return units[0]
    if alone and one.kind == "collection" and not several:
        raise GalaxyError(f"it takes one pair, and the sample has {len(units)}", USAGE)
    inner = units[0]
    return CollectionInput(f"list:{inner.type}" if isinstance(inner, CollectionInput) else "list", list(zip(_names(sample, len(units)), units)))
