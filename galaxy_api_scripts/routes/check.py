"""Whether the server describes a request: its address, parameters and fields, told before anything is sent."""
from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from common import USAGE, Galaxy, GalaxyError, did_you_mean, eprint, one_line
from galaxy_api_scripts.routes.answers import FALSE, TRUE
from galaxy_api_scripts.routes.fields import (
    Schema,
    alternatives,
    body_schema,
    choices,
    members,
    pair,
    parameters,
    takes_null,
    type_words,
)
from galaxy_api_scripts.routes.openapi import (
    ROOTS,
    Operation,
    UnknownAddress,
    fetch_operations,
    find_operation,
    list_operations,
    read_kept,
)

FILE = object()     # the value of a field that is a file
NOT_CHECKED = "so fields are not checked"
MOST_NAMES = 12     # that a message tells
MOST_PROBLEMS = 10
OTHER_TYPE, OTHER_CHOICE = 100, 10      # weights of problems; that of any other is 1


class Problem(NamedTuple):
    """What is wrong, and how much it speaks against the alternative of a schema that it comes from; with weight 0 it may
    be right all the same."""

    text: str
    weight: int = 1


def check_request(key: str, url: str, method: str, data: Any = None, files: Iterable[str] = ()) -> None:
    """Raise a usage error for what the server's description says is wrong with a request, with all that is; print a warning
    for what it leaves open. `files` are the names of fields that are files. Asks for the description if none is kept."""
    galaxy, path, query = _split_address(key, url)
    try:
        operation = find_operation(fetch_operations(galaxy), method, path)
    except UnknownAddress as error:
        raise GalaxyError(f"URL: {error}", USAGE) from None
    problems = find_problems(operation, path, query, data, files)
    if any(problem.weight for problem in problems):
        raise GalaxyError(f"{method} {operation.path}: {_in_one_line(problems)}", USAGE)
    if problems:
        eprint(one_line(f"warning: {method} {operation.path}: {_in_one_line(problems)}"))


def explain_refusal(error: GalaxyError, key: str, url: str, method: str, data: Any = None,
                    files: Iterable[str] = ()) -> None:
    """Add to the message of Galaxy's refusal what a description that is kept says is wrong with the request."""
    with contextlib.suppress(Exception):        # whatever the kept file holds, the refusal is told
        galaxy, path, query = _split_address(key, url)
        kept = read_kept(galaxy)
        if not kept:
            return
        try:
            operation = find_operation(list_operations(kept["document"]), method, path)
            text = _in_one_line([problem for problem in find_problems(operation, path, query, data, files)
                          if NOT_CHECKED not in problem.text])
        except UnknownAddress as unknown:
            text = str(unknown)
        if text:
            error.args = (f"{error}; {text}",)


def _split_address(key: str, url: str) -> tuple[Galaxy, str, str]:
    """The server of an address, its path from `/api` on, and its query."""
    galaxy = Galaxy(key, url)
    parts, root = urlsplit(galaxy.url), urlsplit(galaxy.base).path
    if root == parts.path.rstrip("/"):      # it has no /api
        root = re.split(f"/(?:{ROOTS})(?=/|$)", root, maxsplit=1)[0]
        galaxy.base = parts._replace(path=root, query="").geturl()
    if root == parts.path.rstrip("/"):
        raise GalaxyError(f"URL: {galaxy.url} is no address of the API, which has /api/ behind the server's own", USAGE)
    return galaxy, parts.path.removeprefix(root).rstrip("/"), parts.query


def _in_one_line(problems: list[Problem]) -> str:
    """The first MOST_PROBLEMS problems, and how many more there are."""
    more = [f"and {len(problems) - MOST_PROBLEMS} more"] * (len(problems) > MOST_PROBLEMS)
    return "; ".join([problem.text for problem in problems[:MOST_PROBLEMS]] + more)


