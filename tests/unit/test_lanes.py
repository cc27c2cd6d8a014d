"""Lanes: which files are put together, in which order, under which name; and what can't be."""
import gzip
import os
import struct
import tracemalloc
import zlib
from dataclasses import replace

import pytest

from common import USAGE, GalaxyError
from galaxy_api_scripts.datasets.lanes import (
    SEPARATE,
    Lanes,
    join_lanes,
    join_sources,
    natural_key,
    parse_lanes,
    require_match,
)
from galaxy_api_scripts.datasets.local_file import HEAD_SIZE, WHOLE_SIZE, LocalFile, require_joinable
from galaxy_api_scripts.datasets.sources import expand_sources, mate_of, parse_file

READ = b"@r\nACGT\n+\nFFFF\n"


@pytest.fixture
def put(tmp_path):
    """`put({name: content})`: the sources of these files."""
    def write(files):
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        return [parse_file(str(tmp_path / name), name=name) for name in files]
    return write


def outline(sources):
    return {source.name: [os.path.basename(path) for path in source.local_paths] for source in sources}


def lanes_of(*lanes, sample="A_S1", read="R1"):
    return {f"{sample}{lane}_{read}_001.fastq.gz": gzip.compress(READ) for lane in lanes}


def test_the_lanes_of_a_sample_and_read_are_one_source(put):
    sources = put({**lanes_of("_L002", "_L001"), **lanes_of("_L001", "_L002", read="R2"), **lanes_of("", sample="C_S3"),
                   **lanes_of("_L002", sample="B_S2"), "x.bed": b"1\n"})
    made = join_lanes(sources, Lanes(True))
    assert outline(made) == {
        "A_S1_R1_001.fastq.gz": ["A_S1_L001_R1_001.fastq.gz", "A_S1_L002_R1_001.fastq.gz"],
        "A_S1_R2_001.fastq.gz": ["A_S1_L001_R2_001.fastq.gz", "A_S1_L002_R2_001.fastq.gz"],
        "C_S3_R1_001.fastq.gz": ["C_S3_R1_001.fastq.gz"],
        "B_S2_R1_001.fastq.gz": ["B_S2_L002_R1_001.fastq.gz"],      # whatever its neighbours have
        "x.bed": ["x.bed"]}
    first = made[0]
    assert first.size == 2 * len(gzip.compress(READ)) and first.ext == "fastqsanger.gz" and not first.is_url
    assert first.path == f"{first.parts[0]} + A_S1_L002_R1_001.fastq.gz"
    assert join_lanes(sources, SEPARATE) == sources
    with LocalFile(first.parts) as file:
        assert gzip.decompress(file.read(10_000)) == READ * 2
    require_joinable(first)


@pytest.mark.parametrize("typed", [
    ["H2", "H1"], ["."], [f"{cell}/A_S1_L00{lane}_R{read}_001.fastq.gz" for lane in (1, 2) for cell in ("H2", "H1")
                          for read in (1, 2)]], ids=["folders", "one folder", "files"])
def test_lanes_in_other_folders_are_others_but_by_a_pattern(put, tmp_path, typed):
    put({f"{cell}/A_S1_L00{lane}_R{read}_001.fastq.gz": GOOD for cell in ("H2", "H1") for lane in (1, 2) for read in (1, 2)})
    sources, _ = expand_sources([str(tmp_path / name) for name in typed], recursive=True)
    made = join_lanes(sources, Lanes(True))
    assert sorted([[path.split("/")[-2:] for path in source.parts] for source in made]) == [
        [[cell, f"A_S1_L00{lane}_R{read}_001.fastq.gz"] for lane in (1, 2)] for cell in ("H1", "H2") for read in (1, 2)]
    assert {os.path.basename(source.name) for source in made} == {f"A_S1_R{read}_001.fastq.gz" for read in (1, 2)}
    for order in (sources, sources[::-1]):      # typed in any order, forward and reverse reads have one
        made = join_lanes(order, parse_lanes(None, "_L[0-9]+"))
        assert {source.name: [path.split("/")[-2:] for path in source.parts] for source in made} == {
            f"A_S1_R{read}_001.fastq.gz": [[cell, f"A_S1_L00{lane}_R{read}_001.fastq.gz"]
                                           for lane in (1, 2) for cell in ("H1", "H2")] for read in (1, 2)}


def test_each_folders_files_are_looked_into_and_compared_with_their_mates(put, tmp_path):
    names = [f"{cell}/A_S1_L00{lane}_R{read}_001.fastq.gz" for cell in "ab" for lane in (1, 2) for read in (1, 2)]
    put(dict.fromkeys(names, GOOD))
    for bad, words in (({names[1]: b"x\n"}, "plain text"), ({names[5]: b"x\n"}, "plain text")):
        put({**dict.fromkeys(names, GOOD), **bad})
        with pytest.raises(GalaxyError, match=words):
            join_lanes(expand_sources([str(tmp_path / name) for name in names])[0], Lanes(True))
    put(dict.fromkeys(names, GOOD))
    for gone in (names[0], names[7]):
        with pytest.raises(GalaxyError, match="are of different lanes"):
            join_lanes(expand_sources([str(tmp_path / name) for name in names if name != gone])[0], Lanes(True))


