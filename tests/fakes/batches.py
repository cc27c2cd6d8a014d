"""Batches on a fake Galaxy: sheets, what workflow_batch.py prints, and processes that are killed."""
import csv
import gc
import threading
import types
from pathlib import Path

import pytest
import requests
import workflow_batch

import common
from common import DONE
from fakes import KEY, process
from fakes.galaxy import WORKFLOW, FakeGalaxy
from galaxy_api_scripts import checkpoint
from galaxy_api_scripts.batch import ledger, ledger_reader


class Killed(BaseException):
    """The process was killed: nothing is written from now on."""


class Death:
    """Kills the process at a moment: `after` so many requests were answered, or `before` so many changes of the ledger."""

    def __init__(self, monkeypatch):
        self.after, self.before, self.requests, self.changes, self.dead = 0, 0, 0, 0, False
        send, write = requests.Session.request, ledger.Ledger.write
        save, unlink = checkpoint.Checkpoint.save, Path.unlink

        def sent(session, *what, **options):
            self.alive()
            answer = send(session, *what, **options)
            self.requests += 1
            self.dead |= self.requests == self.after
            self.alive()
            return answer

        def written(memory, *what):
            self.alive()
            self.changes += 1
            self.dead |= self.changes == self.before
            self.alive()
            return write(memory, *what)

        def living(act):
            return lambda record, *what, **facts: None if self.dead else act(record, *what, **facts)

        monkeypatch.setattr(requests.Session, "request", sent)
        monkeypatch.setattr(ledger.Ledger, "write", written)
        monkeypatch.setattr(checkpoint.Checkpoint, "save", living(save))
        monkeypatch.setattr(Path, "unlink", living(unlink))

    def alive(self):
        if self.dead:
            raise Killed

    def comes(self, after=0, before=0):
        for thread in threading.enumerate():    # of the process that was killed
            if thread.name == "transfer":
                thread.join()
        process.forget()
        self.after, self.before, self.requests, self.changes, self.dead = after, before, 0, 0, False


class Batch:
    """`batch(*options, status=0)` runs workflow_batch.py on the sheet and returns its `rows`, its `out` and `err`, and what
    was `sent`. With `status=None` any exit status is right."""

    def __init__(self, server, folder, script, capsys):
        self.server, self.folder, self.script, self.capsys = server, folder, script, capsys
        self.path, self.words = folder / "sheet.tsv", []
        folder.mkdir(exist_ok=True)

    def sheet(self, *lines):
        """Write the lines, with tabs for spaces, and a file for each word that ends in .tsv and has none."""
        self.path.write_text("".join("\t".join(line.split(" ")) + "\n" for line in lines))
        for name in " ".join(lines).split():
            if name.endswith(".tsv") and not (self.folder / name).exists():
                (self.folder / name).write_text(f"{name}\n")

    def samples(self, *names):
        self.sheet("sample table", *(f"{name} {name}.tsv" for name in names))

    def __call__(self, *options, status=DONE):
        before = len(self.server.asked)
        self.capsys.readouterr()
        code = self.script(workflow_batch.main, *options, KEY, self.server.url, WORKFLOW, self.path, *self.words)
        told = self.capsys.readouterr()
        assert status in (code, None), (code, told)
        assert "Traceback" not in told.err and KEY not in told.out + told.err
        rows = list(csv.DictReader(told.out.splitlines(), delimiter="\t"))
        sent = [one for one in self.server.kinds[before:] if not one.startswith(("GET", "HEAD"))]
        return types.SimpleNamespace(code=code, rows={row["name"]: row for row in rows if "name" in row}, sent=sent,
                                     out=told.out, err=told.err)

    def units(self, state=None):
        """What the ledger has: `{name: [columns and notes]}`."""
        there = {}
        for row in ledger_reader.read_samples(f"{self.path}.ledger", [state] if state else []):
            there.setdefault(row["name"], []).append({**row.pop("notes"), **row})
        return there

    def once_each(self, *names):
        """Assert that each of these samples is ok and has one history, whose name ends with its key, with one run and one
        upload in it."""
        units, server = self.units(), self.server
        assert list(units) == list(names)
        histories = [one for one in server.histories.values() if not one["deleted"]]
        runs = [one for one in server.runs.values() if one["state"] != "cancelled"]
        for name in names:
            [unit] = units[name]
            [history] = [one for one in histories if one["name"].startswith(f"{name} - ")]
            [run] = [one for one in runs if one["history_id"] == history["id"]]
            assert (unit["state"], unit["history"], unit["invocation"]) == ("ok", history["id"], run["id"])
            assert history["name"] == f"{name} - Copy [{unit['key'][:10]}]"
            held = [server.datasets[one] for one in history["contents"] if one in server.datasets]
            [upload] = [one for one in held if not one["deleted"] and "of_run" not in one]
            assert (upload["name"], upload["id"]) == (f"{name}.tsv", run["inputs"]["0"]["id"])
        assert len(runs) == len(names) and len([one for one in histories if "shared" not in one["name"]]) == len(names)


@pytest.fixture
def real_server():
    """A server in real time."""
    server = FakeGalaxy()
    yield server
    server.close()


@pytest.fixture
def server(clock, monkeypatch):
    """A server; for it and all modules, time goes by only in sleeps."""
    monkeypatch.setattr(common.random, "uniform", lambda least, most: most)
    server = FakeGalaxy(clock.time)
    yield server
    server.close()


@pytest.fixture
def batch(server, tmp_path, script, capsys):
    return Batch(server, tmp_path / "batch", script, capsys)


@pytest.fixture
def death(monkeypatch):
    """A process that is killed closes no connections: collect them here, where no warning fails a test."""
    yield Death(monkeypatch)
    gc.collect()
