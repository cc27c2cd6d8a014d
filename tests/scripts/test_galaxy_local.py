"""galaxy_local.py, with small programs in place of Galaxy: what it refuses, leaves alone, and shows when a process dies."""
import contextlib
import fcntl
import json
import os
import random
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import galaxy_local
import pytest
import yaml

from common import FAILED, USAGE, GalaxyError
from galaxy_api_scripts.local_server import installation, processes, server
from galaxy_api_scripts.local_server.configuration import ADMINISTRATOR, REPOSITORY, configure, parse_setting
from galaxy_api_scripts.local_server.home import LOCK, TOOL_SHED_OFFSET, home_secrets, read_state


@pytest.fixture
def home(tmp_path):
    """A home in which Galaxy seems to be installed, with this Python as its own."""
    home = tmp_path / "galaxy"
    (home / "venv" / "bin").mkdir(parents=True)
    (home / "venv" / "bin" / "python").symlink_to(sys.executable)
    (home / "venv" / "complete").write_text(installation.RELEASE)
    (home / LOCK).touch()
    return home


@pytest.fixture
def sleeper():
    """A process that is not ours."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def free_port():
    """A free port whose Tool Shed's port, 929 higher, is free too; below the ports of outgoing connections."""
    for port in random.sample(range(20000, 30000), 100):
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 929))
            return port
    raise AssertionError("no port is free")


def call(home, *words):
    return galaxy_local.main([*words, f"--home={home}"])


def refusal(home, *words):
    with pytest.raises(GalaxyError) as caught:
        call(home, *words)
    return caught.value


