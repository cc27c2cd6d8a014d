"""What is in a folder on this machine, to be compared with what is elsewhere."""
from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field

from common import USAGE, GalaxyError
from galaxy_api_scripts.datasets.sources import UNFINISHED_PATTERN

CHANGED_MESSAGE = "changed since this run began: a later run takes it when it is complete"


@dataclass(frozen=True)
class FileStamp:
    """What of a file changes with its content: its size (bytes), and its times of modification and of change (ns).

    Nobody can set the last, so content that changed under an old time of modification is noticed.
    """

    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, about: os.stat_result) -> FileStamp:
        return cls(about.st_size, about.st_mtime_ns, about.st_ctime_ns)


@dataclass
class LocalTree:
    """What is in the folder `root`: paths below it, with / between their names."""

    root: str
    files: dict[str, FileStamp] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    left: dict[str, str] = field(default_factory=dict)      # path: why it is left alone; not what left_alone() says
    bad: dict[str, str] = field(default_factory=dict)       # path: what is wrong with it

    def __post_init__(self) -> None:
        self.identity = self._identity()

    def _identity(self) -> tuple[int, int]:
        try:
            about = os.stat(self.root)
        except OSError as error:
            raise GalaxyError(f"{self.root}: {error.strerror}: is its disk mounted? Nothing was changed", USAGE) from None
        if not stat.S_ISDIR(about.st_mode):
            raise GalaxyError(f"{self.root}: not a folder", USAGE)
        return about.st_dev, about.st_ino

    def place(self, path: str) -> str:
        """The whole path of a file or folder."""
        return os.path.join(self.root, path)

    def lacks(self, path: str) -> bool:
        """Whether there is nothing at `path` now; refused where `root` is not the folder any more that it was."""
        gone = not os.path.lexists(self.place(path))
        if gone and self._identity() != self.identity:
            raise GalaxyError(f"{self.root} is another folder than a moment ago: is its disk still mounted?")
        return gone

    def may_hold(self, path: str) -> bool:
        """Whether something may be at `path` though it is not among `files`: it is, or is in, what is left alone or can't
        be read."""
        names = path.split("/")
        above = {"/".join(names[:length]) for length in range(1, len(names) + 1)}
        return any(map(is_ignored, names)) or not above.isdisjoint(self.left) or not above.isdisjoint(self.bad)


def is_ignored(name: str) -> bool:
    """Whether that is the name of something hidden, or of a file that is just being written."""
    return name.startswith(".") or name.lower().endswith(UNFINISHED_PATTERN)


def scan_tree(root: str) -> LocalTree:
    """What is in the folder `root`, each file that can be read with what tells when it changes."""
    disk, real, todo = LocalTree(root), os.path.realpath(root), [""]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(disk.place(folder)) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise GalaxyError(f"{root}: {error.strerror}", USAGE) from None
            disk.bad[folder] = str(error.strerror)
            continue
        for entry in inside:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not is_ignored(entry.name) and _is_folder(disk, real, entry, path):
                disk.folders.add(path)
                todo.append(path)
    return disk


def _is_folder(disk: LocalTree, real: str, entry: os.DirEntry[str], path: str) -> bool:
    """Whether that is a folder to look into; anything else finds its place in `disk`."""
    try:
        path.encode()
        if entry.is_dir(follow_symlinks=False):
            return True
        if entry.is_symlink() and os.path.commonpath([real, os.path.realpath(entry.path)]) != real:
            disk.left[path] = "a link out of the folder"
            return False
        about = os.stat(entry.path)
        if stat.S_ISDIR(about.st_mode):
            disk.left[path] = "a link to a folder"
        elif not stat.S_ISREG(about.st_mode):
            disk.left[path] = "not a file"
        elif not os.access(entry.path, os.R_OK):
            disk.bad[path] = "Permission denied"
        else:
            disk.files[path] = FileStamp.of(about)
    except UnicodeEncodeError:
        disk.bad[path.encode(errors="replace").decode()] = "its name is not UTF-8"
    except OSError as error:
        if os.path.lexists(entry.path):     # else it went a moment ago
            disk.bad[path] = str(error.strerror)
    return False


def hash_unchanged(path: str, seen: FileStamp) -> str:
    """The SHA-256 of a file that is as it was `seen`; refused where it has changed."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
        if FileStamp.of(os.fstat(file.fileno())) != seen:
            raise GalaxyError(CHANGED_MESSAGE)
    return digest.hexdigest()
