"""Queries such as `select id, name from history where name='Run 12'`, which Galaxy's own search once answered.

    select FIELDS|* from DOMAIN [where FIELD='VALUE' [and FIELD='VALUE']...]

Beside `=` there are `!=` and `like`, where % stands for any text and _ for any character. VALUE may stand without quotes
where it is one word; true, false and none without quotes are no text. Two quotes within a text stand for one.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.libraries.contents import open_folder

WORD = re.compile(r"""\s*(?P<text>'(?:[^']|'')*' | "(?:[^"]|"")*" | != | [=,*] | [^\s'"=!,*]+ | \S)""", re.VERBOSE)
RESERVED = ("select", "from", "where", "and", "like")
OPERATORS = ("=", "!=", "like")
CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "none": None}


class Condition(NamedTuple):
    """One comparison of a `where`; `value` is a text unless it is a constant."""
    field: str
    operator: str
    value: str | bool | None

    def holds(self, found: Any) -> bool:
        """Whether it holds for what was `found` in the field; of a list, such as of tags, one member is enough."""
        values = found if isinstance(found, list) else [found]
        if self.operator == "like":
            return any(_matches_like(_text(value), _text(self.value)) for value in values)
        return any(_equals(value, self.value) for value in values) == (self.operator == "=")


class Query(NamedTuple):
    """A query's parts; `fields` is empty for all of them."""
    text: str
    fields: list[str]
    domain: str
    conditions: list[Condition]

    def named(self) -> list[str]:
        """All fields that it names."""
        return [*self.fields, *(condition.field for condition in self.conditions)]


def parse_query(text: str) -> Query:
    """The parts of a query; a usage error that points at the word where it can't be read."""
    words = _Words(text)
    words.take("select")
    fields = [] if words.accept("*") else [words.name("a field or *")]
    while fields and words.accept(","):
        fields.append(words.name("a field"))
    words.take("from")
    domain = words.name("a domain")
    conditions = []
    if words.accept("where"):
        conditions.append(words.condition())
        while words.accept("and"):
            conditions.append(words.condition())
        words.end("and")
    words.end("where")
    return Query(text, fields, domain, conditions)


class _Words:
    """The words of a query, taken one by one."""

    def __init__(self, text: str):
        self.text, self.words, self.place = text, list(WORD.finditer(text)), 0

    def accept(self, *wanted: str) -> str:
        """The next word in lower case, taken, where it is one of those `wanted`; else "", and nothing is taken."""
        word = self._next().lower()
        if word not in wanted:
            return ""
        self.place += 1
        return word

    def take(self, *wanted: str) -> str:
        return self.accept(*wanted) or self.wrong(" or ".join(wanted))

    def name(self, what: str) -> str:
        word = self._next()
        if not re.fullmatch(r"[\w.]+", word) or word.lower() in RESERVED:
            self.wrong(what)
        self.place += 1
        return word

    def condition(self) -> Condition:
        return Condition(self.name("a field"), self.take(*OPERATORS), self.value())

    def value(self) -> str | bool | None:
        word = self._next()
        if word in ("'", '"'):
            raise GalaxyError(f"query {self.text!r}: the quote at column {self.column()} is not closed", USAGE)
        if not word or word in "=!=,*":
            self.wrong("a value such as 'Run 12'")
        self.place += 1
        if word[0] in "'\"":
            return word[1:-1].replace(word[0] * 2, word[0])
        return CONSTANTS.get(word.lower(), word)

    def end(self, otherwise: str) -> None:
        if self._next():
            self.wrong(f"{otherwise}, or the query's end")

    def wrong(self, wanted: str) -> str:
        """Raises `GalaxyError`, pointing at the next word."""
        where = "at its end"
        if self._next():
            where = f"at column {self.column()}, not {self._next()!r}"
        raise GalaxyError(f"query {self.text!r}: {wanted} is wanted {where}", USAGE)

    def column(self) -> int:
        return self.words[self.place].start("text") + 1

    def _next(self) -> str:
        return self.words[self.place]["text"] if self.place < len(self.words) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _equals(found: Any, value: str | bool | None) -> bool:
    return found is value if value is None else _text(found) == _text(value)


def _matches_like(text: str, pattern: str) -> bool:
    expression = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


# --------------------------------------------------------------------------------------------------------- answering

class Domain(NamedTuple):
    """Where a domain's members are listed, and which comparisons Galaxy makes by itself (26.1, tried)."""
    path: str
    always: dict[str, str] = {}             # parameters of every question
    filters: tuple[str, ...] = ()           # fields that are compared by q=FIELD-eq and qv=VALUE
    params: dict[str, str] = {}             # {field: the parameter that compares it}
    names: dict[str, str] = {}              # {field in queries: field in the answer}
    picks: bool = False                     # whether `keys` names the fields of the answer


