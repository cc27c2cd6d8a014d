"""What a run is given on its way into the history: uploads that are alike go together, collections are made once."""
import pytest
from fakes import KEY

from common import Galaxy, GalaxyError
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.datasets.upload import Upload
from galaxy_api_scripts.workflows import staging
from galaxy_api_scripts.workflows.inputs import CollectionInput, DatasetInput


def leaf(name, **more):
    return DatasetInput(f"/data/{name}", source=Source(f"/data/{name}", name, "bed", 3), name=name, **more)


@pytest.fixture
def calls(monkeypatch):
    """The uploads that were asked for, each of which arrives unless its name is bad; no bytes go anywhere."""
    made = []

    def upload(galaxy, history, sources, settings):
        made.append(([source.name for source in sources], settings.dbkey, settings.tags))
        return [Upload(source, dataset={"id": f"id of {source.name}"}) for source in sources]

    def checked(galaxy, history, uploads, settings, timeout):
        for one in uploads:
            if "bad" in one.source.name:
                one.fail(f"{one.source.name} did not arrive")
        return uploads

    monkeypatch.setattr(staging, "upload_sources", upload)
    monkeypatch.setattr(staging, "verify_uploads", checked)
    return made


def test_each_file_is_uploaded_once_and_those_alike_together(loopback, calls):
    stage = staging.Staging(Galaxy(KEY, loopback.url), "h")
    assert stage.stage({"0": leaf("a"), "1": leaf("a"), "2": leaf("b"), "3": leaf("b", dbkey="hg38", tags=("x",)), "4": 7,
                        "5": DatasetInput("hda:d", {"src": "hda", "id": "d"})}, dict.fromkeys("012345", "n")) == {
        "0": {"src": "hda", "id": "id of a"}, "1": {"src": "hda", "id": "id of a"}, "2": {"src": "hda", "id": "id of b"},
        "3": {"src": "hda", "id": "id of b"}, "4": 7, "5": {"src": "hda", "id": "d"}}
    assert calls == [(["a", "b"], "?", []), (["b"], "hg38", ["x"])] and loopback.asked == []


def test_what_did_not_arrive_stops_it(loopback, calls, capsys):
    stage = staging.Staging(Galaxy(KEY, loopback.url), "h")
    with pytest.raises(GalaxyError, match="bad 1 did not arrive; so nothing was run"):
        stage.stage({"0": leaf("bad 1"), "1": leaf("bad 2")}, {"0": "n", "1": "n"})
    assert "bad 2 did not arrive" in capsys.readouterr().err and loopback.asked == []


def test_collections_of_what_was_uploaded_and_of_what_is_there(loopback, calls):
    loopback.will((200, []), (200, {"id": "c1"}))
    nested = CollectionInput("list:paired", [("s 1", CollectionInput(
        "paired", [("forward", leaf("f")), ("reverse", leaf("r"))]))])
    stage = staging.Staging(Galaxy(KEY, loopback.url), "h")
    assert stage.stage({"0": nested}, {"0": "reads"}) == {"0": {"src": "hdca", "id": "c1"}}
    assert loopback.asked[-1].json == {
        "instance_type": "history", "history_id": "h", "name": "reads", "collection_type": "list:paired",
        "copy_elements": False, "hide_source_items": True, "element_identifiers": [
            {"name": "s 1", "src": "new_collection", "collection_type": "paired", "element_identifiers": [
                {"name": "forward", "src": "hda", "id": "id of f"}, {"name": "reverse", "src": "hda", "id": "id of r"}]}]}
    loopback.will((200, []), (200, {"id": "c2"}))
    group = CollectionInput("list", [("x", DatasetInput("hda:d", {"src": "hda", "id": "d"}))], "own name")
    assert stage.stage({"0": group}, {"0": "reads"}) == {"0": {"src": "hdca", "id": "c2"}}
    asked = loopback.asked[-1].json
    assert (asked["name"], asked["copy_elements"], asked["hide_source_items"]) == ("own name", True, False)


def test_a_collection_whose_process_was_killed_is_found_again(loopback, calls):
    group = CollectionInput("list", [("x", leaf("a"))])
    loopback.will((200, [{"hid": 4}]), (200, {"id": "c1"}))
    killed = staging.Staging(Galaxy(KEY, loopback.url), "h")
    killed.stage({"0": group}, {"0": "beds"})
    for record in killed.records:
        record.close()
    there = [{"history_content_type": "dataset_collection", "id": "c1", "hid": 5, "name": "beds", "deleted": False}]
    loopback.asked.clear()
    loopback.will((200, {"id": "h"}), (200, there))
    again = staging.Staging(Galaxy(KEY, loopback.url), "h")
    assert again.stage({"0": group}, {"0": "beds"}) == {"0": {"src": "hdca", "id": "c1"}}
    assert [asked.method for asked in loopback.asked] == ["GET", "GET"]
    again.forget()
    loopback.will((200, []), (200, {"id": "c9"}))
    assert staging.Staging(Galaxy(KEY, loopback.url), "h").stage({"0": group}, {"0": "beds"})["0"]["id"] == "c9"
