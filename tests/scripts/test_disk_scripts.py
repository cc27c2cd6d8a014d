"""disk_usage.py and dataset_purge.py: who takes the disk, and what is deleted already goes from it."""
import json

import dataset_purge
import disk_usage
import pytest
from fakes import KEY
from fakes.administration import USER_KEY, AdministeredGalaxy, an_id

from common import DONE, FAILED, SOME_FAILED, STILL_RUNNING, TRY_LATER, USAGE


@pytest.fixture
def galaxy(monkeypatch):
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0.2")
    with AdministeredGalaxy(users=5) as galaxy:
        yield galaxy


@pytest.fixture
def call(script, capsys, galaxy):
    def call(main, *options, key=KEY, status=DONE):
        code = script(main, *options, "--format=json", key, galaxy.url)
        out, call.err = capsys.readouterr()
        assert code == status, call.err
        return json.loads(out or "[]")
    return call


def test_by_user(call, galaxy):
    rows = call(disk_usage.main)
    assert [(row["user"], row["bytes"]) for row in rows] == [
        *((f"user{number}@example.org", number * 1000) for number in (4, 3, 2, 1)), ("admin@example.org", 0)]
    assert rows[0]["size"] == "3.9 KiB" and rows[0]["id"] == an_id(4, 1) and galaxy.writes() == []
    assert galaxy.count("GET user") == 5 and galaxy.most_in_flight <= 8
    assert call(disk_usage.main, "--limit=2") == rows[:2]
    assert [row["user"] for row in call(disk_usage.main, key=USER_KEY)] == ["user1@example.org"]
    assert [row["user"] for row in call(disk_usage.main, "--own")] == ["admin@example.org"]
    galaxy.get_user = lambda ask, query, which: {"id": which}
    assert call(disk_usage.main, status=FAILED) == [] and "no total_disk_usage" in call.err


def test_by_history_and_by_store(call, galaxy):
    galaxy.add_history(1, size=5)
    galaxy.add_history(2, size=3 * 2**30, deleted=True)
    galaxy.add_history(2, size=0, deleted=True, purged=True)
    rows = call(disk_usage.main, "--by=history")
    assert [(row["name"], row["user"], row["size"], row["deleted"]) for row in rows] == [
        ("history 1", "user2", "3.0 GiB", True), ("history 0", "user1", "5 bytes", False)]
    assert [row["bytes"] for row in call(disk_usage.main, "--by=history", key=USER_KEY)] == [5]
    assert call(disk_usage.main, "--by=store") == [{"store": "fast", "bytes": 10000, "size": "9.8 KiB", "users": 4}]
    galaxy.get_stores = lambda ask, query, which: []
    assert call(disk_usage.main, "--by=store")[0]["store"] == "default"
    assert call(disk_usage.main, "--by=moon", status=USAGE) == []


def test_what_is_deleted_is_purged_once(call, galaxy):
    mine, other, gone = galaxy.add_history(1), galaxy.add_history(2), galaxy.add_history(1, deleted=True)
    old, new = galaxy.add_deleted_dataset(mine, days=400, size=7), galaxy.add_deleted_dataset(mine, size=2**20)
    theirs, within = galaxy.add_deleted_dataset(other), galaxy.add_deleted_dataset(gone)
    galaxy.add_deleted_dataset(mine, deleted=False)     # Galaxy's filter is not trusted alone
    galaxy.add_history(1)
    rows = call(dataset_purge.main, "--dry-run", key=USER_KEY)
    assert rows == [{"id": mine, "name": "history 0", "user": "user1", "datasets": 2, "bytes": 2**20 + 7, "size": "1.0 MiB",
                     "action": "purged"}]
    assert galaxy.writes() == [] and galaxy.count("GET contents") == 1
    galaxy.late_purges = 1
    assert call(dataset_purge.main, key=USER_KEY) == rows and call(dataset_purge.main, key=USER_KEY) == []
    state = {one: galaxy.datasets[one]["purged"] for one in (old, new, theirs, within)}
    assert state == {old: True, new: True, theirs: False, within: False}
    assert [row["id"] for row in call(dataset_purge.main, "--all")] == [other] and galaxy.datasets[theirs]["purged"]
    assert not galaxy.datasets[within]["purged"]


