#!/usr/bin/env python3
"""Run a workflow once for each row of a sample sheet, many at once, and keep in a ledger what was done.

Usage:
  workflow_batch.py [options] [--map=MAP]... [--param=PARAM]... [--tag=TAG]... KEY URL WORKFLOW SHEET [INPUT=VALUE...]

Arguments:
  KEY                   your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                   the server, or - to look it up
  WORKFLOW              a workflow's id, exact name, page's address, or .ga or Format 2 file, which is imported
                        once
  SHEET                 a table (TSV or CSV) with a column sample, and columns named as the workflow's inputs: values as
                        workflow_run.py takes them, paths relative to the sheet; history (a name) and tags may be columns.
                        Or an nf-core sheet (sample, fastq_1, fastq_2), or Illumina's SampleSheet.csv
  INPUT=VALUE           an input that is the same for all rows

Options:
  --map=MAP             COLUMN=LABEL: the column is the input of that label, or of none without LABEL; may be repeated
  --fastq=DIR           the folder of the reads of SampleSheet.csv; by default the sheet's
  --lanes=MODE          together: the lanes of one sample and read are one file; separate: each stays one; by default
                        together, or as the ledger began
  --together=PATTERN    also files whose names differ only in what this regular expression matches: _FC[0-9]+_L[0-9]+
  --as-collection       one run for all rows, mapped over a list of the samples
  --history=HISTORY     one history for all rows: an id, an exact name, or new:NAME; by default each row has its own
  --transfers=N         transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --max-running=N       samples under way at once  [default: 10]
  --limit-rate=RATE     at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --param=PARAM         STEP:NAME=VALUE, a tool's parameter: STEP a step's label or index, STEP/STEP in a subworkflow,
                        or a tool's id; may be repeated
  --deferred            let Galaxy note the URLs only, and fetch the bytes for each job that reads them
  --tag=TAG             a tag for each history; may be repeated
  --use-cached-jobs     take the results of equal jobs that have run before
  --allow-corrections   let Galaxy fill in what steps of the workflow leave out
  --download=DIR        download the results, once, to DIR/SAMPLE, or DIR/SAMPLE.2 and so on if a sample has changed
  --outputs=LABELS      only the outputs of these labels, separated by commas
  --once                submit what can be submitted, download what has finished, and end: for cron
  --timeout=SECONDS     stop waiting after this many seconds in all
  --again=SAMPLES       run these samples again, separated by commas, however they ended
  --retry-failed        try samples again that failed before: only their failed jobs, in place, where that is enough
  --retry=HOW           the same (jobs), or in a new run (run)
  --share-with=USERS    share the history of each sample that has ended well: e-mail addresses, link or everybody,
                        separated by commas
  --same-server         treat the ledger's server as this one, although its address differs and its histories are gone
  --ledger=FILE         the ledger, by default SHEET.ledger; ledger_show.py shows it
  --summary=FILE        write a table with a row for each sample: CSV if FILE ends in .csv, else TSV
  --report=PAGE         write a page of HTML on all samples, again and again while they run; PAGE ends in .html
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
from collections import Counter
from pathlib import Path

from common import DONE, USAGE, GalaxyError, arguments, eprint, format_table, int_option, report_error, run, show
from galaxy_api_scripts.batch.ledger import ledger_path
from galaxy_api_scripts.batch.ledger_reader import read_samples
from galaxy_api_scripts.batch.page import check_page_path
from galaxy_api_scripts.batch.page_writer import PageWriter
from galaxy_api_scripts.batch.sample_sheet import read_sheet
from galaxy_api_scripts.batch.session import BatchSession
from galaxy_api_scripts.batch.sheet_inputs import SheetInputs, parse_column_map
from galaxy_api_scripts.batch.summary import (
    END_STATES,
    exit_status,
    iter_finished,
    print_rows,
    write_summary,
)
from galaxy_api_scripts.datasets.target_history import find_writable_history, shared_history
from galaxy_api_scripts.files import check_writable
from galaxy_api_scripts.progress import describe_counts
from galaxy_api_scripts.workflows.staging import describe_input


def main(argv=None):
    args = arguments(__doc__, argv)
    session = BatchSession(args)
    timeout = int_option(args, "--timeout")
    again = {name.strip() for name in (args["--again"] or "").split(",") if name.strip()}
    mapping = parse_column_map(args["--map"])
    sheet = read_sheet(args["SHEET"], args["--fastq"])
    ledger_file = check_paths(args["SHEET"], args["--ledger"], args["--summary"])
    page = check_page_path(args["--report"], args["SHEET"], ledger_file) if args["--report"] else None

    lanes = session.resume_lanes(ledger_file)
    galaxy = session.connect()
    check = session.check_workflow()
    history = find_history(galaxy, args["--history"], session.user)
    inputs = SheetInputs(sheet, galaxy, check.workflow, mapping, args["INPUT=VALUE"], history, lanes)
    rows = [inputs.fill_as_one()] if args["--as-collection"] else inputs.fill_rows()
    for name in again - {row.sample for row in rows}:
        sheet.note(None, "", f"--again={name}: there is no such sample")
    raise_problems(sheet)
    check.raise_problems([])
    if session.dry_run:
        show_plan(rows, check.workflow, ledger_file, session.output)
        return DONE

    def common_history(ledger):
        return history or shared_history(galaxy, ledger, args["--history"].removeprefix("new:"))

    with session.open_runner(ledger_file, common_history if args["--history"] else None) as runner:
        samples = submit_rows(runner, check, rows, args["SHEET"], session.tags, again, session.retry)
        failed = [sample.name for sample in samples if sample.state == "failed" and sample.notes.reported]
        counts = Counter(sample.state for sample in samples if sample.state in END_STATES)
        if counts and sys.stderr.isatty():
            eprint(f"before: {describe_counts(counts)}")
        runner.adopt_orphans()       # rows that are under way and no longer in the sheet
        all_samples = list(samples)
        try:
            with PageWriter(runner, page):
                print_rows(iter_finished(runner, all_samples, session.once, timeout), session.output)
        finally:
            if args["--summary"]:
                write_summary(samples, args["--summary"])
        if failed and not session.once:
            report_error(f"failed before: {', '.join(failed)}: --retry-failed runs them again")
        others = [sample for sample in (*all_samples, *runner.unfinished) if sample.state != "ok"]
        return exit_status([*samples, *others], session.once)


def find_history(galaxy, text, user):
    """The id of the one history for all rows; "" if it must still be made, or each row has its own."""
    return "" if not text or text.startswith("new:") else find_writable_history(galaxy, text, user)["id"]


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
    labels = Counter(about.get("label") or index for index, about in workflow["inputs"].items())
    labels.update(["row", "sample", "before"])
    headings = {}       # each input's own, whatever its label
    for index, about in workflow["inputs"].items():
        label = about.get("label") or index
        headings[index] = label if labels[label] == 1 else f"{label} ({index})"
    values = [{headings[index]: describe_input(value) for index, value in row.inputs.values.items()} for row in rows]
    show([{"row": row.line, "sample": row.sample, "before": before.get(row.sample), **inputs}
          for row, inputs in zip(rows, values)], **output)


def submit_rows(runner, check, rows, sheet_name, tags, again, retry):
    """The samples of all rows."""
    requests = [check.make_request(row.inputs) for row in rows]
    runner.context.shared_uploads.share_repeated(requests)
    with runner.ledger.together():      # one write to the disk, not a thousand
        return [runner.submit(row.sample, request, place=f"{sheet_name}, line {row.line}", title=row.history,
                              tags=[*tags, *row.tags],
                              again=END_STATES if row.sample in again else ["failed"] if retry else [])
                for row, request in zip(rows, requests)]


if __name__ == "__main__":
    sys.exit(run(main))
