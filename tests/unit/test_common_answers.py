"""What comes back from a server, and whether to ask again: retries, bodies that are no JSON, errors and their hints."""
import base64
import gzip
import json
import re
import time
from email.utils import formatdate
from http import HTTPStatus

import pytest
from fakes import KEY

import common
from common import FAILED, TRY_LATER, USAGE, Galaxy, GalaxyError

# -------------------------------------------------------------------------------------------------------------- retries

def hang_up(handler):
    handler.cut()


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_transient_status_is_retried(loopback, clock, method, status):
    loopback.will((status, {}), (status, {}), (200, {"done": True}))
    galaxy = Galaxy(KEY, loopback.url)
    assert galaxy.request(method, "histories").json() == {"done": True}
    assert len(loopback.asked) == 3 and len(clock.slept) == 2
    assert clock.slept[0] <= 1 and clock.slept[1] <= 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501])
def test_other_errors_are_not_retried(loopback, clock, status):
    loopback.will((status, {"err_msg": "No", "err_code": 1}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert (excinfo.value.status, excinfo.value.err_msg, excinfo.value.exit_code) == (status, "No", FAILED)
    assert len(loopback.asked) == 1 and clock.slept == []


def test_status_500_is_retried_once(loopback, clock):
    loopback.will((500, {}), (200, []))
    assert Galaxy(KEY, loopback.url).get("histories") == []
    loopback.will((500, {}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert excinfo.value.exit_code == FAILED
    assert len(loopback.asked) == 4


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_broken_connection_is_retried_for_get_and_never_for_post_and_patch(loopback, clock, method):
    loopback.will(hang_up, (200, [1]))
    assert Galaxy(KEY, loopback.url).get("histories") == [1]
    loopback.will(hang_up, (200, [1]))
    with pytest.raises(GalaxyError, match="may have done it") as excinfo:
        Galaxy(KEY, loopback.url).call(method, "histories", {})
    assert excinfo.value.lost and excinfo.value.exit_code == TRY_LATER
    assert [request.method for request in loopback.asked] == ["GET", "GET", method]


def test_a_truncated_body_is_requested_again(loopback, clock):
    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"half":')
        handler.cut()
    loopback.will(half, (200, {"whole": 1}))
    assert Galaxy(KEY, loopback.url).get("histories/1") == {"whole": 1}


def test_a_post_whose_answer_is_late_is_lost(loopback, clock, monkeypatch):
    monkeypatch.setenv("GALAXY_TIMEOUT", "0.2")
    loopback.will(lambda handler: time.sleep(1))
    with pytest.raises(GalaxyError, match="no answer in time") as excinfo:
        Galaxy(KEY, loopback.url).post("histories", {})
    assert excinfo.value.lost


@pytest.mark.parametrize("status, headers, tries", [
    (429, {}, 2), (503, {"Retry-After": "3"}, 2), (503, {}, 1), (502, {}, 1), (504, {}, 1), (408, {}, 1),
    (500, {}, 1)])
def test_a_post_is_retried_only_where_the_server_did_not_take_it(loopback, clock, status, headers, tries):
    loopback.will((status, {}, headers), (200, {"id": "1"}))
    galaxy = Galaxy(KEY, loopback.url)
    if tries == 2:
        assert galaxy.post("histories", {}) == {"id": "1"}
    else:
        with pytest.raises(GalaxyError) as excinfo:
            galaxy.post("histories", {})
        assert excinfo.value.lost == (status in (408, 502, 503, 504))
    assert len(loopback.asked) == tries


def test_retry_after_counts_in_seconds_and_as_a_date(loopback, clock):
    loopback.will((503, {}, {"Retry-After": "4"}), (429, {}, {"Retry-After": formatdate(clock.now + 6, usegmt=True)}),
                  (200, []))
    Galaxy(KEY, loopback.url, patience=60).get("histories")
    assert clock.slept == [4, 2]    # at 4 s the second answer asks for 6 s after the start


def test_retry_after_beyond_the_patience_ends_the_run_at_once(loopback, clock):
    loopback.will((503, {}, {"Retry-After": "3600"}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert excinfo.value.exit_code == TRY_LATER and clock.slept == []


@pytest.mark.parametrize("hint", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_retry_after_zero_makes_no_tight_loop(loopback, clock, hint):
    loopback.will((503, {}, {"Retry-After": hint}))
    with pytest.raises(GalaxyError):
        Galaxy(KEY, loopback.url, patience=600).get("histories")
    assert sum(clock.slept) == pytest.approx(600) and len(loopback.asked) < 100


def test_retries_end_with_the_patience(loopback, clock, monkeypatch):
    loopback.will((502, b"<html><title>502 Bad Gateway</title></html>", {"Content-Type": "text/html"}))
    monkeypatch.setenv("GALAXY_RETRY_MAX", "100")
    with pytest.raises(GalaxyError, match="502 Bad Gateway") as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert excinfo.value.exit_code == TRY_LATER
    assert sum(clock.slept) == pytest.approx(100)


def test_every_method_is_retried_while_connections_are_refused(loopback, clock):
    loopback.close()
    for method in ("get", "post", "put", "delete"):
        with pytest.raises(GalaxyError, match="connection refused.*is the server up") as excinfo:
            getattr(Galaxy(KEY, loopback.url), method)("histories")
        assert excinfo.value.exit_code == TRY_LATER and not excinfo.value.lost
    assert sum(clock.slept) == pytest.approx(40)


def test_an_unknown_host_exits_75(clock):
    with pytest.raises(GalaxyError, match="no such host") as excinfo:
        Galaxy(KEY, "http://galaxy.invalid").get("histories")
    assert excinfo.value.exit_code == TRY_LATER


@pytest.mark.parametrize("proxy", ["foo://bar", "http://", "socks5://127.0.0.1:1"])
def test_a_bad_proxy_variable_is_named(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, "http://galaxy.invalid", patience=0).get("version")
    assert "proxy" in str(excinfo.value) or "no such host" in str(excinfo.value)


# ------------------------------------------------------------------------------------------------------ Galaxy's errors

def test_an_error_shows_galaxys_message_and_the_invalid_fields(loopback):
    loopback.will((400, {"err_msg": "Bad request", "err_code": 400008, "validation_errors": [
        '{"loc": ["body", "name"], "msg": "Field required", "input": "secret"}']}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).post("histories", {})
    assert str(excinfo.value) == (f"POST {loopback.url}/api/histories: 400 Bad Request: Bad request: "
                                  "body.name: Field required")


def test_an_error_shows_each_message_once(loopback):
    loopback.will((400, {"err_msg": "Too short in ('path', 'id')", "err_code": 400008, "validation_errors": [
        '{"loc": ["path", "id"], "msg": "Too short"}']}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get("histories/1")
    assert str(excinfo.value).count("Too short") == 1


@pytest.mark.parametrize("body, words", [
    ({"detail": "Not Found"}, "Not Found"),
    ({"detail": [{"loc": ["query", "limit"], "msg": "too much"}]}, "query.limit: too much"),
    (b"<html><head><title>404 Not Found</title></head></html>", "404 Not Found: Galaxy has no such address for GET"),
    (b"plain words", "plain words"),
    (["odd"], "odd"),
    ({"err_msg": None}, "404"),
    (b"\xff\xfe", "404"),
])
def test_an_error_body_of_any_form_is_shown(loopback, body, words):
    loopback.will((404, body))
    with pytest.raises(GalaxyError, match=words) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert "\n" not in str(excinfo.value)


@pytest.mark.parametrize("body", [
    {"validation_errors": [{"loc": 5}]}, {"validation_errors": "[" * 5000}, {"validation_errors": {"a": 1}}, {"err_msg": 5},
    {"detail": [[[1]]]}, {"err_msg": ["a"], "err_code": "x"}, {"validation_errors": [None, 1, [2]]}, [], "", None])
def test_an_error_body_of_any_type_makes_one_line(loopback, body):
    loopback.will((400, body))
    with pytest.raises(GalaxyError, match="400 Bad Request") as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert "\n" not in str(excinfo.value) and len(str(excinfo.value)) < 2000


@pytest.mark.parametrize("status, body, headers, hint", [
    (401, {"err_msg": "Provided API key is not valid.", "err_code": 401001}, {}, "check the key: key_show.py"),
    (403, {"err_msg": "Provided API key is not valid.", "err_code": 403001}, {}, "check the key: key_show.py"),
    (403, {"err_msg": "You must be an administrator", "err_code": 403006}, {}, "an administrator's key"),
    (400, {"err_msg": "Input should be a valid list in ('body', 'tags')", "err_code": 400008}, {}, "NAME:=JSON any other"),
    (500, b"Internal Server Error", {}, "administrator's log"),
    (400, {"err_msg": "Malformed id", "err_code": 400009}, {}, "an id is what display.py shows in the field id"),
])
def test_an_error_says_what_to_try(loopback, status, body, headers, hint):
    loopback.will((status, body, headers))
    with pytest.raises(GalaxyError, match=hint):
        Galaxy(KEY, loopback.url).get("histories/1")


@pytest.mark.parametrize("status, headers", [(302, {}), (304, {}), (300, {"Location": "/x"}), (600, {}), (999, {})])
def test_a_status_other_than_2xx_is_a_failure(loopback, status, headers):
    loopback.will((status, b"", headers))
    for method in ("get", "post", "put", "delete"):
        with pytest.raises(GalaxyError) as excinfo:
            getattr(Galaxy(KEY, loopback.url), method)("histories")
        assert excinfo.value.exit_code == FAILED and excinfo.value.status == status


# ----------------------------------------------------------------------------------------------------- a proxy's errors

NGINX = ("<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
         "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n")
APACHE = ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">\n<html><head>\n'
          "<title>{0}</title>\n</head><body>\n<h1>Something</h1>\n<p>Words.</p>\n</body></html>\n")
GALAXY_404 = ("<html>\n <head>\n  <title>{0}</title>\n </head>\n <body>\n  <h1>{0}</h1>\n  The resource could not be found."
              "<br /><br />\nNo route for /api/nosuch\n\n\n </body>\n</html>")
PASSWORD_REQUEST = {"WWW-Authenticate": 'Basic realm="Galaxy"'}


@pytest.mark.parametrize("page", [NGINX, APACHE])
@pytest.mark.parametrize("status, title, headers, words", [
    (401, "401 Authorization Required", PASSWORD_REQUEST,
     "it asks for its own password: write NAME:PASSWORD@ before the host"),
    (403, "403 Forbidden", {}, ""),
    (404, "404 Not Found", {}, "it does not pass that address on: is URL your Galaxy's address, with its prefix"),
    (413, "413 Request Entity Too Large", {}, "it refuses a body of 0 bytes; its administrator can raise the limit"),
    (502, "502 Bad Gateway", {}, "Galaxy is down or too slow: try again later"),
    (503, "503 Service Unavailable", {}, "Galaxy is down or too slow: try again later"),
    (504, "504 Gateway Time-out", {}, "Galaxy is down or too slow: try again later"),
])
def test_an_error_page_of_a_proxy_is_explained(loopback, monkeypatch, page, status, title, headers, words):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    loopback.will((status, page.format(title).encode(), {"Content-Type": "text/html", **headers}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    expected = f"{status} {HTTPStatus(status).phrase}, from a proxy before Galaxy" + (": " + words if words else "")
    assert str(excinfo.value).startswith(f"GET {loopback.url}/api/histories: {expected}".replace("URL", loopback.url))
    assert str(excinfo.value).replace(loopback.url, "").count(str(status)) == 1 and excinfo.value.status == status


@pytest.mark.parametrize("status, body, headers, is_proxy", [
    (401, b"<p>Who are you?</p>", PASSWORD_REQUEST, True),
    (413, b"", {}, True),
    (502, b"error code: 502", {}, True),
    (503, b"<html><body><h1>503</h1>No server is available.</body></html>", {}, True),
    (503, b"<html><title>We are moving house until Monday</title></html>", {}, True),
    (403, NGINX.format("403 Forbidden").replace("nginx/1.22.1", "openresty").encode(), {}, True),
    (401, {"err_msg": "Provided API key is not valid.", "err_code": 401001}, {}, False),
    (404, GALAXY_404.format("404 Not Found").encode(), {"Server": "nginx/1.22.1"}, False),
    (404, {"detail": "Not Found"}, {}, False),
    (413, {"detail": "Upload exceeds the maximum size"}, {}, False),
    (500, b"Internal Server Error", {"Server": "Apache/2.4.68 (Debian)"}, False),
    (502, {"err_msg": "The object store failed.", "err_code": 502001}, {}, False),
    (503, b"Service Unavailable", {}, False),
    (503, {"detail": "locked"}, {}, False),
])
def test_a_proxy_is_named_only_where_that_is_certain(loopback, monkeypatch, status, body, headers, is_proxy):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    loopback.will((status, body, headers))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert ("proxy" in str(excinfo.value)) is is_proxy


def test_a_proxys_own_title_is_shown(loopback, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    loopback.will((503, b"<html><title>We are moving house until Monday</title></html>"))
    with pytest.raises(GalaxyError, match="from a proxy before Galaxy: We are moving house until Monday: Galaxy is down or"):
        Galaxy(KEY, loopback.url).get("histories")


def test_a_post_that_a_proxy_answers_with_502_is_lost(loopback):
    loopback.will((502, NGINX.format("502 Bad Gateway").encode()))
    with pytest.raises(GalaxyError, match="502 Bad Gateway, from a proxy before Galaxy: .*look before you send") as excinfo:
        Galaxy(KEY, loopback.url).post("histories", {"name": "x"})
    assert excinfo.value.lost and len(loopback.asked) == 1


def test_an_address_with_the_word_proxy_in_it_names_no_proxy(monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    with pytest.raises(GalaxyError, match="qv=proxy: connection refused") as excinfo:
        Galaxy(KEY, "http://127.0.0.1:9").get("histories?qv=proxy")
    assert excinfo.value.exit_code == TRY_LATER


def test_status_413_names_the_size_of_the_body(loopback):
    loopback.will((413, APACHE.format("413 Request Entity Too Large").encode()))
    with pytest.raises(GalaxyError, match="it refuses a body of 1.91 MiB"):
        Galaxy(KEY, loopback.url).post("histories", {"name": "x" * 2_000_000})


@pytest.mark.parametrize("size, words", [(2_000_000, " (a proxy before Galaxy may refuse a body of 1.91 MiB)"), (20, "")])
def test_a_connection_that_breaks_within_a_large_body_names_its_size(loopback, size, words):
    loopback.will(lambda handler: handler.cut())
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).post("histories", {"name": "x" * size})
    assert f"the connection broke before the answer was whole{words}: the server may" in str(excinfo.value)


def test_a_proxy_that_refuses_its_password_gets_password_and_key_and_shows_neither(loopback):
    loopback.will((401, NGINX.format("401 Authorization Required").encode(), PASSWORD_REQUEST))
    url = loopback.url.replace("//", "//me:pass%2Fword@")
    with pytest.raises(GalaxyError, match="it asks for a name and password of its own, and refuses those") as excinfo:
        Galaxy(KEY, url).get("histories")
    sent = loopback.asked[0].headers
    assert (sent["x-api-key"], sent["Authorization"]) == (KEY, "Basic " + base64.b64encode(b"me:pass/word").decode())
    assert "pass" not in str(excinfo.value).replace("password", "") and "me:" not in str(excinfo.value)


def test_a_login_page_is_named(loopback):
    loopback.will((200, b"<html><title>Sign in</title></html>", {"Content-Type": "text/html"}))
    with pytest.raises(GalaxyError, match="a page titled 'Sign in': a proxy answers for Galaxy"):
        Galaxy(KEY, loopback.url).get("histories")


# --------------------------------------------------------------------------------------------------------------- bodies

def test_a_page_in_place_of_json_is_an_error(loopback):
    loopback.will((200, b"<!doctype html><title>Galaxy</title>", {"Content-Type": "text/html"}))
    with pytest.raises(GalaxyError, match="not JSON but a page titled 'Galaxy'.*go on with /api/"):
        galaxy = Galaxy(KEY, loopback.url)
        galaxy.get(galaxy.url)


def test_an_empty_body_is_an_error_where_something_was_asked_for_or_made(loopback):
    loopback.will((204, b""))
    galaxy = Galaxy(KEY, loopback.url)
    assert galaxy.delete("workflows/1") is None
    assert galaxy.put("workflows/1", {}) is None
    assert galaxy.call("POST", "workflows/1/undelete", {}) is None
    with pytest.raises(GalaxyError, match="empty body"):
        galaxy.get("workflows/1")
    with pytest.raises(GalaxyError, match="does not show what was done"):
        galaxy.post("workflows", {})


def cut_after(*parts):
    """The bytes that come before the connection ends."""
    def fault(handler):
        handler.wfile.write(b"".join(parts))
        handler.cut()
    return fault


STATUS, JSON = b"HTTP/1.1 200 OK\r\n", b"Content-Type: application/json\r\n"
CUTS = {
    "within the status line": [b"HTTP/1.1 2"],
    "after the status line": [STATUS],
    "within a header": [STATUS, JSON, b"Content-Le"],
    "after a header": [STATUS, JSON],
    "after the headers": [STATUS, JSON, b"Content-Length: 20\r\n\r\n"],
    "after headers without a length": [STATUS, JSON, b"\r\n"],
    "within a body": [STATUS, JSON, b'Content-Length: 20\r\n\r\n{"id": '],
    "within a body without a length": [STATUS, JSON, b'\r\n{"id": '],
    "before the first chunk": [STATUS, JSON, b"Transfer-Encoding: chunked\r\n\r\n"],
    "within a chunk": [STATUS, JSON, b'Transfer-Encoding: chunked\r\n\r\n14\r\n{"id": '],
    "after a chunk": [STATUS, JSON, b'Transfer-Encoding: chunked\r\n\r\n7\r\n{"id": \r\n'],
    "within gzip": [STATUS, JSON, b"Content-Encoding: gzip\r\n\r\n", gzip.compress(str([*range(999)]).encode())[:-99]],
}


@pytest.mark.parametrize("parts", CUTS.values(), ids=CUTS.keys())
def test_a_cut_anywhere_is_asked_again_for_get_and_ends_with_75_for_post(loopback, clock, parts):
    loopback.will(cut_after(*parts), (200, {"id": "1"}))
    assert Galaxy(KEY, loopback.url).get("histories/1") == {"id": "1"}
    loopback.will(cut_after(*parts), (200, {"id": "1"}))
    with pytest.raises(GalaxyError, match="broke before the answer was whole: the server may have done it") as excinfo:
        Galaxy(KEY, loopback.url).post("histories", {})
    assert (excinfo.value.exit_code, excinfo.value.lost) == (TRY_LATER, True)
    assert [request.method for request in loopback.asked] == ["GET", "GET", "POST"]


def drip(*parts):
    """A byte at a time, each long before a read would time out."""
    def fault(handler):
        handler.wfile.write(b"".join(parts))
        while not handler.owner.closing.wait(0.05):
            try:
                handler.wfile.write(b"x")
            except OSError:
                break
        handler.replied = handler.close_connection = True
    return fault


@pytest.mark.parametrize("parts", [[STATUS], [STATUS, b"Content-Length: 1000000\r\n\r\n"],
                                   [STATUS, b"Transfer-Encoding: chunked\r\n\r\nffff\r\n"]],
                         ids=["headers", "body", "chunk"])
def test_the_time_limit_holds_against_a_drip(loopback, monkeypatch, parts):
    monkeypatch.setenv("GALAXY_TIMEOUT", "0.3")
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    loopback.will(drip(*parts))
    with pytest.raises(GalaxyError, match="no answer in time: try again later") as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert excinfo.value.exit_code == TRY_LATER


def endless(start, block):
    def fault(handler):
        handler.replied = handler.close_connection = True
        try:
            handler.wfile.write(start)
            while not handler.owner.closing.is_set():
                handler.wfile.write(block)
        except OSError:
            pass
    return fault


@pytest.mark.parametrize("fault, words", [
    (endless(STATUS + b"\r\n", b" " * 2**16), "has more than 1000000 bytes"),
    (endless(STATUS + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 2**16 + b"\r\n"), "has more than"),
    (lambda handler: handler.reply(200, gzip.compress(b" " * 2**27), {"Content-Encoding": "gzip"}), "has more than"),
    (lambda handler: handler.reply(200, b"x" * 100, {"Content-Encoding": "br"}), "is packed by br"),
    (lambda handler: handler.reply(404, b"x" * 10**6 + b"x"), "has more than"),
], ids=["body", "chunks", "gzip bomb", "another compression", "error"])
def test_an_answer_has_a_largest_size(loopback, monkeypatch, fault, words):
    monkeypatch.setenv("GALAXY_MAX_JSON", "1000000")
    loopback.will(fault)
    with pytest.raises(GalaxyError, match=words) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert excinfo.value.exit_code == FAILED and len(loopback.asked) == 1


def test_endless_interim_answers_end(loopback, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    loopback.will(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000))
    with pytest.raises(GalaxyError, match="no answer in time"):
        Galaxy(KEY, loopback.url).get("histories")


def test_a_list_without_end_ends(loopback, monkeypatch):
    monkeypatch.setattr(common, "MOST_PAGES", 3)
    loopback.will((200, lambda handler: [{"id": f"{len(loopback.asked)}-{number}"} for number in range(500)]))
    galaxy = Galaxy(KEY, loopback.url)
    with pytest.raises(GalaxyError, match="1500 members, and no end of the list: is it that long"):
        list(galaxy.pages("histories"))
    assert len(list(galaxy.pages("histories", limit=2000))) == 2000


@pytest.mark.parametrize("answer", [{}, None])
def test_a_post_answered_with_nothing_is_refused_by_create_too(loopback, answer):
    loopback.will((200, answer))
    with pytest.raises(GalaxyError, match="does not show what was done: the server may have done it") as excinfo:
        common.submit(KEY, f"{loopback.url}/api/x", {})
    assert (excinfo.value.exit_code, excinfo.value.lost) == (FAILED, True)


@pytest.mark.parametrize("answer", [[], [{}], {"id": None}, {"id": ""}, {"id": 5}, {"id": "x/../../y"}, "", True, 0])
def test_an_answer_without_what_was_made_is_refused(loopback, answer):
    loopback.will((200, answer))
    with pytest.raises(GalaxyError, match="does not show what was done: the server may have done it"):
        Galaxy(KEY, loopback.url).post("histories", {})
    with pytest.raises(GalaxyError, match="does not show what was done"):
        common.submit(KEY, loopback.url, {}, route="histories")


@pytest.mark.parametrize("path", ["tools/tally/build", "histories", "libraries/f1/contents", "workflows/"])
@pytest.mark.parametrize("answer", ["", [None], [{}], [[]], [""], {"id": None}, {"id": ""}, [{"id": None}],
                                    {"name": None, "state": None}])
def test_a_post_whose_answer_shows_nothing_made_is_refused_whatever_its_address(loopback, path, answer):
    loopback.will((200, answer))
    with pytest.raises(GalaxyError, match="does not show what was done: the server may have done it"):
        common.submit(KEY, f"{loopback.url}/api/{path}", {})


@pytest.mark.parametrize("answer", [True, 0, "done", [], {"name": "x"}, {"id": 5}, {"id": "x/../y"}, None])
def test_a_post_that_makes_things_is_answered_by_their_ids(loopback, answer):
    """A history, a library, what is in them, a workflow, a collection: also for the verbs and a recipe's own URL."""
    loopback.will((204, b"") if answer is None else (200, answer))
    for path in ("histories", "libraries", "histories/f1/contents", "workflows", "workflows/f1/invocations",
                 "folders/F1", "dataset_collections/"):
        for post in (Galaxy(KEY, f"{loopback.url}/sub").post, lambda path, data: common.post(KEY, path, data)):
            with pytest.raises(GalaxyError, match="does not show what was done: the server may have done it"):
                post(f"{loopback.url}/sub/api/{path}?v=1", {})


@pytest.mark.parametrize("answer", [True, 0, "done", [], {"id": "toolshed.example.org/repos/d/tally/tally/0.2"}, {"id": 5}])
def test_what_a_recipe_posts_may_be_answered_in_any_way(loopback, answer):
    """But for nothing: what an address is for is not known here."""
    loopback.will((200, answer))
    assert common.post(KEY, f"{loopback.url}/api/tools/tally/build", {}) == answer


def test_an_error_of_galaxys_with_status_200_is_an_error(loopback):
    loopback.will((200, {"err_msg": "Something failed", "err_code": 500001}))
    with pytest.raises(GalaxyError, match="/api/histories: 200 OK: Something failed"):
        Galaxy(KEY, loopback.url).get("histories")


def test_a_key_that_an_answer_lacks_is_named_with_its_request(loopback, script, capsys):
    loopback.will((200, [{"id": "1", "inner": {}}]), (200, {}))
    galaxy = Galaxy(KEY, loopback.url)
    [history] = galaxy.get("histories")
    galaxy.get("version")
    for look in (lambda: history["name"], lambda: history["inner"]["name"]):
        with pytest.raises(GalaxyError, match="GET http://127[^ ]*/api/histories: the answer has no 'name'"):
            look()
    assert history == {"id": "1", "inner": {}} and history.get("name") is None and "name" not in history


@pytest.mark.parametrize("answer, use", [
    ([], lambda answer: answer[0]["id"]),
    ("x", lambda answer: answer["id"]),
    (True, lambda answer: answer.get("id")),
    ({"id": None}, lambda answer: answer["id"]["name"]),
    ({"id": 5}, lambda answer: "x" in answer["id"]),
    ({"id": []}, lambda answer: {answer["id"]: 1}),
    ({"id": []}, lambda answer: int(answer["id"])),
    ({"id": "x"}, lambda answer: {"y": 1}[answer["id"]]),
    ([1, 2], lambda answer: next(iter([one for [one] in [answer]]))),
])
def test_an_answer_of_another_form_is_one_line_with_its_request(loopback, script, capsys, answer, use):
    loopback.will((200, json.dumps(answer).encode()))
    assert script(lambda _: use(Galaxy(KEY, loopback.url).get("histories"))) == FAILED
    assert re.fullmatch(r".*: GET http://127[^ ]*/api/histories: the answer has another form than Galaxy's, .*\n",
                        capsys.readouterr().err)


def test_a_body_that_is_not_json_is_an_error(loopback):
    for body in (b"{", b"[" * 100_000, b"\xff\xfe", b"<html>"):
        loopback.will((200, body))
        with pytest.raises(GalaxyError, match="not JSON"):
            Galaxy(KEY, loopback.url).get("histories")
    loopback.will((200, b"rubbish", {"Content-Encoding": "gzip"}))
    with pytest.raises(GalaxyError, match="compression"):
        Galaxy(KEY, loopback.url).get("histories")


@pytest.mark.parametrize("charset", ["idna", "undefined", "no-such"])
def test_an_unknown_charset_does_not_hide_the_error(loopback, charset):
    loopback.will((400, b"\xff words", {"Content-Type": f"text/plain; charset={charset}"}))
    with pytest.raises(GalaxyError, match="400 Bad Request"):
        Galaxy(KEY, loopback.url).get("histories")


def test_nan_and_infinity_are_not_sent(loopback):
    for text in ("NaN", "1e999", "-Infinity"):
        with pytest.raises(GalaxyError, match="NaN and Infinity are not JSON") as excinfo:
            Galaxy(KEY, loopback.url).post("histories", common.parse_payload([f"x:={text}"]))
        assert excinfo.value.exit_code == USAGE
    assert loopback.asked == []


def test_a_key_in_the_answer_is_redacted(loopback):
    loopback.will((403, {"err_msg": f"no rights for {KEY}"}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get(f"histories?x={KEY}")
    assert KEY not in str(excinfo.value) and "***" in str(excinfo.value)


def test_a_key_cut_in_half_is_redacted(loopback):
    loopback.will((400, ("x" * 190 + KEY).encode(), {"Content-Type": "text/plain"}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert KEY[:6] not in str(excinfo.value)


def test_control_characters_do_not_reach_the_terminal(loopback):
    loopback.will((400, {"err_msg": "red \x1b[31m and\nlines"}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert "red [31m and lines" in str(excinfo.value)
