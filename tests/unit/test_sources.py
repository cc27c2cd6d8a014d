import hashlib
import os
import re
import stat
from pathlib import Path

import pytest

from common import USAGE, GalaxyError
from galaxy_api_scripts.datasets import sources
from galaxy_api_scripts.datasets.sources import (
    DATATYPES,
    Source,
    datatype_ending,
    expand_sources,
    guess_datatype,
    pair_reads,
    parse_file,
    rename_source,
    replace_stdin,
    stem,
    verify_checksums,
)


@pytest.fixture
def tree(tmp_path):
    """`tree({name: text})`: a folder "run" with those files."""
    def grow(files):
        for name, text in files.items():
            path = tmp_path / "run" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "run"
    return grow


def refused(call, *arguments, **options):
    with pytest.raises(GalaxyError) as caught:
        call(*arguments, **options)
    assert caught.value.exit_code == USAGE
    return str(caught.value)


def names(sources):
    return [source.name for source in sources]


# -------------------------------------------------------------------------------------------------------- finding them

def test_a_file(tree, monkeypatch):
    folder = tree({"s 1.fastq.gz": "reads"})
    monkeypatch.chdir(folder)
    path = str(folder / "s 1.fastq.gz")
    expected = Source(path, "s 1.fastq.gz", "fastqsanger.gz", 5)
    assert expand_sources(["s 1.fastq.gz"]) == expand_sources([path]) == ([expected], [])
    assert not expected.is_url
    assert expand_sources([path], ext="txt")[0][0].ext == "txt"


@pytest.mark.parametrize("url, name, ext", [
    ("https://example.org/a/b%20c.fastq.gz?download=1#x", "b c.fastq.gz", "fastqsanger.gz"),
    ("FTP://ftp.example.org/vol1/ERR1_1.fastq.gz", "ERR1_1.fastq.gz", "fastqsanger.gz"),
    ("gxfiles://ours/run 1/a.vcf", "a.vcf", "vcf"),
    ("s3://bucket/a.fa", "a.fa", "fasta"),
    ("https://example.org/", "example.org", "auto"),
    ("https://example.org/folder/", "folder", "auto"),
])
def test_a_url(url, name, ext):
    sources, complaints = expand_sources([url])
    assert (sources, complaints) == ([Source(url, name, ext, None)], [])
    assert sources[0].is_url


def test_texts_that_are_no_url_are_refused():
    assert "not the address" in refused(expand_sources, ["http://[half/a"])
    assert "give the path alone" in refused(expand_sources, ["file:///etc/passwd"])


def test_a_typed_path_that_does_not_exist_is_refused(tree):
    folder = tree({"a.txt": "a"})
    assert "No such file" in refused(expand_sources, [str(folder / "a.txt"), str(folder / "b.txt")])
    assert "is a variable unset?" in refused(expand_sources, [""])
    assert "not UTF-8" in refused(expand_sources, [os.fsdecode(b"\xff.txt")])
    assert "null" in refused(expand_sources, ["a\0b"])
    os.mkfifo(folder / "pipe")
    assert "not a file" in refused(expand_sources, [str(folder / "pipe")])
    assert "not a file" in refused(expand_sources, ["/dev/null"])


def test_an_unreadable_file_is_refused(tree, monkeypatch):
    folder = tree({"a.txt": "a", "secret.txt": "b"})
    monkeypatch.setattr(os, "access", lambda path, mode: "secret" not in path)      # the tests may run as root
    assert "secret.txt: Permission denied" in refused(expand_sources, [str(folder / "secret.txt")])
    sources, complaints = expand_sources([str(folder)], recursive=True)
    assert names(sources) == ["a.txt"]
    assert complaints == [f"{folder}/secret.txt: Permission denied"]


