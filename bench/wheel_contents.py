#!/usr/bin/env python3
"""Check the top level of a built wheel: `common`, `galaxy_api_scripts` and the commands, nothing else.

Usage:
  wheel_contents.py [options] FOLDER

Arguments:
  FOLDER      where the wheel is

Options:
  -h, --help  show this help
  --version   show the version
"""
import sys
import zipfile
from pathlib import Path

from common import GalaxyError, arguments, run


def main(argv=None):
    args = arguments(__doc__, argv)
    [wheel] = Path(args["FOLDER"]).glob("*.whl")
    names = [Path(name).parts for name in zipfile.ZipFile(wheel).namelist()]
    top = {parts[0] for parts in names if not parts[0].endswith((".dist-info", ".data"))}
    if top != {"common.py", "galaxy_api_scripts"}:
        raise GalaxyError(f"{wheel} installs {', '.join(sorted(top))}: expected common.py and galaxy_api_scripts alone")
    commands = [parts[-1] for parts in names if parts[0].endswith(".data")]
    print(f"{wheel.name}: common.py, galaxy_api_scripts, {len(commands)} commands")


if __name__ == "__main__":
    sys.exit(run(main))
