"""workflow_list.py, workflow_show.py, workflow_export.py and workflow_template.py on a real Galaxy's workflows."""
import copy
import json
import secrets
from pathlib import Path

import pytest
import yaml

from .conftest import become
from .test_toolsheds_live import installed, tally

__all__ = ["installed", "tally"]    # fixtures
WET_DAYS = json.loads((Path(__file__).parent.parent.parent / "demo" / "wet_days.ga").read_text())


def imported(person, content):
    return person.asked("POST", "workflows", json={"workflow": content})["id"]


def told(person, *line):
    ended = person.run(*line)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout


@pytest.fixture(scope="module")
def odd(person):
    """A workflow with inputs of all kinds, tools that are not there or in another version, and one like it inside."""
    inner, outer = copy.deepcopy(WET_DAYS), copy.deepcopy(WET_DAYS)
    inner["name"], outer["name"] = "inner", f"odd: {secrets.token_hex(4)}"
    inner["steps"]["2"]["tool_version"] = "0.9"
    outer["steps"]["2"]["tool_version"] = "1.0.0"
    outer["steps"]["1"].update(tool_id="nosuch", content_id="nosuch")
    blank = {"tool_id": None, "annotation": "", "inputs": [], "outputs": [], "workflow_outputs": [], "uuid": None,
             "position": {"left": 0, "top": 0}, "input_connections": {}, "when": None}
    more = [("data_collection_input", "pairs", {"optional": False, "collection_type": "list:paired"}),
            ("parameter_input", "how: many", {"parameter_type": "integer", "optional": False, "default": 3}),
            ("parameter_input", "which", {"parameter_type": "text", "optional": False, "restrictions": ["a", "b"]})]
    for number, (kind, label, state) in enumerate(more, 5):
        outer["steps"][str(number)] = {**blank, "id": number, "type": kind, "label": label, "name": kind,
                                       "tool_state": json.dumps(state)}
    outer["steps"]["8"] = {**blank, "id": 8, "type": "subworkflow", "name": "inner", "label": "inside", "subworkflow": inner,
                           "input_connections": {"observations": {"id": 0, "output_name": "output",
                                                                  "input_subworkflow_step_id": 0}}}
    return imported(person, outer)


def test_list(person):
    mark = secrets.token_hex(4)
    ids = [imported(person, {**WET_DAYS, "name": f"{mark} {name}"}) for name in "abc"]
    person.asked("PUT", f"workflows/{ids[1]}", json={"tags": [mark]})
    line = ["workflow_list.py", "--format=value", "--fields=id,steps", person.key, person.url]
    assert told(person, *line, f"--search={mark}").split() == [word for one in ids for word in (one, "5")]
    assert told(person, *line, f"--search=tag:{mark}").split() == [ids[1], "5"]
    assert told(person, *line, f"--search={mark}", "--limit=1").split() == [ids[0], "5"]
    person.asked("DELETE", f"workflows/{ids[2]}")
    assert told(person, *line, f"--search={mark}").split()[::2] == ids[:2]
    assert told(person, *line, f"--search={mark}", "--deleted").split()[::2] == ids[2:]


def test_list_of_others(person, admin):
    mark = secrets.token_hex(4)
    shared, published, own = (imported(admin, {**WET_DAYS, "name": f"{mark} {name}"}) for name in "abc")
    admin.asked("PUT", f"workflows/{shared}/share_with_users", json={"user_ids": [person.email]})
    admin.asked("PUT", f"workflows/{published}/publish")
    line = ["workflow_list.py", "--format=value", "--fields=id", person.key, person.url, f"--search={mark}"]
    assert told(person, *line) == ""
    assert told(person, *line, "--shared").split() == [shared]
    assert told(person, *line, "--published").split() == [published]
    assert told(person, *line, "--published", "--shared").split() == [shared, published]
    assert "Wet days" in told(person, "workflow_show.py", person.key, person.url, published)
    page = admin.look(f"workflows/{published}/sharing")["username_and_slug"]
    for name in (f"{person.url}/published/workflow?id={published}", f"{person.url}/{page}"):
        assert "Wet days" in told(person, "workflow_show.py", person.key, person.url, name)
    for name, workflow in ((f"{mark} a", shared), (f"{mark} b", published)):
        ended = person.run("workflow_show.py", person.key, person.url, name)
        assert (ended.returncode, "Wet days" in ended.stdout, ended.stderr.count("\n")) == (0, True, 1)
        assert f"you have no workflow '{name}', so this is {workflow} of " in ended.stderr
    mine = imported(person, {**WET_DAYS, "name": f"{mark} a"})       # which is taken rather than the one that is shared
    assert told(person, "workflow_show.py", "--format=jsonl", person.key, person.url, f"{mark} a") == told(
        person, "workflow_show.py", "--format=jsonl", person.key, person.url, mine)
    person.asked("DELETE", f"workflows/{mine}")
    for script in ("workflow_show.py", "workflow_export.py", "workflow_template.py"):
        ended = person.run(script, person.key, person.url, own)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1) and "403" in ended.stderr
    assert told(person, "workflow_list.py", "--format=value", "--fields=id", "anonymous", person.url,
                f"--search={mark}").split() == [published]
    for workflow in (shared, published, own):
        admin.asked("DELETE", f"workflows/{workflow}")


