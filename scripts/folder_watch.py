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

import ledger
from common import (
    DONE,
    UNATTENDED,
    USAGE,
    Galaxy,
    Refused,
    arguments,
    none_empty,
    output,
    run,
    say,
    separated,
    show,
    whole_number,
)
from downloads import folder_for
from drops import MARKS, UNITS, complete, look, value
from endings import FIELDS, as_they_end, shown, status
from inputs import Given, leaves
from runs import a_parameter, a_tag, options_of, prepare
from units import Work
from watching import SETTLE, Watcher, default_ledger
from workflows import wanted


def main(argv=None):
    args = arguments(__doc__, argv)
    folder, kind, once, dry = args["FOLDER"], args["--unit"], args["--once"], args["--dry-run"]
    pause, most = whole_number(args, "--pause", 1), whole_number(args, "--max-running", 1)
    settle = whole_number(args, "--settle")
    style, fields = output(args, () if dry else FIELDS)
    if kind not in UNITS:
        raise Refused(f"--unit={kind}: there are {', '.join(UNITS)}", USAGE)
    none_empty(args, "--input", "--files", "--ready-file", "--move-to", "--download", "--outputs", "--on-done", "--on-fail")
    settle = SETTLE[kind] if settle is None else settle
    if not os.path.isdir(folder):
        raise Refused(f"{folder}: no such folder", USAGE)
    folder = os.path.realpath(folder)
    marks = [name for name in MARKS if kind == "run" and os.path.isfile(os.path.join(folder, name))]
    if marks:
        raise Refused(f"{folder}: holds {marks[0]}, so it is a run itself: name the folder that the runs are in", USAGE)
    to = outside(folder, args["--move-to"], "--move-to", kind)
    outside(folder, args["--download"], "--download", kind)
    labels = separated(args["--outputs"])
    parameters, tags = [a_parameter(one) for one in args["--param"]], [a_tag(one) for one in args["--tag"]]
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    place = ledger.place(args["--ledger"], default_ledger(galaxy.base, folder, args["WORKFLOW"]))
    if kind != "run" and os.path.dirname(os.path.realpath(place)) == folder:
        raise Refused(f"--ledger={place}: it would be watched itself: name a file outside {folder}", USAGE)

    user = galaxy.user()
    known = prepare(galaxy, wanted(galaxy, args["WORKFLOW"]), parameters, labels, bool(args["--download"]),
                    **options_of(args))
    base, index = constant(galaxy, known.workflow, args["INPUT=VALUE"], args["--input"])
    if index and not fits(kind, base.asked[index].type):
        other = "--unit=pair or --unit=run" if kind == "file" else "--unit=file or --unit=run"
        base.problems.append(f"input {base.asked[index].name}: it takes a collection of type {base.asked[index].type}, "
                             f"which --unit={kind} does not give: {other}")
    known.refuse(base.problems)
    if dry:
        before = {unit["place"]: unit["state"] for unit in ledger.rows(place)} if os.path.exists(place) else {}
        drops = look(folder, kind, args["--ready-file"], args["--files"])
        if drops:
            show([seen(drop, settle, before.get(drop.place)) for drop in drops], style, fields)
        say(f"{len(drops)} there; ledger: {place}")
        return DONE

    def planned(drop):
        given = base.another()
        given.take(index, lambda: value(drop, given.asked[index]))
        if given.problems:
            raise Refused(given.problems[0], USAGE)
        return known.plan(given)

    results = folder_for(args["--download"], "--download") if args["--download"] else None
    with ledger.Ledger(place, server=galaxy.base, user=user.get("username") or user["id"], folder=folder) as memory:
        work = Work(galaxy, memory, most, results, labels)
        work.shared.sources = {leaf.source for one in base.values.values() for leaf in leaves(one) if leaf.source}
        watcher = Watcher(work, folder, kind, planned, settle, pause, args["--ready-file"], args["--files"], to,
                          {"ok": args["--on-done"], "failed": args["--on-fail"]}, args["--retry-failed"], tags)
        if sys.stderr.isatty():
            say(f"watching {folder}; ledger_show.py {place} shows what is done")
        watcher.look()
        work.others()
        units = []
        shown(as_they_end(work, units, once, None, watcher.look, pause), style, fields or FIELDS, args["--quiet"])
        return status([*units, *(one.unit for one in (*work.queue, *work.under_way.values()))])


def outside(folder, text, option, kind):
    """The folder that `option` names, where it is not one that is watched."""
    if text is None:
        return None
    to = os.path.realpath(folder_for(text, option))
    if to == folder or (kind == "run" and os.path.commonpath([to, folder]) == folder):
        raise Refused(f"{option}={text}: it would be watched itself: name a folder outside {folder}", USAGE)
    return to


def constant(galaxy, workflow, words, label):
    """What all units are given, and the index of the input that takes their files."""
    base = Given(galaxy, workflow)
    taken = base.take_words(words)
    free = [one.index for one in base.asked.values() if one.kind != "parameter" and one.index not in taken]
    needed = [index for index in free if base.asked[index].needed] or free
    fitting = base.named(label) if label else needed
    if len(fitting) != 1 or fitting[0] in taken:
        there = ", ".join(base.asked[index].name for index in free) or "none"
        base.problems.append(f"{f'--input={label}' if label else 'which input takes the files?'}: there are {there}: "
                             "--input=LABEL names one")
        return base, ""
    base.values[fitting[0]] = None      # so that it is not missing
    base.look_for_missing()
    del base.values[fitting[0]]
    return base, fitting[0]


def fits(kind, wanted):
    """Whether a unit of that kind can be given to an input for a collection of the type `wanted`, "" for any."""
    if wanted.replace("_or_unpaired", "") != wanted or not wanted:
        return True
    return kind == "run" or ("paired" in wanted) == (kind == "pair")


def seen(drop, settle, before):
    """What there is to say of what lies there; `before` is the state of what was made of that place last."""
    when = "now" if complete(drop, 0, 0, settle) else f"when it has stood still for {settle} s"
    return {"name": drop.name, "place": drop.place, "files": len(drop.files), "bytes": sum(one.size for one in drop.files),
            "taken": drop.problem or when, "before": before}


if __name__ == "__main__":
    sys.exit(run(main))
