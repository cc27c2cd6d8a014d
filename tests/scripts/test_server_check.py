"""server_check.py: what it finds, what it says to mend, and that it writes only what it is asked to."""
import json
import re
import socket
import threading
import time
from email.utils import formatdate

import pytest
import server_check
from fakes import KEY
from fakes.old_galaxy import OldGalaxy

from common import FAILED, TRY_LATER, USAGE, Galaxy
from galaxy_api_scripts.server import address

ALL = ["address", "key", "TLS", "clock", "version", "proxy", "upload", "Celery", "imports", "quota", "tools", "jobs"]
VERSION = {"version_major": "26.1", "version_minor": "2"}
NOT_PASSED_ON = (404, b"<html><head>\n<title>404 Not Found</title>\n</head><body>\n<h1>Not Found</h1>",
                 {"Content-Type": "text/html"})


@pytest.fixture
def checked(script, capsys):
    def check(url, *words, status=0, key=KEY):
        """`{check: row}`, in their order."""
        assert script(server_check.main, "--format=json", *words, key, url) == status
        printed = capsys.readouterr()
        assert bool(printed.err) == bool(status) and KEY not in printed.out + printed.err
        return {row["check"]: row for row in json.loads(printed.out)}
    return check


def test_a_bad_command_line_sends_nothing(script, wire):
    for line in ([KEY], [KEY, wire.url, "x"], [KEY, wire.url, "--fields=size"], [KEY, wire.url, "--write"]):
        assert script(server_check.main, *line) == USAGE
    assert wire.asked == []


def test_a_server_where_all_is_well_and_nothing_is_written(checked, wire):
    rows = checked(wire.url)
    assert list(rows) == ALL and {row["status"] for row in rows.values()} == {"ok"}
    assert all(row["found"] and not row["mend"] for row in rows.values())
    assert wire.writes() == [] and rows["key"]["found"] == "me@example.org, no administrator"


def test_what_it_is_asked_to_write_is_removed(checked, wire, clock):
    rows = checked(wire.url, "--upload", "--run-job")
    assert rows["upload"]["found"] == "resumable uploads, pieces of 10 MiB pass" and wire.sessions == {}
    assert rows["jobs"]["found"] == "one ended well in 0 s"
    assert [history["deleted"] for history in wire.histories.values()] == [True]
    assert wire.writes() == ["POST upload", "PATCH upload", "DELETE upload", "POST histories", "POST fetch",
                             "DELETE history"]


# --------------------------------------------------------------------------------------------------------------- address

@pytest.mark.parametrize("typed", ["/galaxy", "/nosuch/galaxy", "/a"])
def test_a_wrong_prefix_is_told_with_the_right_address(checked, wire, typed):
    rows = checked(wire.url + typed, status=FAILED)
    assert list(rows) == ["address"]
    assert rows["address"]["mend"] == f"give {wire.url} as URL: a Galaxy answers there"
    right = [asked for asked in wire.asked if asked.path == "/api/version"]
    assert right and not any("x-api-key" in {name.lower() for name in asked.headers} for asked in right)


def test_a_prefix_that_is_missing_is_told(checked, wire):
    wire.answers.update({"GET /api/version": (404, b"x"), "GET /galaxy/api/version": (200, VERSION)})
    assert checked(wire.url, status=FAILED)["address"]["mend"] == f"give {wire.url}/galaxy as URL: a Galaxy answers there"


def test_a_wrong_scheme_is_told(checked, wire):
    rows = checked(wire.url.replace("http:", "https:"), status=FAILED)
    assert "no TLS at that port" in rows["address"]["found"] and wire.url in rows["address"]["mend"]


