#!/usr/bin/env python3
"""Run a workflow once for each row of a sample sheet, many at once, and keep in a ledger what was done.

Usage:
  workflow_batch.py [options] [--map=MAP]... [--param=PARAM]... [--tag=TAG]... KEY URL WORKFLOW SHEET [INPUT=VALUE...]

Arguments:
  KEY                   your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                   the server, or - to look it up
  WORKFLOW              a workflow's id, exact name, or .ga or Format 2 file, which is imported once
  SHEET                 a table (TSV or CSV) with a column sample, and columns named as the workflow's inputs: values as
                        workflow_run.py takes them, paths relative to the sheet; history (a name) and tags may be columns.
                        Or an nf-core sheet (sample, fastq_1, fastq_2), or Illumina's SampleSheet.csv
  INPUT=VALUE           an input that is the same for all rows

Options:
  --map=MAP             COLUMN=LABEL: the column is the input of that label, or of none without LABEL; may be repeated
  --fastq=DIR           the folder of the reads of SampleSheet.csv; by default the sheet's
  --as-collection       one run for all rows, mapped over a list of the samples
  --history=HISTORY     one history for all rows: an id, an exact name, or new:NAME; by default each row has its own
  --max-running=N       samples under way at once  [default: 10]
  --param=PARAM         STEP:NAME=VALUE, a tool's parameter: STEP a step's label or index, or a tool's id; may be repeated
  --tag=TAG             a tag for each history; may be repeated
  --use-cached-jobs     take the results of equal jobs that have run before
  --allow-corrections   let Galaxy fill in what steps of the workflow leave out
  --download=DIR        download the results, once, to DIR/SAMPLE, or DIR/SAMPLE.2 and so on if a sample has changed
  --outputs=LABELS      only the outputs of these labels, separated by commas
  --once                submit what can be submitted, download what has finished, and end: for cron
  --timeout=SECONDS     stop waiting after this many seconds in all
  --again=SAMPLES       run these samples again, separated by commas, however they ended
  --retry-failed        run samples again that failed before
  --ledger=FILE         the ledger, by default SHEET.ledger; ledger_show.py shows it
  --summary=FILE        write a table with a row for each sample: CSV if FILE ends in .csv, else TSV
  -n, --dry-run         show what would be done, change nothing
  --format=FORMAT       table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES        only these fields, separated by commas
  -q, --quiet           no progress, only results and errors
  -h, --help            show this help
  --version             show the version

The whole sheet is checked before anything is sent; a workflow's file is imported even by --dry-run. The same line again,
after a kill or with more rows, continues: what has ended well is neither run nor downloaded again, unless a file's content,
the row or the workflow has changed. A row (TSV by default) is printed for each sample as it ends. Exits with 0 when every
row is ok, 1 when all have failed, 3 when some have, 4 when some still run, 75 when another process is writing the ledger.
  workflow_batch.py --download=results --summary=runs.tsv - - rnaseq.ga samples.tsv genome=hg38
"""
import os
import sys
from pathlib import Path

from common import (
    DONE,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    eprint,
    format_table,
    int_option,
    output_options,
    run,
    script_name,
    show,
)
from galaxy_api_scripts.batch.ledger import Ledger, ledger_path
from galaxy_api_scripts.batch.ledger_reader import read_samples
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.batch.sample_sheet import read_sheet
from galaxy_api_scripts.batch.sheet_inputs import SheetInputs, parse_column_map
from galaxy_api_scripts.batch.summary import (
    END_STATES,
    ROW_FIELDS,
    already_finished,
    exit_status,
    iter_finished,
    print_rows,
    write_summary,
)
from galaxy_api_scripts.datasets.target_history import find_writable_history, shared_history
from galaxy_api_scripts.files import check_writable, prepare_folder
from galaxy_api_scripts.invocations.invocation import parse_labels
from galaxy_api_scripts.progress import date_lines, enable_bars
from galaxy_api_scripts.workflows.definition import resolve_workflow
from galaxy_api_scripts.workflows.run import (
    check_workflow,
    invocation_options,
    parse_step_parameter,
    parse_tag,
    require_nonempty,
)
from galaxy_api_scripts.workflows.staging import describe_input


