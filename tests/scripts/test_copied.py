"""Each script copied into a folder of somebody's own modules, with what it imports and nothing else, does its whole job."""
import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from fakes import KEY
from fakes.whole_jobs import JOBS, fake_of

ROOT = Path(__file__).parents[2]
VERBS = [ROOT / f"{name}.py" for name in ("display", "create", "update", "delete")]
SCRIPTS = {path.name: path for path in VERBS + [path for path in sorted((ROOT / "scripts").glob("*.py"))
                                                if not path.is_symlink()]}
# What users call their own modules, and what some of ours were called.
USERS_OWN = ("keys", "files", "jobs", "runs", "tools", "records", "inputs")

# requests, with what it requires, docopt and tabulate.
BARE = ("requests", "urllib3", "idna", "certifi", "charset-normalizer", "docopt-ng", "tabulate")

# These need common.py alone, with requests, docopt and tabulate.
COMMON_ALONE = [
    "create.py", "delete.py", "display.py", "update.py", "copy_hda_to_library_folder.py",
    "data_manager_example_execute.py", "dataset_list.py", "filter_failed_datasets_from_collection.py",
    "history_create_history.py", "history_delete_history.py", "import_library_dataset_to_history.py", "invocation_list.py",
    "key_show.py", "library_create_folder.py", "library_create_library.py", "library_upload_from_import_dir.py",
    "reset_metadata_on_installed_repositories.py", "tool_list.py", "workflow_delete.py", "workflow_list.py"]


def environment(folder, *distributions):
    """The Python of a new environment that has these distributions and nothing else."""
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for name in distributions:
        about = importlib.metadata.distribution(name)
        for top in {path.parts[0] for path in about.files} - {"..", "__pycache__"}:
            (packages / top).symlink_to(about.locate_file(top))
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("bare"), *BARE)


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("full"), *BARE, "PyYAML", "tqdm", "Jinja2", "MarkupSafe")


class Copied:
    """`run(*words)`: the script in its folder, run from another one as a user would; returns what it printed.

    All that it says on standard error is what the test names with `err`, part of it; a run that says nothing there is the
    rule.
    """

    def __init__(self, python, script, work):
        self.python, self.script, self.work = python, script, work

    def __call__(self, *words, status=0, err="", stdin=""):
        ended = subprocess.run([self.python, self.script, *map(str, words)], cwd=self.work, input=stdin, text=True,
                               capture_output=True, env={"HOME": str(self.work), "PATH": os.defpath}, timeout=120)
        assert ended.returncode == status and (err in ended.stderr if err else ended.stderr == ""), ended
        assert KEY not in ended.stderr
        return ended.stdout


@pytest.fixture
def name():
    return "display.py"


@pytest.fixture
def galaxy(name):
    server = fake_of(name)(polls=0)
    yield server
    server.close()


@pytest.fixture
def copied(name, tmp_path, bare, full):
    """The script `name`, copied with common.py, and with the package if it imports that, beside the user's own modules."""
    folder, work = tmp_path / "copied", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    shutil.copy(SCRIPTS[name], folder)
    shutil.copy(ROOT / "common.py", folder)
    if name not in COMMON_ALONE:
        shutil.copytree(ROOT / "galaxy_api_scripts", folder / "galaxy_api_scripts")
    for own in USERS_OWN:
        (folder / f"{own}.py").write_text("raise SystemExit('this is the user\\'s own module')\n")
    return Copied(bare if name in COMMON_ALONE else full, folder / name, work)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_copied_script_does_its_whole_job(name, copied, galaxy):
    assert f"  {name} [options]" in copied("--help")
    JOBS[name](galaxy, copied)


@pytest.fixture(scope="session")
def least(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("least"), *set(BARE) - {"tabulate"})


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_printed_in_a_bare_checkout(name, least):
    """As when all lay in one folder: `cd scripts; ./x.py`, where nothing is installed but requests and docopt."""
    ended = subprocess.run([least, name, "--help"], cwd=ROOT / "scripts", capture_output=True, text=True,
                           env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"})
    assert (ended.returncode, ended.stderr) == (0, "") and "Usage:" in ended.stdout


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - set(COMMON_ALONE)))
def test_a_script_copied_without_the_package_that_it_needs_says_so_in_one_line(name, tmp_path):
    for path in (SCRIPTS[name], ROOT / "common.py"):
        shutil.copy(path, tmp_path)
    hidden = (f"import sys, runpy; sys.modules['galaxy_api_scripts'] = None; sys.path.insert(0, {str(tmp_path)!r}); "
              f"runpy.run_path({str(tmp_path / name)!r}, run_name='__main__')")
    ended = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 1 and ended.stdout == "" and ended.stderr.count("\n") == 1
    assert "the folder galaxy_api_scripts is missing: copy it beside this script" in ended.stderr


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_twenty_scripts_need_common_alone():
    assert len(set(COMMON_ALONE) & set(SCRIPTS)) >= 20


@pytest.mark.parametrize("name", COMMON_ALONE)
def test_what_needs_common_alone_loads_nothing_of_the_package(name):
    loads = f"import runpy, sys; runpy.run_path({str(SCRIPTS[name])!r}); print('galaxy_api_scripts' in sys.modules)"
    assert python(loads).stdout == "False\n"


POSIX_MODULES = ["fcntl", "grp", "pwd", "resource", "termios"]
POSIX_SIGNALS = ["SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2"]


def test_the_verbs_work_where_there_is_neither_fcntl_nor_a_signal_of_posix(galaxy):
    history = galaxy.create_history("Run 12")
    line = ["display.py", "--format=value", "--fields=name", KEY, f"{galaxy.url}/api/histories/{history}"]
    code = f"""
import signal, sys
for name in {POSIX_MODULES}:
    sys.modules[name] = None
for name in {POSIX_SIGNALS}:
    delattr(signal, name)
sys.argv = {line}
import runpy
runpy.run_path({str(ROOT / "display.py")!r}, run_name="__main__")
"""
    ended = python(code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Run 12\n", "")
