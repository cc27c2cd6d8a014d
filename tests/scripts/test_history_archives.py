"""history_export.py and history_import.py: the requests, the archives that count as complete, the exit statuses."""
import gzip
import io
import itertools
import json
import os
import re
import tarfile
import zipfile
from collections import Counter

import history_export
import history_import
import pytest
import requests
import requests_mock
from fakes import API, KEY, URL

from common import FAILED, STILL_RUNNING, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts import histories
from galaxy_api_scripts.checkpoint import Checkpoint
from galaxy_api_scripts.datasets.multipart import FormFile, MultipartForm
from galaxy_api_scripts.histories import ARCHIVE_TYPES, Archive, read_archive
from galaxy_api_scripts.progress import progress_bar

NO = {"status_code": 403, "json": {"err_msg": "No rights", "err_code": 403002}}
CONTENTS = {"a": b"one\n", "b": b"three\n"}


def archive(kind="tgz", contents=CONTENTS, states=None, lacking=(), folder="", **history):
    """The bytes of an archive as Galaxy makes it."""
    about = [{"name": name, "file_name": f"datasets/{name}.txt", "state": (states or {}).get(name, "ok")}
             for name in contents]
    files = {"history_attrs.txt": json.dumps({"name": "Run 12", "tags": ["rna"], **history}).encode(),
             **{f"datasets/{name}.txt": content for name, content in contents.items() if name not in lacking},
             "datasets_attrs.txt": json.dumps([*about, {"name": "no file"}]).encode(),
             "datasets_attrs.txt.provenance": b"[]"}
    made = io.BytesIO()
    if kind == "rocrate.zip":
        with zipfile.ZipFile(made, "w") as packed:
            for name, content in files.items():
                packed.writestr(folder + name, content)
    else:
        with tarfile.open(fileobj=made, mode="w" if kind == "tar" else "w:gz") as packed:
            for name, content in files.items():
                about = tarfile.TarInfo(folder + name)
                about.size = len(content)
                packed.addfile(about, io.BytesIO(content))
    return made.getvalue()


def refused_with(capsys, words):
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and KEY not in output.err
    assert words in output.err
    return True


@pytest.mark.parametrize("module, lines", [
    (history_export, [[], [KEY, URL, "h"], [KEY, URL, "h", "f", "more"], [KEY, URL, "h", "f", "--archive=bco.json"],
                      [KEY, URL, "h", "f", "--timeout=soon"]]),
    (history_import, [[], [KEY, URL], [KEY, URL, "f", "more"], [KEY, URL, "f", "--timeout=soon"],
                      [KEY, URL, "f", "--format=x"], [KEY, URL, ""]]),
])
def test_bad_lines_exit_with_2(script, capsys, requests_mock, module, lines):
    requests_mock.get(f"{API}/users/current", json={"id": "u"})
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        output = capsys.readouterr()
        assert output.out == "" and output.err and KEY not in output.err
    assert script(module.main, "--help") == 0


# ---------------------------------------------------------------------------------------------------- reading archives

@pytest.mark.parametrize("kind", ARCHIVE_TYPES)
@pytest.mark.parametrize("folder", ["", "run12/data/"])
def test_a_complete_archive_is_read(tmp_path, kind, folder):
    path = tmp_path / "f"
    path.write_bytes(archive(kind, folder=folder))
    whole = read_archive(path)
    assert (whole.name, whole.tags) == ("imported from archive: Run 12", ["rna"]) and whole.stamp[0] == path.stat().st_size
    assert whole.datasets == {("a", "ok", 4): 1, ("b", "ok", 6): 1}


@pytest.mark.parametrize("content, words", [
    (archive()[:-200], "not the whole archive of a history: Compressed file ended before the end-of-stream marker"),
    (archive("tar")[:3000], "not the whole archive of a history: unexpected end of data"),
    (archive("tar").rstrip(b"\0") + bytes(100), "not the whole archive of a history"),
    (archive("rocrate.zip")[:-30], "not the whole archive of a history: File is not a zip file"),
    (archive("rocrate.zip") * 2, "not the whole archive of a history: bytes before its first member"),
    (archive("rocrate.zip").replace(b"one\n", b"two\n"), "not the whole archive of a history: Bad CRC-32"),
    (archive()[:-8] + bytes(4) + archive()[-4:], "not the whole archive of a history: CRC check failed"),
    (archive(lacking=["b"]), "not the archive of a history: it lacks the contents of 1 of its 2 datasets: b"),
    (b"just some text\n", "not the whole archive of a history: truncated header"),
    (b"", "not the whole archive of a history: empty file"),
    (gzip.compress(b"just some text\n"), "not the whole archive of a history: truncated header"),
])
def test_a_damaged_archive_is_an_error(tmp_path, content, words):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(GalaxyError) as refused:
        read_archive(tmp_path / "f")
    assert words in str(refused.value) and str(tmp_path / "f") in str(refused.value)
    assert refused.value.exit_code == FAILED


