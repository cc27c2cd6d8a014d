"""Watch a folder: submit each complete unit in it once, and when that has ended, move it away and run the user's command.

Since when each unit is unchanged, and which were submitted, is in the ledger, so a watcher from cron, which scans once and
ends, knows as much as one that stays.
"""
from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from common import USAGE, GalaxyError, one_line, redact, report_error
from galaxy_api_scripts.batch.incoming import (
    AS_BEFORE,
    IncomingUnit,
    check_parts,
    current_fingerprint,
    is_complete,
    scan_folder,
)
from galaxy_api_scripts.batch.ledger import Sample
from galaxy_api_scripts.batch.ledger_reader import FAILURE_STATES, UNFINISHED_STATES
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.batch.reads import IncomingFile
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.batch.samples import stable_hash, supersede
from galaxy_api_scripts.batch.unit_moves import move_unit
from galaxy_api_scripts.datasets.lanes import Lanes
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.files import state_path
from galaxy_api_scripts.workflows.run import RunRequest

DEFAULT_SETTLE = {"file": 60, "pair": 60, "run": 600}       # seconds; a run's folder rests at times while it is written
COMMAND_TIMEOUT = 600       # seconds


@dataclass(frozen=True)
class WatchSettings:
    """What is watched, and what is done with it."""

    folder: str
    kind: str                       # one of UNIT_KINDS
    settle: float                   # seconds for which a unit without a mark must be unchanged
    pause: float = 0                # seconds between two scans
    ready_file: str | None = None   # these two: see `scan_folder`
    pattern: str | None = None
    move_to: str | None = None      # the folder for units that have ended well
    commands: Mapping[str, str | None] = field(default_factory=dict)    # what the shell runs at a unit's end, by its state
    retry_failed: bool = False
    tags: Sequence[str] = ()        # of each history
    lanes: Lanes = AS_BEFORE


