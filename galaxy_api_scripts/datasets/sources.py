"""Sources of an upload: the files, folders and URLs of a command line; their datatypes, checksums and pairs."""
from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO
from urllib.parse import unquote, urlsplit

from common import USAGE, GalaxyError, shorten
from galaxy_api_scripts.datasets.hashing import hash_file

# Any scheme: Galaxy asks its file sources, which have schemes of their own.
URL_PATTERN = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
UNFINISHED_SUFFIXES = (".part", ".partial", ".filepart", ".tmp", ".crdownload", "~")
CHECKSUM_PATTERN = re.compile(r"md5(sums?)?(\.txt)?|.*\.md5", re.IGNORECASE | re.DOTALL)

# Extensions that are names of Galaxy 26.1's datatypes, in lower case.
_SAME = """
a2m a3m agp arff avi axt axt.bz2 axt.gz bai bcf bed bed12 bed6 biom1 biom2 blastxml blib bmp bref3 bus cel chain cif cmap
cml cnn cnr cns consensusxml cool cram csfasta csv cxb daa dbn dcd dcm dlib dmnd docx edr elib embl eps excel.xls extxyz fai
fast5.tar fast5.tar.bz2 fast5.tar.xz fastg fastqcssanger fastqcssanger.bz2 fastqcssanger.gz fastqillumina fastqillumina.bz2
fastqillumina.gz fastqsolexa fastqsolexa.bz2 fastqsolexa.gz fcs featurexml fits flac fps gal gam gbwt gbz geojson gfa1
gfa1.gz gfa2 gfa2.gz gff3 gff3.bz2 gff3.gz gif gii gii.gz gpr grib gro gtf gtf.gz gz h5ad h5mu hal hdf4 hhr hic hmm2 hmm3
idat idpdb idxml inchi interval ipynb itp jp2 json jsonld kallisto.idx lav laz loom m4a mcool mdp meryldb mgf mkv mol mol2
mov mp3 mp4 mpg mrc ms2 msh msp mtx mz5 mzdata mzml mzmlb mzq mzqc mztab mztab2 mzxml n3 ndpi ndx nhx nii1 nii1.gz nii2
nii2.gz nmrml npy npz nrrd obo ogg onnx osw owl paf paf.gz parquet pdbqt pdf peff pepxml.tsv phyloxml png pod5 pptx pqp pqr
pretext protxml.tsv psd psl qcml qual qza qzv rdf rds rma6 rmd safetensors sam sbml scf scool sdf sff sourmash.sig sqmass
sra star stl svg svs taf taf.gz tar tar.gz textgrid tgz toml tpr trafoxml traml trr ttl vcf vg visium.tar.gz wav webm wig
wma wmv xg xgmml xlsx xmfa xsd xtc xvg xyz zarr.zip zip
"""

# A datatype and other extensions of its files.
_OTHERS = """
4dn_pairs             pairs
4dn_pairs.gz          pairs.gz
4dn_pairsam           pairsam
4dn_pairsam.gz        pairsam.gz
ab1                   abi
arrow                 feather
bedgraph              bdg bg
bgzip                 bgz
bigbed                bb
bigwig                bw
clustal               aln clw
encodepeak            narrowpeak broadpeak gappedpeak
fast5.tar.gz          fast5.tgz
fasta                 fa fna faa ffn frn fas fsa mfa
fasta.bz2             fa.bz2 fna.bz2 faa.bz2 ffn.bz2 frn.bz2 fas.bz2 fsa.bz2 mfa.bz2
fasta.gz              fa.gz fna.gz faa.gz ffn.gz frn.gz fas.gz fsa.gz mfa.gz
fastqsanger           fastq fq
fastqsanger.bz2       fastq.bz2 fq.bz2
fastqsanger.gz        fastq.gz fq.gz
genbank               gb gbk gbff
genbank.gz            gb.gz gbk.gz gbff.gz
gff                   gff2
h5                    hdf5
html                  htm
jpg                   jpeg
markdown              md
mzid                  mzidentml
netcdf                nc
newick                nwk tree treefile
nex                   nexus
odgi                  og
ome.tiff              ome.tif
pdb                   ent
pepxml                pep.xml
phylip                phy
picard_interval_list  interval_list
pileup                mpileup
protxml               prot.xml
rdata                 rda
smi                   smiles
source.c              c
source.cpp            cpp
source.h              h
source.py             py
sqlite                sqlite3
stockholm             sto stk
tabular               tab tsv
tabular.gz            tab.gz tsv.gz
tar.bz2               tbz2 tbz
thermo.raw            raw
tiff                  tif
twobit                2bit
txt                   text log
vcf_bgzip             vcf.gz vcf.bgz
yaml                  yml
"""

