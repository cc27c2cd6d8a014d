"""Moving data against a real Galaxy: whatever happens on the way, each file is there once, whole; then Galaxy is asked."""
import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from fakes.roads import SlowRoad

from common import Galaxy
from galaxy_api_scripts.polling import wait_datasets

from .conftest import ROOT, Digest, local
from .processes import begun, kill, killed_again_and_again, until

MIB = 2**20


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(MIB), b""):
            digest.update(block)
    return digest.hexdigest()


def held(person, history):
    """The history's datasets as Galaxy has them."""
    return [one for one in person.look(f"histories/{history}/contents", v="dev", keys="file_size,hashes,state,extension")
            if one["history_content_type"] == "dataset" and not one["deleted"]]


def arrived(person, history, paths):
    """Whether the history has each file once, by its name, with its size and hash, and nothing else."""
    there = held(person, history)
    assert sorted(one["name"] for one in there) == sorted(paths)
    for one in there:
        path = paths[one["name"]]
        assert (one["state"], one["file_size"]) == ("ok", os.path.getsize(path))
        assert Digest(Path(path).read_bytes()) in [made["hash_value"] for made in one["hashes"]]
    return True


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "reads.fastq"
    with open(path, "wb") as file:
        for _ in range(256):
            file.write(os.urandom(MIB))
    return path


# ------------------------------------------------------------------------------------------------------------------- up

ODD = ["a b.txt", "it's \"quoted\".txt", "line\nbreak.txt", "Größe 基因 🧬.txt", "dots..txt", "-n.txt", "n" * 251 + ".txt",
       "é" * 125 + ".txt", "tab\tend.txt", "semi;colon&more=$HOME.txt", "back\\slash.txt", "%20.txt"]


def test_odd_names_and_empty_files_there_and_back(person, tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    paths = {}
    for number, name in enumerate([*ODD, "sub/inside.txt", "empty.txt"]):
        (folder / name).write_text("" if name == "empty.txt" else f"file {number}\n")
        paths[name] = folder / name
    (folder / ".hidden").write_text("x")
    history = person.new_history("odd names")
    ended = person.run("dataset_upload.py", "--recursive", "--wait", "--format=value", "--fields=name,state", person.key,
                       person.url, history, folder)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(person, history, paths)

    to = tmp_path / "back"
    ended = person.run("dataset_download.py", f"--to={to}", "--verify", person.key, person.url, f"history:{history}")
    assert (ended.returncode, ended.stderr) == (0, "")
    with open(to / "manifest.tsv", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert set(rows) == set(paths)
    for name, path in paths.items():
        got = to / rows[name]["path"]
        assert got.read_bytes() == path.read_bytes() and got.resolve().is_relative_to(to)
        assert (int(rows[name]["size"]), rows[name]["hash"].partition(":")[2]) == (
            path.stat().st_size, Digest(path.read_bytes()))
    assert not list(to.rglob("*.part"))


def test_what_is_there_is_left_out(person, tmp_path):
    for name in ("a.bed", "b.bed"):
        (tmp_path / name).write_text("chr1\t1\t2\n")
    history = person.new_history("skip existing")
    line = ["dataset_upload.py", "--skip-existing", "--wait", "--format=value", "--fields=name", person.key, person.url,
            history]
    assert person.run(*line, tmp_path / "a.bed").stdout == "a.bed\n"
    ended = person.run(*line, tmp_path / "a.bed", tmp_path / "b.bed")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "b.bed\n", "")
    assert sorted((one["name"], one["extension"]) for one in held(person, history)) == [("a.bed", "bed"), ("b.bed", "bed")]


def test_an_address_that_leads_nowhere_among_others(person, tmp_path):
    (tmp_path / "a.txt").write_text("a\n")
    history = person.new_history("some of many")
    ended = person.run("dataset_upload.py", "--wait", "--format=value", "--fields=name", person.key, person.url, history,
                       tmp_path / "a.txt", "http://127.0.0.1:9/nothing.txt", f"{person.url}/api/version")
    assert ended.returncode == 3 and sorted(ended.stdout.split()) == ["a.txt", "version"]
    assert ended.stderr.count("\n") == 1 and "http://127.0.0.1:9/nothing.txt" in ended.stderr


def test_standard_input_and_a_new_history(person):
    ended = person.run("dataset_upload.py", "--wait", "--name=x.bed", "--tag=name:one", "--dbkey=hg38", "--format=json",
                       person.key, person.url, "new:From standard input", "-", stdin="chr1\t1\t2\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    [row] = json.loads(ended.stdout)
    made = person.look(f"datasets/{row['id']}")
    assert (made["name"], made["extension"], made["genome_build"], made["tags"], made["file_size"]) == (
        "x.bed", "bed", "hg38", ["name:one"], 9)
    assert person.look(f"histories/{row['history_id']}")["name"] == "From standard input"


def test_a_checksum_that_does_not_match_sends_nothing(person, tmp_path):
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "md5sums.txt").write_text(f"{'0' * 32}  a.txt\n")
    history = person.new_history("checksums")
    ended = person.run("dataset_upload.py", person.key, person.url, history, tmp_path / "a.txt")
    assert (ended.returncode, ended.stdout) == (1, "") and "its MD5 is" in ended.stderr
    assert held(person, history) == []


def test_bytes_that_changed_on_the_way_end_in_error(person, tmp_path, monkeypatch):
    """What Galaxy does with the hash that we send."""
    from galaxy_api_scripts.datasets import hashing, tus, upload
    file = tmp_path / "a.txt"
    file.write_text("abc")
    history = person.new_history("wrong hash")
    galaxy = Galaxy(person.key, person.url)
    monkeypatch.setattr(hashing.StreamHash, "hexdigest", lambda digest, number=0: hashlib.sha256(b"other").hexdigest())
    element, session = tus.upload_file(galaxy, str(file))
    session.path = __file__     # of which the MD5 is taken for an old server
    targets = [{"destination": {"type": "hdas"}, "elements": [{**element, "ext": "txt"}]}]
    dataset = upload.post_fetch(galaxy, history, targets, [session])["outputs"][0]["id"]
    assert wait_datasets(galaxy, history, [dataset], timeout=120) == {dataset: "error"}


def test_killed_at_ten_instants_of_an_upload(person, large, state, instants):
    """kill -9, and the same line again: one dataset, its hash the file's."""
    road = SlowRoad(person.url, 30 * MIB)
    history = person.new_history("killed uploads")
    line = ["dataset_upload.py", "--wait", "-q", person.key, road.url, history, large]
    assert killed_again_and_again(person, line, instants, 10, 1.5, **state) == 10
    road.close()
    assert arrived(person, history, {large.name: large})
    assert os.listdir(f"{state['XDG_STATE_HOME']}/galaxy-api-scripts/transfers") == []


def test_killed_when_galaxy_is_asked_for_the_datasets(person, tmp_path, state, instants):
    """The same for small files, where most of the time goes by around that request."""
    paths = {}
    for number in range(30):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"{number}\n")
        paths[path.name] = path
    history = person.new_history("killed small uploads")
    line = ["dataset_upload.py", "--wait", "-q", person.key, person.url, history, *paths.values()]
    assert killed_again_and_again(person, line, instants, 10, 1.5, **state) > 0
    assert arrived(person, history, paths)


