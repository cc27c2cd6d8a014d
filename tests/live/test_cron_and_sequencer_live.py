"""The lines of docs/cron.md and docs/sequencer.md, run as they stand there, with other paths, ids and hosts only."""
import html
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes.proxies import program

from galaxy_api_scripts.batch import ledger, ledger_reader

from .conftest import ROOT, WORKFLOWS
from .processes import until
from .test_folder_watch_live import READS, names, sequenced

CRON, SEQUENCER = ((ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("cron", "sequencer"))


def blocks(page, kind):
    return re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)


def needs(name, package):
    return pytest.mark.skipif(not program(name), reason=f"not installed: apt-get install {package}")


@pytest.fixture
def place(admin, tmp_path):
    """The folders that the pages name, in `root`; `ours(text)` is a text with our paths, hosts and ids in the places of
    theirs, `shell(command)` what /bin/sh does with a command in cron's environment and these `settings`."""
    for name in ("bin", "home/me/log", "home/seq", "var/lib/galaxy-runs", "data/drop", "data/runs", "data/reads",
                 "data/flows"):
        (tmp_path / name).mkdir(parents=True)
    for script in (ROOT / "scripts").glob("*.py"):      # as pip installs them, for a Python of their own
        wrapper(tmp_path / "bin" / script.name, f'PYTHONPATH={ROOT} exec {sys.executable} {script} "$@"')
    wrapper(tmp_path / "bin" / "mail", f'{{ printf "%s|" "$@"; echo; cat; }} >> {tmp_path}/mails')
    for flow in ("sums", "pairs"):
        shutil.copy(WORKFLOWS / f"{flow}.gxwf.yml", tmp_path / "data" / "flows" / f"{flow}.yml")
    for person in ("me", "seq"):
        (tmp_path / "home" / person / ".galaxy.key").touch(mode=0o600)
        (tmp_path / "home" / person / ".galaxy.key").write_text(f"{admin.key}\n")
    words = {"/opt/scripts/.venv/bin/": f"{tmp_path}/bin/", "/opt/scripts/.venv/bin": f"{tmp_path}/bin",
             "/opt/scripts/": f"{tmp_path}/bin/", "/var/lib/": f"{tmp_path}/var/lib/", "/data": f"{tmp_path}/data",
             "/home/": f"{tmp_path}/home/", "https://galaxy.example.org": admin.url}

    def ours(text, **more):
        for word, other in {**words, **more}.items():
            text = text.replace(word, str(other))
        return text
    settings = dict(re.findall("^([A-Z_]+)=(.*)$", ours(blocks(CRON, "crontab")[0]), re.MULTILINE))

    def shell(command):
        return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, cwd="/", timeout=600, env={
            "HOME": f"{tmp_path}/home/me", "LOGNAME": "me", "SHELL": "/bin/sh", **settings})
    return SimpleNamespace(root=tmp_path, data=tmp_path / "data", ours=ours, shell=shell, settings=settings,
                           book=tmp_path / "home" / "me" / "drop.ledger")


