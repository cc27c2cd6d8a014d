"""Ledgers of batches and watched folders: what is saved, who may read and write, and ledger_show.py."""
import contextlib
import csv
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import ledger_show
import pytest
from fakes import KEY

import common
from common import DONE, FAILED, TRY_LATER, USAGE, Galaxy, GalaxyError, register_secret
from galaxy_api_scripts.batch import ledger, ledger_reader
from galaxy_api_scripts.batch.ledger import Ledger
from galaxy_api_scripts.batch.ledger_reader import count_states
from galaxy_api_scripts.batch.notes import LedgerNotes, SampleNotes, Stage
from galaxy_api_scripts.invocations import invocation

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.path.dirname(common.__file__)}
BEGIN = ("import os, sys\nfrom galaxy_api_scripts.batch.ledger import Ledger\n"
         "from galaxy_api_scripts.batch.ledger_reader import read_samples\n"
         "from galaxy_api_scripts.batch.notes import Stage\nfrom common import run\npath = sys.argv[1]\n")
SQLITE = shutil.which("sqlite3")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "batch.ledger"


@pytest.fixture
def book(path):
    with Ledger(path) as book:
        yield book


def python(program, *arguments):
    """A process that runs the program on the ledger's `path`."""
    return subprocess.Popen([sys.executable, "-W", "error", "-c", BEGIN + program, *map(str, arguments)], text=True,
                            env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run_python(program, *arguments):
    process = python(program, *arguments)
    out, err = process.communicate()
    return process.returncode, out, err


def select(path, query):
    base = sqlite3.connect(path)
    try:
        return base.execute(query).fetchall()
    finally:
        base.close()


def create(path, *units):
    with Ledger(path) as book:
        for name, state in units:
            book.add(f"k-{name}", name).save(state=state)


# --------------------------------------------------------------------------------------------------------- what is kept

def test_notes_and_columns_outlive_the_process(path):
    with Ledger(path, server="http://galaxy.test") as book:
        unit = book.add("k1", "S1", place="/data/S1", older_histories=["a"])
        assert (unit.state, unit.attempt, unit.begun) == ("waiting", 0, None)
        unit.save(state="running", attempt=1, history="h1", known=["i1"])
        unit.save(known=None, inputs={"a": 1})
    with Ledger(path, server="http://galaxy.test") as book:
        unit = book.sample("k1")
        assert (unit.key, unit.name, unit.state, unit.attempt, unit.place) == ("k1", "S1", "running", 1, "/data/S1")
        assert unit.data == {"key": "k1", "name": "S1", "state": "running", "attempt": 1, "place": "/data/S1",
                             "history": "h1", "seen": unit.seen, "begun": unit.begun, "older_histories": ["a"],
                             "inputs": {"a": 1}}
        assert unit.ended is None and book.sample("k2") is None
        with pytest.raises(TypeError, match="colour"):
            unit.save(colour="red")
    assert select(path, "SELECT name, value FROM meta WHERE name IN ('schema', 'server') ORDER BY name") == [
        ("schema", "2"), ("server", "http://galaxy.test")]


def test_a_new_state_sets_its_time(book, monkeypatch):
    times = iter("abcdefg")
    monkeypatch.setattr(ledger, "utc_now", lambda: next(times))
    unit = book.add("k", "S")
    unit.save(state="running")
    unit.save(state="running")
    assert (unit.seen, unit.begun, unit.ended) == ("a", "b", None)
    unit.save(state="ok", message="fine")
    assert (unit.begun, unit.ended) == ("b", "c")
    unit.save(state="running", begun="mine")
    assert (unit.begun, unit.ended) == ("mine", None)
    unit.save(state="cancelled")
    assert unit.ended == "e"


def test_samples_are_listed_by_state_and_name_in_their_order(book):
    for key, name, state in (("3", "b", "ok"), ("1", "a", "failed"), ("2", "b", "waiting")):
        book.add(key, name).save(state=state)
    assert [unit.key for unit in book.samples()] == ["3", "1", "2"]
    assert [unit.key for unit in book.samples("waiting", "ok")] == ["3", "2"]
    assert [unit.key for unit in book.samples_named("b")] == ["3", "2"] and book.samples_named("c") == []
    assert count_states(book.path) == {"ok": 1, "failed": 1, "waiting": 1}


def test_samples_that_change_while_they_are_listed_are_listed_once(book):
    for number in range(5):
        book.add(str(number), "S")
    seen = []
    for unit in book.samples("waiting"):
        seen.append(unit.key)
        unit.save(state="running")
        unit.save(state="waiting")
    assert seen == ["0", "1", "2", "3", "4"]


def test_a_second_sample_of_the_same_key_is_refused(book):
    book.add("k", "S").save(state="ok")
    with pytest.raises(GalaxyError, match="UNIQUE"):
        book.add("k", "T")
    assert book.sample("k").name == "S" and book.sample("k").state == "ok"


def test_two_lookups_of_a_sample_see_each_others_changes(book):
    one, two = book.add("k", "S"), book.sample("k")
    one.save(tries=1)
    two.save(resends=2)
    assert (one.notes.tries, one.notes.resends, two.notes.tries) == (1, 2, 1)


def test_notes_on_the_ledger_as_a_whole_are_kept(path):
    with Ledger(path) as book:
        book.save(durably=True, history_mark="w1", older_histories=["h"])
        book.save(older_histories=None)
    with Ledger(path) as book:
        assert book.data == {"history_mark": "w1"}


def test_steps_have_a_beginning_an_end_and_an_outcome(path):
    register_secret(KEY)
    with Ledger(path) as book:
        unit = book.add("k", "S", attempt=2)
        with unit.step(Stage.UPLOAD):
            assert select(path, "SELECT step, ended FROM steps") == [("upload", None)]
        for error in (GalaxyError(f"no\nway {KEY}"), KeyError("x"), KeyboardInterrupt(), SystemExit(143)):
            with pytest.raises(type(error)) as caught, unit.step(Stage.RUN):
                raise error
            assert caught.value is error
    rows = list(ledger_reader.read_steps(path))
    assert [row["outcome"] for row in rows] == ["ok", "no way ***", "KeyError: 'x'", "interrupted", "SystemExit: 143"]
    assert all((row["key"], row["name"], row["attempt"]) == ("k", "S", 2) and row["begun"] and row["ended"] for row in rows)


def test_the_steps_own_error_is_raised_even_if_the_ledger_can_not_be_written(book):
    unit = book.add("k", "S")
    with pytest.raises(KeyError), unit.step(Stage.RUN):
        book.close()
        raise KeyError


def test_a_transaction_is_written_as_a_whole_or_not_at_all(book):
    with pytest.raises(KeyError), book.together():
        book.add("k1", "S1")
        raise KeyError
    assert count_states(book.path) == {}
    with book.together():
        book.add("k1", "S1", history="h")
        book.add("k2", "S2")
    assert count_states(book.path) == {"waiting": 2}


def test_no_secret_is_written_to_the_file(path):
    register_secret(KEY)
    address = f"https://me:secret@galaxy.test/api?key={KEY}"
    with Ledger(path, server=address) as book:
        unit = book.add("k", f"S {KEY}", place=address, inputs={"urls": [{"url": address}]})
        unit.save(state="failed", message=f"\x1b[31mno\nway {KEY}", failed_step=address)
        book.save(histories={"url": address})
        assert unit.message == "[31mno way ***"
        assert unit.notes.inputs["urls"] == [{"url": "https://galaxy.test/api?key=***"}]
        content = b"".join(file.read_bytes() for file in path.parent.glob("batch.ledger*"))
    content += path.read_bytes()
    assert KEY.encode() not in content and b"secret" not in content
    Ledger(path, server=address).close()


def test_names_that_are_not_utf8_are_kept_byte_for_byte(path, capsys):
    name = os.fsdecode(b"Gr\xf6\xdfe \xc3\xa9")
    with Ledger(path) as book:
        book.add(name, name, place=f"/data/{name}", title=name)
        book.add("odd", "\ud800")
    with Ledger(path) as book:
        unit = book.sample(name)
        assert (unit.name, unit.place, unit.notes.title) == (name, f"/data/{name}", name)
        assert [unit.key for unit in book.samples_named(name)] == [name]
    assert [row["key"] for row in ledger_reader.read_samples(path, name=name)] == [name]


def test_a_ledgers_own_name_may_have_any_bytes(tmp_path):
    path = tmp_path / os.fsdecode(b"a b?c#d%20\xff'.ledger")
    create(path, ("S1", "ok"))
    assert [row["name"] for row in ledger_reader.read_samples(path)] == ["S1"]
    assert sorted(os.listdir(tmp_path)) == sorted(["home", path.name])


def test_a_reader_does_not_keep_a_writer_from_closing(path):
    book = Ledger(path)
    book.add("k", "S")
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN")
        assert other.execute("SELECT name FROM units").fetchall() == [("S",)]
        book.add("k2", "S2")
        book.close()
        assert ledger_reader.count_states(path) == {"waiting": 2}
    finally:
        other.close()
    with Ledger(path) as book:
        assert [unit.name for unit in book.samples()] == ["S", "S2"]
    assert sorted(os.listdir(path.parent)) == [path.name, "home"]


def test_threads_can_share_a_ledger(book):
    units = [book.add(str(number), "S") for number in range(4)]
    problems = []

    def work(unit):
        try:
            for number in range(25):
                with unit.step(Stage.SEND):
                    unit.save(resends=number)
        except Exception as error:      # a thread's is nobody's otherwise
            problems.append(error)
    threads = [threading.Thread(target=work, args=[unit]) for unit in units]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert all(unit.notes.resends == 24 for unit in units)
    assert [row["outcome"] for row in ledger_reader.read_steps(book.path)] == ["ok"] * 100


def test_an_invocation_is_submitted_once_for_a_sample(path, loopback):
    data = {"history_id": "h", "inputs": {}}
    with Ledger(path) as book:
        unit = book.add("k", "S")
        loopback.will((200, []), (200, {"id": "i1"}))
        assert invocation.submit_once(Galaxy(KEY, loopback.url), "w", data, unit) == "i1"
    with Ledger(path) as book:
        assert invocation.submit_once(Galaxy(KEY, loopback.url), "w", data, book.sample("k")) == "i1"
        assert book.sample("k").invocation == "i1"
    assert [one.method for one in loopback.asked] == ["GET", "POST"]


# ------------------------------------------------------------------------------------------------- one writer at a time

def test_the_second_writer_is_told_which_process_is_the_first(path):
    first = python("with Ledger(path) as book:\n    book.add('k', 'S')\n    print('in', flush=True)\n    sys.stdin.read()",
                   path)
    assert first.stdout.readline() == "in\n"
    link = path.with_name("link")
    link.symlink_to(path)
    for name in (path, link):
        status, out, err = run_python("sys.exit(run(lambda: Ledger(path).close()))", name)
        assert (status, out) == (TRY_LATER, "")
        assert f"{path}: run {first.pid} (since 2" in err and err.endswith(" UTC) is at work on it\n")
    first.communicate()
    assert first.returncode == 0
    with Ledger(path) as book:
        assert count_states(book.path) == {"waiting": 1}


def test_a_lock_whose_owner_has_not_written_its_id_yet_is_respected(book):
    lock = book.path.with_name("batch.ledger.lock")
    assert lock.read_text().startswith(f"{os.getpid()} 2") and lock.stat().st_mode & 0o077 == 0
    lock.write_text("")
    with pytest.raises(GalaxyError, match="another run is at work on it") as caught:
        Ledger(book.path)
    assert caught.value.exit_code == TRY_LATER


def test_only_the_file_is_left_when_the_ledger_is_closed(path):
    create(path, ("S1", "ok"))
    assert sorted(os.listdir(path.parent)) == [path.name, "home"]
    assert list(ledger_reader.read_samples(path)) and ledger_reader.count_states(path) == {"ok": 1}
    assert sorted(os.listdir(path.parent)) == [path.name, "home"]


def test_a_lock_that_is_a_link_is_not_followed(path):
    path.with_name("batch.ledger.lock").symlink_to(path.with_name("victim"))
    with pytest.raises(GalaxyError, match=r"batch.ledger.lock: "):
        Ledger(path)
    assert not path.with_name("victim").exists() and not path.exists()


def test_a_lock_file_that_its_owner_has_just_removed_is_created_again(path, monkeypatch):
    real, lock = os.open, path.with_name("batch.ledger.lock")

    def slow(name, *options):
        file = real(name, *options)
        if name == lock and not calls:
            calls.append(1)
            lock.unlink()
        return file
    calls = []
    monkeypatch.setattr(os, "open", slow)
    with Ledger(path) as book:
        assert lock.exists() and count_states(book.path) == {}


SAVE = ("with Ledger(path) as book:\n"
        "    unit = book.sample('k') or book.add('k', 'S')\n"
        "    while True:\n"
        "        with unit.step(Stage.SEND):\n"
        "            unit.save(restarts=unit.notes.restarts + 1)\n"
        "        unit.save(state='ok')\n"
        "        print(unit.notes.restarts, flush=True)\n")


def test_what_was_saved_survives_kills(path):
    said = 0
    for kills in range(1, 13):
        writer = python(SAVE, path)
        for _ in range(random.randrange(1, 20)):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        said = int((writer.stdout.read().split("\n")[-2:-1] or [said])[0])
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        number = next(ledger_reader.read_samples(path))["notes"]["restarts"]
        assert said <= number <= said + 1
        assert select(path, "PRAGMA integrity_check") == [("ok",)]
        (steps, good), = select(path, "SELECT count(*), count(ended) FROM steps")
        assert number <= steps <= number + kills and steps - good <= kills      # one at most was cut off by each
    with Ledger(path) as book:
        assert book.sample("k").notes.restarts >= 12


# A writer that is killed before SQLite's nth statement.
KILLED_BEFORE = ("import signal, sqlite3\nreal = sqlite3.connect\nleft = int(sys.argv[2])\n"
           "def connect(*a, **o):\n"
           "    base = real(*a, **o)\n"
           "    def look(statement):\n"
           "        global left\n"
           "        left -= 1\n"
           "        left or os.kill(os.getpid(), signal.SIGKILL)\n"
           "    base.set_trace_callback(look)\n"
           "    return base\n"
           "sqlite3.connect = connect\n"
           "Ledger(path).close()\n")


def test_a_kill_while_the_ledger_is_created_leaves_none_or_a_usable_one(path):
    """The kill comes before each of SQLite's statements in turn, up to the last one of `close`."""
    for number in range(1, 60):
        one = path.with_name(f"{number}.ledger")
        status, out, err = run_python(KILLED_BEFORE, one, number)
        assert (out, err) == ("", "")
        assert list(ledger_reader.read_samples(one)) == [] if one.exists() else number < 2
        with Ledger(one) as book:
            book.add("k", "S")
        assert ledger_reader.count_states(one) == {"waiting": 1}
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert status == 0 and number > 10


@pytest.mark.parametrize("size", [0, 4096])
def test_an_empty_file_becomes_a_ledger(path, size):
    if size:
        select(path, "PRAGMA journal_mode = WAL")
    else:
        path.touch()
    assert path.stat().st_size == size
    assert list(ledger_reader.read_samples(path)) == [] and ledger_reader.count_states(path) == {}
    create(path, ("S1", "ok"))
    assert ledger_reader.count_states(path) == {"ok": 1}


# -------------------------------------------------------------------------------------------------- what is in the way

def refusal(path, exit_code=FAILED, **about):
    with pytest.raises(GalaxyError) as caught:
        Ledger(path, **about)
    assert caught.value.exit_code == exit_code
    return str(caught.value)


def test_the_ledger_of_another_server_user_or_folder_is_refused(path):
    Ledger(path, server="http://a.test", user="me").close()
    Ledger(path, server="http://a.test", folder="/data").close()
    assert refusal(path, USAGE, user="you") == f"{path}: is the ledger of user=me, not you: another --ledger=FILE"
    assert refusal(path, USAGE, folder="/other").endswith("folder=/data, not /other: another --ledger=FILE")


def test_a_newer_schema_is_refused(path, capsys):
    create(path, ("S1", "ok"))
    select(path, "PRAGMA user_version = 3")
    assert refusal(path) == f"{path}: a ledger of schema 3, written by newer scripts: these read up to schema 2"
    with pytest.raises(GalaxyError, match="schema 3"):
        list(ledger_reader.read_samples(path))


@pytest.fixture
def schema_1(path):
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.executescript(Path(__file__).with_name("ledger_schema_1.sql").read_text())
    return path


def test_a_ledger_of_schema_1_reads_the_same_before_and_after_its_migration(schema_1):
    """And a reader changes nothing in it."""
    before, content = [*ledger_reader.read_samples(schema_1), *ledger_reader.read_steps(schema_1)], schema_1.read_bytes()
    assert schema_1.read_bytes() == content
    rows = {row["name"]: row for row in before[:4]}
    assert [(row["name"], row["state"], row["failed_step"]) for row in before[:4]] == [
        ("a", "ok", None), ("b", "failed", "3 (copy)"), ("c", "running", None), ("d", "waiting", None)]
    assert rows["c"]["notes"].items() >= {"own_history": True, "history_requested": 1002.5, "sent_at": 1002.5,
                                          "asked": 1003.0625, "tries": 1, "known": [], "unique_title": True,
                                          "folder": "c"}.items()
    Ledger(schema_1).close()
    stages = {"a": "deliver", "b": "submit", "c": "submit", "d": None}
    assert [*ledger_reader.read_samples(schema_1), *ledger_reader.read_steps(schema_1)] == [
        {**row, "stage": stages[row["name"]]} if "stage" in row else row for row in before]
    assert [row["step"] for row in before[4:10]] == ["history", "send", "upload", "submit", "finish", "deliver"]
    assert select(schema_1, "SELECT value FROM meta WHERE name = 'schema'") == [("2",)] == [
        tuple(map(str, row)) for row in select(schema_1, "PRAGMA user_version")]


def test_a_ledger_of_schema_1_keeps_its_own_notes(schema_1):
    with Ledger(schema_1) as book:
        assert book.notes.history_mark == "19e64ff284"
        assert book.notes.histories == {"Copy: shared inputs": "0" * 15 + "2"}
        assert [dataset["id"] for dataset in book.notes.shared_uploads.values()] == ["0" * 15 + "4"]
        assert book.samples_named("c")[0].stage == Stage.SUBMIT


def test_every_note_of_schema_1_is_read_into_a_field():
    """The names are those that commit 376ef72 wrote."""
    same = {"purpose": "p", "workflow": "w", "files": {"f": [1, 2, ""]}, "title": "t", "folder": "d", "inputs": {},
            "asked": 1.0, "known": [], "tries": 2, "restarts": 1, "results": "r", "moving": {"name": "n"}}
    renamed = {"marked": True, "own": True, "asked_history": 1.0, "histories_before": ["h"], "sent": 2.0, "making": 3.0,
               "sent_again": 1, "tried": ["i"], "looked": [{}, 4.0], "stamp": "s"}
    notes = SampleNotes.from_json(json.dumps({**same, **renamed}))
    assert len(notes.present()) == len(same) + len(renamed) and same.items() <= notes.present().items()
    assert sorted(map(str, notes.present().values())) == sorted(map(str, [*same.values(), *renamed.values()]))
    whole = {"mark": "m", "histories": {"t": "h"}, "asked_history": 1.0, "histories_before": ["h"], "shared": {"f": {}},
             "seen": {"p": ["s", 1.0]}}
    assert list(map(str, LedgerNotes.from_json(json.dumps(whole)).present().values())) == [
        str(whole[name]) for name in ("mark", "histories", "asked_history", "histories_before", "shared", "seen")]


@pytest.mark.parametrize("moment", range(1, 30))
def test_a_kill_during_the_migration_of_schema_1_loses_nothing(schema_1, moment):
    """The kill comes before each of SQLite's statements: the ledger is of one schema or of the other, and complete."""
    status, out, err = run_python(KILLED_BEFORE, schema_1, moment)
    assert (out, err) == ("", "") and status in (0, -signal.SIGKILL)
    assert [row["name"] for row in ledger_reader.read_samples(schema_1)] == ["a", "b", "c", "d"]
    with Ledger(schema_1) as book:
        assert [sample.notes.title[:8] for sample in book.samples()] == ["a - Copy", "b - Copy", "c - Copy", "d - Copy"]
        assert [sample.notes.own_history for sample in book.samples()] == [True, True, True, False]


def test_a_database_of_another_program_is_refused_and_left_alone(path):
    select(path, "CREATE TABLE x (y)")
    before = path.read_bytes()
    assert refusal(path) == f"{path}: a database, but no ledger: name another file"
    with pytest.raises(GalaxyError, match="no ledger"):
        ledger_reader.count_states(path)
    assert path.read_bytes() == before and sorted(os.listdir(path.parent)) == [path.name, "home"]


@pytest.mark.parametrize("name, why", [
    ("text", "is no ledger: name another file"), ("folder", "not a file"), ("/dev/null", "not a file"),
    ("pipe", "not a file"), ("none/x", "No such file or directory"), ("text/x", "Not a directory"),
    ("x" * 300, "File name too long")])
def test_what_is_no_ledger_is_refused(tmp_path, name, why):
    (tmp_path / "text").write_text("sample\tpath\nS1\t/data/S1\n" * 100)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = sorted(os.listdir(tmp_path))
    assert refusal(tmp_path / name).endswith(f": {why}")
    with pytest.raises(GalaxyError, match=f": {why}$"):
        list(ledger_reader.read_samples(tmp_path / name))
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("left", [100, 5000, 20000])
def test_a_truncated_file_is_reported_as_damaged(path, left):
    create(path, *((f"S{number}", "ok") for number in range(200)))
    content = path.read_bytes()[:left]
    path.write_bytes(content)
    assert ": damaged (" in refusal(path) or left < 512
    with pytest.raises(GalaxyError, match=r": damaged \(|: no ledger"):
        list(ledger_reader.read_samples(path))
    assert path.read_bytes() == content


def test_a_lock_of_another_program_means_try_again_later(path, monkeypatch):
    monkeypatch.setattr(ledger_reader, "LOCK_TIMEOUT", 0.05)
    with Ledger(path) as book:
        unit = book.add("k", "S")
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(GalaxyError, match="another program has it locked: let that end first") as caught:
                unit.save(history="h")
            assert caught.value.exit_code == TRY_LATER and unit.history is None
            other.execute("ROLLBACK")
            unit.save(history="h")
            assert unit.history == "h"
        finally:
            other.close()


def test_a_full_disk_loses_nothing_that_was_saved(path):
    limits = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    status, out, err = run_python(f"{limits}resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))\n"
                             "sys.exit(run(lambda: Ledger(path).close()))", path)
    assert (status, out) == (FAILED, "") and err.count("\n") == 1 and f"{path}: " in err
    program = (f"{limits}def main():\n"
               "    with Ledger(path) as book:\n"
               "        resource.setrlimit(resource.RLIMIT_FSIZE, (500000, resource.RLIM_INFINITY))\n"
               "        for number in range(10000):\n"
               "            book.add(f'k{number}', 'S')\n"
               "            print(number, flush=True)\n"
               "sys.exit(run(main))\n")
    status, out, err = run_python(program, path)
    assert status == FAILED and err.count("\n") == 1 and f"{path}: " in err
    said = len(out.split())
    assert said > 10
    with Ledger(path) as book:
        assert count_states(book.path) in ({"waiting": said}, {"waiting": said + 1})
        book.add("new", "S")


def test_a_write_that_fails_half_way_changes_nothing(book):
    """SQLite's own full disk: no more pages."""
    unit = book.add("k", "S")
    book._database.execute("PRAGMA max_page_count = 20")
    with pytest.raises(GalaxyError, match="database or disk is full"):
        unit.save(title="x" * 100000, history="h")
    assert unit.history is None
    book._database.execute("PRAGMA max_page_count = 100000")
    unit.save(title="x" * 100000, history="h")
    assert unit.history == "h"


NOBODY = "os.setuid(65534)\n" if os.getuid() == 0 else ""


@pytest.fixture
def open_folder():
    """A folder that another user could read."""
    folder = Path("/tmp") / f"ledger-{os.getpid()}-{random.randrange(10**9)}"
    folder.mkdir(mode=0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("state", ["ended", "killed", "killed when all was in the file"])
def test_a_read_only_folder_can_be_read_unless_the_writer_was_killed(open_folder, state):
    path = open_folder / "a.ledger"
    end = "book.close()" if state == "ended" else \
        "book.tidy()\nbook._database.execute('PRAGMA wal_checkpoint(TRUNCATE)')\nos._exit(0)" \
        if state.endswith("file") else "os._exit(0)"
    assert run_python(f"book = Ledger(path)\nbook.add('k', 'S')\n{end}", path)[0] == 0
    assert path.with_name("a.ledger-wal").exists() == (state != "ended")
    path.with_name("a.ledger-shm").unlink(missing_ok=True)
    open_folder.chmod(0o555)
    before = {file.name: file.read_bytes() for file in open_folder.iterdir()}
    status, out, err = run_python(f"{NOBODY}sys.exit(run(lambda: print([row['key'] for row in read_samples(path)])))", path)
    if state == "killed":
        assert (status, out) == (FAILED, "") and "copy it with a.ledger-wal to a folder that can be written to" in err
    else:
        assert (status, out, err) == (0, "['k']\n", "")
    assert {file.name: file.read_bytes() for file in open_folder.iterdir()} == before


def test_missing_permissions_are_reported_in_one_line(open_folder):
    path = open_folder / "a.ledger"
    create(path, ("S1", "ok"))
    path.chmod(0o444)
    writes = f"{NOBODY}sys.exit(run(lambda: Ledger(path).close()))"
    open_folder.chmod(0o777)
    status, out, err = run_python(writes, path)
    assert (status, out) == (FAILED, "") and err.endswith(f"{path}: Permission denied\n")
    open_folder.chmod(0o555)
    status, out, err = run_python(writes, path)
    assert (status, out) == (FAILED, "") and err.endswith("a.ledger.lock: Permission denied\n")
    open_folder.chmod(0o755)
    path.chmod(0)
    status, out, err = run_python(f"{NOBODY}sys.exit(run(lambda: list(read_samples(path)) and 0))", path)
    assert (status, out) == (FAILED, "") and err.endswith(f"{path}: Permission denied\n")


def test_a_file_system_without_shared_memory_works_too(path, monkeypatch):
    """A file system without shared memory, which this VFS of SQLite stands for."""
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda place, **options: real(
        f"file:{path}?vfs=unix-none", **{**options, "uri": True}))
    with Ledger(path) as book:
        assert book._database.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
        book.add("k", "S").save(state="ok")
        assert count_states(book.path) == {"ok": 1}
    assert [row["state"] for row in ledger_reader.read_samples(path)] == ["ok"]


def test_the_default_folder_is_created_and_private(alone):
    path = ledger.ledger_path(None, ledger.state_path("ledgers", "x"))
    assert not path.parent.exists()
    Ledger(path).close()
    assert path.parent.stat().st_mode & 0o777 == 0o700 and path.stat().st_mode & 0o777 == 0o600
    assert ledger.ledger_path("y", path) == Path("y")


# -------------------------------------------------------------------------------------------------------- its readers

@pytest.mark.skipif(not SQLITE, reason="reads a copy with the program sqlite3")
def test_the_program_sqlite3_can_read_a_copy(path):
    with Ledger(path) as book:
        unit = book.add("k", "Größe", earlier_runs=[1])
        with unit.step(Stage.RUN):
            unit.save(state="failed", message="no way")
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    said = subprocess.run([SQLITE, copy, "select name, state, attempt, message, json_extract(notes, '$.earlier_runs[0]')"
                           " from units; select unit, step, outcome from steps;"
                           " pragma integrity_check; pragma user_version"],
                          capture_output=True, text=True)
    assert (said.stdout, said.stderr) == ("Größe|failed|0|no way|1\nk|run|ok\nok\n2\n", "")


def test_readers_see_complete_rows_while_it_is_written(path):
    writer = python(SAVE, path)
    try:
        last = int(writer.stdout.readline())
        for _ in range(30):
            row, = ledger_reader.read_samples(path)
            steps = list(ledger_reader.read_steps(path))
            assert row["notes"]["restarts"] >= last and len(steps) >= row["notes"]["restarts"]
            assert ledger_reader.count_states(path) == {"ok": 1}
            last = row["notes"]["restarts"]
        assert writer.poll() is None
        reading = ledger_reader.read_samples(path)
        next(reading)                       # a reader that has not ended
        now = next(ledger_reader.read_samples(path))["notes"]["restarts"]
        while int(writer.stdout.readline()) <= now:
            pass
        reading.close()
    finally:
        writer.kill()
        err = writer.communicate()[1]
    assert err == ""


def test_a_reader_in_the_writers_process_keeps_the_writers_lock(path):
    with Ledger(path) as book:
        book.add("k", "S")
        list(ledger_reader.read_samples(path))
        assert run_python("sys.exit(run(lambda: Ledger(path).close()))", path)[0] == TRY_LATER
        # SQLite's own lock: without it the other process would take the write-ahead log away
        assert "database is locked\n" in run_python("import sqlite3\nbase = sqlite3.connect(path)\n"
                                               "base.execute('pragma journal_mode = delete').fetchall()", path)[2]
        book.add("k2", "S")
    assert ledger_reader.count_states(path) == {"waiting": 2}


def test_reading_a_missing_ledger_creates_nothing(path):
    with pytest.raises(GalaxyError, match="No such file or directory"):
        list(ledger_reader.read_samples(path))
    assert os.listdir(path.parent) == ["home"]


def test_finished_samples_cost_nothing_to_skip(path):
    with Ledger(path) as book:
        with book.together():
            for number in range(10000):
                book.add(str(number), f"S{number}")
            book._database.execute("UPDATE units SET state = 'ok' WHERE rowid % 1000")
        seen = []
        book._database.set_trace_callback(seen.append)
        assert [unit.key for unit in book.samples("waiting", "running")] == [
            str(number) for number in range(999, 10000, 1000)]
        assert [unit.key for unit in book.samples_named("S77")] == ["77"]
        book._database.set_trace_callback(None)
        plans = [" ".join(row["detail"] for row in book._database.execute(f"EXPLAIN QUERY PLAN {query}")) for query in seen]
    assert len(plans) == 2 and "USING INDEX units_by_state (state=?)" in plans[0].replace("COVERING ", "")
    assert "USING INDEX units_by_name (name=?)" in plans[1].replace("COVERING ", "")
    assert [row["key"] for row in ledger_reader.read_samples(path)] == [str(number) for number in range(10000)]
    assert [row["key"] for row in ledger_reader.read_samples(path, ["waiting"])] == [
                                                      str(number) for number in range(999, 10000, 1000)]


# ------------------------------------------------------------------------------------------------------- ledger_show.py

@pytest.fixture
def full(path):
    register_secret(KEY)
    with Ledger(path) as book:
        for name, state, message in (("S1", "ok", None), ("S2", "failed", "job j2 is error"), ("S3", "waiting", None)):
            unit = book.add(f"k-{name}", name, place=f"/data/{name}", resends=1)
            if state != "waiting":
                with unit.step(Stage.UPLOAD):
                    unit.save(state="running", attempt=1, history="h", invocation="1e5")
                unit.save(state=state, message=message)
    return path


def test_samples_are_shown_as_a_table(full, script, capsys):
    assert script(ledger_show.main, full) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.splitlines()[0].split() == ledger_show.FIELDS
    assert [line.split()[:6] for line in out.splitlines()[2:4]] == [
        ["S1", "ok", "upload", "1", "h", "1e5"], ["S2", "failed", "upload", "1", "h", "1e5"]]
    assert out.splitlines()[4].split() == ["S3", "waiting", "0"]


def test_states_names_and_fields_select_what_is_shown(full, script, capsys):
    assert script(ledger_show.main, "--state=failed, waiting", "--format=json", "--fields=key,place,notes,message",
                  full) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"key": "k-S2", "place": "/data/S2", "notes": {"resends": 1}, "message": "job j2 is error"},
        {"key": "k-S3", "place": "/data/S3", "notes": {"resends": 1}, "message": None}]
    assert script(ledger_show.main, "--limit=1", "--format=value", "--fields=name", full) == 0
    assert script(ledger_show.main, "--name=S3", "--format=value", "--fields=name,state", full) == 0
    assert script(ledger_show.main, "--state=gone", "--format=jsonl", full) == 0
    assert capsys.readouterr() == ("S1\nS3\twaiting\n", "")


