"""docs/coverage.md and its tables: up to date, every line ready to be run, and what a test is sure of."""
import sys
from pathlib import Path

import pytest
from fakes.coverage_entries import KEYS, THINGS, fill, fill_line, holds, thing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def coverage(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import make_coverage
    monkeypatch.delitem(sys.modules, "make_coverage")
    return make_coverage


def test_the_page_is_what_make_reference_writes(coverage):
    assert coverage.PAGE.read_text("utf-8") == coverage.render(), "run make reference"


def test_no_line_of_the_page_is_over_100_columns(coverage):
    assert [line for line in coverage.PAGE.read_text("utf-8").splitlines() if len(line) > coverage.WIDTH] == []


def test_there_are_211_methods_and_190_commands(coverage):
    names = coverage.load_names()
    assert [len(set(names[peer]["names"])) for peer in coverage.PEERS] == [211, 190]


def test_every_method_and_command_has_a_line(coverage):
    names = {name for peer in coverage.load_names().values() for name in peer["names"]}
    told = {name for entries in coverage.load_tables().values() for entry in entries for name in entry["for"]}
    assert names - told == set()


def test_each_entry_names_what_there_is_and_what_is_measured(coverage):
    names = {name for peer in coverage.load_names().values() for name in peer["names"]}
    for client, entries in coverage.load_tables().items():
        for entry in entries:
            assert set(entry["for"]) <= names, client
            assert set(entry) <= KEYS, entry
            assert set(entry) & {"then", "shows", "writes", "refused"}, entry


def test_words_are_filled_and_compared(monkeypatch):
    monkeypatch.setitem(THINGS, "THING", None)

    @thing
    def THING(world):
        return {"id": "f2", "size": 3}
    get = {"THING": THING(None)}.__getitem__
    assert fill({"/api/THING": ["THING.size", "A THING of THING.size", "OTHERS"]}, get) == {
        "/api/f2": [3, "A f2 of 3", "OTHERS"]}
    assert fill_line("display.py - /api/x/THING/THING.tsv", get) == "display.py - /api/x/f2/f2.tsv"


@pytest.mark.parametrize("answer, wanted, good", [
    ({"a": 1, "b": 2}, {"a": 1}, True), ({"a": 1}, {"a": 2}, False), ({"a": 1}, {"b": 1}, False),
    ([{"a": 1}, {"a": 2}], [{"a": 2}], True), ([{"a": 1}], [{"a": 2}], False), ([], [], True), ({}, [], False),
    ([{"a": 1}], {"lacks": {"a": 2}}, True), ([{"a": 1}], {"lacks": {"a": 1}}, False), (404, {"lacks": 1}, False),
    ([1], {"only": [1]}, True), ([1, 2], {"only": [1]}, False), ([], {"only": []}, True),
    (404, 404, True), (1, True, False), ("1", 1, False),
    ({"a": {"b": [1]}}, {"a": {"b": {"lacks": 2}}}, True), (404, {"a": 1}, False),
])
def test_an_answer_holds_what_is_wanted(answer, wanted, good):
    assert holds(answer, wanted) is good
