"""Sample sheets as they are written: tables with a row for each run, nf-core's, and Illumina's own with their files."""
from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from common import USAGE, GalaxyError, one_line, read_text, shorten
from galaxy_api_scripts.batch.analyses import newest_analysis
from galaxy_api_scripts.datasets.lanes import natural_key
from galaxy_api_scripts.datasets.references import parse_tag
from galaxy_api_scripts.tables import NumberedCells, fit_cells, has_content, read_table_lines, split_table
from galaxy_api_scripts.workflows.inputs import InputValues

FASTQ = ["fastq_1", "fastq_2"]      # the columns of nf-core's sheets, whose rows of one sample are its lanes
# Columns of nf-core's sheets (rnaseq, sarek) and of what its fetchngs writes: they go to an input of that name, if there is
# one, or one that they are mapped to. In the second list are those that the rows of one sample may have different values of.
_NFCORE = """
strandedness seq_platform seq_center genome_bam transcriptome_bam percent_mapped patient sex status experiment_accession
sample_accession secondary_sample_accession study_accession secondary_study_accession experiment_alias experiment_title
sample_alias sample_title sample_description study_alias study_title library_layout library_selection library_source
library_strategy library_name instrument_model instrument_platform tax_id scientific_name single_end
"""
_OF_LANES = """
lane run_accession run_alias run_title submission_accession base_count read_count fastq_md5 fastq_bytes fastq_ftp
fastq_galaxy fastq_aspera md5_1 md5_2
"""
LANE_COLUMNS = _OF_LANES.split()
OPTIONAL_COLUMNS = [*_NFCORE.split(), *LANE_COLUMNS]
NAME_COLUMNS = ("sample", "sample_id")      # the run's name, in any capitals
MAX_NAME = 200                      # characters of a sample's name: an element's identifier is that and more


@dataclass
class SheetRow:
    """A row of a sheet on its way to a run: what is written in it, and the workflow's `inputs` once these are filled in."""

    line: int                           # where it begins
    sample: str
    history: str = ""                   # the name of its history; "" for the default one
    tags: list[str] = field(default_factory=list)
    cells: dict[str, list[str]] = field(default_factory=dict)   # by column; for FASTQ, one for each of its lines
    inputs: InputValues | None = None
    lanes: list[str] = field(default_factory=list)  # of each of its lines, if there is a column lane
    varying: dict[str, str] = field(default_factory=dict)       # what to say of columns that an input can't take

    def describe(self, column: str) -> str:
        """A cell, for messages."""
        return repr(shorten(" ".join(self.cells[column]), 60))


class NoRunSheet(GalaxyError):
    """It is not one of Illumina's, or lists no samples."""


class SampleSheet:
    """The rows of the sheet in the file `name`, and the `problems` with them and with what is made of them."""

    def __init__(self, name: str):
        self.name = name
        self.folder = os.path.dirname(os.path.abspath(name)) if os.path.isfile(name) else os.getcwd()     # of a pipe
        self.line = 0                       # the heading's
        self.columns: list[str] = []
        self.rows: list[SheetRow] = []
        self.reserved: list[str] = []       # the columns that say what a run is called
        self.spare: list[str] = []          # those that go to an input only if they are mapped to it
        self.optional: list[str] = []       # those that need not fit any input
        self._problems: dict[tuple[int, str, str, str], None] = {}

    @property
    def problems(self) -> list[dict[str, Any]]:
        """`{"row", "sample", "column", "problem"}` of each, in the sheet's order; `row` is its line, "" if it is of none."""
        return [{"row": line or "", "sample": sample, "column": column, "problem": problem}
                for line, sample, column, problem in sorted(self._problems, key=lambda key: key[0])]

    def note(self, row: SheetRow | None, column: str, problem: str, line: int = 0) -> None:
        """Add a problem, of a row or, if that is None, of a line or of none."""
        self._problems[row.line if row and not line else line, row.sample if row else "", column, problem] = None


