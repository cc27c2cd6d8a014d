"""Libraries on a real Galaxy: downloaded, renamed, described, moved, their permissions from a table, filled from a file."""
import json
import secrets
import signal
from types import SimpleNamespace

import pytest

from common import backoff

from .conftest import Person
from .test_library_permissions_live import new_role, rights, status
from .test_library_sync_live import held


def rows(asks, *line, status=0, err=""):
    """What a script prints, as JSON; `err` is in what it says on standard error."""
    ended = asks.run(*line)
    assert ended.returncode == status and (err in ended.stderr if err else ended.stderr == ""), ended
    return list(map(json.loads, ended.stdout.splitlines()))


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != "manifest.tsv"}


@pytest.fixture
def place(admin, server):
    """A library of a name of its own, a person, and a role that the person and a friend have."""
    library, person, friend = admin.new_library(), Person(server), Person(server)
    name = f"moves {secrets.token_hex(4)}"
    admin.asked("PATCH", f"libraries/{library.id}", json={"name": name})
    return SimpleNamespace(id=library.id, root_folder_id=library.root_folder_id, name=name, person=person, friend=friend,
                           role=new_role(admin, person, friend))


def test_what_was_synced_comes_back_the_same(admin, place, tmp_path):
    """Also after a kill in the middle; who may not see the library is told."""
    for path, content in {"runs/a.fastq": b"@r\nA\n+\nI\n", "runs/12/README": b"no ending\n", "table.tsv": b"a\t1\n",
                          "runs/large": bytes(range(256)) * 2**15}.items():
        (tmp_path / "there" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "there" / path).write_bytes(content)
    assert admin.run("library_sync.py", "-q", admin.key, admin.url, place.id, tmp_path / "there").returncode == 0
    line = ["library_download.py", "--format=jsonl", f"--to={tmp_path}/here", "--limit-rate=3M", admin.key, admin.url,
            place.name]
    planned = rows(admin, *line, "-n")
    assert sorted(row["action"] for row in planned) == ["download"] * 4 and not (tmp_path / "here").exists()
    with admin.begin(*line) as process:
        for _ in backoff(60, 0.05, 0.1):
            if any(path.stat().st_size > 2**20 for path in (tmp_path / "here").rglob("*.part")):
                break
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and "runs/large" not in tree(tmp_path / "here")
    rows(admin, *line)
    assert tree(tmp_path / "here") == tree(tmp_path / "there")
    assert rows(admin, *line) == rows(admin, *line, "-n") == rows(admin, *line, "--verify") == []
    rows(admin, "library_permissions.py", "--format=jsonl", "--restrict", admin.key, admin.url, place.id,
         f"access={place.role.name}")
    outsider = Person(admin)
    rows(outsider, "library_download.py", f"--to={tmp_path}/x", outsider.key, admin.url, place.name, status=1,
         err="none of your libraries")
    some = rows(place.person, "library_download.py", "--format=jsonl", "--path=runs/12", f"--to={tmp_path}/x",
                place.person.key, admin.url, place.id)
    assert [row["path"] for row in some] == [f"{tmp_path}/x/README"]


def test_names_descriptions_and_moves(admin, place, tmp_path):
    """A moved dataset keeps its bytes, tags, description and permissions, also where the new folder has other managers."""
    def update(*words, asks=admin, **expected):
        return [(row["action"], row["before"], row["after"]) for row in rows(
            asks, "library_update.py", "--format=jsonl", asks.key, asks.url, place.id, *words, **expected)]

    person, friend, role = place.person, place.friend, place.role
    (tmp_path / "a.tsv").write_text("a\t1\n")
    dataset = person.uploaded(person.new_history("for a library"), tmp_path / "a.tsv", file_type="tabular")
    inbox = admin.asked("POST", f"folders/{place.root_folder_id}", json={"name": "inbox", "description": "what came"})["id"]
    admin.run("library_permissions.py", "--path=inbox", admin.key, admin.url, place.id, f"add+={person.email}",
              f"modify+={person.email}")
    own = person.asked("POST", f"folders/{inbox}/contents", json={"from_hda_id": dataset})["library_dataset_id"]
    person.asked("PATCH", f"libraries/datasets/{own}", json={"tags": ["name:x"], "message": "first"})    # tags: its owner's
    admin.run("library_permissions.py", "--path=inbox/a.tsv", "--restrict", admin.key, admin.url, place.id,
              f"access={role.name}", f"modify={role.name}")
    before = {one: rights(admin, f"{kind}/{one}") for kind, one in (("libraries/datasets", own), ("folders", inbox))}
    assert before[own] == {"access": [role.name], "modify": [role.name], "manage": [person.email]}
    archive = admin.asked("POST", f"folders/{place.root_folder_id}", json={"name": "archive", "description": ""})["id"]
    admin.run("library_permissions.py", "--path=archive", admin.key, admin.url, place.id, f"manage={friend.email}")

    outsider = Person(admin)
    update("--path=inbox", "--name=x", asks=outsider, status=1, err="this key's user may not change it")
    update("--path=inbox", "--move-to=archive", asks=outsider, status=1, err="moving a folder needs an administrator's key")
    for words, changes in (
            (["--synopsis=s", f"--name={place.name}!"], [("rename", place.name, f"{place.name}!"), ("describe", "", "s")]),
            (["--path=inbox", "--description=all that came"], [("describe", "what came", "all that came")]),
            (["--path=inbox/a.tsv", "--name=b.tsv"], [("rename", "a.tsv", "b.tsv")]),
            (["--path=inbox/b.tsv", "--move-to=archive/2026"], [("move", "/inbox/b.tsv", "/archive/2026/b.tsv")]),
            (["--path=archive/2026", "--move-to=/inbox"], [("move", "/archive/2026/b.tsv", "/inbox/2026/b.tsv"),
                                                           ("move", "/archive/2026", "/inbox/2026")]),
            (["--path=inbox", "--move-to=archive"], [("move", "/inbox/2026/b.tsv", "/archive/inbox/2026/b.tsv"),
                                                     ("move", "/inbox/2026", "/archive/inbox/2026"),
                                                     ("move", "/inbox", "/archive/inbox")])):
        assert update("-n", *words) and sorted(update(*words)) == sorted(changes)
        assert update(*words) == []
    there = {one["name"]: one["id"] for one in admin.look(f"libraries/{place.id}/contents")}
    assert sorted(there) == ["/", "/archive", "/archive/inbox", "/archive/inbox/2026", "/archive/inbox/2026/b.tsv"]
    new = there["/archive/inbox/2026/b.tsv"]
    assert rights(admin, f"libraries/datasets/{new}") == before[own]
    assert rights(admin, f"folders/{there['/archive/inbox']}") == before[inbox]
    assert rights(admin, f"folders/{archive}")["manage"] == [friend.email]
    about = admin.look(f"libraries/datasets/{new}")
    assert {name: about[name] for name in ("tags", "message", "file_ext", "state", "uploaded_by")} == {
        "tags": ["name:x"], "message": "first", "file_ext": "tabular", "state": "ok", "uploaded_by": "admin@example.org"}
    assert admin.look(f"folders/{there['/archive/inbox']}")["description"] == "all that came"
    assert [status(one, "GET", f"datasets/{dataset}") for one in (friend, outsider)] == [200, 403]
    assert admin.look("histories", q="name-eq", qv=f"Moves in library {place.id}") == []
    rows(friend, "library_download.py", f"--to={tmp_path}/here", "--format=jsonl", friend.key, friend.url, place.id)
    assert tree(tmp_path / "here") == {"archive/inbox/2026/b.tsv": b"a\t1\n"}


