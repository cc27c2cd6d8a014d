"""The scripts from a file to a result: the requests they send, what they print, their exit statuses."""
import contextlib
import hashlib
import os
import subprocess
import sys

import dataset_download
import history_create_history
import invocation_wait
import key_show
import pytest
import upload_to_history
from fakes import KEY, URL

import create
from common import FAILED, SOME_FAILED, STILL_RUNNING, USAGE

FORBIDDEN = {"status_code": 403, "json": {"err_msg": "No rights", "err_code": 403002}}


def reports_error(capsys, words):
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and words in output.err and KEY not in output.err
    return True


# ---------------------------------------------------------------------------------------------- bad lines

@pytest.mark.parametrize("module, lines", [
    (history_create_history, [[], [KEY], [KEY, URL, "--nosuch"]]),
    (upload_to_history, [[KEY], [KEY, URL, "h"], [KEY, URL, "h", "f", "dbkey"]]),
    (invocation_wait, [[KEY, URL], [KEY, URL, "i", "--timeout=soon"], [KEY, URL, "i", "--timeout"]]),
    (dataset_download, [[KEY, URL], [KEY, URL, "--to"]]),
    (key_show, [[], [URL], [URL, "me", "password"]]),
])
def test_a_bad_line_is_a_usage_error_and_shows_no_key(script, capsys, module, lines):
    for line in lines:
        assert script(module.main, *line) == USAGE, line
        output = capsys.readouterr()
        assert output.out == "" and output.err and KEY not in output.err
    assert script(module.main, "--help") == 0


# ---------------------------------------------------------------------------------------------- history_create_history

def test_history_create_sends_the_name_and_prints_the_answer(script, requests_mock, capsys):
    requests_mock.post(f"{URL}/api/histories", json={"id": "h", "name": "n"})
    assert script(history_create_history.main, KEY, f"{URL}/api/histories", "n") == 0
    assert requests_mock.last_request.json() == {"name": "n"}
    assert requests_mock.last_request.headers["x-api-key"] == KEY
    output = capsys.readouterr()
    assert (output.out, output.err) == ("Response\n--------\n{'id': 'h', 'name': 'n'}\n", "")


def test_history_create_needs_no_name_and_prints_the_id_alone(script, requests_mock, capsys):
    requests_mock.post(f"{URL}/api/histories", json={"id": "h", "name": "Unnamed history"})
    assert script(history_create_history.main, "--format=value", "--fields=id", KEY, URL) == 0
    assert requests_mock.last_request.json() == {}
    assert capsys.readouterr().out == "h\n"


def test_history_create_reports_an_error(script, requests_mock, capsys):
    requests_mock.post(f"{URL}/api/histories", **FORBIDDEN)
    assert script(history_create_history.main, KEY, URL, "n") == FAILED
    assert reports_error(capsys, "No rights")


# ---------------------------------------------------------------------------------------------- upload_to_history

@pytest.fixture
def tus(requests_mock):
    """A Galaxy that accepts an upload of three bytes."""
    uploads = f"{URL}/api/upload/resumable_upload/"
    requests_mock.get(f"{URL}/api/histories/h", json={"id": "h"})
    requests_mock.post(uploads, status_code=201, headers={"Location": uploads + "s1", "Upload-Offset": "3"},
                       text=lambda request, context: str(b"".join(request.body)))
    requests_mock.get(f"{URL}/api/histories/h/contents", json=[])
    requests_mock.post(f"{URL}/api/tools/fetch", json={"outputs": [{"id": "d", "state": "queued"}], "jobs": []})
    return requests_mock


def test_upload_prints_the_answer_on_standard_error_as_the_original_did(script, tus, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("abc")
    line = [KEY, URL, "h", tmp_path / "a.txt", "filename=reads", "file_type=fastq", "dbkey=hg38"]
    assert script(upload_to_history.main, *line) == 0
    element = tus.last_request.json()["targets"][0]["elements"][0]
    assert (element["name"], element["ext"], element["dbkey"]) == ("reads", "fastq", "hg38")
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "{'outputs': [{'id': 'd', 'state': 'queued'}], 'jobs': []}\n")


