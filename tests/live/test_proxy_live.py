"""Galaxy under /galaxy behind Apache and nginx, which have the lines of docs/proxy.md, TLS and a password."""
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import requests
from fakes.proxies import (
    APACHE,
    COMMANDS,
    LINES,
    OLD_FORM,
    PACKAGES,
    at_the_root,
    authority,
    program,
    proxy,
)

from .conftest import ROOT, Person

ID = ("--format=value", "--fields=id")
UNREACHABLE = {"apache2": "503 Service Unavailable", "nginx": "502 Bad Gateway"}
TOO_SLOW = {"apache2": "502 Proxy Error", "nginx": "504 Gateway Time-out"}


@pytest.fixture(scope="module")
def folder():
    """Where the proxies' files are: a place that Apache's own user can read, as tmp_path is not."""
    with tempfile.TemporaryDirectory() as made:
        authority(Path(made))
        yield Path(made)


def needs(kind):
    """The mark of a test that runs this proxy: skipped where something is not installed, before any Galaxy is started."""
    missing = [package for name, package in PACKAGES.items() if name in (kind, "openssl") and not program(name)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: apt-get install {' '.join(missing)}")


@pytest.fixture(scope="module", params=[pytest.param(kind, marks=needs(kind)) for kind in LINES])
def kind(request):
    """Each of the two proxies."""
    return request.param


@pytest.fixture(scope="module")
def member(prefixed):
    """A user of the Galaxy behind the proxies, who asks it directly what it holds."""
    return Person(prefixed)


@pytest.fixture(scope="module")
def few(member, tmp_path_factory):
    """The id of a dataset of few bytes."""
    file = tmp_path_factory.mktemp("few") / "few"
    file.write_text("bytes\n")
    return member.uploaded(member.new_history("few"), file)


@pytest.fixture(scope="module")
def upstream(prefixed):
    return re.search("//(.*?)/", prefixed.url).group(1)


@pytest.fixture(scope="module")
def front(kind, folder, upstream):
    """The proxy as documented: its `kind` and its `url`, without the prefix."""
    with proxy(kind, folder, upstream) as running:
        yield running


@pytest.fixture
def run(folder, member):
    """`run(script, *arguments)`, which trusts the authority; there is no patience unless it is given."""
    def call(*line, **extra):
        return member.run(*line, **{"REQUESTS_CA_BUNDLE": str(folder / "authority.pem"), "GALAXY_RETRY_MAX": "0", **extra})
    return call


@pytest.fixture
def value(run):
    def call(*line, **extra):
        ended = run(*line, **extra)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout.strip()
    return call


def refused(ended, status, *words):
    """Check that a script ended with this exit status, and with one line that says all these words."""
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (status, "", 1), ended
    for word in words:
        assert word in ended.stderr, ended.stderr


# ------------------------------------------------------------------------------------------------------ passing through

def test_the_verbs_pass_through(front, member, run, value):
    url = f"{front.url}/galaxy/api/histories"
    made = value("create.py", *ID, member.key, url, "name=behind a proxy")
    assert member.look(f"histories/{made}")["name"] == "behind a proxy"
    assert run("display.py", member.key, url).stdout == run("display.py", member.key, f"{member.url}/api/histories").stdout
    assert run("update.py", member.key, f"{url}/{made}", "name=changed, 基因").returncode == 0
    assert member.look(f"histories/{made}")["name"] == "changed, 基因"
    # The path of an answer's `url`: Galaxy 26.1 leaves the prefix out, older releases do not
    for path in (member.look(f"histories/{made}")["url"], f"/galaxy/api/histories/{made}"):
        assert value("display.py", *ID, "-", path, GALAXY_URL=f"{front.url}/galaxy/", GALAXY_API_KEY=member.key) == made
    assert run("delete.py", member.key, f"{url}/{made}", "purge:=false").returncode == 0
    assert member.look(f"histories/{made}")["deleted"]


def shell(block, member, folder, **names):
    """Run a block of commands of docs/proxy.md with ours in place of its `names`; returns what they print."""
    lines = "\n".join(line[2:] for line in block.splitlines())
    names.update({"/etc/ssl/certs/our-authority.pem": folder / "authority.pem", "KEY": member.key})
    for documented, ours in names.items():
        assert documented in lines
        lines = lines.replace(documented, str(ours))
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.path.dirname(sys.executable), os.environ["PATH"]])
    ended = subprocess.run(["bash", "-e", "-c", lines], cwd=ROOT, capture_output=True, text=True, env={
        **os.environ, "PATH": path, "PYTHONPATH": str(ROOT)})
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_the_commands_of_the_page(front, member, folder, tmp_path):
    (tmp_path / "reads").write_text("bytes\n")
    history = member.new_history(f"the commands, {front.kind}")
    told = shell(COMMANDS[0], member, folder, HISTORY_ID=history, **{
        "galaxy.example.org": front.url.removeprefix("https://"), "reads.fastq.gz": tmp_path / "reads"})
    assert told.count(f"  name: the commands, {front.kind}\n") == 2
    assert [one["name"] for one in member.look(f"histories/{history}/contents")] == ["reads"]


