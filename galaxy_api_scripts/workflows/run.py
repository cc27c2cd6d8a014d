"""A run of a workflow from its inputs to its results: planned and checked as a whole, begun once, remembered in a file."""
from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from common import DONE, USAGE, VERSION, Galaxy, GalaxyError, format_table, report_error
from galaxy_api_scripts.checkpoint import Notes
from galaxy_api_scripts.datasets.target_history import TargetHistory
from galaxy_api_scripts.files import write_output
from galaxy_api_scripts.invocations.invocation import submit_once
from galaxy_api_scripts.progress import describe_counts
from galaxy_api_scripts.workflows import job_file
from galaxy_api_scripts.workflows.definition import (
    export_workflow,
    input_rows,
    load_workflow,
    missing_tools,
    resolve_parameters,
)
from galaxy_api_scripts.workflows.inputs import InputValues, iter_datasets
from galaxy_api_scripts.workflows.staging import Staging, preview_inputs

CORRECTED = {"allow_tool_state_corrections": True}


@dataclass
class RunRequest:
    """What is to be run, on what: all of it checked."""

    workflow: dict[str, Any]            # as `workflows.load` has it
    inputs: InputValues
    parameters: dict[str, dict[str, str]]
    options: dict[str, Any] = field(default_factory=dict)       # more of what an invocation takes
    output_count: int = 1               # how many outputs the workflow marks

    @property
    def sources(self) -> list[Any]:
        """The files and URLs that are to be uploaded, each once."""
        return list(dict.fromkeys(leaf.source for value in self.inputs.values.values() for leaf in iter_datasets(value)
                                  if leaf.source))

    @property
    def request(self) -> dict[str, Any]:
        """The body of the POST that begins it, with files by their paths."""
        return self._body({index: preview_inputs(value) for index, value in self.inputs.values.items()})

    @property
    def identity(self) -> str:
        """What is the same for runs of the same on the same: a file that has changed is another."""
        return json.dumps([*self.purpose, list(self.files.values())], sort_keys=True)

    @property
    def purpose(self) -> list[Any]:
        """What is the same for runs of the same on files of the same names, whatever their options."""
        inputs = {index: preview_inputs(value) for index, value in self.inputs.values.items()}
        return [self.workflow["id"], self.workflow.get("latest_workflow_uuid"), inputs, self.parameters]

    @property
    def files(self) -> dict[str, tuple[int, int]]:
        """`{path: (size, time of the last change in ns)}` of the files that are to be uploaded."""
        stats = {source.path: os.stat(source.path) for source in self.sources if not source.is_url}
        return {path: (about.st_size, about.st_mtime_ns) for path, about in stats.items()}

    def _body(self, inputs: dict[str, Any]) -> dict[str, Any]:
        parameters = {"parameters": self.parameters} if self.parameters else {}
        # Without no_add_to_history Galaxy 26.1 copies what another history has, and it gets another id.
        return {"inputs": inputs, "inputs_by": "step_index", "no_add_to_history": True, **parameters, **self.options}

    def start(self, galaxy: Galaxy, where: TargetHistory, timeout: float | None = None) -> str:
        """Bring the inputs into the history and begin the run, unless an earlier process did; the invocation's id."""
        assert where.checkpoint
        known = where.checkpoint.data.get("invocation")
        if known:
            return str(known)
        staging = Staging(galaxy, where.id, timeout)
        invocation = self.submit(galaxy, where.id, self.stage(staging), where.checkpoint)
        staging.forget()
        return invocation

    def stage(self, staging: Staging) -> dict[str, Any]:
        """The inputs as the invocation takes them, once Galaxy has them."""
        return staging.stage(self.inputs.values, {index: one.name for index, one in self.inputs.specs.items()})

    def submit(self, galaxy: Galaxy, history: str, inputs: dict[str, Any], record: Notes, patient: bool = True) -> str:
        """Begin the run on what `bring` has brought, unless an earlier process did; the invocation's id, or "", see
        `invocations.begin_once`."""
        body = {"history_id": history, **self._body(inputs)}
        try:
            return submit_once(galaxy, self.workflow["id"], body, record, patient)
        except GalaxyError as error:
            if error.status != 400 or "upgrade messages" not in str(error):
                raise
            wanted = _corrections(error.body)
            # Of a Format 2 subworkflow's connected inputs Galaxy 26.1 says so too, and nothing is filled in there.
            if not wanted or not all("RuntimeValue" in one for one in wanted):
                raise GalaxyError(f"workflow {self.workflow['name']!r}: its steps leave out what their tools want, so nothing "
                              f"was run: {' '.join(wanted)} --allow-corrections takes this", status=400) from None
            return submit_once(galaxy, self.workflow["id"], {**body, **CORRECTED}, record, patient)


