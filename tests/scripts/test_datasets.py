"""dataset_list.py, dataset_show.py, dataset_wait.py and dataset_delete.py: what they ask, how they print and end."""
import json

import dataset_delete
import dataset_list
import dataset_show
import dataset_wait
import pytest
from fakes import KEY, URL

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE

LIST = f"{URL}/api/datasets"
ABSENT = {"status_code": 404, "json": {"err_msg": "HistoryDatasetAssociation not found", "err_code": 404001}}
UNDECODABLE = {"err_msg": "unable to decode", "err_code": 400009}


def a_dataset(name, **more):
    return {"id": name, "name": f"{name}.txt", "hid": 1, "history_id": "h", "state": "ok", "extension": "txt",
            "genome_build": "hg38", "file_size": 7, "misc_info": "", "deleted": False, "purged": False, "creating_job": None,
            "hashes": [], **more}


class Held:
    """The user's datasets, in the answers to a list of ids; `poll` are what a history's list of moving ones answers."""

    def __init__(self, mock, *datasets):
        self.mock, self.datasets, self.poll, self.undecodable = mock, {one["id"]: one for one in datasets}, [], set()
        self.deletes, self.refuses = [], {}
        mock.get(LIST, json=self.listed)
        mock.delete(LIST, json=self.delete)

    def listed(self, request, context):
        only = dict(zip(request.qs["q"], request.qs["qv"]))
        if "type_id-in" not in only:
            moving = self.poll.pop(0) if self.poll else []
            return [{"id": dataset} for dataset in moving]
        wanted = [one[len("dataset-"):] for one in only["type_id-in"].split(",")]
        if self.undecodable.intersection(wanted):
            context.status_code = 400
            return UNDECODABLE
        return [self.datasets[one] for one in wanted if one in self.datasets]

    def delete(self, request, context):
        wanted = [one["id"] for one in request.json()["datasets"]]
        self.deletes.append((wanted, request.json()["purge"]))
        refused = [one for one in wanted if one in self.refuses]
        for one in set(wanted) - set(refused):
            self.datasets[one] = {**self.datasets[one], "deleted": True, "purged": request.json()["purge"]}
        return {"success_count": len(wanted) - len(refused), "errors": [
            {"dataset": {"id": one, "src": "hda"}, "error_message": self.refuses[one]} for one in refused]}

    def asked(self, method="GET"):
        return [one.qs for one in self.mock.request_history if one.method == method and one.path == "/api/datasets"]


def one_line(capsys, words):
    output = capsys.readouterr()
    assert output.err.count("\n") == 1 and words in output.err and KEY not in output.err, output.err
    return output.out


# ---------------------------------------------------------------------------------------------- all of them

@pytest.mark.parametrize("module, lines", [
    (dataset_list, [[KEY, URL], [KEY, URL, "h", "more"], [KEY, URL, "h", "--state=lost"], [KEY, URL, "h", "--state="],
                    [KEY, URL, "h", "--limit=0"], [KEY, URL, "h", "--format=nosuch"]]),
    (dataset_show, [[KEY, URL], [KEY, URL, "a/b"], [KEY, URL, ""]]),
    (dataset_wait, [[KEY, URL], [KEY, URL, "a", ""], [KEY, URL, "a", "--timeout=soon"], [KEY, URL, "a", "--fields=size"]]),
    (dataset_delete, [[KEY, URL], [KEY, URL, "a b"], [KEY, URL, "a", "--fields=nosuch"], [KEY, URL, "a", "--timeout=-1"]]),
])
def test_bad_lines_ask_nothing(script, requests_mock, capsys, module, lines):
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        output = capsys.readouterr()
        assert output.out == "" and output.err and KEY not in output.err
    assert requests_mock.call_count == 0


@pytest.mark.parametrize("module", [dataset_show, dataset_wait, dataset_delete])
def test_ids_from_standard_input(script, requests_mock, type_in, capsys, module):
    Held(requests_mock, *(a_dataset(name) for name in "abc"))
    type_in("b\r\n\n  c\nb\n")
    assert script(module.main, "--format=value", "--fields=id", KEY, URL, "a", "-") == 0
    assert capsys.readouterr() == ("a\nb\nc\n", "")


@pytest.mark.parametrize("module", [dataset_show, dataset_wait, dataset_delete])
@pytest.mark.parametrize("typed, words", [
    ("a\nb c\n", "line 2 of standard input: 'b c' is not an id"), (b"\xff\n", "UTF-8")])
def test_a_line_of_standard_input_that_is_no_id_is_refused(script, requests_mock, type_in, capsys, module, typed, words):
    type_in(typed)
    assert script(module.main, KEY, URL, "-") == USAGE
    assert one_line(capsys, words) == "" and requests_mock.call_count == 0


@pytest.mark.parametrize("module", [dataset_wait, dataset_delete])
def test_an_empty_standard_input_is_nothing_to_do(script, requests_mock, type_in, capsys, module):
    type_in("")
    assert script(module.main, KEY, URL, "-") == 0
    assert capsys.readouterr() == ("", "") and requests_mock.call_count == 0


