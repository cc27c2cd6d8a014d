"""queue_check.py: its line and status for monitoring, its thresholds, and its file for Prometheus."""
import re

import pytest
import queue_check
from fakes import API, KEY, URL
from fakes.queue import PERSON, Queue, a_job

OK, WARNING, CRITICAL, UNKNOWN = range(4)
LINE = re.compile(r"GALAXY QUEUE (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+( \| ('?[\w ]+'?=[\d.]+(s|%)?(;[\d.]*){0,4} ?)+)?\n")


def checked(script, capsys, *words, url=URL):
    """The status and the one line; the word in the line is that of the status."""
    status = script(queue_check.main, *words, KEY, url)
    line = capsys.readouterr().out
    match = LINE.fullmatch(line)
    assert match and status == ("OK", "WARNING", "CRITICAL", "UNKNOWN").index(match[1]), line
    return status, line


HOUR = 3600


@pytest.mark.parametrize("jobs, options, status, words", [
    ([], [], OK, "0 waiting, 0 running, 0 of 0 failed in 1h | oldest_waiting=0s;3600;21600;0"),
    ([("queued", HOUR - 1)], [], OK, "1 waiting (longest 59m59s: cat1, job j0)"),
    ([("queued", HOUR)], [], WARNING, "1 waiting (longest 1h: cat1, job j0)"),
    ([("new", 9), ("queued", 6 * HOUR)], [], CRITICAL, "2 waiting (longest 6h: cat1, job j1)"),
    ([("new", 7 * HOUR)], ["--wait-state=queued"], OK, "0 waiting,"),
    ([("queued", 30)], ["--waiting=10s,40s"], WARNING, "oldest_waiting=30s;10;40;0"),
    ([("running", 26 * HOUR)], [], WARNING, "1 running (longest 1d2h: cat1, job j0)"),
    ([("running", 80 * HOUR)], [], CRITICAL, "longest_running=288000s;86400;259200;0"),
    ([("running", 80 * HOUR, 60)], [], OK, "1 running (longest 1m: cat1, job j0)"),
    ([("paused", 90 * HOUR)], [], OK, "paused=1;;;0"),
    ([("ok", 9)] * 9 + [("error", 9)] * 2, [], OK, "2 of 11 failed in 1h"),
    ([("ok", 9)] * 8 + [("error", 9), ("failed", 9)], [], WARNING, "2 of 10 failed in 1h"),
    ([("ok", 9)] * 8 + [("error", 9), ("failed", 9)], ["--min-ended=11"], OK, "errors=20.0%;20;50;0;100"),
    ([("error", 9)] * 20, [], CRITICAL, "errors=100.0%;20;50;0;100"),
    ([("error", 2 * HOUR)] * 20, [], OK, "0 of 0 failed"),
    ([("error", 2 * HOUR)] * 20, ["--window=3h"], CRITICAL, "20 of 20"),
    ([("deleted", 9)] * 20, [], OK, "0 of 0 failed"),
    ([("ok", 9)] * 19 + [("error", 9)], ["--errors=2.5%,50"], WARNING, "errors=5.0%;2.5;50;0;100"),
    ([("queued", 7 * HOUR)], ["--tool=other"], OK, "0 waiting"),
    ([("queued", 7 * HOUR)], ["--destination=slurm"], OK, "0 waiting"),
    ([("queued", 7 * HOUR)], ["--destination=local"], CRITICAL, "1 waiting")])
def test_thresholds(script, requests_mock, capsys, jobs, options, status, words):
    Queue(requests_mock, *(a_job(f"j{number}", *about) for number, about in enumerate(jobs)))
    got, line = checked(script, capsys, *options)
    assert got == status and words in line


@pytest.mark.parametrize("words", [
    ["--x"], ["x"], ["--waiting=1h"], ["--waiting=6h,1h"], ["--waiting=1w,2w"], ["--errors=a,b"], ["--errors=50,20"],
    ["--window=1w"], ["--min-ended=x"], ["--wait-state=lost"], ["--prometheus=queue.txt"], ["--prometheus=/nowhere/x.prom"],
    ["--timeout=0"], ["--tool="], ["--tool=,"], ["--wait-state=,"], ["--wait-state=ok"], ["--window=0s"]])
def test_a_bad_command_line_is_unknown_and_sends_nothing(script, requests_mock, capsys, words):
    assert checked(script, capsys, *words)[0] == UNKNOWN
    assert requests_mock.call_count == 0
    assert script(queue_check.main) == UNKNOWN
    assert KEY not in capsys.readouterr().out


def test_what_is_no_administrators_key_is_unknown(script, requests_mock, capsys):
    Queue(requests_mock, user=PERSON)
    status, line = checked(script, capsys)
    assert status == UNKNOWN and "needs an administrator's key, and ann@example.org is not one" in line
    requests_mock.get(f"{API}/users/current", status_code=401, json={"err_msg": "Provided API key is not valid."})
    status, line = checked(script, capsys)
    assert status == UNKNOWN and "check the key" in line


