"""A failed sample tried again in place, and its history shared: once, whatever is lost or killed on the way."""
import pytest
from fakes import handover
from fakes.batches import Killed, batch, death, server
from fakes.handover import COLLEAGUES, MINE

from common import DONE, FAILED, SOME_FAILED, USAGE
from galaxy_api_scripts.batch import ledger_reader

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")     # see `death`
__all__ = ["batch", "death", "server"]      # fixtures
ANN = next(iter(COLLEAGUES.values()))


def reruns_of(server):
    return [job for job in server.jobs.values() if job["tool_id"] == "cat1"]


def steps_of(batch, step):
    return [row["outcome"] for row in ledger_reader.read_steps(f"{batch.path}.ledger") if row["step"] == step]


@pytest.fixture
def failed(batch, server):
    """A batch of three samples, of which b has failed."""
    batch.samples("a", "b", "c")
    server.failures["b.tsv"] = ["Traceback\nValueError: no such column"]
    batch(f"--download={batch.folder}/out", status=SOME_FAILED)
    return batch


def test_only_the_failed_job_runs_again_and_its_result_is_fetched(failed, server):
    run = failed.units()["b"][0]["invocation"]
    ended = failed("--retry-failed", f"--download={failed.folder}/out")
    assert ended.sent == ["POST tools"] and list(ended.rows) == ["b"]
    assert (ended.rows["b"]["state"], ended.rows["b"]["attempt"], ended.rows["b"]["invocation"]) == ("ok", "2", run)
    [rerun] = reruns_of(server)
    [b] = failed.units()["b"]
    assert [notes["rerun"] for notes in b["reruns"].values()] == [rerun["id"]] and steps_of(failed, "rerun") == ["ok"]
    assert (failed.folder / "out" / "b" / "first.tabular").read_text() == "b.tsv\n"
    assert failed("--retry-failed", f"--download={failed.folder}/out").sent == []


@pytest.mark.parametrize("state, status", [("ok", DONE), ("error", SOME_FAILED)])
def test_the_page_has_the_rerun_for_the_failed_job(failed, server, state, status):
    server.rerun_state = state
    failed("--retry-failed", f"--download={failed.folder}/out", f"--report={failed.folder}/page.html", status=status)
    [rerun], [b] = reruns_of(server), failed.units()["b"]
    facts = ledger_reader.read_facts(f"{failed.path}.ledger")[b["key"]]
    assert (facts["failure"] or {}).get("job") == (rerun["id"] if state == "error" else None)
    assert facts["results"][0]["id"] == rerun["outputs"]["out_file1"]["id"] and facts["jobs"] == {state: 1}


def test_a_new_run_begins_where_that_is_asked_for(failed):
    assert failed("--retry=run").sent == ["POST invocations"]
    assert "expected jobs or run" in failed("--retry=all", status=USAGE).err


def test_a_rerun_that_fails_fails_the_sample_and_can_be_tried_again(failed, server):
    server.rerun_state = "error"
    row = failed("--retry-failed", status=SOME_FAILED).rows["b"]
    assert (row["state"], row["failed_step"]) == ("failed", "3 (copy)")
    assert reruns_of(server)[0]["id"] in row["message"]
    server.rerun_state = "ok"
    row = failed("--retry-failed").rows["b"]
    assert (row["state"], row["attempt"], len(reruns_of(server)), len(server.runs)) == ("ok", "3", 2, 3)


def test_where_jobs_cannot_run_again_a_new_run_begins_and_the_ledger_has_the_reason(failed, server):
    server.answers["GET rerun"] = (404, {"err_msg": "Requested tool not found", "err_code": 404001})
    ended = failed("--retry-failed")
    assert ended.sent == ["POST invocations"]
    assert (ended.rows["b"]["state"], ended.rows["b"]["attempt"]) == ("ok", "2")
    [reason] = steps_of(failed, "rerun")
    assert "can't be run again: " in reason and "Requested tool not found" in reason


@pytest.mark.parametrize("state", ["deleted", "paused"])
def test_where_no_job_can_run_again_a_new_run_begins(batch, server, state):
    """Somebody has deleted it, or it waits for what is not of the run."""
    batch.samples("a")
    server.failures, server.failed_state = {"a.tsv": ["says so"]}, state
    assert batch(status=FAILED).rows["a"]["failed_step"] == "3 (copy)"
    ended = batch("--retry-failed")
    assert ended.sent == ["POST invocations"] and ended.rows["a"]["state"] == "ok"
    [reason] = steps_of(batch, "rerun")
    assert f"is {state}" in reason


