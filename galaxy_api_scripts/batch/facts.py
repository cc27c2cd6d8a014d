"""What a page on many samples shows and a ledger does not need for its work: the first failure with the end of its standard
error, the results with their sizes, the run time of each step, the versions of what ran.

What is at hand is noted at once. For the rest Galaxy is asked once for each sample, when that has ended and a page is
wanted; the answers stay in the ledger's table `facts`, which the first of them makes.
"""
from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from common import TRY_LATER, VERSION, Galaxy, GalaxyError, redact_all, report_error
from galaxy_api_scripts import releases
from galaxy_api_scripts.batch.ledger import Ledger, Sample, describe_error
from galaxy_api_scripts.batch.ledger_reader import TEXT, encode
from galaxy_api_scripts.batch.retry import sent_reruns
from galaxy_api_scripts.datasets.collections import element_datasets
from galaxy_api_scripts.datasets.download_paths import DownloadItem
from galaxy_api_scripts.invocations.invocation import invocation_outputs, is_skipped
from galaxy_api_scripts.invocations.jobs import (
    FAILED_JOB_STATES,
    INPUT_STEP_TYPES,
    NO_METRICS,
    failure_reasons,
    fetch_detailed,
    first_failures,
    job_metrics,
    list_detailed_steps,
    step_totals,
)
from galaxy_api_scripts.invocations.replacements import find_replacements, replace_failed
from galaxy_api_scripts.polling import fetch_datasets

TABLE = "CREATE TABLE IF NOT EXISTS facts (unit TEXT PRIMARY KEY, asked_for TEXT NOT NULL, content TEXT NOT NULL)"
MAX_RESULTS, MAX_STEPS = 100, 200       # that are noted one by one
MAX_MEASURED_JOBS = 50      # of a sample, where each job has to be asked for its own times (Galaxy 24.1)
FAILURE_FIELDS = ("step", "label", "tool", "version", "element", "state", "exit_code", "stderr", "job")


def note_failure(sample: Sample, failure: dict[str, Any] | None) -> None:
    """Note the first failure (one of `first_failures`) of the sample's invocation."""
    if failure:
        save_facts(sample, failure=_failure_facts(failure))


def note_results(sample: Sample, outputs: dict[str, dict[str, str]], items: dict[str, list[DownloadItem]]) -> None:
    """Note the results that were downloaded: `invocation_outputs` and their `output_datasets`."""
    save_facts(sample, **_result_facts({
        "label": label, "src": outputs[label]["src"], "id": outputs[label]["id"], "state": "ok",
        **_sum_datasets([item.about for item in datasets], outputs[label]["src"] == "hdca")}
        for label, datasets in items.items() if datasets))


def save_facts(sample: Sample, asked_for: str = "", **changes: Any) -> None:
    """Add facts to those of the sample's invocation; those of an earlier one go. `asked_for` says what Galaxy was asked for
    in full."""
    ledger, key = sample.ledger, encode(sample.key)
    with ledger.together():
        ledger.write(TABLE)
        rows = ledger.rows(f"SELECT content FROM facts WHERE unit = {TEXT}", key)
        before = json.loads(rows[0]["content"]) if rows else {}
        if before.get("invocation") != sample.invocation:
            before = {"invocation": sample.invocation}
        content = json.dumps(redact_all({**before, **changes}), separators=(",", ":"))
        ledger.write(f"INSERT OR REPLACE INTO facts VALUES ({TEXT}, {TEXT}, {TEXT})", key, encode(asked_for),
                     encode(content))


