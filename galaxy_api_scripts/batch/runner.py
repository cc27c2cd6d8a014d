"""Units of work, such as samples: the inputs of each brought, its run begun once and watched, its results delivered; many
beside each other, and all of it remembered in a ledger.

A process that is killed at any moment is gone on with by the next one. Each step is noted before it is taken and after
it, and what Galaxy was asked for without an answer is looked up: a unit's own history by its name, which has the unit's key
in it (the one thing that Galaxy sets together with making it), its run by the history and by what it was given.
"""
from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import NON_TERMINAL_DATASET_STATES, TERMINAL_JOB_STATES, TRY_LATER, Galaxy, GalaxyError, report_error
from galaxy_api_scripts.batch.ledger import Ledger, Sample, utc_now
from galaxy_api_scripts.batch.shared_uploads import SharedUploads, is_usable
from galaxy_api_scripts.datasets.download import (
    DownloadFolder,
    clip_filename,
    download_items,
    safe_name,
)
from galaxy_api_scripts.datasets.hashing import hash_file
from galaxy_api_scripts.datasets.target_history import KEY_LENGTH, NAME_LENGTH, create_history_once, name_with_key
from galaxy_api_scripts.datasets.upload import discard_dataset
from galaxy_api_scripts.files import prepare_folder
from galaxy_api_scripts.invocations.invocation import (
    InvocationFailed,
    InvocationPoller,
    cancel_duplicates,
    invocation_outputs,
    newer_invocations,
    output_datasets,
)
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES
from galaxy_api_scripts.polling import fetch_datasets, in_batches
from galaxy_api_scripts.workflows.run import RunRequest
from galaxy_api_scripts.workflows.staging import Staging

RESTARTED = "killed when Galaxy was restarted"      # Galaxy 26.1 of jobs that it does not find again: no fault of theirs
POLL_INTERVAL = (0.25, 20.0)       # seconds between two rounds: while things move, and at most
MADE = (600, 5 * 10**6)     # an upload's job that is `running` is lost after so many seconds, and one more for so many bytes
QUEUED = 6 * 3600           # and one that is not, after so many
MAX_RETRIES = 3                   # times that is done again what was lost or killed with Galaxy
MAX_REFUSALS = 5                  # refusals in a row after which nothing more is begun: the fault is not a sample's
VISIT_SECONDS = 300                 # seconds for which a visit waits for uploads of which none is made meanwhile
PARALLEL = 4                # downloads at once
WATCH_STEP = "watched"         # the step at which a run may still be going on, as where it waits for a person
LONGEST = 255               # bytes of a folder's name


@dataclass
class RunningSample:
    """A unit that is under way, or to be: `plan` is None where nobody wants it any more."""

    unit: Sample
    plan: RunRequest | None = None
    staging: Staging | None = None
    watch: InvocationPoller | None = None
    at: str = ""            # the step that it is at
    tags: Sequence[str] = ()
    unchanged: Callable[[], None] | None = None     # refuses where the files are not what they were

    @property
    def invocation(self) -> str:
        return str(self.unit.data.get("invocation") or "")


