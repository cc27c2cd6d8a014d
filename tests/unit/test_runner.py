"""Batches of samples on a fake Galaxy: each is submitted once and brought to its end, whatever happens."""
import contextlib
import errno
import json
import os
import re
import sqlite3
from pathlib import Path

import ledger_show
import pytest
from fakes import KEY
from fakes.batches import Batch, Killed, batch, death, server

from common import DONE, FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts.batch import ledger, ledger_reader, look, lost_uploads, samples, summary
from galaxy_api_scripts.batch.runner import FETCH_PAUSE, BatchRunner
from galaxy_api_scripts.batch.running_sample import RunningSample
from galaxy_api_scripts.datasets import download

__all__ = ["batch", "death", "server"]      # fixtures
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")     # see `death`
REFUSAL = (400, {"err_msg": "Workflow cannot be run because it is broken.", "err_code": 0})
RESTARTED = "This job was killed when Galaxy was restarted.  Please retry the job."


# ------------------------------------------------------------------------------------------- once only, whatever happens

@pytest.mark.parametrize("which", ["after", "before"])
def test_a_batch_killed_at_any_moment_is_resumed_without_a_second_run(batch, server, death, which):
    """The kill comes after each request, or before each change of the ledger, in turn; each time on an empty server."""
    moment = 0
    while True:
        moment += 1
        server.empty()
        one = Batch(server, batch.folder.with_name(f"{which}-{moment}"), batch.script, batch.capsys)
        one.samples("a", "b")
        options = [f"--download={one.folder}/out", "--tag=x", f"--max-running={1 + moment % 2}"]
        death.comes(**{which: moment})
        try:
            one(*options)
            break
        except Killed:
            death.comes()
        try:
            one(*options)
            one.once_each("a", "b")
            assert len(server.runs) == 2        # none was cancelled
            assert [(one.folder / "out" / name / "first.tabular").read_text() for name in "ab"] == ["a.tsv\n", "b.tsv\n"]
            assert one(*options).sent == []
        except (AssertionError, ValueError) as error:
            raise AssertionError(f"killed {which} {moment}: {error!r}, {server.kinds}") from error
    assert moment > 20


@pytest.mark.parametrize("late", [0, 5, 25])
@pytest.mark.parametrize("kind", ["POST histories", "POST upload", "POST fetch", "POST invocations"])
@pytest.mark.parametrize("which", [1, 2])
def test_a_lost_answer_causes_no_second_request(batch, server, kind, late, which):
    """It is the first or the second answer of its kind; what was requested appears at once or later."""
    batch.samples("a", "b")
    server.late = late
    server.answers[kind] = [lambda handler: None] * (which - 1) + [lambda handler: server.lost.update([kind])]
    for _ in range(3):
        code = batch(status=None).code
        if code != TRY_LATER:
            break
    assert code == DONE and server.lost[kind] == 0
    batch.once_each("a", "b")
    assert len(server.runs) == 2


@pytest.mark.parametrize("kind", ["POST histories", "POST fetch", "POST invocations"])
def test_a_lost_answer_causes_no_second_request_in_a_common_history(batch, server, kind):
    batch.samples("a", "b")
    server.lost[kind], server.late = 1, 5
    for _ in range(3):
        code = batch("--history=new:All", status=None).code
        if code != TRY_LATER:
            break
    [history] = server.histories.values()
    assert code == DONE and history["name"].startswith("All [")
    assert sorted(server.datasets[run["inputs"]["0"]["id"]]["name"] for run in server.runs.values()) == ["a.tsv", "b.tsv"]
    assert len(server.datasets) == 4


def test_an_invocation_that_appears_late_is_cancelled_as_a_duplicate(batch, server):
    """Galaxy begins a run that had been given up for lost and submitted again."""
    batch.samples("a")
    server.lost["POST invocations"], server.late, server.polls = 1, 40, 8
    said = batch().err
    first, second = server.runs.values()
    assert (first["state"], second["state"]) == ("cancelled", "scheduled")
    assert f"invocation {first['id']} duplicates {second['id']}, so it was cancelled" in said
    batch.once_each("a")


