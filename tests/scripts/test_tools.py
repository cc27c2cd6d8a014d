"""tool_list.py, tool_show.py and tool_run.py: their requests and output, and the lines that they refuse."""
import json

import pytest
import requests
import tool_list
import tool_run
import tool_show
from fakes import KEY, URL

from common import FAILED, INTERRUPTED, STILL_RUNNING, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.tools import request
from galaxy_api_scripts.tools.catalog import find_tool

H, D1, D2, C1, C2 = "1" * 16, "a" * 16, "b" * 16, "c" * 16, "d" * 16
BRIEF = {"version": "1.0", "description": "of a thing"}
SORT = {**BRIEF, "id": "sort1", "name": "Sort", "panel_section_name": "Order"}
CUT = {**BRIEF, "id": "shed/me/cut/2", "name": "Cut", "panel_section_name": "Text"}
TALLY = {**BRIEF, "id": "tally", "name": "Tally", "panel_section_name": None}
HIDDEN = {**BRIEF, "id": "CONVERTER", "name": "Convert", "panel_section_name": None}


def select(name, *values, **more):
    return {"name": name, "type": "select", "label": name.title(), "value": values[0], "is_dynamic": False,
            "options": [[value.upper(), value, False] for value in values], **more}


TOOL = {**BRIEF, "id": "big", "name": "Big tool", "version": "1.0", "versions": ["0.9", "1.0"], "inputs": [
    {"name": "input", "type": "data", "label": "Data", "optional": False, "extensions": ["tabular"], "value": None},
    {"name": "more", "type": "data", "optional": True, "multiple": True, "extensions": ["data"], "value": None},
    {"name": "pair", "type": "data_collection", "optional": True, "collection_types": ["paired"], "extensions": ["data"]},
    {"name": "count", "type": "integer", "value": "3", "min": 1, "max": 9},
    {"name": "share", "type": "float", "value": "0.5", "min": 0, "max": None},
    {"name": "flag", "type": "boolean", "value": False, "truevalue": "-v", "falsevalue": ""},
    {"name": "word", "type": "text", "value": "x", "optional": False},
    {"name": "none", "type": "integer", "value": None, "optional": True},
    {"name": "col", "type": "data_column", "value": "1", "is_dynamic": True, "options": []},
    {"name": "cols", "type": "data_column", "value": "1", "is_dynamic": True, "options": [], "multiple": True},
    select("order", "asc", "desc"), select("marks", "62", "64", "43", multiple=True, optional=True),
    {"name": "table", "type": "select", "value": None, "is_dynamic": True, "options": []},
    {"name": "if", "type": "conditional", "test_param": select("sure", "no", "yes"), "cases": [
        {"value": "no", "inputs": []},
        {"value": "yes", "inputs": [{"name": "limit", "type": "integer", "label": "Limit", "value": ""}]}]},
    {"name": "on", "type": "conditional", "test_param": {"name": "off", "type": "boolean", "value": True, "truevalue": "T",
                                                         "falsevalue": "F"},
     "cases": [{"value": "T", "inputs": []}, {"value": "F", "inputs": [select("why", "a", "b")]}]},
    {"name": "ops", "type": "repeat", "min": 0, "max": 2, "inputs": [
        {"name": "col", "type": "data_column", "label": "On column", "value": None},
        {"name": "deep", "type": "section", "inputs": [{"name": "d", "type": "text", "value": ""}]}]},
], "outputs": [{"name": "out", "format": "data", "format_source": "input", "label": None},
               {"name": "log", "format": "txt", "label": "the log"},
               {"name": "all", "format": None, "label": "x", "structure": {"collection_type": "list"}}]}


def dataset(dataset_id, **more):
    return {"id": dataset_id, "name": "d", "extension": "tabular", "state": "ok", "deleted": False, **more}


def collection(collection_id, kind, *ext):
    return {"id": collection_id, "name": "c", "collection_type": kind, "elements_datatypes": list(ext), "deleted": False}


