#!/usr/bin/env python3
"""Measure what distance costs: our scripts and their peers through a road on which each round trip takes time, in one run.

Usage:
  far.py [options]

Options:
  --rows=NAMES    which rows, separated by commas  [default: small,samples,samples50,run,down,large,huge,cuts]
  --runs=N        how many runs of each, ours and the peers in turn, near and far  [default: 3]
  --slow=N        how many of them in the rows samples50 and huge, which take minutes  [default: 1]
  --delay=MS      milliseconds that a round trip takes where the server is far  [default: 100]
  --rate=MBIT     Mbit/s that a connection carries there, in the rows large and huge  [default: 80]
  --transfers=N   our --transfers; unless given, as many as files in the row large, else what our scripts take by default
  --threads=N     the peers' threads, or connections  [default: 4]
  --huge-size=MB  how large each of the row huge's files is  [default: 1000]
  -h, --help      show this help
  --version       show the version

Uses the Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. The rows: small, 100 files of
10 KB up, until all are ok; samples, 20 with a workflow of one step; samples50, 50 of these; run, one by workflow_run.py;
down, 100 datasets; large, 6 files of 32 MB up; huge, 2 of 1 GB; cuts, 20 of 5 MB up, until all are ok, where far each
connection is lost after 2 MB on average. All are whole processes, and all go through the road, which costs nothing near.
The peers: BioBlend in a pool of threads, polling every quarter of a second, if `make bench` has installed it (bench/peers);
curl with as many connections (large and huge: as files, and the bytes alone), if it is installed. Results are compared with
what they must be; a peer that fails is told as such.
"""
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import batch
from batch import a_workflow
from fakes.roads import FarRoad
from local import REST, ROOT, a_galaxy, a_history, about, heading, launched, peer_python, print_row
from transfer import DOWNLOAD, SMALL, UPLOAD, all_ok, made, patched, uploaded

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, run

RUN = [sys.executable, str(ROOT / "scripts" / "workflow_run.py"), "-q"]
FILES, SAMPLES, LARGE, LARGE_SIZE, HUGE, MIDDLE, MIDDLE_SIZE = 100, 20, 6, 32 * 10**6, 2, 20, 5 * 10**6
LIFE = 2 * 10**6        # bytes each way that a connection carries on average in the row cuts
INTERVAL = "0.25"       # seconds between two of BioBlend's polls
COLUMNS = ["what", "peer", "ours (s)", "theirs (s)", "ours / theirs", "ours, far (s)", "theirs, far (s)",
           "ours / theirs, far", "bar", "ours, far / near", "bar"]

BIOBLEND_UPLOAD = """import sys, time
from concurrent.futures import ThreadPoolExecutor
from bioblend.galaxy import GalaxyInstance
key, url, history, threads, interval, *paths = sys.argv[1:]
galaxy = GalaxyInstance(url, key=key)
with ThreadPoolExecutor(int(threads)) as pool:
    list(pool.map(lambda path: galaxy.tools.upload_file(path, history), paths))
while galaxy.histories.show_history(history)["state_details"]["ok"] < len(paths):
    time.sleep(float(interval))
"""
BIOBLEND_DOWNLOAD = """import sys
from concurrent.futures import ThreadPoolExecutor
from bioblend.galaxy import GalaxyInstance
key, url, history, threads, folder = sys.argv[1:]
galaxy = GalaxyInstance(url, key=key)
datasets = galaxy.histories.show_history(history, contents=True)
with ThreadPoolExecutor(int(threads)) as pool:
    list(pool.map(lambda dataset: galaxy.datasets.download_dataset(
        dataset["id"], f"{folder}/{dataset['id']}", use_default_filename=False), datasets))
"""


class Setting(NamedTuple):
    """What all rows share: the Galaxy, a folder for files, our transfers, the peers' threads, the size of a huge file."""

    galaxy: Galaxy
    folder: Path
    transfers: Any      # None: as our scripts have it
    threads: int
    huge_size: int

    def options(self, default=None):
        number = self.transfers or default
        return [f"--transfers={number}"] if number else []


class Row(NamedTuple):
    """How a row is prepared, its bars of ours / theirs far, {peer: bar}, and of ours far / near, and its connections far:
    whether they are slow, the bytes that they carry on average; whether it takes minutes."""

    prepare: Any
    bars: dict
    bar_far: Any = None
    is_slow: bool = False
    life: int = 0
    takes_minutes: bool = False


