"""The pages of a list that is inside an object, such as the contents of a library's folder."""
from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from common import MOST_PAGES, Answer, Galaxy, GalaxyError, int_option


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
    """Yield the members as `object_pages`, but of whole pages; raise `GalaxyError` where they don't end, or come short."""
    parts = urlsplit(galaxy.url)
    kind = next(kind for pattern, kind in KINDS.items() if re.search(f"{pattern}/?$", parts.path))
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    size = int_option(query, kind.size, 1) if kind.size in query else min(kind.most, limit or kind.most)
    query[kind.size] = str(size)
    known, steps, count = set[str](), set[str](), 0
    for _ in range(max(MOST_PAGES, limit or 0)):
        answer = galaxy.get(parts._replace(query="").geturl(), query)
        members = answer.get(kind.members) if isinstance(answer, dict) else None
        if not isinstance(members, list):
            raise GalaxyError(f"{Answer.latest.line}: the answer has no list {kind.members!r}")
        before = count
        for member in members:
            name = member_name(member)
            if not name or name not in known:       # a folder's page may hold some of later ones (26.1)
                known.add(name)
                count += 1
                yield member
        step, total = next_step(kind, query, size or 1, answer, len(members)), total_of(kind, answer)
        if not step or (total is not None and members and count == before):     # in a folder, all may have come already
            if total is not None and kind.step not in parts.query and count < total:
                raise GalaxyError(f"{Answer.latest.line}: {count} members came, and the answer counts {total}: the list may "
                                  "have changed meanwhile, so try again")
            return
        steps.add(query.get(kind.step, ""))
        if step in steps:
            break
        query[kind.step] = step
    raise GalaxyError(f"{Answer.latest.line}: {count} members, and no end of the list: is it that long? --limit=N takes N")


def member_name(member: Any) -> str:
    """The id of a member, "" if it has none."""
    return str(member.get("id") or member.get("run_id") or "") if isinstance(member, dict) else ""


def total_of(kind: Kind, answer: dict[str, Any]) -> int | None:
    """How many members the list has, as the answer says; None if it does not."""
    about = answer.get("metadata") or answer
    total = about.get("total_results" if kind.step == "page" else "total_rows") if isinstance(about, dict) else None
    return int(str(total)) if str(total).isdecimal() else None


def next_step(kind: Kind, query: dict[str, str], size: int, answer: dict[str, Any], count: int) -> str:
    """The value of `kind.step` (a token, an offset, or a page's number) that asks for the page behind `answer`; "" for
    none. `answer` came to `query`, which asks for `size` members, and has `count`."""
    if kind.step == "page_token":
        return str(answer.get("next_page_token") or "")
    if kind.step == "page":
        page = (int_option(query, "page") if "page" in query else 1) or 0
        done, step = page * size, page + 1
    else:       # a server that gives fewer than asked for goes on behind these
        offset = (int_option(query, kind.step) if kind.step in query else 0) or 0
        done = step = offset + (min(count, size) or size)
    total = total_of(kind, answer)
    is_last = count < size if total is None else done >= total
    return "" if is_last else str(step)
