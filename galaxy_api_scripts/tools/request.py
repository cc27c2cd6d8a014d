"""Tools: which there are, what one takes, and one run of it."""
from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from common import STILL_RUNNING, USAGE, Galaxy, GalaxyError, bool_option, decode_text, format_table, one_line
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, job_stderr
from galaxy_api_scripts.polling import fetch_datasets, wait_jobs

DATA = ("data", "data_collection")
SOURCES = ("hda", "hdca", "ldda", "ld", "hid")      # of a history, a collection, of a library, by its number in the history
TEXTS = ("text", "select", "genomebuild", "drill_down", "color")
GROUPS = ("conditional", "repeat", "section")
INPUT_COLUMNS = ["name", "label", "type", "optional", "default", "choices", "when"]


# -------------------------------------------------------------------------------------------------------- which there are

def list_panel_tools(galaxy: Galaxy) -> Iterator[dict[str, Any]]:
    """The tools that a person sees in the tool panel, in its order, with `section`."""
    for part in galaxy.get("tools", {"in_panel": "true"}):
        for tool in part.get("elems", [part]):
            if "version" in tool:       # no label, no workflow
                yield {**tool, "section": tool.get("panel_section_name")}


def list_all_tools(galaxy: Galaxy) -> Iterator[dict[str, Any]]:
    """All tools, those that no panel shows too, with `section`."""
    for tool in galaxy.get("tools", {"in_panel": "false"}):
        yield {**tool, "section": tool.get("panel_section_name")}


def find_tool(galaxy: Galaxy, text: str, version: str | None = None) -> dict[str, Any]:
    """What Galaxy says of the tool whose id, or else exact name, is `text`, with its `inputs` and `tool_outputs`; of its newest
    version unless another is named. None, several, and a version that is not there are refused."""
    if not text.strip():
        raise GalaxyError("TOOL is empty: is a variable unset?", USAGE)
    tool = _by_id(galaxy, text, version)
    if not tool:
        there = {one["id"]: one["name"] for one in list_panel_tools(galaxy)}
        same = [known for known, name in there.items() if name == text]
        if len(same) > 1:
            raise GalaxyError(f"{len(same)} tools are named {text!r}: {', '.join(same)}: give the id of one")
        if not same:
            near = difflib.get_close_matches(text, [*there, *there.values()], 1)
            raise GalaxyError(f"{galaxy.base} has no tool {text!r}" + (f": did you mean {near[0]}?" if near else
                                                                  ": tool_list.py --search=TEXT finds them"))
        tool = _by_id(galaxy, same[0], version)
    if tool and not version and "/repos/" in text and tool["id"].count("/") == text.count("/") and tool["id"] != text:
        version = text.rpartition("/")[2]       # a Tool Shed's id ends with it
    if not tool or version and tool["version"] != version:     # Galaxy takes another one in its place
        has = ", ".join((tool or {}).get("versions") or [(tool or {}).get("version", "")])
        raise GalaxyError(f"tool {text!r} is there in version {has}, not {version}")
    return tool


def _by_id(galaxy: Galaxy, tool_id: str, version: str | None) -> dict[str, Any] | None:
    ask = {"io_details": "true", **({"tool_version": version} if version else {})}
    try:
        tool = galaxy.get(f"tools/{quote(tool_id)}", ask)
    except GalaxyError as error:
        if error.status not in (400, 404):
            raise
        return None
    return tool if isinstance(tool, dict) and "inputs" in tool else None


# ------------------------------------------------------------------------------------------------------- what a tool takes

def tool_input_rows(tool: dict[str, Any]) -> list[dict[str, Any]]:
    """The inputs of a tool as a run names them, such as `operations_0|opcol`: `name`, `label`, `type`, `optional`,
    `default`, `choices` (None where they depend on the data), `when` (the choices that it is there with),
    `multiple`, `min`, `max`, `datatypes`."""
    return [_row(*found) for found in _leaves(tool["inputs"])]


def input_table(about: list[dict[str, Any]]) -> str:
    """What `tool_input_rows` gives, as a table; of many choices only the first."""
    return format_table([{**row, "optional": "yes" if row["optional"] else "no", "choices": _shorten_choices(row["choices"], 8)}
                  for row in about], INPUT_COLUMNS)


def _shorten_choices(choices: list[str] | None, most: int) -> str | None:
    return ", ".join(choices[:most]) + (", ..." if len(choices) > most else "") if choices else None


