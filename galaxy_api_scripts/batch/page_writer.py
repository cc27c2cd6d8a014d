"""Keep the page of a batch or of a watched folder up to date while it is worked on."""
from __future__ import annotations

import copy
import time
from pathlib import Path

from common import GalaxyError, report_error
from galaxy_api_scripts.batch.facts import FactsGatherer
from galaxy_api_scripts.batch.ledger import describe_error
from galaxy_api_scripts.batch.page import render_ledger
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.files import write_output

MIN_INTERVAL = 15       # seconds between two pages, more where a page takes long
COST = 20               # a page may take a twentieth of the time
PER_ROUND, PER_VISIT = 10, 300      # samples whose facts Galaxy is asked for between two rounds of polls, and at the end
MAX_ASKING = 60         # seconds of that at the end; what is lacking then is asked for by the next run


class PageWriter:
    """Writes the page at `path` at the beginning, while samples end, and at the end of a `with`; without a path, nothing."""

    def __init__(self, runner: BatchRunner, path: Path | None):
        self.path, self.runner = path, runner
        galaxy = copy.copy(runner.galaxy)
        galaxy.patience = 0     # the work does not wait for its page: a server that is away is asked again at the next one
        self.gatherer = FactsGatherer(galaxy, runner.ledger, runner.context.labels)
        self._changes, self._next, self._problem = -1, 0.0, ""

    def __enter__(self) -> PageWriter:
        if self.path:
            self.runner.on_round = self.update
            self.update()
        return self

    def update(self) -> None:
        """Write the page if anything has changed since the last one and that was not a moment ago. A failure is told once:
        the samples are more than their page."""
        if time.monotonic() < self._next:
            return
        begin = time.monotonic()
        has_more = self.gatherer.gather(PER_ROUND)
        if self._changes != self.runner.ledger.changes:
            try:
                self._write()
                self._problem = ""
            except GalaxyError as error:
                if str(error) != self._problem:
                    report_error(str(error))
                self._problem = str(error)
        took = time.monotonic() - begin
        self._next = time.monotonic() + (took if has_more else max(MIN_INTERVAL, COST * took))

    def _write(self) -> None:
        assert self.path
        self._changes = self.runner.ledger.changes
        try:
            html = render_ledger(self.runner.ledger.path, self.path, now=time.time())
        except GalaxyError:
            raise
        except Exception as error:      # whatever is odd in a ledger: the samples go on without their page
            raise GalaxyError(f"--report={self.path}: the page can't be made: {describe_error(error)}") from error
        write_output(html, self.path, overwrite=True, option="--report")

    def __exit__(self, kind: type[BaseException] | None, *more: object) -> None:
        """Write the last page; after an error without asking Galaxy. Raises `GalaxyError` if it can't be written, unless
        there is an error already."""
        if not self.path:
            return
        self.runner.on_round = None
        if kind is None:
            self.gatherer.gather(PER_VISIT, MAX_ASKING)
        try:
            self._write()
        except GalaxyError as error:
            if kind is None:
                raise
            report_error(str(error))
