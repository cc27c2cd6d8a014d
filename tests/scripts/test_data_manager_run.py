"""data_manager_run.py: what a list runs, in which order, once each; what is in a table already; what is told."""
import json
import re

import data_manager_run
import pytest
import requests
from fakes import KEY, URL

from common import FAILED, SOME_FAILED, STILL_RUNNING, USAGE

LIST = """
genomes:
- {id: sacCer3, name: Yeast}
- {id: 12, name: "Twelve: {{ 1 + 1 }}"}
data_managers:
- id: index
  params: [all_fasta_source: "{{ item.id }}", sequence_name: "{{ item.name }}"]
  items: "{{ genomes }}"
  data_table_reload: [indexes]
- id: fetch
  params:
  - 'source|dbkey': '{{ item.id }}'
  - 'name': '{{ item.name }}'
  items: "{{ genomes }}"
  data_table_reload: [all_fasta]
"""
ROWS = [("fetch", "sacCer3", "all_fasta"), ("fetch", "12", "all_fasta"), ("index", "sacCer3", "indexes"),
        ("index", "12", "indexes")]


class Genomes:
    """A Galaxy with two data managers, whose jobs add a row when they end, which is after `looks` looks at them."""

    def __init__(self, mock):
        self.mock, self.jobs, self.tables, self.refused = mock, [], {"all_fasta": [], "indexes": []}, set()
        self.loses, self.looks, self.fails, self.histories = False, 2, set(), []
        mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": True})
        mock.get(f"{URL}/api/histories", json=lambda *_: self.histories)
        mock.post(f"{URL}/api/histories", json=self.create)
        mock.get(f"{URL}/api/jobs", json=self.list_jobs)
        mock.get(re.compile(f"{URL}/api/jobs/"), json=lambda request, context: self.jobs[int(request.path[-1])])
        mock.get(re.compile(f"{URL}/api/tools/(fetch|index)"), json={"id": "fetch"})
        mock.get(re.compile(f"{URL}/api/tool_data/"), json=self.table)
        mock.post(f"{URL}/api/tools", json=self.submit)

    def create(self, request, context):
        self.histories.append({"id": "h", "name": request.json()["name"]})
        return self.histories[-1]

    def table(self, request, context):
        name = request.path.rpartition("/")[2]
        if name not in self.tables:
            context.status_code = 404
            return {"err_msg": f"No such data table {name}", "err_code": 404001}
        return {"name": name, "columns": ["value", "dbkey", "name"], "fields": self.tables[name]}

    def submit(self, request, context):
        asked = request.json()
        value, name = asked["inputs"].values()
        if asked["tool_id"] == "index" and value not in [row[0] for row in self.tables["all_fasta"]]:
            context.status_code = 400
            return {"err_msg": "an invalid option was selected", "err_code": 400008}
        state = "error" if value in self.fails else "ok"
        job = {"id": f"j{len(self.jobs)}", "tool_id": asked["tool_id"], "state": "running", "looks": self.looks,
               "end": state, "row": [value, value, name], "tool_stderr": "no such genome\n" if state == "error" else ""}
        self.jobs.append(job)
        if self.loses:
            raise requests.exceptions.ConnectionError("reset")
        return {"jobs": [{"id": job["id"]}], "outputs": []}

    def list_jobs(self, request, context):
        for job in self.jobs:
            job["looks"] -= 1
            if job["looks"] == 0:
                job["state"] = job["end"]
                if job["state"] == "ok":
                    self.tables["all_fasta" if job["tool_id"] == "fetch" else "indexes"].append(job["row"])
        query = request.qs
        return [job for job in self.jobs if job["state"] in query.get("state", [job["state"]])
                and job["tool_id"] in query.get("tool_id", [job["tool_id"]])]


@pytest.fixture
def genomes(requests_mock, clock):
    return Genomes(requests_mock)


@pytest.fixture
def run(script, genomes, capsys, tmp_path):
    """`run(*options)`: the status, the rows that were printed as (tool, value, tables), and what was told."""
    (tmp_path / "genomes.yml").write_text(LIST)

    def call(*options, file=tmp_path / "genomes.yml"):
        status = script(data_manager_run.main, "--format=jsonl", *options, KEY, URL, file)
        output = capsys.readouterr()
        assert KEY not in output.out + output.err
        rows = [json.loads(line) for line in output.out.splitlines()]
        return status, [(row["tool"], row["value"], row["tables"]) for row in rows], output.err
    return call


