"""What holds for every script and module: which way imports point, how large things are, and what every script has."""
import ast
import configparser
import importlib.util
import os
import re
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "galaxy_api_scripts"
VERBS = [ROOT / f"{name}.py" for name in ("display", "create", "update", "delete")]
SCRIPTS = VERBS + sorted(path for path in (ROOT / "scripts").glob("*.py") if not path.is_symlink())
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "settings" not in path.parts)     # those run in Galaxy
SOURCES = [ROOT / "common.py", *SCRIPTS, *MODULES]
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py") if "live" not in path.parts)
LIVE_TESTS = "\n".join(path.read_text() for path in (ROOT / "tests" / "live").glob("*.py"))

# A folder or module of the package may import those of the lines above its own; in the first line, those before it.
LAYERS = [["releases", "ages", "sizes", "outcome", "files", "yaml_files", "tables", "transfer_limit", "transfers",
           "together", "rate_limit", "progress", "polling", "checkpoint"],
          ["datasets"], ["routes", "histories", "sharing", "accounts", "libraries", "invocations", "job_queue"],
          ["disk"],
          ["tools"], ["workflows", "search"], ["batch", "server"]]
LOCAL_SERVER = [*LAYERS[0], "tools"]        # it fills the Tool Shed that it starts
# What is not Python's own, and who may import it. urllib3 comes with requests.
FOR_COMMON = {"requests", "urllib3", "docopt", "tabulate", "yaml"}
FOR_THE_PACKAGE = {"requests", "urllib3", "tqdm", "yaml", "jinja2", "common", "galaxy_api_scripts"}
FOR_SCRIPTS = {"yaml", "common", "galaxy_api_scripts"}
# What is loaded only where it is used, inside a function.
LATE = {"docopt", "tabulate", "yaml", "tqdm", "jinja2"}

LARGEST = {"module": 500, "class": 200, "function": 60, "parameters": 10}
# What is larger, and why.
LARGER = {
    "common.py": "it is copied alone with a script, so it is one file",
}

# Words that read as translated; write the subject first, the present tense, and the field's own words.
STILTED = ["is wanted", "are wanted", "gone on with", "goes on with", "anew", "beside each other", "who is killed",
           "(?<!there )is none of", "takes the key for", "it does anyway", "what it is given"]

each_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)


def name_of(path):
    return str(path.relative_to(ROOT))


