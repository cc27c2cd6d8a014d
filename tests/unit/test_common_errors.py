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


def main_that_raises(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize("main, status", [
    (lambda: None, 0), (lambda: 0, 0), (lambda: 3, 3),
    (main_that_raises(GalaxyError("no")), FAILED), (main_that_raises(GalaxyError("no", USAGE)), USAGE),
    (main_that_raises(GalaxyError("no", 75)), 75), (main_that_raises(KeyboardInterrupt()), INTERRUPTED),
    (main_that_raises(OSError(errno.ENOSPC, "No space left on device", "f")), FAILED),
    (main_that_raises(ValueError("odd")), FAILED),
])
def test_run_returns_the_exit_status(main, status):
    assert run(main) == status


@pytest.mark.parametrize("error, line", [
    (GalaxyError("two\nlines  and\ttabs"), "two lines and tabs"),
    (OSError(errno.ENOSPC, "No space left on device", "/x/f"), "/x/f: No space left on device"),
    (PermissionError(errno.EACCES, "Permission denied", "f"), "f: Permission denied"),
    (KeyError("id"), "unforeseen: KeyError: 'id'; GALAXY_DEBUG=1 shows where"),
])
def test_run_prints_an_error_on_one_line(capsys, monkeypatch, error, line):
    monkeypatch.setattr("sys.argv", ["x/nightly.py"])
    run(main_that_raises(error))
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", f"nightly.py: {line}\n")


def test_run_prints_an_errors_table_below_its_line(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["x/nightly.py"])
    common.register_secret("s3cret")
    assert run(main_that_raises(GalaxyError("no input", USAGE, table="index\n-----\n0 s3cret"))) == USAGE
    assert capsys.readouterr().err == "nightly.py: no input\nindex\n-----\n0 ***\n"


def test_galaxy_debug_prints_a_redacted_traceback(capsys, monkeypatch):
    monkeypatch.setenv("GALAXY_DEBUG", "1")
    common.register_secret("s3cret")
    run(main_that_raises(ValueError("about s3cret")))
    output = capsys.readouterr().err
    assert "Traceback" in output and "ValueError" in output and "s3cret" not in output


def test_run_passes_system_exit_on():
    with pytest.raises(SystemExit):
        run(main_that_raises(SystemExit(2)))


@pytest.mark.parametrize("text, shown", [
    ("http://h/api/x?key=abc&y=1", "http://h/api/x?key=***&y=1"),
    ("http://h/api/x?a=1&KEY=abc", "http://h/api/x?a=1&KEY=***"),
    ("http://h/api/x?api_key=abc&b='c'", "http://h/api/x?api_key=***&b='c'"),
    ("http://me:pw@h/api", "http://h/api"),
    ("http://me:a@b@c@h/api", "http://h/api"),
    ("mail me@h about http://h/x", "mail me@h about http://h/x"),
    ("keyless", "keyless"),
])
def test_redact_hides_keys_and_passwords_in_urls(text, shown):
    assert common.redact(text) == shown


def test_redact_hides_secrets_plain_and_percent_encoded():
    common.register_secret("p@ss word")
    common.register_secret("")
    common.register_secret(None)
    assert common.redact("p@ss word p%40ss%20word") == "*** ***"


def test_redact_hides_the_whole_of_a_secret_that_begins_with_another():
    common.register_secret("abcdef")
    common.register_secret("abcdefgh")
    assert common.redact("abcdefgh abcdef") == "*** ***"


@pytest.mark.parametrize("ends, called", [
    (lambda: 0, True), (lambda: 3, True), (lambda: 1 / 0, False), (lambda: sys.exit(5), False)])
def test_on_success_acts_where_main_returns(ends, called, capsys):
    done = []

    def main():
        on_success(lambda: done.append(True))
        return ends()
    with contextlib.suppress(SystemExit):
        run(main)
    assert bool(done) == called


def test_on_success_acts_last_in_a_script(tmp_path):
    (tmp_path / "x.py").write_text("""import atexit, sys
from common import on_success, run
def main():
    atexit.register(print, "Python's own end")
    on_success(lambda: print("done", file=sys.stderr))
    print("result")
    return 4
sys.exit(run(main))
""")
    result = subprocess.run([sys.executable, tmp_path / "x.py"], capture_output=True, text=True,
                            env={**os.environ, "PYTHONPATH": os.path.dirname(common.__file__)})
    assert (result.returncode, result.stdout, result.stderr) == (4, "result\n", "done\n")


# ------------------------------------------------------------------------------------------- signals, and pytest's own

def test_run_leaves_pytests_signal_handlers_alone():
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    assert run(lambda: 0) == 0
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
    assert "common" not in {getattr(handler, "__module__", None) for handler in before.values()}, "left by an earlier test"


def test_signals_kept_restores_the_handlers():
    with signals_kept():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with signals_kept():
            assert run(lambda: 0) == 0
            assert signal.getsignal(signal.SIGTERM).__module__ == "common", "run has installed no handler"
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def take_hangups():
    """For a child, which would ignore them below `nohup`, as it should."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


TEST_FILE = """
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
def test_a_signal_ends_the_test_run_after_its_clean_up(tmp_path, number):
    """Even where the script that a test calls catches the interrupt."""
    (tmp_path / "test_it.py").write_text(TEST_FILE)
    (tmp_path / "conftest.py").symlink_to(Path(__file__).parents[1] / "conftest.py")
    path = os.pathsep.join([os.path.dirname(common.__file__), str(Path(__file__).parents[1])])
    running = subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}",
                                "test_it.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=take_hangups)
    try:
        while not (tmp_path / "begun").exists():
            assert running.poll() is None, running.stdout.read()
            time.sleep(0.01)
        for _ in range(1 if number == signal.SIGINT else 2):    # make sends it, and so does the terminal
            running.send_signal(number)
        output, _ = running.communicate(timeout=50)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == pytest.ExitCode.INTERRUPTED, output
    assert (tmp_path / "tidied").exists() and not (tmp_path / "went on").exists(), output


