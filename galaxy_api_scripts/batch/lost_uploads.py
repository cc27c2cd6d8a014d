"""Uploads whose jobs Galaxy has lost: after a Celery worker was killed, one stays as it is for ever (26.1), `running` if the
worker had begun with it."""
from __future__ import annotations

import time
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.batch.ledger import Sample
from galaxy_api_scripts.batch.notes import Stage
from galaxy_api_scripts.datasets.upload import discard_dataset

# A job that is `running` is lost after so many seconds, plus one per so many bytes; else after QUEUED_LIMIT.
MAKING_LIMIT = (600, 5 * 10**6)
QUEUED_LIMIT = 6 * 3600
MAX_RETRIES = 3             # of an upload whose job was lost, and of an invocation whose job was killed with Galaxy


def discard_lost(galaxy: Galaxy, sample: Sample, making: dict[str, str]) -> bool:
    """Discard the datasets that Galaxy has been making (`{dataset: state}`) for so long that their job is lost; whether that
    was done, so that the sample's files are to be sent once more. Raises `GalaxyError` if it was done MAX_RETRIES times."""
    is_running, now = "running" in making.values(), time.time()
    name = "making_since" if is_running else "sent_at"
    since = getattr(sample.notes, name)
    if since is None or since > now:        # the clock was put back
        change: dict[str, Any] = {name: now}
        sample.save(**change)
        since = now
    notes, seconds = sample.notes, now - since
    size = sum(size for size, *_ in notes.files.values())
    if seconds < (MAKING_LIMIT[0] + size / MAKING_LIMIT[1] if is_running else QUEUED_LIMIT):
        return False
    sample.reach(Stage.UPLOAD)
    if notes.resends >= MAX_RETRIES:
        raise GalaxyError(f"Galaxy has been making {len(making)} datasets of the uploaded files for {seconds:.0f} s, "
                          f"and so {MAX_RETRIES} times before: its administrator can see what its jobs wait for")
    for dataset in making:
        discard_dataset(galaxy, dataset)
    sample.save(durably=True, sent_at=None, making_since=None, resends=notes.resends + 1)
    return True
