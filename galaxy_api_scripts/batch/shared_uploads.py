"""Files that several samples take, such as a genome: each uploaded once, into a history for all of them."""
from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any

from common import Galaxy
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.datasets.references import ReferenceProblem, fetch_reference
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.datasets.target_history import shared_history
from galaxy_api_scripts.workflows.inputs import DatasetInput, map_datasets
from galaxy_api_scripts.workflows.run import RunRequest
from galaxy_api_scripts.workflows.staging import Staging


class SharedUploads:
    """The `sources` that are shared; they go to the history whose id `shared_history()` returns, or to one of their own.

    A thread that needs one waits while another uploads it, because both hold the `lock`.
    """

    def __init__(self, galaxy: Galaxy, ledger: Ledger, shared_history: Callable[[], str] | None = None,
                 lock: AbstractContextManager[Any] | None = None):
        self.galaxy, self.ledger, self.shared_history = galaxy, ledger, shared_history
        self.lock = lock or threading.RLock()
        self.sources: set[Source] = set()
        self._checked: set[str] = set()     # datasets that were found usable

    def share_repeated(self, requests: Iterable[RunRequest]) -> None:
        """Share what several of these requests take."""
        counts = Counter(source for request in requests for source in request.sources)
        self.sources = {source for source, count in counts.items() if count > 1}

    def replace(self, request: RunRequest) -> dict[str, str]:
        """Put datasets in the place of the request's shared files, which are uploaded if need be; `{path: SHA-256}` of
        these."""
        hashes = {}

        def as_dataset(leaf: DatasetInput) -> DatasetInput:
            if leaf.source is None or leaf.source not in self.sources:
                return leaf
            with self.lock:
                dataset = self._dataset(leaf, leaf.source, request.workflow["name"])
            hashes[leaf.source.path] = dataset["sha256"]
            return replace(leaf, source=None, ref={"src": "hda", "id": dataset["id"]})
        request.inputs.values = {index: map_datasets(value, as_dataset) for index, value in request.inputs.values.items()}
        return hashes

    def _dataset(self, leaf: DatasetInput, source: Source, title: str) -> dict[str, str]:
        """`{"id", "sha256"}` of the one dataset for a file."""
        ledger = self.ledger
        name = json.dumps([source.path, source.ext, *(fact for stamp in source.stamps.values() for fact in stamp),
                           *(["deferred"] if source.deferred else []), *(["decompress"] if source.decompress else [])])
        dataset = ledger.notes.shared_uploads.get(name)
        if dataset and dataset["id"] not in self._checked and not is_usable(
                self.galaxy, {"src": "hda", "id": dataset["id"]}):
            dataset = None
        if not dataset:
            history = self.shared_history() if self.shared_history else shared_history(
                self.galaxy, ledger, f"{title}: shared inputs")
            staging = Staging(self.galaxy, history)
            refs = staging.stage({"0": DatasetInput(leaf.place, source=source, name=leaf.name)}, {"0": ""})
            dataset = {"id": refs["0"]["id"], "sha256": staging.uploads[0].sha256}
            ledger.save(durably=True, shared_uploads={**ledger.notes.shared_uploads, name: dataset})
            staging.forget()
        self._checked.add(dataset["id"])
        return dataset


def is_usable(galaxy: Galaxy, ref: dict[str, Any]) -> bool:
    """Whether a dataset or collection can still be an input."""
    with suppress(ReferenceProblem):
        about = fetch_reference(galaxy, ref["src"], ref["id"], None, "")[1]
        return about.get("state", "ok") in ("ok", "deferred")
    return False