def test_what_is_not_a_file_is_a_usage_error(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path, tmp_path / "pipe", tmp_path / "nosuch"):
        with pytest.raises(GalaxyError) as refused:
            read_archive(file)
        assert str(file) in str(refused.value) and refused.value.exit_code == USAGE


def test_an_archive_of_something_else_is_an_error(tmp_path):
    with tarfile.open(tmp_path / "f", "w:gz") as packed:
        packed.add(__file__, "datasets_attrs.txt")
    with pytest.raises(GalaxyError, match="it has no history_attrs.txt"):
        read_archive(tmp_path / "f")
    for broken in ({"history_attrs.txt": b"{}"}, {"history_attrs.txt": b"{}", "datasets_attrs.txt": b"[]]"},
                   {"history_attrs.txt": b"{}", "datasets_attrs.txt": b"[7]"},
                   {"history_attrs.txt": b"[]", "datasets_attrs.txt": b"[]"}):
        with zipfile.ZipFile(tmp_path / "f", "w") as packed:
            for name, content in broken.items():
                packed.writestr(name, content)
        with pytest.raises(GalaxyError, match="not the archive of a history"):
            read_archive(tmp_path / "f")


def test_an_archive_that_unpacks_without_end_is_an_error(tmp_path):
    """A gzip bomb: 300 KB that become 300 MB of description."""
    block, file = gzip.compress(bytes(2**20), 1), tmp_path / "f"
    about = tarfile.TarInfo("datasets_attrs.txt")
    about.size = 300 * 2**20
    file.write_bytes(gzip.compress(about.tobuf()) + block * 300)
    with pytest.raises(GalaxyError, match="not the archive of a history: its datasets_attrs.txt has more than 256 MiB"):
        read_archive(file)


# ------------------------------------------------------------------------------------------------------- history_export

class Exporter:
    """A Galaxy with one history, whose archive is ready after `poll` requests."""

    def __init__(self, mock):
        self.mock, self.content, self.poll, self.exports, self.task = mock, archive(), 0, [], "STARTED"
        self.about = {"id": "h" * 16, "name": "Run / 12", "purged": False, "update_time": "T1"}
        mock.get(f"{API}/histories", json=lambda request, context: [self.about])
        self.moving, self.jobs = [], []
        mock.get(f"{API}/histories/{'h' * 16}/contents", json=lambda request, context: self.moving)
        mock.get(f"{API}/jobs", json=lambda request, context: self.jobs)
        mock.get(f"{API}/histories/{'h' * 16}/exports", json=lambda request, context: self.exports)
        mock.get(f"{API}/configuration", json={"enable_celery_tasks": True})
        self.ask = mock.post(f"{API}/histories/{'h' * 16}/prepare_store_download", json=self.begin)
        mock.get(re.compile(f"{API}/tasks/t[0-9]+/state"), json=lambda request, context: self.task)
        mock.get(re.compile(f"{API}/short_term_storage/r[0-9]+/ready"), json=self.ready)
        self.fetch = mock.get(re.compile(f"{API}/short_term_storage/r[0-9]+$"), content=self.answer)

    def begin(self, request, context):
        number = self.ask.call_count
        self.task = "STARTED"
        return {"storage_request_id": f"r{number}", "task": {"id": f"t{number}"}}

    def ready(self, request, context):
        self.poll -= 1
        return self.poll < 0

    def answer(self, request, context):
        return self.content


@pytest.fixture
def exporter(requests_mock):
    return Exporter(requests_mock)


