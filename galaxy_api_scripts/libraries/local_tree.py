"""The files and folders below a folder on this machine, for comparison with a library."""
from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field

from common import TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts.datasets.hashing import hash_file
from galaxy_api_scripts.datasets.sources import UNFINISHED_SUFFIXES

CHANGED_MESSAGE = "changed since this run began: a later run takes it when it is complete"


@dataclass(frozen=True)
class FileStamp:
    """What changes with a file's content. No program can set the time of status change, so content rewritten under an old
    modification time is noticed."""

    size: int       # bytes
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass
class LocalTree:
    """The contents of the folder `root`, without what is ignored by its name. Paths are relative, with / between names."""

    root: str
    files: dict[str, FileStamp] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)       # why a path is left alone
    errors: dict[str, str] = field(default_factory=dict)        # why a path can't be read

    def __post_init__(self) -> None:
        self.identity = self._identify()

    def _identify(self) -> tuple[int, int]:
        try:
            status = os.stat(self.root)
        except OSError as error:
            raise GalaxyError(f"{self.root}: {error.strerror}: is its disk mounted? Nothing was changed", USAGE) from None
        if not stat.S_ISDIR(status.st_mode):
            raise GalaxyError(f"{self.root}: not a folder", USAGE)
        return status.st_dev, status.st_ino

    def full_path(self, path: str) -> str:
        return os.path.join(self.root, path)

    def is_missing(self, path: str) -> bool:
        """Whether nothing exists at `path` now. Raises `GalaxyError` if `root` is no longer the same folder (unmounted)."""
        missing = not os.path.lexists(self.full_path(path))
        if missing and self._identify() != self.identity:
            raise GalaxyError(f"{self.root} is another folder than a moment ago: is its disk still mounted?")
        return missing

    def may_exist(self, path: str) -> bool:
        """Whether `path` may exist without being in `files`: it, or a folder above it, is ignored, skipped or unreadable."""
        names = path.split("/")
        prefixes = {"/".join(names[:length]) for length in range(1, len(names) + 1)}
        return any(map(is_ignored, names)) or not prefixes.isdisjoint({*self.skipped, *self.errors})


def is_ignored(name: str) -> bool:
    """Whether `name` is that of a hidden file or of one still being written."""
    return name.startswith(".") or name.lower().endswith(UNFINISHED_SUFFIXES)


def scan_tree(root: str) -> LocalTree:
    """List the folder `root` recursively, with a stamp for each readable file."""
    tree, real_root, pending = LocalTree(root), os.path.realpath(root), [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(tree.full_path(folder)) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise GalaxyError(f"{root}: {error.strerror}", USAGE) from None
            tree.errors[folder] = str(error.strerror)
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not is_ignored(entry.name) and _is_subfolder(tree, real_root, entry, path):
                tree.folders.add(path)
                pending.append(path)
    return tree


def _is_subfolder(tree: LocalTree, real_root: str, entry: os.DirEntry[str], path: str) -> bool:
    """Whether `entry` is a folder to descend into; anything else is added to `tree`."""
    try:
        path.encode()
        if entry.is_dir(follow_symlinks=False):
            return True
        if entry.is_symlink() and os.path.commonpath([real_root, os.path.realpath(entry.path)]) != real_root:
            tree.skipped[path] = "a link out of the folder"
            return False
        status = os.stat(entry.path)
        if stat.S_ISDIR(status.st_mode):
            tree.skipped[path] = "a link to a folder"
        elif not stat.S_ISREG(status.st_mode):
            tree.skipped[path] = "not a file"
        elif not os.access(entry.path, os.R_OK):
            tree.errors[path] = "Permission denied"
        else:
            tree.files[path] = FileStamp.of(status)
    except UnicodeEncodeError:
        tree.errors[path.encode(errors="replace").decode()] = "its name is not UTF-8"
    except OSError as error:
        if os.path.lexists(entry.path):     # else it was deleted a moment ago
            tree.errors[path] = str(error.strerror)
    return False


def file_error(error: OSError | GalaxyError) -> str:
    """The reason of an error that concerns one file only; any other error, such as Galaxy's, is raised again."""
    if isinstance(error, GalaxyError) and (error.status or error.exit_code == TRY_LATER):
        raise error
    return getattr(error, "strerror", None) or str(error)


def hash_unchanged(path: str, stamp: FileStamp, algorithm: str = "sha256") -> str:
    """The hash of a file. Raises `GalaxyError` if its stamp, taken after the last byte, is no longer `stamp`."""
    digest = hash_file(path, algorithm)
    if FileStamp.of(os.stat(path)) != stamp:
        raise GalaxyError(CHANGED_MESSAGE)
    return digest
