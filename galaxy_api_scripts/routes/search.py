"""Operations by the words that a person types, the best first."""
from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable

from common import GalaxyError, did_you_mean
from galaxy_api_scripts.routes.fields import body_schema, members, parameters
from galaxy_api_scripts.routes.openapi import Operation, shape
from galaxy_api_scripts.routes.undocumented import load_table

# How much a word counts in each place: the path's last name, its first word above all (share_with_users); the other names,
# their last word above all (dataset_collections); what the method does; the summary; the names of fields and parameters; the
# description.
LAST, LAST_OTHER, PATH, PATH_OTHER, METHOD, SUMMARY, FIELD, DESCRIPTION = 10.0, 8.0, 7.0, 4.0, 6.0, 5.0, 2.5, 1.0
SYNONYM = 0.7       # of what the word itself would count
INFLECTED = 0.85    # of what it counts in the very form in which it was typed
UNASKED = 1.0       # is lost for each word of the path that nobody asked for
UNASKED_ID = 1.0    # and for each parameter in it
DEPRECATED = 4.0    # is lost by what Galaxy wants to get rid of
ALIAS = 6.0         # is lost by a longer path of what has a shorter one
OTHER_KIND = 6.0    # is lost by what only reads where a word says that something is to be done, and the other way round


def words_of(text: str) -> list[str]:
    """The words of a text or name, in the singular."""
    words = re.findall("[a-z0-9]+", re.sub("(?<=[a-z])(?=[A-Z])", " ", text).lower())
    return [re.sub("(?<=[^s])s$", "", re.sub("ies$", "y", word)) if len(word) > 3 else word for word in words]


def stem(word: str) -> str:
    """A word without the ending that changes: share, shared and sharing are the same."""
    return re.sub("(ing|ed|e)$", "", re.sub("ied$", "y", word)) if len(word) > 4 else word


def search(operations: list[Operation], query: list[str]) -> list[Operation]:
    """The operations that have the words of a query, the best first: all of them, or else as many as any has. Raises
    `GalaxyError` for a word that none has."""
    table = load_table("synonyms.yml")
    typed = [word for text in query for word in words_of(text) if word not in table["ignored"]]
    if not typed:
        return sorted(operations, key=lambda one: (one.path, one.method))
    synonyms = {word: [words_of(one) for one in table["words"].get(word, [])] for word in typed}
    indexed = [(operation, index(operation)) for operation in operations]
    known = Counter(word for _, places in indexed for word in places)
    unknown = [word for word in typed if word not in known and stem(word) not in known and not synonyms[word]]
    if unknown:
        raise GalaxyError(f"no operation has the word {unknown[0]!r}{did_you_mean(unknown[0], known)}")
    rarity = {word: math.log(1 + len(operations) / count) ** 0.3 for word, count in known.items()}
    asked = {stem(word) for word in [*typed, *(part for word in typed for parts in synonyms[word] for part in parts)]}
    shapes = {(one.method, one.summary, shape(one.path)) for one in operations}
    plain = {word for text in query for word in text.lower().split()}
    wants_action = None if plain & {*table["either"]} else bool(plain & {*table["actions"]})

    ranked = []
    for number, (operation, places) in enumerate(indexed):
        counts = [count_word(word, places, synonyms[word], rarity) for word in typed]
        minus = lost(operation, asked) + ALIAS * is_alias(operation, shapes)
        minus += OTHER_KIND * (wants_action is (operation.method == "GET"))
        ranked.append((sum(map(bool, counts)), sum(counts) - minus, -number, operation))
    most = max(matched for matched, *_ in ranked)
    return [operation for matched, *_, operation in sorted(ranked, key=lambda one: one[:3], reverse=True) if matched == most]


@functools.cache
def index(operation: Operation) -> dict[str, float]:
    """How much each word, and each without its ending, counts for an operation."""
    places: dict[str, float] = {}

    def add(words: Iterable[str], weight: float) -> None:
        for word in words:
            for form, count in ((stem(word), weight * INFLECTED), (word, weight)):
                places[form] = max(places.get(form, 0), count)

    names = [words_of(name) for name in static_names(operation.path)]
    for number, words in enumerate(names):
        is_last = number == len(names) - 1
        add(words, LAST_OTHER if is_last else PATH_OTHER)
        add(words[:1] if is_last else words[-1:], LAST if is_last else PATH)
    add(load_table("synonyms.yml")["methods"].get(operation.method, []), METHOD)
    add(operation.about.get("x-words", ()), LAST)
    add(words_of(operation.summary), SUMMARY)
    fields = [one["name"] for one in parameters(operation)]
    fields += [name for name, _, _ in members(body_schema(operation)[0], operation.schemas)]
    add((word for name in fields for word in words_of(name)), FIELD)
    add(words_of(operation.description), DESCRIPTION)
    return places


def static_names(path: str) -> list[str]:
    """The names in a path, without /api and parameters."""
    return [name for name in re.sub(r"\{\w+\}", "", path).split("/") if name not in ("", "api")]


def count_word(word: str, places: dict[str, float], synonyms: list[list[str]], rarity: dict[str, float]) -> float:
    """How much a word that was typed counts for an operation, by itself or by a synonym, whose parts are all there."""
    def count(one: str) -> float:
        return max(places.get(form, 0) * rarity.get(form, 0) for form in (one, stem(one)))

    return max([count(word), *(SYNONYM * sum(map(count, parts)) / len(parts)
                               for parts in synonyms if all(map(count, parts)))])


def is_alias(operation: Operation, shapes: set[tuple[str, str, str]]) -> bool:
    """Whether a shorter path does the same: /api/workflows/ID/invocations/ID/report is /api/invocations/ID/report."""
    parts = shape(operation.path).split("/")[2:]
    return any((operation.method, operation.summary, "/".join(["/api", *parts[number:]])) in shapes
               for number in range(1, len(parts)))


def lost(operation: Operation, asked: set[str]) -> float:
    """How much an operation loses by what nobody asked for."""
    words = {stem(word) for name in static_names(operation.path) for word in words_of(name)}
    return (UNASKED * len(words - asked) + UNASKED_ID * operation.path.count("{")
            + DEPRECATED * bool(operation.about.get("deprecated")))
