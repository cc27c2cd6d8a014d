#!/usr/bin/env python3
"""Measure what a sheet of many rows costs workflow_batch.py: its check, the whole run, a visit from cron when most have
ended.

Usage:
  many_rows.py [options]

Options:
  --rows=N     how many rows the largest sheet has  [default: 1000]
  --ended=N    how many units of the ledger have ended, at the last visit  [default: 10000]
  -h, --help   show this help
  --version    show the version

Measures our own cost, so the server is not a Galaxy but tests/fakes/galaxy.py, a separate process on this machine, whose
datasets and runs end at once, unless told to go on. Each row has a file of some bytes, and the workflow one step. batch.py
measures a batch on a real Galaxy.
"""
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import namedtuple
from datetime import date
from pathlib import Path

import requests
from fakes import KEY
from fakes.galaxy import WORKFLOW
from local import ROOT, heading, launched, print_row

from common import arguments, int_option, run
from galaxy_api_scripts.batch.ledger import Ledger

BATCH = [sys.executable, str(ROOT / "scripts" / "workflow_batch.py"), "-q", "--max-running=50"]
SERVER = [sys.executable, "-m", "fakes.galaxy"]
COLUMNS = ["what", "seconds", "requests", "requests a row", "memory (MB)"]
SECONDS, MEMORY = 2, 100e6      # the bars: for the check of the largest sheet, and of memory for all
RUNNING = 10                    # rows that run, at a visit
VISITS = 7                      # of which the median counts
FOR_EVER = 10**9                # polls after which a run ends
STILL = ["sh", "-c", '"$@"; [ $? -eq 4 ]', "sh"]       # what some still run is no failure
Took = namedtuple("Took", "seconds memory asked")


def main(argv=None):
    args = arguments(__doc__, argv)
    most, ended = int_option(args, "--rows", least=10), int_option(args, "--ended", least=1)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    heading(f"{date.today()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}", COLUMNS)
    with tempfile.TemporaryDirectory() as name, a_server() as url:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        checked = measured(f"`--dry-run`, {most} rows", url, a_sheet(folder / "dry", most), most,
                           ["--dry-run", "--format=jsonl"])
        memory, asked = [checked.memory], []
        for rows in (most // 10, most * 3 // 10, most):
            sheet = a_sheet(folder / str(rows), rows)
            took = measured(f"{rows} rows run to their end, results fetched", url, sheet, rows,
                            [f"--download={sheet.parent}/out"])
            memory.append(took.memory)
            asked.append(took.asked / rows)
        requests.get(f"{url}/polls?{FOR_EVER}", timeout=60)
        small = a_sheet(folder / "cron", RUNNING)
        looks = [measure_visit(f"a visit (`--once`) to {RUNNING} that run; {count} others have ended", url, small, count)
                 for count in (0, min(ended, 1000), ended)]
        a_sheet(folder / str(most), most + RUNNING)
        launched([*STILL, *BATCH, "--once", KEY, url, WORKFLOW, sheet])
        measured(f"a visit to a sheet of which {most} rows have ended, and {RUNNING} run", url, sheet, most + RUNNING,
                 ["--once"], STILL, VISITS)
    print(f"\nThe check of {most} rows takes {checked.seconds:.1f} s (bar {SECONDS} {met(checked.seconds, SECONDS)}); the "
          f"most memory of all is {max(memory) / 1e6:.0f} MB (bar {MEMORY / 1e6:.0f} {met(max(memory), MEMORY)}). "
          f"Requests a row, with the largest sheet and with the smallest: {asked[-1] / asked[0]:.2f}. A look when "
          f"{ended} others have ended takes {looks[-1].seconds / looks[0].seconds:.2f} times what it takes with none, and "
          f"{looks[-1].asked - looks[0].asked} requests more.")


@contextlib.contextmanager
def a_server():
    """Yield the address of a server in a process of its own."""
    with subprocess.Popen(SERVER, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def a_sheet(folder, rows):
    """Write a sheet of so many rows, each with a file; existing files stay as they are."""
    folder.mkdir(exist_ok=True)
    for number in range(rows):
        if not (folder / f"s{number:05}.tsv").exists():
            (folder / f"s{number:05}.tsv").write_text(f"{folder.name} {number}\n")
    sheet = folder / "sheet.tsv"
    sheet.write_text("sample\ttable\n" + "".join(f"s{number:05}\ts{number:05}.tsv\n" for number in range(rows)))
    return sheet


def measure_visit(what, url, sheet, count):
    """Measure a visit from cron, with so many other, ended units in the ledger."""
    command = [*STILL, *BATCH, "--once", KEY, url, WORKFLOW, sheet]
    if not sheet.with_name("sheet.tsv.ledger").exists():
        launched(command)
    with Ledger(f"{sheet}.ledger") as memory, memory.together():
        example = memory.samples()[0].data
        del example["key"]
        for number in range(len(memory.samples("ok")), count):
            unit = memory.add(f"{number:032x}", f"before {number}")
            unit.save(**{**example, "name": f"before {number}", "state": "ok", "place": "another sheet"})
    return measured(what, url, sheet, RUNNING, ["--once"], STILL, VISITS)


def measured(what, url, sheet, rows, options, around=(), runs=1):
    """Run it; return the median of the seconds, and the maximum of all else."""
    took = []
    for _ in range(runs):
        requests.get(f"{url}/asked", timeout=60)
        seconds, memory = launched([*around, *BATCH, *options, KEY, url, WORKFLOW, sheet])
        took.append(Took(seconds, memory, sum(requests.get(f"{url}/asked", timeout=60).json().values())))
    all_in_all = Took(statistics.median(one.seconds for one in took), max(one.memory for one in took),
                      max(one.asked for one in took))
    print_row([what, f"{all_in_all.seconds:.2f}", all_in_all.asked, f"{all_in_all.asked / rows:.2f}",
               f"{all_in_all.memory / 1e6:.0f}"])
    return all_in_all


def met(value, bar):
    return "met" if value <= bar else "missed"


if __name__ == "__main__":
    sys.exit(run(main))
