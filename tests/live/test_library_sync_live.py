"""library_sync.py against a real Galaxy; then Galaxy is asked what the library holds."""
import json
import os
import re
import secrets
from collections import Counter

import library_sync
import pytest
import requests

from common import FAILED, SOME_FAILED, Galaxy

from .conftest import Digest, Person
from .test_library_live import may_add


def held(admin, library):
    """`{path: [(state, SHA-256)]}` for all files of a library, as Galaxy knows them."""
    found = {}
    for item in admin.look(f"libraries/{library.id}/contents"):
        if item["type"] == "file":
            about = admin.look(f"libraries/datasets/{item['id']}")
            hashes = admin.look(f"datasets/{about['ldda_id']}/storage", hda_ldda="ldda")["hashes"]
            found.setdefault(item["name"][1:], []).append((about["state"], *(one["hash_value"] for one in hashes)))
    return found


def ids(admin, library):
    return {item["name"][1:]: item["id"] for item in admin.look(f"libraries/{library.id}/contents")}


def expected(folder, *names):
    """What `held` is to be for all files of a folder, or for these."""
    return {path: [("ok", Digest((folder / path).read_bytes()))]
            for path in names or (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())}


@pytest.fixture
def files(tmp_path):
    """A folder with four files in a tree."""
    texts = {"top.txt": "", "run1/a.txt": "a\tb\n", "run1/deep er/ö'x\n2.fastq": "@r\nA\n+\nI\n", "run2/b.gz": "\0"}
    for path, text in texts.items():
        (tmp_path / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / path).write_text(text)
    return tmp_path / "files"


@pytest.fixture
def sync(admin, files, tmp_path):
    """`sync(library, *options)`: library_sync.py for that folder, its record kept beside it."""
    def run(library, *options, asks=admin):
        return asks.run("library_sync.py", *options, asks.key, asks.url, library.id, files,
                        XDG_STATE_HOME=str(tmp_path / "state"))
    return run


def did(done):
    """`[(action, path)]` as a run told it, without what was kept."""
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return sorted((line[0], line[1]) for line in lines if line[0] != "keep")


def test_a_run_and_the_next(admin, sync, files):
    library = admin.new_library()
    dry = sync(library, "--dry-run", "--format=json")
    assert (dry.returncode, dry.stderr, len(json.loads(dry.stdout))) == (0, "", 4) and held(admin, library) == {}
    first = sync(library)
    assert (first.returncode, first.stderr) == (0, "")
    assert did(first) == sorted(("upload", path if path.isprintable() else repr(path)) for path in expected(files))
    assert held(admin, library) == expected(files)
    [reads] = [one for path, one in ids(admin, library).items() if path.endswith(".fastq")]
    assert admin.look(f"libraries/datasets/{reads}")["file_ext"] == "fastqsanger"
    before = ids(admin, library)
    again = sync(library, "--delete")
    assert (again.returncode, again.stdout, again.stderr) == (0, "keep\t\t14\t4 unchanged\n", "")
    assert ids(admin, library) == before
    jobs = admin.look("jobs", history_id=[one["id"] for one in admin.look("histories", q="name-eq",
                      qv=f"Uploads to library {library.id}")][0])
    assert len(jobs) == 1


def test_what_changes(admin, sync, files):
    library = admin.new_library()
    assert sync(library, "--to=runs/2026").returncode == 0
    before = ids(admin, library)
    (files / "run1" / "a.txt").write_text("A\tB\n")     # the same size
    (files / "top.txt").write_text("no longer empty")
    (files / "run2" / "b.gz").unlink()
    (files / "new.txt").write_text("new")
    dry = sync(library, "--to=runs/2026", "--dry-run", "--delete")
    assert dry.returncode == 0 and "its content differs" in dry.stdout and ids(admin, library) == before
    done = sync(library, "--to=runs/2026")
    assert (done.returncode, done.stderr) == (0, "")
    assert did(done) == [("leave", ""), ("replace", "run1/a.txt"), ("replace", "top.txt"), ("upload", "new.txt")]
    now = ids(admin, library)
    assert now["runs/2026/run2/b.gz"] == before["runs/2026/run2/b.gz"]
    assert now["runs/2026/run1/a.txt"] != before["runs/2026/run1/a.txt"]
    assert admin.look(f"libraries/datasets/{before['runs/2026/run1/a.txt']}")["deleted"] is True
    (files / "run2").rmdir()
    done = sync(library, "--to=runs/2026", "--delete")
    assert did(done) == [("delete", "run2/"), ("delete", "run2/b.gz")] and done.returncode == 0
    assert held(admin, library) == {f"runs/2026/{path}": same for path, same in expected(files).items()}
    assert "runs/2026/run2" not in ids(admin, library)


