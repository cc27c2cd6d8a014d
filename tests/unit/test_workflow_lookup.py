"""Workflows, found by id, name, page or file, and what is asked for them side by side."""
import threading

import pytest
from fakes import KEY, URL
from fakes.galaxy import NAME, USER, WORKFLOW

from common import Galaxy, GalaxyError
from galaxy_api_scripts.together import limit_requests
from galaxy_api_scripts.workflows import lookup
from galaxy_api_scripts.workflows.definition import load_whole_workflow

WAIT = 20       # seconds after which a test fails that waits for another request
MINE, THEIRS, PICK = ("a" * 16, "b" * 16, "c" * 16)


@pytest.fixture
def galaxy(requests_mock):
    """One workflow of the user's own, two that others publish, of which Galaxy fails to show one."""
    def rows(request, context):
        both = {"show_shared", "show_published"} <= request.qs.keys()
        return [{"id": MINE, "name": "Map"}, *([{"id": THEIRS, "name": "Their map", "owner": "ann"},
                                                {"id": PICK, "name": "Pick", "owner": "bob"},
                                                {"id": "d" * 16, "name": "Twice", "owner": "ann"},
                                                {"id": "e" * 16, "name": "Twice", "owner": "bob"}] if both else [])]
    requests_mock.get(f"{URL}/api/workflows", json=rows)
    requests_mock.get(f"{URL}/api/workflows/{MINE}", json={"id": MINE, "name": "Map"})
    requests_mock.get(f"{URL}/api/workflows/{THEIRS}", json={"id": THEIRS, "name": "Their map"})
    requests_mock.get(f"{URL}/api/workflows/{PICK}", status_code=500, text="no")
    requests_mock.get(f"{URL}/u/ann/w/their-map", status_code=302,
                      headers={"Location": f"{URL}/published/workflow?id={THEIRS}"})
    requests_mock.get(f"{URL}/published/workflow", text="<html></html>")
    return Galaxy(KEY, URL)


@pytest.mark.parametrize("text, found", [
    ("Map", MINE), ("Their map", THEIRS), (THEIRS, THEIRS), (PICK, PICK), ("Pick", PICK),
    (f"{URL}/workflows/run?id={THEIRS}", THEIRS), (f"{URL}/workflows/edit?id={THEIRS}", THEIRS),
    (f"{URL}/workflows/{THEIRS}/invocations", THEIRS), (f"{URL}/u/ann/w/their-map", THEIRS)])
def test_a_workflow_is_found_by_id_name_and_page(galaxy, text, found):
    assert lookup.find_workflow(galaxy, text)["id"] == found


def test_whose_workflow_runs_by_its_name_is_told_unless_it_is_the_users(galaxy, requests_mock, capsys):
    """And those of others are not asked for where one of the user's own has the name."""
    lookup.find_workflow(galaxy, "Their map")
    assert capsys.readouterr().err.endswith(
        f"warning: you have no workflow 'Their map', so this is {THEIRS} of ann, who shares or publishes it: give the id if "
        "you mean this one\n")
    before = requests_mock.call_count
    lookup.find_workflow(galaxy, "Map")
    for asked in requests_mock.request_history[before:]:
        assert asked.qs["show_shared"] == ["false"] and "show_published" not in asked.qs
    for text in (THEIRS, PICK, MINE):
        lookup.find_workflow(galaxy, text)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("text, words", [
    ("Twice", "2 workflows that others share or publish are named 'Twice': d{16} of ann, e{16} of bob; give the id of one"),
    ("None", "none of your workflows on .* is named 'None'"), (f"{URL}/workflows/list", "no page of a workflow, such as"),
    ("http://other.test/workflows/run?id=1", "an address on another server than")])
def test_a_workflow_that_is_none_or_several(galaxy, text, words):
    with pytest.raises(GalaxyError, match=words):
        lookup.find_workflow(galaxy, text)


# ------------------------------------------------------------------------------------------------- the user and the views

@pytest.mark.parametrize("text", [WORKFLOW, NAME])
def test_the_user_and_the_views_of_a_workflow_are_asked_for_side_by_side(wire, text):
    """By an id all four at once, by a name the user beside the list, and then the three views."""
    limit_requests(4)
    meetings = [threading.Barrier(count) for count in ([4] if text == WORKFLOW else [2, 3])]
    for kind, meeting in {"user": 0, "workflows": 0, "workflow": -1, "exported": -1}.items():
        # A barrier that breaks breaks the request.
        wire.answers[f"GET {kind}"] = lambda handler, meeting=meeting: meetings[meeting].wait(timeout=WAIT)
    user, known = lookup.check_user_and_workflow(Galaxy(KEY, wire.url), text)
    workflow = load_whole_workflow(Galaxy(KEY, wire.url), known)
    assert (user["id"], workflow["id"], workflow["editor"]["name"]) == (USER, WORKFLOW, NAME)
    assert sorted(wire.kinds) == sorted(["GET user", *["GET workflows"] * (text == NAME), "GET workflow",
                                         *["GET exported"] * 2])


def test_a_workflow_whose_name_looks_like_an_id_is_found_all_the_same(wire):
    name = "0123456789abcdef"
    wire.answers["GET /api/workflows/" + name] = (404, {"err_msg": "none", "err_code": 404001})
    wire.answers[f"GET /api/workflows/{name}/download"] = (404, {"err_msg": "none", "err_code": 404001})
    wire.answers["GET workflows"] = (200, [{"id": WORKFLOW, "name": name}])
    assert lookup.check_user_and_workflow(Galaxy(KEY, wire.url), name)[1] == {"id": WORKFLOW, "name": name}


@pytest.mark.parametrize("key, check, words", [
    ("0" * 16, None, "401"), (KEY, GalaxyError("an older server"), "an older server")])
def test_a_file_is_imported_only_for_a_good_key_and_after_all_checks(wire, tmp_path, key, check, words):
    path = tmp_path / "w.gxwf.yml"
    path.write_text("class: GalaxyWorkflow\n")

    def raise_it():
        if check:
            raise check

    with pytest.raises(GalaxyError, match=words):
        lookup.check_user_and_workflow(Galaxy(key, wire.url), str(path), raise_it)
    assert wire.kinds and not wire.writes()
