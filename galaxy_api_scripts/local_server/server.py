"""Start and stop a local Galaxy: its server, its Celery worker, and a Tool Shed."""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common import Galaxy, GalaxyError, eprint
from galaxy_api_scripts.local_server.configuration import (
    ADMINISTRATOR,
    REPOSITORY,
    SETTINGS,
    configure,
    configure_toolshed,
)
from galaxy_api_scripts.local_server.home import (
    PORT,
    PROCESSES,
    TOOL_SHED_OFFSET,
    State,
    failure_with_log,
    galaxy_url,
    home_secrets,
    read_state,
    toolshed_url,
    write_state,
)
from galaxy_api_scripts.local_server.installation import choose_release, install, install_toolshed, toolshed_environment
from galaxy_api_scripts.local_server.processes import (
    clean_environment,
    is_process_running,
    port_in_use,
    require_free_port,
    session_leaders,
    start_process,
    stop_processes,
    wait_until,
    write_private,
)
from galaxy_api_scripts.tools.toolshed import publish_repository

START_TIMEOUT = 600         # seconds, for a slow disk


def start_galaxy(home: Path, lock: int, port: int | None, settings: dict[str, Any], with_toolshed: bool,
                 series: str | None = None, web_processes: int | None = None) -> tuple[State, bool]:
    """Start what does not run yet, after installing it (the last release of `series`); return the state, and whether Galaxy
    already ran. Raises GalaxyError if the home has another release, if it runs with another port or other settings, or if
    anything fails; then nothing that this call started stays."""
    choose_release(home, series)
    state = read_state(home)
    already = is_process_running(state.get("server"))
    if already and port and port != state["port"]:
        raise GalaxyError(f"it runs already, on port {state['port']}: stop it first, or give another --home")
    if already and web_processes and web_processes != state.get("web_processes", 1):
        raise GalaxyError("it runs already, with another number of web processes: stop it first, or give another --home")
    earlier = state.get("settings", {})
    changed = [name for name in settings if settings[name] != earlier.get(name)]
    if already and changed:
        raise GalaxyError(f"it runs already, with another {changed[0]}: stop it first, or give another --home")
    if not already:
        stop_all(home, state)       # a worker that outlived its server, a job that keeps its port open
    state["port"] = state["port"] if already else port or state.get("port", PORT)
    state["settings"] = {**earlier, **settings}
    if web_processes:
        state["web_processes"] = web_processes
    if not already:
        require_free_port(state["port"])
        install(home, lock, series)
        configure(home, state)
    if with_toolshed and not is_process_running(state.get("toolshed")):
        start_toolshed(home, state, lock)
    if not (already and _is_ready(home, state)):    # a start that was killed may have left it half-way
        launch(home, state)
    if with_toolshed:
        fill_toolshed(home, state)
    return state, already


def launch(home: Path, state: State) -> None:
    """Start what does not run of server and worker, and wait for both; if that fails, nothing stays running."""
    began = time.monotonic()
    is_first = not (home / "data" / "complete").exists()
    try:
        if not is_process_running(state.get("server")):
            eprint("starting Galaxy" + (" for the first time" if is_first else ""))
            spawn(home, state, "server", "-m", *web_server(state))
        if not is_first and not is_process_running(state.get("worker")):
            spawn(home, state, "worker", SETTINGS / "worker.py")
        _wait_for(lambda: port_in_use(state["port"]), "still starting", began, home, state, "server")
        Galaxy("anonymous", galaxy_url(state)).get("version")
        if is_first and not is_process_running(state.get("worker")):    # not before: each would make the same database
            eprint("it answers; starting its worker")
            spawn(home, state, "worker", SETTINGS / "worker.py")
        ensure_administrator(home, galaxy_url(state))
        _wait_for(lambda: b"the worker is warm" in (home / "logs" / "worker.log").read_bytes(), "still starting the worker",
                  began, home, state, "worker")
        (home / "data" / "complete").touch()
    except BaseException:
        stop_all(home, state)
        raise
    eprint(f"ready after {time.monotonic() - began:.0f} s")


def web_server(state: State) -> list[str]:
    """Return the command of the web server, after `python -m`: uvicorn, or gunicorn where there are several processes, since
    Galaxy tells those apart only under gunicorn: under uvicorn each would run every job."""
    factory, port, processes = "galaxy.webapps.galaxy.fast_factory:factory", state["port"], state.get("web_processes", 1)
    if processes == 1:
        return ["uvicorn", "--factory", factory, "--host", "127.0.0.1", "--port", str(port)]
    return ["gunicorn", f"{factory}()", "--worker-class=galaxy.webapps.galaxy.workers.Worker", "--timeout=300", "--preload",
            "--config=python:galaxy.web_stack.gunicorn_config", f"--workers={processes}", f"--bind=127.0.0.1:{port}"]