def test_killed_while_several_files_are_on_their_way(person, tmp_path, state, instants):
    """Larger ones, whose sessions are resumed, among small ones; the history has them in their order."""
    road = SlowRoad(person.url, 10 * MIB)
    paths = {}
    for number in range(40):
        path = tmp_path / f"{number:02}.txt"
        path.write_bytes(os.urandom(2**20 if number % 4 else 3 * 2**19).hex().encode() if number % 2 else b"%d\n" % number)
        paths[path.name] = path
    history = person.new_history("killed side by side")
    line = ["dataset_upload.py", "--wait", "-q", "--transfers=8", person.key, road.url, history, *paths.values()]
    assert killed_again_and_again(person, line, instants, 8, 4, **state) > 0
    road.close()
    assert arrived(person, history, paths)
    assert [one["name"] for one in sorted(held(person, history), key=lambda one: one["hid"])] == sorted(paths)
    assert os.listdir(f"{state['XDG_STATE_HOME']}/galaxy-api-scripts/transfers") == []


def test_a_link_that_is_cut_again_and_again(person, large, state, instants):
    road = SlowRoad(person.url, 40 * MIB)
    history = person.new_history("cuts")
    process = begun(person, "dataset_upload.py", "--wait", "-q", person.key, road.url, history, large, **state)
    for _ in range(5):
        time.sleep(instants.uniform(0.3, 1.5))
        road.cut()
    assert process.wait(timeout=300) == 0
    road.close()
    assert arrived(person, history, {large.name: large})


def uploading(galaxy):
    """What the second Galaxy has got of uploads: `{path: bytes}`."""
    found = {}
    for path in (galaxy.home / "data" / "tmp").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.stat().st_size
    return found


