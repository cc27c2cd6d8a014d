import base64
import json
import os
import signal
import subprocess
import sys
import time
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
from fakes import KEY

import common
from common import FAILED, STILL_RUNNING, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.polling import wait_datasets, wait_jobs

ROOT = Path(__file__).parents[2]


def hang_up(handler):
    handler.cut()


# ---------------------------------------------------------------------------------------------- keys on the way

def test_the_key_goes_in_a_header_and_nowhere_else(loopback):
    Galaxy(KEY, loopback.url).get("histories")
    asked = loopback.asked[0]
    assert asked.line == "GET /api/histories"
    assert asked.headers["x-api-key"] == KEY


def test_a_key_in_the_url_moves_to_the_header(loopback):
    galaxy = Galaxy("another", f"{loopback.url}/api/histories?key={KEY}&limit=3")
    galaxy.get(galaxy.url)
    assert loopback.asked[0].line == "GET /api/histories?limit=3"
    assert loopback.asked[0].headers["x-api-key"] == KEY


def test_anonymous_sends_no_key(loopback):
    Galaxy("anonymous", loopback.url).get("version")
    assert "x-api-key" not in loopback.asked[0].headers


def test_the_agent_names_the_script(loopback, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/some/where/nightly.py"])
    Galaxy(KEY, loopback.url).get("version")
    assert loopback.asked[0].headers["User-Agent"] == f"galaxy-api-scripts/{common.VERSION} (nightly.py)"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_gets_no_key(loopback, other_loopback, status):
    loopback.will((status, {}, {"Location": f"{other_loopback.url}/api/histories"}))
    with pytest.raises(GalaxyError, match="where your key does not go unasked") as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert caught.value.exit_code == FAILED
    assert other_loopback.asked == []


def test_a_download_follows_to_another_host_without_the_key(loopback, other_loopback):
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/bucket/object"}))
    other_loopback.will((200, b"bytes"))
    answer = Galaxy(KEY, loopback.url).request("GET", "datasets/1/display", allow_other_host=True)
    assert answer.content == b"bytes"
    assert loopback.asked[0].headers["x-api-key"] == KEY
    assert "x-api-key" not in other_loopback.asked[0].headers
    assert KEY not in str(other_loopback.asked[0].headers)


def test_a_redirect_on_the_same_server_is_followed_with_the_key(loopback):
    loopback.will((307, {}, {"Location": "/api/histories/"}), (200, [1]))
    assert Galaxy(KEY, loopback.url).get("histories") == [1]
    assert [asked.headers["x-api-key"] for asked in loopback.asked] == [KEY, KEY]


def test_a_redirected_post_is_not_sent_again(loopback):
    loopback.will((301, {}, {"Location": "/api/histories/"}))
    with pytest.raises(GalaxyError, match="a POST is not sent on: use that address"):
        Galaxy(KEY, loopback.url).post("histories", {"name": "x"})
    assert [asked.line for asked in loopback.asked] == ["POST /api/histories"]


def test_a_redirect_in_circles_ends(loopback):
    loopback.will((302, {}, {"Location": "/api/histories"}))
    with pytest.raises(GalaxyError, match="in a loop"):
        Galaxy(KEY, loopback.url).get("histories")
    assert len(loopback.asked) == 10


# ---------------------------------------------------------------------------------------------- trying again

@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_passing_trouble_is_waited_out(loopback, clock, method, status):
    loopback.will((status, {}), (status, {}), (200, {"done": True}))
    galaxy = Galaxy(KEY, loopback.url)
    assert galaxy.request(method, "histories").json() == {"done": True}
    assert len(loopback.asked) == 3 and len(clock.slept) == 2
    assert clock.slept[0] <= 1 and clock.slept[1] <= 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 501])
