#!/usr/bin/env python3
"""Run a workflow once for each row of a sample sheet, many beside each other, and remember what was done.

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
  --map=MAP             COLUMN=LABEL: that column is that input's, or nobody's without a LABEL; may be repeated
  --fastq=DIR           where the reads of SampleSheet.csv are; beside it unless given
  --as-collection       one run for all rows, mapped over a list of the samples
  --history=HISTORY     one history for all: an id, an exact name, or new:NAME; a history for each row unless given
  --max-running=N       rows under way at once  [default: 10]
  --param=PARAM         STEP:NAME=VALUE, a tool's parameter: STEP a step's label or index, or a tool's id; may be repeated
  --tag=TAG             a tag for each history; may be repeated
  --use-cached-jobs     take the results of equal jobs that have run before
  --allow-corrections   let Galaxy fill in what steps of the workflow leave out
  --download=DIR        fetch the results, once, to DIR/SAMPLE, or DIR/SAMPLE.2 and so on where a sample has changed
  --outputs=LABELS      only the outputs of these labels, separated by commas
  --once                begin what can be begun, fetch what has ended, and end: for cron
  --timeout=SECONDS     how long to wait for the end; as long as it takes unless given
  --again=SAMPLES       run these samples again, separated by commas, however they ended
  --retry-failed        try those rows again that have failed before
  --ledger=FILE         where is remembered what was done; SHEET.ledger unless given. ledger_show.py shows it
  --summary=FILE        write a table with a row for each sample: CSV where FILE ends in .csv, TSV else
  -n, --dry-run         check all, show what each row gives, and how it ended before; a workflow's file is imported
  --format=FORMAT       table, json, jsonl, csv, tsv, value or another tabulate style  [default: tsv]
  --fields=NAMES        only these fields, separated by commas
  -q, --quiet           print no rows
  -h, --help            show this

The whole sheet is checked before anything is sent. The same line again, after a kill or with more rows, goes on: what has
ended well is not run again nor fetched again, unless a file's content, the row or the workflow has changed. Exits with 0
when every row is ok, 1 when all have failed, 3 when some have, 4 when some still run, 75 when another run is at work on the
ledger.
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
    require_nonempty,
    run,
    script_name,
    show,
    split_commas,
)
from galaxy_api_scripts.batch import ledger, ledger_reader
from galaxy_api_scripts.batch.history import common_history
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.batch.sample_sheet import SheetRow
from galaxy_api_scripts.batch.sheet_inputs import parse_column_map, read_sheet
from galaxy_api_scripts.batch.summary import (
    END_STATES,
    ROW_FIELDS,
    already_finished,
    exit_status,
    iter_finished,
    print_rows,
    write_summary,
)
from galaxy_api_scripts.datasets.download import prepare_folder
from galaxy_api_scripts.datasets.upload import writable_history
from galaxy_api_scripts.files import check_writable
from galaxy_api_scripts.workflows.definition import resolve_workflow
from galaxy_api_scripts.workflows.run import check_workflow, invocation_options, parse_step_parameter, parse_tag
from galaxy_api_scripts.workflows.staging import describe_input


def main(argv=None):
    args = arguments(__doc__, argv)
    sheet_name, text, once, dry = args["SHEET"], args["--history"], args["--once"], args["--dry-run"]
    most, timeout = int_option(args, "--max-running", 1), int_option(args, "--timeout")
    style, fields = output_options(args, () if dry else ROW_FIELDS).values()
    require_nonempty(args, "--history", "--download", "--outputs")
    if args["--summary"] is not None:
        check_writable(args["--summary"], overwrite=True, option="--summary")
    labels = split_commas(args["--outputs"])
    parameters, tags = [parse_step_parameter(one) for one in args["--param"]], [parse_tag(one) for one in args["--tag"]]
    again = {name.strip() for name in split_commas(args["--again"]) if name.strip()}
    mapping, sheet = parse_column_map(args["--map"]), read_sheet(sheet_name, args["--fastq"])
    place = ledger.ledger_path(args["--ledger"], Path(f"{sheet_name}.ledger"))
    if args["--ledger"] is None and not os.path.isfile(sheet_name):
        raise GalaxyError(
            f"{sheet_name}: no file, so there is no place beside it: --ledger=FILE says where to remember", USAGE)
    if args["--summary"] and os.path.realpath(args["--summary"]) in (os.path.realpath(sheet_name), os.path.realpath(place)):
        raise GalaxyError(f"--summary={args['--summary']}: that is the sheet or the ledger, which it would replace", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    user = galaxy.current_user()
    known = check_workflow(galaxy, resolve_workflow(galaxy, args["WORKFLOW"]), parameters, labels, bool(args["--download"]),
                    **invocation_options(args))
    history = writable_history(galaxy, text, user)["id"] if text and not text.startswith("new:") else ""
    given = [galaxy, known.workflow, mapping, args["INPUT=VALUE"], history]
    rows = list(sheet.given(*given)) if not args["--as-collection"] else [
        (SheetRow(sheet.line, Path(sheet_name).stem, "", [], {}), sheet.as_one(*given))]
    for name in again - {row.sample for row, _ in rows}:
        sheet.note(None, "", f"--again={name}: there is no such sample")
    if sheet.problems:
        raise GalaxyError(f"{sheet_name}: {len(sheet.problems)} things are wrong, so nothing was sent" if len(sheet.problems) > 1
                      else f"{sheet_name}: {sheet.problems[0]['problem']}, so nothing was sent", USAGE,
                      table=format_table(sheet.problems, ["row", "sample", "column", "problem"]))
    known.raise_problems([])
    if dry:
        before = {unit["name"]: unit["state"] for unit in ledger_reader.read_samples(place)} if os.path.exists(place) else {}
        show([{"row": row.line, "sample": row.sample, "before": before.get(row.sample), **inputs_of(known.workflow, one)}
              for row, one in rows], style, fields)
        return DONE

    folder = prepare_folder(args["--download"], "--download") if args["--download"] else None
    with ledger.Ledger(place, server=galaxy.base, user=user.get("username") or user["id"]) as memory:
        common = (lambda: history) if history else (lambda: common_history(galaxy, memory, text.removeprefix("new:")))
        work = BatchRunner(galaxy, memory, most, folder, labels, shared_history=common if text else None)
        plans, retried = [known.make_request(one) for _, one in rows], ["failed"] if args["--retry-failed"] else []
        work.context.shared_uploads.share_repeated(plans)
        with memory.together():     # one write to the disk, not a thousand
            units = [work.submit(row.sample, plan, place=f"{sheet_name}, line {row.line}", title=row.history,
                               tags=[*tags, *row.tags], again=END_STATES if row.sample in again else retried)
                     for (row, _), plan in zip(rows, plans)]
        before = already_finished(units)
        work.adopt_orphans()       # what the ledger has under way and the sheet no more
        try:
            print_rows(iter_finished(work, list(units), once, timeout), style, fields or ROW_FIELDS, args["--quiet"])
        finally:
            if args["--summary"]:
                write_summary(units, args["--summary"])
        failed = {key for key, state in before.items() if state == "failed"}
        if failed and not once:
            names = ", ".join(unit.name for unit in units if unit.key in failed)
            eprint(f"{script_name()}: failed before: {names}: --retry-failed tries again")
        return exit_status(units, failed if once else set(), work.gave_up)


def inputs_of(workflow, given):
    """What a row gives, by the inputs' labels."""
    return {workflow["inputs"][index].get("label") or index: describe_input(value) for index, value in given.values.items()}


if __name__ == "__main__":
    sys.exit(run(main))
