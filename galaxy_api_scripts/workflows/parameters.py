"""The parameters of a workflow's steps: those that a line sets, those left for run time, and values that steps lack.

All of it is read from the views that `load_whole_workflow` puts into a workflow: `content`, its `.ga` form, and `editor`, in
which each step has its tool's form (`config_form`) with the values that the tool takes.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from common import USAGE, Galaxy, GalaxyError, did_you_mean, format_table, one_line, report_error
from galaxy_api_scripts.tools.catalog import DATA_PARAMS, NO_TOOL_STATUSES, iter_inputs, list_choices, without_numbers
from galaxy_api_scripts.workflows.definition import (
    Workflow,
    describe_limits,
    describe_tools,
    input_details,
    step_connections,
    step_name,
    step_state,
    tool_problems,
    tool_table,
)
from galaxy_api_scripts.workflows.inputs import InputSpec, parse_parameter

CORRECTED = {"allow_tool_state_corrections": True}


def tool_params(workflow: Workflow, index: str) -> dict[str, dict[str, Any]]:
    """`{name: parameter}` of a step's tool, as its form describes them, without those for data, which are connected. A name
    is the one that an invocation takes, such as `operations_0|opcol`. {} where the server lacks the tool."""
    form = (workflow["editor"]["steps"].get(index) or {}).get("config_form") or {}
    return {name: param for name, param, _ in iter_inputs(form.get("inputs") or []) if param["type"] not in DATA_PARAMS}


def find_param(params: dict[str, dict[str, Any]], name: str) -> dict[str, Any] | None:
    """The one of `tool_params` that has this name, whatever repeats it counts."""
    return next((param for known, param in params.items() if without_numbers(known) == without_numbers(name)), None)


def param_settings(param: dict[str, Any] | None) -> dict[str, Any]:
    """A tool's parameter in the form of a workflow input's settings (`InputSpec.settings`)."""
    if not param:
        return {"parameter_type": "text"}
    kind = param["type"] if param["type"] in ("integer", "float", "boolean", "color") else "text"
    values = list_choices(param) or []
    # Galaxy 26.1 takes the words that people see too.
    labels = [option[0] for option in param.get("options") or [] if isinstance(option, list)] if values else []
    return {"parameter_type": kind, "optional": bool(param.get("optional")), "multiple": bool(param.get("multiple")),
            **({"min": param.get("min"), "max": param.get("max")} if kind in ("integer", "float") else {}),
            "restrictions": list(dict.fromkeys([*values, *labels])),
            "words": [param["truevalue"], param["falsevalue"]] if kind == "boolean" else []}


# ------------------------------------------------------------------------------------------------ those that a line sets

def resolve_parameters(workflow: Workflow, parameters: Iterable[tuple[str, str, str]], galaxy: Galaxy | None = None
                       ) -> tuple[dict[str, dict[str, Any]], list[GalaxyError]]:
    """`{tool or index: {name: value}}`, an invocation's parameters, from (tool, name, value) for each; and the errors.

    `tool` is a tool's id, for all its steps, or the index, id, uuid or label of one step; with `galaxy` it may also be
    STEP/STEP of a subworkflow, whose parameters have the key of that. Galaxy 26.1 ignores a tool, a
    step and a name that it does not know, and takes false for any word that is no truth value: they are errors here.
    """
    chosen: dict[str, dict[str, Any]] = {}
    errors = []
    for tool, name, value in parameters:
        try:
            nested = _find_nested_step(workflow, tool) if galaxy else None
            if galaxy and nested:
                key, checked = nested.outer, _check_nested(galaxy, nested, name, value)
                name = nested.prefix + name
            else:
                key, step = _find_tool_step(workflow, tool)
                checked = _check_parameter(workflow, tool, step, name, value)
            if name in chosen.setdefault(key, {}):
                raise GalaxyError(f"parameter {name} of {tool} is given twice", USAGE)
            chosen[key][name] = checked
        except GalaxyError as error:
            errors.append(error)
    return chosen, errors


def _find_tool_step(workflow: Workflow, tool: str) -> tuple[str, str]:
    """An invocation's key for the tool or step that `tool` names, and the index of that step, or of the tool's first."""
    steps, exported = workflow["steps"], workflow["content"]["steps"]
    indexes = [index for index, step in steps.items() if step.get("tool_id")]
    for index in indexes:
        if steps[index]["tool_id"] == tool:
            return tool, index
    names = {index: (index, exported[index].get("label"), exported[index].get("uuid")) for index in indexes}
    same = [workflow["ids"][tool]] if tool in workflow["ids"] and tool not in names else \
        [index for index in indexes if tool in names[index]]
    if len(same) == 1 and same[0] in names:
        return same[0], same[0]
    rows = [{"index": index, "label": one_line(label or ""), "tool": steps[index]["tool_id"], "uuid": uuid or ""}
            for index, label, uuid in names.values()]
    known = [name for row in rows for name in (row["tool"], row["label"]) if name]
    nested = [nested.name for nested in iter_nested_steps(workflow["content"])]
    note = f" (steps of subworkflows are {', '.join(nested)})" if nested else ""
    raise GalaxyError(f"workflow {workflow['name']!r} has no tool or step {tool!r}{did_you_mean(tool, known)}{note}",
                      USAGE, table=format_table(rows, ["index", "label", "tool", "uuid"]))


def _check_parameter(workflow: Workflow, tool: str, index: str, name: str, value: str) -> Any:
    """The value as Galaxy takes it: the text, or of a parameter that takes several a list of them. Raise `GalaxyError`
    (USAGE) for a parameter that Galaxy would ignore, and for a value that it would refuse."""
    step, params = workflow["steps"][index], tool_params(workflow, index)
    param = find_param(params, name)
    has_form = bool((workflow["editor"]["steps"].get(index) or {}).get("config_form"))      # else the server lacks the tool
    if has_form and (not param or not _has_repeats(step, name)):
        raise GalaxyError(f"tool {step['tool_id']} has no parameter {name!r}{did_you_mean(name, params)}", USAGE,
                          table=format_table([{"parameter": known} for known in params]))
    addressed = [other for other in workflow["steps"].values() if other.get("tool_id") == tool] or [step]
    if all(name in (each.get("input_steps") or {}) for each in addressed):    # Galaxy 26.1 ignores the value then
        raise GalaxyError(f"parameter {name} of {tool} comes from an input or another step of the workflow", USAGE)
    return _check_value(tool, index, name, param, value)


def _check_value(tool: str, index: str, name: str, param: dict[str, Any] | None, value: str) -> Any:
    settings = param_settings(param)
    if value in settings.get("words", ()) or (value == "" and settings.get("optional")):
        return value
    try:
        parsed = parse_parameter(InputSpec(index, name, "", "parameter", settings), value)
    except GalaxyError as error:
        raise GalaxyError(f"parameter {name} of {tool}: {error}", USAGE) from None
    return parsed if isinstance(parsed, list) and len(parsed) > 1 else value


class NestedStep(NamedTuple):
    """A tool's step of a subworkflow: its `name`, such as `tidy/head`, the index of the `outer` step, what is put before a
    parameter's name in an invocation's parameters of that, such as `1|`, and the exported step."""

    name: str
    outer: str
    prefix: str
    step: dict[str, Any]


def iter_nested_steps(content: Workflow, above: str = "", outer: str = "", prefix: str = "") -> Iterator[NestedStep]:
    """The steps of an exported workflow's subworkflows that have a tool."""
    for index, step in content["steps"].items():
        name = above + (step.get("label") or index)
        if above and step.get("tool_id"):
            yield NestedStep(name, outer, f"{prefix}{index}|", step)
        if step.get("subworkflow"):
            below = f"{prefix}{index}|" if outer else ""
            yield from iter_nested_steps(step["subworkflow"], f"{name}/", outer or index, below)


