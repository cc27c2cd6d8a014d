"""A Galaxy of many users and histories, in memory, behind a port of this machine, in the shapes of Galaxy 26.1.

It has a clock of its own, `now`, which each answer tells in its header Date; what is changed has that time. By itself
(`python -m fakes.administration USERS HISTORIES DELAY ROW_DELAY` in tests/) it prints its address; `GET /asked` counts what
was asked since the last time.
"""
import json
import re
import sys
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from urllib.parse import parse_qs

from fakes import KEY
from fakes.server import LoopbackServer

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
SHOWN = ("id", "name", "user_id", "username", "update_time", "create_time", "deleted", "purged", "archived", "published",
         "importable", "slug", "tags", "annotation", "size", "contents_active")
USER_KEY = "fedcba9876543210fedcba9876543210"       # of the first user who is no administrator
ROUTES = [(method, name, re.compile(f"/api/{path}")) for method, name, path in (line.split() for line in """
    GET version version
    GET configuration configuration
    GET current users/current
    GET users users
    GET user users/(\\w+)
    GET stores users/(\\w+)/objectstore_usage
    GET histories histories
    GET history histories/(\\w+)
    DELETE history histories/(\\w+)
    POST undelete histories/deleted/(\\w+)/undelete
    GET sharing histories/(\\w+)/sharing
    GET contents histories/(\\w+)/contents
    DELETE datasets datasets""".strip().splitlines())]


def an_id(number, kind=0):
    return f"{kind:04x}{number:012x}"


