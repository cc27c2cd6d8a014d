"""data_manager_example_execute.py: its requests and their order, and its exit status if some fail."""
import json

import data_manager_example_execute
import pytest
from fakes import KEY, URL

from common import FAILED, SOME_FAILED, STILL_RUNNING, USAGE

TOOLS = ["--fetch-tool=fetch", "--index-tool=index", "--index-tool=other"]
QUEUED = "Genomes Queued for downloading.\n"
INDEXING = "All genomes downloaded and indexers now queued.\n"
RUN = "All indexers have been run, please check results.\n"


def answer(job):
    return {"outputs": [{"id": f"d{job}"}], "jobs": [{"id": job}]}


@pytest.fixture
def galaxy(requests_mock, clock):
    """A Galaxy whose jobs are numbered and end at once, in the state that `states` has for their number, else ok."""
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": True})
    requests_mock.post(f"{URL}/api/histories", json={"id": "h"})
    requests_mock.get(f"{URL}/api/jobs", json=[])
    for tool in ("fetch", "index", "other"):
        requests_mock.get(f"{URL}/api/tools/{tool}", json={"id": tool})
    requests_mock.submitted, requests_mock.states = [], {}

    def submit(request, context):
        requests_mock.submitted.append(request.json())
        job = str(len(requests_mock.submitted))
        state = requests_mock.states.get(job, "ok")
        if state == "refused":
            context.status_code = 400
            return {"err_msg": "an invalid option was selected", "err_code": 400008}
        about = {"id": job, "state": state, "tool_stderr": "first\nno such genome\n"}
        requests_mock.get(f"{URL}/api/jobs/{job}", json=about)
        return answer(job)

    requests_mock.post(f"{URL}/api/tools", json=submit)
    return requests_mock


def line(*dbkeys):
    return ["-k", KEY, "-u", URL, *TOOLS, *(word for dbkey in dbkeys for word in ("-d", dbkey))]


def test_a_genome_is_fetched_and_indexed(script, galaxy, capsys):
    assert script(data_manager_example_execute.main, *line("sacCer3")) == 0
    fetch, *indexers = galaxy.submitted
    assert fetch["tool_id"] == "fetch" and fetch["history_id"] == "h"
    assert fetch["inputs"]["dbkey"] == fetch["inputs"]["dbkey_source|dbkey"] == "sacCer3"
    assert fetch["inputs"]["reference_source|requested_dbkey"] == "sacCer3"
    assert indexers == [{"history_id": "h", "tool_id": tool, "inputs": {"all_fasta_source": "sacCer3"}}
                        for tool in ("index", "other")]
    output = capsys.readouterr()
    assert output.out == QUEUED + INDEXING + f"Finished: {answer('2')}\nFinished: {answer('3')}\n" + RUN
    assert output.err == "" and galaxy.last_request.headers["x-api-key"] == KEY


def test_a_repeated_genome_is_fetched_once(script, galaxy):
    assert script(data_manager_example_execute.main, *line("sacCer3", "sacCer3")) == 0
    assert [data["tool_id"] for data in galaxy.submitted] == ["fetch", "index", "other"]


def test_a_genome_is_indexed_when_it_is_fetched(script, galaxy, clock):
    submitted = []

    def list_jobs(request, context):
        submitted.append([data["tool_id"] for data in galaxy.submitted])
        return [{"id": "2"}] if len(submitted) < 3 else []

    galaxy.get(f"{URL}/api/jobs", json=list_jobs)
    assert script(data_manager_example_execute.main, *line("sacCer3", "dm6"), "-s", "7") == 0
    assert submitted[0] == ["fetch", "fetch"] and submitted[1] == ["fetch", "fetch", "index", "other"]
    assert set(clock.slept) == {7.0}
    assert [data["inputs"]["all_fasta_source"] for data in galaxy.submitted[2:]] == ["sacCer3"] * 2 + ["dm6"] * 2