def test_upload_of_a_file_whose_name_begins_with_a_hyphen(script, tus, tmp_path, monkeypatch, capsys):
    """A13: it is a file, not -h and so on."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-dash.txt").write_text("abc")
    assert script(upload_to_history.main, "-q", KEY, URL, "h", "-dash.txt") == 0
    assert tus.last_request.json()["targets"][0]["elements"][0]["name"] == "-dash.txt"


@pytest.fixture
def pipe():
    """Returns a function that returns the path of a pipe with this content."""
    ends = []

    def make(content):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        ends.append(reading)
        return f"/dev/fd/{reading}"
    yield make
    for end in ends:
        os.close(end)


def test_upload_of_a_pipe(script, tus, pipe, capsys):
    """As the old script took them: /dev/stdin, <(zcat FILE)."""
    assert script(upload_to_history.main, "-q", KEY, URL, "h", pipe(b"abc"), "filename=reads") == 0
    assert tus.last_request.json()["targets"][0]["elements"][0]["name"] == "reads"
    made = [request.headers["Upload-Length"] for request in tus.request_history if "Upload-Length" in request.headers]
    assert made == ["3"] and capsys.readouterr() == ("", "")


def test_upload_of_a_pipe_in_which_nothing_comes(script, tus, pipe, capsys):
    """A11: the command before it has failed."""
    assert script(upload_to_history.main, "-q", KEY, URL, "h", pipe(b"")) == FAILED
    assert "nothing came: has the command before it failed?" in capsys.readouterr().err and not tus.called


def test_upload_prints_nothing_if_quiet_and_the_fields_on_standard_output(script, tus, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("abc")
    assert script(upload_to_history.main, "-q", KEY, URL, "h", tmp_path / "a.txt") == 0
    assert capsys.readouterr() == ("", "")
    assert script(upload_to_history.main, "--format=value", "--fields=id", KEY, URL, "h", tmp_path / "a.txt") == 0
    assert capsys.readouterr() == ("d\n", "")


def test_upload_warns_of_a_name_that_means_nothing(script, tus, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("abc")
    assert script(upload_to_history.main, "-q", KEY, URL, "h", tmp_path / "a.txt", "dbkye=hg38") == 0
    assert "dbkye= means nothing here" in capsys.readouterr().err


def test_upload_waits_for_the_dataset(script, tus, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("abc")
    line = ["--wait", "--format=value", KEY, URL, "h", tmp_path / "a.txt"]
    contents = f"{URL}/api/histories/h/contents"
    datasets = [{"id": "d", "state": "ok", "hid": 1, "name": "a.txt", "deleted": False, "history_content_type": "dataset",
                 "file_size": 3, "hashes": [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(b"abc").hexdigest()}]}]
    tus.get(contents, [{"json": []}, {"json": datasets}])
    tus.get(f"{URL}/api/datasets/d", json={"id": "d", "state": "ok", "extension": "txt"})
    assert script(upload_to_history.main, *line, "--fields=id,state,extension") == 0
    assert capsys.readouterr() == ("d\tok\ttxt\n", "")
    tus.get(contents, json=[{**datasets[0], "state": "running"}])
    assert script(upload_to_history.main, "--timeout=0", *line) == STILL_RUNNING


def test_upload_fails_after_the_second_attempt(script, tus, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("abc")
    failed = [{"id": "d", "state": "error", "hid": 1, "name": "a.txt", "deleted": False, "history_content_type": "dataset",
               "file_size": 0, "hashes": [], "misc_info": "hash does not match"}]
    attempt = [{"json": []}, {"json": failed}, {"json": failed}]
    tus.get(f"{URL}/api/histories/h/contents", attempt * 2)
    tus.delete(f"{URL}/api/datasets/d")
    assert script(upload_to_history.main, "--wait", KEY, URL, "h", tmp_path / "a.txt") == FAILED
    assert reports_error(capsys, "dataset d ended in state error: hash does not match")
    sent = [request for request in tus.request_history if request.path == "/api/tools/fetch"]
    assert len(sent) == 2


def test_upload_takes_strings_only(script, tus, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("abc")
    assert script(upload_to_history.main, KEY, URL, "h", tmp_path / "a.txt", "filename:=5") == USAGE
    assert reports_error(capsys, "only strings here")
    assert tus.call_count == 0


@pytest.mark.parametrize("module, line", [
    (history_create_history, ["n"]), (upload_to_history, ["h", "/etc/hosts"]), (create, ["name=x"])])
def test_an_unknown_format_is_refused_before_anything_is_sent(script, requests_mock, capsys, module, line):
    assert script(module.main, "--format=tabel", KEY, f"{URL}/api/histories", *line) == USAGE
    assert reports_error(capsys, "--format=tabel: expected one of table, json")
    assert requests_mock.call_count == 0


def test_an_unknown_field_is_reported_with_the_id_of_what_was_created(script, requests_mock, capsys):
    requests_mock.post(f"{URL}/api/histories", json={"id": "h", "name": "n"})
    for style in ("value", "table", "json", "csv"):
        assert script(history_create_history.main, "--fields=ids", f"--format={style}", KEY, URL, "n") == FAILED
        assert reports_error(capsys, "it is done (id h), but there is no field ids in the answer: there are id, name")


@pytest.mark.parametrize("file", ["nosuch", "."])
def test_upload_refuses_what_is_no_file(script, tus, tmp_path, capsys, file):
    assert script(upload_to_history.main, KEY, URL, "h", tmp_path / file) == USAGE
    assert reports_error(capsys, str(tmp_path))
    assert tus.call_count == 0


def test_upload_reports_an_error(script, tus, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("abc")
    tus.get(f"{URL}/api/histories/h", **FORBIDDEN)
    assert script(upload_to_history.main, KEY, URL, "h", tmp_path / "a.txt") == FAILED
    assert reports_error(capsys, "No rights")


# ---------------------------------------------------------------------------------------------- invocation_wait

def serve_invocation(requests_mock, states, *jobs, state="completed"):
    base = f"{URL}/api/invocations/i"
    steps = [{"order_index": 0, "workflow_step_label": None, "state": "scheduled", "jobs": list(jobs)}]
    requests_mock.get(f"{base}/jobs_summary", json={"states": states, "populated_state": "ok"})
    requests_mock.get(base, json={"id": "i", "state": state, "workflow_id": "w", "history_id": "h", "steps": steps,
                                  "outputs": {"out": {"src": "hda", "id": "d"}},
                                  "output_collections": {"all": {"src": "hdca", "id": "c"}}})
    requests_mock.get(f"{URL}/api/workflows/w", **FORBIDDEN)
    requests_mock.get(f"{URL}/api/jobs", json=list(jobs))
    for job in jobs:
        requests_mock.get(f"{URL}/api/jobs/{job['id']}", json=job)


def test_invocation_wait_prints_the_outputs(script, requests_mock, capsys):
    serve_invocation(requests_mock, {"ok": 2, "skipped": 1})
    assert script(invocation_wait.main, "--format=value", KEY, URL, "i") == 0
    assert capsys.readouterr() == ("out\thda\td\nall\thdca\tc\n", "")
    assert script(invocation_wait.main, "--quiet", "--fields=id", "--format=value", KEY, URL, "i") == 0
    assert capsys.readouterr() == ("d\nc\n", "")


def test_invocation_wait_reports_a_failed_job(script, requests_mock, capsys):
    job = {"id": "j", "state": "error", "tool_id": "sort1", "exit_code": 2, "params": {}, "inputs": {}, "outputs": {},
           "create_time": "2026-01-01T10:00:00", "update_time": "2026-01-01T10:00:00"}
    serve_invocation(requests_mock, {"ok": 2, "error": 1}, job)
    assert script(invocation_wait.main, KEY, URL, "i") == FAILED
    assert reports_error(capsys, f"failed: 1 error; step 0 (sort1) is error, job j, exit code 2; see {URL}/jobs/j/view")


def test_invocation_wait_ends_with_the_timeout(script, requests_mock, capsys):
    serve_invocation(requests_mock, {"ok": 2, "running": 1})
    assert script(invocation_wait.main, "--timeout=0", KEY, URL, "i") == STILL_RUNNING
    assert reports_error(capsys, "still runs after 0 s: 2 ok, 1 running")


# ---------------------------------------------------------------------------------------------- dataset_download

@pytest.fixture
def datasets(requests_mock):
    """Two datasets that can be downloaded, d1 and d2, and `bad`, which can't; `own` are all of the user's."""
    requests_mock.own = {"bad": {"id": "bad", "name": "b", "state": "error"}}
    for id, name in (("d1", "a"), ("d2", "b")):
        requests_mock.own[id] = {"id": id, "name": name, "state": "ok", "extension": "txt", "file_size": 3}
        requests_mock.get(f"{URL}/api/datasets/{id}/display?to_ext=txt", content=b"abc")
    requests_mock.get(f"{URL}/api/datasets", json=lambda request, context: [
        about for id, about in requests_mock.own.items() if f"dataset-{id}" in request.qs["qv"][0].split(",")])
    return requests_mock


def test_dataset_download_writes_files_and_prints_their_paths(script, datasets, tmp_path, capsys):
    folder = tmp_path / "new" / "folder"
    assert script(dataset_download.main, f"--to={folder}", "--parallel=1", KEY, URL, "d1", "d2") == 0
    assert capsys.readouterr() == (f"{folder}/a.txt\n{folder}/b.txt\n", "")
    assert (folder / "a.txt").read_bytes() == b"abc"
    assert script(dataset_download.main, f"--to={folder}", "--parallel=1", "-q", KEY, URL, "d1", "d2") == 0
    assert capsys.readouterr() == (f"{folder}/a.txt\n{folder}/b.txt\n", "")


def test_dataset_download_exits_3_where_some_datasets_fail(script, datasets, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("mine")
    assert script(dataset_download.main, f"--to={tmp_path}", KEY, URL, "bad", "d2") == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == f"{tmp_path}/b.txt\n" and "dataset bad (b) is in state error" in output.err
    assert script(dataset_download.main, f"--to={tmp_path}", KEY, URL, "bad") == FAILED
    assert script(dataset_download.main, f"--to={tmp_path}", KEY, URL, "d1") == FAILED     # a.txt is somebody else's
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert script(dataset_download.main, f"--to={tmp_path}", "--force", KEY, URL, "d1") == 0
    assert (tmp_path / "a.txt").read_bytes() == b"abc"


@pytest.mark.parametrize("about", [{"name": 5}, {"name": "\ud800"}, {"name": "n" * 5000}, {"extension": None}])
def test_dataset_download_goes_on_after_an_odd_dataset(script, datasets, tmp_path, about):
    about = {"id": "odd", "name": "o", "state": "ok", "extension": "txt", "file_size": 3, **about}
    datasets.own["odd"] = about
    datasets.get(f"{URL}/api/datasets/odd/display", content=b"abc")
    datasets.get(f"{URL}/api/datasets/worse", json=[])
    assert script(dataset_download.main, f"--to={tmp_path}/d", KEY, URL, "odd", "worse", "d1") == SOME_FAILED
    assert len(list((tmp_path / "d").iterdir())) == 3       # two files and the manifest


@pytest.mark.parametrize("module, line", [
    (dataset_download, [""]), (invocation_wait, ["ID?x="]), (upload_to_history, ["", "/etc/hosts"])])
def test_an_empty_or_malformed_id_is_a_usage_error(script, requests_mock, capsys, module, line):
    assert script(module.main, KEY, URL, *line) == USAGE
    assert reports_error(capsys, "is not an id" if "?" in line[0] else "is a variable unset?")
    assert requests_mock.call_count == 0


def test_dataset_download_refuses_a_truncated_file(script, datasets, tmp_path, capsys):
    datasets.get(f"{URL}/api/datasets/d1/display", content=b"ab")
    assert script(dataset_download.main, f"--to={tmp_path}", KEY, URL, "d1") == FAILED
    assert reports_error(capsys, "2 of 3 bytes came") and not (tmp_path / "a.txt").exists()


def test_dataset_download_refuses_a_file_in_place_of_a_folder(script, tmp_path, capsys):
    (tmp_path / "f").touch()
    assert script(dataset_download.main, f"--to={tmp_path}/f", KEY, URL, "d1") == USAGE
    assert reports_error(capsys, "not a folder")


# ---------------------------------------------------------------------------------------------- key_show

def test_key_show_prints_the_key(script, requests_mock, type_in, capsys):
    requests_mock.get(f"{URL}/api/authenticate/baseauth", json={"api_key": KEY})
    type_in("pässword\n")
    assert script(key_show.main, URL, "me@example.org") == 0
    assert capsys.readouterr() == (f"{KEY}\n", "")
    request = requests_mock.last_request
    assert request.headers["Authorization"] == "Basic bWVAZXhhbXBsZS5vcmc6cMOkc3N3b3Jk"    # me@example.org:pässword, UTF-8
    assert "x-api-key" not in request.headers


def test_key_show_reports_an_error_without_the_password(script, requests_mock, type_in, capsys):
    requests_mock.get(f"{URL}/api/authenticate/baseauth", status_code=401, json={"err_msg": "Invalid password s3cret"})
    type_in("s3cret\n")
    assert script(key_show.main, URL, "me@example.org") == FAILED
    output = capsys.readouterr()
    assert "Invalid password ***" in output.err and "s3cret" not in output.err


def test_key_show_refuses_an_empty_password(script, type_in):
    for typed in ("", "\n", b"\xff\n"):
        type_in(typed)
        assert script(key_show.main, URL, "me@example.org") == USAGE


def test_key_show_does_not_echo_the_password(loopback):
    """On a terminal the password is asked for and not echoed, and standard output gets the key alone."""
    pty = pytest.importorskip("pty")
    loopback.will((200, {"api_key": KEY}))
    terminal, inside = pty.openpty()
    running = subprocess.Popen([sys.executable, key_show.__file__, loopback.url, "me@example.org"], stdin=inside,
                               stdout=subprocess.PIPE, stderr=inside, text=True, start_new_session=True)
    os.close(inside)
    shown = b""
    while b"Password of me@example.org" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"s3cret\n")
    assert running.communicate(timeout=60)[0] == f"{KEY}\n" and running.returncode == 0
    with contextlib.suppress(OSError):      # Linux says so when nobody holds the other end any more
        while block := os.read(terminal, 1000):
            shown += block
    os.close(terminal)
    assert b"s3cret" not in shown
    assert loopback.asked[0].headers["Authorization"] == "Basic bWVAZXhhbXBsZS5vcmc6czNjcmV0"