@pytest.mark.parametrize("module", [dataset_show, dataset_wait, dataset_delete])
def test_a_hundred_ids_a_request(script, requests_mock, type_in, capsys, module):
    held = Held(requests_mock, *(a_dataset(f"d{number}") for number in range(250)))
    type_in("\n".join(held.datasets))
    assert script(module.main, "--format=value", "--fields=id", KEY, URL, "-") == 0
    assert capsys.readouterr().out.split() == list(held.datasets)
    assert [asked["qv"][0].count(",") + 1 for asked in held.asked()] == [100, 100, 50]
    assert requests_mock.call_count == (3 if module is not dataset_delete else 6)


@pytest.mark.parametrize("module", [dataset_show, dataset_wait, dataset_delete])
def test_wrong_ids_are_reported_and_the_others_served(script, requests_mock, type_in, capsys, module):
    held = Held(requests_mock, *(a_dataset(f"d{number}") for number in range(60)))
    held.undecodable = {"wrong"}
    requests_mock.get(f"{LIST}/gone", **ABSENT)
    type_in("\n".join([*list(held.datasets)[:30], "wrong", "gone", *list(held.datasets)[30:]]))
    assert script(module.main, "--format=value", "--fields=id", KEY, URL, "-") == SOME_FAILED
    output = capsys.readouterr()
    assert output.out.split() == list(held.datasets)
    assert output.err.count("\n") == 2 and "dataset wrong: " in output.err and "/gone: 404" in output.err
    assert len(held.asked()) < 20


@pytest.mark.parametrize("module", [dataset_show, dataset_wait, dataset_delete])
def test_nothing_but_wrong_ids(script, requests_mock, capsys, module):
    Held(requests_mock)
    requests_mock.get(f"{LIST}/gone", **ABSENT)
    assert script(module.main, KEY, URL, "gone") == FAILED
    assert one_line(capsys, "not found") == ""


@pytest.mark.parametrize("module", [dataset_show, dataset_wait, dataset_delete])
def test_a_wrong_key_is_reported_once(script, requests_mock, capsys, module):
    requests_mock.get(LIST, status_code=401, json={"err_msg": "Provided API key is not valid.", "err_code": 401001})
    assert script(module.main, KEY, URL, "a", "b") == FAILED
    assert one_line(capsys, "key is not valid") == "" and requests_mock.call_count == 1


@pytest.mark.parametrize("module", [dataset_show, dataset_wait, dataset_delete])
def test_a_server_that_is_away_is_not_a_wrong_id(script, requests_mock, clock, capsys, module):
    requests_mock.get(LIST, json=[])
    requests_mock.get(f"{LIST}/a", status_code=502, text="")
    assert script(module.main, KEY, URL, "a", "b") == TRY_LATER
    assert one_line(capsys, "502") == ""


# ---------------------------------------------------------------------------------------------- dataset_list

def listing(requests_mock, rows):
    requests_mock.get(f"{URL}/api/histories/{'f' * 16}", json={"id": "h1"})
    requests_mock.get(LIST, json=rows)


def filters(requests_mock):
    asked = requests_mock.last_request.qs
    return dict(zip(asked["q"], asked["qv"]))


def test_list_as_a_person_sees_it(script, requests_mock, capsys):
    listing(requests_mock, [a_dataset("a")])
    assert script(dataset_list.main, KEY, URL, "f" * 16) == 0
    assert capsys.readouterr() == ("ref    hid    name    state    extension    file_size    collection_type\n"
                                   "-----  -----  ------  -------  -----------  -----------  -----------------\n"
                                   "hda:a  1      a.txt   ok       txt          7\n", "")
    asked = requests_mock.last_request.qs
    assert filters(requests_mock) == {"deleted-eq": "false", "visible-eq": "true"}
    assert (asked["history_id"], asked["order"]) == (["h1"], ["hid-asc,create_time-asc"])
    assert {"id", "file_size", "history_content_type"} <= set(asked["keys"][0].split(","))


A_COLLECTION = {"id": "c", "hid": 2, "name": "reads", "history_content_type": "dataset_collection", "history_id": "h",
                "collection_type": "list", "populated_state": "ok", "element_count": 2, "deleted": False,
                "elements_states": {"ok": 1, "running": 1}}


def test_list_has_collections_by_their_ref(script, requests_mock, capsys):
    """D29; their id alone would be another dataset's, so that they are left out where no ref is shown."""
    listing(requests_mock, [a_dataset("a"), A_COLLECTION])
    assert script(dataset_list.main, "--format=value", "--fields=ref,name,state,collection_type", KEY, URL, "f" * 16) == 0
    assert capsys.readouterr().out == "hda:a\ta.txt\tok\t\nhdca:c\treads\trunning, ok\tlist\n"
    assert "history_content_type-eq" not in filters(requests_mock)
    assert script(dataset_list.main, "--format=value", "--fields=id,name", KEY, URL, "f" * 16) == 0
    assert filters(requests_mock)["history_content_type-eq"] == "dataset"
    capsys.readouterr()
    assert script(dataset_list.main, "--format=jsonl", KEY, URL, "f" * 16) == 0
    assert [(row["id"], row["ref"]) for row in map(json.loads, capsys.readouterr().out.splitlines())] == [
        ("a", "hda:a"), ("c", "hdca:c")]


