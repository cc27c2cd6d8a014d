"""library_upload_dir.py: which files it uploads, by how many requests."""
import itertools
import json
import os
import re
import sys

import library_upload_dir
import pytest
from fakes import KEY, URL

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts.libraries import uploads
from galaxy_api_scripts.progress import progress_bar

LINE = ["-u", URL, "-a", KEY, "-l", "l1"]


class Library:
    """A fake library behind requests_mock; `folders` is `{id: [item]}`, `F0` the root folder."""

    def __init__(self, mock):
        self.mock, self.folders, self.numbers = mock, {"F0": []}, itertools.count(1)
        self.about = {"parent_library_id": "l1", "folder_name": "n", "can_add_library_item": True}
        self.histories, self.jobs, self.deleted, self.ends = [], [], [], {}
        self.record = {"id": "l1", "name": "n", "deleted": False, "root_folder_id": "F0"}
        mock.get(f"{URL}/api/libraries/l1", json=lambda request, context: self.record)
        mock.get(re.compile(f"{URL}/api/folders/[^/]+$"), json=self.show_folder)
        mock.get(f"{URL}/api/users/current", json={"id": "u", "is_admin": True})
        mock.get(f"{URL}/api/configuration", json={"allow_library_path_paste": True})
        mock.get(f"{URL}/api/histories", json=lambda request, context: self.histories)
        mock.post(f"{URL}/api/histories", json=lambda request, context: self.histories.append(
            {"id": "h", **request.json()}) or self.histories[-1])
        mock.get(re.compile(f"{URL}/api/folders/[^/]+/contents"), json=self.list)
        mock.post(re.compile(f"{URL}/api/folders/[^/]+$"), json=self.new_folder)
        mock.post(f"{URL}/api/tools/fetch", json=self.fetch)
        mock.get(f"{URL}/api/jobs", json=self.list_jobs)
        mock.delete(re.compile(f"{URL}/api/libraries/datasets/"), json=self.delete)

    def add(self, folder, name, **more):
        item = {"id": str(next(self.numbers)), "type": "file", "name": name, "state": "ok", "raw_size": 3, **more}
        if item["type"] == "folder":
            item["id"] = f"F{item['id']}"
            self.folders[item["id"]] = []
        self.folders[folder].append(item)
        return item["id"]

    def list(self, request, context):
        items = self.folders[request.path.split("/")[3].upper()]
        start, size = int(request.qs["offset"][0]), int(request.qs["limit"][0])
        return {"metadata": {**self.about, "total_rows": len(items)}, "folder_contents": items[start:start + size]}

    def show_folder(self, request, context):
        folder = request.path.split("/")[3].upper()
        above = [(one, item) for one, items in self.folders.items() for item in items if item["id"] == folder]
        parent, item = above[0] if above else (None, {"name": "top"})
        return {"id": folder, "name": item["name"], "parent_id": parent, "deleted": item.get("deleted", False)}

    def new_folder(self, request, context):
        return {"id": self.add(request.path.split("/")[3].upper(), request.json()["name"], type="folder")}

    def fetch(self, request, context):
        """Add the elements at once, ended as `ends` has it for their names."""
        for target in request.json()["targets"]:
            for element in target["elements"]:
                end = self.ends.get(element["name"], {"raw_size": os.path.getsize(element.get("path", "/dev/null"))})
                self.add("F" + target["destination"]["library_folder_id"], **{"name": element["name"], **end})
        self.jobs.append({"id": f"j{len(self.jobs)}", "state": "ok"})
        return {"outputs": [], "jobs": self.jobs[-1:]}

    def list_jobs(self, request, context):
        return [job for job in self.jobs if "state" not in request.qs or job["state"] in request.qs["state"]]

    def delete(self, request, context):
        self.deleted.append(request.path.rsplit("/", 1)[1])
        for folder, items in self.folders.items():
            self.folders[folder] = [item for item in items if item["id"] != self.deleted[-1]]
        return {}

    def asked(self, method, route=""):
        return [one for one in self.mock.request_history if one.method == method and route in one.path]

    def elements(self):
        return [(target["destination"]["library_folder_id"], element) for one in self.asked("POST", "tools/fetch")
                for target in one.json()["targets"] for element in target["elements"]]

    def tree(self, folder="F0", path=""):
        """Return the paths of all files."""
        return [found for item in self.folders[folder] for found in (
            self.tree(item["id"], f"{path}{item['name']}/") if item["type"] == "folder" else [path + item["name"]])]


