#!/usr/bin/env python3
"""Show a workflow's run: how it stands with its steps and jobs, how long they took, how they ended.

Usage:
  invocation_show.py [options] KEY URL INVOCATION

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  INVOCATION       the run's id, as invocation_list.py shows it

Options:
  --jobs           a row for each job in place of one for each step
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields of the rows, separated by commas
  -h, --help       show this

As a table with all fields the run itself comes first; otherwise there are the rows alone. A subworkflow's steps stand behind
the step that it is, their labels behind its own. run_time is in seconds, of all jobs of a step together; memory the most
that one of them took, in bytes, empty where the server does not measure it. The element is the one of a collection that the
job worked on. invocation_report.py makes a page of it.
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

STEP = ["step", "label", "tool", "jobs", "run_time", "exit_code", "memory"]
JOB = ["step", "label", "element", "job", "tool", "version", "state", "exit_code", "run_time", "memory", "create_time",
       "update_time"]


def main(argv=None):
    args = arguments(__doc__, argv)
    run_id, known = parse_id(args["INVOCATION"], "INVOCATION"), JOB if args["--jobs"] else STEP
    style, fields = output_options(args, known).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    about = galaxy.get(f"invocations/{run_id}")
    workflow = fetch_workflow_version(galaxy, about)
    found = list_steps(galaxy, about, workflow)
    if style == "table" and not fields:
        show(facts(galaxy, about, workflow, found), style, upright=True)
        print()
    make = job_rows if args["--jobs"] else step_rows
    show(make(galaxy, found, job_metrics(galaxy, run_id), fields or known), style, fields or known)


def facts(galaxy, about, workflow, found):
    """What there is to say of the run as a whole."""
    history = about["history_id"]
    return {"id": about["id"], "workflow": workflow.get("name"), "history": display_name(galaxy, "histories", history),
            "history_id": history, "state": about["state"],
            "jobs": describe_jobs(job for step in found for job in step["jobs"]), "create_time": about["create_time"],
            "update_time": about["update_time"], "messages": "; ".join(failure_reasons(about))}


def step_rows(galaxy, found, measures, fields):
    """A row for each step that is no input."""
    for step in found:
        if step["kind"] not in INPUT_STEP_TYPES:
            took = [measures.get(job["id"], NO_METRICS) for job in step["jobs"]]
            times, memory = ([one[name] for one in took if one[name] is not None] for name in ("run_time", "memory"))
            codes = sorted({job["exit_code"] for job in step["jobs"] if job["exit_code"] is not None})
            yield {**step, "tool": step["tool"] or step["kind"], "jobs": describe_step(step),
                   "run_time": sum(times) if times else None, "exit_code": ", ".join(map(str, codes)),
                   "memory": max(memory, default=None)}


def job_rows(galaxy, found, measures, fields):
    """A row for each job."""
    for step in found:
        named = job_elements(galaxy, step) if "element" in fields else {}
        for job in step["jobs"]:
            yield {**measures.get(job["id"], NO_METRICS), **job, "job": job["id"], "step": step["step"],
                   "label": step["label"], "element": named.get(job["id"])}


if __name__ == "__main__":
    sys.exit(run(main))
