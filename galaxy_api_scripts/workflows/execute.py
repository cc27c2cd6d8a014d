"""The old scripts that run a workflow: `STEP=SRC=ID` and `param=TOOL=NAME=VALUE` checked, and one request."""
from __future__ import annotations

from typing import Any

from common import USAGE, Galaxy, GalaxyError, output_options, parse_id, print_request, print_response, show
from galaxy_api_scripts.datasets.references import DATA_SOURCES, fetch_reference
from galaxy_api_scripts.datasets.target_history import parse_legacy_history
from galaxy_api_scripts.invocations.invocation import submit_invocation
from galaxy_api_scripts.workflows.definition import load_whole_workflow, resolve_inputs
from galaxy_api_scripts.workflows.parameters import require_runnable, resolve_parameters


def execute(args: dict[str, Any], takes_parameters: bool = False) -> None:
    """Check the inputs, and the parameters where the script takes some, submit the run, and print Galaxy's answer."""
    workflow_id, history = parse_id(args["WORKFLOW_ID"], "WORKFLOW_ID"), parse_legacy_history(args["HISTORY"])
    words = args["STEP=SRC=ID"]
    parameter_words = [word for word in words if takes_parameters and word.startswith("param=")]
    datasets = [parse_step_dataset(word) for word in words if word not in parameter_words]
    parameters = [parse_tool_parameter(word) for word in parameter_words]
    output = output_options(args)
    galaxy = Galaxy(args["KEY"], args["URL"])

    workflow = load_whole_workflow(galaxy, workflow_id, [step for step, _, _ in datasets + parameters])
    data = {"history": history, "inputs": resolve_inputs(workflow, datasets), "inputs_by": "step_index"}
    for _, src, dataset in datasets:
        fetch_reference(galaxy, src, dataset, None, f"{src}={dataset}")      # raises for what no job can read
    chosen, errors = resolve_parameters(workflow, parameters)
    for error in errors:
        raise error
    if takes_parameters:
        data["parameters"] = chosen
    require_runnable(galaxy, workflow, chosen)
    if args["--dry-run"]:
        print_request("POST", galaxy.url_for(f"workflows/{workflow_id}/invocations"), data, output["format"])
    else:
        show(submit_invocation(galaxy, workflow_id, data), plain=print_response, changed=True, **output)


def parse_step_dataset(text: str) -> tuple[str, str, str]:
    """The three parts of `STEP=SRC=ID`; a usage error for any other text."""
    parts = text.rsplit("=", 2)     # from the right: a label may have = in it
    if len(parts) != 3 or not all(parts) or parts[1] not in DATA_SOURCES:
        raise GalaxyError(f"{text!r} is not STEP=SRC=ID with SRC one of {', '.join(DATA_SOURCES)}", USAGE)
    return parts[0], parts[1], parts[2]


def parse_tool_parameter(text: str) -> tuple[str, str, str]:
    """TOOL, NAME and VALUE from `param=TOOL=NAME=VALUE`; VALUE may be empty, and have = in it."""
    parts = text.split("=", 3)[1:]
    if len(parts) != 3 or not all(parts[:2]):
        raise GalaxyError(f"{text!r} is not param=TOOL=NAME=VALUE", USAGE)
    return parts[0], parts[1], parts[2]
