"""job_rerun.py, history_share.py and workflow_share.py against the fake Galaxy: what is done once, what is told, and what
Galaxy then holds."""
import json
import os

import history_share
import invocation_wait
import job_rerun
import pytest
import workflow_share
from fakes import KEY
from fakes.galaxy import FakeGalaxy
from fakes.handover import COLLEAGUES, MINE, SHARED
from fakes.resources import WORKFLOW

from common import DONE, FAILED, SOME_FAILED, STILL_RUNNING, USAGE, Galaxy
from galaxy_api_scripts.checkpoint import Checkpoint, checkpoint_folder
from galaxy_api_scripts.invocations import job_history
from galaxy_api_scripts.invocations.job_reruns import JobReruns
from galaxy_api_scripts.invocations.reruns import describe_job

ANN, BOB = COLLEAGUES.values()


@pytest.fixture
def wire(clock):
    with FakeGalaxy(clock.time, polls=0) as server:
        yield server


def printed(capsys, error=""):
    """The rows of JSON that were printed; `error` is in what is on standard error, and it is empty without that."""
    out, err = capsys.readouterr()
    assert (error in err) if error else err == "", err
    return json.loads(out) if out else None


# --------------------------------------------------------------------------------------------------------- job_rerun.py

@pytest.fixture
def rerun(script, wire, capsys, clock):
    """`rerun(*words, status=0, err="")`: the rows of job_rerun.py."""
    def call(*words, status=DONE, err=""):
        assert script(job_rerun.main, "--format=json", KEY, wire.url, *words) == status, capsys.readouterr()
        return printed(capsys, err)
    return call


def reruns_of(galaxy, tool="cut"):
    """The jobs of a tool that are no workflow's."""
    return [job["id"] for job in galaxy.jobs.values()
            if job["tool_id"] == tool and "__workflow_invocation_uuid__" not in job["params"]]


@pytest.mark.parametrize("line", [[], ["a/b"], ["a", "--invocation=b"], ["--invocation=a", "--history=b"],
                                  ["--invocation=a/b"], ["a", "--timeout=soon"], ["a", "--fields=size"]])
def test_a_bad_line_sends_nothing(script, wire, line):
    assert script(job_rerun.main, KEY, wire.url, *line) == USAGE
    assert wire.asked == []


def test_a_failed_job_runs_again_and_what_waited_goes_on(rerun, wire):
    failed, paused = wire.create_failed_job()
    [row] = rerun(failed["id"])
    [new] = reruns_of(wire)
    assert row == {"job": failed["id"], "id": new, "tool_id": "cut", "state": "ok", "paused": [paused["id"]]}
    assert wire.jobs[paused["id"]]["state"] == "ok"
    made = wire.jobs[new]["outputs"]["out"]["id"]
    assert wire.datasets[made]["visible"] is True       # as the failed one was


def test_the_dry_run_shows_what_waits_and_changes_nothing(rerun, wire):
    failed, paused = wire.create_failed_job()
    rows = rerun("--dry-run", f"--history={failed['history_id']}")
    assert [(row["job"], row["id"], row["state"], row["paused"]) for row in rows] == [
        (failed["id"], None, "error", [paused["id"]])]
    assert reruns_of(wire) == [] and not [one for one in wire.asked if one.method != "GET"]


def test_jobs_that_wait_though_none_has_failed_are_told(rerun, wire):
    """What they wait for was made in another history."""
    failed, paused = wire.create_failed_job()
    line = f"--history={failed['history_id']}"
    failed["state"] = "ok"
    rerun(line, status=FAILED, err=f"wait for (1) was made elsewhere: job_show.py - - {paused['id']}")
    paused["state"] = "running"
    rerun("-n", line, status=STILL_RUNNING, err="1 of 2 still run")
    paused["state"] = "ok"
    assert rerun(line) == []