def test_install_installs_once_and_starts_nothing(home, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(installation, "run_installers", lambda commands, home, lock, what: made.append(what))
    assert call(home, "install", "--with-toolshed") == 0
    assert made == ["the Tool Shed"] and (home / "venv" / "toolshed").read_text() == installation.RELEASE
    assert not (home / "state.json").exists()
    assert call(home, "install", "--with-toolshed") == 0 and len(made) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert "holds other things" in str(refusal(tmp_path / "mine", "install"))


SPAWN = server.spawn


def pretend(home, monkeypatch, server_program, worker="import time; print('the worker is warm', flush=True); time.sleep(60)",
            toolshed=""):
    """Let `start` run these Python programs in place of Galaxy's, and make no administrator and no repository."""
    def spawn(home, state, name, *_):
        program = {"server": server_program, "worker": worker, "toolshed": toolshed}[name]
        port = state["port"] + (TOOL_SHED_OFFSET if name == "toolshed" else 0)
        SPAWN(home, state, name, "-c", program, str(port))

    monkeypatch.setattr(server, "spawn", spawn)
    monkeypatch.setattr(server, "ensure_administrator",
                        lambda home, url: processes.write_private(home / "key", "0123456789abcdef\n"))
    monkeypatch.setattr(server, "publish_repository", lambda key, url, email, folder: None)


SERVER = """
import http.server, os, signal, subprocess, sys
signal.alarm(300)       # even if the tests are killed
class Version(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200), self.end_headers(), self.wfile.write(b'{"version_major": "26.1"}')
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=os.setpgrp)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Version).serve_forever()
"""


def write_state(home, **state):
    home.mkdir(exist_ok=True)
    (home / "state.json").write_text(json.dumps(state))


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


# ------------------------------------------------------------------------------------------------------- command line

@pytest.mark.parametrize("words", [[], ["restart"], ["start", "stop"], ["start", "--prot=1"], ["start", "8080"]])
def test_a_bad_line_prints_the_usage(words, capsys, script):
    assert script(galaxy_local.main, *words) == USAGE
    told = capsys.readouterr().err
    assert "galaxy_local.py [options] [--set=NAME=VALUE]... (install | start | stop | status | log | env)" in told


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_an_invalid_port_is_a_usage_error(home, port):
    error = refusal(home, "start", f"--port={port}")
    assert error.exit_code == USAGE and "--port" in str(error)


def test_home_from_the_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GALAXY_LOCAL_HOME", str(tmp_path / "elsewhere"))
    assert galaxy_local.main(["status"]) == FAILED
    assert f"home           {tmp_path / 'elsewhere'}\n" in capsys.readouterr().out
    assert galaxy_local.main(["status", f"--home={tmp_path / 'given'}"]) == FAILED
    assert f"home           {tmp_path / 'given'}\n" in capsys.readouterr().out


# ------------------------------------------------------------------------------------------------- when nothing runs

def test_a_home_in_which_nothing_ever_ran(tmp_path, capsys):
    home = tmp_path / "never"
    assert call(home, "status") == FAILED
    shown = capsys.readouterr().out
    assert "state          stopped\n" in shown and "not installed" in shown
    assert call(home, "stop") == 0
    assert capsys.readouterr().out == "it is not running\n"
    assert "start" in str(refusal(home, "env"))
    assert "never started" in str(refusal(home, "log"))
    assert not home.exists()


def test_env_refuses_when_it_is_stopped_though_there_is_a_key(home, capsys):
    (home / "key").write_text("0123456789abcdef\n")
    write_state(home, port=8080)
    error = refusal(home, "env")
    assert error.exit_code == FAILED and "galaxy_local.py start" in str(error)
    assert "0123456789abcdef" not in "".join(capsys.readouterr())


def test_a_pid_that_another_process_has_now_counts_as_stopped(home, sleeper, capsys):
    stranger = {"pid": sleeper.pid, "began": processes.process_birth(sleeper.pid) + "1"}
    write_state(home, port=8080, server=stranger, worker=stranger)
    assert call(home, "status") == FAILED
    assert "state          stopped\n" in capsys.readouterr().out
    assert call(home, "stop") == 0
    assert capsys.readouterr().out == "it is not running\n"
    assert sleeper.poll() is None
    assert json.loads((home / "state.json").read_text()) == {"port": 8080}


def test_a_truncated_state_file_is_one_error_line(home):
    (home / "state.json").write_text('{"port": 80')
    assert "state.json" in str(refusal(home, "status"))


# -------------------------------------------------------------------------------------------------- a start that fails

def test_a_port_that_is_taken(home, capsys):
    write_state(home, port=8123, server={"pid": 2**22 + 1, "began": "long ago"})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        error = refusal(home, "start", f"--port={port}")
    assert error.exit_code == FAILED
    assert f"port {port}" in str(error) and "--port=N" in str(error)
    assert not (home / "config").exists()
    assert json.loads((home / "state.json").read_text()) == {"port": 8123}, "it keeps the one that it had"


def test_a_folder_of_other_things_is_left_alone(tmp_path, free_port):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("years of work")
    assert "holds other things" in str(refusal(tmp_path, "start", f"--port={free_port}"))
    assert (tmp_path / "data" / "thesis.txt").read_text() == "years of work"


def test_stop_does_not_claim_a_folder(tmp_path, free_port, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("years of work")
    assert call(tmp_path, "stop") == 0
    assert "holds other things" in str(refusal(tmp_path, "start", f"--port={free_port}"))
    assert (tmp_path / "data" / "thesis.txt").read_text() == "years of work"


def test_a_lock_that_is_a_link_is_not_followed(home, tmp_path):
    (tmp_path / "important.txt").write_text("keep me")
    (home / LOCK).unlink()
    (home / LOCK).symlink_to(tmp_path / "important.txt")
    with pytest.raises(OSError):
        call(home, "start")
    assert (tmp_path / "important.txt").read_text() == "keep me"


def test_the_processes_of_a_home_that_was_copied_are_left_alone(home, sleeper, capsys):
    original = {"pid": sleeper.pid, "began": processes.process_birth(sleeper.pid)}
    write_state(home, port=8080, server=original, worker=original)
    assert call(home, "status") == FAILED
    assert call(home, "stop") == 0
    assert capsys.readouterr().out.endswith("it is not running\n")
    assert sleeper.poll() is None


@pytest.mark.parametrize("text", ["[]", "null", '{"server": 5}', '{"server": {"pid": 1}}', '{"port": "x"}', "5"])
def test_a_state_file_of_another_shape_is_refused(home, text):
    (home / "state.json").write_text(text)
    assert "state.json" in str(refusal(home, "status"))


def test_an_empty_home_is_refused():
    with pytest.raises(GalaxyError, match="is a variable unset"):
        galaxy_local.main(["stop", "--home="])


def test_a_full_disk_is_reported_before_the_installation(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(installation.shutil, "disk_usage", lambda path: usage(10**10, 9 * 10**9, 10**9))
    monkeypatch.setattr(installation, "install_commands", lambda *_: pytest.fail("it began to install"))
    error = refusal(tmp_path / "galaxy", "start", "--port=65001")
    assert error.exit_code == FAILED
    assert "1.0 GB are free" in str(error) and "2.5 GB" in str(error) and "--home=DIR" in str(error)


def test_a_failed_installation_shows_the_log_and_is_repeated(tmp_path, free_port, monkeypatch, capsys):
    noise = "WARNING: Location 'x' is ignored: it is neither a file nor a directory."
    program = f"print({noise!r}); print('No space left on device'); raise SystemExit(3)"
    attempts = []

    def commands(environment, python, release):
        attempts.append(python)
        environment.mkdir()
        return [[sys.executable, "-c", "pass"], [sys.executable, "-c", program]]

    monkeypatch.setattr(installation, "install_commands", commands)
    home = tmp_path / "galaxy"
    for _ in range(2):
        error = refusal(home, "start", f"--port={free_port}")
        assert error.exit_code == FAILED and "exit 3" in str(error) and "install.log" in str(error)
        shown = capsys.readouterr()
        assert "No space left on device" in shown.err and "WARNING" not in shown.err
        assert shown.out == ""
        assert not (home / "venv").exists()
    assert len(attempts) == 2


def test_an_installation_that_outlives_its_start_keeps_the_lock(tmp_path, free_port):
    """Else the next start would take the environment away from under pip."""
    home, note = tmp_path / "galaxy", tmp_path / "pid"
    installer = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    program = ("import sys, galaxy_local\n"
               "from galaxy_api_scripts.local_server import installation\n"
               f"installation.install_commands = lambda *_: [[sys.executable, '-c', {installer!r}]]\n"
               f"galaxy_local.main(['start', '--home={home}', '--port={free_port}'])")
    folder = Path(galaxy_local.__file__).parent
    starting = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL,
                                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(folder.parent)])})
    while not (note.exists() and note.read_text()):
        assert starting.poll() is None
        time.sleep(0.01)
    starting.kill()
    starting.wait()
    installing = int(note.read_text())
    try:
        with open(home / LOCK) as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(installing, signal.SIGKILL)


