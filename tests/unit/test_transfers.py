"""Transfers side by side: how many at once, in which order batches come back, what one's trouble does to the others."""
import contextlib
import threading
import time

import pytest
import requests
from fakes import KEY

import common
from common import Galaxy, GalaxyError
from galaxy_api_scripts import transfer_limit, transfers
from galaxy_api_scripts.progress import StallClock
from galaxy_api_scripts.transfer_limit import Stopped, TransferLimit, current_limit, stopped_at
from galaxy_api_scripts.transfers import DOWN, UP, Task, TransferPool, Workers

WAIT = 20       # seconds after which a test fails that waits for another thread


def run_each(work, items, limit):
    """Do `work` for each of the items, as transfers at once as the limit says; their results by item."""
    with limit.active(), TransferPool(limit.most, DOWN) as pool:
        return list(pool.run_each(work, items))


def wait_until(limit, is_so):
    """Wait until `is_so()`, which changes with the limit."""
    with limit._changed:
        assert limit._changed.wait_for(is_so, WAIT)


def in_thread(act):
    """Begin `act` in a thread; returns the event that is set once it has ended."""
    ended = threading.Event()
    threading.Thread(target=lambda: (act(), ended.set()), daemon=True).start()
    return ended


def states(limit, *answers):
    """How many transfers are allowed after each of these answers, to requests that began one after the other."""
    allowed = []
    for is_good in answers:
        limit.record(is_good, limit.halvings)
        allowed.append(limit.allowed)
    return allowed


# ------------------------------------------------------------------------------------------------------------- the limit

def test_trouble_halves_the_limit_and_good_answers_raise_it_by_one():
    limit = TransferLimit(8)
    assert states(limit, True, False) == [8, 4]
    assert states(limit, *[True] * 4) == [4, 4, 4, 5]
    assert states(limit, *[True] * 5) == [5, 5, 5, 5, 6]
    assert states(limit, False, False, False, False) == [3, 1, 1, 1]
    assert states(limit, *[True] * 100)[-1] == 8


def test_trouble_after_some_good_answers_begins_their_count_again():
    limit = TransferLimit(4)
    assert states(limit, False, True, False, True, True) == [2, 2, 1, 2, 2]


def test_the_trouble_of_all_that_was_under_way_halves_the_limit_once():
    limit = TransferLimit(16)
    with contextlib.ExitStack() as requests_under_way:
        begun = [requests_under_way.enter_context(limit.request()) for _ in range(16)]
        for number in begun:
            limit.record(False, number)
    assert limit.allowed == 8
    limit.record(True, begun[0])        # nor does their success say anything about the half
    assert limit.allowed == 8
    with limit.request() as number:
        limit.record(False, number)
    assert limit.allowed == 4


def test_a_wait_for_a_place_ends_at_the_deadline_and_takes_none():
    limit, waited = TransferLimit(1), []

    def wait():
        with pytest.raises(Stopped), stopped_at(time.monotonic() + 0.01), limit.request():
            pass
        waited.append((limit.busy, limit.waiting))
    with limit.request():
        assert in_thread(wait).wait(WAIT)
    assert waited == [(1, 0)]


def test_no_more_begin_than_the_limit_allows():
    together, most = threading.Barrier(3, timeout=WAIT), []

    def work(item):
        most.append(limit.busy)
        together.wait()
    limit = TransferLimit(3)
    assert len(run_each(work, list(range(30)), limit)) == 30
    assert max(most) == 3 and limit.busy == 0 and not +limit.transfers