def test_of_two_unknown_invocations_the_oldest_stays(batch, server, death):
    """The process was killed before it could save either of them."""
    batch.samples("a")
    server.polls = 3
    server.answers["POST invocations"] = [lambda handler: setattr(death, "dead", True)]
    with pytest.raises(Killed):
        batch()
    death.comes()
    [run] = server.runs.values()
    server.post_invocations({}, run["request"], None)
    said = batch().err
    other = next(one for one in server.runs.values() if one is not run)
    assert f"invocation {other['id']} duplicates {run['id']}, so it was cancelled" in said
    batch.once_each("a")


def test_a_lost_ledger_causes_no_second_run(batch, server):
    """Histories are recognised by their names; a younger one of the same name is deleted if it is empty."""
    batch.samples("a", "b")
    batch()
    (batch.folder / "sheet.tsv.ledger").unlink()
    names = [one["name"] for one in server.histories.values()]
    empty = server.post_histories({}, {"name": names[0]})["id"]
    full = server.post_histories({}, {"name": names[1]})["id"]
    server._dataset(server.histories[full], "mine", "txt", b"")
    ended = batch()
    assert {row["state"] for row in ended.rows.values()} == {"ok"} and ended.sent == ["DELETE history"]
    assert server.histories[empty]["deleted"] and not server.histories[full]["deleted"]
    server.histories[full]["deleted"] = True
    batch.once_each("a", "b")


def test_a_lost_ledger_of_many_samples_causes_no_second_run(batch, server, monkeypatch):
    """Their histories are found in one list, but where the user has too many."""
    batch.samples("a", "b", "c")
    batch()
    for most in (500, 3):
        monkeypatch.setattr(look, "MOST_LISTED", most)
        (batch.folder / "sheet.tsv.ledger").unlink()
        before = len(server.asked)
        assert batch().sent == []
        batch.once_each("a", "b", "c")
        assert server.kinds[before:].count("GET histories") == 1 + 3


def test_histories_that_another_process_makes_meanwhile_are_taken(batch, server):
    """It has another ledger for the same samples, and its histories are older."""
    batch.samples("a", "b", "c")
    server.answers["POST histories"] = [lambda handler: server.post_histories({}, json.loads(handler.read()))] * 3
    assert batch().sent.count("DELETE history") == 3
    batch.once_each("a", "b", "c")
    by_name = sorted(server.histories.values(), key=lambda one: (one["name"], one["id"]))
    assert [one["deleted"] for one in by_name] == [False, True] * 3


def test_a_history_that_its_owner_deleted_stays_deleted(batch, server, death):
    batch.samples("a")
    server.answers["POST upload"] = [lambda handler: setattr(death, "dead", True)]
    with pytest.raises(Killed):
        batch()
    death.comes()
    [history] = server.histories.values()
    history["deleted"] = True
    ended = batch(status=FAILED)
    assert history["deleted"] and "is cancelled: its history" in ended.rows["a"]["message"]
    assert batch("--retry=run").rows["a"]["state"] == "ok"
    batch.once_each("a")


def test_a_ledger_of_schema_1_is_resumed(batch, server, death):
    """A batch killed between the submission of c and its answer, whose ledger is replaced by what the scripts of schema 1
    wrote at that very moment: c is not submitted again, d is, a needs nothing, and b has failed."""
    batch.sheet("sample table other", *(f"{name} {name}.tsv all.tsv" for name in "abcd"))
    server.failures["b.tsv"] = ["boom"]
    server.answers["POST invocations"] = [lambda handler: None] * 2 + [lambda handler: setattr(death, "dead", True)]
    options = ["--max-running=1", f"--download={batch.folder}/out", "--tag=x"]
    with pytest.raises(Killed):
        batch(*options)
    death.comes()
    new = {name: one for name, [one] in batch.units().items()}
    path = Path(f"{batch.path}.ledger")
    for file in path.parent.glob("sheet.tsv.ledger*"):
        file.unlink()
    old = read_schema_1(path, batch.folder, server.url)
    ids = {old[name][field]: new[name][field] for name in "abc" for field in ("history", "invocation") if old[name][field]}
    for name in "abc":
        ids.update((old[name]["notes"]["inputs"][index]["id"], new[name]["inputs"][index]["id"]) for index in "01")
        server.histories[new[name]["history"]]["name"] = old[name]["notes"]["title"]
    for one in server.histories.values():
        one["name"] = re.sub(r"shared inputs \[.*", "shared inputs [19e64ff284]", one["name"])
    write_schema_1(path, batch.folder, server.url, ids)
    sent = batch(*options, status=SOME_FAILED).sent
    assert sent.count("POST invocations") == 1 and sent.count("POST histories") == 1 and "DELETE invocation" not in sent
    assert {name: one["state"] for name, [one] in batch.units().items()} == {"a": "ok", "b": "failed", "c": "ok", "d": "ok"}
    assert {name: one["key"] for name, [one] in batch.units().items()} == {name: one["key"] for name, one in old.items()}
    assert batch("--retry=run", *options).sent == ["POST invocations"]
    del server.runs[new["b"]["invocation"]]
    batch.once_each("a", "b", "c", "d")


