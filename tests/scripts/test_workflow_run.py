"""workflow_run.py: its requests, the lines that it refuses, and how it ends."""
import contextlib
import json
from types import SimpleNamespace

import pytest
import workflow_run
from fakes import KEY, URL

from common import DONE, FAILED, STILL_RUNNING, USAGE
from galaxy_api_scripts import files, polling
from galaxy_api_scripts.datasets.upload import Upload
from galaxy_api_scripts.workflows import staging
from galaxy_api_scripts.workflows.run import parse_step_parameter

WORKFLOW_ID, HISTORY_ID = "f2db41e1fa331b3e", "85a07f4bbdb2c898"
WORKFLOW = {"id": WORKFLOW_ID, "name": "n", "version": 2, "latest_workflow_uuid": "u", "inputs": {
    "0": {"label": "table", "uuid": "u0"}, "1": {"label": "limit", "uuid": "u1"}}, "steps": {
    "0": {"type": "data_input", "tool_inputs": {"optional": False}},
    "1": {"type": "parameter_input", "tool_inputs": {"optional": False, "default": 3, "parameter_type": "integer"}},
    "2": {"type": "tool", "tool_id": "cat1", "tool_version": "1.0", "tool_inputs": {},
          "input_steps": {"linked": {"source_step": 1, "step_output": "output"}}}}}
CAT = {"inputs": [{"type": "text", "name": "x"}, {"type": "text", "name": "linked"}]}      # as the editor shows the tool
EXPORTED = {"steps": {"0": {"label": "table"}, "2": {
    "id": 2, "label": "copy", "tool_id": "cat1", "tool_version": "1.0", "config_form": CAT,
    "workflow_outputs": [{"label": "copied", "output_name": "o"}]}}}
ENDED = {"id": "i", "workflow_id": "v", "state": "scheduled", "steps": [],
         "inputs": {"0": {"src": "hda", "id": "d"}}, "output_collections": {},
         "outputs": {"copied": {"src": "hda", "id": "o"}}}


@pytest.fixture
def table(tmp_path):
    (tmp_path / "t.tsv").write_text("1\n")
    return tmp_path / "t.tsv"


@pytest.fixture
def galaxy(requests_mock, monkeypatch):
    """A Galaxy in which the run succeeds at once; no bytes are uploaded."""
    answers = {"users/current": {"id": "me", "is_admin": False}, f"workflows/{WORKFLOW_ID}": WORKFLOW,
               f"workflows/{WORKFLOW_ID}/download": EXPORTED, "version": {"version_major": "26.1"},
               f"histories/{HISTORY_ID}": {"id": HISTORY_ID, "name": "there", "user_id": "me", "tags": ["old"]},
               "invocations": [], "invocations/i": ENDED, "datasets": [],
               "datasets/d": {"id": "d", "state": "ok", "name": "d"},
               "invocations/i/jobs_summary": {"id": "i", "states": {"ok": 1}, "populated_state": "ok"}}
    for path, answer in answers.items():
        requests_mock.get(f"{URL}/api/{path}", json=answer)
    requests_mock.get(f"{URL}/api/workflows", json=[{"id": WORKFLOW_ID, "name": "n", "latest_workflow_uuid": "u"}])
    requests_mock.post(f"{URL}/api/workflows", json={"id": WORKFLOW_ID})
    requests_mock.post(f"{URL}/api/histories", json={"id": HISTORY_ID})
    requests_mock.put(f"{URL}/api/histories/{HISTORY_ID}", json={})
    requests_mock.post(f"{URL}/api/workflows/{WORKFLOW_ID}/invocations", json={"id": "i", "state": "new"})
    monkeypatch.setattr(staging, "upload_sources", lambda galaxy, history, sources, settings: [
        Upload(source, dataset={"id": "d"}) for source in sources])
    monkeypatch.setattr(staging, "verify_uploads", lambda galaxy, history, uploads, settings, timeout: uploads)
    return requests_mock


def sent(galaxy, method="POST"):
    return [(request.path.removeprefix("/api/"), request.json()) for request in galaxy.request_history
            if request.method == method]


def test_a_file_is_uploaded_and_the_workflow_run(script, galaxy, table, capsys):
    assert script(workflow_run.main, KEY, URL, WORKFLOW_ID, f"table={table}", "limit=5") == DONE
    assert sent(galaxy) == [("histories", {"name": "n"}), (f"workflows/{WORKFLOW_ID}/invocations", {
        "history_id": HISTORY_ID, "inputs": {"0": {"src": "hda", "id": "d"}, "1": 5}, "inputs_by": "step_index",
        "no_add_to_history": True})]
    assert capsys.readouterr() == ("label    src    id\n-------  -----  ----\ncopied   hda    o\n", "")


