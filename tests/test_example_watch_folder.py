"""example_watch_folder.py: which files it takes, what it sends for each, and what it does not send twice."""
import errno
import os

import example_watch_folder
import pytest

from common import INTERRUPTED, PARTLY, REFUSED, TRY_LATER, USAGE
from libraries import only_run

main = example_watch_folder.main
KEY = "0123456789abcdef0123456789abcdef"
URL = "http://galaxy.test"


@pytest.fixture
def folders(tmp_path, clock, monkeypatch):
    """Two folders, and time that goes by only in pauses."""
    monkeypatch.setattr(example_watch_folder, "time", clock)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.fixture
def line(folders):
    return [KEY, f"{URL}/api/", folders / "in", folders / "out", "Imports", "w"]


@pytest.fixture
def galaxy(requests_mock):
    """A Galaxy that does all of it; its histories and invocations are what the tests say."""
    requests_mock.get(f"{URL}/api/workflows/w", json={
        "id": "w", "name": "Flow", "inputs": {"0": {"label": "table", "uuid": "u"}},
        "steps": {"0": {"type": "data_input", "tool_inputs": {}}}})
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "is_admin": True})
    requests_mock.get(f"{URL}/api/configuration", json={"allow_library_path_paste": True})
    requests_mock.get(f"{URL}/api/libraries", json=[{"id": "L", "name": "Imports", "root_folder_id": "F1"}])
    requests_mock.post(f"{URL}/api/libraries/L/contents", json=[{"id": "ld"}])
    requests_mock.get(f"{URL}/api/libraries/datasets/ld", [{"json": {"state": "queued"}}, {"json": {"state": "ok"}}])
    requests_mock.get(f"{URL}/api/histories", json=[])
    requests_mock.post(f"{URL}/api/histories", json={"id": "h"})
    requests_mock.put(f"{URL}/api/histories/h", json={"id": "h"})
    requests_mock.get(f"{URL}/api/invocations", json=[])
    requests_mock.post(f"{URL}/api/workflows/w/invocations", json={"id": "i", "state": "new"})
    return requests_mock


def sent(galaxy):
    return [(f"{request.method} {request.url.removeprefix(f'{URL}/api/')}", request.json())
            for request in galaxy.request_history if request.method != "GET"]


def mark(path):
    about = os.stat(path)
    return f"{path}, {about.st_size} bytes, changed at {about.st_mtime_ns} ns, for workflow w: library dataset "


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_gets_its_run_and_moves(script, galaxy, folders, line, capsys):
    file = folders / "in" / "a b.tsv"
    file.write_text("x")
    annotation = mark(file) + "ld"
    assert script(main, "--once", *line) == 0
    assert sent(galaxy) == [
        ("POST libraries/L/contents", {"folder_id": "F1", "create_type": "file", "file_type": "auto", "dbkey": "?",
                                       "upload_option": "upload_paths", "filesystem_paths": str(file)}),
        ("POST histories", {"name": "a b.tsv - Flow"}), ("PUT histories/h", {"annotation": annotation}),
        ("POST workflows/w/invocations", {"history": "hist_id=h", "inputs": {"0": {"src": "ld", "id": "ld"}},
                                          "inputs_by": "step_index"}),
        ("PUT histories/h", {"annotation": f"{annotation}, moved"})]
    assert capsys.readouterr() == ("{'id': 'i', 'state': 'new'}\n", "")
    assert names(folders / "in") == [] and (folders / "out" / "a b.tsv").read_text() == "x"


def test_the_library_is_made_where_there_is_none(script, galaxy, folders, line):
    galaxy.get(f"{URL}/api/libraries", json=[{"id": "X", "name": "imports", "root_folder_id": "F9"}])
    galaxy.post(f"{URL}/api/libraries", json={"id": "L", "root_folder_id": "F1"})
    assert script(main, "--once", *line) == 0
    assert sent(galaxy) == [("POST libraries", {"name": "Imports"})]