@pytest.fixture
def library(requests_mock):
    return Library(requests_mock)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, with a file of three bytes, run1/a.txt."""
    (tmp_path / "here" / "run1").mkdir(parents=True)
    (tmp_path / "here" / "run1" / "a.txt").write_text("abc")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def upload(script, type_in):
    """`upload(paths, *options)`: the exit status of the script."""
    def run(paths, *options):
        type_in("".join(f"{path}\n" for path in paths))
        return script(library_upload_dir.main, *LINE, *options)
    return run


def add_files(library, here, count=1):
    """Add `count` files to run1, both on the disk and in the library; return the library folder's id."""
    folder = library.add("F0", "run1", type="folder")
    for number in range(count):
        (here / "run1" / f"{number}.txt").write_text("abc")
        library.add(folder, f"{number}.txt")
    return folder


def test_files_and_folders_are_added_once(upload, library, here, capsys):
    (here / "run1" / "b.txt").write_text("bb")
    assert upload(["./run1/a.txt", "run1//b.txt"]) == 0
    assert library.tree() == ["run1/a.txt", "run1/b.txt"]
    assert capsys.readouterr() == ("[1/2] F1/a.txt uploaded=False\n[2/2] F1/b.txt uploaded=False\n", "")
    assert upload(["./run1/a.txt", "run1//b.txt"]) == 0
    assert capsys.readouterr() == ("[1/2] F1/a.txt uploaded=True\n[2/2] F1/b.txt uploaded=True\n", "")
    assert library.tree() == ["run1/a.txt", "run1/b.txt"] and len(library.asked("POST", "tools/fetch")) == 1


def test_the_requests_for_a_file(upload, library, here):
    assert upload(["run1/a.txt"]) == 0
    [folder] = library.asked("POST", "folders")
    assert (folder.path, folder.json()) == ("/api/folders/f0", {"name": "run1", "description": ""})
    assert folder.headers["x-api-key"] == KEY
    assert library.asked("POST", "histories")[0].json() == {"name": "Uploads to library l1"}
    assert library.asked("POST", "tools/fetch")[0].json() == {"history_id": "h", "targets": [{
        "destination": {"type": "library_folder", "library_folder_id": "1"},
        "elements": [{"src": "path", "path": f"{here}/run1/a.txt", "name": "a.txt", "link_data_only": False}]}]}


def test_link_has_the_server_link_to_files(upload, library, here):
    assert upload(["run1/a.txt"], "--link") == 0
    assert library.elements()[0][1]["link_data_only"] is True


def test_nonlocal_sends_the_files_with_their_hashes(upload, library, here, monkeypatch, capsys):
    (here / "a.txt").write_text("xyz")
    answers = [({"src": "files", "name": "a.txt", "hashes": [number]}, {"session_id": f"s{number}"}) for number in (1, 2)]
    monkeypatch.setattr(library_upload_dir, "upload_file", lambda galaxy, path: answers[path == "a.txt"])
    library.ends = {"a.txt": {"raw_size": 3}}
    assert upload(["run1/a.txt", "a.txt"], "--nonlocal") == 0
    sent = library.asked("POST", "tools/fetch")[0].json()
    # Each folder's elements stand together, and the sessions in the elements' order.
    assert [(target["destination"]["library_folder_id"], target["elements"]) for target in sent["targets"]] == [
        ("0", [answers[1][0]]), ("1", [answers[0][0]])]
    assert sent["files_0|file_data"] == {"session_id": "s2"} and sent["files_1|file_data"] == {"session_id": "s1"}
    assert not library.asked("GET", "users") and capsys.readouterr().err == ""


