"""`--limit-rate`: what it means, and how all transfers of a process share it; time goes by only where a transfer waits."""
import hashlib
import os
import threading

import pytest
from fakes import KEY

from common import USAGE, Galaxy, GalaxyError
from galaxy_api_scripts import rate_limit
from galaxy_api_scripts.datasets import http_download, tus
from galaxy_api_scripts.datasets.multipart import FormFile, MultipartForm
from galaxy_api_scripts.progress import StallClock
from galaxy_api_scripts.rate_limit import RateLimit, limit_rate, parse_rate
from galaxy_api_scripts.transfers import UP, TransferPool

WAIT = 20       # seconds after which a test fails that waits for another thread
MIB = 2**20


@pytest.fixture
def limited(monkeypatch, clock):
    """`limited(rate, sharing)`: the limit of the process, from now on, by a clock that goes by only where somebody waits."""
    def set_limit(rate, sharing=1):
        monkeypatch.setattr(rate_limit, "_current", RateLimit(rate, sharing))
        monkeypatch.setattr(rate_limit._this_thread, "waited", 0.0, raising=False)
        return rate_limit._current
    return set_limit


# -------------------------------------------------------------------------------------------------------------- the option

@pytest.mark.parametrize("text, rate", [
    ("1", 1), ("1000", 1000), ("500K", 500 * 1024), ("500k", 500 * 1024), ("20M", 20 * MIB), ("1.5m", 1.5 * MIB),
    ("1G", 1024 * MIB), ("0.001K", 1.024), ("999999999999G", 999999999999 * 2**30)])
def test_rates(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", [
    "0", "0.9", "0K", "-1", "+1", "20X", "20 M", "20MB", "20M/s", "1e999", "1e3", "inf", "nan", "M", ".", "1.", ".5M",
    "1,5M", "\u0662", "1\n", "", " ", "0x10", "9" * 13, "9" * 500])
def test_what_is_no_rate_is_a_usage_error_in_one_line(text):
    with pytest.raises(GalaxyError, match="(?s)^--limit-rate=.*expected bytes per second, 1 or more") as caught:
        parse_rate(text)
    assert caught.value.exit_code == USAGE and len(str(caught.value)) < 200


def test_the_option_holds_until_the_next_call_has_none(monkeypatch):
    monkeypatch.setattr(rate_limit, "_current", RateLimit())
    limit_rate({"--limit-rate": "20M", "--transfers": "8"})
    assert (rate_limit.current_rate_limit().rate, rate_limit.current_rate_limit().sharing) == (20 * MIB, 8)
    limit_rate({"--limit-rate": "1K"})
    assert (rate_limit.current_rate_limit().rate, rate_limit.current_rate_limit().sharing) == (1024, 1)
    limit_rate({"--limit-rate": None, "--transfers": "4"})
    assert rate_limit.current_rate_limit().rate == float("inf")


# -------------------------------------------------------------------------------------------------------------- the bucket

def test_bytes_go_at_the_rate_from_the_first_one_on(limited, clock):
    limit, moved = limited(1000), []
    for size in (100, 100, 250, 50, 500):
        limit.take(size)
        moved.append(clock.now - 1000)
    assert moved == pytest.approx([0, 0.1, 0.2, 0.45, 0.5])


def test_what_was_not_used_is_caught_up_for_one_second_only(limited, clock):
    limit = limited(1000)
    clock.sleep(3600)
    for _ in range(10):
        limit.take(100)
    assert clock.now == 4600 and clock.slept == [3600]
    limit.take(100)     # all is caught up with the bytes before it
    limit.take(1)
    assert clock.now == pytest.approx(4600.1)


def test_no_second_sees_more_than_what_goes_in_two_and_a_slice(limited, clock):
    limit, moved = limited(1000), []
    for number in range(400):
        if number % 60 == 0:
            clock.sleep(5)
        limit.take(100)
        moved.append(clock.now)
    assert max(sum(begin <= time < begin + 1 for time in moved) for begin in moved) == 21


def test_without_the_option_nothing_waits_and_blocks_stay_whole(limited, clock):
    limit = limited(float("inf"))
    block = memoryview(bytes(MIB))
    assert [len(part) for part in limit.slices(block)] == [MIB] and list(limit.slices(memoryview(b""))) == []
    assert limit.slice_size(12345) == 12345 and limit.piece_size(10, 2**40) == 2**40
    assert clock.slept == [] and rate_limit.waited_seconds() == 0


