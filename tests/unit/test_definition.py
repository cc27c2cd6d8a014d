"""Names of inputs, resolved in a workflow, and datasets that Galaxy would take oddly."""
import pytest

from common import USAGE, GalaxyError
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