def test_all_options_go_into_the_request(script, galaxy, capsys):
    assert script(workflow_run.main, "--no-wait", "--use-cached-jobs", "--allow-corrections", "--on-complete=notify",
                  "--param=cat1:x=1", f"--history={HISTORY_ID}", "--tag=new", KEY, URL, "n", "table=hda:d") == DONE
    [(_, body)] = sent(galaxy)
    assert {name: body[name] for name in ("history_id", "parameters", "use_cached_job", "allow_tool_state_corrections",
                                          "on_complete")} == {
        "history_id": HISTORY_ID, "parameters": {"cat1": {"x": "1"}}, "use_cached_job": True,
        "allow_tool_state_corrections": True, "on_complete": [{"send_notification": {}}]}
    assert sent(galaxy, "PUT") == [(f"histories/{HISTORY_ID}", {"tags": ["old", "new"]})]
    assert capsys.readouterr().out.splitlines()[-1].split() == ["i", WORKFLOW_ID, HISTORY_ID, "new"]


def test_on_complete_is_refused_for_an_old_server(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/version", json={"version_major": "25.1"})
    assert script(workflow_run.main, "--on-complete=notify", KEY, URL, "n", "table=hda:d") == FAILED
    assert "needs Galaxy 26.0 or later, and http://galaxy.test is 25.1" in capsys.readouterr().err and sent(galaxy) == []


def test_a_dry_run_sends_nothing(script, galaxy, table, capsys):
    assert script(workflow_run.main, "-n", KEY, URL, WORKFLOW_ID, f"table={table}") == DONE
    captured = json.loads(capsys.readouterr().out)
    assert sent(galaxy) == [] and captured["payload"]["inputs"] == {"0": {"upload": str(table), "extension": "tabular"}}


@pytest.mark.parametrize("words, message", [
    (["tabel=x"], "there is no input 'tabel': did you mean table?"),
    (["table=hda:d", "limit=x"], "input limit: 'x' is not an integer, so nothing was sent"),
    (["table=hda:d", "--outputs=nosuch"], "there is no output 'nosuch': there are copied"),
    (["table=hda:d", "--param=sort:x=1"], "has no tool or step 'sort'"),
    (["table=hda:d", "--param=cat1:linked=1"], "parameter linked of cat1 comes from an input or another step"),
    (["table=hda:d", "--param=sort:x=1", "--param=cat1:y=1"], "2 things are wrong, so nothing was sent"),
    (["table=hda:d", "--param=cat1:x=1", "--param=cat1:x=2"], "parameter x of cat1 is given twice, so nothing was sent"),
    (["table=hda:d", "--tag=two words"], "--tag=two words: expected a word without spaces"),
    (["table=hda:d", "--tag="], "--tag is empty"),
    (["table=hda:d", "--history="], "--history is empty: is a variable unset?"),
    (["table=hda:d", "--download="], "--download is empty: is a variable unset?"),
    (["table=hda:d", "--outputs="], "--outputs is empty: is a variable unset?"),
    (["table=hda:d", "--fields=path"], "--fields: there is no path: there are label, src, id"),
    (["table=hda:d", "--no-wait", "--fields=label"], "there is no label: there are id, workflow_id, history_id, state"),
    (["--job="], "--job is empty: is a variable unset?"),
    (["table=hda:d", f"--download={__file__}"], f"--download={__file__}: not a folder"),
    (["table=hda:d", "--param=sort"], "expected STEP:NAME=VALUE"),
    (["table=hda:d", "--on-complete=mail"], "notify, or the address of a file source"),
    (["table=hda:d", "--no-wait", "--download=x"], "--no-wait can't be combined with"),
    (["table=hda:d", "--report=x.txt"], "a report is FILE.html"),
    (["--job=none.yml"], "none.yml: No such file or directory"),
])
def test_wrong_inputs_and_options_are_refused_before_anything_is_sent(script, galaxy, words, message, capsys):
    options = [word for word in words if word.startswith("--")]
    values = [word for word in words if word not in options]
    assert script(workflow_run.main, *options, KEY, URL, WORKFLOW_ID, *values) == USAGE
    captured = capsys.readouterr()
    assert sent(galaxy) == [] and captured.out == "" and message in captured.err and "Traceback" not in captured.err


def test_missing_tools_are_refused(script, galaxy, capsys):
    lacks = {"steps": {**EXPORTED["steps"], "2": {**EXPORTED["steps"]["2"], "errors": "missing"}}}
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json=lacks)
    assert script(workflow_run.main, KEY, URL, WORKFLOW_ID, "table=hda:d") == USAGE
    told = capsys.readouterr().err
    assert "the server lacks cat1, so nothing was sent" in told and told.splitlines()[-1].split() == ["cat1", "1.0"]


