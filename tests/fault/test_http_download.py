"""Downloads, against loopback servers that answer well, badly, or not to the end."""
import contextlib
import hashlib
import os

import pytest
from fakes import KEY
from fakes.faults import cut, stall, status

from common import FAILED, TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts import transfer_limit
from galaxy_api_scripts.datasets import http_download
from galaxy_api_scripts.datasets.http_download import ExpectedFile, UnexpectedArchive

SIZE = 200_000
CONTENT = os.urandom(SIZE)


def fetched(wire, path, size=SIZE, algorithm="", digest="", **options):
    return http_download.download_file(Galaxy(KEY, wire.url), f"{wire.url}/file", path, label="dataset d (x)",
                                       expected=ExpectedFile(size, algorithm, digest), **options)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Files of some hundred KB behave as large ones do."""
    monkeypatch.setattr(http_download, "CHUNK_SIZE", 4096)


@pytest.fixture
def folder(tmp_path, wire):
    wire.content = CONTENT
    (tmp_path / "to").mkdir()
    return tmp_path / "to"


def test_a_file_comes_down(wire, folder):
    assert fetched(wire, folder / "x", algorithm="sha256") == hashlib.sha256(CONTENT).hexdigest()
    assert (folder / "x").read_bytes() == CONTENT and os.listdir(folder) == ["x"]
    assert os.stat(folder / "x").st_mtime == 1795514400     # Last-Modified
    assert wire.lines == ["GET /file"]


@pytest.mark.parametrize("faults", [
    [cut(100)], [cut(0), cut(1), cut(99_999)], [status(502), status(500)],
    [cut(60_000), status(429, Retry_After="0"), cut(1)]], ids=str)
def test_a_download_is_complete_whatever_fails(wire, folder, clock, faults):
    wire.faults = list(faults)
    came = fetched(wire, folder / "x", algorithm="sha256", digest=hashlib.sha256(CONTENT).hexdigest())
    assert came == hashlib.sha256(CONTENT).hexdigest() and wire.faults == []
    assert (folder / "x").read_bytes() == CONTENT and os.listdir(folder) == ["x"]


def test_after_a_cut_the_rest_is_asked_for_in_pieces_that_grow(wire, folder, clock, monkeypatch):
    """Galaxy 26.1 reads on to the end of what was asked for when nobody listens any more."""
    monkeypatch.setattr(http_download, "MIN_PIECE", 10_000)
    monkeypatch.setattr(http_download, "MAX_PIECE", 40_000)
    wire.faults = [cut(60_000), cut(15_000), None, cut(20_000)]
    assert fetched(wire, folder / "x", algorithm="sha256") == hashlib.sha256(CONTENT).hexdigest()
    assert [one.headers.get("Range") for one in wire.asked] == [
        None, "bytes=60000-99999", "bytes=75000-89999", "bytes=90000-119999", "bytes=110000-129999", "bytes=130000-169999",
        "bytes=170000-209999"]
    assert (folder / "x").read_bytes() == CONTENT and os.listdir(folder) == ["x"]


@pytest.mark.parametrize("last, came", [(60_009, 10), (59_999, 0), (40, 0), (60_009, 0)])
def test_an_answer_of_less_than_was_asked_for_is_gone_on_behind(wire, folder, clock, last, came):
    def less(handler):
        headers = {"ETag": wire.etag, "Content-Range": f"bytes 60000-{last}/{SIZE}"}
        handler.reply(206, CONTENT[60_000:60_000 + came], headers)
    wire.faults = [cut(60_000), less]
    assert fetched(wire, folder / "x", algorithm="sha256") == hashlib.sha256(CONTENT).hexdigest()
    assert (folder / "x").read_bytes() == CONTENT


def test_a_stalled_download_is_asked_for_again(wire, folder, monkeypatch):
    monkeypatch.setenv("GALAXY_TIMEOUT", "0.2")
    wire.faults = [stall(0)]
    fetched(wire, folder / "x")
    assert (folder / "x").read_bytes() == CONTENT


def cut_and_changed(handler):
    handler.serve_file(upto=70_000)
    handler.galaxy.content, handler.galaxy.etag = CONTENT[::-1], '"two"'


@pytest.mark.parametrize("etag", ['"one"', ""])
def test_a_file_replaced_during_the_download_starts_over(wire, folder, clock, etag):
    wire.etag = etag
    wire.faults = [cut_and_changed]
    fetched(wire, folder / "x")
    assert (folder / "x").read_bytes() == CONTENT[::-1]


def test_a_file_that_became_shorter_starts_over(wire, folder, clock):
    def shorter(handler):
        handler.serve_file(upto=70_000)
        handler.galaxy.content, handler.galaxy.etag = CONTENT[:50_000], '"two"'
    wire.faults = [shorter]
    fetched(wire, folder / "x", size=None)
    assert (folder / "x").read_bytes() == CONTENT[:50_000]


def killed(wire, folder, name="x", after=150_000):
    class Killed:
        n = 0

        def update(self, size):
            self.n += size
            if self.n >= after:
                raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        fetched(wire, folder / name, total=Killed(), algorithm="sha256")


def test_a_later_process_resumes_a_download(wire, folder):
    killed(wire, folder)
    [part] = os.listdir(folder)
    assert part.startswith(".") and part.endswith(".part")
    wire.faults = [lambda handler: (ranges.append(handler.headers["Range"]), handler.serve_usual())]
    ranges = []
    assert fetched(wire, folder / "x", algorithm="sha256") == hashlib.sha256(CONTENT).hexdigest()
    assert ranges[0].startswith("bytes=1") and (folder / "x").read_bytes() == CONTENT and os.listdir(folder) == ["x"]


def test_what_an_earlier_process_fetched_is_not_hashed_once_all_is_to_end(wire, folder):
    """Of a large file that takes minutes."""
    killed(wire, folder)
    transfer_limit.stop_when(lambda: True)
    try:
        with pytest.raises(transfer_limit.Stopped):
            fetched(wire, folder / "x", algorithm="sha256")
    finally:
        transfer_limit.stop_when(lambda: False)
    assert fetched(wire, folder / "x", algorithm="sha256") == hashlib.sha256(CONTENT).hexdigest()


def test_a_dataset_replaced_between_processes_starts_over(wire, folder):
    killed(wire, folder)
    wire.content, wire.etag = CONTENT[::-1], '"two"'
    fetched(wire, folder / "x")
    assert (folder / "x").read_bytes() == CONTENT[::-1] and os.listdir(folder) == ["x"]


def test_a_download_killed_after_its_last_byte_is_finished_by_the_next(wire, folder):
    killed(wire, folder, after=len(CONTENT))
    fetched(wire, folder / "x")
    assert (folder / "x").read_bytes() == CONTENT and os.listdir(folder) == ["x"]


def test_too_few_and_too_many_bytes_leave_nothing(wire, folder, clock):
    for size, words in ((SIZE - 1, "more than 199999 bytes came"), (SIZE + 1, "200000 of 200001 bytes came")):
        with pytest.raises(GalaxyError, match=words) as caught:
            fetched(wire, folder / "x", size=size)
        assert caught.value.exit_code == FAILED and os.listdir(folder) == []


def test_an_endless_body_ends_when_more_than_the_known_size_came(wire, folder):
    """B17: it does not fill the disk."""
    def endless(handler):
        handler.replied = handler.close_connection = True
        handler.send_response_only(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
    wire.faults = [endless]
    with pytest.raises(GalaxyError, match="more than 200000 bytes came") as caught:
        fetched(wire, folder / "x")
    assert caught.value.exit_code == FAILED and os.listdir(folder) == []


def test_a_drip_is_no_progress(wire, folder, monkeypatch):
    """B17: a server that sends a few bytes now and then holds nobody for ever."""
    def drip(handler):
        handler.replied = handler.close_connection = True
        handler.send_response_only(200)
        handler.send_header("Content-Length", str(SIZE))
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not handler.galaxy.closing.wait(0.01):
                handler.wfile.write(b"x")
    wire.faults = [drip] * 100
    with pytest.raises(GalaxyError, match="hardly any bytes came in 0.2 s") as caught:
        fetched(wire, folder / "x", stall=0.2)
    assert caught.value.exit_code == TRY_LATER


def test_bytes_with_another_hash_leave_nothing(wire, folder):
    with pytest.raises(GalaxyError, match="other bytes came"):
        fetched(wire, folder / "x", algorithm="md5", digest="0" * 32)
    assert os.listdir(folder) == []


def test_a_download_is_given_up_when_nothing_moves(wire, folder, clock):
    wire.faults = [cut(50_000)] + [cut(0)] * 1000
    with pytest.raises(GalaxyError, match=r"\(\d{5} bytes came\)") as caught:
        fetched(wire, folder / "x", stall=100)
    assert caught.value.exit_code == TRY_LATER
    wire.faults = []
    fetched(wire, folder / "x")
    assert (folder / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ["", None])
def test_a_server_that_cannot_resume_and_always_cuts_is_given_up(wire, folder, clock, etag):
    wire.etag, wire.faults = etag, [cut(50_000)] * 1000
    with pytest.raises(GalaxyError) as caught:
        fetched(wire, folder / "x", stall=100)
    assert caught.value.exit_code == TRY_LATER and len(wire.lines) < 50


def test_an_existing_file_is_kept_unless_it_may_be_overwritten(wire, folder):
    (folder / "x").write_text("mine")
    with pytest.raises(GalaxyError, match="there already"):
        fetched(wire, folder / "x")
    assert (folder / "x").read_text() == "mine" and wire.lines == []
    fetched(wire, folder / "x", overwrite=True)
    assert (folder / "x").read_bytes() == CONTENT


def test_a_file_that_appears_during_the_download_is_kept(wire, folder):
    wire.faults = [lambda handler: ((folder / "x").write_text("another's"), handler.serve_usual())]
    with pytest.raises(GalaxyError, match="there already"):
        fetched(wire, folder / "x")
    assert (folder / "x").read_text() == "another's" and os.listdir(folder) == ["x"]


def test_a_full_disk_leaves_nothing(wire, folder, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(OSError, match="No space"):
        fetched(wire, folder / "x")
    assert os.listdir(folder) == []


def test_a_failure_to_write_to_the_disk_leaves_nothing(wire, folder, monkeypatch):
    def fail(descriptor):
        raise OSError(5, "Input/output error")
    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(GalaxyError, match="Input/output error"):
        fetched(wire, folder / "x")
    assert os.listdir(folder) == []


def test_bytes_are_written_to_the_disk_while_more_arrive(wire, folder, monkeypatch):
    written = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *what: written.append(what))
    monkeypatch.setattr(http_download, "FLUSH_SIZE", 50_000)
    fetched(wire, folder / "x")
    assert len(written) == 4


def test_it_works_on_a_file_system_without_links(wire, folder, monkeypatch):
    def no_links(*what, **folders):
        raise PermissionError(1, "Operation not permitted")
    monkeypatch.setattr(os, "link", no_links)
    fetched(wire, folder / "x")
    assert (folder / "x").read_bytes() == CONTENT and os.listdir(folder) == ["x"]


def test_a_folder_of_that_name_is_an_error(wire, folder):
    (folder / "x").mkdir()
    with pytest.raises(GalaxyError, match="Is a directory"):
        fetched(wire, folder / "x", overwrite=True)
    assert os.listdir(folder) == ["x"] and os.listdir(folder / "x") == []


def test_an_archive_in_place_of_the_file_is_recognised(loopback, folder):
    loopback.will((200, b"PK", {"Content-Type": "application/x-zip-compressed"}))
    with pytest.raises(UnexpectedArchive):
        http_download.download_file(Galaxy(KEY, loopback.url), "x", folder / "x", label="d",
                                    expected=ExpectedFile(may_be_zip=False))
    assert os.listdir(folder) == []


def test_without_a_state_folder_no_partial_file_remains(wire, folder, monkeypatch, clock):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nosuch")
    wire.faults = [cut(50_000)] + [cut(0)] * 1000
    with pytest.raises(GalaxyError):
        fetched(wire, folder / "x", stall=10)
    assert os.listdir(folder) == []
