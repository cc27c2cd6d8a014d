"""One sample on its way: each stage is saved before and after it, for the process that comes after a kill.

What Galaxy was asked for without an answer is looked up: a sample's own history by its name, which ends with the sample's
key (the name is the one thing that Galaxy sets together with creating it), its invocation by the history and by its inputs.
"""
from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.batch import reconcile, retry, samples
from galaxy_api_scripts.batch.delivery import deliver, share_history
from galaxy_api_scripts.batch.facts import note_failure
from galaxy_api_scripts.batch.ledger import Sample, describe_error, utc_now
from galaxy_api_scripts.batch.look import Look
from galaxy_api_scripts.batch.lost_uploads import MAX_RETRIES, discard_lost
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.batch.shared_uploads import SharedUploads
from galaxy_api_scripts.datasets.target_history import create_history_once
from galaxy_api_scripts.files import prepare_folder, prepare_folder_below
from galaxy_api_scripts.invocations.invocation import InvocationFailed, InvocationPoller
from galaxy_api_scripts.workflows.run import RunRequest
from galaxy_api_scripts.workflows.staging import Staging

RESTARTED = "killed when Galaxy was restarted"      # Galaxy 26.1 of jobs that it does not find again: no fault of theirs


@dataclass
class BatchContext:
    """What the samples of a batch share."""

    galaxy: Galaxy
    shared_uploads: SharedUploads
    folder: Path | None = None              # where each sample's results get a folder
    labels: Sequence[str] = ()              # the outputs that are results; all if empty
    make_staging: Callable[[Galaxy, str], Staging] = Staging
    wait: bool = True                       # else a sample ends with the submission of its invocation
    shared_history: Callable[[], str] | None = None     # the id of the history for all; else each sample has its own
    on_end: Callable[[Sample, str], None] | None = None     # called with the state before that is saved: again, after a kill
    retry_in_place: bool = False            # whether only the failed jobs of samples that have failed run again
    share_with: Sequence[str] = ()          # with whom each history is shared, as `sharing.parse_audience` takes it
    transfers: int = 1                      # of each sample's files at once; for all samples together the runner has a limit
    used_names: set[str] | None = None      # of histories that a new sample's may be one of; None: each must be looked for
    refusals: int = 0                       # histories and submissions that Galaxy has refused in a row
    # Held where what one sample makes must not be taken for another's, which is made at the same time.
    lock: contextlib.AbstractContextManager[Any] = field(default_factory=threading.RLock)


