"""The library scripts against a real Galaxy, each by its command line; then Galaxy is asked."""
import json
import secrets
import signal
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import library_upload_dir
import pytest
import requests

from common import SOME_FAILED, TRY_LATER, Galaxy
from galaxy_api_scripts.polling import wait_jobs

from .conftest import Person

ROOT = Path(__file__).parent.parent.parent


def held(admin, library):
    """`{path: [dataset]}` for all files of a library."""
    found = {}
    for item in admin.look(f"libraries/{library.id}/contents"):
        if item["type"] == "file":
            found.setdefault(item["name"], []).append(admin.look(f"libraries/datasets/{item['id']}"))
    return found


def states(admin, library):
    """`{path: states}` once no dataset of the library moves any more."""
    for _ in Galaxy(admin.key, admin.url).poll(120):
        found = {path: [one["state"] for one in same] for path, same in held(admin, library).items()}
        if not any(state in ("new", "queued", "running", "upload") for same in found.values() for state in same):
            return found
    raise AssertionError(found)


def may_add(admin, library, person):
    """Let somebody add to a library."""
    role = [one["id"] for one in admin.look("roles") if one["name"] == person.email]
    if not role:
        role = [one["id"] for one in admin.look(f"libraries/{library.id}/permissions", scope="available")["roles"]
                if one["name"] == person.email]
    admin.asked("POST", f"libraries/{library.id}/permissions", json={
        "action": "set_permissions", "add_ids[]": role, "modify_ids[]": role, "manage_ids[]": []})


def ended(admin, job):
    wait_jobs(Galaxy(admin.key, admin.url), admin.look(f"jobs/{job}")["history_id"], [job], timeout=120)


@pytest.fixture
def files(tmp_path):
    """A folder with four files in a tree."""
    texts = {"top.txt": "", "run1/a.txt": "a\tb\n", "run1/deep er/ö'x.txt": "no newline", "run1/b.gz": "\0"}
    for path, text in texts.items():
        (tmp_path / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / path).write_text(text)
    return tmp_path / "files"


@pytest.fixture
def run(admin, files):
    """`run(library, *options)`: library_upload_dir.py for all those files."""
    def upload(library, *options, asks=admin, paths=()):
        typed = [*paths] or sorted(path for path in files.rglob("*") if path.is_file())
        return asks.run("library_upload_dir.py", "-u", asks.url, "-a", asks.key, "-l", library.id, *options,
                        stdin="".join(f"{path}\n" for path in typed))
    return upload


def test_library_create_library(admin):
    name = f"made {secrets.token_hex(4)}"
    done = admin.run("library_create_library.py", admin.key, f"{admin.url}/api/libraries", name, "what", "more")
    assert done.returncode == 0 and done.stdout.startswith("Response\n--------\n{'") and done.stderr == ""
    [made] = [one for one in admin.look("libraries") if one["name"] == name]
    assert (made["description"], made["synopsis"]) == ("what", "more")


def test_library_create_folder(admin):
    library = admin.new_library()
    url = f"{admin.url}/api/libraries/{library.id}/contents"
    done = admin.run("library_create_folder.py", admin.key, url, library.root_folder_id, "Run 12", "Paired")
    assert done.returncode == 0 and "\n  name: Run 12\n" in done.stdout and done.stderr == ""
    made = admin.value("library_create_folder.py", "--format=value", "--fields=id", admin.key, url,
                       library.root_folder_id, "x")
    folders = admin.look(f"folders/{library.root_folder_id}/contents")["folder_contents"]
    assert [(one["name"], one["description"]) for one in folders] == [("Run 12", "Paired"), ("x", "")]
    assert folders[1]["id"] == made


