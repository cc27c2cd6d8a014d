#!/usr/bin/env python3
"""Measure what lists of all users and histories cost an administrator: requests, seconds and memory, with BioBlend in turn.

Usage:
  administration.py [options]

Options:
  --users=N            of the fake Galaxy, 0 for none of it  [default: 3000]
  --histories=N        of the fake Galaxy  [default: 20000]
  --delay=SECONDS      that it takes for a request  [default: 0.01]
  --row-delay=SECONDS  and for each history in an answer  [default: 0.001]
  --live=N             of histories made on a real Galaxy, 0 for none  [default: 200]
  -h, --help           show this help
  --version            show the version

A fake Galaxy, in a process of its own, stands for a server with as many users and histories as no test can make. Then the
Galaxy of galaxy_local.py; if it does not run, starts it, and stops it at the end. BioBlend's loop is what its methods offer:
a list, and then each user or history by itself. Requests are those that the server counts.
"""
import contextlib
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone

from fakes import KEY
from fakes.roads import Road
from local import ROOT, a_galaxy, about, heading, launched, peer_python, print_row

from common import Galaxy, arguments, int_option, run

COLUMNS = ["what", "requests", "ours (s)", "theirs (s)", "ours / theirs", "bar", "memory (MB; bar 60)"]
BAR = 0.33
USERS = """import sys
from bioblend.galaxy import GalaxyInstance
galaxy = GalaxyInstance(sys.argv[2], key=sys.argv[1])
rows = [galaxy.users.show_user(one["id"]) for one in galaxy.users.get_users()]
print(len(sorted(rows, key=lambda one: -one["total_disk_usage"])))
"""
HISTORIES = """import sys
from bioblend.galaxy import GalaxyInstance
galaxy = GalaxyInstance(sys.argv[2], key=sys.argv[1])
options = {"update_time_max": sys.argv[4]} if sys.argv[4:] else {}
listed = galaxy.histories.get_histories(all=sys.argv[3] == "all", **options)
rows = [galaxy.histories.show_history(one["id"]) for one in listed]
print(len([one for one in rows if not one["published"] and not one["importable"]]))
"""


def main(argv=None):
    args = arguments(__doc__, argv)
    users, histories, live = (int_option(args, f"--{name}") for name in ("users", "histories", "live"))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)     # modules are compiled once, as for any user
    if users:
        with a_fake(users, histories, args["--delay"], args["--row-delay"]) as url:
            galaxy = Galaxy(KEY, url)
            galaxy.get("/asked")
            heading(f"{about(galaxy, 'bioblend')}: a fake of {users:,} users and {histories:,} histories", COLUMNS)
            measure(galaxy, url, lambda: sum(galaxy.get("/asked").values()), "all")
    if live:
        with a_galaxy() as galaxy, own_histories(galaxy, live) as key, Road(galaxy.base) as road:
            print()
            heading(f"{about(galaxy, 'bioblend')}: {live} histories of one user", COLUMNS)
            measure(Galaxy(key, road.url), road.url, lambda: count_road(road), "own")


def measure(galaxy, url, count, whose):
    """Print a row for each script, of everybody's things or the key's own."""
    own = ["--own"] * (whose == "own")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"
        warn = [*own, "--warn", "--older-than=0" if own else "--older-than=180", f"--mails={folder}/mails", "--format=csv"]
        before = [] if own else [f"{datetime.now(timezone.utc) - timedelta(days=180):%Y-%m-%d}"]
        jobs = [] if own else [("disk_usage", ["--format=csv"], [], USERS)]
        if not own and (ROOT / "scripts" / "user_list.py").exists():
            jobs.append(("user_list", ["--usage", "--format=csv"], [], USERS))
        jobs += [("disk_usage", [*own, "--by=history", "--format=csv"], [], HISTORIES),
                 ("history_expire", warn, [f"{folder}/expiry.db"], HISTORIES)]
        for name, options, behind, theirs in jobs:
            count()
            ours = launched([sys.executable, ROOT / "scripts" / f"{name}.py", *options, galaxy.key, url, *behind])
            count_ours = count()
            peer = time_peer(theirs, galaxy.key, url, whose, *before * (name == "history_expire"))
            print_row(row(name, options, count_ours, ours, peer))


def row(name, options, requests, ours, theirs):
    """Return the cells for a script: `ours` and `theirs` are seconds and bytes."""
    shown = " ".join([f"{name}.py", *(one for one in options if one.startswith(("--by", "--usage", "--warn")))])
    ratio = ours[0] / theirs[0] if theirs else None
    return [f"`{shown}`", requests, f"{ours[0]:.1f}", f"{theirs[0]:.1f}" if theirs else "not installed",
            "" if ratio is None else f"{ratio:.2f}", "" if ratio is None else f"{BAR} {'met' if ratio <= BAR else 'missed'}",
            f"{ours[1] / 1e6:.0f}"]


def time_peer(code, *words):
    """Return the seconds and bytes that BioBlend takes; None where it is not installed."""
    python = peer_python("bioblend")
    return python and launched([python, "-I", "-c", code, *words], patience=3600)


@contextlib.contextmanager
def a_fake(users, histories, delay, row_delay):
    """Yield the address of a fake Galaxy in a process of its own."""
    line = [sys.executable, "-m", "fakes.administration", *map(str, (users, histories, delay, row_delay))]
    with subprocess.Popen(line, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextlib.contextmanager
def own_histories(galaxy, count):
    """Yield the key of a new user with so many histories, which are purged at the end."""
    name = f"bench-{os.getpid()}"
    user = galaxy.post("users", {"username": name, "email": f"{name}@example.org", "password": os.urandom(12).hex()})
    own = Galaxy(galaxy.call("POST", f"users/{user['id']}/api_key"), galaxy.base)
    made = [own.post("histories", {"name": f"bench {number}"})["id"] for number in range(count)]
    try:
        yield own.key
    finally:
        for history in made:
            own.delete(f"histories/{history}", {"purge": True})
        galaxy.delete(f"users/{user['id']}")


def count_road(road):
    """Return how many requests went by since the last time."""
    count = len(road.asked)
    road.asked.clear()
    return count


if __name__ == "__main__":
    sys.exit(run(main))