class RunningSample:
    """A sample that is under way, or queued. Without `request`, only its invocation is polled: nobody asks for it.

    One thread at a time takes its steps, while others take those of other samples.
    """

    def __init__(self, context: BatchContext, sample: Sample, request: RunRequest | None = None, tags: Sequence[str] = (),
                 require_unchanged: Callable[[], None] | None = None):
        self.context, self.sample, self.request = context, sample, request
        self.galaxy = copy.copy(context.galaxy)     # with a time limit of its own, see `Galaxy.poll`
        self.tags, self.require_unchanged = tags, require_unchanged
        self.staging: Staging | None = None
        self.poller: InvocationPoller | None = None
        self.lost_answers = 0       # of POSTs, before its invocation was submitted
        self.has_acted = False      # whether its last steps have sent or begun something
        self.ending: tuple[str, dict[str, Any]] | None = None       # the state in which it ends, and facts about that

    @property
    def is_sending(self) -> bool:
        """Whether its files are sent next, or just now."""
        return not (self.staging or self.sample.invocation or self.sample.notes.inputs)

    def begin(self) -> None:
        """Save that it is under way."""
        begun = (self.sample.begun if self.sample.invocation else None) or utc_now()    # a run that is resumed began earlier
        self.sample.save(durably=True, state="running", begun=begun, attempt=self.sample.attempt or 1)

    def advance(self, look: Look) -> bool:
        """Take the steps that can be taken now; whether the sample has ended, well or badly, so that `finish` is next.

        Raises `GalaxyError` for what is no fault of the sample: Galaxy is away, or rejects the key.
        """
        self.has_acted = False
        try:
            if self.sample.invocation:
                return self._poll(look.summaries.get(self.sample.invocation))
            return self._bring(self.request, look) if self.request else self._look_up()
        except InvocationFailed as error:
            return self._fail(error)
        except (GalaxyError, OSError) as error:
            if isinstance(error, GalaxyError):
                self.lost_answers += error.lost
                if error.lost and self.lost_answers <= MAX_RETRIES:
                    self.staging = None     # the next round looks up what Galaxy has made; others get their turn meanwhile
                    return False
                if error.exit_code == TRY_LATER or error.status == 401:
                    raise
            if self.request and self.sample.stage in (Stage.HISTORY, Stage.SUBMIT):
                self.context.refusals += 1
            stage, remains = self.sample.stage, ""
            if stage in (Stage.SEND, Stage.UPLOAD, Stage.SUBMIT):
                remains = f"; what was uploaded stays in history {self.sample.history}, where another attempt takes it again"
            self.end("fetch pending" if stage in (Stage.DELIVER, Stage.SHARE) else "failed", failed_step=stage,
                     message=describe_error(error) + remains)
            return True

    def save_poll(self) -> None:
        """Save what the last poll has seen: only two polls can tell whether nothing moves any more."""
        if self.poller and self.poller.last_summary is not None:
            self.sample.save(last_poll=[self.poller.last_summary, self.poller.last_change])

    # -------------------------------------------------------------------------------------------------- until it runs

    def _bring(self, request: RunRequest, look: Look) -> bool:
        """Send the files, and submit the invocation once Galaxy has made datasets of all of them."""
        making: dict[str, str] = {}
        if self.staging is None and not self.sample.notes.inputs:
            self._send(request)
            making = dict.fromkeys(self.staging.datasets, "new") if self.staging else {}
        elif self.staging:
            making = look.making(self.staging.datasets)
        if making:
            if discard_lost(self.galaxy, self.sample, making):
                self.staging = None
        elif not self.sample.invocation:
            self._submit(request, look)
        if self.sample.invocation and not self.context.wait:
            self.end("ok")
            return True
        return False

    def _look_up(self) -> bool:
        """Drop the sample, unless an earlier process has requested its invocation all the same."""
        if reconcile.adopt_requested(self.galaxy, self.sample):
            return False
        samples.give_up(self.sample)
        return True

    def _send(self, request: RunRequest) -> None:
        sample, self.has_acted = self.sample, True
        if not sample.history:
            with sample.step(Stage.HISTORY):
                shared = self.context.shared_history
                with self.context.lock if shared else contextlib.nullcontext():
                    history = shared() if shared else self._own_history(request)
                sample.save(durably=True, history=history, own_history=not shared)
        if sample.invocation:
            return
        with sample.step(Stage.SEND):
            if hashes := self.context.shared_uploads.replace(request):
                self._save_hashes(hashes)
            staging = self.context.make_staging(self.galaxy, str(sample.history))
            staging.send(request.inputs.values)
        self.staging = staging
        sample.save(sent_at=sample.notes.sent_at or time.time())

    def _own_history(self, request: RunRequest) -> str:
        """The id of the sample's own history: the one of its name, else a new one."""
        sample, requested = self.sample, self.sample.notes.history_requested
        used, is_unique = self.context.used_names, sample.notes.unique_title
        with contextlib.nullcontext() if is_unique else self.context.lock:
            history, created = create_history_once(self.galaxy, sample.notes.title, sample, is_unique,
                                                   is_unused=used is not None and sample.notes.title not in used)
        if self.tags:
            self.galaxy.put(f"histories/{history}", {"tags": list(dict.fromkeys(self.tags))})
        if not created and not requested:
            reconcile.adopt_from_history(self.galaxy, sample, request.workflow["id"], history)
        return history

    def _save_hashes(self, hashes: dict[str, str], **changes: Any) -> None:
        files = {path: [size, changed, hashes.get(path, sha256)]
                 for path, (size, changed, sha256) in self.sample.notes.files.items()}
        self.sample.save(durably=True, files=files, **changes)

    def _submit(self, request: RunRequest, look: Look) -> None:
        sample, inputs = self.sample, self.sample.notes.inputs
        with contextlib.nullcontext() if sample.notes.own_history else self.context.lock:
            if inputs is None:
                assert self.staging
                with sample.step(Stage.UPLOAD):
                    inputs = request.stage(self.staging, look.described)
                    if self.require_unchanged:
                        self.require_unchanged()
                self._save_hashes({upload.source.path: upload.sha256 for upload in self.staging.uploads}, inputs=inputs)
            with sample.step(Stage.SUBMIT):
                submitted = request.submit(self.galaxy, str(sample.history), inputs, sample, patient=False)
            self.context.refusals, self.has_acted = 0, bool(submitted)
            if submitted and self.staging:
                self.staging.forget()
                self.staging = None

    # ---------------------------------------------------------------------------------------------------- from then on

    def _poll(self, summary: dict[str, Any] | GalaxyError | None) -> bool:
        sample = self.sample
        if sample.notes.rerun == retry.WANTED:
            self.has_acted = True
            if not retry.rerun_in_place(self.galaxy, sample, bool(self.request)):
                samples.begin_new_run(self.galaxy, sample, attempt=sample.attempt)
            return False
        sample.reach(Stage.RUN)
        if summary is None:         # submitted a moment ago
            return False
        if isinstance(summary, GalaxyError):
            raise summary
        if self.poller is None:
            last_summary, last_change = sample.notes.last_poll or (None, 0.0)
            self.poller = InvocationPoller(self.galaxy, str(sample.invocation), last_summary=last_summary,
                                           last_change=last_change,
                                           reruns=retry.sent_reruns(sample) if sample.notes.rerun else None)
        invocation = self.poller.check(summary)
        if invocation is None:
            return False
        with sample.step(Stage.FINISH):
            reconcile.cancel_late(self.galaxy, sample, invocation)
        if self.context.folder and not sample.notes.results:
            with sample.step(Stage.DELIVER):
                root = prepare_folder(str(self.context.folder), "--download")
                folder = deliver(self.galaxy, sample, prepare_folder_below(root, sample.notes.folder), invocation,
                                 self.context.labels, self.context.transfers)
            sample.save(results=folder)
        share_history(self.galaxy, sample, self.context.share_with)
        self.end("ok")
        return True

    def _fail(self, error: InvocationFailed) -> bool:
        """Save how the invocation has failed; whether that ends the sample: a job that was killed with Galaxy is worth
        another invocation, if there is still a request for it."""
        job, sample = error.first_failure, self.sample
        if job and RESTARTED in job["stderr"] and self.request and sample.notes.restarts < MAX_RETRIES:
            sample.save(durably=True, restarts=sample.notes.restarts + 1, **samples.new_attempt(sample))
            self.poller = None
            return False
        note_failure(sample, job)
        self.end("failed", message=str(error), failed_step=f"{job['step']} ({job['label']})" if job else Stage.FINISH.value)
        return True

    def end(self, state: str, **facts: Any) -> None:
        """Note how it ends, for `finish`."""
        self.ending = state, facts

    def finish(self) -> None:
        """Call `on_end`, then save the state."""
        if not self.ending:
            return
        (state, facts), self.ending = self.ending, None
        if self.context.on_end:
            self.sample.save(**facts, ended=utc_now())
            self.context.on_end(self.sample, state)
        self.sample.save(durably=True, state=state, last_poll=None, **facts)
