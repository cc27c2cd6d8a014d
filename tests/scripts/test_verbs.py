"""create.py, update.py and delete.py: one command line, three methods."""
import email
import email.policy
import json
import os

import pytest
from fakes import KEY

import create
import delete
import update
from common import FAILED, USAGE
from galaxy_api_scripts import rate_limit

VERBS = [(create, "POST"), (update, "PUT"), (delete, "DELETE")]
each_verb = pytest.mark.parametrize("verb, method", VERBS)


@each_verb
def test_values_are_sent_as_strings_as_the_originals_did(script, loopback, capsys, verb, method):
    loopback.will((200, {"id": "1", "deleted": True}))
    assert script(verb.main, KEY, f"{loopback.url}/api/histories/1", "name=a=b", "purge=true", "n=1.10", "e=") == 0
    request = loopback.asked[0]
    assert request.line == f"{method} /api/histories/1" and request.headers["x-api-key"] == KEY
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == {"name": "a=b", "purge": "true", "n": "1.10", "e": ""}
    assert capsys.readouterr().out == "Response\n--------\n{'id': '1', 'deleted': True}\n"


@each_verb
def test_json_and_files_are_sent(script, loopback, tmp_path, verb, method):
    file = tmp_path / "f.json"
    file.write_text('{"a": [1, 2]}')
    url = f"{loopback.url}/api/x"
    loopback.will((200, {"id": "1"}))
    assert script(verb.main, KEY, url, "tags:=[\"a\"]", f"doc:=@{file}", f"text@={file}") == 0
    assert script(verb.main, KEY, url, f"@{file}") == 0
    assert [request.json for request in loopback.asked] == [
        {"tags": ["a"], "doc": {"a": [1, 2]}, "text": '{"a": [1, 2]}'}, {"a": [1, 2]}]


@each_verb
def test_a_line_without_pairs_sends_an_empty_object_and_with_delete_no_body(script, loopback, verb, method):
    loopback.will((200, {"id": "1"}))
    assert script(verb.main, KEY, f"{loopback.url}/api/x") == 0
    assert loopback.asked[0].body == (b"" if method == "DELETE" else b"{}")


@each_verb
def test_an_empty_answer_is_a_success(script, loopback, capsys, verb, method):
    loopback.will((204, b""))
    assert script(verb.main, KEY, f"{loopback.url}/api/workflows/1") == 0
    assert capsys.readouterr().out == "Response\n--------\n"


@each_verb
def test_format_and_fields_choose_the_output(script, loopback, capsys, verb, method):
    loopback.will((200, {"id": "1", "name": "n"}))
    assert script(verb.main, "--format=value", "--fields=id", KEY, f"{loopback.url}/api/x") == 0
    assert capsys.readouterr().out == "1\n"


@each_verb
def test_a_dry_run_sends_nothing(script, loopback, capsys, verb, method):
    assert script(verb.main, "--dry-run", "--fields=id", KEY, f"{loopback.url}/api/x", "n:=1") == 0
    output = capsys.readouterr()
    assert json.loads(output.out) == {"method": method, "url": f"{loopback.url}/api/x", "payload": {"n": 1}}
    assert loopback.asked == [] and KEY not in output.out


@each_verb
def test_an_error_is_one_line_on_standard_error(script, loopback, capsys, verb, method):
    loopback.will((403, {"err_msg": "History is not owned by user", "err_code": 403003}))
    assert script(verb.main, KEY, f"{loopback.url}/api/histories/1", "name=x") == FAILED
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and "History is not owned by user" in output.err


@each_verb
@pytest.mark.parametrize("line", [[], [KEY], [KEY, "http://127.0.0.1", "no pair"], [KEY, "http://127.0.0.1", "n:=["]])
def test_a_bad_line_is_a_usage_error_and_shows_no_key(script, capsys, verb, method, line):
    assert script(verb.main, *line) == USAGE
    assert KEY not in capsys.readouterr().err


def test_create_prints_lists_member_by_member(script, loopback, capsys):
    loopback.will((200, [{"id": "1", "name": "n", "url": "/api/libraries/1"}]))
    assert script(create.main, KEY, f"{loopback.url}/api/libraries", "name=n") == 0
    assert capsys.readouterr().out == "Response\n--------\n/api/libraries/1\n  name: n\n  id: 1\n"