def main(argv=None):
    args = arguments(__doc__, argv)
    names = args["--rows"].split(",")
    runs, slow, threads, size = (int_option(args, option, least=1)
                                 for option in ("--runs", "--slow", "--threads", "--huge-size"))
    delay, rate = int_option(args, "--delay") / 1000, int_option(args, "--rate", least=1) * 10**6 / 8
    if not set(names) <= set(ROWS):
        raise GalaxyError(f"--rows={args['--rows']}: there are {', '.join(ROWS)}", USAGE)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory(dir=ROOT / "bench", prefix=".far-") as folder:
        os.environ["XDG_STATE_HOME"] = folder       # what ours notes of its work on its way
        setting = Setting(galaxy, Path(folder), int_option(args, "--transfers", least=1), threads, size * 10**6)
        heading(f"{about(galaxy, 'curl', 'bioblend')}; far: {delay * 1000:g} ms a round trip", COLUMNS)
        for name in names:
            row = ROWS[name]
            ends = {"near": (0,), "far": (delay, rate if row.is_slow else float("inf"), row.life)}
            with row.prepare(setting) as (what, ours, peers):
                what += f", far {rate * 8 / 10**6:g} Mbit/s a connection" if row.is_slow else ""
                took = measure(galaxy, ends, min(runs, slow) if row.takes_minutes else runs, {"ours": ours, **peers})
            for peer in peers:
                print_row(cells(what, peer, took, row.bars.get(peer.split(",")[0]), row.bar_far))


def measure(galaxy, ends, runs, contestants):
    """Return {(name, where): [seconds of each run]} of the `contestants`, {name: run(galaxy)}, at both `ends`, {where: how
    the road is}, in turn. The seconds of one that is not installed (None), or that fails, are the words that tell so."""
    took = {}
    for _ in range(runs):
        for where, road_options in ends.items():
            with contextlib.closing(FarRoad(galaxy.base, *road_options)) as road:
                for name, once in contestants.items():
                    seconds = took.setdefault((name, where), [] if once else "not installed")
                    if isinstance(seconds, str):
                        continue
                    time.sleep(REST)
                    try:
                        seconds.append(once(Galaxy(galaxy.key, road.url))[0])
                    except GalaxyError as error:
                        if name == "ours":
                            raise
                        took[name, where] = f"fails: {str(error)[-90:]}"
    return took


def cells(what, peer, took, bar, bar_far):
    """Return the cells of a row: medians, and the medians of the pairs' ratios."""
    row = [what, peer]
    for where in ("near", "far"):
        mine, other = took["ours", where], took[peer, where]
        row += [f"{statistics.median(mine):.2f}", other, ""] if isinstance(other, str) else [
            f"{statistics.median(mine):.2f}", f"{statistics.median(other):.2f}", f"{ratio(mine, other):.2f}"]
    other, far = took[peer, "far"], ratio(took["ours", "far"], took["ours", "near"])
    return [*row, "" if isinstance(other, str) else verdict(ratio(took["ours", "far"], other), bar), f"{far:.2f}",
            verdict(far, bar_far)]


def ratio(mine, other):
    return statistics.median(one / two for one, two in zip(mine, other))


def verdict(number, bar):
    return f"{bar} {'met' if number <= bar else 'missed'}" if bar else "none"


# --------------------------------------------------------- the rows: what, ours, {the peer: theirs, None if not installed}

@contextlib.contextmanager
def small(setting, count=FILES, size=SMALL):
    galaxy, folder, python = setting.galaxy, setting.folder, peer_python("bioblend")
    files = [made(folder / f"small_{number:03}.bin", size) for number in range(count)]

    def ours(away):
        return uploaded(galaxy, files, lambda history: [*UPLOAD, *setting.options(), "--wait", away.key, away.base, history,
                                                        *files])

    def theirs(away):
        return uploaded(galaxy, files, lambda history: [python, "-I", "-c", BIOBLEND_UPLOAD, away.key, away.base, history,
                                                        setting.threads, INTERVAL, *files])
    yield f"{count} files of {human(size)} up, until all are ok", ours, {bioblend(setting): python and theirs}


