#!/usr/bin/env python3
"""Run a workflow on each file that appears in a folder.

Usage:
  example_watch_folder.py [options] KEY API_URL IN_FOLDER OUT_FOLDER DATA_LIBRARY WORKFLOW_ID

Arguments:
  KEY              an administrator's API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  API_URL          the server, or its .../api/, or - to look it up
  IN_FOLDER        the folder to watch, without its sub-folders; the server has it under the same path
  OUT_FOLDER       where a file goes once its run is taken on
  DATA_LIBRARY     the name of the library that gets the files; it is made where there is none of that name
  WORKFLOW_ID      the workflow, which has one input for a dataset

Options:
  --once           end after what is complete now, for cron; else watch for ever
  --pause=SECONDS  between two looks; a file whose size and time stayed the same is complete  [default: 10]
  --format=FORMAT  print each run's invocation: table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES   only these fields of it, separated by commas, as a table unless --format is given
  -n, --dry-run    print which files are complete now, do nothing with them
  -h, --help       show this

A file goes to the library, then a new history named FILE - WORKFLOW gets one run of the workflow. Names that begin with a
dot or end as unfinished files do (.part, .tmp, ~) are left alone. A file that fails is named on standard error, stays, and
is tried again when it has changed, or by the next start. After a kill the next start finds the run by the history's name
and annotation, and begins no second one; only in the library the file can be twice then. One account runs one watcher of a
folder at a time; keep other accounts away from it. The server needs allow_path_paste in its galaxy.yml.
  example_watch_folder.py - - /data/inbox /data/done "API Imports" f2db41e1fa331b3e
"""
import errno
import itertools
import os
import shutil
import sys
import time
from contextlib import suppress

from common import (
    DATASET_MOVES,
    PARTLY,
    REFUSED,
    TRY_LATER,
    UNATTENDED,
    USAGE,
    Galaxy,
    Refused,
    an_id,
    arguments,
    complain,
    output,
    run,
    show,
    whole_number,
)
from invocations import GIVEN_UP
from libraries import library_named, need_path_paste, only_run
from workflows import chosen_inputs, input_rows, load, wrong_input

MOVED = ", moved"   # at the end of a history's annotation: the file has left the folder
UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".crdownload", "~")


def main(argv=None):
    args = arguments(__doc__, argv)
    inbox, done = folder(args["IN_FOLDER"]), folder(args["OUT_FOLDER"])
    library_name, workflow_id = args["DATA_LIBRARY"], an_id(args["WORKFLOW_ID"], "WORKFLOW_ID")
    pause, once, dry, (style, fields) = whole_number(args, "--pause", 1), args["--once"], args["--dry-run"], output(args)
    if os.path.samefile(inbox, done):
        raise Refused("OUT_FOLDER is IN_FOLDER, so a file could not leave it", USAGE)
    if not library_name.strip():
        raise Refused("DATA_LIBRARY is empty: is a variable unset?", USAGE)
    galaxy = Galaxy(args["KEY"], args["API_URL"], UNATTENDED)

    need_path_paste(galaxy)
    workflow = load(galaxy, workflow_id)
    step = only_input(workflow)
    with only_run(os.path.realpath(inbox)):
        library = None if dry else library_named(galaxy, library_name) or galaxy.post("libraries", {"name": library_name})
        before, failed, moved = {}, {}, 0       # failed: path -> how the file was when it failed
        for look in itertools.count():
            now = looked(inbox)
            for path in [path for path, stamp in now.items() if before.get(path) == stamp != failed.get(path)]:
                if dry:
                    print(path)
                    continue
                try:
                    answer, history, note = run_on(galaxy, library, workflow, step, path, now[path])
                    show(answer, style, fields, plain=print, changed=True)
                    move(path, done, now[path], answer["id"])
                    galaxy.put(f"histories/{history}", {"annotation": note + MOVED})
                except (Refused, OSError) as error:
                    later = isinstance(error, Refused) and error.exit_code == TRY_LATER
                    if once and later:
                        raise
                    if not later:
                        failed[path] = now[path]
                    complain(f"{path}: {error}")
                else:
                    moved += 1
            if look and (once or dry):
                return (PARTLY if moved else REFUSED) if failed else None
            before = now
            time.sleep(pause)


def folder(path):
    """The whole path of a folder that files can be moved into and out of."""
    if not os.path.isdir(path) or not os.access(path, os.W_OK | os.X_OK):
        raise Refused(f"{path}: {'you may not move files here' if os.path.isdir(path) else 'no such folder'}", USAGE)
    return os.path.abspath(path)


