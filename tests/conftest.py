"""Every test is alone: no network but loopback, no settings of the user's; and a server on loopback that does as told."""
import io
import json
import os
import re
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fakes.bad_wire import BadWire

import common
from galaxy_api_scripts import checkpoint, progress
from galaxy_api_scripts.datasets import http_download, upload
from galaxy_api_scripts.invocations import invocation


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

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end)


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
    monkeypatch.setattr(common, "_session", None)
    monkeypatch.setattr(common, "_secrets", set())
    monkeypatch.setattr(checkpoint, "_old_removed", False)
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
    """Time that goes by only when somebody sleeps."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (common, invocation, progress, http_download, upload):
        monkeypatch.setattr(module, "time", clock)
    return clock


class Loopback:
    """A server that gives the answers it was told, in their order, the last one for ever, and records what it is asked.

    An answer is `(status, body)` or `(status, body, headers)`, the body JSON unless it is bytes; or a function of the
    request's handler.
    """

    def __init__(self):
        self.asked, self.answers = [], [(200, {})]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if callable(answer):
                    return answer(self)
                self.reply(*answer)

            def reply(self, status, body, headers=()):
                headers = {"Content-Type": "application/json", **dict(headers)}
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def cut(self):
                """Hang up in the middle of everything."""
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *what):
                pass

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda request, client: None      # a client that hangs up is no news
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def will(self, *answers):
        self.answers = list(answers)

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Asked:
    """One request that the server got."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def line(self):
        return f"{self.method} {self.path}"


@pytest.fixture
def loopback():
    server = Loopback()
    yield server
    server.close()


@pytest.fixture
def other_loopback():
    server = Loopback()
    yield server
    server.close()


@pytest.fixture
def wire():
    server = BadWire()
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