def test_one_too_many_pauses_before_its_next_request_and_comes_before_a_new_one():
    limit, begun, trouble, ends = TransferLimit(2), threading.Barrier(3, timeout=WAIT), threading.Event(), threading.Event()

    def go_on():
        with limit.transfer():
            begun.wait()
            trouble.wait(WAIT)
            with limit.request():
                pass

    def stay():
        with limit.transfer():
            begun.wait()
            ends.wait(WAIT)

    def begin():
        with limit.transfer():
            pass
    paused, _ = in_thread(go_on), in_thread(stay)
    begun.wait()
    with limit._changed:
        limit.record(False, limit.halvings)
    trouble.set()
    wait_until(limit, lambda: limit.paused == 1)
    fresh = in_thread(begin)
    assert not paused.is_set() and not fresh.is_set() and limit.busy == 1
    ends.set()
    assert paused.wait(WAIT) and fresh.wait(WAIT) and (limit.busy, limit.paused) == (0, 0)


def test_what_has_arrived_before_a_cut_is_asked_without_a_pause(loopback):
    """A server that was restarted meanwhile would tell less than it has stored."""
    limit, galaxy, asked, ends = TransferLimit(4), Galaxy(KEY, loopback.url), [], threading.Event()
    begun = threading.Barrier(4, timeout=WAIT)

    def stay():
        with limit.transfer():
            begun.wait()
            ends.wait(WAIT)

    def end_the_others():
        wait_until(limit, lambda: limit.paused == 1)
        asked.extend(one.method for one in loopback.asked)
        ends.set()

    def work(item):
        begun.wait()
        limit.record(False, limit.halvings)
        galaxy.request("HEAD", "upload/resumable_upload/s")
        ended = in_thread(end_the_others)
        galaxy.request("GET", "version")
        return ended.wait(WAIT)
    for _ in range(3):
        in_thread(stay)
    assert run_each(work, ["x"], limit) == [("x", True)]
    assert asked == ["HEAD"] and [one.method for one in loopback.asked] == ["HEAD", "GET"]


def test_a_request_gets_the_place_that_a_transfer_gives_up_at_its_next_one():
    limit, sent, begun = TransferLimit(1), [], threading.Event()

    def transfer():
        with limit.transfer():
            begun.set()
            wait_until(limit, lambda: limit.waiting)
            with limit.request():       # between two pieces of a large file
                sent.append("piece")
    ended = in_thread(transfer)
    assert begun.wait(WAIT)
    with limit.request():
        sent.append("fetch")
        assert limit.busy == 1
    assert ended.wait(WAIT) and sent == ["fetch", "piece"] and limit.busy == 0


def test_transfers_of_one_kind_leave_a_place_to_others():
    """So that no upload, however long, delays a result, and no download a submission."""
    limit, begun, ends = TransferLimit(3, spare=1), threading.Semaphore(0), threading.Event()

    def transfer(kind):
        with limit.transfer(kind):
            begun.release()
            ends.wait(WAIT)
    uploads = [in_thread(lambda: transfer(UP)) for _ in range(3)]
    assert begun.acquire(timeout=WAIT) and begun.acquire(timeout=WAIT) and limit.transfers == {UP: 2}
    with limit.request():
        assert limit.busy == 3
    download = in_thread(lambda: transfer(DOWN))
    assert begun.acquire(timeout=WAIT) and limit.transfers == {UP: 2, DOWN: 1} and limit.busy == 3
    ends.set()
    assert all(one.wait(WAIT) for one in [*uploads, download]) and limit.busy == 0


def test_one_transfer_may_be_at_work_whatever_is_spared():
    limit = TransferLimit(1, spare=1)
    with limit.transfer(UP):
        assert limit.busy == 1


def test_a_transfer_that_pauses_has_not_stalled(monkeypatch, clock):
    stalled = StallClock(600)
    clock.sleep(500)
    assert stalled.seconds_left() == 100
    monkeypatch.setattr(transfer_limit._this_thread, "paused", 450.0, raising=False)
    assert stalled.seconds_left() == 550
    stalled.record_progress()
    assert stalled.seconds_left() == 600


