"""The values of a tool's inputs: parsed from a command line, and converted to what POST /api/tools takes."""
from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable
from typing import Any

from common import USAGE, Galaxy, GalaxyError, bool_option, did_you_mean
from galaxy_api_scripts.datasets.references import DATA_SOURCES, fetch_reference
from galaxy_api_scripts.tools.catalog import list_choices, shorten_choices

REFERENCE_KINDS = (*DATA_SOURCES, "hid")
TEXTS = ("text", "select", "genomebuild", "drill_down", "color")


class JsonValue:
    """A value that was given as JSON."""

    def __init__(self, value: Any):
        self.value = value


class InputProblem(GalaxyError):
    """A value that the tool does not take; the message goes on from the tool's name, as in `takes a number: share=x`."""

    def __init__(self, text: str):
        super().__init__(text, USAGE)


def parse_tool_inputs(pairs: Iterable[str]) -> dict[str, list[Any]]:
    """`{name: [value, ...]}` of `NAME=VALUE` (a string) and `NAME:=JSON` (a `JsonValue`); a name may come several times."""
    values: dict[str, list[Any]] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        is_json = name.endswith(":")
        name = name.removesuffix(":")
        if not sign or not name:
            raise GalaxyError(f"{pair!r} is neither NAME=VALUE nor NAME:=JSON", USAGE)
        try:
            values.setdefault(name, []).append(JsonValue(json.loads(value)) if is_json else value)
        except (ValueError, RecursionError):
            raise GalaxyError(f"{name}:= is not followed by JSON (a string has quotes in JSON: '{name}:=\"value\"')",
                              USAGE) from None
    return values


def convert_value(name: str, param: dict[str, Any], value: Any) -> Any:
    """A value of an input that is not data, as Galaxy takes it; `InputProblem` where the input does not take it."""
    kind, shown = param["type"], f"{name}={value}"
    if value is None or value == "" and kind in ("integer", "float", "data_column"):
        if not param.get("optional"):
            raise InputProblem(f"needs a value: {shown}")
        return None
    if kind in ("integer", "float"):
        return _convert_number(param, value, shown)
    if kind == "boolean":
        if isinstance(value, bool):
            return value
        for own_word, meaning in ((param.get("truevalue"), True), (param.get("falsevalue"), False)):
            if own_word and value == own_word:
                return meaning
        return bool_option(str(value), name)
    if kind == "data_column":
        if not re.fullmatch(r"c?[0-9]+", str(value)):
            raise InputProblem(f"takes the number of a column: {shown}")
        return str(value).removeprefix("c")
    choices = list_choices(param)
    if choices is not None and str(value) not in choices:
        raise InputProblem(f"has no choice {shown}{did_you_mean(str(value), choices)}: the choices are "
                           f"{shorten_choices(choices, 20)}")
    if isinstance(value, (dict, list)) and kind in TEXTS:      # Galaxy 26.1 would make a text of it
        raise InputProblem(f"takes a text: {shown}")
    return value if choices is None else str(value)


def _convert_number(param: dict[str, Any], value: Any, shown: str) -> int | float:
    is_integer = param["type"] == "integer"
    number = parse_number(param["type"], str(value))
    if number is None:
        raise InputProblem(f"takes {'an integer' if is_integer else 'a number'}: {shown}")
    least, most = (limit if limit != "" else None for limit in (param.get("min"), param.get("max")))
    if least is not None and number < float(least) or most is not None and number > float(most):
        limits = " and ".join(words for words, limit in ((f"at least {least}", least), (f"at most {most}", most))
                              if limit is not None)
        raise InputProblem(f"takes {limits}: {shown}")
    return number


def parse_number(kind: str, text: str) -> int | float | None:
    """The `integer` or `float` (`kind`) that a text is; None where it is none, or too large for the JSON that is sent."""
    if kind == "integer":
        return int(text) if re.fullmatch("[+-]?[0-9]{1,300}", text.strip()) else None
    is_number = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text.strip())
    return float(text) if is_number and math.isfinite(float(text)) else None


def split_values(param: dict[str, Any], text: Any) -> list[Any]:
    """The values in a text that commas separate, unless one of the input's choices is that text."""
    if isinstance(text, str) and "," in text and text not in (list_choices(param) or []):
        return text.split(",")
    return [text]


