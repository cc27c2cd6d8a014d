"""search.py against a real Galaxy: each domain finds what is there, and Galaxy's filters are the ones we think."""
import ast
import secrets

import pytest


@pytest.fixture(scope="module")
def found(person):
    def search(*line):
        ended = person.run("search.py", "--format=value", person.url, person.key, *line)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return [row.split("\t") for row in ended.stdout.splitlines()]
    return search


def test_the_old_line(person, weather, workflow):
    ended = person.run("search.py", person.url, person.key)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert len(lines) == 16 and all(line.startswith("select ") for line in lines[::2])
    answers = dict(zip(lines[::2], (ast.literal_eval(line)["results"] for line in lines[1::2])))
    assert {"name": "seattle_2015.tsv", "id": weather.dataset, "file_size": 13352} in answers[
        "select name, id, file_size from hda"]
    assert weather.history in [one["id"] for one in answers["select * from history"]]
    assert workflow in [one["id"] for one in answers["select * from workflow"]]
    assert "cat1" in [one["id"] for one in answers["select * from tool"]]


def test_histories(person, found):
    mark = f"search {secrets.token_hex(4)}"
    ids = [person.new_history(name) for name in (f"{mark} a", f"{mark} b", f"{mark} c")]
    person.asked("PUT", f"histories/{ids[1]}", json={"tags": ["wanted"]})
    person.asked("DELETE", f"histories/{ids[2]}")
    assert found(f"select id from history where name='{mark} a'") == [[ids[0]]]
    assert sorted(found(f"select id from history where name like '{mark}%'")) == sorted([[ids[0]], [ids[1]]])
    assert found(f"select id, name from history where tag='wanted' and name like '{mark}%'") == [[ids[1], f"{mark} b"]]
    assert found(f"select id from history where deleted=true and name like '{mark}%'") == [[ids[2]]]


def test_datasets_and_collections(person, weather, found):
    history = person.new_history("search collections")
    copy = person.asked("POST", f"histories/{history}/contents", json={"source": "hda", "content": weather.dataset})["id"]
    collection = person.asked("POST", f"histories/{history}/contents", json={
        "type": "dataset_collection", "collection_type": "list", "name": "pile",
        "element_identifiers": [{"src": "hda", "id": copy, "name": "one"}]})["id"]
    assert found(f"select id, name from hdca where history_id='{history}'") == [[collection, "pile"]]
    assert copy in [row[0] for row in found(f"select id from hda where history_id='{history}' and state='ok'")]
    assert found(f"select id from hda where history_id='{history}' and extension='bam'") == []
    assert found("select id from hda where name='seattle_2015.tsv' and state='error'") == []


def test_workflows_jobs_and_invocations(person, weather, workflow, found):
    run = person.asked("POST", f"workflows/{workflow}/invocations", json={
        "history": "search", "inputs": {"0": {"src": "hda", "id": weather.dataset}}, "inputs_by": "step_index"})
    assert [run["id"]] in found(f"select id from invocation where workflow_id='{workflow}'")
    assert found(f"select id from invocation where history_id='{run['history_id']}'") == [[run["id"]]]
    assert [workflow, "Wet days by month"] in found("select id, name from workflow where name='Wet days by month'")
    assert found("select id from workflow where name='wet days by month'") == []
    jobs = found(f"select tool_name from job where history_id='{weather.history}'")
    assert [person.look("jobs", history_id=weather.history)[0]["tool_id"]] in jobs
    assert found(f"select id from job where history_id='{weather.history}' and tool_name='nosuch'") == []
    assert found("select id from tool where tool_id='cat1'") == [["cat1"]]


def test_datasets_of_libraries(server, person, weather, found):
    from common import Galaxy
    galaxy = Galaxy(server.key, server.url)
    library = galaxy.post("libraries", {"name": f"search {secrets.token_hex(4)}"})
    dataset = person.asked("GET", f"datasets/{weather.dataset}")
    galaxy.post(f"libraries/{library['id']}/contents", {
        "folder_id": library["root_folder_id"], "create_type": "file", "from_hda_id": weather.dataset})
    assert found(f"select name, data_type from ldda where parent_library_id='{library['id']}'") == [
        [dataset["name"], dataset["extension"]]]


def test_galaxy_refuses_a_state_that_there_is_not(person):
    ended = person.run("search.py", "--format=value", person.url, person.key, "select id from hda where state='great'")
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1 and "state" in ended.stderr