def write_schema_1(path, folder, url, ids):
    """Create a ledger from ledger_schema_1.sql, with other ids, and set the times of the files to those in it."""
    text = Path(__file__).with_name("ledger_schema_1.sql").read_text().replace("FOLDER", str(folder)).replace("SERVER", url)
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.executescript(re.sub(r"\b[0-9a-f]{16}\b", lambda id_: ids.get(id_[0], id_[0]), text))
        for notes, in base.execute("SELECT notes FROM units").fetchall():
            for file, (_, changed, _) in json.loads(notes)["files"].items():
                os.utime(file, ns=(changed, changed))


def read_schema_1(path, folder, url):
    write_schema_1(path, folder, url, {})
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.row_factory = sqlite3.Row
        rows = [dict(row) for row in base.execute("SELECT * FROM units")]
    path.unlink()
    return {row["name"]: {**row, "notes": json.loads(row["notes"])} for row in rows}


def cut_within_the_headers(handler):
    handler.read()
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Ty")
    handler.cut()


@pytest.mark.parametrize("cut", [lambda handler: handler.cut(), cut_within_the_headers], ids=["before", "within headers"])
@pytest.mark.parametrize("kind", ["POST histories", "POST upload", "POST fetch", "POST invocations"])
def test_a_lost_answer_for_one_sample_does_not_end_the_batch_of_the_others(batch, server, kind, cut):
    """A8: the answer is lost, and nothing was made."""
    batch.samples("a", "b", "c")
    server.answers[kind] = [cut]
    ended = batch("--max-running=2")
    assert {name: row["state"] for name, row in ended.rows.items()} == {"a": "ok", "b": "ok", "c": "ok"}
    batch.once_each("a", "b", "c")


# ------------------------------------------------------------------------------------------------- which sample is which

@pytest.mark.parametrize("mended", ["file", "row"])
def test_a_corrected_input_supersedes_the_failed_entry_and_takes_its_folder(batch, server, mended):
    """B19: the failed entry is no failure any more, and the results go to V, not V.2."""
    batch.samples("V", "ok")
    server.failures["V.tsv"] = ["broken"]
    line = f"--download={batch.folder}/out"
    batch(line, status=SOME_FAILED)
    if mended == "file":
        (batch.folder / "V.tsv").write_text("mended\n")
    else:
        batch.sheet("sample table", "V mended.tsv", "ok ok.tsv")
        batch.path = batch.folder / ".." / batch.folder.name / "sheet.tsv"      # typed in another way
    assert list(batch(line).rows) == ["V"] and batch(line).sent == []
    assert sorted(os.listdir(batch.folder / "out")) == ["V", "ok"]
    assert [unit["state"] for unit in batch.units()["V"]] == ["superseded", "ok"]
    assert ledger_reader.count_states(f"{batch.path}.ledger") == {"superseded": 1, "ok": 2}
    assert not list(ledger_reader.read_failures(f"{batch.path}.ledger"))
    # The old input comes back: what is ok stays ok, and what failed is told again.
    batch.samples("V", "ok")
    (batch.folder / "V.tsv").write_text("V.tsv\n")
    assert batch(line, status=SOME_FAILED).rows["V"]["state"] == "failed"
    assert batch(line, "--retry=run").rows["V"]["results"].endswith("/out/V.2")



