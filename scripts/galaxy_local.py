#!/usr/bin/env python3
"""A real Galaxy of your own, for trying things out: install, start, stop and describe it.

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
  --port=N          start: where it answers, kept for the next time (8080 at first)
  --with-toolshed   install, start: a Tool Shed too, 929 ports further on, with the repository of demo/repository in it
  --set=NAME=VALUE  start: a setting of galaxy.yml (VALUE is YAML; empty: without this setting), kept for the next time
  --home=DIR        where all of it lives; without it $GALAXY_LOCAL_HOME, or .galaxy beside README.md
  --lines=N         log: how much of each  [default: 40]
  -h, --help        show this

A first acquaintance:
  python galaxy_local.py start && eval "$(python galaxy_local.py env)" && python display.py - /api/version
"""
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from string import Template
from xml.sax.saxutils import escape

import common
from common import (
    DONE,
    REFUSED,
    USAGE,
    Galaxy,
    Refused,
    arguments,
    run,
    say,
    whole_number,
)
from processes import (
    begin,
    check_port,
    clean_environment,
    end,
    heads_of,
    is_running,
    listens,
    locked,
    works_in,
    write_private,
)
from toolsheds import publish

RELEASE = "26.1.1"
PARTS = ["web-apps", "app", "auth", "config", "data", "files", "job-execution", "job-metrics", "navigation",
         "objectstore", "schema", "tool-shed-schema", "tool-util", "tool-util-models", "tours", "util", "web-framework",
         "web-stack"]
PYTHONS = [(3, minor) for minor in (11, 12, 13, 10)]    # what this release runs on, the best tried first
NEEDED = 2_500_000_000      # bytes free for the installation, pip's temporary files included
PORT = 8080
TOOL_SHED = 929             # its port, counted from Galaxy's: 9009 is the usual one
ADMINISTRATOR = "admin@example.org"
LOCK = "galaxy_local.lock"  # also the mark of a folder that is ours
PATIENCE = 600              # seconds for a start, on a slow disk
PROCESSES = ("server", "worker", "toolshed")

PROJECT = Path(common.__file__).resolve().parent    # not of this file: pip copies scripts elsewhere
DEMO = PROJECT / "demo"
SETTINGS = DEMO / "galaxy"


def main(argv=None):
    args = arguments(__doc__, argv)
    if args["--home"] == "":
        raise Refused("--home= is empty: is a variable unset?", USAGE)
    named = args["--home"] or os.environ.get("GALAXY_LOCAL_HOME") or str(PROJECT / ".galaxy")
    home = Path(os.path.expanduser(named)).resolve()
    port, lines = whole_number(args, "--port", 1), whole_number(args, "--lines", 1)
    if port and port > 65535:
        raise Refused(f"--port={port}: ports end at 65535", USAGE)
    settings = dict(setting(text) for text in args["--set"])

    if args["install"]:
        with own(home) as lock:
            install(home, lock)
            if args["--with-toolshed"]:
                install_toolshed(home, lock)
        return DONE
    if args["start"]:
        return start(home, port, settings, args["--with-toolshed"])
    if args["stop"]:
        return stop(home)
    if args["status"]:
        return status(home)
    if args["log"]:
        return log(home, lines)
    return env(home)


# ------------------------------------------------------------------------------------------------------ the commands

