"""The dataset scripts against a real Galaxy, which is then asked what it holds."""
import hashlib
import json
import secrets
import signal
import socket
from types import SimpleNamespace

import pytest

from common import Galaxy, backoff
from galaxy_api_scripts.polling import wait_datasets

from .conftest import Administrator


def fetch(somebody, history, *elements):
    """The ids of new datasets, which Galaxy still fetches."""
    return [dataset["id"] for element in elements for dataset in somebody.asked("POST", "tools/fetch", json={
        "history_id": history, "targets": [{"destination": {"type": "hdas"}, "elements": [{"ext": "txt", **element}]}],
    })["outputs"]]


def pasted(name, content):
    return {"src": "pasted", "paste_content": content, "name": name}


def ran(person, history, tool, **inputs):
    """The id of what a tool will put out."""
    return person.asked("POST", "tools", json={"history_id": history, "tool_id": tool, "inputs": inputs})["outputs"][0]["id"]


def failing(dataset):
    """The inputs of a tool that ends with exit code 1."""
    return {"input1": {"src": "hda", "id": dataset}, "groupcol": "1",
            "operations_0|optype": "sum", "operations_0|opcol": "2", "operations_0|opround": "no"}


def contents(person, history):
    """`{id: dataset}` of all that is in a history."""
    return {one["id"]: one for one in person.look("datasets", history_id=history, limit=5000)}


def copies(person, history, dataset, number):
    """Put so many copies of a dataset into a history."""
    source, ids = contents(person, history)[dataset]["history_id"], [dataset]
    while len(ids) <= number:
        person.asked("POST", f"histories/{source}/copy_contents", json={
            "source_content": [{"id": one, "type": "dataset"} for one in ids[:number + 1 - len(ids)]],
            "target_history_ids": [history]})
        ids = list(contents(person, history))
    return [one for one in ids if one != dataset]


@pytest.fixture(scope="module")
def files(person):
    """A history with datasets in it: `good`, `failed`, `paused`, `hidden`, `deleted`, and a `link` that is deferred."""
    name = f"datasets {secrets.token_hex(4)}"
    history = person.new_history(name)
    good, hidden, deleted, link = fetch(
        person, history, {**pasted("50% of it.txt", "a\tb\n"), "ext": "tabular", "dbkey": "hg38"}, pasted("hidden", "h\n"),
        pasted("deleted", "d\n"), {"src": "url", "url": f"{person.url}/api/version", "name": "link", "deferred": True})
    wait_datasets(Galaxy(person.key, person.url), history, [good, hidden, deleted, link], timeout=120)
    failed = ran(person, history, "Grouping1", **failing(good))
    paused = ran(person, history, "cat1", input1={"src": "hda", "id": failed})
    wait_datasets(Galaxy(person.key, person.url), history, [failed, paused], timeout=120)
    person.asked("PUT", f"histories/{history}/contents/{hidden}", json={"visible": False})
    person.asked("PUT", f"histories/{history}/contents/{deleted}", json={"deleted": True})
    return SimpleNamespace(name=name, history=history, good=good, failed=failed, paused=paused, hidden=hidden,
                           deleted=deleted, link=link)


@pytest.fixture(scope="module")
def somebody_elses(admin):
    """A dataset that everybody can read, as Galaxy has it, and nobody but its owner may delete."""
    history = admin.new_history("not yours")
    [dataset] = fetch(admin, history, pasted("theirs", "t\n"))
    wait_datasets(Galaxy(admin.key, admin.url), history, [dataset], timeout=120)
    return dataset


def listed(person, *line):
    return person.value("dataset_list.py", "--format=value", "--fields=id", *line[:-1], person.key, person.url,
                        line[-1]).split()


# ---------------------------------------------------------------------------------------------- dataset_list.py

def test_list(person, files):
    seen = [files.good, files.link, files.failed, files.paused]
    assert listed(person, files.name) == listed(person, files.history) == seen
    assert listed(person, "--deleted", files.name) == [files.good, files.deleted, *seen[1:]]
    assert listed(person, "--hidden", files.name) == [files.good, files.hidden, *seen[1:]]
    assert listed(person, "--state=paused,error", files.name) == [files.failed, files.paused]
    assert listed(person, "--limit=2", files.name) == seen[:2]
    assert listed(person, "--name=50% of it.txt", files.name) == listed(person, "--like=%of_it%", files.name) == [files.good]
    assert listed(person, "--name=50%", files.name) == []


