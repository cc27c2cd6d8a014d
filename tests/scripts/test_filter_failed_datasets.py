"""filter_failed_datasets_from_collection.py: how it splits, what it sends, what it refuses."""
import filter_failed_datasets_from_collection
import pytest
from fakes import KEY, URL

from common import FAILED, STILL_RUNNING, USAGE

main = filter_failed_datasets_from_collection.main
CONTENTS = f"{URL}/api/histories/h/contents"
LINE = [URL, KEY, "Run 12", "7"]


def dataset(name, id, state="ok", file_size=5, deleted=False):
    about = {"id": id, "state": state, "file_size": file_size, "deleted": deleted}
    return {"element_identifier": name, "element_type": "hda", "object": about}


def inner(name, kind, *elements):
    return {"element_identifier": name, "element_type": "dataset_collection",
            "object": {"collection_type": kind, "elements": list(elements)}}


def identifier(name, id):
    return {"name": name, "src": "hda", "id": id}


def new_collection(name, kind, *elements):
    return {"name": name, "src": "new_collection", "collection_type": kind, "element_identifiers": list(elements)}


@pytest.fixture
def galaxy(requests_mock):
    """A Galaxy whose history h, Run 12, has the collection c, number 7; `galaxy.holds(...)` says what is in it."""
    requests_mock.get(f"{URL}/api/histories", json=[{"id": "h", "name": "Run 12"}])
    requests_mock.get(f"{CONTENTS}?q=hid-eq&qv=7", json=[
        {"id": "d", "history_content_type": "dataset", "deleted": False},
        {"id": "old", "history_content_type": "dataset_collection", "deleted": True},
        {"id": "c", "history_content_type": "dataset_collection", "deleted": False}])
    requests_mock.get(f"{CONTENTS}?q=name-eq", json=[])
    requests_mock.post(f"{CONTENTS}/dataset_collections", json=lambda request, context: {
        "id": "new", "name": request.json()["name"], "element_count": len(request.json()["element_identifiers"])})

    def holds(*elements, kind="list", **more):
        about = {"name": "reads", "collection_type": kind, "populated": True, "populated_state": "ok",
                 "populated_state_message": None, "elements": list(elements), **more}
        requests_mock.get(f"{CONTENTS}/dataset_collections/c", json=about)
    requests_mock.holds = holds
    return requests_mock


def sent_payloads(galaxy):
    return [request.json() for request in galaxy.request_history if request.method == "POST"]


def parts(galaxy):
    ok, not_ok = sent_payloads(galaxy)
    assert (ok["name"], not_ok["name"]) == ("reads (ok)", "reads (not ok)")
    return ok["element_identifiers"], not_ok["element_identifiers"]


def refused_with(capsys, words):
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and words in output.err and KEY not in output.err
    return True


def test_a_list_is_split_into_ok_and_not_ok(script, galaxy, capsys):
    galaxy.holds(dataset("a/1.fq", "d1"), dataset("empty", "d2", file_size=0), dataset("bad", "d3", "error"),
                 dataset("gone", "d4", deleted=True), dataset("also ok", "d5"))
    assert script(main, *LINE) == 0
    assert sent_payloads(galaxy)[0] == {"name": "reads (ok)", "collection_type": "list", "copy_elements": False,
                                 "element_identifiers": [identifier("a/1.fq", "d1"), identifier("also ok", "d5")]}
    assert parts(galaxy)[1] == [identifier("empty", "d2"), identifier("bad", "d3"), identifier("gone", "d4")]
    assert capsys.readouterr() == ("", "")


def test_an_empty_list_is_created_too(script, galaxy, capsys):
    """The old script made the empty collection too."""
    galaxy.holds(dataset("a", "d1"))
    assert script(main, "--format=value", "--fields=name,element_count", *LINE) == 0
    assert parts(galaxy) == ([identifier("a", "d1")], [])
    assert capsys.readouterr().out == "reads (ok)\t1\nreads (not ok)\t0\n"


def test_a_thousand_elements_take_seven_requests(script, galaxy):
    galaxy.holds(*(dataset(str(number), f"d{number}", "error" if number % 3 else "ok") for number in range(1000)))
    assert script(main, *LINE) == 0
    assert [len(part) for part in parts(galaxy)] == [334, 666] and galaxy.call_count == 7


def test_pairs_stay_together(script, galaxy):
    galaxy.holds(inner("s1", "paired", dataset("forward", "d1"), dataset("reverse", "d2")),
                 inner("s2", "paired", dataset("forward", "d3"), dataset("reverse", "d4", "error")), kind="list:paired")
    assert script(main, *LINE) == 0
    assert parts(galaxy) == ([new_collection("s1", "paired", identifier("forward", "d1"), identifier("reverse", "d2"))],
                             [new_collection("s2", "paired", identifier("forward", "d3"), identifier("reverse", "d4"))])


def test_lists_of_lists_are_split_inside(script, galaxy):
    galaxy.holds(inner("x", "list", dataset("1", "d1"), dataset("2", "d2", "error")), inner("y", "list", dataset("3", "d3")),
                 kind="list:list")
    assert script(main, *LINE) == 0
    assert parts(galaxy) == ([new_collection("x", "list", identifier("1", "d1")),
                              new_collection("y", "list", identifier("3", "d3"))],
                             [new_collection("x", "list", identifier("2", "d2"))])


def test_unfinished_datasets_are_reported_and_not_ok(script, galaxy, capsys):
    galaxy.holds(dataset("a", "d1"), dataset("b", "d2", "running", 0))
    assert script(main, *LINE) == 0
    assert parts(galaxy) == ([identifier("a", "d1")], [identifier("b", "d2")])
    assert refused_with(capsys, "1 datasets of collection 'reads' are unfinished, so they are not ok: --wait")


