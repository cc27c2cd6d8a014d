#!/usr/bin/env python3
"""Show what Galaxy answers to GET.

Usage:
  display.py [options] KEY URL

Arguments:
  KEY              your API key, - to look it up, @NAME for an entry of ~/.parsec.yml, anonymous for none
  URL              an address of the API, or its path from /api/ on where the server can be looked up

Options:
  --all              every page of a list, also of one in an object (folders/ID/contents); without it Galaxy may
                     answer with the first page only, and not say so
  --limit=N          at most N of them
  --check            first compare address and fields with the server's own description, and send nothing that
                     it lacks; GALAXY_CHECK=1 does so always
  --to=FILE          write the answer to FILE, complete or not at all, and print its path; - is standard output
  --force            overwrite an existing file
  --wait             first wait for the task or the file at URL: /api/tasks/ID/state or /api/short_term_storage/ID
  --timeout=SECONDS  stop waiting after this many seconds in all
  --format=FORMAT    table, json, jsonl, csv, tsv, value or another tabulate style
  --fields=NAMES     only these fields, separated by commas
  -h, --help         show this help
  --version          show the version

The names of all your histories, with the ids that other commands want:
  display.py --all --fields=id,name - https://usegalaxy.org/api/histories
What a job wrote on its standard error, as it is:
  display.py --to=job.log - https://usegalaxy.org/api/jobs/ID/stderr
"""
import re
import sys

from common import arguments, display, guard_request, int_option, output_options, print_members, run, show

# Addresses that answer with an object that holds a list: see galaxy_api_scripts/routes/pages.py.
LISTS_IN_OBJECTS = re.compile(r"/(folders/\w+/contents|wes/v1/runs(/\w+/tasks)?)/?(\?|$)|"
                              r"/datasets/\w+\?.*provider=|/repositories/?\?.*page")


def main(argv=None):
    args = arguments(__doc__, argv)
    limit = int_option(args, "--limit", least=1)
    with guard_request(args, load_extras, "GET"):
        if args["--to"]:
            load_extras().save_answer(args)
        elif (args["--all"] or limit) and LISTS_IN_OBJECTS.search(args["URL"]):
            show(load_extras().object_pages(args, limit), plain=print_members, **output_options(args))
        else:
            display(args["KEY"], args["URL"], all_pages=args["--all"], limit=limit, **output_options(args))


def load_extras():
    """Return the module that knows --check, --wait, --to, lists in objects and refusals; a plain line needs none of it."""
    from galaxy_api_scripts.routes import verbs
    return verbs


if __name__ == "__main__":
    sys.exit(run(main))