def read_sheet(name: str, fastq: str | None = None) -> SampleSheet:
    """Read the sheet in the file `name`, standard input for `-`: a table with a row for each run and a column `sample`, as
    Excel, LibreOffice, R and pandas write it. `#` begins a comment only above the heading.

    Rows of one sample are one run if there is a column fastq_1. The FASTQ files of Illumina's sample sheets (versions 1 and
    2) are looked for in the folder `fastq`, else in the sheet's own. Raises `GalaxyError` (USAGE) if it is no sheet.
    """
    if not name:
        raise GalaxyError("the sheet's name is empty: is a variable unset?", USAGE)
    sheet = SampleSheet(name)
    lines = read_table_lines(name)
    is_illumina = SECTION.fullmatch(next(filter(has_content, lines), ""))
    if fastq is not None and not is_illumina:
        raise GalaxyError(f"--fastq={fastq}: is for Illumina's sample sheets, and {name} is none", USAGE)
    if is_illumina:
        _read_illumina(sheet, lines, sheet.folder if fastq is None else fastq)
    else:
        _read_table(sheet, lines)
    if not sheet.rows and not sheet.problems:
        raise GalaxyError(f"{name}: there are no rows below the heading", USAGE)
    for number, column in enumerate(sheet.columns):
        if column and column in sheet.columns[:number]:
            sheet.note(None, column, "occurs twice", sheet.line)
    sheet.columns = list(dict.fromkeys(column for column in sheet.columns if column))
    return sheet


def _read_table(sheet: SampleSheet, lines: list[str]) -> None:
    rows = _read_heading(sheet, lines, 0, NAME_COLUMNS)
    roles = {role: next((column for name in names for column in sheet.columns if column.lower() == name), "")
             for role, names in (("sample", NAME_COLUMNS), ("history", ("history",)), ("tags", ("tags",)))}
    if not roles["sample"]:
        raise GalaxyError(f"{sheet.name}: expected a heading with a column sample, then a row for each run; line "
                          f"{sheet.line} has {shorten(', '.join(sheet.columns), 120)}", USAGE)
    sheet.reserved = [column for column in roles.values() if column]
    by_sample: dict[str, SheetRow] = {}
    is_cut = not lines[-1].endswith(("\n", "\r"))
    for line, cells in rows:
        problem = fit_cells(cells, len(sheet.columns), is_cut and line == rows[-1][0])
        if problem:
            sheet.note(None, "", problem, line)
            continue
        if any(value and not column for column, value in zip(sheet.columns, cells)):
            sheet.note(None, "", f"column {sheet.columns.index('') + 1} has no name", sheet.line)
        _add_row(sheet, by_sample, line, {column: value for column, value in zip(sheet.columns, cells) if column}, roles)
    sheet.rows = list(by_sample.values())
    if "fastq_1" in sheet.columns:
        sheet.optional = [column for column in sheet.columns if column in OPTIONAL_COLUMNS]
        for row in sheet.rows:
            _sort_lanes(row)


def _sort_lanes(row: SheetRow) -> None:
    """Put a row's files into the order of its lanes."""
    order = sorted(range(len(row.lanes)), key=lambda place: natural_key(row.lanes[place]))
    for column in (column for column in FASTQ if column in row.cells and row.lanes):
        row.cells[column] = [row.cells[column][place] for place in order]


def _add_row(sheet: SampleSheet, by_sample: dict[str, SheetRow], line: int, values: dict[str, str], roles: dict[str, str]
             ) -> None:
    sample = values[roles["sample"]]
    if not _is_name(sheet, roles["sample"], sample, line):
        return
    row = by_sample.get(sample)
    if row and "fastq_1" not in values:
        sheet.note(row, roles["sample"], f"is in line {row.line} too: a sample has one row, but for its lanes in a column "
                                         "fastq_1", line)
    elif row:
        for column, value in values.items():
            if column in FASTQ:
                row.cells[column].append(value)
            elif [value] != row.cells[column]:
                problem = f"{shorten(value, 60)!r}, and {row.describe(column)} in line {row.line}: the rows of a sample " \
                    "differ in their files only"
                if column in LANE_COLUMNS:
                    row.varying.setdefault(column, f"{problem}, so no input can take it")
                else:
                    sheet.note(row, column, problem, line)
    if row:
        row.lanes += [values["lane"]] if "lane" in values else []
    else:
        tags = [tag.strip() for tag in values.get(roles["tags"], "").split(",") if tag.strip()]
        row = by_sample[sample] = SheetRow(line, sample, values.get(roles["history"], ""), tags,
                                           {column: [value] for column, value in values.items()},
                                           lanes=[values["lane"]] if "lane" in values else [])
        for tag in tags:
            try:
                parse_tag(tag)
            except GalaxyError as error:
                sheet.note(row, roles["tags"], str(error).removeprefix("--tag="))


def _is_name(sheet: SampleSheet, column: str, sample: str, line: int) -> bool:
    """Whether a sample can be called like this; if not, that is noted."""
    problem = "is empty" if not sample else f"has more than {MAX_NAME} characters" if len(sample) > MAX_NAME else (
        "is more than one line of text" if sample != one_line(sample) else "")
    if problem:
        sheet.note(None, column, problem, line)
    return not problem


