"""Printing answers: tables, JSON, JSON lines, CSV and TSV; and the forms that the old scripts printed."""
from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from outcome import USAGE, Refused, redact

OWN_STYLES = ("table", "json", "jsonl", "csv", "tsv", "value")


def output(args: dict[str, Any], known: Iterable[str] = ()) -> tuple[str | None, list[str]]:
    """The style and the fields that `--format` and `--fields` ask for, for `show`.

    A style that nobody knows is a usage error, told here before anything is sent; and so is a field that is not among
    those `known`, where these are told.
    """
    style, fields = args["--format"], args["--fields"]
    if style not in OWN_STYLES[1:] and (style or fields):
        import tabulate  # here too, because where it is missing nothing must be sent
        if style and style not in (OWN_STYLES[0], *tabulate.tabulate_formats):
            raise Refused(f"--format={style}: there are {', '.join(OWN_STYLES)}, and tabulate's styles, as github", USAGE)
    names = [name.strip() for name in (fields or "").split(",") if name.strip()]
    unknown = [name for name in names if known and name not in known]
    if unknown:
        raise Refused(f"--fields: there is no {', '.join(unknown)}: there are {', '.join(known)}", USAGE)
    return style, names


def show(answer: Any, style: str | None = None, fields: Iterable[str] = (),
         plain: Callable[[Any], None] | None = None, changed: bool = False, upright: bool = False) -> None:
    """Print JSON as `table`, `json`, `jsonl`, `csv`, `tsv`, `value` (cells alone, for a shell's variables) or another
    tabulate style; `fields` picks the columns.

    `plain` prints it where neither was asked for. Values are never rewritten: a string stays as it is, null is an empty
    cell, all else is its JSON. `jsonl` and `value`, and `csv` and `tsv` with `fields`, go out row by row as `answer`, a
    list or an iterator, hands them on. A field that no row has is refused; where the question has `changed` something,
    the refusal says so, and is no usage error, or somebody would ask again. A single thing's table is `upright` where
    told: a line for each field.
    """
    try:
        _show(answer, style, list(fields), plain, changed, upright)
        if changed:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if not changed:
            raise
        raise Refused(f"it is done{_made(answer)}, but the answer can't be printed: {error.strerror}") from None


def _show(answer: Any, style: str | None, fields: list[str], plain: Callable[[Any], None] | None, changed: bool,
          upright: bool) -> None:
    if plain and not style and not fields:
        plain(list(answer) if isinstance(answer, Iterator) else answer)
        return
    if changed and answer is None:      # Galaxy answers some requests with an empty body
        return
    single = isinstance(answer, (dict, str)) or not isinstance(answer, Iterable)
    rows = _picked([answer] if single else answer, fields, changed)
    if single or changed:
        rows = iter(list(rows))     # refused, if so, before anything is printed
    if style == "json":
        print(json.dumps(next(rows) if single else list(rows), indent=2, ensure_ascii=False))
    elif style == "jsonl":
        for row in rows:
            print(json.dumps(row, ensure_ascii=False), flush=True)
    elif style == "value":
        for row in rows:
            print(*(_cell(value) for value in (row.values() if isinstance(row, dict) else [row])), sep="\t", flush=True)
    elif style in ("csv", "tsv"):
        _show_separated(rows, "," if style == "csv" else "\t", fields)
    else:
        style = "simple" if style in (None, "table") else style
        if upright and isinstance(answer, dict):
            rows, fields = iter([{"field": name, "value": value} for name, value in next(rows).items()]), []
        print(table(list(rows), fields, style))


def show_request(method: str, url: str, data: Any, style: str | None = None) -> None:
    """Print a request that is not sent, for `--dry-run`."""
    show({"method": method, "url": redact(url), "payload": data}, style or "json")


def _picked(rows: Iterable[Any], fields: list[str], changed: bool) -> Iterator[Any]:
    """The rows with these fields only, all of them where there are none."""
    met: dict[str, None] = {}
    row: Any = None
    for row in rows:
        if not fields:
            yield row
            continue
        row = row if isinstance(row, dict) else {"value": row}
        met.update(dict.fromkeys(row))
        yield {name: row.get(name) for name in fields}
    unknown = [name for name in fields if name not in met]
    if met and unknown:
        what = f"no field {', '.join(unknown)} in the answer: there are {', '.join(met)}"
        if changed:
            raise Refused(f"it is done{_made(row)}, but there is {what}")
        raise Refused(what, USAGE)


def _made(answer: Any) -> str:
    """The id of what an answer says was made, for messages."""
    return f" (id {answer['id']})" if isinstance(answer, dict) and "id" in answer else ""


def _show_separated(rows: Iterator[Any], separator: str, fields: list[str]) -> None:
    if not fields:
        rows, fields = _columns(list(rows))
    first = list(itertools.islice(rows, 1))     # an answer that is refused prints no heading
    writer = csv.writer(sys.stdout, delimiter=separator, lineterminator="\n")
    writer.writerow(fields)
    for row in itertools.chain(first, rows):
        writer.writerow([_cell(row.get(name)) for name in fields])
        sys.stdout.flush()


def table(content: list[Any], fields: Iterable[str] = (), style: str = "simple") -> str:
    """`content` as one of tabulate's tables, each value as it is; `fields` picks the columns."""
    import tabulate
    tabulate.PRESERVE_WHITESPACE = True
    rows, columns = _columns(content)
    columns = list(fields) or columns
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    return tabulate.tabulate(cells, columns, style, disable_numparse=True)


def _columns(content: list[Any]) -> tuple[Iterator[dict[str, Any]], list[str]]:
    """Rows as dicts, and every key that occurs, in the server's order."""
    rows = [row if isinstance(row, dict) else {"value": row} for row in content]
    return iter(rows), list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def print_members(answer: Any) -> None:
    """Print the answer to a GET in the form that pipelines written for the old `display.py` read."""
    if isinstance(answer, list):
        print("Collection Members\n------------------")
        for number, member in enumerate(answer, 1):
            if isinstance(member, dict):
                _print_member(member, f"#{number}: {member['url']}" if "url" in member else None)
            elif isinstance(member, list):
                for item in member:
                    print(item)
            else:
                print(f"  {member}")
        print(f"\n{len(answer)} element(s) in collection")
    elif isinstance(answer, dict):
        print("Member Information\n------------------")
        for name, value in answer.items():
            print(f"{name}: {value}")
    else:
        print(answer if isinstance(answer, str) else json.dumps(answer))


def print_response(answer: Any) -> None:
    """Print the answer to a POST as the old `create.py` did: members one by one, anything else as it is."""
    print("Response\n--------")
    for member in answer if isinstance(answer, list) else []:
        if isinstance(member, dict):
            _print_member(member, member.get("url", "----"))
        else:
            print(member)
    if answer is not None and not isinstance(answer, list):
        print(answer)


def print_answer(answer: Any) -> None:
    """Print the answer to a PUT or DELETE as the old `update.py` and `delete.py` did."""
    print("Response\n--------")
    if answer is not None:
        print(answer)


def _print_member(member: dict[str, Any], heading: Any) -> None:
    if heading is not None:
        print(heading)
    if "name" in member:
        print(f"  name: {member['name']}")
    for name, value in member.items():
        if name not in ("url", "name"):
            print(f"  {name}: {value}")
