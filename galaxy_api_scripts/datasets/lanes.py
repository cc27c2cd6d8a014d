"""Lanes: which files of a sequencer are parts of one, by their names, and the source that they are together."""
from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from common import USAGE, GalaxyError, one_line
from galaxy_api_scripts.datasets.local_file import require_joinable
from galaxy_api_scripts.datasets.sources import Source, guess_datatype, mate_of

MODES = ("together", "separate")
# As bcl2fastq and BCL Convert name their files; without the lane if that was not to be split off.
ILLUMINA = re.compile(r"(?P<start>.+_S[0-9]+)(?P<lane>_L[0-9]{3})?(?P<end>_[RI][12]_001\.(fastq|fq)(\.gz)?)",
                      re.DOTALL | re.IGNORECASE)
INDEX_READ = re.compile(r".*_I[12]_001\..*", re.DOTALL)     # of the barcodes
Item = TypeVar("Item")


@dataclass(frozen=True)
class Lanes:
    """How lanes are put `together`: Illumina's files of one sample and read in one folder; with `pattern`, files from any
    folders whose names differ only in what it matches, and in Illumina's lane, too."""

    together: bool = False
    pattern: str = ""
    as_before: bool = False     # a watched folder whose ledger began when there were no lanes: all is as it was then

    def describe(self) -> str:
        """What a ledger notes, which `Lanes.parse` reads: separate, together, or together and the pattern."""
        return f"together {self.pattern}".strip() if self.together else "separate"

    @classmethod
    def parse(cls, text: str) -> Lanes:
        """What `describe` has written; of "", which is of a ledger from before, that all is as it was then."""
        mode, _, pattern = text.partition(" ")
        return cls(mode == "together", pattern, as_before=not text)

    def split(self, name: str) -> tuple[str, str]:
        """A file's name or path without its lane, and the lane; ("", "") if it has no place for one."""
        folder, base = os.path.split(name)
        mark = self.find_mark(name)
        if mark:
            folder, base = "", re.sub(self.pattern, "", base)
        match = ILLUMINA.fullmatch(base) if self.together else None
        if match:
            return os.path.join(folder, match["start"] + match["end"]), mark + (match["lane"] or "")
        return (base, mark) if mark else ("", "")

    def find_mark(self, name: str) -> str:
        """What the pattern matches in a file's name; "" if that is nothing."""
        return "".join(match[0] for match in re.finditer(self.pattern, os.path.basename(name))) if self.pattern else ""

    def have_same(self, names: Sequence[str], mates: Sequence[str]) -> bool:
        """Whether the files of forward reads and those of reverse reads are of the same lanes, in one order."""
        return [self.split(name)[1] for name in names] == [self.split(mate)[1] for mate in mates]

    def group(self, items: Iterable[Item], name_of: Callable[[Item], str], folder_of: Callable[[Item], str] = lambda _: ""
              ) -> list[tuple[str, list[Item]]]:
        """`[(name, items)]`: those that are put together in one list, in the order of their lanes, with the name of the
        whole; any other alone. The order is that of the first items. `folder_of` tells the folder that a name does not."""
        groups: dict[tuple[str, bool, str], list[tuple[tuple[list[str | int], str, str], Item]]] = {}
        for item in items:
            name = name_of(item)
            joined, lane = self.split(name)
            folder = folder_of(item)
            key = ("" if self.find_mark(name) else folder, bool(joined), joined or name)
            groups.setdefault(key, []).append(((natural_key(lane), name, folder), item))
        result: list[tuple[str, list[Item]]] = []
        for (_, is_lane, name), members in groups.items():
            if is_lane:
                result.append((name, [item for _, item in sorted(members, key=lambda member: member[0])]))
            else:
                result += [(name, [item]) for _, item in members]
        return result


SEPARATE = Lanes()


def parse_lanes(mode: str | None, pattern: str | None, default: str = "together") -> Lanes:
    """What --lanes and --together say; a usage error if they are wrong."""
    if mode is not None and mode not in MODES:
        raise GalaxyError(f"--lanes={mode}: expected {' or '.join(MODES)}", USAGE)
    if pattern is None:
        return Lanes((mode or default) == "together")
    if mode == "separate":
        raise GalaxyError("--together and --lanes=separate contradict each other: give one of them", USAGE)
    try:
        matches_nothing = re.fullmatch(pattern, "") is not None
    except re.error as error:
        raise GalaxyError(f"--together={pattern}: no regular expression: {error}", USAGE) from None
    if matches_nothing:
        raise GalaxyError(f"--together={pattern}: expected a regular expression for what differs in the names, such as "
                          "_FC[0-9]+_L[0-9]+, and this one fits nothing at all", USAGE)
    return Lanes(True, pattern)


