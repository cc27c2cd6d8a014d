"""A real Galaxy for the live tests: the one that runs already, else one that is started and stopped again."""
import fcntl
import hashlib
import json
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from fakes.ports import free_port

from common import backoff
from galaxy_api_scripts.polling import wait_datasets

from .recording import Recording
from .releases import LACKS, NEWEST, NOT_IN_PRODUCTION, is_older

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = Path(__file__).parent / "workflows"
LOCAL = [sys.executable, str(ROOT / "scripts" / "galaxy_local.py")]


BEFORE = dict(os.environ)       # with $GALAXY_LOCAL_HOME, which each test takes away


LENDER = []                     # the home of the newest release, whose Tool Shed is lent to older ones


def local(*arguments):
    """What `galaxy_local.py` does for the user who runs the tests."""
    return subprocess.run([*LOCAL, *arguments], capture_output=True, text=True, env=environment(BEFORE))


def pytest_configure(config):
    """Let `--release` choose the home of the Galaxy under test, for the scripts too that tests run."""
    LENDER.append(home_of(f"--release={NEWEST}"))
    if config.getoption("--release"):
        BEFORE["GALAXY_LOCAL_HOME"] = str(home_of(f"--release={config.getoption('--release')}"))
    if config.getoption("--record"):
        config.pluginmanager.register(Recording(config.getoption("--record")))


def pytest_ignore_collect(collection_path, config):
    """On a release that was chosen, all tests run on it: none is for the oldest beside it."""
    if collection_path.name == "test_releases_live.py" and (config.getoption("--release") or config.getoption("--record")):
        return True
    return None


def series_under_test(config):
    """The release of the Galaxy under test, such as 25.0."""
    installed = re.search(r"^release +(\d+\.\d+)", local("status").stdout, re.MULTILINE)
    return config.getoption("--release") or (installed[1] if installed else NEWEST)


def pytest_collection_modifyitems(config, items):
    """Skip what the Galaxy under test is too old for, with the reason."""
    marked = [(item, LACKS[marker.args[0]]) for item in items for marker in item.iter_markers("needs")]
    series = series_under_test(config) if marked else NEWEST
    for item, lack in marked:
        if is_older(series, lack.since):
            item.add_marker(pytest.mark.skip(reason=f"Galaxy {series} lacks {lack.feature}"))
    if (home_of() / "nginx").exists():      # tests/live/production.py has made it
        for item in items:
            if "prefixed" in item.fixturenames:
                item.add_marker(pytest.mark.skip(reason=NOT_IN_PRODUCTION))


def home_of(*options):
    """The home that galaxy_local.py has for these options."""
    return Path(re.search(r"^home +(.+)$", local("status", *options).stdout, re.MULTILINE).group(1))


