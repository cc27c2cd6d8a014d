"""Move a unit of a watched folder away once its run has ended well: all of it, or nothing."""
from __future__ import annotations

import errno
import filecmp
import itertools
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from common import GalaxyError
from galaxy_api_scripts.batch.incoming import IncomingUnit, hash_facts, stat_again
from galaxy_api_scripts.files import publish

TIME_RESOLUTION = 2 * 10**9     # ns; no file system keeps times less exactly


def move_unit(unit: IncomingUnit, to: str) -> str:
    """Move the unit, and a file's mark with it, into the folder `to`, under unused names (NAME, NAME.2, ...), and return
    where its `place` is now.

    All of it is there before any of it leaves; after a kill on the way, another call completes it. Raises `GalaxyError` if
    the unit has changed or can't be moved; then it stays, or the message says what is where.
    """
    paths = [file.path for file in unit.files]
    things = paths if unit.place in paths else [unit.place]     # a run is moved as a folder
    if unit.mark.startswith(f"{unit.place}."):
        marks = [path + unit.mark[len(unit.place):] for path in paths]
        things = paths + [mark for mark in marks if os.path.lexists(mark)]
    moved: dict[str, str] = {}
    try:
        _raise_if_changed(unit)
        targets = _choose_targets(unit, things, os.path.abspath(to))
        for thing, target in targets.items():
            _clear(_part(target))
            if not os.path.lexists(target):
                copy_or_link(thing, target)
                moved[thing] = target
        _raise_if_changed(unit)
        for thing in things:
            _remove(thing)
    except OSError as error:
        why = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror or "something else has come there"
        raise GalaxyError(f"{unit.place}: can't be moved: {why}{_undo(moved)}") from None
    return targets[things[0]]


def _raise_if_changed(unit: IncomingUnit) -> None:
    """Raise OSError if a file is no longer as it was; one that is gone may be moved already."""
    if hash_facts(stat_again(file) or file for file in unit.files) != unit.fingerprint:
        raise OSError(errno.ESTALE, "it has changed")


def _choose_targets(unit: IncomingUnit, things: list[str], to: str) -> dict[str, str]:
    """Where each of the things goes: where nothing is, or where an interrupted move has brought it."""
    for end in itertools.chain([""], (f".{number}" for number in itertools.count(2))):
        targets = {thing: os.path.join(to, os.path.basename(thing) + end) for thing in things}
        if all(not os.path.lexists(target) or _is_moved(unit, thing, target) for thing, target in targets.items()):
            break
    if any(not os.path.lexists(thing) and not os.path.lexists(target) for thing, target in targets.items()):
        raise OSError(errno.ENOENT, "it is gone")
    return targets


def _is_moved(unit: IncomingUnit, thing: str, target: str) -> bool:
    """Whether the target is that thing: if that is gone, by sizes and times."""
    if os.path.lexists(thing):
        return _is_same(thing, target)
    before = [file for file in unit.files if f"{file.path}/".startswith(f"{thing}/")]
    after = [stat_again(replace(file, path=target + file.path[len(thing):])) for file in before]
    return bool(before) and all(new and new.size == old.size and abs(new.changed - old.changed) <= TIME_RESOLUTION
                                for old, new in zip(before, after))


def _is_same(path: str, other: str, content: bool = True) -> bool:
    """Whether two files have the same size, time and content, two links the same target, two folders the same in them."""
    if os.path.islink(other):
        return os.path.islink(path) and os.readlink(path) == os.readlink(other)
    if os.path.isdir(path) and os.path.isdir(other):
        names = sorted(os.listdir(path))
        return names == sorted(os.listdir(other)) and all(
            _is_same(os.path.join(path, name), os.path.join(other, name), content) for name in names)
    first, second = os.stat(path), os.stat(other)
    same = (stat.S_IFMT(first.st_mode), first.st_size) == (stat.S_IFMT(second.st_mode), second.st_size) and abs(
        first.st_mtime_ns - second.st_mtime_ns) <= TIME_RESOLUTION
    filecmp.clear_cache()
    return same and (not content or os.path.samestat(first, second) or filecmp.cmp(path, other, shallow=False))


def copy_or_link(thing: str, target: str) -> None:
    """Bring the thing to the target, complete; it may still be where it was, too."""
    part, is_folder = _part(target), os.path.isdir(thing)
    try:
        if not os.path.islink(thing):       # a link would lead nowhere from there: what it leads to is copied
            return give_name(thing, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    try:
        shutil.copytree(thing, part, symlinks=True) if is_folder else shutil.copy2(thing, part)
        _sync(part)
        if not _is_same(thing, part, content=False):
            raise OSError(errno.ESTALE, "it has changed")
        give_name(part, target)
    except OSError:
        with suppress(OSError):
            _clear(part)
        raise
    _clear(part)
    _sync(os.path.dirname(target), below=False)


def give_name(thing: str, target: str) -> None:
    """Give a thing a name that nothing has: a folder is moved, a file may keep its old name too."""
    if os.path.isdir(thing):
        os.rename(thing, target)
    else:
        publish(Path(thing), Path(target))


def _remove(thing: str) -> None:
    """Remove what is at its target now: a folder under a name that no scan takes for a run."""
    if os.path.islink(thing) or os.path.isfile(thing):
        return os.unlink(thing)
    leaving = os.path.join(os.path.dirname(thing), f".{os.path.basename(thing)[:60]}.moved")
    _clear(leaving)
    if os.path.isdir(thing):
        os.rename(thing, leaving)
        _clear(leaving)


def _undo(moved: dict[str, str]) -> str:
    """Bring back what was moved; return the end of a message, if that can't be done."""
    try:
        for thing, target in moved.items():
            if not os.path.lexists(thing):
                os.rename(target, thing)
        for target in moved.values():
            _clear(target)
    except OSError:
        return f"; it is complete as {' and '.join(target for target in moved.values() if os.path.lexists(target))}"
    return ""


def _clear(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def _part(target: str) -> str:
    """What a copy is called until it is complete."""
    return os.path.join(os.path.dirname(target), f".{os.path.basename(target)[:60]}.part")


def _sync(path: str, below: bool = True) -> None:
    """Flush it to the disk, and what is `below` it."""
    tree = os.walk(path) if below else ()
    for name in [path, *(os.path.join(here, name) for here, folders, names in tree for name in (*folders, *names))]:
        if not os.path.islink(name):
            descriptor = os.open(name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
