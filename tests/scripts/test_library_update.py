"""library_update.py against the fake Galaxy: names, descriptions and moves, kills at each request, lost answers, traps."""
import copy
import itertools
import json

import library_update
import pytest
import requests
from fakes import KEY, process
from fakes.permissions import ANN, LAB, MY, OLD

from common import DONE, FAILED, SOME_FAILED, TRY_LATER, USAGE
from galaxy_api_scripts import checkpoint
from galaxy_api_scripts.files import state_path


class Killed(BaseException):
    """The process was killed: nothing is sent or written from now on."""


@pytest.fixture
def update(script, shelf, capsys):
    """`update(*words, status=0, err="")`: the rows that the script prints; `err` is in what it says on standard error."""
    def call(*words, status=DONE, err="", library="Shelf"):
        shelf.asked.clear()
        assert script(library_update.main, "--format=jsonl", KEY, shelf.url, library, *words) == status, capsys.readouterr()
        out, said = capsys.readouterr()
        assert (err in said) if err else said == "", said
        return [(row["action"], row["path"], row["before"], row["after"]) for row in map(json.loads, out.splitlines())]
    return call


@pytest.fixture
def items(shelf):
    """`{path: id}` of the library's items; sub may be managed by the lab."""
    sub, inner = shelf.add(shelf.root, "sub", description="what came in"), None
    inner = shelf.add(sub, "inner", description="")
    made = {"sub": sub, "sub/inner": inner, "one.txt": shelf.add(shelf.root, "one.txt", b"1", tags=["name:x"], message="m"),
            "sub/two.txt": shelf.add(sub, "two.txt", b"2"), "sub/inner/three.txt": shelf.add(inner, "three.txt", b"3")}
    shelf.rights_of(sub)["manage"].append(LAB)
    shelf.rights_of(sub)["modify"].append(ANN)
    return made


@pytest.fixture
def dies(monkeypatch):
    """`dies(after)`: kill the process when so many of its changes have been answered, never for 0."""
    class Death:
        after = changes = 0

        def __call__(self, after):
            process.forget()
            self.after, self.changes = after, 0

        @property
        def dead(self):
            return bool(self.after) and self.changes >= self.after
    death, send, save = Death(), requests.Session.request, checkpoint.Checkpoint.save

    def sent(session, method, *what, **options):
        answer = None if death.dead else send(session, method, *what, **options)
        death.changes += method not in ("GET", "HEAD")
        if death.dead:
            raise Killed
        return answer
    monkeypatch.setattr(requests.Session, "request", sent)
    monkeypatch.setattr(checkpoint.Checkpoint, "save", lambda notes, *what, **facts: None if death.dead else save(
        notes, *what, **facts))
    return death


# ------------------------------------------------------------------------------------------------ names and descriptions

def test_a_library_a_folder_and_a_dataset_are_renamed_and_described(update, shelf, items):
    for words, expected in (
            (["--synopsis=s", "--description=d"], [("describe", "Shelf", "", "d"), ("describe", "Shelf", "", "s")]),
            (["--path=sub", "--name=inbox"], [("rename", "/sub", "sub", "inbox")]),
            (["--path=one.txt", "--name=1.txt", "--description=first"], [
                ("rename", "/one.txt", "one.txt", "1.txt"), ("describe", "/one.txt", "m", "first")])):
        assert update("-n", *words) == expected and not shelf.writes()
        assert update(*words) == expected
        assert update(*words) == [] and not shelf.writes()      # found by its new name
    assert update("--name=Rack") == [("rename", "Shelf", "Shelf", "Rack")]
    assert update("--name=Rack") == [] and not shelf.writes()
    assert (shelf.libraries[shelf.library]["name"], shelf.folders[shelf.root]["name"]) == ("Rack", "Rack")
    assert shelf.file(items["one.txt"])["message"] == "first" and shelf.folders[items["sub"]]["name"] == "inbox"