def _find_nested_step(workflow: Workflow, name: str) -> NestedStep | None:
    """The one step of a subworkflow that has this name; None where there is none or several."""
    same = [nested for nested in iter_nested_steps(workflow["content"])
            if name in (nested.name, f"{nested.outer}/{nested.prefix[:-1].replace('|', '/')}")]
    return same[0] if len(same) == 1 else None


def _nested_params(galaxy: Galaxy, nested: NestedStep) -> dict[str, dict[str, Any]]:
    """`tool_params` of a subworkflow's step; {} where the server lacks the tool."""
    tool = galaxy.get_or_none(f"tools/{quote(nested.step['tool_id'])}", {"io_details": "true"},
                              absent=(*NO_TOOL_STATUSES, 403)) or {}
    return {name: param for name, param, _ in iter_inputs(tool.get("inputs") or [])}


def _check_nested(galaxy: Galaxy, nested: NestedStep, name: str, value: str) -> Any:
    """What `_check_parameter` does for a step of a subworkflow."""
    params = {known: param for known, param in _nested_params(galaxy, nested).items() if param["type"] not in DATA_PARAMS}
    param = find_param(params, name)
    if params and (not param or not _has_repeats({"tool_inputs": step_state(nested.step)}, name)):
        raise GalaxyError(f"tool {nested.step['tool_id']} has no parameter {name!r}{did_you_mean(name, params)}", USAGE,
                          table=format_table([{"parameter": known} for known in params]))
    if name in (nested.step.get("input_connections") or {}):
        raise GalaxyError(f"parameter {name} of {nested.name} comes from an input or another step of the workflow", USAGE)
    return _check_value(nested.name, nested.outer, name, param, value)


