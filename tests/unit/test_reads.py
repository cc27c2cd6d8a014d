"""The samples of a sequencer's run: lanes together, the newest analysis, its own sample sheet, and what is left out."""
import gzip
import os

import pytest

from common import USAGE, GalaxyError
from galaxy_api_scripts.batch.incoming import as_workflow_input, check_parts, current_fingerprint, is_complete, scan_folder
from galaxy_api_scripts.datasets.lanes import Lanes, parse_lanes
from galaxy_api_scripts.workflows.inputs import InputSpec

TOGETHER, SEPARATE = Lanes(True), Lanes()
READ = gzip.compress(b"@r\nACGT\n+\nFFFF\n")


@pytest.fixture
def inbox(tmp_path):
    return tmp_path


def put(folder, *names, content=READ):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def lanes(sample, *numbers, below="Data/", reads=(1, 2), kind="R"):
    return [f"{below}{sample}_L00{lane}_{kind}{read}_001.fastq.gz" for lane in numbers for read in reads]


def outline(unit):
    """`{sample: the names of what is uploaded and of their parts}`."""
    return {sample: {source.name: [os.path.basename(path) for path in source.local_paths] for source in mates}
            for sample, mates in unit.samples}


def only(folder, kind="run", how=TOGETHER, **options):
    unit, = scan_folder(str(folder), kind, lanes=how, **options)
    return unit


def samples(folder, how=TOGETHER):
    return [name for name, _ in only(folder, how=how).samples]


def test_the_lanes_of_a_novaseqs_run_are_one_pair_for_each_sample(inbox):
    put(inbox / "r", *lanes("A_S1", 2, 1), *lanes("B_S2", 1), *lanes("A_S1", 1, kind="I"), *lanes("Undetermined_S0", 1))
    unit = only(inbox)
    assert outline(unit) == {
        "A_S1": {f"Data/A_S1_R{read}_001.fastq.gz": [f"A_S1_L00{lane}_R{read}_001.fastq.gz" for lane in (1, 2)]
                 for read in (1, 2)},
        "B_S2": {f"Data/B_S2_R{read}_001.fastq.gz": [f"B_S2_L001_R{read}_001.fastq.gz"] for read in (1, 2)}}
    assert len(unit.files) == 6 and unit.paired and not (unit.problem or unit.left_out or unit.skipped)
    value = as_workflow_input(unit, InputSpec("0", "in", "u", "collection", {"collection_type": "list:paired"}))
    assert [name for name, _ in value.elements] == ["A_S1", "B_S2"]
    assert samples(inbox, SEPARATE) == ["A_S1_L001", "A_S1_L002", "B_S2_L001"]


def test_what_was_not_split_by_lanes_stands_beside_it(inbox):
    put(inbox / "r", *lanes("A_S1", 1, 2), "Data/B_S2_R1_001.fastq.gz", "Data/B_S2_R2_001.fastq.gz")
    assert samples(inbox) == ["A_S1", "B_S2"]
    put(inbox / "r", "Data/A_S1_R1_001.fastq.gz", "Data/A_S1_R2_001.fastq.gz")      # twice the same reads
    [(name, why)] = only(inbox).left_out
    assert samples(inbox) == ["B_S2"] and name == "A_S1" and "files of single lanes and one of all" in why


def test_a_samples_name_does_not_depend_on_its_neighbours(inbox):
    put(inbox / "r", *lanes("A_S1", 1, below="P1/"), "x/reads_1.fq", "x/reads_2.fq")
    before = samples(inbox)
    put(inbox / "r", *lanes("A_S2", 1, below="P2/"), "y/reads_1.fq", "y/reads_2.fq")
    assert before == ["A_S1", "x_reads"] and samples(inbox) == ["A_S1", "A_S2", "x_reads", "y_reads"]


def test_what_cant_be_used_is_named_and_the_others_stay(inbox):
    put(inbox / "r", *lanes("A_S1", 1, 2), *lanes("B_S2", 1, 2)[:3], *lanes("C_S3", 1, reads=(1,)), *lanes("D_S4", 1),
        *lanes("E_S5", 1, 2), *lanes("F_S6", 1, below="P1/"), *lanes("F_S6", 1, below="P2/"))
    put(inbox / "r", "Data/D_S4_L001_R2_001.fastq.gz", content=b"")
    put(inbox / "r", "Data/E_S5_L002_R2_001.fastq.gz", content=READ[:-3])
    unit = only(inbox)
    assert [name for name, _ in unit.samples] == ["A_S1", "E_S5"] and unit.problem == ""
    checked = check_parts(unit)
    assert [name for name, _ in checked.samples] == ["A_S1"] and checked.fingerprint == unit.fingerprint
    why = dict(checked.left_out)
    expected = {"B_S2": "have files of different lanes", "C_S3": "has no mate", "D_S4": "is empty", "E_S5": "ends too early",
                "F_S6": "would have one name"}
    assert sorted(why) == list(expected) and [name for name in expected if expected[name] not in why[name]] == []


