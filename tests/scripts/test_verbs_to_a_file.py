"""display.py --to, --wait of the verbs, and the pages of lists that are in objects."""
import functools
import gzip
import json
import os
import re

import pytest
from fakes import KEY
from fakes.faults import cut

import create
import delete
import display
import update
from common import FAILED, STILL_RUNNING, TRY_LATER, USAGE
from galaxy_api_scripts.datasets import http_download
from galaxy_api_scripts.routes import pages

CONTENT = os.urandom(100_000) + b"a text\r\n"


@pytest.fixture
def file(wire, monkeypatch):
    """What the fake serves under /file, and where it is to go: a file of one piece behaves as a large one does."""
    monkeypatch.setattr(http_download, "CHUNK_SIZE", 4096)
    wire.content = CONTENT
    return wire


def test_an_answer_goes_to_a_file_as_it_comes(script, file, tmp_path, capsys):
    to = tmp_path / "x"
    assert script(display.main, f"--to={to}", KEY, f"{file.url}/file") == 0
    assert capsys.readouterr() == (f"{to}\n", "") and to.read_bytes() == CONTENT and file.lines == ["GET /file"]
    assert file.asked[0].headers["Accept-Encoding"] == "identity" and file.asked[0].headers["x-api-key"] == KEY
    assert script(display.main, f"--to={to}", KEY, f"{file.url}/file") == FAILED
    assert "it is there already: move it away, or give --force" in capsys.readouterr().err and len(file.asked) == 1
    file.content = b"new"
    assert script(display.main, f"--to={to}", "--force", KEY, f"{file.url}/file") == 0
    assert to.read_bytes() == b"new" and sorted(os.listdir(tmp_path)) == ["home", "x"]