def test_permissions_from_a_table(admin, place, tmp_path):
    """What it names is so afterwards, the rest stays, and a second run does nothing."""
    for name in ("incoming", "old"):
        admin.asked("POST", f"folders/{place.root_folder_id}", json={"name": name, "description": ""})
    admin.run("library_permissions.py", "--path=old", admin.key, admin.url, place.id, f"manage={place.friend.email}")
    table = tmp_path / "libraries.csv"
    line = ["library_permissions.py", "-r", "--format=jsonl", f"--table={table}"]
    table.write_text(f"library,path,access,add,modify,manage\n{place.name},,{place.role.name},{place.person.email},-,\n"
                     f"{place.id},incoming,,{place.person.email};{place.role.name},,\n{place.name},nowhere,,-,,\n")
    rows(admin, *line, admin.key, admin.url, status=2, err="line 4: nothing is at 'nowhere', so nothing was changed")
    table.write_text(table.read_text().rsplit("\n", 2)[0] + "\n")
    changes = rows(admin, *line, "-n", admin.key, admin.url)
    assert rights(admin, f"libraries/{place.id}")["access"] == []
    assert changes == rows(admin, *line, admin.key, admin.url)
    assert rows(admin, *line, admin.key, admin.url) == []
    folders = {one["name"]: one["id"] for one in admin.look(f"libraries/{place.id}/contents")}
    assert rights(admin, f"libraries/{place.id}") == {
        "access": [place.role.name], "add": [place.person.email], "modify": [], "manage": []}
    assert rights(admin, f"folders/{folders['/incoming']}")["add"] == sorted([place.person.email, place.role.name])
    assert rights(admin, f"folders/{folders['/old']}") == {
        "add": [place.person.email], "modify": [], "manage": [place.friend.email]}
    rows(place.friend, *line, place.friend.key, admin.url, status=3, err="403 Forbidden")


def test_a_file_of_addresses_fills_the_library_that_is_there(admin, place, tmp_path):
    items = "items: [{name: in, items: [{src: pasted, paste_content: x, name: x.txt, ext: txt}]}%s]\n"
    file = tmp_path / "more.yml"
    file.write_text(f"destination: {{type: library, name: {place.name}}}\n{items % ''}")
    line = ["fetch_to_library.py", "--into", "--format=jsonl", "-u", admin.url, "-a", admin.key, file]
    assert [row["path"] for row in rows(admin, *line, "-n")] == ["/in/x.txt"] and held(admin, place) == {}
    assert [row["path"] for row in rows(admin, *line)] == ["/in/x.txt"]
    assert rows(admin, *line) == []
    bad = ", {src: url, url: 'http://127.0.0.1:9/none', name: none.txt, ext: txt}"
    file.write_text(f"destination: {{type: library, name: {place.name}}}\n{items % bad}")
    rows(admin, *line, status=3, err="/none.txt: ")
    assert [(path, len(same)) for path, same in held(admin, place).items()] == [("in/x.txt", 1)]
    rows(place.person, *line[:-2], place.person.key, file, status=1, err="may not add to folder")
    ended = admin.run("fetch_to_library.py", "-u", admin.url, "-a", admin.key, file)
    assert (ended.returncode, ended.stderr.count("\n")) == (0, 1) and f"({place.id}): this makes another one" in ended.stderr
