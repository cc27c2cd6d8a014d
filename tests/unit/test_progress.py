"""Counts in words, and the bar that shows them on a terminal."""
import io
import sys

import pytest

from galaxy_api_scripts.progress import describe_counts, enable_bars, state_progress


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
