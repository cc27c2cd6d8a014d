"""What an operation takes and answers, as rows for people, and the command line that sends it."""
from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from common import USAGE, GalaxyError, did_you_mean
from galaxy_api_scripts.routes.openapi import Operation, plain_text

FIELD_COLUMNS = ["field", "in", "type", "required", "default", "choices", "about"]
VERBS = {"GET": "display.py", "POST": "create.py", "PUT": "update.py", "DELETE": "delete.py", "PATCH": "update.py --patch"}
WHOLE = "@FILE"     # the field that stands for a whole payload, as in the verbs
DEEPEST = 8         # of an example; schemas may refer to themselves

Schema = dict[str, Any]


# ------------------------------------------------------------------------------------------------------------ schemas

def alternatives(schema: Schema, schemas: dict[str, Any], known: tuple[str, ...] = ()) -> list[Schema]:
    """The schemas that a value may have, without references, and without null."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name:
        return [] if name in known else alternatives(schemas.get(name) or {}, schemas, (*known, name))
    parts = next((schema[word] for word in ("anyOf", "oneOf", "allOf") if schema.get(word)), None)
    if parts is None:
        return [] if schema.get("type") == "null" else [schema]
    return [one for part in parts for one in alternatives(part, schemas, known)] if isinstance(parts, list) else []


def takes_null(schema: Schema, schemas: dict[str, Any], known: tuple[str, ...] = ()) -> bool:
    """Whether a value may be null."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name:
        return name not in known and takes_null(schemas.get(name) or {}, schemas, (*known, name))
    parts = next((schema[word] for word in ("anyOf", "oneOf", "allOf") if schema.get(word)), None)
    if isinstance(parts, list):
        return any(takes_null(part, schemas, known) for part in parts)
    return schema.get("type", "null") == "null" and not {"properties", "enum", "const"} & set(schema)


def members(schema: Schema, schemas: dict[str, Any]) -> Iterator[tuple[str, Schema, bool]]:
    """Yield name, schema and whether it is required for each field of an object, or of the objects in a list. A field is
    required where every alternative requires it."""
    objects = list(objects_in(schema, schemas))
    names = dict.fromkeys(name for one in objects for name in one.get("properties") or {})
    for name in names:
        variants: list[Schema] = []
        for one in objects:
            if name in (one.get("properties") or {}) and one["properties"][name] not in variants:
                variants.append(one["properties"][name])
        field = variants[0] if len(variants) == 1 else {**variants[0], "anyOf": variants, "$ref": ""}
        yield name, field, all(name in one.get("required", ()) for one in objects)
    free = next((one["additionalProperties"] for one in objects if isinstance(one.get("additionalProperties"), dict)), None)
    if free and not names:
        yield "NAME", free, False


def objects_in(schema: Schema, schemas: dict[str, Any], depth: int = 2) -> Iterator[Schema]:
    """Yield the objects that a value may be, or be a list of."""
    for one in alternatives(schema, schemas):
        if "properties" in one or "additionalProperties" in one:
            yield one
        elif isinstance(one.get("items"), dict) and depth:
            yield from objects_in(one["items"], schemas, depth - 1)


def type_words(schema: Schema, schemas: dict[str, Any], depth: int = 3) -> str:
    """The type of a field in words, such as `string`, `list of object`, `integer or string`; `any` if nothing is said."""
    words: dict[str, None] = {}
    for one in alternatives(schema, schemas):
        word = str(one.get("type") or ("object" if "properties" in one else "string" if "enum" in one else "any"))
        if word == "array":
            word = f"list of {type_words(one['items'], schemas, depth - 1)}" if one.get("items") and depth else "list"
        elif "contentMediaType" in one:
            word = "file"
        words[word] = None
    return " or ".join(words) or "any"


