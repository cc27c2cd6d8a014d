"""What is to be uploaded: the files, folders and URLs of a command line; their datatypes, checksums and pairs."""
from __future__ import annotations

import hashlib
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
from urllib.parse import unquote, urlsplit

from common import USAGE, GalaxyError, shorten

# Galaxy asks its file sources, which have schemes of their own
URL_PATTERN = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
UNFINISHED_PATTERN = (".part", ".partial", ".filepart", ".tmp", ".crdownload", "~")
CHECKSUM_PATTERN = re.compile(r"md5(sums?)?(\.txt)?|.*\.md5", re.IGNORECASE | re.DOTALL)

# Extensions that are names of datatypes of Galaxy 26.1, in small letters.
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

# A datatype, and other extensions of its files.
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

# Known, but Galaxy tells the datatype from the content, where these are more than one: BAM by its order (what is not sorted
# by coordinate would, as bam, be sorted: other bytes than were sent), GFA and BIOM 1 or 2, GFF 2 or 3, MAF of alignments or
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
    return {**{f"{ext}.gz": "gz" for ext in table}, **table}        # which says more than binary, Galaxy's own guess


DATATYPES = _datatypes()


@dataclass(frozen=True)
class Source:
    """Something to be uploaded."""

    path: str           # of a file, absolute; or a URL
    name: str           # the dataset's name: the file's own; in a folder the path below it, with /
    ext: str            # datatype
    size: int | None    # bytes; None for a URL

    @property
    def is_url(self) -> bool:
        return bool(URL_PATTERN.match(self.path))


# -------------------------------------------------------------------------------------------------------- finding them

def expand_sources(texts: list[str], recursive: bool = False, ext: str = "") -> tuple[list[Source], list[str]]:
    """The sources that a command line names: files, URLs, and what is in folders where `recursive`; and complaints, one
    line each, about what is in a folder and can't be uploaded.

    What is typed and can't be uploaded, or is typed twice, is a usage error. `ext` is the datatype of all of them; the one
    that each name tells unless given. In folders, in the order of their names, hidden files, those of downloads under way
    and checksums are left alone; there may be nothing in one.
    """
    typed: dict[str, str] = {}
    first: dict[str, Source] = {}
    complaints: list[str] = []
    for text in texts:
        folder = _is_utf8(text) and not URL_PATTERN.match(text) and os.path.isdir(text)
        if folder and not recursive:
            raise GalaxyError(f"{text}: a folder: --recursive takes what is in it", USAGE)
        sources = _files_in_folder(text, ext, complaints) if folder else [_parse_source(text, ext)]
        if _real(text) in typed:
            raise GalaxyError(f"{text}: the same as {typed[_real(text)]}, which is there already", USAGE)
        typed[_real(text)] = text
        for source in sources:
            other = first.setdefault(_real(source.path), source)
            if other is not source:
                complaints.append(f"{source.path}: left out, because it is the same file as {other.path}")
    return list(first.values()), complaints


