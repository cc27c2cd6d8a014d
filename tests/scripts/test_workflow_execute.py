"""workflow_execute.py and workflow_execute_parameters.py: their requests, and the lines that they refuse."""
import json

import pytest
import workflow_execute
import workflow_execute_parameters
from fakes import KEY, URL

from common import FAILED, USAGE

BOTH = pytest.mark.parametrize("module", [workflow_execute, workflow_execute_parameters])
INPUTS = [{"label": "reads", "uuid": "u0"}, {"label": "a = b", "uuid": "u1"}]
STEPS = [{"type": "data_input", "tool_inputs": {"optional": False, "format": ["fastq"]}},
         {"type": "data_collection_input", "tool_inputs": {"optional": True, "collection_type": "list"}},
         {"type": "tool", "tool_id": "shed/owner/trim/1.0+g", "tool_version": "1.0+g"},
         {"type": "tool", "tool_id": "Filter1", "tool_version": "1.1"},
         {"type": "tool", "tool_id": "Filter1", "tool_version": "1.1"}]
TRIM = {"inputs": [
    {"type": "data", "name": "input"},
    {"type": "repeat", "name": "ops", "inputs": [{"type": "text", "name": "what"}]},
    {"type": "section", "name": "more", "inputs": [{"type": "integer", "name": "window_size"}]},
    {"type": "conditional", "name": "if", "test_param": {"name": "sure", "type": "select"}, "cases": [
        {"value": "yes", "inputs": [{"type": "text", "name": "word"}]}, {"value": "no", "inputs": []}]}]}

FILTER = {"inputs": [{"type": "text", "name": "cond"}, {"type": "integer", "name": "header_lines"}]}
# The steps in Galaxy's other views; the editor shows the forms of their tools.
DRAWN = [{"label": label, "uuid": uuid, "config_form": form} for label, uuid, form in (
    ("reads", "u0", None), ("a = b", "u1", None), ("Trim", "u2", TRIM), ("First", "u3", FILTER), (None, "u4", FILTER))]


def numbered(things, first=0):
    return {str(number): thing for number, thing in enumerate(things, first)}


@pytest.fixture
def galaxy(requests_mock):
    about = {"id": "w", "name": "n", "inputs": numbered(INPUTS), "steps": numbered(STEPS)}
    requests_mock.get(f"{URL}/api/workflows/w", json=about)
    requests_mock.get(f"{URL}/api/workflows/w?legacy=true", json={     # the ids go down while the indices go up
        **about, "steps": {str(90 - number): step for number, step in enumerate(STEPS)}})
    requests_mock.get(f"{URL}/api/workflows/w/download", json={"steps": numbered(DRAWN)})
    requests_mock.post(f"{URL}/api/workflows/w/invocations", json={"id": "i", "state": "new"})
    for path in ("datasets/d1", "datasets/d2", "libraries/datasets/d1", "dataset_collections/c1"):
        requests_mock.get(f"{URL}/api/{path}", json={"id": "d1", "name": "n", "state": "ok"})
    return requests_mock


def posted(galaxy):
    return [request.json() for request in galaxy.request_history if request.method == "POST"]


@BOTH
def test_one_request_is_sent_and_its_answer_printed(script, galaxy, capsys, module):
    line = [KEY, f"{URL}/api/workflows", "w", "hist_id=h", "0=hda=d1", "a = b=hdca=c1"]
    assert script(module.main, *line) == 0
    parameters = {} if module is workflow_execute else {"parameters": {}}
    assert posted(galaxy) == [{"history": "hist_id=h", "inputs_by": "step_index", "inputs": {
        "0": {"src": "hda", "id": "d1"}, "1": {"src": "hdca", "id": "c1"}}, **parameters}]
    assert capsys.readouterr() == ("Response\n--------\n{'id': 'i', 'state': 'new'}\n", "")


@pytest.mark.parametrize("step", ["0", "reads", "u0", "90"])
def test_a_step_is_named_by_index_label_uuid_or_id(script, galaxy, step):
    assert script(workflow_execute.main, KEY, URL, "w", "new", f"{step}=ld=d1") == 0
    assert posted(galaxy)[0]["inputs"] == {"0": {"src": "ld", "id": "d1"}}
    assert galaxy.call_count == (6 if step == "90" else 5)


@BOTH
def test_a_dry_run_sends_nothing(script, galaxy, capsys, module):
    assert script(module.main, "-n", KEY, URL, "w", "new", "u0=ldda=d1", "--fields=id") == 0
    captured = json.loads(capsys.readouterr().out)
    assert captured["payload"]["inputs"] == {"0": {"src": "ldda", "id": "d1"}}
    assert posted(galaxy) == []


@BOTH
@pytest.mark.parametrize("line, words", [
    (["raeds=hda=d1"], "workflow 'n' has no input 'raeds': did you mean reads?"),
    (["77=hda=d1"], "workflow 'n' has no input '77'"), (["2=hda=d1"], "workflow 'n' has no input '2'"),
    (["89=hdca=c1"], "input 0 (reads) is missing: 0=hda=ID gives it a dataset"), ([], "input 0 (reads) is missing"),
    (["0=hda=d1", "reads=hda=d2"], "input 0 (reads) is given twice")])