@pytest.mark.parametrize("tool, change, reason", [
    ("cut", {"state": "ok"}, "has not failed: its state is ok"),
    ("cut", {"state": "deleted"}, "was cancelled (state deleted)"),
    ("cut", {"user_id": "00000000000000d1"}, "is another user's"),
    ("__DATA_FETCH__", {}, "is an upload, whose data Galaxy does not keep"),
    ("upload1", {}, "is an upload, whose data Galaxy does not keep")])
def test_what_cannot_run_again_is_named_with_the_reason_and_the_others_run(rerun, wire, tool, change, reason):
    bad, _ = wire.create_failed_job(tool=tool)
    bad.update(change)
    assert rerun(bad["id"], status=FAILED, err=f"job {bad['id']} ({tool}) {reason}") == []
    assert reruns_of(wire, tool) == []
    good, _ = wire.create_failed_job(tool="join")
    [row] = rerun(bad["id"], good["id"], status=SOME_FAILED, err=reason)
    assert row["job"] == good["id"] and len(reruns_of(wire, "join")) == 1


def test_galaxy_s_refusal_of_the_form_is_told(rerun, wire):
    failed, _ = wire.create_failed_job()
    wire.answers["GET rerun"] = (500, {"err_msg": "Uncaught exception", "err_code": 0})
    rerun(failed["id"], status=FAILED, err=f"job {failed['id']} (cut) can't be run again: ")
    wire.answers["GET rerun"] = (200, {"id": "cut", "version": "2.0", "message": "Version 1.0 is gone"})
    rerun(failed["id"], status=FAILED, err="can't be run again as it was: Version 1.0 is gone")
    assert reruns_of(wire) == []


def test_an_input_that_is_gone_is_told(rerun, wire):
    failed, _ = wire.create_failed_job()
    wire.datasets[failed["inputs"]["input"]["id"]]["deleted"] = True
    rerun(failed["id"], status=FAILED, err="can't be run again: its input 'a.tsv'")
    assert reruns_of(wire) == []


def test_a_paused_job_names_the_one_that_it_waits_for(rerun, wire):
    failed, paused = wire.create_failed_job()
    rerun(paused["id"], status=FAILED, err=f"is paused: it waits for job {failed['id']}: run that again")


def test_one_that_was_run_again_is_refused_and_its_rerun_named(rerun, wire):
    failed, _ = wire.create_failed_job()
    rerun(failed["id"])
    [new] = reruns_of(wire)
    rerun(failed["id"], status=FAILED, err=f"was run again before, as job {new} (state ok)")
    assert rerun(f"--history={failed['history_id']}") == []     # nothing left to do
    assert reruns_of(wire) == [new]


def test_one_that_fails_again_is_told_and_can_be_run_once_more(rerun, wire):
    failed, paused = wire.create_failed_job()
    wire.rerun_state = "error"
    [row] = rerun(failed["id"], status=FAILED, err="ended in state error, exit code 0: no disk")
    assert row["state"] == "error"
    rerun(failed["id"], status=FAILED, err=f"as job {row['id']} (state error): run that one again")
    wire.rerun_state = "ok"
    [again] = rerun(f"--history={failed['history_id']}")
    assert (again["job"], again["state"], again["paused"]) == (row["id"], "ok", [paused["id"]])
    assert len(reruns_of(wire)) == 2


@pytest.mark.parametrize("late", [0, 3])
def test_a_lost_answer_is_looked_up_and_nothing_sent_twice(rerun, wire, late):
    failed, paused = wire.create_failed_job()
    wire.lost["POST tools"], wire.late = 1, late
    [row] = rerun(failed["id"])
    assert [row["id"]] == reruns_of(wire) and wire.jobs[paused["id"]]["state"] == "ok"


def test_an_answer_that_was_lost_with_its_process_is_looked_up(rerun, wire):
    """Killed after Galaxy had acted, before the answer came: the same line continues, and another one too."""
    failed, paused = wire.create_failed_job()
    galaxy = Galaxy(KEY, wire.url)
    with Checkpoint(galaxy, describe_job(failed), "job_rerun", failed["id"]) as record:
        record.save(asked=wire.clock(), known=[], paused=[paused["id"]], outputs={"out": [True, "tabular"]}, tries=1)
    wire.rerun_job({"inputs": {"rerun_remap_job_id": failed["id"]}}, 0)
    [row] = rerun(failed["id"])
    assert ([row["id"]], row["state"], row["paused"]) == (reruns_of(wire), "ok", [paused["id"]])
    assert [one for one in wire.asked if one.method == "POST"] == []


