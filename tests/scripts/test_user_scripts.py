"""user_list.py, user_create.py and user_delete.py on a fake Galaxy of accounts: what is shown, made, refused and told."""
import importlib
import json
import re
import shlex
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import user_create
import user_delete
import user_list
from fakes import KEY
from fakes.accounts import LONG_AGO, FakeAccounts

import common
from common import DONE, FAILED, INTERRUPTED, SOME_FAILED, TRY_LATER, USAGE
from galaxy_api_scripts.accounts.keys_file import KeysFile

NOW = datetime.now(timezone.utc)
COURSE = """E-mail,name,groups,quota
ann@example.org,ann,lab;core,50 GB
bob@example.org,,lab,
Cy.O'Neil@example.org,,,large
"""


@pytest.fixture
def galaxy():
    """Groups lab and core, and the quota large."""
    with FakeAccounts() as server:
        server.lab, server.core = server.add_group("lab"), server.add_group("core")
        server.large = server.add_quota("large", "100 GB")
        yield server


@pytest.fixture
def run(script, galaxy, capsys):
    """`run(main, *words, status=0, err="")`: the rows that a script prints; `err` is in what it says on standard error."""
    def call(main, *words, status=DONE, err="", key=KEY):
        galaxy.asked.clear()
        options = [word for word in words if str(word).startswith("-") and word != "-"]
        rest = [word for word in words if word not in options]
        ended = script(main, "--format=jsonl", *options, key, galaxy.url, *rest)
        out, said = capsys.readouterr()
        assert ended == status and (err in said if err else said == ""), (ended, out, said)
        assert "Traceback" not in said and KEY not in said + out
        return list(map(json.loads, out.splitlines()))
    return call


@pytest.fixture
def table(tmp_path):
    def write(text=COURSE, name="course.csv"):
        (tmp_path / name).write_text(text)
        return tmp_path / name
    return write


def held(galaxy):
    """What the fake has: {address: (name, is deleted, groups, quotas)}."""
    return {one["email"]: (one["username"], one["deleted"],
                           sorted(group["name"] for group in galaxy.groups.values() if one["id"] in group["users"]),
                           sorted(quota["name"] for quota in galaxy.quotas.values() if one["id"] in quota["users"]))
            for one in galaxy.users.values()}


