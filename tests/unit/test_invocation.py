from functools import partial

import pytest
from fakes import KEY, process

from common import FAILED, STILL_RUNNING, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.target_history import create_history
from galaxy_api_scripts.invocations import invocation as invocation_module
from galaxy_api_scripts.invocations.replacements import Replacement


def summary(**states):
    return (200, {"id": "i", "states": states, "populated_state": "ok", "model": "WorkflowInvocation"})


def unfinished(populated_state):
    return (200, {"id": "i", "states": {"ok": 1}, "populated_state": populated_state, "model": "WorkflowInvocation"})


def invocation(state, **more):
    return (200, {"id": "i", "state": state, "steps": [], "messages": [], "outputs": {}, "output_collections": {},
                  "workflow_id": "w", **more})


def a_step(*jobs, index=2, label="Wet days", **more):
    """A step as `step_details` shows it, with these jobs, (id, state) each."""
    return {"order_index": index, "workflow_step_label": label, "state": "scheduled", **more, "jobs": [
        {"id": job, "state": state, "tool_id": "Filter1", "exit_code": None, "create_time": "2026-01-01T10:00:00",
         "update_time": "2026-01-01T10:00:05"} for job, state in jobs]}


HIDDEN = (403, {"err_msg": "not yours"})       # the workflow, which is then done without


def wait(loopback, *answers, timeout=None):
    loopback.will(*answers)
    return invocation_module.wait_for_invocation(Galaxy(KEY, loopback.url), "i", timeout)


def test_the_wait_ends_when_all_jobs_are_ok_or_skipped(loopback, clock):
    answer = wait(loopback, summary(), invocation("new"), summary(new=2), summary(running=1, ok=1),
                  summary(ok=1, skipped=1), invocation("ready"), summary(ok=2, skipped=1), invocation("scheduled"))
    assert answer["state"] == "scheduled"
    assert [asked.path.rsplit("/", 1)[-1] for asked in loopback.asked].count("jobs_summary") == 5
    assert len(loopback.asked) == 8


def test_jobs_that_a_subworkflow_makes_between_two_requests_are_waited_for(loopback, clock):
    inner = {"steps": [{"order_index": 1, "state": "scheduled", "subworkflow_invocation_id": "in"}]}
    answer = wait(loopback, summary(ok=1), invocation("scheduled", **inner), (200, {"version_major": "26.1"}),
                  summary(ok=1, new=1), summary(ok=1, running=1), summary(ok=2), invocation("completed", **inner),
                  summary(ok=2))
    assert answer["state"] == "completed" and len(loopback.asked) == 8


def test_a_completed_invocation_with_a_failed_job_fails_and_names_the_job(loopback, clock):
    with pytest.raises(GalaxyError) as caught:
        step = a_step(("j3", "paused"), ("j2", "error"), output_collections={"out": {"src": "hdca", "id": "c"}},
                      implicit_collection_jobs_id="icj")
        step["jobs"][1]["exit_code"] = 1
        wait(loopback, summary(ok=1, error=1, paused=1), invocation("completed"), invocation("completed", steps=[step]),
             HIDDEN, (200, {"id": "j2", "state": "error", "tool_stderr": "oh\nbad column\n", "outputs": {
                 "o": {"id": "d"}}}),
             (200, {"elements": [{"element_identifier": "Oslo", "element_type": "hda", "object": {"id": "d"}}]}))
    assert str(caught.value) == ("invocation i failed: 1 error, 1 paused; step 2 (Wet days), tool Filter1, element Oslo, is "
                                 f"error, job j2, exit code 1: bad column; see {loopback.url}/jobs/j2/view")
    assert caught.value.exit_code == FAILED


