"""What else the fake Galaxy has: libraries and their folders, and what a test puts into it without asking it."""
import hashlib
import io
import json
import tarfile
from pathlib import Path

WORKFLOW = "00000000000000ff"
DATA_INPUT = {"name": "input", "type": "data", "optional": False, "multiple": False, "extensions": ["data"]}
ROUTES = """
    GET libraries libraries
    POST libraries libraries
    GET library libraries/(\\w+)
    GET library_contents libraries/(\\w+)/contents
    POST library_contents libraries/(\\w+)/contents
    GET file libraries/datasets/(\\w+)
    GET storage datasets/d(\\w+)/storage
    DELETE file libraries/datasets/(\\w+)
    DELETE folder folders/(\\w+)
    GET folder_contents folders/(\\w+)/contents
    GET folder folders/(\\w+)
    POST folder folders/(\\w+)
    POST contents histories/(\\w+)/contents
    POST workflows workflows
    DELETE workflow workflows/(\\w+)
    DELETE datasets datasets
    GET request invocations/(\\w+)/request
    POST store (?:invocations|histories)/(\\w+)/prepare_store_download
    GET store_ready short_term_storage/(\\w+)/ready
    GET stored short_term_storage/(\\w+)
    GET configuration configuration
    GET tools tools
    POST tools tools
    GET tool tools/(\\w+)
    GET jobs jobs
    DELETE job jobs/(\\w+)
    GET datatypes datatypes
    GET genomes genomes
    GET contents_collection histories/\\w+/contents/dataset_collections/(\\w+)
    POST contents_collections histories/(\\w+)/contents/dataset_collections
    GET shed_revisions repositories/get_ordered_installable_revisions
    GET shed_metadata repositories/get_repository_revision_install_info
    GET data_table tool_data/(\\w+)
    GET sheds tool_shed
    GET repositories tool_shed_repositories
    POST repository tool_shed_repositories/new/install_repository_revision
    POST reset tool_shed_repositories/reset_metadata_on_installed_repositories
    GET repository tool_shed_repositories/(\\w+)
    DELETE repository tool_shed_repositories/(\\w+)"""
SHOWN = ("id", "type", "name", "description", "message", "state", "deleted", "file_size", "raw_size", "ldda_id")


