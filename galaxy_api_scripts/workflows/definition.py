"""Workflows: a file as Galaxy imports it, a run's inputs and parameters by name."""
from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from common import USAGE, Galaxy, GalaxyError, format_table, one_line, read_text, report_error
from galaxy_api_scripts.datasets.references import DATA_SOURCES
from galaxy_api_scripts.tools.catalog import DATA_PARAMS, did_you_mean, iter_inputs, without_numbers

DATA_INPUTS = {"data_input": "dataset", "data_collection_input": "collection"}


# ------------------------------------------------------------------------------------------------------- from a file

def import_payload(text: str, where: str) -> dict[str, Any]:
    """What POST /api/workflows takes to import the `.ga` or Format 2 file with this text, which messages call `where`."""
    kind, content = "JSON", None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        import yaml
        try:
            kind, content = "YAML", yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            line = getattr(error, "problem_mark", None)
            raise GalaxyError(f"{where}: no workflow: neither JSON nor YAML{f', line {line.line + 1}' if line else ''}",
                          USAGE) from None
    if isinstance(content, dict) and (content.get("class") == "GalaxyWorkflow" or "$graph" in content):
        graph = content.get("$graph", [{"id": "main"}])
        names = [one.get("id") if isinstance(one, dict) else None for one in graph] if isinstance(graph, list) else []
        if names.count("main") != 1 or not all(isinstance(name, str) for name in names):
            raise GalaxyError(f"{where}: no workflow: $graph is a list of workflows, each with its id, and one of these is main",
                          USAGE)
        return {"workflow": {"class": "GalaxyWorkflow", "yaml_content": text}}
    if kind == "YAML" or not isinstance(content, dict) or not isinstance(content.get("steps"), dict):
        raise GalaxyError(f"{where}: no workflow: neither a .ga file, JSON with steps, nor a Format 2 file, which says class: "
                      "GalaxyWorkflow", USAGE)
    if not content.get("name") or not isinstance(content["name"], str):
        raise GalaxyError(f"{where}: the workflow has no name, which Galaxy wants", USAGE)
    odd = [one_line(index) for index, step in content["steps"].items() if not isinstance(step, dict)]
    if odd:
        raise GalaxyError(f"{where}: no workflow: what it has for step {odd[0]} is none", USAGE)
    for name, nothing in (("annotation", ""), ("tags", [])):
        if content.get(name) is None:       # Galaxy 26.1 answers 500 and says nothing more
            content[name] = nothing
    return {"workflow": content}


def resolve_workflow(galaxy: Galaxy, text: str) -> str:
    """The id of the workflow that a command line names by its id, its exact name, or a `.ga` or Format 2 file, which is
    imported unless that was done before."""
    if os.path.isfile(text):
        return import_once(galaxy, text)
    if os.path.isdir(text) or text.lower().endswith((".ga", ".yml", ".yaml", ".json")):
        raise GalaxyError(f"{text}: no such file", USAGE)
    found = find_workflow(galaxy, text)
    if found.get("deleted"):
        raise GalaxyError(f"workflow {found['id']} ({found['name']}) is deleted: undelete it in Galaxy, or name another")
    return str(found["id"])


def import_once(galaxy: Galaxy, path: str) -> str:
    """The id of the user's workflow that is the file's very content, imported where there is none.

    The content's hash is the workflow's uuid, which Galaxy keeps, shows in its list (`latest_workflow_uuid`), and changes
    when somebody edits the workflow (26.1). Where two runs import it at the same moment, the older import stays.
    """
    payload = import_payload(read_text(path), path)
    form = payload["workflow"]
    content = _format2(form["yaml_content"]) if "yaml_content" in form else form
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
    mark = str(uuid.UUID(bytes=digest[:16], version=4))
    known = _find_by_uuid(galaxy, mark)
    if known:
        return known[0]
    main = content
    if "$graph" in content:
        main = next((one for one in content["$graph"] if one.get("id") == "main"), content)
    main["uuid"] = mark
    if "yaml_content" in form:
        form["yaml_content"] = json.dumps(content, default=str)     # which is YAML too
    made = str(galaxy.post("workflows", payload)["id"])
    first = (_find_by_uuid(galaxy, mark) or [made])[0]
    if first != made:
        galaxy.delete(f"workflows/{made}")
    return first