def test_a_download_that_was_cut_off_resumes_in_a_later_process(script, file, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    file.faults = [cut(60_000)]
    line = [display.main, f"--to={tmp_path}/x", KEY, f"{file.url}/file"]
    assert script(*line) == TRY_LATER and not (tmp_path / "x").exists()
    assert script(*line) == 0 and (tmp_path / "x").read_bytes() == CONTENT
    assert file.asked[-1].headers["Range"] == "bytes=60000-"


@pytest.mark.parametrize("answer, code, told", [
    ((404, {"err_msg": "No such thing."}), FAILED, "404 Not Found: No such thing"),
    ((204, b""), FAILED, "there is nothing (204)"),
    ((200, b"<html><title>Log in</title>", {"Content-Type": "text/html; charset=utf-8"}), FAILED, "the answer is a page"),
    ((200, b"x" * 50, {"Content-Length": "60", "Connection": "close"}), TRY_LATER, "50 bytes came")])
@pytest.mark.parametrize("to", ["x", "-"])
def test_what_is_not_the_whole_answer_is_no_success(script, loopback, tmp_path, monkeypatch, capsys, answer, code, told, to):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    monkeypatch.chdir(tmp_path)
    cut_off = "Connection" in (answer[2:] or ({},))[0]

    def reply(handler):
        handler.close_connection = True
        handler.reply(200, answer[1] + b"x" * 10, upto=50)
    loopback.will(reply if cut_off else answer)
    assert script(display.main, f"--to={to}", KEY, f"{loopback.url}/api/x") == code
    out, err = capsys.readouterr()
    assert told in err and err.count("\n") == 1 and not (tmp_path / "x").exists() and (out == "" or cut_off)


def test_an_answer_that_has_no_length_is_no_success(script, loopback, tmp_path, capsys):
    def reply(handler):
        handler.close_connection = True
        handler.send_response_only(200)
        handler.end_headers()
        handler.wfile.write(b"some of it")
        handler.replied = True
    loopback.will(reply)
    assert script(display.main, f"--to={tmp_path}/x", KEY, f"{loopback.url}/api/datasets/1/display") == FAILED
    assert "does not say how long it is" in capsys.readouterr().err and not (tmp_path / "x").exists()


@pytest.mark.parametrize("to", ["x", "-"])
@pytest.mark.parametrize("content, packed", [
    (b"x", gzip.compress(b"x")), (CONTENT, gzip.compress(CONTENT)),     # more bytes than unpacked
    (bytes(10**5), gzip.compress(bytes(10**5), 0)), (b"one two", gzip.compress(b"one ") + gzip.compress(b"two") + bytes(99)),
    (b"", b"")])
def test_an_answer_that_a_proxy_packed_comes_unpacked(script, loopback, tmp_path, monkeypatch, capfdbinary, content, packed,
                                                      to):
    monkeypatch.setattr(http_download, "CHUNK_SIZE", 4096)
    monkeypatch.chdir(tmp_path)
    loopback.will((200, packed, {"Content-Encoding": "gzip", "ETag": "1"}))
    assert script(display.main, f"--to={to}", KEY, f"{loopback.url}/api/jobs/1/stdout") == 0
    out, err = capfdbinary.readouterr()
    assert (out if to == "-" else (tmp_path / "x").read_bytes()) == content and err == b""


@pytest.mark.parametrize("to", ["x", "-"])
@pytest.mark.parametrize("status, body, headers, code, told", [
    (200, gzip.compress(CONTENT)[:-4000], {"Content-Encoding": "gzip"}, TRY_LATER, "before the packed answer was whole"),
    (200, CONTENT, {"Content-Encoding": "gzip"}, FAILED, "the answer's compression is broken"),
    (200, CONTENT, {"Content-Encoding": "br"}, FAILED, "the answer is packed by br"),
    (200, CONTENT, {"Content-Length": "all"}, FAILED, "does not say how long it is"),
    (200, CONTENT, {"Transfer-Encoding": "none", "Content-Length": ""}, FAILED, "does not say how long it is"),
    (206, CONTENT, {"Content-Range": "bytes 0-9/9999999", "Content-Encoding": "gzip"}, None, "206| has another now")])
def test_an_answer_whose_end_nobody_can_tell_is_no_success(script, loopback, tmp_path, monkeypatch, capfdbinary, status,
                                                           body, headers, code, told, to):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    monkeypatch.chdir(tmp_path)

    def reply(handler):
        handler.replied = handler.close_connection = True
        handler.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
    loopback.will(reply)
    assert script(display.main, f"--to={to}", KEY, f"{loopback.url}/api/jobs/1/stdout") == (
        code or (FAILED if to == "-" else TRY_LATER))
    err = capfdbinary.readouterr().err.decode()
    assert re.search(told, err) and err.count("\n") == 1 and not (tmp_path / "x").exists()


def test_a_place_in_packed_bytes_is_none_in_the_file(script, loopback, tmp_path, monkeypatch):
    """So a download that was cut off starts over, even if the server goes on behind the bytes that were unpacked."""
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    packed, headers = gzip.compress(CONTENT, 0), {"Content-Encoding": "gzip", "ETag": "1"}

    def reply(handler):
        handler.close_connection = True
        handler.reply(200, packed, headers, upto=60_000)
    loopback.will(reply, (200, CONTENT, {"ETag": "1"}))
    line = [display.main, f"--to={tmp_path}/x", KEY, f"{loopback.url}/api/jobs/1/stdout"]
    assert script(*line) == TRY_LATER and script(*line) == 0
    assert (tmp_path / "x").read_bytes() == CONTENT and "Range" not in loopback.asked[-1].headers


def test_standard_output_gets_the_bytes(script, file, capfdbinary):
    assert script(display.main, "--to=-", KEY, f"{file.url}/file") == 0
    assert capfdbinary.readouterr() == (CONTENT, b"")


def test_a_page_that_is_a_dataset_goes_to_a_file(script, loopback, tmp_path):
    loopback.will((200, b"<html></html>", {"Content-Type": "text/html"}))
    assert script(display.main, f"--to={tmp_path}/x", KEY, f"{loopback.url}/api/datasets/1/display") == 0
    assert (tmp_path / "x").read_bytes() == b"<html></html>"


@pytest.mark.parametrize("verb, words, told", [
    (display, ["--to=x", "--all"], "--to takes one answer as it comes"),
    (display, ["--to=x", "--format=json"], "--to takes one answer as it comes"),
    (display, ["--to=no/x"], "--to=no/x: not a file's name"), (display, ["--timeout=1"], "--timeout ends the wait"),
    (display, ["--wait", "--timeout=x"], "--timeout=x: expected an integer"),
    (display, ["--wait"], "--wait: expected /api/tasks/ID/state or /api/short_term_storage/ID"),
    (create, ["--to=x"], "--to takes the file that --wait waits for"), (update, ["--timeout=1"], "--timeout ends the wait"),
    (delete, ["--timeout=1"], "--timeout ends the wait"), (create, ["--wait", "--to=no/x"], "--to=no/x: not a file's name")])
def test_options_that_do_not_go_together_are_refused_before_anything_is_sent(script, loopback, tmp_path, monkeypatch, capsys,
                                                                             verb, words, told):
    monkeypatch.chdir(tmp_path)
    assert script(verb.main, *words, KEY, f"{loopback.url}/api/histories") == USAGE
    assert told in capsys.readouterr().err and loopback.asked == []


# ------------------------------------------------------------------------------------------------------------------- --wait

TASK = {"id": "7746fd75-4157", "ignored": False, "name": None, "queue": None}
FILE = {"storage_request_id": "a70bb000-0edb", "task": TASK}
STATE, STORED = "tasks/7746fd75-4157/state", "short_term_storage/a70bb000-0edb"
READY = f"{STORED}/ready"


@pytest.fixture
def galaxy(wire, clock):
    """`galaxy(**{"GET tasks/1/state": [...]})` answers so, the last for ever."""
    def give(left, handler):
        one = left.pop(0) if len(left) > 1 else left[0]
        handler.reply(*one if isinstance(one, tuple) else (200, one))

    def answer(**answers):
        for kind, some in answers.items():
            wire.answers[kind.replace(" ", " /api/")] = functools.partial(give, list(some))
        return f"{wire.url}/api/things"
    answer.wire = wire
    return answer


@pytest.mark.parametrize("verb, method, answer", [
    (create, "POST", TASK), (update, "PUT", TASK), (delete, "DELETE", {"id": "1", "deleted": True, "purge_task": TASK}),
    (update, "PUT", [{"id": "1", "purge_task": TASK}])])
def test_a_task_is_waited_for(script, galaxy, clock, capsys, verb, method, answer):
    url = galaxy(**{f"{method} things": [answer], f"GET {STATE}": ["PENDING", "STARTED", "PENDING", "SUCCESS"]})
    assert script(verb.main, "--wait", "--format=json", KEY, url) == 0
    assert json.loads(capsys.readouterr().out) == answer
    assert galaxy.wire.lines == [f"{method} /api/things"] + [f"GET /api/{STATE}"] * 4 and sum(clock.slept) > 0.5


def test_a_task_that_failed_is_a_failure_with_its_reason(script, galaxy, capsys):
    url = galaxy(**{"POST things": [TASK], f"GET {STATE}": ["PENDING", "FAILURE"],
                    "GET tasks/7746fd75-4157/result": [{"state": "FAILURE", "result": "no such file source"}]})
    assert script(create.main, "--wait", "--timeout=100", KEY, url) == FAILED
    out, err = capsys.readouterr()
    assert out.startswith("Response\n") and err.count("\n") == 1
    assert err.endswith(": task 7746fd75-4157 has failed (FAILURE): no such file source\n")


def test_a_wait_ends_in_time_and_says_what_goes_on(script, galaxy, clock, capsys):
    url = galaxy(**{"POST things": [FILE], f"GET {STATE}": ["PENDING"], f"GET {READY}": [False]})
    assert script(create.main, "--wait", "--timeout=20", "--to=-", KEY, url) == STILL_RUNNING
    out, err = capsys.readouterr()
    assert out == "" and f"not done after 20 s (PENDING): display.py --wait --to=FILE - /api/{STORED} waits on" in err
    assert 19 <= sum(clock.slept) <= 21


def test_a_file_that_galaxy_makes_is_written_once_it_is_there(script, galaxy, tmp_path, capsys):
    url = galaxy(**{"POST things": [FILE], f"GET {STATE}": ["PENDING"], f"GET {READY}": [False, False, True],
                    f"GET {STORED}": [(200, CONTENT)]})
    words = ["--wait", f"--to={tmp_path}/x.zip", "--format=value", "--fields=storage_request_id"]
    assert script(create.main, *words, KEY, url) == 0
    assert capsys.readouterr() == ("a70bb000-0edb\n", "") and (tmp_path / "x.zip").read_bytes() == CONTENT
    assert script(create.main, "--wait", "--format=json", "--force", f"--to={tmp_path}/x.zip", KEY, url) == 0
    assert json.loads(capsys.readouterr().out) == FILE
    assert script(create.main, "--wait", "--force", f"--to={tmp_path}/x.zip", KEY, url) == 0
    assert capsys.readouterr().out.endswith(f"\n{tmp_path}/x.zip\n")
    assert script(display.main, "--wait", f"--to={tmp_path}/y.zip", KEY, f"{galaxy.wire.url}/api/{STORED}") == 0
    assert (tmp_path / "y.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("answers, told", [
    ({f"GET {STATE}": ["SUCCESS"], f"GET {READY}": [True], f"GET {STORED}": [(500, {"err_msg": "no WeasyPrint"})]},
     "Galaxy could not make the file: no WeasyPrint"),
    ({f"GET {STATE}": ["SUCCESS"], f"GET {READY}": [False], f"GET {STORED}": [(404, {"err_msg": "No such object found"})]},
     "Galaxy could not make the file: No such object found"),
    ({f"GET {STATE}": ["FAILURE"], f"GET {READY}": [False], "GET tasks/7746fd75-4157/result": [(404, {})]},
     "task 7746fd75-4157 has failed (FAILURE): Galaxy does not say why")])
