"""library_permissions.py against the fake Galaxy: what is shown, what is changed, what is refused before anything is sent,
and what is told where Galaxy answers 200 and does something else."""
import json

import library_permissions
import pytest
from fakes import KEY
from fakes.permissions import ANN, LAB, MY, OLD

from common import DONE, FAILED, SOME_FAILED, TRY_LATER, USAGE
from galaxy_api_scripts.libraries import permissions


@pytest.fixture
def items(shelf):
    """`{path: id}` of the library's items: one.txt, sub, sub/two.txt."""
    sub = shelf.add(shelf.root, "sub")
    return {"Shelf": shelf.library, "/": shelf.root, "/sub": sub, "/one.txt": shelf.add(shelf.root, "one.txt", b"1"),
            "/sub/two.txt": shelf.add(sub, "two.txt", b"2")}


@pytest.fixture
def change(script, shelf, items, capsys):
    """`change(*words, status=0, err="")`: the rows that the script prints; `err` is in what it says on standard error."""
    def call(*words, status=DONE, err="", style="jsonl"):
        shelf.asked.clear()
        assert script(library_permissions.main, f"--format={style}", KEY, shelf.url, "Shelf", *words) == status, \
            capsys.readouterr()
        out, said = capsys.readouterr()
        assert (err in said) if err else said == "", said
        return list(map(json.loads, out.splitlines()))
    return call


def brief(rows):
    return [(row["path"], row["permission"], row["roles"]) for row in rows]


def payloads(shelf):
    return [one.json for one in shelf.asked if one.method == "POST"]


@pytest.fixture
def manager(shelf):
    """The key's user is no administrator."""
    shelf.users[KEY]["is_admin"] = False


# -------------------------------------------------------------------------------------------------------- what is shown

def test_the_library_with_its_root_folder_one_item_and_all(change, items, shelf):
    shelf.rights_of(shelf.library)["access"].append(LAB)
    shelf.rights_of(items["/sub"])["add"].append(ANN)
    assert change() == [
        {"path": "Shelf", "kind": "library", "id": shelf.library, "public": False, "access": ["lab"], "add": [],
         "modify": [], "manage": []},
        {"path": "/", "kind": "folder", "id": shelf.root, "public": None, "access": None, "add": [], "modify": [],
         "manage": []}]
    assert [(row["path"], row["add"]) for row in change("--path=/sub/")] == [("/sub", ["ann_b@example.org"])]
    [row] = change(f"--path={items['/one.txt']}")
    assert (row["path"], row["public"], row["add"], row["manage"]) == ("/one.txt", True, None, ["me@example.org"])
    assert [row["path"] for row in change("-r")] == ["Shelf", "/", "/one.txt", "/sub", "/sub/two.txt"]
    assert [row["path"] for row in change("-r", "--path=sub")] == ["/sub", "/sub/two.txt"]
    assert not shelf.writes()


def test_the_table_is_what_a_terminal_gets(script, shelf, capsys):
    assert script(library_permissions.main, KEY, shelf.url, shelf.library) == DONE
    assert capsys.readouterr().out.splitlines()[0].split() == ["path", "kind", "id", "public", "access", "add", "modify",
                                                               "manage"]


@pytest.mark.parametrize("line", [
    ["own=lab"], ["lab"], ["manage"], ["access="], ["add+="], ["add=lab", "add+=lab"], ["add+=lab", "add-=lab"],
    ["--public", "access=lab"], ["--public", "access+=lab"], ["--restrict"], ["--restrict", "access-=lab"],
    ["--restrict", "--public"], ["--fields=added"], ["--fields=access", "add=lab"], ["--path=", "add=lab"]])
def test_a_bad_line_sends_nothing(change, shelf, line):
    change(*line, status=USAGE, err=" ")
    assert shelf.asked == []


@pytest.mark.parametrize("words, status, err", [
    (["--path=nowhere"], FAILED, "library 'Shelf' has nothing at 'nowhere'"),
    (["--path=sub", "access+=lab"], USAGE, "access is a permission of a library and of a dataset, and here is none"),
    (["--path=one.txt", "add+=lab"], USAGE, "add is a permission of a library and of a folder"),
    (["add+=labs"], FAILED, "there is no role 'labs': did you mean lab?"),
    (["add+=the lab"], FAILED, "'the lab': that is a group, and permissions are given to roles: this group has lab"),
    (["add+=old lab"], FAILED, "there is no role 'old lab'")])
