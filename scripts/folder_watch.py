#!/usr/bin/env python3
"""Watch a folder, of drops or of a sequencer's runs, and run a workflow once on each unit that is whole.

Usage:
  folder_watch.py [options] [--param=PARAM]... [--tag=TAG]... KEY URL FOLDER WORKFLOW [INPUT=VALUE...]

Arguments:
  KEY                 your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                 the server, or - to look it up
  FOLDER              the folder to watch; with --unit=run the one that the runs' folders are in
  WORKFLOW            a workflow's id, exact name, or .ga or Format 2 file, which is imported once
  INPUT=VALUE         an input that is the same for all units, as workflow_run.py takes it

Options:
  --unit=KIND         what is one unit: file, pair (of reads), or run: each folder in FOLDER  [default: file]
  --input=LABEL       the input that takes a unit's files; the only one that is left unless given
  --files=PATTERN     only files of such names, as '*_R1_*.fq.gz'; of a run, those of FASTQ files unless given
  --ready-file=NAME   only what this marks as whole: in a run; in FOLDER, for all there; as .done, FILE.done for one file
  --settle=SECONDS    for how long what has no mark must stand still; 60, or 600 for runs, unless given
  --move-to=DIR       where a unit goes when it has ended well
  --download=DIR      fetch the results to DIR/UNIT
  --outputs=LABELS    only the outputs of these labels, separated by commas
  --on-done=COMMAND   what the shell does when a unit has ended well
  --on-fail=COMMAND   what it does when one has failed; $UNIT_NAME, _MESSAGE, _FAILED_STEP, _HISTORY, _RUN_URL and more tell
  --once              take what is whole, fetch what has ended, and end: for cron; else watch for ever
  --pause=SECONDS     between two looks at the folder  [default: 30]
  --max-running=N     units under way at once  [default: 10]
  --retry-failed      try those again that have failed before and are still there
  --param=PARAM       STEP:NAME=VALUE, a tool's parameter: STEP a step's label or index, or a tool's id; may be repeated
  --tag=TAG           a tag for each history; may be repeated
  --use-cached-jobs   take the results of equal jobs that have run before
  --allow-corrections  let Galaxy fill in what steps of the workflow leave out
  --ledger=FILE       where is remembered what was done, in ~/.local/state unless given. ledger_show.py shows it
  -n, --dry-run       show what is there and whether it is whole, also what was run before; a workflow's file is imported
  --format=FORMAT     table, json, jsonl, csv, tsv, value or another tabulate style  [default: tsv]
  --fields=NAMES      only these fields, separated by commas
  -q, --quiet         print no units
  -h, --help          show this

A run is whole with CopyComplete.txt or CompletedJobInfo.xml; RTAComplete.txt says only that its bases are called. Hidden
and temporary files, reads without a barcode (Undetermined) and empty files are left alone. A file of a used name with new
content is a new unit; one that has failed is not tried again by itself. SIGTERM ends a watcher well, at any moment. One
that looks once exits with 1 when all that ended have failed, 3 when some have, 4 when some still run, 75 when another is at
work on the ledger.
  folder_watch.py --unit=run --move-to=/data/done --download=/data/results - - /data/runs rnaseq.ga genome=hg38
"""
import os
import sys

from common import (
    DONE,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    eprint,
    int_option,
    output_options,
    require_nonempty,
    run,
    show,
    split_commas,
)
from galaxy_api_scripts.batch import ledger, ledger_reader
from galaxy_api_scripts.batch.incoming import COMPLETION_MARKS, UNIT_KINDS, as_workflow_input, is_complete, scan_folder
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.batch.summary import ROW_FIELDS, exit_status, iter_finished, print_rows
from galaxy_api_scripts.batch.watcher import DEFAULT_SETTLE, Watcher, WatchSettings, default_ledger
from galaxy_api_scripts.datasets.download import prepare_folder
from galaxy_api_scripts.workflows.definition import resolve_workflow
from galaxy_api_scripts.workflows.inputs import InputValues, iter_datasets
from galaxy_api_scripts.workflows.run import check_workflow, invocation_options, parse_step_parameter, parse_tag


