"""library_list.py against the fake Galaxy: the libraries, what is in one, and folders that Galaxy fails to list."""
import json

import library_list
import pytest
from fakes import KEY

from common import DONE, FAILED, USAGE


@pytest.fixture
def listed(script, shelf, capsys):
    """`listed(*words, status=0, err="")`: the rows that the script prints; `err` is in what it says on standard error."""
    def call(*words, status=DONE, err=""):
        assert script(library_list.main, "--format=jsonl", KEY, shelf.url, *words) == status, capsys.readouterr()
        out, said = capsys.readouterr()
        assert (err in said) if err else said == "", said
        return list(map(json.loads, out.splitlines()))
    return call


@pytest.fixture
def runs(shelf):
    """The folder runs/2026, with a dataset in each folder."""
    runs = shelf.add(shelf.root, "runs")
    year = shelf.add(runs, "2026")
    for folder, name in ((shelf.root, "top.txt"), (runs, "b.txt"), (year, "a.txt")):
        shelf.add(folder, name, b"abc")
    return runs


def test_the_libraries_in_the_order_of_their_names(listed, shelf):
    other = shelf.create_library("archive")
    assert [(row["id"], row["name"]) for row in listed()] == [(other["id"], "archive"), (shelf.library, "Shelf")]
    listed("--deleted")
    assert [one.path for one in shelf.asked if one.path.startswith("/api/libraries")] == [
        "/api/libraries?deleted=false", "/api/libraries?deleted=true"]


def test_what_is_in_a_library_a_folder_and_all_below(listed, shelf, runs):
    rows = listed("Shelf")
    assert [(row["path"], row["kind"]) for row in rows] == [("runs", "folder"), ("top.txt", "dataset")]
    assert (rows[0]["id"], rows[0]["ref"], rows[1]["ref"]) == (runs, None, f"ldda:d{rows[1]['id']}")
    assert [row["path"] for row in listed("--path=/runs/2026/", shelf.library)] == ["runs/2026/a.txt"]
    assert [(row["path"], row["file_size"]) for row in listed("-r", "Shelf")] == [
        ("runs", None), ("runs/2026", None), ("runs/2026/a.txt", 3), ("runs/b.txt", 3), ("top.txt", 3)]
    assert [row["path"] for row in listed("-r", "--path=runs", "Shelf")] == ["runs/2026", "runs/2026/a.txt", "runs/b.txt"]
    assert not shelf.writes()


def test_a_folder_that_galaxy_fails_to_list_is_in_the_librarys_list(listed, shelf, runs):
    """One without a description, as fetches leave them."""
    shelf.answers[f"GET /api/folders/{runs}/contents"] = (500, {"err_msg": "Uncaught exception", "err_code": 0})
    rows = listed("-r", "Shelf")
    assert sorted(row["path"] for row in rows) == ["runs", "runs/2026", "runs/2026/a.txt", "runs/b.txt", "top.txt"]
    [file] = [row for row in rows if row["path"] == "runs/b.txt"]
    assert (file["ref"], file["state"]) == (f"ld:{file['id']}", None)
    assert sorted(row["path"] for row in listed("--path=runs", "Shelf")) == ["runs/2026", "runs/b.txt"]
    assert [row["path"] for row in listed("--path=runs/2026", "Shelf")] == ["runs/2026/a.txt"]


@pytest.mark.parametrize("words, status, err", [
    (["-r"], USAGE, "of which LIBRARY?"), (["--path=x"], USAGE, "of which LIBRARY?"), ([""], USAGE, "is a variable unset?"),
    (["--deleted", "Shelf"], USAGE, "no LIBRARY"), (["--fields=size", "Shelf"], USAGE, "there is no size"),
    (["Shelv"], FAILED, "did you mean Shelf?"), (["--path=walks", "Shelf"], FAILED, "no folders 'walks' are in the")])
def test_what_is_not_there_is_told(listed, shelf, words, status, err):
    listed(*words, status=status, err=err)
    assert not shelf.asked or status == FAILED


def test_a_deleted_library_is_told(listed, shelf):
    shelf.libraries[shelf.library]["deleted"] = True
    listed(shelf.library, status=FAILED, err="is deleted: an administrator of the server can bring it back")
