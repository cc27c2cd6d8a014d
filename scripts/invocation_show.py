#!/usr/bin/env python3
"""Show a workflow invocation: the state of its steps and jobs, their run times and exit codes.

Usage:
  invocation_show.py [options] KEY URL INVOCATION

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  INVOCATION       the invocation's id, as invocation_list.py shows it

Options:
  --jobs           a row for each job instead of one for each step
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

A table with all fields has the invocation itself first; every other output has the rows alone. A subworkflow's steps
follow its own step, and their labels start with its label. run_time is in seconds, for a step the sum of its jobs;
memory is the peak of a single job in bytes, empty where the server does not measure it. element is the identifier of
the collection's element that a job worked on. invocation_report.py makes a page of all this.
  invocation_show.py - - 85a07f4bbdb2c898
  invocation_show.py --jobs --format=csv --fields=element,state,exit_code,run_time - - 85a07f4bbdb2c898
"""
import sys

from common import Galaxy, arguments, output_options, parse_id, run, show
from galaxy_api_scripts.invocations.jobs import (
    INPUT_STEP_TYPES,
    NO_METRICS,
    describe_jobs,
    describe_step,
    display_name,
    failure_reasons,
    fetch_workflow_version,
    job_elements,
    job_metrics,
    list_steps,
)

STEP_FIELDS = ["step", "label", "tool", "jobs", "run_time", "exit_code", "memory"]
JOB_FIELDS = ["step", "label", "element", "job", "tool", "version", "state", "exit_code", "run_time", "memory",
              "create_time", "update_time"]


def main(argv=None):
    args = arguments(__doc__, argv)
    invocation_id = parse_id(args["INVOCATION"], "INVOCATION")
    known_fields = JOB_FIELDS if args["--jobs"] else STEP_FIELDS
    output = output_options(args, known_fields)
    fields = output["fields"] or known_fields
    galaxy = Galaxy(args["KEY"], args["URL"])

    invocation = galaxy.get(f"invocations/{invocation_id}")
    workflow = fetch_workflow_version(galaxy, invocation)
    steps = list_steps(galaxy, invocation, workflow)
    if output["format"] == "table" and not output["fields"]:
        show(invocation_row(galaxy, invocation, workflow, steps), "table", upright=True)
        print()
    iter_rows = iter_job_rows if args["--jobs"] else iter_step_rows
    show(iter_rows(galaxy, steps, job_metrics(galaxy, invocation_id), fields), output["format"], fields)


def invocation_row(galaxy, invocation, workflow, steps):
    """The fields of the invocation as a whole."""
    history_id = invocation["history_id"]
    return {"id": invocation["id"], "workflow": workflow.get("name"),
            "history": display_name(galaxy, "histories", history_id), "history_id": history_id, "state": invocation["state"],
            "jobs": describe_jobs(job for step in steps for job in step["jobs"]), "create_time": invocation["create_time"],
            "update_time": invocation["update_time"], "messages": "; ".join(failure_reasons(invocation))}


def iter_step_rows(galaxy, steps, metrics, fields):
    """A row for each step that is not an input."""
    for step in steps:
        if step["kind"] not in INPUT_STEP_TYPES:
            measured = [metrics.get(job["id"], NO_METRICS) for job in step["jobs"]]
            run_times, memory = ([values[name] for values in measured if values[name] is not None]
                                 for name in ("run_time", "memory"))
            codes = sorted({job["exit_code"] for job in step["jobs"] if job["exit_code"] is not None})
            yield {**step, "tool": step["tool"] or step["kind"], "jobs": describe_step(step),
                   "run_time": sum(run_times) if run_times else None, "exit_code": ", ".join(map(str, codes)),
                   "memory": max(memory, default=None)}


def iter_job_rows(galaxy, steps, metrics, fields):
    """A row for each job."""
    for step in steps:
        elements = job_elements(galaxy, step) if "element" in fields else {}
        for job in step["jobs"]:
            yield {**metrics.get(job["id"], NO_METRICS), **job, "job": job["id"], "step": step["step"],
                   "label": step["label"], "element": elements.get(job["id"])}


if __name__ == "__main__":
    sys.exit(run(main))