def _find_by_uuid(galaxy: Galaxy, mark: str) -> list[str]:
    """The ids of the user's workflows with that uuid, the oldest first."""
    known = [one for one in galaxy.pages("workflows") if one.get("latest_workflow_uuid") == mark and not one.get("deleted")]
    return [str(one["id"]) for one in sorted(known, key=lambda one: one.get("create_time") or "")]


def _format2(text: str) -> dict[str, Any]:
    import yaml
    return dict(yaml.safe_load(text))


def warn_missing_tools(galaxy: Galaxy, workflow_id: str) -> None:
    """Say on standard error which of the workflow's tools the server lacks: Galaxy imports it all the same."""
    try:
        missing, replaced = tool_problems(galaxy, workflow_id)
    except GalaxyError as error:
        report_error(f"workflow {workflow_id} is imported, but whether the server has its tools can't be told: {error}")
        return
    if missing:
        report_error(f"workflow {workflow_id} is imported, but can't run until the server's administrator installs "
                 f"{', '.join(missing)}")
    if replaced:
        report_error(f"workflow {workflow_id} is imported, but runs other versions of some tools: {', '.join(replaced)}")


# ------------------------------------------------------------------------------------------------- what is in a workflow

def find_workflow(galaxy: Galaxy, text: str) -> dict[str, Any]:
    """The workflow whose id, or else exact name, is `text`; none or several are refused."""
    if not text.strip():
        raise GalaxyError("WORKFLOW is empty: is a variable unset?", USAGE)
    return galaxy.resolve("workflows", text)


def export_workflow(galaxy: Galaxy, workflow_id: str) -> dict[str, Any]:
    """The workflow as a `.ga` file has it. Galaxy answers in Format 2 where its administrator says so, unless told."""
    answer: dict[str, Any] = galaxy.get(f"workflows/{workflow_id}/download", {"style": "ga"})
    return answer


def missing_tools(galaxy: Galaxy, workflow_id: str, workflow: dict[str, Any] | None = None) -> list[str]:
    """The tools without which the workflow can't run on this server; see `tool_problems`."""
    return tool_problems(galaxy, workflow_id, workflow)[0]


def tool_problems(galaxy: Galaxy, workflow_id: str, workflow: dict[str, Any] | None = None) -> tuple[list[str], list[str]]:
    """The tools without which the workflow can't run on this server, and those that run in another version than it names,
    each as `ID (VERSION)` or `ID (VERSION; the server has VERSION)`; the tools of subworkflows too.

    `workflow` is what `export_workflow` says of it, where that is known: it tells which tools are not there at all. Which version
    would take a tool's place is asked of the editor's view, one request for all. Galaxy 26.1 refuses to run another version
    of a Tool Shed's tool, whose id has the version in it, and runs another version of any other tool (measured).
    """
    workflow = workflow or export_workflow(galaxy, workflow_id)
    missing: dict[str, None] = dict.fromkeys(_missing_tools(workflow))
    replaced: dict[str, None] = {}
    steps = {index: step for index, step in workflow["steps"].items() if not step.get("errors")}
    if any(step.get("tool_id") or step.get("subworkflow") for step in steps.values()):
        editor = galaxy.get(f"workflows/{workflow_id}/download", {"style": "editor"})
        for tool, wanted, there in _other_versions(steps, editor):
            (missing if "/repos/" in tool else replaced)[f"{tool} ({wanted}; the server has {there})"] = None
    return list(missing), list(replaced)