# Extensions of more than one datatype, which Galaxy tells by the content: BAM by its order (as `bam`, one that is not sorted
# by coordinate would be sorted: other bytes than were sent), GFA and BIOM 1 or 2, GFF 2 or 3, MAF of alignments or
# mutations, XLS that is often a table of text, XML of BLAST. imzML and shapefiles are several files, and one alone is none.
_BY_CONTENT = """
bam gff gfa gfa.gz biom gaf maf maf.gz maf.bz2 nii nii.gz hmm xls xml ply vtk vtp sig sif nt msf dta imzml shp wiff splib
"""


def _datatypes() -> dict[str, str]:
    """`{extension: datatype}`."""
    table = {ext: ext for ext in _SAME.split()}
    for line in _OTHERS.strip().splitlines():
        name, *exts = line.split()
        table.update(dict.fromkeys([name, *exts], name))
    table.update(dict.fromkeys(_BY_CONTENT.split(), "auto"))
    return {**{f"{ext}.gz": "gz" for ext in table}, **table}        # gz says more than binary, Galaxy's own guess


DATATYPES = _datatypes()


@dataclass(frozen=True)
class Source:
    """A file or URL to upload."""

    path: str           # of a file, absolute; or a URL; of several files, what messages call them
    name: str           # the dataset's name: the file's own; in a folder the path below it, with /
    ext: str            # datatype
    size: int | None    # bytes; None for a URL
    hashes: tuple[tuple[str, str], ...] = ()    # of a URL: functions and values that Galaxy is to compare with
    deferred: bool = False          # of a URL: Galaxy notes the address, and fetches the bytes for each job that reads them
    decompress: bool = False        # Galaxy stores what is in the compressed file
    components: tuple[Source, ...] = ()         # the files of a composite dataset, whose path is the first one's
    metadata: tuple[tuple[str, str], ...] = ()  # of a composite dataset
    parts: tuple[str, ...] = ()     # the paths of several files that are sent one after the other and arrive as one

    @property
    def is_url(self) -> bool:
        return not self.parts and bool(URL_PATTERN.match(self.path))

    @property
    def files(self) -> dict[str, tuple[str, ...]]:
        """The paths of each file that is sent, by what messages call it: one for each component, one for all parts, none for
        a URL."""
        return {each.path: each.parts or (each.path,) for each in self.components or (self,) if not each.is_url}

    @property
    def local_paths(self) -> list[str]:
        """The paths of the files that are sent for it; none for a URL."""
        return [path for paths in self.files.values() for path in paths]

    @property
    def stamps(self) -> dict[str, tuple[int, int]]:
        """Size in bytes, and time of the last change in ns, of each of its `files`; for several parts, a number that changes
        with any of their sizes and times. Raises OSError."""
        stamps = {}
        for name, paths in self.files.items():
            stats = [(about.st_size, about.st_mtime_ns) for about in map(os.stat, paths)]
            several = int(hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:15], 16)
            stamps[name] = sum(size for size, _ in stats), stats[0][1] if len(stats) == 1 else several
        return stamps


# ------------------------------------------------------------------------------------------------------- finding sources

def expand_sources(texts: list[str], recursive: bool = False, ext: str = "") -> tuple[list[Source], list[str]]:
    """The sources that a command line names: files, URLs and, if `recursive`, the files in folders; and complaints, one line
    each, about what is in a folder and can't be uploaded.

    What was typed and can't be uploaded, or was typed twice, is a usage error. `ext` is the datatype of all; "" lets each
    name tell it. A folder's files come in the order of their names, without hidden ones, unfinished downloads and checksums;
    it may be empty.
    """
    def real_path(text: str) -> str:
        return text if URL_PATTERN.match(text) else os.path.realpath(text)

    typed: dict[str, str] = {}
    by_path: dict[str, Source] = {}
    complaints: list[str] = []
    for text in texts:
        if URL_PATTERN.match(text):
            sources = [_parse_url(text, ext)]
        elif not (_is_utf8(text) and os.path.isdir(text)):
            sources = [parse_file(text, ext=ext)]
        elif recursive:
            sources = _files_in_folder(text, ext, complaints)
        else:
            raise GalaxyError(f"{text}: a folder: --recursive takes what is in it", USAGE)
        path = real_path(text)
        if path in typed:
            raise GalaxyError(f"{text}: the same as {typed[path]}, which is there already", USAGE)
        typed[path] = text
        for source in sources:
            first = by_path.setdefault(real_path(source.path), source)
            if first is not source:
                complaints.append(f"{source.path}: left out, because it is the same file as {first.path}")
    return list(by_path.values()), complaints


