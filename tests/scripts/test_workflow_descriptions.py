"""workflow_list.py, workflow_show.py, workflow_export.py and workflow_template.py, and the diagrams of workflows."""
import json

import pytest
import workflow_export
import workflow_list
import workflow_show
import workflow_template
import yaml
from fakes import KEY, URL

from common import FAILED, USAGE, Galaxy
from galaxy_api_scripts.workflows import definition, diagram

ID = "aaaaaaaaaaaaaaaa"
EACH = pytest.mark.parametrize("module", [workflow_show, workflow_export, workflow_template])
FILES = pytest.mark.parametrize("module, option", [(workflow_export, "--style=ga"), (workflow_template, "--force")])


def step(number, kind, label=None, state=None, feeds=None, **more):
    connections = {name: {"id": source, "output_name": "out"} for name, source in (feeds or {}).items()}
    return {"id": number, "type": kind, "label": label, "name": kind.capitalize(), "tool_state": json.dumps(state or {}),
            "input_connections": connections, "uuid": f"u{number}", "annotation": "", "when": None, **more}


def tool(number, tool_id, version, label=None, feeds=None, **more):
    return step(number, "tool", label, {"cond": "c1", "__page__": 0}, feeds, tool_id=tool_id, tool_version=version, **more)


def exported(*steps, name="Wet days"):
    return {"name": name, "steps": {str(one["id"]): one for one in steps}}


WORKFLOW = exported(
    step(0, "data_input", "table", {"optional": False, "format": ["tabular", "bed"]}),
    step(1, "data_collection_input", "reads", {"optional": True, "collection_type": "list:paired"}),
    step(2, "parameter_input", "how: many", {"parameter_type": "integer", "optional": False, "default": 3},
         annotation="1\n2"),
    step(3, "parameter_input", None, {"parameter_type": "text", "restrictions": ["a", {"value": "b", "label": "B"}]}),
    tool(4, "Filter1", "1.1", "Wet", {"input": 0}),
    tool(5, "shed/repos/me/cut/cut/2.0", "2.0", None, {"input": 4, "n": 2}, when="$(inputs.when)",
         workflow_outputs=[{"label": "days", "output_name": "out"}]))


@pytest.fixture
def galaxy(requests_mock):
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u"})
    requests_mock.get(f"{URL}/api/datatypes", json=[{"extension": "bed"}, {"extension": "imzml", "composite_files": [
        {"name": "imzml", "optional": False}, {"name": "ibd", "optional": False}]}])
    requests_mock.get(f"{URL}/api/workflows/{ID}", json={"id": ID, "name": "Wet days", "deleted": False})
    requests_mock.get(f"{URL}/api/workflows/{ID}/download?style=ga", json=WORKFLOW)
    requests_mock.get(f"{URL}/api/workflows/{ID}/download?style=editor", json=in_editor(WORKFLOW))
    return requests_mock


def in_editor(workflow, messages=None, **versions):
    return {"upgrade_messages": messages or {}, "steps": {
        index: {"tool_version": versions.get(f"s{index}", one.get("tool_version"))}
        for index, one in workflow["steps"].items()}}


def asked(galaxy, path):
    return [request.qs for request in galaxy.request_history if request.path == path]


# ------------------------------------------------------------------------------------------------------------------- list

def listed(number):
    return {"id": f"w{number}", "name": f"n{number}", "update_time": "t", "number_of_steps": number, "tags": ["a", "b"],
            "owner": "me", "published": False}


