"""The commands of README.md and of docs/ run as they stand there, with this server's address and ids in place of theirs.

docs/cron.md and docs/sequencer.md have their tests in test_cron_and_sequencer_live.py, docs/proxy.md in test_proxy_live.py.
NOT_RUN has the reasons for the blocks that no test runs.
"""
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from galaxy_api_scripts.batch.ledger import Ledger

from .conftest import Person

ROOT = Path(__file__).parent.parent.parent
PAGES = {"README": (ROOT / "README.md").read_text("utf-8"),
         **{page.stem: page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md") if page.stem != "scripts"}}
BLOCKS = {page: re.findall(r"```console\n(.*?)```", text, re.DOTALL) for page, text in PAGES.items()}
RECIPES = re.findall(r"^\| [^|`]+ \| `([^`]+\.py [^`]+)` \|$", PAGES["recipes"], re.MULTILINE)
SHOWN_OUTPUT = [("README", 0), ("README", 4), ("data", 0), ("workflows", 0), ("samples", 0), ("verbs", 2)]
VERBS = [("README", 3), ("verbs", 0)]
CHECKED = ("verbs", 3)
NOT_RUN = {("README", 1): "pip and make install all: CI runs make test, test_demo_live.py both demonstrations",
           ("README", 2): "asks for a password: the tests of key_show.py answer it",
           ("keys", 0): "asks for a password: the tests of key_show.py answer it",
           ("keys", 1): "starts and stops a Galaxy: tests/live/conftest.py does",
           ("verbs", 1): "has lines of test_verbs_to_a_file_live.py",
           ("legacy", 0): "no server since 18.01 has these routes"}
ELSEWHERE = {"cron", "sequencer", "proxy"}


@pytest.fixture
def shell(person, tmp_path):
    """Runs lines of the README in bash, from a copy of the checkout's folder; returns what they print."""
    (tmp_path / "demo").mkdir()
    for name in ("scripts", "display.py", "create.py", "update.py", "delete.py", "demo/seattle_2015.tsv",
                 "demo/wet_days.ga", "demo/reads.gxwf.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.path.dirname(sys.executable), os.environ["PATH"]])

    def run(lines, status=0, **settings):
        ended = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", lines], cwd=tmp_path, capture_output=True, text=True,
                               env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GALAXY_URL": person.url,
                                    "GALAXY_API_KEY": person.key, **settings})
        assert ended.returncode == status, ended.stderr
        assert status or ended.stderr == ""
        return ended.stdout + ended.stderr
    return run


def commands(block):
    return "\n".join(line[2:] for line in block.splitlines() if line.startswith("$ "))


def masked(text):
    return re.sub(r"\b[0-9a-f]{16}\b", "ID", re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text))


def put_files(folder):
    """The files that the pages name: the tables of two stations, a sheet of them, and two pairs of reads."""
    for name in ("stations", "reads"):
        (folder / name).mkdir()
    for name in ("portland", "seattle"):
        (folder / "stations" / f"{name}.tsv").write_text((ROOT / "demo" / "seattle_2015.tsv").read_text())
    (folder / "stations.tsv").write_text("sample\tobservations\n" + "".join(
        f"{name}\tstations/{name}.tsv\n" for name in ("portland", "seattle")))
    for name in ("S1_R1", "S1_R2", "S2_R1", "S2_R2"):
        (folder / "reads" / f"{name}.fastq").write_text(f"@{name}\nACGT\n+\nIIII\n")


