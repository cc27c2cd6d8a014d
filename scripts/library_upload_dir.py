#!/usr/bin/env python3
"""Upload files with their folder tree to a data library, leaving out those that are in it already.

Usage:
  library_upload_dir.py [options] -u URL -a KEY -l LIBRARY_ID

Options:
  -u, --url=URL        the server, or - to look it up
  -a, --api=KEY        your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -l, --lib=ID         the library's id
  -f, --folder=ID      the id, which begins with F, of the folder to start from; by default the library's root folder
  --nonlocal           this is not the server's machine: send the files. Without it the server reads them by their absolute
                       paths, which takes an administrator's key and allow_path_paste in its galaxy.yml
  --link               the server links to the files and does not copy them; they must stay in place and unchanged: a file
                       that changes changes its dataset
  --limit-rate=RATE    at most this many bytes a second, all transfers together: 500K, 20M, 1G
  -n, --dry-run        show what would be done, change nothing
  -q, --quiet          no progress and no line for an uploaded file, only errors
  --timeout=SECONDS    stop waiting after this many seconds in all
  -h, --help           show this help
  --version            show the version

Reads paths from standard input, one a line (so none may contain a newline); without any it does nothing and exits with 0.
The folders are those of the path as typed: /data/run1/a.fastq becomes a.fastq in run1 in data, ./run1/a.fastq becomes
a.fastq in run1. Prints a line for each file as soon as it is known: uploaded=True for one that was in the library already,
uploaded=False for one that this run has uploaded, as this script always has:
  [1/2] F2f94e8ae9edff68a/a.fastq uploaded=False

A file counts as uploaded if a dataset in its folder has its name and size and is not in state error; a failed dataset is
deleted when its file is uploaded again; one that somebody else's job still makes is told, and the exit status is 4. A file
whose size has changed becomes a second dataset of that name; with --link it is an error, since both datasets would show the
same bytes. If a file can't be read or does not arrive, an error says so, the others are uploaded, and the exit status is 3.
One run at a time may upload to a library from one account (a second one exits with 75). A run first waits for the jobs of
earlier ones, which are in a history named "Uploads to library ID"; while one of them is paused, as over quota, nothing more
is uploaded (1).

Every night from cron, what nobody has touched for an hour; without --nonlocal on the server, with an administrator's key:
  cd /data && find run* -type f -mmin +60 | library_upload_dir.py -q --nonlocal -u - -a - -l f597429621d6eb2b
"""
import os
import stat
import sys
from dataclasses import dataclass

from common import (
    DONE,
    SOME_FAILED,
    STILL_RUNNING,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    parse_id,
    report_error,
    require_active_folder,
    run,
)
from galaxy_api_scripts.datasets.tus import upload_file
from galaxy_api_scripts.datasets.upload import fetch_batches
from galaxy_api_scripts.libraries.contents import (
    BEING_MADE_ADVICE,
    LibraryFolder,
    ensure_folder,
    find_folders,
    require_path_paste,
)
from galaxy_api_scripts.libraries.local_tree import CHANGED_MESSAGE, file_error
from galaxy_api_scripts.libraries.uploads import BATCH_BYTES, LibraryUploads, check_uploads, exclusive_run
from galaxy_api_scripts.progress import enable_bars
from galaxy_api_scripts.rate_limit import limit_rate


@dataclass
class File:
    """A file to upload; `label` is its number among the paths, such as 1/2."""

    label: str
    path: str
    size: int

    @property
    def folder(self):
        return tuple(self.path.strip("/").split("/")[:-1])

    @property
    def name(self):
        return self.path.rsplit("/", 1)[-1]


def main(argv=None):
    args = arguments(__doc__, argv, legacy=True)
    library, folder = parse_id(args["--lib"], "--lib"), args["--folder"]
    if folder is not None:
        parse_id(folder, "--folder", is_folder=True)
    send, link, quiet = args["--nonlocal"], args["--link"], args["--quiet"]
    dry_run, timeout = args["--dry-run"], int_option(args, "--timeout")
    limit_rate(args)
    enable_bars(not quiet)
    galaxy = Galaxy(args["--api"], args["--url"], patience=UNATTENDED)
    if send and link:
        report_error("--link has no effect with --nonlocal: the files are sent, so they are copied")

    paths = read_paths()
    files = check_files(paths)
    failed = len(paths) - len(files)
    with exclusive_run(f"library {library}"):    # without the server's address, since it may have several
        start = require_active_folder(galaxy, library, folder)
        uploads = LibraryUploads(galaxy, library)
        folders, present, missing, waiting = compare(galaxy, uploads, library, start, files, timeout)
        if not quiet:
            print_files(folders, present, True)
        if link and not send:
            missing, conflicts = split_conflicts(folders, missing)
            failed += len(conflicts)
        if missing and not send:
            require_path_paste(galaxy, "; --nonlocal sends the files themselves")
        if dry_run:
            for file in missing:
                print(f"[{file.label}]", "/".join((start, *file.folder, file.name)), "would be uploaded")
        else:
            accepted = []
            for batch in fetch_batches(missing, BATCH_BYTES):
                accepted_now = upload(galaxy, uploads, folders, batch, send, link)
                if not quiet:
                    print_files(folders, accepted_now, False)
                accepted += accepted_now
            uploads.wait(uploads.jobs, timeout)
            failed += len(missing) - len(accepted) + report_problems(galaxy, uploads, folders, accepted)
    for file in waiting:
        [dataset, *_] = folders[file.folder].being_made(file.name)
        report_error(f"{file.path}: dataset {dataset} of this name is still being made: {BEING_MADE_ADVICE}")
    return SOME_FAILED if failed else STILL_RUNNING if waiting else DONE


