"""Run a workflow on many samples at once: upload, submit each invocation exactly once, poll, download; every step is in the
ledger.

Here is what concerns all samples: which are queued, which run, and what is asked of Galaxy for all of them in one request.
The steps of one sample are in running_sample.py, and which sample is which in samples.py. The main thread looks, hands each
sample's next steps to a thread, and finishes what has ended.
"""
from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from common import TRY_LATER, Galaxy, GalaxyError, report_error
from galaxy_api_scripts.batch.ledger import Ledger, Sample
from galaxy_api_scripts.batch.look import Look, list_sample_names, look_at
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.batch.retry import WANTED
from galaxy_api_scripts.batch.running_sample import BatchContext, RunningSample
from galaxy_api_scripts.batch.samples import begin_again, find_or_add, give_up
from galaxy_api_scripts.batch.shared_uploads import SharedUploads
from galaxy_api_scripts.transfer_limit import Stopped, TransferLimit, stopped_at
from galaxy_api_scripts.transfers import Task, Workers
from galaxy_api_scripts.workflows.run import RunRequest
from galaxy_api_scripts.workflows.staging import Staging

POLL_INTERVAL = (0.25, 20.0)    # seconds between two rounds: while something is done, and at most
MAX_REFUSALS = 5                # refusals in a row after which nothing more is begun: the fault is not a sample's
FETCH_PAUSE = 600               # seconds until a process that stays tries again to download results
LEAST_LISTED = 3                # new samples for which all histories of samples are listed
STALL_SECONDS = 300             # with `once`: stop waiting for uploads after so long without any progress
MOST_THREADS = 100              # samples whose steps are taken at the same time