def test_a_source_typed_twice_is_refused(tree, monkeypatch):
    folder = tree({"a.txt": "a"})
    monkeypatch.chdir(folder)
    (folder / "link.txt").symlink_to("a.txt")
    assert "a.txt: the same as ./a.txt" in refused(expand_sources, ["./a.txt", "a.txt"])
    assert "link.txt: the same as a.txt" in refused(expand_sources, ["a.txt", "link.txt"])
    assert "the same as" in refused(expand_sources, [".", f"{folder}/"], recursive=True)
    assert "the same as" in refused(expand_sources, ["http://x/a", "http://x/a"])
    sources, complaints = expand_sources([".", "a.txt"], recursive=True)
    assert names(sources) == ["a.txt"]
    assert sorted(complaints) == sorted([
        f"{folder}/a.txt: left out, because it is the same file as {folder}/a.txt",
        f"{folder}/link.txt: left out, because it is the same file as {folder}/a.txt"])


def test_a_folder(tree, monkeypatch):
    folder = tree({"b/2.txt": "", "b.txt": "b", "a/é\n1.fastq": "a", "b/c/1.txt": "", "B.txt": ""})
    assert "--recursive" in refused(expand_sources, [str(folder)])
    monkeypatch.chdir(folder.parent)
    sources, complaints = expand_sources(["run"], recursive=True)
    assert names(sources) == ["B.txt", "a/é\n1.fastq", "b/2.txt", "b/c/1.txt", "b.txt"]
    assert sources[1] == Source(str(folder / "a" / "é\n1.fastq"), "a/é\n1.fastq", "fastqsanger", 1)
    assert complaints == []
    assert expand_sources(["run/"], recursive=True) == (sources, [])


def test_hidden_unfinished_and_checksum_files_in_folders_are_left_alone(tree):
    folder = tree(dict.fromkeys((
        ".hidden", ".git/config", "a.part", "a.fastq.PARTIAL", "a.filepart", "a.tmp", "a.crdownload", "a.txt~",
        "md5sums.txt", "MD5SUMS", "md5sum.txt", "checksums.md5", "a.fastq.gz.md5", "sub/.x", "sub/a.bed",
        "tmp/part.txt"), ""))
    sources, complaints = expand_sources([str(folder)], recursive=True)
    assert names(sources) == ["sub/a.bed", "tmp/part.txt"]
    assert complaints == []
    assert names(expand_sources([str(folder / "a.part")])[0]) == ["a.part"]      # who types it means it


def test_odd_entries_of_folders_become_complaints(tree, tmp_path):
    folder = tree({"a.txt": "a", "sub/b.txt": "b", ".store/c": "c"})
    (tmp_path / "outside.txt").write_text("out")
    (folder / "gone.txt").symlink_to("nowhere")
    (folder / "in.txt").symlink_to(".store/c")
    (folder / "out.txt").symlink_to("../outside.txt")
    (folder / "out").symlink_to("..")
    (folder / "in").symlink_to("sub")
    (folder / "loop").symlink_to(".")
    (folder / "hidden").symlink_to(".store")
    os.mkfifo(folder / "pipe")
    with open(os.fsencode(folder) + b"/\xff.txt", "w"):
        pass
    sources, complaints = expand_sources([str(folder)], recursive=True)
    assert names(sources) == ["a.txt", "in.txt", "sub/b.txt"]
    assert sorted(complaints) == [
        f"{folder}/?.txt: its name is not UTF-8",
        f"{folder}/gone.txt: No such file or directory",
        f"{folder}/hidden: a link to a hidden folder, left alone",
        f"{folder}/out.txt: a link out of {folder}, left alone",
        f"{folder}/out: a link out of {folder}, left alone",
        f"{folder}/pipe: not a file"]


def test_a_folder_that_cannot_be_listed_becomes_a_complaint(tree, monkeypatch):
    folder = tree({"a.txt": "", "shut/b.txt": ""})
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    sources, complaints = expand_sources([str(folder)], recursive=True)
    assert (names(sources), complaints) == (["a.txt"], [f"{folder}/shut: Permission denied"])


# ------------------------------------------------------------------------------------------------------------ datatypes

