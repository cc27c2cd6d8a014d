"""`--limit-rate` in each script that has it: it holds for each byte of a file, up or down, and for no other."""
import importlib
import io
import sys

import pytest
from conftest import ROOT
from fakes import KEY
from fakes.whole_jobs import JOBS, archive

from common import USAGE, GalaxyError
from galaxy_api_scripts import rate_limit
from galaxy_api_scripts.progress import enable_bars
from galaxy_api_scripts.rate_limit import RateLimit

# Bytes of the files that the whole job of each of them moves.
FILES = {"dataset_upload.py": 3 + 9, "collection_create.py": 3 + 3, "library_sync.py": 3, "library_upload_dir.py": 3,
         "dataset_download.py": 3, "library_download.py": 3, "invocation_download.py": 3, "workflow_run.py": 3 + 3,
         "workflow_batch.py": 2 + 2, "folder_watch.py": 3, "history_import.py": len(archive()),
         "history_export.py": len(archive()), "invocation_export.py": 144}


@pytest.fixture
def taken(monkeypatch):
    """`[(rate, size)]` of all bytes for which a transfer took its turn."""
    monkeypatch.setattr(rate_limit, "_current", RateLimit())
    sizes = []
    monkeypatch.setattr(RateLimit, "take", lambda self, size: sizes.append((self.rate, size)))
    yield sizes
    enable_bars(True)       # which -q of a job switches off for all that follows


def run_job(name, galaxy, work, monkeypatch, *options):
    """Do the script's whole job in the folder `work` with more options."""
    def run(*words, status=0, err="", stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with monkeypatch.context() as output:
            output.setattr(sys, "stdout", io.StringIO())
            assert script.main([*options, *map(str, words)]) in (None, status)
            return sys.stdout.getvalue()
    script = importlib.import_module(name.removesuffix(".py"))
    run.work = work
    work.mkdir()
    monkeypatch.chdir(work)
    JOBS[name](galaxy, run)


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_byte_of_a_file_takes_its_turn(name, wire, tmp_path, monkeypatch, taken):
    wire.polls = 0
    run_job(name, wire, tmp_path / "work", monkeypatch, "--limit-rate=1G")
    assert {rate for rate, _ in taken} == {2.0**30} and sum(size for _, size in taken) == FILES[name]


def test_every_script_that_has_the_option_is_listed():
    having = {path.name for path in (ROOT / "scripts").glob("*.py") if "  --limit-rate=RATE" in path.read_text("utf-8")}
    assert having == FILES.keys()


@pytest.mark.parametrize("value", ["0", "-1", "20X", "1e999", ""])
@pytest.mark.parametrize("name", sorted(FILES))
def test_a_wrong_rate_is_a_usage_error_before_anything_is_asked(name, value, wire, tmp_path, monkeypatch):
    with pytest.raises(GalaxyError) as caught:
        run_job(name, wire, tmp_path / "work", monkeypatch, f"--limit-rate={value}")
    assert caught.value.exit_code == USAGE and "\n" not in str(caught.value) and KEY not in str(caught.value)
    assert str(caught.value).startswith(f"--limit-rate={value}: expected bytes" if value else "--limit-rate is empty")
    assert wire.lines == []
