"""The lines of docs/coverage.md, each run on a real Galaxy, and what Galaxy holds afterwards."""
import contextlib
import importlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from fakes.coverage_entries import fill, fill_line, holds

import common

from . import coverage_admin, coverage_runs  # noqa: F401
from .conftest import ROOT, Administrator, Person
from .coverage_things import World

sys.path.insert(0, str(ROOT / "docs"))
import make_coverage  # noqa: E402

TABLES = make_coverage.load_tables()
SAMPLE = 12     # one line of so many runs in a process of its own; the others in this one, which is faster


@pytest.fixture(scope="module")
def lasting(tool_shed):
    """The things that are made once for all clients, by name, and what undoes them."""
    made = {"shed": tool_shed, "undo": []}
    yield made
    for undo in made["undo"]:
        undo()


@pytest.fixture(scope="module")
def typist(server):
    return Person(server)


@pytest.fixture(scope="module")
def other(server):
    return Person(server)


@pytest.fixture
def run_line(tmp_path, monkeypatch):
    """`run_line(line, who, as_process)`: its status, and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.path.dirname(sys.executable),
                                                os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("BROWSER", "echo")

    def run(line, who, as_process):
        monkeypatch.setenv("GALAXY_URL", who.url)
        monkeypatch.setenv("GALAXY_API_KEY", who.key)
        if as_process or re.search(r"[|<>;&$`]", re.sub(r"'[^']*'", "", line)):     # what only a shell does
            ended = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=300,
                                   stdin=subprocess.DEVNULL)
            return SimpleNamespace(status=ended.returncode, out=ended.stdout, err=ended.stderr)
        script, *words = shlex.split(line.replace("\\\n", " "))
        return run_here(script, words)
    return run


def run_here(script, words):
    """Run a script in this process; returns its status, and what it printed, as `run_line` does."""
    main = importlib.import_module(script.removesuffix(".py")).main
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *words])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
        try:
            status = common.run(lambda: main(words))
        except SystemExit as end:
            status = end.code
    return SimpleNamespace(status=status or 0, out=out.buffer.getvalue().decode(), err=err.buffer.getvalue().decode())


def ask(request, who, people, body=None):
    """What Galaxy says to a request: an object, a text, or a status. `GET /api/x` is asked by `who`, and so is /api/x;
    `other GET /api/x` by the other user."""
    *before, path = request.split(" /", 1)
    *name, method = before[0].split() if before else ["GET"]
    person = people[name[0]] if name else who
    address = path if "://" in path else f"{person.url}/{path.removeprefix('/')}"
    answer = requests.request(method, address, json=body, timeout=120, headers={"x-api-key": person.key})
    if not answer.ok:
        return answer.status_code
    try:
        return answer.json()
    except ValueError:
        return answer.text


def run_entry(entry, world, people, run_line, as_process):
    """Run an entry's lines; returns what is not as it should be (an empty text where all is), and a function that returns
    the same of what Galaxy holds afterwards."""
    who = world.get("SHED")["who"] if entry.get("as") == "shed" else people[entry.get("as", "person")]
    world.forget([*entry.get("new", []), "NAME"])
    lines = [fill_line(line, world.get) for line in entry["line"]]
    wanted = {key: fill(entry[key], world.get) for key in ("shows", "writes", "then") if key in entry}
    after = fill_line(entry.get("after", ""), world.get)
    for one in fill(entry.get("first", []), world.get):
        request, body = next(iter(one.items())) if isinstance(one, dict) else (one, None)
        if isinstance(ask(request, who, people, body), int):
            return f"first: {request} failed", None
    before = holding(wanted.get("then", {}), who, people)
    if before:
        return f"{before} is as it should become, before the line", None
    ended = None
    for line in lines:
        ended = run_line(line, who, as_process)
        if "refused" not in entry and (ended.status or ended.err):
            return f"status {ended.status}: {ended.err}", None
    if "refused" in entry:
        good = ended.status == 1 and entry["refused"] in ended.err
        return "" if good else f"not refused so: status {ended.status}: {ended.err}{ended.out}", None
    out = ended.out + (run_line(after, who, as_process=True).out if after else "")
    return compare_printed(wanted, out), partial(compare_held, wanted, who, people, out)


def holding(then, who, people):
    """The requests whose answers are as they should become, of those that can be asked before the line runs."""
    return [request for request, part in then.items() if "MADE" not in request and holds(ask(request, who, people), part)]


def compare_printed(wanted, out):
    """What is wrong with the output, and the files written, by `shows` and `writes`; "" for nothing."""
    shown = wanted.get("shows", [])
    if isinstance(shown, str) or (isinstance(shown, list) and all(isinstance(part, str) for part in shown)):
        missing = [part for part in ([shown] if isinstance(shown, str) else shown) if part not in out]
        if missing:
            return f"{missing} not in {out}"
    elif not holds(json.loads(out), shown):
        return f"{shown} not in {out}"
    for path, text in wanted.get("writes", {}).items():
        if not Path(path).exists() or Path(path).read_text() != text:
            return f"{path} does not hold {text!r}"
    return ""


def compare_held(wanted, who, people, out):
    """What is wrong with what Galaxy holds, by `then`, once it is as wanted or 300 s have passed; "" for nothing."""
    made = re.search(r"'id': '(\w+)'|^ +id: (\w+)$", out, re.MULTILINE) or re.search(r"\b(F?[0-9a-f]{16})\b", out)
    held = json.dumps(wanted.get("then", {}))
    for request, part in json.loads(held.replace("MADE", made[made.lastindex]) if made else held).items():
        for _ in common.backoff(300, 0.1, 1):
            answer = ask(request, who, people)
            if holds(answer, part):
                break
        else:
            return f"{request}: {part} not in {answer}"
    return ""


@pytest.mark.needs("described routes")
@pytest.mark.parametrize("client", TABLES)
def test_each_line_does_the_same(client, typist, other, admin, lasting, run_line, tmp_path, home):
    run_entries([entry for entry in TABLES[client] if "server" not in entry],
                World(typist, other, admin, tmp_path, lasting, home), run_line)


@pytest.mark.needs("described routes")
def test_lines_that_the_second_server_takes(prefixed, run_line, tmp_path):
    """It has a folder for uploads by FTP, sends mail, and has a plugin that plots."""
    person, admin = Person(prefixed), Administrator(prefixed)
    run_entries([entry for entries in TABLES.values() for entry in entries if "server" in entry],
                World(person, person, admin, tmp_path, {}, prefixed.home), run_line)


def run_entries(entries, world, run_line):
    """Run entries one by one, and fail with all that is wrong with any; what is skipped is told at the end."""
    people = {"person": world.person, "other": world.other, "admin": world.admin}
    failed, later, skipped = [], [], []

    def note(entry, wrong):
        if wrong:
            failed.append(f"{', '.join(entry['for'])}: {' && '.join(entry['line'])}\n  {wrong}")

    for number, entry in enumerate(entries):
        begun = time.monotonic()
        try:
            wrong, compare = run_entry(entry, world, people, run_line, number % SAMPLE == 0)
        except pytest.skip.Exception as reason:
            skipped.append(reason)
            continue
        if compare and entry.get("later"):
            later.append((entry, compare))
        note(entry, wrong or (compare() if compare and not entry.get("later") else ""))
        print(f"{time.monotonic() - begun:5.1f} s  {', '.join(entry['for'])}")
    for entry, compare in later:
        note(entry, compare())
    assert failed == [], "\n".join(failed)
    for reason in skipped:
        raise reason
