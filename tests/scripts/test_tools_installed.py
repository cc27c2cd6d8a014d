"""tool_installed.py, tool_outdated.py, tool_update.py, tool_uninstall.py: what they find, do, print and refuse."""
import json
import re

import pytest
import requests
import tool_install
import tool_installed
import tool_outdated
import tool_uninstall
import tool_update
import yaml
from fakes import KEY, URL
from fakes.sheds import HOST, NEW, OLD, Sheds

from common import FAILED, SOME_FAILED, TRY_LATER, USAGE


@pytest.fixture
def sheds(requests_mock, clock):
    return Sheds(requests_mock)


@pytest.fixture
def run(script, sheds, capsys):
    """`run(main, *words)`: the status of a script, what it printed and told."""
    def call(main, *words):
        status = script(main, KEY, URL, *words)
        output = capsys.readouterr()
        assert KEY not in output.out + output.err
        return status, output.out, output.err
    return call


def test_a_list_of_what_is_installed_installs_nothing(run, sheds, type_in, tmp_path):
    sheds.add(revision=NEW)
    sheds.add(revision=OLD, ctx_rev="-1")
    sheds.add("Uninstalled", name="count")
    sheds.invisible.add("sum")
    sheds.add(name="sum", revision="000000000004")
    status, text, err = run(tool_installed.main)
    assert (status, err) == (0, "") and yaml.safe_load(text) == {"tools": [
        {"name": "sum", "owner": "demo", "revisions": ["000000000004"], "tool_shed_url": "http://shed.test:9009/"},
        {"name": "tally", "owner": "demo", "revisions": [OLD, NEW], "tool_panel_section_label": "Filter and Sort",
         "tool_shed_url": "http://shed.test:9009/"}]}
    type_in(text)
    assert run(tool_install.main, "-") == (0, "", "") and sheds.writes() == []
    assert run(tool_installed.main, f"--to={tmp_path}/tools.yml") == (0, "", "")
    assert (tmp_path / "tools.yml").read_text() == text
    assert run(tool_installed.main, f"--to={tmp_path}/tools.yml")[0] == FAILED
    assert run(tool_installed.main, "--force", f"--to={tmp_path}/tools.yml")[0] == 0
    assert run(tool_installed.main, "--force", "--format=json", f"--to={tmp_path}/tools.yml")[0] == USAGE
    assert run(tool_installed.main, "--format=value", "--fields=name,revision,section")[1] == (
        f"sum\t000000000004\t\ntally\t{OLD}\tFilter and Sort\ntally\t{NEW}\tFilter and Sort\n")


def test_what_is_outdated(run, sheds):
    sheds.add(revision=OLD)
    assert run(tool_outdated.main, "--format=value") == (0, f"demo\ttally\t{OLD}\t{NEW}\t{HOST}\n", "")
    for main in (tool_outdated.main, tool_update.main):
        status, out, err = run(main, "demo/tall")
        assert (status, out) == (FAILED, "") and "has not installed the repository demo/tall: did you mean demo/tall" in err
    sheds.add(revision=NEW)
    assert run(tool_outdated.main) == (0, "", "")
    assert json.loads(run(tool_outdated.main, "--format=json")[1]) == [] and sheds.writes() == []


def test_a_tool_shed_that_has_one_no_longer_or_is_not_known(run, sheds):
    sheds.add(revision=OLD)
    sheds.add(name="gone")
    status, out, err = run(tool_outdated.main)
    assert status == SOME_FAILED and NEW in out and "demo/gone: " in err and "No repository named gone" in err
    sheds.add(name="tally", tool_shed="other.test")
    status, out, err = run(tool_outdated.main, "other.test/repos/demo/tally")
    assert (status, out) == (FAILED, "") and "Galaxy no longer knows this Tool Shed" in err
    status, out, err = run(tool_outdated.main, "demo/tally")
    assert status == FAILED and "is installed from other.test and shed.test:9009: give HOST/repos/OWNER/NAME" in err


def test_an_update_is_beside_the_old_one_and_in_its_section(run, sheds):
    sheds.add(revision=OLD)
    line = f"update\tdemo\ttally\t{NEW}\t{OLD}\tFilter and Sort\n"
    assert run(tool_update.main, "--dry-run") == (0, line, "") and sheds.writes() == []
    assert run(tool_update.main) == (0, line, "")
    assert sheds.posts[0]["tool_panel_section_id"] == "filter" and sheds.installed() == [("tally", NEW), ("tally", OLD)]
    assert run(tool_update.main) == (0, "", "") and len(sheds.posts) == 1


def test_the_old_one_is_uninstalled_if_asked_once_the_new_one_is_there(run, sheds):
    sheds.add(revision=OLD)
    lines = f"update\tdemo\ttally\t{NEW}\t{OLD}\tFilter and Sort\nuninstall\tdemo\ttally\t{OLD}\t\t\n"
    assert run(tool_update.main, "-n", "--uninstall-old", "demo/tally") == (0, lines, "") and sheds.writes() == []
    assert run(tool_update.main, "--uninstall-old", "demo/tally") == (0, lines, "")
    assert sheds.installed() == [("tally", NEW)]


def test_an_old_one_that_an_earlier_run_left_is_uninstalled(run, sheds):
    sheds.add(revision=OLD)
    sheds.add(revision=NEW)
    line = f"uninstall\tdemo\ttally\t{OLD}\t\t\n"
    assert run(tool_update.main) == (0, "", "")
    assert run(tool_update.main, "--uninstall-old", "-n") == (0, line, "") and sheds.writes() == []
    sheds.mock.get(f"{URL}/api/tools?in_panel=false", json=lambda *_: sheds.list_tools(*_)[:1])
    status, out, err = run(tool_update.main, "--uninstall-old")
    assert (status, out) == (FAILED, "") and "demo/tally: the older revisions stay" in err and sheds.writes() == []
    sheds.mock.get(f"{URL}/api/tools?in_panel=false", json=sheds.list_tools)
    assert run(tool_update.main, "--uninstall-old") == (0, line, "") and sheds.installed() == [("tally", NEW)]
    assert run(tool_update.main, "--uninstall-old") == (0, "", "")


