"""Tables that people write: CSV and TSV as Excel, LibreOffice, R and pandas save them. Where a row stands goes with it."""
from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from common import USAGE, GalaxyError, did_you_mean, one_line, read_text, shorten

NumberedCells = tuple[int, list[str]]       # the line where a row begins, and its cells
NOTHING = "-"       # a cell that says none; an empty one says nothing


class Table(NamedTuple):
    """A heading, the line that it stands in, and the rows below."""

    line: int
    columns: list[str]
    rows: list[NumberedCells]


class Row(NamedTuple):
    """The line where a row begins, and its cells by their columns; "" for what the table does not say."""

    line: int
    cells: dict[str, str]

    def names(self, column: str) -> list[str] | None:
        """The names in a cell, separated by semicolons, or by commas where it has no semicolon; [] for `-`, None for ""."""
        return split_names(self.cells[column])


class Problems:
    """What is wrong with the table `name`, by line, so that all of it is told at once, before anything is changed."""

    def __init__(self, name: str):
        self.name = "standard input" if name == "-" else name
        self._found: dict[tuple[int, str], None] = {}

    def note(self, line: int, problem: str) -> None:
        """Add a problem of a line."""
        self._found[line, one_line(problem)] = None

    def raise_any(self, exit_code: int = USAGE) -> None:
        """Raise `GalaxyError` if there are problems."""
        lines = [f"line {line}: {problem}" for line, problem in sorted(self._found, key=lambda one: one[0])]
        if lines:
            what = lines[0] if len(lines) == 1 else f"{len(lines)} things are wrong"
            raise GalaxyError(f"{self.name}: {what}, so nothing was changed", exit_code,
                              table="\n".join(lines) if len(lines) > 1 else "")


# ------------------------------------------------------------------------------------------------- tables with known columns

def read_rows(name: str, columns: Mapping[str, Sequence[str]], required: Sequence[str]) -> tuple[list[Row], Problems]:
    """The rows of the table in the file `name`, standard input for `-`, and what is wrong with their form.

    `columns` are those that there can be, each with its other spellings; capitals, spaces, hyphens and underscores make no
    difference. Raises `GalaxyError` (USAGE) for a file that can't be read, an unknown column, and where a `required` one
    or all rows are missing.
    """
    if not name:
        raise GalaxyError("the table's name is empty: is a variable unset?", USAGE)
    lines, problems = read_table_lines(name), Problems(name)
    spellings = {one.lower(): column for column, others in columns.items() for one in (column, *others)}
    table = split_table(name, lines, 0, tuple(spellings))
    by_form = {_plain(one): column for one, column in spellings.items()}
    headings = [by_form.get(_plain(one), "") for one in table.columns]
    for number, (heading, typed) in enumerate(zip(headings, table.columns)):
        if not heading and typed:
            near = did_you_mean(typed.lower(), spellings) or f": expected {', '.join(columns)}"
            problems.note(table.line, f"there is no column {shorten(typed, 60)!r}{near}")
        elif heading and heading in headings[:number]:
            problems.note(table.line, f"the column {heading} is there twice")
    missing = [column for column in required if column not in headings]
    if missing:
        problems.note(table.line, f"there is no column {', '.join(missing)}: expected a heading with {', '.join(columns)}")
    problems.raise_any()
    rows = []
    is_cut = not lines[-1].endswith(("\n", "\r"))
    for line, cells in table.rows:
        problem = fit_cells(cells, len(headings), is_cut and line == table.rows[-1][0])
        if not problem and cells[0].startswith("#"):
            problem = "begins with #, which begins a comment only above the heading"
        if not problem and any(cell and not heading for heading, cell in zip(headings, cells)):
            problem = f"a cell stands under no name: column {headings.index('') + 1}"
        if problem:
            problems.note(line, problem)
        else:
            rows.append(Row(line, {**dict.fromkeys(columns, ""), **dict(zip(headings, cells))}))
    if not rows:
        problems.raise_any()
        raise GalaxyError(f"{problems.name}: there are no rows below the heading", USAGE)
    return rows, problems


def split_names(text: str) -> list[str] | None:
    """The names in a cell, each once; [] for `-`, None for an empty cell, or one in which there are separators alone."""
    if text == NOTHING:
        return []
    parts = (part.strip() for part in text.split(";" if ";" in text else ","))
    return list(dict.fromkeys(filter(None, parts))) or None


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", "", text.casefold())