class BatchRunner:
    """Brings units to their ends, at most `most` beside each other.

    Each has a history of its own, or all have the one whose id `common()` says. What each makes, or its outputs of these
    `labels`, goes into a folder of its own in `folder`, if any. `on_end(unit, state)` is called before a unit's end is
    noted: again, where this process is killed before that. `staging` brings the inputs; a unit ends with its run's
    submission where that is not to be `waited` for.
    """

    def __init__(self, galaxy: Galaxy, ledger: Ledger, most: int = 10, folder: Path | None = None,
                 labels: Iterable[str] = (), on_end: Callable[[Sample, str], None] | None = None,
                 staging: Callable[[Galaxy, str], Staging] = Staging, waited: bool = True,
                 common: Callable[[], str] | None = None):
        self.galaxy, self.ledger, self.most, self.folder = galaxy, ledger, most, folder
        self.labels, self.on_end, self.common = list(labels), on_end, common
        self.staging, self.waited = staging, waited
        self.under_way: dict[str, RunningSample] = {}
        self.queue: deque[RunningSample] = deque()
        self.over: list[Sample] = []          # that ended before they were begun, and are still to be handed on
        self.shared = SharedUploads(galaxy, ledger, common)
        self._refused = 0                   # submissions in a row
        self.given_up = False               # whether that were so many that no more are begun
        self._moved = False                 # something was done in this round

    # ------------------------------------------------------------------------------------------------ what is wanted

    def submit(self, name: str, plan: RunRequest, *, purpose: Any = None, place: str = "", title: str = "",
             tags: Sequence[str] = (), again: Sequence[str] = (), unchanged: Callable[[], None] | None = None,
             marked: bool = True) -> Sample:
        """The unit of that name for that plan: the one that the ledger has, or a new one, which is begun in its turn.

        It is another where its name or `purpose` is, which is the plan's unless given, or the content of a file. One in a
        state that is among `again` gets another run. A new one's history is called `title`, or by its name and the
        workflow's, and bears the unit's key, unless it is not to be `marked`. Before the run is submitted, `unchanged()` may
        refuse that.
        """
        what = stable_hash(name, _purpose_without_folders(plan) if purpose is None else purpose)
        files = {path: [*stat, ""] for path, stat in plan.files.items()}
        before = self.ledger.named(name)
        unit = next((one for one in reversed(before) if one.data.get("purpose") == what and _same_files(one, files)), None)
        if unit is None:
            key = stable_hash(what, files)
            title = title or f"{name} - {plan.workflow['name']}"
            unit = self.ledger.add(key, name, place=place, workflow=plan.workflow["id"], purpose=what, files=files,
                                   title=name_with_key(title, key) if marked else title[:NAME_LENGTH], marked=marked,
                                   folder=self._folder(name, key, len(before) + 1))
        if unit.state in again or (unit.state == "failed" and unit.failed_step == WATCH_STEP):
            self._reset(unit)
        if unit.state == "gone" or (unit.state == "ok" and self.folder and self.waited and not unit.data.get("results")):
            unit.save(state="waiting", message=None, ended=None)
        if unit.state in ("waiting", "running") and unit.key not in self.under_way:
            one = RunningSample(unit, plan, tags=tags, unchanged=unchanged)
            if unit.state == "running":
                self.under_way[unit.key] = one
            else:
                self.queue.append(one)
        return unit

    def _folder(self, name: str, key: str, number: int) -> str:
        """What the folder of the unit with that key, the `number`th of this name, is called: as no other unit's is."""
        folder = f"{name}.{number}" if number > 1 else name
        others = self.ledger.named(folder if number > 1 else name.rpartition(".")[0])
        theirs = any(one.data.get("folder") == folder for one in others)
        if safe_name(folder) == folder and len(folder.encode()) <= LONGEST and not theirs:
            return folder
        return clip_filename(safe_name(name), mark=f" [{key[:KEY_LENGTH]}]")

    def adopt_orphans(self) -> None:
        """Take on what an earlier process had under way and nobody has wanted this time: its runs are watched to their end,
        and what is not begun is dropped."""
        for unit in self.ledger.units("running"):
            if unit.key not in self.under_way:
                self.under_way[unit.key] = RunningSample(unit)
        wanted = {one.unit.key for one in self.queue}
        for unit in self.ledger.units("waiting"):
            if unit.key not in wanted:
                _drop(unit)

    def _reset(self, unit: Sample) -> None:
        """Let a unit that has ended begin again, where it failed: with another run on what was brought for the last, if
        that is still there."""
        again: dict[str, Any] = {"state": "waiting", "failed_step": None, "message": None, "ended": None}
        if unit.failed_step == "delivered" or (
                unit.failed_step == WATCH_STEP and self.galaxy.get_or_none(f"invocations/{unit.invocation}")):
            unit.save(**again)
            return
        if unit.history and (self.galaxy.get_or_none(f"histories/{unit.history}") or {}).get("deleted", True):
            unit.save(history=None, inputs=None, asked_history=None)
        inputs = unit.data.get("inputs") or {}
        there = all(is_usable(self.galaxy, one) for one in inputs.values() if isinstance(one, dict))
        unit.save(**again, **_new_run_notes(unit), inputs=inputs if inputs and there else None, results=None)

    # ---------------------------------------------------------------------------------------------------- rounds

    def rounds(self, once: bool = False, timeout: float | None = None, look_for_more: Callable[[], None] | None = None,
               longest: float = POLL_INTERVAL[1]) -> Iterator[Sample]:
        """Each unit as it ends, until all have ended or `timeout` seconds are over; with `once`, until all is submitted that
        can be, and what has finished by then is delivered. `look_for_more()`, where there may come more, goes before each
        round; without `once` there is no end then, and a server that is away is waited for as long as it takes. Between two
        rounds are `longest` seconds at most."""
        end = None if timeout is None else time.monotonic() + timeout
        moved = time.monotonic()
        pause, forever, said = POLL_INTERVAL[0], look_for_more is not None and not once, ""
        while True:
            self._moved = False
            try:
                if look_for_more:
                    look_for_more()
                yield from self.look()
                if forever and self._refused >= MAX_REFUSALS:
                    raise GalaxyError(f"the last {self._refused} runs were refused, so nothing more is begun: start it again "
                                  "once that is mended")
                said = ""
            except GalaxyError as error:
                if not forever or error.exit_code != TRY_LATER:
                    raise
                if str(error) != said:      # not every twenty seconds of a night
                    report_error(str(error))
                pause, said = POLL_INTERVAL[1], str(error)
            moved = time.monotonic() if self._moved else moved
            idle = time.monotonic() - moved > VISIT_SECONDS
            if (once and (self.all_submitted or idle)) or not (self.unfinished or forever):
                break
            pause = POLL_INTERVAL[0] if self._moved else min(pause * 1.25, POLL_INTERVAL[1], longest)
            left = pause if end is None else end - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(pause, left))
        self.remember()

    @property
    def unfinished(self) -> int:
        return len(self.queue) + len(self.under_way)

    @property
    def all_submitted(self) -> bool:
        return all(one.invocation for one in self.under_way.values()) and \
            (not self.queue or len(self.under_way) >= self.most)

    def look(self) -> Iterator[Sample]:
        """One round: see what has ended and go on with the rest, then begin what may be begun; each unit that has ended.

        However many have ended before, it is one request for all datasets that are being made, and one for all runs.
        """
        while self.over:
            yield self.over.pop(0)
        moving, summaries = self._moving(), self._summaries(
            {one.invocation: str(one.unit.history) for one in self.under_way.values() if one.invocation})
        for one in list(self.under_way.values()):
            yield from self._tried(one, moving, summaries)
        while self.queue and len(self.under_way) < self.most and self._refused < MAX_REFUSALS:
            one = self.queue.popleft()
            begun = (one.unit.begun if one.invocation else None) or utc_now()
            one.unit.save(durably=True, state="running", begun=begun, attempt=one.unit.attempt or 1)
            self.under_way[one.unit.key] = one
            yield from self._tried(one, {}, {})
        if self._refused >= MAX_REFUSALS and self.queue:
            report_error(f"the last {self._refused} runs were refused, so the {len(self.queue)} that wait were not begun")
            self.queue.clear()
            self.given_up = True

    def remember(self) -> None:
        """Note how the runs stood when they were looked at last: whether nothing moves any more takes two looks."""
        for one in self.under_way.values():
            if one.watch and one.watch.last_summary is not None:
                one.unit.save(looked=[one.watch.last_summary, one.watch.last_change])

    def _moving(self) -> dict[str, str]:
        """The datasets that Galaxy is still making, and their states."""
        sent = [dataset for one in self.under_way.values() if one.staging and not one.invocation
                for dataset in one.staging.datasets]
        return {dataset: about["state"] for dataset, about in fetch_datasets(self.galaxy, sent, ["state"])
                if not isinstance(about, GalaxyError) and about["state"] in NON_TERMINAL_DATASET_STATES}

    def _summaries(self, running: dict[str, str]) -> dict[str, Any]:
        """`{invocation: its jobs_summary}`, or the `GalaxyError` that it is answered with, of invocations and their histories.

        `GET /api/histories/ID/jobs_summary` tells of all that it is asked for, whichever history is named (Galaxy 26.1).
        """
        told: dict[str, Any] = {}
        for part, answer in in_batches(lambda part: self.galaxy.get(
                f"histories/{running[part[0]]}/jobs_summary",
                {"ids": ",".join(part), "types": ",".join(["WorkflowInvocation"] * len(part))}), list(running)):
            told.update({part[0]: answer} if isinstance(answer, GalaxyError) else {one["id"]: one for one in answer})
        return told

    # ------------------------------------------------------------------------------------------------- one unit

    def _tried(self, one: RunningSample, moving: dict[str, str], summaries: dict[str, Any]) -> Iterator[Sample]:
        """Go on with a unit, and hand it on where it has ended, well or refused."""
        try:
            if not self._advance(one, moving, summaries):
                return
        except InvocationFailed as error:
            if not self._failed(one, error):
                return
        except (GalaxyError, OSError) as error:
            if isinstance(error, GalaxyError) and (error.exit_code == TRY_LATER or error.status == 401):
                raise
            text = str(error) if isinstance(error, GalaxyError) else ": ".join(
                str(part) for part in (error.filename, error.strerror or error) if part)
            self._refused += one.at in ("history made", "submitted")
            self._ends(one.unit, "failed", failed_step=one.at, message=text)
        del self.under_way[one.unit.key]
        yield one.unit

    def _failed(self, one: RunningSample, error: InvocationFailed) -> bool:
        """Note how a run has failed; whether that is the unit's end: a job that was killed with Galaxy is worth another
        run."""
        job, unit = error.first_failure, one.unit
        restarts = unit.data.get("restarts", 0)
        if job and RESTARTED in job["stderr"] and restarts < MAX_RETRIES:
            unit.save(durably=True, restarts=restarts + 1, **_new_run_notes(unit))
            one.watch = None
            return False
        step = f"{job['step']} ({job['label']})" if job else "finished"
        self._ends(unit, "failed", failed_step=step, message=str(error))
        return True

    def _ends(self, unit: Sample, state: str, **facts: Any) -> None:
        self._moved = True
        if self.on_end:
            unit.save(**facts, ended=utc_now())
            self.on_end(unit, state)
        unit.save(durably=True, state=state, looked=None, **facts)

    def _advance(self, one: RunningSample, moving: dict[str, str], summaries: dict[str, Any]) -> bool:
        """Take the steps that can be taken now; whether the unit has come to its end."""
        unit = one.unit
        if not one.invocation:
            if one.plan is None:
                return not self._adopted(one)
            if one.staging is None and not unit.data.get("inputs"):
                self._send(one, one.plan)
                moving = dict.fromkeys(one.staging.datasets, "new") if one.staging else {}
            late = {made: moving[made] for made in one.staging.datasets if made in moving} if one.staging else {}
            if late:
                self._lost(one, late)
            elif not one.invocation:
                self._submit(one, one.plan)
            if one.invocation and not self.waited:
                self._ends(unit, "ok")
                return True
            return False
        one.at = WATCH_STEP
        summary = summaries.get(one.invocation)
        if summary is None:         # submitted a moment ago
            return False
        if isinstance(summary, GalaxyError):
            raise summary
        if one.watch is None:
            one.watch = InvocationPoller(self.galaxy, one.invocation, False, *unit.data.get("looked", (None, 0.0)))
        about = one.watch.check(summary)
        if about is None:
            return False
        with unit.step("finished"):
            self._reconcile(one, about)
        self._deliver(one, about)
        self._ends(unit, "ok")
        return True

    def _send(self, one: RunningSample, plan: RunRequest) -> None:
        unit = one.unit
        one.at, self._moved = "history made", True
        if not unit.history:
            with unit.step(one.at):
                history = self.common() if self.common else self._history(one, plan)
                unit.save(durably=True, history=history, own=not self.common)
        if one.invocation:
            return
        one.at = "sent"
        with unit.step(one.at):
            hashes = self.shared.give(plan)
            staging = self.staging(self.galaxy, str(unit.history))
            staging.send(plan.inputs.values)
        one.staging = staging
        unit.save(sent=unit.data.get("sent") or time.time())
        if hashes:
            unit.save(files={path: [*known[:2], hashes.get(path, known[2])] for path, known in unit.data["files"].items()})

    def _lost(self, one: RunningSample, late: dict[str, str]) -> None:
        """Send once more what Galaxy has been making (`late`, states by dataset) for so long that its job is lost: one that
        a Celery worker was killed over stays as it is for ever, `running` where the worker had begun with it (26.1)."""
        unit, data = one.unit, one.unit.data
        making = "running" in late.values()
        if making and "making" not in data:
            unit.save(making=time.time())
        size = sum(size for size, *_ in data["files"].values())
        seconds = time.time() - data.get("making" if making else "sent", time.time())
        if seconds < (MADE[0] + size / MADE[1] if making else QUEUED):
            return
        one.at = "uploaded"
        if data.get("sent_again", 0) >= MAX_RETRIES:
            raise GalaxyError(f"Galaxy does not end making {len(late)} datasets of what was uploaded, now for {seconds:.0f} s "
                          f"and {MAX_RETRIES} times before: its administrator can see what its jobs wait for")
        for dataset in late:
            discard_dataset(self.galaxy, dataset)
        unit.save(durably=True, sent=None, making=None, sent_again=data.get("sent_again", 0) + 1)
        one.staging = None

    def _submit(self, one: RunningSample, plan: RunRequest) -> None:
        unit = one.unit
        inputs = unit.data.get("inputs")
        if inputs is None:
            one.at = "uploaded"
            assert one.staging
            with unit.step(one.at):
                inputs = plan.stage(one.staging)
                if one.unchanged:
                    one.unchanged()
            hashes = {upload.source.path: upload.sha256 for upload in one.staging.uploads}
            unit.save(durably=True, inputs=inputs, files={path: [*known[:2], hashes.get(path, known[2])]
                                                          for path, known in unit.data["files"].items()})
        one.at = "submitted"
        with unit.step(one.at):
            begun = plan.submit(self.galaxy, str(unit.history), inputs, unit, patient=False)
        self._refused, self._moved = 0, self._moved or bool(begun)
        if begun and one.staging:
            one.staging.forget()
            one.staging = None

    def _deliver(self, one: RunningSample, about: dict[str, Any]) -> None:
        if not self.folder:
            return
        one.at = "delivered"
        with one.unit.step(one.at):
            items = [item for some in output_datasets(
                self.galaxy, invocation_outputs(about, self.labels)).values() for item in some]
            codes: list[int] = []
            folder = DownloadFolder(self.galaxy, prepare_folder(str(self.folder / one.unit.data["folder"]), "--download"))
            download_items(folder, items, PARALLEL, codes, lambda path: None)
            if codes:
                raise GalaxyError(f"{len(codes)} of {len(items)} results could not be fetched, the run itself is ok")
        one.unit.save(results=str(folder.folder.resolve()))

    # ------------------------------------------------------------------------------------------- once, and only once

    def _history(self, one: RunningSample, plan: RunRequest) -> str:
        """The id of the unit's own history: the one of its name, else a new one."""
        unit, asked = one.unit, one.unit.data.get("asked_history")
        history, made = create_history_once(self.galaxy, unit.data["title"], unit, unit.data["marked"])
        if one.tags:
            self.galaxy.put(f"histories/{history}", {"tags": list(dict.fromkeys(one.tags))})
        if not made and not asked:      # of a ledger that is lost
            there = newer_invocations(self.galaxy, plan.workflow["id"], {"history_id": history})
            if there:
                unit.save(durably=True, history=history, invocation=self._best(there, history)["id"])
        return history

    def _best(self, runs: list[dict[str, Any]], history: str) -> dict[str, Any]:
        """Of a history's runs, the newest that has ended well, else the newest that goes on, else the newest."""
        summaries = self._summaries({run["id"]: history for run in runs})

        def rank(number: int) -> tuple[int, int]:
            summary = summaries[runs[number]["id"]]
            states = set() if isinstance(summary, GalaxyError) else set(summary["states"])
            return (2 if states and states <= SUCCESS_STATES else 1 if states - set(TERMINAL_JOB_STATES) else 0), number
        return runs[max(range(len(runs)), key=rank)]

    def _adopted(self, one: RunningSample) -> bool:
        """Whether a unit that nobody wants any more has a run all the same, which an earlier process did not learn of."""
        unit = one.unit
        if unit.data.get("asked") and unit.data.get("own"):
            there = newer_invocations(self.galaxy, unit.data["workflow"], {"history_id": unit.history}, unit.data["known"])
            cancel_duplicates(self.galaxy, there)
            if there:
                unit.save(durably=True, invocation=there[0]["id"])
                return True
        _drop(unit)
        return False

    def _reconcile(self, one: RunningSample, about: dict[str, Any]) -> None:
        """Cancel what Galaxy began for the unit after all, when it had been given up for lost: in its own history, and not
        what a person has begun there on something else."""
        data = one.unit.data
        if not data.get("own"):
            return
        ask = {"history_id": one.unit.history, "instance": True}
        there = newer_invocations(self.galaxy, about["workflow_id"], ask, data.get("tried", ()))
        if len(there) > 1 and "inputs" in data:
            there = newer_invocations(self.galaxy, about["workflow_id"], {
                                      **ask, "inputs": data["inputs"]}, data.get("tried", ()))
        going_on = [run for run in there if run["id"] != about["id"] and run["state"] != "completed"]
        cancel_duplicates(self.galaxy, [about, *going_on])


