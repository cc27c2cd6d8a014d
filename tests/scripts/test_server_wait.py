"""server_wait.py: what it waits out, what ends it at once, and that nothing stays."""
import pytest
import server_wait
from fakes import KEY

from common import FAILED, STILL_RUNNING, TRY_LATER, USAGE


def value(capsys):
    return capsys.readouterr().out.rstrip("\n").split("\t")


def test_a_bad_command_line_sends_nothing(script, wire):
    for line in ([KEY], [KEY, wire.url, "x"], [KEY, wire.url, "--timeout=soon"], [KEY, wire.url, "--fields=size"]):
        assert script(server_wait.main, *line) == USAGE
    assert wire.asked == []


def test_a_server_that_is_up(script, wire, capsys, clock):
    wire.polls = 2
    assert script(server_wait.main, "--format=value", KEY, wire.url) == 0
    assert value(capsys)[:4] == [wire.url, "26.1.1", "me@example.org", "ok"]
    [history] = wire.histories.values()
    assert history["deleted"] and wire.held(history["id"]) == {"a line": b"a line\n"}
    [deletion] = wire.sent("DELETE history")
    assert deletion.json == {"purge": True}


def test_without_a_job_only_questions_are_sent(script, wire, capsys):
    assert script(server_wait.main, "--no-job", "--format=value", "--fields=user,job", KEY, wire.url) == 0
    assert value(capsys) == ["me@example.org", ""] and wire.writes() == []


@pytest.mark.parametrize("trouble", [
    (502, b"<html>Bad Gateway</html>"), (503, b"Galaxy is starting"), (404, b"404 page not found"), (500, b"x"),
    (200, b"<title>Maintenance</title>"), (200, b"")])
def test_what_a_starting_server_answers_is_waited_out(script, wire, capsys, clock, monkeypatch, trouble):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    wire.answers.update({"GET version": [trouble] * 5, "POST histories": [(502, b"")], "GET user": [(503, b"")]})
    assert script(server_wait.main, "--format=value", "--fields=job", KEY, wire.url) == 0
    assert value(capsys) == ["ok"] and all(history["deleted"] for history in wire.histories.values())


def test_a_history_whose_answer_was_lost_is_purged_too(script, wire, capsys, clock):
    wire.lost["POST histories"] = 1
    assert script(server_wait.main, "--no-job", KEY, wire.url) == 0
    assert script(server_wait.main, "--format=value", "--fields=job", KEY, wire.url) == 0
    assert [history["deleted"] for history in wire.histories.values()] == [True]


def test_what_an_attempt_has_made_is_taken_by_the_next_one(script, wire, capsys, clock, monkeypatch):
    """Each answer but the last is lost: one history, one job, and all of it is purged."""
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    wire.lost.update({"POST histories": 1, "POST fetch": 1, "DELETE history": 1})
    assert script(server_wait.main, "--format=value", "--fields=job", KEY, wire.url) == 0
    assert value(capsys) == ["ok"] and len(wire.sent("POST fetch")) == len(wire.sent("POST histories")) == 1
    assert [history["deleted"] for history in wire.histories.values()] == [True]


def test_a_server_that_stays_away(script, capsys, clock):
    assert script(server_wait.main, "--timeout=100", KEY, "http://127.0.0.1:1") == TRY_LATER
    printed = capsys.readouterr()
    assert "is not up after 100 s: GET http://127.0.0.1:1/api/version: connection refused" in printed.err
    assert printed.out == "" and 100 <= sum(clock.slept) < 140


@pytest.mark.parametrize("answers, words", [
    ({"GET user": (401, {"err_msg": "Provided API key is not valid.", "err_code": 401001})}, "check the key"),
    ({"GET user": (200, {})}, "does not recognise this API key"),
    ({"GET version": (200, {"x": 1})}, "has no 'version_major'"),
    ({"POST fetch": (403, {"err_msg": "You have no quota left.", "err_code": 403002})}, "no quota left")])
def test_what_time_does_not_mend_ends_it_at_once(script, wire, capsys, clock, answers, words):
    wire.answers.update(answers)
    assert script(server_wait.main, KEY, wire.url) == FAILED
    printed = capsys.readouterr()
    assert words in printed.err and printed.out == "" and clock.slept == []
    assert all(history["deleted"] for history in wire.histories.values())


def test_a_job_that_fails_says_why(script, wire, capsys, clock):
    wire.spoiled["a line"] = 1
    assert script(server_wait.main, KEY, wire.url) == FAILED
    assert "an upload of some bytes" in capsys.readouterr().err
    assert all(history["deleted"] for history in wire.histories.values())


def test_a_job_that_does_not_end(script, wire, capsys, clock):
    wire.polls = 10**6
    assert script(server_wait.main, "--timeout=60", KEY, wire.url) == STILL_RUNNING
    assert "1 of 1 still running" in capsys.readouterr().err
    assert all(history["deleted"] for history in wire.histories.values())


@pytest.mark.parametrize("answer", [(500, b"x"), (200, b" "), (200, {"deleted": True})])
def test_a_history_that_stays_is_told(script, wire, capsys, clock, monkeypatch, answer):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    wire.answers["DELETE history"] = answer
    assert script(server_wait.main, KEY, wire.url) == FAILED
    printed = capsys.readouterr()
    assert "may be left, delete it" in printed.err and printed.out == ""
