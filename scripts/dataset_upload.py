#!/usr/bin/env python3
"""Upload files, folders and URLs to a history; the same line resumes what a killed run has begun.

Usage:
  dataset_upload.py [options] [--tag=TAG]... KEY URL HISTORY SOURCE...

Arguments:
  KEY                      your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                      the server, or - to look it up
  HISTORY                  a history's id or exact name, or new:NAME for a new one
  SOURCE                   a file, a folder (with --recursive), a URL that Galaxy fetches itself, or - for standard input
                           (with --name)

Options:
  -r, --recursive          upload all files in folders; a dataset is named by its path in the folder
  --lanes=MODE             together: the lanes of one sample and read are one file; separate: each stays one; by default
                           separate, unless --together
  --together=PATTERN       also files whose names differ only in what this regular expression matches: _FC[0-9]+_L[0-9]+
  --ext=DATATYPE           the datatype of all; unless given, by each name (s1.fastq.gz is fastqsanger.gz), else Galaxy's
                           guess. Of a datatype of several files, such as imzml or shp, all are one dataset
  --dbkey=BUILD            the reference genome, such as hg38  [default: ?]
  --tag=TAG                a tag for each dataset; may be repeated
  --name=NAME              the dataset's name, for one source
  --deferred               let Galaxy note the URLs only, and fetch the bytes for each job that reads them
  --allow-empty            upload standard input even if it is empty
  --skip-existing          leave out what the history has already, by name and size
  --wait                   wait until Galaxy has all in state ok, compare sizes and hashes, and send once more what is wrong
  --transfers=N            transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --limit-rate=RATE        at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --no-hash                send no SHA-256, so that only the size is compared
  -n, --dry-run            show what would be done, change nothing
  --timeout=SECONDS        stop waiting after this many seconds in all
  --stall-timeout=SECONDS  give up when nothing has moved for this many seconds  [default: 600]
  --format=FORMAT          table, json, jsonl, csv, tsv, value or another tabulate style  [default: table]
  --fields=NAMES           only these fields, separated by commas
  -q, --quiet              no progress, only results and errors
  -h, --help               show this help
  --version                show the version

Checksums beside the files (md5sums.txt, *.md5) are compared before anything is sent. The same line again after a run that
failed or was killed sends only what is missing; after one that succeeded it uploads all again, unless --skip-existing.
Every night from cron:
  dataset_upload.py --wait --skip-existing --recursive - - "Run 12" /data/run12
"""
import sys
from contextlib import ExitStack

from common import (
    DONE,
    SOME_FAILED,
    STILL_RUNNING,
    UNATTENDED,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    on_success,
    output_options,
    redact,
    report_error,
    run,
    show,
)
from galaxy_api_scripts.datasets.composite import composite_files, join_components
from galaxy_api_scripts.datasets.lanes import join_lanes, parse_lanes, require_match
from galaxy_api_scripts.datasets.references import parse_tag, require_datatype, require_dbkey
from galaxy_api_scripts.datasets.sources import defer, expand_sources, rename_source, replace_stdin, verify_checksums
from galaxy_api_scripts.datasets.target_history import open_target_history
from galaxy_api_scripts.datasets.upload import (
    UploadSettings,
    find_existing,
    mark_done,
    mark_succeeded,
    upload_sources,
    verify_uploads,
)
from galaxy_api_scripts.progress import date_lines, enable_bars
from galaxy_api_scripts.rate_limit import limit_rate
from galaxy_api_scripts.together import limit_requests
from galaxy_api_scripts.transfers import transfers_option

FIELDS = ["id", "hid", "name", "extension", "state", "size", "history_id"]


def main(argv=None):
    args = arguments(__doc__, argv)
    date_lines(args["HISTORY"])
    texts, name, ext = args["SOURCE"], args["--name"], args["--ext"] or ""
    lanes, output = parse_lanes(args["--lanes"], args["--together"], "separate"), output_options(args, FIELDS)
    dry_run, wait, timeout = args["--dry-run"], args["--wait"], int_option(args, "--timeout", 1)
    settings = UploadSettings(args["--dbkey"], [parse_tag(tag) for tag in args["--tag"]], not args["--no-hash"],
                              int_option(args, "--stall-timeout", 1), limit_requests(transfers_option(args)))
    limit_rate(args)
    enable_bars(not args["--quiet"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    with ExitStack() as stack:
        texts = stack.enter_context(replace_stdin(texts, name, args["--allow-empty"]))
        sources, complaints = expand_sources(texts, args["--recursive"], ext)
        mismatches = verify_checksums(sources)
        sources = join_lanes(require_match(sources, lanes), lanes, ext)
        is_composite = bool(ext and composite_files(galaxy, ext))
        if args["--deferred"]:
            sources = defer(sources)
        if name and not is_composite:
            sources = [rename_source(sources, name, ext)]
        if not is_composite:
            require_datatype(galaxy, ext, "--ext")
        require_dbkey(galaxy, settings.dbkey)
        for line in complaints + mismatches:
            report_error(line)
        if mismatches:
            raise GalaxyError("nothing was sent, because checksums do not match")
        if is_composite:
            sources = [join_components(galaxy, sources, ext, name or "")]
        target = stack.enter_context(open_target_history(galaxy, args["HISTORY"], sources, dry_run))
        if args["--skip-existing"] and target.id:
            existing = find_existing(galaxy, target.id, sources, wait and not dry_run, timeout)
            sources = [source for source in sources if source not in existing]
        if dry_run:
            show([{"path": redact(", ".join(each.path for each in source.components) or source.path), "name": source.name,
                   "extension": source.ext, "size": source.size} for source in sources], output["format"])
            return SOME_FAILED if complaints else DONE

        uploads = upload_sources(galaxy, target.id, sources, settings, target.checkpoint.data.get("ended"))
        ended, sent = [], []
        if wait:
            sent = list(uploads)
            uploads = verify_uploads(galaxy, target.id, sent, settings, timeout)
        try:
            show(report_uploads(uploads, ended), output["format"], output["fields"] or FIELDS)
        except GalaxyError as error:
            failed = [upload for upload in sent if upload.problem]
            if error.exit_code != STILL_RUNNING or not (complaints or failed):
                raise
            list(report_uploads((upload for upload in failed if upload not in ended), ended))
            return report_error(str(error), SOME_FAILED)        # what failed counts more than what still runs
        codes = [upload.exit_code for upload in ended if upload.problem]
        if not codes:
            mark_succeeded(ended, target.checkpoint)
            on_success(lambda: mark_done(ended, target.checkpoint))
    if not codes and not complaints:
        return DONE
    return codes[0] if len(set(codes)) == 1 and len(codes) == len(ended) and not complaints else SOME_FAILED


def report_uploads(uploads, ended):
    """Yield a row for each upload that Galaxy has, report the problem of each other one, and add all to `ended`."""
    for upload in uploads:
        ended.append(upload)
        if upload.problem:
            report_error(upload.problem)
        else:
            yield {**{field: upload.dataset.get(field) for field in FIELDS}, "size": upload.source.size}


if __name__ == "__main__":
    sys.exit(run(main))