def test_list_pages_to_the_end(script, galaxy, capsys):
    full = [listed(number) for number in range(1, 501)]
    galaxy.get(f"{URL}/api/workflows", [{"json": full}, {"json": [listed(501)]}])
    assert script(workflow_list.main, "--format=value", "--fields=id,steps,tags", KEY, URL) == 0
    assert capsys.readouterr() == ("".join(f'w{number}\t{number}\t["a", "b"]\n' for number in range(1, 502)), "")
    first, second = asked(galaxy, "/api/workflows")
    assert (first["limit"], second["offset"]) == (["500"], ["500"])
    assert (first["show_shared"], first["show_deleted"], first["sort_by"]) == (["false"], ["false"], ["create_time"])
    # Without a key Galaxy shows published workflows, unless it is asked not to.
    assert "search" not in first and "show_published" not in first


def test_list_sends_its_options_to_galaxy(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/workflows", json=[listed(1)])
    assert script(workflow_list.main, "--shared", "--published", "--search=tag:x", "--limit=1", KEY, URL) == 0
    [ask] = asked(galaxy, "/api/workflows")
    assert (ask["show_shared"], ask["show_published"], ask["search"], ask["limit"]) == (["true"], ["true"], ["tag:x"], ["1"])
    assert "w1  " in capsys.readouterr().out


def test_list_refuses_bad_options_and_a_bad_key(script, galaxy, capsys):
    assert script(workflow_list.main, "--deleted", "--shared", KEY, URL) == USAGE
    assert script(workflow_list.main, "--limit=x", KEY, URL) == USAGE
    assert galaxy.call_count == 0 and capsys.readouterr().out == ""
    galaxy.get(f"{URL}/api/users/current", status_code=401, json={"err_msg": "bad key", "err_code": 401001})
    assert script(workflow_list.main, KEY, URL) == FAILED
    assert asked(galaxy, "/api/workflows") == []       # whose answer would be an empty list


# ------------------------------------------------------------------------------------------------------------------- show

def test_show_prints_inputs_and_steps(script, galaxy, capsys):
    assert script(workflow_show.main, KEY, URL, ID) == 0
    captured = capsys.readouterr()
    lines = [" ".join(line.split()) for line in captured.out.splitlines()]
    assert lines[0] == f"Wet days, {ID}" and captured.err == ""
    assert "0 table dataset (tabular, bed) no" in lines and "1 reads collection (list:paired) yes" in lines
    assert "2 how: many integer yes 3" in lines and "3 text no a, b" in lines
    assert "4 Wet Filter1 1.1 0 table" in lines
    assert "5 shed/repos/me/cut/cut/2.0 2.0 4 Wet, 2 how: many $(inputs.when) days" in lines
    assert lines[-1] == "The server has all its tools."


def test_show_fits_the_terminal(script, galaxy, capsys, monkeypatch):
    """Only there: in a file or a pipe nothing is cut."""
    long = exported(step(0, "parameter_input", "which", {"parameter_type": "text", "restrictions": ["choice"] * 200}),
                    tool(1, "shed/repos/somebody/a_long_name/a_long_name/1.0", "1.0", "Wet", {"input": 0}))
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=ga", json=long)
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=editor", json=in_editor(long))
    for columns, terminal in (("80", True), ("200", True), ("80", False)):
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setattr("sys.stdout.isatty", lambda terminal=terminal: terminal)
        assert script(workflow_show.main, KEY, URL, ID) == 0
        shown = capsys.readouterr().out
        assert (max(map(len, shown.splitlines())) <= int(columns)) == terminal == ("\u2026" in shown)
        assert "which" in shown and "1.0" in shown and "0 which" in shown


def test_show_prints_rows_in_other_formats(script, galaxy, capsys):
    assert script(workflow_show.main, "--format=jsonl", KEY, URL, ID) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["choices"] for row in rows] == [[], [], [], ["a", "b"]]
    assert (rows[0]["optional"], rows[2]["annotation"], rows[3]["label"]) == (False, "1\n2", None)
    assert script(workflow_show.main, "--steps", "--format=json", "--fields=index,state", KEY, URL, ID) == 0
    assert json.loads(capsys.readouterr().out)[0] == {"index": "4", "state": {"cond": "c1"}}
    assert script(workflow_show.main, "--fields=label,optional", KEY, URL, ID) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["table", "no"]


