"""Batches and watched folders that people, clocks or other programs have interfered with: nothing is lost or run twice."""

import hashlib
import os
from types import SimpleNamespace

import pytest
import workflow_batch
from fakes import KEY, URL

from common import FAILED, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.batch import ledger, samples, summary
from galaxy_api_scripts.batch import watcher as watcher_module
from galaxy_api_scripts.batch.ledger_reader import count_states
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.checkpoint import find_sent
from galaxy_api_scripts.datasets import target_history

WAIT = 20       # seconds within which a sample's steps are done
DATASET = {"0": {"id": "d", "src": "hda", "label": "table"}}


@pytest.fixture
def memory(tmp_path):
    with ledger.Ledger(tmp_path / "book") as memory:
        yield memory


@pytest.fixture
def work(memory):
    with BatchRunner(Galaxy(KEY, URL), memory) as work:
        yield work


def add_sample(memory, name="a", **facts):
    """A sample whose invocation i runs in history h, unless the facts say something else."""
    return memory.add(f"key of {name}", name, **{"state": "running", "attempt": 1, "history": "h", "invocation": "i",
                                                 "purpose": "", "files": {}, "folder": name, **facts})


def mock_finished_run(requests_mock, *others):
    """Galaxy, whose invocation i in history h has ended well, and which has `others` of that workflow there: `(id,
    inputs)`."""
    about = {"id": "i", "state": "completed", "workflow_id": "w", "inputs": DATASET, "outputs": {}, "output_collections": {}}
    summary = {"id": "i", "states": {"ok": 1}, "populated_state": "ok"}
    requests_mock.get(f"{URL}/api/histories/h/jobs_summary", json=[summary])
    requests_mock.get(f"{URL}/api/invocations/i", json=about)
    requests_mock.get(f"{URL}/api/invocations/i/jobs_summary", json=summary)
    requests_mock.get(f"{URL}/api/invocations", json=[{"id": one, "state": "scheduled"} for one in [
        *(one for one, _ in others), "i"]])
    for one, inputs in others:
        requests_mock.get(f"{URL}/api/invocations/{one}", json={**about, "id": one, "inputs": inputs})
        requests_mock.delete(f"{URL}/api/invocations/{one}", json={})


def cancelled(requests_mock):
    return [request.path.rpartition("/")[2] for request in requests_mock.request_history if request.method == "DELETE"]


# ------------------------------------------------------------------------------------------------- other people's runs

def test_the_runs_of_other_samples_in_one_history_are_left_alone(work, memory, requests_mock):
    """A batch with --history is resumed by a line without it."""
    mock_finished_run(requests_mock, ("j", DATASET))
    unit = add_sample(memory, inputs={"0": {"src": "hda", "id": "d"}}, own_history=False)
    work.adopt_orphans()
    assert [one.name for one in work.run_round(WAIT)] == ["a"]
    assert (unit.state, cancelled(requests_mock)) == ("ok", [])


def test_what_a_person_runs_on_other_inputs_in_a_samples_history_is_left_alone(work, memory, requests_mock):
    """Only invocations on the same inputs are cancelled."""
    mock_finished_run(requests_mock, ("theirs", {"0": {**DATASET["0"], "id": "e"}}), ("late", DATASET))
    unit = add_sample(memory, inputs={"0": {"src": "hda", "id": "d"}}, own_history=True)
    work.adopt_orphans()
    assert [one.name for one in work.run_round(WAIT)] == ["a"]
    assert (unit.state, cancelled(requests_mock)) == ("ok", ["late"])


# ---------------------------------------------------------------------------------------------- runs that may go on still

WORKFLOW = {"id": "w", "name": "Flow"}


def request_of(purpose="", files=None):
    """What a runner asks of a `RunRequest`, with `files` as {path: (size, time)}."""
    sources = [SimpleNamespace(files={path: (path,)}) for path in files or {}]
    return SimpleNamespace(purpose=purpose, files=files or {}, sources=sources, workflow=WORKFLOW)


PLAN = request_of()


def mock_paused_run(requests_mock):
    """Galaxy, whose invocation i has come to a step that a person has to review."""
    step = {"order_index": 1, "id": "s", "state": "scheduled", "action": None, "workflow_step_label": "look"}
    summary = {"id": "i", "states": {"ok": 1}, "populated_state": "new"}
    requests_mock.get(f"{URL}/api/histories/h/jobs_summary", json=[summary])
    requests_mock.get(f"{URL}/api/invocations/i", json={"id": "i", "state": "ready", "workflow_id": "w", "steps": [step]})
    requests_mock.get(f"{URL}/api/workflows/w", json={"steps": {"1": {"type": "pause"}}})


