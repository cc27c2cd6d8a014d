"""library_upload_dir.py: which files it uploads, by how many requests."""
import hashlib
import os
import sys

import library_upload_dir
import pytest
from fakes import KEY, URL

from common import FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts.libraries import uploads

LINE = ["-u", URL, "-a", KEY, "-l", "l1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder, with a file of three bytes, run1/a.txt."""
    (tmp_path / "here" / "run1").mkdir(parents=True)
    (tmp_path / "here" / "run1" / "a.txt").write_text("abc")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def upload(script, shelf, type_in):
    """`upload(paths, *options)`: the exit status of the script."""
    def run(paths, *options):
        type_in(paths if isinstance(paths, bytes) else "".join(f"{path}\n" for path in paths))
        return script(library_upload_dir.main, "-u", shelf.url, "-a", KEY, "-l", shelf.library, *options)
    return run


def path_id(shelf, path):
    return dict(shelf.walk(shelf.root))[path]["id"]


def elements(shelf):
    """The elements of all fetches, each behind its folder's id."""
    return [(target["destination"]["library_folder_id"], element) for one in shelf.sent("POST fetch")
            for target in one.json["targets"] for element in target["elements"]]


def create_job(shelf, state):
    """A job of an earlier run."""
    return shelf.create_job("__DATA_FETCH__", shelf.create_history(f"Uploads to library {shelf.library}"), state)


def appear_during(shelf, kind, folder):
    """Let a job of another run appear once such a request is answered, and add a.txt once it was seen."""
    job = create_job(shelf, "ok")

    def begin(handler):
        handler.serve_usual()
        job["state"], shelf.answers[kind] = "queued", None

    def end(handler):
        handler.serve_usual()
        if job["state"] == "queued":
            job["state"] = "ok"
            shelf.add(folder, "a.txt", b"aaa")
    shelf.answers.update({kind: begin, "GET jobs": end})


def add_files(shelf, here, count=1):
    """Add `count` files to run1, both on the disk and in the library; return the library folder's id."""
    folder = shelf.add(shelf.root, "run1")
    for number in range(count):
        (here / "run1" / f"{number}.txt").write_text("abc")
        shelf.add(folder, f"{number}.txt", b"abc")
    return folder


def test_files_and_folders_are_added_once(upload, shelf, here, capsys):
    (here / "run1" / "b.txt").write_text("bb")
    assert upload(["./run1/a.txt", "run1//b.txt"]) == 0
    assert list(shelf.files(shelf.root)) == ["run1/a.txt", "run1/b.txt"]
    folder = path_id(shelf, "run1")
    assert capsys.readouterr() == (f"[1/2] {folder}/a.txt uploaded=False\n[2/2] {folder}/b.txt uploaded=False\n", "")
    assert upload(["./run1/a.txt", "run1//b.txt"]) == 0
    assert capsys.readouterr() == (f"[1/2] {folder}/a.txt uploaded=True\n[2/2] {folder}/b.txt uploaded=True\n", "")
    assert list(shelf.files(shelf.root)) == ["run1/a.txt", "run1/b.txt"] and len(shelf.sent("POST fetch")) == 1


def test_the_requests_for_a_file(upload, shelf, here):
    assert upload(["run1/a.txt"]) == 0
    [folder] = shelf.sent("POST folder")
    assert (folder.path, folder.json) == (f"/api/folders/{shelf.root}", {"name": "run1", "description": ""})
    assert folder.headers["x-api-key"] == KEY
    assert shelf.sent("POST histories")[0].json == {"name": f"Uploads to library {shelf.library}"}
    assert shelf.sent("POST fetch")[0].json == {"history_id": next(iter(shelf.histories)), "targets": [{
        "destination": {"type": "library_folder", "library_folder_id": path_id(shelf, "run1")[1:]},
        "elements": [{"src": "path", "path": f"{here}/run1/a.txt", "name": "a.txt", "link_data_only": False}]}]}


def test_link_has_the_server_link_to_files(upload, shelf, here):
    assert upload(["run1/a.txt"], "--link") == 0
    assert elements(shelf)[0][1]["link_data_only"] is True


def test_nonlocal_sends_the_files_with_their_hashes(upload, shelf, here, capsys):
    (here / "a.txt").write_text("xyz")
    assert upload(["run1/a.txt", "a.txt"], "--nonlocal") == 0
    # Each folder's elements stand together, and the sessions in the elements' order.
    assert shelf.files(shelf.root) == {"run1/a.txt": b"abc", "a.txt": b"xyz"} and shelf.count("POST fetch") == 1
    assert [(folder, element["name"], element["hashes"]) for folder, element in elements(shelf)] == [
        (folder[1:], "a.txt", [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(content).hexdigest()}])
        for folder, content in ((shelf.root, b"xyz"), (path_id(shelf, "run1"), b"abc"))]
    assert not shelf.count("GET user") and capsys.readouterr().err == ""


