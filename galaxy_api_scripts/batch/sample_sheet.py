"""Sample sheets as they are written: tables with a row for each run, nf-core's, and Illumina's own with their files."""
from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from common import USAGE, GalaxyError, one_line, read_text, shorten
from galaxy_api_scripts.workflows.run import parse_tag

FASTQ = ["fastq_1", "fastq_2"]      # the columns of nf-core's sheets, whose rows of one sample are its lanes
SAMPLE = ("sample", "sample_id")    # the run's name, in any capitals
LONGEST = 200                       # characters of a sample's name: it is an element's, with more behind it

Line = tuple[int, str]              # of a file, with its number
Lines = list[tuple[int, list[str]]]     # of a table: where each begins, and its cells


@dataclass
class SheetRow:
    """A run: the line where it begins, and its cells. Those of several lines have a value of each for the FASTQ columns."""

    line: int
    sample: str
    history: str
    tags: list[str]
    cells: dict[str, list[str]]


class SampleSheet:
    """The rows of a sheet, and the `problems` that there are with them and with what is made of them.

    `line` is the heading's, `folder` the one that paths in cells are relative to. `reserved` are the columns that say what a
    run is called; `spare` those that go to an input only where they are mapped to it.
    """

    def __init__(self, name: str):
        self.name = name
        self.folder = os.path.dirname(os.path.abspath(name)) if os.path.isfile(name) else os.getcwd()     # of a pipe
        self.line = 0
        self.columns: list[str] = []
        self.rows: list[SheetRow] = []
        self.reserved: list[str] = []
        self.spare: list[str] = []
        self._noted: dict[tuple[int, str, str, str], None] = {}

    @property
    def problems(self) -> list[dict[str, Any]]:
        """A dict for each, in the sheet's order: `row` (its line; "" where it is of none), `sample`, `column`, `problem`."""
        return [{"row": row or "", "sample": sample, "column": column, "problem": problem}
                for row, sample, column, problem in sorted(self._noted, key=lambda one: one[0])]

    def note(self, row: SheetRow | None, column: str, problem: str, line: int = 0) -> None:
        """Keep a problem, of a row or, where that is None, of a line or of none."""
        self._noted[row.line if row and not line else line, row.sample if row else "", column, problem] = None


def load_sheet(sheet: SampleSheet, fastq: str | None = None) -> None:
    """Read the sheet's file, standard input for `-`: TSV or CSV, with a row for each run and a column `sample`.

    Rows of one sample are one run where there is a column fastq_1. Of Illumina's sample sheets (versions 1 and 2) the FASTQ
    files are looked for in the folder `fastq`, else in the sheet's own. Raises `GalaxyError` (USAGE) where it is no sheet.
    """
    try:
        text = read_text(sheet.name)
    except GalaxyError as error:
        if "UTF-8" not in str(error):
            raise
        raise GalaxyError(f"{error}: from Excel, save it as CSV UTF-8", USAGE) from None
    if "\0" in text:
        raise GalaxyError(f"{sheet.name}: no table: it is not a text", USAGE)
    lines = list(enumerate(io.StringIO(text, newline=""), 1))
    illumina = SECTION.fullmatch(next((line for _, line in lines if _counts(line)), ""))
    if fastq is not None and not illumina:
        raise GalaxyError(f"--fastq={fastq}: is for Illumina's sample sheets, and {sheet.name} is none", USAGE)
    if illumina:
        _read_illumina(sheet, lines, sheet.folder if fastq is None else fastq)
    else:
        _read_table(sheet, lines)
    if not sheet.rows and not sheet.problems:
        raise GalaxyError(f"{sheet.name}: there are no rows below the heading", USAGE)
    for number, column in enumerate(sheet.columns):
        if column and column in sheet.columns[:number]:
            sheet.note(None, column, "is there twice", sheet.line)
    sheet.columns = list(dict.fromkeys(column for column in sheet.columns if column))


def _read_table(sheet: SampleSheet, lines: list[Line]) -> None:
    rows = _table(sheet, lines)
    roles = {role: next((column for name in names for column in sheet.columns if column.lower() == name), "")
             for role, names in (("sample", SAMPLE), ("history", ("history",)), ("tags", ("tags",)))}
    if not roles["sample"]:
        raise GalaxyError(f"{sheet.name}: a heading with a column sample is wanted, then a row for each run; line {sheet.line} "
                      f"has {shorten(', '.join(sheet.columns), 120)}", USAGE)
    sheet.reserved = [column for column in roles.values() if column]
    made: dict[str, SheetRow] = {}
    for line, cells in rows:
        while len(cells) > len(sheet.columns) and not cells[-1]:
            cells.pop()
        if len(cells) != len(sheet.columns):
            sheet.note(None, "", f"it has {len(cells)} cells, and the heading {len(sheet.columns)}: is another sign between "
                                 "them?", line)
            continue
        if any(value and not column for column, value in zip(sheet.columns, cells)):
            sheet.note(None, "", f"column {sheet.columns.index('') + 1} has no name", sheet.line)
        _add(sheet, made, line, {column: value for column, value in zip(sheet.columns, cells) if column}, roles)
    sheet.rows = list(made.values())


