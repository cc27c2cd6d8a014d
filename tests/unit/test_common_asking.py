"""`Galaxy`: where the key goes, redirects, TLS, pages of lists, things found by name, time limits."""
import subprocess
import sys

import pytest
from fakes import KEY, URL

import common
from common import FAILED, USAGE, Galaxy, GalaxyError

# --------------------------------------------------------------------------------------------------- where the key goes

def test_the_key_goes_in_a_header_and_nowhere_else(loopback):
    Galaxy(KEY, loopback.url).get("histories")
    request = loopback.asked[0]
    assert request.line == "GET /api/histories"
    assert request.headers["x-api-key"] == KEY


def test_a_key_in_the_url_moves_to_the_header(loopback):
    galaxy = Galaxy("another", f"{loopback.url}/api/histories?key={KEY}&limit=3")
    galaxy.get(galaxy.url)
    assert loopback.asked[0].line == "GET /api/histories?limit=3"
    assert loopback.asked[0].headers["x-api-key"] == KEY


def test_anonymous_sends_no_key(loopback):
    Galaxy("anonymous", loopback.url).get("version")
    assert "x-api-key" not in loopback.asked[0].headers


def test_the_user_agent_names_the_script(loopback, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/some/where/nightly.py"])
    Galaxy(KEY, loopback.url).get("version")
    assert loopback.asked[0].headers["User-Agent"] == f"galaxy-api-scripts/{common.VERSION} (nightly.py)"


def test_the_user_agent_takes_a_script_name_outside_ascii(loopback, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/分析.py"])
    assert Galaxy(KEY, loopback.url).get("version") == {}
    assert loopback.asked[0].headers["User-Agent"].endswith("(??.py)")


def test_cookies_are_never_sent(loopback, other_loopback):
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/x", "Set-Cookie": "galaxysession=s3cret; Path=/"}))
    Galaxy(KEY, loopback.url).request("GET", "datasets/1/display", allow_other_host=True)
    assert "Cookie" not in other_loopback.asked[0].headers


def test_netrc_passwords_are_never_sent(loopback, other_loopback, alone):
    (alone / ".netrc").write_text("machine 127.0.0.1 login nu password npw\n")
    (alone / ".netrc").chmod(0o600)
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/x"}))
    Galaxy(KEY, loopback.url).request("GET", "datasets/1/display", allow_other_host=True)
    assert "Authorization" not in loopback.asked[0].headers and "Authorization" not in other_loopback.asked[0].headers


def test_a_password_in_the_url_goes_to_its_own_server_only(loopback, other_loopback, capsys, script):
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/x"}))
    url = loopback.url.replace("http://", "http://me:p%40ss@")
    Galaxy(KEY, url).request("GET", "datasets/1/display", allow_other_host=True)
    assert loopback.asked[0].headers["Authorization"] == "Basic bWU6cEBzcw=="
    assert "Authorization" not in other_loopback.asked[0].headers


def test_a_password_in_the_url_follows_a_redirect_on_the_same_server(loopback):
    loopback.will((307, b"", {"Location": f"{loopback.url}/galaxy/"}), (200, {}))
    Galaxy(KEY, loopback.url.replace("//", "//me:password@") + "/galaxy").get("/galaxy")
    assert [request.headers.get("Authorization", "")[:6] for request in loopback.asked] == ["Basic ", "Basic "]


# ------------------------------------------------------------------------------------------------------------ redirects

@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_refused(loopback, other_loopback, status):
    loopback.will((status, {}, {"Location": f"{other_loopback.url}/api/histories"}))
    with pytest.raises(GalaxyError, match="where your key does not go unasked") as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert excinfo.value.exit_code == FAILED
    assert other_loopback.asked == []


@pytest.mark.parametrize("location", [
    "{other}\\@{ours}/api/a", "http://me@{other_host}/api/a", "//{other_host}/api/a", "file:///etc/passwd", "http://[bad",
    "http://127.0.0.1:99999999/", "/api/../../x", "{other}#@{ours_host}/", "gopher://x"])
def test_a_redirect_with_an_ambiguous_address_is_refused(loopback, other_loopback, location):
    """Python's urlsplit and the library that connects read http://a\\@b in two ways."""
    addresses = {"other": other_loopback.url, "ours": loopback.url.removeprefix("http://"),
                 "other_host": other_loopback.url.removeprefix("http://"), "ours_host": loopback.url.removeprefix("http://")}
    loopback.will((302, {}, {"Location": location.format(**addresses)}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).request("GET", "histories", allow_other_host=False)
    assert excinfo.value.exit_code == FAILED
    assert other_loopback.asked == []


def test_a_download_follows_a_redirect_to_another_server_without_the_key(loopback, other_loopback):
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
    assert [request.headers["x-api-key"] for request in loopback.asked] == [KEY, KEY]


def test_the_query_of_a_redirect_is_not_sent_twice(loopback):
    loopback.will((307, {}, {"Location": "/api/histories/?limit=3"}), (200, []))
    Galaxy(KEY, loopback.url).get("histories", {"limit": 3})
    assert [request.path for request in loopback.asked] == ["/api/histories?limit=3", "/api/histories/?limit=3"]


def test_a_redirected_post_is_not_sent_again(loopback):
    loopback.will((301, {}, {"Location": "/api/histories/"}))
    with pytest.raises(GalaxyError, match="a POST is not sent on: use that address"):
        Galaxy(KEY, loopback.url).post("histories", {"name": "x"})
    assert [request.line for request in loopback.asked] == ["POST /api/histories"]


def test_a_redirect_loop_is_an_error(loopback):
    loopback.will((302, {}, {"Location": "/api/histories"}))
    with pytest.raises(GalaxyError, match="in a loop"):
        Galaxy(KEY, loopback.url).get("histories")
    assert len(loopback.asked) == 10


@pytest.mark.parametrize("location", ["/x/\xe9", "http://[bad", "http://h..i/"])
def test_a_redirect_that_requests_cannot_parse_is_not_a_usage_error(loopback, location):
    loopback.will((303, {}, {"Location": location}))
    with pytest.raises(GalaxyError) as excinfo:
        Galaxy(KEY, loopback.url).post("histories", {"name": "x"})
    assert excinfo.value.exit_code == FAILED


def test_a_redirect_to_an_object_store_keeps_its_slashes_and_escapes(loopback, other_loopback):
    loopback.will((302, {}, {"Location": f"{other_loopback.url}/a//obj?sig=%2F%2F"}))
    Galaxy(KEY, loopback.url).request("GET", "datasets/1/display", allow_other_host=True)
    assert other_loopback.asked[0].path == "/a//obj?sig=%2F%2F"


# ------------------------------------------------------------------------------------------------------------------ TLS

@pytest.fixture
def tls(loopback, tmp_path):
    """Serve `loopback` over TLS with a self-signed certificate; the fixture is its https address and that certificate."""
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


def test_a_certificate_that_does_not_verify_is_an_error_at_once(tls, loopback, clock):
    with pytest.raises(GalaxyError, match="certificate does not verify.*REQUESTS_CA_BUNDLE.*GALAXY_INSECURE") as excinfo:
        Galaxy(KEY, tls[0]).get("version")
    assert excinfo.value.exit_code == FAILED
    assert loopback.asked == [] and clock.slept == []


def test_a_certificate_in_requests_ca_bundle_is_trusted(tls, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls[1]))
    assert Galaxy(KEY, tls[0]).get("version") == {}


def test_galaxy_insecure_turns_verification_off_and_warns_once(tls, monkeypatch, capsys):
    monkeypatch.setenv("GALAXY_INSECURE", "1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/dev/null")
    galaxy = Galaxy(KEY, tls[0])
    assert galaxy.get("version") == galaxy.get("version") == {}
    assert capsys.readouterr().err.count("not checked") == 1


def test_https_to_a_plain_http_port_is_an_error(loopback, clock):
    loopback.will((400, b"", {}))
    with pytest.raises(GalaxyError, match="no TLS at that port|TLS failed|broke"):
        Galaxy(KEY, loopback.url.replace("http:", "https:"), patience=0).get("version")


# ------------------------------------------------------------------------------------------------------ pages and names

def members(start, stop):
    return [{"id": f"{number:016x}", "name": f"h{number}"} for number in range(start, stop)]


def test_pages_yields_every_member_of_a_list(loopback):
    loopback.will((200, members(0, 500)), (200, members(500, 1000)), (200, members(1000, 1002)))
    output = list(Galaxy(KEY, loopback.url).pages("histories"))
    assert output == members(0, 1002)
    assert [request.path for request in loopback.asked] == [
        "/api/histories?limit=500&order=create_time-asc",
        "/api/histories?limit=500&order=create_time-asc&offset=500",
        "/api/histories?limit=500&order=create_time-asc&offset=1000"]


def test_pages_yields_each_member_once_when_the_list_shifts(loopback):
    loopback.will((200, members(0, 500)), (200, members(499, 700)))
    assert list(Galaxy(KEY, loopback.url).pages("jobs")) == members(0, 700)


def test_pages_stops_at_the_limit(loopback):
    loopback.will((200, members(0, 3)))
    assert list(Galaxy(KEY, loopback.url).pages("histories", limit=3)) == members(0, 3)
    assert [request.path for request in loopback.asked] == ["/api/histories?limit=3&order=create_time-asc"]


def test_pages_yields_members_before_it_asks_for_the_next_page(loopback):
    loopback.will((200, members(0, 500)))
    pages = Galaxy(KEY, loopback.url).pages("histories")
    assert next(pages) == members(0, 1)[0]
    assert len(loopback.asked) == 1


def test_pages_asks_for_a_hundred_invocations_at_a_time(loopback):
    loopback.will((200, []))
    assert list(Galaxy(KEY, loopback.url).pages("invocations")) == []
    assert "limit=100" in loopback.asked[0].path


def test_pages_yields_a_list_once_where_a_route_has_no_pages(loopback):
    loopback.will((200, members(0, 700)))
    assert list(Galaxy(KEY, loopback.url).pages("libraries")) == members(0, 700)
    assert len(loopback.asked) == 1
    loopback.will((200, members(0, 5)))     # it may have a limit of its own, so one more look
    assert list(Galaxy(KEY, loopback.url).pages("quotas")) == members(0, 5)
    assert len(loopback.asked) == 3


def test_pages_ends_where_a_route_ignores_the_offset(loopback):
    loopback.will((200, [{"name": "same"}] * 500))
    assert len(list(Galaxy(KEY, loopback.url).pages("quotas"))) == 500
    assert len(loopback.asked) == 2


def test_pages_yields_members_without_ids_and_with_equal_ids(loopback):
    twins = [{"name": "same"}, {"name": "same"}, {"id": "1", "name": "dataset"}, {"id": "1", "name": "collection"}]
    loopback.will((200, twins))
    assert list(Galaxy(KEY, loopback.url).pages("datasets")) == twins
    loopback.will((200, [{"name": "same"}] * 500), (200, [{"name": "same"}] * 500), (200, [{"name": "same"}]))
    assert len(list(Galaxy(KEY, loopback.url).pages("histories"))) == 1001


def test_pages_takes_a_parameter_without_values(loopback):
    """As dataset_list.py and search.py have where nothing is filtered."""
    loopback.will((200, [{"id": "1"}]))
    assert list(Galaxy(KEY, loopback.url).pages("datasets", {"q": [], "qv": []})) == [{"id": "1"}]


def test_an_id_that_is_forbidden_is_not_looked_for_as_a_name(loopback):
    loopback.will((403, {"err_msg": "History is not accessible by user"}))
    with pytest.raises(GalaxyError, match="not accessible"):
        Galaxy(KEY, loopback.url).resolve("histories", "0" * 16)
    assert len(loopback.asked) == 1


def test_pages_keeps_the_query_of_the_url(loopback):
    loopback.will((200, members(0, 7)), (200, []))
    galaxy = Galaxy(KEY, f"{loopback.url}/api/histories?limit=7&order=name-asc&q=deleted&qv=True&offset=2")
    assert list(galaxy.pages(galaxy.url)) == members(0, 7)
    assert loopback.asked[0].path == "/api/histories?limit=7&order=name-asc&q=deleted&qv=True&offset=2"
    assert "offset=9" in loopback.asked[1].path


def test_pages_of_an_object_are_an_error(loopback):
    with pytest.raises(GalaxyError, match="not a list"):
        list(Galaxy(KEY, loopback.url).pages("version"))


def test_find_compares_names_exactly(loopback):
    loopback.will((200, [{"id": "1", "name": "run 1"}, {"id": "2", "name": "Run 1"}]))
    assert Galaxy(KEY, loopback.url).find("histories", "run 1")["id"] == "1"
    assert "q=name-eq&qv=run+1" in loopback.asked[0].path


def test_find_refuses_an_ambiguous_name(loopback):
    loopback.will((200, [{"id": "aa", "name": "run", "update_time": "2026-11-29T13:05:59.1"}, {"id": "bb", "name": "run"}]))
    with pytest.raises(GalaxyError, match="2 histories are named 'run': aa 2026-11-29T13:05, bb; give the id of one"):
        Galaxy(KEY, loopback.url).find("histories", "run")


def test_find_passes_over_deleted_things_and_reports_no_match(loopback):
    loopback.will((200, [{"id": "aa", "name": "run", "deleted": True}]))
    with pytest.raises(GalaxyError, match="none of your histories .* is named 'run' \\(asked without a key\\)"):
        Galaxy("anonymous", loopback.url).find("histories", "run")


def test_resolve_takes_an_id(loopback):
    loopback.will((200, {"id": "f2db41e1fa331b3e", "name": "run 1"}))
    assert Galaxy(KEY, loopback.url).resolve("histories", "f2db41e1fa331b3e")["name"] == "run 1"
    assert [request.path for request in loopback.asked] == ["/api/histories/f2db41e1fa331b3e"]


def test_resolve_takes_a_name_that_looks_like_an_id(loopback):
    loopback.will((400, {"err_msg": "Wrong id"}), (200, [{"id": "1", "name": "20261124202611242026112420261124"}]))
    assert Galaxy(KEY, loopback.url).resolve("histories", "20261124202611242026112420261124")["id"] == "1"


def test_resolve_raises_other_errors(loopback):
    loopback.will((403, {"err_msg": "not yours"}))
    with pytest.raises(GalaxyError, match="not yours"):
        Galaxy(KEY, loopback.url).resolve("histories", "f2db41e1fa331b3e")


def test_current_user_refuses_an_answer_without_a_user(loopback):
    loopback.will((200, {"id": "1", "email": "a@b"}), (200, {"total_disk_usage": 0}))
    assert Galaxy(KEY, loopback.url).current_user()["email"] == "a@b"
    with pytest.raises(GalaxyError, match="does not recognise this API key"):
        Galaxy(KEY, loopback.url).current_user()


# ----------------------------------------------------------------------------------------------------------------- time

@pytest.mark.parametrize("variable", ["GALAXY_RETRY_MAX", "GALAXY_TIMEOUT"])
def test_a_setting_that_is_not_a_number_is_a_usage_error(loopback, monkeypatch, variable):
    monkeypatch.setenv(variable, "soon")
    with pytest.raises(GalaxyError, match=f"{variable}=soon") as excinfo:
        Galaxy(KEY, loopback.url).get("histories")
    assert excinfo.value.exit_code == USAGE


def test_backoff_pauses_grow_to_30_seconds(clock):
    for look in common.backoff():
        if look == 40:
            break
    assert clock.slept[0] == 0.25 and clock.slept[-1] == 30
    assert clock.slept == sorted(clock.slept)


def test_the_time_that_a_look_takes_counts_for_half_of_the_pause_at_most(clock):
    looks = common.backoff()
    for took in (0.1, 5):
        next(looks)
        clock.sleep(took)
    next(looks)
    assert clock.slept == pytest.approx([0.1, 0.15, 5, 0.25 * 1.15 / 2])


def test_poll_within_a_poll_ends_with_the_earlier_of_the_two(clock):
    galaxy, start = Galaxy(KEY, URL), clock.now
    outer = galaxy.poll(50)
    next(outer)
    assert galaxy.deadline == start + 50
    assert len(list(galaxy.poll(10))) > 1
    assert (clock.now, galaxy.deadline) == (pytest.approx(start + 10), start + 50)
    for timeout in (500, None):
        list(galaxy.poll(timeout))
        assert (clock.now, galaxy.deadline) == (pytest.approx(start + 50), start + 50)
    outer.close()
    assert galaxy.deadline == float("inf")


def test_a_request_within_a_poll_waits_for_no_answer_beyond_its_end(loopback):
    loopback.will(lambda handler: handler.owner.closing.wait(20) or handler.reply(200, {}))
    galaxy = Galaxy(KEY, loopback.url, patience=0)
    with pytest.raises(GalaxyError, match="no answer in time"):
        for _ in galaxy.poll(1):
            galaxy.get("jobs/j")


@pytest.mark.parametrize("setting, expected", [("", 300), ("7", 7)])
def test_the_setting_counts_for_a_request_that_may_take_longer_too(requests_mock, monkeypatch, setting, expected):
    monkeypatch.setenv("GALAXY_TIMEOUT", setting)
    requests_mock.get(f"{URL}/api/x", json=[])
    Galaxy(KEY, URL).get("x", timeout=(10, 300))
    assert requests_mock.last_request.timeout == (10, expected)