def find_problems(operation: Operation, path: str, query: str, data: Any = None, files: Iterable[str] = ()) -> list[Problem]:
    """What is wrong with a request of the operation: its `path` and `query` are quoted, `data` is its payload."""
    if not operation.about:
        return [Problem(f"Galaxy does not describe it, {NOT_CHECKED}", 0)] if data or files or query else []
    sent = parse_qs(query, keep_blank_values=True)
    return [*_path_problems(operation, path), *_query_problems(operation, sent),
            *_body_problems(operation, data, {*files}, sent)]


def _path_problems(operation: Operation, path: str) -> Iterator[Problem]:
    """Yield what is wrong with the values of the parameters in a quoted path."""
    match = operation.pattern.fullmatch(path)
    schemas = {one["name"]: one.get("schema") or {} for one in parameters(operation) if one["in"] == "path"}
    for name, value in zip(re.findall(r"\{(\w+)\}", operation.path), match.groups() if match else ()):
        yield from _text_problems(unquote(value), schemas.get(name, {}), name, operation.schemas)


def _query_problems(operation: Operation, sent: dict[str, list[str]]) -> Iterator[Problem]:
    """Yield what is wrong with the query `{name: values}`: unknown names, values, missing names."""
    listed = {one["name"]: one for one in parameters(operation) if one["in"] == "query"}
    fields = {name for name, _, _ in members(body_schema(operation)[0], operation.schemas)}
    certain = int("query" not in _open(operation))
    for name, values in sent.items():
        if name in listed:
            yield from _text_problems(values[-1], listed[name].get("schema") or {}, f"?{name}", operation.schemas)
        elif certain or name not in fields:
            other = f": it is a field, {name}=VALUE behind the address" * (name in fields)
            near = other or did_you_mean(name, listed) or _there_are(listed)
            yield Problem(f"?{name}: no such parameter of the address is described{near}", certain)
    missing = [f"?{name}" for name, one in listed.items() if one.get("required") and name not in sent]
    if missing:
        yield Problem(f"missing in the address: {', '.join(missing)}")


def _body_problems(operation: Operation, data: Any, files: Collection[str], sent: Collection[str]) -> list[Problem]:
    """Return what is wrong with a payload and the names of its files; `sent` are the names in the query."""
    body, is_form = body_schema(operation)
    is_open = "body" in _open(operation)
    if not body and is_open:
        return [Problem(f"its payload is not described, {NOT_CHECKED}", 0)] if data or files else []
    if not body:
        names = [*(data if isinstance(data, dict) else ["a payload"] if data else []), *files]
        listed = [one["name"] for one in parameters(operation) if one["in"] == "query"]
        text = "it takes no fields" + _in_address(names, listed)
        return [Problem(f"{text}: {', '.join(names[:MOST_NAMES])}")] if names else []
    if not data and not files and operation.method == "DELETE" and not operation.about["requestBody"].get("required"):
        return []
    if is_form and not files:
        return [Problem("it takes a form, which is sent where there is a file: --file=NAME=PATH")]
    value = {**(data or {}), **dict.fromkeys(files, FILE)} if isinstance(data, dict) or data is None else data
    problems = Payload(operation, bool(files), is_open, sent).problems(value, body)
    if isinstance(value, dict) and not any(name[:1].isupper() for name in value):
        needs = operation.about.get("x-needs", {})
        problems += [Problem(f"missing: {name}: {why}") for name, why in needs.items() if name not in value]
    inside = tuple(f"{name}." for name in _open(operation))     # `targets`: the schema leaves out what is in them
    return [Problem(one.text, 0) if one.text.removeprefix("missing: ").startswith(inside) else one for one in problems]


def _open(operation: Operation) -> Collection[str]:
    """What takes more than is described: `query`, `body`, fields."""
    return [*operation.about.get("x-open", ())]


def _in_address(names: Collection[str], listed: Collection[str]) -> str:
    """The hint for the first of these fields that is a parameter of the address, as `listed` has it; "" for none."""
    return next((f" but in the address, as ?{name}=VALUE" for name in names if name in listed), "")