def _other_versions(steps: dict[str, Any], editor: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The tools that the server has in another version than the steps name: id, that version, the server's version."""
    for index, step in steps.items():
        there = editor["steps"].get(index, {}).get("tool_version")
        if step.get("tool_id") and step.get("tool_version") and there not in (None, step["tool_version"]):
            yield step["tool_id"], step["tool_version"], there
        if step.get("subworkflow"):     # of its steps there is only a text for people
            told = " ".join(map(str, (editor.get("upgrade_messages") or {}).get(index, {}).values()))
            for tool, there, wanted in re.findall(_OTHER_VERSION, told):
                yield tool, wanted, there


_OTHER_VERSION = r"tool id '([^']+)'[^>]*>Using version '([^']+)' instead of version '([^']+)'"


def _missing_tools(exported: dict[str, Any]) -> Iterator[str]:
    for step in exported["steps"].values():
        if step.get("errors") and step.get("tool_id"):
            yield f"{step['tool_id']} ({step['tool_version']})" if step.get("tool_version") else step["tool_id"]
        if step.get("subworkflow"):
            yield from _missing_tools(step["subworkflow"])


def input_details(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """The inputs of a workflow as `export_workflow` gives it: `index`, `label` (None where it has none), `kind` (dataset,
    collection, or a parameter's type), `collection_type`, `datatypes`, `optional`, `default`, `choices`, `annotation`,
    `uuid`. An input that has a default is optional."""
    rows = []
    for index, step in workflow["steps"].items():
        if step["type"] not in (*DATA_INPUTS, "parameter_input"):
            continue
        asked = step_state(step)
        asked = asked.get("parameter_definition") or asked      # of workflows that old servers saved
        choices = [one.get("value") if isinstance(one, dict) else one
                   for one in asked.get("restrictions") or asked.get("suggestions") or []]
        rows.append({
            "index": index, "label": step.get("label") or None,
            "kind": DATA_INPUTS.get(step["type"]) or asked.get("parameter_type") or "text",
            "collection_type": asked.get("collection_type") or None, "datatypes": list(asked.get("format") or []),
            "optional": _is_optional(asked), "default": asked.get("default"), "choices": choices,
            "annotation": step.get("annotation") or None, "uuid": step.get("uuid")})
    return rows


def step_details(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a workflow as `export_workflow` gives it that are no inputs: `index`, `label`, `type` (tool, subworkflow, pause,
    pick_value), `tool`, `version`, `from` (the names of the steps that feed it, see `step_name`), `when`, `outputs` (the
    labels of the workflow's), `state` and `annotation`."""
    steps = workflow["steps"]
    rows = []
    for index, step in steps.items():
        if step["type"] in (*DATA_INPUTS, "parameter_input"):
            continue
        inner = step.get("subworkflow") or {}
        rows.append({
            "index": index, "label": step.get("label") or None, "type": step["type"],
            "tool": step.get("tool_id") or inner.get("name"), "version": step.get("tool_version"),
            "from": list(dict.fromkeys(step_name(steps[source]) for source, _, _ in step_connections(step) if source in steps)),
            "when": step.get("when"), "outputs": output_labels(step), "state": step_state(step),
            "annotation": step.get("annotation") or None})
    return rows


def step_name(step: dict[str, Any]) -> str:
    """An exported step's index and label, or else what it is, for people."""
    return one_line(f"{step['id']} {step.get('label') or step.get('name') or step.get('tool_id') or step['type']}")


def step_connections(step: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What an exported step is fed with: the index of the step it comes from, that step's output, and the input here."""
    for name, sources in (step.get("input_connections") or {}).items():
        for source in sources if isinstance(sources, list) else [sources]:
            yield str(source["id"]), source["output_name"], name


def output_labels(step: dict[str, Any]) -> list[str]:
    """The labels, or else the names, of the workflow's outputs that an exported step makes."""
    return [one_line(one.get("label") or one["output_name"]) for one in step.get("workflow_outputs") or []]


def step_state(step: dict[str, Any]) -> dict[str, Any]:
    """The settings of an exported step, without what Galaxy keeps there for itself."""
    state = step.get("tool_state") or {}
    if isinstance(state, str):
        try:
            state = json.loads(state)
        except ValueError:
            state = {}
    return {name: value for name, value in state.items() if not name.startswith("__")} if isinstance(state, dict) else {}


# ----------------------------------------------------------------------------------------------- what a run is given

def load_workflow(galaxy: Galaxy, workflow_id: str, steps: Iterable[str] = ()) -> dict[str, Any]:
    """`GET /api/workflows/ID`'s answer, with `ids` added: `{step's id: its index}`.

    `steps` are the user's names of steps. The ids, which old servers showed in place of the index and Galaxy 26.1 tells
    when asked for `legacy`, are looked up only where one of these is a number but no index.
    """
    workflow: dict[str, Any] = galaxy.get(f"workflows/{workflow_id}")
    workflow["ids"] = {}
    if any(step.isdecimal() and step not in workflow["steps"] for step in steps):
        old = galaxy.get(f"workflows/{workflow_id}", {"legacy": "true"})
        workflow["ids"] = dict(zip(old["steps"], workflow["steps"]))    # both in the workflow's order
    return workflow


def parse_step_dataset(text: str) -> tuple[str, str, str]:
    """The three parts of `STEP=SRC=ID`; a usage error where it is not that."""
    parts = text.rsplit("=", 2)     # from the right: a label may have = in it
    if len(parts) != 3 or not all(parts) or parts[1] not in DATA_SOURCES:
        raise GalaxyError(f"{text!r} is not STEP=SRC=ID with SRC one of {', '.join(DATA_SOURCES)}", USAGE)
    return parts[0], parts[1], parts[2]


def input_rows(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """The workflow's inputs, as people choose among them: `index`, `label`, `takes`, `optional`, `uuid`, `default`."""
    rows = []
    for index, found in workflow["inputs"].items():
        kind, asked = _input(workflow, index)
        wanted = asked.get("collection_type") or ", ".join(asked.get("format") or []) or asked.get("parameter_type")
        rows.append({"index": index, "label": one_line(found.get("label") or ""),
                     "takes": DATA_INPUTS.get(kind, "parameter") + (f" ({wanted})" if wanted else ""),
                     "optional": "yes" if _is_optional(asked) else "no", "uuid": found.get("uuid") or "",
                     "default": asked.get("default")})
    return rows


def input_index(workflow: dict[str, Any], step: str) -> str:
    """The index of the input that `step` names by index, label, uuid or id in `load_workflow`'s answer.

    Raises `GalaxyError` with a table of the inputs where none is called so, or more than one.
    """
    inputs = workflow["inputs"]
    fitting = [index for index, wanted in inputs.items() if step in (index, wanted.get("label"), wanted.get("uuid"))]
    if not fitting and workflow["ids"].get(step) in inputs:
        fitting = [workflow["ids"][step]]
    if len(fitting) > 1:
        raise input_error(workflow, f"{step!r} is {len(fitting)} inputs of workflow {workflow['name']!r}, by index or "
                           "label: name the one you mean by its uuid")
    if not fitting:
        labels = [wanted["label"] for wanted in inputs.values() if wanted.get("label")]
        raise input_error(workflow, f"workflow {workflow['name']!r} has no input {step!r}{did_you_mean(step, labels)}")
    return fitting[0]


def resolve_inputs(workflow: dict[str, Any], datasets: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """`{index: {"src": ..., "id": ...}}`, as an invocation takes its inputs, from (step, src, id) for each dataset.

    Raises `GalaxyError`, with a table of the inputs, for a step that is no input, one that is given twice, and a dataset
    that is missing.
    """
    inputs: dict[str, dict[str, str]] = {}
    for step, src, dataset in datasets:
        index = input_index(workflow, step)
        if index in inputs:
            raise input_error(workflow, f"input {_input_name(workflow, index)} is given twice")
        kind, _ = _input(workflow, index)
        if kind not in DATA_INPUTS:
            raise input_error(workflow, f"input {_input_name(workflow, index)} is a parameter and takes no dataset")
        if kind == "data_collection_input" and src != "hdca":   # Galaxy 26.1 takes it, and the run goes wrong or astray
            raise input_error(workflow, f"input {_input_name(workflow, index)} takes a collection: {index}=hdca=ID")
        inputs[index] = {"src": src, "id": dataset}
    for index in workflow["inputs"]:
        kind, asked = _input(workflow, index)
        if index in inputs or _is_optional(asked):
            continue
        if kind not in DATA_INPUTS:
            raise input_error(workflow, f"input {_input_name(workflow, index)} is a parameter without a default, which can't be "
                              f"given here: create.py - /api/workflows/{workflow['id']}/invocations inputs:='{{...}}' can")
        src = "hda" if kind == "data_input" else "hdca"
        raise input_error(workflow, f"input {_input_name(workflow, index)} is missing: {index}={src}=ID gives it a "
                           f"{DATA_INPUTS[kind]}")
    return inputs


def resolve_parameters(galaxy: Galaxy, workflow: dict[str, Any],
                      parameters: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """`{tool or index: {name: value}}`, as an invocation takes its parameters, from (tool, name, value) for each.

    `tool` is a tool's id, for all its steps, or the index, id, uuid or label of one step. Galaxy 26.1 ignores a tool, a
    step or a name that it does not know, so these are refused here, with a table of what there is.
    """
    chosen: dict[str, dict[str, str]] = {}
    known: dict[str, list[str]] = {}
    for tool, name, value in parameters:
        key, step = _tool_step(galaxy, workflow, tool)
        if step["tool_id"] not in known:
            known[step["tool_id"]] = _parameters_of(galaxy, step)
        names = known[step["tool_id"]]
        if names and (without_numbers(name) not in map(without_numbers, names) or not _has_repeats(step, name)):
            raise GalaxyError(f"tool {step['tool_id']} has no parameter {name!r}{did_you_mean(name, names)}", USAGE,
                          table=format_table([{"parameter": one} for one in names]))
        steps = workflow["steps"]
        meant = [step] if key in steps else [one for one in steps.values() if one.get("tool_id") == tool]
        if all(name in (one.get("input_steps") or {}) for one in meant):    # Galaxy 26.1 ignores the value then
            raise GalaxyError(f"parameter {name} of {tool} comes from an input or another step of the workflow", USAGE)
        if name in chosen.setdefault(key, {}):
            raise GalaxyError(f"parameter {name} of {tool} is given twice", USAGE)
        chosen[key][name] = value
    return chosen


def _tool_step(galaxy: Galaxy, workflow: dict[str, Any], tool: str) -> tuple[str, dict[str, Any]]:
    """What an invocation calls the tool or step that `tool` names, and the step, the first of the tool's."""
    steps = {index: step for index, step in workflow["steps"].items() if step.get("tool_id")}
    for step in steps.values():
        if step["tool_id"] == tool:
            return tool, step
    index = tool if tool in steps else workflow["ids"].get(tool)
    if index not in steps:      # only an export tells the labels of steps that are no inputs
        exported = galaxy.get(f"workflows/{workflow['id']}/download")["steps"]
        named = [one for one in steps if tool in (exported[one].get("label"), exported[one].get("uuid"))]
        if len(named) != 1:
            rows = [{"index": one, "label": one_line(exported[one].get("label") or ""), "tool": step["tool_id"],
                     "uuid": exported[one].get("uuid") or ""} for one, step in steps.items()]
            names = [name for row in rows for name in (row["tool"], row["label"]) if name]
            inner = ""
            if any(step.get("type") == "subworkflow" for step in workflow["steps"].values()):
                inner = " (those of subworkflows can't be set)"
            raise GalaxyError(f"workflow {workflow['name']!r} has no tool or step {tool!r}{inner}{did_you_mean(tool, names)}", USAGE,
                          table=format_table(rows, ["index", "label", "tool", "uuid"]))
        index = named[0]
    return index, steps[index]


def _parameters_of(galaxy: Galaxy, step: dict[str, Any]) -> list[str]:
    """The names that the parameters of a step's tool have in an invocation, such as `operations_0|opcol`."""
    try:
        tool = galaxy.get(f"tools/{quote(step['tool_id'])}", {"io_details": "true", "tool_version": step["tool_version"]})
    except GalaxyError as error:
        if error.status == 404:     # Galaxy refuses the run, naming all the tools that it lacks
            return []
        raise
    names = [name for name, param, _ in iter_inputs(tool["inputs"]) if param["type"] not in DATA_PARAMS]     # those are connected
    return list(dict.fromkeys(names))


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


def input_error(workflow: dict[str, Any], words: str) -> GalaxyError:
    """The refusal in these words, with a table of the workflow's inputs."""
    return GalaxyError(words, USAGE, table=format_table(input_rows(workflow), ["index", "label", "takes", "optional", "uuid"]))


def _input(workflow: dict[str, Any], index: str) -> tuple[str, dict[str, Any]]:
    """The type of an input's step, and what it asks for."""
    step = workflow["steps"].get(index, {})
    return step.get("type", "data_input"), step.get("tool_inputs") or {}


def _is_optional(asked: dict[str, Any]) -> bool:
    return bool(asked.get("optional")) or asked.get("default") is not None


def _input_name(workflow: dict[str, Any], index: str) -> str:
    """An input's index and label, for messages."""
    return f"{index} ({workflow['inputs'][index].get('label') or 'no label'})"
