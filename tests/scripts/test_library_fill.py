"""fetch_to_library.py --into against the fake Galaxy: what is there is left, what is missing comes, once."""
import hashlib
import json

import fetch_to_library
import pytest
from fakes import KEY

from common import DONE, FAILED, SOME_FAILED, TRY_LATER, USAGE
from galaxy_api_scripts.libraries import uploads

FILE = {"destination": {"type": "library", "name": "Shelf", "description": "x"}, "items": [
    {"src": "url", "url": "http://localhost/data/a%20b.fa"},
    {"name": "in", "items": [{"src": "url", "url": "http://localhost/c", "name": "c.txt"}]}]}
PATHS = ["/a b.fa", "/in/c.txt"]


@pytest.fixture
def fill(script, shelf, tmp_path, capsys):
    """`fill(*words, status=0, err="", **changed)`: the paths that the script prints for `FILE` with what is `changed`."""
    def call(*words, status=DONE, err="", **changed):
        shelf.asked.clear()
        (tmp_path / "more.yml").write_text(json.dumps({**FILE, **changed}))
        line = ["--into", "--format=jsonl", "-u", shelf.url, "-a", KEY, tmp_path / "more.yml", *words]
        assert script(fetch_to_library.main, *line) == status, capsys.readouterr()
        out, said = capsys.readouterr()
        assert (err in said) if err else said == "", said
        return [row["path"] for row in map(json.loads, out.splitlines())]
    return call


def test_what_is_missing_comes_once(fill, shelf):
    assert fill("-n") == PATHS and not shelf.writes()
    assert fill() == PATHS and sorted(path for path, _ in shelf.walk(shelf.root)) == ["a b.fa", "in", "in/c.txt"]
    assert len(shelf.libraries) == 1
    assert fill() == fill("-n") == [] and not shelf.writes()
    shelf.remove(next(one["id"] for path, one in shelf.walk(shelf.root) if path == "in/c.txt"))
    assert fill() == ["/in/c.txt"]


def test_a_library_that_is_not_there_is_made_by_an_administrator(fill, shelf):
    destination = {"type": "library", "name": "New", "description": "x"}
    assert fill("-n", destination=destination) == PATHS and not shelf.writes()
    assert fill(destination=destination) == PATHS
    [made] = [one for one in shelf.libraries.values() if one["name"] == "New"]
    assert made["description"] == "x" and fill(destination=destination) == []
    shelf.users[KEY]["is_admin"] = False
    for words in ([], ["-n"]):
        fill(*words, destination={**destination, "name": "X"}, status=FAILED, err="making a library needs an administrator")
    assert not shelf.writes()


def test_several_of_that_name_are_told_with_their_ids(fill, shelf):
    other = shelf.create_library("Shelf")
    fill(status=FAILED, err=f"2 libraries are named 'Shelf': {shelf.library}, {other['id']}")
    assert not shelf.writes()


def test_a_file_with_another_hash_is_told_and_left(fill, shelf):
    item = {"src": "url", "url": "http://localhost/a", "name": "a", "SHA-256": hashlib.sha256(b"new").hexdigest()}
    old = shelf.add(shelf.root, "a", b"old")
    assert fill(items=[item, *FILE["items"]], status=SOME_FAILED, err=f"/a: {old} has that name and another sha256") == PATHS
    assert fill(items=[item], status=FAILED, err="another sha256") == []
    shelf.file(old).update(hash=item["SHA-256"])
    assert fill(items=[item]) == [] and not shelf.writes()


def test_what_galaxy_does_not_keep_is_told_and_tried_again(fill, shelf):
    """Its failed dataset is deleted, so that they don't pile up; an older one of that name doesn't count either."""
    shelf.add(shelf.root, "a b.fa", b"", state="error", message="no such host")
    shelf.arrivals["a b.fa"] = {"state": "error", "message": "no such host"}
    for paths in (["/in/c.txt"], []):
        assert fill(status=SOME_FAILED, err="/a b.fa: Galaxy did not keep it: no such host") == paths
        assert sorted(path for path, _ in shelf.walk(shelf.root)) == ["in", "in/c.txt"]
    shelf.arrivals.clear()
    assert fill() == ["/a b.fa"]


def test_the_job_of_an_earlier_run_is_waited_for(fill, shelf):
    history = shelf.create_history(f"Uploads to library {shelf.library}")
    shelf.create_job("__DATA_FETCH__", history, state="running")
    waited = []
    shelf.answers["GET jobs"] = lambda handler: waited.append(handler.path) or finish(shelf)
    assert fill() == PATHS and waited
    with uploads.exclusive_run(f"library {shelf.library}"):
        fill(status=TRY_LATER, err="at work on")


def finish(shelf):
    for job in shelf.jobs.values():
        job["state"] = "ok"


def test_a_lost_answer_is_looked_up_by_the_next_run(fill, shelf, clock):
    shelf.lost["POST fetch"] = 1
    fill(status=TRY_LATER, err="look before you send it again")
    assert fill() == [] and len(list(shelf.walk(shelf.root))) == 3


def test_who_may_not_add_is_told(fill, shelf):
    shelf.users[KEY]["is_admin"] = False
    inside = shelf.add(shelf.root, "in")
    shelf.folders[inside]["can_add_library_item"] = False
    fill(status=FAILED, err=f"may not add to folder {inside} (in)")
    assert not shelf.writes()


@pytest.mark.parametrize("changed, words", [
    ({"destination": {"type": "library_folder", "library_folder_id": "1"}}, "--into: is for a destination {type: library"),
    ({"destination": {"type": "library"}}, "--into: is for a destination"),
    ({"items": [{"src": "url", "url": "u", "name": "a"}, {"src": "url", "url": "v/a"}]}, "--into: two items are /a"),
    ({"items": [{"src": "url", "url": "u", "name": 2015}]}, "--into: name: 2015 is no text to YAML: write it in quotes"),
    ({"items": [{"src": "url"}]}, "neither a file with a name"), ({"items": ["x"]}, "neither a file with a name"),
    ({"items": [{"name": "x", "elements_from": "archive", "src": "url", "url": "u"}]}, "neither a file with a name"),
    ({"items": None, "elements_from": "archive"}, "expected a list of items")])
def test_what_cannot_be_compared_is_refused(fill, shelf, changed, words):
    fill(status=USAGE, err=words, **changed)
    assert shelf.asked == []


