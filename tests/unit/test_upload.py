"""Files to datasets: what Galaxy is asked for, what is done when its answers are lost, and what a second run does."""
import gc
import hashlib
import itertools
import os
import sys
import threading
import time
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import dataset_upload
import pytest
from fakes import KEY
from fakes.faults import crash, cut, forget, lose_a_process, status, swallow
from fakes.server import LOST

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts import checkpoint
from galaxy_api_scripts.datasets import tus, upload
from galaxy_api_scripts.datasets.composite import composite_problem, join_components
from galaxy_api_scripts.datasets.sources import defer, expand_sources, parse_file
from galaxy_api_scripts.datasets.target_history import open_target_history
from galaxy_api_scripts.datasets.upload import UploadSettings

CONTENTS = "GET /api/histories/h/contents"


@pytest.fixture
def held(wire):
    """The datasets of history h, which a fetch adds to, as Galaxy lists them; `fetches` are the payloads; what `then` says
    becomes of each dataset, and `lose` loses the answers."""
    held = SimpleNamespace(datasets=[], fetches=[], then={}, lose=False, deleted=[])
    numbers = itertools.count(1)

    def fetch(handler):
        held.fetches.append(handler.json)
        datasets = []
        for element in handler.json["targets"][0]["elements"]:
            number = next(numbers)
            datasets.append({"id": f"d{number}", "hid": number, "name": element["name"], "state": "ok", "deleted": False,
                         "extension": element["ext"], "history_content_type": "dataset", "misc_info": "",
                         "file_size": 3, "hashes": element.get("hashes", []), **held.then.get(number, {})})
        held.datasets += datasets
        for one in datasets:
            wire.answers[f"DELETE /api/datasets/{one['id']}"] = (200, lambda handler, one=one: remove(one))
        return LOST if held.lose else {"outputs": datasets, "jobs": [{"id": "j"}]}

    def remove(one):
        held.deleted.append(one["id"])
        one["deleted"] = True
        return {}

    def contents(handler):
        if "state-in" in handler.path:
            return [one for one in held.datasets if one["state"] in ("queued", "running")]
        return held.datasets[-1:] if "hid-dsc" in handler.path else held.datasets

    wire.answers = {"GET /api/users/current": (200, {"id": "me"}), "POST /api/tools/fetch": (200, fetch),
                    "GET /api/histories/h": (200, {"id": "h", "name": "H", "user_id": "me"}), CONTENTS: (200, contents),
                    "GET /api/histories": (200, [{"id": "h", "name": "H"}])}
    wire.answers["GET /api/histories/0123456789abcdef"] = wire.answers["GET /api/histories/h"]
    return held


@pytest.fixture
def files(tmp_path):
    paths = []
    for name, content in (("a.fastq", b"aaa"), ("b.bed", b"bbb"), ("c", b"ccc")):
        (tmp_path / name).write_bytes(content)
        paths.append(str(tmp_path / name))
    return paths


def uploaded(wire, paths, **settings):
    sources = [parse_file(path) for path in paths]
    return list(upload.upload_sources(Galaxy(KEY, wire.url), "h", sources, UploadSettings(**settings)))


def verified(wire, uploads, timeout=None, **settings):
    return list(upload.verify_uploads(Galaxy(KEY, wire.url), "h", uploads, UploadSettings(**settings), timeout))


def fetches_of(wire):
    return wire.lines.count("POST /api/tools/fetch")


# ---------------------------------------------------------------------------------------------------------------- at once

def test_one_request_for_all_files(wire, held, files):
    uploads = uploaded(wire, files, dbkey="hg38", tags=["run12"])
    assert [one.dataset["id"] for one in uploads] == ["d1", "d2", "d3"]
    [fetch] = held.fetches
    assert fetch["history_id"] == "h" and fetch["targets"][0]["destination"] == {"type": "hdas"}
    assert [(one["src"], one["name"], one["ext"], one["dbkey"], one["tags"]) for one in fetch["targets"][0]["elements"]] == [
        ("files", "a.fastq", "fastqsanger", "hg38", ["run12"]), ("files", "b.bed", "bed", "hg38", ["run12"]),
        ("files", "c", "auto", "hg38", ["run12"])]
    assert [one["hashes"][0]["hash_value"] for one in fetch["targets"][0]["elements"]] == [
        hashlib.sha256(content).hexdigest() for content in (b"aaa", b"bbb", b"ccc")]
    assert [wire.upload(fetch[f"files_{number}|file_data"]["session_id"]) for number in range(3)] == [b"aaa", b"bbb", b"ccc"]
    assert len(wire.lines) == 3 + 2     # a request a file, how far the history is, the fetch


IMZML = [{"extension": "imzml", "composite_files": [{"name": name, "optional": False} for name in ("imzml", "ibd")]}]


