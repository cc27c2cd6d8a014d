"""No key and no password stands in anything that a script writes, whatever the server answers.

Every script does its whole job against the fake with a marked key, a marked password in the address, and one in the address
of the proxy that its requests go through. Then all is searched that was written: both streams, every file below the folder
that holds the working folder, the home, the state and the temporary files, their names, and the lines of started processes.
What is in the state folder is for its owner alone under any umask.
"""
import base64
import importlib
import io
import os
import re
import subprocess
import sys
from urllib.parse import quote

import pytest
from fakes import KEY
from fakes.whole_jobs import JOBS, fake_of

import common
from galaxy_api_scripts.progress import enable_bars

PASSWORDS = {"somebody": "pass/w@rd:Marked-1", "passer": "pr@xy:Marked-2", "reader": "s@urce/Marked-3"}


def address(url, user):
    """`url` with the password of `user`."""
    return url.replace("://", f"://{user}:{quote(PASSWORDS[user], safe='')}@")


MARKS = [form.encode() for user, password in PASSWORDS.items() for form in (
    password, quote(password), quote(password, safe=""), base64.b64encode(f"{user}:{password}".encode()).decode())]
MARKS.append(KEY.encode())


def proxied(fake):
    """A fake that is asked as a proxy is: the whole address stands in the request's first line."""
    class Handler(fake.Handler):
        def parse_request(self):
            is_good = super().parse_request()
            self.path = re.sub("^https?://[^/]+", "", self.path)
            return is_good

    return type("ProxiedGalaxy", (fake,), {"Handler": Handler})


@pytest.fixture
def name():
    return ""       # of no script


@pytest.fixture
def galaxy(name, monkeypatch, tmp_path):
    server = proxied(fake_of(name))(polls=0)
    monkeypatch.setenv("http_proxy", address(server.url, "passer"))
    monkeypatch.setenv("GALAXY_RETRY_MAX", "0")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    server.url = address(server.url, "somebody")
    umask = os.umask(0)
    yield server
    enable_bars(True)       # which -q of a job switches off for all that follows
    os.umask(umask)
    server.close()


class Stopped(Exception):
    """The first command line of a job has ended, which was not to do it."""