@pytest.mark.parametrize("states, status, message", [
    ({"1": "error"}, SOME_FAILED, "sacCer3: fetch: job 1 is error: no such genome\n"),
    ({"1": "refused"}, SOME_FAILED, "sacCer3: fetch: POST http://galaxy.test/api/tools: 400: an invalid option"),
    ({"4": "error"}, SOME_FAILED, "sacCer3: other: job 4 is error: no such genome\n"),
    ({"1": "error", "2": "error"}, FAILED, "dm6: fetch: job 2 is error"),
])
def test_a_failure_is_reported_and_stops_no_other_genome(script, galaxy, capsys, states, status, message):
    galaxy.states = states
    assert script(data_manager_example_execute.main, *line("sacCer3", "dm6")) == status
    output = capsys.readouterr()
    assert message in output.err and output.err.count("\n") == len(states) and KEY not in output.err
    assert output.out.endswith(RUN)
    indexed = [data["inputs"]["all_fasta_source"] for data in galaxy.submitted if data["tool_id"] != "fetch"]
    assert len(indexed) == (4 if "4" in states else 2 * (2 - len(states)))


def test_an_index_is_asked_for_until_galaxy_knows_the_genome(script, galaxy, capsys):
    """Each web process loads its data tables again some time after a job has added a row."""
    galaxy.states = {"2": "refused", "3": "refused"}
    assert script(data_manager_example_execute.main, *line("sacCer3")) == 0
    assert [data["tool_id"] for data in galaxy.submitted] == ["fetch", "index", "index", "index", "other"]
    galaxy.states = {str(number): "refused" for number in range(7, 99)}
    assert script(data_manager_example_execute.main, *line("ce11")) == SOME_FAILED
    assert capsys.readouterr().err.count("an invalid option") == 2


@pytest.mark.parametrize("about, why", [
    ({"exit_code": 0, "tool_stderr": "a warning"}, "in the data table already?"),
    ({"exit_code": 1, "tool_stderr": "", "job_stderr": "no disk\n"}, "no disk"),
    ({}, "does not say why")])
def test_a_failed_job_shows_the_reason(script, galaxy, capsys, about, why):
    galaxy.post(f"{URL}/api/tools", json=answer("1"))
    galaxy.get(f"{URL}/api/jobs/1", json={"id": "1", "state": "error", **about})
    assert script(data_manager_example_execute.main, *line("sacCer3")) == FAILED
    output = capsys.readouterr()
    assert why in output.err and output.err.count("\n") == 1


def test_jobs_still_running_after_the_timeout_exit_with_4(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/jobs", json=[{"id": "1"}])
    assert script(data_manager_example_execute.main, *line("sacCer3"), "--timeout=10") == STILL_RUNNING
    output = capsys.readouterr()
    assert output.out == QUEUED and output.err.count("\n") == 1 and "jobs 1" in output.err


def test_a_failure_is_told_by_the_status_though_other_jobs_still_run(script, galaxy, capsys):
    """A9."""
    galaxy.states = {"1": "refused"}
    galaxy.get(f"{URL}/api/jobs", json=[{"id": "2"}])
    assert script(data_manager_example_execute.main, *line("sacCer3", "dm6"), "--timeout=10") == SOME_FAILED
    assert "still running after 10 s: jobs 2" in capsys.readouterr().err


def test_a_key_that_is_not_an_administrators_is_an_error(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": False})
    assert script(data_manager_example_execute.main, *line("sacCer3")) == FAILED
    output = capsys.readouterr()
    assert "needs an administrator's key" in output.err and output.err.count("\n") == 1 and galaxy.submitted == []


@pytest.mark.parametrize("status", [404, 500])
def test_an_unknown_data_manager_is_an_error_with_a_hint(script, galaxy, capsys, status):
    galaxy.get(f"{URL}/api/tools/other", status_code=status, json={"err_msg": "no tool", "err_code": 404001})
    assert script(data_manager_example_execute.main, *line("sacCer3")) == FAILED
    output = capsys.readouterr()
    assert "other: give another with --index-tool=ID" in output.err
    assert "data_manager_config_file (galaxy.yml)" in output.err and output.err.count("\n") == 1
    assert galaxy.submitted == []


@pytest.mark.parametrize("words", [[], ["-k", KEY], ["-d", "hg38"], ["-k", KEY, "-d", "hg38", "-s", "0"], ["-k", KEY, "-d"]])
def test_bad_lines_exit_with_2(script, galaxy, capsys, words):
    assert script(data_manager_example_execute.main, *words) == USAGE
    assert capsys.readouterr().out == "" and galaxy.request_history == []


def test_a_dry_run_shows_the_first_requests(script, galaxy, capsys):
    assert script(data_manager_example_execute.main, *line("sacCer3", "dm6"), "--dry-run") == 0
    assert [one["inputs"]["dbkey"] for one in json.loads(capsys.readouterr().out)] == ["sacCer3", "dm6"]
    assert galaxy.request_history == []