# --------------------------------------------------------------------------------------------------------- any table

def read_table_lines(name: str) -> list[str]:
    """The lines of the file `name`, standard input for `-`, with their ends. Raises `GalaxyError` (USAGE) where it is no
    text in UTF-8."""
    try:
        text = read_text(name)
    except GalaxyError as error:
        if "UTF-8" not in str(error):
            raise
        raise GalaxyError(f"{error}: from Excel, save it as CSV UTF-8", USAGE) from None
    if "\0" in text:
        raise GalaxyError(f"{name}: no table: it is not a text in UTF-8: from Excel, save it as CSV UTF-8", USAGE)
    return list(io.StringIO(text, newline=""))


def has_content(line: str) -> bool:
    """Whether a line above the heading is neither blank nor a comment."""
    return bool(line.strip(" \t\r\n,;\"")) and not line.startswith("#")


def split_table(name: str, lines: list[str], start: int, name_columns: tuple[str, ...]) -> Table:
    """The table whose heading is the first line with content, from `start` on (counted from 0). Its delimiter is the one by
    which the heading has one of `name_columns` (in small letters), and the most others. Raises `GalaxyError` (USAGE)."""
    start = next((place for place in range(start, len(lines)) if has_content(lines[place])), len(lines))
    if start == len(lines):
        raise GalaxyError(f"{name}: no table: there is nothing in it", USAGE)
    named = re.fullmatch('"?sep=(.)"?\\s*', lines[start])       # for Excel
    start += bool(named)
    delimiter = named[1] if named else _find_delimiter(lines[start] if start < len(lines) else "", name_columns)
    (line, columns), *rows = _split_cells(name, lines, start, delimiter) or [(start, [])]
    while columns and not columns[-1]:
        columns.pop()
    return _without_row_names(Table(line, columns, rows))


def fit_cells(cells: list[str], width: int, is_cut: bool) -> str:
    """Bring a row's cells to the heading's `width`, as programs leave empty ones out; returns what is wrong with it, "" for
    nothing. A row that `is_cut` has lost its end."""
    while len(cells) > width and not cells[-1]:
        cells.pop()
    if 1 < len(cells) < width and not is_cut:
        cells += [""] * (width - len(cells))        # Excel leaves out delimiters behind a row's last cell
    if len(cells) == width:
        return ""
    return f"has {len(cells)} cell{'s' * (len(cells) > 1)}, and the heading {width}: " + (
        "# begins a comment only above the heading" if cells[0].startswith("#") else "does it have another delimiter?")


def _find_delimiter(heading: str, name_columns: tuple[str, ...]) -> str:
    """The delimiter by which the heading has the column of the names, and the most others; a space only if it has no
    other, as R writes it."""
    def rank(delimiter: str) -> tuple[bool, int]:
        cells = [cell.strip().lower() for cell in next(csv.reader([heading], delimiter=delimiter), [])]
        return not set(cells).isdisjoint(name_columns), len(cells)
    return max("\t;," if any(delimiter in heading for delimiter in "\t;,") else ", ", key=rank)


def _split_cells(name: str, lines: list[str], start: int, delimiter: str) -> list[NumberedCells]:
    """The cells of each row that has any, from line `start` on (counted from 0); a quoted one may have several lines."""
    rows, end = [], start
    reader = csv.reader(lines[start:], delimiter=delimiter, strict=True)
    try:
        for row in reader:
            begin, end = end + 1, start + reader.line_num
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((begin, cells))
    except csv.Error as error:
        raise GalaxyError(f"{name}: line {end + 1}: {error}", USAGE) from None
    return rows


def _without_row_names(table: Table) -> Table:
    """The table without the numbers that R and pandas write before its rows, in a column with no name or with no heading."""
    numbers = [cells[0] for _, cells in table.rows]
    if not any(numbers == [str(number + first) for number in range(len(numbers))] for first in (0, 1)):
        return table
    columns = table.columns
    if columns and not columns[0]:
        columns = columns[1:]
    elif {len(cells) for _, cells in table.rows} != {len(columns) + 1} or not any(cells[-1] for _, cells in table.rows):
        return table
    return Table(table.line, columns, [(line, cells[1:]) for line, cells in table.rows])