def test_gzip_files_beside_plain_ones_are_told_apart(inbox):
    put(inbox / "r", *lanes("A_S1", 1), *lanes("B_S2", 1))
    put(inbox / "r", *(name.removesuffix(".gz") for name in lanes("A_S1", 2)), content=b"@r\nA\n+\nF\n")
    [(name, why)] = only(inbox).left_out
    assert (name, why) == ("A_S1", "the gzip files and the plain ones can't be put together: gzip Data/A_S1_L001_R1_001."
                                   "fastq.gz; plain Data/A_S1_L002_R1_001.fastq, so it was left out")


def test_a_run_of_which_nothing_can_be_used_has_a_problem(inbox):
    put(inbox / "r", *lanes("A_S1", 1, 2))
    put(inbox / "r", "Data/A_S1_L001_R1_001.fastq.gz", content=b"plain\n")
    unit = check_parts(only(inbox))
    assert "plain text, and" in unit.problem and not unit.left_out
    with pytest.raises(GalaxyError, match="can't be put together") as refused:
        as_workflow_input(unit, InputSpec("0", "in", "u", "collection", {}))
    assert refused.value.exit_code == USAGE


def test_single_ends_are_samples_too(inbox):
    put(inbox / "r", *lanes("A_S1", 1, 2, reads=(1,)))
    assert outline(only(inbox)) == {"A_S1_R1_001": {"Data/A_S1_R1_001.fastq.gz": [
        "A_S1_L001_R1_001.fastq.gz", "A_S1_L002_R1_001.fastq.gz"]}}


# ----------------------------------------------------------------------------------------------------- Analysis/N

def test_the_newest_complete_analysis_counts(inbox):
    run = inbox / "r"
    put(run, *lanes("A_S1", 1, below="Analysis/1/Data/fastq/"), "Analysis/1/CopyComplete.txt")
    first = only(inbox)
    assert first.certain and [os.path.relpath(file.path, run).split("/")[1] for file in first.files] == ["1", "1"]
    put(run, *lanes("A_S1", 1, below="Analysis/2/Data/fastq/"))     # it is not complete
    assert only(inbox).fingerprint == first.fingerprint
    put(run, "Analysis/2/Data/Secondary_Analysis_Complete.txt")
    second = only(inbox)
    assert {os.path.relpath(file.path, run).split("/")[1] for file in second.files} == {"2"}
    assert second.certain and is_complete(second, 0, 0, 600) and samples(inbox) == ["A_S1"]


def test_without_marks_the_highest_number_counts(inbox):
    put(inbox / "r", *(name for number in (2, 10) for name in lanes("A_S1", 1, below=f"Analysis/{number}/")))
    unit = only(inbox)
    assert {file.name.split("/")[1] for file in unit.files} == {"10"} and not unit.certain


# -------------------------------------------------------------------------------------------- its own sample sheet

V1 = """[Header]
IEMFileVersion,5

[Data]
Lane,Sample_ID,Sample_Name,Sample_Project,index
1,id_1,Liver,P1,AC
2,id_1,Liver,P1,AC
1,id_2,Heart,P2,GT
1,id_4,Lung,P2,TT
"""
V2 = """[Header]
FileFormatVersion,2

[BCLConvert_Settings]
SoftwareVersion,4.2

[BCLConvert_Data]
Sample_ID,index
id_1,AC
id_2,GT
id_4,TT
"""


@pytest.mark.parametrize("text, names", [(V1, ("Liver", "Heart", "Kidney")), (V2, ("id_1", "id_2", "id_3"))])
def test_the_runs_own_sheet_says_names_and_what_to_leave_out(inbox, text, names):
    one, two, three = names
    run = inbox / "r"
    put(run, *lanes(f"{one}_S1", 1, 2, below="P1/"), *lanes(f"{two}_S2", 1, 2, below="P2/"), *lanes(f"{three}_S3", 1))
    (run / "SampleSheet.csv").write_text(text)
    unit = only(inbox)
    assert [name for name, _ in unit.samples] == ["id_1", "id_2"]
    assert unit.left_out == (("id_4", "SampleSheet.csv lists it, and there are no files of it"),)
    missing = [three] + ([f"{two}_L002"] if text is V1 else [])      # that lane is not of it
    assert sorted(line.split(": ")[1] for line in unit.skipped) == sorted(
        f"does not list {name}, so it is left out" for name in missing)
    assert samples(inbox, SEPARATE) == ["id_1_L001", "id_1_L002", "id_2_L001"] + (["id_2_L002"] if text is V2 else [])
    before = unit.fingerprint
    (run / "SampleSheet.csv").unlink()
    assert only(inbox).fingerprint == before       # what is left out is of the run, too
    assert samples(inbox) == sorted([f"{one}_S1", f"{two}_S2", f"{three}_S3"])


