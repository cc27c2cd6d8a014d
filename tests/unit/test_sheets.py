"""Sample sheets, as tables and as nf-core and Illumina write them: reading, the inputs they give, and their problems."""
import gzip
import io
import os
import re
import sys
from types import SimpleNamespace

import pytest
from fakes.workflow_inputs import INDEX, WORKFLOW, files, galaxy, shape, step

from common import USAGE, GalaxyError
from galaxy_api_scripts.batch.sample_sheet import read_sheet
from galaxy_api_scripts.batch.sheet_inputs import SheetInputs, parse_column_map
from galaxy_api_scripts.datasets.lanes import Lanes

__all__ = ["files", "galaxy"]       # fixtures

NEEDED = ("reads=hda:d1", "beds=hdca:c1")       # what the workflow of workflow_inputs can't be without


def workflow(**inputs):
    """A workflow of `label=step(...)`."""
    return {"id": "w", "name": "n", "steps": {str(number): about for number, about in enumerate(inputs.values())},
            "inputs": {str(number): {"label": label, "uuid": f"u{number}"} for number, label in enumerate(inputs)}}


def collection(kind, **about):
    return workflow(reads=step("data_collection_input", **({"collection_type": kind} if kind else {}), **about))


TWO = workflow(left=step("data_input"), right=step("data_input", optional=True))


@pytest.fixture
def sheet(tmp_path):
    """`sheet(text)`: the sheet with that text, which may be bytes."""
    def write(text, fastq=None):
        path = tmp_path / "sheet.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_sheet(str(path), fastq)
    return write


def row_values(one, galaxy, work=WORKFLOW, mapping=None, constants=()):
    """`{sample: {label: value}}` of a sheet without problems."""
    made = {row.sample: {about["label"]: shape(row.inputs.values[index]) for index, about in work["inputs"].items()
                         if index in row.inputs.values}
            for row in SheetInputs(one, galaxy, work, mapping, constants).fill_rows()}
    assert one.problems == []
    return made


def problems_of(one, galaxy, work=WORKFLOW, mapping=None, constants=()):
    """The problems of a sheet once its rows are filled in: (row, sample, column, problem)."""
    SheetInputs(one, galaxy, work, mapping, constants).fill_rows()
    return [tuple(problem.values()) for problem in one.problems]


def a_pair(name):
    return {"paired": {"forward": f"{name}_R1.fastq.gz", "reverse": f"{name}_R2.fastq.gz"}}


# ------------------------------------------------------------------------------------------------------ plain tables

@pytest.mark.parametrize("text", [
    "sample,reads,count\nS1,a.fastq.gz,3\nS2,b.fastq.gz,4\n",
    "Sample\treads\tcount\nS1\ta.fastq.gz\t3\nS2\tb.fastq.gz\t4",
    "SAMPLE;reads;count\r\nS1;a.fastq.gz;3\r\nS2;b.fastq.gz;4\r\n",
    "\ufeff# of spring, \"x\n\nsample,reads,count,,\n \nS1,a.fastq.gz,3,,\n,,,,\nS2,\"b.fastq.gz\",4,,\n",
    "sample , reads,count\rS1, a.fastq.gz ,3\rS2,b.fastq.gz,4\r",
    "sample_id,0,u6\nS1,a.fastq.gz,3\nS2,b.fastq.gz,4\n"])
def test_tables_are_read_as_programs_save_them(sheet, galaxy, files, text):
    one = sheet(text)
    given = [row.inputs for row in SheetInputs(one, galaxy, WORKFLOW, {}, ["beds=hdca:c1"]).fill_rows()]
    assert one.problems == [] and [row.sample for row in one.rows] == ["S1", "S2"]
    assert [(shape(made.values[INDEX["reads"]]), made.values[INDEX["count"]]) for made in given] == [
        ("a.fastq.gz", 3), ("b.fastq.gz", 4)]
    assert given[0].values[INDEX["reads"]].source.path == str(files / "a.fastq.gz")     # relative to the sheet


@pytest.mark.parametrize("above", ["", "# of spring\n#\n"])
def test_samples_called_1_2_and_ctrl_with_a_hash_are_rows_not_comments(sheet, galaxy, files, above):
    """A2: `#` begins a comment only above the heading."""
    one = sheet(f"{above}sample,reads\n#1,a.fastq.gz\n#2,b.fastq.gz\nctrl,a.fastq.gz\n")
    assert list(row_values(one, galaxy, constants=["beds=hdca:c1"])) == ["#1", "#2", "ctrl"]


@pytest.mark.parametrize("version", ["[Data]", "[BCLConvert_Data],,"])
def test_samples_called_1_and_2_with_a_hash_are_rows_of_illuminas_sections(sheet, tmp_path, version):
    """A2, in Illumina's sheets."""
    for number, name in enumerate(("-1", "-2", "ctrl"), 1):
        (tmp_path / f"{name}_S{number}_R1_001.fastq.gz").write_text("x")
    one = sheet(f"[Header],\n#a comment,\n{version}\n# and one\nSample_ID,index\n#1,AC\n#2,GT\nctrl,TT\n,\n[Other]\n#3,x\n")
    assert [row.sample for row in one.rows] == ["#1", "#2", "ctrl"] and one.problems == []


WRITTEN = {     # the samples S1 (a.fastq.gz, 3) and S2 (b.fastq.gz, 4, and a note with everything in it)
    "Excel, CSV": 'sample,reads,count,note\r\nS1,a.fastq.gz,3,\r\nS2,b.fastq.gz,4,"1; ""two"", 3"\r\n,,,\r\n',
    "Excel, CSV UTF-8": '\ufeffsample,reads,count,note\r\nS1,a.fastq.gz,3,\r\nS2,b.fastq.gz,4,"1; ""two"", 3"\r\n',
    "Excel, CSV of a German Windows": 'sample;reads;count;note\r\nS1;a.fastq.gz;3;\r\nS2;b.fastq.gz;4;"1; ""two"", 3"\r\n',
    "Excel, with the delimiter named": 'sep=;\r\nsample;reads;count;note\r\nS1;a.fastq.gz;3;\r\n'
                                       'S2;b.fastq.gz;4;"1; ""two"", 3"\r\n',
    "Excel, delimiters left out": 'sample,reads,count,note\r\nS1,a.fastq.gz,3\r\nS2,b.fastq.gz,4,"1; ""two"", 3"\r\n',
    "Excel, text (tabs)": 'sample\treads\tcount\tnote\r\nS1\ta.fastq.gz\t3\t\r\nS2\tb.fastq.gz\t4\t"1; ""two"", 3"\r\n',
    "Excel, Unicode text": 'sample\treads\tcount\tnote\r\nS1\ta.fastq.gz\t3\t\r\n'
                           'S2\tb.fastq.gz\t4\t"1; ""two"", 3"\r\n'.encode("utf-16"),
    "Excel, CSV (Macintosh)": 'sample,reads,count,note\rS1,a.fastq.gz,3,\rS2,b.fastq.gz,4,"1; ""two"", 3"\r',
    "LibreOffice, all quoted": '"sample","reads","count","note"\n"S1","a.fastq.gz","3",""\n'
                               '"S2","b.fastq.gz","4","1; ""two"", 3"\n"","","",""\n',
    "LibreOffice, UTF-16": 'sample,reads,count,note,,\nS1,a.fastq.gz,3,,,\nS2,b.fastq.gz,4,"1; ""two"", 3",,\n,,,,,\n'
                           .encode("utf-16"),
    "R, write.csv": '"","sample","reads","count","note"\n"1","S1","a.fastq.gz",3,""\n"2","S2","b.fastq.gz",4,'
                    '"1; ""two"", 3"\n',
    "R, write.csv2": '"";"sample";"reads";"count";"note"\n"1";"S1";"a.fastq.gz";3;""\n"2";"S2";"b.fastq.gz";4;'
                     '"1; ""two"", 3"\n',
    "R, write.table": '"sample" "reads" "count" "note"\n"1" "S1" "a.fastq.gz" 3 ""\n"2" "S2" "b.fastq.gz" 4 '
                      '"1; ""two"", 3"\n',
    "R, write_tsv": 'sample\treads\tcount\tnote\nS1\ta.fastq.gz\t3\t\nS2\tb.fastq.gz\t4\t"1; ""two"", 3"\n',
    "pandas, to_csv": ',sample,reads,count,note\n0,S1,a.fastq.gz,3,\n1,S2,b.fastq.gz,4,"1; ""two"", 3"\n'}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_sheet_is_read_as_the_program_wrote_it(sheet, galaxy, files, text):
    one = sheet(text)
    values = row_values(one, galaxy, mapping={"note": "word"}, constants=["beds=hdca:c1"])
    assert {name: (row["reads"], row["count"], row.get("word")) for name, row in values.items()} == {
        "S1": ("a.fastq.gz", 3, None), "S2": ("b.fastq.gz", 4, '1; "two", 3')}


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "mac-roman", "utf-16-le"])
def test_a_sheet_in_another_encoding_is_refused_with_what_to_do(sheet, encoding):
    with pytest.raises(GalaxyError, match="not a text in UTF-8.*: from Excel, save it as CSV UTF-8"):
        sheet("sample,reads\nProbe_\xe4,a.fastq.gz\n".encode(encoding))


