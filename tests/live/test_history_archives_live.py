"""Whole histories there and back: what history_import.py makes of what history_export.py wrote is asked of Galaxy."""
import base64
import hashlib
import io
import json
import secrets
import tarfile
from types import SimpleNamespace

import history_export
import pytest
import requests

from common import FAILED, STILL_RUNNING, Galaxy, run
from galaxy_api_scripts import histories
from galaxy_api_scripts.polling import wait_datasets

from .test_datasets_live import hanging

__all__ = ["hanging"]   # a fixture

# Five reads. Galaxy sets the metadata of a BAM, an index, some seconds after it was imported.
BAM = base64.b64decode(
    "H4sIBAAAAAAA/wYAQkMCAFsAc3L0ZdRlYGBw8HDhDPOzMtQz4wz2t0rOzy9KycxLLEnlcggO5Az2s0rOKDLk9AEqMDAw4GIEamAFYpAgwwtm"
    "BgYAhdN0GkYAAAAfiwgEAAAAAAD/BgBCQwIAUwDTZUAAZhtPIUYgzQLE/6EAJF5kwOAApIQ8NIBAF6qYC58GQywaRPBpMMKiQQ6fBmMsGjTwaTBB"
    "0gAA4r6ND/UAAAAfiwgEAAAAAAD/BgBCQwIAGwADAAAAAAAAAAAA")


def held(person, history):
    """What is in the history, by hid: `(hid, name, state, deleted, visible, tags, SHA-256 of the content)`."""
    found = []
    for one in person.look(f"histories/{history}/contents"):
        digest = None
        if one["history_content_type"] == "dataset" and not one["purged"]:
            answer = requests.get(f"{person.url}/api/datasets/{one['id']}/display", headers={"x-api-key": person.key},
                                  params={"to_ext": one["extension"]}, timeout=60)
            digest = hashlib.sha256(answer.content).hexdigest()
        found.append((one["hid"], one["name"], one.get("state"), one["deleted"], one["visible"], one["tags"], digest))
    return sorted(found)


def elements(person, history):
    """The collections of the history: names, kinds and the identifiers of what is in them."""
    found = [person.look(f"histories/{history}/contents/dataset_collections/{one['id']}")
             for one in person.look(f"histories/{history}/contents", v="dev", q="history_content_type-eq",
                                    qv="dataset_collection")]
    return [(one["name"], one["collection_type"], [element["element_identifier"] for element in one["elements"]])
            for one in found]


