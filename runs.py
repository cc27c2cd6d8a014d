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

import jobfiles
from common import DONE, USAGE, VERSION, Galaxy, Refused, complain
from files import save
from inputs import Given, leaves
from invocations import begin_once, counted
from printing import table
from staging import Staging, planned
from uploads import Destination
from workflows import chosen_parameters, exported, input_rows, load, missing_tools

CORRECTED = {"allow_tool_state_corrections": True}


@dataclass
class Plan:
    """What is to be run, on what: all of it checked."""

    workflow: dict[str, Any]            # as `workflows.load` has it
    given: Given
    parameters: dict[str, dict[str, str]]
    options: dict[str, Any] = field(default_factory=dict)       # more of what an invocation takes
    makes: int = 1                      # how many outputs the workflow marks

    @property
    def sources(self) -> list[Any]:
        """The files and URLs that are to be uploaded, each once."""
        return list(dict.fromkeys(leaf.source for value in self.given.values.values() for leaf in leaves(value)
                                  if leaf.source))

    @property
    def request(self) -> dict[str, Any]:
        """The body of the POST that begins it, with files by their paths."""
        return self._body({index: planned(value) for index, value in self.given.values.items()})

    @property
    def identity(self) -> str:
        """What is the same for runs of the same on the same: a file that has changed is another."""
        files = [(about.st_size, about.st_mtime_ns) for about in (
            os.stat(source.path) for source in self.sources if not source.is_url)]
        return json.dumps([self.workflow["id"], self.workflow.get("latest_workflow_uuid"), self.request, files],
                          sort_keys=True)

    def _body(self, inputs: dict[str, Any]) -> dict[str, Any]:
        parameters = {"parameters": self.parameters} if self.parameters else {}
        # Without no_add_to_history Galaxy 26.1 copies what another history has, and it gets another id.
        return {"inputs": inputs, "inputs_by": "step_index", "no_add_to_history": True, **parameters, **self.options}

    def begin(self, galaxy: Galaxy, where: Destination, timeout: float | None = None) -> str:
        """Bring the inputs into the history and begin the run, unless an earlier process did; the invocation's id."""
        assert where.record
        known = where.record.data.get("invocation")
        if known:
            return str(known)
        staging = Staging(galaxy, where.id, timeout)
        names = {index: one.name for index, one in self.given.asked.items()}
        body = {"history_id": where.id, **self._body(staging.bring(self.given.values, names))}
        try:
            invocation = begin_once(galaxy, self.workflow["id"], body, where.record)
        except Refused as error:
            if error.status != 400 or "upgrade messages" not in str(error):
                raise
            wanted = _corrections(error.body)
            # Of a Format 2 subworkflow's connected inputs Galaxy 26.1 says so too, and nothing is filled in there.
            if not wanted or not all("RuntimeValue" in one for one in wanted):
                raise Refused(f"workflow {self.workflow['name']!r}: its steps leave out what their tools want, so nothing "
                              f"was run: {' '.join(wanted)} --allow-corrections takes this", status=400) from None
            invocation = begin_once(galaxy, self.workflow["id"], {**body, **CORRECTED}, where.record)
        staging.forget()
        return invocation


def plan(galaxy: Galaxy, workflow_id: str, words: list[str], job: str | None = None, history: str = "",
         parameters: Iterable[tuple[str, str, str]] = (), labels: Iterable[str] = (), **options: Any) -> Plan:
    """What is to be run. Raises `Refused` (USAGE) with all that is wrong, and tables of what there is.

    `words` are `INPUT=VALUE`, `job` the name of a job file, `history` the id of the one that the run goes to where it is
    there, `parameters` are (step, name, value), `labels` outputs that are wanted.
    """
    parameters = list(parameters)
    workflow = load(galaxy, workflow_id, [step for step, _, _ in parameters])
    given = Given(galaxy, workflow, history)
    given.take_words(words)
    if job:
        jobfiles.take(given, job)
    given.look_for_missing()
    tables = [table(input_rows(workflow), ["index", "label", "takes", "optional", "uuid"])] if given.problems else []
    chosen: dict[str, dict[str, str]] = {}
    try:
        chosen = chosen_parameters(galaxy, workflow, parameters)
    except Refused as error:
        if error.exit_code != USAGE:
            raise
        for wrong in _each_wrong(galaxy, workflow, parameters) or [error]:
            given.problems.append(str(wrong))
            tables += [wrong.table] if wrong.table and wrong.table not in tables else []
    content = exported(galaxy, workflow_id)
    given.problems += [f"the server lacks the tool {tool}" for tool in missing_tools(galaxy, workflow_id, content)]
    marked = [output for step in content["steps"].values() for output in step.get("workflow_outputs") or []]
    there = [output["label"] for output in marked if output.get("label")]
    given.problems += [f"there is no output {label!r}{': there are ' + ', '.join(there) if there else ''}"
                       for label in labels if label not in there]
    given.problems += [f"{count} outputs are labelled {label!r}, of which Galaxy would hand out one: label them apart"
                       for label, count in Counter(there).items() if count > 1]
    if given.problems:
        many = len(given.problems) > 1
        words = [f"{len(given.problems)} things are wrong"] if many else given.problems
        rows = [f"- {problem}" for problem in given.problems] if many else []
        raise Refused(f"{words[0]}, so nothing was sent", USAGE, table="\n".join([*rows, *tables]))
    return Plan(workflow, given, chosen, options, len(marked))