def test_list_tells_sizes_as_galaxy_has_them(person, files):
    rows = person.value("dataset_list.py", "--format=jsonl", "--deleted", "--hidden", person.key, person.url, files.history)
    for row in map(json.loads, rows.splitlines()):
        held = person.look(f"datasets/{row['id']}")
        assert row == {"ref": f"hda:{held['id']}", "collection_type": None, **{name: held[name] for name in (
            "id", "hid", "name", "state", "extension", "file_size", "deleted", "visible")}}


@pytest.mark.needs("copy_contents")
def test_list_to_the_very_end_and_delete_all_of_it(person, files):
    history = person.new_history("many")
    [first] = fetch(person, history, pasted("first", "f\n"))
    wait_datasets(Galaxy(person.key, person.url), history, [first], timeout=120)
    many = copies(person, history, first, 600)
    ids = listed(person, history)
    assert ids[0] == first and sorted(ids[1:]) == sorted(many)
    deleted = person.run("dataset_delete.py", "--fields=id", person.key, person.url, "-", stdin="\n".join(ids))
    assert (deleted.returncode, deleted.stdout.split(), deleted.stderr) == (0, ids, "")
    assert {one["deleted"] for one in contents(person, history).values()} == {True}
    assert listed(person, history) == []


def test_list_of_a_history_that_is_shared_with_something_private_in_it(person, admin):
    history = admin.new_history("shared")
    private, public = fetch(admin, history, pasted("private", "p\n"), pasted("public", "p\n"))
    wait_datasets(Galaxy(admin.key, admin.url), history, [private, public], timeout=120)
    admin.asked("PUT", f"histories/{history}/enable_link_access")
    admin.asked("PUT", f"datasets/{private}/permissions", json={"action": "make_private"})     # sharing made it public
    rows = person.value("dataset_list.py", "--format=value", "--fields=id,name,file_size", person.key, person.url, history)
    assert rows.splitlines() == [f"{private}\tprivate\t", f"{public}\tpublic\t2"]
    ended = person.run("dataset_show.py", "--format=value", "--fields=id,file_size", person.key, person.url, private,
                       f"hda:{public}")
    assert (ended.returncode, ended.stdout) == (3, f"{public}\t2\n") and "not accessible" in ended.stderr


def test_list_refused(person, admin):
    history = admin.new_history("not shared")
    for name, words in ((history, "not accessible"), ("no history of this name", "none of your histories")):
        ended = person.run("dataset_list.py", person.key, person.url, name)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1) and words in ended.stderr


# ---------------------------------------------------------------------------------------------- dataset_show.py

def test_show(person, files):
    row = json.loads(person.value("dataset_show.py", "--format=json", person.key, person.url, files.good))
    held = person.look(f"datasets/{files.good}")
    assert row["hashes"] == {one["hash_function"]: one["hash_value"] for one in held["hashes"]}
    assert set(row["hashes"].values()) <= {hashlib.sha256(b"a\tb\n").hexdigest()}     # Galaxy 24.1 has none of it
    assert (row["dbkey"], row["file_size"], row["exit_code"], row["stderr"]) == ("hg38", 4, None, None)
    same = set(row) - {"hashes", "dbkey", "exit_code", "stderr", "ref"}
    assert len(same) == 14 and {name: row[name] for name in same} == {name: held[name] for name in same}
    table = person.value("dataset_show.py", person.key, person.url, files.good).splitlines()
    assert table[0].split() == ["field", "value"] and ["file_size", "4"] in [line.split() for line in table]


def test_show_what_failed_and_why(person, files, somebody_elses):
    said = "non float value 'b' found in colum 2"
    ended = person.run("dataset_show.py", "--format=jsonl", "--fields=id,state,misc_info,exit_code,stderr", person.key,
                       person.url, files.failed, "f" * 16, f"hda:{somebody_elses}")
    assert ended.returncode == 3 and ended.stderr.count("\n") == 1 and "f" * 16 in ended.stderr
    assert list(map(json.loads, ended.stdout.splitlines())) == [
        {"id": files.failed, "state": "error", "misc_info": said, "exit_code": 1, "stderr": said},
        {"id": somebody_elses, "state": "ok", "misc_info": "uploaded txt file", "exit_code": None, "stderr": None}]


# ---------------------------------------------------------------------------------------------- dataset_wait.py

