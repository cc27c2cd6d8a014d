"""A folder that is watched: what is whole in it is wanted as a unit of work, once, and when that has ended it is moved away
and somebody is told.

What has stood still since when, and what has been taken, is noted in the ledger, so that a watcher from cron, which looks
once and ends, knows as much as one that stays.
"""
from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import USAGE, GalaxyError, redact, report_error
from galaxy_api_scripts.batch.incoming import IncomingFile, IncomingUnit, fingerprint, is_complete, move_unit, scan_folder
from galaxy_api_scripts.batch.ledger import UNFINISHED_STATES, Sample
from galaxy_api_scripts.batch.runner import BatchRunner, stable_hash
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.files import state_path
from galaxy_api_scripts.workflows.run import RunRequest

SETTLE_SECONDS = {"file": 60, "pair": 60, "run": 600}       # seconds; a run's folder rests at times while it is written
PATIENCE = 600      # seconds for the command of a notice


class Watcher:
    """Looks at a folder and wants what is whole there from `work`: what `planned(drop)` says for each.

    `settle` are the seconds for which a unit without a mark must have stood still, `pause` those between two looks; `to` is
    the folder for what has ended well, and `commands` are what the shell does at a unit's end, by its state.
    """

    def __init__(self, work: BatchRunner, folder: str, unit: str, planned: Callable[[IncomingUnit], RunRequest], settle: float, pause: float = 0,
                 ready_file: str | None = None, pattern: str | None = None, to: str | None = None,
                 commands: dict[str, str | None] | None = None, retry: bool = False, tags: list[str] | None = None,
                 title: Callable[[IncomingUnit], str] | None = None):
        self.work, self.folder, self.unit, self.plan = work, folder, unit, planned
        self.settle, self.pause, self.ready_file, self.pattern = settle, pause, ready_file, pattern
        self.to, self.commands, self.tags, self.title = to, commands or {}, tags or [], title
        self.again = ["failed"] if retry else []
        self.handled: dict[str, str] = {}       # the stamps of what was taken, or needs nothing any more, by place
        self.drops: dict[str, IncomingUnit] = {}        # of units under way, by key
        self._next = 0.0
        work.on_end = self.ended

    def look(self) -> None:
        """Look at the folder, unless that was done `pause` seconds ago or less."""
        if time.monotonic() < self._next:
            return
        notes, now = self.work.ledger.notes, time.time()
        before = notes.data.get("seen", {})
        seen: dict[str, Any] = {}
        there = scan_folder(self.folder, self.unit, self.ready_file, self.pattern)
        self.handled = {drop.place: drop.stamp for drop in there if self.handled.get(drop.place) == drop.stamp}
        for drop in there:
            if drop.place in self.handled:
                continue
            known = self._known(drop)
            stamp, since = before.get(drop.place, ("", 0))
            since = min(since, now) if stamp == drop.stamp else now     # the clock may have been put back
            if known or is_complete(drop, since, now, self.settle):
                with suppress(FileNotFoundError):       # it has gone meanwhile
                    self._take(drop, known)
                    self.handled[drop.place] = drop.stamp
            else:
                seen[drop.place] = [drop.stamp, since]
        if seen != before:
            notes.save(seen=seen)
        self._next = time.monotonic() + self.pause

    def _known(self, drop: IncomingUnit) -> Sample | None:
        """The unit that was made of the drop as it is now."""
        units = reversed(self.work.ledger.named(drop.name))
        return next((unit for unit in units if unit.data.get("stamp") == drop.stamp and unit.place == drop.place), None)

    def _take(self, drop: IncomingUnit, known: Sample | None) -> None:
        if known and known.state == "ok":
            self._move(known, drop)
        if known and (known.state == "ok" or (known.state == "failed" and not self.again)):
            return
        try:
            if drop.problem:
                raise GalaxyError(drop.problem, USAGE)
            plan = self.plan(drop)
        except GalaxyError as error:
            if error.exit_code != USAGE:
                raise
            self._can_not_run(drop, known, str(error))
            return
        unit = self.work.submit(drop.name, plan, purpose=["watched", drop.place], place=drop.place, tags=self.tags,
                              again=self.again, unchanged=lambda: require_unchanged(drop),
                              title=self.title(drop) if self.title else "", marked=not self.title)
        if unit.data.get("stamp") != drop.stamp:
            with unit.step("files seen"):
                unit.save(stamp=drop.stamp)
        if unit.state in UNFINISHED_STATES:
            self.drops[unit.key] = drop
        elif unit.state == "ok":
            self._move(unit, drop)

    def _can_not_run(self, drop: IncomingUnit, known: Sample | None, problem: str) -> None:
        """Note, and tell once, what can't be run as it is. What had begun before is watched to its end."""
        if known and known.state == "running":
            return
        unit = known or self.work.ledger.add(stable_hash("watched", drop.place, drop.stamp), drop.name, place=drop.place,
                                             stamp=drop.stamp, purpose="", files={})
        unit.save(failed_step="files seen", message=problem)
        self.notice(unit, "failed")
        unit.save(durably=True, state="failed")
        self.work.over.append(unit)

    # ---------------------------------------------------------------------------------------------------- at its end

    def ended(self, unit: Sample, state: str) -> None:
        """What is done at a unit's end: again, where the process was killed meanwhile."""
        drop = self.drops.pop(unit.key, None) or restore_unit(unit.data.get("moving"))
        if state == "ok" and drop:
            self._move(unit, drop)
        self.notice(unit, state)

    def _move(self, unit: Sample, drop: IncomingUnit) -> None:
        if not self.to:
            return
        try:
            with unit.step("moved"):
                unit.save(durably=True, moving=asdict(drop))
                unit.save(place=move_unit(drop, self.to), moving=None)
        except GalaxyError as error:
            report_error(f"{unit.name}: {error}")
            unit.save(moving=None)

    def notice(self, unit: Sample, state: str) -> None:
        """Run the command for this state, with the facts in its environment."""
        command = self.commands.get(state)
        if not command:
            return
        data, galaxy = unit.data, self.work.galaxy
        run = f"{galaxy.base}/workflows/invocations/{unit.invocation}" if unit.invocation else ""
        results = self.work.folder.resolve() / data["folder"] if self.work.folder and state == "ok" else ""
        facts = {"NAME": unit.name, "STATE": state, "PLACE": unit.place, "HISTORY": unit.history, "RUN_URL": redact(run),
                 "INVOCATION": unit.invocation, "FAILED_STEP": unit.failed_step, "MESSAGE": unit.message,
                 "RESULTS": results, "LEDGER": self.work.ledger.path}
        environment = {**os.environ, **{f"UNIT_{name}": str(value or "") for name, value in facts.items()}}
        try:
            with unit.step("told"):
                code = run_command(command, environment)
                if code:
                    raise GalaxyError(f"the command for it ended with {code}: {command}")
        except subprocess.TimeoutExpired:
            report_error(f"{unit.name}: the command for it did not end within {PATIENCE} s: {command}")
        except (GalaxyError, OSError) as error:
            report_error(f"{unit.name}: {error}")


