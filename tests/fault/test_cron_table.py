"""docs/cron.md's table of what goes wrong: each cell is run, on a fake Galaxy and a real disk."""
import contextlib
import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes.night import SCRIPTS, Night, night, server
from fakes.rights import drop_roots_rights, mount_full_disk

from common import DONE, STILL_RUNNING, TRY_LATER

__all__ = ["night", "server"]       # fixtures
TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "cron.md").read_text("utf-8")
HEADING = f"| what goes wrong | {' | '.join(f'`{name}.py`' for name in SCRIPTS)} | the line says |\n"
CELLS = [[cell.strip() for cell in row.split("|")[1:-1]] for row in
         PAGE.partition(HEADING)[2].partition("\n\n")[0].splitlines()[1:]]
ROWS = {name: (dict(zip(SCRIPTS, cells)), re.findall("`([^`]+)`", says)) for name, *cells, says in CELLS}
KINDS = {}      # {the name of a row: what makes it go so, until it is closed}
# The request in whose middle something happens, by script.
MIDDLE = {"dataset_upload": "POST upload", "dataset_download": "GET display", "library_download": "GET display",
          "library_sync": "POST upload",
          "invocation_wait": "GET jobs_summary", "workflow_batch": "POST histories", "folder_watch": "POST histories"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HTML = {"Content-Type": "text/html"}
DOWN = b"<html><head><title>Down for maintenance</title></head></html>"
PAUSED = "Execution of this dataset's job is paused because you were over your disk quota at the time it was ready to run"


def kind(name):
    def keep(act):
        KINDS[name] = contextlib.contextmanager(act)
        return act
    return keep


# --------------------------------------------------------------------------------------------- the server and the way there

@kind("the server is down")
def refused(night, script):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        night.url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    yield
    night.url = night.server.url


@kind("no such host, or no name server")
def no_host(night, script):
    night.url = "http://galaxy.nowhere.example"
    yield
    night.url = night.server.url


@kind("no connection in time")
def no_connection(night, script):
    def never(self, where):
        raise socket.timeout("timed out")
    with night.patch.context() as patch:
        patch.setattr(socket.socket, "connect", never)
        yield


@contextlib.contextmanager
def all_requests(night, answer, after=0):
    """Every request is answered so, but the first so many."""
    left, handler_class = [after], night.server.http.RequestHandlerClass

    def serve(handler):
        if left[0] > 0:
            left[0] -= 1
            return handler_class.serve_usual(handler)
        if not callable(answer):
            handler.read()
        handler.give(answer)
    with night.patch.context() as patch:
        patch.setattr(handler_class, "serve", serve)
        yield


def answered(name, answer, after=0):
    """The kind of failure where every request, but the first so many, is answered so."""
    KINDS[name] = lambda night, script: all_requests(night, answer, after)


def ends_after(content):
    """An answer that ends with these bytes of it."""
    def fault(handler):
        handler.wfile.write(content)
        handler.cut()
    return fault


@kind("no answer in time")
def no_answer(night, script):
    def stall(handler):
        handler.replied = handler.close_connection = True
        handler.owner.closing.wait(0.5)
    with night.patch.context() as patch, all_requests(night, stall):
        patch.setenv("GALAXY_TIMEOUT", "0.02")
        yield


answered("the connection breaks before an answer", lambda handler: handler.cut())
answered("within its headers", ends_after(HEAD))
answered("within its body", ends_after(HEAD + b'Content-Length: 100\r\n\r\n{"id'))
answered("within a chunk of it", ends_after(HEAD + b'Transfer-Encoding: chunked\r\n\r\n20\r\n{"id'))
answered("the network goes in the middle of the work", lambda handler: handler.cut(), after=1)
answered("status 502 of a proxy", (502, b"<html><head><title>502 Bad Gateway</title></head></html>", HTML))
answered("status 503, a page about maintenance", (503, DOWN, HTML))
answered("status 503 with `Retry-After: 3600`", (503, DOWN, {**HTML, "Retry-After": "3600"}))
answered("status 429, too many requests", (429, {"err_msg": "Too many requests", "err_code": 429001}))
answered("status 500", (500, {"err_msg": "Uncaught exception", "err_code": 500001}))
answered("status 401, as for a key that has expired", (401, {"err_msg": "Provided API key is not valid.",
                                                            "err_code": 401001}))
answered("status 403", (403, {"err_msg": "It is not accessible by user", "err_code": 403002}))
answered("status 404", (404, {"err_msg": "There is no such thing", "err_code": 404001}))
answered("a page to log in, of a proxy", (200, b"<html><head><title>Log in</title></head></html>", HTML))
answered("a redirect to another host", (302, b"", {"Location": "https://login.example.org/"}))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that no authority has signed, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", folder / "key", "-out", folder / "pem"], check=True, capture_output=True)
    return folder / "pem", folder / "key"


@kind("a certificate that does not verify")
def bad_certificate(night, script):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*night.certificate)
    night.server.http.socket = context.wrap_socket(night.server.http.socket, server_side=True)
    night.url = night.url.replace("http:", "https:")
    yield


