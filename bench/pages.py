#!/usr/bin/env python3
"""Measure the page on many samples (--report=PAGE): its size, how long it takes to make, and to open in Chromium.

Usage:
  pages.py [options]

Options:
  --samples=N     how many samples  [default: 1000]
  --runs=N        how often it is opened  [default: 5]
  --browser=FILE  Chromium's name  [default: chromium]
  -h, --help      show this help
  --version       show the version

The ledger is made up: no Galaxy is asked. What is opened is a copy of the page with a script that tells the browser's own
time, from the beginning of the navigation until the page is loaded and laid out to its end. The bars: 1,000 samples under
3 MB and opened in under a second.
"""
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from local import ROOT

from common import arguments, int_option, run, show
from galaxy_api_scripts.batch.page import render_ledger

MEASURE = """<script>
addEventListener("load", () => {
  const wide = document.documentElement.scrollWidth > innerWidth;     // has the whole page laid out
  const took = Math.round(performance.now());
  const found = document.createElement("div");
  found.textContent = "TOOK=" + took + " ELEMENTS=" + document.getElementsByTagName("*").length + " WIDE=" + wide;
  document.body.appendChild(found);
});
</script></body>"""


def main(argv=None):
    args = arguments(__doc__, argv)
    count, runs = int_option(args, "--samples", 1), int_option(args, "--runs", 1)
    sys.path.insert(0, str(ROOT / "tests"))
    from fakes.ledgers import write_ledger

    rows = []
    for kind, failed in (("few failed", .04), ("all failed", 1.0)):
        with tempfile.TemporaryDirectory() as folder:
            ledger, page = Path(folder) / "samples.tsv.ledger", Path(folder) / "page.html"
            write_ledger(ledger, count, failed=failed, **({"running": 0, "waiting": 0} if failed == 1 else {}))
            begin = time.perf_counter()
            html = render_ledger(ledger, page)
            made = time.perf_counter() - begin
            page.write_text(re.sub("<meta http-equiv[^>]*>", "", html).replace("</body>", MEASURE), "utf-8")
            opened = [open_page(args["--browser"], page, width) for width in (1400, 400) for _ in range(runs)]
        rows.append({"samples": f"{count}, {kind}", "bytes": len(html.encode()), "made (s)": round(made, 2),
                     "elements": opened[0]["ELEMENTS"], "wider than 400 px": opened[-1]["WIDE"],
                     **{f"opened, {width} px (ms)": statistics.median(int(one["TOOK"]) for one in part)
                        for width, part in ((1400, opened[:runs]), (400, opened[runs:]))}})
    show(rows, "table")


def open_page(browser, page, width):
    """What the page tells of itself in a window so wide."""
    ended = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},1000",
                            "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return dict(re.findall(r"(TOOK|ELEMENTS|WIDE)=(-?\w+)", ended.stdout[-500:]))


if __name__ == "__main__":
    sys.exit(run(main))