def test_sample_history_and_tags_name_a_run(sheet):
    first = sheet('sample,history,tags\nS1,"Run, one","group:a, b,"\n').rows[0]
    assert (first.line, first.sample, first.history, first.tags) == (2, "S1", "Run, one", ["group:a", "b"])
    second = sheet("sample,history,tags\nS1,,\n").rows[0]
    assert (second.history, second.tags) == ("", [])


def test_lines_are_counted_after_a_cell_of_several(sheet):
    rows = sheet('# x\nsample,word\nS1,"a\n#b\n\nc"\nS2,d\n').rows
    assert [(row.line, row.sample, row.cells["word"]) for row in rows] == [(3, "S1", ["a\n#b\n\nc"]), (7, "S2", ["d"])]


def test_a_sheet_can_come_from_standard_input(monkeypatch, galaxy, files):
    monkeypatch.chdir(files)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"sample,reads\nS1,a.fastq.gz\n")))
    assert row_values(read_sheet("-"), galaxy, constants=["beds=hdca:c1"])["S1"]["reads"] == "a.fastq.gz"


@pytest.mark.parametrize("text, words", [
    ("", "no table: there is nothing in it"), ("# only\n,,\n", "no table: there is nothing in it"),
    ("sample,reads\n", "there are no rows below the heading"),
    ("S1,a.fastq.gz\nS2,b.fastq.gz\n", "expected a heading with a column sample, then a row for each run; line 1 has S1"),
    (b"sample\n\xff\xfe", "not a text in UTF-8"), (b"\x00\x00,sample\n", "no table: it is not a text"),
    ('sample,word\nS1,x\nS2,"a\nS3,b\n', "line 3: unexpected end of data"),
    ('sample,word\nS1,"a"b\n', "line 2: ',' expected after '\"'"),
    ("[Header]\nA,1\n[Reads]\n", r"a sample sheet of Illumina has a section [Data] or [BCLConvert_Data], and there are "
                                 "[header], [reads]"),
    ("[Data]\nName,Lane\nx,1\n", "line 2: the samples need a column Sample_ID"),
    ("[Data]\n", "no table: there is nothing in it"),
    ("[Data],\nSample_ID,Lane\n[Other],\nx,y\n", "there are no rows below the heading")])
def test_what_is_no_sheet_is_refused(sheet, text, words):
    with pytest.raises(GalaxyError, match=re.escape(words)) as refused:
        sheet(text)
    assert refused.value.exit_code == USAGE and "\n" not in str(refused.value)


def test_a_missing_file_is_reported(tmp_path):
    for name, words in ((str(tmp_path), "Is a directory"), (str(tmp_path / "none"), "No such file"), ("", "empty")):
        with pytest.raises(GalaxyError, match=words):
            read_sheet(name)


@pytest.mark.parametrize("text, problems", [
    ("sample,word\nS1,a,b\nS2\nS3,c,\n", [(2, "", "", "has 3 cells, and the heading 2: does it have another delimiter?"),
                                           (3, "", "", "has 1 cell, and the heading 2: does it have another delimiter?")]),
    ("sample,word\nS1,a\n# the rest\n", [(3, "", "", "has 1 cell, and the heading 2: # begins a comment only above the "
                                           "heading")]),
    ("sample,word,x\nS1,a\nS2,b", [(3, "", "", "has 2 cells, and the heading 3: does it have another delimiter?")]),
    ("sample,word\n,a\n", [(2, "", "sample", "is empty")]),
    (f"sample,word\n{'x' * 201},a\n", [(2, "", "sample", "has more than 200 characters")]),
    ('sample,word\n"a\nb",a\n', [(2, "", "sample", "is more than one line of text")]),
    ("sample,word\nS1,a\nS2,a\nS1,b\n", [
        (4, "S1", "sample", "is in line 2 too: a sample has one row, but for its lanes in a column fastq_1")]),
    ("sample,word,word\nS1,a,a\n", [(1, "", "word", "occurs twice")]),
    ("sample,,word\nS1,x,a\nS2,,a\nS3,y,a\n", [(1, "", "", "column 2 has no name")]),
    ("sample,tags\nS1,\"a,b c\"\n", [(2, "S1", "tags", "b c: expected a word without spaces and commas, or NAME:VALUE")])])
def test_each_problem_of_a_table_is_noted(sheet, text, problems):
    assert [tuple(problem.values()) for problem in sheet(text).problems] == problems


def test_an_empty_column_may_have_no_name(sheet):
    one = sheet("sample,,word\nS1,,a\n")
    assert one.problems == [] and one.columns == ["sample", "word"]


# ------------------------------------------------------------------------------------------------ columns and inputs

def test_cells_take_the_same_words_as_a_command_line(sheet, galaxy, files):
    (files / "in").mkdir()
    (files / "in" / "c.bed").write_text("c")
    made = row_values(sheet(f"""sample\treads\tbeds\tcount\tword
S1\thda:d1\t*.bed\t1\thda:d1
S2\tlib:/Lab/in/a.bed\tin\t\t./x
S3\t{files}/a.fastq.gz\thdca:c1\t\t
S4\thttps://example.org/x.fastq.gz\ta.bed\t2\t*
"""), galaxy)
    assert made == {
        "S1": {"reads": {"src": "hda", "id": "d1"}, "beds": {"list": {"a": "a.bed", "b": "b.bed"}}, "count": 1,
               "word": "hda:d1"},
        "S2": {"reads": {"src": "ld", "id": "ld1"}, "beds": {"list": {"c": "c.bed"}}, "word": "./x"},
        "S3": {"reads": "a.fastq.gz", "beds": {"src": "hdca", "id": "c1"}},
        "S4": {"reads": "x.fastq.gz", "beds": {"list": {"a": "a.bed"}}, "count": 2, "word": "*"}}