def as_galaxy_writes(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


class Ask:
    """A request: its `user`, and its body's `json`."""

    def __init__(self, user, json):
        self.user, self.json, self.refusal = user, json, None

    def refuse(self, status, message, code=1):
        self.refusal = status, {"err_msg": message, "err_code": code}

    def reply(self, status, answer):
        self.refusal = status, answer


class AdministeredGalaxy(LoopbackServer):
    """`users` and `histories` by id; the first user is the administrator, whose key is KEY. `delay` is in seconds a
    request, `row_delay` a history in an answer, as its database takes them; `before(kind, ids)` is called before each
    request is served."""

    def __init__(self, users=3, delay=0.0, row_delay=0.0):
        self.now, self.delay, self.row_delay, self.before = START, delay, row_delay, lambda kind, ids: None
        self.users, self.histories, self.datasets = {}, {}, {}
        self.purge_allowed, self.late_purges, self.odd = True, 0, {}
        for number in range(users):
            name = f"user{number}" if number else "admin"
            self.users[an_id(number, 1)] = {
                "id": an_id(number, 1), "username": name, "email": f"{name}@example.org", "is_admin": not number,
                "deleted": False, "purged": False, "active": True, "total_disk_usage": 1000.0 * (number % 97),
                "nice_total_disk_usage": "", "quota_percent": None, "quota": "unlimited", "quota_bytes": None}
        super().__init__()

    def add_history(self, owner=1, days=0, **about):
        """A history that was last changed so many days ago; its id."""
        number = len(self.histories)
        user = self.users[an_id(owner, 1)] if owner is not None else {"id": None, "username": None}
        self.histories[an_id(number, 2)] = {
            "id": an_id(number, 2), "name": f"history {number}", "user_id": user["id"], "username": user["username"],
            "update_time": as_galaxy_writes(self.now - timedelta(days=days)), "create_time": f"{number:08}",
            "deleted": False, "purged": False, "archived": False, "published": False, "importable": False, "slug": None,
            "tags": [], "annotation": None, "size": 1000 + number,
            "contents_active": {"active": 1, "hidden": 0, "deleted": 0}, "shares": [],
            **about}
        return an_id(number, 2)

    def fill(self, histories):
        """Add histories: half of them are old, of these one in twenty was shared once, one in forty still is."""
        for number in range(histories):
            history = self.add_history(owner=number // 2 % len(self.users), days=400 if number % 2 else 1)
            if number % 40 == 1:
                self.histories[history]["slug"] = "a-slug"
            if number % 80 == 1:
                self.share(history, 0)

    def add_deleted_dataset(self, history, days=0, size=10, **about):
        made = {"id": an_id(len(self.datasets), 3), "history_id": history, "history_content_type": "dataset",
                "deleted": True, "purged": False, "file_size": size,
                "update_time": as_galaxy_writes(self.now - timedelta(days=days)), **about}
        self.datasets[made["id"]] = made
        self.histories[history]["contents_active"]["deleted"] += 1
        return made["id"]

    def touch(self, history, **about):
        """Change a history, as its owner does."""
        self.now += timedelta(seconds=1)
        self.histories[history].update(about, update_time=as_galaxy_writes(self.now))

    def share(self, history, user=2):
        """Share a history with a user: this does not change its time, and gives it an address."""
        self.histories[history]["shares"].append(self.users[an_id(user, 1)])
        self.histories[history]["slug"] = self.histories[history]["slug"] or "a-slug"

    def kind(self, method, path):
        return next(((f"{method} {name}", match.groups()) for own, name, pattern in ROUTES
                     if own == method and (match := pattern.fullmatch(path))), (method, ()))

    def state(self, history):
        about = self.histories[history]
        return "purged" if about["purged"] else "deleted" if about["deleted"] else "there"

    class Handler(LoopbackServer.Handler):
        def reply(self, status, body=b"", headers=(), upto=None):
            super().reply(status, body, {"Date": format_datetime(self.owner.now, usegmt=True), **dict(headers)}, upto)

        def serve(self):
            server = self.owner
            self.read()
            if self.path == "/asked":
                with server.lock:
                    counts = Counter(one.kind for one in server.asked[:-1])
                    server.asked.clear()
                return self.reply(200, counts)
            if server.delay:
                time.sleep(server.delay)
            with server.lock:
                status, answer = server.answer(self.command, self.path, self.headers.get("x-api-key"), self.asked.body)
            if server.row_delay and "/histories" in self.path:
                time.sleep(server.row_delay * (len(answer) if isinstance(answer, list) else 1))
            self.reply(status, answer)

    def answer(self, method, path, key, body=b""):
        """The status and the answer to a request."""
        (path, _, query), ask = path.partition("?"), Ask(self.user_of(key), json.loads(body or b"null"))
        kind, ids = self.kind(method, path)
        self.before(kind, ids)
        act = getattr(self, kind.lower().replace(" ", "_"), None)
        if ask.user is None or act is None:
            ask.refuse(404 if ask.user else 401, "nothing there" if ask.user else "no such key")
        else:
            answer = act(ask, parse_qs(query), *ids)
        return ask.refusal or (200, answer)

    def user_of(self, key):
        users = list(self.users.values())
        return users[0] if key == KEY else users[1] if key == USER_KEY and len(users) > 1 else None

    def _own(self, ask, history):
        """The history, if this user may have it; else a refusal was answered."""
        about = self.histories.get(history)
        if about is None:
            ask.refuse(404, "no such history", 404001)
        elif not ask.user["is_admin"] and about["user_id"] != ask.user["id"]:
            about = ask.refuse(403, "not yours", 403003)
        return about

    def get_version(self, ask, query):
        return {"version_major": "26.1", "version_minor": "1"}

    def get_configuration(self, ask, query):
        return {"allow_user_dataset_purge": self.purge_allowed}

    def get_current(self, ask, query):
        return ask.user

    def get_users(self, ask, query):
        there = [{name: one[name] for name in ("id", "username", "email", "deleted", "active")}
                 for one in self.users.values() if not one["deleted"]] if ask.user["is_admin"] else [ask.user]
        return self._page(there, query)

    @staticmethod
    def _page(things, query):
        first = int(query.get("offset", ["0"])[0])
        return things[first:first + int(query.get("limit", [len(things)])[0])]

    def get_user(self, ask, query, which):
        return self.users.get(which) or ask.refuse(400, "no such user", 400008)

    def get_stores(self, ask, query, which):
        return [{"object_store_id": "fast", "total_disk_usage": self.users[which]["total_disk_usage"]}]

    def get_histories(self, ask, query):
        everybody = query.get("all") in (["true"], ["True"])
        if everybody and not ask.user["is_admin"]:
            return ask.refuse(403, "Only admins can query all histories", 403006)
        filters = dict(zip(query.get("q", []), query.get("qv", [])))
        before = filters.get("update_time-lt") or filters.get("update_time-le")
        there = [one for one in self.histories.values() if (everybody or one["user_id"] == ask.user["id"])
                 and not one["archived"] and (not one["deleted"] or filters.get("deleted") == "None")
                 and (before is None or one["update_time"] < before)]
        return [self._shown(one, query) for one in self._page(there, query)]

    def _shown(self, one, query):
        keys = query.get("keys", [",".join(SHOWN)])[0].split(",")
        return {**{name: one[name] for name in keys if name in SHOWN}, **self.odd.get(one["id"], {})}

    def get_history(self, ask, query, which):
        about = self._own(ask, which)
        return about and self._shown(about, query)

    def delete_history(self, ask, query, which):
        about, purge = self._own(ask, which), (ask.json or {}).get("purge")
        if about and (about["purged"] or about["archived"]):
            return ask.refuse(403, "History is immutable", 403008)
        if about:
            changed = not about["deleted"] or purge
            about.update(deleted=True, purged=bool(purge))
            if changed:
                self.touch(which)
        return about and self._shown(about, query)

    def post_undelete(self, ask, query, which):
        about = self._own(ask, which)
        if about and about["purged"]:
            return ask.refuse(403, "History is immutable", 403008)
        if about and about["deleted"]:
            self.touch(which, deleted=False)
        return about and self._shown(about, query)

    def get_sharing(self, ask, query, which):
        about = self._own(ask, which)
        if about and about["deleted"]:
            return ask.refuse(400, "History is deleted", 0)
        return about and {"id": which, "title": about["name"], "importable": about["importable"],
                          "published": about["published"], "username_and_slug": None, "username": about["username"],
                          "users_shared_with": [{"id": one["id"], "email": one["email"]} for one in about["shares"]]}

    def get_contents(self, ask, query, which):
        there = [one for one in self.datasets.values() if one["history_id"] == which]
        if self.late_purges and any(one["purged"] for one in there):        # the worker comes later
            self.late_purges -= 1
            there = [{**one, "purged": False} for one in there]
        return self._page([one for one in there if not one["purged"]], query) if self._own(ask, which) else None

    def delete_datasets(self, ask, query):
        errors = []
        for one in ask.json["datasets"]:
            owner = self.histories[self.datasets[one["id"]]["history_id"]]["user_id"]
            if not ask.user["is_admin"] and owner != ask.user["id"]:
                errors.append({"dataset": one, "error_message": "not owned by user"})
            else:
                self.datasets[one["id"]]["purged"] = bool(ask.json.get("purge"))
        return {"success_count": len(ask.json["datasets"]) - len(errors), "errors": errors}


def main():
    server = AdministeredGalaxy(int(sys.argv[1]), *map(float, sys.argv[3:5]))
    server.now = datetime.now(timezone.utc)
    server.fill(int(sys.argv[2]))
    print(server.url, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
