"""Uploads by TUS sessions, against loopback servers that answer well, badly, or not to the end."""
import base64
import gzip
import hashlib
import os
import random
import time
from types import SimpleNamespace

import pytest
from fakes import KEY
from fakes.faults import crash, cut, forget, lose_a_process, stall, status, swallow

from common import FAILED, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts import checkpoint, transfer_limit
from galaxy_api_scripts.datasets import hashing, tus
from galaxy_api_scripts.datasets.hashing import hash_files
from galaxy_api_scripts.datasets.local_file import LocalFile

MADE = (201, b"", {"Location": "http://elsewhere.example.org/api/upload/resumable_upload/5e55"})
TAKEN = (204, b"")
SIZE = 300_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "reads 1.fastq"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture(autouse=True)
def little_pieces(monkeypatch):
    """Files of some hundred KB behave as large ones do."""
    monkeypatch.setattr(tus, "MAX_PIECE", 100_000)
    monkeypatch.setattr(tus, "SMALL_FILE", 1000)
    monkeypatch.setattr(tus, "MIN_PIECE", 10_000)
    monkeypatch.setattr(tus, "BLOCK_SIZE", 4096)


def sent(wire, path, **options):
    return tus.upload_file(Galaxy(KEY, wire.url), str(path), **options)


def arrived_whole(wire, path, answer):
    """Whether the session and hash in the answer are those of the file's very bytes."""
    content = path.read_bytes()
    element, session = answer
    return wire.upload(session["session_id"]) == content and \
        element["hashes"] == [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(content).hexdigest()}]


# ---------------------------------------------------------------------------------------------------------- one process

def test_a_file_goes_in_pieces_with_its_hash(loopback, file):
    loopback.will(MADE, *((204, b"", {"Upload-Offset": str(end)}) for end in (100_000, 200_000, 300_000)))
    element, session = tus.upload_file(Galaxy(KEY, loopback.url), str(file))
    content = file.read_bytes()
    assert [asked.line for asked in loopback.asked] == ["POST /api/upload/resumable_upload/"] + \
        ["PATCH /api/upload/resumable_upload/5e55"] * 3
    made, *pieces = loopback.asked
    assert made.headers["Upload-Length"] == "300000"
    metadata = dict(pair.split(" ") for pair in made.headers["Upload-Metadata"].split(","))
    assert base64.b64decode(metadata["filename"]) == b"reads 1.fastq" and "filetype" in metadata
    assert b"".join(piece.body for piece in pieces) == content
    assert [(piece.headers["Upload-Offset"], piece.headers["Content-Length"]) for piece in pieces] == [
        ("0", "100000"), ("100000", "100000"), ("200000", "100000")]
    assert all(asked.headers["Tus-Resumable"] == "1.0.0" for asked in loopback.asked)
    assert element == {"src": "files", "name": "reads 1.fastq", "hashes": [
        {"hash_function": "SHA-256", "hash_value": hashlib.sha256(content).hexdigest()}]}
    assert session == {"session_id": "5e55", "name": "reads 1.fastq"}


def test_a_slow_hash_covers_the_right_bytes(wire, file, clock, monkeypatch):
    """What waits to be hashed stands in buffers that are used again; what is sent once more is read into them, too."""
    class Slow:
        def __init__(self, kind, usedforsecurity):
            self.real = hashlib.new(kind)

        def update(self, block):
            time.sleep(0.01)
            self.real.update(block)

        def hexdigest(self):
            return self.real.hexdigest()

    monkeypatch.setattr(hashing, "hashlib", SimpleNamespace(new=Slow))
    wire.faults = [status(502), cut(50_000), status(409)]
    assert arrived_whole(wire, file, sent(wire, file)) and wire.faults == []


def test_a_small_file_goes_with_the_request_that_begins_its_upload(wire, tmp_path):
    (tmp_path / "small").write_bytes(b"x" * 1000)
    assert arrived_whole(wire, tmp_path / "small", sent(wire, tmp_path / "small"))
    assert wire.lines == ["POST /api/upload/resumable_upload/"]


def test_an_empty_file(wire, tmp_path):
    (tmp_path / "empty").touch()
    assert arrived_whole(wire, tmp_path / "empty", sent(wire, tmp_path / "empty"))


