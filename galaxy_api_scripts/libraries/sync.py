"""A folder of a library made equal to a tree on the disk.

The record of the tree says which dataset holds each of its files, and how the file was when Galaxy was seen to have it.
With it one listing of the library tells what there is to do. Without it the library's folders are looked into, which takes
longer and trusts in sizes.
"""
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from common import FAILED, NON_TERMINAL_DATASET_STATES, STILL_RUNNING, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.datasets.sources import guess_datatype
from galaxy_api_scripts.datasets.tus import upload_file
from galaxy_api_scripts.libraries.contents import (
    LOST_STATES,
    LibraryFolder,
    LibraryListing,
    LibraryUploads,
    create_folders,
    find_folders,
    list_library,
    missing_message,
    open_folder,
    size_mismatch,
    upload_batches,
    upload_failures,
)
from galaxy_api_scripts.libraries.local_tree import CHANGED_MESSAGE, FileStamp, LocalTree, hash_unchanged
from galaxy_api_scripts.libraries.sync_state import SyncedFile, SyncState

UPLOADS, KEEP, LEAVE, DELETE = ("upload", "replace"), "keep", "leave", "delete"     # what a step can be


@dataclass
class SyncStep:
    """Something to be done about the file at `path`; `held` is to be noted with it, and the dataset `old` goes.

    `size` is in bytes, None where it is not known. The path of a folder, which is `old` then, ends in /.
    """

    action: str
    path: str
    size: int | None
    why: str = ""
    held: SyncedFile | None = None
    old: str = ""

    @property
    def row(self) -> dict[str, Any]:
        return {"action": self.action, "path": self.path, "size": self.size, "why": self.why}


def steps_for_known(held: SyncedFile, ids: list[str]) -> list[SyncStep]:
    """The steps for a file that a dataset holds; what an earlier run was to replace, and did not come to, is deleted."""
    steps = [SyncStep(KEEP, held.path, held.seen.size, held=held)]
    if held.old in ids:
        steps.append(SyncStep(DELETE, held.path, None, f"replaced by {held.dataset}", replace(held, old=""), held.old))
    return steps


def several_note(ids: Iterable[str]) -> str:
    return f"{len([*ids])} datasets of this name are in the library's folder: {', '.join(ids)}; delete all but one"


@dataclass
class SyncUpload:
    """A file that is to be uploaded, or was: `job` takes it in."""

    step: SyncStep
    seen: FileStamp
    sha256: str = ""
    job: str = ""

    @property
    def size(self) -> int:
        return self.seen.size