@contextmanager
def replace_stdin(texts: list[str], name: str | None) -> Iterator[list[str]]:
    """`texts` with the path of a temporary file in place of `-`, which holds what came from standard input: an upload says
    at its beginning how many bytes there will be. It wants a `name`."""
    if "-" not in texts:
        yield texts
        return
    if texts != ["-"] or not name:
        raise GalaxyError("-: standard input goes alone, and with --name=NAME", USAGE)
    if sys.stdin is None:
        raise GalaxyError("standard input is closed", USAGE)
    with tempfile.NamedTemporaryFile(prefix="galaxy-upload-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 2**20)
        file.flush()
        yield [file.name]


def rename_source(sources: list[Source], name: str, ext: str = "") -> Source:
    """The one source there is, with another name, which tells the datatype where none is given; a usage error where there
    are several."""
    if len(sources) != 1:
        raise GalaxyError(f"--name={name}: a name for one source, and there are {len(sources)}", USAGE)
    told = guess_datatype(name)
    return replace(sources[0], name=name, ext=ext or (sources[0].ext if told == "auto" else told))


def parse_file(text: str, name: str = "", ext: str = "") -> Source:
    """The file that somebody typed, with the dataset's name and datatype where they are given."""
    try:
        size = _size(text)
    except (OSError, ValueError) as error:
        raise GalaxyError(f"{text}: {getattr(error, 'strerror', None) or error}", USAGE) from None
    name = name or os.path.basename(text)
    return Source(os.path.abspath(text), name, ext or guess_datatype(name), size)


def _parse_source(text: str, ext: str) -> Source:
    """The source that somebody typed: a file or a URL."""
    if not text:
        raise GalaxyError("a file's name is empty: is a variable unset?", USAGE)
    if not _is_utf8(text):
        raise GalaxyError(f"{_shown(text)}: its name is not UTF-8", USAGE)
    return _of_url(text, ext) if URL_PATTERN.match(text) else parse_file(text, ext=ext)


def _of_url(url: str, ext: str) -> Source:
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
    """The files in a folder, sorted, with what is wrong with others added to `complaints`."""
    sources, tree = [], os.path.realpath(folder)
    for path in _files(folder, complaints):
        name = os.path.relpath(path, folder)
        try:
            if not _is_utf8(name):
                raise ValueError("its name is not UTF-8")
            if not _within(tree, path):
                raise ValueError(f"a link out of {folder}, left alone")
            if not os.path.isdir(path):
                sources.append(Source(os.path.abspath(path), name, ext or guess_datatype(name), _size(path)))
            elif "/." in os.path.realpath(path)[len(tree):]:    # else a link to a folder that is met anyway
                raise ValueError("a link to a hidden folder, left alone")
        except (OSError, ValueError) as error:
            complaints.append(f"{_shown(path)}: {getattr(error, 'strerror', None) or error}")
    return sorted(sources, key=lambda source: source.name.split("/"))


def _files(folder: str, complaints: list[str]) -> Iterator[str]:
    """The paths of all in a folder that is no folder, but for what is left alone."""
    def unreadable(error: OSError) -> None:
        complaints.append(f"{_shown(error.filename)}: {error.strerror}")

    for here, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if os.path.islink(os.path.join(here, name))]
        for name in sorted(names) + links:
            if not (name.startswith(".") or name.lower().endswith(UNFINISHED_PATTERN) or CHECKSUM_PATTERN.fullmatch(name)):
                yield os.path.join(here, name)


def _size(path: str) -> int:
    """The size of a file that can be read (bytes); raises OSError and ValueError."""
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode):     # a pipe has no size, and would arrive as an empty dataset
        raise ValueError("not a file")
    if not os.access(path, os.R_OK):
        raise PermissionError(13, "Permission denied")
    return about.st_size


def _within(tree: str, path: str) -> bool:
    return os.path.commonpath([tree, os.path.realpath(path)]) == tree


def _real(text: str) -> str:
    """What is the same for all paths of one file."""
    return text if URL_PATTERN.match(text) else os.path.realpath(text)


