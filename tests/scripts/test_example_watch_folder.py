"""example_watch_folder.py: what it sends for a file, and what it leaves alone; the rest is in test_folder_watch.py."""
import itertools
from urllib.parse import parse_qs, urlsplit

import example_watch_folder
import pytest
from fakes import KEY, URL

from common import FAILED, INTERRUPTED, SOME_FAILED, TRY_LATER, USAGE
from galaxy_api_scripts.batch import watcher
from galaxy_api_scripts.batch.ledger import Ledger

main = example_watch_folder.main


@pytest.fixture
def folders(tmp_path, clock, monkeypatch):
    """Two folders, and a clock that moves only in pauses."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.fixture
def line(folders):
    return [KEY, f"{URL}/api/", folders / "in", folders / "out", "Imports", "w"]


@pytest.fixture
def galaxy(requests_mock):
    """A Galaxy that accepts everything; it has the histories that were created, and an older one of each name."""
    asked, numbers = [], itertools.count(1)
    requests_mock.get(f"{URL}/api/workflows/w/download", json={"steps": {}})
    requests_mock.get(f"{URL}/api/workflows/w", json={
        "id": "w", "name": "Flow", "inputs": {"0": {"label": "table", "uuid": "u"}},
        "steps": {"0": {"type": "data_input", "tool_inputs": {}}}})
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "is_admin": True})
    requests_mock.get(f"{URL}/api/configuration", json={"allow_library_path_paste": True})
    requests_mock.get(f"{URL}/api/libraries", json=[{"id": "L", "name": "Imports", "root_folder_id": "F1"}])
    requests_mock.post(f"{URL}/api/libraries/L/contents", json=lambda request, context: [{"id": f"ld{next(numbers)}"}])
    requests_mock.get(f"{URL}/api/jobs", json=[{"id": "j", "state": "running"}])
    requests_mock.get(f"{URL}/api/libraries/datasets/ld1", [{"json": {"state": "queued"}}, {"json": {"state": "ok"}}])
    requests_mock.get(f"{URL}/api/libraries/datasets/ld2", json={"state": "ok"})
    requests_mock.get(f"{URL}/api/histories", json=lambda request, context: [
        one for one in [{"id": "old", "name": named(request), "count": 3}, *asked] if one["name"] == named(request)])
    requests_mock.post(f"{URL}/api/histories", json=lambda request, context: asked.append(
        {"id": f"h{len(asked)}", "name": request.json()["name"], "count": 0}) or asked[-1])
    requests_mock.get(f"{URL}/api/histories/h0", json={"id": "h0", "deleted": False})
    requests_mock.get(f"{URL}/api/invocations", json=[])
    requests_mock.get(f"{URL}/api/invocations/i", json={"id": "i", "state": "new"})
    requests_mock.post(f"{URL}/api/workflows/w/invocations", json={"id": "i", "state": "new"})
    return requests_mock


def named(request):
    return parse_qs(urlsplit(request.url).query)["qv"][0]


def sent(galaxy):
    return [(f"{request.method} {request.url.removeprefix(f'{URL}/api/')}", request.json())
            for request in galaxy.request_history if request.method != "GET"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_gets_its_run_and_moves(script, galaxy, folders, line, capsys):
    file = folders / "in" / "a b.tsv"
    file.write_text("x")
    assert script(main, "--once", *line) == 0
    assert sent(galaxy) == [
        ("POST histories", {"name": "a b.tsv - Flow"}),
        ("POST libraries/L/contents", {"folder_id": "F1", "create_type": "file", "file_type": "auto", "dbkey": "?",
                                       "upload_option": "upload_paths", "filesystem_paths": str(file)}),
        ("POST workflows/w/invocations", {"history_id": "h0", "inputs": {"0": {"src": "ld", "id": "ld1"}},
                                          "inputs_by": "step_index", "no_add_to_history": True})]
    assert capsys.readouterr() == ("{'id': 'i', 'state': 'new'}\n", "")
    assert names(folders / "in") == [] and (folders / "out" / "a b.tsv").read_text() == "x"


def test_a_second_start_sends_nothing(script, galaxy, folders, line):
    (folders / "in" / "a").write_text("x")
    assert script(main, "--once", *line) == 0
    before = len(sent(galaxy))
    assert script(main, "--once", *line) == 0 and len(sent(galaxy)) == before == 3


def test_a_file_of_a_used_name_gets_a_history_of_its_own(script, galaxy, folders, line):
    for content in ("x", "another"):
        (folders / "in" / "a").write_text(content)
        assert script(main, "--once", *line) == 0
    assert [body["history_id"] for what, body in sent(galaxy) if "invocations" in what] == ["h0", "h1"]
    assert names(folders / "out") == ["a", "a.2"]


def test_a_missing_library_is_created(script, galaxy, folders, line):
    galaxy.get(f"{URL}/api/libraries", json=[{"id": "X", "name": "imports", "root_folder_id": "F9"}])
    galaxy.post(f"{URL}/api/libraries", json={"id": "L", "root_folder_id": "F1"})
    assert script(main, "--once", *line) == 0
    assert sent(galaxy) == [("POST libraries", {"name": "Imports"})]


def test_what_is_not_complete_is_left_alone(script, galaxy, folders, line, clock, monkeypatch):
    inbox = folders / "in"
    for name in (".hidden", "a.part", "a.tmp", "a~", "a.crdownload", "growing"):
        (inbox / name).write_text("x")
    (inbox / "folder").mkdir()
    (inbox / "empty").touch()
    sleep = clock.sleep

    def growing(seconds):
        (inbox / "growing").write_text("xx")
        sleep(seconds)
    monkeypatch.setattr(clock, "sleep", growing)
    assert script(main, "--once", *line) == 0 and sent(galaxy) == []


def test_a_dry_run_sends_nothing(script, galaxy, folders, line, capsys):
    (folders / "in" / "a").write_text("x")
    galaxy.get(f"{URL}/api/libraries", json=[])
    assert script(main, "--dry-run", *line) == 0
    assert capsys.readouterr().out == f"{folders / 'in' / 'a'}\n" and sent(galaxy) == [] and not (folders / "state").exists()


def test_it_watches_until_it_is_interrupted(script, galaxy, folders, line, clock, monkeypatch):
    """It scans again while there is nothing to do, and takes a file that comes later."""
    sleep, times = clock.sleep, []

    def pausing(seconds):
        times.append(seconds)
        if len(times) == 3:
            (folders / "in" / "late").write_text("x")
        if len(times) > 40:
            raise KeyboardInterrupt
        sleep(seconds)
    monkeypatch.setattr(clock, "sleep", pausing)
    assert script(main, *line) == INTERRUPTED
    assert names(folders / "out") == ["late"]


def test_a_file_that_fails_stops_no_other_and_is_tried_by_the_next_start(script, galaxy, folders, line, capsys):
    for name in ("bad", "good"):
        (folders / "in" / name).write_text(name)
    galaxy.get(f"{URL}/api/libraries/datasets/ld1", json={"state": "error", "misc_info": "no such file"})
    assert script(main, "--once", *line) == SOME_FAILED
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "bad: library dataset ld1 ended in state error: no such file" in told
    assert names(folders / "in") == ["bad"] and names(folders / "out") == ["good"]
    galaxy.post(f"{URL}/api/libraries/L/contents", json=[{"id": "ld2"}])
    assert script(main, "--once", *line) == 0 and names(folders / "in") == []


def test_a_file_whose_job_was_killed_with_galaxy_is_not_waited_for(script, galaxy, folders, line, capsys):
    """Its library dataset stays queued for good (26.1)."""
    (folders / "in" / "a").write_text("x")
    galaxy.get(f"{URL}/api/jobs", [{"json": [{"id": "j", "state": "running"}]}, {"json": []}])
    galaxy.get(f"{URL}/api/libraries/datasets/ld1", json={"state": "queued"})
    assert script(main, "--once", *line) == FAILED
    assert "library dataset ld1 ended in state queued: its job is gone" in capsys.readouterr().err
    assert names(folders / "in") == ["a"]


def test_a_file_whose_run_is_refused_stays(script, galaxy, folders, line, capsys):
    (folders / "in" / "a").write_text("x")
    galaxy.post(f"{URL}/api/workflows/w/invocations", status_code=400, json={"err_msg": "no such input"})
    assert script(main, "--once", *line) == FAILED
    assert "no such input" in capsys.readouterr().err and names(folders / "in") == ["a"]


@pytest.mark.parametrize("name", ["a ", "a\nb"])
def test_a_path_that_galaxy_can_not_find_is_refused(script, galaxy, folders, line, capsys, name):
    (folders / "in" / name).write_text("x")
    assert script(main, "--once", *line) == FAILED
    assert "rename it" in capsys.readouterr().err and sent(galaxy) == []


@pytest.mark.parametrize("about, words", [
    ({"inputs": {"0": {"label": "a"}, "1": {"label": "b"}}}, "other inputs than one for a dataset"),
    ({"inputs": {}}, "other inputs than one for a dataset"),
    ({"steps": {"0": {"type": "data_collection_input"}}}, "other inputs than one for a dataset"),
    ({"inputs": {"0": {"label": "a"}, "1": {"label": "n"}}, "steps": {
        "0": {"type": "data_input"}, "1": {"type": "parameter_input"}}}, "input 1 (n) is a parameter without a default")])
def test_a_workflow_with_other_inputs_is_refused(script, galaxy, line, capsys, about, words):
    galaxy.get(f"{URL}/api/workflows/w", json={
        "id": "w", "name": "Flow", "inputs": {"0": {"label": "a"}}, "steps": {"0": {"type": "data_input"}}, **about})
    assert script(main, *line) == USAGE
    told = capsys.readouterr()
    assert words in told.err.splitlines()[0] and told.err.splitlines()[1].startswith("index") and sent(galaxy) == []


@pytest.mark.parametrize("path, answer, words", [
    ("users/current", {"id": "u", "is_admin": False}, "naming paths on the server needs an administrator's key"),
    ("configuration", {"allow_library_path_paste": False}, "allow_path_paste: true in galaxy.yml")])
def test_a_server_without_allow_path_paste_is_refused(script, galaxy, folders, line, capsys, path, answer, words):
    (folders / "in" / "a").write_text("x")
    galaxy.get(f"{URL}/api/{path}", json=answer)
    assert script(main, "--once", *line) == FAILED
    told = capsys.readouterr()
    assert words in told.err and told.err.count("\n") == 1 and sent(galaxy) == []


def test_a_second_process_is_told_to_try_again_later(script, galaxy, folders, line, capsys):
    with Ledger(watcher.default_ledger(URL, str(folders / "in"), "w")):
        assert script(main, "--once", *line) == TRY_LATER
    assert "is at work on it" in capsys.readouterr().err
    assert script(main, "--once", *line) == 0


@pytest.mark.parametrize("change", [{2: "nosuch"}, {3: "nosuch"}, {3: "in"}, {4: " "}, {5: ""}, {5: "w?x"}])
def test_a_bad_command_line_is_refused(script, galaxy, line, folders, capsys, change):
    for place, value in change.items():
        line[place] = folders / value if place in (2, 3) else value
    assert script(main, *line) == USAGE
    assert capsys.readouterr().err.count("\n") == 1 and galaxy.call_count == 0
    assert script(main, *line[:5]) == USAGE and script(main, "--pause=0", *line) == USAGE
