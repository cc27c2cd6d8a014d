"""library_permissions.py on a real Galaxy: what its users may do afterwards, and the traps of Galaxy's own answers."""
import json
import re
import secrets
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from .conftest import Person

PAGE = (Path(__file__).parents[2] / "docs" / "libraries.md").read_text()
LINES = re.findall(r"^\| [^|`]+ \| (`library_permissions\.py [^|]+`) \|$", PAGE, re.MULTILINE)


def status(person, method, path, **options):
    return requests.request(method, f"{person.url}/api/{path}", headers={"x-api-key": person.key}, timeout=60,
                            **options).status_code


@pytest.fixture(scope="module")
def place(admin, server, tmp_path_factory):
    """A library with the folder `incoming`, a person's dataset in it twice (`inside`: the datasets' ids), a role that the
    person and a friend have, and a key-holder without any right."""
    library, person, friend = admin.new_library(), Person(server), Person(server)
    incoming = admin.asked("POST", f"folders/{library.root_folder_id}", json={"name": "incoming", "description": "x"})["id"]
    file = tmp_path_factory.mktemp("files") / "a.txt"
    file.write_text("abc\n")
    dataset = person.uploaded(person.new_history("for a library"), file)
    inside = [admin.asked("POST", f"folders/{folder}/contents", json={"from_hda_id": dataset})["library_dataset_id"]
              for folder in (library.root_folder_id, incoming)]
    return SimpleNamespace(id=library.id, root=library.root_folder_id, incoming=incoming, person=person, friend=friend,
                           dataset=dataset, inside=inside, role=new_role(admin, person, friend))


def new_role(admin, *people):
    name = f"sequencing {secrets.token_hex(4)}"
    made = admin.asked("POST", "roles", json={"name": name, "description": "x", "user_ids": [
        one.look("users/current")["id"] for one in people]})
    return SimpleNamespace(id=made["id"], name=name)


def rights(admin, path):
    """`{permission: names}` as Galaxy has them."""
    return {field.partition("_")[0]: sorted(name for name, _ in roles)
            for field, roles in admin.look(f"{path}/permissions").items()}


def run(asks, place, *words, status=0, err="", script=("library_permissions.py", "--format=jsonl")):
    ended = asks.run(*script, asks.key, asks.url, place.id, *words)
    assert ended.returncode == status and (err in ended.stderr if err else ended.stderr == ""), ended
    return list(map(json.loads, ended.stdout.splitlines()))


def test_the_lines_of_the_page_do_what_it_says(admin, place):
    """Each that changes something is run twice, and then says nothing; what people may do is tried by them."""
    person, friend, outsider = place.person, place.friend, Person(admin)
    words = {"LIBRARY_ID": place.id, "ann@example.org": person.email, "=sequencing": f"={place.role.name}"}
    lines = [line for cell in LINES for line in re.findall("`([^`]+)`", cell)]
    done = []
    for line in lines:
        before = [rights(admin, f"folders/{one}") for one in (place.root, place.incoming)]
        typed = [words.get(word, re.sub("(ann@example.org|=sequencing)", lambda match: words[match[0]], word))
                 for word in line.split()]
        typed[typed.index("-"):typed.index("-") + 2] = [admin.key, admin.url]
        first = admin.run(*typed)
        assert (first.returncode, first.stderr) == (0, "") and first.stdout, (line, first)
        if not line.endswith("LIBRARY_ID") and "-n" not in typed:
            again = admin.run(*typed)
            assert (again.returncode, again.stdout, again.stderr) == (0, "", ""), (line, again)
        if "--path=incoming" in line:
            assert rights(admin, f"folders/{place.incoming}")["add"] == [person.email]
            assert rights(admin, f"folders/{place.root}") == before[0]
            copied = {"json": {"from_hda_id": place.dataset}}
            assert status(friend, "POST", f"folders/{place.incoming}/contents", **copied) == 403
            made = person.asked("POST", f"folders/{place.incoming}/contents", **copied)
            admin.asked("DELETE", f"libraries/datasets/{made['library_dataset_id']}")
        if "manage+=" in line:
            assert len(first.stdout.splitlines()) == 2 + 3      # each dataset is managed by its owner already
            assert status(person, "GET", f"libraries/{place.id}/permissions") == 200
        if "access" in line and "-n" not in typed:
            assert place.id not in [one["id"] for one in outsider.look("libraries")]
            assert place.id in [one["id"] for one in friend.look("libraries")]
            assert rights(admin, f"libraries/datasets/{place.inside[1]}")["access"] == [place.role.name] * ("-r" in typed)
        if "--public" in line:
            assert [rights(admin, f"libraries/datasets/{one}")["access"] for one in place.inside] == [[], []]
            assert place.id in [one["id"] for one in outsider.look("libraries")]
        done.append(line)
    assert len(done) == 8 and rights(admin, f"libraries/{place.id}") == {
        "access": [], "add": [], "modify": [], "manage": [person.email]}