def test_what_somebody_has_run_again_by_hand_is_taken(failed, server):
    [job] = [one for run in server.runs.values() for one, (_, says) in run["made"].items() if says]
    server.rerun_job({"inputs": {"rerun_remap_job_id": job}}, 0)
    ended = failed("--retry-failed")
    assert ended.sent == [] and ended.rows["b"]["state"] == "ok"


def test_a_rerun_that_was_sent_counts_however_galaxy_writes_its_parameters(failed, server, monkeypatch):
    monkeypatch.setattr(handover, "RERUN_PARAMS", {"column": '"c2"'})
    ended = failed("--retry-failed")
    assert ended.sent == ["POST tools"] and ended.rows["b"]["state"] == "ok"


@pytest.mark.parametrize("late", [0, 5])
def test_a_lost_answer_makes_no_second_job(failed, server, late):
    server.lost["POST tools"], server.late = 1, late
    ended = failed("--retry-failed")
    assert ended.rows["b"]["state"] == "ok" and len(reruns_of(server)) == 1


@pytest.mark.parametrize("moment", ["after", "before"])
def test_killed_at_any_moment_of_a_retry_it_runs_once(batch, server, death, moment):
    """Each kill is followed by the same line, until one is not killed."""
    batch.samples("b")
    for number in range(1, 60):
        server.failures["b.tsv"] = ["no such column"]
        if number > 1:
            batch.sheet("sample table", f"b{number} b{number}.tsv")
            server.failures = {f"b{number}.tsv": ["no such column"]}
        batch(status=FAILED)
        before = len(reruns_of(server))
        death.comes(**{moment: number})
        was_killed = False
        try:
            batch("--retry-failed", status=None)
        except Killed:
            was_killed = True
        death.comes()
        batch("--retry-failed")
        name = f"b{number}" if number > 1 else "b"
        [unit] = batch.units()[name]
        assert (unit["state"], len(reruns_of(server)) - before) == ("ok", 1), (moment, number)
        if not was_killed:
            break
    assert number > 5 and not was_killed


# --------------------------------------------------------------------------------------------------------------- sharing

def shared_with(server, name):
    [history] = [one for one in server.histories.values() if one["name"].startswith(f"{name} - ")]
    return history.get("sharing", {}).get("users", [])


def test_each_history_is_shared_when_its_sample_has_ended_well(batch, server):
    batch.samples("a", "b")
    server.failures["b.tsv"] = ["x"]
    batch(f"--share-with={ANN},link", status=SOME_FAILED)
    assert len(shared_with(server, "a")) == 1 and shared_with(server, "b") == []
    assert batch.units()["a"][0]["shared_with"] == [ANN, "link"]
    batch(f"--share-with={ANN},link", "--retry-failed")
    assert len(shared_with(server, "b")) == 1
    assert batch(f"--share-with={ANN},link").sent == []


def test_what_ended_before_is_shared_once_that_is_asked_for(batch, server):
    batch.samples("a")
    batch()
    ended = batch(f"--share-with={ANN}")
    assert ended.sent == ["PUT share"] and len(shared_with(server, "a")) == 1


def test_a_share_that_fails_is_told_counts_and_is_tried_again(batch, server):
    batch.samples("a")
    options = (f"--share-with={ANN}", f"--download={batch.folder}/out")
    server.answers["PUT share"] = (200, {"errors": [f"{ANN} is not a valid Galaxy user."], "extra": None})
    row = batch(*options, status=FAILED).rows["a"]
    assert (row["state"], row["failed_step"]) == ("fetch pending", "share")
    assert "its history could not be shared" in row["message"] and f"{ANN} is not a valid Galaxy user" in row["message"]
    assert batch(*options, status=FAILED).rows["a"]["state"] == "fetch pending"
    del server.answers["PUT share"]
    ended = batch(*options)
    assert ended.sent == ["PUT share"] and ended.rows["a"]["state"] == "ok" and len(server.runs) == 1
    assert len(shared_with(server, "a")) == 1


def test_a_private_result_is_not_shared_unasked(batch, server):
    batch.samples("a")
    batch()
    [dataset] = [one for one in server.datasets.values() if one.get("of_run")]
    dataset["permissions"] = {"manage": [MINE], "access": [MINE]}
    row = batch("--share-with=everybody", status=FAILED).rows["a"]
    assert "1 dataset is private" in row["message"] and "--datasets=public" in row["message"]


def test_a_bad_audience_is_refused_before_anything_is_sent(batch, server):
    batch.samples("a")
    assert "'everyone' is no user's e-mail address" in batch("--share-with=everyone", status=USAGE).err
    assert server.asked == []