@pytest.mark.parametrize("state", ["error", "failed", "deleted", "deleting", "stopped", "paused"])
def test_every_other_final_state_is_a_failure(loopback, clock, state):
    with pytest.raises(GalaxyError, match=f"failed: 1 {state}; step 2 \\(Filter1\\) is {state}, job j9; see"):
        wait(loopback, summary(ok=3, **{state: 1}), invocation("completed"),
             invocation("completed", steps=[a_step(("j8", "ok"), ("j9", state), label=None)]), HIDDEN,
             (200, {"id": "j9", "state": state}))


VERSION_25, INSIDE = (200, {"version_major": "25.1"}), [{"order_index": 1, "subworkflow_invocation_id": "s"}]


def test_jobs_of_subworkflows_are_asked_for_where_the_summary_leaves_them_out(loopback, clock):
    """Galaxy 25.1 and older."""
    shown = []
    outer, inner = (summary(ok=1), invocation("scheduled", steps=INSIDE)), invocation("scheduled")
    loopback.will(*outer, VERSION_25, unfinished("new"), inner, *outer, summary(ok=1, running=1), inner, *outer,
                  summary(ok=2), inner, summary(ok=1))
    answer = invocation_module.wait_for_invocation(Galaxy(KEY, loopback.url), "i", on_progress=shown.append)
    assert answer["state"] == "scheduled" and shown[-1] == {"ok": 3} and shown[-3] == {"ok": 2, "running": 1}


@pytest.mark.parametrize("fail_fast", [True, False])
def test_a_failed_job_of_a_subworkflow_fails_the_invocation_where_the_summary_leaves_it_out(loopback, clock, fail_fast):
    outer, inner = (summary(ok=1), invocation("scheduled", steps=INSIDE)), invocation("scheduled")
    later = () if fail_fast else (*outer, summary(error=1, ok=1), inner)
    loopback.will(*outer, VERSION_25, summary(error=1, running=1), inner, *later,
                  invocation("scheduled", steps=[a_step(("j1", "error"))]), HIDDEN, (200, {"id": "j1", "state": "error"}))
    with pytest.raises(invocation_module.InvocationFailed, match="failed: 1 error; step 2 .* job j1"):
        invocation_module.wait_for_invocation(Galaxy(KEY, loopback.url), "i", fail_fast=fail_fast)


def test_a_rerun_in_a_subworkflow_counts_where_the_summary_leaves_it_out(loopback, clock, monkeypatch):
    """It runs at the first look; no job of the invocation's own steps has failed."""
    states = ["running", "ok"]

    def find(*_):
        return {"j1": Replacement("error", {"id": "r1", "state": states.pop(0)}, is_inner=True)}

    monkeypatch.setattr(invocation_module, "find_replacements", find)
    outer, inner = (summary(ok=1), invocation("scheduled", steps=INSIDE)), (summary(error=1), invocation("scheduled"))
    loopback.will(*outer, VERSION_25, *inner, invocation("scheduled"), *outer, *inner, invocation("scheduled"),
                  summary(ok=1), *[(200, {"outputs": {}})] * 2)
    answer = invocation_module.wait_for_invocation(Galaxy(KEY, loopback.url), "i", reruns={})
    assert answer["state"] == "scheduled" and states == []


def test_a_newer_galaxy_is_not_asked_for_the_jobs_of_subworkflows(loopback, clock):
    wait(loopback, summary(ok=2), invocation("completed", steps=INSIDE), (200, {"version_major": "26.1"}), summary(ok=2))
    assert len(loopback.asked) == 4


def test_a_failed_job_does_not_end_the_wait_while_others_run(loopback, clock):
    with pytest.raises(GalaxyError, match="2 error"):
        wait(loopback, summary(error=1, running=1), summary(error=2), invocation("scheduled"), invocation("scheduled"),
             HIDDEN)
    assert len(clock.slept) == 1


def test_jobs_that_do_not_exist_yet_are_waited_for(loopback, clock):
    answer = wait(loopback, unfinished("new"), unfinished("new"), invocation("ready"), (200, {"steps": {}}),
                  summary(ok=2), invocation("scheduled"), summary(ok=2))
    assert answer["state"] == "scheduled" and len(clock.slept) == 2


