"""workflow_batch.py on sheets of samples, against a real Galaxy, which is then asked what it holds."""
import csv
import subprocess
import time
import zlib

from fakes.pages import Page
from fakes.roads import LosingRoad

from galaxy_api_scripts.invocations.page import format_duration

from .conftest import WORKFLOWS
from .processes import begun, kill

FIRST = WORKFLOWS / "first.gxwf.yml"


def samples(folder, count):
    """Names of samples that no other test has."""
    return [f"{zlib.crc32(str(folder).encode()):08x}-{number:02}" for number in range(count)]


def a_sheet(folder, count, **more):
    """A sheet of so many samples, each with a table of its own, and columns of the same value."""
    names = samples(folder, count)
    for name in names:
        (folder / f"{name}.tsv").write_text(f"{name}\t1\nrest\t0\n")
    rows = [["sample", "table", *more], *([name, f"{name}.tsv", *more.values()] for name in names)]
    sheet = folder / "samples.tsv"
    sheet.write_text("".join("\t".join(row) + "\n" for row in rows))
    return sheet


def told(ended, status=0):
    """The rows that were printed, `{name: row}`."""
    assert ended.returncode == status, ended
    return {row["name"]: row for row in csv.DictReader(ended.stdout.splitlines(), delimiter="\t")}


def ledger(person, sheet, *options):
    """What ledger_show.py says of the sheet's ledger, `{name: row}`."""
    return told(person.run("ledger_show.py", "--format=tsv", *options, f"{sheet}.ledger"))


def one_run_each(person, sheet, count):
    """Each sample has one history, one run in it that ended well, and one upload; the ledger says the same. How many runs
    were submitted again, because their jobs were killed together with Galaxy."""
    units = ledger(person, sheet)
    assert list(units) == samples(sheet.parent, count) and {unit["state"] for unit in units.values()} == {"ok"}
    histories = {one["id"]: one["name"].split(" - ")[0] for one in person.look("histories")}
    assert {history: name for history, name in histories.items() if name in units} == {
        unit["history"]: name for name, unit in units.items()}
    again = 0
    for name, unit in units.items():
        runs = person.look("invocations", history_id=unit["history"])
        assert unit["invocation"] in [run["id"] for run in runs], name
        assert person.look(f"invocations/{unit['invocation']}/jobs_summary")["states"] == {"ok": 1}
        others = [run for run in runs if run["id"] != unit["invocation"] and run["state"] not in ("cancelled", "cancelling")]
        for other in others:
            [job] = person.look("jobs", invocation_id=other["id"])
            [made] = person.look(f"jobs/{job['id']}")["outputs"].values()
            assert "killed when Galaxy was restarted" in person.look(f"datasets/{made['id']}")["misc_info"], name
        again += len(others)
        assert int(unit["attempt"]) == 1 + len(others)
        there = person.look(f"histories/{unit['history']}/contents", v="dev", keys="name,state,deleted")
        assert [one["name"] for one in there if not one["deleted"] and one["state"] == "ok"].count(f"{name}.tsv") == 1
    return again