def test_a_file_with_new_content_makes_another_sample(batch, server):
    batch.samples("a", "b")
    batch(f"--download={batch.folder}/out")
    os.utime(batch.folder / "a.tsv", (1, 1))
    assert batch(f"--download={batch.folder}/out").sent == []
    (batch.folder / "a.tsv").write_text("A.tsv\n")      # as long as before
    ended = batch(f"--download={batch.folder}/out")
    assert list(ended.rows) == ["a"]
    old, new = batch.units()["a"]
    assert old["key"] != new["key"] and old["history"] != new["history"] and new["state"] == "ok"
    assert (batch.folder / "out" / "a" / "first.tabular").read_text() == "a.tsv\n"
    assert (batch.folder / "out" / "a.2" / "first.tabular").read_text() == "A.tsv\n"
    assert batch(f"--download={batch.folder}/out").sent == []


def test_a_new_version_of_the_workflow_makes_another_sample(batch, server):
    batch.samples("a", "b")
    batch()
    server.version += 1
    assert sorted(batch().rows) == ["a", "b"] and len(server.runs) == 4
    assert batch().sent == []


def test_a_sample_without_a_row_is_finished_or_dropped(batch, server):
    """If it was begun, it is finished; if not, it is dropped, and taken up when its row is back."""
    batch.samples("a", "b")
    server.polls = 5
    batch("--once", "--max-running=1", status=STILL_RUNNING)
    batch.samples("c")
    assert sorted(batch().rows) == ["a", "c"]
    assert {name: one[0]["state"] for name, one in batch.units().items()} == {"a": "ok", "b": "gone", "c": "ok"}
    batch.samples("a", "b", "c")
    assert list(batch().rows) == ["b"]
    batch.once_each("a", "b", "c")


def test_a_file_that_several_samples_take_is_uploaded_once(batch, server):
    batch.sheet("sample table other", "a a.tsv all.tsv", "b b.tsv all.tsv")
    assert batch().sent.count("POST upload") == 3
    batch.once_each("a", "b")
    batch.sheet("sample table other", "a a.tsv all.tsv", "b b.tsv all.tsv", "c c.tsv all.tsv")
    assert batch().sent.count("POST upload") == 1
    batch.once_each("a", "b", "c")
    [shared] = [one for one in server.histories.values() if one["name"].startswith("Copy: shared inputs [")]
    assert {run["inputs"]["1"]["id"] for run in server.runs.values()} == set(shared["contents"])
    server.datasets[shared["contents"][0]]["deleted"] = True
    batch.sheet("sample table other", "d d.tsv all.tsv", "e e.tsv all.tsv")
    assert batch().sent.count("POST upload") == 3


def test_the_hash_of_a_common_file_is_noted_though_the_answer_for_another_file_is_lost(batch, server):
    """By it the file is recognised, wherever it is later."""
    batch.sheet("sample table other", "a a.tsv all.tsv", "b b.tsv all.tsv")
    server.answers["POST fetch"] = [lambda handler: None, lambda handler: server.lost.update(["POST fetch"])]
    server.late = 40
    batch("--transfers=1")
    hashes = {path: sha256 for [unit] in batch.units().values() for path, [_, _, sha256] in unit["files"].items()}
    assert server.lost["POST fetch"] == 0 and len(hashes) == 3 and all(hashes.values())


# --------------------------------------------------------------------------------------------------- how runs go and end

def test_no_more_samples_run_at_once_than_allowed(batch, server):
    server.polls = 3
    batch.samples("a", "b", "c", "d", "e")
    batch("--max-running=2")
    assert server.most == 2 and len(server.runs) == 5


def test_a_round_is_one_request_however_many_samples_run(batch, server):
    server.polls = 6
    batch.samples(*"abcdefgh")
    batch("--once", status=STILL_RUNNING)
    before = len(server.asked)
    batch("--once", status=STILL_RUNNING)
    questions = server.kinds[before:]
    assert questions == [one for one in questions if one != "GET jobs_summaries"][:5] + ["GET jobs_summaries"]


