"""Which scripts each live test runs, and how it ends: for the table of docs/releases.md."""
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = {path.name for path in ROOT.glob("scripts/*.py")}
WORD = re.compile(r"\b\w+\.py\b")


class Recording:
    """A plugin of pytest that writes `{test: {"outcome": ..., "scripts": [...], "reason": ...}}` to a file."""

    def __init__(self, path):
        self.path, self.tests, self.scripts = Path(path), {}, set()
        sys.addaudithook(self.listen)

    def listen(self, event, arguments):
        """Note the scripts that a command line, or the shell script that it runs, names."""
        if event == "subprocess.Popen":
            for word in map(str, arguments[1]):
                text = Path(word).read_text() if word.endswith(".sh") and Path(word).exists() else word
                self.scripts.update(SCRIPTS.intersection(WORD.findall(text)))

    def pytest_runtest_logstart(self, nodeid):
        self.scripts.clear()

    def pytest_runtest_logreport(self, report):
        """A test passed if its set-up, itself and its tidying up did."""
        test = self.tests.setdefault(report.nodeid, {"outcome": "passed", "scripts": []})
        test["scripts"] = sorted(self.scripts)
        if report.outcome != "passed":
            test["outcome"] = report.outcome
            test["reason"] = report.longrepr[2] if report.skipped else str(report.longrepr).splitlines()[-1]

    def pytest_runtest_logfinish(self):     # after each test, so that a run that is broken off is known, too
        self.path.write_text(json.dumps(self.tests, indent=1) + "\n")