def test_what_is_left_for_run_time_and_a_records_fields_are_shown_and_in_the_template(script, galaxy, capsys):
    fields = [{"name": "left", "type": "File"}, {"name": "right", "type": "File"}]
    columns = [{"name": "dose", "type": "int"}, {"name": "note", "type": "string"}]
    drawn = exported(step(0, "data_collection_input", "both", {"collection_type": "record", "fields": fields}),
                     step(2, "data_collection_input", "sheet", {"collection_type": "sample_sheet",
                                                                "column_definitions": columns}),
                     tool(1, "Filter1", "1.1", "Wet", post_job_actions={"R": {"action_arguments": {"newname": "${who}"}}}))
    editor = in_editor(drawn)
    editor["steps"]["1"] = {**drawn["steps"]["1"], "tool_state": {"cond": '{"__class__": "RuntimeValue"}'}, "config_form": {
        "inputs": [{"type": "text", "name": "cond"}]}}
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=ga", json=drawn)
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=editor", json=editor)
    assert script(workflow_show.main, "--format=value", "--fields=label,kind,optional", KEY, URL, ID) == 0
    assert capsys.readouterr().out.splitlines() == [
        "both\tcollection\tno", "sheet\tcollection\tno", "Wet:cond\ttext\tno", "who\ttext\tno"]
    assert script(workflow_template.main, KEY, URL, ID) == 0
    text = capsys.readouterr().out
    job = yaml.safe_load(text)
    assert [one["identifier"] for one in job.pop("both")["elements"]] == ["left", "right"]
    assert "# rows: dose (int), note (string)\n" in text
    assert job.pop("sheet")["rows"] == {"todo_element_name": ["todo_param_value", "todo_param_value"]}
    assert job == {"Wet:cond": "todo_param_value", "who": "todo_param_value"}


def test_missing_tools_and_other_versions_are_shown(script, galaxy, capsys):
    inner = exported(tool(0, "nosuch", "1.0", errors="Tool is not installed"), tool(1, "cat1", "0.9"))
    outer = exported(tool(0, "gone", None, errors="Tool is not installed"), tool(1, "Filter1", "1.0"),
                     tool(2, "shed/repos/me/cut/cut/1.0", "1.0"), step(3, "subworkflow", subworkflow=inner),
                     tool(4, "sort1", "1.2"))
    html = "<span title=\"tool id 'cat1'\">Using version '1.0' instead of version '0.9' specified in this workflow. "
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=ga", json=outer)
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=editor", json=in_editor(outer, {"3": {"inner": html}}, s1="1.1",
                                                                                 s2="2.0"))
    asking, shed = Galaxy(KEY, URL), "shed/repos/me/cut/cut/1.0"
    rows = definition.tool_problems(asking, ID)
    assert [(row["tool"], row["version"], row["server"], row["owner"], row["name"], row["is_missing"]) for row in rows] == [
        ("gone", "", "", "", "", True), ("nosuch", "1.0", "", "", "", True), (shed, "1.0", "2.0", "me", "cut", True),
        ("Filter1", "1.0", "1.1", "", "", False), ("cat1", "0.9", "1.0", "", "", False)]
    assert galaxy.call_count == 2
    assert definition.tool_problems(asking, ID, outer) == rows
    assert script(workflow_show.main, KEY, URL, ID) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    at = lines.index("It can't run: the server lacks:")
    assert [line for line in lines[at + 3:] if not line.startswith("---")] == [
        "gone", "nosuch 1.0", f"{shed} 1.0 2.0 me cut", "An administrator's line to install them:",
        f"tool_install.py - - {shed}", "", "It runs other versions of:",
        "tool version server", "Filter1 1.0 1.1", "cat1 0.9 1.0"]
    definition.warn_missing_tools(asking, ID)
    captured = capsys.readouterr().err
    assert "can't run until an administrator installs gone, nosuch, me/cut/cut/1.0\n" in captured
    assert "runs other versions of Filter1, cat1\n" in captured