def test_list_filters(script, requests_mock, capsys):
    listing(requests_mock, [a_dataset("a", visible=True)])
    assert script(dataset_list.main, "--deleted", "--hidden", "--state=ok, error", "--name=x, y", "--like=%.bam",
                  "--format=csv", KEY, URL, "f" * 16) == 0
    assert filters(requests_mock) == {"history_content_type-eq": "dataset", "state-in": "ok,error", "name-eq": "x, y",
                                      "name-like": "%.bam"}
    assert capsys.readouterr().out == ("id,ref,hid,name,state,extension,file_size,collection_type,deleted,visible\n"
                                       "a,hda:a,1,a.txt,ok,txt,7,,false,true\n")


def test_list_by_the_historys_name(script, requests_mock):
    requests_mock.get(f"{URL}/api/histories", json=[{"id": "h9", "name": "Run 12"}])
    requests_mock.get(LIST, json=[])
    assert script(dataset_list.main, KEY, URL, "Run 12") == 0
    assert requests_mock.last_request.qs["history_id"] == ["h9"]


def test_list_goes_out_page_by_page(script, requests_mock, capsys):
    listing(requests_mock, None)
    pages, printed = [[a_dataset(f"d{number}", history_content_type="dataset") for number in range(500)],
                      [a_dataset("last", history_content_type="dataset")]], []

    def page(request, context):
        printed.append(capsys.readouterr().out.count("\n"))
        return pages.pop(0)

    requests_mock.get(LIST, json=page)
    assert script(dataset_list.main, "--format=value", "--fields=id", KEY, URL, "f" * 16) == 0
    assert printed == [0, 500] and capsys.readouterr().out == "last\n"
    assert requests_mock.last_request.qs["offset"] == ["500"]


def test_list_any_field_that_galaxy_has(script, requests_mock, capsys):
    listing(requests_mock, [a_dataset("a", tags=["x"])])
    assert script(dataset_list.main, "--limit=1", "--format=value", "--fields=id,tags", KEY, URL, "f" * 16) == 0
    assert capsys.readouterr().out == 'a\t["x"]\n'
    assert requests_mock.last_request.qs["keys"][0].endswith(",tags") and requests_mock.last_request.qs["limit"] == ["1"]
    assert script(dataset_list.main, "--fields=id,nosuch", KEY, URL, "f" * 16) == USAGE
    assert one_line(capsys, "no field nosuch") == ""


def test_list_refused(script, requests_mock, capsys):
    listing(requests_mock, None)
    requests_mock.get(LIST, status_code=403, json={"err_msg": "History is not accessible by user", "err_code": 403002})
    assert script(dataset_list.main, KEY, URL, "f" * 16) == FAILED
    assert one_line(capsys, "not accessible") == ""


# ---------------------------------------------------------------------------------------------- dataset_show

HASH = {"hash_function": "SHA-256", "hash_value": "9f86", "extra_files_path": None}


def test_show_one_upright(script, requests_mock, capsys):
    Held(requests_mock, a_dataset("a", hashes=[HASH, {**HASH, "extra_files_path": "x", "hash_value": "no"}]))
    assert script(dataset_show.main, KEY, URL, "a") == 0
    output = capsys.readouterr()
    lines = dict(line.split(None, 1) for line in output.out.splitlines()[2:] if len(line.split()) > 1)
    assert output.err == "" and lines["dbkey"] == "hg38" and lines["hashes"] == '{"SHA-256": "9f86"}'
    assert [line.split()[0] for line in output.out.splitlines()[2:]] == dataset_show.FIELDS


def test_show_one_as_json_and_by_fields(script, requests_mock, capsys):
    held = Held(requests_mock, a_dataset("a", uuid="u"))
    assert script(dataset_show.main, "--format=json", "--fields=id,dbkey,uuid", KEY, URL, "a") == 0
    assert json.loads(capsys.readouterr().out) == {"id": "a", "dbkey": "hg38", "uuid": "u"}
    assert "uuid" in held.asked()[0]["keys"][0].split(",")
    assert script(dataset_show.main, "--fields=state,file_size", KEY, URL, "a") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[2:]] == [["state", "ok"], ["file_size", "7"]]
    assert script(dataset_show.main, "--fields=nosuch", KEY, URL, "a") == USAGE
    assert one_line(capsys, "no field nosuch") == ""


def test_show_why_it_failed(script, requests_mock, capsys):
    failed = {"state": "error", "creating_job": "j"}
    Held(requests_mock, a_dataset("a", **failed), a_dataset("b", **failed), a_dataset("c", creating_job="other"))
    requests_mock.get(f"{URL}/api/jobs/j", json={"exit_code": 137, "stderr": "x" * 3000 + " the end\n"})
    assert script(dataset_show.main, "--format=jsonl", "--fields=id,exit_code,stderr", KEY, URL, "a", "b", "c") == 0
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["exit_code"], len(first["stderr"]), first["stderr"][-9:]) == (137, 2000, "x the end")
    assert second == {**first, "id": "b"} and third == {"id": "c", "exit_code": None, "stderr": None}
    assert [one.path for one in requests_mock.request_history].count("/api/jobs/j") == 1


