"""group_set.py and quota_set.py on a fake Galaxy of accounts: the table is what holds afterwards, or nothing was changed."""
import json

import group_set
import pytest
import quota_set
import user_create
from fakes import KEY
from fakes.accounts import FakeAccounts

import common
from common import DONE, FAILED, INTERRUPTED, SOME_FAILED, USAGE

GROUPS = """group,users,roles
lab,ann@example.org;BOB@example.org,sequencing
core,cy,
new,"ann@example.org, cy",imaging;sequencing
empty,-,-
"""
QUOTAS = """name,amount,operation,default,users,groups,description
large,200 GB,,,ann@example.org;cy,lab,for sequencing
basic,50 GB,=,registered,,,
more,1.5 TiB,add,,bob,-,
gone,unlimited,,,ann@example.org,,
"""


@pytest.fixture
def galaxy():
    """Ann, bob and cy; the groups lab (bob, cy, and one whose account is deleted; imaging), core (ann) and other (cy); the
    quotas large (bob, core), gone (deleted), old (the default) and other (cy)."""
    with FakeAccounts() as server:
        server.ann, server.bob, server.cy = (server.add_user(f"{name}@example.org") for name in ("ann", "bob", "cy"))
        server.left = server.add_user("left@example.org", deleted=True)
        server.sequencing, server.imaging = server.add_role("sequencing"), server.add_role("imaging")
        server.add_role("ann@example.org", type="private")
        lab = server.add_group("lab", [server.bob, server.cy, server.left], [server.imaging])
        server.core = server.add_group("core", [server.ann])
        server.lab, server.other = lab, server.add_group("other", [server.cy])
        server.add_quota("large", "100 GB", users=[server.bob], groups=[server.core])
        server.add_quota("gone", "1 GB", "+", deleted=True)
        server.add_quota("old", "10 GB", default="registered")
        server.add_quota("other", "10 GB", users=[server.cy])
        yield server


@pytest.fixture
def run(script, galaxy, capsys, tmp_path):
    """`run(main, table, *options, status=0, err="")`: the rows that a script prints for a table of that text."""
    def call(main, table, *options, status=DONE, err="", key=KEY):
        galaxy.asked.clear()
        (tmp_path / "table.csv").write_text(table)
        ended = script(main, "--format=jsonl", *options, key, galaxy.url, tmp_path / "table.csv")
        out, said = capsys.readouterr()
        assert ended == status and (err in said if err else said == ""), (ended, out, said)
        assert "Traceback" not in said and KEY not in said + out
        return list(map(json.loads, out.splitlines()))
    return call


def groups_held(galaxy):
    """What the fake has: {group: (names of users, names of roles)}."""
    return {one["name"]: (sorted(galaxy.users[user]["username"] for user in one["users"]),
                          sorted(galaxy.roles[role]["name"] for role in one["roles"]))
            for one in galaxy.groups.values() if not one["deleted"]}


def quotas_held(galaxy):
    """What the fake has: {quota: (bytes, operation, default, names of users, names of groups)}."""
    return {one["name"]: (one["bytes"], one["operation"], one["default"],
                          sorted(galaxy.users[user]["username"] for user in one["users"]),
                          sorted(galaxy.groups[group]["name"] for group in one["groups"]))
            for one in galaxy.quotas.values() if not one["deleted"]}


def without_groups(galaxy):
    """Make it an old Galaxy, none of whose quotas has groups."""
    galaxy.release = "24.1"
    for one in galaxy.quotas.values():
        one["groups"] = []


GROUPS_AFTER = {"lab": (["ann", "bob", "left"], ["sequencing"]), "core": (["cy"], []),
                "new": (["ann", "cy"], ["imaging", "sequencing"]), "empty": ([], []), "other": (["cy"], [])}
QUOTAS_AFTER = {"large": (200 * 10**9, "=", None, ["ann", "cy"], ["lab"]), "basic": (50 * 10**9, "=", "registered", [], []),
                "more": (3 * 2**39, "+", None, ["bob"], []), "gone": (-1, "=", None, ["ann"], []),
                "old": (10**10, "=", None, [], []), "other": (10**10, "=", None, ["cy"], [])}
GONE = QUOTAS.replace("gone,unlimited,,", "gone,unlimited,exact,")


# ---------------------------------------------------------------------------------------------------------------- groups