def only_input(workflow):
    """The index of the workflow's one input for data."""
    data = [row for row in input_rows(workflow) if not row["takes"].startswith("parameter")]
    if len(data) != 1 or not data[0]["takes"].startswith("dataset"):
        raise wrong_input(workflow, f"workflow {workflow['name']!r} has other inputs than one for a dataset, so it can't be "
                          "run on each file by itself")
    chosen_inputs(workflow, [(data[0]["index"], "ld", "")])     # refuses a parameter that must be given
    return data[0]["index"]


def looked(inbox):
    """The folder's files that may be complete, and how each is now: size, time and inode, by path."""
    found = {}
    with os.scandir(inbox) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and not entry.name.endswith(UNFINISHED) and entry.is_file():
                found[entry.path] = stamp_of(entry.path)
    return dict(sorted(found.items()))


def stamp_of(path):
    try:
        about = os.stat(path)
    except FileNotFoundError:       # gone since
        return None
    return about.st_size, about.st_mtime_ns, about.st_ino


def run_on(galaxy, library, workflow, step, path, stamp):
    """The workflow's invocation on the file at `path`, the one that an earlier process was killed over or a new one; its
    history and that one's annotation."""
    size, changed, _ = stamp
    if not size:
        raise Refused("is empty, so no workflow was run on it")
    if path != path.strip() or len(path.splitlines()) != 1 or any("\ud800" <= letter <= "\udfff" for letter in path):
        raise Refused("Galaxy finds no path that ends in a space, has line breaks or is not UTF-8: rename it")
    name = f"{os.path.basename(path)} - {workflow['name']}"[:255]       # as Galaxy cuts it
    mark = f"{path}, {size} bytes, changed at {changed} ns, for workflow {workflow['id']}: library dataset "
    history, dataset = begun(galaxy, name, mark)
    if dataset:
        for one in galaxy.pages("invocations", {"history_id": history}):
            if one["state"] not in (*GIVEN_UP, "cancelling"):
                return one, history, mark + dataset
    else:
        dataset = put_into(galaxy, library, path)
        if stamp_of(path) != stamp:
            raise Refused("changed while it was loaded, so no workflow was run on it")
        history = history or galaxy.post("histories", {"name": name})["id"]
        galaxy.put(f"histories/{history}", {"annotation": mark + dataset})
    answer = galaxy.post(f"workflows/{workflow['id']}/invocations", {
        "history": f"hist_id={history}", "inputs": {step: {"src": "ld", "id": dataset}}, "inputs_by": "step_index"})
    return answer, history, mark + dataset


def begun(galaxy, name, mark):
    """The history of that name that an earlier process made for the file that `mark` tells, and the file's dataset."""
    histories = list(galaxy.pages("histories", {"q": "name-eq", "qv": name, "keys": "id,annotation,count"}))
    for one in histories:
        if (one["annotation"] or "").startswith(mark) and not one["annotation"].endswith(MOVED):
            return one["id"], one["annotation"].removeprefix(mark)
    # Killed between two requests, it left one without an annotation.
    empty = [one["id"] for one in histories if not one["annotation"] and not one["count"]]
    return empty[0] if empty else None, None


def put_into(galaxy, library, path):
    """The id of the library's new dataset with the file's content, once it is ok."""
    made = galaxy.post(f"libraries/{library['id']}/contents", {
        "folder_id": library["root_folder_id"], "create_type": "file", "file_type": "auto", "dbkey": "?",
        "upload_option": "upload_paths", "filesystem_paths": path})
    dataset = made[0]["id"]
    for _ in galaxy.looks(None):
        about = galaxy.get(f"libraries/datasets/{dataset}")
        if about["state"] not in DATASET_MOVES:
            break
    if about["state"] != "ok":
        raise Refused(f"library dataset {dataset} ended in state {about['state']}: {about.get('misc_info') or ''}")
    return dataset


def move(path, folder, stamp, invocation):
    """Move the file into the folder under a name that nothing has there, the whole of it or nothing."""
    if stamp_of(path) != stamp:
        raise Refused(f"changed while run {invocation} was taken on, which has what it was before: it stays, as a new file")
    target, part = free_name(folder, os.path.basename(path)), os.path.join(folder, f".{os.path.basename(path)}.part"[-255:])
    try:
        os.rename(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise Refused(f"run {invocation} is taken on, but the file can't be moved: {error.strerror}") from None
        try:
            shutil.copy2(path, part)
            os.rename(part, target)
            os.unlink(path)
        except OSError as error:
            raise Refused(f"run {invocation} is taken on, but the file can't be moved: {error.strerror}") from None
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part)


def free_name(folder, name):
    """A path in the folder that nothing has: an earlier file of that name stays."""
    names = itertools.chain([name], (f"{name}.{number}" for number in itertools.count(2)))
    return next(path for path in (os.path.join(folder, one) for one in names) if not os.path.lexists(path))


if __name__ == "__main__":
    sys.exit(run(main))
