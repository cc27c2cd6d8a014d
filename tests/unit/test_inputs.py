"""What workflows' inputs are given in words: read, checked, all that is wrong told at once."""
import pytest
from fakes.workflow_inputs import INDEX, WORKFLOW, files, galaxy, given, shape

from galaxy_api_scripts.workflows.inputs import iter_datasets

__all__ = ["files", "galaxy", "given"]      # fixtures


@pytest.mark.parametrize("name", ["reads", "0", "u0"])
def test_an_input_by_label_index_and_uuid(given, files, name):
    made = given(f"{name}={files}/a.fastq.gz")
    [leaf] = iter_datasets(made.by_label["reads"])
    assert made.problems == [] and (leaf.source.name, leaf.source.ext) == ("a.fastq.gz", "fastqsanger.gz")


def test_a_name_and_a_value_with_equals_signs(given, files):
    (files / "x=y").write_text("z")
    made = given(f"a = b={files}/x=y", "word=1=2")
    assert made.problems == [] and shape(made.by_label["a = b"]) == "x=y" and made.by_label["word"] == "1=2"


def test_the_datatype_that_the_input_takes_where_the_name_tells_none(given, files):
    [leaf] = iter_datasets(given(f"reads={files}/plain").by_label["reads"])
    assert leaf.source.ext == "fastqsanger.gz"


def test_files_folders_and_patterns_for_collections(given, files):
    (files / "sub").mkdir()
    for name in ("x.bed", "y.bed"):
        (files / "sub" / name).write_text(name)
    for words in ([f"beds={files}/*.bed"], [f"beds={files}/a.bed", f"beds={files}/b.bed"]):
        assert shape(given(*words).by_label["beds"]) == {"list": {"a": "a.bed", "b": "b.bed"}}
    assert shape(given(f"beds={files}/sub").by_label["beds"]) == {"list": {"x": "x.bed", "y": "y.bed"}}
    assert shape(given(f"beds={files}/a.bed").by_label["beds"]) == {"list": {"a": "a.bed"}}
    assert shape(given(f"pairs={files}/s?_R?.fastq.gz").by_label["pairs"]) == {"list:paired": {
        name: {"paired": {"forward": f"{name}_R1.fastq.gz", "reverse": f"{name}_R2.fastq.gz"}} for name in ("s1", "s2")}}
    assert shape(given(f"pair={files}/s1_R?.fastq.gz").by_label["pair"]) == {
        "paired": {"forward": "s1_R1.fastq.gz", "reverse": "s1_R2.fastq.gz"}}


def test_several_for_one_dataset_are_a_list_to_be_mapped_over(given, files):
    assert shape(given(f"reads={files}/[ab].fastq.gz").by_label["reads"]) == {"list": {"a": "a.fastq.gz", "b": "b.fastq.gz"}}
    assert shape(given("reads=hdca:c1").by_label["reads"]) == {"src": "hdca", "id": "c1"}


def test_what_galaxy_has(given):
    made = given("reads=hda:d1", "beds=hda:d1", "beds=hda:d2", "a = b=lib:/Lab/in/a.bed", history="h")
    assert made.problems == []
    assert {label: shape(value) for label, value in made.by_label.items()} == {
        "reads": {"src": "hda", "id": "d1"}, "a = b": {"src": "ld", "id": "ld1"},
        "beds": {"list": {"one": {"src": "hda", "id": "d1"}, "two": {"src": "hda", "id": "d2"}}}}
    numbered = given("reads=hid:3", "beds=hid:4", history="h")
    assert shape(numbered.by_label["reads"]) == {"src": "hda", "id": "d1"}
    assert shape(numbered.by_label["beds"]) == {"src": "hdca", "id": "c1"}
    assert shape(given("pair=hdca:c2").by_label["pair"]) == {"src": "hdca", "id": "c2"}     # mapped over


def test_addresses(given):
    [leaf] = iter_datasets(given("reads=https://example.org/x/a.fastq.gz").by_label["reads"])
    assert leaf.source.is_url and leaf.source.ext == "fastqsanger.gz"


@pytest.mark.parametrize("word, value", [
    ("word=7", "7"), ("count=-0", 0), ("count=9", 9), ("share=1e-1", 0.1), ("flag=yes", True), ("flag=False", False),
    ("paint=#00ff00", "#00ff00"), ("choice=b", "b"), ("words=a", ["a"])])
def test_parameters_are_typed(given, word, value):
    made = given(word)
    assert made.problems == [] and list(made.values.values()) == [value]


def test_a_multiple_parameter(given):
    assert given("words=a", "words=b").by_label == {"words": ["a", "b"]}


