#!/usr/bin/env python3
"""Run a workflow on files, URLs or what Galaxy has, wait for its end, and fetch its results.

Usage:
  workflow_run.py [options] [--param=STEP:NAME=VALUE]... [--tag=TAG]... KEY URL WORKFLOW [INPUT=VALUE...]

Arguments:
  KEY                   your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                   the server, or - to look it up
  WORKFLOW              a workflow's id, exact name, or .ga or Format 2 file, which is imported once
  INPUT=VALUE           an input's label, index or uuid, and: a file, a folder, 'a pattern*' or a URL; hda:ID, hdca:ID,
                        ldda:ID, hid:N of the history, lib:/LIBRARY/FOLDER/NAME; or a parameter's value. Several of one input
                        are a list, which is mapped over where the input takes one dataset

Options:
  --job=FILE            a job file with the inputs, as planemo has them
  --history=HISTORY     an id, an exact name, or new:NAME; a new one with the workflow's name unless given
  --param=STEP:NAME=VALUE  a tool's parameter: STEP a step's label or index, or a tool's id; may be repeated
  --tag=TAG             a tag for the history; may be repeated
  --use-cached-jobs     take the results of equal jobs that have run before
  --allow-corrections   let Galaxy fill in what steps of the workflow leave out
  --on-complete=WHAT    what Galaxy (26.1 on) does in the end: notify, or the address of a file source to export to
  --wait                wait for the end, which it does anyway
  --no-wait             end as soon as Galaxy has begun the run
  --timeout=SECONDS     how long to wait for the end; as long as it takes unless given
  --fail-fast           end at the first job that fails, not when no job can move any more
  --download=DIR        fetch the results to DIR: LABEL.ext, LABEL/ELEMENT.ext
  --verify              compare what was fetched with Galaxy's hashes, which it makes where it has none
  --outputs=LABELS      only the outputs of these labels, separated by commas
  --report=FILE         write a report of the run: FILE.html, a page; FILE.md or FILE.pdf, Galaxy's own
  --record=FILE         write what was run on what, and how it ended (JSON), when it begins and when it ends
  -n, --dry-run         check all and show what would be sent; a workflow's file is imported
  --format=FORMAT       table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES        only these fields, separated by commas
  -q, --quiet           print no outputs
  -h, --help            show this

All inputs are checked before anything is sent. Exits with 0 only when every job is ok or skipped; with 1 when one failed,
naming step, tool, element and reason; with 4 when the time was up. The same line again after that, or after a kill, goes on
with the same run; after an end it is a new one.
  workflow_run.py --download=results - - rnaseq.ga 'reads=/data/run12/*.fastq.gz' genome=hg38
"""
import os
import sys

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
    require_nonempty,
    run,
    show,
    split_commas,
)
from galaxy_api_scripts.datasets.download import DownloadFolder, download_items
from galaxy_api_scripts.datasets.target_history import open_target_history
from galaxy_api_scripts.files import check_writable, prepare_folder
from galaxy_api_scripts.invocations.invocation import (
    InvocationFailed,
    invocation_outputs,
    output_datasets,
    wait_for_invocation,
)
from galaxy_api_scripts.invocations.report import report_kind, write_report
from galaxy_api_scripts.progress import state_progress
from galaxy_api_scripts.workflows.definition import resolve_workflow
from galaxy_api_scripts.workflows.run import (
    RunRecord,
    invocation_options,
    parse_on_complete,
    parse_step_parameter,
    parse_tag,
    plan_run,
    require_on_complete,
)

PARALLEL = 4    # downloads at once
BEGUN, MADE = ["id", "workflow_id", "history_id", "state"], ["label", "src", "id"]      # the fields of what is printed


