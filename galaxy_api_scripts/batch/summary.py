"""How units of work have ended: rows as they end, a summary in a file, the exit status of the script."""
from __future__ import annotations

import csv
import io
import itertools
import sys
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from common import DONE, FAILED, SOME_FAILED, STILL_RUNNING, eprint, report_error, show
from galaxy_api_scripts.batch.ledger import Sample
from galaxy_api_scripts.batch.runner import POLL_INTERVAL, BatchRunner
from galaxy_api_scripts.files import write_output
from galaxy_api_scripts.progress import describe_counts, progress_bar

ROW_FIELDS = ["name", "state", "attempt", "history", "invocation", "failed_step", "message", "begun", "ended", "results"]
END_STATES = ["ok", "failed"]        # the states in which nothing more is done of itself


def iter_finished(work: BatchRunner, units: list[Sample], once: bool, timeout: float | None,
                look_for_more: Callable[[], None] | None = None, longest: float = POLL_INTERVAL[1]) -> Iterator[dict[str, Any]]:
    """A row of `ROW_FIELDS` for each unit as it ends; what has failed is said. `units` are all there are; those that come later
    are added as they end."""
    there = {unit.key for unit in units}
    with progress_bar(len(units), "units", unit="") as bar:
        bar.update(max(len(units) - work.unfinished, 0))
        for unit in work.rounds(once, timeout, look_for_more, longest):
            bar.update(1)
            if unit.key not in there:
                units.append(unit)
            report_failure(unit)
            yield sample_row(unit)
        if work.under_way or (work.queue and not work.given_up):
            at_work = f"{len(work.under_way)} of {len(units)} still run" if work.under_way else "none runs"
            more = f", {len(work.queue)} wait" if work.queue else ""
            if sys.stderr.isatty() or timeout is not None:
                eprint(f"{at_work}{more}: the same line again goes on")


def already_finished(units: Iterable[Sample]) -> dict[str, str]:
    """`{key: state}` of the units that need nothing any more; on a terminal it is said how many these are."""
    ended = {unit.key: unit.state for unit in units if unit.state in END_STATES}
    counts = Counter(ended.values())
    if counts and sys.stderr.isatty():
        eprint(f"before: {describe_counts(counts)}")
    return ended


def report_failure(unit: Sample) -> str:
    """Say of a unit that has failed why it has; its state."""
    if unit.state == "failed":
        report_error(f"{unit.name}: {unit.message}")
    return unit.state


def print_rows(rows: Iterator[dict[str, Any]], style: str | None, fields: list[str], quiet: bool) -> None:
    """Print the rows as they come, not even a heading where there are none, but JSON's empty list; only let them come where
    it is to be `quiet`."""
    there = False
    for first in rows:
        there = True
        if not quiet:
            show(itertools.chain([first], rows), style, fields)
    if style == "json" and not there and not quiet:
        show([], style)


def sample_row(unit: Sample) -> dict[str, Any]:
    """What there is to tell of a unit, see `ROW_FIELDS`."""
    data = unit.data
    return {name: data.get(name) for name in ROW_FIELDS}


def exit_status(units: Iterable[Sample], known: Container[str] = (), given_up: bool = False) -> int:
    """How a script ends that was to bring these units to their ends; failures that are `known` do not count, and where no
    more are begun (`Work.given_up`) nobody waits for those that wait."""
    states = Counter("known" if unit.key in known and unit.state == "failed" else unit.state for unit in units)
    if states["running"] or (states["waiting"] and not given_up):
        return STILL_RUNNING
    if not states["failed"]:
        return DONE
    return SOME_FAILED if states["ok"] + states["known"] else FAILED


def write_summary(units: Iterable[Sample], to: str) -> None:
    """Write a table with a row for each unit: CSV where the file's name says so, TSV else."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ROW_FIELDS, delimiter="," if to.lower().endswith(".csv") else "\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sample_row(unit) for unit in units)
    write_output(text.getvalue(), to, overwrite=True, option="--summary")