def test_without_a_hash(wire, file):
    element, session = sent(wire, file, hashed=False)
    assert "hashes" not in element and wire.upload(session["session_id"]) == file.read_bytes()


@pytest.mark.parametrize("faults, sessions", [
    ([cut(50_000)], 1),                                     # in the middle of a piece
    ([cut(0), cut(1), cut(99_999), cut(0), cut(12_345)], 1),
    ([swallow, swallow], 1),                                # the answer is lost
    ([lose_a_process(50_000)], 2),                          # so is what another process tells of the one that was killed
    ([status(504)], 1),
    ([status(500), status(503), status(408)], 1),
    ([status(429, Retry_After="0")], 1),
    ([status(409)], 1),
    ([forget], 2),                                          # the upload has expired
    ([cut(50_000), forget, cut(10_000)], 2),
    ([crash(50_000)], 2),                                   # Galaxy was killed: what it then tells is wrong
    ([cut(10), crash(99_000), status(503)], 2),
], ids=str)
def test_the_bytes_arrive_once_whatever_fails(wire, file, clock, faults, sessions):
    wire.faults = list(faults)
    answer = sent(wire, file)
    assert arrived_whole(wire, file, answer) and wire.faults == [] and wire.uploads == sessions
    assert len(wire.sessions) == 1      # none is left lying there


def test_after_a_cut_only_the_missing_bytes_are_sent(wire, file, clock):
    wire.faults = [cut(99_000)]
    sent(wire, file)
    assert wire.count("HEAD upload") == 1 and wire.count("PATCH upload") == 4      # no byte that had arrived was sent again


@pytest.mark.parametrize("stale", [1, 2, 4])
def test_after_a_cut_no_piece_comes_before_the_server_has_stored_what_arrived(wire, file, clock, stale):
    """Galaxy tells the offset before the piece until it is done with that, and stands still if another comes meanwhile."""
    wire.faults = [cut(60_000)]
    wire.answers["HEAD upload"] = [lambda handler: handler.give((200, b"", {"Upload-Offset": "0"}))] * stale
    assert arrived_whole(wire, file, sent(wire, file))
    assert wire.count("HEAD upload") == stale + 1 and clock.slept == list(tus.DRAIN_PAUSES[:stale])
    assert [one.headers["Upload-Offset"] for one in wire.sent("PATCH upload")][1] == "60000"


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_question_that_is_cut_too_is_asked_again_and_the_session_kept(wire, file, clock, cuts):
    wire.faults = [cut(60_000)]
    wire.answers["HEAD upload"] = [lambda handler: handler.cut()] * cuts
    assert arrived_whole(wire, file, sent(wire, file))
    assert wire.uploads == 1 and wire.count("HEAD upload") == cuts + 1


def test_a_server_whose_connections_are_cut_for_longer_than_a_restart_takes_is_not_believed(wire, file, clock):
    """Behind a relay, a server that is started again refuses no connection: it may have stored more than it tells."""
    def cut_slowly(handler):
        clock.now += tus.RESTART_SECONDS + 1
        handler.cut()
    wire.faults = [cut(60_000)]
    wire.answers["HEAD upload"] = [cut_slowly]
    assert arrived_whole(wire, file, sent(wire, file))
    assert wire.uploads == 2


def test_without_an_offset_in_answers_the_server_is_asked_for_it(wire, file):
    wire.silent = True
    assert arrived_whole(wire, file, sent(wire, file))
    assert wire.count("HEAD upload") == 1


def test_a_server_that_stalls_is_asked_again(wire, file, monkeypatch):
    monkeypatch.setenv("GALAXY_TIMEOUT", "2")      # a busy machine answers in less
    monkeypatch.setattr(tus, "FREEZE_SECONDS", 0)
    wire.faults = [stall(10_000), stall(0)]
    assert arrived_whole(wire, file, sent(wire, file))


def test_after_a_stall_nothing_is_sent_while_galaxy_may_be_frozen(wire, file, monkeypatch, clock):
    monkeypatch.setenv("GALAXY_TIMEOUT", "2")      # a busy machine answers in less
    wire.faults = [stall(10_000)]
    sent(wire, file)
    assert clock.slept == [35]