HISTORY, TAG = {"history_id": "history_id"}, {"tag": "tags"}
CONTENT = ("name", "deleted", "visible", "hid", "history_content_type")
DOMAINS = {
    "hda": Domain("datasets", {}, (*CONTENT, "purged", "state", "extension", "genome_build"), HISTORY, TAG, True),
    "hdca": Domain("datasets", {}, CONTENT, HISTORY, TAG, True),
    "ldda": Domain("libraries", names={**TAG, "data_type": "file_ext"}),
    "library": Domain("libraries", params={"deleted": "deleted"}),
    "history": Domain("histories", {}, ("name", "deleted", "purged", "published"), {}, TAG, True),
    "tool": Domain("tools", {"in_panel": "false"}, names={"tool_id": "id"}),
    "workflow": Domain("workflows", params={"deleted": "show_deleted", "hidden": "show_hidden"}, names=TAG),
    "invocation": Domain("invocations", params={**HISTORY, "workflow_id": "workflow_id"}),
    "job": Domain("jobs", params={**HISTORY, "state": "state", "tool_id": "tool_id"}, names={"tool_name": "tool_id"}),
}
KINDS = {"hda": "dataset", "hdca": "dataset_collection"}
WHOLE = ("tools", "libraries")      # lists that come in one piece
OLD_NAMES = {"history_dataset": "hda", "library_dataset_dataset": "ldda"}


def run_query(galaxy: Galaxy, query: Query) -> Iterator[dict[str, Any]]:
    """The things that a query selects, page by page, each with the fields that it names.

    What is deleted is left out unless the query compares `deleted` or `purged`. Raises `GalaxyError` for a domain or a field
    that there is not.
    """
    name = OLD_NAMES.get(query.domain, query.domain)
    if name not in DOMAINS:
        raise GalaxyError(f"query {query.text!r}: there is no {query.domain}: there are {', '.join(DOMAINS)}", USAGE)
    domain = DOMAINS[name]
    for thing in _list_domain(galaxy, name, domain, query):
        found = {field: _field(thing, field, domain, query) for field in query.named()}
        if all(condition.holds(found[condition.field]) for condition in query.conditions):
            yield {field: found[field] for field in query.fields} if query.fields else thing


def _list_domain(galaxy: Galaxy, name: str, domain: Domain, query: Query) -> Iterable[dict[str, Any]]:
    """What Galaxy lists for a query."""
    if name == "ldda":
        return _library_datasets(galaxy)
    ask = _list_params(name, domain, query)
    return galaxy.get(domain.path, ask) if domain.path in WHOLE else galaxy.pages(domain.path, ask)


def _list_params(name: str, domain: Domain, query: Query) -> dict[str, Any]:
    """The parameters by which Galaxy leaves out most of what the query does not select."""
    conditions = list(query.conditions)
    if name in KINDS:
        conditions.append(Condition("history_content_type", "=", KINDS[name]))
    if domain.filters and not {"deleted", "purged"}.intersection(condition.field for condition in conditions):
        conditions.append(Condition("deleted", "=", False))
    ask: dict[str, Any] = {**domain.always, "q": [], "qv": []}
    for field, operator, value in conditions:
        field = domain.names.get(field, field)
        if operator == "=" and value is not None and field in domain.params:
            ask[domain.params[field]] = value
        elif field in domain.filters and value is not None and (operator == "=" or (operator == "like" and field == "name")):
            ask["q"].append(f"{field}-{'eq' if operator == '=' else 'like'}")
            ask["qv"].append(value)
    if domain.picks and query.fields:
        ask["keys"] = ",".join(dict.fromkeys(["id", *(domain.names.get(field, field) for field in query.named())]))
    return ask


def _field(thing: dict[str, Any], field: str, domain: Domain, query: Query) -> Any:
    """What `thing` has in a field that the query names."""
    for name in (field, domain.names.get(field, field)):
        if name in thing:
            return thing[name]
    raise GalaxyError(f"query {query.text!r}: {query.domain} has no field {field}: `select * from {query.domain}` shows those "
                  "that there are", USAGE)


def _library_datasets(galaxy: Galaxy) -> Iterator[dict[str, Any]]:
    """The datasets of all libraries: a request for each library, and one or more for each folder."""
    for library in galaxy.get("libraries"):
        for folder in galaxy.get(f"libraries/{library['id']}/contents"):
            if folder["type"] != "folder":
                continue
            for thing in open_folder(galaxy, folder["id"]).items:
                if thing["type"] == "file":
                    own = {"model_class": "LibraryDatasetDatasetAssociation", "library_dataset_id": thing["id"],
                           "folder_id": folder["id"], "parent_library_id": library["id"]}
                    yield {**thing, "id": thing["ldda_id"], **own}
