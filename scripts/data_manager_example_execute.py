#!/usr/bin/env python3
"""Run Galaxy's data managers: fetch reference genomes into its data tables and build indexes of them.

Usage:
  data_manager_example_execute.py [options] [--index-tool=ID]... -k KEY (-d DBKEY)...

Options:
  -k KEY, --key=KEY        an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -u URL, --url=URL        the Galaxy server, or - to look it up  [default: http://localhost:8080]
  -d DBKEY, --dbkey=DBKEY  a genome, such as sacCer3; repeat for more
  -s N, --sleep_time=N     seconds between checks of the jobs  [default: 3]
  --fetch-tool=ID          the data manager that fetches a genome; by default that of the Main Tool Shed's repository
                           devteam/data_manager_fetch_genome_dbkeys_all_fasta
  --index-tool=ID          a data manager that builds an index; repeat for more; by default that of the repository
                           devteam/data_manager_bwa_mem_index_builder
  -n, --dry-run            show what would be done, change nothing
  --timeout=SECONDS        stop waiting after this many seconds in all
  -h, --help               show this help
  --version                show the version

A genome is indexed when it has been fetched. If something fails, an error names it, the others go on, and the exit status
is 3.
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
    int_option,
    report_error,
    run,
    show,
)

SHED = "toolshed.g2.bx.psu.edu/repos/devteam"
FETCH_TOOL = f"{SHED}/data_manager_fetch_genome_dbkeys_all_fasta/data_manager_fetch_genome_all_fasta_dbkey"
INDEX_TOOL = f"{SHED}/data_manager_bwa_mem_index_builder/bwa_mem_index_builder_data_manager"

TABLE_SECONDS = 30      # for each of Galaxy's web processes to load a data table again that has a new row


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    dbkeys = list(dict.fromkeys(args["--dbkey"]))
    fetch_tool, index_tools = args["--fetch-tool"] or FETCH_TOOL, args["--index-tool"] or [INDEX_TOOL]
    interval, timeout = int_option(args, "--sleep_time", 1), int_option(args, "--timeout")
    galaxy = Galaxy(args["--key"], args["--url"])
    if args["--dry-run"]:
        return show([{"tool_id": fetch_tool, "inputs": fetch_inputs(dbkey)} for dbkey in dbkeys], "json")

    galaxy.require_admin("running data managers")
    for option, tool in (("--fetch-tool", fetch_tool), *(("--index-tool", tool) for tool in index_tools)):
        require_tool(galaxy, option, tool)
    # Galaxy 26.1 no longer has a history of its own for data managers.
    jobs = Jobs(galaxy, galaxy.post("histories", {"name": f"Reference genomes: {', '.join(dbkeys)}"[:255]})["id"])
    for dbkey in dbkeys:
        jobs.submit(dbkey, fetch_tool, fetch_inputs(dbkey))
    print("Genomes Queued for downloading.", flush=True)
    all_fetched, index_answers = False, []
    for _ in backoff(timeout, interval, interval):
        for dbkey, tool, answer in jobs.pop_finished():
            if tool == fetch_tool:
                for index_tool in index_tools:
                    jobs.submit(dbkey, index_tool, {"all_fasta_source": dbkey}, patience=TABLE_SECONDS)
            else:
                index_answers.append(answer)
        if not all_fetched and fetch_tool not in [tool for _, tool, _ in jobs.running.values()]:
            all_fetched = True
            print("All genomes downloaded and indexers now queued.", flush=True)
        while all_fetched and index_answers:
            print("Finished:", index_answers.pop(0), flush=True)
        if not jobs.running:
            break
    else:
        raise GalaxyError(f"still running after {timeout} s: jobs {', '.join(jobs.running)}",
                          SOME_FAILED if jobs.failures else STILL_RUNNING)
    print("All indexers have been run, please check results.")
    return DONE if not jobs.failures else SOME_FAILED if jobs.successes else FAILED


def fetch_inputs(dbkey):
    """Return the inputs that fetch a genome from UCSC, by the names of the tool's old and of its current version."""
    return {"dbkey": dbkey, "dbkey_source|dbkey_source_selector": "existing", "dbkey_source|dbkey": dbkey,
            "reference_source|reference_source_selector": "ucsc", "reference_source|requested_dbkey": dbkey}


def require_tool(galaxy, option, tool):
    try:
        galaxy.get(f"tools/{tool}")
    except GalaxyError as error:
        if error.status not in (404, 500):      # 500: 25.1, for a tool that it lacks
            raise
        raise GalaxyError(f"{galaxy.base} has no data manager {tool}: give another with {option}=ID; its administrators "
                          "install one with install_tool_shed_repositories.py, or name it in data_manager_config_file "
                          "(galaxy.yml)") from None


class Jobs:
    """The data managers' jobs in one history: `running` {id: (dbkey, tool, Galaxy's answer)}, and counts of the others."""

    def __init__(self, galaxy, history):
        self.galaxy, self.history, self.running, self.successes, self.failures = galaxy, history, {}, 0, 0

    def submit(self, dbkey, tool, inputs, patience=0):
        """Start a job. A value that Galaxy does not know is tried again for `patience` seconds."""
        refusal = None
        for _ in backoff(patience, 1, 5):
            try:
                answer = self.galaxy.post("tools", {"history_id": self.history, "tool_id": tool, "inputs": inputs})
                self.running[answer["jobs"][0]["id"]] = dbkey, tool, answer
                return
            except GalaxyError as error:
                refusal = error
                if error.status != 400:
                    break
        self.fail(dbkey, tool, refusal)

    def pop_finished(self):
        """Yield (dbkey, tool, answer) for each job that has succeeded since the last call; report those that have failed."""
        unfinished = {job["id"] for job in self.galaxy.pages(
            "jobs", {"history_id": self.history, "state": list(NON_TERMINAL_JOB_STATES)})}
        for job in [job for job in self.running if job not in unfinished]:
            dbkey, tool, answer = self.running.pop(job)
            about = self.galaxy.get(f"jobs/{job}", {"full": "true"})
            if about["state"] == "ok":
                self.successes += 1
                yield dbkey, tool, answer
            else:
                texts = [about.get(name) or "" for name in ("tool_stderr", "job_stderr", "stderr")]
                texts += [str(message.get("desc") or "") for message in reversed(about.get("job_messages") or [])]
                lines = next((text.strip() for text in texts if text.strip()), "").splitlines()
                reason = lines[-1] if lines else "Galaxy does not say why"
                if about.get("exit_code") == 0:     # Galaxy 26.1 says nothing when it refuses a row that is there already
                    reason = "are its rows in the data table already?"
                self.fail(dbkey, tool, f"job {job} is {about['state']}: {reason}")

    def fail(self, dbkey, tool, reason):
        self.failures += 1
        report_error(f"{dbkey}: {tool.split('/')[-1]}: {reason}")


if __name__ == "__main__":
    sys.exit(run(main))