@pytest.mark.parametrize("name, expected", [
    ("a.fastq", "fastqsanger"), ("a.FQ.GZ", "fastqsanger.gz"), ("s_R1.fastq.bz2", "fastqsanger.bz2"), ("a.bam", "auto"),
    ("a.cram", "cram"), ("a.vcf", "vcf"), ("a.vcf.gz", "vcf_bgzip"), ("b.bcf", "bcf"), ("g.fa", "fasta"), ("p.faa", "fasta"),
    ("g.fna.gz", "fasta.gz"), ("g.gtf", "gtf"), ("g.gff3.gz", "gff3.gz"), ("a.bed", "bed"), ("a.bdg", "bedgraph"),
    ("a.bw", "bigwig"), ("a.bb", "bigbed"), ("a.tsv", "tabular"), ("a.tab", "tabular"), ("a.csv", "csv"), ("a.txt", "txt"),
    ("c.h5ad", "h5ad"), ("c.loom", "loom"), ("m.mzML", "mzml"), ("m.mzXML", "mzxml"), ("m.RAW", "thermo.raw"),
    ("m.mgf", "mgf"), ("a.sam", "sam"), ("a.sra", "sra"), ("g.2bit", "twobit"), ("t.nwk", "newick"), ("x.tif", "tiff"),
    ("x.ome.tif", "ome.tiff"), ("x.tar.gz", "tar.gz"), ("x.tgz", "tgz"), ("x.zip", "zip"), ("x.gz", "gz"),
    ("x.bed.gz", "gz"), ("t.qza", "qza"), ("p.pdb", "pdb"), ("p.sdf", "sdf"), ("r.rds", "rds"), ("r.RData", "rdata"),
    ("n.ipynb", "ipynb"), ("run.1/a", "auto"),
    ("run.fastq/README", "auto"), ("a", "auto"), ("", "auto"), ("a.", "auto"), (".fastq", "auto"),
    ("a.unheard", "auto"), ("a.b.c.fastq.gz", "fastqsanger.gz"), ("m.imzML", "auto"), ("Galaxy1.thermo.raw", "thermo.raw"),
])
def test_datatype(name, expected):
    assert guess_datatype(name) == expected


def test_the_table_of_datatypes():
    assert all(ext == ext.lower() and ext == ext.strip(".") for ext in DATATYPES)
    assert "data" not in DATATYPES.values()
    odd = {ext for ext, name in DATATYPES.items() if name in DATATYPES and DATATYPES[name] not in (name, "auto")}
    assert odd == set()     # a file that has a datatype for its extension, as downloads have, keeps it


@pytest.mark.parametrize("name, expected", [
    ("S1_R1.fastq.gz", "S1_R1"), ("a.bed.gz", "a"), ("a.b.VCF.gz", "a.b"), ("sub.d/a.bam", "sub.d/a"),
    ("a.unheard", "a.unheard"), ("a", "a"), (".fastq", ".fastq")])
def test_stem(name, expected):
    assert stem(name) == expected


# ---------------------------------------------------------------------------------------------------------------- pairs

@pytest.mark.parametrize("forward, reverse, sample", [
    ("S1_L001_R1_001.fastq.gz", "S1_L001_R2_001.fastq.gz", "S1_L001"),
    ("S1_R1.fastq.gz", "S1_R2.fastq.gz", "S1"),
    ("S1_r1.fq", "S1_r2.fq", "S1"),
    ("ERR1_1.fastq.gz", "ERR1_2.fastq.gz", "ERR1"),
    ("a.1.fastq", "a.2.fastq", "a"),
    ("a.R1.fastq", "a.R2.fastq", "a"),
    ("a_forward.fq.gz", "a_reverse.fq.gz", "a"),
    ("a.Forward.fq.gz", "a.Reverse.fq.gz", "a"),
    ("a_FWD.fasta", "a_REV.fasta", "a"),
    ("A_1_R1.fastq.gz", "A_1_R2.fastq.gz", "A_1"),
    ("A_2_1.fastq.gz", "A_2_2.fastq.gz", "A_2"),
    ("A_R2_R1.fastq", "A_R2_R2.fastq", "A_R2"),
    ("run/b/a_1.unheard", "run/b/a_2.unheard", "run/b/a"),
    ("a_1", "a_2", "a"), ("a.1", "a.2", "a"), ("é\n _R1.fastq", "é\n _R2.fastq", "é\n "),
])
def test_a_pair(forward, reverse, sample):
    assert pair_reads([forward, reverse]) == pair_reads([reverse, forward]) == [(sample, forward, reverse)]


