#!/usr/bin/env python3
"""Check a server's queue for monitoring: the oldest waiting job, the longest running one, how many failed; one line.

Usage:
  queue_check.py [options] KEY URL

Arguments:
  KEY                 your API key, - to look it up, @NAME for an entry of ~/.parsec.yml; an administrator's, for all jobs
  URL                 the server, or - to look it up

Options:
  --waiting=AGES      the ages of the oldest waiting job that are a WARNING and CRITICAL  [default: 1h,6h]
  --running=AGES      the same for the job that has run longest  [default: 1d,3d]
  --errors=PERCENTS   the same for the share of failed jobs among those that ended within the window  [default: 20,50]
  --window=AGE        how far back to look for jobs that ended  [default: 1h]
  --min-ended=N       do not judge the share of failed jobs if fewer than this have ended  [default: 10]
  --wait-state=STATES
                      which states count as waiting; a job in state new may wait for the output of another one
                      [default: new,resubmitted,upload,waiting,queued]
  --tool=TOOLS        only jobs of these tools, separated by commas, as job_list.py takes them
  --destination=NAME  only those with this job runner, such as slurm
  --prometheus=FILE   also write the figures to this file, whose name ends in .prom, for node_exporter's textfile collector
  --timeout=SECONDS   stop waiting after this many seconds in all  [default: 30]
  -h, --help          show this help
  --version           show the version

The exit status is that of a Nagios plug-in, and not that of the other scripts: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. A
server that does not answer, or fails, is CRITICAL. UNKNOWN is anything else that keeps it from checking, such as a bad
command line, or a key that is wrong or no administrator's. The line is on standard output, with figures and thresholds
behind |.
  queue_check.py --waiting=2h,12h --destination=slurm - https://galaxy.example.org
"""
import os
import re
import sys
import time
from pathlib import Path

from common import TRY_LATER, USAGE, Galaxy, GalaxyError, arguments, eprint, int_option, redact, run
from galaxy_api_scripts.ages import parse_age, parse_duration
from galaxy_api_scripts.files import check_writable, write_atomic
from galaxy_api_scripts.job_queue import health
from galaxy_api_scripts.job_queue.selection import OPEN_STATES, JobFilter, split_commas
from galaxy_api_scripts.job_queue.times import fetch_server_time


def main(argv=None):
    server, file, found = "", None, None
    try:
        args = arguments(__doc__, argv)
        file = parse_file(args["--prometheus"])
        limits, window, states = parse_thresholds(args), parse_age(args, "--window", 1), parse_states(args["--wait-state"])
        timeout = int_option(args, "--timeout", 1)
        wanted = JobFilter(OPEN_STATES, split_commas(args["--tool"]), destination=args["--destination"])
        galaxy = Galaxy(args["KEY"], args["URL"])
        server, galaxy.deadline = redact(galaxy.base), time.monotonic() + timeout

        found = health.measure(galaxy, wanted, states, window, fetch_server_time(galaxy))
        status = health.judge(found, limits)
        line = health.format_line(found, limits, status, states)
    except Exception as error:      # what a monitor must not take for a status of its own
        status, line = describe(error)
    if file:
        try:
            write_metrics(file, health.format_metrics(server, status, time.time(), found))
        except OSError as error:
            status = max(status, health.UNKNOWN)
            line = health.format_unknown(status, f"--prometheus={file}: {error.strerror}")
    print(line, flush=True)
    return status


def parse_file(text):
    """The path that `--prometheus` names."""
    if text is None:
        return None
    if not text.endswith(".prom"):
        raise GalaxyError(f"--prometheus={text}: the collector reads files whose names end in .prom", USAGE)
    return check_writable(Path(text), overwrite=True, option="--prometheus")


def parse_thresholds(args):
    """The thresholds in the options."""
    waiting, running = (parse_pair(args[option], option, parse_duration, "times", "1h,6h")
                        for option in ("--waiting", "--running"))
    errors = parse_pair(args["--errors"], "--errors", parse_percent, "percents", "20,50")
    return health.Thresholds(waiting, running, errors, int_option(args, "--min-ended"))


def parse_pair(text, option, parse, kind, example):
    """The two values of an option that say when to warn, and when to call it critical."""
    words = [word.strip() for word in text.split(",")]
    if len(words) != 2:
        raise GalaxyError(f"{option}={text}: expected two {kind}, for WARNING and CRITICAL, such as {example}", USAGE)
    warning, critical = (parse(word, option) for word in words)
    if warning > critical:
        raise GalaxyError(f"{option}={text}: WARNING comes first, and is no more than CRITICAL", USAGE)
    return warning, critical


def parse_percent(text, option):
    """The number in a text such as `12.5` or `20%`."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?%?", text):
        raise GalaxyError(f"{option}={text}: expected a percentage such as 20", USAGE)
    return float(text.rstrip("%"))


def parse_states(text):
    """The states in `--wait-state`."""
    states = split_commas(text)
    unknown = [state for state in states if state not in OPEN_STATES]
    if unknown:
        raise GalaxyError(f"--wait-state: there is no {', '.join(unknown)}: there are {', '.join(OPEN_STATES)}", USAGE)
    return states


def describe(error):
    """The status and the line for what kept us from looking."""
    if isinstance(error, GalaxyError):
        if error.table:
            eprint(error.table)
        status = health.CRITICAL if error.exit_code == TRY_LATER or (error.status or 0) >= 500 else health.UNKNOWN
        return status, health.format_unknown(status, str(error))
    if os.environ.get("GALAXY_DEBUG"):
        raise error
    return health.UNKNOWN, health.format_unknown(health.UNKNOWN, redact(f"{type(error).__name__}: {error}"))


def write_metrics(file, text):
    """Write the file at once, readable for the collector, which is another user."""
    write_atomic(file, text.encode(), overwrite=True)
    file.chmod(0o644)


if __name__ == "__main__":
    sys.exit(run(main))
