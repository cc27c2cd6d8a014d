"""`make demo` and `make demo-sequencer`: the scripts of demo/ to their ends, from a copy of the checkout's folder."""
import csv
import os
import subprocess
import sys

import pytest

from galaxy_api_scripts.batch import ledger_reader

from .conftest import ROOT


@pytest.fixture
def demonstrate(home, tmp_path):
    """Returns a function that runs a script of demo/ and returns what subprocess does; results are below `tmp_path`/demo."""
    (tmp_path / "demo").mkdir()
    for name in ("scripts", "display.py", *(f"demo/{path.name}" for path in (ROOT / "demo").iterdir() if path.is_file())):
        (tmp_path / name).symlink_to(ROOT / name)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])

    def run(script):
        assert f"bash demo/{script}\n" in (ROOT / "Makefile").read_text()
        ended = subprocess.run(["bash", tmp_path / "demo" / script], capture_output=True, text=True, timeout=600, env={
            **os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GALAXY_LOCAL_HOME": str(home)})
        assert ended.returncode == 0, ended.stderr
        return ended
    return run


def wet_days():
    """The rows of the workflow's result, computed here: month, days, sum and most of a day."""
    months = {}
    for line in (ROOT / "demo" / "seattle_2015.tsv").read_text().splitlines()[1:]:
        _, month, rain = line.split("\t")[:3]
        if float(rain) >= 1:
            months.setdefault(month, []).append(float(rain))
    return {month: [len(rain), pytest.approx(sum(rain)), pytest.approx(max(rain))] for month, rain in months.items()}


def test_make_demo(admin, demonstrate, tmp_path):
    """From a file to a result: the table, and what Galaxy holds of it."""
    ended = demonstrate("demo.sh")
    assert ended.stderr == ""
    rows = [line.split() for line in ended.stdout.partition("\nmonth ")[2].splitlines()[2:]]
    assert {month: [int(days), float(rain), float(most)] for month, days, rain, most in rows} == wet_days()
    with open(tmp_path / "demo" / "results" / "manifest.tsv", newline="") as file:
        [result] = csv.DictReader(file, delimiter="\t")
    dataset = result["ref"].partition(":")[2]
    [run] = admin.look("invocations", history_id=admin.look(f"datasets/{dataset}")["history_id"])
    assert admin.look(f"invocations/{run['id']}")["outputs"]["wet_days"]["id"] == dataset
    assert [job["state"] for job in admin.look("jobs", invocation_id=run["id"])] == ["ok"] * 4


def test_make_demo_sequencer(admin, demonstrate, tmp_path):
    ended = demonstrate("sequencer.sh")
    runs = [f"26030{number}_A" for number in (1, 2, 3)]
    assert sorted(ended.stderr.splitlines()) == [f"{run} is done: {tmp_path}/demo/runs/results/{run}" for run in runs]
    assert "\nit ended with 143\n" in ended.stdout
    results = ended.stdout.splitlines()[-12:]
    assert results == [f"demo/runs/results/{run}/lines/{sample}/{mate}.tabular:{lines}" for run, lines in zip(runs, (
        40, 80, 160)) for sample in ("Lima_S2", "Oslo_S1") for mate in ("forward", "reverse")]
    for unit in ledger_reader.read_samples(tmp_path / "demo" / "runs" / "ledger"):
        assert len(admin.look("invocations", history_id=unit["history"])) == 1
    assert not list((tmp_path / "demo" / "runs" / "new").iterdir())
