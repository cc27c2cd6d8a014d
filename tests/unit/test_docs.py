"""The pages in docs/: the reference is up to date, links lead somewhere, and a script has one name everywhere."""
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_the_script_reference_is_what_make_reference_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import make_reference
    monkeypatch.delitem(sys.modules, "make_reference")
    assert (ROOT / "docs" / "scripts.md").read_text("utf-8") == make_reference.render(), "run make reference"


def test_the_page_of_releases_is_what_make_matrix_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests" / "live")
    import matrix
    monkeypatch.delitem(sys.modules, "matrix")
    data = json.loads((ROOT / "docs" / "releases.json").read_text())
    assert (ROOT / "docs" / "releases.md").read_text("utf-8") == matrix.render(data)
    assert {script for note in matrix.NOTES for script in note.scripts} <= set(matrix.SCRIPTS)


def test_the_readme_has_150_lines_at_most():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@each_page
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@each_page
def test_links_to_headings_lead_to_one(page):
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)#([^)]+)\)", page.read_text("utf-8")):
        text = ((page.parent / link) if link else page).read_text("utf-8")
        headings = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
                    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
        assert anchor in headings


def test_the_index_has_every_page():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert [page.name for page in PAGES if page.parent != ROOT and page.name != "index.md"
            and f"({page.name})" not in index] == []


@each_page
def test_a_script_is_named_as_it_is_installed(page):
    """Except in the line that says how to run one that is not installed."""
    lines = re.findall(r"^.*(?<!tests/)\bscripts/\w+\.py\b.*$", page.read_text("utf-8"), re.MULTILINE)
    assert [line for line in lines if "scripts/NAME.py" not in line and page.name != "CONTRIBUTING.md"] == []


@each_page
def test_files_that_a_page_names_exist(page):
    named = re.findall(r"\b(?:tests|bench|demo|galaxy_api_scripts|docs)/[\w/]+\.(?:py|md|sh|tsv|ga|yml)\b",
                       page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists() and "/noun_verb" not in name] == []


def test_options_that_a_page_or_the_demonstration_uses_exist():
    helps = dict(re.findall(r"^### (\w+\.py)\n\n```text\n(.*?)^```", (ROOT / "docs" / "scripts.md").read_text("utf-8"),
                            re.MULTILINE | re.DOTALL))
    unknown = set()
    for page in [*PAGES, *(ROOT / "demo").glob("*.sh")]:
        if page.name != "scripts.md":
            for script, words in re.findall(r"(?<!/)\b(\w+\.py)((?: [^|`\n;&)]*)?)", page.read_text("utf-8")):
                unknown |= {(page.name, script, option) for option in re.findall(r" (--[a-z][a-z_-]+)", words)
                            if script in helps and option not in helps[script]}
    assert unknown == set()