def test_killed_before_galaxy_acted_it_is_sent_once(rerun, wire):
    failed, _ = wire.create_failed_job()
    with Checkpoint(Galaxy(KEY, wire.url), describe_job(failed), "job_rerun", failed["id"]) as record:
        record.save(asked=wire.clock(), known=[], tries=1)
    [row] = rerun(failed["id"])
    assert [row["id"]] == reruns_of(wire)


def test_a_run_by_hand_that_nothing_waits_for_is_no_rerun_in_place(rerun, wire):
    failed, paused = wire.create_failed_job()
    wire.remaps = False
    wire.rerun_job({"inputs": {"rerun_remap_job_id": failed["id"]}}, 0)
    wire.remaps = True
    [row] = rerun(failed["id"])
    assert wire.jobs[paused["id"]]["state"] == "ok" and row["id"] == reruns_of(wire)[1]


def test_galaxy_that_does_not_put_it_in_place_is_told(rerun, wire):
    failed, paused = wire.create_failed_job()
    wire.remaps = False
    rerun(failed["id"], status=FAILED,
          err=f"but Galaxy did not put that in its place: job {paused['id']} stays paused")


def test_without_waiting_the_new_id_is_printed_at_once(rerun, wire):
    failed, _ = wire.create_failed_job()
    [row] = rerun("--no-wait", failed["id"])
    assert ([row["id"]], row["state"]) == (reruns_of(wire), "new")


def test_another_line_waits_for_what_goes_on_with_a_rerun(rerun, wire):
    """After a kill: the rerun is ok, and what waited for it runs."""
    failed, paused = wire.create_failed_job()
    wire.rerun_job({"inputs": {"rerun_remap_job_id": failed["id"]}}, 0)
    [new] = reruns_of(wire)
    line = ["--timeout=5", f"--history={failed['history_id']}"]
    for states in (("ok", "running"), ("running", "new")):
        wire.jobs[new]["state"], paused["state"] = states
        [row] = rerun(*line, status=STILL_RUNNING, err="still running after 5 s")
        assert (row["job"], row["id"], row["paused"]) == (failed["id"], new, [paused["id"]])
    [row] = rerun("--dry-run", *line)
    assert (row["job"], row["id"], row["state"]) == (failed["id"], new, "running")
    wire.jobs[new]["state"] = paused["state"] = "ok"
    assert rerun(*line) == [] and reruns_of(wire) == [new]


def test_the_same_line_goes_on_until_what_waited_has_ended(rerun, wire):
    failed, paused = wire.create_failed_job()
    wire.resumed_state = "running"
    for line in ([failed["id"]], [failed["id"]], [f"--history={failed['history_id']}"]):
        [row] = rerun("--timeout=5", *line, status=STILL_RUNNING, err="still running after 5 s")
        assert [row["id"]] == reruns_of(wire) and row["paused"] == [paused["id"]]
    paused["state"] = "error"
    [row] = rerun(failed["id"], status=FAILED, err="ended in state error")
    assert row["state"] == "ok"
    rerun(failed["id"], status=FAILED, err="was run again before")


def test_a_rerun_that_has_failed_since_the_kill_is_told_and_not_run_again(rerun, wire):
    failed, paused = wire.create_failed_job()
    with Checkpoint(Galaxy(KEY, wire.url), describe_job(failed), "job_rerun", failed["id"]) as record:
        record.save(asked=wire.clock(), known=[], paused=[paused["id"]], tries=1)
    wire.rerun_state = "error"
    wire.rerun_job({"inputs": {"rerun_remap_job_id": failed["id"]}}, 0)
    [row] = rerun(f"--history={failed['history_id']}", status=FAILED, err="ended in state error")
    assert ([row["id"]], row["job"], row["state"]) == (reruns_of(wire), failed["id"], "error")
    [row] = rerun(f"--history={failed['history_id']}", status=FAILED, err="ended in state error")
    assert len(reruns_of(wire)) == 2


