"""Recipes written for the scripts that Galaxy once shipped: what they import from common.py still does what they expect."""
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common import Galaxy, make_url

RECIPES = Path(__file__).parent / "recipes"
ROOT = RECIPES.parent.parent.parent


@pytest.fixture
def recipe(tmp_path):
    """Runs a recipe beside a copy of our modules, which is where people kept theirs."""
    for path in (*RECIPES.glob("*.py"), *ROOT.glob("*.py")):
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def run(name, *line, **extra):
        return subprocess.run([sys.executable, str(tmp_path / name), *line], capture_output=True, text=True, cwd="/", env={
            **{name: value for name, value in os.environ.items() if not name.startswith("GALAXY_")}, **extra})
    return run


def test_library_for_each_group(server, person, recipe):
    names = [f"group {secrets.token_hex(4)}" for _ in range(2)]
    for expected in ("2026", "there already"):
        ended = recipe("library_for_each_group.py", server.key, server.url, "2026", *names)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == "".join(f"{name}: {expected}\n" for name in names)
    there = [library for library in person.look("libraries") if library["name"] in names]
    assert sorted(library["name"] for library in there) == sorted(names)
    assert [library["description"] for library in there] == [f"Data of {library['name']}" for library in there]
    for library in there:
        # as administrator, because nobody else is shown an empty folder
        contents = Galaxy(server.key, server.url).get(f"libraries/{library['id']}/contents")
        assert [item["name"] for item in contents] == ["/", "/2026"]


def test_a_recipe_that_is_refused_stops_and_says_why(person, recipe):
    ended = recipe("library_for_each_group.py", person.key, person.url, "2026", "not allowed")
    assert ended.returncode != 0 and "403" in ended.stderr and person.key not in ended.stderr + ended.stdout
    assert "not allowed" not in [library["name"] for library in person.look("libraries")]


def test_rename_and_tidy(person, weather, recipe):
    full, empty = person.new_history("tidy full"), person.new_history("tidy empty")
    person.asked("POST", f"histories/{full}/contents", json={"source": "hda", "content": weather.dataset})
    ended = recipe("rename_and_tidy.py", person.key, f"{person.url}/api/histories", "tidy ", "tidied ")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("Response\n--------\n{'") == 2
    assert "Collection Members\n------------------\n#1: /api/histories/" in ended.stdout
    assert person.look(f"histories/{full}")["name"] == "tidied full"
    assert person.look(f"histories/{empty}")["deleted"]


def test_run_and_report(person, weather, workflow, recipe):
    ended = recipe("run_and_report.py", person.key, person.url, workflow, weather.dataset)
    assert (ended.returncode, ended.stderr) == (0, "")
    history = ended.stdout.split()[0]
    assert ended.stdout == f"{history} {{'ok': 4}}\n"
    assert person.look(f"histories/{history}")["tags"] == ["done"]


def test_everything_from_common(person, recipe):
    """`from common import *` gives what the old module had imported, and urllib's errors; the recipe quotes its values."""
    history, name = person.new_history("quoted name"), f"star {secrets.token_hex(4)}"
    ended = recipe("everything_from_common.py", person.key, person.url, name, GALAXY_RETRY_MAX="1")
    assert (ended.returncode, ended.stderr) == (0, f"looking for {name}\n")
    assert ended.stdout == f"1 a=b+c\n{GONE}\ndown\ndown\ndown\n{name}\n"
    assert {one["name"] for one in person.look("histories")} >= {"quoted name", name} and history


GONE = "400 Bad Request 400009"     # what Galaxy 26.1 says of an id that it can't decode


@pytest.mark.parametrize("place", ["a flat folder", "scripts/ of a checkout"])
def test_a_recipe_that_runs_the_verbs_beside_it(person, recipe, tmp_path, place):
    folder = tmp_path
    if place != "a flat folder":
        for path in ("common.py", "display.py", "create.py", "scripts", "galaxy_api_scripts"):
            (tmp_path / "checkout").mkdir(exist_ok=True)
            copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy2
            copy(ROOT / path, tmp_path / "checkout" / path, **({"symlinks": True} if copy is shutil.copytree else {}))
        folder = tmp_path / "checkout" / "scripts"
        shutil.copy2(RECIPES / "runs_the_verbs.py", folder)
    for name in ("keys", "jobs", "tools"):
        (folder / f"{name}.py").write_text(f"MINE = {name!r}\n")
    name = f"beside {secrets.token_hex(4)}"
    ended = recipe(folder / "runs_the_verbs.py", person.key, f"{person.url}/api/histories", name)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Response\n--------\n{") and f"  name: {name}\n" in ended.stdout
    assert [one["name"] for one in person.look("histories")].count(name) == 1


@pytest.mark.parametrize("difference, words", [
    ("text", "submit raises where it returned a text that begins 'Error.' before"),
    ("exit", "display raises where it exited before"),
    ("nobody", "the key is empty: is a variable unset? (to ask as nobody, give `anonymous`)")])
def test_the_three_differences_name_the_line_to_change(person, recipe, difference, words):
    ended = recipe("expects_the_old_failures.py", person.key, f"{person.url}/api/nowhere", difference)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert words in ended.stderr
    assert difference == "nobody" or re.search(r"line \d+ of expects_the_old_failures\.py", ended.stderr)


def test_make_url_gives_an_address_that_works_by_itself(person):
    import requests
    address = make_url(person.key, f"{person.url}/api/histories", [("limit", "1")])
    assert json.loads(requests.get(address, timeout=60).text) == person.look("histories", limit=1)
