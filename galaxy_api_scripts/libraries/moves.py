"""Moves of datasets and folders within a data library.

Galaxy (24.1 to 26.1) has no request for it. A dataset is imported into a history, copied from there to its new folder, which
leaves its bytes where they are, and compared; only then the old one is deleted. A folder is made again, and gets what was in
the old one. What a killed run has made is found by the next one: a copy by its name and the dataset's UUID, a folder by the
description that it has until all is in it, the history by its name. A copy and its original share who may access and manage
them, and to manage them may be changed by copying; so the permissions are noted before.
"""
from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common import NON_TERMINAL_DATASET_STATES, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import Checkpoint, change_notes, send_once
from galaxy_api_scripts.libraries.contents import FolderPath, LibraryFolder, ensure_folder, open_folder, single_id
from galaxy_api_scripts.libraries.permissions import (
    ACCESS,
    DATASET,
    FOLDER,
    ITEM_STATUSES,
    MANAGE,
    READ_AT_ONCE,
    SETTLE_SECONDS,
    Change,
    Item,
    ItemProblem,
    LibraryPermissions,
    Rights,
)
from galaxy_api_scripts.libraries.roles import RoleFinder
from galaxy_api_scripts.libraries.update import ESCAPED, fetch_item
from galaxy_api_scripts.libraries.walk import walk_folder
from galaxy_api_scripts.together import ask_together

KEPT = ("name", "uuid", "file_ext", "genome_build", "misc_info")      # of a dataset, by Galaxy's own copying
CARRIED = ("message", "tags")       # what it leaves out


class MoveProblem(GalaxyError):
    """One item can't be moved; others may."""


@dataclass
class Move:
    """An item, and the path of the folder that it is to be in; `about` is Galaxy's description of it."""

    item: Item
    to: FolderPath
    about: dict[str, Any]
    rights: Rights = field(default_factory=dict)
    new_id: str = ""        # when it has moved

    @property
    def name(self) -> str:
        return str(self.about["name"])

    @property
    def path(self) -> FolderPath:
        """Its own, when it has moved."""
        return (*self.to, self.name)

    @property
    def row(self) -> dict[str, Any]:
        return {"action": "move", "path": self.item.path, "kind": self.item.kind, "id": self.new_id or self.item.id,
                "before": self.item.path, "after": "/" + "/".join(self.path)}


def checkpoint_of(galaxy: Galaxy, library: str) -> Checkpoint:
    """The notes on what is being moved in a library; `GalaxyError` (TRY_LATER) if another run is at work there."""
    return Checkpoint(galaxy, f"moves in library {library}", "library moves", library)


def mark_of(folder: str) -> str:
    """The description of a new folder until all that is in the old one, `folder`, has moved to it."""
    return f"library_update.py moves folder {folder} here"


def require_movable(move: Move) -> None:
    """Raise `GalaxyError` for a dataset that can't be moved, or not by this key's user, as far as its description tells."""
    about, label = move.about, f"{move.item} ({move.item.id})"
    if about["state"] in NON_TERMINAL_DATASET_STATES:
        raise GalaxyError(f"{label} is in state {about['state']}: move it when it is ok", TRY_LATER)
    if not about.get("uuid"):
        raise GalaxyError(f"{label} has no UUID, by which a copy of it could be told")
    if about.get("has_versions"):
        raise GalaxyError(f"{label} has older versions, which a copy of it would not have")
    if ESCAPED.search(about.get("message") or ""):
        raise GalaxyError(f"{label}: its description has &, < or >, which Galaxy would change: set another one first")
    for right, what in (("can_user_modify", "modify"), ("can_user_manage", "manage")):
        if about.get(right) is False:
            raise GalaxyError(f"{label}: this key's user may not {what} it: who manages it can permit that by "
                              f"library_permissions.py {what}+=", status=403)


