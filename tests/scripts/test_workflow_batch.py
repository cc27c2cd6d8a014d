"""workflow_batch.py on a fake Galaxy: what its options do, and what is refused before anything is sent."""
import csv
import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import workflow_batch
from fakes import KEY
from fakes.batches import Batch, batch, real_server, server
from fakes.galaxy import INPUTS, USER, WORKFLOW, FakeGalaxy
from fakes.pages import Page

from common import DONE, FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts import checkpoint
from galaxy_api_scripts.batch import summary
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.datasets import target_history, upload

__all__ = ["batch", "real_server", "server"]        # fixtures
SCRIPT = Path(workflow_batch.__file__)


def test_each_row_is_run_once(batch, server):
    batch.sheet("sample table tags", "a a.tsv one,two", "b b.tsv ")
    line = [f"--download={batch.folder}/out", "--tag=x"]
    ended = batch(*line)
    assert {name: row["state"] for name, row in ended.rows.items()} == {"a": "ok", "b": "ok"} and ended.err == ""
    batch.once_each("a", "b")
    assert [(batch.folder / "out" / name / "first.tabular").read_text() for name in "ab"] == ["a.tsv\n", "b.tsv\n"]
    assert {one["name"][0]: one["tags"] for one in server.histories.values()} == {"a": ["x", "one", "two"], "b": ["x"]}
    assert sorted(ended.sent) == ["POST fetch"] * 2 + ["POST histories"] * 2 + ["POST invocations"] * 2 + [
        "POST upload"] * 2 + ["PUT history"] * 2
    again = batch(*line)
    assert (again.sent, again.out, again.err) == ([], "", "")
    batch.sheet("sample table tags", "a a.tsv one,two", "b b.tsv ", "c c.tsv ")
    assert list(batch(*line).rows) == ["c"]
    batch.once_each("a", "b", "c")


def test_values_of_the_row_and_the_command_line_are_in_the_request(batch, server):
    batch.path.write_text("sample\ttable\tlines\thistory\na\ta.tsv\t7\tMy run\n")
    (batch.folder / "a.tsv").write_text("a.tsv\n")
    history = server.post_histories({}, {"name": "mine"})["id"]
    there = server._dataset(server.histories[history], "there", "tabular", b"!", state="ok")
    batch.words = [f"other=hda:{there['id']}"]
    row = batch("--use-cached-jobs", "--allow-corrections", "--param=cat1:x=1").rows["a"]
    assert server.histories[row["history"]]["name"].startswith("My run [")
    [run] = server.runs.values()
    uploaded = server.histories[row["history"]]["contents"][0]
    assert run["request"] == {
        "history_id": row["history"], "inputs_by": "step_index", "no_add_to_history": True, "use_cached_job": True,
        "inputs": {"0": {"src": "hda", "id": uploaded}, "1": {"src": "hda", "id": there["id"]}, "2": 7},
        "parameters": {"cat1": {"x": "1"}}, "allow_tool_state_corrections": True}


@pytest.mark.parametrize("way", ["id", "name", "new"])
def test_all_rows_can_share_a_history(batch, server, way):
    batch.samples("a", "b")
    if way != "new":
        server.post_histories({}, {"name": "All"})
    [there] = [one["id"] for one in server.histories.values()] or [""]
    line = f"--history={ {'id': there, 'name': 'All', 'new': 'new:All'}[way] }"
    rows = batch(line).rows
    [history] = server.histories.values()
    assert {row["history"] for row in rows.values()} == {history["id"]} and len(history["contents"]) == 4
    assert history["name"].startswith("All [") == (way == "new")
    batch.samples("a", "b", "c")
    assert list(batch(line).rows) == ["c"] and len(server.histories) == 1


def test_all_rows_can_be_one_run(batch, server):
    batch.samples("a", "b", "c")
    line = ["--as-collection", f"--download={batch.folder}/out"]
    ended = batch(*line)
    assert list(ended.rows) == ["sheet"] and ended.rows["sheet"]["state"] == "ok"
    [run] = server.runs.values()
    given = server.collections[run["inputs"]["0"]["id"]]
    assert [name for name, _ in given["elements"]] == ["a", "b", "c"]
    files = (batch.folder / "out" / "sheet" / "first").iterdir()
    assert {path.name: path.read_text() for path in files} == {f"{name}.tabular": f"{name}.tsv\n" for name in "abc"}
    assert batch(*line).sent == []