def test_an_export_is_requested_awaited_and_downloaded(script, exporter, clock, capsys, tmp_path):
    exporter.poll = 3
    assert script(history_export.main, KEY, URL, "Run / 12", tmp_path / "x.tgz") == 0
    assert capsys.readouterr() == (f"{tmp_path}/x.tgz\n", "")
    assert (tmp_path / "x.tgz").read_bytes() == exporter.content
    assert exporter.ask.last_request.json() == {"model_store_format": "tgz", "include_files": True, "include_hidden": False,
                                                "include_deleted": False}
    assert len(clock.slept) == 3 and sorted(os.listdir(tmp_path)) == ["home", "x.tgz"]


@pytest.mark.parametrize("options, name, kind, files, hidden, deleted", [
    (["--archive=rocrate.zip"], "x", "rocrate.zip", True, False, False),
    (["--hidden", "--deleted"], "x.zip", "rocrate.zip", True, True, True),
    (["--no-files"], "x.tar", "tar", False, False, False),
    (["--archive=tar"], "x.zip", "tar", True, False, False),
    ([], "x.tar.gz", "tar.gz", True, False, False),
])
def test_options_of_an_export_are_sent(script, exporter, tmp_path, options, name, kind, files, hidden, deleted):
    assert script(history_export.main, *options, KEY, URL, "Run / 12", tmp_path / name) == 0
    assert exporter.ask.last_request.json() == {"model_store_format": kind, "include_files": files, "include_hidden": hidden,
                                                "include_deleted": deleted}


def test_an_export_into_a_folder_gets_the_historys_name(script, exporter, capsys, tmp_path):
    assert script(history_export.main, KEY, URL, "Run / 12", tmp_path) == 0
    assert capsys.readouterr() == (f"{tmp_path}/Run _ 12.tgz\n", "")


def test_an_export_overwrites_a_file_only_with_force(script, exporter, capsys, tmp_path):
    (tmp_path / "x.tgz").write_text("precious")
    assert script(history_export.main, KEY, URL, "Run / 12", tmp_path / "x.tgz") == FAILED
    assert refused_with(capsys, "x.tgz: it is there already: move it away, or give --force")
    assert (tmp_path / "x.tgz").read_text() == "precious" and exporter.ask.call_count == 0
    assert script(history_export.main, "--force", KEY, URL, "Run / 12", tmp_path / "x.tgz") == 0
    assert (tmp_path / "x.tgz").read_bytes() == exporter.content


