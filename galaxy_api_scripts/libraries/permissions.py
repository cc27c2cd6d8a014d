"""Who may access, add to, modify and manage data libraries, their folders and their datasets: read, changed, read back."""
from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from common import USAGE, Galaxy, GalaxyError, require_active_folder
from galaxy_api_scripts.libraries.contents import list_library, open_folder
from galaxy_api_scripts.libraries.roles import PRIVATE, Role, RoleFinder
from galaxy_api_scripts.together import ask_together

LIBRARY, FOLDER, DATASET = "library", "folder", "dataset"
ACCESS, MANAGE = "access", "manage"
PERMISSIONS = (ACCESS, "add", "modify", MANAGE)
# {kind of item: {permission: the field of its roles}} in the answers of 24.1 to 26.1
FIELDS = {
    LIBRARY: {ACCESS: "access_library_role_list", "add": "add_library_item_role_list", "modify": "modify_library_role_list",
              MANAGE: "manage_library_role_list"},
    FOLDER: {"add": "add_library_item_role_list", "modify": "modify_folder_role_list", MANAGE: "manage_folder_role_list"},
    DATASET: {ACCESS: "access_dataset_roles", "modify": "modify_item_roles", MANAGE: "manage_dataset_roles"},
}
ROUTES = {LIBRARY: "libraries", FOLDER: "folders", DATASET: "libraries/datasets"}
READ_AT_ONCE = 8        # items
SETTLE_SECONDS = 3      # in which an answer may still be from before a change
MAX_NAMED = 3           # items in a message
ITEM_STATUSES = (400, 403, 404, 500)    # of answers that concern one item, and not the server

Rights = dict[str, dict[str, str]]      # {permission: {id: name of a role that has it}}; access is everybody's if it is {}


class Item(NamedTuple):
    """A library, or a folder or dataset in one."""

    kind: str
    id: str
    path: str

    @property
    def address(self) -> str:
        return f"{ROUTES[self.kind]}/{self.id}/permissions"

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


@dataclass
class Change:
    """What becomes of one permission: roles, as they were typed, that alone have it, or that get or lose it."""

    exact: list[str] | None = None
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class ItemProblem(GalaxyError):
    """One item can't be changed as asked; others may."""


class NeedsDecision(ItemProblem):
    """The change would open an item to everybody, close it to them, or leave a dataset to nobody: not unasked."""


def parse_changes(words: Iterable[str], is_public: bool, is_restricted: bool) -> dict[str, Change]:
    """The changes that words such as `manage+=ROLE` name, by permission. `is_public`: let everybody have access;
    `is_restricted`: what everybody has access to may be taken from them. Raises `GalaxyError` (USAGE)."""
    changes: dict[str, Change] = {}
    for word in words:
        match = re.fullmatch(r"(\w+)([+-]?)=(.*)", word, re.DOTALL)
        if not match or match[1] not in PERMISSIONS:
            raise GalaxyError(f"CHANGE: {word!r} is none: expected {', '.join(PERMISSIONS[:-1])} or {PERMISSIONS[-1]}, then "
                              "=, += or -= and a role, such as manage+=ann@example.org", USAGE)
        permission, sign, role = match[1], match[2], match[3].strip()
        change = changes.setdefault(permission, Change())
        if not role and sign:
            raise GalaxyError(f"CHANGE: {word!r} names no role: is a variable unset?", USAGE)
        if not sign:
            change.exact = [*(change.exact or []), *([role] if role else [])]
        else:
            (change.added if sign == "+" else change.removed).append(role)
        if change.exact is not None and (change.added or change.removed):
            raise GalaxyError(f"CHANGE: {permission}= says which roles alone have it, so it goes without += and -=", USAGE)
        if set(change.added) & set(change.removed):
            raise GalaxyError(f"CHANGE: {role!r} is both added to and removed from {permission}", USAGE)
    access = changes.get(ACCESS)
    if access and access.exact == [] or is_public and access and (access.exact or access.added):
        raise GalaxyError("what no role has access to is public: --public says so, without roles that have access", USAGE)
    if is_restricted and (is_public or not access or not (access.exact or access.added)):
        raise GalaxyError("--restrict: say to whom, by access= or access+= and a role, and not --public", USAGE)
    if is_public and not access:
        changes[ACCESS] = Change(exact=[])
    return changes