def test_a_composite_dataset_is_one_element_of_several_sessions(wire, held, files, tmp_path):
    """Between others; a killed run's sessions are among its notes, and Galaxy's sizes of the files are compared."""
    wire.answers["GET /api/datatypes"] = (200, IMZML)
    for name in ("s.ibd", "s.imzML"):
        (tmp_path / name).write_text(name)
    galaxy = Galaxy(KEY, wire.url)
    parts = [parse_file(str(tmp_path / name)) for name in ("s.ibd", "s.imzML")]
    scan = join_components(galaxy, parts, "imzml", metadata=(("base", "x"),))
    sources = [parse_file(files[0]), scan, parse_file(files[1])]
    uploads = list(upload.upload_sources(galaxy, "h", sources, UploadSettings()))
    [fetch] = held.fetches
    element = fetch["targets"][0]["elements"][1]
    assert element == {"src": "composite", "name": "s", "ext": "imzml", "dbkey": "?", "metadata": {"base": "x"},
                       "composite": {"elements": [{"src": "files"}, {"src": "files"}]}}
    assert [wire.upload(fetch[f"files_{number}|file_data"]["session_id"]) for number in range(4)] == [
        b"aaa", b"s.imzML", b"s.ibd", b"bbb"]
    for size, problem in ((7, "ibd has 7 bytes, 5 were sent"), (5, "")):
        sizes = {"imzml": 7, "ibd": size}
        wire.answers["HEAD /api/datasets/d2/display"] = (200, lambda handler, sizes=sizes: b"x" * sizes[
            handler.path.partition("filename=")[2]])
        assert composite_problem(galaxy, "d2", sources[1]) == (f"dataset d2: {problem}" if problem else "")
    assert uploads[1].dataset["id"] == "d2"


@pytest.fixture
def scan(wire, held, tmp_path):
    """The source of a composite dataset of two files."""
    wire.answers["GET /api/datatypes"] = (200, IMZML)
    for name in ("s.ibd", "s.imzML"):
        (tmp_path / name).write_text(name)
    return join_components(Galaxy(KEY, wire.url), [parse_file(str(tmp_path / name)) for name in ("s.ibd", "s.imzML")],
                           "imzml")


@pytest.mark.parametrize("status", [405, 400])
def test_a_composite_dataset_that_cant_be_compared_stays_and_others_are_verified(wire, held, files, scan, status):
    wire.answers["HEAD /api/datasets/d1/display"] = (status, lambda handler: b"")
    galaxy = Galaxy(KEY, wire.url)
    uploads = list(upload.upload_sources(galaxy, "h", [scan, parse_file(files[0])], UploadSettings()))
    first, second = verified(wire, uploads)
    assert f"dataset d1 is ok, but the sizes of its files could not be compared: HEAD {wire.url}" in first.problem
    assert (first.exit_code, second.problem) == (FAILED, "") and held.deleted == [] and len(held.fetches) == 1


def test_a_file_of_a_composite_dataset_that_goes_meanwhile_is_that_ones_problem(wire, held, files, scan, tmp_path):
    (tmp_path / "s.ibd").unlink()
    first, second = upload.upload_sources(Galaxy(KEY, wire.url), "h", [scan, parse_file(files[0])], UploadSettings())
    assert first.problem == f"{tmp_path}/s.ibd: No such file or directory"
    assert (second.problem, second.dataset["id"]) == ("", "d1")


def test_a_deferred_url_ends_well_without_bytes(wire, held):
    held.then[1] = {"state": "deferred", "file_size": 0}
    [source] = defer(expand_sources(["https://example.org/a.bed"])[0])
    galaxy = Galaxy(KEY, wire.url)
    [sent] = upload.upload_sources(galaxy, "h", [source], UploadSettings())
    assert held.fetches[0]["targets"][0]["elements"][0]["deferred"] is True
    [ended] = verified(wire, [sent])
    assert (ended.problem, ended.dataset["state"]) == ("", "deferred")


def test_fifty_files_go_in_a_job(wire, held, tmp_path):
    paths = [str(tmp_path / f"{number}.txt") for number in range(101)]
    for path in paths:
        Path(path).write_text("abc")
    uploads = uploaded(wire, paths)
    assert [len(fetch["targets"][0]["elements"]) for fetch in held.fetches] == [50, 50, 1]
    assert [one.dataset["name"] for one in uploads] == [f"{number}.txt" for number in range(101)]


@pytest.mark.parametrize("answer", ["a text", ["jobs"]])
def test_an_answer_to_a_fetch_that_has_no_jobs_is_refused(requests_mock, answer):
    requests_mock.post("http://galaxy.example.org/api/tools/fetch", json=answer)
    with pytest.raises(GalaxyError) as caught:
        upload.post_fetch(Galaxy(KEY, "http://galaxy.example.org"), "h", [])
    assert caught.value.lost


def test_a_large_file_is_a_batch_of_its_own():
    sources = [SimpleNamespace(size=size) for size in (1, 1, 2**29, 2**30, 2**31, 1, None)]
    assert [len(batch) for batch in upload.fetch_batches(sources)] == [3, 1, 1, 2]


def test_a_file_that_cannot_be_sent_stops_no_other(wire, held, files):
    sources = [parse_file(path) for path in files]
    os.remove(files[1])
    uploads = list(upload.upload_sources(Galaxy(KEY, wire.url), "h", sources, UploadSettings()))
    assert [bool(one.problem) for one in uploads] == [False, True, False] and "No such file" in uploads[1].problem
    assert [one["name"] for one in held.fetches[0]["targets"][0]["elements"]] == ["a.fastq", "c"]


