#!/usr/bin/env python3
"""Watch a folder of files or of a sequencer's runs, and run a workflow once on each unit that is complete.

Usage:
  folder_watch.py [options] [--param=PARAM]... [--tag=TAG]... KEY URL FOLDER WORKFLOW [INPUT=VALUE...]

Arguments:
  KEY                 your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                 the server, or - to look it up
  FOLDER              the folder to watch; with --unit=run the one that the runs' folders are in
  WORKFLOW            a workflow's id, exact name, page's address, or .ga or Format 2 file, which is imported
                      once
  INPUT=VALUE         an input that is the same for all units, as workflow_run.py takes it

Options:
  --unit=KIND         what a unit is: file, pair (of reads), or run (each folder in FOLDER)  [default: file]
  --input=LABEL       the input that takes a unit's files; by default the only one that is left
  --files=PATTERN     only files of such names, as '*_R1_*.fq.gz'; of a run, by default those of FASTQ files
  --ready-file=NAME   only what this marks as complete: in a run; in FOLDER, for all there; as .done, FILE.done for one file
  --lanes=MODE        together: the lanes of one sample and read are one file; separate: each stays one; by default
                      together, or as the ledger began
  --together=PATTERN  also files whose names differ only in what this regular expression matches: _FC[0-9]+_L[0-9]+
  --settle=SECONDS    how long what has no mark must be unchanged; by default 60, or 600 for runs
  --move-to=DIR       move a unit there when it has ended well
  --download=DIR      download the results to DIR/UNIT
  --outputs=LABELS    only the outputs of these labels, separated by commas
  --on-done=COMMAND   what the shell runs when a unit has ended well
  --on-fail=COMMAND   and when one has failed; $UNIT_NAME, _MESSAGE, _FAILED_STEP, _HISTORY, _RUN_URL and more describe it
  --report=PAGE       write a page of HTML on all samples, again and again while they run; PAGE ends in .html
  --once              submit what is complete, download what has finished, and end: for cron; else watch for ever
  --pause=SECONDS     between two scans of the folder  [default: 30]
  --transfers=N       transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --max-running=N     units under way at once  [default: 10]
  --limit-rate=RATE   at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --retry-failed      try units again that failed before and are still there: only their failed jobs, in place, where
                      that is enough
  --retry=HOW         the same (jobs), or in a new run (run)
  --share-with=USERS  share the history of each unit that has ended well: e-mail addresses, link or everybody, separated
                      by commas
  --param=PARAM       STEP:NAME=VALUE, a tool's parameter: STEP a step's label or index, STEP/STEP in a subworkflow,
                      or a tool's id; may be repeated
  --tag=TAG           a tag for each history; may be repeated
  --use-cached-jobs   take the results of equal jobs that have run before
  --allow-corrections  let Galaxy fill in what steps of the workflow leave out
  --same-server       treat the ledger's server as this one, although its address differs and its histories are gone
  --ledger=FILE       the ledger, by default in ~/.local/state; ledger_show.py shows it
  -n, --dry-run       show what would be done, change nothing
  --format=FORMAT     table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES      only these fields, separated by commas
  -q, --quiet         no progress, only results and errors
  -h, --help          show this help
  --version           show the version

A run is complete with CopyComplete.txt or CompletedJobInfo.xml; RTAComplete.txt says only that its bases are called. Hidden
and temporary files, reads without a barcode (Undetermined) and empty files are left alone. A file of a used name with new
content is a new unit; one that has failed is not run again by itself; a workflow's file is imported even by --dry-run. A row
(TSV by default) is printed for each unit as it ends. SIGTERM ends a watcher well, at any moment. With --once, exits with 1
when all that ended have failed, 3 when some have, 4 when some still run, 75 when another process is writing the ledger.
  folder_watch.py --unit=run --move-to=/data/done --download=/data/results - - /data/runs rnaseq.ga genome=hg38
"""
import os
import sys
from contextlib import suppress
from dataclasses import replace