def test_steps_and_counts_are_shown_instead_of_samples(full, script, capsys):
    assert script(ledger_show.main, "--steps", "--format=csv", "--state=ok,failed", full) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ledger_show.STEP_FIELDS and [(row[0], row[1], row[2], row[5]) for row in rows[1:]] == [
        ("S1", "0", "upload", "ok"), ("S2", "0", "upload", "ok")]
    assert script(ledger_show.main, "--counts", "--format=value", full) == 0
    assert script(ledger_show.main, "--counts", "--format=value", "--state=ok", full) == 0
    assert capsys.readouterr() == ("failed\t1\nok\t1\nwaiting\t1\nok\t1\n", "")


@pytest.mark.parametrize("line, said", [
    (["--state=bad"], "--state: there is no state 'bad': there are waiting, running, ok, failed, fetch pending, "
                       "superseded, gone, cancelled"),
    (["--state="], "--state is empty: is a variable unset?"),
    (["--fields=colour"], "--fields: there is no colour: there are key, name, state"),
    (["--steps", "--fields=state"], "--fields: there is no state: there are key, name, attempt, step"),
    (["--limit=0"], "--limit=0"), (["--format=x"], "--format=x"), (["--steps", "--counts"], "ledger_show.py")])
def test_a_bad_command_line_is_refused(full, script, capsys, line, said):
    with Ledger(full) as book:
        book.sample("k-S3").save(state="cancelled")
    assert script(ledger_show.main, *line, full) == USAGE
    out, err = capsys.readouterr()
    assert out == "" and said in err


