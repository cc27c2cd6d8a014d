"""Invocations, the runs of workflows: how one begins, and how it ended."""
from __future__ import annotations

from typing import Any

from common import JOB_ENDS, STILL_RUNNING, Galaxy, Refused
from jobs import failures, reasons

GOOD = {"ok", "skipped"}
SCHEDULED = {"scheduled", "completed"}      # all jobs are made; `completed` (26.1 on) says nothing about their success
GIVEN_UP = {"failed", "cancelled"}


def begin(galaxy: Galaxy, workflow_id: str, data: dict[str, Any]) -> Any:
    """Galaxy's answer to an invocation of the workflow."""
    try:
        return galaxy.post(f"workflows/{workflow_id}/invocations", data)
    except Refused as error:
        if error.status != 400 or data["history"].startswith("hist_id="):
            raise
        raise Refused(f"{error}; Galaxy may have made the history {data['history']!r} all the same, an empty one",
                      status=error.status, err_msg=error.err_msg) from None


def wait(galaxy: Galaxy, invocation: str, timeout: float | None = None) -> dict[str, Any]:
    """The invocation once it has ended well: all jobs made, and each of them `ok` or `skipped`.

    Among what Galaxy says of it: `outputs` and `output_collections`, both `{label: {"src": ..., "id": ...}}`.

    Raises `Refused` with what failed, and with exit code STILL_RUNNING when `timeout` seconds are over. A look is one
    request of 100 bytes however many jobs there are, subworkflows' among them (`GET .../jobs_summary`).
    """
    states: dict[str, int] = {}
    for _ in galaxy.looks(timeout):
        summary = galaxy.get(f"invocations/{invocation}/jobs_summary")
        states = summary["states"]
        if set(states) - set(JOB_ENDS):
            continue
        about = galaxy.get(f"invocations/{invocation}")     # jobs at rest may be all jobs, or all that are made so far
        bad = {state: count for state, count in states.items() if state not in GOOD}
        if bad or about["state"] in GIVEN_UP or summary["populated_state"] == "failed":
            raise Refused(f"invocation {invocation} {_end(galaxy, about, bad)}")
        if about["state"] in SCHEDULED and summary["populated_state"] == "ok":
            # Jobs made between the two questions are in the summary only when it is asked for again.
            states = galaxy.get(f"invocations/{invocation}/jobs_summary")["states"]
            if not set(states) - GOOD:
                return about
    raise Refused(f"invocation {invocation} still runs after {timeout:g} s: {counted(states)}", STILL_RUNNING)


def counted(states: dict[str, int]) -> str:
    """Jobs by state in words, such as `3 ok, 1 error`."""
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no jobs yet"


def _end(galaxy: Galaxy, invocation: dict[str, Any], bad: dict[str, int]) -> str:
    """How an invocation ended badly: its state, why, the first job that failed."""
    state = invocation["state"]
    if not bad:
        return ": ".join([f"is {state}" if state in GIVEN_UP else "could not make all its jobs", *reasons(invocation)])
    words = "; ".join([f"{'is cancelled' if state == 'cancelled' else 'failed'}: {counted(bad)}", *reasons(invocation)])
    first = failures(galaxy, invocation, most=1)
    if not first:
        return words
    job = first[0]
    where = f"step {job['step']} ({job['label']})" + (f", element {job['element']}," if job["element"] else "")
    said = job["stderr"].splitlines()
    code = f", exit code {job['exit_code']}" if job["exit_code"] is not None else ""
    tail = f": {said[-1][:200]}" if said else ""
    return f"{words}; {where} is {job['state']}, job {job['job']}{code}{tail}; see {job['address']}"
