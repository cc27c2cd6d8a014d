"""What other people call their things reaches a terminal clean: no escape sequence, no text that runs backwards, no row that
is part of a name (CASES A14). The terminal is a pseudo-terminal of the system."""
import importlib
import os
import pty
import re
import threading

import pytest
from fakes import KEY
from fakes.accounts import FakeAccounts
from fakes.galaxy import FakeGalaxy
from fakes.permissions import LAB
from fakes.resources import WORKFLOW

import common
from galaxy_api_scripts.batch.ledger import Ledger

FORGED = "0000000000000666"
HOSTILE = f"Run\x1b]0;owned\x07\x1b[2J\u202egpj.exe\n{FORGED}  forged\r{FORGED}\x9b31m\x85{FORGED}\u2028{FORGED} end"


@pytest.fixture
def galaxy():
    server = FakeGalaxy(polls=0)
    yield server
    server.close()


@pytest.fixture
def terminal(monkeypatch, tmp_path):
    """`terminal(name, *words)`: the exit status of a script, and what reached the terminal of both its streams."""
    monkeypatch.chdir(tmp_path)

    def run(name, *words):
        ours, its = pty.openpty()
        chunks = []

        def read():
            try:
                while chunk := os.read(ours, 65536):
                    chunks.append(chunk)
            except OSError:     # Linux's way to say that the other side is closed
                pass

        reader = threading.Thread(target=read)
        reader.start()
        with open(its, "w", encoding="utf-8") as out, open(os.dup(its), "w", encoding="utf-8") as err, \
                monkeypatch.context() as patched:
            patched.setattr("sys.stdout", out)
            patched.setattr("sys.stderr", err)
            try:
                status = common.run(lambda: importlib.import_module(name).main([str(word) for word in words]))
            except SystemExit as end:
                status = end.code
        reader.join()
        os.close(ours)
        return status, b"".join(chunks).decode()

    return run


def require_clean(text):
    """Neither a sequence that a terminal obeys, but line ends, tabs and the way back of a bar, nor a line that is forged."""
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", text), repr(text)
    assert not re.search(f"(^|[\r\n]){FORGED}", text), repr(text)


def iter_lines(galaxy, folder):
    """Command lines that show names, on standard output and in messages."""
    history = galaxy.create_history(HOSTILE)
    dataset = galaxy.create_dataset(HOSTILE, b"abc", history=history)
    for _ in range(2):
        galaxy.create_history("twice")
    galaxy.create_file(HOSTILE, HOSTILE, b"abc")
    invocation = galaxy.create_invocation()
    galaxy.tools[HOSTILE] = galaxy.tools["cat1"] = bytes
    for style in [[], *([f"--format={style}", "--fields=name,id"] for style in (
            "table", "value", "csv", "tsv", "json", "jsonl", "github"))]:
        yield "display", [*style, KEY, f"{galaxy.url}/api/histories"]
        yield "dataset_list", [*style, KEY, galaxy.url, history]
    yield "display", [KEY, f"{galaxy.url}/api/histories/{history}"]
    yield "display", [KEY, f"{galaxy.url}/api/histories/{history}/contents"]
    yield "create", [KEY, f"{galaxy.url}/api/histories", f"name={HOSTILE}"]
    yield "update", [KEY, f"{galaxy.url}/api/histories/{history}", f"name={HOSTILE}"]
    yield "create", ["--dry-run", KEY, f"{galaxy.url}/api/histories", f"name={HOSTILE}"]
    yield "history_create_history", [KEY, galaxy.url, HOSTILE]
    yield "dataset_show", [KEY, galaxy.url, dataset]
    yield "dataset_wait", [KEY, galaxy.url, galaxy.create_dataset(HOSTILE, b"abc", "queued", history)]
    yield "dataset_wait", [KEY, galaxy.url, galaxy.create_dataset("odd", b"abc", HOSTILE, history)]
    yield "dataset_wait", [KEY, galaxy.url, galaxy.create_dataset(HOSTILE, b"", "error", history)]
    yield "dataset_download", ["--to=out", KEY, galaxy.url, dataset]
    yield "dataset_delete", [KEY, galaxy.url, dataset]
    yield "dataset_list", [KEY, galaxy.url, HOSTILE + "!"]
    yield "dataset_list", [KEY, galaxy.url, "twice"]
    yield "search", ["--format=table", galaxy.url, KEY, "select id, name from history"]
    yield "search", [galaxy.url, KEY, "select name, id from history"]
    yield "tool_list", [KEY, galaxy.url]
    yield "tool_show", [KEY, galaxy.url, "cat1"]
    yield "workflow_list", [KEY, galaxy.url]
    yield "workflow_show", [KEY, galaxy.url, WORKFLOW]
    yield "workflow_template", [KEY, galaxy.url, WORKFLOW]
    yield "workflow_run", [KEY, galaxy.url, WORKFLOW, "nosuch=1"]
    yield "invocation_list", [KEY, galaxy.url]
    yield "invocation_show", [KEY, galaxy.url, invocation]
    (folder / "in").mkdir()
    (folder / "in" / "bad\x1b[2J\u202e.txt").write_text("abc")
    yield "library_sync", [KEY, galaxy.url, HOSTILE, "in"]
    galaxy.role_names[LAB] = HOSTILE, "admin"
    yield "library_list", [KEY, galaxy.url]
    yield "library_list", ["-r", KEY, galaxy.url, HOSTILE]
    yield "library_download", ["-n", "--to=nowhere", KEY, galaxy.url, HOSTILE]
    yield "library_update", [f"--path={HOSTILE}", "--name=x", KEY, galaxy.url, HOSTILE]
    yield "library_permissions", ["-r", "--restrict", KEY, galaxy.url, HOSTILE, f"access={LAB}"]
    yield "library_permissions", ["-r", KEY, galaxy.url, HOSTILE, f"access-={HOSTILE}"]
    yield "library_permissions", ["-r", KEY, galaxy.url, HOSTILE]
    yield "history_export", [KEY, galaxy.url, history, "nosuch/x.tgz"]
    with Ledger(str(folder / "x.ledger"), server=galaxy.url) as ledger:
        ledger.add("k" * 32, HOSTILE).save(state="failed", message=HOSTILE)
    yield "ledger_show", ["x.ledger"]
    yield "ledger_show", ["--format=value", "x.ledger"]