PINNED = """--extra-index-url https://wheels.example.org/simple
certifi==2024.2.2 ; python_version >= "3.8"
fastapi-slim==0.111.0 ; python_version >= "3.8"
isa-rwval @ git+https://github.com/example/isa-rwval.git@3d98918
pydantic[email]==2.7.4
    # via galaxy
"""


@pytest.mark.parametrize("release", installation.RELEASES.values())
def test_every_part_and_requirement_is_of_the_release(tmp_path, release):
    environment = tmp_path / "venv"
    folder = environment / "lib" / "python3.11" / "site-packages" / "galaxy" / "dependencies"
    folder.mkdir(parents=True)
    (folder / "pinned-requirements.txt").write_text(PINNED)
    commands = [list(map(str, command)) for command in installation.install_commands(environment, "python3", release)]
    assert [command[-1] for command in commands[1:]] == [f"galaxy-app=={release}", f"galaxy-web-apps=={release}"]
    assert f"--constraint={environment / 'constraints.txt'}" in commands[-1]
    lines = (environment / "constraints.txt").read_text().splitlines()
    assert lines[:2] == ['fastapi==0.111.0 ; python_version >= "3.8"', "pydantic==2.7.4"]
    assert f"galaxy-tool-util-models=={release}" in lines and all(line.endswith(f"=={release}") for line in lines[2:])


def test_without_a_suitable_python_the_error_names_one(monkeypatch):
    monkeypatch.setattr(installation.shutil, "which", lambda name: None)
    monkeypatch.setattr(installation, "PYTHONS", [(3, 98)])
    with pytest.raises(GalaxyError, match="Galaxy 26.1.2 runs on Python 3.10 to 3.98.*python3.11"):
        installation.find_python("26.1.2")
    monkeypatch.setattr(installation, "PYTHONS", [(3, 13), (3, 98)])
    with pytest.raises(GalaxyError, match="Galaxy 24.1.4 runs on Python 3.10 to 3.12"):
        installation.find_python("24.1.4")


@pytest.fixture
def installed(monkeypatch):
    """The release that each installation was of; none takes place."""
    made = []

    def commands(environment, python, release):
        environment.mkdir()
        made.append(release)
        return []

    monkeypatch.setattr(installation, "install_commands", commands)
    return made


def test_each_release_has_a_home_of_its_own(tmp_path, monkeypatch, installed, capsys):
    monkeypatch.setenv("GALAXY_LOCAL_HOME", str(tmp_path / "galaxy"))
    for words in ([], ["--release=26.1"], ["--release=24.1"], ["--release=24.1"], ["--release=25.0"]):
        assert galaxy_local.main(["install", *words]) == 0
    assert installed == ["26.1.2", "24.1.4", "25.0.4"]
    assert sorted(path.name for path in tmp_path.glob("galaxy*")) == ["galaxy", "galaxy-24.1", "galaxy-25.0"]
    assert galaxy_local.main(["status", "--release=24.1"]) == FAILED
    shown = capsys.readouterr().out
    assert f"home           {tmp_path}/galaxy-24.1\n" in shown and "release        24.1.4\n" in shown