def test_show(person, workflow, odd):
    lines = [line.split() for line in told(person, "workflow_show.py", person.key, person.url, workflow).splitlines()]
    assert ["0", "observations", "dataset", "(tabular)", "no"] in lines
    assert ["4", "Wettest", "first", "sort1", "1.2.0", "3", "By", "month", "wet_days"] in lines
    assert " ".join(lines[-1]) == "The server has all its tools."
    text = told(person, "workflow_show.py", person.key, person.url, odd)
    missing, others = (part.splitlines()[2:] for part in text.split("It can't run: the server lacks:\n")[1].split(
        "\n\nIt runs other versions of:\n"))
    assert [row.split() for row in missing] == [["nosuch", "1.0.4"]]
    assert sorted(row.split() for row in others) == [["Filter1", "0.9", "1.1.1"], ["Filter1", "1.0.0", "1.1.1"]]
    rows = [json.loads(line) for line in told(person, "workflow_show.py", "--format=jsonl", person.key, person.url,
                                              person.look(f"workflows/{odd}")["name"]).splitlines()]
    assert [(row["label"], row["kind"], row["default"], row["choices"]) for row in rows] == [
        ("observations", "dataset", None, []), ("pairs", "collection", None, []), ("how: many", "integer", 3, []),
        ("which", "text", None, ["a", "b"])]


def test_a_tool_of_a_tool_shed_in_another_version_is_one_that_is_missing(person, weather, installed):
    """What missing_tools says is what Galaxy does: it runs a local tool's other version, and no Tool Shed's."""
    become(lambda: "0.2" in installed.tools(), True)
    there = [tool for tool in person.look("tools", in_panel="false") if "/repos/demo/tally/tally/" in tool["id"]]
    older = there[0]["id"].rsplit("/", 1)[0] + "/0.0.1"
    content = copy.deepcopy(WET_DAYS)
    content["steps"]["1"].update(tool_id=older, content_id=older, tool_version="0.0.1")
    shed = imported(person, content)
    shown = told(person, "workflow_show.py", person.key, person.url, shed)
    rows = [line.split() for line in shown.splitlines() if line.startswith(older)]
    assert any([older, "0.0.1", tool["version"], "demo", "tally"] in rows for tool in there)
    assert f"\ntool_install.py - - {older}\n" in shown
    ended = person.run("workflow_execute.py", person.key, person.url, shed, f"hist_id={weather.history}",
                       f"observations=hda={weather.dataset}")
    assert ended.returncode == 1 and "the server lacks demo/tally/tally/0.0.1, so nothing was sent" in ended.stderr
    with pytest.raises(AssertionError, match="not installed"):
        person.asked("POST", f"workflows/{shed}/invocations", json={"history": f"hist_id={weather.history}", "inputs": {
            "0": {"src": "hda", "id": weather.dataset}}})


def test_export(person, workflow, tmp_path):
    name = f"back {secrets.token_hex(4)}"
    for file in ("w.ga", "w.gxwf.yml"):
        assert told(person, "workflow_export.py", f"--to={tmp_path / file}", person.key, person.url, workflow) == ""
        again = person.value("workflow_import.py", "--format=value", "--fields=id", person.key, person.url, tmp_path / file)
        person.asked("PUT", f"workflows/{again}", json={"name": f"{name} {file}"})
        was, now = person.look(f"workflows/{workflow}"), person.look(f"workflows/{again}")
        assert [step["tool_id"] for step in now["steps"].values()] == [step["tool_id"] for step in was["steps"].values()]
        assert [one["label"] for one in now["inputs"].values()] == ["observations"]
    assert "s3 -->|\"input\"| s4\n" in told(
        person, "workflow_export.py", "--style=mermaid", person.key, person.url, workflow)
    assert "*  4 Wettest first    sort1 1.2.0        <- 3 By month  => wet_days\n" in told(
        person, "workflow_export.py", "--style=text", person.key, person.url, workflow)
    ended = person.run("workflow_export.py", f"--to={tmp_path / 'w.ga'}", person.key, person.url, workflow)
    assert ended.returncode == 1 and "give --force" in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["w.ga", "w.gxwf.yml"]


def test_template(person, odd, tmp_path):
    assert told(person, "workflow_template.py", f"--to={tmp_path / 'job.yml'}", person.key, person.url, odd) == ""
    job = yaml.safe_load((tmp_path / "job.yml").read_text())
    labels = [one["label"] for one in person.look(f"workflows/{odd}")["inputs"].values()]
    assert sorted(job) == sorted(labels)
    assert job["observations"] == {"class": "File", "path": "todo_test_data_path.ext"}
    assert [element["identifier"] for element in job["pairs"]["elements"][0]["elements"]] == ["forward", "reverse"]
    assert (job["how: many"], job["which"]) == (3, "todo_param_value")