def test_a_run_that_was_reviewed_is_resumed_by_the_same_line(work, memory, requests_mock):
    mock_paused_run(requests_mock)
    unit = add_sample(memory, own_history=True, purpose=samples.stable_hash("a", ""))
    work.adopt_orphans()
    assert [one.name for _ in range(2) for one in work.run_round(WAIT)] == ["a"]
    assert unit.state == "failed" and "is waiting for a review of step 1 (look)" in unit.message
    mock_finished_run(requests_mock)
    with BatchRunner(work.galaxy, memory) as later:
        assert later.submit("a", PLAN).key == unit.key
        assert [one.name for one in (*later.run_round(WAIT), *later.run_round(WAIT))] == ["a"]
    assert (unit.state, unit.attempt, unit.invocation) == ("ok", 1, "i")


def test_a_run_that_galaxy_no_longer_knows_is_submitted_again(work, memory, requests_mock):
    unit = add_sample(memory, own_history=True, purpose=samples.stable_hash("a", ""),
                  state="failed", failed_step="run", message="404")
    requests_mock.get(f"{URL}/api/invocations/i", status_code=404)
    requests_mock.get(f"{URL}/api/histories/h", json={"deleted": False})
    work.submit("a", PLAN)
    assert (unit.state, unit.attempt, unit.invocation) == ("waiting", 2, None)


def test_a_sample_that_was_taken_on_again_by_a_process_that_was_killed_then_is_not_given_up(work, memory, requests_mock):
    """Its results could not be fetched, its row is gone, and it waits, as `submit` leaves it."""
    mock_finished_run(requests_mock)
    unit = add_sample(memory, state="waiting", own_history=True)
    fresh = add_sample(memory, "b", state="waiting", invocation=None)
    work.adopt_orphans()
    assert [one.name for one in (*work.run_round(WAIT), *work.run_round(WAIT))] == ["a"]
    assert (unit.state, fresh.state) == ("ok", "gone")


# ------------------------------------------------------------------------------------------------------ where results go

def folder_names(work, *names):
    """The folders of new samples of these names; each repeated name is another sample's."""
    return [work.submit(name, request_of(number)).notes.folder
            for number, name in enumerate(names)]


@pytest.mark.parametrize("names", [["a", "a", "a.2"],
                                   ["a.2", "a", "a"], ["a/b", "a_b", "a\\b"], ["a.2", "a", "a.2", "a.2.2"]])
def test_no_two_samples_share_a_folder(work, names):
    made = folder_names(work, *names)
    assert len(set(made)) == len(names) and not any("/" in one for one in made)


def test_a_folder_has_the_samples_name_if_possible(work):
    assert folder_names(work, "S1", "S1.2", "a b", "é" * 100) == ["S1", "S1.2", "a b", "é" * 100]


def test_a_folders_name_of_too_many_bytes_is_cut(work):
    first, second = folder_names(work, "é" * 199 + "a", "é" * 199 + "b")
    assert max(len(one.encode()) for one in (first, second)) <= 255 and first != second and first.startswith("é" * 100)


def test_results_that_were_never_downloaded_are_downloaded_on_request(work, memory, requests_mock, tmp_path):
    mock_finished_run(requests_mock)
    unit = add_sample(memory, state="ok", own_history=True, purpose=samples.stable_hash("a", ""),
                      begun="2026-01-01T00:00:00Z")
    work.submit("a", PLAN)
    assert (unit.state, work.unfinished) == ("ok", [])
    with BatchRunner(work.galaxy, memory, folder=tmp_path / "out") as fetching:
        fetching.submit("a", PLAN)
        assert [one.name for one in (*fetching.run_round(WAIT), *fetching.run_round(WAIT))] == ["a"]
    assert unit.state == "ok" and (tmp_path / "out" / "a").is_dir() and unit.begun == "2026-01-01T00:00:00Z"
    elsewhere = BatchRunner(work.galaxy, memory, folder=tmp_path / "new")
    elsewhere.submit("a", PLAN)
    assert elsewhere.unfinished == []        # they were fetched, and are where they were put, or in somebody's hands


def test_a_changed_file_is_not_taken_for_the_one_that_was_uploaded_before(work, memory):
    """The process was killed when the attempt was saved and not begun."""
    before = add_sample(memory, state="waiting", purpose=samples.stable_hash("a", ""), files={"/f": [1, 1, ""]},
                        inputs={"0": 1}, invocation=None)
    changed = request_of(files={"/f": (1, 2)})
    assert work.submit("a", changed).key != before.key
    work.adopt_orphans()
    assert before.state == "gone"


@pytest.mark.parametrize("style, out", [("json", "[]\n"), ("jsonl", ""), ("csv", ""), (None, "")])
def test_without_rows_only_json_prints_an_empty_list(style, out, capsys):
    summary.print_rows(iter([]), {"format": style, "fields": []})
    assert capsys.readouterr().out == out


