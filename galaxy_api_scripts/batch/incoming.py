"""The units in a watched folder: files, pairs of files or a sequencer's runs; and whether each is complete.

Nothing signals that the last byte is written: the caller scans again and again, and remembers since when each fingerprint is
the same. Galaxy is asked nothing here.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from common import TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts.batch.analyses import analysis_mark, newest_analysis
from galaxy_api_scripts.batch.reads import EMPTY, IncomingFile, Reads, samples_as_before, samples_of_run
from galaxy_api_scripts.datasets.collections import MAX_NAME_LENGTH
from galaxy_api_scripts.datasets.lanes import INDEX_READ, Lanes
from galaxy_api_scripts.datasets.local_file import require_joinable
from galaxy_api_scripts.datasets.sources import CHECKSUM_PATTERN, Source, mate_of, stem
from galaxy_api_scripts.libraries.local_tree import is_ignored
from galaxy_api_scripts.workflows.inputs import CollectionInput, DatasetInput, InputSpec, with_datatype

UNIT_KINDS = ("file", "pair", "run")
BASES_CALLED = "RTAComplete.txt"        # says only that: more files may follow
COMPLETION_MARKS = ("CopyComplete.txt", "CompletedJobInfo.xml", BASES_CALLED)
FASTQ_ENDINGS = (".fastq.gz", ".fq.gz", ".fastq", ".fq", ".fastq.bz2")
# Reads of no barcode, and what Windows, macOS and Office leave in folders.
LEFT_ALONE = re.compile(r"Undetermined_.*|~\$.*|Thumbs\.db|ehthumbs\.db|desktop\.ini", re.DOTALL | re.IGNORECASE)
RSYNC_NAME = re.compile(r"\.(.+)\.\w{6}", re.DOTALL)       # what rsync calls a file until it is complete
MATES = ("forward", "reverse")
AS_BEFORE = Lanes(as_before=True)


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
    left_out: tuple[tuple[str, str], ...] = ()      # samples of a run that can't be run, and why: the others are `samples`
    skipped: tuple[str, ...] = ()       # a line for each other thing that is left alone

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
        return hash_facts(self.files)


def hash_facts(files: Iterable[IncomingFile]) -> str:
    facts = [(file.name, file.size, file.changed, file.inode) for file in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


# ------------------------------------------------------------------------------------------------------------- a scan

def scan_folder(folder: str, kind: str, ready_file: str | None = None, pattern: str | None = None,
                lanes: Lanes = AS_BEFORE, skipped: list[str] | None = None) -> list[IncomingUnit]:
    """The units in the folder now, sorted by name: the files or pairs (`kind`) directly in it, or the reads below each
    folder.

    With `ready_file`, only what is marked: a run by a file of that name in it; a file by FILE.done if it is `.done`, else by
    one of that name in the folder, for all that was there before it. `pattern` is a glob for the files' names, by default of
    a run's FASTQ files. Empty files, and those without their mate, are waited for. Lines about links that are left alone are
    added to `skipped`. Raises TRY_LATER for a folder that can't be read.
    """
    folder, skipped = os.path.abspath(folder), [] if skipped is None else skipped
    try:
        entries = list_entries(folder)
        runs = [entry.path for entry in entries if kind == "run" and not _is_excluded(entry.name)
                and entry.is_dir(follow_symlinks=False)]
        skipped += [f"{entry.path}: a link to a folder, left alone" for entry in entries
                        if not is_ignored(entry.name) and entry.is_symlink() and os.path.isdir(entry.path)]
    except OSError as error:
        raise GalaxyError(f"{folder}: {error.strerror}", TRY_LATER) from None
    if kind == "run":
        units = [unit for path in runs for unit in _scan_run(path, ready_file, pattern, lanes, skipped)]
    else:
        units = _scan_files(folder, entries, ready_file, pattern, lanes, skipped)
    return sorted(_pairs(units, lanes) if kind == "pair" else units, key=lambda unit: (unit.name, unit.place))


def _scan_files(folder: str, entries: list[os.DirEntry[str]], ready_file: str | None, pattern: str | None, lanes: Lanes,
                skipped: list[str]) -> list[IncomingUnit]:
    """The files in the folder, lanes together; with `ready_file`, those that are marked, and all of whose lanes are."""
    suffix = ready_file if ready_file and ready_file.startswith(".") else None
    mark = os.path.join(folder, ready_file) if ready_file and not suffix else ""
    names, marked, units = {entry.name for entry in entries}, _change_time(mark), []
    chosen = (entry for entry in entries if not _is_excluded(entry.name) and entry.name != ready_file
              and not (suffix and entry.name.endswith(suffix)) and (not pattern or fnmatchcase(entry.name, pattern))
              and not (INDEX_READ.fullmatch(entry.name) and not lanes.as_before and "_I" not in (pattern or "")))
    waited: list[str] = []
    for file in _list_files(folder, chosen, skipped):
        if suffix:
            mark = file.path + suffix
            marked = _change_time(mark) if file.name + suffix in names else 0
        if (marked or not ready_file) and (file.size or file.problem != EMPTY or marked >= file.came):
            units.append(_make_unit(stem(file.name), file.path, [(stem(file.name), [Reads(file.name, (file,))])], mark,
                                    marked >= file.came))
        else:
            waited.append(file.name)
    return _together(units, waited, lanes) if lanes.together else units


def _together(units: list[IncomingUnit], waited: list[str], lanes: Lanes) -> list[IncomingUnit]:
    """The units of files with one in the place of those that are put together, if none of them is waited for."""
    joined = []
    names: list[IncomingUnit | str] = [*units, *waited]
    for name, members in lanes.group(names, lambda one: one if isinstance(one, str) else one.files[0].name):
        parts = [one for one in members if not isinstance(one, str)]
        if len(parts) == len(members):
            reads = Reads(name, tuple(one.files[0] for one in parts))
            joined.append(_make_unit(stem(name), parts[0].place, [(stem(name), [reads])], parts[0].mark,
                                     all(one.certain for one in parts)))
    return joined


def _pairs(units: list[IncomingUnit], lanes: Lanes) -> Iterator[IncomingUnit]:
    by_name = {unit.samples[0][1][0].name if unit.samples else unit.files[0].name: unit for unit in units}
    for name, unit in by_name.items():
        sample, mate, is_forward = mate_of(name)
        if not mate:
            yield replace(unit, problem=unit.problem or f"{unit.name} has no _R1 or _R2 at its end")
        elif is_forward and mate in by_name:
            other = by_name[mate]
            if not lanes.have_same([file.name for file in unit.files], [file.name for file in other.files]):
                continue        # the others are on their way
            yield _make_unit(sample, unit.place, [(sample, [Reads(name, unit.files), Reads(mate, other.files)])], unit.mark,
                             unit.certain and other.certain)


def _scan_run(folder: str, ready_file: str | None, pattern: str | None, lanes: Lanes, skipped: list[str]
              ) -> Iterator[IncomingUnit]:
    """The unit of a run's folder; none if there is nothing in it yet."""
    def is_read(name: str) -> bool:
        fits = fnmatchcase(name, pattern) if pattern else name.lower().endswith(FASTQ_ENDINGS)
        is_mark = name in (*COMPLETION_MARKS, ready_file)
        return fits and not is_mark and not _is_excluded(name) and not INDEX_READ.fullmatch(name)

    def will_be(name: str) -> bool:
        hidden = RSYNC_NAME.fullmatch(name)
        return is_ignored(name) and is_read(hidden[1] if hidden else name.rpartition(".")[0])

    bad: list[IncomingFile] = []
    analysis, older = ("", set[str]()) if lanes.as_before else newest_analysis(folder)
    entries = list(_walk(folder, bad, older, skipped))
    reads = _list_files(folder, (entry for entry in entries if is_read(entry.name)), skipped)
    own_mark = analysis_mark(analysis) if analysis and not ready_file else ""
    names = [ready_file] if ready_file else [*([os.path.relpath(own_mark, folder)] if own_mark else []), *COMPLETION_MARKS]
    marks = {name: _change_time(os.path.join(folder, name)) for name in names}
    mark = next((name for name, changed in marks.items() if changed), "")
    certain = bool(mark) and (ready_file or mark != BASES_CALLED) and all(file.came <= marks[mark] for file in reads)
    if not certain:
        bad += [replace(file, problem="is not complete yet")
                for file in _list_files(folder, (entry for entry in entries if will_be(entry.name)), skipped)]
    if (mark or not ready_file) and (reads or bad or certain):
        found = samples_as_before(reads) if lanes.as_before else samples_of_run(folder, reads, lanes)
        bad += [replace(file, problem="") for file in found.left_files]
        path = os.path.join(folder, mark) if mark else ""
        unit = _make_unit(os.path.basename(folder), folder, found.samples, path, bool(certain), found.problem, bad)
        in_order = unit.files if lanes.as_before else tuple(sorted(unit.files, key=lambda file: file.name))
        yield replace(unit, files=in_order, left_out=tuple((_as_utf8(name), _as_utf8(why)) for name, why in found.left_out),
                      skipped=tuple(map(_as_utf8, found.skipped)))


