"""library_download.py against the fake Galaxy: folders on disk, resumed and repeated, and what is not fetched."""
import csv
import json
import shutil

import library_download
import pytest
from fakes import KEY

from common import DONE, FAILED, SOME_FAILED, TRY_LATER, USAGE
from galaxy_api_scripts.files import hold_lock

ALL = {"b.txt": b"bb", "runs/a.txt": b"a", "runs/2026/c": b"ccc"}


@pytest.fixture
def here(tmp_path):
    return tmp_path / "here"


@pytest.fixture
def download(script, shelf, here, capsys):
    """`download(*words, status=0, err="")`: the rows that the script prints; `err` is in what it says on standard error."""
    def call(*words, status=DONE, err="", to=here):
        shelf.asked.clear()
        line = [f"--to={to}", "--format=jsonl", KEY, shelf.url, "Shelf", *words]
        assert script(library_download.main, *line) == status, capsys.readouterr()
        out, said = capsys.readouterr()
        assert (err in said) if err else said == "", said
        return [(row["action"], row["path"].removeprefix(f"{to}/")) for row in map(json.loads, out.splitlines())]
    return call


@pytest.fixture
def filled(shelf):
    """The library with the files of `ALL`; `{path: id}`."""
    runs = shelf.add(shelf.root, "runs")
    year = shelf.add(runs, "2026")
    return {"runs": runs, "runs/2026": year, "b.txt": shelf.add(shelf.root, "b.txt", b"bb"),
            "runs/a.txt": shelf.add(runs, "a.txt", b"a"), "runs/2026/c": shelf.add(year, "c", b"ccc")}


def on_disk(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "manifest.tsv"}


def test_a_library_as_folders_and_a_second_run_that_does_nothing(download, shelf, filled, here):
    planned = [("download", path) for path in sorted(ALL)]
    assert sorted(download("-n")) == planned and not here.exists()
    assert sorted(download("--transfers=3")) == planned and on_disk(here) == ALL
    assert download("-n") == download() == []
    assert shelf.count("GET display", "GET storage") == 0 and not shelf.writes()
    with open(here / "manifest.tsv", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert {path: (row["size"], row["state"]) for path, row in rows.items()} == {
        path: (str(len(content)), "ok") for path, content in ALL.items()}
    assert rows["runs/a.txt"]["ref"] == f"ldda:d{filled['runs/a.txt']}"


def test_one_folder_and_only_what_is_missing(download, shelf, filled, here):
    assert sorted(download("--path=/runs/")) == [("download", "2026/c"), ("download", "a.txt")]
    (here / "a.txt").unlink()
    (here / "2026" / "c").write_bytes(b"cut")       # of the same size: --verify looks into it
    assert download("--path=runs") == [("download", "a.txt")]
    assert download("-n", "--path=runs", "--verify") == [("replace", "2026/c")] == download("--path=runs", "--verify")
    assert on_disk(here) == {"a.txt": b"a", "2026/c": b"ccc"}
    filled["other"] = shelf.add(shelf.root, "other")
    shelf.add(filled["other"], "a.txt", b"of another folder")
    [(action, name)] = download("--path=other")     # two folders of the library in one here: none takes the other's name
    assert action == "download" and name.startswith("a (") and on_disk(here)["a.txt"] == b"a"
    assert download("--path=other") == download("--path=runs") == []


def test_a_dataset_that_was_replaced_takes_the_place_of_the_old_one(download, shelf, filled, here):
    download()
    shelf.remove(filled["runs/a.txt"])
    shelf.remove(filled["b.txt"])
    shelf.add(filled["runs"], "a.txt", b"a, corrected")
    assert download("-n") == [("replace", "runs/a.txt")] == download()
    assert on_disk(here) == {**ALL, "runs/a.txt": b"a, corrected"}      # b.txt is gone from the library and stays
    assert download() == []


def test_names_that_clash_or_lead_elsewhere(download, shelf, here, tmp_path):
    place = shelf.add(shelf.root, "..")
    shelf.add(place, "x", b"1")
    for number, name in enumerate(["../x", "/etc/x", ".hidden", "same", "SAME", "manifest.tsv", "n" * 300, "a\nb"]):
        shelf.add(shelf.root, name, b"%d" % number)
    shelf.add(shelf.root, "same", b"same")
    assert len(download()) == 10 and download() == []
    files = on_disk(here)
    assert len(files) == 10 and {path.name for path in tmp_path.iterdir()} <= {"here", "home"}
    assert files["_./x"] == b"1" and files["_./x"] and not [name for name in files if ".." in name.split("/")]
    assert sorted(content for name, content in files.items() if name.casefold().startswith("same")) == [b"3", b"4", b"same"]


def test_what_is_not_ok_is_told_and_the_others_are_fetched(download, shelf, filled, here):
    for path, state in (("b.txt", "error"), ("runs/a.txt", "queued")):
        shelf.file(filled[path]).update(state=state)
    assert download(status=SOME_FAILED, err="(/b.txt) is in state error, not ok, so nothing was fetched") == [
        ("download", "runs/2026/c")]
    shelf.file(filled["runs/a.txt"]).update(state="ok")
    assert download("-n") == [("download", "runs/a.txt")] == download(status=SOME_FAILED, err="state error")


def test_what_comes_is_compared_with_galaxys_hash(download, shelf, filled, here):
    shelf.file(filled["b.txt"]).update(hash="0" * 64)
    assert len(download(status=SOME_FAILED, err="the same came twice")) == 2 and "b.txt" not in on_disk(here)
    assert download("--no-verify") == [("download", "b.txt")]


def test_a_cut_connection_is_continued_by_the_next_run(download, shelf, filled, here, monkeypatch, clock):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    shelf.answers["GET display"] = lambda handler: handler.reply(200, b"ccc", {"ETag": '"x"'}, upto=2)
    assert download("--path=runs/2026", status=TRY_LATER, err="broke") == []
    assert [path.name for path in here.iterdir() if path.suffix not in (".tsv", ".part")] == []
    shelf.answers.clear()
    assert download("--path=runs/2026") == [("download", "c")] and on_disk(here) == {"c": b"ccc"}


def test_other_peoples_files_and_another_run(download, shelf, filled, here):
    here.mkdir()
    (here / "b.txt").write_bytes(b"mine")
    assert len(download(status=SOME_FAILED, err="b.txt")) == 2 and on_disk(here)["b.txt"] == b"mine"
    assert download("--force") == [("replace", "b.txt")]
    shutil.rmtree(here)
    here.mkdir()
    with hold_lock(here):
        download(status=TRY_LATER, err="at work")
    assert len(download()) == 3


def test_a_table_comes_at_the_end(script, shelf, filled, here, capsys):
    assert script(library_download.main, f"--to={here}", "--format=csv", "--fields=path,file_size", "--path=runs/2026", KEY,
                  shelf.url, shelf.library) == DONE
    assert capsys.readouterr() == (f"path,file_size\n{here}/c,3\n", "")


@pytest.mark.parametrize("words, status, err", [
    (["--path=walks"], FAILED, "no folders 'walks' are in the library"), (["--transfers=0"], USAGE, "--transfers"),
    (["--fields=size"], USAGE, "there is no size")])
def test_what_is_not_there_is_told(download, shelf, here, words, status, err):
    download(*words, status=status, err=err)
    assert not here.exists()


def test_a_library_that_is_not_there(script, shelf, capsys):
    for name, status in (("", USAGE), ("Shelv", FAILED)):
        assert script(library_download.main, KEY, shelf.url, name) == status
    assert "did you mean Shelf?" in capsys.readouterr().err
