"""A run as one page of HTML: no script, nothing from elsewhere, readable without colour, on paper, on a phone.

`gather_report` asks Galaxy for all that is on it, in some requests for a run and not one for a job.
"""
from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any

from common import USAGE, VERSION, Galaxy, GalaxyError, redact
from galaxy_api_scripts.datasets.http_download import download_file
from galaxy_api_scripts.files import write_output
from galaxy_api_scripts.invocations.jobs import (
    FAILED_JOB_STATES,
    INPUT_STEP_TYPES,
    NO_METRICS,
    describe_jobs,
    describe_step,
    display_name,
    failure_reasons,
    fetch_workflow_version,
    first_failures,
    is_finished,
    is_waiting_for_review,
    job_elements,
    job_metrics,
    job_url,
    list_steps,
)
from galaxy_api_scripts.polling import fetch_datasets

EACH = 50           # jobs of a step that get a bar each; more have one together
FAILURES = 10       # that are shown with their standard error
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200,
         *(86400 * days for days in (1, 2, 5, 10, 30, 100)))     # seconds from one mark of a time line to the next
# A shape for each state, so that nobody needs its colour.
SIGNS = {"ok": "\u2713", "skipped": "\u2013", "error": "\u2717", "failed": "\u2717", "paused": "\u2016", "running": "\u25b6",
         "deleted": "\u25a0", "deleting": "\u25a0", "stopped": "\u25a0"}
WAITS = "\u25cb"    # for all other states
ENDS = {"error": "failed", "failed": "failed", "paused": "is paused", "deleting": "is deleted", "deleted": "is deleted",
        "stopped": "was stopped"}


# ------------------------------------------------------------------------------------------------------------------ written

def report_kind(to: str, option: str = "--to") -> str:
    """`.html`, `.md` or `.pdf`, as the name of a report's file ends; a usage error for all others."""
    kind = Path(to).suffix.lower()
    if kind not in (".html", ".md", ".pdf"):
        raise GalaxyError(f"{option}={to}: a report is FILE.html, our page, or Galaxy's own, FILE.md or FILE.pdf", USAGE)
    return kind


def write_report(galaxy: Galaxy, invocation: str, to: str, overwrite: bool = False, option: str = "--to") -> None:
    """Write a report of a run into the file `to`: our page, or Galaxy's Markdown or PDF, as its name ends."""
    kind = report_kind(to, option)
    if kind == ".html":
        write_output(gather_report(galaxy, invocation), to, overwrite, option)
    elif kind == ".md":
        write_output(galaxy.get(f"invocations/{invocation}/report")["markdown"], to, overwrite, option)
    else:
        try:
            download_file(galaxy, f"invocations/{invocation}/report.pdf", Path(to), label=f"invocation {invocation}",
                    overwrite=overwrite)
        except GalaxyError as error:
            if error.status != 501:
                raise
            raise GalaxyError(f"{galaxy.base} makes no PDF, for which its administrator would install weasyprint there: take a "
                          "file that ends in .md or .html", status=501) from None


# -------------------------------------------------------------------------------------------------------------------- asked

def gather_report(galaxy: Galaxy, invocation: str) -> str:
    """The page of a run, as `invocation_report.py` writes it."""
    about = galaxy.get(f"invocations/{invocation}")
    workflow = fetch_workflow_version(galaxy, about)
    known = list_steps(galaxy, about, workflow)
    measures = job_metrics(galaxy, invocation)
    for step in known:
        named = job_elements(galaxy, step) if 1 < len(step["jobs"]) <= EACH else {}
        for job in step["jobs"]:
            job.update(measures.get(job["id"], NO_METRICS), element=named.get(job["id"]),
                       address=job_url(galaxy, job["id"]))
    base = redact(galaxy.base)
    return render({
        "id": about["id"], "address": f"{base}/workflows/invocations/{about['id']}", "server": base,
        "workflow": workflow.get("name") or "A workflow", "history": display_name(galaxy, "histories", about["history_id"]),
        "history_address": f"{base}/histories/view?id={about['history_id']}", "state": about["state"],
        "ended": is_finished(galaxy, about), "create_time": about["create_time"], "update_time": about["update_time"],
        "messages": failure_reasons(about), "steps": known, "failures": first_failures(galaxy, about, FAILURES, known),
        "inputs": _describe_things(galaxy, base, list(_inputs(about))), "outputs": _describe_things(galaxy, base, list(_outputs(about))),
        "now": time.time()})


