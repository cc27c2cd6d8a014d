"""The page of an invocation: what it shows, that it is safe and loads nothing."""
import json
import re

import pytest
from fakes import API, KEY, URL
from fakes.pages import NASTY, Page
from fakes.run_answers import FORBIDDEN, Runs, a_job, a_step, mapped

from common import Galaxy
from galaxy_api_scripts.invocations import report


def a_page():
    return report.gather_report(Galaxy(KEY, URL, patience=0), "i")


def test_a_failed_invocation_with_all_that_the_page_shows(requests_mock):
    runs = mapped(requests_mock, inputs={"0": {"label": "places", "src": "hdca", "id": "c0"}},
                  output_collections={"hot_days": {"src": "hdca", "id": "c2"}}, outputs={"log": {"src": "hda", "id": "d9"}},
                  input_step_parameters={"limit": {"label": "limit", "parameter_value": 20}})
    runs.collection("c0", {}, name="places", collection_type="list", element_count=3, elements_states={"ok": 3})
    requests_mock.get(f"{API}/datasets/d9", json={"id": "d9", "name": "messages", "state": "ok", "extension": "txt",
                                                  "file_size": 2048, "purged": True})
    html = a_page()
    page = Page(html)
    for words in ("Hot days", "\u2717 Failed: 2 jobs did not end well", "Run 12", "4 ok, 1 error, 1 paused",
                  "2026-03-01 10:00:00 UTC", "Step 1, hot, element Broken", "IndexError: list <index> out of range",
                  "exit code 1: job j2", "\u2016 paused", "list of 3", "3 ok", "limit 20 parameter",
                  "log messages txt, 2.0 KiB ok, purged"):
        assert words in page.text, words
    assert {f"{URL}/jobs/j2/view", f"{URL}/workflows/invocations/i", f"{URL}/histories/view?id=h", f"{URL}/datasets/d9",
            f"{URL}/collection/c2/edit"} <= set(page.links)
    assert KEY not in html


def test_parameters_elements_and_versions(requests_mock):
    """And of the state there is one word only: Galaxy 26.1 calls a run whose jobs failed `completed`."""
    runs = mapped(requests_mock, inputs={"0": {"label": "places", "src": "hdca", "id": "c0"}})
    runs.collection("c0", {}, name="places", collection_type="list", element_count=60, elements_states={"ok": 60}, elements=[
        {"element_identifier": f"place {number}", "element_type": "hda",
         "object": {"id": f"e{number}", "state": "ok" if number else "error", "file_ext": "tabular", "file_size": 2048}}
        for number in range(60)])
    requests_mock.get(f"{API}/invocations/i/request", json={"parameters": {"1": {"cond": NASTY}},
                                                            "replacement_params": {"name": "Oslo"}})
    requests_mock.get(f"{API}/jobs/j1/parameters_display", json={"parameters": [
        {"text": "Filter", "depth": 1, "value": [{"id": "e0", "src": "dce", "hid": None, "name": "place 0"}]},
        {"text": "With condition", "depth": 2, "value": f"c2>20 {NASTY}"}, {"text": "Nothing", "depth": 1, "value": None}]})
    html = a_page()
    page = Page(html)
    for words in ("Workflow Hot days, version 3", "Galaxy 26.1.1", "and 10 more", "1 cond <script>", "${name} Oslo",
                  "60 elements place 0 tabular, 2.0 KiB, error place 1 tabular", "Filter place 0", "Nothing",
                  "With condition c2>20 <script>"):
        assert words in page.text, words
    assert "State completed" not in page.text and "completed" not in page.text
    assert f"{URL}/published/workflow?id=stored-w" in page.links and f"{URL}/datasets/e0" in page.links


def test_galaxy_24_1_tells_neither_its_request_nor_more(requests_mock):
    mapped(requests_mock)
    requests_mock.get(f"{API}/invocations/i/request", status_code=404, json={"err_msg": "no such route"})
    requests_mock.get(f"{API}/version", json={"version_major": "24.1", "version_minor": "4"})
    text = Page(a_page()).text
    assert "Galaxy 24.1.4" in text and "Parameters" not in text


@pytest.mark.parametrize("status", [500, 404])
def test_parameters_that_galaxy_can_not_show_leave_the_rest(requests_mock, status):
    mapped(requests_mock)
    requests_mock.get(re.compile(f"{API}/jobs/[^/]+/parameters_display"), status_code=status, json={"err_msg": "no tool"})
    text = Page(a_page()).text
    assert "Hot days" in text and "Outputs" in text and "Parameters" not in text