def environment(base):
    return {**base, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def tell(pytestconfig):
    """`tell(line)`: show a line to who runs the tests, at once."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def show(line):
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", file=sys.stderr, flush=True)
    return show


def server_of(home):
    """The process of the server in a home, as galaxy_local.py has written it down."""
    state = home / "state.json"
    return json.loads(state.read_text()).get("server") if state.exists() else None


@contextmanager
def hold_home(home):
    """Keep other tests from stopping this home's Galaxy; yields the lock, exclusive unless other tests share it.

    The kernel releases it, however this process ends.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not any(home.iterdir()):
        (home / "galaxy_local.lock").touch()    # else galaxy_local.py refuses the folder as one of other things
    with open(home / "tests.lock", "a+") as lock:
        if is_alone(lock):
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield lock


def is_alone(lock):
    """Return whether no other tests use the Galaxy of this lock, which is exclusive then, and shared otherwise."""
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    for _ in backoff(60, 0.2, 1):       # others look at it alone for some seconds
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    lock.seek(0)
    pytest.exit(f"process {lock.read()} runs live tests on a Galaxy in {Path(lock.name).parent} that it has started: let it "
                "end, or end it, first", 1)


@contextmanager
def a_galaxy(tell, *options, ports=(), own=False):
    """`url` and the administrator's `key` of the Galaxy that `options` describe, which is started unless it runs, and then
    stopped again. What tests that were killed have left running is stopped first; if the home is the tests' `own`, its
    data go then, too. A Galaxy that somebody else has started may be shared by several runs of the tests: its `lock` is
    theirs."""
    at = [option for option in options if option.startswith("--home=")]
    home = home_of(*at)
    mark = home / "started_by_tests"        # the server's process; empty until that is known
    with hold_home(home) as lock:
        runs = local("status", *at).returncode == 0
        killed = mark.exists() and (own or not mark.read_text() or json.loads(mark.read_text()) == server_of(home))
        if killed or (own and runs):    # even where it does not run: a start may still be under way
            if stop(at):
                tell(f"stopped the Galaxy in {home}, which tests that were broken off have left running")
            runs = False
        if own and killed:
            tell(f"clearing {home / 'data'}, which tests that were broken off have left")
            shutil.rmtree(home / "data", ignore_errors=True)
        try:
            if runs:    # somebody's own: whatever it lacks is started again
                call_local(tell, "start", *at)
            else:
                mark.write_text("")
                call_local(tell, "install", *options)   # for minutes at first, in which others may take a port
                call_local(tell, "start", f"--port={free_port(ports)}", *options)
                mark.write_text(json.dumps(server_of(home)))
            lines = dict(line.removeprefix("export ").split("=", 1) for line in local("env", *at).stdout.splitlines())
            yield SimpleNamespace(url=lines["GALAXY_URL"], key=lines["GALAXY_API_KEY"], lock=lock if runs else None)
        finally:
            if not runs:
                stop(at)
                mark.unlink()


def call_local(tell, command, *options):
    """Have galaxy_local.py install or start a Galaxy, and tell at once of what takes minutes."""
    with subprocess.Popen([*LOCAL, command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          env=environment(BEFORE)) as called:
        lines = []
        for line in called.stderr:
            lines.append(line)
            if line.startswith(("waiting for another", "clearing", "installing")):
                tell(f"{line.rstrip()} (a Galaxy for the live tests)")
    assert called.returncode == 0, "".join(lines)


def stop(at):
    """Whether anything ran that had to be stopped."""
    stopped = local("stop", *at)
    assert stopped.returncode == 0, stopped.stderr
    return stopped.stdout == "stopped\n"


@pytest.fixture(scope="session")
def server(tell, pytestconfig):
    """`url` and the administrator's `key` of a Galaxy that runs; the tool of the repository `tally` is not installed there
    when the tests begin, nor when they have ended."""
    series = pytestconfig.getoption("--release")
    with a_galaxy(tell, "--with-toolshed", *(of_release(series, home_of()) if series else ()), ports=[8080]) as galaxy:
        make_tag_known(galaxy)
        if (galaxy.lock is None or is_alone(galaxy.lock)) and uninstall_tally(galaxy):
            tell(f"uninstalled the repository tally of demo/, which {galaxy.url} had")
        if galaxy.lock:
            fcntl.flock(galaxy.lock, fcntl.LOCK_SH)
        yield galaxy
        if galaxy.lock is None or is_alone(galaxy.lock):
            uninstall_tally(galaxy)


def of_release(series, home):
    """The options for the Galaxy of this release in this home; the newest one's Tool Shed is lent to it."""
    lent, lender = home / "venv-toolshed", LENDER[0] / "venv"
    if series != NEWEST and (lender / "toolshed").exists() and not lent.exists():
        with hold_home(home):
            lent.symlink_to(lender)
    return [f"--home={home}", f"--release={series}"]


def make_tag_known(server):
    """Galaxy 25.1 and older, on SQLite, lock themselves out over a tag that is new to them if it comes with a collection."""
    admin = Administrator(server)
    history = admin.new_history("tags")
    admin.asked("PUT", f"histories/{history}", json={"tags": ["name:live"]})
    admin.asked("DELETE", f"histories/{history}", json={"purge": True})


def uninstall_tally(server):
    """Take the repository of demo/ off the server, in whatever state and of whichever port's Tool Shed it is; whether there
    was any."""
    admin = Administrator(server)
    records = [one for one in admin.look("tool_shed_repositories", name="tally", owner="demo")
               if one["tool_shed"].startswith("127.0.0.1:") and not one["uninstalled"]]

    def tools():
        return [one["id"] for one in admin.look("tools", in_panel="false") if "/repos/demo/tally/" in one["id"]]

    def count_loads():
        """How often Galaxy has read which tools it has from Tool Sheds."""
        log = (home_of() / "logs" / "server.log").read_text(errors="replace")
        return len(re.findall("Parsing the tool configuration .*shed_tool_conf", log))

    had, loads = tools(), count_loads()
    for record in records:
        admin.asked("DELETE", f"tool_shed_repositories/{record['id']}")
    if records:
        become(tools, [])
    if had:     # Galaxy 26.1 reads them again a second later: a tool that is installed at that moment is in no section
        become(lambda: count_loads() > loads, True)
    return bool(records)


def become(look, wanted):
    """Each process of Galaxy loads its tools again some time after each change: wait until `look()` gives `wanted`,
    whichever process it asks."""
    for _ in backoff(120, 0.2, 1):
        if all(look() == wanted for _ in range(5)):
            return
    assert look() == wanted


@pytest.fixture(scope="session")
def home(server):
    """The folder that the server is in."""
    return home_of()


class Digest:
    """What equals the SHA-256 of some bytes, or their MD5, which is all that Galaxy 24.1 takes and keeps."""

    def __init__(self, content):
        self.known = {hashlib.new(name, content).hexdigest() for name in ("sha256", "md5")}

    def __eq__(self, other):
        return other in self.known

    def __repr__(self):
        return f"one of {self.known}"


PLOT = """<visualization name="Trackster">
  <description>Tracks along a genome</description>
  <data_sources><data_source><model_class>HistoryDatasetAssociation</model_class></data_source></data_sources>
  <entry_point entry_point_type="script" src="trackster.js"/>
</visualization>
"""
CONDA = r"""#!/bin/sh
# In place of Conda, whose packages are far away: an environment is an empty folder.
envs=$(dirname "$0")/../envs
for word; do [ "$before" = --name ] && name=$word; before=$word; done
case "$1 $2" in
    "info --json") echo '{"conda_version": "4.10.0"}' ;;
    "create "*) mkdir -p "$envs/$name" ;;
    "env remove") rm -r "$envs/$name" ;;
esac
"""
SWITCHED_OFF = {"allow_path_paste": "false", "library_import_dir": "", "allow_user_dataset_purge": "false",
                "data_manager_config_file": ""}


@pytest.fixture(scope="session")
def prefixed(home, tell, pytestconfig):
    """A second Galaxy, under /galaxy and with features switched off: `url` and the administrator's `key`.

    It has the installation of the first one, and data of its own, which stay for the next run: that saves half a minute.
    """
    series = series_under_test(pytestconfig)
    second = ROOT / (".galaxy-prefixed" if series == NEWEST else f".galaxy-prefixed-{series}")
    second.mkdir(mode=0o700, exist_ok=True)
    (second / "galaxy_local.lock").touch()      # else galaxy_local.py would take it for a folder of other things
    if not (second / "venv").is_symlink():
        shutil.rmtree(second / "venv", ignore_errors=True)
    (second / "venv").unlink(missing_ok=True)
    (second / "venv").symlink_to(home / "venv")
    (second / "no_tools.xml").write_text("<toolbox></toolbox>")     # without one Galaxy 26.1 makes one by itself
    settings = {"galaxy_url_prefix": "/galaxy", "shed_tool_config_file": second / "no_tools.xml",
                "tool_sheds_config_file": home / "config" / "tool_sheds.xml",
                "ftp_upload_dir": second / "ftp", "ftp_upload_site": "none",
                "smtp_server": f"mock_emails_to_path://{second / 'mail.json'}", "error_email_to": "admin@example.org",
                "visualization_plugins_directory": second / "plots", "tool_dependency_dir": second / "dependencies",
                "conda_prefix": second / "conda", **SWITCHED_OFF}
    shutil.rmtree(second / "conda", ignore_errors=True)     # what was installed is for no job
    for name, text in (("plots/trackster/static/trackster.xml", PLOT), ("conda/bin/conda", CONDA)):
        (second / name).parent.mkdir(parents=True, exist_ok=True)
        (second / name).write_text(text)
        (second / name).chmod(0o700)
    with a_galaxy(tell, f"--home={second}", *(f"--set={name}={value}" for name, value in settings.items()),
                  own=True) as galaxy:
        galaxy.home = second
        yield galaxy


class Person:
    """A new user of the server, who runs scripts and looks at what Galaxy then holds."""

    def __init__(self, server):
        self.url, self.password = server.url, secrets.token_urlsafe(12)
        self.email = f"live-{secrets.token_hex(4)}@example.org"
        self.key = server.key
        self.asked("POST", "users", json={"email": self.email, "username": self.email.split("@")[0],
                                          "password": self.password})
        self.key = requests.get(f"{self.url}/api/authenticate/baseauth", auth=(self.email, self.password),
                                timeout=60).json()["api_key"]

    def asked(self, method, path, **options):
        """What Galaxy says when it is asked without any of our code."""
        answer = requests.request(method, f"{self.url}/api/{path}", headers={"x-api-key": self.key}, timeout=120, **options)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def look(self, path, **params):
        return self.asked("GET", path, params=params)

    def run(self, *line, stdin="", **extra):
        """Run a script as a shell would, from another folder; returns what subprocess does."""
        return subprocess.run(**self._call(line, extra), capture_output=True, input=stdin, timeout=600)

    def begin(self, *line, stdin="", **extra):
        """The process of a script that has just been started."""
        process = subprocess.Popen(**self._call(line, extra), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(stdin)
        process.stdin.close()
        return process

    def _call(self, line, extra):
        script, *rest = map(str, line)
        path = ROOT / script if (ROOT / script).exists() else ROOT / "scripts" / script
        base = {name: value for name, value in os.environ.items() if not name.startswith("GALAXY_")}
        return {"args": [sys.executable, str(path), *rest], "text": True, "cwd": "/",
                "env": {**environment(base), **extra}}

    def value(self, *line, **extra):
        """The one value that a script prints for a variable of the shell."""
        ended = self.run(*line, **extra)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout.strip()

    def new_history(self, name="live"):
        return self.asked("POST", "histories", json={"name": name})["id"]

    def uploaded(self, history, path, **settings):
        """The id of a file uploaded by upload_to_history.py, once it is `ok`."""
        from common import Galaxy
        dataset = self.value("upload_to_history.py", "--format=value", "--fields=id", self.key, self.url, history, path,
                             *(f"{name}={value}" for name, value in settings.items()))
        assert wait_datasets(Galaxy(self.key, self.url), history, [dataset], timeout=120) == {dataset: "ok"}
        return dataset


class Administrator(Person):
    """The server's administrator, who is there already."""

    def __init__(self, server):
        self.url, self.key = server.url, server.key

    def new_library(self):
        """A library of nobody else's: its `id` and its folder's, `root_folder_id`."""
        return SimpleNamespace(**self.asked("POST", "libraries", json={"name": f"live {secrets.token_hex(4)}"}))


@pytest.fixture(scope="session")
def tool_shed(server, tell):
    """The address of the Tool Shed beside the server; where it has none, one is started, and stays with it."""
    if "GALAXY_TOOL_SHED_URL" not in local("env").stdout:
        call_local(tell, "start", "--with-toolshed")
    return re.search("GALAXY_TOOL_SHED_URL=(.*)", local("env").stdout).group(1)


@pytest.fixture(scope="session")
def person(server):
    return Person(server)


@pytest.fixture(scope="session")
def admin(server):
    """The server's administrator, who runs scripts and looks at what Galaxy then holds."""
    return Administrator(server)


@pytest.fixture(scope="session")
def workflow(person):
    """The id of demo/wet_days.ga on the server, imported without our code."""
    content = json.loads((ROOT / "demo" / "wet_days.ga").read_text())
    return person.asked("POST", "workflows", json={"workflow": content})["id"]


@pytest.fixture(scope="session")
def weather(person):
    """A history with a year of weather in it: `history` and `dataset`."""
    history = person.new_history("weather")
    dataset = person.uploaded(history, ROOT / "demo" / "seattle_2015.tsv", file_type="tabular")
    return SimpleNamespace(history=history, dataset=dataset)


@pytest.fixture
def state(tmp_path):
    """Where the scripts keep their records, the same for all runs of a test."""
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def instants():
    """Random instants; their seed is shown where a test fails."""
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    return random.Random(seed)
