#!/usr/bin/env python3
"""Write docs/scripts.md: the help of every script, in the order and by the subjects of the README's table.

Usage:
  make_reference.py [options]

Options:
  -h, --help  show this help
  --version   show the version
"""
import ast
import re
import sys
from pathlib import Path

from common import arguments, run

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| ([\w ]*)\| (`\w+\.py`(?:, `\w+\.py`)*) \| .* \|$", re.MULTILINE)


def main(argv=None):
    arguments(__doc__, argv)
    (ROOT / "docs" / "scripts.md").write_text(render(), "utf-8")


def render():
    lines = ["# Scripts", "", "All options of every script, as `--help` shows them. `make reference` writes this page."]
    for subject, scripts in ROW.findall((ROOT / "README.md").read_text("utf-8")):
        if subject.strip():
            lines += ["", f"## {subject.strip()}"]
        for script in scripts.replace("`", "").split(", "):
            path = ROOT / script if (ROOT / script).exists() else ROOT / "scripts" / script
            usage = ast.get_docstring(ast.parse(path.read_text("utf-8")), clean=False)
            lines += ["", f"### {script}", "", "```text", usage.strip("\n"), "```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run(main))
