#!/usr/bin/env python3
"""What moving data costs: our upload and download as whole processes, against their peers on one Galaxy, in one run.

Usage:
  transfer.py [options]

Options:
  --runs=N    how many runs of each, ours and the peer in turn  [default: 5]
  --slow=N    how many of them where the peer takes minutes, as with many small files  [default: 3]
  --size=MIB  how large the large file is  [default: 512]
  --files=N   how many small files there are, of 10 KB each  [default: 100]
  -h, --help  show this

The Galaxy is the one that galaxy_local.py starts; where it does not run, it is started, and stopped again in the end. Each
row is printed once it is known, as Markdown; the ratio is the median of the pairs' ratios. BioBlend and galaxy-upload take
part where `make bench` has put them (bench/peers), curl where it is installed. A few gigabytes of disk are wanted.
"""
import contextlib
import filecmp
import http.client
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter
from datetime import date
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from local import ROOT, a_galaxy

from common import Refused, arguments, run, say, whole_number

PEERS = ROOT / "bench" / "peers"
UPLOAD = [sys.executable, str(ROOT / "scripts" / "dataset_upload.py"), "-q"]
DOWNLOAD = [sys.executable, str(ROOT / "scripts" / "dataset_download.py")]
TUS = {"Tus-Resumable": "1.0.0"}
REST = 2                # seconds before each run, in which Galaxy ends what it does after one: a hash, a purge
PATIENCE = 900          # seconds for one run
SMALL = 10_000          # bytes
COLUMNS = ["what", "peer", "ours (s)", "theirs (s)", "ours / theirs", "least", "most", "bar", "ours, memory (MB; bar 45)"]

# Runs a command: its seconds, and the most memory that it had resident. A process of its own, as small as Python can be,
# because what a process had before `exec` counts as the command's.
MEASURED = """import json, os, sys, time
began = time.perf_counter()
number = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(number, 0)
print(json.dumps([time.perf_counter() - began, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status)]))
"""
# The bytes alone, as curl moves them: the seconds of `transfer.send`, which also begins the session, or of
# `transfer.receive`, and the most memory.
SEND = """import resource, sys, time
from common import Galaxy
from transfer import TUS, UPLOADS, send
galaxy = Galaxy(*sys.argv[1:3])
galaxy.get("version")       # the connection is there, as it is after the first question of any script
began = time.perf_counter()
element, session = send(galaxy, sys.argv[3], hashed=sys.argv[4] == "hashed")
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
galaxy.request("DELETE", UPLOADS + session["session_id"], headers=TUS)
"""
RECEIVE = """import resource, sys, time
from pathlib import Path
from common import Galaxy
from transfer import receive
galaxy, dataset, path = Galaxy(*sys.argv[1:3]), sys.argv[3], Path(sys.argv[4])
galaxy.get("version")
began = time.perf_counter()
receive(galaxy, f"datasets/{dataset}/display", path, label=path.name, params={"to_ext": "data"})
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
BIOBLEND_UPLOAD = """import sys
from bioblend.galaxy import GalaxyInstance
key, url, history, *paths = sys.argv[1:]
galaxy = GalaxyInstance(url, key=key)
for path in paths:
    galaxy.tools.upload_file(path, history)
"""
BIOBLEND_WAIT = """import time
while galaxy.histories.show_history(history)["state_details"]["ok"] < len(paths):
    time.sleep(1)