def test_jobs_that_can_not_be_made_are_a_failure(loopback, clock):
    with pytest.raises(GalaxyError, match="invocation i could not make all its jobs"):
        wait(loopback, unfinished("failed"), invocation("scheduled"))


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_failed_or_cancelled_invocation_fails_with_its_reason(loopback, clock, state):
    with pytest.raises(GalaxyError, match=f"is {state}: step 2: dataset d has failed"):
        wait(loopback, summary(), invocation(state, messages=[
            {"reason": "dataset_failed", "workflow_step_id": 2, "hda_id": "d"}]))


def test_a_failed_job_is_told_by_the_status_though_others_still_run(loopback, clock):
    """A9."""
    with pytest.raises(GalaxyError, match="still runs after 100 s: 1 error, 1 running") as caught:
        wait(loopback, summary(error=1, running=1), timeout=100)
    assert caught.value.exit_code == FAILED


def test_the_timeout_ends_the_wait(loopback, clock):
    with pytest.raises(GalaxyError, match="still runs after 100 s: 1 ok, 1 running") as caught:
        wait(loopback, summary(ok=1, running=1), timeout=100)
    assert caught.value.exit_code == STILL_RUNNING
    assert len(loopback.asked) < 35


@pytest.mark.parametrize("timeout", [None, 10, 1000])
def test_a_wait_within_another_wait_keeps_its_deadline(loopback, clock, timeout):
    galaxy = Galaxy(KEY, loopback.url)
    for _ in galaxy.poll(60):
        deadline = galaxy.deadline
        loopback.will(summary(ok=1), invocation("completed"), summary(ok=1))
        invocation_module.wait_for_invocation(galaxy, "i", timeout)
        assert galaxy.deadline == deadline
        break
    assert galaxy.deadline == float("inf")


@pytest.mark.parametrize("timeout, seconds", [(None, 60), (10, 10), (1000, 60)])
def test_a_wait_within_another_wait_ends_at_the_earlier_deadline(loopback, clock, timeout, seconds):
    galaxy = Galaxy(KEY, loopback.url)
    loopback.will(summary(running=1))
    with pytest.raises(GalaxyError, match=f"still runs after {seconds} s: 1 running") as caught:
        for _ in galaxy.poll(60):
            invocation_module.wait_for_invocation(galaxy, "i", timeout)
    assert caught.value.exit_code == STILL_RUNNING and sum(clock.slept) == pytest.approx(seconds)


def test_a_cancelled_invocation_whose_jobs_stay_deleting_has_ended(loopback, clock):
    """As Galaxy 26.1 leaves them, for at least ten minutes."""
    with pytest.raises(GalaxyError, match="invocation i is cancelled: 2 deleted, 2 deleting"):
        wait(loopback, summary(deleted=2, deleting=2), invocation("cancelled"), invocation("cancelled"), HIDDEN)


def test_a_failed_job_in_a_subworkflow_is_named(loopback, clock):
    outer = a_step(index=1, label="Outer", subworkflow_invocation_id="s")
    inner = a_step(("j5", "error"), index=3, label="Inner")
    with pytest.raises(GalaxyError, match="failed: 1 error; step 1.3 \\(Outer: Inner\\), tool Filter1, is error, job j5"):
        wait(loopback, summary(error=1), invocation("scheduled"), invocation("scheduled", steps=[outer]), HIDDEN,
             invocation("scheduled", steps=[inner]), HIDDEN, (200, {"id": "j5", "state": "error"}))
    assert "/invocations/s?step_details=true" in loopback.asked[4].path


def test_the_timeout_ends_the_wait_while_the_server_is_unreachable(loopback, clock):
    loopback.close()
    with pytest.raises(GalaxyError) as caught:
        invocation_module.wait_for_invocation(Galaxy(KEY, loopback.url, patience=600), "i", 30)
    assert caught.value.exit_code == TRY_LATER and sum(clock.slept) == pytest.approx(30)


