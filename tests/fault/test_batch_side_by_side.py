"""Samples of a batch side by side: what one waits for delays no other, and the server gets no more at once than it may."""
import base64
import threading

import folder_watch
import pytest
from fakes import KEY
from fakes.batches import Batch, batch, real_server, server
from fakes.galaxy import INPUTS, WORKFLOW

from common import DONE, INTERRUPTED, STILL_RUNNING
from galaxy_api_scripts import transfer_limit
from galaxy_api_scripts import transfers as transfers_module
from galaxy_api_scripts.batch import look, runner
from galaxy_api_scripts.batch.runner import MOST_THREADS, POLL_INTERVAL, BatchRunner
from galaxy_api_scripts.datasets import tus, upload
from galaxy_api_scripts.together import ask_together
from galaxy_api_scripts.transfer_limit import Stopped
from galaxy_api_scripts.transfers import Workers

__all__ = ["batch", "real_server", "server"]       # fixtures
WAIT = 30       # seconds after which a test fails that waits for another request
WIDE = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]


def name_sent(handler):
    """The name of the file whose upload begins by this request."""
    _, _, name = handler.headers["Upload-Metadata"].split(",")[0].partition(" ")
    return base64.b64decode(name).decode()


@pytest.mark.parametrize("transfers", [2, 4])
def test_results_are_fetched_while_other_samples_files_go_up(batch, server, tmp_path, transfers):
    """The uploads stay open until the server has seen that fetch; all that may go at once do."""
    server.polls = 2
    batch.samples("a")
    batch("--once", f"--download={tmp_path / 'out'}", status=STILL_RUNNING)
    fetched, in_time = threading.Event(), []
    server.answers = {"POST upload": lambda handler: in_time.append(fetched.wait(WAIT)),
                      "GET display": lambda handler: fetched.set()}
    names = WIDE[:transfers + 2]
    batch.samples(*names)
    ended = batch(f"--download={tmp_path / 'out'}", f"--transfers={transfers}")
    assert in_time == [True] * (len(names) - 1) and list(ended.rows)[0] == "a"
    batch.once_each(*names)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_a_sample_is_submitted_while_anothers_file_goes_up(batch, server):
    submitted, in_time = threading.Event(), []
    server.answers = {
        "POST upload": lambda handler: in_time.append(submitted.wait(WAIT)) if name_sent(handler) == "a.tsv" else None,
        "POST invocations": lambda handler: submitted.set()}
    batch.samples("a", "b")
    assert list(batch().rows) == ["b", "a"] and in_time == [True]
    batch.once_each("a", "b")


def test_a_round_ends_soon_after_a_samples_file_was_sent(batch, server, monkeypatch):
    """However long that took, and though another one's is still being sent."""
    rounds, submitted, waits = threading.Semaphore(0), threading.Event(), []
    run_round, next_ended = BatchRunner.run_round, Workers.next_ended

    def begin(runner, seconds):
        rounds.release()
        return run_round(runner, 1)

    def wait(workers, timeout=None):
        if workers.size != MOST_THREADS:        # not the samples'
            return next_ended(workers, timeout)
        waits.append(timeout)
        task = next_ended(workers, timeout)
        waits.append("ended" if task else "")
        return task

    def send(handler):
        if name_sent(handler) == "b.tsv":
            submitted.wait(WAIT)
        else:
            assert all(rounds.acquire(timeout=WAIT) for _ in range(3))
    monkeypatch.setattr(BatchRunner, "run_round", begin)
    monkeypatch.setattr(Workers, "next_ended", wait)
    server.answers = {"POST upload": send, "POST invocations": lambda handler: submitted.set()}
    batch.samples("a", "b")
    batch()
    assert waits[waits.index("ended") + 1] <= POLL_INTERVAL[0]


