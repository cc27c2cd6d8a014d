"""history_expire.py: the whole way of a history that nobody touches, what stays, and what a run that is killed leaves."""
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from email.utils import format_datetime
from json import dumps

import history_expire
import pytest
import requests
from fakes import KEY
from fakes.administration import USER_KEY, AdministeredGalaxy, an_id

from common import DONE, FAILED, SOME_FAILED, TRY_LATER, USAGE, Galaxy, error_from_response
from galaxy_api_scripts import files, together
from galaxy_api_scripts.disk import clock, expiry_ledger, mails
from galaxy_api_scripts.disk.expiry_ledger import ExpiryLedger
from galaxy_api_scripts.files import hold_lock


class World:
    """A Galaxy, a ledger, a folder for messages, and a clock that the test moves."""

    def __init__(self, script, capsys, folder):
        self.galaxy, self.script, self.capsys = AdministeredGalaxy(), script, capsys
        self.ledger, self.mails = folder / "expiry.db", folder / "mails"

    def pass_days(self, days):
        self.galaxy.now += timedelta(days=days)

    def run(self, *options, key=KEY, history=(), status=DONE):
        """What it prints, as rows; and nothing on standard error unless it fails."""
        warn = ["--warn", f"--mails={self.mails}"] if "warn" in options else []
        others = [option if option.startswith("-") else f"--{option}" for option in options if option != "warn"]
        code = self.script(history_expire.main, *warn, *others, "--format=json", key, self.galaxy.url, self.ledger, *history)
        self.out, self.err = self.capsys.readouterr()
        assert code == status, self.err
        assert bool(self.err) == (status != DONE)
        return json.loads(self.out or "[]")

    def told(self):
        return {path.name.split("-", 2)[2]: path.read_text() for path in sorted(self.mails.iterdir())}

    def states(self):
        return "".join(self.galaxy.state(one)[0] for one in self.galaxy.histories)      # t(here), d(eleted), p(urged)

    def writes(self):
        return [one.line for one in self.galaxy.asked if one.method != "GET"]


@pytest.fixture
def world(script, capsys, tmp_path, monkeypatch):
    world = World(script, capsys, tmp_path)
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0.2")
    monkeypatch.setattr(clock, "now", lambda: world.galaxy.now.replace(microsecond=0))
    yield world
    world.galaxy.close()


def actions(rows):
    return [(row["name"], row["action"], row["reason"]) for row in rows]


def test_the_whole_way(world):
    old, touched = world.galaxy.add_history(days=200), world.galaxy.add_history(days=300)
    undone = world.galaxy.add_history(owner=2, days=181)
    world.galaxy.add_history(days=100)
    rows = world.run("warn")
    assert [(row["id"], row["owner"], row["action"], row["date"]) for row in rows] == [
        (old, "user1@example.org", "warned", "2026-03-31"), (touched, "user1@example.org", "warned", "2026-03-31"),
        (undone, "user2@example.org", "warned", "2026-03-31")]
    assert list(world.told()) == ["user1@example.org.eml", "user2@example.org.eml"]
    message = world.told()["user1@example.org.eml"]
    assert "To: user1@example.org\nSubject: 2 of your histories on http://127.0.0.1" in message
    assert f"history 0\n    1000 bytes, last changed on 2025-08-13: {world.galaxy.url}/histories/view?id={old}\n" in message
    assert "on 2026-03-31 or later" in message
    for options in (["warn"], ["delete"], ["purge"], ["warn", "delete", "purge"]):
        assert world.run(*options) == []
    world.galaxy.touch(touched)
    world.pass_days(29)
    assert world.run("delete") == [] and world.states() == "tttt"
    world.pass_days(1)
    assert actions(world.run("delete", "purge")) == [
        ("history 0", "deleted", ""), ("history 1", "kept", "touched since"), ("history 2", "deleted", "")]
    assert world.states() == "dtdt" and world.run("warn", "delete", "purge") == []
    assert actions(world.run("undo", history=["history 2"])) == [("history 2", "restored", "")]
    assert world.states() == "dttt" and world.run("delete", "purge") == []
    world.pass_days(29)
    assert world.run("purge") == []
    world.pass_days(1)
    assert actions(world.run("purge")) == [("history 0", "purged", "")] and world.states() == "pttt"
    assert world.run("delete", "purge", "undo", status=USAGE) == [] and world.run("undo") == []
    world.pass_days(200)     # what was spared, and brought back, is warned of again once it is old again
    assert [row["name"] for row in world.run("warn")] == ["history 1", "history 3", "history 2"]
    assert {row["name"]: row["action"] for row in world.run("list")} == {
        "history 0": "purged", **{f"history {number}": "warned" for number in (1, 2, 3)}}