def wrapper(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def entries(place, **more):
    """The commands of the crontabs, by their programs."""
    found = {}
    for line in "".join(blocks(CRON, "crontab")).splitlines():
        when = re.match(r"(\S+\s+){4}\S+\s+(?=\S)", line)
        if when and "=" not in line.split()[0]:
            assert all(re.fullmatch(r"[0-9*/,-]+", field) for field in when.group().split())
            command = line[when.end():]
            found[command.split()[0] + " by day" * ("--limit-rate" in command)] = place.ours(command, **more)
    assert len(found) == 9
    return found


def silent(ended, *codes):
    assert (ended.stdout, ended.stderr) == ("", "") and ended.returncode in codes, ended
    return ended.returncode


def visits(place, command):
    """Let cron do it until nothing runs in Galaxy any more, in silence."""
    while silent(place.shell(command), 0, 4) == 4:
        pass


def minutes_go_by(book):
    with ledger.Ledger(book) as memory:
        seen = memory.notes.arrivals
        assert seen, "nothing was seen"
        memory.save(arrivals={name: [stamp, since - 600] for name, (stamp, since) in seen.items()})


def commands(page):
    return [line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]


# -------------------------------------------------------------------------------------------------------- docs/cron.md

def test_the_crontab(admin, place):
    library, history = admin.new_library(), admin.new_history("cron")
    lines = entries(place, LIBRARY_ID=library.id, HISTORY_ID=history)
    for file, text in {"drop/a.tsv": "a\t1\na\t2\n", "x.tsv": "x\t4\n", "samples.tsv": "sample\ttable\nx\tx.tsv\n",
                       "runs/12/b.txt": "b"}.items():
        (place.data / file).parent.mkdir(exist_ok=True)
        (place.data / file).write_text(text)
    (place.data / "reads" / "r.fastq.gz").write_bytes(b"not looked into")

    assert silent(place.shell(lines["folder_watch.py"]), 0) == 0 and names(place.data / "drop") == ["a.tsv"]
    minutes_go_by(place.book)
    visits(place, lines["folder_watch.py"])
    assert names(place.data / "drop") == [] and names(place.data / "done") == ["a.tsv"]
    (place.data / "drop" / "day.tsv").write_text("d\t5\n")
    silent(place.shell(lines["folder_watch.py by day"]), 0)
    minutes_go_by(place.book)
    visits(place, lines["folder_watch.py by day"])
    assert names(place.data / "done") == ["a.tsv", "day.tsv"]
    visits(place, lines["workflow_batch.py"])
    _, row = (place.root / "home" / "me" / "log" / "batch.log").read_text().splitlines()       # below its heading
    assert row.split("\t")[:2] == ["x", "ok"]
    assert {name: (place.data / "results" / name / "sums.tabular").read_text() for name in ("a", "x")} == {
        "a": "a\t3\n", "x": "x\t4\n"}
    silent(place.shell(lines["library_sync.py"]), 0)
    assert "/runs/2026/12/b.txt" in [one["name"] for one in admin.look(f"libraries/{library.id}/contents")]
    for _ in range(2):
        silent(place.shell(lines["dataset_upload.py"]), 0)
    silent(place.shell(lines["ledger_show.py"]), 0)     # --check
    assert [one["name"] for one in admin.look(f"histories/{history}/contents")] == ["r.fastq.gz"]


def test_after_a_failure(place):
    """It is mailed once, looked at, and tried again; the log is kept small."""
    lines = entries(place)
    (place.data / "drop" / "bad.tsv").write_text("x\tword\n")
    silent(place.shell(lines["folder_watch.py"]), 0)
    minutes_go_by(place.book)
    ended = place.shell(lines["folder_watch.py"])
    while ended.returncode == 4:
        ended = place.shell(lines["folder_watch.py"])
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1) and "bad: invocation" in ended.stderr
    silent(place.shell(lines["folder_watch.py"]), 0)

    check = place.shell(lines["ledger_show.py"])
    assert check.returncode == 1 and re.search(r"^bad +failed ", check.stdout, re.MULTILINE)
    failed, steps, known, again, backup = (place.ours(line) for line in commands(CRON))
    told = place.shell(failed)
    assert (told.returncode, told.stderr) == (0, "")
    assert re.search(r"^bad +1 \(group\) +invocation ", told.stdout, re.MULTILINE)
    assert "upload" in place.shell(steps).stdout
    if program("sqlite3"):
        silent(place.shell(backup), 0)
        assert [one["name"] for one in ledger_reader.read_samples(place.book.with_name("drop.backup"))] == ["bad"]
    silent(place.shell(known), 0)
    silent(place.shell(lines["ledger_show.py"]), 0)
    assert place.shell(again).returncode in (4, 1)
    while place.shell(lines["folder_watch.py"]).returncode == 4:
        pass
    assert [(one["state"], one["attempt"] > 1) for one in ledger_reader.read_samples(place.book)] == [("failed", True)]
    assert place.shell(lines["ledger_show.py"]).returncode == 1
    (place.data / "drop" / "bad.tsv").write_text("x\t12345\n")
    silent(place.shell(lines["folder_watch.py"]), 0)
    minutes_go_by(place.book)
    visits(place, lines["folder_watch.py"])
    assert names(place.data / "done") == ["bad.tsv"]
    silent(place.shell(lines["ledger_show.py"]), 0)