def test_a_failed_run_does_not_stop_the_others(batch, server):
    batch.samples("a", "b", "c")
    server.failures["b.tsv"] = ["Traceback\nValueError: no such column"]
    ended = batch(status=SOME_FAILED)
    assert {name: row["state"] for name, row in ended.rows.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    row = ended.rows["b"]
    assert row["failed_step"] == "3 (copy)" and "ValueError: no such column" in row["message"]
    assert f"b: {row['message']}\n" in ended.err and ended.err.count("\n") == 1
    again = batch(status=SOME_FAILED)
    assert again.sent == [] and again.rows == {} and "failed before: b: --retry-failed runs them again" in again.err
    retried = batch("--retry=run")
    assert retried.sent == ["POST invocations"] and list(retried.rows) == ["b"] and retried.rows["b"]["attempt"] == "2"
    first, second = [run for run in server.runs.values() if run["history_id"] == row["history"]]
    assert first["inputs"] == second["inputs"] and batch().sent == []


def test_a_batch_of_which_all_have_failed_exits_with_1(batch, server):
    batch.samples("a", "b")
    server.failures = {"a.tsv": ["x", "y"], "b.tsv": ["x"]}
    batch(status=FAILED)
    assert batch("--retry=run", status=SOME_FAILED).rows["a"]["attempt"] == "2"
    server.histories[batch.units()["a"][0]["history"]]["deleted"] = True
    assert sorted(batch("--retry=run").sent) == ["POST fetch", "POST histories", "POST invocations", "POST upload"]


def test_a_job_that_was_killed_with_galaxy_is_run_again_a_few_times(batch, server):
    batch.samples("a", "b")
    server.failures = {"a.tsv": [RESTARTED], "b.tsv": [RESTARTED] * 4}
    ended = batch(status=SOME_FAILED)
    assert {name: (row["state"], row["attempt"]) for name, row in ended.rows.items()} == {
        "a": ("ok", "2"), "b": ("failed", "4")}
    assert RESTARTED.split(".")[0] in ended.rows["b"]["message"] and len(server.runs) == 2 + 4
    assert ended.sent.count("POST upload") == 2


def test_one_without_a_row_whose_job_was_killed_with_galaxy_has_failed(batch, server):
    """Nothing can be submitted for it any more."""
    batch.samples("a", "b")
    server.polls, server.failures = 5, {"b.tsv": [RESTARTED]}
    batch("--once", status=STILL_RUNNING)
    assert batch.units()["b"][0]["invocation"]
    batch.samples("a")
    ended = batch(status=SOME_FAILED)
    assert ended.rows["b"]["state"] == "failed" and RESTARTED.split(".")[0] in ended.rows["b"]["message"]
    batch.samples("a", "b")
    assert batch("--retry-failed").rows["b"]["state"] == "ok"


def test_after_five_refusals_in_a_row_nothing_more_is_begun(batch, server):
    """So many are no fault of the samples."""
    batch.samples(*"abcdefgh")
    server.answers["POST invocations"] = [REFUSAL] * 8
    ended = batch("--max-running=1", status=FAILED)
    assert ended.sent.count("POST invocations") == 5 == len(ended.rows)
    assert {row["failed_step"] for row in ended.rows.values()} == {"submit"}
    assert "the last 5 runs were refused, so the 3 that wait were not begun" in ended.err
    server.answers.clear()
    assert len(batch("--retry=run").rows) == 8
    batch.once_each(*"abcdefgh")


def test_refusals_with_a_success_between_them_stop_nothing(batch, server):
    batch.samples(*"abcdefg")
    server.answers["POST invocations"] = [*[REFUSAL] * 4, lambda handler: None, *[REFUSAL] * 2]
    ended = batch("--max-running=1", status=SOME_FAILED)
    assert [row["state"] for row in ended.rows.values()].count("failed") == 6 and "not begun" not in ended.err


def test_a_server_that_is_away_for_a_while_is_waited_for(batch, server):
    batch.samples("a", "b")
    away = [(503, {"err_msg": "be patient"})] * 4
    for kind in ("GET histories", "GET contents", "GET datasets", "GET jobs_summaries", "GET display"):
        server.answers[kind] = list(away)
    assert batch(f"--download={batch.folder}/out").err == ""
    batch.once_each("a", "b")


@pytest.mark.parametrize("fault", ["refused", "disk full", "row is gone"])
def test_results_that_could_not_be_fetched_are_pending_and_each_visit_tries_again(batch, server, fault, monkeypatch):
    """B18: a good sample is not failed, the reason is in the ledger and the message, and no --retry-failed is needed."""
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")
    batch.samples("a", "b")
    line = ["--once", f"--download={batch.folder}/out"]
    server.polls = 0
    with monkeypatch.context() as patch:
        if fault == "disk full":
            patch.setattr(download, "download_file", full)
        else:
            server.answers["GET display"] = [(403, {"err_msg": "not now", "err_code": 403002})] * 6
        reason = "No space left on device" if fault == "disk full" else "not now"
        for _ in range(2):
            while (ended := batch(*line, status=None)).code == STILL_RUNNING:
                pass
            assert ended.code == FAILED and ended.err.count("\n") == 2
            for name in "ab":
                row = ended.rows[name]
                assert (row["state"], row["failed_step"]) == ("fetch pending", "deliver") and reason in row["message"]
                assert f"{name}: the run is ok, but 1 of 1 results could not be fetched" in ended.err
                assert reason in batch.units("fetch pending")[name][0]["message"]
    server.answers.clear()
    if fault == "row is gone":
        batch.samples("c")
    while (ended := batch(*line, status=None)).code == STILL_RUNNING:
        pass
    assert ended.code == DONE and ended.err == ""
    assert [(batch.folder / "out" / name / "first.tabular").read_text() for name in "ab"] == ["a.tsv\n", "b.tsv\n"]
    assert [batch.units()[name][0]["attempt"] for name in "ab"] == [1, 1]
    assert len(server.runs) == (3 if fault == "row is gone" else 2)
    assert batch(*line).out == ""


def test_results_that_could_not_be_fetched_are_tried_again_by_a_process_that_stays(batch, server):
    """While b runs, for longer than ten minutes."""
    server.polls = 60
    batch.samples("a", "b")
    server.answers["GET display"] = [(403, {"err_msg": "not now", "err_code": 403002})]
    ended = batch(f"--download={batch.folder}/out", "--max-running=1")
    rows = [tuple(line.split("\t")[:2]) for line in ended.out.splitlines()[1:]]
    assert rows == [("a", "fetch pending"), ("a", "ok"), ("b", "ok")]
    batch.once_each("a", "b")


@pytest.mark.parametrize("state", ["ok", "waiting"])
def test_what_has_ended_or_is_queued_again_is_not_resumed_for_its_results(loopback, tmp_path, state):
    """As one is that was submitted again before it was time to try that."""
    with ledger.Ledger(tmp_path / "ledger") as memory, BatchRunner(Galaxy(KEY, loopback.url), memory) as runner:
        sample = memory.add("key", "a", invocation="i", history="h")
        runner.fetch_later.append((-FETCH_PAUSE - 1, RunningSample(runner.context, sample)))
        sample.save(state=state)
        assert not list(runner.run_round(0)) and not runner.running and not runner.fetch_later and sample.state == state


def test_an_upload_that_arrived_damaged_is_sent_again_once(batch, server):
    batch.samples("a", "b")
    server.spoiled = {"a.tsv": 1, "b.tsv": 2}
    ended = batch(status=SOME_FAILED)
    assert ended.rows["a"]["state"] == "ok" and ended.rows["b"]["failed_step"] == "upload"
    assert "ended in state error" in ended.rows["b"]["message"] and len(server.runs) == 1
    assert batch("--retry=run").rows["b"]["state"] == "ok"
    batch.once_each("a", "b")


def test_repeated_runs_with_once_finish_the_batch(batch, server):
    server.polls = 3
    batch.samples("a", "b", "c")
    first = batch("--once", "--max-running=2", status=STILL_RUNNING)
    assert first.out == first.err == "" and len(server.runs) == 2
    looks, rows = 0, {}
    while True:
        ended = batch("--once", "--max-running=2", status=None)
        looks, rows = looks + 1, {**rows, **ended.rows}
        if ended.code != STILL_RUNNING:
            break
    assert ended.code == DONE and 2 <= looks < 12 and {row["state"] for row in rows.values()} == {"ok"}
    batch.once_each("a", "b", "c")


@pytest.mark.parametrize("bad", ["a", "b", "c", "ab", "ac", "bc", "abc"])
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_a_week_of_visits_tells_each_failure_once_whatever_still_runs(batch, server, bad, at_once):
    """A9: no order of visits hides a failure behind 4, and --check tells it until it is mended or acknowledged."""
    server.polls = 2
    batch.samples("a", "b", "c")
    server.failures = {f"{name}.tsv": ["broken"] * 9 for name in bad}
    book, told = f"{batch.path}.ledger", []
    for _ in range(14):
        before = len(list(ledger_reader.read_failures(book))) if os.path.exists(book) else 0
        ended = batch("--once", f"--max-running={at_once}", status=None)
        new = [name for name, row in ended.rows.items() if row["state"] == "failed"]
        told += new
        assert (ended.code in (FAILED, SOME_FAILED)) == bool(new) and ended.err.count("\n") == len(new)
        assert len(list(ledger_reader.read_failures(book))) == before + len(new)
        assert ledger_show.main(["--check", book]) == (FAILED if told else DONE)
    assert sorted(told) == sorted(bad) and ended.code == DONE
    batch.capsys.readouterr()
    ledger_show.main([*(f"--acknowledge={name}" for name in bad), book])
    assert ledger_show.main(["--check", book]) == DONE and batch.capsys.readouterr().out == ""
    batch("--once", "--retry=run", status=None)
    assert ledger_show.main(["--check", book]) == DONE      # they run again
    server.polls = 0
    assert set(batch("--once", status=None).rows) <= set(bad)
    while batch("--once", status=None).code != DONE:
        pass
    assert ledger_show.main(["--check", book]) == FAILED    # and have failed in a new attempt


@pytest.mark.parametrize("stop", ["server away", "killed"])
def test_a_failure_in_a_visit_that_was_stopped_is_told_by_the_next(batch, server, death, stop):
    """A9: 75, as 4, hides no failure."""
    batch.samples("a", "b")
    server.failures = {"a.tsv": ["broken"]}
    batch("--once", status=None)
    real, ended = summary.report_failure, None

    def stopped(sample):
        real(sample)
        if stop == "killed":
            raise Killed
        raise GalaxyError("the server is away", TRY_LATER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "report_failure", stopped)
        with contextlib.suppress(Killed):
            while (ended := batch("--once", status=None)).code == STILL_RUNNING:
                pass
    assert stop == "killed" or ended.code == TRY_LATER
    while (ended := batch("--once", status=None)).code == STILL_RUNNING:
        assert not ended.rows
    assert ended.code == SOME_FAILED and "a: " in ended.err and ended.rows["a"]["state"] == "failed"
    while (ended := batch("--once", status=None)).code == STILL_RUNNING:
        pass
    assert (ended.code, ended.err) == (DONE, "")


def test_a_timeout_ends_the_wait_and_the_next_run_resumes(batch, server):
    server.polls = 50
    batch.samples("a")
    assert batch("--timeout=100", status=STILL_RUNNING).out == ""
    batch()
    batch.once_each("a")


@pytest.mark.parametrize("ahead", [0, 10**7])
def test_an_upload_whose_job_is_lost_ends_though_the_clock_was_put_back(batch, server, clock, monkeypatch, ahead):
    """B16's kind: the time of sending may lie ahead of the clock."""
    monkeypatch.setattr(lost_uploads, "QUEUED_LIMIT", 100)
    batch.samples("a")
    server.polls = 10**6
    batch("--timeout=5", status=STILL_RUNNING)
    with ledger.Ledger(f"{batch.path}.ledger") as book:
        [sample] = book.samples()
        sample.save(sent_at=sample.notes.sent_at + ahead)
    assert "has been making 1 datasets of the uploaded files for 1" in batch(status=FAILED).rows["a"]["message"]
    assert server.count("POST fetch") == 4


# ----------------------------------------------------------------------------------------------------------- small things

def test_equal_values_have_equal_digests():
    assert samples.stable_hash("a", {"x": 1, "y": [2]}) == samples.stable_hash(
        "a", {"y": [2], "x": 1}) != samples.stable_hash("a", {"x": 1})


@pytest.mark.parametrize("states, known, code", [
    ([], [], DONE), (["ok", "ok"], [], DONE), (["ok", "failed"], [], SOME_FAILED), (["failed"], [], FAILED),
    (["failed", "running"], [], SOME_FAILED), (["waiting"], [], STILL_RUNNING), (["failed"], [0], DONE),
    (["failed", "waiting"], [0], STILL_RUNNING), (["failed", "failed"], [0], SOME_FAILED), (["ok", "gone"], [], DONE),
    (["fetch pending", "ok"], [], SOME_FAILED), (["superseded", "ok"], [], DONE)])
def test_the_exit_status_follows_from_the_states(states, known, code, tmp_path):
    with ledger.Ledger(tmp_path / "book") as book:
        there = [book.add(str(number), "a", state=state, reported=number in known) for number, state in enumerate(states)]
        assert summary.exit_status(there, once=True) == code
        assert summary.exit_status(there, once=True) in (DONE, STILL_RUNNING)     # once told, it is told
