#!/usr/bin/env python3
"""Install tools from Tool Sheds: a list's, those that a workflow needs, or single repositories.

Usage:
  tool_install.py [options] [--workflow=FILE]... KEY URL [LIST...]

Arguments:
  KEY                      an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                      the server, or - to look it up
  LIST                     a YAML file as ephemeris has it, - for standard input; or a repository: OWNER/NAME,
                           OWNER/NAME/REVISION, or a Tool Shed tool's id

Options:
  --workflow=FILE          the tools of this workflow's file (.ga or Format 2); repeat for more
  --repository-deps=YES    install the repositories that these depend on: yes or no, whatever the list says
  --resolver-deps=YES      install the packages (Conda) that the tools need: yes or no, whatever the list says
  --tool-deps=YES          install Tool Shed packages (from before Conda): yes or no, whatever the list says
  --at-once=N              install this many repositories at once, 10 at most  [default: 2]
  --repair                 install again what is in state Error, or being installed and stuck (--stall-timeout)
  --timeout=SECONDS        stop waiting after this many seconds in all
  --stall-timeout=SECONDS  give up when nothing has moved for this many seconds  [default: 3600]
  -n, --dry-run            show what would be done, change nothing
  -q, --quiet              no progress, only results and errors
  --format=FORMAT          table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES           only these fields, separated by commas: action, owner, name, revision, section (these unless
                           given), status, id, tool_shed
  -h, --help               show this help
  --version                show the version

A list has name and owner of each repository, and may have revisions (else the latest is installed), tool_shed_url (else the
main one), tool_panel_section_label (created if missing) or tool_panel_section_id, and install_repository_dependencies,
install_resolver_dependencies (both yes unless it says otherwise) and install_tool_dependencies; at its top level these hold
for all. tool_installed.py and get-tool-list write such lists.

Prints a line for each repository as soon as it is installed, and none for what is installed already, so a second run prints
nothing. After a proxy's time-out or a killed run it first looks at what Galaxy has installed, so nothing is installed
twice. What can't be installed is reported, the others are installed, and the exit status is 3.
  tool_install.py --dry-run - - tools.yml
  tool_install.py --workflow=rna_seq.ga - - devteam/fastqc
"""
import sys

from common import (
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    eprint,
    int_option,
    output_options,
    report_error,
    run,
)
from galaxy_api_scripts.polling import combine_exit_codes
from galaxy_api_scripts.tools.install_plan import InstallPlan
from galaxy_api_scripts.tools.installation import Installer, at_once_option, dependency_options, install_jobs
from galaxy_api_scripts.tools.installed import print_found
from galaxy_api_scripts.tools.repository_list import join_targets, read_targets
from galaxy_api_scripts.workflows.file_tools import read_file_tools

COLUMNS = ["action", "owner", "name", "revision", "section"]
FIELDS = [*COLUMNS, "status", "id", "tool_shed"]


def main(argv=None):
    args = arguments(__doc__, argv)
    words, workflows, dry_run, quiet = args["LIST"], args["--workflow"], args["--dry-run"], args["--quiet"]
    timeout, stall = int_option(args, "--timeout", 1), int_option(args, "--stall-timeout", 1)
    at_once, chosen, output = at_once_option(args), dependency_options(args), output_options(args, FIELDS)
    if not words and not workflows:
        raise GalaxyError("what is to be installed? give a LIST, OWNER/NAME, or --workflow=FILE", USAGE)
    targets = join_targets([*read_targets(words, "LIST"), *(one for file in workflows for one in read_file_tools(file))])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    plan = InstallPlan(galaxy, targets, args["--repair"], chosen)
    codes = [report_error(f"{target.where}: {error}", error.exit_code) for target, error in plan.problems]
    if not quiet and sys.stderr.isatty():
        eprint(f"{len(plan.jobs)} of {len(targets)} to install, {at_once} at once")
    installer = Installer(galaxy, at_once, timeout, stall, args["--repair"])
    rows = [job.row() for job in plan.jobs] if dry_run else (
        job.row(record) for job, record in install_jobs(installer, plan, codes))
    print_found(rows, output, COLUMNS)
    return combine_exit_codes(codes, [*map(str, plan.jobs), *(str(target) for target, _ in plan.problems)])


if __name__ == "__main__":
    sys.exit(run(main))