def test_the_files_of_different_samples_go_up_at_the_same_time(batch, server):
    """Three of four places are uploads'."""
    together = threading.Barrier(3, timeout=WAIT)
    server.answers = {"POST upload": lambda handler: together.wait() and None}
    batch.samples(*WIDE[:6])
    batch("--transfers=4")
    batch.once_each(*WIDE[:6])
    assert not together.broken


@pytest.mark.parametrize("transfers", [1, 2, 4, 16])
def test_the_server_has_no_more_requests_at_once_than_it_should(batch, server, tmp_path, monkeypatch, transfers):
    monkeypatch.setattr(tus, "SMALL_FILE", 0)
    batch.samples(*WIDE)
    batch(f"--transfers={transfers}", "--max-running=12", f"--download={tmp_path / 'out'}")
    batch.once_each(*WIDE)
    assert server.most_in_flight <= transfers


def test_questions_before_the_first_sample_are_no_more_at_once_either(batch, server):
    batch.samples("a")
    batch("--transfers=1", "-n")
    threads = ask_together(threading.get_ident, threading.get_ident, threading.get_ident)
    assert threads == [threading.get_ident()] * 3


@pytest.mark.parametrize("lost", ["POST histories", "POST fetch", "POST invocations"])
@pytest.mark.parametrize("transfers", [4, 16])
def test_many_lost_answers_side_by_side_make_nothing_twice(batch, server, lost, transfers):
    server.lost[lost] = 5
    batch.samples(*WIDE)
    for _ in range(6):
        if batch(f"--transfers={transfers}", "--max-running=12", status=None).code == DONE:
            break
    batch.once_each(*WIDE)


def test_the_time_that_is_up_ends_what_threads_do_and_the_next_run_resumes(batch, server, monkeypatch):
    """The upload is held until after that time: what it had sent counts for the next run."""
    monkeypatch.setattr(tus, "SMALL_FILE", 0)
    monkeypatch.setattr(tus, "MAX_PIECE", 4)
    batch.samples("a")
    held = []

    def hold(handler):
        held.append(handler)
        server.clock.__self__.now += 100
    server.answers = {"PATCH upload": [hold]}
    ended = batch("--timeout=50", status=STILL_RUNNING)
    assert ended.out == "" and "1 of 1 still run" in ended.err and len(held) == 1
    batch()
    batch.once_each("a")
    assert server.uploads == 1


def test_the_time_that_is_up_ends_a_wait_for_the_only_place(real_server, tmp_path, script, capsys, monkeypatch):
    """One upload has it until then, and what the main thread wants to see of another sample needs one."""
    batch, stopped, in_time = Batch(real_server, tmp_path / "batch", script, capsys), threading.Event(), []
    real_server.invocation_polls = 10**6
    batch.samples("a")
    batch("--once", status=STILL_RUNNING)

    def look_at(*what):
        try:
            return look.look_at(*what)
        except Stopped:
            stopped.set()
            raise
    monkeypatch.setattr(runner, "look_at", look_at)
    real_server.answers = {"POST upload": lambda handler: in_time.append(stopped.wait(WAIT))}
    batch.samples("a", "b", "c")
    ended = batch("--timeout=1", "--transfers=1", status=STILL_RUNNING)
    assert "3 of 3 still run" in ended.err and in_time == [True]


@pytest.mark.parametrize("transfers", [1, 4])
def test_samples_of_the_same_list_have_collections_of_their_own_in_one_history(batch, server, transfers):
    server.inputs = {"table": ("data_collection_input", {"optional": False, "tag": None, "collection_type": "list"}),
                     "lines": INPUTS["lines"]}
    batch.sheet("sample table lines", *(f"{name} x.tsv {number}" for number, name in enumerate(WIDE)))
    batch(f"--transfers={transfers}", "--max-running=12", "--history=new:All")
    assert len({run["inputs"]["0"]["id"] for run in server.runs.values()}) == len(server.runs) == 12
    assert server.uploads == len(server.histories) == 1


