"""The units in a watched folder: which files are one, when it is complete, and what a move leaves where."""
import errno
import itertools
import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from common import FAILED, TRY_LATER, USAGE, GalaxyError
from galaxy_api_scripts.batch import incoming, unit_moves
from galaxy_api_scripts.batch.incoming import as_workflow_input, current_fingerprint, is_complete, scan_folder
from galaxy_api_scripts.batch.unit_moves import move_unit
from galaxy_api_scripts.workflows.inputs import CollectionInput, DatasetInput, InputSpec


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path / "in"


def put(folder, *names, text="reads"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text and f"{text} of {name}")


def after(path, other):
    """Touch `path` until the file system says that it changed after the other one."""
    while path.stat().st_ctime_ns <= other.stat().st_ctime_ns:
        path.touch()


def outline(found):
    """`{name: its samples' file names, or its problem}`."""
    return {drop.name: drop.problem or {sample: [source.name for source in pair] for sample, pair in drop.samples}
            for drop in found}


def only(folder, unit="file", **options):
    found = scan_folder(str(folder), unit, **options)
    assert len(found) == 1, found
    return found[0]


# ------------------------------------------------------------------------------------------------------------ files

def test_files_are_units_sorted_by_name(inbox):
    put(inbox, "b.fastq.gz", "a.bed", "plain")
    found = scan_folder(str(inbox), "file")
    assert [(drop.name, drop.place, drop.mark, drop.certain, drop.problem) for drop in found] == [
        ("a", str(inbox / "a.bed"), "", False, ""), ("b", str(inbox / "b.fastq.gz"), "", False, ""),
        ("plain", str(inbox / "plain"), "", False, "")]
    source, = found[1].sources
    assert (source.path, source.name, source.ext, source.size) == (
        str(inbox / "b.fastq.gz"), "b.fastq.gz", "fastqsanger.gz", len("reads of b.fastq.gz"))
    assert outline(scan_folder(os.path.relpath(inbox), "file", pattern="*.bed")) == {"a": {"a": ["a.bed"]}}


@pytest.mark.parametrize("name", [".a.bed", "a.part", "a.partial", "a.filepart", "a.TMP", "a.crdownload", "a~", "a.bed.md5",
                                  "md5sums.txt", "Undetermined_S0_L001_R1_001.fastq.gz", "Thumbs.db", "~$a.xlsx",
                                  "desktop.ini"])
def test_names_that_are_left_alone(inbox, name):
    put(inbox, name, "b.bed")
    assert list(outline(scan_folder(str(inbox), "file"))) == ["b"]


def test_folders_pipes_and_sockets_are_left_alone(inbox):
    os.mkfifo(inbox / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(inbox)
        listener.bind("socket")
        os.chdir(here)
        put(inbox, "folder/a.bed")
        assert scan_folder(str(inbox), "file") == []


def test_links_to_files_within_the_folder_count(inbox):
    put(inbox, "a.bed", ".store/deep.bed")
    put(inbox.parent, "outside.bed")
    (inbox / "again.bed").symlink_to("a.bed")       # a.bed is met anyway
    (inbox / "deep.bed").symlink_to(".store/deep.bed")
    (inbox / "out.bed").symlink_to("../outside.bed")
    (inbox / "gone.bed").symlink_to("nothing")
    (inbox / "folder.bed").symlink_to(".store")
    (inbox / "loop.bed").symlink_to("loop.bed")
    assert outline(scan_folder(str(inbox), "file")) == {
        "a": {"a": ["a.bed"]}, "deep": {"deep": ["deep.bed"]},
        "loop": f"loop.bed can't be inspected: {os.strerror(errno.ELOOP)}"}


def test_the_watched_folder_may_be_a_link(inbox):
    put(inbox, "a.bed", "r/x.fastq")
    (inbox / "b.bed").symlink_to("r/x.fastq")
    (inbox.parent / "link").symlink_to(inbox)
    assert list(outline(scan_folder(str(inbox.parent / "link"), "file"))) == ["a", "b"]


def test_an_empty_file_is_waited_for(inbox):
    put(inbox, "a.bed", text="")
    assert scan_folder(str(inbox), "file") == []
    put(inbox, "a.bed")
    assert only(inbox).name == "a"


def test_a_growing_file_changes_its_fingerprint(inbox):
    put(inbox, "a.bed", text="half")
    first, second = only(inbox), only(inbox)
    assert first.fingerprint == second.fingerprint == current_fingerprint(first)
    with open(inbox / "a.bed", "a") as file:
        file.write("x")
    assert only(inbox).fingerprint == current_fingerprint(first) != first.fingerprint
    os.utime(inbox / "a.bed", ns=(5, 5))
    third = only(inbox)
    os.replace(shutil.copy2(inbox / "a.bed", inbox / "b.part"), inbox / "a.bed")    # same size and time, another file
    assert len({first.fingerprint, third.fingerprint, only(inbox).fingerprint}) == 3
    os.unlink(inbox / "a.bed")
    assert current_fingerprint(first) == "" and scan_folder(str(inbox), "file") == []


@pytest.mark.parametrize("name", ["a b.bed", "a\nb.bed", "é.bed", "-n.bed", "'$(x)\".bed"])
def test_names_with_odd_letters_are_kept(inbox, name):
    put(inbox, name)
    drop = only(inbox)
    assert (drop.name, drop.problem, drop.place) == (name[:-4], "", str(inbox / name))
    assert os.path.basename(move_unit(drop, str(inbox.parent / "out"))) == name and os.listdir(inbox) == []


def test_a_name_that_is_not_utf8_is_a_problem(inbox):
    path = os.fsencode(inbox) + b"/a\xff.bed"
    Path(os.fsdecode(path)).write_text("x")
    drop = only(inbox)
    drop.name.encode()
    assert drop.problem == "a? has a name that is not UTF-8"
    assert os.fsencode(move_unit(drop, str(inbox.parent / "out"))).endswith(b"/out/a\xff.bed") and not os.path.lexists(path)


def test_an_unreadable_file_is_a_problem(inbox, monkeypatch):
    put(inbox, "a.bed", "b.bed")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("a.bed"))     # root may read all
    assert outline(scan_folder(str(inbox), "file")) == {"a": "a.bed can't be read", "b": {"b": ["b.bed"]}}


