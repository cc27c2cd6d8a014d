"""The units in a watched folder: files, pairs of files or a sequencer's runs; whether each is complete, and its move.

Nothing signals that the last byte is written: the caller scans again and again, and remembers since when each fingerprint is
the same. Galaxy is asked nothing here.
"""
from __future__ import annotations

import errno
import filecmp
import hashlib
import itertools
import json
import os
import re
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from common import TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts.datasets.collections import MAX_NAME_LENGTH
from galaxy_api_scripts.datasets.sources import CHECKSUM_PATTERN, Source, guess_datatype, mate_of, stem
from galaxy_api_scripts.files import publish
from galaxy_api_scripts.libraries.local_tree import is_ignored
from galaxy_api_scripts.workflows.inputs import CollectionInput, DatasetInput, InputSpec, with_datatype

UNIT_KINDS = ("file", "pair", "run")
BASES_CALLED = "RTAComplete.txt"        # says only that: more files may follow
COMPLETION_MARKS = ("CopyComplete.txt", "CompletedJobInfo.xml", BASES_CALLED)
FASTQ_ENDINGS = (".fastq.gz", ".fq.gz", ".fastq", ".fq", ".fastq.bz2")
INDEX_READS = re.compile(r".*_I[12]_001\..*", re.DOTALL)    # of the barcodes
RSYNC_NAME = re.compile(r"\.(.+)\.\w{6}", re.DOTALL)       # what rsync calls a file until it is complete
TIME_RESOLUTION = 2 * 10**9     # ns; no file system keeps times less exactly
MATES = ("forward", "reverse")


@dataclass(frozen=True)
class IncomingFile:
    """A file as it was at the scan."""

    path: str
    name: str           # its path below the watched folder, or below the run
    size: int = 0       # bytes
    changed: int = 0    # ns since 1970, which anybody can set;
    came: int = 0       # the same, but set by the file system alone, even for cp -p and rsync -t
    inode: int = 0
    problem: str = ""