@contextmanager
def own(home):
    """The folder's lock, of one that is ours, or new."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(home.iterdir()) and not (home / LOCK).exists():
        raise Refused(f"{home} holds other things, and a Galaxy would replace its data and venv: name a new folder")
    with locked(home / LOCK) as lock:
        yield lock


def start(home, port, settings, with_toolshed=False):
    with own(home) as lock:
        state = read_state(home)
        already = is_running(state.get("server"))
        if already and port and port != state["port"]:
            raise Refused(f"it runs already, on port {state['port']}: stop it first, or give another --home")
        kept = state.get("settings", {})
        changed = [name for name in settings if settings[name] != kept.get(name)]
        if already and changed:
            raise Refused(f"it runs already, with another {changed[0]}: stop it first, or give another --home")
        if not already:
            end_processes(home, state)      # a worker that outlived its server, a job that keeps its port open
        state["port"] = state["port"] if already else port or state.get("port", PORT)
        state["settings"] = {**kept, **settings}
        if not already:
            check_port(state["port"])
            install(home, lock)
            configure(home, state)
        if with_toolshed and not is_running(state.get("toolshed")):
            begin_toolshed(home, state, lock)
        if not (already and is_ready(home, state)):     # a start that was killed may have left it half-way
            launch(home, state)
        if with_toolshed:
            furnish_toolshed(home, state)
        print(f"Galaxy {RELEASE} {'runs already' if already else 'runs'} on {address(state)}")
        if is_running(state.get("toolshed")):
            print(f"its Tool Shed: {toolshed_address(state)}")
        print(f"administrator's key: {home / 'key'}")
    return DONE


def stop(home):
    if not (home / LOCK).exists():      # none of ours
        print("it is not running")
        return DONE
    with locked(home / LOCK):
        state = read_state(home)
        found = end_processes(home, state)
    print("stopped" if found else "it is not running")
    return DONE


def status(home):
    state = read_state(home)
    server, worker = (is_running(state.get(name)) for name in ("server", "worker"))
    rows = {
        "state": "stopped" if not server else "running" if worker else "running without its worker: start it again",
        "url": address(state),
        "server": f"process {state['server']['pid']}" if server else "none",
        "worker": f"process {state['worker']['pid']}" if worker else "none",
        "tool shed": toolshed_address(state) if is_running(state.get("toolshed")) else "none",
        "release": installed(home) or "not installed",
        "home": home,
        "logs": home / "logs",
        "key file": home / "key",
        "administrator": ADMINISTRATOR,
        "password file": home / "password",
        "import": home / "import",
    }
    for name, value in rows.items():
        print(f"{name:<14} {value}")
    return DONE if server else REFUSED


def log(home, lines):
    paths = [home / "logs" / f"{name}.log" for name in ("install", *PROCESSES)]
    logs = [path for path in paths if path.exists()]
    if not logs:
        raise Refused(f"no logs in {home / 'logs'}: it was never started there")
    for path in logs:
        print(f"==> {path} <==", tail(path, lines) or "(nothing)", sep="\n", end="\n\n")
    return DONE


def env(home):
    state = read_state(home)
    if not is_running(state.get("server")) or not (home / "key").exists():
        raise Refused(f"no Galaxy runs in {home}: `galaxy_local.py start` first, with the same --home")
    print(f"export GALAXY_URL={shlex.quote(address(state))}")
    print(f"export GALAXY_API_KEY={shlex.quote((home / 'key').read_text().strip())}")
    if is_running(state.get("toolshed")):
        print(f"export GALAXY_TOOL_SHED_URL={toolshed_address(state)}")
    return DONE


# ------------------------------------------------------------------------------------------------------- installation

def installed(home, what="complete"):
    """The release whose installation was completed, or ""."""
    mark = home / "venv" / what
    return mark.read_text().strip() if mark.exists() else ""


def install(home, lock):
    """Put Galaxy into an environment of its own, unless that was done, and completely."""
    if installed(home) == RELEASE:
        return
    free = shutil.disk_usage(home).free
    if free < NEEDED:
        raise Refused(f"{home}: {free / 1e9:.1f} GB are free, and installing Galaxy takes {NEEDED / 1e9:.1f} GB: "
                      "make room, or choose another place with --home=DIR")
    python = suitable_python()
    say(f"installing Galaxy {RELEASE} for Python {python[1]} (once, 1.3 GB, some minutes)")
    environment = home / "venv"
    if environment.exists():
        was = installed(home)
        say(f"clearing {environment}: " + (f"it has release {was}" if was else "its installation was broken off"))
    if environment.is_symlink():    # to another home's, which is not ours to replace
        environment.unlink()
    shutil.rmtree(environment, ignore_errors=True)
    try:
        run_all(install_commands(environment, python[0]), home, lock, "Galaxy")
    except Refused:
        shutil.rmtree(environment, ignore_errors=True)
        raise
    (environment / "complete").write_text(RELEASE)


def install_toolshed(home, lock):
    """Add the Tool Shed to Galaxy's environment, which has all that it depends on, unless that was done."""
    if installed(home, "toolshed") == RELEASE:
        return
    say(f"installing the Tool Shed {RELEASE} (once, 7 MB)")
    environment = home / "venv"
    run_all([[*pip_install(environment), "--no-deps", "--ignore-installed",     # what was broken off is written over
              f"galaxy-tool-shed=={RELEASE}"]], home, lock, "the Tool Shed")
    (environment / "toolshed").write_text(RELEASE)


