"""library_sync.py: what it uploads, replaces, deletes and keeps, by how many requests, and after a kill at any moment."""
import copy
import hashlib
import itertools
import json
import os
import shutil
import sqlite3
import sys
import threading

import library_sync
import pytest
from fakes import KEY, URL
from test_library_upload_dir import appear_during, create_job, elements, path_id

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts import checkpoint
from galaxy_api_scripts.datasets import tus
from galaxy_api_scripts.datasets.tus import upload_file
from galaxy_api_scripts.libraries import local_tree, sync_state, uploads
from galaxy_api_scripts.libraries import sync as sync_module


class Killed(BaseException):
    """An exception that nothing catches, in place of SIGKILL."""


@pytest.fixture
def here(tmp_path):
    """A folder with two files, a.txt and run1/b.txt."""
    fill(tmp_path / "here", {"a.txt": "aaa", "run1/b.txt": "bb"})
    return tmp_path / "here"


@pytest.fixture
def sync(script, shelf, here, capsys):
    """`sync(*options)`: the exit status of the script. `capsys` has what the last run printed."""
    def run(*options):
        shelf.asked.clear()
        capsys.readouterr()
        return script(library_sync.main, *options, KEY, shelf.url, "Shelf", here)
    return run


def fill(folder, texts):
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def on_disk(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rewrite(path, text):
    """Change a file's content but not its modification time."""
    about = path.stat()
    path.write_text(text)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def state_files(home):
    return [*(home / ".local" / "state" / "galaxy-api-scripts" / "libraries").glob("*")]


def lose_state(home):
    [record] = state_files(home)
    record.unlink()


# -------------------------------------------------------------------------------------------------- one run, and the next

def test_a_second_run_does_nothing(sync, shelf, here, capsys):
    assert sync() == 0
    assert capsys.readouterr() == ("upload\ta.txt\t3\tnew\nupload\trun1/b.txt\t2\tnew\n", "")
    assert shelf.files(shelf.root) == on_disk(here)
    assert sync() == 0
    assert capsys.readouterr() == ("keep\t\t5\t2 unchanged\n", "")
    assert shelf.kinds == [f"GET {route}" for route in (
        "user", "libraries", "libraries", "library", "histories", "jobs", "library_contents")]


def test_uploads_have_a_datatype_and_a_hash(sync, shelf, here):
    fill(here, {"reads.fastq": "@r\n", "rare.xyz": "1"})
    assert sync() == 0
    sent = {element["name"]: element for _, element in elements(shelf)}
    assert {name: element["ext"] for name, element in sent.items()} == {
        "a.txt": "txt", "b.txt": "txt", "reads.fastq": "fastqsanger", "rare.xyz": "auto"}    # this server knows no xyz
    assert sent["a.txt"]["hashes"] == [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(b"aaa").hexdigest()}]
    [folder] = shelf.sent("POST folder")
    assert (folder.path, folder.json["name"], folder.headers["x-api-key"]) == (f"/api/folders/{shelf.root}", "run1", KEY)


def test_a_library_is_named_by_its_id(script, shelf, here):
    assert script(library_sync.main, KEY, shelf.url, shelf.library, here) == 0 and shelf.files(shelf.root) == on_disk(here)


def test_two_thousand_unchanged_files_take_seven_requests(sync, shelf, here, alone, capsys):
    folders = [shelf.add(shelf.root, f"set{number}") for number in range(40)]
    for number in range(2000):
        fill(here, {f"set{number % 40}/{number}.txt": str(number)})
        shelf.add(folders[number % 40], f"{number}.txt", str(number).encode())
    assert sync("-q") == 0 and shelf.files(shelf.root) == on_disk(here) and len(elements(shelf)) == 2
    capsys.readouterr()
    [record] = state_files(alone)
    before = record.stat().st_mtime_ns
    assert sync("-q") == 0
    assert record.stat().st_mtime_ns == before      # nothing is saved again
    assert shelf.count() == 7 and not shelf.writes()
    assert capsys.readouterr() == ("", "")


def test_changed_files_are_replaced(sync, shelf, here, capsys):
    sync("-q")
    first = {item["name"]: item["id"] for item in shelf.children(shelf.root)}
    (here / "a.txt").write_text("longer")
    rewrite(here / "run1" / "b.txt", "BB")      # its time of modification is the old one
    assert sync() == 0
    assert capsys.readouterr().out == ("replace\ta.txt\t6\t3 bytes in the library\n"
                                       "replace\trun1/b.txt\t2\tits content differs\n")
    assert shelf.files(shelf.root) == on_disk(here) and first["a.txt"] in shelf.deleted
    assert shelf.kinds.index("DELETE file") > len(shelf.kinds) - shelf.kinds[::-1].index("POST fetch")
    assert sync() == 0 and not shelf.writes() and capsys.readouterr().out == "keep\t\t8\t2 unchanged\n"


def test_touched_files_are_kept(sync, shelf, here, capsys):
    sync("-q")
    os.utime(here / "a.txt")
    assert sync() == 0
    assert capsys.readouterr().out == "keep\t\t5\t2 unchanged\n" and not shelf.writes()
    assert sync() == 0 and not shelf.count("GET folder", "GET folder_contents")      # and that is saved


def test_a_file_deleted_from_the_library_is_uploaded_again(sync, shelf, here, capsys):
    sync("-q")
    shelf.remove(path_id(shelf, "a.txt"))
    assert sync() == 0
    assert capsys.readouterr().out == "upload\ta.txt\t3\tno longer in the library\nkeep\t\t2\t1 unchanged\n"
    assert shelf.files(shelf.root) == on_disk(here)


