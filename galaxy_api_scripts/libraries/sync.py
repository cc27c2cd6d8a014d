"""Making a folder of a library equal to a local tree: upload, check what arrived, only then delete what it replaces."""
from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from common import FAILED, MAY_HAVE_ACTED, STILL_RUNNING, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.datasets.sources import guess_datatype
from galaxy_api_scripts.datasets.tus import forget_upload, upload_file
from galaxy_api_scripts.datasets.upload import fetch_batches
from galaxy_api_scripts.libraries.contents import FolderPath, LibraryFolder, ensure_folder
from galaxy_api_scripts.libraries.local_tree import CHANGED_MESSAGE, FileStamp, LocalTree, file_error
from galaxy_api_scripts.libraries.sync_plan import DELETE, KEEP, LEAVE, REPLACE, UPLOAD, SyncPlanner, SyncStep
from galaxy_api_scripts.libraries.sync_state import SyncedFile, SyncState
from galaxy_api_scripts.libraries.uploads import BATCH_BYTES, LibraryUploads, find_arrivals, size_mismatch_message
from galaxy_api_scripts.transfers import UP, TransferPool


@dataclass
class SyncUpload:
    """A file to upload, or uploaded by the job `job`."""

    step: SyncStep
    stamp: FileStamp
    sha256: str = ""
    job: str = ""

    @property
    def size(self) -> int:
        return self.stamp.size

    @property
    def name(self) -> str:
        return self.step.path.rsplit("/", 1)[-1]

    def synced(self, dataset: str = "") -> SyncedFile:
        return SyncedFile(self.step.path, dataset, self.stamp, self.sha256, self.step.obsolete)


