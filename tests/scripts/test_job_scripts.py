"""job_show.py and job_wait.py: what they send, print and refuse."""
import json

import job_show
import job_wait
import pytest
from fakes import API, KEY, URL
from fakes.run_answers import FORBIDDEN, Runs, a_job, one_line

from common import FAILED, SOME_FAILED, STILL_RUNNING, USAGE

# ---------------------------------------------------------------------------------------------------------- job_show.py

@pytest.mark.parametrize("module, lines", [
    (job_show, [[KEY, URL], [KEY, URL, "a/b"], [KEY, URL, ""], [KEY, URL, "a", "b"], [KEY, URL, "a", "--format=x"]]),
    (job_wait, [[KEY, URL], [KEY, URL, "a", ""], [KEY, URL, "a", "--timeout=soon"], [KEY, URL, "a", "--fields=size"]])])
def test_a_bad_command_line_sends_nothing(script, requests_mock, capsys, module, lines):
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err and KEY not in printed.err
    assert requests_mock.call_count == 0


def test_the_fields_of_a_job(script, requests_mock, capsys):
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


def test_a_job_of_another_user_is_refused(script, requests_mock, capsys):
    requests_mock.get(f"{API}/jobs/j", **FORBIDDEN)
    assert script(job_show.main, KEY, URL, "j") == FAILED
    assert one_line(capsys, "not yours") == ""


# ---------------------------------------------------------------------------------------------------------- job_wait.py

class History:
    """A history's jobs, each with its states from poll to poll."""

    def __init__(self, mock, **states):
        self.states, self.poll, self.mock = {name: list(series) for name, series in states.items()}, 0, mock
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


def test_each_job_is_printed_as_soon_as_it_has_ended(script, requests_mock, capsys, clock):
    History(requests_mock, a=["running", "ok"], b=["new", "running", "skipped"], c=["ok"])
    assert script(job_wait.main, KEY, URL, "a", "b", "c") == 0
    assert capsys.readouterr() == ("c\tok\na\tok\nb\tskipped\n", "")


def test_a_poll_of_many_jobs_in_a_history_is_one_request(script, requests_mock, capsys, clock):
    History(requests_mock, **{f"j{number}": ["running", "running", "running", "ok"] for number in range(300)})
    assert script(job_wait.main, KEY, URL, *(f"j{number}" for number in range(300))) == 0
    assert capsys.readouterr().out.count("\tok\n") == 300
    # One job to know the history, its list; three looks; at their end one job and the list again.
    assert requests_mock.call_count == 2 + 3 + 2


@pytest.mark.parametrize("states, status, words", [
    (["error"], FAILED, "ended in state error: no disk; see http://galaxy.test/jobs/a/view"),
    (["paused"], FAILED, "is paused and won't go on by itself"),
    (["running", "deleted"], FAILED, "ended in state deleted: no disk")])
def test_a_failed_job_is_reported_with_its_error(script, requests_mock, capsys, clock, states, status, words):
    History(requests_mock, a=states)
    assert script(job_wait.main, KEY, URL, "a") == status
    assert one_line(capsys, f"job a (Filter1) {words}") == f"a\t{states[-1]}\n"


def test_some_failures_among_several_jobs_exit_with_3(script, requests_mock, capsys, clock, type_in):
    History(requests_mock, a=["ok"], b=["error"])
    type_in("a\nb\n")
    assert script(job_wait.main, "--fields=id,exit_code", KEY, URL, "-") == SOME_FAILED
    assert one_line(capsys, "job b") == "a\t0\nb\t\n"


def test_the_timeout_ends_the_wait(script, requests_mock, capsys, clock):
    History(requests_mock, a=["running"], b=["ok"])
    assert script(job_wait.main, "--timeout=60", KEY, URL, "a", "b") == STILL_RUNNING
    assert one_line(capsys, "1 of 2 still running after 60 s: a") == "b\tok\n"
    assert sum(clock.slept) == pytest.approx(60)


def test_jobs_in_another_users_history_are_polled_one_by_one(script, requests_mock, capsys, clock):
    History(requests_mock, a=["ok"])
    states = iter(["running", "running", "ok"])
    requests_mock.get(f"{API}/jobs/a", json=lambda request, context: a_job("a", next(states)))
    requests_mock.get(f"{API}/jobs", **FORBIDDEN)
    assert script(job_wait.main, KEY, URL, "a") == 0
    assert capsys.readouterr() == ("a\tok\n", "")


def test_a_wrong_id_is_reported_and_the_other_jobs_are_waited_for(script, requests_mock, capsys, clock):
    History(requests_mock, a=["ok"])
    requests_mock.get(f"{API}/jobs/b", status_code=400, json={"err_msg": "unable to decode"})
    assert script(job_wait.main, KEY, URL, "b", "a") == SOME_FAILED
    assert one_line(capsys, "job b: ") == "a\tok\n"


def test_a_wrong_key_ends_the_wait(script, requests_mock, capsys, clock):
    requests_mock.get(f"{API}/jobs/a", status_code=401, json={"err_msg": "Provided API key is not valid."})
    assert script(job_wait.main, KEY, URL, "a", "b") == FAILED
    assert one_line(capsys, "not valid") == "" and requests_mock.call_count == 1
