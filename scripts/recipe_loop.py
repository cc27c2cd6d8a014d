#!/usr/bin/env python3
"""A recipe: run a tool on its own result until nothing changes.

Usage:
  recipe_loop.py [options] KEY URL HISTORY DATASET COLUMN

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            the id or exact name of the history that the results go to
  DATASET            the id of a table in that history
  COLUMN             the number of the column with the values, from 1

Options:
  --sigmas=N         drop the rows further than this many standard deviations from the mean  [default: 3]
  --timeout=SECONDS  stop waiting after this many seconds in all
  -h, --help         show this help
  --version          show the version

Dropping outliers moves the mean, so other rows may become outliers: the tool runs until it drops none. Prints a line for
each round: its number, the rows left, their mean, and the dataset.
Copy it and change it: another tool or workflow, another value, another end.
  recipe_loop.py --sigmas=2 - - "Run 12" bbd44e69cb8906b5 3
"""
import re
import statistics
import sys

from common import UNATTENDED, Galaxy, GalaxyError, arguments, int_option, run
from galaxy_api_scripts.polling import countdown
from galaxy_api_scripts.tools.request import read_dataset_text, run_tool


def main(argv=None):
    args = arguments(__doc__, argv)
    column, sigmas, timeout = (int_option(args, name, 1) for name in ("COLUMN", "--sigmas", "--timeout"))
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    history, dataset = galaxy.resolve("histories", args["HISTORY"])["id"], args["DATASET"]
    left = countdown(timeout)

    values = numbers(read_dataset_text(galaxy, dataset), column)
    for number in range(1, 31):
        mean, reach = statistics.fmean(values), sigmas * statistics.pstdev(values)
        [output] = run_tool(galaxy, history, "Filter1", {
            "input": f"hda:{dataset}", "cond": f"c{column}>={mean - reach!r} and c{column}<={mean + reach!r}"}, left())
        dataset, before = output["id"], len(values)
        values = numbers(read_dataset_text(galaxy, dataset), column)
        print(number, len(values), f"{statistics.fmean(values):.6g}", dataset, sep="\t", flush=True)
        if len(values) == before:       # it has converged
            return
    raise GalaxyError("the tool still drops rows after 30 rounds")


def numbers(text, column):
    """The numbers in a column, without its heading."""
    cells = [cell for line in text.splitlines() for cell in line.split("\t")[column - 1:column]]
    values = [float(cell) for cell in cells if re.fullmatch(r"-?\d+(\.\d*)?(e[+-]?\d+)?", cell, re.ASCII)]
    if not values:
        raise GalaxyError(f"column {column} holds no numbers")
    return values


if __name__ == "__main__":
    sys.exit(run(main))