def test_pairs_keep_their_order():
    assert pair_reads(["b_1.fq", "b_2.fq", "a_2.fq", "a_1.fq", "b_1_1.fq", "b_1_2.fq"]) == [
        ("b", "b_1.fq", "b_2.fq"), ("a", "a_1.fq", "a_2.fq"), ("b_1", "b_1_1.fq", "b_1_2.fq")]
    assert pair_reads([]) == []


@pytest.mark.parametrize("line, said", [
    (["a_R1.fq"], r"a_R1.fq \(there is no a_R2.fq\)"),
    (["a_R1.fq", "a_R2.fq", "b_R2.fq"], r"not in pairs: b_R2.fq \(there is no b_R1.fq\)$"),
    (["a_R1.fq", "a_2.fq"], r"a_R1.fq \(there is no a_R2.fq\), a_2.fq \(there is no a_1.fq\)"),
    (["a_R1.fq", "a_R2.fastq"], "there is no a_R2.fq"),
    (["a_R1.fq", "a_R2.fq", "a_R1.fastq"], r"a_R1.fastq \(there is no a_R2.fastq\)"),
    (["a_R1.fq", "a_R2.fq", "a_R1.fastq", "a_R2.fastq"], "a: more than one pair is of this sample: a_R1.fq, a_R1.fastq"),
    (["a_R1.fq", "a_R2.fq", "a_1.fq", "a_2.fq"], "a: more than one pair is of this sample: a_R1.fq, a_1.fq"),
    (["a_R1.fq", "a_R2.fq", "a_R1.fq"], "a_R1.fq is there twice"),
    (["notes.txt"], r"notes.txt \(no _R1 or _R2 at its end\)"),
    (["_R1.fq", "_R2.fq"], "not in pairs"),
    (["x/_R1.fq", "x/_R2.fq"], "not in pairs"),
    ([f"{number}.fq" for number in range(9)], "and 4 more$"),
])
def test_names_that_form_no_pairs_are_refused(line, said):
    assert re.search(said, refused(pair_reads, line))


# ------------------------------------------------------------------------------------------------------------ checksums

def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def checked(*paths, recursive=True):
    return verify_checksums(expand_sources([str(path) for path in paths], recursive)[0])


def test_matching_checksums_give_no_complaint(tree):
    folder = tree({
        "a.fq": "a", "b b.fq": "b", "c.fq": "c", "sub/d.fq": "d", "e.fq": "e", "back\\slash\n.fq": "f", "free.fq": "g",
        "md5sums.txt": f"# a comment\n{md5('a')}  a.fq\r\n\n{md5('b').upper()} *b b.fq\n{md5('?')}  elsewhere.fq\n",
        "MD5SUMS": f"MD5 (./c.fq) = {md5('c')}\n{md5('d')}\tsub/d.fq\n\\{md5('f')}  back\\\\slash\\n.fq\n",
        "e.fq.md5": f"{md5('e')}\n",
        "sub/d.fq.md5": f"{md5('d')}  /other/machine/d.fq\n"})
    assert checked(folder) == []


@pytest.mark.parametrize("name, line", [
    ("md5sums.txt", "{0}  a.fq"), ("md5sum.txt", "{0} *a.fq"), ("MD5SUMS", "{0}  ./a.fq"),
    ("checksums.md5", "MD5 (a.fq) = {0}"), ("a.fq.md5", "{0}"), ("A.MD5", "{0} a.fq"),
    ("a.fq.md5", "{0}  /some/where/a.fq"), ("md5.txt", "\ufeff{0}  a.fq")])