def test_a_file_that_galaxy_could_not_make_is_a_failure(script, galaxy, tmp_path, capsys, answers, told):
    url = galaxy(**{"POST things": [FILE], **answers})
    assert script(create.main, "--wait", f"--to={tmp_path}/x", KEY, url) == FAILED
    assert told in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_a_server_that_is_away_meanwhile_is_no_reason_to_send_the_request_again(script, galaxy, clock, tmp_path, capsys):
    away = (503, {"err_msg": "away"})
    url = galaxy(**{"POST things": [TASK], f"GET {STATE}": [away] * 9 + ["SUCCESS"]})
    assert script(create.main, "--wait", KEY, url) == 0 and sum(clock.slept) > 20       # longer than one request is tried
    url = galaxy(**{"POST things": [TASK], f"GET {STATE}": [away]})
    assert script(create.main, "--wait", "--timeout=9", KEY, url) == TRY_LATER
    assert f"don't send it again: display.py --wait - /api/{STATE} waits on)" in capsys.readouterr().err
    url = galaxy(**{"POST things": [FILE], f"GET {STATE}": ["SUCCESS"], f"GET {READY}": [True],
                    f"GET {STORED}": [(200, b"x"), away]})
    assert script(create.main, "--wait", f"--to={tmp_path}/x", KEY, url) == TRY_LATER
    assert f"don't send it again: display.py --wait --to=FILE - /api/{STORED} waits on)" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [{**TASK, "id": "../../users/1"}, {**TASK, "id": {"a": 1}},
                                    {"storage_request_id": "../x"}])