def test_a_nightly_upload_to_a_library_is_silent_and_leaves_out_what_is_being_written(admin, place):
    library = admin.new_library()
    (place.data / "runs" / "12").mkdir(parents=True)
    (place.data / "runs" / "12" / "a.txt").write_text("a")
    os.utime(place.data / "runs" / "12" / "a.txt", (0, 0))
    (place.data / "runs" / "being written").write_text("b")
    silent(place.shell(entries(place, LIBRARY_ID=library.id)["cd"]), 0)
    assert [item["name"] for item in admin.look(f"libraries/{library.id}/contents") if item["type"] == "file"] == [
        "/runs/12/a.txt"]


def test_a_visit_that_takes_too_long(place):
    lines = entries(place)
    with ledger.Ledger(place.book):
        ended = place.shell(lines["folder_watch.py"])
        assert (ended.returncode, ended.stderr.count("\n")) == (75, 1) and f"run {os.getpid()} (since" in ended.stderr
    lock = place.root / "home" / "me" / "drop.lock"
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdin.write("locked\n")
        other.stdin.flush()
        assert other.stdout.readline() == "locked\n"
        assert silent(place.shell(lines["flock"]), 1) == 1
        other.stdin.close()
    silent(place.shell(lines["flock"]), 0)


@needs("logrotate", "logrotate")
def test_the_log_is_kept_small(place):
    [stanza] = blocks(CRON, "logrotate")
    log = place.root / "home" / "me" / "log" / "batch.log"
    (place.root / "home" / "me" / "logrotate.conf").write_text(place.ours(stanza))
    command = entries(place)["/usr/sbin/logrotate"].replace("/usr/sbin/logrotate", program("logrotate"))
    for number in range(3):
        log.write_text(f"line {number}\n")
        silent(place.shell(f"{command}{' --force' if number else ''}"), 0)
    assert names(log.parent) == ["batch.log.1", "batch.log.2.gz", "rotated"]
    assert log.with_name("batch.log.1").read_text() == "line 2\n"


# -------------------------------------------------------------------------------------------------- docs/sequencer.md

def units(place):
    """The files of systemd, by name."""
    found = {}
    for block in blocks(SEQUENCER, "ini"):
        first, _, rest = block.partition("\n")
        found[first.rsplit("/", 1)[1]] = place.ours(rest)
    assert sorted(found) == ["galaxy-check.service", "galaxy-runs.service", "galaxy-visit.service", "galaxy-visit.timer"]
    return found


def service(place, text):
    """The line and the environment of a service."""
    values = re.findall(r"^([A-Za-z]+)=(.*)$", text, re.MULTILINE)
    line, = [shlex.split(value) for name, value in values if name == "ExecStart"]
    return line, {"HOME": f"{place.root}/home/seq", **dict(value.split("=", 1) for name, value in values
                                                         if name == "Environment")}


def incomplete(run):
    """A run's folder that is marked and holds no sample that can be run; the problem with it."""
    run.mkdir()
    for name, text in (("S1_R1.fastq", "@"), ("S1_R2.fastq", ""), ("CopyComplete.txt", "")):
        (run / name).write_text(text)
    return "S1_R2.fastq is empty"


def to_be_told(place):
    [text] = blocks(SEQUENCER, "sh")
    wrapper(place.root / "bin" / "told.sh", place.ours(text).removeprefix("#!/bin/sh\n"))


@needs("systemd-analyze", "systemd")
def test_the_units_are_right(place):
    to_be_told(place)
    for name, text in units(place).items():
        (place.root / name).write_text(text)
    checked = subprocess.run(["systemd-analyze", "verify", *(place.root / name for name in units(place))],
                             capture_output=True, text=True)
    ours = [line for line in (checked.stdout + checked.stderr).splitlines() if "galaxy-" in line]
    assert ours == [] and checked.returncode == 0, checked