def test_wait(person, files, somebody_elses):
    """In two histories at once, and for somebody else's."""
    other = person.new_history("wait")
    made = [*fetch(person, other, pasted("a", "a\n"), pasted("b", "b\n")),
            ran(person, files.history, "cat1", input1={"src": "hda", "id": files.good})]
    ended = person.run("dataset_wait.py", "--timeout=120", person.key, person.url, files.link, f"hda:{somebody_elses}", "-",
                       stdin="\n".join(made))
    assert (ended.returncode, ended.stderr) == (0, "")
    states = dict(line.split("\t") for line in ended.stdout.splitlines())
    assert states == {files.link: "deferred", somebody_elses: "ok", **dict.fromkeys(made, "ok")}
    assert [person.look(f"datasets/{one}")["state"] for one in made] == ["ok"] * 3
    person.asked("DELETE", f"histories/{files.history}/contents/{made[2]}")


def test_wait_for_what_fails(person, files):
    bad = ran(person, files.history, "Grouping1", **failing(files.good))
    ended = person.run("dataset_wait.py", "--timeout=120", person.key, person.url, bad)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, f"{bad}\terror\n", 1)
    assert "non float value 'b'" in ended.stderr
    ended = person.run("dataset_wait.py", person.key, person.url, files.good, files.paused)
    assert (ended.returncode, ended.stdout) == (3, f"{files.good}\tok\n{files.paused}\tpaused\n")
    assert "won't go on by itself: " in ended.stderr and "input datasets are in an error state" in ended.stderr
    person.asked("DELETE", f"histories/{files.history}/contents/{bad}")


def test_wait_for_what_is_deleted_meanwhile(person):
    history = person.new_history("deleted meanwhile")
    [source] = fetch(person, history, pasted("a", "a\n"))
    made = ran(person, history, "cat1", input1={"src": "hda", "id": source})
    person.asked("DELETE", f"jobs/{person.look(f'datasets/{made}')['creating_job']}")
    ended = person.run("dataset_wait.py", "--timeout=120", person.key, person.url, made)
    assert (ended.returncode, ended.stdout) == (1, f"{made}\tdiscarded\n") and "deleted by user" in ended.stderr


@pytest.fixture
def hanging(person):
    """A dataset that Galaxy fetches from an address where nobody answers, for as long as the test runs."""
    history = person.new_history("hangs")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        [dataset] = fetch(person, history, {"src": "url", "url": address, "name": "hangs"})
        silent.settimeout(120)
        client = silent.accept()[0]
        yield dataset
        client.close()


def test_wait_no_longer_than_told_or_until_interrupted(person, files, hanging):
    ended = person.run("dataset_wait.py", "--timeout=1", person.key, person.url, hanging, files.good)
    assert (ended.returncode, ended.stdout) == (4, f"{files.good}\tok\n")
    assert ended.stderr == f"dataset_wait.py: 1 of 2 still running after 1 s: {hanging}\n"
    with person.begin("dataset_wait.py", person.key, person.url, hanging, files.good) as waiting:
        assert waiting.stdout.readline() == f"{files.good}\tok\n"
        waiting.send_signal(signal.SIGINT)
        assert (waiting.wait(timeout=60), waiting.stdout.read()) == (130, "")


# ---------------------------------------------------------------------------------------------- dataset_delete.py

def state_of(person, *datasets):
    return [(held["deleted"], held["purged"]) for held in (person.look(f"datasets/{one}") for one in datasets)]


def test_delete_and_purge(person):
    history = person.new_history("delete")
    a, b = fetch(person, history, pasted("a.txt", "a\n"), pasted("b.txt", "bb\n"))
    wait_datasets(Galaxy(person.key, person.url), history, [a, b], timeout=120)
    dry = person.value("dataset_delete.py", "-n", "--purge", person.key, person.url, a, b)
    assert dry == f"{a}\ta.txt\t2\n{b}\tb.txt\t3" and state_of(person, a, b) == [(False, False)] * 2
    for _ in range(2):      # deleted already is a success
        assert person.value("dataset_delete.py", "--fields=id", person.key, person.url, a) == a
        assert state_of(person, a, b) == [(True, False), (False, False)]
    for _ in range(2):
        assert person.value("dataset_delete.py", "--purge", "--fields=id", person.key, person.url, a, b) == f"{a}\n{b}"
        assert state_of(person, a, b) == [(True, True)] * 2
    assert person.value("dataset_delete.py", "--fields=id", person.key, person.url, b) == b