def test_a_pattern_orders_numbers_as_numbers(put):
    sources = join_lanes(put({f"s_run{number}.fq": READ for number in (10, 9, 1)}), parse_lanes(None, "_run([0-9]+)"))
    assert outline(sources) == {"s.fq": ["s_run1.fq", "s_run9.fq", "s_run10.fq"]}


def test_a_pattern_comes_on_top_of_illuminas_lanes(put, tmp_path):
    names = [f"{sample}_S1_L00{lane}_R1_001.fastq.gz" for sample in ("A_FC1", "A_FC2", "B") for lane in (1, 2)]
    put({f"{folder}/{name}": GOOD for folder in "xy" for name in names})
    sources, _ = expand_sources([str(tmp_path / folder / name) for folder in "xy" for name in names])
    a, *b = join_lanes(sources, parse_lanes(None, "_FC[0-9]"))
    assert a.name == "A_S1_R1_001.fastq.gz" and [path.split("/")[-2:] for path in a.parts] == [
        [folder, f"A_FC{cell}_S1_L00{lane}_R1_001.fastq.gz"] for cell in (1, 2) for lane in (1, 2) for folder in "xy"]
    assert [(source.name, len(source.parts)) for source in b] == [("B_S1_R1_001.fastq.gz", 2)] * 2     # a folder each


@pytest.mark.parametrize("pattern", ["(?i)_l[0-9]+", r"_L([0-9])\1[0-9]"])
def test_a_pattern_may_have_flags_and_references_of_its_own(put, pattern):
    one, = join_lanes(put({"a_L002.fq": READ, "a_L001.fq": READ}), parse_lanes(None, pattern))
    assert one.name == "a.fq" and [os.path.basename(path) for path in one.parts] == ["a_L001.fq", "a_L002.fq"]


def test_mates_of_other_lanes_are_refused_also_where_the_lane_comes_last(put):
    sources = put(dict.fromkeys(["a_L001_R1.fq", "a_L002_R1.fq", "a_L001_R2.fq", "a_L003_R2.fq"], READ))
    marked = [replace(source, name=source.name.replace("_R", "-R")) for source in sources]
    for given in (sources, marked):
        with pytest.raises(GalaxyError, match="are of different lanes"):
            join_lanes(given, parse_lanes(None, "_L[0-9]+"))
    late = put(dict.fromkeys(["b_R1_L001.fq", "b_R1_L002.fq", "b_R2_L001.fq", "b_R2_L003.fq"], READ))
    with pytest.raises(GalaxyError, match="are of different lanes"):
        join_lanes(late, parse_lanes(None, "_L[0-9]+"))


def test_all_that_cant_be_put_together_is_named(put):
    sources = put({f"{sample}_S1_L00{lane}_R1_001.fastq.gz": GOOD if lane == 1 or sample == "B" else b"x\n"
                   for sample in "ABC" for lane in (1, 2)})
    with pytest.raises(GalaxyError, match="2 things are wrong, so nothing was sent") as refused:
        join_lanes(sources, Lanes(True))
    assert refused.value.exit_code == USAGE
    assert [line.split(" is gzip")[0].rsplit("/")[-1] for line in refused.value.table.splitlines()] == [
        f"{sample}_S1_L001_R1_001.fastq.gz" for sample in "AC"]


def test_digits_of_other_scripts_are_no_numbers():
    assert sorted(["L10", "L\u0663", "\u0663", "2", "L2"], key=natural_key) == ["2", "L2", "L10", "L\u0663", "\u0663"]


@pytest.mark.parametrize("mode, pattern, words", [
    ("apart", None, "--lanes=apart: expected together or separate"), ("separate", "x", "contradict"),
    (None, "(", "no regular expression"), (None, "x*", "fits nothing at all"), (None, "", "fits nothing at all")])
def test_wrong_options_are_refused(mode, pattern, words):
    with pytest.raises(GalaxyError, match=words) as refused:
        parse_lanes(mode, pattern)
    assert refused.value.exit_code == USAGE


@pytest.mark.parametrize("names, pattern, words", [
    (["A_S1_L001_R1_001.fastq.gz", "A_S1_R1_001.fastq.gz"], None, "files of single lanes and one of all"),
    (["a.fq", "b.fq"], "_L1", "fits none of the files' names, such as a.fq"),
    (["L1.fq", "L2.fq"], "L[0-9]", "nothing would be left of its name")])
def test_names_that_contradict_are_refused(put, names, pattern, words):
    sources = put(dict.fromkeys(names, READ))
    with pytest.raises(GalaxyError, match=words):
        require_match(sources, parse_lanes(None, pattern))
        join_lanes(sources, parse_lanes(None, pattern))


def test_one_file_twice_is_refused(put, tmp_path):
    sources = put({"a_1.fq": READ})
    os.symlink(tmp_path / "a_1.fq", tmp_path / "a_2.fq")
    with pytest.raises(GalaxyError, match="is there twice"):
        join_sources("a.fq", [*sources, parse_file(str(tmp_path / "a_2.fq"))])


