"""The operations of a server: found by words, matched by address, their fields and lines to type."""
import json
import re
import shlex
import subprocess
import sys

import pytest
from fakes import KEY, extract_openapi
from fakes.openapi import DOCUMENT
from fakes.route_tasks import BLIND_TASKS, TASKS

from common import USAGE, Galaxy, GalaxyError, parse_payload
from galaxy_api_scripts.routes import fields, openapi
from galaxy_api_scripts.routes.openapi import Operation, api_path, find_operation, list_operations, shape
from galaxy_api_scripts.routes.search import search, stem, words_of
from galaxy_api_scripts.routes.undocumented import field_schema, load_table, own_operations, own_response

OPERATIONS = list_operations(DOCUMENT)
REAL = list_operations(extract_openapi.read_extract())       # of Galaxy 26.1, without the prose


def operation(method, path, among=OPERATIONS):
    return find_operation(among, method, path)


def name_of(one):
    return f"{one.method} {one.path}"


# ------------------------------------------------------------------------------------------------------------- by words

ALL_TASKS = {**TASKS, **BLIND_TASKS}


@pytest.mark.parametrize("words", ALL_TASKS)
def test_what_a_person_types_finds_the_operation_first_or_second(words):
    assert set(map(shape, ALL_TASKS[words])) & {shape(name_of(one)) for one in search(REAL, words.split())[:2]}


@pytest.mark.parametrize("words, task", [
    ("Share a history", "share history"), ("quota of a user", "user quota"), ("Cancel my job", "cancel job"),
    ("api-key", "api key"), ("the API key of a user", "api key")])
def test_words_may_be_a_phrase(words, task):
    assert set(TASKS[task]) & set(map(name_of, search(REAL, words.split())[:2]))


def test_the_tasks_name_operations_that_there_are():
    assert len(TASKS) >= 50
    assert {name for names in TASKS.values() for name in names} <= set(map(name_of, REAL))


@pytest.mark.parametrize("words, stems", [
    ("histories history History", ["history"] * 3), ("share shared sharing", ["shar"] * 3), ("copied copy", ["copy"] * 2),
    ("share_with_users", ["shar", "with", "user"]), ("jobId access", ["job", "id", "access"])])
def test_words_are_the_same_in_all_their_forms(words, stems):
    assert list(map(stem, words_of(words))) == stems


def test_without_words_all_operations_come_in_order():
    assert list(map(name_of, search(OPERATIONS, []))) == sorted(map(name_of, OPERATIONS), key=lambda one: one.split()[::-1])


def test_a_word_that_no_operation_has_is_told_with_the_nearest():
    with pytest.raises(GalaxyError, match="no operation has the word 'quotta': did you mean quota"):
        search(OPERATIONS, ["set", "quotta"])


def test_where_no_operation_has_all_words_those_with_most_come():
    assert name_of(search(OPERATIONS, ["quota", "most_recently_used"])[0]) == "GET /api/histories/most_recently_used"


def test_a_longer_path_of_the_same_comes_after_the_shorter():
    about = {"summary": "Report on a run."}
    both = [Operation("GET", path, about, {}) for path in ("/api/flows/{id}/runs/{run}/report", "/api/runs/{run}/report")]
    assert search(both, ["run", "report"]) == both[::-1]


def test_what_is_deprecated_comes_last():
    both = [Operation("GET", "/api/things", {"summary": "Things.", "deprecated": old}, {}) for old in (True, False)]
    assert search(both, ["thing"]) == both[::-1]


# ----------------------------------------------------------------------------------------------------------- by address

@pytest.mark.parametrize("typed, path", [
    ("histories", "/api/histories"), ("/api/histories/", "/api/histories"), ("/histories", "/api/histories"),
    ("http://galaxy.test/galaxy/api/histories?limit=2", "/api/histories"), ("/galaxy/api/histories", "/api/histories"),
    ("/ga4gh/wes/v1/runs", "/ga4gh/wes/v1/runs")])
def test_a_path_is_taken_as_it_is_typed(typed, path):
    assert api_path(Galaxy(KEY, "http://galaxy.test/galaxy"), typed) == path


@pytest.mark.parametrize("method, typed, path", [
    ("GET", "/api/histories/0123abc", "/api/histories/{history_id}"),
    ("GET", "/api/histories/{id}", "/api/histories/{history_id}"),
    ("GET", "/api/histories/most_recently_used", "/api/histories/most_recently_used"),
    ("GET", "/api/histories/0123abc/datasets", "/api/histories/{history_id}/{type}s"),
    ("GET", "/api/tools/shed/repos/me/cut/1.0", "/api/tools/{id}"),
    ("GET", "/api/tools/shed/repos/me/cut/1.0/citations", "/api/tools/{id}/citations"),
    ("POST", "/api/tools/cat1/convert", "/api/tools/{tool_id}/convert")])