def imports_of(path):
    """All that a file imports, in full (`package.module.name` of `from package.module import name`), and whether that is
    done when the file is loaded."""
    tree = ast.parse(path.read_text())
    late = {inner for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node not in late
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are written in full"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node not in late


def foreign(path):
    """The top-level packages that a file imports and that are not Python's own."""
    return {name for name in {name.split(".")[0] for name, _ in imports_of(path)} if not is_pythons(name)}


def is_pythons(name):
    spec = importlib.util.find_spec(name)
    where = (spec and spec.origin) or ""
    library = sysconfig.get_path("stdlib")
    return where in ("built-in", "frozen") or (where.startswith(library) and "site-packages" not in where)


# --------------------------------------------------------------------------------------------------- which way imports point

def test_common_stands_alone():
    assert foreign(ROOT / "common.py") <= FOR_COMMON


@each_script
def test_a_script_imports_common_and_the_package_but_no_script(path):
    assert foreign(path) <= FOR_SCRIPTS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_no_script_and_only_what_is_installed_with_it(path):
    assert foreign(path) <= FOR_THE_PACKAGE


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_in_the_package_point_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    others = {parts[1] for parts in (name.split(".") for name, _ in imports_of(path))
              if parts[0] == "galaxy_api_scripts"} - {own}
    assert others <= set(may_import(own))


def may_import(own):
    if own == "local_server":
        return LOCAL_SERVER
    if own == "__init__":
        return []
    number = next(number for number, names in enumerate(LAYERS) if own in names)
    return LAYERS[0][:LAYERS[0].index(own)] if number == 0 else sum(LAYERS[:number], [])


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_what_few_need_is_loaded_where_it_is_used(path):
    assert [name for name, at_once in imports_of(path) if at_once and name.split(".")[0] in LATE] == []


def test_installed_are_common_the_package_and_the_commands():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["options"]["py_modules"].split() == ["common"]
    assert setup["options"]["packages"] == "find:"
    assert setup["options.packages.find"]["include"].split() == ["galaxy_api_scripts*"]
    assert sorted(setup["options"]["scripts"].split()) == sorted(map(name_of, SCRIPTS))


# ------------------------------------------------------------------------------------------------------------------- sizes

def sizes(path):
    """(name, kind, size) of a file, of its classes and of its functions."""
    text = path.read_text()
    yield name_of(path), "module", text.count("\n")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield f"{name_of(path)} {node.name}", kind, node.end_lineno - node.lineno + 1
        if isinstance(node, ast.FunctionDef):
            count = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
            yield f"{name_of(path)} {node.name}", "parameters", count


def test_what_is_large_has_a_reason():
    larger = {name: f"{kind}: {size}" for path in SOURCES for name, kind, size in sizes(path) if size > LARGEST[kind]}
    assert {name: size for name, size in larger.items() if name not in LARGER} == {}
    assert [name for name in LARGER if name not in larger] == [], "are no longer large"
    assert (ROOT / "common.py").read_text().count("\n") <= 1400


# ------------------------------------------------------------------------------------------------------------------- prose

def test_no_text_has_words_that_read_as_translated():
    texts = [path for pattern in ("*.py", "*.md", "docs/*.md", "scripts/*.py", "galaxy_api_scripts/**/*.py", "tests/**/*.py",
                                  "bench/*.py", "demo/*.py") for path in ROOT.glob(pattern) if not path.is_symlink()]
    pattern = re.compile(r"\b(" + "|".join(STILTED) + r")\b")
    lines = [f"{name_of(path)}:{number}: {line.strip()}" for path in texts if path != Path(__file__)
             for number, line in enumerate(path.read_text("utf-8").splitlines(), 1) if pattern.search(line)]
    assert len(texts) > 200 and lines == []


# ----------------------------------------------------------------------------------------------------- what every script has

@each_script
def test_a_script_says_what_it_does_and_how(path):
    doc = ast.get_docstring(ast.parse(path.read_text()))
    first = doc.splitlines()[0]
    assert first.endswith(".") and len(first) < 120
    assert len(re.findall("usage:", doc, re.IGNORECASE)) == 1
    assert f"  {path.name} [options]" in doc
    assert "-h, --help" in doc


@each_script
def test_a_script_is_shaped_like_the_others(path):
    text = path.read_text()
    assert text.startswith('#!/usr/bin/env python3\n"""')
    assert text.endswith('\n\nif __name__ == "__main__":\n    sys.exit(run(main))\n')
    assert "\ndef main(argv=None):\n" in text
    assert os.access(path, os.X_OK)


@each_script
def test_a_script_is_in_the_readme_and_has_tests(path):
    assert f"`{path.name}`" in (ROOT / "README.md").read_text(), "has no line in the README's catalogue"
    assert re.search(rf"\b{path.stem}\.main\b", TESTS) or path.stem in ("create", "update", "delete"), "has no offline test"
    assert path.name in LIVE_TESTS, "has no live test"


def test_the_readme_names_no_script_that_does_not_exist():
    named = set(re.findall(r"\b(?:scripts/)?(\w+\.py)\b", (ROOT / "README.md").read_text()))
    files = {path.name for path in SOURCES} | {
        path.name for folder in ("bench", "demo") for path in (ROOT / folder).glob("*.py")}
    assert named - files == {"large.py", "NAME.py"} & named     # the example that the README gives in full


def test_the_readmes_links_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links and [link for link in links if not (ROOT / link).exists()] == []
