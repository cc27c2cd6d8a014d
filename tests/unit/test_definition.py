"""Names of inputs, resolved in a workflow, and datasets that Galaxy would take oddly."""
import pytest
from fakes import KEY, URL

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.workflows import definition

WORKFLOW = {"name": "Wet days", "steps": {}, "ids": {"71": "3"}, "inputs": {
    "0": {"label": "observations", "uuid": "u-0", "value": ""},
    "3": {"label": "limit = 1", "uuid": "u-3", "value": ""}, "4": {"label": None, "uuid": None, "value": ""}}}


@pytest.mark.parametrize("step, index", [("0", "0"), ("observations", "0"), ("u-3", "3"), ("limit = 1", "3"), ("71", "3"),
                                         ("4", "4")])
def test_an_input_is_found_by_index_label_uuid_or_id(step, index):
    assert definition.input_index(WORKFLOW, step) == index


def test_an_unknown_input_is_refused_with_a_table_of_the_inputs():
    with pytest.raises(GalaxyError) as caught:
        definition.input_index(WORKFLOW, "observation")
    assert str(caught.value) == "workflow 'Wet days' has no input 'observation': did you mean observations?"
    assert caught.value.exit_code == USAGE
    assert caught.value.table == (
        "index    label         takes    optional    uuid\n"
        "-------  ------------  -------  ----------  ------\n"
        "0        observations  dataset  no          u-0\n"
        "3        limit = 1     dataset  no          u-3\n"
        "4                      dataset  no")


STEPS = {"0": {"type": "data_input", "tool_inputs": {"optional": False}},
         "1": {"type": "data_collection_input", "tool_inputs": {"optional": True}},
         "2": {"type": "parameter_input", "tool_inputs": {"optional": False, "parameter_type": "text"}}}


def test_an_index_that_is_also_another_inputs_label_is_refused():
    pair = {"name": "pair", "steps": {}, "ids": {}, "inputs": {
        "0": {"label": "1", "uuid": "u0"}, "1": {"label": "2", "uuid": "u1"}}}
    with pytest.raises(GalaxyError, match="'1' is 2 inputs of workflow 'pair', by index or label: .* by its uuid") as caught:
        definition.input_index(pair, "1")
    assert "u0" in caught.value.table and "u1" in caught.value.table
    assert (definition.input_index(pair, "2"), definition.input_index(pair, "u0")) == ("1", "0")


@pytest.mark.parametrize("datasets, words", [
    ([("0", "hda", "d"), ("2", "hda", "d")], "input 2 \\(cond\\) is a parameter and takes no dataset"),
    ([("0", "hda", "d")], "input 2 \\(cond\\) is a parameter without a default"),
    ([("1", "hdca", "c")], "input 0 \\(reads\\) is missing"),
])
def test_inputs_of_the_wrong_kind_and_missing_ones_are_refused(datasets, words):
    workflow = {"id": "w", "name": "n", "steps": STEPS, "ids": {}, "inputs": {
        "0": {"label": "reads", "uuid": "u0"}, "1": {"label": "list", "uuid": "u1"}, "2": {"label": "cond", "uuid": "u2"}}}
    with pytest.raises(GalaxyError, match=words) as caught:
        definition.resolve_inputs(workflow, datasets)
    assert caught.value.exit_code == USAGE


MINE, THEIRS, PICK = ("a" * 16, "b" * 16, "c" * 16)


@pytest.fixture
def galaxy(requests_mock):
    """One workflow of the user's own, two that others publish, of which Galaxy fails to show one."""
    def rows(request, context):
        both = {"show_shared", "show_published"} <= request.qs.keys()
        return [{"id": MINE, "name": "Map"}, *([{"id": THEIRS, "name": "Their map", "owner": "ann"},
                                                {"id": PICK, "name": "Pick", "owner": "bob"},
                                                {"id": "d" * 16, "name": "Twice", "owner": "ann"},
                                                {"id": "e" * 16, "name": "Twice", "owner": "bob"}] if both else [])]
    requests_mock.get(f"{URL}/api/workflows", json=rows)
    requests_mock.get(f"{URL}/api/workflows/{MINE}", json={"id": MINE, "name": "Map"})
    requests_mock.get(f"{URL}/api/workflows/{THEIRS}", json={"id": THEIRS, "name": "Their map"})
    requests_mock.get(f"{URL}/api/workflows/{PICK}", status_code=500, text="no")
    requests_mock.get(f"{URL}/u/ann/w/their-map", status_code=302,
                      headers={"Location": f"{URL}/published/workflow?id={THEIRS}"})
    requests_mock.get(f"{URL}/published/workflow", text="<html></html>")
    return Galaxy(KEY, URL)


@pytest.mark.parametrize("text, found", [
    ("Map", MINE), ("Their map", THEIRS), (THEIRS, THEIRS), (PICK, PICK), ("Pick", PICK),
    (f"{URL}/workflows/run?id={THEIRS}", THEIRS), (f"{URL}/workflows/edit?id={THEIRS}", THEIRS),
    (f"{URL}/workflows/{THEIRS}/invocations", THEIRS), (f"{URL}/u/ann/w/their-map", THEIRS)])
def test_a_workflow_is_found_by_id_name_and_page(galaxy, text, found):
    assert definition.find_workflow(galaxy, text)["id"] == found


def test_whose_workflow_runs_by_its_name_is_told_unless_it_is_the_users(galaxy, requests_mock, capsys):
    """And those of others are not asked for where one of the user's own has the name."""
    definition.find_workflow(galaxy, "Their map")
    assert capsys.readouterr().err.endswith(
        f"warning: you have no workflow 'Their map', so this is {THEIRS} of ann, who shares or publishes it: give the id if "
        "you mean this one\n")
    before = requests_mock.call_count
    definition.find_workflow(galaxy, "Map")
    for asked in requests_mock.request_history[before:]:
        assert asked.qs["show_shared"] == ["false"] and "show_published" not in asked.qs
    for text in (THEIRS, PICK, MINE):
        definition.find_workflow(galaxy, text)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text, words", [
    ("Twice", "2 workflows that others share or publish are named 'Twice': d{16} of ann, e{16} of bob; give the id of one"),
    ("None", "none of your workflows on .* is named 'None'"), (f"{URL}/workflows/list", "no page of a workflow, such as"),
    ("http://other.test/workflows/run?id=1", "an address on another server than")])
def test_a_workflow_that_is_none_or_several(galaxy, text, words):
    with pytest.raises(GalaxyError, match=words):
        definition.find_workflow(galaxy, text)
