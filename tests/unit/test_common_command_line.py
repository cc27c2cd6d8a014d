"""`arguments` and what reads its values: options, ids, numbers, the payload of the verbs."""
import sys

import pytest
from fakes import KEY

import common
from common import USAGE, GalaxyError

NEW_USAGE = """Do it.

Usage:
  do.py [options] KEY URL [NAME=VALUE...]

Options:
  --limit=N   so many
  -h, --help  show this
"""
LEGACY_USAGE = """An old script.

Usage:
  old.py [options] KEY URL [NAME]

Options:
  -n, --dry-run  a flag
  --to=FILE      an option with a value
  -h, --help     show this help
  --version      show the version
"""
LEGACY_OPTIONS_USAGE = """Another.

Usage:
  old.py [options] -a KEY -u URL (-d BUILD)...

Options:
  -a KEY, --api=KEY      a key
  -u URL, --url=URL      a server
  -d BUILD, --dbkey=BUILD  a build, repeatable
  -f NAME                a folder
"""


def test_arguments_returns_options_and_positionals():
    args = common.arguments(NEW_USAGE, ["-", "http://x", "a=1", "b=-2"])
    assert (args["KEY"], args["NAME=VALUE"], args["--limit"]) == ("-", ["a=1", "b=-2"], None)


def test_a_bad_line_shows_the_usage_and_no_key(capsys):
    for line, problem in (([], "missing: KEY, URL"), ([KEY], "missing: URL")):
        assert common.run(lambda: common.arguments(NEW_USAGE, line)) == USAGE       # noqa: B023
        output, name = capsys.readouterr(), common.script_name()
        usage = "Usage:\n  do.py [options] KEY URL [NAME=VALUE...]"
        assert output.err == f"{name}: {problem}\n{usage}\n{name} --help says more\n"
        assert output.out == ""


def test_options_that_exclude_each_other_are_told_from_missing_arguments(capsys):
    usage = "Usage:\n  do.py [options] [--mark=NAME]... [--steps | --counts] FILE\n\nOptions:\n" + "".join(
        f"  {option}  x\n" for option in ("--mark=NAME", "--steps", "--counts"))
    for line, problem in (["--steps", "--counts", "f"], "two exclude each other"), (["--steps"], "missing: FILE\n"):
        assert common.run(lambda: common.arguments(usage, line)) == USAGE       # noqa: B023
        assert problem in capsys.readouterr().err


def test_help_prints_the_docstring(capsys):
    with pytest.raises(SystemExit) as excinfo:
        common.arguments(NEW_USAGE, ["--help"])
    assert not excinfo.value.code
    assert "so many" in capsys.readouterr().out


@pytest.mark.parametrize("line, text", [(["-h"], "Usage:"), (["--help"], "An old script."), (["--version"], common.VERSION)])
def test_help_and_version_alone_exit_0(capsys, line, text):
    with pytest.raises(SystemExit) as excinfo:
        common.arguments(LEGACY_USAGE, line)
    assert excinfo.value.code == 0 and text in capsys.readouterr().out


@pytest.mark.parametrize("line", [["k", "u", "-x"], ["k", "u", "n", "extra"], ["k", "u", "--to"], ["k", "u", "--dry-run=1"],
                                  ["k", "u", "-h"], ["k", "u", "--version"], ["--version", "k"]])
def test_a_new_script_refuses_a_bad_line(line):
    with pytest.raises((GalaxyError, SystemExit)) as excinfo:
        common.arguments(LEGACY_USAGE, line)
    assert getattr(excinfo.value, "exit_code", getattr(excinfo.value, "code", None)) == USAGE


@pytest.mark.parametrize("legacy", [True, False])
def test_an_unknown_option_is_named_with_the_nearest_one(legacy, capsys):
    with pytest.raises(GalaxyError, match="option --dry-rum not recognized: did you mean --dry-run") as excinfo:
        common.arguments(LEGACY_USAGE, ["--dry-rum", "k", "u"], legacy=legacy)
    assert excinfo.value.exit_code == USAGE and excinfo.value.table.startswith("Usage:") and capsys.readouterr() == ("", "")


def test_a_word_after_two_hyphens_is_an_argument():
    args = common.arguments(NEW_USAGE, ["--limit=3", "--", "-", "http://x", "-a=1", "--"])
    assert (args["KEY"], args["URL"], args["NAME=VALUE"], args["--limit"]) == ("-", "http://x", ["-a=1", "--"], "3")
    assert common.arguments(NEW_USAGE, ["-", "http://x", "--"])["NAME=VALUE"] == []


def test_an_argument_that_is_not_utf8_is_an_error():
    with pytest.raises(GalaxyError, match="not UTF-8"):
        common.arguments(NEW_USAGE, ["-", "http://x", "a=\udcff"])


@pytest.mark.parametrize("line, name, dry_run, to", [
    (["k", "u", "-80 freezer"], "-80 freezer", False, None), (["k", "u", "-high coverage"], "-high coverage", False, None),
    (["k", "u", "-n"], None, True, None), (["-n", "k", "u", "-name"], "-name", True, None),
    (["k", "-", "-5"], "-5", False, None),
    (["k", "u", "n", "extra", "words"], "n", False, None), (["k", "u", "--to=a", "n", "--to", "-b"], "n", False, "-b"),
    (["k", "u", "--", "--nosuch"], "--nosuch", False, None), (["k", "u", ""], "", False, None)])
