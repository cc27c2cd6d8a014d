#!/usr/bin/env python3
"""Show a job: its state, tool, times, memory, inputs and outputs, and the end of its standard output and error.

Usage:
  job_show.py [options] KEY URL JOB

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL              the server, or - to look it up
  JOB              the job's id, as invocation_show.py --jobs and dataset_show.py (creating_job) show it

Options:
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES   only these fields, separated by commas
  -h, --help       show this help
  --version        show the version

run_time is in seconds, memory in bytes, both empty where the server does not measure them. Administrators see the
command line, others only where the server allows it. Other fields are those of Galaxy's answer, such as params and
command_version.
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
    job_id, output = parse_id(args["JOB"], "JOB"), output_options(args)
    fields = output["fields"] or FIELDS
    galaxy = Galaxy(args["KEY"], args["URL"])

    job = galaxy.get(f"jobs/{job_id}", {"full": "true"})
    metrics = metrics_of_job(galaxy, job_id) if {"run_time", "memory"}.intersection(fields) else {}
    outputs = {**(job.get("output_collections") or {}), **(job.get("outputs") or {})}
    show({**dict.fromkeys(FIELDS), **job, **metrics, "tool": job["tool_id"],
          "version": tool_version(galaxy, job) if "version" in fields else None,
          "inputs": references(job.get("inputs") or {}), "outputs": references(outputs), "stderr": job_stderr(job),
          "stdout": tail(job.get("tool_stdout") or job.get("stdout")), "address": job_url(galaxy, job["id"])},
         output["format"], fields, upright=True)


def tool_version(galaxy, job):
    """The version of the job's tool, None where Galaxy can't tell.

    The id of a Tool Shed's tool ends in it. For the others Galaxy 26.1 has it only in the form to run the job again, and
    there it is another version, with a message, if the job's own is gone.
    """
    if job.get("tool_version") or "/repos/" in job["tool_id"]:
        return job.get("tool_version") or job["tool_id"].rsplit("/", 1)[-1]
    form = galaxy.get_or_none(f"jobs/{job['id']}/build_for_rerun")
    return form.get("version") if form and not form.get("message") else None


def references(things):
    """`{name: "hda=ID"}` of a job's inputs or outputs."""
    return {name: f"{thing['src']}={thing['id']}" for name, thing in things.items()}


if __name__ == "__main__":
    sys.exit(run(main))