def require_known_roles(galaxy: Galaxy, moves: list[Move]) -> None:
    """Raise `GalaxyError` for a role that Galaxy would not give to a copy, whose permissions may have to be set again."""
    finder = RoleFinder(galaxy)
    for move in moves:
        for role_id, name in {one for roles in move.rights.values() for one in roles.items()}:
            if not finder.known(role_id, name, move.item.address):
                raise GalaxyError(f"{move.item} ({move.item.id}): Galaxy would not keep {name!r} ({role_id}): " + (
                    "the role is deleted: take it off by library_permissions.py" if finder.is_admin else
                    "this key's user may not name it, an administrator may"))


def find_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """In which fields a dataset's copy differs."""
    def values(about: dict[str, Any]) -> dict[str, Any]:
        return {**{name: about.get(name) or "" for name in (*KEPT, *CARRIED)}, "tags": sorted(about.get("tags") or [])}
    ours, theirs = values(old), values(new)
    return [name for name in ours if ours[name] != theirs[name]]


def keep_rights(galaxy: Galaxy, item: Item, rights: Rights) -> None:
    """Give the permissions to an item, which has got some from its folder; read back. Raises `GalaxyError`."""
    permissions = LibraryPermissions(galaxy, [item])
    permissions.read()
    if not permissions.errors:
        changes = {name: Change(exact=list(roles)) for name, roles in rights.items()
                   if roles or name != MANAGE or item.kind != DATASET}      # a dataset has a manager
        permissions.apply(permissions.plan(changes, not rights.get(ACCESS), True))
    if permissions.failure or permissions.errors:
        raise permissions.failure or permissions.errors[item]


class MoveNotes:
    """The notes on one move, among those of all in a library's `Checkpoint`."""

    def __init__(self, notes: Checkpoint, item: str):
        self.notes, self.id = notes, item

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.notes.data.get(self.id) or {})

    def save(self, durably: bool = False, **changes: Any) -> None:
        self.notes.save(durably, **{self.id: change_notes(self.data, changes) or None})


