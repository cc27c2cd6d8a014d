"""Job files in planemo's form: parsed, checked against the workflow, and all problems reported at once."""
import hashlib
import json
from pathlib import Path

import pytest
from fakes.workflow_inputs import files, galaxy, parse, shape

from galaxy_api_scripts.workflows.inputs import iter_datasets

__all__ = ["files", "galaxy", "parse"]      # fixtures


def job(files, content):
    (files / "job.yml").write_text(content if isinstance(content, str) else json.dumps(content))
    return files / "job.yml"


def test_a_job_file_has_files_collections_and_parameters(parse, files):
    digest = hashlib.sha256(b"a.bed").hexdigest()
    values = parse(job=job(files, f"""
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
    assert values.problems == []
    [reads] = iter_datasets(values.by_label["reads"])
    assert (reads.source.name, reads.source.ext, reads.dbkey, reads.tags) == (
        "mine", "fastqsanger.gz", "hg38", ("one", "two"))
    assert [name for name, _ in values.by_label["beds"].elements] == ["first", "second", "third"]
    third = values.by_label["beds"].elements[2][1]
    assert Path(third.source.path).read_text() == "chr1\t1\n" and third.source.ext == "bed"
    assert (values.by_label["count"], values.by_label["words"], "pair" in values.by_label) == (3, ["a", "b"], False)


def test_equal_contents_are_one_file(parse, files):
    """So that a run that was killed is resumed, and uploads nothing twice."""
    places = [parse(job=job(files, {"reads": {"class": "File", "contents": "x"}})).by_label["reads"].place for _ in range(2)]
    assert places[0] == places[1]


def test_nested_collections_and_ids(parse, files):
    pair = {"class": "Collection", "type": "paired", "identifier": "s 1", "elements": [
        {"class": "File", "identifier": "forward", "path": "s1_R1.fastq.gz"},
        {"class": "File", "identifier": "reverse", "galaxy_id": "d2"}]}
    deep = {"class": "Collection", "collection_type": "list:list", "elements": [
        {"class": "Collection", "identifier": "outer", "elements": [{"class": "File", "path": "a.bed"}]}]}
    values = parse(job=job(files, {"pairs": {"class": "Collection", "collection_type": "list:paired", "elements": [pair]},
                                 "reads": {"class": "File", "galaxy_id": "d1"}, "deep": deep,
                                 "beds": {"class": "Collection", "galaxy_id": "c1"}}))
    assert values.problems == []
    assert {label: shape(value) for label, value in values.by_label.items()} == {
        "pairs": {"list:paired": {"s 1": {"paired": {"forward": "s1_R1.fastq.gz", "reverse": {"src": "hda", "id": "d2"}}}}},
        "reads": {"src": "hda", "id": "d1"}, "beds": {"src": "hdca", "id": "c1"},
        "deep": {"list:list": {"outer": {"list": {"a": "a.bed"}}}}}


def test_a_list_of_files_for_an_input_of_one_dataset_makes_a_list(parse, files):
    values = parse(job=job(files, {"reads": [{"class": "File", "path": f"{name}.fastq.gz"} for name in "ab"]}))
    assert shape(values.by_label["reads"]) == {"list": {"a": "a.fastq.gz", "b": "b.fastq.gz"}}


def test_a_planemo_test_file_is_a_job_file(parse, files):
    one, two = {"doc": "x", "job": {"word": "one"}, "outputs": {}}, {"doc": "y", "job": {"word": "two"}, "outputs": {}}
    assert parse(job=job(files, [one])).by_label == {"word": "one"}
    assert parse(job=f"{job(files, [one, two])}#2").by_label == {"word": "two"}
    with pytest.raises(Exception, match="has 2 tests: choose one, the first by .*#1"):
        parse(job=job(files, [one, two]))
    (files / "inner.yml").write_text("word: three\n")
    assert parse(job=job(files, [{"job": "inner.yml"}])).by_label == {"word": "three"}


PAIR = [{"class": "File", "identifier": name, "path": "a.bed"} for name in "ab"]


def test_a_record_has_the_fields_of_its_input(parse, files):
    named = [{**element, "identifier": name} for element, name in zip(PAIR, ("right", "left"))]
    both = parse(job=job(files, {"both": {"class": "Collection", "elements": named}})).by_label["both"]
    assert [name for name, _ in both.elements] == ["left", "right"]
    assert both.extras == {"fields": [{"name": "left", "type": "File"}, {"name": "right", "type": "File"}]}


def test_the_rows_of_a_sample_sheet_have_the_types_of_their_columns(parse, files):
    values = parse(job=job(files, """
sheet:
  class: Collection
  elements: [{class: File, identifier: a, path: a.bed}, {class: File, identifier: b, path: a.bed}]
  rows: {a: [3, NO], b: [05, null]}
reads:
  class: Collection
  collection_type: sample_sheet
  elements: [{class: File, identifier: "1", path: a.bed}]
  column_definitions:
  - {name: ok, type: boolean, optional: false}
  - {name: share, type: float, optional: true, default_value: 1}
  rows: {1: [NO, ~]}
"""))
    assert values.problems == []
    sheet, reads = (values.by_label[label].extras for label in ("sheet", "reads"))
    assert sheet["rows"] == {"a": [3, "NO"], "b": [5, None]} and sheet["column_definitions"][0]["name"] == "dose"
    assert reads["rows"] == {"1": [False, 1.0]}
    assert [(column["optional"], column.get("default_value")) for column in reads["column_definitions"]] == [
        (False, None), (True, 1.0)]


@pytest.mark.parametrize("scalar", ["NO", "1:50", "010", "1.10", "0x1F", "1_000", "2026-01-02", "true", ".inf", "1e3", "on"])
def test_a_scalar_of_yaml_reaches_a_text_as_it_stands(parse, files, scalar):
    """In a list, as an element's or a file's name, as a tag, too."""
    values = parse(job=job(files, f"""
word: {scalar}
words: [{scalar}, b]
reads: {{class: File, path: a.fastq.gz, name: {scalar}, tags: [name:{scalar}]}}
beds: {{class: Collection, elements: [{{class: File, identifier: {scalar}, path: a.bed}}]}}
"""))
    assert values.problems == []
    assert (values.by_label["word"], values.by_label["words"]) == (scalar, [scalar, "b"])
    assert (values.by_label["reads"].name, values.by_label["reads"].tags) == (scalar, (f"name:{scalar}",))
    assert values.by_label["beds"].elements[0][0] == scalar


@pytest.mark.parametrize("text, value", [
    ("count: 010", "input count: 10 is not within 0 to 9"), ("count: 7", 7), ("share: 1e-1", .1), ("share: .5", .5),
    ("flag: NO", False), ("flag: on", True),
    ('{"share": 0.5}', .5), ('{"flag": true}', True), ("word: null", None), ("word: ~", None), ("word: ''", ""),
    ('"010": x', "there is no input '010'"), ("NO: x", "there is no input 'NO'"),
    ("count: 0x1F", "input count: '0x1F' is not an integer"), ("count: 1_0", "input count: '1_0' is not an integer"),
    ("count: 1:5", "input count: '1:5' is not an integer"), ("count: true", "input count: 'true' is not an integer"),
    ("share: 1_0", "input share: '1_0' is not a float"), ("share: .nan", "input share: '.nan' is not a float"),
    ("share: NaN", "input share: 'NaN' is not a float"), ("share: 1e999", "input share: '1e999' is not a float"),
    ("flag: 2", "input flag: its value: '2' is neither true nor false"),
    ("!!int '3'", "not a job file")])
def test_a_scalar_of_yaml_is_a_number_or_a_truth_value_where_the_input_is_one(parse, files, text, value):
    if value == "not a job file":
        with pytest.raises(Exception, match=value):
            parse(job=job(files, text))
        return
    values = parse(job=job(files, text))
    assert (values.problems or list(values.by_label.values()) or [None]) == [value]
    assert type((values.problems or list(values.by_label.values()) or [None])[0]) is type(value)


def test_a_file_of_tests_as_iwc_has_them(parse, files):
    """URLs as path or location, hashes of them for Galaxy to compare, a nested pair, a key twice in the asserts."""
    values = parse(job=job(files, """
- doc: Test outline
  job:
    word: 1.10
    flag: false
    reads:
      class: File
      path: https://zenodo.test/records/1/files/Forward%20reads.fastqsanger.gz?download=1
      hashes:
      - {hash_function: SHA-1, hash_value: ABCDEF0123456789}
    pairs:
      class: Collection
      collection_type: list:paired
      elements:
      - class: Collection
        type: paired
        identifier: 010
        elements:
        - {identifier: forward, class: File, location: "ftp://ebi.test/r1.fastq.gz", filetype: fastqsanger.gz, dbkey: hg38}
        - {identifier: reverse, class: File, location: "file://{files}/s1_R2.fastq.gz"}
  outputs:
    report:
      asserts:
        has_text: {text: "a"}
        has_text: {text: "b"}
""".replace("{files}", str(files))))
    assert values.problems == []
    [reads] = iter_datasets(values.by_label["reads"])
    assert (reads.source.hashes, reads.source.ext) == ((("SHA-1", "abcdef0123456789"),), "fastqsanger.gz")
    assert shape(values.by_label["pairs"])["list:paired"] == {"010": {"paired": {
        "forward": "r1.fastq.gz", "reverse": "s1_R2.fastq.gz"}}}
    assert (values.by_label["word"], values.by_label["flag"]) == ("1.10", False)


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
    ({"reads": {"class": "File"}}, "input reads: class: File needs path, location, contents, composite_data or galaxy_id"),
    ({"reads": {"class": "File", "path": "a.bed", "secondaryFiles": []}},
     "input reads: class: File has secondaryFiles, which this script does not know"),
    ({"reads": {"class": "File", "filetype": "bed", "composite_data": ["a.bed"]}},
     "input reads: filetype=bed: not a datatype of several files"),
    ({"reads": {"class": "File", "filetype": "imzml", "composite_data": ["a.imzML"]}},
     "input reads: filetype=imzml: its files are imzml, ibd, extra (optional); here is a.imzML and there is none for ibd"),
    *(({"reads": {"class": "File", "filetype": "imzml", "composite_data": ["a.imzML", "a.ibd"], key: given}},
       f"input reads: {key} is not for composite_data: Galaxy fetches, keeps and checks its files as they are")
      for key, given in (("deferred", True), ("decompress", "yes"), ("hashes", [{"hash_value": "0"}]))),
    ({"reads": {"class": "File", "filetype": "imzml", "composite_data": ["a.imzML", "a.ibd"], "metadata": "foo"}},
     "input reads: metadata: expected NAME: VALUE for each"),
    ({"reads": {"class": "File", "path": "a.bed", "metadata": {"base": "x"}}},
     "input reads: metadata is for composite_data only: of one file, Galaxy finds it out itself"),
    ({"reads": {"class": "File", "filetype": "imzml", "path": "a.imzML"}},
     "input reads: filetype=imzml: a datatype of several files in one (imzml, ibd, extra): composite_data names them in a "
     "job file, and dataset_upload.py --ext=imzml makes one dataset of its files"),
    ({"reads": {"class": "File", "path": "a.bed", "deferred": True}},
     "input reads: a.bed: deferred is for what Galaxy can fetch: a URL"),
    ({"reads": {"class": "File", "path": "a.bed", "decompress": "perhaps"}},
     "input reads: decompress: 'perhaps' is neither true nor false"),
    ({"reads": {"class": "File", "path": "lib:/Lab/in/none.bed"}},
     "input reads: lib:/Lab/in/none.bed: the library has nothing with that name"),
    ({"reads": {"class": "File", "paht": "a.bed"}},
     "input reads: class: File has paht, which this script does not know: did you mean path?"),
    ({"beds": {"class": "Collection", "colection_type": "list", "elements": []}},
     "input beds: class: Collection has colection_type, which this script does not know: did you mean collection_type?"),
    ({"beds": {"elements": [{"class": "Collection", "elments": [], "identifier": "x"}]}},
     "input beds: class: Collection has elments, which this script does not know: did you mean elements?"),
    ({"both": {"class": "Collection", "elements": PAIR}},
     "input both: the elements of the record are left, right, not a, b"),
    ({"both": {"class": "Collection", "collection_type": "list:record", "elements": []}},
     "input both: a collection of type list:record can't be made here: make it in Galaxy and give it as galaxy_id: ID"),
    ({"sheet": {"class": "Collection", "elements": PAIR}}, "input sheet: rows: expected values for each of a, b"),
    ({"sheet": {"class": "Collection", "elements": PAIR, "rows": {"a": ["1", "x"]}}},
     "input sheet: rows: expected values for each of a, b"),
    ({"sheet": {"class": "Collection", "elements": PAIR, "rows": {"a": ["1"], "b": ["1", "x"]}}},
     "input sheet: rows: a: expected 2 values: dose, note"),
    ({"sheet": {"class": "Collection", "elements": PAIR, "rows": {"a": ["1", "x"], "b": ["1_0", "x"]}}},
     "input sheet: rows: b: dose: '1_0' is not an integer"),
    ({"sheet": {"class": "Collection", "elements": PAIR, "rows": {"a": ["10", "x"], "b": ["1", "x"]}}},
     "input sheet: rows: a: dose: 10 is not within 0 to 9"),
    ({"sheet": {"class": "Collection", "elements": PAIR, "rows": {"a": [None, "x"], "b": ["1", "x"]}}},
     "input sheet: rows: a: dose is empty"),
    *(({"sheet": {"class": "Collection", "elements": PAIR, "rows": {"a": ["1"], "b": ["2"]},
                  "column_definitions": [{"name": "x", "type": "int", "validators": [validator]}]}},
       f"input sheet: x: validators: expected a type with min and max, or with an expression, not {validator}")
      for validator in ("in_range", {"type": "in_range", "min": "low"}, {"type": "regex"})),
    ({"beds": {"class": "Collection", "elements": PAIR, "rows": {}, "column_definitions": [{"name": "x"}]}},
     "input beds: a collection of type list has no rows: collection_type: sample_sheet has"),
    ({"reads": {"class": "File", "path": "a.bed", "dbkey": "hg83"}},
     "input reads: dbkey=hg83: no reference genome of http://galaxy.test: display.py - /api/genomes shows them"),
    ({"reads": {"class": "File", "path": "a.bed", "tags": ["one", "two words"]}},
     "input reads: tags=two words: expected a word without spaces and commas, or NAME:VALUE"),
    ({"reads": {"class": "Directory", "path": "."}}, "input reads: class: Directory: expected File or Collection"),
    ({"reads": "none.bed"}, "input reads: {files}/none.bed: No such file or directory"),
    ({"reads": 3}, "input reads: {files}/3: No such file or directory"),
    ({"reads": {"galaxy_id": "lib:/Lab/in/none.bed"}},
     "input reads: galaxy_id: lib:/Lab/in/none.bed: the library has nothing with that name"),
    ({"beds": {"class": "File", "path": "a.bed"}}, "input beds: takes a collection: class: Collection"),
    ({"beds": {"class": "Collection", "elements": "x"}},
     "input beds: class: Collection needs elements, a list of File or Collection"),
    ({"beds": {"class": "Collection", "elements": [{"class": "File", "path": "a.bed"}, {"class": "File", "path": "a.bed"}]}},
     "input beds: each element needs an identifier of its own; they have a, a"),
    ({"pair": {"class": "Collection", "collection_type": "paired", "elements": [
        {"class": "File", "identifier": way, "path": "a.bed"} for way in ("left", "right")]}},
     "input pair: the elements of a pair are forward and reverse, not left, right"),
    ({"pair": {"class": "Collection", "collection_type": "list", "elements": [{"class": "File", "path": "a.bed"}]}},
     "input pair: it is a collection of type list, and the input takes paired"),
    ({"reads": {"class": "File", "path": "a.bed", "hashes": [{"hash_function": "MD5", "hash_value": "0"}]}},
     "input reads: {files}/a.bed: its MD5 is MD5SUM, not 0"),
    ({"word": {"class": "File", "path": "a.bed"}}, "input word: is a parameter (text) and takes a value, not a file"),
    ({"word": ["a", "b"]}, "input word: takes one value, not a list"),
    ({"reads": {"class": "File", "path": "a.bed", "filetype": "beds"}},
     "input reads: filetype=beds: no datatype of http://galaxy.test: display.py - /api/datatypes shows them"),
    ({"reads": {"class": "File", "path": "a.bed", "hashes": ["x"]}},
     "input reads: hashes: expected a list of hash_function and hash_value"),
    ({"reads": {"class": "Collection", "collection_type": "lists", "elements": []}},
     "input reads: collection_type: lists: expected list, paired, list:paired or another of Galaxy's"),
    ({"reads": {"class": "Collection", "elements": [{"class": "Collection", "elements": []}]}},
     "input reads: each element needs an identifier of its own; they have none"),
])
def test_each_problem_has_its_own_message(parse, files, content, problem):
    digest = hashlib.md5(b"a.bed").hexdigest()
    problem = problem.replace("{files}", str(files)).replace("MD5SUM", digest)
    assert parse(job=job(files, content)).problems == [problem]


def test_a_composite_dataset_has_its_files_in_the_order_of_its_datatype(parse, files):
    values = parse(job=job(files, {"reads": {"class": "File", "filetype": "imzml", "name": "scan", "metadata": {"base": "x"},
                                             "composite_data": ["a.ibd", {"class": "File", "path": "a.imzML"}]}}))
    assert values.problems == []
    [reads] = iter_datasets(values.by_label["reads"])
    assert reads.source.local_paths == [f"{files}/a.imzML", f"{files}/a.ibd"]
    assert (reads.source.name, reads.source.ext, reads.source.metadata) == ("scan", "imzml", (("base", "x"),))


def test_a_test_of_planemos_may_have_metadata_of_one_file(parse, files, capsys):
    values = parse(job=job(files, [{"job": {"reads": {"class": "File", "path": "a.bed", "metadata": {"base": "x"}}},
                                    "outputs": {}}]))
    assert values.problems == [] and shape(values.by_label["reads"]) == "a.bed"
    assert "warning: metadata is for composite_data only" in capsys.readouterr().err


def test_what_galaxy_fetches_later_and_what_it_decompresses(parse, files):
    values = parse(job=job(files, f"""
reads: {{class: File, location: "https://example.org/a.fastq.gz", deferred: true}}
a = b: {{class: File, path: "file://{files}/a.fastq.gz", format: "", decompress: yes}}
"""))
    assert values.problems == []
    reads, other = (values.by_label[label].source for label in ("reads", "a = b"))
    assert (reads.deferred, reads.decompress, reads.ext) == (True, False, "fastqsanger.gz")
    assert (other.deferred, other.decompress, other.ext) == (False, True, "fastqsanger")


def test_data_of_galaxy_is_named_as_on_a_command_line(parse, files):
    """As the value itself, as galaxy_id, path or location, and as an element."""
    values = parse(job=job(files, """
reads: lib:/Lab/in/a.bed
a = b: {class: File, galaxy_id: "hda:d1"}
pair: {class: Collection, elements: [{class: File, location: "hda:d1"}, {class: File, path: "lib:/Lab/in/a.bed"}]}
beds: [a.bed, "hda:d2"]
pairs: hdca:c2
"""))
    assert values.problems == []
    assert {label: shape(value) for label, value in values.by_label.items()} == {
        "reads": {"src": "ld", "id": "ld1"}, "a = b": {"src": "hda", "id": "d1"}, "pairs": {"src": "hdca", "id": "c2"},
        "pair": {"paired": {"forward": {"src": "hda", "id": "d1"}, "reverse": {"src": "ld", "id": "ld1"}}},
        "beds": {"list": {"a": "a.bed", "two": {"src": "hda", "id": "d2"}}}}


def test_a_record_may_be_in_planemos_short_form(parse, files):
    both = parse(job=job(files, {"both": {name: {"class": "File", "path": "a.bed"} for name in ("right", "left")}}))
    assert shape(both.by_label["both"]) == {"record": {"left": "a.bed", "right": "a.bed"}}


def test_what_planemo_passes_over_in_a_file_of_tests_is_told(parse, files, capsys):
    values = parse(job=job(files, [{"doc": "x", "outputs": {}, "job": {
        "reads": {"class": "File", "location": "a.fastq.gz", "path": "none", "info": "x"}}}]))
    assert values.problems == [] and values.by_label["reads"].name == "a.fastq.gz"
    assert "warning: class: File has info, which this script does not know: it is passed over" in capsys.readouterr().err


def test_a_text_that_resembles_a_placeholder_is_taken(parse, files):
    assert parse(job=job(files, {"word": "todo_tomorrow"})).by_label == {"word": "todo_tomorrow"}


@pytest.mark.parametrize("text, words", [
    ("word: a\nlimit: 1\nword: b\n", "line 3: 'word' is given twice"),
    ("reads: &a {class: File, path: x,\n path: y}\nbed: *a\n", "line 2: 'path' is given twice"),
    ("word: &a [*a]\n&b word: *b\n", "line 2: 'word' is given twice"),
    ("- job: {word: a, word: b}\n", "line 1: 'word' is given twice"),
    ("- 1\n- 2\n", "not a job file"), ("a: [", "neither YAML nor JSON, line"), ("text", "not a job file")])
def test_a_file_that_is_not_a_job_is_refused(parse, files, text, words):
    with pytest.raises(Exception, match=words):
        parse(job=job(files, text))


def test_an_input_in_words_and_in_the_job_file_is_given_twice(parse, files):
    assert parse("word=a", job=job(files, {"word": "b"})).problems == ["input word: given twice"]