def _has_repeats(step: dict[str, Any], name: str) -> bool:
    """Whether the step has the repeats that a parameter's name counts; Galaxy 26.1 ignores one too many."""
    state: Any = step.get("tool_inputs")
    for part in name.split("|")[:-1]:
        repeat, _, number = part.rpartition("_")
        if isinstance(state, dict) and part in state:
            state = state[part]
        elif isinstance(state, dict) and number.isdecimal() and isinstance(state.get(repeat), list):
            if int(number) >= len(state[repeat]):
                return False
            state = state[repeat][int(number)]
        else:       # in a form that can't be judged
            return True
    return True


# --------------------------------------------------------------------------------------------------- those left for run time

def add_runtime_inputs(galaxy: Galaxy, workflow: Workflow, given: dict[str, dict[str, str]]) -> list[str]:
    """Add what the workflow leaves for run time to its inputs: tools' parameters, as STEP:NAME, and each `${NAME}` of a
    renamed output, as NAME, unless they are among the `given` parameters. Returns what can't be given, a problem each.

    Galaxy 26.1 would take the tool's default, and leave `${NAME}` as it stands.
    """
    content, problems = workflow["content"], []
    for index, step in workflow["editor"]["steps"].items():
        if not step.get("config_form"):
            continue
        name_of = step.get("label") or index
        data = {each["name"]: each for each in step.get("inputs") or [] if isinstance(each, dict)}
        known = {*(step.get("input_connections") or {}), *_given_to(workflow, index, given)}
        for name in _runtime_names(step.get("tool_state") or {}):
            if name in known or (name in data and data[name].get("optional")):
                continue
            if name in data:
                problems.append(f"step {step_name(step)}: nothing is connected to its input {name}, which must have data")
                continue
            settings = param_settings(find_param(tool_params(workflow, index), name))
            _add_input(workflow, f"{index}:{name}", f"{name_of}:{name}", settings)
    for nested in iter_nested_steps(content):
        names = [name for name in _runtime_names(step_state(nested.step))
                 if name not in (nested.step.get("input_connections") or {})
                 and nested.prefix + name not in _given_to(workflow, nested.outer, given)]
        params = _nested_params(galaxy, nested) if names else {}
        for name in names:
            param = find_param(params, name)
            if not param or param["type"] not in DATA_PARAMS:
                _add_input(workflow, f"{nested.outer}:{nested.prefix}{name}", f"{nested.name}:{name}", param_settings(param))
    for name in _rename_names(content):
        _add_input(workflow, f"${{{name}}}", name, {"parameter_type": "text"})
    return problems


