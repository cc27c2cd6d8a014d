#!/usr/bin/env python3
"""Run a workflow on files, URLs or data in Galaxy, wait for its end, and download its results.

Usage:
  workflow_run.py [options] [--param=STEP:NAME=VALUE]... [--tag=TAG]... KEY URL WORKFLOW [INPUT=VALUE...]

Arguments:
  KEY                   your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                   the server, or - to look it up
  WORKFLOW              a workflow's id, exact name, page's address, or .ga or Format 2 file, which is imported
                        once
  INPUT=VALUE           an input's label, index or uuid, and its value: a file, a folder, 'a pattern*' or a URL; hda:ID,
                        hdca:ID, ldda:ID, hid:N in the history, lib:/LIBRARY/FOLDER/NAME; or a parameter's value. Several
                        values of an input make a list, which is mapped over if the input takes one dataset

Options:
  --job=FILE            a job file with the inputs, in planemo's form
  --history=HISTORY     an id, an exact name, or new:NAME; a new one with the workflow's name unless given
  --lanes=MODE          together: the lanes of one sample and read are one file; separate: each stays one; by default
                        together
  --together=PATTERN    also files whose names differ only in what this regular expression matches: _FC[0-9]+_L[0-9]+
  --param=STEP:NAME=VALUE  a tool's parameter: STEP is a step's label or index, STEP/STEP in a
                        subworkflow, or a tool's id; may be repeated
  --deferred            let Galaxy note the URLs only, and fetch the bytes for each job that reads them
  --tag=TAG             a tag for the history; may be repeated
  --use-cached-jobs     take the results of equal jobs that have run before
  --allow-corrections   let Galaxy fill in values that steps of the workflow lack
  --on-complete=WHAT    what Galaxy (26.0 or later) does at the end: notify, or the address of a file source to export to
  --transfers=N         transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --limit-rate=RATE     at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --wait                accepted for compatibility: waiting is the default
  --no-wait             exit as soon as Galaxy has accepted the run
  --timeout=SECONDS     stop waiting after this many seconds in all
  --fail-fast           stop at the first job that fails, not when no job can run any more
  --download=DIR        download the results to DIR, as LABEL.ext and LABEL/ELEMENT.ext
  --verify              compare downloads with Galaxy's hashes, which it computes if it has none
  --outputs=LABELS      only the outputs with these labels, separated by commas
  --report=FILE         write a report of the run: FILE.html, a page; FILE.md or FILE.pdf, Galaxy's own
  --record=FILE         write a record of the run (JSON), once when it begins and again when it ends
  -n, --dry-run         show what would be done, change nothing
  --format=FORMAT       table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES        only these fields, separated by commas
  -q, --quiet           no progress, only results and errors
  -h, --help            show this help
  --version             show the version

All inputs are checked before anything is sent; a dry run does import a workflow's file. Exits with 0 only if every job is ok
or skipped; with 1 if one failed, naming its step, tool, element and reason; with 4 if the time was up. After that, or after
a kill, the same line resumes the same run; after an end it starts a new one.
  workflow_run.py --download=results - - rnaseq.ga 'reads=/data/run12/*.fastq.gz' genome=hg38
"""
import os
import sys
from functools import partial

