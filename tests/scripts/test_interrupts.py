"""Ctrl-C while a script starts ends it without a traceback (CASES D31); what is missing is said in one line."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import KEY
from fakes.galaxy import FakeGalaxy
from fakes.whole_jobs import JOBS

ROOT = Path(__file__).parents[2]
SCRIPTS = {name: next(path for path in (ROOT / name, ROOT / "scripts" / name) if path.exists()) for name in JOBS}
# Sends itself SIGINT when the module $INSTANT is imported, as if somebody had typed Ctrl-C at that very moment.
AT_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INSTANT"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture
def interrupted(tmp_path):
    """`interrupted(script, instant, *words)`: how a script ended that got SIGINT when it imported the module `instant`."""
    (tmp_path / "sitecustomize.py").write_text(AT_IMPORT)

    def run(name, instant, *words):
        return subprocess.run([sys.executable, SCRIPTS[name], *words], capture_output=True, text=True, cwd=tmp_path, env={
            "PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path), "INSTANT": instant})

    return run


def require_quiet(ended):
    assert ended.returncode in (130, -signal.SIGINT) and ended.stdout == "", ended
    assert ended.stderr.count("\n") <= 1 and "Traceback" not in ended.stderr, ended


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_d31_ctrl_c_while_requests_loads_prints_no_traceback(name, interrupted):
    require_quiet(interrupted(name, "urllib3.connectionpool", "--version"))


@pytest.mark.parametrize("name, instants", [
    ("display.py", ["http.cookiejar", "requests", "requests.adapters", "idna", "docopt", "tabulate"]),
    ("dataset_upload.py", ["galaxy_api_scripts", "galaxy_api_scripts.datasets.tus", "queue", "docopt"]),
    ("library_sync.py", ["galaxy_api_scripts.libraries.sync", "sqlite3", "galaxy_api_scripts.progress", "docopt"]),
    ("workflow_batch.py", ["galaxy_api_scripts.batch.runner", "sqlite3", "yaml", "docopt"]),
])
def test_d31_ctrl_c_at_any_later_instant_of_the_start_prints_no_traceback(name, instants, interrupted, tmp_path):
    with FakeGalaxy() as galaxy:
        history = galaxy.create_history("Run 12")
        (tmp_path / "in").mkdir()
        words = {"display.py": ["--format=table", KEY, f"{galaxy.url}/api/histories"],
                 "dataset_upload.py": [KEY, galaxy.url, history, "sitecustomize.py"],
                 "library_sync.py": [KEY, galaxy.url, "Lab", "in"],
                 "workflow_batch.py": [KEY, galaxy.url, "Copy", "sheet.tsv"]}[name]
        for instant in instants:
            ended = interrupted(name, instant, *words)
            if instant != "yaml" or ended.returncode != 2:      # which is not loaded where there is no need
                require_quiet(ended)
        assert galaxy.writes() == []


@pytest.mark.parametrize("missing, says", [
    ("requests", "pip install requests docopt-ng tabulate"), ("docopt", "pip install docopt-ng")])
def test_d31_a_missing_package_is_named_in_one_line(missing, says, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    for name in ("dataset_list.py", "display.py", "workflow_run.py"):
        ended = subprocess.run([sys.executable, SCRIPTS[name], "a", "b", "c"], capture_output=True, text=True, cwd=tmp_path,
                               env={"PATH": os.defpath, "PYTHONPATH": str(tmp_path)})
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1) and says in ended.stderr, ended


@pytest.mark.parametrize("debug", ["", "1"])
def test_an_error_in_a_thread_is_one_line_without_the_key(debug, tmp_path):
    (tmp_path / "script.py").write_text(f"""
import sys, threading, common
def fail(key):
    raise KeyError(f"no answer to {{key}}")
def main():
    common.register_secret({KEY!r})
    for act in (fail, sys.exit):
        thread = threading.Thread(target=act, args=[{KEY!r}])
        thread.start()
        thread.join()
common.run(main)
""")
    ended = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path, env={
        "PATH": os.defpath, "PYTHONPATH": str(ROOT), "GALAXY_DEBUG": debug})
    assert ended.stderr.splitlines()[-1].startswith("script.py: unforeseen: KeyError: 'no answer to ***'"), ended
    assert KEY not in ended.stderr and ("Traceback" in ended.stderr) == bool(debug)
