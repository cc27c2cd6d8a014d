"""`show` in every style, and the text that the original verbs printed."""
import csv
import io
import json

import pytest

import common
from common import USAGE, GalaxyError, format_table, output_options, print_answer, print_members, print_response, show

ROWS = [{"id": "33e0000000000012", "version": "1.10", "size": 3, "done": True, "tags": ["a", "é"], "gone": None},
        {"id": "0000000000000001", "version": " 2 ", "size": 0.5, "done": False, "tags": [], "extra": {"k": "v"}}]


def printed(capsys, *arguments):
    show(*arguments)
    return capsys.readouterr().out


def test_tables_never_rewrite_values(capsys):
    table = printed(capsys, ROWS, "table", ["id", "version", "size", "done", "tags", "gone"]).splitlines()
    assert table[0].split() == ["id", "version", "size", "done", "tags", "gone"]
    assert table[2].split() == ["33e0000000000012", "1.10", "3", "true", '["a",', '"é"]']
    assert " 2 " in table[3]


def test_a_recipes_own_stream_needs_no_more_than_write(monkeypatch):
    class Stream:
        text = ""

        def write(self, text):
            self.text += text

    stream = Stream()
    monkeypatch.setattr("sys.stdout", stream)
    print_members([{"name": "a\x1bb"}])
    print_answer("done")
    assert "  name: a\x1bb\n" in stream.text and stream.text.endswith("done\n")


def test_every_key_that_occurs_is_a_column(capsys):
    assert "extra" in printed(capsys, ROWS, "table").splitlines()[0]
    assert "extra" in printed(capsys, ROWS, "csv").splitlines()[0]


def test_json_is_printed_whole(capsys):
    assert json.loads(printed(capsys, ROWS, "json")) == ROWS
    assert json.loads(printed(capsys, ROWS[0], "json")) == ROWS[0]
    assert json.loads(printed(capsys, ROWS, "json", ["id", "gone"])) == [
        {"id": "33e0000000000012", "gone": None}, {"id": "0000000000000001", "gone": None}]
    assert printed(capsys, "text", "json") == '"text"\n'
    assert printed(capsys, None, "json") == "null\n"
    assert printed(capsys, [], "json") == "[]\n"


def test_jsonl_rows_are_printed_as_they_come(capsys):
    def rows():
        yield ROWS[0]
        assert json.loads(capsys.readouterr().out) == ROWS[0]
        yield ROWS[1]
    assert json.loads(printed(capsys, rows(), "jsonl")) == ROWS[1]


@pytest.mark.parametrize("style, separator", [("csv", ","), ("tsv", "\t")])
def test_csv_and_tsv_are_read_back_whole(capsys, style, separator):
    rows = [{"name": 'a "b", c\td\ne', "n": 1.10}, {"name": "", "n": None}]
    lines = list(csv.reader(io.StringIO(printed(capsys, rows, style)), delimiter=separator))
    assert lines == [["name", "n"], ['a "b", c\td\ne', "1.1"], ["", ""]]


def test_value_prints_the_cells_alone(capsys):
    assert printed(capsys, ROWS, "value", ["id", "size"]) == "33e0000000000012\t3\n0000000000000001\t0.5\n"
    assert printed(capsys, "1.0", "value") == "1.0\n"


def test_a_tabulate_style_is_taken(capsys):
    assert printed(capsys, ROWS, "github", ["id"]).startswith("| id")


@pytest.mark.parametrize("style, text", [
    ("table", "value\n-------\ntext\n"), ("json", '"text"\n'), ("jsonl", '"text"\n'), ("csv", "value\ntext\n"),
    ("tsv", "value\ntext\n"), ("value", "text\n")])
def test_a_string_is_printed_in_every_style(capsys, style, text):
    assert printed(capsys, "text", style) == text


@pytest.mark.parametrize("style, text", [
    ("table", "\n"), ("json", "[]\n"), ("jsonl", ""), ("csv", "\n"), ("tsv", "\n"), ("value", "")])
def test_an_empty_list_is_printed_in_every_style(capsys, style, text):
    assert printed(capsys, [], style) == text


def test_an_unknown_style_is_a_usage_error():
    with pytest.raises(GalaxyError, match="--format=exel: expected one of table, json") as excinfo:
        output_options({"--format": "exel", "--fields": None}).values()
    assert excinfo.value.exit_code == USAGE


@pytest.mark.parametrize("style", ["table", "json", "jsonl", "csv", "value"])
def test_an_unknown_field_is_a_usage_error(style, capsys):
    with pytest.raises(GalaxyError, match="no field nmae in the answer: there are id, version") as excinfo:
        show(ROWS, style, ["id", "nmae"])
    assert excinfo.value.exit_code == USAGE


