"""The inputs that a sample sheet's rows, each or all of them together, give a workflow.

What is wrong is added to the sheet's problems, each with its row and column, so that all of it can be reported at once.
"""
from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.batch.sample_sheet import FASTQ, SampleSheet, SheetRow
from galaxy_api_scripts.datasets.lanes import SEPARATE, Lanes, join_sources
from galaxy_api_scripts.datasets.local_file import require_joinable
from galaxy_api_scripts.datasets.sources import datatype_ending
from galaxy_api_scripts.workflows.inputs import (
    CollectionInput,
    DatasetInput,
    InputSpec,
    InputValue,
    InputValues,
    absolute_word,
    with_datatype,
)
from galaxy_api_scripts.workflows.sample_sheets import (
    column_names,
    element_spec,
    inner_spec,
    is_sample_sheet,
    parse_cells,
    parse_column,
)

Elements = list[tuple[str, "DatasetInput | CollectionInput"]]        # of a collection, with their identifiers
PAIRED_TYPES = ("paired", "list:paired")
PAIRED_OR_UNPAIRED_TYPES = ("paired_or_unpaired", "list:paired_or_unpaired")


class SheetInputs:
    """Which of a sheet's columns is which input of a workflow, as `load_workflow` has it.

    `mapping` is `{column: label}`, where "" leaves the column out; `constants` are `INPUT=VALUE` words for all rows;
    `history` is the id of the one that `hid:N` is looked up in. Problems with columns are noted at once, those with rows as
    they are filled in.
    """

    def __init__(self, sheet: SampleSheet, galaxy: Galaxy, workflow: dict[str, Any], mapping: dict[str, str] | None = None,
                 constants: Iterable[str] = (), history: str = "", lanes: Lanes = SEPARATE):
        self.sheet, self.mapping = sheet, mapping or {}
        self.base = InputValues(galaxy, workflow, history)      # with the constants
        self.base.lanes = lanes
        self.specs = self.base.specs
        constant = self.base.set_from_args(list(constants))
        for problem in self.base.problems:
            sheet.note(None, "", problem)
        self.columns = self._assign_columns(constant)           # of each input, by its index
        unassigned = self.base.copy()
        unassigned.values.update(dict.fromkeys(self.columns))
        for spec, problem in unassigned.missing():
            self.base.faulty.add(spec.index)
            sheet.note(None, "", f"{problem}; a column of that name gives each row its own", sheet.line)

    def fill_rows(self) -> list[SheetRow]:
        """All rows, each with its `inputs`."""
        for row in self.sheet.rows:
            row.inputs = inputs = self.base.copy()
            for index, columns in self.columns.items():
                value = self._value(inputs, row, index, columns)
                if value is not None and is_sample_sheet(self.specs[index]):
                    value = _as_sample_sheet(self.sheet, inputs, self.specs[index], columns, {row.sample: (row, value)})
                if value is not None:
                    inputs.values[index] = value
            for spec, _ in inputs.missing():
                self.sheet.note(row, self.columns[spec.index][0], f"is empty, and input {spec.name} must be given")
        return self.sheet.rows

    def fill_as_one(self) -> SheetRow:
        """One row for all, named as the sheet's file: its inputs are a collection of each column of data, with an element
        for each sample, and parameters that are the same in all rows."""
        inputs = self.base
        for index, columns in self.columns.items():
            is_parameter = self.specs[index].kind == "parameter"
            value = self._common_value(inputs, index, columns[0]) if is_parameter else self._collect(inputs, index, columns)
            if value is not None:
                inputs.values[index] = value
        for _, problem in inputs.missing():
            self.sheet.note(None, "", problem, self.sheet.line)
        return SheetRow(self.sheet.line, Path(self.sheet.name).stem, inputs=inputs)

    def _reject(self, inputs: InputValues, index: str, row: SheetRow, column: str, problem: str) -> None:
        """Note a problem with a row, in its inputs too."""
        inputs.faulty.add(index)
        self.sheet.note(row, column, problem)

    def _common_value(self, inputs: InputValues, index: str, column: str) -> InputValue:
        first = self.sheet.rows[0]
        for row in self.sheet.rows:
            if row.cells[column] != first.cells[column]:
                self._reject(inputs, index, row, column,
                             f"{row.describe(column)}, and {first.describe(column)} in line {first.line}: it is a "
                             "parameter, of which one run takes one value")
                return None
        return self._value(inputs, first, index, [column])

    def _collect(self, inputs: InputValues, index: str, columns: list[str]) -> CollectionInput | None:
        """A collection of the elements that each row gives; None if all cells are empty."""
        elements: Elements = []
        names: set[str] = set()
        empty = [row for row in self.sheet.rows if not _is_filled(row, columns)]
        for row in empty if len(empty) < len(self.sheet.rows) else []:
            self._reject(inputs, index, row, columns[0], "is empty, and each sample is to be an element of the collection")
        for row in self.sheet.rows:
            for name, element in self._elements(inputs, row, index, columns):
                if name in names:
                    self._reject(inputs, index, row, columns[0], f"a second element would be {name!r}: rename a sample")
                names.add(name)
                elements.append((name, element))
        if is_sample_sheet(self.specs[index]):
            by_name = {row.sample: row for row in self.sheet.rows}
            placed = {name: (by_name[name], value) for name, value in elements}     # an element a row
            return _as_sample_sheet(self.sheet, inputs, self.specs[index], columns, placed)
        return _as_list(elements) if elements else None

    def _elements(self, inputs: InputValues, row: SheetRow, index: str, columns: list[str]) -> Elements:
        """The elements that a row gives to a collection of all rows."""
        is_deep = self.specs[index].type.startswith("list:list")        # then the outer list's elements are the samples
        spec = inner_spec(self.specs[index]) if is_deep else None
        value = self._value(inputs, row, index, columns, allow_several=True, spec=spec)
        if value is None:
            return []
        if isinstance(value, DatasetInput) and value.ref.get("src") == "hdca":
            self._reject(inputs, index, row, columns[0],
                         f"{value.place} is a collection, and can't be an element of another")
            return []
        is_list = isinstance(value, CollectionInput) and value.type.startswith("list") and not (
            is_deep or is_sample_sheet(self.specs[index]))
        return _name_elements(row.sample, [element for _, element in value.elements] if is_list else [value])

    # ------------------------------------------------------------------------------------- which column is which input

    def _assign_columns(self, constant: list[str]) -> dict[str, list[str]]:
        columns_of: dict[str, list[str]] = {}
        reads = []
        known = self.sheet.columns
        for column in self.mapping:
            if column not in known:
                self._note_column(column, f"there is no such column{_suggest(column, known)}; there are {', '.join(known)}")
        defined = {name for spec in self.specs.values() for name in column_names(spec)}
        for column in known:
            if column in defined and column not in self.mapping and not self.base.find_indexes(column):
                continue
            indexes = self._indexes(column)
            if not indexes and column in FASTQ and column not in (*self.mapping, *self.sheet.spare):
                reads += [column] if any(_is_filled(row, [column]) for row in self.sheet.rows) else []
            elif len(indexes) > 1:
                self._note_column(column, f"is {len(indexes)} inputs, by index or label: --map={column}=UUID names one")
            elif indexes and indexes[0] in constant:
                self._note_column(column, f"input {self.specs[indexes[0]].name} is given for all rows too")
            elif indexes:
                columns_of.setdefault(indexes[0], []).append(column)
        index = _index_of_reads(self.sheet, self.specs, sorted(reads), {*columns_of, *constant}) if reads else ""
        if index:
            columns_of[index] = sorted(reads)
        for index, columns in list(columns_of.items()):
            columns_of[index] = columns = self._in_order(self.specs[index], columns)
            problem = _reads_mismatch(element_spec(self.specs[index]), columns)
            if problem:
                self._note_column(", ".join(columns), f"input {self.specs[index].name}: {problem}")
                self.base.faulty.add(index)
                del columns_of[index]
        return columns_of

    def _indexes(self, column: str) -> list[str]:
        """The inputs that a column's name, or its label in the mapping, may be; if it should be one and is none, that is
        noted."""
        label = self.mapping.get(column, column)
        indexes = self.base.find_indexes(label) if label else []
        if column in self.mapping:
            if label and not indexes:
                self.base.report_unknown(label)
                self.sheet.note(None, column, self.base.problems[-1], self.sheet.line)
        elif column in (*self.sheet.spare, *self.sheet.reserved):      # a text input may be the sample's name
            return [index for index in indexes if self.specs[index].kind == "parameter" and column in self.sheet.reserved]
        elif not indexes and column not in (*FASTQ, *self.sheet.optional):
            labels = [spec.name for spec in self.specs.values()]
            self._note_column(column, f"fits no input{_suggest(column, labels)}; --map={column}=LABEL names one, "
                                      f"--map={column}= leaves it out; the inputs are {', '.join(labels) or 'none'}")
        return indexes

    def _note_column(self, column: str, problem: str) -> None:
        """Note a problem with a column, for all rows."""
        self.sheet.note(None, column, problem, self.sheet.line)

    def _in_order(self, spec: InputSpec, columns: list[str]) -> list[str]:
        """The columns of an input, those of forward reads first: as they are mapped, but for fastq_1 and fastq_2."""
        order = FASTQ + list(self.mapping)
        columns = sorted(columns, key=lambda column: order.index(column) if column in order else len(order))
        only_pairs = spec.kind == "collection" and spec.type in PAIRED_TYPES
        no_mates = len(columns) == 2 and not any(_is_filled(row, columns[1:]) for row in self.sheet.rows)
        return columns[:1] if no_mates and not only_pairs else columns

    # ------------------------------------------------------------------------------------------- what a row gives

    def _value(self, inputs: InputValues, row: SheetRow, index: str, columns: list[str], allow_several: bool = False,
               spec: InputSpec | None = None) -> InputValue:
        """What a row gives to an input, or to one of this `spec`; None if its cells are empty, or wrong, which is noted."""
        spec = element_spec(spec or self.specs[index])
        if not _is_filled(row, columns):
            return None
        for column in (column for column in columns if column in row.varying):
            self.sheet.note(row, column, row.varying[column])
        if len(columns) == 1 and (spec.kind == "parameter" or columns[0] not in FASTQ):
            words = [word for word in row.cells[columns[0]] if word]
            if spec.multiple and not spec.choices:      # a cell has no other way to name several
                words = [part.strip() for word in words for part in word.split(",") if part.strip()]
            if spec.kind != "parameter":
                words = [absolute_word(self.sheet.folder, word) for word in words]
            return self._try(inputs, row, columns[0], index, partial(inputs.parse_value, spec, words))
        before = len(inputs.problems)
        one_file = partial(_one_file, self.sheet.folder, inputs, spec)
        files = [[self._try(inputs, row, column, index, partial(one_file, word)) if word else None
                  for word in row.cells[column]] for column in columns]
        if len(inputs.problems) > before:
            return None
        return self._try(inputs, row, ", ".join(columns), index, partial(
            _arrange_reads, spec, row.sample, columns, files, allow_several, inputs.lanes))

    def _try(self, inputs: InputValues, row: SheetRow, column: str, index: str, make: Callable[[], InputValue]
             ) -> InputValue:
        """What `make()` returns; None if that is a usage error, which is noted."""
        before = len(inputs.problems)
        inputs.set_value(index, make)
        for problem in inputs.problems[before:]:
            self.sheet.note(row, column, problem.removeprefix(f"input {self.specs[index].name}: "))
        return inputs.values.pop(index, None)


