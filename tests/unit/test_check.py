"""The check of a request against the server's description."""
import json
import shlex

import pytest
from fakes import extract_openapi
from fakes.openapi import DOCUMENT

from common import parse_payload
from galaxy_api_scripts.routes import fields
from galaxy_api_scripts.routes.check import Problem, find_problems
from galaxy_api_scripts.routes.openapi import Operation, find_operation, list_operations

OPERATIONS = list_operations(DOCUMENT)
REAL = list_operations(extract_openapi.read_extract())       # of Galaxy 26.1
HISTORY = "/api/histories/0123456789abcdef"


def texts(method, address, data=None, files=(), among=OPERATIONS):
    path, _, query = address.partition("?")
    operation = find_operation(among, method, path)
    return [problem.text for problem in find_problems(operation, path.rstrip("/"), query, data, files)]


def read_line(line, tmp_path, schema, schemas):
    """Address, payload and names of files of a line of create.py, update.py, delete.py or display.py."""
    (tmp_path / "FILE.json").write_text(json.dumps(fields.example("x", schema, schemas)))
    (tmp_path / "FILE.ga").write_text("{}")
    address, *words = shlex.split(line.partition(" - ")[2])
    payload = parse_payload([word.replace("@FILE", f"@{tmp_path}/FILE") for word in words if not word.startswith("--file=")])
    return address, payload, [word.split("=")[1] for word in words if word.startswith("--file=")]


# ------------------------------------------------------------------------------------------------------ all of Galaxy 26.1

def test_the_line_that_route_show_suggests_passes_for_every_operation(tmp_path):
    checked = 0
    for one in REAL:
        line = fields.command_line(one)
        if line:
            address, payload, files = read_line(line, tmp_path, fields.body_schema(one)[0], one.schemas)
            assert texts(one.method, address, payload, files, REAL) == [], line
            checked += 1
    assert checked == len([one for one in REAL if one.method != "HEAD"]) >= 600


def test_each_field_of_a_line_is_told_where_it_is_misspelt_and_where_it_is_missing(tmp_path):
    misspelt, missing = set(), set()
    for one in REAL:
        body, _ = fields.body_schema(one)
        if not body or one.method == "DELETE" or (list(fields.members(body, one.schemas)) or [("NAME",)])[0][0] == "NAME":
            continue
        address, payload, files = read_line(fields.command_line(one), tmp_path, body, one.schemas)
        for name in payload:
            rest = {other: value for other, value in payload.items() if other != name}
            told = texts(one.method, address, {**rest, f"{name}x": payload[name]}, files, REAL)
            assert any(text.startswith(f"{name}x: no such field is described") for text in told), (one.method, one.path)
            misspelt.add(one)
        for name, _, required in fields.members(body, one.schemas):
            if required and name in payload:
                rest = {other: value for other, value in payload.items() if other != name}
                assert any(name in text.partition("missing: ")[2].split(", ")
                           for text in texts(one.method, address, rest, files, REAL)), (one.method, one.path, name)
                missing.add(one)
    assert len(misspelt) > 100 and len(missing) > 70


@pytest.mark.parametrize("method, address, data, told", [
    ("POST", "/api/histories", {"nam": "x"}, ["nam: no such field is described: did you mean name?"]),
    ("POST", "/api/histories", {"archive_file": "x"}, ["archive_file: expected file: --file=archive_file=PATH"]),
    ("POST", "/api/users", {"emial": "x", "username": "x", "password": "x"},
     ["emial: no such field is described: did you mean email?"]),
    ("PUT", f"{HISTORY}/share_with_users", {"user_ids": "x"},
     ["user_ids: expected list of string, and NAME=VALUE sends a string: 'user_ids:=[\"USER_ID\"]'"]),
    ("POST", "/api/dataset_collections", {"collection_type": "list", "element_identifiers": [{"src": "hdda", "id": "x"}]},
     ["element_identifiers.0.src: no such choice: did you mean hda?"]),
    ("DELETE", "/api/tool_shed_repositories/0123456789abcdef", {"remove_from_disk": True},
     ["it takes no fields but in the address, as ?remove_from_disk=VALUE: remove_from_disk"]),
    ("GET", "/api/histories?limt=3", None, ["?limt: no such parameter of the address is described: did you mean limit?"]),
    ("GET", "/api/histories?limit=x&deleted=True", None, ["?limit: expected integer"]),
    ("PUT", "/api/users/current/favorites/tool", {"object_id": "x"}, ["object_type: no such choice: did you mean tools?"]),
    ("POST", "/ga4gh/wes/v1/runs", {"workflow_type": "x", "workflow_type_version": "1"},
     ["it takes a form, which is sent where there is a file: --file=NAME=PATH"])])