def test_link_has_no_effect_with_nonlocal(upload, library, here, monkeypatch, capsys):
    monkeypatch.setattr(library_upload_dir, "upload_file", lambda galaxy, path: ({"src": "files", "name": "a.txt"}, {}))
    library.ends = {"a.txt": {}}
    assert upload(["run1/a.txt"], "--nonlocal", "--link") == 0
    assert "--link has no effect with --nonlocal" in capsys.readouterr().err


@pytest.mark.parametrize("path, folders", [
    ("{here}/run1/a.txt", "{here}/run1"), ("./run1/a.txt", "run1"), ("run1/./a.txt", "run1"),
    ("../here/run1/a.txt", "../here/run1"), ("run1/../run1/a.txt", "run1/../run1")])
def test_the_path_as_typed_becomes_folders(upload, library, here, path, folders):
    assert upload([path.format(here=here)]) == 0
    assert library.tree() == [f"{folders.format(here=here).lstrip('/')}/a.txt"]
    assert library.elements()[0][1]["path"] == f"{here}/run1/a.txt"


def test_folder_names_the_folder_to_start_from(upload, library, here):
    folder = library.add("F0", "inner", type="folder")
    assert upload(["run1/a.txt"], "-f", folder) == 0
    assert library.tree() == ["inner/run1/a.txt"]


@pytest.mark.parametrize("which", ["library", "inner", "outer"])
def test_a_deleted_library_or_folder_is_an_error(upload, library, here, capsys, which):
    outer = library.add("F0", "outer", type="folder", deleted=which == "outer")
    inner = library.add(outer, "inner", type="folder", deleted=which == "inner")
    library.record["deleted"] = which == "library"
    for options in [["-f", inner], []][:1 + (which == "library")]:
        assert upload(["run1/a.txt"], *options) == FAILED
        output = capsys.readouterr()
        assert output.out == "" and output.err.count("\n") == 1 and "is deleted: an administrator" in output.err
    assert not library.asked("POST")


def test_a_folder_id_without_its_f_is_a_usage_error(upload, library, here, capsys):
    assert upload(["run1/a.txt"], "-f", "0") == USAGE
    assert "--folder: 0 is no folder's id, which begins with F" in capsys.readouterr().err and library.mock.call_count == 0


def test_a_linked_file_that_has_changed_is_an_error(upload, library, here, capsys):
    library.add(library.add("F0", "run1", type="folder"), "a.txt", raw_size=2)
    (here / "run1" / "b.txt").write_text("b")
    assert upload(["run1/a.txt", "run1/b.txt"], "--link") == SOME_FAILED
    output = capsys.readouterr()
    assert "run1/a.txt: the library has a dataset of this name with 2 bytes" in output.err and output.err.count("\n") == 1
    assert [element["name"] for _, element in library.elements()] == ["b.txt"]


def test_quiet_prints_no_lines(upload, library, here, capsys):
    for _ in range(2):
        assert upload(["run1/a.txt"], "-q") == 0
    assert capsys.readouterr() == ("", "") and library.tree() == ["run1/a.txt"]


@pytest.mark.parametrize("options, is_drawn", [([], True), (["-q"], False)])
def test_quiet_silences_bars(upload, library, here, monkeypatch, capsys, options, is_drawn):
    def send(galaxy, path):
        with progress_bar(3, path):
            return {"src": "path", "path": path, "name": os.path.basename(path)}, None
    monkeypatch.setattr(library_upload_dir, "upload_file", send)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert upload(["run1/a.txt"], "--nonlocal", *options) == 0
    assert ("run1/a.txt: " in capsys.readouterr().err) == is_drawn


def test_a_list_with_windows_line_ends_is_read(upload, library, here):
    (here / "run1" / "b.txt\r").write_text("its name ends so")
    (here / "run1" / "b.txt").write_text("b")
    assert upload(["run1/a.txt\r", "\r", "run1/b.txt\r"]) == 0
    assert library.tree() == ["run1/a.txt", "run1/b.txt\r"]


def test_paths_separated_by_nul_are_an_error_with_a_hint(upload, library, here, capsys):
    assert upload(["run1/a.txt", "run1/b.txt\0run1/c.txt\0"]) == SOME_FAILED
    output = capsys.readouterr()
    assert "run1/b.txt: a NUL follows it: find without -print0" in output.err and output.err.count("\n") == 1
    assert library.tree() == ["run1/a.txt"]