def test_galaxy_is_stopped_and_started_in_the_middle_of_an_upload_and_of_a_run(prefixed, large, tmp_path, state):
    """On the second Galaxy, so that the others' goes on."""
    from .conftest import Person
    person, home = Person(prefixed), f"--home={prefixed.home}"
    road = SlowRoad(person.url, 20 * MIB)
    history, other = person.new_history("restart"), person.new_history("a run over a restart")
    before = uploading(prefixed)
    process = begun(person, "dataset_upload.py", "--wait", "-q", person.key, road.url, history, large, **state)
    until(lambda: any(size > 20 * MIB for path, size in uploading(prefixed).items() if path not in before))
    (tmp_path / "table.tsv").write_text("a\t1\n")
    run = begun(person, "workflow_run.py", f"--history={other}", f"--record={tmp_path}/run.json", person.key, person.url,
                ROOT / "tests" / "live" / "workflows" / "parameters.gxwf.yml", f"table={tmp_path}/table.tsv", "lines=1",
                **state)
    until(lambda: person.look("invocations", history_id=other))
    assert process.poll() is None and run.poll() is None
    assert local("stop", home).returncode == 0
    road.cut()
    started = local("start", home)
    assert started.returncode == 0, started.stderr
    assert process.wait(timeout=600) == 0
    road.close()
    assert arrived(person, history, {large.name: large})

    ended = run.wait(timeout=600)
    [made] = person.look("invocations", history_id=other)
    assert json.loads((tmp_path / "run.json").read_text())["invocation"] == made["id"]
    # What ran when it was stopped may have been killed with it: the run tells.
    states = person.look(f"invocations/{made['id']}/jobs_summary")["states"]
    assert ended == (0 if set(states) <= {"ok", "skipped"} else 1)


# ----------------------------------------------------------------------------------------------------------------- down

def in_galaxy(person, path):
    """The id of the dataset that a file has become in a new history."""
    return person.value("dataset_upload.py", "--wait", "--format=value", "--fields=id", "--ext=txt", person.key, person.url,
                        f"new:{path.name}", path)


@pytest.fixture(scope="module")
def dataset(person, large):
    """The id of the large file in Galaxy."""
    return in_galaxy(person, large)


def test_a_download_of_what_galaxy_would_pack(person, tmp_path):
    file = tmp_path / "report.html"
    file.write_text("<html><body>MultiQC</body></html>\n")
    dataset = person.uploaded(person.new_history("html"), file, file_type="html")
    ended = person.run("dataset_download.py", f"--to={tmp_path}/d", person.key, person.url, dataset)
    assert ended.stdout == f"{tmp_path}/d/report.html\n"
    assert (tmp_path / "d" / "report.html").read_bytes() == file.read_bytes()


def test_a_download_of_some(person, weather, tmp_path):
    ended = person.run("dataset_download.py", f"--to={tmp_path}/d", person.key, person.url, "f" * 16, weather.dataset)
    assert ended.returncode == 3 and ended.stderr.count("\n") == 1
    assert (tmp_path / "d" / "seattle_2015.tsv").read_bytes() == (ROOT / "demo" / "seattle_2015.tsv").read_bytes()


def test_killed_at_ten_instants_of_a_download(person, large, dataset, tmp_path, state, instants):
    road, to = SlowRoad(person.url, 25 * MIB), tmp_path / "to"
    line = ["dataset_download.py", f"--to={to}", person.key, road.url, dataset]
    assert killed_again_and_again(person, line, instants, 10, 1.2, records=False, **state) == 10
    road.close()
    assert sorted(os.listdir(to)) == ["manifest.tsv", "reads.fastq.txt"]
    assert sha256(to / "reads.fastq.txt") == sha256(large)


def test_a_dataset_that_was_replaced_between_two_runs_is_fetched_anew(person, admin, tmp_path, state, instants):
    """Galaxy never changes a dataset's bytes; a file that a library links to may be changed by others, as here."""
    first, second = os.urandom(64 * MIB), os.urandom(64 * MIB)
    (tmp_path / "a.txt").write_bytes(first)
    changing = in_galaxy(person, tmp_path / "a.txt")
    road, to = SlowRoad(person.url, 20 * MIB), tmp_path / "to"
    line = ["dataset_download.py", f"--to={to}", person.key, road.url, changing]
    process = begun(person, *line, **state)
    until(lambda: any(part.stat().st_size > MIB for part in to.glob(".*.part")))
    kill(process)
    path = admin.look(f"datasets/{changing}")["file_name"]
    with open(path, "r+b") as file:
        file.write(second)
    ended = person.run(*line, **state)
    assert ended.returncode == 1 and "other bytes came than Galaxy has hashed" in ended.stderr
    assert person.run(*line, "--no-verify", **state).returncode == 0
    road.close()
    assert (to / "a.txt").read_bytes() == second
    assert sorted(os.listdir(to)) == ["a.txt", "manifest.tsv"]