STAYS = {
    "published": {"published": True, "slug": "a"}, "shared by its link": {"importable": True, "slug": "a"},
    "archived": {"archived": True}, "has the tag keep": {"tags": ["x", "#Keep:2027"]},
    "it has another owner": {"user_id": an_id(2, 1)}}


@pytest.mark.parametrize("reason", STAYS)
def test_what_stays_is_not_warned_of_deleted_or_purged(world, reason):
    for _ in range(3):
        world.galaxy.add_history(days=200)
    first, second, third = world.galaxy.histories.values()
    if reason != "it has another owner":
        first.update(STAYS[reason])
    assert [row["id"] for row in world.run("warn")] == [one["id"] for one in (first, second, third)
                                                        if one is not first or reason == "it has another owner"]
    second.update(STAYS[reason])
    world.pass_days(30)
    rows = world.run("delete")
    assert (second["name"], "kept", reason) in actions(rows) and world.galaxy.state(third["id"]) == "deleted"
    third.update(STAYS[reason])
    world.pass_days(30)
    assert (third["name"], "kept", f"{reason}; it stays deleted") in actions(world.run("purge", "delete"))
    assert not second["deleted"] and not third["purged"] and world.run("delete", "purge") == []
    if reason != "archived":
        assert actions(world.run("undo"))[-1] == (third["name"], "restored", "")


def test_what_is_shared_with_a_user_stays(world):
    galaxy = world.galaxy
    early, late, was, legacy = (galaxy.add_history(days=200) for _ in range(4))
    galaxy.share(early)
    galaxy.histories[was]["slug"] = "was-shared-once"
    assert [row["id"] for row in world.run("warn")] == [late, was, legacy]
    assert galaxy.count("GET sharing") == 2         # only those that ever had an address
    galaxy.share(late)
    galaxy.histories[legacy]["shares"] = [galaxy.users[an_id(2, 1)]]       # without an address, as very old ones may be
    world.pass_days(30)
    assert actions(world.run("delete")) == [("history 1", "kept", "shared with 1 user"), ("history 2", "deleted", ""),
                                            ("history 3", "kept", "shared with 1 user")]
    assert world.run("warn") == []


def test_what_is_shared_in_the_very_moment_is_brought_back(world):
    history = world.galaxy.add_history(days=200)
    world.run("warn")
    world.pass_days(30)
    world.galaxy.before = lambda kind, ids: world.galaxy.share(history) if kind == "DELETE history" else None
    assert actions(world.run("delete")) == [("history 0", "kept", "shared")]
    assert world.states() == "t" and world.writes()[-1].endswith("undelete")