from common import (
    DONE,
    SOME_FAILED,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    eprint,
    int_option,
    on_success,
    output_options,
    print_request,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.datasets.download import DownloadFolder, download_items
from galaxy_api_scripts.datasets.lanes import parse_lanes
from galaxy_api_scripts.datasets.references import parse_tag
from galaxy_api_scripts.datasets.target_history import open_target_history, require_writable
from galaxy_api_scripts.files import check_writable, prepare_folder
from galaxy_api_scripts.invocations.invocation import (
    InvocationFailed,
    invocation_outputs,
    output_datasets,
    parse_labels,
    wait_for_invocation,
)
from galaxy_api_scripts.invocations.report import report_kind, write_report
from galaxy_api_scripts.polling import countdown
from galaxy_api_scripts.progress import enable_bars, state_progress
from galaxy_api_scripts.rate_limit import limit_rate
from galaxy_api_scripts.together import limit_requests
from galaxy_api_scripts.transfers import transfers_option
from galaxy_api_scripts.workflows.lookup import check_user_and_workflow
from galaxy_api_scripts.workflows.run import (
    RunRecord,
    invocation_options,
    parse_on_complete,
    parse_step_parameter,
    plan_run,
    require_on_complete,
)

INVOCATION_FIELDS, OUTPUT_FIELDS = ["id", "workflow_id", "history_id", "state"], ["label", "src", "id"]


def main(argv=None):
    args = arguments(__doc__, argv)
    target, to, left = args["--history"], args["--download"], countdown(int_option(args, "--timeout"))
    fields = INVOCATION_FIELDS if args["--no-wait"] else [*OUTPUT_FIELDS, "path"] if to else OUTPUT_FIELDS
    output = output_options(args, fields)
    (labels, checks, tags), transfers = check_options(args), limit_requests(transfers_option(args))
    limit_rate(args)
    enable_bars(not args["--quiet"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    name = "" if not target or target.startswith("new:") else target
    user, workflow, *rest = check_user_and_workflow(
        galaxy, args["WORKFLOW"], *([partial(galaxy.resolve, "histories", name)] if name else []),
        *([partial(require_on_complete, galaxy)] if "on_complete" in checks else []))
    history = require_writable(galaxy, name, rest[0], user)["id"] if name else ""
    request = plan_run(galaxy, workflow, args["INPUT=VALUE"], args["--job"], history, **checks)
    protect_inputs(args, request)
    if to and (os.path.lexists(to) or not args["--dry-run"]):
        to = prepare_folder(to, "--download")
    if args["--dry-run"]:
        print_request("POST", galaxy.url_for(f"workflows/{workflow['id']}/invocations"), request.request,
                      None if output["format"] == "table" else output["format"])
        return DONE
    folder = DownloadFolder(galaxy, to, verify=args["--verify"], on_wait=lambda: None) if to else None

    target = target or f"new:{request.workflow['name']}"
    with open_target_history(galaxy, target, request.sources, False, "run", request.identity, user=user,
                             existing=history) as where:
        invocation = request.start(galaxy, where, left(), transfers)
        if tags:
            present = galaxy.get(f"histories/{where.id}")["tags"]
            galaxy.put(f"histories/{where.id}", {"tags": list(dict.fromkeys([*present, *tags]))})
        record = RunRecord(args["--record"], galaxy, request, where.id, invocation)
        record.write()
        if args["--no-wait"]:
            code = DONE
            row = {"id": invocation, "workflow_id": workflow["id"], "history_id": where.id, "state": "new"}
            show(row, changed=True, **output)
        else:
            if sys.stderr.isatty() and not args["--quiet"]:
                eprint(f"invocation {invocation} in history {where.id}")
            about, failure = wait_and_record(galaxy, invocation, left(), args["--fail-fast"], record)
            code = deliver(galaxy, about, failure, labels, folder, output, transfers)
            if args["--report"]:
                write_report(galaxy, invocation, args["--report"], overwrite=True, option="--report")
        on_success(where.checkpoint.remove)
    return code or record.exit_code


def check_options(args):
    """The outputs' labels, what `plan_run` is to check, and the tags; `GalaxyError` (USAGE) for options that are wrong."""
    for option in ("--record", "--report"):
        if args[option] is not None:
            check_writable(args[option], overwrite=True, option=option)
    if args["--report"] is not None:
        report_kind(args["--report"], "--report")
    labels, on_complete = parse_labels(args["--outputs"]), parse_on_complete(args["--on-complete"])
    checks = {"parameters": [parse_step_parameter(text) for text in args["--param"]], "labels": labels,
              "to_download": bool(args["--download"]), "lanes": parse_lanes(args["--lanes"], args["--together"]),
              "deferred": args["--deferred"], **invocation_options(args),
              **({"on_complete": on_complete} if on_complete else {})}
    tags = [parse_tag(text) for text in args["--tag"]]
    if args["--no-wait"] and (args["--wait"] or args["--download"] or args["--report"]):
        raise GalaxyError("--no-wait can't be combined with --wait, --download or --report", USAGE)
    return labels, checks, tags


def protect_inputs(args, request):
    """Raise `GalaxyError` (USAGE) where --record or --report would overwrite a file that the run reads."""
    names = (args["WORKFLOW"], args["--job"] or "", *(path for source in request.sources for path in source.local_paths))
    paths = {os.path.realpath(name) for name in names}
    for option in ("--record", "--report"):
        if args[option] and os.path.realpath(args[option]) in paths:
            raise GalaxyError(f"{option}={args[option]}: the run reads that file, so nothing was sent", USAGE)


def wait_and_record(galaxy, invocation, timeout, fail_fast, record):
    """The invocation at its end, and why it failed ("" where it did not), both also written to the record."""
    failure, states = "", {}
    try:
        with state_progress("jobs", states) as on_progress:
            about = wait_for_invocation(galaxy, invocation, timeout, fail_fast, on_progress, look_ahead=True)
    except InvocationFailed as error:
        about, failure = error.invocation, str(error)
    record.finish(about, states, failure)
    return about, failure


def deliver(galaxy, invocation, failure, labels, folder, output, transfers):
    """Download the outputs to the folder, if there is one, and print a row for each. Returns the exit status."""
    outputs = invocation_outputs(invocation, labels)
    rows = [{"label": label, "src": ref["src"], "id": ref["id"]} for label, ref in outputs.items()]
    paths, codes = {}, []
    if folder:
        items = output_datasets(galaxy, outputs)
        if failure:     # a dataset in error is reported once, with its job
            items = {label: [item for item in some if item.about["state"] == "ok"] for label, some in items.items()}
        every = [item for some in items.values() for item in some]
        paths = download_items(folder, every, transfers, codes, lambda path: None)
        for row in rows:
            first = next((item for item in items[row["label"]] if item.id in paths), None)
            # A dataset's file, or a collection's folder: LABEL/ELEMENT, with another folder for each level in between.
            row["path"] = str([paths[first.id], *paths[first.id].parents][len(first.element)]) if first else ""
    show(rows, **output)
    if failure:
        return report_error(failure)
    if codes:
        report_error(f"the run itself is ok: invocation_download.py --to={folder.folder} - - {invocation['id']} downloads "
                     "the rest")
    return SOME_FAILED if codes and paths else codes[0] if codes else DONE


if __name__ == "__main__":
    sys.exit(run(main))