def test_a_server_that_is_away_or_no_galaxy(checked, loopback, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    assert "connection refused" in checked("http://127.0.0.1:1", status=TRY_LATER)["address"]["found"]
    for answer, status in (((200, {}), FAILED), ((200, b"<title>Welcome</title>"), FAILED), ((502, b""), TRY_LATER)):
        loopback.will(answer)
        assert list(checked(loopback.url, status=status)) == ["address"]


def test_a_password_in_the_address_goes_to_no_other(wire):
    wire.answers["GET /galaxy/api/version"] = (404, b"")
    base = wire.url.replace("http://", "http://me:hunter22@")
    assert address.find_meant(f"{base}/galaxy", True) == wire.url
    assert not any("Authorization" in asked.headers for asked in wire.asked)


# ------------------------------------------------------------------------------------------------------------------- key

def test_a_key_that_is_nobodys(checked, wire):
    assert "check the key" in checked(wire.url, status=FAILED, key="f" * 32)["key"]["found"]
    assert checked(wire.url, status=FAILED, key="anonymous")["key"]["mend"].startswith("give your key")


# ------------------------------------------------------------------------------------------- TLS, clock, version, proxy

@pytest.fixture
def elsewhere(requests_mock):
    """A server on another machine, of which no more than the key is known."""
    requests_mock.get(re.compile("//galaxy.test/"), status_code=404, json={"err_msg": "not here", "err_code": 404001})
    requests_mock.get(re.compile("//galaxy.test/api/version"), json=VERSION)
    requests_mock.get(re.compile("//galaxy.test/api/users/current"), json={"id": "a", "email": "a@b"})


@pytest.mark.parametrize("days, status, mend", [(90, "ok", ""), (20, "warning", "renew it")])
def test_the_certificate(checked, monkeypatch, elsewhere, days, status, mend):
    end = time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(time.time() + days * 86400 + 60))
    monkeypatch.setattr(address, "fetch_certificate", lambda base: {"notAfter": end, "version": "TLSv1.3"})
    row = checked("https://galaxy.test", status=FAILED)["TLS"]
    assert (row["status"], row["found"], row["mend"]) == (
        status, f"TLSv1.3, a certificate that is valid for {days} days", mend)


def test_http_on_another_machine_is_warned_of(checked, elsewhere):
    assert checked("http://galaxy.test", status=FAILED)["TLS"]["mend"] == "use https, and let http lead there"


@pytest.mark.parametrize("ahead, found", [
    (0, "as ours"), (-50, "as ours"), (7200, "the server's clock is 2h ahead of ours"), (-97200, "1d2h behind ours"),
    (None, "does not tell its time")])
def test_the_clock(checked, wire, ahead, found):
    date = "soon" if ahead is None else formatdate(time.time() + ahead + 0.5, usegmt=True)
    wire.answers["GET version"] = (200, VERSION, {"Date": date})
    row = checked(wire.url)["clock"]
    told = row["found"].replace("1h59m", "2h").replace("59s", "")
    assert found in told and (row["status"] == "warning") == (abs(ahead or 0) > 60) == bool(row["mend"])


@pytest.mark.parametrize("release, status, words", [
    ("26.1", 0, "Galaxy 26.1.4"), ("24.1", 0, "Galaxy 24.1.4 lacks hashes in a fetch"), ("23.2", FAILED, "Galaxy 23.2.4")])
def test_the_release(checked, release, status, words):
    with OldGalaxy(release) as galaxy:
        rows = checked(galaxy.url, status=status)
        assert list(rows) == ALL and words in rows["version"]["found"]
        assert rows["version"]["status"] == {"26.1": "ok", "24.1": "warning", "23.2": "failure"}[release]
        galaxy.says = {"version_major": "dev"}
        assert checked(galaxy.url)["version"]["found"] == "the server tells no release"


def test_a_proxy_is_named_with_what_it_spoils(checked, wire):
    wire.answers["GET version"] = (200, VERSION, {"Server": "nginx/1.22.1"})
    assert checked(wire.url)["proxy"]["found"].startswith("nginx/1.22.1 before Galaxy; time-outs can't be told from")
    wire.answers["GET /ga4gh/drs/v1/service-info"] = (200, {"organization": {"url": "http://127.0.0.1:8080/"}})
    row = checked(wire.url)["proxy"]
    assert "takes itself for http://127.0.0.1:8080/" in row["found"] and "X-Forwarded-Proto" in row["mend"]
    wire.answers["GET /api/tools/shed%2Frepos%2Fno%2Fsuch"] = NOT_PASSED_ON
    assert "AllowEncodedSlashes NoDecode" in checked(wire.url)["proxy"]["mend"]
    wire.answers["GET /api/tools/shed%2Frepos%2Fno%2Fsuch"] = (404, {"err_msg": "no tool 'shed%2Frepos'"})
    assert "encodes the %" in checked(wire.url)["proxy"]["found"]


def test_a_proxy_that_limits_bodies(checked, wire):
    wire.limit = 2**20
    row = checked(wire.url, "--upload")["upload"]
    assert (row["status"], row["found"]) == (
        "warning", "resumable uploads, pieces of 0.625 MiB pass; none of 10 MiB, as browsers send")
    assert "client_max_body_size" in row["mend"] and wire.sessions == {}


