#!/usr/bin/env python3
"""Put files with their folder tree into a data library: those that are not there yet, never one a second time.

Usage:
  library_upload_dir.py [options] -u URL -a KEY -l LIBRARY_ID

Options:
  -u, --url=URL        the server, or - to look it up
  -a, --api=KEY        your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  -l, --lib=ID         the library's id
  -f, --folder=ID      the id of the folder in it to begin at, which begins with F; the library's top unless given
  --nonlocal           this is not the server's machine: send the files. Else the server reads them by their absolute
                       paths, which takes an administrator's key and allow_path_paste in its galaxy.yml
  --link               the server links to the files in place of copying them; they must stay where they are, and as they
                       are: a file that changes changes its dataset
  -q, --quiet          no line for a file that is there or was uploaded
  -n, --dry-run        say what would be uploaded, upload nothing
  --timeout=SECONDS    how long to wait for Galaxy to take the files in; as long as it takes unless given
  -h, --help           show this

Reads paths from standard input, one a line, so none with a newline in it; where there are none, nothing is told and the
exit status is 0. The path becomes folders as it is typed: /data/run1/a.fastq goes to a.fastq in run1 in data,
./run1/a.fastq to a.fastq in run1. Prints a line for each file as soon as it is known, in which uploaded=True says that this
run gave it to Galaxy, and uploaded=False that it was there:
  [1/2] F2f94e8ae9edff68a/a.fastq uploaded=True

A file counts as there when a dataset in its folder has its name and size, and is not in state error: then the file is
uploaded again, and the failed dataset deleted. One whose size has changed becomes a second dataset of that name, and the
first stays; with --link it is refused, since both would show the same bytes. What can't be read or does not arrive is told
on standard error, the others are uploaded, and the exit status is 3. Only one run at a time fills a library from one
account (else 75), and it waits first for what a run before it left under way; the jobs belong to a history named "Uploads
to library ID", and while one of them is paused, as over quota, no more is uploaded (1).

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
    TRY_LATER,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    parse_id,
    report_error,
    run,
)
from galaxy_api_scripts.datasets.tus import upload_file
from galaxy_api_scripts.libraries.contents import (
    BATCH_BYTES,
    LibraryUploads,
    create_folders,
    exclusive_run,
    find_folders,
    folder_in_use,
    parse_folder_id,
    require_path_paste,
    upload_batches,
)


@dataclass
class File:
    """One of the files; `place` is its place among the paths, such as 1/2."""

    place: str
    path: str
    size: int

    @property
    def folder(self):
        return tuple(self.path.strip("/").split("/")[:-1])

    @property
    def name(self):
        return self.path.rsplit("/", 1)[-1]


def main(argv=None):
    args = arguments(__doc__, argv)
    library, folder = parse_id(args["--lib"], "--lib"), args["--folder"]
    if folder is not None:
        parse_folder_id(folder, "--folder")
    dry, timeout = args["--dry-run"], int_option(args, "--timeout")
    elsewhere, link, quiet = args["--nonlocal"], args["--link"], args["--quiet"]
    galaxy = Galaxy(args["--api"], args["--url"], patience=UNATTENDED)
    if elsewhere and link:
        report_error("--link means nothing with --nonlocal: the files are sent, so they are copied")

    def tell(*line):
        if not quiet:
            print(*line, flush=True)

    paths = typed_paths()
    files = found_files(paths)
    failed = len(paths) - len(files)
    with exclusive_run(f"library {library}"):    # without the server, which has more than one address
        start = folder_in_use(galaxy, library, folder)
        uploads = LibraryUploads(galaxy, library)
        folders, there, wanted = compared(galaxy, uploads, library, start, files, timeout)
        for file in there:
            tell(f"[{file.place}]", f"{folders[file.folder].id}/{file.name} uploaded=False")
        if link and not elsewhere:
            wanted, count = linkable(folders, wanted)
            failed += count
        if wanted and not elsewhere:
            require_path_paste(galaxy, "; --nonlocal sends the files themselves")
        if dry:
            for file in wanted:
                print(f"[{file.place}]", "/".join((start, *file.folder, file.name)), "would be uploaded")
        else:
            sent = []
            for batch in upload_batches(wanted, BATCH_BYTES):
                taken = upload(galaxy, uploads, folders, batch, elsewhere, link)
                for file in taken:
                    tell(f"[{file.place}]", f"{folders[file.folder].id}/{file.name} uploaded=True")
                sent += taken
            uploads.wait(uploads.jobs, timeout)
            failed += len(wanted) - len(sent) + wrong(uploads, folders, sent)
    return SOME_FAILED if failed else DONE


def typed_paths():
    """The paths on standard input, each once, without `.` and doubled slashes."""
    if sys.stdin is None:
        raise GalaxyError("standard input is closed: the paths come from there", USAGE)
    typed = [as_meant(os.fsdecode(line)) for line in sys.stdin.buffer.read().split(b"\n") if line.rstrip(b"\r")]
    tidy = ["/".join(name for name in path.split("/") if name not in ("", ".")) for path in typed]
    return list(dict.fromkeys("/" + path if whole.startswith("/") else path for path, whole in zip(tidy, typed)))


def as_meant(path):
    """`path`, or that without blanks at its ends (the \\r of a list from Windows) where only this is there."""
    return path.strip() if os.path.lexists(path.strip()) and not os.path.lexists(path) else path


def found_files(paths):
    """The files at `paths`, each place in the library once; what can't be uploaded is told."""
    files = {}
    for number, path in enumerate(paths, 1):
        file = found_file(f"{number}/{len(paths)}", path)
        if file and files.setdefault((file.folder, file.name), file) is not file:
            report_error(f"{path}: left out, because it goes to the same place as {files[file.folder, file.name].path}")
    return list(files.values())


