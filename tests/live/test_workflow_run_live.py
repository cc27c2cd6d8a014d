"""workflow_run.py on workflows of every kind, against a real Galaxy; then the disk is looked at, and Galaxy is asked."""
import json
import os
import signal

import pytest
from fakes.roads import LosingRoad

from .conftest import ROOT, WORKFLOWS
from .processes import begun, killed_again_and_again, until

WET_DAYS = ROOT / "demo" / "wet_days.ga"


@pytest.fixture
def tables(tmp_path):
    """Small tables: two of numbers, and one that can't be summed."""
    for name, text in (("t1", "a\t1\na\t2\nb\t5\n"), ("t2", "a\t7\n"), ("bad", "a\tword\n")):
        (tmp_path / f"{name}.tsv").write_text(text)
    return tmp_path


def on_disk(folder):
    """{path: text} of what was fetched; its manifest is looked at apart."""
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found.pop("manifest.tsv").startswith("ref\tname\tpath\tsize\thash\tstate\t")
    return found


def ran(person, workflow, *line, status=0, **extra):
    """What subprocess says of a run of one of the workflows here."""
    options = [word for word in line if str(word).startswith("--")]
    ended = person.run("workflow_run.py", *options, person.key, person.url, WORKFLOWS / f"{workflow}.gxwf.yml",
                       *(word for word in line if word not in options), **extra)
    assert ended.returncode == status, ended
    assert status or ended.stderr == ""
    return ended


def invocations(person, history):
    return person.look("invocations", history_id=history, include_nested_invocations="false")


def test_parameters_of_each_type_an_optional_input_and_a_skipped_step(person, tables):
    ran(person, "parameters", f"--download={tables}/out", f"table={tables}/t1.tsv", "lines=2", "column=c2", "share=0.25")
    assert on_disk(tables / "out") == {"first.tabular": "a\t1\na\t2\n", "kept.tabular": "1\n2\n",
                                       "whole.tabular": "a\t1\na\t2\nb\t5\n"}
    ran(person, "parameters", f"--download={tables}/twice", "--outputs=doubled,kept", f"table={tables}/t1.tsv", "lines=1",
        "twice=yes")
    assert on_disk(tables / "twice") == {"kept.tabular": "a\n", "doubled.tabular": "a\ta\n"}


def test_collections_of_each_type_keep_their_samples_names(person, tables):
    for sample in ("s1", "s2"):
        for mate in ("R1", "R2"):
            (tables / f"{sample}_{mate}.fastq").write_text(f"@{sample}{mate}\nACGT\n+\nIIII\n")
    ran(person, "collections", f"--download={tables}/out", f"one={tables}/t2.tsv", f"tables={tables}/t?.tsv",
        f"pair={tables}/s1_R?.fastq", f"samples={tables}/s?_R?.fastq")
    read = "@{}\nACGT\n+\nIIII\n".format
    found = on_disk(tables / "out")
    assert found.pop("beside/t2.tabular") == "a\t7\ta\t7\n"
    assert found.pop("beside/t1.tabular").startswith("a\t1\ta\t7\na\t2\t")
    mates = {"forward": "R1", "reverse": "R2"}
    pair = {f"pair copied/{way}.fastqsanger": read(f"s1{mate}") for way, mate in mates.items()}
    assert found == {**pair, **{f"samples copied/{sample}/{way}.fastqsanger": read(f"{sample}{mate}")
                                for sample in ("s1", "s2") for way, mate in mates.items()}}


def test_one_failing_element_of_a_mapped_step_in_a_subworkflow(person, tables):
    """Its neighbours' results are there, and the exit status is that of a failure."""
    ended = ran(person, "inner", f"--download={tables}/out", f"--record={tables}/run.json", f"tables={tables}/t?.tsv",
                f"tables={tables}/bad.tsv", status=1)
    assert on_disk(tables / "out") == {"sums/t1.tabular": "a\t3\nb\t5\n", "sums/t2.tabular": "a\t7\n",
                                       "copies/t1.tabular": "a\t3\nb\t5\n", "copies/t2.tabular": "a\t7\n"}
    assert ended.stderr.count("\n") == 1 and "failed: 1 error, 1 paused" in ended.stderr
    assert "Grouping1" in ended.stderr and "exit code 1" in ended.stderr and "non float value 'word'" in ended.stderr
    record = json.loads((tables / "run.json").read_text())
    assert (record["state"], record["jobs"]) == ("failed", {"ok": 4, "error": 1, "paused": 1})
    assert "Grouping1" in record["failure"] and person.key not in str(record)