def test_from_a_history_to_a_library_and_back(admin, tmp_path):
    library = admin.new_library()
    (tmp_path / "a.tsv").write_text("a\tb\n")
    one = admin.uploaded(admin.new_history("there"), tmp_path / "a.tsv", file_type="tabular")
    base = admin.url.removeprefix("http://")
    done = admin.run("copy_hda_to_library_folder.py", base, admin.key, one, library.id, library.root_folder_id, "my words")
    assert done.returncode == 0 and done.stdout.startswith("Response\n--------\n{'") and done.stderr == ""
    [[copy]] = held(admin, library).values()
    assert (copy["name"], copy["message"]) == ("a.tsv", "my words")

    history = admin.new_history("and back")
    done = admin.run("import_library_dataset_to_history.py", admin.key, f"{admin.url}/api/histories/{history}/contents",
                     copy["id"])
    assert done.returncode == 0 and done.stdout.startswith("Response\n--------\n{'") and done.stderr == ""
    [back] = admin.look(f"histories/{history}/contents")
    assert admin.look(f"datasets/{back['id']}")["file_size"] == 4 and back["extension"] == "tabular"


def test_library_upload_from_import_dir(admin):
    imports = admin.look("configuration").get("library_import_dir")
    if not imports or not Path(imports).is_dir():
        pytest.skip("this Galaxy has no library_import_dir on this machine")
    folder = Path(imports) / f"live {secrets.token_hex(4)}"
    folder.mkdir()
    (folder / "a.tsv").write_text("a\tb\n")
    library = admin.new_library()
    line = ["library_upload_from_import_dir.py", admin.key, f"{admin.url}/api/libraries/{library.id}/contents",
            library.root_folder_id, "tabular"]
    done = admin.run(*line, folder.name, "hg38")
    assert done.returncode == 0 and "\n  name: a.tsv\n" in done.stdout and done.stderr == ""
    assert states(admin, library) == {"/a.tsv": ["ok"]}
    [[made]] = held(admin, library).values()
    assert (made["genome_build"], made["file_ext"]) == ("hg38", "tabular")
    for wrong, words, status in (([folder.name, "hg99"], "no genome build 'hg99'", 2),
                                 (["nosuch", "?"], "can't read 'nosuch'", 1), (["../..", "?"], "Invalid server_dir", 1)):
        done = admin.run(*line, *wrong)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1) and words in done.stderr
    assert len(held(admin, library)) == 1


def test_load_data_with_metadata(admin, tmp_path):
    name, number = f"metadata {secrets.token_hex(4)}", f"{secrets.token_hex(4)}-1234-4234-8234-1234567890ab"
    (tmp_path / "a.bed").write_text("chr1\t1\t2\n")
    (tmp_path / "a.bed.json").write_text(json.dumps({"tissue": "liver", "mark": number}))
    (tmp_path / "alone.bed").write_text("chr1\t1\t2\n")
    line = ["load_data_with_metadata.py", admin.key, f"{admin.url}/api/", tmp_path, name, "--uuid_field=mark"]
    done = admin.run(*line)
    assert done.returncode == 0 and done.stdout.startswith(f"Loading {tmp_path}/a.bed\nResponse\n") and done.stderr == ""
    again = admin.run(*line)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    [library] = [one for one in admin.look("libraries") if one["name"] == name]
    library = type("Library", (), library)
    assert states(admin, library) == {"/a.bed": ["ok"]}
    [[made]] = held(admin, library).values()
    assert made["uuid"] == number and made["file_name"] == f"{tmp_path}/a.bed"


@pytest.mark.needs("fetched folders")
def test_fetch_to_library(admin, tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "genome.fa").write_text(">chr1\nACGT\n")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *what: None})
    serves = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=tmp_path / "served"))
    threading.Thread(target=serves.serve_forever, daemon=True).start()
    name = f"Genomes {secrets.token_hex(4)}"
    (tmp_path / "genomes.yml").write_text(f"""
destination: {{type: library, name: {name}, description: some}}
items:
- name: yeast
  items:
  - {{src: url, url: "http://127.0.0.1:{serves.server_port}/genome.fa", name: chr1, ext: fasta, info: R64}}
- {{src: pasted, paste_content: "x", name: note, ext: txt}}
""")
    try:
        done = admin.run("fetch_to_library.py", "-u", admin.url, "-a", admin.key, tmp_path / "genomes.yml")
        assert done.returncode == 0 and done.stderr == ""
        [job] = json.loads(done.stdout)["jobs"]
        ended(admin, job["id"])
    finally:
        serves.shutdown()
        serves.server_close()
    [library] = [one for one in admin.look("libraries") if one["name"] == name]
    assert library["description"] == "some"
    assert states(admin, type("Library", (), library)) == {"/yeast/chr1": ["ok"], "/note": ["ok"]}


