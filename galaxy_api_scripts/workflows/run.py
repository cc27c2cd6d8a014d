"""Runs of workflows: checked as a whole, submitted once, recorded in a file."""
from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from common import (
    DONE,
    STILL_RUNNING,
    TRY_LATER,
    USAGE,
    VERSION,
    Galaxy,
    GalaxyError,
    format_table,
    one_line,
    redact_all,
    report_error,
)
from galaxy_api_scripts import releases
from galaxy_api_scripts.checkpoint import Notes
from galaxy_api_scripts.datasets.lanes import SEPARATE, Lanes
from galaxy_api_scripts.datasets.target_history import TargetHistory
from galaxy_api_scripts.files import write_output
from galaxy_api_scripts.invocations.invocation import submit_once
from galaxy_api_scripts.progress import describe_counts
from galaxy_api_scripts.workflows import job_file
from galaxy_api_scripts.workflows.definition import (
    describe_tools,
    input_rows,
    load_whole_workflow,
    step_name,
    tool_problems,
    tool_table,
)
from galaxy_api_scripts.workflows.inputs import (
    INPUT_KINDS,
    CollectionInput,
    DatasetInput,
    InputValues,
    iter_datasets,
    map_datasets,
)
from galaxy_api_scripts.workflows.parameters import (
    CORRECTED,
    add_runtime_inputs,
    missing_values,
    normalize_parameters,
    resolve_parameters,
    restrict_by_connections,
    split_inputs,
)
from galaxy_api_scripts.workflows.staging import Staging, give_default_files, preview_inputs