def test_a_refusal_by_the_server_stops_all(wire, held, files):
    wire.answers["POST /api/tools/fetch"] = (403, {"err_msg": "over quota"})
    with pytest.raises(GalaxyError, match="over quota"):
        uploaded(wire, files)


# ------------------------------------------------------------------------------------------------------- side by side

@pytest.fixture
def jobs_of_one_file(monkeypatch):
    """Each file is a batch of its own, as those over a gigabyte are."""
    monkeypatch.setattr(upload, "FILES_PER_JOB", 1)


def names_of(held):
    return [element["name"] for fetch in held.fetches for element in fetch["targets"][0]["elements"]]


@pytest.fixture
def held_open_until():
    """`held_open_until(is_there)`: a fault that takes an upload's bytes only when `is_there()`; the test fails where that
    never comes."""
    never_came = []

    def hold(is_there):
        def fault(handler):
            deadline = time.monotonic() + 20
            while not is_there():
                if time.monotonic() > deadline:
                    never_came.append(handler.path)
                    break
                handler.galaxy.closing.wait(0.01)
            handler.serve_usual()
        return fault
    yield hold
    assert never_came == []


def test_two_large_files_go_up_at_the_same_time(wire, held, files, jobs_of_one_file, held_open_until):
    """The server holds the first one's upload open until it has seen the second one's begin."""
    wire.answers["POST upload"] = [held_open_until(lambda: wire.count("POST upload") == 2)]
    assert [one.dataset["id"] for one in uploaded(wire, files[:2], transfers=2)] == ["d1", "d2"]
    assert names_of(held) == ["a.fastq", "b.bed"]


def test_jobs_are_asked_for_in_order_and_while_later_files_go_up(wire, held, files, jobs_of_one_file, held_open_until):
    last = held_open_until(lambda: len(held.fetches) == 2)
    wire.answers["POST upload"] = lambda handler: last(handler) if b64encode(b"c").decode() in handler.headers[
        "Upload-Metadata"].split(",")[0] else None
    assert [one.dataset["name"] for one in uploaded(wire, files, transfers=4)] == ["a.fastq", "b.bed", "c"]
    assert names_of(held) == ["a.fastq", "b.bed", "c"]


def test_a_history_has_the_files_in_their_order_whichever_goes_first(wire, held, tmp_path):
    paths = [tmp_path / f"{number:02}.txt" for number in range(30)]
    for number, path in enumerate(paths):
        path.write_bytes(b"x" * (number * 7 % 30))
    uploads = uploaded(wire, map(str, paths), transfers=16)
    assert [one.dataset["name"] for one in uploads] == names_of(held) == [path.name for path in paths]


@pytest.mark.parametrize("transfers", [1, 4, 16])
def test_never_more_requests_at_once_than_were_asked_for(wire, held, tmp_path, transfers, monkeypatch):
    """Those for jobs included; and as many, where there are so many files."""
    monkeypatch.setattr(upload, "FILES_PER_JOB", 7)
    together = threading.Barrier(transfers, timeout=20)
    wire.answers["POST upload"] = [lambda handler: together.wait() and None] * transfers
    paths = [tmp_path / f"{number}.txt" for number in range(100)]
    for path in paths:
        path.write_text(path.name)
    uploads = uploaded(wire, map(str, paths), transfers=transfers)
    assert wire.most_in_flight == transfers and fetches_of(wire) == 15
    sessions = [fetch[f"files_{number}|file_data"]["session_id"] for fetch in held.fetches
                for number in range(len(fetch["targets"][0]["elements"]))]
    assert [wire.upload(session).decode() for session in sessions] == [one.source.name for one in uploads] == [
        path.name for path in paths]


def test_an_overloaded_server_is_asked_for_less_at_once(wire, held, tmp_path, clock, monkeypatch):
    """Of eight that go up at the same time all are told to wait; then there are four at most, until answers are good."""
    together, after = threading.Barrier(8, timeout=20), []

    def refuse(handler):
        together.wait()
        handler.read()
        handler.reply(429, {}, {"Retry-After": "1"})

    def count(handler):
        after.append(wire.in_flight)
    wire.answers["POST upload"] = [refuse] * 8 + [count] * 4
    paths = [tmp_path / f"{number}.txt" for number in range(40)]
    for path in paths:
        path.write_text("abc")
    assert not any(one.problem for one in uploaded(wire, map(str, paths), transfers=8))
    assert len(after) == 4 and max(after) <= 4 and wire.most_in_flight == 8


@pytest.mark.parametrize("transfers", [1, 4, 16])
@pytest.mark.parametrize("faults", [
    [cut(500), cut(0), swallow, status(502), cut(1), status(503), status(429, Retry_After="0"), crash(700)],
    [status(500), forget, lose_a_process(10), cut(1999), status(409), status(504)]], ids=["cuts", "losses"])