def test_link_has_no_effect_with_nonlocal(upload, shelf, here, capsys):
    assert upload(["run1/a.txt"], "--nonlocal", "--link") == 0
    assert "--link has no effect with --nonlocal" in capsys.readouterr().err


@pytest.mark.parametrize("path, folders", [
    ("{here}/run1/a.txt", "{here}/run1"), ("./run1/a.txt", "run1"), ("run1/./a.txt", "run1"),
    ("../here/run1/a.txt", "../here/run1"), ("run1/../run1/a.txt", "run1/../run1")])
def test_the_path_as_typed_becomes_folders(upload, shelf, here, path, folders):
    assert upload([path.format(here=here)]) == 0
    assert list(shelf.files(shelf.root)) == [f"{folders.format(here=here).lstrip('/')}/a.txt"]
    assert elements(shelf)[0][1]["path"] == f"{here}/run1/a.txt"


def test_folder_names_the_folder_to_start_from(upload, shelf, here):
    folder = shelf.add(shelf.root, "inner")
    assert upload(["run1/a.txt"], "-f", folder) == 0
    assert list(shelf.files(shelf.root)) == ["inner/run1/a.txt"]


@pytest.mark.parametrize("which", ["library", "inner", "outer"])
def test_a_deleted_library_or_folder_is_an_error(upload, shelf, here, capsys, which):
    outer = shelf.add(shelf.root, "outer")
    inner = shelf.add(outer, "inner")
    {"library": shelf.libraries[shelf.library], "inner": shelf.folders[inner],
     "outer": shelf.folders[outer]}[which]["deleted"] = True
    for options in [["-f", inner], []][:1 + (which == "library")]:
        assert upload(["run1/a.txt"], *options) == FAILED
        output = capsys.readouterr()
        assert output.out == "" and output.err.count("\n") == 1 and "is deleted: an administrator" in output.err
    assert not shelf.writes()


def test_a_folder_id_without_its_f_is_a_usage_error(upload, shelf, here, capsys):
    assert upload(["run1/a.txt"], "-f", "0") == USAGE
    assert "--folder: 0 is no folder's id, which begins with F" in capsys.readouterr().err and not shelf.asked


def test_a_linked_file_that_has_changed_is_an_error(upload, shelf, here, capsys):
    shelf.add(shelf.add(shelf.root, "run1"), "a.txt", b"abc", raw_size=2)
    (here / "run1" / "b.txt").write_text("b")
    assert upload(["run1/a.txt", "run1/b.txt"], "--link") == SOME_FAILED
    output = capsys.readouterr()
    assert "run1/a.txt: the library has a dataset of this name with 2 bytes" in output.err and output.err.count("\n") == 1
    assert [element["name"] for _, element in elements(shelf)] == ["b.txt"]


def test_quiet_prints_no_lines(upload, shelf, here, capsys):
    for _ in range(2):
        assert upload(["run1/a.txt"], "-q") == 0
    assert capsys.readouterr() == ("", "") and list(shelf.files(shelf.root)) == ["run1/a.txt"]


@pytest.mark.parametrize("options, is_drawn", [([], True), (["-q"], False)])
def test_quiet_silences_bars(upload, shelf, here, monkeypatch, capsys, options, is_drawn):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert upload(["run1/a.txt"], "--nonlocal", *options) == 0
    assert ("a.txt: " in capsys.readouterr().err) == is_drawn