def test_wait_waits_until_all_datasets_have_ended(script, galaxy, clock, capsys):
    galaxy.holds(dataset("a", "d1"))
    looks = [{"json": {"populated_state": state, "elements_states": states}} for state, states in (
        ("new", {}), ("ok", {"ok": 1, "queued": 1}), ("ok", {"ok": 1, "error": 1}))]
    galaxy.get(f"{CONTENTS}/dataset_collections/c?view=collection", looks)
    assert script(main, "--wait", *LINE) == 0
    assert len(clock.slept) == 2 and len(sent_payloads(galaxy)) == 2
    galaxy.holds(dataset("a", "d1", "running"))
    galaxy.get(f"{CONTENTS}/dataset_collections/c?view=collection", looks[1:2])
    assert script(main, "--wait", "--timeout=60", *LINE) == STILL_RUNNING
    assert refused_with(capsys, "1 datasets of collection 'reads' are unfinished after 60 s")
    assert len(sent_payloads(galaxy)) == 2


def test_wait_ends_when_the_jobs_have_ended_without_some_datasets(script, galaxy, clock, capsys):
    """B15: Galaxy leaves the datasets of a deleted job in state new for good."""
    galaxy.holds(dataset("a", "d1"), dataset("b", "d2", "new"))
    galaxy.get(f"{CONTENTS}/dataset_collections/c?view=collection", json={
        "populated_state": "ok", "elements_states": {"ok": 1, "new": 1},
        "job_state_summary": {"all_jobs": 2, "ok": 1, "deleted": 1}})
    assert script(main, "--wait", *LINE) == 0
    assert parts(galaxy) == ([identifier("a", "d1")], [identifier("b", "d2")]) and clock.slept == []
    assert refused_with(capsys, "are unfinished, so they are not ok: their jobs have ended without them")


@pytest.mark.parametrize("kind", ["paired", "record", "sample_sheet"])
def test_other_collections_than_lists_are_an_error(script, galaxy, capsys, kind):
    galaxy.holds(dataset("forward", "d1"), dataset("reverse", "d2", "error"), kind=kind)
    assert script(main, *LINE) == FAILED
    assert refused_with(capsys, f"is of the type {kind}: only a list can be split") and sent_payloads(galaxy) == []


@pytest.mark.parametrize("state, message, status", [
    ("failed", "Failed to fetch url", FAILED), ("new", None, STILL_RUNNING)])
def test_an_incomplete_collection_is_an_error(script, galaxy, capsys, state, message, status):
    galaxy.holds(populated=False, populated_state=state, populated_state_message=message)
    assert script(main, *LINE) == status
    assert refused_with(capsys, f"is not complete: {message or 'Galaxy is still filling it: --wait'}")
    assert sent_payloads(galaxy) == []


def test_a_second_run_creates_nothing_again(script, galaxy, capsys):
    galaxy.holds(dataset("a", "d1"), dataset("b", "d2", "error"))
    galaxy.get(f"{CONTENTS}?q=name-eq&qv=reads (ok)", json=[
        {"id": "n1", "hid": 8, "history_content_type": "dataset_collection", "deleted": True},
        {"id": "n2", "hid": 9, "history_content_type": "dataset_collection", "deleted": False}])
    galaxy.get(f"{CONTENTS}/dataset_collections/n2", json={"id": "n2", "elements": [dataset("a", "d1")]})
    assert script(main, "--format=value", "--fields=id", *LINE) == 0
    assert capsys.readouterr().out == "n2\nnew\n"
    assert [one["name"] for one in sent_payloads(galaxy)] == ["reads (not ok)"]
    galaxy.get(f"{CONTENTS}/dataset_collections/n2", json={"id": "n2", "elements": [dataset("a", "d9")]})
    assert script(main, *LINE) == FAILED
    assert refused_with(capsys, "the history has a collection 'reads (ok)' with other elements, hid 9")
    assert len(sent_payloads(galaxy)) == 1


def test_an_unknown_history_or_hid_is_an_error(script, galaxy, capsys):
    galaxy.get(f"{CONTENTS}?q=hid-eq&qv=8", json=[{"id": "d", "history_content_type": "dataset", "deleted": False}])
    galaxy.get(f"{CONTENTS}?q=hid-eq&qv=9", json=[])
    for line, words in ((["Run 12", "8"], "history h has no collection with the hid 8"),
                        (["Run 12", "9"], "history h has nothing with the hid 9"),
                        (["Run 1", "7"], "none of your histories")):
        assert script(main, URL, KEY, *line) == FAILED
        assert refused_with(capsys, words)
    galaxy.get(f"{URL}/api/histories", json=[{"id": "h", "name": "Run 12"}, {"id": "i", "name": "Run 12"}])
    assert script(main, *LINE) == FAILED
    assert refused_with(capsys, "2 histories are named 'Run 12': h, i")


def test_a_refused_collection_is_an_error(script, galaxy, capsys):
    galaxy.holds(dataset("a", "d1"))
    galaxy.post(f"{CONTENTS}/dataset_collections", status_code=403, json={"err_msg": "No rights", "err_code": 403002})
    assert script(main, *LINE) == FAILED
    assert refused_with(capsys, "No rights")


@pytest.mark.parametrize("line", [[URL, KEY, "Run 12"], [URL, KEY, "Run 12", "seven"], [URL, KEY, "Run 12", "0"],
                                  [KEY, URL, "Run 12", "7"], [*LINE, "--format=tabel"], [*LINE, "--timeout=soon"]])
def test_bad_lines_exit_with_2(script, requests_mock, capsys, line):
    assert script(main, *line) == USAGE
    output = capsys.readouterr()
    assert output.out == "" and output.err and KEY not in output.err and requests_mock.call_count == 0
