"""Files that many units of work take, as a genome: each uploaded once, into a history for all of them."""
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import Galaxy
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.datasets.target_history import shared_history
from galaxy_api_scripts.workflows.inputs import DatasetInput, map_datasets
from galaxy_api_scripts.workflows.run import RunRequest
from galaxy_api_scripts.workflows.staging import Staging


class SharedUploads:
    """What is the same for many plans: `sources`; it goes to the history that `where()` says, or one of its own."""

    def __init__(self, galaxy: Galaxy, ledger: Ledger, where: Callable[[], str] | None = None):
        self.galaxy, self.ledger, self.where = galaxy, ledger, where
        self.sources: set[Source] = set()
        self._alive: set[str] = set()       # datasets that were looked at

    def among(self, plans: Iterable[RunRequest]) -> None:
        """Share what several of these plans take."""
        times = Counter(source for plan in plans for source in plan.sources)
        self.sources = {source for source, count in times.items() if count > 1}

    def give(self, plan: RunRequest) -> dict[str, str]:
        """Give the plan the datasets of what is shared, in the places of the files; `{path: SHA-256}` of these."""
        hashes = {}

        def given(leaf: DatasetInput) -> DatasetInput:
            if leaf.source is None or leaf.source not in self.sources:
                return leaf
            known = self._dataset(leaf, leaf.source, plan.workflow["name"])
            hashes[leaf.source.path] = known["sha256"]
            return replace(leaf, source=None, ref={"src": "hda", "id": known["id"]})
        plan.inputs.values = {index: map_datasets(value, given) for index, value in plan.inputs.values.items()}
        return hashes

    def _dataset(self, leaf: DatasetInput, source: Source, title: str) -> dict[str, str]:
        """`{"id", "sha256"}` of the dataset that all have for a leaf."""
        notes = self.ledger.notes
        stat = None if source.is_url else Path(source.path).stat()
        name = json.dumps([source.path, source.ext, *([stat.st_size, stat.st_mtime_ns] if stat else [])])
        known = notes.data.get("shared", {}).get(name)
        if known and known["id"] not in self._alive and not is_usable(self.galaxy, {"src": "hda", "id": known["id"]}):
            known = None
        if not known:
            where = self.where() if self.where else shared_history(
                self.galaxy, self.ledger.notes, f"{title}: shared inputs")
            staging = Staging(self.galaxy, where)
            made = staging.stage({"0": DatasetInput(leaf.place, source=source, name=leaf.name)}, {"0": ""})
            known = {"id": made["0"]["id"], "sha256": staging.uploads[0].sha256}
            notes.save(durably=True, shared={**notes.data.get("shared", {}), name: known})
            staging.forget()
        self._alive.add(known["id"])
        return dict(known)


def is_usable(galaxy: Galaxy, ref: dict[str, Any]) -> bool:
    """Whether a dataset or collection is still fit to be taken."""
    kinds = {"hda": "datasets", "hdca": "dataset_collections", "ld": "libraries/datasets"}
    about = galaxy.get_or_none(f"{kinds.get(ref['src'], 'datasets')}/{ref['id']}")
    return bool(about) and not about.get("deleted") and about.get("state", "ok") == "ok"
