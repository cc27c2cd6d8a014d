"""A Galaxy of one workflow, in memory, behind a port of this machine: it answers in the shapes of Galaxy 26.1, records
what it is asked, and goes wrong as a test wants it to.

The workflow `w` copies its input `table`, and `other` behind it. A dataset is ok, and an invocation has ended, once it was
polled `polls` times. Files come by resumable upload (TUS 1.0.0), `/file` is served by ranges. By itself
(`python -m fakes.galaxy` in tests/) it prints its address; `GET /asked` counts what was asked since the last time, and
`GET /polls?N` sets how often invocations are polled until they end.
"""
import contextlib
import hashlib
import json
import re
import threading
import time
from collections import Counter
from urllib.parse import parse_qs, urlsplit

from fakes import KEY, disk, handover, openapi, permissions, resources
from fakes.library_changes import CHANGES, LibraryChanges
from fakes.resources import WORKFLOW
from fakes.server import LoopbackServer

USER = "00000000000000aa"
NAME, DATED = "Copy", "2026-03-01T10:00:00.{:06}"
INPUTS = {"table": ("data_input", {"optional": False, "tag": None}),
          "other": ("data_input", {"optional": True, "tag": None}),
          "lines": ("parameter_input", {"default": 3, "optional": True, "parameter_type": "integer", "validators": []})}
ROUTES = [(method, name, re.compile(f"/api/{path}/?")) for method, name, path in (line.split() for line in """
    GET version version
    GET user users/current
    GET workflows workflows
    GET workflow workflows/(\\w+)
    GET exported workflows/(\\w+)/download
    POST invocations workflows/(\\w+)/invocations
    GET histories histories
    POST histories histories
    GET history histories/(\\w+)
    PUT history histories/(\\w+)
    DELETE history histories/(\\w+)
    GET contents histories/(\\w+)/contents
    GET jobs_summaries histories/\\w+/jobs_summary
    POST upload upload/resumable_upload
    HEAD upload upload/resumable_upload/(\\w+)
    PATCH upload upload/resumable_upload/(\\w+)
    DELETE upload upload/resumable_upload/(\\w+)
    POST fetch tools/fetch
    GET datasets datasets
    GET dataset datasets/(\\w+)
    DELETE dataset datasets/(\\w+)
    GET display datasets/(\\w+)/display
    POST collections dataset_collections
    GET collection dataset_collections/(\\w+)
    GET invocations invocations
    GET invocation invocations/(\\w+)
    DELETE invocation invocations/(\\w+)
    GET jobs_summary invocations/(\\w+)/jobs_summary
    GET job jobs/(\\w+)""".strip().splitlines() + resources.ROUTES.strip().splitlines() +
    handover.ROUTES.strip().splitlines() + CHANGES.strip().splitlines() + disk.ROUTES.strip().splitlines() +
    permissions.ROUTES.strip().splitlines())] + [("GET", "openapi", re.compile("/openapi.json"))]
WHOLE = ("GET libraries", "GET library_contents", "GET datatypes", "GET tools")     # lists that have no pages


class Refusal(Exception):
    """An answer that is an error: its status and JSON."""