def test_the_summary_has_a_row_for_each_sample(batch, server):
    batch.samples("a", "b")
    server.failures["b.tsv"] = ["boom"]
    for name, delimiter in (("runs.tsv", "\t"), ("runs.CSV", ",")):
        batch(f"--summary={batch.folder}/{name}", status=SOME_FAILED)
        with open(batch.folder / name, newline="") as file:
            rows = list(csv.DictReader(file, delimiter=delimiter))
        assert list(rows[0]) == summary.ROW_FIELDS
        assert [(row["name"], row["state"], row["failed_step"]) for row in rows] == [
            ("a", "ok", ""), ("b", "failed", "3 (copy)")]


def test_the_page_has_all_samples_and_what_failed(batch, server):
    batch.samples("a", "b")
    server.failures["b.tsv"] = ["boom"]
    page = batch.folder / "page.html"
    assert batch(f"--report={page}", "--dry-run").code == DONE and not page.exists()
    batch(f"--report={page}", f"--download={batch.folder}/out", status=SOME_FAILED)
    text = Page(page.read_text()).text
    assert "1 of 2 failed" in text and "b, at step 3 (copy)" in text and "boom" in text and "./out/a/" in page.read_text()
    batch.samples("a", "b", "c")
    asked = len(server.asked)
    batch("--once", f"--report={page}", status=None)
    assert "of 3 " in Page(page.read_text()).text
    assert not [one for one in server.kinds[asked:] if "metrics" in one and "invocation" in one][2:]     # c's alone
    page.write_text("mine")
    refused = batch(f"--report={page}", status=USAGE)
    assert "no page of these scripts, so it is not replaced" in refused.err
    assert refused.sent == [] and page.read_text() == "mine"


def test_again_runs_a_sample_however_it_ended(batch, server):
    batch.samples("a", "b")
    before = batch(f"--download={batch.folder}/out").rows
    assert before["a"]["results"] == f"{batch.folder}/out/a"
    files = sorted(path.name for path in (batch.folder / "out" / "a").iterdir())
    again = batch(f"--download={batch.folder}/out", "--again=a")
    assert list(again.rows) == ["a"] and again.rows["a"]["attempt"] == "2" and len(server.runs) == 3
    assert again.rows["a"]["history"] == before["a"]["history"] and "POST fetch" not in again.sent
    assert sorted(path.name for path in (batch.folder / "out" / "a").iterdir()) == files     # the new one, and no other
    assert len((batch.folder / "out/a/manifest.tsv").read_text().splitlines()) == len(files)
    unknown = batch("--again=a,c", status=USAGE)
    assert "--again=c: there is no such sample" in unknown.err and unknown.sent == []


def test_a_dry_run_shows_how_samples_ended_before(batch, server):
    batch.samples("a", "b")
    server.failures["b.tsv"] = ["boom"]
    batch(status=SOME_FAILED)
    told = list(csv.DictReader(batch("--dry-run", "--fields=sample,before").out.splitlines(), delimiter="\t"))
    assert told == [{"sample": "a", "before": "ok"}, {"sample": "b", "before": "failed"}]


def test_a_full_disk_at_the_end_is_reported(batch, server, monkeypatch):
    batch.samples("a")

    def full(*what, **more):
        raise GalaxyError("--summary=x: No space left on device")
    monkeypatch.setattr(summary, "write_output", full)
    ended = batch(f"--summary={batch.folder}/x", status=FAILED)
    assert "No space left on device" in ended.err and ended.rows["a"]["state"] == "ok"
    batch.once_each("a")


def test_format_and_fields_select_what_is_printed(batch, server):
    batch.samples("a")
    assert batch("--format=value", "--fields=name,state").out == "a\tok\n"


@pytest.mark.parametrize("options, is_drawn", [([], True), (["-q"], False)])
def test_quiet_silences_the_bar_and_not_the_rows(batch, server, monkeypatch, options, is_drawn):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    batch.samples("a")
    ended = batch(*options)
    assert ended.rows["a"]["state"] == "ok" and ("samples: " in ended.err) == is_drawn
    assert batch("-q").out == ""        # nothing was left to do


# ------------------------------------------------------------------------------------------- before anything is sent