@pytest.mark.parametrize("page, number", SHOWN_OUTPUT)
def test_commands_print_what_the_page_shows(shell, tmp_path, page, number):
    """The order of a batch's samples, which end in any order, does not count."""
    block = BLOCKS[page][number]
    put_files(tmp_path)
    lines = commands(block).replace("Run 12", f"Run of {tmp_path.name}")
    lines = re.sub(r"(download.* )[0-9a-f]{16}$", r"\1$(invocation_wait.py --format=value --fields=id - - $run)", lines,
                   flags=re.MULTILINE)
    output = [line for line in masked(block).splitlines() if line and not line.startswith(("$ ", "# "))]
    printed = masked(shell(lines)).replace(" on data ", " on dataset ")     # as older releases have it
    printed = [line for line in printed.splitlines() if line]
    if "workflow_batch.py" in block:
        printed, output = sorted(printed), sorted(output)
    assert printed == output
    if (tmp_path / "back").exists():
        assert (tmp_path / "back" / "seattle_2015.tsv").read_bytes() == (ROOT / "demo" / "seattle_2015.tsv").read_bytes()
    if (tmp_path / "all").exists():
        wettest = (tmp_path / "all" / "wet_days" / "seattle.tabular").read_text().splitlines()
        assert 0 < len(wettest) < 12 and (tmp_path / "all.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("page, number", VERBS)
def test_the_four_verbs(shell, person, page, number):
    history = person.new_history("verbs")
    lines = commands(BLOCKS[page][number]).replace("KEY", person.key).replace("https://usegalaxy.org", person.url)
    printed = shell(lines.replace("histories/ID", f"histories/{history}"))
    assert "Collection Members\n" in printed or page == "README"
    assert printed.count("Response\n--------\n") == 3
    assert person.look(f"histories/{history}")["purged"]
    assert "Run 12" in {one["name"] for one in person.look("histories")}


@pytest.mark.needs("described routes")
def test_lines_that_are_checked_are_refused_as_on_the_page(shell):
    page, number = CHECKED
    lines = BLOCKS[page][number].splitlines()
    for line, told in zip(lines[::2], lines[1::2]):
        assert shell(line.removeprefix("$ "), status=2) == f"{told}\n"


def test_every_block_of_commands_is_run_or_has_a_reason_not_to():
    blocks = {(page, number) for page, found in BLOCKS.items() if page not in ELSEWHERE for number in range(len(found))}
    assert blocks == {*SHOWN_OUTPUT, *VERBS, *NOT_RUN, CHECKED}
    assert len(RECIPES) == PAGES["recipes"].count("\n| ") - 1


@pytest.fixture(scope="module")
def shelf(admin):
    """A library with a dataset in it: `id`, and its `dataset`."""
    library = admin.new_library()
    own = admin.uploaded(admin.new_history("for a library"), ROOT / "demo" / "seattle_2015.tsv")
    copy = admin.asked("POST", f"folders/{library.root_folder_id}/contents", json={"from_hda_id": own})
    return SimpleNamespace(id=library.id, dataset=copy["library_dataset_id"])


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes(shell, person, admin, workflow, weather, shelf, tool_shed, recipe, tmp_path):
    (tmp_path / "s1.fastq.gz").write_bytes(b"not looked into")
    for name in ("S1_R1", "S1_R2"):
        (tmp_path / f"{name}.fastq").write_text(f"@{name}\nACGT\n+\nIIII\n")
    for folder in ("runs", "drop"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("a")
    words = {"HISTORY_ID": weather.history, "WORKFLOW_ID": workflow, '"Input label"': "observations",
             "devteam/fastqc": f"{urlsplit(tool_shed).netloc}/repos/demo/tally",
             "ann@example.org": person.email, "LIBRARY_ID": shelf.id, "LIBRARY_DATASET_ID": shelf.dataset,
             "DATASET_ID DATASET_ID": weather.dataset, "DATASET_ID": weather.dataset,
             "histories/ID": f"histories/{weather.history}", "/data/": f"{tmp_path}/", "\\|": "|"}
    if "INVOCATION_ID" in recipe:
        words["INVOCATION_ID"] = person.value("workflow_execute.py", "--format=value", "--fields=id", person.key, person.url,
                                              workflow, "recipe", f"0=hda={weather.dataset}")
    if "--job=" in recipe:
        (tmp_path / "job.yml").write_text("observations: {class: File, path: demo/seattle_2015.tsv}\n")
    if "stations.tsv" in recipe:
        put_files(tmp_path)
        Ledger(tmp_path / "stations.tsv.ledger").close()
    if "delete.py" in recipe:
        words["histories/ID"] = f"histories/{person.new_history('recipe')}"
    if "tool_install.py" in recipe:
        (tmp_path / "tools.yml").write_text(f"tools: [{{name: tally, owner: demo, tool_shed_url: '{tool_shed}'}}]\n")
        words["rna_seq.ga"] = "demo/wet_days.ga"
    asks = admin if "librar" in recipe or "tool_install" in recipe else person
    if asks is admin:
        (tmp_path / "paths.txt").write_text("demo/wet_days.ga\n")
        words["histories/ID"] = f"histories/{admin.new_history('recipe')}"
    for word, value in words.items():
        recipe = recipe.replace(word, value)
    assert not re.search(r"[A-Z]_ID", recipe)
    shell(recipe, GALAXY_API_KEY=asks.key)


def test_your_own_script(server, tmp_path):
    person = Person(server)     # somebody in whose histories nothing is under way, which would change them meanwhile
    [text] = re.findall(r"```python\n(.*?)```", PAGES["writing"], re.DOTALL)
    (tmp_path / "large.py").write_text(text)
    history = person.new_history("not large")
    person.uploaded(person.new_history("large"), ROOT / "demo" / "seattle_2015.tsv")
    ended = subprocess.run([sys.executable, tmp_path / "large.py", "--over=0", person.key, person.url], capture_output=True,
                           text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = {line.split()[0] for line in ended.stdout.splitlines()[2:]}
    assert shown == {one["id"] for one in person.look("histories", keys="id,size") if one["size"] > 0}
    assert shown and history not in shown
