"""What holds for every script: a purpose, a usage, help, a place in the README, a test; and which way imports point."""
import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERBS = [ROOT / f"{name}.py" for name in ("display", "create", "update", "delete")]
SCRIPTS = VERBS + sorted(path for path in (ROOT / "scripts").glob("*.py") if not path.is_symlink())
# What the package's folders and modules may import: those that stand before them.
LAYERS = [["files", "progress", "polling", "checkpoint"], ["datasets"], ["histories", "libraries", "invocations"],
          ["workflows", "tools", "search"], ["batch", "local_server"]]
MODULES = sorted(path for path in (ROOT / "galaxy_api_scripts").rglob("*.py") if path.name != "__init__.py")
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if "live" not in path.parts)
LIVE_TESTS = "\n".join(path.read_text() for path in (ROOT / "tests" / "live").glob("*.py"))

each_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)


def imported(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@each_script
def test_it_says_what_it_does_and_how(path):
    doc = ast.get_docstring(ast.parse(path.read_text()))
    first = doc.splitlines()[0]
    assert first.endswith(".") and len(first) < 120
    assert len(re.findall("usage:", doc, re.IGNORECASE)) == 1
    assert f"  {path.name} [options]" in doc
    assert "-h, --help" in doc


@each_script
def test_help(path):
    ended = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, cwd="/",
                           env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Usage:" in ended.stdout


@each_script
def test_it_is_shaped_like_the_others(path):
    text = path.read_text()
    assert text.startswith('#!/usr/bin/env python3\n"""')
    assert text.endswith('\n\nif __name__ == "__main__":\n    sys.exit(run(main))\n')
    assert "\ndef main(argv=None):\n" in text
    assert os.access(path, os.X_OK)


@each_script
def test_it_is_known(path):
    assert f"`{path.name}`" in (ROOT / "README.md").read_text(), "has no line in the README's catalogue"
    listed = (ROOT / "setup.cfg").read_text().split()
    assert str(path.relative_to(ROOT)) in listed, "is not installed"
    assert re.search(rf"\b{path.stem}\.main\b", TESTS) or path.stem in ("create", "update", "delete"), "has no offline test"
    assert path.name in LIVE_TESTS, "has no live test"


@each_script
def test_no_script_imports_a_script_or_requests(path):
    assert imported(path) & ({other.stem for other in SCRIPTS} | {"requests", "urllib3"}) == set()


def layer(name):
    return next(number for number, names in enumerate(LAYERS) if name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    own = path.relative_to(ROOT / "galaxy_api_scripts").parts[0].removesuffix(".py")
    taken = {parts[1] for parts in (name.split(".") for name in imported_in_full(path))
             if parts[0] == "galaxy_api_scripts" and parts[1] != own}
    assert [name for name in taken if layer(name) > layer(own)] == []
    assert not imported(path) & {other.stem for other in SCRIPTS}


def imported_in_full(path):
    """The modules of ours that a file imports, in full; `from package import module` too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_readme_names_no_script_that_is_not_there():
    named = set(re.findall(r"\b(?:scripts/)?(\w+\.py)\b", (ROOT / "README.md").read_text()))
    there = {path.name for path in SCRIPTS} | {path.name for path in MODULES} | {"common.py"} | {
        path.name for folder in ("bench", "demo") for path in (ROOT / folder).glob("*.py")}
    assert named - there == {"large.py", "NAME.py"} & named     # the example that the README gives in full


def test_the_readmes_links_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links and [link for link in links if not (ROOT / link).exists()] == []