def test_files_arrive_once_whatever_fails(wire, held, tmp_path, clock, monkeypatch, transfers, faults):
    for name, value in (("MAX_PIECE", 1000), ("SMALL_FILE", 100), ("MIN_PIECE", 100), ("BLOCK_SIZE", 64)):
        monkeypatch.setattr(tus, name, value)
    monkeypatch.setattr(upload, "FILES_PER_JOB", 5)
    paths = [tmp_path / f"{number}.txt" for number in range(20)]
    for path in paths:
        path.write_bytes(os.urandom(2000))
    wire.faults = list(faults)
    uploads = uploaded(wire, map(str, paths), transfers=transfers)
    assert wire.faults == [] and not any(one.problem for one in uploads) and fetches_of(wire) == 4
    assert [one.sha256 for one in uploads] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    sessions = [fetch[f"files_{number}|file_data"]["session_id"] for fetch in held.fetches for number in range(5)]
    assert [wire.upload(session) for session in sessions] == [path.read_bytes() for path in paths]
    assert len(wire.sessions) == 20 and wire.most_in_flight <= transfers


@pytest.mark.parametrize("transfers", [4, 16])
def test_a_refusal_stops_the_files_that_have_not_begun(wire, held, tmp_path, transfers):
    paths = [tmp_path / f"{number}.txt" for number in range(40)]
    for path in paths:
        path.write_text("abc")
    wire.answers["POST upload"] = [None] * 3 + [lambda handler: handler.give((403, {"err_msg": "over quota"}))]
    with pytest.raises(GalaxyError, match="over quota"):
        uploaded(wire, map(str, paths), transfers=transfers)
    assert held.fetches == [] and wire.count("POST upload") <= 4 + 2 * transfers
    assert not any(one.problem for one in uploaded(wire, map(str, paths), transfers=transfers)) and fetches_of(wire) == 1


def test_a_batch_whose_later_file_failed_is_resumed_from_what_was_sent(wire, held, files, monkeypatch, clock):
    """A large file's session is kept by its checkpoint."""
    monkeypatch.setattr(tus, "SMALL_FILE", 1)
    wire.answers["PATCH upload"] = [None, None, lambda handler: handler.give((403, {"err_msg": "over quota"}))]
    with pytest.raises(GalaxyError, match="over quota"):
        uploaded(wire, files, transfers=4)
    assert held.fetches == []
    sent = {name: bytes(content) for name, (_, content) in wire.sessions.items() if content}
    wire.asked.clear()
    assert [one.dataset["name"] for one in uploaded(wire, files, transfers=4)] == ["a.fastq", "b.bed", "c"]
    assert wire.count("PATCH upload") == 3 - len(sent) and fetches_of(wire) == 1


@pytest.mark.parametrize("transfers", [4, 16])
def test_a_killed_runs_datasets_are_found_whatever_was_at_work(wire, held, files, monkeypatch, transfers, jobs_of_one_file):
    post_fetch, count = upload.post_fetch, []

    def fetch(*what):
        post_fetch(*what)
        count.append(what)
        if len(count) == 2:
            raise KeyboardInterrupt
        return {"outputs": held.datasets[-1:], "jobs": [{"id": "j"}]}
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(upload, "post_fetch", fetch)
        uploaded(wire, files, transfers=transfers)
    gc.collect()
    assert [one.dataset["id"] for one in uploaded(wire, files, transfers=transfers)] == ["d1", "d2", "d3"]
    assert names_of(held) == ["a.fastq", "b.bed", "c"]


# --------------------------------------------------------------------------------------------------- answers that are lost

def test_a_lost_answer_is_looked_up(wire, held, files):
    held.lose = True
    uploads = uploaded(wire, files)
    assert [one.dataset["id"] for one in uploads] == ["d1", "d2", "d3"] and fetches_of(wire) == 1


def test_a_lost_request_is_left_to_the_next_run(wire, held, files, clock):
    wire.answers["POST /api/tools/fetch"] = (200, lambda handler: LOST)     # and Galaxy has done nothing
    with pytest.raises(GalaxyError, match="run it again") as caught:
        uploaded(wire, files)
    assert caught.value.exit_code == TRY_LATER and fetches_of(wire) == 1


def killed_while_asking(wire, held, files, monkeypatch):
    """A run that ends when Galaxy has done what was asked, before it learns of it."""
    post_fetch = upload.post_fetch

    def fetch(*what):
        post_fetch(*what)
        raise KeyboardInterrupt
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(upload, "post_fetch", fetch)
        uploaded(wire, files)


def test_the_run_after_a_killed_one_finds_its_datasets(wire, held, files, monkeypatch):
    killed_while_asking(wire, held, files, monkeypatch)
    uploads = uploaded(wire, files)
    assert [one.dataset["id"] for one in uploads] == ["d1", "d2", "d3"] and fetches_of(wire) == 1
    assert verified(wire, uploads) == uploads and not any(one.problem for one in uploads)
    upload.mark_done(uploads)
    assert list(checkpoint.checkpoint_folder().iterdir()) == []
    uploaded(wire, files)       # asked for once more, it is done once more
    assert fetches_of(wire) == 2


@pytest.mark.parametrize("seconds", [-400 * 86400, 400 * 86400])
def test_a_run_after_a_kill_ends_even_if_the_clock_has_changed(wire, held, files, monkeypatch, clock, seconds):
    """B16: Galaxy has not done what was asked, and the notes are of another time."""
    def fetch(*what):
        raise KeyboardInterrupt
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(upload, "post_fetch", fetch)
        uploaded(wire, files)
    monkeypatch.setattr(upload.time, "time", lambda: clock.now + seconds, raising=False)
    assert [one.dataset["id"] for one in uploaded(wire, files)] == ["d1", "d2", "d3"] and fetches_of(wire) == 1
    assert 30 <= sum(clock.slept) < 40


