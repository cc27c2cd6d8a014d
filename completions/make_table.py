#!/usr/bin/env python3
"""Write completions/table.tsv: what each script's help says of its arguments and options, for the shells to complete.

Usage:
  make_table.py [options]

Options:
  -h, --help  show this help
  --version   show the version

A row is `option`, its names, what it takes and what it does; or `command`, its name, what its arguments are, and those of
the options at the top that it has; further options of a command follow it. What can stand at a place is written
word|word|<kind>, words separated by commas as word,word, and anything as ?. The kinds, which propose.awk fills in, are
<key>, <server>, <path:METHOD> (an address that the verb can send to; * for any), <route> (a path as route_show.py takes it),
<pair> (NAME=VALUE), <name=file>, <file> and <folder>. They are found by the words of the helps: `kind_of` has these.
"""
import ast
import configparser
import re
import sys
from collections import Counter
from pathlib import Path

from common import arguments, run

ROOT = Path(__file__).resolve().parent.parent
METHODS = {"display.py": "GET", "create.py": "POST", "update.py": "PUT", "delete.py": "DELETE"}
ENTRY = re.compile(r"^  (\S.*?)(?:  +|\n +)(.*(?:\n    +.*)*)", re.MULTILINE)
WIDTH = 76      # of what an option does


def main(argv=None):
    arguments(__doc__, argv)
    (ROOT / "completions" / "table.tsv").write_text(render(), "utf-8")


def render():
    commands = {name: read_usage(name, ast.get_docstring(ast.parse(path.read_text("utf-8")), clean=False))
                for name, path in scripts().items()}
    times = Counter(option for _, options in commands.values() for option in options)
    shared = {}
    for option, number in times.most_common():
        if number > 1:
            shared.setdefault(option[0], option)
    lines = [("# `make reference` writes this table: make_table.py says what is in it",)]
    lines += [("option", *shared[names]) for names in sorted(shared)]
    for name, (places, options) in commands.items():
        lines.append(("command", name, " ".join(places), " ".join(one[0] for one in options if one in shared.values())))
        lines += [("option", *one) for one in options if one not in shared.values()]
    return "".join("\t".join(line) + "\n" for line in lines)


def scripts():
    """The paths of the scripts that are installed, by name."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    paths = [ROOT / path for path in setup["options"]["scripts"].split()]
    return {path.name: path for path in sorted(paths, key=lambda path: path.name)}


def read_usage(name, text):
    """Return, of the help `text` of a script, what its arguments are, a word each, and its options: (names, what it takes,
    what it does)."""
    about = {argument.strip(): what for names, what in read_entries(text, "Arguments") for argument in names.split(",")}
    usage = re.search(rf"^  {re.escape(name)} (.*)$", text, re.MULTILINE)[1]
    choices = re.search(r"\(([a-z]+(?: \| [a-z]+)+)\)", usage)
    usage = usage.replace(choices[0], "") if choices else usage
    usage = re.sub(r"[\[(]-[^\])]*[\])]|\[options\]|(?<!\S)--?[\w-]+(=| )[A-Z_]+", "", usage)
    places = [choices[1].replace(" | ", "|")] if choices else []
    for word in usage.replace("[", "").replace("]", "").split():
        if word != "...":
            argument = word.removesuffix("...")
            places.append(kind_of(argument, about.get(argument, ""), name) + "..." * (argument != word))
    options = []
    for names, what in read_entries(text, "Options"):
        value = re.search(r"[= ](.+)$", names.split(", ")[-1])
        names = ",".join(one[0] for one in re.findall(r"(--?[\w-]+=?)(\w\S*)?", names.replace("=", "= ")) if one[0])
        options.append((names, kind_of(value[1], what, name) if value else "", shorten(what)))
    return places, options


def read_entries(text, title):
    """Return (names, what they are) for each entry in a section of a docstring, such as Options."""
    section = re.search(rf"^{title}:\n((?:  .*\n|\n(?=  -))+)", text, re.MULTILINE)
    return [(names, re.sub(r"\s+", " ", what)) for names, what in ENTRY.findall(section[1])] if section else []


def kind_of(word, about, name):
    """Return what can stand for the argument or the option's value `word` of the script `name`, by the help's text on it."""
    if word == "KEY":
        return "-|<key>|anonymous" if "anonymous" in about else "-|<key>"
    if about.startswith("an address of the API"):
        return f"<path:{METHODS[name]}>"
    if "'s address, .../api/" in about:
        return "<path:*>"
    if word == "PATH" and name == "route_show.py":
        return "<route>"
    if word in ("URL", "API_URL", "BASE") and "server, " in about:
        return "-|<server>"
    if word == "NAME=VALUE" and "@FILE alone" in about:
        return "<pair>"
    if word == "NAME=PATH" or word == "INPUT=VALUE":
        return "<name=file>"
    if word == "NAMES" and "commas" in about:
        return fields_of(about)
    if word in ("DIR", "FOLDER", "IN_FOLDER", "OUT_FOLDER"):
        return "<folder>"
    if word in ("FILE", "PAGE", "SHEET") or re.match("a file", about) or "Format 2 file" in about:
        return "<file>"
    return "|".join(choices_of(about)) or "?"


def choices_of(about):
    """The words that an argument can be, if the text about it lists them."""
    text = re.split(r"[;\[]", re.sub(r" \([^()]* [^()]*\)|\ba diagram: ", "", about))[0]
    for part in text.split(": ")[::-1]:
        part = re.sub(r" \([^()]*\)|^only ", "", part).strip()
        words = re.split(r", or |, | or ", part.replace(" and so on", ""))
        words = [word for word in words if not word.startswith("another ")]
        if re.search(" or | and so on", part) and len(words) > 1 and all(re.fullmatch(r"[\w.:-]+", word) for word in words):
            return words
    for pattern in (r"(?:^|; )([a-z]+): ", r"\b([a-z]+) = ", r"\(([a-z]+)\)"):
        words = re.findall(pattern, re.sub(r" \([^()]* [^()]*\)", "", about))
        if len(words) > 1:
            return words
    return []


def fields_of(about):
    """The names that --fields takes, where the text lists some."""
    about = re.sub(r" \([^()]*\)", "", about)
    listed = re.search(r"commas: (.+?)(?: \[|; |$)", about) or re.search(r"\[default: (.+)\]", about)
    return listed[1].replace(", ", ",") if listed else "?"


def shorten(text):
    """Return what an option does, in as few words as fit."""
    text = re.sub(r" \[default: .*?\]", "", text).split("; ")[0]
    return text if len(text) <= WIDTH else text[:WIDTH].rpartition(" ")[0].rstrip(",:") + " ..."


if __name__ == "__main__":
    sys.exit(run(main))
