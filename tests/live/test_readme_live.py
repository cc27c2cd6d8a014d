"""The README's commands, run as they stand there, with this server's address and ids in the places of its words.

Not run: `make demo` and `make test` (they run this), the installation by pip, the password prompt of key_show.py (its own
tests answer it).
"""
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from galaxy_api_scripts.batch.ledger import Ledger

from .conftest import Person

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
RECIPES = re.findall(r"^\| [^|`]+ \| `([^`]+\.py [^`]+)` \|$", README, re.MULTILINE)


@pytest.fixture
def shell(person, tmp_path):
    """Runs lines of the README in bash, from a copy of the checkout's folder; returns what they print."""
    (tmp_path / "demo").mkdir()
    for name in ("scripts", "display.py", "create.py", "update.py", "delete.py", "demo/seattle_2015.tsv",
                 "demo/wet_days.ga", "demo/reads.gxwf.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.path.dirname(sys.executable), os.environ["PATH"]])

    def run(lines, **settings):
        ended = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", lines], cwd=tmp_path, capture_output=True, text=True,
                               env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GALAXY_URL": person.url,
                                    "GALAXY_API_KEY": person.key, **settings})
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr == ""
        return ended.stdout
    return run


def commands(block):
    return "\n".join(line[2:] for line in block.splitlines() if line.startswith("$ "))


def masked(text):
    return re.sub(r"\b[0-9a-f]{16}\b", "ID", re.sub(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text))


def test_the_session_at_the_top_prints_what_it_says(shell):
    lines = re.sub(r"[0-9a-f]{16}$", "$(python scripts/invocation_wait.py --format=value --fields=id - - $run)",
                   commands(BLOCKS[0]), flags=re.MULTILINE)
    told = "\n".join(line for line in BLOCKS[0].splitlines() if not line.startswith("$ ")) + "\n"
    assert masked(shell(lines)) == masked(told)


def test_moving_data_prints_what_it_says(shell, tmp_path):
    [block] = [block for block in BLOCKS if "list:paired" in block]
    (tmp_path / "reads").mkdir()
    for name in ("S1_R1", "S1_R2", "S2_R1", "S2_R2"):
        (tmp_path / "reads" / f"{name}.fastq").write_text(f"@{name}\nACGT\n+\nIIII\n")
    lines = commands(block).replace("Run 12", f"Run of {tmp_path.name}")
    told = "\n".join(line for line in block.splitlines() if not line.startswith("$ ")) + "\n"
    assert masked(shell(lines)) == masked(told)
    assert (tmp_path / "back" / "seattle_2015.tsv").read_bytes() == (ROOT / "demo" / "seattle_2015.tsv").read_bytes()


def put_stations(folder):
    """The tables of two stations, and a sheet of them."""
    (folder / "stations").mkdir()
    for name in ("portland", "seattle"):
        (folder / "stations" / f"{name}.tsv").write_text((ROOT / "demo" / "seattle_2015.tsv").read_text())
    (folder / "stations.tsv").write_text("sample\tobservations\n" + "".join(
        f"{name}\tstations/{name}.tsv\n" for name in ("portland", "seattle")))


def test_many_samples_prints_what_it_says(shell, tmp_path):
    """But for which of the two ends first."""
    [block] = [block for block in BLOCKS if "stations.tsv" in block]
    put_stations(tmp_path)
    told = [line for line in block.splitlines() if not line.startswith("$ ")]
    assert sorted(masked(shell(commands(block))).splitlines()) == sorted(masked(line) for line in told)


def test_running_workflows_prints_what_it_says(shell, tmp_path):
    [block] = [block for block in BLOCKS if "stations/*" in block]
    put_stations(tmp_path)
    told = "\n".join(line for line in block.splitlines() if not line.startswith("$ ")) + "\n"
    assert masked(shell(commands(block))) == masked(told)
    wettest = (tmp_path / "all" / "wet_days" / "seattle.tabular").read_text().splitlines()
    assert 0 < len(wettest) < 12 and (tmp_path / "all.html").read_text().startswith("<!DOCTYPE html>")