def test_what_is_not_there_is_told_and_nothing_is_sent(change, shelf, words, status, err):
    change(*words, status=status, err=err)
    assert not shelf.writes()


def test_two_things_of_one_name_are_told_with_their_ids(change, shelf, items):
    other = shelf.add(shelf.root, "one.txt", b"3")
    shelf.role_names["00000000000000e9"] = ("lab", "system")
    change("--path=one.txt", status=FAILED, err=f"2 items: dataset {items['/one.txt']}, dataset {other}; give the id of one")
    change("add=lab", status=FAILED, err=f"2 roles are named 'lab': {LAB} (admin), 00000000000000e9 (system); give the id")
    assert brief(change(f"add={LAB}")) == [("Shelf", "add", ["lab"]), ("/", "add", ["lab"])]


def test_a_deleted_library_is_left_alone(change, shelf):
    shelf.libraries[shelf.library]["deleted"] = True
    change("add=lab", status=FAILED, err="none of your libraries")
    assert not shelf.writes()


# ------------------------------------------------------------------------------------------------------ what is changed

def test_a_change_is_sent_whole_read_back_and_made_once(change, shelf, items):
    """The e-mail address has an underscore, with which Galaxy's own search finds nothing."""
    line = ["add+=ann_b@example.org", "manage=lab", f"manage={MY}"]
    shelf.rights_of(shelf.library)["modify"].append(LAB)
    rows = change("-n", *line)
    assert not shelf.writes() and rows == change(*line)
    assert brief(rows) == [("Shelf", "add", ["ann_b@example.org"]), ("Shelf", "manage", ["lab", "me@example.org"]),
                           ("/", "add", ["ann_b@example.org"]), ("/", "manage", ["lab", "me@example.org"])]
    library, folder = payloads(shelf)
    assert library == {"action": "set_permissions", "access_ids[]": [], "add_ids[]": [ANN], "modify_ids[]": [LAB],
                       "manage_ids[]": [LAB, MY]}
    # The root folder, to which Galaxy gave the library's own, keeps what it had: nobody may modify it.
    assert folder == {"action": "set_permissions", "add_ids[]": [ANN], "modify_ids[]": [], "manage_ids[]": [LAB, MY]}
    assert shelf.rights_of(shelf.root)["modify"] == [] and shelf.rights_of(shelf.library)["modify"] == [LAB]
    assert shelf.kinds[-2:] == ["GET library_rights", "GET folder_rights"]
    assert change(*line) == [] and not shelf.writes()
    assert brief(change("add=", "manage-=lab")) == [
        ("Shelf", "add", []), ("Shelf", "manage", ["me@example.org"]), ("/", "add", []), ("/", "manage", ["me@example.org"])]


def test_all_below_each_item_with_what_it_has(change, shelf, items):
    rows = change("-r", "--restrict", "access=lab", "modify+=lab", "add+=lab")
    assert [(path, name) for path, name, roles in brief(rows)] == [
        ("Shelf", "access"), ("Shelf", "add"), ("Shelf", "modify"), ("/", "add"), ("/", "modify"),
        ("/one.txt", "access"), ("/one.txt", "modify"), ("/sub", "add"), ("/sub", "modify"),
        ("/sub/two.txt", "access"), ("/sub/two.txt", "modify")]
    assert {roles == ["lab"] for _, _, roles in brief(rows)} == {True}
    assert shelf.rights_of(items["/one.txt"])["manage"] == [MY]
    assert change("-r", "--restrict", "access=lab", "modify+=lab", "add+=lab") == []


def test_what_was_public_is_restricted_only_on_request_and_the_other_way_round(change, shelf, items):
    change("-r", "access+=lab", status=FAILED, err="nothing was changed: 3 of 5 items (library Shelf, dataset /one.txt, "
           "dataset /sub/two.txt): everybody has access, which would end with a role that has it: --restrict if it is to")
    assert not shelf.writes()
    change("-r", "--restrict", "access+=lab")
    change("access-=lab", status=FAILED, err="the last role that has access would go, and everybody would have it: --public")
    assert not shelf.writes()
    assert [(row["path"], row["public"], row["removed"]) for row in change("-r", "--public")] == [
        ("Shelf", True, ["lab"]), ("/one.txt", True, ["lab"]), ("/sub/two.txt", True, ["lab"])]
    assert payloads(shelf) == [{"action": "remove_restrictions"}] * 3
    assert change("-r", "--public") == []


