"""Datasets, collections and histories to a folder: names, the manifest, what a second run fetches."""
import contextlib
import csv
import hashlib
import io
import itertools
import os
import random
import threading
import zipfile

import dataset_download
import pytest
from fakes import KEY

from common import FAILED, SOME_FAILED, TRY_LATER, USAGE, Galaxy, GalaxyError
from galaxy_api_scripts.datasets import download, http_download
from galaxy_api_scripts.datasets.download import resolve_items
from galaxy_api_scripts.datasets.download_paths import DownloadItem, UniquePaths, parse_name_template
from galaxy_api_scripts.datasets.manifest import Manifest
from galaxy_api_scripts.files import UNSAFE, hold_lock, open_parent

CONTENT = b"a\tb\n" * 1000
ABOUT = {"id": "d", "name": "table", "state": "ok", "extension": "tabular", "file_size": len(CONTENT), "deleted": False,
         "hid": 7, "history_id": "h", "hashes": []}


def fetch(loopback, folder, *answers, about=ABOUT, **options):
    loopback.will(*answers)
    found = list(download.DownloadFolder(Galaxy(KEY, loopback.url), folder, **options).download([DownloadItem(about)], 1))
    [(item, path)] = found
    if isinstance(path, Exception):
        raise path
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "to").mkdir()
    return tmp_path / "to"