@pytest.mark.parametrize("answer, status", [
    ({"status_code": 502, "text": "<html>Bad Gateway</html>"}, CRITICAL), ({"status_code": 503, "text": ""}, CRITICAL),
    ({"status_code": 500, "text": "x"}, CRITICAL), ({"status_code": 404, "text": "x"}, UNKNOWN),
    ({"text": "<title>Hello | World</title>"}, UNKNOWN), ({"text": ""}, CRITICAL),
    ({"json": {}}, UNKNOWN), ({"json": [[]]}, UNKNOWN), ({"json": [{"id": None}]}, UNKNOWN), ({"json": 5}, UNKNOWN),
    ({"json": [{**a_job("j"), "create_time": "soon"}]}, UNKNOWN), ({"json": [{**a_job("j"), "state": ["x"]}]}, UNKNOWN)])
def test_an_answer_that_tells_nothing_is_never_ok(script, requests_mock, capsys, monkeypatch, answer, status):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    Queue(requests_mock)
    requests_mock.get(f"{API}/jobs", **answer)
    assert checked(script, capsys)[0] == status


def test_a_server_that_is_away_is_critical(script, capsys, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    status, line = checked(script, capsys, url="http://127.0.0.1:1")
    assert status == CRITICAL and "connection refused" in line


# ----------------------------------------------------------------------------------------------------------- Prometheus

LABEL = r'\w+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"([a-z_]+)(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9.e+]+)")
ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parsed(text):
    """`{(metric, labels): value}` of Prometheus' text format, whose rules it keeps: each metric's lines stand together, with
    one HELP and one TYPE before its samples, and no sample comes twice."""
    samples, metric, seen = {}, "", set()
    assert text.endswith("\n")
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("# HELP "):
            metric = line.split()[2]
            assert metric not in seen and next(lines) == f"# TYPE {metric} gauge"
            seen.add(metric)
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        assert name == metric
        pairs = tuple((label, re.sub(r'\\["\\n]', lambda match: ESCAPES[match[0]], text[1:-1]))
                      for label, _, text in (pair.partition("=") for pair in re.findall(LABEL, labels or "")))
        assert (name, pairs) not in samples
        samples[name, pairs] = float(value)
    return samples


def test_the_file_for_prometheus(script, requests_mock, capsys, tmp_path):
    odd = 'a "b" \\c\n{d}'
    Queue(requests_mock, a_job("j1", "queued", 7 * HOUR, job_runner_name=odd), a_job("j2"), a_job("j3"),
          a_job("j4", "error", 9))
    file = tmp_path / "queue.prom"
    assert checked(script, capsys, f"--prometheus={file}")[0] == CRITICAL
    samples, server = parsed(file.read_text()), ("server", URL)
    assert samples["galaxy_jobs", (server, ("state", "queued"), ("destination", odd))] == 1
    assert samples["galaxy_jobs", (server, ("state", "running"), ("destination", "local"))] == 2
    assert samples["galaxy_jobs_ended", (server, ("state", "error"))] == 1
    assert samples["galaxy_jobs_oldest_waiting_seconds", (server,)] == 7 * HOUR
    assert (samples["galaxy_queue_check_status", (server,)], samples["galaxy_queue_up", (server,)]) == (2, 1)
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["queue.prom"]


def test_figures_of_a_server_that_is_away_do_not_stay(script, requests_mock, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    file = tmp_path / "queue.prom"
    queue = Queue(requests_mock, a_job("j1"))
    assert checked(script, capsys, f"--prometheus={file}")[0] == OK
    assert len(parsed(file.read_text())) > 5 and queue.pages
    requests_mock.get(f"{API}/jobs", status_code=502, text="")
    assert checked(script, capsys, f"--prometheus={file}")[0] == CRITICAL
    samples = parsed(file.read_text())
    assert {name: value for (name, _), value in samples.items() if "timestamp" not in name} == {
        "galaxy_queue_check_status": 2, "galaxy_queue_up": 0}


def test_a_file_that_cannot_be_written_is_unknown(script, requests_mock, capsys, monkeypatch, tmp_path):
    Queue(requests_mock, a_job("j1"))

    def full(*words, **options):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(queue_check, "write_atomic", full)
    status, line = checked(script, capsys, f"--prometheus={tmp_path}/queue.prom")
    assert status == UNKNOWN and "No space left on device" in line


def test_a_password_in_the_address_is_in_neither(script, requests_mock, capsys, tmp_path):
    Queue(requests_mock)
    checked(script, capsys, f"--prometheus={tmp_path}/queue.prom", url="http://me:hunter22@galaxy.test")
    assert "hunter22" not in (tmp_path / "queue.prom").read_text()
