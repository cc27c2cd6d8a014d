#!/usr/bin/env python3
"""Create something: send Galaxy a POST, and show what it answers.

Usage:
  create.py [options] [--file=NAME=PATH]... KEY URL [NAME=VALUE...]

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              an address of the API, or its path from /api/ on where the server can be looked up
  NAME=VALUE       a field of the payload, a string; NAME:=JSON is JSON, NAME:=@FILE a file's JSON, NAME@=FILE a
                   file's text to its last newline, @FILE alone the whole payload; FILE - is standard input

Options:
  --file=NAME=PATH   a file in the field NAME: the payload goes as a multipart form; may be repeated
  --check            first compare address and fields with the server's own description, and send nothing that
                     it lacks; GALAXY_CHECK=1 does so always
  --wait             wait until the task that the answer names is done, and the file is made
  --to=FILE          with --wait: write that file to FILE, and print its path; - is standard output
  --force            overwrite an existing file
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES     only these fields, separated by commas
  -n, --dry-run      show what would be done, change nothing
  -h, --help         show this help
  --version          show the version

A new history, and its id alone; an archive of a history in a form; a history as an RO-Crate, once it is made:
  create.py --format=value --fields=id - https://usegalaxy.org/api/histories name='RNA, week 3'
  create.py --file=archive_file=rna.tgz - https://usegalaxy.org/api/histories
  create.py --wait --to=rna.zip - /api/histories/ID/prepare_store_download model_store_format=rocrate.zip
"""
import sys

from common import arguments, guard_request, output_options, parse_payload, run, submit


def main(argv=None):
    args = arguments(__doc__, argv)
    data, dry_run = parse_payload(args["NAME=VALUE"]), args["--dry-run"]
    payload, files = data, {}
    if args["--file"]:
        from galaxy_api_scripts.datasets.multipart import make_form
        form = make_form(data, args["--file"], "--file")
        files = {file.name: f"@{file.path}" for file in form.files}
        payload = {**data, **files} if dry_run else form
    with guard_request(args, load_extras, "POST", data, files):
        is_printed = args["--to"] != "-"        # with --to=- the file alone goes to standard output
        submit(args["KEY"], args["URL"], payload, is_printed, dry_run=dry_run, **output_options(args))


def load_extras():
    """Return the module that knows --check, --wait, --to, refusals and doubtful answers; a plain line needs none of it."""
    from galaxy_api_scripts.routes import verbs
    return verbs


if __name__ == "__main__":
    sys.exit(run(main))