def main(argv=None):
    args = arguments(__doc__, argv)
    date_lines(args["SHEET"])
    sheet_name, history_name, once, dry_run = args["SHEET"], args["--history"], args["--once"], args["--dry-run"]
    max_running, timeout = int_option(args, "--max-running", 1), int_option(args, "--timeout")
    output = output_options(args, () if dry_run else ROW_FIELDS)
    output["format"] = output["format"] or "tsv"
    require_nonempty(args, "--history", "--download", "--outputs")
    labels, tags = parse_labels(args["--outputs"]), [parse_tag(tag) for tag in args["--tag"]]
    parameters = [parse_step_parameter(parameter) for parameter in args["--param"]]
    again = {name.strip() for name in (args["--again"] or "").split(",") if name.strip()}
    mapping, sheet = parse_column_map(args["--map"]), read_sheet(sheet_name, args["--fastq"])
    ledger_file = check_paths(sheet_name, args["--ledger"], args["--summary"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    enable_bars(not args["--quiet"])

    user = galaxy.current_user()
    check = check_workflow(galaxy, resolve_workflow(galaxy, args["WORKFLOW"]), parameters, labels, bool(args["--download"]),
                           **invocation_options(args))
    is_new = history_name and history_name.startswith("new:")
    history = find_writable_history(galaxy, history_name, user)["id"] if history_name and not is_new else ""
    inputs = SheetInputs(sheet, galaxy, check.workflow, mapping, args["INPUT=VALUE"], history)
    rows = [inputs.fill_as_one()] if args["--as-collection"] else inputs.fill_rows()
    for name in again - {row.sample for row in rows}:
        sheet.note(None, "", f"--again={name}: there is no such sample")
    raise_problems(sheet)
    check.raise_problems([])
    if dry_run:
        show_plan(rows, check.workflow, ledger_file, output)
        return DONE

    folder = prepare_folder(args["--download"], "--download") if args["--download"] else None
    with Ledger(ledger_file, server=galaxy.base, user=user.get("username") or user["id"]) as ledger:
        def common_history():
            return history or shared_history(galaxy, ledger.meta, history_name.removeprefix("new:"))
        runner = BatchRunner(galaxy, ledger, max_running, folder, labels,
                             shared_history=common_history if history_name else None)
        samples = submit_rows(runner, check, rows, sheet_name, tags, again, args["--retry-failed"])
        finished = already_finished(samples)
        runner.adopt_orphans()       # rows that are under way and no longer in the sheet
        try:
            print_rows(iter_finished(runner, list(samples), once, timeout), output)
        finally:
            if args["--summary"]:
                write_summary(samples, args["--summary"])
        failed = {key for key, state in finished.items() if state == "failed"}
        if failed and not once:
            names = ", ".join(sample.name for sample in samples if sample.key in failed)
            eprint(f"{script_name()}: failed before: {names}: --retry-failed runs them again")
        return exit_status(samples, failed if once else set(), runner.gave_up)


def check_paths(sheet_name, ledger_name, summary):
    """The ledger's path, once it is clear that neither it nor the summary replaces anything else."""
    if summary is not None:
        check_writable(summary, overwrite=True, option="--summary")
    path = ledger_path(ledger_name, Path(f"{sheet_name}.ledger"))
    if ledger_name is None and not os.path.isfile(sheet_name):
        raise GalaxyError(f"{sheet_name}: no file, so it has no place for a ledger: --ledger=FILE names one", USAGE)
    if summary and os.path.realpath(summary) in (os.path.realpath(sheet_name), os.path.realpath(path)):
        raise GalaxyError(f"--summary={summary}: that is the sheet or the ledger, which it would replace", USAGE)
    return path


def raise_problems(sheet):
    """Report all that is wrong with a sheet."""
    problems = sheet.problems
    if problems:
        summary = f"{len(problems)} things are wrong" if len(problems) > 1 else problems[0]["problem"]
        raise GalaxyError(f"{sheet.name}: {summary}, so nothing was sent", USAGE,
                          table=format_table(problems, ["row", "sample", "column", "problem"]))


def show_plan(rows, workflow, ledger_file, output):
    """Show what each row gives, by the inputs' labels, and how its sample ended before."""
    before = {sample["name"]: sample["state"] for sample in read_samples(ledger_file)} if os.path.exists(ledger_file) else {}
    show([{"row": row.line, "sample": row.sample, "before": before.get(row.sample),
           **{workflow["inputs"][index].get("label") or index: describe_input(value)
              for index, value in row.inputs.values.items()}} for row in rows], **output)


def submit_rows(runner, check, rows, sheet_name, tags, again, retry_failed):
    """The samples of all rows."""
    requests = [check.make_request(row.inputs) for row in rows]
    runner.context.shared_uploads.share_repeated(requests)
    with runner.ledger.together():      # one write to the disk, not a thousand
        return [runner.submit(row.sample, request, place=f"{sheet_name}, line {row.line}", title=row.history,
                              tags=[*tags, *row.tags],
                              again=END_STATES if row.sample in again else ["failed"] if retry_failed else [])
                for row, request in zip(rows, requests)]


if __name__ == "__main__":
    sys.exit(run(main))