def choices(schema: Schema, schemas: dict[str, Any]) -> list[Any]:
    """The values that a field may have, where only some are good; those of its members for a list."""
    values: list[Any] = []
    for one in alternatives(schema, schemas):
        if isinstance(one.get("items"), dict):
            one = next(iter(alternatives(one["items"], schemas)), {})
        values += one.get("enum") or ([one["const"]] if "const" in one else [])
    return list(dict.fromkeys(value for value in values if isinstance(value, (str, int, float))))


# --------------------------------------------------------------------------------------------------------------- rows

def body_schema(operation: Operation) -> tuple[Schema, bool]:
    """The schema of an operation's body, {} for none, and whether it is sent as a form."""
    content = (operation.about.get("requestBody") or {}).get("content") or {}
    kind = "application/json" if "application/json" in content else next(iter(content), "")
    return (content.get(kind) or {}).get("schema") or {}, kind.startswith("multipart/")


def parameters(operation: Operation) -> list[dict[str, Any]]:
    """The parameters in path and query; a path's, too, that the document leaves out."""
    listed = [one for one in operation.about.get("parameters", ()) if one.get("in") in ("path", "query")]
    names = [name for name in re.findall(r"\{(\w+)\}", operation.path) if name not in [one["name"] for one in listed]]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names] + listed


def field_rows(operation: Operation) -> list[dict[str, Any]]:
    """A row for each field of path, query and body, and for each field in an object of the body."""
    schemas = operation.schemas
    rows = [field_row(one["name"], one["in"], {"description": one.get("description"), **(one.get("schema") or {})},
                      bool(one.get("required")), schemas) for one in parameters(operation)]
    body, is_form = body_schema(operation)
    place = "form" if is_form else "body"
    inner = list(members(body, schemas))
    if body and not inner:
        rows.append(field_row(WHOLE, place, body, bool((operation.about.get("requestBody") or {}).get("required")), schemas))
    return rows + nested_rows(inner, place, schemas)


def inner_rows(operation: Operation, name: str) -> list[dict[str, Any]]:
    """A row for each field inside the field `name` of the body, such as `targets.elements`, and one level below. Raises a
    usage error if it has none."""
    schema, place = body_schema(operation)[0], "body"
    for part in name.split("."):
        inner = {one: schema for one, schema, _ in members(schema, operation.schemas)}
        if part not in inner:
            raise GalaxyError(f"--inside={name}: the body has no such field{did_you_mean(part, inner)}", USAGE)
        schema = inner[part]
    rows = nested_rows(list(members(schema, operation.schemas)), place, operation.schemas)
    if not rows:
        raise GalaxyError(f"--inside={name}: it has no fields: it is {type_words(schema, operation.schemas)}", USAGE)
    return rows