def _read_heading(sheet: SampleSheet, lines: list[str], start: int, name_columns: tuple[str, ...]) -> list[NumberedCells]:
    """Set the sheet's columns from the first line with content, from `start` on; return the rows below."""
    sheet.line, sheet.columns, rows = split_table(sheet.name, lines, start, name_columns)
    return rows


# ----------------------------------------------------------------------------------------------- Illumina's sample sheets

SECTION = re.compile(r'\s*"?\[(?P<name>[^\]]+)\]"?[\s,;"]*')
SAMPLE_SECTIONS = ("bclconvert_data", "data")       # of version 2 and 1
READ_FILE = re.compile(r"(?P<name>.+)_S(?P<number>[0-9]+)(_L(?P<lane>[0-9]{3}))?_R(?P<read>[12])_001\.fastq(\.gz)?")


class ReadFile(NamedTuple):
    """A file as bcl2fastq and BCL Convert name them."""

    path: str
    folders: list[str]      # on the way to it
    number: int             # the sample's place in the sheet
    lane: int               # 0 for all of them in one file
    read: int               # which of a pair it is


def _read_illumina(sheet: SampleSheet, lines: list[str], fastq: str) -> None:
    if not os.path.isdir(fastq):
        raise GalaxyError(f"--fastq={fastq}: no such folder", USAGE)
    columns, by_id = _read_illumina_rows(sheet, lines)
    sheet.columns = [*sheet.columns, *FASTQ]
    _find_reads(sheet, columns, fastq, by_id)


def _read_illumina_rows(sheet: SampleSheet, lines: list[str]) -> tuple[dict[str, str], bool]:
    """Set the sheet's rows, a sample each; the columns by their names in small letters, and whether files are called by the
    sample's id rather than its name."""
    sections = {match["name"].strip().lower(): place for place, line in enumerate(lines)
                if (match := SECTION.fullmatch(line))}
    start = next((sections[section] for section in SAMPLE_SECTIONS if section in sections), None)
    if start is None:
        raise NoRunSheet(f"{sheet.name}: a sample sheet of Illumina has a section [Data] or [BCLConvert_Data], and there "
                         f"are {', '.join(f'[{section}]' for section in sections)}", USAGE)
    end = min((place for place in sections.values() if place > start), default=len(lines))
    rows = _read_heading(sheet, lines[:end], start + 1, ("sample_id",))
    columns = {column.lower(): column for column in sheet.columns}
    if "sample_id" not in columns:
        raise GalaxyError(f"{sheet.name}: line {sheet.line}: the samples need a column Sample_ID", USAGE)
    sheet.reserved = [columns["sample_id"]]
    sheet.spare = [column for column in sheet.columns if column not in sheet.reserved]
    by_sample: dict[str, SheetRow] = {}
    for line, cells in rows:
        values = dict(zip(sheet.columns, cells + [""] * len(sheet.columns)))
        sample = values[columns["sample_id"]]
        if not _is_name(sheet, columns["sample_id"], sample, line):
            continue
        row = by_sample.setdefault(sample, SheetRow(line, sample, cells={column: [] for column in sheet.columns}))
        for column, value in values.items():
            before = row.cells[column]
            if before and value not in before and column.lower() in ("sample_name", "sample_project"):
                sheet.note(row, column, f"{shorten(value, 60)!r}, and {row.describe(column)} in line {row.line}", line)
            before += [value] if value not in before else []
    sheet.rows = list(by_sample.values())
    return columns, "bclconvert_data" in sections


@dataclass(frozen=True)
class ListedSample:
    """A sample of a run's sample sheet, and what its files may be called."""

    sample: str
    number: int
    names: tuple[str, ...]
    project: str
    lanes: frozenset[int]       # none: all


@dataclass
class RunSheet:
    """The samples that a run's own sample sheet lists."""

    path: str
    rows: list[ListedSample]

    def find(self, name: str) -> ListedSample | None:
        """The sample that the file at the path `name` in the run's folder is of; None if the sheet does not list it, or its
        lane."""
        match = READ_FILE.fullmatch(os.path.basename(name))
        if not match:
            return None
        rows = [row for row in self.rows if match["name"] in row.names]
        for narrower in ([row for row in rows if row.project in name.split("/")],
                         [row for row in rows if row.number == int(match["number"])]):
            rows = narrower if narrower and len(rows) > 1 else rows
        lane = int(match["lane"] or 0)
        return next((row for row in rows if not (lane and row.lanes) or lane in row.lanes), None)