def test_load_data_deletes_what_failed(admin, tmp_path):
    """A UUID that another dataset has is refused by Galaxy's job, or by Galaxy; what an earlier run left in error goes."""
    name = f"metadata {secrets.token_hex(4)}"
    library = admin.new_library()
    admin.asked("PATCH", f"libraries/{library.id}", json={"name": name})
    (tmp_path / "a.bed").write_text("chr1\t1\t2\n")
    (tmp_path / "a.bed.json").write_text("{}")
    admin.asked("POST", f"libraries/{library.id}/contents", json={
        "folder_id": library.root_folder_id, "create_type": "file", "file_type": "auto", "dbkey": "?", "uuid": "no uuid",
        "upload_option": "upload_paths", "filesystem_paths": f"{tmp_path}/a.bed", "link_data_only": "link_to_files",
        "extended_metadata": {"a": 1}})
    assert states(admin, library) == {"/a.bed": ["error"]}
    done = admin.run("load_data_with_metadata.py", admin.key, admin.url, tmp_path, name)
    assert (done.returncode, done.stderr) == (0, "")
    assert states(admin, library) == {"/a.bed": ["ok"]}


def test_load_data_twice_at_once(admin, tmp_path):
    name = f"metadata {secrets.token_hex(4)}"
    (tmp_path / "a.bed").write_text("chr1\t1\t2\n")
    (tmp_path / "a.bed.json").write_text("{}")
    line = ["load_data_with_metadata.py", admin.key, admin.url, tmp_path, name]
    with admin.begin(*line) as started:
        assert started.stdout.readline().startswith("Loading")
        started.send_signal(signal.SIGSTOP)     # else it might end first
        other = admin.run(*line)
        started.send_signal(signal.SIGCONT)
        started.stdout.read()
    assert (started.returncode, other.returncode, other.stdout) == (0, TRY_LATER, "")
    [library] = [one for one in admin.look("libraries") if one["name"] == name]
    assert states(admin, type("Library", (), library)) == {"/a.bed": ["ok"]}


def test_fetch_to_a_folder_of_others(admin, server, tmp_path):
    """Galaxy 26.1 would do it."""
    person, library = Person(server), admin.new_library()
    (tmp_path / "y.yml").write_text(
        f"destination: {{type: library_folder, library_folder_id: '{library.root_folder_id[1:]}'}}\n"
        "items: [{src: pasted, paste_content: x, name: x}]\n")
    line = ["fetch_to_library.py", "-u", person.url, "-a", person.key, tmp_path / "y.yml"]
    done = person.run(*line)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1) and "may not add to folder" in done.stderr
    assert person.look("histories") == [] and held(admin, library) == {}
    may_add(admin, library, person)
    done = person.run(*line)
    assert (done.returncode, done.stderr) == (0, "")
    ended(admin, json.loads(done.stdout)["jobs"][0]["id"])
    assert states(admin, library) == {"/x": ["ok"]}


# ---------------------------------------------------------------------------------------------- library_upload_dir

@pytest.mark.parametrize("how", ["--nonlocal", "--link", ""])
def test_upload_dir_once_however_often(admin, run, files, how):
    library, options = admin.new_library(), [how] if how else []
    assert len(run(library, "--dry-run", *options).stdout.splitlines()) == 4 and held(admin, library) == {}
    first = run(library, *options)
    assert (first.returncode, first.stderr) == (0, "")
    assert [line.split("/")[-1] for line in first.stdout.splitlines()] == [
        f"{name} uploaded=False" for name in ("a.txt", "b.gz", "ö'x.txt", "top.txt")]
    again = run(library, *options)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == first.stdout.replace("False", "True")
    found = held(admin, library)
    assert sorted(found) == sorted(str(path) for path in files.rglob("*") if path.is_file())
    for path, same in found.items():
        [dataset] = same
        size = Path(path).stat().st_size
        assert (dataset["state"], dataset["file_size"]) == ("ok", f"{size} bytes")
        assert (dataset["file_name"] == path) == (how == "--link")


