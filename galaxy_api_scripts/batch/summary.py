"""How samples have ended: rows as they end, a summary in a file, and the exit status of the script."""
from __future__ import annotations

import csv
import io
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from common import DONE, FAILED, SOME_FAILED, STILL_RUNNING, report_error, show
from galaxy_api_scripts.batch.ledger import Sample
from galaxy_api_scripts.batch.ledger_reader import FAILURE_STATES, UNFINISHED_STATES
from galaxy_api_scripts.batch.runner import POLL_INTERVAL, BatchRunner
from galaxy_api_scripts.files import write_output
from galaxy_api_scripts.progress import progress_bar

ROW_FIELDS = ["name", "state", "attempt", "history", "invocation", "failed_step", "message", "begun", "ended", "results"]
END_STATES = ["ok", *FAILURE_STATES]


def iter_finished(runner: BatchRunner, samples: list[Sample], once: bool, timeout: float | None,
                  find_more: Callable[[], None] | None = None, max_interval: float = POLL_INTERVAL[1]
                  ) -> Iterator[dict[str, Any]]:
    """Yield a row of `ROW_FIELDS` for each sample as it ends, and report failures: first those of an earlier process that
    was stopped before its exit status told them. `samples` are all there are so far; others are appended. See
    `BatchRunner.run` for the rest."""
    known = {sample.key for sample in samples}
    unreported = [sample for sample in runner.ledger.samples("failed")
                  if not sample.notes.reported and sample not in runner.rejected]
    with progress_bar(len(samples), "samples", unit="") as bar:
        bar.update(max(len(samples) - len(runner.unfinished), 0))
        for sample in itertools.chain(unreported, runner.run(once, timeout, find_more, max_interval)):
            bar.update(1)
            if sample.key not in known:
                known.add(sample.key)
                samples.append(sample)
            state = report_failure(sample)
            yield sample_row(sample)
            if state in FAILURE_STATES and not once:        # a watcher that stays has no exit status to tell it
                sample.save(reported=True)
        if runner.running or (runner.queue and not runner.gave_up):
            running = f"{len(runner.running)} of {len(samples)} still run" if runner.running else "none runs"
            queued = f", {len(runner.queue)} wait" if runner.queue else ""
            if sys.stderr.isatty() or timeout is not None:
                report_error(f"{running}{queued}: run the same line again to continue")


def report_failure(sample: Sample) -> str:
    """Print why a sample has failed, if it has; return its state."""
    if sample.state in FAILURE_STATES:
        report_error(f"{sample.name}: {sample.message}")
    return sample.state


def print_rows(rows: Iterator[dict[str, Any]], output: dict[str, Any]) -> None:
    """Print the rows as they come, in the format and with the fields of `output_options`: without any, no heading either,
    but JSON's empty list."""
    first = next(rows, None)
    if first is not None:
        show(itertools.chain([first], rows), output["format"], output["fields"] or ROW_FIELDS)
    elif output["format"] == "json":
        show([], "json")


def sample_row(sample: Sample) -> dict[str, Any]:
    """A sample's row of `ROW_FIELDS`."""
    return {name: sample.notes.results if name == "results" else getattr(sample, name) for name in ROW_FIELDS}


def exit_status(samples: Iterable[Sample], once: bool = False, is_stuck: bool = False) -> int:
    """The exit status of a script that was to bring these samples to their ends, and something else if that `is_stuck`: a
    failure counts more than what still runs.

    With `once`, a failure counts in one visit, and not again in the next ones: `ledger_show.py --check` tells it until it is
    mended. What this visit reports is noted last of all, so that no other status hides it.
    """
    samples = list({sample.key: sample for sample in samples}.values())
    failed = [sample for sample in samples if sample.state in FAILURE_STATES and not (once and sample.notes.reported)]
    for sample in failed:
        sample.save(reported=True)
    others = [sample for sample in samples if sample not in failed and sample.state != "waiting"]
    if failed or is_stuck:
        return SOME_FAILED if others or is_stuck else FAILED
    return STILL_RUNNING if any(sample.state in UNFINISHED_STATES for sample in samples) else DONE


def write_summary(samples: Iterable[Sample], to: str) -> None:
    """Write a table with a row for each sample: CSV if the file's name says so, else TSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ROW_FIELDS, delimiter="," if to.lower().endswith(".csv") else "\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sample_row(sample) for sample in samples)
    write_output(text.getvalue(), to, overwrite=True, option="--summary")
