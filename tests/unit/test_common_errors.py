"""`run`: exit statuses, the one line on standard error, redaction, signals, and whole processes."""
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import signals_kept
from fakes import KEY

import common
from common import FAILED, INTERRUPTED, USAGE, GalaxyError, on_success, run

ROOT = Path(__file__).parents[2]


def raising(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize("main, status", [
    (lambda: None, 0), (lambda: 0, 0), (lambda: 3, 3),
    (raising(GalaxyError("no")), FAILED), (raising(GalaxyError("no", USAGE)), USAGE), (raising(GalaxyError("no", 75)), 75),
    (raising(KeyboardInterrupt()), INTERRUPTED), (raising(OSError(errno.ENOSPC, "No space left on device", "f")), FAILED),
    (raising(ValueError("odd")), FAILED),
])
def test_exit_statuses(main, status):
    assert run(main) == status


@pytest.mark.parametrize("error, line", [
    (GalaxyError("two\nlines  and\ttabs"), "two lines and tabs"),
    (OSError(errno.ENOSPC, "No space left on device", "/x/f"), "/x/f: No space left on device"),
    (PermissionError(errno.EACCES, "Permission denied", "f"), "f: Permission denied"),
    (KeyError("id"), "unforeseen, in the script or in Galaxy's answer: KeyError: 'id'; GALAXY_DEBUG=1 shows where"),
])
def test_one_line_on_standard_error(capsys, monkeypatch, error, line):
    monkeypatch.setattr("sys.argv", ["x/nightly.py"])
    run(raising(error))
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"nightly.py: {line}\n")


def test_a_table_stands_below_the_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x/nightly.py"])
    common.register_secret("s3cret")
    assert run(raising(GalaxyError("no input", USAGE, table="index\n-----\n0 s3cret"))) == USAGE
    assert capsys.readouterr().err == "nightly.py: no input\nindex\n-----\n0 ***\n"


def test_the_traceback_on_demand_without_keys(capsys, monkeypatch):
    monkeypatch.setenv("GALAXY_DEBUG", "1")
    common.register_secret("s3cret")
    run(raising(ValueError("about s3cret")))
    told = capsys.readouterr().err
    assert "Traceback" in told and "ValueError" in told and "s3cret" not in told


def test_system_exit_goes_through():
    with pytest.raises(SystemExit):
        run(raising(SystemExit(2)))


@pytest.mark.parametrize("text, shown", [
    ("http://h/api/x?key=abc&y=1", "http://h/api/x?key=***&y=1"),
    ("http://h/api/x?a=1&KEY=abc", "http://h/api/x?a=1&KEY=***"),
    ("http://me:pw@h/api", "http://h/api"),
    ("http://me:a@b@c@h/api", "http://h/api"),
    ("mail me@h about http://h/x", "mail me@h about http://h/x"),
    ("keyless", "keyless"),
])
def test_redaction(text, shown):
    assert common.redact(text) == shown


def test_redaction_of_secrets_in_either_writing():
    common.register_secret("p@ss word")
    common.register_secret("")
    common.register_secret(None)
    assert common.redact("p@ss word p%40ss%20word") == "*** ***"


@pytest.mark.parametrize("ends, called", [
    (lambda: 0, True), (lambda: 3, True), (lambda: 1 / 0, False), (lambda: sys.exit(5), False)])
def test_what_is_done_at_the_end(ends, called, capsys):
    done = []

    def main():
        on_success(lambda: done.append(True))
        return ends()
    with contextlib.suppress(SystemExit):
        run(main)
    assert bool(done) == called


def test_what_is_done_at_the_end_is_the_last_thing(tmp_path):
    (tmp_path / "x.py").write_text("""import atexit, sys
from common import on_success, run
def main():
    atexit.register(print, "Python's own end")
    on_success(lambda: print("done", file=sys.stderr))
    print("result")
    return 4
sys.exit(run(main))
""")
    ended = subprocess.run([sys.executable, tmp_path / "x.py"], capture_output=True, text=True,
                           env={**os.environ, "PYTHONPATH": os.path.dirname(common.__file__)})
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, "result\n", "done\n")


# ------------------------------------------------------------------------------------------- signals, and pytest's own

def test_a_script_that_is_called_here_leaves_the_handlers_of_pytest_alone():
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    assert run(lambda: 0) == 0
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
    assert common._exit_on_signal not in before.values(), "an earlier test has left its handlers"


def test_handlers_that_a_test_needs_end_with_it():
    with signals_kept():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with signals_kept():
            assert run(lambda: 0) == 0
            assert signal.getsignal(signal.SIGTERM) is common._exit_on_signal, "else this shows nothing"
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