def test_a_wrong_or_missing_step_is_refused_with_a_table_and_nothing_is_sent(script, galaxy, capsys, module, line, words):
    assert script(module.main, KEY, URL, "w", "new", *line) == USAGE
    captured = capsys.readouterr()
    first, *table = captured.err.splitlines()
    assert captured.out == "" and words in first and posted(galaxy) == []
    assert [row.split("  ")[0].strip() for row in table] == ["index", "-------", "0", "1"]
    assert "reads" in table[2] and "dataset (fastq)" in table[2] and "u0" in table[2] and "collection (list)" in table[3]


@BOTH
@pytest.mark.parametrize("line, words", [
    (["w", "0=hda=d1"], "HISTORY is missing before 0=hda=d1"), (["w", "hist_id="], "is a variable unset?"),
    (["w", ""], "is a variable unset?"), (["", "new"], "is a variable unset?"),
    (["w", "param=Filter1=cond=x"], "HISTORY is missing before param="),
    (["w", "new", "0=d"], "is not STEP=SRC=ID"), (["w", "new", "0=file=d"], "is not STEP=SRC=ID with SRC one of hda"),
    (["w", "new", "=hda=d"], "is not STEP=SRC=ID"),
    (["w", "new", "0=hda=d", "--format=tabel"], "expected one of table, json")])
def test_a_bad_line_is_refused_before_any_request(script, galaxy, capsys, module, line, words):
    assert script(module.main, KEY, URL, *line) == USAGE
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and words in captured.err and galaxy.call_count == 0


@BOTH
def test_too_few_arguments_print_the_usage(script, capsys, module):
    assert script(module.main, KEY, URL, "w") == USAGE
    assert "Usage:" in capsys.readouterr().err


@BOTH
@pytest.mark.parametrize("src", ["hda", "ldda", "ld"])
def test_a_dataset_for_an_input_of_a_collection_is_refused(script, galaxy, capsys, module, src):
    assert script(module.main, KEY, URL, "w", "new", "0=hda=d1", f"1={src}=d2") == USAGE
    captured = capsys.readouterr()
    assert "input 1 (a = b) takes a collection: 1=hdca=ID" in captured.err and "collection (list)" in captured.err
    assert posted(galaxy) == []


@BOTH
@pytest.mark.parametrize("answer, words", [
    ({"status_code": 404, "json": {"err_msg": "No such dataset"}}, "hda=d1: No such dataset"),
    ({"json": {"id": "d1", "name": "bad", "state": "error"}}, "hda=d1: 'bad' is in state error"),
    ({"json": {"id": "d1", "name": "gone", "state": "ok", "deleted": True}}, "hda=d1: 'gone' is deleted")])
def test_a_dataset_that_no_job_can_read_is_refused_before_a_history_is_made(script, galaxy, capsys, module, answer, words):
    galaxy.get(f"{URL}/api/datasets/d1", **answer)
    for dry_run in (["-n"], []):
        assert script(module.main, *dry_run, KEY, URL, "w", "new", "0=hda=d1") == FAILED
        assert words in capsys.readouterr().err and posted(galaxy) == []


@BOTH
def test_an_error_names_the_history_that_may_have_been_created(script, galaxy, capsys, module):
    galaxy.post(f"{URL}/api/workflows/w/invocations", status_code=400, json={"err_msg": "No such dataset"})
    assert script(module.main, KEY, URL, "w", "Run 12", "0=hda=d1") == FAILED
    assert "No such dataset; Galaxy may have created the history 'Run 12' all the same" in capsys.readouterr().err
    assert script(module.main, KEY, URL, "w", "hist_id=h", "0=hda=d1") == FAILED
    captured = capsys.readouterr()
    assert "No such dataset" in captured.err and "may have created" not in captured.err


@BOTH
def test_galaxys_refusal_is_one_line(script, galaxy, capsys, module):
    galaxy.post(f"{URL}/api/workflows/w/invocations", status_code=403, json={"err_msg": "No rights", "err_code": 403002})
    assert script(module.main, KEY, URL, "w", "new", "0=hda=d1") == FAILED
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and "No rights" in captured.err


# ---------------------------------------------------------------------------------------------- parameters

def with_parameters(script, *parameters):
    return script(workflow_execute_parameters.main, KEY, URL, "w", "new", "0=hda=d1", *parameters)


def test_all_parameters_of_a_tool_are_sent(script, galaxy):
    """By the tool's id, as in old command lines; the old script sent only the last one."""
    assert with_parameters(script, "param=Filter1=cond=c1=='x=y'", "param=Filter1=header_lines=1") == 0
    assert posted(galaxy)[0]["parameters"] == {"Filter1": {"cond": "c1=='x=y'", "header_lines": "1"}}


