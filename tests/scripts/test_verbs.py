"""create.py, update.py and delete.py: one command line, three methods."""
import email
import email.policy
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from fakes import KEY, extract_openapi

import create
import delete
import display
import update
from common import FAILED, USAGE, Galaxy, parse_payload
from galaxy_api_scripts import rate_limit
from galaxy_api_scripts.files import state_folder
from galaxy_api_scripts.routes.fields import body_schema, command_line, members
from galaxy_api_scripts.routes.openapi import kept_path, list_operations

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


# ------------------------------------------------------------------------------------------------- checked before it is sent

EXTRACT = extract_openapi.read_extract()        # what Galaxy 26.1 says of itself
MAIN = {"POST": [create.main], "PUT": [update.main], "PATCH": [update.main, "--patch"], "DELETE": [delete.main],
        "GET": [display.main]}
DESCRIPTION = {"GET version", "GET openapi"}


def lines_with_a_required_field():
    """Method, address, words and the name of a required field of each operation that requires one."""
    for one in list_operations(EXTRACT):
        required = [name for name, _, required in members(body_schema(one)[0], one.schemas) if required]
        address, *words = shlex.split(command_line(one).partition(" - ")[2] or "-")
        if required and one.method != "DELETE" and not any(re.search("--file|@FILE", word) for word in words):
            yield one.method, address, words, next(name for name in parse_payload(words) if name in required)


def test_misspelt_and_missing_fields_are_told_before_anything_is_sent(script, wire, capsys):
    wire.answers["GET openapi"] = (200, EXTRACT)
    lines = list(lines_with_a_required_field())[::2]
    assert len(lines) >= 40
    for method, address, words, name in lines:
        line = [*MAIN[method], "--check", KEY, wire.url + address]
        assert script(*line, *(re.sub(f"^{name}(?=:?=)", f"{name}z", word) for word in words)) == USAGE
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and f"{name}z: no such field is described" in err
        assert script(*line, *(word for word in words if not re.match(f"{name}:?=", word))) == USAGE
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and re.search(rf"missing: .*\b{name}\b", err)
    assert set(wire.kinds) == DESCRIPTION and wire.kinds.count("GET openapi") == 1


@pytest.mark.parametrize("asked", [True, False])
def test_a_line_that_is_right_is_sent_and_without_check_any_line_with_one_request(script, wire, monkeypatch, asked):
    wire.answers["POST histories"] = (200, {"id": "1"})
    monkeypatch.setenv("GALAXY_CHECK", "1" if asked else "0")
    assert script(create.main, KEY, f"{wire.url}/api/histories", "name=x" if asked else "nam=x") == 0
    assert wire.asked[-1].line == "POST /api/histories"
    assert len(wire.asked) == (3 if asked else 1)


@pytest.mark.parametrize("main, address, words, told", [
    (display.main, "/api/histories?limt=1", [], "?limt: no such parameter of the address is described: did you mean limit?"),
    (display.main, "/api/historys", [], "URL: no operation has the address /api/historys: did you mean /api/histories?"),
    (display.main, "/histories", [], "is no address of the API, which has /api/ behind the server's own"),
    (update.main, "/api/histories", [], "URL: /api/histories has no PUT: there are GET, POST"),
    (update.main, "/api/histories/0123456789abcdef/share_with_user", [], "histories/0123456789abcdef/share_with_users?"),
    (delete.main, "/api/histories/1", ["purg:=true"], "purg: no such field is described: did you mean purge?"),
    (create.main, "/api/histories", ["name=x", "all_datasets=true"], "NAME=VALUE sends a string: all_datasets:=true"),
    (create.main, "/api/libraries/1/permissions", ['access_ids[]:=["a"]'], "missing: action: set_permissions goes with"),
    (create.main, "/api/histories", ["--file=archive=FILE"], "archive: no such field is described: did you mean archive_")])
def test_what_is_wrong_is_told_in_one_line(script, wire, tmp_path, capsys, main, address, words, told):
    wire.answers["GET openapi"] = (200, EXTRACT)
    (tmp_path / "f").touch()
    words = [word.replace("FILE", f"{tmp_path}/f") for word in words]
    assert script(main, "--check", KEY, wire.url + address, *words) == USAGE
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and told in err and set(wire.kinds) <= DESCRIPTION


@pytest.mark.parametrize("prefix, path", [("", "/ga4gh/wes/v1/runs"), ("/galaxy", "/ga4gh/wes/v1/runs"),
                                          ("/galaxy", "/api/jobs")])