def test_an_address_finds_its_operation(method, typed, path):
    assert operation(method, typed).path == path


def test_every_operation_is_found_by_its_own_path_and_by_an_address():
    for one in REAL:
        assert find_operation(REAL, one.method, one.path.rstrip("/")) is one
        if "{" in one.path:
            address = re.sub(r"\{\w+\}", "0123456789abcdef", one.path.rstrip("/"))
            assert shape(find_operation(REAL, one.method, address).path) == shape(one.path)


@pytest.mark.parametrize("method, path, told, status", [
    ("FETCH", "/api/histories", "METHOD: 'FETCH' is none", USAGE),
    ("PUT", "/api/histories", "has no PUT: there are GET, POST", 1),
    ("GET", "/api/historys", "did you mean /api/histories?", 1),
    ("GET", "/api/q/u/x/z/y/k", "route_list.py finds them by words", 1)])
def test_an_address_that_there_is_not_is_told_with_what_there_is(method, path, told, status):
    with pytest.raises(GalaxyError) as refused:
        operation(method, path)
    assert told in str(refused.value) and refused.value.exit_code == status


# -------------------------------------------------------------------------------------------------------- the own table

def test_the_own_table_completes_what_the_document_leaves_out():
    sort = operation("GET", "/api/tools/{id}")
    assert (sort.summary, sort.who, sort.description) == ("Show a tool", "anybody", "")
    names = [row["field"] for row in fields.field_rows(sort)]
    assert names == ["id", "io_details", "link_details", "tool_version", "tool_uuid"]
    share = operation("PUT", "/api/histories/{history_id}/share_with_users")
    assert share.summary == "Share this item." and share.description.startswith("It may be shared.\n\nThe answer may be 200")
    assert [row["field"] for row in fields.field_rows(share)] == ["history_id", "user_ids", "share_option"]


def test_nothing_of_galaxy_26_1_is_left_without_a_word():
    assert [name_of(one) for one in REAL + OPERATIONS if not one.summary] == []
    documented = {(method.upper(), shape(path)) for path, methods in extract_openapi.read_extract()["paths"].items()
                  for method in methods}
    assert {(one.method, shape(one.path)) for one in REAL} > documented


def test_the_own_table_repeats_nothing():
    names = [(method, shape(path)) for method, path, _ in own_operations({})]
    assert len(names) == len(set(names)) >= 130


def test_operations_for_administrators_are_those_that_there_are():
    listed = load_table("administrators.yml")
    assert listed == sorted(set(listed), key=lambda one: one.split()[::-1])
    assert set(listed) <= set(map(name_of, REAL))
    assert {one.who for one in REAL if name_of(one) in listed} == {"administrators"}
    assert operation("GET", "/api/histories/x/datasets").who == "anybody"
    assert operation("POST", "/api/histories").who == "users"


@pytest.mark.parametrize("text, schema", [
    ("string!", {"type": "string"}), ("boolean = false", {"type": "boolean", "default": False}),
    ("list of string; some, or none", {"type": "array", "items": {"type": "string"}, "description": "some, or none"}),
    ("a|b = a; which", {"type": "string", "enum": ["a", "b"], "default": "a", "description": "which"}),
    ("object = {}; by name", {"type": "object", "default": {}, "description": "by name"})])
def test_a_field_in_words_is_a_schema(text, schema):
    assert field_schema(text) == schema


def test_answers_in_words():
    of = "application/json"
    assert own_response("nothing") == {} and list(own_response("file")["content"]) == ["application/octet-stream"]
    assert own_response("list of string")["content"][of]["schema"] == {"type": "array", "items": {"type": "string"}}
    assert own_response("object of id, name")["content"][of]["schema"]["properties"] == {"id": {}, "name": {}}


# --------------------------------------------------------------------------------------------------------------- fields

def rows(method, path):
    return {row["field"]: row for row in fields.field_rows(operation(method, path))}


def test_fields_of_path_query_and_body():
    assert rows("GET", "/api/histories") == {"limit": {
        "field": "limit", "in": "query", "type": "integer", "required": False, "default": 100, "choices": [], "about": ""}}
    put = rows("PUT", "/api/histories/{history_id}/share_with_users")
    assert put["history_id"]["in"] == "path" and put["history_id"]["about"] == "The history."
    assert (put["user_ids"]["type"], put["user_ids"]["required"]) == ("list of string", True)
    assert put["user_ids"]["about"] == "Ids of users"
    assert put["share_option"]["choices"] == ["make_public", "no_changes"]


