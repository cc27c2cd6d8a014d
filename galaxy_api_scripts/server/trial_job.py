"""Whether a server answers, and whether a job that is sent to it ends: one upload of some bytes, and nothing stays."""
from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from common import FAILED, TRY_LATER, Galaxy, GalaxyError, one_line, report_error, script_name
from galaxy_api_scripts.polling import describe_timeout, wait_datasets

CLEANUP = 60        # seconds that it may take to remove what was made, whatever time is up


class TrialHistory:
    """Histories for trial jobs, purged when the `with` block ends, wherever their maker was by then. If that can't be done,
    `GalaxyError` is raised, or, where another error ends the block, reported."""

    def __init__(self, galaxy: Galaxy):
        self.galaxy, self.name = galaxy, f"{script_name()} {secrets.token_hex(8)}"
        self.ids, self.begun = list[str](), 0

    def __enter__(self) -> TrialHistory:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        deadline, self.galaxy.deadline = self.galaxy.deadline, time.monotonic() + CLEANUP
        try:
            self.purge()
        except GalaxyError as error:
            left = GalaxyError(f"the history {self.name!r} may be left, delete it: {error}", error.exit_code)
            if kind is None:
                raise left from None
            report_error(str(left))
        finally:
            self.galaxy.deadline = deadline

    def purge(self) -> None:
        """Purge what was made, and read back that it is. Raises `GalaxyError`."""
        ids = set(self.ids)
        if self.begun > len(ids):       # the answer to a POST was lost
            ids.update(self._find())
        for history in sorted(ids):
            trouble = GalaxyError(f"Galaxy answered the request to purge history {history}, and it is there")
            try:
                self.galaxy.delete(f"histories/{history}", {"purge": True})
            except GalaxyError as error:
                trouble = error
            if not self.galaxy.get(f"histories/{history}")["deleted"]:
                raise trouble

    def _find(self) -> list[str]:
        return [history["id"] for history in self.galaxy.get("histories", {"q": "name-eq", "qv": self.name})]

    def run_job(self, timeout: float | None = None) -> None:
        """Upload some bytes, and return once they are there; what an earlier call has made is taken again. Raises
        `GalaxyError`."""
        if self.begun and not self.ids:
            self.ids = self._find()
        self.begun += 1
        if not self.ids:
            self.ids.append(self.galaxy.post("histories", {"name": self.name})["id"])
        history = self.ids[0]
        made = self.galaxy.get(f"histories/{history}/contents") if self.begun > 1 else []
        dataset = made[0]["id"] if made else self._send(history)
        [state] = wait_datasets(self.galaxy, history, [dataset], timeout).values()
        if state != "ok":
            about = self.galaxy.get_or_none(f"datasets/{dataset}") or {}
            reason = one_line(about.get("misc_info") or "")[:200] or "Galaxy does not say why"
            raise GalaxyError(f"an upload of some bytes to {self.galaxy.base} ended in state {state}: {reason}", FAILED)

    def _send(self, history: str) -> str:
        element = {"src": "pasted", "paste_content": "a line\n", "name": "a line", "ext": "txt", "dbkey": "?"}
        answer = self.galaxy.post("tools/fetch", {"history_id": history, "targets": [
            {"destination": {"type": "hdas"}, "elements": [element]}]})
        [dataset] = [output["id"] for output in answer["outputs"]]
        return str(dataset)


def wait_for_server(galaxy: Galaxy, timeout: float | None, trial: TrialHistory | None = None,
                    on_trouble: Callable[[str], Any] = lambda text: None) -> dict[str, Any]:
    """The server's `url`, `version`, the key's `user`, and the `seconds` that it took until it told them, and until a `job`
    in `trial` was ok, if that is given.

    Raises `GalaxyError` at once for what time does not mend, such as a wrong key or a failed job, and when the time is up:
    TRY_LATER, STILL_RUNNING if the job has not ended. `on_trouble` is called with what is waited out.
    """
    began, trouble = time.monotonic(), GalaxyError("there was no time to ask")
    for _ in galaxy.poll(timeout):
        try:
            version = galaxy.get("version")
            answer = {"url": galaxy.base, "version": f"{version['version_major']}.{version.get('version_minor') or 0}",
                      "user": galaxy.current_user().get("email"), "job": None}
            if trial:
                trial.run_job()
                answer["job"] = "ok"
            return {**answer, "seconds": round(time.monotonic() - began)}
        except GalaxyError as error:
            if not is_passing(error):
                raise
            trouble = error
            on_trouble(str(error))
    raise GalaxyError(f"{galaxy.base} is not up{describe_timeout(timeout)}: {trouble}", TRY_LATER)


def is_passing(error: GalaxyError) -> bool:
    """Whether an error may be that of a server that is about to start: no answer, or that of a proxy in its place."""
    return error.exit_code == TRY_LATER or error.status in (200, 404) or (error.status or 0) >= 500
