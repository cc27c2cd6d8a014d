"""What Galaxy would refuse, or do wrongly, is told before anything is sent, by a dry run too; what is not, Galaxy takes."""
import json
from pathlib import Path

import pytest

from .conftest import WORKFLOWS, Person

RECORD = {"class": "Collection", "elements": [{"class": "File", "identifier": name, "path": "t.tsv"}
                                              for name in ("left", "right")]}
IN_A_LIST = {"class": "Collection", "collection_type": "list:record", "elements": [{**RECORD, "identifier": "s1"}]}
SHEET = {"class": "Collection", "collection_type": "sample_sheet", "elements": RECORD["elements"]}
# The workflow, the words and the job file of a run, and what is said of it.
REFUSED = [
    ("strict.ga", ["lines=three"], {}, "input lines: 'three' is not an integer"),
    ("strict.ga", ["lines=1_0"], {}, "input lines: '1_0' is not an integer"),
    ("strict.ga", ["lines=12"], {}, "input lines: 12 is not within 1 to 9"),
    ("strict.ga", [], {"lines": "010"}, "input lines: 10 is not within 1 to 9"),
    ("strict.ga", ["share=NaN"], {}, "input share: 'NaN' is not a float"),
    ("strict.ga", ["share=1e999"], {}, "input share: '1e999' is not a float"),
    ("strict.ga", ["code=zz"], {}, "input code: 'zz' does not fit: letters and a digit"),
    ("strict.ga", ["pick=c"], {}, "input pick: 'c' is not one of a, b"),
    ("strict.ga", ["cut by=Q"], {}, "input cut by: 'Q' is not one of T, Sp, Dt, C, D, U, P"),
    ("strict.ga", ["flag=perhaps"], {}, "input flag: its value: 'perhaps' is neither true nor false"),
    ("strict.ga", ["pairs=s1.fastq"], {}, "input pairs: "),
    ("strict.ga", ["sheet=t.tsv"], {}, "input sheet: expected a collection of type sample_sheet"),
    ("strict.ga", [], {"both": {**RECORD, "elements": RECORD["elements"][:1]}},
     "input both: the elements of the record are left, right, not left"),
    ("strict.ga", [], {"both": IN_A_LIST}, "input both: a collection of type list:record can't be made here"),
    ("strict.ga", [], {"sheet": SHEET}, "input sheet: rows: expected values for each of left, right"),
    ("strict.ga", [], {"sheet": {**SHEET, "rows": {"left": [1], "right": ["x"]}}},
     "input sheet: rows: right: dose: 'x' is not an integer"),
    ("strict.ga", [], {"sheet": {**SHEET, "element": []}}, "has element, which this script does not know: did you mean el"),
    ("strict.ga", ["--param=cut:columnList"], {}, "--param=cut:columnList: expected STEP:NAME=VALUE"),
    ("strict.ga", ["--param=cut:delimiter=T"], {}, "parameter delimiter of cut comes from an input"),
    ("strict.ga", ["--param=head:header=perhaps"], {}, "parameter header of head: its value: 'perhaps' is neither true nor"),
    ("runtime.gxwf.yml", ["who=me"], {}, "input head:lineNum: is missing: head:lineNum=VALUE gives it its value (integer)"),
    ("runtime.gxwf.yml", ["head:lineNum=0", "who=me"], {}, "input head:lineNum: 0 is not within 1"),
    ("runtime.gxwf.yml", ["head:lineNum=1"], {}, "input who: is missing: who=VALUE gives it its value (text)"),
    ("lacking.gxwf.yml", [], {}, "step 2 days lacks values that its tool needs: No value found for 'With"),
    ("lacking.gxwf.yml", ["--allow-corrections"], {}, "step 1 alone: nothing is connected to its input input"),
]


@pytest.fixture(scope="module")
def person(server):
    """A user whose datasets are counted, so one of this module's own: nothing else makes any meanwhile."""
    return Person(server)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tb\nc\td\n")
    (tmp_path / "s1.fastq").write_text("@r\nA\n+\nI\n")
    return tmp_path


def run(person, folder, workflow, *words, job=None):
    options = [word for word in words if word.startswith("--")]
    if job is not None:
        (folder / "job.yml").write_text(json.dumps(job) if isinstance(job, dict) else job)
        options.append(f"--job={folder}/job.yml")
    values = [word.replace("=t.tsv", f"={folder}/t.tsv").replace("=s1", f"={folder}/s1") for word in words]
    return person.run("workflow_run.py", *options, person.key, person.url, WORKFLOWS / workflow,
                      *(word for word in values if not word.startswith("--")))


