"""What takes long: `make soak` runs these, `make test` does not. Their latest figures are in docs/reliability.md."""
import csv
import json
import os
import signal
import subprocess
import time
from collections import Counter

import pytest
from fakes.roads import LosingRoad, SlowRoad

from galaxy_api_scripts.local_server.processes import port_in_use

from .conftest import ROOT, local
from .processes import begun, kill, killed_again_and_again, until
from .test_transfer_live import MIB, arrived, held, large, sha256
from .test_workflow_batch_live import FIRST, a_sheet, fetched, ledger, one_run_each

__all__ = ["large"]    # a fixture
pytestmark = pytest.mark.soak


@pytest.fixture
def thousands(tmp_path):
    """A folder of 5,000 small files in 50 folders."""
    for number in range(5000):
        path = tmp_path / "data" / f"lane{number % 50}" / f"sample {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"sample {number}\n" * (number % 7))
    return tmp_path / "data"


def test_a_folder_of_5000_files_killed_again_and_again_there_and_back(person, thousands, tmp_path, state, instants):
    history = person.new_history("five thousand")
    line = ["dataset_upload.py", "--recursive", "--wait", "-q", "--transfers=8", person.key, person.url, history, thousands]
    began = time.monotonic()
    kills = killed_again_and_again(person, line, instants, 10, 60, **state)
    print(f"up with {kills} kills: {time.monotonic() - began:.0f} s")
    there = person.look(f"histories/{history}/contents", v="dev", keys="file_size,hashes,state")
    names = Counter(one["name"] for one in there if not one["deleted"])
    assert len(names) == 5000 and set(names.values()) == {1} and {one["state"] for one in there} == {"ok"}

    to = tmp_path / "back"
    line = ["dataset_download.py", f"--to={to}", "--name={name}", "-q", "--transfers=8", person.key, person.url,
            f"history:{history}"]
    began = time.monotonic()
    kills = killed_again_and_again(person, line, instants, 10, 20, records=False, **state)
    print(f"down with {kills} kills: {time.monotonic() - began:.0f} s")
    with open(to / "manifest.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 5000
    for row in rows:
        assert (to / row["path"]).read_bytes() == (thousands / row["name"]).read_bytes()
    assert len([path for path in to.rglob("*") if path.is_file()]) == 5001


def test_a_hundred_kills_of_uploads(person, large, state, instants):
    """Ten uploads of 256 MiB, each killed ten times."""
    kills = 0
    for number in range(10):
        road = SlowRoad(person.url, 60 * MIB)
        history = person.new_history(f"soak {number}")
        line = ["dataset_upload.py", "--wait", "-q", person.key, road.url, history, large]
        kills += killed_again_and_again(person, line, instants, 10, 2.0, **state)
        road.close()
        assert arrived(person, history, {large.name: large})
        person.asked("DELETE", f"histories/{history}", json={"purge": True})
    print(f"{kills} kills in all")
    assert kills >= 50


@pytest.mark.parametrize("count", [1, 8])
def test_a_link_that_is_cut_every_second(person, large, state, instants, tmp_path, count):
    """2 GiB, in one file or in several side by side, over a link that breaks all the time, up and down."""
    paths = [tmp_path / f"part {number}.bin" for number in range(count)]
    content = large.read_bytes()
    for number in range(8):
        with open(paths[number % count], "ab") as file:
            file.write(content[number:] + content[:number])
    road = SlowRoad(person.url, 100 * MIB)
    history = person.new_history("cut every second")
    process = begun(person, "dataset_upload.py", "--wait", "-q", "--ext=txt", f"--transfers={count}", person.key, road.url,
                    history, *paths, **state)
    cuts = cut_until_it_ends(process, road, instants)
    assert arrived(person, history, {path.name: path for path in paths})
    print(f"up: {cuts} cuts")
    made = [one["id"] for one in held(person, history)]
    process = begun(person, "dataset_download.py", f"--to={tmp_path}/to", f"--transfers={count}", person.key, road.url,
                    *made, **state)
    print(f"down: {cut_until_it_ends(process, road, instants)} cuts")
    road.close()
    assert sorted(os.listdir(tmp_path / "to")) == ["manifest.tsv", *(path.name for path in paths)]
    assert [sha256(tmp_path / "to" / path.name) for path in paths] == [sha256(path) for path in paths]


def cut_until_it_ends(process, road, instants):
    """How many times all that was under way was cut until a process had ended well."""
    cuts = 0
    deadline = time.monotonic() + 900
    while process.poll() is None:
        time.sleep(instants.uniform(0.5, 1.5))
        road.cut()
        cuts += 1
        if time.monotonic() > deadline:
            kill(process)
            pytest.fail(f"it has not ended after 900 s and {cuts} cuts")
    assert process.returncode == 0
    return cuts


def test_thirty_samples_whatever_happens(person, home, tmp_path, state, instants):
    """The script is killed 25 times, Galaxy three times, and three answers to submissions are lost. Uploads whose job goes
    with Galaxy's worker are sent once more after a minute here, not after ten or after hours."""
    impatient = tmp_path / "workflow_batch.py"
    impatient.write_text("import runpy\nfrom galaxy_api_scripts.batch import lost_uploads as limits\n\n"
                         "limits.MAKING_LIMIT, limits.QUEUED_LIMIT = (60, limits.MAKING_LIMIT[1]), 60\n"
                         f"runpy.run_path({str(ROOT / 'scripts' / 'workflow_batch.py')!r}, run_name='__main__')\n")
    sheet = a_sheet(tmp_path, 30)
    road = LosingRoad(person.url, numbers=(2, 11, 20))
    line = [impatient, "-q", "--transfers=8", f"--download={tmp_path}/out", person.key, road.url, FIRST, sheet]
    with_galaxy = instants.sample(range(25), 3)
    began, kills = time.monotonic(), 0
    for number in range(25):
        process = begun(person, *line, **state)
        if number in with_galaxy:
            time.sleep(instants.uniform(1, 4))
            galaxy = json.loads((home / "state.json").read_text())
            os.kill(galaxy["server"]["pid"], signal.SIGKILL)
            until(lambda port=galaxy["port"]: not port_in_use(port))    # a job that it had begun keeps that open
            assert local("start").returncode == 0
        try:
            assert process.wait(timeout=instants.uniform(0.3, 4)) == 0
        except subprocess.TimeoutExpired:
            kills += kill(process)
    process = begun(person, *line, **state)
    process.wait(timeout=1800)
    road.close()
    assert process.returncode == 0, [unit["message"] for unit in ledger(person, sheet).values() if unit["message"]]
    again = one_run_each(person, sheet, 30)
    print(f"{kills} kills, Galaxy killed in the runs {sorted(with_galaxy)}, answers lost to {len(road.lost)} submissions; "
          f"{again} runs were submitted again because their jobs were killed with Galaxy; {time.monotonic() - began:.0f} s")
    assert kills == 25 and len(road.lost) == 3 and fetched(tmp_path / "out", 30)
