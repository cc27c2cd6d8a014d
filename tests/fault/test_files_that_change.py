"""A file that changes between its upload and the submission: nothing is run on what it was before."""
import folder_watch
import pytest
from fakes import KEY
from fakes.batches import server

from common import DONE

__all__ = ["server"]        # a fixture


@pytest.fixture
def visit(server, script, tmp_path, capsys):
    """`visit()`: what a visit of folder_watch.py to the folder `in` says on standard error."""
    (tmp_path / "in").mkdir()

    def call():
        status = script(folder_watch.main, "-q", "--once", "--settle=0", KEY, server.url, tmp_path / "in", "Copy")
        return status, capsys.readouterr().err
    return call


def test_a_file_that_changes_after_its_upload_is_not_run(server, visit, tmp_path):
    file = tmp_path / "in" / "a.tsv"
    file.write_text("half of it\n")
    server.answers["POST fetch"] = [lambda handler: file.write_text("all of it, at last\n") and None]
    status, words = visit()
    assert status != DONE and "changed while" in words and "POST invocations" not in server.kinds


def test_the_changed_file_is_run_by_a_later_visit(server, visit, tmp_path):
    file = tmp_path / "in" / "a.tsv"
    file.write_text("half of it\n")
    server.answers["POST fetch"] = [lambda handler: file.write_text("all of it, at last\n") and None]
    for _ in range(4):
        visit()
    [run] = server.runs.values()
    assert server.datasets[run["inputs"]["0"]["id"]]["content"] == b"all of it, at last\n"