@dataclass(frozen=True)
class IncomingUnit:
    """A unit that a workflow runs on: a file, a pair of files or the reads of a run."""

    name: str               # of the sample or run
    place: str              # the path of the file, of the pair's forward one or of the run's folder
    samples: tuple[tuple[str, tuple[Source, ...]], ...]     # names, each with one file or the forward and reverse ones
    files: tuple[IncomingFile, ...]
    mark: str = ""          # the path of its mark file, if there is one
    certain: bool = False   # the mark says that it is complete, and nothing came after that
    problem: str = ""       # why it can't be run
    left_out: tuple[tuple[str, str], ...] = ()      # samples of a run without those that can't be run, and why

    @property
    def sources(self) -> tuple[Source, ...]:
        """What is to be uploaded: in the order of the samples, forward before reverse."""
        return tuple(source for _, mates in self.samples for source in mates)

    @property
    def paired(self) -> bool:
        return any(len(mates) == 2 for _, mates in self.samples)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the unit's files: paths, sizes, times, inodes. Marks are not in it: one that comes later changes no
        unit."""
        return _hash_files(self.files)


def _hash_files(files: Iterable[IncomingFile]) -> str:
    facts = [(file.name, file.size, file.changed, file.inode) for file in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


# ------------------------------------------------------------------------------------------------------------- a scan

def scan_folder(folder: str, kind: str, ready_file: str | None = None, pattern: str | None = None) -> list[IncomingUnit]:
    """The units in the folder now, sorted by name: the files or pairs (`kind`) directly in it, or the reads below each
    folder.

    With `ready_file`, only what is marked: a run by a file of that name in it; a file by FILE.done if it is `.done`, else by
    one of that name in the folder, for all that was there before it. `pattern` is a glob for the files' names, by default of
    a run's FASTQ files. Empty files, and those without their mate, are waited for. Raises TRY_LATER for a folder that can't
    be read.
    """
    folder = os.path.abspath(folder)
    try:
        entries = list_entries(folder)
        runs = [entry.path for entry in entries if kind == "run" and not _is_excluded(entry.name)
                and entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise GalaxyError(f"{folder}: {error.strerror}", TRY_LATER) from None
    if kind == "run":
        units = [unit for path in runs for unit in _scan_run(path, ready_file, pattern)]
    else:
        units = _scan_files(folder, entries, ready_file, pattern)
    return sorted(_pairs(units) if kind == "pair" else units, key=lambda unit: (unit.name, unit.place))


def _scan_files(folder: str, entries: list[os.DirEntry[str]], ready_file: str | None, pattern: str | None
                ) -> list[IncomingUnit]:
    """The files in the folder; with `ready_file`, those that are marked."""
    suffix = ready_file if ready_file and ready_file.startswith(".") else None
    mark = os.path.join(folder, ready_file) if ready_file and not suffix else ""
    names, marked, units = {entry.name for entry in entries}, _change_time(mark), []
    chosen = (entry for entry in entries if not _is_excluded(entry.name) and entry.name != ready_file
              and not (suffix and entry.name.endswith(suffix)) and (not pattern or fnmatchcase(entry.name, pattern)))
    for file in _list_files(folder, chosen):
        if suffix:
            mark = file.path + suffix
            marked = _change_time(mark) if file.name + suffix in names else 0
        if (marked or not ready_file) and (file.size or file.problem != EMPTY or marked >= file.came):
            units.append(_make_unit(stem(file.name), file.path, [(stem(file.name), [file])], mark, marked >= file.came))
    return units


def _pairs(units: list[IncomingUnit]) -> Iterator[IncomingUnit]:
    by_file = {unit.files[0].name: unit for unit in units}
    for name, unit in by_file.items():
        sample, mate, is_forward = mate_of(name)
        if not mate:
            yield replace(unit, problem=unit.problem or f"{unit.name} has no _R1 or _R2 at its end")
        elif is_forward and mate in by_file:
            files, certain = [*unit.files, *by_file[mate].files], unit.certain and by_file[mate].certain
            yield _make_unit(sample, unit.place, [(sample, files)], unit.mark, certain)


def _scan_run(folder: str, ready_file: str | None, pattern: str | None) -> Iterator[IncomingUnit]:
    """The unit of a run's folder; none if there is nothing in it yet."""
    def is_read(name: str) -> bool:
        fits = fnmatchcase(name, pattern) if pattern else name.lower().endswith(FASTQ_ENDINGS)
        is_mark = name in (*COMPLETION_MARKS, ready_file)
        return fits and not is_mark and not _is_excluded(name) and not INDEX_READS.fullmatch(name)

    def will_be(name: str) -> bool:
        hidden = RSYNC_NAME.fullmatch(name)
        return is_ignored(name) and is_read(hidden[1] if hidden else name.rpartition(".")[0])

    bad: list[IncomingFile] = []
    entries = list(_walk(folder, bad))
    reads = _list_files(folder, (entry for entry in entries if is_read(entry.name)))
    marks = {name: _change_time(os.path.join(folder, name)) for name in ([ready_file] if ready_file else COMPLETION_MARKS)}
    mark = next((name for name, changed in marks.items() if changed), "")
    certain = bool(mark) and (ready_file or mark != BASES_CALLED) and all(file.came <= marks[mark] for file in reads)
    if not certain:
        bad += [replace(file, problem="is not complete yet")
                for file in _list_files(folder, (entry for entry in entries if will_be(entry.name)))]
    if (mark or not ready_file) and (reads or bad or certain):
        samples, problem = _samples(reads)
        path = os.path.join(folder, mark) if mark else ""
        empty = {name: file for name, mates in samples for file in mates if file.problem == EMPTY}
        if len(empty) == len(samples):      # nothing would be left
            empty = {}
        bad += [replace(file, problem="") for name, mates in samples for file in mates if name in empty]
        samples = [sample for sample in samples if sample[0] not in empty]
        unit = _make_unit(os.path.basename(folder), folder, samples, path, bool(certain), problem, bad)
        yield replace(unit, left_out=tuple((_as_utf8(name), f"{_as_utf8(file.name)} is empty, so it was left out")
                                           for name, file in empty.items()))


