"""The inputs of a run brought into its history: files and URLs are uploaded, collections created of their datasets.

A later run for the same resumes one that was killed here: see datasets/upload.py and `create_collection_once`.
"""
from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from common import Galaxy, GalaxyError, redact, report_error
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.collections import create_collection_once, find_created_collection
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.datasets.upload import (
    Upload,
    UploadSettings,
    mark_done,
    upload_problem,
    upload_sources,
    verify_uploads,
)
from galaxy_api_scripts.workflows.inputs import (
    CollectionInput,
    DatasetInput,
    InputValue,
    InputValues,
    iter_datasets,
)


class Staging:
    """Brings values into a history, and keeps notes of its uploads and collections until `forget`."""

    def __init__(self, galaxy: Galaxy, history: str, timeout: float | None = None, transfers: int = 1):
        self.galaxy, self.history, self.timeout, self.transfers = galaxy, history, timeout, transfers
        self.uploads: list[Upload] = []
        self.records: list[Checkpoint] = []
        self.refs: dict[tuple[Source | None, str, tuple[str, ...]], dict[str, str]] = {}
        self.batches: list[tuple[UploadSettings, list[Upload]]] | None = None

    def stage(self, values: dict[str, InputValue], names: dict[str, str],
              described: Mapping[str, dict[str, Any]] = MappingProxyType({})) -> dict[str, Any]:
        """`{index: value}` as an invocation takes it, once Galaxy has all datasets in state ok and their hashes are right.

        `names` are the names of collections that have none of their own; `described` are datasets by id, with
        `VERIFY_FIELDS`, about which Galaxy need not be asked if they are as they should be. Raises `GalaxyError` where a
        dataset failed.
        """
        self._verify(self.batches if self.batches is not None else self.send(values), described)
        return {index: self._invocation_input(value, index, names[index]) for index, value in values.items()}

    def send(self, values: dict[str, InputValue]) -> list[tuple[UploadSettings, list[Upload]]]:
        """Upload the values' files and URLs, those with the same settings together; `datasets` are then their ids."""
        batches: dict[tuple[str, tuple[str, ...]], dict[Source, None]] = {}
        for dataset in (dataset for value in values.values() for dataset in iter_datasets(value)):
            if dataset.source:
                batches.setdefault((dataset.dbkey, dataset.tags), {})[dataset.source] = None
        self.batches = []
        for (dbkey, tags), sources in batches.items():
            settings = UploadSettings(dbkey, list(tags), transfers=self.transfers)
            self.batches.append((settings, list(upload_sources(self.galaxy, self.history, list(sources), settings))))
        return self.batches

    @property
    def datasets(self) -> list[str]:
        """The ids of the datasets that Galaxy makes of the uploads."""
        return [upload.dataset["id"] for _, uploads in self.batches or [] for upload in uploads if upload.dataset]

    def forget(self) -> None:
        """Remove the notes, once the run has begun and needs them no more."""
        mark_done(self.uploads)
        for record in self.records:
            record.remove()

    def _verify(self, batches: list[tuple[UploadSettings, list[Upload]]], described: Mapping[str, dict[str, Any]]) -> None:
        problems = []
        for settings, uploads in batches:
            arrived: list[Upload] = []
            others: list[Upload] = []
            for upload in uploads:
                (arrived if _has_arrived(upload, described) else others).append(upload)
            verified = verify_uploads(self.galaxy, self.history, others, settings, self.timeout) if others else ()
            for upload in itertools.chain(arrived, verified):
                self.uploads.append(upload)
                self.refs[upload.source, settings.dbkey, tuple(settings.tags)] = {
                    "src": "hda", "id": upload.dataset.get("id", "")}
                problems += [upload.problem] if upload.problem else []
        for problem in problems[1:]:
            report_error(problem)
        if problems:
            raise GalaxyError(f"{problems[0]}; so nothing was run")

    def _invocation_input(self, value: InputValue, index: str, name: str) -> Any:
        if isinstance(value, DatasetInput):
            return self._ref(value)
        if not isinstance(value, CollectionInput):
            return value
        name = value.name or name
        elements = self._elements(value)
        marks = [value.extras] if value.extras else []
        with Checkpoint(self.galaxy, f"collection {name!r}", "input", self.history, index, elements, *marks) as record:
            self.records.append(record)
            collection = find_created_collection(self.galaxy, name, record) or create_collection_once(
                self.galaxy, self.history, name, record, lambda: self._create_collection(name, value, elements))
        return {"src": "hdca", "id": collection["id"]}

    def _create_collection(self, name: str, value: CollectionInput, elements: list[dict[str, Any]]) -> dict[str, Any]:
        """A new collection in the history. Datasets that were uploaded for it are hidden; others are copied into it, so that
        it outlives them."""
        uploaded = all(dataset.source for dataset in iter_datasets(value))
        return dict(self.galaxy.post("dataset_collections", {
            "instance_type": "history", "history_id": self.history, "name": name, "collection_type": value.type,
            "element_identifiers": elements, "copy_elements": not uploaded, "hide_source_items": uploaded,
            **value.extras}))

    def _elements(self, value: CollectionInput) -> list[dict[str, Any]]:
        return [{"name": name, **(self._ref(element) if isinstance(element, DatasetInput) else {
            "src": "new_collection", "collection_type": element.type, "element_identifiers": self._elements(element)})}
            for name, element in value.elements]

    def _ref(self, dataset: DatasetInput) -> dict[str, str]:
        return self.refs[dataset.source, dataset.dbkey, dataset.tags] if dataset.source else dataset.ref