def list_items(galaxy: Galaxy, library: dict[str, Any], path: str | None, recursive: bool, is_admin: bool) -> list[Item]:
    """The items to look at: a library and its root folder, or what is at `path` in it, which may be an id; if `recursive`,
    with all below. To `is_admin` Galaxy lists all of them at once. Raises `GalaxyError` unless exactly one thing is
    there, and where the library is deleted."""
    root = Item(FOLDER, require_active_folder(galaxy, library["id"]), "/")
    start = [Item(LIBRARY, library["id"], library["name"]), root]
    if path is None and not recursive:
        return start
    items = list_contents(galaxy, library["id"], root, is_admin)
    if path is not None:
        whole = "/" + "/".join(filter(None, path.split("/")))
        start = [item for item in [root, *items] if path == item.id or whole == item.path]
        if len(start) != 1:
            found = f"{len(start)} items: {', '.join(f'{one.kind} {one.id}' for one in start)}; give the id of one"
            raise GalaxyError(f"library {library['name']!r} has {found if start else 'nothing'} at {path!r}"
                              + ("" if start else " that this key's user may see"))
    if not recursive:
        return start
    top = "" if path is None or start[0] == root else start[0].path
    below = [] if start[-1].kind == DATASET else [item for item in items if item.path.startswith(f"{top}/")]
    return start + sorted(below, key=lambda item: (item.path.split("/"), item.id))


def list_contents(galaxy: Galaxy, library: str, root: Item, is_admin: bool) -> list[Item]:
    """All folders and datasets of a library, below its folder `root`, that the key's user may see."""
    listing = list_library(galaxy, library)
    items = [Item(kind, one, f"/{name}") for kind, ids_by_path in ((FOLDER, listing.folders), (DATASET, listing.files))
             for name, ids in ids_by_path.items() for one in ids]
    return items if is_admin else [*items, *_unlisted(galaxy, root.id, {item.id for item in items})]


def _unlisted(galaxy: Galaxy, root: str, known: set[str]) -> Iterator[Item]:
    """What the folders of a library, from `root` on, show to a user who is no administrator, and the library's list does
    not: folders without anything that this user may change (26.1). Whoever changes all is to be told of these."""
    folders, seen = [(root, "")], {root}
    for folder, path in folders:        # which grows
        try:
            inside = open_folder(galaxy, folder).items
        except GalaxyError as error:
            if error.status not in ITEM_STATUSES:
                raise
            continue
        for one in inside:
            item = Item(DATASET if one["type"] == "file" else FOLDER, one["id"], f"{path}/{one['name']}")
            if item.kind == FOLDER and item.id not in seen:
                folders.append((item.id, item.path))
            seen.add(item.id)
            if item.id not in known:
                yield item


def parse_rights(item: Item, answer: Any) -> Rights:
    """The permissions in an answer of Galaxy; raise `GalaxyError` where they are not all there."""
    fields = FIELDS[item.kind]
    if not isinstance(answer, dict) or not all(isinstance(answer.get(name), list) for name in fields.values()):
        raise GalaxyError(f"{item.address}: the answer does not tell {', '.join(fields.values())}")
    return {permission: {role_id: name for name, role_id in answer[name]} for permission, name in fields.items()}


def as_ids(rights: Rights) -> dict[str, set[str]]:
    """The ids of the roles by permission, to be compared: a role's name says nothing."""
    return {permission: set(roles) for permission, roles in rights.items()}