def test_files_that_vanish_during_the_scan_are_skipped(inbox, monkeypatch):
    put(inbox, "a.bed", "b.bed", "run/x/a.fastq", "run/y/b.fastq")
    real = incoming.list_entries

    def entries(folder):
        found = real(folder)
        (inbox / "a.bed").unlink(missing_ok=True)
        shutil.rmtree(inbox / "run/x", ignore_errors=True)
        return found
    monkeypatch.setattr(incoming, "list_entries", entries)
    assert list(outline(scan_folder(str(inbox), "file"))) == ["b"]
    put(inbox, "run/x/a.fastq")
    assert outline(scan_folder(str(inbox), "run")) == {"run": {"b": ["y/b.fastq"]}}

    def and_the_run(folder):
        found = real(folder)
        shutil.rmtree(inbox / "run", ignore_errors=True)
        return found
    monkeypatch.setattr(incoming, "list_entries", and_the_run)
    assert scan_folder(str(inbox), "run") == []


def test_a_missing_folder_means_try_again_later(inbox):
    with pytest.raises(GalaxyError, match="in/none: No such file or directory") as caught:
        scan_folder(str(inbox / "none"), "file")
    assert caught.value.exit_code == TRY_LATER


def test_ten_thousand_files_cost_one_stat_each(inbox, monkeypatch):
    for number in range(10_000):
        (inbox / f"s{number}_R{number % 2 + 1}.fastq.gz").write_text("x")
    asked_for, real = [], incoming.list_entries

    class Entry:
        def __init__(self, entry):
            self.name, self.path, self.is_symlink = entry.name, entry.path, entry.is_symlink
            self.stat = lambda: asked_for.append(entry.name) or entry.stat()
    monkeypatch.setattr(incoming, "list_entries", lambda folder: [Entry(entry) for entry in real(folder)])
    real_stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: asked_for.append(path) or real_stat(path, **options))
    found = scan_folder(str(inbox), "file")
    monkeypatch.undo()
    assert len(found) == 10_000 and sorted(asked_for) == ["", *sorted(os.listdir(inbox))]     # "": there is no mark


# -------------------------------------------------------------------------------------------------------- ready files

def test_a_mark_can_stand_for_one_file(inbox):
    put(inbox, "a.bed", "b.bed", "a.bed.done", "c.done")
    drop = only(inbox, ready_file=".done")
    assert (drop.name, drop.mark, drop.certain) == ("a", str(inbox / "a.bed.done"), True)
    assert is_complete(drop, 100, 100, 60)
    after(inbox / "a.bed", inbox / "a.bed.done")
    drop = only(inbox, ready_file=".done")
    assert not drop.certain and not is_complete(drop, 100, 159, 60) and is_complete(drop, 100, 160, 60)


def test_a_mark_can_stand_for_all_that_was_there_before_it(inbox):
    put(inbox, "a.bed", "READY")
    put(inbox, "late.bed")
    after(inbox / "late.bed", inbox / "READY")
    os.utime(inbox / "late.bed", (1, 1))        # as cp -p does
    found = scan_folder(str(inbox), "file", ready_file="READY")
    assert [(drop.name, drop.certain) for drop in found] == [("a", True), ("late", False)]
    (inbox / "READY").unlink()
    assert scan_folder(str(inbox), "file", ready_file="READY") == []
    assert [drop.fingerprint for drop in found] == [
        drop.fingerprint for drop in scan_folder(str(inbox), "file")]     # marks are not in it


