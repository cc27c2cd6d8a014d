"""The four verbs against a real Galaxy: display.py, create.py, update.py, delete.py."""
import csv
import io
import json
import random

import pytest

from .conftest import Person

# What the old display.py printed, written down here a second time, from LEGACY's words and not from our code.


def members(answer):
    lines = ["Collection Members", "-" * 18]
    for n, member in enumerate(answer, 1):
        if isinstance(member, str):
            lines.append(f"  {member}")
        elif isinstance(member, list):
            lines += [str(item) for item in member]
        else:
            member = dict(member)
            if "url" in member:
                lines.append(f"#{n}: {member.pop('url')}")
            if "name" in member:
                lines.append(f"  name: {member.pop('name')}")
            lines += [f"  {key}: {value}" for key, value in member.items()]
    return "\n".join([*lines, "", f"{len(answer)} element(s) in collection", ""])


def information(answer):
    return "\n".join(["Member Information", "-" * 18, *(f"{key}: {value}" for key, value in answer.items()), ""])


@pytest.mark.parametrize("path, form", [
    ("histories", members), ("datatypes", members), ("genomes", members), ("version", information),
    ("histories/count", lambda answer: f"{answer}\n"), ("users/{user}/api_key", lambda answer: f"{answer}\n"),
])
def test_display_prints_exactly_what_it_always_has(server, path, form):
    person = Person(server)     # somebody in whose histories nothing is under way, which would change them meanwhile
    person.new_history("one, for the list")
    path = path.format(user=person.look("users/current")["id"])
    ended = person.run("display.py", person.key, f"{person.url}/api/{path}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == form(person.look(path))


@pytest.mark.parametrize("key, path, status, words", [
    ("0" * 32, "api/histories", 1, ["401 Unauthorized: Provided API key is not valid", "check the key: key_show.py"]),
    (None, "api/histories/zzz", 1, ["400 Bad Request", "an id is what display.py shows in the field id"]),
    (None, "api/histories/ffffffffffffffff", 1, ["400 Bad Request", "an id is what"]),
    (None, "api/nosuch", 1, ["404 Not Found", "Galaxy has no such address for GET"]),
    (None, "nosuch/api/histories", 1, ["404 Not Found", "Galaxy has no such address for GET"]),
    (None, "histories", 1, ["404 Not Found", "have /api/ behind the server's own"]),
    (None, "", 1, ["not JSON but a page titled 'Galaxy'", "go on with /api/"]),
    (None, "api/datasets/{dataset}/display", 1, ["not JSON", "dataset_download.py"]),
    (None, "api/histories?limit=x", 1, ["400 Bad Request", "limit"]),
    ("", "api/histories", 2, ["the key is empty"]),
    ("@nosuch", "api/histories", 2, ["parsec.yml"]),
])
def test_display_says_in_one_line_what_to_do(person, weather, key, path, status, words):
    key = person.key if key is None else key
    ended = person.run("display.py", key, f"{person.url}/{path.format(dataset=weather.dataset)}")
    assert (ended.returncode, ended.stdout) == (status, "")
    assert ended.stderr.count("\n") == 1 and "Traceback" not in ended.stderr
    assert not key or key.startswith("@") or key not in ended.stderr
    for word in words:
        assert word in ended.stderr


def test_display_where_no_galaxy_is(person):
    ended = person.run("display.py", person.key, "http://galaxy.invalid/api/histories", GALAXY_RETRY_MAX="0")
    assert (ended.returncode, ended.stdout) == (75, "")
    assert "no such host" in ended.stderr and person.key not in ended.stderr and ended.stderr.count("\n") == 1


def test_display_all_of_a_list_that_galaxy_ends_early(person, workflow):
    history = person.new_history("many invocations")
    data = person.asked("POST", "tools/fetch", json={"history_id": history, "targets": [{
        "destination": {"type": "hdas"}, "elements": [{"src": "pasted", "paste_content": "x", "name": "x"}]}]})
    inputs = {"0": {"src": "hda", "id": data["outputs"][0]["id"]}}
    made = {person.asked("POST", f"workflows/{workflow}/invocations", json={
        "history_id": history, "inputs": inputs, "inputs_by": "step_index"})["id"] for _ in range(22)}
    for one in made:        # they only have to be there, not to run
        person.asked("DELETE", f"invocations/{one}")
    url = f"{person.url}/api/invocations?history_id={history}"
    first = person.value("display.py", "--format=value", "--fields=id", person.key, url).split()
    assert len(first) == 20 or (len(first) == 22 and person.look("version")["version_major"] == "24.1")
    told = person.value("display.py", "--all", "--format=value", "--fields=id", person.key, url).split()
    assert len(told) == 22 and set(told) == made
    assert len(person.value("display.py", "--limit=21", "--format=value", "--fields=id", person.key, url).split()) == 21


def test_display_pages_hold_every_history_once(person):
    made = {person.new_history(f"page {number}") for number in range(5)}
    url = f"{person.url}/api/histories?limit=2"
    told = person.value("display.py", "--all", "--format=value", "--fields=id", person.key, url).split()
    assert len(told) == len(set(told)) and made <= set(told)


def test_display_in_every_form(person):
    history = person.new_history("forms, \"quoted\" and 基因")
    url = f"{person.url}/api/histories?q=name-eq&qv=forms, \"quoted\" and 基因"
    wanted = {"id": history, "name": "forms, \"quoted\" and 基因"}
    ask = ["display.py", "--fields=id,name", person.key, url]
    assert json.loads(person.value(*ask, "--format=json")) == [wanted]
    assert json.loads(person.value(*ask, "--format=jsonl")) == wanted
    for style, separator in (("csv", ","), ("tsv", "\t")):
        assert list(csv.DictReader(io.StringIO(person.value(*ask, f"--format={style}")), delimiter=separator)) == [wanted]
    assert person.value(*ask).splitlines()[2].split(maxsplit=1) == list(wanted.values())


def test_keys_from_every_place(person, tmp_path):
    def email(key, url, **extra):
        return person.value("display.py", "--format=value", "--fields=email", key, url, **extra)
    here = f"{person.url}/api/users/current"
    secret = tmp_path / "key"
    secret.write_text(person.key + "\n")
    secret.chmod(0o600)
    (tmp_path / ".parsec.yml").write_text(f"__default: here\nhere: {{url: '{person.url}/', key: {person.key}}}\n")
    (tmp_path / ".parsec.yml").chmod(0o600)
    assert email(person.key, here) == person.email
    assert email("-", "/api/users/current", GALAXY_URL=person.url, GALAXY_API_KEY=person.key) == person.email
    assert email("-", here, GALAXY_API_KEY_FILE=str(secret)) == person.email
    assert email("-", here, HOME=str(tmp_path)) == person.email
    assert email("@here", "/api/users/current", HOME=str(tmp_path)) == person.email
    assert email("nobody", f"{here}?key={person.key}") == person.email


def test_create_update_and_delete_change_what_galaxy_holds(person, tmp_path):
    url = f"{person.url}/api/histories"
    ended = person.run("create.py", person.key, url, "name=made = here")
    assert ended.returncode == 0 and ended.stdout.startswith("Response\n--------\n{'")
    history = [one for one in person.look("histories") if one["name"] == "made = here"][0]["id"]

    (tmp_path / "note.txt").write_text("two\nlines")
    ended = person.run("update.py", person.key, f"{url}/{history}", "name=changed", 'tags:=["a", "b"]',
                       f"annotation@={tmp_path}/note.txt")
    assert ended.returncode == 0 and ended.stdout.startswith("Response\n--------\n{'")
    held = person.look(f"histories/{history}")
    assert (held["name"], held["tags"], held["annotation"]) == ("changed", ["a", "b"], "two\nlines")

    ended = person.run("delete.py", "--dry-run", person.key, f"{url}/{history}")
    assert ended.returncode == 0 and not person.look(f"histories/{history}")["deleted"]
    assert person.run("delete.py", person.key, f"{url}/{history}").returncode == 0
    assert person.look(f"histories/{history}")["deleted"]
    assert person.run("delete.py", person.key, f"{url}/{history}", "purge=true").returncode == 0
    assert person.look(f"histories/{history}")["purged"]


def test_create_from_a_file(person, tmp_path):
    (tmp_path / "history.json").write_text(json.dumps({"name": "from a file"}))
    made = person.value("create.py", "--format=value", "--fields=id", person.key, f"{person.url}/api/histories",
                        f"@{tmp_path}/history.json")
    assert person.look(f"histories/{made}")["name"] == "from a file"


def test_delete_with_an_empty_answer(person):
    made = person.asked("POST", "workflows", json={"workflow": {
        "a_galaxy_workflow": "true", "format-version": "0.1", "annotation": "", "name": "empty", "steps": {}}})["id"]
    ended = person.run("delete.py", person.key, f"{person.url}/api/workflows/{made}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Response\n--------\n", "")
    assert person.look(f"workflows/{made}")["deleted"]


@pytest.mark.parametrize("verb", ["create.py", "update.py", "delete.py"])
def test_what_galaxy_refuses(person, server, verb):
    ended = person.run(verb, person.key, f"{person.url}/api/quotas", "name=x")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1 and person.key not in ended.stderr


@pytest.mark.needs("described routes")
def test_a_check_goes_by_what_galaxy_says_of_itself(person, state):
    url, name = f"{person.url}/api/histories", f"checked {random.random()}"
    ended = person.run("create.py", "--check", person.key, url, f"nam={name}", **state)
    assert (ended.returncode, ended.stdout) == (2, "") and "did you mean name?" in ended.stderr
    made = person.value("create.py", "--check", "--format=value", "--fields=id", person.key, url, f"name={name}", **state)
    assert [one["id"] for one in person.look("histories") if one["name"] == name] == [made]
    ended = person.run("update.py", "--check", person.key, f"{url}/{made}/share_with_user", "user_ids:=[]", **state)
    assert ended.returncode == 2 and f"did you mean /api/histories/{made}/share_with_users?" in ended.stderr
    ended = person.run("delete.py", person.key, f"{url}/{made}", "purge=true", GALAXY_CHECK="1", **state)
    assert ended.returncode == 2 and not person.look(f"histories/{made}")["deleted"]
    assert person.run("delete.py", "--check", person.key, f"{url}/{made}", "purge:=true", **state).returncode == 0
    assert person.look(f"histories/{made}")["purged"]
    for settings, is_kept in ({}, False), (state, True):
        ended = person.run("display.py", person.key, f"{person.url}/api/historys", **settings)
        assert ended.returncode == 1 and ("did you mean /api/histories?" in ended.stderr) == is_kept


def done(ended):
    """What a script has printed that did its job."""
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_a_patch_renames_a_library(admin):
    """A PUT of it has no address in Galaxy."""
    libraries = f"{admin.url}/api/libraries"
    made = done(admin.run("create.py", "--format=value", "--fields=id", admin.key, libraries, "name=before")).strip()
    address = f"{libraries}/{made}"
    done(admin.run("update.py", "--patch", admin.key, address, "name=after", "synopsis=short"))
    about = admin.look(f"libraries/{made}")
    assert (about["name"], about["synopsis"]) == ("after", "short")
    done(admin.run("delete.py", admin.key, address))


def test_a_form_with_a_file_imports_a_history(person, tmp_path):
    """The archive is one that Galaxy has made."""
    history, archive = person.new_history("to be sent in a form"), tmp_path / "a.tgz"
    done(person.run("history_export.py", person.key, person.url, history, archive))
    made = json.loads(done(person.run("create.py", f"--file=archive_file={archive}", "--format=json", person.key,
                                      f"{person.url}/api/histories")))
    done(person.run("job_wait.py", person.key, person.url, made["id"]))
    assert "imported from archive: to be sent in a form" in [one["name"] for one in person.look("histories")]