def _has_arrived(upload: Upload, described: Mapping[str, dict[str, Any]]) -> bool:
    """Whether an upload's dataset is `described`, and as it should be; anything else is for `verify_uploads`."""
    about = described.get(str(upload.dataset.get("id")))
    if upload.problem or upload.source.components or not about or upload_problem(upload, about):
        return False
    upload.dataset = {**upload.dataset, **about}
    return True


def give_default_files(workflow: dict[str, Any], inputs: InputValues) -> None:
    """Give the inputs that have none their default files, where the workflow has a subworkflow: Galaxy 26.1 then fails over
    them ("'MutationDict' object has no attribute"), and takes them by itself otherwise."""
    if not any(step.get("type") == "subworkflow" for step in (workflow.get("steps") or {}).values()):
        return
    for spec in inputs.specs.values():
        default = spec.settings.get("default") if spec.kind == "dataset" and spec.index not in inputs.values else None
        if isinstance(default, dict) and default.get("location"):
            url, ext = str(default["location"]), str(default.get("filetype") or default.get("ext") or "auto")
            hashes = tuple((str(each["hash_function"]), str(each["hash_value"])) for each in default.get("hashes") or [])
            source = Source(url, str(default.get("name") or spec.name), ext, None, hashes)
            inputs.values[spec.index] = DatasetInput(url, source=source, name=source.name)


def preview_inputs(value: InputValue) -> Any:
    """A value as an invocation takes it, but with the paths of files to upload in place of datasets."""
    if isinstance(value, DatasetInput):
        source = value.source
        return value.ref or {"upload": value.place, "extension": source.ext if source else "",
                             **({"deferred": True} if source and source.deferred else {}),
                             **({"decompress": True} if source and source.decompress else {})}
    if isinstance(value, CollectionInput):
        elements = {name: preview_inputs(element) for name, element in value.elements}
        return {"collection_type": value.type, "elements": elements, **value.extras}
    return value


def describe_input(value: InputValue) -> Any:
    """A value for a table's cell: a file's path, SRC:ID of data in Galaxy, a collection's type, size and first elements."""
    if isinstance(value, DatasetInput):
        return f"{value.ref['src']}:{value.ref['id']}" if value.ref else redact(value.place)
    if isinstance(value, CollectionInput):
        return f"{value.type}, {len(value.elements)}: {', '.join(name for name, _ in value.elements[:3])}" + (
            ", ..." if len(value.elements) > 3 else "")
    return value