def test_upload_dir_adds_what_is_new_or_has_changed(admin, run, files):
    library = admin.new_library()
    assert run(library, "--nonlocal").returncode == 0
    (files / "run1" / "a.txt").write_text("longer than before")
    (files / "run1" / "new.txt").write_text("new")
    done = run(library, "--nonlocal")
    assert done.stdout.count("False") == 2 and done.returncode == 0
    counts = {Path(path).name: len(same) for path, same in held(admin, library).items()}
    assert counts == {"top.txt": 1, "a.txt": 2, "b.gz": 1, "ö'x.txt": 1, "new.txt": 1}
    assert run(library, "--nonlocal").stdout.count("False") == 0


def test_upload_dir_tells_what_galaxy_does_not_keep_and_tries_it_again(admin, run, files):
    library, bad = admin.new_library(), files / "run1" / "bad.html"
    bad.write_text("<html><script>\n")
    for _ in range(2):
        done = run(library, "--nonlocal", "-f", library.root_folder_id)
        assert done.returncode == SOME_FAILED and done.stderr.count("\n") == 1
        assert f"{bad}: Galaxy did not keep it: The uploaded file contains invalid HTML content" in done.stderr
        assert {state for same in states(admin, library).values() for state in same} == {"ok"}
    bad.write_text("only text now\n")
    assert run(library, "--nonlocal").returncode == 0
    assert states(admin, library)[str(bad)] == ["ok"]


def test_upload_dir_after_a_kill(admin, run, files):
    """Killed when Galaxy has taken a part and its job has not ended, run again at once."""
    library = admin.new_library()
    for number in range(60):
        (files / f"{number}.txt").write_text("x" * number)
    with admin.begin("library_upload_dir.py", "-u", admin.url, "-a", admin.key, "-l", library.id, "--nonlocal",
                     stdin="".join(f"{path}\n" for path in files.rglob("*") if path.is_file())) as started:
        assert "uploaded=False" in started.stdout.readline()
        started.kill()
    done = run(library, "--nonlocal")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("uploaded=True") >= 50
    assert set(map(len, held(admin, library).values())) == {1} and len(held(admin, library)) == 64


def test_upload_dir_into_what_is_deleted(admin, run):
    library = admin.new_library()
    top = library.root_folder_id
    outer = admin.asked("POST", f"folders/{top}", json={"name": "outer"})["id"]
    inner = admin.asked("POST", f"folders/{outer}", json={"name": "inner"})["id"]
    contents = f"{admin.url}/api/libraries/{library.id}/contents"
    for what, folder in ((f"folders/{outer}", inner), (f"folders/{outer}", outer), (f"libraries/{library.id}", "")):
        admin.asked("DELETE", what)
        lines = [["library_create_folder.py", admin.key, contents, folder or top, "no", "x"],
                 ["library_upload_from_import_dir.py", admin.key, contents, folder or top, "auto", "x", "?"],
                 ["copy_hda_to_library_folder.py", admin.url, admin.key, "0123", library.id, folder or top]]
        for done in (run(library, "--nonlocal", *["-f", folder][:2 * bool(folder)]), *(admin.run(*line) for line in lines)):
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
            assert "is deleted: an administrator" in done.stderr
    assert admin.look(f"folders/{inner}/contents")["folder_contents"] == []