class Watcher:
    """Scans a folder and submits to `runner` what is complete: what `make_request(unit)` returns for each. Histories are
    named by `make_title(unit)`, which need not be unique, if that is given."""

    def __init__(self, runner: BatchRunner, settings: WatchSettings, make_request: Callable[[IncomingUnit], RunRequest],
                 make_title: Callable[[IncomingUnit], str] | None = None):
        self.runner, self.settings, self.make_request, self.make_title = runner, settings, make_request, make_title
        self._submitted: dict[str, str] = {}        # fingerprints of what needs no more attention, by place
        self._units: dict[str, IncomingUnit] = {}   # of samples under way, by key
        self._next_scan = 0.0
        self.is_stuck = False       # whether a unit could not be moved, or its command failed
        runner.context.on_end = self.finish

    def scan(self) -> None:
        """Scan the folder, unless that was done less than `pause` seconds ago."""
        if time.monotonic() < self._next_scan:
            return
        ledger, now, settings = self.runner.ledger, time.time(), self.settings
        before, arrivals = ledger.notes.arrivals, {}
        skipped: list[str] = []
        units = scan_folder(settings.folder, settings.kind, settings.ready_file, settings.pattern, settings.lanes,
                            skipped)
        self._tell_once([*skipped, *(line for unit in units for line in unit.skipped)])
        self._submitted = {unit.place: unit.fingerprint for unit in units
                           if self._submitted.get(unit.place) == unit.fingerprint}
        for unit in units:
            if unit.place in self._submitted:
                continue
            sample = self._find_sample(unit)
            fingerprint, since = before.get(unit.place, ("", 0))
            since = min(since, now) if fingerprint == unit.fingerprint else now     # the clock may have been put back
            if sample or is_complete(unit, since, now, settings.settle):
                with suppress(FileNotFoundError):       # it has gone meanwhile
                    self.take(unit, sample)
                    self._submitted[unit.place] = unit.fingerprint
            else:
                arrivals[unit.place] = [unit.fingerprint, since]
        if arrivals != before:
            ledger.save(arrivals=arrivals)
        self._next_scan = time.monotonic() + settings.pause

    def _tell_once(self, lines: list[str]) -> None:
        """Report what is left alone in the folder, each thing once for as long as it is there."""
        told = self.runner.ledger.notes.skipped
        lines = list(dict.fromkeys(map(one_line, lines)))
        for line in (line for line in lines if line not in told):
            report_error(line)
        if lines != told:
            self.runner.ledger.save(skipped=lines)

    def _find_sample(self, unit: IncomingUnit) -> Sample | None:
        """The sample that was made of the unit as it is now."""
        samples = reversed(self.runner.ledger.samples_named(unit.name))
        return next((sample for sample in samples
                     if sample.notes.fingerprint == unit.fingerprint and sample.place == unit.place), None)

    def take(self, unit: IncomingUnit, sample: Sample | None) -> None:
        """Submit a unit, or do what is left to do for the `sample` that was made of it before."""
        if sample and sample.state == "ok":
            self._move(sample, unit)
            return
        if sample and sample.state == "failed" and not self.settings.retry_failed:
            return
        unit = check_parts(unit)
        try:
            if unit.problem:
                raise GalaxyError(unit.problem, USAGE)
            request = self.make_request(unit)
        except GalaxyError as error:
            if error.exit_code != USAGE:
                raise
            self._reject(unit, unit.name, str(error), sample)
            return
        sample = self.runner.submit(
            unit.name, request, purpose=["watched", unit.place], place=unit.place, tags=self.settings.tags,
            again=["failed"] if self.settings.retry_failed else [], require_unchanged=lambda: require_unchanged(unit),
            title=self.make_title(unit) if self.make_title else "", unique_title=not self.make_title)
        if sample.notes.fingerprint != unit.fingerprint:
            with sample.step(Stage.DETECT):
                sample.save(fingerprint=unit.fingerprint)
        if self.settings.kind == "run":
            self._supersede_left_out(unit)
        for name, problem in unit.left_out:
            self._reject(unit, f"{unit.name}/{name}", problem)
        if sample.state in UNFINISHED_STATES:
            self._units[sample.key] = unit
        elif sample.state == "ok":
            self._move(sample, unit)

    def _reject(self, unit: IncomingUnit, name: str, problem: str, sample: Sample | None = None) -> None:
        """Save, and notify once, that a unit, or the sample of that name in a run, can't be run as it is. What had begun
        before is polled to its end."""
        ledger, about = self.runner.ledger, ["watched", unit.place, unit.fingerprint]
        key = stable_hash(*about, *([name] if name != unit.name else []))
        sample = sample or ledger.sample(key)
        if sample and (sample.state == "running" or (name != unit.name and sample.state != "waiting")):
            return
        supersede((other for other in ledger.samples_named(name) if other is not sample), unit.place)
        sample = sample or ledger.add(key, name, place=unit.place, fingerprint=unit.fingerprint)
        sample.save(stage=Stage.DETECT, failed_step=Stage.DETECT, message=problem)
        self.notify(sample, "failed")
        sample.save(durably=True, state="failed")
        self.runner.rejected.append(sample)

    def _supersede_left_out(self, unit: IncomingUnit) -> None:
        """Close what was left out of a run that has come again with other files."""
        supersede((sample for sample in self.runner.ledger.samples("failed") if sample.name.startswith(f"{unit.name}/")
                   and sample.notes.fingerprint != unit.fingerprint), unit.place)

    # ---------------------------------------------------------------------------------------------------- at its end

    def finish(self, sample: Sample, state: str) -> None:
        """Move a sample's files and run the command: again, if the process was killed meanwhile."""
        unit = self._units.pop(sample.key, None) or restore_unit(sample.notes.moving)
        if state == "ok" and unit:
            self._move(sample, unit)
        self.notify(sample, state)

    def _move(self, sample: Sample, unit: IncomingUnit) -> None:
        if not self.settings.move_to:
            return
        try:
            with sample.step(Stage.MOVE):
                sample.save(durably=True, moving=asdict(unit))
                sample.save(place=move_unit(unit, self.settings.move_to), moving=None)
        except GalaxyError as error:
            report_error(f"{sample.name}: {error}")
            self.is_stuck = True
            sample.save(moving=None)

    def notify(self, sample: Sample, state: str) -> None:
        """Run the command for this state, with the facts in its environment."""
        command = self.settings.commands.get("failed" if state in FAILURE_STATES else state)
        if not command or (state == "fetch pending" and sample.notes.notified == sample.message):
            return
        sample.save(notified=sample.message if state == "fetch pending" else None)
        folder = self.runner.context.folder
        url = f"{self.runner.galaxy.base}/workflows/invocations/{sample.invocation}" if sample.invocation else ""
        facts = {"NAME": sample.name, "STATE": state, "PLACE": sample.place, "HISTORY": sample.history,
                 "RUN_URL": redact(url), "INVOCATION": sample.invocation, "FAILED_STEP": sample.failed_step,
                 "MESSAGE": sample.message,
                 "RESULTS": folder.resolve() / sample.notes.folder if folder and state == "ok" else "",
                 "LEDGER": self.runner.ledger.path}
        environment = {**os.environ, **{f"UNIT_{name}": str(value or "") for name, value in facts.items()}}
        try:
            with sample.step(Stage.NOTIFY):
                code = run_command(command, environment)
                if code:
                    raise GalaxyError(f"the command for it ended with {code}: {command}")
        except (GalaxyError, OSError, subprocess.TimeoutExpired) as error:
            is_late = isinstance(error, subprocess.TimeoutExpired)
            problem = f"the command for it did not end within {COMMAND_TIMEOUT} s: {command}" if is_late else error
            report_error(f"{sample.name}: {problem}")
            self.is_stuck = True


