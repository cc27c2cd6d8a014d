"""recipe_branch.py and recipe_loop.py: which way they go, and when they end."""
import pytest
import recipe_branch
import recipe_loop
from fakes import KEY, URL

from common import FAILED, STILL_RUNNING, USAGE, GalaxyError
from galaxy_api_scripts.tools import request

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
def galaxy_runs(monkeypatch):
    """`galaxy_runs(text, ...)`: what the datasets hold that the next runs of tools make; and what these are given."""
    given = []

    def fill(*texts):
        made = [f"d{number}" for number in range(len(texts))]
        held = dict(zip(made, texts))

        def run(galaxy, history, tool, values, timeout):
            given.append((history, tool, values, timeout))
            return [{"id": made[len(given)]}]
        monkeypatch.setattr(request, "run_tool", run)
        monkeypatch.setattr(request, "read_dataset_text", lambda galaxy, dataset: held[dataset])
        return given
    return fill


@pytest.mark.parametrize("lines, options, chosen", [("100", [], FEW), ("101", [], MANY), ("9\n", ["--lines=8"], MANY)])
def test_the_result_chooses_the_workflow(script, galaxy, galaxy_runs, capsys, lines, options, chosen):
    given = galaxy_runs("", lines)
    assert script(recipe_branch.main, *options, KEY, URL, H, "d0", FEW, MANY) == 0
    assert given == [(H, "wc_gnu", {"input1": "hda:d0", "options": ["lines"], "include_header": False}, None)]
    [begun] = [request for request in galaxy.request_history if request.method == "POST"]
    assert begun.path == f"/api/workflows/{chosen}/invocations" and begun.json() == {
        "history": f"hist_id={H}", "inputs": {"0": {"src": "hda", "id": "d0"}}, "inputs_by": "step_index"}
    assert capsys.readouterr().out.splitlines()[2].split() == [lines.strip(), "few" if chosen == FEW else "many",
                                                               "result", "r"]


def test_a_workflow_that_is_not_there_is_told_before_anything_runs(script, galaxy, galaxy_runs, capsys):
    given = galaxy_runs("", "1")
    galaxy.get(f"{URL}/api/workflows", json=[])
    assert script(recipe_branch.main, KEY, URL, H, "d0", FEW, "nosuch") == FAILED
    assert "is named 'nosuch'" in capsys.readouterr().err and given == []
    assert script(recipe_branch.main, "--lines=x", KEY, URL, H, "d0", FEW, MANY) == USAGE
    assert script(recipe_branch.main, KEY, URL, H, "d0", FEW) == USAGE


def table(*numbers):
    return "name\tvalue\n" + "".join(f"x\t{number}\n" for number in numbers)


def test_the_loop_ends_when_nothing_is_left_out_any_more(script, galaxy, galaxy_runs, capsys):
    given = galaxy_runs(table(1, 2, 3, 1000), table(1, 2, 3), table(2, 2), table("2.0", "2e0"))
    assert script(recipe_loop.main, "--sigmas=1", "--timeout=60", KEY, URL, H, "d0", "2") == 0
    assert capsys.readouterr() == ("1\t3\t2\td1\n2\t2\t2\td2\n3\t2\t2\td3\n", "")
    assert [(values["input"], timeout) for _, _, values, timeout in given] == [
        ("hda:d0", 60), ("hda:d1", 60), ("hda:d2", 60)]
    assert given[2][2]["cond"] == "c2>=2.0 and c2<=2.0"


def test_the_loop_does_not_go_on_for_ever(script, galaxy, galaxy_runs, capsys):
    galaxy_runs(*(table(*range(number)) for number in range(60, 20, -1)))
    assert script(recipe_loop.main, KEY, URL, H, "d0", "2") == FAILED
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 30 and "after 30 rounds rows are still left out" in told.err


def test_the_loop_is_refused(script, galaxy, galaxy_runs, capsys, monkeypatch):
    galaxy_runs(table("a"), "")
    assert script(recipe_loop.main, KEY, URL, H, "d0", "2") == FAILED
    assert "there are no numbers in column 2" in capsys.readouterr().err
    assert script(recipe_loop.main, KEY, URL, H, "d0", "x") == script(recipe_loop.main, KEY, URL, H, "d0") == USAGE

    def still_running(*what):
        raise GalaxyError("still running", STILL_RUNNING)
    galaxy_runs(table(1, 2))
    monkeypatch.setattr(request, "run_tool", still_running)
    assert script(recipe_loop.main, KEY, URL, H, "d0", "2") == STILL_RUNNING
