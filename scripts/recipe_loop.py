#!/usr/bin/env python3
"""A recipe: run a tool on its own result until a value stays the same.

Usage:
  recipe_loop.py [options] KEY URL HISTORY DATASET COLUMN

Arguments:
  KEY                your API key, - to look it up, @NAME for an entry of ~/.parsec.yml
  URL                the server, or - to look it up
  HISTORY            the id or exact name of the history that the results go to
  DATASET            the id of a table in it
  COLUMN             the number of its column that is looked at, from 1

Options:
  --sigmas=N         rows further than so many standard deviations from the mean are left out  [default: 3]
  --timeout=SECONDS  how long to wait for each run; as long as it takes unless given
  -h, --help         show this

Leaves out what is far from the mean, which moves the mean, until none is left out any more; a line for each round.
To be copied and changed: another tool or workflow, another value, another end.
  recipe_loop.py --sigmas=2 - - "Run 12" bbd44e69cb8906b5 3
"""
import re
import statistics
import sys

from common import UNATTENDED, Galaxy, GalaxyError, arguments, int_option, run
from galaxy_api_scripts.tools import request


def main(argv=None):
    args = arguments(__doc__, argv)
    column, sigmas, timeout = (int_option(args, name, 1) for name in ("COLUMN", "--sigmas", "--timeout"))
    galaxy = Galaxy(args["KEY"], args["URL"], patience=UNATTENDED)
    history, dataset = galaxy.resolve("histories", args["HISTORY"])["id"], args["DATASET"]
    values = numbers(request.read_dataset_text(galaxy, dataset), column)
    for number in range(1, 31):
        mean, far = statistics.fmean(values), sigmas * statistics.pstdev(values)
        [made] = request.run_tool(galaxy, history, "Filter1", {
            "input": f"hda:{dataset}", "cond": f"c{column}>={mean - far!r} and c{column}<={mean + far!r}"}, timeout)
        dataset, before = made["id"], len(values)
        values = numbers(request.read_dataset_text(galaxy, dataset), column)
        print(number, len(values), f"{statistics.fmean(values):.6g}", dataset, sep="\t", flush=True)
        if len(values) == before:       # it has converged
            return
    raise GalaxyError("after 30 rounds rows are still left out")


def numbers(text, column):
    """The numbers in that column; a heading is none."""
    cells = [cell for line in text.splitlines() for cell in line.split("\t")[column - 1:column]]
    found = [float(cell) for cell in cells if re.fullmatch(r"-?\d+(\.\d*)?(e[+-]?\d+)?", cell, re.ASCII)]
    if not found:
        raise GalaxyError(f"there are no numbers in column {column}")
    return found


if __name__ == "__main__":
    sys.exit(run(main))