def test_a_state_that_only_this_ledger_has_can_be_selected(full, script, capsys):
    with Ledger(full) as book:
        book.sample("k-S3").save(state="cancelled")
    assert script(ledger_show.main, "--state=cancelled", "--format=value", "--fields=name", full) == 0
    assert capsys.readouterr() == ("S3\n", "")


def test_a_missing_ledger_is_reported(tmp_path, script, capsys):
    assert script(ledger_show.main, tmp_path / "none") == FAILED
    assert script(ledger_show.main, tmp_path) == FAILED
    assert script(ledger_show.main, "") == USAGE
    out, err = capsys.readouterr()
    assert out == "" and [line.partition(": ")[2] for line in err.splitlines()] == [
        f"{tmp_path}/none: No such file or directory", f"{tmp_path}: not a file", "FILE is empty: is a variable unset?"]
    assert os.listdir(tmp_path) == ["home"]


def test_memory_does_not_grow_with_the_number_of_rows(path):
    """40 megabytes of rows."""
    with Ledger(path) as book, book.together():
        book.add("0", "S", title="x" * 2000)
        book._database.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) INSERT "
                           "INTO units (key, name, state, attempt, notes) SELECT i, 'S' || i, 'ok', 1, "
                               "(SELECT notes FROM units) "
                           "FROM n")
    program = ("import resource, tracemalloc\nimport ledger_show\ntracemalloc.start()\n"
               "ledger_show.main(['--format=' + sys.argv[2], '--fields=name,notes', path])\n"
               "print(tracemalloc.get_traced_memory()[1], file=sys.stderr)\n")
    folders = [os.path.dirname(module.__file__) for module in (common, ledger_show)]
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(folders)}
    for style in ("csv", "jsonl"):
        done = subprocess.run([sys.executable, "-c", BEGIN + program, path, style], capture_output=True, text=True,
                              env=environment)
        assert done.stdout.count("\n") == 20000 + (style == "csv") and int(done.stderr) < 10_000_000