def test_an_empty_file_with_its_mark_is_a_problem(inbox):
    put(inbox, "a.bed", "s_R1.fq", text="")
    put(inbox, "s_R2.fq", "a.bed.done", "s_R1.fq.done", "s_R2.fq.done")
    assert outline(scan_folder(str(inbox), "file", ready_file=".done", pattern="*.bed")) == {"a": "a.bed is empty"}
    assert outline(scan_folder(str(inbox), "pair", ready_file=".done", pattern="*.fq")) == {"s": "s_R1.fq is empty"}


def test_a_pair_needs_the_marks_of_both_files(inbox):
    put(inbox, "s_R1.fq", "s_R2.fq", "s_R1.fq.done")
    assert scan_folder(str(inbox), "pair", ready_file=".done") == []
    put(inbox, "s_R2.fq.done")
    assert only(inbox, "pair", ready_file=".done").certain
    after(inbox / "s_R2.fq", inbox / "s_R2.fq.done")
    assert not only(inbox, "pair", ready_file=".done").certain


# -------------------------------------------------------------------------------------------------------------- pairs

def test_pairs_wait_for_their_mates(inbox):
    put(inbox, "s1_S1_L001_R1_001.fastq.gz", "s1_S1_L001_R2_001.fastq.gz", "s2_R1.fastq.gz", "s3_R2.fastq.gz", "notes.txt")
    found = scan_folder(str(inbox), "pair")
    assert outline(found) == {"notes": "notes has no _R1 or _R2 at its end",
                           "s1_S1_L001": {"s1_S1_L001": ["s1_S1_L001_R1_001.fastq.gz", "s1_S1_L001_R2_001.fastq.gz"]}}
    assert found[1].place == str(inbox / "s1_S1_L001_R1_001.fastq.gz") and found[1].paired
    put(inbox, "s2_R2.fastq.gz", text="")
    assert "s2" not in outline(scan_folder(str(inbox), "pair"))
    put(inbox, "s2_R2.fastq.gz")
    second = scan_folder(str(inbox), "pair")[2]
    assert second.name == "s2"
    after(inbox / "s2_R2.fastq.gz", inbox / "s2_R1.fastq.gz")
    with open(inbox / "s2_R2.fastq.gz", "a") as file:
        file.write("more")
    assert current_fingerprint(second) != second.fingerprint


def test_two_pairs_of_one_sample_are_two_units(inbox):
    put(inbox, "s_R1.fastq.gz", "s_R2.fastq.gz", "s_1.fq", "s_2.fq")
    found = scan_folder(str(inbox), "pair")
    assert [drop.name for drop in found] == ["s", "s"] and len({drop.place for drop in found}) == 2


# --------------------------------------------------------------------------------------------------------------- runs

ILLUMINA = [f"Data/{sample}_L001_R{read}_001.fastq.gz" for sample in ("s1_S1", "s2_S2") for read in (1, 2)]


def test_a_run_has_the_reads_below_its_folder(inbox):
    put(inbox / "240101_A", *ILLUMINA, "Data/Undetermined_S0_L001_R1_001.fastq.gz", "Data/s1_S1_L001_I1_001.fastq.gz",
        "Data/s1_S1_L001_I2_001.fastq.gz", "InterOp/x.bin", ".hid/a.fastq", "Data/._s1_S1_L001_R1_001.fastq.gz", "md5.txt")
    put(inbox, "loose.fastq.gz")
    (inbox / "latest").symlink_to("240101_A")
    drop = only(inbox, "run")
    assert outline([drop]) == {"240101_A": {"s1_S1_L001": ILLUMINA[:2], "s2_S2_L001": ILLUMINA[2:]}}
    assert (drop.place, drop.mark, drop.certain) == (str(inbox / "240101_A"), "", False)
    assert [source.name for source in drop.sources] == ILLUMINA
    before = drop.fingerprint
    put(inbox / "240101_A", "Data/s3_S3_L001_R1_001.fastq.gz", "Data/s3_S3_L001_R2_001.fastq.gz")
    assert current_fingerprint(drop) == before != only(inbox, "run").fingerprint


def test_a_run_may_have_single_ends_and_another_pattern(inbox):
    put(inbox / "r", "x/b_R1.fastq.gz", "a.fq", "c.BAM", "x/d.bam")
    assert outline(scan_folder(str(inbox), "run")) == {"r": {"a": ["a.fq"], "b_R1": ["x/b_R1.fastq.gz"]}}
    assert outline(scan_folder(str(inbox), "run", pattern="*.[bB][aA][mM]")) == {"r": {"c": ["c.BAM"], "d": ["x/d.bam"]}}
    put(inbox / "r", "CopyComplete.txt")
    assert "CopyComplete" not in outline(scan_folder(str(inbox), "run", pattern="*"))["r"]