def _is_ready(home: Path, state: State) -> bool:
    """Whether its first start was completed, its worker runs and its server answers."""
    return (is_process_running(state.get("worker")) and (home / "data" / "complete").exists()
            and port_in_use(state["port"]))


def ensure_administrator(home: Path, url: str) -> None:
    """Make sure that the key in the key file is an administrator's; if not, make a key, and the user if there is none."""
    path = home / "key"
    if path.exists():
        try:
            Galaxy(path.read_text().strip(), url).current_user()
            return
        except GalaxyError as error:
            eprint(f"making a new key, because the old one does not work: {error}")
    bootstrap = Galaxy(home_secrets(home)["bootstrap_key"], url)
    users = [user for user in bootstrap.get("users", {"f_email": ADMINISTRATOR}) if user["email"] == ADMINISTRATOR]
    user = users[0] if users else bootstrap.post("users", {
        "email": ADMINISTRATOR, "username": "admin", "password": (home / "password").read_text().strip()})
    write_private(path, bootstrap.post(f"users/{user['id']}/api_key") + "\n")


def start_toolshed(home: Path, state: State, lock: int) -> None:
    """Install the Tool Shed and start it, without waiting: Galaxy can start meanwhile."""
    port = state["port"] + TOOL_SHED_OFFSET
    require_free_port(port)
    install_toolshed(home, lock)
    configure_toolshed(home, state)
    spawn(home, state, "toolshed", "-m", "uvicorn", "--factory", "tool_shed.webapp.fast_factory:factory",
          "--host", "127.0.0.1", "--port", str(port))


def fill_toolshed(home: Path, state: State) -> None:
    """Wait for the Tool Shed, and publish the repository `tally` in it unless it has that; if that fails, stop it."""
    try:
        _wait_for(lambda: port_in_use(state["port"] + TOOL_SHED_OFFSET), "still starting the Tool Shed", time.monotonic(),
                  home, state, "toolshed")
        publish_repository(home_secrets(home)["bootstrap_key"], toolshed_url(state), ADMINISTRATOR, REPOSITORY)
        (home / "toolshed" / "complete").touch()
    except BaseException:
        stop_all(home, state, ["toolshed"])
        raise


def spawn(home: Path, state: State, name: str, *arguments: str | Path) -> None:
    """Start one of PROCESSES with Galaxy's own Python and these arguments, and write down which process it is."""
    venv, environment = toolshed_environment(home) if name == "toolshed" else home / "venv", clean_environment()
    environment.update(GALAXY_CONFIG_FILE=str(home / "config" / "galaxy.yml"), VIRTUAL_ENV=str(venv),
                       TOOL_SHED_CONFIG_FILE=str(home / "config" / "tool_shed.yml"),
                       PATH=f"{venv / 'bin'}{os.pathsep}{environment.get('PATH', os.defpath)}")
    folder = home / ("toolshed" if name == "toolshed" else "data")
    state[name] = start_process([venv / "bin" / "python", *arguments], folder, home / "logs" / f"{name}.log", environment)
    write_state(home, state)


def _wait_for(condition: Callable[[], bool], words: str, began: float, home: Path, state: State, name: str) -> None:
    """Wait until `condition()`; raise GalaxyError once process `name` has died, or START_TIMEOUT is over."""
    def check(elapsed: float) -> None:
        logfile = home / "logs" / f"{name}.log"
        if not is_process_running(state[name]):
            raise failure_with_log(f"Galaxy's {name} died while starting", logfile)
        if elapsed > START_TIMEOUT:
            raise failure_with_log(f"Galaxy's {name} is not ready after {START_TIMEOUT} s", logfile)

    wait_until(condition, words, began, check)


def stop_all(home: Path, state: State, names: Iterable[str] = PROCESSES) -> bool:
    """Stop the processes `names` with all that they started, and if these are all, those too that a killed start had no time
    to write down; return whether there were any."""
    processes = [state.pop(name) for name in names if name in state]
    pythons = {venv / "bin" / "python" for venv in (home / "venv", toolshed_environment(home))} if names == PROCESSES else ()
    strays = [one for python in pythons for one in session_leaders(python, home)]
    stopped = stop_processes([*processes, *(stray for stray in strays if stray not in processes)], home)
    if processes:
        write_state(home, state)
    return stopped