"""
BIOBLEND_DOWNLOAD = """import sys
from bioblend.galaxy import GalaxyInstance
key, url, dataset, path = sys.argv[1:]
GalaxyInstance(url, key=key).datasets.download_dataset(dataset, file_path=path, use_default_filename=False)
"""


def main(argv=None):
    args = arguments(__doc__, argv)
    runs, slow = whole_number(args, "--runs", least=1), whole_number(args, "--slow", least=1)
    size, count = whole_number(args, "--size", least=1), whole_number(args, "--files", least=1)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory(dir=ROOT / "bench", prefix=".transfer-") as folder:
        os.environ["XDG_STATE_HOME"] = folder       # what ours notes of uploads on their way
        large = made(Path(folder) / "large.bin", size * 2**20)
        small = [made(Path(folder) / f"small_{number:03}.bin", SMALL) for number in range(count)]
        print(f"{about(galaxy)}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
        with contextlib.closing(contests(galaxy, Path(folder), large, small, runs, slow)) as all_contests:
            for what, ours, peer, bar, times in all_contests:
                say(f"{what}: against {peer[0]}")
                row = compare(what, ours, *peer, bar, times, size + 256)
                print(f"| {' | '.join(row)} |", flush=True)
        asked = requests_of_ours(galaxy, small)
        print(f"\nRequests of ours for {count} files until all are ok: {sum(asked.values())}, "
              f"{sum(asked.values()) / count:.2f} a file (bar 3): "
              f"{', '.join(f'{number} {method}' for method, number in asked.most_common())}.")


# ---------------------------------------------------------------------------------------------------- the contests

def contests(galaxy, folder, large, small, runs, slow):
    """What is compared: (what, ours, (peer, theirs), bar, how often). Ours and theirs do one run and return its seconds and
    memory; theirs is None where the peer is not here."""
    curl, bioblend, tool = shutil.which("curl"), peer_python("bioblend"), peer_python("galaxy-upload")
    key, url = galaxy.key, galaxy.base
    upload = partial(uploaded, galaxy)
    whole = partial(upload, [large], lambda history: [*UPLOAD, key, url, history, large])
    unhashed = partial(upload, [large], lambda history: [*UPLOAD, "--no-hash", key, url, history, large])
    patch = ("curl, one PATCH", curl and partial(patched, galaxy, large))
    size = f"{large.stat().st_size // 2**20} MiB"
    for how, bar in (("hashed", 1.3), ("plain", 1.1)):
        yield f"{size} up, the bytes alone, {how}", partial(timed_inside, SEND, galaxy, large, how), patch, bar, runs
    yield f"{size} up, SHA-256 included", whole, patch, 1.3, runs
    yield f"{size} up, `--no-hash`", unhashed, patch, 1.1, runs
    yield f"{size} up, SHA-256 included", whole, ("BioBlend, `upload_file`", bioblend and partial(
        upload, [large], lambda history: [bioblend, "-I", "-c", BIOBLEND_UPLOAD, key, url, history, large])), 0.8, runs
    yield f"{size} up, SHA-256 included", whole, ("galaxy-upload", tool and partial(
        upload, [large], lambda history: [tool, "-I", Path(tool).with_name("galaxy-upload"), "--url", url, "--api-key", key,
                                          "--history-id", history, large])), None, runs

    with a_history(galaxy) as history:
        launched([*UPLOAD, key, url, history, large])
        dataset = all_ok(galaxy, history, [large])[0]
        download = partial(downloaded, folder / "down", large)
        ours = partial(download, lambda path: launched([*DOWNLOAD, f"--to={path.parent}", key, url, dataset]))
        peer = ("curl", curl and partial(download, lambda path: launched([
            curl, "-fsS", "-H", f"x-api-key: {key}", "-o", path, f"{url}/api/datasets/{dataset}/display?to_ext=data"])))
        alone = partial(download, lambda path: timed_inside(RECEIVE, galaxy, dataset, path))
        yield f"{size} down, the bytes alone", alone, peer, 1.1, runs
        yield f"{size} down", ours, peer, 1.1, runs
        yield f"{size} down", ours, ("BioBlend, `download_dataset`", bioblend and partial(download, lambda path: launched([
            bioblend, "-I", "-c", BIOBLEND_DOWNLOAD, key, url, dataset, path]))), None, runs

    yield (f"{len(small)} files of {SMALL // 1000} KB up, until all are ok",
           partial(upload, small, lambda history: [*UPLOAD, "--wait", key, url, history, *small]),
           ("BioBlend, `upload_file` in a loop", bioblend and partial(upload, small, lambda history: [
               bioblend, "-I", "-c", BIOBLEND_UPLOAD + BIOBLEND_WAIT, key, url, history, *small])), 0.2, slow)


def compare(what, ours, peer, theirs, bar, runs, warmth):
    """A row: medians in seconds, and the median of the pairs' ratios."""
    if theirs is None:
        missing = "curl is not installed" if peer.startswith("curl") else "not in bench/peers: `make bench` puts it there"
        return [what, peer, *[""] * 2, missing, *[""] * 4]
    pairs = []
    for _ in range(runs):
        warm(warmth)
        mine = ours()
        warm(warmth)
        try:
            pairs.append((mine, theirs()))
        except Refused as error:
            return [what, peer, f"{mine[0]:.2f}", "", f"does not run: {error}", *[""] * 4]
    ratios = [mine[0] / other[0] for mine, other in pairs]
    ratio = statistics.median(ratios)
    return [what, peer, f"{statistics.median(mine[0] for mine, _ in pairs):.2f}",
            f"{statistics.median(other[0] for _, other in pairs):.2f}", f"{ratio:.2f}", f"{min(ratios):.2f}",
            f"{max(ratios):.2f}", f"{bar} {'met' if ratio <= bar else 'missed'}" if bar else "none",
            f"{max(mine[1] for mine, _ in pairs) / 1e6:.0f}"]


