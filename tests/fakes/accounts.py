"""A Galaxy of accounts, in memory, behind a port of this machine: users, groups, roles and quotas, and whose histories and
jobs there are, as an administrator sees them, in the shapes of Galaxy 26.1 and with its traps.

    with FakeAccounts() as galaxy:      # KEY is the administrator's; galaxy.me is that account
        ann = galaxy.add_user("ann@example.org", disk_usage=5000)       # its id
        galaxy.add_people(3000)         # person0@example.org, person1@example.org, ...
        galaxy.add_history(ann, update_time="2026-01-01T10:00:00.000000", size=5000)
        galaxy.add_job(ann, "2026-01-02T10:00:00.000000")
        lab = galaxy.add_group("lab", [ann])
        galaxy.add_quota("large", "50 GB", users=[ann], groups=[lab], default=None)
        galaxy.add_role("sequencing")

What there is stands in `users`, `groups`, `quotas`, `roles`, `histories` and `keys` (of the API: `{key: id of a user}`),
each `{id: fields}`; `asked`, `lines`, `kinds`, `count(...)` and `writes()` tell what was asked (see `LoopbackServer`).
`answers["PUT quota"]`, or of `GET /api/path`, is an answer, or a list of some, in place of the usual one;
`lost["POST users"] = 1` loses an answer once that is done; `deaf` has the kinds of requests that answer as ever and do
nothing. `delay` is how many seconds an answer takes, as of a server that is far. With `release = "24.1"` lists of users have
no pages, PUT adds to a group's members, a quota's associations are not emptied, and one with groups can't be read. A
subclass may have more `ROUTES` (lines of method, name and path) and, for each, a method named after it (`get_users`), which
takes the request's fields, its JSON and what stands for (\\w+) in the path.
"""
import re
import time
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from fakes import KEY
from fakes.server import LOST, LoopbackServer

ROUTES = """
    GET version version
    GET configuration configuration
    GET current users/current
    GET users users
    POST users users
    GET deleted_users users/deleted
    GET deleted_user users/deleted/(\\w+)
    POST undelete_user users/deleted/(\\w+)/undelete
    GET user users/(\\w+)
    PUT user users/(\\w+)
    DELETE user users/(\\w+)
    GET api_key users/(\\w+)/api_key
    GET groups groups
    POST groups groups
    GET group groups/(\\w+)
    PUT group groups/(\\w+)
    DELETE group groups/(\\w+)
    POST undelete_group groups/(\\w+)/undelete
    GET group_users groups/(\\w+)/users
    PUT group_user groups/(\\w+)/users?/(\\w+)
    DELETE group_user groups/(\\w+)/users?/(\\w+)
    GET group_roles groups/(\\w+)/roles
    PUT group_role groups/(\\w+)/roles/(\\w+)
    DELETE group_role groups/(\\w+)/roles/(\\w+)
    GET roles roles
    GET quotas quotas
    POST quotas quotas
    GET deleted_quotas quotas/deleted
    GET deleted_quota quotas/deleted/(\\w+)
    POST undelete_quota quotas/deleted/(\\w+)/undelete
    GET quota quotas/(\\w+)
    PUT quota quotas/(\\w+)
    DELETE quota quotas/(\\w+)
    GET histories histories
    GET jobs jobs"""
FOR_ALL = ("GET version", "GET configuration", "GET current")      # the others are for administrators
UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
EMAIL = re.compile(r"[^\s@,;\"()<>]+@[\w-]+(\.[\w-]+)*")
LONG_AGO = "2020-01-01T00:00:00.000000"


class Refusal(Exception):
    """An answer that is an error: its status and JSON."""


def refuse(status, message, code=0):
    raise Refusal(status, {"err_msg": message, "err_code": code})