def _index_of_reads(sheet: SampleSheet, specs: dict[str, InputSpec], columns: list[str], taken: set[str]) -> str:
    """The one input that FASTQ columns can go to; "" if there is not exactly one, which is noted."""
    free = [spec for spec in specs.values() if spec.kind != "parameter" and spec.index not in taken]
    indexes = [spec.index for spec in free if spec.kind == "collection"]
    if not indexes and "fastq_2" not in columns:
        indexes = [spec.index for spec in free]
    if len(indexes) == 1 and columns[0] == "fastq_1":
        return indexes[0]
    words = " ".join(f"--map={column}=LABEL" for column in columns)
    pairs = " (one label for both makes pairs)" if len(columns) > 1 else ""
    inputs = ", ".join(f"{spec.name} ({spec.type or spec.kind})" for spec in free)
    sheet.note(None, columns[0], f"which input is it for? {words} says it{pairs}; there are {inputs or 'none'}", sheet.line)
    return ""


def _as_sample_sheet(sheet: SampleSheet, inputs: InputValues, spec: InputSpec, columns: list[str],
                     elements: dict[str, tuple[SheetRow, Any]]) -> CollectionInput | None:
    """A sample sheet of these elements, each with the values that its row has in the columns that the input defines; None
    where something is wrong, which is noted."""
    rows: dict[str, list[Any]] = {}
    before = len(sheet.problems)
    for column, is_needed in column_names(spec).items():
        if is_needed and column not in sheet.columns:
            problem = f"input {spec.name} takes values from a column of that name, and there is none"
            sheet.note(None, column, problem, sheet.line)
    for name, (row, value) in elements.items():
        if isinstance(value, CollectionInput) and value.type.startswith("list"):
            elements[name] = row, value.elements[0][1]
            if len(value.elements) > 1:
                sheet.note(row, columns[0], "is several files, and an element of a sample sheet is one")
        for column in column_names(spec):
            if len(set(row.cells.get(column, []))) > 1 or column in row.varying:
                problem = row.varying.get(column) or f"{row.describe(column)}: several values, and the sample takes one"
                sheet.note(row, column, problem)
        if any(needed and column not in sheet.columns for column, needed in column_names(spec).items()):
            continue
        try:
            rows.update(parse_cells(spec, name, {column: texts[0] for column, texts in row.cells.items() if texts}))
        except GalaxyError as error:
            sheet.note(row, "", f"input {spec.name}: {str(error).removeprefix(f'rows: {name}: ')}")
    if len(sheet.problems) > before:
        inputs.faulty.add(spec.index)
        return None
    extras = {"column_definitions": [*map(parse_column, spec.settings["column_definitions"])], "rows": rows} if rows else {}
    return CollectionInput(spec.type, [(name, value) for name, (_, value) in elements.items()], "", extras)


