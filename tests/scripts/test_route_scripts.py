"""route_list.py and route_show.py: their output, and the lines that they refuse."""
import json

import pytest
import route_list
import route_show
from fakes import KEY

from common import FAILED, USAGE


def test_list_prints_the_best_first(script, wire, capsys):
    assert script(route_list.main, KEY, wire.url, "share", "history") == 0
    head, _, first, *others = capsys.readouterr().out.splitlines()
    assert head.split() == ["method", "path", "summary"] and others
    assert first.split(None, 2) == ["PUT", "/api/histories/{history_id}/share_with_users", "Share this item."]


def test_list_with_words_prints_ten_unless_told_otherwise(script, wire, capsys):
    for option, count in ([], 10), (["--limit=12"], 12):
        assert script(route_list.main, "--format=value", *option, KEY, wire.url, "tool") == 0
        assert capsys.readouterr().out.count("\n") == count


def test_list_takes_words_in_one_argument(script, wire, capsys):
    assert script(route_list.main, "--limit=1", "--format=value", "--fields=path", KEY, wire.url, "share history") == 0
    assert capsys.readouterr().out == "/api/histories/{history_id}/share_with_users\n"


def test_list_without_words_prints_all(script, wire, capsys):
    assert script(route_list.main, "--format=json", "--method=patch", KEY, wire.url) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in answer][:2] == ["/api/entries", "/api/job_files/resumable_upload/{session_id}"]
    assert set(answer[0]) == {"method", "path", "summary"}


def test_list_has_more_fields(script, wire, capsys):
    assert script(route_list.main, "--format=jsonl", "--fields=who,description", "--limit=1", KEY, wire.url, "share") == 0
    about = json.loads(capsys.readouterr().out)
    assert about["who"] == "users" and about["description"].startswith("It may be shared.")


@pytest.mark.parametrize("main, words, told, status", [
    (route_list.main, ["--method=FETCH", KEY, "URL"], "--method=FETCH: expected one of GET, POST", USAGE),
    (route_list.main, ["--fields=x", KEY, "URL"], "--fields: there is no x", USAGE),
    (route_list.main, ["--limit=0", KEY, "URL"], "--limit=0: expected an integer, 1 or more", USAGE),
    (route_list.main, [KEY, "URL", "quotta"], "no operation has the word 'quotta': did you mean quota?", FAILED),
    (route_show.main, [KEY, "URL", "GET"], "missing: PATH", USAGE),
    (route_show.main, [KEY, "URL", "FETCH", "histories"], "METHOD: 'FETCH' is none", USAGE),
    (route_show.main, [KEY, "URL", "GET", "historys"], "did you mean /api/histories?", FAILED),
    (route_show.main, ["--inside=nam", KEY, "URL", "POST", "histories"], "no such field: did you mean name?", USAGE)])
def test_a_bad_line_is_one_line(script, wire, capsys, main, words, told, status):
    assert script(main, *(wire.url if word == "URL" else word for word in words)) == status
    out, err = capsys.readouterr()
    assert out == "" and told in err.splitlines()[0]


def test_show_prints_a_page(script, wire, capsys):
    assert script(route_show.main, KEY, wire.url, "put", "histories/{history_id}/share_with_users") == 0
    assert capsys.readouterr().out == """\
PUT /api/histories/{history_id}/share_with_users
Share this item.

It may be shared.

The answer may be 200 and nothing shared: update.py tells that. Others no longer share it then: history_share.py adds some.

Who may: users

field         in    type            required    choices                  about
------------  ----  --------------  ----------  -----------------------  ------------
history_id    path  string          yes                                  The history.
user_ids      body  list of string  yes                                  Ids of users
share_option  body  string                      make_public, no_changes

Comes back: object

field    type
-------  ------
id       string
tags     list

update.py - /api/histories/HISTORY_ID/share_with_users 'user_ids:=["USER_ID"]'
"""


def test_show_without_fields_or_a_verb(script, wire, capsys):
    assert script(route_show.main, KEY, wire.url, "HEAD", "/api/entries") == 0
    assert capsys.readouterr().out == """\
HEAD /api/entries
Are they there?

Who may: users

Comes back: nothing, or what Galaxy does not describe

None of the verbs sends HEAD.
"""


def test_show_prints_the_fields_alone_as_json(script, wire, capsys):
    assert script(route_show.main, "--format=json", KEY, wire.url, "GET", "histories") == 0
    assert json.loads(capsys.readouterr().out) == [{"field": "limit", "in": "query", "type": "integer", "required": False,
                                                    "default": 100, "choices": [], "about": ""}]


def test_show_prints_what_is_inside_a_field(script, wire, capsys):
    line = ["--inside=to", "--format=csv", "--fields=field,required", KEY, wire.url, "POST", "entries"]
    assert script(route_show.main, *line) == 0
    assert capsys.readouterr().out == "field,required\npath,yes\ndepth,yes\n"


def test_show_takes_an_address_with_ids(script, wire, capsys):
    assert script(route_show.main, KEY, wire.url, "GET", f"{wire.url}/api/histories/0123abc") == 0
    assert capsys.readouterr().out.endswith("\ndisplay.py - /api/histories/0123abc\n")


def test_both_need_no_key(script, wire, capsys):
    wire.users[""] = {}
    assert script(route_list.main, "anonymous", wire.url, "quota") == 0
    assert script(route_show.main, "anonymous", wire.url, "PUT", "quotas/ID") == 0
