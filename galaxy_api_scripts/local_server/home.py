"""The folder in which a local Galaxy lives: its lock, its notes of what runs, its addresses, secrets and logs."""
from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import GalaxyError
from galaxy_api_scripts.local_server.processes import is_process_running, process_works_in, wait_for_lock, write_private

State = dict[str, Any]      # {"port": 8080, "settings": {name: value}, "server": {"pid": ..., "began": ...}, ...}

LOCK = "galaxy_local.lock"  # also the mark of a folder that is ours
PORT = 8080
TOOL_SHED_OFFSET = 929      # from Galaxy's port to its Tool Shed's: 9009 is the usual one
PROCESSES = ("server", "worker", "toolshed")


@contextmanager
def open_home(home: Path) -> Iterator[int]:
    """Hold the lock of `home`, which is made if missing; yield its descriptor. An error if the folder holds other things."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(home.iterdir()) and not (home / LOCK).exists():
        raise GalaxyError(f"{home} holds other things, and a Galaxy would replace its data and venv: name a new folder")
    with wait_for_lock(home / LOCK) as lock:
        yield lock


def read_state(home: Path) -> State:
    """Return what was written down about the processes, {} if nothing was; raise GalaxyError if it has another shape."""
    path = home / "state.json"
    try:
        state: State = json.loads(path.read_text())
        processes = {name: state[name] for name in PROCESSES if name in state}
        is_whole = isinstance(state.get("port", PORT), int) and all(
            isinstance(process["pid"], int) and isinstance(process["began"], str) for process in processes.values())
        if not is_whole:
            raise ValueError
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise GalaxyError(f"{path} is damaged: look with ps for what still runs, then delete the file") from None
    for name, process in processes.items():
        # a copied home has the processes of the original, which stay the original's
        if is_process_running(process) and not process_works_in(process["pid"], home):
            del state[name]
    return state


def write_state(home: Path, state: State) -> None:
    write_private(home / "state.json", json.dumps(state))


def galaxy_url(state: State) -> str:
    """Return the address for its users: galaxy.yml's `galaxy_infrastructure_url` if a proxy stands before it."""
    public = state.get("settings", {}).get("galaxy_infrastructure_url")
    if public:
        return str(public)
    prefix = state.get("settings", {}).get("galaxy_url_prefix") or ""
    return f"http://127.0.0.1:{state.get('port', PORT)}{prefix}".rstrip("/")


def toolshed_url(state: State) -> str:
    return f"http://127.0.0.1:{state.get('port', PORT) + TOOL_SHED_OFFSET}"


def home_secrets(home: Path) -> dict[str, str]:
    """Return this home's `bootstrap_key` and `id_secret`, made once, because ids and keys depend on them."""
    path = home / "config" / "secrets.json"
    if not path.exists():
        write_private(path, json.dumps({"bootstrap_key": secrets.token_hex(16), "id_secret": secrets.token_hex(16)}))
    if not (home / "password").exists():
        write_private(home / "password", secrets.token_urlsafe(16) + "\n")
    content: dict[str, str] = json.loads(path.read_text())
    return content


def read_tail(logfile: Path, lines: int) -> str:
    """Return the last lines of a log, without pip's warnings about places that it does not find."""
    text = logfile.read_text("utf-8", "replace").splitlines()
    return "\n".join([line for line in text if not re.match(r"WARNING: Location .* is ignored", line)][-lines:])


def failure_with_log(text: str, logfile: Path) -> GalaxyError:
    """Print the end of the log on standard error, and return the error to raise, which names it."""
    print(read_tail(logfile, 20), file=sys.stderr)
    return GalaxyError(f"{text}: see above, or {logfile}")