@pytest.mark.needs("quota")
def test_upload_dir_over_quota(admin, server, run, files, tmp_path):
    """The job waits for a person with its files, and no further one is begun for them."""
    person, library = Person(server), admin.new_library()
    may_add(admin, library, person)
    user = person.look("users/current")["id"]
    (tmp_path / "used.txt").write_text("more than a byte")
    person.uploaded(person.new_history("used"), tmp_path / "used.txt")
    quota = admin.asked("POST", "quotas", json={"name": f"live {secrets.token_hex(4)}", "description": "a byte",
                                                "amount": "1 B", "operation": "=", "in_users": [user]})
    first = run(library, "--nonlocal", asks=person)
    assert first.returncode == SOME_FAILED and first.stderr.count("most often the quota of this key's user is used up") == 4
    for _ in range(2):
        again = run(library, "--nonlocal", asks=person)
        assert (again.returncode, again.stdout, again.stderr.count("\n")) == (1, "", 1)
        assert "has paused jobs" in again.stderr and "quota" in again.stderr
    [job] = person.look("jobs", state="paused")
    admin.asked("DELETE", f"quotas/{quota['id']}")
    person.asked("DELETE", f"jobs/{job['id']}")
    done = run(library, "--nonlocal", asks=person)
    assert (done.returncode, done.stdout.count("uploaded=False"), done.stderr) == (0, 4, "")
    assert set(map(len, held(admin, library).values())) == {1}


def test_upload_dir_asks_by_the_folder_and_not_by_the_file(admin, run, files, monkeypatch, type_in, script):
    library = admin.new_library()
    paths = [files / f"set{number % 4}" / f"{number}.txt" for number in range(200)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    relative = [str(path.relative_to(files)) for path in paths]
    monkeypatch.chdir(files)
    asked, send = Counter(), requests.Session.request
    monkeypatch.setattr(requests.Session, "request", lambda self, method, *rest, **more: (
        asked.update([method]), send(self, method, *rest, **more))[1])
    for expected in (0, 0):
        type_in("".join(f"{path}\n" for path in relative))
        asked.clear()
        assert script(library_upload_dir.main, "-u", admin.url, "-a", admin.key, "-l", library.id, "--link") == expected
    assert asked == {"GET": 8}      # the library, the history, its jobs, and five folders
    assert len(held(admin, library)) == 200


# ---------------------------------------------------------------------------------------------- others than administrators

def test_what_others_than_administrators_are_told(admin, person, run, tmp_path):
    """Each script with the key of somebody who has no rights here says in one line what is missing and who can change it."""
    library = admin.new_library()
    contents = f"{person.url}/api/libraries/{library.id}/contents"
    own = person.uploaded(person.new_history("own"), ROOT / "demo" / "wet_days.ga")
    (tmp_path / "a").write_text("a")
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "y.yml").write_text("destination: {type: library, name: mine}\n"
                                    "items: [{src: pasted, paste_content: x, name: x}]\n")
    managers, admins = "the library's managers and the server's administrator can permit it", "admin_users"
    for words, *line in (
            (admins, "library_create_library.py", person.key, person.url, "no"),
            (managers, "library_create_folder.py", person.key, contents, library.root_folder_id, "no", "description"),
            (managers, "library_upload_from_import_dir.py", person.key, contents, library.root_folder_id, "auto", "x", "?"),
            (managers, "copy_hda_to_library_folder.py", person.url, person.key, own, library.id, library.root_folder_id),
            (admins, "load_data_with_metadata.py", person.key, person.url, tmp_path, "no"),
            (admins, "fetch_to_library.py", "-u", person.url, "-a", person.key, tmp_path / "y.yml")):
        done = person.run(*line)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
        assert words in done.stderr and person.key not in done.stderr, done
    for options in ([], ["--nonlocal"], ["--dry-run"]):
        done = run(library, *options, asks=person)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1) and managers in done.stderr
    assert len(admin.look(f"libraries/{library.id}/contents")) == 1


def test_somebody_who_may_add_sends_files_but_names_no_paths(admin, person, run, files):
    library = admin.new_library()
    may_add(admin, library, person)
    done = run(library, asks=person)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "naming paths on the server needs an administrator's key" in done.stderr and "--nonlocal" in done.stderr
    (files / "bad.html").write_text("<html><script>\n")
    done = run(library, "--nonlocal", asks=person)
    assert done.returncode == SOME_FAILED and done.stdout.count("False") == 5
    assert done.stderr.count("\n") == 1 and "bad.html: Galaxy did not keep it" in done.stderr
    assert {state for same in states(admin, library).values() for state in same} == {"ok"}
