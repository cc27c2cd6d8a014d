#!/usr/bin/env python3
"""Measure what many samples cost: `workflow_batch.py` and a BioBlend loop over the samples, as whole processes.

Usage:
  batch.py [options]

Options:
  --samples=N  how many samples, each a small table with a workflow of one step  [default: 50]
  -h, --help   show this help
  --version    show the version

Uses the Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. Both upload each sample's table
to a history of its own, run the workflow there, wait until its job has ended and download the result, which is compared with
the expected one. The loop is as BioBlend's documentation shows it: upload_file, wait_for_dataset, invoke_workflow,
wait_for_invocation, wait_for_job, download_dataset, with BioBlend's own pauses between two polls; in a second row it polls
every quarter of a second. BioBlend takes part if `make bench` has installed it (bench/peers).
"""
import contextlib
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

from local import REST, ROOT, a_galaxy, about, compare, heading, launched, peer_python, print_row

from common import GalaxyError, arguments, int_option, run
from galaxy_api_scripts.workflows.definition import import_once

BATCH = [sys.executable, str(ROOT / "scripts" / "workflow_batch.py"), "-q"]
WORKFLOW = ROOT / "bench" / "one_step.gxwf.yml"
LEAST = 0.5             # the bar: ours / theirs

LOOP = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bioblend.galaxy import GalaxyInstance

url, key, workflow, prefix, folder, interval, threads = sys.argv[1:]
galaxy, every = GalaxyInstance(url, key), float(interval)
[of_table] = [index for index, known in galaxy.workflows.show_workflow(workflow)["inputs"].items()]

def run(sample):
    history = galaxy.histories.create_history(f"{prefix} {sample.stem}")["id"]
    dataset = galaxy.tools.upload_file(str(sample), history)["outputs"][0]["id"]
    galaxy.datasets.wait_for_dataset(dataset, interval=every)
    made = galaxy.workflows.invoke_workflow(workflow, {of_table: {"src": "hda", "id": dataset}}, history_id=history)
    galaxy.invocations.wait_for_invocation(made["id"], interval=every)
    about = galaxy.invocations.show_invocation(made["id"])
    for step in about["steps"]:
        if step.get("job_id"):
            galaxy.jobs.wait_for_job(step["job_id"], interval=every)
    for label, output in galaxy.invocations.show_invocation(made["id"])["outputs"].items():
        galaxy.datasets.download_dataset(output["id"], f"{folder}/../{sample.stem}", use_default_filename=False)

with ThreadPoolExecutor(int(threads)) as pool:
    list(pool.map(run, sorted(Path(folder).glob("*.tsv"))))
"""


def main(argv=None):
    args = arguments(__doc__, argv)
    count = int_option(args, "--samples", least=1)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        with a_workflow(galaxy, Path(folder)) as workflow:
            heading(about(galaxy, "bioblend"))
            once(ours, galaxy, workflow, 1)         # Galaxy reads the tool
            python = peer_python("bioblend")
            for words, interval, bar in (("with its own pauses", "3", LEAST), ("looking every 0.25 s", "0.25", None)):
                print_row(compare(
                    f"{count} samples", lambda: once(ours, galaxy, workflow, count), f"BioBlend, a loop {words}",
                    (lambda interval=interval: once(theirs, galaxy, workflow, count, python, interval)) if python else None,
                    bar, 1, lambda: time.sleep(REST)))


def ours(galaxy, workflow, prefix, folder):
    """Return our command, and the folder of its results."""
    names = sorted(path.stem for path in (folder / "in").iterdir())
    sheet = folder / "sheet.tsv"
    sheet.write_text("sample\ttable\thistory\n" + "".join(f"{name}\tin/{name}.tsv\t{prefix} {name}\n" for name in names))
    command = [*BATCH, f"--download={folder}/out", galaxy.key, galaxy.base, workflow, sheet]
    return command, {name: folder / "out" / name / "first.tabular" for name in names}


def theirs(galaxy, workflow, prefix, folder, python, interval, threads=1):
    """Return the same for BioBlend, which takes `threads` samples at a time."""
    names = sorted(path.stem for path in (folder / "in").iterdir())
    command = [python, "-I", "-c", LOOP, galaxy.base, galaxy.key, workflow, prefix, folder / "in", interval, threads]
    return command, {name: folder / name for name in names}


def once(made, galaxy, workflow, count, *more):
    """Return seconds and memory of one of them with new tables, after checking its results."""
    token = secrets.token_hex(4)
    with tempfile.TemporaryDirectory() as name, purged(galaxy, token):
        folder = Path(name)
        (folder / "in").mkdir()
        for number in range(count):
            (folder / "in" / f"s{number:03}.tsv").write_text(f"{token}\t{number}\n" * 5)
        command, results = made(galaxy, workflow, token, folder, *more)
        took = launched(command)
        for number in range(count):
            result = results[f"s{number:03}"].read_text()
            if result != f"{token}\t{number}\n" * 3:
                raise GalaxyError(f"sample {number}: the result is not that of the workflow: {result!r}")
    return took


@contextlib.contextmanager
def a_workflow(galaxy, folder):
    """Yield the id of the workflow, imported under a new name, and deleted at the end."""
    file = folder / WORKFLOW.name
    file.write_text(WORKFLOW.read_text().replace("label: One quick step", f"label: bench/batch.py {secrets.token_hex(4)}"))
    made = import_once(galaxy, str(file))
    try:
        yield made
    finally:
        galaxy.delete(f"workflows/{made}")


@contextlib.contextmanager
def purged(galaxy, token):
    """Purge the histories whose names contain the token at the end."""
    try:
        yield
    finally:
        for history in list(galaxy.pages("histories", {"q": "name-contains", "qv": token, "keys": "id"})):
            galaxy.delete(f"histories/{history['id']}", {"purge": True})


if __name__ == "__main__":
    sys.exit(run(main))