def export(person, history, path, *options):
    ended = person.run("history_export.py", *options, person.key, person.url, history, path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{path}\n", "")


def imported(person, file, *options):
    """The id of the history that history_import.py has made of the file."""
    return person.value("history_import.py", "--format=value", "--fields=id", *options, person.key, person.url, file)


@pytest.fixture(scope="module")
def full(person):
    """A history of a name of its own with all sorts of things in it: `id`, `name`."""
    name = f"Läufe / {secrets.token_hex(4)}"
    history = person.new_history(name)
    sources = [{"name": name, "src": "pasted", "ext": "txt", "to_posix_lines": False, "paste_content": f"{name}\n"}
               for name in ("one", "two", "deleted", "hidden")]
    sources += [{"name": "empty", "src": "pasted", "ext": "txt", "to_posix_lines": False, "paste_content": ""},
                {"name": "failed", "src": "url", "ext": "txt", "url": "http://127.0.0.1:9/x"}]
    made = person.asked("POST", "tools/fetch", json={"history_id": history, "targets": [
        {"destination": {"type": "hdas"}, "elements": sources}]})
    ids = [dataset["id"] for dataset in made["outputs"]]
    states = wait_datasets(Galaxy(person.key, person.url), history, ids, timeout=120)
    assert list(states.values()) == ["ok", "ok", "ok", "ok", "ok", "error"]
    here = f"histories/{history}/contents"
    person.asked("PUT", f"{here}/{ids[0]}", json={"tags": ["group:treated", "name:run12"], "annotation": "a note"})
    person.asked("DELETE", f"{here}/{ids[2]}")
    person.asked("PUT", f"{here}/{ids[3]}", json={"visible": False})
    person.asked("POST", f"{here}/dataset_collections", json={
        "name": "pair", "collection_type": "paired", "type": "dataset_collection", "element_identifiers": [
            {"name": "forward", "src": "hda", "id": ids[0]}, {"name": "reverse", "src": "hda", "id": ids[1]}]})
    person.asked("PUT", f"histories/{history}", json={"tags": ["rna", "name:run12"], "annotation": "all of it"})
    person.asked("PUT", f"histories/{history}/exports")     # see test_an_old_servers_way
    return SimpleNamespace(id=history, name=name)


@pytest.fixture(scope="module")
def packed(person, full, tmp_path_factory):
    """The archive of that history, with all that can be in it."""
    path = tmp_path_factory.mktemp("packed") / "full.tgz"
    export(person, full.name, path, "--hidden", "--deleted")
    return path


def test_there_and_back(person, full, packed):
    history = imported(person, packed)
    assert history != full.id and held(person, history) == held(person, full.id)
    assert elements(person, history) == elements(person, full.id) == [("pair", "paired", ["forward", "reverse"])]
    about, before = person.look(f"histories/{history}"), person.look(f"histories/{full.id}")
    assert about["name"] == f"imported from archive: {full.name}"
    assert (sorted(about["tags"]), about["annotation"]) == (sorted(before["tags"]), "all of it")


def test_metadata_is_waited_for(person, tmp_path):
    """Galaxy makes the index of a BAM some seconds after it says that the import is done."""
    (tmp_path / "reads.bam").write_bytes(BAM)
    before = person.new_history("reads")
    person.uploaded(before, tmp_path / "reads.bam", file_type="bam")
    export(person, before, tmp_path / "reads.tgz")
    history = imported(person, tmp_path / "reads.tgz")
    assert held(person, history) == held(person, before)
    [job] = person.look("jobs", history_id=history, tool_id="__SET_METADATA__")
    assert job["state"] == "ok"


def test_what_is_left_out_unless_asked_for(person, full, tmp_path):
    path = person.value("history_export.py", person.key, person.url, full.id, tmp_path)
    assert path == f"{tmp_path}/{full.name.replace('/', '_')}.tgz"
    history = imported(person, path, "--name=Run 12, again")
    assert person.look(f"histories/{history}")["name"] == "Run 12, again"
    there = {row[1]: row for row in held(person, history)}
    for row in held(person, full.id):
        if row[1] in ("deleted", "hidden"):
            assert there[row[1]][2:4] == ("discarded", True)
        else:
            assert there[row[1]][1:3] == row[1:3]


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "rocrate.zip"])
def test_other_kinds(person, full, tmp_path, kind):
    export(person, full.id, tmp_path / "x", f"--archive={kind}")
    assert histories.read_archive(tmp_path / "x").name == f"imported from archive: {full.name}"


def test_without_files(person, full, tmp_path):
    export(person, full.id, tmp_path / "x.tgz", "--no-files")
    with tarfile.open(tmp_path / "x.tgz") as packed:
        assert [name for name in packed.getnames() if name.startswith("datasets/")] == []


def test_an_empty_history(person, tmp_path):
    name = f"empty {secrets.token_hex(4)}"
    export(person, person.new_history(name), tmp_path / "empty.tar")
    history = imported(person, tmp_path / "empty.tar")
    assert person.look(f"histories/{history}/contents") == []
    assert person.look(f"histories/{history}")["name"] == f"imported from archive: {name}"


def test_in_pieces_by_way_of_a_dataset(person, full, packed):
    """As the help of history_import.py has it."""
    dataset = person.value("dataset_upload.py", "--wait", "--format=value", "--fields=id", person.key, person.url,
                           "new:Archives", packed)
    history = imported(person, f"{person.url}/api/datasets/{dataset}/display")
    assert held(person, history) == held(person, full.id)


def test_an_export_that_was_not_waited_for_is_gone_on_with(person, full, tmp_path):
    def exports():
        return len(requests.get(f"{person.url}/api/histories/{full.id}/exports", timeout=60, headers={
            "x-api-key": person.key, "Accept": "application/vnd.galaxy.task.export+json"}).json())
    line = ["history_export.py", "--force", person.key, person.url, full.id, tmp_path / "x.tgz"]
    before, codes = exports(), [0]
    while codes[-1] == 0:       # Galaxy may be faster than the first look
        codes.append(person.run(*line, "--timeout=0").returncode)
    assert codes[-1] == STILL_RUNNING
    assert person.run(*line).returncode == 0
    assert exports() == before + len(codes) - 1
    assert histories.read_archive(tmp_path / "x.tgz").name == f"imported from archive: {full.name}"