@contextlib.contextmanager
def samples(setting, count=SAMPLES, ours=batch.ours):
    python = peer_python("bioblend")
    with a_workflow(setting.galaxy, setting.folder) as workflow:
        batch.once(ours, setting.galaxy, workflow, 1)       # Galaxy reads the tool

        def with_options(*given):
            (program, script, *words), results = ours(*given)
            return [program, script, *setting.options(), *words], results

        once = partial(batch.once, workflow=workflow, count=count)
        theirs = partial(batch.theirs, python=python, interval=INTERVAL, threads=setting.threads)
        yield (f"{count} sample{'s' * (count > 1)}", lambda away: once(with_options, away),
               {bioblend(setting): python and (lambda away: once(theirs, away))})


def one_run(galaxy, workflow, prefix, folder):
    """Return our command for the one table in the folder, and its result."""
    [table] = (folder / "in").iterdir()
    command = [*RUN, f"--history=new:{prefix} {table.stem}", f"--download={folder}/out", galaxy.key, galaxy.base, workflow,
               f"table={table}"]
    return command, {table.stem: folder / "out" / "first.tabular"}


@contextlib.contextmanager
def down(setting):
    galaxy, folder, curl, python = setting.galaxy, setting.folder, shutil.which("curl"), peer_python("bioblend")
    files, to = [made(folder / f"down_{number:03}.bin", SMALL) for number in range(FILES)], folder / "to"
    expected = sorted(file.read_bytes() for file in files)

    def arrived(command):
        to.mkdir()
        try:
            took = launched(command)
            if sorted(path.read_bytes() for path in to.iterdir() if path.name != "manifest.tsv") != expected:
                raise GalaxyError("what came is not what was asked for")
            return took
        finally:
            shutil.rmtree(to)

    def by_curl(away):
        (folder / "curl").write_text("".join(f'url = "{away.base}/api/datasets/{dataset}/display?to_ext=data"\n'
                                             f'output = "{to}/{dataset}"\n' for dataset in datasets))
        return arrived([curl, "-fsS", "-Z", "--parallel-max", setting.threads, "-H", f"x-api-key: {away.key}",
                        "-K", folder / "curl"])

    def by_bioblend(away):
        return arrived([python, "-I", "-c", BIOBLEND_DOWNLOAD, away.key, away.base, history, setting.threads, to])

    with a_history(galaxy) as history:
        launched([*UPLOAD, galaxy.key, galaxy.base, history, *files])
        datasets = all_ok(galaxy, history, files)
        yield (f"{FILES} datasets down", lambda away: arrived([
            *DOWNLOAD, *setting.options(), "-q", f"--to={to}", away.key, away.base, f"history:{history}"]),
               {f"curl -Z, {setting.threads} connections": curl and by_curl, bioblend(setting): python and by_bioblend})


@contextlib.contextmanager
def large(setting, count=LARGE, size=LARGE_SIZE):
    size = size or setting.huge_size
    files = [made(setting.folder / f"large_{number}.bin", size) for number in range(count)]
    yield (f"{count} files of {human(size)} up", lambda away: uploaded(setting.galaxy, files, lambda history: [
        *UPLOAD, *setting.options(count), away.key, away.base, history, *files]),
           {f"curl, {count} PATCHes at once": shutil.which("curl") and (lambda away: patched(away, *files))})
    for file in files:
        file.unlink()


def bioblend(setting):
    return f"BioBlend, {setting.threads} threads"


def human(size):
    return f"{size // 10**6} MB" if size >= 10**6 else f"{size // 1000} KB"


ROWS = {"small": Row(small, {"BioBlend": 0.3}, 1.5),
        "samples": Row(samples, {"BioBlend": 0.6}, 1.25),
        "samples50": Row(partial(samples, count=50), {"BioBlend": 0.6}, 1.25, takes_minutes=True),
        "run": Row(partial(samples, count=1, ours=one_run), {}, 1.3),
        "down": Row(down, {"curl -Z": 1.3}),
        "large": Row(large, {"curl": 1.2}, is_slow=True),
        "huge": Row(partial(large, count=HUGE, size=None), {"curl": 1.2}, is_slow=True, takes_minutes=True),
        "cuts": Row(partial(small, count=MIDDLE, size=MIDDLE_SIZE), {}, life=LIFE)}


if __name__ == "__main__":
    sys.exit(run(main))