def _there_are(names: Collection[str]) -> str:
    """The names that there are, if they are few."""
    if len(names) > MOST_NAMES:
        return ": route_show.py shows those there are"
    return f": there are {', '.join(names)}" * bool(names)


def _weight(problems: list[Problem]) -> tuple[int, int]:
    """How much problems speak against an alternative."""
    return sum(problem.weight for problem in problems), len(problems)


def _text_problems(text: str, schema: Schema, name: str, schemas: dict[str, Any]) -> list[Problem]:
    """What is wrong with a value that goes as text, as parameters and the fields of a form do."""
    checks = Values(schemas)
    return min((checks.problems(value, schema, name) for value in _readings(text)), key=_weight)


def _readings(text: str) -> Iterator[Any]:
    """The values that a server may read in a text."""
    yield text
    yield text.split(",")
    if text.lower() in TRUE + FALSE:
        yield text.lower() in TRUE
    try:
        yield json.loads(text)
    except (ValueError, RecursionError):
        return


class Values:
    """Values compared with schemas."""

    def __init__(self, schemas: dict[str, Any]):
        self.schemas = schemas

    def problems(self, value: Any, schema: Schema, place: str = "") -> list[Problem]:
        """What is wrong with a value at `place`, such as `targets.0.name`: of several alternatives, with the nearest."""
        some = alternatives(schema, self.schemas)
        is_any = not some or any(not {"type", "properties", "enum", "const"} & {*one} for one in some)
        if is_any or (value is None and takes_null(schema, self.schemas)):
            return []
        fitting = [one for one in some if _has_kind(value, one)]
        if not fitting:
            return [Problem(self.wrong_type(value, schema, place), OTHER_TYPE)]
        if isinstance(value, dict):
            fitting, problems = self.chosen(value, fitting, place)
            names = dict.fromkeys(name for one in fitting for name in one.get("properties") or {})
            return problems or min((self.object_problems(value, one, place, [*names]) for one in fitting), key=_weight)
        if isinstance(value, list):
            return min((self.list_problems(value, one.get("items") or {}, place) for one in fitting), key=_weight)
        allowed = [one.get("enum") or ([one["const"]] if "const" in one else [value]) for one in fitting]
        if any(value in values for values in allowed):
            return []
        words = list(dict.fromkeys(str(one) for values in allowed for one in values))
        more = ", ..." * (len(words) > MOST_NAMES)
        near = did_you_mean(str(value), words) or f": expected {', '.join(words[:MOST_NAMES])}{more}"
        return [Problem(f"{place or 'the payload'}: no such choice{near}", OTHER_CHOICE)]

    def wrong_type(self, value: Any, schema: Schema, place: str) -> str:
        """The message for a value of another type."""
        return f"{place or 'the payload'}: expected {type_words(schema, self.schemas)}"

    def chosen(self, value: dict[str, Any], objects: list[Schema], place: str) -> tuple[list[Schema], list[Problem]]:
        """The alternatives that have the value's constants, as `src` is; or else what is wrong with these."""
        def other(one: Schema) -> list[str]:
            return [name for name, inner in (one.get("properties") or {}).items() if name in value
                    and all("const" in each for each in alternatives(inner, self.schemas))
                    and value[name] not in choices(inner, self.schemas)]

        kept = [one for one in objects if not other(one)]
        if kept or len(objects) == 1:
            return kept or objects, []
        wrong = set.intersection(*(set(other(one)) for one in objects))
        merged = {name: schema for name, schema, _ in members({"anyOf": objects}, self.schemas)}
        return objects, [problem for name in sorted(wrong) for problem in
                         self.problems(value[name], merged[name], _inside(place, name))]

    def list_problems(self, value: list[Any], items: Schema, place: str) -> list[Problem]:
        return [problem for number, one in enumerate(value) for problem in self.problems(one, items, _inside(place, number))]

    def object_problems(self, value: dict[str, Any], one: Schema, place: str, names: Collection[str]) -> list[Problem]:
        """What is wrong with the fields of an object: unknown ones, missing ones, and values. `names` are those of all
        alternatives."""
        properties, extra = one.get("properties") or {}, one.get("additionalProperties")
        problems, meant = list[Problem](), set[str]()
        for name, inner in value.items():
            if inner is None and one.get("x-own") and name in properties:
                continue        # our own table does not say where null may be
            if name in properties:
                problems += self.problems(inner, properties[name], _inside(place, name))
            elif isinstance(extra, dict) and extra:
                problems += self.problems(inner, extra, _inside(place, name))
            elif properties or extra is False:
                near = " beside the others" if name in names else (
                    did_you_mean(name, properties) or did_you_mean(name, names))
                meant.update(re.findall("did you mean (.*)[?]$", near))
                is_open = self.is_open(place) or extra not in (None, False)
                problems.append(Problem(_inside(place, name) + self.unknown(name, names, near), int(not is_open)))
        missing = [_inside(place, name) for name in one.get("required", ())
                   if name not in value and not self.is_elsewhere(place, name)
                   and not (name in meant and any(problem.weight for problem in problems))]       # it is told already
        return problems + [Problem(f"missing: {', '.join(missing)}", len(missing))] * bool(missing)

    def unknown(self, name: str, names: Collection[str], near: str) -> str:
        """The message for a field that is not described."""
        return f": no such field is described{near or _there_are(names)}"

    def is_open(self, place: str) -> bool:
        """Whether the object at `place` takes other fields than its schema says."""
        return False

    def is_elsewhere(self, place: str, name: str) -> bool:
        """Whether a required field is sent in another way."""
        return False


