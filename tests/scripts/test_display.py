import pytest
from fakes import KEY

import display
from common import FAILED, USAGE


def test_it_prints_as_it_always_has(script, loopback, capsys):
    loopback.will((200, [{"id": "1", "name": "n", "url": "/api/histories/1"}]))
    assert script(display.main, KEY, f"{loopback.url}/api/histories") == 0
    told = capsys.readouterr()
    assert told.out == "Collection Members\n------------------\n#1: /api/histories/1\n  name: n\n  id: 1\n\n" \
                       "1 element(s) in collection\n"
    assert told.err == ""
    assert [asked.line for asked in loopback.asked] == ["GET /api/histories"]


def test_every_page_or_the_first_few(script, loopback, capsys):
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


def test_a_path_where_the_server_is_known(script, loopback, monkeypatch, capsys):
    monkeypatch.setenv("GALAXY_URL", loopback.url)
    monkeypatch.setenv("GALAXY_API_KEY", KEY)
    assert script(display.main, "-", "/api/version") == 0
    assert loopback.asked[0].line == "GET /api/version" and loopback.asked[0].headers["x-api-key"] == KEY


def test_it_is_refused(script, loopback, capsys):
    loopback.will((401, {"err_msg": "Provided API key is not valid.", "err_code": 401001}))
    assert script(display.main, KEY, f"{loopback.url}/api/histories") == FAILED
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and KEY not in told.err
    assert "check the key" in told.err


@pytest.mark.parametrize("line", [[], [KEY], [KEY, "URL", "more"], ["--nosuch", KEY, "URL"], ["--limit", KEY, "URL"]])
def test_a_bad_line(script, capsys, line):
    assert script(display.main, *line) == USAGE
    told = capsys.readouterr()
    assert told.out == "" and "Usage:" in told.err and KEY not in told.err


@pytest.mark.parametrize("line", [["--limit=0", KEY, "http://127.0.0.1"], [KEY, "127.0.0.1/api"], ["", "http://127.0.0.1"],
                                  ["--limit=many", KEY, "http://127.0.0.1"]])
def test_bad_values(script, capsys, line):
    assert script(display.main, *line) == USAGE
    assert capsys.readouterr().err.count("\n") == 1
