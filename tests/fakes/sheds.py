"""A Galaxy and its Tool Shed as requests-mock answers for them: installations end, are lost or get stuck as a test wants."""
import itertools
import re

import requests

from fakes import URL

SHED, HOST = "http://shed.test:9009", "shed.test:9009"
API = f"{URL}/api/tool_shed_repositories"
INSTALL = f"{API}/new/install_repository_revision"
OLD, NEW = "c130a1238ddf", "912d014682f1"


class Sheds:
    """`offered` has the revisions of each repository, `records` what Galaxy has of them; `posts` are the installations that
    it was asked for. The n-th of these is done, but not answered, if `loses(n)`; it is not done if `drops(n)`."""

    def __init__(self, mock):
        self.mock, self.posts, self.deleted, self.records = mock, [], [], []
        self.offered = {("demo", "tally"): [OLD, NEW]}
        self.needs, self.invisible, self.ends = {}, set(), {}
        self.loses = self.drops = lambda number: False
        self.looks = 0          # that an installation lasts
        self.ids = itertools.count(1)
        self.sections = {"filter": "Filter and Sort", "mine": "Mine"}
        mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": True})
        mock.get(f"{URL}/api/version", json={"version_major": "26.1"})
        mock.get(f"{URL}/api/tool_shed", json=[{"name": "Main", "url": "https%3A%2F%2Ftoolshed.g2.bx.psu.edu%2F"},
                                               {"name": "Ours", "url": "http%3A%2F%2Fshed.test%3A9009%2F"}])
        mock.get(API, json=self.list_records)
        mock.get(re.compile(f"{API}/r"), json=lambda request, context: self.record(request.path.rpartition("/")[2]))
        mock.delete(re.compile(f"{API}/r"), json=self.delete)
        mock.post(INSTALL, json=self.install)
        mock.get(f"{URL}/api/tools?in_panel=true", json=lambda *_: [
            {"id": one, "name": name, "model_class": "ToolSection"} for one, name in self.sections.items()])
        mock.get(f"{URL}/api/tools?in_panel=false", json=self.list_tools)
        mock.get(f"{SHED}/api/repositories/get_ordered_installable_revisions", json=self.revisions)
        mock.get(f"{SHED}/api/repositories/get_repository_revision_install_info", json=self.metadata)
        mock.get(f"{SHED}/api/repositories", json=[{"id": "s", "name": "tally", "owner": "demo"}])
        mock.get(f"{SHED}/api/repositories/s/metadata", json=lambda *_: {
            f"{number}:{revision}": {"numeric_revision": number, "changeset_revision": revision, "downloadable": True,
                                     "tools": [{"guid": self.tool("tally", revision)}]}
            for number, revision in enumerate([OLD, NEW])})

    def add(self, status="Installed", revision=NEW, name="tally", looks=-1, **more):
        """A record of a revision, which is installed after so many looks at it."""
        made = {"id": f"r{next(self.ids)}", "name": name, "owner": "demo", "tool_shed": HOST, "status": status,
                "changeset_revision": revision, "installed_changeset_revision": revision, "error_message": "",
                "ctx_rev": str(len(self.records)), "looks": looks, **more}
        self.records.append(made)
        return made

    def record(self, which):
        return next(one for one in self.records if one["id"] == which)

    def installed(self):
        return sorted((one["name"], one["changeset_revision"]) for one in self.records if one["status"] == "Installed")

    @staticmethod
    def tool(name, revision):
        return f"{HOST}/repos/demo/{name}/{name}/{revision[:2]}"

    def writes(self):
        return [request.method for request in self.mock.request_history if request.method != "GET"]

    # ------------------------------------------------------------------------------------------------------- answers

    def list_records(self, request, context):
        query = {name: values[0] for name, values in request.qs.items()}
        for one in self.records:
            if one["looks"] == 0:
                one["status"] = "Installed"
            one["looks"] -= 1
        return [one for one in self.records if query.get("name") in (None, one["name"])]

    def list_tools(self, request, context):
        return [{"id": self.tool(one["name"], one["changeset_revision"]), "panel_section_name": "Filter and Sort",
                 "tool_shed_repository": {name: one[name] for name in ("tool_shed", "owner", "name", "changeset_revision")}}
                for one in self.records if one["status"] == "Installed" and one["name"] not in self.invisible]

    def delete(self, request, context):
        record = self.record(request.path.rpartition("/")[2])
        self.deleted.append(record["id"])
        record.update(status="Uninstalled", looks=-1)
        return {"message": "removed"}

    def install(self, request, context):
        asked, number = request.json(), len(self.posts)
        self.posts.append(asked)
        if self.drops(number):
            raise requests.exceptions.ConnectionError("reset")
        made = []
        for name, revision in [*self.needs.get(asked["name"], []), (asked["name"], asked["changeset_revision"])]:
            [record] = [one for one in self.records if (one["name"], one["changeset_revision"]) == (name, revision)] or [
                self.add("New", revision, name)]
            status, message = self.ends.get(name, ("Installed", ""))
            record.update(status="Cloning" if self.looks else status, error_message=message, looks=self.looks or -1)
            made.append(record)
        if self.loses(number):
            raise requests.exceptions.ConnectionError("reset")
        if self.looks:
            context.status_code, context.headers["Content-Type"] = 504, "text/html"
        return made

    def revisions(self, request, context):
        [name], [owner] = request.qs["name"], request.qs["owner"]
        if (owner, name) not in self.offered:
            context.status_code = 404
            return {"err_msg": f"No repository named {name} found with owner {owner}", "err_code": 404001}
        return self.offered[owner, name]

    def metadata(self, request, context):
        [name], [owner], [revision] = (request.qs[one] for one in ("name", "owner", "changeset_revision"))
        offered = self.offered[owner, name]
        if revision == "0" * 12:        # before the first that can be installed
            revision = offered[0]
        if revision not in offered:
            return [{}, {}, {}]
        return [{}, {"changeset_revision": revision, "has_repository_dependencies": name in self.needs,
                     "valid_tools": [{"guid": self.tool(name, revision)}]}, {}]