def holdings(person):
    """How many histories and datasets the person has."""
    return len(person.look("histories")), len(person.look("datasets", limit=500))


NEEDS = {"not within 1 to": "validators", "does not fit": "validators", "the record": "sample sheets",
         "rows:": "sample sheets"}


def needs(said):
    """What Galaxy has to have for a refusal."""
    return [pytest.mark.needs(feature) for words, feature in NEEDS.items() if words in said]


@pytest.mark.parametrize("number", [pytest.param(number, id=said, marks=needs(said))
                                    for number, (*_, said) in enumerate(REFUSED)])
def test_a_run_that_is_refused_leaves_nothing(person, folder, number):
    """A dry run says the same; every third of them is tried."""
    workflow, words, job, said = REFUSED[number]
    table = [] if workflow.startswith("runtime") or "table" in job else ["table=t.tsv"]
    before = holdings(person)
    for dry_run in (["--dry-run"], []) if number % 3 == 0 else ([],):
        ended = run(person, folder, workflow, *dry_run, *words, *table, job=job or None)
        assert (ended.returncode, ended.stdout) == (2, "") and said in ended.stderr, ended
        assert "Traceback" not in ended.stderr and person.key not in ended.stderr
    assert holdings(person) == before


def test_the_old_script_is_refused_before_it_makes_a_history(person, folder):
    workflow = person.value("workflow_import.py", "--format=value", "--fields=id", person.key, person.url,
                            WORKFLOWS / "lacking.gxwf.yml")
    history = person.new_history("of the old script")
    dataset = person.uploaded(history, folder / "t.tsv")
    before = holdings(person)
    for dry_run in (["--dry-run"], []):
        ended = person.run("workflow_execute.py", *dry_run, person.key, person.url, workflow, "a new one",
                           f"table=hda={dataset}")
        assert ended.returncode == 1 and "step 2 days lacks values that its tool needs" in ended.stderr
    assert holdings(person) == before


@pytest.mark.parametrize("workflow, words, job", [
    ("strict.ga", ["table=t.tsv", "--param=head:header=yes"],
     "note: NO\nlines: 05\nshare: 1e-1\nflag: on\ncode: AB1\n'cut by': Tab\n"),
    ("runtime.gxwf.yml", ["head:lineNum=1", "who=me"], None)])
def test_galaxy_takes_what_a_dry_run_says_yes_to(person, folder, workflow, words, job):
    """The scalars of a job file are texts as they stand, or the numbers and truth values that the inputs take."""
    planned = run(person, folder, workflow, "--dry-run", *words, job=job)
    assert planned.returncode == 0, planned
    begun = run(person, folder, workflow, "--no-wait", "--format=json", *words, job=job)
    assert begun.returncode == 0, begun
    row = json.loads(begun.stdout)
    about = person.look(f"invocations/{row['id']}")
    values = {value["label"]: value["parameter_value"] for value in about["input_step_parameters"].values()}
    inputs = person.look(f"workflows/{row['workflow_id']}")["inputs"]
    for index, value in json.loads(planned.stdout)["payload"]["inputs"].items():
        assert isinstance(value, dict) or values[inputs[index]["label"]] == value
    if job:
        assert {label: values[label] for label in ("note", "lines", "share", "flag", "code", "cut by")} == {
            "note": "NO", "lines": 5, "share": 0.1, "flag": True, "code": "AB1", "cut by": "Tab"}


@pytest.mark.needs("sample sheets")
def test_a_record_and_a_sample_sheet_reach_galaxy_whole(person, folder):
    job = {"both": RECORD, "sheet": {**SHEET, "rows": {"left": [1], "right": [2]}}}
    begun = run(person, folder, "strict.ga", "--no-wait", "--format=value", "--fields=id", "table=t.tsv", job=job)
    assert begun.returncode == 0, begun
    inputs = {value["label"]: value["id"] for value in person.look(f"invocations/{begun.stdout.strip()}")["inputs"].values()}
    both, sheet = (person.look(f"dataset_collections/{inputs[label]}") for label in ("both", "sheet"))
    assert both["collection_type"] == "record" and sheet["column_definitions"][0]["name"] == "dose"
    assert [element["element_identifier"] for element in both["elements"]] == ["left", "right"]
    assert [(element["element_identifier"], element["columns"]) for element in sheet["elements"]] == [
        ("left", [1]), ("right", [2])]


