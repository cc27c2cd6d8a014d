"""A page of HTML on all samples of a ledger: what failed, when each ran, how long each step took, which versions ran.

It is made from the ledger alone, so that it can be made without the server; see facts.py for what that holds for it.
"""
from __future__ import annotations

import html
import os
import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from common import USAGE, VERSION, GalaxyError, one_line
from galaxy_api_scripts.batch.ledger_reader import (
    FAILURE_STATES,
    UNFINISHED_STATES,
    read_about,
    read_facts,
    read_failures,
    read_samples,
    read_steps,
)
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.batch.plots import draw_steps, draw_timeline
from galaxy_api_scripts.files import check_writable
from galaxy_api_scripts.invocations.page import (
    SIGNS,
    WAITING_SIGN,
    clean_value,
    format_duration,
    format_time,
    load_template,
    parse_time,
    shorten_text,
    table,
)
from galaxy_api_scripts.sizes import format_size

STATES = {"failed": "\u2717", "fetch pending": "\u2016", "running": SIGNS["running"], "waiting": WAITING_SIGN,
          "ok": SIGNS["ok"], "superseded": "\u2013", "gone": "\u2013"}      # in the order of the page, with their signs
STATE_WORDS = {"fetch pending": "results not fetched yet"}
MAX_SAMPLES = 2000      # shown; of more the ones that failed or still run, and the newest of the others
MAX_BYTES = 2_800_000   # of a page on 1,000 samples, in proportion for more
# Tried in this order until a page is small enough: results named, bytes of standard error, and letters of a message and of a
# name, of each sample.
LIMITS = ((6, 2000, 400, 100), (3, 1000, 300, 80), (1, 300, 160, 60), (0, 0, 80, 40))
MAX_GROUPS, MAX_MEMBERS = 12, 200       # kinds of failure, and samples named in each
MAX_TOOLS = 100
TEMPLATES = Path(__file__).with_name("templates")
GENERATOR = b'<meta name="generator" content="galaxy-api-scripts">'     # in the head of each page of templates/page.html
LONG_NUMBER = re.compile(r"[0-9a-f]{8,}|\d+")


def check_page_path(text: str, *others: str | Path) -> Path:
    """The path of a page, the value of `--report`; a usage error if it is none, or would replace something else."""
    path = check_writable(text, overwrite=True, option="--report")
    if path.suffix.lower() not in (".html", ".htm"):
        raise GalaxyError(f"--report={text}: expected a name that ends in .html", USAGE)
    if path.is_file() and path.stat().st_size:
        with open(path, "rb") as file:
            if GENERATOR not in file.read(2000):
                raise GalaxyError(f"--report={text}: is there already and no page of these scripts, so it is not replaced: "
                                  "name another file", USAGE)
    if os.path.realpath(path) in [os.path.realpath(other) for other in others if other]:
        raise GalaxyError(f"--report={text}: that is the sheet or the ledger, which it would replace", USAGE)
    load_template("samples.html", TEMPLATES)        # so that a missing Jinja2 is an error before the work, not after it
    return path


def render_ledger(ledger: str | Path, page: Path, states: Iterable[str] = (), name: str | None = None,
                  now: float | None = None) -> str:
    """The page, to be written to `page`, on the samples of a ledger in one of these states and of this name, or on all.
    What is under way is drawn up to `now` (seconds since 1970), by default to the last moment that the ledger knows.
    Raises GalaxyError where no sample has the name."""
    states = list(states)
    samples = list(read_samples(ledger, states, name))
    if name and not samples:
        raise GalaxyError(f"{ledger}: no sample {name!r}" + (f" is {' or '.join(states)}" if states else ""))
    unacknowledged = {sample["key"] for sample in read_failures(ledger, name)}
    context = PageData(samples, read_facts(ledger), list(read_steps(ledger, states, name)), read_about(ledger),
                       unacknowledged, str(ledger), page, now).context()
    most = MAX_BYTES * max(len(context["rows"]) / 1000, 1)
    template = load_template("samples.html", TEMPLATES)
    for limits in LIMITS:
        for row in context["rows"]:
            row.update(_shorten_row(row, *limits))
        text = str(template.render(**context, groups=_group_failures(context["rows"], limits[2])))
        if len(text.encode()) <= most:
            break
    return text