@dataclass
class WorkflowCheck:
    """What is the same for all runs of a workflow, checked: `problems` are what is wrong, one line each, and `tables` show
    what there is."""

    workflow: dict[str, Any]
    parameters: dict[str, dict[str, str]]
    options: dict[str, Any]
    output_count: int
    problems: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def make_request(self, given: InputValues) -> RunRequest:
        """A run on what is given, which has no problems."""
        return RunRequest(self.workflow, given, self.parameters, self.options, self.output_count)

    def raise_problems(self, problems: list[str]) -> None:
        """Raise `GalaxyError` (USAGE) with all that is wrong, where anything is: these problems come first."""
        problems = problems + self.problems
        if not problems:
            return
        many = len(problems) > 1
        rows = [f"- {problem}" for problem in problems] if many else []
        inputs = [format_table(input_rows(self.workflow), ["index", "label", "takes", "optional", "uuid"])] \
            if len(problems) > len(self.problems) else []
        raise GalaxyError(f"{f'{len(problems)} things are wrong' if many else problems[0]}, so nothing was sent", USAGE,
                      table="\n".join([*rows, *inputs, *self.tables]))


def check_workflow(galaxy: Galaxy, workflow_id: str, parameters: Iterable[tuple[str, str, str]] = (), labels: Iterable[str] = (),
            to_download: bool = False, **options: Any) -> WorkflowCheck:
    """Look at the workflow: `parameters` are (step, name, value), `labels` outputs that are wanted; where there is something
    `to_download`, it has to mark outputs."""
    parameters = list(parameters)
    workflow = load_workflow(galaxy, workflow_id, [step for step, _, _ in parameters])
    content = export_workflow(galaxy, workflow_id)
    marked = [output for step in content["steps"].values() for output in step.get("workflow_outputs") or []]
    known = WorkflowCheck(workflow, {}, options, len(marked))
    try:
        known.parameters = resolve_parameters(galaxy, workflow, parameters)
    except GalaxyError as error:
        if error.exit_code != USAGE:
            raise
        for wrong in _parameter_problems(galaxy, workflow, parameters) or [error]:
            known.problems.append(str(wrong))
            known.tables += [wrong.table] if wrong.table and wrong.table not in known.tables else []
    known.problems += [f"the server lacks the tool {tool}" for tool in missing_tools(galaxy, workflow_id, content)]
    there = [output["label"] for output in marked if output.get("label")]
    known.problems += [f"there is no output {label!r}{': there are ' + ', '.join(there) if there else ''}"
                       for label in labels if label not in there]
    known.problems += [f"{count} outputs are labelled {label!r}, of which Galaxy would hand out one: label them apart"
                       for label, count in Counter(there).items() if count > 1]
    if to_download and not known.output_count:
        known.problems.append("the workflow marks nothing as its output, so --download would fetch nothing")
    return known


def plan_run(galaxy: Galaxy, workflow_id: str, words: list[str], job: str | None = None, history: str = "",
         parameters: Iterable[tuple[str, str, str]] = (), labels: Iterable[str] = (), **options: Any) -> RunRequest:
    """What is to be run. Raises `GalaxyError` (USAGE) with all that is wrong, and tables of what there is.

    `words` are `INPUT=VALUE`, `job` the name of a job file, `history` the id of the one that the run goes to where it is
    there.
    """
    known = check_workflow(galaxy, workflow_id, parameters, labels, **options)
    given = InputValues(galaxy, known.workflow, history)
    given.set_from_args(words)
    if job:
        job_file.read_job_file(given, job)
    given.check_missing()
    known.raise_problems(given.problems)
    return known.make_request(given)


def _parameter_problems(galaxy: Galaxy, workflow: dict[str, Any], parameters: list[tuple[str, str, str]]) -> list[GalaxyError]:
    """What is wrong with each of the parameters alone."""
    wrong = []
    for one in parameters:
        try:
            resolve_parameters(galaxy, workflow, [one])
        except GalaxyError as error:
            wrong.append(error)
    return wrong


