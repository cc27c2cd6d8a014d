"""How a server's queue is doing, by thresholds, as a line for Nagios and its relatives and as a text for Prometheus."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from common import CONTROL_CHARACTERS, Galaxy, one_line
from galaxy_api_scripts.ages import format_age
from galaxy_api_scripts.job_queue.selection import JobFilter, select_jobs

# What a plug-in's exit status means (Monitoring Plugins Development Guidelines): not what it means elsewhere here.
OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
STATUSES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
ENDED_STATES = ("ok", "error", "failed")


@dataclass
class Thresholds:
    """From which value on it is a WARNING, and a CRITICAL: seconds, seconds, percent; `least` jobs make an error rate."""
    waiting: tuple[float, float]
    running: tuple[float, float]
    errors: tuple[float, float]
    least: int = 10


@dataclass
class Health:
    """What is measured: jobs by (state, destination), those that have waited and run longest, what ended within `window`
    seconds by state."""
    window: int
    open: Counter[tuple[str, str]] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    oldest: dict[str, Any] | None = None        # of those that wait
    longest: dict[str, Any] | None = None       # of those that run

    @property
    def waiting_seconds(self) -> float:
        """How long the oldest waiting job has waited, since it was made."""
        return float(self.oldest["seconds"] or 0) if self.oldest else 0.0

    @property
    def running_seconds(self) -> float:
        """How long the longest running job has run, since it changed last."""
        return float(self.longest["seconds_unchanged"] or 0) if self.longest else 0.0

    @property
    def failed(self) -> int:
        """How many of the jobs that ended did not end well."""
        return sum(self.ended.values()) - self.ended["ok"]

    @property
    def error_percent(self) -> float:
        """The share of these."""
        return 100 * self.failed / max(1, sum(self.ended.values()))


def measure(galaxy: Galaxy, wanted: JobFilter, waiting: Iterable[str], window: int, now: datetime) -> Health:
    """Look at the jobs that fit; those in the states `waiting` wait. Raises `GalaxyError`, also without an administrator's
    key: one's own jobs alone would look like a server where all is well."""
    galaxy.require_admin("to check a server's queue")
    health, waiting = Health(window), tuple(waiting)
    for job in select_jobs(galaxy, wanted, now):
        health.open[job["state"], job["destination"] or ""] += 1
        if job["state"] in waiting and (job["seconds"] or 0) >= health.waiting_seconds:
            health.oldest = job
        if job["state"] == "running" and (job["seconds_unchanged"] or 0) >= health.running_seconds:
            health.longest = job
    ended = JobFilter(ENDED_STATES, wanted.tools, wanted.user, wanted.destination, wanted.history)
    for job in select_jobs(galaxy, ended, now, since=now - timedelta(seconds=window)):
        health.ended[job["state"]] += 1
    return health


def judge(health: Health, limits: Thresholds) -> int:
    """The status that these thresholds give."""
    values = [(health.waiting_seconds, limits.waiting), (health.running_seconds, limits.running)]
    if sum(health.ended.values()) >= limits.least:
        values.append((health.error_percent, limits.errors))
    return max(CRITICAL if value >= critical else WARNING if value >= warning else OK
               for value, (warning, critical) in values)


def format_line(health: Health, limits: Thresholds, status: int, waiting: Iterable[str]) -> str:
    """The one line of a plug-in: what is there for people, and behind `|` the figures, with their thresholds."""
    waiting = tuple(waiting)
    counts = {"waiting": sum(health.open[key] for key in health.open if key[0] in waiting),
              "running": sum(health.open[key] for key in health.open if key[0] == "running"),
              "paused": sum(health.open[key] for key in health.open if key[0] == "paused")}
    ended = sum(health.ended.values())
    parts = [f"{counts['waiting']} waiting{_longest(health.oldest, health.waiting_seconds)}",
             f"{counts['running']} running{_longest(health.longest, health.running_seconds)}",
             f"{health.failed} of {ended} failed in {format_age(health.window)}"]
    figures = [f"oldest_waiting={health.waiting_seconds:.0f}s;{_limits(limits.waiting)};0",
               f"longest_running={health.running_seconds:.0f}s;{_limits(limits.running)};0",
               f"errors={health.error_percent:.1f}%;{_limits(limits.errors)};0;100",
               *(f"{name}={count};;;0" for name, count in {**counts, "ended": ended, "failed": health.failed}.items())]
    return f"{_headline(status)} - {_plain(', '.join(parts))} | {' '.join(figures)}"


def format_unknown(status: int, reason: str) -> str:
    """The one line of a plug-in that could not look."""
    return f"{_headline(status)} - {_plain(reason)}"


def _headline(status: int) -> str:
    return f"GALAXY QUEUE {STATUSES[status]}"


def _plain(text: str) -> str:
    """A text on one line without `|`, behind which figures are expected."""
    return one_line(text).replace("|", "/")


def _longest(job: dict[str, Any] | None, seconds: float) -> str:
    return f" (longest {format_age(seconds)}: {job['tool']}, job {job['id']})" if job else ""


def _limits(pair: tuple[float, float]) -> str:
    return ";".join(f"{number:g}" for number in pair)


# ----------------------------------------------------------------------------------------------------------- Prometheus

def format_metrics(server: str, status: int, time: float, health: Health | None) -> str:
    """The metrics in Prometheus' text format; of a queue that could not be looked at only that."""
    labels = {"server": server}
    lines = _metric("galaxy_queue_check_status", "Result of the last look: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
                    [(labels, status)])
    lines += _metric("galaxy_queue_check_timestamp_seconds", "When the last look was, in seconds since 1970.",
                     [(labels, round(time, 3))])
    lines += _metric("galaxy_queue_up", "Whether the queue could be looked at.", [(labels, int(health is not None))])
    if health:
        lines += _metric("galaxy_jobs", "Jobs that have not ended.", [
            ({**labels, "state": state, "destination": destination}, count)
            for (state, destination), count in sorted(health.open.items())])
        lines += _metric("galaxy_jobs_oldest_waiting_seconds", "Age of the oldest waiting job.",
                         [(labels, round(health.waiting_seconds))])
        lines += _metric("galaxy_jobs_longest_running_seconds", "How long the longest running job has run.",
                         [(labels, round(health.running_seconds))])
        lines += _metric("galaxy_jobs_ended", "Jobs that ended within the window.", [
            ({**labels, "state": state}, health.ended[state]) for state in ENDED_STATES])
        lines += _metric("galaxy_jobs_ended_window_seconds", "The window of galaxy_jobs_ended.", [(labels, health.window)])
    return "".join(f"{line}\n" for line in lines)


def _metric(name: str, help_text: str, samples: list[tuple[dict[str, str], float]]) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} gauge", *(
        f"{name}{{{','.join(f'{label}={_quote(value)}' for label, value in labels.items())}}} {value}"
        for labels, value in samples)]


def _quote(text: str) -> str:
    """A label's value: backslash, quote and line end are escaped; what else a terminal would obey is left out."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{CONTROL_CHARACTERS.sub("", text)}"'