def test_what_people_get_wrong(method, address, data, told):
    assert texts(method, address, data, among=REAL) == told


@pytest.mark.parametrize("method, address, data", [
    ("POST", "/api/workflows/0123456789abcdef/invocations", {"history_id": "x", "inputs": {"0": {"src": "hda", "id": "x"}}}),
    ("PUT", HISTORY, {"name": "x", "annotation": None, "tags": ["a"]}),
    ("DELETE", HISTORY, {"purge": True}), ("DELETE", HISTORY, {}),
    ("GET", "/api/datasets/0123456789abcdef/display?to_ext=txt&raw=true", None),
    ("GET", f"{HISTORY}/contents?v=dev&q=name-eq&qv=x&q=deleted&qv=false", None),
    ("POST", "/api/libraries/datasets/0123456789abcdef/permissions?action=make_private", {})])
def test_what_is_right(method, address, data):
    assert texts(method, address, data, among=REAL) == []


@pytest.mark.parametrize("method, address, data", [
    ("PUT", "/api/datasets/0123456789abcdef", {"nam": "x"}), ("POST", "/api/tools", {"history_id": "x", "toolid": "x"}),
    ("PUT", "/api/users/0123456789abcdef/toolbox_filters/inputs", {"x": True}),
    ("POST", "/api/tools/fetch", {"history_id": "x", "targets": [{"destination": {"type": "hdas"}, "elements": [
        {"src": "url", "url": "x", "nme": "x"}]}]}),
    ("GET", "/api/datasets/0123456789abcdef/display?provider=x", None)])
def test_what_cannot_be_known_is_no_error(method, address, data):
    operation = find_operation(REAL, method, address.partition("?")[0])
    assert [problem.weight for problem in find_problems(operation, *address.partition("?")[::2], data)] == [0]


# ------------------------------------------------------------------------------------------------------- kinds of schemas

PLACE = {"path": "x", "depth": 2}
ENTRY = {"src": "file", "place": PLACE}
POST = {"entries": [ENTRY], "to": PLACE, "count": 1}


@pytest.mark.parametrize("more, told", [
    ({}, []), ({"count": "7"}, []), ({"count": "x"}, ["count: expected integer, and NAME=VALUE sends a string: count:=1"]),
    ({"entries": [{"src": "file"}]}, ["missing: entries.0.place"]),
    ({"entries": [{"src": "folder", "inner": [{**ENTRY, "siz": 1}]}]},
     ["entries.0.inner.0.siz: no such field is described: did you mean size?"]),
    ({"entries": [{"src": "disk"}]}, ["entries.0.src: no such choice: expected file, folder"]),
    ({"to": {**PLACE, "depth": True}}, ["to.depth: expected integer"]), ({"to": {**PLACE, "depth": 2.0}}, []),
    ({"to": {**PLACE, "depth": 2.5}}, ["to.depth: expected integer"]), ({"loop": None}, []), ({"loop": 1}, []),
    ({"options": {"any": "x"}}, []), ({"options": {"any": 1}}, ["options.any: expected string"]),
    ({"fil": "x"}, ["fil: no such field is described: did you mean file?"])])
def test_values_in_a_form(more, told):
    assert texts("POST", "/api/entries", {**POST, **more}, ["file"]) == told