def run_all(commands, home, lock, what):
    """Run the commands that install `what`, one after the other; the log keeps what they say."""
    logfile = home / "logs" / "install.log"
    logfile.parent.mkdir(mode=0o700, exist_ok=True)
    began = time.monotonic()
    with open(logfile, "wb") as output:
        for command in commands:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                     env=clean_environment(), pass_fds=[lock.fileno()])    # held even if we are killed
            try:
                wait(lambda child=child: child.poll() is not None, "still installing", began)
            finally:
                child.kill()
                child.wait()
            if child.returncode:
                raise failed(f"installing {what} failed (exit {child.returncode})", logfile)


def install_commands(environment, python):
    """The environment; the package that lists the versions that its release was tested with; all, in those versions."""
    yield [python, "-m", "venv", environment]
    yield [*pip_install(environment), "--no-deps", f"galaxy-app=={RELEASE}"]
    tested = environment.glob("lib/python*/site-packages/galaxy/dependencies/pinned-requirements.txt")
    yield [*pip_install(environment), *(f"--constraint={path}" for path in tested),
           *(f"galaxy-{part}=={RELEASE}" for part in PARTS)]


def pip_install(environment):
    return [environment / "bin" / "python", "-m", "pip", "install",
            "--quiet", "--no-input", "--disable-pip-version-check", "--compile"]


def suitable_python():
    """A Python that this release runs on, and its version: ours, or one on the PATH."""
    if sys.version_info[:2] in PYTHONS:
        return sys.executable, sys.version.split()[0]
    for version in (f"{major}.{minor}" for major, minor in PYTHONS):
        found = shutil.which(f"python{version}")
        if not found:
            continue
        trial = subprocess.run([found, "-c", "import ensurepip"], capture_output=True, check=False)
        if trial.returncode == 0:
            return found, version
    raise Refused(f"Galaxy {RELEASE} runs on Python 3.10 to 3.13, this is {sys.version.split()[0]}, "
                  "and no other is on the PATH: install one, such as python3.11")


# ----------------------------------------------------------------------------------------------------------- settings

def setting(text):
    """NAME and VALUE of `--set=NAME=VALUE`, None for an empty one."""
    import yaml
    name, sign, value = text.partition("=")
    if not sign or not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise Refused(f"--set={text}: NAME=VALUE is wanted, with NAME a setting of galaxy.yml", USAGE)
    try:
        return name, json.loads(json.dumps(yaml.safe_load(value)))
    except (yaml.YAMLError, TypeError):
        raise Refused(f"--set={text}: VALUE is not YAML, or of a kind that no setting is", USAGE) from None


def configure(home, state):
    """Write the settings in which places, port and secrets differ from home to home, as do those given with --set."""
    import yaml
    if not SETTINGS.is_dir():
        raise Refused(f"{SETTINGS}: Galaxy's settings are not there; run this from a checkout of the project")
    if not (home / "data" / "complete").exists():
        shutil.rmtree(home / "data", ignore_errors=True)    # what a first start left that was broken off
    for folder in ("config", "data", "import", "logs"):
        (home / folder).mkdir(mode=0o700, exist_ok=True)
    values = values_for(home, state)
    in_xml = {name: escape(str(value), {'"': "&quot;"}) for name, value in values.items()}
    for name in ("data_managers.xml", "data_tables.xml", "tool_sheds.xml"):     # not the names that Galaxy takes unasked
        write_private(home / "config" / name, Template((SETTINGS / name).read_text("utf-8")).substitute(in_xml))
    settings = filled(yaml.safe_load((SETTINGS / "galaxy.yml").read_text("utf-8")), values)
    given = {**settings["galaxy"], **state.get("settings", {})}
    settings["galaxy"] = {name: value for name, value in given.items() if value is not None}
    write_private(home / "config" / "galaxy.yml", yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))