def test_from_a_file_to_a_result(front, member, value, tmp_path):
    url = f"{front.url}/galaxy"
    keep = (*ID, member.key, url)
    history = value("history_create_history.py", *keep, "behind a proxy")
    data = value("upload_to_history.py", "--wait", *keep, history, ROOT / "demo" / "seattle_2015.tsv", "file_type=tabular",
                 GALAXY_RETRY_MAX="10")
    workflow = value("workflow_import.py", *keep, ROOT / "demo" / "wet_days.ga")
    invocation = value("workflow_execute.py", *keep, workflow, f"hist_id={history}", f"observations=hda={data}")
    result = value("invocation_wait.py", "--timeout=300", *keep, invocation)
    name = value("dataset_download.py", f"--to={tmp_path}", member.key, url, result)
    held = member.look(f"datasets/{result}")
    assert (held["state"], held["file_size"]) == ("ok", os.path.getsize(name)) and held["history_id"] == history
    direct = requests.get(f"{member.url}/api/datasets/{result}/display", headers={"x-api-key": member.key}, timeout=60)
    assert Path(name).read_bytes() == direct.content


def test_an_upload_in_several_pieces(front, member, value, tmp_path):
    file = tmp_path / "large"
    file.write_bytes(os.urandom(2**20) * 65)
    history = member.new_history("large")
    dataset = value("upload_to_history.py", "--wait", *ID, member.key, f"{front.url}/galaxy",
                    history, file)      # it waits until Galaxy has compared the SHA-256
    assert member.look(f"datasets/{dataset}")["file_size"] == 65 * 2**20


def test_a_password_for_all_but_the_api(front, member, run, folder):
    def asked(path, **options):
        return requests.get(f"{front.url}/galaxy{path}", verify=str(folder / "authority.pem"), allow_redirects=False,
                            timeout=60, **options)
    assert [asked(path).status_code for path in ("/", "/login", "/api/version")] == [401, 401, 200]
    with_password = asked("/", auth=("somebody", "pass/word"))
    assert with_password.status_code == 200 and "Galaxy" in with_password.text
    refused(run("display.py", member.key, f"{front.url}/galaxy/"), 1, "from a proxy before Galaxy: it asks for its own")


def addresses(url, folder):
    """The whole addresses that Galaxy makes: where an upload goes on, where a page is, its own."""
    def ask(method, path, **options):
        return requests.request(method, f"{url}/galaxy{path}", auth=("somebody", "pass/word"), allow_redirects=False,
                                timeout=60, verify=str(folder / "authority.pem"), **options)
    upload = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": "filename YQ==,filetype YQ=="}
    return [ask("POST", "/api/upload/resumable_upload/", headers=upload).headers["Location"],
            ask("GET", "").headers["Location"],
            ask("GET", "/ga4gh/drs/v1/service-info").json()["organization"]["url"]]


def test_galaxy_makes_addresses_that_lead_through_the_proxy(front, folder):
    upload, page, own = addresses(front.url, folder)
    assert upload.startswith(f"{front.url}/galaxy/api/upload/resumable_upload/")
    assert (page, own) == (f"{front.url}/galaxy/", f"{front.url}/")