def test_the_four_verbs(shell, person):
    [block] = [block for block in BLOCKS if "--all --fields=id,name,count" in block]
    history = person.new_history("readme")
    lines = commands(block).replace("KEY", person.key).replace("https://usegalaxy.org", person.url)
    told = shell(lines.replace("histories/ID", f"histories/{history}"))
    assert "Collection Members\n" in told and told.count("Response\n--------\n") == 3
    assert person.look(f"histories/{history}")["purged"]
    assert "Run 12" in {one["name"] for one in person.look("histories")}


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
             "https://toolshed.g2.bx.psu.edu": tool_shed, "-n fastqc -o devteam": "-n tally -o demo",
             "LIBRARY_ID": shelf.id, "LIBRARY_DATASET_ID": shelf.dataset,
             "DATASET_ID DATASET_ID": weather.dataset, "DATASET_ID": weather.dataset,
             "histories/ID": f"histories/{weather.history}", "/data/": f"{tmp_path}/", "\\|": "|"}
    if "INVOCATION_ID" in recipe:
        words["INVOCATION_ID"] = person.value("workflow_execute.py", "--format=value", "--fields=id", person.key, person.url,
                                              workflow, "recipe", f"0=hda={weather.dataset}")
    if "--job=" in recipe:
        (tmp_path / "job.yml").write_text("observations: {class: File, path: demo/seattle_2015.tsv}\n")
    if "stations.tsv" in recipe:
        put_stations(tmp_path)
        Ledger(tmp_path / "stations.tsv.ledger").close()
    if "delete.py" in recipe:
        words["histories/ID"] = f"histories/{person.new_history('recipe')}"
    asks = admin if "librar" in recipe or "tool_shed" in recipe else person
    if asks is admin:
        (tmp_path / "paths.txt").write_text("demo/wet_days.ga\n")
        words["histories/ID"] = f"histories/{admin.new_history('recipe')}"
    for word, value in words.items():
        recipe = recipe.replace(word, value)
    assert not re.search(r"[A-Z]_ID", recipe)
    shell(recipe, GALAXY_API_KEY=asks.key)


def test_the_crontab_is_silent_and_does_its_job(admin, tmp_path):
    [block] = re.findall(r"```crontab\n(.*?)```", README, re.DOTALL)
    library = admin.new_library()
    (tmp_path / "runs" / "12").mkdir(parents=True)
    (tmp_path / "runs" / "12" / "a.txt").write_text("a")
    os.utime(tmp_path / "runs" / "12" / "a.txt", (0, 0))
    (tmp_path / "runs" / "being written").write_text("b")
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(f"{admin.key}\n")
    for word, value in {"https://galaxy.example.org": admin.url, "/home/me/.galaxy.key": f"{tmp_path}/key",
                        "/data": str(tmp_path), "f597429621d6eb2b": library.id, "15 2 * * *": "",
                        "/opt/scripts/.venv/bin/": f"{sys.executable} {ROOT}/scripts/"}.items():
        assert word in block
        block = block.replace(word, value)
    *settings, line = block.strip().splitlines()
    ended = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, cwd="/", env={
        "HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **dict(one.split("=") for one in settings)})
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert [item["name"] for item in admin.look(f"libraries/{library.id}/contents") if item["type"] == "file"] == [
        "/runs/12/a.txt"]


def test_there_are_recipes():
    assert len(RECIPES) == 35 and len(BLOCKS) == 8


def test_your_own_script(server, tmp_path):
    person = Person(server)     # somebody in whose histories nothing is under way, which would change them meanwhile
    [text] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "large.py").write_text(text)
    history = person.new_history("not large")
    person.uploaded(person.new_history("large"), ROOT / "demo" / "seattle_2015.tsv")
    ended = subprocess.run([sys.executable, tmp_path / "large.py", "--over=0", person.key, person.url], capture_output=True,
                           text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = {line.split()[0] for line in ended.stdout.splitlines()[2:]}
    assert shown == {one["id"] for one in person.look("histories", keys="id,size") if one["size"] > 0}
    assert shown and history not in shown
