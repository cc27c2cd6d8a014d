"""Counts in words, the bar that shows them on a terminal, and the dated lines of a log."""
import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common import report_error
from galaxy_api_scripts.progress import date_lines, describe_counts, enable_bars, state_progress

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("counts, words", [
    ({}, ""), ({"ok": 1}, "1 ok"), ({"error": 1, "ok": 3, "running": 0}, "3 ok, 1 error"),
    ({"new": 2, "error": 2}, "2 error, 2 new")])
def test_counts_in_words_have_the_largest_first(counts, words):
    assert describe_counts(counts) == words


def test_the_bar_counts_what_has_ended_and_shows_all_states(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    counts = {}
    with state_progress("jobs", counts) as on_progress:
        on_progress({"running": 3})
        on_progress({"running": 1, "ok": 1, "paused": 1})
    assert counts == {"running": 1, "ok": 1, "paused": 1}
    assert "2/3" in sys.stderr.getvalue() and "1 ok, 1 paused, 1 running" in sys.stderr.getvalue()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("to", ["terminal", "file", "pipe"])
def test_bars_and_text_never_share_a_line_of_the_terminal(tmp_path, to):
    """D30: rows, errors and bars of several threads, on a real terminal; with a pager behind a pipe there is no bar."""
    import pty
    program = """if True:
        import sys, threading, time
        from common import eprint
        from galaxy_api_scripts.progress import progress_bar
        def transfer(name):
            with progress_bar(10, name) as bar:
                for number in range(10):
                    bar.update(1)
                    print(f"row {name} {number}", flush=True)
                    eprint(f"error {name} {number}")
        with progress_bar(3, "all", unit=""):
            threads = [threading.Thread(target=transfer, args=[name]) for name in "abc"]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
        print("the end")
    """
    ours, theirs = pty.openpty()
    with open(tmp_path / "out", "w") as out:
        stdout = {"terminal": theirs, "file": out, "pipe": subprocess.PIPE}[to]
        with subprocess.Popen([sys.executable, "-c", program], stdout=stdout, stderr=theirs, cwd=ROOT) as process:
            os.close(theirs)
            if to == "pipe":
                process.stdout.read()
            shown = b""
            with contextlib.suppress(OSError):      # the end, on Linux
                while piece := os.read(ours, 2**16):
                    shown += piece
    os.close(ours)
    assert ("all:" in shown.decode()) == (to != "pipe")
    if to == "pipe":
        return
    lines = [line.rpartition("\r")[2].replace("\x1b[A", "") for line in shown.decode().replace("\r\n", "\n").split("\n")]
    text = [line.strip() for line in lines if re.search("row|error|the end", line)]
    rows, errors = ([f"{kind} {name} {number}" for name in "abc" for number in range(10)] for kind in ("row", "error"))
    assert sorted(text) == sorted([*errors, *([*rows, "the end"] if to == "terminal" else [])])


def test_there_is_no_bar_off_a_terminal_or_after_quiet(monkeypatch, capsys):
    with state_progress("jobs") as on_progress:
        on_progress({"ok": 1})
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", Terminal())
    enable_bars(False)
    try:
        with state_progress("jobs") as on_progress:
            on_progress({"ok": 1})
    finally:
        enable_bars(True)
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize("text, line", [("it failed", "sheet.tsv: it failed"),
                                        ("sheet.tsv: it failed", "sheet.tsv: it failed")])
def test_a_line_in_a_log_has_its_date_and_names_what_it_is_about(monkeypatch, capsys, text, line):
    monkeypatch.setattr(sys, "argv", ["/opt/workflow_batch.py"])
    date_lines("sheet.tsv")
    report_error(text)
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ workflow_batch\.py: {line}\n", capsys.readouterr().err)


def test_a_line_on_a_terminal_has_no_date(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/opt/workflow_batch.py"])
    monkeypatch.setattr(sys, "stderr", Terminal())
    date_lines("sheet.tsv")
    report_error("it failed")
    assert sys.stderr.getvalue() == "workflow_batch.py: it failed\n"