# ------------------------------------------------------------------------------------------------------------- the key

@kind("the key's file can be read by others")
def open_key_file(night, script):
    (night.folder / "key").write_text(night.key)
    (night.folder / "key").chmod(0o644)
    night.patch.setenv("GALAXY_API_KEY_FILE", str(night.folder / "key"))
    night.key = "-"
    yield


@kind("the key is an empty variable")
def empty_key(night, script):
    night.key = ""
    yield


# ------------------------------------------------------------------------------------------------------- disk and files

def can(act, *arguments):
    """Whether a process may do that here."""
    program = f"import sys; sys.path[:0] = [{str(TESTS)!r}]; from fakes import rights; rights.{act}(*sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, timeout=60).returncode == 0


@kind("the disk is full")
def full_disk(night, script):
    if not can(mount_full_disk.__name__, night.var):
        pytest.skip("nobody but root may mount a small disk here")
    night.act = f"{mount_full_disk.__name__}({str(night.var)!r})"
    yield


@kind("its folders can't be written to")
def read_only(night, script):
    night.var.chmod(0o500)
    night.act = f"{drop_roots_rights.__name__}()"
    yield
    night.var.chmod(0o700)


@kind("a file can't be read")
def unreadable(night, script):
    night.input_file(script).chmod(0)
    night.act = f"{drop_roots_rights.__name__}()"
    yield


@kind("a file vanishes before it is sent")
def vanishes(night, script):
    first = {"dataset_upload": "GET user", "library_sync": "GET datatypes"}.get(script, "POST histories")
    night.server.answers[first] = [lambda handler: night.input_file(script).unlink()]
    yield


@kind("a file changes while it is sent")
def changes(night, script):
    def write(handler):
        with open(night.input_file(script), "a") as file:
            file.write("more\n")
    night.server.answers["POST upload"] = write
    yield


@kind("another run is at work on it")
def locked(night, script):
    arrived, end = threading.Event(), threading.Event()

    def hold(handler):
        arrived.set()
        end.wait(60)
    night.server.answers[MIDDLE[script]] = [hold]
    other = night.begin(script)
    assert arrived.wait(60)
    yield
    end.set()
    other.join(60)


# ------------------------------------------------------------------------------------------------------------- signals

def signalled(night, script, number):
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    night.server.answers[MIDDLE[script]] = [lambda handler: os.kill(os.getpid(), number)]


@kind("SIGTERM")
def terminated(night, script):
    signalled(night, script, signal.SIGTERM)
    yield


@kind("SIGINT (Ctrl-C)")
def interrupted(night, script):
    signalled(night, script, signal.SIGINT)
    yield


# ------------------------------------------------------------------------------------------------ what becomes of it there

def every_new_dataset(night, **facts):
    """What becomes of the datasets that are uploaded."""
    make = night.server._dataset

    def made(*what, **options):
        one = make(*what, **options)
        one.update(facts)
        return one
    night.patch.setattr(night.server, "_dataset", made)


@kind("the user is over quota")
def over_quota(night, script):
    server = night.server
    if script == "library_sync":
        server.job_state = "paused"
    elif script == "invocation_wait":
        night.patch.setattr(server, "_job_state", lambda run, job: "paused")
        for one in server.runs[night.invocation]["made"]:
            server.datasets[one].update(misc_info=PAUSED, state="paused")
    else:
        every_new_dataset(night, state="paused", misc_info=PAUSED)
    yield