def test_a_home_keeps_its_release(tmp_path, monkeypatch, installed):
    home = tmp_path / "old"
    assert call(home, "install", "--release=24.1") == 0 and call(home, "install") == 0
    monkeypatch.setenv("GALAXY_LOCAL_HOME", str(home))
    assert galaxy_local.main(["install"]) == 0 and galaxy_local.main(["install", "--release=24.1"]) == 0
    assert installed == ["24.1.4"] and not (tmp_path / "old-24.1").exists()
    assert galaxy_local.main(["install", "--release=26.1"]) == 0
    assert installation.installed_release(tmp_path / "old-26.1") == "26.1.2"


@pytest.mark.parametrize("command", ["install", "start"])
def test_data_of_another_release_are_not_cleared(home, installed, command):
    (home / "data").mkdir()
    (home / "data" / "complete").touch()
    error = refusal(home, command, "--release=24.1")
    assert f"{home} holds Galaxy 26.1.2 and its data" in str(error) and "--home=DIR" in str(error)
    assert not installed and installation.installed_release(home) == installation.RELEASE


def test_an_older_galaxy_has_the_newest_tool_shed(tmp_path, installed, monkeypatch):
    monkeypatch.setattr(installation, "run_installers", lambda commands, home, lock, what: list(commands))
    home = tmp_path / "old"
    for _ in range(2):
        assert call(home, "install", "--release=24.1", "--with-toolshed") == 0
    assert installed == ["24.1.4", "26.1.2"] and (home / "venv-toolshed" / "toolshed").read_text() == "26.1.2"
    started = []
    monkeypatch.setattr(server, "start_process", lambda command, *_: started.append(command[0]) or {"pid": 1, "began": "x"})
    for name in ("server", "worker", "toolshed"):
        server.spawn(home, {}, name)
    assert [path.parent.parent.name for path in started] == ["venv", "venv", "venv-toolshed"]


def test_a_release_that_is_not_served_is_a_usage_error(home):
    error = refusal(home, "start", "--release=23.2")
    assert error.exit_code == USAGE and "24.1, 24.2, 25.0, 25.1, 26.0, 26.1" in str(error)


def test_a_server_that_dies_while_starting_shows_its_log(home, free_port, monkeypatch, capsys):
    pretend(home, monkeypatch, "raise SystemExit('the database is on fire')")
    error = refusal(home, "start", f"--port={free_port}")
    assert error.exit_code == FAILED and "server died" in str(error) and "server.log" in str(error)
    assert "the database is on fire" in capsys.readouterr().err
    assert call(home, "status") == FAILED
    assert "server" not in json.loads((home / "state.json").read_text())


def test_a_worker_that_dies_takes_the_server_with_it(home, free_port, monkeypatch, capsys):
    pretend(home, monkeypatch, SERVER, worker="raise SystemExit('no queue')")
    error = refusal(home, "start", f"--port={free_port}")
    assert "worker died" in str(error)
    assert "no queue" in capsys.readouterr().err
    assert not processes.port_in_use(free_port)


def test_an_interrupted_start_leaves_nothing_running(home, free_port, monkeypatch):
    pretend(home, monkeypatch, SERVER)
    pids = []

    def interrupt(home, url):
        pids.append(read_state(home)["server"]["pid"])
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "ensure_administrator", interrupt)
    with pytest.raises(KeyboardInterrupt):
        call(home, "start", f"--port={free_port}")
    assert len(pids) == 1 and not processes.port_in_use(free_port)


# ------------------------------------------------------------------------------------------------------ a whole life