def test_jobs_that_may_not_be_listed_are_refused(rerun, wire):
    wire.failures["a.tsv"] = ["no such column"]
    invocation = wire.create_invocation()
    rerun(f"--invocation={invocation}", status=FAILED, err="can't be listed, and job ")


def test_an_element_s_rerun_that_its_step_has_in_place_is_waited_for(wire):
    failed, paused = wire.create_failed_job()
    wire.create_failed_job(failed["history_id"], tool="of another run")
    wire.resumed_state = "running"
    wire.rerun_job({"inputs": {"rerun_remap_job_id": failed["id"]}}, 0)
    step = [wire.jobs[reruns_of(wire)[0]], paused]
    reruns = JobReruns(Galaxy(KEY, wire.url), failed["user_id"], dry_run=False)
    assert reruns.find_failed(failed["history_id"], step) == [failed["id"]]
    paused["state"] = "ok"
    reruns.histories.clear()
    assert reruns.find_failed(failed["history_id"], step) == []


def test_an_element_s_job_run_by_hand_mends_no_collection(script, wire, capsys):
    wire.failures["a.tsv"] = ["no such column"]
    run = wire.runs[wire.create_invocation()]
    wire.rerun_job({"inputs": {"rerun_remap_job_id": next(iter(run["made"]))}}, 0)
    assert script(invocation_wait.main, "-q", KEY, wire.url, run["id"]) == DONE
    run["elements_of"] = {"out_file1": {"src": "hdca", "id": "c"}}
    assert script(invocation_wait.main, "-q", KEY, wire.url, run["id"]) == FAILED
    assert "failed: 1 error" in capsys.readouterr().err


def create_equal_jobs(wire):
    """Two failed jobs of one history that differ in nothing, as of a run and its repetition; the jobs wait for them."""
    one, _ = wire.create_failed_job()
    two, _ = wire.create_failed_job(one["history_id"])
    two["inputs"]["input"]["id"] = one["inputs"]["input"]["id"]
    return one, two


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("waits", [True, False])
def test_a_rerun_stands_for_one_of_two_equal_jobs(rerun, wire, which, waits):
    jobs = create_equal_jobs(wire)
    if not waits:
        for job in list(wire.jobs.values()):
            if job["state"] == "paused":
                del wire.jobs[job["id"]]
    rerun(jobs[which]["id"])
    [row] = rerun("--dry-run", f"--history={jobs[0]['history_id']}")
    assert (row["job"], row["state"]) == (jobs[1 - which]["id"], "error")
    rerun(jobs[1 - which]["id"])
    assert rerun(f"--history={jobs[0]['history_id']}") == [] and len(reruns_of(wire)) == 2


def test_lost_answers_of_two_equal_jobs_are_told_apart(rerun, wire):
    one, two = create_equal_jobs(wire)
    wire.lost["POST tools"] = 2
    rows = rerun(one["id"], two["id"])
    assert [row["id"] for row in rows] == reruns_of(wire) and len(rows) == 2


def test_any_number_of_jobs_needs_one_open_checkpoint(rerun, wire, monkeypatch):
    history = wire.create_history("of jobs")
    jobs = [wire.create_failed_job(history)[0]["id"] for _ in range(3)]
    open_files, rerun_job = [], wire.rerun_job

    def count(*words):
        names = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")
                 if os.path.exists(f"/proc/self/fd/{one}")]
        open_files.append(sum(name.startswith(str(checkpoint_folder())) for name in names))
        return rerun_job(*words)

    monkeypatch.setattr(wire, "rerun_job", count)
    assert len(rerun(*jobs)) == 3 and open_files == [1, 1, 1]


