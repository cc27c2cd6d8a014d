"""The query language that Galaxy's own search once had, such as `select id, name from history where name='Run 12'`.

    select FIELDS|* from DOMAIN [where FIELD='VALUE' [and FIELD='VALUE']...]

The operators are `=`, `!=` and `like`, in which % matches any text and _ any character. A VALUE of one word needs no quotes;
true, false and none without quotes are constants. Two quotes inside a quoted text stand for one.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.libraries.contents import open_folder

TOKEN = re.compile(r"""\s*(?P<text>'(?:[^']|'')*' | "(?:[^"]|"")*" | != | [=,*] | [^\s'"=!,*]+ | \S)""", re.VERBOSE)
RESERVED = ("select", "from", "where", "and", "like")
OPERATORS = ("=", "!=", "like")
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "none": None}


class Condition(NamedTuple):
    """One comparison of a `where` clause; `value` is a string unless it is a constant."""
    field: str
    operator: str
    value: str | bool | None

    def matches(self, content: Any) -> bool:
        """Whether the content of the field satisfies the condition; of a list, such as tags, one member is enough."""
        values = content if isinstance(content, list) else [content]
        if self.operator == "like":
            return any(_matches_like(_as_text(value), _as_text(self.value)) for value in values)
        return any(_equals(value, self.value) for value in values) == (self.operator == "=")


class Query(NamedTuple):
    """A parsed query; `fields` is empty if it selects all."""
    text: str
    fields: list[str]
    domain: str
    conditions: list[Condition]

    def all_fields(self) -> list[str]:
        """The fields that it selects or compares."""
        return [*self.fields, *(condition.field for condition in self.conditions)]


def parse_query(text: str) -> Query:
    """Parse a query. Raises a usage error that points at the first token that does not belong there."""
    parser = _Parser(text)
    parser.expect("select")
    fields = [] if parser.accept("*") else [parser.expect_name("a field or *")]
    while fields and parser.accept(","):
        fields.append(parser.expect_name("a field"))
    parser.expect("from")
    domain = parser.expect_name("a domain")
    conditions, more = [], "where"
    while parser.accept(more):
        conditions.append(parser.expect_condition())
        more = "and"
    parser.expect_end(more)
    return Query(text, fields, domain, conditions)


class _Parser:
    """Reads a query token by token; each `expect...` returns what it has read, or raises a usage error."""

    def __init__(self, text: str):
        self.text, self.tokens, self.position = text, list(TOKEN.finditer(text)), 0

    def accept(self, *tokens: str) -> str:
        """Read the next token if it is one of `tokens`, in lower case; else return ""."""
        token = self._next_token().lower()
        if token not in tokens:
            return ""
        self.position += 1
        return token

    def expect(self, *tokens: str) -> str:
        return self.accept(*tokens) or self._fail(" or ".join(tokens))

    def expect_name(self, description: str) -> str:
        token = self._next_token()
        if not re.fullmatch(r"[\w.]+", token) or token.lower() in RESERVED:
            self._fail(description)
        self.position += 1
        return token

    def expect_condition(self) -> Condition:
        return Condition(self.expect_name("a field"), self.expect(*OPERATORS), self.expect_value())

    def expect_value(self) -> str | bool | None:
        token = self._next_token()
        if token in ("'", '"'):
            raise GalaxyError(f"query {self.text!r}: the quote at column {self._column()} is not closed", USAGE)
        if not token or token in "=!=,*":
            self._fail("a value such as 'Run 12'")
        self.position += 1
        if token[0] in "'\"":
            return token[1:-1].replace(token[0] * 2, token[0])
        return CONSTANTS.get(token.lower(), token)

    def expect_end(self, alternative: str) -> None:
        if self._next_token():
            self._fail(f"{alternative}, or the query's end,")

    def _fail(self, expected: str) -> str:
        place = f"at column {self._column()}, not {self._next_token()!r}" if self._next_token() else "at its end"
        raise GalaxyError(f"query {self.text!r}: expected {expected} {place}", USAGE)

    def _column(self) -> int:
        return self.tokens[self.position].start("text") + 1

    def _next_token(self) -> str:
        return self.tokens[self.position]["text"] if self.position < len(self.tokens) else ""


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _equals(content: Any, value: str | bool | None) -> bool:
    return content is value if value is None else _as_text(content) == _as_text(value)


def _matches_like(text: str, pattern: str) -> bool:
    expression = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


# --------------------------------------------------------------------------------------------------------- answering

class Domain(NamedTuple):
    """The route that lists a domain's members, and the comparisons that Galaxy makes itself (26.1, tried)."""
    path: str
    constants: dict[str, str] = {}          # parameters of every request
    filters: tuple[str, ...] = ()           # fields that q=FIELD-eq and qv=VALUE compare
    params: dict[str, str] = {}             # {field: the parameter that compares it}
    aliases: dict[str, str] = {}            # {field in queries: field in the answer}
    server_only: tuple[str, ...] = ()       # fields that only Galaxy can compare, and only by =