from common import DONE, USAGE, GalaxyError, arguments, eprint, int_option, one_line, run, show
from galaxy_api_scripts.batch.incoming import (
    COMPLETION_MARKS,
    UNIT_KINDS,
    IncomingUnit,
    as_workflow_input,
    check_parts,
    is_complete,
    scan_folder,
)
from galaxy_api_scripts.batch.ledger import ledger_path
from galaxy_api_scripts.batch.ledger_reader import read_samples
from galaxy_api_scripts.batch.page import check_page_path
from galaxy_api_scripts.batch.page_writer import PageWriter
from galaxy_api_scripts.batch.session import BatchSession
from galaxy_api_scripts.batch.summary import exit_status, iter_finished, print_rows
from galaxy_api_scripts.batch.watcher import DEFAULT_SETTLE, Watcher, WatchSettings, default_ledger
from galaxy_api_scripts.datasets.sources import Source
from galaxy_api_scripts.files import prepare_folder
from galaxy_api_scripts.workflows.inputs import InputValues, iter_datasets


def main(argv=None):
    args = arguments(__doc__, argv)
    session = BatchSession(args)
    settings = watch_settings(args, session.tags, bool(session.retry))
    galaxy = session.connect()
    ledger_file = ledger_path(args["--ledger"], default_ledger(galaxy.base, settings.folder, args["WORKFLOW"]))
    if settings.kind != "run" and os.path.dirname(os.path.realpath(ledger_file)) == settings.folder:
        raise GalaxyError(f"--ledger={ledger_file}: it would be watched itself: name a file outside {settings.folder}",
                          USAGE)
    page = page_outside(settings, args["--report"], ledger_file) if args["--report"] else None

    settings = replace(settings, lanes=session.resume_lanes(ledger_file))
    check = session.check_workflow()
    base, index = constant_inputs(galaxy, check.workflow, args["INPUT=VALUE"], args["--input"], settings.kind)
    check.raise_problems(base.problems)

    def make_request(unit):
        inputs = base.copy()
        inputs.set_value(index, lambda: as_workflow_input(unit, inputs.specs[index]))
        if inputs.problems:
            raise GalaxyError(inputs.problems[0], USAGE)
        return check.make_request(inputs)

    if session.dry_run:
        show_units(settings, make_request, ledger_file, session.output)
        return DONE
    with session.open_runner(ledger_file, folder=settings.folder) as runner:
        runner.context.shared_uploads.sources = {leaf.source for value in base.values.values()
                                                 for leaf in iter_datasets(value) if leaf.source}
        watcher = Watcher(runner, settings, make_request)
        if sys.stderr.isatty():
            eprint(f"watching {settings.folder}; ledger_show.py {ledger_file} shows what is done")
        watcher.scan()
        runner.adopt_orphans()
        samples = []
        with PageWriter(runner, page):
            print_rows(iter_finished(runner, samples, session.once, None, watcher.scan, settings.pause), session.output)
        return exit_status([*samples, *runner.unfinished], session.once, watcher.is_stuck)


def watch_settings(args, tags, retry_failed):
    """What the command line says about the folder and its units."""
    kind, pause, settle = args["--unit"], int_option(args, "--pause", 1), int_option(args, "--settle")
    if kind not in UNIT_KINDS:
        raise GalaxyError(f"--unit={kind}: expected {', '.join(UNIT_KINDS[:-1])} or {UNIT_KINDS[-1]}", USAGE)
    if not os.path.isdir(args["FOLDER"]):
        raise GalaxyError(f"{args['FOLDER']}: no such folder", USAGE)
    folder = os.path.realpath(args["FOLDER"])
    marks = [name for name in COMPLETION_MARKS if kind == "run" and os.path.isfile(os.path.join(folder, name))]
    if marks:
        raise GalaxyError(f"{folder}: holds {marks[0]}, so it is a run itself: name the folder that the runs are in", USAGE)
    move_to, _ = (folder_outside(folder, args[option], option, kind) for option in ("--move-to", "--download"))
    return WatchSettings(folder, kind, DEFAULT_SETTLE[kind] if settle is None else settle, pause, args["--ready-file"],
                         args["--files"], move_to, {"ok": args["--on-done"], "failed": args["--on-fail"]},
                         retry_failed, tags)


