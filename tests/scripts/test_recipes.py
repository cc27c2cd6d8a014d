"""recipe_branch.py chooses a workflow by a result; recipe_loop.py runs a tool until nothing changes."""
from types import SimpleNamespace

import pytest
import recipe_branch
import recipe_loop
from fakes import KEY, URL

from common import FAILED, STILL_RUNNING, USAGE, GalaxyError
from galaxy_api_scripts import polling

H, FEW, MANY = "1" * 16, "a" * 16, "b" * 16


@pytest.fixture
def galaxy(requests_mock):
    requests_mock.get(f"{URL}/api/histories/{H}", json={"id": H, "name": "Run 12"})
    for workflow, name in ((FEW, "few"), (MANY, "many")):
        requests_mock.get(f"{URL}/api/workflows/{workflow}", json={
            "id": workflow, "name": name, "inputs": {"0": {"label": "text", "uuid": "u"}},
            "steps": {"0": {"type": "data_input", "tool_inputs": {"optional": False}}}})
        requests_mock.post(f"{URL}/api/workflows/{workflow}/invocations", json={"id": "i"})
    requests_mock.get(f"{URL}/api/invocations/i/jobs_summary", json={"states": {"ok": 1}, "populated_state": "ok"})
    requests_mock.get(f"{URL}/api/invocations/i", json={
        "id": "i", "state": "completed", "outputs": {"result": {"src": "hda", "id": "r"}}, "output_collections": {}})
    return requests_mock


@pytest.fixture
def tool_runs(monkeypatch):
    """`tool_runs(text, ...)` sets the contents of the first dataset and of the outputs of the next tool runs, each of which
    takes ten seconds. Returns the list of the runs: (history, tool, inputs, seconds to wait)."""
    runs = []
    monkeypatch.setattr(polling, "time", SimpleNamespace(monotonic=lambda: 10.0 * len(runs)))

    def prepare(*texts):
        contents = {f"d{number}": text for number, text in enumerate(texts)}

        def run_tool(galaxy, history, tool, values, timeout):
            runs.append((history, tool, values, timeout))
            return [{"id": f"d{len(runs)}"}]
        for recipe in (recipe_branch, recipe_loop):
            monkeypatch.setattr(recipe, "run_tool", run_tool)
            monkeypatch.setattr(recipe, "read_dataset_text", lambda galaxy, dataset: contents[dataset])
        return runs
    return prepare


@pytest.mark.parametrize("lines, options, chosen", [("100", [], FEW), ("101", [], MANY), ("9\n", ["--lines=8"], MANY)])
def test_the_number_of_lines_chooses_the_workflow(script, galaxy, tool_runs, capsys, lines, options, chosen):
    runs = tool_runs("", lines)
    assert script(recipe_branch.main, *options, KEY, URL, H, "d0", FEW, MANY) == 0
    assert runs == [(H, "wc_gnu", {"input1": "hda:d0", "options": ["lines"], "include_header": False}, None)]
    [post] = [request for request in galaxy.request_history if request.method == "POST"]
    assert post.path == f"/api/workflows/{chosen}/invocations" and post.json() == {
        "history": f"hist_id={H}", "inputs": {"0": {"src": "hda", "id": "d0"}}, "inputs_by": "step_index"}
    assert capsys.readouterr().out.splitlines()[2].split() == [lines.strip(), "few" if chosen == FEW else "many",
                                                               "result", "r"]


def test_an_unknown_workflow_is_refused_before_anything_runs(script, galaxy, tool_runs, capsys):
    runs = tool_runs("", "1")
    galaxy.get(f"{URL}/api/workflows", json=[])
    assert script(recipe_branch.main, KEY, URL, H, "d0", FEW, "nosuch") == FAILED
    assert "is named 'nosuch'" in capsys.readouterr().err and runs == []
    assert script(recipe_branch.main, "--lines=x", KEY, URL, H, "d0", FEW, MANY) == USAGE
    assert script(recipe_branch.main, KEY, URL, H, "d0", FEW) == USAGE


def test_the_timeout_is_for_the_tool_and_the_workflow_together(script, galaxy, tool_runs, monkeypatch):
    waits = []
    tool_runs("", "1")
    monkeypatch.setattr(recipe_branch, "wait_for_invocation", lambda galaxy, invocation, timeout: waits.append(timeout) or {
        "outputs": {}})
    assert script(recipe_branch.main, "--timeout=60", KEY, URL, H, "d0", FEW, MANY) == 0
    assert waits == [50]


def table(*numbers):
    return "name\tvalue\n" + "".join(f"x\t{number}\n" for number in numbers)


def test_the_loop_ends_when_no_row_is_dropped(script, galaxy, tool_runs, capsys):
    runs = tool_runs(table(1, 2, 3, 1000), table(1, 2, 3), table(2, 2), table("2.0", "2e0"))
    assert script(recipe_loop.main, "--sigmas=1", "--timeout=60", KEY, URL, H, "d0", "2") == 0
    assert capsys.readouterr() == ("1\t3\t2\td1\n2\t2\t2\td2\n3\t2\t2\td3\n", "")
    assert [(values["input"], seconds) for _, _, values, seconds in runs] == [("hda:d0", 60), ("hda:d1", 50), ("hda:d2", 40)]
    assert runs[2][2]["cond"] == "c2>=2.0 and c2<=2.0"


def test_the_loop_stops_after_thirty_rounds(script, galaxy, tool_runs, capsys):
    tool_runs(*(table(*range(number)) for number in range(60, 20, -1)))
    assert script(recipe_loop.main, KEY, URL, H, "d0", "2") == FAILED
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 30 and "still drops rows after 30 rounds" in captured.err


def test_the_loop_fails_without_numbers_and_when_the_time_is_up(script, galaxy, tool_runs, capsys, monkeypatch):
    tool_runs(table("a"), "")
    assert script(recipe_loop.main, KEY, URL, H, "d0", "2") == FAILED
    assert "column 2 holds no numbers" in capsys.readouterr().err
    assert script(recipe_loop.main, KEY, URL, H, "d0", "x") == script(recipe_loop.main, KEY, URL, H, "d0") == USAGE

    def still_running(*args):
        raise GalaxyError("still running", STILL_RUNNING)
    tool_runs(table(1, 2))
    monkeypatch.setattr(recipe_loop, "run_tool", still_running)
    assert script(recipe_loop.main, KEY, URL, H, "d0", "2") == STILL_RUNNING