@pytest.mark.parametrize("word, problem", [
    ("red=x", "there is no input 'red': did you mean 'reads'?"),
    ("nothing", "'nothing' is not INPUT=VALUE"),
    ("count=1.5", "input count: '1.5' is not an integer"),
    ("count=10", "input count: 10 is not within 0 to 9"),
    ("count=True", "input count: 'True' is not an integer"),
    ("share=2", "input share: 2.0 is not within 0 to 1"),
    ("share=x", "input share: 'x' is not a float"),
    ("flag=perhaps", "input flag: its value: 'perhaps' is neither true nor false"),
    ("paint=red", "input paint: 'red' is not #rrggbb"),
    ("choice=c", "input choice: 'c' is not one of a, b"),
    ("count=hda:d1", "input count: is a parameter (integer) and takes a value, not a dataset"),
    ("reads=", "input reads: its value is empty: is a variable unset?"),
    ("reads=hda:none", "input reads: hda:none: no such dataset"),
    ("reads=hda:12", "input reads: hda:12: nothing has that id"),
    ("reads=hda:gone", "input reads: hda:gone: 'x' is deleted"),
    ("reads=hda:bad", "input reads: hda:bad: 'x' is in state error"),
    ("reads=hda:../x", "input reads: hda:../x: '../x' is not an id"),
    ("reads=hid:3", "input reads: hid:3: hid:N needs an existing history: --history=ID"),
    ("reads=lib:/Lab/none", "input reads: lib:/Lab/none: the library has nothing with that name"),
    ("reads=lib:/Lab/none/x", "input reads: lib:/Lab/none/x: the library has nothing with that name"),
    ("reads=lib:/None/x", "input reads: lib:/None/x: there is no library 'None'"),
    ("reads=lib:/Lab", "input reads: lib:/Lab: expected lib:/LIBRARY/FOLDER/NAME"),
    ("pair=hdca:c1", "input pair: hdca:c1 is a collection of type list, and the input takes paired"),
    ("deep={files}/*.bed", "input deep: expected a collection of type list:list: give it as hdca:ID, or in a job file"),
    ("beds={files}/*.nothing", "input beds: {files}/*.nothing: no such file"),
    ("pairs={files}/*.bed", "input pairs: not in pairs: a.bed (no _R1 or _R2 at its end), b.bed (no _R1 or _R2 at its end)"),
])
def test_what_is_wrong(given, files, word, problem):
    assert given(word.format(files=files)).problems == [problem.format(files=files)]


def test_a_collection_takes_nothing_beside_it(given):
    assert given("beds=hdca:c1", "beds=hda:d1").problems == [
        "input beds: hdca:c1 is a collection, so it must be the only value"]


def test_two_elements_of_one_name(given, files):
    (files / "other").mkdir()
    (files / "other" / "a.bed").write_text("x")
    [problem] = given(f"beds={files}/a.bed", f"beds={files}/other/a.bed").problems
    assert "both would be 'a' in the collection" in problem and f"{files}/other/a.bed" in problem


def test_all_problems_and_what_is_missing_at_once(given):
    made = given("word=a", "word=b", "x=1", whole=True)
    assert made.problems == ["there is no input 'x'", "input word: takes one value, not 2",
                             "input reads: is missing: reads=VALUE gives it a file, URL or hda:ID",
                             "input beds: is missing: beds=VALUE gives it files, a folder or hdca:ID"]


def test_a_label_of_two_lines_is_told_in_one(given, monkeypatch):
    monkeypatch.setitem(WORKFLOW["inputs"], INDEX["reads"], {"label": "two\nlines", "uuid": "u0"})
    assert given("beds=hdca:c1", whole=True).problems == [
        "input two lines: is missing: two lines=VALUE gives it a file, URL or hda:ID"]


def test_what_is_wrong_is_not_told_as_missing_too(given):
    made = given("reads=hda:gone", "beds=hdca:c1", whole=True)
    assert made.problems == ["input reads: hda:gone: 'x' is deleted"]


def test_another_of_the_same_knows_what_was_asked_for_and_goes_its_own_way(given, requests_mock):
    one = given("reads=hda:d1", "red=x")
    other = one.copy()
    other.set_from_args(["a = b=hda:d1", "count=x"])
    assert [request.path for request in requests_mock.request_history] == ["/api/datasets/d1"]
    assert (list(one.values), len(one.problems), list(other.values), len(other.problems)) == (
        [INDEX["reads"]], 1, [INDEX["reads"], INDEX["a = b"]], 2)
