"""invocation_report.py and the page that it writes."""
import json
import os
from html.parser import HTMLParser

import invocation_report
import pytest
from fakes import API, KEY, URL
from fakes.run_answers import FORBIDDEN, Runs, a_job, a_step, mapped, one_line

from common import FAILED, USAGE, Galaxy
from galaxy_api_scripts.invocations import report

NASTY = "<script>alert('1')</script> & \"q\" \u202e\x1b[31m\ud800"


class Page(HTMLParser):
    """What a browser would see of a page."""

    VOID = {"meta", "link"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.links, self.parts, self.styles = [], [], [], [], ""
        self.feed(text)
        assert self.open == [], "tags that are not closed"
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src", "action", "srcset", "data")]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["style"]:
            self.styles += data
        else:
            self.parts.append(data)


def a_page(mock):
    return report.gather_report(Galaxy(KEY, URL, patience=0), "i")


def test_a_run_with_a_failure(requests_mock):
    runs = mapped(requests_mock, inputs={"0": {"label": "places", "src": "hdca", "id": "c0"}},
                  output_collections={"hot_days": {"src": "hdca", "id": "c2"}}, outputs={"log": {"src": "hda", "id": "d9"}},
                  input_step_parameters={"limit": {"label": "limit", "parameter_value": 20}})
    runs.collection("c0", {}, name="places", collection_type="list", element_count=3, elements_states={"ok": 3})
    requests_mock.get(f"{API}/datasets/d9", json={"name": "messages", "state": "ok", "extension": "txt", "file_size": 2048,
                                                  "purged": True})
    told = a_page(requests_mock)
    page = Page(told)
    for words in ("Hot days", "\u2717 Failed: 2 jobs did not end well", "Run 12", "4 ok, 1 error, 1 paused",
                  "2026-03-01 10:00:00 UTC", "Step 1, hot, element Broken", "IndexError: list <index> out of range",
                  "exit code 1: job j2", "\u2016 paused", "list of 3", "3 ok", "limit 20 parameter",
                  "log messages txt, 2.0 KiB ok, purged"):
        assert words in page.text, words
    assert {f"{URL}/jobs/j2/view", f"{URL}/workflows/invocations/i", f"{URL}/histories/view?id=h", f"{URL}/datasets/d9",
            f"{URL}/collection/c2/edit"} <= set(page.links)
    assert KEY not in told


def test_it_needs_nothing_from_elsewhere(requests_mock):
    mapped(requests_mock)
    told = a_page(requests_mock)
    page = Page(told)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert "url(" not in page.styles and "@import" not in page.styles
    assert "default-src 'none'" in told and page.tags.count("link") == 1 and "data:," in page.links


def test_no_name_becomes_a_tag(requests_mock):
    runs = mapped(requests_mock, messages=[{"reason": NASTY}], outputs={NASTY: {"src": "hda", "id": "d9"}},
                  output_values={"value": NASTY})
    runs.invocation("i", a_step(1, NASTY, a_job("j2", "error", tool_id=NASTY)))
    runs.job(a_job("j2", "error"), tool_stderr=NASTY)
    runs.workflow("w", NASTY, {1: ("tool", NASTY, NASTY)})
    requests_mock.get(f"{API}/histories/h", json={"name": NASTY})
    requests_mock.get(f"{API}/datasets", text=json.dumps([{"id": "d9", "name": NASTY, "extension": NASTY, "state": "ok"}]))
    told = a_page(requests_mock)
    page = Page(told)
    assert "script" not in page.tags and page.text.count("<script>alert('1')</script>") >= 8
    assert "\x1b" not in told and "\u202e" not in told
    told.encode()


def test_requests_for_many_jobs(requests_mock):
    many = [a_job(f"j{number}", "error" if number < 30 else "ok") for number in range(500)]
    runs = Runs(requests_mock, a_step(0, "hot", *many, implicit_collection_jobs_id="icj", output_collections={
        "out": {"src": "hdca", "id": "c"}}))
    runs.collection("c", {})
    page = Page(a_page(requests_mock))
    # The run twice, its workflow, times, history; the failures shown, and where their elements are.
    assert len(runs.asked()) == 5 + report.MAX_FAILURES + 1
    assert "470 ok, 30 error" in page.text and "And 20 more" in page.text and "details" not in page.tags
    assert page.tags.count("i") == 3 + 5        # a line and two bars, and the legend


@pytest.mark.parametrize("state, jobs, words", [
    ("completed", [("ok", 0)], "\u2713 Ended well"), ("completed", [("skipped", None)], "\u2713 Ended well"),
    ("cancelled", [("deleted", None)], "\u25a0 Cancelled"), ("failed", [], "\u2717 Failed"),
    ("new", [], "\u25b6 Still under way"), ("ready", [("error", 1)], "\u2717 Still under way; 1 job did not end well")])
def test_the_verdict(requests_mock, state, jobs, words):
    made = [a_job(f"j{number}", how, exit_code=code) for number, (how, code) in enumerate(jobs)]
    Runs(requests_mock, a_step(0, "x", *made), state=state)
    assert f" {words} History" in Page(a_page(requests_mock)).text


def test_a_run_that_waits_for_a_person(requests_mock):
    Runs(requests_mock, a_step(0, "review"), state="ready", kinds={0: ("pause", None, None)})
    text = Page(a_page(requests_mock)).text
    assert "\u2016 Waiting for review" in text and "There are no jobs yet." in text


def test_what_we_may_not_see_is_left_open(requests_mock):
    Runs(requests_mock, a_step(0, "x", a_job("j")), outputs={"out": {"src": "hda", "id": "d"}},
         output_collections={"all": {"src": "hdca", "id": "c"}})
    for path in ("workflows/w", "histories/h", "datasets/d", "dataset_collections/c", "invocations/i/metrics"):
        requests_mock.get(f"{API}/{path}", **FORBIDDEN)
    requests_mock.get(f"{API}/datasets", json=[])
    text = Page(a_page(requests_mock)).text
    assert "A workflow" in text and "(not visible)" in text and "out d dataset" in text


@pytest.mark.parametrize("job, span", [
    ({"start": 1010, "end": 1030}, (1000, 1010, 1030)), ({"start": 990, "end": 995}, (1000, 1000, 1000)),
    ({"state": "ok"}, (1000, 1000, 1040)), ({"state": "running"}, (1000, 1040, 1100)),
    ({"state": "queued"}, (1000, 1040, 1040))])
def test_when_a_job_waited_and_ran(job, span):
    times = {"create_time": "1970-01-01T00:16:40", "update_time": "1970-01-01T00:17:20.000000"}
    assert report.job_times({"state": "ok", **times, **job}, 1100) == span


@pytest.mark.parametrize("seconds, words", [(0, "0 s"), (59.6, "1 min"), (75, "1 min 15 s"), (3605, "1 h"),
                                            (7320, "2 h 2 min"), (180000, "2 d 2 h")])
def test_times_for_people(seconds, words):
    assert report.format_duration(seconds) == words


@pytest.mark.parametrize("size, words", [(None, "size unknown"), (0, "0 bytes"), (1023, "1023 bytes"), (13352, "13.0 KiB"),
                                         (5 * 2**40, "5.0 TiB")])
def test_sizes_for_people(size, words):
    assert report.format_size(size) == words


# --------------------------------------------------------------------------------------------------- invocation_report.py

def test_the_file(script, requests_mock, capsys, tmp_path):
    mapped(requests_mock)
    line = [f"--to={tmp_path}/a.html", KEY, URL, "i"]
    assert script(invocation_report.main, *line) == 0
    assert capsys.readouterr() == (f"{tmp_path}/a.html\n", "")
    assert Page((tmp_path / "a.html").read_text(encoding="utf-8")).text.startswith("Hot days: Failed")
    (tmp_path / "a.html").write_text("mine")
    assert script(invocation_report.main, *line) == FAILED
    assert one_line(capsys, "is there already") == "" and (tmp_path / "a.html").read_text() == "mine"
    assert script(invocation_report.main, "--force", *line) == 0
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(os.listdir(tmp_path)) == ["a.html", "home"]
    capsys.readouterr()
    assert script(invocation_report.main, "--to=-", KEY, URL, "i") == 0
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>")


def test_bad_lines_ask_nothing(script, requests_mock, capsys, tmp_path):
    for line in ([KEY, URL, "i"], [KEY, URL, f"--to={tmp_path}/a"], [KEY, URL, "i", f"--to={tmp_path}"],
                 [KEY, URL, "i", "--to="], [KEY, URL, "i", f"--to={tmp_path}/no/a.html"],
                 [KEY, URL, "a b", f"--to={tmp_path}/a"]):
        assert script(invocation_report.main, *line) == USAGE, line
        told = capsys.readouterr()
        assert told.out == "" and told.err and KEY not in told.err
    assert requests_mock.call_count == 0


def test_no_file_takes_the_place_of_what_is_none(script, requests_mock, capsys, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert script(invocation_report.main, "--force", f"--to={tmp_path}/pipe", KEY, URL, "i") == USAGE
    assert one_line(capsys, "not a file's name") == "" and requests_mock.call_count == 0
    assert not (tmp_path / "pipe").is_file()


def test_a_run_that_is_not_ours_leaves_no_file(script, requests_mock, capsys, tmp_path):
    requests_mock.get(f"{API}/invocations/i", **FORBIDDEN)
    assert script(invocation_report.main, f"--to={tmp_path}/a.html", KEY, URL, "i") == FAILED
    assert one_line(capsys, "not yours") == "" and os.listdir(tmp_path) == ["home"]
