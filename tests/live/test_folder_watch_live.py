"""folder_watch.py on folders that are written to meanwhile, against a real Galaxy, which is then asked what it holds."""
import gzip
import json
import signal
import subprocess
import time
from types import SimpleNamespace

import pytest
from fakes.roads import LosingRoad

from galaxy_api_scripts.batch import ledger_reader

from .conftest import WORKFLOWS
from .processes import begun, kill, until

SAMPLES = ("S1_S1", "S2_S2")
READS = {f"{sample}_L001_R{mate}_001.fastq.gz": f"@{sample} {mate}\nACGT\n+\nFFFF\n" for sample in SAMPLES
         for mate in (1, 2)}


@pytest.fixture
def watched(person, tmp_path, state):
    """A watched folder `inbox`, and what there is to ask of it; `line(...)` is a watcher's command line."""
    inbox, book = tmp_path / "in", tmp_path / "book.ledger"
    inbox.mkdir()

    def line(*options, url=person.url, flow="sums"):
        return ["folder_watch.py", f"--ledger={book}", f"--move-to={tmp_path}/done", f"--download={tmp_path}/out",
                "--pause=1", *options, person.key, url, inbox, WORKFLOWS / f"{flow}.gxwf.yml"]

    def units(*states):
        return [(one["name"], one["state"]) for one in ledger_reader.read_samples(book, states)] if book.exists() else []

    def runs():
        """The names of the units whose histories have a run that was not cancelled, once for each run."""
        names = {one["history"]: one["name"] for one in ledger_reader.read_samples(book) if one["history"]}
        return sorted(names[history] for history in names for run in person.look("invocations", history_id=history)
                      if run["state"] not in ("cancelled", "cancelling"))

    def drop(name, text):
        (inbox / name).write_text(text)
        return inbox / name
    return SimpleNamespace(inbox=inbox, book=book, line=line, units=units, runs=runs, drop=drop, folder=tmp_path,
                           state=state)


def ended(watcher):
    """What a watcher prints on standard error until it has ended, told to by SIGTERM."""
    watcher.send_signal(signal.SIGTERM)
    _, said = watcher.communicate(timeout=60)
    assert watcher.returncode == 128 + signal.SIGTERM, said
    return said


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
                  and path.name != "manifest.tsv")


def test_a_folder_that_files_are_dropped_into(person, watched):
    """Three files: one is still written to, one makes the workflow fail. Later another comes under a name that was used."""
    told = watched.folder / "told"
    options = [f'--on-done=echo "ok $UNIT_NAME $UNIT_RESULTS" >> {told}',
               f'--on-fail=echo "failed $UNIT_NAME $UNIT_HISTORY $UNIT_MESSAGE" >> {told}; exit 1']
    watched.drop("good.tsv", "x\t1\nx\t2\n")
    watched.drop("bad.tsv", "x\tword\n")
    watcher = begun(person, *watched.line("--settle=5", *options), stderr=subprocess.PIPE, **watched.state)
    with open(watched.inbox / "grows.tsv", "w") as file:
        for _ in range(8):
            print("x", 1, sep="\t", file=file, flush=True)
            time.sleep(0.5)     # it is this that the watcher is to see
            assert "grows" not in dict(watched.units())
    until(lambda: len(watched.units("ok", "failed")) == 3)
    said = ended(watcher)
    assert watched.units() == [("bad", "failed"), ("good", "ok"), ("grows", "ok")]
    assert said.count("\n") == 2 and "bad: invocation" in said and "the command for it ended with 1" in said
    assert watched.runs() == ["bad", "good", "grows"]
    assert names(watched.inbox) == ["bad.tsv"] and names(watched.folder / "done") == ["good.tsv", "grows.tsv"]
    assert {name: (watched.folder / "out" / name / "sums.tabular").read_text() for name in ("good", "grows")} == {
        "good": "x\t3\n", "grows": "x\t8\n"}
    history, = [one["history"] for one in ledger_reader.read_samples(watched.book, ["failed"])]
    lines = told.read_text().splitlines()
    assert len(lines) == 3 and f"ok good {watched.folder}/out/good" in lines
    assert [line for line in lines if line.startswith(f"failed bad {history} invocation ")]

    again = person.run(*watched.line(*options, "--once", "--settle=0"), **watched.state)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    watched.drop("good.tsv", "x\t40\nx\t2\n")
    # A visit begins the run, and a later one fetches what it made.
    once = watched.line(*options, "--once", "--settle=0")
    while (visit := person.run(*once, **watched.state)).returncode == 4:
        assert (visit.stdout, visit.stderr) == ("", "")
    assert visit.returncode == 0 and visit.stdout.count("\n") == 2
    assert watched.runs() == ["bad", "good", "good", "grows"] and names(watched.inbox) == ["bad.tsv"]
    assert names(watched.folder / "done") == ["good.tsv", "good.tsv.2", "grows.tsv"]
    assert (watched.folder / "out" / "good.2" / "sums.tabular").read_text() == "x\t42\n"
    assert (watched.folder / "out" / "good" / "sums.tabular").read_text() == "x\t3\n"


