"""Calls side by side: their results and errors in order, no more at once than are allowed."""
import threading

import pytest
from fakes import KEY

from common import TRY_LATER, Answer, Galaxy, GalaxyError
from galaxy_api_scripts.together import ask_each, ask_together, do_each, limit_requests
from galaxy_api_scripts.transfer_limit import Stopped, TransferLimit
from galaxy_api_scripts.transfers import Task, Workers

WAIT = 20       # seconds after which a test fails that waits for another thread


@pytest.fixture(autouse=True)
def four():
    limit_requests(4)


def test_calls_run_side_by_side_and_their_results_come_in_order():
    meeting = threading.Barrier(4)
    assert ask_together(*(lambda number=number: (meeting.wait(WAIT), number)[1] for number in range(4))) == [0, 1, 2, 3]


def test_nested_calls_run_side_by_side_too():
    meeting = threading.Barrier(4)
    wait = [lambda: meeting.wait(WAIT)] * 3
    assert len(ask_together(wait[0], lambda: ask_together(*wait))) == 2


@pytest.mark.parametrize("most", [1, 2, 4])
def test_no_more_requests_are_under_way_at_once_than_are_allowed(wire, most):
    """Those that may be begin together; each lasts a moment, so that others would begin too."""
    limit_requests(most)
    together, galaxy = threading.Barrier(most, timeout=WAIT), Galaxy(KEY, wire.url)

    def answer(handler):
        together.wait()
        threading.Event().wait(0.005)
        handler.reply(200, {})
    wire.answers = {"GET /api/version": answer}

    def ask():
        galaxy.get("version")
    ask_together(ask, lambda: ask_together(ask, ask, ask), ask, ask, ask, ask, *[ask] * 4)
    assert wire.most_in_flight == most and not together.broken


def test_one_at_a_time_they_are_made_by_the_caller():
    limit_requests(1)
    assert set(ask_together(*[threading.get_ident] * 3)) == {threading.get_ident()}


def test_within_work_that_is_to_end_nothing_more_is_asked(wire):
    """As in a sample's thread when the time is up."""
    galaxy, begun, stopped = Galaxy(KEY, wire.url), threading.Event(), threading.Event()

    def work(_):
        begun.set()
        stopped.wait(WAIT)
        ask_together(lambda: None, lambda: galaxy.get("version"))
    with Workers(1, TransferLimit(4)) as workers:
        workers.submit(task := Task(0), work)
        begun.wait(WAIT)
        workers.stop()
        stopped.set()
        workers.next_ended()
    assert isinstance(task.outcome, Stopped) and wire.asked == []


def test_the_first_error_in_order_is_raised_once_all_have_ended_with_the_line_of_its_request():
    ended = []

    def fail(line, error):
        Answer.latest.line = line
        raise error

    def end():
        ended.append(True)

    with pytest.raises(ValueError, match="first"):
        ask_together(end, lambda: fail("GET a", ValueError("first")), lambda: fail("GET b", KeyError("second")), end)
    assert len(ended) == 2 and Answer.latest.line == "GET a"


def test_after_good_answers_the_last_calls_request_is_the_latest():
    ask_together(*(lambda line=line: setattr(Answer.latest, "line", line) for line in ("GET a", "GET b")))
    assert Answer.latest.line == "GET b"


def test_a_signal_in_the_callers_thread_waits_for_no_other():
    asked, ended = threading.Event(), threading.Event()

    def interrupted():
        assert asked.wait(WAIT)
        raise KeyboardInterrupt

    def hang():
        asked.set()
        ended.wait(WAIT)

    with pytest.raises(KeyboardInterrupt):
        ask_together(interrupted, hang)
    assert not ended.is_set()
    ended.set()


def test_of_many_items_the_results_come_in_order_and_few_are_begun_ahead():
    begun, lock = [], threading.Lock()

    def call(number):
        with lock:
            begun.append(number)
        return number * 2

    results = ask_each(call, iter(range(1000)), most=4)
    assert [next(results) for _ in range(10)] == list(range(0, 20, 2))
    assert len(begun) <= 10 + 2 * 4
    assert list(results) == list(range(20, 2000, 2)) and len(begun) == 1000
    assert list(ask_each(call, [])) == []


def test_items_are_worked_on_side_by_side():
    meeting = threading.Barrier(4, timeout=WAIT)
    assert len(list(ask_each(lambda _: meeting.wait(), range(8), most=4))) == 8


def test_the_first_error_in_order_is_raised_and_nothing_more_is_begun():
    begun = []

    def call(number):
        begun.append(number)
        if number == 5:
            raise ValueError(number)
        return number

    results = ask_each(call, range(1000), most=2)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5"):
        next(results)
    assert len(begun) < 20


@pytest.mark.parametrize("error", [GalaxyError("gone", TRY_LATER), OSError("full")])
def test_of_changes_that_an_error_ends_those_that_were_made_come_before_it(error):
    others = threading.Barrier(3, timeout=WAIT)     # the first one fails when the others have ended, or have begun to

    def change(number):
        others.wait()
        if number == 0:
            raise error
        if number == 1:
            raise GalaxyError("refused")
        return number

    limit_requests(3)
    results = do_each(change, range(3))
    seen = []
    with pytest.raises(type(error)):
        seen += results
    assert [(number, str(outcome)) for number, outcome in seen] == [(1, "refused"), (2, "2")]
