"""Cases that failed once (A1, A10, A13), for histories, libraries and archives, each by its number."""
import importlib

import pytest
from fakes import KEY
from fakes.galaxy import FakeGalaxy
from fakes.whole_jobs import archive

from common import DONE, FAILED, USAGE


@pytest.fixture
def galaxy(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    with FakeGalaxy(polls=0) as server:
        server.users[KEY]["is_admin"] = True
        yield server


def make_lines(galaxy, folder):
    """`{script: (the route of the request that makes something, its command line)}`."""
    library, history = galaxy.create_library("Lab"), galaxy.create_history("Run 12")
    root, contents = library["root_folder_id"], f"{galaxy.url}/api/libraries/{library['id']}/contents"
    dataset, file = galaxy.create_dataset("a.txt", b"abc"), galaxy.create_file("Other", "b.txt", b"abc")
    galaxy.import_dir["run12"] = {"a.txt": b"abc"}
    (folder / "in").mkdir()
    (folder / "in" / "a.tsv").write_text("abc")
    (folder / "in" / "a.tsv.json").write_text("{}")
    (folder / "h.tgz").write_bytes(archive())
    (folder / "lab.yml").write_text("destination: {type: library, name: Genomes}\nitems: [{src: url, url: 'http://x.org/a'}]\n")
    galaxy.tools["fetch"] = bytes
    shelf = ["-u", galaxy.url, "-a", KEY, "-l", library["id"], "--nonlocal"]
    return {
        "history_create_history": ("histories", [KEY, galaxy.url, "x"]),
        "history_export": (f"histories/{history}/prepare_store_download", [KEY, galaxy.url, history, "x.tgz"]),
        "history_import": ("histories", [KEY, galaxy.url, "h.tgz"]),
        "library_create_library": ("libraries", [KEY, galaxy.url, "x"]),
        "library_create_folder": (f"libraries/{library['id']}/contents", [KEY, contents, root, "x"]),
        "library_upload_from_import_dir": (f"libraries/{library['id']}/contents",
                                           [KEY, contents, root, "txt", "run12", "?"]),
        "copy_hda_to_library_folder": (f"libraries/{library['id']}/contents",
                                       [galaxy.url, KEY, dataset, library["id"], root]),
        "import_library_dataset_to_history": (f"histories/{history}/contents",
                                              [KEY, f"{galaxy.url}/api/histories/{history}/contents", file["id"]]),
        "fetch_to_library": ("tools/fetch", ["-u", galaxy.url, "-a", KEY, "lab.yml"]),
        "library_sync": ("tools/fetch", [KEY, galaxy.url, "Lab", "in"]),
        "library_upload_dir": ("tools/fetch", shelf),
        "load_data_with_metadata": (f"libraries/{library['id']}/contents", [KEY, galaxy.url, "in", "Lab"]),
        "data_manager_example_execute": ("tools", ["-k", KEY, "-u", galaxy.url, "--fetch-tool=fetch", "--index-tool=fetch",
                                                   "-d", "sacCer3", "--sleep_time=1"]),
    }


MAKERS = ["history_create_history", "history_export", "history_import", "library_create_library", "library_create_folder",
          "library_upload_from_import_dir", "copy_hda_to_library_folder", "import_library_dataset_to_history",
          "fetch_to_library", "library_sync", "library_upload_dir", "load_data_with_metadata",
          "data_manager_example_execute"]


@pytest.mark.parametrize("answer", [b"{}", b"null", b"[]"])
@pytest.mark.parametrize("name", MAKERS)
def test_a10_an_answer_that_shows_nothing_made_is_no_success(name, answer, galaxy, script, type_in, capsys, tmp_path):
    path, words = make_lines(galaxy, tmp_path)[name]
    galaxy.answers[f"POST /api/{path}"] = (200, answer)
    type_in("in/a.tsv\n")
    assert script(importlib.import_module(name).main, *words) != DONE
    output = capsys.readouterr()
    assert output.err.count("\n") == 1 and "unforeseen" not in output.err, output
    assert galaxy.lines.count(f"POST /api/{path}") == 1


@pytest.mark.parametrize("name", ["-high coverage", "--", "-h", "-n"])
def test_a13_a_name_that_begins_with_a_hyphen_is_a_name(name, galaxy, script, capsys):
    words = [name] if name == "-high coverage" else ["--", name]
    assert script(importlib.import_module("history_create_history").main, KEY, galaxy.url, *words) == DONE
    assert [one["name"] for one in galaxy.histories.values()] == [name]
    assert script(importlib.import_module("library_create_library").main, KEY, galaxy.url, *words) == DONE
    assert [one["name"] for one in galaxy.libraries.values()] == [name]


def test_a13_a_files_name_that_begins_with_a_hyphen_is_a_file(galaxy, script, tmp_path):
    (tmp_path / "-dash.txt").write_text("abc")
    history = galaxy.create_history("Run 12")
    assert script(importlib.import_module("upload_to_history").main, KEY, galaxy.url, history, "-dash.txt") == DONE
    assert galaxy.held(history) == {"-dash.txt": b"abc"}


@pytest.mark.parametrize("form", ["{id}", "ld:{id}", "ldda:{id}", "lib:/Lab/a.txt"])
def test_a1_a_librarys_dataset_is_imported_by_each_of_its_names(form, galaxy, script, capsys):
    history, file = galaxy.create_history("Run 12"), galaxy.create_file("Lab", "a.txt", b"abc")
    line = [KEY, f"{galaxy.url}/api/histories/{history}/contents"]
    assert script(importlib.import_module("import_library_dataset_to_history").main, *line,
                  form.format(id=file["id"])) == DONE
    assert galaxy.held(history) == {"a.txt": b"abc"}


@pytest.mark.parametrize("ref", ["hda:{id}", "hdca:{id}", "lib:/Lab/b.txt", "lib:/Lib/a.txt", "ldda:no/../id"])
def test_a1_what_is_no_dataset_of_a_library_is_not_imported(ref, galaxy, script, capsys):
    history, file = galaxy.create_history("Run 12"), galaxy.create_file("Lab", "a.txt", b"abc")
    line = [KEY, f"{galaxy.url}/api/histories/{history}/contents", ref.format(id=file["id"])]
    assert script(importlib.import_module("import_library_dataset_to_history").main, *line) != DONE
    assert capsys.readouterr().err.count("\n") == 1 and galaxy.held(history) == {}


def test_a1_a_historys_dataset_is_put_into_a_library_by_its_ref_and_a_collection_is_not(galaxy, script, capsys):
    library, dataset = galaxy.create_library("Lab"), galaxy.create_dataset("a.txt", b"abc")
    main, root = importlib.import_module("copy_hda_to_library_folder").main, library["root_folder_id"]
    for kind in ("hdca", "ldda", "ld"):
        assert script(main, galaxy.url, KEY, f"{kind}:{dataset}", library["id"], root) == USAGE
        assert capsys.readouterr().err.count("\n") == 1 and galaxy.children(root) == []
    assert script(main, galaxy.url, KEY, f"hda:{dataset}", library["id"], root) == DONE
    assert [one["name"] for one in galaxy.children(root)] == ["a.txt"]


def test_datasets_of_a_folder_without_a_description_are_found(galaxy, script, capsys, tmp_path):
    """Galaxy 26.1 answers its list with 500."""
    history, _ = galaxy.create_history("Run 12"), galaxy.create_file("Lab", "a.txt", b"abc")
    [library] = galaxy.libraries.values()
    galaxy.answers[f"GET /api/folders/{library['root_folder_id']}/contents"] = (500, b"Internal Server Error")
    line = [KEY, f"{galaxy.url}/api/histories/{history}/contents", "lib:/Lab/a.txt"]
    assert script(importlib.import_module("import_library_dataset_to_history").main, *line) == DONE
    assert galaxy.held(history) == {"a.txt": b"abc"}
    line[2] = "lib:/Lab/in/a.txt"
    assert script(importlib.import_module("import_library_dataset_to_history").main, *line) == FAILED
    assert "lib:/Lab/in/a.txt: the library has nothing with that name" in capsys.readouterr().err
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.txt").write_text("b")
    capsys.readouterr()
    assert script(importlib.import_module("library_sync").main, KEY, galaxy.url, "Lab", "in") == FAILED
    assert f"update.py KEY {galaxy.url}/api/folders/{library['root_folder_id']} description=x" in capsys.readouterr().err
