"""Lanes put together on their way to a real Galaxy, which is then asked for the bytes that it has: a NovaSeq's folder, by a
watcher and by its sample sheet; nf-core's sheets."""
import gzip
import hashlib
import random
import signal
import subprocess

import pytest
import requests

from galaxy_api_scripts.batch import ledger_reader

from .conftest import WORKFLOWS
from .processes import begun, kill, until

SHEET = "[Header]\nFileFormatVersion,2\n\n[BCLConvert_Data]\nSample_ID,index\n"


@pytest.fixture
def novaseq(tmp_path):
    """`novaseq(samples, lanes, reads)`: a run's folder as a NovaSeq X writes it, with its sheet, and what each pair's files
    have to be, `{sample: [forward, reverse]}`. An older analysis, index reads and reads of no barcode lie there too."""
    def write(count, lanes, reads):
        run, noise = tmp_path / "runs" / "260301_A", random.Random(5)
        names = [f"S{number}" for number in range(1, count + 1)]
        whole = {name: [b"", b""] for name in names}
        for analysis in (1, 2):
            folder = run / "Analysis" / str(analysis) / "Data" / "fastq"
            folder.mkdir(parents=True)
            for number, name in enumerate([*names, "Undetermined"], 1):
                for lane in range(1, lanes + 1):
                    for mate in ("R1", "R2", "I1"):
                        here = f"@{name}:{lane}:{mate}:{analysis}"
                        part = gzip.compress("".join(f"{here}:{read}\n{noise.choice('ACGT') * 20}\n+\n{'F' * 20}\n"
                                                     for read in range(reads)).encode())
                        path = folder / f"{name}_S{number if name in whole else 0}_L00{lane}_{mate}_001.fastq.gz"
                        path.write_bytes(part)
                        if name in whole and mate in ("R1", "R2") and analysis == 2:
                            whole[name][mate == "R2"] += part
            (run / "Analysis" / str(analysis) / "CopyComplete.txt").touch()
        (run / "SampleSheet.csv").write_text(SHEET + "".join(f"{name},ACGT\n" for name in names))
        return run, whole
    return write


def content(person, dataset):
    """The bytes that Galaxy has of a dataset, and whether it has their SHA-256."""
    answer = requests.get(f"{person.url}/api/datasets/{dataset}/display", headers={"x-api-key": person.key}, timeout=60,
                          params={"to_ext": "fastqsanger.gz"})
    hashes = {made["hash_function"]: made["hash_value"] for made in person.look(f"datasets/{dataset}").get("hashes") or []}
    assert answer.ok and hashes.get("SHA-256", hashlib.sha256(answer.content).hexdigest()) == hashlib.sha256(
        answer.content).hexdigest()
    return answer.content


def pairs_of(person, invocation):
    """`{sample: [bytes of the forward reads, of the reverse ones]}` of a run's input; "" is the sample of one pair."""
    [given] = person.look(f"invocations/{invocation}")["inputs"].values()
    about = person.look(f"dataset_collections/{given['id']}")
    outer = [("", about)] if about["collection_type"] == "paired" else [
        (element["element_identifier"], element["object"]) for element in about["elements"]]
    assert all([mate["element_identifier"] for mate in pair["elements"]] == ["forward", "reverse"] for _, pair in outer)
    return {name: [content(person, mate["object"]["id"]) for mate in pair["elements"]] for name, pair in outer}


def killed(person, line, instants, times, longest, state):
    """Begin a script that often, and kill it at a random instant each time; how often it had not ended before."""
    kills = 0
    for _ in range(times):
        process = begun(person, *line, **state)
        try:
            process.wait(timeout=instants.uniform(0.5, longest))
        except subprocess.TimeoutExpired:
            kills += kill(process)
    return kills


def uploads(person, history):
    """The names of what was uploaded to a history, in its order."""
    return [one["name"].rsplit("/", 1)[-1] for one in person.look(
        f"histories/{history}/contents", v="dev", keys="name,deleted,visible,creating_job")
        if one["history_content_type"] == "dataset" and not one["deleted"] and "_S" in one["name"]]


def by_watcher(person, run, whole, tmp_path, state, instants, times, longest):
    book = tmp_path / "book.ledger"
    line = ["folder_watch.py", "--unit=run", "--pause=1", f"--ledger={book}", person.key, person.url, run.parent,
            WORKFLOWS / "pairs.gxwf.yml"]
    kills = killed(person, line, instants, times, longest, state)
    watcher = begun(person, *line, stderr=subprocess.PIPE, **state)
    until(lambda: book.exists() and [one["state"] for one in ledger_reader.read_samples(book)] == ["ok"])
    watcher.send_signal(signal.SIGTERM)
    watcher.communicate(timeout=60)
    [unit] = ledger_reader.read_samples(book)
    runs = [one for one in person.look("invocations", history_id=unit["history"]) if one["state"] not in (
        "cancelled", "cancelling")]
    assert [one["id"] for one in runs] == [unit["invocation"]]
    assert pairs_of(person, unit["invocation"]) == whole
    assert sorted(uploads(person, unit["history"])) == sorted(
        f"{name}_S{number}_{read}_001.fastq.gz" for number, name in enumerate(whole, 1) for read in ("R1", "R2"))
    again = person.run(line[0], "--once", *line[1:], **state)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    other = person.run(line[0], "--once", "--lanes=separate", *line[1:], **state)
    assert other.returncode == 2 and "the ledger was begun with --lanes=together" in other.stderr
    return kills