@kind("a dataset is in error")
def in_error(night, script):
    server = night.server
    if script == "dataset_download":
        server.datasets[night.dataset]["state"] = "error"
    elif script == "library_download":
        server.file(night.file)["state"] = "error"
    elif script == "library_sync":
        server.arrivals["a.tsv"] = {"state": "error", "message": "It is broken"}
    else:
        every_new_dataset(night, state="error", misc_info="It is broken")
    yield


@kind("a job fails")
def job_fails(night, script):
    night.server.failures["a.tsv"] = ["It is broken"]
    for run in night.server.runs.values():
        run["made"] = {one: (name, "It is broken") for one, (name, _) in run["made"].items()}
    yield


@kind("its history, dataset or library is deleted")
def deleted(night, script):
    server = night.server
    if script in ("workflow_batch", "folder_watch"):
        night.run(script)
    if script == "dataset_download":
        server.datasets[night.dataset]["deleted"] = True
    elif script in ("library_sync", "library_download"):
        server.libraries[night.library if script == "library_sync" else night.core["id"]]["deleted"] = True
    else:
        for history in server.histories.values():
            history["deleted"] = True
    yield


@kind("the time is up, and it still runs")
def time_is_up(night, script):
    server, never = night.server, 10**6
    server.polls = server.invocation_polls = server.runs[night.invocation]["polls"] = never
    server.job_state = "running"
    night.options = [] if script in ("workflow_batch", "folder_watch") else ["--timeout=5"]
    yield


# ------------------------------------------------------------------------------------------------------------- the table

def test_each_row_of_the_table_is_run():
    assert list(ROWS) == list(KINDS) and len(ROWS) >= 30


@pytest.mark.parametrize("row, name", [(row, name) for row, (cells, _) in ROWS.items() for name in SCRIPTS
                                         if cells[name] != "–"])
def test_a_failure_has_the_status_and_the_line_of_the_table(night, certificate, row, name):
    """The status after all visits, so many lines, each with its date, the first of them with the words of the table; and
    what passes by itself is made good by the same line later."""
    night.certificate = certificate
    cells, words = ROWS[row]
    status, _, lines = re.fullmatch(r"(\d+)( \((\d+) lines\))?", cells[name]).groups()
    with KINDS[row](night, name):
        ended = night.visits(name)
    assert (ended.status, len(ended.err)) == (int(status), int(lines or 1)), ended.err
    if ended.err:
        dated = re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ {name}\.py: (.+)", ended.err[0])
        assert dated[1].startswith(night.subject(name)) and any(word in dated[1] for word in words), ended.err
    if ended.status == TRY_LATER and not night.is_done(name):       # or another run has done it
        again = night.visits(name)
        assert (again.status, again.err) == (DONE, []) and night.is_done(name)


# ------------------------------------------------------------------------------------------------ at any of its requests

def cut_answer(acts, content):
    """An answer that ends with these bytes, to a request that the server has acted upon or not."""
    def fault(handler):
        handler.reply = lambda *answer, **more: (handler.read(), handler.wfile.write(content), handler.cut())
        if acts:
            return handler.serve_usual()
        return handler.reply()
    return fault


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_cut_at_any_request_is_75_and_the_same_line_makes_it_good_once(server, tmp_path, script, capfd, monkeypatch, name):
    """From each of its requests on, every answer is cut; the next visits do what is left, and nothing twice."""
    for number in itertools.count():
        (tmp_path / str(number)).mkdir()
        server.empty()
        night = Night(server, tmp_path / str(number), script, capfd, monkeypatch)
        content = (b"", HEAD, HEAD + b'Content-Length: 100\r\n\r\n{"id')[number % 3]
        with all_requests(night, cut_answer(number % 2, content), after=number):
            ended = night.run(name)
        if ended.status != TRY_LATER:       # it has sent fewer requests
            assert number > 1 and ended.status in (DONE, STILL_RUNNING)
            return
        assert len(ended.err) == 1, ended.err
        again = night.visits(name)
        assert (again.status, again.err) == (DONE, []) and night.is_done(name), number


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_night_without_failures_is_silent(night, name):
    ended = night.visits(name)
    assert (ended.status, ended.err) == (DONE, []) and night.is_done(name)