def test_a_field_that_only_some_rows_have_is_printed(capsys):
    assert printed(capsys, ROWS, "tsv", ["extra"]) == 'extra\n""\n"{""k"": ""v""}"\n'


def test_plain_prints_where_neither_style_nor_fields_are_set(capsys):
    show(iter(ROWS), None, [], plain=lambda answer: print(len(answer)))
    assert capsys.readouterr().out == "2\n"


# ------------------------------------------------------------------------------- byte for byte, as pipelines read it

@pytest.mark.parametrize("answer, text", [
    ([{"id": "1", "url": "/api/h/1", "name": "n", "tags": [], "deleted": False, "size": None}, {"b": 1, "a": {"x": 1}}],
     "Collection Members\n------------------\n#1: /api/h/1\n  name: n\n  id: 1\n  tags: []\n  deleted: False\n"
     "  size: None\n  b: 1\n  a: {'x': 1}\n\n2 element(s) in collection\n"),
    (["one", "two"], "Collection Members\n------------------\n  one\n  two\n\n2 element(s) in collection\n"),
    ([["Human (hg38)", "hg38"], []], "Collection Members\n------------------\nHuman (hg38)\nhg38\n\n"
     "2 element(s) in collection\n"),
    ([], "Collection Members\n------------------\n\n0 element(s) in collection\n"),
    ({"version_major": "26.1", "extra": None, "l": [1, "a"]},
     "Member Information\n------------------\nversion_major: 26.1\nextra: None\nl: [1, 'a']\n"),
    ({}, "Member Information\n------------------\n"),
    ("text", "text\n"), (5, "5\n"), (1.5, "1.5\n"), (True, "true\n"), (None, "null\n"),
])
def test_print_members_prints_as_the_original_display(capsys, answer, text):
    print_members(answer)
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("answer, text", [
    ([{"url": "/api/l/1", "name": "n", "id": "1"}, {"id": "2"}, "three"],
     "/api/l/1\n  name: n\n  id: 1\n----\n  id: 2\nthree\n"),
    ({"id": "1", "name": None}, "{'id': '1', 'name': None}\n"), ("text", "text\n"), (5, "5\n"), (None, ""), ([], ""),
])
def test_print_response_prints_as_the_original_create(capsys, answer, text):
    print_response(answer)
    assert capsys.readouterr().out == "Response\n--------\n" + text


@pytest.mark.parametrize("answer, text", [
    ([{"id": "1"}], "[{'id': '1'}]\n"), ({"id": "1"}, "{'id': '1'}\n"), ("text", "text\n"), (None, ""), (True, "True\n")])
def test_print_answer_prints_as_the_original_update_and_delete(capsys, answer, text):
    print_answer(answer)
    assert capsys.readouterr().out == "Response\n--------\n" + text


def test_upright_prints_a_line_for_each_field(capsys):
    show({"id": "1", "name": "a\nb", "gone": None}, "table", ["name", "id"], upright=True)
    assert capsys.readouterr().out == "field    value\n-------  -------\nname     a\n         b\nid       1\n"
    show({"id": "1"}, "json", upright=True)
    assert json.loads(capsys.readouterr().out) == {"id": "1"}
    show([{"id": "1"}], "table", upright=True)
    assert capsys.readouterr().out.split() == ["id", "----", "1"]


def test_output_options_refuses_a_field_that_is_not_known(capsys):
    args = {"--format": "csv", "--fields": "id,size,age"}
    assert output_options(args) == {"format": "csv", "fields": ["id", "size", "age"]}
    assert output_options(args, ["age", "id", "size"]) == {"format": "csv", "fields": ["id", "size", "age"]}
    with pytest.raises(GalaxyError, match="no size, age: there are id, name") as excinfo:
        output_options(args, ["id", "name"]).values()
    assert excinfo.value.exit_code == USAGE


def test_wide_letters_do_not_shift_columns():
    rows = [{"name": "漢字", "id": "a"}, {"name": "é\u0301e", "id": "b"}, {"name": "plain", "id": "c"}]
    assert format_table(rows).splitlines() == ["name    id", "------  ----", "漢字    a", "é\u0301e      b", "plain   c"]


@pytest.mark.parametrize("columns", [80, 200])
def test_a_table_fits_the_terminal_and_cuts_no_id(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [{"id": "toolshed.g2.bx.psu.edu/a", "name": "word " * 50, "label": "漢" * 150, "state": "ok"}]
    lines = format_table(rows, fits=True).splitlines()
    assert columns - 4 <= max(common.display_width(line) for line in lines) <= columns
    assert "toolshed.g2.bx.psu.edu/a  word" in lines[2] and lines[2].count("…") == 2 and lines[2].endswith("  ok")
    assert format_table(rows).splitlines()[2].count("word") == 50       # nothing is cut where it goes to a file
