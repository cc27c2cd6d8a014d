"""INPUT=VALUE words: parsed, checked against the workflow, and all problems reported at once."""
import shlex
import signal

import pytest
from fakes.workflow_inputs import INDEX, WORKFLOW, files, galaxy, parse, shape

from galaxy_api_scripts.workflows import inputs
from galaxy_api_scripts.workflows.inputs import iter_datasets, matches_in_time

__all__ = ["files", "galaxy", "parse"]      # fixtures


@pytest.mark.parametrize("name", ["reads", "0", "u0"])
def test_an_input_is_named_by_label_index_or_uuid(parse, files, name):
    values = parse(f"{name}={files}/a.fastq.gz")
    [dataset] = iter_datasets(values.by_label["reads"])
    assert values.problems == [] and (dataset.source.name, dataset.source.ext) == ("a.fastq.gz", "fastqsanger.gz")


def test_a_name_and_a_value_may_have_equals_signs(parse, files):
    (files / "x=y").write_text("z")
    values = parse(f"a = b={files}/x=y", "word=1=2")
    assert values.problems == [] and shape(values.by_label["a = b"]) == "x=y" and values.by_label["word"] == "1=2"


def test_a_file_whose_name_tells_no_datatype_gets_the_one_that_the_input_takes(parse, files):
    [dataset] = iter_datasets(parse(f"reads={files}/plain").by_label["reads"])
    assert dataset.source.ext == "fastqsanger.gz"


def test_files_folders_and_patterns_make_collections(parse, files):
    (files / "sub").mkdir()
    for name in ("x.bed", "y.bed"):
        (files / "sub" / name).write_text(name)
    for words in ([f"beds={files}/*.bed"], [f"beds={files}/a.bed", f"beds={files}/b.bed"]):
        assert shape(parse(*words).by_label["beds"]) == {"list": {"a": "a.bed", "b": "b.bed"}}
    assert shape(parse(f"beds={files}/sub").by_label["beds"]) == {"list": {"x": "x.bed", "y": "y.bed"}}
    assert shape(parse(f"beds={files}/a.bed").by_label["beds"]) == {"list": {"a": "a.bed"}}
    assert shape(parse(f"pairs={files}/s?_R?.fastq.gz").by_label["pairs"]) == {"list:paired": {
        name: {"paired": {"forward": f"{name}_R1.fastq.gz", "reverse": f"{name}_R2.fastq.gz"}} for name in ("s1", "s2")}}
    assert shape(parse(f"pair={files}/s1_R?.fastq.gz").by_label["pair"]) == {
        "paired": {"forward": "s1_R1.fastq.gz", "reverse": "s1_R2.fastq.gz"}}


def test_folders_of_files_are_lists_in_a_list(parse, files):
    for folder in ("x", "y"):
        (files / "in" / folder).mkdir(parents=True)
        (files / "in" / folder / "a.bed").write_text(folder)
    for words in (f"deep={files}/in", f"deep={files}/in/*/*.bed"):
        values = parse(words)
        assert values.problems == []
        assert shape(values.by_label["deep"]) == {"list:list": {name: {"list": {"a": "a.bed"}} for name in "xy"}}


def test_several_files_for_an_input_of_one_dataset_make_a_list(parse, files):
    assert shape(parse(f"reads={files}/[ab].fastq.gz").by_label["reads"]) == {"list": {"a": "a.fastq.gz", "b": "b.fastq.gz"}}
    assert shape(parse("reads=hdca:c1").by_label["reads"]) == {"src": "hdca", "id": "c1"}


def test_references_to_data_in_galaxy(parse):
    values = parse("reads=hda:d1", "beds=hda:d1", "beds=hda:d2", "a = b=lib:/Lab/in/a.bed", history="h")
    assert values.problems == []
    assert {label: shape(value) for label, value in values.by_label.items()} == {
        "reads": {"src": "hda", "id": "d1"}, "a = b": {"src": "ld", "id": "ld1"},
        "beds": {"list": {"one": {"src": "hda", "id": "d1"}, "two": {"src": "hda", "id": "d2"}}}}
    assert shape(parse("reads=ld:ld2").by_label["reads"]) == {"src": "ld", "id": "ld2"}
    numbered = parse("reads=hid:3", "beds=hid:4", history="h")
    assert shape(numbered.by_label["reads"]) == {"src": "hda", "id": "d1"}
    assert shape(numbered.by_label["beds"]) == {"src": "hdca", "id": "c1"}
    assert shape(parse("pair=hdca:c2").by_label["pair"]) == {"src": "hdca", "id": "c2"}     # mapped over


def test_a_url_is_a_source(parse):
    [dataset] = iter_datasets(parse("reads=https://example.org/x/a.fastq.gz").by_label["reads"])
    assert dataset.source.is_url and dataset.source.ext == "fastqsanger.gz"