def test_delete_what_is_not_ours_or_not_there(person, admin, files, somebody_elses):
    history = person.new_history("archived")
    first, archived = fetch(person, history, pasted("a", "a\n"), pasted("b", "b\n"))
    other = person.new_history("not archived")
    [mine] = fetch(person, other, pasted("c", "c\n"))
    galaxy = Galaxy(person.key, person.url)
    wait_datasets(galaxy, history, [first, archived], timeout=120)
    wait_datasets(galaxy, other, [mine], timeout=120)
    person.asked("POST", f"histories/{history}/archive", json={})
    wrong = ["f" * 16, "nosuch", somebody_elses, archived]
    ended = person.run("dataset_delete.py", "--fields=id", person.key, person.url, *wrong, mine)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, f"{mine}\n", 4)
    assert all(one in ended.stderr for one in wrong)
    assert state_of(person, mine, archived) == [(True, False), (False, False)]
    assert state_of(admin, somebody_elses) == [(False, False)]
    ended = person.run("dataset_delete.py", "--purge", person.key, person.url, somebody_elses)
    assert (ended.returncode, ended.stdout) == (1, "") and "somebody else's" in ended.stderr
    assert state_of(admin, somebody_elses) == [(False, False)]


def test_an_administrator_deletes_somebody_elses(person, admin):
    history = person.new_history("tidied up")
    [dataset] = fetch(person, history, pasted("a", "a\n"))
    wait_datasets(Galaxy(person.key, person.url), history, [dataset], timeout=120)
    assert admin.value("dataset_delete.py", "--purge", "--fields=id", admin.key, admin.url, f"hda:{dataset}") == dataset
    assert state_of(person, dataset) == [(True, True)]


# ---------------------------------------------------------------------------------------------- typed ids

@pytest.fixture(scope="module")
def collection(person):
    """A list of two datasets: its `id`, its `history` and `datasets`, which are its own copies."""
    history = person.new_history("a collection")
    made = fetch(person, history, pasted("a", "a\n"), pasted("b", "b\n"))
    wait_datasets(Galaxy(person.key, person.url), history, made, timeout=120)
    about = person.asked("POST", "dataset_collections", json={
        "instance_type": "history", "history_id": history, "name": "two", "collection_type": "list", "copy_elements": True,
        "element_identifiers": [{"name": name, "src": "hda", "id": one} for name, one in zip("xy", made)]})
    return SimpleNamespace(id=about["id"], history=history, datasets=[one["object"]["id"] for one in about["elements"]])


def test_a_collection_is_listed_shown_waited_for_and_downloaded(person, collection, tmp_path):
    """D29; its id alone is some other dataset's, or none of ours (A1)."""
    ref = f"hdca:{collection.id}"
    rows = person.value("dataset_list.py", "--format=value", "--fields=ref,name", person.key, person.url, collection.history)
    assert rows.splitlines()[-1] == f"{ref}\ttwo" and len(rows.splitlines()) == 3
    assert person.value("dataset_show.py", "--format=value", "--fields=name,state,element_count", person.key, person.url,
                        ref) == "two\tok\t2"
    assert person.value("dataset_wait.py", person.key, person.url, ref) == f"{ref}\tok"
    assert person.value("dataset_download.py", f"--to={tmp_path}", "--parallel=1", person.key, person.url, ref).split() == [
        f"{tmp_path}/two/x.txt", f"{tmp_path}/two/y.txt"]
    bare = person.run("dataset_show.py", "--format=value", "--fields=name", person.key, person.url, collection.id)
    assert bare.stdout.strip() != "two"


def test_an_id_of_somebody_elses_dataset_is_refused_unless_it_is_typed(person, somebody_elses, tmp_path):
    """A1."""
    for line in (["dataset_show.py"], ["dataset_wait.py"], ["dataset_delete.py"],
                 ["dataset_download.py", f"--to={tmp_path}"]):
        ended = person.run(*line, person.key, person.url, somebody_elses)
        assert (ended.returncode, ended.stdout) == (1, "") and "somebody else's history" in ended.stderr
    assert person.value("dataset_download.py", f"--to={tmp_path}", person.key, person.url, f"hda:{somebody_elses}")


def test_a_collection_is_deleted_with_its_datasets_if_that_is_said(person, collection):
    """D29; the last test that uses it."""
    assert person.value("dataset_delete.py", person.key, person.url, f"hdca:{collection.id}").startswith("hdca:")
    assert person.look(f"dataset_collections/{collection.id}")["deleted"]
    assert state_of(person, *collection.datasets) == [(False, False)] * 2
    person.asked("PUT", f"histories/{collection.history}/contents/dataset_collections/{collection.id}",
                 json={"deleted": False})
    person.value("dataset_delete.py", "--recursive", "--purge", person.key, person.url, f"hdca:{collection.id}")
    assert person.look(f"dataset_collections/{collection.id}")["deleted"]
    assert state_of(person, *collection.datasets) == [(True, True)] * 2


