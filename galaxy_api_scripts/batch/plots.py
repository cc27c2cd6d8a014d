"""What the page on many samples draws: when each sample ran, and how long each step took. Positions are in percent."""
from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from galaxy_api_scripts.invocations.page import format_duration, format_time, make_ticks, shorten_text

MAX_NAMED_ROWS = 40     # samples with a row and a name each in the time line; more are drawn as thin lines
MAX_HEIGHT = 520        # pixels of those lines together
LONGEST_SHARE = 0.005   # of the time line: what it shows is cut to the newest samples if the longest would be shorter
MAX_STEPS = 60          # rows of the plot of steps
MAX_DOTS, MAX_OUTLIERS = 12, 8      # values of a step drawn one by one; values far from the others beside a box
BAR_KINDS = {"ok": "ok", "failed": "error", "fetch pending": "paused"}
PLACES = {"ok": 0, "other": 1, "paused": 2, "error": 3}     # later ones are drawn above the others


def draw_timeline(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The time line of samples with the times `begun`, `started` (of the run in Galaxy) and `ended`; None if none began."""
    timed = sorted((row for row in rows if row["begun"] is not None), key=lambda row: row["begun"])
    if not timed:
        return None
    end = max(row["ended"] for row in timed)
    longest = max(row["ended"] - row["begun"] for row in timed)     # those under way too, so that the newest is shown
    shown = [row for row in timed if end - row["begun"] <= max(longest, 1) / LONGEST_SHARE]
    begin = float(shown[0]["begun"])
    span = float(max(end - begin, 1))

    def at(moment: float) -> float:
        return min(max((moment - begin) / span * 100, 0.0), 100.0)

    bars = []
    for row in shown:
        left, start, stop = at(row["begun"]), at(row["started"]), at(row["ended"])
        kind = BAR_KINDS.get(row["state"], "other")
        took = format_duration(row["ended"] - row["begun"])
        bars.append({"wait": {"left": left, "width": max(start - left, 0)}, "left": min(start, 99.4),
                     "width": max(stop - start, .6), "kind": kind, "bars": [{"kind": kind, "top": 0, "height": 100}],
                     "sign": row["sign"], "words": f"{row['words']}, {took}", "label": shorten_text(row["name"], 40),
                     "address": f"#{row['anchor']}"})
    is_dense = len(bars) > MAX_NAMED_ROWS
    height = max(min(8.0, MAX_HEIGHT / len(bars)), .25)
    for number, bar in enumerate(bars):
        bar.update(y=number * height, thick=max(height * .8, 2 if bar["kind"] == "error" else 1))
    if is_dense:
        bars.sort(key=lambda bar: PLACES[bar["kind"]])
    return {**make_ticks(span), "bars": bars, "is_dense": is_dense, "height": max(len(bars) * height, 8) + 2,
            "begin": format_time(begin), "end": format_time(end), "earlier": len(timed) - len(shown)}


def draw_steps(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The run times of each step over all samples, from their facts' `steps`; None where none was measured."""
    values: dict[tuple[str, str, str], list[tuple[float, dict[str, Any]]]] = {}
    for row in rows:
        for step in row["steps"]:
            if step.get("run_time") is not None:
                name = str(step["step"]), str(step["label"]), str(step["tool"])
                values.setdefault(name, []).append((float(step["run_time"]), row))
    if not values:
        return None
    span = max(max(time for time, _ in times) for times in values.values()) or 1
    total = sum(time for times in values.values() for time, _ in times)
    names = sorted(values, key=lambda name: ([int(part) if part.isdigit() else 0 for part in name[0].split(".")], name))
    steps = [{"step": name[0], "label": shorten_text(name[1], 60), "tool": shorten_text(name[2], 120),
              **_draw_step(values[name], span, total)} for name in names]
    return {**make_ticks(span), "steps": steps[:MAX_STEPS], "more": max(len(steps) - MAX_STEPS, 0)}


def _draw_step(times: list[tuple[float, dict[str, Any]]], span: float, total: float) -> dict[str, Any]:
    times.sort(key=lambda pair: pair[0])
    numbers = [time for time, _ in times]
    least, most, middle = numbers[0], numbers[-1], statistics.median(numbers)
    box, points = None, times
    if len(times) > MAX_DOTS:
        first, _, third = statistics.quantiles(numbers, n=4, method="inclusive")
        limit = third + 1.5 * (third - first)
        far = [pair for pair in times if pair[0] > limit]
        points = far[-MAX_OUTLIERS:]
        box = {"left": first / span * 100, "width": (third - first) / span * 100}
        whisker = max((time for time in numbers if time <= limit), default=most)
    else:
        whisker = most
    words = [f"median {format_duration(middle)}" if len(times) > 1 else format_duration(middle)]
    if least != most:
        words.append(f"({format_duration(least)} to {format_duration(most)})")
    slowest = times[-1][1]
    return {"least": least / span * 100, "whisker": whisker / span * 100, "middle": middle / span * 100, "box": box,
            "points": [{"at": time / span * 100, "address": f"#{row['anchor']}",
                        "words": f"{shorten_text(row['name'], 60)}: {format_duration(time)}"} for time, row in points],
            "words": " ".join(words), "share": round(sum(numbers) / total * 100) if total else 0, "count": len(times),
            "slowest": {"name": shorten_text(slowest["name"], 30), "address": f"#{slowest['anchor']}"}
            if len(times) > 1 and least != most else None}