def main(argv=None):
    args = arguments(__doc__, argv)
    folder, kind, once, dry = args["FOLDER"], args["--unit"], args["--once"], args["--dry-run"]
    pause, most = int_option(args, "--pause", 1), int_option(args, "--max-running", 1)
    settle = int_option(args, "--settle")
    style, fields = output_options(args, () if dry else ROW_FIELDS).values()
    if kind not in UNIT_KINDS:
        raise GalaxyError(f"--unit={kind}: there are {', '.join(UNIT_KINDS)}", USAGE)
    require_nonempty(args, "--input", "--files", "--ready-file", "--move-to",
                     "--download", "--outputs", "--on-done", "--on-fail")
    settle = DEFAULT_SETTLE[kind] if settle is None else settle
    if not os.path.isdir(folder):
        raise GalaxyError(f"{folder}: no such folder", USAGE)
    folder = os.path.realpath(folder)
    marks = [name for name in COMPLETION_MARKS if kind == "run" and os.path.isfile(os.path.join(folder, name))]
    if marks:
        raise GalaxyError(f"{folder}: holds {marks[0]}, so it is a run itself: name the folder that the runs are in", USAGE)
    to = outside(folder, args["--move-to"], "--move-to", kind)
    outside(folder, args["--download"], "--download", kind)
    labels = split_commas(args["--outputs"])
    parameters, tags = [parse_step_parameter(one) for one in args["--param"]], [parse_tag(one) for one in args["--tag"]]
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    place = ledger.ledger_path(args["--ledger"], default_ledger(galaxy.base, folder, args["WORKFLOW"]))
    if kind != "run" and os.path.dirname(os.path.realpath(place)) == folder:
        raise GalaxyError(f"--ledger={place}: it would be watched itself: name a file outside {folder}", USAGE)

    user = galaxy.current_user()
    known = check_workflow(galaxy, resolve_workflow(galaxy, args["WORKFLOW"]), parameters, labels, bool(args["--download"]),
                    **invocation_options(args))
    base, index = constant(galaxy, known.workflow, args["INPUT=VALUE"], args["--input"])
    if index and not fits(kind, base.specs[index].type):
        other = "--unit=pair or --unit=run" if kind == "file" else "--unit=file or --unit=run"
        base.problems.append(f"input {base.specs[index].name}: it takes a collection of type {base.specs[index].type}, "
                             f"which --unit={kind} does not give: {other}")
    known.raise_problems(base.problems)
    if dry:
        before = {unit["place"]: unit["state"] for unit in ledger_reader.read_samples(place)} if os.path.exists(place) else {}
        drops = scan_folder(folder, kind, args["--ready-file"], args["--files"])
        if drops:
            show([seen(drop, settle, before.get(drop.place)) for drop in drops], style, fields)
        eprint(f"{len(drops)} there; ledger: {place}")
        return DONE

    def planned(drop):
        given = base.copy()
        given.set_value(index, lambda: as_workflow_input(drop, given.specs[index]))
        if given.problems:
            raise GalaxyError(given.problems[0], USAGE)
        return known.make_request(given)

    results = prepare_folder(args["--download"], "--download") if args["--download"] else None
    with ledger.Ledger(place, server=galaxy.base, user=user.get("username") or user["id"], folder=folder) as memory:
        work = BatchRunner(galaxy, memory, most, results, labels)
        work.context.shared_uploads.sources = {leaf.source for one in base.values.values() for leaf in iter_datasets(one) if leaf.source}
        settings = WatchSettings(folder, kind, settle, pause, args["--ready-file"], args["--files"], to,
                                 {"ok": args["--on-done"], "failed": args["--on-fail"]}, args["--retry-failed"], tags)
        watcher = Watcher(work, settings, planned)
        if sys.stderr.isatty():
            eprint(f"watching {folder}; ledger_show.py {place} shows what is done")
        watcher.scan()
        work.adopt_orphans()
        units = []
        print_rows(iter_finished(work, units, once, None, watcher.scan, pause), style, fields or ROW_FIELDS, args["--quiet"])
        return exit_status([*units, *(one.sample for one in (*work.queue, *work.running.values()))])


def outside(folder, text, option, kind):
    """The folder that `option` names, where it is not one that is watched."""
    if text is None:
        return None
    to = os.path.realpath(prepare_folder(text, option))
    if to == folder or (kind == "run" and os.path.commonpath([to, folder]) == folder):
        raise GalaxyError(f"{option}={text}: it would be watched itself: name a folder outside {folder}", USAGE)
    return to


def constant(galaxy, workflow, words, label):
    """What all units are given, and the index of the input that takes their files."""
    base = InputValues(galaxy, workflow)
    taken = base.set_from_args(words)
    free = [one.index for one in base.specs.values() if one.kind != "parameter" and one.index not in taken]
    needed = [index for index in free if base.specs[index].required] or free
    fitting = base.find_indexes(label) if label else needed
    if len(fitting) != 1 or fitting[0] in taken:
        there = ", ".join(base.specs[index].name for index in free) or "none"
        base.problems.append(f"{f'--input={label}' if label else 'which input takes the files?'}: there are {there}: "
                             "--input=LABEL names one")
        return base, ""
    base.values[fitting[0]] = None      # so that it is not missing
    base.check_missing()
    del base.values[fitting[0]]
    return base, fitting[0]


def fits(kind, wanted):
    """Whether a unit of that kind can be given to an input for a collection of the type `resolve_workflow`, "" for any."""
    if wanted.replace("_or_unpaired", "") != wanted or not wanted:
        return True
    return kind == "run" or ("paired" in wanted) == (kind == "pair")


def seen(drop, settle, before):
    """What there is to say of what lies there; `before` is the state of what was made of that place last."""
    when = "now" if is_complete(drop, 0, 0, settle) else f"when it has stood still for {settle} s"
    return {"name": drop.name, "place": drop.place, "files": len(drop.files), "bytes": sum(one.size for one in drop.files),
            "taken": drop.problem or when, "before": before}


if __name__ == "__main__":
    sys.exit(run(main))
