"""The legacy workflow scripts by their old command lines, then Galaxy is asked what it holds."""
import contextlib
import functools
import json
import os
import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import workflow_import

from common import Galaxy
from galaxy_api_scripts.invocations.invocation import wait_for_invocation

ROOT = Path(__file__).parent.parent.parent
WET_DAYS = ROOT / "demo" / "wet_days.ga"
FORMAT_2 = """class: GalaxyWorkflow
label: First column
inputs:
  table: data
steps:
  cut:
    tool_id: Cut1
    in: {input: table}
    state: {columnList: c1, delimiter: T}
"""


def imported(person, *line, script="workflow_import.py"):
    """The one workflow that a run of the script added, and what it printed."""
    before = {one["id"] for one in person.look("workflows")}
    ended = person.run(script, *line)
    assert ended.returncode == 0, ended.stderr
    [made] = {one["id"] for one in person.look("workflows")} - before
    return person.look(f"workflows/{made}"), ended


@contextlib.contextmanager
def website(folder):
    """A server of the folder's files that remembers the headers it is sent."""
    seen = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            seen.append(dict(self.headers))
            super().do_GET()

        def log_message(self, *what):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_workflow_import(person):
    before = {one["id"] for one in person.look("workflows")}
    ended = person.run("workflow_import.py", person.key, person.url, WET_DAYS)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    [made] = {one["id"] for one in person.look("workflows")} - before
    assert person.look(f"workflows/{made}")["name"] == "Wet days by month"
    assert [step["tool_id"] for step in person.look(f"workflows/{made}")["steps"].values()] == [
        None, "Grep1", "Filter1", "Grouping1", "sort1"]


def test_workflow_import_of_a_bare_file(person, tmp_path):
    bare = {name: value for name, value in json.loads(WET_DAYS.read_text()).items() if name != "annotation"}
    (tmp_path / "bare.ga").write_text(json.dumps(bare))
    made = person.value("workflow_import.py", "--format=value", "--fields=id", person.key, person.url, tmp_path / "bare.ga")
    assert person.look(f"workflows/{made}")["name"] == "Wet days by month"


def test_workflow_import_into_the_menu(person):
    made = person.value("workflow_import.py", "--format=value", "--fields=id", person.key, person.url,
                        WET_DAYS, "--add_to_menu")
    assert [one["show_in_tool_panel"] for one in person.look("workflows") if one["id"] == made] == [True]


def test_import_of_a_format_2_file(person, tmp_path):
    (tmp_path / "w.gxwf.yml").write_text(FORMAT_2)
    workflow, ended = imported(person, person.key, person.url, tmp_path / "w.gxwf.yml")
    assert (ended.stdout, ended.stderr) == ("", "")
    assert workflow["name"] == "First column" and workflow["inputs"]["0"]["label"] == "table"
    assert workflow["steps"]["1"]["tool_id"] == "Cut1" and workflow["steps"]["1"]["tool_inputs"]["columnList"] == "c1"


@pytest.mark.parametrize("name", ["w.ga", "w.gxwf.yml"])
def test_import_from_an_address(person, tmp_path, name):
    (tmp_path / name).write_text(WET_DAYS.read_text() if name == "w.ga" else FORMAT_2)
    with website(tmp_path) as (url, seen):
        workflow, ended = imported(person, person.key, person.url, f"{url}/{name}")
    assert (ended.stdout, ended.stderr) == ("", "")
    assert workflow["name"] == ("Wet days by month" if name == "w.ga" else "First column")
    assert len(seen) == 1 and person.key not in str(seen)


def test_import_of_a_path_on_the_server(server, person, tmp_path, monkeypatch, script, capsys):
    """Here the server's files are this machine's too, so the script is made blind to the one that it shall name."""
    (tmp_path / "w.ga").write_text(WET_DAYS.read_text())
    (tmp_path / "hosts").write_text("no workflow")
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    line = ["--format=value", "--fields=id,name", server.key, person.url]
    assert script(workflow_import.main, *line, tmp_path / "w.ga") == 0
    told = capsys.readouterr()
    made, name = told.out.split("\t")
    assert (name, told.err) == ("Wet days by month\n", "")
    answer = requests.delete(f"{person.url}/api/workflows/{made}", headers={"x-api-key": server.key}, timeout=60)
    assert answer.status_code == 204
    for key, path, words in ((server.key, "hosts", "Galaxy finds no workflow there"), (server.key, "nosuch", "no workflow"),
                             (person.key, "w.ga", "needs an administrator's key")):
        assert script(workflow_import.main, key, person.url, tmp_path / path) == 1
        told = capsys.readouterr()
        assert told.out == "" and told.err.count("\n") == 1 and words in told.err