@pytest.mark.parametrize("release", ["24.1", "26.1"])
def test_groups_get_the_users_and_roles_of_the_table(run, galaxy, release):
    galaxy.release = release
    planned = run(group_set.main, GROUPS, "-n")
    assert galaxy.writes() == []
    rows = run(group_set.main, GROUPS)
    assert groups_held(galaxy) == GROUPS_AFTER
    assert [(row["name"], row["action"], row["added"], row["removed"]) for row in rows] == [
        ("lab", "changed", ["ann@example.org", "role sequencing"], ["cy@example.org", "role imaging"]),
        ("core", "changed", ["cy@example.org"], ["ann@example.org"]),
        ("new", "created", ["ann@example.org", "cy@example.org", "role imaging", "role sequencing"], []),
        ("empty", "created", [], [])]
    assert [{**row, "id": None} for row in rows] == [{**row, "id": None} for row in planned]
    assert run(group_set.main, GROUPS) == [] and galaxy.writes() == []


def test_a_row_for_each_user_adds_up_and_empty_columns_leave_what_is_there(run, galaxy):
    rows = run(group_set.main, "group\tuser\nlab\tann\nlab\tbob\nlab\tcy\ncore\t\n")
    assert [(row["name"], row["added"], row["removed"]) for row in rows] == [("lab", ["ann@example.org"], [])]
    assert groups_held(galaxy)["lab"] == (["ann", "bob", "cy", "left"], ["imaging"])
    assert galaxy.count("GET group_roles") == 0


@pytest.mark.parametrize("cell", [";", " , ", ";;;"])
def test_a_cell_of_separators_is_an_empty_one(run, galaxy, cell):
    before = groups_held(galaxy), quotas_held(galaxy)
    assert run(group_set.main, f'group,users,roles\nlab,"{cell}","{cell}"\n') == []
    assert run(quota_set.main, f'name,users,groups\nlarge,"{cell}","{cell}"\n') == []
    assert (groups_held(galaxy), quotas_held(galaxy)) == before


def test_other_groups_are_deleted_on_request_only(run, galaxy):
    table = "group\nlab\ncore\n"
    assert run(group_set.main, table) == []
    [row] = run(group_set.main, table, "-n", "--delete-others")
    assert (row["name"], row["action"]) == ("other", "deleted") and galaxy.writes() == []
    assert [row["id"] for row in run(group_set.main, table, "--delete-others")] == [galaxy.other]
    assert groups_held(galaxy).keys() == {"lab", "core"}
    assert run(group_set.main, table, "--delete-others") == []


@pytest.mark.parametrize("table, problem", [
    ("group,users\nlab,annn\n", "line 2: no account has the id, e-mail address or public name 'annn': did you mean ann?"),
    ("group,users\nlab,left\n", "line 2: the account of left is deleted: user_delete.py --undelete brings it back"),
    ("group,roles\nlab,sequencin\n", "line 2: there is no role 'sequencin': did you mean sequencing?"),
    ("group,roles\nlab,ann@example.org\n", "line 2: there is no role 'ann@example.org'"),
])
def test_users_and_roles_that_there_are_not_are_refused_before_anything_is_changed(run, galaxy, table, problem):
    run(group_set.main, table, status=FAILED, err=problem)
    assert galaxy.writes() == []


def test_tables_of_groups_with_mistakes_are_refused(run, galaxy):
    run(group_set.main, "group,users\nlab,ann\nlab,-\n", status=USAGE, err="line 3: the group 'lab' has users in one")
    run(group_set.main, "group,users\n,ann\n", status=USAGE, err="line 2: there is no group's name")
    run(group_set.main, "users\nann\n", status=USAGE, err="line 1: there is no column group")
    assert galaxy.asked == []
    galaxy.add_role("sequencing")
    run(group_set.main, "group,roles\nlab,sequencing\n", status=FAILED, err="line 2: 2 roles are named 'sequencing'")


def test_a_group_that_was_deleted_keeps_its_name_and_that_is_told(run, galaxy):
    galaxy.groups[galaxy.other]["deleted"] = True
    rows = run(group_set.main, "group,users\nother,ann\nnew,ann\n", status=SOME_FAILED,
               err="group 'other': group 'other' was deleted, and keeps its name")
    assert [row["name"] for row in rows] == ["new"]


def test_a_group_that_this_machine_deleted_is_undeleted_with_the_users_of_the_table(run, galaxy):
    run(group_set.main, "group\nlab\ncore\n", "--delete-others")
    [row] = run(group_set.main, "group,users\nother,ann\n")
    assert (row["id"], row["action"]) == (galaxy.other, "undeleted") and groups_held(galaxy)["other"] == (["ann"], [])
    assert run(group_set.main, "group,users\nother,ann\n") == []