def test_a_legacy_line_is_read_as_the_originals_read_it(line, name, dry_run, to):
    args = common.arguments(LEGACY_USAGE, line, legacy=True)
    assert (args["KEY"], args["NAME"], args["--dry-run"], args["--to"]) == ("k", name, dry_run, to)


def test_a_legacy_line_of_options_is_read_as_the_originals_read_it():
    line = ["-a=K", "-uhttp://h", "-d", "hg19", "-d=hg38", "-f", "1", "-f2"]
    args = common.arguments(LEGACY_OPTIONS_USAGE, line, legacy=True)
    assert (args["--api"], args["--url"], args["--dbkey"], args["-f"]) == ("K", "http://h", ["hg19", "hg38"], "2")


def test_only_the_sign_between_a_short_option_and_its_value_is_dropped():
    args = common.arguments(LEGACY_OPTIONS_USAGE, ["-a=K", "--url==U", "-d", "=B", "-f", "=N"], legacy=True)
    assert (args["--api"], args["--url"], args["--dbkey"], args["-f"]) == ("K", "=U", ["=B"], "=N")


@pytest.mark.parametrize("line", [["k", "u", "n", "-dry-run"], ["k", "u", "n", "more", "-N"]])
def test_a_mistyped_option_among_extra_words_of_a_legacy_line_is_not_ignored(line):
    with pytest.raises(GalaxyError) as caught:
        common.arguments(LEGACY_USAGE, line, legacy=True)
    assert caught.value.exit_code == USAGE


def test_short_options_of_a_legacy_line_may_stand_together():
    usage = LEGACY_OPTIONS_USAGE.replace("Options:", "Options:\n  -n, --dry-run  a flag\n  -q, --quiet  another")
    args = common.arguments(usage, ["-qna", "K", "-u", "U", "-d", "B"], legacy=True)
    assert (args["--api"], args["--dry-run"], args["--quiet"]) == ("K", True, True)


def test_the_last_of_a_repeated_legacy_option_counts_by_either_name():
    for line in (["-a", "first", "--api=last"], ["--api=first", "-a=last"], ["-a", "first", "-alast"]):
        assert common.arguments(LEGACY_OPTIONS_USAGE, [*line, "-u", "U", "-d", "B"], legacy=True)["--api"] == "last"


# --------------------------------------------------------------------------------------------------------------- values

@pytest.mark.parametrize("text", ["x", "-1", "1.5", "0", "١", ""])
def test_int_option_takes_integers_only(text):
    assert common.int_option({"--limit": "12"}, "--limit") == 12
    assert common.int_option({"--limit": None}, "--limit") is None
    with pytest.raises(GalaxyError, match="--limit=") as excinfo:
        common.int_option({"--limit": text}, "--limit", least=1)
    assert excinfo.value.exit_code == USAGE


@pytest.mark.parametrize("text", ["", "a b", "a/b", "a?x=1", "../x", "ID\n"])
def test_parse_id_takes_ids_only(text):
    assert common.parse_id("f2db41e1fa331b3e", "HISTORY") == "f2db41e1fa331b3e"
    with pytest.raises(GalaxyError, match="HISTORY: .* is not an id") as excinfo:
        common.parse_id(text, "HISTORY")
    assert excinfo.value.exit_code == USAGE


def test_parse_payload_reads_strings_json_and_files(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text('\ufeff{"a": [1]}', encoding="utf-8")
    (tmp_path / "a.txt").write_text("two\nlines")
    monkeypatch.chdir(tmp_path)
    assert common.parse_payload(["name=a=b", "n:=[1, null]", "j:=@a.json", "t@=a.txt", "e=", "s==", "at=@a.json"]) == {
        "name": "a=b", "n": [1, None], "j": {"a": [1]}, "t": "two\nlines", "e": "", "s": "=", "at": "@a.json"}
    assert common.parse_payload(["@a.json"]) == {"a": [1]}
    assert common.parse_payload([]) == {}


@pytest.mark.parametrize("pairs", [["name"], ["=x"], [":=1"], ["@=x"], ["n:={"], ["n:=@nosuch"], ["t@=nosuch"],
                                   ["@nosuch"], ["@nosuch", "a=1"]])
def test_parse_payload_refuses_bad_pairs(pairs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GalaxyError) as excinfo:
        common.parse_payload(pairs)
    assert excinfo.value.exit_code == USAGE


def test_parse_payload_shows_no_value_in_its_errors(tmp_path):
    for pairs in (["password:=hunter2"], ["hunter2"], ["=hunter2"]):
        with pytest.raises(GalaxyError) as excinfo:
            common.parse_payload(pairs)
        assert "hunter2" not in str(excinfo.value)


def test_parse_payload_refuses_json_nested_too_deeply(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for pairs in ([f"@{tmp_path}/deep.json"], [f"x:=@{tmp_path}/deep.json"]):
        with pytest.raises(GalaxyError, match="not JSON"):
            common.parse_payload(pairs)


def test_parse_payload_reads_standard_input(type_in, monkeypatch):
    type_in(b'\xef\xbb\xbf{"a": "\xc3\xa9"}')
    assert common.parse_payload(["@-"]) == {"a": "é"}
    type_in(b'{"a": "\xe9"}')
    with pytest.raises(GalaxyError, match="standard input: not a text in UTF-8"):
        common.parse_payload(["@-"])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(GalaxyError, match="standard input is closed"):
        common.parse_payload(["@-"])
