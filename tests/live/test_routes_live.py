"""route_list.py and route_show.py on a real Galaxy, and our own table against what it answers."""
import shlex
from pathlib import Path

import pytest
import route_show
from fakes.route_tasks import TASKS

from common import Galaxy
from galaxy_api_scripts.routes.openapi import fetch_operations
from galaxy_api_scripts.routes.search import search
from galaxy_api_scripts.routes.undocumented import own_operations


@pytest.fixture
def operations(person):
    return fetch_operations(Galaxy(person.key, person.url))


def told(person, *line, **extra):
    ended = person.run(*line, **extra)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout


def test_an_operation_is_found_shown_and_sent(person, state):
    user = person.look("users/current")["id"]
    list_line = ["--limit=1", "--format=value", "--fields=method,path", person.key, person.url, "create", "api", "key"]
    method, path = told(person, "route_list.py", *list_line, **state).split()
    page = told(person, "route_show.py", person.key, person.url, method, path.replace("{user_id}", user), **state)
    verb, dash, address = shlex.split(page.splitlines()[-1])
    assert (verb, dash, address) == ("create.py", "-", f"/api/users/{user}/api_key")
    # Galaxy's answer is the new key, and the old one is no longer good.
    person.key = told(person, verb, person.key, f"{person.url}{address}", **state).split()[-1]
    assert person.look("users/current")["id"] == user
    assert len(list(Path(state["XDG_STATE_HOME"], "galaxy-api-scripts", "routes").glob("*.json"))) == 1


def test_every_operation_is_shown(person, operations, script, monkeypatch, capsys):
    monkeypatch.setattr(route_show, "fetch_operations", lambda galaxy: operations)      # asked for once, not 600 times
    failed = []
    for one in operations:
        status = script(route_show.main, person.key, person.url, one.method, one.path)
        out, err = capsys.readouterr()
        if status or err or not out.startswith(f"{one.method} {one.path}\n{one.summary}\n"):
            failed.append((one.method, one.path, err))
    assert len(operations) > 400 and failed == []


@pytest.mark.needs("described routes")
def test_the_tasks_are_found_in_the_whole_document(operations):
    missed = [words for words, names in TASKS.items()
              if not set(names) & {f"{one.method} {one.path}" for one in search(operations, words.split())[:2]}]
    assert missed == []


# What GET answers has the kind and the fields that our table says; by path, with the query that it needs.
ANSWERS = {
    "/api/tools": {"in_panel": "false"}, "/api/tools/{id}": {"io_details": "true"},
    "/api/tools/{id}/build": {"history_id": "H"}, "/api/tools/{id}/citations": {}, "/api/tools/{id}/xrefs": {},
    "/api/tools/{id}/reload": {}, "/api/tools/{id}/diagnostics": {},
    "/api/tools/{id}/requirements": {}, "/api/tools/{id}/test_data": {}, "/api/tools/all_requirements": {},
    "/api/tools/error_stack": {}, "/api/tools/tests_summary": {}, "/api/tool_panels": {}, "/api/tool_panels/{view}": {},
    "/api/sanitize_allow": {}, "/api/entry_points": {"running": "true"}, "/api/forms": {}, "/api/webhooks": {},
    "/api/workflows/{workflow_id}/download": {}, "/api/users/{id}/information/inputs": {},
    "/api/users/{id}/password/inputs": {}, "/api/users/{id}/permissions/inputs": {},
    "/api/users/{id}/toolbox_filters/inputs": {}, "/api/tool_shed": {}, "/api/trs_consume/servers": {},
    "/api/dependency_resolvers": {}, "/api/dependency_resolvers/{id}": {}, "/api/dependency_resolvers/requirements": {},
    "/api/dependency_resolvers/dependency": {"name": "x", "version": "1"}, "/api/dependency_resolvers/toolbox": {},
    "/api/dependency_resolvers/unused_paths": {}, "/api/container_resolvers": {}, "/api/container_resolvers/{index}": {},
    "/api/container_resolvers/resolve": {"tool_id": "cat1"}, "/api/container_resolvers/toolbox": {"tool_ids": "cat1"},
}


@pytest.mark.needs("described routes")
@pytest.mark.parametrize("path", ANSWERS)
def test_galaxy_answers_as_the_own_table_says(admin, workflow, path):
    about = {path: about for method, path, about in own_operations({}) if method == "GET"}[path]
    ids = {"/api/tools/{id}": "cat1", "/api/users/{id}": admin.look("users/current")["id"], "{view}": "default",
           "{workflow_id}": workflow, "{index}": "0", "{id}": "0"}
    address = path.removeprefix("/api/")
    for name, value in ids.items():
        name = name.removeprefix("/api/")
        address = address.replace(name, name.replace("{id}", value) if "/" in name else value)
    history = admin.new_history()
    answer = admin.look(address, **{name: history if value == "H" else value for name, value in ANSWERS[path].items()})
    schema = about["responses"]["200"]["content"]["application/json"]["schema"]
    assert isinstance(answer, list if schema["type"] == "array" else dict)
    first = answer[0] if isinstance(answer, list) and answer else answer
    fields = set(schema.get("items", schema).get("properties", {}))
    assert not isinstance(first, dict) or fields <= set(first)