@pytest.mark.parametrize("file", ["nosuch/x.tgz", "-", ""])
def test_an_export_to_an_impossible_path_is_a_usage_error(script, exporter, capsys, tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    assert script(history_export.main, KEY, URL, "Run / 12", file) == USAGE
    assert refused_with(capsys, "not a file's name in a folder that can be written to")
    assert exporter.ask.call_count == 0


def test_a_damaged_download_does_not_get_its_name(script, exporter, capsys, tmp_path):
    exporter.content = archive()[:-20]
    (tmp_path / "x.tgz").write_text("last week's")
    assert script(history_export.main, "--force", KEY, URL, "Run / 12", tmp_path / "x.tgz") == TRY_LATER
    assert refused_with(capsys, f"history {'h' * 16} (Run / 12): not the whole archive of a history")
    assert sorted(os.listdir(tmp_path)) == ["home", "x.tgz"] and (tmp_path / "x.tgz").read_text() == "last week's"
    exporter.content = archive()
    assert script(history_export.main, "--force", KEY, URL, "Run / 12", tmp_path / "x.tgz") == 0
    assert exporter.ask.call_count == 2, "the damaged archive is not downloaded again"


def test_an_export_that_is_not_possible_is_an_error(script, exporter, capsys, tmp_path):
    line = [KEY, URL, "Run / 12", tmp_path / "x.tgz"]
    exporter.moving = [{"hid": 1, "name": "n", "state": "running"}]
    assert script(history_export.main, *line) == FAILED
    assert refused_with(capsys, "datasets of the history are unfinished (1 n): export it when they have ended")
    exporter.moving, exporter.jobs = [], [{"id": "j"}]
    assert script(history_export.main, *line) == FAILED
    assert refused_with(capsys, "datasets of the history are unfinished (metadata by job j): export it when they have ended")
    exporter.jobs = []
    exporter.about["purged"] = True
    assert script(history_export.main, *line) == FAILED
    assert refused_with(capsys, "is purged: nothing is left of it")
    exporter.about["purged"] = False
    exporter.mock.post(f"{API}/histories/{'h' * 16}/prepare_store_download", **NO)
    assert script(history_export.main, *line) == FAILED
    assert refused_with(capsys, "No rights")
    assert sorted(os.listdir(tmp_path)) == ["home"]


def test_a_failed_export_shows_galaxys_reason(script, exporter, clock, capsys, tmp_path):
    exporter.mock.get(re.compile(f"{API}/short_term_storage/r1$"), status_code=500, json={"err_msg": "Error: no disk"})
    assert script(history_export.main, KEY, URL, "Run / 12", tmp_path / "x.tgz") == FAILED
    assert refused_with(capsys, "Error: no disk")


def test_an_export_is_resumed_after_a_timeout(script, exporter, clock, capsys, tmp_path):
    line = ["--timeout=5", KEY, URL, "Run / 12", tmp_path / "x.tgz"]
    exporter.poll = 100
    for _ in range(2):
        assert script(history_export.main, *line) == STILL_RUNNING
        assert refused_with(capsys, "Galaxy is still making the archive after 5 s: repeat the command to resume")
    assert exporter.ask.call_count == 1
    exporter.poll = 0
    assert script(history_export.main, *line) == 0
    assert exporter.ask.call_count == 1 and exporter.fetch.call_count == 1
    capsys.readouterr()
    assert script(history_export.main, "--force", *line) == 0
    assert exporter.ask.call_count == 2, "the first one had ended, so a second one is requested"


@pytest.mark.parametrize("ready_at, ended_at", [
    (ready_at, ended_at) for ended_at in range(5) for ready_at in range(ended_at + 1)])
@pytest.mark.parametrize("is_resumed", [True, False])
@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE"])
def test_whenever_an_archive_is_ready_and_its_task_ends_it_is_downloaded_once(
        script, exporter, clock, capsys, tmp_path, ready_at, ended_at, is_resumed, state):
    """Galaxy declares it ready from request `ready_at` on, and its task to have ended from request `ended_at` on; of a task
    that failed it then tells the reason."""
    line = [KEY, URL, "Run / 12", tmp_path / "x.tgz"]
    exporter.poll = 100
    if is_resumed:
        assert script(history_export.main, "--timeout=0", *line) == STILL_RUNNING
        capsys.readouterr()
    number = itertools.count()
    exporter.mock.get(f"{API}/short_term_storage/r1/ready", json=lambda request, context: next(number) >= ready_at)
    exporter.mock.get(f"{API}/tasks/t1/state", json=lambda request, context: (
        state if next(number) >= ended_at else "STARTED"))
    if state == "FAILURE":
        exporter.mock.get(f"{API}/short_term_storage/r1", status_code=500, json={"err_msg": "Unknown error: no disk"})
        assert script(history_export.main, *line) == FAILED
        assert refused_with(capsys, f"history {'h' * 16} (Run / 12): Galaxy could not make the tgz: Unknown error: no disk")
    else:
        assert script(history_export.main, *line) == 0
    assert exporter.ask.call_count == 1 and (tmp_path / "x.tgz").exists() == (state == "SUCCESS")


@pytest.mark.parametrize("state", ["FAILURE", "REVOKED"])
def test_an_export_whose_process_was_killed_ends(script, exporter, clock, capsys, tmp_path, state):
    """Such an archive is never ready."""
    exporter.poll = 1000
    exporter.mock.get(f"{API}/tasks/t1/state", [{"json": "STARTED"}, {"json": state}])
    assert script(history_export.main, KEY, URL, "Run / 12", tmp_path / "x.tgz") == FAILED
    assert refused_with(capsys, f"history {'h' * 16} (Run / 12): Galaxy could not make the tgz")


@pytest.mark.parametrize("change", ["history", "gone", "old", "of a clock that was put back (B16)", "options", "key"])
def test_an_outdated_export_is_not_resumed(script, exporter, clock, monkeypatch, tmp_path, change):
    options, key = [], KEY
    exporter.poll = 100
    assert script(history_export.main, "--timeout=5", KEY, URL, "Run / 12", tmp_path / "x.tgz") == STILL_RUNNING
    exporter.poll = 0
    if change == "history":
        exporter.about["update_time"] = "T2"
    elif change == "gone":
        exporter.poll, exporter.task = 1, "SUCCESS"
    elif change == "old":
        monkeypatch.setattr(histories, "ARCHIVE_LIFETIME", -1)
    elif "clock" in change:
        clock.now -= 400 * 86400
    elif change == "options":
        options = ["--hidden"]
    else:
        key = KEY[::-1]
    assert script(history_export.main, *options, key, URL, "Run / 12", tmp_path / "x.tgz") == 0
    assert exporter.ask.call_count == 2 and exporter.fetch.last_request.path.endswith("/r2")


@pytest.fixture
def old(exporter):
    """A Galaxy without Celery, which has made an archive of the history before."""
    here = f"{API}/histories/{'h' * 16}"
    exporter.mock.get(f"{API}/configuration", json={"enable_celery_tasks": False})
    exporter.exports = [{"download_url": f"/api/histories/{'h' * 16}/exports/e1"}]
    exporter.jobs = [{"id": "j1", "state": "ok"}]
    exporter.end = "ok"

    def put(request, context):
        exporter.exports = [{"download_url": f"/api/histories/{'h' * 16}/exports/e2"}, *exporter.exports]
        exporter.jobs = [*exporter.jobs, {"id": "j2", "state": exporter.end}]
        return {"job_id": "one of the export before"}

    exporter.put = exporter.mock.put(f"{here}/exports", json=put, status_code=202)
    exporter.mock.get(f"{API}/jobs", json=lambda request, context: [
        job for job in exporter.jobs if request.qs.get("tool_id") != ["__set_metadata__"]
        and job["state"] in request.qs.get("state", [job["state"]])])
    exporter.fetch = exporter.mock.get(f"{here}/exports/e2", content=exporter.answer)
    return exporter


@pytest.mark.parametrize("option, name, hidden, deleted, packed", [
    ("--hidden", "x.tgz", True, False, True), ("--deleted", "x.tar", False, True, False)])
def test_a_server_without_celery_exports_by_a_job(script, old, capsys, tmp_path, option, name, hidden, deleted, packed):
    assert script(history_export.main, option, KEY, URL, "Run / 12", tmp_path / name) == 0
    assert capsys.readouterr() == (f"{tmp_path}/{name}\n", "")
    assert old.put.last_request.json() == {"force": True, "gzip": packed, "include_hidden": hidden,
                                           "include_deleted": deleted}
    assert (tmp_path / name).read_bytes() == old.content
    assert old.ask.call_count == 0 and old.put.call_count == 1


def test_an_export_without_celery_is_resumed_after_a_timeout(script, old, clock, tmp_path):
    old.end = "running"
    assert script(history_export.main, "--timeout=5", KEY, URL, "Run / 12", tmp_path / "x.tgz") == STILL_RUNNING
    old.jobs[1]["state"] = "ok"
    assert script(history_export.main, "--timeout=5", KEY, URL, "Run / 12", tmp_path / "x.tgz") == 0
    assert old.put.call_count == 1 and old.fetch.call_count == 1


def test_a_server_without_celery_that_does_nothing_is_an_error(script, old, capsys, tmp_path):
    old.mock.put(f"{API}/histories/{'h' * 16}/exports", json={})
    assert script(history_export.main, KEY, URL, "Run / 12", tmp_path / "x.tgz") == FAILED
    assert refused_with(capsys, "has not started to make an archive, and does not say why")


def test_a_failed_export_without_celery_shows_the_jobs_error(script, old, capsys, tmp_path):
    old.end = "error"
    old.mock.get(f"{API}/jobs/j2", json={"id": "j2", "state": "error", "stderr": "Traceback:\n  x\nOSError: no disk\n"})
    assert script(history_export.main, KEY, URL, "Run / 12", tmp_path / "x.tgz") == FAILED
    assert refused_with(capsys, "Galaxy could not make the tgz: job j2 is error: OSError: no disk")


@pytest.mark.parametrize("option", ["--archive=rocrate.zip", "--no-files"])
def test_archives_that_need_celery_are_an_error_without_it(script, old, capsys, tmp_path, option):
    assert script(history_export.main, option, KEY, URL, "Run / 12", tmp_path / "x.tgz") == FAILED
    assert refused_with(capsys, "this server has no Celery, so it makes archives of the kinds tgz and tar only, and with "
                        "contents")
    assert old.put.call_count == 0


# ------------------------------------------------------------------------------------------------------- history_import

IMPORTED = "imported from archive: Run 12"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "x.tgz").write_bytes(archive())
    return tmp_path / "x.tgz"


