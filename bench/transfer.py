#!/usr/bin/env python3
"""Measure what moving data costs: our upload and download as whole processes, against their peers on one Galaxy, in one run.

Usage:
  transfer.py [options]

Options:
  --runs=N    how many runs of each, ours and the peer in turn  [default: 5]
  --slow=N    how many of them where the peer takes minutes, as with many small files  [default: 3]
  --size=MIB  how large the large file is  [default: 512]
  --files=N   how many small files there are, of 10 KB each  [default: 100]
  -h, --help  show this help
  --version   show the version

Uses the Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. Each row is
printed once it is known, as Markdown; the ratio is the median of the pairs' ratios. BioBlend and galaxy-upload take part if
`make bench` has installed them (bench/peers), curl if it is installed. Needs a few gigabytes of disk.
"""
import contextlib
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from functools import partial
from pathlib import Path

from fakes.roads import Road
from local import (
    PATIENCE,
    REST,
    ROOT,
    a_galaxy,
    a_history,
    about,
    compare,
    heading,
    launched,
    peer_python,
    print_row,
)

from common import GalaxyError, arguments, eprint, int_option, run
from galaxy_api_scripts.polling import wait_datasets

UPLOAD = [sys.executable, str(ROOT / "scripts" / "dataset_upload.py"), "-q"]
DOWNLOAD = [sys.executable, str(ROOT / "scripts" / "dataset_download.py")]
TUS = {"Tus-Resumable": "1.0.0"}
SMALL = 10_000          # bytes
# The bytes alone, as curl moves them: the seconds of `upload_file`, which also begins the session, or of
# `download_file`, and the most memory.
SEND = """import resource, sys, time
from common import Galaxy
from galaxy_api_scripts.datasets.tus import ROUTE, VERSION_HEADER, upload_file
galaxy = Galaxy(*sys.argv[1:3])
galaxy.get("version")       # opens the connection, as the first request of any script does
began = time.perf_counter()
element, session = upload_file(galaxy, sys.argv[3], hashed=sys.argv[4] == "hashed")
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
galaxy.request("DELETE", ROUTE + session["session_id"], headers=VERSION_HEADER)
"""
RECEIVE = """import resource, sys, time
from pathlib import Path
from common import Galaxy
from galaxy_api_scripts.datasets.http_download import download_file
galaxy, dataset, path = Galaxy(*sys.argv[1:3]), sys.argv[3], Path(sys.argv[4])
galaxy.get("version")
began = time.perf_counter()
download_file(galaxy, f"datasets/{dataset}/display?to_ext=data", path, label=path.name)
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
    runs, slow = int_option(args, "--runs", least=1), int_option(args, "--slow", least=1)
    size, count = int_option(args, "--size", least=1), int_option(args, "--files", least=1)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory(dir=ROOT / "bench", prefix=".transfer-") as folder:
        os.environ["XDG_STATE_HOME"] = folder       # what ours notes of uploads on their way
        large = made(Path(folder) / "large.bin", size * 2**20)
        small = [made(Path(folder) / f"small_{number:03}.bin", SMALL) for number in range(count)]
        heading(about(galaxy, "curl", "bioblend", "galaxy-upload"))
        with contextlib.closing(contests(galaxy, Path(folder), large, small, runs, slow)) as all_contests:
            for what, ours, peer, bar, times in all_contests:
                eprint(f"{what}: against {peer[0]}")
                print_row(compare(what, ours, *peer, bar, times, partial(warm, size + 256)))
        asked = requests_of_ours(galaxy, small)
        print(f"\nRequests of ours for {count} files until all are ok: {sum(asked.values())}, "
              f"{sum(asked.values()) / count:.2f} a file (bar 3): "
              f"{', '.join(f'{number} {method}' for method, number in asked.most_common())}.")


# ---------------------------------------------------------------------------------------------------- the contests

def contests(galaxy, folder, large, small, runs, slow):
    """Yield the comparisons: (what, ours, (peer, theirs), bar, runs). Ours and theirs do one run and return its seconds and
    memory; theirs is None if the peer is not installed."""
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


# -------------------------------------------------------------------------------------------------------- one run each

def uploaded(galaxy, files, command):
    """Return a run of `command(history)`, which uploads `files` into a new history, and check that all arrived."""
    with a_history(galaxy) as history:
        took = launched(command(history))
        all_ok(galaxy, history, files)
        return took


def timed_inside(program, galaxy, *words):
    """Return a run of a program of ours in a separate process, which reports its own seconds and memory."""
    ended = subprocess.run([sys.executable, "-c", program, galaxy.key, galaxy.base, *words], capture_output=True, text=True,
                           env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE)
    if ended.returncode:
        raise GalaxyError(f"{ended.stderr[-300:]}")
    seconds, memory = ended.stdout.split()
    return float(seconds), int(memory)


def patched(galaxy, *files):
    """Return a run of curl that sends each file as one PATCH, all at once, into new sessions that are deleted afterwards."""
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Expect": ""}
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}".rstrip(" "))]
    sessions = [begun(galaxy, file) for file in files]
    sent = [[*words, "-fsS", "-X", "PATCH", "-T", file, galaxy.url_for(session)] for file, session in zip(files, sessions)]
    try:
        took = launched(["curl", "-Z", "--parallel-immediate", *sent[0],
                         *(word for one in sent[1:] for word in ("--next", *one))])
        for file, session in zip(files, sessions):
            arrived = int(galaxy.request("HEAD", session, headers=TUS).headers["Upload-Offset"])
            if arrived != file.stat().st_size:
                raise GalaxyError(f"curl sent {arrived} of {file.stat().st_size} bytes")
        return took
    finally:
        for session in sessions:
            galaxy.request("DELETE", session, headers=TUS)


def begun(galaxy, file):
    """Return the path of a new upload session for a file."""
    names = {"filename": file.name, "filetype": "application/octet-stream"}
    made = galaxy.request("POST", "upload/resumable_upload/", headers={
        **TUS, "Upload-Length": str(file.stat().st_size),
        "Upload-Metadata": ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in names.items())})
    return "upload/resumable_upload/" + made.headers["Location"].rstrip("/").rsplit("/", 1)[-1]


def downloaded(folder, original, download):
    """Return a run of `download(path)`, which downloads a copy of the file `original` into a new, empty folder."""
    folder.mkdir()
    try:
        took = download(folder / "large.bin")
        if not any(filecmp.cmp(path, original, shallow=False) for path in folder.iterdir()):
            raise GalaxyError(f"what came is not {original.name}")
        return took
    finally:
        shutil.rmtree(folder)


def requests_of_ours(galaxy, files):
    """Return {method: number} of our requests for `files`, in a separate run."""
    with Road(galaxy.base) as road:
        uploaded(galaxy, files, lambda history: [*UPLOAD, "--wait", galaxy.key, road.url, history, *files])
    return Counter(one.method for one in road.asked)


# --------------------------------------------------------------------------------------------------- Galaxy and the rest

def all_ok(galaxy, history, files):
    """Return the ids of the history's datasets; raise unless they are as large as `files` and end in `ok`."""
    path, ask = f"histories/{history}/contents", {"v": "dev", "keys": "id,file_size"}
    wait_datasets(galaxy, history, [one["id"] for one in galaxy.pages(path, ask)], PATIENCE)
    datasets = list(galaxy.pages(path, {**ask, "q": "state-eq", "qv": "ok"}))
    sizes = [sorted(one["file_size"] for one in datasets), sorted(file.stat().st_size for file in files)]
    if sizes[0] != sizes[1]:
        raise GalaxyError(f"{len(sizes[0])} of {len(sizes[1])} datasets are ok, or one is of another size")
    return [one["id"] for one in datasets]


def made(path, size):
    """Write a new file of random bytes."""
    with open(path, "wb") as file:
        for _ in range(size // 2**20):
            file.write(os.urandom(2**20))
        file.write(os.urandom(size % 2**20))
    return path


if __name__ == "__main__":
    sys.exit(run(main))
