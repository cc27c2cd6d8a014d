"""invocation_list.py, _show.py, _cancel.py, _export.py and _report.py: what they send, print and write."""
import io
import json
import os
import re
import sys
import zipfile

import invocation_cancel
import invocation_export
import invocation_list
import invocation_report
import invocation_show
import pytest
import requests
from fakes import API, KEY, URL
from fakes.run_answers import BEGAN, FORBIDDEN, Runs, a_job, a_step, mapped, one_line

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE

LIST = f"{API}/invocations"


@pytest.mark.parametrize("module, lines", [
    (invocation_list, [[], [KEY, URL, "i"], [KEY, URL, "--state=done"], [KEY, URL, "--since=0"], [KEY, URL, "--limit=x"]]),
    (invocation_show, [[KEY, URL], [KEY, URL, "i", "j"], [KEY, URL, "a/b"], [KEY, URL, "i", "--fields=nosuch"],
                       [KEY, URL, "i", "--fields=element"]]),
    (invocation_cancel, [[KEY, URL], [KEY, URL, ""], [KEY, URL, "i", "--fields=workflow"]]),
    (invocation_export, [[KEY, URL, "i"], [KEY, URL, "--to=f.zip"], [KEY, URL, "i", "--to=f.txt"],
                         [KEY, URL, "i", "--to=f.zip", "--style=x"], [KEY, URL, "i", "--to=f.zip", "--timeout=soon"]])])
def test_a_bad_command_line_sends_nothing(script, requests_mock, capsys, module, lines):
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err and KEY not in printed.err
    assert requests_mock.call_count == 0


# ----------------------------------------------------------------------------------------------------- invocation_list.py

class Listed:
    """A user's invocations, the newest first, in pages."""

    def __init__(self, mock, *runs):
        self.mock, self.runs = mock, [{"id": f"i{number}", "workflow_id": "w", "history_id": "h", "state": "completed",
                                       "create_time": BEGAN, "update_time": BEGAN, **run} for number, run in enumerate(runs)]
        mock.get(f"{API}/users/current", json={"id": "u"})
        mock.get(f"{API}/workflows/w", json={"name": "Hot days"})
        mock.get(f"{API}/histories/h", json={"name": "Run 12"})
        mock.get(LIST, json=self.page)

    def page(self, request, context):
        offset, limit = int(request.qs.get("offset", ["0"])[0]), int(request.qs["limit"][0])
        return self.runs[offset:offset + limit]

    def asked(self, path):
        return [one.qs for one in self.mock.request_history if one.path == path]


def test_rows_name_the_workflow_and_the_history(script, requests_mock, capsys):
    listed = Listed(requests_mock, *[{}] * 250)
    assert script(invocation_list.main, "--format=jsonl", KEY, URL) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == [f"i{number}" for number in range(250)]
    assert rows[0] == {"id": "i0", "workflow": "Hot days", "history": "Run 12", "state": "completed", "create_time": BEGAN,
                       "update_time": BEGAN}
    asked = listed.asked("/api/invocations")
    assert [one["limit"] for one in asked] == [["100"]] * 3 and "sort_by" not in asked[0]
    assert asked[0]["include_nested_invocations"] == ["false"]
    assert len(listed.asked("/api/workflows/w")) == len(listed.asked("/api/histories/h")) == 1


def test_invocations_by_workflow_history_and_state(script, requests_mock, capsys):
    listed = Listed(requests_mock, *({"state": state} for state in ("new", "completed", "failed", "ready", "failed")))
    requests_mock.get(f"{API}/workflows", json=[{"id": "stored", "name": "Hot days"}])
    requests_mock.get(f"{API}/histories", json=[{"id": "h", "name": "Run 12"}])
    line = ["--format=value", "--fields=id", KEY, URL]
    assert script(invocation_list.main, "--workflow=Hot days", "--history=Run 12", "--nested", "--state=failed, ready",
                  "--limit=2", *line) == 0
    assert capsys.readouterr() == ("i2\ni3\n", "")
    [asked] = listed.asked("/api/invocations")
    assert (asked["workflow_id"], asked["history_id"]) == (["stored"], ["h"]) and "include_terminal" not in asked
    assert "include_nested_invocations" not in asked and listed.asked("/api/workflows/w") == []
    assert script(invocation_list.main, "--state=new,ready", *line) == 0
    assert capsys.readouterr().out == "i0\ni3\n"
    assert listed.asked("/api/invocations")[-1]["include_terminal"] == ["false"]