def test_each_job_is_compared_once(wire, monkeypatch):
    history = wire.create_history("of jobs")
    jobs = [wire.create_failed_job(history)[0]["id"] for _ in range(10)]
    for job in jobs:
        wire.rerun_job({"inputs": {"rerun_remap_job_id": job}}, 0)
    parsed, plain = [], job_history._plain
    monkeypatch.setattr(job_history, "_plain", lambda value: parsed.append(value) or plain(value))
    found = job_history.JobHistory(Galaxy(KEY, wire.url), history)
    assert [found.find_replacement(job)["id"] for job in jobs] == reruns_of(wire)
    assert parsed.count("1") == 20        # failed jobs and reruns, one parameter each


# ----------------------------------------------------------------------------------------------------- history_share.py

@pytest.fixture
def share(script, wire, capsys):
    def call(*words, status=DONE, err=""):
        assert script(history_share.main, "--format=json", KEY, wire.url, *words) == status, capsys.readouterr()
        return printed(capsys, err)
    return call


@pytest.fixture
def history(wire):
    made = wire.create_history("Run 42")
    wire.create_dataset("a.tsv", b"abc", history=made)
    return made


def changes(galaxy):
    return [one for one in galaxy.asked if one.method != "GET"]


@pytest.mark.parametrize("line", [["h"], ["h", "blah"], ["h", "a@b", ""], ["h", "a@b", "--datasets=all"],
                                  ["h", "link", "--datasets=keep"], ["h", "everybody", "--datasets=give"],
                                  ["h", "a@b", "--fields=size"], ["--stop", "--datasets=give", "h", "a@b"]])
def test_a_bad_line_shares_nothing(script, wire, line):
    assert script(history_share.main, KEY, wire.url, *line) == USAGE
    assert wire.asked == []


def test_users_are_added_and_others_stay(share, wire, history):
    assert share(history, ANN)["users"] == [ANN]
    row = share("Run 42", BOB)
    assert row == {"id": history, "name": "Run 42", "users": [ANN, BOB], "link": False, "published": False,
                   "address": f"{wire.url}/u/me/h/run"}
    before = len(changes(wire))
    assert share(history, ANN.upper(), BOB)["users"] == [ANN, BOB]
    assert len(changes(wire)) == before         # it is so already
    assert share("--stop", "--dry-run", history, ANN)["users"] == [BOB]
    assert share("--stop", history, ANN)["users"] == [BOB]


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_mistyped_user_is_not_taken_for_one_who_lost_it(share, wire, history, dry):
    share(history, ANN, BOB)
    before = len(changes(wire))
    share("--stop", *dry, history, ANN, "bbo@example.org", status=FAILED,
          err=f"is not shared with bbo@example.org, so nothing was changed: it is shared with {ANN}, {BOB}")
    assert len(changes(wire)) == before


def test_a_link_and_everybody(share, wire, history):
    row = share(history, "link")
    assert (row["link"], row["published"], row["address"]) == (True, False, f"{wire.url}/u/me/h/run")
    assert share(history, "everybody", ANN)["published"]
    row = share("--stop", history, "everybody")
    assert (row["link"], row["published"], row["users"]) == (True, False, [ANN])
    assert not share("--stop", history, "link")["link"]


def test_somebody_who_is_not_there_ends_with_galaxy_s_reason(share, wire, history):
    share(history, ANN, "nobody@example.org", status=FAILED,
          err="is not shared: nobody@example.org is not a valid Galaxy user.")
    assert wire.get_sharing({}, None, history)["users_shared_with"] == []


def test_a_refused_line_leaves_datasets_as_they_are(share, wire, history):
    """Galaxy would make them public for Ann, and then share nothing because of the other."""
    secret = wire.create_private(history, "secret.bam")
    share(history, ANN, "nobody@example.org", "--datasets=public", status=FAILED,
          err="is not shared: nobody@example.org is not a valid Galaxy user.")
    assert wire.datasets[secret]["permissions"]["access"] == [MINE]
    share(history, ANN, "--datasets=public")
    assert wire.datasets[secret]["permissions"]["access"] == []


