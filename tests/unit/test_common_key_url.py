"""KEY and URL in every form: the environment, key files, ~/.parsec.yml, addresses."""
import pytest
from fakes import KEY

import common
from common import USAGE, Galaxy, GalaxyError, join_url, normalize_url, resolve_credentials, server_url

OTHER = "fedcba9876543210fedcba9876543210"
HOST = "https://galaxy.example.org"


@pytest.fixture
def parsec(alone):
    """Return `parsec(text)`, which writes ~/.parsec.yml."""
    def write(text, mode=0o600):
        path = alone / ".parsec.yml"
        path.write_text(text)
        path.chmod(mode)
        return path
    return write


TWO_ENTRIES = f"""__default: main
main: {{url: '{HOST}', key: {KEY}}}
local: {{url: 'http://localhost:8080/galaxy/', key: {OTHER}, email: me@example.org}}
"""


def usage_error(key, url):
    with pytest.raises(GalaxyError) as excinfo:
        resolve_credentials(key, url)
    assert excinfo.value.exit_code == USAGE
    assert KEY not in str(excinfo.value) and OTHER not in str(excinfo.value)
    return str(excinfo.value)


def test_key_and_url_the_wrong_way_round_are_a_usage_error():
    assert "wrong way round" in usage_error(f"{HOST}/api/histories", KEY)
    assert usage_error("anonymous", KEY) == "URL is not the address of a server"


def test_a_key_is_taken_as_it_is():
    assert resolve_credentials(KEY, f"{HOST}/api/histories") == (KEY, f"{HOST}/api/histories")


def test_anonymous_is_no_key():
    assert resolve_credentials("anonymous", HOST) == (None, HOST)


@pytest.mark.parametrize("key", ["", "  "])
def test_an_empty_key_is_a_usage_error(key):
    assert "is a variable unset?" in usage_error(key, HOST)


@pytest.mark.parametrize("key", ["two words", "kéy", "a\nb"])
def test_a_key_with_spaces_or_beyond_ascii_is_refused_and_not_shown(key):
    assert key not in usage_error(key, HOST)


# ---------------------------------------------------------------------------------------------- the environment

def test_key_and_url_are_looked_up_in_the_environment(monkeypatch):
    monkeypatch.setenv("GALAXY_API_KEY", KEY)
    monkeypatch.setenv("GALAXY_URL", f"{HOST}/galaxy/")
    assert resolve_credentials("-", "-") == (KEY, f"{HOST}/galaxy")
    assert resolve_credentials("-", "/api/histories?limit=1") == (KEY, f"{HOST}/galaxy/api/histories?limit=1")
    assert resolve_credentials("-", "/galaxy/api/histories") == (KEY, f"{HOST}/galaxy/api/histories")
    assert resolve_credentials("-", f"{HOST}/galaxy/api/users") == (KEY, f"{HOST}/galaxy/api/users")
    assert resolve_credentials(OTHER, "/api/users") == (OTHER, f"{HOST}/galaxy/api/users")


@pytest.mark.parametrize("url", ["https://evil.example.com/api/histories", "http://galaxy.example.org/galaxy/api/x",
                                 "https://galaxy.example.org:444/galaxy", "https://galaxy.example.org/other/api/x",
                                 "https://galaxy.example.org/galaxy2/api/x", "https://galaxy.example.org.evil.com/galaxy"])
def test_a_key_for_one_server_never_goes_to_another(monkeypatch, url):
    monkeypatch.setenv("GALAXY_API_KEY", KEY)
    monkeypatch.setenv("GALAXY_URL", f"{HOST}/galaxy")
    assert "belongs to https://galaxy.example.org/galaxy" in usage_error("-", url)


def test_a_key_for_https_does_not_go_to_http_at_the_same_port(monkeypatch):
    monkeypatch.setenv("GALAXY_API_KEY", KEY)
    monkeypatch.setenv("GALAXY_URL", "https://galaxy.example.org:8443")
    assert "belongs to https://galaxy.example.org:8443" in usage_error("-", "http://galaxy.example.org:8443/api/x")


