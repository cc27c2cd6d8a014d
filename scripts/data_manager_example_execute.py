#!/usr/bin/env python3
"""Fetch reference genomes into Galaxy's data tables, and build indexes of them, with its data managers.

Usage:
  data_manager_example_execute.py [options] [--index-tool=ID]... -k KEY (-d DBKEY)...

Options:
  -k KEY, --key=KEY        an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -u URL, --url=URL        the Galaxy server, or - to look it up  [default: http://localhost:8080]
  -d DBKEY, --dbkey=DBKEY  a genome, such as sacCer3; again for more of them
  -s N, --sleep_time=N     seconds between two looks at the jobs  [default: 3]
  --fetch-tool=ID          the data manager that fetches a genome; unless given, of the Main Tool Shed's repository
                           devteam/data_manager_fetch_genome_dbkeys_all_fasta
  --index-tool=ID          a data manager that builds an index, again for more of them; unless given, of the repository
                           devteam/data_manager_bwa_mem_index_builder
  --timeout=SECONDS        how long to wait for the jobs; without end unless given
  -n, --dry-run            show the first requests, send none
  -h, --help               show this

A genome's indexes are begun once it is there. What fails is named, and stops no other: the exit status is 3 then.
  data_manager_example_execute.py -k - -u - -d sacCer3 -d ce11 --fetch-tool=demo_fetch_genome --index-tool=demo_index_genome
"""
import sys

from common import (
    DONE,
    FAILED,
    NON_TERMINAL_JOB_STATES,
    SOME_FAILED,
    STILL_RUNNING,
    Galaxy,
    GalaxyError,
    arguments,
    backoff,
    report_error,
    run,
    show,
)
from common import int_option as whole
from galaxy_api_scripts.invocations.jobs import job_stderr

SHED = "toolshed.g2.bx.psu.edu/repos/devteam"
FETCH = f"{SHED}/data_manager_fetch_genome_dbkeys_all_fasta/data_manager_fetch_genome_all_fasta_dbkey"
INDEX = f"{SHED}/data_manager_bwa_mem_index_builder/bwa_mem_index_builder_data_manager"


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    dbkeys = list(dict.fromkeys(args["--dbkey"]))
    fetch_tool, index_tools = args["--fetch-tool"] or FETCH, args["--index-tool"] or [INDEX]
    pause, timeout = whole(args, "--sleep_time", 1), whole(args, "--timeout")
    jobs = Jobs(Galaxy(args["--key"], args["--url"]))
    if args["--dry-run"]:
        return show([{"tool_id": fetch_tool, "inputs": source(dbkey)} for dbkey in dbkeys], "json")

    jobs.galaxy.require_admin("running data managers")
    for option, tool in (("--fetch-tool", fetch_tool), *(("--index-tool", one) for one in index_tools)):
        check_tool(jobs.galaxy, option, tool)
    jobs.history = jobs.galaxy.post("histories", {"name": f"Reference genomes: {', '.join(dbkeys)}"[:255]})["id"]
    for dbkey in dbkeys:
        jobs.begin(dbkey, fetch_tool, source(dbkey))
    print("Genomes Queued for downloading.", flush=True)
    fetched, indexed = False, []
    for _ in backoff(timeout, pause, pause):
        for dbkey, tool, answer in jobs.ended():
            if tool == fetch_tool:
                for index_tool in index_tools:
                    jobs.begin(dbkey, index_tool, {"all_fasta_source": dbkey})
            else:
                indexed.append(answer)
        if not fetched and fetch_tool not in [tool for _, tool, _ in jobs.moving.values()]:
            fetched = True
            print("All genomes downloaded and indexers now queued.", flush=True)
        while fetched and indexed:
            print("Finished:", indexed.pop(0), flush=True)
        if not jobs.moving:
            break
    else:
        raise GalaxyError(f"still running after {timeout} s: jobs {', '.join(jobs.moving)}", STILL_RUNNING)
    print("All indexers have been run, please check results.")
    return DONE if not jobs.failed else SOME_FAILED if jobs.good else FAILED


def source(dbkey):
    """What the fetching tool is told: to take the genome from UCSC, by the names of its inputs of then and of today."""
    return {"dbkey": dbkey, "dbkey_source|dbkey_source_selector": "existing", "dbkey_source|dbkey": dbkey,
            "reference_source|reference_source_selector": "ucsc", "reference_source|requested_dbkey": dbkey}


def check_tool(galaxy, option, tool):
    try:
        galaxy.get(f"tools/{tool}")
    except GalaxyError as error:
        if error.status != 404:
            raise
        raise GalaxyError(f"{galaxy.base} has no data manager {tool}: give another with {option}=ID; its administrators install "
                      "one with install_tool_shed_repositories.py, or name it in data_manager_config_file (galaxy.yml)"
                      ) from None


class Jobs:
    """The data managers' jobs that were begun: `moving` {id: (dbkey, tool, Galaxy's answer)}, and how many ended how."""

    history = ""        # Galaxy 26.1 no longer has one of its own for them

    def __init__(self, galaxy):
        self.galaxy, self.moving, self.good, self.failed = galaxy, {}, 0, 0

    def begin(self, dbkey, tool, inputs):
        try:
            answer = self.galaxy.post("tools", {"history_id": self.history, "tool_id": tool, "inputs": inputs})
            self.moving[answer["jobs"][0]["id"]] = dbkey, tool, answer
        except GalaxyError as error:
            self.fail(dbkey, tool, error)

    def ended(self):
        """(dbkey, tool, answer) for each job that ended well since the last look."""
        still = {job["id"] for job in self.galaxy.pages(
            "jobs", {"history_id": self.history, "state": list(NON_TERMINAL_JOB_STATES)})}
        for job in [job for job in self.moving if job not in still]:
            dbkey, tool, answer = self.moving.pop(job)
            about = self.galaxy.get(f"jobs/{job}", {"full": "true"})
            if about["state"] == "ok":
                self.good += 1
                yield dbkey, tool, answer
            else:
                said = job_stderr(about).splitlines()
                taken = about.get("exit_code") == 0     # Galaxy 26.1 refuses a row that is there without a word
                why = "are its rows in the data table already?" if taken else said[-1] if said else "Galaxy does not say why"
                self.fail(dbkey, tool, f"job {job} is {about['state']}: {why}")

    def fail(self, dbkey, tool, why):
        self.failed += 1
        report_error(f"{dbkey}: {tool.split('/')[-1]}: {why}")


if __name__ == "__main__":
    sys.exit(run(main))
