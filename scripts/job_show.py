#!/usr/bin/env python3
"""Show what matters of a job: state, tool, times, memory, inputs and outputs, and the end of what it said.

Usage:
  job_show.py [options] KEY URL JOB

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  JOB              the job's id, as invocation_show.py --jobs and dataset_show.py (creating_job) show it

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas: also others that Galaxy has, as params, command_version
  -h, --help       show this

run_time is in seconds, memory in bytes, both empty where the server does not measure them. The command line is shown to
administrators, and to others where the server is set so. stdout and stderr are their ends.
  job_show.py - - bbd44e69cb8906b5
  job_show.py --format=value --fields=stderr - - bbd44e69cb8906b5
"""
import sys

from common import Galaxy, arguments, output_options, parse_id, run, show
from galaxy_api_scripts.invocations.jobs import job_stderr, job_url, metrics_of_job, tail

FIELDS = ["id", "tool", "version", "state", "exit_code", "create_time", "update_time", "run_time", "memory", "history_id",
          "command_line", "inputs", "outputs", "stderr", "stdout", "address"]


def main(argv=None):
    args = arguments(__doc__, argv)
    job_id, (style, fields) = parse_id(args["JOB"], "JOB"), output_options(args).values()
    galaxy = Galaxy(args["KEY"], args["URL"])

    job = galaxy.get(f"jobs/{job_id}", {"full": "true"})
    fields = fields or FIELDS
    measures = metrics_of_job(galaxy, job_id) if {"run_time", "memory"}.intersection(fields) else {}
    made = {**(job.get("output_collections") or {}), **(job.get("outputs") or {})}
    show({**dict.fromkeys(FIELDS), **job, **measures, "tool": job["tool_id"],
          "version": version_of(galaxy, job) if "version" in fields else None,
          "inputs": references(job.get("inputs") or {}), "outputs": references(made), "stderr": job_stderr(job),
          "stdout": tail(job.get("tool_stdout") or job.get("stdout")), "address": job_url(galaxy, job["id"])},
         style, fields, upright=True)


def version_of(galaxy, job):
    """The version of the job's tool. Galaxy 26.1 tells it of a job only in the form to run it again, and there it is
    another one, with a message, where that version is gone; the id of a tool from a Tool Shed has it at its end."""
    if job.get("tool_version") or "/repos/" in job["tool_id"]:
        return job.get("tool_version") or job["tool_id"].rsplit("/", 1)[-1]
    form = galaxy.get_or_none(f"jobs/{job['id']}/build_for_rerun")
    return form.get("version") if form and not form.get("message") else None


def references(things):
    """`{name: "hda=ID"}` of what a job takes or makes."""
    return {name: f"{thing['src']}={thing['id']}" for name, thing in things.items()}


if __name__ == "__main__":
    sys.exit(run(main))