def test_a_file_is_imported_once(script, galaxy, tmp_path, capsys):
    (tmp_path / "w.gxwf.yml").write_text("class: GalaxyWorkflow\nlabel: n\ninputs: []\nsteps: []\n")
    line = ["-n", KEY, URL, tmp_path / "w.gxwf.yml", "table=hda:d"]
    assert script(workflow_run.main, *line) == DONE
    [(path, body)] = sent(galaxy)
    content = json.loads(body["workflow"]["yaml_content"])
    assert (path, content["class"], len(content["uuid"])) == ("workflows", "GalaxyWorkflow", 36)
    galaxy.get(f"{URL}/api/workflows", json=[{"id": "w1", "name": "n", "latest_workflow_uuid": "other"},
                                             {"id": WORKFLOW_ID, "name": "n", "latest_workflow_uuid": content["uuid"]}])
    assert script(workflow_run.main, *line) == DONE
    assert len(sent(galaxy)) == 1
    assert script(workflow_run.main, "-n", KEY, URL, tmp_path / "none.ga", "table=hda:d") == USAGE
    assert "none.ga: no such file" in capsys.readouterr().err


def test_two_runs_that_import_a_file_at_once_keep_the_older(script, galaxy, tmp_path):
    (tmp_path / "w.gxwf.yml").write_text("class: GalaxyWorkflow\nlabel: n\ninputs: []\nsteps: []\n")
    listed = []

    def imported(request, context):
        mark = json.loads(request.json()["workflow"]["yaml_content"])["uuid"]
        listed.extend({"id": name, "name": "n", "latest_workflow_uuid": mark, "create_time": f"2026-01-01T00:00:0{second}"}
                      for name, second in (("younger", 2), (WORKFLOW_ID, 1)))
        return {"id": "younger"}
    galaxy.get(f"{URL}/api/workflows", json=lambda request, context: listed)
    galaxy.post(f"{URL}/api/workflows", json=imported)
    galaxy.delete(f"{URL}/api/workflows/younger", status_code=204)
    assert script(workflow_run.main, "-n", KEY, URL, tmp_path / "w.gxwf.yml", "table=hda:d") == DONE
    assert [one.path for one in galaxy.request_history if one.method == "DELETE"] == ["/api/workflows/younger"]


def test_a_name_that_two_imports_of_one_file_have_is_told_with_ids_and_dates(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/workflows", json=[{"id": WORKFLOW_ID, "name": "n", "update_time": "2026-11-29T13:05:59"},
                                             {"id": "younger", "name": "n", "update_time": "2026-11-29T14:05:59"}])
    assert script(workflow_run.main, KEY, URL, "n", "table=hda:d") == FAILED
    told = capsys.readouterr().err
    assert f"{WORKFLOW_ID} 2026-11-29T13:05, younger 2026-11-29T14:05; give the id of one" in told
    assert script(workflow_run.main, "-n", KEY, URL, WORKFLOW_ID, "table=hda:d") == DONE


def test_a_deleted_workflow_is_refused(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}", json={**WORKFLOW, "deleted": True})
    assert script(workflow_run.main, KEY, URL, WORKFLOW_ID, "table=hda:d") == FAILED
    assert "is deleted: undelete it" in capsys.readouterr().err and sent(galaxy) == []


@pytest.mark.parametrize("labels, options, message", [
    (["copied", "copied"], [], "2 outputs have the label 'copied', and Galaxy would return one of them"),
    ([], ["--download=results"], "marks nothing as its output, so --download would fetch nothing"),
    ([None, None], ["--download=results"], "gives none of its outputs a label, so --download would fetch nothing")])
def test_outputs_that_could_not_be_downloaded_are_refused(script, galaxy, tmp_path, monkeypatch, capsys, labels, options,
                                                          message):
    monkeypatch.chdir(tmp_path)
    made = [{"label": label, "output_name": f"o{number}"} for number, label in enumerate(labels)]
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download",
               json={"steps": {**EXPORTED["steps"], "2": {**EXPORTED["steps"]["2"], "workflow_outputs": made}}})
    assert script(workflow_run.main, *options, KEY, URL, WORKFLOW_ID, "table=hda:d") == USAGE
    assert message in capsys.readouterr().err and sent(galaxy) == [] and not (tmp_path / "results").exists()


def test_each_wrong_parameter_is_reported_with_a_table(script, galaxy, capsys):
    assert script(workflow_run.main, "--param=sort:x=1", "--param=cat1:y=1", KEY, URL, WORKFLOW_ID, "table=hda:d") == USAGE
    captured = capsys.readouterr().err
    assert "has no tool or step 'sort'" in captured and "tool cat1 has no parameter 'y'" in captured
    assert "copy" in captured and "takes" not in captured


def test_a_parameter_of_a_tool_that_takes_data_only_is_refused(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json=tool_step([{"type": "data", "name": "data"}]))
    assert script(workflow_run.main, "--param=copy:lines=3", KEY, URL, WORKFLOW_ID, "table=hda:d") == USAGE
    assert "has no parameter 'lines'" in capsys.readouterr().err and sent(galaxy) == []