def test_a_thousand_files_in_the_library_take_14_requests(upload, library, here, capsys):
    paths = []
    for run in range(10):
        (here / f"run{run}").mkdir(exist_ok=True)
        folder = library.add("F0", f"run{run}", type="folder")
        for number in range(100):
            (here / f"run{run}" / f"{number}.txt").write_text("abc")
            library.add(folder, f"{number}.txt")
            paths.append(f"run{run}/{number}.txt")
    library.histories = [{"id": "h", "name": "Uploads to library l1"}]
    assert upload(paths) == 0
    assert library.mock.call_count == 14 and not library.asked("POST")
    output = capsys.readouterr()
    assert output.out.count("uploaded=True") == 1000 and output.err == ""


@pytest.mark.parametrize("count, pages", [(500, 1), (501, 2), (1500, 3)])
def test_a_folder_is_listed_to_its_end(upload, library, here, count, pages):
    add_files(library, here, count)
    assert upload([f"run1/{number}.txt" for number in range(count)]) == 0
    assert len(library.asked("GET", "folders/f1")) == pages and not library.asked("POST")


@pytest.mark.parametrize("item, again", [
    ({"state": "error"}, True), ({"state": "discarded"}, True), ({"raw_size": 4}, True), ({"type": "folder"}, True),
    ({"state": "failed_metadata"}, False)])
def test_which_datasets_count_as_uploaded(upload, library, here, item, again):
    folder = library.add("F0", "run1", type="folder")
    library.add(folder, "a.txt", **item)
    assert upload(["run1/a.txt"]) == 0
    assert bool(library.asked("POST", "tools/fetch")) == again


def test_b15_what_is_still_being_made_of_a_files_name_is_told(upload, library, here, capsys):
    """It may be that of a cancelled job, which never ends."""
    folder = library.add("F0", "run1", type="folder")
    moving = library.add(folder, "a.txt", state="queued", raw_size=0)
    assert upload(["run1/a.txt"]) == STILL_RUNNING
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1
    assert f"run1/a.txt: dataset {moving} of this name is still being made: a later run compares it" in output.err
    assert not library.asked("POST", "tools/fetch")


def test_a_failed_dataset_is_deleted_and_its_file_uploaded_again(upload, library, here):
    folder = library.add("F0", "run1", type="folder")
    failed = library.add(folder, "a.txt", state="error", raw_size=0)
    other = library.add(folder, "other.txt", state="error", raw_size=0)
    assert upload(["run1/a.txt"]) == 0
    assert library.deleted == [failed] and [item["name"] for item in library.folders[folder]] == ["other.txt", "a.txt"]
    assert other in [item["id"] for item in library.folders[folder]]


@pytest.mark.parametrize("end, why", [
    ({"state": "error", "message": "expected [1] got [2]"}, "expected [1] got [2]"),
    ({"state": "error", "message": "no such content", "name": "Unnamed dataset"}, "no such content"),
    ({"state": "discarded"}, "Galaxy does not say why")])
def test_a_file_that_does_not_arrive_is_an_error(upload, library, here, capsys, end, why):
    (here / "run1" / "b.txt").write_text("bb")
    library.ends = {"a.txt": end}
    assert upload(["run1/a.txt", "run1/b.txt"]) == SOME_FAILED
    output = capsys.readouterr()
    assert output.out.count("uploaded=False") == 2
    assert output.err.count("\n") == 1 and f"run1/a.txt: Galaxy did not keep it: {why}" in output.err
    assert len(library.deleted) == (end.get("state") == "error")


def test_failed_datasets_of_others_are_not_deleted(upload, library, here):
    folder = library.add("F0", "run1", type="folder")
    library.add(folder, "Unnamed dataset", state="error", message="of somebody else")
    library.ends = {"a.txt": {"raw_size": 2}}
    assert upload(["run1/a.txt"]) == SOME_FAILED
    assert library.deleted == []


def test_a_file_that_arrives_with_another_size_is_an_error(upload, library, here, capsys):
    library.ends = {"a.txt": {"raw_size": 7}}
    assert upload(["run1/a.txt"]) == SOME_FAILED
    assert "run1/a.txt: arrived with 7 bytes, 3 were expected: it changed meanwhile" in capsys.readouterr().err