def test_a_transfer_tries_again_no_longer_than_the_user_wants(wire, file, clock, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "5")
    wire.answers["POST upload"] = status(502)
    with pytest.raises(GalaxyError, match="502") as caught:
        sent(wire, file)
    assert caught.value.exit_code == TRY_LATER and 0 < sum(clock.slept) <= 5


def test_pieces_shrink_until_the_proxy_takes_them(wire, file, monkeypatch):
    """That is no trouble to wait for, so also where nothing is tried again."""
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    wire.limit = 30_000
    assert arrived_whole(wire, file, sent(wire, file))
    assert wire.count("PATCH upload") == 2 + 12       # 100,000 and 50,000 were refused, then 25,000 each


def test_a_proxy_that_takes_no_piece_is_an_error(wire, file, clock):
    wire.limit = 5
    with pytest.raises(GalaxyError, match="413") as caught:
        sent(wire, file)
    assert "no dataset was made" in str(caught.value) and caught.value.exit_code == FAILED


@pytest.mark.parametrize("largest, sizes", [
    (100_000, [100, 100, 50, 25, 25, 25, 25, 50, 50, 50, 50]), (10**9, [300, 300, 150, 75, 75, 75, 75])])
def test_pieces_shrink_when_they_are_cut_and_grow_again(wire, file, clock, monkeypatch, largest, sizes):
    monkeypatch.setattr(tus, "MAX_PIECE", largest)
    seen = []

    def noted(fault):
        def note_and_apply(handler):
            seen.append(handler.unread)
            fault(handler)
        return note_and_apply
    served = len(sizes) - 3
    wire.faults = [noted(fault) for fault in [cut(0)] * 3 + [lambda handler: handler.serve_usual()] * served]
    assert arrived_whole(wire, file, sent(wire, file)) and wire.faults == []
    assert seen == [1000 * size for size in sizes]


def test_an_upload_is_given_up_when_nothing_moves(wire, file, clock):
    wire.faults = [cut(0)] * 1000
    with pytest.raises(GalaxyError, match="no dataset was made, send it again") as caught:
        sent(wire, file, stall=100)
    assert caught.value.exit_code == TRY_LATER and 99.9 < sum(clock.slept) < 130


def test_progress_restarts_the_stall_timeout(wire, file, clock):
    def slow(handler):
        clock.now += 90
        cut(1000)(handler)
    wire.faults = [slow] * 20       # 1,800 seconds
    assert arrived_whole(wire, file, sent(wire, file, stall=100))


def test_an_upload_is_given_up_after_ten_lost_sessions(wire, file, clock):
    wire.faults = [forget] * 1000
    with pytest.raises(GalaxyError, match="lost the upload 10 times") as caught:
        sent(wire, file)
    assert caught.value.exit_code == TRY_LATER


@pytest.mark.parametrize("answer, words", [
    ((401, {"err_msg": "Provided API key is not valid."}), "check the key"), ((403, {"err_msg": "no"}), "no")])
def test_a_permanent_error_is_reported_at_once(loopback, file, answer, words, clock):
    loopback.will(MADE, answer)
    with pytest.raises(GalaxyError, match=words):
        tus.upload_file(Galaxy(KEY, loopback.url), str(file))
    assert len(loopback.asked) == 2


def test_a_galaxy_without_resumable_uploads_is_named(loopback, file):
    loopback.will((404, b"<title>404</title>"))
    with pytest.raises(GalaxyError, match="since 22.01"):
        tus.upload_file(Galaxy(KEY, loopback.url), str(file))


def test_a_server_that_names_no_session_is_an_error(loopback, file):
    loopback.will((201, b""))
    with pytest.raises(GalaxyError, match="named no upload session"):
        tus.upload_file(Galaxy(KEY, loopback.url), str(file))


def test_half_an_upload_becomes_no_dataset(loopback, file, clock):
    loopback.will(MADE, (204, b"", {"Upload-Offset": "99999"}))
    with pytest.raises(GalaxyError, match="no dataset was made"):
        tus.upload_file(Galaxy(KEY, loopback.url), str(file), stall=5)


# --------------------------------------------------------------------------------------------------- several processes