def test_what_a_step_lacks_is_refused_before_anything_is_sent(script, galaxy, capsys):
    """A Format 2 step that leaves out what its tool needs. What is given or connected is not lacking, though Galaxy says so,
    and a submission that it refuses for that is sent again."""
    complaint = "No value found for 'X'. Using default: '1'.".format
    inner = {"steps": {"0": {"input_connections": {}}, "1": {"input_connections": {"x": {"id": 0, "output_name": "o"}}}}}
    steps = {**EXPORTED["steps"], "3": {"id": 3, "label": "sub", "type": "subworkflow", "subworkflow": inner}}
    steps["2"] = {**steps["2"], "input_connections": {"linked": {"id": 1, "output_name": "output"}}}

    def complain(**messages):
        galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download",
                   json={"steps": steps, "upgrade_messages": {name[1:]: about for name, about in messages.items()}})
    complain(s2={"x": complaint()}, s3={"Step 1": {"x": "No value found for 'Y'."}})
    assert script(workflow_run.main, "-n", KEY, URL, WORKFLOW_ID, "table=hda:d") == USAGE
    told = capsys.readouterr().err
    assert f"- step 2 copy lacks values that its tool needs: {complaint()} --allow-corrections accepts this" in told
    assert "- step 3 sub lacks values that its tool needs: No value found for 'Y'." in told and sent(galaxy) == []
    assert script(workflow_run.main, "-n", "--allow-corrections", KEY, URL, WORKFLOW_ID, "table=hda:d") == DONE
    complain(s2={"x": complaint(), "linked": complaint(), "d": "Using default: '<...RuntimeValue object at 0x1>'.",
                 "output_label_duplicate": "Ignoring duplicate labels: a", "Copy": "Using version '2' instead of '1'",
                 "Sort": "A derivation of this tool installed from <a>another Tool Shed</a> will be used instead. "},
             s3={"Step 2": {"x": complaint()}})
    galaxy.post(f"{URL}/api/workflows/{WORKFLOW_ID}/invocations", [
        {"status_code": 400, "json": {"err_msg": "Workflow step has upgrade messages"}}, {"json": {"id": "i"}}])
    assert script(workflow_run.main, "--param=copy:x=1", KEY, URL, WORKFLOW_ID, "table=hda:d") == DONE
    assert sent(galaxy)[-1][1]["allow_tool_state_corrections"] is True


def tool_step(form, **state):
    """What the views have of step 2 with this form of its tool, and these values."""
    data = [{"name": "data", "optional": False}, {"name": "more", "optional": True}]
    return {"steps": {**EXPORTED["steps"], "2": {**EXPORTED["steps"]["2"], "type": "tool", "config_form": {"inputs": form},
                                                 "tool_state": state, "inputs": data}}}


LEFT = {"__class__": "RuntimeValue"}
FORM = [{"type": "data", "name": "data"}, {"type": "data", "name": "more"},
        {"type": "integer", "name": "lines", "min": 1, "max": None, "optional": False},
        {"type": "conditional", "name": "if", "test_param": {"name": "sure", "type": "select"}, "cases": [
            {"value": "yes", "inputs": [{"type": "select", "name": "how", "options": [["Fast", "f", True]]}]}]}]


def test_parameters_left_for_run_time_are_inputs(script, galaxy, capsys):
    """One that is missing is refused: Galaxy would take the tool's default. So are values that the tool would refuse."""
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json=tool_step(FORM, lines=LEFT, more=LEFT, **{
        "if": json.dumps({"sure": "yes", "how": json.dumps(LEFT)})}))
    run = [workflow_run.main, KEY, URL, WORKFLOW_ID, "table=hda:d"]
    assert script(*run) == USAGE and sent(galaxy) == []
    told = capsys.readouterr().err
    assert "- input copy:lines: is missing: copy:lines=VALUE gives it its value (integer)" in told
    assert "- input copy:if|how: is missing: 'copy:if|how=VALUE' gives it its value (text)" in told
    assert script(*run, "copy:lines=0", "copy:if|how=x") == USAGE and sent(galaxy) == []
    told = capsys.readouterr().err
    assert "- input copy:lines: 0 is not within 1" in told and "- input copy:if|how: 'x' is not one of f, Fast" in told
    assert script(*run, "copy:lines=2", "copy:if|how=f") == DONE
    assert script(workflow_run.main, "--param=copy:lines=2", "--param=cat1:if|how=Fast", *run[1:]) == DONE
    first, second = [body for path, body in sent(galaxy) if path.endswith("invocations")]
    assert first["parameters"] == {"2": {"lines": 2, "if|how": "f"}} and set(first["inputs"]) == {"0"}
    assert second["parameters"] == {"2": {"lines": "2"}, "cat1": {"if|how": "Fast"}}


NESTED = {"steps": {"0": {"type": "data_input"}, "1": {
    "id": 1, "type": "subworkflow", "label": "deep", "subworkflow": {"steps": {"4": {
        "id": 4, "label": "head", "tool_id": "head1", "tool_version": "1", "input_connections": {"linked": {
            "id": 0, "output_name": "output"}}, "tool_state": json.dumps({"lines": LEFT, "linked": LEFT, "data": LEFT})}}}}}}