def test_the_description_is_that_of_the_server_with_its_prefix(script, wire, prefix, path):
    wire.will((200, {"version_major": "26.1"}))
    assert script(display.main, "--check", KEY, f"{wire.url}{prefix}{path}") == FAILED
    assert [request.path for request in wire.asked] == [f"{prefix}/api/version", f"{prefix}/openapi.json"]


def test_what_cannot_be_known_is_a_warning_and_sent(script, wire, capsys):
    wire.answers.update({"GET openapi": (200, EXTRACT)})
    assert script(update.main, "-n", "--check", KEY, f"{wire.url}/api/datasets/0123456789abcdef", "nam=x") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["payload"] == {"nam": "x"}
    assert err == ("warning: PUT /api/datasets/{dataset_id}: nam: no such field is described: did you mean name?\n")


def test_a_server_that_does_not_describe_itself_is_sent_nothing(script, wire, capsys):
    wire.answers["GET openapi"] = (404, {"err_msg": "no"})
    assert script(create.main, "--check", KEY, f"{wire.url}/api/histories", "name=x") == FAILED
    assert "openapi.json is not there" in capsys.readouterr().err and set(wire.kinds) == DESCRIPTION


@pytest.mark.parametrize("main, answer, words, told", [
    (update.main, (400, {"err_msg": "Bad.", "err_code": 400008}), ["user_idss:=[]"],
     "400 Bad Request: Bad; user_idss: no such field is described: did you mean user_ids?"),
    (update.main, (404, {"err_msg": "Gone.", "err_code": 404001}), ["user_ids:=[]"], "404 Not Found: Gone"),
    (update.main, (403, {"err_msg": "Not yours."}), ["user_idss:=[]"], "403 Forbidden: Not yours")])
def test_a_kept_description_explains_a_refusal_without_a_request(script, wire, capsys, main, answer, words, told):
    address = f"{wire.url}/api/histories/1/share_with_users"
    wire.will(answer)
    assert script(main, KEY, address, *words) == FAILED
    before = capsys.readouterr().err
    assert "described" not in before
    keep_description(wire)
    assert script(main, KEY, address, *words) == FAILED
    after = capsys.readouterr().err
    assert after.rstrip("\n").endswith(told) and after.startswith(before.rstrip("\n")) and len(wire.asked) == 2


@pytest.mark.parametrize("document", [{}, {"paths": {"/api/x": []}}, {"paths": {"/api/x": {"get": 1}}}, {"paths": {}}])
def test_a_kept_description_that_makes_no_sense_hides_no_refusal(script, wire, capsys, document):
    wire.will((400, {"err_msg": "Bad."}))
    keep_description(wire, document)
    assert script(display.main, KEY, f"{wire.url}/api/x") == FAILED
    assert "400 Bad Request: Bad" in capsys.readouterr().err


def test_what_is_not_described_explains_no_refusal(script, wire, capsys):
    wire.will((400, {"err_msg": "Bad."}))
    keep_description(wire)
    assert script(update.main, KEY, f"{wire.url}/api/users/1/toolbox_filters/inputs", "x:=true") == FAILED
    assert capsys.readouterr().err.endswith("400 Bad Request: Bad\n")


def test_a_kept_description_tells_the_nearest_address(script, wire, capsys):
    wire.will((404, {"err_msg": "Not Found"}))
    keep_description(wire)
    assert script(display.main, KEY, f"{wire.url}/api/historys") == FAILED
    assert capsys.readouterr().err.endswith("no operation has the address /api/historys: did you mean /api/histories?\n")


def keep_description(wire, document=EXTRACT):
    state_folder("routes")
    kept_path(Galaxy(KEY, wire.url)).write_text(json.dumps({"version": "26.1.1", "document": document}))


def test_without_the_package_a_check_is_refused_and_a_refusal_is_told_as_it_is(loopback):
    loopback.will((404, {"err_msg": "Not Found"}))
    hidden = "import sys, display, common; sys.modules['galaxy_api_scripts'] = None; sys.exit(common.run(display.main))"
    for words, told, count in (["--check"], "the folder galaxy_api_scripts is missing", 0), ([], "404 Not Found", 1):
        ended = subprocess.run([sys.executable, "-c", hidden, *words, KEY, f"{loopback.url}/api/x"], capture_output=True,
                               text=True)
        assert ended.returncode == FAILED and ended.stderr.count("\n") == 1 and told in ended.stderr
        assert len(loopback.asked) == count