def test_no_versions_are_asked_for_if_the_server_has_none_of_the_tools(galaxy):
    workflow = exported(step(0, "data_input"), tool(1, "gone", "1", errors="Tool is not installed"))
    [row] = definition.tool_problems(Galaxy(KEY, URL), ID, workflow)
    assert (row["tool"], row["version"], row["is_missing"]) == ("gone", "1", True) and galaxy.call_count == 0


@EACH
@pytest.mark.parametrize("text, code, words", [("", USAGE, "is a variable unset?"),
                                               ("nobody", FAILED, "is named 'nobody'")])
def test_an_unknown_workflow_is_refused(script, galaxy, capsys, module, text, code, words):
    galaxy.get(f"{URL}/api/workflows", json=[{"id": ID, "name": "Wet days"}])
    assert script(module.main, KEY, URL, text) == code
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and words in captured.err


@EACH
def test_a_workflow_of_another_user_is_refused(script, galaxy, capsys, module):
    galaxy.get(f"{URL}/api/workflows/{ID}", status_code=403, json={"err_msg": "not accessible", "err_code": 403002})
    assert script(module.main, KEY, URL, ID) == FAILED
    captured = capsys.readouterr()
    assert captured.out == "" and "not accessible" in captured.err and "Traceback" not in captured.err
    assert script(module.main, KEY, URL) == USAGE


# ----------------------------------------------------------------------------------------------------------------- export

@pytest.mark.parametrize("answer", ["<html><title>Sign in</title></html>", "[null]", "{}", '{"steps": 5}'])
def test_export_writes_no_answer_that_is_not_a_workflow(script, galaxy, capsys, tmp_path, answer):
    galaxy.get(f"{URL}/api/workflows/{ID}/download", text=answer)
    for style in ("ga", "format2"):
        assert script(workflow_export.main, f"--to={tmp_path}/w", f"--style={style}", KEY, URL, ID) == FAILED
        assert "the answer is not a workflow" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_export_writes_galaxys_answer(script, galaxy, capsys, tmp_path):
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=format2", text="class: GalaxyWorkflow\nlabel: Wä\n\n")
    assert script(workflow_export.main, KEY, URL, ID) == 0
    assert json.loads(capsys.readouterr().out) == WORKFLOW
    assert script(workflow_export.main, f"--to={tmp_path}/w.yml", KEY, URL, ID) == 0
    assert (tmp_path / "w.yml").read_text("utf-8") == "class: GalaxyWorkflow\nlabel: Wä\n"
    assert script(workflow_export.main, f"--to={tmp_path}/w.txt", "--style=mermaid", KEY, URL, ID) == 0
    assert (tmp_path / "w.txt").read_text().splitlines()[3] == "flowchart LR"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["w.txt", "w.yml"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name, style", [("w.ga", "ga"), ("W.JSON", "ga"), ("w.yaml", "format2"), ("w.mmd", "mermaid"),
                                         ("a.b/w.txt", "text"), ("-", "ga")])
def test_the_ending_of_a_file_chooses_the_style(name, style):
    assert workflow_export.style_of(name) == style


@pytest.mark.parametrize("options, words", [
    (["--to=w.doc"], "its ending names no style"), (["--style=pdf"], "expected one of ga, format2, mermaid, text"),
    (["--to=nosuch/w.ga"], "not a file's name in a folder"), (["--style=ga", "--to="], "--to is empty"),
    (["--force", "--style=ga", "--to=/dev/null"], "not a file's name"),
    (["--style=ga", "--to=/"], "not a file's name in a folder")])
def test_export_refuses_bad_options_before_any_request(script, galaxy, capsys, options, words):
    assert script(workflow_export.main, *options, KEY, URL, ID) == USAGE
    assert words in capsys.readouterr().err and galaxy.call_count == 0