@pytest.mark.parametrize("step", ["3", "First", "u3", "87"])
def test_a_parameter_may_be_for_one_step(script, galaxy, step):
    assert with_parameters(script, f"param={step}=cond=", "param=4=cond=b") == 0
    assert posted(galaxy)[0]["parameters"] == {"3": {"cond": ""}, "4": {"cond": "b"}}


@pytest.mark.parametrize("name", ["ops_0|what", "ops_12|what", "more|window_size", "if|sure", "if|word"])
def test_a_parameter_may_be_in_a_group(script, galaxy, name):
    assert with_parameters(script, f"param=shed/owner/trim/1.0+g={name}=7") == 0
    assert posted(galaxy)[0]["parameters"] == {"shed/owner/trim/1.0+g": {name: "7"}}


def test_a_repeat_that_the_step_does_not_have_is_refused(script, galaxy, capsys):
    """Galaxy 26.1 takes its parameters, and drops them."""
    state = {"ops": [{"what": "a"}, {"what": "b"}], "more": {"window_size": 1}}
    galaxy.get(f"{URL}/api/workflows/w", json={"id": "w", "name": "n", "inputs": numbered(INPUTS),
                                               "steps": numbered([*STEPS[:2], {**STEPS[2], "tool_inputs": state}])})
    assert with_parameters(script, "param=2=ops_1|what=x", "param=2=more|window_size=2") == 0
    assert posted(galaxy)[0]["parameters"] == {"2": {"ops_1|what": "x", "more|window_size": "2"}}
    assert with_parameters(script, "param=2=ops_2|what=x") == USAGE
    assert "has no parameter 'ops_2|what'" in capsys.readouterr().err and len(posted(galaxy)) == 1


@pytest.mark.parametrize("parameter, words, rows", [
    ("param=Filter=cond=x", "workflow 'n' has no tool or step 'Filter': did you mean Filter1?", ["2", "3", "4"]),
    ("param=0=cond=x", "no tool or step '0'", ["2", "3", "4"]), ("param=99=cond=x", "no tool or step '99'", ["2", "3", "4"]),
    ("param=Filter1=cnod=x", "tool Filter1 has no parameter 'cnod': did you mean cond?", ["cond", "header_lines"]),
    ("param=Trim=window_size=x", "has no parameter 'window_size': did you mean more|window_size?",
     ["ops_0|what", "more|window_size", "if|sure", "if|word"]),
    ("param=Trim=input=x", "has no parameter 'input'", ["ops_0|what", "more|window_size", "if|sure", "if|word"])])
def test_what_galaxy_would_ignore_is_refused_with_a_table(script, galaxy, capsys, parameter, words, rows):
    assert with_parameters(script, parameter) == USAGE
    captured = capsys.readouterr()
    first, _, _, *table = captured.err.splitlines()
    assert captured.out == "" and words in first and posted(galaxy) == []
    assert [row.split("  ")[0] for row in table] == rows


@pytest.mark.parametrize("parameters, words", [
    (["param=Filter1=cond"], "'param=Filter1=cond' is not param=TOOL=NAME=VALUE"),
    (["param=="], "is not param="), (["param==cond=x"], "is not param="),
    (["param=3=cond=a", "param=First=cond=b"], "parameter cond of First is given twice")])
def test_a_malformed_parameter_is_refused(script, galaxy, capsys, parameters, words):
    assert with_parameters(script, *parameters) == USAGE
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and words in captured.err and posted(galaxy) == []


@BOTH
def test_a_missing_tool_is_refused_before_a_history_is_made(script, galaxy, capsys, module):
    missing = {**DRAWN[3], "tool_id": "Filter1", "tool_version": "1.1", "errors": "Tool is not installed"}
    galaxy.get(f"{URL}/api/workflows/w/download", json={"steps": numbered([*DRAWN[:3], missing])})
    assert script(module.main, KEY, URL, "w", "new", "0=hda=d1") == FAILED
    assert "the server lacks Filter1, so nothing was sent" in capsys.readouterr().err and posted(galaxy) == []


@BOTH
def test_what_a_step_lacks_is_refused_and_what_is_left_for_run_time_is_told(script, galaxy, capsys, module):
    left = {**DRAWN[3], "tool_state": {"header_lines": {"__class__": "RuntimeValue"}}}
    views = {"steps": numbered([*DRAWN[:3], left]), "upgrade_messages": {"3": {"cond": "No value found for 'C'."}}}
    galaxy.get(f"{URL}/api/workflows/w/download", json=views)
    assert script(module.main, KEY, URL, "w", "new", "0=hda=d1") == FAILED
    assert "lacks values that its tool needs: No value found for 'C'." in capsys.readouterr().err and posted(galaxy) == []
    galaxy.get(f"{URL}/api/workflows/w/download", json={**views, "upgrade_messages": {}})
    assert script(module.main, KEY, URL, "w", "new", "0=hda=d1") == 0 and len(posted(galaxy)) == 1
    assert "warning: First:header_lines: left for run time, so the default is taken" in capsys.readouterr().err