def parse_column_map(texts: Iterable[str]) -> dict[str, str]:
    """`{column: label}` of `COLUMN=LABEL` words; a usage error if one is not that, or names a column again."""
    mapping: dict[str, str] = {}
    for text in texts:
        column, sign, label = text.partition("=")
        if not column or not sign:
            raise GalaxyError(f"--map={text}: expected COLUMN=LABEL, or COLUMN= to leave it out", USAGE)
        if column in mapping:
            raise GalaxyError(f"--map={text}: column {column} is mapped to {mapping[column]!r} already", USAGE)
        mapping[column] = label
    return mapping


def _one_file(folder: str, inputs: InputValues, spec: InputSpec, word: str) -> DatasetInput:
    parts = inputs.expand_word(absolute_word(folder, word))
    if len(parts) != 1 or parts[0].ref.get("src") == "hdca":
        raise GalaxyError(f"{word}: expected one file", USAGE)
    return with_datatype(spec, parts[0])


def _can_be_joined(spec: InputSpec, reads: list[DatasetInput | None]) -> bool:
    """Whether a sample's files of one column are to be one. Where an input takes several, what Galaxy has or fetches itself
    stays apart."""
    takes_one = spec.kind == "dataset" or spec.type in ("paired", "paired_or_unpaired")
    is_local = all(leaf.source and leaf.source.local_paths for leaf in reads if leaf)
    return takes_one or is_local