def test_an_account_that_was_deleted_keeps_nobody_from_it(share, wire, history):
    share(history, ANN)
    wire.deleted_users = [next(iter(COLLEAGUES))]
    assert share(history, BOB)["users"] == [BOB]
    share(history, ANN, status=FAILED, err=f"is not shared: {ANN} is not a valid Galaxy user.")
    wire.deleted_users = ()
    share(history, ANN)
    wire.deleted_users = [next(iter(COLLEAGUES))]
    share(history, "nobody@example.org", status=FAILED, err="nobody@example.org is not a valid Galaxy user.")
    assert share("--stop", history, BOB)["users"] == []


def test_an_answer_that_says_it_cannot_be_shared_is_a_failure(share, wire, history):
    """Status 200, and nothing is shared."""
    wire.answers["PUT share"] = (200, {"errors": [], "extra": {"can_share": False, "can_change": [], "cannot_change": [
        {"id": "d", "name": "theirs.bam"}]}})
    share(history, ANN, status=FAILED, err="is not shared: 1 dataset is private (theirs.bam), and you can't change that")
    wire.answers["PUT share"] = (200, {"errors": [], "extra": None})
    share(history, ANN, status=FAILED, err=f"is not shared with {ANN}, although Galaxy refused nothing")


@pytest.mark.parametrize("words", [[ANN], ["link"], ["everybody"]])
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_history_with_private_datasets_is_not_shared_unasked(share, wire, history, words, dry):
    wire.create_private(history, "secret.bam")
    share(*dry, history, *words, status=FAILED, err="1 dataset is private (secret.bam)")
    assert changes(wire) == []


def test_private_datasets_are_given_made_public_or_kept(share, wire, history):
    secret = wire.create_private(history, "secret.bam")
    access = wire.datasets[secret]["permissions"]
    share("--datasets=keep", history, ANN)
    assert access["access"] != [SHARED]
    share(history, ANN, status=FAILED, err=f"is shared with {ANN}, who can't read all of it")
    share("--datasets=give", history, ANN)
    assert access["access"] == [SHARED]
    share("--datasets=give", history, BOB, status=FAILED, err="which Galaxy gives to one user at a time")
    assert share("--datasets=public", history, BOB)["users"] == [ANN, BOB]
    assert access["access"] == []


def test_each_private_dataset_is_looked_at(share, wire, history):
    """The user can read the first one, and not the second."""
    first, second = wire.create_private(history, "first.bam"), wire.create_private(history, "second.bam")
    share("--datasets=give", history, ANN)
    wire.datasets[second]["permissions"]["access"] = wire.datasets[first]["permissions"]["manage"]
    share(history, ANN, status=FAILED, err="1 dataset is private (second.bam)")
    share("--stop", history, ANN)
    before = len(changes(wire))
    share("--datasets=give", history, ANN, BOB, status=FAILED, err="which Galaxy gives to one user at a time")
    assert len(changes(wire)) == before


@pytest.fixture
def fixed(share, wire):
    """A history, shared with Ann, whose only dataset is private, and that can't be changed."""
    made = wire.create_history("Theirs")
    wire.create_private(made, "theirs.bam", is_fixed=True)
    share("--datasets=keep", made, ANN)
    return made


def test_a_refused_grant_takes_nothing_away(share, wire, fixed):
    share("--datasets=give", fixed, ANN, status=FAILED, err="do not contain any datasets that can be accessed")
    assert [user["email"] for user in wire.get_sharing({}, None, fixed)["users_shared_with"]] == [ANN]


def test_what_the_owner_may_not_change_is_told(share, wire, fixed):
    """Galaxy shares the history, and says in the same answer which of its datasets stay private."""
    wire.create_dataset("public.tsv", b"abc", history=fixed)
    for user in (ANN, BOB):
        for how in ("give", "public"):
            share(f"--datasets={how}", fixed, user, status=FAILED,
                  err="is shared, but 1 dataset is private (theirs.bam) still")
    share("--datasets=keep", fixed, BOB)