def sequenced(inbox, name, mark=True, below="Alignment_1/Fastq"):
    """A run's folder, written as sequencers do."""
    folder = inbox / name / below
    folder.mkdir(parents=True)
    for file, text in READS.items():
        (folder / file).write_bytes(gzip.compress(f"{text.replace('@', f'@{name} ')}".encode()))
    for file in ("Undetermined_S0_L001_R1_001.fastq.gz", "S1_S1_L001_I1_001.fastq.gz"):
        (folder / file).write_bytes(gzip.compress(b"@no\nA\n+\nF\n"))
    (inbox / name / "RTAComplete.txt").touch()
    if mark:
        (inbox / name / "CopyComplete.txt").touch()
    return inbox / name


def delivered(person, watched, name):
    """Check that a run had one invocation, of its samples' pairs, and that its results are here."""
    [unit] = ledger_reader.read_samples(watched.book, name=name)
    assert unit["state"] == "ok" and watched.runs().count(name) == 1
    about = person.look(f"invocations/{unit['invocation']}")
    given = person.look(f"dataset_collections/{about['inputs']['0']['id']}")
    assert given["collection_type"] == "list:paired" and [
        (one["element_identifier"], [mate["element_identifier"] for mate in one["object"]["elements"]])
        for one in given["elements"]] == [(sample, ["forward", "reverse"]) for sample in SAMPLES]
    there = person.look(f"histories/{unit['history']}/contents", v="dev", keys="name,deleted")
    uploads = [one["name"].split("/")[-1] for one in there if not one["deleted"]]
    assert [uploads.count(file.replace("_L001", "")) for file in READS] == [1, 1, 1, 1]      # all the lanes that there are
    out = watched.folder / "out" / name
    assert names(out) == [f"copied/{sample}/{mate}.fastqsanger.gz" for sample in SAMPLES
                          for mate in ("forward", "reverse")]
    assert gzip.decompress((out / "copied" / "S2_S2" / "reverse.fastqsanger.gz").read_bytes()).decode() == \
        f"@{name} S2_S2 2\nACGT\n+\nFFFF\n"
    assert not (watched.inbox / name).exists() and (watched.folder / "done" / name / "CopyComplete.txt").exists()


def test_a_sequencers_run_from_its_mark_to_its_results_whoever_is_killed(person, watched, instants):
    """Started again and again, each time killed, while one answer of Galaxy's is lost; and two at the same moment."""
    folder = sequenced(watched.inbox, "260301_A", mark=False)
    road = LosingRoad(person.url)
    line = watched.line("--unit=run", url=road.url, flow="pairs")
    assert person.run(*line[:1], "--once", *line[1:], **watched.state).returncode == 0 and watched.units() == []
    (folder / "CopyComplete.txt").touch()
    for instant in [instants.uniform(0.5, 2.5) for _ in range(5)]:
        watcher = begun(person, *line, **watched.state)
        try:
            watcher.wait(timeout=instant)
            raise AssertionError("it ended")
        except subprocess.TimeoutExpired:
            kill(watcher)
    both = [begun(person, *line, stderr=subprocess.PIPE, **watched.state) for _ in range(2)]
    until(lambda: any(one.poll() is not None for one in both))
    second, first = sorted(both, key=lambda one: one.poll() is None)
    said = second.communicate()[1]
    assert (second.returncode, said.count("\n")) == (75, 1) and "book.ledger: " in said and "is at work on it" in said
    third = person.run(*line, **watched.state)
    assert third.returncode == 75 and f"book.ledger: run {first.pid} (since " in third.stderr
    until(lambda: watched.units("ok"))
    sequenced(watched.inbox, "260302_A")
    until(lambda: len(watched.units("ok")) == 2)
    assert ended(first) == ""
    road.close()
    for name in ("260301_A", "260302_A"):
        delivered(person, watched, name)
    shown = person.run("ledger_show.py", "--counts", "--format=json", watched.book)
    assert json.loads(shown.stdout) == [{"state": "ok", "number": 2}]
