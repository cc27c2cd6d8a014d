"""Galaxy and its Tool Shed from PyPI, in a Python environment of their own: HOME/venv."""
from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from common import GalaxyError, eprint
from galaxy_api_scripts.local_server.home import failure_with_log
from galaxy_api_scripts.local_server.processes import clean_environment, wait_until

RELEASES = {"24.1": "24.1.4", "24.2": "24.2.4", "25.0": "25.0.4", "25.1": "25.1.3", "26.0": "26.0.2", "26.1": "26.1.2"}
RELEASE = RELEASES["26.1"]          # the newest
PARTS = ["web-apps", "app", "auth", "config", "data", "files", "job-execution", "job-metrics", "navigation",
         "objectstore", "schema", "tool-shed-schema", "tool-util", "tool-util-models", "tours", "util", "web-framework",
         "web-stack"]
PYTHONS = [(3, minor) for minor in (11, 12, 13, 10)]    # what Galaxy runs on, the best tried first
NEWEST_PYTHON = {"24.1": (3, 12), "24.2": (3, 12)}      # of the releases that not all of PYTHONS fit
BYTES_NEEDED = 2_500_000_000        # for the installation, pip's temporary files included

Command = list["str | Path"]


def installed_release(home: Path) -> str:
    """Return the release of Galaxy whose installation was completed, or ""."""
    return read_mark(home / "venv" / "complete")


def read_mark(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def choose_release(home: Path, series: str | None = None) -> str:
    """Return the release to run in `home`: the last one of `series`, such as 24.1; without it, of the series installed
    there, else the newest. Raises GalaxyError if the home has data of another series."""
    installed = installed_release(home)
    present = installed.rpartition(".")[0]
    if series and present not in ("", series) and (home / "data" / "complete").exists():
        raise GalaxyError(f"{home} holds Galaxy {installed} and its data: choose another folder for {series} with "
                          "--home=DIR, or delete this one")
    return RELEASES.get(series or present, RELEASE)


def install(home: Path, lock: int, series: str | None = None) -> None:
    """Install Galaxy unless that was done; see `install_release`."""
    install_release(home / "venv", choose_release(home, series), home, lock)


def toolshed_environment(home: Path) -> Path:
    """Return the environment of the Tool Shed. It is of the newest release, as the public ones are, and so in another than
    an older Galaxy: older packages of it lack the migrations of its database, without which it does not start."""
    return home / ("venv" if installed_release(home) == RELEASE else "venv-toolshed")


def install_toolshed(home: Path, lock: int) -> None:
    """Install the Tool Shed unless that was done: 7 MB beside the Galaxy on which it depends."""
    environment = toolshed_environment(home)
    install_release(environment, RELEASE, home, lock)
    if read_mark(environment / "toolshed") == RELEASE:
        return
    eprint(f"installing the Tool Shed {RELEASE} (once, 7 MB)")
    run_installers([[*_pip_install(environment), "--no-deps", "--ignore-installed",     # overwrites what was broken off
                     f"galaxy-tool-shed=={RELEASE}"]], home, lock, "the Tool Shed")
    (environment / "toolshed").write_text(RELEASE)


def install_release(environment: Path, release: str, home: Path, lock: int) -> None:
    """Install this release of Galaxy in an environment unless that was done. Raises GalaxyError if the disk is too full, no
    suitable Python is found, or pip fails; then nothing is left of it."""
    present = read_mark(environment / "complete")
    if present == release:
        return
    free = shutil.disk_usage(home).free
    if free < BYTES_NEEDED:
        raise GalaxyError(f"{home}: {free / 1e9:.1f} GB are free, and installing Galaxy takes {BYTES_NEEDED / 1e9:.1f} GB: "
                          "make room, or choose another place with --home=DIR")
    python, version = find_python(release)
    eprint(f"installing Galaxy {release} for Python {version} (once, 1.3 GB, some minutes)")
    if environment.exists():
        eprint(f"clearing {environment}: " + (f"it has release {present}" if present else "its installation was broken off"))
    if environment.is_symlink():    # to another home's, which is not ours to replace
        environment.unlink()
    shutil.rmtree(environment, ignore_errors=True)
    try:
        run_installers(install_commands(environment, python, release), home, lock, "Galaxy")
    except GalaxyError:
        shutil.rmtree(environment, ignore_errors=True)
        raise
    (environment / "complete").write_text(release)


def run_installers(commands: Iterable[Command], home: Path, lock: int, package: str) -> None:
    """Run the commands that install `package`, one after the other, with their output in HOME/logs/install.log."""
    logfile = home / "logs" / "install.log"
    logfile.parent.mkdir(mode=0o700, exist_ok=True)
    began = time.monotonic()
    with open(logfile, "wb") as output:
        for command in commands:
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=clean_environment(),
                                  pass_fds=[lock]) as installer:     # it holds the lock even if we are killed
                try:
                    wait_until(lambda: installer.poll() is not None, "still installing", began)     # noqa: B023
                finally:
                    installer.kill()
            if installer.returncode:
                raise failure_with_log(f"installing {package} failed (exit {installer.returncode})", logfile)


def install_commands(environment: Path, python: str, release: str) -> Iterator[Command]:
    """Yield the commands that make the environment, install the package that lists the versions tested, and install all."""
    yield [python, "-m", "venv", environment]
    yield [*_pip_install(environment), "--no-deps", f"galaxy-app=={release}"]
    yield [*_pip_install(environment), write_constraints(environment, release), f"galaxy-web-apps=={release}"]


def write_constraints(environment: Path, release: str) -> str:
    """Write which version of what Galaxy `release` was tested with, as its package tells, and its own parts of that release;
    return pip's option that names the file."""
    pinned = "".join(path.read_text() for path in environment.glob(
        "lib/python*/site-packages/galaxy/dependencies/pinned-requirements.txt"))
    path = environment / "constraints.txt"
    path.write_text(as_constraints(pinned) + "".join(f"galaxy-{part}=={release}\n" for part in PARTS))
    return f"--constraint={path}"


def as_constraints(pinned: str) -> str:
    """Return requirements as constraints, which take no options, no addresses and no extras. `fastapi-slim` is `fastapi` by
    now, and root certificates (certifi) are the newest."""
    lines = [re.sub(r"\[.*?\]", "", line) for line in pinned.splitlines()
             if re.match("(?!certifi==)[A-Za-z]", line) and " @ " not in line]
    return "".join(f"{line.replace('fastapi-slim==', 'fastapi==')}\n" for line in lines)


def _pip_install(environment: Path) -> Command:
    return [environment / "bin" / "python", "-m", "pip", "install",
            "--quiet", "--no-input", "--disable-pip-version-check", "--compile"]


def find_python(release: str) -> tuple[str, str]:
    """Return a Python that this release runs on, and its version: ours, or one on the PATH; else raise GalaxyError."""
    newest = NEWEST_PYTHON.get(release.rpartition(".")[0], max(PYTHONS))
    suitable = [version for version in PYTHONS if version <= newest]
    if sys.version_info[:2] in suitable:
        return sys.executable, sys.version.split()[0]
    for version in (f"{major}.{minor}" for major, minor in suitable):
        python = shutil.which(f"python{version}")
        if python and subprocess.run([python, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
            return python, version
    raise GalaxyError(f"Galaxy {release} runs on Python 3.10 to {newest[0]}.{newest[1]}, this is {sys.version.split()[0]}, "
                      "and no other is on the PATH: install one, such as python3.11")
