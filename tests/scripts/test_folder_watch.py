"""folder_watch.py: what it takes and when, what it does at a unit's end, and what it does not do twice.

The runs end as the tests say; folders, ledger, moves and commands are real.
"""
import csv
import hashlib
import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import folder_watch
import pytest
from fakes import KEY, URL

from common import DONE, FAILED, INTERRUPTED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts.batch import ledger, ledger_reader, runner, session, watcher
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.workflows.inputs import iter_datasets

W = "f2db41e1fa331b3e"
WORKFLOW = {"id": W, "name": "Flow", "version": 1, "latest_workflow_uuid": "u", "inputs": {
    "0": {"label": "table", "uuid": "u0"}, "1": {"label": "limit", "uuid": "u1"}}, "steps": {
    "0": {"type": "data_input", "tool_inputs": {"optional": False}},
    "1": {"type": "parameter_input", "tool_inputs": {"optional": True, "default": 3, "parameter_type": "integer"}},
    "2": {"type": "tool", "tool_id": "cat1", "tool_version": "1.0", "tool_inputs": {}, "input_steps": {}}}}
EXPORTED = {"steps": {"2": {"label": "copy", "tool_id": "cat1", "tool_version": "1.0",
                            "workflow_outputs": [{"label": "copied", "output_name": "o"}]}}}


class ScriptedRunner(BatchRunner):
    """A runner whose samples end as the tests say: `ends` maps a name to "running" or to the message with which it fails;
    all others end well. `begun` lists the names and inputs of those that were begun."""

    ends, begun, rounds_to_do = {}, [], None

    def run_round(self, seconds):
        while self.rejected:
            yield self.rejected.pop(0)
        while self.queue:
            entry = self.queue.popleft()
            sample, inputs = entry.sample, entry.request.inputs
            sample.save(state="running", attempt=sample.attempt or 1, history="h", invocation="i")
            self.running[sample.key] = entry
            ScriptedRunner.begun.append((sample.name, {
                inputs.specs[index].name: [leaf.place for leaf in iter_datasets(value)] or value
                for index, value in inputs.values.items()}))
        for entry in list(self.running.values()):
            message = self.ends.get(entry.sample.name)
            if message == "running":
                continue
            if message:
                entry.end("failed", failed_step="2 (copy)", message=message)
            else:
                entry.end("ok")
            entry.finish()
            del self.running[entry.sample.key]
            yield entry.sample

    @property
    def all_submitted(self):
        return True


@pytest.fixture
def now(clock, monkeypatch):
    """A clock that moves only when the tests say so; to sleep fails the test."""
    clock.time_ns = lambda: int(clock.now * 10**9)
    monkeypatch.setattr(clock, "sleep", lambda seconds: pytest.fail("it waits"))
    return clock


@pytest.fixture
def galaxy(requests_mock):
    for path, answer in {"users/current": {"id": "me", "username": "me"}, f"workflows/{W}": WORKFLOW,
                         f"workflows/{W}/download": EXPORTED, "tools/cat1": {"inputs": []},
                         "histories/h": {"deleted": False}}.items():
        requests_mock.get(f"{URL}/api/{path}", json=answer)
    requests_mock.get(f"{URL}/api/workflows", json=[{"id": W, "name": "Flow", "latest_workflow_uuid": "u"}])
    return requests_mock