class Resources:
    def empty(self):
        """Forget all that there is."""
        self.libraries, self.folders, self.import_dir = {}, {}, {}
        self.arrivals = {}          # {name of what is fetched to a library or imported: what is otherwise in its dataset}
        self.imports = {}           # what is otherwise in the jobs of imports
        self.job_state = "ok"       # of jobs that fetch for libraries
        self.jobs, self.deleted = {}, []    # these are of libraries' datasets and folders
        self.imported, self.deleted_workflows = [], []
        self.tools = {}             # {id: what it makes of the content of its input, which is called `input`}
        self.tool_inputs = {}       # {id: its inputs} where they are others
        self.revisions, self.repositories = [], []      # of a repository in a Tool Shed, which this server is as well

    # --------------------------------------------------------------------------------------------- without being asked

    def create_history(self, name):
        return self.post_histories({}, {"name": name})["id"]

    def create_dataset(self, name, content, state="ok", history=None):
        """The id of a new dataset, in a new history unless that is given."""
        history = self.histories[history or self.create_history("of a dataset")]
        return self._dataset(history, name, name.rpartition(".")[2], content, state=state)["id"]

    def held(self, history):
        """`{name: content}` of a history's datasets."""
        datasets = [self.datasets[one] for one in self.histories[history]["contents"] if one in self.datasets]
        return {one["name"]: one["content"] for one in datasets if not one["deleted"]}

    def create_library(self, name):
        return self.post_libraries({}, {"name": name})

    def create_file(self, library, name, content):
        """A new file in a new library."""
        return self.file(self.add(self.create_library(library)["root_folder_id"], name, content))

    def file(self, which):
        """A dataset or folder of a library."""
        return self._find({one["id"]: one for folder in self.folders.values() for one in folder["children"]}, which)

    def children(self, folder):
        return self.folders[folder]["children"]

    def walk(self, folder, path=""):
        """`(path, thing)` for all that is below a folder of a library."""
        for one in self.children(folder):
            yield path + one["name"], one
            if one["type"] == "folder":
                yield from self.walk(one["id"], f"{path}{one['name']}/")

    def files(self, folder):
        """`{path: content}` of the datasets below a folder of a library; there is one at most for a path."""
        files = [(path, one["content"]) for path, one in self.walk(folder) if one["type"] == "file"]
        assert len(files) == len(dict(files)), files
        return dict(files)

    def remove(self, which):
        for folder in self.folders.values():
            folder["children"] = [one for one in folder["children"] if one["id"] != which]

    def create_job(self, tool, history, state="ok", **more):
        """A job; it runs until it was asked for `polls` times."""
        made = self._new({"tool_id": tool, "history_id": history, "state": state, "exit_code": 0, "polls": 0, **more})
        return self.jobs.setdefault(made["id"], made)

    def create_invocation(self, state="scheduled"):
        """The id of an invocation of the workflow on a dataset; it has ended unless its state is another one."""
        dataset = self.datasets[self.create_dataset("a.tsv", b"abc")]
        made = self.post_invocations({}, {"history_id": dataset["history_id"],
                                          "inputs": {"0": {"src": "hda", "id": dataset["id"]}}}, "w")
        run = self.runs[made["id"]]
        run.update(state=state, ended=state == "scheduled")
        if run["ended"]:
            self.get_jobs_summaries({"ids": made["id"]}, None)
        return made["id"]

    # ------------------------------------------------------------------------------------------------------- the routes

    def get_libraries(self, ask, body):
        return list(self.libraries.values())

    def post_libraries(self, ask, body):
        made = self._new({"name": body["name"], "description": body.get("description"), "synopsis": body.get("synopsis")})
        made.pop("appears")
        made["root_folder_id"] = f"F{made['id']}"
        self.folders[made["root_folder_id"]] = {
            "id": made["root_folder_id"], "name": body["name"], "parent_id": None, "parent_library_id": made["id"],
            "children": []}
        self.libraries[made["id"]] = made
        return made

    def get_library(self, ask, body, which):
        return self._find({key: {**value, "appears": 0} for key, value in self.libraries.items()}, which)

    def add(self, folder, name, content=None, **more):
        """The id of a new dataset in a folder of a library, of a folder where it has no content."""
        thing = self._new({"type": "folder" if content is None else "file", "name": name, "state": "ok"})
        if content is None:
            thing["id"] = f"F{thing['id']}"
            self.folders[thing["id"]] = {**self.folders[folder], "id": thing["id"], "name": name, "parent_id": folder,
                                         "children": []}
        else:
            thing.update(content=content, file_size=len(content), raw_size=len(content), ldda_id=f"d{thing['id']}",
                         hash=hashlib.sha256(content).hexdigest())
        self.folders[folder]["children"].append({**thing, **more})
        return thing["id"]

    @staticmethod
    def _listed(thing):
        return {name: thing[name] for name in SHOWN if name in thing}

    def get_file(self, ask, body, which):
        return {**self._listed(self.file(which)), "ldda_id": which}

    def get_storage(self, ask, body, which):
        digest = self.file(which)["hash"]
        return {"hashes": [{"hash_function": "SHA-256", "hash_value": digest, "extra_files_path": None}] if digest else []}

    def get_library_contents(self, ask, body, which):
        root = self.libraries[which]["root_folder_id"]
        return [{"id": root, "type": "folder", "name": "/"}, *(
            {"id": one["id"], "type": one["type"], "name": f"/{path}"} for path, one in self.walk(root)
            if one["id"] not in getattr(self, "unlisted", ()))]

    def delete_file(self, ask, body, which):
        self.remove(self.file(which)["id"])
        self.deleted.append(which)
        return {"id": which, "deleted": True}

    def delete_folder(self, ask, body, which):
        return self.delete_file(ask, body, which)

    def post_library_contents(self, ask, body, which):
        folder = body["folder_id"]
        if body["create_type"] == "folder":
            made = [self.add(folder, body["name"], description=body["description"])]
        elif "from_hda_id" in body:
            dataset = self.datasets[body["from_hda_id"]]
            made = [self.add(folder, dataset["name"], dataset["content"], message=body.get("ldda_message"))]
            return self._listed(self.file(made[0]))
        elif "filesystem_paths" in body:
            path = Path(body["filesystem_paths"])
            made = [self.add(folder, path.name, path.read_bytes(), metadata=body.get("extended_metadata"))]
        else:
            made = [self.add(folder, name, content) for name, content in self.import_dir[body["server_dir"]].items()]
        return [self._listed(self.file(one)) for one in made]

    def get_folder(self, ask, body, which):
        return {"deleted": False, **self.folders[which], "children": None}

    def post_folder(self, ask, body, which):
        return self._listed(self.file(self.add(which, body["name"], description=body.get("description"))))

    def fetch_to_library(self, body):
        """A fetch whose targets are in libraries: each of its elements is there at once, if its job ends well."""
        sessions = iter(value["session_id"] for name, value in body.items() if name.startswith("files_"))

        def fill(folder, elements):
            for one in elements:
                if "items" in one or "elements" in one:
                    fill(self.add(folder, one["name"]), one.get("items") or one["elements"])
                    continue
                content = b"" if one["src"] == "url" else Path(one["path"]).read_bytes() if one["src"] == "path" else \
                    bytes(self.sessions.pop(next(sessions))[1])
                self.add(folder, **{"name": one["name"], "content": content, **self.arrivals.get(one["name"], {})})

        for target in body["targets"] if self.job_state == "ok" else ():
            place = target["destination"]
            folder = f"F{place['library_folder_id']}" if place["type"] == "library_folder" else \
                self.create_library(place["name"])["root_folder_id"]
            fill(folder, target.get("items") or target["elements"])
        return {"outputs": [], "output_collections": [], "jobs": [
            self.create_job("__DATA_FETCH__", body["history_id"], self.job_state)]}

    def get_folder_contents(self, ask, body, which):
        folder, children = self.folders[which], [self._listed(one) for one in self.children(which)]
        start, size = int(ask.get("offset", 0)), int(ask.get("limit", 10))
        return {"metadata": {"total_rows": len(children), "can_add_library_item": folder.get("can_add_library_item", True),
                             "can_modify_folder": folder.get("can_modify_folder", True),
                             "folder_name": folder["name"], "parent_library_id": folder["parent_library_id"]},
                "folder_contents": children[start:start + size]}

    def post_contents(self, ask, body, which):
        file = self.file(body["content"])
        return self._shown(self._dataset(self.histories[which], file["name"], "txt", file["content"], state="ok"))

    def post_workflows(self, ask, body):
        self.imported.append(body["workflow"])
        return {"id": f"{len(self.imported):016x}", "name": body["workflow"]["name"], "owner": "me", "deleted": False,
                "latest_workflow_uuid": self.uuid}

    def delete_datasets(self, ask, body):
        for one in body["datasets"]:
            self.datasets[one["id"]].update(deleted=True, purged=body["purge"])
        return {"success_count": len(body["datasets"]), "errors": []}

    # ------------------------------------------------------------------------------------------- archives, tools, Tool Shed

    def get_request(self, ask, body, which):
        run = self._find(self.runs, which)
        return {"workflow_id": WORKFLOW, "inputs_by": "step_index", **run["request"]}

    def get_datatypes(self, ask, body):
        names = ["txt", "tabular", "bed", "fastqsanger", "data", "auto"]
        return [{"extension": name} for name in names] if ask.get("extension_only") == "false" else names

    def get_contents_collection(self, ask, body, which):
        return self.get_collection(ask, body, which)

    def post_contents_collections(self, ask, body, which):
        return self.post_collections(ask, {**body, "history_id": which})

    def get_configuration(self, ask, body):
        return {"enable_celery_tasks": True, "allow_library_path_paste": True}

    def post_store(self, ask, body, which):
        return {"storage_request_id": which, "task": {"id": f"t{which}"}}

    def get_store_ready(self, ask, body, which):
        return True

    def get_stored(self, ask, body, which):
        return self.content, 200, {"Content-Type": "application/octet-stream"}

    def _tool(self, which):
        return {"id": which, "name": which, "version": "1.0", "description": "", "model_class": "Tool", "outputs": [],
                "panel_section_id": "text", "panel_section_name": "Text", "is_workflow_compatible": True,
                "inputs": self.tool_inputs.get(which, [DATA_INPUT])}

    def get_tools(self, ask, body):
        return list(map(self._tool, self.tools))

    def get_tool(self, ask, body, which):
        return self._tool(which)

    def post_tools(self, ask, body, late=0.0):
        tool, inputs = body["tool_id"], body["inputs"]
        if "rerun_remap_job_id" in inputs:
            return self.rerun_job(body, late)
        [source] = [one for one in inputs.values() if isinstance(one, dict)] or [None]
        source = source["values"][0] if source and "values" in source else source
        content = self.tools[tool](self.datasets[source["id"]]["content"] if source else b"")
        history = self.histories[body["history_id"]]
        made = self._dataset(history, f"{tool} on data", "tabular", content, state="ok")
        job = self.create_job(tool, history["id"], outputs={"out": {"src": "hda", "id": made["id"]}})
        return {"outputs": [{**self._shown(made), "output_name": "out"}], "output_collections": [],
                "jobs": [{**job, "state": "new"}]}

    def get_jobs(self, ask, body):
        return [one for one in self._visible(self.jobs) if one["tool_id"] == ask.get("tool_id", one["tool_id"])
                and one["history_id"] == ask.get("history_id", one["history_id"])
                and one["state"] in (ask["states"] or [one["state"]])]

    def delete_job(self, ask, body, which):
        job = self._find(self.jobs, which)
        is_open = job["state"] not in ("ok", "error", "deleted", "deleting")
        job["state"] = "deleted" if is_open else job["state"]
        return is_open

    def import_archive(self, form):
        """The job that makes a history of the archive in a form, else of `/file`."""
        content = self.content if form is None else form.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        with tarfile.open(fileobj=io.BytesIO(content)) as files:
            about = json.load(files.extractfile("history_attrs.txt"))
            history = self.histories[self.create_history(
                f"imported from archive: {about['name']}"[:255] if about["name"] else "unnamed imported history")]
            for one in json.load(files.extractfile("datasets_attrs.txt")):
                if "file_name" in one:
                    content = files.extractfile(one["file_name"]).read()
                    self._dataset(history, **{"name": one["name"], "ext": "txt", "content": content,
                                              "state": one.get("state", "ok"), **self.arrivals.get(one["name"], {})})
        self._collection(history, "all", [])
        return self.create_job("__IMPORT_HISTORY__", None, **{"create_time": history["create_time"], **self.imports})

    def get_shed_revisions(self, ask, body):
        return self.revisions

    def get_shed_metadata(self, ask, body):
        return [{}, {"changeset_revision": ask["changeset_revision"], "has_repository_dependencies": False}, {}]

    def get_data_table(self, ask, body, which):
        return {"name": which, "columns": ["value", "name"], "fields": []}

    def get_sheds(self, ask, body):
        return [{"name": "Ours", "url": f"http://{self.host}/"}]

    def get_repositories(self, ask, body):
        return self.repositories

    def post_repository(self, ask, body):
        revision = body["changeset_revision"]
        if self.revisions and revision not in self.revisions:
            return {"err_msg": f"no revision {revision}", "err_code": 404001}, 404, {}
        made = {"id": f"{len(self.repositories):08x}{len(self.asked):08x}", "name": body["name"], "owner": body["owner"],
                "status": "Installed", "tool_shed": self.host, "changeset_revision": revision,
                "installed_changeset_revision": revision, "error_message": ""}
        self.repositories.append(made)
        return [made]

    def get_repository(self, ask, body, which):
        return self._find({one["id"]: one for one in self.repositories}, which)

    def delete_repository(self, ask, body, which):
        self.repositories = [one for one in self.repositories if one["id"] != which]
        return {"message": "gone"}

    def post_reset(self, ask, body):
        return json.dumps({"unsuccessful_count": 0, "successful_count": len(self.repositories)})

    def delete_workflow(self, ask, body, which):
        self.deleted_workflows.append(which)
        return b"", 204, {}