def test_an_import_that_was_not_waited_for_is_waited_for(person, full, packed):
    before = len(person.look("jobs", tool_id="__IMPORT_HISTORY__"))
    ended = person.run("history_import.py", "--timeout=0", person.key, person.url, packed)
    assert ended.returncode == STILL_RUNNING and "repeat the command to wait again" in ended.stderr
    history = imported(person, packed)
    assert len(person.look("jobs", tool_id="__IMPORT_HISTORY__")) == before + 1
    assert held(person, history) == held(person, full.id)


def refused(ended, words, status=FAILED):
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1), ended
    assert words in ended.stderr
    return True


def test_exports_that_are_refused(person, admin, hanging, tmp_path):
    others = admin.new_history("not yours")
    for history, words in ((others, "403 Forbidden"), ("f" * 16, "none of your histories"),
                           ("no such name", "none of your histories")):
        ended = person.run("history_export.py", person.key, person.url, history, tmp_path / "x.tgz")
        assert refused(ended, words)
    moving = person.look(f"datasets/{hanging}")["history_id"]
    ended = person.run("history_export.py", person.key, person.url, moving, tmp_path / "x.tgz")
    assert refused(ended, "datasets of the history are unfinished (1 ")
    purged = person.new_history("purged")
    person.asked("DELETE", f"histories/{purged}", params={"purge": "true"})
    assert refused(person.run("history_export.py", person.key, person.url, purged, tmp_path / "x.tgz"), "is purged")
    assert list(tmp_path.glob("*.tgz")) == []


def test_imports_that_are_refused_here(person, packed, tmp_path):
    """Nothing of them goes to Galaxy, which would take in the one with the wrong checksum."""
    whole = packed.read_bytes()
    before = len(person.look("jobs", tool_id="__IMPORT_HISTORY__"))
    for content, words in ((whole[:-100], "not the whole archive of a history"), (b"some text\n", "not the whole archive"),
                           (whole[:-8] + bytes(8), "CRC check failed")):
        (tmp_path / "x.tgz").write_bytes(content)
        assert refused(person.run("history_import.py", person.key, person.url, tmp_path / "x.tgz"), words)
    assert len(person.look("jobs", tool_id="__IMPORT_HISTORY__")) == before


def test_imports_that_fail_there(person, packed, tmp_path):
    ended = person.run("history_import.py", person.key, person.url, f"{person.url}/api/version")
    assert refused(ended, "the import failed: job ") and "tarfile.ReadError: file could not be opened" in ended.stderr
    name = f"torn {secrets.token_hex(4)}"
    other = {"history_attrs.txt": json.dumps({"name": name}).encode(), "collections_attrs.txt": b"[{}]"}
    with tarfile.open(packed) as whole, tarfile.open(tmp_path / "torn.tar", "w") as torn:
        for member in whole:
            content = other.get(member.name) or (whole.extractfile(member).read() if member.isreg() else b"")
            member.size = len(content)
            torn.addfile(member, io.BytesIO(content))
    ended = person.run("history_import.py", person.key, person.url, tmp_path / "torn.tar")
    [left] = person.look("histories", q="name-eq", qv=f"imported from archive: {name}")
    assert refused(ended, f"it has left the incomplete history {left['id']}")


def test_a_server_without_celery_exports_by_a_job(person, full, tmp_path, monkeypatch, capsys):
    """A Galaxy with Celery has that route, too. There is an earlier archive of the kind, which Galaxy's answer describes."""
    monkeypatch.setattr(histories, "request_export", histories.request_export_job)
    path = tmp_path / "x.tar"
    assert run(lambda: history_export.main(["--deleted", person.key, person.url, full.id, str(path)])) == 0
    assert capsys.readouterr() == (f"{path}\n", "")
    assert "deleted" in {name for name, _, _ in histories.read_archive(path).datasets}
    assert path.read_bytes()[:2] != b"\x1f\x8b", "the earlier one is packed"
