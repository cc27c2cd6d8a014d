#!/usr/bin/env python3
"""Download datasets into a folder, each under its own name once all its bytes have come.

Usage:
  dataset_download.py [options] KEY URL DATASET...

Arguments:
  KEY         your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL         the server, or - to look it up
  DATASET     the id of a dataset in state ok

Options:
  --to=DIR    the folder, made if it is not there  [default: .]
  --force     put the dataset in the place of a file of that name
  -h, --help  show this

Prints each file's path, and exits with 3 if some of several datasets could not be fetched.
  dataset_download.py --to=results - - bbd44e69cb8906b5
"""
import sys
from pathlib import Path

from common import DONE, PARTLY, UNATTENDED, USAGE, Galaxy, Refused, an_id, arguments, complain, run
from transfer import download


def main(argv=None):
    args = arguments(__doc__, argv)
    datasets = [an_id(text, "DATASET") for text in args["DATASET"]]
    folder, force = Path(args["--to"]), args["--force"]
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    if folder.exists() and not folder.is_dir():
        raise Refused(f"--to={folder}: not a folder", USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    taken, codes = set(), []
    for dataset in datasets:
        try:
            print(download(galaxy, dataset, folder, taken, overwrite=force), flush=True)
        except Refused as error:
            codes.append(complain(str(error), error.exit_code))
    if not codes:
        return DONE
    return codes[0] if len(codes) == len(datasets) else PARTLY


if __name__ == "__main__":
    sys.exit(run(main))