def test_a_group_that_comes_back_with_an_account_is_told_as_undeleted(run, galaxy):
    run(group_set.main, "group\nlab\ncore\n", "--delete-others")
    rows = run(user_create.main, "email,groups\nann@example.org,core;other\n", "--create-groups")
    assert [(row["name"], row["action"]) for row in rows] == [("other", "group undeleted"), ("ann", "changed")]


def test_changes_of_groups_that_galaxy_does_not_make_are_told(run, galaxy):
    galaxy.deaf = {"PUT group_user", "DELETE group", "DELETE group_role"}
    run(group_set.main, GROUPS, "--delete-others", status=SOME_FAILED,
        err="group 'lab': Galaxy has answered that it is changed, and it lacks ann@example.org and has role imaging too")
    run(group_set.main, "group\nlab\ncore\n", "--delete-others", status=FAILED, err="group 'other': Galaxy has answered")


def test_lost_answers_about_groups_are_looked_up(run, galaxy, clock):
    galaxy.lost.update({"POST groups": 1, "PUT group_user": 1, "DELETE group_user": 1, "PUT group_role": 1})
    run(group_set.main, GROUPS)
    assert groups_held(galaxy) == GROUPS_AFTER and galaxy.count("POST groups") == 2


# ---------------------------------------------------------------------------------------------------------------- quotas

@pytest.mark.parametrize("release, unit", [("24.1", 2**30), ("26.1", 10**9)])
def test_quotas_become_what_the_table_says(run, galaxy, release, unit):
    if release == "24.1":
        without_groups(galaxy)
        table, lab, groups = GONE.replace(",lab,", ",,"), [], ([], [])
    else:
        table, lab, groups = GONE, ["lab"], (["group lab"], ["group core"])
    planned = run(quota_set.main, table, "-n")
    assert galaxy.writes() == []
    rows = run(quota_set.main, table)
    assert quotas_held(galaxy) == {
        **QUOTAS_AFTER, "large": (200 * unit, "=", None, ["ann", "cy"], lab),
        "basic": (50 * unit, "=", "registered", [], [])}
    assert galaxy.named(galaxy.quotas, "large")["description"] == "for sequencing"
    assert [(row["name"], row["action"], row["operation"], row["default"]) for row in rows] == [
        ("large", "changed", "=", None), ("basic", "created", "=", "registered"), ("more", "created", "+", None),
        ("gone", "undeleted", "=", None)]
    assert [(row["added"], row["removed"]) for row in rows] == [
        (["ann@example.org", "cy@example.org", *groups[0]], ["bob@example.org", *groups[1]]), ([], []),
        (["bob@example.org"], []), (["ann@example.org"], [])]
    assert [row["amount"] for row in rows] == [f"200 G{'i' * (unit == 2**30)}B", f"50 G{'i' * (unit == 2**30)}B", "1536 GiB",
                                               "unlimited"]
    assert [{**row, "id": None} for row in rows] == [{**row, "id": None} for row in planned]
    assert run(quota_set.main, table) == [] and galaxy.writes() == []


def test_empty_cells_leave_what_is_there(run, galaxy):
    assert run(quota_set.main, "name,amount,users\nlarge,,\nold,,\n") == []
    [row] = run(quota_set.main, "name,operation\nlarge,+\n")
    assert (row["amount"], row["operation"], row["added"], row["removed"]) == ("100 GB", "+", [], [])
    assert quotas_held(galaxy)["large"] == (10**11, "+", None, ["bob"], ["core"])


@pytest.mark.parametrize("release", ["24.1", "26.1"])
def test_the_last_users_and_groups_are_taken_off(run, galaxy, release):
    if release == "24.1":
        without_groups(galaxy)
    [row] = run(quota_set.main, "name,users,groups\nlarge,-,-\n")
    assert row["removed"] == ["bob@example.org", "group core"][:1 + (release != "24.1")]
    assert quotas_held(galaxy)["large"] == (10**11, "=", None, [], [])
    assert run(quota_set.main, "name,users,groups\nlarge,-,-\n") == []


def test_a_default_moves_from_one_quota_to_another(run, galaxy):
    table = "name,amount,default\nlarge,,registered\nold,20 GB,\n"
    rows = run(quota_set.main, table)
    assert [(row["name"], row["default"], row["removed"]) for row in rows] == [
        ("large", "registered", ["bob@example.org", "group core"]), ("old", None, [])]
    assert quotas_held(galaxy)["old"] == (2 * 10**10, "=", None, [], [])
    assert run(quota_set.main, table) == []
    [row] = run(quota_set.main, "name,default\nlarge,no\n")
    assert row["default"] is None and quotas_held(galaxy)["large"][2] is None