# ------------------------------------------------------------------------------------------------------ submission

BODY = {"history_id": "h", "inputs": {"0": {"src": "hda", "id": "d"}, "1": 7}}


def submit(loopback, *answers, record=None, **data):
    """Submit an invocation; its id, and the notes that are left."""
    galaxy = Galaxy(KEY, loopback.url)
    record = record or Checkpoint(galaxy, "a run", "a run")
    record.save(**data)
    loopback.will(*answers)
    return invocation_module.submit_once(galaxy, "w", BODY, record), record.data


def listed(*ids, state="new"):
    return (200, [{"id": one, "state": state} for one in ids])


def with_dataset(one, dataset="d"):
    return (200, {"id": one, "inputs": {"0": {"src": "hda", "id": dataset}}})


def test_an_invocation_is_submitted_and_noted(loopback):
    made, notes = submit(loopback, listed("old"), (200, {"id": "new"}))
    assert (made, notes["invocation"], notes["known"]) == ("new", "new", ["old"])
    assert [asked.method for asked in loopback.asked] == ["GET", "POST"] and loopback.asked[1].json == BODY
    assert loopback.asked[0].path.startswith("/api/invocations?") and "history_id=h&workflow_id=w" in loopback.asked[0].path


def test_a_noted_invocation_is_not_submitted_again(loopback):
    assert submit(loopback, (500, {}), invocation="known")[0] == "known" and loopback.asked == []


def test_after_a_lost_answer_the_invocation_is_looked_up(loopback, clock):
    made, notes = submit(loopback, listed("old"), lambda handler: handler.cut(), listed("old"), listed("new", "old"),
                        with_dataset("new"))
    assert (made, notes["invocation"]) == ("new", "new")
    assert [asked.method for asked in loopback.asked].count("POST") == 1


def in_a_new_history(loopback):
    loopback.will((200, {"id": "h"}))
    assert create_history(Galaxy(KEY, loopback.url), "n") == "h"
    return len(loopback.asked)


def test_the_first_invocation_in_a_new_history_needs_no_look(loopback):
    before = in_a_new_history(loopback)
    made, notes = submit(loopback, (200, {"id": "new"}))
    assert (made, notes["known"]) == ("new", []) and len(loopback.asked) == before + 1
    assert invocation_module.sole_invocations == {(loopback.url, "new")}
    submit(loopback, listed("new"), (200, {"id": "second"}), record=Checkpoint(Galaxy(KEY, loopback.url), "other", "other"))
    assert invocation_module.sole_invocations == {(loopback.url, "new")}


def test_after_a_lost_answer_the_first_invocation_in_a_new_history_is_looked_up(loopback, clock):
    in_a_new_history(loopback)
    made, _ = submit(loopback, lambda handler: handler.cut(), listed(), listed("new"), with_dataset("new"))
    assert made == "new" and invocation_module.sole_invocations == set()
    process.forget()
    in_a_new_history(loopback)
    nothing = [listed()] * 17
    made, _ = submit(loopback, lambda handler: handler.cut(), *nothing, listed(), (200, {"id": "again"}),
                     record=Checkpoint(Galaxy(KEY, loopback.url), "other", "other"))
    assert made == "again" and invocation_module.sole_invocations == set()      # the one given up may still appear


def test_another_users_invocation_of_that_moment_is_not_adopted(loopback, clock):
    made, _ = submit(loopback, listed(), lambda handler: handler.cut(), listed("theirs"), with_dataset("theirs", "other"),
                    listed("ours", "theirs"), with_dataset("theirs", "other"), with_dataset("ours"))
    assert made == "ours"


def test_an_invocation_that_never_appears_is_submitted_again(loopback, clock):
    nothing = [listed()] * 17       # a look every other second while it may still be under way
    made, _ = submit(loopback, listed(), lambda handler: handler.cut(), *nothing, listed(), (200, {"id": "new"}))
    assert made == "new" and [asked.method for asked in loopback.asked].count("POST") == 2