def test_a_list_with_windows_line_ends_is_read(upload, shelf, here):
    (here / "run1" / "b.txt\r").write_text("its name ends so")
    (here / "run1" / "b.txt").write_text("b")
    assert upload(["run1/a.txt\r", "\r", "run1/b.txt\r"]) == 0
    assert list(shelf.files(shelf.root)) == ["run1/a.txt", "run1/b.txt\r"]


def test_paths_separated_by_nul_are_an_error_with_a_hint(upload, shelf, here, capsys):
    assert upload(["run1/a.txt", "run1/b.txt\0run1/c.txt\0"]) == SOME_FAILED
    output = capsys.readouterr()
    assert "run1/b.txt: a NUL follows it: find without -print0" in output.err and output.err.count("\n") == 1
    assert list(shelf.files(shelf.root)) == ["run1/a.txt"]


def test_a_thousand_files_in_the_library_take_14_requests(upload, shelf, here, capsys):
    paths = []
    for run in range(10):
        (here / f"run{run}").mkdir(exist_ok=True)
        folder = shelf.add(shelf.root, f"run{run}", type="folder")
        for number in range(100):
            (here / f"run{run}" / f"{number}.txt").write_text("abc")
            shelf.add(folder, f"{number}.txt", b"abc")
            paths.append(f"run{run}/{number}.txt")
    create_job(shelf, "ok")
    assert upload(paths) == 0
    assert shelf.count() == 14 and not shelf.writes()
    output = capsys.readouterr()
    assert output.out.count("uploaded=True") == 1000 and output.err == ""


@pytest.mark.parametrize("count, pages", [(500, 1), (501, 2), (1500, 3)])
def test_a_folder_is_listed_to_its_end(upload, shelf, here, count, pages):
    folder = add_files(shelf, here, count)
    assert upload([f"run1/{number}.txt" for number in range(count)]) == 0
    assert sum(f"folders/{folder}/contents" in line for line in shelf.lines) == pages and not shelf.writes()


@pytest.mark.parametrize("item, again", [
    ({"state": "error"}, True), ({"state": "discarded"}, True), ({"raw_size": 4}, True), ({"type": "folder"}, True),
    ({"state": "failed_metadata"}, False)])
def test_which_datasets_count_as_uploaded(upload, shelf, here, item, again):
    folder = shelf.add(shelf.root, "run1")
    shelf.add(folder, "a.txt", b"abc", **item)
    assert upload(["run1/a.txt"]) == 0
    assert bool(shelf.sent("POST fetch")) == again


def test_b15_what_is_still_being_made_of_a_files_name_is_told(upload, shelf, here, capsys):
    """It may be that of a cancelled job, which never ends."""
    folder = shelf.add(shelf.root, "run1")
    moving = shelf.add(folder, "a.txt", b"abc", state="queued", raw_size=0)
    assert upload(["run1/a.txt"]) == STILL_RUNNING
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1
    assert f"run1/a.txt: dataset {moving} of this name is still being made: a later run compares it" in output.err
    assert not shelf.sent("POST fetch")


def test_a_failed_dataset_is_deleted_and_its_file_uploaded_again(upload, shelf, here):
    folder = shelf.add(shelf.root, "run1")
    failed = shelf.add(folder, "a.txt", b"abc", state="error", raw_size=0)
    other = shelf.add(folder, "other.txt", b"abc", state="error", raw_size=0)
    assert upload(["run1/a.txt"]) == 0
    assert shelf.deleted == [failed] and [item["name"] for item in shelf.children(folder)] == ["other.txt", "a.txt"]
    assert other in [item["id"] for item in shelf.children(folder)]


@pytest.mark.parametrize("end, why", [
    ({"state": "error", "message": "expected [1] got [2]"}, "expected [1] got [2]"),
    ({"state": "error", "message": "no such content", "name": "Unnamed dataset"}, "no such content"),
    ({"state": "discarded"}, "Galaxy does not say why")])
