"""What cron does at night on a fake Galaxy: the seven scripts that are left alone, each with a job of its own."""
import importlib
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from fakes import KEY
from fakes.batches import server
from fakes.galaxy import WORKFLOW

__all__ = ["night", "server"]       # fixtures
ROOT = Path(__file__).parents[2]
SCRIPTS = ["dataset_upload", "dataset_download", "library_download", "workflow_batch", "folder_watch", "library_sync",
           "invocation_wait"]
INPUTS = {"dataset_upload": "reads", "workflow_batch": "samples", "folder_watch": "drop", "library_sync": "shelf"}
PROGRAM = """
import sys
sys.path[:0] = {paths}
from fakes import rights
rights.{act}
import common, {script}
sys.argv[0] = "{script}.py"
sys.exit(common.run({script}.main))
"""


class Night:
    """A fake Galaxy and a folder in which each script has something to do; `run(script)` lets it do it, with the `key` and
    the `url` that tests may change. What scripts write, their state too, is below `var`."""

    def __init__(self, server, folder, call, capfd, monkeypatch):
        self.server, self.folder, self.call, self.capfd, self.patch = server, folder, call, capfd, monkeypatch
        self.key, self.url, self.options, self.act, self.var = KEY, server.url, [], "", folder / "var"
        self.history = server.create_history("night")
        self.dataset = server.create_dataset("result.txt", b"some bytes\n", history=self.history)
        self.library, self.core = server.create_library("shelf")["id"], server.create_library("core")
        self.file = server.add(self.core["root_folder_id"], "result.txt", b"some bytes\n")
        self.invocation = server.create_invocation()
        server.runs[self.invocation]["ended"] = False
        for name in (*INPUTS.values(), "var"):
            (folder / name).mkdir()
        for name in INPUTS.values():
            (folder / name / "a.tsv").write_text(f"{name}\t1\n")
        (folder / "sheet.tsv").write_text("sample\ttable\na\tsamples/a.tsv\n")
        monkeypatch.setenv("XDG_STATE_HOME", str(self.var / "state"))

    def line(self, script):
        """The words of a script's command line."""
        folder, var, key, url = self.folder, self.var, self.key, self.url
        return [str(word) for word in ["-q", *self.options, *{
            "dataset_upload": ["--wait", key, url, self.history, folder / "reads" / "a.tsv"],
            "dataset_download": [f"--to={var}/to", key, url, self.dataset],
            "library_download": [f"--to={var}/to", key, url, self.core["id"]],
            "workflow_batch": ["--once", f"--ledger={var}/batch.ledger", f"--download={var}/{script}", key, url, WORKFLOW,
                               folder / "sheet.tsv"],
            "folder_watch": ["--once", "--settle=0", f"--ledger={var}/drop.ledger", f"--download={var}/{script}",
                             f"--move-to={var}/done", key, url, folder / "drop", WORKFLOW],
            "library_sync": [key, url, self.library, folder / "shelf"],
            "invocation_wait": [key, url, self.invocation]}[script]]]

    def subject(self, script):
        """What the lines in the script's log name."""
        return {"dataset_upload": self.history, "dataset_download": f"{self.var}/to",
                "library_download": f"{self.var}/to",
                "invocation_wait": f"invocation {self.invocation}"}.get(script) or self.line(script)[-1].replace(
                    WORKFLOW, str(self.folder / "drop"))

    def run(self, script):
        """How a script has ended: its `status`, and the lines on standard error, `err`."""
        self.capfd.readouterr()
        if self.act:        # what only a process of its own can be refused
            paths = [str(ROOT / folder) for folder in ("", "scripts", "tests")]
            program = PROGRAM.format(paths=paths, script=script, act=self.act)
            ended = subprocess.run([sys.executable, "-c", program, *self.line(script)], capture_output=True, text=True,
                                   timeout=120)
            status, out, err = ended.returncode, ended.stdout, ended.stderr
        else:
            self.patch.setattr(sys, "argv", [f"{script}.py"])
            status = self.call(importlib.import_module(script).main, *self.line(script))
            out, err = self.capfd.readouterr()
        assert KEY not in out + err and "Traceback" not in err
        return types.SimpleNamespace(status=status, out=out, err=err.splitlines())

    def visits(self, script):
        """The same for as many visits of cron's as it takes until nothing runs any more, six at most."""
        err = []
        for _ in range(6):
            ended = self.run(script)
            err += ended.err
            if ended.status != 4 or "--once" not in self.line(script):
                break
        return types.SimpleNamespace(status=ended.status, err=err)

    def begin(self, script):
        """Another run of the script beside this one."""
        other = threading.Thread(target=self.call, args=(importlib.import_module(script).main, *self.line(script)))
        other.start()
        return other

    def input_file(self, script):
        return self.folder / INPUTS[script] / "a.tsv"

    def is_done(self, script):
        """Whether the job is done, and only once, judged by what the server and the disk hold."""
        server = self.server
        if script == "dataset_upload":
            return [one["content"] for one in server.datasets.values() if one["history_id"] == self.history
                    and not one["deleted"] and one["name"] == "a.tsv"] == [b"reads\t1\n"]
        if script in ("dataset_download", "library_download"):
            result = self.var / "to" / "result.txt"
            return result.is_file() and result.read_bytes() == b"some bytes\n"
        if script == "library_sync":
            return [one["content"] for one in server.children(server.libraries[self.library]["root_folder_id"])] == [
                b"shelf\t1\n"]
        if script == "invocation_wait":
            return server.runs[self.invocation]["ended"]
        runs = [run for run in server.runs.values() if run["state"] != "cancelled" and run["id"] != self.invocation]
        results = [path.read_text() for path in (self.var / script).rglob("first.tabular")]
        return len(runs) == 1 and results == [f"{INPUTS[script]}\t1\n"]


@pytest.fixture
def night(server, tmp_path, script, capfd, monkeypatch):
    return Night(server, tmp_path, script, capfd, monkeypatch)
