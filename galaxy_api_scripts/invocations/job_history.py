"""The jobs of one history: which ran which one again, and which wait for which.

Galaxy 26.1 keeps no link from a failed job to the one that replaced it, and the step of a run that is not mapped over keeps
the failed one for good. But a rerun has the same tool, inputs and parameters, is newer, and lacks the mark that each job of
a workflow has (`__workflow_invocation_uuid__` among its parameters), so it is found by these.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from common import TERMINAL_JOB_STATES, Galaxy
from galaxy_api_scripts.invocations.jobs import list_jobs
from galaxy_api_scripts.polling import fetch_datasets

RERUNNABLE_STATES = ("error", "failed")
CANCELLED_JOB_STATES = ("deleted", "deleting", "stopped")
WORKFLOW_MARK = "__workflow_invocation_uuid__"      # a parameter that only the jobs of workflows have


class JobHistory:
    """The jobs of one history, the oldest first. Each is asked for once. Pass `known`, `{failed job: its rerun}`, for reruns
    that need not be found, as whoever sent them has noted their ids."""

    def __init__(self, galaxy: Galaxy, history_id: str, known: Mapping[str, str] | None = None):
        self.galaxy, self.history_id, self.known = galaxy, history_id, known or {}
        self.jobs = sorted(list_jobs(galaxy, history_id).values(), key=_age)
        self.ids = {job["id"] for job in self.jobs}
        self._details: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}                             # of `_key`
        self._equals: dict[str, tuple[str, dict[str, list[dict[str, Any]]]]] = {}      # of `_index`
        self._pairs: dict[str, dict[str, dict[str, Any]]] = {}      # of `_pair`, by key
        self._paused: dict[str, list[dict[str, Any]]] | None = None     # {dataset id: the paused jobs that take it}

    def details(self, job_id: str) -> dict[str, Any]:
        """A job as `GET /api/jobs/ID?full=true` describes it."""
        if job_id not in self._details:
            self._details[job_id] = self.galaxy.get(f"jobs/{job_id}", {"full": "true"})
        return self._details[job_id]

    # ------------------------------------------------------------------------------------------------------------ reruns

    def find_equals(self, job_id: str) -> list[dict[str, Any]]:
        """The newer jobs of no workflow that have a job's tool, inputs and parameters, the oldest first: its reruns are
        among them."""
        job = self.details(job_id)
        return [one for one in self._index(job["tool_id"], _age(job)).get(self._key(job_id), []) if _age(one) > _age(job)]

    def find_replacement(self, job_id: str) -> dict[str, Any] | None:
        """The job that stands for a failed one now, the last of its reruns in place; None without any."""
        replacement = None
        while replacement is None or replacement["state"] in RERUNNABLE_STATES:
            following = self._find_rerun(replacement["id"] if replacement else job_id)
            if following is None:
                break
            replacement = following
        return replacement

    def is_remapped(self, job_id: str) -> bool:
        """Whether nothing is left that waits for a failed job or has an element of its making, as after a rerun in place."""
        return not self.details(job_id).get("output_collections") and not self.find_paused([job_id])[job_id]

    def _find_rerun(self, job_id: str) -> dict[str, Any] | None:
        if job_id in self.known:
            return self.details(self.known[job_id])
        equals = self.find_equals(job_id)
        if not equals or not self.is_remapped(job_id):
            return None
        key = self._key(job_id)
        if job_id not in self.ids:      # of an invocation whose jobs may not be listed
            return self._pair([self.details(job_id)], equals).get(job_id)
        if key not in self._pairs:
            failed = [job for job in self.jobs if job["tool_id"] == equals[0]["tool_id"]
                      and job["state"] in RERUNNABLE_STATES and self._key(job["id"]) == key]
            self._pairs[key] = self._pair(failed, self.find_equals(failed[0]["id"]) if failed else [])
        return self._pairs[key].get(job_id)

    def _pair(self, failed: list[dict[str, Any]], equals: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{id of a failed job: its rerun}`, each rerun that of one job, as a run and its `invocation_rerun.py` in the same
        history have equal jobs. Of several, it is one whose outputs Galaxy has hidden, as a rerun in place does."""
        pairs: dict[str, dict[str, Any]] = {}
        open_jobs: list[dict[str, Any]] = []
        jobs = {job["id"]: job for job in [*failed, *equals]}
        rerun_ids, failed_ids = {job["id"] for job in equals}, {job["id"] for job in failed}
        for job in sorted(jobs.values(), key=_age):
            if job["id"] in rerun_ids and open_jobs:
                hidden = [one for one in open_jobs if self._is_hidden(one["id"])] if len(open_jobs) > 1 else []
                replaced = (hidden or open_jobs)[-1]
                pairs[replaced["id"]] = job
                open_jobs.remove(replaced)
            if job["id"] in failed_ids and self.is_remapped(job["id"]):
                open_jobs.append(job)
        return pairs

    def _is_hidden(self, job_id: str) -> bool:
        outputs = list(dataset_ids(self.details(job_id), "outputs"))
        return not any(isinstance(one, dict) and one.get("visible")
                       for _, one in fetch_datasets(self.galaxy, outputs, ["visible"]))

    def _index(self, tool_id: str, since: str) -> dict[str, list[dict[str, Any]]]:
        """`{key: jobs of a tool and no workflow}`, those that are newer than the tool's first failed job or `since`."""
        if tool_id not in self._equals or since < self._equals[tool_id][0]:
            jobs = [job for job in self.jobs if job["tool_id"] == tool_id]
            since = min([since, *(_age(job) for job in jobs if job["state"] in RERUNNABLE_STATES)])
            groups: dict[str, list[dict[str, Any]]] = {}
            for job in jobs:
                if _age(job) > since and WORKFLOW_MARK not in self.details(job["id"])["params"]:
                    groups.setdefault(self._key(job["id"]), []).append(job)
            self._equals[tool_id] = since, groups
        return self._equals[tool_id][1]

    def _key(self, job_id: str) -> str:
        """What a job and its reruns have in common: tool, inputs and parameters."""
        if job_id not in self._keys:
            job = self.details(job_id)
            params = _plain({name: value for name, value in job["params"].items()
                             if name != "chromInfo" and not name.endswith("__identifier__")})
            inputs = {name: (one["src"], one["id"]) for name, one in job["inputs"].items()}
            self._keys[job_id] = json.dumps([job["tool_id"], inputs, params], sort_keys=True)
        return self._keys[job_id]

    # ----------------------------------------------------------------------------------------------- which wait for which

    def find_paused(self, job_ids: Iterable[str]) -> dict[str, list[str]]:
        """`{job id: ids of the paused jobs that wait for its outputs, or for those of one that does}`."""
        if self._paused is None:
            self._paused = _by_input(self.details(job["id"]) for job in self.jobs if job["state"] == "paused")
        return {job_id: _downstream(dataset_ids(self.details(job_id), "outputs"), self._paused) if self._paused else []
                for job_id in job_ids}

    def find_causes(self, job_id: str) -> list[str]:
        """The failed jobs that a paused one waits for."""
        failed = [job["id"] for job in self.jobs if job["state"] in RERUNNABLE_STATES]
        return [cause for cause, paused in self.find_paused(failed).items() if job_id in paused]

    def find_resumed(self, job_id: str, rerun: dict[str, Any]) -> list[str]:
        """The ids of the jobs that waited for a failed job and go on with its rerun, if any of them or the rerun still runs:
        they take its outputs and are older than it."""
        between = [job for job in self.jobs if _age(self.details(job_id)) < _age(job) < _age(rerun)]
        if not is_running(rerun) and not any(is_running(job) for job in between):
            return []
        resumed = _downstream(dataset_ids(self.details(rerun["id"]), "outputs"),
                              _by_input(self.details(job["id"]) for job in between))
        states = {job["id"]: job for job in between}
        return resumed if is_running(rerun) or any(is_running(states[one]) for one in resumed) else []