def _corrections(body: str | None) -> list[str]:
    """What Galaxy would fill in, a sentence for each parameter, from its refusal."""
    def sentences(of: Any) -> Iterator[str]:
        if isinstance(of, dict):
            for inner in of.values():
                yield from sentences(inner)
        else:
            yield str(of)
    try:
        return list(sentences(json.loads(body or "")["err_data"]))
    except (ValueError, KeyError, TypeError):
        return []


def parse_step_parameter(text: str) -> tuple[str, str, str]:
    """The parts of `STEP:NAME=VALUE`; a usage error where it is not that."""
    found = re.fullmatch(r"(.+?):([^:=]+)=(.*)", text, re.DOTALL)
    if not found:
        raise GalaxyError(f"--param={text}: STEP:NAME=VALUE is wanted", USAGE)
    return found[1], found[2], found[3]


def parse_tag(text: str) -> str:
    """The tag where Galaxy takes it; a usage error else."""
    if not re.fullmatch(r"[^\s.:]+(\.[^\s.:]+)*(:\S+)?", text):
        raise GalaxyError(f"--tag={text}: no tag: a word without spaces, or NAME:VALUE", USAGE)
    return text


def invocation_options(args: dict[str, Any]) -> dict[str, Any]:
    """What an invocation takes for --use-cached-jobs and --allow-corrections, where they were given."""
    return {**({"use_cached_job": True} if args["--use-cached-jobs"] else {}),
            **(CORRECTED if args["--allow-corrections"] else {})}


def parse_on_complete(text: str | None) -> list[dict[str, Any]]:
    """What Galaxy takes as `parse_on_complete`, from `notify` or the address of a file source; [] for nothing."""
    if not text:
        return []
    if text == "notify":
        return [{"send_notification": {}}]
    if "://" not in text:
        raise GalaxyError(f"--on-complete={text}: notify, or the address of a file source, such as gxfiles://archive/runs/",
                      USAGE)
    return [{"export_to_file_source": {"target_uri": text, "format": "rocrate.zip"}}]


def require_on_complete(galaxy: Galaxy) -> None:
    """Refuse a server before 26.1, which would ignore `parse_on_complete`."""
    release = str(galaxy.get("version").get("version_major"))
    if [int(part) for part in re.findall("[0-9]+", release)[:2]] < [26, 1]:
        raise GalaxyError(f"--on-complete is for Galaxy 26.1 and later, and {galaxy.base} is {release}: invocation_wait.py can "
                      "wait for the end, and do what comes then")


class RunRecord:
    """A file (JSON) that says what was run on what, and how it ended."""

    def __init__(self, path: str | None, galaxy: Galaxy, the_plan: RunRequest, history: str, invocation: str):
        self.path, self.exit_code = path, DONE
        workflow = the_plan.workflow
        self.facts: dict[str, Any] = {}
        if path:
            self.facts = {
                "server": galaxy.base, "galaxy": galaxy.get("version").get("version_major"), "scripts": VERSION,
                "workflow": {name: workflow.get(name) for name in ("id", "name", "version", "latest_workflow_uuid")},
                "history": history, "invocation": invocation, "request": the_plan.request, "state": "new", "begun": _utc_now()}

    def write(self, **facts: Any) -> None:
        """Note more facts, and write all of them. Where they can't be written that is said, and `code` is the exit status:
        the run goes on all the same."""
        if not self.path:
            return
        self.facts.update(facts)
        try:
            write_output(json.dumps(self.facts, indent=2) + "\n", self.path, overwrite=True, option="--record")
        except GalaxyError as error:
            self.exit_code = report_error(f"{error}: there is no record of invocation {self.facts['invocation']}, which "
                                 f"{'has ended' if facts else 'goes on'}")

    def finish(self, invocation: dict[str, Any], states: dict[str, int], failure: str) -> None:
        """Note how it ended."""
        self.write(state="failed" if failure else "ok", invocation_state=invocation["state"], jobs=states, failure=failure,
                   inputs=invocation.get("inputs"), outputs={**invocation["outputs"], **invocation["output_collections"]},
                   ended=_utc_now(), summary=describe_counts(states) or "no jobs")


def _utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
