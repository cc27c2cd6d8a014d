"""What reruns in place do for an invocation: each job that was run again counts as its rerun, whose outputs are the
invocation's."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common import Galaxy
from galaxy_api_scripts.invocations.job_history import RERUNNABLE_STATES, JobHistory
from galaxy_api_scripts.invocations.jobs import NO_METRICS, fetch_workflow_version, job_metrics, list_steps, metrics_of_job


@dataclass(frozen=True)
class Replacement:
    """A failed job of an invocation that was run again."""

    state: str              # the failed job's
    rerun: dict[str, Any]   # the job in its place
    is_inner: bool          # whether it is of a subworkflow


def load_run(galaxy: Galaxy, invocation_id: str) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """An invocation, its workflow (`fetch_workflow_version`), and its steps (`list_steps`), each job with its
    `job_metrics`; reruns and their outputs are in place of what had failed."""
    invocation = galaxy.get(f"invocations/{invocation_id}")
    workflow = fetch_workflow_version(galaxy, invocation["workflow_id"])
    steps = list_steps(galaxy, invocation, workflow)
    metrics = job_metrics(galaxy, invocation_id, [job["id"] for step in steps for job in step["jobs"]])
    replacements = find_replacements(galaxy, invocation, steps=steps)
    invocation, steps, of_reruns = replace_failed(galaxy, invocation, steps, replacements)
    metrics.update(of_reruns)
    for step in steps:
        for job in step["jobs"]:
            job.update(metrics.get(job["id"], NO_METRICS))
    return invocation, workflow, steps


def find_replacements(galaxy: Galaxy, invocation: dict[str, Any], known: Mapping[str, str] | None = None,
                      steps: list[dict[str, Any]] | None = None) -> dict[str, Replacement]:
    """The failed jobs of an invocation that were run again, by id. Those of a mapped-over step are not among them: the step
    has the new jobs in their place. For `known` see `JobHistory`; pass `steps`, the result of `list_steps`, to save these
    requests."""
    steps = list_steps(galaxy, invocation) if steps is None else steps
    failed = {job["id"]: (job, "." in step["step"]) for step in steps for job in step["jobs"]
              if job["state"] in RERUNNABLE_STATES and not step["collections"]}
    if not failed:
        return {}
    jobs = JobHistory(galaxy, invocation["history_id"], known)
    replacements = {}
    for job_id, (job, is_inner) in failed.items():
        rerun = jobs.find_replacement(job_id)
        if rerun:
            replacements[job_id] = Replacement(job["state"], rerun, is_inner)
    return replacements


def count_replaced(states: dict[str, int], replacements: Iterable[Replacement]) -> dict[str, int]:
    """The jobs by state, each that was run again in the state of its rerun."""
    counts = Counter(states)
    for one in replacements:
        counts[one.state] -= 1
        counts[one.rerun["state"]] += 1
    return dict(+counts)


def replace_failed(galaxy: Galaxy, invocation: dict[str, Any], steps: list[dict[str, Any]],
                   replacements: dict[str, Replacement]
                   ) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, dict[str, int | None]]]:
    """The invocation and its steps (`list_steps`) with reruns and their outputs in place of what had failed, and the reruns'
    `job_metrics`, which the invocation's own leave out. Without `replacements` nothing is asked or changed."""
    if not replacements:
        return invocation, steps, {}
    metrics = {one.rerun["id"]: metrics_of_job(galaxy, one.rerun["id"]) for one in replacements.values()}
    return replace_outputs(galaxy, invocation, replacements), replace_jobs(steps, replacements), metrics


def replace_jobs(steps: list[dict[str, Any]], replacements: dict[str, Replacement]) -> list[dict[str, Any]]:
    """The steps of `list_steps`, each job that was run again replaced by its rerun."""
    def replace(job: dict[str, Any]) -> dict[str, Any]:
        rerun = replacements[job["id"]].rerun if job["id"] in replacements else {}
        return {**job, **{name: value for name, value in rerun.items() if name in job}}

    return [{**step, "jobs": [replace(job) for job in step["jobs"]]} for step in steps]


def replace_outputs(galaxy: Galaxy, invocation: dict[str, Any], replacements: dict[str, Replacement]) -> dict[str, Any]:
    """The invocation, its outputs those of the reruns where the failed jobs' are gone."""
    new = {}
    for job_id, one in replacements.items():
        before, now = (galaxy.get(f"jobs/{which}", {"full": "true"}) for which in (job_id, one.rerun["id"]))
        new.update({dataset["id"]: (now.get("outputs") or {}).get(name, dataset)["id"]
                    for name, dataset in (before.get("outputs") or {}).items()})
    outputs = {label: {**output, "id": new.get(output["id"], output["id"])} if output["src"] == "hda" else output
               for label, output in invocation["outputs"].items()}
    return {**invocation, "outputs": outputs}
