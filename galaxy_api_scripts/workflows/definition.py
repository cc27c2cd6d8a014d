"""Workflows: imported from files, described for people, and the inputs and parameters of a run by name."""
from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from common import USAGE, Galaxy, GalaxyError, did_you_mean, format_table, one_line, read_text, report_error
from galaxy_api_scripts.tools.catalog import DATA_PARAMS, iter_inputs, without_numbers
from galaxy_api_scripts.workflows.inputs import INPUT_KINDS, InputSpec, input_specs

Workflow = dict[str, Any]       # in the form that the docstring names: GET /api/workflows/ID's, or a .ga file's


# ------------------------------------------------------------------------------------------------------ import from files

def import_payload(text: str, where: str) -> dict[str, Any]:
    """The body of POST /api/workflows that imports the `.ga` or Format 2 file with this text; messages call it `where`."""
    kind, content = "JSON", None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        import yaml
        try:
            kind, content = "YAML", yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            line = getattr(error, "problem_mark", None)
            raise GalaxyError(f"{where}: not a workflow: neither JSON nor YAML{f', line {line.line + 1}' if line else ''}",
                              USAGE) from None
    if isinstance(content, dict) and (content.get("class") == "GalaxyWorkflow" or "$graph" in content):
        graph = content.get("$graph", [{"id": "main"}])
        ids = [part.get("id") if isinstance(part, dict) else None for part in graph] if isinstance(graph, list) else []
        if ids.count("main") != 1 or not all(isinstance(name, str) for name in ids):
            raise GalaxyError(f"{where}: not a workflow: $graph must be a list of workflows with an id each, one of "
                              "them main", USAGE)
        return {"workflow": {"class": "GalaxyWorkflow", "yaml_content": text}}
    if kind == "YAML" or not isinstance(content, dict) or not isinstance(content.get("steps"), dict):
        raise GalaxyError(f"{where}: not a workflow: neither a .ga file (JSON with steps) nor a Format 2 file (class: "
                          "GalaxyWorkflow)", USAGE)
    if not content.get("name") or not isinstance(content["name"], str):
        raise GalaxyError(f"{where}: the workflow has no name, and Galaxy requires one", USAGE)
    broken = [one_line(index) for index, step in content["steps"].items() if not isinstance(step, dict)]
    if broken:
        raise GalaxyError(f"{where}: not a workflow: its step {broken[0]} is not an object", USAGE)
    for name, default in (("annotation", ""), ("tags", [])):
        if content.get(name) is None:       # Galaxy 26.1 answers 500 and says nothing more
            content[name] = default
    return {"workflow": content}


def resolve_workflow(galaxy: Galaxy, text: str) -> str:
    """The id of the workflow whose id or exact name is `text`, or that is the content of the `.ga` or Format 2 file `text`,
    which is imported if it was not before. Raises `GalaxyError`, also for a deleted workflow."""
    if os.path.isfile(text):
        return import_once(galaxy, text)
    if os.path.isdir(text) or text.lower().endswith((".ga", ".yml", ".yaml", ".json")):
        raise GalaxyError(f"{text}: no such file", USAGE)
    workflow = find_workflow(galaxy, text)
    if workflow.get("deleted"):
        raise GalaxyError(f"workflow {workflow['id']} ({workflow['name']}) is deleted: undelete it in Galaxy, or name "
                          "another")
    return str(workflow["id"])


def import_once(galaxy: Galaxy, path: str) -> str:
    """The id of the user's workflow with exactly the file's content, which is imported if there is none.

    The content's hash becomes the workflow's uuid: Galaxy keeps it, lists it (`latest_workflow_uuid`), and changes it when
    somebody edits the workflow (26.1). Where two runs import a file at the same moment, the older import stays.
    """
    payload = import_payload(read_text(path), path)
    form = payload["workflow"]
    content = form
    if "yaml_content" in form:
        import yaml
        content = yaml.safe_load(form["yaml_content"])
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
    content_uuid = str(uuid.UUID(bytes=digest[:16], version=4))
    earlier = _find_by_uuid(galaxy, content_uuid)
    if earlier:
        return earlier[0]
    main = content
    if "$graph" in content:
        main = next((part for part in content["$graph"] if part.get("id") == "main"), content)
    main["uuid"] = content_uuid
    if "yaml_content" in form:
        form["yaml_content"] = json.dumps(content, default=str)     # which is YAML too
    imported = str(galaxy.post("workflows", payload)["id"])
    oldest = (_find_by_uuid(galaxy, content_uuid) or [imported])[0]
    if oldest != imported:
        galaxy.delete(f"workflows/{imported}")
    return oldest


