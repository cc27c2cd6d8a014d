"""One run of a tool: its request checked, sent, waited for; its outputs."""
from __future__ import annotations

import functools
import re
from typing import Any

from common import STILL_RUNNING, USAGE, Galaxy, GalaxyError, did_you_mean, one_line, read_text
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, job_stderr
from galaxy_api_scripts.polling import fetch_datasets, wait_jobs
from galaxy_api_scripts.tools.catalog import (
    DATA_PARAMS,
    Param,
    find_tool,
    input_table,
    is_required,
    iter_inputs,
    tool_input_rows,
    without_numbers,
)
from galaxy_api_scripts.tools.values import DataValues, InputProblem, JsonValue, convert_value, split_values


def check_inputs(galaxy: Galaxy, tool: dict[str, Any], history: str | None, values: dict[str, list[Any]]) -> dict[str, Any]:
    """The `inputs` that POST /api/tools takes, from what `parse_tool_inputs` returns. `history` is the id of the history
    that `hid:N` counts in; None for a new one, which is empty.

    Raises `GalaxyError` (USAGE), with a table of the tool's inputs, for an unknown name, a value of another type, and a
    missing input; `ReferenceProblem` for data that can't be used.
    """
    data = DataValues(galaxy, history)
    try:
        params = {name: param for name, param, _ in iter_inputs(
            tool["inputs"], pick_cases=functools.partial(_chosen_case, values),
            count_repeats=functools.partial(_count_repeats, values))}
        for name in values:
            if name not in params:
                raise InputProblem(f"has no input {name!r}{_unknown_hint(tool, name, params)}")
        for name, param in params.items():
            if name not in values and is_required(param):
                label = one_line(param.get("label") or param["type"])
                raise InputProblem(f"needs {name} ({label}): {name}={_example(param)}")
        return {name: _convert(data, name, param, values[name]) for name, param in params.items() if name in values}
    except InputProblem as problem:
        raise GalaxyError(f"tool {tool['id']} {problem}", USAGE, table=input_table(tool_input_rows(tool))) from None


def _unknown_hint(tool: dict[str, Any], name: str, params: dict[str, Param]) -> str:
    """Why the run has no input of that name: the choice that it depends on, or the nearest name."""
    rows = tool_input_rows(tool)
    cases = [row["when"] for row in rows if without_numbers(row["name"]) == without_numbers(name)]
    if cases and cases[-1]:
        cases = list(filter(None, cases))
        return f" unless {' or '.join(cases[:2])}{' ...' if len(cases) > 2 else ''} is given"
    return did_you_mean(name, [*params, *(row["name"] for row in rows)])


def _convert(data: DataValues, name: str, param: Param, values: list[Any]) -> Any:
    multiple = bool(param.get("multiple"))
    plain = [value.value if isinstance(value, JsonValue) else value for value in values]
    if len(values) > 1 and not multiple:
        hint = ": a collection is mapped over: hdca:ID" if param["type"] == "data" else ""
        raise InputProblem(f"takes one {name}, and {len(values)} are given{hint}")
    if param["type"] in DATA_PARAMS:
        return data.convert(name, param, plain)
    if multiple and param["type"] in ("select", "data_column", "drill_down", "genomebuild"):
        if len(plain) == 1:
            plain = plain[0] if isinstance(plain[0], list) else split_values(param, plain[0])
        return [convert_value(name, param, value) for value in plain]
    return convert_value(name, param, plain[0])


def _chosen_case(values: dict[str, list[Any]], test: str, param: Param) -> list[Param]:
    """The case of a conditional that the value of its test parameter `test` chooses, or that Galaxy's own value does."""
    value = values[test][-1] if test in values else param["test_param"].get("value")
    return [case for case in param["cases"] if _chooses(param["test_param"], value, case["value"])][:1]


def _count_repeats(values: dict[str, list[Any]], name: str, param: Param) -> int:
    """How many of a repeat a run has; `InputProblem` where the values leave one out, or are too many."""
    matches = [re.match(rf"{re.escape(name)}_(\d+)\|", key) for key in values]
    numbers = {int(match.group(1)) for match in matches if match}
    gaps = set(range(len(numbers))) - numbers
    if gaps:
        raise InputProblem(f"has {name}_0, {name}_1 ... without gaps: {name}_{min(gaps)} is missing")
    # Galaxy makes as many as the larger of min and default by itself.
    count = max([int(param.get("min") or 0), int(param.get("default") or 0), *(number + 1 for number in numbers)])
    # Galaxy up to 26.0 writes no limit as "__Infinity__".
    if str(param.get("max")).isdecimal() and count > int(param["max"]):
        raise InputProblem(f"takes {name} {param['max']} times at most")
    return count


def _chooses(param: Param, value: Any, case: str) -> bool:
    """Whether a conditional's test parameter with this value chooses the case."""
    value = value.value if isinstance(value, JsonValue) else value
    if param["type"] != "boolean":
        return str(value) == case
    own = {param.get("truevalue"): True, param.get("falsevalue"): False}
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    truth = [own[word] if word and word in own else words.get(str(word).lower(), bool(word)) for word in (value, case)]
    return truth[0] == truth[1]


