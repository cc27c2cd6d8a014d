"""Diagrams of workflows: Mermaid for documents, plain text for terminals. Both show which step feeds which."""
from __future__ import annotations

from typing import Any

from common import one_line
from galaxy_api_scripts.workflows.definition import input_details, output_labels, step_connections, step_name
from galaxy_api_scripts.workflows.inputs import INPUT_KINDS

SHAPES = {"input": ('[/"', '"/]'), "subworkflow": ('[["', '"]]')}       # Mermaid's; tools are in plain boxes


def mermaid_diagram(workflow: dict[str, Any]) -> str:
    """A Mermaid flowchart of an exported workflow (https://mermaid.js.org/syntax/flowchart.html)."""
    lines = ["---", f"title: {_quoted_title(workflow['name'])}", "---", "flowchart LR"]
    kinds = _step_kinds(workflow)
    for index, step in workflow["steps"].items():
        left, right = SHAPES.get("input" if _is_input(step) else step["type"], ('["', '"]'))
        lines.append(f"  s{index}{left}{_escaped(step_name(step))}<br/>{_escaped(kinds[index])}{right}")
    for index, step in workflow["steps"].items():
        for source, _, name in step_connections(step):
            lines.append(f'  s{source} -->|"{_escaped(name)}"| s{index}')
        for number, label in enumerate([] if _is_input(step) else output_labels(step)):
            lines += [f'  o{index}_{number}(["{_escaped(label)}"])', f"  s{index} --> o{index}_{number}"]
    return "\n".join(lines) + "\n"


def text_diagram(workflow: dict[str, Any]) -> str:
    """A diagram of an exported workflow in ASCII, with a line for each step.

    The sign of a step is `o` for an input and `*` for any other. Its output runs down its column as `|`, through `+` where
    a step reads it, to `'` where the last reader does.
    """
    steps, kinds = workflow["steps"], _step_kinds(workflow)
    sources_of = {index: list(dict.fromkeys(source for source, _, _ in step_connections(step) if source in steps))
                  for index, step in steps.items()}
    readers = {index: {reader for reader, sources in sources_of.items() if index in sources} for index in steps}
    lanes: list[str | None] = []        # the step whose output is in each column
    rows = []
    for index, step in steps.items():
        sources = [source for source in sources_of[index] if source in lanes]
        read = [lanes.index(source) for source in sources]
        for source in sources:
            readers[source].discard(index)
        ended = [lanes.index(source) for source in sources if not readers[source]]
        own = min(ended) if ended else lanes.index(None) if None in lanes else len(lanes)
        lanes += [None] * (own + 1 - len(lanes))
        signs = _signs(lanes, own, read, ended, "o" if _is_input(step) else "*")
        for column in ended:
            lanes[column] = None
        lanes[own] = index if readers[index] else None
        while lanes and lanes[-1] is None:
            lanes.pop()
        feeders = "; ".join(dict.fromkeys(step_name(steps[source]) for source in sources_of[index]))
        outputs = "" if _is_input(step) else "; ".join(output_labels(step))
        rows.append((signs, step_name(step), kinds[index],
                     (f"<- {feeders}" if feeders else "") + (f"  => {outputs}" if outputs else "")))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    lines = [one_line(workflow["name"]), ""]
    lines += ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _signs(lanes: list[str | None], own: int, read: list[int], ended: list[int], sign: str) -> str:
    """The columns in the line of a step: `own` is its column, `read` those it reads, `ended` those with no other reader."""
    first, last = min([own, *read]), max([own, *read])
    signs = []
    for column, lane in enumerate(lanes):
        inside = first <= column <= last
        mark = sign if column == own else ("'" if column in ended else "+") if column in read else \
            "|" if lane is not None else "-" if inside else " "
        signs.append(mark + ("-" if inside and column < last else " "))
    return "".join(signs).rstrip()


def _is_input(step: dict[str, Any]) -> bool:
    return step["type"] in INPUT_KINDS


def _step_kinds(workflow: dict[str, Any]) -> dict[str, str]:
    """`{index: kind}`: an input's kind and types, a tool's id and version, else the step's type."""
    kinds = {}
    for about in input_details(workflow):
        types = ", ".join([about["collection_type"] or "", *about["datatypes"]]).strip(", ")
        kinds[about["index"]] = about["kind"] + (f" ({types})" if types else "")
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
    """Words for a quoted Mermaid label, with its own entities."""
    return "".join(f"#{ord(letter)};" if letter in "\"#<>&`|[]{}\\" else letter for letter in one_line(words))