def test_show_a_job_that_is_not_ours(script, requests_mock, capsys):
    Held(requests_mock, a_dataset("a", state="error", creating_job="j"), a_dataset("b", state="error"))
    requests_mock.get(f"{URL}/api/jobs/j", status_code=403, json={"err_msg": "no", "err_code": 403002})
    assert script(dataset_show.main, "--format=value", "--fields=id,exit_code", KEY, URL, "a", "b") == 0
    assert capsys.readouterr() == ("a\t\nb\t\n", "")


def test_show_several_as_rows_and_without_a_key(script, requests_mock, capsys):
    requests_mock.get(f"{LIST}/a", json=a_dataset("a"))
    requests_mock.get(f"{LIST}/b", status_code=403, json={"err_msg": "not accessible", "err_code": 403002})
    assert script(dataset_show.main, "anonymous", URL, "a", "b") == SOME_FAILED
    out = one_line(capsys, "not accessible")
    assert out.splitlines()[0].split() == dataset_show.TABLE_FIELDS and out.splitlines()[2].startswith("a ")
    assert requests_mock.call_count == 2


# ---------------------------------------------------------------------------------------------- dataset_wait

def test_wait_prints_each_as_it_ends(script, requests_mock, clock, capsys):
    held = Held(requests_mock, a_dataset("a"), a_dataset("b", state="queued"), a_dataset("c", state="new"))
    printed = []

    def look(*moving):
        """The next look, at which those not `moving` any more are ok."""
        def answer():
            printed.append(capsys.readouterr().out)
            held.datasets.update({one: a_dataset(one) for one in "abc" if one not in moving})
            return moving
        return answer

    steps = [look("b", "c", "elses"), look("c"), look()]
    listed = held.listed
    requests_mock.get(LIST, json=lambda request, context: (
        listed(request, context) if "type_id-in" in request.qs["q"] else [{"id": one} for one in steps.pop(0)()]))
    assert script(dataset_wait.main, KEY, URL, "a", "b", "c") == 0
    assert printed == ["a\tok\n", "", "b\tok\n"] and capsys.readouterr() == ("c\tok\n", "")
    by_history = [asked for asked in held.asked() if "type_id-in" not in asked["q"]]
    assert len(by_history) == 3 and all(asked["history_id"] == ["h"] for asked in by_history)
    assert dict(zip(by_history[0]["q"], by_history[0]["qv"]))["state-in"] == "new,upload,queued,running,setting_metadata"
    assert clock.slept and len(held.asked()) == 6


@pytest.mark.parametrize("state, status", [("ok", 0), ("empty", 0), ("deferred", 0), ("error", FAILED), ("paused", FAILED),
                                           ("discarded", FAILED), ("failed_metadata", FAILED)])
def test_wait_ends_by_state(script, requests_mock, clock, capsys, state, status):
    Held(requests_mock, a_dataset("a", state=state, misc_info="over your quota"))
    assert script(dataset_wait.main, KEY, URL, "a") == status
    output = capsys.readouterr()
    assert output.out == f"a\t{state}\n" and clock.slept == []
    assert output.err == "" if not status else "over your quota" in output.err and output.err.count("\n") == 1
    assert ("won't go on by itself" in output.err) == (state == "paused")


def test_wait_some_failed(script, requests_mock, capsys):
    Held(requests_mock, a_dataset("a"), a_dataset("b", state="error", misc_info=None))
    assert script(dataset_wait.main, "--format=jsonl", "--fields=id,hid", KEY, URL, "a", "b") == SOME_FAILED
    assert one_line(capsys, "b.txt) ended in state error: Galaxy does not say why") == (
        '{"id": "a", "hid": 1}\n{"id": "b", "hid": 1}\n')


def test_wait_until_the_time_is_up(script, requests_mock, clock, capsys):
    held = Held(requests_mock, a_dataset("a", state="error"), a_dataset("b", state="running"))
    held.poll = [["b"]] * 100
    assert script(dataset_wait.main, "--timeout=60", KEY, URL, "a", "b") == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == "a\terror\n" and "1 of 2 still running after 60 s: b" in output.err and sum(clock.slept) == 60


def test_wait_in_several_histories_and_in_one_that_is_closed(script, requests_mock, clock, capsys):
    """Galaxy tells of a public dataset, but not of the history that it is in."""
    requests_mock.get(LIST, json=lambda request, context: [])
    requests_mock.get(LIST + "?history_id=private", status_code=403, json={"err_msg": "no", "err_code": 403002})
    running = a_dataset("a", state="running", history_id="private")
    requests_mock.get(f"{LIST}/a", [{"json": running}, {"json": running}, {"json": {**running, "state": "ok"}}])
    requests_mock.get(f"{LIST}/b", [{"json": a_dataset("b", state="new", history_id="open")}, {"json": a_dataset("b")}])
    assert script(dataset_wait.main, KEY, URL, "hda:a", "hda:b") == 0
    assert capsys.readouterr() == ("b\tok\na\tok\n", "")