def test_other_quotas_are_deleted_on_request_only_and_never_the_default_one(run, galaxy):
    run(quota_set.main, "name\nlarge\n", "--delete-others", status=FAILED, err="the quota 'old' is not in the table, and")
    assert galaxy.writes() == []
    table = "name\nlarge\nold\n"
    assert [row["name"] for row in run(quota_set.main, table, "-n", "--delete-others")] == ["other"]
    assert quotas_held(galaxy).keys() == {"large", "old", "other"}
    assert [row["action"] for row in run(quota_set.main, table, "--delete-others")] == ["deleted"]
    assert quotas_held(galaxy).keys() == {"large", "old"} and run(quota_set.main, table, "--delete-others") == []
    [row] = run(quota_set.main, "name,users\nother,-\n")
    assert (row["action"], row["removed"]) == ("undeleted", ["cy@example.org"])


def test_a_deleted_quota_that_galaxy_fails_to_show_is_nobodys_obstacle(run, galaxy):
    """26.1 does so if one of its groups is purged."""
    [gone] = [key for key, one in galaxy.quotas.items() if one["deleted"]]
    galaxy.answers[f"GET /api/quotas/deleted/{gone}"] = (500, {"err_msg": "Internal Server Error", "err_code": 0})
    assert run(quota_set.main, "name,amount\nlarge,60 GB\n") != []


BAD = """name,amount,operation,default,users,groups,source
large,50,,,,,
new,,,,,,
large,1 GB,,,,,
a,much,,,,,
b,1 GB,*,,,,
c,unlimited,+,,,,
d,1 GB,+,registered,,,
e,1 GB,,registered,,,
f,1 GB,,somebody,,,
g,1 GB,,unregistered,ann,,
h,1 GB,,,nobody,labb,
other,,,,left,,slow disks
vast,9999999 PB,,,,,
"""


def test_a_table_of_quotas_with_mistakes_is_refused_whole(run, galaxy, script, capsys, tmp_path):
    run(quota_set.main, BAD, status=FAILED, err="things are wrong, so nothing was changed")
    script(quota_set.main, KEY, galaxy.url, tmp_path / "table.csv")
    assert capsys.readouterr().err.splitlines()[1:] == [
        "line 2: the amount '50' is none: expected one as 50 GB, or unlimited",
        "line 3: there is no quota 'new' yet, and a new one needs an amount",
        "line 4: the quota 'large' is in line 2 too",
        "line 5: the amount 'much' is none: expected one as 50 GB, or unlimited",
        "line 6: the operation '*' is none: expected =, +, -, exact, add, subtract",
        "line 7: the operation of an unlimited quota is =",
        "line 8: the operation of a default quota is =",
        "line 9: the default for registered users is in line 8 too",
        "line 10: the default 'somebody' is none: expected registered, unregistered or no",
        "line 11: a default quota is for all unregistered users, so it takes none by name",
        "line 12: no account has the id, e-mail address or public name 'nobody'",
        "line 12: there is no group 'labb': did you mean lab?",
        "line 13: the quota 'other' is for disks without a label, and Galaxy can't change that: make one of another name",
        "line 13: the account of left is deleted: user_delete.py --undelete brings it back",
        "line 14: the amount '9999999 PB' is none: expected one as 50 GB, or unlimited"]
    assert galaxy.writes() == []


def test_a_quota_over_which_galaxy_fails_stands_in_the_way_only_where_it_is_asked_for(run, galaxy):
    """As over one whose group was purged."""
    one = galaxy.named(galaxy.quotas, "other")
    galaxy.answers[f"GET /api/quotas/{one['id']}"] = (500, b"Internal Server Error")
    assert [row["name"] for row in run(quota_set.main, "name,amount\nlarge,5 GB\n")] == ["large"]
    for table, options in (("name\nother\n", []), ("name\nlarge\nold\n", ["--delete-others"])):
        run(quota_set.main, table, *options, status=FAILED, err=f"delete.py KEY /api/quotas/{one['id']} purge:=true")
        assert galaxy.writes() == []


def test_quotas_of_groups_are_left_alone_on_an_old_galaxy(run, galaxy):
    galaxy.release = "24.1"
    run(quota_set.main, "name,amount\nlarge,5 GB\n", status=FAILED, err="as those before 26.1 do over each that has groups")
    run(quota_set.main, "name,groups\nother,lab\n", status=FAILED, err="line 2: this Galaxy is older than 26.1")
    assert [row["name"] for row in run(quota_set.main, "name,amount\nother,5 GB\n")] == ["other"]
    assert galaxy.writes() == ["PUT quota"]


