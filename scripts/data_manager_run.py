#!/usr/bin/env python3
"""Run Galaxy's data managers as a list says: fetch reference data into the data tables, and index it.

Usage:
  data_manager_run.py [options] KEY URL LIST

Arguments:
  KEY                an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  LIST               a YAML file as ephemeris' run-data-managers has it, or - for standard input

Options:
  --timeout=SECONDS  stop waiting after this many seconds in all
  -n, --dry-run      show what would be done, change nothing
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: value]
  --fields=NAMES     only these fields, separated by commas: action, tool, value, tables, job (these unless given), inputs
  -h, --help         show this help
  --version          show the version

In the list, each entry of data_managers has an id, its params, the items for which it runs once each ({{ item.NAME }} in a
param stands for the item's NAME), and in data_table_reload the data tables that it fills. With items: "{{ genomes }}" it
runs for each of the list's genomes. Data managers that fill all_fasta run first, because the others read it.

Prints a line for each that has run. One whose rows are in its data tables already does not run: a row with the value of its
param value, sequence_id, dbkey or all_fasta_source, and one with the name of its param name or sequence_name. The jobs run
in the history "Data managers". One that fails is reported, the others run, and the exit status is 3. After an interruption,
the same line continues and starts no job twice.
  data_manager_run.py --dry-run - - genomes.yml
"""
import sys

from common import UNATTENDED, Galaxy, GalaxyError, arguments, int_option, output_options, report_error, run
from galaxy_api_scripts.libraries.uploads import exclusive_run
from galaxy_api_scripts.polling import combine_exit_codes, countdown
from galaxy_api_scripts.tools.data_managers import VALUE_INPUTS, DataManagers, read_runs
from galaxy_api_scripts.tools.installed import print_found

COLUMNS = ["action", "tool", "value", "tables", "job"]
FIELDS = [*COLUMNS, "inputs"]


def main(argv=None):
    args = arguments(__doc__, argv)
    dry_run, timeout, output = args["--dry-run"], int_option(args, "--timeout", 1), output_options(args, FIELDS)
    runs = read_runs(args["LIST"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    managers = DataManagers(galaxy)
    with exclusive_run(f"data managers of {galaxy.base}"):
        missing, codes = managers.plan(runs), []
        rows = map(row_of, missing) if dry_run else run_each(managers, missing, countdown(timeout), codes)
        print_found(rows, output, COLUMNS)
    return combine_exit_codes(codes, [*map(str, missing)])


def run_each(managers, runs, left, codes):
    """Yield a row for each run that has ended well; the exit code of another one is added to `codes`."""
    for one, outcome in managers.run(runs, left) if runs else ():
        if isinstance(outcome, GalaxyError):
            codes.append(report_error(str(outcome), outcome.exit_code))
        else:
            yield row_of(one, outcome)


def row_of(one, job=None):
    return {"action": "run", "tool": one.tool, "value": one.first(VALUE_INPUTS) or None, "tables": ",".join(one.tables),
            "job": job, "inputs": dict(one.inputs)}


if __name__ == "__main__":
    sys.exit(run(main))