def test_of_two_invocations_of_the_same_one_is_cancelled(loopback, clock, capsys):
    made, _ = submit(loopback, listed("second", "first"), with_dataset("first"), with_dataset("second"), (200, {}),
                     asked=clock.now, known=[])
    assert made == "first" and "second" in capsys.readouterr().err
    assert (loopback.asked[-1].method, loopback.asked[-1].path) == ("DELETE", "/api/invocations/second")


def test_an_error_from_galaxy_is_not_a_lost_answer(loopback):
    with pytest.raises(GalaxyError, match="no such input"):
        submit(loopback, listed(), (400, {"err_msg": "no such input"}))
    assert [asked.method for asked in loopback.asked] == ["GET", "POST"]


def test_after_three_lost_answers_the_submission_is_given_up(loopback, clock):
    def answer(handler):
        if handler.command == "POST":
            return handler.cut()
        return handler.reply(200, [])
    with pytest.raises(GalaxyError, match="the answer to its submission was lost 3 times") as caught:
        submit(loopback, answer)
    assert caught.value.exit_code == TRY_LATER and [asked.method for asked in loopback.asked].count("POST") == 3


def test_a_step_waiting_for_review_ends_the_wait(loopback, clock):
    steps = [{"order_index": 0, "state": "scheduled", "action": None},
             {"order_index": 1, "state": "scheduled", "job_id": "j"},
             {"order_index": 2, "id": "s", "state": "scheduled", "action": None, "workflow_step_label": "look"},
             {"order_index": 3, "state": "new", "action": None}]
    about = (200, {"id": "i", "state": "ready", "workflow_id": "w", "steps": steps})
    workflow = (200, {"steps": {"0": {"type": "data_input"}, "2": {"type": "pause"}, "3": {"type": "pause"}}})
    with pytest.raises(GalaxyError, match="is waiting for a review of step 2 .look.: .*/steps/s action:=true"):
        wait(loopback, unfinished("new"), unfinished("new"), about, workflow)


def test_a_step_waiting_for_review_in_a_subworkflow_ends_the_wait(loopback, clock):
    inner = {"order_index": 1, "id": "s", "state": "scheduled", "action": None, "workflow_step_label": "look"}
    outer = {"order_index": 1, "state": "scheduled", "subworkflow_invocation_id": "in"}
    above, below = {"1": {"type": "subworkflow", "workflow_id": "x"}}, {"1": {"type": "pause"}}
    with pytest.raises(GalaxyError, match="invocation in is waiting for a review of step 1 .look.: .*/in/steps/s action"):
        wait(loopback, unfinished("new"), unfinished("new"), invocation("ready", steps=[outer]), (200, {"steps": above}),
             (200, {"steps": below}), (200, {"id": "in", "state": "ready", "workflow_id": "x", "steps": [inner]}))


def test_a_failure_does_not_end_the_wait_while_galaxy_makes_more_jobs(loopback, clock):
    """A branch may fail before another one starts."""
    with pytest.raises(GalaxyError, match="failed: 1 error"):
        wait(loopback, unfinished_with(error=1), unfinished_with(error=1), unfinished_with(error=1, running=2),
             summary(error=1, ok=2), invocation("scheduled"), invocation("scheduled"), HIDDEN)
    assert [asked.path.rsplit("/", 1)[-1] for asked in loopback.asked[:4]] == ["jobs_summary"] * 4


def test_a_failure_ends_the_wait_when_no_more_jobs_are_made(loopback, clock):
    def answer(handler):
        return handler.reply(*(unfinished_with(error=1) if handler.path.endswith("summary") else
                               HIDDEN if "workflows" in handler.path else invocation("ready")))
    with pytest.raises(GalaxyError, match="failed: 1 error"):
        wait(loopback, answer)
    assert 15 <= sum(clock.slept) < 30


