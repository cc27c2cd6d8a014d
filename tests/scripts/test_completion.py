"""What bash, zsh and fish propose for a line that is typed, with the files of completions/."""
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes import KEY

from common import Galaxy
from galaxy_api_scripts.routes.openapi import addresses_path, fetch_operations

FOLDER = Path(__file__).parents[2] / "completions"
SHELLS = ["bash", "zsh", "fish"]
SERVER = "http://galaxy.test:8080/sub"      # which nobody can ask
ADDRESSES = ["DELETE /api/histories/{history_id}", "GET /api/histories", "GET /api/histories/{history_id}",
             "GET /api/histories/{history_id}/contents", "GET /api/histories/published", "GET /api/licenses",
             "PATCH /api/libraries/{id}", "POST /api/histories", "POST /api/libraries", "PUT /api/histories/{history_id}"]
PARSEC = f"""__default: lab
lab:
    key: {KEY}
    url: {SERVER}/
main: {{url: "https://usegalaxy.org", "key": {KEY[::-1]}}}
broken: {KEY}
"""
# Makes all proposals stand in the line, and writes this line; those of zsh are inserted by a completer for that.
START = {
    "bash": ("bash --norc --noprofile -i", r"""
source {completions}/galaxy.bash
keep() {{ printf '%s\n' "$READLINE_LINE" >> {file}; READLINE_LINE=; }}
bind '"\C-xi": insert-completions'
bind -x '"\C-xk": keep'
"""),
    "zsh": ("zsh -f -i", r"""
autoload -Uz compinit && compinit -u -D
source {completions}/galaxy.zsh
zle -C insert-all complete-word _generic
zstyle ':completion:insert-all::::' completer _all_matches _complete
zstyle ':completion:insert-all:*' insert yes
keep() {{ print -r -- $BUFFER >> {file}; BUFFER= }}
zle -N keep
bindkey '^Xi' insert-all
bindkey '^Xk' keep
""")}


@pytest.fixture(params=SHELLS)
def propose(request, alone, tmp_path, monkeypatch):
    """`propose(*lines)`: for each of these, what the shell proposes for its last word."""
    shell = request.param
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here")
    state, work = tmp_path / "state" / "galaxy-api-scripts" / "routes", tmp_path / "work"
    for folder in (state, work / "folder"):
        folder.mkdir(parents=True)
    for name in ("a file.ga", "reads.fq"):
        (work / name).touch()
    lines = [SERVER, *(one.replace(" ", "\t") + f"\tabout {one}" for one in ADDRESSES)]
    (state / "galaxy.test.addresses").write_text("".join(f"{line}\n" for line in lines))
    (alone / ".parsec.yml").write_text(PARSEC)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(work)
    if shell == "fish":
        return propose_in_fish
    return lambda *lines: propose_in_terminal(shell, tmp_path / "kept", lines)


def propose_in_fish(*lines):
    asked = "".join(f"complete -C {shlex.quote(line)}; echo ==\n" for line in lines)
    ended = subprocess.run(["fish", "--no-config", "-c", f"source {FOLDER}/galaxy.fish\n{asked}"],
                           capture_output=True, text=True)
    assert ended.stderr == ""
    return [{line.split("\t")[0] for line in part.splitlines()} for part in ended.stdout.split("==\n")[:-1]]


