"""user_list.py, user_create.py, user_delete.py, group_set.py and quota_set.py on a real Galaxy: what it holds afterwards."""
import json
import secrets
import stat

import pytest
import requests

from .conftest import Administrator, Person


@pytest.fixture
def mark(admin):
    """What the names of a test's accounts, groups and quotas have in them; they are deleted again."""
    mark = f"live-{secrets.token_hex(4)}"
    yield mark
    for one in admin.look("quotas"):
        if mark in one["name"]:
            admin.asked("DELETE", f"quotas/{one['id']}", json={"purge": True})
    for one in admin.look("groups"):
        if mark in one["name"]:
            admin.asked("DELETE", f"groups/{one['id']}")
    for one in admin.look("users", f_email=mark):
        admin.asked("DELETE", f"users/{one['id']}")


@pytest.fixture
def run(admin, tmp_path):
    """`run(script, table, *options, status=0, err="")`: the rows that a script prints for a table of these lines."""
    def call(script, table, *options, who=admin, status=0, err="", stdin=""):
        words = table
        if isinstance(table, str):
            (tmp_path / "table.csv").write_text(table)
            words = [tmp_path / "table.csv"]
        ended = who.run(script, "--format=jsonl", *options, who.key, who.url, *words, stdin=stdin)
        assert ended.returncode == status and (err in ended.stderr if err else ended.stderr == ""), ended
        return list(map(json.loads, ended.stdout.splitlines()))
    return call


def members(admin, name):
    [group] = [one for one in admin.look("groups") if one["name"] == name]
    return sorted(one["email"].partition("@")[0] for one in admin.look(f"groups/{group['id']}/users"))


def quota(admin, name):
    [one] = [one for one in admin.look("quotas") if one["name"] == name]
    told = admin.look(f"quotas/{one['id']}")
    return (told["bytes"], told["operation"], [kind["type"] for kind in told["default"]],
            sorted(user["user"]["email"].partition("@")[0] for user in told["users"]),
            sorted(group["group"]["name"] for group in told["groups"]))


def gigabyte(admin):
    """What a GB is to this server: see docs/releases.md."""
    return 10**9 if tuple(map(int, admin.look("version")["version_major"].split("."))) >= (26, 1) else 2**30


def test_accounts_from_a_table_to_their_end(run, admin, person, mark, tmp_path):
    ann, bob = f"{mark}-ann@example.org", f"{mark}-Bob@example.org"
    table = f"E-mail,name,groups,quota\n{ann},,{mark} lab;{mark} core,{mark}\n{bob},{mark}-b,{mark} lab,\n"
    keys = tmp_path / "keys.csv"
    line = ["user_create.py", table, "--create-groups", f"--keys={keys}"]
    run(*line, who=person, status=1, err="needs an administrator's key")
    run(*line, status=1, err=f"line 2: there is no quota '{mark}', nor is that an amount")
    assert admin.look("users", f_email=mark) == []
    run("quota_set.py", f"name,amount\n{mark},3 GB\n")
    planned = run(*line, "-n")
    assert admin.look("users", f_email=mark) == [] and not keys.exists()
    rows = run(*line)
    assert [{**row, "id": None} for row in rows] == planned and [row["action"] for row in rows] == [
        "group created", "group created", "created", "created"]
    assert run(*line) == []
    assert members(admin, f"{mark} lab") == [f"{mark}-Bob", f"{mark}-ann"]
    assert members(admin, f"{mark} core") == [f"{mark}-ann"]
    assert quota(admin, mark)[3] == [f"{mark}-ann"] and stat.S_IMODE(keys.stat().st_mode) == 0o600
    key = dict(one.split(",") for one in keys.read_text().splitlines())[bob]
    me = requests.get(f"{admin.url}/api/users/current", headers={"x-api-key": key}, timeout=60).json()
    assert (me["email"], me["username"]) == (bob, f"{mark}-b")

    admin.asked("PUT", f"users/{rows[-1]['id']}", json={"active": False})
    assert [row["added"] for row in run(*line, "--activate")] == [["active"]] and run(*line, "--activate") == []
    [row] = run("user_create.py", f"email,groups,quota\n{ann.upper()},{mark} core,-\n{bob},,\n")
    assert (row["added"], row["removed"]) == ([], [f"group {mark} lab", f"quota {mark}"])
    assert members(admin, f"{mark} lab") == [f"{mark}-Bob"] and quota(admin, mark)[3] == []
    listed = run("user_list.py", [], f"--search={mark}", "--usage", "--activity")
    assert {(one["email"], one["disk_usage"], one["purged"]) for one in listed} == {(bob, 0, False), (ann, 0, False)}
    assert all(one["last_activity"] for one in listed)
    assert run("user_list.py", [], f"--search={mark}", "--inactive-for=1") == []

    line = ["user_delete.py", ["-"]]
    emails = f"{ann}\n{mark}-b\n"
    run(*line, stdin=emails, who=person, status=1, err="needs an administrator's key")
    assert [row["action"] for row in run(*line, "-n", stdin=emails)] == ["deleted"] * 2
    assert [row["action"] for row in run(*line, stdin=emails)] == ["deleted"] * 2
    assert run(*line, stdin=emails) == [] and admin.look("users", f_email=mark) == []
    run("user_create.py", f"email\n{ann}\n", status=1, err="--undelete brings it back")
    assert [row["action"] for row in run("user_create.py", f"email\n{ann}\n", "--undelete")] == ["undeleted"]
    assert [row["action"] for row in run(*line, "--purge", stdin=emails)] == ["purged"] * 2
    assert run(*line, "--purge", "--missing-ok", stdin=emails) == []
    ids = [row["id"] for row in rows[2:]]
    assert [admin.look(f"users/deleted/{one}")["purged"] for one in ids] == [True] * 2
    assert [one["id"] for one in run("user_list.py", [], "--deleted", "--fields=id,purged") if one["id"] in ids] != []
    run("user_delete.py", [admin.look("users/current")["email"]], status=1, err="is the account of this key")


