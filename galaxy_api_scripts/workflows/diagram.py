"""Pictures of workflows: Mermaid for documents, plain text for terminals. Both show who feeds whom."""
from __future__ import annotations

from typing import Any

from common import one_line
from galaxy_api_scripts.workflows.definition import DATA_INPUTS, input_details, output_labels, step_connections, step_name

SHAPES = {"input": ('[/"', '"/]'), "subworkflow": ('[["', '"]]')}       # those of Mermaid; tools are in plain boxes


def mermaid_diagram(workflow: dict[str, Any]) -> str:
    """A Mermaid flowchart of a workflow as `workflows.exported` gives it (https://mermaid.js.org/syntax/flowchart.html)."""
    lines = ["---", f"title: {_quoted_title(workflow['name'])}", "---", "flowchart LR"]
    kinds = _step_kinds(workflow)
    for index, step in workflow["steps"].items():
        left, right = SHAPES.get("input" if _is_input(step) else step["type"], ('["', '"]'))
        lines.append(f"  s{index}{left}{_escaped(step_name(step))}<br/>{_escaped(kinds[index])}{right}")
    for index, step in workflow["steps"].items():
        for source, _, name in step_connections(step):
            lines.append(f'  s{source} -->|"{_escaped(name)}"| s{index}')
        for number, label in enumerate(output_labels(step)):
            if not _is_input(step):
                lines += [f'  o{index}_{number}(["{_escaped(label)}"])', f"  s{index} --> o{index}_{number}"]
    return "\n".join(lines) + "\n"


def text_diagram(workflow: dict[str, Any]) -> str:
    """A picture of a workflow as `workflows.exported` gives it, in ASCII, a line for each step.

    A step's sign is `o` for an input and `*` for all else. What comes out of it goes down in its column as `|`, through `+`,
    where a step takes of it, to `'`, where the last one does.
    """
    steps, kinds = workflow["steps"], _step_kinds(workflow)
    wanted = {index: {reader for reader, step in steps.items() if index in {source for source, _, _ in step_connections(step)}}
              for index in steps}
    lanes: list[str | None] = []        # whose output is in each column
    rows = []
    for index, step in steps.items():
        sources = list(dict.fromkeys(source for source, _, _ in step_connections(step) if source in lanes))
        taken = [lanes.index(source) for source in sources]
        for source in sources:
            wanted[source].discard(index)
        ended = [lanes.index(source) for source in sources if not wanted[source]]
        own = min(ended) if ended else lanes.index(None) if None in lanes else len(lanes)
        lanes += [None] * (own + 1 - len(lanes))
        first, last = min([own, *taken]), max([own, *taken])
        signs = []
        for column, lane in enumerate(lanes):
            inside = first <= column <= last
            sign = ("o" if _is_input(step) else "*") if column == own else \
                ("'" if column in ended else "+") if column in taken else \
                "|" if lane is not None else "-" if inside else " "
            signs.append(sign + ("-" if inside and column < last else " "))
        for column in ended:
            lanes[column] = None
        lanes[own] = index if wanted[index] else None
        while lanes and lanes[-1] is None:
            lanes.pop()
        about = [step_name(step), kinds[index]]
        fed = "; ".join(dict.fromkeys(step_name(steps[source])
                        for source, _, _ in step_connections(step) if source in steps))
        made = "" if _is_input(step) else "; ".join(output_labels(step))
        rows.append(("".join(signs).rstrip(), *about, (f"<- {fed}" if fed else "") + (f"  => {made}" if made else "")))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [one_line(workflow["name"]), ""]
    lines += ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _is_input(step: dict[str, Any]) -> bool:
    return step["type"] in (*DATA_INPUTS, "parameter_input")


def _step_kinds(workflow: dict[str, Any]) -> dict[str, str]:
    """What each step is: an input's kind, a tool with its version, another workflow."""
    kinds = {}
    for about in input_details(workflow):
        wanted = ", ".join([about["collection_type"] or "", *about["datatypes"]]).strip(", ")
        kinds[about["index"]] = about["kind"] + (f" ({wanted})" if wanted else "")
    for index, step in workflow["steps"].items():
        if index not in kinds:
            tool = (step.get("tool_id") or "").split("/repos/")[-1]     # without the Tool Shed's address
            version = step.get("tool_version") or ""
            kinds[index] = one_line(f"{tool.removesuffix('/' + version)} {version}".strip() or step["type"])
    return kinds


def _quoted_title(name: str) -> str:
    """A name in YAML's single quotes."""
    return "'" + one_line(name).replace("'", "''") + "'"


def _escaped(words: str) -> str:
    """Words within the quotes of a Mermaid label, by its own entities."""
    return "".join(f"#{ord(letter)};" if letter in "\"#<>&`|[]{}\\" else letter for letter in one_line(words))