def _samples(reads: list[IncomingFile]) -> tuple[list[tuple[str, list[IncomingFile]]], str]:
    """The reads of a run by sample, in pairs or not, and what is wrong with them. A sample whose name another one has too
    gets those of its folders before it."""
    by_name = {file.name: file for file in reads}
    mates = {name: mate_of(name) for name in by_name}
    alone = [name for name, (_, mate, _) in mates.items() if mate not in by_name]
    by_path = [(stem(name), [by_name[name]]) for name in alone] + [
        (path, [by_name[name], by_name[mate]]) for name, (path, mate, is_forward) in mates.items()
        if is_forward and mate in by_name]
    counts = Counter(os.path.basename(path) for path, _ in by_path)
    samples = sorted(((path.replace("/", "_") if counts[os.path.basename(path)] > 1 else os.path.basename(path), files)
                      for path, files in by_path), key=lambda sample: sample[0])
    problem = "" if by_name else "has no reads in it yet"
    if 0 < len(alone) < len(by_name):
        problem = f"has {len(by_name)} files, and {len(alone)} of them without a mate, such as {alone[0]}"
    for (one, first), (other, second) in zip(samples, samples[1:]):
        if one == other:
            problem = problem or f"has two samples that would be {one}: of {first[0].name} and {second[0].name}"
    return samples, problem


def _make_unit(name: str, place: str, samples: list[tuple[str, list[IncomingFile]]], mark: str, certain: bool,
               problem: str = "", bad: Iterable[IncomingFile] = ()) -> IncomingUnit:
    files = [*bad, *(file for _, mates in samples for file in mates)]
    names = [name, *(file.name for file in files)]
    problems = [f"{text} has a name that is not UTF-8" for text in names if _as_utf8(text) != text]
    problems += [f"{file.name} {file.problem}" for file in files if file.problem]
    sources = tuple((sample, tuple(Source(file.path, file.name, guess_datatype(file.name), file.size) for file in mates))
                    for sample, mates in samples)
    return IncomingUnit(_as_utf8(name), place, sources, tuple(files), mark, certain, _as_utf8(next(iter(problems), problem)))


EMPTY = "is empty"


def _list_files(root: str, entries: Iterable[os.DirEntry[str]]) -> list[IncomingFile]:
    """The files among the entries, sorted; of links, those to a file in the tree that is not among them itself."""
    plain: list[IncomingFile] = []
    links: dict[int, IncomingFile] = {}
    for entry in entries:
        file = _stat_entry(root, entry)
        if file and not entry.is_symlink():
            plain.append(file)
        elif file and os.path.realpath(entry.path).startswith(os.path.join(os.path.realpath(root), "")):
            links[file.inode] = file
    for file in plain:
        links.pop(file.inode, None)
    return sorted([*plain, *links.values()], key=lambda file: file.name.split("/"))


def _stat_entry(root: str, entry: os.DirEntry[str]) -> IncomingFile | None:
    """The file of an entry; None if it is gone or no file."""
    name = os.path.relpath(entry.path, root) if os.path.dirname(entry.path) != root else entry.name
    try:
        about = entry.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return IncomingFile(entry.path, name, problem=f"can't be inspected: {error.strerror}")
    if not stat.S_ISREG(about.st_mode):
        return None
    return _describe_file(entry.path, name, about,
                          EMPTY if not about.st_size else "" if os.access(entry.path, os.R_OK) else "can't be read")


def _describe_file(path: str, name: str, about: os.stat_result, problem: str = "") -> IncomingFile:
    return IncomingFile(path, name, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, problem)