@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_start_twice_then_status_env_log_and_stop(home, free_port, monkeypatch, capsys):
    pretend(home, monkeypatch, SERVER)
    port = f"--port={free_port}"
    assert call(home, "start", port) == 0
    shown = capsys.readouterr()
    assert f"http://127.0.0.1:{free_port}\n" in shown.out and str(home / "key") in shown.out
    assert "ready after" in shown.err
    state = json.loads((home / "state.json").read_text())
    try:
        assert call(home, "start") == 0
        assert "runs already" in capsys.readouterr().out
        assert json.loads((home / "state.json").read_text()) == state
        assert f"port {free_port}" in str(refusal(home, "start", "--port=1"))

        assert call(home, "status") == 0
        shown = capsys.readouterr().out
        assert re.search(r"^state +running$", shown, re.MULTILINE) and str(state["server"]["pid"]) in shown

        assert call(home, "env") == 0
        lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
        assert lines == [["export", f"GALAXY_URL=http://127.0.0.1:{free_port}"],
                         ["export", "GALAXY_API_KEY=0123456789abcdef"]]

        assert call(home, "log", "--lines=1") == 0
        assert "worker.log <==\nthe worker is warm\n" in capsys.readouterr().out

        members = {one["pid"] for one in processes.session_processes(state["server"]["pid"], home)}
        assert state["server"]["pid"] in members and len(members) == 2      # with a job in a process group of its own

        os.kill(state["worker"]["pid"], signal.SIGKILL)                     # a worker that died is started again
        processes.CHILDREN[state["worker"]["pid"]].wait()
        assert call(home, "status") == 0
        assert "without its worker" in capsys.readouterr().out
        assert call(home, "start") == 0
        again = json.loads((home / "state.json").read_text())
        assert again["server"] == state["server"] and again["worker"] != state["worker"]
        capsys.readouterr()
    finally:
        assert call(home, "stop") == 0
    assert capsys.readouterr().out == "stopped\n"
    assert all(gone(pid) for pid in members) and not processes.port_in_use(free_port)
    assert call(home, "stop") == 0
    assert capsys.readouterr().out == "it is not running\n"


