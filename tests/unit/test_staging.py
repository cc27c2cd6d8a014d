"""Staging a run's inputs: equal uploads go together, and each collection is created once."""
from dataclasses import replace

import pytest
from fakes import KEY

from common import Galaxy, GalaxyError
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.batch.shared_uploads import SharedUploads
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.datasets.upload import Upload
from galaxy_api_scripts.workflows import staging
from galaxy_api_scripts.workflows.inputs import CollectionInput, DatasetInput, InputValues
from galaxy_api_scripts.workflows.run import RunRequest


def file_input(name, **more):
    return DatasetInput(f"/data/{name}", source=Source(f"/data/{name}", name, "bed", 3), name=name, **more)


@pytest.fixture
def calls(monkeypatch):
    """The calls for uploads; each upload succeeds unless its name has `bad` in it, and nothing is sent."""
    calls_made = []

    def upload(galaxy, history, sources, settings):
        calls_made.append(([source.name for source in sources], settings.dbkey, settings.tags))
        return [Upload(source, dataset={"id": f"id of {source.name}"}) for source in sources]

    def verify(galaxy, history, uploads, settings, timeout):
        for each in uploads:
            if "bad" in each.source.name:
                each.fail(f"{each.source.name} did not arrive")
        return uploads

    monkeypatch.setattr(staging, "upload_sources", upload)
    monkeypatch.setattr(staging, "verify_uploads", verify)
    return calls_made


def test_each_file_is_uploaded_once_and_equal_settings_together(loopback, calls):
    stage = staging.Staging(Galaxy(KEY, loopback.url), "h")
    other = file_input("b", dbkey="hg38", tags=("x",))
    assert stage.stage({"0": file_input("a"), "1": file_input("a"), "2": file_input("b"), "3": other, "4": 7,
                        "5": DatasetInput("hda:d", {"src": "hda", "id": "d"})}, dict.fromkeys("012345", "n")) == {
        "0": {"src": "hda", "id": "id of a"}, "1": {"src": "hda", "id": "id of a"}, "2": {"src": "hda", "id": "id of b"},
        "3": {"src": "hda", "id": "id of b"}, "4": 7, "5": {"src": "hda", "id": "d"}}
    assert calls == [(["a", "b"], "?", []), (["b"], "hg38", ["x"])] and loopback.asked == []


def test_a_failed_upload_stops_the_run(loopback, calls, capsys):
    stage = staging.Staging(Galaxy(KEY, loopback.url), "h")
    with pytest.raises(GalaxyError, match="bad 1 did not arrive; so nothing was run"):
        stage.stage({"0": file_input("bad 1"), "1": file_input("bad 2")}, {"0": "n", "1": "n"})
    assert "bad 2 did not arrive" in capsys.readouterr().err and loopback.asked == []


def test_uploaded_elements_are_hidden_and_existing_ones_copied(loopback, calls):
    loopback.will((200, []), (200, {"id": "c1"}))
    nested = CollectionInput("list:paired", [("s 1", CollectionInput(
        "paired", [("forward", file_input("f")), ("reverse", file_input("r"))]))])
    stage = staging.Staging(Galaxy(KEY, loopback.url), "h")
    assert stage.stage({"0": nested}, {"0": "reads"}) == {"0": {"src": "hdca", "id": "c1"}}
    assert loopback.asked[-1].json == {
        "instance_type": "history", "history_id": "h", "name": "reads", "collection_type": "list:paired",
        "copy_elements": False, "hide_source_items": True, "element_identifiers": [
            {"name": "s 1", "src": "new_collection", "collection_type": "paired", "element_identifiers": [
                {"name": "forward", "src": "hda", "id": "id of f"}, {"name": "reverse", "src": "hda", "id": "id of r"}]}]}
    loopback.will((200, []), (200, {"id": "c2"}))
    collection = CollectionInput("list", [("x", DatasetInput("hda:d", {"src": "hda", "id": "d"}))], "own name")
    assert stage.stage({"0": collection}, {"0": "reads"}) == {"0": {"src": "hdca", "id": "c2"}}
    asked = loopback.asked[-1].json
    assert (asked["name"], asked["copy_elements"], asked["hide_source_items"]) == ("own name", True, False)


def test_a_collection_of_a_killed_run_is_found_again(loopback, calls):
    collection = CollectionInput("list", [("x", file_input("a"))])
    loopback.will((200, [{"hid": 4}]), (200, {"id": "c1"}))
    killed = staging.Staging(Galaxy(KEY, loopback.url), "h")
    killed.stage({"0": collection}, {"0": "beds"})
    for record in killed.records:
        record.close()
    contents = [{"history_content_type": "dataset_collection", "id": "c1", "hid": 5, "name": "beds", "deleted": False}]
    loopback.asked.clear()
    loopback.will((200, {"id": "h"}), (200, contents))
    again = staging.Staging(Galaxy(KEY, loopback.url), "h")
    assert again.stage({"0": collection}, {"0": "beds"}) == {"0": {"src": "hdca", "id": "c1"}}
    assert [asked.method for asked in loopback.asked] == ["GET", "GET"]
    again.forget()
    loopback.will((200, []), (200, {"id": "c9"}))
    assert staging.Staging(Galaxy(KEY, loopback.url), "h").stage({"0": collection}, {"0": "beds"})["0"]["id"] == "c9"


def test_a_file_that_samples_share_is_uploaded_once_for_each_way_to_store_it(loopback, calls, tmp_path):
    """As it is, and decompressed by Galaxy."""
    kept = tmp_path / "a.txt"
    kept.write_text("a")
    plain = Source(str(kept), "a.txt", "txt", 1)
    sources = [plain, replace(plain, decompress=True)]
    values = [InputValues(Galaxy(KEY, loopback.url), {"id": "w", "name": "n", "steps": {}, "inputs": {}}) for _ in range(2)]
    with Ledger(tmp_path / "ledger") as ledger:
        shared = SharedUploads(Galaxy(KEY, loopback.url), ledger, lambda: "h")
        shared.sources = set(sources)
        for inputs in values:
            inputs.values = {str(number): DatasetInput("a.txt", source=source, name="a.txt")
                             for number, source in enumerate(sources)}
            shared.replace(RunRequest({"id": "w", "name": "n"}, inputs, {}))
        assert len(ledger.notes.shared_uploads) == len(calls) == 2