@pytest.mark.parametrize("method, address, data, told", [
    ("POST", "/api/histories", {"all_datasets": "false"},
     ["all_datasets: expected boolean, and NAME=VALUE sends a string: all_datasets:=false"]),
    ("POST", "/api/histories", {"all_datasets": "05"},
     ["all_datasets: expected boolean, and NAME=VALUE sends a string: all_datasets:=true"]),
    ("PUT", "/api/entries", float("inf"), ["the payload: expected integer"]),
    ("POST", "/api/histories", {"name": None, "all_datasets": True}, []),
    ("POST", "/api/histories", {"name": 5}, ["name: expected string: name=NAME"]),
    ("POST", "/api/histories", ["x"], ["the payload: expected object"]),
    ("POST", "/api/histories", [], ["the payload: expected object"]),
    ("PUT", "/api/entries", 5, []), ("PUT", "/api/entries", "5", ["the payload: expected integer"]),
    ("PUT", f"{HISTORY}/share_with_users", {"share_option": "no_change"},
     ["share_option: no such choice: did you mean no_changes?", "missing: user_ids"]),
    ("PUT", "/api/quotas/1", {"user_ids": []}, []),
    ("PUT", "/api/quotas/1", {"user_id": []}, ["user_id: no such field is described: did you mean user_ids?"]),
    ("GET", f"{HISTORY}/datasets?since=2026-01-31", None, []),
    ("GET", f"{HISTORY}/datasets", None, ["missing in the address: ?since"]),
    ("GET", f"{HISTORY}/things?since=x", None, ["type: no such choice: expected dataset, collection"]),
    ("GET", "/api/histories?offset=1", None, ["?offset: no such parameter of the address is described: there are limit"]),
    ("DELETE", HISTORY, {}, []), ("DELETE", HISTORY, None, [])])
def test_values(method, address, data, told):
    assert texts(method, address, data) == told


def test_a_field_in_the_address_and_a_parameter_among_the_fields_are_told():
    about = {"summary": "x", "parameters": [{"name": "deep", "in": "query", "schema": {"type": "boolean"}}],
             "requestBody": {"content": {"application/json": {"schema": {"properties": {"name": {"type": "string"}}}}}}}
    one = Operation("POST", "/api/x", about, {})
    assert [problem.text for problem in find_problems(one, "/api/x", "name=1", {"deep": True})] == [
        "?name: no such parameter of the address is described: it is a field, name=VALUE behind the address",
        "deep: it is no field, but goes into the address, as ?deep=VALUE"]


def test_a_field_of_another_alternative_is_told_as_one_too_many():
    assert texts("PUT", "/api/quotas/1", {"name": "x", "all_datasets": True, "user_ids": []}) == [
        "user_ids: no such field is described beside the others"]


def test_a_deletion_that_requires_a_body_is_not_sent_without():
    schema = {"type": "object", "properties": {"ids": {"type": "array"}}, "required": ["ids"]}
    body = {"content": {"application/json": {"schema": schema}}}
    for required, told in (True, [Problem("missing: ids")]), (False, []):
        one = Operation("DELETE", "/api/x", {"summary": "x", "requestBody": {**body, "required": required}}, {})
        assert find_problems(one, "/api/x", "", {}) == told


def test_a_value_of_any_type_is_not_looked_into():
    deep = []
    for _ in range(5000):
        deep = [deep]
    schema = {"type": "object", "properties": {"x": {"type": "array", "items": {}}}}
    about = {"summary": "x", "requestBody": {"content": {"application/json": {"schema": schema}}}}
    one = Operation("POST", "/api/x", about, {})
    assert find_problems(one, "/api/x", "", {"x": [deep]}) == []


def test_what_is_not_described_at_all_is_not_checked():
    one = Operation("POST", "/api/x", {}, {})
    assert find_problems(one, "/api/x", "", {}) == []
    assert find_problems(one, "/api/x", "a=1", {}) == [Problem("Galaxy does not describe it, so fields are not checked", 0)]