@pytest.mark.parametrize("word, value", [
    ("word=7", "7"), ("count=-0", 0), ("count=9", 9), ("share=1e-1", 0.1), ("flag=yes", True), ("flag=False", False),
    ("paint=#00ff00", "#00ff00"), ("choice=b", "b"), ("words=a", ["a"])])
def test_parameters_are_converted_to_their_types(parse, word, value):
    values = parse(word)
    assert values.problems == [] and list(values.values.values()) == [value]


def test_a_parameter_may_take_a_list(parse):
    assert parse("words=a", "words=b").by_label == {"words": ["a", "b"]}


@pytest.mark.parametrize("word, problem", [
    ("red=x", "there is no input 'red': did you mean reads?"),
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
    ("sheet={files}/*.bed", "input sheet: expected a collection of type sample_sheet: give it as hdca:ID, or in a job file"),
    ("deep=hda:d1", "input deep: hda:d1: is in no folder, which would name the outer element of a list:list"),
    ("beds={files}/*.nothing", "input beds: {files}/*.nothing: no such file"),
    ("pairs={files}/*.bed", "input pairs: not in pairs: a.bed (no _R1 or _R2 at its end), b.bed (no _R1 or _R2 at its end)"),
])
def test_each_problem_has_its_own_message(parse, files, word, problem):
    assert parse(word.format(files=files)).problems == [problem.format(files=files)]


def test_a_collection_must_be_the_only_value(parse):
    assert parse("beds=hdca:c1", "beds=hda:d1").problems == [
        "input beds: hdca:c1 is a collection, so it must be the only value"]


def test_two_elements_of_one_name_are_refused(parse, files):
    (files / "other").mkdir()
    (files / "other" / "a.bed").write_text("x")
    [problem] = parse(f"beds={files}/a.bed", f"beds={files}/other/a.bed").problems
    assert "both would be 'a' in the collection" in problem and f"{files}/other/a.bed" in problem


def test_all_problems_and_missing_inputs_are_reported_at_once(parse):
    values = parse("word=a", "word=b", "x=1", complete=True)
    assert values.problems == ["there is no input 'x'", "input word: takes one value, not 2",
                             "input reads: is missing: reads=VALUE gives it a file, URL or hda:ID",
                             "input beds: is missing: beds=VALUE gives it files, a folder or hdca:ID"]


@pytest.mark.parametrize("labels, hints", [
    (("", ""), ("0=VALUE", "1=VALUE")), (("same", "same"), ("0=VALUE", "1=VALUE")), (("1", "x"), ("0=VALUE", "x=VALUE")),
    (("two words", "two\nlines"), ("'two words=VALUE'", "1=VALUE")), (("1", "0"), ("u0=VALUE", "u1=VALUE"))])
def test_each_missing_input_is_told_with_a_hint_that_can_be_followed(parse, monkeypatch, labels, hints):
    """Without a label, with one that another input has too, with one that is another's index or has spaces."""
    for number, label in enumerate(labels):
        monkeypatch.setitem(WORKFLOW["inputs"], str(number), {"label": label, "uuid": f"u{number}"})
    missing = parse(complete=True).problems
    assert [problem.split(" is missing: ")[1].split(" gives it ")[0] for problem in missing] == list(hints)
    names = [shlex.split(hint)[0].removesuffix("=VALUE") for hint in hints]
    assert parse(f"{names[0]}=hda:d1", f"{names[1]}=hdca:c1", complete=True).problems == []


def test_an_input_with_a_problem_is_not_reported_as_missing_too(parse):
    values = parse("reads=hda:gone", "beds=hdca:c1", complete=True)
    assert values.problems == ["input reads: hda:gone: 'x' is deleted"]


def test_a_copy_shares_galaxys_answers_and_nothing_else(parse, requests_mock):
    first = parse("reads=hda:d1", "red=x")
    other = first.copy()
    other.set_from_args(["a = b=hda:d1", "count=x"])
    assert [request.path for request in requests_mock.request_history] == ["/api/datasets/d1"]
    assert (list(first.values), len(first.problems), list(other.values), len(other.problems)) == (
        [INDEX["reads"]], 1, [INDEX["reads"], INDEX["a = b"]], 2)


def test_a_pattern_of_a_server_that_takes_for_ever_is_left_to_it(monkeypatch):
    monkeypatch.setattr(inputs, "PATTERN_SECONDS", 0.2)
    assert matches_in_time("(a+)+$", "a" * 60 + "!") is None        # 2^60 steps
    assert matches_in_time("(a+", "a") is None
    assert matches_in_time("a+$", "aaa") is True and matches_in_time("a+$", "aab") is False
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0) and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