def test_other_refusals_are_final(loopback, clock, status):
    loopback.will((status, {"err_msg": "No", "err_code": 1}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert (caught.value.status, caught.value.err_msg, caught.value.exit_code) == (status, "No", FAILED)
    assert len(loopback.asked) == 1 and clock.slept == []


def test_500_is_tried_once_more(loopback, clock):
    loopback.will((500, {}), (200, []))
    assert Galaxy(KEY, loopback.url).get("histories") == []
    loopback.will((500, {}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert caught.value.exit_code == FAILED
    assert len(loopback.asked) == 4


def test_a_broken_connection_is_tried_again_for_get_only(loopback, clock):
    loopback.will(hang_up, (200, [1]))
    assert Galaxy(KEY, loopback.url).get("histories") == [1]
    loopback.will(hang_up, (200, [1]))
    with pytest.raises(GalaxyError, match="may have done it") as caught:
        Galaxy(KEY, loopback.url).post("histories", {})
    assert caught.value.lost and caught.value.exit_code == FAILED
    assert [asked.method for asked in loopback.asked] == ["GET", "GET", "POST"]


def test_a_body_cut_short_is_asked_for_again(loopback, clock):
    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b'{"half":')
        handler.cut()
    loopback.will(half, (200, {"whole": 1}))
    assert Galaxy(KEY, loopback.url).get("histories/1") == {"whole": 1}


def test_a_late_answer_to_post_is_lost(loopback, clock, monkeypatch):
    monkeypatch.setenv("GALAXY_TIMEOUT", "0.2")
    loopback.will(lambda handler: time.sleep(1))
    with pytest.raises(GalaxyError, match="no answer in time") as caught:
        Galaxy(KEY, loopback.url).post("histories", {})
    assert caught.value.lost


@pytest.mark.parametrize("status, headers, tries", [
    (429, {}, 2), (503, {"Retry-After": "3"}, 2), (503, {}, 1), (502, {}, 1), (504, {}, 1), (500, {}, 1)])
def test_post_is_sent_again_only_where_it_was_not_taken(loopback, clock, status, headers, tries):
    loopback.will((status, {}, headers), (200, {"id": 1}))
    galaxy = Galaxy(KEY, loopback.url)
    if tries == 2:
        assert galaxy.post("histories", {}) == {"id": 1}
    else:
        with pytest.raises(GalaxyError) as caught:
            galaxy.post("histories", {})
        assert caught.value.lost == (status in (502, 503, 504))
    assert len(loopback.asked) == tries


def test_retry_after_in_seconds_and_as_a_date(loopback, clock):
    loopback.will((503, {}, {"Retry-After": "4"}), (429, {}, {"Retry-After": formatdate(clock.now + 6, usegmt=True)}),
                  (200, []))
    Galaxy(KEY, loopback.url, patience=60).get("histories")
    assert clock.slept == [4, 2]    # the clock stood at 4 s when it was told to come back at 6


def test_retry_after_past_the_window_ends_at_once(loopback, clock):
    loopback.will((503, {}, {"Retry-After": "3600"}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert caught.value.exit_code == TRY_LATER and clock.slept == []


def test_patience_ends(loopback, clock, monkeypatch):
    loopback.will((502, b"<html><title>502 Bad Gateway</title></html>", {"Content-Type": "text/html"}))
    monkeypatch.setenv("GALAXY_RETRY_MAX", "100")
    with pytest.raises(GalaxyError, match="502 Bad Gateway") as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert caught.value.exit_code == TRY_LATER
    assert sum(clock.slept) == pytest.approx(100)


def test_nobody_at_the_port_is_waited_for_by_every_method(loopback, clock):
    loopback.close()
    for ask in ("get", "post", "put", "delete"):
        with pytest.raises(GalaxyError, match="connection refused.*is the server up") as caught:
            getattr(Galaxy(KEY, loopback.url), ask)("histories")
        assert caught.value.exit_code == TRY_LATER and not caught.value.lost
    assert sum(clock.slept) == pytest.approx(40)


def test_no_such_host(clock):
    with pytest.raises(GalaxyError, match="no such host") as caught:
        Galaxy(KEY, "http://galaxy.invalid").get("histories")
    assert caught.value.exit_code == TRY_LATER


@pytest.mark.parametrize("variable", ["GALAXY_RETRY_MAX", "GALAXY_TIMEOUT"])
def test_settings_that_are_no_numbers(loopback, monkeypatch, variable):
    monkeypatch.setenv(variable, "soon")
    with pytest.raises(GalaxyError, match=f"{variable}=soon") as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert caught.value.exit_code == USAGE


# ---------------------------------------------------------------------------------------------- what came back

def test_galaxys_own_words_and_the_fields_that_it_finds_wrong(loopback):
    loopback.will((400, {"err_msg": "Bad request", "err_code": 400008, "validation_errors": [
        '{"loc": ["body", "name"], "msg": "Field required", "input": "secret"}']}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).post("histories", {})
    assert str(caught.value) == f"POST {loopback.url}/api/histories: 400 Bad Request: Bad request: body.name: Field required"


def test_galaxy_is_not_repeated(loopback):
    loopback.will((400, {"err_msg": "Too short in ('path', 'id')", "err_code": 400008, "validation_errors": [
        '{"loc": ["path", "id"], "msg": "Too short"}']}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get("histories/1")
    assert str(caught.value).count("Too short") == 1


@pytest.mark.parametrize("body, words", [
    ({"detail": "Not Found"}, "Not Found"),
    ({"detail": [{"loc": ["query", "limit"], "msg": "too much"}]}, "query.limit: too much"),
    (b"<html><head><title>404 Not Found</title></head></html>", "404 Not Found: Galaxy has no such address for GET"),
    (b"plain words", "plain words"),
    (["odd"], "odd"),
    ({"err_msg": None}, "404"),
    (b"\xff\xfe", "404"),
])
def test_refusals_in_other_forms(loopback, body, words):
    loopback.will((404, body))
    with pytest.raises(GalaxyError, match=words) as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status, body, headers, hint", [
    (401, {"err_msg": "Provided API key is not valid.", "err_code": 401001}, {}, "check the key: key_show.py"),
    (403, {"err_msg": "Provided API key is not valid.", "err_code": 403001}, {}, "check the key: key_show.py"),
    (403, {"err_msg": "You must be an administrator", "err_code": 403006}, {}, "an administrator's key"),
    (400, {"err_msg": "Input should be a valid list in ('body', 'tags')", "err_code": 400008}, {}, "NAME:=JSON any other"),
    (500, b"Internal Server Error", {}, "administrator's log"),
    (400, {"err_msg": "Malformed id", "err_code": 400009}, {}, "an id is what display.py shows in the field id"),
])
def test_hints(loopback, status, body, headers, hint):
    loopback.will((status, body, headers))
    with pytest.raises(GalaxyError, match=hint):
        Galaxy(KEY, loopback.url).get("histories/1")


NGINX = ("<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
         "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n")
APACHE = ('<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">\n<html><head>\n'
          "<title>{0}</title>\n</head><body>\n<h1>Something</h1>\n<p>Words.</p>\n</body></html>\n")
GALAXYS = ("<html>\n <head>\n  <title>{0}</title>\n </head>\n <body>\n  <h1>{0}</h1>\n  The resource could not be found."
           "<br /><br />\nNo route for /api/nosuch\n\n\n </body>\n</html>")
ASKS = {"WWW-Authenticate": 'Basic realm="Galaxy"'}


@pytest.mark.parametrize("page", [NGINX, APACHE])
@pytest.mark.parametrize("status, title, headers, words", [
    (401, "401 Authorization Required", ASKS, "it asks for its own password: write NAME:PASSWORD@ before the host"),
    (403, "403 Forbidden", {}, ""),
    (404, "404 Not Found", {}, "it does not pass that address on: is URL your Galaxy's address, with its prefix"),
    (413, "413 Request Entity Too Large", {}, "it refuses a body of 0 bytes; its administrator can raise the limit"),
    (502, "502 Bad Gateway", {}, "Galaxy is down or too slow: try again later"),
    (503, "503 Service Unavailable", {}, "Galaxy is down or too slow: try again later"),
    (504, "504 Gateway Time-out", {}, "Galaxy is down or too slow: try again later"),
])
def test_what_a_proxy_says(loopback, monkeypatch, page, status, title, headers, words):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    loopback.will((status, page.format(title).encode(), {"Content-Type": "text/html", **headers}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get("histories")
    said = f"{status} {HTTPStatus(status).phrase}, from a proxy before Galaxy" + (": " + words if words else "")
    assert str(caught.value).startswith(f"GET {loopback.url}/api/histories: {said}".replace("URL", loopback.url))
    assert str(caught.value).replace(loopback.url, "").count(str(status)) == 1 and caught.value.status == status


@pytest.mark.parametrize("status, body, headers, proxys", [
    (401, b"<p>Who are you?</p>", ASKS, True),
    (413, b"", {}, True),
    (502, b"error code: 502", {}, True),
    (503, b"<html><body><h1>503</h1>No server is available.</body></html>", {}, True),
    (503, b"<html><title>We are moving house until Monday</title></html>", {}, True),
    (403, NGINX.format("403 Forbidden").replace("nginx/1.22.1", "openresty").encode(), {}, True),
    (401, {"err_msg": "Provided API key is not valid.", "err_code": 401001}, {}, False),
    (404, GALAXYS.format("404 Not Found").encode(), {"Server": "nginx/1.22.1"}, False),
    (404, {"detail": "Not Found"}, {}, False),
    (413, {"detail": "Upload exceeds the maximum size"}, {}, False),
    (500, b"Internal Server Error", {"Server": "Apache/2.4.68 (Debian)"}, False),
    (502, {"err_msg": "The object store failed.", "err_code": 502001}, {}, False),
    (503, b"Service Unavailable", {}, False),
    (503, {"detail": "locked"}, {}, False),
])
def test_a_proxy_is_named_only_where_that_is_certain(loopback, monkeypatch, status, body, headers, proxys):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    loopback.will((status, body, headers))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert ("proxy" in str(caught.value)) is proxys


def test_what_a_proxy_says_of_its_own_is_shown(loopback, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    loopback.will((503, b"<html><title>We are moving house until Monday</title></html>"))
    with pytest.raises(GalaxyError, match="from a proxy before Galaxy: We are moving house until Monday: Galaxy is down or"):
        Galaxy(KEY, loopback.url).get("histories")


def test_a_post_that_a_proxy_could_not_hand_on_may_be_done(loopback):
    loopback.will((502, NGINX.format("502 Bad Gateway").encode()))
    with pytest.raises(GalaxyError, match="502 Bad Gateway, from a proxy before Galaxy: .*look before you send") as caught:
        Galaxy(KEY, loopback.url).post("histories", {"name": "x"})
    assert caught.value.lost and len(loopback.asked) == 1


def test_an_address_with_the_word_proxy_in_it_names_no_proxy(monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    with pytest.raises(GalaxyError, match="qv=proxy: connection refused") as caught:
        Galaxy(KEY, "http://127.0.0.1:9").get("histories?qv=proxy")
    assert caught.value.exit_code == common.TRY_LATER


def test_the_size_of_the_body_that_a_proxy_refuses(loopback):
    loopback.will((413, APACHE.format("413 Request Entity Too Large").encode()))
    with pytest.raises(GalaxyError, match="it refuses a body of 1.91 MiB"):
        Galaxy(KEY, loopback.url).post("histories", {"name": "x" * 2_000_000})


@pytest.mark.parametrize("size, words", [(2_000_000, " (a proxy before Galaxy may refuse a body of 1.91 MiB)"), (20, "")])
def test_a_connection_that_breaks_within_a_body(loopback, size, words):
    loopback.will(lambda handler: handler.cut())
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).post("histories", {"name": "x" * size})
    assert f"the connection broke before the answer was whole{words}: the server may" in str(caught.value)


def test_the_proxys_password_goes_to_the_proxy_and_the_key_to_galaxy(loopback):
    loopback.will((401, NGINX.format("401 Authorization Required").encode(), ASKS))
    url = loopback.url.replace("//", "//me:pass%2Fword@")
    with pytest.raises(GalaxyError, match="it asks for a name and password of its own, and refuses those") as caught:
        Galaxy(KEY, url).get("histories")
    sent = loopback.asked[0].headers
    assert (sent["x-api-key"], sent["Authorization"]) == (KEY, "Basic " + base64.b64encode(b"me:pass/word").decode())
    assert "pass" not in str(caught.value).replace("password", "") and "me:" not in str(caught.value)


def test_the_proxys_password_goes_along_with_a_redirect_on_its_server(loopback):
    loopback.will((307, b"", {"Location": f"{loopback.url}/galaxy/"}), (200, {}))
    Galaxy(KEY, loopback.url.replace("//", "//me:password@") + "/galaxy").get("/galaxy")
    assert [one.headers.get("Authorization", "")[:6] for one in loopback.asked] == ["Basic ", "Basic "]


def test_a_page_to_log_in(loopback):
    loopback.will((200, b"<html><title>Sign in</title></html>", {"Content-Type": "text/html"}))
    with pytest.raises(GalaxyError, match="a page titled 'Sign in': .*a page to log in is a proxy's"):
        Galaxy(KEY, loopback.url).get("histories")


def test_html_in_place_of_json(loopback):
    loopback.will((200, b"<!doctype html><title>Galaxy</title>", {"Content-Type": "text/html"}))
    with pytest.raises(GalaxyError, match="not JSON but a page titled 'Galaxy'.*go on with /api/"):
        galaxy = Galaxy(KEY, loopback.url)
        galaxy.get(galaxy.url)


def test_an_empty_body(loopback):
    loopback.will((204, b""))
    galaxy = Galaxy(KEY, loopback.url)
    assert galaxy.delete("workflows/1") is None
    assert galaxy.put("workflows/1", {}) is None
    assert galaxy.post("workflows", {}) is None
    with pytest.raises(GalaxyError, match="empty body"):
        galaxy.get("workflows/1")


def test_a_server_that_names_the_key_in_its_answer(loopback):
    loopback.will((403, {"err_msg": f"no rights for {KEY}"}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get(f"histories?x={KEY}")
    assert KEY not in str(caught.value) and "***" in str(caught.value)


def test_control_characters_do_not_reach_the_terminal(loopback):
    loopback.will((400, {"err_msg": "red \x1b[31m and\nlines"}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert "red [31m and lines" in str(caught.value)


# ---------------------------------------------------------------------------------------------- TLS

@pytest.fixture
def tls(loopback, tmp_path):
    """The loopback server behind a certificate that nobody vouches for; gives its https address and the certificate."""
    import ssl
    pem = tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem, "-out", tmp_path / "only.pem"],
                   check=True, capture_output=True)
    pem.write_text(pem.read_text() + (tmp_path / "only.pem").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    loopback.http.socket = context.wrap_socket(loopback.http.socket, server_side=True)
    return loopback.url.replace("http:", "https:"), tmp_path / "only.pem"


def test_a_certificate_that_does_not_verify(tls, loopback, clock):
    with pytest.raises(GalaxyError, match="certificate does not verify.*REQUESTS_CA_BUNDLE.*GALAXY_INSECURE") as caught:
        Galaxy(KEY, tls[0]).get("version")
    assert caught.value.exit_code == FAILED
    assert loopback.asked == [] and clock.slept == []


def test_a_certificate_of_ones_own_authority(tls, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[1]))
    assert Galaxy(KEY, tls[0]).get("version") == {}


def test_insecure_on_purpose_warns_once(tls, monkeypatch, capsys):
    monkeypatch.setenv("GALAXY_INSECURE", "1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/dev/null")
    galaxy = Galaxy(KEY, tls[0])
    assert galaxy.get("version") == galaxy.get("version") == {}
    assert capsys.readouterr().err.count("not checked") == 1


def test_https_where_there_is_no_tls(loopback, clock):
    loopback.will((400, b"", {}))
    with pytest.raises(GalaxyError, match="no TLS at that port|TLS failed|broke"):
        Galaxy(KEY, loopback.url.replace("http:", "https:"), patience=0).get("version")


# ---------------------------------------------------------------------------------------------- pages, names, waiting

def members(start, stop):
    return [{"id": f"{number:016x}", "name": f"h{number}"} for number in range(start, stop)]


def test_pages_to_the_very_end(loopback):
    loopback.will((200, members(0, 500)), (200, members(500, 1000)), (200, members(1000, 1002)))
    told = list(Galaxy(KEY, loopback.url).pages("histories"))
    assert told == members(0, 1002)
    assert [asked.path for asked in loopback.asked] == [
        "/api/histories?limit=500&order=create_time-asc",
        "/api/histories?limit=500&order=create_time-asc&offset=500",
        "/api/histories?limit=500&order=create_time-asc&offset=1000"]


def test_pages_tell_nothing_twice_when_the_list_shifts(loopback):
    loopback.will((200, members(0, 500)), (200, members(499, 700)))
    assert list(Galaxy(KEY, loopback.url).pages("jobs")) == members(0, 700)


def test_pages_stop_early(loopback):
    loopback.will((200, members(0, 3)))
    assert list(Galaxy(KEY, loopback.url).pages("histories", limit=3)) == members(0, 3)
    assert [asked.path for asked in loopback.asked] == ["/api/histories?limit=3&order=create_time-asc"]


def test_pages_are_handed_on_one_by_one(loopback):
    loopback.will((200, members(0, 500)))
    pages = Galaxy(KEY, loopback.url).pages("histories")
    assert next(pages) == members(0, 1)[0]
    assert len(loopback.asked) == 1


def test_invocations_come_by_the_hundred(loopback):
    loopback.will((200, []))
    assert list(Galaxy(KEY, loopback.url).pages("invocations")) == []
    assert "limit=100" in loopback.asked[0].path


def test_a_route_that_knows_no_pages_is_told_once(loopback):
    loopback.will((200, members(0, 700)))
    assert list(Galaxy(KEY, loopback.url).pages("libraries")) == members(0, 700)
    assert len(loopback.asked) == 1
    loopback.will((200, members(0, 5)))     # it may have a limit of its own, so one more look
    assert list(Galaxy(KEY, loopback.url).pages("quotas")) == members(0, 5)
    assert len(loopback.asked) == 3


def test_what_the_user_typed_stays(loopback):
    loopback.will((200, members(0, 7)), (200, []))
    galaxy = Galaxy(KEY, f"{loopback.url}/api/histories?limit=7&order=name-asc&q=deleted&qv=True&offset=2")
    assert list(galaxy.pages(galaxy.url)) == members(0, 7)
    assert loopback.asked[0].path == "/api/histories?limit=7&order=name-asc&q=deleted&qv=True&offset=2"
    assert "offset=9" in loopback.asked[1].path


def test_an_object_has_no_pages(loopback):
    with pytest.raises(GalaxyError, match="not a list"):
        list(Galaxy(KEY, loopback.url).pages("version"))


def test_find_by_exact_name(loopback):
    loopback.will((200, [{"id": "1", "name": "run 1"}, {"id": "2", "name": "Run 1"}]))
    assert Galaxy(KEY, loopback.url).find("histories", "run 1")["id"] == "1"
    assert "q=name-eq&qv=run+1" in loopback.asked[0].path


def test_two_of_one_name_are_never_a_guess(loopback):
    loopback.will((200, [{"id": "aa", "name": "run"}, {"id": "bb", "name": "run"}]))
    with pytest.raises(GalaxyError, match="2 histories are named 'run': aa, bb"):
        Galaxy(KEY, loopback.url).find("histories", "run")


def test_none_of_that_name(loopback):
    loopback.will((200, [{"id": "aa", "name": "run", "deleted": True}]))
    with pytest.raises(GalaxyError, match="none of your histories .* is named 'run' \\(asked without a key\\)"):
        Galaxy("anonymous", loopback.url).find("histories", "run")


def test_named_by_its_id(loopback):
    loopback.will((200, {"id": "f2db41e1fa331b3e", "name": "run 1"}))
    assert Galaxy(KEY, loopback.url).resolve("histories", "f2db41e1fa331b3e")["name"] == "run 1"
    assert [asked.path for asked in loopback.asked] == ["/api/histories/f2db41e1fa331b3e"]


def test_named_by_a_name_that_looks_like_an_id(loopback):
    loopback.will((400, {"err_msg": "Wrong id"}), (200, [{"id": "1", "name": "20261124202611242026112420261124"}]))
    assert Galaxy(KEY, loopback.url).resolve("histories", "20261124202611242026112420261124")["id"] == "1"


def test_named_passes_on_what_is_no_matter_of_names(loopback):
    loopback.will((403, {"err_msg": "not yours"}))
    with pytest.raises(GalaxyError, match="not yours"):
        Galaxy(KEY, loopback.url).resolve("histories", "f2db41e1fa331b3e")


def test_nobodys_key_is_told(loopback):
    loopback.will((200, {"id": "1", "email": "a@b"}), (200, {"total_disk_usage": 0}))
    assert Galaxy(KEY, loopback.url).current_user()["email"] == "a@b"
    with pytest.raises(GalaxyError, match="does not recognise this API key"):
        Galaxy(KEY, loopback.url).current_user()


def test_waiting_asks_one_small_question_a_look(loopback, clock):
    busy = [{"id": f"d{number}", "state": "running", "history_content_type": "dataset"} for number in range(100)]
    ended = [{**one, "state": "ok"} for one in busy]
    loopback.will((200, busy), (200, busy[:3]), (200, [{"id": "another's"}]), (200, ended))
    states = wait_datasets(Galaxy(KEY, loopback.url), "h", [one["id"] for one in busy])
    assert set(states.values()) == {"ok"} and len(states) == 100
    assert len(loopback.asked) == 4
    assert "q=state-in&qv=new%2Cupload%2Cqueued%2Crunning%2Csetting_metadata" in loopback.asked[0].path
    assert clock.slept == [0.25, 0.3125]


def test_waiting_for_jobs(loopback, clock):
    loopback.will((200, [{"id": "j1", "state": "queued"}]), (200, []), (200, [{"id": "j1", "state": "error"}]))
    assert wait_jobs(Galaxy(KEY, loopback.url), "h", ["j1"]) == {"j1": "error"}
    assert "history_id=h&state=new&state=resubmitted" in loopback.asked[0].path


def test_waiting_ends_with_the_time(loopback, clock):
    loopback.will((200, [{"id": "j1", "state": "queued"}]))
    with pytest.raises(GalaxyError, match="1 of 2 still running after 50 s: j1") as caught:
        wait_jobs(Galaxy(KEY, loopback.url), "h", ["j1", "j2"], timeout=50)
    assert caught.value.exit_code == STILL_RUNNING
    assert sum(clock.slept) == pytest.approx(50)


def test_waiting_for_what_is_not_there(loopback, clock):
    loopback.will((200, []))
    with pytest.raises(GalaxyError, match="history h has no dataset d1"):
        wait_datasets(Galaxy(KEY, loopback.url), "h", ["d1"])


def test_pauses_grow_to_half_a_minute(clock):
    for look in common.backoff():
        if look == 40:
            break
    assert clock.slept[0] == 0.25 and clock.slept[-1] == 30
    assert clock.slept == sorted(clock.slept)


# ---------------------------------------------------------------------------------------------- the command line

USAGE_TEXT = """Do it.

Usage:
  do.py [options] KEY URL [NAME=VALUE...]

Options:
  --limit=N   so many
  -h, --help  show this
"""


def test_arguments():
    args = common.arguments(USAGE_TEXT, ["-", "http://x", "a=1", "b=-2"])
    assert (args["KEY"], args["NAME=VALUE"], args["--limit"]) == ("-", ["a=1", "b=-2"], None)


def test_a_bad_line_shows_the_usage_and_no_key(capsys):
    with pytest.raises(SystemExit) as caught:
        common.arguments(USAGE_TEXT, [KEY])
    assert caught.value.code == USAGE
    told = capsys.readouterr()
    assert told.err == f"Usage:\n  do.py [options] KEY URL [NAME=VALUE...]\n{common.script_name()} --help says more\n"
    assert told.out == ""


def test_help(capsys):
    with pytest.raises(SystemExit) as caught:
        common.arguments(USAGE_TEXT, ["--help"])
    assert not caught.value.code
    assert "so many" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "0", "١", ""])
def test_whole_numbers(text):
    assert common.int_option({"--limit": "12"}, "--limit") == 12
    assert common.int_option({"--limit": None}, "--limit") is None
    with pytest.raises(GalaxyError, match="--limit=") as caught:
        common.int_option({"--limit": text}, "--limit", least=1)
    assert caught.value.exit_code == USAGE


def test_payload(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text('\ufeff{"a": [1]}', encoding="utf-8")
    (tmp_path / "a.txt").write_text("two\nlines")
    monkeypatch.chdir(tmp_path)
    assert common.parse_payload(["name=a=b", "n:=[1, null]", "j:=@a.json", "t@=a.txt", "e=", "s==", "at=@a.json"]) == {
        "name": "a=b", "n": [1, None], "j": {"a": [1]}, "t": "two\nlines", "e": "", "s": "=", "at": "@a.json"}
    assert common.parse_payload(["@a.json"]) == {"a": [1]}
    assert common.parse_payload([]) == {}


@pytest.mark.parametrize("pairs", [["name"], ["=x"], [":=1"], ["@=x"], ["n:={"], ["n:=@nosuch"], ["t@=nosuch"],
                                   ["@nosuch"], ["@nosuch", "a=1"]])
def test_payloads_that_are_refused(pairs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GalaxyError) as caught:
        common.parse_payload(pairs)
    assert caught.value.exit_code == USAGE


# ---------------------------------------------------------------------------------------------- the legacy names

def test_make_url():
    assert common.make_url("K", "http://h/api/x") == "http://h/api/x?key=K"
    assert common.make_url("K", "http://h/api/x?a=1", [("b", "2 3")]) == "http://h/api/x?a=1&key=K&b=2 3"
    assert common.make_url("K", "http://h/api/x?key=Z") == "http://h/api/x?key=Z"
    assert common.make_url("K", "http://h/api/x", [("q", "a%20b")]) == "http://h/api/x?key=K&q=a%20b"       # as it is given
    assert common.make_url("K", "http://h/api/x?key=Z", [("b", 1)]) == "http://h/api/x?key=Z&b=1"


def test_legacy_functions_return_json(loopback):
    loopback.will((200, {"id": "1"}))
    url = f"{loopback.url}/api/histories"
    assert common.get(KEY, url) == common.post(KEY, url, {"a": 1}) == common.put(KEY, url, {"a": 2}) == {"id": "1"}
    assert common.display(KEY, url, return_formatted=False) == {"id": "1"}
    assert common.submit(KEY, url, {"a": 3}, return_formatted=False) == {"id": "1"}
    assert common.update(KEY, url, {"a": 4}, False) == common.delete(KEY, url, {"a": 5}, False) == {"id": "1"}
    assert [(asked.method, asked.body) for asked in loopback.asked[1:]] == [
        ("POST", b'{"a": 1}'), ("PUT", b'{"a": 2}'), ("GET", b""), ("POST", b'{"a": 3}'), ("PUT", b'{"a": 4}'),
        ("DELETE", b'{"a": 5}')]


def test_legacy_functions_print(loopback, capsys):
    loopback.will((200, {"id": "1", "tags": []}))
    url = f"{loopback.url}/api/histories"
    assert common.submit(KEY, url, {}) is None
    common.update(KEY, url, {})
    common.delete(KEY, url, {})
    common.display(KEY, url)
    response = "Response\n--------\n{'id': '1', 'tags': []}\n"
    assert capsys.readouterr().out == response * 3 + "Member Information\n------------------\nid: 1\ntags: []\n"


def test_a_recipe_that_catches_nothing_ends_with_one_line(loopback, tmp_path):
    loopback.will((400, {"err_msg": "Malformed id", "err_code": 400009}))
    recipe = tmp_path / "recipe.py"
    recipe.write_text("import sys\nfrom common import display\ndisplay(sys.argv[1], sys.argv[2], return_formatted=False)\n")

    def ended(**settings):
        return subprocess.run([sys.executable, recipe, KEY, f"{loopback.url}/api/histories/1"], capture_output=True,
                              text=True, env={**os.environ, "PYTHONPATH": str(ROOT), **settings})
    assert (ended().returncode, ended().stdout, ended().stderr.count("\n")) == (1, "", 1)
    assert ended().stderr.startswith("recipe.py: GET http://127.0.0.1:") and "Malformed id" in ended().stderr
    assert "Traceback" in ended(GALAXY_DEBUG="1").stderr and KEY not in ended(GALAXY_DEBUG="1").stderr
    recipe.write_text(recipe.read_text() + "nosuch\n")
    loopback.will((200, {}))
    assert "NameError" in ended().stderr


@pytest.mark.parametrize("ask", [
    lambda url: common.display(KEY, url), lambda url: common.get(KEY, url), lambda url: common.post(KEY, url, {}),
    lambda url: common.put(KEY, url, {}), lambda url: common.submit(KEY, url, {}, return_formatted=False),
    lambda url: common.update(KEY, url, {}), lambda url: common.delete(KEY, url, {}, return_formatted=False)])
def test_the_eight_helpers_raise_urllibs_errors_too(loopback, clock, monkeypatch, capsys, ask):
    loopback.will((404, {"err_msg": "History not found"}))
    with pytest.raises(HTTPError) as caught:
        ask(f"{loopback.url}/api/histories/1")
    error = caught.value
    assert isinstance(error, GalaxyError) and (error.status, error.err_msg) == (404, "History not found")
    assert (error.code, error.reason, json.loads(error.read())) == (404, "Not Found", {"err_msg": "History not found"})
    assert "History not found" in str(error) and capsys.readouterr() == ("", "")
    with pytest.raises(URLError) as caught:
        ask("http://127.0.0.1:9/api/histories")
    assert not isinstance(caught.value, HTTPError) and caught.value.exit_code == TRY_LATER
    assert "connection refused" in str(caught.value.reason)


def test_an_uncaught_error_names_the_recipes_line_to_change(loopback, tmp_path):
    loopback.will((404, {"err_msg": "History not found"}))
    recipe = tmp_path / "recipe.py"
    recipe.write_text(f"import common\n\nprint(common.submit({KEY!r}, '{loopback.url}/api/histories', {{}}, return_formatted=False))\n")
    ended = process(recipe, PYTHONPATH=str(ROOT))
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "History not found" in ended.stderr and "line 3 of recipe.py: submit raises where it returned a text" in ended.stderr


# ---------------------------------------------------------------------------------------------- whole processes

def process(*arguments, **environment):
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, **environment})


def test_a_reader_that_has_seen_enough(loopback):
    loopback.will((200, members(0, 20000)))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/histories | head -n 1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("Collection Members\n", "", 128 + signal.SIGPIPE)


def test_unicode_in_a_cron_jobs_locale(loopback):
    loopback.will((200, {"name": "Größe 基因"}))
    ended = process("display.py", KEY, f"{loopback.url}/api/x", LC_ALL="POSIX", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0",
                    PYTHONIOENCODING="ascii")
    assert ended.returncode == 0 and "name: Gr\\xf6\\xdfe" in ended.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_its_number(loopback, number):
    loopback.will(lambda handler: time.sleep(5))
    running = subprocess.Popen([sys.executable, "display.py", KEY, f"{loopback.url}/api/x"], cwd=ROOT,
                               stderr=subprocess.PIPE, text=True)
    while not loopback.asked:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(number)
    assert running.communicate()[1] == "" and running.returncode == 128 + number


def test_the_verbs_run_with_the_old_docopt_too(loopback, tmp_path):
    """docopt 0.6.2 is one module with the same interface; a stand-in shows that we only ever call it positionally."""
    (tmp_path / "docopt.py").write_text(
        "class DocoptExit(SystemExit): pass\n"
        "def docopt(doc, argv=None, help=True, version=None, options_first=False):\n"
        "    names = ['--all', '--limit', '--format', '--fields']\n"
        "    return dict.fromkeys(names) | {'KEY': argv[0], 'URL': argv[1]}\n")
    loopback.will((200, "1.0"))
    ended = process("display.py", KEY, f"{loopback.url}/api/x", PYTHONPATH=str(tmp_path))
    assert (ended.returncode, ended.stdout) == (0, "1.0\n")


def test_debugging_shows_the_traceback_without_the_key(loopback):
    loopback.will((404, {"err_msg": f"no {KEY}"}))
    ended = process("display.py", KEY, f"{loopback.url}/api/x", GALAXY_DEBUG="1")
    assert "Traceback" in ended.stderr and KEY not in ended.stderr and ended.returncode == 1


def test_standard_output_that_is_full_or_closed(loopback):
    loopback.will((200, members(0, 3)))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/histories"
    ended = subprocess.run(["bash", "-c", f"{line} > /dev/full"], cwd=ROOT, capture_output=True, text=True)
    assert (ended.stderr, ended.returncode) == ("display.py: No space left on device\n", FAILED)
    ended = subprocess.run(["bash", "-c", f"{line} >&-"], cwd=ROOT, capture_output=True, text=True)
    assert (ended.stderr, ended.returncode) == ("", 0)


@pytest.mark.parametrize("package, line", [
    ("requests", ["display.py", KEY, "http://127.0.0.1"]), ("docopt", ["display.py", KEY, "http://127.0.0.1"]),
    ("tabulate", ["create.py", "-n", "--format=table", KEY, "http://127.0.0.1"])])
def test_a_package_that_is_not_installed(tmp_path, package, line):
    name = {"docopt": "docopt-ng"}.get(package, package)
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})")
    ended = process(*line, PYTHONPATH=str(tmp_path))
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1
    assert f"the package {name} is not installed: pip install" in ended.stderr


# ---------------------------------------------------------------------------------------------- servers that lie

@pytest.mark.parametrize("location", [
    "{other}\\@{ours}/api/a", "http://me@{other_host}/api/a", "//{other_host}/api/a", "file:///etc/passwd", "http://[bad",
    "http://127.0.0.1:99999999/", "/api/../../x", "{other}#@{ours_host}/", "gopher://x"])
def test_a_key_follows_no_clever_redirect(loopback, other_loopback, location):
    """urlsplit and the library that connects read http://a\\@b in two ways."""
    words = {"other": other_loopback.url, "ours": loopback.url.removeprefix("http://"),
             "other_host": other_loopback.url.removeprefix("http://"), "ours_host": loopback.url.removeprefix("http://")}
    loopback.will((302, {}, {"Location": location.format(**words)}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).request("GET", "histories", allow_other_host=False)
    assert caught.value.exit_code == FAILED
    assert other_loopback.asked == []


@pytest.mark.parametrize("status, headers", [(302, {}), (304, {}), (300, {"Location": "/x"}), (600, {}), (999, {})])
def test_what_is_not_2xx_is_no_success(loopback, status, headers):
    loopback.will((status, b"", headers))
    for ask in ("get", "post", "put", "delete"):
        with pytest.raises(GalaxyError) as caught:
            getattr(Galaxy(KEY, loopback.url), ask)("histories")
        assert caught.value.exit_code == FAILED and caught.value.status == status


def test_no_cookie_goes_anywhere(loopback, other_loopback):
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/x", "Set-Cookie": "galaxysession=s3cret; Path=/"}))
    Galaxy(KEY, loopback.url).request("GET", "datasets/1/display", allow_other_host=True)
    assert "Cookie" not in other_loopback.asked[0].headers


@pytest.mark.parametrize("hint", ["0", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_come_back_at_once_is_no_tight_loop(loopback, clock, hint):
    loopback.will((503, {}, {"Retry-After": hint}))
    with pytest.raises(GalaxyError):
        Galaxy(KEY, loopback.url, patience=600).get("histories")
    assert sum(clock.slept) == pytest.approx(600) and len(loopback.asked) < 100


@pytest.mark.parametrize("body", [
    {"validation_errors": [{"loc": 5}]}, {"validation_errors": "[" * 5000}, {"validation_errors": {"a": 1}}, {"err_msg": 5},
    {"detail": [[[1]]]}, {"err_msg": ["a"], "err_code": "x"}, {"validation_errors": [None, 1, [2]]}, [], "", None])
def test_refusals_of_every_type_are_one_line(loopback, body):
    loopback.will((400, body))
    with pytest.raises(GalaxyError, match="400 Bad Request") as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2000


@pytest.mark.parametrize("charset", ["idna", "undefined", "no-such"])
def test_charsets_that_are_none(loopback, charset):
    loopback.will((400, b"\xff words", {"Content-Type": f"text/plain; charset={charset}"}))
    with pytest.raises(GalaxyError, match="400 Bad Request"):
        Galaxy(KEY, loopback.url).get("histories")


def test_half_a_key_is_a_secret_too(loopback):
    loopback.will((400, ("x" * 190 + KEY).encode(), {"Content-Type": "text/plain"}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).get("histories")
    assert KEY[:6] not in str(caught.value)


def test_answers_that_are_no_json(loopback):
    for body in (b"{", b"[" * 100_000, b"\xff\xfe", b"<html>"):
        loopback.will((200, body))
        with pytest.raises(GalaxyError, match="not JSON"):
            Galaxy(KEY, loopback.url).get("histories")
    loopback.will((200, b"rubbish", {"Content-Encoding": "gzip"}))
    with pytest.raises(GalaxyError, match="compression"):
        Galaxy(KEY, loopback.url).get("histories")


def test_members_of_one_page_are_all_given(loopback):
    twins = [{"name": "same"}, {"name": "same"}, {"id": "1", "name": "dataset"}, {"id": "1", "name": "collection"}]
    loopback.will((200, twins))
    assert list(Galaxy(KEY, loopback.url).pages("datasets")) == twins
    loopback.will((200, [{"name": "same"}] * 500), (200, [{"name": "same"}] * 500), (200, [{"name": "same"}]))
    assert len(list(Galaxy(KEY, loopback.url).pages("histories"))) == 1001


def test_a_route_that_knows_no_offset_is_not_asked_for_ever(loopback):
    loopback.will((200, [{"name": "same"}] * 500))
    assert len(list(Galaxy(KEY, loopback.url).pages("quotas"))) == 500
    assert len(loopback.asked) == 2


def test_waiting_is_no_longer_than_told_where_the_server_is_away(loopback, clock):
    loopback.close()
    galaxy = Galaxy(KEY, loopback.url, patience=600)
    with pytest.raises(GalaxyError) as caught:
        wait_jobs(galaxy, "h", ["j"], timeout=20)
    assert caught.value.exit_code == TRY_LATER
    assert sum(clock.slept) == pytest.approx(20)


# ---------------------------------------------------------------------------------------------- odd command lines

OLD = """An old script.

Usage:
  old.py [options] KEY URL [NAME]

Options:
  -n, --dry-run  a flag
  --to=FILE      an option with a value
  -h, --help     show this help
  --version      show the version
"""
OLD_OPTIONS = """Another.

Usage:
  old.py [options] -a KEY -u URL (-d BUILD)...

Options:
  -a KEY, --api=KEY      a key
  -u URL, --url=URL      a server
  -d BUILD, --dbkey=BUILD  a build, repeatable
  -f NAME                a folder
"""


@pytest.mark.parametrize("line, name, dry_run, to", [
    (["k", "u", "-80 freezer"], "-80 freezer", False, None), (["k", "u", "-high coverage"], "-high coverage", False, None),
    (["k", "u", "-n"], None, True, None), (["-n", "k", "u", "-name"], "-name", True, None), (["k", "-", "-5"], "-5", False, None),
    (["k", "u", "n", "extra", "words"], "n", False, None), (["k", "u", "--to=a", "n", "--to", "-b"], "n", False, "-b"),
    (["k", "u", "--", "--nosuch"], "--nosuch", False, None), (["k", "u", ""], "", False, None)])
def test_an_old_line_is_read_as_the_old_scripts_read_it(line, name, dry_run, to):
    args = common.arguments(OLD, line, legacy=True)
    assert (args["KEY"], args["NAME"], args["--dry-run"], args["--to"]) == ("k", name, dry_run, to)


def test_an_old_line_of_options():
    args = common.arguments(OLD_OPTIONS, ["-a=K", "-uhttp://h", "-d", "hg19", "-d=hg38", "-f", "1", "-f2"], legacy=True)
    assert (args["--api"], args["--url"], args["--dbkey"], args["-f"]) == ("K", "http://h", ["hg19", "hg38"], "2")


@pytest.mark.parametrize("legacy", [True, False])
def test_an_unknown_option_is_named_with_the_nearest_one(legacy, capsys):
    with pytest.raises(GalaxyError, match="option --dry-rum not recognized: did you mean --dry-run") as caught:
        common.arguments(OLD, ["--dry-rum", "k", "u"], legacy=legacy)
    assert caught.value.exit_code == USAGE and caught.value.table.startswith("Usage:") and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("line", [["k", "u", "-x"], ["k", "u", "n", "extra"], ["k", "u", "--to"], ["k", "u", "--dry-run=1"],
                                  ["k", "u", "-h"], ["--version", "k"]])
def test_a_new_line_is_read_strictly(line):
    with pytest.raises((GalaxyError, SystemExit)) as caught:
        common.arguments(OLD, line)
    assert getattr(caught.value, "exit_code", getattr(caught.value, "code", None)) == USAGE


@pytest.mark.parametrize("line, text", [(["-h"], "Usage:"), (["--help"], "An old script."), (["--version"], common.VERSION)])
def test_help_and_version_stand_alone(capsys, line, text):
    with pytest.raises(SystemExit) as caught:
        common.arguments(OLD, line)
    assert caught.value.code == 0 and text in capsys.readouterr().out


def test_arguments_behind_two_hyphens_may_begin_with_one():
    args = common.arguments(USAGE_TEXT, ["--limit=3", "--", "-", "http://x", "-a=1", "--"])
    assert (args["KEY"], args["URL"], args["NAME=VALUE"], args["--limit"]) == ("-", "http://x", ["-a=1", "--"], "3")
    assert common.arguments(USAGE_TEXT, ["-", "http://x", "--"])["NAME=VALUE"] == []


def test_arguments_that_are_not_utf8():
    with pytest.raises(GalaxyError, match="not UTF-8"):
        common.arguments(USAGE_TEXT, ["-", "http://x", "a=\udcff"])


@pytest.mark.parametrize("text", ["", "a b", "a/b", "a?x=1", "../x", "ID\n"])
def test_what_is_no_id(text):
    assert common.parse_id("f2db41e1fa331b3e", "HISTORY") == "f2db41e1fa331b3e"
    with pytest.raises(GalaxyError, match="HISTORY: .* is not an id") as caught:
        common.parse_id(text, "HISTORY")
    assert caught.value.exit_code == USAGE


def test_no_message_shows_a_value(tmp_path):
    for pairs in (["password:=hunter2"], ["hunter2"], ["=hunter2"]):
        with pytest.raises(GalaxyError) as caught:
            common.parse_payload(pairs)
        assert "hunter2" not in str(caught.value)


def test_numbers_that_json_has_not(loopback):
    for text in ("NaN", "1e999", "-Infinity"):
        with pytest.raises(GalaxyError, match="NaN and Infinity are not JSON") as caught:
            Galaxy(KEY, loopback.url).post("histories", common.parse_payload([f"x:={text}"]))
        assert caught.value.exit_code == USAGE
    assert loopback.asked == []


def test_json_that_is_nested_too_deeply(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for pairs in ([f"@{tmp_path}/deep.json"], [f"x:=@{tmp_path}/deep.json"]):
        with pytest.raises(GalaxyError, match="nested too deeply|not JSON"):
            common.parse_payload(pairs)


def test_standard_input_as_a_payload(type_in, monkeypatch):
    type_in(b'\xef\xbb\xbf{"a": "\xc3\xa9"}')
    assert common.parse_payload(["@-"]) == {"a": "é"}
    type_in(b'{"a": "\xe9"}')
    with pytest.raises(GalaxyError, match="standard input: not a text in UTF-8"):
        common.parse_payload(["@-"])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(GalaxyError, match="standard input is closed"):
        common.parse_payload(["@-"])


def test_a_recipe_of_any_name(loopback, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/分析.py"])
    assert Galaxy(KEY, loopback.url).get("version") == {}
    assert loopback.asked[0].headers["User-Agent"].endswith("(??.py)")


def test_errors_do_not_go_to_standard_output(loopback):
    loopback.will((404, {"err_msg": "no"}))
    line = f"{sys.executable} display.py {KEY} {loopback.url}/api/x 2>&-"
    ended = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (ended.stdout, ended.returncode) == ("", FAILED)


@pytest.mark.parametrize("location", ["/x/\xe9", "http://[bad", "http://h..i/"])
def test_a_redirect_that_requests_itself_stumbles_over_is_no_bad_command_line(loopback, location):
    loopback.will((303, {}, {"Location": location}))
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, loopback.url).post("histories", {"name": "x"})
    assert caught.value.exit_code == FAILED


def test_what_netrc_has_for_a_host_goes_to_no_port_of_it(loopback, other_loopback, alone):
    (alone / ".netrc").write_text("machine 127.0.0.1 login nu password npw\n")
    (alone / ".netrc").chmod(0o600)
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/x"}))
    Galaxy(KEY, loopback.url).request("GET", "datasets/1/display", allow_other_host=True)
    assert "Authorization" not in loopback.asked[0].headers and "Authorization" not in other_loopback.asked[0].headers


def test_a_password_in_the_url_goes_to_its_own_server(loopback, other_loopback, capsys, script):
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/x"}))
    url = loopback.url.replace("http://", "http://me:p%40ss@")
    Galaxy(KEY, url).request("GET", "datasets/1/display", allow_other_host=True)
    assert loopback.asked[0].headers["Authorization"] == "Basic bWU6cEBzcw=="
    assert "Authorization" not in other_loopback.asked[0].headers


def test_an_address_for_an_object_store_stays_as_it_is(loopback, other_loopback):
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/a//obj?sig=%2F%2F"}))
    Galaxy(KEY, loopback.url).request("GET", "datasets/1/display", allow_other_host=True)
    assert other_loopback.asked[0].path == "/a//obj?sig=%2F%2F"


def test_after_waiting_patience_is_what_it_was(loopback, clock):
    loopback.will((200, []), (200, [{"id": "j", "state": "ok"}]), (502, {}), (200, {"id": "h"}))
    galaxy = Galaxy(KEY, loopback.url)
    wait_jobs(galaxy, "h", ["j"], timeout=1)
    clock.now += 100
    assert galaxy.get("histories/h") == {"id": "h"}


def test_full_disks(loopback, tmp_path):
    loopback.will((200, {"id": "h"}))
    url = f"{loopback.url}/api/histories"

    def shell(line):
        ended = subprocess.run(["bash", "-c", f"{sys.executable} {line}"], cwd=ROOT, capture_output=True, text=True)
        return ended.returncode, ended.stderr
    code, said = shell(f"create.py {KEY} {url} name=x > /dev/full")
    assert (code, said) == (
        FAILED, "create.py: it is done (id h), but the answer can't be printed: No space left on device\n")
    assert shell(f"display.py {KEY} 2> /dev/full") == (USAGE, "")
    assert shell(f"display.py '' {url} 2> /dev/full") == (USAGE, "")
    assert shell(f"create.py --format=csv {KEY} {url} name=x >&-") == (0, "")


@pytest.mark.parametrize("proxy", ["foo://bar", "http://", "socks5://127.0.0.1:1"])
def test_a_proxy_variable_that_is_no_good(monkeypatch, proxy):
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(GalaxyError) as caught:
        Galaxy(KEY, "http://galaxy.invalid", patience=0).get("version")
    assert "proxy" in str(caught.value) or "no such host" in str(caught.value)
