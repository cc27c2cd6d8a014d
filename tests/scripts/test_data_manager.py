"""data_manager_example_execute.py: what it asks for, in which order, and how it ends when some of it fails."""
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
    """A Galaxy whose jobs are numbered, and in the states `states` says when they have ended; none moves."""
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": True})
    requests_mock.post(f"{URL}/api/histories", json={"id": "h"})
    requests_mock.get(f"{URL}/api/jobs", json=[])
    for tool in ("fetch", "index", "other"):
        requests_mock.get(f"{URL}/api/tools/{tool}", json={"id": tool})
    requests_mock.begun, requests_mock.states = [], {}

    def begin(request, context):
        requests_mock.begun.append(request.json())
        job = str(len(requests_mock.begun))
        state = requests_mock.states.get(job, "ok")
        if state == "refused":
            context.status_code = 400
            return {"err_msg": "an invalid option was selected", "err_code": 400008}
        about = {"id": job, "state": state, "tool_stderr": "first\nno such genome\n"}
        requests_mock.get(f"{URL}/api/jobs/{job}", json=about)
        return answer(job)

    requests_mock.post(f"{URL}/api/tools", json=begin)
    return requests_mock


def line(*dbkeys):
    return ["-k", KEY, "-u", URL, *TOOLS, *(word for dbkey in dbkeys for word in ("-d", dbkey))]


def test_a_genome_and_its_indexes(script, galaxy, capsys):
    assert script(data_manager_example_execute.main, *line("sacCer3")) == 0
    fetch, *indexers = galaxy.begun
    assert fetch["tool_id"] == "fetch" and fetch["history_id"] == "h"
    assert fetch["inputs"]["dbkey"] == fetch["inputs"]["dbkey_source|dbkey"] == "sacCer3"
    assert fetch["inputs"]["reference_source|requested_dbkey"] == "sacCer3"
    assert indexers == [{"history_id": "h", "tool_id": tool, "inputs": {"all_fasta_source": "sacCer3"}}
                        for tool in ("index", "other")]
    told = capsys.readouterr()
    assert told.out == QUEUED + INDEXING + f"Finished: {answer('2')}\nFinished: {answer('3')}\n" + RUN
    assert told.err == "" and galaxy.last_request.headers["x-api-key"] == KEY


def test_a_genome_twice_is_one(script, galaxy):
    assert script(data_manager_example_execute.main, *line("sacCer3", "sacCer3")) == 0
    assert [data["tool_id"] for data in galaxy.begun] == ["fetch", "index", "other"]


def test_indexes_wait_for_their_genome(script, galaxy, clock):
    looks = []

    def moving(request, context):
        looks.append([data["tool_id"] for data in galaxy.begun])
        return [{"id": "2"}] if len(looks) < 3 else []

    galaxy.get(f"{URL}/api/jobs", json=moving)
    assert script(data_manager_example_execute.main, *line("sacCer3", "dm6"), "-s", "7") == 0
    assert looks[0] == ["fetch", "fetch"] and looks[1] == ["fetch", "fetch", "index", "other"]
    assert set(clock.slept) == {7.0}
    assert [data["inputs"]["all_fasta_source"] for data in galaxy.begun[2:]] == ["sacCer3"] * 2 + ["dm6"] * 2


@pytest.mark.parametrize("states, status, said", [
    ({"1": "error"}, SOME_FAILED, "sacCer3: fetch: job 1 is error: no such genome\n"),
    ({"1": "refused"}, SOME_FAILED, "sacCer3: fetch: POST http://galaxy.test/api/tools: 400: an invalid option"),
    ({"4": "error"}, SOME_FAILED, "sacCer3: other: job 4 is error: no such genome\n"),
    ({"1": "error", "2": "error"}, FAILED, "dm6: fetch: job 2 is error"),
])
def test_what_fails_is_named_and_stops_no_other(script, galaxy, capsys, states, status, said):
    galaxy.states = states
    assert script(data_manager_example_execute.main, *line("sacCer3", "dm6")) == status
    told = capsys.readouterr()
    assert said in told.err and told.err.count("\n") == len(states) and told.out.endswith(RUN) and KEY not in told.err
    indexed = [data["inputs"]["all_fasta_source"] for data in galaxy.begun if data["tool_id"] != "fetch"]
    assert len(indexed) == (4 if "4" in states else 2 * (2 - len(states)))


@pytest.mark.parametrize("about, why", [
    ({"exit_code": 0, "tool_stderr": "a warning"}, "in the data table already?"),
    ({"exit_code": 1, "tool_stderr": "", "job_stderr": "no disk\n"}, "no disk"),
    ({}, "does not say why")])
def test_why_a_job_failed(script, galaxy, capsys, about, why):
    galaxy.post(f"{URL}/api/tools", json=answer("1"))
    galaxy.get(f"{URL}/api/jobs/1", json={"id": "1", "state": "error", **about})
    assert script(data_manager_example_execute.main, *line("sacCer3")) == FAILED
    told = capsys.readouterr()
    assert why in told.err and told.err.count("\n") == 1


def test_still_running(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/jobs", json=[{"id": "1"}])
    assert script(data_manager_example_execute.main, *line("sacCer3"), "--timeout=10") == STILL_RUNNING
    told = capsys.readouterr()
    assert told.out == QUEUED and told.err.count("\n") == 1 and "jobs 1" in told.err


def test_no_administrators_key(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": False})
    assert script(data_manager_example_execute.main, *line("sacCer3")) == FAILED
    told = capsys.readouterr()
    assert "needs an administrator's key" in told.err and told.err.count("\n") == 1 and galaxy.begun == []


def test_no_such_tool(script, galaxy, capsys):
    galaxy.get(f"{URL}/api/tools/other", status_code=404, json={"err_msg": "no tool", "err_code": 404001})
    assert script(data_manager_example_execute.main, *line("sacCer3")) == FAILED
    told = capsys.readouterr()
    assert "other: give another with --index-tool=ID" in told.err
    assert "data_manager_config_file (galaxy.yml)" in told.err and told.err.count("\n") == 1
    assert galaxy.begun == []


@pytest.mark.parametrize("words", [[], ["-k", KEY], ["-d", "hg38"], ["-k", KEY, "-d", "hg38", "-s", "0"], ["-k", KEY, "-d"]])
def test_bad_lines(script, galaxy, capsys, words):
    assert script(data_manager_example_execute.main, *words) == USAGE
    assert capsys.readouterr().out == "" and galaxy.request_history == []


def test_dry_run(script, galaxy, capsys):
    assert script(data_manager_example_execute.main, *line("sacCer3", "dm6"), "--dry-run") == 0
    assert [one["inputs"]["dbkey"] for one in json.loads(capsys.readouterr().out)] == ["sacCer3", "dm6"]
    assert galaxy.request_history == []