def test_samples_of_one_name_in_two_folders_get_the_folders_names_too(inbox):
    put(inbox / "r", "l1/s_R1.fq", "l1/s_R2.fq", "l2/s_R1.fq", "l2/s_R2.fq", "l2/t_R1.fq", "l2/t_R2.fq")
    assert list(outline(scan_folder(str(inbox), "run"))["r"]) == ["l1_s", "l2_s", "t"]
    put(inbox / "r", "l1_s_R1.fq", "l1_s_R2.fq")
    assert outline(scan_folder(str(inbox), "run"))["r"] == "has two samples that would be l1_s: of l1/s_R1.fq and l1_s_R1.fq"


def test_a_sample_that_is_in_one_folder_twice_is_a_problem(inbox):
    put(inbox / "r", "s_R1.fq", "s_R2.fq", "s_1.fastq", "s_2.fastq")
    assert "has two samples that would be s" in outline(scan_folder(str(inbox), "run"))["r"]


def test_a_mixture_of_pairs_and_single_ends_is_a_problem(inbox):
    put(inbox / "r", *ILLUMINA, "Data/odd.fastq")
    drop = only(inbox, "run")
    assert drop.problem == "has 5 files, and 1 of them without a mate, such as Data/odd.fastq"
    with pytest.raises(GalaxyError, match="1 of them without a mate"):
        as_workflow_input(drop, asked("dataset"))


@pytest.mark.parametrize("empty", ["S7_R1.fastq", "S7_R2.fastq"])
def test_a_sample_with_an_empty_file_is_left_out_of_its_run_and_the_95_others_stay(inbox, empty):
    """B21."""
    put(inbox / "r", *(f"S{number}_R{mate}.fastq" for number in range(96) for mate in (1, 2)), "CopyComplete.txt")
    whole = only(inbox, "run")
    put(inbox / "r", empty, text="")
    drop = only(inbox, "run")
    assert drop.problem == "" and drop.left_out == (("S7", f"{empty} is empty, so it was left out"),)
    assert len(drop.samples) == 95 and "S7" not in dict(drop.samples) and drop.fingerprint != whole.fingerprint
    move_unit(drop, str(inbox.parent / "out"))
    assert len(tree(inbox.parent / "out")) == 193


def test_a_run_of_nothing_but_empty_files_is_a_problem(inbox):
    put(inbox / "r", "S1_R1.fastq", "S1_R2.fastq", text="")
    assert only(inbox, "run").problem == "S1_R1.fastq is empty" and not only(inbox, "run").left_out


def test_a_run_that_is_marked_before_its_reads_are_there_waits(inbox):
    """B21: it has not failed, however long that takes."""
    (inbox / "r").mkdir()
    put(inbox / "s", "RTAComplete.txt", "Data/x.bcl")
    assert scan_folder(str(inbox), "run") == []
    put(inbox / "s", "CopyComplete.txt")
    assert only(inbox, "run").problem == "has no reads in it yet" and not is_complete(only(inbox, "run"), 0, 10**9, 60)
    with pytest.raises(GalaxyError, match="can't be moved: it is gone"):
        drop = only(inbox, "run")
        shutil.rmtree(inbox / "s")
        put(inbox.parent / "out", "s/other")
        move_unit(drop, str(inbox.parent / "out"))


@pytest.mark.parametrize("name", ["Data/s1_S1_L001_R2_001.fastq.gz.part", "Data/.s1_S1_L001_R2_001.fastq.gz.Xa3f9Q"])
def test_a_file_that_is_still_copied_delays_its_run(inbox, name):
    put(inbox / "r", "Data/s0.fastq.gz", name)
    drop = only(inbox, "run")
    assert drop.problem == f"{name} is not complete yet"
    with open(inbox / "r" / name, "a") as file:
        file.write("x")
    assert only(inbox, "run").fingerprint != drop.fingerprint     # it grows, and so nobody is told of it
    put(inbox / "r", "CopyComplete.txt")
    assert outline(scan_folder(str(inbox), "run")) == {"r": {"s0": ["Data/s0.fastq.gz"]}}


@pytest.mark.parametrize("mark", ["CopyComplete.txt", "CompletedJobInfo.xml"])
def test_a_mark_is_certain_if_nothing_came_after_it(inbox, mark):
    put(inbox / "r", *ILLUMINA)
    waiting = only(inbox, "run")
    assert not is_complete(waiting, 100, 159, 60) and is_complete(
        waiting, 100, 160, 60) and is_complete(waiting, 100, 100, 0)
    put(inbox / "r", "RTAComplete.txt")
    called = only(inbox, "run")
    assert called.mark == str(inbox / "r/RTAComplete.txt") and not is_complete(called, 100, 159, 60)
    put(inbox / "r", mark)
    marked = only(inbox, "run")
    assert marked.mark == str(inbox / "r" / mark) and is_complete(marked, 100, 100, 60)
    assert waiting.fingerprint == called.fingerprint == marked.fingerprint
    after(inbox / "r" / ILLUMINA[0], inbox / "r" / mark)        # so the mark said nothing of these
    assert not is_complete(only(inbox, "run"), 100, 159, 60)


