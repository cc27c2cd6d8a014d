"""job_list.py and job_cancel.py: what they send, print and refuse."""
import json

import job_cancel
import job_list
import pytest
from fakes import API, KEY, URL
from fakes.queue import PERSON, Queue, a_job

from common import FAILED, SOME_FAILED, TRY_LATER, USAGE


@pytest.mark.parametrize("module, lines", [
    (job_list, [[KEY], [KEY, URL, "x"], [KEY, URL, "--state=rnning"], [KEY, URL, "--older-than=w"], [KEY, URL, "--count=id"],
                [KEY, URL, "--unchanged=soon"], [KEY, URL, "--limit=0"], [KEY, URL, "--fields=size"], [KEY, URL, "--user="],
                [KEY, URL, "--count=state", "--fields=tool"]]),
    (job_cancel, [[KEY, URL], [KEY, URL, "--state=ok"], [KEY, URL, "--limit=3"], [KEY, URL, "--user="], [KEY, URL, ""],
                  [KEY, URL, "--tool= "], [KEY, URL, "a/b"], [KEY, URL, "j", "--user=ann"], [KEY, URL, "--dry-run"]])])
def test_a_bad_command_line_sends_nothing(script, requests_mock, capsys, module, lines):
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err and KEY not in printed.err
    assert requests_mock.call_count == 0


# ---------------------------------------------------------------------------------------------------------- job_list.py

def test_everybodys_jobs_for_an_administrator(script, requests_mock, capsys):
    Queue(requests_mock, a_job("j1", age=3700, unchanged=65), a_job("j2", "new", age=90000, job_runner_name=None),
          a_job("j3", "ok"))
    assert script(job_list.main, "--format=tsv", KEY, URL) == 0
    assert capsys.readouterr() == (
        "id\tstate\ttool\tuser\tdestination\tage\tunchanged\thistory_id\n"
        "j1\trunning\tcat1\tann@example.org\tlocal\t1h1m\t1m5s\th1\n"
        "j2\tnew\tcat1\tann@example.org\t\t1d1h\t1d1h\th1\n", "")
    assert script(job_list.main, "--state=all", "--limit=2", "--fields=id,handler,external_id", "--format=value", KEY,
                  URL) == 0
    assert capsys.readouterr().out == "j3\tmain\t7\nj1\tmain\t7\n"


def test_counts(script, requests_mock, capsys):
    Queue(requests_mock, a_job("j1"), a_job("j2"), a_job("j3", "queued"), a_job("j4", "ok"))
    assert script(job_list.main, "--count=state,tool", "--format=tsv", KEY, URL) == 0
    assert capsys.readouterr().out == "state\ttool\tcount\nrunning\tcat1\t2\nqueued\tcat1\t1\n"
    assert script(job_list.main, "--count=state", "--format=value", "--fields=count", "--state=all", KEY, URL) == 0
    assert capsys.readouterr().out == "2\n1\n1\n"


def test_no_jobs_at_all_is_an_empty_list(script, requests_mock, capsys):
    Queue(requests_mock)
    assert script(job_list.main, "--format=json", KEY, URL) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert script(job_list.main, "--format=value", KEY, URL) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("module, words", [(job_list, []), (job_cancel, ["--state=running"]), (job_cancel, ["j1"])])
def test_a_key_that_is_nobodys(script, requests_mock, capsys, module, words):
    queue = Queue(requests_mock, a_job("j1"), user={})
    assert script(module.main, KEY, URL, *words) == FAILED
    assert "does not recognise this API key" in capsys.readouterr().err and queue.pages == [] and queue.writes() == []


# -------------------------------------------------------------------------------------------------------- job_cancel.py

def cancelled(capsys):
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_by_filters_and_again_nothing(script, requests_mock, capsys, clock):
    queue = Queue(requests_mock, a_job("j1"), a_job("j2", "queued", age=61), a_job("j3", "ok"), a_job("j4", user_id="c1"))
    queue.can_cancel()
    line = ("--user=ann", "--format=value", "--fields=id,state,action", KEY, URL)
    assert script(job_cancel.main, "--dry-run", *line) == 0
    assert cancelled(capsys) == [["j1", "running", "cancelled"], ["j2", "queued", "cancelled"]]
    assert queue.writes() == []
    assert script(job_cancel.main, *line) == 0
    assert cancelled(capsys) == [["j1", "deleting", "cancelled"], ["j2", "deleting", "cancelled"]]
    assert sorted(queue.cancels) == ["j1", "j2"]
    assert script(job_cancel.main, "--user=ann", KEY, URL) == 0
    assert capsys.readouterr() == ("", "") and len(queue.cancels) == 2


def test_by_ids_those_that_had_ended_are_told(script, requests_mock, capsys, type_in):
    queue = Queue(requests_mock, *(a_job(f"j{number}", state) for number, state in enumerate(
        ("running", "ok", "deleted", "deleting", "skipped", "paused"))))
    queue.can_cancel("deleted")
    type_in("".join(f"j{number}\n" for number in range(6)))
    assert script(job_cancel.main, "--format=value", "--message=maintenance", KEY, URL, "-") == 0
    printed = capsys.readouterr()
    assert printed.out == ("j0\tdeleted\tcat1\tann@example.org\tcancelled\nj5\tdeleted\tcat1\tann@example.org\tcancelled\n")
    assert [line.partition(": ")[2] for line in printed.err.splitlines()] == ["job j1 had ended: ok",
                                                                              "job j4 had ended: skipped"]
    assert sorted(queue.cancels) == ["j0", "j5"]        # Galaxy would have deleted the outputs of j4
    assert {one.text for one in queue.writes()} == {'{"message": "maintenance"}'}
    type_in("j0\nj5\n")
    assert script(job_cancel.main, KEY, URL, "-") == 0
    assert capsys.readouterr() == ("", "")