def list_entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _walk(root: str, bad: list[IncomingFile]) -> Iterator[os.DirEntry[str]]:
    """All below a folder but folders; those that can't be read are added to `bad`."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = [(entry, entry.is_dir(follow_symlinks=False)) for entry in list_entries(folder)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            bad.append(IncomingFile(folder, os.path.relpath(folder, root), problem=f"can't be read: {error.strerror}"))
            continue
        folders += [entry.path for entry, is_folder in entries if is_folder and not is_ignored(entry.name)]
        yield from (entry for entry, is_folder in entries if not is_folder)


def _is_excluded(name: str) -> bool:
    return is_ignored(name) or name.startswith("Undetermined_") or bool(CHECKSUM_PATTERN.fullmatch(name))


def _change_time(path: str) -> int:
    """When a file came or changed last, ns since 1970; 0 if there is none."""
    with suppress(OSError):
        return os.stat(path).st_ctime_ns
    return 0


def _as_utf8(text: str) -> str:
    return text.encode(errors="replace").decode()


# -------------------------------------------------------------------------------------------------- complete, and unchanged

def is_complete(unit: IncomingUnit, since: float, now: float, settle: float) -> bool:
    """Whether the unit may be taken, or its problem reported: it has files, and its mark is certain, or its fingerprint the
    same for `settle` seconds."""
    return bool(unit.files) and (unit.certain or now - since >= settle)


def current_fingerprint(unit: IncomingUnit) -> str:
    """The fingerprint that the unit's own files have now, "" if one is gone."""
    now = [_stat_again(file) for file in unit.files]
    return "" if None in now else _hash_files(file for file in now if file)


def _stat_again(file: IncomingFile) -> IncomingFile | None:
    try:
        return _describe_file(file.path, file.name, os.stat(file.path))
    except OSError:
        return None


# ------------------------------------------------------------------------------------------------------------ as an input

def as_workflow_input(unit: IncomingUnit, spec: InputSpec) -> DatasetInput | CollectionInput:
    """The unit as the value of a workflow's input, which is mapped over what is more than it takes; a usage error if it does
    not fit."""
    if unit.problem or spec.kind == "parameter":
        raise GalaxyError(unit.problem or f"it is a parameter ({spec.type}), and takes no file", USAGE)
    collection_type = spec.type if spec.kind == "collection" else "list"
    samples = [(name, [with_datatype(spec, DatasetInput(source.path, source=source, name=os.path.basename(source.name)))
                       for source in mates]) for name, mates in unit.samples]
    if spec.kind == "dataset" and len(unit.sources) == 1:
        return samples[0][1][0]
    if any(len(f"{name}:forward") > MAX_NAME_LENGTH for name, _ in samples):
        raise GalaxyError(
            f"{unit.name}: its name is too long for an element, which may have {MAX_NAME_LENGTH} characters", USAGE)
    if spec.kind == "dataset" and unit.paired:
        return CollectionInput("list", [(f"{name}_{mate}", leaf) for name, mates in samples
                                        for mate, leaf in zip(MATES, mates)])
    if unit.paired and collection_type.replace("_or_unpaired", "") in ("", "paired", "list:paired"):
        pairs = [(name, CollectionInput("paired", list(zip(MATES, mates)))) for name, mates in samples]
        is_one = len(pairs) == 1 and collection_type.startswith("paired")
        return pairs[0][1] if is_one else CollectionInput("list:paired", list(pairs))
    if not unit.paired and collection_type in ("", "list", "paired_or_unpaired", "list:paired_or_unpaired"):
        return CollectionInput("list", [(name, mates[0]) for name, mates in samples])
    raise GalaxyError(f"it takes a collection of type {collection_type}, and the files of {unit.name} are "
                  f"{'pairs' if unit.paired else 'not in pairs'}", USAGE)


# --------------------------------------------------------------------------------------------------------------- its move

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
    if _hash_files(_stat_again(file) or file for file in unit.files) != unit.fingerprint:
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
    after = [_stat_again(replace(file, path=target + file.path[len(thing):])) for file in before]
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