class PageData:
    """What the ledger says, and what the page shows of it."""

    def __init__(self, samples: list[dict[str, Any]], facts: dict[str, dict[str, Any]], steps: list[dict[str, Any]],
                 about: dict[str, str], unacknowledged: set[str], ledger: str, page: Path, now: float | None):
        self.samples, self.facts, self.about, self.ledger, self.page = samples, facts, about, ledger, page
        self.unacknowledged = unacknowledged
        self.server = about.get("server", "").rstrip("/")
        self.submitted = {step["key"]: step["ended"] for step in steps
                          if step["step"] == Stage.SUBMIT.value and step["outcome"] == "ok"}
        moments = [moment for sample in samples for moment in (sample["seen"], sample["begun"], sample["ended"]) if moment]
        moments += [moment for step in steps for moment in (step["begun"], step["ended"]) if moment]
        self.now = now if now is not None else parse_time(max(moments)) if moments else time.time()

    def context(self) -> dict[str, Any]:
        order = list(STATES)
        rows = [self._row(sample, number) for number, sample in enumerate(self.samples, 1)]
        counts = Counter(row["state"] for row in rows)
        rows.sort(key=lambda row: order.index(row["state"]) if row["state"] in order else len(order))
        left_out = max(len(rows) - MAX_SAMPLES, 0)
        if left_out:        # the oldest that ended well or count no more
            old = sorted((row for row in rows if row["state"] not in (*FAILURE_STATES, *UNFINISHED_STATES)),
                         key=lambda row: row["number"])[:left_out]
            gone = {row["number"] for row in old}
            rows = [row for row in rows if row["number"] not in gone][:MAX_SAMPLES]
        began = [row["begun"] for row in rows if row["begun"] is not None]
        ended = [row["ended"] for row in rows if row["begun"] is not None]
        unfinished = sum(counts[state] for state in UNFINISHED_STATES)
        workflows = ", ".join(dict.fromkeys(workflow["name"] for workflow in self._workflows()))
        heading_facts = [("Workflow", workflows, ""), ("Server", self.server, self.server),
                         ("User", self.about.get("user", ""), ""), ("Folder", self.about.get("folder", ""), ""),
                         ("Ledger", self.ledger, "")]
        if began:
            heading_facts += [("Began", format_time(min(began)), ""),
                              ("So far" if unfinished else "Ended", format_time(max(ended)), ""),
                              ("Took", format_duration(max(ended) - min(began)), "")]
        size = sum(row["size"] or 0 for row in rows)
        if size:
            heading_facts.append(("Results", format_size(size), ""))
        return {"title": shorten_text(self._title(), 120), "verdict": _verdict(counts), "version": VERSION,
                "made": format_time(time.time()),
                "heading_facts": [(name, shorten_text(text, 300), address) for name, text, address in heading_facts if text],
                "counts": [{"state": state, "count": counts[state], "sign": STATES.get(state, WAITING_SIGN),
                            "words": STATE_WORDS.get(state, state), "css": _css(state),
                            "share": counts[state] / max(len(self.samples), 1) * 100}
                           for state in [*order, *sorted(set(counts) - {*order})] if counts[state]],
                "total": len(self.samples), "left_out": left_out, "rows": rows, "timeline": draw_timeline(rows),
                "step_times": draw_steps(rows), "has_failures": any(row["reason"] for row in rows), **self._versions()}

    def _title(self) -> str:
        place = self.about.get("folder") or next((sample["place"] for sample in self.samples if sample["place"]), "")
        sheet = re.fullmatch(r"(.*), line [0-9]+", place or "", re.DOTALL)
        return os.path.basename((sheet[1] if sheet else self.about.get("folder") or "").rstrip("/")) or \
            os.path.basename(self.ledger).removesuffix(".ledger")

    def _row(self, sample: dict[str, Any], number: int) -> dict[str, Any]:
        state, begun, ended = sample["state"], sample["begun"], sample["ended"]
        facts = self.facts.get(sample["key"]) or {}
        if facts.get("invocation") != sample["invocation"]:
            facts = {}
        has_failed = state in FAILURE_STATES or (state == "superseded" and sample["message"])
        failure = (facts.get("failure") if state in ("failed", "superseded") else None) or {}
        stage = sample["stage"] if state == "running" and sample["stage"] != Stage.RUN.value else None
        finish = parse_time(ended) if ended and begun else self.now
        began = parse_time(begun) if begun else None
        folder = sample["notes"].get("results") or ""
        address = self._folder_address(folder)
        return {
            "number": number, "anchor": f"s{number}", "name": sample["name"], "place": sample["place"] or "", "state": state,
            "css": _css(state), "sign": STATES.get(state, WAITING_SIGN),
            "words": STATE_WORDS.get(state, state) + (f": {stage}" if stage else ""),
            "attempt": sample["attempt"] if sample["attempt"] > 1 else 0,
            "is_acknowledged": state in FAILURE_STATES and sample["key"] not in self.unacknowledged,
            "begun": began, "ended": finish if began is None else max(finish, began),
            "started": self._started(sample, began or 0, finish),
            "date": began and format_time(began)[:16], "took": began and format_duration(max(finish - began, 0)),
            "step": sample["failed_step"] or "" if has_failed else "", "failure": failure,
            "job": self._link("jobs/{}/view", failure.get("job")),
            "reason": one_line(sample["message"] or "") if has_failed else "",
            "history": self._link("histories/view?id={}", sample["history"]),
            "run": self._link("workflows/invocations/{}", sample["invocation"]),
            "folder": unquote(address[2:-1]) if address else folder, "folder_address": address,
            "steps": facts.get("steps") or [],
            "every_result": [{**result, "address": self._link(
                "collection/{}/edit" if result.get("src") == "hdca" else "datasets/{}", result.get("id")),
                "words": _result_words(result)} for result in facts.get("results") or []],
            "result_count": facts.get("result_count") or 0, "size": facts.get("result_size"),
            "total_size": format_size(facts.get("result_size")),
            "problem": facts.get("problem") or ""}

    def _started(self, sample: dict[str, Any], began: float, finish: float) -> float:
        """When its run began in Galaxy: not at all if it has none, with the sample if that is not known."""
        submitted = self.submitted.get(sample["key"])
        if not sample["invocation"]:
            return finish
        return min(max(parse_time(submitted), began), finish) if submitted else began

    def _link(self, path: str, identity: str | None) -> str:
        if not (identity and self.server):
            return ""
        return f"{self.server}/{path.format(quote(str(identity), safe='', errors='replace'))}"

    def _folder_address(self, folder: str) -> str:
        """Where a folder below the page's own is from there; "" for others, which a page that is mailed does not reach."""
        if not folder:
            return ""
        try:
            relative = os.path.relpath(os.path.realpath(folder), os.path.realpath(self.page.parent))
            return "" if relative.startswith("..") else f"./{quote(os.fsencode(relative))}/"
        except ValueError:      # no file's name
            return ""

    def _workflows(self) -> list[dict[str, Any]]:
        """The workflows that ran, with the number of samples of each."""
        found: Counter[tuple[str, str, Any]] = Counter()
        for sample in self.samples:
            facts = self.facts.get(sample["key"]) or {}
            workflow = facts.get("workflow") or {}
            if workflow.get("name") and facts.get("invocation") == sample["invocation"]:
                found[str(workflow["name"]), str(workflow.get("id") or ""), workflow.get("version")] += 1
        return [{"name": name, "address": self._link("published/workflow?id={}", identity), "samples": count,
                 "version": "" if version is None else str(version)}
                for (name, identity, version), count in found.most_common()]

    def _versions(self) -> dict[str, Any]:
        """The tables of what ran with which versions."""
        tools: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
        programs: Counter[tuple[str, str]] = Counter()
        for sample in self.samples:
            facts = self.facts.get(sample["key"]) or {}
            for step in facts.get("steps") or []:
                if step.get("tool"):
                    steps, keys = tools.setdefault((str(step["tool"]), str(step["version"])), (set(), set()))
                    steps.add(str(step["step"]))
                    keys.add(sample["key"])
            for what, version in (("Galaxy", facts.get("galaxy")), ("galaxy-api-scripts", facts.get("scripts"))):
                if version:
                    programs[what, str(version)] += 1
        rows = [*self._workflows(), *({"name": what, "address": "", "version": version, "samples": count}
                                      for (what, version), count in sorted(programs.items()))]
        several = {name for name, count in Counter(tool for tool, _ in tools).items() if count > 1}
        tool_rows = [{"tool": shorten_text(tool, 150), "steps": shorten_text(", ".join(sorted(steps)), 60),
                      "samples": len(keys),
                      "version": version + (" (one of several)" if tool in several else "")}
                     for (tool, version), (steps, keys) in sorted(tools.items())]
        return {"programs": table({"name": "What", "version": "Version", "samples": "Samples"}, rows),
                "tools": table({"tool": "Tool", "version": "Version", "steps": "Steps", "samples": "Samples"},
                               tool_rows[:MAX_TOOLS], ("tool", "version")), "more_tools": max(len(tool_rows) - MAX_TOOLS, 0)}


