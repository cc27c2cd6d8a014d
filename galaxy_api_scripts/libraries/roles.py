"""Roles that a key's user may give permissions to on an item of a data library, looked up by name, e-mail address or id."""
from __future__ import annotations

import re
from typing import NamedTuple

from common import MOST_PAGES, Galaxy, GalaxyError, did_you_mean

PAGE_SIZE = 5000
PRIVATE = "private"


class Role(NamedTuple):
    """A role; the name of a user's private one is the user's e-mail address."""

    id: str
    name: str
    type: str


class RoleFinder:
    """The roles that Galaxy accepts on an item from this key. For an administrator these are all that are not deleted; for
    others they depend on the item. Galaxy drops any other role from a change, and answers 200 (26.1)."""

    def __init__(self, galaxy: Galaxy):
        self.galaxy = galaxy
        self.is_admin = bool(galaxy.current_user().get("is_admin"))
        self._lists: dict[tuple[str, str], dict[str, Role]] = {}

    def find(self, text: str, address: str) -> Role:
        """The one role whose name or id is `text`, for the item with its permissions at `address`. Raises `GalaxyError` for
        none and for several."""
        roles = self._roles(address, text)
        matches = [role for role in roles.values() if text in (role.name, role.id)]
        if not matches:
            roles = self._roles(address)
            matches = [role for role in roles.values() if text in (role.name, role.id)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            ids = ", ".join(f"{role.id} ({role.type})" for role in matches)
            raise GalaxyError(f"{len(matches)} roles are named {text!r}: {ids}; give the id of one")
        raise GalaxyError(f"there is no role {text!r}" + (
            self._group_hint(text) or did_you_mean(text, [role.name for role in roles.values()]) if self.is_admin else
            " that this key's user may name here: an administrator may name any role, users' private ones too"))

    def known(self, role_id: str, name: str, address: str) -> Role | None:
        """The role with that id and name, if Galaxy accepts it on the item; None if it would drop it."""
        return self._roles(address, name).get(role_id) or self._roles(address).get(role_id)

    def _roles(self, address: str, name: str = "") -> dict[str, Role]:
        """`{id: role}` of the roles that begin as `name` does, all for ""."""
        # A _, % or / in a query finds nothing (26.1): Galaxy escapes its own escapes.
        query = re.split("[_%/]", name)[0].strip()
        key = ("" if self.is_admin else address, query)
        if key not in self._lists:
            self._lists[key] = self._ask(address, query)
        return self._lists[key]

    def _ask(self, address: str, query: str) -> dict[str, Role]:
        roles: dict[str, Role] = {}
        for page in range(1, MOST_PAGES + 1):
            answer = self.galaxy.get(address, {"scope": "available", "page": page, "page_limit": PAGE_SIZE,
                                               **({"q": query} if query else {})})
            count = len(roles)
            roles.update((one["id"], Role(one["id"], one["name"], one["type"])) for one in answer["roles"])
            # `total` counts this page alone (26.1). To most users who are no administrators all comes with each page.
            if len(answer["roles"]) < PAGE_SIZE or len(roles) == count:
                return roles
        raise GalaxyError(f"{address}: {len(roles)} roles, and no end of them")

    def _group_hint(self, name: str) -> str:
        """What to name in place of a group, "" if there is no group of that name."""
        for group in self.galaxy.get("groups"):
            if group["name"] == name:
                names = [str(role["name"]) for role in self.galaxy.get(f"groups/{group['id']}/roles")]
                return f": that is a group, and permissions are given to roles: this group has {', '.join(names) or 'none'}"
        return ""