def values_for(home, state):
    """What the settings' `$name`s stand for in this home."""
    return {"home": home, "settings": SETTINGS, "admin": ADMINISTRATOR, "url": address(state),
            "toolshed": toolshed_address(state), **own_secrets(home)}


def filled(template, values):
    """The settings `template` with `$name` replaced in its texts, at any depth."""
    if isinstance(template, dict):
        return {name: filled(value, values) for name, value in template.items()}
    return Template(template).substitute(values) if isinstance(template, str) else template


def own_secrets(home):
    """This home's secrets, made once: ids and keys depend on them."""
    path = home / "config" / "secrets.json"
    if not path.exists():
        write_private(path, json.dumps({"bootstrap_key": secrets.token_hex(16), "id_secret": secrets.token_hex(16)}))
    if not (home / "password").exists():
        write_private(home / "password", secrets.token_urlsafe(16) + "\n")
    return json.loads(path.read_text())


def ensure_administrator(home, url):
    """See to it that the key in the key file is an administrator's; where there is none, make both."""
    path = home / "key"
    if path.exists():
        try:
            Galaxy(path.read_text().strip(), url).user()
            return
        except Refused as error:
            say(f"a new key, since the old one did not serve: {error}")
    bootstrap = Galaxy(own_secrets(home)["bootstrap_key"], url)
    users = [user for user in bootstrap.get("users", {"f_email": ADMINISTRATOR}) if user["email"] == ADMINISTRATOR]
    user = users[0] if users else bootstrap.post("users", {
        "email": ADMINISTRATOR, "username": "admin", "password": (home / "password").read_text().strip()})
    write_private(path, bootstrap.post(f"users/{user['id']}/api_key") + "\n")


# ---------------------------------------------------------------------------------------------------------- processes

def launch(home, state):
    """Start what does not run yet of server and worker, and wait for both; if that fails, nothing stays running."""
    began = time.monotonic()
    first = not (home / "data" / "complete").exists()
    try:
        if not is_running(state.get("server")):
            say("starting Galaxy" + (" for the first time" if first else ""))
            begin_one(home, state, "server", "-m", "uvicorn", "--factory", "galaxy.webapps.galaxy.fast_factory:factory",
                      "--host", "127.0.0.1", "--port", str(state["port"]))
        if not first and not is_running(state.get("worker")):
            begin_worker(home, state)
        wait(lambda: listens(state["port"]), "still starting", began, home, state, "server")
        Galaxy("anonymous", address(state)).get("version")
        if first and not is_running(state.get("worker")):   # not before, because each would make the same database
            say("it answers; starting its worker")
            begin_worker(home, state)
        ensure_administrator(home, address(state))
        wait(lambda: worker_is_warm(home), "still starting the worker", began, home, state, "worker")
        (home / "data" / "complete").touch()
    except BaseException:
        end_processes(home, state)
        raise
    say(f"ready after {time.monotonic() - began:.0f} s")


def is_ready(home, state):
    """Whether its first start was completed, its worker runs and its server answers."""
    return is_running(state.get("worker")) and (home / "data" / "complete").exists() and listens(state["port"])


def begin_worker(home, state):
    begin_one(home, state, "worker", SETTINGS / "worker.py")


def begin_toolshed(home, state, lock):
    """Install the Tool Shed and start it; it need not be awaited while Galaxy starts as well."""
    import yaml
    check_port(state["port"] + TOOL_SHED)
    install_toolshed(home, lock)
    if not (home / "toolshed" / "complete").exists():
        shutil.rmtree(home / "toolshed", ignore_errors=True)
    (home / "toolshed" / "tmp").mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = filled(yaml.safe_load((DEMO / "toolshed" / "tool_shed.yml").read_text("utf-8")), values_for(home, state))
    write_private(home / "config" / "tool_shed.yml", yaml.safe_dump(settings, allow_unicode=True))
    begin_one(home, state, "toolshed", "-m", "uvicorn", "--factory", "tool_shed.webapp.fast_factory:factory",
              "--host", "127.0.0.1", "--port", str(state["port"] + TOOL_SHED))