def describe_cell(row: SheetRow, column: str) -> str:
    """A cell, for messages."""
    return repr(shorten(" ".join(row.cells[column]), 60))


def _add(sheet: SampleSheet, made: dict[str, SheetRow], line: int, values: dict[str, str], roles: dict[str, str]) -> None:
    sample = values[roles["sample"]]
    if not _is_name(sheet, roles["sample"], sample, line):
        return
    before = made.get(sample)
    if before and "fastq_1" not in values:
        sheet.note(before, roles["sample"], f"is in line {before.line} too: a sample has one row, but for its lanes in a "
                                            "column fastq_1", line)
    elif before:
        for column, value in values.items():
            if column in FASTQ:
                before.cells[column].append(value)
            elif [value] != before.cells[column]:
                sheet.note(before, column, f"{shorten(value, 60)!r}, and {describe_cell(before, column)} in line {before.line}: the "
                                           "rows of a sample differ in their files only", line)
    else:
        tags = [tag.strip() for tag in values.get(roles["tags"], "").split(",") if tag.strip()]
        row = SheetRow(line, sample, values.get(roles["history"], ""), tags,
                       {name: [value] for name, value in values.items()})
        for tag in tags:
            try:
                parse_tag(tag)
            except GalaxyError as error:
                sheet.note(row, roles["tags"], str(error).removeprefix("--tag="))
        made[sample] = row


def _is_name(sheet: SampleSheet, column: str, sample: str, line: int) -> bool:
    why = "is empty" if not sample else f"has more than {LONGEST} characters" if len(sample) > LONGEST else (
        "has more in it than one line of text" if sample != one_line(sample) else "")
    if why:
        sheet.note(None, column, why, line)
    return not why


def _counts(line: str) -> bool:
    """Whether a line is part of a table: neither blank nor a comment."""
    return bool(line.strip(" \t\r\n,;")) and not line.startswith("#")


def _table(sheet: SampleSheet, lines: list[Line]) -> Lines:
    """What is below the heading, which the sheet has from now on."""
    heading = next((line for _, line in lines if _counts(line)), "")
    if not heading:
        raise GalaxyError(f"{sheet.name}: no table: there is nothing in it", USAGE)
    delimiter = "\t" if "\t" in heading else ";" if heading.count(";") > heading.count(",") else ","
    (sheet.line, sheet.columns), *rows = _cells(sheet.name, lines, delimiter)
    while sheet.columns and not sheet.columns[-1]:
        sheet.columns.pop()
    return rows


