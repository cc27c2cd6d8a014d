"""What a run is given, brought into its history: files and URLs become datasets, and these the elements of collections.

Who is killed on the way is gone on with by a later run for the same: see uploads.py and `elements.made_once`.
"""
from __future__ import annotations

from typing import Any

from common import Galaxy, GalaxyError, report_error
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.collections import create_collection_once, find_created_collection
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.datasets.target_history import TargetHistory
from galaxy_api_scripts.datasets.upload import (
    Upload,
    UploadSettings,
    mark_done,
    upload_sources,
    verify_uploads,
)
from galaxy_api_scripts.workflows.inputs import CollectionInput, DatasetInput, InputValue, iter_datasets


class Staging:
    """Brings values into a history, and remembers until `forget` what came of each."""

    def __init__(self, galaxy: Galaxy, history: str, timeout: float | None = None):
        self.galaxy, self.history, self.timeout = galaxy, history, timeout
        self.uploads: list[Upload] = []
        self.records: list[Checkpoint] = []
        self.refs: dict[tuple[Source | None, str, tuple[str, ...]], dict[str, str]] = {}
        self._sent: list[tuple[UploadSettings, list[Upload]]] | None = None

    def stage(self, values: dict[str, InputValue], names: dict[str, str]) -> dict[str, Any]:
        """`{index: value}` as an invocation takes it, once Galaxy has all datasets in state ok, with their hashes compared.

        `names` are those of the collections, unless they have one. Raises `GalaxyError` where one did not arrive.
        """
        self._check(self._sent if self._sent is not None else self.send(values))
        return {index: self._request(value, index, names[index]) for index, value in values.items()}

    def send(self, values: dict[str, InputValue]) -> list[tuple[UploadSettings, list[Upload]]]:
        """Send what is to be uploaded, of which Galaxy then makes datasets: their ids are `datasets`."""
        alike: dict[tuple[str, tuple[str, ...]], dict[Source, None]] = {}
        for leaf in (leaf for value in values.values() for leaf in iter_datasets(value)):
            if leaf.source:
                alike.setdefault((leaf.dbkey, leaf.tags), {})[leaf.source] = None
        self._sent = []
        for (dbkey, tags), sources in alike.items():
            settings = UploadSettings(dbkey, list(tags))
            self._sent.append((settings, list(upload_sources(self.galaxy, self.history, list(sources), settings))))
        return self._sent

    @property
    def datasets(self) -> list[str]:
        """The ids of the datasets that Galaxy makes of what was sent."""
        return [one.dataset["id"] for _, begun in self._sent or [] for one in begun if one.dataset]

    def forget(self) -> None:
        """The run has begun: what was noted for it is not wanted any more."""
        mark_done(self.uploads, TargetHistory(""))
        for record in self.records:
            record.remove()

    def _check(self, sent: list[tuple[UploadSettings, list[Upload]]]) -> None:
        problems = []
        for settings, begun in sent:
            for one in verify_uploads(self.galaxy, self.history, begun, settings, self.timeout):
                self.uploads.append(one)
                self.refs[one.source, settings.dbkey, tuple(settings.tags)] = {"src": "hda", "id": one.dataset.get("id", "")}
                problems += [one.problem] if one.problem else []
        for problem in problems[1:]:
            report_error(problem)
        if problems:
            raise GalaxyError(f"{problems[0]}; so nothing was run")

    def _request(self, value: InputValue, index: str, name: str) -> Any:
        if isinstance(value, DatasetInput):
            return self._reference(value)
        if not isinstance(value, CollectionInput):
            return value
        name = value.name or name
        elements = self._elements(value)
        record = Checkpoint(self.galaxy, f"collection {name!r}", "input", self.history, index, elements)
        self.records.append(record)
        made = find_created_collection(self.galaxy, name, record) or create_collection_once(
            self.galaxy, self.history, name, record, lambda: self._collection(name, value, elements))
        return {"src": "hdca", "id": made["id"]}

    def _collection(self, name: str, group: CollectionInput, elements: list[dict[str, Any]]) -> dict[str, Any]:
        """A new collection in the history. Datasets that were uploaded for it are hidden; others are copied, so that it
        outlives them."""
        ours = all(leaf.source for leaf in iter_datasets(group))
        return dict(self.galaxy.post("dataset_collections", {
            "instance_type": "history", "history_id": self.history, "name": name, "collection_type": group.type,
            "element_identifiers": elements, "copy_elements": not ours, "hide_source_items": ours}))

    def _elements(self, group: CollectionInput) -> list[dict[str, Any]]:
        return [{"name": name, **(self._reference(element) if isinstance(element, DatasetInput) else {
            "src": "new_collection", "collection_type": element.type, "element_identifiers": self._elements(element)})}
            for name, element in group.elements]

    def _reference(self, leaf: DatasetInput) -> dict[str, str]:
        return self.refs[leaf.source, leaf.dbkey, leaf.tags] if leaf.source else leaf.ref


def preview_inputs(value: InputValue) -> Any:
    """What an invocation would be given for a value, for people: files by their paths."""
    if isinstance(value, DatasetInput):
        return value.ref or {"upload": value.place, "extension": value.source.ext if value.source else ""}
    if isinstance(value, CollectionInput):
        return {"collection_type": value.type, "elements": {name: preview_inputs(element) for name, element in value.elements}}
    return value


def describe_input(value: InputValue) -> Any:
    """A value as a cell of a table: a file's path, what Galaxy has as SRC:ID, a collection's type and how many it holds."""
    if isinstance(value, DatasetInput):
        return f"{value.ref['src']}:{value.ref['id']}" if value.ref else value.place
    if isinstance(value, CollectionInput):
        return f"{value.type}, {len(value.elements)}: {', '.join(name for name, _ in value.elements[:3])}" + (
            ", ..." if len(value.elements) > 3 else "")
    return value