def test_import_names_the_tools_that_the_server_lacks(person, tmp_path):
    content = json.loads(WET_DAYS.read_text())
    content["steps"]["1"].update(tool_id="nosuch", content_id="nosuch")
    (tmp_path / "w.ga").write_text(json.dumps(content))
    for script in ("workflow_import.py", "workflow_import_from_file_rpark.py"):
        workflow, ended = imported(person, person.key, person.url, tmp_path / "w.ga", script=script)
        first, *_, row = ended.stderr.splitlines()
        assert first.endswith("until an administrator installs nosuch") and row.split() == ["nosuch", "1.0.4"]
        assert workflow["steps"]["1"]["tool_id"] == "nosuch"


def test_import_from_file_rpark(person):
    url = f"{person.url}/api/workflows/import"
    workflow, ended = imported(person, person.key, url, WET_DAYS, script="workflow_import_from_file_rpark.py")
    assert ended.stdout.startswith("Response\n--------\n{'") and f"'id': '{workflow['id']}'" in ended.stdout
    assert (workflow["name"], len(workflow["steps"]), ended.stderr) == ("Wet days by month", 5, "")


def test_imports_that_are_refused(person, tmp_path):
    before = len(person.look("workflows"))
    (tmp_path / "w.ga").write_text('{"name": "n"}')
    for script in ("workflow_import.py", "workflow_import_from_file_rpark.py"):
        for line, status in (([person.key, person.url, tmp_path / "w.ga"], 2), ([person.key, person.url, "w.ga"], 2),
                             (["0" * 32, person.url, WET_DAYS], 1)):
            ended = person.run(script, *line)
            assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1)
    assert len(person.look("workflows")) == before


def test_workflow_delete(person):
    made = person.asked("POST", "workflows", json={"workflow": json.loads(WET_DAYS.read_text())})["id"]
    url = f"{person.url}/api/workflows/{made}"
    assert person.run("workflow_delete.py", "--dry-run", person.key, url).returncode == 0
    assert not person.look(f"workflows/{made}")["deleted"]
    for purge in ([], ["True"]):
        ended = person.run("workflow_delete.py", person.key, url, *purge)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Response\n--------\n", "")
        assert person.look(f"workflows/{made}")["deleted"] and made not in [one["id"] for one in person.look("workflows")]
    other = person.run("workflow_delete.py", person.key, f"{person.url}/api/workflows/{'f' * 16}")
    assert (other.returncode, other.stdout, other.stderr.count("\n")) == (1, "", 1)


def steps_of(person, workflow):
    """The workflow's steps by index, with the ids that old servers showed."""
    exported = person.look(f"workflows/{workflow}/download")["steps"]
    ids = list(person.look(f"workflows/{workflow}", legacy="true")["steps"])
    return {index: {**step, "id": ids[int(index)]} for index, step in exported.items()}


def test_steps_by_index_id_uuid_and_label(person, workflow, weather):
    first = steps_of(person, workflow)["0"]
    for step in ("0", first["id"], first["uuid"], first["label"]):
        ended = person.run("workflow_execute.py", "--dry-run", person.key, person.url, workflow, "none",
                           f"{step}=hda={weather.dataset}")
        assert json.loads(ended.stdout)["payload"]["inputs"] == {"0": {"src": "hda", "id": weather.dataset}}
    before = len(person.look("invocations", workflow_id=workflow, limit=100))
    for script in ("workflow_execute.py", "workflow_execute_parameters.py"):
        for line in ([], ["nosuch=hda=x"], ["4=hda=x"]):
            ended = person.run(script, person.key, person.url, workflow, "none", *line)
            assert (ended.returncode, ended.stdout) == (2, "")
            assert re.search(r"\nindex +label +takes +optional +uuid\n.*\n0 +observations +dataset \(tabular\) +no +"
                             + first["uuid"], ended.stderr)
    assert len(person.look("invocations", workflow_id=workflow, limit=100)) == before