def test_with_a_ready_file_other_marks_do_not_count(inbox):
    put(inbox / "r", *ILLUMINA, "CopyComplete.txt")
    assert scan_folder(str(inbox), "run", ready_file="done.txt") == []
    put(inbox / "r", "done.txt")
    assert only(inbox, "run", ready_file="done.txt").mark == str(inbox / "r/done.txt")
    put(inbox / "r", "RTAComplete.txt", ".x")
    assert only(inbox, "run", ready_file="RTAComplete.txt").certain     # they say so
    assert only(inbox, "run", ready_file=".x").certain


def test_links_within_a_run_count_once(inbox):
    put(inbox / "r", "a.fastq", "p/x")
    put(inbox, "q/other.fastq", ".out.fastq")
    (inbox / "r/again.fastq").symlink_to("a.fastq")
    (inbox / "r/out.fastq").symlink_to("../q/other.fastq")
    (inbox / "r/in.fastq").symlink_to("p/x")
    (inbox / "r/up").symlink_to("..")
    assert outline(scan_folder(str(inbox), "run"))["r"] == {"a": ["a.fastq"], "in": ["in.fastq"]}


def test_an_unreadable_folder_of_a_run_is_a_problem(inbox, monkeypatch):
    put(inbox / "r", *ILLUMINA, "locked/s3.fastq")
    real = incoming.list_entries

    def entries(folder):
        if folder.endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(folder)
    monkeypatch.setattr(incoming, "list_entries", entries)
    assert only(inbox, "run").problem == "locked can't be read: Permission denied"


# ------------------------------------------------------------------------------------------------------- as an input

def asked(kind="collection", type_="", **about):
    return InputSpec("0", "in", "u", kind, {"collection_type": type_, **about})


def shape(given):
    if isinstance(given, DatasetInput):
        return given.name
    return {given.type: {name: shape(one) for name, one in given.elements}}


PAIR = {"paired": {"forward": "s_R1.fq", "reverse": "s_R2.fq"}}
PAIRS = {"list:paired": {"s": PAIR, "t": {"paired": {"forward": "t_R1.fq", "reverse": "t_R2.fq"}}}}
MAPPED = {"list": {"s_forward": "s_R1.fq", "s_reverse": "s_R2.fq"}}


@pytest.mark.parametrize("unit, one, expected", [
    ("file", asked("dataset"), "a.bed"),
    ("file", asked(type_="list"), {"list": {"a": "a.bed"}}),
    ("file", asked(), {"list": {"a": "a.bed"}}),
    ("file", asked(type_="list:paired_or_unpaired"), {"list": {"a": "a.bed"}}),
    ("pair", asked("dataset"), MAPPED),
    ("pair", asked(type_="paired"), PAIR),
    ("pair", asked(type_="paired_or_unpaired"), PAIR),
    ("pair", asked(type_="list:paired"), {"list:paired": {"s": PAIR}}),
    ("pair", asked(), {"list:paired": {"s": PAIR}}),
    ("run", asked(type_="list:paired"), PAIRS),
    ("run", asked(type_="list:paired_or_unpaired"), PAIRS),
    ("run", asked(type_="paired"), PAIRS),      # mapped over
    ("run", asked(), PAIRS),
], ids=str)
def test_each_kind_of_unit_becomes_the_value_its_input_takes(inbox, unit, one, expected):
    put(inbox, "a.bed", "s_R1.fq", "s_R2.fq", "r/x/s_R1.fq", "r/x/s_R2.fq", "r/t_R1.fq", "r/t_R2.fq")
    drop = only(inbox, unit, pattern={"file": "*.bed", "pair": "*.fq"}.get(unit))
    given = as_workflow_input(drop, one)
    assert shape(given) == expected and isinstance(given, (DatasetInput, CollectionInput))


def test_single_ends_are_mapped_over_a_dataset(inbox):
    put(inbox / "r", "a.fq", "b.fq")
    assert shape(as_workflow_input(only(inbox, "run"), asked("dataset"))) == {"list": {"a": "a.fq", "b": "b.fq"}}


def test_files_get_the_datatype_of_the_input(inbox):
    put(inbox, "plain")
    leaf = as_workflow_input(only(inbox), asked("dataset", format=["bed"]))
    assert (leaf.place, leaf.source.ext, leaf.source.path) == (str(inbox / "plain"), "bed", str(inbox / "plain"))