def _example(param: Param) -> str:
    return {"data": "hda:ID", "data_collection": "hdca:ID", "data_column": "NUMBER", "integer": "NUMBER",
            "float": "NUMBER"}.get(param["type"], "VALUE")


# --------------------------------------------------------------------------------------------------- sending and waiting

def run_payload(tool: dict[str, Any], history: str, inputs: dict[str, Any], cached: bool = False) -> dict[str, Any]:
    """The body of POST /api/tools; where `cached`, Galaxy may take the results of an equal job that has run before."""
    return {"history_id": history, "tool_id": tool["id"], "tool_version": tool["version"], "inputs": inputs,
            **({"use_cached_job": True} if cached else {})}


def submit_tool(galaxy: Galaxy, data: dict[str, Any]) -> dict[str, Any]:
    """Galaxy's answer to a `run_payload`: the `jobs` it made, and their outputs. If the answer is lost, the tool is not
    run again."""
    try:
        answer: dict[str, Any] = galaxy.post("tools", data)
    except GalaxyError as error:
        if not error.lost:
            raise
        raise GalaxyError(f"{error}; the tool may run: see what is new in the history before you run it again: "
                          f"dataset_list.py - - {data['history_id']}", error.exit_code, lost=True) from None
    return answer


def tool_outputs(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What a run makes, from `submit_tool`'s answer: dicts of `output`, `src`, `id`, `hid`, `name`, `extension` (a
    collection's type), `state`. Where the tool is mapped over a collection, they are the collections, not their elements."""
    rows = []
    for output in answer.get("implicit_collections") or [*answer.get("outputs", []), *answer.get("output_collections", [])]:
        is_collection = "collection_type" in output
        extension = output["collection_type"] if is_collection else output.get("extension") or output.get("file_ext")
        rows.append({"output": output.get("output_name"), "src": "hdca" if is_collection else "hda", "id": output["id"],
                     "hid": output.get("hid"), "name": output.get("name"), "extension": extension,
                     "state": output.get("populated_state" if is_collection else "state")})
    return rows


def refresh_outputs(galaxy: Galaxy, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `tool_outputs` with Galaxy's present values."""
    keys = ("hid", "name", "extension", "state")
    datasets = dict(fetch_datasets(galaxy, [output["id"] for output in outputs if output["src"] == "hda"], keys))
    rows = []
    for output in outputs:
        about = datasets.get(output["id"])
        if output["src"] == "hdca":
            about = galaxy.get(f"dataset_collections/{output['id']}", {"instance_type": "history", "view": "collection"})
            about = {"state": about["populated_state"]}
        rows.append({**output, **{key: about[key] for key in keys if key in about}} if isinstance(about, dict) else output)
    return rows


def wait_for_tool(galaxy: Galaxy, answer: dict[str, Any], history: str, timeout: float | None = None) -> GalaxyError | None:
    """Wait until all jobs of a run have ended; None where all succeeded.

    Otherwise returns the error to raise: the first job that failed, with its exit code and the last line of its standard
    error, or STILL_RUNNING after `timeout` seconds.
    """
    jobs = [job["id"] for job in answer.get("jobs") or []]
    try:
        states = wait_jobs(galaxy, history, jobs, timeout) if jobs else {}
    except GalaxyError as error:
        if error.exit_code != STILL_RUNNING:
            raise
        return error
    failed = {job: state for job, state in states.items() if state not in SUCCESS_STATES}
    if not failed:
        return None
    worst = min(failed, key=lambda job: failed[job] != "error")
    about = galaxy.get(f"jobs/{worst}", {"full": "true"})
    stderr = job_stderr(about).splitlines()
    code = f", exit code {about['exit_code']}" if about.get("exit_code") is not None else ""
    tail = f": {stderr[-1][:200]}" if stderr else ""
    count = f"{len(failed)} of {len(jobs)} jobs failed; " if len(jobs) > 1 else ""
    return GalaxyError(f"{count}job {worst} of {about['tool_id']} is {failed[worst]}{code}{tail}")


def run_tool(galaxy: Galaxy, history: str, text: str, values: dict[str, Any], timeout: float | None = None
             ) -> list[dict[str, Any]]:
    """Run the tool whose id or exact name is `text`, wait for its end, and return its outputs as `tool_outputs` does; for
    recipes.

    `values` are `{name: value}`, data as tool_run.py takes them, such as `hda:ID`. Raises `GalaxyError` for all that
    `check_inputs` and `wait_for_tool` find wrong.
    """
    tool = find_tool(galaxy, text)
    inputs = check_inputs(galaxy, tool, history, {name: [value if isinstance(value, str) else JsonValue(value)]
                                                  for name, value in values.items()})
    answer = submit_tool(galaxy, run_payload(tool, history, inputs))
    problem = wait_for_tool(galaxy, answer, history, timeout)
    if problem:
        raise problem
    return refresh_outputs(galaxy, tool_outputs(answer))


def read_dataset_text(galaxy: Galaxy, dataset: str) -> str:
    """The text of a dataset, read into memory."""
    content = galaxy.request("GET", f"datasets/{dataset}/display").content
    try:
        return read_text(f"dataset {dataset}", content=content)
    except GalaxyError as error:
        raise GalaxyError(str(error)) from None     # no usage error