def test_what_could_not_be_made_public_is_told(share, wire, history):
    """Also where a role that does not name the user may let them read it."""
    wire.create_private(history, "secret.bam", roles=["of a group"], is_fixed=True)
    wire.create_dataset("public.tsv", b"abc", history=history)
    share("--datasets=keep", history, ANN)
    wire.answers["PUT permissions"] = (403, {"err_msg": "no", "err_code": 403002})
    share("--datasets=public", history, ANN, status=FAILED, err="is shared, but 1 dataset is private (secret.bam) still")


def test_users_who_could_not_be_put_back_are_named(share, wire, fixed, monkeypatch):
    put_share, calls = wire.put_share, []

    def refuse_later(ask, body, which):
        calls.append(body)
        return put_share(ask, body, which) if len(calls) < 2 else wire.refuse(403, {"err_msg": "no", "err_code": 403002})

    monkeypatch.setattr(wire, "put_share", refuse_later)
    share("--datasets=give", fixed, ANN, status=FAILED,
          err=f"may no longer be shared with {ANN}: share it with --datasets=keep again")
    assert [len(body["user_ids"]) for body in calls] == [0, 1, 1]


def test_an_empty_history_is_not_shared_with_users(share, wire):
    empty = wire.create_history("Nothing yet")
    share(empty, ANN, status=FAILED, err="is empty")
    assert changes(wire) == []


def test_the_dry_run_of_sharing_changes_nothing(share, wire, history):
    assert share("--dry-run", history, ANN)["users"] == [ANN]
    assert share("--dry-run", history, "everybody")["published"]
    assert changes(wire) == []


# ---------------------------------------------------------------------------------------------------- workflow_share.py

@pytest.fixture
def share_workflow(script, wire, capsys):
    def call(*words, status=DONE, err=""):
        assert script(workflow_share.main, "--format=json", KEY, wire.url, "Copy", *words) == status, capsys.readouterr()
        return printed(capsys, err)
    return call


def test_a_workflow_is_shared_with_each_kind_and_others_stay(share_workflow, wire):
    assert share_workflow(ANN)["users"] == [ANN]
    assert share_workflow("-n", BOB, "everybody") == {"id": WORKFLOW, "name": "Copy", "users": [ANN, BOB], "link": True,
                                                      "published": True, "address": f"{wire.url}/u/me/w/copy"}
    assert share_workflow(BOB, "link")["users"] == [ANN, BOB]
    assert share_workflow("everybody")["published"]
    before = len(changes(wire))
    assert share_workflow(ANN.upper(), BOB, "link", "everybody")["link"]
    assert len(changes(wire)) == before         # it is so already
    assert share_workflow("-n", "--stop", ANN, "link")["users"] == [BOB]
    row = share_workflow("--stop", ANN, "link")
    assert (row["users"], row["link"], row["published"]) == ([BOB], False, False)
    share_workflow("--stop", ANN, status=FAILED, err=f"is not shared with {ANN}, so nothing was changed")


def test_who_is_not_there_takes_a_workflow_from_nobody_and_is_told(share_workflow, wire):
    """Galaxy shares it with the others, and takes it from all that the request does not name; status 200."""
    share_workflow(ANN)
    share_workflow("nobody@example.org", status=FAILED,
                   err="is not shared with nobody@example.org: nobody@example.org is not a valid Galaxy user.")
    share_workflow(BOB, "nobody@example.org", status=SOME_FAILED, err="is not shared with nobody@example.org: nobody@")
    assert [COLLEAGUES[one] for one in wire.workflow_status["users"]] == [ANN, BOB]
    wire.answers["PUT workflow_publish"] = (200, {})
    share_workflow("everybody", status=FAILED, err="is not shared with everybody: although Galaxy refused nothing")
    assert share_workflow("--stop", BOB)["users"] == [ANN]


@pytest.mark.parametrize("line", [[], ["blah"], ["a@b", ""], ["a@b", "--fields=size"], ["a@b", "--datasets=give"]])
def test_a_bad_line_shares_no_workflow(script, wire, line):
    assert script(workflow_share.main, KEY, wire.url, "Copy", *line) == USAGE
    assert wire.asked == []
