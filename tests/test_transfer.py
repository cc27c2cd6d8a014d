import base64
import hashlib
import os

import pytest

import transfer
from common import REFUSED, TRY_LATER, USAGE, Galaxy, Refused

KEY = "0123456789abcdef0123456789abcdef"
HISTORY = (200, {"id": "h"})
MADE = (201, b"", {"Location": "http://elsewhere.example.org/api/upload/resumable_upload/5e55"})
TAKEN = (204, b"")
FETCHED = (200, {"outputs": [{"id": "d", "state": "queued"}], "jobs": [{"id": "j"}]})


def arrived(size):
    return (200, b"", {"Upload-Offset": str(size)})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "reads 1.fastq"
    path.write_bytes(os.urandom(100_000))
    return path


def test_upload_in_pieces(loopback, file, monkeypatch):
    monkeypatch.setattr(transfer, "PIECE", 40_000)
    loopback.will(HISTORY, MADE, TAKEN, TAKEN, TAKEN, arrived(100_000), FETCHED)
    assert transfer.upload(Galaxy(KEY, loopback.url), "h", str(file), ext="fastqsanger", dbkey="hg38") == FETCHED[1]
    content = file.read_bytes()
    lines = [asked.line for asked in loopback.asked]
    assert lines == ["GET /api/histories/h", "POST /api/upload/resumable_upload/"] + \
        ["PATCH /api/upload/resumable_upload/5e55"] * 3 + ["HEAD /api/upload/resumable_upload/5e55",
                                                           "POST /api/tools/fetch"]
    made, pieces, fetch = loopback.asked[1], loopback.asked[2:5], loopback.asked[6]
    assert made.headers["Upload-Length"] == "100000"
    told = dict(pair.split(" ") for pair in made.headers["Upload-Metadata"].split(","))
    assert base64.b64decode(told["filename"]) == b"reads 1.fastq" and "filetype" in told
    assert b"".join(piece.body for piece in pieces) == content
    assert [(piece.headers["Upload-Offset"], piece.headers["Content-Length"]) for piece in pieces] == [
        ("0", "40000"), ("40000", "40000"), ("80000", "20000")]
    assert all(asked.headers["Tus-Resumable"] == "1.0.0" for asked in loopback.asked[1:6])
    assert fetch.json == {
        "history_id": "h",
        "targets": [{"destination": {"type": "hdas"}, "elements": [{
            "src": "files", "name": "reads 1.fastq", "ext": "fastqsanger", "dbkey": "hg38",
            "hashes": [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(content).hexdigest()}]}]}],
        "files_0|file_data": {"session_id": "5e55", "name": "reads 1.fastq"}}


def test_an_empty_file(loopback, tmp_path):
    (tmp_path / "empty").touch()
    loopback.will(HISTORY, MADE, arrived(0), FETCHED)
    transfer.upload(Galaxy(KEY, loopback.url), "h", str(tmp_path / "empty"))
    assert [asked.method for asked in loopback.asked] == ["GET", "POST", "HEAD", "POST"]


def refused(loopback, path):
    with pytest.raises(Refused) as caught:
        transfer.upload(Galaxy(KEY, loopback.url), "h", str(path))
    assert not any(asked.path == "/api/tools/fetch" for asked in loopback.asked)
    return caught.value


def test_half_an_upload_becomes_no_dataset(loopback, file):
    loopback.will(HISTORY, MADE, TAKEN, arrived(99_999))
    error = refused(loopback, file)
    assert "99999 of 100000 bytes arrived" in str(error) and error.exit_code == TRY_LATER


def test_a_connection_that_breaks_becomes_no_dataset(loopback, file, clock):
    loopback.will(HISTORY, MADE, lambda handler: handler.cut())
    error = refused(loopback, file)
    assert "no dataset was made, send it again" in str(error)
    assert error.exit_code == TRY_LATER and not error.lost


def test_a_piece_that_is_refused(loopback, file):
    loopback.will(HISTORY, MADE, (413, b"<title>413 Request Entity Too Large</title>"))
    error = refused(loopback, file)
    assert "a proxy before Galaxy: it takes no body of 100000 bytes" in str(error) and error.status == 413
    assert "no dataset was made: " in str(error) and "send it again" not in str(error)


def test_a_file_that_changes_meanwhile_becomes_no_dataset(loopback, file):
    def touch(handler):
        os.utime(file, ns=(1, 1))
        handler.reply(204, b"")
    loopback.will(HISTORY, MADE, touch, arrived(100_000))
    assert "changed while it was sent" in str(refused(loopback, file))


def test_a_file_that_shrinks_meanwhile_becomes_no_dataset(loopback, file):
    def cut(handler):
        os.truncate(file, 10)
        handler.reply(*MADE)
    loopback.will(HISTORY, cut, TAKEN)
    assert "became shorter" in str(refused(loopback, file))