def test_a_simultaneous_upload_by_another_machine_is_an_error(upload, library, here, capsys):
    taken = library.fetch
    library.mock.post(f"{URL}/api/tools/fetch", json=lambda request, context: [taken(request, context) for _ in "12"][0])
    assert upload(["run1/a.txt"]) == SOME_FAILED
    assert "run1/a.txt: 2 datasets of this name were added: " in capsys.readouterr().err


def test_nothing_is_uploaded_while_a_job_is_paused(upload, library, here, capsys):
    """A job pauses if its user is over quota. Without this every nightly run would add one."""
    def fetch(request, context):
        library.jobs.append({"id": f"j{len(library.jobs)}", "state": "paused"})
        return {"outputs": [], "jobs": library.jobs[-1:]}
    library.mock.post(f"{URL}/api/tools/fetch", json=fetch)
    assert upload(["run1/a.txt"]) == SOME_FAILED
    output = capsys.readouterr().err
    assert "its job is paused in the history 'Uploads to library l1': most often the quota" in output
    for _ in range(2):
        assert upload(["run1/a.txt"]) == FAILED
        output = capsys.readouterr()
        assert output.out == "" and output.err.count("\n") == 1
        assert "the history 'Uploads to library l1' has paused jobs (j0): most often the quota" in output.err
    assert len(library.jobs) == 1


def test_bad_paths_are_errors_and_the_others_uploaded(upload, library, here, capsys):
    os.mkfifo(here / "pipe")
    paths = ["nosuch.txt", "run1", "", "run1/a.txt", "pipe", "run1/a.txt/x", "./run1/a.txt", "/", "run1/a.txt"]
    assert upload(paths) == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == "[3/6] F1/a.txt uploaded=False\n" and library.tree() == ["run1/a.txt"]
    lines = [line.removeprefix(line.split(": ")[0] + ": ") for line in output.err.splitlines()]
    assert lines == ["nosuch.txt: No such file or directory", "run1: a folder: find FOLDER -type f lists its files",
                     "pipe: not a file", "run1/a.txt/x: Not a directory", "/: a folder: find FOLDER -type f lists its files"]


def test_a_second_path_to_the_same_place_is_left_out(upload, library, here, capsys):
    (here / str(here)[1:] / "run1").mkdir(parents=True)
    (here / str(here)[1:] / "run1" / "a.txt").write_text("other")
    assert upload([f"{here}/run1/a.txt", f"{str(here)[1:]}/run1/a.txt"]) == SOME_FAILED
    assert len(library.tree()) == 1
    assert f"a.txt: left out, because it goes to the same place as {here}/run1/a.txt" in capsys.readouterr().err


def test_a_failed_dataset_that_may_not_be_deleted_is_reported(upload, library, here, capsys):
    library.ends = {"a.txt": {"state": "error", "message": "bad content"}}
    library.mock.delete(re.compile(f"{URL}/api/libraries/datasets/"), status_code=403, json={"err_msg": "Not yours"})
    assert upload(["run1/a.txt"]) == SOME_FAILED
    output = capsys.readouterr().err
    assert "bad content; its failed dataset can't be deleted:" in output and "Not yours" in output
    assert output.count("\n") == 1


def test_names_that_are_not_utf_8_are_errors(script, type_in, library, here, capsys):
    type_in(b"run1/\xff.txt\nrun1/a.txt\n")
    assert script(library_upload_dir.main, *LINE) == SOME_FAILED
    output = capsys.readouterr()
    assert "its name is not UTF-8" in output.err and output.err.count("\n") == 1 and "a.txt uploaded=False" in output.out


@pytest.mark.parametrize("name", ["ünï ö.txt", " spaces ", "a\tb", "😀", "-n", "..."])
def test_odd_names_arrive_unchanged(upload, library, here, name):
    (here / "run1" / name).write_text("abc")
    assert upload([f"run1/{name}"]) == 0 and library.tree() == [f"run1/{name}"]


