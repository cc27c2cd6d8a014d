"""References to data: what is asked of Galaxy for each kind, and which data are refused."""
import pytest
from fakes import KEY, URL

from common import FAILED, Galaxy, GalaxyError
from galaxy_api_scripts.batch.shared_uploads import is_usable
from galaxy_api_scripts.datasets.references import ReferenceProblem, fetch_reference

H = "1" * 16


@pytest.fixture
def fetch(requests_mock):
    return lambda src, identity, history=H: fetch_reference(Galaxy(KEY, URL), src, identity, history, f"{src}:{identity}")


def item(name, **more):
    return {"id": name, "name": f"name of {name}", "hid": 7, "history_content_type": "dataset", "deleted": False,
            "visible": True, "state": "ok", **more}


@pytest.mark.parametrize("src, path", [
    ("hda", "datasets/a1"), ("ldda", "datasets/a1?hda_ldda=ldda"), ("ld", "libraries/datasets/a1"),
    ("hdca", "dataset_collections/a1?view=collection")])
def test_each_kind_has_one_address(fetch, requests_mock, src, path):
    requests_mock.get(f"{URL}/api/{path}", json=item("a1"))
    assert fetch(src, "a1") == (src, item("a1")) and is_usable(Galaxy(KEY, URL), {"src": src, "id": "a1"})
    assert [request.url for request in requests_mock.request_history] == [f"{URL}/api/{path}"] * 2
    requests_mock.get(f"{URL}/api/{path}", json=item("a1", deleted=True))
    assert not is_usable(Galaxy(KEY, URL), {"src": src, "id": "a1"})


def test_a_library_dataset_that_galaxy_fails_to_describe_is_known_by_its_storage(fetch, requests_mock, clock):
    """Galaxy 26.1, of data that no history has."""
    requests_mock.get(f"{URL}/api/datasets/a1?hda_ldda=ldda", status_code=500, text="Internal Server Error")
    requests_mock.get(f"{URL}/api/datasets/a1/storage?hda_ldda=ldda", json={"dataset_state": "ok"})
    assert fetch("ldda", "a1") == ("ldda", {"id": "a1", "name": "a1", "state": "ok"})
    assert requests_mock.call_count == 2 and not clock.slept
    requests_mock.get(f"{URL}/api/datasets/a1/storage?hda_ldda=ldda", json={"dataset_state": "error"})
    with pytest.raises(ReferenceProblem, match="ldda:a1: 'a1' is in state error"):
        fetch("ldda", "a1")


@pytest.mark.parametrize("about, problem", [
    ({"deleted": True}, "is deleted"), ({"purged": True}, "is deleted"), ({"state": "error"}, "is in state error"),
    ({"state": "discarded"}, "is in state discarded"), ({"state": "failed_metadata"}, "is in state failed_metadata"),
    ({"populated_state": "failed"}, "is in state failed")])
def test_data_that_no_job_can_read_are_refused(fetch, requests_mock, about, problem):
    requests_mock.get(f"{URL}/api/datasets/a1", json=item("a1", **about))
    with pytest.raises(ReferenceProblem) as caught:
        fetch("hda", "a1")
    assert (str(caught.value), caught.value.exit_code) == (f"hda:a1: 'name of a1' {problem}", FAILED)


@pytest.mark.parametrize("state", ["ok", "empty", "queued", "running", "deferred", "paused"])
def test_data_that_are_still_being_made_are_taken(fetch, requests_mock, state):
    requests_mock.get(f"{URL}/api/datasets/a1", json=item("a1", state=state))
    assert fetch("hda", "a1")[1]["state"] == state


@pytest.mark.parametrize("src, status, reason", [
    ("hda", 400, "nothing has that id"), ("hda", 403, "not yours"), ("ldda", 404, "not yours"),
    ("ld", 500, "nothing has that id")])
def test_an_answer_that_refuses_is_the_references_problem(fetch, requests_mock, clock, src, status, reason):
    requests_mock.get(dataset_url(src), status_code=status, json={"err_msg": "not yours"})
    with pytest.raises(ReferenceProblem) as caught:
        fetch(src, "a1")
    assert (str(caught.value), caught.value.status) == (f"{src}:a1: {reason}", status)


def dataset_url(src):
    return f"{URL}/api/{'libraries/' if src == 'ld' else ''}datasets/a1"


@pytest.mark.parametrize("src, status", [("hda", 500), ("ld", 401)])
def test_a_failure_of_the_server_is_not_the_references_problem(fetch, requests_mock, clock, src, status):
    requests_mock.get(dataset_url(src), status_code=status, json={"err_msg": "broken"})
    with pytest.raises(GalaxyError) as caught:
        fetch(src, "a1")
    assert not isinstance(caught.value, ReferenceProblem) and caught.value.status == status


def contents(requests_mock, *items):
    requests_mock.get(f"{URL}/api/histories/{H}/contents", json=list(items))


def test_a_number_is_the_one_visible_item_that_is_not_deleted(fetch, requests_mock):
    contents(requests_mock, item("a1"), item("a2", visible=False), item("a3", deleted=True), item("a4", hid=70))
    assert fetch("hid", "7") == ("hda", item("a1"))
    contents(requests_mock, item("c1", history_content_type="dataset_collection", state=None, populated_state="ok"))
    assert fetch("hid", "7")[0] == "hdca"
    contents(requests_mock, item("a2", visible=False))
    assert fetch("hid", "7")[1]["id"] == "a2"


def test_a_number_that_is_not_one_item_is_refused(fetch, requests_mock):
    for items, problem in ([[], "hid:7: the history has nothing with that number"],
                           [[item("a1"), item("c1", history_content_type="dataset_collection")],
                            "hid:7: the history has 2 items with that number: hda:a1, hdca:c1"],
                           [[item("a1", deleted=True)], "hid:7: 'name of a1' is deleted"]):
        contents(requests_mock, *items)
        with pytest.raises(ReferenceProblem) as caught:
            fetch("hid", "7")
        assert str(caught.value) == problem


@pytest.mark.parametrize("src, identity, history, problem", [
    ("hda", "a b", H, "'a b' is not an id"), ("hda", "", H, "'' is not an id"),
    ("hid", "0", H, "'0' is not a number in a history"),
    ("hid", "x", H, "'x' is not a number"), ("hid", "7", None, "the history has nothing with that number")])
def test_what_can_not_be_a_reference_is_refused_without_asking(fetch, requests_mock, src, identity, history, problem):
    with pytest.raises(ReferenceProblem) as caught:
        fetch(src, identity, history)
    assert problem in str(caught.value) and requests_mock.call_count == 0
