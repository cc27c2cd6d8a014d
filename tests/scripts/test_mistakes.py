"""Ten mistakes that people make first: each ends in one line that says what to do, on narrow and wide terminals."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from conftest import ROOT
from fakes import KEY

WIDTHS = pytest.mark.parametrize("columns", [80, 200])


def on_terminal(columns, script, *words, python=(sys.executable,), **environment):
    """The exit status of a script that runs on a terminal of its own, and what is seen there."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    path = ROOT / script if (ROOT / script).exists() else ROOT / "scripts" / script
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    process = subprocess.Popen([*python, path, *words], **streams, cwd=os.environ["HOME"],
                               env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "GALAXY_RETRY_MAX": "0",
                                    "LANG": "C.UTF-8", **environment})
    os.close(terminal)
    seen = b""
    try:
        while part := os.read(master, 2**16):
            seen += part
    except OSError:     # the end, as Linux tells it
        pass
    os.close(master)
    return process.wait(), seen.decode().replace("\r\n", "\n")


@WIDTHS
@pytest.mark.parametrize("words, told", [
    (["display.py", "SERVER/api/histories", "K3Y"], "KEY and URL are the wrong way round"),
    (["display.py", "--limt=3", "K3Y", "SERVER/api/histories"], "option --limt not recognized: did you mean --limit?"),
    (["display.py", "K3Y", "127.0.0.1:8080/api/histories"],
     "'127.0.0.1:8080/api/histories' (did you mean http://127.0.0.1:8080/api/histories?) is not the address of a server"),
    (["display.py", "K3Y", "histories"], "'histories' (did you mean /api/histories?) is not the address of a server"),
    (["display.py", "", "SERVER/api/histories"], "the key is empty: is a variable unset?"),
    (["display.py", "K3Y"], "missing: URL"),
    (["display.py", "K3Y", "SERVER/api/histories", "two", "words"], "too many arguments (quote what has spaces)"),
    (["display.py", "0" * 32, "SERVER/api/users/current"], "check the key: key_show.py SERVER EMAIL shows yours"),
    (["recipe_loop.py", "K3Y", "SERVER", "Twice", "d", "1"], "2 histories are named 'Twice': "),
    (["recipe_loop.py", "K3Y", "SERVER", "run 12", "d", "1"], "is named 'run 12': did you mean Run 12?"),
    (["recipe_loop.py", "K3Y", "SERVER", "Run 1*", "d", "1"], "is named 'Run 1*': did you mean Run 12?"),
], ids=["swapped", "misspelt option", "no scheme", "no address", "empty variable", "missing", "spaces", "expired key",
        "two of a name", "wrong case", "quoted pattern"])
def test_a_mistake_ends_in_one_line_that_says_what_to_do(wire, columns, words, told):
    for name in ("Run 12", "Twice", "Twice"):
        wire.create_history(name)
    if words[1] == "0" * 32:
        wire.will((401, {"err_msg": "Provided API key is not valid.", "err_code": 401001}))
    status, seen = on_terminal(columns, *(word.replace("SERVER", wire.url).replace("K3Y", KEY) for word in words))
    first, *rest = seen.splitlines()
    assert status in (1, 2) and first.startswith(f"{words[0]}: ") and told.replace("SERVER", wire.url) in first
    assert rest == [] or (rest[0] == "Usage:" and rest[-1] == f"{words[0]} --help says more")
    assert KEY not in seen and "Traceback" not in seen


@WIDTHS
def test_a_missing_environment_is_one_line_with_the_command(columns):
    bare = (sys.executable, "-S", "-E")
    status, seen = on_terminal(columns, "display.py", KEY, "http://127.0.0.1/api/version", python=bare)
    assert (status, seen) == (1, "the package requests is not installed: pip install requests docopt-ng tabulate\n")


@pytest.mark.parametrize("line", [["KEY", "http://h", "--help"], ["KEY", "http://h", "--version"]])
def test_help_among_other_words_does_not_exit_with_0(line):
    status, seen = on_terminal(80, "history_create_history.py", *line)
    assert status == 2 and seen.startswith("history_create_history.py: --help and --version stand alone\nUsage:\n")
    assert not re.search("Traceback|Options:", seen)


@WIDTHS
@pytest.mark.parametrize("script", ["display.py", "tool_run.py", "workflow_batch.py"])
def test_a_help_fits_the_terminal_and_keeps_its_commands_whole(columns, script):
    status, seen = on_terminal(columns, script, "--help")
    commands = [line for line in seen.splitlines() if re.match(r"  [\w/]+\.py ", line)]
    assert status == 0 and commands
    assert max(len(line) for line in seen.splitlines() if line not in commands) <= columns