class LibraryMoves:
    """Moves within a library: `plan`, then `apply`, then `tidy`. `items` are those of the library that the key's user may
    see, its root folder too; what could not be moved is in `errors`, by item, and `failure` is what ended the work early.
    Without the `notes` of `checkpoint_of` nothing can be moved, only planned."""

    def __init__(self, galaxy: Galaxy, library: str, items: list[Item], notes: Checkpoint | None):
        self.galaxy, self.library, self.items, self.notes = galaxy, library, items, notes
        self.history_name = f"Moves in library {library}"
        self.folder_ids: dict[str, list[str]] = {}
        for item in items:
            if item.kind == FOLDER:
                self.folder_ids.setdefault(item.path, []).append(item.id)
        self.folders: dict[FolderPath, LibraryFolder] = {}      # those at the destination that were looked at or made
        self.errors: dict[Item, GalaxyError] = {}
        self.failure: GalaxyError | None = None
        self._history = ""

    # -------------------------------------------------------------------------------------------------------------- plan

    def plan(self, item: Item, about: dict[str, Any], to: FolderPath) -> list[Move]:
        """The moves that bring an item, which `about` describes, to the folder at `to`: a folder before what is in it.
        Raises `GalaxyError` if one of them can't be made."""
        if item.kind == FOLDER and f"/{'/'.join(to)}/".startswith(f"{item.path}/"):
            raise GalaxyError(f"--move-to: {item.path} can't be moved into itself")
        moves = [Move(item, to, about)]
        if item.kind == FOLDER:
            # Who is no administrator may not see all that is in it, and would delete the rest with the folder.
            self.galaxy.require_admin("moving a folder", ": you may move the datasets in it, one by one")
            moves += self._plan_contents(item, (*to, moves[0].name))
        folder = self.open(to)
        for move in moves:
            if move.item.kind == DATASET:
                require_movable(move)
        self._read_rights(moves)
        require_known_roles(self.galaxy, moves)
        if folder:
            self._find_arrived(moves[0], folder)        # or an error, if something else is there
        return moves

    def _plan_contents(self, item: Item, to: FolderPath) -> list[Move]:
        inside = [(Item(FOLDER if one["type"] != "file" else DATASET, one["id"], f"{item.path}/{'/'.join(path)}"),
                   (*to, *path[:-1])) for path, one in walk_folder(self.galaxy, self.library, item.id)]
        moves = []
        for start in range(0, len(inside), READ_AT_ONCE):
            batch = inside[start:start + READ_AT_ONCE]
            answers = ask_together(*(functools.partial(fetch_item, self.galaxy, one) for one, _ in batch))
            moves += [Move(one, where, about) for (one, where), about in zip(batch, answers)]
        return moves

    def _read_rights(self, moves: list[Move]) -> None:
        permissions = LibraryPermissions(self.galaxy, [move.item for move in moves])
        permissions.read()
        for move in moves:
            if move.item in permissions.errors:
                raise permissions.errors[move.item]
            noted = MoveNotes(self.notes, move.item.id).data if self.notes else {}
            move.rights = noted.get("rights") or permissions.rights[move.item]

    def open(self, path: FolderPath) -> LibraryFolder | None:
        """The folder at a path, None if there is none. Raises `GalaxyError` if the user may not add to it, or to the one in
        which it would be made."""
        for length in range(len(path), -1, -1):
            start = path[:length]
            if start not in self.folders:
                folder = single_id(self.folder_ids.get(f"/{'/'.join(start)}", []), "folders", "/".join(start))
                if not folder:
                    continue
                self.folders[start] = open_folder(self.galaxy, folder, self.library)
            return self.folders[start] if start == path else None
        raise GalaxyError(f"library {self.library} has no root folder that this key's user may see")

    def _find_arrived(self, move: Move, folder: LibraryFolder) -> str:
        """The id of what an earlier run has made of the item in `folder`, "" if nothing; raise `MoveProblem` if something
        else of its name is there."""
        kind = "file" if move.item.kind == DATASET else "folder"
        same = [one["id"] for one in folder.items if one["type"] == kind and one["name"] == move.name]
        for one in same:
            about = fetch_item(self.galaxy, Item(move.item.kind, one, ""))
            if move.item.kind == DATASET and about.get("uuid") == move.about["uuid"]:
                return str(one)
            if move.item.kind == FOLDER and (about.get("description") == mark_of(move.item.id)
                                             or not open_folder(self.galaxy, move.item.id).items):
                return str(one)
        if same:
            raise MoveProblem(f"{move.item} ({move.item.id}): a {move.item.kind} of that name is in the folder "
                              f"/{'/'.join(move.to)} already: {', '.join(same)}")
        return ""

    # ------------------------------------------------------------------------------------------------------------- apply

    def apply(self, moves: list[Move]) -> Iterator[dict[str, Any]]:
        """Make the moves, and yield a row for each when it is done. What fails is in `errors` and `failure`."""
        folders = [move for move in moves if move.item.kind == FOLDER]
        try:
            for move in moves:
                if any(move.item.path.startswith(f"{failed.path}/") for failed in self.errors if failed.kind == FOLDER):
                    continue        # the folder that it is in could not be made
                done = self._attempt(move, self._begin_folder if move.item.kind == FOLDER else self._move_dataset)
                if done and move.item.kind == DATASET:
                    yield move.row
            for move in reversed(folders):
                is_empty = not any(f"{failed.path}/".startswith(f"{move.item.path}/") for failed in self.errors)
                if is_empty and self._attempt(move, self._finish_folder):
                    yield move.row
        except GalaxyError as error:
            self.failure = GalaxyError(f"{error}: run it again, and it looks for what was done", TRY_LATER
                                       ) if error.lost else error

    def _attempt(self, move: Move, act: Callable[[Move], None]) -> bool:
        """Whether `act(move)` succeeds; what concerns this item alone is among the errors then."""
        try:
            act(move)
        except GalaxyError as error:
            if error.lost or error.status not in ITEM_STATUSES and not isinstance(error, (MoveProblem, ItemProblem)):
                raise
            self.errors[move.item] = error
        return move.item not in self.errors

    def _make_once(self, move: Move, send: Callable[[LibraryFolder], str]) -> str:
        """The id of what `send(folder)` makes of an item in its new folder, or has made in an earlier run."""
        assert self.notes
        record = MoveNotes(self.notes, move.item.id)
        parent = self.open(move.to) or ensure_folder(self.galaxy, self.folders, move.to)
        arrived = self._find_arrived(move, parent)
        if arrived:
            return arrived
        record.save(made=None)      # what was made is gone again
        return send_once(record, "made", str(move.item), send=lambda: send(parent), prepare=lambda: {"rights": move.rights},
                         find=lambda: self._find_arrived(move, open_folder(self.galaxy, parent.id)))

    def _begin_folder(self, move: Move) -> None:
        data = {"name": move.name, "description": mark_of(move.item.id)}
        move.new_id = self._make_once(move, lambda parent: str(self.galaxy.post(f"folders/{parent.id}", data)["id"]))
        keep_rights(self.galaxy, Item(FOLDER, move.new_id, "/" + "/".join(move.path)), move.rights)
        self.folders[move.path] = open_folder(self.galaxy, move.new_id, self.library)

    def _finish_folder(self, move: Move) -> None:
        left = open_folder(self.galaxy, move.item.id).items
        if left:
            raise MoveProblem(f"{move.item} ({move.item.id}): something was added to it meanwhile: run it again", TRY_LATER)
        self.galaxy.put(f"folders/{move.new_id}", {"name": move.name, "description": move.about.get("description") or ""})
        self._delete(move.item)

    def _move_dataset(self, move: Move) -> None:
        new = self._make_once(move, lambda parent: self._copy(move, parent))
        item = Item(DATASET, new, "/" + "/".join(move.path))
        wrong = find_differences(move.about, fetch_item(self.galaxy, item))
        other = {name: move.about.get(name) or "" for name in CARRIED if name in wrong}
        if other:
            self.galaxy.call("PATCH", f"libraries/datasets/{new}", other)
        keep_rights(self.galaxy, item, move.rights)
        for _ in self.galaxy.poll(SETTLE_SECONDS):
            about = fetch_item(self.galaxy, item)
            wrong = find_differences(move.about, about)
            if not wrong:
                break
        if wrong or about.get("deleted") or about.get("folder_id") != self.folders[move.to].id:
            why = ", ".join(wrong) or "deleted, or in another folder"
            raise MoveProblem(f"{move.item} ({move.item.id}): its copy {new} differs ({why}), so it stays where it was")
        self._delete(move.item)
        move.new_id = new

    def _copy(self, move: Move, parent: LibraryFolder) -> str:
        """Copy a dataset to a folder by way of a history; returns the copy's id."""
        self._history = self._history or self.find_history() or str(
            self.galaxy.post("histories", {"name": self.history_name})["id"])
        imported = self.galaxy.post(f"histories/{self._history}/contents", {"source": "library", "content": move.item.id})
        answer = self.galaxy.post(f"folders/{parent.id}/contents", {
            "from_hda_id": imported["id"], **({"ldda_message": move.about["message"]} if move.about.get("message") else {})})
        return str(answer["library_dataset_id"])

    def _delete(self, item: Item) -> None:
        route = "folders" if item.kind == FOLDER else "libraries/datasets"
        self.galaxy.delete(f"{route}/{item.id}")
        about = self.galaxy.get_or_none(f"{route}/{item.id}")
        if about and not about.get("deleted"):
            raise MoveProblem(f"{item} ({item.id}): Galaxy answered that it is deleted, and it is not; it is copied, too")
        assert self.notes
        MoveNotes(self.notes, item.id).save(made=None, asked=None, rights=None)

    # -------------------------------------------------------------------------------------------------------------- tidy

    def find_history(self) -> str:
        """The id of the history by way of which an earlier run has copied, "" if none is left."""
        histories = self.galaxy.pages("histories", {"q": "name-eq", "qv": self.history_name})
        return next((str(one["id"]) for one in histories if one["name"] == self.history_name and not one.get("deleted")), "")

    def tidy(self) -> None:
        """Delete the history by way of which datasets were copied; their bytes are the library's. Forget what is done."""
        history = self._history or self.find_history()
        if history:
            self.galaxy.delete(f"histories/{history}")
            self._history = ""
        if self.notes and not self.errors:
            self.notes.clear()