def _each_wrong(galaxy: Galaxy, workflow: dict[str, Any], parameters: list[tuple[str, str, str]]) -> list[Refused]:
    """What is wrong with each of the parameters alone."""
    wrong = []
    for one in parameters:
        try:
            chosen_parameters(galaxy, workflow, [one])
        except Refused as error:
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


def a_parameter(text: str) -> tuple[str, str, str]:
    """The parts of `STEP:NAME=VALUE`; a usage error where it is not that."""
    found = re.fullmatch(r"(.+?):([^:=]+)=(.*)", text, re.DOTALL)
    if not found:
        raise Refused(f"--param={text}: STEP:NAME=VALUE is wanted", USAGE)
    return found[1], found[2], found[3]


def a_tag(text: str) -> str:
    """The tag where Galaxy takes it; a usage error else."""
    if not re.fullmatch(r"[^\s.:]+(\.[^\s.:]+)*(:\S+)?", text):
        raise Refused(f"--tag={text}: no tag: a word without spaces, or NAME:VALUE", USAGE)
    return text


def on_complete(text: str | None) -> list[dict[str, Any]]:
    """What Galaxy takes as `on_complete`, from `notify` or the address of a file source; [] for nothing."""
    if not text:
        return []
    if text == "notify":
        return [{"send_notification": {}}]
    if "://" not in text:
        raise Refused(f"--on-complete={text}: notify, or the address of a file source, such as gxfiles://archive/runs/",
                      USAGE)
    return [{"export_to_file_source": {"target_uri": text, "format": "rocrate.zip"}}]


def knows_on_complete(galaxy: Galaxy) -> None:
    """Refuse a server before 26.1, which would ignore `on_complete`."""
    release = str(galaxy.get("version").get("version_major"))
    if [int(part) for part in re.findall("[0-9]+", release)[:2]] < [26, 1]:
        raise Refused(f"--on-complete is for Galaxy 26.1 and later, and {galaxy.base} is {release}: invocation_wait.py can "
                      "wait for the end, and do what comes then")


class Account:
    """A file (JSON) that says what was run on what, and how it ended."""

    def __init__(self, path: str | None, galaxy: Galaxy, the_plan: Plan, history: str, invocation: str):
        self.path, self.code = path, DONE
        workflow = the_plan.workflow
        self.facts: dict[str, Any] = {}
        if path:
            self.facts = {
                "server": galaxy.base, "galaxy": galaxy.get("version").get("version_major"), "scripts": VERSION,
                "workflow": {name: workflow.get(name) for name in ("id", "name", "version", "latest_workflow_uuid")},
                "history": history, "invocation": invocation, "request": the_plan.request, "state": "new", "begun": _now()}

    def write(self, **facts: Any) -> None:
        """Note more facts, and write all of them. Where they can't be written that is said, and `code` is the exit status:
        the run goes on all the same."""
        if not self.path:
            return
        self.facts.update(facts)
        try:
            save(json.dumps(self.facts, indent=2) + "\n", self.path, overwrite=True, option="--record")
        except Refused as error:
            self.code = complain(f"{error}: there is no record of invocation {self.facts['invocation']}, which "
                                 f"{'has ended' if facts else 'goes on'}")

    def ended(self, invocation: dict[str, Any], states: dict[str, int], failure: str) -> None:
        """Note how it ended."""
        self.write(state="failed" if failure else "ok", invocation_state=invocation["state"], jobs=states, failure=failure,
                   inputs=invocation.get("inputs"), outputs={**invocation["outputs"], **invocation["output_collections"]},
                   ended=_now(), summary=counted(states))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