@pytest.fixture
def galaxy(requests_mock):
    mock = requests_mock
    mock.get(f"{URL}/api/users/current", json={"id": "u"})
    mock.get(f"{URL}/api/tools?in_panel=true", json=[
        {"model_class": "ToolSection", "name": "Order", "elems": [SORT, {"model_class": "ToolSectionLabel", "text": "x"}]},
        {"model_class": "ToolSection", "name": "Text", "elems": [CUT]}, TALLY])
    mock.get(f"{URL}/api/tools?in_panel=false", json=[SORT, CUT, TALLY, HIDDEN])
    mock.get(f"{URL}/api/tools/big", json=TOOL)
    for name in ("Sort", "Big%20tool", "nosuch", "Cuut"):
        mock.get(f"{URL}/api/tools/{name}", status_code=404, json={"err_msg": "no tool", "err_code": 404001})
    mock.get(f"{URL}/api/tools/sort1", json={**TOOL, **SORT})
    mock.get(f"{URL}/api/histories/{H}", json={"id": H, "name": "Run 12", "deleted": False})
    mock.get(f"{URL}/api/datasets/{D1}", json=dataset(D1))
    mock.get(f"{URL}/api/datasets/{D2}", json=dataset(D2, extension="png"))
    mock.get(f"{URL}/api/dataset_collections/{C1}", json=collection(C1, "list", "tabular"))
    mock.get(f"{URL}/api/dataset_collections/{C2}", json=collection(C2, "list:paired", "fastq"))
    mock.get(f"{URL}/api/datatypes/mapping", json={
        "ext_to_class_name": {"tabular": "Tabular", "bed": "Bed", "png": "Png", "csv": "Csv", "fastq": "Fastq"},
        "class_to_classes": {"Tabular": {"Tabular": True}, "Bed": {"Bed": True, "Tabular": True}, "Png": {"Png": True},
                             "Csv": {"Csv": True}, "Fastq": {"Fastq": True}}})
    mock.get(f"{URL}/api/datatypes/converters", json=[{"source": "csv", "target": "tabular", "tool_id": "c"}])
    mock.post(f"{URL}/api/histories", json={"id": "new"})
    mock.delete(f"{URL}/api/histories/new", json={})
    mock.post(f"{URL}/api/tools", json={"jobs": [{"id": "j"}], "outputs": [
        {**dataset("o"), "hid": 2, "output_name": "out", "state": "new"}]})
    return mock


def posted(galaxy, path="/api/tools"):
    return [request.json() for request in galaxy.request_history if request.method == "POST" and request.path == path]


def ran(script, *pairs, history=H):
    return script(tool_run.main, KEY, URL, history, "big", *pairs)


# ------------------------------------------------------------------------------------------------------------ list and show

def ids(capsys):
    return capsys.readouterr().out.split()


def test_list_prints_the_tools_of_the_panel_of_a_section_or_of_a_search(script, galaxy, capsys):
    line = ["--format=value", "--fields=id", KEY, URL]
    assert script(tool_list.main, *line) == 0
    assert ids(capsys) == ["sort1", "shed/me/cut/2", "tally"]
    assert script(tool_list.main, "--all", *line) == 0
    assert ids(capsys)[-1] == "CONVERTER"
    assert script(tool_list.main, "--section=Text", *line) == 0
    assert ids(capsys) == ["shed/me/cut/2"]
    assert script(tool_list.main, "--limit=2", *line) == 0
    assert ids(capsys) == ["sort1", "shed/me/cut/2"]
    galaxy.get(f"{URL}/api/tools?q=thing", json=["tally", "sort1", "not-ours"])
    assert script(tool_list.main, "--search=thing", *line) == 0
    assert ids(capsys) == ["tally", "sort1"]
    assert script(tool_list.main, KEY, URL) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["sort1", "Sort", "1.0", "Order", "of", "a", "thing"]


