"""Failed jobs that run again in place, and histories that are shared, on a real Galaxy."""
import json
import secrets
from types import SimpleNamespace

import pytest

from common import Galaxy, backoff
from galaxy_api_scripts.polling import wait_jobs

from .conftest import WORKFLOWS, Person

# ------------------------------------------------------------------------------------------------ failed jobs, run again


@pytest.fixture
def linked(person, admin, tmp_path):
    """`hide()` and `show()` the file that Galaxy's dataset `dataset` in the history `history` is linked to: jobs that read
    it fail meanwhile."""
    tmp_path.chmod(0o755)
    file, hidden = tmp_path / "table.tsv", tmp_path / "hidden.tsv"
    file.write_text("a\t21\nb\t30\n")
    library = admin.new_library()
    [made] = admin.asked("POST", f"libraries/{library.id}/contents", json={
        "folder_id": library.root_folder_id, "create_type": "file", "upload_option": "upload_paths", "dbkey": "?",
        "filesystem_paths": str(file), "link_data_only": "link_to_files", "file_type": "tabular"})
    for _ in backoff(120, 0.5, 2):
        if admin.look(f"libraries/datasets/{made['id']}")["state"] == "ok":
            break
    history = person.new_history(f"reruns {secrets.token_hex(3)}")
    dataset = person.asked("POST", f"histories/{history}/contents", json={
        "source": "library", "content": made["id"], "type": "dataset"})["id"]
    return SimpleNamespace(history=history, dataset=dataset, hide=lambda: file.rename(hidden),
                           show=lambda: hidden.rename(file))


def pasted(person, history, text):
    fetched = person.asked("POST", "tools/fetch", json={"history_id": history, "targets": [
        {"destination": {"type": "hdas"}, "elements": [
            {"src": "pasted", "paste_content": text, "name": "good", "ext": "tabular"}]}]})
    wait_jobs(Galaxy(person.key, person.url), history, [job["id"] for job in fetched["jobs"]], 120)
    return fetched["outputs"][0]["id"]


@pytest.fixture
def failed_run(person, linked):
    """An invocation with a failed job of its own, one in a subworkflow and one of an element: `id`, `jobs` (by state)."""
    good = pasted(person, linked.history, "x\t1\ny\t25\n")
    places = person.asked("POST", "dataset_collections", json={
        "history_id": linked.history, "type": "dataset_collection", "collection_type": "list", "name": "places",
        "element_identifiers": [{"name": name, "src": "hda", "id": one}
                                for name, one in (("Oslo", good), ("Lima", linked.dataset))]})
    text = (WORKFLOWS / "rerun.gxwf.yml").read_text()
    workflow = person.asked("POST", "workflows", json={"workflow": {"class": "GalaxyWorkflow", "yaml_content": text}})["id"]
    linked.hide()
    invocation = person.asked("POST", f"workflows/{workflow}/invocations", json={
        "history_id": linked.history, "inputs_by": "name", "inputs": {
            "table": {"src": "hda", "id": linked.dataset}, "places": {"src": "hdca", "id": places["id"]}}})["id"]
    ended = person.run("invocation_wait.py", "--timeout=240", person.key, person.url, invocation)
    assert ended.returncode == 1 and "3 error, 2 paused" in ended.stderr, ended
    linked.show()
    return invocation


def jobs_by_state(person, history):
    """`{state: ids}` of a history's jobs but for the uploads."""
    jobs = {}
    for job in person.look("jobs", history_id=history, limit=500):
        if job["tool_id"] != "__DATA_FETCH__":
            jobs.setdefault(job["state"], []).append(job["id"])
    return jobs