@pytest.fixture
def take(script, wire, file):
    """`take(*options)`: the exit status of the import of `file`, unless it is to be `what`."""
    return lambda *options, what=file: script(history_import.main, *options, KEY, wire.url, what)


def newest(wire):
    return list(wire.histories)[-1]


def test_an_import_is_sent_awaited_and_tagged(take, wire, file, clock, capsys):
    wire.imports["polls"] = 3
    assert take("--format=value") == 0
    assert capsys.readouterr() == (f"{newest(wire)}\t{IMPORTED}\n", "")
    [sent] = wire.sent("POST histories")
    mark = re.fullmatch("multipart/form-data; boundary=([0-9a-f]{32})", sent.headers["Content-Type"]).group(1).encode()
    before, form, after = sent.body.split(b"--" + mark)
    head, _, content = form.partition(b"\r\n\r\n")
    assert (before, after) == (b"", b"--\r\n") and content == file.read_bytes() + b"\r\n"
    assert b'name="archive_file"; filename="archive.tar.gz"' in head
    assert sent.headers["Content-Length"] == str(len(sent.body))
    assert [one.json for one in wire.sent("PUT history")] == [{"tags": ["rna"]}]


def test_an_imported_history_gets_the_name_option(take, wire, file, capsys):
    file.write_bytes(archive(tags=[]))
    assert take("--name=Run 13", "--format=value", "--fields=size") == 0
    assert capsys.readouterr() == ("10\n", "")
    assert [one.json for one in wire.sent("PUT history")] == [{"name": "Run 13"}]