@pytest.mark.parametrize("words, status, err", [
    ([], USAGE, "what is to change?"), (["--move-to=x"], USAGE, "of what? --path says so"),
    (["--path=sub", "--synopsis=x"], USAGE, "a folder has none, only name, description"),
    (["--path=/", "--name=x"], USAGE, "leave --path out"), (["--path=one.txt", "--name=a & b"], USAGE, "as &amp;"),
    (["--path=one.txt", "--name=a/b"], USAGE, "a name without /"),
    (["--path=sub", "--move-to=a/../b"], USAGE, "names of folders"),
    (["--path=nowhere", "--name=x"], FAILED, "library 'Shelf' has nothing at 'nowhere'"),
    (["--path=one.txt", "--name=two.txt"], FAILED, "another dataset has that name"),
    (["--name=Other"], FAILED, "another library has that name"),
    (["--path=sub", "--move-to=sub/inner"], FAILED, "can't be moved into itself"),
    (["--path=one.txt", "--move-to=sub"], FAILED, "a dataset of that name is in the folder /sub already")])
def test_what_cannot_be_is_told_before_anything_is_sent(update, shelf, items, words, status, err):
    shelf.create_library("Other")
    for folder, name in ((shelf.root, "two.txt"), (items["sub"], "one.txt")):
        shelf.add(folder, name, b"x")
    update(*words, status=status, err=err)
    update("-n", *words, status=status, err=err)
    assert not shelf.writes()


def test_two_things_of_one_name_are_told_with_their_ids(update, shelf, items):
    other = shelf.add(shelf.root, "one.txt", b"x")
    update("--path=one.txt", "--name=x", status=FAILED, err=f"{items['one.txt']}, dataset {other}; give the id of one")
    assert update(f"--path={other}", "--name=x") == [("rename", "/one.txt", "one.txt", "x")]


def test_an_answer_200_that_changed_nothing_is_no_success(update, shelf, items, clock):
    shelf.unwilling = {items["sub"], items["one.txt"], shelf.library}
    for words in (["--path=sub"], ["--path=one.txt"], []):
        update(*words, "--name=x", status=FAILED, err="Galaxy answered that its name is changed to 'x', and it is '")


# ------------------------------------------------------------------------------------------------------------------ moves

def moved(shelf, items, was):
    """Assert that one.txt and sub are in new/place, each once, with all that they had, and nothing is left over."""
    files = dict(shelf.walk(shelf.root))
    assert sorted(files) == sorted(["new", "new/place", *(f"new/place/{path}" for path in items)])
    for path, one in files.items():
        old = was.get(path.removeprefix("new/place/")) if path.startswith("new/place/") else None
        if old:
            about, rights = old
            now = {name: sorted(roles) for name, roles in shelf.rights_of(one["id"]).items()}
            kind = ("access", "modify", "manage") if one["type"] == "file" else ("add", "modify", "manage")
            assert {name: now[name] for name in kind} == {name: rights[name] for name in kind}, path
            assert {name: one.get(name) for name in ("content", "message", "tags", "description")} == {
                name: about.get(name) for name in ("content", "message", "tags", "description")}, path
    assert not [one for one in shelf.histories.values() if not one["deleted"]]


@pytest.fixture
def was(shelf, items):
    """What the items are before they move: `{path: (description, permissions)}`. One is for the lab alone."""
    shelf.rights_of(items["one.txt"])["access"].append(LAB)
    shelf.rights_of(items["sub/two.txt"])["modify"].append(ANN)
    return {path: (dict(one), {name: sorted(roles) for name, roles in shelf.rights_of(one["id"]).items()})
            for path, one in shelf.walk(shelf.root)}


def test_a_dataset_and_a_folder_move_with_all_that_they_have(update, shelf, items, was):
    """The new folder would give its own managers to what is copied there."""
    place = shelf.add(shelf.add(shelf.root, "new"), "place", description="")
    shelf.rights_of(place)["manage"].append(ANN)
    expected = [("move", "/one.txt", "/one.txt", "/new/place/one.txt")]
    assert update("-n", "--path=one.txt", "--move-to=new/place") == expected and not shelf.writes()
    assert update("--path=one.txt", "--move-to=new/place") == expected
    assert update("--path=one.txt", "--move-to=new/place") == [] and not shelf.writes()
    rows = update("--path=sub", "--move-to=/new/place/")
    assert sorted(rows) == sorted(update_row(path) for path in ("sub", "sub/inner", "sub/two.txt", "sub/inner/three.txt"))
    assert update("--path=sub", "--move-to=new/place") == [] and not shelf.writes()
    moved(shelf, items, was)