def test_the_page_loads_nothing_from_elsewhere(requests_mock):
    mapped(requests_mock)
    html = a_page()
    page = Page(html)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert "url(" not in page.styles and "@import" not in page.styles
    assert "default-src 'none'" in html and page.tags.count("link") == 1 and "data:," in page.links


def test_names_are_escaped_and_cleaned_of_control_characters(requests_mock):
    runs = mapped(requests_mock, messages=[{"reason": NASTY}], outputs={NASTY: {"src": "hda", "id": "d9"}},
                  output_values={"value": NASTY})
    runs.invocation("i", a_step(1, NASTY, a_job("j2", "error", tool_id=NASTY)))
    runs.job(a_job("j2", "error"), tool_stderr=NASTY)
    runs.workflow("w", NASTY, {1: ("tool", NASTY, NASTY)})
    requests_mock.get(f"{API}/histories/h", json={"name": NASTY})
    requests_mock.get(f"{API}/datasets", text=json.dumps([{"id": "d9", "name": NASTY, "extension": NASTY, "state": "ok"}]))
    html = a_page()
    page = Page(html)
    assert "script" not in page.tags and page.text.count("<script>alert('1')</script>") >= 8
    assert "\x1b" not in html and "\u202e" not in html
    html.encode()


def test_many_jobs_share_a_bar_and_take_few_requests(requests_mock):
    many = [a_job(f"j{number}", "error" if number < 30 else "ok") for number in range(500)]
    runs = Runs(requests_mock, a_step(0, "hot", *many, implicit_collection_jobs_id="icj", output_collections={
        "out": {"src": "hdca", "id": "c"}}))
    runs.collection("c", {})
    page = Page(a_page())
    # The run twice, its workflow, request, times, history; Galaxy's version; the parameters of the step; the failures shown,
    # and where their elements are.
    assert len(runs.asked()) == 6 + 1 + 1 + 10 + 1
    assert "470 ok, 30 error" in page.text and "And 20 more" in page.text and "details" not in page.tags
    assert page.tags.count("i") == 3 + 5        # a line and two bars, and the legend


@pytest.mark.parametrize("state, jobs, words", [
    ("completed", [("ok", 0)], "\u2713 Ended well"), ("completed", [("skipped", None)], "\u2713 Ended well"),
    ("cancelled", [("deleted", None)], "\u25a0 Cancelled"), ("failed", [], "\u2717 Failed"),
    ("new", [], "\u25b6 Still under way"), ("ready", [("error", 1)], "\u2717 Still under way; 1 job did not end well")])
def test_the_verdict_on_the_invocation(requests_mock, state, jobs, words):
    made = [a_job(f"j{number}", how, exit_code=code) for number, (how, code) in enumerate(jobs)]
    Runs(requests_mock, a_step(0, "x", *made), state=state)
    assert f" {words} History" in Page(a_page()).text


def test_an_invocation_waiting_for_review(requests_mock):
    Runs(requests_mock, a_step(0, "review"), state="ready", kinds={0: ("pause", None, None)})
    text = Page(a_page()).text
    assert "\u2016 Waiting for review" in text and "There are no jobs yet." in text


def test_the_page_leaves_out_what_the_key_may_not_see(requests_mock):
    Runs(requests_mock, a_step(0, "x", a_job("j")), outputs={"out": {"src": "hda", "id": "d"}},
         output_collections={"all": {"src": "hdca", "id": "c"}})
    for path in ("workflows/w", "histories/h", "datasets/d", "dataset_collections/c", "invocations/i/metrics"):
        requests_mock.get(f"{API}/{path}", **FORBIDDEN)
    requests_mock.get(f"{API}/datasets", json=[])
    text = Page(a_page()).text
    assert "A workflow" in text and "(not visible)" in text and "out d dataset" in text


@pytest.mark.parametrize("job, span", [
    ({"start": 1010, "end": 1030}, (1000, 1010, 1030)), ({"start": 990, "end": 995}, (1000, 1000, 1000)),
    ({"state": "ok"}, (1000, 1000, 1040)), ({"state": "running"}, (1000, 1040, 1100)),
    ({"state": "queued"}, (1000, 1040, 1040))])
def test_when_a_job_was_created_started_and_ended(job, span):
    times = {"create_time": "1970-01-01T00:16:40", "update_time": "1970-01-01T00:17:20.000000"}
    assert report.job_times({"state": "ok", **times, **job}, 1100) == span


@pytest.mark.parametrize("seconds, words", [(0, "0 s"), (59.6, "1 min"), (75, "1 min 15 s"), (3605, "1 h"),
                                            (7320, "2 h 2 min"), (180000, "2 d 2 h")])
def test_durations_in_words(seconds, words):
    assert report.format_duration(seconds) == words
