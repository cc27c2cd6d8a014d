#!/usr/bin/env python3
"""Measure what distance costs: our scripts and their peers through a road on which each round trip takes time, in one run.

Usage:
  far.py [options]

Options:
  --rows=NAMES  which rows, separated by commas  [default: small,samples,run,down,large]
  --runs=N      how many runs of each, ours and the peer in turn, near and far  [default: 3]
  --delay=MS    milliseconds that a round trip takes where the server is far  [default: 100]
  --rate=MBIT   Mbit/s that a connection carries there, in the row large  [default: 80]
  --threads=N   the peers' threads, or connections  [default: 4]
  -h, --help    show this help
  --version     show the version

Uses the Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. The rows: small, 100 files of
10 KB up, until all are ok; samples, 20 with a workflow of one step; run, one of these by workflow_run.py; down, 100
datasets; large, 6 files of 32 MB up. All are whole processes, and all go through the road, which costs nothing near. The
peers: BioBlend in a pool of threads, polling every quarter of a second, if `make bench` has installed it (bench/peers);
curl with as many connections (large: as files, and the bytes alone), if it is installed. Results are compared with what
they must be.
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

import batch
from batch import a_workflow
from fakes.roads import FarRoad
from local import REST, ROOT, a_galaxy, a_history, about, heading, launched, peer_python, print_row
from transfer import DOWNLOAD, SMALL, UPLOAD, all_ok, made, patched, uploaded

from common import USAGE, Galaxy, GalaxyError, arguments, int_option, run

RUN = [sys.executable, str(ROOT / "scripts" / "workflow_run.py"), "-q"]
FILES, SAMPLES, LARGE, LARGE_SIZE = 100, 20, 6, 32 * 10**6
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


def main(argv=None):
    args = arguments(__doc__, argv)
    names = args["--rows"].split(",")
    runs, threads = (int_option(args, option, least=1) for option in ("--runs", "--threads"))
    delay, rate = int_option(args, "--delay") / 1000, int_option(args, "--rate", least=1) * 10**6 / 8
    if not set(names) <= set(ROWS):
        raise GalaxyError(f"--rows={args['--rows']}: there are {', '.join(ROWS)}", USAGE)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory(dir=ROOT / "bench", prefix=".far-") as folder:
        os.environ["XDG_STATE_HOME"] = folder       # what ours notes of its work on its way
        heading(f"{about(galaxy, 'curl', 'bioblend')}; far: {delay * 1000:g} ms a round trip", COLUMNS)
        for name in names:
            prepare, is_slow, bar, bar_far = ROWS[name]
            ends = {"near": (0, float("inf")), "far": (delay, rate if is_slow else float("inf"))}
            with prepare(galaxy, Path(folder), threads) as (what, ours, peer, theirs):
                what += f", far {rate * 8 / 10**6:g} Mbit/s a connection" if is_slow else ""
                print_row(row(what, peer, measure(galaxy, ends, runs, ours, theirs), bar, bar_far))


def measure(galaxy, ends, runs, ours, theirs):
    """Return {(whose, where): [seconds of each run]} of `ours(galaxy)` and `theirs(galaxy)`, which may be None, at both
    `ends`, {where: (delay, rate)}, in turn."""
    took = {}
    for _ in range(runs):
        for where, (delay, rate) in ends.items():
            with contextlib.closing(FarRoad(galaxy.base, delay, rate)) as road:
                for whose, once in (("ours", ours), ("theirs", theirs)):
                    if once:
                        time.sleep(REST)
                        took.setdefault((whose, where), []).append(once(Galaxy(galaxy.key, road.url))[0])
    return took


def row(what, peer, took, bar, bar_far):
    """Return the cells of a row: medians, and the medians of the pairs' ratios."""
    cells = [what, peer]
    for where in ("near", "far"):
        mine, other = took["ours", where], took.get(("theirs", where))
        cells += [f"{statistics.median(mine):.2f}", f"{statistics.median(other):.2f}" if other else "not installed",
                  f"{ratio(mine, other):.2f}" if other else ""]
    other = took.get(("theirs", "far"))
    far = ratio(took["ours", "far"], took["ours", "near"])
    return [*cells, verdict(ratio(took["ours", "far"], other), bar) if other else "", f"{far:.2f}", verdict(far, bar_far)]


