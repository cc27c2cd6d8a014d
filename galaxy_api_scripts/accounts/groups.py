"""Groups of users: read with their members and roles, changed one member at a time, read back."""
from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from common import Galaxy, GalaxyError
from galaxy_api_scripts.accounts.directory import act_or_look, post_once
from galaxy_api_scripts.files import state_folder, write_atomic
from galaxy_api_scripts.together import ask_each


@dataclass
class Group:
    """A group that is not deleted: `members` is `{id: e-mail address}`, `roles` `{id: name}`."""

    id: str
    name: str
    members: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)


def fetch_groups(galaxy: Galaxy, with_roles: bool = False) -> dict[str, Group]:
    """`{name: group}`, each with its members, and its roles if wanted, by a request for each."""
    def read(one: dict[str, Any]) -> Group:
        return read_group(galaxy, one["id"], one["name"], with_roles)
    return {group.name: group for group in ask_each(read, galaxy.get("groups"))}


def read_group(galaxy: Galaxy, group_id: str, name: str, with_roles: bool = False) -> Group:
    """A group with its members, and its roles if wanted."""
    members = {one["id"]: one["email"] for one in galaxy.get(f"groups/{group_id}/users")}
    roles = {one["id"]: one["name"] for one in galaxy.get(f"groups/{group_id}/roles")} if with_roles else {}
    return Group(group_id, name, members, roles)


def create_group(galaxy: Galaxy, name: str, users: list[str], roles: list[str]) -> tuple[str, bool]:
    """Make a group of users and roles, by their ids; returns its id, and whether it was made. If not, it was undeleted: a
    deleted group keeps its name, and Galaxy lists none of these (26.1), so this knows those that `delete_group` deleted."""
    def find() -> str | None:
        return next((str(one["id"]) for one in galaxy.get("groups") if one["name"] == name), None)
    try:
        return post_once(galaxy, "groups", {"name": name, "user_ids": users, "role_ids": roles}, "group", name, find), True
    except GalaxyError as error:
        if error.status != 409:
            raise
    known = _read_deleted(galaxy).get(name, "")
    if not known or (galaxy.get_or_none(f"groups/{known}") or {}).get("name") != name:
        raise GalaxyError(f"group {name!r} was deleted, and keeps its name: undelete it on Galaxy's page (Admin, Groups), "
                          "or rename it there, then run the same line again", status=409)
    act_or_look(lambda: galaxy.call("POST", f"groups/{known}/undelete"), find)
    return known, False


def delete_group(galaxy: Galaxy, group: Group) -> None:
    """Delete a group, which keeps its name. Raises `GalaxyError` if it is still there."""
    with contextlib.suppress(OSError):      # without a state folder it is undeleted by hand
        _write_deleted(galaxy, {**_read_deleted(galaxy), group.name: group.id})
    galaxy.delete(f"groups/{group.id}")
    if any(one["id"] == group.id for one in galaxy.get("groups")):
        raise GalaxyError("Galaxy has answered that it is deleted, and it is still there")


def _deleted_file(galaxy: Galaxy) -> Any:
    return state_folder("deleted_groups") / f"{hashlib.sha256(galaxy.base.encode()).hexdigest()[:32]}.json"


def _read_deleted(galaxy: Galaxy) -> dict[str, str]:
    """`{name: id}` of the groups that were deleted from this machine."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(_deleted_file(galaxy).read_text())
        return {str(name): str(which) for name, which in known.items()} if isinstance(known, dict) else {}
    return {}


def _write_deleted(galaxy: Galaxy, known: dict[str, str]) -> None:
    write_atomic(_deleted_file(galaxy), json.dumps(known).encode(), overwrite=True, mode=0o600)


# One member or role at a time: PUT of all of a group's adds to them on Galaxy 24.1, and some of them twice.

def add_member(galaxy: Galaxy, group_id: str, user_id: str) -> None:
    """Add a user to a group."""
    galaxy.put(f"groups/{group_id}/users/{user_id}")


def remove_member(galaxy: Galaxy, group_id: str, user_id: str) -> None:
    """Take a user out of a group, who may be out of it already."""
    _delete(galaxy, f"groups/{group_id}/user/{user_id}")


def add_role(galaxy: Galaxy, group_id: str, role_id: str) -> None:
    """Give a group a role."""
    galaxy.put(f"groups/{group_id}/roles/{role_id}")


def remove_role(galaxy: Galaxy, group_id: str, role_id: str) -> None:
    """Take a role from a group, which may not have it already."""
    _delete(galaxy, f"groups/{group_id}/roles/{role_id}")


def _delete(galaxy: Galaxy, path: str) -> None:
    try:
        galaxy.delete(path)
    except GalaxyError as error:
        if error.status != 404:     # a first request whose answer was lost has done it
            raise