class BatchRunner:
    """Brings samples to their ends, at most `max_running` at once, with at most `transfers` requests at once. Its other
    options: see `BatchContext`. Before its ledger is closed, its `with` block ends, and with it all that was begun."""

    def __init__(self, galaxy: Galaxy, ledger: Ledger, max_running: int = 10, folder: Path | None = None,
                 labels: Iterable[str] = (), make_staging: Callable[[Galaxy, str], Staging] | None = None, wait: bool = True,
                 shared_history: Callable[[], str] | None = None, transfers: int = 4):
        self.galaxy, self.ledger, self.max_running, self.transfers = galaxy, ledger, max_running, transfers
        lock = threading.RLock()
        self.context = BatchContext(
            galaxy, SharedUploads(galaxy, ledger, shared_history, lock), folder, list(labels),
            make_staging or partial(Staging, transfers=transfers), wait, shared_history, transfers=transfers, lock=lock)
        self.limit = TransferLimit(transfers, spare=1)
        self.workers = Workers(MOST_THREADS, self.limit)
        self.busy: set[str] = set()     # keys of samples whose steps a thread takes
        self.running, self.queue = dict[str, RunningSample](), deque[RunningSample]()       # by key; what waits
        self.rejected: list[Sample] = []        # failed before they began: the watcher adds, `run_round` yields them
        self.fetch_later: list[tuple[float, RunningSample]] = []    # whose results could not be downloaded, and since when
        self.on_round: Callable[[], object] | None = None     # called after each round
        self.active = False         # whether a sample has sent or begun something in this round, or has ended
        self.deadline: float | None = None      # of time.monotonic()
        self.names_listed = self.gave_up = False    # the second: whether the queue was cleared after MAX_REFUSALS

    def submit(self, name: str, request: RunRequest, *, purpose: Any = None, place: str = "", title: str = "",
               tags: Sequence[str] = (), again: Sequence[str] = (), require_unchanged: Callable[[], None] | None = None,
               unique_title: bool = True) -> Sample:
        """Queue the sample of that name for that request, unless it runs or has ended: the one in the ledger, or a new one.

        `purpose` is the request's by default, see samples.py. One in a state among `again` gets another invocation; if only
        `failed` is among these and `context.retry_in_place` says so, its failed jobs run again, where that is enough.
        `place` is where messages say that it stands. A new one's history is called `title`, or by its name and the
        workflow's, and with `unique_title` by the sample's key too. `require_unchanged` may raise right before the
        submission.
        """
        sample = find_or_add(self.ledger, name, request, purpose, place, title, unique_title)
        # Results are asked for, and were never downloaded. Without `wait` there are none to ask for.
        undelivered = self.context.wait and ((self.context.folder and not sample.notes.results) or (
            set(self.context.share_with) - set(sample.notes.shared_with)))
        # Polling or a download failed, not the invocation: that may still be running, or have ended well.
        if sample.state in (*again, "fetch pending") or (
                sample.state == "failed" and sample.failed_step in (Stage.RUN, Stage.DELIVER)):
            begin_again(self.galaxy, sample, self.context.retry_in_place and list(again) == ["failed"])
        if sample.state == "gone" or (sample.state == "ok" and undelivered):
            sample.save(state="waiting", message=None, ended=None)
        if sample.state in ("waiting", "running") and sample.key not in self.running:
            entry = RunningSample(self.context, sample, request, tags, require_unchanged)
            if sample.state == "running":
                self.running[sample.key] = entry
            else:
                self.queue.append(entry)
        return sample

    def adopt_orphans(self) -> None:
        """Take on what an earlier process left and nobody has submitted this time: invocations are polled to their ends, and
        what was not begun is dropped."""
        for sample in self.ledger.samples("running", "fetch pending"):
            self._resume(RunningSample(self.context, sample))
        queued = {entry.sample.key for entry in self.queue}
        for sample in self.ledger.samples("waiting"):
            if sample.invocation and sample.key not in queued:      # a process was killed when it took it on again
                self._resume(RunningSample(self.context, sample))
            elif sample.key not in queued:
                give_up(sample)

    def _resume(self, entry: RunningSample) -> None:
        """Poll a sample whose invocation was submitted before, unless that is done already."""
        if entry.sample.state == "fetch pending":
            begin_again(self.galaxy, entry.sample)
        if entry.sample.state != "running":
            entry.sample.save(state="running")
        self.running.setdefault(entry.sample.key, entry)

    def run(self, once: bool = False, timeout: float | None = None, find_more: Callable[[], None] | None = None,
            max_interval: float = POLL_INTERVAL[1]) -> Iterator[Sample]:
        """Yield each sample as it ends, until all have ended or `timeout` seconds are over.

        With `once`, stop when nothing more can be submitted. `find_more()`, which may submit more, is called before each
        round; with it and without `once` there is no end, and a server that is away is waited for as long as it takes.
        Between two rounds are `max_interval` seconds at most.
        """
        self.deadline = None if timeout is None else time.monotonic() + timeout
        with Workers(MOST_THREADS, self.limit) as self.workers:
            with contextlib.suppress(Stopped):      # the time was up while a transfer had the place that a look waits for
                yield from self._rounds(once, find_more, max_interval)
            self.workers.close(wait=True)
            yield from self._collect(0)     # what was begun before the time was up
        for entry in self.running.values():
            entry.save_poll()

    def _rounds(self, once: bool, find_more: Callable[[], None] | None, max_interval: float) -> Iterator[Sample]:
        last_active, interval, reported, deadline = time.monotonic(), POLL_INTERVAL[0], "", self.deadline
        forever = find_more is not None and not once
        while True:
            self.active = False
            try:
                if find_more:
                    find_more()
                yield from self.run_round(interval if deadline is None else min(interval, deadline - time.monotonic()))
                if forever and self.context.refusals >= MAX_REFUSALS:
                    raise GalaxyError(f"the last {self.context.refusals} runs were refused, so nothing more is begun: start "
                                      "it again once that is mended")
                reported = ""
            except GalaxyError as error:
                if not forever or error.exit_code != TRY_LATER:
                    raise
                if str(error) != reported:      # not every twenty seconds of a night
                    report_error(str(error))
                interval, reported = POLL_INTERVAL[1], str(error)
            if self.on_round:
                self.on_round()
            last_active = time.monotonic() if self.active or self.busy else last_active
            stalled = time.monotonic() - last_active > STALL_SECONDS
            if not self.busy and ((once and (self.all_submitted or stalled)) or not (self.unfinished or forever)):
                break
            interval = POLL_INTERVAL[0] if self.active else min(interval * 1.25, POLL_INTERVAL[1], max_interval)
            remaining = interval if deadline is None else deadline - time.monotonic()
            if remaining <= 0:
                break
            if not self.busy or reported:       # a server that is away is not asked all the time
                time.sleep(min(interval, remaining))

    @property
    def unfinished(self) -> list[Sample]:
        """The samples that are queued or run."""
        return [entry.sample for entry in (*self.queue, *self.running.values())]

    @property
    def all_submitted(self) -> bool:
        return all(entry.sample.invocation and entry.sample.notes.rerun != WANTED for entry in self.running.values()) and \
            (not self.queue or len(self.running) >= self.max_running)

    def run_round(self, seconds: float) -> Iterator[Sample]:
        """One round: hand out the next steps of what runs, begin what may begin, and yield each sample that ends within so
        many seconds, or a moment longer than until one has done something."""
        while self.rejected:
            yield self.rejected.pop(0)
        while self.fetch_later and time.monotonic() > self.fetch_later[0][0] + FETCH_PAUSE:
            if (entry := self.fetch_later.pop(0)[1]).sample.state == "fetch pending":   # else it was submitted again
                self._resume(entry)
        idle = [entry for key, entry in self.running.items() if key not in self.busy]
        with stopped_at(self.deadline):
            look = _look_at_samples(self.galaxy, idle)
            self._list_names()
        for entry in idle:
            self._hand_out(entry, look)
        while self.queue and self._may_begin():
            entry = self.queue.popleft()
            if entry.sample.state == "waiting":     # else it was queued twice: its files had gone for a while
                entry.begin()
                self.running[entry.sample.key] = entry
                self._hand_out(entry, Look())       # the next round asks Galaxy about it
        if (refusals := self.context.refusals) >= MAX_REFUSALS and self.queue:
            report_error(f"the last {refusals} runs were refused, so the {len(self.queue)} that wait were not begun")
            self.queue.clear()
            self.gave_up = True
        yield from self._collect(seconds)

    def _list_names(self) -> None:
        """List the histories that may be those of a lost ledger's samples, once, if that saves requests."""
        if not self.names_listed and not self.context.shared_history and len(self.queue) >= LEAST_LISTED:
            self.names_listed, self.context.used_names = True, list_sample_names(self.galaxy)

    def _may_begin(self) -> bool:
        """Whether another sample may begin: not while many others are being sent, whose threads are kept for results."""
        sending = sum(self.running[key].is_sending for key in self.busy)
        return len(self.running) < self.max_running and self.context.refusals < MAX_REFUSALS and sending < 2 * self.transfers

    def _hand_out(self, entry: RunningSample, look: Look) -> None:
        self.busy.add(entry.sample.key)
        self.workers.submit(Task(entry), lambda entry: entry.advance(look))

    def _collect(self, seconds: float) -> Iterator[Sample]:
        """Finish what has ended, see `run_round`. Raises what is no fault of a sample."""
        error: BaseException | None = None
        end = time.monotonic() + seconds
        while self.busy and (task := self.workers.next_ended(max(end - time.monotonic(), 0))):
            entry, outcome = task.item, task.outcome
            self.busy.discard(entry.sample.key)
            self.active |= entry.has_acted
            if isinstance(outcome, BaseException):
                error = error or (None if isinstance(outcome, Stopped) else outcome)
            elif outcome:
                self.active = True
                entry.finish()
                del self.running[entry.sample.key]
                if entry.sample.state == "fetch pending":
                    self.fetch_later.append((time.monotonic(), entry))
                yield entry.sample
            if error or self.active:
                end = min(end, time.monotonic() + POLL_INTERVAL[0])
        if error:
            raise error

    def __enter__(self) -> BatchRunner:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.workers.close(wait=kind is None or issubclass(kind, Exception))


def _look_at_samples(galaxy: Galaxy, entries: list[RunningSample]) -> Look:
    """What the samples wait for: however many they are, it is one request for all datasets that are being made, and one for
    all invocations."""
    return look_at(galaxy, [dataset for entry in entries if entry.staging and not entry.sample.invocation
                            for dataset in entry.staging.datasets],
                   {entry.sample.invocation: str(entry.sample.history) for entry in entries if entry.sample.invocation})