def test_a_run_killed_during_clean_up_resumes_as_finished(wire, held, files, script, monkeypatch):
    remove, removed = checkpoint.Checkpoint.remove, []

    def killed(record):
        if len(removed) == 2:
            raise KeyboardInterrupt
        removed.append(record)
        remove(record)
    line = ["-q", KEY, wire.url, "H", *files]
    with monkeypatch.context() as dying:
        dying.setattr(checkpoint.Checkpoint, "remove", killed)
        assert script(dataset_upload.main, *line) == 130
    assert script(dataset_upload.main, *line) == 0 and fetches_of(wire) == 1
    assert list(checkpoint.checkpoint_folder().iterdir()) == []
    assert script(dataset_upload.main, *line) == 0 and fetches_of(wire) == 2


def test_the_same_line_cannot_run_twice_at_once(wire, held, files, script, capsys):
    sources = [parse_file(path) for path in files]
    with open_target_history(Galaxy(KEY, wire.url), "H", sources):
        assert script(dataset_upload.main, "-q", KEY, wire.url, "H", *files) == TRY_LATER
    assert "another run is at work on it" in capsys.readouterr().err and fetches_of(wire) == 0


def test_a_dataset_from_before_is_not_adopted(wire, held, files, monkeypatch, clock):
    upload.mark_done(uploaded(wire, files))
    wire.answers["POST /api/tools/fetch"], works = (200, lambda handler: LOST), wire.answers["POST /api/tools/fetch"]
    with pytest.raises(GalaxyError):
        uploaded(wire, files)
    wire.answers["POST /api/tools/fetch"] = works
    assert [one.dataset["id"] for one in uploaded(wire, files)] == ["d4", "d5", "d6"]


def test_another_persons_dataset_of_that_name_is_not_adopted(wire, held, files, monkeypatch, clock):
    killed_while_asking(wire, held, files, monkeypatch)
    held.datasets[1]["hashes"] = []
    uploads = uploaded(wire, files)
    assert [one.dataset["id"] for one in uploads] == ["d1", "d4", "d3"] and held.deleted == []


def test_a_proxy_may_give_up_before_galaxy_has_acted(wire, held, files, clock):
    works = wire.answers["POST /api/tools/fetch"]

    def late(handler):
        works[1](handler)
        there, held.datasets = held.datasets, []
        clock.sleep(60)
        wire.answers[CONTENTS] = (200, lambda handler: there if len(clock.slept) > 3 else [])
        return {}
    wire.answers["POST /api/tools/fetch"] = (504, late)
    assert [one.dataset["id"] for one in uploaded(wire, files)] == ["d1", "d2", "d3"] and fetches_of(wire) == 1


def test_after_an_error_500_the_next_run_looks_for_the_datasets(wire, held, files):
    works = wire.answers["POST /api/tools/fetch"]
    wire.answers["POST /api/tools/fetch"] = (500, lambda handler: (works[1](handler), {"err_msg": "no"})[1])
    with pytest.raises(GalaxyError):
        uploaded(wire, files)
    wire.answers["POST /api/tools/fetch"] = works
    assert [one.dataset["id"] for one in uploaded(wire, files)] == ["d1", "d2", "d3"] and fetches_of(wire) == 1


def test_a_dataset_that_galaxy_is_about_to_make_is_waited_for(wire, held, files, monkeypatch, clock):
    killed_while_asking(wire, held, files, monkeypatch)
    there, held.datasets = held.datasets, []
    looks = []

    def contents(handler):
        looks.append(handler.path)
        return there if len(looks) > 3 else []
    wire.answers[CONTENTS] = (200, contents)
    assert [one.dataset["id"] for one in uploaded(wire, files)] == ["d1", "d2", "d3"]
    assert fetches_of(wire) == 1 and clock.slept == [2, 2, 2]


def test_a_failed_upload_of_a_killed_run_is_sent_again(wire, held, files, monkeypatch):
    held.then = {2: {"state": "error"}}
    killed_while_asking(wire, held, files, monkeypatch)
    uploads = uploaded(wire, files)
    assert [one.dataset["id"] for one in uploads] == ["d1", "d4", "d3"] and held.deleted == ["d2", "d2"]


def test_two_files_of_one_name_resume_as_two_datasets(wire, held, tmp_path, monkeypatch):
    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text(folder)
        paths.append(str(tmp_path / folder / "x.txt"))
    killed_while_asking(wire, held, paths, monkeypatch)
    assert [one.dataset["id"] for one in uploaded(wire, paths)] == ["d1", "d2"]


def test_a_dataset_adopted_by_name_only_is_never_deleted(wire, held, files, monkeypatch):
    """A run was killed before its request went out, and somebody else uploads another file of that name."""
    def fetch(*what):
        raise KeyboardInterrupt
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(upload, "post_fetch", fetch)
        uploaded(wire, files[:1])
    hers = {"id": "hers", "hid": 1, "name": "a.fastq", "state": "running", "deleted": False, "extension": "fastqsanger",
            "history_content_type": "dataset", "file_size": 9, "hashes": [], "misc_info": ""}
    held.datasets.append(hers)
    uploads = uploaded(wire, files[:1])
    assert uploads[0].dataset["id"] == "hers"
    hers["state"] = "ok"
    [one] = verified(wire, uploads)
    assert one.dataset["id"] == "d1" and not one.problem and held.deleted == []