def describe_inputs(galaxy: Galaxy, content: Workflow, editor: Workflow) -> list[dict[str, Any]]:
    """`input_details` of an exported workflow, and the same of what it leaves for run time (`add_runtime_inputs`)."""
    left: Workflow = {"inputs": {}, "steps": {}, "content": content, "editor": editor}
    add_runtime_inputs(galaxy, left, {})
    rows = input_details(content)
    for index, about in left["inputs"].items():
        settings = left["steps"][index]["tool_inputs"]
        rows.append({"index": index, "label": about["label"], "kind": settings["parameter_type"], "collection_type": None,
                     "datatypes": [], "optional": bool(settings.get("optional")), "default": None,
                     "choices": settings.get("restrictions") or [], "fields": [], "columns": [],
                     **describe_limits(settings), "annotation": "left for run time", "uuid": ""})
    return rows


def restrict_by_connections(workflow: Workflow) -> None:
    """Give each input that is restricted to what the tools it is connected to take (`restrictOnConnections`) these choices,
    where they are known: not those of a subworkflow's tools, nor those that depend on data."""
    for index in workflow["inputs"]:
        settings = (workflow["steps"].get(index) or {}).get("tool_inputs") or {}
        if not settings.get("restrictOnConnections"):
            continue
        choices: list[list[str]] = []       # of each connection; [] where they are not known
        for reader, step in workflow["content"]["steps"].items():
            params = tool_params(workflow, reader)
            choices += [param_settings(find_param(params, name)).get("restrictions") or []
                        for source, _, name in step_connections(step) if source == index]
        if choices and all(choices):
            settings["restrictions"] = [value for value in choices[0] if all(value in some for some in choices)]


def _given_to(workflow: Workflow, index: str, given: dict[str, dict[str, str]]) -> set[str]:
    """The names of the parameters that are given to a step, by its index or its tool."""
    tool_id = (workflow["steps"].get(index) or {}).get("tool_id")
    return {*given.get(index, {}), *given.get(str(tool_id), {})}


def _add_input(workflow: Workflow, index: str, label: str, settings: dict[str, Any]) -> None:
    workflow["inputs"][index] = {"label": label, "uuid": ""}
    workflow["steps"][index] = {"type": "parameter_input", "tool_inputs": settings}


