import csv
import io
import json

import pytest

from common import USAGE, GalaxyError, output_options, print_answer, print_members, print_response, show

ROWS = [{"id": "33e0000000000012", "version": "1.10", "size": 3, "done": True, "tags": ["a", "é"], "gone": None},
        {"id": "0000000000000001", "version": " 2 ", "size": 0.5, "done": False, "tags": [], "extra": {"k": "v"}}]


def shown(capsys, *what):
    show(*what)
    return capsys.readouterr().out


def test_tables_never_rewrite_values(capsys):
    table = shown(capsys, ROWS, "table", ["id", "version", "size", "done", "tags", "gone"]).splitlines()
    assert table[0].split() == ["id", "version", "size", "done", "tags", "gone"]
    assert table[2].split() == ["33e0000000000012", "1.10", "3", "true", '["a",', '"é"]']
    assert " 2 " in table[3]


def test_every_key_that_occurs_is_a_column(capsys):
    assert "extra" in shown(capsys, ROWS, "table").splitlines()[0]
    assert "extra" in shown(capsys, ROWS, "csv").splitlines()[0]


def test_json(capsys):
    assert json.loads(shown(capsys, ROWS, "json")) == ROWS
    assert json.loads(shown(capsys, ROWS[0], "json")) == ROWS[0]
    assert json.loads(shown(capsys, ROWS, "json", ["id", "gone"])) == [
        {"id": "33e0000000000012", "gone": None}, {"id": "0000000000000001", "gone": None}]
    assert shown(capsys, "text", "json") == '"text"\n'
    assert shown(capsys, None, "json") == "null\n"
    assert shown(capsys, [], "json") == "[]\n"


def test_jsonl_goes_out_as_it_comes(capsys):
    def rows():
        yield ROWS[0]
        assert json.loads(capsys.readouterr().out) == ROWS[0]
        yield ROWS[1]
    assert json.loads(shown(capsys, rows(), "jsonl")) == ROWS[1]


@pytest.mark.parametrize("style, separator", [("csv", ","), ("tsv", "\t")])
def test_separated_values_come_back_whole(capsys, style, separator):
    odd = [{"name": 'a "b", c\td\ne', "n": 1.10}, {"name": "", "n": None}]
    rows = list(csv.reader(io.StringIO(shown(capsys, odd, style)), delimiter=separator))
    assert rows == [["name", "n"], ['a "b", c\td\ne', "1.1"], ["", ""]]


def test_values_alone(capsys):
    assert shown(capsys, ROWS, "value", ["id", "size"]) == "33e0000000000012\t3\n0000000000000001\t0.5\n"
    assert shown(capsys, "1.0", "value") == "1.0\n"


def test_tabulates_own_styles(capsys):
    assert shown(capsys, ROWS, "github", ["id"]).startswith("| id")


@pytest.mark.parametrize("style, text", [
    ("table", "value\n-------\ntext\n"), ("json", '"text"\n'), ("jsonl", '"text"\n'), ("csv", "value\ntext\n"),
    ("tsv", "value\ntext\n"), ("value", "text\n")])
def test_an_answer_that_is_no_object(capsys, style, text):
    assert shown(capsys, "text", style) == text


@pytest.mark.parametrize("style, text", [
    ("table", "\n"), ("json", "[]\n"), ("jsonl", ""), ("csv", "\n"), ("tsv", "\n"), ("value", "")])
def test_an_empty_list(capsys, style, text):
    assert shown(capsys, [], style) == text


def test_an_unknown_style():
    with pytest.raises(GalaxyError, match="--format=exel: expected one of table, json") as caught:
        output_options({"--format": "exel", "--fields": None}).values()
    assert caught.value.exit_code == USAGE


@pytest.mark.parametrize("style", ["table", "json", "jsonl", "csv", "value"])
def test_an_unknown_field(style, capsys):
    with pytest.raises(GalaxyError, match="no field nmae in the answer: there are id, version") as caught:
        show(ROWS, style, ["id", "nmae"])
    assert caught.value.exit_code == USAGE


def test_a_field_that_only_some_have(capsys):
    assert shown(capsys, ROWS, "tsv", ["extra"]) == 'extra\n""\n"{""k"": ""v""}"\n'


def test_plain_is_for_no_wish(capsys):
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
def test_display(capsys, answer, text):
    print_members(answer)
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("answer, text", [
    ([{"url": "/api/l/1", "name": "n", "id": "1"}, {"id": "2"}, "three"],
     "/api/l/1\n  name: n\n  id: 1\n----\n  id: 2\nthree\n"),
    ({"id": "1", "name": None}, "{'id': '1', 'name': None}\n"), ("text", "text\n"), (5, "5\n"), (None, ""), ([], ""),
])
def test_submit(capsys, answer, text):
    print_response(answer)
    assert capsys.readouterr().out == "Response\n--------\n" + text


@pytest.mark.parametrize("answer, text", [
    ([{"id": "1"}], "[{'id': '1'}]\n"), ({"id": "1"}, "{'id': '1'}\n"), ("text", "text\n"), (None, ""), (True, "True\n")])
def test_update_and_delete(capsys, answer, text):
    print_answer(answer)
    assert capsys.readouterr().out == "Response\n--------\n" + text


def test_a_single_thing_upright(capsys):
    show({"id": "1", "name": "a\nb", "gone": None}, "table", ["name", "id"], upright=True)
    assert capsys.readouterr().out == "field    value\n-------  -------\nname     a\n         b\nid       1\n"
    show({"id": "1"}, "json", upright=True)
    assert json.loads(capsys.readouterr().out) == {"id": "1"}
    show([{"id": "1"}], "table", upright=True)
    assert capsys.readouterr().out.split() == ["id", "----", "1"]


def test_fields_that_there_are_not_where_it_is_known(capsys):
    args = {"--format": "csv", "--fields": "id,size,age"}
    assert output_options(args) == {"format": "csv", "fields": ["id", "size", "age"]}
    assert output_options(args, ["age", "id", "size"]) == {"format": "csv", "fields": ["id", "size", "age"]}
    with pytest.raises(GalaxyError, match="no size, age: there are id, name") as caught:
        output_options(args, ["id", "name"]).values()
    assert caught.value.exit_code == USAGE
