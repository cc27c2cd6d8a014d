"""Files that get their name when they are complete, locks that end with their process, and the scripts' state folder."""
from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from common import TRY_LATER, USAGE, GalaxyError

try:
    import fcntl
except ModuleNotFoundError:     # Windows
    fcntl = None    # type: ignore[assignment]


# ------------------------------------------------------------------------------------------------- names from elsewhere

# A path's separators, what a terminal obeys, what turns the direction of text, and what no file system can store.
UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
MAX_NAME_BYTES = 250       # file systems take 255, and an archive's name gets .zip


def safe_name(text: str, end: str = "", without: str = "") -> str:
    """A name for one file or folder made of any text, which may be a server's or stand in a file that somebody sent.

    It is no path, not hidden and not empty, holds none of the `UNSAFE` characters and has 250 bytes at most, the last of
    which are `end`. A datatype at the end of the text that is to be `without` it is left out.
    """
    text, last = UNSAFE.sub("_", text).strip(), UNSAFE.sub("_", end).encode()[-100:]
    text = text.removesuffix(f".{without}") if without else text
    text = (text.encode()[:MAX_NAME_BYTES - len(last)] or b"dataset").decode(errors="ignore")
    return ("_" + text[1:] if text.startswith(".") else text) + last.decode(errors="ignore")


def safe_ending(ext: str) -> str:
    """A datatype's name, safe as the end of a file's name."""
    return re.sub(r"[^\w.+-]|\.(?=\.)", "_", ext, flags=re.ASCII)[:40]


@contextlib.contextmanager
def open_parent(path: Path, root: Path | None = None) -> Iterator[int]:
    """A descriptor of the folder that `path` is in. Below `root` folders are made if need be and no link is followed, so
    that what others have named stays there. Raises `GalaxyError` for a path that leads elsewhere, OSError."""
    if root and (root not in path.parents or ".." in path.relative_to(root).parts):
        raise GalaxyError(f"{path}: not in {root}, so nothing is written there")
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY      # macOS has no O_PATH
    folder = os.open(root or path.parent, flags)
    try:
        for name in path.parent.relative_to(root).parts if root else ():
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
            inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    except NotADirectoryError:
        raise GalaxyError(f"{path}: a link or a file is on the way to it, so nothing is written there") from None
    finally:
        os.close(folder)


def prepare_folder_below(root: Path, name: str) -> Path:
    """The folder called `name` in `root`, both made if need be; `GalaxyError` if a link leads elsewhere from there."""
    root.mkdir(parents=True, exist_ok=True)
    with open_parent(root / name / "file", root):
        return root / name


# -------------------------------------------------------------------------------------------------------- writing files

def check_writable(to: str | Path, overwrite: bool = False, option: str = "--to") -> Path:
    """The path `to`, the value of `option`, if a file can be written there. Raises `GalaxyError`: a usage error if it can't,
    and if the file exists and is not to be overwritten."""
    path = Path(to)
    if not str(to) or (path.exists() and not path.is_file()) or not os.access(path.parent, os.W_OK):
        raise GalaxyError(f"{option}={to}: not a file's name in a folder that can be written to", USAGE)
    if os.path.lexists(path) and not overwrite:
        raise _exists_error(to, option)
    return path


def prepare_folder(text: str, option: str = "--to") -> Path:
    """The folder `text`, the value of `option`, made if need be; a usage error if no file can be written there."""
    if not text:
        raise GalaxyError(f"{option} is empty: is a variable unset?", USAGE)
    folder = Path(text)
    if folder.exists() and not folder.is_dir():
        raise GalaxyError(f"{option}={text}: not a folder", USAGE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GalaxyError(f"{option}={text}: {error.strerror}", USAGE) from None
    if not os.access(folder, os.W_OK):
        raise GalaxyError(f"{option}={text}: not a folder that can be written to", USAGE)
    return folder


def write_output(text: str, to: str | Path, overwrite: bool = False, option: str = "--to") -> None:
    """Write `text` to the file `to`, the value of `option`, or to standard output for `-`. Raises `GalaxyError` as
    `check_writable` does, and if the disk is full."""
    if to == "-":
        sys.stdout.write(text)
        return
    path = check_writable(to, overwrite, option)
    try:
        write_atomic(path, text.encode(errors="replace"), overwrite)
    except FileExistsError:
        raise _exists_error(to, option) from None
    except OSError as error:
        raise GalaxyError(f"{option}={to}: {error.strerror}") from None


def _exists_error(to: str | Path, option: str) -> GalaxyError:
    return GalaxyError(f"{option}={to}: it is there already: move it away, or give --force")


def write_atomic(path: Path, content: bytes, overwrite: bool = False, mode: int = 0o666) -> None:
    """Write the file `path`, complete or not at all, with `mode` less the umask. Raises OSError; FileExistsError if it
    exists and is not to be overwritten."""
    part = path.with_name(f".{path.name[:40]}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(part, path, overwrite)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def publish(part: str | Path, path: str | Path, overwrite: bool = False, folder: int | None = None) -> None:
    """Give the complete file `part` its name `path`; FileExistsError if that exists, even since a moment ago, and is not to
    be overwritten. The name `part` may remain. Both may be names in the folder with the descriptor `folder`."""
    if overwrite:
        os.replace(part, path, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.link(part, path, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        raise
    except OSError:     # a file system without links
        with contextlib.suppress(FileNotFoundError):
            os.stat(path, dir_fd=folder, follow_symlinks=False)
            raise FileExistsError from None
        os.replace(part, path, src_dir_fd=folder, dst_dir_fd=folder)


# --------------------------------------------------------------------------------------------------------------- locks

def open_locked(path: Path, on_wait: Callable[[], object] | None = None) -> int:
    """A descriptor of the file or folder `path` that holds its lock until it is closed or its process ends, however it ends.

    A missing file is made, for its owner alone. If another process holds the lock: BlockingIOError, or, with `on_wait`,
    that is called and the lock waited for. Raises OSError.
    """
    if fcntl is None:
        raise GalaxyError("this needs file locks, which Windows lacks: use Linux, macOS or WSL")
    while True:
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is None:
                    raise
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)    # its last holder removed it a moment ago


@contextlib.contextmanager
def hold_lock(path: Path, label: str = "", on_wait: Callable[[], object] | None = None) -> Iterator[int]:
    """Hold the lock of the file or folder `path`; yields its descriptor. If another process holds it, `on_wait` decides as
    in `open_locked`; without it a `GalaxyError` (TRY_LATER) says that another run is at work on `label`."""
    try:
        descriptor = open_locked(path, on_wait)
    except BlockingIOError:
        raise GalaxyError(f"another run is at work on {label or path}: let it end first", TRY_LATER) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# -------------------------------------------------------------------------------------------------------- state folder

def state_path(*names: str) -> Path:
    """The folder for what outlives a run (XDG Base Directory Specification), or `names` in it; it may not exist."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return Path(state if os.path.isabs(state) else os.path.expanduser("~/.local/state"), "galaxy-api-scripts", *names)


def state_folder(*names: str) -> Path:
    """The folder `state_path(*names)`, made if need be. It and the state folder are for their owner alone, whatever the
    umask. Raises OSError."""
    for length in range(len(names) + 1):
        folder = state_path(*names[:length])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o777 != 0o700:
            folder.chmod(0o700)
    return folder


def create_private(path: Path) -> None:
    """Make the file `path`, empty and for its owner alone (0600), if it does not exist. Raises OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