def test_wait_for_a_dataset_whose_job_was_deleted(script, requests_mock, clock, capsys):
    """B15: Galaxy leaves it in state new for good."""
    made = [("a", "gone"), ("b", "j")]
    held = Held(requests_mock, *(a_dataset(name, state="new", creating_job=job) for name, job in made))
    listed = held.listed

    def moving(request, context):
        if "type_id-in" in request.qs["q"]:
            return listed(request, context)
        if clock.slept[5:]:
            held.datasets["b"]["state"] = "ok"
        return [one for one in held.datasets.values() if one["state"] == "new"]
    requests_mock.get(LIST, json=moving)
    requests_mock.get(f"{URL}/api/jobs", json=lambda request, context: [{"id": "j"}] if not clock.slept[5:] else [])
    requests_mock.get(f"{URL}/api/jobs/gone", json={"state": "deleted"})
    assert script(dataset_wait.main, KEY, URL, "a", "b") == SOME_FAILED
    assert one_line(capsys, "dataset a (a.txt) stays in state new: its job gone is deleted, so it will never be ok") == (
        "a\tnew\nb\tok\n")


def collection(**more):
    return {**A_COLLECTION, "job_state_summary": {"all_jobs": 1, "ok": 1, "error": 0}, "elements": [], **more}


def test_wait_for_a_collection(script, requests_mock, clock, capsys):
    """D29: until it is filled and its datasets have ended."""
    requests_mock.get(f"{URL}/api/dataset_collections/c", [
        {"json": collection(populated_state="new", job_state_summary={"all_jobs": 1, "running": 1}, elements_states={})},
        {"json": collection()}, {"json": collection(elements_states={"ok": 2})}])
    assert script(dataset_wait.main, KEY, URL, "hdca:c") == 0
    assert capsys.readouterr() == ("hdca:c\tok\n", "") and len(clock.slept) == 2


@pytest.mark.parametrize("about, words", [
    (collection(populated_state="new", job_state_summary={"all_jobs": 2, "error": 1, "ok": 1}, elements_states={}),
     "ended in state failed: its jobs have ended without filling it: 1 error, 1 ok"),
    (collection(populated_state="failed", populated_state_message="no such url", elements_states={}),
     "ended in state failed: no such url"),
    (collection(elements_states={"ok": 1, "error": 2}), "ended in state error: 2 error, 1 ok")])
def test_wait_for_a_collection_that_is_never_filled(script, requests_mock, clock, capsys, about, words):
    """B15."""
    requests_mock.get(f"{URL}/api/dataset_collections/c", json=about)
    assert script(dataset_wait.main, KEY, URL, "hdca:c") == FAILED
    assert one_line(capsys, f"collection c (reads) {words}").startswith("hdca:c\t") and clock.slept == []


def test_wait_for_a_collection_of_which_a_dataset_is_never_made(script, requests_mock, clock, capsys):
    """B15: of a collection that was built of datasets, the jobs are those of its datasets."""
    element = {"element_identifier": "x", "element_type": "hda", "object": a_dataset("a", state="new")}
    Held(requests_mock, a_dataset("a", state="new", creating_job="gone"))
    requests_mock.get(f"{URL}/api/dataset_collections/c", json=collection(
        job_state_summary={"all_jobs": 0}, elements_states={"new": 1}, elements=[element]))
    requests_mock.get(f"{URL}/api/jobs", json=[])
    requests_mock.get(f"{URL}/api/jobs/gone", json={"state": "deleted"})
    assert script(dataset_wait.main, KEY, URL, "hdca:c") == FAILED
    assert one_line(capsys, "stays in state new: dataset a: its job gone is deleted") == "hdca:c\tnew\n"


# ---------------------------------------------------------------------------------------------- typed ids (A1)

@pytest.mark.parametrize("module", [dataset_show, dataset_wait, dataset_delete])
def test_a_bare_id_in_another_users_history_is_refused(script, requests_mock, capsys, module):
    """A1: it may be the id of a collection or of a library's dataset; hda:ID overrides that, but for a deletion."""
    held = Held(requests_mock)
    requests_mock.get(f"{LIST}/a", json=a_dataset("a"))
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u"})
    assert script(module.main, KEY, URL, "a") == FAILED
    assert one_line(capsys, "is in somebody else's history") == ""
    assert script(module.main, "--format=value", "--fields=id", KEY, URL, "hda:a") == (
        FAILED if module is dataset_delete else 0)
    assert capsys.readouterr().out == ("" if module is dataset_delete else "a\n") and held.deletes == []


@pytest.mark.parametrize("module", [dataset_show, dataset_wait])
def test_without_a_key_every_dataset_is_somebodys(script, requests_mock, capsys, module):
    requests_mock.get(f"{LIST}/a", json=a_dataset("a"))
    assert script(module.main, "--format=value", "--fields=id", "anonymous", URL, "a") == 0
    assert capsys.readouterr() == ("a\n", "")