def test_all_problems_are_reported_at_once(batch, server):
    batch.path.write_text("sample\ttable\tlines\tworld\na\tno.tsv\t1\tx\nb\tnone.tsv\tmany\ty\n\tb.tsv\t1\tz\n")
    ended = batch(status=USAGE)
    assert ended.sent == [] and ended.out == "" and not Path(f"{batch.path}.ledger").exists()
    for said in ("things are wrong, so nothing was sent", "no.tsv", "none.tsv", "'many' is not an integer", "is empty",
                 "fits no input", "--map=world=LABEL"):
        assert said in ended.err, said
    assert ended.err.count("sheet.tsv:") == 1


def test_a_column_of_another_name_can_be_mapped(batch, server):
    batch.sheet("sample tabel", "a a.tsv")
    assert "(did you mean 'table'?)" in batch(status=USAGE).err
    assert batch("--map=tabel=table").rows["a"]["state"] == "ok"


def test_the_dry_run_shows_the_sample_and_the_input_that_is_called_sample(batch, server):
    """D27."""
    server.inputs = {"sample": INPUTS["table"], "before": INPUTS["other"], "lines": INPUTS["lines"]}
    batch.sheet("sample reads reads2", "a a.tsv c.tsv", "b b.tsv c.tsv")
    ended = batch("--dry-run", "--map=reads=sample", "--map=reads2=before")
    rows = list(csv.DictReader(ended.out.splitlines(), delimiter="\t"))
    assert [(row["sample"], row["before"], Path(row["sample (0)"]).name, Path(row["before (1)"]).name) for row in rows] == [
        ("a", "", "a.tsv", "c.tsv"), ("b", "", "b.tsv", "c.tsv")]


def test_the_dry_run_shows_both_of_two_inputs_of_one_label(tmp_path, capsys):
    """D27: Galaxy calls all inputs without labels `Input Dataset`."""
    workflow = {"inputs": {"0": {"label": "Input Dataset"}, "1": {"label": "Input Dataset"}, "2": {"label": ""}}}
    row = types.SimpleNamespace(line=2, sample="a", inputs=types.SimpleNamespace(values={"0": "x", "1": "y", "2": 3}))
    workflow_batch.show_plan([row], workflow, tmp_path / "none", {"format": "jsonl", "fields": []})
    assert json.loads(capsys.readouterr().out) == {"row": 2, "sample": "a", "before": None, "Input Dataset (0)": "x",
                                                   "Input Dataset (1)": "y", "2": 3}


def test_a_dry_run_changes_nothing(batch, server):
    batch.samples("a", "b")
    ended = batch("-n", "--format=jsonl")
    assert ended.sent == [] and not Path(f"{batch.path}.ledger").exists() and '"sample": "b"' in ended.out
    assert "b.tsv" in ended.out and ended.err == ""


@pytest.mark.parametrize("options, said", [
    (["--history="], "--history is empty"), (["--download="], "--download is empty"), (["--outputs="], "--outputs is empty"),
    (["--ledger="], "--ledger is empty"), (["--max-running=0"], "expected an integer, 1 or more"),
    (["--timeout=soon"], "--timeout=soon"),
    (["--param=x"], "STEP:NAME=VALUE"), (["--tag=a b"], "--tag=a b"), (["--map=x"], "COLUMN=LABEL"),
    (["--outputs=nosuch"], "there is no output 'nosuch': there are first"), (["--fastq=."], "--fastq=."),
    (["--summary=/nowhere/x.tsv"], "--summary=/nowhere/x.tsv"), (["--fields=path"], "there is no path"),
    (["--download=/dev/null"], "not a folder")])
def test_a_bad_command_line_is_refused(batch, server, options, said):
    batch.samples("a")
    ended = batch(*options, status=USAGE)
    assert said in ended.err and ended.sent == [] and ended.out == ""


def test_a_missing_sheet_or_workflow_is_reported(batch, server, script, capsys):
    assert "No such file" in batch(status=USAGE).err
    batch.samples("a")
    assert script(workflow_batch.main, KEY, server.url, "none.ga", batch.path) == USAGE
    assert "none.ga: no such file" in capsys.readouterr().err
    assert script(workflow_batch.main, KEY, server.url) == USAGE
    assert "workflow_batch.py" in capsys.readouterr().err and server.writes() == []


