"""What workflows' inputs are given: read from words and job files, checked, all that is wrong told at once."""
import hashlib
import json
from pathlib import Path

import pytest

from common import Galaxy
from inputs import Given, Group, Leaf, leaves

KEY = "0123456789abcdef0123456789abcdef"
URL = "http://galaxy.test"


def step(kind, **about):
    return {"type": kind, "tool_inputs": {"optional": False, **about}}


INPUTS = {
    "reads": step("data_input", format=["fastqsanger.gz"]),
    "beds": step("data_collection_input", collection_type="list"),
    "pairs": step("data_collection_input", collection_type="list:paired", optional=True),
    "pair": step("data_collection_input", collection_type="paired", optional=True),
    "word": step("parameter_input", parameter_type="text", default="x"),
    "words": step("parameter_input", parameter_type="text", multiple=True, optional=True),
    "count": step("parameter_input", parameter_type="integer", default=1, min=0, max=9),
    "share": step("parameter_input", parameter_type="float", default=0.5,
                  validators=[{"type": "in_range", "min": "0", "max": "1"}]),
    "flag": step("parameter_input", parameter_type="boolean", default=False),
    "paint": step("parameter_input", parameter_type="color", optional=True),
    "choice": step("parameter_input", parameter_type="text", optional=True, restrictions=["a", {"value": "b"}]),
    "a = b": step("data_input", optional=True),
    "deep": step("data_collection_input", collection_type="list:list", optional=True),
}
WORKFLOW = {"id": "w", "name": "n", "ids": {}, "steps": {str(number): about for number, about in enumerate(INPUTS.values())},
            "inputs": {str(number): {"label": label, "uuid": f"u{number}"} for number, label in enumerate(INPUTS)}}
INDEX = {label: str(number) for number, label in enumerate(INPUTS)}