def test_a_job_that_fails_in_a_subworkflow_that_nothing_follows(person, tables):
    """Galaxy 25.1 and older leave it out of the invocation's summary of its jobs."""
    ended = ran(person, "inner_last", f"table={tables}/bad.tsv", status=1)
    assert "failed: 1 error" in ended.stderr and "Grouping1" in ended.stderr and "non float value 'word'" in ended.stderr
    ran(person, "inner_last", f"--download={tables}/out", f"--record={tables}/run.json", f"table={tables}/t1.tsv")
    assert on_disk(tables / "out") == {"sums.tabular": "a\t3\nb\t5\n"}
    assert json.loads((tables / "run.json").read_text())["jobs"] == {"ok": 2}


def test_fail_fast(person, tables):
    ended = ran(person, "inner", "--fail-fast", f"tables={tables}/bad.tsv", status=1)
    assert ended.stderr.count("\n") == 1 and "1 error" in ended.stderr


def test_a_list_for_one_dataset_is_mapped_over(person, tables):
    ran(person, "parameters", f"--download={tables}/out", "--outputs=kept", f"table={tables}/t1.tsv",
        f"table={tables}/t2.tsv", "lines=1")
    assert on_disk(tables / "out") == {"kept/t1.tabular": "a\n", "kept/t2.tabular": "a\n"}


def test_what_galaxy_has_by_id_number_and_path(person, admin, tables):
    """hda:ID, hid:N, lib:/..., ldda:ID in one run, a collection of another history in the next."""
    for name in ("in a library", "of a library"):
        (tables / "in").mkdir(exist_ok=True)
        (tables / "in" / f"{name}.tsv").write_text(f"{name}\n")
    library = admin.new_library()
    synced = admin.run("library_sync.py", admin.key, admin.url, library.id, tables / "in", "--to=/deep")
    assert synced.returncode == 0, synced.stderr
    [version] = [admin.look(f"libraries/datasets/{one['id']}")["ldda_id"]
                 for one in admin.look(f"libraries/{library.id}/contents") if one["name"] == "/deep/of a library.tsv"]
    history, other = person.new_history("references"), person.new_history("of another history")
    one = person.uploaded(history, tables / "t2.tsv")
    made = person.value("collection_create.py", "--wait", "--format=value", "--fields=id", person.key, person.url, other,
                        "two", tables / "t1.tsv", tables / "t2.tsv")
    ran(person, "four", f"--history={history}", f"--download={tables}/four", f"one=hda:{one}", "two=hid:1",
        f"three=lib:/{library.name}/deep/in a library.tsv", f"four=ldda:{version}")
    assert on_disk(tables / "four") == {"beside.txt": "a\t7\ta\t7\tin a library\tof a library\n"}
    ran(person, "beside", f"--download={tables}/hdca", f"one=hda:{one}", f"tables=hdca:{made}")
    assert sorted(on_disk(tables / "hdca")) == ["beside/t1.tabular", "beside/t2.tabular"]


def test_what_is_wrong_is_told_at_once_and_nothing_is_sent(person, tables):
    before = len(person.look("histories"))
    ended = person.run("workflow_run.py", "--outputs=nosuch", person.key, person.url, WORKFLOWS / "parameters.gxwf.yml",
                       f"tabel={tables}/t1.tsv", "lines=few", "twice=perhaps", "column=c9", "share=half",
                       f"aside={tables}/none.tsv")
    assert (ended.returncode, ended.stdout) == (2, "")
    for words in ("8 things are wrong, so nothing was sent", "no input 'tabel': did you mean table?",
                  "'few' is not an integer", "'perhaps' is neither true nor false", "'c9' is not one of c1, c2",
                  "'half' is not a float", "none.tsv: No such file", "input table: is missing", "no output 'nosuch'",
                  "index    label    takes"):
        assert words in ended.stderr
    assert len(person.look("histories")) == before