def fetched(folder, count):
    """Whether each sample's result is there once, with the right bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.tsv")
    names = samples(folder.parent, count)
    assert [str(path.relative_to(folder)) for path in files] == [f"{name}/first.tabular" for name in names]
    return [path.read_text() for path in files] == [f"{name}\t1\n" for name in names]


def test_each_row_is_run_once_and_a_new_row_later(person, tmp_path):
    sheet = a_sheet(tmp_path, 3)
    line = ["workflow_batch.py", f"--download={tmp_path}/out", f"--summary={tmp_path}/runs.csv", "--tag=batch", person.key,
            person.url, FIRST, sheet]
    rows = told(person.run(*line))
    assert {row["state"] for row in rows.values()} == {"ok"} and fetched(tmp_path / "out", 3)
    assert one_run_each(person, sheet, 3) == 0
    assert person.look(f"histories/{rows[samples(tmp_path, 1)[0]]['history']}")["tags"] == ["batch"]
    a_sheet(tmp_path, 4)        # the tables have another time, and the same content
    assert list(told(person.run(*line))) == samples(tmp_path, 4)[3:]
    assert one_run_each(person, sheet, 4) == 0 and fetched(tmp_path / "out", 4)
    with open(tmp_path / "runs.csv", newline="") as file:
        assert [(row["name"], row["state"]) for row in csv.DictReader(file)] == [
            (name, "ok") for name in samples(tmp_path, 4)]
    assert told(person.run(*line)) == {}


def test_what_fails_is_told_and_does_not_stop_the_others(person, tmp_path):
    """The third sample has a word where a number is summed; with another table it is tried again."""
    for name, text in (("a", "x\t1\nx\t2\n"), ("b", "x\t5\n"), ("bad", "x\tword\n")):
        (tmp_path / f"{name}.tsv").write_text(text)
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("Sample,table\na,a.tsv\nbad,bad.tsv\nb,b.tsv\n")
    line = ["workflow_batch.py", f"--download={tmp_path}/out", person.key, person.url, WORKFLOWS / "sums.gxwf.yml", sheet]
    ended = person.run(line[0], f"--report={tmp_path}/page.html", *line[1:])
    rows = told(ended, 3)
    shows_what_galaxy_holds((tmp_path / "page.html").read_text(), rows, person)
    shown = person.run("ledger_show.py", f"--report={tmp_path}/alone.html", f"{sheet}.ledger")
    assert (shown.returncode, shown.stdout) == (0, f"{tmp_path}/alone.html\n")
    shows_what_galaxy_holds((tmp_path / "alone.html").read_text(), rows, person)
    assert {name: row["state"] for name, row in rows.items()} == {"a": "ok", "b": "ok", "bad": "failed"}
    assert rows["bad"]["failed_step"] and rows["bad"]["message"] in ended.stderr
    again = person.run(*line)
    assert (again.returncode, again.stdout) == (3, "") and "bad" in again.stderr
    assert told(person.run(line[0], "--retry-failed", *line[1:]), 3)["bad"]["attempt"] == "2"
    history = rows["bad"]["history"]
    assert len(person.look("invocations", history_id=history)) == 1      # its job ran again, in place
    assert [job["state"] for job in person.look("jobs", history_id=history, tool_id="Grouping1")] == ["error"] * 2
    assert [one["name"] for one in person.look(f"histories/{history}/contents")].count("bad.tsv") == 1


def shows_what_galaxy_holds(html, rows, person):
    """The page has each sample's links, the size of its result, the run times that Galaxy measured, the standard error of
    the job that failed, and the versions."""
    page, times = Page(html), []
    version = person.look("version")
    assert "1 of 3 failed" in page.text and f"Galaxy {version['version_major']}.{version['version_minor']} 3" in page.text
    for name, row in rows.items():
        invocation = person.look(f"invocations/{row['invocation']}")
        assert {f"{person.url}/histories/view?id={row['history']}",
                f"{person.url}/workflows/invocations/{row['invocation']}"} <= set(page.links)
        result = person.look(f"datasets/{invocation['outputs']['sums']['id']}")
        assert f"{person.url}/datasets/{result['id']}" in page.links
        assert f"sums {result['extension']}, {result['file_size']} bytes" in page.text
        [job] = person.look("jobs", invocation_id=row["invocation"])
        details = person.look(f"jobs/{job['id']}", full="true")
        assert f"Grouping1 {person.look('tools/Grouping1')['version']} 1 3" in page.text
        times += [f"{name}: {format_duration(float(metric['raw_value']))}" for metric in person.look(
            f"jobs/{job['id']}/metrics") if metric["name"] == "runtime_seconds"]
        if name == "bad":
            assert details["tool_stderr"].strip() in page.text and f"{person.url}/jobs/{job['id']}/view" in page.links
    assert times and all(time in page.text for time in times)


def test_a_visit_from_cron(person, tmp_path):
    """It begins what it may, ends, and the next one fetches what has ended."""
    sheet = a_sheet(tmp_path, 4)
    line = ["workflow_batch.py", "--once", "--max-running=3", f"--download={tmp_path}/out", person.key, person.url, FIRST,
            sheet]
    visits = 0
    while (ended := person.run(*line)).returncode == 4:
        visits += 1
        states = [unit["state"] for unit in ledger(person, sheet).values()]
        assert ended.stderr == "" and states.count("running") <= 3
        time.sleep(1)
    assert ended.returncode == 0 and visits >= 1
    assert one_run_each(person, sheet, 4) == 0 and fetched(tmp_path / "out", 4)


def test_an_nf_core_sheet_as_runs_and_as_one(person, tmp_path):
    """Two lanes of x, one of y: each sample is a run on one pair; with lanes apart, each lane is an element of one run."""
    for name in ("x_L1_1", "x_L1_2", "x_L2_1", "x_L2_2", "y_1", "y_2"):
        (tmp_path / f"{name}.fastq").write_text(f"@{name}\nACGT\n+\nFFFF\n")
    sheet = tmp_path / "nf.csv"
    sheet.write_text("sample,fastq_1,fastq_2,strandedness\nx,x_L1_1.fastq,x_L1_2.fastq,auto\ny,y_1.fastq,y_2.fastq,auto\n"
                     "x,x_L2_1.fastq,x_L2_2.fastq,auto\n")
    line = ["workflow_batch.py", "--map=strandedness=", f"--download={tmp_path}/out", person.key, person.url,
            WORKFLOWS / "pairs.gxwf.yml", sheet]
    rows = told(person.run(*line))
    assert sorted(rows) == ["x", "y"]
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.fastqsanger"))
    assert files == [f"{name}/copied/{name}/{mate}.fastqsanger" for name in "xy" for mate in ("forward", "reverse")]
    assert (tmp_path / "out" / files[1]).read_text() == "@x_L1_2\nACGT\n+\nFFFF\n@x_L2_2\nACGT\n+\nFFFF\n"
    whole = told(person.run(line[0], "--as-collection", "--lanes=separate", f"--ledger={tmp_path}/one.ledger",
                            *line[1:2], *line[3:]))
    [run] = person.look("invocations", history_id=whole["nf"]["history"])
    made = person.look(f"invocations/{run['id']}")["output_collections"]["copied"]
    elements = person.look(f"dataset_collections/{made['id']}")["elements"]
    assert [one["element_identifier"] for one in elements] == ["x_1", "x_2", "y"]


def test_a_file_of_all_rows_is_uploaded_once(person, tmp_path):
    (tmp_path / "all.tsv").write_text("all\t1\n")
    for name in ("a", "b"):
        (tmp_path / f"{name}.tsv").write_text(f"{name}\t2\n")
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("sample\ttables\na\ta.tsv\nb\tb.tsv\n")
    line = ["workflow_batch.py", f"--download={tmp_path}/out", person.key, person.url, WORKFLOWS / "beside.gxwf.yml", sheet,
            f"one={tmp_path}/all.tsv"]
    assert sorted(told(person.run(*line))) == ["a", "b"]
    there = person.look("histories")
    names = [one["name"] for history in there for one in person.look(f"histories/{history['id']}/contents")]
    assert names.count("all.tsv") == 1
    text = {path.parts[-3]: path.read_text() for path in (tmp_path / "out").rglob("*.tabular")}
    assert text == {"a": "a\t2\tall\t1\n", "b": "b\t2\tall\t1\n"}
    with open(sheet, "a") as file:
        file.write("c\ta.tsv\n")
    added = told(person.run(*line))["c"]
    assert [one["name"] for one in person.look(f"histories/{added['history']}/contents") if one["name"] == "all.tsv"] == []
    assert len(person.look("histories")) == len(there) + 1


def test_one_history_for_all(person, tmp_path):
    sheet = a_sheet(tmp_path, 2, lines="2")
    rows = told(person.run("workflow_batch.py", "--history=new:All of them", person.key, person.url, FIRST, sheet))
    [history] = [one for one in person.look("histories") if one["name"].startswith("All of them [")]
    assert {row["history"] for row in rows.values()} == {history["id"]}
    assert {run["id"] for run in person.look("invocations", history_id=history["id"])} == {
        row["invocation"] for row in rows.values()}


def killed_and_run_to_its_end(person, folder, state, instants, count, times, longest):
    """A batch of so many samples, two answers to whose submissions are lost, killed `times` times within `longest` seconds
    each, then run to its end: each sample once, and how often it was killed."""
    sheet = a_sheet(folder, count)
    road = LosingRoad(person.url, numbers=(1, 4))
    line = ["workflow_batch.py", "-q", "--max-running=3", f"--download={folder}/out", person.key, road.url, FIRST, sheet]
    kills = 0
    for instant in sorted(instants.uniform(0.3, longest) for _ in range(times)):    # the early ones first: it is not over
        process = begun(person, *line, **state)
        try:
            assert process.wait(timeout=instant) == 0
            break
        except subprocess.TimeoutExpired:
            kills += kill(process)
    ended = person.run(*line, **state)
    road.close()
    assert ended.returncode == 0, ended
    assert one_run_each(person, sheet, count) == 0 and fetched(folder / "out", count)
    return kills


def test_killed_again_and_again_and_an_answer_lost(person, tmp_path, state, instants):
    assert killed_and_run_to_its_end(person, tmp_path, state, instants, 6, 6, 3) >= 3


# ------------------------------------------------------- what a person does with Galaxy or the line between two visits

def test_a_line_without_the_history_that_the_last_one_had(person, tmp_path):
    """The runs of the other samples in that history stay."""
    sheet = a_sheet(tmp_path, 3)
    line = [person.key, person.url, FIRST, sheet]
    person.run("workflow_batch.py", "-q", "--once", "--history=new:All of these", *line)
    assert person.run("workflow_batch.py", "-q", *line).returncode == 0
    [history] = {unit["history"] for unit in told(person.run("ledger_show.py", "--format=tsv", f"{sheet}.ledger")).values()}
    runs = person.look("invocations", history_id=history)
    assert len(runs) == 3 and not [run for run in runs if run["state"] in ("cancelled", "cancelling")]


def test_a_run_that_is_reviewed(person, tmp_path):
    """The same line resumes it."""
    sheet = a_sheet(tmp_path, 1)
    line = ["workflow_batch.py", person.key, person.url, WORKFLOWS / "review.gxwf.yml", sheet]
    [sample] = samples(tmp_path, 1)
    waiting = told(person.run(*line), 1)[sample]
    assert "is waiting for a review of step 2 (look)" in waiting["message"]
    [step] = [step for step in person.look(f"invocations/{waiting['invocation']}")["steps"]
              if step["workflow_step_label"] == "look"]
    person.asked("PUT", f"invocations/{waiting['invocation']}/steps/{step['id']}", json={"action": True})
    ended = told(person.run(*line))[sample]
    assert (ended["state"], ended["attempt"], ended["invocation"]) == ("ok", "1", waiting["invocation"])
    assert len(person.look("invocations", history_id=ended["history"])) == 1


def test_a_sheet_whose_folder_was_moved(person, tmp_path):
    (tmp_path / "before").mkdir()
    sheet = a_sheet(tmp_path / "before", 2)
    assert len(told(person.run("workflow_batch.py", person.key, person.url, FIRST, sheet))) == 2
    (tmp_path / "before").rename(tmp_path / "after")
    ended = person.run("workflow_batch.py", person.key, person.url, FIRST, tmp_path / "after" / sheet.name)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_batch_is_mended_by_and_by_at_another_address_of_its_server(person, tmp_path):
    """A2, B18, B19, B20: samples called #1 and #2; the results of one can't be fetched, the input of the other is wrong.
    Then there is room for the results, the input is corrected, and the server is called localhost."""
    (tmp_path / "1.tsv").write_text("x\t1\nx\t2\n")
    (tmp_path / "2.tsv").write_text("x\tword\n")
    sheet, out = tmp_path / "sheet.csv", tmp_path / "out"
    sheet.write_text("# two\nsample,table\n#1,1.tsv\n#2,2.tsv\n")
    out.mkdir()
    (out / "#1").write_text("in the way")
    line = ["workflow_batch.py", f"--download={out}", person.key, person.url, WORKFLOWS / "sums.gxwf.yml", sheet]
    rows = told(person.run(*line), 1)
    assert {name: (row["state"], row["failed_step"]) for name, row in rows.items()}["#1"] == ("fetch pending", "deliver")
    assert rows["#2"]["state"] == "failed" and "a link or a file is on the way to it" in rows["#1"]["message"]
    checked = person.run("ledger_show.py", "--check", "--format=value", "--fields=name", f"{sheet}.ledger")
    assert (checked.returncode, checked.stdout) == (1, "#1\n#2\n")

    (out / "#1").unlink()
    (tmp_path / "2.tsv").write_text("x\t5\n")
    assert "127.0.0.1" in person.url
    line[3] = person.url.replace("127.0.0.1", "localhost")
    ended = person.run(*line)
    assert {name: row["state"] + row["attempt"] for name, row in told(ended).items()} == {"#1": "ok1", "#2": "ok1"}
    assert ended.stderr.count("\n") == 1 and f"{line[3]} is the same server as {person.url}" in ended.stderr
    assert {path.name: (path / "sums.tabular").read_text() for path in out.iterdir()} == {"#1": "x\t3\n", "#2": "x\t5\n"}
    assert person.run("ledger_show.py", "--check", f"{sheet}.ledger").returncode == 0
    assert len(person.look("invocations", history_id=rows["#1"]["history"])) == 1