def test_invocations_of_a_workflow_that_galaxy_fails_to_show(script, requests_mock, capsys):
    """As one with a step of type pick_value (26.1)."""
    listed, workflow = Listed(requests_mock, {}), "f" * 16
    requests_mock.get(f"{API}/workflows/{workflow}", status_code=500)
    requests_mock.get(f"{API}/workflows", json=[{"id": workflow, "name": "Picked"}])
    assert script(invocation_list.main, f"--workflow={workflow}", "--format=value", "--fields=id", KEY, URL) == 0
    assert capsys.readouterr() == ("i0\n", "") and listed.asked("/api/invocations")[0]["workflow_id"] == [workflow]


def test_invocations_of_the_last_days(script, requests_mock, capsys):
    old = "2020-01-01T00:00:00"
    listed = Listed(requests_mock, *({"create_time": "2999-01-01T00:00:00"},) * 3, *({"create_time": old},) * 300)
    assert script(invocation_list.main, "--since=3", "--format=value", "--fields=id", KEY, URL) == 0
    assert capsys.readouterr().out == "i0\ni1\ni2\n"
    assert len(listed.asked("/api/invocations")) == 1


def test_names_that_are_not_visible_are_empty(script, requests_mock, capsys):
    Listed(requests_mock, {})
    requests_mock.get(f"{API}/workflows/w", **FORBIDDEN)
    assert script(invocation_list.main, "--format=value", "--fields=workflow,history", KEY, URL) == 0
    assert capsys.readouterr() == ("\tRun 12\n", "")


def test_an_empty_list_for_an_unknown_key_is_an_error(script, requests_mock, capsys):
    requests_mock.get(f"{API}/users/current", json={})
    requests_mock.get(LIST, json=[])
    assert script(invocation_list.main, "anonymous", URL) == FAILED
    assert one_line(capsys, "does not recognise this API key") == ""


# ----------------------------------------------------------------------------------------------------- invocation_show.py

def test_the_invocation_and_its_steps_as_a_table(script, requests_mock, capsys):
    runs = mapped(requests_mock, messages=[{"reason": "job_failed", "workflow_step_id": 2, "job_id": "j2"}])
    requests_mock.get(f"{API}/invocations/i/metrics", json=[*runs.measured("j1", 70, 10), *runs.measured("j3", 20, 30)])
    assert script(invocation_show.main, KEY, URL, "i") == 0
    printed = capsys.readouterr()
    for line in ("id           i", "workflow     Hot days", "history      Run 12", "state        completed",
                 "jobs         4 ok, 1 error, 1 paused", "messages     step 2: job j2 has failed"):
        assert f"\n{line}\n" in printed.out
    assert [re.split(" {2,}", line.strip()) for line in printed.out.splitlines()[-2:]] == [
        ["1", "hot", "Filter1", "2 ok, 1 error", "90", "0, 1", "30"], ["2", "days", "Filter1", "2 ok, 1 paused", "0"]]
    assert len(runs.asked()) == 5 and printed.err == ""


def test_other_formats_have_the_rows_alone(script, requests_mock, capsys):
    mapped(requests_mock)
    assert script(invocation_show.main, "--format=json", KEY, URL, "i") == 0
    assert [list(row) for row in json.loads(capsys.readouterr().out)] == [invocation_show.STEP_FIELDS] * 2
    assert script(invocation_show.main, "--fields=step,jobs", "--format=value", KEY, URL, "i") == 0
    assert capsys.readouterr().out == "1\t2 ok, 1 error\n2\t2 ok, 1 paused\n"