class FactsGatherer:
    """Asks Galaxy for the facts of samples that have ended, `labels` being the outputs that are results (all if empty)."""

    def __init__(self, galaxy: Galaxy, ledger: Ledger, labels: Iterable[str] = ()):
        self.galaxy, self.ledger, self.labels = galaxy, ledger, list(labels)
        self._workflows: dict[str, dict[str, Any]] = {}     # by the ids of their versions
        self._given_up: set[str] = set()    # for this process: Galaxy failed over them

    def gather(self, most: int, seconds: float = float("inf")) -> bool:
        """Gather the facts of `most` samples that lack them, the last to end first, and begin with none after `seconds`;
        whether more are left. Nothing is raised: without them the page shows less, and the next visit asks again."""
        end = time.monotonic() + seconds
        lacking = [sample for sample in self._lacking() if sample.key not in self._given_up]
        for sample in lacking[:most]:
            if time.monotonic() > end:
                return True
            try:
                save_facts(sample, asked_for=_request_mark(sample), **self._ask(sample))
            except GalaxyError as error:
                if error.exit_code == TRY_LATER or error.status == 401:
                    return False
                self._given_up.add(sample.key)
                if error.status in (400, 403, 404):     # its history or run is gone
                    save_facts(sample, asked_for=_request_mark(sample), problem=str(error)[:300])
            except Exception as error:      # an answer of another form than Galaxy's
                self._given_up.add(sample.key)
                report_error(f"{sample.name}: the page shows less of it: {describe_error(error)}")
        return len(lacking) > most

    def _lacking(self) -> list[Sample]:
        if not self.ledger.rows("SELECT 1 FROM sqlite_master WHERE name = 'facts'"):
            self.ledger.write(TABLE)
        keys = [row["key"] for row in self.ledger.rows(
            "SELECT key FROM units LEFT JOIN facts ON unit = key WHERE invocation IS NOT NULL AND "
            "state IN ('ok', 'failed', 'fetch pending') AND coalesce(asked_for, '') != invocation || ' ' || "
            "coalesce(ended, '') ORDER BY ended DESC")]
        return [sample for sample in map(self.ledger.sample, keys) if sample]

    def _ask(self, sample: Sample) -> dict[str, Any]:
        """Three requests, one more for each collection among the results, two for a failure, and once for each workflow;
        some more where failed jobs were run again in place: these count as their reruns."""
        galaxy, invocation_id = self.galaxy, str(sample.invocation)
        invocation = fetch_detailed(galaxy, invocation_id)
        steps = list_detailed_steps(galaxy, invocation, self._workflows)
        replacements = find_replacements(galaxy, invocation, sent_reruns(sample), steps) if sample.notes.rerun else {}
        invocation, steps, of_reruns = replace_failed(galaxy, invocation, steps, replacements)
        jobs = [job for step in steps for job in step["jobs"]]
        metrics = {}
        if len(jobs) <= MAX_MEASURED_JOBS or releases.supports(galaxy, releases.INVOCATION_METRICS):
            metrics = job_metrics(galaxy, invocation_id, [job["id"] for job in jobs])
        metrics.update(of_reruns)
        for job in jobs:
            job.update(metrics.get(job["id"], NO_METRICS))
        failures = first_failures(galaxy, invocation, 1, steps) if any(
            job["state"] in FAILED_JOB_STATES for job in jobs) else []
        workflow = self._workflows[invocation["workflow_id"]]
        return {"steps": [_step_facts(step) for step in steps if step["kind"] not in INPUT_STEP_TYPES][:MAX_STEPS],
                "jobs": dict(Counter(job["state"] for job in jobs)), "reasons": failure_reasons(invocation)[:5],
                "failure": _failure_facts(failures[0]) if failures else None, "problem": None,
                "workflow": {name: workflow.get(name) for name in ("id", "name", "version")},
                "galaxy": releases.fetch_version(galaxy), "scripts": VERSION,
                **_result_facts(self._iter_results(invocation))}

    def _iter_results(self, invocation: dict[str, Any]) -> Iterable[dict[str, Any]]:
        outputs = invocation_outputs(invocation, self.labels)
        datasets = dict(fetch_datasets(self.galaxy, [output["id"] for output in outputs.values() if output["src"] == "hda"],
                                       ["state", "extension", "file_size", "misc_blurb"]))
        for label, output in outputs.items():
            result: dict[str, Any] = {"label": label, "src": output["src"], "id": output["id"]}
            if output["src"] == "hda":
                dataset = datasets.get(output["id"])
                if dataset is None or isinstance(dataset, GalaxyError):
                    yield {**result, "state": "not visible"}
                elif not is_skipped(dataset):
                    yield {**result, "state": dataset.get("state"), "ext": dataset.get("extension"),
                           "size": dataset.get("file_size")}
            else:
                collection = self.galaxy.get_or_none(f"dataset_collections/{output['id']}")
                elements = [about for _, about in element_datasets((collection or {}).get("elements") or [])]
                states = Counter(str(about.get("state")) for about in elements)
                yield {**result, **_sum_datasets(elements, True), "state": "not visible" if collection is None else
                       "ok" if set(states) <= {"ok"} else max(set(states) - {"ok"})}


def _request_mark(sample: Sample) -> str:
    """The value of the column `asked_for`: a sample with another invocation, or that ended once more, is asked for again."""
    return f"{sample.invocation} {sample.ended or ''}"


def _failure_facts(failure: dict[str, Any]) -> dict[str, Any]:
    return {name: failure.get(name) for name in FAILURE_FIELDS}


def _sum_datasets(datasets: list[dict[str, Any]], is_collection: bool) -> dict[str, Any]:
    kinds = sorted({str(about.get("file_ext") or about.get("extension")) for about in datasets})
    return {"ext": ", ".join(kinds[:3]), "size": sum(about.get("file_size") or 0 for about in datasets),
            **({"count": len(datasets)} if is_collection else {})}


def _result_facts(results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    every = list(results)
    return {"results": every[:MAX_RESULTS], "result_count": len(every),
            "result_size": sum(result.get("size") or 0 for result in every)}


def _step_facts(step: dict[str, Any]) -> dict[str, Any]:
    versions = list(dict.fromkeys(job["version"] for job in step["jobs"] if job["version"]))
    facts: dict[str, Any] = {"step": step["step"], "label": step["label"], "tool": step["tool"],
                             "version": ", ".join(versions) or step["version"], "jobs": len(step["jobs"])}
    failed = sum(job["state"] in FAILED_JOB_STATES for job in step["jobs"])
    return {**facts, "run_time": step_totals(step)[0], **({"failed": failed} if failed else {})}