def default_ledger(server: str, folder: str, workflow: str) -> Path:
    """The ledger of a folder, a server (whatever password a proxy before it has) and a workflow where none is named."""
    mark = stable_hash(redact(server), folder, os.path.realpath(workflow) if os.path.isfile(workflow) else workflow)[:8]
    return state_path("ledgers") / f"{os.path.basename(folder)}-{mark}.ledger"


def run_command(command: str, environment: dict[str, str]) -> int:
    """Let the shell do it, and return how it ended. What it prints goes to standard error: the results are ours. All that it
    has begun ends where it takes more than PATIENCE seconds, or this process is stopped."""
    with subprocess.Popen(command, shell=True, env=environment, stdin=subprocess.DEVNULL, stdout=2,
                          start_new_session=True) as shell:
        try:
            return shell.wait(PATIENCE)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            raise


def require_unchanged(drop: IncomingUnit) -> None:
    """Refuse what is not as it was when it was taken: what was uploaded may be half of it."""
    if fingerprint(drop) != drop.stamp:
        raise GalaxyError("its files changed while they were uploaded, so nothing was run on what was there before")


def restore_unit(data: dict[str, Any] | None) -> IncomingUnit | None:
    """A drop, from what `asdict` made of it."""
    if not data:
        return None
    samples = tuple((name, tuple(Source(**source) for source in mates)) for name, mates in data["samples"])
    return IncomingUnit(**{**data, "samples": samples, "files": tuple(IncomingFile(**file) for file in data["files"])})
