"""Shared by the benchmarks: the Galaxy that they run on, measured processes, ours and a peer in turn."""
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

from common import Galaxy, GalaxyError

ROOT = Path(__file__).resolve().parent.parent
LOCAL = [sys.executable, str(ROOT / "scripts" / "galaxy_local.py")]
PEERS = ROOT / "bench" / "peers"
REST = 2                # seconds before each run, in which Galaxy ends what it does after one: a hash, a purge
PATIENCE = 900          # seconds for one run
COLUMNS = ["what", "peer", "ours (s)", "theirs (s)", "ours / theirs", "least", "most", "bar", "ours, memory (MB; bar 45)"]

# Runs a command: its seconds, and the most memory that it had resident. A process of its own, as small as Python can be,
# because what a process had before `exec` counts as the command's.
MEASURED = """import json, os, sys, time
began = time.perf_counter()
number = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(number, 0)
print(json.dumps([time.perf_counter() - began, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status)]))
"""


# -------------------------------------------------------------------------------------------------------------- Galaxy

@contextlib.contextmanager
def a_galaxy():
    """Yield the running Galaxy, as its administrator; else one that is started, and stopped at the end."""
    ours = subprocess.run([*LOCAL, "status"], stdout=subprocess.DEVNULL).returncode != 0
    if ours and subprocess.run([*LOCAL, "start"], stdout=sys.stderr).returncode:
        raise GalaxyError("no Galaxy to measure with: see above")
    lines = subprocess.run([*LOCAL, "env"], capture_output=True, text=True, check=True).stdout
    settings = dict(line.removeprefix("export ").split("=", 1) for line in lines.splitlines())
    try:
        yield Galaxy(settings["GALAXY_API_KEY"], settings["GALAXY_URL"])
    finally:
        if ours:
            subprocess.run([*LOCAL, "stop"], stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def a_history(galaxy):
    """Yield the id of a new history, which is purged at the end."""
    history = galaxy.post("histories", {"name": f"bench/{Path(sys.argv[0]).name}"})["id"]
    try:
        yield history
    finally:
        galaxy.delete(f"histories/{history}", {"purge": True})


def about(galaxy, *peers):
    """Return the day, the machine and the versions, also of those `peers` that are installed."""
    version = galaxy.get("version")
    parts = [f"{date.today()}", f"{os.cpu_count()} cores",
             f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB", platform.system(),
             f"Python {platform.python_version()}", f"Galaxy {version['version_major']}.{version['version_minor']}"]
    for name in peers:
        python = peer_python(name)
        if python:
            ask = [python, "-I", "-c", f"import importlib.metadata as m; print(m.version({name!r}))"]
            parts.append(f"{name} {subprocess.run(ask, capture_output=True, text=True).stdout.strip()}")
        elif name == "curl" and shutil.which("curl"):
            parts.append(" ".join(subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout.split()[:2]))
    return ", ".join(parts)


def peer_python(name):
    """Return the Python of a peer's environment, None if the peer is not installed."""
    path = PEERS / name / "bin" / "python"
    return str(path) if path.exists() else None


# ------------------------------------------------------------------------------------------------------------ measuring

def launched(command, patience=PATIENCE, **options):
    """Return the seconds that a command took, and its largest resident memory in bytes; raise GalaxyError if it fails, or is
    not done after `patience` seconds. `options` are those of subprocess."""
    line, pipe = [sys.executable, "-I", "-S", "-c", MEASURED, *map(str, command)], subprocess.PIPE
    with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, start_new_session=True, **options) as process:
        try:
            printed, complaint = process.communicate(timeout=patience)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)      # the command too, also after Ctrl-C
            if isinstance(error, subprocess.TimeoutExpired):
                raise GalaxyError(f"{Path(command[0]).name}: not done after {patience} s") from None
            raise
    seconds, memory, code = json.loads(printed)
    if code:
        said = complaint if len(complaint) < 1000 else f"{complaint[:500]} ... {complaint[-500:]}"
        raise GalaxyError(f"{' '.join(Path(str(word)).name for word in command[:3])} ends with {code}: {said}")
    return seconds, memory


def compare(what, ours, peer, theirs, bar, runs, before):
    """Return a row: medians in seconds, and the median of the pairs' ratios. `before()` precedes each run."""
    if theirs is None:
        missing = "curl is not installed" if peer.startswith("curl") else "not in bench/peers: `make bench` installs it"
        return [what, peer, *[""] * 2, missing, *[""] * 4]
    pairs = []
    for _ in range(runs):
        before()
        mine = ours()
        before()
        try:
            pairs.append((mine, theirs()))
        except GalaxyError as error:
            return [what, peer, f"{mine[0]:.2f}", "", f"does not run: {error}", *[""] * 4]
    ratios = [mine[0] / other[0] for mine, other in pairs]
    ratio = statistics.median(ratios)
    return [what, peer, f"{statistics.median(mine[0] for mine, _ in pairs):.2f}",
            f"{statistics.median(other[0] for _, other in pairs):.2f}", f"{ratio:.2f}", f"{min(ratios):.2f}",
            f"{max(ratios):.2f}", f"{bar} {'met' if ratio <= bar else 'missed'}" if bar else "none",
            f"{max(mine[1] for mine, _ in pairs) / 1e6:.0f}"]


def heading(line, columns=COLUMNS):
    """Print a line, and the head of a table in Markdown."""
    print(f"{line}\n")
    print_row(columns)
    print(f"|{'---|' * len(columns)}", flush=True)


def print_row(cells):
    """Print a row of a table in Markdown."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