@FILES
def test_an_existing_file_is_overwritten_only_with_force(script, galaxy, capsys, tmp_path, module, option):
    file = tmp_path / "w.yml"
    file.write_text("mine")
    refused = [one for one in [option] if one != "--force"]
    assert script(module.main, f"--to={file}", *refused, KEY, URL, ID) == FAILED
    assert "it is there already" in capsys.readouterr().err and file.read_text() == "mine" and galaxy.call_count == 0
    assert script(module.main, f"--to={file}", "--force", *refused, KEY, URL, ID) == 0
    assert file.read_text() != "mine"


@FILES
def test_a_full_disk_leaves_no_partial_file(script, galaxy, monkeypatch, tmp_path, module, option):
    def full(handle):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("os.fsync", full)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "w.ga").write_text("mine")
    for name in ("w.ga", "new.ga"):
        assert script(module.main, f"--to={folder / name}", "--force", *{option} - {"--force"}, KEY, URL, ID) == FAILED
    assert [path.name for path in folder.iterdir()] == ["w.ga"] and (folder / "w.ga").read_text() == "mine"


def test_the_text_diagram():
    assert diagram.text_diagram(WORKFLOW).splitlines() == [
        "Wet days", "",
        "o      0 table            dataset (tabular, bed)",
        "| o    1 reads            collection (list:paired)",
        "| o    2 how: many        integer",
        "| | o  3 Parameter_input  text",
        "* |    4 Wet              Filter1 1.1               <- 0 table",
        "*-'    5 Tool             me/cut/cut 2.0            <- 4 Wet; 2 how: many  => days"]


def test_a_line_of_the_text_diagram_runs_to_its_last_reader():
    workflow = exported(step(0, "data_input", "a"), step(1, "data_input", "b"), tool(2, "t", "1", "x", {"i": 0}),
                        tool(3, "t", "1", "y", {"i": 1}), tool(4, "t", "1", "z", {"i": 0, "j": 3, "k": 2}))
    assert [line[:6] for line in diagram.text_diagram(workflow).splitlines()[2:]] == [
        "o     ", "| o   ", "+-|-* ", "| * | ", "*-'-' "]


def test_the_mermaid_diagram():
    workflow = exported(step(0, "data_input", 'a "b" #1'), step(1, "subworkflow", "in|ner", feeds={"x": 0},
                        workflow_outputs=[{"label": None, "output_name": "out"}]), name="it's\nfine")
    assert diagram.mermaid_diagram(workflow).splitlines() == [
        "---", "title: 'it''s fine'", "---", "flowchart LR", '  s0[/"0 a #34;b#34; #35;1<br/>dataset"/]',
        '  s1[["1 in#124;ner<br/>subworkflow"]]', '  s0 -->|"x"| s1', '  o1_0(["out"])', "  s1 --> o1_0"]


# --------------------------------------------------------------------------------------------------------------- template

def test_a_template_is_a_job_file(script, galaxy, capsys):
    assert script(workflow_template.main, KEY, URL, ID) == 0
    text = capsys.readouterr().out
    file = {"class": "File", "path": "todo_test_data_path.ext"}
    assert yaml.safe_load(text) == {
        "table": file, "how: many": 3, "3": "todo_param_value",
        "reads": {"class": "Collection", "collection_type": "list:paired", "elements": [
            {"class": "Collection", "type": "paired", "identifier": "todo_element_name", "elements": [
                {**file, "identifier": "forward"}, {**file, "identifier": "reverse"}]}]}}
    assert "# dataset of datatype tabular or bed\ntable:" in text and "# collection (list:paired), optional\n" in text
    assert "# integer, optional\n# 1 2\n" in text and "# text\n# choices: a, b\n" in text


