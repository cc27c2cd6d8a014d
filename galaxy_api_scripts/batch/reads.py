"""Files of reads: which of them are one, which are mates, and which sample they are of."""
from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from common import GalaxyError
from galaxy_api_scripts.batch.sample_sheet import NoRunSheet, RunSheet, read_run_sheet
from galaxy_api_scripts.datasets.lanes import Lanes, describe_parts, join_sources
from galaxy_api_scripts.datasets.sources import Source, guess_datatype, mate_of, stem

EMPTY = "is empty"
SHEET = "SampleSheet.csv"
# Folders on the way to the reads that say nothing of the sample, as sequencers and Illumina's programs call them.
LAYOUT = re.compile(r"data|intensities|basecalls|fastq|fastqs|bclconvert|bcl2fastq|alignment_?[0-9]*|analysis|[0-9]+|"
                    r"[0-9]{6,8}_[0-9]{6}|reports?|output|unaligned|demultiplexed", re.IGNORECASE)
NUMBERED = re.compile(r"(?P<name>.+)_S(?P<number>[0-9]+)(?P<lane>_L(?P<lane_number>[0-9]{3}))?", re.DOTALL)


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


class Reads(NamedTuple):
    """One file, or those that are put together to be one."""

    name: str       # below the watched folder, or below the run
    files: tuple[IncomingFile, ...]

    @property
    def problem(self) -> str:
        return next((f"{file.name} {file.problem}" for file in self.files if file.problem), "")

    def as_source(self) -> Source:
        """What is to be uploaded; a usage error if the files can't be put together."""
        sources = [Source(file.path, file.name, guess_datatype(file.name), file.size) for file in self.files]
        return sources[0] if len(sources) == 1 and self.name == sources[0].name else join_sources(self.name, sources)


@dataclass
class RunSamples:
    """The samples in a run's folder that can be run, and what is left out of it."""

    samples: list[tuple[str, list[Reads]]] = field(default_factory=list)     # names, each with one file or two mates
    left_out: list[tuple[str, str]] = field(default_factory=list)       # samples that can't be run, and why
    left_files: list[IncomingFile] = field(default_factory=list)        # of these
    skipped: list[str] = field(default_factory=list)        # a line for each other thing that is left alone
    problem: str = ""       # with the run as a whole


def samples_as_before(files: list[IncomingFile]) -> RunSamples:
    """The samples of a run as they were before there were lanes: in pairs or not. A sample whose name another one has too
    gets those of its folders before it."""
    by_name = {file.name: file for file in files}
    mates = {name: mate_of(name) for name in by_name}
    alone = [name for name, (_, mate, _) in mates.items() if mate not in by_name]
    by_path = [(stem(name), [by_name[name]]) for name in alone] + [
        (path, [by_name[name], by_name[mate]]) for name, (path, mate, is_forward) in mates.items()
        if is_forward and mate in by_name]
    counts = Counter(os.path.basename(path) for path, _ in by_path)
    found = sorted(((path.replace("/", "_") if counts[os.path.basename(path)] > 1 else os.path.basename(path), of_sample)
                    for path, of_sample in by_path), key=lambda sample: sample[0])
    run = RunSamples(problem="" if by_name else "has no reads in it yet")
    if 0 < len(alone) < len(by_name):
        run.problem = f"has {len(by_name)} files, and {len(alone)} of them without a mate, such as {alone[0]}"
    for (one, first), (other, second) in zip(found, found[1:]):
        if one == other:
            run.problem = run.problem or f"has two samples that would be {one}: of {first[0].name} and {second[0].name}"
    empty = {name: file for name, of_sample in found for file in of_sample if file.problem == EMPTY}
    if len(empty) == len(found):      # nothing would be left
        empty = {}
    run.left_files = [file for name, of_sample in found for file in of_sample if name in empty]
    run.left_out = [(name, f"{file.name} is empty, so it was left out") for name, file in empty.items()]
    run.samples = [(name, [Reads(file.name, (file,)) for file in of_sample]) for name, of_sample in found
                   if name not in empty]
    return run


