"""What the steps and jobs of a run are; job_show.py and job_wait.py."""
import json

import job_show
import job_wait
import pytest
import requests
from fakes import API, KEY, URL
from fakes.run_answers import FORBIDDEN, Runs, a_job, a_step, mapped, one_line

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.invocations import jobs


@pytest.fixture
def galaxy():
    return Galaxy(KEY, URL, patience=0)


# ------------------------------------------------------------------------------------------------------------ steps

def test_the_steps_of_subworkflows_stand_behind_theirs_with_its_label(galaxy, requests_mock):
    runs = Runs(requests_mock, a_step(0, "table"), a_step(1, "tidy", subworkflow_invocation_id="s"),
                a_step(2, None, a_job("j")),
                kinds={0: ("data_input", None, None), 1: ("subworkflow", None, None), 2: ("tool", "Filter1", "1.1")})
    runs.invocation("s", a_step(0, "raw"), a_step(1, "column", a_job("k", tool_id="Cut1")), workflow="inner")
    runs.workflow("inner", "Tidy", {0: ("data_input", None, None), 1: ("tool", "Cut1", "2.0")})
    found = jobs.list_steps(galaxy, {"id": "i"})
    assert [(step["step"], step["label"], step["kind"], step["tool"], step["version"]) for step in found] == [
        ("0", "table", "data_input", "", ""), ("1", "tidy", "subworkflow", "", ""),
        ("1.0", "tidy: raw", "data_input", "", ""), ("1.1", "tidy: column", "tool", "Cut1", "2.0"),
        ("2", "Filter1", "tool", "Filter1", "1.1")]
    assert [[job["id"] for job in step["jobs"]] for step in found] == [[], [], [], ["k"], ["j"]]
    assert found[-1]["jobs"][0]["version"] == "1.1"


def test_five_hundred_mapped_jobs_take_a_handful_of_requests(galaxy, requests_mock):
    many = [a_job(f"j{number}", "error" if number in (7, 9) else "ok") for number in range(500)]
    runs = Runs(requests_mock, a_step(0, "hot", *many, implicit_collection_jobs_id="icj", output_collections={
        "out": {"src": "hdca", "id": "c"}}))
    runs.collection("c", {f"d{number}": f"sample {number}" for number in range(500)})
    requests_mock.get(f"{API}/datasets", json=lambda request, context: [
        {"id": one[8:], "creating_job": f"j{one[9:]}"} for one in request.qs["qv"][0].split(",")])
    [step] = jobs.list_steps(galaxy, {"id": "i"})
    assert len(step["jobs"]) == 500 and len(runs.asked()) == 2
    named = jobs.job_elements(galaxy, step)
    assert named["j499"] == "sample 499" and len(named) == 500 and len(runs.asked()) == 2 + 1 + 5


def test_a_workflow_that_we_may_not_see_leaves_kinds_open(galaxy, requests_mock):
    Runs(requests_mock, a_step(0, "table"), a_step(1, "x", a_job("j")))
    requests_mock.get(f"{API}/workflows/w", **FORBIDDEN)
    assert [(step["kind"], step["tool"], step["version"]) for step in jobs.list_steps(galaxy, {"id": "i"})] == [
        ("", "", ""), ("tool", "Filter1", "")]


@pytest.mark.parametrize("step, words", [
    ({"kind": "tool", "state": "scheduled", "jobs": [a_job("a"), a_job("b", "error"), a_job("c")]}, "2 ok, 1 error"),
    ({"kind": "pause", "state": "scheduled", "action": None, "given_up": False, "jobs": []}, "waiting for review"),
    ({"kind": "pause", "state": "scheduled", "action": None, "given_up": True, "jobs": []}, "never resumed"),
    ({"kind": "pause", "state": "scheduled", "action": True, "jobs": []}, "resumed"),
    ({"kind": "tool", "state": "new", "jobs": []}, "not started"),
    ({"kind": "tool", "state": "scheduled", "jobs": []}, "no jobs"),
    ({"kind": "data_input", "state": "scheduled", "jobs": []}, "")])
def test_how_it_stands_with_a_step(step, words):
    assert jobs.describe_step(step) == words