def test_groups_from_a_table(run, admin, server, person, mark):
    people = [Person(server) for _ in range(2)]
    role = admin.asked("POST", "roles", json={"name": f"{mark} role", "description": "x"})
    table = f"group,users,roles\n{mark} a,{people[0].email};{people[1].email},{mark} role\n{mark} b,-,\n"
    run("group_set.py", table, who=person, status=1, err="needs an administrator's key")
    assert [row["action"] for row in run("group_set.py", table, "-n")] == ["created"] * 2
    assert [row["action"] for row in run("group_set.py", table)] == ["created"] * 2
    assert run("group_set.py", table) == []
    other = table.replace(f";{people[1].email},{mark} role", ",-").replace(f"{mark} b,-", f"{mark} b,{people[1].email}")
    assert [(row["name"], row["added"], row["removed"]) for row in run("group_set.py", other)] == [
        (f"{mark} a", [], [people[1].email, f"role {mark} role"]), (f"{mark} b", [people[1].email], [])]
    assert run("group_set.py", other) == []
    names = [one.email.partition("@")[0] for one in people]
    assert (members(admin, f"{mark} a"), members(admin, f"{mark} b")) == ([names[0]], [names[1]])
    [group] = [one for one in admin.look("groups") if one["name"] == f"{mark} b"]
    admin.asked("DELETE", f"groups/{group['id']}")      # by somebody else
    run("group_set.py", other, status=1, err=f"group '{mark} b' was deleted, and keeps its name")
    admin.asked("DELETE", f"roles/{role['id']}")


def test_quotas_from_a_table(run, admin, server, person, mark):
    one, unit = Person(server), gigabyte(admin)
    run("group_set.py", f"group,users\n{mark} lab,{one.email}\n")
    lab = f"{mark} lab" if unit == 10**9 else ""        # an older Galaxy fails over quotas of groups
    table = f"name,amount,operation,users,groups\n{mark} a,2 GB,+,{one.email},{lab}\n{mark} b,unlimited,=,,\n"
    if not lab:
        run("quota_set.py", table.replace(",\n", f",{mark} lab\n", 1), status=1, err="fails over each quota that has groups")
    run("quota_set.py", table, who=person, status=1, err="needs an administrator's key")
    assert [row["action"] for row in run("quota_set.py", table, "-n")] == ["created"] * 2
    assert [row["action"] for row in run("quota_set.py", table)] == ["created"] * 2
    assert run("quota_set.py", table) == []
    name = one.email.partition("@")[0]
    assert quota(admin, f"{mark} a") == (2 * unit, "+", [], [name], [lab] if lab else [])
    assert quota(admin, f"{mark} b") == (-1, "=", [], [], [])
    other = f"name,amount,operation,users,groups\n{mark} a,1.5 GiB,exact,-,-\n{mark} b,3 GB,,{one.email},\n"
    assert [row["action"] for row in run("quota_set.py", other)] == ["changed"] * 2
    assert quota(admin, f"{mark} a") == (3 * 2**29, "=", [], [], [])
    assert quota(admin, f"{mark} b") == (3 * unit, "=", [], [name], [])
    assert run("quota_set.py", other) == []
    [about] = [told for told in admin.look("quotas") if told["name"] == f"{mark} b"]
    admin.asked("DELETE", f"quotas/{about['id']}")
    assert [row["action"] for row in run("quota_set.py", other)] == ["undeleted"]
    assert quota(admin, f"{mark} b") == (3 * unit, "=", [], [name], [])


def test_default_quotas_and_what_is_in_no_table(run, prefixed):
    """On the second server, whose quotas and groups are nobody else's."""
    admin = Administrator(prefixed)
    run("quota_set.py", "name,amount,default\nall,5 TB,registered\nnext,6 TB,no\n", "--delete-others", who=admin)
    assert quota(admin, "all")[2] == ["registered"]
    run("quota_set.py", "name\nnext\n", "--delete-others", who=admin, status=1, err="the quota 'all' is not in the table")
    rows = run("quota_set.py", "name,default\nnext,registered\n", "--delete-others", who=admin)
    assert [(row["name"], row["action"]) for row in rows] == [("next", "changed"), ("all", "deleted")]
    assert quota(admin, "next")[2] == ["registered"] and [one["name"] for one in admin.look("quotas")] == ["next"]
    rows = run("quota_set.py", "name,default\nnext,no\nall,registered\n", "--delete-others", who=admin)
    assert [(row["name"], row["action"]) for row in rows] == [("next", "changed"), ("all", "undeleted")]
    assert quota(admin, "all")[2] == ["registered"]
    run("quota_set.py", "name,default\nall,no\n", "--delete-others", who=admin)
    name = secrets.token_hex(4)
    run("group_set.py", f"group\n{name}\n", who=admin)
    assert name not in [row["name"] for row in run("group_set.py", f"group\n{name}\n", "-n", "--delete-others", who=admin)]
    run("group_set.py", f"group\n{name} too\n", "--delete-others", who=admin)
    assert [one["name"] for one in admin.look("groups")] == [f"{name} too"]
    assert [row["action"] for row in run("group_set.py", f"group\n{name}\n", who=admin)] == ["undeleted"]