class LibrarySync:
    """A sync of a local tree to the folder `target` of a library, which sends `transfers` files at once; the other arguments
    are those of `SyncPlanner`."""

    def __init__(self, galaxy: Galaxy, library: str, root: str, target: str, tree: LocalTree, state: SyncState,
                 transfers: int = 1):
        self.galaxy, self.tree, self.state, self.uploads = galaxy, tree, state, LibraryUploads(galaxy, library)
        self.transfers = transfers
        self.planner = SyncPlanner(galaxy, library, root, target, tree, state)
        self.errors = self.planner.errors
        self.failure: GalaxyError | None = None     # what ended everything early

    def plan(self, verify: bool, delete: bool, timeout: float | None) -> list[SyncStep]:
        """Wait until the jobs of earlier runs have ended, then plan as `SyncPlanner.plan` does."""
        while True:
            self.uploads.wait(self.uploads.unfinished_jobs(), timeout)
            steps = self.planner.plan(verify, delete)
            if not any(step.action in (UPLOAD, REPLACE) for step in steps) or not self.uploads.unfinished_jobs():
                return steps        # else the last request of a killed run arrived meanwhile

    def apply(self, steps: list[SyncStep], timeout: float | None) -> Iterator[SyncStep]:
        """Do the steps, and yield each when it is done. What fails is in `errors` and `failure`."""
        try:
            self.state.forget([path for path in self.state.files
                               if path not in self.tree.files and path not in self.planner.listing.files])
            self.state.save(step.synced for step in steps if step.action == KEEP and step.synced)
            yield from self._delete(step for step in steps if step.action == DELETE and step.synced)
            yield from self._upload([step for step in steps if step.action in (UPLOAD, REPLACE)], timeout)
            yield from self._delete(step for step in steps if step.action == DELETE and not step.synced)
        except GalaxyError as error:
            self.failure = error
            if error.lost:
                why = str(error).removesuffix(f": {MAY_HAVE_ACTED}")
                self.failure = GalaxyError(f"{why}: run it again, and it looks for what was done", TRY_LATER)
        yield from (step for step in steps if step.action in (KEEP, LEAVE))

    def _upload(self, steps: list[SyncStep], timeout: float | None) -> Iterator[SyncStep]:
        pending: dict[FolderPath, list[SyncUpload]] = {}
        datatypes = set(self.galaxy.get("datatypes", {"upload_only": "false"})) if steps else set()
        batches = fetch_batches([SyncUpload(step, self.tree.files[step.path]) for step in steps], BATCH_BYTES)
        with TransferPool(min(self.transfers, len(steps) or 1), UP) as pool:
            for batch, sent in pool.run(((batch, batch) for batch in batches), self._send, lambda file: file.size):
                for file in self._fetch(batch, sent, datatypes):
                    pending.setdefault(self.planner.folder_path(file.step.path), []).append(file)
                # The next batch may go to the same folder, which is then listed once for both.
                yield from self.collect_finished(pending, skip=self.planner.folder_path(batch[-1].step.path))
        for _ in self.galaxy.poll(timeout):
            yield from self.collect_finished(pending)
            if not pending:
                return
        count = sum(map(len, pending.values()))
        raise GalaxyError(f"{count} of {len(steps)} files still being added to the library after {timeout:g} s",
                          STILL_RUNNING)

    def _send(self, file: SyncUpload) -> tuple[dict[str, Any], dict[str, str]] | str:
        """Send a file's bytes; return the element and session that `upload_file` returns, or the problem with this file."""
        path = self.tree.full_path(file.step.path)
        try:
            sent = upload_file(self.galaxy, path, keep=True)
            if FileStamp.of(os.stat(path)) != file.stamp:
                raise GalaxyError(CHANGED_MESSAGE)
            return sent
        except (OSError, GalaxyError) as error:
            return file_error(error).removeprefix(f"{path}: ")

    def _fetch(self, batch: list[SyncUpload], sent: list[tuple[dict[str, Any], dict[str, str]] | str], datatypes: set[str]
               ) -> list[SyncUpload]:
        """Let one job add the files that were sent, see `_send`; return those that Galaxy accepted. `datatypes` are those of
        the server."""
        accepted: list[SyncUpload] = []
        parts: list[tuple[LibraryFolder, dict[str, Any], dict[str, str] | None]] = []
        for file, result in zip(batch, sent):
            path = self.tree.full_path(file.step.path)
            if isinstance(result, str):
                self.errors[path] = result
            else:
                element, session = result
                forget_upload(self.galaxy, path)        # of no use to a later run, once the job has the session
                ext = guess_datatype(file.step.path)
                element["ext"] = ext if ext in datatypes else "auto"
                accepted.append(replace(file, sha256=element["hashes"][0]["hash_value"]))
                folder = ensure_folder(self.galaxy, self.planner.folders, self.planner.folder_path(file.step.path))
                parts.append((folder, element, session))
        if not accepted:
            return []
        # If this run is killed, the next one recognises what arrived.
        self.state.save(file.synced() for file in accepted)
        self.uploads.fetch(parts)
        return [replace(file, job=self.uploads.jobs[-1]) for file in accepted]

    def collect_finished(self, pending: dict[FolderPath, list[SyncUpload]], skip: FolderPath | None = None
                         ) -> Iterator[SyncStep]:
        """Check the folders in `pending`, but `skip`, all of whose jobs have ended; remove them there, yield their steps."""
        unfinished = set(self.uploads.unfinished_jobs()) if pending else set()
        for folder in [folder for folder, files in pending.items()
                       if folder != skip and unfinished.isdisjoint(file.job for file in files)]:
            yield from self.check_arrivals(folder, pending.pop(folder))

    def check_arrivals(self, path: FolderPath, files: list[SyncUpload]) -> Iterator[SyncStep]:
        """Yield the steps of those uploads that arrived complete in a folder, after deleting what they replace."""
        datasets, problems = find_arrivals(self.galaxy, self.planner.folders[path], [file.name for file in files],
                                           self.uploads.default_reason)
        arrived: list[tuple[SyncStep, SyncedFile]] = []
        for file in files:
            dataset, full_path = datasets.get(file.name), self.tree.full_path(file.step.path)
            if dataset is None:
                self.errors[full_path] = problems[file.name]
            elif dataset["raw_size"] != file.size:
                error = self._delete_in_galaxy(f"libraries/datasets/{dataset['id']}")
                remains = f"; it can't be deleted: {error}" if error else ""
                self.errors[full_path] = size_mismatch_message(dataset["raw_size"], file.size) + remains
            else:
                arrived.append((file.step, file.synced(dataset["id"])))
        self.state.save(synced for _, synced in arrived)
        for step, synced in arrived:
            error = self._delete_in_galaxy(f"libraries/datasets/{synced.replaces}") if synced.replaces else None
            if error:
                self.errors[self.tree.full_path(step.path)] = \
                    f"its new dataset has arrived, but the old one can't be deleted: {error}"
            else:
                yield step
        self.state.save(replace(synced, replaces="") for _, synced in arrived
                        if synced.replaces and self.tree.full_path(synced.path) not in self.errors)

    def _delete(self, steps: Iterable[SyncStep]) -> Iterator[SyncStep]:
        """Delete the datasets and folders of these steps, except what has come back to the disk since it was scanned."""
        for step in steps:
            full_path, is_folder = self.tree.full_path(step.path), step.path.endswith("/")
            if not step.synced and not self.tree.is_missing(step.path) or \
                    is_folder and any(path.startswith(full_path) for path in self.errors):
                continue
            error = self._delete_in_galaxy(f"{'folders' if is_folder else 'libraries/datasets'}/{step.obsolete}")
            if is_folder and error and error.status == 403:
                yield replace(step, action=LEAVE, why="empty: the library's managers may delete it")
            elif error:
                self.errors[full_path] = str(error)
            else:
                if step.synced:
                    self.state.save([step.synced])
                else:
                    self.state.forget([step.path])
                yield step

    def _delete_in_galaxy(self, route: str) -> GalaxyError | None:
        """Delete something that may be deleted already; return the error if Galaxy refuses, None if it is deleted."""
        try:
            self.galaxy.delete(route)
        except GalaxyError as error:
            if error.exit_code != FAILED:
                raise
            return None if error.status == 404 else error
        return None