@pytest.mark.parametrize("text", [V2.replace("id_2", '"id_2').encode(), V2.replace("Sample_ID", "Name").encode(),
                                  V2.replace("id_2", "\xe9").encode("latin1")], ids=["open quote", "no column", "no UTF-8"])
def test_a_damaged_sheet_fails_the_run_until_it_is_mended(inbox, text):
    put(inbox / "r", *lanes("A_S1", 1))
    sheet = inbox / "r" / "SampleSheet.csv"
    sheet.write_bytes(text)
    damaged = only(inbox)
    assert damaged.samples == () and damaged.problem.startswith(f"{sheet}: ") and len(damaged.files) == 3
    assert damaged.problem.endswith(": mend the sheet, or remove it: then samples are called as their files")
    assert current_fingerprint(damaged) == damaged.fingerprint
    sheet.write_text(V2.replace("id_1", "A").split("id_2")[0])
    mended = only(inbox)
    assert [name for name, _ in mended.samples] == ["A"] and mended.problem == ""
    sheet.unlink()
    assert only(inbox).fingerprint == mended.fingerprint != damaged.fingerprint


@pytest.mark.parametrize("text", ["", "sample,x\n1,2\n", "[Header]\nx\n", V2.replace("id_", "other")])
def test_a_sheet_that_is_of_no_use_is_told_and_names_are_the_files(inbox, text):
    put(inbox / "r", *lanes("A_S1", 1))
    (inbox / "r" / "SampleSheet.csv").write_text(text)
    unit = only(inbox)
    assert [name for name, _ in unit.samples] == ["A_S1"] and len(unit.skipped) == 1 and not unit.left_out
    assert unit.skipped[0].startswith(f"{inbox}/r/SampleSheet.csv: ") and "\n" not in unit.skipped[0]


# ------------------------------------------------------------------------------------------------ files and pairs

def test_files_in_a_folder_are_put_together_when_all_lanes_are_marked(inbox):
    put(inbox, *lanes("A_S1", 1, 2, below=""), *lanes("A_S1", 1, below="", kind="I"), "x.bed")
    units = {unit.name: outline(unit)[unit.name] for unit in scan_folder(str(inbox), "file", lanes=TOGETHER)}
    assert sorted(units) == ["A_S1_R1_001", "A_S1_R2_001", "x"] and len(units["A_S1_R1_001"]["A_S1_R1_001.fastq.gz"]) == 2
    pair = only(inbox, "pair", pattern="*.fastq.gz")
    assert pair.name == "A_S1" and len(pair.files) == 4 and [len(source.parts) for source in pair.sources] == [2, 2]
    for name in lanes("A_S1", 1, 2, below="")[:3]:
        put(inbox, f"{name}.done", content=b"")
    assert scan_folder(str(inbox), "pair", ready_file=".done", lanes=TOGETHER) == []        # one lane is on its way
    put(inbox, f"{lanes('A_S1', 2, below='')[1]}.done", content=b"")
    assert only(inbox, "pair", ready_file=".done").certain


def test_a_pair_with_a_lane_of_one_mate_only_is_waited_for(inbox):
    put(inbox, *lanes("A_S1", 1, 2, below="")[:3])
    assert scan_folder(str(inbox), "pair", lanes=TOGETHER) == []


def test_flow_cells_are_put_together_by_a_pattern(inbox):
    how = parse_lanes(None, "_(HX|HY)[0-9]_L[0-9]+")
    put(inbox / "r", *(f"{cell}/S_{cell}_L{lane}_R{read}.fq.gz" for cell in ("HX1", "HY2") for lane in (1, 2)
                       for read in (1, 2)))
    assert {sample: {name: len(parts) for name, parts in mates.items()}
            for sample, mates in outline(only(inbox, how=how)).items()} == {"S": {"S_R1.fq.gz": 4, "S_R2.fq.gz": 4}}


def test_links_that_are_left_alone_are_told(inbox, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    put(elsewhere, "out.fastq.gz")
    put(inbox / "in" / "r", *lanes("A_S1", 1))
    (inbox / "in" / "r" / "out.fastq.gz").symlink_to(elsewhere / "out.fastq.gz")
    (inbox / "in" / "r" / "gone.fastq.gz").symlink_to("nothing")
    (inbox / "in" / "r" / "more").symlink_to(elsewhere)
    (inbox / "in" / "s").symlink_to(elsewhere)
    told = []
    assert [unit.name for unit in scan_folder(str(inbox / "in"), "run", lanes=TOGETHER, skipped=told)] == ["r"]
    assert sorted(line.rsplit("/", 1)[1] for line in told) == [
        "gone.fastq.gz: a link that leads nowhere, left alone", "more: a link to a folder, left alone",
        "out.fastq.gz: a link out of the folder, left alone", "s: a link to a folder, left alone"]