def test_a_checksum_that_differs(tree, name, line):
    folder = tree({"a.fq": "was", name: line.format(md5("is"))})
    assert checked(folder / "a.fq") == [f"{folder}/a.fq: its MD5 is {md5('was')}, and {folder}/{name} says {md5('is')}"]


def test_checksum_files_in_parent_folders_count(tree):
    folder = tree({"sub/a.fq": "was", "md5sums.txt": f"{md5('is')}  sub/a.fq"})
    assert len(checked(folder)) == 1
    assert checked(folder / "sub" / "a.fq") == []       # only below the folder that was typed is looked for it


def test_a_line_that_is_no_checksum_becomes_a_complaint(tree):
    folder = tree({"a.fq": "a", "md5sums.txt": f"{md5('a')}  a.fq\n{md5('a')[:31]}  a.fq\n{md5('a')}\n"})
    complaints = checked(folder)
    assert [complaint.split(": ")[:2] for complaint in complaints] == [
        [f"{folder}/md5sums.txt", f"line {number} is no MD5 with a name"] for number in (2, 3)]


def test_checksums_of_other_files_are_not_read(tree):
    folder = tree({"a.fq": "a", "b.fq": "b", "b.fq.md5": "nonsense"})
    assert checked(folder / "a.fq") == []
    assert "nonsense" in checked(folder / "b.fq")[0]


def test_unreadable_checksum_files_become_complaints(tree, monkeypatch):
    folder = tree({"a.fq": "a", "md5sums.txt": f"{md5('a')}  a.fq"})
    sources, _ = expand_sources([str(folder), "https://example.org/a.fq"], recursive=True)
    (folder / "a.fq").unlink()
    assert verify_checksums(sources) == [f"{folder}/a.fq: No such file or directory"]
    os.mkfifo(folder / "b.md5")     # must not be waited for
    assert stat.S_ISFIFO(os.stat(folder / "b.md5").st_mode)
    assert verify_checksums(sources) == [f"{folder}/a.fq: No such file or directory"]
    (folder / "md5sums.txt").unlink()
    assert verify_checksums(sources) == []


def test_each_file_is_read_once(tree, monkeypatch):
    folder = tree({"a.fq": "a", "md5sums.txt": f"{md5('a')}  a.fq", "a.fq.md5": md5("b"), "MD5SUMS": f"{md5('c')}  a.fq"})
    made = []
    hash_file = sources.hash_file
    monkeypatch.setattr(sources, "hash_file", lambda path, algorithm: made.append(path) or hash_file(path, algorithm))
    assert len(checked(folder)) == 2
    assert len(made) == 1


# ---------------------------------------------------------------------------------------------- names, standard input

def test_the_ending_that_tells_the_datatype():
    assert [datatype_ending(name) for name in ("s.fastq.gz", "S.FASTQ.GZ", "a.b", "x", "data.tar.gz")] == [
        "fastq.gz", "FASTQ.GZ", "", "", "tar.gz"]


def test_a_source_can_be_renamed(tmp_path):
    (tmp_path / "a.txt").touch()
    source = parse_file(str(tmp_path / "a.txt"))
    assert (rename_source([source], "b.bed").name, rename_source([source], "b.bed").ext) == ("b.bed", "bed")
    assert rename_source([source], "plain").ext == "txt" and rename_source([source], "b.bed", "vcf").ext == "vcf"
    with pytest.raises(GalaxyError, match="there are 2"):
        rename_source([source, source], "b.bed")


def test_standard_input_becomes_a_file(type_in):
    type_in(b"\x00bytes\xff")
    with replace_stdin(["-"], "x", False) as texts:
        path = Path(texts[0])
        assert path.read_bytes() == b"\x00bytes\xff"
    assert not path.exists()
    for texts, name in ((["-", "a"], "x"), (["-"], None)):
        with pytest.raises(GalaxyError, match="goes alone"), replace_stdin(texts, name, False):
            pass
