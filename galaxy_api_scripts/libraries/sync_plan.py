"""Planning a sync: which steps make a folder of a library equal to a local tree.

The state of earlier runs says which dataset holds each file, and the file's stamp at that time. With it one listing of the
library is enough. Without it the library's folders are listed one by one, which takes longer, and equal sizes count as
equal contents.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from common import NON_TERMINAL_DATASET_STATES, Galaxy, GalaxyError
from galaxy_api_scripts.datasets.hashing import known_hashes
from galaxy_api_scripts.datasets.lookup import fetch_library_hashes
from galaxy_api_scripts.libraries.contents import (
    LOST_STATES,
    FolderPath,
    LibraryFolder,
    LibraryListing,
    find_folders,
    list_library,
    single_id,
)
from galaxy_api_scripts.libraries.local_tree import LocalTree, file_error, hash_unchanged
from galaxy_api_scripts.libraries.sync_state import SyncedFile, SyncState

UPLOAD, REPLACE, KEEP, LEAVE, DELETE = "upload", "replace", "keep", "leave", "delete"     # the actions of steps


@dataclass
class SyncStep:
    """One action on a path."""

    action: str
    path: str       # of a folder with / at its end
    size: int | None        # bytes
    why: str = ""
    synced: SyncedFile | None = None        # what to save about the file
    obsolete: str = ""      # the id of the dataset or folder to delete
    waits: bool = False     # for what somebody else's job makes of that name

    @property
    def row(self) -> dict[str, Any]:
        return {"action": self.action, "path": self.path, "size": self.size, "why": self.why}


def keep_steps(synced: SyncedFile, ids: Iterable[str]) -> list[SyncStep]:
    """The steps for a file that a dataset holds. If the dataset that it replaces is still among `ids`, since the run that
    was to delete it was killed, that is deleted."""
    steps = [SyncStep(KEEP, synced.path, synced.stamp.size, synced=synced)]
    if synced.replaces in ids:
        steps.append(SyncStep(DELETE, synced.path, None, f"replaced by {synced.dataset}",
                              replace(synced, replaces=""), synced.replaces))
    return steps


def duplicates_error(ids: Iterable[str]) -> GalaxyError:
    return GalaxyError(f"{len([*ids])} datasets of this name are in the library's folder: {', '.join(ids)}; "
                       "delete all but one")


class SyncPlanner:
    """Compares a local tree with the folder `target` of a library, names separated by /, "" for its root folder `root`."""

    def __init__(self, galaxy: Galaxy, library: str, root: str, target: str, tree: LocalTree, state: SyncState):
        self.galaxy, self.library, self.root, self.target, self.tree, self.state = galaxy, library, root, target, tree, state
        self.errors: dict[str, str] = {}    # what went wrong, by full local path
        self.listing = LibraryListing()     # of the target
        self.folders: dict[FolderPath, LibraryFolder] = {}      # below the target, or below `root` if there is no target yet
        self.target_path: FolderPath = ()       # of the target in `folders`

    def plan(self, verify: bool, delete: bool) -> list[SyncStep]:
        """The steps that make the target equal to the tree as both are now.

        With `verify` contents are compared, too; with `delete` what is not in the tree is deleted. What concerns one file
        only is added to `errors`.
        """
        self.errors.clear()
        self.errors.update((self.tree.full_path(path), why) for path, why in self.tree.errors.items())
        start = self._list_target()
        known = {} if verify else {path: steps for path in self.tree.files if (steps := self._plan_known(path))}
        unknown = [path for path in self.tree.files if path not in known]
        self.folders = find_folders(self.galaxy, self.library, start,
                                    {self.folder_path(path) for path in unknown}) if unknown else {}
        steps = []
        for path in sorted(self.tree.files, key=lambda path: (path.split("/")[:-1], path)):     # folder by folder
            steps += known.get(path) or self.inspect(path, verify)
        steps += [SyncStep(LEAVE, path, None, why) for path, why in self.tree.skipped.items()]
        return steps + self._plan_extra(delete)

    def folder_path(self, path: str) -> FolderPath:
        """The path in `folders` of the folder for a local file."""
        return (*self.target_path, *path.split("/")[:-1])

    def _list_target(self) -> str:
        """List the target; return the id of the folder at () in `folders`: the target, else the library's root folder."""
        listing = list_library(self.galaxy, self.library)
        self.listing = listing.below(self.target) if self.target else listing
        folder = single_id(listing.folders.get(self.target, []), "folders", self.target) if self.target else self.root
        self.target_path = () if folder else tuple(self.target.split("/"))
        return folder or self.root

    def _plan_known(self, path: str) -> list[SyncStep]:
        """The steps for a file if the state and the listing are enough to know that the library holds it; else []."""
        synced, ids, stamp = self.state.files.get(path), self.listing.files.get(path, []), self.tree.files[path]
        if not synced or synced.stamp != stamp or synced.dataset not in ids or {*ids} - {synced.dataset, synced.replaces}:
            return []
        return keep_steps(synced, ids)

    def inspect(self, path: str, verify: bool) -> list[SyncStep]:
        """The steps for a file after a look at the datasets of its name in its folder; [] if it is added to `errors`."""
        synced, stamp, name = self.state.files.get(path), self.tree.files[path], path.rsplit("/", 1)[-1]
        folder = self.folders.get(self.folder_path(path))
        named = folder.datasets(name) if folder else []
        # Datasets in state error are deleted when the file is uploaded.
        datasets = {one["id"]: one for one in ([one for one in named if one["state"] != "error"] or named[:1])}
        current = {id: one for id, one in datasets.items() if not synced or id != synced.replaces} or datasets
        try:
            if not datasets:
                why = "no longer in the library" if synced and synced.dataset else "new"
                return [SyncStep(UPLOAD, path, stamp.size, why)]
            if len(current) > 1:
                raise duplicates_error(datasets)
            [(id, dataset)] = current.items()
            why, result = self._compare(dataset, synced, path, verify)
            if dataset["state"] in NON_TERMINAL_DATASET_STATES:
                return [SyncStep(LEAVE, path, stamp.size, why, waits=True)]
            if not why:
                return keep_steps(result, datasets)
            steps = [SyncStep(REPLACE, path, stamp.size, why, obsolete=id)]
            if synced and len(datasets) > 1:     # a killed run was to replace one of them by the other
                if synced.dataset != id and not self._is_of_killed_run(dataset, synced):
                    raise duplicates_error(datasets)
                return keep_steps(replace(synced, dataset=id), datasets)[1:] + steps
            return steps
        except (OSError, GalaxyError) as error:
            self.errors[self.tree.full_path(path)] = file_error(error)
            return []

    def _compare(self, dataset: dict[str, Any], synced: SyncedFile | None, path: str, verify: bool
                 ) -> tuple[str, SyncedFile]:
        """Why a dataset does not hold the local file, "" if it does; and what to save about the file if it does."""
        stamp, size = self.tree.files[path], dataset["raw_size"]
        unchanged = synced is not None and synced.stamp == stamp
        replaces = synced.replaces if synced and synced.replaces != dataset["id"] else ""
        digest = synced.sha256 if synced and unchanged and not verify else ""
        why = ""
        if dataset["state"] in NON_TERMINAL_DATASET_STATES:
            why = f"dataset {dataset['id']} of this name is still being made"
        elif dataset["state"] in LOST_STATES:
            why = f"in state {dataset['state']}"
        elif size != stamp.size:
            why = f"{size} bytes in the library"
        elif synced or verify:
            known = synced.sha256 if synced and synced.dataset == dataset["id"] else ""
            algorithm, expected = ("sha256", known) if known else self._fetch_hash(dataset)
            digest = digest or hash_unchanged(self.tree.full_path(path), stamp)
            if expected and expected != (digest if algorithm == "sha256" else hash_unchanged(
                    self.tree.full_path(path), stamp, algorithm)):
                why = "its content differs"
            elif not expected and (verify or not unchanged or synced and synced.replaces == dataset["id"]):
                why = "Galaxy has no SHA-256 of it"
        return why, SyncedFile(path, dataset["id"], stamp, digest, replaces)

    def _is_of_killed_run(self, dataset: dict[str, Any], synced: SyncedFile) -> bool:
        """Whether a dataset has the bytes that a killed run was about to add."""
        algorithm, digest = self._fetch_hash(dataset)
        if algorithm == "sha256":
            return digest == synced.sha256
        stamp = self.tree.files[synced.path]
        return stamp == synced.stamp and digest == hash_unchanged(self.tree.full_path(synced.path), stamp, algorithm)

    def _fetch_hash(self, dataset: dict[str, Any]) -> tuple[str, str]:
        """The SHA-256 that Galaxy has of a dataset, or the MD5 if that is all it has (24.1), after hashlib's name for it;
        "" for a value if it has neither or does not tell."""
        known = known_hashes({"hashes": fetch_library_hashes(self.galaxy, dataset["ldda_id"])})
        return next(((name, known[name]) for name in ("sha256", "md5") if name in known), ("sha256", ""))

    def _plan_extra(self, delete: bool) -> list[SyncStep]:
        """The steps for what is in the library and not in the tree."""
        extra = {path for path in self.listing.files if path not in self.tree.files and not self.tree.may_exist(path)}
        if not delete:
            why = f"{len(extra)} in the library are not on the disk: --delete deletes them"
            return [SyncStep(LEAVE, "", None, why)] if extra else []
        kept, synced = [path for path in self.listing.files if path not in extra], self.state.files
        steps = [SyncStep(DELETE, path, synced[path].stamp.size if path in synced else None, "not on the disk", obsolete=id)
                 for path in sorted(extra) for id in self.listing.files[path]]
        for folder in sorted(self.listing.folders, key=lambda path: path.split("/"), reverse=True):
            in_use = folder in self.tree.folders or any(path.startswith(f"{folder}/") for path in kept)
            if not in_use and not self.tree.may_exist(folder):
                steps += [SyncStep(DELETE, f"{folder}/", None, "not on the disk", obsolete=id)
                          for id in self.listing.folders[folder]]
        return steps