def test_an_id_of_what_to_wait_for_is_no_address(script, galaxy, capsys, answer):
    assert script(create.main, "--wait", KEY, galaxy(**{"POST things": [answer]})) == FAILED
    assert "is no id of what to wait for" in capsys.readouterr().err and galaxy.wire.lines == ["POST /api/things"]


@pytest.mark.parametrize("answer, code, told", [
    ((200, {"id": "1", "name": "x"}), FAILED, "the answer names no task to wait for: job_wait.py, dataset_wait.py"),
    ((200, {**TASK, "ignored": True}), FAILED, "Galaxy keeps no record of task 7746fd75-4157"),
    ((202, b""), FAILED, "names no task to wait for"), ((204, b""), 0, "")])
def test_a_wait_for_nothing_is_told(script, galaxy, capsys, answer, code, told):
    """With status 204 it is done already, as on a server without Celery."""
    assert script(update.main, "--wait", KEY, galaxy(**{"PUT things": [answer]})) == code
    assert told in capsys.readouterr().err


def test_the_purge_of_a_dataset_is_waited_for(script, galaxy, clock, capsys):
    looks = [{"id": "1", "purged": False}] * 2 + [{"id": "1", "purged": True}]
    url = galaxy(**{"DELETE datasets/1": [(202, b"")], "GET datasets/1": looks,
                    "GET configuration": [{"allow_user_dataset_purge": True}]}).replace("things", "datasets/1")
    assert script(delete.main, "--wait", KEY, f"{url}?purge=true") == 0
    assert galaxy.wire.count("GET dataset") == 3 and capsys.readouterr() == ("Response\n--------\n", "")


