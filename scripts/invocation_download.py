#!/usr/bin/env python3
"""Download the results of a workflow's run, named by their labels and the samples' names.

Usage:
  invocation_download.py [options] KEY URL INVOCATION

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  INVOCATION         the run's id, as invocation_list.py shows it

Options:
  --to=DIR           the folder they go to, made where it is not there  [default: .]
  --outputs=LABELS   only the outputs of these labels, separated by commas
  --verify           compare the bytes with Galaxy's hashes, which it makes where it has none
  --parallel=N       how many at once  [default: 4]
  --force            put them in the place of files that are there already
  --timeout=SECONDS  give up after so long without progress  [default: 600]
  -q, --quiet        print no paths
  -h, --help         show this

A dataset becomes LABEL.ext, a collection LABEL/ELEMENT.ext; a step that was skipped has none. DIR's manifest.tsv says what
is there: the same line again fetches only what is missing or wrong. What failed, or is not made yet, is told, and the exit
status is 3 where others came.
  invocation_download.py --to=results - - 85a07f4bbdb2c898
"""
import sys

from common import (
    DONE,
    SOME_FAILED,
    UNATTENDED,
    USAGE,
    Galaxy,
    GalaxyError,
    arguments,
    int_option,
    parse_id,
    run,
    split_commas,
)
from galaxy_api_scripts.datasets.download import DownloadFolder, download_items
from galaxy_api_scripts.files import prepare_folder
from galaxy_api_scripts.invocations.invocation import invocation_outputs, output_datasets


def main(argv=None):
    args = arguments(__doc__, argv)
    run_id, parallel = parse_id(args["INVOCATION"], "INVOCATION"), int_option(args, "--parallel", 1)
    labels = split_commas(args["--outputs"])
    stall = int_option(args, "--timeout", 1)
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    about = galaxy.get(f"invocations/{run_id}")
    there = invocation_outputs(about)
    unknown = [label for label in labels if label not in there]
    if unknown:
        raise GalaxyError(f"invocation {run_id} has no output {unknown[0]!r} (state {about['state']}): there are "
                      f"{', '.join(there) or 'none'}", USAGE)
    if not there:
        raise GalaxyError(f"invocation {run_id} has no labelled outputs (state {about['state']}): dataset_download.py - - "
                      f"history:{about['history_id']} fetches all that is in its history")
    folder = DownloadFolder(galaxy, prepare_folder(args["--to"]),
                            overwrite=args["--force"], verify=args["--verify"], stall=stall)
    items = [item for some in output_datasets(galaxy, invocation_outputs(about, labels)).values() for item in some]
    codes = []
    fetched = download_items(folder, items, parallel, codes, (lambda path: None) if args["--quiet"] else print)
    return DONE if not codes else SOME_FAILED if fetched else codes[0]


if __name__ == "__main__":
    sys.exit(run(main))