def test_what_can_not_be_told_counts_as_shared(world):
    galaxy = world.galaxy
    history = galaxy.add_history(days=200)
    for odd in ({"published": None}, {"importable": "no"}, {"update_time": "yesterday"}, {"user_id": 7}, {"tags": None}):
        galaxy.odd = {history: odd}
        assert world.run("warn", status=FAILED) == [] and "does not tell" in world.err
    galaxy.odd = {}
    world.run("warn")
    world.pass_days(30)
    for answer in ((200, {"users_shared_with": None, "published": False, "importable": False}), (200, []),
                   (200, {"users_shared_with": []}), (403, {"err_msg": "no", "err_code": 403})):
        serve = galaxy.get_sharing
        galaxy.get_sharing = lambda ask, query, which, answer=answer: ask.reply(*answer)
        assert world.run("delete", status=FAILED) == [] and world.states() == "t"
        galaxy.get_sharing = serve
    assert actions(world.run("delete")) == [("history 0", "deleted", "")]


def test_who_has_no_account_can_not_be_warned(world):
    world.galaxy.add_history(owner=None, days=500)
    world.galaxy.add_history(owner=2, days=500)
    world.galaxy.users[an_id(2, 1)]["deleted"] = True
    assert world.run("warn") == []


def test_what_others_delete_is_left_alone(world):
    galaxy = world.galaxy
    by_owner, brought_back, again = (galaxy.add_history(days=200) for _ in range(3))
    world.run("warn")
    galaxy.touch(by_owner, deleted=True)
    world.pass_days(30)
    assert actions(world.run("delete"))[0] == ("history 0", "kept", "deleted by somebody else")
    galaxy.touch(brought_back, deleted=False)
    galaxy.touch(again, deleted=False)
    galaxy.touch(again, deleted=True)
    world.pass_days(30)
    assert actions(world.run("purge")) == [("history 1", "kept", "brought back by somebody else"),
                                           ("history 2", "kept", "touched since; it stays deleted")]
    assert world.states() == "dtd" and world.run("purge", "delete") == []
    [row] = world.run("undo", status=SOME_FAILED)
    assert row["reason"].startswith("touched since it was deleted here") and "not brought back: touched since" in world.err


def test_what_undo_can_not_bring_back_is_a_failure(world):
    gone, back = (world.galaxy.add_history(days=200) for _ in range(2))
    world.run("warn")
    world.pass_days(30)
    world.run("delete")
    world.galaxy.touch(gone, purged=True)
    world.galaxy.touch(back, deleted=False)
    rows = world.run("undo", status=SOME_FAILED)
    assert actions(rows) == [("history 0", "kept", "purged already"), ("history 1", "kept", "not deleted")]
    assert world.err.count("not brought back") == 1 and world.run("undo") == []


def test_what_was_shared_in_the_moment_of_a_deletion_whose_answer_was_lost_is_not_purged(world):
    history = world.galaxy.add_history(days=200)
    world.run("warn")
    world.pass_days(30)
    delete = world.galaxy.delete_history

    def share_and_delete(ask, query, which):
        world.galaxy.share(which)
        delete(ask, query, which)
        ask.refuse(500, "broken")

    world.galaxy.delete_history = share_and_delete
    assert world.run("delete", status=FAILED) == [] and world.galaxy.state(history) == "deleted"
    assert actions(world.run("delete")) == [("history 0", "deleted", "")]
    world.pass_days(30)
    assert actions(world.run("purge")) == [("history 0", "kept", "shared; it stays deleted")]


def test_an_exception_that_excepts_nothing_is_refused(world, tmp_path):
    world.galaxy.users[an_id(1, 1)]["email"] = "ann#1@example.org"
    world.galaxy.users[an_id(2, 1)]["email"] = "a/b@example.org"
    mine, _ = world.galaxy.add_history(days=200), world.galaxy.add_history(owner=2, days=200)
    (tmp_path / "stay").write_text(f"# who stays\nANN#1@example.org\t# on leave\n{mine}  # hers\n\nadmin #\n")
    assert [row["owner"] for row in world.run("warn", f"except={tmp_path / 'stay'}")] == ["a/b@example.org"]
    world.pass_days(30)
    for text in ("My thesis", "user", "user1@example.org", "user2;admin", "12ab"):
        (tmp_path / "stay").write_text(f"{text}\n")
        assert world.run("delete", f"except={tmp_path / 'stay'}", status=USAGE) == []
        assert f"--except: '{text.lower()}' is no history's id and no user's" in world.err and world.states() == "tt"


