"""The legacy history scripts by their old command lines, then Galaxy is asked what it holds."""
import os
import secrets
from types import SimpleNamespace

import pytest

from common import Galaxy
from galaxy_api_scripts.polling import wait_datasets

from .conftest import Digest


def test_history_create_history(person):
    ended = person.run("history_create_history.py", person.key, f"{person.url}/api/histories", "Only this one")
    assert ended.returncode == 0 and ended.stdout.startswith("Response\n--------\n{'")
    assert [one["name"] for one in person.look("histories")].count("Only this one") == 1


def test_upload_to_history_byte_for_byte(person, tmp_path):
    file = tmp_path / "any bytes.bin"
    file.write_bytes(os.urandom(3_000_000) + b"\r\nno newline at the end")
    history = person.new_history("upload")
    ended = person.run("upload_to_history.py", person.key, person.url, history, file, "filename=named", "file_type=data",
                       "dbkey=hg38")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.startswith("{'outputs': [{'id': '")
    held = person.look(f"histories/{history}/contents")
    assert [one["name"] for one in held] == ["named"]
    wait_datasets(Galaxy(person.key, person.url), history, [held[0]["id"]], timeout=120)
    dataset = person.look(f"datasets/{held[0]['id']}")
    content = file.read_bytes()
    assert (dataset["state"], dataset["file_size"], dataset["extension"], dataset["genome_build"]) == (
        "ok", len(content), "data", "hg38")
    assert [one["hash_value"] for one in dataset["hashes"]] == [Digest(content)]


def test_upload_to_history_of_an_empty_file_and_an_odd_name(person, tmp_path):
    file = tmp_path / "Größe 'x' \"y\";$.txt"
    file.touch()
    history = person.new_history("upload of nothing")
    assert person.run("upload_to_history.py", "-q", person.key, person.url, history, file).returncode == 0
    held = person.look(f"histories/{history}/contents")
    assert [one["name"] for one in held] == [file.name]
    wait_datasets(Galaxy(person.key, person.url), history, [held[0]["id"]], timeout=120)
    assert person.look(f"datasets/{held[0]['id']}")["file_size"] == 0


def test_upload_to_history_refused(person, tmp_path):
    file = tmp_path / "a"
    file.write_text("a")
    for history, path, status in (("f" * 16, file, 1), (person.new_history("empty"), tmp_path / "nosuch", 2)):
        ended = person.run("upload_to_history.py", person.key, person.url, history, path)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1)


def test_history_delete_history(person):
    history = person.new_history("to be deleted")
    url = f"{person.url}/api/histories/{history}"
    assert person.run("history_delete_history.py", "-n", person.key, url, "true").returncode == 0
    assert not person.look(f"histories/{history}")["deleted"]
    for purge, purged in (([], False), (["false"], False), (["true"], True)):
        ended = person.run("history_delete_history.py", person.key, url, *purge)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith("Response\n--------\n{'")
        held = person.look(f"histories/{history}")
        assert (held["deleted"], held["purged"]) == (True, purged)


def test_history_delete_history_refused(server, person):
    history = person.new_history("stays")
    for key, url, status in ((person.key, f"{person.url}/api/histories/{'f' * 16}", 1), (person.key, person.url, 2),
                             ("0" * 32, f"{person.url}/api/histories/{history}", 1)):
        ended = person.run("history_delete_history.py", key, url, "true")
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1)
    assert not person.look(f"histories/{history}")["deleted"]


@pytest.fixture(scope="module")
def files(person):
    """A history of a name of its own, with four datasets: `good`, `other`, `empty` (no bytes) and `failed`."""
    name = f"split {secrets.token_hex(4)}"
    history = person.new_history(name)
    sources = [{"src": "pasted", "paste_content": "a\n"}, {"src": "pasted", "paste_content": "b\n"},
               {"src": "pasted", "paste_content": "", "to_posix_lines": False}, {"src": "url", "url": "http://127.0.0.1:9/x"}]
    made = person.asked("POST", "tools/fetch", json={"history_id": history, "targets": [
        {"destination": {"type": "hdas"}, "elements": [{"name": "n", "ext": "txt", **source}]} for source in sources]})
    ids = [dataset["id"] for dataset in made["outputs"]]
    states = wait_datasets(Galaxy(person.key, person.url), history, ids, timeout=120)
    assert list(states.values()) == ["ok", "ok", "ok", "error"]
    assert person.look(f"datasets/{ids[2]}")["file_size"] == 0
    return SimpleNamespace(name=name, history=history, **dict(zip(("good", "other", "empty", "failed"), ids)))