def warm(size):
    """Write and delete `size` MiB, after a rest.

    A virtual machine gives memory that is free for a while back to its host, and the first to write to it again waits for
    that, up to two seconds in 512 MiB. Without this, chance decides which run that is.
    """
    time.sleep(REST)
    with tempfile.TemporaryFile(dir=ROOT / "bench") as file:
        block = bytes(2**20)
        for _ in range(size):
            file.write(block)


def launched(command):
    """The seconds that a command took, and the most bytes that it had in memory; refused where it fails."""
    line, pipe = [sys.executable, "-I", "-S", "-c", MEASURED, *map(str, command)], subprocess.PIPE
    with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            told, complaint = process.communicate(timeout=PATIENCE)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGTERM)      # the command too, also after Ctrl-C
            if isinstance(error, subprocess.TimeoutExpired):
                raise Refused(f"{Path(command[0]).name}: not done after {PATIENCE} s") from None
            raise
    seconds, memory, code = json.loads(told)
    if code:
        raise Refused(f"{' '.join(Path(str(word)).name for word in command[:3])} ends with {code}: {complaint[-300:]}")
    return seconds, memory


# -------------------------------------------------------------------------------------------------------- one run each

def uploaded(galaxy, files, command):
    """A run of `command(history)`, which uploads `files` into a new history; all of them are there then."""
    with a_history(galaxy) as history:
        took = launched(command(history))
        all_ok(galaxy, history, files)
        return took


def timed_inside(program, galaxy, *words):
    """A run of a program of ours in a process of its own, which tells its seconds and its memory itself."""
    ended = subprocess.run([sys.executable, "-c", program, galaxy.key, galaxy.base, *words], capture_output=True, text=True,
                           env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE)
    if ended.returncode:
        raise Refused(f"{ended.stderr[-300:]}")
    seconds, memory = ended.stdout.split()
    return float(seconds), int(memory)


def patched(galaxy, file):
    """A run of curl that sends a file as one PATCH, into a new session that is ended afterwards."""
    names = {"filename": file.name, "filetype": "application/octet-stream"}
    size = str(file.stat().st_size)
    made = galaxy.request("POST", "upload/resumable_upload/", headers={
        **TUS, "Upload-Length": size,
        "Upload-Metadata": ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in names.items())})
    session = "upload/resumable_upload/" + made.headers["Location"].rstrip("/").rsplit("/", 1)[-1]
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Expect": ""}
    try:
        took = launched(["curl", "-fsS", "-X", "PATCH", "-T", file, galaxy.address(session),
                         *(word for name, value in headers.items() for word in ("-H", f"{name}: {value}".rstrip(" ")))])
        arrived = galaxy.request("HEAD", session, headers=TUS).headers["Upload-Offset"]
        if arrived != size:
            raise Refused(f"curl sent {arrived} of {size} bytes")
        return took
    finally:
        galaxy.request("DELETE", session, headers=TUS)