def test_each_owner_has_a_message_whatever_the_addresses_letters(world):
    world.galaxy.users[an_id(1, 1)]["email"], world.galaxy.users[an_id(2, 1)]["email"] = "a/b@example.org", "a_b@example.org"
    world.galaxy.add_history(days=200)
    world.galaxy.add_history(owner=2, days=200)
    assert len(world.run("warn")) == 2
    assert sorted(text.splitlines()[0] for text in world.told().values()) == ["To: a/b@example.org", "To: a_b@example.org"]


def test_a_user_who_is_not_there_is_told_before_anything_is_deleted(world):
    world.galaxy.add_history(days=200)
    world.run("warn")
    world.pass_days(30)
    world.run("delete", "warn", "--user=nobody", status=USAGE)
    assert world.states() == "t" and world.writes() == []


def test_an_annotation_is_a_touch_although_it_leaves_the_time_as_it_is(world):
    before, behind = world.galaxy.add_history(days=200), world.galaxy.add_history(days=200)
    world.run("warn")
    world.galaxy.histories[before]["annotation"] = "still in use"
    world.pass_days(30)
    assert actions(world.run("delete")) == [("history 0", "kept", "touched since"), ("history 1", "deleted", "")]
    world.galaxy.histories[behind]["tags"] = ["wait"]
    world.pass_days(30)
    assert actions(world.run("purge")) == [("history 1", "kept", "touched since; it stays deleted")]
    assert actions(world.run("undo")) == [("history 1", "restored", "")]


def test_filters(world, tmp_path):
    galaxy = world.galaxy
    for owner in (1, 1, 2, 2):
        galaxy.add_history(owner, days=100)
    ids = list(galaxy.histories)
    galaxy.histories[ids[1]].update(size=5 * 2**20, tags=["scratch"])
    dry = ["warn", "-n", "--older-than=99"]
    assert world.run("warn", "-n") == []
    assert [row["id"] for row in world.run(*dry)] == ids
    assert [row["id"] for row in world.run(*dry, "--larger-than=5M")] == [ids[1]]
    assert [row["id"] for row in world.run(*dry, "--tag=scratch")] == [ids[1]]
    assert [row["id"] for row in world.run(*dry, "--user=USER2@example.org")] == ids[2:]
    assert [row["id"] for row in world.run(*dry, "--keep-tag=a,scratch", "--user=user1")] == ids[:1]
    excepted = tmp_path / "except"
    excepted.write_text(f"# what stays\n{ids[0]}  # a reason\nuser2@example.org\n")
    assert [row["id"] for row in world.run(*dry, f"--except={excepted}")] == [ids[1]]
    assert world.run(*dry, "--except=/nowhere", status=USAGE) == [] and world.run(*dry, "--user=x", status=USAGE) == []
    assert not world.ledger.exists() and not world.mails.exists()
    assert [row["id"] for row in world.run("warn", "--older-than=99", "--own", key=USER_KEY)] == ids[:2]
    assert world.run("delete", status=USAGE) == [] and "is the ledger of" in world.err      # of one user's own


def test_a_dry_run_prints_the_same_and_changes_nothing(world):
    for days in (200, 300, 1):
        world.galaxy.add_history(days=days)
    for options, days in (("warn", 0), ("delete", 30), ("purge", 30)):
        world.pass_days(days)
        before = (world.states(), world.ledger.exists() and world.ledger.read_bytes())
        count = len(world.writes())
        told = world.run(options, "-n")
        assert (world.states(), world.ledger.exists() and world.ledger.read_bytes()) == before
        assert len(world.writes()) == count and told
        assert world.run(options) == told
    assert world.states() == "ppt"