def test_what_is_left_for_run_time_reaches_the_tool_and_the_name(person, folder):
    """And an input that is not given takes its default file."""
    ended = run(person, folder, "runtime.gxwf.yml", "--format=value", "--fields=id,path", f"--download={folder}/out",
                "head:lineNum=1", "who=me and you")
    assert ended.returncode == 0, ended
    dataset, path = ended.stdout.strip().split("\t")
    assert person.look(f"datasets/{dataset}")["name"] == "of me and you"
    assert Path(path).read_text() == "a\tb\n"


@pytest.mark.parametrize("workflow, words, columns, words_of_refusal", [
    ("lacking.gxwf.yml", [], {}, "step 2 days lacks values that its tool needs"),
    ("runtime.gxwf.yml", ["who=me"], {}, "input head:lineNum: is missing"),
    ("strict.ga", [], {"lines": ["1", "three"]}, "'three' is not an integer"),
    ("strict.ga", [], {"share": ["0.5", "NaN"]}, "'NaN' is not a float"),
    pytest.param("strict.ga", [], {"code": ["a1", "zz"]}, "'zz' does not fit: letters and a digit",
                 marks=pytest.mark.needs("validators")),
    ("strict.ga", [], {"pick": ["a", "c"]}, "'c' is not one of a, b"),
    ("strict.ga", [], {"cut by": ["T", "Q"]}, "'Q' is not one of T, Sp, Dt, C, D, U, P"),
    ("strict.ga", ["--param=head:header=perhaps"], {}, "parameter header of head"),
    ("strict.ga", [], {"pairs": ["s1.fastq", "s1.fastq"]}, "pairs")], ids=lambda value: None)
def test_a_batch_that_is_refused_makes_no_history_and_no_upload(person, folder, workflow, words, columns, words_of_refusal):
    """C23: not for any row."""
    rows = [["sample", *([] if workflow.startswith("runtime") else ["table"]), *columns]]
    rows += [[f"s{number}", "t.tsv", *(values[number] for values in columns.values())][:len(rows[0])] for number in (0, 1)]
    (folder / "sheet.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    before = holdings(person)
    for dry_run in (["--dry-run"], []):
        ended = person.run("workflow_batch.py", *dry_run, *(word for word in words if word.startswith("--")), person.key,
                           person.url, WORKFLOWS / workflow, folder / "sheet.tsv",
                           *(word for word in words if not word.startswith("--")))
        assert (ended.returncode, ended.stdout) == (2, "") and words_of_refusal in ended.stderr, ended
    assert holdings(person) == before


def test_a_workflow_of_2012_without_labels_and_marked_outputs(person, folder):
    """Its inputs have one name, and what is said of them can be followed."""
    ended = run(person, folder, "old.ga")
    assert ended.returncode == 2
    hints = [line.split("is missing: ")[1].split(" ")[0] for line in ended.stderr.splitlines() if "is missing" in line]
    assert hints == ["0=VALUE", "1=VALUE"]
    line = [hint.replace("VALUE", "t.tsv") for hint in hints]
    refused = run(person, folder, "old.ga", f"--download={folder}/out", *line)
    assert refused.returncode == 2 and "marks nothing as its output" in refused.stderr
    begun = run(person, folder, "old.ga", "--no-wait", "--format=value", "--fields=id", *line)
    assert begun.returncode == 0 and set(person.look(f"invocations/{begun.stdout.strip()}")["inputs"]) == {"0", "1"}


@pytest.mark.needs("pick_value")
def test_a_workflow_that_galaxy_fails_to_show(person, folder):
    """One with a step of type pick_value: Galaxy 26.1 answers 500, lists it, exports it and runs it."""
    ended = run(person, folder, "pick.gxwf.yml", f"--record={folder}/run.json", "--format=value", "--fields=label",
                "second=t.tsv")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "picked\n", "")
    record = json.loads((folder / "run.json").read_text())
    workflow, invocation = record["workflow"]["id"], record["invocation"]
    with pytest.raises(AssertionError):
        person.look(f"workflows/{workflow}")
    assert person.value("workflow_show.py", "--fields=label", "--format=csv", person.key, person.url, workflow)
    shown = person.run("invocation_show.py", "--format=value", "--fields=label,tool", person.key, person.url, invocation)
    assert (shown.returncode, shown.stdout) == (0, "pick\tpick_value\n")
    listed = person.run("invocation_list.py", f"--workflow={workflow}", "--format=value", "--fields=id,workflow", person.key,
                        person.url)
    assert listed.returncode == 0 and f"{invocation}\t" in listed.stdout