def _inputs(about: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for index, given in (about.get("inputs") or {}).items():
        yield {"label": given.get("label") or f"step {index}", **given}
    for label, given in (about.get("input_step_parameters") or {}).items():
        yield {"label": given.get("label") or label, "src": "parameter", "value": given.get("parameter_value")}


def _outputs(about: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for label, made in {**(about.get("outputs") or {}), **(about.get("output_collections") or {})}.items():
        yield {**made, "label": label}
    for label, value in (about.get("output_values") or {}).items():
        yield {"label": label, "src": "parameter", "value": value}


def _describe_things(galaxy: Galaxy, base: str, things: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the datasets and collections are, as far as we may see them: `label`, `name`, `what`, `state`, `address`."""
    datasets = [thing["id"] for thing in things if thing["src"] == "hda"]
    known = dict(fetch_datasets(galaxy, datasets, ["name", "state", "extension", "file_size", "deleted", "purged"]))
    told = []
    for thing in things:
        row = {"label": thing["label"], "name": None, "what": thing["src"], "state": "", "address": ""}
        if thing["src"] == "parameter":
            row.update(name=str(thing["value"]))
        elif thing["src"] == "hda":
            dataset = known.get(thing["id"])
            row.update(name=thing["id"], what="dataset", address=f"{base}/datasets/{thing['id']}")
            if dataset is not None and not isinstance(dataset, GalaxyError):
                row.update(name=dataset.get("name"), state=_state(dataset),
                           what=f"{dataset.get('extension')}, {bytes_in_words(dataset.get('file_size'))}")
        elif thing["src"] == "hdca":
            made = galaxy.get_or_none(f"dataset_collections/{thing['id']}",
                                      {"instance_type": "history", "view": "collection"}) or {}
            row.update(name=made.get("name") or thing["id"], address=f"{base}/collection/{thing['id']}/edit",
                       what=f"{made.get('collection_type', 'collection')} of {made.get('element_count', '?')}",
                       state="deleted" if made.get("deleted") else ", ".join(
                           f"{count} {state}" for state, count in (made.get("elements_states") or {}).items()))
        told.append(row)
    return told


def _state(dataset: dict[str, Any]) -> str:
    gone = "purged" if dataset.get("purged") else "deleted" if dataset.get("deleted") else ""
    return ", ".join(filter(None, [str(dataset.get("state")), gone]))


# ----------------------------------------------------------------------------------------------------------------- in words

def bytes_in_words(size: float | None) -> str:
    """A size for people, such as `13.0 KiB`."""
    if size is None:
        return "size unknown"
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, "TiB"
    return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def time_in_words(seconds: float) -> str:
    """A time span for people, such as `1 min 15 s`."""
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count) or "0 s"


def _timestamp(text: Any) -> float:
    """Seconds since 1970 of one of Galaxy's times, which are in UTC and do not say so."""
    when = datetime.fromisoformat(str(text).removesuffix("Z"))
    return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


# ----------------------------------------------------------------------------------------------------------------- rendered

def render(run: dict[str, Any]) -> str:
    """The page of what `gather_report` has gathered."""
    jobs = [job for step in run["steps"] for job in step["jobs"]]
    bad = sum(job["state"] in FAILED_JOB_STATES for job in jobs)
    verdict, sign = _verdict(run, bad)
    begin, end = _span(run, jobs)
    facts = [("History", _link(run["history"], run["history_address"])),
             ("Server", _link(run["server"], run["server"])), ("Run", _link(run["id"], run["address"])),
             ("State", _text(run["state"])), ("Jobs", _text(describe_jobs(jobs) or "none")),
             ("Began", _text(_clock(begin))), ("Ended" if run["ended"] else "Last change", _text(_clock(end))),
             ("Took" if run["ended"] else "So far", _text(time_in_words(end - begin)))]
    parts = [
        f'<header><p class="kind">Galaxy workflow run</p><h1>{_text(run["workflow"])}</h1>',
        f'<p class="verdict {_kind(run, bad)}"><b>{sign}</b> {_text(verdict)}</p></header>',
        '<dl class="facts">', *(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts), "</dl>",
        _section("What Galaxy says", "<ul>" + "".join(f"<li>{_text(one)}</li>" for one in run["messages"]) + "</ul>")
        if run["messages"] else "",
        _section("Failures", _failures(run, bad)) if run["failures"] else "",
        _section("Time line", _timeline(run, begin, end if run["ended"] else max(end, run["now"]))),
        _section("Steps", _steps(run)),
        _section("Inputs", _things_table(run["inputs"], "input")),
        _section("Outputs", _things_table(run["outputs"], "output")),
        f"<footer>Made {_text(_clock(run['now']))} by galaxy-api-scripts {VERSION} from what Galaxy said then. "
        "Times are in UTC.</footer>"]
    return PAGE.format(title=_text(f"{run['workflow']}: {verdict}"), style=STYLE, body="\n".join(filter(None, parts)))


def _verdict(run: dict[str, Any], bad: int) -> tuple[str, str]:
    """How the run stands in a line for people, and the shape before it."""
    if run["state"] in ("cancelled", "cancelling"):
        return run["state"].capitalize(), SIGNS["deleted"]
    if bad:
        jobs = f"{bad} job{'s' if bad > 1 else ''}"
        return (f"Failed: {jobs} did not end well" if run["ended"] else f"Still under way; {jobs} did not end well"), \
            SIGNS["error"]
    if run["state"] == "failed":
        return "Failed", SIGNS["error"]
    if run["ended"]:
        return "Ended well", SIGNS["ok"]
    waits = any(is_waiting_for_review(step) for step in run["steps"])
    return ("Waits for a person to go on", SIGNS["paused"]) if waits else ("Still under way", SIGNS["running"])


def _kind(run: dict[str, Any], bad: int) -> str:
    if bad or run["state"] == "failed":
        return "error"
    return "ok" if run["ended"] and run["state"] != "cancelled" else "other"


def _span(run: dict[str, Any], jobs: list[dict[str, Any]]) -> tuple[float, float]:
    """When the run began, and when the last that is known of it happened. A step's jobs may be older than the run: Galaxy
    can take a job of another run in the place of its own."""
    begin = _timestamp(run["create_time"])
    last = [_timestamp(run["update_time"]), *(_timestamp(job["update_time"]) for job in jobs)]
    return begin, max(begin, *last) if not run["ended"] or not jobs else max(begin, *last[1:])


def _failures(run: dict[str, Any], bad: int) -> str:
    parts = []
    for one in run["failures"]:
        element = f", element <q>{_text(one['element'])}</q>" if one["element"] else ""
        version = f" {one['version']}" if one["version"] else ""
        code = f", exit code {one['exit_code']}" if one["exit_code"] is not None else ""
        how = _text(ENDS.get(one["state"], f"ended in state {one['state']}"))
        parts.append(f'<article><h3><b>{SIGNS.get(one["state"], WAITS)}</b> Step {_text(one["step"])}, '
                     f'{_text(one["label"])}{element}</h3><p>{_text(one["tool"] + version)} {how}{code}: '
                     f'{_link("job " + one["job"], one["address"])}</p>'
                     + (f"<pre>{_text(one['stderr'])}</pre>" if one["stderr"] else "") + "</article>")
    more = bad - len(run["failures"])
    if more > 0:
        parts.append(f"<p>And {more} more: invocation_show.py --jobs lists them all.</p>")
    return "".join(parts)


def _timeline(run: dict[str, Any], begin: float, end: float) -> str:
    """Bars from when a job began to when it ended, a thin line before for the time that it waited."""
    with_jobs = [step for step in run["steps"] if step["jobs"]]
    if not with_jobs:
        return "<p>There are no jobs yet.</p>"
    span = max(end - begin, 1)
    every = next((step for step in TICKS if span / step <= 5), span / 5)
    ticks = [(moment, moment / span * 100) for moment in (every * count for count in range(int(span / every) + 1))]
    axis = "".join(f'<span{" class=last" if at > 92 else ""} style="left:{at:.2f}%">{time_in_words(moment)}</span>'
                   for moment, at in ticks)
    rows = [f'<div class="row axis"><div></div><div class="ticks">{axis}</div><div></div></div>']
    for step in with_jobs:
        jobs, single = step["jobs"], len(step["jobs"]) == 1
        name = f'<span class="step">{_text(step["step"])}</span> {_text(step["label"])}'
        words = _sign_and_words(jobs[0]["state"]) if single else f"<b>{_sign(jobs)}</b> {_text(describe_jobs(jobs))}"
        whole = _row(name, _bar(jobs, begin, span, end), f"{words}{_took(jobs)}")
        if single or len(jobs) > EACH:
            rows.append(whole)
            continue
        each = "".join(_row(_link(job["element"] or job["id"], job["address"]), _bar([job], begin, span, end),
                            f"{_sign_and_words(job['state'])}{_took([job])}") for job in jobs)
        opened = " open" if len(jobs) <= 8 or any(job["state"] in FAILED_JOB_STATES for job in jobs) else ""
        rows.append(f'<details{opened}><summary>{whole}</summary><div class="jobs">{each}</div></details>')
    return f'<div class="timeline" style="--every:{every / span * 100:.3f}%">{"".join(rows)}</div>{LEGEND}'


def _row(name: str, bar: str, words: str) -> str:
    return (f'<div class="row"><div class="name">{name}</div><div class="track">{bar}</div>'
            f'<div class="words">{words}</div></div>')


def _bar(jobs: list[dict[str, Any]], begin: float, span: float, end: float) -> str:
    """The bar of one job, or of many together."""
    times = [_times(job, end) for job in jobs]
    made, start, stop = min(one[0] for one in times), min(one[1] for one in times), max(one[2] for one in times)
    made, start, stop = (min(max((moment - begin) / span * 100, 0), 100) for moment in (made, start, stop))
    kinds = Counter(_bar_kind(job["state"]) for job in jobs)
    shares = {kind: max(kinds[kind] / len(jobs), .3) for kind in ("ok", "other", "paused", "error") if kinds[kind]}
    where = f"left:{min(start, 99.2):.2f}%;width:{max(stop - start, 0.8):.2f}%"
    bars, top = [f'<i class="wait" style="left:{made:.2f}%;width:{max(start - made, 0):.2f}%"></i>'], 0.0
    for kind, share in shares.items():      # one above the other, as thick as there are many of them, but to be seen
        height = share / sum(shares.values()) * 100
        bars.append(f'<i class="bar {kind}" style="{where};top:{top:.0f}%;height:{height:.0f}%"></i>')
        top += height
    return "".join(bars)


def _bar_kind(state: str) -> str:
    return state if state in ("ok", "paused") else "error" if state in FAILED_JOB_STATES else "other"


def _times(job: dict[str, Any], end: float) -> tuple[float, float, float]:
    """When a job was made, when it began and when it ended; the last ones as the server has measured them, in whole seconds
    of the clock of the machine that it ran on, else as Galaxy has noted its last change."""
    made, changed = _timestamp(job["create_time"]), _timestamp(job["update_time"])
    if job.get("start") is not None and job.get("end") is not None:
        return made, max(job["start"], made), max(job["end"], job["start"], made)
    if job["state"] in ("ok", "error", "failed"):
        return made, made, changed
    return made, changed, end if job["state"] == "running" else changed


def _took(jobs: list[dict[str, Any]]) -> str:
    times = [job["run_time"] for job in jobs if job.get("run_time") is not None]
    if not times:
        return ""
    if len(jobs) == 1 or min(times) == max(times):
        return f", {time_in_words(times[0])}{' each' if len(jobs) > 1 else ''}"
    return f", {time_in_words(min(times))} to {time_in_words(max(times))}"


def _sign(jobs: list[dict[str, Any]]) -> str:
    """The shape of the worst state."""
    states = [job["state"] for job in jobs]
    worst = next((state for state in (*FAILED_JOB_STATES, "running") if state in states),
                 states[0] if len(set(states)) == 1 else "ok")
    return WAITS if set(states) - {*SIGNS} else SIGNS.get(worst, WAITS)


def _sign_and_words(state: str) -> str:
    return f"<b>{SIGNS.get(state, WAITS)}</b> {_text(state)}"


def _steps(run: dict[str, Any]) -> str:
    rows = []
    for step in run["steps"]:
        if step["kind"] in INPUT_STEP_TYPES:
            continue
        jobs = step["jobs"]
        times = [job["run_time"] for job in jobs if job.get("run_time") is not None]
        memory = [job["memory"] for job in jobs if job.get("memory") is not None]
        how = _sign_and_words(jobs[0]["state"]) if len(jobs) == 1 else _text(describe_step(step))
        tool = f"{step['tool']} {step['version']}" if step["tool"] else step["kind"]
        rows.append([_text(step["step"]), _text(step["label"]), _text(tool), how,
                     time_in_words(sum(times)) if times else "", bytes_in_words(max(memory)) if memory else ""])
    if not rows:
        return "<p>None was begun.</p>"
    return _table(["Step", "Label", "Tool", "Jobs", "Run time", "Memory"], rows)


def _things_table(things: list[dict[str, Any]], name: str) -> str:
    if not things:
        return f"<p>There is no {name} with a name of its own.</p>"
    return _table([name.capitalize(), "Name", "What", "State"],
                  [[_text(one["label"]), _link(one["name"], one["address"]), _text(one["what"]), _text(one["state"])]
                   for one in things])


def _table(heading: list[str], rows: list[list[str]]) -> str:
    """A table of cells that are HTML; empty columns are left out."""
    kept = [number for number in range(len(heading)) if any(row[number] for row in rows)]
    head = "".join(f"<th>{heading[number]}</th>" for number in kept)
    body = "".join("<tr>" + "".join(f'<td data-name="{heading[number]}">{row[number]}</td>' for number in kept) + "</tr>"
                   for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _text(text: Any) -> str:
    """Any text as HTML shows it, without control characters and those that turn the direction of what comes after them."""
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", str(text))
    return escape(redact(shown).encode(errors="replace").decode())


def _link(text: Any, address: str) -> str:
    if text in (None, ""):
        text = "(not to be seen)"
    safe = address.startswith(("http://", "https://"))
    return f'<a href="{_text(address)}" rel="noreferrer">{_text(text)}</a>' if safe else _text(text)


LEGEND = ('<p class="legend"><i class="bar ok"></i> ran <i class="bar error"></i> ended badly '
          '<i class="bar paused"></i> paused <i class="bar other"></i> other states <i class="wait"></i> waited</p>')

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """
:root { --ink: #1d2329; --soft: #57606a; --line: #d4d9de; --ground: #ffffff; --panel: #f5f7f9; --link: #1f5c99;
  --ok: #2c6e49; --error: #a3262a; --paused: #8a6100; --other: #5b6b7b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e7eb; --soft: #9da7b1; --line: #384049; --ground: #14181c;
  --panel: #1c2227; --link: #84b8ec; --ok: #69b88b; --error: #f08a86; --paused: #dfb454; --other: #93a3b3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .35rem 0; }
a { color: var(--link); text-underline-offset: .15em; }
.kind, footer, .legend, .axis { color: var(--soft); font-size: .85rem; }
.kind { margin: 0; letter-spacing: .02em; }
.verdict { display: inline-block; margin: .25rem 0 0; padding: .2rem .7rem; border: 1.5px solid; border-radius: .3rem;
  font-weight: 600; }
.verdict.ok { color: var(--ok); } .verdict.error { color: var(--error); } .verdict.other { color: var(--other); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .9rem 1.5rem; margin: 1.5rem 0 0;
  padding: 1rem 1.1rem; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; }
dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; overflow-wrap: anywhere; }
article { margin: .75rem 0; padding: .75rem 1rem; border: 1px solid var(--line); border-left: 4px solid var(--error);
  border-radius: .3rem; break-inside: avoid; }
article h3 b { color: var(--error); }
pre { margin: .6rem 0 0; padding: .6rem .8rem; background: var(--panel); border-radius: .3rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .82rem/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.row { display: grid; grid-template-columns: minmax(8rem, 15rem) 1fr minmax(8rem, 13rem); gap: .9rem; align-items: center;
  padding: .28rem 0; }
.name, .words { overflow-wrap: anywhere; min-width: 0; line-height: 1.3; } .words { font-size: .85rem; }
.step { color: var(--soft); font-variant-numeric: tabular-nums; margin-right: .25rem; }
.track { position: relative; height: 1.1rem; border-right: 1px solid var(--line);
  background: repeating-linear-gradient(to right, var(--line) 0 1px, transparent 1px var(--every)); }
.ticks { position: relative; height: 1.2rem; white-space: nowrap; }
.ticks span { position: absolute; transform: translateX(-50%); } .ticks span:first-child { transform: none; }
.ticks span.last { transform: translateX(-100%); }
.bar { position: absolute; border: 1.5px solid; border-radius: 2px; print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
.bar.ok { color: var(--ok); background: color-mix(in srgb, currentColor 55%, transparent); }
.bar.error { color: var(--error); background: repeating-linear-gradient(45deg, currentColor 0 3px, transparent 3px 7px); }
.bar.paused { color: var(--paused); background: repeating-linear-gradient(90deg, currentColor 0 2px, transparent 2px 6px); }
.bar.other { color: var(--other); border-style: dashed; }
.wait { position: absolute; top: 50%; height: 0; border-top: 1.5px dotted var(--soft); }
details > summary { list-style: none; cursor: pointer; } summary::-webkit-details-marker { display: none; }
summary .name::after { content: " \\25be"; color: var(--soft); }
details:not([open]) summary .name::after { content: " \\25b8"; }
.jobs { font-size: .9rem; } .jobs .row { padding: .12rem 0; } .jobs .name { padding-left: 1.4rem; }
.jobs .track { height: .7rem; }
.legend { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem; margin-top: .8rem; }
.legend i { position: static; display: inline-block; width: 1.6rem; height: .8rem; } .legend i.wait { height: 0; }
.legend i:not(:first-child) { margin-left: .9rem; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { color: var(--soft); font-size: .8rem; font-weight: 500; white-space: nowrap; }
footer { margin-top: 2.5rem; }
@media (max-width: 44rem) {
  main { padding: 1.25rem .9rem 2rem; } h1 { font-size: 1.35rem; }
  .row { grid-template-columns: 1fr auto; gap: .2rem .8rem; padding: .4rem 0; } .track, .ticks { grid-column: 1 / -1; }
  .track { grid-row: 2; } .words { max-width: 11rem; }
  .facts { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
  .axis > div:first-child, .axis > div:last-child { display: none; }
  thead { display: none; } tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  td { display: grid; grid-template-columns: 6rem 1fr; gap: .5rem; padding: .1rem 0; border: 0; }
  td::before { content: attr(data-name); color: var(--soft); font-size: .8rem; } td:empty { display: none; }
}
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --ground: #fff; --panel: #fff; --link: #000; --ok: #000;
  --error: #000; --paused: #000; --other: #000; }
  main { max-width: none; padding: 0; } body { font-size: 10.5pt; } .row, tr { break-inside: avoid; }
  h2 { break-after: avoid; } }
"""