def test_list_refuses_an_unknown_section_and_bad_lines(script, galaxy, capsys):
    assert script(tool_list.main, "--section=Nix", KEY, URL) == FAILED
    assert "there is no section 'Nix': there are Order, Text" in capsys.readouterr().err
    assert script(tool_list.main, "--format=x", KEY, URL) == script(tool_list.main, KEY) == USAGE


def test_show_prints_inputs_and_outputs(script, galaxy, capsys):
    assert script(tool_show.main, KEY, URL, "big") == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["big, Big tool 1.0", "of a thing"]
    assert "input Data dataset (tabular) no" in lines and "count integer 1..9 yes 3" in lines
    assert "more dataset (data), several yes" in lines and "pair collection (paired) yes" in lines
    assert "if|sure Sure select yes no no, yes" in lines and "if|limit Limit integer no if|sure=yes" in lines
    assert "ops_0|col On column data_column no" in lines and "ops_0|deep|d text yes" in lines
    assert lines[-3:] == ["out as input", "log txt the log", "all collection (list) x"]
    assert script(tool_show.main, "--format=jsonl", KEY, URL, "Sort") == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert (rows["order"]["choices"], rows["table"]["choices"], rows["count"]["max"]) == (["asc", "desc"], None, 9)
    assert rows["ops_0|col"]["optional"] is False and rows["marks"]["multiple"] is True


@pytest.mark.parametrize("line, code, words", [
    (["Cuut"], FAILED, "has no tool 'Cuut': did you mean Cut?"), (["nosuch"], FAILED, "tool_list.py --search=TEXT finds"),
    (["--tool-version=3", "big"], FAILED, "has tool 'big' in version 0.9, 1.0, not 3"),
    ([""], USAGE, "is a variable unset?")])
def test_an_unknown_tool_or_version_is_refused(script, galaxy, capsys, line, code, words):
    for main, more in ((tool_show.main, []), (tool_run.main, [H])):
        options = line[:-1]
        assert script(main, *options, KEY, URL, *more, line[-1]) == code
        captured = capsys.readouterr()
        assert captured.out == "" and words in captured.err and captured.err.count("\n") == 1
    assert posted(galaxy) == []


def test_on_a_server_that_fails_over_tools_that_it_lacks(script, galaxy, clock, capsys):
    """Galaxy 25.1 answers 500 for them, by name too."""
    for name in ("Sort", "nosuch", "sort1"):
        galaxy.get(f"{URL}/api/tools/{name}", status_code=500, json={"err_msg": "Uncaught exception"})
    assert script(tool_show.main, KEY, URL, "nosuch") == FAILED
    assert "has no tool 'nosuch': tool_list.py" in capsys.readouterr().err
    assert script(tool_show.main, KEY, URL, "sort1") == FAILED
    assert "500" in capsys.readouterr().err
    galaxy.get(f"{URL}/api/tools/sort1", json={**TOOL, **SORT})
    assert script(tool_show.main, KEY, URL, "Sort") == 0


def test_the_version_in_a_tool_sheds_id_counts(galaxy):
    """Galaxy 26.1 answers with another version in its place."""
    installed = "shed/repos/me/cut/cut/2.0"
    for name in (installed, "shed/repos/me/cut/cut/1.0", "shed/repos/me/cut/cut"):
        galaxy.get(f"{URL}/api/tools/{name}", json={**TOOL, "id": installed, "version": "2.0", "versions": ["2.0"]})
    assert find_tool(Galaxy(KEY, URL), installed)["id"] == find_tool(
        Galaxy(KEY, URL), "shed/repos/me/cut/cut")["id"] == installed
    with pytest.raises(GalaxyError, match="has tool .* in version 2.0, not 1.0"):
        find_tool(Galaxy(KEY, URL), "shed/repos/me/cut/cut/1.0")


def test_a_name_of_two_tools_is_refused(galaxy):
    galaxy.get(f"{URL}/api/tools?in_panel=true", json=[SORT, {**SORT, "id": "sort2"}])
    with pytest.raises(GalaxyError, match="2 tools are named 'Sort': sort1, sort2"):
        find_tool(Galaxy(KEY, URL), "Sort")