def test_an_address_is_imported_by_galaxy_itself(take, wire, capsys):
    address = "https://elsewhere.test/x.tgz"
    wire.content = archive(states={"b": "error"})
    assert take("--format=value", what=address) == 0
    assert capsys.readouterr() == (f"{newest(wire)}\t{IMPORTED}\n", "")
    assert wire.sent("POST histories")[0].json == {"archive_type": "url", "archive_source": address}
    assert not wire.count("PUT history")
    wire.arrivals = {"a": {"state": "failed_metadata"}}
    assert take("--format=value", what=address) == FAILED
    assert refused_with(capsys, "1 of the archive's datasets are missing or wrong in it: a (failed_metadata)")


def test_a_damaged_archive_is_not_sent(take, wire, file, capsys):
    file.write_bytes(archive()[:-20])
    assert take() == FAILED
    assert refused_with(capsys, "x.tgz: not the whole archive of a history")
    file.unlink()
    assert take() == USAGE
    assert refused_with(capsys, "x.tgz: No such file or directory")
    assert not wire.writes()


def test_a_refused_import_is_an_error(script, take, wire, file, capsys):
    wire.answers["POST histories"] = (403, {"err_msg": "No rights", "err_code": 403002})
    assert take() == FAILED
    assert refused_with(capsys, "No rights")
    wire.users[""] = {}
    assert script(history_import.main, "anonymous", wire.url, file) == FAILED
    assert refused_with(capsys, "does not recognise this API key")


@pytest.mark.parametrize("stderr, words", [
    ("Traceback:\n  File x\n    y\nEOFError: ended early\n", "is error: EOFError: ended early"),
    ("tarfile.ReadError: not opened:\n- method gz: no\n", "is error: tarfile.ReadError: not opened"),
    (None, "is error: Galaxy does not say why"),
])
def test_a_failed_import_shows_galaxys_reason(take, wire, capsys, stderr, words):
    wire.imports = {"state": "error", "stderr": stderr}
    assert take() == FAILED
    assert refused_with(capsys, f"the import failed: job {next(iter(wire.jobs))} {words}; "
                                f"it has left the incomplete history {newest(wire)}")
    wire.answers["GET job"] = lambda handler: wire.histories.clear()
    assert take() == FAILED
    assert "has left" not in capsys.readouterr().err
    assert wire.count("POST histories") == 2, "a failed import is started again"