def downloaded(folder, original, download):
    """A run of `download(path)`, which downloads what is the file `original` into a new, empty folder."""
    folder.mkdir()
    try:
        took = download(folder / "large.bin")
        if not any(filecmp.cmp(path, original, shallow=False) for path in folder.iterdir()):
            raise Refused(f"what came is not {original.name}")
        return took
    finally:
        shutil.rmtree(folder)


def requests_of_ours(galaxy, files):
    """{method: how many} requests ours takes for `files`, counted by a proxy before Galaxy, which takes time: so this is a
    run for itself."""
    asked, target = Counter(), urlsplit(galaxy.base).netloc

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def hand_on(self):
            asked[self.command] += 1
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with contextlib.closing(http.client.HTTPConnection(target, timeout=PATIENCE)) as server:
                server.request(self.command, self.path, body, dict(self.headers))
                answer = server.getresponse()
                content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            if answer.status not in (204, 304):
                self.send_header("Content-Length", answer.headers.get("Content-Length", str(len(content))))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = hand_on

        def log_message(self, *what):
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{proxy.server_port}"
    try:
        uploaded(galaxy, files, lambda history: [*UPLOAD, "--wait", galaxy.key, url, history, *files])
    finally:
        proxy.shutdown()
    return asked


# --------------------------------------------------------------------------------------------------- Galaxy and the rest

@contextlib.contextmanager
def a_history(galaxy):
    """The id of a new history, which is purged in the end."""
    history = galaxy.post("histories", {"name": "bench/transfer.py"})["id"]
    try:
        yield history
    finally:
        galaxy.delete(f"histories/{history}", {"purge": True})


def all_ok(galaxy, history, files):
    """The ids of the history's datasets, refused unless they are as large as `files` and end in `ok`."""
    path, ask = f"histories/{history}/contents", {"v": "dev", "keys": "id,file_size"}
    galaxy.wait_datasets(history, [one["id"] for one in galaxy.pages(path, ask)], PATIENCE)
    datasets = list(galaxy.pages(path, {**ask, "q": "state-eq", "qv": "ok"}))
    sizes = [sorted(one["file_size"] for one in datasets), sorted(file.stat().st_size for file in files)]
    if sizes[0] != sizes[1]:
        raise Refused(f"{len(sizes[0])} of {len(sizes[1])} datasets are ok, or one is of another size")
    return [one["id"] for one in datasets]


def made(path, size):
    """A new file of random bytes."""
    with open(path, "wb") as file:
        for _ in range(size // 2**20):
            file.write(os.urandom(2**20))
        file.write(os.urandom(size % 2**20))
    return path


def peer_python(name):
    """The Python of the environment that a peer is in, None where it is not there."""
    path = PEERS / name / "bin" / "python"
    return str(path) if path.exists() else None


def about(galaxy):
    """The day, the machine and the versions."""
    version = galaxy.get("version")
    parts = [f"{date.today()}", f"{os.cpu_count()} cores",
             f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB", platform.system(),
             f"Python {platform.python_version()}", f"Galaxy {version['version_major']}.{version['version_minor']}"]
    if shutil.which("curl"):
        parts.append(" ".join(subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout.split()[:2]))
    for name in ("bioblend", "galaxy-upload"):
        python = peer_python(name)
        if python:
            ask = [python, "-I", "-c", f"import importlib.metadata as m; print(m.version({name!r}))"]
            parts.append(f"{name} {subprocess.run(ask, capture_output=True, text=True).stdout.strip()}")
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(run(main))