# ------------------------------------------------------------------------------------------------------ whether it arrived

def test_an_upload_that_did_not_arrive_is_sent_once_more(wire, held, files):
    held.then = {2: {"state": "error", "misc_info": "hash differs"}}
    ended = verified(wire, uploaded(wire, files))
    assert sorted(one.dataset["id"] for one in ended) == ["d1", "d3", "d4"] and not any(one.problem for one in ended)
    assert held.deleted == ["d2", "d2"] and fetches_of(wire) == 2


@pytest.mark.parametrize("then, words", [
    ({"state": "error", "misc_info": "hash differs"}, "ended in state error: hash differs"),
    ({"hashes": [{"hash_function": "SHA-256", "hash_value": "00"}]}, "has another SHA-256 than was sent"),
    ({"state": "discarded"}, "ended in state discarded")])
def test_an_upload_that_fails_twice_is_reported(wire, held, files, then, words):
    held.then = dict.fromkeys(range(1, 10), then)
    [one] = verified(wire, uploaded(wire, files[:1]))
    assert words in one.problem and files[0] in one.problem and fetches_of(wire) == 2


def test_a_problem_that_comes_twice_is_told_once(wire, held, files):
    held.then = dict.fromkeys(range(1, 10), {"state": "error", "misc_info": "hash differs"})
    [one] = verified(wire, uploaded(wire, files[:1]))
    assert one.problem == f"{files[0]}: dataset d2 ended in state error: hash differs"


def test_an_upload_over_quota_is_not_sent_again(wire, held, files):
    """Galaxy pauses its job (26.1), and would pause that of the second copy."""
    held.then = {1: {"state": "paused", "misc_info": "you were over your disk quota"}}
    [one] = verified(wire, uploaded(wire, files[:1]))
    assert one.problem == f"{files[0]}: dataset d1 ended in state paused: you were over your disk quota"
    assert held.deleted == [] and fetches_of(wire) == 1


def test_without_hashes_the_size_is_compared(wire, held, files):
    held.then = {number: {"file_size": 4} for number in range(1, 10)}
    [one] = verified(wire, uploaded(wire, files[:1], hashed=False), hashed=False)
    assert "has 4 bytes, 3 were sent" in one.problem


def test_a_galaxy_without_hashes_is_judged_by_sizes(wire, held, files):
    uploads = uploaded(wire, files)
    for one in [*held.datasets, *(one.dataset for one in uploads)]:
        one.pop("hashes", None)
    held.datasets[1]["file_size"] = 2
    assert [one.problem for one in verified(wire, uploads)] == ["", "", ""] and held.deleted == ["d2", "d2"]


def test_waiting_ends_after_the_timeout_and_can_be_resumed(wire, held, files, clock):
    held.then = {1: {"state": "queued"}}
    with pytest.raises(GalaxyError, match="1 of 3 still running") as caught:
        verified(wire, uploaded(wire, files), timeout=5)
    assert caught.value.exit_code == STILL_RUNNING
    held.datasets[0]["state"] = "ok"
    assert [one.dataset["id"] for one in verified(wire, uploaded(wire, files))] == ["d1", "d2", "d3"]
    assert fetches_of(wire) == 1


def test_the_timeout_is_for_all_waiting(wire, held, files, clock):
    """What did not arrive is sent again, and only the rest of the time is waited for it."""
    held.then = {1: {"state": "running"}, 2: {"state": "queued"}}
    wire.answers[CONTENTS], lists = (200, lambda handler: fails_late(handler)), wire.answers[CONTENTS][1]

    def fails_late(handler):
        if sum(clock.slept) >= 20:
            held.datasets[0]["state"] = "error"
        return lists(handler)
    with pytest.raises(GalaxyError, match="1 of 1 still running") as caught:
        verified(wire, uploaded(wire, files[:1]), timeout=60)
    assert caught.value.exit_code == STILL_RUNNING and round(sum(clock.slept)) == 60


# ------------------------------------------------------------------------------------------------------------- the script

def test_a_file_that_failed_is_told_by_the_status_though_others_still_run(wire, held, files, script, capsys, clock):
    """A9: it is gone when its turn comes."""
    held.then = {1: {"state": "queued"}}
    wire.answers["POST upload"] = [lambda handler: os.unlink(files[2])]
    assert script(dataset_upload.main, "--wait", "--timeout=5", "--transfers=1", KEY, wire.url, "H", *files) == SOME_FAILED
    said = capsys.readouterr().err
    assert f"{files[2]}: No such file" in said and "1 of 2 still running" in said and said.count("\n") == 2


def test_the_script_prints_what_it_made(wire, held, files, script, capsys):
    assert script(dataset_upload.main, "--format=value", "--fields=id,name,extension,state", "--wait", "--tag=x",
                  KEY, wire.url, "H", *files) == 0
    assert capsys.readouterr() == ("d1\ta.fastq\tfastqsanger\tok\nd2\tb.bed\tbed\tok\nd3\tc\tauto\tok\n", "")
    assert list(checkpoint.checkpoint_folder().iterdir()) == []