TESTS = """
import pathlib, time
from common import run
import pytest

@pytest.fixture(scope="session")
def thing():
    yield
    pathlib.Path("tidied").touch()

def test_one(thing):
    def main():
        pathlib.Path("begun").touch()
        time.sleep(60)
    assert run(main) == 0

def test_two(thing):
    pathlib.Path("went on").touch()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_tests_that_are_ended_tidy_up_and_stop(tmp_path, number):
    """Though the script that is called in the test catches the interrupt."""
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").symlink_to(Path(__file__).parents[1] / "conftest.py")
    path = os.pathsep.join([os.path.dirname(common.__file__), str(Path(__file__).parents[1])])
    running = subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}",
                                "test_it.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        while not (tmp_path / "begun").exists():
            assert running.poll() is None, running.stdout.read()
            time.sleep(0.01)
        for _ in range(1 if number == signal.SIGINT else 2):    # from make, and from whoever ends its group
            running.send_signal(number)
        told, _ = running.communicate(timeout=50)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == pytest.ExitCode.INTERRUPTED, told
    assert (tmp_path / "tidied").exists() and not (tmp_path / "went on").exists(), told


# ------------------------------------------------------------------------------------------------------ whole processes

def process(*arguments, **environment):
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, **environment})


def test_a_reader_that_has_seen_enough(loopback):
    loopback.will((200, [{"id": f"{number:016x}"} for number in range(20000)]))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/histories | head -n 1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("Collection Members\n", "", 128 + signal.SIGPIPE)


def test_unicode_in_a_cron_jobs_locale(loopback):
    loopback.will((200, {"name": "Größe 基因"}))
    ended = process("display.py", KEY, f"{loopback.url}/api/x", LC_ALL="POSIX", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0",
                    PYTHONIOENCODING="ascii")
    assert ended.returncode == 0 and "name: Gr\\xf6\\xdfe" in ended.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_its_number(loopback, number):
    loopback.will(lambda handler: time.sleep(5))
    running = subprocess.Popen([sys.executable, "display.py", KEY, f"{loopback.url}/api/x"], cwd=ROOT,
                               stderr=subprocess.PIPE, text=True)
    while not loopback.asked:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(number)
    assert running.communicate()[1] == "" and running.returncode == 128 + number


def test_debugging_shows_the_traceback_without_the_key(loopback):
    loopback.will((404, {"err_msg": f"no {KEY}"}))
    ended = process("display.py", KEY, f"{loopback.url}/api/x", GALAXY_DEBUG="1")
    assert "Traceback" in ended.stderr and KEY not in ended.stderr and ended.returncode == 1


def test_standard_output_that_is_full_or_closed(loopback):
    loopback.will((200, [{"id": "1"}, {"id": "2"}]))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/histories"
    ended = subprocess.run(["bash", "-c", f"{line} > /dev/full"], cwd=ROOT, capture_output=True, text=True)
    assert (ended.stderr, ended.returncode) == ("display.py: No space left on device\n", FAILED)
    ended = subprocess.run(["bash", "-c", f"{line} >&-"], cwd=ROOT, capture_output=True, text=True)
    assert (ended.stderr, ended.returncode) == ("", 0)


def test_full_disks(loopback, tmp_path):
    loopback.will((200, {"id": "h"}))
    url = f"{loopback.url}/api/histories"

    def shell(line):
        ended = subprocess.run(["bash", "-c", f"{sys.executable} {line}"], cwd=ROOT, capture_output=True, text=True)
        return ended.returncode, ended.stderr
    code, said = shell(f"create.py {KEY} {url} name=x > /dev/full")
    assert (code, said) == (
        FAILED, "create.py: it is done (id h), but the answer can't be printed: No space left on device\n")
    assert shell(f"display.py {KEY} 2> /dev/full") == (USAGE, "")
    assert shell(f"display.py '' {url} 2> /dev/full") == (USAGE, "")
    assert shell(f"create.py --format=csv {KEY} {url} name=x >&-") == (0, "")


def test_errors_do_not_go_to_standard_output(loopback):
    loopback.will((404, {"err_msg": "no"}))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/x 2>&-"
    ended = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (ended.stdout, ended.returncode) == ("", FAILED)


@pytest.mark.parametrize("package, line", [
    ("requests", ["display.py", KEY, "http://127.0.0.1"]), ("docopt", ["display.py", KEY, "http://127.0.0.1"]),
    ("tabulate", ["create.py", "-n", "--format=table", KEY, "http://127.0.0.1"])])
def test_a_package_that_is_not_installed(tmp_path, package, line):
    name = {"docopt": "docopt-ng"}.get(package, package)
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})")
    ended = process(*line, PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert f"the package {name} is not installed: pip install" in ended.stderr


def test_the_verbs_run_with_the_old_docopt_too(loopback, tmp_path):
    """docopt 0.6.2 is one module with the same interface; a stand-in shows that we only ever call it positionally."""
    (tmp_path / "docopt.py").write_text(
        "class DocoptExit(SystemExit): pass\n"
        "def docopt(doc, argv=None, help=True, version=None, options_first=False):\n"
        "    names = ['--all', '--limit', '--format', '--fields']\n"
        "    return dict.fromkeys(names) | {'KEY': argv[0], 'URL': argv[1]}\n")
    loopback.will((200, "1.0"))
    ended = process("display.py", KEY, f"{loopback.url}/api/x", PYTHONPATH=str(tmp_path))
    assert (ended.returncode, ended.stdout) == (0, "1.0\n")
