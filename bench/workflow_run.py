#!/usr/bin/env python3
"""Measure what a workflow's run costs, from the command line to its results: ours and planemo as whole processes, in turn.

Usage:
  workflow_run.py [options]

Options:
  --runs=N    how many runs of each, ours and planemo in turn  [default: 5]
  -h, --help  show this help
  --version   show the version

Uses the Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. The workflow has three quick
steps, its job file one small table, a new one for each run, so that no job has run before. After each run the results are
compared with the expected ones, and its history is purged. planemo takes part if `make bench` has installed it
(bench/peers). It imports the workflow in each run; ours does so once, in a run that does not count, in which Galaxy reads
the tools. How long ours takes until Galaxy has the run is measured in separate runs, through a road that records when each
request comes.
"""
import contextlib
import json
import os
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fakes.roads import Road
from local import (
    REST,
    ROOT,
    a_galaxy,
    about,
    compare,
    heading,
    launched,
    peer_python,
    print_row,
)

from common import GalaxyError, arguments, int_option, run

RUN = [sys.executable, str(ROOT / "scripts" / "workflow_run.py")]
WORKFLOW, JOB = ROOT / "bench" / "three_steps.gxwf.yml", ROOT / "bench" / "three_steps-job.yml"
LEAST = 0.5             # the bar: ours / theirs
SUBMITTED = 1.0         # and seconds from the start to the submission, without those of the upload


def main(argv=None):
    args = arguments(__doc__, argv)
    runs = int_option(args, "--runs", least=1)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder       # what ours notes of a run on its way
        with a_workflow(galaxy, Path(folder)) as workflow:
            heading(about(galaxy, "planemo"))
            one_run(galaxy, workflow, ours, [])
            parts = {ours: [], planemo: []}
            mine, theirs = (partial(one_run, galaxy, workflow, command, took) for command, took in parts.items())
            print_row(compare("three steps, upload and download included", mine, "planemo run",
                              theirs if peer_python("planemo") else None, LEAST, runs, partial(time.sleep, REST)))
            print()
            for command, took in parts.items():
                if took:
                    print(f"A run of {command.__name__}: Galaxy's jobs {in_words([jobs for jobs, _ in took])}, all else "
                          f"{in_words([other for _, other in took])}.")
            submissions = [submitted(galaxy, workflow) for _ in range(runs)]
            seconds = [one for one, _ in submissions]
            verdict = "met" if statistics.median(seconds) <= SUBMITTED else "missed"
            print(f"\nFrom the start of ours to the submission, without the seconds from the upload's first byte until its "
                  f"dataset is seen as ok: {in_words(seconds)}, bar {SUBMITTED:g} s {verdict}; "
                  f"{max(asked for _, asked in submissions)} requests until then.")


def in_words(seconds):
    """Return median, least and most, as text."""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


# -------------------------------------------------------------------------------------------------------- one run each

def ours(galaxy, url, workflow, name, to):
    """Return our command."""
    return [*RUN, f"--job={job_of(workflow)}", f"--history=new:{name}", f"--download={to}", galaxy.key, url, workflow]


def planemo(galaxy, url, workflow, name, to):
    """Return planemo's command, with its cache off, as ours is: earlier jobs must not make it faster."""
    return [Path(peer_python("planemo")).with_name("planemo"), "run", workflow, job_of(workflow), "--engine",
            "external_galaxy", "--galaxy_url", url, "--galaxy_user_key", galaxy.key, "--no_use_cache", "--history_name",
            name, "--download_outputs", "--output_directory", to]


def one_run(galaxy, workflow, command, parts):
    """Return seconds and memory of a run with a new table, after checking its results; append to `parts` the seconds of
    Galaxy's jobs, and all others."""
    with a_run(workflow) as (name, to), purged(galaxy, name):
        took = launched(command(galaxy, galaxy.base, workflow, name, to), cwd=workflow.parent)
        fetched = sorted(path.read_text() for path in to.iterdir() if path.name != "manifest.tsv")
        if fetched != expected(workflow):
            raise GalaxyError(f"{command.__name__}: the results are not those of the workflow: {fetched}")
        jobs = seconds_of_jobs(galaxy, name)
        parts.append((jobs, took[0] - jobs))
    return took