@pytest.mark.parametrize("options, is_drawn", [([], True), (["-q"], False)])
def test_quiet_silences_the_bars_and_not_the_results(wire, held, files, script, capsys, monkeypatch, options, is_drawn):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    line = [*options, "--format=value", "--fields=id", KEY, wire.url, "0123456789abcdef", *files]
    assert script(dataset_upload.main, *line) == 0
    output = capsys.readouterr()
    assert output.out == "d1\nd2\nd3\n" and ("a.fastq" in output.err) == is_drawn and (output.err == "") != is_drawn


def test_a_dry_run_sends_nothing(wire, held, files, script, capsys):
    for history in ("H", "new:X"):
        assert script(dataset_upload.main, "-n", "--format=value", KEY, wire.url, history, files[0]) == 0
        assert capsys.readouterr().out == f"{files[0]}\ta.fastq\tfastqsanger\t3\n"
    assert not [line for line in wire.lines if not line.startswith("GET")]


def test_a_new_history_is_the_same_after_a_failure(wire, held, files, script, capsys):
    names = []

    def make(handler):
        names.append(handler.json["name"])
        return {"id": "h"}
    wire.answers["POST /api/histories"] = (200, make)
    fetch, wire.answers["POST /api/tools/fetch"] = wire.answers["POST /api/tools/fetch"], (400, {"err_msg": "no"})
    line = ["-q", KEY, wire.url, "new:Run 12", *files]
    assert script(dataset_upload.main, *line) == FAILED
    wire.answers["POST /api/tools/fetch"] = fetch
    assert script(dataset_upload.main, *line) == 0 and names == ["Run 12"]
    assert script(dataset_upload.main, *line) == 0 and names == ["Run 12", "Run 12"]


def test_skip_existing_leaves_out_what_the_history_has(wire, held, files, script, capsys):
    line = ["--skip-existing", "--format=value", "--fields=name", KEY, wire.url, "H"]
    assert script(dataset_upload.main, *line, *files[:2]) == 0
    capsys.readouterr()
    held.datasets[1]["state"] = "error"         # that one is not there
    assert script(dataset_upload.main, *line, *files) == 0
    assert capsys.readouterr().out == "b.bed\nc\n"
    with open(files[0], "ab") as file:          # nor is one of another size
        file.write(b"x")
    assert script(dataset_upload.main, *line, files[0]) == 0
    assert capsys.readouterr().out == "a.fastq\n"


def test_some_of_many_fail(wire, held, files, script, capsys):
    held.then = {number: {"state": "error", "misc_info": "bad"} for number in (2, 4)}
    assert script(dataset_upload.main, "--wait", "--format=value", "--fields=id", KEY, wire.url, "H", *files) == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == "d1\nd3\n" and output.err.count("\n") == 1 and "ended in state error: bad" in output.err
    assert script(dataset_upload.main, "--wait", "--format=value", "--fields=id", KEY, wire.url, "H", *files) == 0
    assert sorted(capsys.readouterr().out.split()) == ["d1", "d3", "d5"]       # only what was missing was sent


def test_checksums_that_do_not_match_send_nothing(wire, held, files, script, capsys, tmp_path):
    (tmp_path / "md5sums.txt").write_text(f"{'0' * 32}  a.fastq\n")
    assert script(dataset_upload.main, KEY, wire.url, "H", *files) == FAILED
    message = capsys.readouterr().err
    assert "a.fastq: its MD5 is" in message and "nothing was sent" in message and wire.lines == []


def test_an_empty_standard_input_is_refused(wire, held, script, type_in, capsys):
    """A11: most often the command before it has failed."""
    type_in("")
    assert script(dataset_upload.main, "-q", "--name=x", KEY, wire.url, "H", "-") == FAILED
    assert "standard input is empty" in capsys.readouterr().err and wire.lines == []
    assert script(dataset_upload.main, "-q", "--name=x", "--allow-empty", KEY, wire.url, "H", "-") == 0
    assert [element["name"] for element in held.fetches[0]["targets"][0]["elements"]] == ["x"]


@pytest.mark.parametrize("option, words", [
    ("--ext=fasta5", "--ext=fasta5: no datatype"), ("--ext=imzml", "--ext=imzml: its files are imzml, ibd;"),
    ("--deferred", "is no URL, so Galaxy"),
    ("--dbkey=hg83", "--dbkey=hg83: no reference genome"), ("--tag=a b", "--tag=a b: expected a word")])
def test_what_galaxy_does_not_have_is_refused_before_anything_is_sent(wire, held, files, script, capsys, option, words):
    wire.answers["GET /api/datatypes"] = (200, [{"extension": "fasta"}, {"extension": "imzml", "composite_files": [
        {"name": "imzml", "optional": False}, {"name": "ibd", "optional": False}]}])
    wire.answers["GET /api/genomes"] = (200, [["Human", "hg38"]])
    wire.answers["GET /api/users/me/custom_builds"] = (200, [{"id": "mine"}])
    for extra in ([], ["--dry-run"]):
        assert script(dataset_upload.main, "-q", option, *extra, KEY, wire.url, "new:X", *files) == USAGE
        assert words in capsys.readouterr().err
    assert not [line for line in wire.lines if not line.startswith("GET")]
    for known in ("--ext=fasta", "--dbkey=hg38", "--dbkey=mine", "--tag=name:a.b"):
        assert script(dataset_upload.main, "-q", known, "--dry-run", KEY, wire.url, "H", *files) == 0