def test_what_others_have_there(admin, sync, files):
    library = admin.new_library()
    assert admin.run("library_upload_dir.py", "-u", admin.url, "-a", admin.key, "-l", library.id, "--nonlocal",
                     stdin=f"{files / 'run1' / 'a.txt'}\n").returncode == 0
    [theirs] = [path for path in ids(admin, library) if path.endswith("a.txt")]
    done = sync(library)
    assert (done.returncode, done.stderr) == (0, "") and theirs in held(admin, library)
    assert "1 in the library are not on the disk: --delete deletes them" in done.stdout
    assert sync(library).returncode == 0 and theirs in held(admin, library)
    assert ("delete", theirs) in did(sync(library, "--delete"))
    assert held(admin, library) == expected(files)


def test_a_record_that_lies(admin, sync, files):
    """Deleted in Galaxy, or another in its place, since it was noted."""
    library = admin.new_library()
    assert sync(library).returncode == 0
    there = ids(admin, library)
    for path in ("top.txt", "run1/a.txt"):
        admin.asked("DELETE", f"libraries/datasets/{there[path]}")
    admin.asked("PATCH", f"libraries/datasets/{there['run2/b.gz']}", json={"name": "renamed"})
    done = sync(library)
    assert (done.returncode, done.stderr) == (0, "")
    assert did(done) == [("leave", ""), ("upload", "run1/a.txt"), ("upload", "run2/b.gz"), ("upload", "top.txt")]
    assert held(admin, library) == {**expected(files), "run2/renamed": expected(files)["run2/b.gz"]}


def test_a_record_that_is_lost(admin, sync, files, tmp_path):
    library = admin.new_library()
    assert sync(library).returncode == 0
    before = ids(admin, library)
    [record] = (tmp_path / "state").rglob("*.sqlite")
    record.unlink()
    (files / "run1" / "a.txt").write_text("A\tB\n")
    assert did(sync(library)) == [] and ids(admin, library) == before       # the same size
    assert did(sync(library, "--verify")) == [("replace", "run1/a.txt")] and held(admin, library) == expected(files)


def test_killed_in_a_first_run(admin, sync, files, tmp_path):
    """SIGKILL when a part is in the library, a part is on its way and a part is not sent; run again at once."""
    library = admin.new_library()
    for folder in range(3):
        (files / f"set{folder}").mkdir()
        for number in range(40):
            (files / f"set{folder}" / f"{number}.txt").write_text(f"{folder} {number}")
    with admin.begin("library_sync.py", admin.key, admin.url, library.id, files,
                     XDG_STATE_HOME=str(tmp_path / "state")) as started:
        assert started.stdout.readline().startswith("upload")
        started.kill()
    done = sync(library, "-q")
    assert (done.returncode, done.stderr) == (0, "") and "keep" not in done.stdout
    assert {action for action, _ in did(done)} <= {"upload"}
    assert held(admin, library) == expected(files)
    assert did(sync(library, "--delete")) == []


def test_killed_in_a_replacement(admin, sync, files, tmp_path):
    """SIGKILL when Galaxy has taken the new one and the old one is not deleted."""
    library = admin.new_library()
    assert sync(library).returncode == 0
    (files / "run1" / "a.txt").write_text("A\tB\n")
    history = admin.look("histories", q="name-eq", qv=f"Uploads to library {library.id}")[0]["id"]
    with admin.begin("library_sync.py", admin.key, admin.url, library.id, files,
                     XDG_STATE_HOME=str(tmp_path / "state")) as started:
        for _ in Galaxy(admin.key, admin.url).poll(60):
            if len(admin.look("jobs", history_id=history)) == 2:
                break
        else:
            raise AssertionError("the new one was not sent")
        started.kill()
    done = sync(library)
    assert (done.returncode, done.stderr) == (0, "") and held(admin, library) == expected(files)
    assert did(sync(library, "--delete")) == []


def test_what_galaxy_does_not_keep(admin, sync, files):
    """The old one stays, and all else is done."""
    library = admin.new_library()
    (files / "page.html").write_text("a page\n")
    assert sync(library).returncode == 0
    before = held(admin, library)["page.html"]
    (files / "page.html").write_text("<html><script>\n")
    (files / "other.txt").write_text("other")
    for new in ([("upload", "other.txt")], []):
        done = sync(library)
        assert done.returncode == SOME_FAILED and done.stderr.count("\n") == 1 and did(done) == new
        assert "page.html: Galaxy did not keep it: The uploaded file contains invalid HTML content" in done.stderr
        assert held(admin, library) == {**expected(files), "page.html": before}


