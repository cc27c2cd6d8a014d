"""Start processes that outlive this one, recognise them later, and stop them with all that they started.

A process is written down as `{"pid": number, "began": text}`, because another process may have its number by now.
"""
from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from common import GalaxyError, eprint
from galaxy_api_scripts.files import hold_lock, write_atomic

GRACE = 30                  # seconds between SIGTERM and SIGKILL
CHILDREN: dict[int, subprocess.Popen[bytes]] = {}   # by pid; kept, because only their parent learns how they ended
Process = dict[str, Any]


def start_process(command: Sequence[str | Path], folder: Path, logfile: Path, environment: dict[str, str]) -> Process:
    """Start a process that works in `folder`, outlives this one and holds none of its streams. An earlier `logfile` becomes
    `NAME.log.1`."""
    if logfile.exists():
        logfile.replace(logfile.with_suffix(".log.1"))
    with open(logfile, "wb") as output:
        child = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=output, start_new_session=True)
    CHILDREN[child.pid] = child
    return {"pid": child.pid, "began": process_birth(child.pid)}


def stop_processes(processes: Iterable[Process], folder: Path) -> bool:
    """Stop these processes with all that they started that is known to be ours, because it is of their sessions and works in
    `folder`; return whether there were any."""
    known = list(processes)
    heads = [process for process in known if is_process_running(process)]
    members = [one for process in known if process_birth(process["pid"]) in ("", process["began"])
               for one in session_processes(process["pid"], folder)]
    for process in heads:
        _send(process, signal.SIGTERM)
    limit = time.monotonic() + GRACE
    while any(map(is_process_running, heads)) and time.monotonic() < limit:
        time.sleep(0.05)
    left = [process for process in heads + members if is_process_running(process)]
    for process in left:
        _send(process, signal.SIGKILL)
    while any(map(is_process_running, left)):
        time.sleep(0.05)
    return bool(heads or members)


def _send(process: Process, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process["pid"], number)


def is_process_running(process: Process | None) -> bool:
    """Return whether `process` still runs; another process that has its number by now does not count."""
    return process is not None and process["began"] != "" and process_birth(process["pid"]) == process["began"]


def process_birth(pid: int) -> str:
    """Return what distinguishes process `pid` from every other that ever had this number; "" if none runs."""
    if pid in CHILDREN and CHILDREN[pid].poll() is not None:
        return ""
    if Path("/proc/self/stat").exists():
        fields, boot = _stat(pid), Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return "" if fields[0] in "XZ" else f"{boot} {fields[19]}"
    ps = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    fields = ps.stdout.split()
    return "" if not fields or fields[0].startswith("Z") else " ".join(fields[1:])


def _stat(pid: int) -> list[str]:
    """Return the fields of Linux's /proc/PID/stat from the state on (see proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X"] * 20


def session_processes(leader: int, folder: Path) -> list[Process]:
    """Return the processes of the session of `leader` that work in `folder`: those of a worker's pool, and jobs."""
    return [{"pid": pid, "began": process_birth(pid)} for pid in _processes_in(folder) if _stat(pid)[3] == str(leader)]


def session_leaders(program: str | Path, folder: Path) -> list[Process]:
    """Return the processes, written down or not, that lead a session, run `program` and work in `folder`."""
    return [{"pid": pid, "began": process_birth(pid)} for pid in _processes_in(folder)
            if _stat(pid)[3] == str(pid) and _program(pid) == str(program)]


def _processes_in(folder: Path) -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").glob("[0-9]*") if process_works_in(path.name, folder))


def _program(pid: int) -> str:
    """Return the program that process `pid` runs, as its command line has it (Linux)."""
    with suppress(OSError):
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0])
    return ""


def process_works_in(pid: int | str, folder: Path) -> bool:
    """Return whether the working directory of process `pid` is in `folder`; True if there is no /proc."""
    try:
        inside = Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return not Path("/proc/self/cwd").exists()
    return folder == inside or folder in inside.parents


def clean_environment() -> dict[str, str]:
    """Return our environment without the variables that would mislead another Python or Galaxy."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("GALAXY_", "PYTHON")) and name not in ("VIRTUAL_ENV", "__PYVENV_LAUNCHER__")}


def wait_until(condition: Callable[[], bool], words: str, began: float,
               check: Callable[[float], None] | None = None) -> None:
    """Wait until `condition()`, printing `words` every 15 seconds from then on; `check(seconds since began)` may raise."""
    reported = time.monotonic() - began
    while not condition():
        elapsed = time.monotonic() - began
        if check:
            check(elapsed)
        if elapsed - reported >= 15:
            reported = elapsed
            eprint(f"{words} ({elapsed:.0f} s)")
        time.sleep(0.1)


# -------------------------------------------------------------------------------------------------------------- ports

def port_in_use(port: int) -> bool:
    """Return whether something listens on this port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


def require_free_port(port: int) -> None:
    """Raise GalaxyError if this port is taken, or needs rights that we lack."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", "ports end at 65535")
            raise GalaxyError(f"port {port} is not available ({reason}): choose another with --port=N") from None


# -------------------------------------------------------------------------------------------------------------- files

def wait_for_lock(path: Path) -> AbstractContextManager[int]:
    """Hold the lock file `path`, after any process that holds it now; yields its descriptor."""
    return hold_lock(path, on_wait=lambda: eprint("waiting for another start, stop or installation that is under way"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, complete or not at all."""
    write_atomic(path, text.encode(), overwrite=True, mode=0o600)