LIBRARY_DATASET = {"id": "ld1", "ldda_id": "v1", "name": "ref.fa", "state": "ok", "file_ext": "fasta", "misc_info": "",
                   "genome_build": "hg38", "deleted": False}


@pytest.fixture
def library(requests_mock):
    """A library's dataset by all its names."""
    Held(requests_mock)
    requests_mock.get(f"{URL}/api/libraries/datasets/ld1", json=LIBRARY_DATASET)
    requests_mock.get(f"{URL}/api/libraries/datasets/v1", json={**LIBRARY_DATASET, "id": "v1", "ldda_id": "v7"})
    requests_mock.get(f"{URL}/api/datasets/v1?hda_ldda=ldda", json={"id": "v1", "name": "ref.fa", "state": "ok"})
    requests_mock.get(f"{URL}/api/datasets/v1/storage", json={"dataset_state": "ok", "hashes": [HASH]})
    requests_mock.head(f"{URL}/api/datasets/v1/display", headers={"Content-Length": "9"})
    requests_mock.get(f"{URL}/api/libraries", json=[{"id": "l", "name": "Lab", "root_folder_id": "F1", "deleted": False}])
    requests_mock.get(f"{URL}/api/folders/F1/contents", json={"metadata": {"total_rows": 1}, "folder_contents": [
        {"type": "file", "id": "ld1", "name": "ref.fa", "state": "ok", "deleted": False}]})


@pytest.mark.parametrize("word", ["ldda:v1", "ld:ld1", "lib:/Lab/ref.fa"])
def test_a_librarys_dataset_is_shown_and_waited_for(script, requests_mock, library, capsys, word):
    """A1: never the history's dataset that has its number."""
    assert script(dataset_show.main, "--format=value", "--fields=ref,name,state,file_size,hashes", KEY, URL, word) == 0
    assert capsys.readouterr() == ('ldda:v1\tref.fa\tok\t9\t{"SHA-256": "9f86"}\n', "")
    assert script(dataset_wait.main, KEY, URL, word) == 0
    assert capsys.readouterr() == ("ldda:v1\tok\n", "")
    assert not [one for one in requests_mock.request_history if one.url == f"{URL}/api/datasets/v1"]


@pytest.mark.parametrize("word, status", [("ldda:v1", FAILED), ("ld:ld1", 0), ("lib:/Lab/ref.fa", 0)])
def test_a_librarys_dataset_is_deleted(script, requests_mock, library, capsys, word, status):
    deleted = requests_mock.delete(f"{URL}/api/libraries/datasets/ld1", json={})
    assert script(dataset_delete.main, KEY, URL, word) == status
    output = capsys.readouterr()
    assert deleted.called == (not status) and ("ld:ID, or lib:" in output.err) == bool(status)
    assert script(dataset_delete.main, "--purge", KEY, URL, word) == USAGE


@pytest.mark.parametrize("src, path, status", [("hdca", "dataset_collections", 400), ("ld", "libraries/datasets", 500),
                                               ("ldda", "datasets", 404)])
def test_an_id_that_nothing_of_its_kind_has(script, requests_mock, clock, capsys, src, path, status):
    requests_mock.get(f"{URL}/api/libraries/datasets/x", status_code=500, text="Internal Server Error")
    requests_mock.get(f"{URL}/api/{path}/x", status_code=status, json={"err_msg": "no row was found"})
    assert script(dataset_show.main, KEY, URL, f"{src}:x") == FAILED
    assert one_line(capsys, f"{src}:x: nothing has that id") == "" and clock.slept == []


def test_a_library_path_that_leads_nowhere(script, requests_mock, library, capsys):
    assert script(dataset_show.main, KEY, URL, "lib:/Lab/nosuch") == FAILED
    assert one_line(capsys, "lib:/Lab/nosuch: the library has nothing with that name") == ""


def test_a_collection_is_shown(script, requests_mock, capsys):
    """D29."""
    requests_mock.get(f"{URL}/api/dataset_collections/c", json=collection())
    assert script(dataset_show.main, KEY, URL, "hdca:c") == 0
    rows = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines()[2:])
    assert (rows["ref"], rows["state"], rows["misc_info"], rows["collection_type"]) == (
        "hdca:c", "running", "1 ok, 1 running", "list")


@pytest.mark.parametrize("words, lines, datasets", [
    ([], ["hdca:c\treads\t"], []),
    (["--recursive"], ["hda:a\ta.txt\t7", "hdca:c\treads\t"], [(["a"], False)])])
def test_a_collection_is_deleted(script, requests_mock, capsys, words, lines, datasets):
    """D29: its datasets only with --recursive."""
    held = Held(requests_mock, a_dataset("a"))
    element = {"element_identifier": "x", "element_type": "hda", "object": {"id": "a"}}
    requests_mock.get(f"{URL}/api/dataset_collections/c", json=collection(elements=[element]))
    deleted = requests_mock.delete(f"{URL}/api/histories/h/contents/dataset_collections/c", status_code=204)
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u"})
    requests_mock.get(f"{URL}/api/histories", json=[{"id": "h", "name": "h", "user_id": "u"}])
    assert script(dataset_delete.main, *words, KEY, URL, "hdca:c") == 0
    assert capsys.readouterr() == ("".join(f"{line}\n" for line in lines), "")
    assert held.deletes == datasets and deleted.call_count == 1


