#!/usr/bin/env python3
"""Run a real Galaxy of your own, for trying things out: install, start, stop and describe it.

Usage:
  galaxy_local.py [options] [--set=NAME=VALUE]... (install | start | stop | status | log | env)

Commands:
  install      install it once (1.3 GB, minutes), start nothing
  start        install it unless that was done, start it, wait until it answers
  stop         stop it; its data stays
  status       whether it runs, and where things are; exits 1 when it is stopped
  log          the end of its logs
  env          lines that set GALAXY_URL and GALAXY_API_KEY in a shell

Options:
  --release=NUMBER  24.1, 24.2, 25.0, 25.1, 26.0 or 26.1: the last one of that; without it the one that is there, else the
                    newest. Without --home, a release that the folder below does not hold is in one beside it, such as
                    .galaxy-24.1
  --port=N          start: its port, kept for the next time (8080 at first)
  --with-toolshed   install, start: a Tool Shed too, on a port 929 higher, with the repository `tally` in it
  --set=NAME=VALUE  start: a setting of galaxy.yml (VALUE is YAML; empty: without this setting), kept for the next time
  --processes=N     start: how many answer requests, kept for the next time (1 at first)
  --home=DIR        the folder of all its files; without it $GALAXY_LOCAL_HOME, or .galaxy in a checkout, or
                    ~/.local/share/galaxy-api-scripts/galaxy
  --lines=N         log: how much of each  [default: 40]
  -h, --help        show this help
  --version         show the version

First steps:
  galaxy_local.py start && eval "$(galaxy_local.py env)" && display.py - /api/version
"""
import os
import shlex
import sys
from pathlib import Path

import common
from common import DONE, FAILED, USAGE, GalaxyError, arguments, int_option, run
from galaxy_api_scripts.local_server.configuration import ADMINISTRATOR, parse_setting
from galaxy_api_scripts.local_server.home import LOCK, PROCESSES, galaxy_url, open_home, read_state, read_tail, toolshed_url
from galaxy_api_scripts.local_server.installation import (
    RELEASE,
    RELEASES,
    install,
    install_toolshed,
    installed_release,
)
from galaxy_api_scripts.local_server.processes import is_process_running, wait_for_lock
from galaxy_api_scripts.local_server.server import start_galaxy, stop_all


def main(argv=None):
    args = arguments(__doc__, argv)
    series = args["--release"]
    if series is not None and series not in RELEASES:
        raise GalaxyError(f"--release={series}: expected one of {', '.join(RELEASES)}", USAGE)
    home = find_home(args["--home"], series)
    port, lines = int_option(args, "--port", 1), int_option(args, "--lines", 1)
    if port and port > 65535:
        raise GalaxyError(f"--port={port}: ports end at 65535", USAGE)
    settings = dict(parse_setting(text) for text in args["--set"])

    if args["install"]:
        with open_home(home) as lock:
            install(home, lock, series)
            if args["--with-toolshed"]:
                install_toolshed(home, lock)
        return DONE
    if args["start"]:
        return start(home, port, settings, args["--with-toolshed"], series, int_option(args, "--processes", 1))
    if args["stop"]:
        return stop(home)
    if args["status"]:
        return print_status(home)
    if args["log"]:
        return print_logs(home, lines)
    return print_environment(home)


def find_home(given, series):
    """Return the folder `given`; else the usual one, or the one beside it for a release that the usual one does not hold."""
    usual = given or os.environ.get("GALAXY_LOCAL_HOME") or default_home()
    home = Path(os.path.expanduser(usual)).resolve()
    held = (installed_release(home) or RELEASE).rpartition(".")[0]
    return home if given or series in (None, held) else home.with_name(f"{home.name}-{series}")


def default_home():
    checkout = Path(common.__file__).resolve().parent
    if (checkout / "setup.cfg").exists():
        return checkout / ".galaxy"
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "galaxy-api-scripts" / "galaxy"


def start(home, port, settings, with_toolshed, series, web_processes):
    with open_home(home) as lock:
        state, already = start_galaxy(home, lock, port, settings, with_toolshed, series, web_processes)
    print(f"Galaxy {installed_release(home)} {'runs already' if already else 'runs'} on {galaxy_url(state)}")
    if is_process_running(state.get("toolshed")):
        print(f"its Tool Shed: {toolshed_url(state)}")
    print(f"administrator's key: {home / 'key'}")
    return DONE


def stop(home):
    stopped = False
    if (home / LOCK).exists():
        with wait_for_lock(home / LOCK):
            stopped = stop_all(home, read_state(home))
    print("stopped" if stopped else "it is not running")
    return DONE


def print_status(home):
    state = read_state(home)
    server, worker = (is_process_running(state.get(name)) for name in ("server", "worker"))
    rows = {
        "state": "stopped" if not server else "running" if worker else "running without its worker: start it again",
        "url": galaxy_url(state),
        "server": f"process {state['server']['pid']}" if server else "none",
        "worker": f"process {state['worker']['pid']}" if worker else "none",
        "tool shed": toolshed_url(state) if is_process_running(state.get("toolshed")) else "none",
        "release": installed_release(home) or "not installed",
        "home": home,
        "logs": home / "logs",
        "key file": home / "key",
        "administrator": ADMINISTRATOR,
        "password file": home / "password",
        "import": home / "import",
    }
    for name, value in rows.items():
        print(f"{name:<14} {value}")
    return DONE if server else FAILED


def print_logs(home, lines):
    logs = [path for path in (home / "logs" / f"{name}.log" for name in ("install", *PROCESSES)) if path.exists()]
    if not logs:
        raise GalaxyError(f"no logs in {home / 'logs'}: it was never started there")
    for path in logs:
        print(f"==> {path} <==", read_tail(path, lines) or "(nothing)", sep="\n", end="\n\n")
    return DONE


def print_environment(home):
    state = read_state(home)
    if not is_process_running(state.get("server")) or not (home / "key").exists():
        raise GalaxyError(f"no Galaxy runs in {home}: `galaxy_local.py start` first, with the same --home")
    print(f"export GALAXY_URL={shlex.quote(galaxy_url(state))}")
    print(f"export GALAXY_API_KEY={shlex.quote((home / 'key').read_text().strip())}")
    if is_process_running(state.get("toolshed")):
        print(f"export GALAXY_TOOL_SHED_URL={toolshed_url(state)}")
    return DONE


if __name__ == "__main__":
    sys.exit(run(main))
