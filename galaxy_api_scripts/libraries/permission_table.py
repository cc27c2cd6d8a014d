"""Who may do what in data libraries, as a table says it: for each library, folder or dataset that it names."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common import FAILED, Galaxy, GalaxyError
from galaxy_api_scripts.libraries.permissions import (
    ACCESS,
    FIELDS,
    PERMISSIONS,
    Change,
    Item,
    ItemProblem,
    LibraryPermissions,
    Rights,
    list_items,
)
from galaxy_api_scripts.libraries.roles import RoleFinder
from galaxy_api_scripts.libraries.walk import split_path
from galaxy_api_scripts.tables import Problems, Row, read_rows

PUBLIC = "public"       # in place of roles that have access
COLUMNS = {"library": (), "path": (), **dict.fromkeys(PERMISSIONS, ())}

Roles = dict[str, list[str]]        # {permission: roles that alone have it, as they are typed}


@dataclass
class TablePart:
    """Items of one library that get the same permissions, and what is to become of them."""

    library: str        # its name
    permissions: LibraryPermissions
    planned: dict[Item, Rights]


def read_permission_table(name: str) -> tuple[list[tuple[Row, Roles]], Problems]:
    """The rows of the table in the file `name`, each with the roles that it names, and what is wrong with them."""
    rows, problems = read_rows(name, COLUMNS, ["library"])
    parsed = []
    for row in rows:
        roles = {permission: row.names(permission) for permission in PERMISSIONS}
        named: Roles = {permission: names for permission, names in roles.items() if names is not None}
        if not row.cells["library"]:
            problems.note(row.line, "it names no library")
        if not named:
            problems.note(row.line, f"it names no role: {', '.join(PERMISSIONS)} are empty; - is for none")
        if named.get(ACCESS) == [] or PUBLIC in named.get(ACCESS, []) and len(named[ACCESS]) > 1:
            problems.note(row.line, f"what no role has access to is public: write {PUBLIC} for that, alone")
        if row.cells["path"].strip("/") == "" and row.cells["path"]:
            problems.note(row.line, "the root folder has the permissions of its library: leave path empty")
        parsed.append((row, named))
    return parsed, problems


def plan_table(galaxy: Galaxy, name: str, recursive: bool, is_admin: bool) -> list[TablePart]:
    """What the table in the file `name` would change; if `recursive`, its rows hold for all below as well, where no row for
    something nearer says otherwise. Raises `GalaxyError` for all that is wrong with it, before anything is changed."""
    rows, problems = read_permission_table(name)
    problems.raise_any()
    by_library: dict[str, tuple[dict[str, Any], list[tuple[Row, Roles]]]] = {}
    ids: dict[str, str] = {}
    for row, roles in rows:
        text = row.cells["library"]
        try:
            if text not in ids:
                library = galaxy.resolve("libraries", text)
                ids[text] = library["id"]
                by_library.setdefault(library["id"], (library, []))
            by_library[ids[text]][1].append((row, roles))
        except GalaxyError as error:
            if error.exit_code != FAILED or error.status == 401:
                raise
            problems.note(row.line, str(error))
    parts, finder = [], RoleFinder(galaxy)
    for library, its_rows in by_library.values():
        is_whole = recursive or any(row.cells["path"] for row, _ in its_rows)
        items = list_items(galaxy, library, None, is_whole, is_admin)
        for roles, group in _group_items(items, its_rows, recursive, problems):
            parts.append((library["name"], LibraryPermissions(galaxy, group, finder), roles))
    problems.raise_any()
    planned = []
    for library_name, permissions, roles in parts:
        permissions.read()
        is_public = roles.get(ACCESS) == [PUBLIC]
        changes = {permission: Change(exact=[] if permission == ACCESS and is_public else names)
                   for permission, names in roles.items()}
        try:
            planned.append(TablePart(library_name, permissions, permissions.plan(changes, is_public, is_restricted=True)))
        except GalaxyError as error:
            line = _line_of_role(str(error), rows)
            if isinstance(error, ItemProblem) or error.status or error.exit_code != FAILED or not line:
                raise
            problems.note(line, str(error))
    problems.raise_any()
    return planned


def _line_of_role(problem: str, rows: list[tuple[Row, Roles]]) -> int:
    """The line of the first row with a role that a problem names, 0 for none."""
    return next((row.line for row, roles in rows for names in roles.values() for name in names if repr(name) in problem), 0)


def _group_items(items: list[Item], rows: list[tuple[Row, Roles]], recursive: bool, problems: Problems
                 ) -> list[tuple[Roles, list[Item]]]:
    """The items that rows speak of, those together that get the same roles."""
    wanted: dict[Item, Roles] = {}
    lines: dict[tuple[Item, str], int] = {}
    found = []
    for row, roles in rows:
        path, whole = row.cells["path"], "/" + "/".join(split_path(row.cells["path"]))
        own = items[:2] if not path else [item for item in items[2:] if path == item.id or item.path == whole]
        if len(own) == 1 or not path:
            found.append((own, row, roles))
        else:
            problems.note(row.line, f"{len(own) or 'nothing'} {'items are' if own else 'is'} at {path!r}" + "".join(
                f", {item.kind} {item.id}" for item in own))
    for own, row, roles in sorted(found, key=lambda one: len(split_path(one[0][-1].path))):
        start = "/" if len(own) > 1 else f"{own[0].path}/"
        below = [item for item in items[2:] if recursive and item.path.startswith(start)]
        for permission, names in roles.items():
            if not any(permission in FIELDS[item.kind] for item in [*own, *below]):
                problems.note(row.line, f"{permission} is no permission of a {own[0].kind}")
            if (own[0], permission) in lines:
                problems.note(row.line, f"{permission} of {own[0]} is in line {lines[own[0], permission]}, too")
            lines[own[0], permission] = row.line
            for item in [*own, *below]:
                wanted.setdefault(item, {})[permission] = names
    groups: dict[str, tuple[Roles, list[Item]]] = {}
    for item in items:
        own_roles = {name: names for name, names in wanted.get(item, {}).items()
                     if name in FIELDS[item.kind] or item in items[:2]}
        if own_roles:
            groups.setdefault(repr(sorted(own_roles.items())), (own_roles, []))[1].append(item)
    return list(groups.values())
