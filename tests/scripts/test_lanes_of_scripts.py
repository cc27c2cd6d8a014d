"""Lanes in the five scripts that put them together, on a fake Galaxy: what arrives, what is shown, what a ledger keeps."""
import gzip
import json
import sqlite3

import collection_create
import dataset_upload
import folder_watch
import pytest
import workflow_run
from fakes import KEY
from fakes.batches import batch, server
from fakes.galaxy import WORKFLOW

from common import DONE, SOME_FAILED, USAGE
from galaxy_api_scripts.batch import ledger_reader

__all__ = ["batch", "server"]       # fixtures
NAMES = [f"A_S1_L00{lane}_R{read}_001.fastq.gz" for lane in (1, 2) for read in (1, 2)]


def part(name):
    return gzip.compress(f"@{name}\nACGT\n+\nFFFF\n".encode(), mtime=0)


def put(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(part(name))
    return [folder / name for name in names]


def whole(read):
    return b"".join(part(name) for name in NAMES if f"_R{read}_" in name)


def contents(server):
    """`{name: bytes}` of what was uploaded."""
    return {one["name"]: one["content"] for one in server.datasets.values() if "of_run" not in one and not one["deleted"]}


def as_of_old(book):
    """Make of a ledger one that was begun before there were lanes."""
    with sqlite3.connect(book) as database:
        [[notes]] = database.execute("SELECT value FROM meta WHERE name = 'notes'")
        known = json.loads(notes)
        del known["lanes"]
        database.execute("UPDATE meta SET value = ? WHERE name = 'notes'", (json.dumps(known),))
    database.close()


# ------------------------------------------------------------------------------------------------------ uploads

def test_dataset_upload_puts_lanes_together_when_it_is_told_to(server, script, tmp_path, capsys):
    paths = put(tmp_path / "in", *NAMES)
    line = [KEY, server.url, "new:lanes", *paths]
    assert script(dataset_upload.main, "-n", "--format=tsv", *line) == DONE
    assert capsys.readouterr().out.count("_L00") == 8       # each by its path and its name
    assert script(dataset_upload.main, "-n", "--format=tsv", "--lanes=together", *line) == DONE
    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == f"{paths[0]} + {NAMES[2]}\tA_S1_R1_001.fastq.gz\tfastqsanger.gz\t{len(whole(1))}" and len(shown) == 3
    assert contents(server) == {} and script(dataset_upload.main, "-q", "--wait", "--lanes=together", *line) == DONE
    assert contents(server) == {f"A_S1_R{read}_001.fastq.gz": whole(read) for read in (1, 2)}


def test_dataset_upload_joins_by_a_pattern(server, script, tmp_path):
    paths = put(tmp_path / "in", "s_FC1.fq.gz", "s_FC2.fq.gz")
    assert script(dataset_upload.main, "-q", "--wait", "--together=_FC[0-9]", KEY, server.url, "new:x", *paths) == DONE
    assert contents(server) == {"s.fq.gz": part("s_FC1.fq.gz") + part("s_FC2.fq.gz")}


def test_nothing_is_sent_of_lanes_that_cant_be_put_together(server, script, tmp_path, capsys):
    paths = put(tmp_path / "in", *NAMES)
    paths[2].write_bytes(b"plain\n")
    for line in ([dataset_upload.main, "--lanes=together", KEY, server.url, "new:x"],
                 [collection_create.main, "--type=list:paired", KEY, server.url, "new:x", "reads"]):
        assert script(*line, *paths) == USAGE
        assert f"{paths[0]} is gzip, and {paths[2]} plain text, so they can't be put together" in capsys.readouterr().err
    assert server.writes() == []


def test_collection_create_makes_a_pair_of_the_lanes(server, script, tmp_path, capsys):
    paths = put(tmp_path / "in", *NAMES, "A_S1_L001_I1_001.fastq.gz")
    line = ["--type=list:paired", "--format=tsv", KEY, server.url, "new:x", "reads", *paths]
    assert script(collection_create.main, "-n", *line) == DONE
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"A_S1\t{paths[0]} + {NAMES[2]}\t{paths[1]} + {NAMES[3]}\tfastqsanger.gz"]
    assert script(collection_create.main, "-n", "--lanes=separate", *line) == DONE
    assert [row.split("\t")[0] for row in capsys.readouterr().out.splitlines()[1:]] == ["A_S1_L001", "A_S1_L002"]


def test_workflow_run_takes_the_lanes_of_a_pattern_as_one_dataset(server, script, tmp_path, capsys):
    put(tmp_path / "in", *NAMES)
    line = [KEY, server.url, WORKFLOW, f"table={tmp_path}/in/*_R1_*"]
    for options, count in (([], 1), (["--lanes=separate"], 2)):
        assert script(workflow_run.main, "-n", *options, *line) == DONE
        request = json.loads(capsys.readouterr().out)["payload"]
        assert len(request["inputs"]["0"]["elements"]) == count
    assert script(workflow_run.main, "-q", *line) == DONE
    assert contents(server) == {"A_S1_R1_001.fastq.gz": whole(1)}


# --------------------------------------------------------------------------------------------- sheets and their ledgers

def sheet_of_lanes(batch, *more):
    put(batch.folder, *NAMES)
    batch.path.write_text("sample,fastq_1\n" + "".join(f"A,{name}\n" for name in (NAMES[0], NAMES[2])) + "".join(more))