def ratio(mine, other):
    return statistics.median(one / two for one, two in zip(mine, other))


def verdict(number, bar):
    return f"{bar} {'met' if number <= bar else 'missed'}" if bar else "none"


# ------------------------------------------------------------------------- the rows: what, ours, the peer's name, theirs

@contextlib.contextmanager
def small(galaxy, folder, threads):
    files, python = [made(folder / f"small_{number:03}.bin", SMALL) for number in range(FILES)], peer_python("bioblend")

    def ours(away):
        return uploaded(away, files, lambda history: [*UPLOAD, "--wait", away.key, away.base, history, *files])

    def theirs(away):
        return uploaded(away, files, lambda history: [python, "-I", "-c", BIOBLEND_UPLOAD, away.key, away.base, history,
                                                      threads, INTERVAL, *files])
    yield f"{FILES} files of {SMALL // 1000} KB up, until all are ok", ours, bioblend(threads), python and theirs


@contextlib.contextmanager
def samples(galaxy, folder, threads, count=SAMPLES, ours=batch.ours):
    python = peer_python("bioblend")
    with a_workflow(galaxy, folder) as workflow:
        batch.once(ours, galaxy, workflow, 1)       # Galaxy reads the tool
        once = partial(batch.once, workflow=workflow, count=count)
        theirs = partial(batch.theirs, python=python, interval=INTERVAL, threads=threads)
        yield (f"{count} sample{'s' * (count > 1)}", lambda away: once(ours, away), bioblend(threads),
               python and (lambda away: once(theirs, away)))


def one_run(galaxy, workflow, prefix, folder):
    """Return our command for the one table in the folder, and its result."""
    [table] = (folder / "in").iterdir()
    command = [*RUN, f"--history=new:{prefix} {table.stem}", f"--download={folder}/out", galaxy.key, galaxy.base, workflow,
               f"table={table}"]
    return command, {table.stem: folder / "out" / "first.tabular"}


@contextlib.contextmanager
def down(galaxy, folder, threads):
    files = [made(folder / f"down_{number:03}.bin", SMALL) for number in range(FILES)]
    expected, curl, to = sorted(file.read_bytes() for file in files), shutil.which("curl"), folder / "to"

    def arrived(command):
        to.mkdir()
        try:
            took = launched(command)
            if sorted(path.read_bytes() for path in to.iterdir() if path.name != "manifest.tsv") != expected:
                raise GalaxyError("what came is not what was asked for")
            return took
        finally:
            shutil.rmtree(to)

    def theirs(away):
        (folder / "curl").write_text("".join(f'url = "{away.base}/api/datasets/{dataset}/display?to_ext=data"\n'
                                             f'output = "{to}/{dataset}"\n' for dataset in datasets))
        return arrived([curl, "-fsS", "-Z", "--parallel-max", threads, "-H", f"x-api-key: {away.key}",
                        "-K", folder / "curl"])

    with a_history(galaxy) as history:
        launched([*UPLOAD, galaxy.key, galaxy.base, history, *files])
        datasets = all_ok(galaxy, history, files)
        yield (f"{FILES} datasets down", lambda away: arrived([
            *DOWNLOAD, "-q", f"--to={to}", away.key, away.base, f"history:{history}"]), f"curl -Z, {threads} connections",
               curl and theirs)


@contextlib.contextmanager
def large(galaxy, folder, threads):
    files = [made(folder / f"large_{number}.bin", LARGE_SIZE) for number in range(LARGE)]
    yield (f"{LARGE} files of {LARGE_SIZE // 10**6} MB up",
           lambda away: uploaded(away, files, lambda history: [*UPLOAD, away.key, away.base, history, *files]),
           f"curl, {LARGE} PATCHes at once", shutil.which("curl") and (lambda away: patched(away, *files)))


def bioblend(threads):
    return f"BioBlend, {threads} threads"


# {name: (how it is prepared, whether a far connection is slow, bar of ours / theirs far, bar of ours far / near)}
ROWS = {"small": (small, False, 0.3, 1.5), "samples": (samples, False, 0.6, 1.25),
        "run": (partial(samples, count=1, ours=one_run), False, None, 1.3), "down": (down, False, 1.3, None),
        "large": (large, True, 1.2, None)}


if __name__ == "__main__":
    sys.exit(run(main))