def test_a_row_for_each_job_with_its_element(script, requests_mock, capsys):
    runs = mapped(requests_mock)
    assert script(invocation_show.main, "--jobs", "--format=value", "--fields=step,element,job,state,exit_code", KEY, URL,
                  "i") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1\tOslo\tj1\tok\t0", "1\tBroken\tj2\terror\t1", "1\tLima\tj3\tok\t0",
        "2\tOslo\tk1\tok\t0", "2\tBroken\tk2\tpaused\t", "2\tLima\tk3\tok\t0"]
    assert script(invocation_show.main, "--jobs", "--format=value", "--fields=job,version", KEY, URL, "i") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "k3\t1.0.2"
    assert runs.asked().count("dataset_collections/c1") == 1       # the first time only, when elements were wanted


def test_a_job_that_was_run_again_is_shown_as_its_rerun(script, requests_mock, capsys):
    rerun = a_job("r", create_time="2026-03-01T11:00:00.000000")
    runs = Runs(requests_mock, a_step(0, "table"), a_step(1, "hot", a_job("j", "error", exit_code=1)))
    runs.job(rerun, outputs={})
    requests_mock.get(f"{API}/jobs", json=[a_job("j", "error"), rerun])
    runs.measured("r", 7)
    assert script(invocation_show.main, "--jobs", "--format=value", "--fields=job,state,run_time", KEY, URL, "i") == 0
    assert capsys.readouterr().out == "r\tok\t7\n"


def test_a_step_waiting_for_review(script, requests_mock, capsys):
    Runs(requests_mock, a_step(0, "table"), a_step(1, "review"), a_step(2, "first", state="new"), state="ready",
         kinds={0: ("data_input", None, None), 1: ("pause", None, None), 2: ("tool", "head", "1")})
    assert script(invocation_show.main, "--format=value", "--fields=label,tool,jobs", KEY, URL, "i") == 0
    assert capsys.readouterr().out == "review\tpause\twaiting for review\nfirst\thead\tnot started\n"


def test_an_invocation_of_another_user_is_refused(script, requests_mock, capsys):
    requests_mock.get(f"{API}/invocations/i", **FORBIDDEN)
    assert script(invocation_show.main, KEY, URL, "i") == FAILED
    assert one_line(capsys, "not yours") == ""


# --------------------------------------------------------------------------------------------------- invocation_cancel.py

class Cancelled:
    """Invocations in these states, which can be cancelled."""

    def __init__(self, mock, after="cancelling", **states):
        self.mock, self.states = mock, states
        for name in states:
            mock.get(f"{API}/invocations/{name}", json=lambda request, context, name=name: {
                "id": name, "state": self.states[name]})
            mock.get(f"{API}/invocations/{name}/jobs_summary", json={"states": {"running": 1}, "populated_state": "ok"})
            mock.delete(f"{API}/invocations/{name}", json=lambda request, context, name=name: self.states.update(
                {name: after}))

    @property
    def deleted(self):
        return [one.path.rsplit("/", 1)[1] for one in self.mock.request_history if one.method == "DELETE"]


def test_invocations_that_have_ended_are_left_alone(script, requests_mock, capsys):
    runs = Cancelled(requests_mock, a="new", b="completed", c="cancelled", d="scheduled", e="scheduled", f="failed")
    requests_mock.get(f"{API}/invocations/e/jobs_summary", json={"states": {"ok": 1}, "populated_state": "ok"})
    assert script(invocation_cancel.main, KEY, URL, *"abcdef") == 0
    assert capsys.readouterr() == (
        "a\tcancelling\tcancelled\nb\tcompleted\tnothing: it has ended\nc\tcancelled\tnothing: it is cancelled already\n"
        "d\tcancelling\tcancelled\ne\tscheduled\tnothing: it has ended\nf\tcancelling\tcancelled\n", "")
    assert runs.deleted == ["a", "d", "f"]