def test_what_is_not_complete_is_left_alone(script, galaxy, folders, line, clock, monkeypatch, capsys):
    inbox = folders / "in"
    for name in (".hidden", "a.part", "a.tmp", "a~", "a.crdownload", "growing"):
        (inbox / name).write_text("x")
    (inbox / "folder").mkdir()
    (inbox / "dangling").symlink_to("nowhere")

    def sleep(seconds):
        with open(inbox / "growing", "a") as file:
            file.write("x")
        (inbox / "new").write_text("x")
    monkeypatch.setattr(clock, "sleep", sleep)
    assert script(main, "--once", *line) == 0
    assert sent(galaxy) == [] and capsys.readouterr() == ("", "")


def test_a_dry_run_sends_nothing(script, galaxy, folders, line, capsys):
    galaxy.get(f"{URL}/api/libraries", json=[])
    (folders / "in" / "a").write_text("x")
    assert script(main, "-n", *line) == 0
    assert capsys.readouterr() == (f"{folders}/in/a\n", "") and sent(galaxy) == [] and names(folders / "in") == ["a"]


def test_for_ever_until_interrupted(script, galaxy, folders, line, clock, monkeypatch, capsys):
    """Files that come later are taken too, one that failed is told once, and again when it has changed."""
    inbox, looks = folders / "in", []
    (inbox / "empty").touch()

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 4:
            (inbox / "late").write_text("x")
        if len(looks) == 6:
            (inbox / "empty").write_text("filled")
        if len(looks) == 9:
            raise KeyboardInterrupt
    monkeypatch.setattr(clock, "sleep", sleep)
    galaxy.get(f"{URL}/api/libraries/datasets/ld", json={"state": "ok"})
    assert script(main, "--pause=7", *line) == INTERRUPTED
    told = capsys.readouterr()
    assert set(looks) == {7} and names(folders / "out") == ["empty", "late"]
    assert told.err.count("in/empty: is empty") == 1 and told.err.count("\n") == 2 and told.out.count("\n") == 2


def test_after_a_kill_the_run_is_found(script, galaxy, folders, line, capsys):
    file = folders / "in" / "a"
    file.write_text("x")
    galaxy.get(f"{URL}/api/histories", json=[{"id": "e", "annotation": None, "count": 0},
                                             {"id": "h", "annotation": mark(file) + "ld", "count": 3}])
    galaxy.get(f"{URL}/api/invocations", json=[{"id": "bad", "state": "failed"}, {"id": "i", "state": "completed"}])
    assert script(main, "--once", "--format=value", "--fields=id", *line) == 0
    assert [what for what, _ in sent(galaxy)] == ["PUT histories/h"] and names(folders / "out") == ["a"]
    assert capsys.readouterr() == ("i\n", "")


def test_a_file_that_is_moved_back_gets_another_run(script, galaxy, folders, line):
    file = folders / "in" / "a"
    file.write_text("x")
    galaxy.get(f"{URL}/api/histories", json=[{"id": "old", "annotation": mark(file) + "ld, moved", "count": 3}])
    assert script(main, "--once", *line) == 0
    assert [what for what, _ in sent(galaxy)] == ["POST libraries/L/contents", "POST histories", "PUT histories/h",
                                                  "POST workflows/w/invocations", "PUT histories/h"]


def test_another_workflow_of_the_same_name_gets_its_own_run(script, galaxy, folders, line):
    file = folders / "in" / "a"
    file.write_text("x")
    galaxy.get(f"{URL}/api/histories", json=[
        {"id": "old", "annotation": mark(file).replace("workflow w", "workflow v") + "ld", "count": 3}])
    assert script(main, "--once", *line) == 0
    assert "POST workflows/w/invocations" in [what for what, _ in sent(galaxy)]


def test_a_file_that_is_replaced_while_its_run_is_taken_on_stays(script, galaxy, folders, line, capsys):
    file = folders / "in" / "a"
    file.write_text("x")

    def replaced(request, context):
        file.write_text("newer")
        return {"id": "i"}
    galaxy.post(f"{URL}/api/workflows/w/invocations", json=replaced)
    assert script(main, "--once", *line) == REFUSED
    assert "changed while run i was taken on" in capsys.readouterr().err
    assert file.read_text() == "newer" and names(folders / "out") == []