def found_file(place, path):
    """The file at `path`, None where there is none to be uploaded, which is told."""
    try:
        path.encode()
        about = os.stat(path or ".")
    except UnicodeEncodeError:
        report_error(f"{path.encode(errors='replace').decode()}: its name is not UTF-8")
    except ValueError:
        report_error(f"{path.split(chr(0))[0]}: a NUL comes after it: find without -print0 writes one path a line")
    except OSError as error:
        report_error(f"{path}: {error.strerror}")
    else:
        if stat.S_ISREG(about.st_mode):
            return File(place, path, about.st_size)
        hint = "a folder: find FOLDER -type f lists its files" if stat.S_ISDIR(about.st_mode) else "not a file"
        report_error(f"{path or '.'}: {hint}")
    return None


def compared(galaxy, uploads, library, start, files, timeout):
    """The folders that are there, the files that are, and those that are not, once no earlier run's job is under way."""
    while True:
        uploads.wait(uploads.under_way(), timeout)
        folders = find_folders(galaxy, library, start, {file.folder for file in files})
        there, wanted = [], []
        for file in files:
            held = file.folder in folders and folders[file.folder].has(file.name, file.size)
            (there if held else wanted).append(file)
        if not wanted or not uploads.under_way():       # a killed run's last request may have been on its way
            return folders, there, wanted


def linkable(folders, files):
    """Those of the files that no dataset in their folder is named like, and how many others there are, which is told."""
    taken = [file for file in files if file.folder in folders and folders[file.folder].sizes(file.name)]
    for file in taken:
        sizes = folders[file.folder].sizes(file.name)
        report_error(f"{file.path}: a dataset of this name is there with {sizes[0]} bytes, and all links to this file show its "
                 f"{file.size}: delete that dataset first")
    return [file for file in files if file not in taken], len(taken)


def upload(galaxy, uploads, folders, batch, elsewhere, link):
    """Upload the files of a batch, and return those that Galaxy has taken."""
    sent = []
    for file in batch:
        try:
            if os.path.getsize(file.path) != file.size:
                raise GalaxyError(f"{file.path}: changed since this run began: upload it when it is complete")
            element, session = upload_file(galaxy, file.path) if elsewhere else (
                {"src": "path", "path": os.path.abspath(file.path), "name": file.name, "link_data_only": link}, None)
        except OSError as error:
            report_error(f"{file.path}: {error.strerror}")
        except GalaxyError as error:
            if error.status or error.exit_code == TRY_LATER:    # not this file's fault
                raise
            report_error(str(error))
        else:
            sent.append((file, create_folders(galaxy, folders, file.folder), element, session))
    if sent:
        uploads.fetch([(folder, element, session) for _, folder, element, session in sent])
    return [file for file, *_ in sent]


def wrong(uploads, folders, files):
    """How many of the files are not in their folders as they should, which is told."""
    count = 0
    for path in dict.fromkeys(file.folder for file in files):
        here = {file.name: file for file in files if file.folder == path}
        found = uploads.wrong(folders[path], [(file.name, file.size) for file in here.values()])
        for name, what in found.items():
            report_error(f"{here[name].path}: {what}")
        count += len(found)
    return count


if __name__ == "__main__":
    sys.exit(run(main))
