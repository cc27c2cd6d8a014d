"""The Galaxy that benchmarks run on."""
import contextlib
import subprocess
import sys
from pathlib import Path

from common import Galaxy, Refused

ROOT = Path(__file__).resolve().parent.parent
LOCAL = [sys.executable, str(ROOT / "scripts" / "galaxy_local.py")]


@contextlib.contextmanager
def a_galaxy():
    """The Galaxy that runs, as its administrator; else one that is started, and stopped in the end."""
    ours = subprocess.run([*LOCAL, "status"], stdout=subprocess.DEVNULL).returncode != 0
    if ours and subprocess.run([*LOCAL, "start"], stdout=sys.stderr).returncode:
        raise Refused("there is no Galaxy to measure with: see above")
    told = subprocess.run([*LOCAL, "env"], capture_output=True, text=True, check=True).stdout
    settings = dict(line.removeprefix("export ").split("=", 1) for line in told.splitlines())
    try:
        yield Galaxy(settings["GALAXY_API_KEY"], settings["GALAXY_URL"])
    finally:
        if ours:
            subprocess.run([*LOCAL, "stop"], stdout=subprocess.DEVNULL)
