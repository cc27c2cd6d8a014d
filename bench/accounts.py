#!/usr/bin/env python3
"""Measure user_list.py on many users, against BioBlend asking for one after the other: seconds, requests and memory.

Usage:
  accounts.py [options]

Options:
  --users=N      how many users  [default: 3000]
  --histories=N  how many histories they have  [default: 20000]
  --delay=MS     how many milliseconds the server takes for an answer  [default: 20]
  --runs=N       how often each is measured, in turn  [default: 3]
  -h, --help     show this help
  --version      show the version

The server is the tests' fake on this machine, so that only what waits for it differs. Without BioBlend in bench/peers the
loop is one of requests, with its one connection. The bars: less than a third of the loop's time, and 60 MB.
"""
import statistics
import sys
import time

from local import ROOT, launched, peer_python

from common import arguments, int_option, run, show

LOOP = {
    "bioblend": "import sys; from bioblend.galaxy import GalaxyInstance; gi = GalaxyInstance(sys.argv[1], key=sys.argv[2])\n"
                "for one in gi.users.get_users(): print(gi.users.show_user(one['id'])['total_disk_usage'])",
    "requests": "import sys, requests; web = requests.Session(); web.headers['x-api-key'] = sys.argv[2]\n"
                "def get(path): return web.get(f'{sys.argv[1]}/api/{path}').json()\n"
                "for one in get('users'): print(get(f\"users/{one['id']}\")['total_disk_usage'])"}


def main(argv=None):
    args = arguments(__doc__, argv)
    users, histories, delay, runs = (int_option(args, name, 1) for name in ("--users", "--histories", "--delay", "--runs"))
    sys.path.insert(0, str(ROOT / "tests"))
    from fakes import KEY
    from fakes.accounts import FakeAccounts

    peer = "bioblend" if peer_python("bioblend") else "requests"
    loop = [peer_python(peer) or sys.executable, "-c", LOOP[peer]]
    script = [sys.executable, ROOT / "scripts" / "user_list.py", "--format=csv"]
    rows = []
    with FakeAccounts() as galaxy:
        people = galaxy.add_people(users)
        for number in range(histories):
            galaxy.add_history(people[number % users], update_time=f"2026-01-{1 + number % 28:02}T10:00:00.000000")
        galaxy.delay = delay / 1000
        lines = {f"a loop of {peer}": loop, "--usage": [*script, "--usage"], "no option": script,
                 "--usage --activity": [*script, "--usage", "--activity"]}
        for what, line in lines.items():
            words, times = [galaxy.url, KEY] if line is loop else [KEY, galaxy.url], []
            for _ in range(runs):
                galaxy.asked.clear()
                time.sleep(0.5)
                times.append(launched([*line, *words]))
            rows.append({"what": what, "seconds": round(statistics.median(seconds for seconds, _ in times), 1),
                         "requests": len(galaxy.asked), "memory (MB)": round(max(memory for _, memory in times) / 1e6)})
    for row in rows:
        row["of the loop's time"] = round(row["seconds"] / rows[0]["seconds"], 2)
    show(rows, "table")


if __name__ == "__main__":
    sys.exit(run(main))