def test_a_collection_that_stays_while_its_datasets_are_deleted_is_a_part_of_many(script, requests_mock, capsys):
    held = Held(requests_mock, a_dataset("a"))
    element = {"element_identifier": "x", "element_type": "hda", "object": {"id": "a"}}
    requests_mock.get(f"{URL}/api/dataset_collections/c", json=collection(elements=[element]))
    requests_mock.delete(f"{URL}/api/histories/h/contents/dataset_collections/c", status_code=403, json={"err_msg": "no"})
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u"})
    requests_mock.get(f"{URL}/api/histories", json=[{"id": "h", "name": "h", "user_id": "u"}])
    assert script(dataset_delete.main, "--recursive", KEY, URL, "hdca:c") == SOME_FAILED
    assert one_line(capsys, "hdca:c") == "hda:a\ta.txt\t7\n" and held.deletes == [(["a"], False)]


def test_a_dry_run_refuses_what_the_run_would(script, requests_mock, library, capsys):
    """Another user's collection, and a library's dataset that only its managers may change."""
    requests_mock.get(f"{URL}/api/dataset_collections/c", json=collection())
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u"})
    requests_mock.get(f"{URL}/api/histories", json=[{"id": "h", "name": "h", "user_id": "her"}])
    requests_mock.get(f"{URL}/api/libraries/datasets/ld1", json={**LIBRARY_DATASET, "can_user_modify": False})
    assert script(dataset_delete.main, "-n", KEY, URL, "hdca:c", "ld:ld1") == FAILED
    output = capsys.readouterr()
    assert output.out == "" and "another user's" in output.err and "have not permitted you to change it" in output.err


def test_a_collection_is_not_purged_without_its_datasets(script, requests_mock, capsys):
    assert script(dataset_delete.main, "--purge", KEY, URL, "hdca:c") == USAGE
    assert one_line(capsys, "collections with --recursive") == "" and requests_mock.call_count == 0


@pytest.mark.parametrize("word", ["hdca:x y", "ldda:", "job:x", "hda:a/b"])
def test_a_bad_reference_is_refused(script, requests_mock, capsys, word):
    assert script(dataset_show.main, KEY, URL, word) == USAGE
    assert one_line(capsys, "is not an id") == "" and requests_mock.call_count == 0


def test_on_a_terminal_a_deletion_is_told_before(script, requests_mock, monkeypatch, capsys):
    """A1: name, hid and history."""
    Held(requests_mock, a_dataset("a"))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert script(dataset_delete.main, KEY, URL, "a") == 0
    assert capsys.readouterr() == ("a\ta.txt\t7\n", "deleting hda:a: a.txt, number 1 of history h\n")


# ---------------------------------------------------------------------------------------------- dataset_delete

def test_delete(script, requests_mock, capsys):
    held = Held(requests_mock, a_dataset("a"), a_dataset("b"))
    assert script(dataset_delete.main, KEY, URL, "a", "b", "a") == 0
    assert capsys.readouterr() == ("a\ta.txt\t7\nb\tb.txt\t7\n", "")
    assert requests_mock.last_request.json() == {"datasets": [{"id": "a", "src": "hda"}, {"id": "b", "src": "hda"}],
                                                 "purge": False}
    assert held.deletes == [(["a", "b"], False)]


@pytest.mark.parametrize("purge, sent", [([], ["c"]), (["--purge"], ["b", "c"])])
def test_delete_what_is_deleted_already(script, requests_mock, capsys, purge, sent):
    held = Held(requests_mock, a_dataset("a", deleted=True, purged=True), a_dataset("b", deleted=True), a_dataset("c"))
    requests_mock.get(f"{URL}/api/configuration", json={"allow_user_dataset_purge": True})
    assert script(dataset_delete.main, *purge, "--fields=id,deleted,purged", KEY, URL, "a", "b", "c") == 0
    gone = "true" if purge else "false"
    assert capsys.readouterr() == (f"a\ttrue\ttrue\nb\ttrue\t{gone}\nc\ttrue\t{gone}\n", "")
    assert held.deletes == [(sent, bool(purge))]


@pytest.mark.parametrize("purge", [[], ["--purge"]])
def test_a_dry_run_deletes_nothing(script, requests_mock, capsys, purge):
    held = Held(requests_mock, a_dataset("a"))
    requests_mock.get(f"{URL}/api/configuration", json={})
    requests_mock.get(f"{LIST}/gone", **ABSENT)
    assert script(dataset_delete.main, "-n", *purge, KEY, URL, "a", "gone") == SOME_FAILED
    assert one_line(capsys, "not found") == "a\ta.txt\t7\n" and held.deletes == []


