"""An option that several scripts have means one thing, and is explained with the same words in all of them."""
import ast
import re
from pathlib import Path

import pytest

from common import USAGE, GalaxyError, arguments

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / f"{name}.py" for name in ("display", "create", "update", "delete")] + sorted(
    path for path in (ROOT / "scripts").glob("*.py") if not path.is_symlink())
SHARED = {
    "--format=FORMAT": "table, json, jsonl, csv, tsv, value or another tabulate style",
    "--fields=NAMES": "only these fields, separated by commas",
    "--limit=N": "at most N of them",
    "--force": "overwrite an existing file",
    "--user=USER": "only those of this user: e-mail address, public name or id",
    "--check": "first compare address and fields with the server's own description, and send nothing that it lacks",
    "-n, --dry-run": "show what would be done, change nothing",
    "-q, --quiet": "no progress, only results and errors",
    "-v, --verbose": "more about what is done",
    "--timeout=SECONDS": "stop waiting after this many seconds in all",
    "--stall-timeout=SECONDS": "give up when nothing has moved for this many seconds",
    "--transfers=N": "transfer this many files at once, fewer while the server is overloaded",
    "--parallel=N": "the older name of --transfers, which counts if both are given",
    "--limit-rate=RATE": "at most this many bytes a second, all transfers together",
    "--lanes=MODE": "together: the lanes of one sample and read are one file; separate: each stays one",
    "--together=PATTERN": "also files whose names differ only in what this regular expression matches",
    "-h, --help": "show this help",
    "--version": "show the version",
}
# Downloads write many files; library_upload_dir.py's lines on standard output are part of the old command line, so -q, which
# came later, is the only way to do without them; a ledger is checked for what failed, and sends nothing.
OTHER_WORDS = {
    **dict.fromkeys([("dataset_download.py", "--force"), ("library_download.py", "--force")],
                    "replace files of the same name that this script did not download"),
    ("invocation_download.py", "--force"): "replace files that exist",
    ("library_upload_dir.py", "-q, --quiet"): "no progress and no line for an uploaded file, only errors",
    ("ledger_show.py", "--check"):
        "only what has failed and was neither mended nor acknowledged, and exit with 1 if there is any",
}
NAMES = {name: option for option in SHARED for name in re.findall(r"--[a-z-]+", option)}

each_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)


def options_of(path):
    """The options of a script with their explanations, which may go on in further lines."""
    usage = ast.get_docstring(ast.parse(path.read_text("utf-8")), clean=False)
    return {option: " ".join(text.split())
            for option, text in re.findall(r"^ +(-\S.*?)  +(\S.*(?:\n {12,}\S.*)*)", usage, re.MULTILINE)}


@each_script
def test_shared_options_have_shared_words(path):
    """Behind them there may be a default in brackets, or more after a colon or semicolon."""
    for option, text in options_of(path).items():
        long_name = re.search(r"--[a-z-]+|$", option).group()
        if long_name in NAMES:
            shared = NAMES[long_name]
            # -n is --name in the scripts for repositories, as it was in the old ones
            assert option == shared or (long_name == "--dry-run" and re.search(r"^ +-n ", path.read_text(), re.MULTILINE))
            words = re.sub(r" \[default: .*\]$", "", text)
            expected = OTHER_WORDS.get((path.name, shared), SHARED[shared])
            assert re.match(re.escape(expected) + "($|[:;] )", words), f"{option}: {text}"


@each_script
def test_help_and_version_are_in_the_help(path):
    assert {"-h, --help", "--version"} <= options_of(path).keys()


@each_script
def test_output_is_chosen_by_both_options_or_none(path):
    assert ("--format=FORMAT" in options_of(path)) == ("--fields=NAMES" in options_of(path)) or \
        path.stem == "search"       # its queries name the fields


@each_script
def test_an_option_given_empty_is_refused_as_an_unset_variable(path):
    usage = ast.get_docstring(ast.parse(path.read_text("utf-8")), clean=False)
    for name in re.findall(r"--?[\w-]+(?=[ =][A-Z])", " ".join(options_of(path))):
        for words in ([name, ""], [name, " "], [name, " ,"], [f"{name}="][:name.startswith("--")]):
            if words:
                with pytest.raises(GalaxyError, match=f"^{name} is empty: is a variable unset") as refused:
                    arguments(usage, [*words, "x", "x"])
                assert refused.value.exit_code == USAGE