def test_a_key_without_the_right_is_told_what_is_missing(world):
    world.galaxy.add_history(days=200)
    assert world.run("warn", key=USER_KEY, status=FAILED) == []
    assert "needs an administrator's key" in world.err and "--own" in world.err and not world.ledger.exists()
    world.galaxy.purge_allowed = False
    assert world.run("warn", "purge", status=FAILED) == [] and "allow_user_dataset_purge" in world.err
    assert world.writes() == []


def test_lines_that_do_not_fit_together(world):
    for options in ([], ["undo", "purge"], ["delete", "--tag=x"], ["list", "warn"], ["warn", "--larger-than=much"]):
        assert world.run(*options, status=USAGE) == []
    assert world.run("delete", history=["x"], status=USAGE) == [] and world.run("undo", history=["x"], status=USAGE) == []
    code = world.script(history_expire.main, "--warn", KEY, world.galaxy.url, world.ledger)
    assert code == USAGE and "--mails" in world.capsys.readouterr().err


@pytest.mark.parametrize("days", [500_000, 999_999])      # back to the year 657, and before all years
def test_a_period_that_is_no_period_is_refused_and_purges_nothing(world, days):
    world.galaxy.add_history(days=200)
    world.run("warn")
    world.pass_days(30)
    assert world.run("delete", f"grace={days}", status=USAGE) == [] and world.states() == "t"
    world.run("delete")
    for stage in (["purge", f"purge-after={days}"], ["list", f"purge-after={days}"], ["warn", f"older-than={days}"]):
        assert world.run(*stage, status=USAGE) == [] and f"={days}: expected 36500 days at most" in world.err
    assert world.states() == "d"
    assert world.run("purge", "purge-after=36500") == []


def test_a_clock_that_is_wrong_is_refused(world, monkeypatch):
    history = world.galaxy.add_history(days=200)
    world.run("warn")
    world.pass_days(-2)
    assert world.run("delete", status=FAILED) == [] and "clock was put back" in world.err
    world.pass_days(2)
    ahead = world.galaxy.now + timedelta(days=400)
    monkeypatch.setattr(clock, "now", lambda: ahead)
    assert world.run("delete", "warn", status=FAILED) == [] and "set the wrong one first" in world.err
    assert world.galaxy.state(history) == "there"


def test_two_runs_never_meet(world):
    world.run("warn")
    with hold_lock(world.ledger.with_name("expiry.db.lock")):
        assert world.run("delete", status=TRY_LATER) == [] and "another run is at work" in world.err
        world.galaxy.add_history(days=200)
        assert len(world.run("warn", "-n")) == 1


def test_without_a_ledger_nothing_was_warned_of_or_deleted_and_that_is_told(world):
    for stage in ("delete", "purge", "undo", "list"):
        for option in ([], ["--dry-run"]):
            assert world.run(stage, *option, status=USAGE) == [] and "no such ledger; --warn creates it" in world.err
    assert not world.ledger.exists()
    world.ledger = world.ledger / "folder" / "expiry.db"
    for option in ([], ["--dry-run"]):
        assert world.run("warn", *option, status=USAGE) == [] and "not a file's name in a folder" in world.err


def test_a_dry_run_after_a_run_that_was_killed_while_it_wrote_shows_what_was_before(world):
    for number in range(50):
        world.galaxy.add_history(days=200, name=f"history {number}" + "x" * 200)
    warned = [{**row, "date": ""} for row in world.run("warn")]
    database = sqlite3.connect(world.ledger, isolation_level=None)
    for statement in ("PRAGMA cache_size = 1", "BEGIN IMMEDIATE", "UPDATE histories SET name = 'half', state = 'deleted'"):
        database.execute(statement)
    killed = {file.name: file.read_bytes() for file in world.ledger.parent.iterdir() if file.is_file()}
    database.execute("ROLLBACK")
    database.close()
    for name, content in killed.items():
        (world.ledger.parent / name).write_bytes(content)
    assert "expiry.db-journal" in killed and b"half" in killed["expiry.db"]
    for stage in (["list"], ["warn", "-n"]):
        rows = world.run(*stage)
        assert [{**row, "date": ""} for row in rows] == (warned if stage == ["list"] else [])
        assert {name: (world.ledger.parent / name).read_bytes() for name in killed} == killed
    assert world.run("warn") == [] and [{**row, "date": ""} for row in world.run("list")] == warned


