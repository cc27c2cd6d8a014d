#!/usr/bin/env python3
"""Measure what a run of many jobs costs: a step mapped over a list of small datasets, its requests and their sizes.

Usage:
  many_jobs.py [options]

Options:
  --jobs=N    how many datasets, and so how many jobs  [default: 500]
  -h, --help  show this help
  --version   show the version

Uses the Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. Takes some minutes. First
dataset_upload.py uploads a folder alone; then workflow_run.py --no-wait does so as a part of a run, makes the list and
submits the run; then invocation_wait.py waits for its end. A road records the requests; those that follow one another
within a fifth of a second are one poll.
"""
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from fakes.roads import Road
from local import (
    ROOT,
    a_galaxy,
    a_history,
    about,
    heading,
    launched,
    print_row,
)

from common import GalaxyError, arguments, int_option, run

UPLOAD, RUN, WAIT = ([sys.executable, str(ROOT / "scripts" / f"{name}.py"), "-q"]
                     for name in ("dataset_upload", "workflow_run", "invocation_wait"))
WORKFLOW = ROOT / "bench" / "mapped.gxwf.yml"
COLUMNS = ["what", "seconds", "requests", "largest answer (bytes)", "memory (MB)"]
APART = 0.2         # seconds without a request between two looks, which are a quarter of a second apart at least
EACH, LARGEST = 1, 20_000       # the bars: requests a look, bytes of an answer


def main(argv=None):
    args = arguments(__doc__, argv)
    count = int_option(args, "--jobs", least=2)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        tables = Path(folder) / "tables"
        tables.mkdir()
        for number in range(count):
            (tables / f"t{number:04}.tsv").write_text(f"{number:04}\t1\n{number:04}\t2\n")
        heading(about(galaxy), COLUMNS)
        with a_history(galaxy) as history, Road(galaxy.base) as road:
            row(f"`dataset_upload.py --wait` of {count} files", road,
                launched([*UPLOAD, "--wait", "--recursive", galaxy.key, road.url, history, tables]))
        workflow = Path(folder) / WORKFLOW.name     # of the run's own
        workflow.write_text(WORKFLOW.read_text().replace("label: ", f"label: {Path(folder).name} "))
        with a_history(galaxy) as history, Road(galaxy.base) as road:
            try:
                measured(galaxy, road, history, workflow, tables, count)
            finally:
                for one in galaxy.pages("workflows"):
                    if Path(folder).name in one["name"]:
                        galaxy.delete(f"workflows/{one['id']}")


def measured(galaxy, road, history, workflow, tables, count):
    """Submit the run, wait for it and check it."""
    took = launched([*RUN, "--no-wait", f"--history={history}", galaxy.key, road.url, workflow, f"tables={tables}"])
    row(f"`workflow_run.py --no-wait`, {count} files uploaded, made a list and mapped over", road, took)
    [invocation] = galaxy.pages("invocations", {"history_id": history})
    road.asked.clear()
    took = launched([*WAIT, galaxy.key, road.url, invocation["id"]], patience=10 * count + 60)
    row(f"`invocation_wait.py` for {count} jobs", road, took)
    each = Counter(len(look) for look in looks(road.asked))
    largest = max(len(one.content) for one in road.asked)
    print(f"\nIt looked {sum(each.values())} times, on average every {took[0] / sum(each.values()):.1f} s: "
          f"{', '.join(f'{times} times with {requests}' for requests, times in sorted(each.items()))} requests (bar: "
          f"{EACH}); the largest answer has {largest} bytes (bar {LARGEST} {'met' if largest <= LARGEST else 'missed'}).")

    about_it = galaxy.get(f"invocations/{invocation['id']}")
    made = galaxy.get(f"dataset_collections/{about_it['output_collections']['first']['id']}")["elements"]
    right = [one for number, one in enumerate(made) if one["element_identifier"] == f"t{number:04}"
             and one["object"]["state"] == "ok" and one["object"]["file_size"] == len("0000\t1\n")]
    if len(right) != count or len(made) != count:
        raise GalaxyError(f"{len(right)} of {count} results are what they must be")
    print(f"All {count} results are ok, as large as they must be, and named as their files are.")


def looks(asked):
    """Return the requests, poll by poll."""
    polls = []
    for one in asked:
        if not polls or one.began - polls[-1][-1].ended > APART:
            polls.append([])
        polls[-1].append(one)
    return polls


def row(what, road, took):
    seconds, memory = took
    print_row([what, f"{seconds:.1f}", len(road.asked), max(len(one.content) for one in road.asked),
               f"{memory / 1e6:.0f}"])


if __name__ == "__main__":
    sys.exit(run(main))