# ----------------------------------------------------------------------------------------------------------------------- run

def one(src, thing, batch=False, **more):
    return {**({"batch": True} if batch else {}), "values": [{"src": src, "id": thing, **more}]}


def test_run_sends_one_request_and_prints_its_outputs(script, galaxy, capsys):
    assert ran(script, f"input=hda:{D1}", "count=4", "--use-cached-jobs") == 0
    assert posted(galaxy) == [{"history_id": H, "tool_id": "big", "tool_version": "1.0", "use_cached_job": True,
                               "inputs": {"input": one("hda", D1), "count": 4}}]
    captured = capsys.readouterr()
    assert captured.out.splitlines()[2].split() == ["o", "hda", "2", "d", "tabular", "new"] and captured.err == ""


@pytest.mark.parametrize("pairs, sent", [
    (["count=+9"], {"count": 9}), (["count:=9"], {"count": 9}), (["share=1e3"], {"share": 1000.0}),
    (["none="], {"none": None}), (["none:=null"], {"none": None}), (["flag=yes"], {"flag": True}),
    (["flag:=false"], {"flag": False}), (["flag=-v"], {"flag": True}), (["word=a=b"], {"word": "a=b"}),
    (["word="], {"word": ""}), (["col=c12"], {"col": "12"}),
    (["cols=1,c3"], {"cols": ["1", "3"]}), (["cols=1", "cols=2"], {"cols": ["1", "2"]}), (["order=desc"], {"order": "desc"}),
    (["marks=62,64"], {"marks": ["62", "64"]}), (['marks:=["43"]'], {"marks": ["43"]}), (["table=any"], {"table": "any"}),
    (["if|sure=yes", "if|limit=1"], {"if|sure": "yes", "if|limit": 1}),
    (["on|off=F", "on|why=b"], {"on|off": False, "on|why": "b"}),
    (["on|off=no", "on|why=b"], {"on|off": False, "on|why": "b"}),
    (["ops_1|col=2", "ops_0|col=1", "ops_0|deep|d=x"], {"ops_0|col": "1", "ops_1|col": "2", "ops_0|deep|d": "x"}),
    ([f"more=hda:{D1}", f"more=hda:{D2}"], {"more": {"values": [{"src": "hda", "id": D1}, {"src": "hda", "id": D2}]}}),
    ([f"more=hdca:{C1}"], {"more": one("hdca", C1)}),
    ([f"pair=hdca:{C2}"], {"pair": one("hdca", C2, batch=True, map_over_type="paired")}),
    (['more:=[{"src": "hda", "id": "x"}]'], {"more": [{"src": "hda", "id": "x"}]}), (["more:=null"], {"more": None})])
def test_values_are_converted_to_their_inputs_types(script, galaxy, pairs, sent):
    assert ran(script, f"input=hda:{D1}", *pairs) == 0
    [data] = posted(galaxy)
    assert data["inputs"] == {"input": one("hda", D1), **sent}


def test_a_collection_for_an_input_of_one_dataset_is_mapped_over(script, galaxy, capsys):
    made = {"id": "m", "name": "mapped", "hid": 7, "collection_type": "list", "populated_state": "new", "output_name": "out"}
    galaxy.post(f"{URL}/api/tools", json={"jobs": [], "outputs": [dataset("o1"), dataset("o2")],
                                          "implicit_collections": [made]})
    assert ran(script, f"input=hdca:{C1}") == 0
    assert posted(galaxy)[0]["inputs"] == {"input": one("hdca", C1, batch=True)}
    assert [line.split() for line in capsys.readouterr().out.splitlines()[2:]] == [
        ["m", "hdca", "7", "mapped", "list", "new"]]