@pytest.fixture
def nested(galaxy):
    """The workflow with a subworkflow, of whose step `tidy/deep/head` a parameter is left for run time, and an input with a
    default file."""
    outer = {"id": 3, "type": "subworkflow", "label": "tidy", "subworkflow": NESTED}
    default = {"class": "File", "location": "https://example.org/g.bed", "filetype": "bed"}
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json={"steps": {
        "0": {"label": "table", "in": {"input": {"default": default}}}, "2": EXPORTED["steps"]["2"], "3": outer}})
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}", json={**WORKFLOW, "steps": {
        **WORKFLOW["steps"], "3": {"type": "subworkflow", "tool_inputs": {}}}})
    galaxy.get(f"{URL}/api/tools/head1", json={"id": "head1", "version": "1", "inputs": [
        {"type": "data", "name": "data"}, {"type": "integer", "name": "lines", "min": 1, "max": None},
        {"type": "select", "name": "marks", "multiple": True, "options": [["A", "a", False], ["B", "b", False]]}]})
    return galaxy


def test_parameters_of_a_subworkflows_steps(script, nested, capsys):
    """By name or index; those left for run time are inputs, and those of a tool go to the steps by index then. An input that
    takes its default file gets it from the script: Galaxy 26.1 fails over it beside a subworkflow."""
    run = [KEY, URL, WORKFLOW_ID]
    assert script(workflow_run.main, *run) == USAGE and sent(nested) == []
    assert "input tidy/deep/head:lines: is missing: tidy/deep/head:lines=VALUE gives it its value (integer)" in \
        capsys.readouterr().err
    for line in (["--param=cat1:x=7", "--param=tidy/deep/head:marks=a,b", *run, "tidy/deep/head:lines=2"],
                 ["--param=3/1/4:lines=2", "--param=3/1/4:marks=a,B", "--param=copy:x=7", *run]):
        assert script(workflow_run.main, *line) == DONE, capsys.readouterr().err
        body = sent(nested)[-1][1]
        marks = body["parameters"]["3"].pop("1|4|marks")
        assert marks[0] == "a" and len(marks) == 2
        assert body["parameters"] == {"2": {"x": "7"}, "3": {"1|4|lines": body["parameters"]["3"]["1|4|lines"]}}
        assert str(body["parameters"]["3"]["1|4|lines"]) == "2" and body["parameters_normalized"] is True
        assert body["allow_tool_state_corrections"] is True and body["inputs"]["0"] == {"src": "hda", "id": "d"}


@pytest.mark.parametrize("param, words", [
    ("tidy/deep/head:lines=0", "parameter lines of tidy/deep/head: 0 is not within 1"),
    ("tidy/deep/head:line=1", "tool head1 has no parameter 'line': did you mean lines?"),
    ("tidy/deep/head:linked=1", "has no parameter 'linked'"), ("tidy/deep/head:marks=a,c", "'c' is not one of a, b, A, B"),
    ("tidy/head:lines=1", "has no tool or step 'tidy/head' (steps of subworkflows are tidy/deep/head)")])
def test_a_parameter_that_a_subworkflows_step_does_not_take_is_refused(script, nested, capsys, param, words):
    assert script(workflow_run.main, "-n", f"--param={param}", KEY, URL, WORKFLOW_ID, "tidy/deep/head:lines=1") == USAGE
    assert words in capsys.readouterr().err and sent(nested) == []


def test_an_input_of_a_step_that_nothing_is_connected_to_is_refused(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json=tool_step(FORM, data=LEFT))
    assert script(workflow_run.main, "-n", KEY, URL, WORKFLOW_ID, "table=hda:d") == USAGE
    assert "step 2 copy: nothing is connected to its input data, which must have data" in capsys.readouterr().err


def test_a_name_in_a_rename_is_an_input(script, galaxy, capsys):
    """But for the name of one of the workflow's own parameters, which Galaxy fills in."""
    views = tool_step(FORM)
    views["steps"]["1"] = {"type": "parameter_input", "label": "limit"}
    views["steps"]["2"]["post_job_actions"] = {"Rename": {"action_arguments": {"newname": "${name} to ${limit}"}}}
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json=views)
    run = [workflow_run.main, KEY, URL, WORKFLOW_ID, "table=hda:d"]
    assert script(*run) == USAGE and "input name: is missing: name=VALUE gives it its value" in capsys.readouterr().err
    assert script(*run, "name=a b") == DONE
    assert sent(galaxy)[-1][1]["replacement_params"] == {"name": "a b"}


@pytest.mark.parametrize("value, problem", [
    ("three", "'three' is not an integer"), ("0", "0 is not within 1"), ("1_0", "'1_0' is not an integer"),
    ("1e999", "'1e999' is not an integer"), ("3", "")])
def test_a_parameter_that_its_tool_would_refuse_is_refused(script, galaxy, capsys, value, problem):
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json=tool_step(FORM))
    code = script(workflow_run.main, "-n", f"--param=copy:lines={value}", KEY, URL, WORKFLOW_ID, "table=hda:d")
    assert code == (USAGE if problem else DONE)
    assert (f"parameter lines of copy: {problem}" if problem else "") in capsys.readouterr().err