def main(argv=None):
    args = arguments(__doc__, argv)
    text, to, timeout = args["--history"], args["--download"], int_option(args, "--timeout")
    style, fields = output_options(args, BEGUN if args["--no-wait"] else [*MADE, "path"] if to else MADE).values()
    record, report = args["--record"], args["--report"]
    require_nonempty(args, "--history", "--job", "--download", "--outputs")
    for file, option in ((record, "--record"), (report, "--report")):
        if file is not None:
            check_writable(file, overwrite=True, option=option)
    if report is not None:
        report_kind(report, "--report")
    labels = split_commas(args["--outputs"])
    parameters, tags = [parse_step_parameter(one) for one in args["--param"]], [parse_tag(one) for one in args["--tag"]]
    ends = parse_on_complete(args["--on-complete"])
    options = {**invocation_options(args), **({"on_complete": ends} if ends else {})}
    if args["--no-wait"] and (args["--wait"] or to or report):
        raise GalaxyError("--no-wait goes with none of --wait, --download and --report", USAGE)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    galaxy.current_user()
    if "on_complete" in options:
        require_on_complete(galaxy)
    workflow_id = resolve_workflow(galaxy, args["WORKFLOW"])
    history = galaxy.resolve("histories", text)["id"] if text and not text.startswith("new:") else ""
    work = plan_run(galaxy, workflow_id, args["INPUT=VALUE"], args["--job"], history, parameters, labels, **options)
    read = {os.path.realpath(name) for name in (args["WORKFLOW"], args["--job"] or "", *(one.path for one in work.sources))}
    for file, option in ((record, "--record"), (report, "--report")):
        if file and os.path.realpath(file) in read:
            raise GalaxyError(f"{option}={file}: the run reads that file, so nothing was sent", USAGE)
    if to and not work.output_count:
        raise GalaxyError(f"workflow {work.workflow['name']!r} marks nothing as its output, so --download would fetch nothing: "
                      "dataset_download.py with history:ID fetches all that a run leaves", USAGE)
    folder = DownloadFolder(galaxy, prepare_folder(to, "--download"),
                            verify=args["--verify"]) if to and not args["--dry-run"] else None
    if args["--dry-run"]:
        print_request("POST", galaxy.url_for(f"workflows/{workflow_id}/invocations"), work.request,
                     None if style == "table" else style)
        return DONE

    text = text or f"new:{work.workflow['name']}"
    with open_target_history(galaxy, text, work.sources, False, "run", work.identity) as where:
        invocation = work.start(galaxy, where, timeout)
        if tags:
            there = galaxy.get(f"histories/{where.id}")["tags"]
            galaxy.put(f"histories/{where.id}", {"tags": list(dict.fromkeys([*there, *tags]))})
        account = RunRecord(record, galaxy, work, where.id, invocation)
        account.write()
        if args["--no-wait"]:
            show({"id": invocation, "workflow_id": workflow_id, "history_id": where.id, "state": "new"}, style, fields,
                 changed=True)
            on_success(where.checkpoint.remove)
            return account.exit_code
        if sys.stderr.isatty():
            eprint(f"invocation {invocation} in history {where.id}")
        code = ended(galaxy, invocation, timeout, args["--fail-fast"], account, folder, labels,
                     None if args["--quiet"] else (style, fields))
        if report:
            write_report(galaxy, invocation, report, overwrite=True, option="--report")
        on_success(where.checkpoint.remove)
    return code or account.exit_code


def ended(galaxy, invocation, timeout, fail_fast, account, folder, labels, printed):
    """Wait for the run's end, fetch its results, show them; the exit status."""
    failure, states, codes, paths = "", {}, [], {}
    try:
        with state_progress("jobs", states) as on_progress:
            about = wait_for_invocation(galaxy, invocation, timeout, fail_fast, on_progress)
    except InvocationFailed as error:
        about, failure = error.invocation, str(error)
    account.finish(about, states, failure)
    rows = [{"label": label, "src": made["src"], "id": made["id"]}
        for label, made in invocation_outputs(about, labels).items()]
    if folder:
        items = output_datasets(galaxy, invocation_outputs(about, labels))
        if failure:     # what failed is told once, and in more words
            items = {label: [item for item in some if item.about["state"] == "ok"] for label, some in items.items()}
        # another run may have fetched into it meanwhile
        folder = DownloadFolder(galaxy, folder.folder, verify=folder.verify)
        paths = download_items(folder, [item for some in items.values()
                               for item in some], PARALLEL, codes, lambda path: None)
        for row in rows:
            there = [item for item in items[row["label"]] if item.id in paths]
            # A dataset's file, a collection's folder: LABEL/ELEMENT, with one more folder for each that is within another.
            row["path"] = str([paths[there[0].id], *paths[there[0].id].parents][len(there[0].element)]) if there else ""
    if printed:
        show(rows, *printed)
    if failure:
        return report_error(failure)
    if codes:
        report_error(f"the run itself is ok: invocation_download.py --to={folder.folder} - - {invocation} fetches the rest")
    return SOME_FAILED if codes and paths else codes[0] if codes else DONE


if __name__ == "__main__":
    sys.exit(run(main))