def test_a_dry_run_cancels_nothing(script, requests_mock, capsys, type_in):
    runs = Cancelled(requests_mock, a="ready", b="completed")
    type_in("a\nb\n")
    assert script(invocation_cancel.main, "-n", "--fields=id,done", KEY, URL, "-") == 0
    assert capsys.readouterr().out == "a\tnothing: it would be cancelled\nb\tnothing: it has ended\n"
    assert runs.deleted == []


def test_an_invocation_that_galaxy_does_not_cancel_is_an_error(script, requests_mock, capsys):
    Cancelled(requests_mock, after="ready", a="ready")
    assert script(invocation_cancel.main, KEY, URL, "a") == FAILED
    assert one_line(capsys, "invocation a: Galaxy accepted the request, but the invocation is ready") == ""


def test_the_others_are_cancelled_if_one_is_refused(script, requests_mock, capsys):
    runs = Cancelled(requests_mock, a="new", b="new")
    requests_mock.delete(f"{API}/invocations/a", **FORBIDDEN)
    assert script(invocation_cancel.main, "--fields=id", KEY, URL, "a", "b") == SOME_FAILED
    assert one_line(capsys, "invocation a: ") == "b\n" and runs.states["b"] == "cancelling"


def test_an_unreachable_server_ends_the_script(script, requests_mock, capsys, clock):
    requests_mock.get(f"{API}/invocations/a", exc=requests.ConnectTimeout)
    assert script(invocation_cancel.main, KEY, URL, "a", "b") == TRY_LATER
    assert one_line(capsys, "galaxy.test") == ""


# --------------------------------------------------------------------------------------------------- invocation_export.py

def crate(name="ro-crate-metadata.json"):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr(name, "{}")
    return made.getvalue()


class Exports:
    """A Galaxy that makes an archive of an invocation, ready at the third poll."""

    def __init__(self, mock, content, state="completed", looks=3, task="PENDING", steps=()):
        self.runs, self.mock, self.poll = Runs(mock, *steps, state=state), mock, looks
        mock.post(f"{API}/invocations/i/prepare_store_download", json={"storage_request_id": "s", "task": {"id": "t"}})
        mock.get(f"{API}/tasks/t/state", json=task)
        mock.get(f"{API}/short_term_storage/s/ready", json=self.ready)
        mock.get(f"{API}/short_term_storage/s", content=content)

    def ready(self, request, context):
        self.poll -= 1
        return self.poll <= 0

    @property
    def wishes(self):
        return [one.json() for one in self.mock.request_history if one.method == "POST"]


@pytest.mark.parametrize("name, options, kind, content", [
    ("a.rocrate.zip", [], "rocrate.zip", crate()), ("a.JSON", [], "bco.json", b"{}"),
    ("a.txt", ["--style=rocrate"], "rocrate.zip", crate()), ("", ["--style=bco"], "bco.json", b"{}")])
def test_the_archive_is_written(script, requests_mock, capsys, clock, tmp_path, name, options, kind, content):
    galaxy = Exports(requests_mock, content)
    file = tmp_path / (name or "Hot days.bco.json")
    assert script(invocation_export.main, f"--to={tmp_path / name}", *options, KEY, URL, "i") == 0
    assert capsys.readouterr() == (f"{file}\n", "")
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == [file.name] and file.read_bytes() == content
    assert galaxy.wishes == [{"model_store_format": kind, "include_files": True, "include_hidden": False,
                              "include_deleted": False}]


@pytest.mark.parametrize("content, name, words", [
    (crate()[:-9], "a.zip", "file is damaged"), (crate() * 2, "a.zip", "damaged: bytes before its first member"),
    (crate("other"), "a.zip", "file is not complete"),
    (b"<html>", "a.json", "file is damaged"), (b"[]", "a.json", "file is not complete")])