def test_fields_of_fields_one_level_at_a_time():
    post = rows("POST", "/api/entries")
    assert list(post) == ["entries", "entries.src", "entries.size", "entries.place", "entries.inner", "to", "to.path",
                          "to.depth", "file", "count", "loop", "options", "options.NAME"]
    assert post["entries.src"]["choices"] == ["file", "folder"] and post["entries.src"]["required"]
    assert not post["entries.place"]["required"]        # a folder has none
    assert (post["file"]["type"], post["file"]["in"]) == ("file", "form")
    inside = fields.inner_rows(operation("POST", "/api/entries"), "entries.inner.place")
    assert [row["field"] for row in inside] == ["path", "depth"]


@pytest.mark.parametrize("name, told", [
    ("entrys", "no such field: did you mean entries"), ("count", "it has no fields: it is integer"),
    ("entries.place.x", "no such field")])
def test_a_field_that_has_no_inside(name, told):
    with pytest.raises(GalaxyError, match=told) as refused:
        fields.inner_rows(operation("POST", "/api/entries"), name)
    assert refused.value.exit_code == USAGE


def test_alternatives_of_a_body_are_shown_together():
    put = rows("PUT", "/api/quotas/{id}")
    assert [name for name, row in put.items() if row["in"] == "body"] == ["name", "all_datasets", "user_ids", "share_option"]
    assert not put["user_ids"]["required"]


def test_what_comes_back():
    assert fields.answer_rows(operation("GET", "/api/histories")) == ("list of object", [
        {"field": "id", "type": "string", "about": ""}, {"field": "tags", "type": "list", "about": ""}])
    kinds = {(method, path): fields.answer_rows(operation(method, path))[0] for method, path in (
        ("PATCH", "/api/entries"), ("PUT", "/api/entries"), ("DELETE", "/api/histories/x"),
        ("GET", "/api/histories/x/datasets"))}
    assert list(kinds.values()) == ["a file (application/pdf)", "text", "nothing, or what Galaxy does not describe",
                                    "JSON that Galaxy does not describe"]


# ------------------------------------------------------------------------------------------------------ the line to type

@pytest.mark.parametrize("method, path, line", [
    ("POST", "/api/histories", "create.py - /api/histories name=NAME"),
    ("GET", "/api/histories/{history_id}", "display.py - /api/histories/HISTORY_ID"),
    ("GET", "/api/histories/0123abc", "display.py - /api/histories/0123abc"),
    ("DELETE", "/api/histories/{history_id}", "delete.py - /api/histories/HISTORY_ID"),
    ("PUT", "/api/histories/{history_id}/share_with_users",
     """update.py - /api/histories/HISTORY_ID/share_with_users 'user_ids:=["USER_ID"]'"""),
    ("GET", "/api/histories/{history_id}/{type}s",
     "display.py - '/api/histories/HISTORY_ID/datasets?since=2026-01-31T12:00:00'"),
    ("PUT", "/api/entries", "update.py - /api/entries @FILE.json"),
    ("PATCH", "/api/entries", """update.py --patch - /api/entries src=file 'place:={"path": "PATH", "depth": 2}'"""),
    ("POST", "/api/entries",
     """create.py - /api/entries 'entries:=[{"src": "file", "place": {"path": "PATH", "depth": 2}}]' """
     """'to:={"path": "PATH", "depth": 2}' --file=file=PATH count:=1"""),
    ("POST", "/api/workflows", "create.py - /api/workflows workflow:=@FILE.ga"), ("HEAD", "/api/entries", "")])
def test_the_line_to_type(method, path, line):
    assert fields.command_line(operation(method, path), path) == line


def test_every_operation_of_galaxy_26_1_is_shown_and_its_line_has_all_that_is_required():
    for one in REAL:
        about, line = fields.field_rows(one), fields.command_line(one)
        assert all(row["type"] and re.match(r"[\w@]", row["field"]) for row in about)
        words = [word for word in shlex.split(line.partition(" - ")[2])[1:] if not word.startswith("-")]
        if not line or any("@FILE" in word for word in words):
            continue
        payload = parse_payload(words)
        body, _ = fields.body_schema(one)
        names = {row["field"] for row in about if row["in"] in ("body", "form")}
        assert set(payload) <= names, line
        for name, schema, required in fields.members(body, one.schemas):
            if name in payload:
                assert fits(payload[name], schema, one.schemas), line
            elif required and one.method != "DELETE":
                assert f"--file={name}=PATH" in line


