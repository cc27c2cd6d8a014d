"""example_watch_folder.py against a real Galaxy: by its command line, and killed after each of its requests."""
import copy
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import example_watch_folder
import pytest

from common import Galaxy
from galaxy_api_scripts.invocations.invocation import wait_for_invocation

ROOT = Path(__file__).parent.parent.parent
TABLE = (ROOT / "demo" / "seattle_2015.tsv").read_bytes()


@pytest.fixture(scope="module")
def administrator(server, person):
    """The one whose key may name paths."""
    administrator = copy.copy(person)
    administrator.key = server.key
    return administrator


@pytest.fixture
def watched(administrator, tmp_path):
    """Two folders, a library's name and a workflow of a name of its own; `runs()` are its invocations by history name."""

    content = json.loads((ROOT / "demo" / "wet_days.ga").read_text())
    content["name"] = f"Wet days {secrets.token_hex(4)}"
    workflow = administrator.asked("POST", "workflows", json={"workflow": content})["id"]
    inbox, done = tmp_path / "in", tmp_path / "done"
    inbox.mkdir()
    done.mkdir()
    library = f"watched {secrets.token_hex(4)}"

    def histories():
        return {one["id"]: one["name"] for one in administrator.look("histories", q="name-contains", qv=content["name"])}

    def runs():
        found = administrator.look("invocations", workflow_id=workflow, limit=100)
        return sorted((histories()[run["history_id"]], run["id"]) for run in found)

    def loaded():
        [held] = [one for one in administrator.look("libraries") if one["name"] == library]
        contents = administrator.look(f"libraries/{held['id']}/contents")
        return sorted(one["name"].lstrip("/") for one in contents if one["type"] == "file")
    line = [administrator.key, f"{administrator.url}/api/", inbox, done, library, workflow]
    return SimpleNamespace(line=line, inbox=inbox, done=done, name=content["name"], runs=runs, histories=histories,
                           loaded=loaded)


def test_each_file_gets_one_run(administrator, watched):
    (watched.inbox / "Größe 1.tsv").write_bytes(TABLE)
    (watched.inbox / "empty.tsv").touch()
    (watched.inbox / "still.part").write_bytes(TABLE)
    ended = administrator.run("example_watch_folder.py", "--once", "--pause=1", *watched.line)
    assert (ended.returncode, ended.stderr) == (0, "")
    [(history, run)] = watched.runs()
    assert history == f"Größe 1.tsv - {watched.name}" and f"'id': '{run}'" in ended.stdout
    assert watched.loaded() == ["Größe 1.tsv"] and list(watched.histories().values()) == [history]
    assert [path.name for path in watched.done.iterdir()] == ["Größe 1.tsv"]
    assert sorted(path.name for path in watched.inbox.iterdir()) == ["empty.tsv", "still.part"]

    output = wait_for_invocation(Galaxy(administrator.key, administrator.url), run, timeout=300)["outputs"]["wet_days"]["id"]
    assert administrator.look(f"datasets/{output}")["state"] == "ok"
    (watched.inbox / "empty.tsv").unlink()
    ended = administrator.run("example_watch_folder.py", "--once", "--pause=1", *watched.line)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "") and len(watched.runs()) == 1


def test_killed_after_each_request_and_started_again(watched, script, monkeypatch):
    """The server has done what the request asks for, and the script never hears of it."""
    (watched.inbox / "a.tsv").write_bytes(TABLE)
    request = Galaxy.request

    def killed_after(last):
        def cut(self, method, path, **options):
            answer = request(self, method, path, **options)
            if f"{method} {path}".startswith(last):
                raise SystemExit(137)
            return answer
        return cut
    for last in ("POST histories", "POST libraries/", "POST workflows/"):
        monkeypatch.setattr(Galaxy, "request", killed_after(last))
        assert script(example_watch_folder.main, "--once", "--pause=1", *watched.line) == 137
        assert [path.name for path in watched.inbox.iterdir()] == ["a.tsv"]
    monkeypatch.setattr(Galaxy, "request", request)
    assert script(example_watch_folder.main, "--once", "--pause=1", *watched.line) == 0
    assert [history for history, _ in watched.runs()] == [f"a.tsv - {watched.name}"]
    assert len(watched.histories()) == 1 and [path.name for path in watched.done.iterdir()] == ["a.tsv"]
    # What the script's help admits: killed before it has noted what is in the library, it loads the file again.
    assert watched.loaded() == ["a.tsv"] * 2


def test_for_ever_until_it_is_told_to_stop(administrator, watched):
    command = [sys.executable, str(ROOT / "scripts" / "example_watch_folder.py"), "--pause=1", *map(str, watched.line)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
                          env={**os.environ, "PYTHONPATH": str(ROOT)}) as watcher:
        for name in ("first.tsv", "second.tsv"):
            (watched.inbox / name).write_bytes(TABLE)
            assert watcher.stdout.readline().startswith("{'")
        second = administrator.run("example_watch_folder.py", "--once", *watched.line)
        assert second.returncode == 75 and "is at work on it" in second.stderr
        watcher.send_signal(signal.SIGTERM)
        assert watcher.communicate(timeout=60) == ("", "") and watcher.returncode == 143
    assert [history.split(" - ")[0] for history, _ in watched.runs()] == ["first.tsv", "second.tsv"]
    assert len(list(watched.done.iterdir())) == 2


def test_refused(person, watched):
    (watched.inbox / "a.tsv").write_bytes(TABLE)
    ended = person.run("example_watch_folder.py", "--once", person.key, *watched.line[1:])
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "administrator" in ended.stderr and watched.runs() == [] and watched.histories() == {}