def test_no_space_left(person, dataset, tmp_path, state):
    """A disk of 8 MiB: a clear line, nothing half-written, and the small file beside the large one is there.

    The disk is seen by the script's process only, and goes with it, whoever is killed.
    """
    small = tmp_path / "small"
    small.mkdir()
    alone = ["unshare", "--mount", "sh", "-c",
             'mount -t tmpfs -o size=8m none "$0" && { "$@"; code=$?; ls -A "$0"; exit $code; }', str(small)]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    (tmp_path / "b.txt").write_text("b\n")
    call = person._call(["dataset_download.py", f"--to={small}", "--parallel=1", person.key, person.url, dataset,
                         in_galaxy(person, tmp_path / "b.txt")], state)
    ended = subprocess.run(**{**call, "args": [*alone, *call["args"]]}, capture_output=True, timeout=600)
    assert (ended.returncode, ended.stdout) == (3, f"{small}/b.txt\nb.txt\nmanifest.tsv\n")
    assert ended.stderr.count("\n") == 1 and "No space left on device" in ended.stderr


def test_a_collection_there_and_back(person, tmp_path):
    for name in ("s1_R1.fastq", "s1_R2.fastq", "s/2_R1.fastq".replace("/", "_"), "s_2_R2.fastq"):
        (tmp_path / name).write_text(f"@{name}\nACGT\n+\nIIII\n")
    history = person.new_history("collection")
    made = person.value("collection_create.py", "--type=list:paired", "--wait", "--format=value", "--fields=id", person.key,
                        person.url, history, "my reads", *tmp_path.glob("*.fastq"))
    to = tmp_path / "to"
    ended = person.run("dataset_download.py", f"--to={to}", "--verify", person.key, person.url, f"hdca:{made}")
    assert (ended.returncode, ended.stderr) == (0, "")
    there = {str(path.relative_to(to)): path.read_text() for path in to.rglob("*") if path.is_file()}
    assert there.pop("manifest.tsv")
    assert there == {f"my reads/{sample}/{way}.fastqsanger": f"@{sample}_{mate}.fastq\nACGT\n+\nIIII\n"
                     for sample in ("s1", "s_2") for way, mate in (("forward", "R1"), ("reverse", "R2"))}
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*.fastqsanger")}
    missing = to / "my reads" / "s1" / "forward.fastqsanger"
    missing.unlink()
    assert person.run("dataset_download.py", f"--to={to}", person.key, person.url, f"hdca:{made}").returncode == 0
    assert missing.exists() and all(path.stat().st_mtime_ns == before[path] for path in before if path != missing)


def test_a_collection_killed_again_and_again_is_made_once(person, tmp_path, state, instants):
    for number in range(20):
        (tmp_path / f"s{number}.bed").write_text(f"chr1\t1\t{number + 2}\n")
    history = person.new_history("killed collection")
    line = ["collection_create.py", "--wait", person.key, person.url, history, "beds", *tmp_path.glob("*.bed")]
    assert killed_again_and_again(person, line, instants, 10, 1.5, **state) > 0
    [made] = [one for one in person.look(f"histories/{history}/contents", v="dev")
              if one["history_content_type"] == "dataset_collection"]
    elements = person.look(f"dataset_collections/{made['id']}")["elements"]
    assert sorted(one["element_identifier"] for one in elements) == sorted(f"s{number}" for number in range(20))
    assert {one["object"]["state"] for one in elements} == {"ok"} and len(held(person, history)) == 20


def test_interrupted_by_hand(person, dataset, tmp_path, state):
    """Ctrl-C ends it at once, with one line, and the next run goes on."""
    road, to = SlowRoad(person.url, 20 * MIB), tmp_path / "to"
    line = ["dataset_download.py", f"--to={to}", person.key, road.url, dataset]
    process = begun(person, *line, stderr=subprocess.PIPE, **state)
    until(lambda: any(part.stat().st_size > MIB for part in to.glob(".*.part")))
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and re.fullmatch(rf"\S+Z dataset_download\.py: {to}: interrupted\n", told)
    road.close()
    assert person.run("dataset_download.py", f"--to={to}", person.key, person.url, dataset, **state).returncode == 0
