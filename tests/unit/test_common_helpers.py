"""The eight helpers that recipes import, and what recipes of the time catch."""
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
from fakes import KEY, URL

import common
from common import TRY_LATER, USAGE, Galaxy, GalaxyError, url_on_route

ROOT = Path(__file__).parents[2]


def run_recipe(*arguments, **environment):
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment})


def test_make_url_adds_the_key_unless_it_is_there():
    assert common.make_url("K", "http://h/api/x") == "http://h/api/x?key=K"
    assert common.make_url("K", "http://h/api/x?a=1", [("b", "2 3")]) == "http://h/api/x?a=1&key=K&b=2 3"
    assert common.make_url("K", "http://h/api/x?key=Z") == "http://h/api/x?key=Z"
    assert common.make_url("K", "http://h/api/x", [("q", "a%20b")]) == "http://h/api/x?key=K&q=a%20b"       # as it is given
    assert common.make_url("K", "http://h/api/x?key=Z", [("b", 1)]) == "http://h/api/x?key=Z&b=1"


def test_make_url_makes_its_key_a_secret():
    common.make_url(KEY, "http://h/api/x")
    assert common.redact(f"no {KEY}") == "no ***"


def test_the_eight_helpers_return_json(loopback):
    loopback.will((200, {"id": "1"}))
    url = f"{loopback.url}/api/histories"
    assert common.get(KEY, url) == common.post(KEY, url, {"a": 1}) == common.put(KEY, url, {"a": 2}) == {"id": "1"}
    assert common.display(KEY, url, return_formatted=False) == {"id": "1"}
    assert common.submit(KEY, url, {"a": 3}, return_formatted=False) == {"id": "1"}
    assert common.update(KEY, url, {"a": 4}, False) == common.delete(KEY, url, {"a": 5}, False) == {"id": "1"}
    assert [(request.method, request.body) for request in loopback.asked[1:]] == [
        ("POST", b'{"a": 1}'), ("PUT", b'{"a": 2}'), ("GET", b""), ("POST", b'{"a": 3}'), ("PUT", b'{"a": 4}'),
        ("DELETE", b'{"a": 5}')]


def test_the_four_helpers_print_as_the_originals(loopback, capsys):
    loopback.will((200, {"id": "1", "tags": []}))
    url = f"{loopback.url}/api/histories"
    assert common.submit(KEY, url, {}) is None
    common.update(KEY, url, {})
    common.delete(KEY, url, {})
    common.display(KEY, url)
    response = "Response\n--------\n{'id': '1', 'tags': []}\n"
    assert capsys.readouterr().out == response * 3 + "Member Information\n------------------\nid: 1\ntags: []\n"


@pytest.mark.parametrize("ask", [
    lambda url: common.display(KEY, url), lambda url: common.get(KEY, url), lambda url: common.post(KEY, url, {}),
    lambda url: common.put(KEY, url, {}), lambda url: common.submit(KEY, url, {}, return_formatted=False),
    lambda url: common.update(KEY, url, {}), lambda url: common.delete(KEY, url, {}, return_formatted=False)])
def test_the_eight_helpers_raise_urllibs_errors_too(loopback, clock, monkeypatch, capsys, ask):
    loopback.will((404, {"err_msg": "History not found"}))
    with pytest.raises(HTTPError) as excinfo:
        ask(f"{loopback.url}/api/histories/1")
    error = excinfo.value
    assert isinstance(error, GalaxyError) and (error.status, error.err_msg) == (404, "History not found")
    assert (error.code, error.reason, json.loads(error.read())) == (404, "Not Found", {"err_msg": "History not found"})
    assert "History not found" in str(error) and capsys.readouterr() == ("", "")
    with pytest.raises(URLError) as excinfo:
        ask("http://127.0.0.1:9/api/histories")
    assert not isinstance(excinfo.value, HTTPError) and excinfo.value.exit_code == TRY_LATER
    assert "connection refused" in str(excinfo.value.reason)


def test_a_recipe_that_catches_nothing_ends_with_one_line(loopback, tmp_path):
    loopback.will((400, {"err_msg": "Malformed id", "err_code": 400009}))
    recipe = tmp_path / "recipe.py"
    recipe.write_text("import sys\nfrom common import display\ndisplay(sys.argv[1], sys.argv[2], return_formatted=False)\n")

    def process(**environment):
        return run_recipe(recipe, KEY, f"{loopback.url}/api/histories/1", **environment)
    assert (process().returncode, process().stdout, process().stderr.count("\n")) == (1, "", 1)
    assert process().stderr.startswith("recipe.py: GET http://127.0.0.1:") and "Malformed id" in process().stderr
    assert "Traceback" in process(GALAXY_DEBUG="1").stderr and KEY not in process(GALAXY_DEBUG="1").stderr
    recipe.write_text(recipe.read_text() + "nosuch\n")
    loopback.will((200, {}))
    assert "NameError" in process().stderr


def test_an_uncaught_error_names_the_recipes_line_to_change(loopback, tmp_path):
    loopback.will((404, {"err_msg": "History not found"}))
    recipe = tmp_path / "recipe.py"
    recipe.write_text(f"import common\n\nurl = '{loopback.url}/api/histories'\n"
                      f"print(common.submit({KEY!r}, url, {{}}, return_formatted=False))\n")
    result = run_recipe(recipe)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "History not found" in result.stderr
    assert "line 4 of recipe.py: submit raises where it returned a text" in result.stderr


@pytest.mark.parametrize("route, path, address", [
    ("", "/api/anything/x", "/api/anything/x"), ("histories", "", "/api/histories"),
    ("histories", "/api/", "/api/histories"),
    ("histories", "/galaxy", "/galaxy/api/histories"), ("histories", "/api/histories/", "/api/histories"),
    ("histories", "/api/histories?v=dev", "/api/histories?v=dev"),
    ("histories/ID", "/api/histories/h-1", "/api/histories/h-1"),
    ("libraries/ID/contents", "/api/libraries/l1", "/api/libraries/l1/contents"),
    ("libraries/ID/contents", "/galaxy/api/libraries/l1/contents", "/galaxy/api/libraries/l1/contents")])
def test_url_on_route_completes_an_address_of_the_route(route, path, address):
    assert url_on_route(Galaxy(KEY, URL + path), route) == URL + address


@pytest.mark.parametrize("route, path", [
    ("histories", "/api/libraries"), ("histories", "/api/histories/h1"), ("histories", "/api/histories/h1/contents"),
    ("histories", "/api/historiesx"), ("histories/ID", ""), ("histories/ID", "/api"), ("histories/ID", "/api/histories"),
    ("histories/ID", "/api/libraries/h1"), ("histories/ID", "/api/histories/h1/contents"),
    ("histories/ID", "/api/histories/a.b"), ("libraries/ID/contents", "/api/libraries"),
    ("libraries/ID/contents", "/api/histories/h1/contents"), ("libraries/ID/contents", "/api/libraries/a/b/contents")])
def test_url_on_route_refuses_an_address_of_another_route(route, path):
    with pytest.raises(GalaxyError, match=f"and this script needs {URL}/api/{route}$") as excinfo:
        url_on_route(Galaxy(KEY, URL + path), route)
    assert excinfo.value.exit_code == USAGE