def test_nested_collections_have_paths(galaxy, requests_mock):
    leaf = {"element_identifier": "forward", "element_type": "hda", "object": {"id": "d"}}
    requests_mock.get(f"{API}/dataset_collections/c", json={"elements": [
        {"element_identifier": "S1", "element_type": "dataset_collection", "object": {"elements": [leaf]}}]})
    requests_mock.get(f"{API}/datasets", json=[{"id": "d", "creating_job": "j"}])
    assert jobs.job_elements(galaxy, {"collections": ["c"]}) == {"j": "S1/forward"}


@pytest.mark.parametrize("state, summary, over", [
    ("new", None, False), ("ready", None, False), ("completed", None, True), ("cancelled", None, True),
    ("cancelling", None, False), ("scheduled", ({"ok": 2}, "ok"), True),
    ("scheduled", ({"ok": 1, "running": 1}, "ok"), False), ("scheduled", ({}, "new"), False),
    ("failed", ({"running": 1}, "failed"), False), ("failed", ({"ok": 1}, "failed"), True)])
def test_whether_a_run_has_ended(galaxy, requests_mock, state, summary, over):
    if summary:
        requests_mock.get(f"{API}/invocations/i/jobs_summary", json=dict(zip(("states", "populated_state"), summary)))
    assert jobs.is_finished(galaxy, {"id": "i", "state": state}) is over
    assert requests_mock.call_count == bool(summary)


@pytest.mark.parametrize("message, words", [
    ({"reason": "user_request"}, "a user cancelled it"),
    ({"reason": "dataset_failed", "workflow_step_id": 3, "hda_id": "d", "dependent_workflow_step_id": 1},
     "step 3: dataset d has failed, an output of step 1"),
    ({"reason": "when_not_boolean", "workflow_step_id": 0, "details": "it is 7"},
     "step 0: its condition is neither true nor false (it is 7)"),
    ({"reason": "workflow_output_not_found", "workflow_step_id": 2, "output_name": "{x}"},
     "step 2: warning: the workflow's output {x} was not made"),
    ({"reason": "quite_new"}, "quite_new")])
def test_messages_in_plain_words(message, words):
    assert jobs.failure_reasons({"messages": [message]}) == [words]


# -------------------------------------------------------------------------------------------- what was measured, what failed

def test_times_and_memory_of_all_jobs_by_one_request(galaxy, requests_mock):
    runs = Runs(requests_mock)
    requests_mock.get(f"{API}/invocations/i/metrics", json=[*runs.measured("j", 75, 2**30, 1000), *runs.measured("k", 0)])
    assert jobs.job_metrics(galaxy, "i") == {"j": {"run_time": 75, "start": 1000, "end": 1075, "memory": 2**30},
                                          "k": {"run_time": 0, "start": None, "end": None, "memory": None}}
    assert jobs.metrics_of_job(galaxy, "k")["run_time"] == 0
    requests_mock.get(f"{API}/invocations/i/metrics", status_code=404, json={"err_msg": "an old server"})
    assert jobs.job_metrics(galaxy, "i") == {}


def test_what_failed_first_before_what_waits_for_it(galaxy, requests_mock):
    mapped(requests_mock)
    killed = "This job was killed when Galaxy was restarted.  Please retry the job."      # as Galaxy 26.1 says it
    requests_mock.get(f"{API}/datasets/e2", json={"id": "e2", "misc_info": killed})
    first, second = jobs.first_failures(galaxy, {"id": "i"})
    assert first == {"step": "1", "label": "hot", "tool": "Filter1", "version": "1.1.1", "element": "Broken",
                     "state": "error", "exit_code": 1, "stderr": "Traceback\nIndexError: list <index> out of range",
                     "job": "j2", "address": f"{URL}/jobs/j2/view"}
    assert (second["job"], second["element"], second["state"]) == ("k2", "Broken", "paused")
    assert second["stderr"] == "This job was killed when Galaxy was restarted. Please retry the job."
    assert [one["job"] for one in jobs.first_failures(galaxy, {"id": "i"}, limit=1)] == ["j2"]


def test_a_password_in_the_servers_address_is_in_no_link(requests_mock):
    assert jobs.job_url(Galaxy(KEY, "http://me:s3cret@galaxy.test"), "j") == f"{URL}/jobs/j/view"