def _cells(name: str, lines: list[Line], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line where each row begins, and its cells; a quoted one may have lines in it."""
    number, within = 0, False

    def counting() -> Iterator[str]:
        nonlocal number, within
        for at, line in lines:
            if within or _counts(line):
                number, within = number if within else at, True
                yield line

    try:
        for row in csv.reader(counting(), delimiter=delimiter, strict=True):
            within = False
            yield number, [cell.strip() for cell in row]
    except csv.Error as error:
        raise GalaxyError(f"{name}: line {number}: {error}", USAGE) from None


# ----------------------------------------------------------------------------------------------- Illumina's sample sheets

SECTION = re.compile(r'\s*"?\[(?P<name>[^\]]+)\]"?[\s,;]*')
DATA = ("bclconvert_data", "data")      # sections with the samples, of version 2 and 1
READS = re.compile(r"(?P<name>.+)_S(?P<number>[0-9]+)(_L(?P<lane>[0-9]{3}))?_R(?P<read>[12])_001\.fastq(\.gz)?")


class ReadFile(NamedTuple):
    """A file as bcl2fastq and BCL Convert name them: the folders on the way to it, the sample's place in the sheet, the lane
    (0 for all of them in one), and which of a pair it is."""

    path: str
    folders: list[str]
    number: int
    lane: int
    read: int


def _read_illumina(sheet: SampleSheet, lines: list[Line], fastq: str) -> None:
    if not os.path.isdir(fastq):
        raise GalaxyError(f"--fastq={fastq}: no such folder", USAGE)
    sections = {found["name"].strip().lower(): place for place, (_, line) in enumerate(lines)
                if (found := SECTION.fullmatch(line))}
    start = next((sections[section] for section in DATA if section in sections), None)
    if start is None:
        raise GalaxyError(f"{sheet.name}: a sample sheet of Illumina has a section [Data] or [BCLConvert_Data], and there are "
                      f"{', '.join(f'[{section}]' for section in sections)}", USAGE)
    end = min((place for place in sections.values() if place > start), default=len(lines))
    rows = _table(sheet, lines[start + 1:end])
    columns = {column.lower(): column for column in sheet.columns}
    if "sample_id" not in columns:
        raise GalaxyError(f"{sheet.name}: line {sheet.line}: the samples want a column Sample_ID", USAGE)
    sheet.reserved, sheet.spare = [columns["sample_id"]], [one for one in sheet.columns if one != columns["sample_id"]]
    made: dict[str, SheetRow] = {}
    for line, cells in rows:
        values = dict(zip(sheet.columns, cells + [""] * len(sheet.columns)))
        sample = values[columns["sample_id"]]
        if not _is_name(sheet, columns["sample_id"], sample, line):
            continue
        row = made.setdefault(sample, SheetRow(line, sample, "", [], {column: [] for column in sheet.columns}))
        for column, value in values.items():
            known = row.cells[column]
            if known and value not in known and column.lower() in ("sample_name", "sample_project"):
                sheet.note(row, column, f"{shorten(value, 60)!r}, and {describe_cell(row, column)} in line {row.line}", line)
            known += [value] if value not in known else []
    sheet.rows, sheet.columns = list(made.values()), [*sheet.columns, *FASTQ]
    _find_reads(sheet, columns, fastq, "bclconvert_data" in sections)


def _find_reads(sheet: SampleSheet, columns: dict[str, str], fastq: str, by_id: bool) -> None:
    """Give each sample its files; `columns` are the sheet's by their names in small letters."""
    there = _listed(sheet, fastq)
    claimed: dict[str, SheetRow] = {}
    for number, row in enumerate(sheet.rows, 1):
        row.cells.update({column: [] for column in FASTQ})
        project, called = (next(iter(row.cells.get(columns.get(name, ""), [])), "")
                           for name in ("sample_project", "sample_name"))
        names = [row.sample, called] if by_id else [called, row.sample]
        names += [re.sub("[^A-Za-z0-9]", "-", name) for name in names]      # as a MiSeq writes them
        files = next((there[name] for name in names if name in there), [])
        for folder in (project, row.sample):
            files = [file for file in files if folder in file.folders] or files
        if len({file.number for file in files}) > 1:        # samples of one name
            files = [file for file in files if file.number == number] or files
        lanes = {int(lane) for lane in row.cells.get(columns.get("lane", ""), []) if lane.isdecimal()}
        files = [file for file in files if not (lanes and file.lane) or file.lane in lanes]
        _sorted(sheet, row, files, lanes, fastq)
        for path in (path for column in FASTQ for path in row.cells[column] if path):
            other = claimed.setdefault(path, row)
            if other is not row:
                sheet.note(row, "fastq_1", f"{path}: sample {other.sample} (line {other.line}) has it too")


def _sorted(sheet: SampleSheet, row: SheetRow, files: list[ReadFile], lanes: set[int], fastq: str) -> None:
    """Put a sample's files into its cells, in the order of the lanes; what is missing or too many is noted."""
    placed: dict[tuple[int, int], str] = {}
    for file in files:
        path = placed.setdefault((file.lane, file.read), file.path)
        if path != file.path:
            sheet.note(row, f"fastq_{file.read}", f"two files are the same lane and read: {path}, {file.path}")
    have = sorted({lane for lane, _ in placed})
    if not have:
        sheet.note(row, "fastq_1", f"there are no files of it in {fastq}")
    elif len(have) > 1 and not have[0]:
        sheet.note(row, "fastq_1", f"there are files of one lane and of all: {', '.join(sorted(placed.values()))}")
    elif have[0] and lanes - set(have):
        sheet.note(row, "fastq_1", f"there are no files of lane {', '.join(map(str, sorted(lanes - set(have))))} in {fastq}")
    for lane in have:
        if (lane, 1) not in placed:
            sheet.note(row, "fastq_1", f"there is no _R1_ for {placed[lane, 2]}")
        row.cells["fastq_1"].append(placed.get((lane, 1), ""))
        row.cells["fastq_2"].append(placed.get((lane, 2), ""))


def _listed(sheet: SampleSheet, fastq: str) -> dict[str, list[ReadFile]]:
    """The files of reads in a folder and below, by the sample's name in theirs."""
    top = os.path.abspath(fastq)
    there: dict[str, list[ReadFile]] = {}

    def unreadable(error: OSError) -> None:
        sheet.note(None, "", f"{error.filename}: {error.strerror}")

    for here, folders, names in os.walk(top, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = os.path.relpath(here, top).split(os.sep)
        for name in sorted(names):
            found = READS.fullmatch(name)
            if found and found["name"] != "Undetermined":
                there.setdefault(found["name"], []).append(ReadFile(os.path.join(here, name), within, int(found["number"]),
                                                                 int(found["lane"] or 0), int(found["read"])))
    return there