@pytest.mark.parametrize("rate, size", [(1, 1), (9, 1), (1000, 100), (100 * 1024, 10240), (20 * MIB, 65536), (2**60, 65536)])
def test_blocks_are_cut_into_slices_of_a_tenth_of_a_second(limited, clock, rate, size):
    block = os.urandom(3 * size + size // 2)
    parts = [bytes(part) for part in limited(rate).slices(memoryview(block))]
    assert b"".join(parts) == block and {len(part) for part in parts[:3]} == {size}
    assert clock.now - 1000 == pytest.approx(3 * size / rate if size > 1 else 2 / rate)


@pytest.mark.parametrize("rate, sharing, size", [
    (1, 1, 64 * 1024), (1024, 4, 64 * 1024), (MIB, 1, 30 * MIB), (MIB, 4, 7.5 * MIB), (20 * MIB, 1, 512 * MIB),
    (float("inf"), 16, 512 * MIB)])
def test_a_piece_is_what_goes_in_half_a_minute(limited, rate, sharing, size):
    assert limited(rate, sharing).piece_size(tus.MIN_PIECE, tus.MAX_PIECE) == size


def test_a_wait_is_no_stall(limited, clock):
    limit, stalled = limited(1), StallClock(60)
    for _ in range(20):
        limit.take(100)
    assert clock.now == 1000 + 1900 and stalled.seconds_left() == pytest.approx(60)
    clock.sleep(50)
    assert stalled.seconds_left() == pytest.approx(10)


def test_many_threads_share_one_rate(monkeypatch):
    """Each byte is counted once, and each thread has its turn, though all ask at the same time."""
    turns, limit = [], RateLimit(1000)

    class Frozen(threading.local):
        """A clock that stands, but for the thread that sleeps."""
        now = 5000.0

        def monotonic(self):
            os.sched_yield()        # another thread's turn: without a lock it would get the same one
            return self.now

        def sleep(self, seconds):
            self.now += seconds
    monkeypatch.setattr(rate_limit, "time", clock := Frozen())
    limit._free = 5000.0

    def move(task):
        for _ in range(25):
            clock.now = 5000.0
            limit.take(10)
            turns.append(round(clock.now - 5000, 6))
    with TransferPool(16, UP) as pool:
        ended = list(pool.run_each(move, list(range(16))))
    assert [result for _, result in ended] == [None] * 16
    assert sorted(turns) == pytest.approx([number / 100 for number in range(400)])


def test_a_transfer_that_is_to_end_waits_no_longer(limited, clock, monkeypatch):
    limit, running = limited(1), TransferPool(2, UP)
    limit.take(86400)

    def sleep(seconds):
        clock.now += seconds
        slept.append(seconds)
        if len(slept) == 3:
            running.stop()
    slept = []
    monkeypatch.setattr(clock, "sleep", sleep)
    with running:
        assert list(running.run_each(lambda item: limit.take(1), ["x"])) == []      # what has stopped is not reported
    assert slept == [rate_limit.STOP_SECONDS] * 3


def test_a_thread_that_is_no_transfer_waits_to_the_end(limited, clock):
    limit = limited(1)
    limit.take(2)
    with TransferPool(2, UP) as pool:
        pool.stop()
        limit.take(1)
    assert clock.now == pytest.approx(1002) and max(clock.slept) <= rate_limit.STOP_SECONDS + 1e-9


# --------------------------------------------------------------------------------------------------------- what it limits

def test_an_upload_goes_at_the_rate_in_pieces_of_half_a_minute(wire, tmp_path, limited, clock):
    content = os.urandom(3 * MIB)
    (tmp_path / "x").write_bytes(content)
    limited(32 * 1024)
    element, session = tus.upload_file(Galaxy(KEY, wire.url), str(tmp_path / "x"), stall=20)
    assert wire.upload(session["session_id"]) == content
    assert element["hashes"][0]["hash_value"] == hashlib.sha256(content).hexdigest()
    assert clock.now - 1000 == pytest.approx(96, abs=1) and wire.count("PATCH upload") == 4     # 3 of 960 KiB, one of 192


def test_a_small_file_at_a_low_rate_goes_in_pieces_and_is_resumed(wire, tmp_path, limited, clock):
    """Alone with the request that creates its session it would take too long for a proxy."""
    content = os.urandom(200 * 1024)
    (tmp_path / "x").write_bytes(content)
    limited(1024)

    class Dies:
        n = 0

        def update(self, size):
            self.n += size
            if self.n >= 150 * 1024:
                raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        tus.upload_file(Galaxy(KEY, wire.url), str(tmp_path / "x"), total=Dies())
    assert [asked.headers["Content-Length"] for asked in wire.asked[:2]] == ["65536"] * 2       # of POST and PATCH
    limited(float("inf"))       # the rate may be another one
    _, session = tus.upload_file(Galaxy(KEY, wire.url), str(tmp_path / "x"))
    assert wire.upload(session["session_id"]) == content and (wire.uploads, wire.count("HEAD upload")) == (1, 1)


def test_a_download_goes_at_the_rate(wire, tmp_path, limited, clock):
    wire.content = os.urandom(MIB)
    limited(8 * 1024)
    http_download.download_file(Galaxy(KEY, wire.url), f"{wire.url}/file", tmp_path / "x", label="x", stall=20)
    assert (tmp_path / "x").read_bytes() == wire.content and clock.now - 1000 == pytest.approx(128, abs=1)


def test_an_archive_goes_up_at_the_rate(tmp_path, limited, clock):
    path = tmp_path / "x.tgz"
    path.write_bytes(os.urandom(3 * MIB))

    class Bar:
        n = 0

        def update(self, size):
            self.n += size
    limited(MIB)
    form = MultipartForm({}, [FormFile.of("archive_file", path)], bar := Bar())
    assert sum(len(part) for part in form) == len(form) and bar.n == 3 * MIB
    assert clock.now - 1000 == pytest.approx(3, abs=0.1)