def test_a_wrong_key_is_reported_once(batch, server, script, capsys):
    batch.samples("a")
    assert script(workflow_batch.main, "f" * 32, server.url, WORKFLOW, batch.path) == FAILED
    told = capsys.readouterr()
    assert "check the key" in told.err and "f" * 32 not in told.err and told.out == "" and server.writes() == []


# ------------------------------------------------------------------------------------------------------- the ledger

def test_a_second_process_is_told_to_try_again_later(batch, server):
    batch.samples("a")
    with Ledger(f"{batch.path}.ledger"):
        ended = batch(status=TRY_LATER)
    assert f"run {os.getpid()} (since " in ended.err and ended.sent == []
    assert batch().rows["a"]["state"] == "ok"


def test_the_ledger_of_something_else_is_refused(batch, server):
    batch.samples("a")
    batch()
    server.users[KEY] = {"id": USER, "username": "other", "email": "", "is_admin": False}
    ended = batch(status=USAGE)
    assert "is the ledger of user=me, not other" in ended.err and ended.sent == []
    server.users[KEY]["username"] = "me"
    assert batch(f"--ledger={batch.folder}/other").sent == []       # the history is found, and the run in it


@pytest.mark.parametrize("history", ["own", "new:All", "All"])
def test_the_same_server_spelled_another_way_is_known_by_its_histories(batch, server, history):
    """B20: it is asked for a history that only the ledger's own server can have; the ledger says what it has noted."""
    batch.samples("a")
    server.post_histories({}, {"name": "All"})
    line = [] if history == "own" else [f"--history={history}"]
    batch(*line)
    book, here, there = f"{batch.path}.ledger", server.url, server.url.replace("127.0.0.1", "localhost")
    server.url = there
    if history == "All":        # a name that any server may have
        ended = batch(*line, status=USAGE)
        assert f"{book}: is the ledger of server={here}, not {there}, and none of its histories was found there: " \
            "--same-server says" in ended.err and ended.sent == []
        line.append("--same-server")
    ended = batch(*line)
    assert ended.sent == [] and ended.out == "" and ended.err.endswith(
        f"{book}: {there} is the same server as {here}, so the ledger notes it from now on\n") and ended.err.count("\n") == 1
    assert batch(*line).err == ""
    batch.samples("a", "b")
    assert list(batch(*line).rows) == ["b"]


def test_another_server_is_not_taken_for_the_ledgers_own(batch, server):
    """B20: it has a history of the same id, as servers with Galaxy's default secret have."""
    batch.samples("a")
    batch()
    with FakeGalaxy(server.clock) as other:
        other.post_histories({}, {"name": "Unnamed history"})
        assert other.histories.keys() & server.histories.keys()
        batch.server = other
        ended = batch(status=USAGE)
    assert f"is the ledger of server={server.url}, not {other.url}" in ended.err and ended.sent == []


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)])
@pytest.mark.parametrize("kind", ["POST fetch", "POST invocations", "GET jobs_summaries"])
def test_an_interrupted_batch_is_resumed(real_server, tmp_path, script, capsys, monkeypatch, number, code, kind):
    for module in (checkpoint, target_history, upload):     # the fake does at once what it was asked for
        monkeypatch.setattr(module, "SETTLE_SECONDS", 3)
    batch = Batch(real_server, tmp_path / "batch", script, capsys)
    batch.samples("a", "b")
    process = types.SimpleNamespace()
    real_server.answers[kind] = [lambda handler: process.began.send_signal(number)]
    real_server.lost[kind] = kind != "GET jobs_summaries"
    process.began = subprocess.Popen([sys.executable, SCRIPT, KEY, real_server.url, WORKFLOW, batch.path],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                     env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])})
    out, said = process.began.communicate(timeout=60)
    assert process.began.returncode == code and "Traceback" not in said and KEY not in said
    assert "state" in out or out == ""
    while batch(status=None).code == TRY_LATER:
        pass
    batch.once_each("a", "b")
    assert batch(status=DONE).sent == []


def test_once_leaves_the_rest_waiting_if_enough_are_running(batch, server):
    server.polls = 9
    batch.samples("a", "b", "c")
    assert batch("--timeout=5", "--max-running=1", status=STILL_RUNNING).rows == {}
    assert {name: one[0]["state"] for name, one in batch.units().items()} == {"a": "running", "b": "waiting", "c": "waiting"}