def _make_unit(name: str, place: str, samples: list[tuple[str, list[Reads]]], mark: str, certain: bool,
               problem: str = "", bad: Iterable[IncomingFile] = ()) -> IncomingUnit:
    files = [*bad, *(file for _, mates in samples for reads in mates for file in reads.files)]
    names = [name, *(file.name for file in files)]
    problems = [f"{text} has a name that is not UTF-8" for text in names if _as_utf8(text) != text]
    problems += [f"{file.name} {file.problem}" for file in files if file.problem]
    sources: tuple[tuple[str, tuple[Source, ...]], ...] = ()
    try:
        sources = tuple((sample, tuple(reads.as_source() for reads in mates)) for sample, mates in samples)
    except GalaxyError as error:
        problems.append(str(error))
    return IncomingUnit(_as_utf8(name), place, sources, tuple(files), mark, certain, _as_utf8(next(iter(problems), problem)))


def _list_files(root: str, entries: Iterable[os.DirEntry[str]], skipped: list[str]) -> list[IncomingFile]:
    """The files among the entries, sorted; of links, those to a file in the tree that is not among them itself."""
    plain: list[IncomingFile] = []
    links: dict[int, IncomingFile] = {}
    for entry in entries:
        file = _stat_entry(root, entry)
        if file and not entry.is_symlink():
            plain.append(file)
        elif file and os.path.realpath(entry.path).startswith(os.path.join(os.path.realpath(root), "")):
            links[file.inode] = file
        elif entry.is_symlink() and not os.path.isdir(entry.path):
            where = "out of the folder" if file else "that leads nowhere"
            skipped.append(f"{entry.path}: a link {where}, left alone")
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