@pytest.mark.parametrize("pairs, words", [
    ([], "needs input (Data): input=hda:ID"), (["inptu=x"], "has no input 'inptu': did you mean input?"),
    (["limit=3"], "has no input 'limit': did you mean if|limit?"),
    (["if|limit=3"], "has no input 'if|limit' unless if|sure=yes is given"), (["if|sure=yes"], "needs if|limit (Limit)"),
    (["on|why=a"], "no input 'on|why' unless on|off=F is given"),
    (["ops_1|col=1"], "ops_0 is missing"), (["ops_0|col=1", "ops_1|col=1", "ops_2|col=1"], "takes ops 2 times at most"),
    (["ops_0|deep|d=x"], "needs ops_0|col (On column)"),
    (["count=x"], "takes an integer: count=x"), (["count=1.5"], "takes an integer"),
    (["count=" + "9" * 5000], "takes an integer"), (["share=1e999"], "takes a number"),
    (["count:=true"], "takes an integer: count=True"),
    (["count="], "needs a value"), (["count=0"], "takes at least 1 and at most 9: count=0"),
    (["count=10"], "takes at least 1 and at most 9"),
    (["count=٣"], "takes an integer"), (["share=-1"], "takes at least 0: share=-1"), (["share=x"], "takes a number"),
    (["order=dsc"], "has no choice order=dsc: did you mean desc?: the choices are asc, desc"),
    (["marks=62,1"], "choice marks=1"),
    (["input:=null"], "takes data as input, in JSON"), (['more:={"values": []}'], "takes data as more, in JSON"),
    (["more:=[5]"], "takes data as more"), (['word:={"a": 1}'], "takes a text"), (['table:=[1]'], "takes a text"),
    (["col=x"], "takes the number of a column"),
    (["count=1", "count=2"], "takes one count, and 2 are given"),
    ([f"more={D1}"], "is not SRC:ID with SRC one of hda, hdca, ldda, ld, hid"), (["more=hda:x/y"], "is not SRC:ID"),
    ([f"pair=hda:{D1}"], "takes a collection as pair: pair=hdca:ID"),
    ([f"pair=hdca:{C1}"], f"takes a collection of the type paired as pair, and {C1} is a list"),
    ([f"more=hdca:{C1}", f"more=hda:{D1}"], "takes either datasets or one collection as more")])
def test_a_wrong_input_is_refused_with_a_table_and_nothing_is_sent(script, galaxy, capsys, pairs, words):
    first = [f"input=hda:{D1}"] if pairs and not pairs[0].startswith("input:") else []
    assert ran(script, *first, *pairs) == USAGE
    captured = capsys.readouterr()
    first, *table = captured.err.splitlines()
    assert captured.out == "" and words in first and posted(galaxy) == []
    assert [row.split()[0] for row in table[2:6]] == ["input", "more", "pair", "count"] and "if|sure=yes" in captured.err


def test_a_repeat_counts_as_often_as_galaxy_makes_it(script, galaxy, capsys):
    [repeat] = [one for one in TOOL["inputs"] if one["name"] == "ops"]
    galaxy.get(f"{URL}/api/tools/big", json={**TOOL, "inputs": [{**repeat, "default": 1}]})
    assert ran(script) == USAGE
    assert "needs ops_0|col (On column): ops_0|col=NUMBER" in capsys.readouterr().err
    assert ran(script, "ops_0|col=1") == 0


@pytest.mark.parametrize("pair, words", [
    ("input", "'input' is neither NAME=VALUE nor NAME:=JSON"), ("=x", "is neither NAME=VALUE"),
    ("count:={", "count:= is not followed by JSON"),
    ("flag=maybe", "is neither true nor false")])
def test_a_pair_that_can_not_be_parsed_is_refused(script, galaxy, capsys, pair, words):
    assert ran(script, f"input=hda:{D1}", pair) == USAGE
    captured = capsys.readouterr()
    assert captured.out == "" and words in captured.err and captured.err.count("\n") == 1 and posted(galaxy) == []