@pytest.mark.parametrize("arrivals, words", [
    ({"b": {"name": "other"}}, "1 of the archive's datasets are missing or wrong in it: b (ok, 6 bytes)"),
    ({"b": {"content": b"three"}}, "1 of the archive's datasets are missing or wrong in it: b (ok, 6 bytes)"),
    ({"b": {"content": b"", "state": "discarded"}}, "b (ok, 6 bytes)"),
    ({"a": {"state": "failed_metadata"}}, "a (ok, 4 bytes)"),
    ({"a": {"name": "other"}}, "a (ok, 4 bytes)"),
])
def test_datasets_that_are_missing_after_an_import_are_an_error(take, wire, capsys, arrivals, words):
    wire.arrivals = arrivals
    assert take() == FAILED
    output = capsys.readouterr()
    assert f"history {newest(wire)} ({IMPORTED}) was created, but" in output.err and words in output.err
    assert output.out == "" and output.err.count("\n") == 1


def test_failed_datasets_are_imported_as_such_and_unfinished_ones_are_an_error(take, wire, file, capsys):
    wire.polls = 10**6
    file.write_bytes(archive(states={"a": "error", "b": "queued"}))
    assert take() == FAILED
    assert refused_with(capsys, "1 of the archive's datasets are missing or wrong in it: b (queued, 6 bytes)")


def test_an_import_waits_for_metadata_jobs(take, wire, clock, capsys):
    made = []

    def set_metadata(handler):
        if not made:
            made.append(wire.create_job("__SET_METADATA__", newest(wire), "running"))
    wire.answers["GET job"] = set_metadata
    assert take("--timeout=5") == STILL_RUNNING
    assert refused_with(capsys, f"job {next(iter(wire.jobs))} is still importing after 5 s")
    made[0]["state"] = "ok"
    assert take("--timeout=5") == 0
    assert wire.count("POST histories") == 1


def test_an_import_is_resumed_after_a_timeout(take, wire, clock, capsys):
    wire.imports["polls"] = 100
    for _ in range(2):
        assert take("--timeout=5") == STILL_RUNNING
        assert refused_with(capsys, "repeat the command to wait again")
    [job] = wire.jobs.values()
    wire.imports["polls"] = job["polls"] = 0
    assert take("--format=value") == 0
    assert capsys.readouterr().out == f"{newest(wire)}\t{IMPORTED}\n" and wire.count("POST histories") == 1
    assert take() == 0
    assert wire.count("POST histories") == 2, "the first one had ended, so a second one is started"


def test_a_changed_archive_is_another_import(take, wire, file, clock):
    wire.imports["polls"] = 100
    assert take("--timeout=5") == STILL_RUNNING
    file.write_bytes(archive(annotation="other"))
    wire.imports.clear()
    assert take() == 0
    assert wire.count("POST histories") == 2


def test_the_imported_history_is_found_by_name_time_and_contents(take, wire, file, capsys):
    def make(name):
        history = wire.create_history(name)
        return history, [wire.create_dataset(*dataset, history=history) for dataset in CONTENTS.items()]

    (earlier, _), (other, _), (shorter, _) = map(make, (IMPORTED, "Run 12", "imported from archive: Run"))
    wire.imports["create_time"] = wire.histories[earlier]["create_time"]
    wire.answers["GET job"] = lambda handler: make(IMPORTED)        # after its end
    line = ["--format=value", "--fields=id"]
    assert take(*line) == 0
    latest, *later = list(wire.histories)[3:]
    assert capsys.readouterr().out == f"{latest}\n", "the latest one before the job's end"
    for one in later:
        del wire.histories[one]
    wire.answers.clear()
    wire.histories[latest]["contents"].pop(0)
    wire.arrivals = {"a": {"name": "other"}}
    assert take(*line) == 0
    assert capsys.readouterr().out == f"{earlier}\n", "the one that holds what the archive does"
    wire.answers["GET job"] = lambda handler: [wire.histories.pop(one) for one in list(wire.histories) if one not in (
        other, shorter)]
    assert take() == FAILED
    assert refused_with(capsys, "has done the import, but its history does not exist")


@pytest.mark.parametrize("name", ["n" * 250, None])
def test_a_history_is_found_by_the_name_that_galaxy_makes(take, wire, file, name):
    wire.content = archive(name=name)
    file.write_bytes(wire.content)
    assert take() == 0
    assert take(what="https://elsewhere.test/x.tgz") == 0