def test_failed_jobs_run_again_and_what_waited_goes_on(person, linked, failed_run, state, tmp_path):
    """A job, a subworkflow's, an element's; the script is killed on the way."""
    before = jobs_by_state(person, linked.history)
    line = ["job_rerun.py", "--format=json", f"--invocation={failed_run}", person.key, person.url]
    dry = person.run(*line[:1], "--dry-run", *line[1:], **state)
    rows = json.loads(dry.stdout)
    assert (dry.returncode, dry.stderr) == (0, "")
    assert {row["job"] for row in rows} == set(before["error"])
    assert sorted(len(row["paused"]) for row in rows) == [0, 1, 1]
    assert {one for row in rows for one in row["paused"]} == set(before["paused"])
    assert jobs_by_state(person, linked.history) == before

    killed = person.begin(*line, **state)
    for _ in backoff(60, 0.1, 0.2):
        if sum(map(len, jobs_by_state(person, linked.history).values())) > sum(map(len, before.values())):
            break
    killed.kill()
    killed.stdout.close()
    killed.wait()
    ended = person.run(*line, **state)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    after = jobs_by_state(person, linked.history)
    known = {one for ids in before.values() for one in ids}
    reruns = {one for ids in after.values() for one in ids} - known
    assert len(reruns) == 3 and set(after) == {"ok", "error"} and set(after["error"]) <= set(before["error"])
    assert {row["id"] for row in json.loads(ended.stdout)} <= reruns

    waited = person.run("invocation_wait.py", "--format=value", "--fields=label", person.key, person.url, failed_run)
    assert (waited.returncode, waited.stdout.split()) == (0, ["cut", "inner", "first", "days"]), waited
    got = person.run("invocation_download.py", "-q", f"--to={tmp_path}/out", person.key, person.url, failed_run)
    assert (got.returncode, got.stderr) == (0, "")
    assert {str(path.relative_to(tmp_path / "out")): path.read_text() for path in (tmp_path / "out").rglob("*.tabular")} == {
        "cut.tabular": "a\nb\n", "inner.tabular": "21\n30\n", "first.tabular": "a\n", "days/Oslo.tabular": "1\tx\n",
        "days/Lima.tabular": "21\ta\n"}
    shown = {one["name"]: one["visible"] for one in person.look(f"histories/{linked.history}/contents", v="dev")
             if one["history_content_type"] == "dataset" and one["state"] == "error"}
    assert not any(shown.values())      # the failed ones are hidden

    again = person.run("job_rerun.py", person.key, person.url, before["error"][0], **state)
    assert again.returncode == 1 and "was run again before, as job " in again.stderr
    nothing = person.run("job_rerun.py", f"--history={linked.history}", person.key, person.url, **state)
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "")


def test_an_upload_that_failed_is_refused_with_the_reason(person, state):
    history = person.new_history("an upload that failed")
    fetched = person.asked("POST", "tools/fetch", json={"history_id": history, "targets": [
        {"destination": {"type": "hdas"}, "elements": [{"src": "url", "url": "http://127.0.0.1:9/x", "name": "x"}]}]})
    [job] = [job["id"] for job in fetched["jobs"]]
    wait_jobs(Galaxy(person.key, person.url), history, [job], 120)
    assert [one["state"] for one in person.look(f"histories/{history}/contents")] == ["error"]
    ended = person.run("job_rerun.py", person.key, person.url, job, **state)
    assert (ended.returncode, ended.stdout) == (1, "") and "is an upload, whose data Galaxy does not keep" in ended.stderr


def test_a_batch_tries_failed_jobs_again_in_place_and_shares(person, server, linked, state, tmp_path):
    """A sample whose job fails once: no second run, its results are there, and a friend reads the history."""
    friend, sheet = Person(server), tmp_path / "sheet.tsv"
    sheet.write_text(f"sample\ttable\nonce\thda:{linked.dataset}\n")
    line = ["workflow_batch.py", "--format=json", f"--download={tmp_path}/out", f"--share-with={friend.email}", person.key,
            person.url, WORKFLOWS / "first.gxwf.yml", sheet]
    linked.hide()
    ended = person.run(*line, **state)
    [row] = json.loads(ended.stdout)
    assert (ended.returncode, row["state"]) == (1, "failed") and not reads(friend, f"histories/{row['history']}")
    linked.show()
    ended = person.run(line[0], "--retry-failed", *line[1:], **state)
    [again] = json.loads(ended.stdout)
    assert (ended.returncode, ended.stderr, again["state"], again["attempt"]) == (0, "", "ok", 2), ended
    assert again["invocation"] == row["invocation"]
    assert len(person.look("invocations", history_id=row["history"])) == 1
    assert [path.read_text() for path in (tmp_path / "out" / "once").glob("*.tabular")] == ["a\t21\n"]
    assert reads(friend, f"histories/{row['history']}")
    ended = person.run(line[0], "--retry-failed", *line[1:], **state)
    assert (ended.returncode, ended.stderr) == (0, "") and json.loads(ended.stdout) == []


# --------------------------------------------------------------------------------------------------------------- sharing