def submitted(galaxy, workflow):
    """Return the seconds from the start of ours to the submission, without those in which Galaxy receives and checks its
    table, and the number of requests until then."""
    with a_run(workflow) as (name, to), purged(galaxy, name), Road(galaxy.base) as road:
        time.sleep(REST)
        start = time.monotonic()
        launched(ours(galaxy, road.url, workflow, name, to))
        [post] = [one for one in road.asked if one.method == "POST" and one.path.endswith("/invocations")]
        upload = next(one for one in road.asked if "/upload/" in one.path)
        seen = next(one for one in road.asked if one.method == "GET" and urlsplit(one.path).path.endswith("/contents")
                    and any(dataset.get("state") == "ok" for dataset in json.loads(one.content)))
        return post.began - start - (seen.ended - upload.began), road.asked.index(post) + 1


def seconds_of_jobs(galaxy, name):
    """Return the seconds that Galaxy takes for the upload's job, and from the submission to the end of the last one."""
    history = galaxy.find("histories", name)["id"]
    [invocation] = galaxy.pages("invocations", {"history_id": history})
    jobs = list(galaxy.pages("jobs", {"history_id": history}))
    uploads = [job for job in jobs if job["create_time"] < invocation["create_time"]]
    moment = datetime.fromisoformat
    if len(uploads) != 1 or len(jobs) != 4 or {job["state"] for job in jobs} != {"ok"}:
        raise GalaxyError(f"history {history} has other jobs than one upload and three steps that are ok")
    took = [moment(job["update_time"]) - moment(job["create_time"]) for job in uploads]
    ran = moment(max(job["update_time"] for job in jobs)) - moment(invocation["create_time"])
    return (took[0] + ran).total_seconds()


# ------------------------------------------------------------------------------------------------------------- and around

@contextlib.contextmanager
def a_workflow(galaxy, folder):
    """Yield the workflow's file, beside its job file, under a new name; delete what was imported of it at the end."""
    name = f"bench/workflow_run.py {secrets.token_hex(4)}"
    workflow = folder / WORKFLOW.name
    workflow.write_text(WORKFLOW.read_text().replace("label: Three quick steps", f"label: {name}"))
    shutil.copy(JOB, folder)
    try:
        yield workflow
    finally:
        for one in galaxy.pages("workflows"):
            if one["name"].startswith(name):
                galaxy.delete(f"workflows/{one['id']}")


@contextlib.contextmanager
def a_run(workflow):
    """Return a name for its history and a new folder for its results, after writing a new table."""
    token = secrets.token_hex(4)
    table_of(workflow).write_text("".join(f"{token}\t{number}\n" for number in range(5)))
    to = workflow.parent / token
    to.mkdir()
    try:
        yield f"bench/workflow_run.py {token}", to
    finally:
        shutil.rmtree(to)


@contextlib.contextmanager
def purged(galaxy, name):
    """Purge the histories of that name at the end."""
    try:
        yield
    finally:
        for history in galaxy.pages("histories", {"q": "name-eq", "qv": name}):
            galaxy.delete(f"histories/{history['id']}", {"purge": True})


def expected(workflow):
    """Return the contents of the three results, sorted."""
    lines = [line.split("\t") for line in table_of(workflow).read_text().splitlines()][:2]
    return sorted("".join("\t".join(cells) + "\n" for cells in rows) for rows in (
        lines, [[number] for _, number in lines], [[number, token, number] for token, number in lines]))


def job_of(workflow):
    return workflow.parent / JOB.name


def table_of(workflow):
    return workflow.parent / "table.tsv"


if __name__ == "__main__":
    sys.exit(run(main))