HISTORY, TAG = {"history_id": "history_id"}, {"tag": "tags"}
CONTENT = ("name", "deleted", "visible", "hid", "history_content_type")
DOMAINS = {
    "hda": Domain("datasets", {}, (*CONTENT, "purged", "state", "extension", "genome_build"), HISTORY, TAG),
    "hdca": Domain("datasets", {}, CONTENT, HISTORY, TAG),
    "ldda": Domain("libraries", aliases={**TAG, "data_type": "file_ext"}),
    "library": Domain("libraries", params={"deleted": "deleted"}),
    "history": Domain("histories", {}, ("name", "deleted", "purged", "published"), {}, TAG),
    "tool": Domain("tools", {"in_panel": "false"}, aliases={"tool_id": "id"}),
    "workflow": Domain("workflows", params={"deleted": "show_deleted", "hidden": "show_hidden"}, aliases=TAG),
    # An invocation's workflow_id is the id of a version, which no list of workflows has (26.1).
    "invocation": Domain("invocations", params={**HISTORY, "workflow_id": "workflow_id"}, server_only=("workflow_id",)),
    "job": Domain("jobs", params={**HISTORY, "state": "state", "tool_id": "tool_id"}, aliases={"tool_name": "tool_id"}),
}
CONTENT_TYPES = {"hda": "dataset", "hdca": "dataset_collection"}
UNPAGED = ("tools", "libraries")
OLD_DOMAINS = {"history_dataset": "hda", "library_dataset_dataset": "ldda"}


def run_query(galaxy: Galaxy, query: Query) -> Iterator[dict[str, Any]]:
    """Yield the things that a query selects, page by page, each with the selected fields; deleted things only if the query
    compares `deleted` or `purged`. An unknown domain or field is a usage error."""
    name = OLD_DOMAINS.get(query.domain, query.domain)
    domain = DOMAINS.get(name)
    if not domain:
        raise GalaxyError(f"query {query.text!r}: unknown domain {name}: expected one of {', '.join(DOMAINS)}", USAGE)
    for field, operator, value in query.conditions:
        if field in domain.server_only and (operator != "=" or value is None):
            raise GalaxyError(f"query {query.text!r}: {field} can only be compared by =, with a workflow's id", USAGE)
    conditions = [condition for condition in query.conditions if condition.field not in domain.server_only]
    for thing in _list_domain(galaxy, name, domain, query):
        content = {field: _get_field(thing, field, domain, query) for field in query.all_fields()}
        if all(condition.matches(content[condition.field]) for condition in conditions):
            yield {field: content[field] for field in query.fields} if query.fields else thing


def _list_domain(galaxy: Galaxy, name: str, domain: Domain, query: Query) -> Iterable[dict[str, Any]]:
    if name == "ldda":
        return _list_library_datasets(galaxy)
    params = _build_params(name, domain, query)
    return galaxy.get(domain.path, params) if domain.path in UNPAGED else galaxy.pages(domain.path, params)


def _build_params(name: str, domain: Domain, query: Query) -> dict[str, Any]:
    """The parameters by which Galaxy makes those comparisons that it can."""
    conditions = list(query.conditions)
    if name in CONTENT_TYPES:
        conditions.append(Condition("history_content_type", "=", CONTENT_TYPES[name]))
    if domain.filters and not {"deleted", "purged"}.intersection(condition.field for condition in conditions):
        conditions.append(Condition("deleted", "=", False))
    params: dict[str, Any] = {**domain.constants, "q": [], "qv": []}
    for field, operator, value in conditions:
        field = domain.aliases.get(field, field)
        if operator == "=" and value is not None and field in domain.params:
            params[domain.params[field]] = value
        elif field in domain.filters and value is not None and (operator == "=" or (operator == "like" and field == "name")):
            params["q"].append(f"{field}-{'eq' if operator == '=' else 'like'}")
            params["qv"].append(value)
    if domain.filters and query.fields:     # such routes send only the fields that `keys` names
        fields = (domain.aliases.get(field, field) for field in query.all_fields())
        params["keys"] = ",".join(dict.fromkeys(["id", *fields]))
    return params


def _get_field(thing: dict[str, Any], field: str, domain: Domain, query: Query) -> Any:
    name = field if field in thing else domain.aliases.get(field)
    if name not in thing:
        raise GalaxyError(f"query {query.text!r}: {query.domain} has no field {field}: `select * from {query.domain}` shows "
                          "all fields", USAGE)
    return thing[name]


def _list_library_datasets(galaxy: Galaxy) -> Iterator[dict[str, Any]]:
    """List the datasets of all libraries, by one request for each library and one or more for each folder."""
    for library in galaxy.get("libraries"):
        for folder in galaxy.get(f"libraries/{library['id']}/contents"):
            if folder["type"] != "folder":
                continue
            for item in open_folder(galaxy, folder["id"]).items:
                if item["type"] == "file":
                    extra = {"model_class": "LibraryDatasetDatasetAssociation", "library_dataset_id": item["id"],
                             "folder_id": folder["id"], "parent_library_id": library["id"]}
                    yield {**item, "id": item["ldda_id"], **extra}
