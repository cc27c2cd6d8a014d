"""Workflows: imported from files, described for people, and the inputs and parameters of a run by name."""
from __future__ import annotations

import hashlib
import json
import re
import shlex
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from common import (
    USAGE,
    Galaxy,
    GalaxyError,
    did_you_mean,
    eprint,
    format_table,
    one_line,
    read_text,
    report_error,
)
from galaxy_api_scripts.together import ask_together
from galaxy_api_scripts.workflows.inputs import INPUT_KINDS, InputSpec, input_specs

Workflow = dict[str, Any]       # in the form that the docstring names: GET /api/workflows/ID's, or a .ga file's


# ------------------------------------------------------------------------------------------------------ import from files

def parse_workflow_file(text: str, where: str) -> tuple[Any, bool]:
    """The content of a `.ga` or Format 2 file, and whether it is JSON; a usage error for a text that is neither JSON nor
    YAML."""
    try:
        return json.loads(text), True
    except (ValueError, RecursionError):
        import yaml
    try:
        return yaml.safe_load(text), False
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(error, "problem_mark", None)
        raise GalaxyError(f"{where}: not a workflow: neither JSON nor YAML{f', line {line.line + 1}' if line else ''}",
                          USAGE) from None


def import_payload(text: str, where: str) -> dict[str, Any]:
    """The body of POST /api/workflows that imports the `.ga` or Format 2 file with this text; messages call it `where`."""
    content, is_json = parse_workflow_file(text, where)
    if isinstance(content, dict) and (content.get("class") == "GalaxyWorkflow" or "$graph" in content):
        graph = content.get("$graph", [{"id": "main"}])
        ids = [part.get("id") if isinstance(part, dict) else None for part in graph] if isinstance(graph, list) else []
        if ids.count("main") != 1 or not all(isinstance(name, str) for name in ids):
            raise GalaxyError(f"{where}: not a workflow: $graph must be a list of workflows with an id each, one of "
                              "them main", USAGE)
        return {"workflow": {"class": "GalaxyWorkflow", "yaml_content": text}}
    if not is_json or not isinstance(content, dict) or not isinstance(content.get("steps"), dict):
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


def import_once(galaxy: Galaxy, path: str) -> str:
    """The id of the user's workflow with exactly the file's content, which is imported if there is none.

    The content's hash becomes the workflow's uuid: Galaxy keeps it, lists it (`latest_workflow_uuid`), and changes it when
    somebody edits the workflow (26.1). Where two runs import a file at the same moment, the older import stays.
    """
    payload, content, content_uuid = _read_with_uuid(path)
    earlier = _find_by_uuid(galaxy, content_uuid)
    if earlier:
        return earlier[0]
    form, main = payload["workflow"], content
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


def find_imported(galaxy: Galaxy, path: str) -> str:
    """The id of the user's workflow with exactly the file's content; "" where there is none."""
    _, _, content_uuid = _read_with_uuid(path)
    return next(iter(_find_by_uuid(galaxy, content_uuid)), "")


def _read_with_uuid(path: str) -> tuple[dict[str, Any], Any, str]:
    """The payload that imports a file, the file's content, and the uuid of that content."""
    payload = import_payload(read_text(path), path)
    form = payload["workflow"]
    content = parse_workflow_file(form["yaml_content"], path)[0] if "yaml_content" in form else form
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
    return payload, content, str(uuid.UUID(bytes=digest[:16], version=4))


def _find_by_uuid(galaxy: Galaxy, workflow_uuid: str) -> list[str]:
    """The ids of the user's workflows with that uuid, the oldest first."""
    same = [workflow for workflow in galaxy.pages("workflows")
            if workflow.get("latest_workflow_uuid") == workflow_uuid and not workflow.get("deleted")]
    return [str(workflow["id"]) for workflow in sorted(same, key=lambda workflow: workflow.get("create_time") or "")]