def test_what_became_of_a_job_is_waited_for(script, requests_mock, capsys, clock):
    queue = Queue(requests_mock, *(a_job(f"j{number}") for number in range(3)))
    queue.can_cancel()

    def change(number):
        if number == 3:     # a fetch by Celery, and one whose process has ended
            queue.jobs[0]["state"], queue.jobs[2]["state"] = "ok", "deleted"
    queue.on_page = change
    line = ("--format=value", "--fields=id,state,action", KEY, URL)
    assert script(job_cancel.main, "--state=running", *line) == 0
    assert cancelled(capsys) == [["j0", "ok", "cancelled"], ["j2", "deleted", "cancelled"], ["j1", "deleting", "cancelled"]]
    assert sum(clock.slept) == pytest.approx(30) and len(queue.cancels) == 3


def test_an_empty_list_of_ids_cancels_nothing(script, requests_mock, capsys, type_in):
    queue = Queue(requests_mock, a_job("j1"))
    type_in("")
    assert script(job_cancel.main, KEY, URL, "-") == 0
    assert capsys.readouterr() == ("", "") and queue.pages == [] and queue.writes() == []


def test_a_job_that_ends_meanwhile_is_told(script, requests_mock, capsys):
    queue = Queue(requests_mock, a_job("j1"))
    queue.can_cancel()
    requests_mock.get(f"{API}/jobs/j1", [{"json": a_job("j1")}, {"json": a_job("j1", "ok")}])
    requests_mock.delete(f"{API}/jobs/j1", json=False)
    assert script(job_cancel.main, KEY, URL, "j1") == 0
    printed = capsys.readouterr()
    assert printed.out == "" and "job j1 had ended: ok" in printed.err


def test_what_is_not_cancelled_though_galaxy_answers_so_fails(script, requests_mock, capsys, clock):
    queue = Queue(requests_mock, a_job("j1"), a_job("j2"))
    queue.can_cancel()
    requests_mock.get(f"{API}/jobs/j1", json=a_job("j1"))
    requests_mock.delete(f"{API}/jobs/j1", json=True)
    requests_mock.get(f"{API}/jobs/j9", status_code=404, json={"err_msg": "No such job.", "err_code": 404001})
    assert script(job_cancel.main, "--format=value", "--fields=id", KEY, URL, "j1", "j2", "j9") == SOME_FAILED
    printed = capsys.readouterr()
    assert printed.out == "j2\n"
    assert "job j1: Galaxy answered the request, and the job is running" in printed.err and "job j9: " in printed.err
    assert script(job_cancel.main, KEY, URL, "j9") == FAILED


def test_another_users_job_is_left_alone_without_an_administrators_key(script, requests_mock, capsys, clock):
    queue = Queue(requests_mock, a_job("mine"), a_job("other", user_id="c1"), user=PERSON)
    queue.can_cancel()
    assert script(job_cancel.main, "--format=value", "--fields=id", KEY, URL, "other", "mine") == SOME_FAILED
    printed = capsys.readouterr()
    assert printed.out == "mine\n" and queue.cancels == ["mine"]
    assert "job other is another user's: an administrator's key can cancel it" in printed.err
    assert script(job_cancel.main, "--user=admin@example.org", KEY, URL) == FAILED
    assert "needs an administrator's key" in capsys.readouterr().err and queue.cancels == ["mine"]


def test_whose_a_job_is_where_galaxy_does_not_tell(script, requests_mock, capsys, clock):
    """Galaxy 24.1: the owner of its history tells."""
    queue = Queue(requests_mock, *(a_job(name, history_id=name[0], user_id=None) for name in ("mine", "other", "gone")),
                  user=PERSON)
    queue.can_cancel()
    requests_mock.get(f"{API}/histories/m", json={"id": "m", "user_id": PERSON["id"]})
    requests_mock.get(f"{API}/histories/o", json={"id": "o", "user_id": "c1"})
    requests_mock.get(f"{API}/histories/g", status_code=403, json={"err_msg": "no", "err_code": 403002})
    line = ("--timeout=0", "--format=value", "--fields=id,user", KEY, URL, "mine", "other", "gone")
    assert script(job_cancel.main, *line) == SOME_FAILED
    printed = capsys.readouterr()
    assert printed.out == f"mine\t{PERSON['email']}\n" and printed.err.count("is another user's") == 2


def test_a_server_that_goes_away_ends_it_after_what_was_done_is_told(script, requests_mock, capsys, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    queue = Queue(requests_mock, a_job("j1"), a_job("j2", age=61))
    queue.can_cancel()
    requests_mock.delete(f"{API}/jobs/j2", status_code=502, text="<html>Bad Gateway</html>")
    assert script(job_cancel.main, "--state=running", "--format=value", "--fields=id", KEY, URL) == TRY_LATER
    printed = capsys.readouterr()
    assert printed.out == "j1\n" and "job j2: DELETE" in printed.err