def resume_lanes(mode: str | None, pattern: str | None, began: str | None) -> Lanes:
    """What --lanes and --together say, or how a ledger `began`, which it stays with: else what has ended would run again.
    `began` is None for a new one, "" for one from before there were lanes. A usage error if they contradict each other."""
    lanes = parse_lanes(mode, pattern)
    if began is None:
        return lanes
    kept = Lanes.parse(began)
    if (mode or pattern) and lanes.describe() != kept.describe():
        option = f"--together={kept.pattern}" if kept.pattern else f"--lanes={kept.describe()}"
        raise GalaxyError(f"the ledger was begun with {option}, and otherwise what has ended would run again: name another "
                          "--ledger=FILE", USAGE)
    return kept


def join_lanes(sources: list[Source], lanes: Lanes, ext: str = "") -> list[Source]:
    """The sources, with one in place of those that are put together. `ext` is the datatype of all; "" lets names tell it.

    Raises a usage error, which names each file, if some can't be put together.
    """
    if not lanes.together:
        return sources
    others = {id(source) for source in sources if source.is_url or source.components}
    files = [source for source in sources if id(source) not in others]
    groups = lanes.group(files, lambda one: one.name, _folder_of)
    joined: dict[int, Source] = {}
    by_name: dict[tuple[str, str], Source] = {}
    problems: list[str] = []
    for name, group in groups:
        try:
            source = joined[id(group[0])] = join_sources(name, group, ext)
            by_name["" if lanes.find_mark(group[0].name) else _folder_of(source), name] = source
            require_joinable(source)
        except GalaxyError as error:
            problems.append(str(error))
    for (folder, name), source in by_name.items():
        mate_name, is_forward = mate_of(name)[1:]
        mate = by_name.get((folder, mate_name))
        if mate and is_forward and not lanes.have_same(source.local_paths, mate.local_paths):
            problems.append(f"{source.name} and {mate.name} are of different lanes: {source.path}; {mate.path}")
    if len(problems) > 1:
        raise GalaxyError(f"{len(problems)} things are wrong, so nothing was sent", USAGE,
                          table="\n".join(f"- {one_line(problem)}" for problem in problems))
    if problems:
        raise GalaxyError(problems[0], USAGE)
    return [joined.get(id(source), source) for source in sources if id(source) in joined or id(source) in others]


def require_match(sources: list[Source], lanes: Lanes) -> list[Source]:
    """The sources; a usage error if there is a pattern, and it fits no file's name."""
    if lanes.pattern and not any(lanes.find_mark(source.name) for source in sources if source.files):
        raise GalaxyError(f"--together={lanes.pattern}: fits none of the files' names, such as "
                          f"{sources[0].name if sources else 'none'}", USAGE)
    return sources


def _folder_of(source: Source) -> str:
    """The folder of a source's files, which its name has only below a folder that was given."""
    return os.path.dirname(source.local_paths[0])


def without_index_reads(sources: list[Source]) -> list[Source]:
    """The sources without reads of the barcodes, unless they are nothing else."""
    others = [source for source in sources if not INDEX_READ.fullmatch(os.path.basename(source.name))]
    return others or sources


def join_sources(name: str, sources: list[Source], ext: str = "") -> Source:
    """One source, called `name`, of the files of several, in their order; a usage error if two of them overlap."""
    lane_of = [(ILLUMINA.fullmatch(os.path.basename(source.path)) or {"lane": "-"})["lane"] for source in sources]
    if None in lane_of and any(lane and lane != "-" for lane in lane_of):
        raise GalaxyError(f"{name}: there are files of single lanes and one of all: "
                          f"{', '.join(os.path.basename(source.path) for source in sources)}", USAGE)
    if os.path.basename(name).partition(".")[0] == "":
        raise GalaxyError(f"{sources[0].path}: nothing would be left of its name", USAGE)
    paths = [path for source in sources for path in source.local_paths]
    real = [os.path.realpath(path) for path in paths]
    twice = next((path for path, one in zip(paths, real) if real.count(one) > 1), "")
    if twice:
        raise GalaxyError(f"{twice}: is there twice", USAGE)
    exts = list(dict.fromkeys(source.ext for source in sources))
    if len(exts) > 1:
        raise GalaxyError(f"{name}: files of several datatypes ({', '.join(exts)}) can't be put together: "
                          f"{describe_parts(paths)}", USAGE)
    if len(paths) == 1:
        guess = guess_datatype(name)
        return replace(sources[0], name=name, ext=ext or (sources[0].ext if guess == "auto" else guess))
    return Source(describe_parts(paths), name, ext or sources[0].ext, sum(source.size or 0 for source in sources),
                  parts=tuple(paths))


def describe_parts(paths: Iterable[str]) -> str:
    """Several files in one text: their paths, without the folder if it is that of the one before."""
    texts, folder = [], ""
    for path in paths:
        texts.append(os.path.basename(path) if folder and os.path.dirname(path) == folder else path)
        folder = os.path.dirname(path)
    return " + ".join(texts)


def natural_key(text: str) -> list[str | int]:
    """A key by which L2 comes before L10."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split("([0-9]+)", text))]