def test_the_same_file_is_imported_once(person, tables):
    content = (WORKFLOWS / "parameters.gxwf.yml").read_text() + f"# {os.urandom(8).hex()}\n"
    content = content.replace("Every kind of parameter", f"Imported once {os.urandom(4).hex()}")
    (tables / "w.gxwf.yml").write_text(content)
    (tables / "again.gxwf.yml").write_text(content)
    before = {one["id"] for one in person.look("workflows")}
    for name in ("w", "again", "w"):
        ended = person.run("workflow_run.py", "--dry-run", person.key, person.url, tables / f"{name}.gxwf.yml",
                           f"table={tables}/t1.tsv", "lines=1")
        assert ended.returncode == 0, ended.stderr
    [made] = {one["id"] for one in person.look("workflows")} - before
    edited = person.asked("PUT", f"workflows/{made}", json={"name": "edited", "annotation": "x"})
    assert edited["name"] == "edited"


def test_a_tool_that_the_server_lacks(person, tables):
    content = json.loads(WET_DAYS.read_text())
    content["steps"]["1"].update(tool_id="nosuch", content_id="nosuch")
    (tables / "w.ga").write_text(json.dumps(content))
    ended = person.run("workflow_run.py", person.key, person.url, tables / "w.ga", f"observations={tables}/t1.tsv")
    assert ended.returncode == 2 and "the server lacks nosuch, so nothing was sent" in ended.stderr
    assert ended.stderr.splitlines()[-1].split() == ["nosuch", "1.0.4"]


def test_a_step_that_a_person_has_to_review(person, tables, state):
    """It ends the wait; the same line afterwards resumes the same run."""
    line = [f"--download={tables}/out", f"table={tables}/t2.tsv"]
    ended = ran(person, "review", *line, status=1, **state)
    assert "is waiting for a review of step 2 (look)" in ended.stderr
    address = ended.stderr.split("update.py - /api/")[1].split(" ")[0]
    person.asked("PUT", address, json={"action": True})
    ran(person, "review", *line, **state)
    assert on_disk(tables / "out") == {"copy.tabular": "a\t7\n"}


def test_a_review_in_a_subworkflow(person, tables):
    ended = ran(person, "inner_review", f"table={tables}/t2.tsv", status=1)
    assert "is waiting for a review of step 1 (look)" in ended.stderr


def test_record_tags_and_no_wait(person, tables):
    ended = ran(person, "parameters", "--no-wait", "--format=json", f"--record={tables}/run.json", "--tag=night",
                "--tag=run12", "--history=new:tagged run", f"table={tables}/t1.tsv", "lines=1", "column=c2")
    made = json.loads(ended.stdout)
    record = json.loads((tables / "run.json").read_text())
    assert (record["invocation"], record["history"], record["server"]) == (made["id"], made["history_id"], person.url)
    history = person.look(f"histories/{made['history_id']}")
    assert (history["name"], sorted(history["tags"])) == ("tagged run", ["night", "run12"])
    about = person.look(f"invocations/{made['id']}")
    assert about["input_step_parameters"]["column"]["parameter_value"] == "c2"
    assert person.run("invocation_wait.py", "-q", person.key, person.url, made["id"]).returncode == 0


@pytest.mark.needs("cached twins")
def test_a_tools_parameter_and_cached_jobs(person, tables):
    history = person.new_history("cached")
    dataset = person.uploaded(history, tables / "t1.tsv")
    line = [f"--history={history}", "--param=Paste1:delimiter=C", "--outputs=doubled", f"table=hda:{dataset}",
            "lines=3", "twice=yes"]
    ran(person, "parameters", f"--download={tables}/first", *line)
    ended = ran(person, "parameters", f"--download={tables}/second", "--use-cached-jobs", "--format=value", "--fields=id",
                *line)
    assert on_disk(tables / "first") == on_disk(tables / "second") == {"doubled.tabular": "a,a\na,a\nb,b\n"}
    job = person.look(f"datasets/{ended.stdout.strip()}")["creating_job"]
    assert person.look(f"jobs/{job}", full="true")["copied_from_job_id"]


