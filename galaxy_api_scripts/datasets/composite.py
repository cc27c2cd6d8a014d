"""Composite datasets: several files that are one dataset, such as an imzML's or a shapefile's, each in its place.

Galaxy 26.1 takes them by one fetch, in the order in which the datatype names them, and compares no hashes of them.
"""
from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import Checkpoint, change_notes
from galaxy_api_scripts.datasets.local_file import LocalFile
from galaxy_api_scripts.datasets.references import list_datatypes
from galaxy_api_scripts.datasets.sources import Source, stem
from galaxy_api_scripts.datasets.tus import send_file


class _ComponentNotes:
    """The notes on one file of a composite dataset, kept among those on the dataset."""

    def __init__(self, checkpoint: Checkpoint, number: int):
        self.checkpoint, self.name = checkpoint, f"component_{number}"

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.checkpoint.data.get(self.name) or {})

    def save(self, durably: bool = False, **changes: Any) -> None:
        self.checkpoint.save(durably, **{self.name: change_notes(self.data, changes)})


def composite_files(galaxy: Galaxy, ext: str) -> list[tuple[str, bool]]:
    """The name of each file that a datatype of several has, and whether it is optional; [] of one that is a single file."""
    about = list_datatypes(galaxy).get(ext) or {}
    return [(str(file["name"]), bool(file.get("optional"))) for file in about.get("composite_files") or []]


def join_components(galaxy: Galaxy, sources: list[Source], ext: str, name: str = "", label: str = "--ext",
                    metadata: tuple[tuple[str, str], ...] = ()) -> Source:
    """The one source that these files, in any order, are of a composite datatype; its name is the first file's without
    extension unless given. Raises a usage error where the files are not those that the datatype has."""
    slots = composite_files(galaxy, ext)
    if not slots:
        raise GalaxyError(f"{label}={ext}: not a datatype of several files", USAGE)
    if any(source.deferred for source in sources):
        raise GalaxyError(f"{label}={ext}: Galaxy fetches the files of such a dataset at once: leave out --deferred", USAGE)
    by_slot = _assign(slots, sources)
    described = ", ".join(f"{slot} (optional)" if optional else slot for slot, optional in slots)
    last = max((number for number, (slot, _) in enumerate(slots) if slot in by_slot), default=-1)
    gaps = [slot for number, (slot, optional) in enumerate(slots) if slot not in by_slot and (number < last or not optional)]
    if len(by_slot) != len(sources) or gaps:
        lacks = f" and there is none for {', '.join(gaps)}" if gaps else ""
        raise GalaxyError(f"{label}={ext}: its files are {described}; here {'is' if len(sources) == 1 else 'are'} "
                          f"{', '.join(os.path.basename(source.name) for source in sources)}{lacks}", USAGE)
    ordered = [by_slot[slot] for slot, _ in slots if slot in by_slot]
    return Source(ordered[0].path, name or stem(os.path.basename(ordered[0].name)), ext, None,
                  components=tuple(replace(source, ext="auto") for source in ordered), metadata=metadata)


def _assign(slots: list[tuple[str, bool]], sources: list[Source]) -> dict[str, Source]:
    """The files by the names that the datatype has for them: by their extensions where all of these tell, such as .ibd, else
    in the order that they come in."""
    by_slot: dict[str, Source] = {}
    for source in sources:
        name = source.name.lower()
        slot = next((slot for slot, _ in sorted(slots, key=lambda slot: -len(slot[0])) if slot not in by_slot and
                     (name == slot.lower() or name.endswith("." + slot.lower().partition(".")[2])
                      or name.endswith(f".{slot.lower()}"))), "")
        if not slot:
            return {slot: source for (slot, _), source in zip(slots, sources)}
        by_slot[slot] = source
    return by_slot


def composite_identity(source: Source) -> list[Any]:
    """What tells a composite dataset's files from others: paths, sizes, times; [] for a source that is a single file."""
    if not source.components:
        return []
    try:
        return [[path, about.st_size, about.st_mtime_ns] for path in source.local_paths for about in [os.stat(path)]]
    except OSError as error:
        raise GalaxyError(f"{error.filename}: {error.strerror}") from None


def send_components(galaxy: Galaxy, source: Source, checkpoint: Checkpoint, stall: float
                    ) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The composite dataset as a fetch takes it, and the sessions of its files, whose bytes are sent first; a later process
    resumes it by the `checkpoint`."""
    items, sessions = [], list[dict[str, str]]()
    for number, component in enumerate(source.components):
        if component.is_url:
            items.append({"src": "url", "url": component.path})
            continue
        with LocalFile(component.local_paths) as file:
            _, session = send_file(galaxy, file, os.path.basename(component.name), _ComponentNotes(checkpoint, number),
                                   hashed=False, stall=stall)
        items.append({"src": "files"})
        sessions.append(session)
    return {"src": "composite", "name": source.name, "composite": {"elements": items},
            **({"metadata": dict(source.metadata)} if source.metadata else {})}, sessions


def composite_problem(galaxy: Galaxy, dataset_id: str, source: Source) -> str:
    """What is wrong with the files that Galaxy has of a composite dataset in state ok: their sizes tell; "" for nothing."""
    for (slot, _), component in zip(composite_files(galaxy, source.ext), source.components):
        if component.size is None:
            continue
        try:
            answer = galaxy.request("HEAD", f"datasets/{dataset_id}/display", params={"filename": slot})
        except GalaxyError as error:
            if error.status != 404:     # Galaxy names some files after the dataset
                raise
            continue
        size = int(answer.headers.get("Content-Length") or component.size)
        if size != component.size:
            return f"dataset {dataset_id}: {slot} has {size} bytes, {component.size} were sent"
    return ""