def days_ago(days):
    return (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000000")


PAGE = (Path(__file__).parents[2] / "docs" / "administration.md").read_text("utf-8")
LINES = re.findall(r"^\| [^|`]+ \| `([^|]+)` \|$", PAGE.split("\n## People\n")[1].split("\n## ")[0], re.MULTILINE)
FILES = {"course.csv": COURSE, "groups.csv": "group\nlab\n", "quotas.csv": "name\nlarge\n", "left.txt": "\n"}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_administrators_page_runs(script, galaxy, table, tmp_path, monkeypatch, capsys, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GALAXY_URL", galaxy.url)
    monkeypatch.setenv("GALAXY_API_KEY", KEY)
    for name, text in FILES.items():
        table(text, name)
    for command in line.split(" && "):
        words = shlex.split(command.partition(" > ")[0])
        main = importlib.import_module(words[0].removesuffix(".py")).main
        assert script(main, *words[1:]) == DONE, capsys.readouterr()


def test_the_administrators_page_has_a_line_for_each_script():
    assert set(re.findall(r"\w+\.py", " ".join(LINES))) == {
        "user_list.py", "user_create.py", "user_delete.py", "group_set.py", "quota_set.py"}


# ------------------------------------------------------------------------------------------------------------ user_list

def test_accounts_are_listed_by_one_request_for_all_of_them(run, galaxy):
    galaxy.add_user("zoe@example.org", active=False)
    galaxy.add_user("gone@example.org", deleted=True)
    rows = run(user_list.main)
    assert [(row["email"], row["username"], row["active"], row["deleted"]) for row in rows] == [
        ("admin@example.org", "admin", True, False), ("zoe@example.org", "zoe", False, False)]
    assert galaxy.kinds == ["GET current", "GET users", "GET users"]       # the second page is empty
    assert [row["email"] for row in run(user_list.main, "--search=ZOE")] == ["zoe@example.org"]
    assert [row["email"] for row in run(user_list.main, "--limit=1")] == ["admin@example.org"]


@pytest.mark.parametrize("release", ["24.1", "26.1"])
def test_of_very_many_each_comes_once(run, galaxy, release):
    galaxy.release = release
    galaxy.add_people(1203)
    rows = run(user_list.main)
    assert len({row["email"] for row in rows}) == len(rows) == 1204
    assert galaxy.count("GET users") == (1 if release == "24.1" else 4)


def test_usage_and_quota_are_asked_for_several_at_once(run, galaxy):
    galaxy.add_people(20, disk_usage=3 * 10**9, quota_bytes=4 * 10**9)
    galaxy.delay = 0.02
    rows = run(user_list.main, "--usage")
    assert rows[1] == {**rows[1], "email": "person0@example.org", "purged": False, "disk_usage": 3 * 10**9,
                       "quota": "4000000000 bytes", "quota_percent": 75}
    assert galaxy.count("GET user") == 21 and 4 <= galaxy.most_in_flight <= 8
    [row] = run(user_list.main, "--limit=1", "--fields=email,quota_bytes")     # a field that needs it is enough
    assert row == {"email": "admin@example.org", "quota_bytes": None}
    assert galaxy.count("GET user") < 20


def test_deleted_and_purged_accounts_are_told_apart(run, galaxy):
    galaxy.add_user("gone@example.org", deleted=True)
    galaxy.add_user("redacted", deleted=True, purged=True)
    assert [(row["email"], row["purged"]) for row in run(user_list.main, "--deleted")] == [
        ("gone@example.org", False), ("redacted", True)]


def test_who_is_inactive_has_neither_run_a_job_nor_changed_a_history_nor_set_a_password(run, galaxy):
    galaxy.users[galaxy.me]["last_password_change"] = days_ago(1)
    runs, changes, new, idle, deletes = (galaxy.add_user(f"{name}@example.org") for name in
                                         ("runs", "changes", "new", "idle", "deletes"))
    galaxy.add_job(runs, days_ago(400))
    galaxy.add_job(runs, days_ago(3))
    galaxy.add_history(changes, update_time=days_ago(2))
    galaxy.users[new]["last_password_change"] = days_ago(5)
    galaxy.add_history(idle, update_time=days_ago(200))
    galaxy.add_history(idle, update_time=days_ago(300))
    galaxy.add_job(idle, days_ago(250))
    galaxy.add_history(deletes, update_time=days_ago(1), deleted=True)
    rows = run(user_list.main, "--inactive-for=100")
    assert [(row["email"], row["last_activity"]) for row in rows] == [
        ("deletes@example.org", LONG_AGO), ("idle@example.org", days_ago(200))]
    assert sorted(re.search("user_id=([0-9a-f]+)", line)[1] for line in galaxy.lines if "/jobs" in line) == sorted(
        [runs, idle, deletes])     # the others were seen to be active before
    rows = run(user_list.main, "--activity")
    assert len(rows) == 6 and {row["email"]: row["last_activity"] for row in rows}["runs@example.org"] == days_ago(3)


@pytest.mark.parametrize("days", [500_000, 999_999])      # of which nobody can be said to be inactive
def test_more_than_a_century_without_activity_is_a_mistake(run, galaxy, days):
    run(user_list.main, f"--inactive-for={days}", status=USAGE, err=f"--inactive-for={days}: expected 36500 days at most")
    assert run(user_list.main, "--inactive-for=36500") == []


def test_histories_are_read_page_by_page_until_each_user_was_seen(run, galaxy):
    ann = galaxy.add_user("ann@example.org")
    for number in range(1200):
        galaxy.add_history(galaxy.me, update_time=days_ago(1200 - number))
    galaxy.add_history(ann, update_time=days_ago(1100.5))
    rows = run(user_list.main, "--fields=email,last_activity")
    assert [row["last_activity"] for row in rows] == [days_ago(1), days_ago(1100.5)]
    assert galaxy.count("GET histories") == 3


def test_groups_are_listed_on_request(run, galaxy):
    ann = galaxy.add_user("ann@example.org")
    for group in (galaxy.lab, galaxy.core):
        galaxy.groups[group]["users"].append(ann)
    assert run(user_list.main, "--fields=email,groups")[1] == {"email": "ann@example.org", "groups": ["lab", "core"]}
    assert run(user_list.main, "--fields=nonsense", status=USAGE, err="there is no nonsense") == []


def test_an_account_that_is_deleted_meanwhile_is_told_as_such_and_one_that_is_nowhere_is_an_error(run, galaxy):
    ann = galaxy.add_user("ann@example.org", disk_usage=7)
    gone = (400, {"err_msg": "User is deleted", "err_code": 400008})

    def delete_meanwhile(handler):
        galaxy.users[ann]["deleted"] = True
        handler.give(gone)

    galaxy.answers[f"GET /api/users/{ann}"] = delete_meanwhile
    assert [(row["email"], row["deleted"], row["disk_usage"]) for row in run(user_list.main, "--usage")] == [
        ("admin@example.org", False, 0), ("ann@example.org", True, 7)]
    galaxy.users[ann]["deleted"] = False
    galaxy.answers[f"GET /api/users/{ann}"] = gone
    run(user_list.main, "--usage", "--search=ann", status=FAILED, err="User is deleted")


@pytest.mark.parametrize("main, words", [(user_list.main, []), (user_delete.main, ["ann@example.org"]),
                                         (user_create.main, ["course.csv"])])
def test_a_key_that_is_no_administrators_is_told_so_before_anything_is_changed(run, galaxy, table, main, words):
    key = galaxy.add_key(galaxy.add_user("me@example.org"), "f" * 32)
    words = [table() if word == "course.csv" else word for word in words]
    run(main, *words, key=key, status=FAILED, err="needs an administrator's key, and me@example.org is not one")
    assert galaxy.kinds == ["GET current"]


# ----------------------------------------------------------------------------------------------------------- user_create

def test_accounts_of_a_table_are_made_once_in_groups_and_under_quotas(run, galaxy, table):
    planned = run(user_create.main, "-n", table())
    assert galaxy.writes() == [] and held(galaxy).keys() == {"admin@example.org"}
    rows = run(user_create.main, table())
    assert [{**row, "id": None} for row in rows] == planned
    assert [(row["email"], row["name"], row["action"], row["added"]) for row in rows] == [
        (None, "50 GB", "quota created", None),
        ("ann@example.org", "ann", "created", ["group lab", "group core", "quota 50 GB"]),
        ("bob@example.org", "bob", "created", ["group lab"]),
        ("Cy.O'Neil@example.org", "cy.o-neil", "created", ["quota large"])]
    assert held(galaxy) == {
        "admin@example.org": ("admin", False, [], []), "ann@example.org": ("ann", False, ["core", "lab"], ["50 GB"]),
        "bob@example.org": ("bob", False, ["lab"], []), "Cy.O'Neil@example.org": ("cy.o-neil", False, [], ["large"])}
    assert galaxy.named(galaxy.quotas, "50 GB")["bytes"] == 50 * 10**9
    passwords = [one.json["password"] for one in galaxy.sent("POST users")]
    assert len(set(passwords)) == 3 and min(map(len, passwords)) > 30
    assert run(user_create.main, table()) == [] and galaxy.writes() == []


def test_existing_accounts_get_the_groups_and_quotas_that_the_table_has_and_keep_the_rest(run, galaxy, table):
    ann, bob, cy = (galaxy.add_user(f"{name}@example.org") for name in ("Ann", "bob", "cy"))
    galaxy.groups[galaxy.core]["users"] += [ann, bob, cy]
    galaxy.quotas[galaxy.large]["users"] += [ann, bob, cy]
    people = table("email,name,groups,quota\nann@example.org,other,lab,-\nbob@example.org,,,\ncy@example.org,,-,large\n")
    assert [(row["id"], row["action"], row["added"], row["removed"]) for row in run(user_create.main, people)] == [
        (ann, "changed", ["group lab"], ["group core", "quota large"]), (cy, "changed", [], ["group core"])]
    assert held(galaxy) == {
        "admin@example.org": ("admin", False, [], []), "Ann@example.org": ("ann", False, ["lab"], []),
        "bob@example.org": ("bob", False, ["core"], ["large"]), "cy@example.org": ("cy", False, [], ["large"])}
    assert run(user_create.main, people) == [] and galaxy.writes() == []


def test_a_quotas_last_user_is_taken_off_on_an_old_galaxy_too(run, galaxy, table):
    galaxy.release = "24.1"
    ann = galaxy.add_user("ann@example.org")
    galaxy.quotas[galaxy.large]["users"] += [ann]
    people = table("email,quota\nann@example.org,-\n")
    assert [row["removed"] for row in run(user_create.main, people)] == [["quota large"]]
    assert galaxy.quotas[galaxy.large] == {**galaxy.quotas[galaxy.large], "users": [], "deleted": False}
    assert run(user_create.main, people) == []


def test_a_password_for_all_is_read_from_standard_input(run, galaxy, table, type_in):
    type_in("correct horse\nignored\n")
    run(user_create.main, "--password-stdin", table())
    assert {one.json["password"] for one in galaxy.sent("POST users")} == {"correct horse"}
    type_in("short\n")
    run(user_create.main, "--password-stdin", table(), status=USAGE, err="Galaxy wants 6 characters")
    run(user_create.main, "--password-stdin", "-", status=USAGE, err="TABLE is not standard input then")


def test_a_table_comes_from_standard_input(run, galaxy, type_in):
    type_in("email\tgroups\nann@example.org\tlab\n")
    assert [row["email"] for row in run(user_create.main, "-")] == ["ann@example.org"]


def test_keys_go_to_a_file_of_ones_own_and_never_to_the_terminal(run, galaxy, table, tmp_path):
    file = tmp_path / "keys.csv"
    planned = run(user_create.main, "-n", f"--keys={file}", table())
    assert not file.exists() and galaxy.count("GET api_key") == 0 and "key" in planned[1]["added"]
    rows = run(user_create.main, f"--keys={file}", table())
    assert [row["added"][-1:] for row in rows[1:]] == [["key"]] * 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = file.read_text().splitlines()
    assert lines[0] == "email,key" and len(lines) == 4
    assert all(galaxy.keys[line.split(",")[1]] in galaxy.users for line in lines[1:])
    assert not any(line.split(",")[1] in json.dumps(rows) for line in lines[1:])
    assert run(user_create.main, f"--keys={file}", table()) == [] and galaxy.count("GET api_key") == 0
    more = table(COURSE + "dan@example.org,,,\n")
    assert [row["added"] for row in run(user_create.main, f"--keys={file}", more)] == [["key"]]
    assert file.read_text().splitlines()[:4] == lines and "dan@example.org," in file.read_text()


def test_keys_are_one_for_each_account_however_its_address_is_written_and_new_for_one_that_is_made_again(
        run, galaxy, table, tmp_path):
    file = tmp_path / "keys.csv"
    run(user_create.main, f"--keys={file}", table("email\nAnn@example.org\n"))
    old = file.read_text()
    assert run(user_create.main, f"--keys={file}", table("email\nann@EXAMPLE.org\n")) == [] and file.read_text() == old
    run(user_delete.main, "--purge", "ann")
    planned = run(user_create.main, "-n", f"--keys={file}", table("email\nann@example.org\n"))
    assert file.read_text() == old
    [row] = run(user_create.main, f"--keys={file}", table("email\nann@example.org\n"))
    assert row["added"] == ["key"] and planned == [{**row, "id": None}]
    assert file.read_text() == f"email,key\nann@example.org,{int(row['id'], 16):032x}\n"


def test_two_runs_with_one_file_of_keys_lose_none(tmp_path):
    one, other = (KeysFile(str(tmp_path / "keys.csv")) for _ in range(2))
    one.add("ann@example.org", "a1")
    other.add("bob@example.org", "b1")
    one.save()
    other.save()
    one.drop("Ann@example.org")
    assert (tmp_path / "keys.csv").read_text() == "email,key\nbob@example.org,b1\n"


def test_keys_never_go_to_standard_output(run, galaxy, table):
    run(user_create.main, "--keys=-", table(), status=USAGE, err="keys go to a file")
    assert galaxy.asked == []


def test_keys_for_which_the_disk_has_no_room_are_nobodys(run, galaxy, table, tmp_path, monkeypatch):
    def fail(*words, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("galaxy_api_scripts.accounts.keys_file.write_atomic", fail)
        [row] = run(user_create.main, f"--keys={tmp_path / 'keys.csv'}", table("email\nann@example.org\n"), status=FAILED,
                    err="No space left on device")
    assert (row["action"], row["added"]) == ("created", [])
    [row] = run(user_create.main, f"--keys={tmp_path / 'keys.csv'}", table("email\nann@example.org\n"))
    assert (row["action"], row["added"]) == ("changed", ["key"])


def test_a_file_of_keys_that_others_may_read_or_that_is_something_else_is_refused(run, galaxy, table, tmp_path):
    file = tmp_path / "keys.csv"
    file.write_text("email,key\n")
    file.chmod(0o644)
    run(user_create.main, f"--keys={file}", table(), status=USAGE, err="chmod 600")
    file.write_text("my diary\n")
    file.chmod(0o600)
    run(user_create.main, f"--keys={file}", table(), status=USAGE, err="no file of keys")
    run(user_create.main, f"--keys={tmp_path}/no/keys.csv", table(), status=USAGE, err="--keys")
    assert file.read_text() == "my diary\n" and galaxy.writes() == []


BAD = """email,name,groups,quota
ann@example.org,Ann,lab,
nobody,,,
ANN@example.org,,,
bob@example.org,taken,,
cy@example.org,admin,,
dan@example.org,,labb,
eve@example.org,,,50
,,,
fay@example.org,bob,lab,everybody
gus@example.org,bob,,former
"""


def test_a_table_with_mistakes_is_refused_whole_with_the_numbers_of_the_lines(run, galaxy, table, capsys, script):
    run(user_create.main, table(BAD), status=USAGE, err="4 things are wrong, so nothing was changed")
    script(user_create.main, KEY, galaxy.url, table(BAD))
    assert capsys.readouterr().err.splitlines()[1:] == [
        "line 2: the public name 'Ann' may have small letters, digits, . _ and - only",
        "line 3: 'nobody' is not an e-mail address",
        "line 4: the e-mail address ann@example.org is in line 2 too",
        "line 11: the public name bob is in line 10 too"]
    galaxy.add_user("x@example.org", "taken", deleted=True)
    galaxy.add_quota("everybody", "1 GB", default="registered")
    galaxy.add_quota("former", "1 GB", deleted=True)
    text = BAD
    for mistake, mended in (("Ann,", "ann,"), ("nobody,", "n@b.org,"), ("ANN@", "a@"), ("gus@example.org,bob", "g@h,gus")):
        text = text.replace(mistake, mended)
    script(user_create.main, KEY, galaxy.url, table(text))
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[1:]) == ("", [
        "line 5: the public name taken is taken by x@example.org, whose account is deleted",
        "line 6: the public name admin is taken by admin@example.org",
        "line 7: there is no group 'labb': did you mean lab?",
        "line 8: there is no quota '50', nor is that an amount such as 50 GB",
        "line 10: the quota 'everybody' is the default one, which is for everybody",
        "line 11: the quota 'former' is deleted: quota_set.py brings it back"])
    assert galaxy.writes() == []


def test_addresses_that_differ_in_capitals_are_one_account_or_have_to_be_told_apart(run, galaxy, table):
    galaxy.add_user("Ann@Example.org")
    people = table("email\nann@example.org\n")
    assert run(user_create.main, people) == []
    galaxy.add_user("ANN@example.org", "ann2")
    run(user_create.main, people, status=FAILED, err="2 accounts have the address ann@example.org in other capitals: write")
    assert run(user_create.main, table("email\nANN@example.org\n")) == []


@pytest.mark.parametrize("email", ["ünïcode@exämple.org", "a+b@example.org", "o'neil@example.org", "x@localhost",
                                   "first.last@sub.example.co.uk", "#tag{}~`|@example.org"])
def test_odd_addresses_that_galaxy_takes_are_taken(run, galaxy, table, email):
    [row] = run(user_create.main, table(f'name,email\n,"{email}"\n'))
    assert row["email"] == email and re.fullmatch("[a-z0-9._-]+", row["name"])


@pytest.mark.parametrize("email", ["ann", "ann@", "@example.org", "a b@example.org", "ann@-example.org", "a@b@example.org",
                                   "ann@example..org", f"{'x' * 250}@example.org"])
def test_addresses_that_galaxy_does_not_take_are_refused(run, galaxy, table, email):
    run(user_create.main, table(f'email,name\n"{email}",ann\n'), status=USAGE, err="line 2: ")
    assert galaxy.asked == []


def test_public_names_made_of_addresses_are_free_ones(run, galaxy, table):
    galaxy.add_user("other@example.org", "ann")
    rows = run(user_create.main, table("email,name\nann@a.example.org,\nann@b.example.org,\nx@example.org,ann-3\n"))
    assert [row["name"] for row in rows] == ["ann-2", "ann-4", "ann-3"]


def test_deleted_accounts_are_told_and_brought_back_on_request(run, galaxy, table):
    bob = galaxy.add_user("bob@example.org", deleted=True)
    rows = run(user_create.main, table(), status=SOME_FAILED,
               err=f"line 3: bob@example.org: the account {bob} of this address is deleted: --undelete brings it back")
    assert [row["email"] for row in rows[1:]] == ["ann@example.org", "Cy.O'Neil@example.org"]
    [row] = run(user_create.main, "--undelete", table())
    assert (row["action"], row["added"]) == ("undeleted", ["group lab"])
    assert held(galaxy)["bob@example.org"] == ("bob", False, ["lab"], [])
    assert run(user_create.main, table()) == []


def test_accounts_that_are_to_be_confirmed_are_activated_on_request(run, galaxy, table):
    galaxy.confirms = True
    old = galaxy.add_user("old@example.org", active=False)
    people = table("email\nold@example.org\nann@example.org\n")
    assert [row["added"] for row in run(user_create.main, people)] == [[]] and not galaxy.users[old]["active"]
    galaxy.deaf = {"PUT user"}
    for _ in range(2):
        assert run(user_create.main, "--activate", people, status=FAILED, err="the account is not active") == []
    galaxy.deaf = set()
    rows = run(user_create.main, "--activate", people)
    assert [(row["name"], row["added"]) for row in rows] == [("old", ["active"]), ("ann", ["active"])]
    assert [one["active"] for one in galaxy.users.values()] == [True] * 3
    run(user_create.main, "--activate", table("email\nbob@example.org\n"))
    assert galaxy.named(galaxy.users, "bob")["active"] and run(user_create.main, "--activate", people) == []


def test_groups_are_made_on_request(run, galaxy, table):
    people = table("email,groups\nann@example.org,zebrafish\n")
    run(user_create.main, people, status=FAILED, err="no group 'zebrafish': --create-groups makes it")
    rows = run(user_create.main, "--create-groups", people)
    assert [(row["name"], row["action"]) for row in rows] == [("zebrafish", "group created"), ("ann", "created")]
    assert held(galaxy)["ann@example.org"][2] == ["zebrafish"]


def test_what_galaxy_refuses_for_one_is_told_and_the_others_are_done(run, galaxy, table):
    galaxy.answers["POST users"] = [(400, {"err_msg": "Please enter your permanent email address.", "err_code": 400008})]
    rows = run(user_create.main, table(), status=SOME_FAILED, err="line 2: ann@example.org: POST")
    assert [row["name"] for row in rows] == ["50 GB", "bob", "cy.o-neil"]
    assert [row["email"] for row in run(user_create.main, table())] == ["ann@example.org"]


def test_an_answer_that_is_lost_is_looked_up_and_nothing_is_sent_twice(run, galaxy, table, clock):
    galaxy.lost.update({"POST users": 2, "POST quotas": 1, "PUT group_user": 1, "PUT quota": 1})
    run(user_create.main, table())
    assert galaxy.count("POST users") == 3 and galaxy.count("POST quotas") == 1
    assert held(galaxy)["ann@example.org"] == ("ann", False, ["core", "lab"], ["50 GB"])
    assert run(user_create.main, table()) == []


def test_a_request_that_was_lost_is_sent_again_once_galaxy_has_surely_not_got_it(run, galaxy, table, clock):
    galaxy.answers["POST users"] = [(502, b"<html><title>502</title></html>")]
    run(user_create.main, table("email\nann@example.org\n"))
    assert galaxy.count("POST users") == 2 and sum(clock.slept) >= 30


def test_groups_that_galaxy_has_not_changed_are_told(run, galaxy, table):
    galaxy.deaf.add("PUT group_user")
    rows = run(user_create.main, table(), status=SOME_FAILED, err="it is done, and the account is not in the 'group core'")
    assert rows[1]["added"] == ["group lab", "quota 50 GB"]


def test_a_server_that_goes_away_ends_the_run_and_what_was_done_is_shown(run, galaxy, table, monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    galaxy.answers["PUT group_user"] = (503, b"")
    rows = run(user_create.main, table(), status=TRY_LATER, err="503")
    assert [row["action"] for row in rows] == ["quota created", "created", "created", "created"]


def test_a_run_that_is_killed_between_any_two_requests_is_completed_by_the_next(run, galaxy, table, tmp_path, monkeypatch):
    """Killed once Galaxy has served a request that changes something, of which the answer is never seen."""
    galaxy.add_user("bob@example.org", deleted=True)
    send, counts = common.Galaxy.request, {"left": 0}

    def killed(self, method, path, **options):
        answer = send(self, method, path, **options)
        counts["left"] -= method != "GET" or path.endswith("api_key")
        if counts["left"] == 0:
            monkeypatch.setattr(KeysFile, "save", lambda self: None)
            raise KeyboardInterrupt
        return answer

    save, before = KeysFile.save, [dict(galaxy.users), {which: dict(one) for which, one in galaxy.quotas.items()}]
    for number in range(1, 40):
        galaxy.users, galaxy.quotas = ({which: dict(one, users=[]) if "users" in one else dict(one, deleted=True) if
                                        one["email"].startswith("bob") else dict(one) for which, one in things.items()}
                                       for things in before)
        for group in galaxy.groups.values():
            group["users"] = []
        file = tmp_path / f"keys{number}.csv"
        line = ["--undelete", f"--keys={file}", table()]
        counts["left"] = number
        monkeypatch.setattr(common.Galaxy, "request", killed)
        try:
            run(user_create.main, *line, status=INTERRUPTED, err="interrupted")
        except AssertionError:
            assert counts["left"] > 0       # it has come to its end
            break
        finally:
            monkeypatch.setattr(common.Galaxy, "request", send)
            monkeypatch.setattr(KeysFile, "save", save)
        run(user_create.main, *line)
        assert held(galaxy) == {
            "admin@example.org": ("admin", False, [], []), "ann@example.org": ("ann", False, ["core", "lab"], ["50 GB"]),
            "bob@example.org": ("bob", False, ["lab"], []), "Cy.O'Neil@example.org": ("cy.o-neil", False, [], ["large"])}
        assert len(file.read_text().splitlines()) == 4
        assert run(user_create.main, *line) == []
    assert number == 13     # a quota, three accounts, four places in groups and under quotas, with the keys


# ------------------------------------------------------------------------------------------------------------ user_delete

def test_accounts_are_deleted_purged_and_brought_back_with_what_they_own(run, galaxy):
    ann = galaxy.add_user("ann@example.org", disk_usage=5000)
    galaxy.add_user("bob@example.org")
    galaxy.add_history(ann)
    galaxy.add_history(ann)
    galaxy.add_job(ann, days_ago(1))
    row = {"id": ann, "email": "ann@example.org", "username": "ann", "action": "deleted", "disk_usage": 5000, "histories": 2,
           "active_jobs": 1}
    assert run(user_delete.main, "-n", "ann") == [row] and galaxy.writes() == []
    assert run(user_delete.main, "ann", "ann@example.org", ann) == [row] and galaxy.writes() == ["DELETE user"]
    assert run(user_delete.main, "ann") == [] and galaxy.writes() == []
    assert run(user_delete.main, "--undelete", "ANN@example.org") == [{**row, "action": "undeleted"}]
    assert run(user_delete.main, "--undelete", "ann") == [] and not galaxy.users[ann]["deleted"]
    assert run(user_delete.main, "--purge", "ann") == [{**row, "action": "purged"}]
    assert galaxy.users[ann]["purged"] and galaxy.writes() == ["DELETE user", "DELETE user"]
    assert run(user_delete.main, "--purge", ann) == [] and galaxy.writes() == []
    run(user_delete.main, "--purge", "ann", status=FAILED, err="no account has the id, e-mail address or public name 'ann'")
    assert run(user_delete.main, "--purge", "--missing-ok", "ann") == []
    run(user_delete.main, "--undelete", ann, status=FAILED, err="purged accounts can't be brought back")


def test_accounts_come_from_a_list_or_a_table(run, galaxy, type_in, tmp_path):
    galaxy.add_people(4)
    type_in("person0@example.org\n\nperson1\n")
    assert [row["username"] for row in run(user_delete.main, "-")] == ["person0", "person1"]
    third, fourth = (galaxy.named(galaxy.users, f"person{number}")["id"] for number in (2, 3))
    (tmp_path / "list.csv").write_text(f"email,id,active\nsomebody@example.org,{third},true\n")
    assert [row["id"] for row in run(user_delete.main, f"@{tmp_path}/list.csv", fourth)] == [third, fourth]
    type_in("id,email\n")
    assert run(user_delete.main, "-") == []


def test_each_row_of_a_table_of_users_names_one(run, galaxy, tmp_path):
    ann, bob = galaxy.add_user("ann@example.org"), galaxy.add_user("bob@example.org")
    (tmp_path / "left.csv").write_text(f"id,email,name\n{ann},,\n,bob@example.org,\n")
    assert [row["id"] for row in run(user_delete.main, "-n", f"@{tmp_path / 'left.csv'}")] == [ann, bob]
    (tmp_path / "left.csv").write_text(f"id,email,name\n{ann},,\n,,bob\n")
    run(user_delete.main, f"@{tmp_path / 'left.csv'}", status=USAGE, err="line 3: there is no id and no email")
    assert galaxy.writes() == []


def test_the_keys_own_account_and_unknown_ones_are_refused_before_any_is_deleted(run, galaxy):
    galaxy.add_user("ann@example.org")
    run(user_delete.main, "ann", "admin@example.org", status=FAILED, err="'admin@example.org' is the account of this key")
    run(user_delete.main, "ann", "anne", "bob", status=FAILED, err="'anne': did you mean ann?")
    run(user_delete.main, "--purge", "--undelete", "ann", status=USAGE, err="exclude each other")
    run(user_delete.main, "ann", " ", status=USAGE, err="USER is empty")
    galaxy.add_user("Ann@example.org", "ann2")
    run(user_delete.main, "ANN@example.org", status=FAILED, err="2 accounts have the address 'ANN@example.org'")
    assert [one["deleted"] for one in galaxy.users.values()] == [False] * 3


def test_what_galaxy_does_not_do_is_told(run, galaxy):
    galaxy.add_people(2)
    galaxy.answers["DELETE user"] = [(403, {"err_msg": "The configuration of this Galaxy instance does not allow admins to "
                                                       "delete users.", "err_code": 403004})]
    rows = run(user_delete.main, "person0", "person1", status=SOME_FAILED, err="person0@example.org: DELETE")
    assert [row["username"] for row in rows] == ["person1"]
    galaxy.answers["DELETE user"] = (200, {"id": "x", "deleted": True})
    run(user_delete.main, "person0", status=FAILED, err="not")
