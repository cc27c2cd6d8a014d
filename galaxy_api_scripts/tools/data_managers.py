"""Data managers from a list, as ephemeris' run-data-managers has it: what is in a data table already is left."""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Union

from common import (
    NON_TERMINAL_JOB_STATES,
    STILL_RUNNING,
    USAGE,
    Galaxy,
    GalaxyError,
    backoff,
    read_text,
    shorten,
)
from galaxy_api_scripts.checkpoint import Checkpoint, send_once
from galaxy_api_scripts.datasets.target_history import create_history
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES, job_stderr
from galaxy_api_scripts.tools.repository_list import check_keys
from galaxy_api_scripts.yaml_files import load_yaml

HISTORY = "Data managers"       # in which their jobs run
SOURCE_TABLE = "all_fasta"      # whose data managers run first: others index what is in it
VALUE_INPUTS = ("value", "sequence_id", "dbkey", "all_fasta_source")    # the first that is given is the row's value
NAME_INPUTS = ("name", "sequence_name")
TABLE_SECONDS = 60      # for each of Galaxy's web processes to load a data table again that has a new row
Outcome = Union[str, GalaxyError]


@dataclass(frozen=True)
class DataManagerRun:
    """One run of a data manager, which adds rows to the `tables`."""

    tool: str
    inputs: tuple[tuple[str, str], ...]
    tables: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.tool}, {self.first(VALUE_INPUTS) or self.first(NAME_INPUTS) or dict(self.inputs)}"

    def first(self, names: tuple[str, ...]) -> str:
        """The value of the first of these inputs that is given, whatever it is nested in; "" for none."""
        values = {name.rpartition("|")[2]: value for name, value in self.inputs}
        return next((values[name] for name in names if values.get(name)), "")

    def is_done(self, rows: dict[str, list[dict[str, str]]]) -> bool:
        """Whether each of its tables has a row with its value and a row with its name."""
        known = {"value": self.first(VALUE_INPUTS), "name": self.first(NAME_INPUTS)}
        return any(known.values()) and bool(self.tables) and all(
            any(row.get(column) == text for row in rows[table]) for table in self.tables
            for column, text in known.items() if text)


def read_runs(path: str) -> list[DataManagerRun]:
    """The runs that a list describes, those first whose data managers others read from. Raises a usage error."""
    content = load_yaml(read_text(path), path, as_texts=True)
    if not isinstance(content, dict) or not isinstance(content.get("data_managers"), list):
        raise GalaxyError(f"{path}: no list of data managers: expected `data_managers:`, and below it an entry `- id: ...` "
                          "with `params:` for each", USAGE)
    check_keys(content, ("data_managers", "genomes"), path)
    runs: dict[DataManagerRun, None] = {}
    for number, entry in enumerate(content["data_managers"], 1):
        place = f"{path}, entry {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not entry["id"]:
            raise GalaxyError(f"{place}: it has no id, which is the data manager's", USAGE)
        check_keys(entry, ("id", "params", "items", "data_table_reload"), place)
        params, tables = entry.get("params") or [], entry.get("data_table_reload") or []
        pairs: list[Any] = [pair for one in (params if isinstance(params, list) else [params])
                            for pair in (one.items() if isinstance(one, dict) else [(None, one)])]
        if any(not isinstance(name, str) or not isinstance(value, str) for name, value in pairs):
            raise GalaxyError(f"{place}: params: expected `- NAME: VALUE` for each", USAGE)
        tables = [tables] if isinstance(tables, str) else tables
        for item in _items(entry.get("items"), content.get("genomes"), place):
            inputs = tuple((name, _fill(value, item, f"{place}: {name}")) for name, value in pairs)
            runs[DataManagerRun(entry["id"], inputs, tuple(map(str, tables)))] = None
    return sorted(runs, key=lambda run: SOURCE_TABLE not in run.tables)


def _items(items: Any, genomes: Any, place: str) -> list[Any]:
    if isinstance(items, str) and items.strip("{} ") == "genomes":
        items = genomes
        if not isinstance(items, list):
            raise GalaxyError(f"{place}: items: the file has no list `genomes:`", USAGE)
    items = [""] if items is None else items
    if not isinstance(items, list):
        raise GalaxyError(f'{place}: items: expected a list, or "{{{{ genomes }}}}"', USAGE)
    return items


