"""How long ago, on a command line: the same forms for all options that ask for it."""
from datetime import datetime, timezone

import pytest
import requests

from common import USAGE, GalaxyError
from galaxy_api_scripts.ages import format_age, parse_age, parse_duration, server_time


@pytest.mark.parametrize("text, seconds", [
    ("45s", 45), ("90m", 5400), ("12h", 43200), ("7d", 604800), ("1d12h", 129600), ("7", 604800), ("0", 0)])
def test_durations_are_read(text, seconds):
    assert parse_duration(text, "--older-than") == seconds


@pytest.mark.parametrize("text", ["", "d", "-1", "-1d", "1w", "1.5h", "1d 2h x"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(GalaxyError, match="--older-than=.*: expected a time such as 90m") as refused:
        parse_duration(text, "--older-than")
    assert refused.value.exit_code == USAGE


@pytest.mark.parametrize("seconds, text", [
    (0, "0s"), (-5, "0s"), (59.9, "59s"), (60, "1m"), (75, "1m15s"), (3600, "1h"), (3661, "1h1m"), (90000, "1d1h"),
    (86405, "1d"), (10**7, "115d17h"), (None, None)])
def test_durations_are_written_as_they_are_read(seconds, text):
    assert format_age(seconds) == text
    assert text is None or abs(parse_duration(text, "x") - max(seconds, 0)) < (3600 if "d" in text else 60)


def test_too_short_and_too_long_a_time_is_refused():
    assert parse_age({"--older-than": None}, "--older-than", 3600) is None
    with pytest.raises(GalaxyError, match="^--older-than=59m: expected 1h or more$"):
        parse_age({"--older-than": "59m"}, "--older-than", 3600)
    for text in ("36501", "36500d1s", "999999999d"):
        with pytest.raises(GalaxyError, match=f"^--older-than={text}: expected 36500 days at most$"):
            parse_duration(text, "--older-than")


@pytest.mark.parametrize("date, hour", [
    ("Mon, 30 Nov 2026 21:00:00 GMT", 21), ("Mon, 30 Nov 2026 21:00:00 -0000", 21), ("Mon, 30 Nov 2026 21:00:00 +0200", 19),
    ("soon", None), ("Mon, 30 Nov 99999 21:00:00 GMT", None), (None, None)])
def test_the_time_of_the_server(date, hour):
    answer = requests.Response()
    answer.headers.update({} if date is None else {"Date": date})
    assert server_time(answer) == (datetime(2026, 11, 30, hour, tzinfo=timezone.utc) if hour else None)