def test_a_damaged_archive_leaves_no_file(script, requests_mock, capsys, clock, tmp_path, content, name, words):
    Exports(requests_mock, content)
    assert script(invocation_export.main, "--no-files", f"--to={tmp_path / name}", KEY, URL, "i") == FAILED
    assert one_line(capsys, words) == "" and [path.name for path in tmp_path.iterdir()] == ["home"]


def test_an_interrupted_export_continues_within_a_day(script, requests_mock, capsys, clock, tmp_path):
    galaxy, line = Exports(requests_mock, crate(), looks=99), [f"--to={tmp_path}/a.zip", KEY, URL, "i"]
    assert script(invocation_export.main, "--timeout=20", *line) == STILL_RUNNING
    assert one_line(capsys, "Galaxy is still making the archive after 20 s: repeat the command to resume") == ""
    galaxy.poll = 1
    assert script(invocation_export.main, *line) == 0
    assert len(galaxy.wishes) == 1
    clock.now += 90000      # Galaxy has thrown it away since
    assert script(invocation_export.main, "--force", *line) == 0
    assert len(galaxy.wishes) == 2


@pytest.mark.parametrize("steps, words", [
    ([a_step(0, "x", a_job("j"))], "could not make the bco.json\n"),
    ([a_step(0, "x", subworkflow_invocation_id="s")], "make the bco.json: it can't for an invocation with subworkflows")])
def test_an_archive_that_galaxy_can_not_make(script, requests_mock, capsys, clock, tmp_path, steps, words):
    Exports(requests_mock, b"", task="FAILURE", steps=steps)
    assert script(invocation_export.main, f"--to={tmp_path}/a.json", KEY, URL, "i") == FAILED
    assert one_line(capsys, words) == ""


def test_an_archive_whose_task_fails_after_it_is_ready(script, requests_mock, capsys, clock, tmp_path):
    """As on a busy Galaxy 26.1, which notes the failure after the storage is ready."""
    Exports(requests_mock, b"")
    requests_mock.get(f"{API}/tasks/t/state", [{"json": "PENDING"}] * 3 + [{"json": "FAILURE"}])
    requests_mock.get(f"{API}/short_term_storage/s", status_code=500, json={"err_msg": "Unknown error: no disk"})
    assert script(invocation_export.main, f"--to={tmp_path}/a.zip", KEY, URL, "i") == FAILED
    assert one_line(capsys, "invocation i: Galaxy could not make the rocrate.zip: Unknown error: no disk\n") == ""
    assert not (tmp_path / "a.zip").exists()


def test_a_server_without_celery_is_an_error(script, requests_mock, capsys, tmp_path):
    Exports(requests_mock, b"")
    requests_mock.post(f"{API}/invocations/i/prepare_store_download", status_code=403, json={
        "err_msg": "This operation requires asynchronous tasks to be enabled"})
    assert script(invocation_export.main, f"--to={tmp_path}/a.zip", KEY, URL, "i") == FAILED
    assert one_line(capsys, "requires asynchronous tasks") == ""


def test_only_a_report_can_be_made_before_the_end(script, requests_mock, capsys, tmp_path):
    galaxy = Exports(requests_mock, crate(), state="ready")
    requests_mock.get(f"{API}/invocations/i/report", json={"markdown": "# Hot \u2600\n"})
    assert script(invocation_export.main, f"--to={tmp_path}/a.zip", KEY, URL, "i") == STILL_RUNNING
    assert one_line(capsys, "invocation i is ready and has not ended") == "" and galaxy.wishes == []
    assert script(invocation_export.main, f"--to={tmp_path}/a.md", KEY, URL, "i") == 0
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "# Hot \u2600\n"