def test_a_history_is_shared_with_each_kind_and_read_as_the_other_user(person, admin, server):
    friend, other = Person(server), Person(server)
    history = person.new_history(f"handed over {secrets.token_hex(3)}")

    def shared(*words, status=0):
        ended = person.run("history_share.py", "--format=json", person.key, person.url, history, *words)
        assert ended.returncode == status, ended
        return json.loads(ended.stdout) if not status else ended.stderr

    assert "empty history" in shared(friend.email, status=1)
    dataset = pasted(person, history, "x\t1\n")
    assert "nobody@nowhere.example is not a valid Galaxy user" in shared(friend.email, "nobody@nowhere.example", status=1)
    assert not reads(friend, f"histories/{history}")
    assert shared(friend.email)["users"] == [friend.email]
    assert reads(friend, f"histories/{history}") and not reads(other, f"histories/{history}")
    assert sorted(shared(other.email)["users"]) == sorted([friend.email, other.email])
    assert "is not shared with frend@nowhere.example" in shared("--stop", friend.email, "frend@nowhere.example", status=1)
    assert reads(friend, f"histories/{history}")
    assert shared("--stop", friend.email)["users"] == [other.email]
    assert reads(other, f"histories/{history}") and not reads(friend, f"histories/{history}")
    admin.asked("DELETE", f"users/{other.look('users/current')['id']}")     # whose account Galaxy goes on naming
    assert shared(friend.email)["users"] == [friend.email]
    shared("--stop", friend.email)
    other = Person(server)

    [mine] = [role["id"] for role in person.look("roles") if role["type"] == "private"]
    person.asked("PUT", f"datasets/{dataset}/permissions", json={
        "action": "set_permissions", "access_ids[]": [mine], "manage_ids[]": [mine]})
    for words in ([friend.email], ["link"], ["everybody"]):
        assert "1 dataset is private (good)" in shared(*words, status=1)
    shared("--datasets=public", friend.email, "nobody@nowhere.example", status=1)
    assert not reads(friend, f"datasets/{dataset}")     # Galaxy itself shares nothing then, and makes the dataset public
    assert not reads(friend, f"histories/{history}")
    shared("--datasets=give", friend.email)
    assert reads(friend, f"datasets/{dataset}") and not reads(other, f"datasets/{dataset}")
    assert "to one user at a time" in shared("--datasets=give", other.email, status=1)
    assert reads(friend, f"datasets/{dataset}")
    assert "1 dataset is private" in shared(other.email, status=1)

    told = shared("--datasets=public", "link")
    assert (told["link"], told["published"], told["users"]) == (True, False, [friend.email])
    assert told["address"].startswith(f"{person.url}/u/") and reads(other, f"histories/{history}")
    assert reads(other, f"datasets/{dataset}")
    assert history not in {one["id"] for one in other.look("histories/published")}
    assert shared("everybody")["published"]
    assert history in {one["id"] for one in other.look("histories/published")}
    told = shared("--stop", "link")
    assert (told["link"], told["published"], told["users"]) == (False, False, [friend.email])
    assert not reads(other, f"histories/{history}") and reads(friend, f"histories/{history}")


def test_a_workflow_is_shared_and_read_as_the_other_user(person, workflow, server):
    friend, other = Person(server), Person(server)

    def shared(*words, status=0):
        ended = person.run("workflow_share.py", "--format=json", person.key, person.url, workflow, *words)
        assert ended.returncode == status, ended
        return json.loads(ended.stdout) if not status else ended.stderr

    assert shared(friend.email)["users"] == [friend.email] and reads(friend, f"workflows/{workflow}")
    assert "nobody@nowhere.example is not a valid Galaxy user" in shared("nobody@nowhere.example", status=1)
    assert reads(friend, f"workflows/{workflow}")       # Galaxy itself takes it from all that a request does not name
    shared(other.email, "nobody@nowhere.example", status=3)
    assert reads(other, f"workflows/{workflow}")
    assert shared("link")["address"].startswith(f"{person.url}/u/") and reads(Person(server), f"workflows/{workflow}")
    told = shared("--stop", "link", friend.email, other.email)
    assert (told["users"], told["link"], told["published"]) == ([], False, False)
    assert not reads(friend, f"workflows/{workflow}") and not reads(other, f"workflows/{workflow}")


def test_a_refused_grant_takes_the_history_from_nobody(person, admin, server):
    friend = Person(server)
    history = person.new_history("theirs to manage")
    dataset = pasted(person, history, "x\t1\n")
    [mine] = [role["id"] for role in person.look("roles") if role["type"] == "private"]
    [theirs] = [role["id"] for role in admin.look("roles")
                if (role["type"], role["name"]) == ("private", admin.look("users/current")["email"])]
    admin.asked("PUT", f"datasets/{dataset}/permissions", json={
        "action": "set_permissions", "access_ids[]": [mine], "manage_ids[]": [theirs]})
    line = ["history_share.py", person.key, person.url, history, friend.email]
    assert person.run(*line, "--datasets=keep").returncode == 0
    refused = person.run(*line, "--datasets=give")
    assert (refused.returncode, refused.stdout) == (1, "") and "is not shared" in refused.stderr, refused
    assert person.look(f"histories/{history}/sharing")["users_shared_with"][0]["email"] == friend.email
    assert reads(friend, f"histories/{history}") and not reads(friend, f"datasets/{dataset}")


def reads(person, path):
    """Whether a user can read what is there."""
    from requests import get
    return get(f"{person.url}/api/{path}", headers={"x-api-key": person.key}, timeout=60).status_code == 200
