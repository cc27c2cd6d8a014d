"""Servers of earlier releases: what is asked of them, what is done the older way, and what is said where there is none."""
import hashlib
import shutil
from types import SimpleNamespace

import dataset_list
import dataset_show
import dataset_upload
import fetch_to_library
import filter_failed_datasets_from_collection
import invocation_rerun
import library_sync
import pytest
import upload_to_history
from fakes import KEY
from fakes.old_galaxy import OldGalaxy

from common import TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts import checkpoint, releases
from galaxy_api_scripts.datasets import hashing, tus, upload
from galaxy_api_scripts.tools import request
from galaxy_api_scripts.workflows.inputs import CollectionInput
from galaxy_api_scripts.workflows.run import WorkflowCheck

FEATURE = "a thing"


@pytest.fixture
def old():
    """A Galaxy of release 24.1."""
    with OldGalaxy() as server:
        yield server


@pytest.fixture
def feature(monkeypatch):
    """A thing that Galaxy can do since 25.0."""
    monkeypatch.setitem(releases.SINCE, FEATURE, (25, 0))
    return FEATURE


def says(old, major):
    old.says = major if major is None or isinstance(major, list) else {"version_major": major}


# --------------------------------------------------------------------------------------------------------------- the table

@pytest.mark.parametrize("major, has", [
    ("24.1", False), ("24.2", False), ("25.0", True), ("25.1", True), ("26.1", True), ("27.0", True), ("31.10", True),
    ("25.0.rc1", True), ("24.2.dev0", False)])
def test_what_a_server_can_do_stands_in_its_release(old, feature, major, has):
    says(old, major)
    assert releases.supports(Galaxy(KEY, old.url), feature) is has


@pytest.mark.parametrize("major", [None, "", "master", "2500", [], "v9"])
def test_a_server_that_hides_its_release_is_taken_for_one_that_can_until_it_shows_otherwise(old, feature, major):
    says(old, major)
    galaxy = Galaxy(KEY, old.url)
    assert releases.supports(galaxy, feature)
    assert releases.learn_lacking(galaxy, feature) and not releases.supports(galaxy, feature)
    assert old.lines == ["GET /api/version"]


def test_the_release_is_asked_for_once_and_not_where_nothing_needs_it(old, feature):
    galaxy = Galaxy(KEY, old.url)
    assert releases.supports(galaxy, feature, ask=False) and old.lines == []
    assert [releases.supports(galaxy, feature) for _ in range(3)] == [False] * 3
    assert not releases.supports(galaxy, feature, ask=False) and old.lines == ["GET /api/version"]


def test_a_refusal_by_a_server_that_has_the_thing_means_something_else(old, feature):
    says(old, "25.0")
    galaxy = Galaxy(KEY, old.url)
    assert not releases.learn_lacking(galaxy, feature) and releases.supports(galaxy, feature)