LIMITED = [
    ("data_input", "scan", {"format": ["imzml"]}), ("data_input", "given", {"format": ["bed"]}),
    ("data_collection_input", "either", {"collection_type": "list:paired_or_unpaired"}),
    ("data_collection_input", "sheet", {"collection_type": "sample_sheet", "column_definitions": [
        {"name": "dose", "type": "int", "optional": False}, {"name": "note", "type": "string", "optional": True}]}),
    ("parameter_input", "lines", {"parameter_type": "integer", "validators": [{"type": "in_range", "min": 1, "max": 9}]}),
    ("parameter_input", "share", {"parameter_type": "float", "max": 1}),
    ("parameter_input", "code", {"parameter_type": "text", "validators": [
        {"type": "regex", "expression": "[a-z]+"}, {"type": "length", "min": 2}]}),
    ("parameter_input", "picks", {"parameter_type": "text", "multiple": True, "restrictions": ["a", "b"]}),
    ("parameter_input", "free", {"parameter_type": "text", "validators": [{"type": "length"}]})]


def test_limits_are_shown_and_in_the_template(script, galaxy, capsys):
    workflow = exported(*(step(number, *about) for number, about in enumerate(LIMITED)))
    workflow["steps"]["1"]["in"] = {"input": {"default": {"class": "File", "location": "base64://YQ==", "filetype": "bed"}}}
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=ga", json=workflow)
    assert script(workflow_template.main, KEY, URL, ID) == 0
    text = capsys.readouterr().out
    job = yaml.safe_load(text)
    assert job["scan"] == {"class": "File", "filetype": "imzml", "composite_data": [
        "todo_test_data_path.imzml", "todo_test_data_path.ibd"]}
    assert job["given"] == {"class": "File", "location": "base64://YQ==", "filetype": "bed"}
    assert job["picks"] == ["todo_param_value"] and job["sheet"]["rows"] == {
        "todo_element_name": ["todo_param_value", "todo_param_value"]}
    for line in ("rows: dose (int), note (string, optional)", "range: 1..9", "range: ..1", "range: length 2..",
                 "pattern: [a-z]+", "text, several values", "choices: a, b",
                 "reads without mates are one element, unpaired"):
        assert f"# {line}\n" in text
    assert script(workflow_show.main, "--format=jsonl", "--fields=label,multiple,range,pattern", KEY, URL, ID) == 0
    rows = {row.pop("label"): tuple(row.values()) for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["lines"] == (False, "1..9", None) and rows["share"] == (False, "..1", None)
    assert rows["code"] == (False, "length 2..", "[a-z]+") and rows["picks"] == (True, None, None)
    assert rows["free"] == (False, None, None)      # its validator has no limits
    assert script(workflow_show.main, KEY, URL, ID) == 0
    shown = capsys.readouterr().out
    assert "text, several" in shown and "with dose (int), note (string, optional)" in shown


def test_a_template_quotes_odd_names_and_keeps_names_unique(script, galaxy, capsys):
    workflow = exported(step(0, "data_input", "same"), step(1, "data_input", "same"), step(2, "data_input", "- ä: '#\"\nx"),
                        step(3, "parameter_input", "yes", {"parameter_type": "boolean", "default": False}),
                        step(4, "data_input", "1"))
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=ga", json=workflow)
    galaxy.get(f"{URL}/api/workflows/{ID}", json={"id": ID, "name": "a\n- b: c"})
    assert script(workflow_template.main, KEY, URL, ID) == 0
    assert list(yaml.safe_load(capsys.readouterr().out)) == ["0", "u1", "- ä: '#\"\nx", "yes", "4"]


def test_a_template_of_a_workflow_without_inputs_is_empty(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/workflows/{ID}/download?style=ga", json=exported(tool(0, "t", "1")))
    assert script(workflow_template.main, KEY, URL, ID) == 0
    assert yaml.safe_load(capsys.readouterr().out) == {}