@pytest.fixture
def watched(tmp_path, now, galaxy, script, monkeypatch, capfd):
    """A watched folder, `inbox`: `drop(name)` puts a file there, `run()` runs the watcher, with --once and --settle=0 by
    default, and `units()` are those in the ledger."""
    monkeypatch.setattr(session, "BatchRunner", ScriptedRunner)
    monkeypatch.setattr(ScriptedRunner, "ends", {})
    monkeypatch.setattr(ScriptedRunner, "begun", [])
    inbox, book = tmp_path / "in", tmp_path / "ledger"
    inbox.mkdir()

    def drop(name, content="x"):
        (inbox / name).write_text(content)
        return inbox / name

    def run(*options, settle=0, once=True, key=KEY, flow=(W,)):
        status = script(folder_watch.main, *(["--once"] if once else []), f"--settle={settle}", f"--ledger={book}", *options,
                        key, URL, inbox, *flow)
        told = capfd.readouterr()
        return SimpleNamespace(status=status, out=told.out, err=told.err,
                               rows=[line.split("\t")[:2] for line in told.out.splitlines()[1:]])

    def rows(**only):
        return [(one["name"], one["state"]) for one in ledger_reader.read_samples(book, **only)]
    return SimpleNamespace(inbox=inbox, book=book, drop=drop, run=run, units=rows, begun=ScriptedRunner.begun,
                           ends=ScriptedRunner.ends, now=now, folder=tmp_path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------------------------- what is taken

def test_a_file_is_run_once(watched):
    file = watched.drop("a b.tsv")
    ended = watched.run()
    assert (ended.status, ended.err, ended.rows) == (DONE, "", [["a b", "ok"]])
    assert watched.begun == [("a b", {"table": [str(file)]})] and names(watched.inbox) == ["a b.tsv"]
    again = watched.run()
    assert (again.status, again.out, again.err, len(watched.begun)) == (DONE, "", "", 1)


def test_a_file_without_a_mark_must_be_unchanged_between_two_starts(watched):
    file = watched.drop("a.tsv")
    assert watched.run(settle=60).out == ""
    watched.now.now += 59
    assert watched.run(settle=60).out == ""
    watched.now.now += 1
    with open(file, "a") as growing:
        growing.write("more")
    assert watched.run(settle=60).out == "" and watched.begun == []
    watched.now.now += 60
    assert watched.run(settle=60).rows == [["a", "ok"]]


def test_files_settle_for_a_minute_and_runs_for_ten(watched, script):
    (watched.inbox / "run").mkdir()
    (watched.inbox / "run" / "S1.fastq").write_text("@")
    watched.drop("a.tsv")
    for kind, seconds in (("file", 60), ("run", 600)):
        line = ["--once", f"--unit={kind}", f"--ledger={watched.book}.{kind}", KEY, URL, watched.inbox, W]
        script(folder_watch.main, *line)
        watched.now.now += seconds - 1
        script(folder_watch.main, *line)
        before = len(watched.begun)
        watched.now.now += 1
        script(folder_watch.main, *line)
        assert (before, len(watched.begun)) == ((0, 1) if kind == "file" else (1, 2))


def test_a_marked_file_is_taken_at_once(watched):
    watched.drop("a.tsv")
    watched.drop("b.tsv")
    watched.drop("b.tsv.done", "")
    assert watched.run("--ready-file=.done", settle=60).rows == [["b", "ok"]]


def test_a_run_is_mapped_over_once_its_mark_is_there(watched):
    folder = watched.inbox / "run1"
    folder.mkdir()
    reads = [f"S{number}_S{number}_L001_R{mate}_001.fastq.gz" for number in (1, 2) for mate in (1, 2)]
    for name in [*reads, "Undetermined_S0_L001_R1_001.fastq.gz", "S1_S1_L001_I1_001.fastq.gz"]:
        (folder / name).write_text(name)
    assert watched.run("--unit=run", settle=600).out == ""
    (folder / "CopyComplete.txt").touch()
    assert watched.run("--unit=run", settle=600).rows == [["run1", "ok"]]
    assert watched.begun == [("run1", {"table": [str(folder / name) for name in reads]})]


def test_constant_inputs_go_to_each_unit_and_are_looked_up_once(watched, galaxy):
    galaxy.get(f"{URL}/api/datasets/d1", json={"id": "d1", "name": "genome", "state": "ok", "deleted": False})
    galaxy.get(f"{URL}/api/workflows/{W}", json={**WORKFLOW, "inputs": {**WORKFLOW["inputs"], "2": {"label": "genome"}},
                                               "steps": {**WORKFLOW["steps"], "2": WORKFLOW["steps"]["0"]}})
    files = [watched.drop("a.tsv"), watched.drop("b.tsv")]
    assert watched.run(flow=(W, "genome=hda:d1", "limit=7")).status == DONE
    assert watched.begun == [(file.stem, {"genome": ["hda:d1"], "limit": 7, "table": [str(file)]}) for file in files]
    assert [one.path for one in galaxy.request_history].count("/api/datasets/d1") == 1


def test_the_input_for_the_files_must_be_clear(watched, galaxy):
    galaxy.get(f"{URL}/api/workflows/{W}", json={**WORKFLOW, "inputs": {**WORKFLOW["inputs"], "2": {"label": "other"}},
                                                 "steps": {**WORKFLOW["steps"], "2": WORKFLOW["steps"]["0"]}})
    file = watched.drop("a.tsv")
    unclear = watched.run()
    assert unclear.status == USAGE and "there are table, other: --input=LABEL names one, so nothing was sent" in unclear.err
    assert "--input=nosuch: there are table, other: --input=LABEL names one" in watched.run("--input=nosuch").err
    missing = watched.run("--input=other")
    assert missing.status == USAGE and "input table" in missing.err
    galaxy.get(f"{URL}/api/datasets/d1", json={"id": "d1", "name": "t", "state": "ok", "deleted": False})
    assert watched.run("--input=other", flow=(W, "table=hda:d1")).status == DONE
    assert watched.begun == [("a", {"table": ["hda:d1"], "other": [str(file)]})]


def test_a_dry_run_changes_nothing(watched):
    watched.drop("a.tsv", "12345")
    (watched.inbox / "run1").mkdir()
    ended = watched.run("-n", "--format=csv", settle=60)
    assert ended.out.splitlines() == ["name,place,files,bytes,taken,before",
                                      f"a,{watched.inbox}/a.tsv,1,5,after 60 s without a change,"]
    assert ended.err == f"1 there; ledger: {watched.book}\n" and watched.begun == [] and not watched.book.exists()
    (watched.inbox / "run1" / "CopyComplete.txt").touch()
    assert watched.run("-n", "--unit=run").out.splitlines()[1].split("\t")[-2] == "has no reads in it yet"


@pytest.mark.parametrize("kind, reads, taken", [
    ("list:paired", ["S1_R1.fastq", "S1_R2.fastq"], "now"),
    ("list:paired", ["S1.fastq"], "input reads: it takes a collection of type list:paired, and the files of run1 are not in "
                                  "pairs"),
    ("list", ["S1.fastq"], "now"),
    ("list", ["S1_R1.fastq", "S1_R2.fastq"], "input reads: it takes a collection of type list, and the files of run1 are "
                                             "pairs")])
def test_the_dry_run_tells_reads_that_the_workflow_does_not_take(watched, galaxy, kind, reads, taken):
    """C23: single-end reads for a workflow of pairs."""
    galaxy.get(f"{URL}/api/workflows/{W}", json={**WORKFLOW, "inputs": {"0": {"label": "reads", "uuid": "u0"}}, "steps": {
        **WORKFLOW["steps"], "0": {"type": "data_collection_input", "tool_inputs": {"collection_type": kind}}}})
    (watched.inbox / "run1").mkdir()
    for name in (*reads, "CopyComplete.txt"):
        (watched.inbox / "run1" / name).write_text("@")
    rows = list(csv.DictReader(watched.run("-n", "--unit=run").out.splitlines(), delimiter="\t"))
    assert [row["taken"] for row in rows] == [taken]
    assert watched.run("--unit=run").status == (DONE if taken == "now" else FAILED)


@pytest.mark.parametrize("kind, units", [
    ("paired", {"pair", "run"}), ("list:paired", {"pair", "run"}), ("list", {"file", "run"}), ("record", set()),
    ("list:record", set()), ("paired_or_unpaired", {"file", "pair", "run"}), ("list:list", set())])
def test_units_that_an_input_never_takes_are_refused_at_once(watched, galaxy, kind, units):
    """C24: records too."""
    galaxy.get(f"{URL}/api/workflows/{W}", json={**WORKFLOW, "inputs": {"0": {"label": "reads", "uuid": "u0"}}, "steps": {
        **WORKFLOW["steps"], "0": {"type": "data_collection_input", "tool_inputs": {"collection_type": kind}}}})
    ended = {unit: watched.run("-n", f"--unit={unit}") for unit in ("file", "pair", "run")}
    assert {unit for unit, one in ended.items() if one.status == DONE} == units
    assert all(one.status == USAGE and f"it takes a collection of type {kind}, which --unit={unit} does not give" in one.err
               for unit, one in ended.items() if unit not in units)


# ---------------------------------------------------------------------------------------------------- a bad line

@pytest.mark.parametrize("options, flow, words", [
    (["--unit=lane"], [W], "--unit=lane: expected file, pair or run"),
    (["--on-fail="], [W], "--on-fail is empty: is a variable unset?"),
    (["--move-to="], [W], "--move-to is empty: is a variable unset?"),
    (["--pause=0"], [W], "--pause=0: expected an integer, 1 or more"),
    (["--fields=nosuch"], [W], "--fields: there is no nosuch"),
    (["--outputs=nosuch"], [W], "there is no output 'nosuch': there are copied"),
    (["--tag=two words"], [W], "--tag=two words: expected a word without spaces"),
    ([], [W, "nosuch=1"], "there is no input 'nosuch'"),
    ([], [W, "table=hda:x y"], "hda:x y: 'x y' is not an id"),
    ([], ["nosuch.ga"], "nosuch.ga: no such file")])
def test_a_bad_command_line_is_refused(watched, options, flow, words):
    watched.drop("a.tsv")
    ended = watched.run(*options, flow=flow)
    assert ended.status == USAGE and words in ended.err and KEY not in ended.err
    assert watched.begun == [] and not watched.book.exists()


def test_folders_that_would_be_watched_themselves_are_refused(watched, script, capfd):
    for option in ("--move-to", "--download"):
        ended = watched.run("--unit=run", f"{option}={watched.inbox}/done")
        assert ended.status == USAGE and f"name a folder outside {watched.inbox}" in ended.err
        assert watched.run(f"{option}={watched.inbox}").status == USAGE
    assert script(folder_watch.main, f"--ledger={watched.inbox}/ledger", KEY, URL, watched.inbox, W) == USAGE
    page = f"--report={watched.inbox}/page.html"
    assert script(folder_watch.main, page, f"--ledger={watched.book}", KEY, URL, watched.inbox, W) == USAGE
    assert "it would be watched itself" in capfd.readouterr().err and names(watched.inbox) == ["done"]
    watched.drop("a.tsv")
    assert watched.run(f"--move-to={watched.inbox}/done").status == DONE and names(watched.inbox / "done") == ["a.tsv"]
    assert script(folder_watch.main, KEY, URL, watched.folder / "none", W) == USAGE
    assert capfd.readouterr().err.endswith(f"{watched.folder}/none: no such folder\n")


def test_folder_server_and_workflow_determine_the_ledger(watched, script, capfd, monkeypatch):
    def book(url, folder, flow=W):
        assert script(folder_watch.main, "-n", KEY, url, folder, flow) == DONE
        return capfd.readouterr().err
    monkeypatch.chdir(watched.folder)
    known = book(URL, watched.inbox)
    assert known == book(f"{URL}/api/", "in/.")
    assert "galaxy-api-scripts/ledgers/in-" in known
    assert known != book(URL, watched.inbox, "Flow") and known != book(URL, watched.folder)
    (watched.folder / "flow.ga").write_text("{}")
    same = {folder_watch.default_ledger(server, "/in", flow) for server in (URL, URL.replace("//", "//me:secret@"))
            for flow in ("flow.ga", f"{watched.folder}/flow.ga")}
    assert len(same) == 1


# ---------------------------------------------------------------------------------------------------- at its end

def test_a_unit_that_ended_well_is_moved_and_its_command_run(watched):
    watched.drop("a.tsv", "content")
    command = f"env | grep ^UNIT_ | sort > {watched.folder}/told; echo said; echo more >&2"
    ended = watched.run("--move-to", watched.folder / "done", f"--download={watched.folder}/results", f"--on-done={command}",
                        "--on-fail=exit 9")
    assert (ended.status, ended.rows, ended.err) == (DONE, [["a", "ok"]], "said\nmore\n")
    assert names(watched.inbox) == [] and (watched.folder / "done" / "a.tsv").read_text() == "content"
    assert (watched.folder / "told").read_text().splitlines() == [
        "UNIT_FAILED_STEP=", "UNIT_HISTORY=h", "UNIT_INVOCATION=i", f"UNIT_LEDGER={watched.book}", "UNIT_MESSAGE=",
        "UNIT_NAME=a", f"UNIT_PLACE={watched.folder}/done/a.tsv", f"UNIT_RESULTS={watched.folder}/results/a",
        f"UNIT_RUN_URL={URL}/workflows/invocations/i", "UNIT_STATE=ok"]
    [unit] = ledger_reader.read_samples(watched.book)
    assert unit["place"] == f"{watched.folder}/done/a.tsv" and "moving" not in unit["notes"]
    assert [(one["step"], one["outcome"])
             for one in ledger_reader.read_steps(watched.book)][-2:] == [("move", "ok"), ("notify", "ok")]


def test_a_unit_that_failed_stays_and_its_command_is_run_once(watched):
    watched.drop("a.tsv")
    watched.drop("b.tsv")
    watched.ends["a"] = "step 2 is no good"
    options = ["--move-to", watched.folder / "done", f'--on-fail=echo "$UNIT_NAME: $UNIT_FAILED_STEP: $UNIT_MESSAGE" '
               f'>> {watched.folder}/told']
    ended = watched.run(*options)
    assert (ended.status, ended.rows) == (SOME_FAILED, [["a", "failed"], ["b", "ok"]])
    assert ended.err.endswith(": a: step 2 is no good\n") and ended.err.count("\n") == 1
    assert names(watched.inbox) == ["a.tsv"]
    again = watched.run(*options)
    assert (again.status, again.out, again.err) == (DONE, "", "")
    assert (watched.folder / "told").read_text() == "a: 2 (copy): step 2 is no good\n" and len(watched.begun) == 2
    still = watched.run(*options, "--retry=run")
    assert (still.status, still.rows) == (FAILED, [["a", "failed"]])
    assert (watched.folder / "told").read_text() == "a: 2 (copy): step 2 is no good\n" * 2
    watched.ends.clear()
    retried = watched.run(*options, "--retry=run")
    assert (retried.status, retried.rows, retried.err) == (DONE, [["a", "ok"]], "")
    assert [name for name, _ in watched.begun] == ["a", "b", "a", "a"] and names(watched.inbox) == []
    assert watched.units() == [("a", "ok"), ("b", "ok")]


def test_new_content_of_a_used_name_is_a_new_unit(watched):
    watched.drop("a.tsv", "Monday's")
    watched.ends["a"] = "no good"
    assert watched.run().status == FAILED
    watched.drop("a.tsv", "Tuesday's, longer")
    watched.ends.clear()
    done = ["--move-to", watched.folder / "done"]
    assert watched.run(*done).rows == [["a", "ok"]]
    watched.drop("a.tsv", "Wednesday's")
    assert watched.run(*done).rows == [["a", "ok"]]
    assert watched.units() == [("a", "superseded"), ("a", "ok"), ("a", "ok")]
    assert names(watched.folder / "done") == ["a.tsv", "a.tsv.2"] and len(watched.begun) == 3
    folders = [one["notes"].get("folder") for one in ledger_reader.read_samples(watched.book)]
    assert folders == [None, "a", "a.2"]        # the first has no results


def test_a_touched_file_is_not_a_new_unit(watched):
    file = watched.drop("a.tsv")

    assert watched.run().status == DONE
    with ledger.Ledger(watched.book) as book:       # as an upload notes it
        [unit] = book.samples()
        size, changed, _ = unit.notes.files[str(file)]
        unit.save(files={str(file): [size, changed, hashlib.sha256(b"x").hexdigest()]})
    os.utime(file, (1, 1))
    ended = watched.run()
    assert (ended.status, ended.out, ended.err, len(watched.begun)) == (DONE, "", "", 1)
    assert watched.units() == [("a", "ok")]


def test_a_file_that_is_moved_back_is_not_run_but_moved_again(watched):
    file = watched.drop("a.tsv")
    done = watched.folder / "done"
    assert watched.run(f"--move-to={done}").status == DONE
    (done / "a.tsv").rename(file)
    assert watched.run(f"--move-to={done}").out == ""
    assert names(done) == ["a.tsv"] and names(watched.inbox) == [] and len(watched.begun) == 1


def test_a_unit_that_can_not_be_run_is_reported_once(watched):
    folder = watched.inbox / "run1"
    folder.mkdir()
    for name in ("S0_R1.fastq", "S0_R2.fastq", "CopyComplete.txt"):
        (folder / name).write_text("" if "R2" in name else "@")
    options = ["--unit=run", f'--on-fail=echo "$UNIT_NAME $UNIT_MESSAGE" >> {watched.folder}/told']
    problem = "S0_R2.fastq is empty"
    ended = watched.run(*options)
    assert (ended.status, ended.err.count("\n")) == (FAILED, 1) and ended.err.endswith(f": run1: {problem}\n")
    again = watched.run(*options)
    assert (again.status, again.out, again.err) == (DONE, "", "")
    asked = watched.run(*options, "--retry=run")
    assert asked.status == FAILED and asked.err.endswith(f": run1: {problem}\n")
    assert (watched.folder / "told").read_text() == f"run1 {problem}\n" * 2
    assert watched.units() == [("run1", "failed")] and watched.begun == []
    (folder / "S0_R2.fastq").write_text("@")
    assert watched.run(*options).rows == [["run1", "ok"]]
    assert watched.units() == [("run1", "superseded"), ("run1", "ok")]


@pytest.mark.parametrize("kill", [False, True])
def test_one_empty_file_of_a_run_is_told_and_the_other_samples_run(watched, monkeypatch, kill):
    """B21: the sample that was left out has failed in the ledger, until its run comes again with reads."""
    folder = watched.inbox / "run1"
    folder.mkdir()
    for name in ("S1.fastq", "S2.fastq", "S3.fastq"):
        (folder / name).write_text("" if name == "S2.fastq" else "@")
    options = ["--unit=run", f'--on-fail=echo "$UNIT_NAME: $UNIT_MESSAGE" >> {watched.folder}/told']
    with monkeypatch.context() as killed:
        killed.setattr(watcher.Watcher, "notify", lambda *what: sys.exit(137))
        if kill:
            assert watched.run(*options).status == 137
    ended = watched.run(*options)
    assert ended.status == SOME_FAILED and sorted(ended.rows) == [["run1", "ok"], ["run1/S2", "failed"]]
    assert ended.err.endswith(": run1/S2: S2.fastq is empty, so it was left out\n") and ended.err.count("\n") == 1
    [(_, inputs)] = watched.begun
    assert inputs["table"] == [str(folder / "S1.fastq"), str(folder / "S3.fastq")]
    assert (watched.folder / "told").read_text() == "run1/S2: S2.fastq is empty, so it was left out\n"
    again = watched.run(*options)
    assert (again.status, again.out, again.err) == (DONE, "", "")
    (folder / "S2.fastq").write_text("@")
    assert watched.run(*options).rows == [["run1", "ok"]] and len(watched.begun) == 2
    assert ("run1/S2", "superseded") in watched.units() and not list(ledger_reader.read_failures(watched.book))


def test_a_run_that_is_marked_before_its_reads_are_there_is_taken_with_them(watched):
    """B21."""
    (watched.inbox / "run1").mkdir()
    (watched.inbox / "run1" / "CopyComplete.txt").touch()
    for _ in range(3):
        ended = watched.run("--unit=run")
        assert (ended.status, ended.out, ended.err) == (DONE, "", "")
        watched.now.now += 3600
    (watched.inbox / "run1" / "S1.fastq").write_text("@")
    assert watched.run("--unit=run").rows == [["run1", "ok"]]


def test_a_kill_before_that_report_repeats_it(watched, monkeypatch):
    (watched.inbox / "run1").mkdir()
    for name in ("S0_R1.fastq", "S0_R2.fastq", "CopyComplete.txt"):
        (watched.inbox / "run1" / name).write_text("" if "R2" in name else "@")
    options = ["--unit=run", f"--on-fail=echo told >> {watched.folder}/told"]
    with monkeypatch.context() as killed:
        killed.setattr(watcher.Watcher, "notify", lambda *what: sys.exit(137))
        assert watched.run(*options).status == 137
    assert watched.units() == [("run1", "waiting")]
    assert watched.run(*options).status == FAILED and watched.units() == [("run1", "failed")]
    assert (watched.folder / "told").read_text() == "told\n"


def test_pairs_wait_for_their_mates(watched):
    for name in ("s1_R1.fastq", "s1_R2.fastq", "s2_R1.fastq", "readme.txt"):
        watched.drop(name)
    ended = watched.run("--unit=pair")
    assert (ended.status, ended.rows) == (SOME_FAILED, [["readme", "failed"], ["s1", "ok"]])
    assert "readme has no _R1 or _R2 at its end" in ended.err
    watched.drop("s2_R2.fastq")
    assert watched.run("--unit=pair").rows == [["s2", "ok"]]
    assert watched.begun[1][1] == {"table": [str(watched.inbox / f"s2_R{mate}.fastq") for mate in (1, 2)]}


# ------------------------------------------------------------------------------------------------- moves that fail

def test_a_failed_move_is_reported_and_repeated_by_the_next_start(watched, monkeypatch):
    watched.drop("a.tsv")
    done = watched.folder / "done"
    with monkeypatch.context() as full:
        def no_room(drop, to):
            raise GalaxyError(f"{drop.place}: can't be moved: No space left on device")
        full.setattr(watcher, "move_unit", no_room)
        ended = watched.run(f"--move-to={done}")
        assert ended.rows == [["a", "ok"]] and "a: " in ended.err and "No space left on device" in ended.err
        assert names(watched.inbox) == ["a.tsv"] and watched.units() == [("a", "ok")] and ended.status == SOME_FAILED
        again = watched.run(f"--move-to={done}")
        assert "No space left" in again.err and again.status == SOME_FAILED
    again = watched.run(f"--move-to={done}")
    assert (again.status, again.out, again.err) == (DONE, "", "")
    assert names(watched.inbox) == [] and names(done) == ["a.tsv"] and len(watched.begun) == 1


@pytest.mark.parametrize("moment", ["before the move", "within the move", "after the move", "after the notice"])
def test_a_kill_at_a_units_end_repeats_or_finishes_its_move_and_command(watched, monkeypatch, moment):
    """The workflow is not run again."""
    watched.drop("a.tsv")
    options = [f"--move-to={watched.folder}/done", f"--on-done=echo $UNIT_PLACE >> {watched.folder}/told"]
    move, notice = watcher.move_unit, watcher.Watcher.notify

    def killed(*line):
        sys.exit(137)
    with monkeypatch.context() as patch:
        if moment == "before the move":
            patch.setattr(watcher, "move_unit", killed)
        elif moment == "within the move":
            unlink, inbox = os.unlink, str(watched.inbox)
            patch.setattr(os, "unlink",
                          lambda path, **more: killed() if str(path).startswith(inbox) else unlink(path, **more))
        elif moment == "after the move":
            patch.setattr(watcher, "move_unit", lambda drop, to: killed(move(drop, to)))
        else:
            patch.setattr(watcher.Watcher, "notify", lambda *line: killed(notice(*line)))
        assert watched.run(*options).status == 137
    assert watched.units() == [("a", "running")]
    ended = watched.run(*options)
    assert (ended.status, ended.rows, ended.err) == (DONE, [["a", "ok"]], "")
    assert names(watched.inbox) == [] and names(watched.folder / "done") == ["a.tsv"] and len(watched.begun) == 1
    place = f"{watched.folder}/done/a.tsv\n"
    assert (watched.folder / "told").read_text() == place * (2 if moment == "after the notice" else 1)


# ---------------------------------------------------------------------------------------------------- notices

def test_a_failed_command_is_reported_and_is_in_the_status(watched):
    watched.drop("a.tsv")
    ended = watched.run("--on-done=echo no mail today >&2; exit 3", "--move-to", watched.folder / "done")
    assert ended.status == SOME_FAILED and watched.units() == [("a", "ok")] and names(watched.folder / "done") == ["a.tsv"]
    said, told = ended.err.splitlines()
    assert said == "no mail today" and told.endswith(": a: the command for it ended with 3: echo no mail today >&2; exit 3")
    assert list(ledger_reader.read_steps(watched.book))[-1]["outcome"].startswith("the command for it ended with 3")


def test_a_missing_command_is_reported(watched):
    watched.drop("a.tsv")
    ended = watched.run("--on-done=nosuch_command")
    assert (ended.status, watched.units()) == (SOME_FAILED, [("a", "ok")])
    assert "the command for it ended with 127: nosuch_command" in ended.err
    assert watched.run("--on-done=nosuch_command").status == DONE       # one visit tells it


def runs(pid):
    """Whether a process runs, and is no zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_a_command_that_hangs_is_killed_with_its_children(watched, monkeypatch):
    watched.drop("a.tsv")
    monkeypatch.setattr(watcher, "COMMAND_TIMEOUT", 2)      # enough to begin them in
    (watched.folder / "pids").touch()
    ended = watched.run(f"--on-done=sleep 300 & echo $! > {watched.folder}/pids; sleep 300; true")
    assert ended.status == SOME_FAILED and "the command for it did not end within 2 s" in ended.err
    background = int((watched.folder / "pids").read_text())
    limit = time.monotonic() + 10
    while runs(background):
        assert time.monotonic() < limit, "it runs still"
    assert watched.units() == [("a", "ok")]


def test_what_a_command_prints_goes_to_standard_error(watched):
    watched.drop("a.tsv")
    ended = watched.run("--format=value", "--fields=name", r"--on-done=printf '\377\n'")
    assert (ended.status, ended.out, ended.err) == (DONE, "a\n", "\\xff\n")


@pytest.mark.parametrize("name", ["$(touch x)", "`touch x`", "a; touch x;", "a' b\" c", "-n", "a\nb", "Größe 基因",
                                  "a\tb", "*"])
def test_odd_names_reach_commands_through_the_environment_only(watched, monkeypatch, name):
    monkeypatch.chdir(watched.folder)
    watched.drop(f"{name}.tsv")
    watched.ends[name] = f"it says {name}"
    ended = watched.run('--on-fail=printf "%s|%s|%s" "$UNIT_NAME" "$UNIT_PLACE" "$UNIT_MESSAGE" > told')
    assert ended.status == FAILED and watched.units() == [(name, "failed")]
    assert names(watched.folder) == ["home", "in", "ledger", "told"]
    where = f"{watched.inbox}/{name}.tsv"
    assert (watched.folder / "told").read_text() == f"{name}|{where}|it says {' '.join(name.split())}"


def test_a_commands_environment_has_no_secrets_of_addresses(watched, monkeypatch):
    file = watched.folder / "key"
    file.touch(mode=0o600)
    file.write_text(f"{KEY}\n")
    monkeypatch.setenv("GALAXY_API_KEY_FILE", str(file))
    watched.drop("a.tsv")
    watched.ends["a"] = f"401 at {URL}/x?key={KEY}: no such key {KEY}"
    ended = watched.run(f"--on-fail=env > {watched.folder}/told", key="-")
    told = (watched.folder / "told").read_text()
    assert KEY not in told + ended.out + ended.err and "UNIT_MESSAGE=401 at" in told and f"{file}\n" in told


# ---------------------------------------------------------------------------------------------------- how it ends

def test_units_that_still_run_exit_with_4(watched):
    watched.drop("a.tsv")
    watched.drop("b.tsv")
    watched.ends["a"] = "running"
    ended = watched.run()
    assert (ended.status, ended.rows, ended.err) == (STILL_RUNNING, [["b", "ok"]], "")
    later = watched.run()
    assert (later.status, later.out, later.err) == (STILL_RUNNING, "", "")
    watched.ends.clear()
    assert watched.run().rows == [["a", "ok"]] and [name for name, _ in watched.begun] == ["a", "b"]


def test_a_run_whose_file_is_gone_is_polled_to_its_end(watched):
    file = watched.drop("a.tsv")
    watched.ends["a"] = "running"
    assert watched.run(f"--move-to={watched.folder}/done").status == STILL_RUNNING
    file.unlink()
    watched.ends.clear()
    ended = watched.run(f"--move-to={watched.folder}/done", f"--on-done=echo $UNIT_NAME > {watched.folder}/told")
    assert (ended.status, ended.rows, ended.err) == (DONE, [["a", "ok"]], "")
    assert (watched.folder / "told").read_text() == "a\n" and names(watched.folder / "done") == []


def stays(watched, *acts):
    """A `sleep` for a watcher that stays: each call does the next of the acts; after the last one it interrupts."""
    todo = list(acts)

    def sleep(seconds):
        watched.now.now += seconds
        if not todo:
            raise KeyboardInterrupt
        todo.pop(0)()
    watched.now.sleep = sleep
    return sleep


def wait():
    """An act that does nothing: time goes by."""


def test_what_a_watcher_that_stays_has_told_is_not_told_again_by_a_visit(watched, monkeypatch):
    watched.drop("a.tsv")
    watched.ends["a"] = "no good"
    monkeypatch.setattr(watched.now, "sleep", stays(watched, *[wait] * 3))
    assert watched.run(once=False).err.count("no good") == 1
    visit = watched.run()
    assert (visit.status, visit.out, visit.err) == (DONE, "", "")
    assert [one["name"] for one in ledger_reader.read_failures(watched.book)] == ["a"]


def test_a_watcher_that_stays_takes_new_files(watched, monkeypatch):
    done = watched.folder / "done"
    monkeypatch.setattr(watched.now, "sleep", stays(watched, wait, lambda: watched.drop("a.tsv"), *[wait] * 60,
                                                    lambda: watched.drop("b.tsv"), *[wait] * 60))
    ended = watched.run(f"--move-to={done}", once=False, settle=60)
    assert ended.status == INTERRUPTED and ended.rows == [["a", "ok"], ["b", "ok"]]
    assert names(done) == ["a.tsv", "b.tsv"] and ended.err.endswith("interrupted\n") and ended.err.count("\n") == 1


def test_a_folder_that_vanishes_for_a_while_is_waited_for(watched, monkeypatch):
    watched.drop("a.tsv")
    away = watched.folder / "away"
    monkeypatch.setattr(watched.now, "sleep", stays(
        watched, lambda: watched.inbox.rename(away), *[wait] * 9, lambda: away.rename(watched.inbox),
        lambda: watched.drop("b.tsv"), *[wait] * 9))
    ended = watched.run("--pause=1", once=False)
    assert ended.status == INTERRUPTED and ended.rows == [["a", "ok"], ["b", "ok"]]
    assert f"{watched.inbox}: No such file or directory" in ended.err and len(watched.begun) == 2


def test_once_ends_if_the_folder_can_not_be_read(watched, monkeypatch):
    def gone(*line):
        raise GalaxyError(f"{watched.inbox}: Stale file handle", TRY_LATER)
    monkeypatch.setattr(watcher, "scan_folder", gone)
    ended = watched.run()
    assert (ended.status, ended.out) == (TRY_LATER, "") and ended.err.endswith("in: Stale file handle\n")


def test_a_file_that_vanishes_before_it_is_taken_is_skipped(watched, monkeypatch):
    watched.drop("a.tsv")
    watched.drop("b.tsv")
    real = watcher.is_complete

    def complete(drop, *line):
        if drop.name == "a":
            os.unlink(drop.place)
        return real(drop, *line)
    monkeypatch.setattr(watcher, "is_complete", complete)
    ended = watched.run()
    assert (ended.status, ended.rows, ended.err) == (DONE, [["b", "ok"]], "")


def test_a_server_that_is_away_ends_a_watcher_only_with_once(watched, monkeypatch):
    watched.drop("a.tsv")
    step, away = ScriptedRunner.run_round, [True] * 3

    def unless_away(self, seconds):
        if away and away.pop():
            raise GalaxyError(f"{URL} can't be reached: try again later", TRY_LATER)
        return step(self, seconds)
    monkeypatch.setattr(ScriptedRunner, "run_round", unless_away)
    ended = watched.run()
    assert (ended.status, ended.out, ended.err.count("\n")) == (TRY_LATER, "", 1)
    monkeypatch.setattr(watched.now, "sleep", stays(watched, *[wait] * 5))
    stayed = watched.run(once=False)
    assert (stayed.status, stayed.rows, stayed.err.count("can't be reached")) == (INTERRUPTED, [["a", "ok"]], 1)


def test_a_server_that_is_away_is_not_asked_all_the_time_while_a_unit_is_worked_on(watched, monkeypatch):
    rounds = []

    def away(self, seconds):
        self.busy.add("a unit's key")
        rounds.append(seconds)
        assert len(rounds) < 9
        raise GalaxyError(f"{URL} can't be reached: try again later", TRY_LATER)
        yield
    monkeypatch.setattr(ScriptedRunner, "run_round", away)
    monkeypatch.setattr(watched.now, "sleep", stays(watched, wait, wait))
    stayed = watched.run(once=False)
    assert (stayed.status, len(rounds), stayed.err.count("can't be reached")) == (INTERRUPTED, 3, 1)


def test_a_unit_missed_while_the_server_was_away_is_taken_later(watched, monkeypatch):
    watched.drop("a.tsv")
    watched.ends["a"] = "no good"
    assert watched.run().status == FAILED
    watched.ends.clear()
    reset, away = runner.begin_again, [True]

    def unless_away(galaxy, sample, *how):
        if away and away.pop():
            raise GalaxyError(f"{URL} can't be reached: try again later", TRY_LATER)
        reset(galaxy, sample, *how)
    monkeypatch.setattr(runner, "begin_again", unless_away)
    watched.drop("b.tsv")
    assert watched.run("--retry=run").status == TRY_LATER
    away.append(True)
    # so that it happens to one that stays in a later look
    watched.inbox.rename(watched.folder / "away")
    watched.inbox.mkdir()
    monkeypatch.setattr(watched.now, "sleep", stays(watched, lambda: watched.inbox.rmdir(), lambda: (
        watched.folder / "away").rename(watched.inbox), *[wait] * 9))
    ended = watched.run("--retry=run", "--pause=1", once=False)
    assert ended.rows == [["a", "ok"], ["b", "ok"]] and ended.err.count("can't be reached") == 1


def test_a_key_that_is_no_longer_valid_ends_the_watcher(watched, monkeypatch):
    def refused(self, seconds):
        raise GalaxyError("401 Unauthorized: check the key", status=401)
    monkeypatch.setattr(ScriptedRunner, "run_round", refused)
    watched.drop("a.tsv")
    assert watched.run(once=False).status == FAILED


@pytest.fixture
def signals():
    """Restores the handler of SIGTERM afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_sigterm_ends_a_waiting_watcher(watched, monkeypatch, signals):
    watched.drop("a.tsv")
    watched.ends["a"] = "running"
    monkeypatch.setattr(watched.now, "sleep", stays(watched, wait, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    ended = watched.run(once=False)
    assert (ended.status, ended.out, ended.err) == (128 + signal.SIGTERM, "", "")
    assert names(watched.folder) == ["home", "in", "ledger"]        # no log, no lock
    base = sqlite3.connect(f"file:{watched.book}?mode=ro", uri=True)
    assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    base.close()
    assert watched.units() == [("a", "running")]
    watched.ends.clear()
    assert watched.run().rows == [["a", "ok"]] and len(watched.begun) == 1


def test_sigterm_during_a_command_kills_it_and_the_next_start_repeats_it(watched, signals):
    watched.drop("a.tsv")
    ended = watched.run(f"--on-done=kill {os.getpid()}; sleep 300")
    assert (ended.status, ended.out, ended.err) == (143, "", "") and watched.units() == [("a", "running")]
    assert watched.run(f"--on-done=echo told > {watched.folder}/told").rows == [["a", "ok"]]
    assert (watched.folder / "told").read_text() == "told\n" and len(watched.begun) == 1


def test_a_second_watcher_is_told_to_try_again_later(watched):
    watched.drop("a.tsv")
    with ledger.Ledger(watched.book):
        ended = watched.run()
    assert (ended.status, ended.out, watched.begun) == (TRY_LATER, "", [])
    assert f"{watched.book}: run {os.getpid()} (since " in ended.err and ended.err.count("\n") == 1


def test_the_ledger_of_something_else_is_refused(watched):
    with ledger.Ledger(watched.book, server="http://other.test") as book:
        book.add("k", "b", history="h", own_history=True, unique_title=True, title="b - Flow [k]", state="ok")
    ended = watched.run()
    assert ended.status == USAGE and "is the ledger of server=http://other.test" in ended.err


def test_format_and_fields_select_what_is_printed(watched):
    watched.drop("a.tsv")
    assert watched.run("--format=jsonl", "--fields=name,state,history").out == \
        json.dumps({"name": "a", "state": "ok", "history": "h"}) + "\n"


def test_quiet_prints_the_rows_and_nothing_where_nothing_ended(watched):
    watched.drop("b.tsv")
    ended = watched.run("-q")
    assert (ended.status, ended.rows, ended.err) == (DONE, [["b", "ok"]], "")
    ended = watched.run("-q")
    assert (ended.status, ended.out, ended.err) == (DONE, "", "")
    watched.drop("c.tsv")
    assert watched.run("-q", "--format=value", "--fields=name").out == "c\n"
