#!/usr/bin/env python3
"""Run a workflow on each file that appears in a folder.

Usage:
  example_watch_folder.py [options] KEY API_URL IN_FOLDER OUT_FOLDER DATA_LIBRARY WORKFLOW_ID

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  API_URL          the server, or its .../api/, or - to look it up
  IN_FOLDER        the folder to watch, without its sub-folders; the server has it under the same path
  OUT_FOLDER       where a file goes once its invocation is submitted
  DATA_LIBRARY     the name of the library that gets the files; it is created if there is none of that name
  WORKFLOW_ID      the workflow, which has one input for a dataset

Options:
  --once           end after what is complete now, for cron; else watch for ever
  --pause=SECONDS  between two scans; a file whose size and time stayed the same is complete  [default: 10]
  --format=FORMAT  table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields, separated by commas
  -n, --dry-run    show what would be done, change nothing
  -h, --help       show this help
  --version        show the version

A file goes to the library, then a new history named FILE - WORKFLOW gets one run of the workflow, whose invocation is
printed, and the file moves; the end of the run is not waited for (folder_watch.py does that). Names that begin with a dot or
end as unfinished files do (.part, .tmp, ~) and empty files are left alone. A file that fails is named on standard error,
stays, and is tried again once it has changed, or by the next start. What was done is in a ledger in ~/.local/state, so after
a kill the next start begins no second run; only in the library the file can be twice then. The server needs allow_path_paste
in its galaxy.yml.
  example_watch_folder.py - - /data/inbox /data/done "API Imports" f2db41e1fa331b3e
"""
import os
import sys
import time