def test_odd_names(admin, sync, files):
    library = admin.new_library()
    for name in ("it's \"x\"", "tab\there", "new\nline", " blanks ", "<b>", "back\\slash", "😀", "-n", "x" * 250):
        (files / name).mkdir()
        (files / name / name).write_text(name)
    (files / "page.part").write_text("x")
    assert sync(library).returncode == 0
    assert held(admin, library) == {path: same for path, same in expected(files).items() if path != "page.part"}
    assert did(sync(library, "--delete")) == []


def test_names_that_are_not_utf_8_and_files_that_can_not_be_read(admin, sync, files):
    library = admin.new_library()
    with open(os.fsencode(files) + b"/\xff.txt", "w") as file:
        file.write("x")
    (files / "nowhere").symlink_to("none")
    (files / "out").symlink_to("/etc/hostname")
    done = sync(library)
    assert done.returncode == SOME_FAILED and done.stderr.count("\n") == 2
    assert f"{files}/?.txt: its name is not UTF-8" in done.stderr and f"{files}/nowhere: No such file" in done.stderr
    assert len(held(admin, library)) == 4


def test_two_of_one_name(admin, sync, files):
    """Somebody has copied another dataset there."""
    library, name = admin.new_library(), f"{secrets.token_hex(4)}.txt"
    (files / name).write_text(name)
    assert sync(library).returncode == 0
    copied = admin.uploaded(admin.new_history("copied"), files / name)
    admin.asked("POST", f"folders/{library.root_folder_id}/contents", json={"from_hda_id": copied})
    both = [item["id"] for item in admin.look(f"libraries/{library.id}/contents") if item["name"] == f"/{name}"]
    (files / "top.txt").write_text("another")
    done = sync(library, "--delete")
    assert done.returncode == SOME_FAILED and len(both) == 2 and did(done) == [("replace", "top.txt")]
    told = re.search(r"2 datasets of this name are in the library's folder: (\w+), (\w+); delete all but one", done.stderr)
    assert sorted(told.groups()) == sorted(both)        # PostgreSQL gives those of one name in either order
    assert len(held(admin, library)[name]) == 2
    twice = [admin.asked("POST", f"folders/{library.root_folder_id}", json={"name": "twice"})["id"] for _ in range(2)]
    refused = sync(library, "--to=twice")
    assert refused.returncode == FAILED and all(one in refused.stderr for one in twice)


def test_who_is_no_administrator(admin, server, sync, files):
    person, library = Person(server), admin.new_library()
    done = sync(library, asks=person)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (FAILED, "", 1) and "may not add to" in done.stderr
    may_add(admin, library, person)
    assert sync(library, asks=person).returncode == 0 and held(admin, library) == expected(files)
    again = sync(library, "--delete", asks=person)
    assert (again.stdout, again.stderr) == ("keep\t\t14\t4 unchanged\n", "")
    (files / "run1" / "a.txt").write_text("A\tB\n")
    (files / "run2" / "b.gz").unlink()
    (files / "run2").rmdir()
    done = sync(library, "--delete", asks=person)
    assert did(done) == [("delete", "run2/b.gz"), ("leave", "run2/"), ("replace", "run1/a.txt")]
    assert (done.returncode, done.stderr) == (0, "") and "empty: the library's managers may delete it" in done.stdout
    assert held(admin, library) == expected(files)


def test_the_second_run_asks_for_one_list(admin, files, monkeypatch, script, tmp_path, capsys):
    library = admin.new_library()
    for number in range(96):
        path = files / f"set{number % 12}" / f"{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    asked, send = Counter(), requests.Session.request
    monkeypatch.setattr(requests.Session, "request", lambda self, method, *rest, **more: (
        asked.update([method]), send(self, method, *rest, **more))[1])
    for count in (100, 0):
        asked.clear()
        assert script(library_sync.main, "-q", admin.key, admin.url, library.id, files) == 0
        output = capsys.readouterr()
        assert (output.out.count("upload\t"), output.out.count("\n"), output.err) == (count, count, "")
    assert asked == {"GET": 6}      # the user, the library (twice), the history, its jobs, the list
    assert len(ids(admin, library)) == 116