def test_a_file_that_does_not_arrive_is_an_error(upload, shelf, here, capsys, end, why):
    (here / "run1" / "b.txt").write_text("bb")
    shelf.arrivals = {"a.txt": end}
    assert upload(["run1/a.txt", "run1/b.txt"]) == SOME_FAILED
    output = capsys.readouterr()
    assert output.out.count("uploaded=False") == 2
    assert output.err.count("\n") == 1 and f"run1/a.txt: Galaxy did not keep it: {why}" in output.err
    assert len(shelf.deleted) == (end.get("state") == "error")


def test_failed_datasets_of_others_are_not_deleted(upload, shelf, here):
    folder = shelf.add(shelf.root, "run1")
    shelf.add(folder, "Unnamed dataset", b"abc", state="error", message="of somebody else")
    shelf.arrivals = {"a.txt": {"raw_size": 2}}
    assert upload(["run1/a.txt"]) == SOME_FAILED
    assert shelf.deleted == []


def test_a_file_that_arrives_with_another_size_is_an_error(upload, shelf, here, capsys):
    shelf.arrivals = {"a.txt": {"raw_size": 7}}
    assert upload(["run1/a.txt"]) == SOME_FAILED
    assert "run1/a.txt: arrived with 7 bytes, 3 were expected: it changed meanwhile" in capsys.readouterr().err


def test_a_simultaneous_upload_by_another_machine_is_an_error(upload, shelf, here, capsys):
    shelf.answers["POST fetch"] = lambda handler: shelf.fetch_to_library(handler.json)
    assert upload(["run1/a.txt"]) == SOME_FAILED
    assert "run1/a.txt: 2 datasets of this name were added: " in capsys.readouterr().err


def test_nothing_is_uploaded_while_a_job_is_paused(upload, shelf, here, capsys):
    """A job pauses if its user is over quota. Without this every nightly run would add one."""
    shelf.job_state = "paused"
    assert upload(["run1/a.txt"]) == SOME_FAILED
    output = capsys.readouterr().err
    history, job = f"the history 'Uploads to library {shelf.library}'", next(iter(shelf.jobs))
    assert f"its job is paused in {history}: most often the quota" in output
    for _ in range(2):
        assert upload(["run1/a.txt"]) == FAILED
        output = capsys.readouterr()
        assert output.out == "" and output.err.count("\n") == 1
        assert f"{history} has paused jobs ({job}): most often the quota" in output.err
    assert len(shelf.jobs) == 1


def test_bad_paths_are_errors_and_the_others_uploaded(upload, shelf, here, capsys):
    os.mkfifo(here / "pipe")
    paths = ["nosuch.txt", "run1", "", "run1/a.txt", "pipe", "run1/a.txt/x", "./run1/a.txt", "/", "run1/a.txt"]
    assert upload(paths) == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == f"[3/6] {path_id(shelf, 'run1')}/a.txt uploaded=False\n"
    assert list(shelf.files(shelf.root)) == ["run1/a.txt"]
    lines = [line.removeprefix(line.split(": ")[0] + ": ") for line in output.err.splitlines()]
    assert lines == ["nosuch.txt: No such file or directory", "run1: a folder: find FOLDER -type f lists its files",
                     "pipe: not a file", "run1/a.txt/x: Not a directory", "/: a folder: find FOLDER -type f lists its files"]


def test_a_second_path_to_the_same_place_is_left_out(upload, shelf, here, capsys):
    (here / str(here)[1:] / "run1").mkdir(parents=True)
    (here / str(here)[1:] / "run1" / "a.txt").write_text("other")
    assert upload([f"{here}/run1/a.txt", f"{str(here)[1:]}/run1/a.txt"]) == SOME_FAILED
    assert len(list(shelf.files(shelf.root))) == 1
    assert f"a.txt: left out, because it goes to the same place as {here}/run1/a.txt" in capsys.readouterr().err


def test_a_failed_dataset_that_may_not_be_deleted_is_reported(upload, shelf, here, capsys):
    shelf.arrivals = {"a.txt": {"state": "error", "message": "bad content"}}
    shelf.answers["DELETE file"] = (403, {"err_msg": "Not yours"})
    assert upload(["run1/a.txt"]) == SOME_FAILED
    output = capsys.readouterr().err
    assert "bad content; its failed dataset can't be deleted:" in output and "Not yours" in output
    assert output.count("\n") == 1