@pytest.fixture
def files(tmp_path):
    for name in ("a.fastq.gz", "b.fastq.gz", "s1_R1.fastq.gz", "s1_R2.fastq.gz", "s2_R1.fastq.gz", "s2_R2.fastq.gz", "a.bed",
                 "b.bed", "plain"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def galaxy(requests_mock):
    there = {"datasets/d1": {"id": "d1", "name": "one.bed", "state": "ok", "deleted": False},
             "datasets/d2": {"id": "d2", "name": "two.bed", "state": "ok", "deleted": False},
             "datasets/gone": {"id": "gone", "name": "x", "state": "ok", "deleted": True},
             "datasets/bad": {"id": "bad", "name": "x", "state": "error", "deleted": False},
             "dataset_collections/c1": {"id": "c1", "name": "c", "collection_type": "list", "populated_state": "ok"},
             "dataset_collections/c2": {"id": "c2", "name": "c", "collection_type": "list:paired", "populated_state": "ok"},
             "libraries": [{"id": "lab", "name": "Lab", "deleted": False, "root_folder_id": "F1"}],
             "folders/F1/contents": {"metadata": {"total_rows": 1}, "folder_contents": [
                 {"id": "F2", "type": "folder", "name": "in"}]},
             "folders/F2/contents": {"metadata": {"total_rows": 1}, "folder_contents": [
                 {"id": "ld1", "type": "file", "name": "a.bed", "state": "ok", "deleted": False}]}}
    for path, answer in there.items():
        requests_mock.get(f"{URL}/api/{path}", json=answer)
    requests_mock.get(f"{URL}/api/datasets/none", status_code=404, json={"err_msg": "no such dataset"})
    requests_mock.get(f"{URL}/api/datasets/12", status_code=400, json={"err_msg": "Value error, Invalid id length"})
    requests_mock.get(f"{URL}/api/histories/h/contents", json=[
        {"id": "d1", "hid": 3, "name": "one.bed", "history_content_type": "dataset", "deleted": False, "state": "ok"},
        {"id": "c1", "hid": 4, "name": "c", "history_content_type": "dataset_collection", "deleted": False,
         "collection_type": "list", "populated_state": "ok"}])
    return Galaxy(KEY, URL)


@pytest.fixture
def given(galaxy):
    """`given(words)`: what is made of the words; `{label: value}` in `.by_label`."""
    def take(*words, job=None, history="", whole=False):
        made = Given(galaxy, WORKFLOW, history)
        made.take_words([str(word) for word in words])
        if job:
            made.take_job(str(job))
        if whole:
            made.look_for_missing()
        made.by_label = {label: made.values[index] for label, index in INDEX.items() if index in made.values}
        return made
    return take


def shape(value):
    """A value without its files' particulars: names for what is uploaded, ids for what is there."""
    if isinstance(value, Leaf):
        return value.ref or value.name
    if isinstance(value, Group):
        return {value.type: {name: shape(inside) for name, inside in value.elements}}
    return value


# ------------------------------------------------------------------------------------------------------------- words

@pytest.mark.parametrize("name", ["reads", "0", "u0"])
def test_an_input_by_label_index_and_uuid(given, files, name):
    made = given(f"{name}={files}/a.fastq.gz")
    [leaf] = leaves(made.by_label["reads"])
    assert made.problems == [] and (leaf.source.name, leaf.source.ext) == ("a.fastq.gz", "fastqsanger.gz")


def test_a_name_and_a_value_with_equals_signs(given, files):
    (files / "x=y").write_text("z")
    made = given(f"a = b={files}/x=y", "word=1=2")
    assert made.problems == [] and shape(made.by_label["a = b"]) == "x=y" and made.by_label["word"] == "1=2"


def test_the_datatype_that_the_input_takes_where_the_name_tells_none(given, files):
    [leaf] = leaves(given(f"reads={files}/plain").by_label["reads"])
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
    [leaf] = leaves(given("reads=https://example.org/x/a.fastq.gz").by_label["reads"])
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
    ("choice=c", "input choice: 'c' is none of a, b"),
    ("count=hda:d1", "input count: it is a parameter (integer), and takes no dataset"),
    ("reads=", "input reads: its value is empty: is a variable unset?"),
    ("reads=hda:none", "input reads: hda:none: no such dataset"),
    ("reads=hda:12", "input reads: hda:12: no id of anything there"),
    ("reads=hda:gone", "input reads: hda:gone: is deleted"),
    ("reads=hda:bad", "input reads: hda:bad: is in state error"),
    ("reads=hda:../x", "input reads: hda:../x: no id"),
    ("reads=hid:3", "input reads: hid:3: a number wants a history that is there: --history=ID"),
    ("reads=lib:/Lab/none", "input reads: lib:/Lab/none: the library has nothing of that name"),
    ("reads=lib:/Lab/none/x", "input reads: lib:/Lab/none/x: the library has nothing of that name"),
    ("reads=lib:/None/x", "input reads: lib:/None/x: there is no library 'None'"),
    ("reads=lib:/Lab", "input reads: lib:/Lab: lib:/LIBRARY/FOLDER/NAME is wanted"),
    ("pair=hdca:c1", "input pair: hdca:c1 is a collection of type list, and it takes paired"),
    ("deep={files}/*.bed", "input deep: it takes a collection of type list:list, which hdca:ID or a job file can give"),
    ("beds={files}/*.nothing", "input beds: {files}/*.nothing: no such file"),
    ("pairs={files}/*.bed", "input pairs: not in pairs: a.bed (no _R1 or _R2 at its end), b.bed (no _R1 or _R2 at its end)"),
])
def test_what_is_wrong(given, files, word, problem):
    assert given(word.format(files=files)).problems == [problem.format(files=files)]


def test_a_collection_takes_nothing_beside_it(given):
    assert given("beds=hdca:c1", "beds=hda:d1").problems == [
        "input beds: hdca:c1 is a collection, and takes nothing beside it"]


def test_two_elements_of_one_name(given, files):
    (files / "other").mkdir()
    (files / "other" / "a.bed").write_text("x")
    [problem] = given(f"beds={files}/a.bed", f"beds={files}/other/a.bed").problems
    assert "both would be 'a' in the collection" in problem and f"{files}/other/a.bed" in problem


def test_all_problems_and_what_is_missing_at_once(given):
    made = given("word=a", "word=b", "x=1", whole=True)
    assert made.problems == ["there is no input 'x'", "input word: given 2 times, and it takes one value",
                             "input reads: is missing: reads=VALUE gives it a file, URL or hda:ID",
                             "input beds: is missing: beds=VALUE gives it files, a folder or hdca:ID"]


def test_a_label_of_two_lines_is_told_in_one(given, monkeypatch):
    monkeypatch.setitem(WORKFLOW["inputs"], INDEX["reads"], {"label": "two\nlines", "uuid": "u0"})
    assert given("beds=hdca:c1", whole=True).problems == [
        "input two lines: is missing: two lines=VALUE gives it a file, URL or hda:ID"]


