"""A Galaxy of one workflow, in memory, behind a port of this machine: it answers what a batch of runs asks in the shapes of
Galaxy 26.1, counts that, and goes wrong as it is told.

The workflow `w` copies its input `table`, and `other` behind it. A dataset is ok, and a run has ended, once it was looked at
`poll` times. By itself (`python -m fakes.loopback_galaxy` in tests/) it prints its address; `GET /asked` tells what was asked since the
last time, and `GET /looks?N` sets `poll` of runs.
"""
import contextlib
import hashlib
import json
import re
import socket
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from fakes import KEY

USER = "00000000000000aa"
WORKFLOW, NAME, DATED = "00000000000000ff", "Copy", "2026-03-01T10:00:00.{:06}"
INPUTS = {"table": ("data_input", {"optional": False, "tag": None}),
          "other": ("data_input", {"optional": True, "tag": None}),
          "lines": ("parameter_input", {"default": 3, "optional": True, "parameter_type": "integer", "validators": []})}
STEP = str(len(INPUTS))
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
    GET job jobs/(\\w+)""".strip().splitlines())]


class Told(Exception):
    """An answer that is an error."""


class LoopbackGalaxy:
    def __init__(self, clock=time.time, looks=1):
        self.clock, self.poll, self.looks_of_runs, self.version = clock, looks, None, 1
        self.users = {KEY: {"id": USER, "username": "me", "email": "me@example.org", "is_admin": False}}
        self.empty()
        self.most = 0                       # of units that had a history and no end, together
        self.lost = Counter()               # {`POST histories`: of so many the answer is lost, once that is done}
        self.late = 0.0                     # seconds after which such a thing appears
        # {`POST histories`: (status, JSON) in place of an answer, or what is called before it, one each}
        self.answers = defaultdict(list)
        self.fails = {}                     # {dataset's name: what runs that take it say on standard error, one each}
        self.spoiled = {}                   # {dataset's name: so many uploads of it end in state error}
        self._made, self._one = 0, threading.RLock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"galaxy": self}))
        self.http.daemon_threads = True
        self.http.handle_error = lambda request, client: None       # a client that hangs up is no news
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def empty(self):
        """Forget all that there is."""
        self.histories, self.datasets, self.collections, self.runs, self.sessions = {}, {}, {}, {}, {}
        self.asked = []                     # `POST histories` and so on, see ROUTES

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    def count(self, *kinds):
        """How often these were asked, all where none is named."""
        return sum(not kinds or one in kinds for one in self.asked)

    def posts(self):
        return [one for one in self.asked if not one.startswith(("GET", "HEAD"))]

    def _new(self, about, late=0.0):
        self._made += 1
        return {"id": f"{self._made:016x}", "create_time": DATED.format(self._made), "deleted": False,
                "appears": self.clock() + late, **about}

    def _seen(self, things):
        return [one for one in things.values() if one["appears"] <= self.clock()]

    def _of(self, things, name):
        if name not in things or things[name]["appears"] > self.clock():
            raise Told(404, {"err_msg": f"no such thing: {name}", "err_code": 404001})
        return things[name]

    # ------------------------------------------------------------------------------------------------------- the routes

    def get_version(self, ask, body):
        return {"version_major": "26.1", "version_minor": "1"}

    def get_user(self, ask, body):
        return self.users[ask["key"]]

    @property
    def uuid(self):
        return f"00000000-0000-4000-8000-{self.version:012}"

    def get_workflows(self, ask, body):
        return [{"id": WORKFLOW, "name": NAME, "latest_workflow_uuid": self.uuid, "deleted": False}]

    def get_workflow(self, ask, body, which):
        steps = {str(index): {"id": index, "type": kind, "tool_id": None, "tool_version": None, "tool_inputs": state,
                              "input_steps": {}} for index, (kind, state) in enumerate(INPUTS.values())}
        steps[STEP] = {"id": int(STEP), "type": "tool", "tool_id": "cat1", "tool_version": "1.0.0", "tool_inputs": {},
                       "input_steps": {"input1": {"source_step": 0, "step_output": "output"}}}
        inputs = {str(index): {"label": label, "value": "", "uuid": f"u{index}"} for index, label in enumerate(INPUTS)}
        return {"id": WORKFLOW, "name": NAME, "latest_workflow_uuid": self.uuid, "version": self.version - 1,
                "deleted": False, "inputs": inputs, "steps": steps}

    def get_exported(self, ask, body, which):
        steps = {str(index): {"id": index, "label": label, "type": INPUTS[label][0], "tool_id": None, "tool_version": None,
                              "tool_state": json.dumps(INPUTS[label][1]), "workflow_outputs": [], "errors": None}
                 for index, label in enumerate(INPUTS)}
        steps[STEP] = {"id": int(STEP), "label": "copy", "type": "tool", "tool_id": "cat1", "tool_version": "1.0.0",
                       "errors": None, "tool_state": "{}",
                       "workflow_outputs": [{"label": "first", "output_name": "out_file1", "uuid": "o"}]}
        return {"name": NAME, "steps": steps}

    def get_histories(self, ask, body):
        return [{**self._history(one), "count": len(one["contents"])} for one in self._seen(self.histories)
                if not one["deleted"] and (ask.get("q") != "name-eq" or one["name"] == ask["qv"])]

    @staticmethod
    def _history(one):
        return {name: one[name] for name in ("id", "name", "deleted", "tags", "create_time")}

    def post_histories(self, ask, body, late=0.0):
        made = self._new({"name": body["name"], "tags": [], "contents": []}, late)
        self.histories[made["id"]] = made
        self._count_open()
        return self._history(made)

    def _count_open(self):
        ended = {run["history_id"] for run in self.runs.values() if run["ended"]}
        self.most = max(self.most, sum(one["id"] not in ended and "shared" not in one["name"]
                                       for one in self.histories.values() if not one["deleted"]))

    def get_history(self, ask, body, which):
        return self._history(self._of(self.histories, which))

    def put_history(self, ask, body, which):
        self._of(self.histories, which).update(body)
        return self._history(self.histories[which])

    def delete_history(self, ask, body, which):
        return self.put_history(ask, {"deleted": True}, which)

    def get_contents(self, ask, body, which):
        there = [self.datasets.get(one) or self.collections[one] for one in self._of(self.histories, which)["contents"]]
        there = [one for one in there if one["appears"] <= self.clock()]
        if ask.get("q") == "state-in":
            there = [one for one in there if one["history_content_type"] == "dataset" and self._look(one) in ask["qv"]]
        return [self._shown(one) for one in (there[::-1] if ask["order"] == "hid-dsc" else there)]

    def _look(self, dataset):
        """A dataset's state, at one more look."""
        dataset["looks"] -= 1
        if dataset["state"] == "queued" and dataset["looks"] < 0 and not dataset.get("of_run"):
            dataset["state"] = "ok"
        return dataset["state"]

    @staticmethod
    def _shown(thing):
        shown = {name: value for name, value in thing.items() if name not in ("appears", "content", "looks", "of_run")}
        if "content" in thing:
            ok = thing["state"] == "ok"
            shown.update(file_size=len(thing["content"]) if ok else 0, hashes=thing["hashes"] if ok else [])
        return shown

    def post_upload(self, ask, body):
        self._made += 1
        name = f"{self._made:032x}"
        self.sessions[name] = [int(ask["Upload-Length"]), body]
        return b"", 201, {"Location": f"{self.url}/api/upload/resumable_upload/{name}", "Upload-Offset": str(len(body))}

    def head_upload(self, ask, body, which):
        if which not in self.sessions:
            raise Told(404, {"detail": "Not Found"})
        return b"", 200, {"Upload-Offset": str(len(self.sessions[which][1])), "Upload-Length": str(self.sessions[which][0])}

    def patch_upload(self, ask, body, which):
        self.head_upload(ask, body, which)
        self.sessions[which][1] += body
        return b"", 204, {"Upload-Offset": str(len(self.sessions[which][1]))}

    def post_fetch(self, ask, body, late=0.0):
        history = self._of(self.histories, body["history_id"])
        made = []
        for number, element in enumerate(body["targets"][0]["elements"]):
            session = body.get(f"files_{number}|file_data", {}).get("session_id")
            _, content = self.sessions.pop(session, (0, None))      # a session serves once
            spoiled = self.spoiled.get(element["name"], 0) > 0
            self.spoiled[element["name"]] = self.spoiled.get(element["name"], 0) - 1
            right = content is not None and not spoiled and all(
                hashlib.sha256(content).hexdigest() == one["hash_value"] for one in element.get("hashes", []))
            made.append(self._dataset(history, element["name"], element["ext"], content or b"", late,
                                      "queued" if right or element["src"] == "url" else "error"))
        return {"outputs": [self._shown(one) for one in made], "output_collections": [], "jobs": [{"id": made[0]["id"]}]}

    def _dataset(self, history, name, ext, content, late=0.0, state="queued", **more):
        digest = [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(content).hexdigest(), "extra_files_path": None}]
        made = self._new({"name": name, "extension": ext, "file_ext": ext, "content": content, "state": state,
                          "looks": self.poll, "hid": len(history["contents"]) + 1, "history_id": history["id"],
                          "history_content_type": "dataset", "hashes": digest, "misc_info": "", "misc_blurb": "",
                          "visible": True, **more}, late)
        self.datasets[made["id"]] = made
        history["contents"].append(made["id"])
        return made

    def get_datasets(self, ask, body):
        there = [self.datasets.get(one.removeprefix("dataset-")) for one in ask["qv"].split(",")]
        for one in there:
            if one:
                self._look(one)
        return [{"creating_job": one.get("of_run"), **self._shown(one)} for one in there[::-1] if one]

    def get_dataset(self, ask, body, which):
        return self._shown(self._of(self.datasets, which))

    def delete_dataset(self, ask, body, which):
        self._of(self.datasets, which)["deleted"] = True
        return self._shown(self.datasets[which])

    def get_display(self, ask, body, which):
        about = self._of(self.datasets, which)
        return about["content"], 200, {"Content-Type": "application/octet-stream", "ETag": f'"{which}"'}

    def post_collections(self, ask, body, late=0.0):
        elements = [(one["name"], one["id"]) for one in body["element_identifiers"]]
        return self._shown(self._collection(self.histories[body["history_id"]], body["name"], elements, late))

    def _collection(self, history, name, elements, late=0.0):
        made = self._new({"name": name, "collection_type": "list", "hid": len(history["contents"]) + 1, "elements": elements,
                          "history_id": history["id"], "history_content_type": "dataset_collection",
                          "populated_state": "ok"}, late)
        self.collections[made["id"]] = made
        history["contents"].append(made["id"])
        return made

    def get_collection(self, ask, body, which):
        about = self._of(self.collections, which)
        return {**self._shown(about), "elements": [
            {"element_identifier": name, "element_type": "hda", "object": self._shown(self.datasets[dataset])}
            for name, dataset in about["elements"]]}

    # --------------------------------------------------------------------------------------------------------- the runs

    def post_invocations(self, ask, body, which, late=0.0):
        if "0" not in body["inputs"]:
            raise Told(400, {"err_msg": "Workflow cannot be run because input step '1' (table) is not optional and no input "
                                        "provided.", "err_code": 0})
        history = self._of(self.histories, body["history_id"])
        given = {index: {**one, "label": list(INPUTS)[int(index)], "workflow_step_id": index}
                 for index, one in body["inputs"].items() if isinstance(one, dict)}
        told = {list(INPUTS)[int(index)]: {"parameter_value": one, "label": list(INPUTS)[int(index)]}
                for index, one in body["inputs"].items() if not isinstance(one, dict)}
        run = self._new({"workflow_id": f"{0xf0000 + self.version:016x}", "history_id": history["id"], "state": "new",
                         "messages": [], "inputs": given, "input_step_parameters": told, "outputs": {}, "ended": False,
                         "output_collections": {}, "made": {}, "request": body,
                         "looks": self.poll if self.looks_of_runs is None else self.looks_of_runs}, late)
        first, other = given["0"], given.get("1")
        mapped = self.collections[first["id"]]["elements"] if first["src"] == "hdca" else [("", first["id"])]
        behind = self.datasets[other["id"]]["content"] if other else b""
        for name, dataset in mapped:
            source = self.datasets[dataset]
            says = self.fails.get(source["name"])
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
        return {name: run[name] for name in ("id", "workflow_id", "history_id", "state", "create_time", *more)}

    def get_invocations(self, ask, body):
        there = [one for one in self._seen(self.runs) if one["history_id"] == ask.get("history_id", one["history_id"]) and (
            "workflow_id" not in ask or (one["workflow_id"] if "instance" in ask else WORKFLOW) == ask["workflow_id"])]
        return [self._run(one) for one in (there[::-1] if ask.get("sort_desc") == "true" else there)]

    def get_invocation(self, ask, body, which):
        run = self._of(self.runs, which)
        jobs = [{"id": one, "tool_id": "cat1", "state": self._job_state(run, one), "exit_code": 1 if says else 0,
                 "create_time": run["create_time"], "update_time": run["create_time"]}
                for one, (_, says) in run["made"].items()]
        steps = [{"id": f"s{STEP}", "order_index": int(STEP), "workflow_step_label": "copy", "state": "scheduled",
                  "action": None, "subworkflow_invocation_id": None, "outputs": {}, "output_collections": {},
                  "implicit_collection_jobs_id": None, "jobs": jobs if ask.get("step_details") else []}]
        return {**self._run(run, "messages", "inputs", "input_step_parameters", "outputs", "output_collections"),
                "steps": steps}

    @staticmethod
    def _job_state(run, job):
        return "running" if not run["ended"] else "error" if run["made"][job][1] else "ok"

    def delete_invocation(self, ask, body, which):
        self._of(self.runs, which)["state"] = "cancelled"
        return self.get_invocation(ask, body, which)

    def get_jobs_summary(self, ask, body, which):
        run = self._of(self.runs, which)
        populated = {"new": "new", "scheduled": "ok"}.get(run["state"], "failed")
        jobs = Counter(self._job_state(run, one) for one in run["made"]) if populated == "ok" else {}
        return {"id": which, "model": "WorkflowInvocation", "populated_state": populated, "states": dict(jobs)}

    def get_jobs_summaries(self, ask, body):
        told = []
        for run in (self._of(self.runs, one) for one in ask["ids"].split(",")):
            run["looks"] -= 1
            if self.histories[run["history_id"]]["deleted"] and not run["ended"]:
                run.update(state="cancelled", messages=[{"reason": "history_deleted", "history_id": run["history_id"]}])
            if run["state"] in ("new", "scheduled"):
                run["state"] = "scheduled"
                run["ended"] = run["looks"] < 0
            for one, (_, says) in run["made"].items() if run["ended"] else ():
                self.datasets[one]["state"] = "error" if says else "ok"
            told.append(self.get_jobs_summary(ask, body, run["id"]))
        return told

    def get_job(self, ask, body, which):
        run = self.runs[self.datasets[which]["of_run"]]
        return {"id": which, "tool_id": "cat1", "tool_version": "1.0.0", "state": self._job_state(run, which),
                "tool_stderr": run["made"][which][1], "outputs": {"out_file1": {"src": "hda", "id": which}}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, galaxy = "HTTP/1.1", True, None

    def answer(self):
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts, galaxy = urlsplit(self.path), self.galaxy
        if parts.path == "/asked":
            told, galaxy.asked = Counter(galaxy.asked), []
            return self.reply(200, told)
        if parts.path == "/looks":
            galaxy.looks_of_runs = int(parts.query)
            return self.reply(200, galaxy.looks_of_runs)
        name, things = next(((f"{method} {name}", found.groups()) for method, name, path in ROUTES
                             if method == self.command and (found := path.fullmatch(parts.path))), (self.command, ()))
        with galaxy._one:
            galaxy.asked.append(name)
            told = galaxy.answers[name].pop(0) if galaxy.answers[name] else None
            if callable(told):
                told()
            elif told:
                return self.reply(*told)
            lost = galaxy.lost[name] > 0
            ask = {word: values[0] for word, values in parse_qs(parts.query).items()}
            ask.update(self.headers.items())
            ask["key"] = self.headers.get("x-api-key", "")
            act = getattr(galaxy, name.lower().replace(" ", "_"), None)
            if act is None:
                return self.reply(404, {"err_msg": f"{self.command} {self.path}", "err_code": 404001})
            if ask["key"] not in galaxy.users:
                return self.reply(401, {"err_msg": "Provided API key is not valid.", "err_code": 401001})
            galaxy.lost[name] -= lost
            late = {"late": galaxy.late} if lost else {}
            try:
                made = act(ask, content if "upload" in name else json.loads(content or b"null"), *things, **late)
            except Told as error:
                return self.reply(*error.args)
        if lost:
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if isinstance(made, list):
            start = int(ask.get("offset", 0))
            made = made[start:start + int(ask.get("limit", 20))]
        self.reply(200, made) if not isinstance(made, tuple) else self.reply(made[1], made[0], made[2])

    def reply(self, status, body, headers=()):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response_only(status)
        all_of_them = {"Content-Type": "application/json", "Content-Length": str(len(content)), **dict(headers)}
        for name, value in all_of_them.items():
            self.send_header(name, value)
        self._headers_buffer.append(b"\r\n" + (content if self.command != "HEAD" else b""))
        self.flush_headers()

    def log_message(self, *what):
        pass

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer


if __name__ == "__main__":
    print(LoopbackGalaxy(looks=0).url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
