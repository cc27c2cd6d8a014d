"""Progress bars on a terminal, dated lines in a log, counts in words, and the clock of a transfer that makes no progress."""
from __future__ import annotations

import io
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from common import NON_TERMINAL_DATASET_STATES, NON_TERMINAL_JOB_STATES, format_line, one_line, script_name
from galaxy_api_scripts.rate_limit import waited_seconds
from galaxy_api_scripts.transfer_limit import paused_seconds

STALL_TIMEOUT = 600     # seconds without progress after which a transfer is given up
MIN_PROGRESS = 2**14    # bytes; fewer in that time are no progress

_enabled = True


def enable_bars(enabled: bool) -> None:
    """Draw bars on a terminal, or not (`--quiet`), from now on."""
    global _enabled
    _enabled = enabled


def date_lines(subject: str) -> None:
    """Let each line about an error, unless a terminal shows it, begin with the date (UTC) and name the `subject` of this
    script's work, such as its sheet: the log of unattended work may be of several, and of weeks."""
    def dated(text: str) -> str:
        place = "" if text.startswith(subject) else f"{printable_name(subject)}: "
        return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {script_name()}: {place}{text}"

    if sys.stderr is not None and not sys.stderr.isatty():
        format_line[:] = [dated]


@contextmanager
def progress_bar(size: int | None, name: str, total: Any = None, unit: str = "B") -> Iterator[Any]:
    """A bar of `size` bytes, or of what `unit` names, with the attribute `n` and the method `update(count)`. It is drawn
    on a terminal only, not after `enable_bars(False)`, and not where a pager may have the terminal. What counts here counts
    in `total`, the bar for several, too."""
    if not _enabled or sys.stderr is None or not sys.stderr.isatty() or _is_pipe(sys.stdout):
        yield _Bar(None, total)
        return
    from tqdm import tqdm
    with _lines_above_bars() as terminal, tqdm(
            total=size, desc=printable_name(name)[:40], unit=unit, unit_scale=unit == "B", unit_divisor=1024, leave=False,
            file=terminal) as drawn:
        yield _Bar(drawn, total)


def _is_pipe(stream: Any) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):       # closed, or no file at all
        return False


_lock = threading.Lock()
_bars = 0       # how many are drawn now
_streams: list[Any] = []        # what sys.stdout and sys.stderr were before


@contextmanager
def _lines_above_bars() -> Iterator[Any]:
    """While a bar is drawn, in any thread, let all lines that go to the terminal go above the bars; yields the terminal."""
    global _bars
    with _lock:
        _bars += 1
        if _bars == 1:
            _streams[:] = sys.stdout, sys.stderr
            sys.stdout, sys.stderr = (_LinesAbove(one, sys.stderr) if one and one.isatty() else one for one in _streams)
    try:
        yield _streams[1]
    finally:
        with _lock:
            _bars -= 1
            if not _bars:
                ours = [one for one in (sys.stdout, sys.stderr) if isinstance(one, _LinesAbove)]
                sys.stdout, sys.stderr = _streams
                for one in ours:
                    one.end()


class _LinesAbove(io.TextIOBase):
    """A terminal to which whole lines are written, those of each thread, while the bars on `bars` are taken away."""

    def __init__(self, terminal: Any, bars: Any):
        self.terminal, self.bars = terminal, bars
        self.begun: dict[int, str] = {}     # what has no end of its line yet, by thread

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self.terminal.fileno())

    def write(self, text: str) -> int:
        thread = threading.get_ident()
        lines, end, self.begun[thread] = (self.begun.get(thread, "") + text).rpartition("\n")
        if end:
            from tqdm import tqdm
            with tqdm.external_write_mode(file=self.bars):
                self.terminal.write(lines + end)
                self.terminal.flush()
        return len(text)

    def flush(self) -> None:
        self.terminal.flush()

    def end(self) -> None:
        """Write what has no end of its line."""
        self.terminal.write("".join(self.begun.values()))

    def __del__(self) -> None:
        """Leave the terminal alone, which may be closed by now; a TextIOBase would flush it."""


@contextmanager
def state_progress(name: str, counts: dict[str, int] | None = None) -> Iterator[Callable[[Mapping[str, int]], None]]:
    """A bar of jobs or datasets for the `on_progress` of what waits for them, called with their numbers by state; the last
    of these stay in `counts`."""
    with progress_bar(0, name, unit="") as bar:
        def on_progress(states: Mapping[str, int]) -> None:
            if counts is not None:
                counts.clear()
                counts.update(states)
            if bar.drawn is not None:
                moving = sum(states.get(state, 0) for state in {*NON_TERMINAL_DATASET_STATES, *NON_TERMINAL_JOB_STATES})
                bar.drawn.total = sum(states.values())
                bar.drawn.n = bar.drawn.total - moving
                bar.drawn.set_postfix_str(one_line(describe_counts(states)))    # draws it: tqdm's own pace skips some steps
        yield on_progress


def describe_counts(counts: Mapping[str, int]) -> str:
    """Numbers by state in words, the largest first, such as `3 ok, 1 error`; "" where there are none."""
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
                     if count)


def printable_name(name: str) -> str:
    """The name of a file or dataset for a message: quoted if it holds characters that can't be printed."""
    return name if name.isprintable() else repr(name)


class _Bar:
    def __init__(self, drawn: Any, total: Any):
        self.n, self.drawn, self.total = 0, drawn, total
        self._lock = threading.Lock()       # a total counts what several threads transfer

    def update(self, count: int) -> None:
        with self._lock:
            self.n += count
            for bar in (self.drawn, self.total):
                if bar is not None:
                    bar.update(count)


def _active_time() -> float:
    """A clock that stands still while this thread's transfers may move nothing."""
    return time.monotonic() - paused_seconds() - waited_seconds()


class StallClock:
    """How long a transfer has made no progress, its pauses and its waits for `--limit-rate` left out, and how often it has
    failed since its last progress."""

    def __init__(self, timeout: float):
        self.timeout, self.moved = timeout, 0       # seconds; bytes since the last progress
        self.record_progress()

    def record_progress(self, size: int = MIN_PROGRESS) -> None:
        """Note that `size` more bytes have gone over."""
        self.moved += size
        if self.moved >= MIN_PROGRESS:
            self.last_progress, self.failures, self.moved = _active_time(), 0, 0

    def seconds_left(self) -> float:
        """Seconds until the transfer has stalled for too long; 0 at least."""
        return max(self.timeout - (_active_time() - self.last_progress), 0)

    def patience_left(self) -> float:
        """Seconds in which to try again, fewer than `seconds_left` where $GALAXY_RETRY_MAX says so; 0 at least."""
        asked = float(os.environ.get("GALAXY_RETRY_MAX", "").strip() or "inf")      # `Galaxy` has checked it
        return max(self.seconds_left() - max(self.timeout - asked, 0), 0)

    def back_off(self) -> None:
        """Wait before the next try: not after the first failure, then 1, 2, 4 ... 30 seconds."""
        if self.failures > 1:
            self.wait(min(2.0 ** (self.failures - 2), 30))

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until the transfer has stalled."""
        time.sleep(min(seconds, self.patience_left()))