def test_a_server_that_is_away_is_not_taken_for_one_that_hides_its_release(old, feature, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    old.away = 9
    with pytest.raises(GalaxyError) as caught:
        releases.supports(Galaxy(KEY, old.url), feature)
    assert caught.value.exit_code == TRY_LATER


def test_what_is_missing_is_told_with_the_release_that_has_it(old, feature):
    with pytest.raises(GalaxyError) as caught:
        releases.require(Galaxy(KEY, old.url), feature, "--thing", "do it by hand")
    assert str(caught.value) == f"--thing needs Galaxy 25.0 or later, and {old.url} is 24.1: do it by hand"
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("major", [None, "25.1"])
def test_what_an_old_server_ignores_silently_is_not_entrusted_to_an_unknown_one(old, major):
    says(old, major)
    assert not releases.supports(Galaxy(KEY, old.url), releases.ON_COMPLETE)


def test_what_is_weaker_is_said_once(old, capsys):
    galaxy = Galaxy(KEY, old.url)
    for _ in range(2):
        releases.warn_once(galaxy, "only sizes are compared")
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith(f"warning: {old.url} is Galaxy 24.1: only sizes are compared")


# --------------------------------------------------------------------------------------------------------------- uploads

def uploaded(script, old, *paths, status=0):
    """The payloads of the fetches, after dataset_upload.py."""
    assert script(dataset_upload.main, "-q", "--wait", KEY, old.url, "new:H", *paths) == status
    return [one.json for one in old.asked if one.kind == "POST fetch"]


def test_an_upload_to_24_1_is_compared_by_md5(old, script, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name * 9)
    [taken] = uploaded(script, old, tmp_path / "a.txt", tmp_path / "b.txt")
    assert taken["validate_hashes"] is True
    assert [one["MD5"] for one in taken["targets"][0]["elements"]] == [
        hashlib.md5(name * 9).hexdigest() for name in (b"a", b"b")]
    assert len(old.datasets) == 2 and capsys.readouterr().err == ""


def test_a_server_of_no_known_release_that_refuses_hashes_is_sent_the_md5(old, script, tmp_path):
    old.says = None
    (tmp_path / "a.txt").write_text("aaa")
    refused, taken = uploaded(script, old, tmp_path / "a.txt")
    assert "hashes" in refused["targets"][0]["elements"][0] and "validate_hashes" not in refused
    assert "MD5" in taken["targets"][0]["elements"][0] and taken["validate_hashes"] and len(old.datasets) == 1


def test_a_refusal_that_only_mentions_hashes_is_reported_where_they_are_taken(old, script, tmp_path, capsys):
    old.says = {"version_major": "25.1"}
    (tmp_path / "a.txt").write_text("aaa")
    assert len(uploaded(script, old, tmp_path / "a.txt", status=1)) == 1
    assert "Extra inputs are not permitted" in capsys.readouterr().err and old.datasets == {}


def test_what_24_1_got_wrong_is_sent_once_more(old, script, tmp_path, monkeypatch):
    """Its MD5 is another one than Galaxy's: of other bytes, for all that Galaxy can tell."""
    (tmp_path / "a.txt").write_text("aaa")
    real, wrong = hashing.hash_files, ["0" * 32]
    monkeypatch.setattr(upload, "hash_files", lambda paths, algorithm: wrong.pop() if wrong else real(paths, algorithm))
    fetches = uploaded(script, old, tmp_path / "a.txt")
    assert [one["targets"][0]["elements"][0]["MD5"] for one in fetches] == [
        "0" * 32, hashlib.md5(b"aaa").hexdigest()]
    assert [(one["state"], one["deleted"]) for one in old.datasets.values()] == [("error", True), ("ok", False)]


def test_a_large_file_is_hashed_both_ways_while_it_is_sent(old, script, tmp_path, monkeypatch):
    """The server is asked first, so that nothing is read twice."""
    monkeypatch.setattr(tus, "LARGE_FILE", 5)
    monkeypatch.setattr(upload, "hash_files", None)
    (tmp_path / "a.txt").write_text("a" * 9)
    [fetch] = uploaded(script, old, tmp_path / "a.txt")
    assert fetch["targets"][0]["elements"][0]["MD5"] == hashlib.md5(b"a" * 9).hexdigest()


def test_a_run_killed_after_its_fetch_on_24_1_is_resumed(old, script, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("aaa")
    real = upload.post_fetch

    def killed(*words):
        real(*words)
        raise KeyboardInterrupt
    with monkeypatch.context() as dying:
        dying.setattr(upload, "post_fetch", killed)
        uploaded(script, old, tmp_path / "a.txt", status=130)
    for one in old.datasets.values():
        one["state"] = "ok"
    count = old.count("POST fetch")
    uploaded(script, old, tmp_path / "a.txt")
    assert old.count("POST fetch") == count and len(old.datasets) == 1


def test_nested_elements_and_urls_go_to_24_1_in_its_own_words(old, capsys, tmp_path):
    (tmp_path / "f").write_text("fff")
    sha, md5 = ([{"hash_function": name, "hash_value": f"of {name}"}] for name in ("SHA-256", "MD5"))
    session = tus.Session("s", "f", [str(tmp_path / "f")])
    elements = upload._with_md5(Galaxy(KEY, old.url), [{"name": "pair", "elements": [
        {"src": "files", "name": "forward", "hashes": sha}, {"src": "url", "name": "reverse", "hashes": md5}]},
        {"src": "url", "name": "plain", "hashes": sha}, {"src": "url", "name": "other", "hashes": sha}], iter([session]))
    assert elements == [{"name": "pair", "elements": [
        {"src": "files", "name": "forward", "MD5": hashlib.md5(b"fff").hexdigest()},
        {"src": "url", "name": "reverse", "MD5": "of MD5"}]}, *({"src": "url", "name": name} for name in ("plain", "other"))]
    assert capsys.readouterr().err.count("with an MD5 only, so not with the other hash") == 1


def test_a_datatype_that_an_old_server_lacks_is_left_to_its_guess(old, script, tmp_path, capsys):
    """It is the one that the file's name tells; nothing is sent twice."""
    for name in ("a.gtf.gz", "b.gtf.gz", "c.bed"):
        (tmp_path / name).write_text(name)
    fetches = uploaded(script, old, *(tmp_path / name for name in ("a.gtf.gz", "b.gtf.gz", "c.bed")))
    assert [[one["ext"] for one in fetch["targets"][0]["elements"]] for fetch in fetches] == [
        ["gtf.gz", "gtf.gz", "bed"], ["auto", "auto", "bed"]]
    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("it has no datatype gtf.gz, and makes its own guess at those files") and old.uploads == 3


def test_a_datatype_that_no_server_has_is_refused(old, script, tmp_path, capsys):
    (tmp_path / "a.txt").write_text("a")
    assert script(upload_to_history.main, KEY, old.url, old.create_history("H"), tmp_path / "a.txt", "file_type=fastqq") == 1
    assert "Requested extension 'fastqq' unknown" in capsys.readouterr().err and old.datasets == {}


@pytest.mark.parametrize("release, warned", [("25.1", 1), ("26.0", 0)])
def test_folders_that_a_fetch_makes_are_warned_of_where_its_job_may_not_end(script, tmp_path, capsys, release, warned):
    (tmp_path / "f.yml").write_text("""
destination: {type: library, name: L}
items: [{name: inside, items: [{src: pasted, paste_content: x, name: y, ext: txt}]}]
""")
    with OldGalaxy(release) as server:
        server.users[KEY]["is_admin"] = True
        server.answers["POST fetch"] = (200, {"outputs": [], "jobs": [{"id": "j"}]})
        assert script(fetch_to_library.main, "-u", server.url, "-a", KEY, tmp_path / "f.yml") == 0
    assert capsys.readouterr().err.count("make them first, and fetch into each") == warned


def test_a_sample_sheet_is_refused_where_galaxy_has_none(old):
    check = WorkflowCheck({"inputs": {}}, {}, {})
    sheet = SimpleNamespace(values={"0": CollectionInput("list", []), "1": CollectionInput("list:record", [])},
                            resolver=SimpleNamespace(galaxy=Galaxy(KEY, old.url)))
    with pytest.raises(GalaxyError, match="a collection of type list:record needs Galaxy 25.1 or later"):
        check.make_request(sheet)
    sheet.values.clear()
    assert check.make_request(sheet).inputs is sheet


def test_a_library_of_24_1_is_synced_twice_and_compared(old, script, tmp_path, capsys):
    """Galaxy has the MD5 of each file, and nothing else."""
    folder = tmp_path / "folder"
    (folder / "run1").mkdir(parents=True)
    for name in ("a.txt", "run1/b.txt"):
        (folder / name).write_text(name)
    library = old.create_library("L")["id"]
    line = ["-q", KEY, old.url, library, folder]
    assert script(library_sync.main, *line) == 0
    held = sorted(one["name"] for children in old.folders.values() for one in children["children"] if one["type"] == "file")
    assert held == ["a.txt", "b.txt"]
    count = old.count("POST fetch")
    assert [script(library_sync.main, *more, *line) for more in ([], ["--verify"])] == [0, 0]
    assert old.count("POST fetch") == count
    shutil.rmtree(checkpoint.checkpoint_folder().parent)        # the state of the sync
    (folder / "a.txt").write_text("A.txt")      # as long as before
    capsys.readouterr()
    assert script(library_sync.main, "--verify", *line) == 0
    assert capsys.readouterr().out.splitlines()[0].split("\t")[:2] == ["replace", "a.txt"]


@pytest.mark.parametrize("release", ["24.1", "24.2", "25.0"])
def test_bytes_that_an_old_server_drops_are_sent_as_a_piece(script, tmp_path, release):
    """The first files, of which so many begin at the same time, show it; the others cost nothing more."""
    paths = [tmp_path / f"{number}.txt" for number in range(30)]
    for path in paths:
        path.write_text("abc")
    for transfers in (1, 4):
        with OldGalaxy(release) as old:
            uploaded(script, old, f"--transfers={transfers}", *paths)
            assert 1 <= old.count("HEAD upload") <= transfers and old.count("PATCH upload") == 30
            bodies = [len(one.body) for one in old.sent("POST upload")]
            assert len(bodies) == 30 and bodies.count(3) <= transfers and set(bodies) == {0, 3}
            assert all(one["content"] == b"abc" and one["state"] == "ok" for one in old.datasets.values())


def test_no_request_goes_out_on_a_connection_that_a_piece_has_used(old, script, tmp_path):
    """Galaxy up to 25.1 hangs up after it without saying so, so that a POST would be lost."""
    (tmp_path / "a.txt").write_text("abc")
    for _ in range(10):
        uploaded(script, old, tmp_path / "a.txt")
    assert {one.headers["Connection"] for one in old.asked if one.kind == "PATCH upload"} == {"close"}


# --------------------------------------------------------------------------------------------------------------- answers

URL = "http://galaxy.test"
API = f"{URL}/api"
H = "f597429621d6eb2b"


@pytest.fixture
def of_25_0(requests_mock):
    """A Galaxy whose collections do not tell their elements' states: `c` has one that runs, until `ends()`."""
    inner = {"id": "i", "elements": [element("d1", "ok"), element("d2", "running")]}
    about = {"id": "c", "name": "reads", "hid": 1, "history_id": H, "history_content_type": "dataset_collection",
             "collection_type": "list:list", "populated": True, "populated_state": "ok", "populated_state_message": None,
             "deleted": False, "elements": [{"element_identifier": "s", "element_type": "dataset_collection",
                                             "object": inner}]}
    requests_mock.get(f"{API}/histories/{H}", json={"id": H, "name": "H", "deleted": False})
    requests_mock.get(f"{API}/histories", json=[{"id": H, "name": "H"}])
    requests_mock.get(f"{API}/datasets", json=[{name: about[name] for name in about if name != "elements"}])
    requests_mock.get(f"{API}/histories/{H}/contents", json=[about])
    for path in ("dataset_collections/c", f"histories/{H}/contents/dataset_collections/c"):
        requests_mock.get(f"{API}/{path}", json=about)
        requests_mock.get(f"{API}/{path}?view=collection", json={**about, "elements": []})
    requests_mock.ends = lambda: (inner["elements"].pop(), inner["elements"].append(element("d2", "error")))
    return requests_mock


def element(dataset, state):
    return {"element_identifier": dataset, "element_type": "hda", "object": {"id": dataset, "name": dataset, "state": state}}


def test_a_list_shows_the_states_of_a_collections_elements_where_galaxy_does_not_count_them(of_25_0, script, capsys):
    line = ["--format=value", "--fields=ref,state", KEY, URL, H]
    assert script(dataset_list.main, *line) == 0
    of_25_0.ends()
    of_25_0.get(f"{API}/dataset_collections/c", json={"elements": [element("d1", "ok"), element("d2", "error")]})
    assert script(dataset_list.main, *line) == 0
    assert capsys.readouterr().out.splitlines() == ["hdca:c\trunning, ok", "hdca:c\tok, error"]


def test_a_collection_is_in_the_state_of_its_elements_where_galaxy_does_not_count_them(of_25_0, script, capsys):
    line = ["--format=value", "--fields=ref,state,misc_info", KEY, URL, "hdca:c"]
    assert script(dataset_show.main, *line) == 0
    assert capsys.readouterr().out == "hdca:c\trunning\t1 ok, 1 running\n"


def test_waiting_for_a_collection_that_does_not_count_its_elements(of_25_0, script, capsys):
    assert script(filter_failed_datasets_from_collection.main, "--wait", "--timeout=0", URL, KEY, "H", 1) == 4
    assert "1 datasets of collection 'reads' are unfinished" in capsys.readouterr().err


def test_running_an_invocation_again_is_refused_where_nothing_tells_its_parameters(requests_mock, script, capsys):
    requests_mock.get(f"{API}/invocations/{H}", json={"id": H, "state": "failed", "history_id": H})
    requests_mock.get(f"{API}/invocations/{H}/request", status_code=404, text="<title>404 Not Found</title>")
    requests_mock.get(f"{API}/version", json={"version_major": "24.1"})
    assert script(invocation_rerun.main, "--all", KEY, URL, H) == 1
    assert f"needs Galaxy 24.2 or later, and {URL} is 24.1" in capsys.readouterr().err
    assert {one.method for one in requests_mock.request_history} == {"GET"}


def test_a_repeat_without_a_limit_as_old_servers_write_it():
    values = {f"ops_{number}|col": [1] for number in range(9)}
    assert request._count_repeats(values, "ops", {"min": 0, "max": "__Infinity__", "default": 0}) == 9
    with pytest.raises(GalaxyError, match="takes ops 2 times at most"):
        request._count_repeats(values, "ops", {"min": 0, "max": 2, "default": 0})