class Run:
    """`run(*words, ...)` as `fakes.whole_jobs` says, in this process; afterwards nothing that was written has a mark."""

    def __init__(self, folder, capsys, monkeypatch, name="", fails=False):
        self.name, self.folder, self.capsys, self.monkeypatch, self.fails = name, folder, capsys, monkeypatch, fails
        self.work, self.commands = folder / "work", []
        self.work.mkdir()
        monkeypatch.chdir(self.work)
        started = subprocess.Popen.__init__

        def record(process, command, *options, **more):
            self.commands.append(repr(command))
            started(process, command, *options, **more)
        monkeypatch.setattr(subprocess.Popen, "__init__", record)

    def __call__(self, *words, status=0, err="", stdin=""):
        ended, output = self.end(self.name, *words, stdin=stdin)
        if self.fails:
            assert ended, output
            raise Stopped
        assert ended == status and err in output.err, output
        return output.out

    def end(self, name, *words, stdin=""):
        """Run a script, look for marks; return its exit status and its output."""
        main, before = importlib.import_module(name.removesuffix(".py")).main, self.files()
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        self.monkeypatch.setattr(sys, "argv", [name])
        try:
            ended = common.run(lambda: main([str(word) for word in words]))
        except SystemExit as end:
            ended = end.code
        output = self.capsys.readouterr()
        written = {file: content for file, content in self.files().items() if before.get(file) != content}
        texts = {"output": output.out.encode(), "errors": output.err.encode(), "commands": repr(self.commands).encode(),
                 "names": repr(list(written)).encode(), **written}
        found = {place: mark for place, content in texts.items() for mark in MARKS if mark in content}
        assert not found, (name, found, output)
        state = self.folder / "home" / ".local" / "state"
        modes = {path: path.stat().st_mode & 0o777 for path in (state / "galaxy-api-scripts").rglob("*")}
        assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items()), modes
        return ended, output

    def files(self):
        return {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_that_succeeds_writes_no_secret(name, galaxy, tmp_path, capsys, monkeypatch):
    run = Run(tmp_path, capsys, monkeypatch, name)
    JOBS[name](galaxy, run)
    headers = [one.headers for one in galaxy.asked]
    if headers:     # they were all there to be written
        assert all("Proxy-Authorization" in one for one in headers)
        shed = [one.headers for one in galaxy.asked if name.startswith("tool_") and "/api/repositories/" in one.line]
        assert not any("Authorization" in one or "x-api-key" in one for one in shed)    # Galaxy's are not the Tool Shed's
        assert all("Authorization" in one for one in headers if one not in shed)
        assert name == "key_show.py" or any(one.get("x-api-key") == KEY for one in headers)


def iter_sources(galaxy, run, source):
    """Command lines with a source that is an address: to upload, in sheets and job files, as workflow and archive."""
    history = galaxy.create_history("Run 12")
    (run.work / "sheet.tsv").write_text(f"sample\ttable\na\t{source}\n")
    (run.work / "job.yml").write_text(f"table: {{class: File, location: '{source}'}}\n")
    (run.work / "lab.yml").write_text(
        f"destination: {{type: library, name: Lab}}\nitems:\n- {{src: url, url: '{source}', name: a}}\n")
    galaxy.users[KEY]["is_admin"] = True
    galaxy.content = b'{"a_galaxy_workflow": "true", "name": "copy", "steps": {}}'
    yield "dataset_upload.py", [KEY, galaxy.url, history, source]
    yield "collection_create.py", [KEY, galaxy.url, history, "Samples", source]
    yield "workflow_run.py", ["--record=r.json", "--job=job.yml", KEY, galaxy.url, "Copy"]
    yield "workflow_run.py", ["--record=s.json", "--no-wait", KEY, galaxy.url, "Copy", f"table={source}"]
    yield "workflow_run.py", ["--dry-run", KEY, galaxy.url, "Copy", f"table={source}"]
    yield "workflow_batch.py", ["--dry-run", KEY, galaxy.url, "Copy", "sheet.tsv"]
    yield "workflow_batch.py", ["--download=out", "--report=batch.html", KEY, galaxy.url, "Copy", "sheet.tsv"]
    yield "ledger_show.py", ["--format=json", "sheet.tsv.ledger"]
    yield "ledger_show.py", ["--report=ledger.html", "sheet.tsv.ledger"]
    yield "workflow_import.py", [KEY, galaxy.url, source]
    yield "fetch_to_library.py", ["-u", galaxy.url, "-a", KEY, "lab.yml"]
    yield "fetch_to_library.py", ["--dry-run", "-u", galaxy.url, "-a", KEY, "lab.yml"]
    (run.work / "in").mkdir()
    (run.work / "in" / "a.tsv").write_text("abc")
    hook = "env | grep -v _proxy > hook.txt"
    for _ in "12":
        yield "folder_watch.py", ["--once", "--settle=0", f"--on-done={hook}", f"--on-fail={hook}", KEY, galaxy.url, "in",
                                  "Copy"]
    yield "create.py", ["--dry-run", KEY, f"{galaxy.url}/api/users", f"password={PASSWORDS['reader']}", f"link={source}"]
    galaxy.answers["POST histories"] = (400, {"err_msg": f"{source} can't be fetched"})
    yield "history_import.py", [KEY, galaxy.url, source]


REFUSED = {"dataset_upload.py", "collection_create.py", "workflow_run.py", "workflow_batch.py", "fetch_to_library.py"}


@pytest.mark.parametrize("refuses", [False, True])
def test_the_password_of_a_source_is_shown_to_the_server_alone(galaxy, tmp_path, capsys, monkeypatch, refuses):
    source, run = address(f"http://{galaxy.host}/file", "reader"), Run(tmp_path, capsys, monkeypatch)
    if refuses:
        for kind in ("fetch", "invocations"):
            galaxy.answers[f"POST {kind}"] = (400, {"err_msg": f"{source} is no good"})
    for name, words in iter_sources(galaxy, run, source):
        ended, output = run.end(name, *words)
        is_refused = refuses and name in REFUSED and "--dry-run" not in words
        assert bool(ended) == (is_refused or name == "history_import.py") or name == "folder_watch.py", (name, words, output)
    assert "UNIT_NAME=a" in (run.work / "hook.txt").read_text() and "grep" in repr(run.commands)
    assert any(source in one.body.decode(errors="replace") for one in galaxy.asked if one.kind == "POST fetch")


@pytest.mark.parametrize("trouble, debug", [("refuses", True), ("talks nonsense", False)])
@pytest.mark.parametrize("name", sorted(set(JOBS) - {"galaxy_local.py", "ledger_show.py"}))      # these ask nobody
def test_a_job_that_fails_writes_no_secret(name, trouble, debug, galaxy, tmp_path, capsys, monkeypatch):
    """The server repeats all that it was sent, and $GALAXY_DEBUG shows tracebacks."""
    os.umask(0o077)
    if debug:
        monkeypatch.setenv("GALAXY_DEBUG", "1")

    def repeat(handler):
        about = " ".join([address("http://x", "somebody"), address("http://x", "passer"), *handler.headers.values()])
        handler.reply(*{"refuses": (403, {"err_msg": about}), "talks nonsense": (200, about.encode())}[trouble])

    galaxy.will(repeat)
    with pytest.raises(Stopped):
        JOBS[name](galaxy, Run(tmp_path, capsys, monkeypatch, name, fails=True))
