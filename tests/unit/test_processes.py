"""Processes that outlive their starter: recognised later, and stopped with all that they started."""
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common import GalaxyError
from galaxy_api_scripts.local_server import processes

has_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def start(folder, program):
    return processes.start_process([sys.executable, "-c", program], folder, folder / "one.log",
                                   processes.clean_environment())


def until(condition):
    while not condition():
        time.sleep(0.01)


def test_a_process_that_is_already_dead_is_not_running():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert not processes.is_process_running({"pid": process.pid, "began": processes.process_birth(process.pid)})


def test_a_process_starts_with_a_new_log_and_stops(tmp_path):
    (tmp_path / "one.log").write_text("earlier")
    process = start(tmp_path, "import os, time; print(os.getcwd(), flush=True); time.sleep(60)")
    try:
        assert processes.is_process_running(process) and os.getsid(process["pid"]) == process["pid"]
        until(lambda: (tmp_path / "one.log").read_text() == f"{tmp_path}\n")
        assert (tmp_path / "one.log.1").read_text() == "earlier"
    finally:
        assert processes.stop_processes([process], tmp_path)
    assert not processes.is_process_running(process)
    assert not processes.stop_processes([process], tmp_path)


@has_proc
def test_children_of_a_dead_process_are_stopped_too(tmp_path):
    process = start(tmp_path, "import os, sys; os.fork() or os.execl(sys.executable, 'python', '-c', "
                              "'import time; print(1, flush=True); time.sleep(60)'); os._exit(0)")
    until(lambda: not processes.is_process_running(process) and (tmp_path / "one.log").read_text() == "1\n")
    members = processes.session_processes(process["pid"], tmp_path)
    assert len(members) == 1
    assert processes.session_processes(process["pid"], tmp_path / "elsewhere") == []
    assert processes.stop_processes([process], tmp_path)
    assert not processes.is_process_running(members[0])


def test_a_process_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 0.1)
    process = start(tmp_path, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); "
                              "time.sleep(60)")
    until(lambda: (tmp_path / "one.log").read_text())
    assert processes.stop_processes([process], tmp_path)
    assert processes.CHILDREN[process["pid"]].returncode == -signal.SIGKILL


def test_another_process_with_the_same_pid_is_left_alone(tmp_path):
    process = start(tmp_path, "import time; time.sleep(60)")
    try:
        assert not processes.stop_processes([{**process, "began": process["began"] + "1"}], tmp_path)
        assert processes.is_process_running(process)
    finally:
        processes.stop_processes([process], tmp_path)


def test_the_clean_environment_lacks_python_and_galaxy_variables(monkeypatch):
    for name in ("GALAXY_CONFIG_FILE", "PYTHONPATH", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "x")
    assert not {"GALAXY_CONFIG_FILE", "PYTHONPATH", "VIRTUAL_ENV"} & set(processes.clean_environment())
    assert processes.clean_environment()["PATH"] == os.environ["PATH"]


def test_a_port_in_use_is_recognised_and_refused(loopback):
    port = loopback.http.server_port
    assert processes.port_in_use(port)
    with pytest.raises(GalaxyError, match=f"port {port} .*--port=N"):
        processes.require_free_port(port)


def test_a_private_file_replaces_one_that_others_could_read(tmp_path):
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    processes.write_private(path, "Größe")
    assert path.read_text("utf-8") == "Größe" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.glob("*.new")) == []