def _join(sample: str, column: str, reads: list[DatasetInput | None]) -> DatasetInput:
    """A sample's files of one column as one; a usage error if they can't be put together."""
    if None in reads:
        raise GalaxyError(f"{column} is empty in one of the sample's rows", USAGE)
    leaves = [leaf for leaf in reads if leaf]
    other = next((leaf for leaf in leaves if not (leaf.source and leaf.source.local_paths)), None)
    if other:
        raise GalaxyError(f"{other.place}: the sample has {len(leaves)} of them, and only files of this machine can be put "
                          "together: --lanes=separate keeps them apart, if the workflow takes several", USAGE)
    sources = [leaf.source for leaf in leaves if leaf.source]
    mark = {"fastq_1": "_1", "fastq_2": "_2"}.get(column, "")
    source = join_sources(f"{sample.replace('/', '_')}{mark}.{datatype_ending(sources[0].name) or 'txt'}", sources)
    require_joinable(source)
    return replace(leaves[0], place=source.path, source=source, name=source.name)


def _is_filled(row: SheetRow, columns: list[str]) -> bool:
    return any(any(row.cells[column]) for column in columns)


def _suggest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _name_elements(sample: str, elements: list[Any]) -> Elements:
    """A sample's elements with their identifiers."""
    names = [sample] if len(elements) == 1 else [f"{sample}_{number}" for number in range(1, len(elements) + 1)]
    return list(zip(names, elements))