def samples_of_run(folder: str, files: list[IncomingFile], lanes: Lanes) -> RunSamples:
    """The samples of a run: lanes together, in pairs or not, called as the run's sample sheet says, or as their files.

    One that can't be run is left out, and the others are run: with an unreadable or empty file, without a mate where others
    have one, with files that can't be put together, or with another one's name.
    """
    run = RunSamples()
    sheet = _sheet_of(folder, files, run)
    if run.problem:
        return run
    files = _listed(files, sheet, run) if sheet else files
    groups = lanes.group(files, lambda file: file.name) if lanes.together else [(file.name, [file]) for file in files]
    by_name = {name: Reads(name, tuple(members)) for name, members in groups}
    mates = {name: mate_of(name) for name in by_name}
    is_paired = any(mate in by_name for _, mate, _ in mates.values())
    named: dict[str, list[list[Reads]]] = {}
    for name, (path, mate, is_forward) in mates.items():
        if mate in by_name and not is_forward:
            continue
        is_alone = mate not in by_name
        reads = [by_name[name]] if is_alone else [by_name[name], by_name[mate]]
        sample = _sample_name(path if path and not (is_alone and not is_paired) else stem(name), reads[0], sheet)
        named.setdefault(sample, []).append(reads)
    for sample, candidates in sorted(named.items()):
        problem = _problem_of(candidates, is_paired, lanes)
        if problem:
            run.left_out.append((sample, f"{problem}, so it was left out"))
            run.left_files += [file for reads in candidates for one in reads for file in one.files]
        else:
            run.samples.append((sample, candidates[0]))
    run.left_out += [(row.sample, f"{SHEET} lists it, and there are no files of it") for row in (sheet.rows if sheet else [])
                     if by_name and not any(_base(sample, lanes) == row.sample for sample in named)]
    if not run.samples:
        run.problem = run.left_out[0][1].removesuffix(", so it was left out") if by_name and run.left_out else \
            "has no reads in it yet"
        run.left_out = []
    return run


def _base(sample: str, lanes: Lanes) -> str:
    return sample if lanes.together else re.sub("_L[0-9]{3}$", "", sample)


def _problem_of(candidates: list[list[Reads]], is_paired: bool, lanes: Lanes) -> str:
    """Why what has the name of a sample can't be run; "" if it can."""
    reads = candidates[0]
    if len(candidates) > 1:
        one, other = sorted((reads[0], candidates[1][0]), key=lambda each: each.name.endswith(".gz"), reverse=True)
        if one.name.removesuffix(".gz") == other.name:
            gzip, plain = (describe_parts(file.name for file in each.files) for each in (one, other))
            return f"the gzip files and the plain ones can't be put together: gzip {gzip}; plain {plain}"
        return f"{reads[0].name} and {candidates[1][0].name} would have one name"
    if is_paired and len(reads) == 1:
        return f"{reads[0].name} has no mate"
    problem = next((one.problem for one in reads if one.problem), "")
    if not problem and len(reads) == 2 and not lanes.have_same(*([file.name for file in one.files] for one in reads)):
        return f"{reads[0].name} and {reads[1].name} have files of different lanes"
    try:
        for one in reads if not problem else []:
            one.as_source()
            one.name.encode()
    except GalaxyError as error:
        return str(error)
    except UnicodeEncodeError:
        return f"{one.name} has a name that is not UTF-8"
    return problem


def _sample_name(path: str, reads: Reads, sheet: RunSheet | None) -> str:
    """The name of a sample by what stands in its files' path before the mark of the mate, whatever other files there are."""
    base = os.path.basename(path)
    numbered = NUMBERED.fullmatch(base)
    row = sheet.find(reads.files[0].name) if sheet else None
    if row:
        return row.sample + (numbered["lane"] or "" if numbered else "")
    if numbered:
        return base
    return "_".join([*(name for name in os.path.dirname(path).split("/") if name and not LAYOUT.fullmatch(name)), base])


def _sheet_of(folder: str, files: list[IncomingFile], run: RunSamples) -> RunSheet | None:
    """The run's sample sheet, if it has one that fits its files; why it does not is noted. A damaged one is a problem of the
    run, and one of its files: a mended one makes another unit of the run."""
    path = os.path.join(folder, SHEET)
    if not os.path.isfile(path):
        return None
    try:
        sheet = read_run_sheet(path)
    except NoRunSheet as error:
        run.skipped.append(f"{path}: can't be used, so samples are called as their files: {error}")
        return None
    except GalaxyError as error:
        run.problem = f"{error}: mend the sheet, or remove it: then samples are called as their files"
        with suppress(OSError):
            about = os.stat(path)
            files = [*files, IncomingFile(path, SHEET, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)]
        run.left_files = files
        return None
    if files and not any(sheet.find(file.name) for file in files):
        run.skipped.append(f"{path}: lists none of the samples that have files, so samples are called as these")
        return None
    return sheet


def _listed(files: list[IncomingFile], sheet: RunSheet, run: RunSamples) -> list[IncomingFile]:
    """The files of the samples and lanes that the sheet lists; a line for each other sample is noted, or for each other lane
    of one that is listed."""
    def name_of(file: IncomingFile, with_lane: bool) -> str:
        base = os.path.basename(file.name)
        numbered = NUMBERED.fullmatch(mate_of(base)[0])
        return numbered["name"] + (numbered["lane"] or "" if with_lane else "") if numbered else mate_of(base)[0] or base

    listed, others = list[IncomingFile](), list[IncomingFile]()
    for file in files:
        (listed if sheet.find(file.name) else others).append(file)
    run.left_files += others
    known = {name_of(file, False) for file in listed}
    names = dict.fromkeys(name_of(file, name_of(file, False) in known) for file in others)
    run.skipped += [f"{sheet.path}: does not list {name}, so it is left out" for name in names]
    return listed
