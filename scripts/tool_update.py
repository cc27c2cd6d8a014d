#!/usr/bin/env python3
"""Install the latest revision of the tools that are installed from Tool Sheds, beside the revisions that are there.

Usage:
  tool_update.py [options] KEY URL [LIST...]

Arguments:
  KEY                      an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                      the server, or - to look it up
  LIST                     only these: a YAML file as tool_install.py has it, or OWNER/NAME; by default all installed ones

Options:
  --uninstall-old          uninstall all revisions but the latest, once that is installed: workflows and histories that name
                           their tools' versions can't run them any more
  --repository-deps=YES    install the repositories that these depend on: yes or no  [default: yes]
  --resolver-deps=YES      install the packages (Conda) that the tools need: yes or no  [default: yes]
  --tool-deps=YES          install Tool Shed packages (from before Conda): yes or no  [default: no]
  --at-once=N              install this many repositories at once, 10 at most  [default: 2]
  --repair                 install again what is in state Error, or being installed and stuck (--stall-timeout)
  --timeout=SECONDS        stop waiting after this many seconds in all
  --stall-timeout=SECONDS  give up when nothing has moved for this many seconds  [default: 3600]
  -n, --dry-run            show what would be done, change nothing
  --format=FORMAT          table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES           only these fields, separated by commas: action, owner, name, revision, installed, section (these
                           unless given), status, id, tool_shed
  -h, --help               show this help
  --version                show the version

Tools go into the section of the tool panel that has those of the revision that is installed. Prints a line for each
repository as soon as it is done, and nothing if all are the latest; otherwise it does as tool_install.py. Every week:
  tool_update.py - - tools.yml
"""
import sys

from common import UNATTENDED, Galaxy, GalaxyError, arguments, int_option, output_options, report_error, run
from galaxy_api_scripts.polling import combine_exit_codes
from galaxy_api_scripts.tools.install_plan import InstallPlan
from galaxy_api_scripts.tools.installation import Installer, at_once_option, dependency_options, install_jobs
from galaxy_api_scripts.tools.installed import Installed, print_found, uninstall_each, uninstall_row
from galaxy_api_scripts.tools.repository_list import Target, read_targets
from galaxy_api_scripts.tools.toolshed import INSTALLED

COLUMNS = ["action", "owner", "name", "revision", "installed", "section"]
FIELDS = [*COLUMNS, "status", "id", "tool_shed"]


def main(argv=None):
    args = arguments(__doc__, argv)
    words, dry_run, uninstall_old, repair = args["LIST"], args["--dry-run"], args["--uninstall-old"], args["--repair"]
    timeout, stall = int_option(args, "--timeout", 1), int_option(args, "--stall-timeout", 1)
    at_once, chosen, output = at_once_option(args), dependency_options(args), output_options(args, FIELDS)
    targets = read_targets(words, "LIST")
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    galaxy.require_admin("updating tools")
    installed = Installed(galaxy)
    installed.require_known(targets, words)
    codes, newer, before, current = [], [], {}, {}
    for key, outcome in installed.outdated(installed.select(targets) if words else installed.repositories):
        if isinstance(outcome, GalaxyError):
            codes.append(report_error(f"{'/'.join(key[1:])}: {outcome}", outcome.exit_code))
        elif outcome["installed"] == outcome["latest"]:
            current[key] = outcome["latest"]
        else:
            before[key] = outcome["installed"]
            newer.append((key, outcome["latest"]))
    sections = installed.sections() if newer else {}
    plan = InstallPlan(galaxy, [Target(owner, name, latest, host, label=sections.get((host, owner, name, before[key]), ""),
                                       where=f"{owner}/{name}") for key, latest in sorted(newer)
                                for host, owner, name in [key]], repair, chosen)
    codes += [report_error(f"{target.where}: {error}", error.exit_code) for target, error in plan.problems]

    def row_of(job, record=None):
        row = job.row(record)
        old = before.get((row["tool_shed"], row["owner"], row["name"]))
        return {**row, "action": "update" if old else row["action"], "installed": old}

    def update():
        installer = Installer(galaxy, at_once, timeout, stall, repair)
        yield from (row_of(job, record) for job, record in install_jobs(installer, plan, codes))
        for job in plan.done if uninstall_old else []:
            yield from map(old_row, uninstall_each(galaxy, old_records(galaxy, job), codes))
        yield from map(old_row, uninstall_each(galaxy, left, codes))

    def old_row(record):
        return {**uninstall_row(record), "installed": None}

    left = []       # by a run that was killed, or did not uninstall
    for old in installed.superseded(current) if uninstall_old else []:
        if isinstance(old, GalaxyError):
            codes.append(report_error(str(old), old.exit_code))
        else:
            left += old
    rows, count = update(), len(plan.jobs) + len(codes) + len(left)
    if dry_run:
        rows = [*map(row_of, plan.jobs), *(old_row(record) for job in plan.jobs if uninstall_old
                                           for record in old_records(galaxy, job)), *map(old_row, left)]
    print_found(rows, output, COLUMNS)
    return combine_exit_codes(codes, [""] * count)


def old_records(galaxy, job):
    """Return Galaxy's records of the installed revisions of a job's repository other than the job's."""
    return [record for record in job.repository.records(galaxy)
            if record["status"] == INSTALLED and record["changeset_revision"] != job.revision]


if __name__ == "__main__":
    sys.exit(run(main))
