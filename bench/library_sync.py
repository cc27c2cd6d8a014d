#!/usr/bin/env python3
"""Measure what library_sync.py costs when there is nothing to do: whole processes and requests, on a real Galaxy.

Usage:
  library_sync.py [options]

Options:
  --files=N    how many files, of some bytes each  [default: 2000]
  --folders=N  in how many folders  [default: 40]
  --runs=N     how many runs with nothing to do  [default: 5]
  -h, --help   show this help
  --version    show the version

Uses the Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. The first run takes some
minutes. Requests are counted in a separate run.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local import ROOT, a_galaxy

from common import arguments, eprint, int_option, run, show

SYNC = [sys.executable, str(ROOT / "scripts" / "library_sync.py"), "-q"]
BAR = "3.0 s, 60 requests"
COUNTED = """import sys
import common, library_sync
asked, send = [], common.Galaxy._send
common.Galaxy._send = lambda self, *what, **more: (asked.append(what), send(self, *what, **more))[1]
assert library_sync.main(sys.argv[1:]) == 0
print(len(asked), file=sys.stderr)
"""


def main(argv=None):
    args = arguments(__doc__, argv)
    files, folders = int_option(args, "--files", least=1), int_option(args, "--folders", least=1)
    runs = int_option(args, "--runs", least=1)
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory() as folder:
        show(measured(galaxy, Path(folder), files, folders, runs))


def measured(galaxy, folder, files, folders, runs):
    """Return the rows of the table: seconds of whole processes, and the number of requests that one of them sends."""
    tree = folder / "tree"
    for number in range(files):
        path = tree / f"set{number % folders:03}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n")
    library = galaxy.post("libraries", {"name": f"bench/library_sync.py {folder.name}"})["id"]
    line = [galaxy.key, galaxy.base, library, str(tree)]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state"),
                   "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts")])}

    def row(what, count, before=lambda: None):
        times = []
        for _ in range(count):
            before()
            began = time.perf_counter()
            subprocess.run([*SYNC, *line], check=True, env=environment, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - began)
        before()
        asked = subprocess.run([sys.executable, "-c", COUNTED, "-q", *line], check=True, env=environment, text=True,
                               capture_output=True).stderr.strip() if count > 1 else ""
        eprint(f"{what}: {statistics.median(times):.2f} s")
        return {"run": what, "runs": count, "median (s)": f"{statistics.median(times):.2f}", "least": f"{min(times):.2f}",
                "most": f"{max(times):.2f}", "requests": asked, "bar": BAR if what == "nothing to do" else ""}

    def lose_record():
        for record in (folder / "state").rglob("*.sqlite"):
            record.unlink()

    def change_one():
        (tree / "set000" / "00000.txt").write_text(f"changed {time.time_ns()}\n")
    try:
        return [row(f"first, {files} files in {folders} folders", 1), row("nothing to do", runs),
                row("one file has changed", 3, change_one), row("nothing to do, the record is lost", 3, lose_record)]
    finally:
        galaxy.delete(f"libraries/{library}")


if __name__ == "__main__":
    sys.exit(run(main))