def test_a_dataset_keeps_a_manager_and_readers(change, shelf, items):
    change("-r", "manage=", status=FAILED, err="2 of 5 items (dataset /one.txt, dataset /sub/two.txt): a dataset that no "
           "role manages is lost to its owner")
    change("--path=one.txt", "--restrict", "access=lab", "access=ann_b@example.org", status=FAILED,
           err="only who has all of the roles lab, ann_b@example.org could read it, and one is a single user's")
    assert not shelf.writes()
    assert brief(change("--restrict", "access=lab", "access=ann_b@example.org")) == [
        ("Shelf", "access", ["ann_b@example.org", "lab"])]     # of a library one role is enough


def test_a_manager_who_is_no_administrator_is_not_locked_out(change, shelf, items, manager):
    shelf.rights_of(shelf.library)["manage"].append(MY)
    shelf.rights_of(shelf.root)["manage"].append(MY)
    change("manage=", status=FAILED, err="nobody but administrators could manage it, not this key's user either")
    assert not shelf.writes()
    shelf.users[KEY]["is_admin"] = True
    assert brief(change("manage=")) == [("Shelf", "manage", []), ("/", "manage", [])]


def test_two_items_of_one_dataset_are_changed_by_one_request(change, shelf, items):
    shelf.twins[items["/sub/two.txt"]] = items["/one.txt"]
    rows = change("-r", "--restrict", "access=lab")
    assert [row["path"] for row in rows] == ["Shelf", "/one.txt"] and shelf.count("POST file_rights") == 1
    assert [one["access"] for one in map(shelf.rights_of, items.values())] == [[LAB], [], [], [LAB], [LAB]]


# ---------------------------------------------------------------------------------------------- 200, and something else

def test_a_deleted_role_that_would_be_dropped_in_silence_is_told(change, shelf, items):
    """Without it, the library would be public."""
    shelf.rights_of(shelf.library)["access"].append(OLD)
    change("add=lab", status=FAILED, err=f"Galaxy would not keep 'old lab' ({OLD}): the role is deleted: take it off by -=")
    assert not shelf.writes() and shelf.rights_of(shelf.library)["access"] == [OLD]
    assert brief(change("access-=old lab", "access+=lab", "add=lab")) == [
        ("Shelf", "access", ["lab"]), ("Shelf", "add", ["lab"]), ("/", "add", ["lab"])]


@pytest.mark.parametrize("paths, status", [
    (["/sub"], SOME_FAILED), (["Shelf", "/", "/sub", "/one.txt", "/sub/two.txt"], FAILED)])
def test_a_change_that_did_not_take_is_told(change, shelf, items, clock, paths, status):
    shelf.deaf = {items[path] for path in paths}
    rows = change("-r", "modify=lab", status=status, err=f"folder /sub ({items['/sub']}): modify was to be lab and is "
                  "nobody's (Galaxy answered that it is done)")
    assert {row["path"] for row in rows} == set(items) - set(paths)


def test_a_refusal_is_told_and_the_others_are_done(change, shelf, items):
    shelf.answers[f"POST /api/folders/{items['/sub']}/permissions"] = (500, {"err_msg": "Uncaught exception", "err_code": 0})
    rows = change("-r", "modify=lab", status=SOME_FAILED, err="modify was to be lab and is nobody's (POST ")
    assert {row["path"] for row in rows} == set(items) - {"/sub"}


def test_what_took_though_its_answer_was_lost_is_done(change, shelf):
    shelf.lost["POST library_rights"] = 1
    assert brief(change("modify=lab")) == [("Shelf", "modify", ["lab"]), ("/", "modify", ["lab"])]


def test_an_answer_from_before_the_change_is_waited_out(change, shelf, items, clock):
    old = {field: [] for field in permissions.FIELDS["folder"].values()}
    shelf.answers["GET folder_rights"] = [None, None, (200, old)]
    assert brief(change("--path=sub", "add=lab")) == [("/sub", "add", ["lab"])]