@pytest.mark.parametrize("answer, allowed", [
    ((200, {}), 4), ((404, {}), 4), ((500, {}), 4), ((429, {}, {"Retry-After": "999"}), 2), ((503, {}), 2), ((504, {}), 2)])
def test_answers_of_an_overloaded_server_count(loopback, answer, allowed):
    limit, galaxy = TransferLimit(4), Galaxy(KEY, loopback.url, patience=0)
    loopback.will(answer)
    [(_, ended)] = run_each(lambda task: galaxy.request("POST", "histories"), ["x"], limit)
    assert limit.allowed == allowed and (isinstance(ended, GalaxyError) == (answer[0] != 200))


def test_an_answer_that_does_not_come_in_time_counts(loopback, monkeypatch):
    monkeypatch.setenv("GALAXY_TIMEOUT", "0.2")
    limit, galaxy = TransferLimit(4), Galaxy(KEY, loopback.url, patience=0)
    loopback.will(lambda handler: (loopback.closing.wait(WAIT), handler.cut()))
    [(_, ended)] = run_each(lambda task: galaxy.post("histories"), ["x"], limit)
    assert isinstance(ended.__cause__, requests.Timeout) and limit.allowed == 2


def test_each_try_of_a_request_counts_though_the_last_one_is_good(loopback):
    limit, galaxy = TransferLimit(8), Galaxy(KEY, loopback.url, patience=60)
    loopback.will((429, {}, {"Retry-After": "0"}), (200, {"id": "h"}))
    [(_, ended)] = run_each(lambda task: galaxy.post("histories"), ["x"], limit)
    assert ended == {"id": "h"} and limit.allowed == 4 and loopback.count() == 2


# -------------------------------------------------------------------------------------------------------------- the pool

def run_all(transfers_at_once, batches, work, size=lambda item: 0):
    with TransferPool(transfers_at_once, UP) as pool:
        return list(pool.run([(batch, batch) for batch in batches], work, size))


@pytest.mark.parametrize("at_once", [1, 4, 16])
def test_batches_come_back_in_their_order_with_their_results(at_once):
    batches = [[(number, item) for item in range(number % 5)] for number in range(40)]
    assert run_all(at_once, batches, lambda item: item) == [(batch, batch) for batch in batches]


def test_transfers_of_different_batches_run_at_the_same_time():
    """As files do that are so large that each is a batch of its own."""
    together = threading.Barrier(3, timeout=WAIT)
    assert run_all(3, [["a"], ["b"], ["c"]], lambda item: together.wait() * 0) == [(["a"], [0]), (["b"], [0]), (["c"], [0])]


def test_a_batch_is_finished_while_the_next_is_at_work():
    finished, seen = threading.Event(), []
    with TransferPool(2, UP) as pool:
        for batch, results in pool.run([([name], [name]) for name in "ab"],
                                       lambda item: item == "a" or finished.wait(WAIT), len):
            seen.append((batch, results))
            finished.set()
    assert seen == [(["a"], [True]), (["b"], [True])]


def test_the_largest_of_a_batch_begins_first_but_one_at_a_time_go_as_they_come():
    begun = []
    assert run_all(1, [[2, 9, 5]], begun.append) and begun == [2, 9, 5]
    begun.clear()
    limit = TransferLimit(2)
    limit.allowed = 1       # so that the order is that of the beginnings
    with limit.active(), TransferPool(2, UP) as pool:
        list(pool.run([([2, 9, 5], [2, 9, 5])], begun.append, lambda item: item))
    assert begun[0] in (9, 5) and sorted(begun) == [2, 5, 9] and begun[-1] == 2


