"""Where Galaxy answers with status 200 and did nothing, or less than was asked: what the verbs say, and what it holds."""
import json

from .conftest import Person


def told(ended, code, words):
    """What a verb has printed that ended with this code and these words on standard error."""
    assert ended.returncode == code and words in ended.stderr and ended.stderr.count("\n") == 1, ended
    assert ended.stdout.startswith("Response\n--------\n")
    return ended.stdout


def test_what_galaxy_did_not_do_is_no_success(person, server, weather, admin, tmp_path):
    other, api = Person(server), f"{person.url}/api"
    (tmp_path / "one.txt").write_text("1\n")
    history, elsewhere = person.new_history("answers"), person.new_history("elsewhere")
    mine = person.uploaded(history, tmp_path / "one.txt")
    job = person.look(f"datasets/{mine}")["creating_job"]

    def run(verb, path, *words):
        return person.run(verb, person.key, f"{api}/{path}", *words)

    items = json.dumps([{"id": one, "history_content_type": "dataset"} for one in (mine, weather.dataset)])

    assert told(run("delete.py", f"jobs/{job}"), 1, "the job had ended") == "Response\n--------\nFalse\n"
    told(run("delete.py", f"histories/{history}/tags/nosuch"), 1, "there is no tag nosuch")
    told(run("update.py", f"histories/{elsewhere}/contents", f"items:={items}", "deleted:=true"), 1, "0 of 2 done")
    told(run("update.py", f"histories/{history}/contents", f"items:={items}", "deleted:=false"), 3, "1 of 2 done")
    told(run("update.py", f"histories/{history}/contents/bulk", f"items:={items}", "operation=hide"), 3, "1 of 2 done")
    assert not person.look(f"datasets/{mine}")["visible"] and person.look(f"datasets/{weather.dataset}")["visible"]
    told(run("update.py", f"histories/{elsewhere}/contents/{mine}", "name=x"), 1, "no such dataset")
    theirs = json.dumps([{"id": mine, "src": "hda"}])
    told(other.run("delete.py", other.key, f"{api}/datasets", f"datasets:={theirs}"), 1, "nothing was done: HistoryDataset")
    assert not person.look(f"datasets/{mine}")["deleted"]

    workflow = person.asked("POST", "workflows", json={"workflow": {
        "a_galaxy_workflow": "true", "format-version": "0.1", "annotation": "", "name": "x", "steps": {}}})["id"]
    told(run("update.py", f"workflows/{workflow}", "deleted:=true"), 1, "not done: deleted is false as before")
    assert not person.look(f"workflows/{workflow}")["deleted"]
    told(run("delete.py", f"workflows/{workflow}", "purge:=true"), 1, "not purged: Galaxy has no purge of it")

    share = f"histories/{elsewhere}/share_with_users"
    told(run("update.py", share, f'user_ids:=["{other.email}"]'), 1, "not shared: You cannot share an empty")
    share = f"histories/{history}/share_with_users"
    told(run("update.py", share, f'user_ids:=["{other.email}", "nobody@x"]'), 1, "nobody@x is not a valid")
    person.asked("PUT", f"datasets/{mine}/permissions", json={"action": "make_private"})
    told(run("update.py", share, f'user_ids:=["{other.email}"]'), 1, "1 dataset can't be seen by them (one")
    assert person.look(f"histories/{history}/sharing")["users_shared_with"] == []
    ended = run("update.py", share, f'user_ids:=["{other.email}"]', "share_option=make_public")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [one["email"] for one in person.look(f"histories/{history}/sharing")["users_shared_with"]] == [other.email]

    ended = other.run("delete.py", other.key, f"{api}/users/{other.look('users/current')['id']}", "purge:=true")
    told(ended, 1, "it is deleted, but not purged")


def test_permissions_that_do_something_else_are_told(admin, person):
    """A library's roles are set by names that Galaxy ignores in silence where an action is missing."""
    library, api = admin.new_library(), f"{admin.url}/api"
    [role] = [one["id"] for one in admin.look("roles") if one["name"] == person.email]
    address, words = f"{api}/libraries/{library.id}/permissions", f'access_ids[]:=["{role}"]'
    ended = admin.run("create.py", admin.key, address, "action=set_permissions", words)
    assert (ended.returncode, ended.stderr) == (0, "")
    current = f"libraries/{library.id}/permissions?scope=current"
    assert [one[1] for one in admin.look(current)["access_library_role_list"]] == [role]
    ended = admin.run("create.py", admin.key, address, words)
    told(ended, 1, "access_ids[] did nothing, and everybody may see the library now")
    assert admin.look(current)["access_library_role_list"] == []
    admin.asked("DELETE", f"libraries/{library.id}")