def test_ids_with_slashes(front, member, run):
    ended = run("display.py", member.key, f"{front.url}/galaxy/api/tools/shed%2Frepos%2Fno%20such")
    words = "Could not find tool with id 'shed/repos/no such'"
    if member.look("version")["version_major"] == "25.1":       # which fails over each tool that it does not have
        words = "Uncaught exception in exposed API method"
    refused(ended, 1, words)


def test_the_certificate(front, member, folder):
    url = f"{front.url}/galaxy/api/version"
    refused(member.run("display.py", member.key, url), 1, "does not verify", "REQUESTS_CA_BUNDLE")
    ended = member.run("display.py", member.key, url, GALAXY_INSECURE="1")
    assert ended.returncode == 0 and "warning" in ended.stderr


def test_galaxys_own_refusals_are_not_the_proxys(front, member, run):
    for path, words in (("histories/ffffffffffffffff", "400 Bad Request"), ("nosuch", "Galaxy has no such address"),
                        ("quotas/x", "403")):
        ended = run("display.py", member.key, f"{front.url}/galaxy/api/{path}")
        refused(ended, 1, words)
        assert "proxy" not in ended.stderr


# -------------------------------------------------------------------------------------------------------- other lines

@needs("apache2")
def test_the_older_form_of_apaches_lines(folder, upstream, member, value):
    section = r'(?ms)^    <Location "/galaxy/api">.*?</Location>\n'
    assert len(re.findall(section, APACHE)) == 1
    with proxy("apache2", folder, upstream, re.sub(section, OLD_FORM, APACHE)) as running:
        assert value("display.py", "--format=value", "--fields=email", member.key,
                     f"{running.url}/galaxy/api/users/current") == member.email
        assert requests.get(f"{running.url}/galaxy/", verify=str(folder / "authority.pem"), timeout=60).status_code == 401


@needs("apache2")
def test_apache_does_not_hold_back_what_it_only_hands_on(folder, upstream, member, value):
    lines = APACHE.replace("    ProxyPass ", "    LimitRequestBody 10\n    ProxyPass ")
    with proxy("apache2", folder, upstream, lines) as running:
        made = value("create.py", *ID, member.key, f"{running.url}/galaxy/api/histories", "name=more than ten bytes")
    assert member.look(f"histories/{made}")["name"] == "more than ten bytes"


def test_at_the_root_of_a_host(kind, folder, server, person, value):
    with proxy(kind, folder, server.url.removeprefix("http://"), at_the_root(LINES[kind])) as running:
        made = value("create.py", *ID, person.key, f"{running.url}/api/histories", "name=at the root")
        assert person.look(f"histories/{made}")["name"] == "at the root"
        assert requests.get(running.url, verify=str(folder / "authority.pem"), timeout=60).status_code == 401


def test_server_check_tells_which_lines_are_missing(kind, folder, server, person):
    galaxy, lines = server.url.removeprefix("http://"), at_the_root(LINES[kind])
    bare = re.sub(r"(?m)^.*(X-Forwarded-Proto|ProxyPreserveHost| Host \$|client_max_body|request_buffering).*\n", "",
                  lines).replace(" nocanon", "").replace("AllowEncodedSlashes NoDecode", "AllowEncodedSlashes Off")

    def check(url, *words):
        ended = person.run("server_check.py", "--format=value", *words, person.key, url, GALAXY_RETRY_MAX="0",
                           REQUESTS_CA_BUNDLE=str(folder / "authority.pem"))
        return ended.returncode, {line.split("\t")[0]: line.split("\t")[1:] for line in ended.stdout.splitlines()}
    with proxy(kind, folder, galaxy, lines) as running:
        status, found = check(running.url, "--upload")
        assert (status, found["proxy"][0], found["upload"][0]) == (0, "ok", "ok"), (found["proxy"], found["upload"])
        assert "a certificate that is valid for" in found["TLS"][1]
        # Apache hands on Galaxy's own name.
        assert ("nginx" if kind == "nginx" else "none that tells its name") in found["proxy"][1]
        assert check(f"{running.url}/galaxy")[1]["address"][2] == f"give {running.url} as URL: a Galaxy answers there"
    with proxy(kind, folder, galaxy, bare) as running:
        status, found = check(running.url, "--upload")
        assert status == 0
        if kind == "nginx":
            assert found["upload"][::2] == [
                "warning", "nginx: client_max_body_size 0, proxy_request_buffering off (docs/proxy.md)"]
        else:
            assert "AllowEncodedSlashes" in found["proxy"][2] and found["upload"][0] == "ok"