def _fill(template: str, item: Any, place: str) -> str:
    """`template` with each `{{ item.NAME }}` in it replaced."""
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment
    try:
        return SandboxedEnvironment(undefined=jinja2.StrictUndefined).from_string(template).render(item=item)
    except (jinja2.TemplateError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise GalaxyError(f"{place}: {shorten(template, 60)!r}: {shorten(str(error), 100)}", USAGE) from None


class DataManagers:
    """Runs data managers on one Galaxy, by an administrator's key."""

    def __init__(self, galaxy: Galaxy):
        self.galaxy, self.history = galaxy, ""
        galaxy.require_admin("running data managers")

    def plan(self, runs: Iterable[DataManagerRun]) -> list[DataManagerRun]:
        """Those of the runs whose rows are not all there. Raises `GalaxyError` for a table or a data manager that is
        missing."""
        runs = list(runs)
        for tool in dict.fromkeys(run.tool for run in runs):
            if not self.galaxy.get_or_none(f"tools/{tool}", absent=(400, 404, 500)):
                raise GalaxyError(f"{self.galaxy.base} has no data manager {tool}: tool_install.py installs one of a Tool "
                                  "Shed")
        rows = {table: self.rows(table) for table in dict.fromkeys(table for run in runs for table in run.tables)}
        return [run for run in runs if not run.is_done(rows)]

    def rows(self, table: str) -> list[dict[str, str]]:
        """The rows of a data table."""
        if table == "__dbkeys__":       # of older releases all genomes', else a table as others
            return [{"value": value, "name": name} for name, value in self.galaxy.get("genomes")]
        about = self.galaxy.get(f"tool_data/{table}")
        return [dict(zip(about["columns"], row)) for row in about["fields"]]

    def run(self, runs: list[DataManagerRun], left: Callable[[], int | None]) -> Iterator[tuple[DataManagerRun, Outcome]]:
        """Yield each run as it ends, with its job's id, or the error, while there are seconds `left()` (None: for ever).
        Those that others read from end before these begin."""
        self.history = self.history or self._find_history() or create_history(self.galaxy, HISTORY)
        for is_source in (True, False):
            some = [run for run in runs if (SOURCE_TABLE in run.tables) == is_source]
            with contextlib.ExitStack() as open_notes:
                yield from self._run_together(some, left, open_notes)

    def _run_together(self, runs: list[DataManagerRun], left: Callable[[], int | None], open_notes: contextlib.ExitStack
                      ) -> Iterator[tuple[DataManagerRun, Outcome]]:
        running: dict[str, tuple[DataManagerRun, Checkpoint]] = {}
        for run in runs:
            try:
                if left() == 0:
                    raise GalaxyError(f"{run}: not begun, because the time is up", STILL_RUNNING)
                notes = open_notes.enter_context(Checkpoint(self.galaxy, str(run), "data manager", run.tool, run.inputs))
                running[self._submit(run, notes, list(running))] = run, notes
            except GalaxyError as error:
                yield run, error
        for _ in self.galaxy.poll(left()) if running else ():
            unfinished = {job["id"] for job in self._jobs(state=list(NON_TERMINAL_JOB_STATES))}
            for job in [job for job in running if job not in unfinished]:
                run, notes = running.pop(job)
                outcome = self._outcome(run, job)
                notes.remove()
                yield run, outcome
            if not running:
                return
        for job, (run, _notes) in running.items():
            yield run, GalaxyError(f"{run}: the time is up, and job {job} still runs", STILL_RUNNING)

    def _find_history(self) -> str:
        found = self.galaxy.get("histories", {"q": ["name-eq", "deleted-eq"], "qv": [HISTORY, "False"],
                                              "order": "create_time-asc"})
        return next((str(one["id"]) for one in found if one["name"] == HISTORY), "")

    def _jobs(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.galaxy.pages("jobs", {"history_id": self.history, **query}))

    def _submit(self, run: DataManagerRun, notes: Checkpoint, others: list[str]) -> str:
        """The id of the job of a run, which is begun once. A value that Galaxy does not know is tried again for a while: it
        may have come a moment ago."""
        data = {"history_id": self.history, "tool_id": run.tool, "inputs": dict(run.inputs)}

        def find() -> str | None:
            known = {*notes.data.get("before", []), *others}
            return next((str(job["id"]) for job in self._jobs(tool_id=run.tool) if job["id"] not in known), None)

        refusal = None
        for _ in backoff(0 if SOURCE_TABLE in run.tables else TABLE_SECONDS, 1, 5):
            try:
                return send_once(notes, "job", str(run), find=find,
                                 send=lambda: str(self.galaxy.post("tools", data)["jobs"][0]["id"]),
                                 prepare=lambda: {"before": [job["id"] for job in self._jobs(tool_id=run.tool)]})
            except GalaxyError as error:
                refusal = error
                if error.status != 400:
                    break
        raise GalaxyError(f"{run}: {refusal}", refusal.exit_code if refusal else 1)

    def _outcome(self, run: DataManagerRun, job: str) -> Outcome:
        about = self.galaxy.get(f"jobs/{job}", {"full": "true"})
        if about["state"] in SUCCESS_STATES:
            return job
        lines = job_stderr(about).splitlines()
        reason = lines[-1] if lines else "Galaxy does not say why"
        if about.get("exit_code") == 0:     # Galaxy 26.1 says nothing when it refuses a row that is there already
            reason = "are its rows in the data table already?"
        return GalaxyError(f"{run}: job {job} is {about['state']}: {reason}")
