"""display.py: what it asks and prints, and its errors."""
import pytest
from fakes import KEY

import display
from common import FAILED, USAGE


def test_a_list_is_printed_as_the_original_did(script, loopback, capsys):
    loopback.will((200, [{"id": "1", "name": "n", "url": "/api/histories/1"}]))
    assert script(display.main, KEY, f"{loopback.url}/api/histories") == 0
    output = capsys.readouterr()
    assert output.out == "Collection Members\n------------------\n#1: /api/histories/1\n  name: n\n  id: 1\n\n" \
                       "1 element(s) in collection\n"
    assert output.err == ""
    assert [request.line for request in loopback.asked] == ["GET /api/histories"]


def test_all_prints_every_page_and_limit_the_first_members(script, loopback, capsys):
    loopback.will((200, [{"id": str(number)} for number in range(5)]))
    assert script(display.main, "--all", "--format=value", KEY, f"{loopback.url}/api/histories") == 0
    assert capsys.readouterr().out == "0\n1\n2\n3\n4\n"
    assert script(display.main, "--limit=2", KEY, f"{loopback.url}/api/histories") == 0
    assert capsys.readouterr().out.endswith("\n2 element(s) in collection\n")
    assert "limit=2" in loopback.asked[-1].path


def test_fields_alone_make_a_table(script, loopback, capsys):
    loopback.will((200, [{"id": "1", "name": "n"}]))
    assert script(display.main, "--fields=name,id", KEY, f"{loopback.url}/api/histories") == 0
    assert capsys.readouterr().out == "name    id\n------  ----\nn       1\n"


def test_a_path_is_joined_to_galaxy_url(script, loopback, monkeypatch, capsys):
    monkeypatch.setenv("GALAXY_URL", loopback.url)
    monkeypatch.setenv("GALAXY_API_KEY", KEY)
    assert script(display.main, "-", "/api/version") == 0
    assert loopback.asked[0].line == "GET /api/version" and loopback.asked[0].headers["x-api-key"] == KEY


def test_an_error_is_one_line_on_standard_error(script, loopback, capsys):
    loopback.will((401, {"err_msg": "Provided API key is not valid.", "err_code": 401001}))
    assert script(display.main, KEY, f"{loopback.url}/api/histories") == FAILED
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and KEY not in output.err
    assert "check the key" in output.err


@pytest.mark.parametrize("line", [[], [KEY], [KEY, "URL", "more"], ["--nosuch", KEY, "URL"], ["--limit", KEY, "URL"]])
def test_a_bad_line_prints_the_usage_and_no_key(script, capsys, line):
    assert script(display.main, *line) == USAGE
    output = capsys.readouterr()
    assert output.out == "" and "Usage:" in output.err and KEY not in output.err


@pytest.mark.parametrize("line", [["--limit=0", KEY, "http://127.0.0.1"], [KEY, "127.0.0.1/api"], ["", "http://127.0.0.1"],
                                  ["--limit=many", KEY, "http://127.0.0.1"]])
def test_a_bad_value_is_one_line_on_standard_error(script, capsys, line):
    assert script(display.main, *line) == USAGE
    assert capsys.readouterr().err.count("\n") == 1