from common import (
    NON_TERMINAL_DATASET_STATES,
    NON_TERMINAL_JOB_STATES,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    output_options,
    parse_id,
    run,
    show,
)
from galaxy_api_scripts.batch.incoming import scan_folder
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.batch.runner import BatchRunner
from galaxy_api_scripts.batch.summary import exit_status, report_failure
from galaxy_api_scripts.batch.watcher import Watcher, WatchSettings, default_ledger
from galaxy_api_scripts.libraries.contents import find_library, open_folder, require_path_paste
from galaxy_api_scripts.workflows.definition import input_error, input_rows, load_whole_workflow, resolve_inputs
from galaxy_api_scripts.workflows.inputs import DatasetInput, InputValues, iter_datasets
from galaxy_api_scripts.workflows.parameters import require_runnable
from galaxy_api_scripts.workflows.run import RunRequest
from galaxy_api_scripts.workflows.staging import Staging


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    inbox, done = movable_folder(args["IN_FOLDER"]), movable_folder(args["OUT_FOLDER"])
    library_name, workflow_id = args["DATA_LIBRARY"], parse_id(args["WORKFLOW_ID"], "WORKFLOW_ID")
    pause, once, output = int_option(args, "--pause", 1), args["--once"], output_options(args)
    if os.path.samefile(inbox, done):
        raise GalaxyError("OUT_FOLDER is IN_FOLDER, so a file could not leave it", USAGE)
    if not library_name.strip():
        raise GalaxyError("DATA_LIBRARY is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["API_URL"], UNATTENDED)

    require_path_paste(galaxy)
    workflow = load_whole_workflow(galaxy, workflow_id)
    index = only_input(workflow)
    require_runnable(galaxy, workflow, {})
    if args["--dry-run"]:
        before = {unit.place: unit.fingerprint for unit in scan_folder(inbox, "file")}
        time.sleep(pause)
        for unit in scan_folder(inbox, "file"):
            if before.get(unit.place) == unit.fingerprint:
                print(unit.place)
        return None

    def make_request(unit):
        reject_path(unit.place)
        inputs = InputValues(galaxy, workflow)
        inputs.values[index] = DatasetInput(unit.place, source=unit.sources[0])
        return RunRequest(workflow, inputs, {})

    with Ledger(default_ledger(galaxy.base, inbox, workflow_id), server=galaxy.base, folder=inbox) as ledger, BatchRunner(
            galaxy, ledger, max_running=1, make_staging=lambda *where: ByPath(library, *where), wait=False) as runner:
        library = find_library(galaxy, library_name) or galaxy.post("libraries", {"name": library_name})
        watcher = Watcher(runner, WatchSettings(inbox, "file", pause, pause, move_to=done, retry_failed=True), make_request,
                          lambda unit: f"{os.path.basename(unit.place)} - {workflow['name']}")
        watcher.scan()
        if once:
            time.sleep(pause)
        samples = []
        for sample in runner.run(once, find_more=watcher.scan, max_interval=pause):
            samples.append(sample)
            if report_failure(sample) == "ok":
                show(galaxy.get(f"invocations/{sample.invocation}"), **output, plain=print, changed=True)
        return exit_status(samples, once, watcher.is_stuck)


class ByPath(Staging):
    """Lets the server read files by their paths, into a library."""

    def __init__(self, library, *where):
        super().__init__(*where)
        self.library = library

    def send(self, values):
        """Have each file read, and wait until its library dataset is ok."""
        for leaf in (leaf for value in values.values() for leaf in iter_datasets(value)):
            dataset = self.link(leaf.source.path)
            for _ in self.galaxy.poll(None):
                # Asked first: a job that was cancelled, or killed with Galaxy, leaves its dataset as it was (26.1).
                asked = {"tool_id": "upload1", "state": list(NON_TERMINAL_JOB_STATES)}
                jobs = list(self.galaxy.pages("jobs", asked, limit=1))
                about = self.galaxy.get(f"libraries/datasets/{dataset}")
                if about["state"] not in NON_TERMINAL_DATASET_STATES or not jobs:
                    break
            if about["state"] != "ok":
                why = about.get("misc_info") or "its job is gone"
                raise GalaxyError(f"library dataset {dataset} ended in state {about['state']}: {why}")
            self.refs[leaf.source, leaf.dbkey, leaf.tags] = {"src": "ld", "id": dataset}
        self.batches = []
        return self.batches


    def link(self, path):
        """The id of a new library dataset of the file; where the answer is lost, of the one that has its name."""
        folder = self.library["root_folder_id"]
        try:
            return self.galaxy.post(f"libraries/{self.library['id']}/contents", {
                "folder_id": folder, "create_type": "file", "file_type": "auto", "dbkey": "?",
                "upload_option": "upload_paths", "filesystem_paths": path})[0]["id"]
        except GalaxyError as error:
            made = open_folder(self.galaxy, folder).datasets(os.path.basename(path)) if error.lost else []
            if len(made) != 1:
                raise GalaxyError(str(error), error.exit_code, status=error.status) from None       # not sent again
            return made[0]["id"]


def movable_folder(path):
    """The absolute path of a folder that files can be moved into and out of."""
    if not os.path.isdir(path) or not os.access(path, os.W_OK | os.X_OK):
        raise GalaxyError(f"{path}: {'you may not move files here' if os.path.isdir(path) else 'no such folder'}", USAGE)
    return os.path.realpath(path)


def only_input(workflow):
    """The index of the workflow's one input for data."""
    data = [row for row in input_rows(workflow) if not row["takes"].startswith("parameter")]
    if len(data) != 1 or not data[0]["takes"].startswith("dataset"):
        raise input_error(workflow, f"workflow {workflow['name']!r} has other inputs than one for a dataset, so it can't be "
                          "run on each file by itself")
    resolve_inputs(workflow, [(data[0]["index"], "ld", "")])     # raises for a parameter that must be given
    return data[0]["index"]


def reject_path(path):
    """Raise GalaxyError for a path that Galaxy would not find."""
    if path != path.strip() or len(path.splitlines()) != 1 or any("\ud800" <= letter <= "\udfff" for letter in path):
        raise GalaxyError("Galaxy finds no path that ends in a space, has line breaks or is not UTF-8: rename it", USAGE)


if __name__ == "__main__":
    sys.exit(run(main))