def test_a_workflow_that_galaxy_fails_to_show_is_run_from_its_export(script, galaxy):
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}", status_code=500, json={"err_msg": "Uncaught exception"})
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json={"name": "n", "uuid": "u", "steps": {
        "0": {"type": "data_input", "label": "table", "tool_state": "{}"},
        "1": {"type": "parameter_input", "tool_state": '{"name": "limit", "parameter_type": "integer", "optional": false}'},
        "2": {"type": "pick_value", "label": "pick"}}})
    assert script(workflow_run.main, KEY, URL, WORKFLOW_ID, "table=hda:d") == USAGE
    assert script(workflow_run.main, KEY, URL, WORKFLOW_ID, "table=hda:d", "limit=2") == DONE
    assert sent(galaxy)[-1][1]["inputs"] == {"0": {"src": "hda", "id": "d"}, "1": 2}


@pytest.mark.parametrize("options, message", [
    ([f"--download={__file__}"], "not a folder"), ([f"--history={HISTORY_ID}"], "is deleted: undelete it")])
def test_a_dry_run_refuses_where_a_run_could_not_write(script, galaxy, capsys, options, message):
    deleted = {"id": HISTORY_ID, "name": "there", "user_id": "me", "deleted": True}
    galaxy.get(f"{URL}/api/histories/{HISTORY_ID}", json=deleted)
    assert script(workflow_run.main, "-n", *options, KEY, URL, WORKFLOW_ID, "table=hda:d") != DONE
    assert message in capsys.readouterr().err and sent(galaxy) == []


def test_a_text_restricted_by_its_connections_is_one_of_the_tools_choices(script, galaxy, capsys):
    """By its value, or by the words that people see."""
    form = [{"type": "select", "name": "how", "options": [["Tab", "T", False], ["Comma", "C", True]]}]
    views = tool_step(form)
    views["steps"]["2"]["input_connections"] = {"how": {"id": 1, "output_name": "output"}}
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json=views)
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}", json={**WORKFLOW, "steps": {**WORKFLOW["steps"], "1": {
        "type": "parameter_input", "tool_inputs": {"parameter_type": "text", "restrictOnConnections": True}}}})
    run = ["-n", KEY, URL, WORKFLOW_ID, "table=hda:d"]
    assert script(workflow_run.main, *run, "limit=Q") == USAGE
    assert "input limit: 'Q' is not one of T, C, Tab, Comma" in capsys.readouterr().err
    for value in ("T", "Comma"):
        assert script(workflow_run.main, *run, f"limit={value}") == DONE


def test_an_input_with_a_default_file_is_not_missing(script, galaxy):
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json={"steps": {**EXPORTED["steps"], "0": {
        "type": "data_input", "label": "table", "in": {"input": {"default": {"class": "File", "location": "x"}}}}}})
    assert script(workflow_run.main, KEY, URL, WORKFLOW_ID) == DONE
    assert sent(galaxy)[-1][1]["inputs"] == {}


def test_an_output_without_a_label_is_told_where_the_others_are_downloaded(script, galaxy, tmp_path, capsys):
    galaxy.get(f"{URL}/api/workflows/{WORKFLOW_ID}/download", json={"steps": {**EXPORTED["steps"], "3": {
        "id": 3, "name": "Sort", "workflow_outputs": [{"label": None, "output_name": "out_file1"}]}}})
    run = ["-n", f"--download={tmp_path}", KEY, URL, WORKFLOW_ID, "table=hda:d"]
    assert script(workflow_run.main, *run) == DONE
    assert "outputs without a label are not downloaded: out_file1 of step 3 Sort" in capsys.readouterr().err
    assert script(workflow_run.main, "--outputs=copied", *run) == DONE and capsys.readouterr().err == ""


def test_a_refused_run_says_what_it_leaves(script, galaxy, table, capsys):
    galaxy.post(f"{URL}/api/workflows/{WORKFLOW_ID}/invocations", status_code=400, json={"err_msg": "No such thing"})
    assert script(workflow_run.main, KEY, URL, WORKFLOW_ID, f"table={table}") == FAILED
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "No such thing; history" in told
    assert f"history {HISTORY_ID} stays, with 1 uploaded dataset in it: the same line again uses it, delete.py - " \
           f"/api/histories/{HISTORY_ID} deletes it" in told
    assert script(workflow_run.main, KEY, URL, WORKFLOW_ID, "table=hda:d") == FAILED
    assert "stays, with nothing in it: the same line again uses it, delete.py" in capsys.readouterr().err
    line = [f"--history={HISTORY_ID}", KEY, URL, WORKFLOW_ID]
    assert script(workflow_run.main, *line, f"table={table}") == FAILED
    assert "with 1 uploaded dataset in it: the same line again uses it\n" in capsys.readouterr().err
    assert script(workflow_run.main, *line, "table=hda:d") == FAILED
    assert "stays" not in capsys.readouterr().err


def fail_a_job(galaxy):
    galaxy.get(f"{URL}/api/invocations/i/jobs_summary", json={"id": "i", "states": {"error": 1, "ok": 1},
                                                              "populated_state": "ok"})
    galaxy.get(f"{URL}/api/workflows/v", status_code=403, json={"err_msg": "not yours"})