def test_a_key_of_the_environment_without_galaxy_url_goes_to_any_server(monkeypatch):
    monkeypatch.setenv("GALAXY_API_KEY", KEY)
    assert resolve_credentials("-", f"{HOST}/api/x") == (KEY, f"{HOST}/api/x")
    assert "set GALAXY_URL" in usage_error("-", "-")
    assert "set GALAXY_URL" in usage_error(KEY, "/api/x")


def test_the_first_line_of_the_key_file_is_the_key(monkeypatch, tmp_path):
    path = tmp_path / "key"
    path.write_text(f"{KEY}\nmore\n")
    path.chmod(0o600)
    monkeypatch.setenv("GALAXY_API_KEY_FILE", str(path))
    assert resolve_credentials("-", HOST) == (KEY, HOST)
    monkeypatch.setenv("GALAXY_API_KEY", OTHER)
    assert resolve_credentials("-", HOST) == (OTHER, HOST)


def test_a_bad_key_file_is_a_usage_error(monkeypatch, tmp_path):
    path = tmp_path / "key"
    monkeypatch.setenv("GALAXY_API_KEY_FILE", str(path))
    assert "No such file" in usage_error("-", HOST)
    path.write_text("\n")
    path.chmod(0o600)
    assert "is empty" in usage_error("-", HOST)
    path.write_text(KEY)
    path.chmod(0o640)
    assert f"chmod 600 {path}" in usage_error("-", HOST)


# ---------------------------------------------------------------------------------------------- ~/.parsec.yml

def test_a_named_parsec_entry_gives_key_and_url(parsec):
    parsec(TWO_ENTRIES)
    assert resolve_credentials("@local", "-") == (OTHER, "http://localhost:8080/galaxy")
    assert resolve_credentials("@local", "/api/users") == (OTHER, "http://localhost:8080/galaxy/api/users")
    assert resolve_credentials("@main", f"{HOST}/api/x") == (KEY, f"{HOST}/api/x")
    assert "belongs to http://localhost:8080/galaxy" in usage_error("@local", f"{HOST}/api/x")
    assert "no entry 'nosuch' with a url and a key: it has main, local" in usage_error("@nosuch", "-")


def test_a_named_parsec_entry_comes_before_the_environment(parsec, monkeypatch):
    parsec(TWO_ENTRIES)
    monkeypatch.setenv("GALAXY_URL", HOST)
    monkeypatch.setenv("GALAXY_API_KEY", KEY)
    assert resolve_credentials("@local", "-") == (OTHER, "http://localhost:8080/galaxy")


def test_the_parsec_entry_of_the_url_is_taken(parsec):
    parsec(TWO_ENTRIES)
    assert resolve_credentials("-", "http://localhost:8080/galaxy/api/x") == (OTHER, "http://localhost:8080/galaxy/api/x")
    assert resolve_credentials("-", "-") == (KEY, HOST)
    assert "no entry for http://localhost:8080/other" in usage_error("-", "http://localhost:8080/other")


def test_the_default_decides_between_two_parsec_entries_of_one_server(parsec):
    parsec(f"a: {{url: '{HOST}', key: {KEY}}}\nb: {{url: '{HOST}', key: {OTHER}}}\n")
    assert "several entries" in usage_error("-", HOST)
    parsec(f"__default: b\na: {{url: '{HOST}', key: {KEY}}}\nb: {{url: '{HOST}', key: {OTHER}}}\n")
    assert resolve_credentials("-", HOST) == (OTHER, HOST)


def test_galaxy_url_selects_the_parsec_entry(parsec, monkeypatch):
    parsec(TWO_ENTRIES)
    monkeypatch.setenv("GALAXY_URL", "http://localhost:8080/galaxy")
    assert resolve_credentials("-", "-") == (OTHER, "http://localhost:8080/galaxy")