def test_where_galaxy_does_not_learn_its_public_address(kind, folder, upstream, member, value, tmp_path):
    lines = re.sub(r"(?m)^.*(X-Forwarded-Proto|ProxyPreserveHost| Host \$).*\n", "", LINES[kind])
    lines = lines.replace("proxy_buffering off;", "proxy_buffering off; proxy_redirect off;")    # nginx would mend some
    (tmp_path / "few").write_text("bytes\n")
    history = member.new_history("public address")
    with proxy(kind, folder, upstream, lines) as running:
        assert not any(one.startswith(running.url) for one in addresses(running.url, folder))
        dataset = value("upload_to_history.py", *ID, member.key, f"{running.url}/galaxy", history, tmp_path / "few")
    assert member.look(f"datasets/{dataset}")["history_id"] == history


def test_a_password_for_the_api_too(kind, folder, upstream, member, few, run, value, tmp_path):
    lines = re.sub(r'(?ms)^    (<Location "/galaxy/api">.*?</Location>|location /galaxy/api/ \{.*?\})\n', "", LINES[kind])
    assert lines != LINES[kind]
    with proxy(kind, folder, upstream, lines) as running:
        url = f"{running.url}/galaxy"
        refused(run("display.py", member.key, f"{url}/api/histories"), 1, "401",
                "from a proxy before Galaxy: it asks for its own password", "NAME:PASSWORD@")
        wrong = run("display.py", member.key, url.replace("//", "//somebody:mistyped@") + "/api/histories")
        refused(wrong, 1, "401", "from a proxy before Galaxy", "refuses those")
        assert "mistyped" not in wrong.stderr
        inside = url.replace("//", "//somebody:pass%2Fword@")
        (tmp_path / "few").write_text("bytes\n")
        assert "Collection Members" in shell(
            f"$ export REQUESTS_CA_BUNDLE=/etc/ssl/certs/our-authority.pem\n{COMMANDS[1]}", member, folder,
            **{"galaxy.example.org": running.url.removeprefix("https://"), "NAME:PASSWORD": "somebody:pass%2Fword"})
        history = member.new_history("two passwords")
        value("upload_to_history.py", "-q", member.key, inside, history, tmp_path / "few")
        assert [one["name"] for one in member.look(f"histories/{history}/contents")] == ["few"]
        value("dataset_download.py", f"--to={tmp_path}/d", member.key, inside, few)
        assert (tmp_path / "d" / "few.txt").read_text() == "bytes\n"
        nobody = run("display.py", "0" * 32, f"{inside}/api/histories")
        refused(nobody, 1, "401", "check the key")
        assert "proxy" not in nobody.stderr and "somebody" not in nobody.stderr


# ------------------------------------------------------------------------------------------- what the proxy itself says

def test_an_address_that_the_proxy_does_not_hand_on(front, member, run):
    ended = run("display.py", member.key, f"{front.url}/api/histories")      # the prefix is missing
    refused(ended, 1, "404 Not Found", "from a proxy before Galaxy", "prefix")


def test_galaxy_is_down(kind, folder, member, run):
    with socket.socket() as nobody:     # bound and not listening: connections are refused
        nobody.bind(("127.0.0.1", 0))
        with proxy(kind, folder, f"127.0.0.1:{nobody.getsockname()[1]}") as running:
            url = f"{running.url}/galaxy/api/histories"
            words = (UNREACHABLE[kind], "from a proxy before Galaxy")
            refused(run("display.py", member.key, url), 75, *words, "try again later")
            refused(run("create.py", member.key, url, "name=x"), 75, *words, "look before you send it again")


def test_galaxy_is_too_slow(kind, folder, member, run):
    with socket.create_server(("127.0.0.1", 0)) as silent:      # the kernel takes the connection, nobody answers
        lines = LINES[kind].replace("timeout=300", "timeout=1").replace("proxy_read_timeout 300s", "proxy_read_timeout 1s")
        with proxy(kind, folder, f"127.0.0.1:{silent.getsockname()[1]}", lines) as running:
            ended = run("display.py", member.key, f"{running.url}/galaxy/api/histories")
    refused(ended, 75, TOO_SLOW[kind], "from a proxy before Galaxy", "try again later")