@pytest.mark.parametrize("about, words", [
    ({"extension": "png"}, "takes tabular: input=hda:aaaaaaaaaaaaaaaa is png"), ({"extension": "bed"}, ""),
    ({"extension": "csv"}, ""), ({"extension": "heard-of-by-nobody"}, ""), ({"extension": "png", "state": "running"}, ""),
    ({"deleted": True}, "'d' is deleted"), ({"state": "error"}, "'d' is in state error")])
def test_data_that_the_tool_can_not_read_are_refused(script, galaxy, capsys, about, words):
    """Galaxy 26.1 runs the tool on a dataset of any datatype."""
    galaxy.get(f"{URL}/api/datasets/{D1}", json=dataset(D1, **about))
    assert ran(script, f"input=hda:{D1}") == (0 if not words else FAILED if "'d'" in words else USAGE)
    assert words in capsys.readouterr().err and len(posted(galaxy)) == (not words)


def test_a_dataset_of_another_user_is_refused(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/datasets/{D1}", status_code=403, json={"err_msg": "No rights", "err_code": 403002})
    assert ran(script, f"input=hda:{D1}") == FAILED
    assert f"input=hda:{D1}: " in (err := capsys.readouterr().err) and "No rights" in err and posted(galaxy) == []


def test_data_are_named_by_number_and_by_either_id_of_a_library(script, galaxy, capsys):
    original = {**dataset(D1), "history_content_type": "dataset", "visible": True, "hid": 1}
    converted = {**original, "id": D2, "visible": False}
    galaxy.get(f"{URL}/api/histories/{H}/contents", json=[
        converted, original, {**original, "id": "f" * 16, "deleted": True}])
    assert ran(script, "input=hid:1") == 0
    ask = next(request.qs for request in galaxy.request_history if request.path.endswith("contents"))
    assert (ask["q"], ask["qv"]) == (["hid-eq"], ["1"])
    galaxy.get(f"{URL}/api/histories/{H}/contents", json=[
        {**collection(C1, "list", "tabular"), "history_content_type": "dataset_collection", "visible": True, "hid": 1}])
    assert ran(script, "input=hid:1") == 0
    galaxy.get(f"{URL}/api/datasets/{D2}?hda_ldda=ldda", json={**dataset(D2), "extension": None, "file_ext": "tabular"})
    assert ran(script, f"input=ldda:{D2}") == 0
    galaxy.get(f"{URL}/api/libraries/datasets/{D2}", json={**dataset(D2), "ldda_id": "e" * 16})
    assert ran(script, f"input=ld:{D2}") == 0
    assert [data["inputs"]["input"] for data in posted(galaxy)] == [
        one("hda", D1), one("hdca", C1, batch=True), one("ldda", D2), one("ldda", "e" * 16)]
    capsys.readouterr()
    galaxy.get(f"{URL}/api/histories/{H}/contents", json=[original, {**original, "id": D2}])
    assert ran(script, "input=hid:1") == FAILED
    assert f"has 2 items with that number: hda:{D1}, hda:{D2}" in capsys.readouterr().err
    galaxy.get(f"{URL}/api/histories/{H}/contents", json=[])
    assert ran(script, "input=hid:1") == ran(script, "input=hid:1", history="new:x") == FAILED
    assert len(posted(galaxy)) == 4 and posted(galaxy, "/api/histories") == []


def test_a_dry_run_sends_nothing(script, galaxy, capsys):
    assert script(tool_run.main, "-n", KEY, URL, "new:Run 13", "big", f"input=hda:{D1}") == 0
    captured = json.loads(capsys.readouterr().out)
    assert captured["payload"]["history_id"] == "new:Run 13" and captured["payload"]["inputs"] == {"input": one("hda", D1)}
    assert {request.method for request in galaxy.request_history} == {"GET"}


def test_a_new_history_is_created_last_and_deleted_if_the_tool_is_refused(script, galaxy, capsys):
    assert ran(script, f"input=hda:{D1}", history="new:Run 13") == 0
    assert posted(galaxy, "/api/histories") == [{"name": "Run 13"}] and posted(galaxy)[0]["history_id"] == "new"
    galaxy.post(f"{URL}/api/tools", status_code=400, json={"err_msg": "an invalid option"})
    capsys.readouterr()
    assert ran(script, f"input=hda:{D1}", history="new:Run 13") == FAILED
    captured = capsys.readouterr()
    assert captured.out == "" and "an invalid option" in captured.err
    assert [request.path for request in galaxy.request_history if request.method == "DELETE"] == ["/api/histories/new"]


def test_a_lost_answer_is_not_sent_again(script, galaxy, capsys):
    galaxy.post(f"{URL}/api/tools", exc=requests.exceptions.ReadTimeout)
    assert ran(script, f"input=hda:{D1}", history="new:Run 13") != 0
    captured = capsys.readouterr().err
    assert "see what is new in the history before you run it again: dataset_list.py - - new" in captured
    assert len(posted(galaxy)) == 1 and "DELETE" not in {request.method for request in galaxy.request_history}


@pytest.mark.parametrize("where, words", [("", "is a variable unset?"), ("new:", "is a variable unset?")])
def test_an_empty_history_is_refused_before_any_request(script, galaxy, capsys, where, words):
    assert ran(script, f"input=hda:{D1}", history=where) == USAGE
    assert words in capsys.readouterr().err and galaxy.call_count == 0
    assert script(tool_run.main, KEY, URL, H) == USAGE


def test_a_deleted_history_is_refused(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/histories/{H}", json={"id": H, "name": "Run 12", "deleted": True})
    assert ran(script, f"input=hda:{D1}") == FAILED
    assert "is deleted" in capsys.readouterr().err and posted(galaxy) == []


def jobs(galaxy, **states):
    galaxy.get(f"{URL}/api/jobs", json=[{"id": job, "state": state} for job, state in states.items()])
    galaxy.get(f"{URL}/api/datasets", json=[dataset("o", state="error" if "error" in states.values() else "ok", hid=2)])


def test_wait_ends_with_the_outputs_of_successful_jobs(script, galaxy, clock, capsys):
    jobs(galaxy, j="ok")
    galaxy.get(f"{URL}/api/jobs?state=running", [{"json": [{"id": "j", "state": "running"}]}, {"json": []}])
    assert ran(script, f"input=hda:{D1}", "--wait") == 0
    assert capsys.readouterr().out.splitlines()[2].split()[-1] == "ok" and clock.slept


def test_wait_fails_with_the_job_that_failed(script, galaxy, clock, capsys):
    jobs(galaxy, j="error")
    galaxy.get(f"{URL}/api/jobs?state=running", json=[])
    galaxy.get(f"{URL}/api/jobs/j", json={"tool_id": "big", "exit_code": 2, "tool_stderr": "first\nno such column\n"})
    assert ran(script, f"input=hda:{D1}", "--wait") == FAILED
    captured = capsys.readouterr()
    assert captured.out.splitlines()[2].split()[-1] == "error"
    assert "job j of big is error, exit code 2: no such column" in captured.err


def test_wait_stops_at_its_timeout(script, galaxy, clock, capsys):
    jobs(galaxy, j="running")
    assert ran(script, f"input=hda:{D1}", "--wait", "--timeout=5") == STILL_RUNNING
    captured = capsys.readouterr()
    assert captured.out.splitlines()[2].startswith("o ") and "still running after 5 s: j" in captured.err


def test_an_interrupted_wait_prints_the_outputs(script, galaxy, monkeypatch, capsys):
    def interrupted(*what):
        raise KeyboardInterrupt
    monkeypatch.setattr(request, "wait_jobs", interrupted)
    assert ran(script, f"input=hda:{D1}", "--wait") == INTERRUPTED
    captured = capsys.readouterr()
    assert captured.out.splitlines()[2].startswith("o ") and captured.err.endswith("interrupted\n")
