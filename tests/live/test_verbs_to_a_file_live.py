"""display.py --to, --wait of the verbs, and lists in objects: what comes, and what Galaxy holds."""
import json
import zipfile

import pytest


def done(ended):
    """What a script has printed that did its job."""
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


@pytest.fixture
def verb(person):
    """`verb(name, path, option...)`: the verb on an address; words that are no options are pairs."""
    def run(name, path, *words):
        return person.run(name, *words, person.key, f"{person.url}/api/{path}")
    return run


def test_answers_and_files_that_galaxy_makes_go_to_files(person, verb, tmp_path):
    """The bytes as Galaxy has them; archives of a history, of a dataset and of a collection, once they are made."""
    content, text, to, archive = b"a\tb\r\n\xff\0", tmp_path / "text", tmp_path / "to", tmp_path / "a.zip"
    text.write_bytes(content)
    history = person.new_history("files")
    dataset = person.uploaded(history, text, file_type="data")
    display = f"datasets/{dataset}/display?to_ext=data"
    assert done(verb("display.py", display, f"--to={to}")) == f"{to}\n" and to.read_bytes() == content
    ended = verb("display.py", display, f"--to={to}")
    assert ended.returncode == 1 and "it is there already" in ended.stderr
    assert json.loads(done(verb("display.py", "version", "--to=-"))) == person.look("version")
    ended = verb("display.py", "histories/0123456789abcdef", f"--to={tmp_path}/none")
    assert ended.returncode == 1 and not (tmp_path / "none").exists()

    def create(path, to, *pairs):
        words = ["--wait", f"--to={to}", "--force", "--format=json", person.key, f"{person.url}/api/{path}", *pairs]
        return json.loads(done(person.run("create.py", *words)))["storage_request_id"]

    stored = create(f"histories/{history}/prepare_store_download", archive, "model_store_format=rocrate.zip")
    assert "ro-crate-metadata.json" in zipfile.ZipFile(archive).namelist()
    done(verb("display.py", f"short_term_storage/{stored}", "--wait", f"--to={tmp_path}/again.zip"))
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
    collection = person.asked("POST", "dataset_collections", json={
        "history_id": history, "collection_type": "list", "name": "c",
        "element_identifiers": [{"src": "hda", "id": dataset, "name": "one"}]})["id"]
    create(f"dataset_collections/{collection}/prepare_download", archive)
    with zipfile.ZipFile(archive) as content_of:
        assert [content_of.read(name) for name in content_of.namelist()] == [content]
    create(f"histories/{history}/contents/datasets/{dataset}/prepare_store_download", tmp_path / "d.tgz",
           "model_store_format=tgz")
    assert (tmp_path / "d.tgz").read_bytes()[:2] == b"\x1f\x8b"


def test_tasks_are_waited_for_and_those_that_fail_are_no_success(person, verb, tmp_path):
    (tmp_path / "text").write_text("1\n")
    history = person.new_history("tasks")
    dataset, url = person.uploaded(history, tmp_path / "text"), f"{person.url}/api"
    done(person.run("update.py", "--wait", person.key, f"{url}/datasets/{dataset}/hash", "hash_function=MD5"))
    assert "b026324c6904b2a9cb4b88d6d61c81d1" in [one["hash_value"] for one in person.look(f"datasets/{dataset}")["hashes"]]
    done(verb("update.py", "users/current/recalculate_disk_usage", "--wait", "--timeout=60"))
    for path, pairs in ((f"histories/{history}/write_store", ["model_store_format=tgz", "target_uri=gxfiles://no/x.tgz"]),
                        ("histories/from_store_async", ["model_store_format=tgz", "store_content_uri=gxfiles://no/x.tgz"])):
        ended = person.run("create.py", "--wait", person.key, f"{url}/{path}", *pairs)
        assert ended.returncode == 1 and "has failed (FAILURE): " in ended.stderr and ended.stderr.count("\n") == 1
    ended = person.run("create.py", "--wait", person.key, f"{url}/histories/{history}/materialize", "source=hda",
                       f"content={dataset}")
    assert ended.returncode == 1 and "Galaxy keeps no record of task" in ended.stderr
    ended = verb("display.py", "tasks/00000000-0000-0000-0000-000000000000/state", "--wait", "--timeout=1")
    assert ended.returncode == 4 and "not done after 1 s (PENDING)" in ended.stderr
    other = person.uploaded(history, tmp_path / "text")
    done(person.run("delete.py", "--wait", person.key, f"{url}/datasets/{other}", "purge:=true"))
    assert person.look(f"datasets/{other}")["purged"] and not person.look(f"datasets/{dataset}")["purged"]
    done(person.run("delete.py", "--wait", person.key, f"{url}/histories/{history}", "purge:=true"))
    assert person.look(f"datasets/{dataset}")["purged"]


def test_lists_in_objects_come_whole(admin, weather):
    """A folder's pages overlap; one of folders may hold all files."""
    library = admin.new_library()
    names = [f"folder {number}" for number in range(3)]
    for name in names:
        admin.asked("POST", f"folders/{library.root_folder_id}", json={"name": name})
    for _ in range(2):
        admin.asked("POST", f"folders/{library.root_folder_id}/contents", json={"from_hda_id": weather.dataset})
    address = f"{admin.url}/api/folders/{library.root_folder_id}/contents"
    assert len(admin.look(f"folders/{library.root_folder_id}/contents")["folder_contents"]) == 5
    for query in ("", "?limit=2", "?limit=1"):
        ids = done(admin.run("display.py", "--all", "--format=value", "--fields=id", admin.key, address + query)).split()
        assert len(ids) == len({*ids}) == 5
    names_of = ["--format=value", "--fields=name", admin.key]
    assert done(admin.run("display.py", "--limit=2", *names_of, address)).splitlines() == names[:2]
    rows = f"{admin.url}/api/datasets/{weather.dataset}?data_type=raw_data&provider=column&limit=100"
    assert done(admin.run("display.py", "--all", "--format=jsonl", admin.key, rows)).count("\n") > 300
    admin.asked("DELETE", f"libraries/{library.id}")


@pytest.mark.needs("runs of WES")
def test_the_runs_of_wes_come_whole(person):
    step = {"id": 0, "type": "data_input", "tool_state": '{"optional": true}', "input_connections": {}, "label": "x"}
    workflow = person.asked("POST", "workflows", json={"workflow": {
        "a_galaxy_workflow": "true", "format-version": "0.1", "annotation": "", "name": "one", "steps": {"0": step}}})["id"]
    history = person.new_history("runs")
    made = {person.asked("POST", f"workflows/{workflow}/invocations", json={"history_id": history})["id"] for _ in range(3)}
    address = f"{person.url}/ga4gh/wes/v1/runs?page_size=2"
    told = done(person.run("display.py", "--all", "--format=value", "--fields=run_id", person.key, address)).split()
    assert made <= {*told} and len(told) == len({*told})