def jobs_of(person, run):
    """The parameters of a run's jobs, by tool, once all of them are ok."""
    wait_for_invocation(Galaxy(person.key, person.url), run, timeout=300)
    found = {job["tool_id"]: job["id"] for job in person.look("jobs", invocation_id=run)}
    return {tool: {name: json.loads(value) for name, value in person.look(f"jobs/{job}", full="true")["params"].items()
                   if value} for tool, job in found.items()}


def test_workflow_execute_into_a_history_that_is_there(person, workflow, weather):
    history = person.new_history("there already")
    ended = person.run("workflow_execute.py", person.key, f"{person.url}/api/workflows", workflow, f"hist_id={history}",
                       f"0=hda={weather.dataset}")
    assert ended.returncode == 0 and ended.stdout.startswith("Response\n--------\n{'")
    assert len(person.look("invocations", history_id=history)) == 1


def test_workflow_execute_submits_nothing_for_a_wrong_input(person, workflow, weather):
    before = len(person.look("invocations", workflow_id=workflow, limit=100))
    for line, code, words in ((["obervations=hda=x"], 2, "did you mean observations?"),
                              (["--dry-run", "0=hda=x"], 1, "hda=x: nothing has that id"),
                              (["--dry-run", f"0=hda={weather.dataset}"], 0, "")):
        ended = person.run("workflow_execute.py", person.key, person.url, workflow, "none", *line)
        assert words in ended.stderr and ended.returncode == code
    assert len(person.look("invocations", workflow_id=workflow, limit=100)) == before


def test_parameters_reach_the_jobs(person, workflow, weather):
    """Each way to name a step, values with = in them, all of a tool's parameters, one inside of a repeat."""
    steps = steps_of(person, workflow)
    ended = person.run(
        "workflow_execute_parameters.py", "--format=value", "--fields=id", person.key, f"{person.url}/api/workflows",
        workflow, "Dry days", f"0=hda={weather.dataset}", "param=Filter1=cond=c3==0", "param=Filter1=header_lines=1",
        "param=3=operations_2|optype=mean", f"param={steps['4']['label']}=order=ASC",
        f"param={steps['4']['id']}=column=1", f"param={steps['1']['uuid']}=pattern=^date=?")
    assert (ended.returncode, ended.stderr) == (0, "")
    run = ended.stdout.strip()
    history = person.look(f"invocations/{run}")["history_id"]
    assert person.look(f"histories/{history}")["name"] == "Dry days"
    params = jobs_of(person, run)
    assert (params["Filter1"]["cond"], params["Filter1"]["header_lines"]) == ("c3==0", "1")
    assert [one["optype"] for one in params["Grouping1"]["operations"]] == ["length", "sum", "mean"]
    assert (params["sort1"]["order"], params["sort1"]["column"], params["Grep1"]["pattern"]) == ("ASC", "1", "^date=?")

    output = person.look(f"invocations/{run}")["outputs"]["wet_days"]["id"]
    answer = requests.get(f"{person.url}/api/datasets/{output}/display", headers={"x-api-key": person.key}, timeout=60)
    rows = [line.split("\t") for line in answer.text.splitlines()]
    days = [line.split("\t") for line in (ROOT / "demo" / "seattle_2015.tsv").read_text().splitlines()[1:]]
    dry = {}
    for _, month, rain, *_ in days:
        if float(rain) == 0:
            dry[month] = dry.get(month, 0) + 1
    assert {month: int(count) for month, count, total, mean in rows if float(total) == 0} == dry


def test_parameters_that_galaxy_would_ignore_are_refused(person, workflow, weather):
    before = len(person.look("invocations", workflow_id=workflow, limit=100))
    for parameter, words in (("param=Filter=cond=x", "did you mean Filter1?"), ("param=Filter1=cnd=x", "did you mean cond?"),
                             ("param=Grouping1=optype=mean", "did you mean operations_0|optype?")):
        ended = person.run("workflow_execute_parameters.py", person.key, person.url, workflow, "none",
                           f"0=hda={weather.dataset}", parameter)
        assert (ended.returncode, ended.stdout) == (2, "") and words in ended.stderr.splitlines()[0]
        assert len(ended.stderr.splitlines()) > 3
    assert len(person.look("invocations", workflow_id=workflow, limit=100)) == before