def test_a14_names_of_others_reach_a_terminal_clean(galaxy, terminal, tmp_path, monkeypatch):
    about = galaxy.get_workflow({}, None, "w")
    usual = [{**one, "name": HOSTILE, "owner": HOSTILE} for one in galaxy.get_workflows({}, None)]
    galaxy.answers["GET /api/workflows"] = (200, usual)
    monkeypatch.setattr(galaxy, "get_workflow", lambda ask, body, which: {**about, "name": HOSTILE, "annotation": HOSTILE})
    tool = galaxy._tool
    monkeypatch.setattr(galaxy, "_tool", lambda name: {**tool(name), "name": HOSTILE, "description": HOSTILE})
    for name, words in iter_lines(galaxy, tmp_path):
        status, text = terminal(name, *words)
        assert text and status in (0, 1, 2), (name, words, text)
        require_clean(text)


def test_a14_names_of_accounts_reach_a_terminal_clean(terminal, tmp_path):
    with FakeAccounts() as galaxy:
        user, _ = galaxy.add_user(HOSTILE, HOSTILE), galaxy.add_quota(HOSTILE, "1 GB", default="registered")
        galaxy.add_group(HOSTILE, [user])
        for file, heading in (("people.csv", "email,groups,quota"), ("groups.csv", "group,users,roles"),
                              ("quotas.csv", "name,amount,users")):
            (tmp_path / file).write_text(f'{heading}\n"{HOSTILE}","{HOSTILE}","{HOSTILE}"\na@b,"{HOSTILE}","{HOSTILE}"\n')
        lines = [("user_list", ["--usage", "--fields=email,username,groups"], []), ("user_delete", [], [HOSTILE, "nobody"]),
                 ("user_delete", [], [HOSTILE]), ("user_create", [], ["people.csv"]), ("group_set", [], ["groups.csv"]),
                 ("quota_set", [], ["quotas.csv"]), ("group_set", ["--delete-others"], ["one.csv"])]
        (tmp_path / "one.csv").write_text("group\none\n")
        for name, options, words in lines:
            status, text = terminal(name, *options, KEY, galaxy.url, *words)
            assert text and status in (0, 1, 2), (name, words, text)
            require_clean(text)


def test_a14_messages_are_clean_though_they_have_lines(capsys):
    common.eprint(f"a table\n{HOSTILE}\tend")
    output = capsys.readouterr().err
    assert output.startswith("a table\nRun\\x1b]0;owned") and "\tend\n" in output
    require_clean(output.replace(f"\n{FORGED}", ""))
