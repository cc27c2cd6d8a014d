#!/usr/bin/env python3
"""Upload files, folders and addresses to a history; what a killed run has begun is gone on with.

Usage:
  dataset_upload.py [options] [--tag=TAG]... KEY URL HISTORY SOURCE...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            a history's id or exact name, or new:NAME for a new one
  SOURCE             a file, a folder (with --recursive), an address that Galaxy fetches itself, or - for standard input
                     (with --name)

Options:
  -r, --recursive    folders with all that is in them; a dataset is named by its path in the folder
  --ext=DATATYPE     the datatype of all; unless given, by each name (s1.fastq.gz is fastqsanger.gz), else Galaxy's guess
  --dbkey=BUILD      the reference genome, such as hg38  [default: ?]
  --tag=TAG          a tag for each; may be repeated
  --name=NAME        the dataset's name, for one source
  --skip-existing    leave out what the history has already, by name and size
  --wait             until Galaxy has all in state ok; sizes and hashes are compared, and what is wrong is sent again once
  --no-hash          send no SHA-256 along, so that only the size is compared
  -n, --dry-run      show what would be sent, send nothing
  --timeout=SECONDS  give up after so long without progress: 600 for the bytes, and with --wait as long as it takes, unless
                     given
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES     only these fields, separated by commas
  -q, --quiet        print no datasets
  -h, --help         show this

Checksums beside the files (md5sums.txt, *.md5) are compared before anything is sent. The same line again after a run that
failed or was killed sends only what is missing; after one that ended well it uploads all once more, but for --skip-existing.
Every night from cron:
  dataset_upload.py --quiet --wait --skip-existing --recursive - - "Run 12" /data/run12
"""
import collections
import sys
from contextlib import ExitStack

from common import (
    DONE,
    SOME_FAILED,
    UNATTENDED,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    on_success,
    output_options,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.datasets.sources import expand_sources, rename_source, replace_stdin, verify_checksums
from galaxy_api_scripts.datasets.target_history import open_target_history
from galaxy_api_scripts.datasets.upload import (
    UploadSettings,
    find_existing,
    finished_datasets,
    mark_done,
    mark_succeeded,
    upload_sources,
    verify_uploads,
)
from galaxy_api_scripts.progress import STALL_TIMEOUT

FIELDS = ["id", "hid", "name", "extension", "state", "size", "history_id"]


def main(argv=None):
    args = arguments(__doc__, argv)
    texts, name, ext = args["SOURCE"], args["--name"], args["--ext"] or ""
    style, fields = output_options(args, FIELDS).values()
    timeout = int_option(args, "--timeout", 1)
    settings = UploadSettings(args["--dbkey"], args["--tag"], hashed=not args["--no-hash"], stall=timeout or STALL_TIMEOUT)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    with ExitStack() as stack:
        texts = stack.enter_context(replace_stdin(texts, name))
        sources, complaints = expand_sources(texts, args["--recursive"], ext)
        if name:
            sources = [rename_source(sources, name, ext)]
        mismatches = verify_checksums(sources)
        for line in complaints + mismatches:
            report_error(line)
        if mismatches:
            raise GalaxyError("nothing was sent, because checksums do not match")
        where = stack.enter_context(open_target_history(galaxy, args["HISTORY"], sources, args["--dry-run"]))
        skip = args["--skip-existing"] and where.id
        there = find_existing(galaxy, where.id, sources, args["--wait"]
                              and not args["--dry-run"], timeout) if skip else set()
        sources = [source for source in sources if source not in there]
        if args["--dry-run"]:
            show([{"path": source.path, "name": source.name, "extension": source.ext, "size": source.size}
                  for source in sources], style)
            return SOME_FAILED if complaints else DONE

        uploads, ended = upload_sources(galaxy, where.id, sources, settings, finished_datasets(where)), []
        if args["--wait"]:
            uploads = verify_uploads(galaxy, where.id, list(uploads), settings, timeout)
        rows = told(uploads, ended)
        if args["--quiet"]:
            collections.deque(rows, maxlen=0)
        else:
            show(rows, style, fields or FIELDS)
        codes = [one.exit_code for one in ended if one.problem]
        if not codes:
            mark_succeeded(ended, where)
            on_success(lambda: mark_done(ended, where))
    if not codes and not complaints:
        return DONE
    return codes[0] if codes and len(codes) == len(ended) and not complaints else SOME_FAILED


def told(uploads, ended):
    """The rows of the uploads that Galaxy has, as they come; what is wrong with the others is told. All go to `ended`."""
    for one in uploads:
        ended.append(one)
        if one.problem:
            report_error(one.problem)
        else:
            yield {**{field: one.dataset.get(field) for field in FIELDS}, "size": one.source.size}


if __name__ == "__main__":
    sys.exit(run(main))