def warn_missing_tools(galaxy: Galaxy, workflow_id: str, text: str = "", file: str = "") -> None:
    """Report on standard error which of an imported workflow's tools the server lacks; Galaxy imports it all the same.
    `text` is the file's, which has the revisions of their repositories; `file` its name, if it is on this machine."""
    try:
        rows = tool_problems(galaxy, workflow_id)
    except GalaxyError as error:
        report_error(f"workflow {workflow_id} is imported, but its tools could not be checked: {error}")
        return
    repositories = dict(iter_file_tools(parse_workflow_file(text, "")[0])) if text and rows else {}
    for row in rows:
        row["revision"] = str(repositories.get(row["tool"], {}).get("changeset_revision") or row["revision"])
    for is_missing, consequence in ((True, "can't run until an administrator installs"), (False, "runs other versions of")):
        some = [row for row in rows if row["is_missing"] == is_missing]
        if some:
            report_error(f"workflow {workflow_id} is imported, but {consequence} {describe_tools(some)}")
            eprint(tool_table(some, file))


def iter_file_tools(part: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ids of the tools in a workflow's file, of either form and in subworkflows too, and what it says of their
    repositories, {} for nothing."""
    if isinstance(part, dict) and isinstance(part.get("tool_id"), str):
        repository = part.get("tool_shed_repository")
        yield part["tool_id"], repository if isinstance(repository, dict) else {}
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else []:
        yield from iter_file_tools(inner)


# ------------------------------------------------------------------------------------------------------- its description

def export_workflow(galaxy: Galaxy, workflow_id: str) -> Workflow:
    """The workflow in the form of a `.ga` file. Without `style` Galaxy may answer in Format 2: its administrator chooses."""
    answer: Workflow = galaxy.get(f"workflows/{workflow_id}/download", {"style": "ga"})
    return answer


def editor_view(galaxy: Galaxy, workflow_id: str) -> Workflow:
    """The workflow as Galaxy's editor sees it."""
    answer: Workflow = galaxy.get(f"workflows/{workflow_id}/download", {"style": "editor"})
    return answer


def tool_problems(galaxy: Galaxy, workflow_id: str, workflow: Workflow | None = None, editor: Workflow | None = None
                  ) -> list[dict[str, Any]]:
    """The tools without which the workflow can't run on this server (`is_missing`), then those that run in another version
    than it names; the tools of subworkflows too. A dict for each: `tool`, `version`, `server` (the version there, "" where
    there is none), and of one from a Tool Shed `shed`, `owner`, `name` and `revision` ("" where Galaxy does not know it).

    `workflow` and `editor` are `export_workflow`'s and `editor_view`'s answers, where the caller has them: the first marks
    the tools that the server lacks altogether, the second has the versions that would replace others. Galaxy 26.1 refuses
    to run another version of a Tool Shed's tool, whose id has the version in it, and runs another version of any other tool
    (measured).
    """
    workflow = workflow or export_workflow(galaxy, workflow_id)
    found = [(step["tool_id"], step.get("tool_version") or "", "") for _, step in iter_tool_steps(workflow)
             if step.get("errors")]
    steps = {index: step for index, step in workflow["steps"].items() if not step.get("errors")}
    if any(step.get("tool_id") or step.get("subworkflow") for step in steps.values()):
        found += _other_versions(steps, editor or editor_view(galaxy, workflow_id))
    rows = []
    for tool, version, installed in dict.fromkeys(found):
        shed, is_from_shed, rest = tool.partition("/repos/")
        owner, name = (rest.split("/") + [""])[:2] if is_from_shed else ("", "")
        rows.append({"tool": tool, "version": version, "server": installed, "shed": shed if is_from_shed else "",
                     "owner": owner, "name": name, "revision": "", "is_missing": not installed or bool(is_from_shed)})
    return sorted(rows, key=lambda row: not row["is_missing"])


def describe_tools(rows: list[dict[str, Any]]) -> str:
    """The ids of `tool_problems`, without the Tool Shed's address; of many only their number."""
    names = [one_line(row["tool"].partition("/repos/")[2] or row["tool"]) for row in rows]
    return f"{len(names)} tools" if len(names) > 3 else ", ".join(names)


def tool_table(rows: list[dict[str, Any]], file: str = "") -> str:
    """`tool_problems` as a table for people, with the line that installs the missing ones; `file` is the workflow's, if it
    is on this machine."""
    columns = ["tool", "version", "server", "owner", "name", "revision"]
    cells = [{name: one_line(str(row[name])) for name in columns} for row in rows]
    used = [name for name in columns if any(row[name] for row in cells)]
    names = dict.fromkeys(f"{row['shed']}/repos/{row['owner']}/{row['name']}/{row['revision']}" if row["revision"]
                          else row["tool"] for row in rows if row["is_missing"] and row["shed"])
    line = shlex.join(["tool_install.py", f"--workflow={file}", "-", "-"] if file else ["tool_install.py", "-", "-", *names])
    return "\n".join([format_table(cells, used), *(["An administrator's line to install them:", one_line(line)] if names
                                                   else [])])


def iter_tool_steps(workflow: Workflow, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The steps of an exported workflow and its subworkflows that have a tool, each with the names of the steps around it,
    "" for one of the workflow itself."""
    for step in workflow["steps"].values():
        if step.get("tool_id"):
            yield path, step
        if step.get("subworkflow"):
            yield from iter_tool_steps(step["subworkflow"], f"{path}{' > ' if path else ''}{step_name(step)}")


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
    or a parameter's type), `collection_type`, `datatypes`, `optional` (true with a default too), `default`, `choices`
    (those that are only suggested too), `fields` (of a record), `columns` (of a sample sheet), `multiple`, `range` and
    `pattern` (of a parameter, for people), `annotation` and `uuid`."""
    rows = []
    for index, step in workflow["steps"].items():
        if step["type"] not in INPUT_KINDS:
            continue
        settings = step_state(step)
        settings = settings.get("parameter_definition") or settings      # of workflows that old servers saved
        choices = [choice.get("value") if isinstance(choice, dict) else choice
                   for choice in settings.get("restrictions") or settings.get("suggestions") or []]
        kind, default = INPUT_KINDS[step["type"]], settings.get("default")
        default = default_file(step) if default is None else default
        rows.append({
            "index": index, "label": step.get("label") or None,
            "kind": (settings.get("parameter_type") or "text") if kind == "parameter" else kind,
            "collection_type": settings.get("collection_type") or None, "datatypes": list(settings.get("format") or []),
            "optional": bool(settings.get("optional")) or default is not None, "default": default, "choices": choices,
            "fields": settings.get("fields") or [], "columns": settings.get("column_definitions") or [],
            **describe_limits(settings), "annotation": step.get("annotation") or None, "uuid": step.get("uuid")})
    return rows


def describe_limits(settings: dict[str, Any]) -> dict[str, Any]:
    """`multiple`, `range` (of numbers, or of a text's length) and `pattern` of a parameter's settings; None for no limit."""
    validators = [{**settings, "type": "in_range"}, *(settings.get("validators") or [])]
    ranges = [f"{'length ' if each['type'] == 'length' else ''}{_bound(each, 'min')}..{_bound(each, 'max')}"
              for each in validators if each.get("type") in ("in_range", "length")
              and (_bound(each, "min") or _bound(each, "max"))]
    patterns = [f"{'not ' if str(each.get('negate')).lower() == 'true' else ''}{each.get('expression')}"
                for each in validators if each.get("type") == "regex"]
    return {"multiple": bool(settings.get("multiple")), "pattern": ", ".join(patterns) or None,
            "range": ", ".join(ranges) or None}


def _bound(validator: dict[str, Any], name: str) -> str:
    return "" if validator.get(name) is None else str(validator[name])


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
    name = step.get("label") or step.get("name") or step.get("tool_id") or step.get("type") or ""
    return one_line(f"{step.get('id', '')} {name}".strip())


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

def load_workflow(galaxy: Galaxy, workflow_id: str, steps: Iterable[str] = (), about: Workflow | None = None) -> Workflow:
    """`GET /api/workflows/ID`'s answer, or `about`, if the caller has it, with `ids` added: `{a step's id: its index}`.

    `steps` are the user's names of steps. Old servers showed steps by id in place of the index; Galaxy 26.1 does so when
    asked for `legacy`. It is asked only where one of `steps` is a number but no index.
    """
    try:
        workflow: Workflow = about or galaxy.get(f"workflows/{workflow_id}")
    except GalaxyError as error:
        if error.status != 500:     # Galaxy 26.1's answer where a step is a pick_value
            raise
        workflow = _from_export(workflow_id, export_workflow(galaxy, workflow_id))
    workflow["ids"] = {}
    if any(step.isdecimal() and step not in workflow["steps"] for step in steps):
        legacy = galaxy.get(f"workflows/{workflow_id}", {"legacy": "true"})
        workflow["ids"] = dict(zip(legacy["steps"], workflow["steps"]))    # both in the workflow's order
    return workflow


def _from_export(workflow_id: str, content: Workflow) -> Workflow:
    """What `GET /api/workflows/ID` would answer, as far as a run needs it, from the workflow's `.ga` form."""
    steps = {index: {"type": step["type"], "tool_id": step.get("tool_id"), "tool_version": step.get("tool_version"),
                     "tool_inputs": step_state(step), "input_steps": step.get("input_connections") or {}}
             for index, step in content["steps"].items()}
    inputs = {index: {"label": step.get("label") or step_state(step).get("name") or "", "uuid": step.get("uuid") or ""}
              for index, step in content["steps"].items() if step["type"] in INPUT_KINDS}
    return {"id": workflow_id, "name": content["name"], "version": content.get("version"),
            "latest_workflow_uuid": content.get("uuid"), "inputs": inputs, "steps": steps}


def load_whole_workflow(galaxy: Galaxy, known: str | Workflow, steps: Iterable[str] = ()) -> Workflow:
    """`load_workflow`'s answer, with two more views of it: `content`, as `export_workflow` returns it, and `editor`, which
    has the form of each step's tool and Galaxy's complaints. The inputs have the default files that only `content` tells.
    What is `known` is the id, or what `check_user_and_workflow` found."""
    known = {"id": known} if isinstance(known, str) else known
    workflow_id, about = known["id"], known if "steps" in known else None
    workflow: Workflow
    workflow, workflow["content"], workflow["editor"] = ask_together(
        lambda: load_workflow(galaxy, workflow_id, steps, about),
        lambda: known.get("content") or export_workflow(galaxy, workflow_id),
        lambda: known.get("editor") or editor_view(galaxy, workflow_id))
    for index in workflow["inputs"]:
        file = default_file(workflow["content"]["steps"].get(index) or {})
        if file:
            workflow["steps"][index]["tool_inputs"]["default"] = file
    return workflow


def default_file(step: dict[str, Any]) -> Any:
    """The file that a run takes where an exported input is not given; None where there is none."""
    return ((step.get("in") or {}).get("input") or {}).get("default")


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
    missing = [spec for spec in specs.values() if spec.index not in inputs and spec.required]
    texts = []
    for spec in missing:
        if spec.kind == "parameter":
            texts.append(f"input {_describe(spec)} is a parameter without a default, which this script can't set: "
                         "workflow_run.py can")
        else:
            src = "hda" if spec.kind == "dataset" else "hdca"
            texts.append(f"input {_describe(spec)} is missing: {spec.index}={src}=ID gives it a {spec.kind}")
    if texts:
        raise input_error(workflow, "; ".join(texts))
    return inputs


def _describe(spec: InputSpec) -> str:
    return f"{spec.index} ({spec.label or 'no label'})"


def input_error(workflow: Workflow, text: str) -> GalaxyError:
    """A usage error with this text and a table of the workflow's inputs."""
    columns = ["index", "label", "takes", "optional", "uuid"]
    return GalaxyError(text, USAGE, table=format_table(input_rows(workflow), columns))