def test_few_batches_are_begun_before_the_first_is_finished():
    """Each holds its checkpoints open."""
    opened, done, go_on, ahead = [], [], threading.Event(), []

    def batches():
        for number in range(100):
            opened.append(number)
            yield [number] * 50, range(50 * number, 50 * number + 50)

    def work(item):
        if item == 0:       # the others that may begin do, and end
            return go_on.wait(WAIT)
        done.append(item)
        if len(done) == transfers.OPEN_FILES - 1:
            go_on.set()
        return True
    with TransferPool(4, UP) as pool:
        for _, results in pool.run(batches(), work, lambda item: 0):
            assert all(results)
            ahead.append(len(opened) - len(ahead))
    assert len(ahead) == len(opened) == 100 and max(ahead) * 50 == transfers.OPEN_FILES


def test_pools_side_by_side_begin_few_batches_together():
    """A sample's pool opens one batch, whatever the others have open, and leaves nothing open behind an error."""
    limit, begun = TransferLimit(8), []

    def open_all(at_once):
        with TransferPool(at_once, UP) as pool:
            for _ in pool.run([([number] * 50, [number]) for number in range(9)], lambda number: number, abs):
                begun.append(limit.count_open(0))
                if len(begun) == 12:
                    raise GalaxyError("no")
    with limit.active():
        limit.count_open(transfers.OPEN_FILES)
        open_all(2)
        with pytest.raises(GalaxyError, match="no"):
            open_all(2)
        assert begun == [transfers.OPEN_FILES + 50] * 12 and limit.count_open(-transfers.OPEN_FILES) == 0


@pytest.mark.parametrize("at_once", [1, 4])
def test_an_error_is_raised_once_and_no_other_transfer_begins(at_once):
    begun, main, ended = [], threading.get_ident(), threading.Semaphore(0)

    def work(item):
        begun.append(item)
        if item == 3:
            assert all(ended.acquire(timeout=WAIT) for _ in range(3))
            raise GalaxyError("the server is away")
        ended.release()
        return item
    finished = []
    with pytest.raises(GalaxyError, match="the server is away") as caught, TransferPool(at_once, UP) as pool:
        for batch, _ in pool.run([([number], [number]) for number in range(1000)], work, lambda item: 0):
            finished.append(batch)
    assert caught.traceback and threading.get_ident() == main
    assert finished == [[0], [1], [2]] and len(begun) < 500


def test_one_at_a_time_no_other_begins_once_they_are_stopped():
    begun = []
    with TransferPool(1, DOWN) as pool:
        for _ in pool.run_each(begun.append, list(range(9))):
            pool.stop()
    assert begun == [0]


def test_after_an_error_those_at_work_end_at_their_next_request(loopback):
    galaxy, ends, at_work = Galaxy(KEY, loopback.url), [], threading.Event()
    failed = threading.Event()

    def work(item):
        if item == "bad":
            at_work.wait(WAIT)
            raise GalaxyError("no")
        at_work.set()
        try:
            failed.wait(WAIT)
            galaxy.get("version")
        except Stopped:
            ends.append(item)
            raise
    with pytest.raises(GalaxyError, match="no"), TransferPool(2, UP) as pool:
        stop = pool.stop
        pool.stop = lambda: (stop(), failed.set())
        list(pool.run([(["good"], ["good"]), (["bad"], ["bad"])], work, len))
    assert ends == ["good"] and loopback.asked == []


def test_what_is_not_foreseen_is_raised_with_the_request_of_its_own_thread(loopback):
    galaxy = Galaxy(KEY, loopback.url)
    loopback.will((200, ["x"]))
    with pytest.raises(TypeError) as caught, TransferPool(2, UP) as pool:
        list(pool.run([("a", "a")], lambda item: galaxy.get("version")["x"], len))
    assert "GET" in common.Answer.latest.line and "version: the answer has another form" in common._describe(caught.value)[0]


def test_what_is_not_foreseen_in_a_thread_that_asked_nothing_is_of_the_main_threads_last_answer(loopback):
    """As a list's members are that lack what a download needs."""
    Galaxy(KEY, loopback.url).get("datasets")
    with pytest.raises(TypeError) as caught, TransferPool(2, UP) as pool:
        list(pool.run([("a", "a")], lambda item: {[]: item}, len))
    assert "/api/datasets: the answer has another form" in common._describe(caught.value)[0]


