"""invocation_download.py and invocation_rerun.py: what they send, write and refuse."""
import invocation_download
import invocation_rerun
import pytest
from fakes import KEY, URL

from common import DONE, FAILED, SOME_FAILED, USAGE

HISTORY = "85a07f4bbdb2c898"
ABOUT = {"id": "i", "workflow_id": "v", "history_id": HISTORY, "state": "completed", "steps": [], "inputs": {},
         "messages": [], "outputs": {"sum": {"src": "hda", "id": "d1"}, "left out": {"src": "hda", "id": "d2"}},
         "output_collections": {"all": {"src": "hdca", "id": "c1"}}}
SKIPPED = {"id": "d2", "name": "x", "state": "ok", "extension": "expression.json", "misc_blurb": "skipped", "file_size": 4}
REQUEST = {"history_id": HISTORY, "workflow_id": "v", "inputs": {"table": {"src": "hda", "id": "d0"}, "n": 2},
           "inputs_by": "name", "replacement_params": None, "use_cached_job": False, "parameters": {"9": {"x": "1"}},
           "parameters_normalized": True, "instance": True}


def dataset(one, state="ok", **more):
    return {"id": one, "name": "a tool's name", "state": state, "extension": "tabular", "file_size": 3, "hashes": [], **more}


@pytest.fixture
def galaxy(requests_mock):
    answers = {"invocations/i": ABOUT, "datasets/d1": dataset("d1"), "datasets/d2": SKIPPED,
               "datasets": [SKIPPED, dataset("d1")],
               "dataset_collections/c1": {"elements": [
                   {"element_identifier": "s 1", "element_type": "hda", "object": dataset("e1")},
                   {"element_identifier": "s 2", "element_type": "hda", "object": dataset("e2", "error")}]},
               "invocations/i/request": REQUEST, "users/current": {"id": "me", "is_admin": False}, "invocations": [],
               f"histories/{HISTORY}": {"id": HISTORY, "name": "h", "user_id": "me"},
               "invocations/i/jobs_summary": {"states": {"ok": 1, "error": 1}, "populated_state": "ok"},
               "invocations/new": {**ABOUT, "id": "new"},
               "invocations/new/jobs_summary": {"states": {"ok": 2}, "populated_state": "ok"}}
    for path, answer in answers.items():
        requests_mock.get(f"{URL}/api/{path}", json=answer)
    for one in ("d1", "e1"):
        requests_mock.get(f"{URL}/api/datasets/{one}/display", content=b"a\t1")
    requests_mock.post(f"{URL}/api/workflows/v/invocations", json={"id": "new"})
    return requests_mock


def posts(galaxy):
    return [(request.path, request.json()) for request in galaxy.request_history if request.method == "POST"]


def test_outputs_are_named_by_label_and_sample_without_skipped_and_failed_ones(script, galaxy, tmp_path, capsys):
    assert script(invocation_download.main, f"--to={tmp_path}/out", KEY, URL, "i") == SOME_FAILED
    printed = capsys.readouterr()
    assert sorted(printed.out.split("\n")) == ["", f"{tmp_path}/out/all/s 1.tabular", f"{tmp_path}/out/sum.tabular"]
    assert printed.err.count("\n") == 1 and "dataset e2 (all/s 2) is in state error" in printed.err
    assert (tmp_path / "out" / "sum.tabular").read_text() == "a\t1"
    paths = [request.path for request in galaxy.request_history]
    assert paths.count("/api/datasets") == 1 and "/api/datasets/d1" not in paths


def test_only_the_outputs_with_these_labels(script, galaxy, tmp_path, capsys):
    assert script(invocation_download.main, "-q", f"--to={tmp_path}/out", "--outputs=sum", KEY, URL, "i") == DONE
    assert capsys.readouterr() == (f"{tmp_path}/out/sum.tabular\n", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.tsv", "sum.tabular"]


def test_downloads_that_are_refused(script, galaxy, tmp_path, capsys):
    assert script(invocation_download.main, f"--to={tmp_path}/x", "--outputs=nosuch", KEY, URL, "i") == USAGE
    assert "has no output 'nosuch' (state completed), only sum, left out, all" in capsys.readouterr().err
    galaxy.get(f"{URL}/api/invocations/i", json={**ABOUT, "outputs": {}, "output_collections": {}})
    assert script(invocation_download.main, f"--to={tmp_path}/x", KEY, URL, "i") == FAILED
    assert f"dataset_download.py - - history:{HISTORY}" in capsys.readouterr().err
    galaxy.get(f"{URL}/api/invocations/i", status_code=404, json={"err_msg": "none"})
    assert script(invocation_download.main, f"--to={tmp_path}/x", KEY, URL, "i") == FAILED
    assert script(invocation_download.main, KEY, URL) == USAGE
    assert not (tmp_path / "x").exists()


def test_a_rerun_sends_the_same_request_with_cached_jobs(script, galaxy, capsys):
    assert script(invocation_rerun.main, "--format=value", "--fields=id", KEY, URL, "i") == DONE
    [(path, body)] = posts(galaxy)
    assert path == "/api/workflows/v/invocations" and body == {
        "history_id": HISTORY, "inputs": REQUEST["inputs"], "inputs_by": "name", "parameters": {"9": {"x": "1"}},
        "parameters_normalized": True, "instance": True, "use_cached_job": True, "no_add_to_history": True,
        "allow_tool_state_corrections": True}
    assert capsys.readouterr() == ("new\n", "")


def test_a_dry_run_sends_nothing_and_all_uses_no_cached_jobs(script, galaxy, capsys):
    assert script(invocation_rerun.main, "--dry-run", KEY, URL, "i") == DONE
    assert posts(galaxy) == []
    assert script(invocation_rerun.main, "--all", "--no-wait", "-q", KEY, URL, "i") == DONE
    assert posts(galaxy)[0][1]["use_cached_job"] is False


@pytest.mark.parametrize("state, states, populated, words", [
    ("completed", {"ok": 2, "skipped": 1}, "ok", "has succeeded: to run it again add --all"),
    ("scheduled", {"running": 1}, "ok", "has not ended (state scheduled)"),
    ("new", {}, "new", "has not ended (state new)"),
])
def test_an_invocation_that_succeeded_or_still_runs_is_refused(script, galaxy, capsys, state, states, populated, words):
    galaxy.get(f"{URL}/api/invocations/i", json={**ABOUT, "state": state})
    galaxy.get(f"{URL}/api/invocations/i/jobs_summary", json={"states": states, "populated_state": populated})
    assert script(invocation_rerun.main, KEY, URL, "i") == FAILED
    assert words in capsys.readouterr().err and posts(galaxy) == []


def test_a_rerun_that_fails_can_be_rerun(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/invocations/new/jobs_summary", json={"states": {"error": 1}, "populated_state": "ok"})
    galaxy.get(f"{URL}/api/workflows/v", status_code=403, json={"err_msg": "not yours"})
    for _ in range(2):      # and then it has ended, so the same line begins another one
        assert script(invocation_rerun.main, KEY, URL, "i") == FAILED
        assert "invocation new failed: 1 error" in capsys.readouterr().err
    assert len(posts(galaxy)) == 2


def test_a_bad_command_line_sends_nothing(script, galaxy, capsys):
    assert script(invocation_rerun.main, KEY, URL) == USAGE
    assert script(invocation_rerun.main, KEY, URL, "../x") == USAGE
    assert script(invocation_rerun.main, "--wait", "--no-wait", KEY, URL, "i") == USAGE
    assert posts(galaxy) == []