@pytest.mark.needs("request")
def test_a_failed_run_again_with_what_ran_well_from_its_jobs(person, tables):
    line = [f"--record={tables}/run.json", f"--report={tables}/run.html", f"tables={tables}/t1.tsv",
            f"tables={tables}/bad.tsv"]
    ran(person, "inner", *line, status=1)
    first = json.loads((tables / "run.json").read_text())["invocation"]
    page = (tables / "run.html").read_text()
    assert first in page and "non float value" in page and page.startswith("<!DOCTYPE html>")
    ended = person.run("invocation_rerun.py", "--format=value", "--fields=id", person.key, person.url, first)
    assert ended.returncode == 1 and "element bad, is error" in ended.stderr
    again = ended.stdout.strip()
    assert again != first and len(invocations(person, person.look(f"invocations/{first}")["history_id"])) == 2
    ended = person.run("invocation_download.py", f"--to={tables}/out", "--outputs=sums", person.key, person.url, again)
    assert (ended.returncode, ended.stdout) == (3, f"{tables}/out/sums/t1.tabular\n") and "sums/bad" in ended.stderr
    [copied] = [one for one in person.look(f"invocations/{again}", step_details="true")["output_collections"].values()
                if one["src"] == "hdca"][:1]
    elements = person.look(f"dataset_collections/{copied['id']}")["elements"]
    jobs = {one["element_identifier"]: person.look(f"datasets/{one['object']['id']}")["creating_job"] for one in elements}
    was_copied = {name: bool(person.look(f"jobs/{job}", full="true")["copied_from_job_id"]) for name, job in jobs.items()}
    assert was_copied == {"t1": True, "bad": False}
    good = ran(person, "parameters", "--no-wait", "--format=value", "--fields=id", f"table={tables}/t1.tsv", "lines=1")
    assert person.run("invocation_wait.py", "-q", person.key, person.url, good.stdout.strip()).returncode == 0
    ended = person.run("invocation_rerun.py", person.key, person.url, good.stdout.strip())
    assert ended.returncode == 1 and "has succeeded: to run it again add --all" in ended.stderr


# ---------------------------------------------------------------------------------------------------- whatever happens

def test_an_answer_that_is_lost_at_the_moment_of_submission(person, tables, state):
    road, history = LosingRoad(person.url), person.new_history("a lost answer")
    ended = person.run("workflow_run.py", f"--history={history}", f"--record={tables}/run.json", f"--download={tables}/out",
                       person.key, road.url, WORKFLOWS / "parameters.gxwf.yml", f"table={tables}/t1.tsv", "lines=1", **state)
    road.close()
    assert (ended.returncode, ended.stderr) == (0, "")
    [made] = invocations(person, history)
    assert [made["id"]] == road.lost == [json.loads((tables / "run.json").read_text())["invocation"]]
    assert on_disk(tables / "out")["first.tabular"] == "a\t1\n"


def test_killed_again_and_again(person, tables, state, instants):
    """kill -9, and the same line again: one invocation, each input once."""
    history = person.new_history("killed runs")
    line = ["workflow_run.py", "-q", f"--history={history}", f"--download={tables}/out", person.key, person.url,
            WORKFLOWS / "beside.gxwf.yml", f"one={tables}/t2.tsv", f"tables={tables}/t?.tsv"]
    assert killed_again_and_again(person, line, instants, 10, 4, **state) > 0
    assert len(invocations(person, history)) == 1
    there = [one for one in person.look(f"histories/{history}/contents", v="dev") if not one["deleted"]]
    assert sorted(one["name"] for one in there if one["name"].endswith(".tsv")) == ["t1.tsv", "t2.tsv"]
    assert len([one for one in there if one["name"] == "tables"]) == 1
    assert sorted(on_disk(tables / "out")) == ["beside/t1.tabular", "beside/t2.tabular"]


def test_ctrl_c(person, tables, state):
    history = person.new_history("interrupted")
    process = begun(person, "workflow_run.py", f"--history={history}", person.key, person.url, WORKFLOWS / "beside.gxwf.yml",
                    f"one={tables}/t2.tsv", f"tables={tables}/t?.tsv", **state)
    until(lambda: invocations(person, history))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    [made] = invocations(person, history)
    ended = person.run("workflow_run.py", f"--history={history}", f"--record={tables}/run.json", person.key, person.url,
                       WORKFLOWS / "beside.gxwf.yml", f"one={tables}/t2.tsv", f"tables={tables}/t?.tsv", **state)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads((tables / "run.json").read_text())["invocation"] == made["id"]
    assert len(invocations(person, history)) == 1