@pytest.fixture
def elsewhere(monkeypatch):
    """OUT_FOLDER is on another file system."""
    rename = os.rename

    def only_within(old, new):
        if os.path.dirname(old) != os.path.dirname(new):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(old, new)
    monkeypatch.setattr(os, "rename", only_within)


def test_to_another_file_system(script, galaxy, folders, line, elsewhere):
    (folders / "in" / "a").write_text("x")
    (folders / "out" / ".a.part").write_text("a killed run's")
    assert script(main, "--once", *line) == 0
    assert names(folders / "in") == [] and names(folders / "out") == ["a"]
    assert (folders / "out" / "a").read_text() == "x"


def test_to_another_file_system_that_is_full(script, galaxy, folders, line, elsewhere, monkeypatch, capsys):
    (folders / "in" / "a").write_text("x")

    def full(old, new):
        open(new, "w").close()
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(example_watch_folder.shutil, "copy2", full)
    assert script(main, "--once", "--format=value", "--fields=id", *line) == REFUSED
    told = capsys.readouterr()
    assert told.out == "i\n" and "run i is taken on, but the file can't be moved: No space left" in told.err
    assert names(folders / "in") == ["a"] and names(folders / "out") == []


def test_after_a_kill_before_the_run_there_is_one(script, galaxy, folders, line):
    file = folders / "in" / "a"
    file.write_text("x")
    galaxy.get(f"{URL}/api/histories", json=[{"id": "h", "annotation": mark(file) + "ld7", "count": 0}])
    galaxy.get(f"{URL}/api/invocations", json=[{"id": "bad", "state": "cancelled"}])
    assert script(main, "--once", *line) == 0
    [(what, data), _] = sent(galaxy)
    assert what == "POST workflows/w/invocations" and data["inputs"] == {"0": {"src": "ld", "id": "ld7"}}
    assert data["history"] == "hist_id=h"


def test_after_a_kill_the_empty_history_is_taken(script, galaxy, folders, line):
    (folders / "in" / "a").write_text("x")
    galaxy.get(f"{URL}/api/histories", json=[{"id": "full", "annotation": None, "count": 2},
                                             {"id": "h", "annotation": None, "count": 0}])
    assert script(main, "--once", *line) == 0
    assert [what for what, _ in sent(galaxy)] == ["POST libraries/L/contents", "PUT histories/h",
                                                  "POST workflows/w/invocations", "PUT histories/h"]


def test_another_file_of_the_same_name_gets_its_own_run(script, galaxy, folders, line):
    file = folders / "in" / "a"
    file.write_text("last week's")
    galaxy.get(f"{URL}/api/histories", json=[{"id": "old", "annotation": mark(file) + "ld", "count": 2}])
    file.write_text("today's")
    (folders / "out" / "a").write_text("last week's")
    assert script(main, "--once", *line) == 0
    assert [what for what, _ in sent(galaxy)][1:-1] == ["POST histories", "PUT histories/h", "POST workflows/w/invocations"]
    assert (folders / "out" / "a").read_text() == "last week's" and (folders / "out" / "a.2").read_text() == "today's"


def test_one_that_fails_does_not_stop_the_others(script, galaxy, folders, line, capsys):
    for name in ("a", "b", " c", "d\ne", "z "):
        (folders / "in" / name).write_text("x")
    (folders / "in" / os.fsdecode(b"\xff")).write_text("x")
    galaxy.get(f"{URL}/api/libraries/datasets/ld", [{"json": {"state": "error", "misc_info": "no\nspace"}}] +
               [{"json": {"state": "ok"}}])
    assert script(main, "--once", *line) == PARTLY
    told = capsys.readouterr()
    assert "library dataset ld ended in state error: no space" in told.err and told.err.count("rename it") == 3
    assert told.err.count("\n") == 4 and names(folders / "out") == ["a", "b"]      # " c" came first
    assert len(names(folders / "in")) == 4


def test_a_file_that_changes_while_galaxy_reads_it(script, galaxy, folders, line, capsys):
    file = folders / "in" / "a"
    file.write_text("x")

    def grows(request, context):
        file.write_text("more")
        return [{"id": "ld"}]
    galaxy.post(f"{URL}/api/libraries/L/contents", json=grows)
    assert script(main, "--once", *line) == REFUSED
    assert "changed while it was loaded" in capsys.readouterr().err
    assert len(sent(galaxy)) == 1 and names(folders / "in") == ["a"]