def test_names_that_are_not_utf_8_are_errors(upload, shelf, here, capsys):
    assert upload(b"run1/\xff.txt\nrun1/a.txt\n") == SOME_FAILED
    output = capsys.readouterr()
    assert "its name is not UTF-8" in output.err and output.err.count("\n") == 1 and "a.txt uploaded=False" in output.out


@pytest.mark.parametrize("name", ["ünï ö.txt", " spaces ", "a\tb", "😀", "-n", "..."])
def test_odd_names_arrive_unchanged(upload, shelf, here, name):
    (here / "run1" / name).write_text("abc")
    assert upload([f"run1/{name}"]) == 0 and list(shelf.files(shelf.root)) == [f"run1/{name}"]


def test_without_paths_nothing_happens(upload, shelf, capsys):
    assert upload([]) == 0
    assert capsys.readouterr() == ("", "") and not shelf.writes()


def test_a_closed_standard_input_is_a_usage_error(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert script(library_upload_dir.main, *LINE) == USAGE
    assert "standard input is closed" in capsys.readouterr().err


def test_an_unreadable_file_is_an_error(upload, shelf, here, monkeypatch, capsys):
    def send(galaxy, path):
        raise GalaxyError(f"{path}: Permission denied", USAGE)
    monkeypatch.setattr(library_upload_dir, "upload_file", send)
    assert upload(["run1/a.txt"], "--nonlocal") == SOME_FAILED
    assert "run1/a.txt: Permission denied" in capsys.readouterr().err and list(shelf.files(shelf.root)) == []
    assert not shelf.writes()


def test_a_file_that_changes_before_its_upload_is_an_error(upload, shelf, here, monkeypatch, capsys):
    monkeypatch.setattr(library_upload_dir, "require_path_paste", lambda *what: (here / "run1" / "a.txt").write_text("abcd"))
    assert upload(["run1/a.txt"]) == SOME_FAILED
    assert "changed since this run began" in capsys.readouterr().err and not shelf.writes()


def test_a_dry_run_uploads_nothing(upload, shelf, here, capsys):
    folder = add_files(shelf, here)
    (here / "run2").mkdir()
    (here / "run2" / "b.txt").write_text("b")
    assert upload(["run2/b.txt", "run1/0.txt", "run1/a.txt"], "--dry-run") == 0
    assert capsys.readouterr() == (f"[2/3] {folder}/0.txt uploaded=True\n[1/3] {shelf.root}/run2/b.txt would be uploaded\n"
                                   f"[3/3] {shelf.root}/run1/a.txt would be uploaded\n", "")
    assert not shelf.writes()


def test_fifty_files_share_a_job(upload, shelf, here):
    for number in range(101):
        (here / "run1" / f"{number}.txt").write_text("abc")
    assert upload([f"run1/{number}.txt" for number in range(101)]) == 0
    assert [len(one.json["targets"][0]["elements"]) for one in shelf.sent("POST fetch")] == [50, 50, 1]
    assert len(list(shelf.files(shelf.root))) == 101


def test_large_files_have_jobs_of_their_own(upload, shelf, here, monkeypatch):
    monkeypatch.setattr(library_upload_dir, "BATCH_BYTES", 6)
    for name, size in (("b", 3), ("c", 9), ("d", 2)):
        (here / "run1" / name).write_text("x" * size)
    assert upload(["run1/a.txt", "run1/b", "run1/c", "run1/d"]) == 0
    assert [[element["name"] for element in one.json["targets"][0]["elements"]]
            for one in shelf.sent("POST fetch")] == [["a.txt", "b"], ["c"], ["d"]]


def test_a_run_waits_for_the_jobs_of_earlier_ones(upload, shelf, here, clock, capsys):
    """A file sent by a killed run arrives while the next run waits, and is not sent again."""
    folder = shelf.add(shelf.root, "run1")
    job = create_job(shelf, "running")

    def end(handler):
        handler.serve_usual()
        if clock.slept and job["state"] == "running":
            job["state"] = "ok"
            shelf.add(folder, "a.txt", b"abc")
    shelf.answers["GET jobs"] = end
    assert upload(["run1/a.txt"]) == 0 and shelf.files(shelf.root) == {"run1/a.txt": b"abc"}
    assert capsys.readouterr().out == f"[1/1] {folder}/a.txt uploaded=True\n"


def test_jobs_still_running_after_the_timeout_exit_with_4(upload, shelf, here, capsys):
    create_job(shelf, "running")
    assert upload(["run1/a.txt"], "--timeout=0") == STILL_RUNNING
    output = capsys.readouterr()
    assert output.out == "" and "1 of 1 still running after 0 s" in output.err and not shelf.writes()


def test_a_job_that_appears_during_the_listing_is_awaited(upload, shelf, here, clock, capsys):
    folder = shelf.add(shelf.root, "run1")
    appear_during(shelf, "GET folder_contents", folder)
    assert upload(["run1/a.txt"]) == 0 and shelf.files(shelf.root) == {"run1/a.txt": b"aaa"}
    assert capsys.readouterr().out == f"[1/1] {folder}/a.txt uploaded=True\n"


def test_a_second_run_at_once_is_to_be_tried_later(upload, shelf, here, capsys):
    with uploads.exclusive_run(f"library {shelf.library}"):      # by whatever address of the server
        assert upload(["run1/a.txt"]) == TRY_LATER
    output = capsys.readouterr()
    assert output.out == "" and f"another run is at work on library {shelf.library}" in output.err
    assert upload(["run1/a.txt"]) == 0


def test_two_folders_of_a_name_are_an_error(upload, shelf, here, capsys):
    ids = [shelf.add(shelf.root, "run1") for _ in "12"]
    assert upload(["run1/a.txt"]) == FAILED
    assert f"2 folders are named 'run1': {', '.join(ids)}" in capsys.readouterr().err and not shelf.writes()


@pytest.mark.parametrize("about, words", [
    ({"parent_library_id": "l2"}, "is not in library {0.library}"),
    ({"can_add_library_item": False}, "may not add to folder {0.root} (Shelf): the library's managers")])
def test_a_folder_that_may_not_be_filled_is_an_error(upload, shelf, here, capsys, about, words):
    shelf.folders[shelf.root].update(about)
    assert upload(["run1/a.txt"], "-f", shelf.root) == FAILED
    output = capsys.readouterr()
    assert output.out == "" and words.format(shelf) in output.err and output.err.count("\n") == 1 and not shelf.writes()


@pytest.mark.parametrize("route, answer, words", [
    ("users/current", {"id": "u", "is_admin": False}, "needs an administrator's key"),
    ("configuration", {"allow_library_path_paste": False}, "can set allow_path_paste: true in galaxy.yml")])
def test_a_server_that_takes_no_paths_is_an_error_with_a_hint(upload, shelf, here, capsys, route, answer, words):
    shelf.answers[f"GET /api/{route}"] = (200, answer)
    assert upload(["run1/a.txt"]) == FAILED
    output = capsys.readouterr()
    assert output.out == "" and words in output.err and "--nonlocal sends the files themselves" in output.err
    assert not shelf.writes()


def test_a_refused_upload_is_an_error(upload, shelf, here, capsys):
    shelf.answers["POST fetch"] = (403, {"err_msg": "No rights", "err_code": 403002})
    assert upload(["run1/a.txt"]) == FAILED
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and "No rights" in output.err and KEY not in output.err


def test_a_server_that_goes_away_ends_the_run(upload, shelf, here, monkeypatch, capsys):
    def send(galaxy, path):
        raise GalaxyError("no dataset was made, send it again", TRY_LATER)
    (here / "run1" / "b.txt").write_text("b")
    monkeypatch.setattr(library_upload_dir, "upload_file", send)
    assert upload(["run1/a.txt", "run1/b.txt"], "--nonlocal") == TRY_LATER
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("line", [[], LINE[:4], [*LINE, "more"], [*LINE, "--timeout=soon"], ["-u", URL, "-a", KEY, "-l", ""],
                                  [*LINE, "-f", ""]])
def test_bad_lines_exit_with_2(script, type_in, capsys, line):
    type_in("")
    assert script(library_upload_dir.main, *line) == USAGE
    output = capsys.readouterr()
    assert output.out == "" and output.err and KEY not in output.err