def test_a_failure_is_reported_and_recorded(script, galaxy, tmp_path, capsys):
    fail_a_job(galaxy)
    record = tmp_path / "run.json"
    assert script(workflow_run.main, f"--record={record}", KEY, URL, WORKFLOW_ID, "table=hda:d") == FAILED
    captured = capsys.readouterr()
    assert "invocation i failed: 1 error" in captured.err and "copied" in captured.out
    facts = json.loads(record.read_text())
    assert (facts["state"], facts["jobs"], facts["invocation"], facts["history"]) == (
        "failed", {"error": 1, "ok": 1}, "i", HISTORY_ID)
    assert facts["workflow"]["id"] == WORKFLOW_ID and facts["server"] == URL and KEY not in record.read_text()


def dataset(name):
    return {"id": name, "name": name, "state": "ok", "deleted": False, "extension": "txt", "file_ext": "txt", "file_size": 2}


def test_the_path_of_a_collection_is_its_folder_at_any_depth(script, galaxy, tmp_path, capsys):
    pair = [{"element_identifier": way, "element_type": "hda", "object": dataset(f"o{way}")}
            for way in ("forward", "reverse")]
    deep = [{"element_identifier": "s1", "element_type": "dataset_collection", "object": {"elements": pair}}]
    galaxy.get(f"{URL}/api/invocations/i", json={
        **ENDED, "outputs": {"one": {"src": "hda", "id": "oone"}},
        "output_collections": {"flat": {"src": "hdca", "id": "flat"}, "deep": {"src": "hdca", "id": "deep"}}})
    galaxy.get(f"{URL}/api/dataset_collections/flat", json={"elements": [
        {"element_identifier": "a", "element_type": "hda", "object": dataset("oa")}]})
    galaxy.get(f"{URL}/api/dataset_collections/deep", json={"elements": deep})
    galaxy.get(f"{URL}/api/datasets", json=[{"id": name} for name in ("oa", "oforward", "oreverse")])
    for name in ("oone", "oa", "oforward", "oreverse"):
        galaxy.get(f"{URL}/api/datasets/{name}", json=dataset(name))
        galaxy.get(f"{URL}/api/datasets/{name}/display", text="1\n")
    assert script(workflow_run.main, f"--download={tmp_path}/out", "--format=value", "--fields=label,path", KEY, URL,
                  WORKFLOW_ID, "table=hda:d") == DONE
    assert capsys.readouterr().out.split() == ["one", f"{tmp_path}/out/one.txt", "flat", f"{tmp_path}/out/flat",
                                               "deep", f"{tmp_path}/out/deep"]
    assert (tmp_path / "out" / "deep" / "s1" / "forward.txt").read_text() == "1\n"


def test_the_same_line_resumes_a_run_and_submits_another_after_its_end(script, galaxy, capsys):
    line = [KEY, URL, WORKFLOW_ID, "table=hda:d"]
    galaxy.get(f"{URL}/api/invocations/i/jobs_summary", json={"id": "i", "states": {"running": 1}, "populated_state": "new"})
    assert script(workflow_run.main, "--timeout=0", *line) == STILL_RUNNING
    assert "invocation i still runs after 0 s: 1 running" in capsys.readouterr().err
    assert script(workflow_run.main, "--timeout=0", *line) == STILL_RUNNING
    assert len(sent(galaxy)) == 2       # a history and an invocation
    fail_a_job(galaxy)
    assert script(workflow_run.main, *line) == FAILED
    assert len(sent(galaxy)) == 2
    assert script(workflow_run.main, *line) == FAILED
    assert len(sent(galaxy)) == 4


def test_the_timeout_is_for_uploads_and_jobs_together(script, galaxy, table, monkeypatch, capsys):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(polling, "time", SimpleNamespace(monotonic=lambda: clock.now))
    waits = []

    def verify(galaxy, history, uploads, settings, timeout):
        waits.append(timeout)
        clock.now += 20.5
        return uploads
    monkeypatch.setattr(staging, "verify_uploads", verify)
    monkeypatch.setattr(workflow_run, "wait_for_invocation",
                        lambda galaxy, invocation, timeout, *more, **options: waits.append(timeout) or ENDED)
    assert script(workflow_run.main, "--timeout=60", KEY, URL, WORKFLOW_ID, f"table={table}") == DONE
    assert waits == [60, 40]


def test_a_changed_file_makes_another_run(script, galaxy, table, capsys):
    galaxy.get(f"{URL}/api/invocations/i/jobs_summary", json={"id": "i", "states": {"running": 1}, "populated_state": "new"})
    line = ["--timeout=0", KEY, URL, WORKFLOW_ID, f"table={table}"]
    assert script(workflow_run.main, *line) == script(workflow_run.main, *line) == STILL_RUNNING
    assert len(sent(galaxy)) == 2
    table.write_text("2\n3\n")
    assert script(workflow_run.main, *line) == STILL_RUNNING
    assert len(sent(galaxy)) == 4