def test_the_sheets_folder_may_have_letters_of_a_pattern_in_its_name(tmp_path, galaxy):
    for name in ("[ab]", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.bed").write_text("x")
    (tmp_path / "a" / "y.bed").write_text("y")
    (tmp_path / "[ab]" / "sheet").write_text("sample,beds\nS1,*.bed\n")
    one = read_sheet(str(tmp_path / "[ab]" / "sheet"))
    assert row_values(one, galaxy, constants=["reads=hda:d1"])["S1"]["beds"] == {"list": {"x": "x.bed"}}
    (tmp_path / "[ab]" / "sheet").write_text("sample,reads\nS1,y.bed\n")
    one = read_sheet(str(tmp_path / "[ab]" / "sheet"))
    first, *_ = problems_of(one, galaxy, constants=["beds=hdca:c1"])
    assert first[-1].endswith("y.bed: no such file")


def test_a_cell_may_begin_with_the_users_home(sheet, galaxy, alone):
    (alone / "x.bed").write_text("x")
    assert row_values(sheet("sample,reads\nS1,~/x.bed\n"), galaxy, constants=["beds=hdca:c1"])["S1"]["reads"] == "x.bed"


def test_columns_can_be_mapped_or_left_out(sheet, galaxy, files):
    one = sheet("sample,input file,note,condition\nS1,a.fastq.gz,x,y\n")
    mapping = parse_column_map(["input file=reads", "note=", "condition=u4"])
    assert mapping == {"input file": "reads", "note": "", "condition": "u4"}
    assert row_values(one, galaxy, mapping=mapping, constants=["beds=hdca:c1"]) == {
        "S1": {"reads": "a.fastq.gz", "beds": {"src": "hdca", "id": "c1"}, "word": "y"}}


def test_the_samples_name_can_be_a_text_input(sheet, galaxy):
    labelled = workflow(sample=step("parameter_input", parameter_type="text"), history=step("data_input", optional=True))
    assert row_values(sheet("sample,history\nS1,h\n"), galaxy, labelled) == {"S1": {"sample": "S1"}}
    named = sheet("sample,reads\nS1,hda:d1\n")
    assert row_values(named, galaxy, mapping={"sample": "word"}, constants=["beds=hdca:c1"])["S1"][
        "word"] == "S1"


@pytest.mark.parametrize("texts, words", [
    (["x"], "--map=x: expected COLUMN=LABEL, or COLUMN= to leave it out"), (["=x"], "--map==x: expected COLUMN=LABEL"),
    (["a=b", "a=c"], "--map=a=c: column a is mapped to 'b' already")])
def test_what_is_no_mapping_is_refused(texts, words):
    with pytest.raises(GalaxyError, match=re.escape(words)):
        parse_column_map(texts)


THERE = ", ".join(INDEX)


@pytest.mark.parametrize("text, mapping, constants, problems", [
    ("sample,raeds\nS1,x\nS2,y\n", {}, NEEDED, [
        (1, "", "raeds", "fits no input (did you mean 'reads'?); --map=raeds=LABEL names one, --map=raeds= leaves it out; "
                         f"the inputs are {THERE}")]),
    ("sample,word\nS1,x\n", {"wodr": "word", "word": "wrod"}, NEEDED, [
        (1, "", "wodr", "there is no such column (did you mean 'word'?); there are sample, word"),
        (1, "", "word", "there is no input 'wrod': did you mean word?")]),
    ("sample,word\nS1,x\n", {}, [*NEEDED, "word=y"], [(1, "", "word", "input word is given for all rows too")]),
    ("sample,word,text\nS1,x,y\n", {"text": "word"}, NEEDED, [
        (1, "", "text, word", "input word: it takes one value, and 2 columns go to it")]),
    ("sample,x,y\nS1,hda:d1,hda:d2\n", {"x": "reads", "y": "reads"}, ["beds=hdca:c1"], [
        (1, "", "x, y", "input reads: it takes one dataset, and 2 columns go to it")]),
    ("sample,count,reads\nS1,x,none.bed\nS2,12,hda:gone\nS3,,\n", {}, ["share=2", "beds=hdca:c1", "no=1"], [
        ("", "", "", "there is no input 'no'"), ("", "", "", "input share: 2.0 is not within 0 to 1"),
        (2, "S1", "count", "'x' is not an integer"), (2, "S1", "reads", "{files}/none.bed: No such file or directory"),
        (3, "S2", "count", "12 is not within 0 to 9"), (3, "S2", "reads", "hda:gone: 'x' is deleted"),
        (4, "S3", "reads", "is empty, and input reads must be given")]),
    ("sample,reads\nS1,hda:d1\nS2,hda:d1\n", {}, [], [
        (1, "", "", "input beds: is missing: beds=VALUE gives it files, a folder or hdca:ID; a column of that name gives "
                    "each row its own")]),
    ("sample,0\nS1,x\n", {}, ["beds=hdca:c1"], [(2, "S1", "0", "{files}/x: No such file or directory")]),
])
def test_each_problem_of_a_value_is_noted(sheet, galaxy, files, text, mapping, constants, problems):
    assert problems_of(sheet(text), galaxy, WORKFLOW, mapping, constants) == [
        (*place, problem.format(files=files)) for *place, problem in problems]


def test_each_rows_problem_is_told_once(sheet, galaxy):
    text = "sample,reads\nS1,hda:d1\nS2,hda:gone\nS3,\n"
    assert problems_of(sheet(text), galaxy, constants=["beds=hdca:c1"]) == [
        (3, "S2", "reads", "hda:gone: 'x' is deleted"), (4, "S3", "reads", "is empty, and input reads must be given")]
    for mapping, constants in (({"reads": "none"}, NEEDED), ({"none": ""}, NEEDED[1:]), ({}, []), ({}, ["x", *NEEDED[1:]])):
        assert problems_of(sheet(text), galaxy, WORKFLOW, mapping, constants)


def test_a_label_of_two_inputs_needs_a_uuid(sheet, galaxy):
    doubled = workflow(a=step("data_input"), b=step("data_input"))
    doubled["inputs"]["1"]["label"] = "a"
    [problem] = problems_of(sheet("sample,a\nS1,hda:d1\n"), galaxy, doubled, {}, ["u0=hda:d1", "u1=hda:d2"])
    assert problem == (1, "", "a", "is 2 inputs, by index or label: --map=a=UUID names one")
    assert row_values(sheet("sample,a\nS1,hda:d1\n"), galaxy, doubled, {"a": "u1"}, ["u0=hda:d2"]) == {
        "S1": {"a": {"src": "hda", "id": "d1"}}}


def test_a_problem_is_noted_once(sheet, galaxy):
    one = sheet("sample,none\nS1,x\n")
    assert len(problems_of(one, galaxy, constants=NEEDED)) == len(problems_of(one, galaxy, constants=NEEDED)) == 1


def test_what_many_rows_name_is_asked_for_once(sheet, galaxy, files, monkeypatch, requests_mock):
    (files / "elsewhere").mkdir()
    (files / "elsewhere" / "z.bed").write_text("z")
    monkeypatch.chdir(files / "elsewhere")      # which constants are relative to
    rows = "".join(f"S{number},hda:d1,lib:/Lab/in/a.bed\n" for number in range(20))
    one = sheet(f"sample,reads,a = b\n{rows}X,hda:none,\nY,hda:none,\n")
    rows = SheetInputs(one, galaxy, WORKFLOW, {}, ["beds=hdca:c1", "pair=hdca:c2"]).fill_rows()
    given = {row.sample: row.inputs for row in rows}
    asked = [request.path for request in requests_mock.request_history]
    assert {path: asked.count(path) for path in asked} == dict.fromkeys((
        "/api/datasets/d1", "/api/datasets/none", "/api/dataset_collections/c1", "/api/dataset_collections/c2",
        "/api/libraries", "/api/folders/f1/contents", "/api/folders/f2/contents"), 1)
    assert [problem["sample"] for problem in one.problems] == ["X", "Y"]
    assert given["S3"].values[INDEX["beds"]] is given["S4"].values[INDEX["beds"]]
    [problem] = problems_of(sheet("sample,pair\nS1,hdca:c1\nS2,\n"), galaxy, constants=["reads=z.bed", "beds=hdca:c1"])
    assert problem == (2, "S1", "pair", "hdca:c1 is a collection of type list, and the input takes paired")


def test_hid_numbers_are_looked_up_in_the_history(sheet, galaxy):
    one = sheet("sample,reads\nS1,hid:3\n")
    [row] = SheetInputs(one, galaxy, WORKFLOW, {}, ["beds=hid:4"], "h").fill_rows()
    assert one.problems == [] and shape(row.inputs.values[INDEX["reads"]]) == {"src": "hda", "id": "d1"}


def test_a_collection_is_checked_for_each_input_that_names_it(sheet, galaxy):
    """The second input takes what Galaxy said of it from the cache."""
    one = sheet("sample,beds,pair\nS1,hdca:c1,hdca:c1\nS2,hdca:c1,hdca:c1\n")
    assert problems_of(one, galaxy, constants=["reads=hda:d1"]) == [
        (line, sample, "pair", "hdca:c1 is a collection of type list, and the input takes paired") for line, sample in (
            (2, "S1"), (3, "S2"))]


# --------------------------------------------------------------------------------------------------- nf-core's sheets

NFCORE = "sample,fastq_1,fastq_2\nS1,s1_R1.fastq.gz,s1_R2.fastq.gz\nS2,s2_R1.fastq.gz,s2_R2.fastq.gz\n"
LANES = "sample,fastq_1,fastq_2\nS1,s1_R1.fastq.gz,s1_R2.fastq.gz\nS1,s2_R1.fastq.gz,s2_R2.fastq.gz\n"
SINGLE = "sample,fastq_1,fastq_2\nS1,a.fastq.gz,\nS2,b.fastq.gz,\n"
MIXED = "sample,fastq_1,fastq_2\nS1,s1_R1.fastq.gz,s1_R2.fastq.gz\nS2,b.fastq.gz,\n"
LIST_OF_ONE = {"list:paired": {"S1": a_pair("s1")}}
LANE = {"list:paired": {"S1_1": a_pair("s1"), "S1_2": a_pair("s2")}}


def either(name, alone=False):
    return {"paired_or_unpaired": {"unpaired": name} if alone else a_pair(name)["paired"]}


@pytest.mark.parametrize("text, kind, first", [
    (NFCORE, "paired", a_pair("s1")), (NFCORE, "list:paired", LIST_OF_ONE), (NFCORE, "", LIST_OF_ONE),
    (NFCORE, "paired_or_unpaired", either("s1")), (NFCORE, "list:paired_or_unpaired", {
        "list:paired_or_unpaired": {"S1": either("s1")}}),
    (LANES, "list:paired", LANE), (LANES, "", LANE),
    (SINGLE, "list", {"list": {"S1": "a.fastq.gz"}}), (SINGLE, "", {"list": {"S1": "a.fastq.gz"}}),
    (SINGLE, "paired_or_unpaired", either("a.fastq.gz", True)),
    (SINGLE.replace("S2", "S1"), "list", {"list": {"S1_1": "a.fastq.gz", "S1_2": "b.fastq.gz"}}),
    ("sample,fastq_1\nS1,a.fastq.gz\n", "list", {"list": {"S1": "a.fastq.gz"}}),
    ("sample,fastq_2,fastq_1\nS1,s1_R2.fastq.gz,s1_R1.fastq.gz\n", "paired", a_pair("s1"))])
def test_fastq_columns_go_to_the_one_collection(sheet, galaxy, files, text, kind, first):
    assert row_values(sheet(text), galaxy, collection(kind))["S1"] == {"reads": first}


def test_single_and_paired_samples_can_be_mixed_if_the_input_takes_both(sheet, galaxy, files):
    assert row_values(sheet(MIXED), galaxy, collection("list:paired_or_unpaired"))["S2"] == {
        "reads": {"list:paired_or_unpaired": {"S2": either("b.fastq.gz", True)}}}


def test_pairs_go_by_columns_not_by_file_names(sheet, galaxy, files):
    one = sheet("sample,fastq_1,fastq_2\nS1,s1_R2.fastq.gz,a.bed\nS2,hda:d1,https://example.org/x\n")
    assert row_values(one, galaxy, collection("paired")) == {
        "S1": {"reads": {"paired": {"forward": "s1_R2.fastq.gz", "reverse": "a.bed"}}},
        "S2": {"reads": {"paired": {"forward": {"src": "hda", "id": "d1"}, "reverse": "x"}}}}


def test_any_two_columns_of_one_collection_are_pairs_in_the_order_of_their_mapping(sheet, galaxy, files):
    one = sheet("sample,rev,fwd\nS1,s1_R2.fastq.gz,s1_R1.fastq.gz\n")
    mapping = {"fwd": "reads", "rev": "reads"}
    assert row_values(one, galaxy, collection("list:paired"), mapping)["S1"] == {"reads": LIST_OF_ONE}


def test_fastq_1_goes_to_the_one_dataset_input_that_is_left(sheet, galaxy, files):
    assert row_values(sheet(SINGLE), galaxy, workflow(x=step("data_input")))["S2"] == {"x": "b.fastq.gz"}
    assert row_values(sheet(SINGLE), galaxy, TWO, {}, ["left=hda:d1"])["S2"] == {
        "left": {"src": "hda", "id": "d1"}, "right": "b.fastq.gz"}
    assert row_values(sheet(SINGLE.replace("S2", "S1")), galaxy, workflow(x=step("data_input"))) == {     # mapped over
        "S1": {"x": {"list": {"S1_1": "a.fastq.gz", "S1_2": "b.fastq.gz"}}}}


def test_forward_and_reverse_reads_for_two_datasets(sheet, galaxy, files):
    mapping = {"fastq_1": "left", "fastq_2": "right"}
    assert row_values(sheet(NFCORE), galaxy, TWO, mapping)["S1"] == {"left": "s1_R1.fastq.gz", "right": "s1_R2.fastq.gz"}
    assert row_values(sheet(MIXED), galaxy, TWO, mapping)["S2"] == {"left": "b.fastq.gz"}
    assert row_values(sheet(LANES), galaxy, TWO, mapping)["S1"] == {
        "left": {"list": {"S1_1": "s1_R1.fastq.gz", "S1_2": "s2_R1.fastq.gz"}},
        "right": {"list": {"S1_1": "s1_R2.fastq.gz", "S1_2": "s2_R2.fastq.gz"}}}


def test_lanes_may_have_files_of_one_name(sheet, galaxy, files):
    (files / "other").mkdir()
    (files / "other" / "a.fastq.gz").write_text("x")
    one = sheet("sample,fastq_1\nS1,a.fastq.gz\nS1,other/a.fastq.gz\n")
    assert row_values(one, galaxy, collection("list"))["S1"] == {
        "reads": {"list": {"S1_1": "a.fastq.gz", "S1_2": "a.fastq.gz"}}}


def test_reads_can_stand_next_to_a_parameter(sheet, galaxy, files):
    text = "sample,fastq_1,fastq_2,strandedness\nS1,s1_R1.fastq.gz,s1_R2.fastq.gz,{}\nS1,s2_R1.fastq.gz,s2_R2.fastq.gz,{}\n"
    mapping = {"strandedness": "word", "fastq_1": "pairs", "fastq_2": "pairs"}
    assert row_values(sheet(text.format("auto", "auto")), galaxy, mapping=mapping, constants=NEEDED)["S1"]["word"] == "auto"
    assert problems_of(sheet(text.format("auto", "none")), galaxy, mapping=mapping, constants=NEEDED) == [
        (3, "S1", "strandedness", "'none', and 'auto' in line 2: the rows of a sample differ in their files only")]


@pytest.mark.parametrize("text, work, mapping, problems", [
    (NFCORE, TWO, {}, [
        (1, "", "fastq_1", "which input is it for? --map=fastq_1=LABEL --map=fastq_2=LABEL says it (one label for both "
                           "makes pairs); there are left (dataset), right (dataset)")]),
    (SINGLE, workflow(a=step("data_collection_input"), b=step("data_collection_input", collection_type="list")), {}, [
        (1, "", "fastq_1", "which input is it for? --map=fastq_1=LABEL says it; there are a (collection), b (list)")]),
    (NFCORE, TWO, {"fastq_1": "left"}, [
        (1, "", "fastq_2", "which input is it for? --map=fastq_2=LABEL says it; there are right (dataset)")]),
    (NFCORE, TWO, {"fastq_1": "left", "fastq_2": "left"}, [
        (1, "", "fastq_1, fastq_2", "input left: it takes one dataset, and 2 columns go to it")]),
    (NFCORE, collection("list"), {}, [
        (1, "", "fastq_1, fastq_2", "input reads: it takes a collection of type list, not pairs")]),
    (SINGLE, collection("list:paired"), {}, [
        (1, "", "fastq_1", "input reads: it takes pairs (list:paired), and there are no reverse reads")]),
    (SINGLE, collection("list:list"), {}, [
        (1, "", "fastq_1", "input reads: it takes a collection of type list:list, which hdca:ID can give")]),
    (MIXED, collection("list:paired"), {}, [(3, "S2", "fastq_1, fastq_2", "fastq_2 is empty, and the input takes pairs")]),
    (LANES, collection("paired"), {}, [(2, "S1", "fastq_1, fastq_2", "it takes one pair, and the sample has 2")]),
    ("sample,fastq_1,fastq_2\nS1,,a.bed\nS2,a.bed,a.bed\nS3,none,nothing\nS4,,\nS5,*.bed,hdca:c1\n",
     collection("paired"), {}, [
        (2, "S1", "fastq_1, fastq_2", "fastq_1 is empty in one of the sample's rows"),
        (3, "S2", "fastq_1, fastq_2", "{files}/a.bed: is there twice"),
        (4, "S3", "fastq_1", "{files}/none: No such file or directory"),
        (4, "S3", "fastq_2", "{files}/nothing: No such file or directory"),
        (5, "S4", "fastq_1", "is empty, and input reads must be given"),
        (6, "S5", "fastq_1", "*.bed: expected one file"), (6, "S5", "fastq_2", "hdca:c1: expected one file")]),
    ("sample,fastq_1\nS1,a.bed\nS1,a.bed\n", collection("list"), {}, [
        (2, "S1", "fastq_1", "{files}/a.bed: is there twice")]),
])
def test_each_problem_of_reads_is_noted(sheet, galaxy, files, text, work, mapping, problems):
    wrong = [problem for problem in problems_of(sheet(text), galaxy, work, mapping) if "is missing" not in problem[3]]
    assert wrong == [(*place, problem.format(files=files)) for *place, problem in problems]


# ------------------------------------------------------------------------------------------- Illumina's sample sheets

V1 = """[Header],,,,,,,,,,
IEMFileVersion,5,,,,,,,,,
Investigator Name,"Doe, Jane",,,,,,,,,
Date,2/1/2024,,,,,,,,,
Workflow,GenerateFASTQ,,,,,,,,,
Instrument Type,HiSeq 4000,,,,,,,,,
,,,,,,,,,,
[Reads],,,,,,,,,,
151,,,,,,,,,,
151,,,,,,,,,,
,,,,,,,,,,
[Settings],,,,,,,,,,
Adapter,AGATCGGAAGAGCACACGTCTGAACTCCAGTCA,,,,,,,,,
,,,,,,,,,,
[Data],,,,,,,,,,
Lane,Sample_ID,Sample_Name,Sample_Plate,Sample_Well,I7_Index_ID,index,I5_Index_ID,index2,Sample_Project,Description
1,101,liver,P1,A01,UDI0001,CCGCGGTT,UDI0001,AGCGCTAG,Mouse,first
1,102,kidney,P1,B01,UDI0002,TTATAACC,UDI0002,GATATCGA,Mouse,
2,101,liver,P1,A01,UDI0001,CCGCGGTT,UDI0001,AGCGCTAG,Mouse,first
"""

V2 = """[Header]
FileFormatVersion,2
RunName,Spring
InstrumentPlatform,NextSeq1000/2000

[Reads]
Read1Cycles,151
Read2Cycles,151
Index1Cycles,10

[BCLConvert_Settings]
SoftwareVersion,3.10.12
FastqCompressionFormat,gzip

[BCLConvert_Data]
Lane,Sample_ID,Index,Index2
1,A-1,GAACTGAGCG,TCGTGGAGCG
1,B-1,AGGTCAGATA,CTACAAGATA

[Cloud_Settings]
GeneratedVersion,1.14.0

[Cloud_Data]
Sample_ID,ProjectName,LibraryName
A-1,Spring,A-1_GAACTGAGCG
B-1,Spring,B-1_AGGTCAGATA
"""


@pytest.fixture
def made(tmp_path):
    """`made(names)`: files, below the sheet's folder."""
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
    return make


def reads(one, folder):
    """`{sample: [columns of paths below the folder]}`."""
    return {row.sample: [[path[len(f"{folder}/"):] for path in row.cells[column]] for column in ("fastq_1", "fastq_2")]
            for row in one.rows}


def test_version_1_merges_lanes_and_goes_by_names(sheet, made, tmp_path, galaxy):
    names = [f"Data/Mouse/{sample}_S{number}_L00{lane}_{read}_001.fastq.gz" for sample, number, lane in (
        ("liver", 1, 1), ("liver", 1, 2), ("kidney", 2, 1), ("Undetermined", 0, 1)) for read in ("R1", "R2", "I1", "I2")]
    made(*names, ".hidden/liver_S1_L001_R1_001.fastq.gz", "notes.txt")
    one = sheet(V1)
    assert one.problems == [] and [(row.line, row.sample) for row in one.rows] == [(17, "101"), (18, "102")]
    assert reads(one, tmp_path / "Data/Mouse") == {
        "101": [[f"liver_S1_L00{lane}_R{read}_001.fastq.gz" for lane in (1, 2)] for read in (1, 2)],
        "102": [[f"kidney_S2_L001_R{read}_001.fastq.gz"] for read in (1, 2)]}
    given = row_values(one, galaxy, collection("list:paired"))
    assert list(given["101"]["reads"]["list:paired"]) == ["101_1", "101_2"]


def test_version_1_may_have_windows_line_ends_and_a_byte_order_mark(sheet, made, tmp_path):
    made(*(f"{name}_R1_001.fastq.gz" for name in ("liver_S1_L001", "liver_S1_L002", "kidney_S2_L001")))
    for text in (V1.replace("\n", "\r\n"), "\ufeff" + V1, V1.replace(",", ";"), V1.replace("[Header]", '"[Header]"')):
        one = sheet(text)
        assert one.problems == [] and len(one.rows) == 2, text


def test_version_2_goes_by_ids_in_a_folder_of_their_own(sheet, made, tmp_path, galaxy):
    names = [f"out/Analysis/{sample}_S{number}_L001_R{read}_001.fastq.gz" for sample, number in (("A-1", 1), ("B-1", 2))
             for read in (1, 2)]
    made(*names, "A-1_S1_L001_R1_001.fastq.gz")     # beside the sheet, which is not looked at
    one = sheet(V2, str(tmp_path / "out"))
    assert one.problems == [] and [row.line for row in one.rows] == [17, 18]
    assert reads(one, tmp_path / "out/Analysis")["B-1"] == [
        ["B-1_S2_L001_R1_001.fastq.gz"], ["B-1_S2_L001_R2_001.fastq.gz"]]
    assert list(row_values(one, galaxy, collection("paired"))) == ["A-1", "B-1"]


def test_version_2_with_trailing_commas(sheet, made):
    made(*(f"{name}_R1_001.fastq.gz" for name in ("A-1_S1", "B-1_S2")))
    one = sheet("".join(f"{line},,,,\n" for line in V2.splitlines()))
    assert one.problems == [] and [row.sample for row in one.rows] == ["A-1", "B-1"]


def test_files_may_have_no_lanes_and_one_read(sheet, made, galaxy):
    made("A-1_S1_R1_001.fastq.gz", "B-1_S2_R1_001.fastq")
    assert row_values(sheet(V2), galaxy, workflow(x=step("data_input"))) == {
        "A-1": {"x": "A-1_S1_R1_001.fastq.gz"}, "B-1": {"x": "B-1_S2_R1_001.fastq"}}


def test_samples_of_one_name_are_distinguished_by_folders_or_numbers(sheet, made, tmp_path):
    text = "[Data]\nSample_ID,Sample_Name,Sample_Project\n1,x,P\n2,x,P\n"
    made(*(f"a/P/{number}/x_S{number}_R1_001.fastq.gz" for number in (1, 2)))
    assert reads(sheet(text, str(tmp_path / "a")), tmp_path / "a/P") == {
        number: [[f"{number}/x_S{number}_R1_001.fastq.gz"], [""]] for number in ("1", "2")}
    made(*(f"b/x_S{number}_R1_001.fastq.gz" for number in (1, 2)))
    assert reads(sheet(text, str(tmp_path / "b")), tmp_path / "b") == {
        number: [[f"x_S{number}_R1_001.fastq.gz"], [""]] for number in ("1", "2")}
    text = "[Data]\nSample_ID,Sample_Name,Sample_Project\n1,x,P\n2,x,Q\n"
    made("c/P/x_S9_R1_001.fastq.gz", "c/Q/x_S9_R1_001.fastq.gz")
    assert reads(sheet(text, str(tmp_path / "c")), tmp_path / "c") == {
        "1": [["P/x_S9_R1_001.fastq.gz"], [""]], "2": [["Q/x_S9_R1_001.fastq.gz"], [""]]}


def test_letters_that_a_miseq_writes_as_hyphens_are_found(sheet, made, tmp_path):
    made("a-1_S1_L001_R1_001.fastq.gz")
    assert reads(sheet("[Data]\nSample_ID\na_1\n"), tmp_path) == {"a_1": [["a-1_S1_L001_R1_001.fastq.gz"], [""]]}


def test_other_columns_go_only_where_they_are_mapped(sheet, made, galaxy):
    made("x_S1_R1_001.fastq.gz", "y_S2_R1_001.fastq.gz")
    work = workflow(x=step("data_input"), index=step("data_input", optional=True),
                    note=step("parameter_input", parameter_type="text", optional=True))
    one = sheet("[Data]\nLane,Sample_ID,index,Description\n1,x,ACGT,old\n2,x,TTTT,old\n1,y,CCCC,new\n")
    values = {"fastq_1": "x", "Description": "note"}
    assert row_values(one, galaxy, work, values)["x"] == {"x": "x_S1_R1_001.fastq.gz", "note": "old"}
    assert problems_of(one, galaxy, work, {**values, "Description": "", "index": "note"}) == [
        (3, "x", "index", "takes one value, not 2")]


@pytest.mark.parametrize("text, names, problems", [
    ("Sample_ID\nx\ny\n,\n", ["x_S1_R1_001.fastq.gz", "xy_S2_R1_001.fastq.gz"], [
        (4, "y", "fastq_1", "there are no files of it in {files}")]),
    ("Sample_ID,Sample_Name\nx,y\ny,\n", ["y_S1_R1_001.fastq.gz"], [
        (4, "y", "fastq_1", "{files}/y_S1_R1_001.fastq.gz: sample x (line 3) has it too")]),
    ("Sample_ID\nx\n", ["1/x_S1_R1_001.fastq.gz", "2/x_S1_R1_001.fastq.gz"], [
        (3, "x", "fastq_1", "two files are the same lane and read: {files}/1/x_S1_R1_001.fastq.gz, "
                            "{files}/2/x_S1_R1_001.fastq.gz")]),
    ("Sample_ID\nx\n", ["x_S1_R1_001.fastq.gz", "x_S1_L001_R1_001.fastq.gz"], [
        (3, "x", "fastq_1", "there are files of one lane and of all: {files}/x_S1_L001_R1_001.fastq.gz, "
                            "{files}/x_S1_R1_001.fastq.gz")]),
    ("Lane,Sample_ID\n1,x\n2,x\n", ["x_S1_L001_R1_001.fastq.gz", "x_S1_L003_R1_001.fastq.gz"], [
        (3, "x", "fastq_1", "there are no files of lane 2 in {files}")]),
    ("Sample_ID\nx\n", ["x_S1_R2_001.fastq.gz"], [(3, "x", "fastq_1", "there is no _R1_ for {files}/x_S1_R2_001.fastq.gz")]),
    ("Lane,Sample_ID,Sample_Name\n1,x,a\n2,x,b\n", ["a_S1_R1_001.fastq.gz"], [
        (4, "x", "Sample_Name", "'b', and 'a' in line 3")]),
    ("Lane,Sample_ID\n1,\n", [], [(3, "", "Sample_ID", "is empty")])])
def test_each_problem_of_illumina_files_is_noted(sheet, made, tmp_path, text, names, problems):
    made(*names)
    assert [tuple(problem.values()) for problem in sheet(f"[Data]\n{text}").problems] == [
        (*place, problem.format(files=tmp_path)) for *place, problem in problems]


def test_the_folder_is_listed_once(sheet, made, monkeypatch):
    made(*(f"s{number}_S{number}_R1_001.fastq.gz" for number in range(1, 30)))
    walked, walk = [], os.walk
    monkeypatch.setattr(os, "walk", lambda top, **options: walked.append(top) or walk(top, **options))
    one = sheet("[Data]\nSample_ID\n" + "".join(f"s{number}\n" for number in range(1, 30)))
    assert one.problems == [] and len(walked) == 1


def test_a_wrong_or_needless_fastq_folder_is_refused(sheet, tmp_path):
    for text, words in ((V2, "no such folder"), (NFCORE, "is for Illumina's sample sheets, and .*sheet.csv is none")):
        with pytest.raises(GalaxyError, match=f"--fastq=.*none: {words}"):
            sheet(text, str(tmp_path / "none"))


# -------------------------------------------------------------------------------------------------------- all as one

def as_one(one, galaxy, work, mapping=None, constants=()):
    given = SheetInputs(one, galaxy, work, mapping, constants).fill_as_one().inputs
    return {work["inputs"][index]["label"]: shape(value) for index, value in given.values.items()}


@pytest.mark.parametrize("text, work, value", [
    (NFCORE, collection("list:paired"), {"list:paired": {"S1": a_pair("s1"), "S2": a_pair("s2")}}),
    (NFCORE, collection("paired"), {"list:paired": {"S1": a_pair("s1"), "S2": a_pair("s2")}}),
    (NFCORE, collection(""), {"list:paired": {"S1": a_pair("s1"), "S2": a_pair("s2")}}),
    (LANES, collection("paired"), LANE),
    (MIXED, collection("list:paired_or_unpaired"), {
        "list:paired_or_unpaired": {"S1": either("s1"), "S2": either("b.fastq.gz", True)}}),
    (MIXED, collection("paired_or_unpaired"), {
        "list:paired_or_unpaired": {"S1": either("s1"), "S2": either("b.fastq.gz", True)}}),
    (SINGLE, collection("list"), {"list": {"S1": "a.fastq.gz", "S2": "b.fastq.gz"}}),
    (SINGLE, workflow(reads=step("data_input")), {"list": {"S1": "a.fastq.gz", "S2": "b.fastq.gz"}}),
    ("sample,reads\nZ,b.bed\nA,hda:d1\n", workflow(reads=step("data_input")), {"list": {"Z": "b.bed",
                                                                                        "A": {"src": "hda", "id": "d1"}}}),
    ("sample,reads\nS1,s1_R?.fastq.gz\nS2,s2_R?.fastq.gz\n", collection("list:paired"),
     {"list:paired": {"S1": a_pair("s1"), "S2": a_pair("s2")}}),
    ("sample,reads\nS1,*.bed\nS2,plain\n", collection("list"), {"list": {"S1_1": "a.bed", "S1_2": "b.bed", "S2": "plain"}})])
def test_all_rows_can_be_one_run(sheet, galaxy, files, text, work, value):
    one = sheet(text)
    assert as_one(one, galaxy, work) == {"reads": value} and one.problems == []


def test_all_rows_as_one_run_with_parameters_and_constants(sheet, galaxy, files):
    one = sheet(NFCORE.replace("fastq_2\n", "fastq_2,count,word\n").replace("R2.fastq.gz\n", "R2.fastq.gz,3,\n"))
    values = as_one(one, galaxy, WORKFLOW, {"fastq_1": "pairs", "fastq_2": "pairs"}, NEEDED)
    assert one.problems == [] and values == {
        "reads": {"src": "hda", "id": "d1"}, "beds": {"src": "hdca", "id": "c1"}, "count": 3,
        "pairs": {"list:paired": {"S1": a_pair("s1"), "S2": a_pair("s2")}}}


DOSES = {"column_definitions": [
    {"name": "dose", "type": "int", "optional": False, "validators": [{"type": "in_range", "min": 0, "max": 9}]},
    {"name": "note", "type": "string", "optional": True}]}


def test_the_columns_of_a_sample_sheet_are_the_sheets_own(sheet, galaxy, files):
    """As one run, and a run for each row."""
    text = "sample,reads,dose,note\nS1,a.bed,05,NO\nS2,b.bed,3,\n"
    one = sheet(text)
    value = SheetInputs(one, galaxy, collection("sample_sheet", **DOSES)).fill_as_one().inputs.values["0"]
    assert one.problems == [] and shape(value) == {"sample_sheet": {"S1": "a.bed", "S2": "b.bed"}}
    assert value.extras["rows"] == {"S1": [5, "NO"], "S2": [3, None]}
    assert [column["name"] for column in value.extras["column_definitions"]] == ["dose", "note"]
    rows = SheetInputs(sheet(text), galaxy, collection("sample_sheet", **DOSES)).fill_rows()
    assert [(shape(row.inputs.values["0"]), row.inputs.values["0"].extras["rows"]) for row in rows] == [
        ({"sample_sheet": {"S1": "a.bed"}}, {"S1": [5, "NO"]}), ({"sample_sheet": {"S2": "b.bed"}}, {"S2": [3, None]})]
    paired = sheet(NFCORE.replace("fastq_2\n", "fastq_2,dose\n").replace("R2.fastq.gz\n", "R2.fastq.gz,1\n"))
    value = SheetInputs(paired, galaxy, collection("sample_sheet:paired", **DOSES)).fill_as_one().inputs.values["0"]
    assert shape(value) == {"sample_sheet:paired": {"S1": a_pair("s1"), "S2": a_pair("s2")}}
    assert value.extras["rows"] == {"S1": [1, None], "S2": [1, None]}


@pytest.mark.parametrize("text, problems", [
    ("sample,reads,note\nS1,a.bed,x\n", [
        (1, "", "dose", "input reads takes values from a column of that name, and there is none")]),
    ("sample,reads,dose\nS1,a.bed,\n", [(2, "S1", "", "input reads: dose is empty")]),
    ("sample,reads,dose\nS1,a.bed,ten\nS2,b.bed,10\n", [
        (2, "S1", "", "input reads: dose: 'ten' is not an integer"),
        (3, "S2", "", "input reads: dose: 10 is not within 0 to 9")]),
    ("sample,reads,dose\nS1,*.bed,1\n", [(2, "S1", "reads", "is several files, and an element of a sample sheet is one")]),
    ("sample,reads,dose,dos\nS1,a.bed,1,2\n", [
        (1, "", "dos", "fits no input; --map=dos=LABEL names one, --map=dos= leaves it out; the inputs are reads")])])
def test_what_is_wrong_with_a_sample_sheets_values_is_noted(sheet, galaxy, files, text, problems):
    one = sheet(text)
    SheetInputs(one, galaxy, collection("sample_sheet", **DOSES)).fill_rows()
    assert [tuple(problem.values()) for problem in one.problems] == problems


def test_an_element_of_a_sample_sheet_is_one_file(sheet, galaxy, files):
    """In a run of all rows too, and a pattern may find it."""
    def fill(pattern):
        one = sheet(f"sample,reads,dose\nS1,{pattern},1\nS2,b.bed,2\n")
        return one, SheetInputs(one, galaxy, collection("sample_sheet", **DOSES)).fill_as_one().inputs.values.get("0")
    one, value = fill("a.b*")
    assert one.problems == [] and shape(value) == {"sample_sheet": {"S1": "a.bed", "S2": "b.bed"}}
    assert value.extras["rows"] == {"S1": [1, None], "S2": [2, None]}
    one, value = fill("*.bed")
    assert value is None and [problem["problem"] for problem in one.problems] == [
        "is several files, and an element of a sample sheet is one"]


SEVERAL = [(2, "S1", "fastq_1", "is several files, and an element of a sample sheet is one")]
VARYING = [(2, "S1", "lane", "'2', and '1' in line 2: the rows of a sample differ in their files only, so no input can take "
                             "it")]


@pytest.mark.parametrize("column, lanes, problems", [
    ("dose", Lanes(False), SEVERAL), ("dose", Lanes(True), []), ("lane", Lanes(True), VARYING)])
def test_rows_of_one_sample_in_a_sample_sheet(sheet, galaxy, files, column, lanes, problems):
    """Kept apart they are no element, which is noted; a value that differs among them is not taken from the first."""
    for name in ("x1.fastq", "x2.fastq"):
        (files / name).write_text("@r\nA\n+\nF\n")
    work = collection("sample_sheet", column_definitions=[{"name": column, "type": "int", "optional": False}])
    for fill in (SheetInputs.fill_rows, SheetInputs.fill_as_one):
        one = sheet("sample,fastq_1,dose,lane\nS1,x1.fastq,5,1\nS1,x2.fastq,5,2\n")
        filled = fill(SheetInputs(one, galaxy, work, {"dose": ""} if column == "lane" else {}, lanes=lanes))
        assert [tuple(problem.values()) for problem in one.problems] == problems
        if not problems:
            row = filled[0] if isinstance(filled, list) else filled
            assert row.inputs.values["0"].extras["rows"] == {"S1": [5]}


def test_several_values_in_a_cell(sheet, galaxy, files):
    work = workflow(words=step("parameter_input", parameter_type="text", multiple=True),
                    picks=step("parameter_input", parameter_type="text", multiple=True, restrictions=["a", "b,c"]))
    one = sheet('sample,words,picks\nS1,"x, y",a\nS2,z,"b,c"\nS3,"x, ,y,",a\n')
    assert row_values(one, galaxy, work) == {"S1": {"words": ["x", "y"], "picks": ["a"]},
                                             "S2": {"words": ["z"], "picks": ["b,c"]},
                                             "S3": {"words": ["x", "y"], "picks": ["a"]}}


def test_lists_in_a_list(sheet, galaxy, files):
    for sample in ("S1", "S2"):
        (files / sample / "in").mkdir(parents=True)
        (files / sample / "in" / "a.bed").write_text(sample)
    text = "sample,reads\nS1,S1\nS2,S2/*/*.bed\n"
    assert as_one(sheet(text), galaxy, collection("list:list")) == {"reads": {"list:list": {
        "S1": {"list": {"a": "a.bed"}}, "S2": {"list": {"a": "a.bed"}}}}}
    assert row_values(sheet(text), galaxy, collection("list:list")) == {
        sample: {"reads": {"list:list": {"in": {"list": {"a": "a.bed"}}}}} for sample in ("S1", "S2")}


@pytest.mark.parametrize("text, constants, problems", [
    ("sample,reads,count,beds\nS1,hda:d1,1,\nS2,,2,\nS3,hdca:c1,1,\nS4,none,1,\n", [], [
        (1, "", "", "input beds: is missing: beds=VALUE gives it files, a folder or hdca:ID"),
        (3, "S2", "reads", "is empty, and each sample is to be an element of the collection"),
        (3, "S2", "count", "'2', and '1' in line 2: it is a parameter, of which one run takes one value"),
        (4, "S3", "reads", "hdca:c1 is a collection, and can't be an element of another"),
        (5, "S4", "reads", "{files}/none: No such file or directory")]),
    ("sample,reads\nS1,[ab].bed\nS1_1,plain\n", ["beds=hdca:c1"], [
        (3, "S1_1", "reads", "a second element would be 'S1_1': rename a sample")])])
def test_each_problem_of_one_run_for_all_rows_is_noted(sheet, galaxy, files, text, constants, problems):
    one = sheet(text)
    SheetInputs(one, galaxy, WORKFLOW, {}, constants).fill_as_one()
    assert [tuple(problem.values()) for problem in one.problems] == [
        (*place, problem.format(files=files)) for *place, problem in problems]


# ------------------------------------------------------------------------------------------------- lanes of a sample

RNASEQ = """sample,fastq_1,fastq_2,strandedness
CONTROL,c_L1_1.fastq.gz,c_L1_2.fastq.gz,auto
CONTROL,c_L2_1.fastq.gz,c_L2_2.fastq.gz,auto
TREATED,t_L1_1.fastq.gz,t_L1_2.fastq.gz,auto
"""
SAREK = """patient,sex,status,sample,lane,fastq_1,fastq_2
p1,XX,0,normal,lane_10,c_L2_1.fastq.gz,c_L2_2.fastq.gz
p1,XX,0,normal,lane_2,c_L1_1.fastq.gz,c_L1_2.fastq.gz
p1,XX,1,tumor,lane_1,t_L1_1.fastq.gz,t_L1_2.fastq.gz
"""
FETCHNGS = """"sample","fastq_1","fastq_2","run_accession","experiment_accession","library_layout","fastq_md5","base_count"
"SRX1","c_L1_1.fastq.gz","c_L1_2.fastq.gz","SRR1","SRX1","PAIRED","a;b","10"
"SRX1","c_L2_1.fastq.gz","c_L2_2.fastq.gz","SRR2","SRX1","PAIRED","c;d","11"
"SRX2","t_L1_1.fastq.gz","t_L1_2.fastq.gz","SRR3","SRX2","PAIRED","e;f","12"
"""


@pytest.fixture
def lanes_there(tmp_path):
    """The files of these sheets, each a read that has its name."""
    for name in {name for sheet in (RNASEQ, SAREK, FETCHNGS) for name in re.findall(r"\w+\.fastq\.gz", sheet)}:
        (tmp_path / name).write_bytes(gzip.compress(f"@{name}\nA\n+\nF\n".encode()))
    return tmp_path


def together(one, galaxy, work, mapping=None):
    """`{sample: value}` of the one input, with the parts of each file, and the sheet's problems."""
    def outline(value):
        if hasattr(value, "elements"):
            return {name: outline(element) for name, element in value.elements}
        return [value.source.name, *(os.path.basename(path) for path in value.source.local_paths)]

    rows = SheetInputs(one, galaxy, work, mapping, lanes=Lanes(True)).fill_rows()
    return {row.sample: outline(row.inputs.values["0"]) for row in rows if "0" in row.inputs.values}, [
        tuple(problem.values()) for problem in one.problems]


@pytest.mark.parametrize("text, first, second", [(RNASEQ, "CONTROL", "TREATED"), (SAREK, "normal", "tumor"),
                                                 (FETCHNGS, "SRX1", "SRX2")], ids=["rnaseq", "sarek", "fetchngs"])
def test_rows_of_one_sample_in_nf_cores_sheets_are_one_pair(sheet, galaxy, lanes_there, text, first, second):
    """The columns that the workflow does not have need no mapping; sarek's lanes are in their order, not in the sheet's."""
    values, problems = together(sheet(text), galaxy, collection("paired"))
    assert problems == [] and values == {
        first: {"forward": [f"{first}_1.fastq.gz", "c_L1_1.fastq.gz", "c_L2_1.fastq.gz"],
                "reverse": [f"{first}_2.fastq.gz", "c_L1_2.fastq.gz", "c_L2_2.fastq.gz"]},
        second: {"forward": ["t_L1_1.fastq.gz", "t_L1_1.fastq.gz"], "reverse": ["t_L1_2.fastq.gz", "t_L1_2.fastq.gz"]}}
    values, problems = together(sheet(text), galaxy, collection("list:paired"))
    assert problems == [] and list(values[first]) == [first]


def test_kept_apart_they_are_elements_of_a_list(sheet, galaxy, lanes_there):
    assert list(row_values(sheet(RNASEQ), galaxy, collection("list:paired"))["CONTROL"]["reads"]["list:paired"]) == [
        "CONTROL_1", "CONTROL_2"]


def test_all_rows_as_one_collection_have_an_element_for_each_sample(sheet, galaxy, lanes_there):
    one = sheet(RNASEQ)
    row = SheetInputs(one, galaxy, collection("list:paired"), lanes=Lanes(True)).fill_as_one()
    assert one.problems == [] and [name for name, _ in row.inputs.values["0"].elements] == ["CONTROL", "TREATED"]


def test_single_reads_for_one_dataset(sheet, galaxy, lanes_there):
    values, problems = together(sheet(re.sub(r"(?m),[^,]*,(auto|strandedness)$", "", RNASEQ)), galaxy, workflow(
        reads=step("data_input")))
    assert problems == [] and values["CONTROL"] == ["CONTROL_1.fastq.gz", "c_L1_1.fastq.gz", "c_L2_1.fastq.gz"]


@pytest.mark.parametrize("change, problem", [
    (("c_L2_2.fastq.gz", ""), (2, "CONTROL", "fastq_1, fastq_2", "fastq_2 is empty in one of the sample's rows")),
    (("c_L2_2.fastq.gz", "c_L1_2.fastq.gz"), (2, "CONTROL", "fastq_1, fastq_2", "{0}/c_L1_2.fastq.gz: is there twice")),
    (("c_L2_2.fastq.gz", "hda:d1"), (2, "CONTROL", "fastq_1, fastq_2", "hda:d1: the sample has 2 of them, and only files "
                                     "of this machine can be put together: --lanes=separate keeps them apart, if the "
                                     "workflow takes several")),
    (("c_L2_2.fastq.gz", "x.bam"), (2, "CONTROL", "fastq_1, fastq_2", "CONTROL_2.fastq.gz: files of several datatypes "
                                    "(fastqsanger.gz, auto) can't be put together: {0}/c_L1_2.fastq.gz + x.bam")),
    (("c_L2_2.fastq.gz", "plain.fastq.gz"), (2, "CONTROL", "fastq_1, fastq_2", "{0}/c_L1_2.fastq.gz is gzip, and "
                                             "{0}/plain.fastq.gz plain text, so they can't be put together"))])
def test_rows_that_cant_be_put_together_are_problems(sheet, galaxy, lanes_there, change, problem):
    (lanes_there / "x.bam").write_bytes(b"BAM\1")
    (lanes_there / "plain.fastq.gz").write_text("@r\nA\n+\nF\n")
    _, problems = together(sheet(RNASEQ.replace(*change)), galaxy, collection("paired"))
    *place, text = problem
    assert problems == [(*place, text.format(lanes_there))]


def test_a_column_that_differs_within_a_sample_can_be_no_input(sheet, galaxy, lanes_there):
    work = workflow(reads=step("data_collection_input", collection_type="paired"),
                    lane=step("parameter_input", parameter_type="text", optional=True))
    _, problems = together(sheet(SAREK), galaxy, work)
    assert problems == [(2, "normal", "lane", "'lane_2', and 'lane_10' in line 2: the rows of a sample differ in their "
                                              "files only, so no input can take it")]
    _, problems = together(sheet(SAREK.replace("p1,XX,0,normal,lane_2", "p2,XX,0,normal,lane_2")), galaxy,
                           collection("paired"))
    assert [problem[:3] for problem in problems] == [(3, "normal", "patient")]


def test_the_newest_complete_analysis_of_a_run_has_the_reads(tmp_path, galaxy):
    path = tmp_path / "SampleSheet.csv"
    path.write_text("[BCLConvert_Data]\nSample_ID,index\nA,AC\n")

    def reads():
        one = read_sheet(str(path), str(tmp_path))
        assert one.problems == []
        return [os.path.relpath(name, tmp_path).split("/")[1] for name in one.rows[0].cells["fastq_1"]]

    for number in (2, 10):
        folder = tmp_path / "Analysis" / str(number) / "Data" / "fastq"
        folder.mkdir(parents=True)
        for lane in (1, 2):
            (folder / f"A_S1_L00{lane}_R1_001.fastq.gz").write_bytes(gzip.compress(b"@r\nA\n+\nF\n"))
    assert reads() == ["10", "10"]
    (tmp_path / "Analysis" / "2" / "CopyComplete.txt").touch()
    assert reads() == ["2", "2"]
    (tmp_path / "Analysis" / "10" / "Data" / "Secondary_Analysis_Complete.txt").touch()
    assert reads() == ["10", "10"]