@pytest.mark.parametrize("job, words", [
    ({"tool_stderr": " \n", "job_stderr": "killed\n"}, "killed"), ({"tool_stderr": None, "stderr": "a\nb"}, "a\nb"),
    ({"state": "error", "job_messages": [{"desc": "Fatal error: Exit code 1 ()"}]}, "Fatal error: Exit code 1 ()"),
    ({"state": "ok", "job_messages": [{"desc": "a warning"}]}, ""), ({}, ""),
    ({"tool_stderr": "\n".join(map(str, range(100)))}, "\n".join(map(str, range(80, 100))))])
def test_the_end_of_a_standard_error(job, words):
    assert jobs.job_stderr(job) == words


def test_what_is_no_trouble_of_rights_is_told(galaxy, requests_mock):
    requests_mock.get(f"{API}/x", exc=requests.ConnectTimeout)
    with pytest.raises(GalaxyError) as caught:
        galaxy.get_or_none("x")
    assert caught.value.exit_code == TRY_LATER


# ---------------------------------------------------------------------------------------------------------- job_show.py

@pytest.mark.parametrize("module, lines", [
    (job_show, [[KEY, URL], [KEY, URL, "a/b"], [KEY, URL, ""], [KEY, URL, "a", "b"], [KEY, URL, "a", "--format=x"]]),
    (job_wait, [[KEY, URL], [KEY, URL, "a", ""], [KEY, URL, "a", "--timeout=soon"], [KEY, URL, "a", "--fields=size"]])])
def test_bad_lines_ask_nothing(script, requests_mock, capsys, module, lines):
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        told = capsys.readouterr()
        assert told.out == "" and told.err and KEY not in told.err
    assert requests_mock.call_count == 0


def test_a_job(script, requests_mock, capsys):
    runs = Runs(requests_mock)
    runs.job(a_job("j", "error", exit_code=1), command_line="filter 'x'", tool_stderr="bad\n", tool_stdout="some\n",
             inputs={"input": {"src": "hda", "id": "a"}}, outputs={"out": {"src": "hda", "id": "b"}},
             output_collections={"out": {"src": "hdca", "id": "c"}, "more": {"src": "hdca", "id": "d"}})
    runs.measured("j", 12, 5000)
    requests_mock.get(f"{API}/jobs/j/build_for_rerun", json={"version": "1.1.1", "message": ""})
    assert script(job_show.main, "--format=json", KEY, URL, "j") == 0
    shown = json.loads(capsys.readouterr().out)
    assert list(shown) == job_show.FIELDS
    assert shown == {**shown, "tool": "Filter1", "version": "1.1.1", "exit_code": 1, "run_time": 12, "memory": 5000,
                     "command_line": "filter 'x'", "inputs": {"input": "hda=a"},
                     "outputs": {"out": "hda=b", "more": "hdca=d"}, "stderr": "bad", "stdout": "some"}
    assert script(job_show.main, KEY, URL, "j") == 0
    assert "\nstate         error\n" in capsys.readouterr().out


@pytest.mark.parametrize("about, form, version", [
    ({"tool_version": "3"}, None, "3"), ({"tool_id": "shed/repos/o/r/t/2.0+galaxy1"}, None, "2.0+galaxy1"),
    ({}, {"version": "9", "message": "another one"}, ""), ({}, FORBIDDEN, "")])
def test_the_version_of_a_jobs_tool(script, requests_mock, capsys, about, form, version):
    Runs(requests_mock).job(a_job("j", **about))
    if form:
        requests_mock.get(f"{API}/jobs/j/build_for_rerun", **(form if form is FORBIDDEN else {"json": form}))
    assert script(job_show.main, "--format=value", "--fields=version", KEY, URL, "j") == 0
    assert capsys.readouterr() == (f"{version}\n", "")
    assert requests_mock.call_count == (2 if form else 1)


def test_a_job_that_is_not_ours(script, requests_mock, capsys):
    requests_mock.get(f"{API}/jobs/j", **FORBIDDEN)
    assert script(job_show.main, KEY, URL, "j") == FAILED
    assert one_line(capsys, "not yours") == ""


# ---------------------------------------------------------------------------------------------------------- job_wait.py

