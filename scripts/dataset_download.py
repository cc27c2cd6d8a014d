#!/usr/bin/env python3
"""Download datasets, collections and histories into a folder; each file gets its name when it is complete.

Usage:
  dataset_download.py [options] KEY URL SOURCE...

Arguments:
  KEY                      your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                      the server, or - to look it up
  SOURCE                   the id of a history's dataset; hda:ID, which may be another user's; hdca:ID for all datasets of a
                           collection; ldda:ID or lib:/LIBRARY/FOLDER/NAME, a library's dataset; history:ID or history:NAME
                           for all of a history, those in its collections too

Options:
  --to=DIR                 the folder, made if it does not exist  [default: .]
  --name=TEMPLATE          each file's path in it, with {name}, {ext}, {id}, {hid}, {element}, {collection}, {history};
                           unless given {name}.{ext}, and {collection}/{element}.{ext} in a collection
  --transfers=N            transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --parallel=N             the older name of --transfers, which counts if both are given
  --limit-rate=RATE        at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --verify                 let Galaxy compute a hash that it lacks, and compare files that are there already too
  --no-verify              keep what comes even if Galaxy's hash of it is another one
  --force                  replace files of the same name that this script did not download
  --stall-timeout=SECONDS  give up when nothing has moved for this many seconds  [default: 600]
  -q, --quiet              no progress, only results and errors
  -h, --help               show this help
  --version                show the version

Prints each file's path, and exits with 3 if some of several datasets failed; with 75 if another run downloads into the
folder. What comes is compared with Galaxy's hash, if it has one. The folder's manifest.tsv lists its files: the same line
again downloads only what is missing or has another size, and resumes where a killed run was.
  dataset_download.py --to=results - - bbd44e69cb8906b5 hdca:8155e4b4bf1581ff
"""
import sys

from common import UNATTENDED, Galaxy, arguments, int_option, run
from galaxy_api_scripts.datasets.download import DownloadFolder, download_all
from galaxy_api_scripts.datasets.download_paths import parse_name_template
from galaxy_api_scripts.files import prepare_folder
from galaxy_api_scripts.libraries.contents import resolve_library_paths
from galaxy_api_scripts.progress import date_lines, enable_bars
from galaxy_api_scripts.rate_limit import limit_rate
from galaxy_api_scripts.transfers import transfers_option


def main(argv=None):
    args = arguments(__doc__, argv)
    date_lines(args["--to"])
    transfers, stall = transfers_option(args), int_option(args, "--stall-timeout", 1)
    template = parse_name_template(args["--name"])
    limit_rate(args)
    enable_bars(not args["--quiet"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    folder = DownloadFolder(galaxy, prepare_folder(args["--to"]), template, overwrite=args["--force"],
                            verify=args["--verify"], compare=not args["--no-verify"], stall=stall)
    codes = []
    return download_all(folder, resolve_library_paths(galaxy, args["SOURCE"], codes), transfers, codes)


if __name__ == "__main__":
    sys.exit(run(main))