def test_a_server_that_lets_nobody_purge_is_no_success(script, galaxy, capsys):
    url = galaxy(**{"DELETE datasets/1": [(202, b"")], "GET configuration": [{"allow_user_dataset_purge": False}]})
    assert script(delete.main, "--wait", KEY, url.replace("things", "datasets/1"), "purge:=true") == FAILED
    assert "this server lets nobody purge datasets" in capsys.readouterr().err


def test_display_waits_for_a_task_and_then_shows_how_it_ended(script, galaxy, capsys):
    galaxy(**{f"GET {STATE}": ["PENDING", "SUCCESS"]})
    assert script(display.main, "--wait", KEY, f"{galaxy.wire.url}/api/{STATE}") == 0
    assert capsys.readouterr().out == "SUCCESS\n" and galaxy.wire.lines == [f"GET /api/{STATE}"] * 3


# ------------------------------------------------------------------------------------------------ pages of lists in objects

def served(members, name, most, handler):
    """A page of an object's list, as Galaxy 26.1 answers `limit` and `offset`, `page_size` and `page_token`, or `page`."""
    ask = dict(re.findall(r"(\w+)=(\w*)", handler.path.partition("?")[2]))
    size = int(ask.get("limit") or ask.get("page_size") or 10)
    assert size <= most
    start = int(ask.get("offset") or ask.get("page_token") or (int(ask.get("page", 1)) - 1) * size)
    page, left = members[start:start + size], start + size < len(members)
    about = {"folder_contents": {"metadata": {"total_rows": len(members)}}, "hits": {"total_results": len(members)},
             "data": {"message": None}}.get(name, {"next_page_token": str(start + size) if left else None})
    if name == "folder_contents" and start == 0:
        page = page + members[-2:]      # Galaxy's folders and its files
    handler.reply(200, {**about, name: page})


@pytest.mark.parametrize("address, name, most", [
    ("api/folders/F1/contents", "folder_contents", 500), ("ga4gh/wes/v1/runs", "runs", 100),
    ("ga4gh/wes/v1/runs/1/tasks?x=1", "task_logs", 100), ("api/repositories?page=1", "hits", 100),
    ("api/datasets/1?data_type=raw_data&provider=column", "data", 5000)])
