#!/usr/bin/env python3
"""Measure whether our scripts got slower since a commit: those of this tree and of that commit, in turn, on one Galaxy.

Usage:
  before.py [options] COMMIT

Arguments:
  COMMIT        the commit to compare with, as git names it

Options:
  --rows=NAMES  which rows, separated by commas  [default: up,down,small,run,samples]
  --pairs=N     how many runs of each  [default: 21]
  -h, --help    show this help
  --version     show the version

Uses the Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. The rows: up and down, 512 MiB;
small, 100 files of 10 KB up, until all are ok; run, one sample by workflow_run.py; samples, 20 by workflow_batch.py. All are
whole processes; which of a pair goes first changes from pair to pair. The bar is that today's take at most 1.10 of the time.
"""
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import batch
from batch import a_workflow
from far import FILES, SAMPLES, one_run
from local import COLUMNS, ROOT, a_galaxy, a_history, about, heading, launched, print_row
from transfer import DOWNLOAD, SMALL, UPLOAD, all_ok, downloaded, made, uploaded, warm

from common import USAGE, GalaxyError, arguments, eprint, int_option, run

SIZE = 512      # MiB
BAR = 1.10


def main(argv=None):
    args = arguments(__doc__, argv)
    names, pairs = args["--rows"].split(","), int_option(args, "--pairs", least=1)
    if not set(names) <= set(ROWS):
        raise GalaxyError(f"--rows={args['--rows']}: there are {', '.join(ROWS)}", USAGE)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with a_galaxy() as galaxy, tempfile.TemporaryDirectory(dir=ROOT / "bench", prefix=".before-") as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = name
        with the_tree_of(args["COMMIT"], folder / "tree") as tree:
            heading(about(galaxy), COLUMNS)
            for row in names:
                eprint(f"{row}: {pairs} pairs")
                with ROWS[row](galaxy, folder) as (what, once):
                    print_row(compared(what, once, tree, args["COMMIT"], pairs))


@contextlib.contextmanager
def the_tree_of(commit, folder):
    """Yield a folder with the files of a commit, which is removed at the end."""
    git = ["git", "-C", str(ROOT), "worktree"]
    added = subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], capture_output=True, text=True)
    if added.returncode:
        raise GalaxyError(f"no tree of {commit}: {added.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], capture_output=True)


def compared(what, once, tree, commit, pairs):
    """Return a row: medians in seconds, and the median of the pairs' ratios; `once(root)` runs the scripts of a tree."""
    took = {ROOT: [], tree: []}
    once(ROOT), once(tree)          # not counted: modules are compiled, Galaxy reads its tools
    for number in range(pairs):
        for root in (ROOT, tree) if number % 2 else (tree, ROOT):
            warm(SIZE + 256)
            took[root].append(once(root))
    seconds = {root: [one[0] for one in runs] for root, runs in took.items()}
    ratios = [mine / other for mine, other in zip(seconds[ROOT], seconds[tree])]
    ratio = statistics.median(ratios)
    return [what, commit, f"{statistics.median(seconds[ROOT]):.2f}", f"{statistics.median(seconds[tree]):.2f}",
            f"{ratio:.2f}", f"{min(ratios):.2f}", f"{max(ratios):.2f}", f"{BAR} {'met' if ratio <= BAR else 'missed'}",
            f"{max(one[1] for one in took[ROOT]) / 1e6:.0f}"]


def by(root, command):
    """Return a command with the scripts of another tree in place of ours."""
    return [str(word).replace(f"{ROOT}/scripts/", f"{root}/scripts/", 1) for word in command]


# ------------------------------------------------------------------------------- the rows: what, once(the tree) -> took

@contextlib.contextmanager
def up(galaxy, folder):
    file = made(folder / "up.bin", SIZE * 2**20)
    yield f"{SIZE} MiB up", lambda root: uploaded(galaxy, [file], lambda history: by(
        root, [*UPLOAD, galaxy.key, galaxy.base, history, file]))
    file.unlink()


@contextlib.contextmanager
def down(galaxy, folder):
    file = made(folder / "down.bin", SIZE * 2**20)
    with a_history(galaxy) as history:
        launched([*UPLOAD, galaxy.key, galaxy.base, history, file])
        [dataset] = all_ok(galaxy, history, [file])
        yield f"{SIZE} MiB down", lambda root: downloaded(folder / "to", file, lambda path: launched(by(
            root, [*DOWNLOAD, f"--to={path.parent}", galaxy.key, galaxy.base, dataset])))
    file.unlink()


@contextlib.contextmanager
def small(galaxy, folder):
    files = [made(folder / f"small_{number:03}.bin", SMALL) for number in range(FILES)]
    yield f"{FILES} files of {SMALL // 1000} KB up, until all are ok", lambda root: uploaded(
        galaxy, files, lambda history: by(root, [*UPLOAD, "--wait", galaxy.key, galaxy.base, history, *files]))


@contextlib.contextmanager
def samples(galaxy, folder, count=SAMPLES, ours=batch.ours):
    with a_workflow(galaxy, folder) as workflow:
        def once(root):
            def made_by(*given):
                command, results = ours(*given)
                return by(root, command), results
            return batch.once(made_by, galaxy, workflow, count)
        yield f"{count} samples" if count > 1 else "1 sample, `workflow_run.py`", once


@contextlib.contextmanager
def one(galaxy, folder):
    with samples(galaxy, folder, 1, one_run) as row:
        yield row


ROWS = {"up": up, "down": down, "small": small, "run": one, "samples": samples}


if __name__ == "__main__":
    sys.exit(run(main))