class History:
    """A history's jobs, each with the states that it has in one look after the other."""

    def __init__(self, mock, **states):
        self.states, self.poll, self.mock = {name: list(told) for name, told in states.items()}, 0, mock
        mock.get(f"{API}/jobs", json=self.listed)
        for name in states:
            mock.get(f"{API}/jobs/{name}", json=lambda request, context, name=name: a_job(
                name, self.now(name), tool_stderr="oh\nno disk\n"))

    def now(self, name):
        states = self.states[name]
        return states[min(self.poll, len(states) - 1)]

    def listed(self, request, context):
        moving = request.qs.get("state")
        self.poll += bool(moving)
        return [a_job(name, self.now(name)) for name in self.states if not moving or self.now(name) in moving]


def test_each_is_told_as_soon_as_it_has_ended(script, requests_mock, capsys, clock):
    History(requests_mock, a=["running", "ok"], b=["new", "running", "skipped"], c=["ok"])
    assert script(job_wait.main, KEY, URL, "a", "b", "c") == 0
    assert capsys.readouterr() == ("c\tok\na\tok\nb\tskipped\n", "")


def test_a_look_at_many_jobs_of_a_history_is_one_request(script, requests_mock, capsys, clock):
    History(requests_mock, **{f"j{number}": ["running", "running", "running", "ok"] for number in range(300)})
    assert script(job_wait.main, KEY, URL, *(f"j{number}" for number in range(300))) == 0
    assert capsys.readouterr().out.count("\tok\n") == 300
    # One job to know the history, its list; three looks; at their end one job and the list again.
    assert requests_mock.call_count == 2 + 3 + 2


@pytest.mark.parametrize("states, status, words", [
    (["error"], FAILED, "ended in state error: no disk; see http://galaxy.test/jobs/a/view"),
    (["paused"], FAILED, "is paused and won't go on by itself"),
    (["running", "deleted"], FAILED, "ended in state deleted: no disk")])
def test_one_that_did_not_end_well(script, requests_mock, capsys, clock, states, status, words):
    History(requests_mock, a=states)
    assert script(job_wait.main, KEY, URL, "a") == status
    assert one_line(capsys, f"job a (Filter1) {words}") == f"a\t{states[-1]}\n"


def test_some_of_several(script, requests_mock, capsys, clock, type_in):
    History(requests_mock, a=["ok"], b=["error"])
    type_in("a\nb\n")
    assert script(job_wait.main, "--fields=id,exit_code", KEY, URL, "-") == SOME_FAILED
    assert one_line(capsys, "job b") == "a\t0\nb\t\n"


def test_the_time_is_up(script, requests_mock, capsys, clock):
    History(requests_mock, a=["running"], b=["ok"])
    assert script(job_wait.main, "--timeout=60", KEY, URL, "a", "b") == STILL_RUNNING
    assert one_line(capsys, "1 of 2 still running after 60 s: a") == "b\tok\n"
    assert sum(clock.slept) == pytest.approx(60)


def test_jobs_in_a_history_that_is_not_ours_are_asked_for_each(script, requests_mock, capsys, clock):
    History(requests_mock, a=["ok"])
    states = iter(["running", "running", "ok"])
    requests_mock.get(f"{API}/jobs/a", json=lambda request, context: a_job("a", next(states)))
    requests_mock.get(f"{API}/jobs", **FORBIDDEN)
    assert script(job_wait.main, KEY, URL, "a") == 0
    assert capsys.readouterr() == ("a\tok\n", "")


def test_a_wrong_id_is_told_and_the_others_waited_for(script, requests_mock, capsys, clock):
    History(requests_mock, a=["ok"])
    requests_mock.get(f"{API}/jobs/b", status_code=400, json={"err_msg": "unable to decode"})
    assert script(job_wait.main, KEY, URL, "b", "a") == SOME_FAILED
    assert one_line(capsys, "job b: ") == "a\tok\n"


def test_a_wrong_key_ends_it(script, requests_mock, capsys, clock):
    requests_mock.get(f"{API}/jobs/a", status_code=401, json={"err_msg": "Provided API key is not valid."})
    assert script(job_wait.main, KEY, URL, "a", "b") == FAILED
    assert one_line(capsys, "not valid") == "" and requests_mock.call_count == 1
