"""The jobs of a server: which fit, every page of them once, and how long they have been."""
import tracemalloc

import pytest
from fakes import KEY, URL
from fakes.queue import NOW, PERSON, Queue, a_job, ago

from common import Galaxy, GalaxyError
from galaxy_api_scripts.job_queue import selection
from galaxy_api_scripts.job_queue.selection import ALL_STATES, JobFilter, count_jobs, parse_filter, select_jobs
from galaxy_api_scripts.job_queue.times import fetch_server_time

NO_FILTER = dict.fromkeys(["--state", "--tool", "--user", "--destination", "--history", "--older-than", "--unchanged"])


def selected(wanted=JobFilter()):  # noqa: B008
    return [job["id"] for job in select_jobs(Galaxy(KEY, URL), wanted, NOW)]


def test_the_servers_clock_counts(requests_mock):
    Queue(requests_mock)
    assert fetch_server_time(Galaxy(KEY, URL)) == NOW


@pytest.mark.parametrize("tool, ids", [
    ("fastqc", ["shed"]), ("cat1", ["own"]), ("cat", []), ("ca*", ["own", "wild"]), ("c_t1", []),
    ("*", ["own", "wild", "shed"]),
    ("shed.org/repos/iuc/fastqc/fastqc/0.7", ["shed"]), ("shed.org/repos/*", ["shed"]), ("fastqc,cat1", ["own", "shed"]),
    ("iuc", []), ("cat%", [])])
def test_tools(requests_mock, tool, ids):
    Queue(requests_mock, a_job("own", tool_id="cat1"), a_job("wild", age=61, tool_id="cap_1"),
          a_job("shed", age=62, tool_id="shed.org/repos/iuc/fastqc/fastqc/0.7"))
    assert selected(parse_filter({**NO_FILTER, "--tool": tool})) == ids


@pytest.mark.parametrize("wanted, ids", [
    (JobFilter(), ["young", "old"]), (JobFilter(states=ALL_STATES), ["young", "ended", "old"]),
    (JobFilter(states=("ok",)), ["ended"]), (JobFilter(user="ann"), ["young"]),
    (JobFilter(user="ann@example.org"), ["young"]),
    (JobFilter(destination="slurm"), ["old"]), (JobFilter(destination="slur"), []), (JobFilter(older_than=1000), ["old"]),
    (JobFilter(older_than=600), ["young", "old"]), (JobFilter(unchanged=300), ["old"]), (JobFilter(unchanged=301), [])])
def test_filters(requests_mock, wanted, ids):
    Queue(requests_mock, a_job("young", age=600, unchanged=10), a_job("ended", "ok", age=700, unchanged=20),
          a_job("old", age=9000, unchanged=300, user_id="c1", user_email=None, job_runner_name="slurm"))
    assert selected(wanted) == ids


def test_a_user_who_does_not_exist_is_told(requests_mock):
    Queue(requests_mock)
    with pytest.raises(GalaxyError, match="--user=nobody: there is no such user"):
        selected(JobFilter(user="nobody"))


@pytest.mark.parametrize("name", ["email", "username", "id"])
def test_ones_own_jobs_without_an_administrators_key(requests_mock, name):
    queue = Queue(requests_mock, a_job("mine"), a_job("other", user_id="c1"), user=PERSON)
    jobs = list(select_jobs(Galaxy(KEY, URL), JobFilter(user=PERSON[name]), NOW))
    assert [(job["id"], job["user"]) for job in jobs] == [("mine", PERSON["email"])]
    assert all("view" not in page and "user_id" not in page for page in queue.pages)


@pytest.mark.parametrize("wanted", [JobFilter(user="admin@example.org"), JobFilter(destination="slurm")])
def test_what_needs_an_administrators_key_says_so(requests_mock, wanted):
    queue = Queue(requests_mock, a_job("mine"), user=PERSON)
    with pytest.raises(GalaxyError, match="needs an administrator's key, and ann@example.org is not one"):
        selected(wanted)
    assert queue.pages == []


def test_another_users_history_needs_an_administrators_key(requests_mock):
    Queue(requests_mock, a_job("other"), user=PERSON)
    requests_mock.get(f"{URL}/api/histories/00000000000000f1", json={"id": "00000000000000f1", "user_id": "c1", "name": "x"})
    with pytest.raises(GalaxyError, match="another user's, needs an administrator's key"):
        selected(JobFilter(history="00000000000000f1"))


