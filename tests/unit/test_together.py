"""Calls side by side: their results and errors in order, no more at once than are allowed."""
import threading

import pytest

from common import Answer
from galaxy_api_scripts.together import ask_together, limit_requests

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
def test_no_more_run_at_once_than_are_allowed(most):
    limit_requests(most)
    lock, running, largest = threading.Lock(), 0, 0

    def call():
        nonlocal running, largest
        with lock:
            running += 1
            largest = max(largest, running)
        threading.Event().wait(0.005)       # lets the others begin, if they may
        with lock:
            running -= 1

    for _ in range(3):      # threads that have ended leave room for others
        ask_together(call, lambda: ask_together(call, call, call), call, call, call)
    assert largest <= most
    if most == 1:
        assert largest == 1 and threading.active_count() == len([one for one in threading.enumerate()
                                                                 if one.name != "ask"])


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
