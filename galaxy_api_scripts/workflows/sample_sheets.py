"""Sample sheets as inputs of workflows: collections whose elements have values in columns, which the workflow defines."""
from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from common import USAGE, GalaxyError, bool_option, shorten
from galaxy_api_scripts.workflows.inputs import InputSpec, parse_parameter

# A sample sheet's types of columns that are no texts, as a workflow's inputs call them.
COLUMN_TYPES = {"int": "integer", "float": "float", "boolean": "boolean"}


def parse_sheet(spec: InputSpec, value: dict[str, Any], names: list[str], kind: str) -> dict[str, Any]:
    """The `column_definitions` (the job file's, else the input's) and `rows` of a sample sheet; {} where it has none."""
    columns, rows = value.get("column_definitions"), value.get("rows")
    if not kind.startswith("sample_sheet"):
        if columns or rows:
            raise GalaxyError(f"a collection of type {kind} has no rows: collection_type: sample_sheet has", USAGE)
        return {}
    columns = columns or spec.settings.get("column_definitions")
    if not columns and not rows:
        return {}
    if not isinstance(columns, list) or not all(isinstance(column, dict) and column.get("name") for column in columns):
        raise GalaxyError("rows need column_definitions, a list of name and type", USAGE)
    if not isinstance(rows, dict) or set(map(str, rows)) != set(names):
        raise GalaxyError(f"rows: expected values for each of {', '.join(names)}", USAGE)
    columns = [parse_column(column) for column in columns]
    return {"column_definitions": columns, "rows": {name: parse_row(columns, name, rows[name]) for name in names}}


def _column_spec(column: dict[str, Any]) -> InputSpec:
    settings = {**column, "parameter_type": COLUMN_TYPES.get(str(column.get("type")), "text")}
    return InputSpec("", str(column["name"]), "", "parameter", settings)


def parse_column(column: dict[str, Any]) -> dict[str, Any]:
    """A column's definition with its values in the column's type, and its limits as numbers."""
    plain = _column_spec({**column, "restrictions": [], "validators": []})
    typed = {**column, "optional": bool_option(str(column.get("optional", "false")), f"{plain.name}: optional")}
    for key in ("default_value", "restrictions", "suggestions"):
        if column.get(key) is not None:
            values = column[key] if isinstance(column[key], list) else [column[key]]
            parsed = [parse_parameter(plain, each) for each in values]
            typed[key] = parsed if isinstance(column[key], list) else parsed[0]
    typed["validators"] = [_parse_validator(plain.name, validator) for validator in column.get("validators") or []]
    return typed


def _parse_validator(column: str, validator: Any) -> dict[str, Any]:
    """A validator of a column with its limits as numbers."""
    if isinstance(validator, dict) and (validator.get("type") != "regex" or validator.get("expression")):
        with suppress(ValueError):
            return {name: float(limit) if name in ("min", "max") and isinstance(limit, str) else limit
                    for name, limit in validator.items()}
    raise GalaxyError(f"{column}: validators: expected a type with min and max, or with an expression, not "
                      f"{shorten(str(validator), 60)}", USAGE)


def parse_row(columns: list[dict[str, Any]], name: str, row: Any) -> list[Any]:
    if not isinstance(row, list) or len(row) != len(columns):
        raise GalaxyError(f"rows: {name}: expected {len(columns)} values: "
                          f"{', '.join(str(column['name']) for column in columns)}", USAGE)
    parsed = []
    for column, text in zip(columns, row):
        if text is None and not column["optional"]:
            raise GalaxyError(f"rows: {name}: {column['name']} is empty", USAGE)
        try:
            parsed.append(column.get("default_value") if text is None else parse_parameter(_column_spec(column), text))
        except GalaxyError as error:
            raise GalaxyError(f"rows: {name}: {column['name']}: {error}", USAGE) from None
    return parsed


def is_sample_sheet(spec: InputSpec) -> bool:
    """Whether an input takes a sample sheet."""
    return spec.kind == "collection" and spec.type.startswith("sample_sheet")


def element_spec(spec: InputSpec) -> InputSpec:
    """What one row gives: of a sample sheet, an element; of any other input, a value."""
    return inner_spec(spec) if is_sample_sheet(spec) else spec


def inner_spec(spec: InputSpec) -> InputSpec:
    """What an element of the collection is that an input takes."""
    inner = spec.type.partition(":")[2]
    return replace(spec, kind="collection" if inner else "dataset", settings={**spec.settings, "collection_type": inner})


def column_names(spec: InputSpec) -> dict[str, bool]:
    """The columns that an input defines if it takes a sample sheet, and whether each sample must have a value there."""
    columns = spec.settings.get("column_definitions") or [] if is_sample_sheet(spec) else []
    return {str(column["name"]): not column.get("optional") and column.get("default_value") is None for column in columns}


def parse_cells(spec: InputSpec, name: str, cells: dict[str, str]) -> dict[str, list[Any]]:
    """`{name: row}` of an element, from the texts of its cells; {} where the input defines no columns."""
    columns = [parse_column(column) for column in spec.settings.get("column_definitions") or []]
    return {name: parse_row(columns, name, [cells.get(column["name"]) or None for column in columns])} if columns else {}
