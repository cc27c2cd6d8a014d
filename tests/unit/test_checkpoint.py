"""What a run notes for the next one."""
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes import KEY, URL

import common
from common import TRY_LATER, Galaxy, GalaxyError
from galaxy_api_scripts import checkpoint
from galaxy_api_scripts.checkpoint import Checkpoint


def a_record(*about, key=KEY, url=URL):
    return Checkpoint(Galaxy(key, url), "the thing", *(about or ("x",)))


def test_notes_outlive_the_checkpoint():
    with a_record() as record:
        record.save(session="s1", offset=5)
        record.save(offset=None)
    with a_record() as record:
        assert record.data == {"session": "s1"} and record.is_kept
        record.remove()
    with a_record() as record:
        assert record.data == {}
    assert list(checkpoint.checkpoint_folder().iterdir()) == []


def test_each_work_key_and_server_has_its_own_checkpoint():
    with a_record() as one, a_record("y") as two, a_record(key="fedcba9876543210fedcba9876543210") as three, \
            a_record(url="http://other.test") as four:
        assert len({record.name for record in (one, two, three, four)}) == 4


def test_a_shorter_note_hides_the_longer_one_before():
    with a_record() as record:
        record.save(name="x" * 1000)
        record.save(name="y")
    with a_record() as record:
        assert record.data == {"name": "y"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]\n", b"\xff\n", b"null\n"])
def test_a_damaged_file_counts_as_empty(content):
    with a_record() as record:
        record.save(x=1)
        path = record.path
    path.write_bytes(content)
    with a_record() as record:
        assert record.data == {}


def test_two_processes_cannot_hold_one_checkpoint():
    with a_record(), pytest.raises(GalaxyError, match="the thing: another run is at work on it") as caught:
        a_record()
    assert caught.value.exit_code == TRY_LATER
    a_record().close()


def test_a_killed_process_releases_its_checkpoint(tmp_path):
    program = ("import os, sys\nfrom common import Galaxy\nfrom galaxy_api_scripts.checkpoint import Checkpoint\n"
               f"record = Checkpoint(Galaxy('{KEY}', '{URL}'), 'x', 'x')\n"
               "record.save(session='s1')\nos.kill(os.getpid(), 9)\n")
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(common.__file__)}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == -9
    with a_record() as record:
        assert record.data == {"session": "s1"}


def test_other_users_cannot_read_it():
    with a_record() as record:
        record.save(session="a secret")
        assert os.stat(record.path).st_mode & 0o077 == 0 and os.stat(record.path.parent).st_mode & 0o077 == 0


def test_expired_ones_are_removed():
    with a_record() as old, a_record("y") as new:
        old.save(x=1)
        new.save(x=1)
        os.utime(old.path, (0, time.time() - 9 * 86400))
    checkpoint.remove_expired.cache_clear()
    with a_record() as record:
        assert record.data == {} and len(list(checkpoint.checkpoint_folder().iterdir())) == 2


def test_it_works_without_a_state_folder(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nosuch")
    with a_record() as record:
        record.save(x=1)
        assert record.data == {"x": 1} and not record.is_kept
        record.remove()


def test_a_checkpoint_that_another_process_makes_at_once_is_not_removed_too(monkeypatch):
    unlink, others = Path.unlink, []

    def race(path, **options):
        unlink(path, **options)
        if not others:
            others.append(a_record())
            others[0].save(asked=1)

    record = a_record()
    record.save(asked=1)
    monkeypatch.setattr(Path, "unlink", race)
    record.remove()
    others[0].close()
    assert a_record().data == {"asked": 1}