def test_a_record_in_no_folder_is_refused(script, galaxy, tmp_path, capsys):
    assert script(workflow_run.main, f"--record={tmp_path}/none/x.json", KEY, URL, WORKFLOW_ID, "table=hda:d") == USAGE
    assert "/none/x.json: not a file's name in a folder" in capsys.readouterr().err and galaxy.request_history == []


@pytest.mark.parametrize("option", ["--record", "--report"])
def test_a_file_that_the_run_reads_is_not_overwritten(script, galaxy, tmp_path, option, capsys):
    (tmp_path / "t.html").write_text("1\n")
    line = [f"{option}={tmp_path}/./t.html", KEY, URL, WORKFLOW_ID, f"table={tmp_path}/t.html"]
    assert script(workflow_run.main, *line) == USAGE
    assert "the run reads that file, so nothing was sent" in capsys.readouterr().err
    assert (tmp_path / "t.html").read_text() == "1\n" and sent(galaxy) == []


def test_a_run_continues_when_its_record_can_not_be_written(script, galaxy, tmp_path, monkeypatch, capsys):
    def full(descriptor):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(files.os, "fsync", full)
    assert script(workflow_run.main, f"--record={tmp_path}/r.json", KEY, URL, WORKFLOW_ID, "table=hda:d") == FAILED
    captured = capsys.readouterr()
    assert "copied" in captured.out and [line.partition(": ")[2] for line in captured.err.splitlines()] == [
        f"--record={tmp_path}/r.json: No space left on device: there is no record of invocation i, which {how}"
        for how in ("goes on", "has ended")]


def test_results_that_can_not_be_downloaded_are_reported(script, galaxy, tmp_path, capsys):
    galaxy.get(f"{URL}/api/datasets/o", json={"id": "o", "name": "x", "state": "ok", "extension": "txt", "file_size": 3})
    galaxy.get(f"{URL}/api/datasets/o/display", status_code=403, json={"err_msg": "not yours"})
    assert script(workflow_run.main, f"--download={tmp_path}/out", KEY, URL, WORKFLOW_ID, "table=hda:d") == FAILED
    captured = capsys.readouterr()
    assert "not yours" in captured.err and captured.err.splitlines()[-1].endswith(
        f"the run itself is ok: invocation_download.py --to={tmp_path}/out - - i downloads the rest")
    assert captured.out.split() == ["label", "src", "id", "path", "-------", "-----", "----", "------", "copied", "hda", "o"]


def test_another_run_may_download_to_the_same_folder_meanwhile(script, galaxy, tmp_path, capsys):
    def ended(request, context):
        (tmp_path / "copied.txt").write_text("another's")
        (tmp_path / "manifest.tsv").write_text("id\tname\tpath\tsize\thash\tstate\nz\tcopied\tcopied.txt\t9\t\tok\n")
        return {"id": "i", "states": {"ok": 1}, "populated_state": "ok"}
    galaxy.get(f"{URL}/api/invocations/i/jobs_summary", json=ended)
    galaxy.get(f"{URL}/api/datasets/o", json={"id": "o", "name": "x", "state": "ok", "extension": "txt", "file_size": 3})
    galaxy.get(f"{URL}/api/datasets/o/display", text="abc", headers={"Content-Length": "3"})
    assert script(workflow_run.main, f"--download={tmp_path}", KEY, URL, WORKFLOW_ID, "table=hda:d") == DONE
    assert capsys.readouterr().err == ""
    assert [(tmp_path / name).read_text() for name in ("copied.txt", "copied (o).txt")] == ["another's", "abc"]


@pytest.mark.parametrize("text, parts", [
    ("Fetch:url=http://x?y=z:1", ("Fetch", "url", "http://x?y=z:1")),
    ("a:b:cond=c1=='d:e=f'", ("a:b", "cond", "c1=='d:e=f'")),
    ("a=b:cond=", ("a=b", "cond", "")), ("0:operations_0|opcol=2", ("0", "operations_0|opcol", "2"))])
def test_a_step_parameter_is_parsed(text, parts):
    assert parse_step_parameter(text) == parts


def test_quiet_hides_progress_and_prints_results(script, galaxy, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bars = []
    monkeypatch.setattr("tqdm.tqdm", lambda **options: bars.append(options) or contextlib.nullcontext(SimpleNamespace(
        n=0, update=lambda count: None, set_postfix_str=lambda text: None)))
    for options, shown in ((["--quiet"], False), ([], True)):
        assert script(workflow_run.main, *options, KEY, URL, WORKFLOW_ID, "table=hda:d") == DONE
        captured = capsys.readouterr()
        assert captured.out.splitlines()[-1].split() == ["copied", "hda", "o"]
        assert (captured.err == f"invocation i in history {HISTORY_ID}\n") == shown == bool(bars)


def test_a_line_without_a_workflow_prints_the_usage(script, capsys):
    assert script(workflow_run.main, KEY, URL) == USAGE
    assert "workflow_run.py" in capsys.readouterr().err