def rows(folder):
    with open(folder / "manifest.tsv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


# ------------------------------------------------------------------------------------------------------------ one dataset

def test_a_dataset_gets_its_name_and_a_row_in_the_manifest(loopback, folder):
    digest = hashlib.sha256(CONTENT).hexdigest()
    about = {**ABOUT, "hashes": [{"hash_function": "SHA-256", "hash_value": digest}]}
    path = fetch(loopback, folder, (200, CONTENT), about=about)
    assert path == folder / "table.tabular" and path.read_bytes() == CONTENT
    assert sorted(os.listdir(folder)) == ["manifest.tsv", "table.tabular"]
    [asked] = loopback.asked
    assert asked.line == "GET /api/datasets/d/display?to_ext=tabular" and asked.headers["Accept-Encoding"] == "identity"
    assert rows(folder) == [{
        "ref": "hda:d", "name": "table", "path": "table.tabular", "size": "4000", "hash": f"sha256:{digest}", "state": "ok",
        "hid": "7", "history": "h", "collection": "", "folder": "", "element": ""}]


@pytest.mark.parametrize("change, words", [
    ({"state": "error"}, "in state error"), ({"state": "running"}, "in state running"), ({"deleted": True}, "is deleted"),
    ({"purged": True}, "is deleted")])
def test_a_dataset_that_is_not_ok_is_refused(loopback, folder, change, words):
    with pytest.raises(GalaxyError, match=words):
        fetch(loopback, folder, about={**ABOUT, **change, "creating_job": None})
    assert loopback.asked == [] and os.listdir(folder) == ["manifest.tsv"]
    [row] = rows(folder)
    assert row["path"] == "" and row["state"] == words.split()[-1]


ZIP = (200, b"PK", {"Content-Type": "application/x-zip-compressed"})


def test_a_file_that_galaxy_would_pack_is_asked_for_raw(loopback, folder):
    path = fetch(loopback, folder, ZIP, (200, []), (200, CONTENT), about={**ABOUT, "extension": "html"})
    assert path.name == "table.html" and path.read_bytes() == CONTENT
    assert loopback.asked[2].path == "/api/datasets/d/display?to_ext=html&raw=true"


def archive(*names, method=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as file:
        for name in names:
            file.writestr(name, name * 100)
    return content.getvalue()


def packed(content):
    return (200, content, {"Content-Type": "application/x-zip-compressed"})


def test_a_dataset_of_several_files_comes_as_an_archive_of_them(loopback, folder):
    content = archive("Graph", "Log")
    there = (200, [{"path": "Graph", "class": "File"}])
    about = {**ABOUT, "extension": "velvet"}
    path = fetch(loopback, folder, packed(content), there, packed(content), about=about)
    assert path.name == "table.velvet.zip" and zipfile.ZipFile(path).namelist() == ["Graph", "Log"]
    loopback.asked.clear()
    assert fetch(loopback, folder, (500, {}), about=about) == path and loopback.asked == []


@pytest.mark.parametrize("method, spoil", [
    (zipfile.ZIP_STORED, lambda content: content[:-30]),
    (zipfile.ZIP_STORED, lambda content: content.replace(b"GraphGraph", b"GraphGRAPH", 1)),
    (zipfile.ZIP_DEFLATED, lambda content: content[:35] + b"\xff" * 10 + content[45:])],
    ids=["truncated", "other bytes", "not deflated"])
def test_a_broken_archive_is_refused(loopback, folder, method, spoil):
    content = archive("Graph", "Log", method=method)
    there = (200, [{"path": "Graph", "class": "File"}])
    with pytest.raises(GalaxyError, match="is broken"):
        fetch(loopback, folder, packed(content), there, packed(spoil(content)), about={**ABOUT, "extension": "velvet"})
    assert not [name for name in os.listdir(folder) if not name.startswith(".")]


# ------------------------------------------------------------------------------------------------------------ a second run

def test_a_complete_file_is_not_downloaded_again(loopback, folder):
    fetch(loopback, folder, (200, CONTENT))
    loopback.asked.clear()
    assert fetch(loopback, folder, (500, {})) == folder / "table.tabular" and loopback.asked == []


def test_a_missing_file_or_one_of_another_size_is_downloaded_again(loopback, folder):
    path = fetch(loopback, folder, (200, CONTENT))
    for spoil in (path.unlink, lambda: path.write_bytes(CONTENT[1:]), lambda: path.write_bytes(b"")):
        spoil()
        assert fetch(loopback, folder, (200, CONTENT)) == path and path.read_bytes() == CONTENT
    assert len(rows(folder)) == 1


def test_verify_downloads_a_file_with_other_bytes_again(loopback, folder):
    about = {**ABOUT, "hashes": [{"hash_function": "MD5", "hash_value": "0"},
                                 {"hash_function": "SHA-256", "hash_value": hashlib.sha256(CONTENT).hexdigest()}]}
    path = fetch(loopback, folder, (200, CONTENT), about=about)
    path.write_bytes(CONTENT[::-1])
    fetch(loopback, folder, (500, {}), about=about)
    assert path.read_bytes() == CONTENT[::-1]       # the size is the same
    fetch(loopback, folder, (200, CONTENT), about=about, verify=True)
    assert path.read_bytes() == CONTENT


def test_a_bit_that_flips_on_the_way_is_noticed_and_fetched_again(loopback, folder):
    """Without --verify too (A7)."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    about = {**ABOUT, "hashes": [{"hash_function": "SHA-256", "hash_value": digest}]}
    path = fetch(loopback, folder, (200, b"b" + CONTENT[1:]), (200, CONTENT), about=about)
    assert path.read_bytes() == CONTENT and [row["hash"] for row in rows(folder)] == [f"sha256:{digest}"]


def test_bytes_that_differ_from_galaxys_hash_are_refused(loopback, folder):
    about = {**ABOUT, "hashes": [{"hash_function": "MD5", "hash_value": "0" * 32}]}
    with pytest.raises(GalaxyError, match="other bytes came than Galaxy has hashed .* the same came twice"):
        fetch(loopback, folder, (200, CONTENT), about=about)
    assert os.listdir(folder) == [] and len(loopback.asked) == 2
    path = fetch(loopback, folder, (200, CONTENT), about=about, compare=False)
    assert path.read_bytes() == CONTENT
    assert [row["hash"] for row in rows(folder)] == [f"md5:{hashlib.md5(CONTENT).hexdigest()}"]     # the file's own


def test_the_hash_in_the_manifest_is_that_of_the_file(loopback, folder):
    """Where Galaxy has none (A7)."""
    fetch(loopback, folder, (200, CONTENT))
    assert [row["hash"] for row in rows(folder)] == [f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"]


def test_the_hashes_of_a_collections_datasets_are_asked_for_together(loopback, folder):
    known = [{"id": name, "hashes": []} for name in "abc"]
    items = [in_collection("hdca:c", name, id=name) for name in "abc"]
    for item in items:
        del item.about["hashes"]
    loopback.will((200, known), (200, CONTENT))
    ended = list(download.DownloadFolder(Galaxy(KEY, loopback.url), folder).download(items, 1))
    assert len(ended) == 3 and [asked.path.split("?")[0] for asked in loopback.asked] == [
        "/api/datasets", *(f"/api/datasets/{name}/display" for name in "abc")]


def test_one_run_at_a_time_downloads_into_a_folder(script, loopback, folder, capsys):
    """The others end at once with one line (B22)."""
    loopback.will((200, PAIR), (200, CONTENT))
    with hold_lock(folder):
        assert script(dataset_download.main, f"--to={folder}", KEY, loopback.url, "hdca:c") == TRY_LATER
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1 and "another run is at work on" in output.err
    assert os.listdir(folder) == []


def test_a_finished_run_waits_for_another_download_into_its_folder(loopback, folder):
    other = contextlib.ExitStack()
    other.enter_context(hold_lock(folder))
    assert fetch(loopback, folder, (200, CONTENT), on_wait=other.close).read_bytes() == CONTENT


def test_a_manifest_of_before_is_carried_over(loopback, folder):
    (folder / "manifest.tsv").write_text("id\tname\tpath\tsize\thash\tstate\nd\ttable\told.tabular\t4000\t\tok\n")
    (folder / "old.tabular").write_bytes(CONTENT)
    assert fetch(loopback, folder, (500, {})) == folder / "old.tabular" and loopback.asked == []
    assert fetch(loopback, folder, (200, CONTENT), about={**ABOUT, "id": "e"}).name == "table.tabular"
    assert [(row["ref"], row["path"]) for row in rows(folder)] == [("hda:d", "old.tabular"), ("hda:e", "table.tabular")]


def test_a_manifest_is_carried_over_by_who_holds_the_lock_only(loopback, folder):
    old = "id\tname\tpath\tsize\thash\tstate\nd\ttable\told.tabular\t4000\t\tok\n"
    (folder / "manifest.tsv").write_text(old)
    with hold_lock(folder), pytest.raises(GalaxyError) as caught:
        fetch(loopback, folder, (200, CONTENT))
    assert caught.value.exit_code == TRY_LATER and (folder / "manifest.tsv").read_text() == old


def test_a_dataset_that_is_several_elements_is_each_of_them(requests_mock, folder, capsys):
    """A control that two samples share, and a collection whose datasets another one has as well."""
    url, digest = "http://galaxy.test", hashlib.sha256(CONTENT).hexdigest()
    dataset = {**ABOUT, "hashes": [{"hash_function": "SHA-256", "hash_value": digest}]}
    for collection, names in (("1", "ab"), ("2", "c")):
        requests_mock.get(f"{url}/api/dataset_collections/{collection}", json={
            "id": collection, "name": "reads", "populated_state": "ok", "elements": [
                {"element_identifier": name, "element_type": "hda", "object": dataset} for name in names]})
    sent = requests_mock.get(f"{url}/api/datasets/d/display", content=CONTENT, headers={"Content-Length": str(len(CONTENT))})
    for number in (3, 3):       # the second time, all are there
        codes = []
        to = download.DownloadFolder(Galaxy(KEY, url), folder)
        assert (download.download_all(to, ["hdca:1", "hdca:2"], 1, codes), codes) == (0, [])
        assert sorted(capsys.readouterr().out.splitlines()) == [
            f"{folder}/reads (2)/c.tabular", f"{folder}/reads/a.tabular", f"{folder}/reads/b.tabular"]
        assert sent.call_count == number
    assert [(row["ref"], row["collection"], row["element"]) for row in rows(folder)] == [
        ("hda:d", "hdca:1", "a"), ("hda:d", "hdca:1", "b"), ("hda:d", "hdca:2", "c")]


def test_what_is_no_manifest_is_named(loopback, folder):
    (folder / "manifest.tsv").write_bytes(b"\xff\xfe")
    with pytest.raises(GalaxyError, match="not a manifest of downloads: move it away"):
        fetch(loopback, folder, (200, CONTENT))


def test_a_dataset_that_is_two_elements_is_compared_twice(loopback, folder):
    other = {"id": "d", "hashes": [{"hash_function": "SHA-256", "hash_value": "0" * 64}]}
    about = {name: value for name, value in ABOUT.items() if name != "hashes"}
    items = [DownloadItem(dict(about), element=(name,)) for name in ("a", "b")]
    loopback.will((200, [other]), *[(200, CONTENT)] * 4)
    found = list(download.DownloadFolder(Galaxy(KEY, loopback.url), folder).download(items, 1))
    assert ["other bytes" in str(problem) for _, problem in found] == [True, True]


def test_verify_lets_galaxy_compute_a_missing_hash(loopback, folder, clock):
    has = {**ABOUT, "hashes": [{"hash_function": "SHA-256", "hash_value": hashlib.sha256(CONTENT).hexdigest()}]}
    none = {**ABOUT, "hashes": []}
    assert fetch(loopback, folder, (200, None), (200, none), (200, has), (200, CONTENT), about=none, verify=True)
    assert [asked.line for asked in loopback.asked] == [
        "PUT /api/datasets/d/hash", "GET /api/datasets/d", "GET /api/datasets/d",
        "GET /api/datasets/d/display?to_ext=tabular"]
    assert loopback.asked[0].json == {"hash_function": "SHA-256"}


def test_a_later_attempt_takes_the_names_of_the_one_before(loopback, folder):
    """A sample that workflow_batch.py --again runs: the result's name is the new result's, and there is no second file."""
    fetch(loopback, folder, (200, CONTENT))
    other = CONTENT.replace(b"a", b"z")     # as long as the first
    with pytest.raises(GalaxyError):
        fetch(loopback, folder, (404, {}), about={**ABOUT, "id": "e"}, renewed=True)
    assert (folder / "table.tabular").read_bytes() == CONTENT and [row["ref"] for row in rows(folder)] == ["hda:d"]
    assert fetch(loopback, folder, (200, other), about={**ABOUT, "id": "e"}, renewed=True) == folder / "table.tabular"
    assert sorted(os.listdir(folder)) == ["manifest.tsv", "table.tabular"]
    assert (folder / "table.tabular").read_bytes() == other and [row["ref"] for row in rows(folder)] == ["hda:e"]
    before = len(loopback.asked)
    fetch(loopback, folder, about={**ABOUT, "id": "e"}, renewed=True)
    assert len(loopback.asked) == before        # it is there


def test_a_manifest_is_read_again_only_if_another_run_has_written_it(loopback, folder, monkeypatch):
    fetch(loopback, folder, (200, CONTENT))
    read = []
    monkeypatch.setattr(download, "Manifest", lambda place: read.append(place) or Manifest(place))
    ours = download.DownloadFolder(Galaxy(KEY, loopback.url), folder)
    assert len(list(ours.download([DownloadItem(ABOUT)], 1))) == len(read) == 1
    ours = download.DownloadFolder(Galaxy(KEY, loopback.url), folder)
    fetch(loopback, folder, (200, CONTENT), about={**ABOUT, "id": "e", "name": "other"})
    before = len(loopback.asked)
    list(ours.download([DownloadItem({**ABOUT, "id": "e", "name": "other"})], 1))
    assert len(loopback.asked) == before


def test_a_file_that_the_manifest_does_not_know_is_kept(loopback, folder):
    (folder / "table.tabular").write_text("mine")
    with pytest.raises(GalaxyError, match="there already"):
        fetch(loopback, folder, (200, CONTENT))
    assert (folder / "table.tabular").read_text() == "mine"
    assert fetch(loopback, folder, (200, CONTENT), overwrite=True).read_bytes() == CONTENT


@pytest.mark.parametrize("theirs", [b"x" * len(CONTENT), b"x"])
def test_a_file_that_appears_during_the_download_is_not_taken_for_ours(loopback, folder, monkeypatch, theirs):
    def name(*what):
        (folder / "table.tabular").write_bytes(theirs)
        real(*what)
    real = http_download.publish
    with monkeypatch.context() as meanwhile, pytest.raises(GalaxyError, match="there already"):
        meanwhile.setattr(http_download, "publish", name)
        fetch(loopback, folder, (200, CONTENT))
    with pytest.raises(GalaxyError, match="there already"):
        fetch(loopback, folder, (200, CONTENT))
    assert (folder / "table.tabular").read_bytes() == theirs


def test_a_run_killed_before_its_file_got_its_name_is_repeated(loopback, folder):
    Manifest(folder).add(DownloadItem(ABOUT), "table.tabular", 4000, "", "ok")
    assert fetch(loopback, folder, (200, CONTENT)).read_bytes() == CONTENT


def test_half_a_line_of_a_manifest_is_ignored(loopback, folder):
    fetch(loopback, folder, (200, CONTENT))
    with open(folder / "manifest.tsv", "a") as file:
        file.write("e\thalf")
    assert [row["ref"] for row in Manifest(folder).rows.values()] == ["hda:d"]
    Manifest(folder).add(DownloadItem({**ABOUT, "id": "f"}), "x", 1, "", "ok")
    assert [row["ref"] for row in Manifest(folder).rows.values()] == ["hda:d", "hda:f"]


def test_a_manifest_that_a_full_disk_left_empty_is_filled(folder):
    (folder / "manifest.tsv").touch()
    Manifest(folder).add(DownloadItem(ABOUT), "x", 1, "", "ok")
    assert [row["ref"] for row in Manifest(folder).rows.values()] == ["hda:d"]


def test_a_name_with_a_carriage_return_keeps_the_manifest_readable(folder):
    Manifest(folder).add(DownloadItem({**ABOUT, "name": "a\rb"}), "x", 1, "", "ok")
    assert Manifest(folder).rows["hda:d", "", ""]["path"] == "x"


def test_another_file_called_manifest_is_refused(folder):
    (folder / "manifest.tsv").write_text("sample\tfile\n")
    with pytest.raises(GalaxyError, match="not a manifest of downloads"):
        Manifest(folder)


@pytest.mark.parametrize("path", ["../precious", "/precious", "a/../../precious"])
def test_a_manifest_does_not_lead_out_of_its_folder(loopback, folder, path):
    fetch(loopback, folder, (200, CONTENT))
    text = (folder / "manifest.tsv").read_text().replace("\ttable.tabular\t", f"\t{path}\t")
    (folder / "manifest.tsv").write_text(text)
    with pytest.raises(GalaxyError, match="not in this folder"):
        fetch(loopback, folder, (200, CONTENT))
    assert not (folder.parent / "precious").exists()


def test_a_manifest_keeps_names_with_tabs_and_lines(folder):
    about = {**ABOUT, "name": 'a\tb\n"c"'}
    Manifest(folder).add(DownloadItem(about), "x", 1, "", "ok")
    assert Manifest(folder).rows["hda:d", "", ""]["name"] == 'a\tb\n"c"'


# ------------------------------------------------------------------------------------------------------------------- names

def name_of(about, pattern="", **where):
    return UniquePaths(pattern).path(DownloadItem({**ABOUT, **about}, **where))


@pytest.mark.parametrize("name, path", [
    ("a", "a.txt"), ("a.txt", "a.txt"), ("../../etc/passwd", "_._.._etc_passwd.txt"), ("/abs", "_abs.txt"),
    (".hidden", "_hidden.txt"), ("..", "_..txt"), ("", "dataset.txt"), ("a\nb\0c\\d", "a_b_c_d.txt"), (" a ", "a.txt"),
    (".txt", "dataset.txt"), ("Größe 基因", "Größe 基因.txt"), ("é" * 300, "é" * 123 + ".txt"),
    ("a.TXT", "a.TXT")])
def test_names_stay_in_the_folder(name, path):
    made = name_of({"name": name, "extension": "txt"})
    assert made == path and len(made.encode()) <= 255


@pytest.mark.parametrize("ext", ["d/../../pwned.txt", "../x", "\x1b[31m", "x" * 300, "", "é"])
def test_datatypes_stay_in_the_folder(ext):
    made = name_of({"name": "cron", "extension": ext})
    assert "/" not in made and "\x1b" not in made and made.startswith("cron") and len(made.encode()) <= 255


def test_a_name_that_tells_the_datatype_keeps_its_ending():
    assert name_of({"name": "s1.fastq.gz", "extension": "fastqsanger.gz"}) == "s1.fastq.gz"
    assert name_of({"name": "s1.fastq.gz", "extension": "fastqsanger"}) == "s1.fastq.gz.fastqsanger"


@pytest.mark.parametrize("id", ["x/../../../pwned", "../x", "/etc/passwd", "\x1b[31m", "\u202etxt.exe", "x" * 300, ""])
def test_an_id_that_a_taken_name_is_marked_with_stays_in_the_folder(id):
    """The id is the server's, and what follows a name that is taken must be as clean as the name."""
    made = UniquePaths("", ["a.txt"]).path(DownloadItem({"id": id, "name": "a", "extension": "txt"}))
    assert made.startswith("a (") and not set("/\x1b\u202e") & set(made) and len(made.encode()) <= 255
    assert "/" not in UniquePaths("{id}").path(DownloadItem({"id": id, "name": "a", "extension": "txt"}))


HOSTILE = ["..", ".", "/", "\\", "../", "x/../../", "/etc/", "C:\\", "~", "\0", "\n", "\r", "\x1b[2J", "\x9b", "\u202e",
           "\u2066", "\u200f", "\u2028", "\ud800", ".txt", ".txt.", " ", "", "é", "e\u0301", "CON", "a", "A", "manifest.tsv",
           "x" * 300, "\U0001d11e" * 90, "{id}", "%s", "-rf", "$(x)", "a.zip"]


def test_whatever_a_server_calls_things_they_stay_in_the_folder(tmp_path):
    """Thousands of datasets with hostile names, datatypes, ids, element identifiers and collections, by some template."""
    chance = random.Random(13)
    root, templates = tmp_path / "to", ["", "", "{name}", "{id}/{name}.{ext}", "{history}/{collection}/{element}",
                                        "{element}.{ext}/{hid}", "../{name}", "/{ext}/{id}", "{hid}"]

    def hostile(most=3):
        return "".join(chance.choices(HOSTILE, k=chance.randint(0, most)))
    root.mkdir()
    names = [UniquePaths(template, ["manifest.tsv"]) for template in templates]
    for number in range(4000):
        about = {"id": hostile(), "name": hostile(), "extension": hostile(), "hid": hostile(1)}
        elements = tuple(hostile(2) for _ in range(chance.randint(0, 3)))
        item = DownloadItem(about, hostile(), hostile(), hostile(), chance.choice(["", "hdca:1", hostile()]), elements)
        path = chance.choice(names).path(item)
        parts = path.split("/")
        assert not UNSAFE.search("".join(parts)) and not {"", ".", ".."} & {*parts}, (item, path)
        assert all(len(part.encode()) <= 250 and not part.startswith(".") for part in parts), (item, path)
        if number % 20 == 0 and len(path) < 1000:
            with open_parent(root / path, root) as folder:
                os.close(os.open(parts[-1] + ".new", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
            assert os.path.realpath(root / f"{path}.new").startswith(f"{root.resolve()}/")
    assert {*os.listdir(tmp_path)} <= {"to", "home"}


@pytest.mark.parametrize("path", ["../x", "a/../../x", "link/x", "file/x", "/etc/x"])
def test_no_path_leads_out_of_the_folder(tmp_path, path):
    """Not by its names, nor by a link that lies in the folder."""
    root = tmp_path / "to"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "file").touch()
    with pytest.raises(GalaxyError, match="nothing is written there"), open_parent(root / path, root):
        pass


def test_a_link_in_the_folder_is_not_followed(loopback, folder):
    (folder / "reads").symlink_to(folder.parent)
    loopback.will((200, CONTENT))
    item = DownloadItem(ABOUT, collection="reads", element=("x",))
    [(_, problem)] = download.DownloadFolder(Galaxy(KEY, loopback.url), folder).download([item], 1)
    assert "a link or a file is on the way" in str(problem) and not (folder.parent / "x.tabular").exists()


@pytest.mark.parametrize("name, ext, path", [
    ("foo.bin", "binary", "foo.bin"), ("foo.conf", "txt", "foo.conf"), ("foo.bin", "tabular", "foo.bin.tabular"),
    ("x.fastq", "txt", "x.fastq.txt"), ("Cut on data 1", "txt", "Cut on data 1.txt"), ("v1.5", "data", "v1.5.data")])
def test_a_file_of_no_known_format_keeps_its_own_ending(name, ext, path):
    """D35."""
    assert name_of({"name": name, "extension": ext}) == path


def in_collection(ref, *element, id="d"):
    return DownloadItem({**ABOUT, "id": id}, collection="reads", collection_ref=ref, element=element)


def test_two_collections_of_one_name_have_a_folder_each():
    """A6: in one run, and in a later one."""
    names = UniquePaths()
    assert [names.path(in_collection(ref, name)) for ref in ("hdca:c1", "hdca:c2") for name in "ab"] == [
        "reads/a.tabular", "reads/b.tabular", "reads (c2)/a.tabular", "reads (c2)/b.tabular"]
    later = UniquePaths(folders={"hdca:c1": "reads"})
    assert later.path(in_collection("hdca:c3", "a")) == "reads (c3)/a.tabular"
    assert later.path(in_collection("hdca:c1", "a")) == "reads/a.tabular"


def test_outer_elements_of_one_clean_name_have_a_folder_each():
    """A6: o/1 and o_1."""
    names = UniquePaths()
    assert [names.path(in_collection("hdca:c", outer, inner)) for inner in "fr" for outer in ("o/1", "o_1")] == [
        "reads/o_1/f.tabular", "reads/o_1 (2)/f.tabular", "reads/o_1/r.tabular", "reads/o_1 (2)/r.tabular"]


def test_the_manifest_tells_collection_and_element(loopback, folder):
    loopback.will((200, CONTENT))
    items = [in_collection(ref, "s/1", "f", id=ref) for ref in ("hdca:c1", "hdca:c2")]
    list(download.DownloadFolder(Galaxy(KEY, loopback.url), folder).download(items, 1))
    assert [(row["path"], row["collection"], row["folder"], row["element"]) for row in rows(folder)] == [
        ("reads/s_1/f.tabular", "hdca:c1", "reads", "s/1/f"), ("reads (c2)/s_1/f.tabular", "hdca:c2", "reads (c2)", "s/1/f")]


def test_elements_become_a_tree():
    where = {"collection": "reads/1", "element": ("..", "s 1", "forward")}
    assert name_of({}, **where) == "reads_1/_./s 1/forward.tabular"
    assert name_of({}, **{**where, "collection": "../x"}) == "_._x/_./s 1/forward.tabular"


def test_templates():
    assert name_of({"hid": 7}, "{hid}-{name}.{ext}") == "7-table.tabular"
    where = {"collection": "c", "element": ("s", "f"), "history": "h/1"}
    assert name_of({}, "{history}/{id}/{element}", **where) == "h_1/d/s/f"
    assert name_of({}, "/{id}/../{name}") == "d/_./table"


@pytest.mark.parametrize("text", ["{nosuch}", "{", "plain", "", "{name.__class__}", "{0}", "{name:{0}}", "{name:>999999}",
                                  "{name!r}"])
def test_a_bad_template_is_refused(text):
    with pytest.raises(GalaxyError) as caught:
        parse_name_template(text)
    assert caught.value.exit_code == USAGE


def test_no_two_paths_are_the_same():
    names = UniquePaths("", ["b.txt"])
    made = [names.path(DownloadItem({"id": id, "name": name, "extension": "txt"})) for id, name in (
        ("1", "a"), ("2", "a"), ("3", "A"), ("4", "a (2)"), ("5", "b"), ("6", "n" * 300), ("7", "n" * 300))]
    assert made[:5] == ["a.txt", "a (2).txt", "A (3).txt", "a (2) (4).txt", "b (5).txt"]
    assert len(set(made)) == 7 and all(len(path) <= 255 for path in made)


def test_no_path_is_a_file_and_a_folder_at_once():
    names = UniquePaths("", ["manifest.tsv"])
    assert names.path(DownloadItem({"id": "1", "name": "foo", "extension": "txt"})) == "foo.txt"
    inside = DownloadItem({"id": "2", "name": "x", "extension": "txt"}, collection="foo.txt", element=("x",))
    assert names.path(inside) == "foo.txt (folder)/x.txt"


def test_names_that_differ_only_in_unicode_form_get_two_paths():
    names = UniquePaths()
    made = [names.path(DownloadItem({"id": id, "name": name, "extension": "txt"}))
                       for id, name in (("1", "é"), ("2", "e\u0301"))]
    assert made[1].endswith(" (2).txt")


# ------------------------------------------------------------------------------------------------- what is downloaded

def element(name, dataset):
    return {"element_identifier": name, "element_type": "hda", "object": dataset}


PAIR = {"id": "c", "name": "reads", "populated_state": "ok", "elements": [
    {"element_identifier": "s1", "element_type": "dataset_collection", "object": {"elements": [
        element("forward", {**ABOUT, "id": "f"}), element("reverse", {**ABOUT, "id": "r"})]}}]}


def test_a_collection(loopback):
    loopback.will((200, PAIR))
    found = resolve_items(Galaxy(KEY, loopback.url), "hdca:c")
    assert [(one.id, one.collection, one.element) for one in found] == [
        ("f", "reads", ("s1", "forward")), ("r", "reads", ("s1", "reverse"))]


@pytest.mark.parametrize("job, words, code", [
    ("deleted", "its job j is deleted, so it will never be ok", FAILED), ("running", "fetch it when it is ok", TRY_LATER)])
def test_a_dataset_whose_job_was_deleted_is_not_for_later(loopback, folder, job, words, code):
    """B15."""
    about = {**ABOUT, "state": "new", "creating_job": "j"}
    jobs = [{"id": "j"}] if job == "running" else []
    with pytest.raises(GalaxyError, match=words) as caught:
        fetch(loopback, folder, (200, jobs), (200, {"state": job}), (200, [about]), about=about)
    assert caught.value.exit_code == code


def test_a_collection_that_is_never_filled_is_not_for_later(loopback):
    """B15."""
    loopback.will((200, {**PAIR, "populated_state": "new", "job_state_summary": {"all_jobs": 1, "error": 1}}))
    with pytest.raises(GalaxyError, match="is in state failed.*: its jobs have ended without filling it") as caught:
        resolve_items(Galaxy(KEY, loopback.url), "hdca:c")
    assert caught.value.exit_code == FAILED


def test_a_historys_good_datasets_are_fetched_beside_a_bad_collection(script, loopback, folder, capsys):
    """B15."""
    contents = [{"id": "c", "history_content_type": "dataset_collection"}, {**ABOUT, "history_content_type": "dataset"}]
    loopback.will((200, [{"id": "h", "name": "H"}]), (200, contents), (200, {**PAIR, "populated_state": "failed"}),
                  (200, CONTENT))
    assert script(dataset_download.main, f"--to={folder}", KEY, loopback.url, "history:H") == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == f"{folder}/table.tabular\n" and "collection c (reads) is in state failed" in output.err


def test_a_librarys_dataset_is_downloaded(script, loopback, folder, capsys):
    """A1: ldda:ID is never the history's dataset that has this number."""
    about = {"id": "ld", "ldda_id": "v", "name": "ref.fa", "state": "ok", "file_ext": "fasta", "deleted": False}
    loopback.will((200, about), (200, {"hashes": []}), (200, CONTENT), (200, CONTENT))
    assert script(dataset_download.main, f"--to={folder}", KEY, loopback.url, "ld:ld") == 0
    assert capsys.readouterr() == (f"{folder}/ref.fa\n", "") and (folder / "ref.fa").read_bytes() == CONTENT
    assert [asked.line for asked in loopback.asked] == [
        "GET /api/libraries/datasets/ld", "GET /api/datasets/v/storage?hda_ldda=ldda",
        "HEAD /api/datasets/v/display?hda_ldda=ldda&raw=true", "GET /api/datasets/v/display?hda_ldda=ldda&raw=true"]
    assert [row["ref"] for row in rows(folder)] == ["ldda:v"]


def test_a_file_that_nginx_does_not_find_is_told_as_such(loopback, folder):
    page = b"<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n" \
           b"<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
    with pytest.raises(GalaxyError, match="hands out the files, and does not find this one") as caught:
        fetch(loopback, folder, (404, page))
    assert caught.value.exit_code == FAILED and "prefix" not in str(caught.value)


def test_a_bare_id_in_another_users_history_is_not_downloaded(script, loopback, folder, capsys):
    """A1."""
    loopback.will((200, []), (200, ABOUT))
    assert script(dataset_download.main, f"--to={folder}", KEY, loopback.url, "d") == FAILED
    output = capsys.readouterr()
    assert output.out == "" and "hda:d if you mean that one" in output.err and len(loopback.asked) == 2
    loopback.will((200, []), (200, ABOUT), (200, CONTENT))
    assert script(dataset_download.main, f"--to={folder}", KEY, loopback.url, "hda:d") == 0


def three_datasets(wire):
    history = wire.post_histories({}, {"name": "H"})["id"]
    for name in "abc":
        wire._dataset(wire.histories[history], name, "tabular", name.encode(), state="ok")
    return wire.histories[history]["contents"]


def test_many_ids_are_asked_for_together_and_each_has_its_own_error(script, wire, folder, capsys):
    first, second, third = three_datasets(wire)
    wire.datasets[second]["state"] = "error"
    line = [first, f"hda:{second}", "00000000000000ff", third]
    assert script(dataset_download.main, f"--to={folder}", "--transfers=1", KEY, wire.url, *line) == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == f"{folder}/a.tabular\n{folder}/c.tabular\n"
    assert output.err.count("\n") == 2 and "00000000000000ff" in output.err and "in state error" in output.err
    assert wire.kinds == ["GET datasets", "GET dataset", "GET display", "GET display"]     # what no list has is asked for


def test_where_the_list_of_many_fails_each_is_asked_for_by_itself(script, wire, folder, capsys):
    ids = three_datasets(wire)
    wire.answers["GET datasets"] = [(403, {"err_msg": "not today"})]
    assert script(dataset_download.main, f"--to={folder}", KEY, wire.url, *ids) == 0
    assert sorted(path.name for path in folder.glob("*.tabular")) == ["a.tabular", "b.tabular", "c.tabular"]
    assert wire.count("GET datasets") == 4


def test_a_refused_key_is_told_once_for_many_ids(script, wire, folder, capsys):
    assert script(dataset_download.main, f"--to={folder}", "0" * 16, wire.url, *three_datasets(wire)) == FAILED
    assert "2 more are not fetched either" in capsys.readouterr().err and len(wire.asked) == 1


def test_a_collection_that_is_still_being_filled_is_for_later(loopback):
    loopback.will((200, {**PAIR, "populated_state": "new"}))
    with pytest.raises(GalaxyError, match="fetch it when it is ok") as caught:
        resolve_items(Galaxy(KEY, loopback.url), "hdca:c")
    assert caught.value.exit_code == TRY_LATER


def test_a_history(loopback):
    contents = [{**ABOUT, "history_content_type": "dataset"}, {"id": "c", "history_content_type": "dataset_collection"}]
    loopback.will((200, [{"id": "h", "name": "H"}]), (200, contents), (200, PAIR))
    found = resolve_items(Galaxy(KEY, loopback.url), "history:H")
    assert [(one.id, one.history) for one in found] == [("d", "H"), ("f", "H"), ("r", "H")]
    assert "q=deleted&q=visible&qv=false&qv=true" in loopback.asked[1].path


@pytest.mark.parametrize("line, words", [
    (["x y"], "is not an id"), (["hdca:x y"], "is not an id"), (["other:x"], "is not an id"),
    (["history:"], "none of"), (["--parallel=0", "d"], "expected an integer"),
    (["--transfers=0", "d"], "expected an integer"),
    (["--name=x", "d"], "template"), (["--stall-timeout=x", "d"], "expected an integer")])
def test_bad_lines(script, loopback, tmp_path, capsys, line, words):
    loopback.will((200, []))
    status = script(dataset_download.main, f"--to={tmp_path}/to", *line[:-1], KEY, loopback.url, line[-1])
    assert status == (FAILED if line == ["history:"] else USAGE)
    output = capsys.readouterr()
    assert output.out == "" and words in output.err and output.err.count("\n") == 1


def test_a_collection_is_downloaded_as_a_tree(script, loopback, folder, capsys):
    loopback.will((200, PAIR), (200, CONTENT), (200, CONTENT))
    assert script(dataset_download.main, f"--to={folder}", "--parallel=1", KEY, loopback.url, "hdca:c") == 0
    assert capsys.readouterr() == (f"{folder}/reads/s1/forward.tabular\n{folder}/reads/s1/reverse.tabular\n", "")
    assert loopback.asked[0].path == "/api/dataset_collections/c"


def test_some_of_a_collection_fail(script, loopback, folder, capsys):
    some = {**PAIR, "elements": [element("good", ABOUT), element("bad", {**ABOUT, "id": "e", "state": "error"})]}
    loopback.will((200, some), (200, CONTENT))
    assert script(dataset_download.main, "-q", f"--to={folder}", KEY, loopback.url, "hdca:c") == SOME_FAILED
    output = capsys.readouterr()
    assert output.out == f"{folder}/reads/good.tabular\n" and "dataset e (reads/bad) is in state error" in output.err


@pytest.fixture
def collection(wire):
    """A collection of 24 datasets, of which each is answered as `wire.displayed(handler)` says."""
    elements = [element(f"e{number:02}", {**ABOUT, "id": f"d{number}", "file_size": 2}) for number in range(24)]
    wire.answers = {"GET /api/dataset_collections/c": (200, {**PAIR, "elements": elements})}
    for number in range(24):
        wire.answers[f"GET /api/datasets/d{number}/display"] = lambda handler: wire.displayed(handler)
    return [f"e{number:02}.tabular" for number in range(24)]


@pytest.mark.parametrize("options, count", [
    ([], 4), (["--transfers=8"], 8), (["--parallel=6"], 6), (["--transfers=2", "--parallel=3"], 3), (["--transfers=1"], 1)])
def test_so_many_downloads_run_at_the_same_time(script, wire, folder, collection, options, count):
    """Four unless told otherwise, never more; by the option's older name, too."""
    together = threading.Barrier(count, timeout=20)
    wire.displayed = lambda handler: (together.wait(), handler.reply(200, b"11"))
    assert script(dataset_download.main, *options, f"--to={folder}", KEY, wire.url, "hdca:c") == 0
    assert sorted(os.listdir(folder / "reads")) == collection
    assert wire.most_in_flight == count and not together.broken


def test_an_overloaded_server_is_asked_for_less_at_once(script, wire, folder, collection, clock):
    """Of eight that begin at the same time all are refused; then there are four at most, until answers are good."""
    together, asked, after = threading.Barrier(8, timeout=20), itertools.count(), []

    def displayed(handler):
        number = next(asked)
        if number < 8:
            together.wait()
            return handler.reply(503, {}, {"Retry-After": "1"})
        after.append(wire.in_flight)
        handler.reply(200, b"11")
    wire.displayed = displayed
    assert script(dataset_download.main, "--transfers=8", f"--to={folder}", KEY, wire.url, "hdca:c") == 0
    assert sorted(os.listdir(folder / "reads")) == collection
    assert max(after[:4]) <= 4 and wire.most_in_flight == 8 and not together.broken


# ------------------------------------------------------------------------------------------- when the server goes away

@pytest.fixture
def many(wire, clock, script, tmp_path, capsys):
    """`many(*options, **answers)`: the status of a download of nine datasets, the lines on standard error, and how many
    files came."""
    def run(*options, **answers):
        datasets = [wire.create_dataset(f"{number}.txt", b"x") for number in range(9)]
        wire.answers = {name.replace("_", " "): answer for name, answer in answers.items()}
        wire.answers.update({path.format(datasets[4]): answer for path, answer in answers.items() if "{}" in path})
        options = options or ["--parallel=2"]
        status = script(dataset_download.main, *options, f"--to={tmp_path}/to", KEY, wire.url, *datasets)
        return status, capsys.readouterr().err.splitlines(), len(list((tmp_path / "to").glob("*.txt")))
    return run


def after(count, answer):
    """The usual answer so many times, then this one."""
    left = [count]

    def fault(handler):
        left[0] -= 1
        if left[0] < 0:
            handler.give(answer)
    return fault


def cut(handler):
    handler.cut()


@pytest.mark.parametrize("transfers", [1, 2])
def test_a_server_that_goes_away_is_told_once_and_waited_for_once(many, clock, transfers):
    began = clock.now
    status, [line], count = many(f"--transfers={transfers}", GET_display=after(3, cut), GET_version=cut)
    # Minutes go by at once here, in which another thread's last file may not have its name yet.
    assert status == TRY_LATER and 4 - transfers <= count <= 3 and clock.now - began < 1300
    assert line.endswith(f"try again later; {8 - count} more are not fetched either")


def test_a_server_that_is_away_is_told_once_whatever_is_asked_for(many, clock):
    began = clock.now
    status, [line], count = many(GET_datasets=cut, GET_version=cut)
    assert status == TRY_LATER and count == 0 and clock.now - began < 700
    assert line.endswith("try again later; 8 more are not fetched either")


def test_a_key_that_expires_meanwhile_is_told_once(many):
    status, [line], count = many(GET_display=after(3, (401, {"err_msg": "Provided API key is not valid."})))
    assert status == FAILED and count == 3 and "Provided API key is not valid" in line


def test_a_dataset_whose_store_is_away_leaves_the_others(many, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "60")        # the threads' one clock must not make the others look stalled
    status, [line], count = many(**{"GET /api/datasets/{}/display": (502, b"")})
    assert status == SOME_FAILED and count == 8 and "4.txt" in line