def propose_in_terminal(shell, file, lines):
    command, start = START[shell]
    (file.with_suffix(".start")).write_text(start.format(completions=FOLDER, file=file))
    ours, its = pty.openpty()
    process = subprocess.Popen(command.split(), stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    limit = threading.Timer(60, process.kill)
    limit.start()
    keys = "".join(f"{line}\x18i\x18k" for line in lines)
    os.write(ours, f"source {file.with_suffix('.start')}\n{keys}\nexit\n".encode())
    shown = b""
    try:
        while more := os.read(ours, 4096):
            shown += more
    except OSError:     # it has ended
        pass
    os.close(ours)
    limit.cancel()
    assert process.wait(60) == 0, shown
    kept = file.read_text().splitlines()
    assert len(kept) == len(lines), shown
    assert shell == "bash" or not any(line.endswith(("= ", "/ ")) for line in kept)     # bash puts a space after all
    return [proposals(line, after) for line, after in zip(lines, kept)]


def proposals(before, after):
    """What stands in the line where its last word was, if anything has changed. Bash replaces the end of a word only."""
    words = shlex.split(before)
    last = words[-1] if not before.endswith(" ") else ""
    there = [] if after.strip() == before.strip() else shlex.split(after)[len(words) - bool(last):]
    heads = [last[:end] for end in range(len(last) + 1)]
    return {next(head + word for head in heads if (head + word).startswith(last)) for word in there}


LINES = {
    "display.py --form": ["--format="],
    "display.py --format=js": ["--format=json", "--format=jsonl"],
    "display.py --format js": ["json", "jsonl"],
    "job_rerun.py --fields=job,id,s": ["--fields=job,id,state"],
    "dataset_list.py -d": [],
    "workflow_batch.py --dr": ["--dry-run"],
    "galaxy_local.py st": ["start", "status", "stop"],
    "display.py @": ["@lab", "@main"],
    "install_tool_shed_repositories.py -a @m": ["@main"],
    "history_export.py - h": [SERVER],
    # an address: its names one after the other, an id for a parameter, of this method and server
    "display.py - /": ["/api/"],
    "display.py --limit 5 @lab /api/hi": ["/api/histories", "/api/histories/"],
    "display.py @main /api/hi": ["/api/histories", "/api/histories/"],      # of any, as none is known of that one
    "./there/display.py - /api/histories/": ["/api/histories/published"],
    "display.py - /api/histories/f2db41e1fa331b3e/": ["/api/histories/f2db41e1fa331b3e/contents"],
    "create.py - /api/": ["/api/histories", "/api/libraries"],
    "update.py - /api/": ["/api/histories/"],
    "update.py --patch - /api/": ["/api/libraries/"],
    f"display.py - {SERVER}/api/li": [f"{SERVER}/api/licenses"],
    "display.py - galaxy.test:8080/sub/api/li": ["galaxy.test:8080/sub/api/licenses"],
    # paths
    "workflow_run.py - - ": ["a file.ga", "folder", "reads.fq"],
    "workflow_run.py - - a table=r": ["table=reads.fq"],
    "workflow_run.py --job=r": ["--job=reads.fq"],
    "workflow_run.py --job r": ["reads.fq"],
    "dataset_download.py --to=": ["--to=folder"],
    "library_sync.py - - L ": ["folder"],
    "create.py --file=archive=r": ["--file=archive=reads.fq"],
    "create.py - /api/x @": ["@a file.ga", "@folder", "@reads.fq"],
    "create.py - /api/x tags:=@r": ["tags:=@reads.fq"],
    "dataset_upload.py -- - - h r": ["reads.fq"],
}


def test_lines_in_the_shell(propose):
    found = [sorted(re.sub("folder/$", "folder", word) for word in one) for one in propose(*LINES)]
    assert dict(zip(LINES, found)) == LINES
    assert KEY not in repr(found)


def test_a_script_that_python_runs(propose, request):
    [found] = propose("python3 scripts/display.py --lim")
    assert found == (set() if request.node.callspec.params["propose"] == "bash" else {"--limit="})


# ------------------------------------------------------------------------------------------------- what is proposed at all

def ask(*words, home=None):
    """What the shells are told: {proposal: what is said about it}."""
    environment = {"PATH": os.defpath, "HOME": str(home)}
    ended = subprocess.run(["awk", "-f", FOLDER / "propose.awk", FOLDER / "table.tsv", *words], env=environment,
                           capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    return dict(line.split("\t") if "\t" in line else (line, None) for line in ended.stdout.splitlines())


@pytest.fixture(scope="module")
def make_table():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        import make_table
        patch.delitem(sys.modules, "make_table")
    return make_table


def test_the_table_is_what_make_reference_writes(make_table):
    assert (FOLDER / "table.tsv").read_text("utf-8") == make_table.render(), "run make reference"


def test_every_option_of_every_command_is_proposed(make_table):
    for name, path in make_table.scripts().items():
        section = path.read_text("utf-8").partition("\nOptions:\n")[2].partition('"""')[0]
        names = [name for line in re.findall(r"^  (-.*?)(?:  |$)", section, re.MULTILINE)
                 for name in re.findall(r"(?<![\w-])(?:--[\w-]+=?|-\w\b)", line)]
        found = ask(name, "-")
        assert found.keys() - {"-"} >= set(names) and all(found[one] for one in names), name
        assert {one for one in found if re.match("-.", one)} == set(names)


CHOICES = {"--archive=": 4, "--by=": 3, "--datasets=": 3, "--format=": 6, "--lanes=": 2, "--method=": 6, "--release=": 6,
           "--repository-deps=": 2, "--resolver-deps=": 2, "--retry=": 2, "--style=": 4, "--tool-deps=": 2, "--type=": 7,
           "--unit=": 3}


def test_choices_that_the_help_lists_are_proposed(make_table):
    rows = [line.split("\t") for line in make_table.render().splitlines() if line.startswith("option")]
    counts = {}
    for _, names, takes, _ in rows:
        if re.search(r"\w\|\w", takes):
            counts[names] = max(len(takes.split("|")), counts.get(names, 0))
    assert counts == CHOICES
    assert list(ask("workflow_export.py", "--style=")) == [f"--style={one}" for one in ("ga", "format2", "mermaid", "text")]


@pytest.mark.parametrize("words", [["nothing.py", "-"], ["display.py", "-", "/api/x", ""], ["display.py", "--fields="],
                                   ["create.py", "-", "/api/x", "name="], ["display.py", "--", "-", "--li"]])
def test_where_nothing_is_known_nothing_is_proposed(words):
    assert ask(*words) == {}


def test_addresses_are_kept_with_the_description_and_without_a_password(wire, alone):
    """What no shell may be given, because it would stand in the line, is left out."""
    document = {"paths": {"/api/a/{id}": {"get": {"summary": "Show\n\tan \x1b[1ma"}}, "/api/$(reboot)": {"get": {}}}}
    wire.answers["GET openapi"] = (200, document)
    galaxy = Galaxy(KEY, wire.url.replace("://", "://me:s3cret@"))
    fetch_operations(galaxy)
    kept = addresses_path(galaxy)
    assert kept.read_text().splitlines()[0] == wire.url and "s3cret" not in kept.read_text()
    assert "GET\t/api/a/{id}\tShow an [1ma\n" in kept.read_text() and kept.stat().st_mode & 0o777 == 0o600
    found = ask("display.py", "-", "/api/", home=alone)
    assert "/api/a/" in found and not any("$" in one for one in found)


@pytest.mark.parametrize("text, found", [
    ("a: {url: KEY, key: http://h}", {"@a": ""}), ("a:\n  key: url: KEY", {}), ("KEY:\n  url: http://h", {}),
    ("a:\n  # url: KEY\n  key: KEY  # url: KEY\n  url: http://h", {"@a": "http://h"}),
    ("a:\n  key: 'x url: KEY'\n  url: http://h", {"@a": "http://h"}),
    ("a:\n  key: |\n    KEY\n  url: >\n    KEY", {"@a": ""}),
    ("a:\r\n  key: KEY\r\n  url: h.org:80/x\r\n", {"@a": "h.org:80/x"}),
    ("a:\n  url: http://me:KEY@[::1]:80/x?key=KEY", {"@a": "http://[::1]:80/x"}),
    ("\0\udcff\n\ta:b:c\n- -\n", {}), (None, {})])
def test_no_key_is_proposed_whatever_the_file_of_entries_holds(alone, text, found):
    if text is None:
        (alone / ".parsec.yml").mkdir()
    else:
        (alone / ".parsec.yml").write_bytes(text.replace("KEY", "0123456789abcdef" * 2).encode(errors="surrogateescape"))
    assert ask("display.py", "@", home=alone) == found
