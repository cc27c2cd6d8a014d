"""What the fake Galaxy knows of the permissions of libraries, folders and their datasets, with Galaxy 26.1's traps."""
import re

ROUTES = """
    GET library_rights libraries/(\\w+)/permissions
    POST library_rights libraries/(\\w+)/permissions
    GET folder_rights folders/(\\w+)/permissions
    POST folder_rights folders/(\\w+)/permissions
    GET file_rights libraries/datasets/(\\w+)/permissions
    POST file_rights libraries/datasets/(\\w+)/permissions
    GET groups groups
    GET group_roles groups/(\\w+)/roles"""
LAB, ANN, MY, OLD = (f"00000000000000e{number}" for number in range(4))
FIELDS = {"library": ("access_library_role_list", "add_library_item_role_list", "modify_library_role_list",
                      "manage_library_role_list"),
          "folder": ("add_library_item_role_list", "modify_folder_role_list", "manage_folder_role_list"),
          "file": ("access_dataset_roles", "manage_dataset_roles", "modify_item_roles")}


class LibraryRights:
    """`rights` is `{id: {permission: ids of roles}}`; datasets of which one is a `twin` of the other share access and
    manage. `closed` are the items whose permissions the user may not see; `nameable` the roles that one who is no
    administrator may name; `deaf` the items that answer 200 to any change, and make none; `unlisted` those that the
    library's list leaves out, because the user may change nothing in them."""

    def empty(self):
        self.role_names = {LAB: ("lab", "admin"), ANN: ("ann_b@example.org", "private"),
                              MY: ("me@example.org", "private"), OLD: ("old lab", "admin")}
        self.deleted_roles, self.nameable = {OLD}, {LAB, MY}
        self.rights, self.twins, self.closed, self.deaf, self.unlisted = {}, {}, set(), set(), set()
        super().empty()

    def rights_of(self, which):
        """`{permission: ids of roles}` of an item."""
        return self._rights(which, "" if which in self.libraries or which in self.folders else "file")

    def _rights(self, which, kind):
        own = self.rights.setdefault(which, {"access": [], "add": [], "modify": [], "manage": [MY] * (kind == "file")})
        if which in self.twins:
            own.update({name: self._rights(self.twins[which], kind)[name] for name in ("access", "manage")})
        return own

    def _is_admin(self, ask):
        return self.users[ask["key"]]["is_admin"]

    def _available(self, ask):
        ids = set(self.role_names) - self.deleted_roles if self._is_admin(ask) else self.nameable
        roles = [{"id": one, "name": self.role_names[one][0], "type": self.role_names[one][1]} for one in sorted(ids)]
        if self._is_admin(ask):     # to others Galaxy gives the whole list, whatever they ask for
            query, page, size = ask.get("q", ""), int(ask.get("page", 1)), int(ask.get("page_limit", 10))
            roles = [one for one in roles if one["name"].startswith(query) and not re.search("[_%/]", query)]
            roles = roles[(page - 1) * size:page * size]
        return {"roles": roles, "page": 1, "page_limit": 10, "total": len(roles)}

    def _get_rights(self, ask, kind, which):
        if which in self.closed and not self._is_admin(ask):
            self.refuse(403, {"err_msg": "You do not have proper permission to access permissions.", "err_code": 403002})
        if ask.get("scope") == "available":
            return self._available(ask)
        rights = self._rights(which, kind)
        return {field: [[self.role_names[one][0], one] for one in rights[field.partition("_")[0]]]
                for field in FIELDS[kind]}

    def _post_rights(self, ask, body, kind, which):
        self._get_rights(ask, kind, which)
        action, rights = body.get("action"), self._rights(which, kind)
        permissions = [field.partition("_")[0] for field in FIELDS[kind]]
        if not action and kind != "library":
            self.refuse(400, {"err_msg": 'The mandatory parameter "action" is missing.', "err_code": 400002})
        if which in self.deaf:
            return self._get_rights(ask, kind, which)
        if action == "remove_restrictions":
            rights["access"].clear()
            return self._get_rights(ask, kind, which)
        wanted = {name: body.get(f"{name}_ids[]", []) if action else [] for name in permissions}
        for name, roles in wanted.items():
            for one in roles:
                if not self._is_admin(ask) and one not in self.nameable:        # a dataset's access is changed by now
                    self.refuse(404, {"err_msg": "No accessible role found with the id provided.", "err_code": 404001})
            if kind == "file":
                self._set(rights, {name: roles})
        self._set(rights, wanted)
        if kind == "library":
            root = self.libraries[which]["root_folder_id"]
            self._set(self._rights(root, "folder"), {name: rights[name] for name in ("add", "modify", "manage")})
        return self._get_rights(ask, kind, which)

    def _set(self, rights, wanted):
        for name, roles in wanted.items():
            rights[name][:] = [one for one in roles if one not in self.deleted_roles]

    def get_library_rights(self, ask, body, which):
        return self._get_rights(ask, "library", which)

    def post_library_rights(self, ask, body, which, late=0.0):
        return self._post_rights(ask, body, "library", which)

    def get_folder_rights(self, ask, body, which):
        return self._get_rights(ask, "folder", which)

    def post_folder_rights(self, ask, body, which):
        return self._post_rights(ask, body, "folder", which)

    def get_file_rights(self, ask, body, which):
        return self._get_rights(ask, "file", which)

    def post_file_rights(self, ask, body, which):
        return self._post_rights(ask, body, "file", which)

    def get_groups(self, ask, body):
        return [{"id": "g1", "name": "the lab"}]

    def get_group_roles(self, ask, body, which):
        return [{"id": LAB, "name": "lab"}]