# ---------------------------------------------------------------------------------------------- a clock that was put back

def test_a_clock_that_was_put_back_delays_nothing_for_long(work, memory, requests_mock, clock, monkeypatch):
    """A run and a history were requested an hour later than it is now, and never appeared."""
    requests_mock.get(f"{URL}/api/histories", json=[])
    hence = clock.now + 3600
    unit = add_sample(memory, invocation=None, asked=hence, known=[], history_requested=hence)
    assert find_sent(unit, "invocation", lambda: None, patient=True) is None
    requests_mock.post(f"{URL}/api/histories", json={"id": "new"})
    with pytest.raises(GalaxyError, match="run the same line again"):
        target_history.create_history_once(work.galaxy, "title", unit)
    assert sum(clock.slept) < 100


def test_a_file_noted_in_the_future_is_taken_after_the_usual_time(memory, tmp_path, clock, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tsv").write_text("x")
    taken = []
    for clock.now in (9000.0, 1000.0, 1059.0, 1060.0):
        watcher = watcher_module.Watcher(SimpleNamespace(ledger=memory, context=SimpleNamespace()),
                                         watcher_module.WatchSettings(str(tmp_path / "in"), "file", settle=60), None)
        watcher.take = lambda drop, known: taken.append((drop.name, clock.now))
        watcher.scan()
    assert taken == [("a", 1060.0)]


# ------------------------------------------------------------------------------------------------------- the command line

@pytest.fixture
def sheet(tmp_path):
    (tmp_path / "a.tsv").write_text("x\t1\n")
    sheet = tmp_path / "s.tsv"
    sheet.write_text("sample\ttable\na\ta.tsv\n")
    return sheet


def test_a_summary_replaces_neither_the_sheet_nor_the_ledger(script, sheet, capsys, tmp_path):
    before = sheet.read_text()
    (tmp_path / "link").symlink_to(sheet)
    for place in (sheet, f"{sheet}.ledger", tmp_path / "link"):
        assert script(workflow_batch.main, f"--summary={place}", KEY, URL, "f2db41e1fa331b3e", sheet) == USAGE
        assert "it would replace" in capsys.readouterr().err
    assert sheet.read_text() == before and not (tmp_path / "s.tsv.ledger").exists()


def test_a_sheet_from_a_pipe_needs_a_named_ledger(script, sheet, capsys, monkeypatch, tmp_path):
    """Else all sheets from pipes would share one."""
    monkeypatch.chdir(tmp_path)
    with sheet.open() as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        assert script(workflow_batch.main, KEY, URL, "f2db41e1fa331b3e", "-") == USAGE
    assert "--ledger=FILE names one" in capsys.readouterr().err and not (tmp_path / "-.ledger").exists()


def test_a_deleted_history_is_refused_before_anything_is_sent(script, sheet, capsys, requests_mock):
    flow, old = "f2db41e1fa331b3e", "33b43b4e7093c91f"
    for path, answer in {
            "users/current": {"id": "me"}, f"histories/{old}": {"id": old, "name": "old", "deleted": True}, "workflows": [],
            f"workflows/{flow}": {"id": flow, "name": "Flow", "inputs": {}, "steps": {}},
            f"workflows/{flow}/download": {"steps": {}}}.items():
        requests_mock.get(f"{URL}/api/{path}", json=answer)
    assert script(workflow_batch.main, f"--history={old}", KEY, URL, flow, sheet) == FAILED
    assert f"history {old} (old) is deleted: undelete it" in capsys.readouterr().err
    assert {request.method for request in requests_mock.request_history} == {"GET"}


# ------------------------------------------------------------------------------------------- faults that are no sample's

def submit_samples(work, *names):
    for name in names:
        work.submit(name, request_of(name))


def test_five_refused_histories_in_a_row_end_the_batch(work, memory, requests_mock, capsys):
    requests_mock.get(f"{URL}/api/histories", status_code=403)
    requests_mock.get(f"{URL}/api/datasets", json=[])
    submit_samples(work, *"abcdefgh")
    work.max_running = 1
    assert [unit.state for unit in work.run()] == ["failed"] * 5 and count_states(work.ledger.path)["waiting"] == 3
    assert "the last 5 runs were refused, so the 3 that wait were not begun" in capsys.readouterr().err


def test_a_watcher_ends_after_five_refusals_in_a_row(work, memory, requests_mock):
    """Else it would stay without ever beginning anything again."""
    requests_mock.get(f"{URL}/api/histories", status_code=403)
    submit_samples(work, *"abcde")
    with pytest.raises(GalaxyError, match="5 runs were refused, so nothing more is begun: start it again"):
        list(work.run(find_more=lambda: None))


def test_a_sheet_in_a_read_only_folder_needs_a_named_ledger(script, sheet, capsys, monkeypatch):
    """A sequencer's folder is read-only. The tests may run as root, who can write anywhere, so os.access is replaced."""
    monkeypatch.setattr(ledger.os, "access", lambda path, mode: path != sheet.parent)
    assert script(workflow_batch.main, KEY, URL, "f2db41e1fa331b3e", sheet) == USAGE
    assert capsys.readouterr().err.endswith("s.tsv.ledger: the folder is read-only, so the ledger can't be there: "
                                            "--ledger=FILE names another place\n")


def test_a_summary_has_the_rows_of_the_sheet_only(script, sheet, requests_mock, tmp_path, capsys):
    """A run of the sample from before its row was changed ends meanwhile, and is not in it."""
    flow = "f2db41e1fa331b3e"
    asked = {"label": "table", "uuid": "u"}
    for path, answer in {
            "users/current": {"id": "me"}, "workflows": [], "datasets": [], "histories": [],
            f"workflows/{flow}": {"id": flow, "name": "Flow", "inputs": {"0": asked}, "steps": {
                "0": {"type": "data_input", "tool_inputs": {"optional": False}}}},
            f"workflows/{flow}/download": {"steps": {}}}.items():
        requests_mock.get(f"{URL}/api/{path}", json=answer)
    mock_finished_run(requests_mock)
    requests_mock.post(f"{URL}/api/histories", status_code=403)
    with ledger.Ledger(f"{sheet}.ledger") as before:
        add_sample(before, invocation="i", own_history=True)
    options = [f"--summary={tmp_path}/all.csv", "--fields=name,state"]
    assert script(workflow_batch.main, *options, KEY, URL, flow, sheet) == FAILED
    assert capsys.readouterr().out == "name\tstate\na\tok\na\tfailed\n"
    assert [line.split(",")[:2] for line in (tmp_path / "all.csv").read_text().splitlines()[1:]] == [["a", "failed"]]


# ------------------------------------------------------------------------------------------------ sheets that were moved

def make_request(*paths):
    files = {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}
    uploads = {str(index): {"upload": str(path), "extension": "tabular"} for index, path in enumerate(paths)}
    return request_of(["w", uploads], files)


def add_finished(memory, name, *paths):
    """A sample that has ended well on these files."""
    plan = make_request(*paths)
    return add_sample(memory, name, state="ok", purpose=samples.stable_hash(name, samples.portable_purpose(plan)), files={
        str(path): [*plan.files[str(path)], hashlib.sha256(path.read_bytes()).hexdigest()] for path in paths})


@pytest.fixture
def lanes(tmp_path):
    """Two files of one name and size."""
    for lane in ("L1", "L2"):
        (tmp_path / "old" / lane).mkdir(parents=True)
        (tmp_path / "old" / lane / "x.tsv").write_text(f"{lane}\n")
    return [tmp_path / "old" / lane / "x.tsv" for lane in ("L1", "L2")]


def test_files_that_were_moved_with_their_folder_are_not_run_again(work, memory, lanes, tmp_path):
    lanes[1] = lanes[1].rename(lanes[1].with_name("y.tsv"))
    unit = add_finished(memory, "a", *lanes)
    (tmp_path / "old").rename(tmp_path / "new")
    moved = [tmp_path / "new" / path.relative_to(tmp_path / "old") for path in lanes]
    assert work.submit("a", make_request(*moved)).key == unit.key
    assert list(unit.notes.files) == [str(path) for path in moved]
    assert work.submit("a", make_request(*moved)).key == unit.key


def test_another_file_of_the_same_name_is_another_sample(work, memory, lanes):
    unit = add_finished(memory, "a", lanes[0])
    os.utime(lanes[1], ns=(0, lanes[0].stat().st_mtime_ns))
    assert work.submit("a", make_request(lanes[1])).key != unit.key


def test_files_that_changed_places_are_another_sample(work, memory, lanes):
    unit = add_finished(memory, "a", *lanes)
    assert work.submit("a", make_request(*lanes)).key == unit.key
    assert work.submit("a", make_request(*reversed(lanes))).key != unit.key


def test_a_watcher_reports_once_that_a_server_is_away(work, clock, monkeypatch, capsys):
    """And again if the server was there in between."""
    looks = iter(["away", "away", "away", "", "away", "elsewhere"])

    def find_more():
        text = next(looks, "the end")
        if text:
            raise GalaxyError(text, FAILED if text == "the end" else TRY_LATER)

    with pytest.raises(GalaxyError, match="the end"):
        list(work.run(find_more=find_more))
    assert [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()] == ["away", "away", "elsewhere"]
