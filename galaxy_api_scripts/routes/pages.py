"""The pages of a list that is inside an object, such as the contents of a library's folder."""
from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from common import Answer, Galaxy, GalaxyError, int_option


class Kind(NamedTuple):
    """How an object holds a list, and how its pages are asked for."""

    members: str        # the object's field with the list
    size: str           # the parameter for the members on a page
    most: int           # that these may be
    step: str           # the parameter for the page: `offset`, `page` from 1 on, or the token in the field next_page_token


# All that answer so in Galaxy 26.1 and its Tool Shed, by the ends of their addresses.
KINDS = {
    r"/api/folders/\w+/contents": Kind("folder_contents", "limit", 500, "offset"),
    r"/ga4gh/wes/v1/runs": Kind("runs", "page_size", 100, "page_token"),
    r"/ga4gh/wes/v1/runs/\w+/tasks": Kind("task_logs", "page_size", 100, "page_token"),
    r"/api/datasets/\w+": Kind("data", "limit", 5000, "offset"),        # with data_type=raw_data and a provider
    r"/api/repositories": Kind("hits", "page_size", 100, "page"),       # with page=
}


def object_pages(galaxy: Galaxy, limit: int | None = None) -> Iterator[Any]:
    """Yield the members of the list in the object at `galaxy.url` to its very end, or the first `limit` of them, asking page
    by page; one with an id comes once."""
    return itertools.islice(all_members(galaxy, limit), limit)


def all_members(galaxy: Galaxy, limit: int | None) -> Iterator[Any]:
    parts = urlsplit(galaxy.url)
    kind = next(kind for pattern, kind in KINDS.items() if re.search(f"{pattern}/?$", parts.path))
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    size = int_option(query, kind.size, 1) if kind.size in query else min(kind.most, limit or kind.most)
    query[kind.size] = str(size)
    known, tokens = set[str](), set[str]()
    while True:
        answer = galaxy.get(parts._replace(query="").geturl(), query)
        members = answer.get(kind.members) if isinstance(answer, dict) else None
        if not isinstance(members, list):
            raise GalaxyError(f"{Answer.latest.line}: the answer has no list {kind.members!r}")
        for member in members:
            name = str(member.get("id") or member.get("run_id") or "") if isinstance(member, dict) else ""
            if not name or name not in known:       # a folder's page may hold some of later ones (26.1)
                known.add(name)
                yield member
        if kind.step == "page_token":
            step = answer.get("next_page_token") or ""
            if step in tokens:
                raise GalaxyError(f"{Answer.latest.line}: {len(known)} members, and no end of the list")
            tokens.add(step)
        else:
            step = next_step(kind, query, size or 1, answer, len(members))
        if not step:
            return
        query[kind.step] = step


def next_step(kind: Kind, query: dict[str, str], size: int, answer: dict[str, Any], count: int) -> str:
    """The offset, or the number, of the page behind `answer`, that of `query` with `count` members; "" if there is none."""
    first = int(kind.step == "page")
    number = (int_option(query, kind.step) if kind.step in query else first) or 0
    done = number * size if first else number + size
    total = (answer.get("metadata") or answer).get("total_results" if first else "total_rows")
    is_last = count < size if total is None else done >= total
    return "" if is_last else str(number + 1 if first else done)
