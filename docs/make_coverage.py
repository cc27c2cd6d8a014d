#!/usr/bin/env python3
"""Write docs/coverage.md: for each method of BioBlend and each command of parsec the line that does the same here.

Usage:
  make_coverage.py [options]

Options:
  --names     first read their names again, of the packages in bench/peers, into docs/coverage/names.json
  -h, --help  show this help
  --version   show the version

The lines are in docs/coverage/CLIENT.yml, and tests/live/test_coverage_live.py runs them all.
What an entry may have stands in tests/fakes/coverage_entries.py.
"""
import json
import subprocess
import sys
from pathlib import Path

import yaml

from common import arguments, run

ROOT = Path(__file__).resolve().parent.parent
TABLES, PAGE = ROOT / "docs" / "coverage", ROOT / "docs" / "coverage.md"
NAMES, WIDTH = TABLES / "names.json", 100
PEERS = ("bioblend", "parsec")

BIOBLEND = """
import inspect, json
from bioblend.galaxy import GalaxyInstance
from bioblend.galaxy.client import Client
from bioblend.toolshed import ToolShedInstance
url = "http://127.0.0.1:1"
clients = dict(vars(GalaxyInstance(url, key="x")))
del clients["toolShed"]     # another name of clients["toolshed"]
clients.update(("toolshed_" + name, client) for name, client in vars(ToolShedInstance(url)).items())
print(json.dumps(sorted(
    client + "." + name for client, value in clients.items() if isinstance(value, Client)
    for name, _ in inspect.getmembers(value, inspect.isroutine)
    if not name.startswith("_") and not hasattr(Client, name))))
"""
PARSEC = """
import click, json, warnings
warnings.simplefilter("ignore")
from parsec.cli import parsec
context = click.Context(parsec)
groups = {name: parsec.get_command(context, name) for name in parsec.list_commands(context)}
print(json.dumps(sorted(
    name for client, group in groups.items()
    for name in ([client + "." + one for one in group.list_commands(context)] if isinstance(group, click.MultiCommand)
                 else ["parsec." + client]))))
"""

TEXT = """# The same as with BioBlend and parsec

The {bioblend} methods of BioBlend {bioblend_version} and the {parsec} commands of parsec {parsec_version}, and the line that
does the same here. A name without a remark is both a method and a command. Words in capitals stand
for your own ids, names and files. *Administrator*: the line needs an administrator's key.

A test runs every line on a Galaxy 26.1, and asks it before and after whether the line has done the
same. {refused} of these methods and commands Galaxy or a Tool Shed refuses, to anybody or as it was set
up for the test: then its words stand with the line. `make reference` writes this page.
"""


def main(argv=None):
    args = arguments(__doc__, argv)
    if args["--names"]:
        NAMES.write_text(json.dumps(read_names(), indent=1) + "\n")
    PAGE.write_text(render(), "utf-8")


def read_names():
    """Return the methods and commands that the installed packages have, and their versions."""
    names = {}
    for peer, package, program in (("bioblend", "bioblend", BIOBLEND), ("parsec", "galaxy-parsec", PARSEC)):
        python = str(ROOT / "bench" / "peers" / package / "bin" / "python")
        version = f"import importlib.metadata; print(importlib.metadata.version('{package}'))"
        told = [subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
                for code in (version, program)]
        names[peer] = {"version": told[0].strip(), "names": json.loads(told[1])}
    return names


def load_names():
    """Return {"bioblend": {"version": ..., "names": [CLIENT.NAME, ...]}, "parsec": ...}."""
    return json.loads(NAMES.read_text())


def load_tables():
    """Return the entries of each client, in the order of the page."""
    return {path.stem: load_table(path) for path in sorted(TABLES.glob("*.yml"))}


def load_table(path):
    """Return the entries of a file, `for` and `line` as lists, and the names in `for` as CLIENT.NAME."""
    entries = yaml.safe_load(path.read_text("utf-8"))
    for entry in entries:
        for key in ("for", "line"):
            entry[key] = [entry[key]] if isinstance(entry[key], str) else entry[key]
        entry["for"] = [name if "." in name else f"{path.stem}.{name}" for name in entry["for"]]
    return entries


def render():
    names = load_names()
    known = {peer: set(names[peer]["names"]) for peer in PEERS}
    counts = {peer: len(known[peer]) for peer in PEERS}
    versions = {f"{peer}_version": names[peer]["version"] for peer in PEERS}
    tables = load_tables()
    lines = [TEXT.format(**counts, **versions, refused=len(refused_names(tables)))]
    for client, entries in tables.items():
        lines += [f"## {client}", "", "```sh"]
        for entry in entries:
            lines += ["# " + head for head in wrap(describe(entry, client, known))]
            lines += [part for line in entry["line"] for part in line.splitlines()]
        lines += ["```", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def refused_names(tables):
    """Return the methods and commands for which there is only a line that is refused."""
    names = {True: set(), False: set()}
    for entries in tables.values():
        for entry in entries:
            names["refused" in entry].update(entry["for"])
    return names[True] - names[False]


def describe(entry, client, known):
    """Return what a line does the same as, as the page says it."""
    told = []
    for name in entry["for"]:
        peers = [peer for peer in PEERS if name in known[peer]]
        short = name.removeprefix(f"{client}.")
        told.append(short if len(peers) == len(PEERS) else f"{short} ({'BioBlend' if peers == ['bioblend'] else 'parsec'})")
    remarks = ["administrator"] if entry.get("as") == "admin" else []
    remarks += [entry["note"]] if "note" in entry else []
    remarks += [f"Galaxy refuses: {entry['refused']}"] if "refused" in entry else []
    return ", ".join(told) + "".join(f"; {remark}" for remark in remarks)


def wrap(text):
    """Return the text in lines that fit behind `# `."""
    import textwrap
    return textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.exit(run(main))
