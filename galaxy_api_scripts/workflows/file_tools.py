"""The Tool Shed repositories of the tools that a workflow's file names."""
from __future__ import annotations

from common import read_text
from galaxy_api_scripts.tools.repository_list import Target, tool_target
from galaxy_api_scripts.workflows.definition import import_payload, iter_file_tools, parse_workflow_file


def read_file_tools(path: str) -> list[Target]:
    """The repositories of the tools that a workflow's file (`.ga` or Format 2) names, in subworkflows too. Raises a usage
    error for what is no workflow."""
    text = read_text(path)
    import_payload(text, path)
    found = (tool_target(tool, repository, path) for tool, repository in iter_file_tools(parse_workflow_file(text, path)[0]))
    return [target for target in found if target]
