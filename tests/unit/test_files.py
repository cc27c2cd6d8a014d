"""Files that have their name only once all of them is there."""
import os

import pytest

from common import FAILED, USAGE, GalaxyError
from galaxy_api_scripts import files


def test_a_file_and_standard_output(tmp_path, capsys):
    files.write_atomic("é\n", tmp_path / "a")
    files.write_atomic("out\n", "-")
    assert (tmp_path / "a").read_bytes() == "é\n".encode() and capsys.readouterr().out == "out\n"
    assert os.listdir(tmp_path) in (["a", "home"], ["home", "a"])


def test_what_is_there_stays_unless_told(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(GalaxyError, match="--to=.*/a: it is there already: move it away, or give --force") as caught:
        files.write_atomic("x", tmp_path / "a")
    assert caught.value.exit_code == FAILED and (tmp_path / "a").read_text() == "mine"
    files.write_atomic("x", tmp_path / "a", overwrite=True)
    assert (tmp_path / "a").read_text() == "x"


@pytest.mark.parametrize("name", ["", "none/a", "folder", "pipe"])
def test_no_place_for_a_file(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GalaxyError, match="--record=.*: not a file's name in a folder that can be written to") as caught:
        files.check_writable(str(tmp_path / name) if name else "", overwrite=True, option="--record")
    assert caught.value.exit_code == USAGE


def test_a_file_that_came_meanwhile_stays(tmp_path, monkeypatch):
    real = files.publish

    def name(part, path, overwrite):
        path.write_text("another's")
        real(part, path, overwrite)
    monkeypatch.setattr(files, "publish", name)
    with pytest.raises(GalaxyError, match="it is there already"):
        files.write_atomic("x", tmp_path / "a")
    assert (tmp_path / "a").read_text() == "another's" and sorted(os.listdir(tmp_path)) == ["a", "home"]


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GalaxyError, match="--record=.*/a: No space left on device"):
        files.write_atomic("x", tmp_path / "a", option="--record")
    assert os.listdir(tmp_path) == ["home"]
