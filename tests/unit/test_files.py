"""Files that get their name when they are complete, locks, and the state folder."""
import os
import stat
import subprocess
import sys
import threading

import pytest

from common import FAILED, TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts import files


def test_output_goes_to_a_file_or_to_standard_output(tmp_path, capsys):
    files.write_output("é\n", tmp_path / "a")
    files.write_output("out\n", "-")
    assert (tmp_path / "a").read_bytes() == "é\n".encode() and capsys.readouterr().out == "out\n"
    assert os.listdir(tmp_path) in (["a", "home"], ["home", "a"])


def test_an_existing_file_is_kept_unless_it_may_be_overwritten(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(GalaxyError, match="--to=.*/a: it is there already: move it away, or give --force") as caught:
        files.write_output("x", tmp_path / "a")
    assert caught.value.exit_code == FAILED and (tmp_path / "a").read_text() == "mine"
    files.write_output("x", tmp_path / "a", overwrite=True)
    assert (tmp_path / "a").read_text() == "x"


@pytest.mark.parametrize("name", ["", "none/a", "folder", "pipe"])
def test_a_place_where_no_file_can_be_written_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GalaxyError, match="--record=.*: not a file's name in a folder that can be written to") as caught:
        files.check_writable(str(tmp_path / name) if name else "", overwrite=True, option="--record")
    assert caught.value.exit_code == USAGE


def test_a_folder_that_can_not_be_made_is_a_usage_error_that_names_its_option(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(GalaxyError, match="--download=.*/a/results: Not a directory") as caught:
        files.prepare_folder(f"{tmp_path}/a/results", "--download")
    assert caught.value.exit_code == USAGE


def test_a_folder_without_a_name_is_refused():
    """Not taken for the current one."""
    with pytest.raises(GalaxyError, match="--to is empty: is a variable unset"):
        files.prepare_folder("")


def test_a_file_that_appears_during_the_write_is_kept(tmp_path, monkeypatch):
    publish = files.publish

    def publish_late(part, path, overwrite):
        path.write_text("another's")
        publish(part, path, overwrite)
    monkeypatch.setattr(files, "publish", publish_late)
    with pytest.raises(GalaxyError, match="it is there already"):
        files.write_output("x", tmp_path / "a")
    assert (tmp_path / "a").read_text() == "another's" and sorted(os.listdir(tmp_path)) == ["a", "home"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GalaxyError, match="--record=.*/a: No space left on device"):
        files.write_output("x", tmp_path / "a", option="--record")
    assert os.listdir(tmp_path) == ["home"]


@pytest.mark.parametrize("name", ["link", "../x", "link/x", "file", "/tmp/x"])
def test_a_samples_folder_lies_in_the_folder_of_results(tmp_path, name):
    """Its name comes from a sheet that somebody sent, and may have been turned into a link meanwhile."""
    root = tmp_path / "results"
    assert files.prepare_folder_below(root, "S 1") == root / "S 1" and (root / "S 1").is_dir()
    (root / "link").symlink_to(tmp_path)
    (root / "file").touch()
    with pytest.raises(GalaxyError, match="nothing is written there"):
        files.prepare_folder_below(root, name)
    assert sorted(os.listdir(tmp_path)) == ["home", "results"]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_an_atomic_write_takes_bytes_and_a_mode(tmp_path, umask):
    files.write_atomic(tmp_path / "a", b"\xff", mode=0o600)
    assert (tmp_path / "a").read_bytes() == b"\xff" and mode(tmp_path / "a") == 0o600 & ~umask
    with pytest.raises(FileExistsError):
        files.write_atomic(tmp_path / "a", b"x")
    files.write_atomic(tmp_path / "a", b"new", overwrite=True)
    assert (tmp_path / "a").read_bytes() == b"new" and mode(tmp_path / "a") == 0o666 & ~umask
    assert sorted(os.listdir(tmp_path)) == ["a", "home"]


def test_what_a_killed_write_left_behind_does_not_stop_the_next(tmp_path):
    (tmp_path / f".a.{os.getpid()}.part").symlink_to(tmp_path / "elsewhere")
    files.write_atomic(tmp_path / "a", b"x")
    assert sorted(os.listdir(tmp_path)) == ["a", "home"]


def test_the_state_folder_is_its_owners_alone_whatever_the_umask(alone, umask, monkeypatch):
    (alone / ".local" / "state").mkdir(parents=True)
    (alone / ".local").chmod(0o755)
    (alone / ".local" / "state").chmod(0o755)
    folder = files.state_folder("one", "two")
    assert folder == alone / ".local" / "state" / "galaxy-api-scripts" / "one" / "two"
    assert [mode(path) for path in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    files.create_private(folder / "x")
    assert mode(folder / "x") == 0o600 & ~umask
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert files.state_folder("one", "two") == folder


def test_a_state_folder_that_others_could_read_is_closed_to_them(alone):
    files.state_path("transfers").mkdir(parents=True)
    for path in (files.state_path(), files.state_path("transfers")):
        path.chmod(0o755)
    assert mode(files.state_folder("transfers")) == 0o700 and mode(files.state_path()) == 0o700


def test_only_one_holds_a_lock(tmp_path):
    path = tmp_path / "lock"
    with files.hold_lock(path, "library l1"):
        assert mode(path) == 0o600
        with pytest.raises(GalaxyError, match="another run is at work on library l1: let it end first") as caught, \
                files.hold_lock(path, "library l1"):
            pass
    assert caught.value.exit_code == TRY_LATER
    with files.hold_lock(path), files.hold_lock(tmp_path, on_wait=lambda: None):    # a folder has one too
        pass


def test_a_lock_can_be_waited_for(tmp_path):
    waiting, held = threading.Event(), []

    def wait():
        with files.hold_lock(tmp_path / "lock", on_wait=waiting.set):
            held.append("second")
    with files.hold_lock(tmp_path / "lock"):
        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(30)
        held.append("first")
    thread.join()
    assert held == ["first", "second"]


def test_a_lock_file_that_its_holder_removed_is_made_again(tmp_path):
    path, waiting = tmp_path / "lock", threading.Event()
    threads = [threading.Thread(target=lambda: os.close(files.open_locked(path, on_wait=waiting.set)))]
    with files.hold_lock(path):
        threads[0].start()
        assert waiting.wait(30)
        path.unlink()
    threads[0].join()
    assert path.exists()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        files.open_locked(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()


def test_a_system_without_locks_is_reported_in_one_line(tmp_path):
    program = (f"import sys\nsys.modules['fcntl'] = None\nsys.path.insert(0, {os.path.dirname(files.__file__) + '/..'!r})\n"
               "from pathlib import Path\nfrom common import run\nfrom galaxy_api_scripts import checkpoint, files\n"
               f"def main():\n    files.write_atomic(Path({str(tmp_path / 'a')!r}), b'x')\n"
               f"    files.open_locked(Path({str(tmp_path / 'lock')!r}))\nsys.exit(run(main))\n")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (FAILED, "") and (tmp_path / "a").read_bytes() == b"x"
    assert ended.stderr == "-c: this needs file locks, which Windows lacks: use Linux, macOS or WSL\n"
