#!/usr/bin/env python3
"""Run the live tests on each release of Galaxy, one after the other, and write into docs/releases.md what works where.

Usage:
  matrix.py [--tests=PATHS] [ROW...]

Arguments:
  ROW            a release such as 24.1, or production: 26.1 as production has it; without any, all of them

Options:
  --tests=PATHS  only these files of tests, separated by spaces; what is known of the others stays
  -h, --help     show this help
  --version      show the version

The rows that are not run stay as they are, in the page and in docs/releases.json. The status is 1 if a test failed.
"""
import json
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from common import DONE, FAILED, USAGE, GalaxyError, arguments, run  # noqa: E402
from galaxy_api_scripts.local_server.installation import RELEASES  # noqa: E402
from live.releases import LACKS, NEWEST, SERIES, is_older  # noqa: E402

ROWS = [*SERIES, "production"]
NOTES = list(LACKS.values())
RESULTS, DATA, PAGE = ROOT / ".matrix", ROOT / "docs" / "releases.json", ROOT / "docs" / "releases.md"
SCRIPTS = sorted({path.name for path in ROOT.glob("scripts/*.py")} - {"common.py"})

TEXT = """# Releases of Galaxy

The scripts serve Galaxy 24.1 and later. What an old server lacks is done in an older way where there is one (`adapted`), and
told in one line where there is none (`lacks`); the numbers are those of the notes below. `passed` and `adapted` say that
all of the script's live tests that were run on that release passed; the first table tells how many were not run.
`production` is {newest} on PostgreSQL behind nginx, with several web processes and two disks in its object store.

`make matrix` writes this page: it runs the live tests on each release, installed by `galaxy_local.py --release=NUMBER`.
`make matrix RELEASES=24.1` does one row, and leaves the others. Tests that a release is too old for are skipped.

{rows}

| script | {heads} |
|---|{lines}
{scripts}

## Notes

{notes}
"""


def main(argv=None):
    args = arguments(__doc__, argv)
    rows = args["ROW"] or ROWS
    for row in rows:
        if row not in ROWS:
            raise GalaxyError(f"{row}: expected one of {', '.join(ROWS)}", USAGE)
    failed = [row for row in rows if not run_row(row, (args["--tests"] or "").split())]
    return FAILED if failed else DONE


def run_row(row, paths):
    """Run the live tests on one row's Galaxy, and write down how they ended; whether all went well."""
    RESULTS.mkdir(exist_ok=True)
    record, kept = RESULTS / "record.json", RESULTS / f"{row}.json"
    record.unlink(missing_ok=True)
    print(f"==> Galaxy {describe(row)}", flush=True)
    tests = [sys.executable, "-m", "pytest", "-q", *(paths or ["tests/live"]), f"--record={record}"]
    if row == "production":
        tests = [sys.executable, "tests/live/production.py", "run", "--", *tests]
    else:
        tests.append(f"--release={row}")
    subprocess.run(tests, cwd=ROOT, check=False)
    if not record.exists():
        raise GalaxyError(f"the tests on {describe(row)} did not get as far as their end: see above")
    results = json.loads(kept.read_text()) if paths and kept.exists() else {}
    results.update(json.loads(record.read_text()))
    kept.write_text(json.dumps(results, indent=1))
    write_row(row, results, len(set(collect_tests()) - set(results)))
    return not any(test["outcome"] == "failed" for test in results.values())


def collect_tests():
    """Return the names of the live tests."""
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/live", f"--record={RESULTS}/none"],
        cwd=ROOT, check=True, capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if "::" in line]


def write_row(row, results, missing):
    """Write what became of the tests of one row into docs/releases.json, and the page from it; `missing` were not run."""
    data = json.loads(DATA.read_text()) if DATA.exists() else {}
    outcomes = Counter(test["outcome"] for test in results.values())
    scripts = {name: {test["outcome"] for test in results.values() if name in test["scripts"]} for name in SCRIPTS}
    data[row] = {
        "release": RELEASES[NEWEST if row == "production" else row],
        "date": date.today().isoformat(),
        **{outcome: outcomes[outcome] for outcome in ("passed", "skipped", "failed")},
        "missing": missing,
        "failures": sorted(name for name, test in results.items() if test["outcome"] == "failed"),
        "reasons": sorted({test["reason"] for test in results.values() if test["outcome"] == "skipped"}),
        "scripts": {name: min(met - {"skipped"}) for name, met in scripts.items() if met - {"skipped"}},   # failed < passed
    }
    DATA.write_text(json.dumps({row: data[row] for row in ROWS if row in data}, indent=1) + "\n")
    PAGE.write_text(render(data))


def render(data):
    """Return the text of the page."""
    line = "| {} | {date} | {passed} | {skipped} | {failed} | {missing}{} |"
    known = [line.format(describe(row, data[row]["release"]), retry(data[row]), **data[row]) if row in data
             else f"| {describe(row)} | not yet | | | | |" for row in ROWS]
    cells = [f"| `{name}` | {' | '.join(cell(name, row, data.get(row)) for row in ROWS)} |" for name in SCRIPTS]
    return TEXT.format(
        newest=NEWEST, heads=" | ".join(ROWS), lines="---|" * len(ROWS), scripts="\n".join(cells),
        rows="\n".join(["| Galaxy | date | tests passed | skipped | failed | not run |", "|---" * 6 + "|", *known]),
        notes="\n".join(f"{number}. Before {note.since}: {note.feature}. {' '.join(note.text.split())}"
                        for number, note in enumerate(NOTES, 1)))


def retry(results):
    """Return how many of the tests that were not run had failed before something was mended (written in by hand)."""
    return f" ({len(results['again'])} failed before a mend)" if results.get("again") else ""


def cell(script, row, results):
    """Return what the table says of a script on a release."""
    outcome = (results or {"scripts": {}})["scripts"].get(script, "")
    series = NEWEST if row == "production" else row
    notes = {adapted: ", ".join(str(number) for number, note in enumerate(NOTES, 1)
                                if note.adapted == adapted and script in note.scripts and is_older(series, note.since))
             for adapted in (True, False)}
    if outcome == "failed" or not results:
        return outcome or "not run"
    done = f"adapted {notes[True]}" if notes[True] and outcome else outcome
    lacking = f"lacks {notes[False]}" if notes[False] else ""
    return ", ".join(filter(None, [done, lacking])) or "not run"


def describe(row, release=None):
    release = release or RELEASES[NEWEST if row == "production" else row]
    return f"{release}, as in production" if row == "production" else release


if __name__ == "__main__":
    sys.exit(run(main))