def test_a_librarys_dataset_by_each_of_its_names(person, admin, tmp_path):
    """A1: shown, waited for, downloaded and deleted, and never the history's dataset that has its number."""
    library = admin.new_library()
    history = admin.new_history("for a library")
    job = admin.asked("POST", "tools/fetch", json={"history_id": history, "targets": [{
        "destination": {"type": "library_folder", "library_folder_id": library.root_folder_id.removeprefix("F")},
        "elements": [{**pasted("ref.txt", "reference\n"), "ext": "txt"}]}]})["jobs"][0]["id"]
    admin.value("job_wait.py", "--fields=state", admin.key, admin.url, job)
    [item] = admin.look(f"folders/{library.root_folder_id}/contents")["folder_contents"]
    for number, word in enumerate((f"ldda:{item['ldda_id']}", f"ld:{item['id']}", f"lib:/{library.name}/ref.txt")):
        assert person.value("dataset_wait.py", person.key, person.url, word) == f"ldda:{item['ldda_id']}\tok"
        assert person.value("dataset_show.py", "--format=value", "--fields=name,file_size", person.key, person.url,
                            word) == "ref.txt\t10"
        path = tmp_path / str(number) / "ref.txt"
        assert person.value("dataset_download.py", f"--to={path.parent}", person.key, person.url, word) == str(path)
        assert path.read_text() == "reference\n"
    assert admin.value("dataset_delete.py", "--fields=ref", admin.key, admin.url, word) == f"ldda:{item['ldda_id']}"
    assert admin.look(f"folders/{library.root_folder_id}/contents")["folder_contents"] == []


STEP = {"annotation": "", "inputs": [], "position": {"left": 0, "top": 0}, "tool_version": None, "workflow_outputs": []}
COPY = {"a_galaxy_workflow": "true", "format-version": "0.1", "name": "copy", "annotation": "", "steps": {
    "0": {**STEP, "id": 0, "type": "data_input", "label": "in", "name": "in", "tool_id": None, "input_connections": {},
          "tool_state": '{"optional": false}', "outputs": []},
    "1": {**STEP, "id": 1, "type": "tool", "label": "out", "name": "cat", "tool_id": "cat1", "tool_state": "{}",
          "input_connections": {"input1": {"id": 0, "output_name": "output"}}, "outputs": []}}}


def test_a_dataset_of_a_cancelled_run_is_not_waited_for(person, tmp_path):
    """B15: Galaxy leaves it in state new for good."""
    history, workflow = person.new_history("cancelled"), person.asked("POST", "workflows", json={"workflow": COPY})["id"]
    with socket.create_server(("127.0.0.1", 0)) as silent:      # so the input is never there
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        [waiting] = fetch(person, history, {"src": "url", "url": address, "name": "waiting"})
        run = person.asked("POST", f"workflows/{workflow}/invocations", json={
            "history_id": history, "inputs": {"0": {"src": "hda", "id": waiting}}, "inputs_by": "step_index"})["id"]
        for _ in backoff(120):
            made = [one for one in contents(person, history) if one != waiting]
            if made:
                break
        person.asked("DELETE", f"invocations/{run}")
        for line, words in ((["dataset_wait.py", "--timeout=120"], "stays in state new"),
                            (["dataset_download.py", f"--to={tmp_path}"], "is in state new, not ok")):
            ended = person.run(*line, person.key, person.url, *made)
            assert ended.returncode == 1 and words in ended.stderr and "so it will never be ok" in ended.stderr
        person.asked("DELETE", f"datasets/{waiting}")


def test_a_server_that_lets_nobody_purge(prefixed):
    admin = Administrator(prefixed)
    history = admin.new_history("stays")
    [dataset] = fetch(admin, history, pasted("a", "a\n"))
    wait_datasets(Galaxy(admin.key, admin.url), history, [dataset], timeout=120)
    ended = admin.run("dataset_delete.py", "--purge", admin.key, admin.url, dataset)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "allow_user_dataset_purge" in ended.stderr
    assert state_of(admin, dataset) == [(False, False)]
    assert admin.value("dataset_delete.py", "--fields=id", admin.key, admin.url, dataset) == dataset
    assert state_of(admin, dataset) == [(True, False)]