def folder_outside(watched, text, option, kind):
    """The folder that `option` names, unless it would be watched itself."""
    if text is None:
        return None
    folder = os.path.realpath(prepare_folder(text, option))
    if folder == watched or (kind == "run" and os.path.commonpath([folder, watched]) == watched):
        raise GalaxyError(f"{option}={text}: it would be watched itself: name a folder outside {watched}", USAGE)
    return folder


def page_outside(settings, text, ledger_file):
    """The path of `--report`, unless the page would be watched itself."""
    page = check_page_path(text, ledger_file)
    if settings.kind != "run" and os.path.dirname(os.path.realpath(page)) == settings.folder:
        raise GalaxyError(f"--report={text}: it would be watched itself: name a file outside {settings.folder}", USAGE)
    return page


def constant_inputs(galaxy, workflow, words, label, kind):
    """The inputs that are the same for all units, and the index of the one that takes their files."""
    base = InputValues(galaxy, workflow)
    constant = base.set_from_args(words)
    free = [spec.index for spec in base.specs.values() if spec.kind != "parameter" and spec.index not in constant]
    required = [index for index in free if base.specs[index].required] or free
    indexes = base.find_indexes(label) if label else required
    if len(indexes) != 1 or indexes[0] in constant:
        labels = ", ".join(base.specs[index].name for index in free) or "none"
        base.problems.append(f"{f'--input={label}' if label else 'which input takes the files?'}: there are {labels}: "
                             "--input=LABEL names one")
        return base, ""
    index = indexes[0]
    base.values[index] = None      # so that it is not missing
    base.check_missing()
    del base.values[index]
    if not accepts(base.specs[index], kind):
        others = "--unit=pair or --unit=run" if kind == "file" else "--unit=file or --unit=run"
        base.problems.append(f"input {base.specs[index].name}: it takes a collection of type {base.specs[index].type}, "
                             f"which --unit={kind} does not give: {others}")
    return base, index


def accepts(spec, kind):
    """Whether an input can take some unit of that kind."""
    source = Source("x", "x", "", 0)
    for mates in {"file": [1], "pair": [2]}.get(kind, [1, 2]):
        with suppress(GalaxyError):
            as_workflow_input(IncomingUnit("x", "x", (("x", (source,) * mates),), ()), spec)
            return True
    return False


def sizes_to_send(unit):
    """The sizes in bytes of the files that would be sent; of a unit that can't be run, of all of its files."""
    paths = {path for source in unit.sources for path in source.local_paths}
    return [file.size for file in unit.files if file.path in paths or not paths]


def show_units(settings, make_request, ledger_file, output):
    """Show what is in the folder, whether and when it would be taken, and how what was made of it before has ended."""
    def problem(unit):
        try:
            make_request(unit)
        except GalaxyError as error:
            return str(error)
        return ""

    samples = read_samples(ledger_file) if os.path.exists(ledger_file) else []
    before = {sample["place"]: sample["state"] for sample in samples}
    skipped = []
    units = [check_parts(unit) for unit in scan_folder(settings.folder, settings.kind, settings.ready_file, settings.pattern,
                                                       settings.lanes, skipped)]
    later = f"after {settings.settle} s without a change"
    sizes = [sizes_to_send(unit) for unit in units]
    if units:
        show([{"name": unit.name, "place": unit.place, "files": len(of_unit), "bytes": sum(of_unit),
               "taken": unit.problem or problem(unit) or ("now" if is_complete(unit, 0, 0, settings.settle) else later),
               "before": before.get(unit.place)} for unit, of_unit in zip(units, sizes)], **output)
    for line in (*skipped, *(line for unit in units for line in unit.skipped),
                 *(f"{unit.name}/{sample}: {why}" for unit in units for sample, why in unit.left_out)):
        eprint(one_line(line))
    eprint(f"{len(units)} there; ledger: {ledger_file}")


if __name__ == "__main__":
    sys.exit(run(main))