def _same_files(unit: Sample, files: dict[str, list[Any]]) -> bool:
    """Whether the unit's files are as these are now, by path, size and time, or else by content; then it knows the new
    ones."""
    data = unit.data
    known = data["files"]
    nothing_yet = unit.state == "waiting" and not (data.get("inputs") or data.get("invocation"))
    if known == files or nothing_yet:
        unit_files = files if nothing_yet else known
    else:
        before, after = ({path: content[path] for path in sorted(content, key=lambda path: (os.path.basename(path), path))}
                         for content in (known, files))
        if [size for size, *_ in before.values()] != [size for size, *_ in after.values()]:
            return False
        was = {path: (old, *before[old]) for old, path in zip(before, after)}       # its folder may have been moved
        if any(not sha256 or hash_file(Path(path), "SHA-256") != sha256 for path, (old, size, changed, sha256) in was.items()
               if [old, size, changed] != [path, *after[path][:2]]):
            return False
        unit_files = {path: [*file[:2], was[path][3]] for path, file in files.items()}
    if unit_files != known:
        unit.save(files=unit_files)
    return True


def _new_run_notes(unit: Sample) -> dict[str, Any]:
    """What is to be noted where a unit gets another run: the one that it had, if any, is not taken for it."""
    tried = [*unit.data.get("tried", []), *([unit.invocation] if unit.invocation else [])]
    return {"attempt": unit.attempt + 1, "invocation": None, "tried": tried, "asked": None, "looked": None}


def _drop(unit: Sample) -> None:
    unit.save(state="gone", message="not begun, and nobody wants it any more")


def _purpose_without_folders(plan: RunRequest) -> Any:
    """A plan's purpose, with files by their names where these tell them apart: the rest is told by their content."""
    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: alone.get(one, one) if key == "upload" else short(one) for key, one in value.items()}
        return [short(one) for one in value] if isinstance(value, list) else value

    times = Counter(os.path.basename(path) for path in plan.files)
    alone = {path: os.path.basename(path) for path in plan.files if times[os.path.basename(path)] == 1}
    return short(plan.purpose)


def stable_hash(*things: Any) -> str:
    """What is the same for the same things only."""
    return hashlib.sha256(json.dumps(things, sort_keys=True).encode()).hexdigest()[:32]
