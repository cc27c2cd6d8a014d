#!/usr/bin/env python3
"""Download the outputs of a workflow invocation, named by their labels and their samples' names.

Usage:
  invocation_download.py [options] KEY URL INVOCATION

Arguments:
  KEY                      your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                      the server, or - to look it up
  INVOCATION               the invocation's id, as invocation_list.py shows it

Options:
  --to=DIR                 the folder to download to, made if it does not exist  [default: .]
  --outputs=LABELS         only the outputs with these labels, separated by commas
  --verify                 compare the bytes with Galaxy's hashes, which Galaxy computes where it has none
  --transfers=N            transfer this many files at once, fewer while the server is overloaded  [default: 4]
  --parallel=N             the older name of --transfers, which counts if both are given
  --limit-rate=RATE        at most this many bytes a second, all transfers together: 500K, 20M, 1G
  --force                  replace files that exist
  --stall-timeout=SECONDS  give up when nothing has moved for this many seconds  [default: 600]
  -q, --quiet              no progress, only results and errors
  -h, --help               show this help
  --version                show the version

Prints the path of each file. A dataset becomes LABEL.ext, a collection LABEL/ELEMENT.ext; skipped steps have no
outputs. DIR/manifest.tsv lists what was downloaded: the same line again fetches only what is missing or damaged.
Outputs that failed or are not made yet are reported, and the exit status is 3 if others were downloaded.
  invocation_download.py --to=results - - 85a07f4bbdb2c898
"""
import sys

from common import DONE, SOME_FAILED, UNATTENDED, USAGE, Galaxy, GalaxyError, arguments, int_option, parse_id, run
from galaxy_api_scripts.datasets.download import DownloadFolder, download_items
from galaxy_api_scripts.files import prepare_folder
from galaxy_api_scripts.invocations.invocation import invocation_outputs, output_datasets, parse_labels
from galaxy_api_scripts.invocations.replacements import find_replacements, replace_outputs
from galaxy_api_scripts.progress import enable_bars
from galaxy_api_scripts.rate_limit import limit_rate
from galaxy_api_scripts.transfers import transfers_option


def main(argv=None):
    args = arguments(__doc__, argv)
    invocation_id, labels = parse_id(args["INVOCATION"], "INVOCATION"), parse_labels(args["--outputs"])
    transfers, stall = transfers_option(args), int_option(args, "--stall-timeout", 1)
    limit_rate(args)
    enable_bars(not args["--quiet"])
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)

    invocation = galaxy.get(f"invocations/{invocation_id}")
    outputs = invocation_outputs(invocation)
    unknown = [label for label in labels if label not in outputs]
    if unknown:
        raise GalaxyError(f"invocation {invocation_id} has no output {unknown[0]!r} (state {invocation['state']}), only "
                          f"{', '.join(outputs) or 'none'}", USAGE)
    if not outputs:
        raise GalaxyError(f"invocation {invocation_id} has no labelled outputs (state {invocation['state']}): "
                          f"dataset_download.py - - history:{invocation['history_id']} downloads all of its history")
    folder = DownloadFolder(galaxy, prepare_folder(args["--to"]), overwrite=args["--force"], verify=args["--verify"],
                            stall=stall)
    items = output_datasets(galaxy, invocation_outputs(invocation, labels)).values()
    if any(item.about["state"] == "error" and not item.collection for members in items for item in members):
        invocation = replace_outputs(galaxy, invocation, find_replacements(galaxy, invocation))
        items = output_datasets(galaxy, invocation_outputs(invocation, labels)).values()
    codes = []
    paths = download_items(folder, [item for members in items for item in members], transfers, codes)
    return DONE if not codes else SOME_FAILED if paths else codes[0]


if __name__ == "__main__":
    sys.exit(run(main))