def test_without_paths_nothing_happens(upload, library, capsys):
    assert upload([]) == 0
    assert capsys.readouterr() == ("", "") and not library.asked("POST")


def test_a_closed_standard_input_is_a_usage_error(script, library, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert script(library_upload_dir.main, *LINE) == USAGE
    assert "standard input is closed" in capsys.readouterr().err and library.mock.call_count == 0


def test_an_unreadable_file_is_an_error(upload, library, here, monkeypatch, capsys):
    def send(galaxy, path):
        raise GalaxyError(f"{path}: Permission denied", USAGE)
    monkeypatch.setattr(library_upload_dir, "upload_file", send)
    assert upload(["run1/a.txt"], "--nonlocal") == SOME_FAILED
    assert "run1/a.txt: Permission denied" in capsys.readouterr().err and library.tree() == []
    assert not library.asked("POST")


def test_a_file_that_changes_before_its_upload_is_an_error(upload, library, here, monkeypatch, capsys):
    monkeypatch.setattr(library_upload_dir, "require_path_paste", lambda *what: (here / "run1" / "a.txt").write_text("abcd"))
    assert upload(["run1/a.txt"]) == SOME_FAILED
    assert "changed since this run began" in capsys.readouterr().err and not library.asked("POST")


def test_a_dry_run_uploads_nothing(upload, library, here, capsys):
    add_files(library, here)
    (here / "run2").mkdir()
    (here / "run2" / "b.txt").write_text("b")
    assert upload(["run2/b.txt", "run1/0.txt", "run1/a.txt"], "--dry-run") == 0
    assert capsys.readouterr() == ("[2/3] F1/0.txt uploaded=True\n[1/3] F0/run2/b.txt would be uploaded\n"
                                   "[3/3] F0/run1/a.txt would be uploaded\n", "")
    assert not library.asked("POST") and library.histories == []


def test_fifty_files_share_a_job(upload, library, here):
    for number in range(101):
        (here / "run1" / f"{number}.txt").write_text("abc")
    assert upload([f"run1/{number}.txt" for number in range(101)]) == 0
    assert [len(one.json()["targets"][0]["elements"]) for one in library.asked("POST", "tools/fetch")] == [50, 50, 1]
    assert len(library.tree()) == 101


def test_large_files_have_jobs_of_their_own(upload, library, here, monkeypatch):
    monkeypatch.setattr(library_upload_dir, "BATCH_BYTES", 6)
    for name, size in (("b", 3), ("c", 9), ("d", 2)):
        (here / "run1" / name).write_text("x" * size)
    assert upload(["run1/a.txt", "run1/b", "run1/c", "run1/d"]) == 0
    assert [[element["name"] for element in one.json()["targets"][0]["elements"]]
            for one in library.asked("POST", "tools/fetch")] == [["a.txt", "b"], ["c"], ["d"]]


def test_a_run_waits_for_the_jobs_of_earlier_ones(upload, library, here, clock, capsys):
    """A file sent by a killed run arrives while the next run waits, and is not sent again."""
    folder = library.add("F0", "run1", type="folder")
    library.histories = [{"id": "h", "name": "Uploads to library l1"}]
    library.jobs = [{"id": "j", "state": "running"}]

    def later(request, context):
        answer = library.list_jobs(request, context)
        if clock.slept and library.jobs[0]["state"] == "running":
            library.jobs[0]["state"] = "ok"
            library.add(folder, "a.txt")
        return answer
    library.mock.get(f"{URL}/api/jobs", json=later)
    assert upload(["run1/a.txt"]) == 0
    assert library.tree() == ["run1/a.txt"] and capsys.readouterr().out == "[1/1] F1/a.txt uploaded=True\n"


def test_jobs_still_running_after_the_timeout_exit_with_4(upload, library, here, capsys):
    library.histories = [{"id": "h", "name": "Uploads to library l1"}]
    library.jobs = [{"id": "j", "state": "running"}]
    assert upload(["run1/a.txt"], "--timeout=0") == STILL_RUNNING
    output = capsys.readouterr()
    assert output.out == "" and "1 of 1 still running after 0 s" in output.err and not library.asked("POST")


def test_a_job_that_appears_during_the_listing_is_awaited(upload, library, here, clock, capsys):
    folder = library.add("F0", "run1", type="folder")
    library.histories = [{"id": "h", "name": "Uploads to library l1"}]

    def list_and_begin(request, context):
        answer = library.list(request, context)
        if not library.jobs:
            library.jobs = [{"id": "late", "state": "queued"}]
        return json.loads(json.dumps(answer))

    def later(request, context):
        answer = library.list_jobs(request, context)
        if library.jobs and library.jobs[0]["state"] == "queued":
            library.jobs[0]["state"] = "ok"
            library.add(folder, "a.txt")
        return answer
    library.mock.get(re.compile(f"{URL}/api/folders/[^/]+/contents"), json=list_and_begin)
    library.mock.get(f"{URL}/api/jobs", json=later)
    assert upload(["run1/a.txt"]) == 0
    assert library.tree() == ["run1/a.txt"] and capsys.readouterr().out == "[1/1] F1/a.txt uploaded=True\n"


def test_a_second_run_at_once_is_to_be_tried_later(upload, library, here, capsys):
    with uploads.exclusive_run("library l1"):      # by whatever address of the server
        assert upload(["run1/a.txt"]) == TRY_LATER
    output = capsys.readouterr()
    assert output.out == "" and "another run is at work on library l1" in output.err
    assert upload(["run1/a.txt"]) == 0


def test_two_folders_of_a_name_are_an_error(upload, library, here, capsys):
    library.add("F0", "run1", type="folder")
    library.add("F0", "run1", type="folder")
    assert upload(["run1/a.txt"]) == FAILED
    assert "2 folders are named 'run1': F1, F2" in capsys.readouterr().err and not library.asked("POST")


@pytest.mark.parametrize("about, words", [
    ({"parent_library_id": "l2"}, "is not in library l1"),
    ({"can_add_library_item": False}, "may not add to folder F0 (n): the library's managers")])
def test_a_folder_that_may_not_be_filled_is_an_error(upload, library, here, capsys, about, words):
    library.about.update(about)
    assert upload(["run1/a.txt"], "-f", "F0") == FAILED
    output = capsys.readouterr()
    assert output.out == "" and words in output.err and output.err.count("\n") == 1 and not library.asked("POST")


@pytest.mark.parametrize("route, answer, words", [
    ("users/current", {"id": "u", "is_admin": False}, "needs an administrator's key"),
    ("configuration", {"allow_library_path_paste": False}, "can set allow_path_paste: true in galaxy.yml")])
def test_a_server_that_takes_no_paths_is_an_error_with_a_hint(upload, library, here, capsys, route, answer, words):
    library.mock.get(f"{URL}/api/{route}", json=answer)
    assert upload(["run1/a.txt"]) == FAILED
    output = capsys.readouterr()
    assert output.out == "" and words in output.err and "--nonlocal sends the files themselves" in output.err
    assert not library.asked("POST")


def test_a_refused_upload_is_an_error(upload, library, here, capsys):
    library.mock.post(f"{URL}/api/tools/fetch", status_code=403, json={"err_msg": "No rights", "err_code": 403002})
    assert upload(["run1/a.txt"]) == FAILED
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and "No rights" in output.err and KEY not in output.err


def test_a_server_that_goes_away_ends_the_run(upload, library, here, monkeypatch, capsys):
    def send(galaxy, path):
        raise GalaxyError("no dataset was made, send it again", TRY_LATER)
    (here / "run1" / "b.txt").write_text("b")
    monkeypatch.setattr(library_upload_dir, "upload_file", send)
    assert upload(["run1/a.txt", "run1/b.txt"], "--nonlocal") == TRY_LATER
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("line", [[], LINE[:4], [*LINE, "more"], [*LINE, "--timeout=soon"], ["-u", URL, "-a", KEY, "-l", ""],
                                  [*LINE, "-f", ""]])
def test_bad_lines_exit_with_2(script, library, type_in, capsys, line):
    type_in("")
    assert script(library_upload_dir.main, *line) == USAGE
    output = capsys.readouterr()
    assert output.out == "" and output.err and KEY not in output.err and library.mock.call_count == 0