class DataValues:
    """Checks and converts the values of a tool's data inputs; `hid:N` counts in the history with the id `history`."""

    def __init__(self, galaxy: Galaxy, history: str | None):
        self.galaxy, self.history = galaxy, history

    def convert(self, name: str, param: dict[str, Any], values: list[Any]) -> Any:
        """The input's datasets or collection, as Galaxy takes them; a collection for an input of one dataset is mapped over.

        Raises `InputProblem` for data that the input does not take, `ReferenceProblem` for data that can't be used.
        """
        if any(not isinstance(value, str) for value in values):     # JSON in Galaxy's own form
            if len(values) > 1:
                raise InputProblem(f"takes all of {name} in one JSON value")
            if values[0] is None and param.get("optional") or _is_data(values[0]):
                return values[0]
            form = '{"src": "hda", "id": ...}, a list of these, or {"values": a list of these}'
            raise InputProblem(f"takes data as {name}, in JSON {form}")
        data = [self._fetch(name, value) for value in values]
        for value, (_, about) in zip(values, data):
            self._check_datatype(f"{name}={value}", param.get("extensions") or [], about)
        refs = [{"src": src, "id": about["id"]} for src, about in data]
        collections = [about for src, about in data if src == "hdca"]
        if param["type"] == "data":
            if not param.get("multiple"):
                return {"batch": True, "values": refs} if collections else {"values": refs}
            if collections and len(data) > 1:
                raise InputProblem(f"takes either datasets or one collection as {name}")
            return {"values": refs}
        if len(collections) != len(data) or len(data) != 1:
            raise InputProblem(f"takes a collection as {name}: {name}=hdca:ID")
        kind, types = collections[0]["collection_type"], param.get("collection_types") or []
        if not types or kind in types or any("unpaired" in each or ":" not in kind and each == "any" for each in types):
            return {"values": refs}
        inner = [each for each in types if kind.endswith(f":{each}")]
        if inner:       # a job for each collection of that type in it
            return {"batch": True, "values": [{**refs[0], "map_over_type": inner[0]}]}
        raise InputProblem(f"takes a collection of the type {' or '.join(types)} as {name}, and {collections[0]['id']} is a "
                           f"{kind}")

    def _fetch(self, name: str, text: str) -> tuple[str, dict[str, Any]]:
        src, _, identity = text.partition(":")
        if src not in REFERENCE_KINDS or not re.fullmatch(r"\d+" if src == "hid" else r"[0-9a-fA-F]+", identity, re.ASCII):
            raise InputProblem(f"takes data as {name}: {name}={text} is not SRC:ID with SRC one of "
                               f"{', '.join(REFERENCE_KINDS)}")
        src, about = fetch_reference(self.galaxy, src, identity, self.history, f"{name}={text}")
        return ("ldda", {**about, "id": about["ldda_id"]}) if src == "ld" else (src, about)     # POST /api/tools takes no ld

    def _check_datatype(self, shown: str, formats: list[str], about: dict[str, Any]) -> None:
        """Raise `InputProblem` for a datatype that the tool does not take and Galaxy can't convert: 26.1 runs it anyway."""
        if about.get("state", "ok") not in ("ok", "empty"):     # its datatype may be still to be found out
            return
        for ext in about.get("elements_datatypes") or [about.get("extension") or about.get("file_ext")]:
            if ext and formats and ext not in formats and "data" not in formats and not self._datatypes.fits(ext, formats):
                raise InputProblem(f"takes {' or '.join(formats)}: {shown} is {ext}")

    @functools.cached_property
    def _datatypes(self) -> Datatypes:
        return Datatypes(self.galaxy)


class Datatypes:
    """The datatypes of a server: which are subtypes of which, and which it converts by itself."""

    def __init__(self, galaxy: Galaxy):
        about = galaxy.get("datatypes/mapping")
        self.classes, self.parents = about["ext_to_class_name"], about["class_to_classes"]
        self.converters = [(converter["source"], converter["target"]) for converter in galaxy.get("datatypes/converters")]

    def fits(self, ext: str, formats: list[str]) -> bool:
        """Whether a tool that takes the datatypes `formats` takes a dataset of the datatype `ext`."""
        if ext not in self.classes or self._is_subtype(ext, formats):
            return True
        targets = [target for source, target in self.converters if self._is_subtype(ext, [source])]
        return any(self._is_subtype(target, formats) for target in targets)

    def _is_subtype(self, ext: str, formats: list[str]) -> bool:
        above = self.parents.get(self.classes.get(ext), {})
        return any(ext == other or self.classes.get(other) in above for other in formats)


def _is_data(value: Any) -> bool:
    """Whether a JSON value names data in one of the forms that Galaxy takes."""
    if isinstance(value, dict) and "values" in value:
        value = value["values"]
    parts = value if isinstance(value, list) else [value]
    return bool(parts) and all(isinstance(part, dict) and {"src", "id"} <= set(part) for part in parts)