def nested_rows(fields: list[tuple[str, Schema, bool]], place: str, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each field, each followed by those of its own fields."""
    rows = []
    for name, schema, required in fields:
        rows.append(field_row(name, place, schema, required, schemas))
        rows += [field_row(f"{name}.{inner}", place, its_schema, its_required, schemas)
                 for inner, its_schema, its_required in members(schema, schemas)]
    return rows


def field_row(name: str, place: str, schema: Schema, required: bool, schemas: dict[str, Any]) -> dict[str, Any]:
    """The row of one field, with `FIELD_COLUMNS`."""
    first: Schema = next(iter(alternatives(schema, schemas)), {})
    about = plain_text(schema.get("description") or first.get("description") or "").partition("\n\n")[0]
    return {"field": name, "in": place, "type": type_words(schema, schemas), "required": required,
            "default": schema.get("default", first.get("default")), "choices": choices(schema, schemas),
            "about": " ".join(about.split())}


def answer_rows(operation: Operation) -> tuple[str, list[dict[str, Any]]]:
    """What comes back, in words, and a row (field, type, about) for each of its fields."""
    good = [answer for status, answer in operation.about.get("responses", {}).items() if status.startswith("2")]
    content: dict[str, Any] = next((answer["content"] for answer in good if answer.get("content")), {})
    kind = next((kind for kind in content if "json" in kind), next(iter(content), ""))
    if not kind:
        return "nothing, or what Galaxy does not describe", []
    if "json" not in kind:
        return "text" if kind == "text/plain" else f"a file ({kind})", []
    schema = content[kind].get("schema") or {}
    rows = [{"field": row["field"], "type": row["type"].replace("any", ""), "about": row["about"]} for row in
            (field_row(name, "", inner, False, operation.schemas) for name, inner, _ in members(schema, operation.schemas))]
    return type_words(schema, operation.schemas).replace("any", "JSON that Galaxy does not describe"), rows


# --------------------------------------------------------------------------------------------------- the line to type

def command_line(operation: Operation, path: str = "") -> str:
    """The line that sends the operation to `path`, an address of it that was typed; "" where no verb does."""
    if operation.method not in VERBS:
        return ""
    values = {one["name"]: as_text(example(one["name"], one.get("schema") or {}, operation.schemas))
              for one in parameters(operation) if one.get("required")}
    address = path if path and "{" not in path else re.sub(r"\{(\w+)\}", lambda name: values[name[1]], operation.path)
    query = [one["name"] for one in parameters(operation) if one["in"] == "query" and one.get("required")]
    address += "?" * bool(query) + "&".join(f"{name}={values[name]}" for name in query)
    return " ".join([VERBS[operation.method], "-", shlex.quote(address), *map(shlex.quote, pairs(operation))])


def pairs(operation: Operation) -> list[str]:
    """The NAME=VALUE that the operation requires; the first simple one where it requires none, but for a deletion."""
    if "x-pairs" in operation.about:
        return list(operation.about["x-pairs"])
    schemas, (body, is_form) = operation.schemas, body_schema(operation)
    if operation.method == "DELETE" and not (operation.about.get("requestBody") or {}).get("required"):
        return []
    first: Schema = next(iter(objects_in(body, schemas)), {})       # of alternatives, so that all is of one
    fields = [(name, schema, required) for name, schema, required in members(first, schemas) if name != "NAME"]
    chosen = [(name, schema) for name, schema, required in fields if required]
    if not chosen:
        chosen = [(name, schema) for name, schema, _ in fields
                  if type_words(schema, schemas) in ("string", "integer", "boolean")][:1]
    files = [(name, schema) for name, schema, _ in fields if type_words(schema, schemas) == "file"]
    if is_form and not [one for one in files if one in chosen]:
        chosen += files[:1]     # without one, create.py sends no form
    if body and not fields:
        return ["@FILE.json"]
    return [pair(name, schema, schemas) for name, schema in chosen]


def pair(name: str, schema: Schema, schemas: dict[str, Any]) -> str:
    """`NAME=VALUE` or `NAME:=JSON`, with an example of a value."""
    if type_words(schema, schemas) == "file":
        return f"--file={name}=PATH"
    value = example(name, schema, schemas)
    return f"{name}={value}" if isinstance(value, str) else f"{name}:={json.dumps(value)}"


def example(name: str, schema: Schema, schemas: dict[str, Any], depth: int = DEEPEST) -> Any:
    """A value of the type that a schema describes, for people to replace."""
    some = choices(schema, schemas)
    for one in alternatives(schema, schemas):
        kind = one.get("type")
        if kind == "array":
            return [example(name.removesuffix("s"), one.get("items") or {}, schemas, depth - 1)] if depth else []
        if kind == "object" or "properties" in one:
            inner = [(name, schema) for name, schema, required in members(one, schemas) if required and depth]
            return {name: example(name, schema, schemas, depth - 1) for name, schema in inner}
        if some:
            return some[0]
        numbers: dict[Any, Any] = {"integer": one.get("minimum", 1), "number": one.get("minimum", 1.0), "boolean": True}
        if kind in numbers:
            return numbers[kind]
        if one.get("format") == "date-time":
            return "2026-01-31T12:00:00"
        break
    return re.sub(r"\W+", "_", name).strip("_").upper() or "VALUE"


def as_text(value: Any) -> str:
    """A value as it stands in an address; a list's members have commas between them."""
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    return value if isinstance(value, str) else json.dumps(value)