def default_ledger(server: str, folder: str, workflow: str) -> Path:
    """The path of the ledger of a folder, a server (whatever password a proxy before it has) and a workflow, without
    `--ledger`."""
    workflow = os.path.realpath(workflow) if os.path.isfile(workflow) else workflow
    return state_path("ledgers") / f"{os.path.basename(folder)}-{stable_hash(redact(server), folder, workflow)[:8]}.ledger"


def run_command(command: str, environment: dict[str, str]) -> int:
    """Run a command in the shell and return its exit status. What it prints goes to standard error, because standard output
    is for results. All its processes are killed after COMMAND_TIMEOUT seconds, or when this process is stopped."""
    held: list[int] = []    # signals that come before there is a process to kill
    handlers = {number: signal.signal(number, lambda number, frame: held.append(number))
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if callable(signal.getsignal(number))}

    def handle_signals() -> None:
        while handlers:
            signal.signal(*handlers.popitem())
        while held:
            signal.raise_signal(held.pop())

    try:
        with subprocess.Popen(command, shell=True, env=environment, stdin=subprocess.DEVNULL, stdout=2,
                              start_new_session=True) as shell:
            try:
                handle_signals()
                return shell.wait(COMMAND_TIMEOUT)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(shell.pid, signal.SIGKILL)
                raise
    finally:
        handle_signals()


def require_unchanged(unit: IncomingUnit) -> None:
    """Raise `GalaxyError` if a unit has changed since the scan: what was uploaded may be half of it."""
    if current_fingerprint(unit) != unit.fingerprint:
        raise GalaxyError("its files changed while they were uploaded, so nothing was run on what was there before")


def restore_unit(data: dict[str, Any] | None) -> IncomingUnit | None:
    """The unit that `dataclasses.asdict` made the data of."""
    if not data:
        return None
    samples = tuple((name, tuple(Source(**{**source, "parts": tuple(source.get("parts", ()))}) for source in mates))
                    for name, mates in data["samples"])
    files = tuple(IncomingFile(**file) for file in data["files"])
    return IncomingUnit(**{**data, "samples": samples, "skipped": (), "files": files})