def test_a_samples_rows_are_one_dataset_and_one_run(batch, server):
    sheet_of_lanes(batch)
    line = ["--map=fastq_1=table"]
    shown = batch("-n", "--format=tsv", *line).out
    assert f"{batch.folder}/{NAMES[0]} + {NAMES[2]}" in shown and server.writes() == []
    assert batch(*line).rows["A"]["state"] == "ok" and contents(server) == {"A_1.fastq.gz": whole(1)}
    assert batch(*line).sent == [] and len(server.runs) == 1
    moved = batch.folder / "elsewhere"      # the same content under other paths is the same sample
    put(moved, *NAMES)
    batch.path.write_text(batch.path.read_text().replace("A_S1", "elsewhere/A_S1"))
    assert batch(*line).sent == []
    (moved / NAMES[2]).write_bytes(part("other"))
    assert batch(*line).rows["A"]["state"] == "ok" and len(server.runs) == 2


def test_a_ledger_keeps_what_it_began_with(batch, server):
    sheet_of_lanes(batch)
    line = ["--map=fastq_1=table"]
    batch("--lanes=separate", *line)
    assert ledger_reader.read_lanes(f"{batch.path}.ledger") == "separate" and len(contents(server)) == 2
    assert batch(*line).sent == [] and batch("--lanes=separate", *line).sent == []      # no sample runs again
    refused = batch("--lanes=together", *line, status=USAGE)
    assert "the ledger was begun with --lanes=separate, and otherwise what has ended would run again" in refused.err
    assert refused.sent == []


def test_a_ledger_from_before_keeps_lanes_apart(batch, server):
    sheet_of_lanes(batch)
    line = ["--map=fastq_1=table"]
    batch("--lanes=separate", *line)
    as_of_old(f"{batch.path}.ledger")
    assert ledger_reader.read_lanes(f"{batch.path}.ledger") == "" and batch(*line).sent == []
    assert "--lanes=separate" in batch("--together=_L[0-9]+", *line, status=USAGE).err


# -------------------------------------------------------------------------------------------------- a watched folder

@pytest.fixture
def visit(server, script, tmp_path, capsys):
    """`visit()`: a visit of folder_watch.py to the runs in the folder `in`, again until none is under way."""
    def call(*options):
        told = []
        while True:
            status = script(folder_watch.main, "-q", "--once", "--unit=run", "--settle=0", f"--ledger={tmp_path}/book",
                            *options, KEY, server.url, tmp_path / "in", WORKFLOW)
            told.append(capsys.readouterr().err)
            if status != 4:
                return status, "".join(told)
    return call


def test_a_runs_lanes_are_one_file_and_what_cant_be_used_is_told_once(server, visit, tmp_path):
    run = tmp_path / "in" / "run1"
    put(run, *NAMES, "B_S2_L001_R1_001.fastq.gz", "B_S2_L002_R1_001.fastq.gz", "B_S2_L001_R2_001.fastq.gz")
    (run / "link.fastq.gz").symlink_to("/nowhere")
    status, told = visit()
    assert status == SOME_FAILED and "run1/B_S2: " in told and "have files of different lanes, so it was left out" in told
    assert f"{run}/link.fastq.gz: a link that leads nowhere, left alone" in told
    assert contents(server) == {f"A_S1_R{read}_001.fastq.gz": whole(read) for read in (1, 2)}
    assert visit() == visit() == (DONE, "")
    assert {one["name"]: one["state"] for one in ledger_reader.read_samples(tmp_path / "book")} == {
        "run1": "ok", "run1/B_S2": "failed"}


def test_a_ledger_without_samples_keeps_no_lanes(server, visit, tmp_path):
    (tmp_path / "in").mkdir()
    assert visit("--lanes=separate") == (DONE, "")
    put(tmp_path / "in" / "run1", *NAMES)
    assert visit("--lanes=together") == visit() == (DONE, "") and len(contents(server)) == 2
    assert ledger_reader.read_lanes(tmp_path / "book") == "together"


def test_a_damaged_sheet_fails_its_run_which_runs_when_it_is_mended(server, visit, tmp_path):
    run = tmp_path / "in" / "run1"
    put(run, *NAMES)
    (run / "SampleSheet.csv").write_text('[Data]\nSample_ID,index\n"A,ACGT\n')
    status, told = visit()
    assert status != DONE and f"{run}/SampleSheet.csv: " in told and contents(server) == {}
    assert visit() == (DONE, "")
    (run / "SampleSheet.csv").write_text("[Data]\nSample_ID,index\nA,ACGT\n")
    assert visit() == (DONE, "") and len(contents(server)) == 2
    assert [one["state"] for one in ledger_reader.read_samples(tmp_path / "book")] == ["superseded", "ok"]


def test_a_dry_run_counts_what_would_be_sent(server, script, tmp_path, capsys):
    put(tmp_path / "in" / "run1", *NAMES, "B_S2_L001_R1_001.fastq.gz")
    assert script(folder_watch.main, "-n", "-q", "--unit=run", "--format=json", KEY, server.url, tmp_path / "in", WORKFLOW
                  ) == DONE
    out, err = capsys.readouterr()
    [unit] = json.loads(out)
    assert (unit["files"], unit["bytes"]) == (4, len(whole(1) + whole(2))) and "run1/B_S2" in err


def test_a_run_that_a_ledger_from_before_has_done_is_not_run_again(server, visit, tmp_path):
    put(tmp_path / "in" / "run1", *NAMES)
    assert visit("--lanes=separate") == (DONE, "") and len(contents(server)) == 4
    as_of_old(tmp_path / "book")
    assert visit() == (DONE, "") and len(contents(server)) == 4
    assert visit("--lanes=together")[0] == USAGE