def test_what_is_wrong_is_not_told_as_missing_too(given):
    made = given("reads=hda:gone", "beds=hdca:c1", whole=True)
    assert made.problems == ["input reads: hda:gone: is deleted"]


# --------------------------------------------------------------------------------------------------------- job files

def job(files, content):
    (files / "job.yml").write_text(content if isinstance(content, str) else json.dumps(content))
    return files / "job.yml"


def test_a_job_file(given, files):
    digest = hashlib.sha256(b"a.bed").hexdigest()
    made = given(job=job(files, f"""
reads: {{class: File, path: a.fastq.gz, name: mine, dbkey: hg38, tags: [one, two], filetype: fastqsanger.gz}}
beds:
  class: Collection
  collection_type: list
  elements:
  - {{class: File, identifier: first, path: a.bed, hashes: [{{hash_function: SHA-256, hash_value: {digest}}}]}}
  - {{class: File, identifier: second, location: "https://example.org/b.bed"}}
  - {{class: File, identifier: third, contents: "chr1\\t1\\n", filetype: bed}}
count: 3
words: [a, b]
pair: null
"""))
    assert made.problems == []
    [reads] = leaves(made.by_label["reads"])
    assert (reads.source.name, reads.source.ext, reads.dbkey, reads.tags) == (
        "mine", "fastqsanger.gz", "hg38", ("one", "two"))
    assert [name for name, _ in made.by_label["beds"].elements] == ["first", "second", "third"]
    third = made.by_label["beds"].elements[2][1]
    assert Path(third.source.path).read_text() == "chr1\t1\n" and third.source.ext == "bed"
    assert (made.by_label["count"], made.by_label["words"], "pair" in made.by_label) == (3, ["a", "b"], False)


def test_the_same_contents_are_the_same_file(given, files):
    """So that a run that was killed is gone on with."""
    places = [given(job=job(files, {"reads": {"class": "File", "contents": "x"}})).by_label["reads"].place for _ in range(2)]
    assert places[0] == places[1]


def test_nested_collections_and_ids(given, files):
    pair = {"class": "Collection", "type": "paired", "identifier": "s 1", "elements": [
        {"class": "File", "identifier": "forward", "path": "s1_R1.fastq.gz"},
        {"class": "File", "identifier": "reverse", "galaxy_id": "d2"}]}
    deep = {"class": "Collection", "collection_type": "list:list", "elements": [
        {"class": "Collection", "identifier": "outer", "elements": [{"class": "File", "path": "a.bed"}]}]}
    made = given(job=job(files, {"pairs": {"class": "Collection", "collection_type": "list:paired", "elements": [pair]},
                                 "reads": {"class": "File", "galaxy_id": "d1"}, "deep": deep,
                                 "beds": {"class": "Collection", "galaxy_id": "c1"}}))
    assert made.problems == []
    assert {label: shape(value) for label, value in made.by_label.items()} == {
        "pairs": {"list:paired": {"s 1": {"paired": {"forward": "s1_R1.fastq.gz", "reverse": {"src": "hda", "id": "d2"}}}}},
        "reads": {"src": "hda", "id": "d1"}, "beds": {"src": "hdca", "id": "c1"},
        "deep": {"list:list": {"outer": {"list": {"a": "a.bed"}}}}}


def test_a_list_of_files_is_mapped_over(given, files):
    made = given(job=job(files, {"reads": [{"class": "File", "path": f"{name}.fastq.gz"} for name in "ab"]}))
    assert shape(made.by_label["reads"]) == {"list": {"a": "a.fastq.gz", "b": "b.fastq.gz"}}


def test_files_of_tests(given, files):
    one, two = {"doc": "x", "job": {"word": "one"}, "outputs": {}}, {"doc": "y", "job": {"word": "two"}, "outputs": {}}
    assert given(job=job(files, [one])).by_label == {"word": "one"}
    assert given(job=f"{job(files, [one, two])}#2").by_label == {"word": "two"}
    with pytest.raises(Exception, match="has 2 tests: .*#1 is the first"):
        given(job=job(files, [one, two]))
    (files / "inner.yml").write_text("word: three\n")
    assert given(job=job(files, [{"job": "inner.yml"}])).by_label == {"word": "three"}