def test_a_service_and_visits(admin, place):
    to_be_told(place)
    line, environment = service(place, units(place)["galaxy-runs.service"])
    sequenced(place.data / "runs", "260301_A")
    book = place.root / "var" / "lib" / "galaxy-runs" / "runs.ledger"
    with subprocess.Popen(line, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as watcher:
        until(lambda: book.exists() and list(ledger_reader.read_samples(book, ["ok"])))
        heading, row = (watcher.stdout.readline().split("\t") for _ in range(2))
        assert (heading[:2], row[:2]) == (["name", "state"], ["260301_A", "ok"])
        watcher.send_signal(signal.SIGTERM)
        assert watcher.communicate(timeout=60) == ("", "") and watcher.returncode == 143
    sequenced(place.data / "runs", "260302_A")
    problem = incomplete(place.data / "runs" / "260303_A")
    line, environment = service(place, units(place)["galaxy-visit.service"])
    codes, rows, said = [], [], ""
    while not codes or codes[-1]:
        visit = subprocess.run(line, env=environment, cwd="/", capture_output=True, text=True, timeout=600)
        codes.append(visit.returncode)
        rows += [row.split("\t")[:2] for row in visit.stdout.splitlines()[1:]]
        said += visit.stderr
    assert codes[0] == 3 and set(codes[1:]) == {4, 0} and said.count("\n") == 1 and f"260303_A: {problem}" in said
    line, environment = service(place, units(place)["galaxy-check.service"])
    checked = subprocess.run(line, env=environment, cwd="/", capture_output=True, text=True)
    assert checked.returncode == 1 and re.search(r"^260303_A +failed +detect ", checked.stdout, re.MULTILINE)
    place.shell(f"ledger_show.py --acknowledge=260303_A {book}")
    assert subprocess.run(line, env=environment, cwd="/", capture_output=True).returncode == 0
    assert sorted(rows) == [["260302_A", "ok"], ["260303_A", "failed"]]
    assert sorted(path.name for path in (place.data / "done").iterdir()) == ["260301_A", "260302_A"]
    assert len(names(place.data / "results" / "260302_A")) == 4
    mails = (place.root / "mails").read_text()
    assert [mails.count(f"Galaxy: {name}: {state}|lab@example.org|\n") for name, state in (
        ("260301_A", "ok"), ("260302_A", "ok"), ("260303_A", "failed"))] == [1, 1, 1]
    assert f"Results: {place.data}/results/260301_A\n" in mails and f"Run: {admin.url}/workflows/invocations/" in mails
    *shown, page = commands(SEQUENCER)[-3:]
    for line in shown:
        assert place.shell(place.ours(line)).stdout.count("ok") >= 1
    written = Path(place.shell(place.ours(page)).stdout.strip()).read_text()
    assert "<tr " in written and "260302_A" in written and problem in html.unescape(written)


def test_the_commands_of_the_page(admin, place):
    look, mailed, sheet, *_ = (place.ours(line) for line in commands(SEQUENCER))
    runs = place.data / "runs"
    problem = incomplete(runs / "260303_A")
    told = place.shell(look)
    assert told.returncode == 0 and told.stdout.splitlines()[1].split("\t")[4] == problem
    ended = place.shell(mailed)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert (place.root / "mails").read_text() == "-s|260303_A failed at detect|lab@example.org|\n" f"{problem}\n"

    sequenced(runs, "260301_A", below="Fastq")
    (runs / "260301_A" / "SampleSheet.csv").write_text("[Header]\nFileFormatVersion,2\n[BCLConvert_Data]\n"
                                                       "Lane,Sample_ID,index\n1,S1,ACGT\n1,S2,TTTT\n")
    ended = place.shell(sheet)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    assert len(names(place.data / "results" / "260301_A")) == len(READS)