def _is_utf8(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


def _shown(text: str) -> str:
    return text.encode(errors="replace").decode()


# --------------------------------------------------------------------------------------------------------- their names

def guess_datatype(name: str) -> str:
    """Galaxy's datatype for a file of that name; "auto", which lets Galaxy look into it, where the name does not tell."""
    return DATATYPES.get(_extension(name), "auto")


def stem(name: str) -> str:
    """`name` without the extension that tells the datatype; as it is where it has none that is known."""
    ext = _extension(name)
    return name[:-len(ext) - 1] if ext else name


def datatype_ending(name: str) -> str:
    """The extension of `name` that tells the datatype, as it is written there; "" where there is none that is known."""
    return name[len(stem(name)) + 1:]


def _extension(name: str) -> str:
    """The longest ending of a file's name that stands for a datatype, in small letters; "" where there is none."""
    parts = name.rsplit("/", 1)[-1].lower().split(".")
    endings = (".".join(parts[start:]) for start in range(1, len(parts)) if any(parts[:start]))
    return next((ending for ending in endings if ending in DATATYPES), "")


MARK = re.compile(r"(?P<sample>.*[^/])[_.](R?(?P<number>[12])(_001)?|(?P<word>forward|reverse|fwd|rev))", re.I | re.S)
MATES = {"1": "2", "2": "1", "forward": "reverse", "reverse": "forward", "fwd": "rev", "rev": "fwd"}


def pair_reads(names: list[str]) -> list[tuple[str, str, str]]:
    """`(sample, name of the forward reads, name of the reverse reads)` for each sample, in the order of `names`.

    The mark stands before the extension: _R1_001, _R1, _1, .1, _forward or _fwd, with _R2_001 and so on for the mate. A name
    without a mark or without a mate, and a sample of which there is more than one pair, are usage errors.
    """
    times = Counter(names)
    made: dict[str, tuple[str, str, str]] = {}
    alone = []
    for name in names:
        sample, mate, forward = mate_of(name)
        if not mate or times[name] != 1 or times[mate] != 1:
            twice = next((one for one in (name, mate) if times[one] > 1), "")
            why = f"{twice} is there twice" if twice else f"there is no {mate}" if mate else "no _R1 or _R2 at its end"
            alone.append(f"{name} ({why})")
        elif forward and sample in made:
            raise GalaxyError(f"{sample}: more than one pair is of this sample: {made[sample][1]}, {name}", USAGE)
        elif forward:
            made[sample] = (sample, name, mate)
    if alone:
        more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
        raise GalaxyError(f"not in pairs: {', '.join(alone[:5])}{more}", USAGE)
    return list(made.values())


def mate_of(name: str) -> tuple[str, str, bool]:
    """The sample that a file of reads is of, its mate's name, and whether it is the forward one; "" where it has no mark."""
    found = MARK.fullmatch(stem(name)) or MARK.fullmatch(os.path.splitext(name)[0])
    if not found:
        return "", "", False
    start, end = found.span("number" if found["number"] else "word")
    mark = name[start:end]
    other = MATES[mark.lower()]
    other = other.upper() if mark.isupper() else other.title() if mark.istitle() else other
    return found["sample"], name[:start] + other + name[end:], mark.lower() in ("1", "forward", "fwd")


# -------------------------------------------------------------------------------------------------------- their checksums

LINE = re.compile(r"\\?(?P<hash>[0-9a-f]{32})(?:[ \t]+\*?(?P<name>.+))?|"       # as md5sum writes it, or a hash alone
                  r"MD5 ?\((?P<bsd_name>.+)\) ?= ?(?P<bsd_hash>[0-9a-f]{32})", re.IGNORECASE)


def verify_checksums(sources: list[Source]) -> list[str]:
    """Complaints, one line each, about files whose MD5 is not what a checksum file beside them, or above them in the
    folder that was typed, says; and about lines of those that can't be read. Files that none of them names are fine."""
    files = {source.path: source for source in sources if not source.is_url}
    complaints: list[str] = []
    expected: dict[str, dict[str, str]] = {}        # path: {hash: the checksum file that says so}
    for folder in sorted({folder for source in files.values() for folder in _folders(source)}):
        for listing in _listings(folder, files, complaints):
            try:
                for path, digest in _lines(listing, complaints):
                    if path in files:
                        expected.setdefault(path, {}).setdefault(digest, listing)
            except OSError as error:
                complaints.append(f"{listing}: {error.strerror}")
    for path, hashes in expected.items():
        try:
            digest = _md5(path)
        except OSError as error:
            complaints.append(f"{path}: {error.strerror}")
            continue
        complaints += [f"{path}: its MD5 is {digest}, and {listing} says {told}" for told, listing in hashes.items()
                       if told != digest]
    return complaints


def _folders(source: Source) -> list[str]:
    """The folder that a file is in, and those above it up to the one that was typed."""
    folders = [os.path.dirname(source.path)]
    for _ in range(source.name.count("/")):
        folders.append(os.path.dirname(folders[-1]))
    return folders


def _listings(folder: str, files: dict[str, Source], complaints: list[str]) -> list[str]:
    """The checksum files in a folder, but for NAME.md5 where NAME is there and is none of `files`."""
    try:
        names = set(os.listdir(folder))
    except OSError as error:
        complaints.append(f"{folder}: {error.strerror}")
        return []
    return [os.path.join(folder, name) for name in sorted(names) if CHECKSUM_PATTERN.fullmatch(name) and (
        name[:-4] not in names or os.path.join(folder, name[:-4]) in files) and os.path.isfile(os.path.join(folder, name))]


def _lines(listing: str, complaints: list[str]) -> Iterator[tuple[str, str]]:
    """The paths and hashes that a checksum file tells."""
    own = listing[:-4] if os.path.exists(listing[:-4]) else None        # the file that NAME.md5 is for
    with open(listing, encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n")
            if not line.strip() or line.startswith("#"):
                continue
            told = LINE.fullmatch(line) or LINE.fullmatch(line.strip())
            name = told and (told["name"] or told["bsd_name"])
            if told is None or not (name or own):
                complaints.append(f"{listing}: line {number} is no MD5 with a name: {shorten(line, 60)!r}")
                continue
            if name and line.startswith("\\"):      # as md5sum writes names with a newline in them
                name = re.sub(r"\\([\\nr])", lambda found: {"n": "\n", "r": "\r"}.get(found[1], "\\"), name)
            if own and (not name or os.path.basename(name) == os.path.basename(own)):
                path = own
            else:
                path = os.path.normpath(os.path.join(os.path.dirname(listing), name or ""))
            yield path, (told["hash"] or told["bsd_hash"]).lower()


def _md5(path: str) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