def by_sheet(person, run, whole, state, instants, times, longest, flow="one_pair"):
    sheet = run / "SampleSheet.csv"
    book = run.parent / "sheet.ledger"
    line = ["workflow_batch.py", "-q", f"--ledger={book}", person.key, person.url, WORKFLOWS / f"{flow}.gxwf.yml", sheet]
    kills = killed(person, line, instants, times, longest, state)
    ended = person.run(*line, **state)
    assert (ended.returncode, ended.stderr) == (0, "")
    units = {one["name"]: one for one in ledger_reader.read_samples(book)}
    assert {name: unit["state"] for name, unit in units.items()} == dict.fromkeys(whole, "ok")
    for name, unit in units.items():
        assert len([one for one in person.look("invocations", history_id=unit["history"]) if one["state"] not in (
            "cancelled", "cancelling")]) == 1, name
        assert list(pairs_of(person, unit["invocation"]).values()) == [whole[name]]
    return kills


def test_a_novaseqs_run_by_a_watcher_and_by_its_sheet(person, novaseq, tmp_path, state, instants):
    run, whole = novaseq(2, 2, 50)
    assert [gzip.decompress(whole["S1"][0]).count(f"@S1:{lane}:R1:2:".encode()) for lane in (1, 2)] == [50, 50]
    by_watcher(person, run, whole, tmp_path, state, instants, 2, 4)
    by_sheet(person, run, whole, state, instants, 1, 4)


@pytest.mark.soak
def test_a_novaseqs_run_of_four_lanes_and_eight_samples_killed_ten_times(person, novaseq, tmp_path, state, instants):
    run, whole = novaseq(8, 4, 20_000)
    assert by_watcher(person, run, whole, tmp_path, state, instants, 10, 12) == 10      # it never ends by itself
    assert by_sheet(person, run, whole, state, instants, 10, 12) > 0        # others may come after its end


NFCORE = {      # as the documentation of each has its columns; sarek's lanes are not in order
    "rnaseq": "sample,fastq_1,fastq_2,strandedness\nS1,{0}/a_1.fastq.gz,{0}/a_2.fastq.gz,auto\n"
              "S1,{0}/b_1.fastq.gz,{0}/b_2.fastq.gz,auto\n",
    "sarek": "patient,sex,status,sample,lane,fastq_1,fastq_2\nP1,XX,0,S1,L2,{0}/b_1.fastq.gz,{0}/b_2.fastq.gz\n"
             "P1,XX,0,S1,L1,{0}/a_1.fastq.gz,{0}/a_2.fastq.gz\n",
    "fetchngs": '"sample","fastq_1","fastq_2","run_accession","experiment_accession","sample_accession","library_layout",'
                '"instrument_platform","base_count","fastq_md5","sample_title"\n'
                '"S1","{0}/a_1.fastq.gz","{0}/a_2.fastq.gz","SRR1","SRX1","SRS1","PAIRED","ILLUMINA","8","x;y","one"\n'
                '"S1","{0}/b_1.fastq.gz","{0}/b_2.fastq.gz","SRR2","SRX1","SRS1","PAIRED","ILLUMINA","8","z;w","one"\n'}


@pytest.mark.parametrize("kind", NFCORE)
def test_nf_cores_sheets_run_with_each_sample_as_one_pair(person, tmp_path, state, kind):
    parts = {name: gzip.compress(f"@{name}\nACGT\n+\nFFFF\n".encode()) for name in ("a_1", "a_2", "b_1", "b_2")}
    for name, part in parts.items():
        (tmp_path / f"{name}.fastq.gz").write_bytes(part)
    sheet = tmp_path / f"{kind}.csv"
    sheet.write_text(NFCORE[kind].format(tmp_path))
    ended = person.run("workflow_batch.py", "-q", person.key, person.url, WORKFLOWS / "one_pair.gxwf.yml", sheet, **state)
    assert (ended.returncode, ended.stderr) == (0, "")
    [unit] = ledger_reader.read_samples(f"{sheet}.ledger")
    assert pairs_of(person, unit["invocation"]) == {"": [parts["a_1"] + parts["b_1"], parts["a_2"] + parts["b_2"]]}