def test_a_proxy_that_collects_bodies(checked, wire, monkeypatch):
    monkeypatch.setattr(address, "EARLY_SECONDS", 0.1)
    assert checked(wire.url, "--upload")["upload"]["status"] == "ok"        # Apache would not tell
    wire.answers["GET version"] = (200, VERSION, {"Server": "nginx/1.22.1"})
    row = checked(wire.url, "--upload")["upload"]
    assert row["status"] == "warning" and "proxy_request_buffering off" in row["mend"]


def test_a_body_that_is_passed_on_as_it_comes():
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(2000)
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        thread = threading.Thread(target=answer)
        thread.start()
        assert address.collects_bodies(f"http://127.0.0.1:{server.getsockname()[1]}", "/api/x") is False
        thread.join()
    assert address.collects_bodies("http://127.0.0.1:1", "/api/x") is None
    assert address.collects_bodies("http://me:word@127.0.0.1:1", "/api/x") is None


def test_a_proxy_that_lets_no_upload_through(checked, wire):
    wire.answers["HEAD upload"] = NOT_PASSED_ON
    rows = checked(wire.url, status=FAILED)
    assert rows["upload"]["found"] == "no resumable uploads" and "/api/upload/" in rows["upload"]["mend"]
    del wire.answers["HEAD upload"]
    wire.answers["POST upload"] = (403, b"<html>Forbidden</html>")
    assert "403" in checked(wire.url, "--upload", status=FAILED)["upload"]["found"]


# ---------------------------------------------------------------------------------------------------- what it is set to

def test_what_an_administrator_sees(checked, wire):
    wire.users[KEY].update(is_admin=True, total_disk_usage=2.0**31, quota="4 GB", quota_percent=50)
    wire.answers["GET configuration"] = (200, {
        "enable_celery_tasks": False, "allow_library_path_paste": True, "library_import_dir": "/data/import",
        "enable_quotas": True, "chunk_upload_size": 2**20})
    wire.answers["GET /api/tools/error_stack"] = (200, [{"file": "tools/a.xml", "error": "no such macro", "time": "x"}] * 3)
    rows = checked(wire.url)
    assert rows["Celery"]["status"] == "warning" and "enable_celery_tasks: true" in rows["Celery"]["mend"]
    assert rows["imports"]["found"] == "paths on the server allowed (allow_path_paste); import directory /data/import"
    assert rows["quota"]["found"] == "2 GiB used of 4 GB"
    assert rows["tools"]["found"] == "3 failed to load or to run, lately: tools/a.xml: no such macro"
    assert rows["key"]["found"] == "me@example.org, an administrator"


@pytest.mark.parametrize("percent, status", [(89, "ok"), (90, "warning"), (100, "failure")])
def test_the_quota(checked, wire, percent, status):
    wire.users[KEY].update(total_disk_usage=2.0**30, quota="1 GB", quota_percent=percent)
    wire.answers["GET configuration"] = (200, {"enable_celery_tasks": True, "enable_quotas": True})
    row = checked(wire.url, status=FAILED if status == "failure" else 0)["quota"]
    assert row["status"] == status and bool(row["mend"]) == (status != "ok")


def test_jobs_that_wait_while_none_ends(checked, wire):
    history = wire.create_history("Run 12")
    wire.create_job("cat1", history, "queued")
    row = checked(wire.url)["jobs"]
    assert (row["status"], row["found"]) == ("warning", "none of yours has ended well, 1 wait")
    wire.create_job("cat1", history, "ok")        # months ago
    row = checked(wire.url)["jobs"]
    assert row["status"] == "warning" and row["found"].startswith("the last of yours ended well ")


def test_a_job_that_fails(checked, wire, clock):
    wire.spoiled["a line"] = 1
    row = checked(wire.url, "--run-job", status=FAILED)["jobs"]
    assert "an upload of some bytes" in row["found"]
    assert all(history["deleted"] for history in wire.histories.values())


@pytest.mark.parametrize("kind, answer, check", [
    ("GET configuration", (200, {}), "Celery"), ("GET configuration", (500, b"x"), "upload"),
    ("GET user", (200, {"id": "a"}), "key"), ("GET jobs", (200, {}), "jobs"),
    ("GET jobs", (403, {"err_msg": "no"}), "jobs")])
def test_what_cannot_be_told_is_a_failure(checked, wire, monkeypatch, kind, answer, check):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    wire.answers[kind] = answer
    assert checked(wire.url, status=FAILED)[check]["status"] == "failure"


def test_an_address_with_the_path_of_the_api_is_taken(wire):
    assert address.is_galaxy(Galaxy("anonymous", f"{wire.url}/api/histories"))