def _as_list(elements: Elements) -> CollectionInput:
    first = elements[0][1]
    return CollectionInput(f"list:{first.type}" if isinstance(first, CollectionInput) else "list", elements)


def _reads_mismatch(spec: InputSpec, columns: list[str]) -> str:
    """Why FASTQ columns, or two of forward and reverse reads, can't go to an input; "" if they can."""
    if len(columns) > 2 or (len(columns) == 2 and spec.kind != "collection"):
        return f"it takes one {'value' if spec.kind == 'parameter' else 'dataset'}, and {len(columns)} columns go to it"
    if spec.kind != "collection" or (len(columns) == 1 and columns[0] not in FASTQ):
        return ""
    if len(columns) == 1 and spec.type in PAIRED_TYPES:
        return f"it takes pairs ({spec.type}), and there are no reverse reads"
    if spec.type in ("", *PAIRED_TYPES, *PAIRED_OR_UNPAIRED_TYPES) or (spec.type == "list" and len(columns) == 1):
        return ""
    return f"it takes a collection of type {spec.type}, {'not pairs' if len(columns) == 2 else 'which hdca:ID can give'}"


def _arrange_reads(spec: InputSpec, sample: str, columns: list[str], files: list[list[DatasetInput | None]],
                   allow_several: bool, together: Lanes = SEPARATE) -> InputValue:
    """A sample's files as an input takes them: several lanes `together`, else as a list, and one too if the input takes a
    list. If it takes one pair, several are an error unless they are allowed."""
    places = [leaf.source.path if leaf.source else leaf.ref["id"] for column in files for leaf in column if leaf]
    repeated = next((place for place in places if places.count(place) > 1), "")
    if repeated:
        raise GalaxyError(f"{repeated}: is there twice", USAGE)
    if together.together and len(files[0]) > 1 and all(_can_be_joined(spec, reads) for reads in files):
        files = [[_join(sample, column, reads)] if any(reads) else [None] for column, reads in zip(columns, files)]
    unpaired_too = spec.type.endswith("paired_or_unpaired")
    lanes: list[DatasetInput | CollectionInput] = []
    for forward, reverse in zip(files[0], files[1] if len(files) == 2 else [None] * len(files[0])):
        if not forward:
            raise GalaxyError(f"{columns[0]} is empty in one of the sample's rows", USAGE)
        if unpaired_too and not reverse:
            lanes.append(CollectionInput("paired_or_unpaired", [("unpaired", forward)]))
        elif len(columns) == 1:
            lanes.append(forward)
        elif not reverse:
            raise GalaxyError(f"{columns[1]} is empty, and the input takes pairs", USAGE)
        else:
            lanes.append(CollectionInput("paired_or_unpaired" if unpaired_too else "paired",
                                         [("forward", forward), ("reverse", reverse)]))
    takes_one = spec.kind == "dataset" or spec.type in ("paired", "paired_or_unpaired")
    if takes_one and len(lanes) == 1:
        return lanes[0]
    if takes_one and spec.kind == "collection" and not allow_several:
        raise GalaxyError(f"it takes one pair, and the sample has {len(lanes)}", USAGE)
    return _as_list(_name_elements(sample, lanes))