@contextmanager
def replace_stdin(texts: list[str], name: str | None, allow_empty: bool) -> Iterator[list[str]]:
    """`texts` with `-` replaced by the path of a temporary file that holds standard input: an upload begins with its size.
    It needs a `name`, and is an error if it is empty and may not be: the command before it may have failed."""
    if "-" not in texts:
        yield texts
        return
    if texts != ["-"] or not name:
        raise GalaxyError("-: standard input goes alone, and with --name=NAME", USAGE)
    if sys.stdin is None:
        raise GalaxyError("standard input is closed", USAGE)
    with _spool(sys.stdin.buffer) as (path, size):
        if not size and not allow_empty:
            raise GalaxyError("-: standard input is empty: has the command before it failed? --allow-empty uploads it")
        yield [path]


@contextmanager
def replace_pipe(path: str) -> Iterator[str]:
    """`path`; that of a temporary file with what it gives if it is a pipe or a device, such as /dev/stdin. An empty pipe is
    an error, /dev/null is not."""
    if not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path):
        yield path
        return
    if not os.access(path, os.R_OK):
        raise GalaxyError(f"{_printable(path)}: Permission denied", USAGE)
    with open(path, "rb") as pipe, _spool(pipe) as (copy, size):
        if not size and not os.path.samefile(path, os.devnull):
            raise GalaxyError(f"{_printable(path)}: nothing came: has the command before it failed?")
        yield copy


@contextmanager
def _spool(stream: IO[bytes]) -> Iterator[tuple[str, int]]:
    with tempfile.NamedTemporaryFile(prefix="galaxy-upload-") as file:
        shutil.copyfileobj(stream, file, 2**20)
        file.flush()
        yield file.name, file.tell()


def rename_source(sources: list[Source], name: str, ext: str = "") -> Source:
    """The only source with another name, which tells the datatype if `ext` is ""; several are a usage error."""
    if len(sources) != 1:
        raise GalaxyError(f"--name={name}: a name for one source, and there are {len(sources)}", USAGE)
    guess = guess_datatype(name)
    return replace(sources[0], name=name, ext=ext or (sources[0].ext if guess == "auto" else guess))


def defer(sources: list[Source]) -> list[Source]:
    """The sources as deferred ones; a file is a usage error, because Galaxy can't fetch it."""
    file = next((source for source in sources if not source.is_url or source.components), None)
    if file:
        raise GalaxyError(f"--deferred: {file.path} is no URL, so Galaxy can't fetch it later", USAGE)
    return [replace(source, deferred=True) for source in sources]


def parse_file(text: str, name: str = "", ext: str = "") -> Source:
    """The file at the path `text`, with the dataset's name and datatype unless ""; an unreadable one is a usage error."""
    if not text:
        raise GalaxyError("a file's name is empty: is a variable unset?", USAGE)
    problem = "" if _is_utf8(text) else "its name is not UTF-8"
    try:
        about = os.stat(text)
        if not stat.S_ISREG(about.st_mode):     # a pipe has no size, and would arrive as an empty dataset
            problem = problem or "not a file"
        elif not os.access(text, os.R_OK):
            problem = problem or "Permission denied"
    except (OSError, ValueError) as error:
        problem = problem or getattr(error, "strerror", None) or str(error)
    if problem:
        raise GalaxyError(f"{_printable(text)}: {problem}", USAGE)
    name = name or os.path.basename(text)
    return Source(os.path.abspath(text), name, ext or guess_datatype(name), about.st_size)


def _parse_url(url: str, ext: str) -> Source:
    try:
        parts = urlsplit(url)
        name = unquote(parts.path.rstrip("/").rsplit("/", 1)[-1]) or parts.hostname or ""
    except ValueError:
        name = ""
    if not name:
        raise GalaxyError(f"{shorten(url)}: not the address of anything", USAGE)
    if parts.scheme == "file":
        raise GalaxyError(f"{shorten(url)}: Galaxy would look for it on its own machine: give the path alone", USAGE)
    return Source(url, name, ext or guess_datatype(name), None)