class LibrarySync:
    """A tree on the disk and the folder `target`, names separated by /, of a library that is to become like it.

    `bad` says what went wrong, by whole paths, `trouble` what ended all of it early.
    """

    def __init__(self, galaxy: Galaxy, library: str, root: str, target: str, disk: LocalTree, record: SyncState):
        self.galaxy, self.library, self.root, self.target = galaxy, library, root, target
        self.disk, self.record, self.uploads = disk, record, LibraryUploads(galaxy, library)
        self.bad: dict[str, str] = {}
        self.trouble: GalaxyError | None = None
        self.there = LibraryListing()
        self.folders: dict[tuple[str, ...], LibraryFolder] = {}
        self.above: tuple[str, ...] = ()        # names of the folders from where `folders` begins down to the target

    def plan(self, verify: bool, delete: bool, timeout: float | None) -> list[SyncStep]:
        """What there is to do, once no earlier run's job is under way; with `verify` contents are compared, with `delete`
        goes what is not on the disk."""
        while True:
            self.uploads.wait(self.uploads.under_way(), timeout)
            steps = self.compared(verify, delete)
            if not any(step.action in UPLOADS for step in steps) or not self.uploads.under_way():
                return steps        # else a killed run's last request was on its way

    def compared(self, verify: bool, delete: bool) -> list[SyncStep]:
        """What there is to do as things are now."""
        self.bad = {self.disk.place(path): why for path, why in self.disk.bad.items()}
        start = self.listed()
        known = {} if verify else {path: steps for path in self.disk.files if (steps := self.noted(path))}
        unsure = [path for path in self.disk.files if path not in known]
        self.folders = find_folders(self.galaxy, self.library, start, {
                                   self.inside(path) for path in unsure}) if unsure else {}
        steps = []
        for path in sorted(self.disk.files, key=lambda path: (path.split("/")[:-1], path)):     # folder by folder
            steps += known.get(path) or self.inspect(path, verify)
        steps += [SyncStep(LEAVE, path, None, why) for path, why in self.disk.left.items()]
        return steps + self.extra(delete)

    def listed(self) -> str:
        """Ask what is `there`; returns the folder to begin at: the target, the library's own while that is not there."""
        library = list_library(self.galaxy, self.library)
        self.there = library.below(self.target) if self.target else library
        same = library.folders.get(self.target, []) if self.target else [self.root]
        if len(same) > 1:
            raise GalaxyError(
                f"{len(same)} folders are named {self.target}: {', '.join(same)}; rename or delete all but one")
        self.above = () if same else tuple(self.target.split("/"))
        return same[0] if same else self.root

    def inside(self, path: str) -> tuple[str, ...]:
        """The folder of a file, as `folders` has it."""
        return (*self.above, *path.split("/")[:-1])

    def noted(self, path: str) -> list[SyncStep]:
        """The steps for a file of which the record and the listing alone tell that it is in the library; else none."""
        held, ids, seen = self.record.held.get(path), self.there.files.get(path, []), self.disk.files[path]
        if not held or held.seen != seen or held.dataset not in ids or {*ids} - {held.dataset, held.old}:
            return []
        return steps_for_known(held, ids)

    def inspect(self, path: str, verify: bool) -> list[SyncStep]:
        """The steps for a file by what is in its folder."""
        held, seen, name = self.record.held.get(path), self.disk.files[path], path.rsplit("/", 1)[-1]
        folder = self.folders.get(self.inside(path))
        named = folder.named(name) if folder else []
        # What is in state error goes when the file is uploaded.
        items = {item["id"]: item for item in ([one for one in named if one["state"] != "error"] or named[:1])}
        new = {one: item for one, item in items.items() if not held or one != held.old} or items
        try:
            if not items:
                return [SyncStep("upload", path, seen.size, "no longer in the library" if held and held.dataset else "new")]
            if len(new) > 1:
                raise GalaxyError(several_note(items))
            [(dataset, item)] = new.items()
            why, found = self.compared_with(item, held, path, verify)
            if item["state"] in NON_TERMINAL_DATASET_STATES:
                return [SyncStep(LEAVE, path, seen.size, why)]
            if not why:
                return steps_for_known(found, [*items])
            if held and len(items) > 1:     # a run that ended too early was to replace one by the other
                if held.dataset != dataset and self.hash_of(item) != held.sha256:
                    raise GalaxyError(several_note(items))
                rest = steps_for_known(replace(held, dataset=dataset), [*items])[1:]
                return [*rest, SyncStep("replace", path, seen.size, why, old=dataset)]
            return [SyncStep("replace", path, seen.size, why, old=dataset)]
        except (OSError, GalaxyError) as error:
            if isinstance(error, GalaxyError) and (error.status or error.exit_code == TRY_LATER):
                raise
            self.bad[self.disk.place(path)] = getattr(error, "strerror", None) or str(error)
            return []

    def compared_with(self, item: dict[str, Any], held: SyncedFile | None, path: str, verify: bool) -> tuple[str, SyncedFile]:
        """Why a dataset does not hold the file of its name, "" where it does; and what is then to be noted."""
        seen, size = self.disk.files[path], item["raw_size"]
        same = held is not None and held.seen == seen       # the file has not changed since that was noted
        old = held.old if held and held.old != item["id"] else ""
        digest = held.sha256 if held and same and not verify else ""
        why = ""
        if item["state"] in NON_TERMINAL_DATASET_STATES:
            why = f"dataset {item['id']} of this name is just being made"
        elif item["state"] in LOST_STATES:
            why = f"in state {item['state']}"
        elif size != seen.size:
            why = f"{size} bytes are there"
        elif held or verify:
            expected = held.sha256 if held and held.dataset == item["id"] else ""
            expected = expected or self.hash_of(item)
            digest = digest or hash_unchanged(self.disk.place(path), seen)
            if expected and expected != digest:
                why = "its content differs"
            elif not expected and (verify or not same or held and held.old == item["id"]):
                why = "Galaxy has no SHA-256 of it"
        return why, SyncedFile(path, item["id"], seen, digest, old)

    def hash_of(self, item: dict[str, Any]) -> str:
        """The SHA-256 that Galaxy knows of a dataset, "" where it knows, or tells, none."""
        try:    # 26.1's answers about a library's datasets have none, but for this one
            hashes = self.galaxy.get(f"datasets/{item['ldda_id']}/storage", {"hda_ldda": "ldda"}).get("hashes") or []
        except GalaxyError as error:
            if error.status not in (400, 403, 404):
                raise
            return ""
        return next((str(one["hash_value"]).lower() for one in hashes
                     if one["hash_function"] == "SHA-256" and not one.get("extra_files_path")), "")

    def extra(self, delete: bool) -> list[SyncStep]:
        """The steps for what is in the library and not on the disk."""
        extra = {path for path in self.there.files if path not in self.disk.files and not self.disk.may_hold(path)}
        if not delete:
            count = f"{len(extra)} in the library are not on the disk: --delete deletes them"
            return [SyncStep(LEAVE, "", None, count)] if extra else []
        stay, held = [path for path in self.there.files if path not in extra], self.record.held
        steps = [SyncStep(DELETE, path, held[path].seen.size if path in held else None, "not on the disk", old=one)
                 for path in sorted(extra) for one in self.there.files[path]]
        for path in sorted(self.there.folders, key=lambda path: path.split("/"), reverse=True):
            kept_for = [one for one in stay if one.startswith(f"{path}/")]
            if not kept_for and path not in self.disk.folders and not self.disk.may_hold(path):
                steps += [SyncStep(DELETE, f"{path}/", None, "not on the disk", old=one) for one in self.there.folders[path]]
        return steps

    # ------------------------------------------------------------------------------------------------------ doing it

    def apply(self, steps: list[SyncStep], timeout: float | None) -> Iterator[SyncStep]:
        """Do all that, each step given when it is done; what is uploaded is compared before what it replaces goes."""
        try:
            self.record.forget([path for path in self.record.held
                                if path not in self.disk.files and path not in self.there.files])
            self.record.note(step.held for step in steps if step.action == KEEP and step.held)
            yield from self.deleted(step for step in steps if step.action == DELETE and step.held)
            yield from self.uploaded([step for step in steps if step.action in UPLOADS], timeout)
            yield from self.deleted(step for step in steps if step.action == DELETE and not step.held)
        except GalaxyError as error:
            self.trouble = error
        yield from (step for step in steps if step.action in (KEEP, LEAVE))

    def uploaded(self, steps: list[SyncStep], timeout: float | None) -> Iterator[SyncStep]:
        waiting: dict[tuple[str, ...], list[SyncUpload]] = {}
        known = set(self.galaxy.get("datatypes", {"upload_only": "false"})) if steps else set()
        for batch in upload_batches([SyncUpload(step, self.disk.files[step.path]) for step in steps]):
            for file in self.sent(batch, known):
                waiting.setdefault(self.inside(file.step.path), []).append(file)
            yield from self.collect_finished(waiting, but=self.inside(batch[-1].step.path))
        for _ in self.galaxy.poll(timeout):
            yield from self.collect_finished(waiting)
            if not waiting:
                return
        raise GalaxyError(f"{sum(map(len, waiting.values()))} files are still on their way into the library after {timeout:g} s",
                      STILL_RUNNING)

    def sent(self, batch: list[SyncUpload], known: set[str]) -> list[SyncUpload]:
        """Upload the files of a batch by one job; returns those that Galaxy has taken. `known` are its datatypes."""
        taken: list[SyncUpload] = []
        parts: list[tuple[LibraryFolder, dict[str, Any], dict[str, str] | None]] = []
        for file in batch:
            path = self.disk.place(file.step.path)
            try:
                element, session = upload_file(self.galaxy, path)
                if FileStamp.of(os.stat(path)) != file.seen:
                    raise GalaxyError(CHANGED_MESSAGE)
            except OSError as error:
                self.bad[path] = str(error.strerror)
            except GalaxyError as error:
                if error.status or error.exit_code == TRY_LATER:    # not this file's fault
                    raise
                self.bad[path] = str(error).removeprefix(f"{path}: ")
            else:
                ext = guess_datatype(file.step.path)
                element["ext"] = ext if ext in known else "auto"
                taken.append(replace(file, sha256=element["hashes"][0]["hash_value"]))
                parts.append((create_folders(self.galaxy, self.folders, self.inside(file.step.path)), element, session))
        if not taken:
            return []
        # So that a later run, if this one is killed, knows what it finds.
        self.record.note(SyncedFile(file.step.path, "", file.seen, file.sha256, file.step.old) for file in taken)
        self.uploads.fetch(parts)
        return [replace(file, job=self.uploads.jobs[-1]) for file in taken]

    def collect_finished(self, waiting: dict[tuple[str, ...], list[SyncUpload]], but: tuple[str, ...] | None = None) -> Iterator[SyncStep]:
        """The steps of the folders in `waiting`, which loses them, whose jobs have ended and that are not `but`."""
        moving = set(self.uploads.under_way()) if waiting else set()
        for place in [place for place, files in waiting.items()
                      if place != but and moving.isdisjoint(file.job for file in files)]:
            yield from self.arrived(place, waiting.pop(place))

    def arrived(self, place: tuple[str, ...], files: list[SyncUpload]) -> Iterator[SyncStep]:
        """Note what of the files is in that folder as it should, delete what it replaces, and give the steps of these."""
        before, now = self.folders[place], open_folder(self.galaxy, self.folders[place].id)
        why = upload_failures(self.galaxy, before, now, {file.step.path.rsplit("/", 1)[-1] for file in files})
        known = {item["id"] for item in before.items if item["type"] == "file"}
        good = []
        for file in files:
            name, path = file.step.path.rsplit("/", 1)[-1], self.disk.place(file.step.path)
            fresh = [item for item in now.named(name)
                     if item["id"] not in known and item["state"] not in (*LOST_STATES, *NON_TERMINAL_DATASET_STATES)]
            if len(fresh) > 1:
                self.bad[path] = f"{len(fresh)} datasets of this name have come: {', '.join(one['id'] for one in fresh)}: " \
                                 "another account or machine uploads it, too; delete all but one"
            elif not fresh:
                self.bad[path] = missing_message(why, name, self.uploads.otherwise)
            elif fresh[0]["raw_size"] != file.size:
                error = self.refusal(f"libraries/datasets/{fresh[0]['id']}")
                stays = f"; it stays there: {error}" if error else ""
                self.bad[path] = size_mismatch(fresh[0]["raw_size"], file.size) + stays
            else:
                good.append((file.step, SyncedFile(file.step.path, fresh[0]["id"], file.seen, file.sha256, file.step.old)))
        self.record.note(held for _, held in good)
        for step, held in good:
            error = self.refusal(f"libraries/datasets/{held.old}") if held.old else None
            if error:
                self.bad[self.disk.place(step.path)] = f"the new dataset is there, and the old one stays, too: {error}"
            else:
                yield step
        self.record.note(replace(held, old="") for _, held in good
                         if held.old and self.disk.place(held.path) not in self.bad)

    def deleted(self, steps: Iterable[SyncStep]) -> Iterator[SyncStep]:
        """Delete the datasets and folders of these steps, but for what is on the disk by now and was not before."""
        for step in steps:
            place, folder = self.disk.place(step.path), step.path.endswith("/")
            if not step.held and not self.disk.lacks(step.path) or folder and any(one.startswith(place) for one in self.bad):
                continue
            error = self.refusal(f"folders/{step.old}" if folder else f"libraries/datasets/{step.old}")
            if folder and error and error.status == 403:
                yield replace(step, action=LEAVE, why="empty: whoever manages the library may delete it")
            elif error:
                self.bad[place] = str(error)
            else:
                if step.held:
                    self.record.note([step.held])
                else:
                    self.record.forget([step.path])
                yield step

    def refusal(self, what: str) -> GalaxyError | None:
        """Delete `what`; returns why that is refused, None where it is gone."""
        try:
            self.galaxy.delete(what)
        except GalaxyError as error:
            if error.exit_code != FAILED:
                raise
            return None if error.status == 404 else error
        return None