class LibraryPermissions:
    """The permissions of some items of a library, and changes of them: `read`, then `plan`, then `apply`. `rights` are those
    read, by item; `errors` those of single items, by item; `failure` is what ended the work early."""

    def __init__(self, galaxy: Galaxy, items: list[Item], finder: RoleFinder | None = None):
        self.galaxy, self.items, self._finder = galaxy, items, finder
        self.errors: dict[Item, GalaxyError] = {}
        self.failure: GalaxyError | None = None
        self.rights: dict[Item, Rights] = {}
        self.changes: dict[str, Change] = {}
        self.is_public = self.is_restricted = False
        self._roles: dict[str, Role] = {}       # those that the changes name, as they were typed

    def read(self) -> None:
        """Ask for the permissions of all items."""
        for start in range(0, len(self.items), READ_AT_ONCE):
            items = self.items[start:start + READ_AT_ONCE]
            for rights, errors in ask_together(*(functools.partial(self._try_read, item) for item in items)):
                self.rights.update(rights)
                self.errors.update(errors)

    def _try_read(self, item: Item) -> tuple[dict[Item, Rights], dict[Item, GalaxyError]]:
        try:
            return {item: self._read(item)}, {}
        except GalaxyError as error:
            if error.status not in ITEM_STATUSES:
                raise
            return {}, {item: error}

    def _read(self, item: Item) -> Rights:
        return parse_rights(item, self.galaxy.get(item.address))

    # -------------------------------------------------------------------------------------------------------------- plan

    def plan(self, changes: dict[str, Change], is_public: bool, is_restricted: bool) -> dict[Item, Rights]:
        """What the permissions of the items that change would be. Raises `GalaxyError` for a role that is not there, for a
        permission that no item has, and, as `NeedsDecision`, for what --public or --restrict has to say. Items whose roles
        Galaxy would not take are among the errors then."""
        self.changes, self.is_public, self.is_restricted = changes, is_public, is_restricted
        for permission in changes:
            if not any(permission in FIELDS[item.kind] for item in self.items):
                kinds = [kind for kind, fields in FIELDS.items() if permission in fields]
                raise GalaxyError(f"{permission} is a permission of a {' and of a '.join(kinds)}, and here is none", USAGE)
        if not self.rights:
            return {}
        self.finder = self._finder or RoleFinder(self.galaxy)
        for text in (text for change in changes.values()
                     for text in [*(change.exact or []), *change.added, *change.removed]):
            self._roles[text] = self._find(text)
        planned: dict[Item, Rights] = {}
        undecided: dict[str, list[Item]] = {}
        for item, now in self.rights.items():
            try:
                wanted = self._wanted(item, now)
            except NeedsDecision as error:
                undecided.setdefault(str(error), []).append(item)
                continue
            if as_ids(wanted) != as_ids(now):
                planned[item] = wanted
        for reason, items in undecided.items():
            names = ", ".join(map(str, items[:MAX_NAMED])) + (", ..." if len(items) > MAX_NAMED else "")
            raise NeedsDecision(f"nothing was changed: {len(items)} of {len(self.rights)} items ({names}): {reason}")
        for group in self._groups():
            try:
                self._require_legal(group, [self.rights[item] for item in group],
                                    [planned.get(item, self.rights[item]) for item in group])
            except ItemProblem as error:
                for item in group:
                    planned.pop(item, None)
                    self.errors[item] = error
        return planned

    def _find(self, text: str) -> Role:
        """The role that was typed: one that has a permission here already, even if it is deleted, or another one."""
        held = {role_id: name for rights in self.rights.values() for roles in rights.values()
                for role_id, name in roles.items() if text in (name, role_id)}
        try:
            return self.finder.find(text, next(iter(self.rights)).address)
        except GalaxyError:
            if len(held) != 1:
                raise
        [(role_id, name)] = held.items()
        return Role(role_id, name, "")

    def _wanted(self, item: Item, now: Rights) -> Rights:
        """What the permissions of an item become. Raises `NeedsDecision`."""
        wanted = dict(now)
        for permission, change in self.changes.items():
            if permission not in now:
                continue
            gone = {self._roles[text].id for text in change.removed}
            roles = {role_id: name for role_id, name in now[permission].items() if role_id not in gone}
            if change.exact is not None:
                roles = {}
            new = [self._roles[text] for text in [*(change.exact or []), *change.added]]
            wanted[permission] = {**roles, **{role.id: role.name for role in new}}
        if ACCESS in now and set(now[ACCESS]) != set(wanted[ACCESS]):
            if not now[ACCESS] and not self.is_restricted:
                raise NeedsDecision("everybody has access, which would end with a role that has it: --restrict if it is to")
            if not wanted[ACCESS] and not self.is_public:
                raise NeedsDecision("the last role that has access would go, and everybody would have it: --public if so")
        if item.kind == DATASET and now[MANAGE] and not wanted[MANAGE]:
            raise NeedsDecision("a dataset that no role manages is lost to its owner: leave it a role")
        if now[MANAGE] and not wanted[MANAGE] and not self.finder.is_admin:
            raise NeedsDecision("nobody but administrators could manage it, not this key's user either: leave it a role")
        return wanted

    def _groups(self) -> list[list[Item]]:
        """The items that change together: a library takes its root folder with it."""
        items = [item for item in self.items if item in self.rights]
        pair = [item for item in items[:2] if item.kind == LIBRARY or item.path == "/"]
        if len(pair) < 2:
            return [[item] for item in items]
        return [pair, *([item] for item in items if item not in pair)]

    def _require_legal(self, items: Sequence[Item], now: Sequence[Rights], wanted: Sequence[Rights]) -> None:
        """Raise `ItemProblem` if Galaxy would drop a role from what is to be set, or if nobody could read a dataset."""
        for item, old, new in zip(items, now, wanted):
            is_overwritten = items[0].kind == LIBRARY and _is_set_whole(items[0], now[0], wanted[0])
            if as_ids(old) == as_ids(new) and not is_overwritten:
                continue
            roles = {role_id: name for one in new.values() for role_id, name in one.items()}
            known = {role_id: self.finder.known(role_id, name, item.address) for role_id, name in roles.items()
                     } if is_overwritten or _is_set_whole(item, old, new) else {}
            dropped = [f"{roles[role_id]!r} ({role_id})" for role_id, role in known.items() if not role]
            if dropped:
                raise ItemProblem(f"Galaxy would not keep {', '.join(dropped)}: " + (
                    "the role is deleted: take it off by -=, from each permission that has it" if self.finder.is_admin else
                    "this key's user may not name them, an administrator may"))
            access = new.get(ACCESS, {})
            if item.kind == DATASET and len(access) > 1 and as_ids(old)[ACCESS] != set(access) and any(
                    role and role.type == PRIVATE for role in map(known.get, access)):
                raise ItemProblem(f"only who has all of the roles {', '.join(access.values())} could read it, and one is a "
                                  "single user's: give access to one role that all of them have")

    # ------------------------------------------------------------------------------------------------------------- apply

    def apply(self, planned: dict[Item, Rights]) -> dict[Item, tuple[Rights, Rights]]:
        """Change what is planned, item by item, each looked at once more before; return what Galaxy says the permissions
        were and are, read back. What did not take is among the errors."""
        done: dict[Item, tuple[Rights, Rights]] = {}
        for group in self._groups():
            if not any(item in planned for item in group):
                continue
            try:
                self._apply(group, done)
            except GalaxyError as error:
                if error.status not in ITEM_STATUSES and not isinstance(error, ItemProblem):
                    self.failure = error        # the server's: the others would fare no better
                    break
                self.errors.update((item, error) for item in group if item not in self.errors)
        return done

    def _apply(self, items: list[Item], done: dict[Item, tuple[Rights, Rights]]) -> None:
        before = [self._read(item) for item in items]
        wanted = [self._wanted(item, rights) for item, rights in zip(items, before)]
        self._require_legal(items, before, wanted)
        state, failures, answers = list(before), dict[Item, GalaxyError](), dict[Item, Rights]()
        for number, item in enumerate(items):
            if as_ids(state[number]) == as_ids(wanted[number]):
                continue
            try:
                answers[item] = parse_rights(item, self.galaxy.call("POST", item.address, _payload(
                    item, state[number], wanted[number])))
            except GalaxyError as error:
                failures[item] = error
            if item.kind == LIBRARY and _is_set_whole(item, before[0], wanted[0]):
                # Galaxy gives the root folder all that the library has.
                state[1:] = [{name: roles for name, roles in answers.get(item, wanted[0]).items() if name != ACCESS}]
                answers.update(zip(items[1:], state[1:]))
        for item, old, new in zip(items, before, wanted):
            if item not in answers and item not in failures:
                continue        # it is so already: two items of one dataset
            try:
                is_refused = item in failures and failures[item].status in ITEM_STATUSES
                now = self._read_until(item, new, 0 if is_refused else SETTLE_SECONDS)
            except GalaxyError as error:
                if error.status != 403 or item not in answers:
                    raise
                now = answers[item]     # this key's user manages it no longer
            if as_ids(now) != as_ids(old):
                done[item] = old, now
            if as_ids(now) != as_ids(new):
                self.errors[item] = _not_taken(new, now, failures.get(item))

    def _read_until(self, item: Item, wanted: Rights, timeout: float) -> Rights:
        """The permissions of an item once they are as wanted, or as they are when the time is up: under load, Galaxy's next
        answer can be from before a change (26.1, SQLite, once in six runs of some twenty changes)."""
        for _ in self.galaxy.poll(timeout):
            now = self._read(item)
            if as_ids(now) == as_ids(wanted):
                break
        return now