def test_a_report_as_pdf_if_the_server_makes_one(script, requests_mock, capsys, tmp_path):
    Runs(requests_mock)
    requests_mock.get(f"{API}/invocations/i/report.pdf", content=b"%PDF-1.7")
    assert script(invocation_export.main, f"--to={tmp_path}/a.pdf", KEY, URL, "i") == 0
    assert (tmp_path / "a.pdf").read_bytes() == b"%PDF-1.7"
    requests_mock.get(f"{API}/invocations/i/report.pdf", status_code=501, json={"err_msg": "PDF conversion ..."})
    capsys.readouterr()
    assert script(invocation_export.main, f"--to={tmp_path}/b.pdf", KEY, URL, "i") == FAILED
    assert one_line(capsys, "makes no PDF") == "" and not (tmp_path / "b.pdf").exists()


@pytest.mark.parametrize("name", ["a.md", "a.zip", "a.pdf"])
def test_an_existing_file_is_not_replaced(script, requests_mock, capsys, tmp_path, name):
    runs = Runs(requests_mock)
    (tmp_path / name).write_text("mine")
    assert script(invocation_export.main, f"--to={tmp_path / name}", KEY, URL, "i") == FAILED
    assert one_line(capsys, "is there already") == "" and (tmp_path / name).read_text() == "mine"
    assert runs.asked() == ["invocations/i", "workflows/w"]


# --------------------------------------------------------------------------------------------------- invocation_report.py

def test_the_page_is_written_to_a_file_or_to_standard_output(script, requests_mock, capsys, tmp_path):
    mapped(requests_mock)
    line = [f"--to={tmp_path}/a.html", KEY, URL, "i"]
    assert script(invocation_report.main, *line) == 0
    assert capsys.readouterr() == (f"{tmp_path}/a.html\n", "")
    assert "<title>Hot days: Failed" in (tmp_path / "a.html").read_text(encoding="utf-8")
    (tmp_path / "a.html").write_text("mine")
    assert script(invocation_report.main, *line) == FAILED
    assert one_line(capsys, "is there already") == "" and (tmp_path / "a.html").read_text() == "mine"
    assert script(invocation_report.main, "--force", *line) == 0
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(os.listdir(tmp_path)) == ["a.html", "home"]
    capsys.readouterr()
    assert script(invocation_report.main, "--to=-", KEY, URL, "i") == 0
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>")


def test_a_bad_command_line_for_a_page_sends_nothing(script, requests_mock, capsys, tmp_path):
    for line in ([KEY, URL, "i"], [KEY, URL, f"--to={tmp_path}/a"], [KEY, URL, "i", f"--to={tmp_path}"],
                 [KEY, URL, "i", "--to="], [KEY, URL, "i", f"--to={tmp_path}/no/a.html"],
                 [KEY, URL, "a b", f"--to={tmp_path}/a"]):
        assert script(invocation_report.main, *line) == USAGE, line
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err and KEY not in printed.err
    assert requests_mock.call_count == 0


def test_only_a_regular_file_is_replaced(script, requests_mock, capsys, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert script(invocation_report.main, "--force", f"--to={tmp_path}/pipe", KEY, URL, "i") == USAGE
    assert one_line(capsys, "not a file's name") == "" and requests_mock.call_count == 0
    assert not (tmp_path / "pipe").is_file()


def test_a_page_of_another_users_invocation_leaves_no_file(script, requests_mock, capsys, tmp_path):
    requests_mock.get(f"{API}/invocations/i", **FORBIDDEN)
    assert script(invocation_report.main, f"--to={tmp_path}/a.html", KEY, URL, "i") == FAILED
    assert one_line(capsys, "not yours") == "" and os.listdir(tmp_path) == ["home"]


def test_a_page_without_jinja2_is_an_error_before_anything_is_sent(script, requests_mock, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert script(invocation_report.main, f"--to={tmp_path}/a.html", KEY, URL, "i") == FAILED
    assert one_line(capsys, "the package jinja2 is not installed") == "" and requests_mock.call_count == 0