# ------------------------------------------------------------------------------------------- failures, for monitoring

@pytest.fixture
def failures(tmp_path):
    """The path of a ledger in which a and b have failed, the results of c could not be fetched, and d is ok."""
    with Ledger(tmp_path / "book") as book:
        for name, state in (("a", "failed"), ("b", "failed"), ("c", "fetch pending"), ("d", "ok"), ("e", "superseded")):
            book.add(name * 9, name, state=state, attempt=1, message=f"{name} said")
    return book.path


def check(path, *options):
    return ledger_show.main(["--check", *options, "--format=value", "--fields=name", str(path)])


def test_check_of_an_empty_file_is_no_good_news(tmp_path):
    (tmp_path / "lost").touch()
    with pytest.raises(GalaxyError, match="empty, so no ledger: was it lost"):
        check(tmp_path / "lost")


def test_check_is_not_0_while_something_has_failed_that_nobody_has_mended(failures, capsys):
    assert check(failures) == FAILED and capsys.readouterr().out.split() == ["a", "b", "c"]
    with Ledger(failures) as book:
        for sample in book.samples("failed", "fetch pending"):
            sample.save(state="ok")
    assert check(failures) == DONE and capsys.readouterr().out == ""


@pytest.mark.parametrize("at_work", [False, True])
def test_an_acknowledged_failure_is_silent_until_the_next_one(failures, capsys, at_work):
    """While a watcher that stays has the ledger, too: what it saves then leaves that as it is."""
    with Ledger(failures) if at_work else contextlib.nullcontext() as book:
        known = book.samples() if book else []
        assert ledger_show.main(["--acknowledge=a", "--acknowledge=c", str(failures)]) == DONE
        for sample in known:
            sample.save(message="said again")
        assert check(failures) == FAILED and capsys.readouterr().out.split() == ["b"]
    assert check(failures, "--acknowledge=b") == DONE and capsys.readouterr().out == ""
    with Ledger(failures) as book:
        book.samples_named("a")[0].save(attempt=2, state="failed")
    assert check(failures) == FAILED and capsys.readouterr().out.split() == ["a"]


@pytest.mark.parametrize("name", ["d", "nobody"])
def test_only_what_has_failed_can_be_acknowledged(failures, name):
    with pytest.raises(GalaxyError, match=f"--acknowledge={name}: no sample of that name has failed") as refused:
        ledger_show.main(["--acknowledge=a", f"--acknowledge={name}", str(failures)])
    assert refused.value.exit_code == USAGE and check(failures, "--name=a") == FAILED     # nor is anything else then


def test_what_is_no_ledger_can_not_be_checked(tmp_path):
    (tmp_path / "text").write_text("no ledger at all")
    for path in (tmp_path / "none", tmp_path / "text", tmp_path):
        for option in ("--check", "--acknowledge=a"):
            with pytest.raises(GalaxyError):
                ledger_show.main([option, str(path)])
    assert not (tmp_path / "none").exists()