def _is_set_whole(item: Item, now: Rights, wanted: Rights) -> bool:
    """Whether a change takes the request that sets all permissions of an item at once. Access alone can be made public by
    another one, which leaves the others as they are."""
    changed = {permission for permission in now if set(now[permission]) != set(wanted[permission])}
    return bool(changed) and not (changed == {ACCESS} and not wanted[ACCESS])


def _payload(item: Item, now: Rights, wanted: Rights) -> dict[str, Any]:
    if not _is_set_whole(item, now, wanted):
        return {"action": "remove_restrictions"}
    # Each permission that is left out would lose all of its roles; without an action a library would lose all of all.
    return {"action": "set_permissions", **{f"{permission}_ids[]": list(roles) for permission, roles in wanted.items()}}


def _not_taken(wanted: Rights, now: Rights, failure: GalaxyError | None) -> GalaxyError:
    parts = [f"{permission} was to be {_names(wanted[permission], permission)} and is {_names(now[permission], permission)}"
             for permission in now if set(now[permission]) != set(wanted[permission])]
    reason = str(failure) if failure else "Galaxy answered that it is done"
    return GalaxyError(f"{'; '.join(parts)} ({reason})", status=failure.status if failure else 200)


def _names(roles: dict[str, str], permission: str) -> str:
    return ", ".join(sorted(roles.values())) or ("everybody's" if permission == ACCESS else "nobody's")