def interrupted(wire, file, *faults, **options):
    """A run that ends in the middle, as one that is killed does."""
    def die(handler):
        raise KeyboardInterrupt
    wire.faults = list(faults)
    with pytest.raises(KeyboardInterrupt):
        sent(wire, file, total=Dies(), **options)


class Dies:
    """The progress of a process that is killed at the 150,000th byte."""

    n = 0

    def update(self, size):
        self.n += size
        if self.n >= 150_000:
            raise KeyboardInterrupt


def test_a_later_process_resumes_an_upload(wire, file):
    interrupted(wire, file)
    assert arrived_whole(wire, file, sent(wire, file))
    assert wire.uploads == 1 and wire.count("HEAD upload") == 1
    assert list(checkpoint.checkpoint_folder().iterdir()) == []


def test_what_an_earlier_process_sent_is_not_hashed_once_all_is_to_end(wire, file, monkeypatch):
    """Of a large file that takes minutes."""
    interrupted(wire, file)
    fed = []
    monkeypatch.setattr(hashing.StreamHash, "feed", lambda digest, *what: fed.append(what))
    transfer_limit.stop_when(lambda: wire.count("HEAD upload") == 1)
    try:
        with pytest.raises(transfer_limit.Stopped):
            sent(wire, file)
    finally:
        transfer_limit.stop_when(lambda: False)
    assert fed == [] and wire.count("HEAD upload") == 1


def test_a_file_that_changed_between_processes_starts_over(wire, file):
    interrupted(wire, file)
    file.write_bytes(os.urandom(SIZE))
    os.utime(file, ns=(1, 1))
    assert arrived_whole(wire, file, sent(wire, file))
    assert wire.uploads == 2


def test_an_upload_to_another_destination_starts_over(wire, file):
    interrupted(wire, file, destination="one history")
    assert arrived_whole(wire, file, sent(wire, file, destination="another"))
    assert wire.uploads == 2


def test_an_upload_that_expired_between_processes_starts_over(wire, file):
    interrupted(wire, file)
    wire.sessions.clear()
    assert arrived_whole(wire, file, sent(wire, file))


def test_a_damaged_checkpoint_starts_over(wire, file):
    interrupted(wire, file)
    [record] = checkpoint.checkpoint_folder().iterdir()
    record.write_text('{"session": "../../etc/passwd"}\n')
    assert arrived_whole(wire, file, sent(wire, file))
    assert wire.uploads == 2


def test_two_processes_do_not_send_the_same_file(wire, file):
    galaxy = Galaxy(KEY, wire.url)
    with LocalFile([str(file)]) as open_file, tus.upload_checkpoint(galaxy, open_file, str(file), ""), \
            pytest.raises(GalaxyError, match="another run is at work") as caught:
        sent(wire, file)
    assert caught.value.exit_code == TRY_LATER and wire.lines == []


def test_an_upload_works_without_a_state_folder(wire, file, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nosuch")
    assert arrived_whole(wire, file, sent(wire, file))


# --------------------------------------------------------------------------------------------- several files that are one

@pytest.fixture
def lanes(tmp_path):
    """Three files, the second of which ends in the middle of a piece and of a block, and the content of all of them."""
    paths = [tmp_path / f"s_L00{number}.fastq.gz" for number in (1, 2, 3)]
    for path, size in zip(paths, (100_001, 77_777, 122_222)):
        path.write_bytes(gzip.compress(os.urandom(size), 0))
    return [str(path) for path in paths], b"".join(path.read_bytes() for path in paths)


def sent_as_one(wire, lanes, **options):
    element, session = tus.upload_file(Galaxy(KEY, wire.url), "s", parts=lanes[0], **options)
    assert element["hashes"] == [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(lanes[1]).hexdigest()}]
    assert wire.upload(session["session_id"]) == lanes[1]
    return session


def test_several_files_arrive_as_one(wire, lanes):
    session = sent_as_one(wire, lanes)
    assert wire.uploads == 1 and session.paths == tuple(lanes[0]) and hash_files(session.paths, "md5") == \
        hashlib.md5(lanes[1]).hexdigest()


