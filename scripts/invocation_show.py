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
    describe_jobs,
    describe_step,
    failure_reasons,
    history_name,
    job_elements,
    name_of,
    step_totals,
)
from galaxy_api_scripts.invocations.replacements import load_run

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

    invocation, workflow, steps = load_run(galaxy, invocation_id)
    if output["format"] == "table" and not output["fields"]:
        history_id = invocation["history_id"]
        row = {"id": invocation["id"], "workflow": name_of(workflow), "history": history_name(galaxy, history_id),
               "history_id": history_id, "state": invocation["state"],
               "jobs": describe_jobs(job for step in steps for job in step["jobs"]),
               "create_time": invocation["create_time"], "update_time": invocation["update_time"],
               "messages": "; ".join(failure_reasons(invocation))}
        show(row, "table", upright=True)
        print()
    rows = iter_job_rows(galaxy, steps, "element" in fields) if args["--jobs"] else iter_step_rows(steps)
    show(rows, output["format"], fields)


def iter_step_rows(steps):
    """A row for each step that is not an input."""
    for step in steps:
        if step["kind"] not in INPUT_STEP_TYPES:
            run_time, memory = step_totals(step)
            codes = sorted({job["exit_code"] for job in step["jobs"] if job["exit_code"] is not None})
            yield {**step, "tool": step["tool"] or step["kind"], "jobs": describe_step(step), "run_time": run_time,
                   "exit_code": ", ".join(map(str, codes)), "memory": memory}


def iter_job_rows(galaxy, steps, with_elements):
    """A row for each job."""
    for step in steps:
        elements = job_elements(galaxy, step) if with_elements else {}
        for job in step["jobs"]:
            yield {**job, "job": job["id"], "step": step["step"], "label": step["label"], "element": elements.get(job["id"])}


if __name__ == "__main__":
    sys.exit(run(main))