# ------------------------------------------------------------------------------------------------- what can't be one

def bgzf(text):
    """A block of BGZF, as bgzip and samtools write them."""
    body = zlib.compress(text, 1)[2:-4]
    return struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(body) + 25) + body + struct.pack(
        "<2I", zlib.crc32(text), len(text))


NOISE = os.urandom(3 * WHOLE_SIZE).hex().encode()       # a large file when compressed
BLOCKS = b"".join(bgzf(NOISE[at:at + 60_000] + b"\n") for at in range(0, len(NOISE), 60_000))
GOOD = gzip.compress(READ)
LARGE = gzip.compress(NOISE, 1)


@pytest.mark.parametrize("name, content, words", [
    ("a{}.fastq.gz", GOOD, ""), ("a{}.fastq.gz", GOOD + GOOD, ""), ("a{}.fq", READ, ""), ("a{}.fastq.gz", LARGE, ""),
    ("a{}.fastq.gz", BLOCKS, ""), ("a{}.fastq.gz", gzip.compress(b""), ""), ("a{}.txt", b"x\n", ""),
    ("a{}.fastq.gz", READ, "1.fastq.gz is gzip, and .*2.fastq.gz plain text"), ("a{}.fastq.gz", b"", "is empty"),
    ("a{}.fastq.gz", GOOD[:-1], "ends too early"), ("a{}.fastq.gz", GOOD + GOOD[:20], "ends too early"),
    ("a{}.fastq.gz", GOOD + b"rest", "something else behind it"),
    ("a{}.fastq.gz", GOOD[:12] + b"\xff" * 8 + GOOD[20:], "damaged"),
    ("a{}.fastq.gz", LARGE[:len(LARGE) // 2] + bytes(len(LARGE) // 2), "ends too early"),      # a copy that stopped
    ("a{}.fastq.gz", BLOCKS[:-1000], "ends too early"), ("a{}.fastq.gz", BLOCKS + bgzf(b""), ""),
    ("a{}.fastq.gz", BLOCKS + bgzf(b"ACGT") + bgzf(b""), "2.fastq.gz does not end with a newline, so"),
    ("a{}.fastq.gz", BLOCKS[:-1000] + bgzf(b""), ""),       # what came before the last block is not looked at
    ("a{}.fastq.gz", gzip.compress(READ[:-1]), "does not end with a newline"),
    ("a{}.fastq.gz", gzip.compress(bytes(500)), "holds no plain text"),
    ("a{}.fastq.gz", bgzf(b"BAM\1" + bytes(9)), "holds no plain text"),
    ("a{}.txt", b"x", "does not end with a newline"), ("a{}.txt", b"x\0\n", "neither gzip nor plain text"),
    ("a{}.bam", bgzf(b"BAM\1"), "holds no plain text"), ("a{}.vcf.gz", GOOD, "files of datatype vcf_bgzip can't"),
    ("a{}.fastq.bz2", GOOD, "files of datatype fastqsanger.bz2 can't"), ("a{}.sam", READ, "files of datatype sam can't")],
    ids=range(27))
def test_what_is_no_gzip_and_no_lines_is_refused(put, name, content, words):
    """The second of two files is tried; the first one is right."""
    first = READ if "gz" not in name else GOOD
    source = join_sources(name.format(""), put({name.format("1"): first, name.format("2"): content}))
    if not words:
        return require_joinable(source)
    with pytest.raises(GalaxyError, match=words) as refused:
        require_joinable(source)
    assert refused.value.exit_code == USAGE and "\n" not in str(refused.value)


def test_a_small_file_that_is_huge_inside_takes_no_memory(put):
    bomb = gzip.compress(b"A" * 300 * 2**20 + b"\n", 1)[:WHOLE_SIZE * 2]
    assert len(bomb) > HEAD_SIZE
    source = join_sources("a.fq.gz", put({"a1.fq.gz": GOOD, "a2.fq.gz": bomb[:WHOLE_SIZE]}))
    tracemalloc.start()
    with pytest.raises(GalaxyError, match="ends too early"):
        require_joinable(source)
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()


# ---------------------------------------------------------------------------------------------------- names of pairs

@pytest.mark.parametrize("name, sample, mate", [
    ("a_1_val_1.fq.gz", "a", "a_2_val_2.fq.gz"), ("a_R1_001_val_1.fq.gz", "a", "a_R2_001_val_2.fq.gz"),
    ("a-R1.fastq", "a", "a-R2.fastq"), ("a_R1_val_1.fq", "a", "a_R2_val_2.fq"), ("a_1.fq", "a", "a_2.fq"),
    ("a_1_1.fq", "a_1", "a_1_2.fq"), ("a_1_val_2.fq", "a_1_val", "a_1_val_1.fq"), ("sample-1.fq", "", "")])
def test_mates_of_trim_galore_and_with_a_dash(name, sample, mate):
    assert mate_of(name)[:2] == (sample, mate)