# ---------------------------------------------------------------------------------------------------------------- pages

@pytest.mark.parametrize("ages", [
    lambda number: number, lambda number: 5, lambda number: number // 700, lambda number: 0 if number < 500 else 1])
def test_every_job_of_many_pages_comes_once_though_many_have_one_time(requests_mock, ages):
    jobs = [a_job(f"j{number}", "ok", age=ages(number)) for number in range(2300)]
    queue = Queue(requests_mock, *jobs)
    found = selected(JobFilter(states=ALL_STATES))
    assert len(found) == 2300 and set(found) == {job["id"] for job in jobs}
    assert len(queue.pages) <= 12 and {page["limit"] for page in queue.pages} == {"500"}


def test_jobs_that_change_while_the_list_is_read_come_once(requests_mock):
    queue = Queue(requests_mock, *(a_job(f"j{number}", age=10 + number) for number in range(1400)))

    def change(number):
        if number == 1:     # one that was read, one that was not
            for job in (queue.jobs[3], queue.jobs[1200]):
                job["update_time"] = ago(1)
            queue.jobs.append(a_job("new", age=0))
    queue.on_page = change
    found = selected()
    assert len(found) == len(set(found)) == 1400 and "j1200" in found


def test_a_server_whose_list_does_not_end_is_left(requests_mock, monkeypatch):
    monkeypatch.setattr(selection, "MOST_PAGES", 3)
    queue, count = Queue(requests_mock), [0]

    def endless(request, context):
        count[0] += 500
        return [a_job(f"j{count[0] + number}") for number in range(500)]
    requests_mock.get(f"{URL}/api/jobs", json=endless)
    with pytest.raises(GalaxyError, match="GET /api/jobs has no end"):
        selected()
    requests_mock.get(f"{URL}/api/jobs", json=lambda request, context: [a_job(f"j{number}", age=number)
                                                                       for number in range(500)])
    with pytest.raises(GalaxyError, match="does not keep to date_range_max"):
        selected()
    assert queue.pages == []


def test_pages_get_smaller_where_command_lines_are_long(requests_mock, monkeypatch):
    monkeypatch.setenv("GALAXY_MAX_JSON", "100000")
    queue = Queue(requests_mock, *(a_job(f"j{number}", age=number, command_line="x" * 2000) for number in range(200)))
    assert len(set(selected())) == 200
    assert [page["limit"] for page in queue.pages][:3] == ["500", "125", "31"]


@pytest.mark.parametrize("answer, words", [
    ({"x": 1}, "is not a list"), ([{"state": "ok"}], "has no 'id'"),
    ([{**a_job("j"), "create_time": "yesterday"}], "has 'yesterday' for a time")])
def test_odd_answers_are_told(requests_mock, answer, words):
    Queue(requests_mock)
    requests_mock.get(f"{URL}/api/jobs", json=answer)
    with pytest.raises(GalaxyError, match=words):
        selected()


def test_many_pages_take_no_more_memory_than_a_few(monkeypatch):
    """Every answer is made when it is asked for, so what is measured is what is kept."""
    asked = []

    def get(self, path, params=None):
        if path != "jobs":
            return {"id": "a1", "email": "x", "is_admin": True}
        last = selection.parse_time(params.get("date_range_max"))
        first = round((NOW - last).total_seconds() / 60) if last else 0
        asked.append(first)
        end = 1 if "date_range_min" in params else min(first + 50, 5000)
        return [a_job(f"{number:016x}", "ok", age=60 * number) for number in range(first, end)]
    monkeypatch.setattr(selection, "PAGE", 50)
    monkeypatch.setattr(Galaxy, "get", get)
    tracemalloc.start()
    try:
        counts = count_jobs(select_jobs(Galaxy(KEY, URL), JobFilter(states=ALL_STATES), NOW), ["state", "tool"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts == [{"state": "ok", "tool": "cat1", "count": 5000}]
    assert len(asked) <= 105 and peak < 500_000


def test_counts_by_several_fields_the_largest_first():
    jobs = [{"state": state, "tool": tool} for state, tool in (("ok", "b"), ("ok", "a"), ("error", None), ("ok", "b"))]
    assert count_jobs(jobs, ["state", "tool"]) == [
        {"state": "ok", "tool": "b", "count": 2}, {"state": "error", "tool": None, "count": 1},
        {"state": "ok", "tool": "a", "count": 1}]