def test_lists_in_objects_come_whole(script, loopback, capsys, address, name, most):
    members = [{"id": f"{number:05}"} for number in range(most * 2 + 3)]
    loopback.will(lambda handler: served(members, name, most, handler))
    line = [display.main, "--format=value", "--fields=id", KEY, f"{loopback.url}/{address}"]
    assert script(line[0], "--all", *line[1:]) == 0
    assert sorted(capsys.readouterr().out.split()) == [one["id"] for one in members] and len(loopback.asked) == 3
    assert script(line[0], "--limit=5", *line[1:]) == 0
    assert capsys.readouterr().out.split() == [one["id"] for one in members[:5]] and len(loopback.asked) == 4
    assert script(line[0], *line[1:-1], f"{line[-1]}{'&' if '?' in address else '?'}limit=4") == USAGE     # an object


def test_rows_that_are_alike_all_come(script, loopback, capsys):
    loopback.will(lambda handler: served([["a", "b"]] * 7, "data", 5000, handler))
    address = f"{loopback.url}/api/datasets/1?provider=column&limit=3"
    assert script(display.main, "--all", "--format=jsonl", KEY, address) == 0
    assert capsys.readouterr().out == '["a", "b"]\n' * 7 and len(loopback.asked) == 3


def test_a_list_without_an_end_is_told(script, loopback, capsys):
    loopback.will((200, {"runs": [{"run_id": "1"}], "next_page_token": "x"}))
    assert script(display.main, "--all", KEY, f"{loopback.url}/ga4gh/wes/v1/runs") == FAILED
    assert "1 members, and no end of the list" in capsys.readouterr().err


@pytest.mark.parametrize("page, told", [
    (lambda at: ([*range(500)], 10**9), "500 members came, and the answer counts 1000000000"),      # always the same
    (lambda at: ([*range(at, at + 500)], 10**9), "members, and no end of the list"),
    (lambda at: ([*range(at, min(at + 500, 1200))], 2000), "1200 members came, and the answer counts 2000"),
    (lambda at: ([] if at == 500 else [*range(at, min(at + 500, 1200))], 1200), "700 members came, and the answer counts"),
    (lambda at: ([*range(at, min(at + 100, 1200))], "1200"), "")])      # a server that gives fewer than are asked for
@pytest.mark.parametrize("limit", ["--all", "--limit=9999"])
def test_fewer_than_the_answer_counts_is_no_success(script, loopback, monkeypatch, capsys, page, told, limit):
    monkeypatch.setattr(pages, "MOST_PAGES", 15)

    def reply(handler):
        members, total = page(int((re.findall(r"offset=(\d+)", handler.path) or [0])[0]))
        handler.reply(200, {"folder_contents": [{"id": f"{one:05}"} for one in members], "metadata": {"total_rows": total}})
    loopback.will(reply)
    is_cut = limit == "--limit=9999" and "no end" in told
    line = ["--format=value", "--fields=id", limit, KEY, f"{loopback.url}/api/folders/F1/contents"]
    assert script(display.main, *line) == (FAILED if told and not is_cut else 0)
    out, err = capsys.readouterr()
    ids = out.split()
    assert (told in err or is_cut) and len(set(ids)) == len(ids) and (told or len(ids) == 1200)


def test_tokens_without_an_end_are_told(script, loopback, monkeypatch, capsys):
    monkeypatch.setattr(pages, "MOST_PAGES", 15)
    loopback.will(lambda handler: handler.reply(200, {"runs": [], "next_page_token": f"{len(loopback.asked)}"}))
    for option in ("--all", "--limit=3"):
        assert script(display.main, option, KEY, f"{loopback.url}/ga4gh/wes/v1/runs") == FAILED
    assert capsys.readouterr().err.count("0 members, and no end of the list") == 2 and len(loopback.asked) == 30