def collection(person, files, name, kind, elements):
    """A new collection of these datasets, in which none is a copy."""
    return person.asked("POST", f"histories/{files.history}/contents/dataset_collections", json={
        "name": name, "collection_type": kind, "element_identifiers": elements, "copy_elements": False})


def hda(name, dataset):
    return {"name": name, "src": "hda", "id": dataset}


def held(person, files, name):
    """The elements of the history's only collection of this name: identifiers and datasets."""
    [found] = person.look(f"histories/{files.history}/contents", v="dev", q="name-eq", qv=name)

    def shape(elements):
        return {one["element_identifier"]: shape(one["object"]["elements"]) if "elements" in one["object"] else
                one["object"]["id"] for one in elements}
    return shape(person.look(f"histories/{files.history}/contents/dataset_collections/{found['id']}")["elements"])


def test_filter_failed_datasets_from_collection(person, files):
    hid = collection(person, files, "reads", "list", [
        hda("a/ü 1", files.good), hda("b", files.failed), hda("c", files.empty), hda("d", files.other)])["hid"]
    for _ in range(2):      # the second run finds what the first has made
        ended = person.run("filter_failed_datasets_from_collection.py", person.url, person.key, files.name, hid)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
        assert held(person, files, "reads (ok)") == {"a/ü 1": files.good, "d": files.other}
        assert held(person, files, "reads (not ok)") == {"b": files.failed, "c": files.empty}


def test_filter_failed_datasets_from_pairs(person, files):
    def pair(name, forward, reverse):
        return {"name": name, "src": "new_collection", "collection_type": "paired",
                "element_identifiers": [hda("forward", forward), hda("reverse", reverse)]}
    hid = collection(person, files, "pairs", "list:paired", [
        pair("s1", files.good, files.other), pair("s2", files.other, files.failed)])["hid"]
    rows = person.value("filter_failed_datasets_from_collection.py", "--format=value", "--fields=name,collection_type",
                        person.url, person.key, files.name, hid)
    assert rows == "pairs (ok)\tlist:paired\npairs (not ok)\tlist:paired"
    assert held(person, files, "pairs (ok)") == {"s1": {"forward": files.good, "reverse": files.other}}
    assert held(person, files, "pairs (not ok)") == {"s2": {"forward": files.other, "reverse": files.failed}}


def test_filter_failed_datasets_where_nothing_failed(person, files):
    hid = collection(person, files, "fine", "list", [hda("a", files.good)])["hid"]
    assert person.run("filter_failed_datasets_from_collection.py", person.url, person.key, files.name, hid).returncode == 0
    assert (held(person, files, "fine (ok)"), held(person, files, "fine (not ok)")) == ({"a": files.good}, {})


def test_filter_failed_datasets_waits(person):
    name = f"waits {secrets.token_hex(4)}"
    history = person.new_history(name)
    made = person.asked("POST", "tools/fetch", json={"history_id": history, "targets": [{
        "destination": {"type": "hdca"}, "collection_type": "list", "name": "c",
        "elements": [{"src": "pasted", "paste_content": "a\n", "name": "a", "ext": "txt"}]}]})
    hid = made["output_collections"][0]["hid"]
    ended = person.run("filter_failed_datasets_from_collection.py", "--wait", "--timeout=300", person.url, person.key, name,
                       hid)
    assert (ended.returncode, ended.stderr) == (0, "")
    counts = {one["name"]: one["element_count"] for one in person.look(f"histories/{history}/contents", v="dev")
              if one["history_content_type"] == "dataset_collection"}
    assert counts == {"c": 1, "c (ok)": 1, "c (not ok)": 0}


def test_filter_failed_datasets_refused(person, files):
    hid = collection(person, files, "a pair", "paired", [hda("forward", files.good), hda("reverse", files.other)])["hid"]
    before = len(person.look(f"histories/{files.history}/contents"))
    person.new_history("twice the name")
    person.new_history("twice the name")
    for name, number, status, words in (
            (files.name, hid, 1, "only a list can be split"), (files.name, 1, 1, "has no collection with the hid 1"),
            (files.name, 99999, 1, "has nothing with the hid 99999"), ("twice the name", 1, 1, "2 histories are named"),
            (files.name, "seven", 2, "expected an integer, 1 or more")):
        ended = person.run("filter_failed_datasets_from_collection.py", person.url, person.key, name, number)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1) and words in ended.stderr
    assert len(person.look(f"histories/{files.history}/contents")) == before