def test_what_galaxy_would_do_in_silence_is_told_before(admin, place):
    """A role that is deleted, one that a manager may not name, a dataset that nobody could read or manage."""
    person, friend = place.person, place.friend
    role, path = new_role(admin, person), f"libraries/{place.id}"
    run(admin, place, "--restrict", f"access={role.name}", f"manage={person.email}")
    admin.asked("DELETE", f"roles/{role.id}")
    before = rights(admin, path)
    run(admin, place, f"add+={friend.email}", status=1, err=f"Galaxy would not keep '{role.name}' ({role.id})")
    assert rights(admin, path) == before and before["access"] == [role.name]
    run(admin, place, f"access-={role.id}", f"access+={place.role.name}", f"add+={friend.email}")
    assert rights(admin, path)["access"] == [place.role.name] and rights(admin, path)["add"] == [friend.email]

    run(person, place, "manage+=admin@example.org", status=1, err="there is no role 'admin@example.org' that this key")
    run(person, place, f"modify+={place.role.name}", status=1, err=f"Galaxy would not keep '{friend.email}'")
    assert rights(admin, path)["modify"] == []
    assert [row["path"] for row in run(person, place, "--public")][:1] == [person.look(path)["name"]]
    run(friend, place, status=1, err="403 Forbidden")

    run(admin, place, "--path=a.txt", "--restrict", f"access={person.email}", f"access={friend.email}", status=1,
        err="only who has all of the roles")
    run(admin, place, "-r", "manage=", status=1, err="a dataset that no role manages")
    assert rights(admin, f"libraries/datasets/{place.inside[0]}")["manage"] == [person.email]
    [row] = run(admin, place, "-r", "--path=/", "--restrict", f"access={friend.email}")     # of two items with one dataset
    assert row["path"] == "/a.txt" and status(person, "GET", f"datasets/{place.dataset}") == 403
    run(admin, place, "-r", "--public", "add=")
    assert status(person, "GET", f"datasets/{place.dataset}") == 200
    run(person, place, "manage=", f"manage={place.role.id}")        # by way of the role she keeps it
    assert rights(admin, path)["manage"] == [place.role.name]
    run(person, place, f"manage-={place.role.name}", status=1, err="not this key's user either: leave it a role")
    assert rights(admin, path)["manage"] == [place.role.name] and status(person, "GET", f"{path}/permissions") == 200


def test_what_a_user_sees_is_listed(admin, place):
    """To an administrator everything, to another one what is not kept from that user."""
    run(admin, place, "--restrict", f"access={place.role.name}")
    run(admin, place, "--path=incoming/a.txt", "--restrict", f"access={place.person.email}")
    listed = ["library_list.py", "-r", "--format=value", "--fields=path,kind,state,file_size,public"]
    expected = ["a.txt\tdataset\tok\t4\tfalse", "incoming\tfolder\t\t\t", "incoming/a.txt\tdataset\tok\t4\tfalse"]
    for person in (admin, place.person):
        assert person.value(*listed, person.key, person.url, place.id).splitlines() == expected
    assert place.friend.value(*listed, place.friend.key, admin.url, place.id) == expected[1].rstrip()
    ref, = admin.value("library_list.py", "--format=value", "--fields=ref", "--path=incoming", admin.key, admin.url,
                       place.id).splitlines()
    assert place.person.run("dataset_show.py", place.person.key, admin.url, ref).returncode == 0
    names = [Person.value(one, "library_list.py", "--format=value", "--fields=id", one.key, one.url).splitlines()
             for one in (place.friend, Person(admin))]
    assert [place.id in ids for ids in names] == [True, False]
    run(admin, place, "-r", "--public")


def test_traps_of_galaxys_own_answers(admin, place):
    """Those for which the script sends what it sends."""
    path = f"libraries/{place.id}/permissions"
    for body in ({"access_ids[]": [place.role.id]}, {"action": "set_permissions", "acces_ids[]": [place.role.id]}):
        admin.asked("POST", path, json={"action": "set_permissions", "access_ids[]": [place.role.id]})
        admin.asked("POST", path, json=body)
        assert rights(admin, f"libraries/{place.id}")["access"] == []
    run(admin, place, "--restrict", f"access={place.role.name}")
    assert [one["public"] for one in admin.look("libraries") if one["id"] == place.id] == [False]
    run(admin, place, "--public")
