"""The benchmarks, which only `make bench` runs, still fit what they measure."""
import contextlib
import importlib
from pathlib import Path

import pytest
from fakes import KEY
from fakes.roads import FarRoad

from common import Galaxy

BENCH = Path(__file__).parents[2] / "bench"
NAMES = [path.stem for path in sorted(BENCH.glob("*.py")) if "def main(argv=None)" in path.read_text()]


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_can_be_loaded(load, script, name, capsys):
    assert script(load(name).main, "--help") == 0 and f"  {name}.py [options]" in capsys.readouterr().out


def test_the_bytes_alone_go_up_and_down(load, wire, tmp_path):
    transfer, galaxy, file = load("transfer"), Galaxy(KEY, wire.url), tmp_path / "large.bin"
    file.write_bytes(b"abc")
    for how in ("hashed", "plain"):
        transfer.timed_inside(transfer.SEND, galaxy, file, how)
    assert wire.count("POST upload", "DELETE upload") == 4 and wire.sessions == {}
    transfer.timed_inside(transfer.RECEIVE, galaxy, wire.create_dataset("a.txt", b"abc"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"abc"


def test_a_far_road_carries_all_in_its_order(wire):
    content = b"".join(b"%07d\n" % number for number in range(200_000))
    dataset = wire.create_dataset("a.txt", content)
    with contextlib.closing(FarRoad(wire.url, delay=0.01)) as road:
        galaxy = Galaxy(KEY, road.url)
        for _ in range(2):      # on one connection
            assert galaxy.request("GET", f"datasets/{dataset}/display").content == content