@pytest.mark.parametrize("transfers", [1, 2, 16])
def test_samples_of_many_files_have_no_more_open_together_than_they_may(batch, server, monkeypatch, transfers):
    """A process may have 1,024; what one sample could not open would fail it."""
    monkeypatch.setattr(transfer_limit, "MOST_FILES", 6)
    monkeypatch.setattr(transfer_limit, "BATCH_FILES", 2)
    monkeypatch.setattr(transfers_module, "OPEN_FILES", 2)
    monkeypatch.setattr(upload, "FILES_PER_JOB", 2)
    lock, opened, most, open_upload = threading.Lock(), [0], [], upload._open_upload

    def count(change):
        with lock:
            opened[0] += change
            most.append(opened[0])

    def open_one(galaxy, history, source, stack):
        count(1)
        stack.callback(count, -1)
        return open_upload(galaxy, history, source, stack)
    monkeypatch.setattr(upload, "_open_upload", open_one)
    server.inputs = {"table": ("data_collection_input", {"optional": False, "tag": None, "collection_type": "list"}),
                     "lines": INPUTS["lines"]}
    for name in WIDE:
        (batch.folder / name).mkdir()
        for number in range(5):
            (batch.folder / name / f"{number}.txt").write_text(f"{name} {number}\n")
    batch.sheet("sample table", *(f"{name} {name}" for name in WIDE))
    batch(f"--transfers={transfers}", "--max-running=12")
    assert len(server.runs) == 12 and server.uploads == 60 and max(most) <= 6


def test_a_common_genome_is_uploaded_once_by_many_side_by_side(batch, server):
    batch.sheet("sample table other", *(f"{name} {name}.tsv genome.tsv" for name in WIDE))
    batch("--transfers=16", "--max-running=12")
    names = [one["name"] for one in server.datasets.values() if "of_run" not in one]
    assert names.count("genome.tsv") == 1 and len(names) == 13
    assert len({run["inputs"]["1"]["id"] for run in server.runs.values()}) == 1 and len(server.runs) == 12


def test_one_history_for_all_is_made_once_by_many_side_by_side(batch, server):
    batch.samples(*WIDE)
    batch("--transfers=16", "--max-running=12", "--history=new:All")
    assert len(server.histories) == 1 and len(server.runs) == 12
    batch("--transfers=16", "--max-running=12", "--history=new:All")
    assert len(server.histories) == 1 and len(server.runs) == 12


@pytest.mark.parametrize("running", [1, 2])
def test_a_unit_that_waits_and_whose_file_goes_away_and_comes_back_is_run_once(server, clock, tmp_path, script, monkeypatch,
                                                                              running):
    inbox, away, done = tmp_path / "in", tmp_path / "away", tmp_path / "done"
    inbox.mkdir()
    for name in "abc":
        (inbox / f"{name}.tsv").write_text(name)
    server.invocation_polls, polls, pauses, sleep = 60, [], [], clock.sleep

    def poll(handler):
        polls.append(handler)
        if len(polls) == 3:
            (inbox / "c.tsv").rename(away)
        elif len(polls) == 20:
            away.rename(inbox / "c.tsv")

    def pause(seconds):
        sleep(max(seconds, 1))
        pauses.append(seconds)
        if len(pauses) == 400:
            raise KeyboardInterrupt
    server.answers = {"GET jobs_summaries": poll}
    monkeypatch.setattr(clock, "sleep", pause)
    ended = script(folder_watch.main, "--settle=0", "--pause=1", f"--max-running={running}", f"--ledger={tmp_path}/book",
                   f"--on-done=echo $UNIT_NAME >> {done}", KEY, server.url, inbox, WORKFLOW)
    assert ended == INTERRUPTED and not away.exists() and len(polls) > 20
    assert sorted(done.read_text().split()) == ["a", "b", "c"] and len(server.histories) == len(server.runs) == 3