def test_delete_what_galaxy_refuses(script, requests_mock, capsys):
    held = Held(requests_mock, *(a_dataset(name) for name in "abc"))
    held.refuses = {"a": "HistoryDatasetAssociation is immutable", "c": "Please wait until this dataset finishes uploading"}
    assert script(dataset_delete.main, KEY, URL, "a", "b", "c") == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == "b\tb.txt\t7\n" and output.err.count("\n") == 2
    assert "dataset a (a.txt): HistoryDatasetAssociation is immutable: is its history archived" in output.err
    assert "dataset c (c.txt): Please wait" in output.err


def test_ids_in_capitals_are_the_same_ids(script, requests_mock, clock, capsys):
    """Galaxy takes them, and answers with small letters; requests-mock makes them small."""
    held = Held(requests_mock, a_dataset("abc"))
    held.refuses = {"abc": "no"}
    assert script(dataset_delete.main, KEY, URL, "ABC") == FAILED
    assert one_line(capsys, "dataset abc (abc.txt): no") == ""
    held.datasets["abc"]["state"], held.poll = "running", [["abc"]]
    assert script(dataset_wait.main, "--timeout=0", KEY, URL, "ABC") == STILL_RUNNING
    assert one_line(capsys, "still running after 0 s: abc") == ""


def test_delete_continues_after_a_dataset_that_makes_galaxy_fail(script, requests_mock, clock, capsys):
    held = Held(requests_mock, *(a_dataset(name) for name in "abc"))

    def delete(request, context):
        if "b" in [one["id"] for one in request.json()["datasets"]]:
            context.status_code = 500
            return {"err_msg": "Uncaught exception"}
        return held.delete(request, context)

    requests_mock.delete(LIST, json=delete)
    assert script(dataset_delete.main, "--fields=id", KEY, URL, "a", "b", "c") == SOME_FAILED
    assert one_line(capsys, "dataset b (b.txt): DELETE") == "a\nc\n"


@pytest.mark.parametrize("admin, status", [(False, FAILED), (True, 0)])
def test_only_an_administrator_deletes_another_users_dataset(script, requests_mock, capsys, admin, status):
    """Another user's dataset can be read by default, so that it is found says nothing."""
    held = Held(requests_mock)
    requests_mock.get(f"{LIST}/a", json=a_dataset("a"))
    requests_mock.get(f"{URL}/api/users/current", json={"id": "u", "is_admin": admin})
    assert script(dataset_delete.main, "-n", KEY, URL, "hda:a") == status
    output = capsys.readouterr()
    assert output.out == ("a\ta.txt\t7\n" if admin else "") and ("somebody else's" in output.err) == (not admin)
    assert held.deletes == []


def test_purge_is_done_when_galaxy_has_purged(script, requests_mock, clock, capsys):
    """Where workers purge, the answer says success before anything has happened."""
    held = Held(requests_mock, a_dataset("a"), a_dataset("b"))
    requests_mock.get(f"{URL}/api/configuration", json={"allow_user_dataset_purge": True})
    requests_mock.delete(LIST, json={"success_count": 2, "errors": []})
    looks = []

    def listed(request, context):
        looks.append(capsys.readouterr().out)
        if len(looks) > 2:
            held.datasets["a" if len(looks) == 3 else "b"]["purged"] = True
        return held.listed(request, context)

    requests_mock.get(LIST, json=listed)
    assert script(dataset_delete.main, "--purge", "--fields=id", KEY, URL, "a", "b") == 0
    assert looks == ["", "", "", "a\n"] and capsys.readouterr() == ("b\n", "")


def test_a_purge_that_nobody_can_look_up_is_no_success(script, requests_mock, clock, capsys):
    held = Held(requests_mock, a_dataset("a"))
    requests_mock.get(f"{URL}/api/configuration", json={"allow_user_dataset_purge": True})
    requests_mock.get(f"{URL}/api/datasets/a", status_code=403, json={"err_msg": "not yours now"})

    def delete(request, context):
        held.datasets.clear()
        return {"success_count": 1, "errors": []}

    requests_mock.delete(LIST, json=delete)
    assert script(dataset_delete.main, "--purge", KEY, URL, "a") == FAILED
    assert one_line(capsys, "dataset a (a.txt): is it purged?") == ""


def test_purge_that_takes_too_long(script, requests_mock, clock, capsys):
    Held(requests_mock, a_dataset("a"), a_dataset("b", purged=True))
    requests_mock.get(f"{URL}/api/configuration", json={"allow_user_dataset_purge": True})
    requests_mock.delete(LIST, json={"success_count": 1, "errors": []})
    assert script(dataset_delete.main, "--purge", "--timeout=30", "--fields=id", KEY, URL, "a", "b") == STILL_RUNNING
    assert one_line(capsys, "1 of 2 not purged after 30 s") == "b\n" and sum(clock.slept) == 30


def test_a_server_that_lets_nobody_purge(script, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/configuration", json={"allow_user_dataset_purge": False})
    assert script(dataset_delete.main, "--purge", KEY, URL, "a") == FAILED
    assert one_line(capsys, "allow_user_dataset_purge: true in galaxy.yml") == "" and requests_mock.call_count == 1