def test_an_import_whose_answer_is_lost_is_found_by_its_job(take, wire, clock, capsys):
    wire.answers["POST histories"] = (504, lambda handler: wire.import_archive(handler.asked.body))
    assert take("--format=value") == 0
    assert capsys.readouterr() == (f"{newest(wire)}\t{IMPORTED}\n", "")


def test_an_import_that_can_not_be_found_is_an_error(take, wire, clock, capsys):
    """The archive arrives whole, and a proxy does not wait for the answer."""
    wire.answers["POST histories"] = (504, {})
    assert take() == TRY_LATER
    assert refused_with(capsys, "the server may have done it all the same, so look before you send it again")
    assert sum(clock.slept) >= 300


def test_an_import_that_appears_after_its_run_has_given_up_is_taken_over(take, wire, file, clock):
    wire.answers["POST histories"] = (504, {})
    assert take() == TRY_LATER
    wire.answers.clear()
    wire.content = file.read_bytes()
    wire.import_archive(None)
    assert take() == 0
    assert wire.count("POST histories") == 1
    assert take() == 0
    assert wire.count("POST histories") == 2, "the first one is done, so this is another one"


@pytest.fixture
def beside(wire):
    """requests-mock beside the server: it breaks connections before anything is sent."""
    with requests_mock.Mocker(real_http=True) as mock:
        yield mock


def test_an_import_that_was_never_sent_takes_no_other_over(take, wire, beside, clock):
    beside.post(f"{wire.url}/api/histories", exc=requests.exceptions.ConnectTimeout("nobody is there"))
    assert take() == TRY_LATER
    wire.create_job("__IMPORT_HISTORY__", None)     # of another archive
    beside.reset()
    beside.stop()
    assert take() == 0
    assert wire.count("POST histories") == 1


def test_a_connection_that_breaks_during_the_upload_can_be_tried_later(take, wire, beside, clock, capsys):
    beside.post(f"{wire.url}/api/histories", exc=requests.exceptions.ConnectionError("reset"))
    assert take() == TRY_LATER
    output = capsys.readouterr().err
    assert f"nothing was imported: POST {wire.url}/api/histories: the connection broke" in output
    assert "an archive goes in one request" in output and "may have done it" not in output and clock.slept == []


def test_an_archive_too_large_for_a_proxy_is_an_error_with_a_hint(take, wire, capsys):
    wire.answers["POST histories"] = (413, b"<html><title>413 Too Large</title></html>", {"Content-Type": "text/html"})
    assert take() == FAILED
    output = capsys.readouterr().err
    assert "nothing was imported" in output and "its administrator can raise the limit" in output
    assert output.endswith("an archive goes in one request; --help says how to send one in pieces\n")


def replace_by_mv(path):
    """Another file of the same size and time takes its name (A12)."""
    about, other = path.stat(), path.with_name("other")
    other.write_bytes(bytes(about.st_size))
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"shorter"), replace_by_mv])
def test_an_archive_that_changes_during_the_upload_is_not_imported(file, change):
    whole = read_archive(file)

    class Bar:
        n = 0

        def update(self, size):
            if size:
                change(file)

    with pytest.raises(GalaxyError, match="changed while it was sent, so nothing is imported"):
        b"".join(MultipartForm({}, [FormFile("archive_file", whole.path, "x", whole.stamp)], Bar()))


def test_a_retried_upload_starts_from_the_beginning_of_the_archive(loopback, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(os.urandom(3 * 2**20 + 17))
    about = path.stat()
    whole = Archive(path, (about.st_size, about.st_mtime_ns), "tar.gz", "n", [], Counter())
    loopback.will((200, []), (429, {"err_msg": "busy"}), (200, {"id": "j1"}))
    galaxy = Galaxy(KEY, loopback.url)
    with Checkpoint(galaxy, "x", "import") as checkpoint:
        assert histories.start_import(galaxy, whole, checkpoint) == "j1"
    first, second = (asked.body for asked in loopback.asked if asked.method == "POST")
    assert first == second and path.read_bytes() in first
    with progress_bar(0, "") as bar:
        form = MultipartForm({}, [FormFile("archive_file", whole.path, "x", whole.stamp)], bar)
        assert max(map(len, form)) == 2**20, "only one block is in memory"
