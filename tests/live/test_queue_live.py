"""Jobs, the queue and the server, as an administrator and as a user see them; then Galaxy is asked what it holds."""
import http.server
import re
import threading

import pytest

from .conftest import Person
from .test_pages_live import PAGES

LINES = re.findall(r"^    (\w+\.py .*)$", PAGES["administration"], re.MULTILINE)


@pytest.fixture
def endless():
    """An address whose bytes do not come, so that a job that fetches it runs until it is cancelled, or the test ends."""
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x")
            over.wait(120)

        def log_message(self, *words):
            pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.daemon_threads = True
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        over.set()
        served.shutdown()


def rows(ended, status=0):
    assert ended.returncode == status, ended
    return [line.split("\t") for line in ended.stdout.splitlines()]


def test_jobs_are_listed_counted_and_cancelled(server, admin, endless):
    person, other = Person(server), Person(server)
    history = person.new_history("endless")
    for number in range(2):
        person.asked("POST", "tools/fetch", json={"history_id": history, "targets": [{
            "destination": {"type": "hdas"}, "elements": [{"src": "url", "url": f"{endless}/{number}", "ext": "txt"}]}]})
    jobs = {job["id"] for job in person.look("jobs")}
    assert len(jobs) == 2

    mine = (f"--user={person.email}", "--format=tsv")
    listed = rows(admin.run("job_list.py", *mine, "--fields=id,tool,user,history_id", admin.key, admin.url))[1:]
    assert sorted(listed) == sorted([job, "__DATA_FETCH__", person.email, history] for job in jobs)
    assert {row[0] for row in rows(person.run("job_list.py", "--format=value", person.key, person.url))} == jobs
    assert rows(admin.run("job_list.py", *mine, "--count=tool,user", admin.key, admin.url))[1:] == [
        ["__DATA_FETCH__", person.email, "2"]]
    assert rows(admin.run("job_list.py", *mine, "--older-than=1h", admin.key, admin.url))[1:] == []

    refused = other.run("job_cancel.py", f"--user={person.email}", other.key, other.url)
    assert refused.returncode == 1 and "needs an administrator's key" in refused.stderr
    refused = other.run("job_cancel.py", other.key, other.url, *jobs)
    assert (refused.returncode, refused.stdout) == (1, "")

    line = ("--format=value", "--fields=id,action", "--user=" + person.email, "--tool=__DATA_FETCH__", admin.key, admin.url)
    dry = rows(admin.run("job_cancel.py", "--dry-run", *line))
    assert sorted(dry) == sorted([job, "cancelled"] for job in jobs)
    assert {person.look(f"jobs/{job}")["state"] for job in jobs} <= {"new", "queued", "running"}
    assert sorted(rows(admin.run("job_cancel.py", *line))) == sorted([job, "cancelled"] for job in jobs)
    # With Celery Galaxy 26.1 calls such a job ok in the end, though it keeps nothing of it.
    assert {person.look(f"jobs/{job}")["state"] for job in jobs} <= {"deleting", "deleted", "ok"}
    assert {dataset["deleted"] for dataset in person.look(f"histories/{history}/contents")} == {True}
    again = admin.run("job_cancel.py", *line)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_the_queue_is_checked(admin, person, tmp_path):
    loose = ("--waiting=100d,200d", "--running=100d,200d", "--errors=100,100", "--min-ended=99999")
    ended = admin.run("queue_check.py", *loose, f"--prometheus={tmp_path}/queue.prom", admin.key, admin.url)
    assert ended.returncode == 0 and re.fullmatch(r"GALAXY QUEUE OK - \d+ waiting.* \| [^|\n]+\n", ended.stdout)
    assert f'galaxy_queue_up{{server="{admin.url}"}} 1' in (tmp_path / "queue.prom").read_text()
    for key, url, status, words in ((person.key, admin.url, 3, "needs an administrator's key"),
                                    ("0" * 32, admin.url, 3, "check the key"),
                                    (admin.key, "http://127.0.0.1:1", 2, "refused")):
        ended = person.run("queue_check.py", key, url, GALAXY_RETRY_MAX="0")
        assert ended.returncode == status and words in ended.stdout and ended.stdout.startswith("GALAXY QUEUE ")


def test_the_server_is_checked(admin, person):
    [line] = [line.split() for line in LINES if line.startswith("server_check.py")]
    found = {row[0]: row[1:] for row in rows(admin.run(*line[:-2], "--format=value", admin.key, admin.url))}
    assert len(found) == 12 and {row[0] for row in found.values()} <= {"ok", "warning"}
    assert found["jobs"][1].startswith("one ended well in ") and "pieces of 10 MiB pass" in found["upload"][1]
    assert found["key"][1].endswith(", an administrator")
    ended = person.run("server_check.py", "--format=value", person.key, f"{admin.url}/nosuch")
    assert ended.returncode == 1 and f"give {admin.url} as URL" in ended.stdout
    assert rows(person.run("server_check.py", "--format=value", person.key, admin.url))[1][2] == (
        f"{person.email}, no administrator")


def test_the_server_is_waited_for_and_a_job_that_had_ended_is_told(server):
    person = Person(server)
    [line] = [line.partition(" && ")[0].split() for line in LINES if line.startswith("server_wait.py")]
    [row] = rows(person.run(*line[:-2], "--format=value", "--fields=user,job", person.key, person.url))
    assert row == [person.email, "ok"]
    assert "server_wait.py" not in " ".join(history["name"] for history in person.look("histories"))
    [job] = person.look("jobs")
    ended = person.run("job_cancel.py", person.key, person.url, job["id"])
    assert (ended.returncode, ended.stdout) == (0, "") and f"job {job['id']} had ended: ok" in ended.stderr
    refused = person.run("server_wait.py", "0" * 32, person.url)
    assert refused.returncode == 1 and "check the key" in refused.stderr
    away = person.run("server_wait.py", "--timeout=1", person.key, "http://127.0.0.1:1")
    assert away.returncode == 75 and "is not up after 1 s" in away.stderr


OURS = [line for line in LINES if line.startswith(("job_", "queue_"))]


@pytest.mark.parametrize("line", OURS)
def test_the_lines_of_the_page(admin, line):
    assert len(OURS) == 3
    ended = admin.run(*line.split()[:-2], admin.key, admin.url)
    assert ended.returncode in ((0, 1, 2) if line.startswith("queue_") else (0,)), ended