def _files_in_folder(folder: str, ext: str, complaints: list[str]) -> list[Source]:
    """The files in a folder, sorted; what is wrong with others is added to `complaints`."""
    sources, real_folder = [], os.path.realpath(folder)
    for path in _walk_files(folder, complaints):
        name, real_path = os.path.relpath(path, folder), os.path.realpath(path)
        try:
            if os.path.commonpath([real_folder, real_path]) != real_folder:
                raise GalaxyError(f"{path}: a link out of {folder}, left alone")
            if not os.path.isdir(path):
                sources.append(replace(parse_file(path, ext=ext), name=name))
            elif "/." in real_path[len(real_folder):]:      # the walk meets all other folders that a link leads to
                raise GalaxyError(f"{path}: a link to a hidden folder, left alone")
        except GalaxyError as error:
            complaints.append(str(error))
    return sorted(sources, key=lambda source: source.name.split("/"))


def _walk_files(folder: str, complaints: list[str]) -> Iterator[str]:
    """The paths of all files and links in a folder that may be uploaded."""
    def complain(error: OSError) -> None:
        complaints.append(f"{_printable(error.filename)}: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=complain):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in sorted(names) + links:
            if not (name.startswith(".") or name.lower().endswith(UNFINISHED_SUFFIXES) or CHECKSUM_PATTERN.fullmatch(name)):
                yield os.path.join(parent, name)


def _is_utf8(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def _printable(text: str) -> str:
    return text.encode(errors="replace").decode()


# ------------------------------------------------------------------------------------------------------------ their names

def guess_datatype(name: str) -> str:
    """Galaxy's datatype for a file of that name; "auto", by which Galaxy looks at the content, if the name does not tell."""
    return DATATYPES.get(_extension(name), "auto")


def stem(name: str) -> str:
    """`name` without the extension that tells the datatype; unchanged if it has no known one."""
    ext = _extension(name)
    return name[:-len(ext) - 1] if ext else name


def datatype_ending(name: str) -> str:
    """The extension of `name` that tells the datatype, in its own case; "" if it has no known one."""
    return name[len(stem(name)) + 1:]


def _extension(name: str) -> str:
    """The longest ending of a file's name that stands for a datatype, in lower case; "" if none does."""
    parts = name.rsplit("/", 1)[-1].lower().split(".")
    endings = (".".join(parts[start:]) for start in range(1, len(parts)) if any(parts[:start]))
    return next((ending for ending in endings if ending in DATATYPES), "")


# _R1_001_val_1 and _1_val_1 are what Trim Galore makes of _R1_001 and _1.
MATE_PATTERN = re.compile(r"(?P<sample>.*?[^/])([_.]R?|-R)(?P<number>[12])(_001)?(_val_(?P<trimmed>(?P=number)))?|"
                          r"(?P<named>.*[^/])[_.](?P<word>forward|reverse|fwd|rev)", re.IGNORECASE | re.DOTALL)
OTHER_MARKS = {"1": "2", "2": "1", "forward": "reverse", "reverse": "forward", "fwd": "rev", "rev": "fwd"}


def pair_reads(names: list[str]) -> list[tuple[str, str, str]]:
    """`(sample, name of the forward reads, name of the reverse reads)` for each sample, in the order of `names`.

    The mark before the extension tells: _R1_001, _R1, -R1, _1, .1, _1_val_1, _forward or _fwd, with _R2_001 and so on for
    the mate. A name without a mark or a mate, and a sample with more than one pair, are usage errors.
    """
    counts = Counter(names)
    pairs: dict[str, tuple[str, str, str]] = {}
    unpaired = []
    for name in names:
        sample, mate, is_forward = mate_of(name)
        if not mate or counts[name] != 1 or counts[mate] != 1:
            twice = next((other for other in (name, mate) if counts[other] > 1), "")
            why = f"{twice} is there twice" if twice else f"there is no {mate}" if mate else "no _R1 or _R2 at its end"
            unpaired.append(f"{name} ({why})")
        elif is_forward and sample in pairs:
            raise GalaxyError(f"{sample}: more than one pair is of this sample: {pairs[sample][1]}, {name}", USAGE)
        elif is_forward:
            pairs[sample] = (sample, name, mate)
    if unpaired:
        more = f" and {len(unpaired) - 5} more" if len(unpaired) > 5 else ""
        raise GalaxyError(f"not in pairs: {', '.join(unpaired[:5])}{more}", USAGE)
    return list(pairs.values())


def mate_of(name: str) -> tuple[str, str, bool]:
    """The sample of a file of reads, its mate's name, and whether it is the forward one; ("", "", False) without a mark."""
    match = MATE_PATTERN.fullmatch(stem(name)) or MATE_PATTERN.fullmatch(os.path.splitext(name)[0])
    if not match:
        return "", "", False
    mate, mark = name, match["number"] or match["word"]
    other = OTHER_MARKS[mark.lower()]
    other = other.upper() if mark.isupper() else other.title() if mark.istitle() else other
    for start, end in (match.span(group) for group in ("trimmed", "number", "word") if match[group]):
        mate = mate[:start] + other + mate[end:]
    return match["sample"] or match["named"], mate, mark.lower() in ("1", "forward", "fwd")


# -------------------------------------------------------------------------------------------------------- their checksums

# A line as md5sum writes it, or a hash alone; or as BSD's md5 does.
CHECKSUM_LINE = re.compile(r"\\?(?P<hash>[0-9a-f]{32})(?:[ \t]+\*?(?P<name>.+))?|"
                           r"MD5 ?\((?P<bsd_name>.+)\) ?= ?(?P<bsd_hash>[0-9a-f]{32})", re.IGNORECASE)


def verify_checksums(sources: list[Source]) -> list[str]:
    """Complaints, one line each, about files whose MD5 is not what a checksum file beside them, or above them in the folder
    that was typed, says; and about its lines that can't be read. Files without a checksum are fine."""
    files = {path: source for source in sources for path in source.local_paths}
    complaints: list[str] = []
    expected: dict[str, dict[str, str]] = {}        # {path: {hash: the checksum file that says so}}
    for folder in sorted({folder for path, source in files.items() for folder in _folders(path, source.name)}):
        for listing in _checksum_files(folder, files, complaints):
            try:
                for path, digest in _parse_checksums(listing, complaints):
                    if path in files:
                        expected.setdefault(path, {}).setdefault(digest, listing)
            except OSError as error:
                complaints.append(f"{listing}: {error.strerror}")
    for path, hashes in expected.items():
        try:
            digest = hash_file(path, "md5")
        except OSError as error:
            complaints.append(f"{path}: {error.strerror}")
            continue
        complaints += [f"{path}: its MD5 is {digest}, and {listing} says {other}" for other, listing in hashes.items()
                       if other != digest]
    return complaints


def _folders(path: str, name: str) -> list[str]:
    """The folder of a file, and those above it up to the one that was typed, below which the file is called `name`."""
    folders = [os.path.dirname(path)]
    for _ in range(name.count("/")):
        folders.append(os.path.dirname(folders[-1]))
    return folders


def _checksum_files(folder: str, files: dict[str, Source], complaints: list[str]) -> list[str]:
    """The checksum files in a folder, without NAME.md5 if NAME exists and is not uploaded."""
    try:
        names = set(os.listdir(folder))
    except OSError as error:
        complaints.append(f"{folder}: {error.strerror}")
        return []
    return [os.path.join(folder, name) for name in sorted(names) if CHECKSUM_PATTERN.fullmatch(name) and (
        name[:-4] not in names or os.path.join(folder, name[:-4]) in files) and os.path.isfile(os.path.join(folder, name))]


def _parse_checksums(listing: str, complaints: list[str]) -> Iterator[tuple[str, str]]:
    """The paths and hashes in a checksum file."""
    own = listing[:-4] if os.path.exists(listing[:-4]) else None        # the file that NAME.md5 is for
    with open(listing, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n")
            if not line.strip() or line.startswith("#"):
                continue
            match = CHECKSUM_LINE.fullmatch(line) or CHECKSUM_LINE.fullmatch(line.strip())
            name = match and (match["name"] or match["bsd_name"])
            if match is None or not (name or own):
                complaints.append(f"{listing}: line {number} is no MD5 with a name: {shorten(line, 60)!r}")
                continue
            if name and line.startswith("\\"):      # md5sum writes names with a newline in them so
                name = re.sub(r"\\([\\nr])", lambda escape: {"n": "\n", "r": "\r"}.get(escape[1], "\\"), name)
            if own and (not name or os.path.basename(name) == os.path.basename(own)):
                path = own
            else:
                path = os.path.normpath(os.path.join(os.path.dirname(listing), name or ""))
            yield path, (match["hash"] or match["bsd_hash"]).lower()