class FakeAccounts(LoopbackServer):
    ROUTES = ROUTES

    def __init__(self, polls=0):
        self.users, self.groups, self.quotas, self.roles, self.histories = {}, {}, {}, {}, {}
        self.jobs, self.keys = [], {}
        self.confirms = False       # addresses are to be confirmed before jobs run (user_activation_on)
        self.answers, self.lost, self.deaf, self.delay, self.release = {}, Counter(), set(), 0.0, "26.1"
        self._made = 0
        self.routes = [(method, f"{method} {name}", re.compile(f"/api/{path}/?")) for method, name, path in
                       (line.split() for line in self.ROUTES.strip().splitlines())]
        super().__init__()
        self.me = self.add_user("admin@example.org", is_admin=True)
        self.keys[KEY] = self.me

    # ------------------------------------------------------------------------------------------------- what there is

    def _new(self, things, **fields):
        self._made += 1
        which = f"{self._made:016x}"
        things[which] = {"id": which, "deleted": False, **fields}
        return which

    def add_user(self, email, username=None, **fields):
        return self._new(self.users, **{
            "email": email, "username": username or re.sub("[^a-z0-9._-]", "-", email.split("@")[0].lower()), "active": True,
            "purged": False, "is_admin": False, "last_password_change": LONG_AGO, "disk_usage": 0, "quota_bytes": None,
            **fields})

    def add_people(self, count, **fields):
        """The ids of so many users."""
        return [self.add_user(f"person{number}@example.org", **fields) for number in range(count)]

    def add_key(self, user, key):
        self.keys[key] = user
        return key

    def add_group(self, name, users=(), roles=(), **fields):
        return self._new(self.groups, name=name, users=list(users), roles=list(roles), **fields)

    def add_role(self, name, **fields):
        return self._new(self.roles, **{"name": name, "type": "admin", "description": "", **fields})

    def add_quota(self, name, amount, operation="=", default=None, users=(), groups=(), **fields):
        return self._new(self.quotas, **{
            "name": name, "bytes": parse_amount(amount), "operation": operation, "default": default, "users": list(users),
            "groups": list(groups), "description": name, "quota_source_label": None, **fields})

    def add_history(self, user, name="a history", **fields):
        return self._new(self.histories, **{"user_id": user, "name": name, "size": 0, "create_time": LONG_AGO,
                                            "update_time": LONG_AGO, "purged": False, "tags": [], **fields})

    def add_job(self, user, create_time, **fields):
        self.jobs.append({"user_id": user, "create_time": create_time, "update_time": create_time, "state": "ok",
                          "tool_id": "cat1", "id": f"{len(self.jobs) + 1:016x}", **fields})

    def named(self, things, name):
        """The one of the `things` with that name, e-mail address or public name."""
        [one] = [one for one in things.values() if name in (one.get("name"), one.get("email"), one.get("username"))]
        return one

    def kind(self, method, path):
        return next(((name, match.groups()) for own, name, pattern in self.routes
                     if own == method and (match := pattern.fullmatch(path))), (method, ()))

    def find(self, things, which, is_deleted=None):
        if which not in things:
            refuse(404, "no such thing", 404001)
        if is_deleted is not None and things[which]["deleted"] != is_deleted:
            refuse(400, f"it is {'not ' * is_deleted}deleted", 400008)
        return things[which]

    # -------------------------------------------------------------------------------------------------------- users

    def get_version(self, ask, body):
        return {"version_major": self.release, "version_minor": "1"}

    def get_configuration(self, ask, body):
        return {"enable_quotas": True, "allow_user_deletion": True}

    def _shown(self, user, *more):
        return {name: user[name] for name in ("id", "username", "email", "deleted", "active", "last_password_change", *more)}

    def _detailed(self, user):
        usage, quota = user["disk_usage"], user["quota_bytes"]
        return {**self._shown(user, "is_admin", "purged", "quota_bytes"), "total_disk_usage": float(usage),
                "nice_total_disk_usage": f"{usage} bytes", "quota": "unlimited" if quota is None else f"{quota} bytes",
                "quota_percent": None if quota is None else 100 * usage // quota, "preferences": {}}

    def get_current(self, ask, body):
        return self._detailed(self.users[self.keys[ask["key"]]]) if ask["key"] in self.keys else {}

    def _listed(self, ask, is_deleted):
        text = ask.get("f_email", "").lower()
        return sorted((self._shown(user) for user in self.users.values()
                       if user["deleted"] == is_deleted and text in user["email"].lower()), key=lambda one: one["email"])

    def get_users(self, ask, body):
        found = self._listed(ask, ask.get("deleted") == "True")
        if self.release == "24.1":
            return sorted(found, key=lambda one: one["id"])
        start = int(ask.get("offset", 0))
        return found[start:start + int(ask.get("limit", len(found) + 1))]

    def get_deleted_users(self, ask, body):
        return self._listed(ask, True)

    def get_user(self, ask, body, which):
        return self._detailed(self.find(self.users, which, False))

    def get_deleted_user(self, ask, body, which):
        return self._detailed(self.find(self.users, which, True))

    def post_users(self, ask, body):
        email, name = body["email"], body["username"]
        if not EMAIL.fullmatch(email):
            refuse(400, "The format of the email address is not correct.", 400008)
        if len(body["password"]) < 6:
            refuse(400, "Use a password of at least 6 characters.", 400008)
        if any(one["email"].lower() == email.lower() for one in self.users.values()):
            refuse(400, f"User with email '{email}' already exists.", 400008)
        if not re.fullmatch("[a-z0-9._-]+", name):
            refuse(400, "Public name must contain only lower-case letters, numbers, '.', '_' and '-'.", 400008)
        if any(one["username"] == name for one in self.users.values()):
            refuse(400, "Public name is taken; please choose another.", 400008)
        made = self.add_user(email, name, password=body["password"], active=not self.confirms)
        return {**self._shown(self.users[made]), "total_disk_usage": 0.0, "nice_total_disk_usage": "0 bytes"}

    def put_user(self, ask, body, which):
        self.find(self.users, which, False).update(body)
        return self._detailed(self.users[which])

    def delete_user(self, ask, body, which):
        user = self.find(self.users, which)
        if ask.get("purge") in ("true", "True"):
            if not user["deleted"]:
                refuse(400, f"User '{user['email']}' has not been deleted, so they cannot be purged.", 400001)
            user.update(purged=True, email=f"{which}redacted", username=f"{which}redacted")
            for group in self.groups.values():
                group["users"] = [one for one in group["users"] if one != which]
        user["deleted"] = True
        return self._detailed(user)

    def post_undelete_user(self, ask, body, which):
        user = self.find(self.users, which)
        if user["purged"]:
            refuse(403, "Purged user cannot be undeleted.", 403005)
        user["deleted"] = False
        return self._detailed(user)

    def get_api_key(self, ask, body, which):
        self.find(self.users, which)
        key = next((key for key, user in self.keys.items() if user == which), "") or f"{int(which, 16):032x}"
        self.keys[key] = which
        return key

    # ------------------------------------------------------------------------------------------------ groups and roles

    def _summary(self, thing, model="Group"):
        return {"model_class": model, "id": thing["id"], "name": thing["name"], "url": f"{model.lower()}?id={thing['id']}"}

    def get_groups(self, ask, body):
        return [self._summary(one) for one in self.groups.values() if not one["deleted"]]

    def post_groups(self, ask, body):
        if any(one["name"] == body["name"] for one in self.groups.values()):       # deleted ones too
            refuse(409, f"A group with name '{body['name']}' already exists", 409001)
        made = self.add_group(body["name"], body.get("user_ids", []), body.get("role_ids", []))
        return [self._summary(self.groups[made])]

    def get_group(self, ask, body, which):
        return self._summary(self.find(self.groups, which))

    def put_group(self, ask, body, which):
        group = self.find(self.groups, which)
        if body.get("name") and any(one["name"] == body["name"] for one in self.groups.values()):      # its own, too
            refuse(409, f"A group with name '{body['name']}' already exists", 409001)
        for field in ("users", "roles"):
            ids = body.get(f"{field[:-1]}_ids")
            if ids is not None:
                group[field] = [*group[field], *ids] if self.release == "24.1" else list(ids)
        return self._summary(group)

    def delete_group(self, ask, body, which):
        self.find(self.groups, which)["deleted"] = True

    def post_undelete_group(self, ask, body, which):
        self.find(self.groups, which, True)["deleted"] = False

    def get_group_users(self, ask, body, which):
        return [{"id": one, "email": self.users[one]["email"], "url": "/"} for one in self.find(self.groups, which)["users"]]

    def get_group_roles(self, ask, body, which):
        return [{"id": one, "name": self.roles[one]["name"], "url": "/"} for one in self.find(self.groups, which)["roles"]]

    def _associate(self, things, field, which, other, is_added):
        self.find(things, other)
        ids = self.find(self.groups, which)[field]
        if is_added:
            ids += [other] * (other not in ids)
        elif other not in ids:
            refuse(404, "not in that group", 404001)
        else:
            ids.remove(other)
        return {"id": other, "url": "/"}

    def put_group_user(self, ask, body, which, user):
        return self._associate(self.users, "users", which, user, True)

    def delete_group_user(self, ask, body, which, user):
        return self._associate(self.users, "users", which, user, False)

    def put_group_role(self, ask, body, which, role):
        return self._associate(self.roles, "roles", which, role, True)

    def delete_group_role(self, ask, body, which, role):
        return self._associate(self.roles, "roles", which, role, False)

    def get_roles(self, ask, body):
        return [{"id": one["id"], "name": one["name"], "type": one["type"], "description": one["description"]}
                for one in self.roles.values() if not one["deleted"]]

    # -------------------------------------------------------------------------------------------------------- quotas

    def _quotas(self, is_deleted):
        return [{**self._summary(one, "Quota"), "quota_source_label": one["quota_source_label"]}
                for one in self.quotas.values() if one["deleted"] == is_deleted]

    def get_quotas(self, ask, body):
        return self._quotas(False)      # whatever `deleted=true` asks for

    def get_deleted_quotas(self, ask, body):
        return self._quotas(True)

    def _quota(self, one):
        if self.release == "24.1" and one["groups"]:
            refuse(500, "Internal Server Error")
        return {**self._summary(one, "Quota"), "description": one["description"], "bytes": one["bytes"],
                "operation": one["operation"], "quota_source_label": one["quota_source_label"],
                "display_amount": "unlimited" if one["bytes"] == -1 else f"{one['bytes']} bytes",
                "default": [{"model_class": "DefaultQuotaAssociation", "type": one["default"]}] if one["default"] else [],
                "users": [{"model_class": "UserQuotaAssociation", "user": self._shown(self.users[user])}
                          for user in one["users"]],
                "groups": [{"model_class": "GroupQuotaAssociation", "group": self._summary(self.groups[group])}
                           for group in one["groups"]]}

    def get_quota(self, ask, body, which):
        return self._quota(self.find(self.quotas, which, False))

    def get_deleted_quota(self, ask, body, which):
        return self._quota(self.find(self.quotas, which, True))

    def _make_default(self, quota, kind):
        for other in self.quotas.values():
            if other["default"] == kind and other["quota_source_label"] == quota["quota_source_label"]:
                other["default"] = None
        quota.update(default=kind, users=[], groups=[])

    def post_quotas(self, ask, body):
        if any(one["name"] == body["name"] for one in self.quotas.values()):       # deleted ones too
            refuse(400, "Quota names must be unique and a quota with that name already exists, please choose another name.")
        if body.get("default", "no") != "no" and body["operation"] != "=":
            refuse(400, "Operation for a default quota must be '='.")
        body["description"]     # which Galaxy requires
        made = self.add_quota(body["name"], body["amount"], body["operation"], description=body["description"],
                              users=body.get("in_users") or [], groups=body.get("in_groups") or [],
                              quota_source_label=body.get("quota_source_label"))
        if body.get("default", "no") != "no":
            self._make_default(self.quotas[made], body["default"])
        return {**self._summary(self.quotas[made], "Quota"), "message": "created"}

    def put_quota(self, ask, body, which):
        quota = self.find(self.quotas, which, False)
        if body.get("name"):
            quota.update(name=body["name"], description=body.get("description") or quota["description"])
        if body.get("amount"):
            quota.update(bytes=parse_amount(body["amount"]), operation=body.get("operation", "="))
        if body.get("default") == "no":
            quota["default"] = None
        elif body.get("default"):
            self._make_default(quota, body["default"])
        lists = body.get("in_users"), body.get("in_groups")
        if any(lists) or (lists != (None, None) and self.release != "24.1"):
            if quota["default"]:
                refuse(400, "Default quotas cannot be associated with specific users and groups.")
            for field, ids in zip(("users", "groups"), lists):
                quota[field] = ([] if self.release == "24.1" else quota[field]) if ids is None else list(ids)
        return ""

    def delete_quota(self, ask, body, which):
        quota = self.find(self.quotas, which, False)
        if quota["default"]:
            refuse(400, f"Quota '{quota['name']}' is a default, please unset it as a default before deleting it.")
        quota.update(deleted=True, **({"users": [], "groups": []} if (body or {}).get("purge") else {}))
        return f"Deleted 1 quotas: {quota['name']}"

    def post_undelete_quota(self, ask, body, which):
        self.find(self.quotas, which, True)["deleted"] = False
        return "Undeleted 1 quotas"

    # ---------------------------------------------------------------------------------------------- histories and jobs

    def get_histories(self, ask, body):
        """With `all=true` everybody's; as Galaxy does, those that are not deleted unless `q` says otherwise."""
        found = [one for one in self.histories.values() if ask.get("all") == "true" or one["user_id"] == self.me]
        rules = dict(zip(ask["many"].get("q", []), ask["many"].get("qv", [])))
        deleted = rules.pop("deleted", rules.pop("deleted-eq", "False"))
        found = [one for one in found if deleted in ("None", str(one["deleted"]))]
        for rule, value in rules.items():
            field, _, operation = rule.partition("-")
            found = [one for one in found if compare(one[field], operation, value)]
        field, _, direction = ask.get("order", "create_time-dsc").partition("-")
        found.sort(key=lambda one: one[field], reverse=direction == "dsc")
        start = int(ask.get("offset", 0))
        keys = ask["keys"].split(",") if "keys" in ask else None
        found = found[start:start + int(ask.get("limit", len(found) + 1))]
        return [{name: one.get(name) for name in keys or one} for one in found]

    def get_jobs(self, ask, body):
        found = [one for one in self.jobs if one["user_id"] == ask.get("user_id", one["user_id"])]
        found.sort(key=lambda one: one[ask.get("order_by", "update_time")], reverse=True)
        return found[:int(ask.get("limit", 500))]

    class Handler(LoopbackServer.Handler):
        @property
        def galaxy(self):
            return self.owner

        def serve(self):
            galaxy, name = self.galaxy, self.asked.kind
            if galaxy.delay:
                time.sleep(galaxy.delay)
            many = parse_qs(urlsplit(self.path).query)
            ask = {word: values[0] for word, values in many.items()}
            ask.update(many=many, key=self.headers.get("x-api-key", ""))
            body = self.json
            with galaxy.lock:
                answer = galaxy.answers.get(self.asked.line.partition("?")[0]) or galaxy.answers.get(name)
                answer = (answer.pop(0) if answer else None) if isinstance(answer, list) else answer
                if answer is not None:
                    return self.give(answer)
                is_lost = galaxy.lost[name] > 0
                galaxy.lost[name] -= is_lost
                try:
                    made = self.act(galaxy, name, ask, body)
                except Refusal as error:
                    return self.reply(*error.args)
            self.give((200, LOST if is_lost else made))

        def act(self, galaxy, name, ask, body):
            act = getattr(galaxy, name.lower().replace(" ", "_"), None)
            if act is None:
                refuse(404, self.asked.line, 404001)
            user = galaxy.users.get(galaxy.keys.get(ask["key"]))
            if name not in FOR_ALL and not (user and user["is_admin"]):
                refuse(403, "You must be an administrator to access this feature.", 403006)
            return "" if name in galaxy.deaf else act(ask, body, *self.ids)


def parse_amount(text):
    """An amount in bytes, -1 for no limit."""
    if text.lower() in ("unlimited", "none", "no limit"):
        return -1
    number, unit = re.fullmatch(r"([\d.]+)\s*(\w*)", text.lower()).groups()
    return int(float(number) * UNITS[unit])


def compare(value, operation, other):
    """Whether a field of a history fits what a query says."""
    return {"eq": value == other, "lt": value < other, "le": value <= other, "gt": value > other,
            "ge": value >= other}[operation or "eq"]