@pytest.mark.parametrize("unit, one, words", [
    ("pair", asked(type_="list"), "it takes a collection of type list, and the files of s are pairs"),
    ("file", asked(type_="paired"), "it takes a collection of type paired, and the files of a are not in pairs"),
    ("file", asked(type_="list:paired"), "it takes a collection of type list:paired, and the files of a are not in pairs"),
    ("file", asked(type_="list:list"), "it takes a collection of type list:list, and the files of a are not in pairs"),
    ("pair", asked(type_="list:list:paired"), "it takes a collection of type list:list:paired, and the files"),
    ("file", InputSpec("0", "n", "u", "parameter", {
     "parameter_type": "integer"}), "a parameter .integer., and takes no file"),
], ids=str)
def test_a_unit_that_does_not_fit_an_input_is_refused(inbox, unit, one, words):
    put(inbox, "a.bed", "s_R1.fq", "s_R2.fq")
    with pytest.raises(GalaxyError, match=words) as caught:
        as_workflow_input(only(inbox, unit, pattern={"file": "*.bed", "pair": "*.fq"}[unit]), one)
    assert caught.value.exit_code == USAGE


def test_a_name_that_is_too_long_for_an_element_is_refused(inbox):
    put(inbox, f"{'x' * 215}.bed")
    assert shape(as_workflow_input(only(inbox), asked("dataset"))) == f"{'x' * 215}.bed"
    with pytest.raises(GalaxyError, match="its name is too long for an element, which may have"):
        as_workflow_input(only(inbox), asked(type_="list"))


# --------------------------------------------------------------------------------------------------------------- moves

