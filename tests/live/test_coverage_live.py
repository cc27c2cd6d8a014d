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
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from fakes.coverage_entries import fill, fill_line, holds

import common

from .conftest import ROOT, Person
from .coverage_things import World

sys.path.insert(0, str(ROOT / "docs"))
import make_coverage  # noqa: E402

TABLES = make_coverage.load_tables()
SAMPLE = 12     # each how many-th line runs as a process; the others in this one


@pytest.fixture(scope="module")
def lasting():
    return {}


@pytest.fixture(scope="module")
def typist(server):
    return Person(server)


@pytest.fixture(scope="module")
def other(server):
    return Person(server)


@pytest.fixture
def run_line(tmp_path, monkeypatch, server):
    """`run_line(line, key, as_process)`: its status, and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GALAXY_URL", server.url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.path.dirname(sys.executable),
                                                os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(line, key, as_process):
        monkeypatch.setenv("GALAXY_API_KEY", key)
        if as_process or re.search(r"[|<>;&$`]", re.sub(r"'[^']*'", "", line)):
            ended = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=300,
                                   stdin=subprocess.DEVNULL)
            return SimpleNamespace(status=ended.returncode, out=ended.stdout, err=ended.stderr)
        script, *words = shlex.split(line)
        return run_here(script, words)
    return run


def run_here(script, words):
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


def ask(person, request, body=None):
    """What Galaxy says to a request such as `GET /api/version` or /api/version: an object, a text, or a status."""
    method, path = request.split(" ", 1) if " " in request.split("/")[0] else ("GET", request)
    answer = requests.request(method, path if "://" in path else person.url + path, json=body, timeout=120,
                              headers={"x-api-key": person.key})
    if not answer.ok:
        return answer.status_code
    try:
        return answer.json()
    except ValueError:
        return answer.text


def check(entry, world, people, run_line, as_process):
    """Run an entry's lines, and say what is not as it should be: an empty text where all is."""
    who = people[entry.get("as", "person")]
    world.forget([*entry.get("new", []), "NAME"])
    for one in entry.get("first", []):
        request, body = next(iter(one.items())) if isinstance(one, dict) else (one, None)
        if isinstance(ask(who, fill(request, world.get), fill(body, world.get)), int):
            return f"first: {request} failed"
    ended = None
    for line in entry["line"]:
        ended = run_line(fill_line(line, world.get), who.key, as_process)
        if "refused" not in entry and (ended.status or ended.err):
            return f"status {ended.status}: {ended.err}"
    if "refused" in entry:
        good = ended.status == 1 and entry["refused"] in ended.err
        return "" if good else f"not refused so: status {ended.status}: {ended.err}{ended.out}"
    return compare_printed(entry, world, ended.out) or compare_held(entry, world, who, ended.out)


def compare_printed(entry, world, out):
    shown = fill(entry.get("shows", []), world.get)
    if isinstance(shown, str) or (isinstance(shown, list) and all(isinstance(part, str) for part in shown)):
        missing = [part for part in ([shown] if isinstance(shown, str) else shown) if part not in out]
        if missing:
            return f"{missing} not in {out}"
    elif not holds(json.loads(out), shown):
        return f"{shown} not in {out}"
    for path, text in fill(entry.get("writes", {}), world.get).items():
        if not Path(path).exists() or Path(path).read_text() != text:
            return f"{path} does not hold {text!r}"
    return ""


def compare_held(entry, world, who, out):
    """Compare what Galaxy holds, for as long as it may take to get there."""
    made = re.search(r"'id': '(\w+)'", out) or re.search(r"\b(F?[0-9a-f]{16})\b", out)
    for request, wanted in fill(entry.get("then", {}), world.get).items():
        request = request.replace("MADE", made[1]) if made else request
        for _ in common.backoff(20, 0.1, 1):
            answer = ask(who, request)
            if holds(answer, wanted):
                break
        else:
            return f"{request}: {wanted} not in {answer}"
    return ""


@pytest.mark.parametrize("client", TABLES)
def test_each_line_does_the_same(client, typist, other, admin, lasting, run_line, tmp_path):
    world = World(typist, other, admin, tmp_path, lasting)
    people = {"person": typist, "other": other, "admin": admin}
    failed = []
    for number, entry in enumerate(TABLES[client]):
        wrong = check(entry, world, people, run_line, number % SAMPLE == 0)
        if wrong:
            failed.append(f"{', '.join(entry['for'])}: {' && '.join(entry['line'])}\n  {wrong}")
    assert failed == [], "\n".join(failed)