def fits(value, schema, schemas):
    """Whether a value is of a type that a schema has, with all that is required in it."""
    kinds = {str: "string", bool: "boolean", int: "integer number", float: "number", list: "array", dict: "object"}
    for one in fields.alternatives(schema, schemas):
        kind = one.get("type", "object" if "properties" in one else "string")
        if kind in kinds[type(value)].split() and (one.get("enum") or [value]).count(value):
            inner = value if isinstance(value, list) else []
            if all(fits(part, one.get("items") or {}, schemas) for part in inner) and (
                    kind != "object" or set(one.get("required", ())) <= set(value)):
                return True
    return not fields.alternatives(schema, schemas)


# -------------------------------------------------------------------------------------------------- kept for each server

def test_the_document_is_asked_for_once_and_again_when_the_version_changes(wire):
    galaxy = Galaxy(KEY, wire.url)
    assert list(map(name_of, openapi.fetch_operations(galaxy))) == list(map(name_of, OPERATIONS))
    assert wire.kinds == ["GET version", "GET openapi"]
    openapi.fetch_operations(Galaxy(KEY, wire.url))
    assert wire.kinds[2:] == ["GET version"]
    wire.answers["GET version"] = (200, {"version_major": "26.2", "version_minor": "0"})
    openapi.fetch_operations(Galaxy(KEY, wire.url))
    assert wire.kinds[3:] == ["GET version", "GET openapi"]
    kept = openapi.kept_path(galaxy)
    assert json.loads(kept.read_bytes())["version"] == "26.2.0" and kept.stat().st_mode & 0o777 == 0o600
    assert sorted(kept.parent.iterdir()) == sorted([kept, openapi.addresses_path(galaxy)])


def test_a_server_that_hides_its_version_is_asked_each_time(wire):
    wire.answers["GET version"] = (404, {"err_msg": "no"})
    for _ in range(2):
        openapi.fetch_operations(Galaxy(KEY, wire.url))
    assert wire.kinds == ["GET version", "GET openapi"] * 2


@pytest.mark.parametrize("content", ["", "[]", '{"version": "26.1.1"}', "\0",
    *(json.dumps({"version": "26.1.1", "document": one}) for one in (
        {}, {"paths": 5}, {"paths": {"/api/x": 5}}, {"paths": {"/api/x": {"get": None}}}, {"paths": {}, "components": 5}))])
def test_a_kept_file_that_is_broken_is_replaced(wire, content):
    galaxy = Galaxy(KEY, wire.url)
    openapi.fetch_operations(galaxy)
    openapi.kept_path(galaxy).write_text(content)
    assert openapi.fetch_operations(galaxy) and openapi.read_kept(galaxy)["version"] == "26.1.1"


def test_where_nothing_can_be_kept_it_works_all_the_same(wire, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert openapi.fetch_operations(Galaxy(KEY, wire.url))


def test_servers_are_kept_apart_and_no_password_is_in_a_files_name(alone):
    names = [openapi.kept_path(Galaxy(KEY, url)).name for url in (
        "http://me:secret1@a.test", "http://a.test/galaxy", "http://a.test:81")]
    assert names == ["a.test.json", "a.test%2Fgalaxy.json", "a.test%3A81.json"]


@pytest.mark.parametrize("answer, told", [
    ((404, {"err_msg": "Not Found"}), "openapi.json is not there"), ((200, []), "describes no operations"),
    ((200, {"paths": []}), "describes no operations"), ((403, {"err_msg": "no"}), "403 Forbidden: no")])
def test_a_server_that_does_not_describe_itself(wire, answer, told):
    wire.answers["GET openapi"] = answer
    with pytest.raises(GalaxyError, match=re.escape(told)):
        openapi.fetch_operations(Galaxy(KEY, wire.url))
    assert openapi.read_kept(Galaxy(KEY, wire.url)) is None


def test_the_extract_can_be_made_again(wire, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(extract_openapi, "EXTRACT", tmp_path / "x.gz")
    monkeypatch.setitem(wire.users, "", {})
    extract_openapi.main([wire.url])
    extract = extract_openapi.read_extract()
    assert set(extract["paths"]) == set(DOCUMENT["paths"]) and "description" not in str(extract["paths"])
    assert extract["components"]["schemas"]["Share"]["required"] == ["user_ids"]


def test_neither_verb_nor_small_script_loads_the_tables():
    code = "import sys, create, update; print([name for name in sys.modules if 'routes' in name or name == 'yaml'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
