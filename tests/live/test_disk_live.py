"""disk_usage.py, history_expire.py and dataset_purge.py on a real Galaxy, with a clock that the test moves."""
import json
import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import history_expire
import pytest
from fakes.roads import Road

from common import DONE, FAILED, Galaxy, backoff
from galaxy_api_scripts.disk import clock
from galaxy_api_scripts.polling import wait_datasets

from .conftest import Person


@pytest.fixture(scope="module")
def people(server):
    return SimpleNamespace(ann=Person(server), bob=Person(server))


@pytest.fixture
def expire(admin, people, script, capsys, tmp_path, monkeypatch):
    """`expire(day, *options)`: the rows that history_expire.py prints on that day from now on, of the two people's histories
    alone; `expire.sent` are the requests."""
    with Road(admin.url) as road:
        def expire(day, *options, history=()):
            moment = datetime.fromtimestamp(int(time.time()), timezone.utc) + timedelta(days=day)
            monkeypatch.setattr(clock, "now", lambda: moment)
            road.asked.clear()
            only = [f"--user={one.email}" for one in (people.ann, people.bob)] if "--warn" in options else []
            mails = [f"--mails={tmp_path}/mails"] * len(only[:1])
            code = script(history_expire.main, *options, *only, *mails, "--format=json", admin.key, road.url,
                          tmp_path / "expiry.db", *history)
            out, expire.err = capsys.readouterr()
            expire.sent = [one.method for one in road.asked]
            assert code == DONE, expire.err
            return [(row["name"], row["action"], row["reason"]) for row in json.loads(out)]

        monkeypatch.setattr(clock, "require_same_time", lambda galaxy: None)     # it is moved
        yield expire


def filled(person, name, path):
    """A history with a dataset."""
    history = person.new_history(name)
    person.uploaded(history, path)
    return history


def test_the_whole_way_of_a_history(people, admin, expire, tmp_path):
    ann, bob = people.ann, people.bob
    (tmp_path / "a.txt").write_text("abc\n")
    made = {name: ann.new_history(name) for name in (
        "old", "touched", "tagged", "undone", "published", "by link", "late", "pinned")}
    made["shared"], made["bob's"] = filled(ann, "shared", tmp_path / "a.txt"), bob.new_history("bob's")
    made["late share"] = filled(ann, "late share", tmp_path / "a.txt")
    ann.asked("PUT", f"histories/{made['published']}/publish")
    ann.asked("PUT", f"histories/{made['by link']}/enable_link_access")
    ann.asked("PUT", f"histories/{made['shared']}/share_with_users", json={"user_ids": [bob.email]})
    ann.asked("PUT", f"histories/{made['pinned']}", json={"tags": ["keep"]})
    expected = {"old", "touched", "tagged", "undone", "late", "late share", "bob's"}

    assert {name for name, _, _ in expire(200, "--warn", "-n")} == expected and set(expire.sent) == {"GET"}
    assert {row[:2] for row in expire(200, "--warn")} == {(name, "warned") for name in expected}
    assert set(expire.sent) == {"GET"} and expire(200, "--warn", "--delete", "--purge") == []
    mails = {path.name.split("-", 2)[2]: path.read_text() for path in (tmp_path / "mails").iterdir()}
    assert set(mails) == {f"{ann.email}.eml", f"{bob.email}.eml"}
    assert made["old"] in mails[f"{ann.email}.eml"] and made["shared"] not in mails[f"{ann.email}.eml"]
    assert expire(229, "--delete") == []

    ann.asked("PUT", f"histories/{made['touched']}", json={"name": "touched again"})
    ann.asked("PUT", f"histories/{made['tagged']}", json={"tags": ["wanted"]})
    ann.asked("PUT", f"histories/{made['late']}/publish")
    ann.asked("PUT", f"histories/{made['late share']}/share_with_users", json={"user_ids": [bob.email]})
    told = {("old", "deleted"), ("undone", "deleted"), ("bob's", "deleted"),
            *((name, "kept") for name in ("touched", "tagged", "late", "late share"))}
    dry = set(expire(231, "--delete", "-n"))
    assert set(expire.sent) == {"GET"}
    rows = set(expire(231, "--delete"))
    assert rows == dry and {row[:2] for row in rows} == told and expire(231, "--delete", "--purge") == []
    ann.asked("POST", f"histories/deleted/{made['undone']}/undelete")      # by its owner, who deletes it again
    ann.asked("DELETE", f"histories/{made['undone']}")

    assert expire(232, "--undo", history=["bob's"]) == [("bob's", "restored", "")] and expire(260, "--purge") == []
    told = {("old", "purged", ""), ("undone", "kept", "touched since; it stays deleted")}
    assert set(expire(262, "--purge", "-n")) == told and set(expire.sent) == {"GET"}
    assert set(expire(262, "--purge")) == told
    assert expire(262, "--purge", "--delete") == []
    state = {name: [admin.look(f"histories/{one}")[word] for word in ("deleted", "purged")] for name, one in made.items()}
    assert state == {**dict.fromkeys(made, [False, False]), "old": [True, True], "undone": [True, False]}
    for person, names in ((ann, set(made) - {"bob's", "old"}), (bob, {"bob's"})):
        for name in names:
            person.asked("DELETE", f"histories/{made[name]}", json={"purge": True})