# ------------------------------------------------------------------------------------------------------ whole processes

def process(*arguments, **environment):
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, **environment})


def test_a_closed_pipe_ends_a_script_without_a_message(loopback):
    loopback.will((200, [{"id": f"{number:016x}"} for number in range(20000)]))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/histories | head -n 1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (result.stdout, result.stderr, result.returncode) == ("Collection Members\n", "", 128 + signal.SIGPIPE)


def test_unicode_is_escaped_in_an_ascii_locale(loopback):
    loopback.will((200, {"name": "Größe 基因"}))
    result = process("display.py", KEY, f"{loopback.url}/api/x", LC_ALL="POSIX", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0",
                     PYTHONIOENCODING="ascii")
    assert result.returncode == 0 and "name: Gr\\xf6\\xdfe" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_script_with_128_plus_its_number(loopback, number):
    loopback.will(lambda handler: time.sleep(5))
    running = subprocess.Popen([sys.executable, "display.py", KEY, f"{loopback.url}/api/x"], cwd=ROOT,
                               stderr=subprocess.PIPE, text=True, preexec_fn=take_hangups)
    while not loopback.asked:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(number)
    assert running.communicate()[1] == "" and running.returncode == 128 + number


def test_galaxy_debug_prints_a_scripts_traceback_without_the_key(loopback):
    loopback.will((404, {"err_msg": f"no {KEY}"}))
    result = process("display.py", KEY, f"{loopback.url}/api/x", GALAXY_DEBUG="1")
    assert "Traceback" in result.stderr and KEY not in result.stderr and result.returncode == 1


def test_a_full_or_closed_standard_output_is_an_error(loopback):
    loopback.will((200, [{"id": "1"}, {"id": "2"}]))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/histories"
    result = subprocess.run(["bash", "-c", f"{line} > /dev/full"], cwd=ROOT, capture_output=True, text=True)
    assert (result.stderr, result.returncode) == ("display.py: No space left on device\n", FAILED)
    result = subprocess.run(["bash", "-c", f"{line} >&-"], cwd=ROOT, capture_output=True, text=True)
    assert (result.stderr, result.returncode) == ("display.py: standard output: Bad file descriptor\n", FAILED)
    for option in ("--help", "--version"):
        for to in ("> /dev/full", ">&-"):
            line = ["bash", "-c", f"{sys.executable} display.py {option} {to}"]
            result = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
            assert (result.stderr.count("\n"), result.returncode) == (1, FAILED)


def test_a_full_disk_is_reported_with_the_id_of_what_was_created(loopback, tmp_path):
    loopback.will((200, {"id": "h"}))
    url = f"{loopback.url}/api/histories"

    def shell(line):
        result = subprocess.run(["bash", "-c", f"{sys.executable} {line}"], cwd=ROOT, capture_output=True, text=True)
        return result.returncode, result.stderr
    assert shell(f"create.py {KEY} {url} name=x > /dev/full") == (
        FAILED, "create.py: it is done (id h), but the answer can't be printed: No space left on device\n")
    assert shell(f"display.py {KEY} 2> /dev/full") == (USAGE, "")
    assert shell(f"display.py '' {url} 2> /dev/full") == (USAGE, "")
    assert shell(f"create.py --format=csv {KEY} {url} name=x >&-") == (
        FAILED, "create.py: it is done (id h), but the answer can't be printed: Bad file descriptor\n")


def test_errors_stay_off_standard_output_where_standard_error_is_closed(loopback):
    loopback.will((404, {"err_msg": "no"}))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/x 2>&-"
    result = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (result.stdout, result.returncode) == ("", FAILED)


@pytest.mark.parametrize("package, line", [
    ("requests", ["display.py", KEY, "http://127.0.0.1"]), ("docopt", ["display.py", KEY, "http://127.0.0.1"]),
    ("tabulate", ["create.py", "-n", "--format=table", KEY, "http://127.0.0.1"])])
def test_a_missing_package_is_named_in_one_line(tmp_path, package, line):
    name = {"docopt": "docopt-ng"}.get(package, package)
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})")
    result = process(*line, PYTHONPATH=str(tmp_path))
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert f"the package {name} is not installed: pip install" in result.stderr


def test_display_runs_with_docopt_0_6(loopback, tmp_path):
    """docopt 0.6.2 is one module with the same interface; a stand-in shows that we only ever call it positionally."""
    (tmp_path / "docopt.py").write_text(
        "class DocoptExit(SystemExit): pass\n"
        "def docopt(doc, argv=None, help=True, version=None, options_first=False):\n"
        "    names = ['--all', '--limit', '--format', '--fields', '--to']\n"
        "    return dict.fromkeys(names) | {'KEY': argv[0], 'URL': argv[1]}\n")
    loopback.will((200, "1.0"))
    result = process("display.py", KEY, f"{loopback.url}/api/x", PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (0, "1.0\n")
