"""Galaxy 26.1's answers about an invocation, its steps and its jobs, for requests_mock."""
from fakes import API, KEY

BEGAN = "2026-03-01T10:00:00.000000"
FORBIDDEN = {"status_code": 403, "json": {"err_msg": "not yours", "err_code": 403002}}


def a_job(name, state="ok", **more):
    return {"id": name, "state": state, "tool_id": "Filter1", "exit_code": 0 if state == "ok" else None, "history_id": "h",
            "create_time": BEGAN, "update_time": "2026-03-01T10:00:05.000000", **more}


def a_step(index, label, *jobs, state="scheduled", **more):
    return {"order_index": index, "workflow_step_label": label, "state": state, "action": None, "jobs": list(jobs),
            "subworkflow_invocation_id": None, "implicit_collection_jobs_id": None, "outputs": {}, "output_collections": {},
            **more}


class Runs:
    """The answers about one invocation `i` of the workflow `w` in the history `h`."""

    def __init__(self, mock, *steps, state="completed", kinds=None, **more):
        self.mock, self.jobs = mock, {}
        self.about = {"id": "i", "state": state, "workflow_id": "w", "history_id": "h", "create_time": BEGAN,
                      "update_time": "2026-03-01T10:00:30.000000", "messages": [], "inputs": {}, "input_step_parameters": {},
                      "outputs": {}, "output_collections": {}, "output_values": {}, **more}
        self.invocation("i", *steps)
        self.workflow("w", "Hot days", kinds or {})
        mock.get(f"{API}/histories/h", json={"name": "Run 12"})
        mock.get(f"{API}/version", json={"version_major": "26.1", "version_minor": "1"})
        mock.get(f"{API}/invocations/i/request", json={"parameters": {}, "replacement_params": None})
        mock.get(f"{API}/invocations/i/metrics", json=[])
        mock.get(f"{API}/jobs", json=[])        # none of them was run again
        mock.get(f"{API}/invocations/i/jobs_summary", json={"states": {}, "populated_state": "ok"})

    def invocation(self, name, *steps, workflow="w"):
        details = {**self.about, "id": name, "workflow_id": workflow, "steps": list(steps)}
        self.mock.get(f"{API}/invocations/{name}", json=details)
        for step in steps:
            for job in step["jobs"]:
                self.job(job)

    def job(self, job, **more):
        self.mock.get(f"{API}/jobs/{job['id']}", json={"inputs": {}, "outputs": {}, "params": {}, "tool_stderr": "", **job,
                                                       **more})
        self.mock.get(f"{API}/jobs/{job['id']}/metrics", json=[])
        self.mock.get(f"{API}/jobs/{job['id']}/parameters_display", json={"parameters": []})

    def workflow(self, name, title, kinds):
        """`kinds` are `{index: (type, tool's id, version)}`."""
        self.mock.get(f"{API}/workflows/{name}", json={"id": f"stored-{name}", "name": title, "version": 3, "steps": {
            str(index): dict(zip(("type", "tool_id", "tool_version"), kind)) for index, kind in kinds.items()}})

    def collection(self, which, identifiers, **more):
        """`identifiers` are `{dataset's id: element identifier}`."""
        self.mock.get(f"{API}/dataset_collections/{which}", json={
            "id": which, "name": "places", "elements_states": {}, "elements": [
                {"element_identifier": identifier, "element_type": "hda", "object": {"id": dataset}}
                for dataset, identifier in identifiers.items()], **more})

    def measured(self, job, seconds, memory=None, start=None):
        metrics = [("core", "runtime_seconds", f"{seconds}.0000000"), ("core", "galaxy_slots", "1.0000000")]
        if start is not None:
            metrics += [("core", "start_epoch", f"{start}.0000000"), ("core", "end_epoch", f"{start + seconds}.0000000")]
        if memory is not None:
            metrics += [("cgroup", "memory.peak", f"{memory}.0000000"), ("cgroup", "memory.max", "max")]
        made = [{"plugin": plugin, "name": name, "raw_value": value, "job_id": job} for plugin, name, value in metrics]
        self.mock.get(f"{API}/jobs/{job}/metrics", json=made)
        return made

    def asked(self, method="GET"):
        return [one.path.removeprefix("/api/") for one in self.mock.request_history if one.method == method]


def mapped(mock, **more):
    """An invocation of two steps mapped over Oslo, Broken and Lima; the jobs of Broken failed."""
    runs = Runs(
        mock, a_step(0, "places"),
        a_step(1, "hot", a_job("j1"), a_job("j2", "error", exit_code=1), a_job("j3"), implicit_collection_jobs_id="icj",
               output_collections={"out": {"src": "hdca", "id": "c1"}}),
        a_step(2, "days", a_job("k1"), a_job("k2", "paused", update_time="2026-03-01T10:00:01"), a_job("k3"),
               implicit_collection_jobs_id="icj2", output_collections={"out": {"src": "hdca", "id": "c2"}}),
        kinds={0: ("data_collection_input", None, None), 1: ("tool", "Filter1", "1.1.1"), 2: ("tool", "Cut1", "1.0.2")},
        **more)
    runs.collection("c1", {"d1": "Oslo", "d2": "Broken", "d3": "Lima"})
    runs.collection("c2", {"e1": "Oslo", "e2": "Broken", "e3": "Lima"})
    runs.job(a_job("j2", "error", exit_code=1), outputs={"out": {"src": "hda", "id": "d2"}},
             tool_stderr="Traceback\nIndexError: list <index> out of range\n")
    runs.job(a_job("k2", "paused"), outputs={"out": {"src": "hda", "id": "e2"}})
    mock.get(f"{API}/datasets/e2", json={"id": "e2", "misc_info": None})
    mock.get(f"{API}/datasets", json=[{"id": f"{letter}{number}", "creating_job": f"{job}{number}"}
                                      for letter, job in (("d", "j"), ("e", "k")) for number in (1, 2, 3)])
    return runs


def one_line(capsys, words):
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1 and words in printed.err and KEY not in printed.err, printed.err
    return printed.out