def test_a_user_sees_and_purges_what_is_his_own(people, admin, tmp_path):
    ann = people.ann
    (tmp_path / "b.txt").write_text("b" * 100_000)
    history = ann.new_history("to be purged")
    kept, gone = (ann.uploaded(history, tmp_path / "b.txt") for _ in range(2))
    assert wait_datasets(Galaxy(ann.key, ann.url), history, [kept, gone], timeout=120) == {kept: "ok", gone: "ok"}
    used = int(ann.look("users/current")["total_disk_usage"])
    assert ann.value("disk_usage.py", "--format=value", "--fields=user,bytes", ann.key, ann.url) == f"{ann.email}\t{used}"
    rows = [json.loads(line) for line in admin.value("disk_usage.py", "--format=jsonl", admin.key, admin.url).splitlines()]
    assert {(row["user"], row["bytes"]) for row in rows} >= {(ann.email, used)}
    assert [row["bytes"] for row in rows] == sorted((row["bytes"] for row in rows), reverse=True)
    by_history = ann.value("disk_usage.py", "--by=history", "--format=value", "--fields=id,bytes", ann.key, ann.url)
    assert f"{history}\t200000" in by_history
    assert ann.value("disk_usage.py", "--by=store", "--format=value", "--fields=bytes", ann.key, ann.url).isdecimal()

    ann.asked("DELETE", f"datasets/{gone}")
    with Road(ann.url) as road:
        words = ["dataset_purge.py", "--format=value", "--fields=id,datasets,bytes,action", ann.key, road.url]
        assert ann.value(*words, "-n") == f"{history}\t1\t100000\tpurged" == ann.value(*words, f"--history={history}", "-n")
        assert {one.method for one in road.asked} == {"GET"} and ann.value(*words, "--older-than=1") == ""
        assert ann.value(*words) == f"{history}\t1\t100000\tpurged" and ann.value(*words) == ""
    assert [ann.look(f"datasets/{one}")["purged"] for one in (kept, gone)] == [False, True]
    for _ in backoff(60):
        if ann.look("users/current")["total_disk_usage"] == used - 100_000:
            break
    assert ann.look("users/current")["total_disk_usage"] == used - 100_000
    ann.asked("DELETE", f"histories/{history}", json={"purge": True})


@pytest.mark.parametrize("line", [["history_expire.py", "--delete", "LEDGER"], ["dataset_purge.py", "--all"]],
                         ids=lambda line: line[0])
def test_a_key_without_the_right_is_told_what_is_missing(people, tmp_path, line):
    script, option, *ledger = [str(tmp_path / "expiry.db") if word == "LEDGER" else word for word in line]
    ended = people.bob.run(script, option, people.bob.key, people.bob.url, *ledger)
    assert (ended.returncode, ended.stdout) == (FAILED, "") and "needs an administrator's key" in ended.stderr
    assert not (tmp_path / "expiry.db").exists()
