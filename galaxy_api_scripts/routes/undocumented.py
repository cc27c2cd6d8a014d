"""Our own table of operations, in the terms of OpenAPI."""
from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# `TYPE[!] [= DEFAULT][; meaning]`
FIELD = re.compile(r"(?P<type>[^!;=]+?)(?P<required>!)?( = (?P<default>[^;]+))?(; (?P<about>.*))?")


@functools.cache
def load_table(name: str) -> Any:
    """The content of a table of this folder."""
    import yaml
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)      # ten times as fast, where PyYAML has it
    return yaml.load(Path(__file__).with_name(name).read_text("utf-8"), loader)


def own_operations(schemas: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and OpenAPI's object of each operation of undocumented.yml. `schemas` are the document's."""
    for name, entry in load_table("undocumented.yml").items():
        method, _, paths = name.partition(" ")
        for path in paths.split(", "):
            yield method, path, own_operation(path, entry, schemas)


def own_operation(path: str, entry: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI's object for an entry of the table; what the entry leaves out is left out."""
    operation: dict[str, Any] = {}
    if "does" in entry:
        names = [(name, "path", "string!") for name in re.findall(r"\{(\w+)\}", path)]
        names += [(name, "query", text) for name, text in entry.get("query", {}).items()]
        operation = {"summary": entry["does"], "x-who": entry.get("who", "users"),
                     "parameters": [{"name": name, "in": place, "required": "!" in text.partition(";")[0],
                                     "schema": field_schema(text)} for name, place, text in names],
                     "responses": {"200": own_response(entry["returns"])}}
    if "more" in entry:
        operation["description"] = entry["more"]
    operation.update({f"x-{name}": entry[name] for name in ("pairs", "words", "open", "needs") if name in entry})
    body = entry.get("body")
    if isinstance(body, dict):
        schema: dict[str, Any] = {"type": "object", "x-own": True,
                                  "properties": {name: field_schema(text) for name, text in body.items()},
                                  "required": [name for name, text in body.items() if "!" in text.partition(";")[0]]}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    elif body and all(name in schemas for name in body.split("|")):
        references = [{"$ref": f"#/components/schemas/{name}"} for name in body.split("|")]
        operation["requestBody"] = {"content": {"application/json": {"schema": {"anyOf": references}}}}
    return operation


def field_schema(text: str) -> dict[str, Any]:
    """The schema that a text such as `string = auto; the datatype` describes."""
    match = FIELD.fullmatch(text)
    if not match:
        raise ValueError(text)
    schema = type_schema(match["type"])
    if match["default"]:
        is_text = schema["type"] == "string"
        schema["default"] = match["default"] if is_text else json.loads(match["default"])
    if match["about"]:
        schema["description"] = match["about"]
    return schema


def type_schema(text: str) -> dict[str, Any]:
    """The schema of a type in words: `integer`, `list of string`, `a|b`, `file`."""
    if text.startswith("list of "):
        return {"type": "array", "items": type_schema(text.removeprefix("list of "))}
    if text == "file":
        return {"type": "string", "contentMediaType": "application/octet-stream"}
    if text in ("string", "integer", "number", "boolean", "object"):
        return {"type": text}
    return {"type": "string", "enum": text.split("|")}


def own_response(text: str) -> dict[str, Any]:
    """OpenAPI's response for `nothing`, `text`, `file`, `object of NAME, NAME`, `list of NAME, NAME` or `list of TYPE`."""
    kind, _, parts = text.partition(" of ")
    if kind == "nothing":
        return {}
    if kind in ("text", "file"):
        return {"content": {"text/plain" if kind == "text" else "application/octet-stream": {}}}
    schema = {"type": "string"} if parts == "string" else {
        "type": "object", "properties": {name: {} for name in parts.split(", ") if name}}
    return {"content": {"application/json": {"schema": schema if kind == "object" else {"type": "array", "items": schema}}}}