def test_ctrl_c_waits_for_no_transfer():
    at_work, go_on = threading.Event(), threading.Event()

    def work(item):
        return at_work.wait(WAIT) if item == "a" else (at_work.set(), go_on.wait(WAIT))
    with pytest.raises(KeyboardInterrupt), TransferPool(2, UP) as pool:
        for _ in pool.run([("a", "a"), ("b", "b")], work, len):
            raise KeyboardInterrupt
    assert any(thread.is_alive() for thread in pool._threads)
    go_on.set()


def test_transfers_within_other_work_obey_its_limit_and_end_with_it(loopback):
    """As a sample's files do in a batch."""
    galaxy, limit, at_work, most = Galaxy(KEY, loopback.url), TransferLimit(2), threading.Barrier(3, timeout=WAIT), []

    def transfer(item):
        most.append(limit.busy)
        at_work.wait()
        while True:
            galaxy.get("version")

    def work(sample):
        assert current_limit() is limit
        with TransferPool(3, UP) as pool:
            return list(pool.run_each(transfer, [1, 2, 3]) if sample == "down" else
                        pool.run([([1, 2, 3], [1, 2, 3])], transfer, int))
    with Workers(4, limit) as workers:
        for sample in ("down", "up"):
            workers.submit(Task(sample), work)
        at_work.wait()      # two of six transfers
        workers.stop()
        outcomes = [workers.next_ended().outcome for _ in range(2)]
    assert max(most) == 2 and len(most) == 2 and limit.busy == 0
    assert all(isinstance(outcome, Stopped) for outcome in outcomes)      # none is taken for done


def test_all_requests_of_the_thread_that_hands_out_work_count(loopback):
    galaxy, limit, busy = Galaxy(KEY, loopback.url), TransferLimit(2), []
    loopback.will(lambda handler: (busy.append(limit.busy), handler.cut()))
    with Workers(1, limit), pytest.raises(GalaxyError):
        galaxy.post("histories")
    assert busy == [1] and limit.busy == 0 and current_limit() is None


def test_work_that_has_not_begun_when_all_is_stopped_does_not_begin():
    began = []
    with Workers(1, TransferLimit(1)) as workers:
        workers.stop()
        workers.submit(Task("x"), began.append)
        assert isinstance(workers.next_ended().outcome, Stopped) and not began


def test_a_wait_for_what_ends_is_no_longer_than_told():
    assert Workers(1, TransferLimit(1)).next_ended(0) is None


def test_what_threads_print_stays_in_whole_lines(capfd):
    threads = [threading.Thread(target=lambda mark=mark: [common.eprint(mark * 50) for _ in range(200)]) for mark in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capfd.readouterr().err.splitlines()
    assert sorted(lines) == sorted(mark * 50 for mark in "abcd" for _ in range(200))


# ------------------------------------------------------------------------------------------------------------ the option

@pytest.mark.parametrize("args, number", [
    ({"--transfers": "4"}, 4), ({"--transfers": "1", "--parallel": None}, 1),
    ({"--transfers": "4", "--parallel": "16"}, 16)])
def test_the_older_name_of_the_option_counts(args, number):
    assert transfers.transfers_option(args) == number


@pytest.mark.parametrize("args, words", [
    ({"--transfers": "0"}, "--transfers=0"), ({"--transfers": "101"}, "--transfers=101"),
    ({"--transfers": "4", "--parallel": "0"}, "--parallel=0"),
    ({"--transfers": "x", "--parallel": "2"}, "--transfers=x")])
def test_a_number_that_is_none_is_refused(args, words):
    with pytest.raises(GalaxyError, match=f"{words}: expected an integer, 1 or more") as caught:
        transfers.transfers_option(args)
    assert caught.value.exit_code == common.USAGE
