#!/usr/bin/env python3
"""Download datasets into a folder, each under its own name once all its bytes have come.

Usage:
  dataset_download.py [options] KEY URL SOURCE...

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  SOURCE             the id of a dataset in state ok; hdca:ID for all that are in a collection; history:ID or history:NAME
                     for all that are in a history, its collections too

Options:
  --to=DIR           the folder, made if it is not there  [default: .]
  --name=TEMPLATE    each one's path in it, with {name}, {ext}, {id}, {hid}, {element}, {collection}, {history}; unless
                     given {name}.{ext}, and {collection}/{element}.{ext} for what is in a collection
  --parallel=N       so many at once  [default: 4]
  --verify           compare the bytes with Galaxy's hash of them, also of files that are there; Galaxy makes one where it
                     has none
  --force            put datasets in the place of files of those names that this script did not fetch
  --timeout=SECONDS  give up after so long without progress  [default: 600]
  -q, --quiet        print no paths
  -h, --help         show this

Prints each file's path, and exits with 3 if some of several datasets could not be fetched. The folder's manifest.tsv says
what is in it; run again, the same line fetches only what is missing or has another size, and goes on where a killed run was.
  dataset_download.py --to=results - - bbd44e69cb8906b5
"""
import sys

from common import UNATTENDED, Galaxy, arguments, int_option, run
from galaxy_api_scripts.datasets.download import DownloadFolder, download_all, parse_name_template, prepare_folder


def main(argv=None):
    args = arguments(__doc__, argv)
    parallel, pattern = int_option(args, "--parallel", 1), parse_name_template(args["--name"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    folder = DownloadFolder(galaxy, prepare_folder(args["--to"]), pattern, overwrite=args["--force"], verify=args["--verify"],
                    stall=int_option(args, "--timeout", 1))
    return download_all(folder, args["SOURCE"], "hda", parallel, args["--quiet"])


if __name__ == "__main__":
    sys.exit(run(main))