@pytest.mark.parametrize("text, why", [("AAAA", "4 bytes in the library"), ("AAA", "its content differs")])
def test_a_different_dataset_of_the_name_is_replaced(sync, shelf, here, capsys, text, why):
    sync("-q")
    shelf.remove(path_id(shelf, "a.txt"))
    shelf.add(shelf.root, "a.txt", text.encode())
    assert sync() == 0
    assert f"replace\ta.txt\t3\t{why}\n" in capsys.readouterr().out and shelf.files(shelf.root) == on_disk(here)


def test_an_equal_dataset_of_the_name_is_kept(sync, shelf, here, capsys):
    sync("-q")
    shelf.remove(path_id(shelf, "a.txt"))
    theirs = shelf.file(shelf.add(shelf.root, "a.txt", b"aaa"))
    theirs["hash"], digest = "", theirs["hash"]     # Galaxy has no hash of linked files
    assert sync() == 0 and not shelf.writes() and shelf.file(theirs["id"])
    theirs["hash"] = digest
    assert sync() == 0 and not shelf.count("GET folder", "GET folder_contents", "GET storage")


# ---------------------------------------------------------------------------------------------------- without the state

def test_without_the_state_equal_sizes_count_as_equal(sync, shelf, here, alone, capsys):
    sync("-q")
    lose_state(alone)
    rewrite(here / "a.txt", "AAA")
    (here / "run1" / "b.txt").write_text("bbb")
    assert sync() == 0
    assert capsys.readouterr().out == "replace\trun1/b.txt\t3\t2 bytes in the library\nkeep\t\t3\t1 unchanged\n"
    assert len(elements(shelf)) == 1 and not shelf.count("GET storage")
    assert sync() == 0 and shelf.count() == 7


def test_verify_compares_contents(sync, shelf, here, alone, capsys):
    sync("-q")
    lose_state(alone)
    rewrite(here / "a.txt", "AAA")
    assert sync("--verify") == 0
    assert capsys.readouterr().out == "replace\ta.txt\t3\tits content differs\nkeep\t\t2\t1 unchanged\n"
    assert shelf.files(shelf.root) == on_disk(here)
    assert sync("--verify") == 0 and not shelf.count("GET storage")      # the state has the hashes now
    assert capsys.readouterr().out == "keep\t\t5\t2 unchanged\n"


def test_verify_replaces_a_dataset_without_a_hash(sync, shelf, here, capsys):
    linked = shelf.add(shelf.root, "a.txt", b"aaa", hash="")
    assert sync() == 0
    assert capsys.readouterr().out == "upload\trun1/b.txt\t2\tnew\nkeep\t\t3\t1 unchanged\n"
    assert sync("--verify") == 0
    assert capsys.readouterr().out.startswith("replace\ta.txt\t3\tGalaxy has no SHA-256 of it\n")
    assert linked in shelf.deleted and shelf.files(shelf.root) == on_disk(here)


def test_verify_replaces_all_on_a_server_without_hashes(sync, shelf, here, capsys):
    shelf.add(shelf.root, "a.txt", b"aaa")
    shelf.answers["GET storage"] = (404, {"err_msg": "no route"})
    assert sync("--verify") == 0
    assert capsys.readouterr().out.startswith("replace\ta.txt\t3\tGalaxy has no SHA-256 of it\n")


def test_a_file_matched_by_size_is_compared_when_it_changes(sync, shelf, here, alone, capsys):
    sync("-q")
    lose_state(alone)
    sync("-q")
    rewrite(here / "a.txt", "AAA")
    assert sync() == 0
    assert "replace\ta.txt\t3\tits content differs" in capsys.readouterr().out and shelf.files(shelf.root) == on_disk(here)


def test_only_its_owner_can_read_the_state(sync, alone):
    sync("-q")
    [state] = state_files(alone)
    assert state.stat().st_mode & 0o777 == 0o600 and state.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["cut", "text", "version", "table"])
def test_a_damaged_state_is_replaced(sync, shelf, alone, damage, capsys):
    sync("-q")
    [record] = state_files(alone)
    if damage == "cut":
        record.write_bytes(record.read_bytes()[:5000])
    elif damage == "text":
        record.write_text("no database")
    else:
        with sqlite3.connect(record) as base:
            base.executescript("PRAGMA user_version = 99; DROP TABLE files" if damage == "version" else
                               "UPDATE files SET dataset = 'other'")
        base.close()
    assert sync() == 0 and not shelf.writes()
    assert capsys.readouterr() == ("keep\t\t5\t2 unchanged\n", "")
    assert sync() == 0 and shelf.count() == 7 and record.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("path, reason", [
    ("state", "no lock can be kept there: Not a directory: set $XDG_STATE_HOME to another folder"),
    ("state/galaxy-api-scripts/libraries",
     "progress can't be saved there: File exists: set $XDG_STATE_HOME to another folder")])