def _find_by_uuid(galaxy: Galaxy, workflow_uuid: str) -> list[str]:
    """The ids of the user's workflows with that uuid, the oldest first."""
    same = [workflow for workflow in galaxy.pages("workflows")
            if workflow.get("latest_workflow_uuid") == workflow_uuid and not workflow.get("deleted")]
    return [str(workflow["id"]) for workflow in sorted(same, key=lambda workflow: workflow.get("create_time") or "")]


def warn_missing_tools(galaxy: Galaxy, workflow_id: str) -> None:
    """Report on standard error which of an imported workflow's tools the server lacks; Galaxy imports it all the same."""
    try:
        missing, replaced = tool_problems(galaxy, workflow_id)
    except GalaxyError as error:
        report_error(f"workflow {workflow_id} is imported, but its tools could not be checked: {error}")
        return
    if missing:
        report_error(f"workflow {workflow_id} is imported, but can't run until the server's administrator installs "
                     f"{', '.join(missing)}")
    if replaced:
        report_error(f"workflow {workflow_id} is imported, but runs other versions of some tools: {', '.join(replaced)}")


# ------------------------------------------------------------------------------------------------------- its description

def find_workflow(galaxy: Galaxy, text: str) -> Workflow:
    """The workflow whose id, or else exact name, is `text`; `GalaxyError` where none or several have that name."""
    if not text.strip():
        raise GalaxyError("WORKFLOW is empty: is a variable unset?", USAGE)
    return galaxy.resolve("workflows", text)


def export_workflow(galaxy: Galaxy, workflow_id: str) -> Workflow:
    """The workflow in the form of a `.ga` file. Without `style` Galaxy may answer in Format 2: its administrator chooses."""
    answer: Workflow = galaxy.get(f"workflows/{workflow_id}/download", {"style": "ga"})
    return answer


def tool_problems(galaxy: Galaxy, workflow_id: str, workflow: Workflow | None = None) -> tuple[list[str], list[str]]:
    """The tools without which the workflow can't run on this server, and those that run in another version than it names,
    each as `ID (VERSION)` or `ID (VERSION; the server has VERSION)`; the tools of subworkflows too.

    `workflow` is `export_workflow`'s answer, where the caller has it: it marks the tools that the server lacks altogether.
    The versions that would replace others are in the editor's view, one request for all. Galaxy 26.1 refuses to run another
    version of a Tool Shed's tool, whose id has the version in it, and runs another version of any other tool (measured).
    """
    workflow = workflow or export_workflow(galaxy, workflow_id)
    missing: dict[str, None] = dict.fromkeys(_absent_tools(workflow))
    replaced: dict[str, None] = {}
    steps = {index: step for index, step in workflow["steps"].items() if not step.get("errors")}
    if any(step.get("tool_id") or step.get("subworkflow") for step in steps.values()):
        editor = galaxy.get(f"workflows/{workflow_id}/download", {"style": "editor"})
        for tool, named, installed in _other_versions(steps, editor):
            (missing if "/repos/" in tool else replaced)[f"{tool} ({named}; the server has {installed})"] = None
    return list(missing), list(replaced)


def _absent_tools(workflow: Workflow) -> Iterator[str]:
    for step in workflow["steps"].values():
        if step.get("errors") and step.get("tool_id"):
            yield f"{step['tool_id']} ({step['tool_version']})" if step.get("tool_version") else step["tool_id"]
        if step.get("subworkflow"):
            yield from _absent_tools(step["subworkflow"])