@pytest.mark.parametrize("content, problem", [
    ({"nosuch": 1}, "there is no input 'nosuch'"),
    ({"word": "todo_param_value"}, "input word: todo_param_value is a placeholder: fill it in"),
    ({"reads": {"class": "File", "path": "todo_test_data_path.ext"}},
     "input reads: todo_test_data_path.ext is a placeholder: fill it in"),
    ({"beds": {"class": "Collection", "elements": [{"class": "File", "identifier": "todo_element_name", "path": "a.bed"}]}},
     "input beds: todo_element_name is a placeholder: fill it in"),
    ({"beds": "todo_param_value"}, "input beds: todo_param_value is a placeholder: fill it in"),
    ({"reads": {"class": "File", "location": "data/todo_test_data_path_forward.ext"}},
     "input reads: data/todo_test_data_path_forward.ext is a placeholder: fill it in"),
    ({"reads": {"class": "File", "path": "none.bed"}}, "input reads: {files}/none.bed: No such file or directory"),
    ({"reads": {"class": "File"}}, "input reads: class: File wants path, location, contents or galaxy_id"),
    ({"reads": {"class": "File", "path": "a.bed", "composite_data": []}},
     "input reads: class: File has composite_data, which is not understood here"),
    ({"reads": {"class": "Directory", "path": "."}}, "input reads: class: Directory: File and Collection are known"),
    ({"reads": "a.bed"}, "input reads: it takes a dataset: class: File"),
    ({"beds": {"class": "File", "path": "a.bed"}}, "input beds: it takes a collection: class: Collection"),
    ({"beds": {"class": "Collection", "elements": "x"}},
     "input beds: class: Collection wants elements, a list of File or Collection"),
    ({"beds": {"class": "Collection", "elements": [{"class": "File", "path": "a.bed"}, {"class": "File", "path": "a.bed"}]}},
     "input beds: the elements want an identifier each, and there are a, a"),
    ({"pair": {"class": "Collection", "collection_type": "paired", "elements": [
        {"class": "File", "identifier": way, "path": "a.bed"} for way in ("left", "right")]}},
     "input pair: the elements of a pair are forward and reverse, not left, right"),
    ({"pair": {"class": "Collection", "collection_type": "list", "elements": [{"class": "File", "path": "a.bed"}]}},
     "input pair: it is a collection of type list, and it takes paired"),
    ({"reads": {"class": "File", "path": "a.bed", "hashes": [{"hash_function": "MD5", "hash_value": "0"}]}},
     "input reads: {files}/a.bed: its MD5 is MD5SUM, not 0"),
    ({"word": {"class": "File", "path": "a.bed"}}, "input word: it is a parameter (text), and takes no file"),
    ({"word": ["a", "b"]}, "input word: it takes one value, not a list"),
    ({"reads": {"class": "File", "path": "a.bed", "hashes": ["x"]}},
     "input reads: hashes: a list of hash_function and hash_value is wanted"),
    ({"reads": {"class": "Collection", "collection_type": "lists", "elements": []}},
     "input reads: collection_type: lists: there are list, paired, list:paired and their like"),
    ({"reads": {"class": "Collection", "elements": [{"class": "Collection", "elements": []}]}},
     "input reads: the elements want an identifier each, and there are none"),
])
def test_what_is_wrong_with_a_job(given, files, content, problem):
    digest = hashlib.md5(b"a.bed").hexdigest()
    problem = problem.format(files=files).replace("MD5SUM", digest)
    assert given(job=job(files, content)).problems == [problem]


def test_a_text_that_only_looks_like_a_placeholder(given, files):
    assert given(job=job(files, {"word": "todo_tomorrow"})).by_label == {"word": "todo_tomorrow"}


@pytest.mark.parametrize("text, words", [
    ("word: a\nlimit: 1\nword: b\n", "line 3: 'word' is given twice"),
    ("reads: &a {class: File, path: x,\n path: y}\nbed: *a\n", "line 2: 'path' is given twice"),
    ("word: &a [*a]\n&b word: *b\n", "line 2: 'word' is given twice"),
    ("- 1\n- 2\n", "no job file"), ("a: [", "neither YAML nor JSON, line"), ("text", "no job file")])
def test_what_is_no_job(given, files, text, words):
    with pytest.raises(Exception, match=words):
        given(job=job(files, text))


def test_an_input_in_words_and_in_the_job(given, files):
    assert given("word=a", job=job(files, {"word": "b"})).problems == ["input word: given twice"]
