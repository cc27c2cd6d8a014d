"""Invocations that Galaxy has and a ledger does not know of: after a kill, a lost answer or the loss of the ledger."""
from __future__ import annotations

from typing import Any

from common import TERMINAL_JOB_STATES, Galaxy, GalaxyError
from galaxy_api_scripts.batch.ledger import Sample
from galaxy_api_scripts.invocations.invocation import cancel_duplicates, newer_invocations, sole_invocations
from galaxy_api_scripts.invocations.jobs import SUCCESS_STATES
from galaxy_api_scripts.polling import in_batches


def fetch_summaries(galaxy: Galaxy, invocations: dict[str, str]) -> dict[str, dict[str, Any] | GalaxyError]:
    """`{invocation: its jobs_summary}`, or the `GalaxyError` for it, of `{invocation: its history}`.

    `GET /api/histories/ID/jobs_summary` answers for all the ids in it, whichever history is named (Galaxy 26.1).
    """
    summaries: dict[str, dict[str, Any] | GalaxyError] = {}
    for part, answer in in_batches(lambda part: galaxy.get(
            f"histories/{invocations[part[0]]}/jobs_summary",
            {"ids": ",".join(part), "types": ",".join(["WorkflowInvocation"] * len(part))}), list(invocations)):
        summaries.update(dict.fromkeys(part, answer) if isinstance(answer, GalaxyError) else {
            summary["id"]: summary for summary in answer})
    return summaries


def adopt_from_history(galaxy: Galaxy, sample: Sample, workflow_id: str, history: str) -> None:
    """Save the best of the history's invocations as the sample's, if there is one: its ledger was lost."""
    runs = newer_invocations(galaxy, workflow_id, {"history_id": history})
    if runs:
        sample.save(durably=True, history=history, invocation=_best(galaxy, runs, history)["id"])


def _best(galaxy: Galaxy, runs: list[dict[str, Any]], history: str) -> dict[str, Any]:
    """Of a history's invocations, the newest that has ended well, else the newest that still runs, else the newest."""
    summaries = fetch_summaries(galaxy, {run["id"]: history for run in runs})

    def rank(number: int) -> tuple[int, int]:
        summary = summaries[runs[number]["id"]]
        states = set() if isinstance(summary, GalaxyError) else set(summary["states"])
        return (2 if states and states <= SUCCESS_STATES else 1 if states - set(TERMINAL_JOB_STATES) else 0), number
    return runs[max(range(len(runs)), key=rank)]


def adopt_requested(galaxy: Galaxy, sample: Sample) -> bool:
    """Save the invocation that an earlier process requested without an answer; whether there is one."""
    notes = sample.notes
    if not (notes.asked and notes.own_history):
        return False
    runs = newer_invocations(galaxy, notes.workflow, {"history_id": sample.history}, notes.known or ())
    cancel_duplicates(galaxy, runs)
    if runs:
        sample.save(durably=True, invocation=runs[0]["id"])
    return bool(runs)


def cancel_late(galaxy: Galaxy, sample: Sample, invocation: dict[str, Any]) -> None:
    """Cancel what Galaxy began in the sample's own history after that was given up for lost; not what a person has begun
    there on other inputs."""
    notes = sample.notes
    if not notes.own_history or (galaxy.base, invocation["id"]) in sole_invocations:
        return
    query: dict[str, Any] = {"history_id": sample.history, "instance": True}
    runs = newer_invocations(galaxy, invocation["workflow_id"], query, notes.earlier_runs)
    if len(runs) > 1 and notes.inputs is not None:
        runs = newer_invocations(galaxy, invocation["workflow_id"], {**query, "inputs": notes.inputs}, notes.earlier_runs)
    others = [run for run in runs if run["id"] != invocation["id"] and run["state"] != "completed"]
    cancel_duplicates(galaxy, [invocation, *others])