# -------------------------------------------------------------------------------------------- PATCH, and files in a form

def test_patch_sends_a_patch(script, loopback, capsys):
    loopback.will((200, {"id": "1", "name": "n"}))
    assert script(update.main, "--patch", KEY, f"{loopback.url}/api/libraries/1", "name=n") == 0
    assert (loopback.asked[0].line, loopback.asked[0].json) == ("PATCH /api/libraries/1", {"name": "n"})
    assert script(update.main, "--patch", "--dry-run", KEY, f"{loopback.url}/api/libraries/1", "name=n") == 0
    assert '"method": "PATCH"' in capsys.readouterr().out and loopback.count() == 1


def parts_of(request):
    """`{name: (filename, content)}` of a multipart form, as Python's own parser reads it."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
    return {part.get_param("name", header="content-disposition"): (part.get_filename(), part.get_payload(decode=True))
            for part in message.iter_parts()}


def test_files_go_in_a_form_with_the_other_fields(script, loopback, tmp_path, capsys):
    content = os.urandom(2**20 + 1)     # more than a block
    (tmp_path / "a b.tgz").write_bytes(content)
    (tmp_path / "empty").write_bytes(b"")
    loopback.will((200, {"id": "j"}))
    assert script(create.main, f"--file=archive_file={tmp_path}/a b.tgz", f"--file=other={tmp_path}/empty", "--format=value",
                  "--fields=id", KEY, f"{loopback.url}/api/histories", "name=x y", "n:=[1, 2]") == 0
    [request] = loopback.asked
    assert request.line == "POST /api/histories" and request.headers["x-api-key"] == KEY
    assert int(request.headers["Content-Length"]) == len(request.body)
    assert parts_of(request) == {"name": (None, b"x y"), "n": (None, b"[1, 2]"), "archive_file": ("a b.tgz", content),
                                 "other": ("empty", b"")}
    assert capsys.readouterr().out == "j\n"


def test_a_dry_run_names_the_files_and_sends_nothing(script, loopback, tmp_path, capsys):
    (tmp_path / "f").write_text("x")
    assert script(create.main, "-n", f"--file=a={tmp_path}/f", KEY, f"{loopback.url}/api/histories", "b=c") == 0
    assert json.loads(capsys.readouterr().out)["payload"] == {"b": "c", "a": f"@{tmp_path}/f"} and loopback.asked == []


@pytest.mark.parametrize("word, words", [("a", "--file=a: expected NAME=PATH"), ("=x", "--file==x: expected NAME=PATH"),
                                         ("a=", "--file=a=: expected NAME=PATH"), ("a=nosuch", "No such file"),
                                         ("a=.", ".: not a file")])
def test_a_file_that_is_none_is_refused_before_anything_is_sent(script, loopback, tmp_path, monkeypatch, capsys, word,
                                                                 words):
    monkeypatch.chdir(tmp_path)
    assert script(create.main, f"--file={word}", KEY, f"{loopback.url}/api/histories") == USAGE
    assert words in capsys.readouterr().err and loopback.asked == []


def test_a_form_takes_no_whole_payload_beside_its_files(script, loopback, tmp_path, capsys):
    (tmp_path / "f").write_text("[1]")
    assert script(create.main, f"--file=a={tmp_path}/f", KEY, f"{loopback.url}/api/histories", f"@{tmp_path}/f") == USAGE
    assert "a form takes NAME=VALUE" in capsys.readouterr().err and loopback.asked == []


def test_a_file_that_changes_while_it_is_sent_is_no_success(script, loopback, tmp_path, monkeypatch, capsys):
    (tmp_path / "f").write_bytes(b"x" * 100)

    def grow(part):
        with open(tmp_path / "f", "ab") as file:
            file.write(b"y")
        return iter([part])
    monkeypatch.setattr(rate_limit.RateLimit, "slices", lambda self, part: grow(part))
    assert script(create.main, f"--file=a={tmp_path}/f", KEY, f"{loopback.url}/api/histories") == FAILED
    assert "changed while it was sent" in capsys.readouterr().err