def test_several_files_are_resumed_by_a_later_process_at_any_byte_of_them(wire, lanes, monkeypatch):
    """A process killed at each of these offsets leaves what it had sent; the next one sends the rest, and hashes all. They
    are around the joints, pieces and blocks, and at random."""
    first, second = (os.stat(path).st_size for path in lanes[0][:2])
    whole, joints = len(lanes[1]), [first, first + second]
    offsets = {joint + step for joint in joints for step in (-4096, -1, 0, 1, 4095, 4096)} | {1, 99_999, 100_000, whole - 1}
    for offset in sorted(offsets | set(random.Random(7).sample(range(1, whole), 14))):
        wire.sessions.clear()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(tus._Upload, "send_piece", StopsAt(0).update)
            tus.upload_file(Galaxy(KEY, wire.url), "s", parts=lanes[0])
        [session] = wire.sessions
        wire.sessions[session][1].extend(lanes[1][:offset])     # what had arrived
        wire.asked.clear()
        sent_as_one(wire, lanes)
        pieces = [int(one.headers["Upload-Offset"]) for one in wire.sent("PATCH upload")]
        assert list(wire.sessions) == [session] and pieces == list(range(offset, whole, 100_000))


class StopsAt:
    """The progress of a process that is killed when it has sent so many bytes."""

    def __init__(self, offset):
        self.left = offset

    def update(self, size=0):
        self.left -= size
        if self.left <= 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("change", [
    lambda path: os.utime(path, ns=(1, 1)), lambda path: os.truncate(path, 5), os.unlink,
    lambda path: os.truncate(path, os.stat(path).st_size + 1)], ids=["touched", "shorter", "gone", "longer"])
def test_a_part_that_changes_meanwhile_is_an_error(wire, lanes, number, change):
    path = lanes[0][number]
    with pytest.raises(GalaxyError, match=f"{path}: (changed while it was sent|became shorter)") as caught:
        sent_as_one(wire, lanes, total=Changes(lambda: change(path)))
    assert caught.value.exit_code == FAILED


def test_a_changed_part_has_another_checkpoint(wire, lanes):
    with pytest.raises(KeyboardInterrupt):
        tus.upload_file(Galaxy(KEY, wire.url), "s", parts=lanes[0], total=StopsAt(150_000))
    os.utime(lanes[0][2], ns=(1, 1))
    sent_as_one(wire, lanes)
    assert wire.uploads == 2


# --------------------------------------------------------------------------------------------------- files that change

class Changes:
    """A bar of progress that calls `change` in the middle of the file."""

    def __init__(self, change):
        self.change, self.blocks = change, 0

    def update(self, size):
        self.blocks += 1
        if self.blocks == 30:
            self.change()


def replaced_by_mv(file):
    """Another file of the same size and time takes its name (A12)."""
    other = file.with_name("other")
    other.write_bytes(os.urandom(SIZE))
    about = os.stat(file)
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))
    os.replace(other, file)


def replaced_by_pipe(file):
    """A pipe that nobody writes to takes its name: to open it would wait for ever."""
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("change, words", [
    (lambda file: os.utime(file, ns=(1, 1)), "changed while it was sent"),
    (lambda file: file.write_bytes(os.urandom(SIZE)), "changed while it was sent"),
    (lambda file: os.truncate(file, 150_000), "changed while it was sent"),
    (lambda file: os.truncate(file, SIZE + 1), "changed while it was sent"), (replaced_by_mv, "changed while it was sent"),
    (replaced_by_pipe, "changed while it was sent")])
def test_a_file_that_changes_meanwhile_becomes_no_dataset(wire, file, change, words):
    with pytest.raises(GalaxyError, match=words) as caught:
        sent(wire, file, total=Changes(lambda: change(file)))
    assert caught.value.exit_code == FAILED


def test_a_path_that_is_no_file_is_refused(wire, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "nosuch", "No such file"), (tmp_path, "not a file"), (tmp_path / "pipe", "not a file")):
        with pytest.raises(GalaxyError, match=words) as caught:
            sent(wire, path)
        assert caught.value.exit_code == USAGE
    assert wire.lines == []


def test_a_file_that_claims_to_be_empty_is_refused(wire):
    with pytest.raises(GalaxyError, match="changed while it was sent"):
        sent(wire, "/proc/version")
