"""The steps, jobs, metrics and failures of an invocation."""
import pytest
import requests
from fakes import API, KEY, URL
from fakes.run_answers import FORBIDDEN, Runs, a_job, a_step, mapped

from common import TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.invocations import jobs


@pytest.fixture
def galaxy():
    return Galaxy(KEY, URL, patience=0)


# ------------------------------------------------------------------------------------------------------------ steps

def test_steps_of_a_subworkflow_follow_its_own_step_with_its_label(galaxy, requests_mock):
    runs = Runs(requests_mock, a_step(0, "table"), a_step(1, "tidy", subworkflow_invocation_id="s"),
                a_step(2, None, a_job("j")),
                kinds={0: ("data_input", None, None), 1: ("subworkflow", None, None), 2: ("tool", "Filter1", "1.1")})
    runs.invocation("s", a_step(0, "raw"), a_step(1, "column", a_job("k", tool_id="Cut1")), workflow="inner")
    runs.workflow("inner", "Tidy", {0: ("data_input", None, None), 1: ("tool", "Cut1", "2.0")})
    steps = jobs.list_steps(galaxy, {"id": "i"})
    assert [(step["step"], step["label"], step["kind"], step["tool"], step["version"]) for step in steps] == [
        ("0", "table", "data_input", "", ""), ("1", "tidy", "subworkflow", "", ""),
        ("1.0", "tidy: raw", "data_input", "", ""), ("1.1", "tidy: column", "tool", "Cut1", "2.0"),
        ("2", "Filter1", "tool", "Filter1", "1.1")]
    assert [[job["id"] for job in step["jobs"]] for step in steps] == [[], [], [], ["k"], ["j"]]
    assert steps[-1]["jobs"][0]["version"] == "1.1"


def test_five_hundred_mapped_jobs_take_eight_requests(galaxy, requests_mock):
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


def test_kinds_are_empty_if_the_workflow_is_not_visible(galaxy, requests_mock):
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
def test_the_progress_of_a_step_in_words(step, words):
    assert jobs.describe_step(step) == words


def test_identifiers_of_nested_collections_are_paths(galaxy, requests_mock):
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
def test_whether_an_invocation_has_ended(galaxy, requests_mock, state, summary, over):
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
def test_failure_reasons_are_plain_words(message, words):
    assert jobs.failure_reasons({"messages": [message]}) == [words]


# ------------------------------------------------------------------------------------------------- metrics and failures

def test_one_request_brings_the_metrics_of_all_jobs(galaxy, requests_mock):
    runs = Runs(requests_mock)
    requests_mock.get(f"{API}/invocations/i/metrics", json=[*runs.measured("j", 75, 2**30, 1000), *runs.measured("k", 0)])
    assert jobs.job_metrics(galaxy, "i", []) == {"j": {"run_time": 75, "start": 1000, "end": 1075, "memory": 2**30},
                                                 "k": {"run_time": 0, "start": None, "end": None, "memory": None}}
    assert jobs.metrics_of_job(galaxy, "k")["run_time"] == 0


def test_each_job_is_asked_for_its_metrics_where_galaxy_has_no_request_for_all(galaxy, requests_mock):
    runs = Runs(requests_mock)
    requests_mock.get(f"{API}/invocations/i/metrics", status_code=404, text="<title>404 Not Found</title>")
    requests_mock.get(f"{API}/version", json={"version_major": "24.1"})
    requests_mock.get(f"{API}/jobs/j/metrics", json=runs.measured("j", 75))
    requests_mock.get(f"{API}/jobs/k/metrics", status_code=403, json={"err_msg": "not yours"})
    metrics = jobs.job_metrics(galaxy, "i", ["j", "k"])
    assert [metrics[job]["run_time"] for job in "jk"] == [75, None]


def test_metrics_that_this_key_may_not_see_are_none(galaxy, requests_mock):
    requests_mock.get(f"{API}/invocations/i/metrics", status_code=403, json={"err_msg": "not yours"})
    assert jobs.job_metrics(galaxy, "i", ["j"]) == {}


def test_failed_jobs_come_before_the_jobs_that_they_pause(galaxy, requests_mock):
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


def test_a_link_has_no_password_of_the_servers_address(requests_mock):
    assert jobs.job_url(Galaxy(KEY, "http://me:s3cret@galaxy.test"), "j") == f"{URL}/jobs/j/view"


@pytest.mark.parametrize("job, words", [
    ({"tool_stderr": " \n", "job_stderr": "killed\n"}, "killed"), ({"tool_stderr": None, "stderr": "a\nb"}, "a\nb"),
    ({"state": "error", "job_messages": [{"desc": "Fatal error: Exit code 1 ()"}]}, "Fatal error: Exit code 1 ()"),
    ({"state": "ok", "job_messages": [{"desc": "a warning"}]}, ""), ({}, ""),
    ({"tool_stderr": "\n".join(map(str, range(100)))}, "\n".join(map(str, range(80, 100))))])
def test_the_tail_of_a_jobs_standard_error(job, words):
    assert jobs.job_stderr(job) == words


def test_an_unreachable_server_is_not_taken_for_a_missing_job(galaxy, requests_mock):
    requests_mock.get(f"{API}/x", exc=requests.ConnectTimeout)
    with pytest.raises(GalaxyError) as caught:
        galaxy.get_or_none("x")
    assert caught.value.exit_code == TRY_LATER