def test_only_what_is_old_or_in_one_history_is_purged(call, galaxy, monkeypatch):
    monkeypatch.setattr(dataset_purge.clock, "now", lambda: galaxy.now)
    mine, other = galaxy.add_history(0), galaxy.add_history(0)
    old, new = galaxy.add_deleted_dataset(mine, days=15), galaxy.add_deleted_dataset(mine, days=13)
    elsewhere = galaxy.add_deleted_dataset(other, days=15)
    assert [row["datasets"] for row in call(dataset_purge.main, "--older-than=14", f"--history={mine}")] == [1]
    assert [galaxy.datasets[one]["purged"] for one in (old, new, elsewhere)] == [True, False, False]
    galaxy.histories[other]["deleted"] = True
    assert call(dataset_purge.main, f"--history={other}", status=FAILED) == [] and "is deleted" in call.err


@pytest.mark.parametrize("days", [500_000, 999_999])
def test_more_than_a_century_is_a_mistake(call, galaxy, days):
    galaxy.add_deleted_dataset(galaxy.add_history(owner=0), days=10)
    assert call(dataset_purge.main, f"--older-than={days}", status=USAGE) == [] and galaxy.count("DELETE datasets") == 0
    assert f"--older-than={days}: expected 36500 days at most" in call.err


def test_what_galaxy_refuses_or_does_later_is_told(call, galaxy):
    history = galaxy.add_history(0)
    first, second = galaxy.add_deleted_dataset(history), galaxy.add_deleted_dataset(history)
    galaxy.late_purges = 1000
    assert [row["action"] for row in call(dataset_purge.main, "--timeout=0", status=STILL_RUNNING)] == ["purging"]
    for one in galaxy.datasets.values():
        one["purged"] = False
    galaxy.late_purges = 0
    galaxy.delete_datasets = lambda ask, query: galaxy.datasets[second].update(purged=True) or {
        "success_count": 1, "errors": [{"dataset": {"id": first, "src": "hda"}, "error_message": "is being uploaded"}]}
    [row] = call(dataset_purge.main, status=SOME_FAILED)
    assert row["datasets"] == 1 and f"{first}: is being uploaded" in call.err
    galaxy.delete_datasets = lambda ask, query: {"success_count": 0, "errors": []}
    assert call(dataset_purge.main, status=FAILED) == [] and "does not say why" in call.err


@pytest.mark.parametrize("status, ends, actions", [
    (500, SOME_FAILED, {"history 0": "purged", "history 2": "purged"}), (503, TRY_LATER, {"history 0": "purging"})])
def test_what_was_purged_before_and_after_an_error_is_shown(call, galaxy, status, ends, actions):
    for _ in range(3):
        galaxy.add_deleted_dataset(galaxy.add_history(owner=0))
    purge = galaxy.delete_datasets

    def refuse_second(ask, query):
        is_second = ask.json["datasets"][0]["id"] == an_id(1, 3)
        return ask.reply(status, {"err_msg": "broken", "err_code": 1}) if is_second else purge(ask, query)

    galaxy.delete_datasets = refuse_second
    rows = call(dataset_purge.main, status=ends)
    assert {row["name"]: row["action"] for row in rows} == actions and "broken" in call.err


def test_a_key_without_the_right_is_told_so(call, galaxy):
    assert call(dataset_purge.main, "--all", key=USER_KEY, status=FAILED) == [] and "administrator's key" in call.err
    galaxy.purge_allowed = False
    assert call(dataset_purge.main, status=FAILED) == [] and "allow_user_dataset_purge" in call.err
    assert call(dataset_purge.main, "--all", "--history=x", status=USAGE) == [] and galaxy.writes() == []