def read_paths():
    """Return the paths on standard input, each once, without `.` and doubled slashes."""
    if sys.stdin is None:
        raise GalaxyError("standard input is closed: the paths come from there", USAGE)
    typed = [strip_blanks(os.fsdecode(line)) for line in sys.stdin.buffer.read().split(b"\n") if line.rstrip(b"\r")]
    tidy = ["/".join(name for name in path.split("/") if name not in ("", ".")) for path in typed]
    return list(dict.fromkeys("/" + path if original.startswith("/") else path for path, original in zip(tidy, typed)))


def strip_blanks(path):
    """Return `path`, without the blanks at its ends (such as the \\r of a list from Windows) if only that exists."""
    return path.strip() if os.path.lexists(path.strip()) and not os.path.lexists(path) else path


def check_files(paths):
    """Return the files at `paths`, one for each place in the library; report the paths that can't be uploaded."""
    files = {}
    for number, path in enumerate(paths, 1):
        file = check_file(f"{number}/{len(paths)}", path)
        if file and files.setdefault((file.folder, file.name), file) is not file:
            report_error(f"{path}: left out, because it goes to the same place as {files[file.folder, file.name].path}")
    return list(files.values())


def check_file(label, path):
    """Return the file at `path`; report it and return None if it can't be uploaded."""
    try:
        path.encode()
        status = os.stat(path or ".")
    except UnicodeEncodeError:
        report_error(f"{path.encode(errors='replace').decode()}: its name is not UTF-8")
    except ValueError:
        report_error(f"{path.split(chr(0))[0]}: a NUL follows it: find without -print0 writes one path a line")
    except OSError as error:
        report_error(f"{path}: {error.strerror}")
    else:
        if stat.S_ISREG(status.st_mode):
            return File(label, path, status.st_size)
        hint = "a folder: find FOLDER -type f lists its files" if stat.S_ISDIR(status.st_mode) else "not a file"
        report_error(f"{path or '.'}: {hint}")
    return None


def print_files(folders, files, uploaded_before):
    for file in files:
        print(f"[{file.label}]", f"{folders[file.folder].id}/{file.name} uploaded={uploaded_before}", flush=True)


def compare(galaxy, uploads, library, start, files, timeout):
    """Return the library's folders, and the files that are in them, those that are not, and those that something unfinished
    of their name may be, when no earlier run's job is unfinished."""
    while True:
        uploads.wait(uploads.unfinished_jobs(), timeout)
        folders = find_folders(galaxy, library, start, {file.folder for file in files})
        present, missing, waiting = [], [], []
        for file in files:
            folder = folders.get(file.folder, LibraryFolder(""))
            is_present, is_waiting = file.size in folder.complete_sizes(file.name), folder.being_made(file.name)
            (present if is_present else waiting if is_waiting else missing).append(file)
        if not missing or not uploads.unfinished_jobs():       # else the last request of a killed run arrived meanwhile
            return folders, present, missing, waiting


def split_conflicts(folders, files):
    """Return the files whose names no dataset in their folder has, and the others, which are reported."""
    free, conflicts = [], []
    for file in files:
        sizes = folders[file.folder].complete_sizes(file.name) if file.folder in folders else []
        (conflicts if sizes else free).append(file)
        if sizes:
            report_error(f"{file.path}: the library has a dataset of this name with {sizes[0]} bytes, and all links to this "
                         f"file show its {file.size}: delete that dataset first")
    return free, conflicts


def upload(galaxy, uploads, folders, batch, send, link):
    """Upload a batch of files by one job; return those that Galaxy accepted, report the others."""
    accepted = []
    for file in batch:
        try:
            if os.path.getsize(file.path) != file.size:
                raise GalaxyError(CHANGED_MESSAGE)
            element, session = upload_file(galaxy, file.path) if send else (
                {"src": "path", "path": os.path.abspath(file.path), "name": file.name, "link_data_only": link}, None)
        except (OSError, GalaxyError) as error:
            report_error(f"{file.path}: {file_error(error).removeprefix(f'{file.path}: ')}")
        else:
            accepted.append((file, ensure_folder(galaxy, folders, file.folder), element, session))
    if accepted:
        uploads.fetch([(folder, element, session) for _, folder, element, session in accepted])
    return [file for file, *_ in accepted]


def report_problems(galaxy, uploads, folders, files):
    """Report the uploaded files that have not arrived in their folders; return how many."""
    count = 0
    for path in dict.fromkeys(file.folder for file in files):
        by_name = {file.name: file for file in files if file.folder == path}
        sizes = {name: file.size for name, file in by_name.items()}
        problems = check_uploads(galaxy, folders[path], sizes, uploads.default_reason)
        for name, problem in problems.items():
            report_error(f"{by_name[name].path}: {problem}")
        count += len(problems)
    return count


if __name__ == "__main__":
    sys.exit(run(main))