@needs("nginx")
def test_a_post_that_takes_longer_than_the_proxy_waits_is_looked_up_and_not_sent_again(folder, home, person, workflow):
    """Each fetch and each invocation is a 504, though Galaxy does it."""
    slow = r"~ ^/api/(tools/fetch|workflows/\w+/invocations)$ { proxy_pass http://127.0.0.1:8080; proxy_read_timeout 1ms; }"
    lines = at_the_root(LINES["nginx"]).replace("    location / {", f"    location {slow}\n    location / {{")
    galaxy = f"127.0.0.1:{json.loads((home / 'state.json').read_text())['port']}"      # not another proxy before it
    name = f"504 {secrets.token_hex(3)}"
    history = person.new_history(name)
    settings = {"REQUESTS_CA_BUNDLE": str(folder / "authority.pem"), "GALAXY_RETRY_MAX": "60"}
    with proxy("nginx", folder, galaxy, lines) as running:
        data = person.value("upload_to_history.py", "--wait", *ID, person.key, running.url, history,
                            ROOT / "demo" / "seattle_2015.tsv", "file_type=tabular", **settings)
        person.value("workflow_run.py", "-q", "--no-wait", f"--history={name}", person.key, running.url, workflow,
                     f"observations=hda:{data}", **settings)
    assert len(person.look("invocations", history_id=history)) == 1
    assert [one["id"] for one in person.look(f"histories/{history}/contents") if one["name"] == "seattle_2015.tsv"] == [data]


@pytest.fixture(scope="module")
def narrow(kind, folder, upstream):
    """A proxy that lets no body of more than a million bytes through."""
    limit = ('    RewriteEngine on\n    RewriteCond expr "%{HTTP:Content-Length} -gt 1000000"\n'
             "    RewriteRule ^ - [R=413,L]\n    ProxyPass ")      # LimitRequestBody does not hold what is only handed on
    lines = LINES[kind].replace("    ProxyPass ", limit).replace("client_max_body_size 0", "client_max_body_size 1000000")
    with proxy(kind, folder, upstream, lines) as running:
        yield running


def test_a_body_too_large(narrow, member, run, tmp_path):
    (tmp_path / "payload.json").write_text(json.dumps({"name": "x" * 2_000_000}))
    ended = run("create.py", member.key, f"{narrow.url}/galaxy/api/histories", f"@{tmp_path}/payload.json")
    refused(ended, 1, "413", "from a proxy before Galaxy", "1.91 MiB")


def test_an_upload_goes_in_pieces_that_the_proxy_takes(narrow, member, run, tmp_path):
    (tmp_path / "large").write_bytes(bytes(6 * 2**20))
    history = member.new_history("too large")
    ended = run("dataset_upload.py", "--wait", "-q", member.key, f"{narrow.url}/galaxy", history, tmp_path / "large")
    assert (ended.returncode, ended.stderr) == (0, "")
    [made] = member.look(f"histories/{history}/contents", v="dev", keys="id,file_size,state")
    assert made["id"] in ended.stdout
    assert (made["state"], made["file_size"]) == ("ok", 6 * 2**20)


@needs("nginx")
def test_a_connection_that_is_reset_within_a_large_body(folder, upstream, member, run, tmp_path):
    lines = LINES["nginx"].replace("client_max_body_size 0;",
                                   "client_max_body_size 1m; error_page 413 = @cut; location @cut { return 444; }")
    (tmp_path / "large").write_bytes(bytes(8 * 2**20))
    history = member.new_history("reset")
    with proxy("nginx", folder, upstream, lines) as running:
        ended = run("dataset_upload.py", "--wait", "-q", member.key, f"{running.url}/galaxy", history, tmp_path / "large",
                    GALAXY_RETRY_MAX="600")
    assert (ended.returncode, ended.stderr) == (0, "")
    [made] = member.look(f"histories/{history}/contents", v="dev", keys="id,file_size,state")
    assert made["id"] in ended.stdout
    assert (made["state"], made["file_size"]) == ("ok", 8 * 2**20)
