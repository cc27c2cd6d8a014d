"""Small files that have their name only once all of them is there, and never in the place of a device or a folder."""
from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from common import USAGE, GalaxyError


def check_writable(to: str | Path, overwrite: bool = False, option: str = "--to") -> Path:
    """The path of the file `to`, which `option` names and which is to be written; a usage error where it can't be, `GalaxyError`
    where it is there and not to be overwritten."""
    path = Path(to)
    if not str(to) or (path.exists() and not path.is_file()) or not os.access(path.parent, os.W_OK):
        raise GalaxyError(f"{option}={to}: not a file's name in a folder that can be written to", USAGE)
    if os.path.lexists(path) and not overwrite:
        raise _taken(to, option)
    return path


def write_atomic(content: str, to: str | Path, overwrite: bool = False, option: str = "--to") -> None:
    """Write `content` to the file `to`, or to standard output for `-`. Raises as `check_writable` does, and where
    the disk is full."""
    if to == "-":
        sys.stdout.write(content)
        return
    path = check_writable(to, overwrite, option)
    part = path.with_name(f".{path.name[:40]}.{os.getpid()}.part")
    try:
        with open(part, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(part, path, overwrite)
    except FileExistsError:
        raise _taken(to, option) from None
    except OSError as error:
        raise GalaxyError(f"{option}={to}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def publish(part: Path, path: Path, overwrite: bool = False) -> None:
    """Give the complete file `part` its name `path`; FileExistsError if that exists, even since a moment ago, and is not to be
    overwritten. The name `part` may remain."""
    if overwrite:
        os.replace(part, path)
        return
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:     # a file system without links
        if path.exists():
            raise FileExistsError from None
        os.replace(part, path)


def _taken(to: str | Path, option: str) -> GalaxyError:
    return GalaxyError(f"{option}={to}: it is there already: move it away, or give --force")