def test_a_refused_run_leaves_the_file(script, galaxy, folders, line, capsys):
    (folders / "in" / "a").write_text("x")
    galaxy.post(f"{URL}/api/workflows/w/invocations", status_code=400, json={"err_msg": "tools are not installed: X"})
    assert script(main, "--once", *line) == REFUSED
    told = capsys.readouterr()
    assert told.err.count("\n") == 1 and "in/a: POST" in told.err and "not installed: X" in told.err
    assert names(folders / "in") == ["a"]


def test_a_server_that_is_away_is_tried_again(script, galaxy, folders, line, clock, monkeypatch, capsys):
    (folders / "in" / "a").write_text("x")
    monkeypatch.setenv("GALAXY_RETRY_MAX", "1")
    galaxy.get(f"{URL}/api/histories", status_code=503)
    assert script(main, "--once", *line) == TRY_LATER
    assert capsys.readouterr().err.count("\n") == 1
    slept = []

    def sleep(seconds):
        clock.now += seconds
        if seconds == 5:
            slept.append(seconds)
            if len(slept) == 3:
                galaxy.get(f"{URL}/api/histories", json=[])
            if len(slept) == 4:
                raise KeyboardInterrupt
    monkeypatch.setattr(clock, "sleep", sleep)
    assert script(main, "--pause=5", *line) == INTERRUPTED
    assert names(folders / "out") == ["a"]


@pytest.mark.parametrize("about, words", [
    ({"inputs": {"0": {"label": "a"}, "1": {"label": "b"}}}, "other inputs than one for a dataset"),
    ({"inputs": {}}, "other inputs than one for a dataset"),
    ({"steps": {"0": {"type": "data_collection_input"}}}, "other inputs than one for a dataset"),
    ({"inputs": {"0": {"label": "a"}, "1": {"label": "n"}}, "steps": {
        "0": {"type": "data_input"}, "1": {"type": "parameter_input"}}}, "input 1 (n) is a parameter without a default")])
def test_a_workflow_with_other_inputs(script, galaxy, line, capsys, about, words):
    galaxy.get(f"{URL}/api/workflows/w", json={
        "id": "w", "name": "Flow", "inputs": {"0": {"label": "a"}}, "steps": {"0": {"type": "data_input"}}, **about})
    assert script(main, *line) == USAGE
    told = capsys.readouterr()
    assert words in told.err.splitlines()[0] and told.err.splitlines()[1].startswith("index") and sent(galaxy) == []


@pytest.mark.parametrize("path, answer, words", [
    ("users/current", {"id": "u", "is_admin": False}, "naming paths on the server needs an administrator's key"),
    ("configuration", {"allow_library_path_paste": False}, "allow_path_paste: true in galaxy.yml")])
def test_a_server_that_takes_no_paths(script, galaxy, folders, line, capsys, path, answer, words):
    (folders / "in" / "a").write_text("x")
    galaxy.get(f"{URL}/api/{path}", json=answer)
    assert script(main, "--once", *line) == REFUSED
    told = capsys.readouterr()
    assert words in told.err and told.err.count("\n") == 1 and sent(galaxy) == []


def test_one_process_a_folder(script, galaxy, folders, line, capsys):
    with only_run(str(folders / "in")):
        assert script(main, "--once", *line) == TRY_LATER
    assert "another run is at work" in capsys.readouterr().err
    assert script(main, "--once", *line) == 0


@pytest.mark.parametrize("change", [{2: "nosuch"}, {3: "nosuch"}, {3: "in"}, {4: " "}, {5: ""}, {5: "w?x"}])
def test_bad_lines(script, galaxy, line, folders, capsys, change):
    for place, value in change.items():
        line[place] = folders / value if place in (2, 3) else value
    assert script(main, *line) == USAGE
    assert capsys.readouterr().err.count("\n") == 1 and galaxy.call_count == 0
    assert script(main, *line[:5]) == USAGE and script(main, "--pause=0", *line) == USAGE