def test_a_server_that_names_no_session(loopback, file):
    loopback.will(HISTORY, (201, b""))
    assert "named no upload session" in str(refused(loopback, file))


def test_a_wrong_history_is_told_before_the_bytes_go(loopback, file):
    loopback.will((404, {"err_msg": "History not found"}))
    assert "History not found" in str(refused(loopback, file))
    assert len(loopback.asked) == 1


def test_a_file_that_is_not_there(loopback, tmp_path):
    assert "No such file" in str(refused(loopback, tmp_path / "nosuch"))
    assert refused(loopback, tmp_path).exit_code == USAGE
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in str(refused(loopback, tmp_path / "pipe"))
    assert loopback.asked == []


# ---------------------------------------------------------------------------------------------- down

CONTENT = b"a\tb\n" * 1000
ABOUT = {"id": "d", "name": "table", "state": "ok", "extension": "tabular", "file_size": len(CONTENT), "deleted": False}


def fetch(loopback, folder, *answers, **options):
    loopback.will(*answers)
    return transfer.download(Galaxy(KEY, loopback.url), "d", folder, set(), **options)


def test_download(loopback, tmp_path):
    path = fetch(loopback, tmp_path, (200, ABOUT), (200, CONTENT))
    assert path == tmp_path / "table.tabular" and path.read_bytes() == CONTENT
    assert sorted(os.listdir(tmp_path)) == ["home", "table.tabular"]
    asked = loopback.asked[1]
    assert asked.line == "GET /api/datasets/d/display?to_ext=tabular"
    assert asked.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("change, words", [
    ({"state": "error"}, "in state error"), ({"state": "running"}, "in state running"), ({"deleted": True}, "is deleted"),
    ({"purged": True}, "is deleted")])
def test_a_dataset_that_is_not_ok_is_refused(loopback, tmp_path, change, words):
    with pytest.raises(Refused, match=words) as caught:
        fetch(loopback, tmp_path, (200, {**ABOUT, **change}))
    assert caught.value.exit_code == REFUSED
    assert len(loopback.asked) == 1 and os.listdir(tmp_path) == ["home"]


def too_few(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:100])
    handler.cut()


def test_more_bytes_than_there_are_is_nothing_to_try_again(loopback, tmp_path):
    with pytest.raises(Refused, match="4001 of 4000 bytes came") as caught:
        fetch(loopback, tmp_path, (200, ABOUT), (200, CONTENT + b"x"))
    assert caught.value.exit_code == REFUSED and os.listdir(tmp_path) == ["home"]


ZIP = (200, b"PK", {"Content-Type": "application/x-zip-compressed"})


def test_what_galaxy_would_pack_is_asked_for_raw(loopback, tmp_path):
    path = fetch(loopback, tmp_path, (200, {**ABOUT, "extension": "html"}), ZIP, (200, []), (200, CONTENT))
    assert path.name == "table.html" and path.read_bytes() == CONTENT
    assert loopback.asked[3].path == "/api/datasets/d/display?to_ext=html&raw=true"


def test_a_dataset_with_companion_files_is_refused(loopback, tmp_path):
    with pytest.raises(Refused, match="companion files"):
        fetch(loopback, tmp_path, (200, {**ABOUT, "extension": "velvet"}), ZIP, (200, [{"path": "Graph", "class": "File"}]))
    assert os.listdir(tmp_path) == ["home"]


@pytest.mark.parametrize("answer", [too_few, (200, CONTENT[:-1]), (200, b"")])
def test_bytes_that_are_missing_leave_nothing(loopback, tmp_path, answer):
    with pytest.raises(Refused, match="fetch it again") as caught:
        fetch(loopback, tmp_path, (200, ABOUT), answer)
    assert caught.value.exit_code == TRY_LATER
    assert os.listdir(tmp_path) == ["home"]


def test_no_file_is_overwritten_unasked(loopback, tmp_path):
    (tmp_path / "table.tabular").write_text("mine")
    with pytest.raises(Refused, match="there already"):
        fetch(loopback, tmp_path, (200, ABOUT), (200, CONTENT))
    assert (tmp_path / "table.tabular").read_text() == "mine"
    fetch(loopback, tmp_path, (200, ABOUT), (200, CONTENT), overwrite=True)
    assert (tmp_path / "table.tabular").read_bytes() == CONTENT


