"""What the pages of HTML have in common: one file each, with no script and nothing from elsewhere, readable without colour,
on paper and on a phone.

`templates/page.html` is the frame of a page, `templates/macros.html` what several pages draw.
"""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from common import CONTROL_CHARACTERS, redact
from galaxy_api_scripts.ages import parse_utc

TICK_INTERVALS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200,
                  *(86400 * days for days in (1, 2, 5, 10, 30, 100)))       # seconds
# A shape for each state, so that nobody needs its colour.
SIGNS = {"ok": "\u2713", "skipped": "\u2013", "error": "\u2717", "failed": "\u2717", "paused": "\u2016", "running": "\u25b6",
         "deleted": "\u25a0", "deleting": "\u25a0", "stopped": "\u25a0"}
WAITING_SIGN = "\u25cb"     # for all other states


def load_template(name: str, *folders: Path) -> Any:
    """The template of that name, in one of `folders` or among those of all pages; its text is escaped and cleaned."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    environment = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).with_name("templates")]), autoescape=True, finalize=clean_value,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.get_template(name)


def clean_value(value: Any) -> Any:
    """Text without keys, control characters and bidirectional overrides; what macros have made is clean already."""
    if hasattr(value, "__html__") or isinstance(value, int):
        return value
    text = CONTROL_CHARACTERS.sub(lambda found: found[0] if found[0] in "\t\n" else "", str(value))
    return redact(text).encode(errors="replace").decode()


def shorten_text(text: Any, most: int) -> str:
    """The text, cut to `most` letters, the last of which is an ellipsis then."""
    whole = str(text)
    return whole if len(whole) <= most else whole[:max(most - 1, 0)].rstrip() + "\u2026"


def table(headings: dict[str, str], rows: list[dict[str, Any]], keep: Iterable[str] = ("name",)) -> dict[str, Any]:
    """A table for the template, `headings` by field, without the columns that are empty and none to `keep`."""
    return {"rows": rows, "headings": {field: heading for field, heading in headings.items()
                                       if field in keep or any(row[field] for row in rows)}}


def make_ticks(span: float) -> dict[str, Any]:
    """The marks of an axis of `span` seconds: `ticks`, each `at` percent with its `words`, and how many percent lie between
    two (`every`)."""
    interval = next((seconds for seconds in TICK_INTERVALS if span / seconds <= 5), span / 5)
    ticks = [{"at": count * interval / span * 100, "words": format_duration(count * interval)}
             for count in range(int(span / interval) + 1)]
    return {"every": interval / span * 100, "ticks": ticks}


def format_duration(seconds: float) -> str:
    """A number of seconds for people, such as `1 min 15 s`."""
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"


def parse_time(text: Any) -> float:
    """One of Galaxy's times, which are in UTC and do not say so, in seconds since 1970."""
    return parse_utc(str(text)).timestamp()


def format_time(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