def split_inputs(inputs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of a run's inputs by the fields of an invocation: `inputs`, and of those that `add_runtime_inputs` has
    added `parameters` (`{index: {name: value}}`) and `replacement_params`."""
    fields: dict[str, dict[str, Any]] = {"inputs": {}, "parameters": {}, "replacement_params": {}}
    for index, value in inputs.items():
        step, _, name = index.partition(":")
        if index.startswith("${"):
            fields["replacement_params"][index[2:-1]] = value
        elif name:
            fields["parameters"].setdefault(step, {})[name] = value
        else:
            fields["inputs"][index] = value
    return fields


def normalize_parameters(workflow: Workflow, parameters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An invocation's fields for its steps' parameters. Those of a subworkflow's steps Galaxy takes only where none is by a
    tool's id, and with the corrections that a run left to them needs (26.1)."""
    steps = workflow["steps"]
    if not any((steps.get(key) or {}).get("type") == "subworkflow" for key in parameters):
        return {"parameters": parameters}
    by_index: dict[str, dict[str, Any]] = {}
    for key in sorted(parameters, key=lambda key: key in steps):        # what is given to one step counts more
        for index in [key] if key in steps else [index for index, step in steps.items() if step.get("tool_id") == key]:
            by_index[index] = {**by_index.get(index, {}), **parameters[key]}
    return {"parameters": by_index, "parameters_normalized": True, **CORRECTED}


def _runtime_names(state: dict[str, Any], above: str = "") -> Iterator[str]:
    """The names of the parameters in a step's state whose values are left for run time."""
    for name, value in state.items():
        if isinstance(value, str) and value[:1] in ("{", "["):      # the editor's view has a JSON text for each value
            try:
                value = json.loads(value)
            except ValueError:
                continue
        if isinstance(value, dict):
            if value.get("__class__") == "RuntimeValue":
                yield above + name
            elif "__class__" not in value:
                yield from _runtime_names(value, f"{above}{name}|")
        elif isinstance(value, list):
            for number, part in enumerate(value):
                if isinstance(part, dict):
                    yield from _runtime_names(part, f"{above}{name}_{number}|")


def _rename_names(content: Workflow) -> list[str]:
    """The NAMEs of each `${NAME}` in what steps do with their outputs, without labels of the workflow's own parameters:
    Galaxy fills these in."""
    labels = {step.get("label") for step in content["steps"].values() if step.get("type") == "parameter_input"}
    texts = (str(argument) for step in content["steps"].values()
             for action in (step.get("post_job_actions") or {}).values()
             for argument in (action.get("action_arguments") or {}).values())
    inner = (name for step in content["steps"].values() if step.get("subworkflow")
             for name in _rename_names(step["subworkflow"]))
    names = [*(name for text in texts for name in re.findall(r"\$\{(.+?)\}", text) if name not in labels), *inner]
    return list(dict.fromkeys(names))


# ------------------------------------------------------------------------------------------------ values that steps lack

def require_runnable(galaxy: Galaxy, workflow: Workflow, given: dict[str, dict[str, str]]) -> None:
    """For the old scripts: raise `GalaxyError` for a workflow that Galaxy would refuse to run with the `given` parameters,
    report what it leaves for run time, which Galaxy then takes as the tools have it."""
    problems = tool_problems(galaxy, workflow["id"], workflow["content"], workflow["editor"])
    missing = [row for row in problems if row["is_missing"]]
    if missing:
        raise GalaxyError(f"the server lacks {describe_tools(missing)}, so nothing was sent",
                          table=tool_table(missing))
    for problem in missing_values(workflow, given):
        raise GalaxyError(f"{problem} workflow_run.py --allow-corrections accepts this")
    left = {**workflow, "inputs": {}, "steps": dict(workflow["steps"])}
    add_runtime_inputs(galaxy, left, given)
    if left["inputs"]:
        names = ", ".join(about["label"] for about in left["inputs"].values())
        report_error(f"warning: {names}: left for run time, so the default is taken; workflow_run.py can set it")


def missing_values(workflow: Workflow, given: dict[str, dict[str, str]]) -> list[str]:
    """What Galaxy would refuse the run for, a line for each step that leaves out values of its tool: its own words in the
    editor's view. Of `given` parameters, and of those that are connected, it says so too (26.1); they are left out."""
    problems = []
    for index, messages in (workflow["editor"].get("upgrade_messages") or {}).items():
        step = workflow["content"]["steps"].get(index) or {}
        texts = [text for name, text in _complaints(messages, step) if name not in _given_to(workflow, index, given)]
        if texts:
            name = step_name(step or {"id": index, "type": "tool"})
            problems.append(f"step {name} lacks values that its tool needs: {' '.join(texts)}")
    return problems


def _complaints(messages: Any, step: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The parameter's name and the text of each message that a submission is refused for."""
    if not isinstance(messages, dict):
        if above not in (step.get("input_connections") or {}) and \
                not re.search("RuntimeValue|Using version '|will be used instead|Ignoring duplicate labels", str(messages)):
            yield above, str(messages)
        return
    for name, inner in messages.items():
        number = re.fullmatch("Step ([0-9]+)", name)
        if number and step.get("subworkflow"):      # of a subworkflow, counted from 1
            yield from _complaints(inner, step["subworkflow"]["steps"].get(str(int(number[1]) - 1)) or {})
        else:
            yield from _complaints(inner, step, f"{above}|{name}" if above else name)