def is_running(job: dict[str, Any]) -> bool:
    """Whether a job has not ended."""
    return job["state"] not in TERMINAL_JOB_STATES


def dataset_ids(job: dict[str, Any], which: str) -> set[str]:
    """The ids of a job's `inputs` or `outputs`."""
    return {one["id"] for one in (job.get(which) or {}).values() if one["src"] == "hda"}


def _age(job: dict[str, Any]) -> str:
    return str(job["create_time"])


def _by_input(jobs: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    takers: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        for dataset_id in dataset_ids(job, "inputs"):
            takers.setdefault(dataset_id, []).append(job)
    return takers


def _downstream(outputs: set[str], takers: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The ids of the jobs that take one of `outputs`, or of the outputs of one that does."""
    found, queue = dict[str, None](), sorted(outputs)
    while queue:
        for job in takers.get(queue.pop(), []):
            if job["id"] not in found:
                found[job["id"]] = None
                queue += sorted(dataset_ids(job, "outputs"))
    return list(found)


def _plain(value: Any) -> Any:
    """A parameter's value in one form, "" for each that is empty: Galaxy 26.1 writes JSON, which does not always tell
    1 from "1", and a workflow's job has null (or nothing at all) where its rerun has ""."""
    if isinstance(value, str):
        try:
            loaded = json.loads(value)
        except ValueError:
            return value
        return _plain(loaded) if not isinstance(loaded, str) else loaded
    if isinstance(value, dict):
        plain = {name: _plain(one) for name, one in value.items() if not name.startswith("__")}
        return {name: one for name, one in plain.items() if one != ""} or ""
    if isinstance(value, list):
        return [_plain(one) for one in value] or ""
    return "" if value is None else str(value)