class Payload(Values):
    """The payload of a request, compared with the description of its operation."""

    def __init__(self, operation: Operation, is_form: bool, is_open: bool, sent: Collection[str]):
        super().__init__(operation.schemas)
        self.is_form, self.takes_more, self.sent = is_form, is_open, sent
        self.parameters = [one["name"] for one in parameters(operation) if one["in"] == "query"]
        self.reads_address = "query" in _open(operation)

    def problems(self, value: Any, schema: Schema, place: str = "") -> list[Problem]:
        if self.is_form and place and "." not in place and isinstance(value, str):
            return min((super(Payload, self).problems(one, schema, place) for one in _readings(value)), key=_weight)
        return super().problems(value, schema, place)

    def wrong_type(self, value: Any, schema: Schema, place: str) -> str:
        text = super().wrong_type(value, schema, place)
        if not place or "." in place:
            return text
        word = pair(place, schema, self.schemas)
        if isinstance(value, str) and re.fullmatch(r"true|false|-?(0|[1-9]\d{0,14})(\.\d+)?", value) and ":=" in word and (
                not super().problems(json.loads(value), schema, place)):
            word = f"{place}:={value}"
        told = ", and NAME=VALUE sends a string" * (isinstance(value, str) and ":=" in word)
        return f"{text}{told}: {shlex.quote(word)}"

    def unknown(self, name: str, names: Collection[str], near: str) -> str:
        if name in self.parameters:
            return f": it is no field, but goes into the address, as ?{name}=VALUE"
        return super().unknown(name, names, near)

    def is_open(self, place: str) -> bool:
        return self.takes_more and not place

    def is_elsewhere(self, place: str, name: str) -> bool:
        return self.reads_address and not place and name in self.sent


def _inside(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)


def _has_kind(value: Any, schema: Schema) -> bool:
    """Whether a value is of the type of a schema without alternatives."""
    kind = schema.get("type") or ("object" if "properties" in schema else "")
    if value is FILE or "contentMediaType" in schema:
        return value is FILE and ("contentMediaType" in schema or not kind)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return not kind or kind == {str: "string", bool: "boolean", list: "array", dict: "object"}.get(type(value))
    return kind in ("", "number") or (kind == "integer" and (isinstance(value, int) or value.is_integer()))