def test_a_server_that_goes_away_leaves_what_was_done_told(change, shelf, items, clock, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    shelf.answers[f"POST /api/folders/{items['/sub']}/permissions"] = lambda handler: setattr(shelf, "away", 99)
    rows = change("-r", "modify=lab", status=TRY_LATER, err=" ")
    assert {row["path"] for row in rows} == {"Shelf", "/", "/one.txt"}


@pytest.mark.parametrize("answer", [{}, [], {"access_library_role_list": []}])
def test_an_answer_that_tells_nothing_is_an_error(change, shelf, answer):
    shelf.answers["GET library_rights"] = (200, answer)
    change("modify=lab", status=FAILED, err="the answer does not tell access_library_role_list")
    assert not shelf.writes()


# ------------------------------------------------------------------------------------------------------------- managers

def test_a_manager_is_told_which_items_are_closed_and_the_others_are_done(change, shelf, items, manager):
    shelf.closed = {items["/sub"]}
    assert len(change("-r", status=SOME_FAILED, err=f"folder /sub ({items['/sub']}): GET ")) == 4
    rows = change("-r", "modify=lab", status=SOME_FAILED, err="folder /sub")
    assert {row["path"] for row in rows} == set(items) - {"/sub"}
    shelf.closed = set(items.values())
    assert change(status=FAILED, err="library Shelf") == change("add=lab", status=FAILED, err="library Shelf") == []


def test_a_manager_is_told_of_folders_that_the_list_of_the_library_leaves_out(change, shelf, items, manager):
    shelf.closed = shelf.unlisted = {items["/sub"], items["/sub/two.txt"]}
    rows = change("-r", "modify=lab", status=SOME_FAILED, err="dataset /sub/two.txt")
    assert {row["path"] for row in rows} == {"Shelf", "/", "/one.txt"}
    change("--path=sub", status=FAILED, err="folder /sub")
    shelf.answers[f"GET /api/folders/{items['/sub']}/contents"] = [(403, {"err_msg": "not yours", "err_code": 403002})]
    change("-r", "modify=lab", status=SOME_FAILED, err="folder /sub")


def test_a_manager_names_roles_that_galaxy_lets_her_name(change, shelf, items, manager):
    """Galaxy changes a dataset's access first, and refuses the request because of another permission then."""
    change("add=ann_b@example.org", status=FAILED, err="there is no role 'ann_b@example.org' that this key's user may name")
    shelf.rights_of(items["/one.txt"])["manage"].append(ANN)
    rows = change("-r", "--restrict", "access=lab", status=SOME_FAILED, err=f"dataset /one.txt ({items['/one.txt']}): "
                  f"Galaxy would not keep 'ann_b@example.org' ({ANN}): this key's user may not name them")
    assert {row["path"] for row in rows} == {"Shelf", "/sub/two.txt"} and not shelf.rights_of(items["/one.txt"])["access"]
    shelf.rights_of(items["/one.txt"])["access"].append(LAB)
    assert [row["path"] for row in change("--path=one.txt", "--public")] == ["/one.txt"]     # which names no roles


def test_a_manager_may_give_it_away(change, shelf, items, manager):
    """What cannot be read back is as Galaxy's answer to the change tells."""
    shelf.rights_of(items["/sub"])["manage"].append(MY)
    permission = f"/api/folders/{items['/sub']}/permissions"
    shelf.answers[f"GET {permission}"] = [None, None, None, (403, {"err_msg": "not yours", "err_code": 403002})]
    assert brief(change("--path=sub", "manage=lab")) == [("/sub", "manage", ["lab"])]
    for one in (shelf.library, shelf.root):
        shelf.rights_of(one)["manage"].append(MY)
    for kind in ("GET library_rights", "GET folder_rights"):
        shelf.answers[kind] = [None, None, None, (403, {"err_msg": "not yours", "err_code": 403002})]
    assert brief(change("manage=lab")) == [("Shelf", "manage", ["lab"]), ("/", "manage", ["lab"])]


# -------------------------------------------------------------------------------------------------------- from a table

@pytest.fixture
def table(script, shelf, items, tmp_path, capsys):
    """`table(text, *words, status=0, err="")`: the rows that the script prints for a table of that text."""
    def call(text, *words, status=DONE, err=""):
        shelf.asked.clear()
        (tmp_path / "table.csv").write_text(text)
        line = ["--format=jsonl", f"--table={tmp_path}/table.csv", KEY, shelf.url, *words]
        assert script(library_permissions.main, *line) == status, capsys.readouterr()
        out, said = capsys.readouterr()
        assert (err in said) if err else said == "", said
        return list(map(json.loads, out.splitlines()))
    return call


def test_a_table_is_what_holds_afterwards(table, shelf, items):
    """For what it names; the row of a path further down counts more."""
    other = shelf.create_library("Other")
    shelf.rights_of(items["/sub"])["manage"].append(ANN)
    shelf.rights_of(items["/sub"])["add"].append(ANN)
    text = "library,path,access,add,modify\nShelf,,lab,ann_b@example.org;lab,\nShelf,sub,,-,lab\n" \
        f"{other['id']},,public,lab,\n"
    planned = table(text, "-n", "-r")
    assert not shelf.writes() and planned == table(text, "-r")
    assert table(text, "-r") == [] and not shelf.writes()
    assert {(row["library"], row["path"], row["permission"]): row["roles"] for row in planned} == {
        ("Shelf", "Shelf", "access"): ["lab"], ("Shelf", "Shelf", "add"): ["ann_b@example.org", "lab"],
        ("Shelf", "/", "add"): ["ann_b@example.org", "lab"], ("Shelf", "/one.txt", "access"): ["lab"],
        ("Shelf", "/sub/two.txt", "access"): ["lab"], ("Shelf", "/sub", "add"): [], ("Shelf", "/sub", "modify"): ["lab"],
        ("Shelf", "/sub/two.txt", "modify"): ["lab"], ("Other", "Other", "add"): ["lab"], ("Other", "/", "add"): ["lab"]}
    assert shelf.rights_of(items["/sub"])["manage"] == [ANN]


def test_without_recursion_a_table_changes_what_it_names(table, shelf, items):
    assert brief(table("library,path,access,modify\nShelf,one.txt,lab,\nShelf,sub,,lab\n")) == [
        ("/one.txt", "access", ["lab"]), ("/sub", "modify", ["lab"])]
    assert brief(table(f"library\tpath\taccess\nShelf\t{items['/one.txt']}\tpublic\n")) == [("/one.txt", "access", [])]


@pytest.mark.parametrize("text, err", [
    ("library,access\nShelf,-\n", "line 2: what no role has access to is public: write public for that"),
    ("library,access\nShelf,public;lab\n", "write public for that, alone"),
    ("library,path,add\nShelf,nowhere,lab\n", "line 2: nothing is at 'nowhere'"),
    ("library,path,add\nShelf,/,lab\n", "leave path empty"), ("library,add\nShelf,\n", "line 2: it names no role"),
    ("library,path,access\nShelf,sub,lab\n", "line 2: access is no permission of a folder"),
    ("library,add\nShelf,lab\nShelf,-\n", "line 3: add of library Shelf is in line 2, too"),
    ("library,add\nShelv,lab\n", "did you mean Shelf?"), ("library,own\nShelf,lab\n", "there is no column 'own'"),
    ("add\nlab\n", "there is no column library"), ("library,add\n,lab\n", "it names no library")])
def test_all_of_a_table_is_checked_before_anything_is_sent(table, shelf, items, text, err):
    table(text, status=USAGE, err=err)
    assert not shelf.writes()


def test_a_role_that_is_not_there_stops_a_table(table, shelf, items):
    table("library,path,add\nShelf,,lab\nShelf,sub,labs\n", status=USAGE, err="line 3: there is no role 'labs': did you")
    assert not shelf.writes()


def test_what_a_table_cannot_change_is_told(table, shelf, items, clock):
    shelf.deaf = {items["/sub"]}
    text = "library,path,modify\nShelf,sub,lab\nShelf,one.txt,lab\n"
    rows = table(text, status=SOME_FAILED, err="modify was to be lab and is")
    assert [row["path"] for row in rows] == ["/one.txt"]


def test_a_table_says_all_by_itself(script, shelf, items, capsys):
    for words in (["--public"], ["--path=sub"], ["--restrict"]):
        assert script(library_permissions.main, "--table=x.csv", *words, KEY, shelf.url) == USAGE
    assert script(library_permissions.main, "--table=/nosuch.csv", KEY, shelf.url) == USAGE
    assert "the table says that" in capsys.readouterr().err and not shelf.writes()