@dataclass
class RunRequest:
    """A run that has been checked: the workflow, its inputs, parameters and options."""

    workflow: dict[str, Any]            # as `load_workflow` returns it
    inputs: InputValues
    parameters: dict[str, dict[str, str]]
    options: dict[str, Any] = field(default_factory=dict)       # more of an invocation's fields

    @property
    def sources(self) -> list[Any]:
        """The files and URLs to upload, each once."""
        return list(dict.fromkeys(dataset.source for value in self.inputs.values.values() for dataset in iter_datasets(value)
                                  if dataset.source))

    @property
    def request(self) -> dict[str, Any]:
        """The body of the POST that submits it, with the paths of files in place of datasets."""
        return self._body(self._preview())

    @property
    def identity(self) -> str:
        """A text that is the same for runs of the same workflow on the same inputs; a changed file changes it."""
        return json.dumps([*self.purpose, list(self.files.values())], sort_keys=True)

    @property
    def purpose(self) -> list[Any]:
        """What is the same for runs of the same workflow on files of the same names, whatever their options."""
        return [self.workflow["id"], self.workflow.get("latest_workflow_uuid"), self._preview(), self.parameters]

    @property
    def files(self) -> dict[str, tuple[int, int]]:
        """`{path: (size in bytes, time of the last change in ns)}` of the files to upload; see `Source.stamps`."""
        return {path: stamp for source in self.sources for path, stamp in source.stamps.items()}

    def _preview(self) -> dict[str, Any]:
        return {index: preview_inputs(value) for index, value in self.inputs.values.items()}

    def _body(self, inputs: dict[str, Any]) -> dict[str, Any]:
        fields = split_inputs(inputs)
        for key, values in self.parameters.items():
            fields["parameters"][key] = {**fields["parameters"].get(key, {}), **values}
        # Without no_add_to_history Galaxy 26.1 copies what another history has, and it gets another id.
        by_step = normalize_parameters(self.workflow, fields.pop("parameters"))
        return {"inputs": fields.pop("inputs"), "inputs_by": "step_index", "no_add_to_history": True,
                **{name: values for name, values in {**by_step, **fields}.items() if values}, **self.options}

    def start(self, galaxy: Galaxy, target: TargetHistory, timeout: float | None = None, transfers: int = 1) -> str:
        """Stage the inputs, `transfers` files at once, and submit the run, unless an earlier process did. Returns the
        invocation's id. An error that ends the run says what is left in Galaxy."""
        assert target.checkpoint
        submitted = target.checkpoint.data.get("invocation")
        if submitted:
            return str(submitted)
        staging = Staging(galaxy, target.id, timeout, transfers)
        try:
            invocation = self.submit(galaxy, target.id, self.stage(staging), target.checkpoint)
        except GalaxyError as error:
            if error.lost or error.exit_code in (STILL_RUNNING, TRY_LATER):     # the run goes on
                raise
            uploads, is_new = len(staging.datasets), target.checkpoint.data.get("history") == target.id
            if not uploads and not is_new:
                raise
            left = f"{uploads} uploaded dataset{'s' if uploads > 1 else ''} in it" if uploads else "nothing in it"
            removal = f", delete.py - /api/histories/{target.id} deletes it" if is_new else ""
            raise GalaxyError(f"{error}; history {target.id} stays, with {left}: the same line again uses it{removal}",
                              error.exit_code, status=error.status, err_msg=error.err_msg) from None
        staging.forget()
        return invocation

    def stage(self, staging: Staging, *described: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """The inputs as the invocation takes them, once Galaxy has them; see `Staging.stage`."""
        names = {index: spec.name for index, spec in self.inputs.specs.items()}
        return staging.stage(self.inputs.values, names, *described)

    def submit(self, galaxy: Galaxy, history: str, inputs: dict[str, Any], record: Notes, patient: bool = True) -> str:
        """Submit the run on the inputs that `stage` returned, unless an earlier process did. Returns the invocation's id, or
        "" where `submit_once` does."""
        body = {"history_id": history, **self._body(inputs)}
        try:
            return submit_once(galaxy, self.workflow["id"], body, record, patient)
        except GalaxyError as error:
            if error.status != 400 or "upgrade messages" not in str(error):
                raise
            # What steps lack was checked (`missing_values`); Galaxy 26.1 also speaks of what is connected in a subworkflow.
            return submit_once(galaxy, self.workflow["id"], {**body, **CORRECTED}, record, patient)


@dataclass
class WorkflowCheck:
    """What all runs of a workflow share, checked: `problems`, a line each, and `tables` of what the workflow has."""

    workflow: dict[str, Any]
    parameters: dict[str, dict[str, str]]
    options: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    deferred: bool = False      # whether Galaxy is to fetch URLs only for the jobs that read them

    def make_request(self, inputs: InputValues) -> RunRequest:
        """A run on these inputs, which have no problems."""
        give_default_files(self.workflow, inputs)
        if self.deferred:
            inputs.values = {index: map_datasets(value, _defer_url) for index, value in inputs.values.items()}
        for value in inputs.values.values():
            if isinstance(value, CollectionInput):
                releases.require_collection_type(inputs.resolver.galaxy, value.type)
        return RunRequest(self.workflow, inputs, self.parameters, self.options)

    def raise_problems(self, problems: list[str]) -> None:
        """Raise `GalaxyError` (USAGE) with these problems of the inputs and then the workflow's, if there are any."""
        all_problems = problems + self.problems
        if not all_problems:
            return
        several = len(all_problems) > 1
        tables = [f"- {one_line(problem)}" for problem in all_problems] if several else []
        if problems:
            tables.append(format_table(input_rows(self.workflow), ["index", "label", "takes", "optional", "uuid"]))
        summary = f"{len(all_problems)} things are wrong" if several else all_problems[0]
        raise GalaxyError(f"{summary}, so nothing was sent", USAGE, table="\n".join([*tables, *self.tables]))


def _defer_url(dataset: DatasetInput) -> DatasetInput:
    is_url = dataset.source and dataset.source.is_url and not dataset.source.components
    return replace(dataset, source=replace(dataset.source, deferred=True)) if dataset.source and is_url else dataset


def check_workflow(galaxy: Galaxy, known: str | dict[str, Any], parameters: Iterable[tuple[str, str, str]] = (),
                   labels: Iterable[str] = (), to_download: bool = False, deferred: bool = False, **options: Any
                   ) -> WorkflowCheck:
    """Check a workflow before any run: the (step, name, value) of `parameters`, the server's tools, the outputs that
    `labels` name, and where outputs are `to_download`, that it marks some. `options` are more of an invocation's fields;
    for what is `known` see `load_whole_workflow`."""
    parameters = list(parameters)
    workflow = load_whole_workflow(galaxy, known, [step for step, _, _ in parameters])
    content = workflow["content"]
    chosen, errors = resolve_parameters(workflow, parameters, galaxy)
    check = WorkflowCheck(workflow, chosen, options, [str(error) for error in errors],
                          list(dict.fromkeys(error.table for error in errors if error.table)), deferred)
    restrict_by_connections(workflow)
    check.problems += add_runtime_inputs(galaxy, workflow, chosen)
    missing = [row for row in tool_problems(galaxy, workflow["id"], content, workflow["editor"]) if row["is_missing"]]
    if missing:
        check.problems.append(f"the server lacks {describe_tools(missing)}")
        check.tables.append(tool_table(missing))
    if not missing and not options.get("allow_tool_state_corrections"):
        check.problems += [f"{text} --allow-corrections accepts this" for text in missing_values(workflow, chosen)]
    marked = [output["label"] for step in content["steps"].values() for output in step.get("workflow_outputs") or []
              if output.get("label")]
    check.problems += [f"there is no output {label!r}{': there are ' + ', '.join(marked) if marked else ''}"
                       for label in labels if label not in marked]
    check.problems += [f"{count} outputs have the label {label!r}, and Galaxy would return one of them: give each its own"
                       for label, count in Counter(marked).items() if count > 1]
    unnamed = [f"{output['output_name']} of step {step_name(step)}" for step in content["steps"].values()
               if step.get("type") not in INPUT_KINDS      # Galaxy 24.2 and older mark inputs, too
               for output in step.get("workflow_outputs") or [] if not output.get("label")]
    if to_download and not marked:      # Galaxy 26.1 tells only of outputs with labels
        reason = "gives none of its outputs a label" if unnamed else "marks nothing as its output"
        check.problems.append(f"the workflow {reason}, so --download would fetch nothing (dataset_download.py with "
                              "history:ID fetches all datasets of a run)")
    elif to_download and unnamed and not labels:
        report_error(f"warning: outputs without a label are not downloaded: {', '.join(unnamed)}: give them one in Galaxy's "
                     "editor, or name the others (--outputs)")
    return check


def plan_run(galaxy: Galaxy, known: str | dict[str, Any], words: list[str], job: str | None = None, history: str = "",
             lanes: Lanes = SEPARATE, **checks: Any) -> RunRequest:
    """The run that a command line asks for. Raises `GalaxyError` (USAGE) with all problems, and tables of what the workflow
    has.

    `words` are `INPUT=VALUE`, `job` is the name of a job file, `history` the id of an existing history that the run goes
    to, `lanes` how lanes are put together; `checks` are `check_workflow`'s.
    """
    check = check_workflow(galaxy, known, **checks)
    inputs = InputValues(galaxy, check.workflow, history)
    inputs.lanes = lanes
    inputs.set_from_args(words)
    if job:
        job_file.read_job_file(inputs, job)
    inputs.check_missing()
    check.raise_problems(inputs.problems)
    return check.make_request(inputs)


# ------------------------------------------------------------------------------------------------------ options of scripts

def parse_step_parameter(text: str) -> tuple[str, str, str]:
    """The parts of `STEP:NAME=VALUE`; a usage error for any other text."""
    match = re.fullmatch(r"(.+?):([^:=]+)=(.*)", text, re.DOTALL)
    if not match:
        raise GalaxyError(f"--param={text}: expected STEP:NAME=VALUE", USAGE)
    return match[1], match[2], match[3]


def invocation_options(args: dict[str, Any]) -> dict[str, Any]:
    """The fields of an invocation that --use-cached-jobs and --allow-corrections set."""
    return {**({"use_cached_job": True} if args["--use-cached-jobs"] else {}),
            **(CORRECTED if args["--allow-corrections"] else {})}


def parse_on_complete(text: str | None) -> list[dict[str, Any]]:
    """An invocation's `on_complete`, from `notify` or the address of a file source; [] for None."""
    if not text:
        return []
    if text == "notify":
        return [{"send_notification": {}}]
    if "://" not in text:
        raise GalaxyError(f"--on-complete={text}: expected notify, or the address of a file source, such as "
                          "gxfiles://archive/runs/", USAGE)
    return [{"export_to_file_source": {"target_uri": text, "format": "rocrate.zip"}}]


def require_on_complete(galaxy: Galaxy) -> None:
    """Raise `GalaxyError` for a server that would ignore an invocation's `on_complete`."""
    releases.require(galaxy, releases.ON_COMPLETE, "--on-complete", "invocation_wait.py waits for the end, so that your own "
                     "script can act then")


class RunRecord:
    """A file (JSON) that records what was run on what, and how it ended; without a path, nothing is written."""

    def __init__(self, path: str | None, galaxy: Galaxy, request: RunRequest, history: str, invocation: str):
        self.path, self.exit_code = path, DONE
        workflow = request.workflow
        self.facts: dict[str, Any] = {}
        if path:
            self.facts = {
                "server": galaxy.base, "galaxy": releases.describe(releases.fetch_release(galaxy)), "scripts": VERSION,
                "workflow": {name: workflow.get(name) for name in ("id", "name", "version", "latest_workflow_uuid")},
                "history": history, "invocation": invocation, "request": request.request, "state": "new",
                "begun": _utc_now()}

    def write(self, **facts: Any) -> None:
        """Add facts, and write the file. A failure is reported and sets `exit_code`; the run goes on."""
        if not self.path:
            return
        self.facts.update(facts)
        try:
            write_output(json.dumps(redact_all(self.facts), indent=2) + "\n", self.path, overwrite=True, option="--record")
        except GalaxyError as error:
            self.exit_code = report_error(f"{error}: there is no record of invocation {self.facts['invocation']}, which "
                                          f"{'has ended' if facts else 'goes on'}")

    def finish(self, invocation: dict[str, Any], states: dict[str, int], failure: str) -> None:
        """Add how the run ended, and write the file."""
        self.write(state="failed" if failure else "ok", invocation_state=invocation["state"], jobs=states, failure=failure,
                   inputs=invocation.get("inputs"), outputs={**invocation["outputs"], **invocation["output_collections"]},
                   ended=_utc_now(), summary=describe_counts(states) or "no jobs")


def _utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