def test_standard_input(wire, held, script, type_in, capsys):
    type_in(b"chr1\t1\t2\n")
    assert script(dataset_upload.main, "-q", "--name=x.bed", KEY, wire.url, "H", "-") == 0
    [element] = held.fetches[0]["targets"][0]["elements"]
    assert (element["name"], element["ext"]) == ("x.bed", "bed") and wire.upload("s1") == b"chr1\t1\t2\n"


def test_a_url_is_fetched_by_galaxy(wire, held, script, capsys):
    assert script(dataset_upload.main, "-q", KEY, wire.url, "H", "https://example.org/a%20b.bam") == 0
    [element] = held.fetches[0]["targets"][0]["elements"]
    assert element["src"] == "url" and element["url"] == "https://example.org/a%20b.bam" and element["name"] == "a b.bam"


@pytest.mark.parametrize("line, words", [
    (["H", "nosuch"], "No such file"), (["H", "/"], "--recursive"), (["H", "-"], "--name=NAME"),
    (["", "a.fastq"], "HISTORY"), (["new: ", "a.fastq"], "HISTORY"),
    (["--name=x", "H", "a.fastq", "b.bed"], "a name for one source"), (["--fields=nosuch", "H", "a.fastq"], "no nosuch"),
    (["--timeout=soon", "H", "a.fastq"], "expected an integer"),
    (["--stall-timeout=0", "H", "a.fastq"], "expected an integer")])
def test_bad_lines(wire, held, files, script, capsys, monkeypatch, tmp_path, line, words):
    monkeypatch.chdir(tmp_path)
    options = [one for one in line if one.startswith("--")]
    assert script(dataset_upload.main, *options, KEY, wire.url, *line[len(options):]) == USAGE
    output = capsys.readouterr()
    assert words in output.err and output.err.count("\n") == 1 and output.out == "" and KEY not in output.err
    assert not [line for line in wire.lines if not line.startswith("GET")]


@pytest.mark.parametrize("about, words", [({"deleted": True}, "is deleted"), ({"user_id": "her"}, "is another user's")])
def test_a_history_that_is_not_writable_is_refused(wire, held, files, script, capsys, about, words):
    wire.answers["GET /api/histories/0123456789abcdef"] = (200, {"id": "h", "name": "H", **about})
    assert script(dataset_upload.main, KEY, wire.url, "0123456789abcdef", *files) == FAILED
    assert words in capsys.readouterr().err and wire.count("POST upload") == 0


# --------------------------------------------------------------------------------------------------------- what is there

def existing(wire, paths, wait=False):
    return {one.path for one in upload.find_existing(Galaxy(KEY, wire.url), "h", [parse_file(path) for path in paths], wait)}


def test_one_dataset_stands_for_one_file(wire, held, tmp_path):
    paths = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.txt").write_text("abc")
        paths.append(str(tmp_path / folder / "x.txt"))
    uploaded(wire, paths[:1])
    assert existing(wire, paths) == {paths[0]}
    uploaded(wire, paths[1:])
    assert existing(wire, paths) == set(paths)


def test_with_wait_running_datasets_are_waited_for_before_they_count(wire, held, files, clock):
    held.then = {1: {"state": "running"}}
    uploaded(wire, files[:1])
    assert existing(wire, files) == {files[0]}
    wire.answers[CONTENTS], lists = (200, lambda handler: ends(handler)), wire.answers[CONTENTS][1]

    def ends(handler):
        if "type_id-in" in handler.path:
            held.datasets[0]["state"] = "error"
        return lists(handler)
    assert existing(wire, files, wait=True) == set()


def test_a_dataset_that_its_owner_deletes_meanwhile_stays_deleted(wire, held, files):
    held.then = {1: {"deleted": True}}
    [one] = verified(wire, uploaded(wire, files[:1]))
    assert "was deleted meanwhile" in one.problem and fetches_of(wire) == 1 and held.deleted == []


@pytest.mark.parametrize("answer", [{}, None, [], "taken", {"outputs": [{}]}, {"outputs": None}])
def test_after_an_unknown_answer_the_datasets_are_looked_for(wire, held, files, answer, clock):
    wire.answers["POST /api/tools/fetch"], fetch = (200, lambda handler: (fetch(handler), answer)[1]), \
        wire.answers["POST /api/tools/fetch"][1]
    assert [one.dataset["id"] for one in uploaded(wire, files)] == ["d1", "d2", "d3"]


def test_deferred_files_of_one_dataset_of_several_are_refused(wire, held, script, capsys):
    """Galaxy would fetch them at once."""
    wire.answers["GET /api/datatypes"] = (200, IMZML)
    urls = [f"https://example.org/a.{ext}" for ext in ("imzML", "ibd")]
    assert script(dataset_upload.main, "--deferred", "--ext=imzml", KEY, wire.url, "H", *urls) == USAGE
    assert "--ext=imzml: Galaxy fetches the files of such a dataset at once: leave out --deferred" in capsys.readouterr().err
    assert held.fetches == []