def test_the_old_one_stays_if_the_new_one_fails_or_is_not_loaded(run, sheds):
    sheds.add(revision=OLD)
    sheds.ends["tally"] = "Error", "no space"
    status, out, err = run(tool_update.main, "--uninstall-old")
    assert (status, out) == (FAILED, "") and "no space" in err and sheds.installed() == [("tally", OLD)]
    sheds.ends.clear()
    sheds.invisible.add("tally")
    status, out, err = run(tool_update.main, "--uninstall-old", "--repair")
    assert status == FAILED and "has not loaded" in err and ("tally", OLD) in sheds.installed()


def test_uninstall_and_a_second_run_does_nothing(run, sheds):
    sheds.add(revision=OLD)
    sheds.add(revision=NEW)
    status, out, err = run(tool_uninstall.main, "demo/tally")
    assert (status, out) == (FAILED, "") and f"demo/tally is installed in 2 revisions, {OLD}, {NEW}: name one" in err
    line = f"uninstall\tdemo\ttally\t{OLD}\tFilter and Sort\n"
    assert run(tool_uninstall.main, "--dry-run", f"demo/tally/{OLD}") == (0, line, "") and sheds.writes() == []
    assert run(tool_uninstall.main, f"demo/tally/{OLD}") == (0, line, "")
    assert run(tool_uninstall.main, f"demo/tally/{OLD}") == (0, "", "") and sheds.installed() == [("tally", NEW)]
    sheds.add("Error", "000000000009")
    assert run(tool_uninstall.main, "--all-revisions", "demo/tally")[1].count("\n") == 2 and sheds.installed() == []
    assert run(tool_uninstall.main, "--all-revisions", "demo/tally") == (0, "", "") and len(sheds.deleted) == 3


def test_uninstall_what_galaxy_has_never_had(run, sheds, type_in):
    sheds.add()
    status, out, err = run(tool_uninstall.main, "demo/tallly")
    assert (status, out) == (FAILED, "") and "has never had the repository demo/tallly: did you mean demo/tally?" in err
    type_in("tools: [{name: tallly, owner: demo}]\n")
    assert run(tool_uninstall.main, "-") == (0, "", "") and sheds.writes() == []


def test_uninstall_of_what_is_being_installed_a_revision_that_never_was_and_a_tool(run, sheds):
    sheds.add("Cloning")
    status, out, err = run(tool_uninstall.main, "demo/tally")
    assert (status, out) == (TRY_LATER, "") and f"demo/tally, revision {NEW}, is being installed (its status is Clon" in err
    sheds.add(revision=OLD)
    status, out, err = run(tool_uninstall.main, "demo/tally")
    assert status == SOME_FAILED and OLD in out and "Cloning" in err
    status, out, err = run(tool_uninstall.main, "demo/tally/912d014682f2")
    assert (status, out) == (FAILED, "") and "has never had the repository demo/tally/912d014682f2: did you mean" in err
    status, out, err = run(tool_uninstall.main, f"{HOST}/repos/demo/tally/tally/0.9")
    assert (status, out) == (USAGE, "") and "give its name, demo/tally" in err and len(sheds.deleted) == 1


@pytest.mark.parametrize("drops", [0, 1])
def test_an_uninstallation_whose_answer_is_lost(run, sheds, drops):
    """And with `drops` one that did not reach Galaxy before it."""
    sheds.add()
    lost = []

    def delete(request, context):
        lost.append(request)
        if len(lost) > drops:
            sheds.delete(request, context)
        if len(lost) <= drops + 1:
            raise requests.exceptions.ConnectionError("reset")
    sheds.mock.delete(re.compile(f"{URL}/api/tool_shed_repositories/r"), json=delete)
    assert run(tool_uninstall.main, "demo/tally") == (0, f"uninstall\tdemo\ttally\t{NEW}\tFilter and Sort\n", "")
    assert sheds.installed() == [] and len(sheds.deleted) == 1 + drops


def test_one_that_stays_installed_is_told(run, sheds):
    record = sheds.add()
    sheds.mock.delete(f"{URL}/api/tool_shed_repositories/{record['id']}", json={"message": "no"})
    status, out, err = run(tool_uninstall.main, "demo/tally")
    assert (status, out) == (FAILED, "") and "was to be uninstalled, and its status is still Installed" in err


@pytest.mark.parametrize("main, words, task", [(tool_update.main, [], "updating tools"),
                                               (tool_uninstall.main, ["demo/tally"], "uninstalling tools")])
def test_a_key_without_the_right(run, sheds, main, words, task):
    sheds.add(revision=OLD)
    sheds.mock.get(f"{URL}/api/users/current", json={"id": "u", "email": "me@example.org", "is_admin": False})
    status, out, err = run(main, *words)
    assert (status, out) == (FAILED, "") and f"{task} needs an administrator's key" in err and sheds.writes() == []


@pytest.mark.parametrize("main", [tool_installed.main, tool_outdated.main, tool_update.main, tool_uninstall.main])
def test_bad_lines(run, sheds, main):
    for words in (["a/b/c"], ["--nosuch"], ["--fields=nosuch", "demo/tally"]):
        assert run(main, *words)[0] == USAGE
    assert sheds.mock.call_count == 0