def _other_versions(steps: dict[str, Any], editor: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The tools that the server has in another version than the steps name: id, the step's version, the server's."""
    for index, step in steps.items():
        installed = editor["steps"].get(index, {}).get("tool_version")
        if step.get("tool_id") and step.get("tool_version") and installed not in (None, step["tool_version"]):
            yield step["tool_id"], step["tool_version"], installed
        if step.get("subworkflow"):     # of its steps Galaxy has only a text for people
            text = " ".join(map(str, (editor.get("upgrade_messages") or {}).get(index, {}).values()))
            for tool, installed, named in re.findall(_OTHER_VERSION, text):
                yield tool, named, installed


_OTHER_VERSION = r"tool id '([^']+)'[^>]*>Using version '([^']+)' instead of version '([^']+)'"


def input_details(workflow: Workflow) -> list[dict[str, Any]]:
    """The inputs of an exported workflow: dicts of `index`, `label` (None where it has none), `kind` (dataset, collection,
    or a parameter's type), `collection_type`, `datatypes`, `optional` (true with a default too), `default`, `choices`,
    `annotation` and `uuid`."""
    rows = []
    for index, step in workflow["steps"].items():
        if step["type"] not in INPUT_KINDS:
            continue
        settings = step_state(step)
        settings = settings.get("parameter_definition") or settings      # of workflows that old servers saved
        choices = [choice.get("value") if isinstance(choice, dict) else choice
                   for choice in settings.get("restrictions") or settings.get("suggestions") or []]
        kind = INPUT_KINDS[step["type"]]
        rows.append({
            "index": index, "label": step.get("label") or None,
            "kind": (settings.get("parameter_type") or "text") if kind == "parameter" else kind,
            "collection_type": settings.get("collection_type") or None, "datatypes": list(settings.get("format") or []),
            "optional": bool(settings.get("optional")) or settings.get("default") is not None,
            "default": settings.get("default"), "choices": choices,
            "annotation": step.get("annotation") or None, "uuid": step.get("uuid")})
    return rows


def step_details(workflow: Workflow) -> list[dict[str, Any]]:
    """The steps of an exported workflow that are not inputs: dicts of `index`, `label`, `type` (tool, subworkflow, pause,
    pick_value), `tool`, `version`, `from` (the `step_name`s of the steps that feed it), `when`, `outputs` (labels of the
    workflow's outputs), `state` and `annotation`."""
    steps = workflow["steps"]
    rows = []
    for index, step in steps.items():
        if step["type"] in INPUT_KINDS:
            continue
        inner = step.get("subworkflow") or {}
        sources = [source for source, _, _ in step_connections(step)]
        rows.append({
            "index": index, "label": step.get("label") or None, "type": step["type"],
            "tool": step.get("tool_id") or inner.get("name"), "version": step.get("tool_version"),
            "from": list(dict.fromkeys(step_name(steps[source]) for source in sources if source in steps)),
            "when": step.get("when"), "outputs": output_labels(step), "state": step_state(step),
            "annotation": step.get("annotation") or None})
    return rows


def step_name(step: dict[str, Any]) -> str:
    """An exported step's index and label, or in place of a label its tool or type, for people."""
    return one_line(f"{step['id']} {step.get('label') or step.get('name') or step.get('tool_id') or step['type']}")


def step_connections(step: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The connections that feed an exported step: the source step's index, its output's name, the name of the input here."""
    for name, sources in (step.get("input_connections") or {}).items():
        for source in sources if isinstance(sources, list) else [sources]:
            yield str(source["id"]), source["output_name"], name


def output_labels(step: dict[str, Any]) -> list[str]:
    """The labels, or else the names, of the workflow's outputs that an exported step makes."""
    return [one_line(output.get("label") or output["output_name"]) for output in step.get("workflow_outputs") or []]


def step_state(step: dict[str, Any]) -> dict[str, Any]:
    """The settings of an exported step, without Galaxy's internal ones (`__page__` and its like)."""
    state = step.get("tool_state") or {}
    if isinstance(state, str):
        try:
            state = json.loads(state)
        except ValueError:
            state = {}
    return {name: value for name, value in state.items() if not name.startswith("__")} if isinstance(state, dict) else {}


# ----------------------------------------------------------------------------------------- a run's inputs and parameters

def load_workflow(galaxy: Galaxy, workflow_id: str, steps: Iterable[str] = ()) -> Workflow:
    """`GET /api/workflows/ID`'s answer, with `ids` added: `{a step's id: its index}`.

    `steps` are the user's names of steps. Old servers showed steps by id in place of the index; Galaxy 26.1 does so when
    asked for `legacy`. It is asked only where one of `steps` is a number but no index.
    """
    workflow: Workflow = galaxy.get(f"workflows/{workflow_id}")
    workflow["ids"] = {}
    if any(step.isdecimal() and step not in workflow["steps"] for step in steps):
        legacy = galaxy.get(f"workflows/{workflow_id}", {"legacy": "true"})
        workflow["ids"] = dict(zip(legacy["steps"], workflow["steps"]))    # both in the workflow's order
    return workflow


def input_rows(workflow: Workflow) -> list[dict[str, Any]]:
    """The inputs of `load_workflow`'s answer, for people: dicts of `index`, `label`, `takes`, `optional`, `uuid` and
    `default`."""
    rows = []
    for spec in input_specs(workflow).values():
        settings = spec.settings
        accepted = settings.get("collection_type") or ", ".join(settings.get("format") or []) or spec.type
        rows.append({"index": spec.index, "label": one_line(spec.label),
                     "takes": spec.kind + (f" ({accepted})" if accepted else ""),
                     "optional": "no" if spec.required else "yes", "uuid": spec.uuid, "default": settings.get("default")})
    return rows


def input_index(workflow: Workflow, step: str) -> str:
    """The index of the input whose index, label, uuid or id in `load_workflow`'s answer is `step`.

    Raises `GalaxyError`, with a table of the inputs, where none or several are.
    """
    specs = input_specs(workflow)
    indexes = [spec.index for spec in specs.values() if step in (spec.index, spec.label, spec.uuid)]
    if not indexes and workflow["ids"].get(step) in specs:
        indexes = [workflow["ids"][step]]
    if len(indexes) > 1:
        raise input_error(workflow, f"{step!r} is {len(indexes)} inputs of workflow {workflow['name']!r}, by index or "
                          "label: name one by its uuid")
    if not indexes:
        labels = [spec.label for spec in specs.values() if spec.label]
        raise input_error(workflow, f"workflow {workflow['name']!r} has no input {step!r}{did_you_mean(step, labels)}")
    return indexes[0]


def resolve_inputs(workflow: Workflow, datasets: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """`{index: {"src": ..., "id": ...}}`, an invocation's inputs, from (step, src, id) for each dataset.

    Raises `GalaxyError`, with a table of the inputs, for a step that is not an input or is given twice, a dataset that the
    input does not take, and a missing input.
    """
    specs, inputs = input_specs(workflow), {}
    for step, src, dataset in datasets:
        spec = specs[input_index(workflow, step)]
        if spec.index in inputs:
            raise input_error(workflow, f"input {_describe(spec)} is given twice")
        if spec.kind == "parameter":
            raise input_error(workflow, f"input {_describe(spec)} is a parameter and takes no dataset")
        if spec.kind == "collection" and src != "hdca":   # Galaxy 26.1 takes it, and the run goes wrong or astray
            raise input_error(workflow, f"input {_describe(spec)} takes a collection: {spec.index}=hdca=ID")
        inputs[spec.index] = {"src": src, "id": dataset}
    for spec in specs.values():
        if spec.index in inputs or not spec.required:
            continue
        if spec.kind == "parameter":
            raise input_error(workflow, f"input {_describe(spec)} is a parameter without a default, which this script can't "
                              f"set: create.py - /api/workflows/{workflow['id']}/invocations inputs:='{{...}}' can")
        src = "hda" if spec.kind == "dataset" else "hdca"
        raise input_error(workflow, f"input {_describe(spec)} is missing: {spec.index}={src}=ID gives it a {spec.kind}")
    return inputs


def _describe(spec: InputSpec) -> str:
    return f"{spec.index} ({spec.label or 'no label'})"


def input_error(workflow: Workflow, text: str) -> GalaxyError:
    """A usage error with this text and a table of the workflow's inputs."""
    columns = ["index", "label", "takes", "optional", "uuid"]
    return GalaxyError(text, USAGE, table=format_table(input_rows(workflow), columns))


def resolve_parameters(galaxy: Galaxy, workflow: Workflow, parameters: Iterable[tuple[str, str, str]]
                       ) -> tuple[dict[str, dict[str, str]], list[GalaxyError]]:
    """`{tool or index: {name: value}}`, an invocation's parameters, from (tool, name, value) for each; and the errors.

    `tool` is a tool's id, for all its steps, or the index, id, uuid or label of one step. Galaxy 26.1 ignores a tool, a
    step and a name that it does not know: they are errors here, with a table of the known ones.
    """
    chosen: dict[str, dict[str, str]] = {}
    names_of: dict[str, list[str]] = {}
    errors = []
    for tool, name, value in parameters:
        try:
            key, step = _find_tool_step(galaxy, workflow, tool)
            if step["tool_id"] not in names_of:
                names_of[step["tool_id"]] = _parameter_names(galaxy, step)
            _check_parameter(workflow, tool, key, step, name, names_of[step["tool_id"]])
            if name in chosen.setdefault(key, {}):
                raise GalaxyError(f"parameter {name} of {tool} is given twice", USAGE)
            chosen[key][name] = value
        except GalaxyError as error:
            if error.exit_code != USAGE:
                raise
            errors.append(error)
    return chosen, errors


def _check_parameter(workflow: Workflow, tool: str, key: str, step: dict[str, Any], name: str, names: list[str]) -> None:
    """Raise `GalaxyError` (USAGE) for a parameter that Galaxy would ignore."""
    if names and (without_numbers(name) not in map(without_numbers, names) or not _has_repeats(step, name)):
        raise GalaxyError(f"tool {step['tool_id']} has no parameter {name!r}{did_you_mean(name, names)}", USAGE,
                          table=format_table([{"parameter": known} for known in names]))
    steps = workflow["steps"]
    addressed = [step] if key in steps else [other for other in steps.values() if other.get("tool_id") == tool]
    if all(name in (each.get("input_steps") or {}) for each in addressed):    # Galaxy 26.1 ignores the value then
        raise GalaxyError(f"parameter {name} of {tool} comes from an input or another step of the workflow", USAGE)


def _find_tool_step(galaxy: Galaxy, workflow: Workflow, tool: str) -> tuple[str, dict[str, Any]]:
    """An invocation's key for the tool or step that `tool` names, and that step, or the tool's first."""
    steps = {index: step for index, step in workflow["steps"].items() if step.get("tool_id")}
    for step in steps.values():
        if step["tool_id"] == tool:
            return tool, step
    index = tool if tool in steps else workflow["ids"].get(tool)
    if index not in steps:      # only an export has the labels of steps that are not inputs
        exported = galaxy.get(f"workflows/{workflow['id']}/download")["steps"]
        same = [index for index in steps if tool in (exported[index].get("label"), exported[index].get("uuid"))]
        if len(same) != 1:
            rows = [{"index": index, "label": one_line(exported[index].get("label") or ""), "tool": step["tool_id"],
                     "uuid": exported[index].get("uuid") or ""} for index, step in steps.items()]
            names = [name for row in rows for name in (row["tool"], row["label"]) if name]
            nested = any(step.get("type") == "subworkflow" for step in workflow["steps"].values())
            note = " (steps of subworkflows can't be set)" if nested else ""
            raise GalaxyError(f"workflow {workflow['name']!r} has no tool or step {tool!r}{note}{did_you_mean(tool, names)}",
                              USAGE, table=format_table(rows, ["index", "label", "tool", "uuid"]))
        index = same[0]
    return index, steps[index]


def _parameter_names(galaxy: Galaxy, step: dict[str, Any]) -> list[str]:
    """The names of the parameters of a step's tool in an invocation, such as `operations_0|opcol`."""
    try:
        tool = galaxy.get(f"tools/{quote(step['tool_id'])}", {"io_details": "true", "tool_version": step["tool_version"]})
    except GalaxyError as error:
        if error.status == 404:     # Galaxy refuses the run, naming all the tools that it lacks
            return []
        raise
    # Data are inputs of the step, and connected.
    return list(dict.fromkeys(name for name, param, _ in iter_inputs(tool["inputs"]) if param["type"] not in DATA_PARAMS))


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