def test_what_is_missing_is_run_genomes_first_and_a_second_run_does_nothing(run, genomes):
    assert run("--dry-run") == (0, ROWS, "")
    assert [one.method for one in genomes.mock.request_history if one.method != "GET"] == []
    assert run() == (0, ROWS, "") and [job["tool_id"] for job in genomes.jobs] == ["fetch", "fetch", "index", "index"]
    assert genomes.tables["all_fasta"] == [["sacCer3", "sacCer3", "Yeast"], ["12", "12", "Twelve: {{ 1 + 1 }}"]]
    assert run() == (0, [], "") and len(genomes.jobs) == 4 and len(genomes.histories) == 1


def test_a_value_that_is_there_under_another_name_is_run(run, genomes):
    genomes.tables["all_fasta"] = [["sacCer3", "sacCer3", "Old yeast"], ["12", "12", "Twelve: {{ 1 + 1 }}"]]
    assert run("--dry-run")[1] == [ROWS[0], *ROWS[2:]]


def test_one_that_fails_is_told_and_the_others_run(run, genomes):
    genomes.fails.add("12")
    status, rows, err = run()
    assert (status, rows, err.count("\n")) == (SOME_FAILED, [ROWS[0], ROWS[2]], 2)
    assert "fetch, 12: job j1 is error: no such genome" in err and "index, 12: POST" in err and "invalid option" in err


def test_lost_answers_are_looked_for(run, genomes):
    genomes.loses = True
    assert run() == (0, ROWS, "") and len(genomes.jobs) == 4


def test_a_killed_run_is_resumed(run, genomes, clock):
    class Killed(BaseException):
        pass

    def killed(request, context):
        raise Killed
    genomes.looks = 30
    genomes.mock.get(f"{URL}/api/jobs", [{"json": genomes.list_jobs}] * 4 + [{"json": killed}])
    with pytest.raises(Killed):
        run()
    begun = len(genomes.jobs)
    assert begun in (1, 2)
    genomes.mock.get(f"{URL}/api/jobs", json=genomes.list_jobs)
    assert run() == (0, ROWS, "") and len(genomes.jobs) == 4


def test_the_time_is_up_and_a_later_run_waits_on(run, genomes, clock):
    genomes.looks = 10**6
    status, rows, err = run("--timeout=30")
    assert (status, rows) == (STILL_RUNNING, []) and "the time is up, and job j0 still runs" in err
    genomes.looks = 5
    for job in genomes.jobs:
        job["looks"] = 5
    assert run() == (0, ROWS, "") and len(genomes.jobs) == 4


def test_refused(run, genomes):
    genomes.tables.pop("indexes")
    status, rows, err = run()
    assert (status, rows) == (FAILED, []) and "No such data table indexes" in err
    genomes.mock.get(f"{URL}/api/tools/index", status_code=404, json={"err_msg": "no", "err_code": 404001})
    status, rows, err = run()
    assert (status, rows) == (FAILED, []) and "has no data manager index: tool_install.py installs one" in err
    genomes.mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": False})
    status, rows, err = run()
    assert (status, rows) == (FAILED, []) and "running data managers needs an administrator's key" in err
    assert genomes.jobs == genomes.histories == []


@pytest.mark.parametrize("text, words", [
    ("tools: []", "expected `data_managers:`"),
    ("data_managers: [{params: []}]", "entry 1: it has no id"),
    ("data_managers: [{id: a, parms: []}]", "unknown key 'parms': did you mean params?"),
    ("data_managers: [{id: a, params: [b]}]", "entry 1: params: expected `- NAME: VALUE`"),
    ("data_managers: [{id: a, items: '{{ genomes }}'}]", "the file has no list `genomes:`"),
    ("data_managers: [{id: a, items: all}]", 'items: expected a list, or "{{ genomes }}"'),
    ("data_managers: [{id: a, params: [b: '{{ item.c }}']}]", "b: '{{ item.c }}': "),
    ("data_managers: [{id: a, params: [b: '{{ ().__class__.__mro__ }}']}]", "b: "),
])
def test_a_bad_list(run, genomes, tmp_path, text, words):
    (tmp_path / "bad.yml").write_text(text)
    status, rows, err = run(file=tmp_path / "bad.yml")
    assert (status, rows, err.count("\n")) == (USAGE, [], 1) and words in err and genomes.mock.call_count == 0