def read_run_sheet(path: str) -> RunSheet:
    """The sample sheet of Illumina's in a run's folder. Raises `NoRunSheet` if it is none, `GalaxyError` if damaged."""
    sheet = SampleSheet(path)
    lines = list(io.StringIO(read_text(path), newline=""))
    if not SECTION.fullmatch(next(filter(has_content, lines), "")):
        raise NoRunSheet(f"{path}: no sample sheet of Illumina's", USAGE)
    columns, by_id = _read_illumina_rows(sheet, lines)
    if sheet.problems:
        raise GalaxyError(f"{path}: {sheet.problems[0]['problem']}", USAGE)
    rows = []
    for number, row in enumerate(sheet.rows, 1):
        project, names, lanes = _how_files_are_called(row, columns, by_id)
        rows.append(ListedSample(row.sample, number, tuple(names), project, frozenset(lanes)))
    return RunSheet(path, rows)


def _how_files_are_called(row: SheetRow, columns: dict[str, str], by_id: bool) -> tuple[str, list[str], set[int]]:
    """A sample's project, what stands before _S in its files' names, the likeliest first, and its lanes."""
    project, sample_name = (next(iter(row.cells.get(columns.get(name, ""), [])), "")
                            for name in ("sample_project", "sample_name"))
    names = [name for name in ([row.sample, sample_name] if by_id else [sample_name, row.sample]) if name]
    names += [re.sub("[^A-Za-z0-9]", "-", name) for name in names]      # as a MiSeq writes them
    return project, names, {int(lane) for lane in row.cells.get(columns.get("lane", ""), []) if lane.isdecimal()}


def _find_reads(sheet: SampleSheet, columns: dict[str, str], fastq: str, by_id: bool) -> None:
    """Give each sample its files; `columns` are the sheet's by their names in small letters."""
    by_name = _list_reads(sheet, fastq)
    owners: dict[str, SheetRow] = {}
    for number, row in enumerate(sheet.rows, 1):
        row.cells.update({column: [] for column in FASTQ})
        project, names, lanes = _how_files_are_called(row, columns, by_id)
        files = next((by_name[name] for name in names if name in by_name), [])
        for folder in (project, row.sample):
            files = [file for file in files if folder in file.folders] or files
        if len({file.number for file in files}) > 1:        # samples of one name
            files = [file for file in files if file.number == number] or files
        files = [file for file in files if not (lanes and file.lane) or file.lane in lanes]
        _fill_reads(sheet, row, files, lanes, fastq)
        for path in (path for column in FASTQ for path in row.cells[column] if path):
            owner = owners.setdefault(path, row)
            if owner is not row:
                sheet.note(row, "fastq_1", f"{path}: sample {owner.sample} (line {owner.line}) has it too")


def _fill_reads(sheet: SampleSheet, row: SheetRow, files: list[ReadFile], lanes: set[int], fastq: str) -> None:
    """Put a sample's files into its cells, in the order of the lanes; what is missing or too many is noted."""
    paths: dict[tuple[int, int], str] = {}
    for file in files:
        path = paths.setdefault((file.lane, file.read), file.path)
        if path != file.path:
            sheet.note(row, f"fastq_{file.read}", f"two files are the same lane and read: {path}, {file.path}")
    present = sorted({lane for lane, _ in paths})
    if not present:
        sheet.note(row, "fastq_1", f"there are no files of it in {fastq}")
    elif len(present) > 1 and not present[0]:
        sheet.note(row, "fastq_1", f"there are files of one lane and of all: {', '.join(sorted(paths.values()))}")
    elif present[0] and lanes - set(present):
        missing = ", ".join(map(str, sorted(lanes - set(present))))
        sheet.note(row, "fastq_1", f"there are no files of lane {missing} in {fastq}")
    for lane in present:
        if (lane, 1) not in paths:
            sheet.note(row, "fastq_1", f"there is no _R1_ for {paths[lane, 2]}")
        row.cells["fastq_1"].append(paths.get((lane, 1), ""))
        row.cells["fastq_2"].append(paths.get((lane, 2), ""))


def _list_reads(sheet: SampleSheet, fastq: str) -> dict[str, list[ReadFile]]:
    """The files of reads in a folder and below, by the sample's name in theirs."""
    top = os.path.abspath(fastq)
    by_name: dict[str, list[ReadFile]] = {}

    def note_unreadable(error: OSError) -> None:
        sheet.note(None, "", f"{error.filename}: {error.strerror}")

    _, older = newest_analysis(top)
    for folder, subfolders, names in os.walk(top, onerror=note_unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".")
                               and os.path.join(folder, name) not in older)
        way = os.path.relpath(folder, top).split(os.sep)
        for name in sorted(names):
            match = READ_FILE.fullmatch(name)
            if match and match["name"] != "Undetermined":
                by_name.setdefault(match["name"], []).append(ReadFile(os.path.join(folder, name), way, int(match["number"]),
                                                                      int(match["lane"] or 0), int(match["read"])))
    return by_name
