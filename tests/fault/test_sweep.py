"""A small part of the sweep (sweep.py), always the same; and that the sweep notices what it is there for."""
import subprocess
import sys
from pathlib import Path

from fakes.modes import MODES
from fakes.whole_jobs import JOBS

PROGRAM = Path(__file__).with_name("sweep.py")

# Makes a history, and is wrong in every way where it can't.
WRONG = """import json, sys, traceback, urllib.request
_, key, url, _ = sys.argv
headers = {"x-api-key": key, "Content-Type": "application/json"}
try:
    urllib.request.urlopen(urllib.request.Request(url, json.dumps({"name": "Run 12"}).encode(), headers))
except Exception:
    print(f"unforeseen: {key}")
    traceback.print_exc()
    open("../outside", "w").close()
"""


def sweep(*options):
    return subprocess.run([sys.executable, PROGRAM, *options], capture_output=True, text=True)


def test_scripts_do_no_harm_where_a_server_is_wrong():
    ended = sweep("--one-in=200")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout


def test_no_script_that_prints_is_done_where_standard_output_is_full():
    ended = sweep("--mode=output full", "--place=every")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert int(ended.stdout.split()[0]) >= 60       # runs


def test_the_sweep_has_all_modes_and_scripts():
    assert len(MODES) >= 35 and len(JOBS) >= 60


def test_the_sweep_notices_a_script_that_does_harm(tmp_path):
    (tmp_path / "create.py").write_text(WRONG)
    ended = sweep(f"--script={tmp_path / 'create.py'}", "--mode=status 500", "--place=every")
    assert ended.returncode == 1
    for figure in ("traceback", "unforeseen", "status 0 without the job done", "key or password shown",
                   "file outside the folder"):
        assert f"{figure}: " in ended.stdout, figure