class FakeGalaxy(disk.Disk, LibraryChanges, permissions.LibraryRights, resources.Resources, handover.Handover,
                 LoopbackServer):
    """What is asked is answered, in this order: by `will(...)`; by `answers`; where it carries bytes, by `faults`; else
    by what is in the fake's memory."""

    def __init__(self, clock=time.time, polls=1):
        self.clock, self.polls, self.invocation_polls, self.version = clock, polls, None, 1
        self.inputs = INPUTS                # of the workflow
        self.users = {KEY: {"id": USER, "username": "me", "email": "me@example.org", "is_admin": False}}
        # {`POST histories` or `GET /api/path`: an answer (see LoopbackServer), or a list of some, one each}; a fault that
        # does not reply is followed by the usual answer
        self.answers = {}
        self.lost = Counter()               # {`POST histories`: of so many the answer is lost, once that is done}
        self.late = 0.0                     # seconds after which such a thing appears
        self.failures = {}                  # {dataset's name: what runs that take it say on standard error, one each}
        self.failed_state = "error"         # of the jobs of these
        self.spoiled = {}                   # {dataset's name: so many uploads of it end in state error}
        self.most = 0                       # of units that had a history and no end, together
        self.faults = []                    # of fakes.faults, for requests that carry bytes, one each
        self.away = 0                       # so many requests get a 502
        self.away_from = Counter()          # {upload's id: so many requests about it get a 502}
        self.limit = None                   # bytes that a proxy takes in a body
        self.silent = False                 # no Upload-Offset in answers to bytes
        self.offsets = {}                   # {upload's id: offset that is told} where it is not what is held
        self.content, self.etag = b"", '"one"'      # of /file
        self.uploads = self._made = 0       # how many uploads were begun; how many things there are or were
        super().__init__()
        self.empty()

    def empty(self):
        """Forget all that there is."""
        self.histories, self.datasets, self.collections, self.runs, self.sessions = {}, {}, {}, {}, {}
        self.asked = []
        super().empty()

    @staticmethod
    def refuse(status, answer):
        raise Refusal(status, answer)

    def kind(self, method, path):
        return next(((f"{method} {name}", match.groups()) for own, name, pattern in ROUTES
                     if own == method and (match := pattern.fullmatch(path))), (method, ()))

    def upload(self, session):
        """The bytes that an upload holds."""
        return bytes(self.sessions[session][1])

    def _new(self, about, late=0.0):
        self._made += 1
        return {"id": f"{self._made:016x}", "create_time": DATED.format(self._made),
                "update_time": DATED.format(self._made), "deleted": False, "purged": False,
                "appears": self.clock() + late, **about}

    def _visible(self, things):
        return [one for one in things.values() if one["appears"] <= self.clock()]

    def _find(self, things, name):
        if name not in things or things[name]["appears"] > self.clock():
            raise Refusal(404, {"err_msg": f"no such thing: {name}", "err_code": 404001})
        return things[name]

    # ------------------------------------------------------------------------------------------------------- the routes

    def get_version(self, ask, body):
        return {"version_major": "26.1", "version_minor": "1"}

    def get_openapi(self, ask, body):
        return openapi.DOCUMENT

    def get_user(self, ask, body):
        return self.users[ask["key"]]

    @property
    def uuid(self):
        return f"00000000-0000-4000-8000-{self.version:012}"

    def get_workflows(self, ask, body):
        return [{"id": WORKFLOW, "name": NAME, "latest_workflow_uuid": self.uuid, "deleted": False, "published": False,
                 "tags": [], "owner": "me", "number_of_steps": len(self.inputs) + 1, "update_time": DATED.format(0)}]

    def get_workflow(self, ask, body, which):
        steps = {str(index): {"id": index, "type": kind, "tool_id": None, "tool_version": None, "tool_inputs": state,
                              "input_steps": {}} for index, (kind, state) in enumerate(self.inputs.values())}
        last = len(self.inputs)
        steps[str(last)] = {"id": last, "type": "tool", "tool_id": "cat1", "tool_version": "1.0.0", "tool_inputs": {},
                       "input_steps": {"input1": {"source_step": 0, "step_output": "output"}}}
        inputs = {str(index): {"label": label, "value": "", "uuid": f"u{index}"} for index, label in enumerate(self.inputs)}
        return {"id": WORKFLOW, "name": NAME, "latest_workflow_uuid": self.uuid, "version": self.version - 1,
                "deleted": False, "inputs": inputs, "steps": steps}

    def get_exported(self, ask, body, which):
        steps = {str(index): {"id": index, "label": label, "type": self.inputs[label][0], "tool_id": None,
                              "tool_version": None,
                              "tool_state": json.dumps(self.inputs[label][1]), "workflow_outputs": [], "errors": None}
                 for index, label in enumerate(self.inputs)}
        last = len(self.inputs)
        steps[str(last)] = {"id": last, "label": "copy", "type": "tool", "tool_id": "cat1", "tool_version": "1.0.0",
                       "errors": None, "tool_state": "{}",
                       "workflow_outputs": [{"label": "first", "output_name": "out_file1", "uuid": "o"}]}
        return {"name": NAME, "steps": steps}

    def get_histories(self, ask, body):
        return [{**self._history(one), "count": len(one["contents"]), **self.history_facts(one, ask)}
                for one in self._visible(self.histories)
                if not one["deleted"] and (ask.get("q") != "name-eq" or one["name"] == ask["qv"])
                and (ask.get("q") != "create_time-ge" or one["create_time"] >= ask["qv"])]

    @staticmethod
    def _history(one):
        return {name: one[name] for name in ("id", "name", "deleted", "purged", "tags", "create_time", "update_time")}

    def post_histories(self, ask, body, late=0.0):
        if isinstance(body, bytes) or "archive_source" in body:
            return self.import_archive(body if isinstance(body, bytes) else None)
        made = self._new({"name": body["name"], "tags": [], "contents": []}, late)
        self.histories[made["id"]] = made
        self._count_open()
        return self._history(made)

    def _count_open(self):
        ended = {run["history_id"] for run in self.runs.values() if run["ended"]}
        self.most = max(self.most, sum(one["id"] not in ended and "shared" not in one["name"]
                                       for one in self.histories.values() if not one["deleted"]))

    def get_history(self, ask, body, which):
        about = self._find(self.histories, which)
        size = sum(len(self.datasets[one]["content"]) for one in about["contents"] if one in self.datasets)
        return {**self._history(about), **self.history_facts(about, ask), "size": size}

    def put_history(self, ask, body, which):
        self._find(self.histories, which).update(body)
        return self._history(self.histories[which])

    def delete_history(self, ask, body, which, late=0.0):
        return self.put_history(ask, {"deleted": True, **({"purged": True} if (body or {}).get("purge") else {})}, which)

    def get_contents(self, ask, body, which):
        there = [self.datasets.get(one) or self.collections[one] for one in self._find(self.histories, which)["contents"]]
        there = [one for one in there if one["appears"] <= self.clock()]
        if ask.get("q") in ("hid-eq", "name-eq"):
            there = [one for one in there if str(one[ask["q"].partition("-")[0]]) == ask["qv"]]
        if ask.get("q") == "type_id-in":
            there = [one for one in there if f"{one['history_content_type']}-{one['id']}" in ask["qv"].split(",")]
            for one in there:
                self._poll(one)
        if ask.get("q") == "state-in":
            there = [one for one in there if one["history_content_type"] == "dataset" and self._poll(one) in ask["qv"]]
        return [self._shown(one) for one in (there[::-1] if ask.get("order") == "hid-dsc" else there)]

    def _poll(self, dataset):
        """A dataset's state, polled once more."""
        dataset["polls"] -= 1
        if dataset["state"] == "queued" and dataset["polls"] < 0 and not dataset.get("of_run"):
            dataset["state"] = "ok"
        return dataset["state"]

    @staticmethod
    def _shown(thing):
        ours = ("appears", "content", "polls", "of_run", *(["permissions"] if thing.get("is_fixed") else []), "is_fixed")
        shown = {name: value for name, value in thing.items() if name not in ours}
        if "content" in thing:
            shown.update(file_size=0 if thing["state"] in ("new", "queued", "running") else len(thing["content"]),
                         hashes=thing["hashes"] if thing["state"] == "ok" else [])
        return shown

    def post_upload(self, ask, body):
        self.uploads += 1
        name = f"s{self.uploads}"
        self.sessions[name] = [int(ask["Upload-Length"]), bytearray(body)]
        offset = {} if self.silent or not body else {"Upload-Offset": str(len(body))}
        # Galaxy behind a proxy names a host of its own, which is nobody's to ask.
        return b"", 201, {"Location": f"http://elsewhere.example.org:1/api/upload/resumable_upload/{name}", **offset}

    def head_upload(self, ask, body, which):
        if which not in self.sessions:
            raise Refusal(404, {"detail": "Not Found"})
        length, content = self.sessions[which]
        return b"", 200, {"Upload-Offset": str(self.offsets.get(which, len(content))), "Upload-Length": str(length)}

    def patch_upload(self, ask, body, which):
        self.head_upload(ask, body, which)
        content = self.sessions[which][1]
        if int(ask["Upload-Offset"]) != self.offsets.pop(which, len(content)):
            raise Refusal(409, b"")
        content += body
        return b"", 204, {} if self.silent else {"Upload-Offset": str(len(content))}

    def delete_upload(self, ask, body, which):
        self.head_upload(ask, body, which)
        del self.sessions[which]
        return b"", 204, {}

    def post_fetch(self, ask, body, late=0.0):
        if body["targets"][0]["destination"]["type"].startswith("library"):
            return self.fetch_to_library(body)
        history = self._find(self.histories, body["history_id"])
        made = []
        for number, element in enumerate(body["targets"][0]["elements"]):
            session = body.get(f"files_{number}|file_data", {}).get("session_id")
            _, content = self.sessions.pop(session, (0, None))      # a session serves once
            content = element["paste_content"].encode() if element["src"] == "pasted" else content
            spoiled = self.spoiled.get(element["name"], 0) > 0
            self.spoiled[element["name"]] = self.spoiled.get(element["name"], 0) - 1
            right = content is not None and not spoiled and all(
                hashlib.sha256(content).hexdigest() == one["hash_value"] for one in element.get("hashes", []))
            made.append(self._dataset(history, element["name"], element["ext"], bytes(content or b""), late,
                                      "queued" if right or element["src"] == "url" else "error"))
        collections = []
        if body["targets"][0]["destination"]["type"] == "hdca":
            elements = [(one["name"], one["id"]) for one in made]
            collections = [self._shown(self._collection(history, body["targets"][0]["name"], elements, late))]
        return {"outputs": [self._shown(one) for one in made], "output_collections": collections,
                "jobs": [{"id": made[0]["id"]}]}

    def _dataset(self, history, name, ext, content, late=0.0, state="queued", **more):
        digest = [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(content).hexdigest(), "extra_files_path": None}]
        made = self._new({"name": name, "extension": ext, "file_ext": ext, "content": content, "state": state,
                          "polls": self.polls, "hid": len(history["contents"]) + 1, "history_id": history["id"],
                          "history_content_type": "dataset", "hashes": digest, "misc_info": "", "misc_blurb": "",
                          "visible": True, "purged": False, **more}, late)
        self.datasets[made["id"]] = made
        history["contents"].append(made["id"])
        return made

    def get_datasets(self, ask, body):
        things = list(self.datasets.values())
        if "history_id" in ask:
            things = [one for one in things if one["history_id"] == ask["history_id"] and not one["deleted"]]
        elif ask["q"] == "type_id-in":
            things = [self.datasets.get(one.removeprefix("dataset-")) for one in ask["qv"].split(",")][::-1]
        things = [one for one in things if one]
        for one in things:
            self._poll(one)
        return [{"creating_job": one.get("of_run"), **self._shown(one)} for one in things]

    def get_dataset(self, ask, body, which):
        return self._shown(self._find(self.datasets, which))

    def delete_dataset(self, ask, body, which):
        self._find(self.datasets, which)["deleted"] = True
        return self._shown(self.datasets[which])

    def get_display(self, ask, body, which):
        if ask.get("hda_ldda") == "ldda":
            return self.display_library_dataset(which)
        about = self._find(self.datasets, which)
        return about["content"], 200, {"Content-Type": "application/octet-stream", "ETag": f'"{which}"'}

    def post_collections(self, ask, body, late=0.0):
        elements = [(one["name"], one["id"]) for one in body["element_identifiers"]]
        return self._shown(self._collection(self.histories[body["history_id"]], body["name"], elements, late))

    def _collection(self, history, name, elements, late=0.0):
        made = self._new({"name": name, "collection_type": "list", "hid": len(history["contents"]) + 1, "elements": elements,
                          "history_id": history["id"], "history_content_type": "dataset_collection",
                          "populated_state": "ok", "populated": True,
                          "populated_state_message": ""}, late)
        self.collections[made["id"]] = made
        history["contents"].append(made["id"])
        return made

    def get_collection(self, ask, body, which):
        about = self._find(self.collections, which)
        return {**self._shown(about), "elements": [
            {"element_identifier": name, "element_type": "hda", "object": self._shown(self.datasets[dataset]),
             "model_class": "DatasetCollectionElement"}
            for name, dataset in about["elements"]]}

    # --------------------------------------------------------------------------------------------------------- the runs

    def post_invocations(self, ask, body, which, late=0.0):
        if "history" in body:       # the form of an earlier Galaxy
            body = {**body, "history_id": body["history"].removeprefix("hist_id=")}
        if "0" not in body["inputs"]:
            raise Refusal(400, {"err_msg": "Workflow cannot be run because input step '1' (table) is not optional and no "
                                           "input provided.", "err_code": 0})
        history = self._find(self.histories, body["history_id"])
        given = {index: {**one, "label": list(self.inputs)[int(index)], "workflow_step_id": index}
                 for index, one in body["inputs"].items() if isinstance(one, dict)}
        told = {list(self.inputs)[int(index)]: {"parameter_value": one, "label": list(self.inputs)[int(index)]}
                for index, one in body["inputs"].items() if not isinstance(one, dict)}
        run = self._new({"workflow_id": f"{0xf0000 + self.version:016x}", "history_id": history["id"], "state": "new",
                         "messages": [], "inputs": given, "input_step_parameters": told, "outputs": {}, "ended": False,
                         "output_collections": {}, "made": {}, "request": body,
                         "polls": self.polls if self.invocation_polls is None else self.invocation_polls}, late)
        first, other = given["0"], given.get("1")
        mapped = self.collections[first["id"]]["elements"] if first["src"] == "hdca" else [("", first["id"])]
        behind = self.datasets[other["id"]]["content"] if other else b""
        for name, dataset in mapped:
            source = self.datasets.get(dataset) or self.file(dataset)
            says = self.failures.get(source["name"])
            made = self._dataset(history, "Concatenate datasets", "tabular", source["content"] + behind, late,
                                 of_run=run["id"])
            run["made"][made["id"]] = (name, says.pop(0) if says else "")
        if first["src"] == "hdca":
            whole = self._collection(history, "first", [(name, one) for one, (name, _) in run["made"].items()], late)
            run["output_collections"]["first"] = {"src": "hdca", "id": whole["id"]}
        else:
            run["outputs"]["first"] = {"src": "hda", "id": next(iter(run["made"]))}
        self.runs[run["id"]] = run
        return self._run(run)

    @staticmethod
    def _run(run, *more):
        names = ("id", "workflow_id", "history_id", "state", "create_time", "update_time", *more)
        return {name: run[name] for name in names}

    def get_invocations(self, ask, body):
        there = [
            one for one in self._visible(self.runs) if one["history_id"] == ask.get("history_id", one["history_id"]) and
            ("workflow_id" not in ask or (one["workflow_id"] if "instance" in ask else WORKFLOW) == ask["workflow_id"])]
        return [self._run(one) for one in (there[::-1] if ask.get("sort_desc") == "true" else there)]

    def get_invocation(self, ask, body, which):
        run = self._find(self.runs, which)
        jobs = [{"id": one, "tool_id": "cat1", "state": self._job_state(run, one), "exit_code": 1 if says else 0,
                 "create_time": run["create_time"], "update_time": run["create_time"]}
                for one, (_, says) in run["made"].items()]
        last = len(self.inputs)
        steps = [{"id": f"s{last}", "order_index": last, "workflow_step_label": "copy", "state": "scheduled",
                  "action": None, "subworkflow_invocation_id": None, "outputs": {}, "output_collections": {},
                  "implicit_collection_jobs_id": None, "jobs": jobs if ask.get("step_details") else []}]
        return {**self._run(run, "messages", "inputs", "input_step_parameters", "outputs", "output_collections"),
                "steps": steps}

    def _job_state(self, run, job):
        return "running" if not run["ended"] else self.failed_state if run["made"][job][1] else "ok"

    def delete_invocation(self, ask, body, which):
        self._find(self.runs, which)["state"] = "cancelled"
        return self.get_invocation(ask, body, which)

    def get_jobs_summary(self, ask, body, which):
        return self.get_jobs_summaries({"ids": which}, body)[0]

    def _summary(self, run):
        populated = {"new": "new", "scheduled": "ok"}.get(run["state"], "failed")
        jobs = Counter(self._job_state(run, one) for one in run["made"]) if populated == "ok" else {}
        return {"id": run["id"], "model": "WorkflowInvocation", "populated_state": populated, "states": dict(jobs)}

    def get_jobs_summaries(self, ask, body):
        told = []
        for run in (self._find(self.runs, one) for one in ask["ids"].split(",")):
            run["polls"] -= 1
            if self.histories[run["history_id"]]["deleted"] and not run["ended"]:
                run.update(state="cancelled", messages=[{"reason": "history_deleted", "history_id": run["history_id"]}])
            if run["state"] in ("new", "scheduled"):
                run["state"] = "scheduled"
                run["ended"] = run["polls"] < 0
            for one, (_, says) in run["made"].items() if run["ended"] else ():
                self.datasets[one]["state"] = "error" if says else "ok"
            told.append(self._summary(run))
        return told

    def get_job(self, ask, body, which):
        if which in self.jobs:
            job = self.jobs[which]
            job["polls"] -= 1
            return {**job, "state": job["state"] if job["polls"] < 0 else "running"}
        run = self.runs[self._find(self.datasets, which)["of_run"]]
        return {"id": which, "history_id": run["history_id"], "create_time": run["create_time"],
                "update_time": run["create_time"], "exit_code": 0, "inputs": {}, "params": handover.WORKFLOW_PARAMS,
                "tool_id": "cat1", "tool_version": "1.0.0", "state": self._job_state(run, which),
                "tool_stderr": run["made"][which][1], "outputs": {"out_file1": {"src": "hda", "id": which}},
                "output_collections": run.get("elements_of", {})}

    class Handler(LoopbackServer.Handler):
        @property
        def galaxy(self):
            return self.owner

        @property
        def session_bytes(self):
            """What the upload holds that this request goes to."""
            return self.galaxy.sessions[self.ids[0]][1]

        def serve(self):
            galaxy, path = self.galaxy, self.path.partition("?")[0]
            carries = path == "/file" or (self.unread and self.asked.kind.endswith(" upload"))
            with galaxy.lock:
                galaxy.away, away = max(galaxy.away - 1, 0), galaxy.away
                if self.ids and galaxy.away_from[self.ids[0]]:
                    galaxy.away_from[self.ids[0]], away = galaxy.away_from[self.ids[0]] - 1, True
                by_path = self.asked.line.partition("?")[0]
                answer = galaxy.answers.get(by_path) or galaxy.answers.get(self.asked.kind)
                answer = (answer.pop(0) if answer else None) if isinstance(answer, list) else answer
                fault = galaxy.faults.pop(0) if carries and galaxy.faults and not (away or answer) else None
            if away:
                self.read()
                return self.refuse(502)
            if answer is not None:
                self.give(answer)
            elif carries and galaxy.limit and self.unread > galaxy.limit:
                self.refuse(413)
            elif fault:
                return fault(self)
            if not self.replied:
                self.serve_usual()

        def serve_usual(self):
            """Answer out of the fake's memory, as if nothing were wrong."""
            galaxy, (_, _, path, query, _) = self.galaxy, urlsplit(self.path)
            if path == "/file":
                return self.serve_file()
            if path == "/asked":
                counts, galaxy.asked = Counter(galaxy.kinds[:-1]), []
                return self.reply(200, counts)
            if path == "/polls":
                galaxy.invocation_polls = int(query)
                return self.reply(200, galaxy.invocation_polls)
            name = self.asked.kind
            ask = {word: values[0] for word, values in parse_qs(query).items()}
            ask.update(self.headers.items(), states=parse_qs(query).get("state", []))
            ask["key"] = self.headers.get("x-api-key", "")
            self.read()
            binary = name.endswith(" upload") or "multipart" in self.headers.get("Content-Type", "")
            body = self.asked.body if binary else self.json
            act = getattr(galaxy, name.lower().replace(" ", "_"), None)
            if act is None:
                return self.reply(404, {"err_msg": self.asked.line, "err_code": 404001})
            if ask["key"] not in galaxy.users and name != "GET version" and not name.startswith("GET shed_"):
                return self.reply(401, {"err_msg": "Provided API key is not valid.", "err_code": 401001})
            with galaxy.lock:
                lost = galaxy.lost[name] > 0
                galaxy.lost[name] -= lost
                try:
                    made = act(ask, body, *self.ids, **({"late": galaxy.late} if lost else {}))
                except Refusal as error:
                    return self.reply(*error.args)
            if lost:
                return self.cut()
            if isinstance(made, list) and name not in WHOLE:
                start = int(ask.get("offset", 0))
                made = made[start:start + int(ask.get("limit", 20))]
            self.reply(200, made) if not isinstance(made, tuple) else self.reply(made[1], made[0], made[2])

        def serve_file(self, upto=None):
            """Answer with `/file`, or the range of it that is asked for."""
            content, etag = self.galaxy.content, self.galaxy.etag
            first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-")).groups()
            start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
            if start and start >= len(content):
                return self.reply(416, headers={"Content-Range": f"bytes */{len(content)}"})
            headers = {"Accept-Ranges": "bytes", "Last-Modified": "Tue, 24 Nov 2026 10:00:00 GMT"}
            if etag:
                headers["ETag"] = etag
            if "Range" in self.headers:
                headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self.reply(206 if "Range" in self.headers else 200, content[start:end + 1], headers, upto)

        def refuse(self, status, headers=()):
            """Answer with an error without a body, and hang up after a 413, as nginx does."""
            self.close_connection = status == 413
            self.reply(status, headers=headers)


if __name__ == "__main__":
    print(FakeGalaxy(polls=0).url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