def _shorten_row(row: dict[str, Any], results: int, error_bytes: int, letters: int, name_letters: int) -> dict[str, Any]:
    """What a row shows where there is so much room."""
    failure = row["failure"]
    last = (failure.get("stderr") or "").strip().splitlines()[-1:]
    return {"short_name": shorten_text(row["name"], name_letters),
            "short_place": shorten_text(row["place"], name_letters * 2) if row["place"] != row["name"] else "",
            "results": [{**result, "label": shorten_text(result.get("label") or "", name_letters)}
                        for result in row["every_result"][:results]],
            "more_results": row["result_count"] - min(results, len(row["every_result"])) if results else 0,
            "short_folder": shorten_text(row["folder"], name_letters * 2), "short_step": shorten_text(row["step"], 80),
            "short_reason": shorten_text(last[0] if last and error_bytes else row["reason"], letters),
            "stderr": _cut_beginning(failure.get("stderr") or "", error_bytes)}


def _cut_beginning(text: str, most: int) -> str:
    """The end of a text, `most` bytes of HTML."""
    if not most:
        return ""
    text = str(clean_value(text))
    while len(html.escape(text).encode(errors="replace")) > most:
        text = "\u2026" + text[len(text) // 8 + 2:]
    return text


def _group_failures(rows: list[dict[str, Any]], letters: int) -> dict[str, Any]:
    """The samples that failed, together those that failed at the same step with the same words, numbers apart."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["state"] in FAILURE_STATES:
            failure = row["failure"]
            words = (failure.get("stderr") or "").strip().splitlines()[-1:] or [row["reason"].replace(row["name"], "")]
            groups.setdefault((row["step"], LONG_NUMBER.sub("0", words[0])[:200]), []).append(row)
    every = sorted(groups.values(), key=len, reverse=True)
    return {"more": max(len(every) - MAX_GROUPS, 0), "groups": [{
        "members": members[:MAX_MEMBERS], "count": len(members), "more": max(len(members) - MAX_MEMBERS, 0),
        "first": members[0], "step": members[0]["short_step"] or "no step", "tool": _tool_words(members[0]["failure"]),
        "reason": shorten_text(members[0]["reason"], letters), "stderr": members[0]["stderr"]}
        for members in every[:MAX_GROUPS]]}


def _tool_words(failure: dict[str, Any]) -> str:
    words = [f"{failure['tool']} {failure.get('version') or ''}".strip()] if failure.get("tool") else []
    words += [f"element {failure['element']}"] if failure.get("element") else []
    words += [f"exit code {failure['exit_code']}"] if failure.get("exit_code") is not None else []
    return shorten_text(", ".join(words), 200)


def _result_words(result: dict[str, Any]) -> str:
    words = [f"{result['count']} datasets" if result.get("count") is not None else "",
             str(result.get("ext") or ""), format_size(result["size"]) if result.get("size") is not None else "",
             str(result["state"]) if result.get("state") not in (None, "ok") else ""]
    return shorten_text(", ".join(word for word in words if word), 80)


def _css(state: str) -> str:
    return re.sub(r"[^a-z]", "-", state)


def _verdict(counts: Counter[str]) -> dict[str, str]:
    """How the samples went, in a line."""
    total = sum(counts.values()) - counts["superseded"] - counts["gone"]
    running, failed = counts["running"] + counts["waiting"], counts["failed"]
    words = [f"{failed} of {total} failed"] if failed else []
    words += [f"results of {counts['fetch pending']} not fetched yet"] if counts["fetch pending"] else []
    words += [f"{running} still under way"] if running else []
    if not words:
        words = [f"All {total} ended well" if total > 1 else "Ended well" if total else "No samples"]
    state = "failed" if failed else "fetch pending" if counts["fetch pending"] else "running" if running else "ok"
    text = ", ".join(words)
    return {"words": text[0].upper() + text[1:], "sign": STATES[state],
            "kind": {"failed": "error", "ok": "ok"}.get(state, "other")}
