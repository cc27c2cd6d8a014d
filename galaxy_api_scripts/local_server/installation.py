"""Galaxy and its Tool Shed from PyPI, in a Python environment of their own: HOME/venv."""
from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from common import GalaxyError, eprint
from galaxy_api_scripts.local_server.home import failure_with_log
from galaxy_api_scripts.local_server.processes import clean_environment, wait_until

RELEASE = "26.1.1"
PARTS = ["web-apps", "app", "auth", "config", "data", "files", "job-execution", "job-metrics", "navigation",
         "objectstore", "schema", "tool-shed-schema", "tool-util", "tool-util-models", "tours", "util", "web-framework",
         "web-stack"]
PYTHONS = [(3, minor) for minor in (11, 12, 13, 10)]    # what this release runs on, the best tried first
BYTES_NEEDED = 2_500_000_000        # for the installation, pip's temporary files included

Command = list["str | Path"]


def installed_release(home: Path, package: str = "complete") -> str:
    """Return the release whose installation was completed ("toolshed": the Tool Shed's), or ""."""
    mark = home / "venv" / package
    return mark.read_text().strip() if mark.exists() else ""


def install(home: Path, lock: int) -> None:
    """Install Galaxy unless that was done. Raises GalaxyError if the disk is too full, no suitable Python is found, or pip
    fails; then nothing is left of it."""
    release = installed_release(home)
    if release == RELEASE:
        return
    free = shutil.disk_usage(home).free
    if free < BYTES_NEEDED:
        raise GalaxyError(f"{home}: {free / 1e9:.1f} GB are free, and installing Galaxy takes {BYTES_NEEDED / 1e9:.1f} GB: "
                          "make room, or choose another place with --home=DIR")
    python, version = find_python()
    eprint(f"installing Galaxy {RELEASE} for Python {version} (once, 1.3 GB, some minutes)")
    environment = home / "venv"
    if environment.exists():
        eprint(f"clearing {environment}: " + (f"it has release {release}" if release else "its installation was broken off"))
    if environment.is_symlink():    # to another home's, which is not ours to replace
        environment.unlink()
    shutil.rmtree(environment, ignore_errors=True)
    try:
        run_installers(install_commands(environment, python), home, lock, "Galaxy")
    except GalaxyError:
        shutil.rmtree(environment, ignore_errors=True)
        raise
    (environment / "complete").write_text(RELEASE)


def install_toolshed(home: Path, lock: int) -> None:
    """Add the Tool Shed, unless that was done, to Galaxy's environment, which has all that it depends on."""
    if installed_release(home, "toolshed") == RELEASE:
        return
    eprint(f"installing the Tool Shed {RELEASE} (once, 7 MB)")
    environment = home / "venv"
    run_installers([[*_pip_install(environment), "--no-deps", "--ignore-installed",     # overwrites what was broken off
                     f"galaxy-tool-shed=={RELEASE}"]], home, lock, "the Tool Shed")
    (environment / "toolshed").write_text(RELEASE)


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


def install_commands(environment: Path, python: str) -> Iterator[Command]:
    """Yield the commands that make the environment, install the package that lists the versions tested, and install all."""
    yield [python, "-m", "venv", environment]
    yield [*_pip_install(environment), "--no-deps", f"galaxy-app=={RELEASE}"]
    tested = environment.glob("lib/python*/site-packages/galaxy/dependencies/pinned-requirements.txt")
    yield [*_pip_install(environment), *(f"--constraint={path}" for path in tested),
           *(f"galaxy-{part}=={RELEASE}" for part in PARTS)]


def _pip_install(environment: Path) -> Command:
    return [environment / "bin" / "python", "-m", "pip", "install",
            "--quiet", "--no-input", "--disable-pip-version-check", "--compile"]


def find_python() -> tuple[str, str]:
    """Return a Python that this release runs on, and its version: ours, or one on the PATH; else raise GalaxyError."""
    if sys.version_info[:2] in PYTHONS:
        return sys.executable, sys.version.split()[0]
    for version in (f"{major}.{minor}" for major, minor in PYTHONS):
        python = shutil.which(f"python{version}")
        if python and subprocess.run([python, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
            return python, version
    raise GalaxyError(f"Galaxy {RELEASE} runs on Python 3.10 to 3.13, this is {sys.version.split()[0]}, "
                      "and no other is on the PATH: install one, such as python3.11")