def test_a_quota_can_be_for_disks_with_a_label(run, galaxy):
    run(quota_set.main, "name,amount,source,default\nslow,1 TB,slow disks,registered\n")
    made = galaxy.named(galaxy.quotas, "slow")
    assert (made["quota_source_label"], made["default"]) == ("slow disks", "registered")
    assert quotas_held(galaxy)["old"][2] == "registered"        # of the disks without
    assert run(quota_set.main, "name,amount,source,default\nslow,1 TB,slow disks,registered\n") == []


def test_a_hyphen_means_no_label_and_no_description(run, galaxy):
    run(quota_set.main, "name,amount,source,description\nall,1 TB,-,-\n")
    made = galaxy.named(galaxy.quotas, "all")
    assert (made["quota_source_label"], made["description"]) == (None, "all")
    assert run(quota_set.main, "name,amount,source,description\nall,1 TB,-,-\nlarge,,-,\n") == []
    run(quota_set.main, "name,amount,source\nslow,1 TB,slow disks\n")
    run(quota_set.main, "name,source\nslow,-\n", status=FAILED, err="the quota 'slow' is for slow disks, and Galaxy can't")


def test_no_quota_without_a_limit_becomes_the_default_one(run, galaxy):
    for table in ("name,amount,default\nall,unlimited,registered\n", "name,amount\nold,unlimited\n"):
        run(quota_set.main, table, status=FAILED, err="line 2: an unlimited default quota is one of -1 bytes to Galaxy, "
            "which pauses the jobs of all registered users: without a default there is no limit")
        assert galaxy.writes() == []
    galaxy.named(galaxy.quotas, "old")["bytes"] = -1
    rows = run(quota_set.main, "name,amount,default\nold,,\nnew,5 GB,registered\n")
    assert [(row["name"], row["default"]) for row in rows] == [("old", None), ("new", "registered")]
    run(quota_set.main, "name,default\nnew,no\n")
    assert [row["amount"] for row in run(quota_set.main, "name,amount,default\nnew,unlimited,no\n")] == ["unlimited"]


def test_changes_of_quotas_that_galaxy_does_not_make_are_told(run, galaxy):
    galaxy.deaf = {"PUT quota", "DELETE quota"}
    rows = run(quota_set.main, GONE + "old,,,,,,\n", "--delete-others", status=SOME_FAILED,
               err="quota 'large': Galaxy has answered that it is changed, but has another value for bytes, description")
    assert [row["name"] for row in rows] == ["basic", "more", "old"]      # which is not the default any more


def test_lost_answers_about_quotas_are_looked_up(run, galaxy, clock):
    galaxy.lost.update({"POST quotas": 1, "PUT quota": 1, "POST undelete_quota": 1, "DELETE quota": 1})
    run(quota_set.main, GONE + "old,,,,,,\n", "--delete-others")
    assert quotas_held(galaxy) == {name: held for name, held in QUOTAS_AFTER.items() if name != "other"}
    assert galaxy.count("POST quotas") == 2


# ------------------------------------------------------------------------------------------------------------------ both

@pytest.mark.parametrize("main, table", [(group_set.main, GROUPS), (quota_set.main, QUOTAS)])
def test_a_key_that_is_no_administrators_is_told_so(run, galaxy, main, table):
    run(main, table, key=galaxy.add_key(galaxy.ann, "f" * 32), status=FAILED, err="needs an administrator's key")
    assert galaxy.kinds == ["GET current"]


@pytest.mark.parametrize("main, table, held, after", [(group_set.main, GROUPS, groups_held, GROUPS_AFTER),
                                                      (quota_set.main, GONE, quotas_held, QUOTAS_AFTER)])
def test_a_run_that_is_killed_between_any_two_requests_is_completed_by_the_next(run, galaxy, monkeypatch, main, table, held,
                                                                                after):
    send, left = common.Galaxy.request, [0]

    def killed(self, method, path, **options):
        answer = send(self, method, path, **options)
        left[0] -= method != "GET"
        if left[0] == 0:
            raise KeyboardInterrupt
        return answer

    before = json.dumps([galaxy.groups, galaxy.quotas])
    run(main, table)
    writes = len(galaxy.writes())
    assert writes >= 5
    for number in range(1, writes + 1):
        galaxy.groups, galaxy.quotas = json.loads(before)
        left[0] = number
        monkeypatch.setattr(common.Galaxy, "request", killed)
        run(main, table, status=INTERRUPTED, err="interrupted")
        monkeypatch.setattr(common.Galaxy, "request", send)
        run(main, table)
        assert held(galaxy) == after
        assert run(main, table) == []