def _walk(root: str, bad: list[IncomingFile], older: set[str], skipped: list[str]) -> Iterator[os.DirEntry[str]]:
    """All below a folder but folders, nor what is in `older`; folders that can't be read are added to `bad`."""
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
        folders += [entry.path for entry, is_folder in entries
                    if is_folder and not is_ignored(entry.name) and entry.path not in older]
        skipped += [f"{entry.path}: a link to a folder, left alone" for entry, is_folder in entries
                        if not is_folder and entry.is_symlink() and os.path.isdir(entry.path)]
        yield from (entry for entry, is_folder in entries if not is_folder)


def _is_excluded(name: str) -> bool:
    return is_ignored(name) or bool(LEFT_ALONE.fullmatch(name) or CHECKSUM_PATTERN.fullmatch(name))


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
    now = [stat_again(file) for file in unit.files]
    return "" if None in now else hash_facts(file for file in now if file)


def stat_again(file: IncomingFile) -> IncomingFile | None:
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


def check_parts(unit: IncomingUnit) -> IncomingUnit:
    """The unit without the samples whose files turn out not to be what can be put together, once these are looked into."""
    kept, left_out = [], []
    for name, mates in unit.samples:
        try:
            for source in mates:
                require_joinable(source)
            kept.append((name, mates))
        except GalaxyError as error:
            left_out.append((name, str(error)))
    problem = unit.problem or (left_out[0][1] if left_out and not kept else "")
    return replace(unit, samples=tuple(kept) or unit.samples, problem=problem,
                   left_out=(*unit.left_out, *(left_out if kept else ()))) if left_out else unit