def test_nothing_is_uploaded_if_progress_can_not_be_saved(sync, shelf, tmp_path, monkeypatch, capsys, path, reason):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("a file in the place of a folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert sync() == FAILED
    output = capsys.readouterr()
    assert reason in output.err and output.err.count("\n") == 1 and not shelf.writes()


def test_each_target_has_a_private_state_without_the_key(sync, shelf, here, tmp_path, alone, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sync("-q")
    sync("-q", "--to=other")
    made = [*(tmp_path / "state" / "galaxy-api-scripts" / "libraries").iterdir()]
    assert len(made) == 2 and not state_files(alone)
    assert KEY.encode() not in made[0].read_bytes() and made[0].parent.stat().st_mode & 0o77 == 0


# --------------------------------------------------------------------------------------------------------------- deleting

def test_without_delete_extra_files_are_only_counted(sync, shelf, here, capsys):
    theirs = shelf.add(shelf.add(shelf.root, "of others"), "x.txt", b"x")
    sync("-q")
    (here / "a.txt").unlink()
    assert sync() == 0
    assert capsys.readouterr().out == ("leave\t\t\t2 in the library are not on the disk: --delete deletes them\n"
                                       "keep\t\t2\t1 unchanged\n")
    assert shelf.deleted == [] and shelf.file(theirs)


def test_delete_deletes_extra_files_and_folders(sync, shelf, here, capsys):
    fill(here, {"gone/far/c.txt": "c", "gone/d.txt": "d"})
    shelf.add(shelf.add(shelf.root, "of others"), "x.txt", b"x")
    sync("-q")
    shutil.rmtree(here / "gone")
    (here / "run1" / "b.txt").unlink()      # its folder stays, as it does on the disk
    assert sync("--delete") == 0
    assert capsys.readouterr().out == (
        "delete\tgone/d.txt\t1\tnot on the disk\ndelete\tgone/far/c.txt\t1\tnot on the disk\n"
        "delete\tof others/x.txt\t\tnot on the disk\ndelete\trun1/b.txt\t2\tnot on the disk\n"
        "delete\tof others/\t\tnot on the disk\ndelete\tgone/far/\t\tnot on the disk\ndelete\tgone/\t\tnot on the disk\n"
        "keep\t\t3\t1 unchanged\n")
    assert shelf.files(shelf.root) == on_disk(here)
    assert {item["name"] for item in shelf.children(shelf.root)} == {"a.txt", "run1"}


def test_delete_deletes_only_below_the_target(sync, shelf, here):
    outside = shelf.add(shelf.add(shelf.root, "runs2"), "x.txt", b"x")
    inside = shelf.add(shelf.add(shelf.root, "runs"), "x.txt", b"x")
    assert sync("--delete", "--to=runs") == 0
    assert shelf.deleted == [inside] and shelf.file(outside)


def test_files_that_may_exist_on_the_disk_are_not_deleted(sync, shelf, here, monkeypatch, capsys):
    """Hidden files, unfinished ones, links and unreadable ones."""
    ids = [shelf.add(shelf.root, name, b"x") for name in (".hidden", "x.part", "link.txt", "locked.txt", "pipe")]
    for folder in (".git", "locked", "linked"):
        ids.append(shelf.add(shelf.add(shelf.root, folder), "y.txt", b"y"))
    os.symlink("/etc/hostname", here / "link.txt")
    os.symlink("run1", here / "linked")
    os.mkfifo(here / "pipe")
    fill(here, {"locked.txt": "x", "locked/y.txt": "y"})
    access, scandir = os.access, os.scandir

    def locked_scandir(path):
        if str(path).endswith("/locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("locked.txt") and access(path, mode))
    monkeypatch.setattr(os, "scandir", locked_scandir)
    assert sync("--delete", "-n") == SOME_FAILED and "delete" not in capsys.readouterr().out
    assert sync("--delete") == SOME_FAILED
    output = capsys.readouterr()
    assert shelf.deleted == [] and all(map(shelf.file, ids))
    assert [line.partition(": ")[2] for line in sorted(output.err.splitlines())] == [
        f"{here}/locked.txt: Permission denied", f"{here}/locked: Permission denied"]
    assert output.out == ("upload\ta.txt\t3\tnew\nupload\trun1/b.txt\t2\tnew\n"
                          "leave\tlink.txt\t\ta link out of the folder\n"
                        "leave\tlinked\t\ta link to a folder\nleave\tpipe\t\tnot a file\n")


def test_a_library_folder_with_a_hidden_file_is_kept(sync, shelf, here):
    gone = shelf.add(shelf.root, "gone")
    hidden, extra = shelf.add(gone, ".keep", b"x"), shelf.add(gone, "x.txt", b"x")
    assert sync("--delete") == 0 and shelf.deleted == [extra] and shelf.file(gone) and shelf.file(hidden)


def test_a_folder_that_may_not_be_deleted_is_left_empty(sync, shelf, here, capsys):
    shelf.add(shelf.root, "gone")
    sync("-q")
    shelf.answers["DELETE folder"] = (403, {"err_msg": "Not yours"})
    assert sync("--delete") == 0
    assert capsys.readouterr() == ("leave\tgone/\t\tempty: the library's managers may delete it\n"
                                   "keep\t\t5\t2 unchanged\n", "")


def test_a_dataset_that_may_not_be_deleted_is_an_error(sync, shelf, here, capsys):
    shelf.add(shelf.add(shelf.root, "gone"), "x.txt", b"x")
    shelf.answers["DELETE file"] = (403, {"err_msg": "Not yours"})
    assert sync("--delete", "-q") == SOME_FAILED
    output = capsys.readouterr().err
    assert output.count("\n") == 1 and f"{here}/gone/x.txt: " in output and "Not yours" in output and shelf.deleted == []


def test_a_file_gone_from_both_sides_is_forgotten(sync, shelf, here, alone):
    sync("-q")
    (here / "a.txt").unlink()
    shelf.remove(path_id(shelf, "a.txt"))
    assert sync() == 0
    [path] = state_files(alone)
    with sqlite3.connect(path) as base:
        assert base.execute("SELECT path FROM files").fetchall() == [("run1/b.txt",)]
    base.close()


@pytest.mark.parametrize("texts", [{}, {".hidden": "x", "sub/half.part": "x"}])
def test_an_empty_folder_deletes_nothing(sync, shelf, here, texts, capsys):
    sync("-q")
    shutil.rmtree(here)
    here.mkdir()
    fill(here, texts)
    assert sync("--delete") == FAILED
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and not shelf.asked
    assert "is its disk mounted? If you mean it, delete that folder in Galaxy" in output.err
    assert sync() == 0 and len(shelf.files(shelf.root)) == 2       # but a run without --delete goes on


@pytest.mark.parametrize("options", [[], ["--delete"]])
def test_a_missing_folder_is_a_usage_error(sync, shelf, here, options, capsys):
    sync("-q")
    shutil.rmtree(here)
    assert sync(*options) == USAGE
    assert "here: No such file or directory: is its disk mounted? Nothing was changed" in capsys.readouterr().err
    here.write_text("a file")
    assert sync(*options) == USAGE and "here: not a folder" in capsys.readouterr().err
    assert not shelf.asked and len(shelf.files(shelf.root)) == 2


def test_a_disk_unmounted_meanwhile_deletes_nothing(sync, shelf, here, tmp_path, capsys):
    fill(here, {"c.txt": "c"})
    sync("-q")
    (here / "a.txt").unlink()
    (tmp_path / "empty").mkdir()

    def unmount(handler):
        here.rename(tmp_path / "unmounted")
        (tmp_path / "empty").rename(here)
    shelf.answers["GET library_contents"] = unmount
    assert sync("--delete") == FAILED
    assert "is another folder than a moment ago: is its disk still mounted?" in capsys.readouterr().err
    assert shelf.deleted == []


def test_a_file_that_reappears_meanwhile_is_not_deleted(sync, shelf, here):
    sync("-q")
    (here / "a.txt").unlink()
    shelf.answers["GET library_contents"] = lambda handler: (here / "a.txt").write_text("again")
    assert sync("--delete") == 0 and shelf.deleted == []


# ---------------------------------------------------------------------------------------------------- side by side

def test_large_files_go_up_at_the_same_time(sync, shelf, here, monkeypatch, capsys):
    """Each is a job of its own, and the library has them in their order."""
    monkeypatch.setattr(sync_module, "BATCH_BYTES", 1)
    monkeypatch.setattr(tus, "SMALL_FILE", 0)
    fill(here, {f"run{number % 3}/{number}.txt": "x" * number for number in range(3, 10)})
    together = threading.Barrier(4, timeout=20)
    shelf.answers["PATCH upload"] = [lambda handler: together.wait() and None] * 4
    assert sync() == 0 and shelf.files(shelf.root) == on_disk(here)
    assert shelf.most_in_flight == 4 and not together.broken
    jobs = [[element["name"] for target in asked.json["targets"] for element in target["elements"]]
            for asked in shelf.sent("POST fetch")]
    printed = [row.split("\t")[1] for row in capsys.readouterr().out.splitlines()]
    assert jobs == [[name.rsplit("/", 1)[-1]] for name in sorted(on_disk(here))] and sorted(printed) == sorted(on_disk(here))
    assert [*checkpoint.checkpoint_folder().iterdir()] == []


def test_a_refused_key_stops_the_files_that_have_not_begun(sync, shelf, here, capsys):
    fill(here, {f"{number}.txt": "x" for number in range(200)})
    shelf.answers["POST upload"] = [None] * 10 + [(401, {"err_msg": "Provided API key is not valid."})] * 4
    assert sync() == FAILED
    assert capsys.readouterr().err.count("\n") == 1 and shelf.count("POST upload") <= 18
    shelf.answers.clear()       # how many of them were asked for depends on who came first
    assert sync() == 0 and shelf.files(shelf.root) == on_disk(here)


# -------------------------------------------------------------------------------------------------------- failures

def test_the_old_dataset_stays_if_the_new_one_fails(sync, shelf, here, capsys):
    sync("-q")
    before = shelf.files(shelf.root)
    (here / "a.txt").write_text("bad content")
    shelf.arrivals = {"a.txt": {"state": "error", "message": "expected [1] got [2]"}}
    for _ in range(2):
        assert sync() == SOME_FAILED
        output = capsys.readouterr()
        assert output.out == "keep\t\t2\t1 unchanged\n" and output.err.count("\n") == 1
        assert f"{here}/a.txt: Galaxy did not keep it: expected [1] got [2]" in output.err
        assert shelf.files(shelf.root) == before
    shelf.arrivals = {}
    assert sync() == 0 and shelf.files(shelf.root) == on_disk(here)


def test_the_old_dataset_stays_if_the_new_one_has_another_size(sync, shelf, here, capsys):
    sync("-q")
    before = shelf.files(shelf.root)
    (here / "a.txt").write_text("longer")
    shelf.arrivals = {"a.txt": {"raw_size": 5}}
    for _ in range(2):
        assert sync() == SOME_FAILED
        assert "a.txt: arrived with 5 bytes, 6 were expected: it changed meanwhile" in capsys.readouterr().err
        assert shelf.files(shelf.root) == before


def test_the_old_dataset_stays_if_the_upload_fails(sync, shelf, here, monkeypatch, capsys):
    sync("-q")
    before = shelf.files(shelf.root)
    (here / "a.txt").write_text("longer")

    def send(galaxy, path, **options):
        raise GalaxyError(f"{path}: changed while it was sent, so no dataset was made")
    monkeypatch.setattr(sync_module, "upload_file", send)
    assert sync() == SOME_FAILED
    output = capsys.readouterr().err
    assert output.count("a.txt") == 1 and "changed while it was sent" in output
    assert shelf.files(shelf.root) == before and not shelf.writes()


def test_a_file_that_changes_during_its_upload_is_not_added(sync, shelf, here, monkeypatch, capsys):
    def send(galaxy, path, **options):
        sent = upload_file(galaxy, path, **options)
        with open(path, "a") as file:
            file.write("more")
        return sent
    monkeypatch.setattr(sync_module, "upload_file", send)
    assert sync() == SOME_FAILED
    assert capsys.readouterr().err.count(local_tree.CHANGED_MESSAGE) == 2 and shelf.files(shelf.root) == {}


def test_an_old_dataset_that_may_not_be_deleted_is_deleted_later(sync, shelf, here, capsys):
    sync("-q")
    (here / "a.txt").write_text("longer")
    shelf.answers["DELETE file"] = (403, {"err_msg": "Not yours"})
    for _ in range(2):
        assert sync() == SOME_FAILED
        output = capsys.readouterr().err
        assert output.count("\n") == 1 and f"{here}/a.txt: " in output and "Not yours" in output
        assert len(shelf.children(shelf.root)) == 3        # no more each night
    shelf.answers.clear()
    assert sync() == 0 and shelf.files(shelf.root) == on_disk(here)


def test_an_old_dataset_that_is_undeleted_is_an_error(sync, shelf, here, capsys):
    sync("-q")
    [old] = [item for item in shelf.children(shelf.root) if item["name"] == "a.txt"]
    (here / "a.txt").write_text("longer")
    sync("-q")
    shelf.children(shelf.root).append(old)
    assert sync() == SOME_FAILED
    assert "2 datasets of this name" in capsys.readouterr().err and shelf.file(old["id"])


def test_an_old_dataset_deleted_by_somebody_else_is_no_error(sync, shelf, here):
    sync("-q")
    (here / "a.txt").write_text("longer")
    shelf.answers["DELETE file"] = (404, {"err_msg": "is deleted"})
    assert sync() == 0


def test_two_datasets_of_a_name_are_an_error(sync, shelf, here, capsys):
    one, two = shelf.add(shelf.root, "a.txt", b"1"), shelf.add(shelf.root, "a.txt", b"2")
    assert sync("--delete") == SOME_FAILED
    output = capsys.readouterr()
    assert f"{here}/a.txt: 2 datasets of this name are in the library's folder: {one}, {two}; delete all but one" \
        in output.err
    assert output.out == "upload\trun1/b.txt\t2\tnew\n" and shelf.deleted == []


def test_a_second_dataset_of_a_name_is_an_error_later(sync, shelf, here, capsys):
    sync("-q")
    one, other = path_id(shelf, "a.txt"), shelf.add(shelf.root, "a.txt", b"aaa")
    assert sync("--delete") == SOME_FAILED
    assert f"2 datasets of this name are in the library's folder: {one}, {other}; delete" in capsys.readouterr().err
    assert shelf.deleted == [] and not shelf.writes()


def test_a_failed_dataset_of_the_name_is_ignored(sync, shelf, here):
    sync("-q")
    shelf.add(shelf.root, "a.txt", b"", state="error")
    assert sync() == 0 and not shelf.writes()


@pytest.mark.parametrize("state", ["error", "discarded", "paused"])
def test_a_dataset_without_its_bytes_is_replaced(sync, shelf, here, state, capsys):
    lost = shelf.add(shelf.root, "a.txt", b"aaa", state=state)
    assert sync() == 0
    assert f"replace\ta.txt\t3\tin state {state}\n" in capsys.readouterr().out
    assert lost in shelf.deleted and shelf.files(shelf.root) == on_disk(here)


def test_b15_an_unfinished_dataset_is_left_alone_and_told(sync, shelf, here, capsys):
    """It may be that of a cancelled job, which never ends."""
    one = shelf.add(shelf.root, "a.txt", b"", state="queued")
    assert sync("--dry-run") == 0
    capsys.readouterr()
    for options in ([], ["--quiet"]):
        assert sync(*options) == STILL_RUNNING
        output = capsys.readouterr()
        assert f": a.txt: dataset {one} of this name is still being made: a later run compares it" in output.err
        assert (f"leave\ta.txt\t3\tdataset {one} of this name is still being made\n" in output.out) == (not options)
    assert [item["id"] for item in shelf.children(shelf.root) if item["name"] == "a.txt"] == [one]


def test_a_simultaneous_upload_by_another_machine_is_an_error(sync, shelf, here, capsys):
    shelf.answers["POST fetch"] = lambda handler: shelf.add(shelf.root, "a.txt", b"aaa")
    assert sync() == SOME_FAILED
    output = capsys.readouterr().err
    assert "a.txt: 2 datasets of this name were added: " in output and output.count("\n") == 1


def test_two_folders_of_a_name_are_an_error(sync, shelf, here, capsys):
    ids = [shelf.add(shelf.root, "run1") for _ in range(2)]
    assert sync() == FAILED
    assert f"2 folders are named 'run1': {', '.join(ids)}" in capsys.readouterr().err
    assert sync("--to=run1") == FAILED
    assert f"2 folders are named 'run1': {', '.join(ids)}" in capsys.readouterr().err and not shelf.writes()


def test_a_folder_that_may_not_be_added_to_is_an_error(sync, shelf, capsys):
    shelf.folders[shelf.root]["can_add_library_item"] = False
    for options in ([], ["--dry-run"]):
        assert sync(*options) == FAILED
        output = capsys.readouterr()
        assert output.out == "" and f"may not add to folder {shelf.root}" in output.err and not shelf.writes()


def test_a_deleted_library_is_an_error(sync, shelf, capsys):
    shelf.answers["GET libraries"] = (200, [dict(shelf.libraries[shelf.library])])
    shelf.libraries[shelf.library]["deleted"] = True
    assert sync() == FAILED and f"library {shelf.library} (Shelf) is deleted" in capsys.readouterr().err


def test_a_run_is_completed_after_the_server_went_away(sync, shelf, here, monkeypatch, capsys):
    """What was done before is printed, and nothing is deleted."""
    sync("-q")
    (here / "a.txt").unlink()
    fill(here, {f"set{folder}/{number}.txt": "x" for folder in range(2) for number in range(40)})

    def send(galaxy, path, **options):
        if path.endswith("set1/9.txt"):
            raise GalaxyError("no dataset was made, send it again", TRY_LATER)
        return upload_file(galaxy, path, **options)
    monkeypatch.setattr(sync_module, "upload_file", send)
    assert sync("--delete", "--format=json") == TRY_LATER
    output = capsys.readouterr()
    done = json.loads(output.out)
    assert [row["path"].split("/")[0] for row in done] == ["set0"] * 40 + [""] and "send it again" in output.err
    assert shelf.deleted == []
    monkeypatch.setattr(sync_module, "upload_file", upload_file)
    assert sync("--delete") == 0 and shelf.files(shelf.root) == on_disk(here)
    assert sum("resumable_upload" not in line for line in shelf.lines) < 30


def test_a_bad_key_is_an_error(sync, shelf, capsys):
    shelf.users.clear()
    assert sync() == FAILED
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and "not valid" in output.err and KEY not in output.err


def test_a_second_run_at_once_is_to_be_tried_later(sync, shelf, capsys):
    with uploads.exclusive_run(f"library {shelf.library}"):
        assert sync() == TRY_LATER
    assert f"another run is at work on library {shelf.library}" in capsys.readouterr().err and not shelf.writes()


def test_a_run_waits_for_the_jobs_of_earlier_ones(sync, shelf, here, clock, capsys):
    job = create_job(shelf, "running")

    def end(handler):
        handler.serve_usual()
        if clock.slept and job["state"] == "running":
            job["state"] = "ok"
            shelf.add(shelf.root, "a.txt", b"aaa")
    shelf.answers["GET jobs"] = end
    assert sync() == 0 and [element["name"] for _, element in elements(shelf)] == ["b.txt"]


def test_jobs_still_running_after_the_timeout_exit_with_4(sync, shelf, here, capsys):
    shelf.job_state = "running"
    assert sync("--timeout=0") == STILL_RUNNING
    output = capsys.readouterr()
    assert output.out == "" and "2 of 2 files still being added to the library after 0 s" in output.err
    assert sync("--timeout=0") == STILL_RUNNING and not shelf.writes()


def test_nothing_is_uploaded_while_jobs_are_paused(sync, shelf, capsys):
    shelf.job_state = "paused"
    for _ in range(2):
        assert sync() == FAILED
        assert f"has paused jobs ({next(iter(shelf.jobs))}): most often the quota" in capsys.readouterr().err
    assert len(shelf.jobs) == 1


# ------------------------------------------------------------------------------------------------------------ after a kill

@pytest.mark.parametrize("transfers", [1, 4])
def test_a_kill_at_any_moment_loses_and_doubles_nothing(script, shelf, here, alone, monkeypatch, capsys, transfers):
    """After a kill before or after any request, or any save of the state, the next run has the same result: nothing twice,
    nothing missing, and at every moment at least one complete copy. The files that go side by side are as large ones, whose
    sessions a killed run leaves to the next."""
    if transfers > 1:
        monkeypatch.setattr(tus, "SMALL_FILE", 0)
        monkeypatch.setattr(sync_module, "BATCH_BYTES", 1)
    fill(here, {"old.txt": "old", "gone.txt": "gone", "run1/c.txt": "c"})
    line = [KEY, shelf.url, "Shelf", here, "--delete", "-q", f"--transfers={transfers}"]
    assert script(library_sync.main, *line) == 0
    fill(here, {"a.txt": "AAA", "old.txt": "older", "new/n.txt": "n"})
    (here / "gone.txt").unlink()
    [record] = state_files(alone)
    start, folders = record.read_bytes(), copy.deepcopy(shelf.folders)
    request, save = library_sync.Galaxy.request, sync_module.SyncState.save
    moment, death, lock = 0, 0, threading.Lock()

    def counted(call):
        def counting(*what, **more):
            nonlocal moment
            with lock:
                moment -= 1
                if moment == 0 or is_dead():
                    raise Killed
            answer = call(*what, **more)
            with lock:
                moment -= 1
                if moment == 0 or is_dead():
                    raise Killed
            return answer
        return counting

    def is_dead():      # its other threads are so, too
        return moment < 0 and death
    ends = []
    for death in itertools.count(1, min(transfers, 2)):     # every other one there, of more
        record.write_bytes(start)
        shelf.folders, shelf.jobs, shelf.sessions = copy.deepcopy(folders), {}, {}
        moment = death
        with monkeypatch.context() as patched:
            patched.setattr(library_sync.Galaxy, "request", counted(request))
            patched.setattr(sync_module.SyncState, "save", counted(save))
            try:
                status = script(library_sync.main, *line)
            except Killed:
                status = "killed"
            for thread in threading.enumerate():
                if thread.name == "transfer":
                    thread.join()
        ends.append(status)
        names = [item["name"] for item in shelf.children(shelf.root) if item.get("state") == "ok"]
        assert {"a.txt", "old.txt"} <= {*names}, death
        if death % 3 == 0:      # the files change again before the next run
            fill(here, {"old.txt": f"older still {death}", "a.txt": "Aaa"})
        assert script(library_sync.main, *line) == 0, (death, capsys.readouterr().err)
        assert shelf.files(shelf.root) == on_disk(here), death
        shelf.asked.clear()
        assert script(library_sync.main, *line) == 0 and not shelf.writes() and shelf.count() == 7, death
        fill(here, {"a.txt": "AAA", "old.txt": "older"})
        if status == 0:
            break
    assert len(ends) > 30 and ends == ["killed"] * (len(ends) - 1) + [0]


def kill_before_replacing(sync, shelf, here, monkeypatch):
    """Kill a run that was to replace a.txt after it has saved its state and before it starts the job; return the id of the
    dataset."""
    sync("-q")
    rewrite(here / "a.txt", "AAA")
    with monkeypatch.context() as patched:
        patched.setattr(uploads.LibraryUploads, "fetch", lambda *what: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            sync()
    return path_id(shelf, "a.txt")


def test_a_kill_before_the_upload_does_not_hide_a_change_without_a_hash(sync, shelf, here, monkeypatch):
    """The old dataset has the right size."""
    old = kill_before_replacing(sync, shelf, here, monkeypatch)
    shelf.file(old)["hash"] = ""
    assert sync() == 0 and shelf.files(shelf.root) == on_disk(here) and shelf.deleted == [old]


def test_a_kill_before_the_upload_and_a_restored_file_change_nothing(sync, shelf, here, monkeypatch):
    kill_before_replacing(sync, shelf, here, monkeypatch)
    rewrite(here / "a.txt", "aaa")
    assert sync() == 0 and not shelf.writes() and shelf.deleted == []
    assert sync() == 0 and shelf.count() == 7


@pytest.mark.parametrize("text", ["other", "oth"])
def test_a_kill_before_the_upload_and_another_dataset_are_an_error(sync, shelf, here, monkeypatch, capsys, text):
    old = kill_before_replacing(sync, shelf, here, monkeypatch)
    other = shelf.add(shelf.root, "a.txt", text.encode())
    assert sync() == SOME_FAILED
    assert f"2 datasets of this name are in the library's folder: {old}, {other}; delete" in capsys.readouterr().err
    assert shelf.deleted == [] and not shelf.writes()


def test_a_job_that_appears_during_the_listing_is_awaited(sync, shelf, here, clock):
    appear_during(shelf, "GET library_contents", shelf.root)
    assert sync() == 0 and [element["name"] for _, element in elements(shelf)] == ["b.txt"]


def test_a_file_changed_after_a_killed_first_run_is_replaced(sync, shelf, here, monkeypatch):
    """It has the size of the file that was sent."""
    with monkeypatch.context() as patched:
        patched.setattr(sync_module.LibrarySync, "check_arrivals", lambda *what: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            sync()
    assert len(shelf.files(shelf.root)) == 2
    (here / "a.txt").write_text("AAA")
    assert sync() == 0 and shelf.files(shelf.root) == on_disk(here) and len(elements(shelf)) == 1


# ------------------------------------------------------------------------------------------------------ names and folders

@pytest.mark.parametrize("name", [
    "it's \"x\".txt", "new\nline.txt", "ünï 😀", " lead", "a\tb", "-n", "<b>", "back\\slash"])
def test_odd_names_arrive_unchanged(sync, shelf, here, name, capsys):
    fill(here, {f"{name}/{name}": "abc"})
    assert sync() == 0 and shelf.files(shelf.root) == on_disk(here)
    assert capsys.readouterr().out.count("\n") == 3
    assert sync("--delete") == 0 and not shelf.writes() and shelf.deleted == []


def test_names_that_are_not_utf_8_are_errors(sync, shelf, here, capsys):
    os.mkdir(os.fsencode(here) + b"/\xff")
    open(os.fsencode(here) + b"/\xfe.txt", "w").close()
    assert sync() == SOME_FAILED
    output = capsys.readouterr()
    assert output.err.count("its name is not UTF-8") == 2 and output.err.count("\n") == 2 and output.out.count("upload") == 2


@pytest.mark.parametrize("name", [".hidden", "...", "a.part", "a.partial", "A.FilePart", "a.tmp", "a.crdownload", "a.txt~",
                                  ".git/config", "half.part/a.txt"])
def test_hidden_and_unfinished_files_are_left_alone(sync, shelf, here, name, capsys):
    fill(here, {name: "x"})
    assert sync() == 0
    assert sorted(shelf.files(shelf.root)) == ["a.txt", "run1/b.txt"] and capsys.readouterr().out.count("\n") == 2


def test_links_inside_the_folder_are_followed_to_files_only(sync, shelf, here, tmp_path, capsys):
    (tmp_path / "here2").write_text("outside, with the beginning of the folder's name")
    for link, target in {"within.txt": "run1/b.txt", "out": tmp_path / "here2", "up": "..", "nowhere": "none",
                         "folder": "run1", "around": "around"}.items():
        os.symlink(target, here / link)
    assert sync() == SOME_FAILED
    output = capsys.readouterr()
    assert sorted(shelf.files(shelf.root)) == ["a.txt", "run1/b.txt", "within.txt"]
    assert [line.split("\t")[1::2] for line in output.out.splitlines() if line.startswith("leave")] == [
        ["folder", "a link to a folder"], ["out", "a link out of the folder"], ["up", "a link out of the folder"]]
    assert f"{here}/nowhere: No such file" in output.err and f"{here}/around: " in output.err and output.err.count("\n") == 2


def test_a_target_folder_is_created_and_alone_listed(sync, shelf, here, capsys):
    above = shelf.add(shelf.root, "runs")
    assert sync("--to=/runs//2026/") == 0
    assert sorted(shelf.files(shelf.root)) == ["runs/2026/a.txt", "runs/2026/run1/b.txt"]
    assert capsys.readouterr().out.startswith("upload\ta.txt\t3\tnew\n")
    assert sync("--to=runs/2026") == 0 and shelf.count() == 7
    (here / "a.txt").write_text("longer")
    assert sync("--to=runs/2026") == 0 and len(shelf.files(shelf.root)) == 2
    # the root folder and the one above are not listed
    assert not [line for line in shelf.lines if f"GET /api/folders/{shelf.root}/" in line or f"/folders/{above}/" in line]


def test_a_file_deleted_during_the_scan_is_no_error(sync, shelf, here, monkeypatch):
    stat = os.stat

    def gone(path, **more):
        if str(path).endswith("here/a.txt"):
            (here / "a.txt").unlink()
        return stat(path, **more)
    monkeypatch.setattr(local_tree.os, "stat", gone)
    assert sync() == 0 and sorted(shelf.files(shelf.root)) == ["run1/b.txt"]


def test_a_file_that_changes_while_it_is_hashed_is_an_error(here):
    now = local_tree.scan_tree(str(here)).files["a.txt"]
    assert local_tree.hash_unchanged(str(here / "a.txt"), now) == hashlib.sha256(b"aaa").hexdigest()
    with pytest.raises(GalaxyError, match="changed since this run began"):
        local_tree.hash_unchanged(str(here / "a.txt"), local_tree.FileStamp(now.size, now.mtime_ns, now.ctime_ns - 1))


def test_a_read_only_state_is_not_changed(alone):
    held = sync_state.SyncedFile("a", "1", local_tree.FileStamp(1, 2, 3), "0123", "2")
    with sync_state.SyncState(["x"], read_only=True) as record:
        record.save([held])
    assert state_files(alone) == []
    with sync_state.SyncState(["x"]) as record:
        record.save([held])
    with sync_state.SyncState(["x"], read_only=True) as record:
        record.save([sync_state.SyncedFile("b", "2", local_tree.FileStamp(1, 2, 3))])
        record.forget(["a"])
    with sync_state.SyncState(["x"]) as record:
        assert record.files == {"a": held}


# ---------------------------------------------------------------------------------------------------- output

def test_a_dry_run_shows_the_steps_and_changes_nothing(sync, shelf, here, alone, capsys):
    shelf.add(shelf.root, "a.txt", b"longer")
    extra = shelf.add(shelf.root, "x.txt", b"x")
    before = repr(shelf.folders)
    assert sync("--dry-run", "--delete") == 0
    assert capsys.readouterr() == ("action    path        size    why\n"
                                   "--------  ----------  ------  ----------------------\n"
                                   "replace   a.txt       3       6 bytes in the library\n"
                                   "upload    run1/b.txt  2       new\n"
                                   "delete    x.txt               not on the disk\n", "")
    assert repr(shelf.folders) == before and state_files(alone) == [] and shelf.file(extra)
    assert {one.method for one in shelf.asked} == {"GET"}


def test_a_dry_run_does_not_change_the_state(sync, shelf, here, alone, capsys):
    sync("-q")
    [record] = state_files(alone)
    before = record.read_bytes()
    os.utime(here / "a.txt")
    assert sync("-n", "--format=jsonl") == 0
    assert json.loads(capsys.readouterr().out) == {"action": "keep", "path": "", "size": 5, "why": "2 unchanged"}
    assert record.read_bytes() == before


def test_formats_and_fields_print_all_rows(sync, shelf, here, capsys):
    fill(here, {"x\ny": "x"})
    assert sync("--format=jsonl") == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"action": "upload", "path": path, "size": size, "why": "new"}
        for path, size in (("a.txt", 3), ("x\ny", 1), ("run1/b.txt", 2))]
    assert sync("--format=csv", "--fields=action,why") == 0
    assert capsys.readouterr().out == "action,why\nkeep,3 unchanged\n"


def test_quiet_prints_a_row_for_each_change_and_none_for_what_is_left(sync, shelf, here, capsys):
    (here / "pipe").symlink_to(here)
    assert sync("-q", "-n", "--fields=path", "--format=value") == 0
    assert capsys.readouterr() == ("a.txt\nrun1/b.txt\n", "")
    assert sync("-q") == 0
    assert capsys.readouterr() == ("upload\ta.txt\t3\tnew\nupload\trun1/b.txt\t2\tnew\n", "")
    (here / "a.txt").write_text("longer")
    assert sync("-q", "--format=jsonl", "--fields=action,path") == 0
    assert json.loads(capsys.readouterr().out) == {"action": "replace", "path": "a.txt"}
    for options in ([], ["--format=jsonl"], ["-n", "--format=jsonl"]):
        assert sync("-q", *options) == 0
        assert capsys.readouterr() == ("", "")
    assert sync() == 0
    assert capsys.readouterr().out == "leave\tpipe\t\ta link to a folder\nkeep\t\t8\t2 unchanged\n"


@pytest.mark.parametrize("options, is_drawn", [([], True), (["-q"], False)])
def test_quiet_silences_bars(sync, shelf, monkeypatch, capsys, options, is_drawn):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert sync(*options) == 0
    assert ("a.txt" in capsys.readouterr().err) == is_drawn


@pytest.mark.parametrize("line", [
    [KEY, URL, "Shelf"], [KEY, URL, "Shelf", ".", "more"], [KEY, URL, "Shelf", ".", "--timeout=soon"], [KEY, URL, "", "."],
    [KEY, URL, "Shelf", ""], [KEY, URL, "Shelf", ".", "--to="], [KEY, URL, "Shelf", ".", "--to=a/../b"],
    [KEY, URL, "Shelf", ".", "--format=nosuch"], [KEY, URL, "Shelf", ".", "--fields=path,nosuch"], ["", URL, "Shelf", "."]])
def test_bad_lines_exit_with_2(script, capsys, line):
    assert script(library_sync.main, *line) == USAGE
    output = capsys.readouterr()
    assert output.out == "" and output.err and KEY not in output.err
