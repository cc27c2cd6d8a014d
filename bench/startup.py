#!/usr/bin/env python3
"""Measure what the first command that anyone types costs: display.py as a whole process, against peers doing the same GET,
and each verb against what it was.

Usage:
  startup.py [options]

Options:
  --pairs=N        how many runs of each, in turn  [default: 15]
  --before=COMMIT  compare the four verbs with those of this commit, and no peers
  -h, --help       show this help
  --version        show the version

Each peer asks one loopback server for /api/histories; ours and the peer take turns, and ratio and difference are medians
over the pairs, so that a noisy machine matters little. BioBlend and parsec take part if `make bench` has installed them
(bench/peers). The bars: display.py at most 1.10 times a bare `import requests` and the same GET, `import common` at most 25
ms more than `import requests`, and a verb's plain line one request, in at most 1.10 of the time that it took.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from before import the_tree_of
from fakes import KEY
from fakes.galaxy import FakeGalaxy
from local import PEERS, ROOT

from common import arguments, int_option, one_line, run, show

BIOBLEND_PYTHON = PEERS / "bioblend" / "bin" / "python"
PARSEC = PEERS / "galaxy-parsec" / "bin" / "parsec"
HISTORIES = [{"id": f"{number:016x}", "name": f"history {number}", "url": f"/api/histories/{number:016x}", "tags": []}
             for number in range(20)]
ONLY_REQUESTS = """import sys
import requests
print(requests.get(sys.argv[2], headers={"x-api-key": sys.argv[1]}, timeout=60).json())
"""
VERBS = [("display.py", "histories"), ("create.py", "histories", "name=x"), ("update.py", f"histories/{19:016x}", "name=x"),
         ("delete.py", f"histories/{19:016x}")]
BIOBLEND = """import sys
from bioblend.galaxy import GalaxyInstance
print(GalaxyInstance(sys.argv[2], key=sys.argv[1]).histories.get_histories())
"""


def main(argv=None):
    args = arguments(__doc__, argv)
    pairs = int_option(args, "--pairs", least=3)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    with FakeGalaxy() as galaxy, tempfile.TemporaryDirectory() as folder:
        galaxy.answers.update({kind: (200, HISTORIES if kind == "GET histories" else HISTORIES[19]) for kind in (
            "GET histories", "POST histories", "PUT history", "DELETE history")})
        if args["--before"]:
            with the_tree_of(args["--before"], Path(folder) / "tree") as tree:
                show([compare_verb(galaxy, tree, line, pairs) for line in VERBS])
            return
        ours = [sys.executable, str(ROOT / "display.py"), KEY, f"{galaxy.url}/api/histories"]
        rows = [compare(name, ours, command, pairs) for name, command in peers(Path(folder), galaxy.url)]
        imports = [[sys.executable, "-c", f"import {name}; print('history 19')"] for name in ("common", "requests")]
        rows.append(compare("import common, against import requests", *imports, pairs))
    show(rows)


def peers(folder, url):
    """Yield (name, command) of each peer that is installed."""
    (folder / "only_requests.py").write_text(ONLY_REQUESTS)
    (folder / "with_bioblend.py").write_text(BIOBLEND)
    (folder / "parsec.yml").write_text(f"here: {{url: '{url}', key: {KEY}}}\n")
    yield "import requests, the same GET", [sys.executable, str(folder / "only_requests.py"), KEY, f"{url}/api/histories"]
    if BIOBLEND_PYTHON.exists():
        yield "BioBlend, get_histories()", [str(BIOBLEND_PYTHON), str(folder / "with_bioblend.py"), KEY, url]
    if PARSEC.exists():
        yield "parsec histories get_histories", [
            str(PARSEC), "-f", str(folder / "parsec.yml"), "-g", "here", "histories", "get_histories"]


def compare(name, ours, theirs, pairs):
    """Return a row: medians in milliseconds, and the medians of the pairs' ratios and differences."""
    for command in (ours, theirs):
        check = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if check.returncode or "history 19" not in check.stdout:
            return {"peer": name, "ours ms": "", "theirs ms": "", "ratio": "fails: " + one_line(check.stderr)[-80:]}
    times = [(timed(ours), timed(theirs)) for _ in range(pairs)]
    return {"peer": name, "ours ms": f"{1000 * statistics.median(a for a, _ in times):.0f}",
            "theirs ms": f"{1000 * statistics.median(b for _, b in times):.0f}",
            "ratio": f"{statistics.median(a / b for a, b in times):.2f}",
            "difference ms": f"{1000 * statistics.median(a - b for a, b in times):.0f}",
            "least": f"{min(a / b for a, b in times):.2f}", "most": f"{max(a / b for a, b in times):.2f}"}


def compare_verb(galaxy, tree, line, pairs):
    """Return a row: this verb of our tree and of another, and how many requests a line of ours makes."""
    name, path, *words = line
    ours, theirs = ([sys.executable, str(root / name), KEY, f"{galaxy.url}/api/{path}", *words] for root in (ROOT, tree))
    before = len(galaxy.asked)
    subprocess.run(ours, capture_output=True, check=True, cwd=ROOT)
    asked = len(galaxy.asked) - before
    return {**compare(name, ours, theirs, pairs), "requests": asked}


def timed(command):
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, cwd=ROOT)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(run(main))