def tree(folder):
    """`{path: text}` of all files below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(params=["here", "elsewhere"])
def systems(request, monkeypatch):
    """One file system, or, as far as links and renames can tell, two: in/ and out/."""
    def guarded(real):
        def rename(old, new, **options):
            if {"in", "out"} <= {part for path in (old, new) for part in Path(os.fsdecode(path)).parts}:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return real(old, new, **options)
        return rename
    if request.param == "elsewhere":
        for name in ("rename", "replace", "link"):
            monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    return request.param


UNITS = {"file": ["a b.bed"], "pair": ["s_R1.fq", "s_R2.fq"],
         "run": ["run/x/s_R1.fq", "run/x/s_R2.fq", "run/log", "run/.hid"]}
each_unit = pytest.mark.parametrize("unit", UNITS)


@each_unit
def test_a_unit_is_moved_under_a_free_name(inbox, systems, unit):
    put(inbox, *UNITS[unit])
    out, before, drop = inbox.parent / "out", tree(inbox), only(inbox, unit)
    times = {path: (inbox / path).stat().st_mtime_ns for path in before}
    assert move_unit(drop, str(out)) == str(out / os.path.relpath(drop.place, inbox))
    assert tree(out) == before and os.listdir(inbox) == []
    assert {path: (out / path).stat().st_mtime_ns for path in before} == times
    put(inbox, *UNITS[unit], text="others")
    second = move_unit(only(inbox, unit), str(out))
    assert second == str(out / f"{os.path.relpath(drop.place, inbox)}.2") and os.listdir(inbox) == []
    put(inbox, *UNITS[unit], text="third")
    assert move_unit(only(inbox, unit), str(out)).endswith(".3")
    assert len(tree(out)) == 3 * len(before) and before.items() <= tree(out).items()


def test_both_files_of_a_pair_get_the_same_number(inbox, systems):
    put(inbox, *UNITS["pair"])
    put(inbox.parent / "out", "s_R2.fq", text="another")
    move_unit(only(inbox, "pair"), str(inbox.parent / "out"))
    assert sorted(tree(inbox.parent / "out")) == ["s_R1.fq.2", "s_R2.fq", "s_R2.fq.2"]


def test_marks_are_moved_with_their_files(inbox, systems):
    put(inbox, "s_R1.fq", "s_R2.fq", "s_R1.fq.done", "s_R2.fq.done", "READY", "t.bed")
    before = tree(inbox)
    move_unit(only(inbox, "pair", ready_file=".done"), str(inbox.parent / "out"))
    move_unit(only(inbox, ready_file="READY"), str(inbox.parent / "out"))
    assert tree(inbox) == {"READY": before.pop("READY")} and tree(inbox.parent / "out") == before


@each_unit
def test_a_unit_that_changed_is_not_moved(inbox, systems, unit):
    put(inbox, *UNITS[unit])
    drop = only(inbox, unit)
    put(inbox, UNITS[unit][0], text="new")
    before = tree(inbox)
    with pytest.raises(GalaxyError, match="can't be moved: it has changed") as caught:
        move_unit(drop, str(inbox.parent / "out"))
    assert caught.value.exit_code == FAILED and tree(inbox) == before and tree(inbox.parent / "out") == {}


@each_unit
def test_a_unit_that_changes_while_it_is_copied_is_not_moved(inbox, systems, unit, monkeypatch):
    put(inbox, *UNITS[unit])
    drop, real = only(inbox, unit), unit_moves.copy_or_link

    def and_written(thing, target):
        real(thing, target)
        place = inbox / UNITS[unit][0]
        if not place.exists():
            place = inbox.parent / "out" / UNITS[unit][0]
        with open(place, "a") as file:
            file.write("more")
    monkeypatch.setattr(unit_moves, "copy_or_link", and_written)
    if unit == "run" and systems == "here":
        move_unit(drop, str(inbox.parent / "out"))       # who writes in it goes on there
        assert tree(inbox.parent / "out")["run/x/s_R1.fq"].endswith("more")
        return
    with pytest.raises(GalaxyError, match="it has changed"):
        move_unit(drop, str(inbox.parent / "out"))
    assert tree(inbox)[UNITS[unit][0]].endswith("more") and tree(inbox.parent / "out") == {}


@each_unit
def test_equal_content_under_a_similar_name_is_kept(inbox, systems, unit):
    """Other content of the same size and time is another file; so is the same content under a link."""
    put(inbox, *UNITS[unit], text="reads")
    put(inbox.parent / "out", *UNITS[unit], text="other")
    for path in UNITS[unit]:
        for folder in (inbox, inbox.parent / "out"):
            os.utime(folder / path, (1, 1))
    assert move_unit(only(inbox, unit), str(inbox.parent / "out")).endswith(".2")


@each_unit
def test_a_link_at_the_target_is_not_taken_for_a_copy(inbox, systems, unit):
    put(inbox, *UNITS[unit])
    before, drop = tree(inbox), only(inbox, unit)
    for name in os.listdir(inbox):
        (inbox.parent / "out" / name).symlink_to(inbox / name)
    assert move_unit(drop, str(inbox.parent / "out")).endswith(".2") and os.listdir(inbox) == []
    assert sorted(text for text in tree(inbox.parent / "out").values()) == sorted(before.values())


def test_a_link_is_moved_as_the_file_it_leads_to(inbox, systems):
    put(inbox, ".store/x")
    (inbox / "a.bed").symlink_to(".store/x")
    move_unit(only(inbox), str(inbox.parent / "out"))
    assert tree(inbox.parent / "out") == {"a.bed": "reads of .store/x"} and os.listdir(inbox) == [".store"]


def test_links_within_a_run_stay_links(inbox, systems):
    put(inbox, *UNITS["run"])
    (inbox / "run/dangling").symlink_to("nothing")
    (inbox / "run/up").symlink_to("..")
    move_unit(only(inbox, "run"), str(inbox.parent / "out"))
    assert os.readlink(inbox.parent / "out/run/up") == ".." and os.readlink(inbox.parent / "out/run/dangling") == "nothing"
    assert os.listdir(inbox) == []


@each_unit
def test_a_full_disk_leaves_the_unit_where_it_was(inbox, systems, unit, monkeypatch):
    def full(old, new, **options):
        if os.path.basename(old) == "s_R2.fq" or unit == "file":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(old, new, **options)
    put(inbox, *UNITS[unit])
    real, before, drop = shutil.copy2, tree(inbox), only(inbox, unit)
    monkeypatch.setattr(shutil, "copy2", full)
    monkeypatch.setattr(shutil.copytree, "__defaults__", tuple(
        full if one is real else one for one in shutil.copytree.__defaults__))
    if systems == "here":
        monkeypatch.setattr(unit_moves, "give_name",
                            lambda thing, target: full(thing if unit == "pair" else "s_R2.fq", target))
    with pytest.raises(GalaxyError, match="can't be moved: .*No space left on device$"):
        move_unit(drop, str(inbox.parent / "out"))
    assert tree(inbox) == before and tree(inbox.parent / "out") == {}


def test_a_pipe_in_a_run_is_moved_but_not_copied(inbox, systems):
    put(inbox, *UNITS["run"])
    os.mkfifo(inbox / "run/pipe")
    if systems == "here":
        move_unit(only(inbox, "run"), str(inbox.parent / "out"))
        assert (inbox.parent / "out/run/pipe").is_fifo()
        return
    with pytest.raises(GalaxyError, match="run: can't be moved: .*named pipe"):
        move_unit(only(inbox, "run"), str(inbox.parent / "out"))
    assert os.listdir(inbox.parent / "out") == [] and (inbox / "run/pipe").is_fifo()


@pytest.mark.parametrize("stuck", ["s_R1.fq", "s_R2.fq"])
def test_a_pair_of_which_one_can_not_be_removed_is_complete_somewhere(inbox, systems, stuck, monkeypatch):
    put(inbox, *UNITS["pair"])
    before, drop, real = tree(inbox), only(inbox, "pair"), os.unlink

    def unlink(path, **options):
        if os.fspath(path) == str(inbox / stuck):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return real(path, **options)
    monkeypatch.setattr(os, "unlink", unlink)
    out = inbox.parent / "out"
    with pytest.raises(GalaxyError, match="Operation not permitted") as caught:
        move_unit(drop, str(out))
    if systems == "elsewhere" and stuck == "s_R2.fq":       # the first has left and can't come back
        assert str(caught.value).endswith(f"; it is complete as {out}/s_R1.fq and {out}/s_R2.fq")
        assert tree(out) == before
    else:
        assert str(caught.value).endswith("not permitted") and tree(inbox) == before and tree(out) == {}


def test_a_missing_target_folder_is_reported(inbox):
    put(inbox, "a.bed")
    with pytest.raises(GalaxyError, match="a.bed: can't be moved: No such file or directory"):
        move_unit(only(inbox), str(inbox.parent / "none"))
    assert tree(inbox) == {"a.bed": "reads of a.bed"}


def test_what_came_to_the_target_meanwhile_is_kept(inbox, systems, monkeypatch):
    put(inbox, "a.bed")
    real, out = unit_moves.copy_or_link, inbox.parent / "out"

    def late(thing, target):
        put(out, "a.bed", text="another's")
        real(thing, target)
    monkeypatch.setattr(unit_moves, "copy_or_link", late)
    with pytest.raises(GalaxyError, match="can't be moved: (File exists|something else has come)"):
        move_unit(only(inbox), str(out))
    assert tree(out) == {"a.bed": "another's of a.bed"} and tree(inbox) == {"a.bed": "reads of a.bed"}


class Killed(BaseException):
    pass


@each_unit
@pytest.mark.parametrize("fresh", [False, True], ids=["same drop", "new look"])
def test_a_move_killed_at_any_moment_is_finished_by_the_next(tmp_path, systems, unit, fresh):
    """The process ends before or after each of its system calls; after the next one there is one complete copy."""
    died = 0
    for number in itertools.count():
        home = tmp_path / str(number)
        inbox, out = home / "in", home / "out"
        out.mkdir(parents=True)
        put(inbox, *UNITS[unit])
        put(out, *UNITS[unit], text="an earlier one")
        earlier, before, drop = tree(out), tree(inbox), only(inbox, unit)
        with pytest.MonkeyPatch.context() as patch:
            steps = itertools.count()

            def deadly(real, steps=steps, number=number):
                def act(*args, **options):
                    if next(steps) == number:
                        raise Killed
                    done = real(*args, **options)
                    if next(steps) == number:
                        raise Killed
                    return done
                return act
            for name in ("link", "rename", "replace", "unlink", "rmdir", "fsync", "mkdir"):
                patch.setattr(os, name, deadly(getattr(os, name)))
            patch.setattr(shutil, "copyfile", deadly(shutil.copyfile))
            patch.setattr(shutil, "copystat", deadly(shutil.copystat))
            try:
                move_unit(drop, str(out))
                ended = True
            except Killed:
                ended, died = False, died + 1
        # Nothing is lost meanwhile.
        texts = [*tree(inbox).values(), *tree(out).values()]
        assert set(before.values()) <= set(texts) and earlier.items() <= tree(out).items()
        seen = scan_folder(str(inbox), unit)
        if not ended:
            assert [one.fingerprint for one in seen] in ([], [drop.fingerprint])
            # A look no longer sees what is there whole, but for the rest of it.
            if fresh and not seen:
                assert len(set(tree(out).values()) & set(before.values())) == len(before)
                continue
            place = move_unit(seen[0] if fresh else drop, str(out))
            assert place == str(out / f"{os.path.relpath(drop.place, inbox)}.2")
        assert os.listdir(inbox) == []
        assert sorted(tree(out).values()) == sorted([*earlier.values(), *before.values()])
        assert not [path for path in os.listdir(out) if path.startswith(".")]
        if ended:
            break
    assert died >= 2        # a run on one file system is renamed, before which and after which there is a moment


def test_a_partial_copy_from_a_kill_is_replaced(inbox, systems):
    put(inbox, "a.bed")
    put(inbox.parent / "out", ".a.bed.part", text="half")
    move_unit(only(inbox), str(inbox.parent / "out"))
    assert tree(inbox.parent / "out") == {"a.bed": "reads of a.bed"}


@each_unit
def test_a_move_between_real_file_systems(inbox, unit):
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == inbox.stat().st_dev:
        pytest.skip("there is one file system here")
    put(inbox, *UNITS[unit])
    before = tree(inbox)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as out:
        move_unit(only(inbox, unit), out)
        assert tree(Path(out)) == before and os.listdir(inbox) == []