def test_two_starts_at_once_make_one_server(home, free_port, monkeypatch, capsys):
    pretend(home, monkeypatch, SERVER)
    home_of_script = Path(galaxy_local.__file__).parent
    second = f"import sys, galaxy_local; sys.exit(galaxy_local.main(['start', '--home={home}']))"
    with processes.wait_for_lock(home / LOCK):
        path = os.pathsep.join([str(home_of_script), str(home_of_script.parent)])
        waiting = subprocess.Popen([sys.executable, "-c", second], text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
        assert "waiting for another start" in waiting.stderr.readline()
        configure(home, {"port": free_port})
        state = {"port": free_port}
        server.launch(home, state)
    try:
        out, _ = waiting.communicate(timeout=30)
        assert waiting.returncode == 0 and f"runs already on http://127.0.0.1:{free_port}" in out
        assert json.loads((home / "state.json").read_text()) == state
    finally:
        assert call(home, "stop") == 0


# ------------------------------------------------------------------------------------- what a start that was killed left

SLOW = SERVER.replace("import http.server,", "import time; time.sleep(1)\nimport http.server,")


@pytest.fixture
def half_way(home, free_port, monkeypatch):
    """`half_way(*names)`: a home in which a start was killed when it had begun these processes; the server is slow."""
    pretend(home, monkeypatch, SLOW)
    monkeypatch.setattr(processes, "GRACE", 5)

    def begin(*names, written_down=True):
        state = {"port": free_port}
        configure(home, state)
        for name in names:
            server.spawn(home, state, name)
        if not written_down:
            write_state(home, port=free_port)
        return state
    yield begin
    call(home, "stop")


def workers(home):
    return [one for one in processes.session_leaders(home / "venv" / "bin" / "python", home)
            if b"the worker is warm" in Path(f"/proc/{one['pid']}/cmdline").read_bytes()]


@pytest.mark.parametrize("names, first", [(["server"], True), (["server", "worker"], False), (["server", "worker"], True)])
def test_a_server_that_is_half_started_is_waited_for(home, free_port, half_way, names, first, capsys):
    before = half_way(*names)
    if not first:
        (home / "data" / "complete").touch()
    assert not processes.port_in_use(free_port), "else this shows nothing"
    assert call(home, "start") == 0
    assert processes.port_in_use(free_port) and (home / "data" / "complete").exists() and (home / "key").exists()
    state = read_state(home)
    assert state["server"] == before["server"] and processes.is_process_running(state["worker"])
    assert workers(home) == [state["worker"]]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("command", ["start", "stop"])
def test_a_server_that_was_not_written_down_is_ended(home, free_port, half_way, command, capsys):
    before = half_way("server", written_down=False)
    wait_until(lambda: processes.port_in_use(free_port))
    members = processes.session_processes(before["server"]["pid"], home)
    assert call(home, command) == 0 and len(members) == 2
    assert not any(processes.is_process_running(one) for one in members)
    assert processes.port_in_use(free_port) == (command == "start")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_dead_servers_job_that_keeps_the_port_open_is_ended(home, free_port, half_way):
    """The job has the server's socket."""
    state = {"port": free_port}
    configure(home, state)
    SPAWN(home, state, "server", "-c", "import os, socket, sys, time\n"
              "kept = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
              "os.fork() or time.sleep(60)\nos._exit(0)", str(free_port))
    wait_until(lambda: not processes.is_process_running(state["server"]))
    assert processes.port_in_use(free_port)
    assert call(home, "start") == 0
    assert read_state(home)["server"] != state["server"]


def test_other_processes_in_the_home_are_left_alone(home, half_way, capsys):
    """Such as somebody's shell, or the environment's Python that somebody runs in it."""
    half_way()
    for program in (sys.executable, home / "venv" / "bin" / "python"):
        with subprocess.Popen([program, "-c", "input()"], cwd=home / "data", stdin=subprocess.PIPE) as other:
            assert call(home, "stop") == 0 and other.poll() is None
            other.stdin.close()
            other.wait()
    assert "it is not running" in capsys.readouterr().out


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_interrupted_installation_is_cleared_with_a_message(tmp_path, monkeypatch, capsys):
    def commands(environment, python, release):
        assert not environment.exists()
        yield [sys.executable, "-c", f"import os; os.mkdir({str(environment)!r})"]

    monkeypatch.setattr(installation, "install_commands", commands)
    home, others = tmp_path / "galaxy", tmp_path / "others"
    (home / "venv" / "bin").mkdir(parents=True)
    (home / LOCK).touch()
    assert call(home, "install") == 0 and installation.installed_release(home) == installation.RELEASE
    assert f"clearing {home}/venv: its installation was broken off\n" in capsys.readouterr().err
    (home / "venv" / "complete").write_text("26.1.0")
    assert call(home, "install") == 0
    assert f"clearing {home}/venv: it has release 26.1.0\n" in capsys.readouterr().err
    (home / "venv").rename(others)
    (home / "venv").symlink_to(others)
    (others / "complete").write_text("26.1.0")
    assert call(home, "install") == 0 and not (home / "venv").is_symlink()
    assert (others / "complete").read_text() == "26.1.0"


# ----------------------------------------------------------------------------------------------------------- Tool Shed

@pytest.fixture
def with_toolshed(home, monkeypatch):
    """A home in which the Tool Shed is installed too, and what was published in it."""
    (home / "venv" / "toolshed").write_text(installation.RELEASE)
    pretend(home, monkeypatch, SERVER, toolshed=SERVER)
    published = []
    monkeypatch.setattr(server, "publish_repository", lambda *what: published.append(what))
    yield published
    call(home, "stop")


def test_a_tool_shed_is_started_beside_galaxy_and_stopped_with_it(home, free_port, with_toolshed, capsys):
    url = f"http://127.0.0.1:{free_port + 929}"
    assert call(home, "start", "--with-toolshed", f"--port={free_port}") == 0
    assert f"its Tool Shed: {url}\n" in capsys.readouterr().out
    secrets = home_secrets(home)
    folder = REPOSITORY
    assert with_toolshed == [(secrets["bootstrap_key"], url, ADMINISTRATOR, folder)]
    settings = yaml.safe_load((home / "config" / "tool_shed.yml").read_text())["tool_shed"]
    assert settings["tool_shed_url"] == url and settings["file_path"] == f"{home}/toolshed/repositories"
    assert stat.S_IMODE((home / "config" / "tool_shed.yml").stat().st_mode) == 0o600
    assert call(home, "status") == 0
    assert f"tool shed      {url}\n" in capsys.readouterr().out
    assert call(home, "env") == 0
    assert f"export GALAXY_TOOL_SHED_URL={url}\n" in capsys.readouterr().out
    assert call(home, "log") == 0
    assert "toolshed.log" in capsys.readouterr().out
    assert call(home, "stop") == 0
    assert not processes.port_in_use(free_port + 929) and not processes.port_in_use(free_port)


def test_a_tool_shed_is_added_to_a_galaxy_that_runs(home, free_port, with_toolshed, capsys):
    assert call(home, "start", f"--port={free_port}") == 0
    server = read_state(home)["server"]
    assert with_toolshed == [] and not processes.port_in_use(free_port + 929)
    assert call(home, "status") == 0 and call(home, "env") == 0
    shown = capsys.readouterr().out
    assert "tool shed      none\n" in shown and "TOOL_SHED" not in shown
    assert call(home, "start", "--with-toolshed") == 0
    state = read_state(home)
    assert state["server"] == server and processes.is_process_running(state["toolshed"]) and len(with_toolshed) == 1
    assert call(home, "start", "--with-toolshed") == 0      # again is safe
    assert read_state(home) == state


def test_a_tool_shed_that_fails_leaves_galaxy_running(home, free_port, with_toolshed, monkeypatch, capsys):
    pretend(home, monkeypatch, SERVER, toolshed="raise SystemExit('no mercurial')")
    error = refusal(home, "start", "--with-toolshed", f"--port={free_port}")
    assert "toolshed died" in str(error) and "no mercurial" in capsys.readouterr().err
    assert call(home, "status") == 0
    assert "toolshed" not in read_state(home)


def test_a_taken_tool_shed_port_is_refused(home, with_toolshed, free_port):
    with socket.create_server(("127.0.0.1", free_port + 929)):
        error = refusal(home, "start", "--with-toolshed", f"--port={free_port}")
    assert f"port {free_port + 929}" in str(error) and "--port=N" in str(error)


def test_a_port_too_high_for_the_tool_shed_is_refused(home, with_toolshed):
    assert "65535" in str(refusal(home, "start", "--with-toolshed", "--port=65000"))


def test_the_tool_shed_is_installed_once_in_the_release_of_galaxy(home, monkeypatch):
    ran = []
    monkeypatch.setattr(installation, "run_installers", lambda commands, *_: ran.append(commands))
    installation.install_toolshed(home, None)
    installation.install_toolshed(home, None)
    [[command]] = ran
    assert command[-1] == f"galaxy-tool-shed=={installation.RELEASE}" and str(command[0]).startswith(str(home))


# ------------------------------------------------------------------------------------------------------------ settings

def settings_of(home):
    return yaml.safe_load((home / "config" / "galaxy.yml").read_text("utf-8"))["galaxy"]


def test_a_home_with_an_odd_name(home):
    odd = home.parent / "Größe: 'x' \"y\" <&> #z"
    odd.mkdir()
    configure(odd, {"port": 8123})
    assert settings_of(odd)["data_dir"] == f"{odd}/data"
    root = ElementTree.parse(odd / "config" / "data_tables.xml").getroot()
    assert root.find("table/file").get("path") == f"{odd}/data/tool-data/all_fasta.loc"


def test_settings_of_the_user_override_ours(home):
    configure(home, {"port": 8123, "settings": {
        "galaxy_url_prefix": "/galaxy", "allow_path_paste": False, "library_import_dir": None, "brand": None}})
    settings = settings_of(home)
    assert settings["galaxy_url_prefix"] == "/galaxy" and settings["allow_path_paste"] is False
    assert "library_import_dir" not in settings and "brand" not in settings
    assert settings["galaxy_infrastructure_url"] == "http://127.0.0.1:8123/galaxy"


@pytest.mark.parametrize("text, value", [("on", True), ("", None), ("a=b", "a=b"), ("/galaxy", "/galaxy"), ("5", 5),
                                         ("{a: [b]}", {"a": ["b"]})])
def test_a_setting_is_parsed_as_yaml(text, value):
    assert parse_setting(f"some_name={text}") == ("some_name", value)


@pytest.mark.parametrize("text", ["brand", "=x", "Brand=x", "a-b=x", "brand=[", "brand=2020-01-01", ""])
def test_an_invalid_setting_is_a_usage_error(home, text):
    error = refusal(home, "start", f"--set={text}")
    assert error.exit_code == USAGE and "--set" in str(error)
    assert not (home / "config").exists()


def test_settings_of_the_user_are_kept_and_change_only_while_it_is_stopped(home, free_port, monkeypatch, capsys):
    pretend(home, monkeypatch, SERVER)
    port = f"--port={free_port}"
    assert call(home, "start", port, "--set=galaxy_url_prefix=/galaxy", "--set=allow_path_paste=false") == 0
    try:
        url = f"http://127.0.0.1:{free_port}/galaxy"
        assert f"on {url}\n" in capsys.readouterr().out
        assert call(home, "start", "--set=galaxy_url_prefix=/galaxy") == 0
        assert f"runs already on {url}\n" in capsys.readouterr().out
        assert "another brand" in str(refusal(home, "start", "--set=brand=Ours"))
        assert call(home, "status") == 0
        assert f"url            {url}\n" in capsys.readouterr().out
        assert call(home, "env") == 0
        assert f"export GALAXY_URL={url}\n" in capsys.readouterr().out
        assert call(home, "stop") == 0
        assert call(home, "start", "--set=galaxy_url_prefix=") == 0
        settings = settings_of(home)
        assert "galaxy_url_prefix" not in settings and settings["allow_path_paste"] is False
        assert f"on http://127.0.0.1:{free_port}\n" in capsys.readouterr().out
    finally:
        assert call(home, "stop") == 0


def test_the_address_that_a_proxy_gives_it_is_told(home, free_port, monkeypatch, capsys):
    pretend(home, monkeypatch, SERVER)
    url = f"http://localhost:{free_port}"
    assert call(home, "start", f"--port={free_port}", f"--set=galaxy_infrastructure_url={url}") == 0
    try:
        assert f"on {url}\n" in capsys.readouterr().out
        assert call(home, "env") == 0
        assert f"export GALAXY_URL={url}\n" in capsys.readouterr().out
    finally:
        assert call(home, "stop") == 0


def test_several_web_processes_are_gunicorns_which_galaxy_tells_apart(home, free_port, monkeypatch, capsys):
    commands = []
    pretend(home, monkeypatch, SERVER)
    spawn = server.spawn
    monkeypatch.setattr(server, "spawn", lambda *about: commands.append(about[3:]) or spawn(*about))
    try:
        assert call(home, "start", f"--port={free_port}", "--processes=2") == 0
        assert "another number of web processes" in str(refusal(home, "start", "--processes=3"))
        assert call(home, "stop") == 0 and call(home, "start") == 0      # kept
        assert call(home, "stop") == 0 and call(home, "start", "--processes=1") == 0
    finally:
        assert call(home, "stop") == 0
    servers = [words for words in commands if words[0] == "-m"]
    assert [words[1] for words in servers] == ["gunicorn", "gunicorn", "uvicorn"]
    assert {"--workers=2", f"--bind=127.0.0.1:{free_port}", "--preload"} < set(servers[1])


def test_settings_are_private_and_filled_in(home):
    configure(home, {"port": 8123})
    settings = settings_of(home)
    assert "$" not in str(settings)
    assert settings["library_import_dir"] == f"{home}/import" and settings["allow_path_paste"] is True
    assert settings["galaxy_infrastructure_url"] == "http://127.0.0.1:8123" and settings["watch_tools"] == "false"
    celery = settings["celery_conf"]
    for database in (settings["database_connection"], celery["broker_url"], celery["result_backend"]):
        assert database.endswith("&timeout=30")     # SQLite's own 5 seconds are too few on a busy machine
    assert 'url="http://127.0.0.1:9052/"' in (home / "config" / "tool_sheds.xml").read_text()
    for path in (home / "config" / "galaxy.yml", home / "config" / "secrets.json", home / "password"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = (home / "config" / "secrets.json").read_text(), (home / "password").read_text()
    configure(home, {"port": 8124})
    assert ((home / "config" / "secrets.json").read_text(), (home / "password").read_text()) == before
    assert settings_of(home)["galaxy_infrastructure_url"] == "http://127.0.0.1:8124"


def test_data_of_an_interrupted_first_start_are_cleared_later_data_stay(home):
    (home / "data").mkdir()
    (home / "data" / "universe.sqlite").write_text("half a database")
    configure(home, {"port": 8080})
    assert not (home / "data" / "universe.sqlite").exists()
    (home / "data" / "universe.sqlite").write_text("work")
    (home / "data" / "complete").touch()
    configure(home, {"port": 8080})
    assert (home / "data" / "universe.sqlite").read_text() == "work"


MADE, FRESH_KEY = {"id": "7", "email": ADMINISTRATOR}, (200, "fresh")
LOOK_UP = f"GET /api/users?f_email={quote(ADMINISTRATOR)}"


@pytest.mark.parametrize("key, answers, asked, kept", [
    (None, [(200, []), (200, MADE), FRESH_KEY], [LOOK_UP, "POST /api/users", "POST /api/users/7/api_key"], "fresh"),
    ("good", [(200, MADE)], ["GET /api/users/current"], "good"),
    ("stale", [(401, {"err_msg": "no such key", "err_code": 401001}),
               (200, [{"id": "2", "email": "x" + ADMINISTRATOR}, {**MADE, "id": "3"}]), FRESH_KEY],
     ["GET /api/users/current", LOOK_UP, "POST /api/users/3/api_key"],
     "fresh"),
])
def test_the_administrators_key_is_checked_and_replaced_if_need_be(home, loopback, key, answers, asked, kept):
    loopback.will(*answers)
    configure(home, {"port": 8080})
    if key:
        (home / "key").write_text(key + "\n")
    server.ensure_administrator(home, loopback.url)
    assert [request.line for request in loopback.asked] == asked
    assert (home / "key").read_text() == kept + "\n"
    bootstrap = home_secrets(home)["bootstrap_key"]
    for request in loopback.asked:
        assert request.headers["x-api-key"] == (key if "current" in request.path else bootstrap)
    if not key:
        assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600
        assert loopback.asked[1].json == {"email": ADMINISTRATOR, "username": "admin",
                                          "password": (home / "password").read_text().strip()}