def _leaves(inputs: list[dict[str, Any]], above: str = "", when: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    for one in inputs:
        name = above + one["name"]
        if one["type"] == "conditional":
            test = f"{name}|{one['test_param']['name']}"
            yield test, one["test_param"], when
            for case in one["cases"]:
                yield from _leaves(case["inputs"], f"{name}|", ", ".join(filter(None, [when, f"{test}={case['value']}"])))
        elif one["type"] in GROUPS:
            yield from _leaves(one["inputs"], f"{name}_0|" if one["type"] == "repeat" else f"{name}|", when)
        else:
            yield name, one, when


def _row(name: str, one: dict[str, Any], when: str) -> dict[str, Any]:
    kind = {"data": "dataset", "data_collection": "collection"}.get(one["type"], one["type"])
    types = one.get("collection_types") or (one.get("extensions") if one["type"] in DATA else [])
    limits = f" {_or(one.get('min'), '')}..{_or(one.get('max'), '')}" if one["type"] in ("integer", "float") and (
        _or(one.get("min"), one.get("max")) is not None) else ""
    return {
        "name": name, "label": one_line(one.get("label") or ""),
        "type": kind + limits + (f" ({', '.join(types)})" if types else "") + (", several" if one.get("multiple") else ""),
        "optional": not _is_required(one), "default": None if one["type"] in DATA else one.get("value"),
        "choices": _choices(one), "when": when or None, "multiple": bool(one.get("multiple")), "min": one.get("min"),
        "max": one.get("max"), "datatypes": list(one.get("extensions") or [])}


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _choices(one: dict[str, Any]) -> list[str] | None:
    """The values of a choice; None where there is none, or it depends on the data."""
    if one["type"] not in ("select", "genomebuild", "drill_down") or one.get("is_dynamic") and one["type"] == "select":
        return None
    return list(_options(one.get("options") or [])) or None


def _options(options: list[Any]) -> Iterator[str]:
    for option in options:
        if isinstance(option, dict):    # a tree's
            yield option["value"]
            yield from _options(option.get("options") or [])
        else:
            yield option[1]


def _is_required(one: dict[str, Any]) -> bool:
    """Whether a run has to say something of it: Galaxy 26.1 takes some dataset of the history where one is missing."""
    if one.get("optional") or one.get("hidden"):
        return False
    if one["type"] in DATA:
        return True
    return one["type"] in ("integer", "float", "data_column") and one.get("value") in (None, "")


# ------------------------------------------------------------------------------------------------------------- one run of it

def parse_tool_inputs(pairs: Iterable[str]) -> dict[str, list[Any]]:
    """`{name: [value, ...]}` of `NAME=VALUE` (a string) and `NAME:=JSON`; a name may come several times."""
    import json
    values: dict[str, list[Any]] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        is_json = name.endswith(":")
        name = name.removesuffix(":")
        if not sign or not name:
            raise GalaxyError(f"{pair!r} is not NAME=VALUE, nor NAME:=JSON", USAGE)
        try:
            values.setdefault(name, []).append(Json(json.loads(value)) if is_json else value)
        except (ValueError, RecursionError):
            raise GalaxyError(f"{name}:= what follows is no JSON (a string has quotes in JSON: '{name}:=\"value\"')",
                          USAGE) from None
    return values


class Json:
    """A value that was given as JSON."""

    def __init__(self, value: Any):
        self.value = value


class ToolRequest:
    """What a tool is to be run with, checked before anything is sent.

    `history` is the id of the history that `hid:N` counts in; None for a new one, which has nothing.
    """

    def __init__(self, galaxy: Galaxy, tool: dict[str, Any], history: str | None):
        self.galaxy, self.tool, self.history = galaxy, tool, history

    def inputs(self, values: dict[str, list[Any]]) -> dict[str, Any]:
        """The `inputs` that POST /api/tools takes, from what `parse_tool_inputs` returns.

        Raises `GalaxyError`, with a table of the tool's inputs, for a name that there is not, a value that is not of its
        type, and an input that is missing.
        """
        wanted = dict(self._wanted(self.tool["inputs"], values))
        for name in values:
            if name not in wanted:
                raise self._wrong(f"has no input {name!r}{self._why(name, wanted)}")
        for name, one in wanted.items():
            if name not in values and _is_required(one):
                raise self._wrong(f"needs {name} ({one_line(one.get('label') or one['type'])}): {name}={_example(one)}")
        return {name: self._value(name, one, values[name]) for name, one in wanted.items() if name in values}

    def _wanted(self, inputs: list[dict[str, Any]], values: dict[str, list[Any]], above: str = ""
                ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The name of each input that counts with these values, and the input."""
        for one in inputs:
            name = above + one["name"]
            if one["type"] == "conditional":
                test, param = f"{name}|{one['test_param']['name']}", one["test_param"]
                yield test, param
                for case in one["cases"]:
                    if _same(param, values[test][-1] if test in values else param.get("value"), case["value"]):
                        yield from self._wanted(case["inputs"], values, f"{name}|")
                        break
            elif one["type"] == "repeat":
                numbers = {int(found.group(1)) for found in (re.match(rf"{re.escape(name)}_(\d+)\|", key) for key in values)
                           if found}
                least = (int(one.get("min") or 0), int(one.get("default") or 0))      # as many does Galaxy make by itself
                count = max([*least, *(number + 1 for number in numbers)])
                missing = set(range(len(numbers))) - numbers
                if missing:
                    raise self._wrong(f"has {name}_0, {name}_1 ... without gaps: {name}_{min(missing)} is missing")
                if one.get("max") is not None and count > one["max"]:
                    raise self._wrong(f"takes {name} {one['max']} times at most")
                for number in range(count):
                    yield from self._wanted(one["inputs"], values, f"{name}_{number}|")
            elif one["type"] in GROUPS:
                yield from self._wanted(one["inputs"], values, f"{name}|")
            else:
                yield name, one

    def _why(self, name: str, wanted: dict[str, Any]) -> str:
        """Why a name is none that is taken."""
        everything = {_plain(row["name"]): row for row in tool_input_rows(self.tool)}
        row = everything.get(_plain(name))
        if row and row["when"]:
            cases = [one["when"] for one in tool_input_rows(self.tool) if _plain(
                one["name"]) == _plain(name) and one["when"]]
            return f" unless {' or '.join(cases[:2])}{' ...' if len(cases) > 2 else ''} is given"
        names = list(wanted) + [one["name"] for one in everything.values()]
        near = [one for one in names if one.endswith(f"|{name}")] or difflib.get_close_matches(name, names, 1)
        return f": did you mean {near[0]}?" if near else ""

    def _wrong(self, words: str) -> GalaxyError:
        """The refusal in these words, with a table of the tool's inputs."""
        return GalaxyError(f"tool {self.tool['id']} {words}", USAGE, table=input_table(tool_input_rows(self.tool)))

    # ---------------------------------------------------------------------------------------------------------- values

    def _value(self, name: str, one: dict[str, Any], values: list[Any]) -> Any:
        several = bool(one.get("multiple"))
        plain = [value.value if isinstance(value, Json) else value for value in values]
        if len(values) > 1 and not several:
            hint = ": a collection is mapped over: hdca:ID" if one["type"] == "data" else ""
            raise self._wrong(f"takes one {name}, and {len(values)} are given{hint}")
        if one["type"] in DATA:
            return self._data(name, one, plain)
        if several and one["type"] in ("select", "data_column", "drill_down", "genomebuild"):
            if len(plain) == 1:
                plain = plain[0] if isinstance(plain[0], list) else _split(one, plain[0])
            return [self._checked(name, one, value) for value in plain]
        return self._checked(name, one, plain[0])

    def _checked(self, name: str, one: dict[str, Any], value: Any) -> Any:
        """A value that is no data, as Galaxy takes it."""
        kind, shown = one["type"], f"{name}={value}"
        if value is None or value == "" and kind in ("integer", "float", "data_column"):
            if not one.get("optional"):
                raise self._wrong(f"needs a value: {shown}")
            return None
        if kind in ("integer", "float"):
            pattern = r"[+-]?\d+" if kind == "integer" else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
            if isinstance(value, bool) or not re.fullmatch(pattern, str(value).strip(), re.ASCII):
                raise self._wrong(f"takes {'a whole number' if kind == 'integer' else 'a number'}: {shown}")
            number = int(value) if kind == "integer" else float(value)
            least, most = (limit if limit != "" else None for limit in (one.get("min"), one.get("max")))
            if least is not None and number < float(least) or most is not None and number > float(most):
                limits = " and ".join(words for words, limit in ((f"at least {least}", least), (f"at most {most}", most))
                                      if limit is not None)
                raise self._wrong(f"takes {limits}: {shown}")
            return number
        if kind == "boolean":
            if isinstance(value, bool):
                return value
            for own, means in ((one.get("truevalue"), True), (one.get("falsevalue"), False)):
                if own and value == own:
                    return means
            return bool_option(str(value), name)
        if kind == "data_column":
            if not re.fullmatch(r"c?[0-9]+", str(value)):
                raise self._wrong(f"takes the number of a column: {shown}")
            return str(value).removeprefix("c")
        choices = _choices(one)
        if choices is not None and str(value) not in choices:
            near = difflib.get_close_matches(str(value), choices, 1)
            meant = f": did you mean {near[0]}?" if near else ""
            raise self._wrong(f"has no choice {shown}{meant}: there are {_shorten_choices(choices, 20)}")
        if isinstance(value, (dict, list)) and kind in TEXTS:      # of which Galaxy 26.1 would make a text
            raise self._wrong(f"takes a text: {shown}")
        return value if choices is None else str(value)

    def _data(self, name: str, one: dict[str, Any], values: list[Any]) -> Any:
        """Datasets and collections, as Galaxy takes them; a collection for an input of one dataset is mapped over."""
        if any(not isinstance(value, str) for value in values):     # JSON: who gives that knows the form
            if len(values) > 1:
                raise self._wrong(f"takes all of {name} in one JSON value")
            if values[0] is None and one.get("optional") or _is_data(values[0]):
                return values[0]
            form = '{"src": "hda", "id": ...}, a list of these, or {"values": a list of these}'
            raise self._wrong(f"takes data as {name}, in JSON {form}")
        found = [self._found(name, value) for value in values]
        for value, (_, thing) in zip(values, found):
            self._check_datatype(f"{name}={value}", one.get("extensions") or [], thing)
        sources = [{"src": src, "id": thing["id"]} for src, thing in found]
        collections = [thing for src, thing in found if src == "hdca"]
        if one["type"] == "data":
            if not one.get("multiple"):
                return {"batch": True, "values": sources} if collections else {"values": sources}
            if collections and len(found) > 1:
                raise self._wrong(f"takes either datasets or one collection as {name}")
            return {"values": sources}
        if len(collections) != len(found) or len(found) != 1:
            raise self._wrong(f"takes a collection as {name}: {name}=hdca:ID")
        kind, wanted = collections[0]["collection_type"], one.get("collection_types") or []
        if not wanted or kind in wanted or any("unpaired" in each or ":" not in kind and each == "any" for each in wanted):
            return {"values": sources}
        inner = [each for each in wanted if kind.endswith(f":{each}")]
        if inner:       # each of those in it is a run
            return {"batch": True, "values": [{**sources[0], "map_over_type": inner[0]}]}
        raise self._wrong(f"takes a collection of the type {' or '.join(wanted)} as {name}, and {collections[0]['id']} is a "
                          f"{kind}")

    def _check_datatype(self, shown: str, wanted: list[str], thing: dict[str, Any]) -> None:
        """Refuse data of a datatype that the tool does not take, nor Galaxy converts: 26.1 runs the tool all the same."""
        if thing.get("state", "ok") not in ("ok", "empty"):     # its datatype may be found out yet
            return
        has = thing.get("elements_datatypes") or [thing.get("extension") or thing.get("file_ext")]
        unlike = [ext for ext in has if ext and wanted and ext not in wanted and "data" not in wanted]
        for ext in unlike:
            if not self._datatypes.fits(ext, wanted):
                raise self._wrong(f"takes {' or '.join(wanted)}: {shown} is {ext}")

    @functools.cached_property
    def _datatypes(self) -> Datatypes:
        return Datatypes(self.galaxy)

    def _found(self, name: str, text: str) -> tuple[str, dict[str, Any]]:
        """The source and what Galaxy says of the dataset or collection that `SRC:ID` names."""
        src, _, identity = text.partition(":")
        if src not in SOURCES or not re.fullmatch(r"\d+" if src == "hid" else r"[0-9a-fA-F]+", identity, re.ASCII):
            raise self._wrong(f"takes data as {name}: {name}={text} is not SRC:ID with SRC one of {', '.join(SOURCES)}")
        if src == "hid":
            return self._by_hid(name, int(identity))
        route = {"hda": f"datasets/{identity}", "hdca": f"dataset_collections/{identity}?instance_type=history",
                 "ldda": f"datasets/{identity}?hda_ldda=ldda", "ld": f"libraries/datasets/{identity}"}[src]
        try:
            about = dict(self.galaxy.get(route))
        except GalaxyError as error:
            if error.status not in (400, 403, 404, 500):
                raise
            raise GalaxyError(f"{name}={text}: {error}", status=error.status) from None
        if src == "ld":     # POST /api/tools takes the other id of it only
            src, about["id"] = "ldda", about["ldda_id"]
        return src, self._usable(f"{name}={text}", about)

    def _by_hid(self, name: str, hid: int) -> tuple[str, dict[str, Any]]:
        ask = {"v": "dev", "q": ["hid-eq", "deleted-eq"], "qv": [str(hid), "False"]}
        found = list(self.galaxy.pages(f"histories/{self.history}/contents", ask)) if self.history else []
        seen = [one for one in found if one.get("visible")] or found    # a conversion has the hid of what it is made from
        if len(seen) != 1:
            what = f"has {len(seen)} things" if seen else "has nothing"
            ids = ", ".join(f"{one['history_content_type']} {one['id']}" for one in seen)
            raise GalaxyError(f"{name}=hid:{hid}: the history {what} of that number{f': {ids}' if seen else ''}")
        src = "hdca" if seen[0]["history_content_type"] == "dataset_collection" else "hda"
        return src, self._usable(f"{name}=hid:{hid}", seen[0])

    @staticmethod
    def _usable(shown: str, about: dict[str, Any]) -> dict[str, Any]:
        """What Galaxy says of a dataset, unless no job can read it."""
        state = "deleted" if about.get("deleted") or about.get("purged") else about.get("state")
        if state in ("deleted", "error", "discarded", "failed_metadata"):
            raise GalaxyError(
                f"{shown}: {about.get('name')!r} is {'deleted' if state == 'deleted' else f'in state {state}'}")
        return about


class Datatypes:
    """The datatypes of a server: which are kinds of which, and which it converts into which by itself."""

    def __init__(self, galaxy: Galaxy):
        about = galaxy.get("datatypes/mapping")
        self.kinds, self.parents = about["ext_to_class_name"], about["class_to_classes"]
        self.converters = [(one["source"], one["target"]) for one in galaxy.get("datatypes/converters")]

    def fits(self, ext: str, wanted: list[str]) -> bool:
        """Whether a tool that takes the datatypes `wanted` takes a dataset of the datatype `ext`."""
        if ext not in self.kinds or self._is_a(ext, wanted):
            return True
        return any(self._is_a(target, wanted) for source, target in self.converters if self._is_a(ext, [source]))

    def _is_a(self, ext: str, wanted: list[str]) -> bool:
        above = self.parents.get(self.kinds.get(ext), {})
        return any(ext == one or self.kinds.get(one) in above for one in wanted)


def _is_data(value: Any) -> bool:
    """Whether a JSON value names data in one of the forms that Galaxy takes."""
    if isinstance(value, dict) and "values" in value:
        value = value["values"]
    parts = value if isinstance(value, list) else [value]
    return bool(parts) and all(isinstance(part, dict) and {"src", "id"} <= set(part) for part in parts)


def _same(param: dict[str, Any], value: Any, case: str) -> bool:
    """Whether a conditional's test parameter with this value chooses a case."""
    value = value.value if isinstance(value, Json) else value
    if param["type"] != "boolean":
        return str(value) == case
    own = {param.get("truevalue"): True, param.get("falsevalue"): False}
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    first, second = (own[one] if one in own and one else words.get(str(one).lower(), bool(one)) for one in (value, case))
    return first == second


def _split(one: dict[str, Any], text: Any) -> list[Any]:
    """The values in a text of several with commas, where none of the choices has one."""
    if isinstance(text, str) and "," in text and text not in (_choices(one) or []):
        return text.split(",")
    return [text]


def _plain(name: str) -> str:
    """A name without saying which of its repeats it is in."""
    return re.sub(r"_\d+\|", "|", name)


def _example(one: dict[str, Any]) -> str:
    return {"data": "hda:ID", "data_collection": "hdca:ID", "data_column": "NUMBER", "integer": "NUMBER",
            "float": "NUMBER"}.get(one["type"], "VALUE")


def run_payload(tool: dict[str, Any], history: str, inputs: dict[str, Any], cached: bool = False) -> dict[str, Any]:
    """What POST /api/tools takes."""
    return {"history_id": history, "tool_id": tool["id"], "tool_version": tool["version"], "inputs": inputs,
            **({"use_cached_job": True} if cached else {})}


def submit_tool(galaxy: Galaxy, data: dict[str, Any]) -> dict[str, Any]:
    """Galaxy's answer to a `run_payload`: the `jobs` it made, and their outputs. One whose answer was lost is not sent again."""
    try:
        answer: dict[str, Any] = galaxy.post("tools", data)
    except GalaxyError as error:
        if not error.lost:
            raise
        raise GalaxyError(f"{error}; whether the tool runs is not known: look what is new in the history before you run it "
                      f"again: dataset_list.py - - {data['history_id']}", error.exit_code, lost=True) from None
    return answer


def tool_outputs(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What a run makes, from `submit_tool`'s answer: `output`, `src`, `id`, `hid`, `name`, `extension` (a collection's type),
    `state`. Where the tool is mapped over a collection, these are the collections, and not what is in them."""
    made = []
    for one in answer.get("implicit_collections") or [*answer.get("outputs", []), *answer.get("output_collections", [])]:
        is_set = "collection_type" in one
        made.append({"output": one.get("output_name"), "src": "hdca" if is_set else "hda", "id": one["id"],
                     "hid": one.get("hid"), "name": one.get("name"),
                     "extension": one["collection_type"] if is_set else one.get("extension") or one.get("file_ext"),
                     "state": one.get("populated_state") if is_set else one.get("state")})
    return made


def refresh_outputs(galaxy: Galaxy, made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `tool_outputs` gives, as Galaxy has it now."""
    keys = ("hid", "name", "extension", "state")
    there = dict(fetch_datasets(galaxy, [one["id"] for one in made if one["src"] == "hda"], keys))
    now = []
    for one in made:
        about = there.get(one["id"])
        if one["src"] == "hdca":
            about = galaxy.get(f"dataset_collections/{one['id']}", {"instance_type": "history", "view": "collection"})
            about = {"state": about["populated_state"]}
        now.append({**one, **{key: about[key] for key in keys if key in about}} if isinstance(about, dict) else one)
    return now


def wait_for_tool(galaxy: Galaxy, answer: dict[str, Any], history: str, timeout: float | None = None) -> GalaxyError | None:
    """None once the jobs of a run have ended, all of them well. Else what to raise: the first that failed, with its exit
    code and the last line of its standard error; STILL_RUNNING when `timeout` seconds are over."""
    jobs = [job["id"] for job in answer.get("jobs") or []]
    try:
        states = wait_jobs(galaxy, history, jobs, timeout) if jobs else {}
    except GalaxyError as error:
        if error.exit_code != STILL_RUNNING:
            raise
        return error
    bad = {job: state for job, state in states.items() if state not in SUCCESS_STATES}
    if not bad:
        return None
    worst = min(bad, key=lambda job: bad[job] != "error")
    about = galaxy.get(f"jobs/{worst}", {"full": "true"})
    said = job_stderr(about).splitlines()
    code = f", exit code {about['exit_code']}" if about.get("exit_code") is not None else ""
    tail = f": {said[-1][:200]}" if said else ""
    several = f"{len(bad)} of {len(jobs)} jobs failed; " if len(jobs) > 1 else ""
    return GalaxyError(f"{several}job {worst} of {about['tool_id']} is {bad[worst]}{code}{tail}")


def run_tool(galaxy: Galaxy, history: str, text: str, values: dict[str, Any], timeout: float | None = None
        ) -> list[dict[str, Any]]:
    """What the tool called `text` has made in the history, once it has ended well, as `tool_outputs` gives it; for recipes.

    `values` are `{name: value}`, those of data as tool_run.py takes them, such as `hda:ID`. All that goes wrong is raised.
    """
    tool = find_tool(galaxy, text)
    inputs = ToolRequest(galaxy, tool, history).inputs({name: [value if isinstance(value, str) else Json(value)]
                                                for name, value in values.items()})
    answer = submit_tool(galaxy, run_payload(tool, history, inputs))
    problem = wait_for_tool(galaxy, answer, history, timeout)
    if problem:
        raise problem
    return refresh_outputs(galaxy, tool_outputs(answer))


def read_dataset_text(galaxy: Galaxy, dataset: str) -> str:
    """The text in a dataset, which should be a small one."""
    return decode_text(galaxy.request("GET", f"datasets/{dataset}/display").content, f"dataset {dataset}")