def update_row(path):
    return ("move", f"/{path}", f"/{path}", f"/new/place/{path}")


def test_folders_on_the_way_are_made_and_a_new_name_goes_along(update, shelf, items):
    assert update("--path=one.txt", "--name=1.txt", "--move-to=a/b") == [
        ("rename", "/one.txt", "one.txt", "1.txt"), ("move", "/one.txt", "/one.txt", "/a/b/1.txt")]
    assert update("--path=one.txt", "--name=1.txt", "--move-to=a/b") == []
    assert update("--path=a/b/1.txt", "--move-to=/") == [("move", "/a/b/1.txt", "/a/b/1.txt", "/1.txt")]


@pytest.mark.parametrize("path, least", [("one.txt", 5), ("sub/inner", 8)])
def test_a_kill_after_any_change_loses_and_doubles_nothing(update, shelf, items, was, dies, clock, path, least):
    """Nor does it open what was closed, or leave another's permissions on it."""
    shelf.rights_of(shelf.add(shelf.add(shelf.root, "new"), "place", description=""))["manage"].append(ANN)
    first = {name: copy.deepcopy(getattr(shelf, name)) for name in ("folders", "rights", "twins", "histories", "datasets")}
    for after in itertools.count(1):
        for name, value in first.items():
            setattr(shelf, name, copy.deepcopy(value))
        dies(after)
        try:
            update(f"--path={path}", "--move-to=new/place")
            break
        except Killed:
            dies(0)
        assert {where.rpartition("/")[2] for where, one in shelf.walk(shelf.root) if one["type"] == "file"} == {
            "one.txt", "two.txt", "three.txt"}, after
        update(f"--path={path}", "--move-to=new/place")
        assert sorted(where for where, _ in shelf.walk(shelf.root)) == sorted(["new", "new/place", *(
            f"new/place/{one.rpartition('sub/')[2]}" if one.startswith(path) else one for one in items)]), after
        check_rights(shelf, was, after)
        assert not [one for one in shelf.histories.values() if not one["deleted"]], after
    assert after > least


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_copy_is_found_without_notes_and_one_that_is_gone_is_made_again(update, shelf, items, dies, clock, is_noted):
    """Notes are of one machine; and who has deleted the copy meanwhile is not to lose the only one left."""
    dies(4)
    with pytest.raises(Killed):
        update("--path=one.txt", "--move-to=sub")
    dies(0)
    [copied] = [one["id"] for path, one in shelf.walk(shelf.root) if path == "sub/one.txt"]
    if is_noted:
        shelf.remove(copied)
    else:
        for file in state_path("transfers").iterdir():
            file.unlink()
    assert update("--path=one.txt", "--move-to=sub") == [("move", "/one.txt", "/one.txt", "/sub/one.txt")]
    [moved] = [one for path, one in shelf.walk(shelf.root) if "one.txt" in path]
    assert moved["content"] == b"1" and (moved["id"] == copied) is not is_noted


def check_rights(shelf, was, after):
    by_name = {path.rpartition("/")[2]: rights for path, (_, rights) in was.items()}
    for path, one in shelf.walk(shelf.root):
        rights = by_name.get(path.rpartition("/")[2])
        for word in ("access", "modify", "manage") if rights else ():
            assert sorted(shelf.rights_of(one["id"])[word]) == rights[word], (after, path, word)


@pytest.mark.parametrize("kind", ["POST folder_contents", "POST contents", "POST folder", "POST histories"])
def test_a_lost_answer_doubles_nothing(script, update, shelf, items, was, clock, kind, capsys):
    """A folder on the way whose answer was lost is found by the next run."""
    shelf.lost[kind] = 1
    status = script(library_update.main, KEY, shelf.url, "Shelf", "--path=one.txt", "--move-to=new/place")
    assert status == (TRY_LATER if kind == "POST folder" else DONE) and not shelf.lost[kind]
    capsys.readouterr()
    update("--path=one.txt", "--move-to=new/place")
    shelf.lost[kind] = 1
    update("--path=sub", "--move-to=new/place")
    moved(shelf, items, was)