def test_a_full_disk_leaves_nothing(loopback, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        fetch(loopback, tmp_path, (200, ABOUT), (200, CONTENT))
    assert os.listdir(tmp_path) == ["home"]


def test_two_datasets_of_one_name_stay_two_files(loopback, tmp_path):
    loopback.will((200, ABOUT), (200, CONTENT), (200, {**ABOUT, "file_size": 1}), (200, b"x"))
    galaxy, taken = Galaxy(KEY, loopback.url), set()
    first, second = (transfer.download(galaxy, dataset, tmp_path, taken) for dataset in ("d1", "d2"))
    assert (first.name, second.name) == ("table.tabular", "table (d2).tabular")
    assert first.read_bytes() == CONTENT and second.read_bytes() == b"x"


@pytest.mark.parametrize("labels", [["n" * 300] * 3, ["x", "x (d3)", "x"]])
def test_one_run_never_writes_twice_to_one_name(loopback, tmp_path, labels):
    loopback.will(*(answer for label in labels for answer in ((200, {**ABOUT, "name": label}), (200, CONTENT))))
    galaxy, taken = Galaxy(KEY, loopback.url), set()
    paths = {transfer.download(galaxy, f"d{number}", tmp_path, taken, overwrite=True)
             for number in range(1, len(labels) + 1)}
    assert len(paths) == len(labels) == len(list(tmp_path.glob("*.tabular")))


@pytest.mark.parametrize("name, path", [
    ("a", "a.txt"), ("a.txt", "a.txt"), ("../../etc/passwd", "_._.._etc_passwd.txt"), ("/abs", "_abs.txt"),
    (".hidden", "_hidden.txt"),
    ("..", "_..txt"), ("", "dataset.txt"), ("a\nb\0c\\d", "a_b_c_d.txt"), (" a ", "a.txt"), (".txt", "dataset.txt"),
    ("Größe 基因", "Größe 基因.txt"), ("é" * 300, "é" * 125 + ".txt")])
def test_names_stay_in_the_folder(name, path):
    assert transfer.file_name(name, "txt") == path
    assert len(path.encode()) <= 255


def test_a_piece_is_never_sent_a_second_time(loopback, file, clock):
    loopback.will(HISTORY, MADE, (429, {}, {"Retry-After": "1"}), TAKEN)
    assert refused(loopback, file).status == 429
    assert [asked.method for asked in loopback.asked] == ["GET", "POST", "PATCH"]


@pytest.mark.parametrize("ext", ["d/../../pwned.txt", "../x", "\x1b[31m", "x" * 300, "", "é"])
def test_datatypes_stay_in_the_folder(loopback, tmp_path, ext):
    (tmp_path / "cron.d").mkdir()
    fetched = fetch(loopback, tmp_path, (200, {**ABOUT, "name": "cron", "extension": ext}), (200, CONTENT))
    assert fetched.parent == tmp_path and "/" not in fetched.name and "\x1b" not in fetched.name
    assert sorted(os.listdir(tmp_path)) == sorted(["cron.d", "home", fetched.name])
    assert os.listdir(tmp_path / "cron.d") == []


@pytest.mark.parametrize("about", [[], None, "x", {**ABOUT, "file_size": "5"}, {**ABOUT, "file_size": None}])
def test_answers_that_are_no_datasets(loopback, tmp_path, about):
    with pytest.raises(Refused) as caught:
        fetch(loopback, tmp_path, (200, about), (200, CONTENT))
    assert caught.value.exit_code == REFUSED and os.listdir(tmp_path) == ["home"]


def test_two_processes_and_one_name(loopback, tmp_path):
    """The file of another run that came while ours was fetched stays."""
    def meanwhile(handler):
        (tmp_path / "table.tabular").write_text("another's")
        handler.reply(200, CONTENT)
    with pytest.raises(Refused, match="there already"):
        fetch(loopback, tmp_path, (200, ABOUT), meanwhile)
    assert (tmp_path / "table.tabular").read_text() == "another's"
    assert sorted(os.listdir(tmp_path)) == ["home", "table.tabular"]


def test_a_file_system_without_links(loopback, tmp_path, monkeypatch):
    def no_links(*what):
        raise PermissionError(1, "Operation not permitted")
    monkeypatch.setattr(os, "link", no_links)
    assert fetch(loopback, tmp_path, (200, ABOUT), (200, CONTENT)).read_bytes() == CONTENT


def test_a_folder_in_the_way(loopback, tmp_path):
    (tmp_path / "table.tabular").mkdir()
    with pytest.raises(Refused, match="Is a directory"):
        fetch(loopback, tmp_path, (200, ABOUT), (200, CONTENT), overwrite=True)
    assert os.listdir(tmp_path / "table.tabular") == []


def test_a_file_that_says_it_is_empty_and_is_not(loopback):
    loopback.will(HISTORY, MADE, arrived(0), FETCHED)
    assert "changed while it was sent" in str(refused(loopback, "/proc/version"))
