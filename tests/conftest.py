"""Every test is alone: no network but this machine, none of the user's settings; and a fake Galaxy that does as told."""
import io
import math
import os
import re
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests_mock
from fakes import KEY, process
from fakes.galaxy import FakeGalaxy

import common

ROOT = Path(__file__).parent.parent
FORMAT_LINE = common.format_line[0]
pytest.register_assert_rewrite("fakes.whole_jobs")


def pytest_addoption(parser):
    parser.addoption("--release", metavar="NUMBER", help="live tests: on this release of Galaxy, in a home of its own")
    parser.addoption("--record", metavar="FILE", help="live tests: write how each ended, and which scripts it ran (JSON)")


def pytest_sessionstart(session):
    """Let SIGTERM and SIGHUP end the tests as Ctrl-C does, and Ctrl-C in spite of a script that catches it in this process:
    fixtures still tidy up, and a Galaxy that was started is stopped.

    Such a script finds the signals taken and installs no handlers of its own.
    """
    def end(number, frame):
        for one in (signal.SIGTERM, signal.SIGHUP):     # make and the terminal may send them twice
            signal.signal(one, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.default_int_handler)    # another one breaks off the tidying up, too
        session.shouldstop = f"ended by {signal.Signals(number).name}"
        raise KeyboardInterrupt

    # A shell's background job ignores SIGINT, and the scripts under test would inherit that.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end)


def create_response(request, **given):
    """requests-mock's own, but an empty body has its length, as a server's has: without it the answer counts as cut off."""
    answer = requests_mock_create(request, **given)
    if all(given.get(kind) is None for kind in ("json", "text", "content", "body", "raw")):
        answer.headers.setdefault("Content-Length", "0")
    return answer


requests_mock_create = requests_mock.response.create_response
requests_mock.response.create_response = create_response


@contextmanager
def signals_kept():
    """Give every signal the handler that it had before."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:     # None: not made in Python
                signal.signal(number, handler)


@pytest.fixture(autouse=True)
def keep_signals():
    """What a test does to the signal handlers ends with it: they are pytest's own."""
    with signals_kept():
        yield


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """The user's home, keys and proxies out of reach, sockets closed but for this machine."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if re.match(r"(?i)GALAXY_|.*_proxy$|.*_CA_BUNDLE$|XDG_STATE_HOME$", name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    common.shared_session.cache_clear()
    common.format_line[:] = [FORMAT_LINE]
    monkeypatch.setattr(common, "known_secrets", set())
    monkeypatch.setattr(common.Answer.latest, "line", "")
    process.forget()
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self, where):
        if self.family in (socket.AF_INET, socket.AF_INET6) and where[0] not in ("127.0.0.1", "::1"):
            raise AssertionError(f"a test wants to talk to {where}")
        return connect(self, where)

    def guarded_look_up(host, *rest, **options):
        if host not in ("localhost", "127.0.0.1", "::1", None):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    return home


class Clock:
    """The module `time`, but time goes by only when somebody sleeps: once the requests of other threads have ended, so that
    these don't seem to have waited, unless they take long."""

    def __init__(self):
        self.now, self.slept = 1000.0, []
        self._asking, self._changed = set(), threading.Condition()      # threads that wait for an answer

    def asking(self, send):
        """`send`, with its thread among those that wait for an answer."""
        def sent(*what, **options):
            thread = threading.get_ident()
            with self._changed:
                self._asking.add(thread)
            try:
                return send(*what, **options)
            finally:
                self._leave(thread)
        return sent

    def _leave(self, thread):
        """Whether the thread was among those that wait for an answer, which it now is not."""
        with self._changed:
            was_asking = thread in self._asking
            self._asking.discard(thread)
            self._changed.notify_all()
        return was_asking

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    def time_ns(self):
        return int(self.now * 1e9)

    def sleep(self, seconds):
        thread = threading.get_ident()
        was_asking = self._leave(thread)
        with self._changed:
            self._changed.wait_for(lambda: not self._asking, 0.2)
            self.slept.append(seconds)
            later = self.now + seconds      # what is too short for a float to show goes by all the same
            self.now = later if later > self.now or seconds <= 0 else math.nextafter(self.now, math.inf)
            if was_asking:
                self._asking.add(thread)

    def __getattr__(self, name):
        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch):
    """The clock of all our modules; not of the tests, nor of the servers that these run."""
    clock = Clock()
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "/")
        if getattr(module, "time", None) is time and ROOT in path.parents and ROOT / "tests" not in path.parents:
            monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(common.Galaxy, "_send", clock.asking(common.Galaxy._send))
    return clock


@pytest.fixture
def wire():
    """A Galaxy in memory, with faults to be plugged in."""
    server = FakeGalaxy()
    yield server
    server.close()


@pytest.fixture
def shelf(wire):
    """A Galaxy with the library `Shelf`: its id is `shelf.library`, that of its folder `shelf.root`. Its user is an
    administrator."""
    library, wire.users[KEY]["is_admin"] = wire.create_library("Shelf"), True
    wire.library, wire.root = library["id"], library["root_folder_id"]
    return wire


@pytest.fixture
def loopback(wire):
    """A server that gives the answers it was told, `{}` until then."""
    wire.will((200, {}))
    return wire


@pytest.fixture
def other_loopback():
    server = FakeGalaxy()
    server.will((200, {}))
    yield server
    server.close()


@pytest.fixture
def type_in(monkeypatch):
    """`type_in(text)`: what standard input will hold."""
    def fill(text):
        content = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    return fill


@pytest.fixture
def script():
    """`script(main, *arguments)`: the exit status that a shell would see."""
    def call(main, *arguments):
        try:
            return common.run(lambda: main([str(one) for one in arguments]))
        except SystemExit as end:
            return end.code or 0
    return call