def test_a_copy_that_differs_or_a_deletion_that_was_none_is_told(update, shelf, items, clock):
    shelf.kept = {items["one.txt"]}
    update("--path=one.txt", "--move-to=sub", status=FAILED, err="Galaxy answered that it is deleted, and it is not")
    assert {"one.txt", "sub/one.txt"} <= {path for path, _ in shelf.walk(shelf.root)}
    shelf.kept = set()
    assert update("--path=one.txt", "--move-to=sub") == [("move", "/one.txt", "/one.txt", "/sub/one.txt")]
    assert [path for path, _ in shelf.walk(shelf.root) if "one" in path] == ["sub/one.txt"]
    shelf.unwilling = {f"{shelf._made + number:016x}" for number in range(1, 9)}        # the copy, whose tags stay away
    shelf.file(items["sub/two.txt"])["tags"] = ["name:y"]
    update("--path=sub/two.txt", "--move-to=/", status=FAILED, err="differs (tags), so it stays where it was")
    assert shelf.file(items["sub/two.txt"])["content"] == b"2"


def test_a_role_that_would_be_lost_is_told_before(update, shelf, items):
    shelf.rights_of(items["one.txt"])["access"].append(OLD)
    update("--path=one.txt", "--move-to=sub", status=FAILED, err=f"would not keep 'old lab' ({OLD}): the role is deleted")
    assert not shelf.writes()


def test_what_can_not_be_moved_is_told_and_the_others_move(update, shelf, items, clock):
    """A copy of three.txt is refused: the folders that it is in stay, with it."""
    shelf.answers["POST folder_contents"] = [(400, {"err_msg": "no", "err_code": 0})]
    rows = update("--path=sub", "--move-to=new", status=SOME_FAILED, err="dataset /sub/")
    assert [path for _, path, *_ in rows] == ["/sub/two.txt"]
    assert [path for _, path, *_ in update("--path=sub", "--move-to=new")] == ["/sub/inner/three.txt", "/sub/inner", "/sub"]
    assert sorted(path for path, _ in shelf.walk(shelf.root)) == sorted(
        ["new", "one.txt", *(f"new/{path}" for path in items if path.startswith("sub"))])


@pytest.mark.parametrize("about, words, err", [
    ({"can_user_modify": False}, ["--path=one.txt", "--name=x"], "may not change it: who manages it can permit that by "
     "library_permissions.py modify+="),
    ({"can_user_manage": False}, ["--path=one.txt", "--move-to=sub"], "may not manage it"),
    ({"state": "running"}, ["--path=one.txt", "--move-to=sub"], "is in state running"),
    ({"has_versions": True}, ["--path=one.txt", "--move-to=sub"], "older versions"),
    ({"uuid": None}, ["--path=one.txt", "--move-to=sub"], "no UUID"),
    ({"message": "a <b>"}, ["--path=one.txt", "--move-to=sub"], "which Galaxy would change"),
    ({}, ["--path=sub", "--move-to=new"], "moving a folder needs an administrator's key")])
def test_who_may_not_is_told_before_anything_is_sent(update, shelf, items, about, words, err):
    shelf.users[KEY]["is_admin"] = False
    shelf.nameable = {LAB, MY, ANN}
    shelf.file(items["one.txt"]).update(about)
    update(*words, status=TRY_LATER if "state" in about else FAILED, err=err)
    assert not shelf.writes()


def test_another_run_at_work(update, shelf, items):
    from common import Galaxy
    from galaxy_api_scripts.libraries.moves import checkpoint_of
    with checkpoint_of(Galaxy(KEY, shelf.url), shelf.library):
        update("--path=one.txt", "--move-to=sub", status=TRY_LATER, err="another run is at work on it")
    assert not shelf.writes()
