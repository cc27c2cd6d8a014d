"""Tools: which ones a server has, and what inputs one takes."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from common import USAGE, Galaxy, GalaxyError, did_you_mean, format_table, one_line

Param = dict[str, Any]      # an input of a tool, as Galaxy describes it
DATA_PARAMS = ("data", "data_collection")
NO_TOOL_STATUSES = (400, 404, 500)      # of a tool that the server lacks; 500: 25.1
INPUT_COLUMNS = ["name", "label", "type", "optional", "default", "choices", "when"]


# ---------------------------------------------------------------------------------------------- which tools there are

def list_panel_tools(galaxy: Galaxy) -> Iterator[dict[str, Any]]:
    """The tools that a person sees in the tool panel, in its order, with `section`."""
    for part in galaxy.get("tools", {"in_panel": "true"}):
        for tool in part.get("elems", [part]):
            if "version" in tool:       # neither a label nor a workflow
                yield {**tool, "section": tool.get("panel_section_name")}


def find_tool(galaxy: Galaxy, text: str, version: str | None = None) -> dict[str, Any]:
    """Galaxy's description of the tool whose id, or else exact name, is `text`, with its `inputs` and `tool_outputs`; of
    its newest version unless `version` names another.

    Raises `GalaxyError` where no tool, or several, have that name, or the server lacks the version.
    """
    if not text.strip():
        raise GalaxyError("TOOL is empty: is a variable unset?", USAGE)
    tool = _fetch_tool(galaxy, text, version)
    if not tool:
        names = {tool["id"]: tool["name"] for tool in list_panel_tools(galaxy)}
        same = [tool_id for tool_id, name in names.items() if name == text]
        if len(same) > 1:
            raise GalaxyError(f"{len(same)} tools are named {text!r}: {', '.join(same)}: give the id of one")
        if not same:
            near = did_you_mean(text, [*names, *names.values()])
            raise GalaxyError(f"{galaxy.base} has no tool {text!r}{near or ': tool_list.py --search=TEXT finds them'}")
        tool = _fetch_tool(galaxy, same[0], version)
    if tool and not version and "/repos/" in text and tool["id"].count("/") == text.count("/") and tool["id"] != text:
        version = text.rpartition("/")[2]       # a Tool Shed's id ends with it
    if not tool or version and tool["version"] != version:     # Galaxy answers with another version
        versions = ", ".join((tool or {}).get("versions") or [(tool or {}).get("version", "")])
        raise GalaxyError(f"the server has tool {text!r} in version {versions}, not {version}")
    return tool


def _fetch_tool(galaxy: Galaxy, tool_id: str, version: str | None) -> dict[str, Any] | None:
    query = {"io_details": "true", **({"tool_version": version} if version else {})}
    try:
        tool = galaxy.get(f"tools/{quote(tool_id)}", query)
    except GalaxyError as error:
        if error.status not in NO_TOOL_STATUSES or error.status == 500 and has_tool(galaxy, tool_id):
            raise
        return None
    return tool if isinstance(tool, dict) and "inputs" in tool else None


def has_tool(galaxy: Galaxy, tool_id: str) -> bool:
    return any(tool["id"] == tool_id for tool in list_panel_tools(galaxy))


# --------------------------------------------------------------------------------------------------- what a tool takes

def iter_inputs(inputs: list[dict[str, Any]], above: str = "", when: str = "",
                pick_cases: Callable[[str, Param], list[Param]] = lambda name, param: param["cases"],
                count_repeats: Callable[[str, Param], int] = lambda name, param: 1) -> Iterator[tuple[str, Param, str]]:
    """Each input that is not a group of others, from a tool's `inputs`: the name that a run gives it, such as
    `operations_0|opcol`, the input, and the choices that it depends on, such as `if|sure=yes`. `pick_cases` tells which
    cases a conditional has, `count_repeats` how many times a repeat comes: unless given, all cases, each repeat once."""
    def below(group: Param, prefix: str, choices: str = when) -> Iterator[tuple[str, Param, str]]:
        return iter_inputs(group["inputs"], prefix, choices, pick_cases, count_repeats)

    for param in inputs:
        name = above + param["name"]
        if param["type"] == "conditional":
            test = f"{name}|{param['test_param']['name']}"
            yield test, param["test_param"], when
            for case in pick_cases(test, param):
                choice = f"{test}={case['value']}"
                yield from below(case, f"{name}|", f"{when}, {choice}" if when else choice)
        elif param["type"] == "repeat":
            for number in range(count_repeats(name, param)):
                yield from below(param, f"{name}_{number}|")
        elif param["type"] == "section":
            yield from below(param, f"{name}|")
        else:
            yield name, param, when


def without_numbers(name: str) -> str:
    """An input's name without the numbers of the repeats that it is in."""
    return re.sub(r"_\d+\|", "|", name)


def tool_input_rows(tool: dict[str, Any]) -> list[dict[str, Any]]:
    """The inputs of a tool, in dicts: `name`, `label`, `type`, `optional`, `default`, `choices` (None where they depend on
    the data), `when` (see `iter_inputs`), `multiple`, `min`, `max`, `datatypes`."""
    return [_input_row(name, param, when) for name, param, when in iter_inputs(tool["inputs"])]


def _input_row(name: str, param: dict[str, Any], when: str) -> dict[str, Any]:
    is_data = param["type"] in DATA_PARAMS
    kind = {"data": "dataset", "data_collection": "collection"}.get(param["type"], param["type"])
    types = param.get("collection_types") or (param.get("extensions") if is_data else [])
    low, high = param.get("min"), param.get("max")
    if param["type"] in ("integer", "float") and (low is not None or high is not None):
        kind += f" {'' if low is None else low}..{'' if high is None else high}"
    return {
        "name": name, "label": one_line(param.get("label") or ""),
        "type": kind + (f" ({', '.join(types)})" if types else "") + (", several" if param.get("multiple") else ""),
        "optional": not is_required(param), "default": None if is_data else param.get("value"),
        "choices": list_choices(param), "when": when or None, "multiple": bool(param.get("multiple")), "min": low,
        "max": high, "datatypes": list(param.get("extensions") or [])}


def input_table(rows: list[dict[str, Any]]) -> str:
    """`tool_input_rows` as a table for people, with the first 8 of many choices."""
    return format_table([{**row, "optional": "yes" if row["optional"] else "no",
                          "choices": shorten_choices(row["choices"], 8)} for row in rows], INPUT_COLUMNS)


def shorten_choices(choices: list[str] | None, most: int) -> str | None:
    """The first `most` choices, separated by commas; None for none."""
    return ", ".join(choices[:most]) + (", ..." if len(choices) > most else "") if choices else None


def list_choices(param: dict[str, Any]) -> list[str] | None:
    """The values that an input may have; None where it takes any, or they depend on the data."""
    if param["type"] not in ("select", "genomebuild", "drill_down") or param.get("is_dynamic") and param["type"] == "select":
        return None
    return list(_iter_options(param.get("options") or [])) or None


def _iter_options(options: list[Any]) -> Iterator[str]:
    for option in options:
        if isinstance(option, dict):    # of a tree
            yield option["value"]
            yield from _iter_options(option.get("options") or [])
        else:
            yield option[1]


def is_required(param: dict[str, Any]) -> bool:
    """Whether a run has to give the input: Galaxy 26.1 takes some dataset of the history in place of a missing one."""
    if param.get("optional") or param.get("hidden"):
        return False
    if param["type"] in DATA_PARAMS:
        return True
    return param["type"] in ("integer", "float", "data_column") and param.get("value") in (None, "")