def test_a_key_that_is_nowhere_to_be_looked_up_is_a_usage_error():
    assert "no ~/.parsec.yml to look a key up in, nor is GALAXY_API_KEY or" in usage_error("-", HOST)
    assert "no ~/.parsec.yml" in usage_error("@x", HOST)


def test_a_bad_parsec_file_is_a_usage_error(parsec):
    path = parsec(TWO_ENTRIES, mode=0o644)
    assert f"chmod 600 {path}" in usage_error("@main", "-")
    parsec("a: [")
    assert "not YAML" in usage_error("@main", "-")
    parsec("just text")
    assert "no entries" in usage_error("@main", "-")
    for text in ("a: [1, 2", "a: 2015-99-99", "a: &x {url: *x, key: k}"):
        parsec(text)
        assert "parsec.yml" in usage_error("@nosuch", "-")
    parsec(f"a: {{url: galaxy.example.org, key: x}}\nb: {{url: '{HOST}', key: {KEY}}}\nc: {{url: [1], key: 5}}\n")
    assert resolve_credentials("-", HOST) == (KEY, HOST)       # another entry's mistake is no reason to fail
    parsec("a: {url: x}\n")
    assert "it has none" in usage_error("@a", "-")


# ---------------------------------------------------------------------------------------------- addresses

@pytest.mark.parametrize("url, base", [
    (f"{HOST}", HOST), (f"{HOST}/", HOST), (f"{HOST}/api", HOST), (f"{HOST}/api/", HOST), (f"{HOST}//api//histories", HOST),
    (f"{HOST}/galaxy", f"{HOST}/galaxy"), (f"{HOST}/galaxy/", f"{HOST}/galaxy"),
    (f"{HOST}/galaxy/api/x?y=1", f"{HOST}/galaxy"),
    (f"{HOST}/apis/api/x", f"{HOST}/apis"), ("http://localhost:8080/api/x/api", "http://localhost:8080"),
    ("http://[::1]:8080/api/x", "http://[::1]:8080"),
])
def test_server_url_ends_before_the_api(url, base):
    assert server_url(url) == base


def test_paths_are_joined_to_the_servers_address(loopback):
    galaxy = Galaxy(KEY, f"{loopback.url}//galaxy//api/")
    galaxy.get("histories")
    galaxy.get("/api/users")
    galaxy.get("/galaxy/api/users")
    galaxy.get(f"{loopback.url}/galaxy//api/jobs#x")
    assert [request.line for request in loopback.asked] == [
        "GET /galaxy/api/histories", "GET /galaxy/api/users", "GET /galaxy/api/users", "GET /galaxy/api/jobs"]
    assert join_url(HOST, "/api/x") == f"{HOST}/api/x"


@pytest.mark.parametrize("url, words", [
    ("localhost:8080/api", "did you mean http://localhost:8080/api"),
    ("galaxy.example.org", "did you mean"),
    ("ftp://x", "is not the address"), ("http://", "is not the address"), ("http://h:port/", "is not the address"),
    ("http://[::1/", "is not the address"), ("http://h\\@other/api", "URL is not the address"),
    ("http://h/a/../b", "is not the address"),
    ("http://h/%2e%2e/b", "is not the address"), ("http://a@b@h/", "is not the address"), ("http://h x/", "URL is not"),
    ("http://me:pa/sswordX@h/", "^URL is not"), ("ftp://me:sswordX@h", "^URL is not"), ("me:sswordX@h/api", "^URL is not"),
    ("http://a..b/", "is not the address"), ("histories", "did you mean /api/histories"),
    ("http://h:80x/", "is not the address"),
    ("http://h:99999", "is not the address"), ("", "is not the address"),
])
def test_normalize_url_refuses_what_is_no_address(url, words):
    with pytest.raises(GalaxyError, match=words) as excinfo:
        normalize_url(url)
    assert excinfo.value.exit_code == USAGE


def test_redact_hides_every_key_of_the_parsec_file(parsec):
    parsec(TWO_ENTRIES)
    resolve_credentials("@main", "-")
    assert common.redact(f"a {KEY} b {OTHER}") == "a *** b ***"
