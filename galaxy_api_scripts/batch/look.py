"""What Galaxy is asked for all samples of a batch at once: uploaded datasets, invocations, names of histories."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from common import NON_TERMINAL_DATASET_STATES, Galaxy, GalaxyError
from galaxy_api_scripts.batch.reconcile import fetch_summaries
from galaxy_api_scripts.datasets.upload import VERIFY_FIELDS
from galaxy_api_scripts.polling import fetch_datasets

MOST_LISTED = 500       # histories of samples that are listed at most


@dataclass
class Look:
    """What a round has seen: `described`, uploaded datasets by id with `VERIFY_FIELDS`; the `summaries` of invocations, see
    `fetch_summaries`."""

    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any] | GalaxyError] = field(default_factory=dict)

    def making(self, datasets: Sequence[str]) -> dict[str, str]:
        """Those of the datasets that Galaxy is still making, `{id: state}`."""
        states = {dataset: self.described[dataset]["state"] for dataset in datasets if dataset in self.described}
        return {dataset: state for dataset, state in states.items() if state in NON_TERMINAL_DATASET_STATES}


def look_at(galaxy: Galaxy, datasets: list[str], invocations: dict[str, str]) -> Look:
    """Ask Galaxy about the datasets, and about the invocations, `{id: its history}`: one request each for a hundred."""
    described = {dataset: about for dataset, about in fetch_datasets(galaxy, datasets, VERIFY_FIELDS)
                 if not isinstance(about, GalaxyError)}
    return Look(described, fetch_summaries(galaxy, invocations))


def list_sample_names(galaxy: Galaxy) -> set[str] | None:
    """The names of the user's histories that may be samples'; None if there are too many."""
    ask = {"q": "name-contains", "qv": " [", "keys": "id,name", "limit": MOST_LISTED}
    histories = galaxy.get_or_none("histories", ask)
    return {one["name"] for one in histories} if histories is not None and len(histories) < MOST_LISTED else None