def furnish_toolshed(home, state):
    """Wait for the Tool Shed, and see to it that it holds the repository of demo/; if that fails, end it."""
    url = toolshed_address(state)
    try:
        wait(lambda: listens(state["port"] + TOOL_SHED), "still starting the Tool Shed", time.monotonic(), home, state,
             "toolshed")
        publish(own_secrets(home)["bootstrap_key"], url, ADMINISTRATOR, DEMO / "repository")
        (home / "toolshed" / "complete").touch()
    except BaseException:
        end_processes(home, state, ["toolshed"])
        raise


def begin_one(home, state, name, *arguments_of_python):
    """Start one of PROCESSES with Galaxy's own Python, and write down which process it is."""
    bin_, environment = home / "venv" / "bin", clean_environment()
    environment.update(GALAXY_CONFIG_FILE=str(home / "config" / "galaxy.yml"), VIRTUAL_ENV=str(home / "venv"),
                       TOOL_SHED_CONFIG_FILE=str(home / "config" / "tool_shed.yml"),
                       PATH=f"{bin_}{os.pathsep}{environment.get('PATH', os.defpath)}")
    folder = home / ("toolshed" if name == "toolshed" else "data")
    state[name] = begin([bin_ / "python", *arguments_of_python], folder, home / "logs" / f"{name}.log", environment)
    write_state(home, state)


def worker_is_warm(home):
    return b"the worker is warm" in (home / "logs" / "worker.log").read_bytes()


def wait(condition, words, began, home=None, state=None, name=None):
    """Wait until `condition()`, saying so now and then; refuse once process `name` has died, or PATIENCE is over."""
    told = time.monotonic() - began
    while not condition():
        elapsed = time.monotonic() - began
        if name and not is_running(state[name]):
            raise failed(f"Galaxy's {name} died while starting", home / "logs" / f"{name}.log")
        if name and elapsed > PATIENCE:
            raise failed(f"Galaxy's {name} is not ready after {PATIENCE} s", home / "logs" / f"{name}.log")
        if elapsed - told >= 15:
            told = elapsed
            say(f"{words} ({elapsed:.0f} s)")
        time.sleep(0.1)


def end_processes(home, state, names=PROCESSES):
    """End the processes `names` with all that they started; whether there were any. All of them: with those that a start
    was killed too early to write down."""
    known = [state.pop(name) for name in names if name in state]
    strays = heads_of(home / "venv" / "bin" / "python", home) if names == PROCESSES else []
    found = end([*known, *(one for one in strays if one not in known)], home)
    if known:
        write_state(home, state)
    return found


# --------------------------------------------------------------------------------------------------------- small things

def state_file(home):
    return home / "state.json"


def read_state(home):
    """{"port": ..., "settings": {name: value}, "server": {"pid": ..., "began": ...}, "worker": ..., "toolshed": ...}."""
    try:
        state = json.loads(state_file(home).read_text())
        processes = {name: state[name] for name in PROCESSES if name in state}
        whole = isinstance(state.get("port", PORT), int) and all(
            isinstance(one["pid"], int) and isinstance(one["began"], str) for one in processes.values())
        if not whole:
            raise ValueError
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Refused(f"{state_file(home)}: not the JSON that was written there; "
                      "look with ps for what still runs, then delete it") from None
    for name, process in processes.items():
        if is_running(process) and not works_in(process["pid"], home):      # the home was copied: it is the original's
            del state[name]
    return state


def write_state(home, state):
    write_private(state_file(home), json.dumps(state))


def address(state):
    prefix = state.get("settings", {}).get("galaxy_url_prefix") or ""
    return f"http://127.0.0.1:{state.get('port', PORT)}{prefix}".rstrip("/")


def toolshed_address(state):
    return f"http://127.0.0.1:{state.get('port', PORT) + TOOL_SHED}"


def tail(path, lines):
    """The end of a log, without the noise that pip makes about places that it looked into in vain."""
    text = path.read_text("utf-8", "replace").splitlines()
    return "\n".join([line for line in text if not re.match(r"WARNING: Location .* is ignored", line)][-lines:])


def failed(text, logfile):
    """The refusal to raise, after the end of the log was shown."""
    print(tail(logfile, 20), file=sys.stderr)
    return Refused(f"{text}: see above, or {logfile}")


if __name__ == "__main__":
    sys.exit(run(main))