def test_a_damaged_ledger_does_nothing(world):
    for _ in range(50):
        world.galaxy.add_history(days=200)
    world.run("warn")
    world.pass_days(30)
    with closing(sqlite3.connect(world.ledger, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("DELETE FROM sqlite_master WHERE name = 'histories_by_state'")     # its pages are nobody's
    for option in ([], ["--dry-run"]):
        assert world.run("delete", *option, status=FAILED) == [] and "the ledger is damaged" in world.err
    assert world.states() == "t" * 50


def test_a_file_that_is_no_such_ledger_is_left_as_it_is(world):
    with closing(sqlite3.connect(world.ledger, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
    assert world.run("delete", status=USAGE) == [] and "is no ledger of histories" in world.err
    world.ledger.write_text("notes of somebody\n" * 100)
    assert world.run("delete", status=FAILED) == [] and world.ledger.read_text().startswith("notes")


def test_a_shorter_grace_does_not_break_what_owners_were_told(world):
    world.galaxy.add_history(days=200)
    world.run("warn", "--grace=60")
    world.pass_days(40)
    assert world.run("delete", "--grace=10") == []
    world.pass_days(20)
    assert len(world.run("delete", "--grace=10")) == 1


def test_messages_on_standard_output_and_of_a_template(world, tmp_path):
    history = world.galaxy.add_history(days=200, name="a\nBcc: x\x1b[2J")
    template = tmp_path / "template"
    template.write_text("To: $email\n\n$count by $date, $size:\n$histories$$\n")
    line = ["--warn", "--mails=-", f"--template={template}", KEY, world.galaxy.url, world.ledger]
    assert world.script(history_expire.main, *line) == DONE
    out = world.capsys.readouterr().out
    assert out.startswith("To: user1@example.org\n\n1 by 2026-03-31, 1000 bytes:\n  a Bcc: x[2J\n    1000 bytes, last "
                          f"changed on 2025-08-13: {world.galaxy.url}/histories/view?id={history}\n$\n")
    template.write_text("$nothing")
    assert world.script(history_expire.main, *line) == USAGE and "'nothing'" in world.capsys.readouterr().err


def test_one_history_that_fails_does_not_hold_up_the_others(world):
    for _ in range(3):
        world.galaxy.add_history(days=200)
    world.run("warn")
    world.pass_days(30)
    refused = list(world.galaxy.histories)[1]
    delete = world.galaxy.delete_history
    world.galaxy.delete_history = lambda ask, query, which: ask.refuse(403, "not you", 403003) if which == refused else \
        delete(ask, query, which)
    assert len(world.run("delete", status=SOME_FAILED)) == 2 and refused in world.err and world.states() == "dtd"
    world.galaxy.delete_history = delete
    assert actions(world.run("delete")) == [("history 1", "deleted", "")]


# ------------------------------------------------------------------------------------------ a crash between any two steps

class Killed(BaseException):
    """As by SIGKILL: what was done is done, nothing else is."""


class Points:
    """The moments at which a run may be killed: before and after each request, each change of the ledger, each message."""

    def __init__(self, monkeypatch):
        self.left = None        # until one kills
        of_ledger = ("note", "note_chosen", "note_mails", "drop_chosen", "next_warning")
        for owner, name in ((Galaxy, "request"), (mails, "write_atomic"), *((ExpiryLedger, name) for name in of_ledger)):
            monkeypatch.setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, work):
        def done(*args, **options):
            self.pass_one()
            result = work(*args, **options)
            self.pass_one()
            return result
        return done

    def pass_one(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Killed


def live_through(world, points, kill_at):
    """Warn, delete, undo one, purge; the run in which point number `kill_at` lies is killed there, and comes again on the
    next day. Returns whether there is such a point."""
    galaxy = world.galaxy
    gone, touched, other = galaxy.add_history(days=200), galaxy.add_history(days=201), galaxy.add_history(owner=2, days=202)
    galaxy.share(galaxy.add_history(days=203))
    galaxy.add_history(days=204, published=True, slug="p")
    told = {}

    def watch(kind, ids):
        if kind == "DELETE history":
            text = told.setdefault(ids[0], next(text for text in world.told().values() if ids[0] in text))
            assert f"{galaxy.now:%Y-%m-%d}" >= text.partition("deleted on ")[2][:10], "before the day that was told"
            assert ids[0] in (gone, other)

    galaxy.before, points.left = watch, kill_at
    line = {"undo": [other]}
    deleted_at = None
    for days, options in ((0, ["warn"]), (31, ["delete"]), (1, ["undo"]), (31, ["purge", "delete"])):
        world.pass_days(days)
        try:
            world.run(*options, history=line.get(options[0], ()))
        except Killed:
            world.capsys.readouterr()
            world.pass_days(1)
            if options != ["undo"] or galaxy.state(other) == "deleted":
                world.run(*options, history=line.get(options[0], ()))
        if options == ["warn"]:
            galaxy.touch(touched)
        if options == ["delete"]:
            assert galaxy.state(gone) == galaxy.state(other) == "deleted"
            deleted_at = galaxy.now
    was_killed, points.left = points.left is None, None
    world.pass_days(1)
    world.run("purge", "delete")
    assert galaxy.now - deleted_at >= timedelta(days=30)
    return was_killed


def answered_directly(galaxy):
    """In place of `Galaxy.request`: the fake's answer without a way there, which takes most of the time."""
    def request(self, method, path, params=None, json=None, **options):
        asked = requests.Request(method, self.url_for(path), params=params, json=json).prepare()
        response = requests.Response()
        response.status_code, answer = galaxy.answer(method, asked.path_url, self.key, asked.body)
        response._content, response.request, response.url = dumps(answer).encode(), asked, asked.url
        response.headers["Date"] = format_datetime(galaxy.now, usegmt=True)
        if response.status_code >= 400:
            raise error_from_response(f"{method} {asked.url}", response, self.base)
        return response
    return request


def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(world, monkeypatch):
    monkeypatch.setattr(together, "_most", 1)
    monkeypatch.setattr(Galaxy, "request", answered_directly(world.galaxy))
    connect = expiry_ledger._connect
    monkeypatch.setattr(expiry_ledger, "_connect", lambda place: connect(place, "OFF"))     # no power fails here
    monkeypatch.setattr(files.os, "fsync", lambda file: None)
    points, kill_at = Points(monkeypatch), 0
    while True:
        was_killed = live_through(world, points, kill_at)
        assert world.states() == "ptttt", f"killed at {kill_at}"
        assert sorted(world.told()) == ["user1@example.org.eml", "user2@example.org.eml"], f"killed at {kill_at}"
        with closing(sqlite3.connect(world.ledger)) as ledger:
            steps = [step for step, in ledger.execute(
                "SELECT step FROM steps WHERE history = ? AND reason IS NULL", (an_id(0, 2),))]
        assert [steps.count(step) for step in ("warned", "deleted", "purged")] == [1, 1, 1], f"killed at {kill_at}"
        assert world.run("purge", "delete", "warn") == []
        if not was_killed:
            break
        for path in (world.ledger, *world.mails.iterdir()):
            path.unlink()
        world.galaxy.histories.clear()
        world.galaxy.asked.clear()
        world.galaxy.before = lambda kind, ids: None
        kill_at += 1
    assert kill_at > 50