def test_fail_fast_ends_with_the_first_failure(loopback, clock):
    with pytest.raises(invocation_module.InvocationFailed, match="failed: 1 error"):
        loopback.will(summary(error=1, running=5), invocation("ready"), invocation("ready"), HIDDEN)
        invocation_module.wait_for_invocation(Galaxy(KEY, loopback.url), "i", fail_fast=True)


def test_while_jobs_move_a_poll_is_one_request(loopback, clock):
    counts = []
    loopback.will(*[unfinished_with(running=count) for count in (500, 400, 300, 200, 100)], summary(ok=500),
                  invocation("scheduled"))
    invocation_module.wait_for_invocation(Galaxy(KEY, loopback.url), "i", on_progress=counts.append)
    assert [asked.path for asked in loopback.asked[:6]] == ["/api/invocations/i/jobs_summary"] * 6
    assert counts[0] == {"running": 500} and counts[-1] == {"ok": 500}


OUTPUTS = {"first": {"src": "hda", "id": "d"}}


@pytest.mark.parametrize("last, inner, asked_again", [
    (summary(ok=2), None, False), (summary(ok=1, error=1), None, True), (unfinished("failed"), None, True),
    (summary(ok=2), "in", True)])
def test_who_looks_ahead_asks_for_the_invocation_while_jobs_move(loopback, clock, last, inner, asked_again):
    """And again at the end after a failure or a cancellation, and where a subworkflow may have jobs of its own."""
    step = {**a_step(), "subworkflow_invocation_id": inner}
    early, late = (invocation(state, steps=[step], outputs=OUTPUTS) for state in ("scheduled", "completed"))
    rest = [late, (200, {"version_major": "26.1"}), last] if inner else [late, late, HIDDEN]
    loopback.will(unfinished_with(running=1), summary(running=2), early, summary(running=1), last, *rest)
    ask = partial(invocation_module.wait_for_invocation, Galaxy(KEY, loopback.url), "i", look_ahead=True)
    if last == summary(ok=2):
        assert ask()["outputs"] == OUTPUTS
    else:
        with pytest.raises(invocation_module.InvocationFailed):
            ask()
    assert [asked.path.rsplit("/", 1)[-1] for asked in loopback.asked[:5]] == ["jobs_summary"] * 2 + ["i"] + [
        "jobs_summary"] * 2
    assert (len(loopback.asked) > 5) == asked_again


def test_while_many_jobs_are_made_a_poll_is_one_request_too(loopback, clock):
    """Whether a review is due is asked once where the workflow has no pause."""
    about = invocation("new", steps=[{"order_index": 0, "state": "scheduled", "action": None}])
    workflow = (200, {"steps": {"0": {"type": "data_input"}, "1": {"type": "tool"}}})
    none = unfinished_with()
    wait(loopback, none, none, about, workflow, none, none, none, summary(ok=500), invocation("scheduled"))
    assert [asked.path.rsplit("/", 1)[-1] for asked in loopback.asked].count("jobs_summary") == 6
    assert len(loopback.asked) == 9
    invocation_module.known_pauses[loopback.url, "w"] = {"w": set()}       # of another run's
    before = len(loopback.asked)
    wait(loopback, none, none, about, none, none, summary(ok=500), invocation("scheduled"))
    assert len(loopback.asked) == before + 7


def test_a_pause_does_not_end_the_wait_before_the_invocation_reaches_it(loopback, clock):
    workflow = (200, {"steps": {"0": {"type": "data_input"}, "2": {"type": "pause"}}})
    steps = [{"order_index": 0, "state": "scheduled", "action": None}]
    there = [*steps, {"order_index": 2, "id": "s", "state": "scheduled", "action": None}]
    with pytest.raises(GalaxyError, match="review of step 2 .pause."):
        wait(loopback, *[unfinished("new")] * 2, invocation("ready", steps=steps), workflow, unfinished("new"),
             invocation("ready", steps=there))


def unfinished_with(**states):
    return (200, {"id": "i", "states": states, "populated_state": "new", "model": "WorkflowInvocation"})
