"""The benchmarks, which only `make bench` runs, still fit what they measure."""
import contextlib
import importlib
import sys
from datetime import datetime, timezone
from pathlib import Path
from unittest.mock import patch

import pytest
from fakes import KEY
from fakes.administration import AdministeredGalaxy
from fakes.roads import FarRoad

from common import Galaxy, GalaxyError

BENCH = Path(__file__).parents[2] / "bench"
NAMES = [path.stem for path in sorted(BENCH.glob("*.py")) if "def main(argv=None)" in path.read_text()]


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    with patch.dict(sys.modules):
        for name in NAMES:      # scripts have some of these names too
            sys.modules.pop(name, None)
        yield importlib.import_module


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


def test_a_far_road_cuts_connections_where_it_is_told_to(wire):
    dataset = wire.create_dataset("a.txt", bytes(10_000))
    with contextlib.closing(FarRoad(wire.url, delay=0, life=1)) as road, \
            pytest.raises(GalaxyError, match="connection broke"):
        Galaxy(KEY, road.url).request("GET", f"datasets/{dataset}/display", patience=0)


def test_a_far_row_tells_which_peer_fails_or_is_missing(load, wire, monkeypatch):
    far, ways = load("far"), []
    monkeypatch.setattr(far, "REST", 0)

    def seconds(near, distant):
        return lambda galaxy: [near if galaxy.get("version") and not ways[-1] else distant]

    def failing(galaxy):
        raise GalaxyError("python -I -c ends with 1: Traceback\n  somewhere\nConnectionError: reset by peer")

    monkeypatch.setattr(far, "FarRoad", lambda base, *how: ways.append(how[0]) or FarRoad(base, *how))
    contestants = {"ours": seconds(2, 3), "BioBlend": seconds(4, 5), "curl": failing, "other": None}
    took = far.measure(Galaxy(KEY, wire.url), {"near": (0,), "far": (0.001,)}, 2, contestants)
    assert far.cells("what", "BioBlend", took, 0.5, 1.5) == [
        "what", "BioBlend", "2.00", "4.00", "0.50", "3.00", "5.00", "0.60", "0.5 missed", "1.50", "1.5 met"]
    near, _, ours, distant, *rest = far.cells("what", "curl", took, 0.5, None)[3:9]
    assert near == distant and near.startswith("fails: ") and near.endswith("ConnectionError: reset by peer")
    assert [ours, *rest] == ["3.00", "", ""]
    assert far.cells("what", "other", took, None, None)[3] == "not installed"
    with pytest.raises(GalaxyError, match="reset by peer"):
        far.measure(Galaxy(KEY, wire.url), {"near": (0,)}, 1, {"ours": failing})


def test_far_rows_hand_our_transfers_on(load, tmp_path):
    far = load("far")
    setting = far.Setting(None, tmp_path, None, 4, 1)
    assert (setting.options(), setting.options(6)) == ([], ["--transfers=6"])
    assert setting._replace(transfers=2).options(6) == ["--transfers=2"]


def test_lists_of_an_administrator_cost_few_requests(load, script, capsys, tmp_path):
    """A sample of bench/administration.py: its requests, not its times."""
    administration = load("administration")
    with AdministeredGalaxy(users=30) as galaxy:
        galaxy.now = datetime.now(timezone.utc)
        galaxy.fill(1200)
        shared = sum(one["slug"] is not None for one in galaxy.histories.values())
        for name, options, behind, count in (
                ("disk_usage", [], [], 1 + 1 + 1 + 30), ("disk_usage", ["--by=history"], [], 1 + 3),
                ("history_expire", ["--warn", f"--mails={tmp_path}/m"], [tmp_path / "expiry.db"], 5 + 2 + shared),
                ("history_expire", ["--delete"], [tmp_path / "expiry.db"], 5)):
            galaxy.asked.clear()
            assert script(importlib.import_module(name).main, *options, KEY, galaxy.url, *behind) == 0
            assert len(galaxy.asked) == count, galaxy.lines
    assert administration.row("disk_usage", ["--by=history", "--own"], 4, (1.0, 30e6), (4.0, 0)) == [
        "`disk_usage.py --by=history`", 4, "1.0", "4.0", "0.25", "0.33 met", "30"]
    assert len(list((tmp_path / "m").iterdir())) == 30
    capsys.readouterr()
